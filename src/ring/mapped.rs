//! The site of a ring in production: a part of an object in a region.

#![allow(unsafe_code)]

use super::indices::Indices;
use super::site::Site;
use crate::error::{Error, Result};
use crate::region::id::ParticipantId;
use crate::region::{Attached, Object, OwnerField, OwnerWords, Pinned, Shared};
use bytemuck::Pod;
use std::ptr::NonNull;

// SAFETY: atomics only; any bytes are valid.
unsafe impl Shared for Indices {}

/// Indices and slots in a region.
pub(crate) struct Mapped<T> {
    indices: Pinned<Indices>,
    slots: NonNull<T>,
    slot_count: usize,
}

impl<T: Pod> Mapped<T> {
    /// The ring whose indices lie `indices_at` bytes into `object`, and its `slot_count` slots
    /// `slots_at` bytes.
    pub(crate) fn new(
        object: &Object,
        indices_at: u64,
        slots_at: u64,
        slot_count: usize,
    ) -> Result<Mapped<T>> {
        let bytes = (slot_count as u64).checked_mul(size_of::<T>() as u64);
        let bytes = bytes.filter(|_| slot_count.is_power_of_two());
        let bytes = bytes.ok_or(Error::Corrupt("capacity of a ring"))?;
        let slots = object.span(slots_at, bytes, align_of::<T>() as u64)?.cast();
        Ok(Mapped { indices: object.pin(indices_at)?, slots, slot_count })
    }

    /// The owner words of a ring whose indices lie `indices_at` bytes into its object.
    pub(crate) fn owner_words(indices_at: u64) -> OwnerWords {
        OwnerWords {
            first_bytes: indices_at + Indices::OWNER_OFFSET as u64,
            stride_bytes: Indices::OWNER_STRIDE as u32,
            count: 2,
            field: OwnerField::Id,
        }
    }

    pub(crate) fn object(&self) -> &Object {
        self.indices.object()
    }
}

// SAFETY: `new` checked bounds, alignment and the power of two; `indices` keeps the region mapped,
// and region memory is initialised, with any bytes a `T: Pod`.
unsafe impl<T: Pod> Site for Mapped<T> {
    type Slot = T;
    type Who<'a>
        = Attached<'a>
    where
        T: 'a;

    #[inline(always)]
    fn indices(&self) -> &Indices {
        &self.indices
    }

    #[inline(always)]
    fn slot_count(&self) -> usize {
        self.slot_count
    }

    #[inline(always)]
    fn reading(&self, index: usize, count: usize) -> *const T {
        self.writing(index, count)
    }

    #[inline(always)]
    fn writing(&self, index: usize, count: usize) -> *mut T {
        debug_assert!(index + count <= self.slot_count);
        // SAFETY: the caller's `index + count <= slot_count`, all of which `new` checked.
        unsafe { self.slots.as_ptr().add(index) }
    }

    #[inline(always)]
    fn own_id(&self) -> Option<ParticipantId> {
        self.object().own_id()
    }

    fn who(&self) -> Option<Attached<'_>> {
        self.object().attached().ok()
    }
}

// SAFETY: an address in a region, which any thread may use; one end is held by one handle.
unsafe impl<T: Pod + Send> Send for Mapped<T> {}
