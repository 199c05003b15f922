//! `Array<T>`: a fixed number of elements that processes share, with a lock or without one.

mod memory;
mod range;
mod raw;
mod shareable;
mod text;

pub use memory::SharedMemory;
pub use raw::RawArray;
pub use shareable::{Scalar, ShareableList};

use crate::error::{Error, Result};
use crate::lock::deadline::Deadline;
use crate::lock::error::LockError;
use crate::lock::slice::{ArrayGuard, GuardedSlice};
use crate::region::{Place, Region};
use bytemuck::Pod;
use range::{as_many, within};
use std::fmt;
use std::ops::RangeBounds;
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
///
/// Who comes from Python: `Array(code, n)` is `Array::<T>::zeroed(n)` (the table at
/// [`Value`](crate::Value) says which `T`), `Array(code, list)` is [`from_slice`](Array::from_slice),
/// `a[i]` is [`get`](Array::get) and [`set`](Array::set), `a[i:j]` is [`to_vec`](Array::to_vec) and
/// [`copy_from`](Array::copy_from), `with a.get_lock()` is [`lock`](Array::lock), which lends what
/// `a.get_obj()` gives, and `Array(code, n, lock=False)` is [`RawArray`]. For strings, an array of
/// bytes has [`value`](Array::value), [`raw`](Array::raw) and [`set_value`](Array::set_value).
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

    pub(crate) fn place(
        place: Place<'_>,
        len: usize,
        fill: impl FnOnce(&mut [T]),
    ) -> Result<Array<T>> {
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
    ///
    /// `None`, too, if the lock cannot be asked for: in a forked child that finds no free place among
    /// the region's users, of which [`Array::copy_to`] gives the error.
    pub fn get(&self, index: usize) -> Option<T> {
        if index >= self.len() {
            return None;
        }
        match self.lock() {
            Ok(guard) => guard.get(index).copied(),
            Err(LockError::OwnerDied(died)) => died.get(index).copied(),
            Err(LockError::WouldDeadlock) => self.inner.read_file(index),
            Err(_) => None,
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
    /// [`Error::OutOfRange`], [`Error::LengthMismatch`], [`Error::InvalidArgument`] for a range that
    /// is none, and those of [`Array::lock`]; then `target` is as before.
    ///
    /// ```
    /// let array = shmkit::Array::from_slice(&[1u8, 2, 3, 4])?;
    /// let mut middle = [0; 2];
    /// array.copy_to(1..3, &mut middle)?;
    /// assert_eq!(middle, [2, 3]);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn copy_to(&self, range: impl RangeBounds<usize>, target: &mut [T]) -> Result<()> {
        let range = as_many(range, self.len(), target.len())?;
        target.copy_from_slice(&self.lock()?[range]);
        Ok(())
    }

    /// Copies `source` over the elements of `range`, which has that length. Waits for the lock.
    ///
    /// # Errors
    ///
    /// As [`Array::copy_to`]; then nothing is written.
    pub fn copy_from(&self, range: impl RangeBounds<usize>, source: &[T]) -> Result<()> {
        let range = as_many(range, self.len(), source.len())?;
        self.lock()?[range].copy_from_slice(source);
        Ok(())
    }

    /// A copy of the elements of `range`, of one moment; `..` for all. Waits for the lock.
    ///
    /// # Errors
    ///
    /// As [`Array::copy_to`].
    ///
    /// ```
    /// let array = shmkit::Array::from_slice(&[1.5f64, 2.5, 3.5])?;
    /// assert_eq!(array.to_vec(1..)?, [2.5, 3.5]);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn to_vec(&self, range: impl RangeBounds<usize>) -> Result<Vec<T>> {
        let range = within(range, self.len())?;
        Ok(self.lock()?[range].to_vec())
    }

    /// Copies of all elements, in order, each read by itself when its turn comes, as [`Array::get`]
    /// does, and ending where that says `None`; for one consistent picture use [`Array::to_vec`] or
    /// iterate over the guard.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        (0..self.len()).map_while(|index| self.get(index))
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
