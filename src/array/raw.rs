//! `RawArray<T>`: a fixed number of elements that processes share, without a lock.

use super::range::{as_many, within};
use crate::error::{Error, Result};
use crate::lock::cell::Integer;
use crate::lock::plain::PlainSlice;
use crate::region::{Place, Region};
use bytemuck::Pod;
use std::fmt;
use std::ops::RangeBounds;

/// A fixed number of elements in shared memory, without a lock: for data of which every process
/// writes its own part, or of which the newest is good enough.
///
/// Any number of processes and threads may use one array at once; clones are handles to the same
/// array. Nothing here waits, and nothing is left behind by a process that dies.
///
/// # What is atomic
///
/// - An element of 1, 2, 4 or 8 bytes is read and written whole: [`get`](RawArray::get) returns what
///   one [`set`](RawArray::set) wrote.
/// - A larger element goes in pieces, each of which is whole: of 8 bytes if they divide its size, or
///   else of 4, 2 or 1. If others write it at once a read may find pieces of several.
/// - Several elements are read and written one by one, in no particular order.
/// - Who reads what another wrote, also sees what that one did before.
/// - Between a read and a write others may have written: to count, use
///   [`fetch_add`](RawArray::fetch_add).
///
/// Where several elements belong together, an [`Array`](crate::Array) has a lock.
///
/// ```
/// use shmkit::RawArray;
///
/// let samples = RawArray::<f32>::zeroed(1000)?;
/// samples.copy_from(10..12, &[0.5, 0.25])?;
/// assert_eq!(samples.get(11), Some(0.25));
/// assert_eq!(samples.iter().sum::<f32>(), 0.75);
/// # Ok::<(), shmkit::Error>(())
/// ```
pub struct RawArray<T> {
    pub(super) inner: PlainSlice<T>,
}

impl<T: Pod> RawArray<T> {
    /// Makes `len` zeroed elements in a region of their own, without a name.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`] when there is not that much, [`Error::Os`].
    pub fn zeroed(len: usize) -> Result<RawArray<T>> {
        Ok(RawArray { inner: PlainSlice::create(Place::Anonymous, len, |_| {})? })
    }

    /// Makes an array with a copy of `elements`.
    ///
    /// # Errors
    ///
    /// As [`RawArray::zeroed`].
    pub fn from_slice(elements: &[T]) -> Result<RawArray<T>> {
        let fill = |all: &crate::lock::elements::Elements<T>| all.write(0, elements);
        Ok(RawArray { inner: PlainSlice::create(Place::Anonymous, elements.len(), fill)? })
    }

    /// Makes `len` zeroed elements that unrelated processes of the same user find by `name`.
    ///
    /// # Errors
    ///
    /// As [`RawArray::zeroed`]; [`Error::Exists`], [`Error::InvalidName`], [`Error::NoSpace`].
    pub fn create(name: &str, len: usize) -> Result<RawArray<T>> {
        Ok(RawArray { inner: PlainSlice::create(Place::Named(name), len, |_| {})? })
    }

    /// Opens the live array of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::TypeMismatch`] for another kind of object (an `Array` too) or
    /// another `T`, and those of [`Region::open`].
    pub fn open(name: &str) -> Result<RawArray<T>> {
        Ok(RawArray { inner: PlainSlice::open(name)? })
    }

    /// Makes `len` zeroed elements in `region`, beside other objects.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`] when the region is full, [`Error::NoMemory`].
    pub fn new_in(region: &Region, len: usize) -> Result<RawArray<T>> {
        Ok(RawArray { inner: PlainSlice::create(Place::In(region), len, |_| {})? })
    }

    /// The number of elements; it never changes.
    pub fn len(&self) -> usize {
        self.inner.elements().len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of the element at `index`; `None` if `index` is out of range. Wait-free.
    #[inline]
    pub fn get(&self, index: usize) -> Option<T> {
        (index < self.len()).then(|| self.inner.elements().get(index))
    }

    /// Replaces the element at `index`. Wait-free.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`].
    #[inline]
    pub fn set(&self, index: usize, value: T) -> Result<()> {
        if index >= self.len() {
            return Err(Error::OutOfRange { index, len: self.len() });
        }
        self.inner.elements().write(index, std::slice::from_ref(&value));
        Ok(())
    }

    /// Copies the elements of `range` to `target`, which has that length. Wait-free.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::LengthMismatch`], and [`Error::InvalidArgument`] for a range
    /// that is none; then `target` is as before.
    pub fn copy_to(&self, range: impl RangeBounds<usize>, target: &mut [T]) -> Result<()> {
        let range = as_many(range, self.len(), target.len())?;
        self.inner.elements().read(range.start, target);
        Ok(())
    }

    /// Copies `source` over the elements of `range`, which has that length. Wait-free.
    ///
    /// # Errors
    ///
    /// As [`RawArray::copy_to`]; then nothing is written.
    pub fn copy_from(&self, range: impl RangeBounds<usize>, source: &[T]) -> Result<()> {
        let range = as_many(range, self.len(), source.len())?;
        self.inner.elements().write(range.start, source);
        Ok(())
    }

    /// A copy of the elements of `range`; `..` for all. Wait-free.
    ///
    /// # Errors
    ///
    /// As [`RawArray::copy_to`].
    pub fn to_vec(&self, range: impl RangeBounds<usize>) -> Result<Vec<T>> {
        let range = within(range, self.len())?;
        let mut copy = vec![T::zeroed(); range.len()];
        self.inner.elements().read(range.start, &mut copy);
        Ok(copy)
    }

    /// Copies of all elements, in order, each read when its turn comes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = T> + '_ {
        (0..self.len()).map(|index| self.inner.elements().get(index))
    }
}

impl<T: Integer> RawArray<T> {
    /// Adds `operand` to the element at `index`, atomically for everybody, wrapping around at the
    /// ends of `T`, and returns the value before. Wait-free. (To subtract, add the negative; of an
    /// unsigned `n` that is `n.wrapping_neg()`.)
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`].
    ///
    /// ```
    /// let histogram = shmkit::RawArray::<u32>::zeroed(10)?;
    /// for grade in [3, 7, 7] {
    ///     histogram.fetch_add(grade, 1)?;
    /// }
    /// assert_eq!(histogram.get(7), Some(2));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    #[inline]
    pub fn fetch_add(&self, index: usize, operand: T) -> Result<T> {
        if index >= self.len() {
            return Err(Error::OutOfRange { index, len: self.len() });
        }
        Ok(self.inner.elements().fetch_add(index, operand))
    }
}

impl<T> Clone for RawArray<T> {
    fn clone(&self) -> RawArray<T> {
        RawArray { inner: self.inner.clone() }
    }
}

impl<T: Pod> fmt::Debug for RawArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawArray").field("len", &self.len()).finish_non_exhaustive()
    }
}

crate::region::passed_by_handle!(RawArray in PlainSlice, RawArray);
