//! What a manager has: objects under keys, and containers for bytes.

use crate::args::{Out, bytes, bytes_mut, discard, handle, text};
use crate::fail::{Answer, Fail, cold, value};
use crate::region::shmkit_region;
use crate::status::*;
use api::{Dict, List, Manager, ManagerOptions, Namespace};
use std::ffi::{c_char, c_int, c_void};

/// Named objects and containers in one region, without a server. Any thread of any process may use it at
/// once; a handle survives fork.
pub struct shmkit_manager {
    pub(crate) manager: Manager,
}

/// A dictionary from bytes to bytes. Any thread of any process may use it at once; a handle survives fork.
/// Rust has it as `Dict<Vec<u8>, Vec<u8>>`.
pub struct shmkit_dict {
    pub(crate) dict: Dict<Vec<u8>, Vec<u8>>,
}

/// A list of bytes. Any thread of any process may use it at once; a handle survives fork. Rust has it as
/// `List<Vec<u8>>`.
pub struct shmkit_list {
    pub(crate) list: List<Vec<u8>>,
}

/// Values by name, for settings and the like. Any thread of any process may use it at once; a handle
/// survives fork. Rust gets and sets the same values as `Vec<u8>`.
pub struct shmkit_namespace {
    pub(crate) namespace: Namespace,
}

/// Is shown an entry: its key (of a list, its index as a `size_t`) and its value. What is not 0 stops.
pub type shmkit_visit_fn = Option<
    unsafe extern "C" fn(
        ctx: *mut c_void,
        key: *const c_void,
        key_len: usize,
        data: *const c_void,
        len: usize,
    ) -> c_int,
>;

/// Edits a value under the lock of its container: `*len` bytes of `cap` at `data` are the value, or none if
/// `*present` is false; it leaves the new ones there. 0 keeps the change, anything else drops it.
pub type shmkit_edit_fn = Option<
    unsafe extern "C" fn(
        ctx: *mut c_void,
        data: *mut c_void,
        cap: usize,
        len: *mut usize,
        present: *mut bool,
    ) -> c_int,
>;

/// Makes a manager with room for `capacity` bytes in containers, and as many in other objects (0: 1 GiB), which
/// is address space; others find it by `name`, or if that is NULL it goes to them by fork or as a handle.
///
/// Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
/// SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_manager_create(
    name: *const c_char,
    capacity: usize,
    out: *mut *mut shmkit_manager,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, name) = unsafe { (Out::at(out)?, text(name)?) };
        let mut options = ManagerOptions::new();
        if capacity != 0 {
            options = options.capacity_bytes(capacity as u64);
        }
        let manager = match name {
            Some(name) => options.create(name)?,
            None => options.anonymous()?,
        };
        out.give(shmkit_manager { manager });
        Ok(SHMKIT_OK)
    })
}

/// Opens the live manager of this name.
///
/// Errors: as of `shmkit_region_open()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_manager_open(
    name: *const c_char,
    out: *mut *mut shmkit_manager,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, name) = unsafe { (Out::at(out)?, text(name)?) };
        let name = name.ok_or(Fail::Argument("a name that is NULL"))?;
        out.give(shmkit_manager { manager: Manager::open(name)? });
        Ok(SHMKIT_OK)
    })
}

/// A handle to the manager's region, in which other objects lie under their keys: with SHMKIT_CREATE_OR_OPEN,
/// `shmkit_queue_create(region, "jobs", ..)` is what `manager.queue("jobs", ..)` is in Rust.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_manager_region(
    manager: *const shmkit_manager,
    out: *mut *mut shmkit_region,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (manager, out) = unsafe { (handle(manager)?, Out::at(out)?) };
        out.give(shmkit_region { region: manager.manager.region().clone() });
        Ok(SHMKIT_OK)
    })
}

/// Gives the handle up; NULL is fine. What was opened of it stays usable. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_manager_free(manager: *mut shmkit_manager) {
    // SAFETY: A1.
    unsafe { discard(manager) };
}

/// The key of an object, which is not NULL.
///
/// # Safety
///
/// A1.
pub(crate) unsafe fn key<'a>(key: *const c_char) -> Answer<&'a str> {
    // SAFETY: A1.
    unsafe { text(key) }?.ok_or(Fail::Argument("a key that is NULL"))
}

/// Copies what was got to C, or says how much it needs.
pub(crate) fn hand_over(
    found: Option<Vec<u8>>,
    buf: &mut [u8],
    len: &Out<usize>,
) -> Answer<shmkit_status> {
    let found = found.ok_or(Fail::Status(SHMKIT_ERR_NOT_FOUND))?;
    len.set(found.len());
    match buf.get_mut(..found.len()) {
        Some(place) => {
            place.copy_from_slice(&found);
            Ok(SHMKIT_OK)
        }
        None => Ok(SHMKIT_ERR_BUFFER_TOO_SMALL),
    }
}

/// Shows entries to C until it has enough.
pub(crate) fn visit<'a>(
    visit: shmkit_visit_fn,
    ctx: *mut c_void,
    entries: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) -> Answer<shmkit_status> {
    let visit = visit.ok_or(Fail::Argument("a function that is NULL"))?;
    for (key, data) in entries {
        // SAFETY: what the function expects, for the call.
        if unsafe { visit(ctx, key.as_ptr().cast(), key.len(), data.as_ptr().cast(), data.len()) }
            != 0
        {
            break;
        }
    }
    Ok(SHMKIT_OK)
}

