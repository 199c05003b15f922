//! Events.

use crate::args::{self, Out, address, discard, handle, make, place};
use crate::fail::{cold, value};
use crate::region::shmkit_region;
use crate::status::*;
use api::Event;
use std::ffi::c_char;
use std::time::Duration;

/// A flag to wait for. Any thread of any process may use it at once; a handle survives fork.
pub struct shmkit_event {
    pub(crate) event: Event,
}

/// Makes an event, clear. `region`, `name` and `flags` as of `shmkit_lock_create()`.
///
/// Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
/// SHMKIT_ERR_SYSTEM; with SHMKIT_CREATE_OR_OPEN those of `shmkit_event_open()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_event_create(
    region: *const shmkit_region,
    name: *const c_char,
    flags: u32,
    out: *mut *mut shmkit_event,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, place) = unsafe { (Out::at(out)?, place(region, name)?) };
        let flags = args::flags(flags, 0)?;
        let (create, open) = (|place| Ok(Event::place(place)?), |at| Ok(Event::find(at)?));
        out.give(shmkit_event { event: make(place, flags, create, open)? });
        Ok(SHMKIT_OK)
    })
}

/// Opens an event by its name; in `region` if that is not NULL.
///
/// Errors: as of `shmkit_lock_open()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_event_open(
    region: *const shmkit_region,
    name: *const c_char,
    out: *mut *mut shmkit_event,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, at) = unsafe { (Out::at(out)?, address(region, name)?) };
        out.give(shmkit_event { event: Event::find(at)? });
        Ok(SHMKIT_OK)
    })
}

/// Sets the flag and lets all go on who wait. Never blocks; a signal handler may call it.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_event_set(event: *mut shmkit_event) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(event) }?.event.set();
        Ok(SHMKIT_OK)
    })
}

/// Clears the flag: who comes from now on waits. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_event_clear(event: *mut shmkit_event) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(event) }?.event.clear();
        Ok(SHMKIT_OK)
    })
}

/// Whether the flag is set; false for NULL. Stale at once. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_event_is_set(event: *const shmkit_event) -> bool {
    // SAFETY: A1.
    value(false, || Ok(unsafe { handle(event) }?.event.is_set()))
}

/// Waits until the flag is set, or has been since the call, at most `timeout_ns` nanoseconds
/// (SHMKIT_NO_WAIT, SHMKIT_FOREVER).
///
/// Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_event_wait(
    event: *mut shmkit_event,
    timeout_ns: i64,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let event = &unsafe { handle(event) }?.event;
        let set = match u64::try_from(timeout_ns) {
            Ok(ns) => event.wait_timeout(Duration::from_nanos(ns)),
            Err(_) => {
                event.wait();
                true
            }
        };
        Ok(match set {
            true => SHMKIT_OK,
            false if timeout_ns == 0 => SHMKIT_ERR_WOULD_BLOCK,
            false => SHMKIT_ERR_TIMED_OUT,
        })
    })
}

/// Gives the handle up; NULL is fine. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_event_free(event: *mut shmkit_event) {
    // SAFETY: A1.
    unsafe { discard(event) };
}
