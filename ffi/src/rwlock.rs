//! Locks for many readers or one writer.

use crate::args::{self, Out, address, handle, make, place, take};
use crate::fail::{Answer, Fail, cold, value};
use crate::region::shmkit_region;
use crate::status::*;
use api::{LockError, OwnerDied, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::ffi::c_char;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

/// A lock for many readers or one writer. Any thread of any process may use it at once; a handle survives
/// fork, what is held does not. Rust has it as `RwLock<()>`.
pub struct shmkit_rwlock {
    /// What threads of this process hold by this handle, the latest last. Dropped before the lock.
    held: Mutex<Vec<Held>>,
    lock: RwLock<()>,
}

struct Held {
    thread: ThreadId,
    pid: u32,
    guard: Guard,
}

#[allow(dead_code, reason = "held for their drops")]
enum Guard {
    Read(RwLockReadGuard<'static, ()>),
    ReadAfterDeath(OwnerDied<RwLockReadGuard<'static, ()>>),
    Write(RwLockWriteGuard<'static, ()>),
    WriteAfterDeath(OwnerDied<RwLockWriteGuard<'static, ()>>),
}

// SAFETY: a guard is dropped by the thread that has taken it, as `take_last` sees to; the table of a handle
// that is freed is leaked where others' guards are in it.
unsafe impl Send for Held {}

impl shmkit_rwlock {
    fn new(lock: RwLock<()>) -> shmkit_rwlock {
        shmkit_rwlock { held: Mutex::new(Vec::new()), lock }
    }

    fn held(&self) -> MutexGuard<'_, Vec<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock for as long as its guards last.
    fn lasting(&self) -> &'static RwLock<()> {
        // SAFETY: guards are gone, or leaked with the handle, before the lock is dropped; a handle does not
        // move.
        unsafe { &*std::ptr::from_ref(&self.lock) }
    }

    fn keep(&self, guard: Guard) {
        let (thread, pid) = (std::thread::current().id(), std::process::id());
        self.held().push(Held { thread, pid, guard });
    }

    /// What this thread has acquired last.
    fn take_last(&self) -> Answer<Guard> {
        let (thread, pid) = (std::thread::current().id(), std::process::id());
        let mut held = self.held();
        let last = held.iter().rposition(|one| one.thread == thread && one.pid == pid);
        Ok(held.remove(last.ok_or(api::Error::NotOwner)?).guard)
    }
}

/// Makes a lock for many readers or one writer. `region`, `name` and `flags` as of `shmkit_lock_create()`.
///
/// Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
/// SHMKIT_ERR_SYSTEM; with SHMKIT_CREATE_OR_OPEN those of `shmkit_rwlock_open()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_rwlock_create(
    region: *const shmkit_region,
    name: *const c_char,
    flags: u32,
    out: *mut *mut shmkit_rwlock,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, place) = unsafe { (Out::at(out)?, place(region, name)?) };
        let flags = args::flags(flags, 0)?;
        let (create, open) = (|place| Ok(RwLock::place(place, ())?), |at| Ok(RwLock::find(at)?));
        out.give(shmkit_rwlock::new(make(place, flags, create, open)?));
        Ok(SHMKIT_OK)
    })
}

/// Opens such a lock by its name; in `region` if that is not NULL.
///
/// Errors: as of `shmkit_lock_open()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_rwlock_open(
    region: *const shmkit_region,
    name: *const c_char,
    out: *mut *mut shmkit_rwlock,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, at) = unsafe { (Out::at(out)?, address(region, name)?) };
        out.give(shmkit_rwlock::new(RwLock::find(at)?));
        Ok(SHMKIT_OK)
    })
}

/// The status of an attempt, after what came of it was kept.
fn settle<G>(
    lock: &shmkit_rwlock,
    outcome: Result<G, LockError<G>>,
    clean: fn(G) -> Guard,
    died: fn(OwnerDied<G>) -> Guard,
) -> Answer<shmkit_status> {
    match outcome {
        Ok(guard) => {
            lock.keep(clean(guard));
            Ok(SHMKIT_OK)
        }
        Err(LockError::OwnerDied(guard)) => {
            lock.keep(died(guard));
            Ok(SHMKIT_OWNER_DIED)
        }
        Err(other) => Err(Fail::Api(other.into())),
    }
}

/// Acquires the lock to read, with others who do, waiting at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT,
/// SHMKIT_FOREVER). A thread that reads may do so again.
///
/// SHMKIT_OWNER_DIED: it is held, and the last writer died: see `shmkit_rwlock_mark_consistent()`.
///
/// Errors: as of `shmkit_lock_acquire()`; SHMKIT_ERR_DEADLOCK if this thread writes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_rwlock_read(
    rwlock: *mut shmkit_rwlock,
    timeout_ns: i64,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let rwlock = unsafe { handle(rwlock) }?;
        let lock = rwlock.lasting();
        let outcome = match u64::try_from(timeout_ns) {
            Ok(ns) => lock.read_timeout(Duration::from_nanos(ns)),
            Err(_) => lock.read(),
        };
        settle(rwlock, outcome, Guard::Read, Guard::ReadAfterDeath)
    })
}

/// Acquires the lock to write, alone, waiting at most `timeout_ns` nanoseconds.
///
/// SHMKIT_OWNER_DIED: it is held, and the last writer died: see `shmkit_rwlock_mark_consistent()`.
///
/// Errors: as of `shmkit_lock_acquire()`; SHMKIT_ERR_DEADLOCK if this thread reads or writes.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_rwlock_write(
    rwlock: *mut shmkit_rwlock,
    timeout_ns: i64,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let rwlock = unsafe { handle(rwlock) }?;
        let lock = rwlock.lasting();
        let outcome = match u64::try_from(timeout_ns) {
            Ok(ns) => lock.write_timeout(Duration::from_nanos(ns)),
            Err(_) => lock.write(),
        };
        settle(rwlock, outcome, Guard::Write, Guard::WriteAfterDeath)
    })
}

/// Gives back what this thread has acquired last by this handle. Never blocks.
///
/// Errors: SHMKIT_ERR_NOT_OWNER, SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_rwlock_release(rwlock: *mut shmkit_rwlock) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        drop(unsafe { handle(rwlock) }?.take_last()?);
        Ok(SHMKIT_OK)
    })
}

/// Declares what the lock protects good, after SHMKIT_OWNER_DIED. That of one who writes is for all; one who
/// reads declares it for itself. Never blocks.
///
/// Errors: SHMKIT_ERR_NOT_OWNER, SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_rwlock_mark_consistent(
    rwlock: *mut shmkit_rwlock,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let rwlock = unsafe { handle(rwlock) }?;
        rwlock.keep(match rwlock.take_last()? {
            Guard::ReadAfterDeath(died) => Guard::Read(died.recover()),
            Guard::WriteAfterDeath(died) => Guard::Write(died.recover()),
            clean => clean,
        });
        Ok(SHMKIT_OK)
    })
}

/// Gives the handle up; NULL is fine. What this thread holds by it is given back; what other threads hold stays
/// held as long as this process has a handle to the region. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rwlock_free(rwlock: *mut shmkit_rwlock) {
    value((), || {
        // SAFETY: A1.
        let Ok(live) = (unsafe { handle(rwlock) }) else { return Ok(()) };
        while live.take_last().is_ok() {}
        if live.held().is_empty() {
            // SAFETY: A1, and no guard refers to the lock any more.
            drop(unsafe { take(rwlock) });
        }
        Ok(())
    });
}
