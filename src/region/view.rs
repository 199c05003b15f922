//! Checked access to mapped bytes: the laws of shared memory in one place.
//!
//! - V1. `base .. base + len_bytes` is mapped, readable and writable while the view lives.
//! - V2. Nobody makes a `&mut` into it. A `&T` is made only where `T: Shared`.

#![allow(unsafe_code)]

use crate::error::{Error, Result};
use crate::sync::{AtomicU32, AtomicU64, Ordering::*};
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Types that several processes may reach by `&T` at once.
///
/// # Safety
///
/// Every byte lies in an atomic (padding aside), and every bit pattern is valid.
pub(crate) unsafe trait Shared {}

/// Something that happens once and is then so for good; zero bytes are "not yet".
#[repr(transparent)]
pub(crate) struct Flag(AtomicU32);

// SAFETY: an atomic; any bytes are valid.
unsafe impl Shared for Flag {}

impl Flag {
    pub(crate) fn raise(&self) {
        self.0.store(1, Release); // raise: pairs with the Acquire below
    }

    #[inline(always)]
    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Acquire) != 0 // raise
    }
}

/// A word of plain data, which several processes read and one at a time writes, under a lock of
/// theirs. Any bytes are valid.
#[repr(transparent)]
pub(crate) struct Word(AtomicU64);

// SAFETY: an atomic; any bytes are valid.
unsafe impl Shared for Word {}

impl Word {
    #[inline(always)]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed) // ordered by the lock
    }

    /// Writes the word, after all that this thread has written before: so whoever comes after the
    /// death of a writer finds a first part of what it had to write, in its order.
    #[inline(always)]
    pub(crate) fn put(&self, word: u64) {
        self.0.store(word, Release);
    }

    /// Changes the word if it is `from`: for words without a lock.
    #[inline]
    pub(crate) fn replace(&self, from: u64, to: u64) -> bool {
        self.0.compare_exchange(from, to, AcqRel, Relaxed).is_ok() // partners are its likes
    }
}

/// A range of mapped bytes, borrowed from what keeps it mapped.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    base: NonNull<u8>,
    len_bytes: u64,
    mapping: PhantomData<&'a ()>,
}

impl<'a> View<'a> {
    /// # Safety
    ///
    /// V1 and V2 hold for `'a`, and `base` is aligned to 128 bytes.
    pub(crate) unsafe fn new(base: NonNull<u8>, len_bytes: u64) -> View<'a> {
        View { base, len_bytes, mapping: PhantomData }
    }

    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(crate) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// The `T` at `offset`, if it lies inside and is aligned.
    pub(crate) fn at<T: Shared>(&self, offset: u64) -> Result<&'a T> {
        let place = self.span(offset, size_of::<T>() as u64, align_of::<T>() as u64)?;
        // SAFETY: V1, and `span` checked bounds and alignment. Aliasing and validity: `T: Shared`.
        Ok(unsafe { place.cast::<T>().as_ref() })
    }

    /// The address of `len_bytes` bytes at `offset`, if they lie inside and are aligned.
    pub(crate) fn span(&self, offset: u64, len_bytes: u64, align: u64) -> Result<NonNull<u8>> {
        let end = offset.checked_add(len_bytes).ok_or(Error::Corrupt("an offset overflows"))?;
        if end > self.len_bytes {
            return Err(Error::Corrupt("an offset points outside"));
        }
        // SAFETY: `offset <= end <= len_bytes`, which is mapped (V1), so it fits `isize`.
        let place = unsafe { self.base.add(offset as usize) };
        if !(place.as_ptr() as u64).is_multiple_of(align) {
            return Err(Error::Corrupt("an offset is not aligned"));
        }
        Ok(place)
    }

    /// A part of this view.
    pub(crate) fn part(&self, offset: u64, len_bytes: u64) -> Result<View<'a>> {
        let base = self.span(offset, len_bytes, super::header::LINE_BYTES)?;
        // SAFETY: V1 and V2 of a part follow from those of the whole.
        Ok(unsafe { View::new(base, len_bytes) })
    }
}

/// Copies bytes to a place that has room for them; a few of them without a call.
#[inline(always)]
pub(crate) fn copy(from: &[u8], to: &mut [u8]) {
    let to = &mut to[..from.len()];
    match from.len() {
        32..64 => copy_ends::<32>(from, to),
        16..32 => copy_ends::<16>(from, to),
        8..16 => copy_ends::<8>(from, to),
        4..8 => copy_ends::<4>(from, to),
        2..4 => copy_ends::<2>(from, to),
        1 => to[0] = from[0],
        _ => to.copy_from_slice(from),
    }
}

/// Copies the first `N` bytes and the last, which are all of them.
#[inline(always)]
fn copy_ends<const N: usize>(from: &[u8], to: &mut [u8]) {
    if let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) {
        let (first, last) = (*first, *last);
        to[..N].copy_from_slice(&first);
        let rest = to.len() - N;
        to[rest..].copy_from_slice(&last);
    }
}
