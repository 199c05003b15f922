//! What others make of the kernel and of the C library: the floor and the peers of the lock benches.

use std::cell::UnsafeCell;
use std::mem::zeroed;
use std::sync::atomic::{AtomicU32, Ordering::*};

use super::crew::{futex, shared};

/// Drepper's three-state mutex, "Futexes Are Tricky": the floor for a lock that can sleep.
#[repr(C, align(128))]
pub struct FutexMutex(AtomicU32);

impl FutexMutex {
    #[inline(always)]
    pub fn lock(&self) {
        if self.0.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
            self.lock_contended();
        }
    }

    #[cold]
    fn lock_contended(&self) {
        while self.0.swap(2, Acquire) != 0 {
            futex(&self.0, libc::FUTEX_WAIT, 2);
        }
    }

    #[inline(always)]
    pub fn unlock(&self) {
        if self.0.swap(0, Release) == 2 {
            futex(&self.0, libc::FUTEX_WAKE, 1);
        }
    }
}

/// A flag that one sets and one other waits for, asleep: the floor of a hand-over.
#[repr(C, align(128))]
pub struct FutexFlag(AtomicU32);

impl FutexFlag {
    pub fn set(&self) {
        self.0.store(1, Release);
        futex(&self.0, libc::FUTEX_WAKE, 1);
    }

    /// Waits until it is set, and clears it.
    pub fn take(&self) {
        while self.0.swap(0, Acquire) == 0 {
            futex(&self.0, libc::FUTEX_WAIT, 0);
        }
    }
}

/// An object of the C library, initialised, in memory that forks share, and never destroyed.
#[derive(Clone, Copy)]
pub struct Shared<T: 'static>(&'static UnsafeCell<T>);

impl<T> Shared<T> {
    fn new(init: impl FnOnce(*mut T) -> libc::c_int) -> Shared<T> {
        // SAFETY: the objects of the C library are plain data.
        let object: &'static UnsafeCell<T> = unsafe { shared() };
        assert_eq!(init(object.get()), 0);
        Shared(object)
    }

    /// Makes a call of the C library with the object.
    #[inline(always)]
    pub fn call(&self, function: unsafe extern "C" fn(*mut T) -> libc::c_int) {
        // SAFETY: the object is initialised, and it was made for use by many at once.
        assert_eq!(unsafe { function(self.0.get()) }, 0);
    }

    pub fn get(&self) -> *mut T {
        self.0.get()
    }
}

/// Runs `init` with the attribute that makes an object usable between processes.
macro_rules! between_processes {
    ($init:path, $attr_init:path, $set_shared:path $(, $set:path = $value:expr)?) => {
        Shared::new(|object| {
            // SAFETY: `object` is zeroed memory that nobody uses yet, at its final address.
            unsafe {
                let mut attr = zeroed();
                assert_eq!($attr_init(&mut attr), 0);
                assert_eq!($set_shared(&mut attr, libc::PTHREAD_PROCESS_SHARED), 0);
                $(assert_eq!($set(&mut attr, $value), 0);)?
                $init(object, &attr)
            }
        })
    };
}

pub fn mutex(robustness: libc::c_int) -> Shared<libc::pthread_mutex_t> {
    between_processes!(
        libc::pthread_mutex_init,
        libc::pthread_mutexattr_init,
        libc::pthread_mutexattr_setpshared,
        libc::pthread_mutexattr_setrobust = robustness
    )
}

pub fn rwlock() -> Shared<libc::pthread_rwlock_t> {
    between_processes!(
        libc::pthread_rwlock_init,
        libc::pthread_rwlockattr_init,
        libc::pthread_rwlockattr_setpshared
    )
}

pub fn condition() -> Shared<libc::pthread_cond_t> {
    between_processes!(
        libc::pthread_cond_init,
        libc::pthread_condattr_init,
        libc::pthread_condattr_setpshared
    )
}

impl Shared<libc::pthread_barrier_t> {
    pub fn pass(&self) {
        // SAFETY: as `call`; one of the parties is told that it was the last.
        let result = unsafe { libc::pthread_barrier_wait(self.get()) };
        assert!(result == 0 || result == libc::PTHREAD_BARRIER_SERIAL_THREAD);
    }
}

pub fn barrier(parties: u32) -> Shared<libc::pthread_barrier_t> {
    Shared::new(|object| {
        // SAFETY: as in `between_processes`.
        unsafe {
            let mut attr = zeroed();
            assert_eq!(libc::pthread_barrierattr_init(&mut attr), 0);
            let shared = libc::PTHREAD_PROCESS_SHARED;
            assert_eq!(libc::pthread_barrierattr_setpshared(&mut attr, shared), 0);
            libc::pthread_barrier_init(object, &attr, parties)
        }
    })
}

pub fn semaphore(permits: u32) -> Shared<libc::sem_t> {
    // SAFETY: as in `between_processes`.
    Shared::new(|object| unsafe { libc::sem_init(object, 1, permits) })
}
