//! Values.

use crate::args::{self, Out, address, bytes, bytes_mut, deadline, element, handle, make, place};
use crate::args::{discard, shmkit_elem};
use crate::fail::{Answer, Fail, cold};
use crate::lock::{acquired, told};
use crate::region::shmkit_region;
use crate::status::*;
use api::untyped::ByteValue;
use std::ffi::{c_char, c_void};

/// A value in shared memory, which is read whole and without a lock, and replaced whole. Any thread of any
/// process may use it at once; a handle survives fork, the held lock does not. Rust has it as `Value<T>`.
pub struct shmkit_value {
    pub(crate) value: ByteValue,
}

/// Makes a value of the type `elem`, a copy of what is at `initial`, or zeros if that is NULL. `region`, `name`
/// and `flags` as of `shmkit_lock_create()`.
///
/// Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT (also more than 1 MiB: take an array),
/// SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_SYSTEM; with SHMKIT_CREATE_OR_OPEN those of
/// `shmkit_value_open()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_value_create(
    region: *const shmkit_region,
    name: *const c_char,
    elem: *const shmkit_elem,
    initial: *const c_void,
    flags: u32,
    out: *mut *mut shmkit_value,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, place, elem) = unsafe { (Out::at(out)?, place(region, name)?, element(elem)?) };
        let flags = args::flags(flags, 0)?;
        // SAFETY: A1.
        let initial = (!initial.is_null()).then(|| unsafe { bytes(initial, elem.size()) });
        let initial = initial.transpose()?;
        let value = make(
            place,
            flags,
            |place| Ok(ByteValue::create(place, elem, initial)?),
            |at| Ok(ByteValue::find(at, elem)?),
        )?;
        out.give(shmkit_value { value });
        Ok(SHMKIT_OK)
    })
}

/// Opens a value of the type `elem` by its name; in `region` if that is not NULL.
///
/// Errors: as of `shmkit_lock_open()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_value_open(
    region: *const shmkit_region,
    name: *const c_char,
    elem: *const shmkit_elem,
    out: *mut *mut shmkit_value,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, at, elem) = unsafe { (Out::at(out)?, address(region, name)?, element(elem)?) };
        out.give(shmkit_value { value: ByteValue::find(at, elem)? });
        Ok(SHMKIT_OK)
    })
}

/// Copies the value to `dst`: as it was last published, never torn. Never waits for a writer.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_value_get(
    value: *const shmkit_value,
    dst: *mut c_void,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let value = &unsafe { handle(value) }?.value;
        // SAFETY: A1.
        value.get(unsafe { bytes_mut(dst, value.element().size()) }?);
        Ok(SHMKIT_OK)
    })
}

/// Replaces the value by a copy of what is at `src`. One of more than 8 bytes is replaced under its lock, which
/// it waits for unless this thread holds it.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_value_set(
    value: *mut shmkit_value,
    src: *const c_void,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let value = &unsafe { handle(value) }?.value;
        // SAFETY: A1.
        value.set(unsafe { bytes(src, value.element().size()) }?)?;
        Ok(SHMKIT_OK)
    })
}

/// Acquires the value's lock, to get, change and set it while nobody else does so, waiting for it at most
/// `timeout_ns` nanoseconds.
///
/// SHMKIT_OWNER_DIED: the lock is held, and its last holder died; the value is as that one last set it. Call
/// `shmkit_value_mark_consistent()`.
///
/// Errors: as of `shmkit_lock_acquire()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_value_lock(
    value: *mut shmkit_value,
    timeout_ns: i64,
) -> shmkit_status {
    // SAFETY: A1.
    let value = match unsafe { handle(value) } {
        Ok(value) => &value.value,
        Err(fail) => return fail.tell(),
    };
    match value.lock().acquire(deadline(timeout_ns)) {
        Ok(how) => acquired(how),
        Err(why) => Fail::Api(why).tell(),
    }
}

/// Gives the value's lock back. Only the thread that holds it may. Never blocks.
///
/// Errors: SHMKIT_ERR_NOT_OWNER, SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_value_unlock(value: *mut shmkit_value) -> shmkit_status {
    // SAFETY: A1.
    match unsafe { handle(value) } {
        Ok(value) => told(value.value.lock().release()),
        Err(fail) => fail.tell(),
    }
}

/// Declares the value good, after SHMKIT_OWNER_DIED. Only the holder of its lock may. Never blocks.
///
/// Errors: SHMKIT_ERR_NOT_OWNER, SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_value_mark_consistent(value: *mut shmkit_value) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(value) }?.value.lock().mark_consistent()?;
        Ok(SHMKIT_OK)
    })
}

/// Adds to a value of 8 bytes without its lock, wrapping around; `*old`, which may be NULL, is what it was
/// before. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT (also a value of another size).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_value_add_i64(
    value: *mut shmkit_value,
    operand: i64,
    old: *mut i64,
) -> shmkit_status {
    let done = || -> Answer<()> {
        // SAFETY: A1.
        let before = unsafe { handle(value) }?.value.add(operand)?;
        // SAFETY: A1.
        if let Ok(old) = unsafe { Out::at(old) } {
            old.set(before);
        }
        Ok(())
    };
    match done() {
        Ok(()) => SHMKIT_OK,
        Err(fail) => fail.tell(),
    }
}

/// Replaces a value of 8 bytes by `desired` if it is `*expected`, without its lock. Never blocks.
///
/// Errors: SHMKIT_ERR_WOULD_BLOCK if it is something else, which `*expected` is then;
/// SHMKIT_ERR_INVALID_ARGUMENT (also a value of another size).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_value_cas_i64(
    value: *mut shmkit_value,
    expected: *mut i64,
    desired: i64,
) -> shmkit_status {
    let done = || -> Answer<()> {
        // SAFETY: A1.
        let (value, place) = unsafe { (handle(value)?, Out::at(expected)?) };
        // SAFETY: A1; `Out` has checked the pointer.
        let wanted = unsafe { *expected };
        match value.value.compare_exchange(wanted, desired)? {
            Ok(_) => Ok(()),
            Err(found) => {
                place.set(found);
                Err(Fail::Status(SHMKIT_ERR_WOULD_BLOCK))
            }
        }
    };
    match done() {
        Ok(()) => SHMKIT_OK,
        Err(fail) => fail.tell(),
    }
}

/// Gives the handle up; NULL is fine. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_value_free(value: *mut shmkit_value) {
    // SAFETY: A1.
    unsafe { discard(value) };
}
