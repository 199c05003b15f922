//! Elements under a robust lock, whose type only the caller knows: an `Array` for other languages.
//!
//! The layout is that of [`super::slice`], so that a Rust program with the type of the same name
//! uses the same array.
//!
//! - B1. `base` and `len` elements from there were checked when the handle was made; the object of
//!   `lock` keeps them mapped.
//! - B2. Elements are read and written here only while the calling thread holds the lock, or as
//!   atomics of 8 bytes.
//!
//! Death: as of an `Array`.

#![allow(unsafe_code)]

use super::bare::BareLock;
use super::deadline::Deadline;
use super::raw::{Acquired, RawLock};
use super::slice::ELEMENTS;
use crate::error::{Error, Result};
use crate::region::{Address, Element, Kind, Object, Place, Spec};
use crate::sync::{AtomicI64, Ordering::*};
use std::ops::Range;
use std::ptr::NonNull;

/// A handle to elements of one size under a lock.
pub struct ByteArray {
    lock: BareLock,
    base: NonNull<u8>,
    len: usize,
    element: Element,
}

// SAFETY: elements are reached under the lock, as atomics, or by raw pointers that are the caller's.
unsafe impl Send for ByteArray {}
// SAFETY: as above.
unsafe impl Sync for ByteArray {}

impl ByteArray {
    /// Makes `len` zeroed elements.
    pub fn create(place: Place<'_>, element: Element, len: usize) -> Result<ByteArray> {
        if element.align() as u64 > ELEMENTS || element.size() == 0 {
            return Err(Error::InvalidArgument("size or alignment of an element"));
        }
        let bytes = (len as u64).checked_mul(element.size() as u64);
        let bytes = bytes.and_then(|bytes| bytes.checked_add(ELEMENTS));
        let bytes = bytes.ok_or(Error::InvalidArgument("length of an array"))?;
        let spec = Spec {
            kind: Kind::Array,
            element,
            len: len as u64,
            bytes,
            backed: bytes,
            owners: &[RawLock::owner_words(0)],
        };
        Self::on(Object::create(place, &spec, |_| Ok(()))?, element)
    }

    /// The array at this address, which has such elements.
    pub fn find(at: Address<'_>, element: Element) -> Result<ByteArray> {
        if element.size() == 0 {
            return Err(Error::InvalidArgument("size of an element"));
        }
        Self::on(Object::open(at, Kind::Array, element)?, element)
    }

    pub(super) fn on(object: Object, element: Element) -> Result<ByteArray> {
        let corrupt = Error::Corrupt("length of an array");
        let Some(bytes) = object.len().checked_mul(element.size() as u64) else {
            return Err(corrupt);
        };
        let base = object.span(ELEMENTS, bytes, element.align() as u64)?;
        let len = usize::try_from(object.len()).map_err(|_| corrupt)?;
        Ok(ByteArray { lock: BareLock::of(object.pin(0)?), base, len, element })
    }

    #[cfg(feature = "serde")]
    pub(super) fn object(&self) -> &Object {
        self.lock.object()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The type of the elements.
    pub fn element(&self) -> Element {
        self.element
    }

    /// The first element; valid as long as the handle.
    pub fn data(&self) -> NonNull<u8> {
        self.base
    }

    /// The lock of the array.
    pub fn lock(&self) -> &BareLock {
        &self.lock
    }

    /// Copies elements from `first` on out, as many as fill `target`. Takes the lock, unless this
    /// thread holds it.
    pub fn read(&self, first: usize, target: &mut [u8]) -> Result<Acquired> {
        let range = self.range(first, target.len())?;
        self.within(|base| {
            // SAFETY: B1, B2; `target` is the caller's own.
            unsafe {
                base.add(range.start).copy_to_nonoverlapping(
                    NonNull::new_unchecked(target.as_mut_ptr()),
                    range.len(),
                );
            }
        })
    }

    /// Copies `source` over the elements from `first` on. Takes the lock, unless this thread holds
    /// it.
    pub fn write(&self, first: usize, source: &[u8]) -> Result<Acquired> {
        let range = self.range(first, source.len())?;
        self.within(|base| {
            // SAFETY: as in `read`.
            unsafe {
                base.add(range.start)
                    .as_ptr()
                    .copy_from_nonoverlapping(source.as_ptr(), range.len());
            }
        })
    }

    /// The element at `index` as an atomic, if elements have 8 bytes.
    #[inline]
    pub fn atomic(&self, index: usize) -> Result<&AtomicI64> {
        if self.element.size() != 8 || self.element.align() != 8 {
            return Err(Error::InvalidArgument("elements that are not of 8 bytes"));
        }
        if index >= self.len {
            return Err(Error::OutOfRange { index, len: self.len });
        }
        // SAFETY: B1, aligned to 8; any bytes are an atomic.
        Ok(unsafe { self.base.cast::<AtomicI64>().add(index).as_ref() })
    }

    fn within(&self, f: impl FnOnce(NonNull<u8>)) -> Result<Acquired> {
        if self.lock.is_held()? {
            f(self.base);
            return Ok(Acquired::Clean);
        }
        let acquired = self.lock.acquire(Deadline::Never)?;
        f(self.base);
        self.lock.release()?;
        Ok(acquired)
    }

    /// The bytes of the elements from `first` on.
    fn range(&self, first: usize, len_bytes: usize) -> Result<Range<usize>> {
        let size = self.element.size();
        let count = len_bytes / size;
        if first > self.len || count > self.len - first {
            return Err(Error::OutOfRange { index: first.saturating_add(count), len: self.len });
        }
        Ok(first * size..(first + count) * size)
    }
}

/// The atomic operations of other languages; AcqRel: what was done before one is visible after
/// those that see its result.
impl ByteArray {
    /// The element.
    #[inline]
    pub fn load(&self, index: usize) -> Result<i64> {
        Ok(self.atomic(index)?.load(Acquire))
    }

    /// Replaces the element.
    #[inline]
    pub fn store(&self, index: usize, value: i64) -> Result<()> {
        self.atomic(index)?.store(value, Release);
        Ok(())
    }

    /// Adds, wrapping around, and returns what was there before.
    #[inline]
    pub fn add(&self, index: usize, value: i64) -> Result<i64> {
        Ok(self.atomic(index)?.fetch_add(value, AcqRel))
    }

    /// Replaces `expected` by `value`, or returns what was there instead.
    #[inline]
    pub fn compare_exchange(
        &self,
        index: usize,
        expected: i64,
        value: i64,
    ) -> Result<std::result::Result<i64, i64>> {
        Ok(self.atomic(index)?.compare_exchange(expected, value, AcqRel, Acquire))
    }
}
