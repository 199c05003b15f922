//! `Value<T>`: one value that processes share.

use crate::error::Result;
use crate::lock::cell::Integer;
use crate::lock::deadline::Deadline;
use crate::lock::error::{LockError, OwnerDied};
use crate::lock::guarded::{Guarded, LockGuard};
use crate::region::{Kind, Place, Region};
use bytemuck::Pod;
use std::fmt;
use std::time::Duration;

/// One value that processes and threads share: read it whole at any time, change it under its lock.
///
/// Any number of processes and threads may use one value at once; clones are handles to the same
/// value. A read is never torn and never waits: up to eight bytes are one atomic load, more are
/// read again if a new value was published in between. Integers also have lock-free arithmetic.
///
/// Killing a process at any instruction leaves the last published value, and the next one to
/// change it is told once by [`LockError::OwnerDied`].
///
/// ```
/// use shmkit::Value;
///
/// let best = Value::new(0.0f64)?;
/// best.update(|b| *b = b.max(0.7))?;
/// assert_eq!(best.get(), 0.7);
///
/// let hits = Value::new(0u32)?;
/// std::thread::scope(|s| {
///     for _ in 0..4 {
///         s.spawn(|| hits.fetch_add(1));
///     }
/// });
/// assert_eq!(hits.get(), 4);
/// # Ok::<(), shmkit::Error>(())
/// ```
pub struct Value<T> {
    inner: Guarded<T>,
}

impl<T: Pod> Value<T> {
    /// Makes a value in a region of its own, without a name: one page of memory, and one
    /// descriptor in each process that uses it.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`](crate::Error::NoMemory), [`Error::Os`](crate::Error::Os).
    pub fn new(value: T) -> Result<Value<T>> {
        Self::place(Place::Anonymous, value)
    }

    /// Makes a value that unrelated processes of the same user find by `name`.
    ///
    /// # Errors
    ///
    /// As [`Value::new`]; [`Error::Exists`](crate::Error::Exists) when a live object has the name,
    /// [`Error::InvalidName`](crate::Error::InvalidName),
    /// [`Error::NoSpace`](crate::Error::NoSpace).
    pub fn create(name: &str, value: T) -> Result<Value<T>> {
        Self::place(Place::Named(name), value)
    }

    /// Opens the live value of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound),
    /// [`Error::TypeMismatch`](crate::Error::TypeMismatch) for another kind of object or another
    /// `T`, and those of [`Region::open`].
    ///
    /// ```
    /// # let name = format!("doc.value.{}", std::process::id());
    /// use shmkit::{Error, Value};
    ///
    /// let made = Value::create(&name, 7u64)?;
    /// assert_eq!(Value::<u64>::open(&name)?.get(), 7);
    /// assert!(matches!(Value::<i64>::open(&name), Err(Error::TypeMismatch { .. })));
    /// # drop(made);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn open(name: &str) -> Result<Value<T>> {
        Ok(Value { inner: Guarded::open(name, Kind::Value)? })
    }

    /// Makes a value in `region`, beside other objects.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`](crate::Error::NoSpace) when the region is full,
    /// [`Error::NoMemory`](crate::Error::NoMemory).
    pub fn new_in(region: &Region, value: T) -> Result<Value<T>> {
        Self::place(Place::In(region), value)
    }

    fn place(place: Place<'_>, value: T) -> Result<Value<T>> {
        Ok(Value { inner: Guarded::create(place, Kind::Value, value)? })
    }

    /// The value last published. Never torn, never blocks.
    ///
    /// Wait-free up to eight bytes, lock-free beyond. Does not need the lock: it may be called
    /// while a guard is held, and then still sees the value from before the edit.
    #[inline]
    pub fn get(&self) -> T {
        self.inner.cell().read()
    }

    /// Replaces the value, under its lock. Waits as long as somebody alive holds that.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`] if the last one to change the value died on the way: the value is as
    /// it was published before, and *this* change was not made; call again to make it.
    /// [`LockError::WouldDeadlock`] if this thread holds the guard.
    #[inline]
    pub fn set(&self, value: T) -> Result<(), LockError<()>> {
        self.update(|current| *current = value)
    }

    /// Changes the value by `f` under its lock, atomically for everybody, and returns what `f`
    /// returns. Waits as long as somebody alive holds the lock.
    ///
    /// `f` edits a private copy, which is published when it returns. If `f` panics the value stays,
    /// and the next change is told as if this process had died.
    ///
    /// # Errors
    ///
    /// As [`Value::set`].
    pub fn update<R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R, LockError<()>> {
        match self.lock() {
            Ok(mut guard) => Ok(f(&mut guard)),
            Err(LockError::OwnerDied(died)) => {
                // A published value is always whole: telling is all that a death calls for.
                drop(died.recover());
                Err(LockError::OwnerDied(OwnerDied::new((), |()| {})))
            }
            Err(LockError::WouldBlock) => Err(LockError::WouldBlock),
            Err(LockError::Timeout) => Err(LockError::Timeout),
            Err(LockError::WouldDeadlock) => Err(LockError::WouldDeadlock),
            Err(LockError::Os(e)) => Err(LockError::Os(e)),
        }
    }

    /// Takes the value's lock, for a change of several steps.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`], holding the lock; [`LockError::WouldDeadlock`].
    pub fn lock(&self) -> Result<LockGuard<'_, T>, LockError<LockGuard<'_, T>>> {
        self.inner.lock(Deadline::Never)
    }

    /// Takes the value's lock if it is free. Does not wait.
    ///
    /// # Errors
    ///
    /// As [`Value::lock`]; [`LockError::WouldBlock`].
    pub fn try_lock(&self) -> Result<LockGuard<'_, T>, LockError<LockGuard<'_, T>>> {
        self.inner.lock(Deadline::Now)
    }

    /// Takes the value's lock, waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Value::lock`]; [`LockError::Timeout`], or [`LockError::WouldBlock`] if `timeout` is
    /// zero.
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<LockGuard<'_, T>, LockError<LockGuard<'_, T>>> {
        self.inner.lock(Deadline::after(timeout))
    }
}

/// Lock-free arithmetic, atomic for everybody, without the value's lock.
///
/// A change under the lock ([`Value::set`], [`Value::update`], a guard) that overlaps one of these
/// replaces the whole value, theirs included: use one or the other for a value.
impl<T: Integer> Value<T> {
    /// Adds `operand`, wrapping around at the ends of `T`, and returns the value before. Wait-free.
    #[inline]
    pub fn fetch_add(&self, operand: T) -> T {
        self.inner.cell().fetch_add(operand)
    }

    /// Subtracts `operand`, wrapping around at the ends of `T`, and returns the value before.
    /// Wait-free.
    #[inline]
    pub fn fetch_sub(&self, operand: T) -> T {
        self.inner.cell().fetch_sub(operand)
    }

    /// Replaces the value by `new` if it is `current`, and returns the value before. Lock-free.
    ///
    /// # Errors
    ///
    /// The value found, if it is another.
    #[inline]
    pub fn compare_exchange(&self, current: T, new: T) -> Result<T, T> {
        self.inner.cell().compare_exchange(current, new)
    }
}

impl<T> Clone for Value<T> {
    fn clone(&self) -> Value<T> {
        Value { inner: self.inner.clone() }
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Value").field(&self.get()).finish()
    }
}

crate::region::passed_by_handle!(Value in Guarded, Value);
