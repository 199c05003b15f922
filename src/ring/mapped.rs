//! A ring in a region: where its words and slots are, checked once.
//!
//! - M1. `slots` points at `slot_count` slots inside the region, which `indices` keeps mapped.

#![allow(unsafe_code)]

use super::end::{End, Stop};
use super::indices::Indices;
use super::site::Site;
use crate::error::{Error, Result};
use crate::region::id::ParticipantId;
use crate::region::{
    Attached, Element, Kind, Object, OwnerField, OwnerWords, Pinned, Place, Shared, Spec,
};
use crate::sync::{AtomicU32, Ordering::Relaxed};
use bytemuck::Pod;
use std::ptr::NonNull;

// SAFETY: atomics and padding; any bytes are valid.
unsafe impl Shared for Indices {}

/// One handle's view of a ring in a region.
pub(crate) struct Mapped<T> {
    indices: Pinned<Indices>,
    slots: NonNull<T>,
    slot_count: usize,
    /// Reads 0 in a forked child. Used while `indices` keeps the mapping.
    own_id: &'static AtomicU32,
}

// SAFETY: M1: the slots are plain shared memory, used by one end at a time as the ring's
// invariants say; values are sent by copy.
unsafe impl<T: Pod + Send> Send for Mapped<T> {}

impl<T> Clone for Mapped<T> {
    fn clone(&self) -> Self {
        Mapped { indices: self.indices.clone(), ..*self }
    }
}

/// Where the slots of a ring begin that is alone in its object; the indices come first.
pub(super) const SLOTS: u64 = size_of::<Indices>() as u64;

/// Slots in memory for `capacity` of them: the next power of two.
pub(super) fn slots_for(capacity: u64) -> Result<usize> {
    if !(1..=1 << 48).contains(&capacity) {
        return Err(CAPACITY);
    }
    usize::try_from(capacity.next_power_of_two()).map_err(|_| CAPACITY)
}

pub(super) const CAPACITY: Error = Error::InvalidArgument("capacity of a ring");

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
        let own_id = object.mapping().own_id_word();
        Ok(Mapped { indices: object.pin(indices_at)?, slots, slot_count, own_id })
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

    /// Makes both ends of a ring in a new object vacant.
    pub(crate) fn vacate(&self) {
        self.indices.vacate();
    }

    /// Makes a ring for `capacity` items with both ends vacant.
    pub(crate) fn create(
        place: Place<'_>,
        kind: Kind,
        element: Element,
        capacity: u64,
    ) -> Result<Mapped<T>> {
        if align_of::<T>() > align_of::<Indices>() {
            return Err(Error::InvalidArgument("alignment of the items of a ring"));
        }
        let slot_count = slots_for(capacity)?;
        let bytes = (slot_count as u64).checked_mul(size_of::<T>() as u64);
        let bytes = bytes.and_then(|bytes| bytes.checked_add(SLOTS)).ok_or(CAPACITY)?;
        let owners = &[Self::owner_words(0)];
        let spec = Spec { kind, element, len: capacity, bytes, backed: bytes, owners };
        let object = Object::create(place, &spec, |object| {
            Mapped::<T>::on(object).map(|ring| ring.vacate())
        })?;
        Mapped::on(&object)
    }

    /// The ring that `object` is.
    pub(crate) fn on(object: &Object) -> Result<Mapped<T>> {
        let slots = slots_for(object.len()).map_err(|_| Error::Corrupt("capacity of a ring"))?;
        Mapped::new(object, 0, SLOTS, slots)
    }

    pub(crate) fn object(&self) -> &Object {
        self.indices.object()
    }

    /// Takes an end that is vacant, or whose owner is dead.
    pub(crate) fn claim<const ROLE: bool>(self) -> Result<End<Mapped<T>, ROLE>> {
        let capacity = self.object().len() as usize; // at most `slot_count`, see `on`
        Ok(End::claim(self, capacity)?)
    }
}

impl<T: Pod, const ROLE: bool> End<Mapped<T>, ROLE> {
    /// Encodes this end and gives it to the receiver; back again if it does not get there.
    #[cfg(feature = "serde")]
    pub(crate) fn send<S: serde::Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        self.site().object().send(serializer, |receiver| self.give_away(receiver).map(Some))
    }

    /// Gives this end to `receiver`, and returns what gives it back should it not get there.
    pub(crate) fn give_away(&self, receiver: ParticipantId) -> Result<Box<dyn FnOnce() + Send>> {
        let gift = self.give(receiver)?;
        let indices = self.site().indices.clone();
        Ok(Box::new(move || gift.take_back(&indices)))
    }

    /// Decodes an end that another process has sent.
    #[cfg(feature = "serde")]
    pub(crate) fn receive<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
        kind: Kind,
        element: Element,
    ) -> std::result::Result<Self, D::Error> {
        use serde::de::Error as _;
        let arrival = Object::receive(deserializer, kind, element)?;
        let resume = || -> Result<Self> {
            let site = Mapped::on(&arrival.object)?;
            Ok(End::resume(site, arrival.object.len() as usize, arrival.owner()?)?)
        };
        resume().map_err(D::Error::custom)
    }
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Error {
        match stop {
            Stop::Disconnected => Error::Disconnected,
            Stop::Corrupt => Error::Corrupt("position of a ring"),
            Stop::NotOwner => Error::WrongProcess,
        }
    }
}

// SAFETY: M1: `new` checked the slots' bounds and alignment, and that their number is a power of
// two; a mapping consists of initialised bytes and lives as long as `indices`.
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
        // Not `add`: an address is computed here and nothing promised; the caller dereferences.
        self.slots.as_ptr().wrapping_add(index)
    }

    #[inline(always)]
    fn own_word(&self) -> u32 {
        self.own_id.load(Relaxed) // nothing else is read by it
    }

    fn who(&self) -> Option<Attached<'_>> {
        self.object().attached().ok()
    }
}
