//! The lists and namespaces of a manager.

use crate::args::{Out, bytes, bytes_mut, discard, handle};
use crate::fail::{cold, value};
use crate::manager::{
    hand_over, key, shmkit_list, shmkit_manager, shmkit_namespace, shmkit_visit_fn, visit,
};
use crate::status::*;
use std::ffi::{CString, c_char, c_void};

/// The list under `key`, which is made if there is none.
///
/// Errors: SHMKIT_ERR_TYPE_MISMATCH (something else is there), SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_NO_MEMORY,
/// SHMKIT_ERR_INVALID_ARGUMENT (a key has 1 to 1024 bytes), SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_manager_list(
    manager: *mut shmkit_manager,
    key: *const c_char,
    out: *mut *mut shmkit_list,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (manager, key, out) =
            unsafe { (handle(manager)?, crate::manager::key(key)?, Out::at(out)?) };
        out.give(shmkit_list { list: manager.manager.list(key)? });
        Ok(SHMKIT_OK)
    })
}

/// How many entries there are; 0 for NULL. Stale at once. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_list_len(list: *const shmkit_list) -> usize {
    // SAFETY: A1.
    value(0, || Ok(unsafe { handle(list) }?.list.len()))
}

/// Removes all entries.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_list_clear(list: *mut shmkit_list) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(list) }?.list.clear()?;
        Ok(SHMKIT_OK)
    })
}

/// Gives the handle up; NULL is fine. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_list_free(list: *mut shmkit_list) {
    // SAFETY: A1.
    unsafe { discard(list) };
}

/// Appends an element.
///
/// Errors: SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_list_push(
    list: *mut shmkit_list,
    data: *const c_void,
    len: usize,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (list, data) = unsafe { (handle(list)?, bytes(data, len)?) };
        list.list.push(data.to_vec())?;
        Ok(SHMKIT_OK)
    })
}

/// Copies the last element to `buf` of `cap` bytes, sets `*len` to its length, and removes it.
///
/// Errors: SHMKIT_ERR_NOT_FOUND (the list is empty), SHMKIT_ERR_BUFFER_TOO_SMALL (`*len` is what it needs; it is
/// put back to the end), SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_list_pop(
    list: *mut shmkit_list,
    buf: *mut c_void,
    cap: usize,
    len: *mut usize,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (list, buf, len) = unsafe { (handle(list)?, bytes_mut(buf, cap)?, Out::at(len)?) };
        let last = list.list.pop()?;
        if let Some(last) = &last
            && last.len() > buf.len()
        {
            // It is the last again, unless others have appended meanwhile.
            list.list.push(last.clone())?;
        }
        hand_over(last, buf, &len)
    })
}

/// Copies the element at `index` to `buf` of `cap` bytes, and sets `*len` to its length.
///
/// Errors: SHMKIT_ERR_NOT_FOUND (no such index), SHMKIT_ERR_BUFFER_TOO_SMALL (`*len` is what it needs),
/// SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_list_get(
    list: *mut shmkit_list,
    index: usize,
    buf: *mut c_void,
    cap: usize,
    len: *mut usize,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (list, buf, len) = unsafe { (handle(list)?, bytes_mut(buf, cap)?, Out::at(len)?) };
        hand_over(list.list.get(index)?, buf, &len)
    })
}

/// Replaces the element at `index`.
///
/// Errors: SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM(also no such index).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_list_set(
    list: *mut shmkit_list,
    index: usize,
    data: *const c_void,
    len: usize,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (list, data) = unsafe { (handle(list)?, bytes(data, len)?) };
        list.list.set(index, data.to_vec())?;
        Ok(SHMKIT_OK)
    })
}

/// Inserts an element before the one at `index`, or at the end.
///
/// Errors: SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_list_insert(
    list: *mut shmkit_list,
    index: usize,
    data: *const c_void,
    len: usize,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (list, data) = unsafe { (handle(list)?, bytes(data, len)?) };
        list.list.insert(index, data.to_vec())?;
        Ok(SHMKIT_OK)
    })
}

/// Removes the element at `index`.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_list_remove(list: *mut shmkit_list, index: usize) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(list) }?.list.remove(index)?;
        Ok(SHMKIT_OK)
    })
}

