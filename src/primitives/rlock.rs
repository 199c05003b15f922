//! `RLock<T>`: a robust mutex that its holder may take again.

use crate::error::Result;
use crate::lock::deadline::Deadline;
use crate::lock::error::LockError;
use crate::lock::nested::{Nested, RLockGuard};
use crate::region::{Place, Region};
use bytemuck::Pod;
use std::fmt;
use std::time::Duration;

/// A lock between processes and threads that the thread which holds it may take again, and that
/// owns the data it protects.
///
/// For code that takes the lock and calls other code that takes it too. Where that does not happen,
/// a [`Lock`](crate::Lock) is simpler: it lends `&mut T` and tells of a lock taken twice.
///
/// Any number of processes and threads may use one lock at once; clones are handles to the same
/// lock, and it does not matter through which of them it is taken again. Each level has an
/// [`RLockGuard`], which shows the data and changes it by [`set`](RLockGuard::set) and
/// [`update`](RLockGuard::update); the lock is free once the last guard is gone. There is no way to
/// release more often than that, or from another thread or process. `RLock<()>` is a bare lock.
///
/// Killing the holder at any instruction, at any depth, harms nobody: the next owner gets the lock
/// with [`LockError::OwnerDied`], at depth one, and the value as it was last published. A panic
/// while a guard is held counts as such a death once the outermost guard is gone, also if it was
/// caught on the way.
///
/// Acquiring a free lock is one compare-and-swap and one store; a wait, and fairness, are those of
/// [`Lock`](crate::Lock), and so is the price in memory and descriptors, and what is to be said of
/// large data.
///
/// ```
/// use shmkit::{Error, RLock};
///
/// fn credit(account: &RLock<i64>, amount: i64) -> Result<(), Error> {
///     account.lock()?.update(|balance| *balance += amount);
///     Ok(())
/// }
///
/// let account = RLock::new(100i64)?;
/// {
///     let guard = account.lock()?;
///     credit(&account, 20)?; // takes the lock that this thread holds
///     credit(&account, -5)?;
///     assert_eq!(guard.get(), 115);
/// }
/// assert_eq!(*account.lock()?, 115);
/// # Ok::<(), Error>(())
/// ```
pub struct RLock<T = ()> {
    inner: Nested<T>,
}

impl<T: Pod> RLock<T> {
    /// Makes a lock in a region of its own, without a name.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`](crate::Error::NoMemory), [`Error::Os`](crate::Error::Os).
    pub fn new(value: T) -> Result<RLock<T>> {
        Self::place(Place::Anonymous, value)
    }

    /// Makes a lock that unrelated processes of the same user find by `name`.
    ///
    /// # Errors
    ///
    /// As [`RLock::new`]; [`Error::Exists`](crate::Error::Exists) when a live object has the name,
    /// [`Error::InvalidName`](crate::Error::InvalidName),
    /// [`Error::NoSpace`](crate::Error::NoSpace).
    ///
    /// ```
    /// # let name = format!("doc.rlock.{}", std::process::id());
    /// use shmkit::RLock;
    ///
    /// let made = RLock::create(&name, 1u8)?;
    /// let found = RLock::<u8>::open(&name)?;
    /// found.lock()?.set(3);
    /// assert_eq!(*made.lock()?, 3);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn create(name: &str, value: T) -> Result<RLock<T>> {
        Self::place(Place::Named(name), value)
    }

    /// Opens the live lock of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound),
    /// [`Error::TypeMismatch`](crate::Error::TypeMismatch) for another kind of object or another
    /// `T`, and those of [`Region::open`].
    pub fn open(name: &str) -> Result<RLock<T>> {
        Ok(RLock { inner: Nested::open(name)? })
    }

    /// Makes a lock in `region`, beside other objects.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`](crate::Error::NoSpace) when the region is full,
    /// [`Error::NoMemory`](crate::Error::NoMemory).
    pub fn new_in(region: &Region, value: T) -> Result<RLock<T>> {
        Self::place(Place::In(region), value)
    }

    pub(crate) fn place(place: Place<'_>, value: T) -> Result<RLock<T>> {
        Ok(RLock { inner: Nested::create(place, value)? })
    }

    /// Acquires the lock, waiting as long as it takes; at once if this thread holds it already.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`], holding the lock, when the previous holder died inside its
    /// section; also on each level that this thread takes until it has recovered.
    #[inline]
    pub fn lock(&self) -> Result<RLockGuard<'_, T>, LockError<RLockGuard<'_, T>>> {
        self.inner.lock(Deadline::Never)
    }

    /// Acquires the lock if it is free, or held by this thread, or if its holder is dead. Does not
    /// wait.
    ///
    /// # Errors
    ///
    /// As [`RLock::lock`]; [`LockError::WouldBlock`] when somebody else alive holds it.
    #[inline]
    pub fn try_lock(&self) -> Result<RLockGuard<'_, T>, LockError<RLockGuard<'_, T>>> {
        self.inner.lock(Deadline::Now)
    }

    /// Acquires the lock, waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`RLock::lock`]; [`LockError::Timeout`] once `timeout` has passed, or
    /// [`LockError::WouldBlock`] if it is zero.
    ///
    /// ```
    /// use shmkit::{LockError, RLock};
    /// use std::time::Duration;
    ///
    /// let lock = RLock::new(())?;
    /// let guard = lock.lock()?;
    /// assert!(lock.lock_timeout(Duration::from_millis(1)).is_ok()); // we hold it
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
    ) -> Result<RLockGuard<'_, T>, LockError<RLockGuard<'_, T>>> {
        self.inner.lock(Deadline::after(timeout))
    }
}

impl<T> Clone for RLock<T> {
    fn clone(&self) -> RLock<T> {
        RLock { inner: self.inner.clone() }
    }
}

impl<T> fmt::Debug for RLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RLock { .. }")
    }
}

crate::region::passed_by_handle!(RLock in Nested, RLock);
