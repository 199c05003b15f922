//! `Array<T>`: a fixed number of elements that processes share.

use crate::error::{Error, Result};
use crate::lock::deadline::Deadline;
use crate::lock::error::LockError;
use crate::lock::slice::{ArrayGuard, GuardedSlice};
use crate::region::{Place, Region};
use bytemuck::Pod;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// A fixed number of elements in shared memory, under one lock.
///
/// Any number of processes and threads may use one array at once; clones are handles to the same
/// array. [`Array::lock`] lends the elements as a plain slice, without a copy; the other methods
/// take the lock for the moment they need it.
///
/// If the holder of the guard dies or panics, the elements stay as they are at that moment, perhaps
/// half written, and the next owner is told by [`LockError::OwnerDied`].
///
/// ```
/// use shmkit::Array;
///
/// let squares = Array::<u64>::zeroed(5)?;
/// for (i, s) in squares.lock()?.iter_mut().enumerate() {
///     *s = (i * i) as u64;
/// }
/// assert_eq!(squares.get(3), Some(9));
/// assert_eq!(squares.iter().sum::<u64>(), 30);
/// # Ok::<(), shmkit::Error>(())
/// ```
pub struct Array<T> {
    inner: GuardedSlice<T>,
}

impl<T: Pod> Array<T> {
    /// Makes `len` zeroed elements in a region of their own, without a name.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`] when there is not that much, [`Error::InvalidArgument`] for a `T` that is
    /// aligned to more than 128 bytes, [`Error::Os`].
    pub fn zeroed(len: usize) -> Result<Array<T>> {
        Self::place(Place::Anonymous, len, |_| {})
    }

    /// Makes an array with a copy of `elements`.
    ///
    /// # Errors
    ///
    /// As [`Array::zeroed`].
    pub fn from_slice(elements: &[T]) -> Result<Array<T>> {
        Self::place(Place::Anonymous, elements.len(), |all| all.copy_from_slice(elements))
    }

    /// Makes `len` zeroed elements that unrelated processes of the same user find by `name`.
    ///
    /// # Errors
    ///
    /// As [`Array::zeroed`]; [`Error::Exists`], [`Error::InvalidName`], [`Error::NoSpace`].
    ///
    /// ```
    /// # let name = format!("doc.array.{}", std::process::id());
    /// use shmkit::Array;
    ///
    /// let made = Array::<i32>::create(&name, 3)?;
    /// Array::<i32>::open(&name)?.set(1, -5)?;
    /// assert_eq!(*made.lock()?, [0, -5, 0]);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn create(name: &str, len: usize) -> Result<Array<T>> {
        Self::place(Place::Named(name), len, |_| {})
    }

    /// Opens the live array of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::TypeMismatch`] for another kind of object or another `T`, and
    /// those of [`Region::open`].
    pub fn open(name: &str) -> Result<Array<T>> {
        Ok(Array { inner: GuardedSlice::open(name)? })
    }

    /// Makes `len` zeroed elements in `region`, beside other objects.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`] when the region is full, [`Error::NoMemory`].
    pub fn new_in(region: &Region, len: usize) -> Result<Array<T>> {
        Self::place(Place::In(region), len, |_| {})
    }

    fn place(place: Place<'_>, len: usize, fill: impl FnOnce(&mut [T])) -> Result<Array<T>> {
        Ok(Array { inner: GuardedSlice::create(place, len, fill)? })
    }

    /// The number of elements; it never changes.
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of the element at `index`; `None` if `index` is out of range.
    ///
    /// Waits for the array's lock if somebody alive holds it, but not for a guard of this very
    /// thread. The death of a holder is not reported here, but to the next [`Array::lock`].
    pub fn get(&self, index: usize) -> Option<T> {
        if index >= self.len() {
            return None;
        }
        match self.lock() {
            Ok(guard) => guard.get(index).copied(),
            Err(LockError::OwnerDied(died)) => died.get(index).copied(),
            Err(_) => self.inner.read_held(index),
        }
    }

    /// Replaces the element at `index`. Waits for the array's lock.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`]; [`Error::OwnerDied`] if the last holder died: nothing is written until
    /// somebody has recovered the array through [`Array::lock`]; [`Error::WouldDeadlock`] if this
    /// thread holds the guard.
    pub fn set(&self, index: usize, value: T) -> Result<()> {
        let mut guard = self.lock()?;
        let len = guard.len();
        *guard.get_mut(index).ok_or(Error::OutOfRange { index, len })? = value;
        Ok(())
    }

    /// Copies the elements of `range` to `target`, which has that length. Waits for the lock.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::InvalidArgument`] if the lengths differ, and those of
    /// [`Array::lock`].
    ///
    /// ```
    /// let array = shmkit::Array::from_slice(&[1u8, 2, 3, 4])?;
    /// let mut middle = [0; 2];
    /// array.copy_to(1..3, &mut middle)?;
    /// assert_eq!(middle, [2, 3]);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn copy_to(&self, range: Range<usize>, target: &mut [T]) -> Result<()> {
        let guard = self.lock()?;
        target.copy_from_slice(part(&guard, &range, target.len())?);
        Ok(())
    }

    /// Copies `source` over the elements of `range`, which has that length. Waits for the lock.
    ///
    /// # Errors
    ///
    /// As [`Array::copy_to`].
    pub fn copy_from(&self, range: Range<usize>, source: &[T]) -> Result<()> {
        let mut guard = self.lock()?;
        part(&guard, &range, source.len())?;
        guard[range].copy_from_slice(source);
        Ok(())
    }

    /// Copies of all elements, in order, each read by itself as [`Array::get`] does; for one
    /// consistent picture iterate over the guard.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + '_ {
        (0..self.len()).map(|index| self.get(index).expect("the length never changes"))
    }

    /// Takes the array's lock and lends the elements, waiting as long as it takes.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`], holding the lock, when the last holder died inside its section;
    /// [`LockError::WouldDeadlock`] when this thread holds the guard already.
    pub fn lock(&self) -> Result<ArrayGuard<'_, T>, LockError<ArrayGuard<'_, T>>> {
        self.inner.lock(Deadline::Never)
    }

    /// Takes the array's lock if it is free. Does not wait.
    ///
    /// # Errors
    ///
    /// As [`Array::lock`]; [`LockError::WouldBlock`].
    pub fn try_lock(&self) -> Result<ArrayGuard<'_, T>, LockError<ArrayGuard<'_, T>>> {
        self.inner.lock(Deadline::Now)
    }

    /// Takes the array's lock, waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Array::lock`]; [`LockError::Timeout`], or [`LockError::WouldBlock`] if `timeout` is
    /// zero.
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<ArrayGuard<'_, T>, LockError<ArrayGuard<'_, T>>> {
        self.inner.lock(Deadline::after(timeout))
    }
}

/// The elements of `range` if they are there and as many as `len`.
fn part<'a, T>(all: &'a [T], range: &Range<usize>, len: usize) -> Result<&'a [T]> {
    let part = all.get(range.clone());
    let part = part.ok_or(Error::OutOfRange { index: range.end, len: all.len() })?;
    if part.len() != len {
        return Err(Error::InvalidArgument("the slice and the range differ in length"));
    }
    Ok(part)
}

impl<T> Clone for Array<T> {
    fn clone(&self) -> Array<T> {
        Array { inner: self.inner.clone() }
    }
}

impl<T: Pod> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Array").field("len", &self.len()).finish_non_exhaustive()
    }
}

crate::region::passed_by_handle!(Array in GuardedSlice, Array);
