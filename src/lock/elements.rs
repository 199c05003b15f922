//! Elements without a lock: an array that everybody reads and writes at once.
//!
//! The memory is a plain array of `T`. It is reached in *units* only: atomics of one size, the
//! largest of 1, 2, 4 and 8 bytes that divides the size of `T`. All access to one array is of one
//! size, as the memory model wants it, and what any two do at once is defined.
//!
//! ```text
//! T                 unit   whole when others write at once
//! u8, [u8; 5]       1      each byte
//! f32, [u32; 3]     4      each word of 4 bytes
//! u64, [f32; 2]     8      the element
//! [f64; 3]          8      each of its numbers
//! ```
//!
//! # Invariants
//!
//! - I1. The memory is accessed by atomics of the unit's size and by nothing else; no reference to a
//!   `T` in it is ever made.
//! - I2. `base` and `len` are of this handle and are never read from the memory.
//!
//! # Memory ordering
//!
//! | edge | Release | Acquire | then visible |
//! |---|---|---|---|
//! | publish | fence in `write`, before it stores | fence in `read`, after it has loaded | what was done before the write, if the read saw any unit of it |
//!
//! Units themselves are loaded and stored Relaxed: several of them have no order among each other.
//! `fetch_add` is an edge in both directions.
//!
//! # Death
//!
//! A writer that dies leaves the units that it has stored. There is nothing to release.
#![allow(unsafe_code)]

use super::cell::Integer;
use crate::sync::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence};
use Ordering::{AcqRel, Acquire, Relaxed, Release};
use bytemuck::Pod;
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::NonNull;

/// A local handle to elements that live elsewhere.
pub struct Elements<T> {
    base: NonNull<u8>,
    len: usize,
    elements: PhantomData<T>,
}

impl<T> Clone for Elements<T> {
    fn clone(&self) -> Elements<T> {
        Elements { base: self.base, len: self.len, elements: PhantomData }
    }
}

// SAFETY: the handle is an address; all access goes through atomics, and elements are sent by copy.
unsafe impl<T: Pod + Send> Send for Elements<T> {}
// SAFETY: as above.
unsafe impl<T: Pod + Send> Sync for Elements<T> {}

impl<T: Pod> Elements<T> {
    /// How elements must be aligned.
    pub const ALIGN: usize = 8;

    /// Bytes of a unit.
    const UNIT: usize = match size_of::<T>().trailing_zeros() {
        0 => 1,
        1 => 2,
        2 => 4,
        _ => 8, // also for elements without bytes, which have no units
    };

