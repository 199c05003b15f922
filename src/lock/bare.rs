//! Locks that are taken and given back by calls, where no guard can pair them: for other languages.
//!
//! The same words as those of `Lock<()>` and `RLock<()>`, so that both may use one lock. Who gives
//! back what this thread does not hold is told so, and nothing happens.
//!
//! Death: as of a `Lock`. A forked child holds nothing that its parent does.

use super::deadline::Deadline;
use super::guarded::Guarded;
use super::nested::Nested;
use super::raw::{Acquired, LockFailure, RawLock, Release, owned_by};
use super::recursive::RecursiveLock;
use crate::error::{Error, Result};
use crate::region::id::Liveness;
use crate::region::{Address, Attached, Kind, Object, Pinned, Place};

/// A `Lock<()>` without guards.
pub struct BareLock {
    lock: Pinned<RawLock>,
}

impl BareLock {
    /// Makes a free lock.
    pub fn create(place: Place<'_>) -> Result<BareLock> {
        Ok(BareLock::of(Guarded::create(place, Kind::Lock, ())?.into_lock()))
    }

    /// The lock at this address.
    pub fn find(at: Address<'_>) -> Result<BareLock> {
        Ok(BareLock::of(Guarded::<()>::open(at, Kind::Lock)?.into_lock()))
    }

    #[cfg(feature = "serde")]
    pub(super) fn on(object: Object) -> Result<BareLock> {
        Ok(BareLock::of(Guarded::<()>::on(object)?.into_lock()))
    }

    pub(super) fn of(lock: Pinned<RawLock>) -> BareLock {
        BareLock { lock }
    }

    pub(super) fn object(&self) -> &Object {
        self.lock.object()
    }

    /// Acquires the lock, waiting until `deadline`; it is held also after `OwnerDied`.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`], [`Error::Timeout`], [`Error::WouldDeadlock`]; [`Error::Os`] and
    /// [`Error::TooManyParticipants`] only in a forked child.
    #[inline]
    pub fn acquire(&self, deadline: Deadline) -> Result<Acquired> {
        let who = self.object().attached()?;
        match self.lock.claim(owned_by(who.me())) {
            true => Ok(Acquired::Clean),
            false => self.contended(&{ who }, deadline),
        }
    }

    #[cold]
    fn contended(&self, who: &Attached<'_>, deadline: Deadline) -> Result<Acquired> {
        Ok(self.lock.lock_contended(who, deadline)?)
    }

    /// Gives the lock back, in the state in which it was acquired unless it was marked since.
    ///
    /// # Errors
    ///
    /// [`Error::NotOwner`] if this thread does not hold it.
    #[inline]
    pub fn release(&self) -> Result<()> {
        let who = self.object().attached()?;
        match self.lock.release(owned_by(who.me())) {
            true => Ok(()),
            false => self.release_flagged(&{ who }),
        }
    }

    #[cold]
    fn release_flagged(&self, who: &Attached<'_>) -> Result<()> {
        if !self.lock.is_held(who) {
            return Err(Error::NotOwner);
        }
        self.lock.release_flagged(who.me(), Release::Clean);
        Ok(())
    }

    /// Declares what the lock protects good.
    ///
    /// # Errors
    ///
    /// [`Error::NotOwner`] if this thread does not hold it.
    pub fn mark_consistent(&self) -> Result<()> {
        if !self.is_held()? {
            return Err(Error::NotOwner);
        }
        self.lock.mark_recovered();
        Ok(())
    }

    /// Whether this thread holds the lock.
    pub fn is_held(&self) -> Result<bool> {
        Ok(self.lock.is_held(&self.object().attached()?))
    }

    /// The process that holds the lock, alive or dead; 0 if nobody does. Stale at once.
    pub fn owner(&self) -> u32 {
        self.lock.owner().map_or(0, |owner| self.object().mapping().table().pid_of(owner))
    }
}

/// An `RLock<()>` without guards.
pub struct BareRLock {
    lock: Pinned<RecursiveLock>,
}

impl BareRLock {
    /// Makes a free lock.
    pub fn create(place: Place<'_>) -> Result<BareRLock> {
        Ok(BareRLock { lock: Nested::create(place, ())?.into_lock() })
    }

    /// The lock at this address.
    pub fn find(at: Address<'_>) -> Result<BareRLock> {
        Ok(BareRLock { lock: Nested::<()>::open(at)?.into_lock() })
    }

    #[cfg(feature = "serde")]
    pub(super) fn on(object: Object) -> Result<BareRLock> {
        Ok(BareRLock { lock: Nested::<()>::on(object)?.into_lock() })
    }

    #[cfg(feature = "serde")]
    pub(super) fn object(&self) -> &Object {
        self.lock.object()
    }

    /// Acquires the lock once, or once more.
    ///
    /// # Errors
    ///
    /// As [`BareLock::acquire`], but never [`Error::WouldDeadlock`].
    #[inline]
    pub fn acquire(&self, deadline: Deadline) -> Result<Acquired> {
        let who = self.lock.object().attached()?;
        Ok(self.lock.enter(&who, deadline)?)
    }

    /// Gives the lock back once.
    ///
    /// # Errors
    ///
    /// [`Error::NotOwner`] if this thread does not hold it.
    #[inline]
    pub fn release(&self) -> Result<()> {
        self.owned()?;
        let who = self.lock.object().attached()?;
        self.lock.leave(who.me(), false);
        Ok(())
    }

    /// Declares what the lock protects good.
    ///
    /// # Errors
    ///
    /// [`Error::NotOwner`] if this thread does not hold it.
    pub fn mark_consistent(&self) -> Result<()> {
        self.owned()?;
        self.lock.mark_recovered();
        Ok(())
    }

    /// How often this thread holds the lock.
    pub fn depth(&self) -> Result<u64> {
        let who = self.lock.object().attached()?;
        Ok(if self.lock.is_held(&who) { self.lock.depth() } else { 0 })
    }

    /// The process that holds the lock, alive or dead; 0 if nobody does. Stale at once.
    pub fn owner(&self) -> u32 {
        let object = self.lock.object();
        self.lock.owner().map_or(0, |owner| object.mapping().table().pid_of(owner))
    }

    fn owned(&self) -> Result<()> {
        let who = self.lock.object().attached()?;
        if self.lock.is_held(&who) { Ok(()) } else { Err(Error::NotOwner) }
    }
}

impl From<LockFailure> for Error {
    fn from(failure: LockFailure) -> Error {
        match failure {
            LockFailure::WouldBlock => Error::WouldBlock,
            LockFailure::Timeout => Error::Timeout,
            LockFailure::WouldDeadlock => Error::WouldDeadlock,
        }
    }
}
