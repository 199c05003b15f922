//! `RawValue<T>`: one value that processes share, without a lock.

use super::arithmetic::arithmetic;
use crate::error::Result;
use crate::lock::cell::Integer;
use crate::lock::guarded::Guarded;
use crate::region::{Kind, Place, Region};
use bytemuck::Pod;
use std::fmt;

/// One value that processes and threads share, without a lock: whole at any time, and the last
/// writer wins.
///
/// Any number of processes and threads may use one value at once; clones are handles to the same
/// value. Whatever the size of `T`, a read returns a value that somebody has set, never parts of
/// two, and never waits. Who reads a value also sees what its writer did before setting it.
///
/// Of several writers at once each sets the whole value, one after the other in some order. Between
/// a `get` and a `set` others may have set another value: to change a value by what it was, use the
/// operations of integers below, or a [`Value`](crate::Value), which has a lock.
///
/// Killing a process at any instruction leaves the last value set, and nobody has to be told.
///
/// ```
/// use shmkit::RawValue;
///
/// let position = RawValue::new([0.0f64; 3])?;
/// let seen_elsewhere = position.clone(); // passed to another process
/// position.set([1.0, 2.0, 3.0])?;
/// assert_eq!(seen_elsewhere.get(), [1.0, 2.0, 3.0]);
/// # Ok::<(), shmkit::Error>(())
/// ```
pub struct RawValue<T> {
    inner: Guarded<T>,
}

impl<T: Pod> RawValue<T> {
    /// Makes a value in a region of its own, without a name: one page of memory, and one
    /// descriptor in each process that uses it.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`](crate::Error::NoMemory), [`Error::Os`](crate::Error::Os).
    pub fn new(value: T) -> Result<RawValue<T>> {
        Self::place(Place::Anonymous, value)
    }

    /// Makes a value that unrelated processes of the same user find by `name`.
    ///
    /// # Errors
    ///
    /// As [`RawValue::new`]; [`Error::Exists`](crate::Error::Exists) when a live object has the
    /// name, [`Error::InvalidName`](crate::Error::InvalidName),
    /// [`Error::NoSpace`](crate::Error::NoSpace).
    pub fn create(name: &str, value: T) -> Result<RawValue<T>> {
        Self::place(Place::Named(name), value)
    }

    /// Opens the live value of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound),
    /// [`Error::TypeMismatch`](crate::Error::TypeMismatch) for another kind of object (a `Value`
    /// too) or another `T`, and those of [`Region::open`].
    pub fn open(name: &str) -> Result<RawValue<T>> {
        Ok(RawValue { inner: Guarded::open(name, Kind::RawValue)? })
    }

    /// Makes a value in `region`, beside other objects.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`](crate::Error::NoSpace) when the region is full,
    /// [`Error::NoMemory`](crate::Error::NoMemory).
    pub fn new_in(region: &Region, value: T) -> Result<RawValue<T>> {
        Self::place(Place::In(region), value)
    }

    fn place(place: Place<'_>, value: T) -> Result<RawValue<T>> {
        Ok(RawValue { inner: Guarded::create(place, Kind::RawValue, value)? })
    }

    /// The value last set. Never torn, never blocks.
    ///
    /// Wait-free up to eight bytes: one atomic load. Lock-free beyond: it reads again if a new value
    /// was set in between.
    #[inline]
    pub fn get(&self) -> T {
        self.inner.cell().read()
    }

    /// Sets the value, for everybody at once.
    ///
    /// Wait-free up to eight bytes: one atomic store. Writers of larger values take turns, so this
    /// one waits while another copies its value in: some nanoseconds, unless that one is stopped.
    ///
    /// # Errors
    ///
    /// None up to eight bytes. Beyond, [`Error::Os`](crate::Error::Os) if this is a forked child
    /// that finds no free place among the region's users, and
    /// [`Error::WouldDeadlock`](crate::Error::WouldDeadlock) in a signal handler that interrupts
    /// another `set` of this thread.
    #[inline]
    pub fn set(&self, value: T) -> Result<()> {
        Ok(self.inner.publish(value)?)
    }
}

arithmetic! {
    /// Lock-free arithmetic, atomic for everybody.
    ///
    /// ```
    /// let flags = shmkit::RawValue::new(0b0011u8)?;
    /// assert_eq!(flags.fetch_or(0b0100), 0b0011);
    /// assert_eq!(flags.fetch_max(9), 0b0111);
    /// assert_eq!(flags.swap(1), 9);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    RawValue
}

impl<T> Clone for RawValue<T> {
    fn clone(&self) -> RawValue<T> {
        RawValue { inner: self.inner.clone() }
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for RawValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RawValue").field(&self.get()).finish()
    }
}

crate::region::passed_by_handle!(RawValue in Guarded, RawValue);
