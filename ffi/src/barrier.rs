//! Barriers.

use crate::args::{Out, address, discard, handle, place};
use crate::fail::{Fail, cold, value};
use crate::region::shmkit_region;
use crate::status::*;
use api::{Barrier, BrokenBarrier};
use std::ffi::c_char;
use std::time::Duration;

/// A place where a number of threads of any processes meet. Any thread of any process may use it at
/// once; a handle survives fork.
pub struct shmkit_barrier {
    pub(crate) barrier: Barrier,
}

/// Makes a barrier for `parties`, 1 to 65535. `region` and `name` as of `shmkit_lock_create()`.
///
/// Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
/// SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_barrier_create(
    region: *const shmkit_region,
    name: *const c_char,
    parties: u32,
    out: *mut *mut shmkit_barrier,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, place) = unsafe { (Out::at(out)?, place(region, name)?) };
        out.give(shmkit_barrier { barrier: Barrier::place(place, parties)? });
        Ok(SHMKIT_OK)
    })
}

/// Opens a barrier by its name; in `region` if that is not NULL.
///
/// Errors: as of `shmkit_lock_open()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_barrier_open(
    region: *const shmkit_region,
    name: *const c_char,
    out: *mut *mut shmkit_barrier,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, at) = unsafe { (Out::at(out)?, address(region, name)?) };
        out.give(shmkit_barrier { barrier: Barrier::find(at)? });
        Ok(SHMKIT_OK)
    })
}

/// Waits until as many have come as the barrier has parties, at most `timeout_ns` nanoseconds
/// (SHMKIT_NO_WAIT, SHMKIT_FOREVER), and sets `*index` to this one's number in the order of arrival,
/// from 0. `index` may be NULL.
///
/// Who gives up after its time breaks the barrier for all, and is told SHMKIT_ERR_TIMED_OUT; the others
/// are told SHMKIT_ERR_BROKEN, as after an abort, and after the death of a process that has a handle.
/// A broken barrier stays so until `shmkit_barrier_reset()`.
///
/// Errors: SHMKIT_ERR_BROKEN, SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_PEER_DIED (a party has died),
/// SHMKIT_ERR_INVALID_ARGUMENT; only in a forked child SHMKIT_ERR_NO_SPACE and SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_barrier_wait(
    barrier: *mut shmkit_barrier,
    timeout_ns: i64,
    index: *mut u32,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let barrier = &unsafe { handle(barrier) }?.barrier;
        // SAFETY: A1.
        let index = (!index.is_null()).then(|| unsafe { Out::at(index) }).transpose()?;
        let met = match u64::try_from(timeout_ns) {
            Ok(ns) => barrier.wait_timeout(Duration::from_nanos(ns)),
            Err(_) => barrier.wait(),
        };
        match met {
            Ok(number) => {
                if let Some(index) = index {
                    index.set(number);
                }
                Ok(SHMKIT_OK)
            }
            Err(BrokenBarrier::Timeout) => Err(Fail::Status(SHMKIT_ERR_TIMED_OUT)),
            Err(BrokenBarrier::PartyDied) => Err(Fail::Status(SHMKIT_ERR_PEER_DIED)),
            Err(other) => Err(other.into()),
        }
    })
}

/// Makes a broken barrier whole again; those who wait are told SHMKIT_ERR_BROKEN. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_barrier_reset(barrier: *mut shmkit_barrier) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(barrier) }?.barrier.reset();
        Ok(SHMKIT_OK)
    })
}

/// Breaks the barrier: those who wait and those who come are told SHMKIT_ERR_BROKEN. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_barrier_abort(barrier: *mut shmkit_barrier) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(barrier) }?.barrier.abort();
        Ok(SHMKIT_OK)
    })
}

/// How many have to come; 0 for NULL. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_barrier_parties(barrier: *const shmkit_barrier) -> u32 {
    // SAFETY: A1.
    value(0, || Ok(unsafe { handle(barrier) }?.barrier.parties()))
}

/// How many wait now; 0 if the barrier is broken, or for NULL. Stale at once. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_barrier_waiting(barrier: *const shmkit_barrier) -> u32 {
    // SAFETY: A1.
    value(0, || Ok(unsafe { handle(barrier) }?.barrier.waiting()))
}

/// Whether the barrier is broken; false for NULL. Stale at once. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_barrier_is_broken(barrier: *const shmkit_barrier) -> bool {
    // SAFETY: A1.
    value(false, || Ok(unsafe { handle(barrier) }?.barrier.is_broken()))
}

/// Gives the handle up; NULL is fine. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_barrier_free(barrier: *mut shmkit_barrier) {
    // SAFETY: A1.
    unsafe { discard(barrier) };
}
