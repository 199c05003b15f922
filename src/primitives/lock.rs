//! `Lock<T>`: a robust mutex that owns its data.

use crate::error::Result;
use crate::lock::deadline::Deadline;
use crate::lock::error::LockError;
use crate::lock::guarded::{Guarded, LockGuard};
use crate::region::{Kind, Place, Region};
use bytemuck::Pod;
use std::fmt;
use std::time::Duration;

/// A lock between processes and threads that owns the data it protects.
///
/// Any number of processes and threads may use one lock at once; clones are handles to the same
/// lock. Data is reached only through a [`LockGuard`]. `Lock<()>` is a bare lock.
///
/// Killing the holder at any instruction harms nobody: the next owner gets the lock with
/// [`LockError::OwnerDied`] and the value as it was last published. A panic while the guard is held
/// counts as such a death.
///
/// Acquiring a free lock is one compare-and-swap; a wait spins for a moment and then sleeps in the
/// kernel. The lock is not recursive: taking it twice in one thread is
/// [`LockError::WouldDeadlock`], at once.
///
/// Nobody starves. Whoever comes by may take the free lock, which is what makes it fast, until
/// somebody has waited for a millisecond; then the lock goes to those who have waited for so long,
/// in the order in which they came, before anybody else. (Only [`try_lock`](Lock::try_lock) takes it
/// whenever it is free.) Eight processes on two processors that did nothing but take the lock,
/// for sections of 50 us, passed one that waited at most 22 times; with the same lock without
/// turns it was 1800 times. `tests/fairness.rs` measures it anew.
///
/// Guards work on a copy of the data on the stack, and a program built without optimization makes
/// dozens of them: for more than some kilobytes take an [`Array`](crate::Array).
///
/// A lock made by [`Lock::new`] takes one page of memory and one descriptor in each process that
/// uses it; [`Lock::new_in`] packs many into one region.
///
/// ```
/// use shmkit::Lock;
///
/// let total = Lock::new(0u64)?;
/// let other = total.clone(); // in another thread, or passed to another process
/// *other.lock()? += 2;
/// assert_eq!(*total.lock()?, 2);
/// # Ok::<(), shmkit::Error>(())
/// ```
pub struct Lock<T = ()> {
    inner: Guarded<T>,
}

impl<T: Pod> Lock<T> {
    /// Makes a lock in a region of its own, without a name.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`](crate::Error::NoMemory), [`Error::Os`](crate::Error::Os).
    pub fn new(value: T) -> Result<Lock<T>> {
        Self::place(Place::Anonymous, value)
    }

    /// Makes a lock that unrelated processes of the same user find by `name`.
    ///
    /// # Errors
    ///
    /// As [`Lock::new`]; [`Error::Exists`](crate::Error::Exists) when a live object has the name,
    /// [`Error::InvalidName`](crate::Error::InvalidName),
    /// [`Error::NoSpace`](crate::Error::NoSpace).
    ///
    /// ```
    /// # let name = format!("doc.lock.{}", std::process::id());
    /// use shmkit::Lock;
    ///
    /// let made = Lock::create(&name, [1.0f32, 2.0])?;
    /// let found = Lock::<[f32; 2]>::open(&name)?;
    /// found.lock()?[0] = 3.0;
    /// assert_eq!(made.lock()?[0], 3.0);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn create(name: &str, value: T) -> Result<Lock<T>> {
        Self::place(Place::Named(name), value)
    }

    /// Opens the live lock of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound),
    /// [`Error::TypeMismatch`](crate::Error::TypeMismatch) for another kind of object or another
    /// `T`, and those of [`Region::open`].
    pub fn open(name: &str) -> Result<Lock<T>> {
        Ok(Lock { inner: Guarded::open(name, Kind::Lock)? })
    }

    /// Makes a lock in `region`, beside other objects.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`](crate::Error::NoSpace) when the region is full,
    /// [`Error::NoMemory`](crate::Error::NoMemory).
    pub fn new_in(region: &Region, value: T) -> Result<Lock<T>> {
        Self::place(Place::In(region), value)
    }

    pub(crate) fn place(place: Place<'_>, value: T) -> Result<Lock<T>> {
        Ok(Lock { inner: Guarded::create(place, Kind::Lock, value)? })
    }

    /// Acquires the lock, waiting as long as it takes.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`], holding the lock, when the previous holder died inside its
    /// section; [`LockError::WouldDeadlock`] when this thread holds the lock already.
    #[inline]
    pub fn lock(&self) -> Result<LockGuard<'_, T>, LockError<LockGuard<'_, T>>> {
        self.inner.lock(Deadline::Never)
    }

    /// Acquires the lock if it is free, or if its holder is dead. Does not wait.
    ///
    /// # Errors
    ///
    /// As [`Lock::lock`]; [`LockError::WouldBlock`] when somebody alive holds it.
    #[inline]
    pub fn try_lock(&self) -> Result<LockGuard<'_, T>, LockError<LockGuard<'_, T>>> {
        self.inner.lock(Deadline::Now)
    }

    /// Acquires the lock, waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Lock::lock`]; [`LockError::Timeout`] once `timeout` has passed, or
    /// [`LockError::WouldBlock`] if it is zero.
    ///
    /// ```
    /// use shmkit::{Lock, LockError};
    /// use std::time::Duration;
    ///
    /// let lock = Lock::new(())?;
    /// let guard = lock.lock()?;
    /// std::thread::scope(|s| {
    ///     s.spawn(|| {
    ///         let late = lock.lock_timeout(Duration::from_millis(1));
    ///         assert!(matches!(late, Err(LockError::Timeout)));
    ///     });
    /// });
    /// # drop(guard);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<LockGuard<'_, T>, LockError<LockGuard<'_, T>>> {
        self.inner.lock(Deadline::after(timeout))
    }
}

impl<T> Clone for Lock<T> {
    fn clone(&self) -> Lock<T> {
        Lock { inner: self.inner.clone() }
    }
}

impl<T> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock { .. }")
    }
}

crate::region::passed_by_handle!(Lock in Guarded, Lock);
