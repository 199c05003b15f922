//! `RwLock<T>`: many readers or one writer.

use crate::error::Result;
use crate::lock::deadline::Deadline;
use crate::lock::error::LockError;
use crate::lock::rw_guarded::{RwGuarded, RwLockReadGuard, RwLockWriteGuard};
use crate::region::{Address, Place, Region};
use bytemuck::Pod;
use std::fmt;
use std::time::Duration;

/// A lock between processes and threads that many may hold to read, or one to write.
///
/// It owns the data it protects; `RwLock<()>` is a bare lock. Any number of processes and threads may
/// use one at once; clones are handles to the same lock.
///
/// Readers of different processes do not touch each other's cache lines. Writers go first: while one
/// waits, new readers are kept out, so that writers do not starve.
///
/// Killing anybody at any instruction harms nobody. A dead reader is as if it had left. After the
/// death of a writer, inside or about to come in, everybody gets the lock with
/// [`LockError::OwnerDied`], and the value as it was last published, until a writer
/// [recovers](crate::OwnerDied::recover). A panic under the guard of a writer counts as such a
/// death, one under that of a reader does not.
///
/// Reading again in the same thread works, also while a writer waits. Writing while the same
/// thread reads, or anything while it writes, is [`LockError::WouldDeadlock`], at once.
///
/// Guards work on a copy of the data on the stack, and a program built without optimization makes
/// dozens of them: for more than some kilobytes take an [`Array`](crate::Array).
///
/// A lock made by [`RwLock::new`] takes one or two pages of memory and one descriptor in each
/// process that uses it; [`RwLock::new_in`] packs many into one region, at 8 bytes for each
/// participant that the region can have.
///
/// ```
/// use shmkit::RwLock;
///
/// let rates = RwLock::new([1.0f64, 1.1])?;
/// {
///     let one = rates.read()?;
///     let other = rates.read()?; // as many as like, in any process
///     assert_eq!(one[1], other[1]);
/// }
/// rates.write()?[1] = 1.2;
/// assert_eq!(rates.read()?[1], 1.2);
/// # Ok::<(), shmkit::Error>(())
/// ```
pub struct RwLock<T = ()> {
    inner: RwGuarded<T>,
}

impl<T: Pod> RwLock<T> {
    /// Makes a lock in a region of its own, without a name.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`](crate::Error::NoMemory), [`Error::Os`](crate::Error::Os).
    pub fn new(value: T) -> Result<RwLock<T>> {
        Self::place(Place::Anonymous, value)
    }

    /// Makes a lock that unrelated processes of the same user find by `name`.
    ///
    /// # Errors
    ///
    /// As [`RwLock::new`]; [`Error::Exists`](crate::Error::Exists) when a live object has the name,
    /// [`Error::InvalidName`](crate::Error::InvalidName),
    /// [`Error::NoSpace`](crate::Error::NoSpace).
    pub fn create(name: &str, value: T) -> Result<RwLock<T>> {
        Self::place(Place::Named(name), value)
    }

    /// Opens the live lock of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound),
    /// [`Error::TypeMismatch`](crate::Error::TypeMismatch) for another kind of object or another
    /// `T`, and those of [`Region::open`].
    pub fn open(name: &str) -> Result<RwLock<T>> {
        Ok(RwLock { inner: RwGuarded::open(name)? })
    }

    /// Makes a lock in `region`, beside other objects.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`](crate::Error::NoSpace) when the region is full,
    /// [`Error::NoMemory`](crate::Error::NoMemory).
    pub fn new_in(region: &Region, value: T) -> Result<RwLock<T>> {
        Self::place(Place::In(region), value)
    }

    #[doc(hidden)]
    pub fn find(at: Address<'_>) -> Result<RwLock<T>> {
        Ok(RwLock { inner: RwGuarded::open(at)? })
    }

    #[doc(hidden)]
    pub fn place(place: Place<'_>, value: T) -> Result<RwLock<T>> {
        Ok(RwLock { inner: RwGuarded::create(place, value)? })
    }

    /// Acquires the lock to read, waiting as long as writers take. Reads the value once, here.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`], holding the lock, after the death of a writer that no writer has
    /// recovered from (a reader's [`recover`](crate::OwnerDied::recover) only hands the guard out);
    /// [`LockError::WouldDeadlock`] when this thread holds the lock to write.
    #[inline]
    pub fn read(&self) -> Result<RwLockReadGuard<'_, T>, LockError<RwLockReadGuard<'_, T>>> {
        self.inner.read(Deadline::Never)
    }

    /// Acquires the lock to read if no writer holds it or waits for it. Does not wait.
    ///
    /// # Errors
    ///
    /// As [`RwLock::read`]; [`LockError::WouldBlock`] when a living writer is there, be it one that
    /// only tries.
    #[inline]
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, LockError<RwLockReadGuard<'_, T>>> {
        self.inner.read(Deadline::Now)
    }

    /// Acquires the lock to read, waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`RwLock::read`]; [`LockError::Timeout`] once `timeout` has passed, or
    /// [`LockError::WouldBlock`] if it is zero.
    pub fn read_timeout(
        &self,
        timeout: Duration,
    ) -> Result<RwLockReadGuard<'_, T>, LockError<RwLockReadGuard<'_, T>>> {
        self.inner.read(Deadline::after(timeout))
    }

    /// Acquires the lock to write, waiting as long as it takes; from its turn among writers on, it
    /// keeps new readers out.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`], holding the lock, after the death of a writer that no writer has
    /// recovered from; [`LockError::WouldDeadlock`] when this thread holds the lock already, to
    /// write or to read.
    #[inline]
    pub fn write(&self) -> Result<RwLockWriteGuard<'_, T>, LockError<RwLockWriteGuard<'_, T>>> {
        self.inner.write(Deadline::Never)
    }

    /// Acquires the lock to write if nobody alive holds it. Does not wait.
    ///
    /// # Errors
    ///
    /// As [`RwLock::write`]; [`LockError::WouldBlock`] when somebody alive is there, be it one that
    /// only tries.
    #[inline]
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, LockError<RwLockWriteGuard<'_, T>>> {
        self.inner.write(Deadline::Now)
    }

    /// Acquires the lock to write, waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`RwLock::write`]; [`LockError::Timeout`] once `timeout` has passed, or
    /// [`LockError::WouldBlock`] if it is zero.
    pub fn write_timeout(
        &self,
        timeout: Duration,
    ) -> Result<RwLockWriteGuard<'_, T>, LockError<RwLockWriteGuard<'_, T>>> {
        self.inner.write(Deadline::after(timeout))
    }
}

impl<T> Clone for RwLock<T> {
    fn clone(&self) -> RwLock<T> {
        RwLock { inner: self.inner.clone() }
    }
}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RwLock { .. }")
    }
}

crate::region::passed_by_handle!(RwLock in RwGuarded, RwLock);