/// Lets C edit a value in a buffer of `cap` bytes; whether it is to be kept.
fn edit(edit: shmkit_edit_fn, ctx: *mut c_void, cap: usize, value: &mut Option<Vec<u8>>) -> bool {
    let Some(edit) = edit else { return false };
    let (mut present, mut buffer) = (value.is_some(), value.take().unwrap_or_default());
    let mut len = buffer.len();
    buffer.resize(cap.max(len), 0);
    // SAFETY: what the function expects, for the call.
    let code =
        unsafe { edit(ctx, buffer.as_mut_ptr().cast(), buffer.len(), &mut len, &mut present) };
    buffer.truncate(len);
    *value = present.then_some(buffer);
    code == 0
}

/// The dict under `key`, which is made if there is none.
///
/// Errors: SHMKIT_ERR_TYPE_MISMATCH (something else is there), SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_NO_MEMORY,
/// SHMKIT_ERR_INVALID_ARGUMENT (a key has 1 to 1024 bytes), SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_manager_dict(
    manager: *mut shmkit_manager,
    key: *const c_char,
    out: *mut *mut shmkit_dict,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (manager, key, out) = unsafe { (handle(manager)?, self::key(key)?, Out::at(out)?) };
        out.give(shmkit_dict { dict: manager.manager.dict(key)? });
        Ok(SHMKIT_OK)
    })
}

/// How many entries there are; 0 for NULL. Stale at once. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_dict_len(dict: *const shmkit_dict) -> usize {
    // SAFETY: A1.
    value(0, || Ok(unsafe { handle(dict) }?.dict.len()))
}

/// Removes all entries.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_dict_clear(dict: *mut shmkit_dict) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(dict) }?.dict.clear()?;
        Ok(SHMKIT_OK)
    })
}

/// Gives the handle up; NULL is fine. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_dict_free(dict: *mut shmkit_dict) {
    // SAFETY: A1.
    unsafe { discard(dict) };
}

/// Sets the value of a key, and replaces the one that is there. All or nothing, also if this process dies.
///
/// Errors: SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_dict_set(
    dict: *mut shmkit_dict,
    key: *const c_void,
    key_len: usize,
    data: *const c_void,
    len: usize,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (dict, key, data) = unsafe { (handle(dict)?, bytes(key, key_len)?, bytes(data, len)?) };
        dict.dict.set(&key.to_vec(), &data.to_vec())?;
        Ok(SHMKIT_OK)
    })
}

/// Copies the value of a key to `buf` of `cap` bytes, and sets `*len` to its length.
///
/// Errors: SHMKIT_ERR_NOT_FOUND, SHMKIT_ERR_BUFFER_TOO_SMALL (`*len` is what it needs), SHMKIT_ERR_INVALID_ARGUMENT,
/// SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_dict_get(
    dict: *mut shmkit_dict,
    key: *const c_void,
    key_len: usize,
    buf: *mut c_void,
    cap: usize,
    len: *mut usize,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (dict, key) = unsafe { (handle(dict)?, bytes(key, key_len)?) };
        // SAFETY: A1.
        let (buf, len) = unsafe { (bytes_mut(buf, cap)?, Out::at(len)?) };
        hand_over(dict.dict.get(&key.to_vec())?, buf, &len)
    })
}

/// Removes a key and its value.
///
/// Errors: SHMKIT_ERR_NOT_FOUND, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_dict_remove(
    dict: *mut shmkit_dict,
    key: *const c_void,
    key_len: usize,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (dict, key) = unsafe { (handle(dict)?, bytes(key, key_len)?) };
        let removed = dict.dict.remove(&key.to_vec())?;
        Ok(if removed.is_some() { SHMKIT_OK } else { SHMKIT_ERR_NOT_FOUND })
    })
}

/// Whether there is a value of this key: SHMKIT_OK or SHMKIT_ERR_NOT_FOUND. Stale at once.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_dict_contains(
    dict: *mut shmkit_dict,
    key: *const c_void,
    key_len: usize,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (dict, key) = unsafe { (handle(dict)?, bytes(key, key_len)?) };
        let found = dict.dict.contains_key(&key.to_vec())?;
        Ok(if found { SHMKIT_OK } else { SHMKIT_ERR_NOT_FOUND })
    })
}

/// Lets `fn` edit the value of a key, which may be none, under the lock of the dict: nobody else changes it
/// meanwhile. `cap` is the room for a new value. `fn` must not use the dict. Without effect if `fn` does not
/// return 0.
///
/// Errors: SHMKIT_ERR_BROKEN (`fn` did not return 0), SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_NO_MEMORY,
/// SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_dict_update(
    dict: *mut shmkit_dict,
    key: *const c_void,
    key_len: usize,
    cap: usize,
    r#fn: shmkit_edit_fn,
    ctx: *mut c_void,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (dict, key) = unsafe { (handle(dict)?, bytes(key, key_len)?) };
        if r#fn.is_none() || cap > isize::MAX as usize {
            return Err(Fail::Argument("a function that is NULL, or impossible room"));
        }
        let kept = dict.dict.update(&key.to_vec(), |value| {
            let before = value.clone();
            let kept = edit(r#fn, ctx, cap, value);
            if !kept {
                *value = before;
            }
            kept
        })?;
        Ok(if kept { SHMKIT_OK } else { SHMKIT_ERR_BROKEN })
    })
}

/// Shows all entries, as they are at one moment, to `fn`, in no particular order.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_dict_each(
    dict: *mut shmkit_dict,
    r#fn: shmkit_visit_fn,
    ctx: *mut c_void,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let items = unsafe { handle(dict) }?.dict.items()?;
        visit(r#fn, ctx, items.iter().map(|(key, data)| (key.as_slice(), data.as_slice())))
    })
}
