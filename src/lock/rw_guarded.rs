//! A published value for many readers or one writer: the body of `RwLock`.
//!
//! ```text
//! byte 0                        128      next line
//!      lock, drained, freed     cell     records, one for each participant of the region
//! ```
//!
//! - G1. The cell is published only by a writer inside. It edits a private copy, so that its death
//!   leaves the last published value.
//! - G2. While a read guard lives, the record of its participant counts it, unless this is a forked
//!   child that inherited the guard; then it does nothing any more.

use super::cell::Cell;
use super::deadline::Deadline;
use super::error::{LockError, OwnerDied};
use super::hold::Hold;
use super::inside;
use super::placed::PlacedCell;
use super::raw::{Acquired, RawLock};
use super::records::Records;
use super::rw::{RawRwLock, Readers, RwWords};
use super::spin::Spin;
use crate::error::Result;
use crate::region::id::Liveness;
use crate::region::{Address, Attached, Element, Kind, Object, Pinned, PinnedSlice, Place, Spec};
use bytemuck::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

const CELL: u64 = 128;

/// A handle to a value for many readers or one writer.
pub(crate) struct RwGuarded<T> {
    /// The first of `words`.
    lock: Pinned<RawLock>,
    words: Pinned<RwWords>,
    records: PinnedSlice<Readers>,
    cell: PlacedCell<T>,
    /// What tells this lock from others in this process.
    identity: inside::Place,
    /// Of this handle's waits to read, and to write.
    spins: [Spin; 2],
}

impl<T: Pod> RwGuarded<T> {
    fn records_at() -> u64 {
        CELL + (Cell::<T>::bytes_needed() as u64).next_multiple_of(128)
    }

    pub(crate) fn create(place: Place<'_>, value: T) -> Result<RwGuarded<T>> {
        let participants = place.participants();
        let records = Self::records_at();
        let count = Records::<Readers>::needed(participants);
        let bytes = records + (count * size_of::<Readers>()) as u64;
        let spec = Spec {
            kind: Kind::RwLock,
            element: Element::of::<T>(),
            len: 1,
            bytes,
            backed: bytes,
            owners: &[
                RawLock::owner_words(0),
                Records::<Readers>::owner_words(records, participants),
            ],
        };
        let object = Object::create(place, &spec, |object| {
            Self::on(object.clone()).map(|guarded| guarded.cell.publish(value))
        })?;
        Self::on(object)
    }

    pub(crate) fn open<'a>(at: impl Into<Address<'a>>) -> Result<RwGuarded<T>> {
        Self::on(Object::open(at, Kind::RwLock, Element::of::<T>())?)
    }

    pub(crate) fn on(object: Object) -> Result<RwGuarded<T>> {
        let cell = PlacedCell::at(&object, CELL)?;
        let count = Records::<Readers>::needed(object.participants());
        let records = object.pin_slice(Self::records_at(), count)?;
        let (lock, words) = (object.pin(0)?, object.pin(0)?);
        let identity = object.identity();
        Ok(RwGuarded { lock, words, records, cell, identity, spins: [Spin::new(), Spin::new()] })
    }

    #[inline]
    pub(crate) fn read(
        &self,
        deadline: Deadline,
    ) -> Result<RwLockReadGuard<'_, T>, LockError<RwLockReadGuard<'_, T>>> {
        let who = self.object().attached().map_err(|e| LockError::Os(e.into()))?;
        let (raw, me) = (self.raw(), who.me());
        let acquired = if inside::has(self.identity, me) && raw.is_inside(me) {
            Ok(raw.read_again(me))
        } else {
            raw.read(&who, &self.spins[0], deadline)
        };
        let guard = || {
            inside::note(self.identity, me);
            let seat = Seat { raw, identity: self.identity, who, not_send: PhantomData };
            RwLockReadGuard { value: self.cell.read(), seat }
        };
        match acquired {
            Ok(Acquired::Clean) => Ok(guard()),
            // A reader has nothing to repair.
            Ok(Acquired::OwnerDied) => Err(LockError::OwnerDied(OwnerDied::new(guard(), |_| ()))),
            Err(failure) => Err(failure.into()),
        }
    }

    #[inline]
    pub(crate) fn write(
        &self,
        deadline: Deadline,
    ) -> Result<RwLockWriteGuard<'_, T>, LockError<RwLockWriteGuard<'_, T>>> {
        let who = self.object().attached().map_err(|e| LockError::Os(e.into()))?;
        let raw = self.raw();
        if inside::has(self.identity, who.me()) && raw.is_inside(who.me()) {
            return Err(LockError::WouldDeadlock);
        }
        let acquired = Hold::acquire(
            &self.lock,
            deadline,
            |hold| RwLockWriteGuard {
                value: self.cell.read(),
                cell: &self.cell,
                edited: false,
                hold,
                _readmit: Readmit(raw),
            },
            |guard| guard.hold.recover(),
        );
        if let Ok(_) | Err(LockError::OwnerDied(_)) = acquired {
            // On failure the guard goes unused, and lets readers in again.
            raw.drain(&who, &self.spins[1], deadline)?;
        }
        acquired
    }
}

impl<T> RwGuarded<T> {
    pub(crate) fn object(&self) -> &Object {
        self.lock.object()
    }

    #[inline(always)]
    fn raw(&self) -> RawRwLock<'_> {
        RawRwLock::new(&self.words, Records::new(&self.records))
    }
}

impl<T> Clone for RwGuarded<T> {
    fn clone(&self) -> RwGuarded<T> {
        RwGuarded {
            lock: self.lock.clone(),
            words: self.words.clone(),
            records: self.records.clone(),
            cell: self.cell.clone(),
            identity: self.identity,
            spins: [Spin::new(), Spin::new()],
        }
    }
}

/// The place of a reader inside; given up on drop.
struct Seat<'a> {
    raw: RawRwLock<'a>,
    identity: inside::Place,
    who: Attached<'a>,
    /// The list of read holds is the thread's.
    not_send: PhantomData<*const ()>,
}

impl Drop for Seat<'_> {
    #[inline]
    fn drop(&mut self) {
        inside::strike(self.identity, self.who.me());
        // G2
        if self.who.is_still_me() {
            self.raw.leave(self.who.me());
        }
    }
}

/// A [`RwLock`](crate::RwLock) held for reading: the value, which nobody changes meanwhile; released
/// on drop.
pub struct RwLockReadGuard<'a, T: Pod> {
    value: T,
    #[allow(dead_code, reason = "held for its drop")]
    seat: Seat<'a>,
}

impl<T: Pod> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// A [`RwLock`](crate::RwLock) held for writing: read and edit the value through it; its drop
/// publishes the edit and releases.
///
/// The edit is made on a private copy and becomes visible by one word: whoever dies with a guard
/// leaves the value as it was. A panic while the guard is held counts as such a death.
pub struct RwLockWriteGuard<'a, T: Pod> {
    value: T,
    cell: &'a Cell<T>,
    edited: bool,
    hold: Hold<'a>,
    /// After `hold`, whose drop frees the lock.
    _readmit: Readmit<'a>,
}

/// Lets readers in again on drop.
pub(super) struct Readmit<'a>(pub(super) RawRwLock<'a>);

impl Drop for Readmit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.readmit();
    }
}

impl<T: Pod> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Pod> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        self.edited = true;
        &mut self.value
    }
}

impl<T: Pod> Drop for RwLockWriteGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if size_of::<T>() != 0 && self.edited && self.hold.is_good() {
            self.cell.publish(self.value); // G1
        }
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
