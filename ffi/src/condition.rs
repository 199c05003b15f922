//! Conditions.

use crate::args::{Out, address, deadline, discard, handle, place};
use crate::fail::cold;
use crate::lock::{acquired, plain, shmkit_lock};
use crate::region::shmkit_region;
use crate::status::*;
use api::Condition;
use api::untyped::Acquired;
use std::ffi::c_char;

/// Where threads of any process wait for what a lock protects to change. Any thread of any process may
/// use it at once; a handle survives fork.
pub struct shmkit_condition {
    pub(crate) condition: Condition,
}

/// Makes a condition. `region` and `name` as of `shmkit_lock_create()`.
///
/// Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
/// SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_condition_create(
    region: *const shmkit_region,
    name: *const c_char,
    out: *mut *mut shmkit_condition,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, place) = unsafe { (Out::at(out)?, place(region, name)?) };
        out.give(shmkit_condition { condition: Condition::place(place)? });
        Ok(SHMKIT_OK)
    })
}

/// Opens a condition by its name; in `region` if that is not NULL.
///
/// Errors: as of `shmkit_lock_open()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_condition_open(
    region: *const shmkit_region,
    name: *const c_char,
    out: *mut *mut shmkit_condition,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, at) = unsafe { (Out::at(out)?, address(region, name)?) };
        out.give(shmkit_condition { condition: Condition::find(at)? });
        Ok(SHMKIT_OK)
    })
}

/// Gives the lock back, waits until notified, at most `timeout_ns` nanoseconds, and acquires the lock
/// again, however long that takes. The caller holds the lock, which is not recursive.
///
/// The lock is held after SHMKIT_OK, SHMKIT_OWNER_DIED (another holder died meanwhile; notified or not),
/// SHMKIT_ERR_TIMED_OUT and SHMKIT_ERR_WOULD_BLOCK (SHMKIT_NO_WAIT). Look at the state again in any
/// case.
///
/// Errors: SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_NOT_OWNER, SHMKIT_ERR_UNSUPPORTED (a
/// recursive lock), SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_condition_wait(
    condition: *mut shmkit_condition,
    lock: *mut shmkit_lock,
    timeout_ns: i64,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (condition, lock) = unsafe { (handle(condition)?, handle(lock)?) };
        let (how, notified) = condition.condition.wait_bare(plain(lock)?, deadline(timeout_ns))?;
        Ok(match how {
            Acquired::Clean if !notified && timeout_ns == 0 => SHMKIT_ERR_WOULD_BLOCK,
            Acquired::Clean if !notified => SHMKIT_ERR_TIMED_OUT,
            how => acquired(how),
        })
    })
}

/// Wakes up to `n` of those who wait now, those who came first. Need not hold the lock. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_condition_notify(
    condition: *mut shmkit_condition,
    n: u32,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(condition) }?.condition.notify(n);
        Ok(SHMKIT_OK)
    })
}

/// Wakes all who wait now. Need not hold the lock. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_condition_notify_all(
    condition: *mut shmkit_condition,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(condition) }?.condition.notify_all();
        Ok(SHMKIT_OK)
    })
}

/// Gives the handle up; NULL is fine. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_condition_free(condition: *mut shmkit_condition) {
    // SAFETY: A1.
    unsafe { discard(condition) };
}
