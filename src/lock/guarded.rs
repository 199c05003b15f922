//! A published value under a robust lock: the body of `Lock`, of `Value` and of `RawValue`.
//!
//! ```text
//! byte 0      8
//!      lock   cell (one word, or a sequence and two copies)
//! ```
//!
//! Lock and value share a line where they can: who takes the lock wants the value next.
//!
//! - G1. The cell is published only while the lock is held, or by one atomic operation on a value
//!   of one word. A holder edits a private copy, so that a death leaves the last published value.

use super::cell::Cell;
use super::deadline::Deadline;
use super::error::LockError;
use super::hold::Hold;
use super::placed::PlacedCell;
use super::raw::RawLock;
use crate::error::Result;
use crate::region::{Address, Element, Kind, Object, Pinned, Place, Spec};
use bytemuck::Pod;
use std::fmt;
use std::ops::{Deref, DerefMut};

const CELL: u64 = 8;

/// A handle to a value under a lock.
pub(crate) struct Guarded<T> {
    lock: Pinned<RawLock>,
    cell: PlacedCell<T>,
}

impl<T: Pod> Guarded<T> {
    pub(crate) fn create(place: Place<'_>, kind: Kind, value: T) -> Result<Guarded<T>> {
        let bytes = CELL + Cell::<T>::bytes_needed() as u64;
        let spec = Spec {
            kind,
            element: Element::of::<T>(),
            len: 1,
            bytes,
            backed: bytes,
            owners: &[RawLock::owner_words(0)],
        };
        let object = Object::create(place, &spec, |object| {
            Self::on(object.clone()).map(|guarded| guarded.cell.publish(value))
        })?;
        Self::on(object)
    }

    pub(crate) fn open<'a>(at: impl Into<Address<'a>>, kind: Kind) -> Result<Guarded<T>> {
        Self::on(Object::open(at, kind, Element::of::<T>())?)
    }

    pub(crate) fn on(object: Object) -> Result<Guarded<T>> {
        let cell = PlacedCell::at(&object, CELL)?;
        Ok(Guarded { lock: object.pin(0)?, cell })
    }

    pub(super) fn into_lock(self) -> Pinned<RawLock> {
        self.lock
    }

    pub(crate) fn object(&self) -> &Object {
        self.lock.object()
    }

    /// The value by itself, without the lock.
    #[inline(always)]
    pub(crate) fn cell(&self) -> &Cell<T> {
        &self.cell
    }

    /// Publishes a value, one writer at a time: values of one word need no more than their store,
    /// and for larger ones the lock is held just as long. There is nothing that a death there could
    /// leave to repair, so it is not told.
    #[inline]
    pub(crate) fn publish(&self, value: T) -> Result<(), LockError<()>> {
        if Cell::<T>::WORDS < 2 {
            self.cell.publish(value); // G1
            return Ok(());
        }
        let repair = |hold: &mut Hold<'_>| hold.recover();
        let _hold = match Hold::acquire(&self.lock, Deadline::Never, |hold| hold, repair) {
            Ok(hold) => hold,
            Err(LockError::OwnerDied(died)) => died.recover(),
            Err(other) => return Err(other.without_guard()),
        };
        self.cell.publish(value); // G1
        Ok(())
    }

    #[inline]
    pub(crate) fn lock(
        &self,
        deadline: Deadline,
    ) -> Result<LockGuard<'_, T>, LockError<LockGuard<'_, T>>> {
        LockGuard::acquire(&self.lock, &self.cell, deadline)
    }
}

impl<T> Clone for Guarded<T> {
    fn clone(&self) -> Guarded<T> {
        Guarded { lock: self.lock.clone(), cell: self.cell.clone() }
    }
}

/// A held [`Lock`](crate::Lock), or a held [`Value`](crate::Value): read and edit the value through
/// it; its drop publishes the edit and releases.
///
/// The edit is made on a private copy and becomes visible by one word: whoever dies with a guard
/// leaves the value as it was. A panic while the guard is held counts as such a death.
///
/// A guard that is forgotten ([`std::mem::forget`]) publishes nothing and keeps the lock as long as
/// this process has a handle to its region. Once the last one is dropped, or the process has ended,
/// the next owner gets the lock as after a death.
pub struct LockGuard<'a, T: Pod> {
    value: T,
    cell: &'a Cell<T>,
    edited: bool,
    hold: Hold<'a>,
}

impl<'a, T: Pod> LockGuard<'a, T> {
    #[inline]
    fn acquire(
        lock: &'a Pinned<RawLock>,
        cell: &'a Cell<T>,
        deadline: Deadline,
    ) -> Result<LockGuard<'a, T>, LockError<LockGuard<'a, T>>> {
        Hold::acquire(
            lock,
            deadline,
            |hold| LockGuard { value: cell.read(), cell, edited: false, hold },
            LockGuard::recover,
        )
    }

    /// Publishes the edit and releases the lock, runs `meanwhile`, and acquires the lock again,
    /// however long that takes.
    pub(crate) fn set_free_while<R>(
        self,
        meanwhile: impl FnOnce() -> R,
    ) -> (Result<LockGuard<'a, T>, LockError<LockGuard<'a, T>>>, R) {
        let (lock, cell) = (self.hold.lock(), self.cell);
        drop(self);
        let done = meanwhile();
        (LockGuard::acquire(lock, cell, Deadline::Never), done)
    }

    /// Whether this is a guard of this process, and not inherited by a fork.
    pub(crate) fn is_held(&self) -> bool {
        self.hold.is_ours()
    }

    /// Declares the value good.
    pub(crate) fn recover(&mut self) {
        self.hold.recover();
    }
}

impl<T: Pod> Deref for LockGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Pod> DerefMut for LockGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        self.edited = true;
        &mut self.value
    }
}

impl<T: Pod> Drop for LockGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if size_of::<T>() != 0 && self.edited && self.hold.is_good() {
            self.cell.publish(self.value); // G1
        }
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for LockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