    /// The `len` elements at `base`, which is aligned to [`Elements::ALIGN`].
    ///
    /// # Safety
    ///
    /// While the handle or a copy of it is used, so many elements at `base` are mapped, readable and
    /// writable, and I1 holds.
    pub unsafe fn at(base: NonNull<u8>, len: usize) -> Elements<T> {
        debug_assert!(base.addr().get().is_multiple_of(Self::ALIGN));
        Elements { base, len, elements: PhantomData }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Copies the elements from `first` on to `target`; there must be as many. Wait-free.
    #[inline]
    pub fn read(&self, first: usize, target: &mut [T]) {
        let range = self.bytes(first, target.len());
        let target = bytemuck::cast_slice_mut(target);
        match Self::UNIT {
            1 => self.load::<u8>(range, target),
            2 => self.load::<u16>(range, target),
            4 => self.load::<u32>(range, target),
            _ => self.load::<u64>(range, target),
        }
        // publish, Acquire: what was done before the Release in `write` of what we have loaded.
        fence(Acquire);
    }

    /// The element at `index`, which must be there. Wait-free.
    #[inline]
    pub fn get(&self, index: usize) -> T {
        let mut element = T::zeroed();
        self.read(index, std::slice::from_mut(&mut element));
        element
    }

    /// Copies `source` over the elements from `first` on; there must be as many. Wait-free.
    #[inline]
    pub fn write(&self, first: usize, source: &[T]) {
        let range = self.bytes(first, source.len());
        let source = bytemuck::cast_slice(source);
        // publish, Release: what was done so far goes before every unit stored here.
        fence(Release);
        match Self::UNIT {
            1 => self.store::<u8>(range, source),
            2 => self.store::<u16>(range, source),
            4 => self.store::<u32>(range, source),
            _ => self.store::<u64>(range, source),
        }
    }

    /// The bytes of `len` elements from `first` on.
    ///
    /// # Panics
    ///
    /// If they are not there.
    fn bytes(&self, first: usize, len: usize) -> Range<usize> {
        assert!(first <= self.len && len <= self.len - first, "elements out of bounds");
        first * size_of::<T>()..(first + len) * size_of::<T>()
    }

    #[inline(always)]
    fn load<U: Unit>(&self, range: Range<usize>, target: &mut [u8]) {
        if U::BYTES == 1 && range.len() >= BULK_BYTES {
            // SAFETY: `bytes` checked the range; `target` is as long and our own.
            return unsafe {
                copy_bytes(self.base.add(range.start).as_ptr(), target.as_mut_ptr(), range.len())
            };
        }
        let mut at = range.start;
        let mut load = |bytes: &mut [u8]| {
            bytes.copy_from_slice(bytemuck::bytes_of(&U::load(self.unit::<U>(at))));
            at += U::BYTES;
        };
        let mut groups = target.chunks_exact_mut(GROUP_UNITS * U::BYTES);
        for group in &mut groups {
            group.chunks_exact_mut(U::BYTES).for_each(&mut load);
        }
        groups.into_remainder().chunks_exact_mut(U::BYTES).for_each(load);
    }

    #[inline(always)]
    fn store<U: Unit>(&self, range: Range<usize>, source: &[u8]) {
        if U::BYTES == 1 && range.len() >= BULK_BYTES {
            // SAFETY: as in `load`, the other way round.
            return unsafe {
                copy_bytes(source.as_ptr(), self.base.add(range.start).as_ptr(), range.len())
            };
        }
        let mut at = range.start;
        let mut store = |bytes: &[u8]| {
            U::store(self.unit::<U>(at), bytemuck::pod_read_unaligned(bytes));
            at += U::BYTES;
        };
        let groups = source.chunks_exact(GROUP_UNITS * U::BYTES);
        let rest = groups.remainder();
        for group in groups {
            group.chunks_exact(U::BYTES).for_each(&mut store);
        }
        rest.chunks_exact(U::BYTES).for_each(store);
    }

    /// The unit `at` bytes from the start, a multiple of its size within the elements.
    #[inline(always)]
    fn unit<U: Unit>(&self, at: usize) -> &U::Atomic {
        debug_assert!(at.is_multiple_of(U::BYTES) && at < self.len * size_of::<T>());
        // In units, because the model's atomics are larger than the real ones.
        let place = self.base.cast::<U::Atomic>();
        // SAFETY: inside by `bytes`, mapped by the promise of `at`, aligned because `base` is to 8;
        // an atomic is valid for any bytes and shares its memory with atomics of its size (I1).
        unsafe { place.add(at / U::BYTES).as_ref() }
    }
}

impl<T: Integer> Elements<T> {
    /// Adds to the element at `index`, which must be there, wrapping around at the ends of `T`, and
    /// returns the value before. Wait-free; AcqRel, the partners being all accesses to the element.
    #[inline]
    pub fn fetch_add(&self, index: usize, operand: T) -> T {
        let at = self.bytes(index, 1).start;
        match Self::UNIT {
            1 => self.add::<u8>(at, operand),
            2 => self.add::<u16>(at, operand),
            4 => self.add::<u32>(at, operand),
            _ => self.add::<u64>(at, operand),
        }
    }

    #[inline(always)]
    fn add<U: Unit>(&self, at: usize, operand: T) -> T {
        bytemuck::cast(U::fetch_add(self.unit::<U>(at), bytemuck::cast(operand)))
    }
}

/// Something that processors load and store whole.
trait Unit: Pod {
    const BYTES: usize = size_of::<Self>();
    type Atomic;
    fn load(atomic: &Self::Atomic) -> Self;
    fn store(atomic: &Self::Atomic, value: Self);
    fn fetch_add(atomic: &Self::Atomic, operand: Self) -> Self;
}

macro_rules! units {
    ($($unit:ty, $atomic:ty;)*) => {$(
        impl Unit for $unit {
            type Atomic = $atomic;

            #[inline(always)]
            fn load(atomic: &$atomic) -> $unit {
                atomic.load(Relaxed) // ordered by the fence in `read`
            }

            #[inline(always)]
            fn store(atomic: &$atomic, value: $unit) {
                atomic.store(value, Relaxed); // ordered by the fence in `write`
            }

            #[inline(always)]
            fn fetch_add(atomic: &$atomic, operand: $unit) -> $unit {
                atomic.fetch_add(operand, AcqRel) // publish, both ways
            }
        }
    )*};
}
units! { u8, AtomicU8; u16, AtomicU16; u32, AtomicU32; u64, AtomicU64; }

/// Units that are copied in a row without a look at the end: compilers unroll no loop over atomics.
const GROUP_UNITS: usize = 8;

/// From here on [`copy_bytes`] pays.
const BULK_BYTES: usize =
    if cfg!(all(target_arch = "x86_64", not(loom))) { 128 } else { usize::MAX };

/// Copies bytes as a loop of Relaxed loads and stores of single bytes would, but faster: compilers
/// do not join atomics, the processor does.
///
/// # Safety
///
/// `len` bytes are there at both addresses, and whoever accesses them at the same time does so by
/// atomics of one byte.
#[cfg(target_arch = "x86_64")]
unsafe fn copy_bytes(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: by the caller's promise. The direction flag is clear, as the calling convention has
    // it. Each byte is loaded and stored once, in an order that nobody is promised.
    unsafe {
        std::arch::asm!(
            "rep movsb",
            inout("rcx") len => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags)
        );
    }
}

/// Elsewhere no slice is long enough to come here.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn copy_bytes(_: *const u8, _: *mut u8, _: usize) {}

#[cfg(all(test, not(loom)))]
#[path = "elements_tests.rs"]
mod tests;