/// Shows all elements, as they are at one moment, to `fn`, in order.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_list_each(
    list: *mut shmkit_list,
    r#fn: shmkit_visit_fn,
    ctx: *mut c_void,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let all = unsafe { handle(list) }?.list.snapshot()?;
        let indices: Vec<_> = (0..all.len()).map(usize::to_ne_bytes).collect();
        visit(r#fn, ctx, indices.iter().map(<[u8; _]>::as_slice).zip(all.iter().map(Vec::as_slice)))
    })
}

/// The namespace under `key`, which is made if there is none.
///
/// Errors: SHMKIT_ERR_TYPE_MISMATCH (something else is there), SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_NO_MEMORY,
/// SHMKIT_ERR_INVALID_ARGUMENT (a key has 1 to 1024 bytes), SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_manager_namespace(
    manager: *mut shmkit_manager,
    key: *const c_char,
    out: *mut *mut shmkit_namespace,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (manager, key, out) =
            unsafe { (handle(manager)?, crate::manager::key(key)?, Out::at(out)?) };
        out.give(shmkit_namespace { namespace: manager.manager.namespace(key)? });
        Ok(SHMKIT_OK)
    })
}

/// How many entries there are; 0 for NULL. Stale at once. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_namespace_len(namespace: *const shmkit_namespace) -> usize {
    // SAFETY: A1.
    value(0, || Ok(unsafe { handle(namespace) }?.namespace.len()))
}

/// Removes all entries.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_namespace_clear(namespace: *mut shmkit_namespace) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(namespace) }?.namespace.clear()?;
        Ok(SHMKIT_OK)
    })
}

/// Gives the handle up; NULL is fine. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_namespace_free(namespace: *mut shmkit_namespace) {
    // SAFETY: A1.
    unsafe { discard(namespace) };
}

/// Sets the value of a name.
///
/// Errors: SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_namespace_set(
    namespace: *mut shmkit_namespace,
    name: *const c_char,
    data: *const c_void,
    len: usize,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (namespace, name, data) =
            unsafe { (handle(namespace)?, key(name)?, bytes(data, len)?) };
        namespace.namespace.set(name, data.to_vec())?;
        Ok(SHMKIT_OK)
    })
}

/// Copies the value of a name to `buf` of `cap` bytes, and sets `*len` to its length.
///
/// Errors: SHMKIT_ERR_NOT_FOUND, SHMKIT_ERR_BUFFER_TOO_SMALL (`*len` is what it needs),
/// SHMKIT_ERR_TYPE_MISMATCH (Rust has set it as another type), SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_namespace_get(
    namespace: *mut shmkit_namespace,
    name: *const c_char,
    buf: *mut c_void,
    cap: usize,
    len: *mut usize,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (namespace, name) = unsafe { (handle(namespace)?, key(name)?) };
        // SAFETY: A1.
        let (buf, len) = unsafe { (bytes_mut(buf, cap)?, Out::at(len)?) };
        hand_over(Some(namespace.namespace.get::<Vec<u8>>(name)?), buf, &len)
    })
}

/// Removes a name and its value.
///
/// Errors: SHMKIT_ERR_NOT_FOUND, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_namespace_remove(
    namespace: *mut shmkit_namespace,
    name: *const c_char,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (namespace, name) = unsafe { (handle(namespace)?, key(name)?) };
        let removed = namespace.namespace.remove(name)?;
        Ok(if removed { SHMKIT_OK } else { SHMKIT_ERR_NOT_FOUND })
    })
}

/// Whether there is a value of this name: SHMKIT_OK or SHMKIT_ERR_NOT_FOUND. Stale at once.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_namespace_contains(
    namespace: *mut shmkit_namespace,
    name: *const c_char,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (namespace, name) = unsafe { (handle(namespace)?, key(name)?) };
        let found = namespace.namespace.contains(name)?;
        Ok(if found { SHMKIT_OK } else { SHMKIT_ERR_NOT_FOUND })
    })
}

/// Shows all names, which end with a NUL that `key_len` does not count, to `fn`, without their values.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_namespace_each(
    namespace: *mut shmkit_namespace,
    r#fn: shmkit_visit_fn,
    ctx: *mut c_void,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let names = unsafe { handle(namespace) }?.namespace.names()?;
        let names: Vec<_> = names.into_iter().filter_map(|name| CString::new(name).ok()).collect();
        visit(r#fn, ctx, names.iter().map(|name| (name.to_bytes(), [].as_slice())))
    })
}
