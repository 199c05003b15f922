//! Locks, plain and recursive.

use crate::args::{
    self, Out, SHMKIT_LOCK_RECURSIVE, address, deadline, discard, handle, make, place,
};
use crate::fail::{Answer, Fail, cold, value};
use crate::region::shmkit_region;
use crate::status::*;
use api::Error;
use api::untyped::{Acquired, BareLock, BareRLock};
use std::ffi::c_char;

/// A lock between processes and threads. Any thread of any process may use it at once; a handle
/// survives fork, a held lock does not: the child holds nothing that its parent does.
pub struct shmkit_lock {
    pub(crate) lock: Either,
}

pub(crate) enum Either {
    Plain(BareLock),
    Recursive(BareRLock),
}

/// The status of an acquisition.
#[inline(always)]
pub(crate) fn acquired(how: Acquired) -> shmkit_status {
    match how {
        Acquired::Clean => SHMKIT_OK,
        Acquired::OwnerDied => SHMKIT_OWNER_DIED,
    }
}

/// The status of a call that cannot panic.
#[inline(always)]
pub(crate) fn told(outcome: Result<(), Error>) -> shmkit_status {
    match outcome {
        Ok(()) => SHMKIT_OK,
        Err(why) => Fail::Api(why).tell(),
    }
}

/// Makes a lock, free.
///
/// `region` NULL: the lock gets a region of its own. `name` NULL: nobody finds it, it goes to others by
/// fork; otherwise others find it by `region` and `name`. `flags`: SHMKIT_CREATE_EXCLUSIVE or
/// SHMKIT_CREATE_OR_OPEN; SHMKIT_LOCK_RECURSIVE for one that its holder may take again. Rust opens it
/// as `Lock<()>` or `RLock<()>`.
///
/// Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
/// SHMKIT_ERR_SYSTEM; with SHMKIT_CREATE_OR_OPEN those of `shmkit_lock_open()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_lock_create(
    region: *const shmkit_region,
    name: *const c_char,
    flags: u32,
    out: *mut *mut shmkit_lock,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, place) = unsafe { (Out::at(out)?, place(region, name)?) };
        let flags = args::flags(flags, SHMKIT_LOCK_RECURSIVE)?;
        let lock = match flags & SHMKIT_LOCK_RECURSIVE != 0 {
            false => make(
                place,
                flags,
                |place| Ok(Either::Plain(BareLock::create(place)?)),
                |at| Ok(Either::Plain(BareLock::find(at)?)),
            ),
            true => make(
                place,
                flags,
                |place| Ok(Either::Recursive(BareRLock::create(place)?)),
                |at| Ok(Either::Recursive(BareRLock::find(at)?)),
            ),
        };
        out.give(shmkit_lock { lock: lock? });
        Ok(SHMKIT_OK)
    })
}

/// Opens a lock, plain or recursive, by its name; in `region` if that is not NULL.
///
/// Errors: SHMKIT_ERR_NOT_FOUND, SHMKIT_ERR_TYPE_MISMATCH (another kind of object, or a Rust lock with
/// data in it), SHMKIT_ERR_LAYOUT_VERSION, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_NO_SPACE,
/// SHMKIT_ERR_PERMISSION, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_lock_open(
    region: *const shmkit_region,
    name: *const c_char,
    out: *mut *mut shmkit_lock,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, at) = unsafe { (Out::at(out)?, address(region, name)?) };
        let lock = match BareLock::find(at) {
            Err(Error::TypeMismatch { .. }) => Either::Recursive(BareRLock::find(at)?),
            lock => Either::Plain(lock?),
        };
        out.give(shmkit_lock { lock });
        Ok(SHMKIT_OK)
    })
}

/// Acquires the lock, waiting for it at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT, SHMKIT_FOREVER).
///
/// SHMKIT_OWNER_DIED: the lock is held, and its last holder died, or went on without repairing: see
/// `shmkit_lock_mark_consistent()`. Nobody who waits starves.
///
/// Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_DEADLOCK (this thread holds it, and
/// it is not recursive), SHMKIT_ERR_INVALID_ARGUMENT; only in a forked child SHMKIT_ERR_NO_SPACE and
/// SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_lock_acquire(
    lock: *mut shmkit_lock,
    timeout_ns: i64,
) -> shmkit_status {
    // SAFETY: A1.
    let lock = match unsafe { handle(lock) } {
        Ok(lock) => lock,
        Err(fail) => return fail.tell(),
    };
    let held = match &lock.lock {
        Either::Plain(lock) => lock.acquire(deadline(timeout_ns)),
        Either::Recursive(lock) => lock.acquire(deadline(timeout_ns)),
    };
    match held {
        Ok(how) => acquired(how),
        Err(why) => Fail::Api(why).tell(),
    }
}

/// Gives the lock back; a recursive one once. Only the thread that holds it may. Never blocks.
///
/// A lock that was acquired with SHMKIT_OWNER_DIED and not marked consistent since tells its next
/// holder the same.
///
/// Errors: SHMKIT_ERR_NOT_OWNER (also in a forked child of the holder), SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_lock_release(lock: *mut shmkit_lock) -> shmkit_status {
    // SAFETY: A1.
    let lock = match unsafe { handle(lock) } {
        Ok(lock) => lock,
        Err(fail) => return fail.tell(),
    };
    told(match &lock.lock {
        Either::Plain(lock) => lock.release(),
        Either::Recursive(lock) => lock.release(),
    })
}

/// Declares what the lock protects good, after SHMKIT_OWNER_DIED. Only its holder may. Never blocks.
///
/// Errors: SHMKIT_ERR_NOT_OWNER, SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_lock_mark_consistent(lock: *mut shmkit_lock) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        match &unsafe { handle(lock) }?.lock {
            Either::Plain(lock) => lock.mark_consistent()?,
            Either::Recursive(lock) => lock.mark_consistent()?,
        }
        Ok(SHMKIT_OK)
    })
}

/// The pid of the process that holds the lock, which may be dead; 0 if nobody does, or for NULL. Stale
/// at once. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_lock_owner(lock: *const shmkit_lock) -> i32 {
    value(0, || {
        // SAFETY: A1.
        Ok(match &unsafe { handle(lock) }?.lock {
            Either::Plain(lock) => lock.owner(),
            Either::Recursive(lock) => lock.owner(),
        }
        .cast_signed())
    })
}

/// Gives the handle up; NULL is fine. If this process holds the lock, it keeps it until its last handle
/// to the region is gone; then the next holder is told SHMKIT_OWNER_DIED. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_lock_free(lock: *mut shmkit_lock) {
    // SAFETY: A1.
    unsafe { discard(lock) };
}

/// The plain lock behind a handle, for a condition.
pub(crate) fn plain(lock: &shmkit_lock) -> Answer<&BareLock> {
    match &lock.lock {
        Either::Plain(lock) => Ok(lock),
        Either::Recursive(_) => Err(Fail::Said(
            SHMKIT_ERR_UNSUPPORTED,
            "a condition waits with a lock that is not recursive",
        )),
    }
}
