//! The ring in a region: where its words and slots are, checked once.
//!
//! - M1. `slots` points at `slot_count` slots inside the region, which `words` keeps mapped.

#![allow(unsafe_code)]

use super::site::Site;
use super::words::{OWNER_SHIFT, Words};
use crate::error::{Error, Result};
use crate::region::{
    Attached, Element, Kind, Object, OwnerField, OwnerWords, Pinned, Place, Shared, Spec,
};
use crate::sync::{AtomicU32, AtomicU64, Ordering::Relaxed};
use bytemuck::Pod;
use std::ptr::{NonNull, addr_of, addr_of_mut};

// SAFETY: atomics and padding; any bytes are valid.
unsafe impl Shared for Words {}

/// A slot as it lies in memory: the state next to the value, on one line if both fit.
#[repr(C)]
struct Slot<T> {
    control: AtomicU64,
    value: T,
}

/// One handle's view of a ring in a region.
pub(crate) struct Mapped<T> {
    words: Pinned<Words>,
    slots: NonNull<Slot<T>>,
    slot_count: usize,
    /// Reads 0 in a forked child. Used while `words` keeps the mapping.
    own_id: &'static AtomicU32,
}

// SAFETY: M1: the control words are atomics; values are plain shared memory, each used by one
// claimant at a time as the ring's invariants say, and sent by copy.
unsafe impl<T: Pod + Send> Send for Mapped<T> {}
// SAFETY: as above; nothing here is changed through `&self` but by way of the ring.
unsafe impl<T: Pod + Send> Sync for Mapped<T> {}

impl<T> Clone for Mapped<T> {
    fn clone(&self) -> Self {
        Mapped { words: self.words.clone(), ..*self }
    }
}

const SLOTS: u64 = size_of::<Words>() as u64;
const CAPACITY: Error = Error::InvalidArgument("capacity of a ring");

/// Slots in memory for `capacity` of them: the next power of two.
fn slots_for(capacity: u64) -> Result<u32> {
    if (1..=1 << 31).contains(&capacity) {
        Ok((capacity as u32).next_power_of_two())
    } else {
        Err(CAPACITY)
    }
}

impl<T: Pod> Mapped<T> {
    /// Makes a ring for `capacity` values. Zeroed memory is an empty one.
    pub(crate) fn create(place: Place<'_>, capacity: u64) -> Result<Object> {
        if align_of::<Slot<T>>() > align_of::<Words>() {
            return Err(Error::InvalidArgument("alignment of the items of a ring"));
        }
        let slot_count = slots_for(capacity)?;
        let stride_bytes = u32::try_from(size_of::<Slot<T>>())
            .map_err(|_| Error::InvalidArgument("size of the items of a ring"))?;
        let bytes = u64::from(slot_count) * u64::from(stride_bytes) + SLOTS;
        // A sweep must come to the index words first: see "Death" of the ring.
        let field = OwnerField::Number { shift: OWNER_SHIFT };
        let owners = &[
            OwnerWords { first_bytes: 0, stride_bytes: 128, count: 2, field },
            OwnerWords { first_bytes: SLOTS, stride_bytes, count: slot_count, field },
        ];
        let element = Element::of::<T>();
        let spec = Spec { kind: Kind::Mpmc, element, len: capacity, bytes, backed: bytes, owners };
        Object::create(place, &spec, |_| Ok(()))
    }

    /// The ring that `object` is.
    pub(crate) fn on(object: &Object) -> Result<Mapped<T>> {
        let corrupt = |_| Error::Corrupt("capacity of a ring");
        let slot_count = slots_for(object.len()).map_err(corrupt)?;
        let bytes = u64::from(slot_count)
            .checked_mul(size_of::<Slot<T>>() as u64)
            .ok_or(Error::Corrupt("capacity of a ring"))?;
        let slots = object.span(SLOTS, bytes, align_of::<Slot<T>>() as u64)?.cast();
        let own_id = object.mapping().own_id_word();
        Ok(Mapped { words: object.pin(0)?, slots, slot_count: slot_count as usize, own_id })
    }

    pub(crate) fn object(&self) -> &Object {
        self.words.object()
    }

    #[inline(always)]
    fn slot(&self, index: usize) -> *mut Slot<T> {
        debug_assert!(index < self.slot_count);
        // Not `add`: an address is computed here and nothing promised; the caller dereferences.
        self.slots.as_ptr().wrapping_add(index)
    }
}

// SAFETY: M1: `on` checked the slots' bounds and alignment, and that their number is a power of
// two; a mapping consists of initialised bytes and lives as long as `words`.
unsafe impl<T: Pod> Site for Mapped<T> {
    type Value = T;
    type Who<'a>
        = Attached<'a>
    where
        T: 'a;

    #[inline(always)]
    fn words(&self) -> &Words {
        &self.words
    }

    #[inline(always)]
    fn slot_count(&self) -> usize {
        self.slot_count
    }

    #[inline(always)]
    fn control(&self, index: usize) -> *const AtomicU64 {
        // SAFETY: the place of a field, of a slot in bounds; nothing is read.
        unsafe { addr_of!((*self.slot(index)).control) }
    }

    #[inline(always)]
    fn reading(&self, index: usize) -> *const T {
        self.writing(index)
    }

    #[inline(always)]
    fn writing(&self, index: usize) -> *mut T {
        // SAFETY: as in `control`.
        unsafe { addr_of_mut!((*self.slot(index)).value) }
    }

    #[inline(always)]
    fn own_word(&self) -> u32 {
        self.own_id.load(Relaxed) // nothing else is read by it
    }

    fn who(&self) -> Option<Attached<'_>> {
        self.object().attached().ok()
    }
}
