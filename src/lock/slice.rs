//! Elements in a region under a robust lock: the body of `Array`.
//!
//! ```text
//! byte 0      128
//!      lock   elements
//! ```
//!
//! - S1. Elements are reached only through the guard, while the lock is held, so that `&mut [T]` is
//!   exclusive: the one exception to "no `&mut` into a region".
//! - S2. `len` and `base` were checked when the handle was made and are never read again.
//!
//! A guard edits in place. If its holder dies, the elements may be half written: the next owner is
//! told, and repairs what it finds.

#![allow(unsafe_code)]

use super::deadline::Deadline;
use super::error::LockError;
use super::hold::Hold;
use super::raw::RawLock;
use crate::error::{Error, Result};
use crate::region::{Address, Element, Kind, Object, Pinned, Place, Spec};
use bytemuck::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;

pub(super) const ELEMENTS: u64 = 128;

/// A handle to elements under a lock.
pub(crate) struct GuardedSlice<T> {
    lock: Pinned<RawLock>,
    base: NonNull<T>,
    len: usize,
}

// SAFETY: elements are reached only under the lock (S1), and `Pod` values may be copied anywhere.
unsafe impl<T: Pod + Send> Send for GuardedSlice<T> {}
// SAFETY: as above.
unsafe impl<T: Pod + Send> Sync for GuardedSlice<T> {}

impl<T: Pod> GuardedSlice<T> {
    /// Makes `len` elements, filled by `fill` (zero before).
    pub(crate) fn create(
        place: Place<'_>,
        len: usize,
        fill: impl FnOnce(&mut [T]),
    ) -> Result<GuardedSlice<T>> {
        if align_of::<T>() as u64 > ELEMENTS {
            return Err(Error::InvalidArgument("elements aligned to more than 128 bytes"));
        }
        let bytes = bytes_of_elements::<T>(ELEMENTS, len)?;
        let spec = Spec {
            kind: Kind::Array,
            element: Element::of::<T>(),
            len: len as u64,
            bytes,
            backed: bytes,
            owners: &[RawLock::owner_words(0)],
        };
        let object = Object::create(place, &spec, |object| {
            let this = Self::on(object.clone())?;
            // SAFETY: S2, and nobody else has seen the object yet.
            fill(unsafe { slice::from_raw_parts_mut(this.base.as_ptr(), len) });
            Ok(())
        })?;
        Self::on(object)
    }

    pub(crate) fn open<'a>(at: impl Into<Address<'a>>) -> Result<GuardedSlice<T>> {
        Self::on(Object::open(at, Kind::Array, Element::of::<T>())?)
    }

    pub(crate) fn on(object: Object) -> Result<GuardedSlice<T>> {
        let bytes = object.len().checked_mul(size_of::<T>() as u64);
        let bytes = bytes.ok_or(Error::Corrupt("length of an array"))?;
        let base = object.span(ELEMENTS, bytes, align_of::<T>() as u64)?.cast();
        // The region bounds it, unless elements have no size; then every length is a good one.
        let len = usize::try_from(object.len());
        let len = len.map_err(|_| Error::Corrupt("length of an array"))?;
        Ok(GuardedSlice { lock: object.pin(0)?, base, len })
    }

    pub(crate) fn object(&self) -> &Object {
        self.lock.object()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn lock(
        &self,
        deadline: Deadline,
    ) -> Result<ArrayGuard<'_, T>, LockError<ArrayGuard<'_, T>>> {
        Hold::acquire(
            &self.lock,
            deadline,
            |hold| ArrayGuard { base: self.base, len: self.len, hold, elements: PhantomData },
            |guard| guard.hold.recover(),
        )
    }

    /// Copies an element out, from the file instead of the mapping, as another process would: the
    /// guard of this thread may have lent the elements in the mapping as `&mut` (S1).
    pub(crate) fn read_file(&self, index: usize) -> Option<T> {
        if index >= self.len {
            return None;
        }
        let mut element = T::zeroed();
        let offset = ELEMENTS + (index * size_of::<T>()) as u64;
        self.lock.object().read_file(offset, bytemuck::bytes_of_mut(&mut element)).ok()?;
        Some(element)
    }
}

/// How many bytes `len` elements take behind `offset`.
pub(super) fn bytes_of_elements<T>(offset: u64, len: usize) -> Result<u64> {
    let bytes = (len as u64).checked_mul(size_of::<T>() as u64);
    // What no number can say is more than any machine has.
    let none = Error::NoMemory { asked_bytes: u64::MAX, available_bytes: isize::MAX as u64 };
    bytes.and_then(|bytes| bytes.checked_add(offset)).ok_or(none)
}

impl<T> Clone for GuardedSlice<T> {
    fn clone(&self) -> GuardedSlice<T> {
        GuardedSlice { lock: self.lock.clone(), base: self.base, len: self.len }
    }
}

/// A held [`Array`](crate::Array): its elements as a slice, edited in place; released on drop.
///
/// If the holder dies or panics, the elements stay as they are at that moment, and the next owner
/// is told.
///
/// A guard that is forgotten ([`std::mem::forget`]) keeps the lock as long as this process has a
/// handle to its region. Once the last one is dropped, or the process has ended, the next owner gets
/// the lock as after a death.
pub struct ArrayGuard<'a, T: Pod> {
    base: NonNull<T>,
    len: usize,
    elements: PhantomData<&'a mut [T]>,
    #[allow(dead_code, reason = "held for its drop, and for `recover`")]
    hold: Hold<'a>,
}

impl<T: Pod> Deref for ArrayGuard<'_, T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: S1, S2; `hold` keeps the lock as long as the guard lives.
        unsafe { slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }
}

impl<T: Pod> DerefMut for ArrayGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: S1, S2; `hold` keeps the lock as long as the guard lives.
        unsafe { slice::from_raw_parts_mut(self.base.as_ptr(), self.len) }
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for ArrayGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
