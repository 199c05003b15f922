//! A global that belongs to one process: a forked child finds a fresh one.
//!
//! - G1. A value that was published is never freed, so `&'static` to it stays valid. A forked child
//!   leaks its parent's: it may have been copied in the middle of a change, and locked.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicPtr, Ordering::*};

pub(crate) struct PerProcess<T: 'static> {
    current: AtomicPtr<Owned<T>>,
    make: fn() -> T,
}

struct Owned<T> {
    pid: u32,
    value: T,
}

impl<T: Send + Sync + 'static> PerProcess<T> {
    pub(crate) const fn new(make: fn() -> T) -> PerProcess<T> {
        PerProcess { current: AtomicPtr::new(std::ptr::null_mut()), make }
    }

    /// The value of this process, made at the first call. Enters the kernel (`getpid`).
    pub(crate) fn get(&'static self) -> &'static T {
        let pid = std::process::id();
        let mut known = self.current.load(Acquire);
        // SAFETY: G1; publish: a value is complete before the Release below.
        while unsafe { known.as_ref() }.is_none_or(|owned| owned.pid != pid) {
            let fresh = Box::into_raw(Box::new(Owned { pid, value: (self.make)() }));
            // publish: Release; the Acquire here and above are its partners.
            match self.current.compare_exchange(known, fresh, AcqRel, Acquire) {
                Ok(_) => known = fresh,
                Err(other) => {
                    // SAFETY: `fresh` came from a box and was not published.
                    drop(unsafe { Box::from_raw(fresh) });
                    known = other;
                }
            }
        }
        // SAFETY: the loop ends with a published value only; G1.
        &unsafe { &*known }.value
    }
}
