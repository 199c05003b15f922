//! A published value under a lock that nests: the body of `RLock`.
//!
//! ```text
//! byte 0           16
//!      lock, depth   cell (one word, or a sequence and two copies)
//! ```
//!
//! - G1. The cell is published only by a thread that is inside the lock.
//! - G2. While a guard lives, its participant and thread are inside the lock, unless this is a forked
//!   child that inherited it; then it does nothing any more.

use super::cell::Cell;
use super::deadline::Deadline;
use super::error::{LockError, OwnerDied};
use super::placed::PlacedCell;
use super::raw::{Acquired, RawLock};
use super::recursive::RecursiveLock;
use crate::error::Result;
use crate::region::id::Liveness;
use crate::region::{Address, Attached, Element, Kind, Object, Pinned, Place, Spec};
use bytemuck::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::thread::panicking;

const CELL: u64 = size_of::<RecursiveLock>() as u64;

/// A handle to a value under a lock that nests.
pub(crate) struct Nested<T> {
    lock: Pinned<RecursiveLock>,
    cell: PlacedCell<T>,
}

impl<T: Pod> Nested<T> {
    pub(crate) fn create(place: Place<'_>, value: T) -> Result<Nested<T>> {
        let bytes = CELL + Cell::<T>::bytes_needed() as u64;
        let spec = Spec {
            kind: Kind::RLock,
            element: Element::of::<T>(),
            len: 1,
            bytes,
            backed: bytes,
            owners: &[RawLock::owner_words(0)],
        };
        let object = Object::create(place, &spec, |object| {
            Self::on(object.clone()).map(|nested| nested.cell.publish(value))
        })?;
        Self::on(object)
    }

    pub(crate) fn open<'a>(at: impl Into<Address<'a>>) -> Result<Nested<T>> {
        Self::on(Object::open(at, Kind::RLock, Element::of::<T>())?)
    }

    pub(crate) fn on(object: Object) -> Result<Nested<T>> {
        let cell = PlacedCell::at(&object, CELL)?;
        Ok(Nested { lock: object.pin(0)?, cell })
    }

    pub(super) fn into_lock(self) -> Pinned<RecursiveLock> {
        self.lock
    }

    pub(crate) fn object(&self) -> &Object {
        self.lock.object()
    }

    #[inline]
    pub(crate) fn lock(
        &self,
        deadline: Deadline,
    ) -> Result<RLockGuard<'_, T>, LockError<RLockGuard<'_, T>>> {
        let who = self.object().attached().map_err(|e| LockError::Os(e.into()))?;
        let guard = || RLockGuard {
            value: self.cell.read(),
            nested: self,
            who,
            panicking_before: panicking(),
            not_send: PhantomData,
        };
        match self.lock.enter(&who, deadline) {
            Ok(Acquired::Clean) => Ok(guard()),
            Ok(Acquired::OwnerDied) => {
                Err(LockError::OwnerDied(OwnerDied::new(guard(), |guard| {
                    if guard.is_ours() {
                        guard.nested.lock.mark_recovered();
                    }
                })))
            }
            Err(failure) => Err(failure.into()),
        }
    }
}

impl<T> Clone for Nested<T> {
    fn clone(&self) -> Nested<T> {
        Nested { lock: self.lock.clone(), cell: self.cell.clone() }
    }
}

/// A held [`RLock`](crate::RLock): read the value through it, and change it by
/// [`set`](RLockGuard::set) and [`update`](RLockGuard::update).
///
/// The lock is free again once all guards of its holder are gone, in whatever order they go.
///
/// Guards nest, so they lend `&T` only: a copy of the value, made when the guard was, or by its own
/// `set` or `update` since. What another guard of the same thread has changed shows in
/// [`get`](RLockGuard::get), and in guards taken afterwards.
///
/// A change is published at once and by one word: whoever dies or panics with a guard leaves the
/// last published value, and the next holder is told.
///
/// ```
/// use shmkit::RLock;
///
/// let log = RLock::new(1u32)?;
/// let outer = log.lock()?;
/// log.lock()?.update(|n| *n += 1); // the same thread, again
/// assert_eq!((*outer, outer.get()), (1, 2));
/// # Ok::<(), shmkit::Error>(())
/// ```
pub struct RLockGuard<'a, T: Pod> {
    value: T,
    nested: &'a Nested<T>,
    who: Attached<'a>,
    /// A panic that began before the guard was made is no reason to distrust what it protects.
    panicking_before: bool,
    not_send: PhantomData<*const ()>,
}

impl<T: Pod> RLockGuard<'_, T> {
    /// The value as it was last published, also by another guard of this thread. Does not block.
    pub fn get(&self) -> T {
        self.nested.cell.read()
    }

    /// Publishes a new value. Does not block; does nothing in a forked child that inherited the
    /// guard.
    pub fn set(&mut self, value: T) {
        if self.is_ours() {
            self.nested.cell.publish(value); // G1
            self.value = value;
        }
    }

    /// Edits a copy of the value as it was last published, and publishes that. If `f` panics, nothing
    /// changes. Does not block, but for what `f` does; in a forked child that inherited the guard the
    /// copy goes nowhere.
    pub fn update<R>(&mut self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut value = self.get();
        let result = f(&mut value);
        self.set(value);
        result
    }

    /// How many guards the holder has, this one included; 0 in a forked child that inherited it.
    pub fn depth(&self) -> u64 {
        if self.is_ours() { self.nested.lock.depth() } else { 0 }
    }

    #[inline(always)]
    fn is_ours(&self) -> bool {
        self.who.is_still_me() // G2
    }
}

impl<T: Pod> Deref for RLockGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Pod> Drop for RLockGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.is_ours() {
            self.nested.lock.leave(self.who.me(), !self.panicking_before && panicking());
        }
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for RLockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
