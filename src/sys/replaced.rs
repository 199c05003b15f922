//! A global that may be replaced, and is never freed: no lock that a fork could copy in a bad state.

#![allow(unsafe_code)]

use std::sync::atomic::{AtomicPtr, Ordering::*};

pub(crate) struct Replaced<T: 'static> {
    current: AtomicPtr<T>,
}

impl<T: Send + Sync + 'static> Replaced<T> {
    pub(crate) const fn new() -> Replaced<T> {
        Replaced { current: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// The value, made at the first call.
    pub(crate) fn get_or_init(&'static self, make: impl FnOnce() -> T) -> &'static T {
        let known = self.current.load(Acquire);
        // SAFETY: only `Box::leak`ed values are published, by the Release stores below.
        if let Some(known) = unsafe { known.as_ref() } {
            return known;
        }
        let fresh: &'static T = Box::leak(Box::new(make()));
        let pointer = std::ptr::from_ref(fresh).cast_mut();
        match self.current.compare_exchange(known, pointer, Release, Acquire) {
            Ok(_) => fresh,
            // SAFETY: as above, and it is not null: the exchange failed because of that.
            Err(other) => unsafe { &*other },
        }
    }

    /// Puts a new value in the place of the old one, which those who have it keep.
    pub(crate) fn replace(&'static self, value: T) {
        self.current.store(Box::leak(Box::new(value)), Release);
    }
}
