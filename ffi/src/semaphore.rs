//! Semaphores.

use crate::args::{Out, address, deadline, discard, handle, place};
use crate::fail::{cold, value};
use crate::lock::told;
use crate::region::shmkit_region;
use crate::status::*;
use api::untyped::Permits;
use std::ffi::c_char;

/// A number of permits. Any thread of any process may use it at once; a handle survives fork, what the
/// parent has acquired stays the parent's.
pub struct shmkit_semaphore {
    pub(crate) permits: Permits,
}

/// Makes a semaphore with `initial` permits, and at most `max`; `max` 0: at most 2147483647.
///
/// `region` and `name` as of `shmkit_lock_create()`. Rust opens it as `BoundedSemaphore` if there is a
/// `max`, or else as `Semaphore`.
///
/// Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT (also `initial` above `max`),
/// SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_semaphore_create(
    region: *const shmkit_region,
    name: *const c_char,
    initial: u32,
    max: u32,
    out: *mut *mut shmkit_semaphore,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, place) = unsafe { (Out::at(out)?, place(region, name)?) };
        let permits = Permits::place(place, initial, (max != 0).then_some(max))?;
        out.give(shmkit_semaphore { permits });
        Ok(SHMKIT_OK)
    })
}

/// Opens a semaphore by its name; in `region` if that is not NULL.
///
/// Errors: as of `shmkit_lock_open()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_semaphore_open(
    region: *const shmkit_region,
    name: *const c_char,
    out: *mut *mut shmkit_semaphore,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, at) = unsafe { (Out::at(out)?, address(region, name)?) };
        out.give(shmkit_semaphore { permits: Permits::find(at)? });
        Ok(SHMKIT_OK)
    })
}

/// Acquires a permit, waiting for it at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT, SHMKIT_FOREVER).
///
/// The permit is this process's, of whichever thread: if the process dies, it comes back by itself.
///
/// Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_INVALID_ARGUMENT; only in a forked
/// child SHMKIT_ERR_NO_SPACE and SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_semaphore_acquire(
    semaphore: *mut shmkit_semaphore,
    timeout_ns: i64,
) -> shmkit_status {
    // SAFETY: A1.
    match unsafe { handle(semaphore) } {
        Ok(semaphore) => told(semaphore.permits.take(deadline(timeout_ns))),
        Err(fail) => fail.tell(),
    }
}

/// Gives `n` permits back: those that this process has acquired first; beyond that it adds permits that
/// nobody had. Never blocks.
///
/// Errors: SHMKIT_ERR_OVERFLOW if there would be more than `max`; then nothing has changed.
/// SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_semaphore_release(
    semaphore: *mut shmkit_semaphore,
    n: u32,
) -> shmkit_status {
    // SAFETY: A1.
    match unsafe { handle(semaphore) } {
        Ok(semaphore) => told(semaphore.permits.put_back(n)),
        Err(fail) => fail.tell(),
    }
}

/// Lets go of up to `n` permits that this process has acquired without giving them back: for hand-offs,
/// where another process calls `shmkit_semaphore_release()` for them. The death of this process does
/// not bring them back any more. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_semaphore_forget(
    semaphore: *mut shmkit_semaphore,
    n: u32,
) -> shmkit_status {
    // SAFETY: A1.
    match unsafe { handle(semaphore) } {
        Ok(semaphore) => told(semaphore.permits.hand_off(n)),
        Err(fail) => fail.tell(),
    }
}

/// The permits that are to be had now; 0 for NULL. Stale at once. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_semaphore_value(semaphore: *const shmkit_semaphore) -> u32 {
    // SAFETY: A1.
    value(0, || Ok(unsafe { handle(semaphore) }?.permits.available()))
}

/// Gives the handle up; NULL is fine. Permits that this process has stay its own. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_semaphore_free(semaphore: *mut shmkit_semaphore) {
    // SAFETY: A1.
    unsafe { discard(semaphore) };
}
