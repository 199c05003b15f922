//! The two ends of a ring of values whose type only the caller knows: for other languages.
//!
//! Kind, layout and algorithm are those of [`super::values`], so that a Rust program with the type
//! of the same name has the other end. Values are copied as bytes, or lent in place as a pointer to
//! the first of them.
//!
//! - T1. `slots` points at `slot_count` times `size` bytes inside the region, which `indices` keeps
//!   mapped.
//!
//! Death: as of [`super::end`]. What was lent in place is an end's own knowledge and goes with it.

#![allow(unsafe_code)]

use super::end::{End, Stop};
use super::indices::{CONSUMER, Indices, PRODUCER};
use super::mapped::{CAPACITY, Mapped, SLOTS, slots_for};
use super::site::Site;
use crate::error::{Error, Result};
use crate::region::{Address, Attached, Element, Kind, Object, Pinned, Place, Spec};
use crate::sync::{AtomicU32, Ordering::Relaxed};
use std::cell::Cell;
use std::ptr::NonNull;

/// Why an end did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No slot is free, or none is filled.
    NotNow,
    /// The other end is closed, and nothing is left.
    Closed,
    /// The owner of the other end has died, and nothing is left.
    PeerDied,
    /// The other end's position cannot be true.
    Corrupt,
    /// This end belongs to another process, or was closed.
    NotOwner,
}

/// A ring, of which neither end is taken by this handle.
#[derive(Clone)]
pub struct Ring {
    object: Object,
    element: Element,
}

impl Ring {
    /// Makes a ring for `capacity` values of this type.
    pub fn create(place: Place<'_>, element: Element, capacity: usize) -> Result<Ring> {
        if element.align() > align_of::<Indices>() || element.size() == 0 {
            return Err(Error::InvalidArgument("size or alignment of the items of a ring"));
        }
        let len = capacity as u64;
        let bytes = (slots_for(len)? as u64).checked_mul(element.size() as u64);
        let bytes = bytes.and_then(|bytes| bytes.checked_add(SLOTS)).ok_or(CAPACITY)?;
        let owners = &[Mapped::<u8>::owner_words(0)];
        let spec = Spec { kind: Kind::Ring, element, len, bytes, backed: bytes, owners };
        let object = Object::create(place, &spec, |object| {
            object.pin::<Indices>(0).map(|indices| indices.vacate())
        })?;
        Ok(Ring { object, element })
    }

    /// The ring at this address, which is of such values.
    pub fn find(at: Address<'_>, element: Element) -> Result<Ring> {
        if element.size() == 0 {
            return Err(Error::InvalidArgument("size of the items of a ring"));
        }
        let ring = Ring { object: Object::open(at, Kind::Ring, element)?, element };
        ring.site().map(|_| ring)
    }

    /// Takes the end that pushes, if it is vacant or its owner is dead.
    pub fn producer(&self) -> Result<Pusher> {
        let end = End::claim(self.site()?, self.capacity())?;
        Ok(Pusher { end, size: self.element.size(), reserved: Cell::new(0) })
    }

    /// Takes the end that pops, if it is vacant or its owner is dead.
    pub fn consumer(&self) -> Result<Popper> {
        let end = End::claim(self.site()?, self.capacity())?;
        Ok(Popper { end, size: self.element.size(), peeked: Cell::new(0) })
    }

    /// The values that the ring holds at most.
    pub fn capacity(&self) -> usize {
        self.object.len() as usize // at most `slot_count`, see `site`
    }

    /// Values in the ring; stale at once, 0 if the positions are corrupt.
    pub fn len(&self) -> usize {
        let len = self.object.at::<Indices>(0).map_or(0, Indices::len);
        if len > self.object.len() { 0 } else { len as usize }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn site(&self) -> Result<Strided> {
        let corrupt = || Error::Corrupt("capacity of a ring");
        let slot_count = slots_for(self.object.len()).map_err(|_| corrupt())?;
        let bytes = (slot_count as u64).checked_mul(self.element.size() as u64);
        let bytes = bytes.ok_or_else(corrupt)?;
        Ok(Strided {
            indices: self.object.pin(0)?,
            slots: self.object.span(SLOTS, bytes, self.element.align() as u64)?,
            slot_count,
            size: self.element.size(),
            own_id: self.object.mapping().own_id_word(),
        })
    }
}

/// Where a ring lies in this process.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The consumer's position.
    pub head: *const u64,
    /// The producer's position.
    pub tail: *const u64,
    /// The first slot.
    pub slots: *mut u8,
    /// Slots in memory.
    pub slot_count: usize,
}

/// The memory of the ring.
struct Strided {
    indices: Pinned<Indices>,
    slots: NonNull<u8>,
    slot_count: usize,
    size: usize,
    /// Reads 0 in a forked child. Used while `indices` keeps the mapping.
    own_id: &'static AtomicU32,
}

impl Strided {
    fn view(&self) -> View {
        let [head, tail] = self.indices.positions();
        View {
            head: std::ptr::from_ref(head).cast(),
            tail: std::ptr::from_ref(tail).cast(),
            slots: self.slots.as_ptr(),
            slot_count: self.slot_count,
        }
    }
}

// SAFETY: T1: the slots are plain shared memory, used by one end at a time as the ring's invariants
// say; values are sent by copy.
unsafe impl Send for Strided {}

// SAFETY: T1: `site` checked the slots' bounds and alignment, `slots_for` gives a power of two, and a
// mapping consists of initialised bytes and lives as long as `indices`. A slot is said to be its
// first byte, of which the pointers are valid for more than promised.
unsafe impl Site for Strided {
    type Slot = u8;
    type Who<'a> = Attached<'a>;

    #[inline(always)]
    fn indices(&self) -> &Indices {
        &self.indices
    }

    #[inline(always)]
    fn slot_count(&self) -> usize {
        self.slot_count
    }

    #[inline(always)]
    fn reading(&self, index: usize, count: usize) -> *const u8 {
        self.writing(index, count)
    }

    #[inline(always)]
    fn writing(&self, index: usize, count: usize) -> *mut u8 {
        debug_assert!(index + count <= self.slot_count);
        // Not `add`: an address is computed here and nothing promised; the caller dereferences.
        self.slots.as_ptr().wrapping_add(index * self.size)
    }

    #[inline(always)]
    fn own_word(&self) -> u32 {
        self.own_id.load(Relaxed) // nothing else is read by it
    }

    fn who(&self) -> Option<Attached<'_>> {
        self.indices.object().attached().ok()
    }
}

/// The end that pushes.
pub struct Pusher {
    end: End<Strided, PRODUCER>,
    size: usize,
    /// Slots that are lent.
    reserved: Cell<usize>,
}

/// The end that pops.
pub struct Popper {
    end: End<Strided, CONSUMER>,
    size: usize,
    /// Slots that are lent.
    peeked: Cell<usize>,
}

/// Copies one value of the usual sizes without a call.
///
/// # Safety
///
/// As of `copy_nonoverlapping`.
#[inline(always)]
unsafe fn copy_one(from: *const u8, to: *mut u8, size: usize) {
    // SAFETY: the caller's promise; each arm copies `size` bytes.
    unsafe {
        match size {
            4 => to.cast::<[u8; 4]>().write(from.cast::<[u8; 4]>().read()),
            8 => to.cast::<[u8; 8]>().write(from.cast::<[u8; 8]>().read()),
            16 => to.cast::<[u8; 16]>().write(from.cast::<[u8; 16]>().read()),
            32 => to.cast::<[u8; 32]>().write(from.cast::<[u8; 32]>().read()),
            64 => to.cast::<[u8; 64]>().write(from.cast::<[u8; 64]>().read()),
            size => to.copy_from_nonoverlapping(from, size),
        }
    }
}

impl Pusher {
    /// Where the ring lies, for programs that do without calls.
    pub fn view(&self) -> View {
        self.end.site().view()
    }

    /// Bytes of a value.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Pushes one value.
    ///
    /// # Safety
    ///
    /// A value's bytes at `value` may be read.
    #[inline]
    pub unsafe fn push(&self, value: *const u8) -> Result<(), Refused> {
        match self.end.available(1) {
            Ok(0) => Err(Refused::NotNow),
            Ok(_) => {
                // SAFETY: I2, I3 of the end: the slot is in bounds and ours; the caller's promise.
                unsafe {
                    copy_one(value, self.end.site().writing(self.end.index(0), 1), self.size);
                }
                self.end.advance(1);
                self.reserved.set(0);
                Ok(())
            }
            Err(stop) => Err(self.refused(stop)),
        }
    }

    /// Pushes up to `count` values and says how many: at least one, unless `count` is 0.
    ///
    /// # Safety
    ///
    /// The bytes of `count` values at `values` may be read.
    #[inline]
    pub unsafe fn push_some(&self, values: *const u8, count: usize) -> Result<usize, Refused> {
        let count = self.room(count)?;
        let site = self.end.site();
        let first = count.min(site.slot_count - self.end.index(0));
        // SAFETY: as in `push`, in two runs at the end of the slots.
        unsafe {
            let to = site.writing(self.end.index(0), first);
            to.copy_from_nonoverlapping(values, first * self.size);
            let rest = values.wrapping_add(first * self.size);
            site.writing(0, count - first)
                .copy_from_nonoverlapping(rest, (count - first) * self.size);
        }
        self.end.advance(count as u64);
        self.reserved.set(0);
        Ok(count)
    }

    /// Lends up to `max` free slots in a row, to be written in place, and says how many.
    #[inline]
    pub fn reserve(&self, max: usize) -> Result<(NonNull<u8>, usize), Refused> {
        let count = self.room(max)?;
        let (site, index) = (self.end.site(), self.end.index(0));
        let count = count.min(site.slot_count - index);
        self.reserved.set(count);
        let place = NonNull::new(site.writing(index, count)).ok_or(Refused::Corrupt)?;
        Ok((place, count))
    }

    /// Pushes the first `count` of the slots that were lent last, and takes the others back. Says
    /// whether so many were lent; if not, nothing happens.
    ///
    /// # Errors
    ///
    /// [`Refused::NotOwner`] if the end was lost meanwhile.
    #[inline]
    pub fn commit(&self, count: usize) -> Result<bool, Refused> {
        if count > self.reserved.get() {
            return Ok(false);
        }
        self.reserved.set(0);
        if !self.end.is_mine() {
            return Err(Refused::NotOwner);
        }
        self.end.advance(count as u64);
        Ok(true)
    }

    #[inline(always)]
    fn room(&self, wanted: usize) -> Result<usize, Refused> {
        match self.end.available(wanted as u64) {
            Ok(0) if wanted > 0 => Err(Refused::NotNow),
            Ok(room) => Ok(room.min(wanted as u64) as usize),
            Err(stop) => Err(self.refused(stop)),
        }
    }

    /// Asks the kernel whether the other end is alive, if it is not closed.
    pub fn probe(&self) {
        self.end.probe_peer();
    }

    /// Closes the end.
    pub fn close(&self) {
        self.reserved.set(0);
        self.end.close();
    }

    #[cold]
    fn refused(&self, stop: Stop) -> Refused {
        refused(stop, self.end.peer_has_died())
    }
}

impl Popper {
    /// Where the ring lies, for programs that do without calls.
    pub fn view(&self) -> View {
        self.end.site().view()
    }

    /// Bytes of a value.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Pops one value.
    ///
    /// # Safety
    ///
    /// A value's bytes at `value` may be written.
    #[inline]
    pub unsafe fn pop(&self, value: *mut u8) -> Result<(), Refused> {
        match self.end.available(1) {
            Ok(0) => Err(Refused::NotNow),
            Ok(_) => {
                // SAFETY: I2, I3 of the end: the slot is in bounds and ours; the caller's promise.
                unsafe {
                    copy_one(self.end.site().reading(self.end.index(0), 1), value, self.size);
                }
                self.end.advance(1);
                self.peeked.set(0);
                Ok(())
            }
            Err(stop) => Err(self.refused(stop)),
        }
    }

    /// Pops up to `count` values and says how many: at least one, unless `count` is 0.
    ///
    /// # Safety
    ///
    /// The bytes of `count` values at `values` may be written.
    #[inline]
    pub unsafe fn pop_some(&self, values: *mut u8, count: usize) -> Result<usize, Refused> {
        let count = self.ready(count)?;
        let site = self.end.site();
        let first = count.min(site.slot_count - self.end.index(0));
        // SAFETY: as in `pop`, in two runs at the end of the slots.
        unsafe {
            let from = site.reading(self.end.index(0), first);
            values.copy_from_nonoverlapping(from, first * self.size);
            let rest = values.wrapping_add(first * self.size);
            rest.copy_from_nonoverlapping(
                site.reading(0, count - first),
                (count - first) * self.size,
            );
        }
        self.end.advance(count as u64);
        self.peeked.set(0);
        Ok(count)
    }

    /// Lends up to `max` of the oldest values in a row, to be read in place, and says how many.
    #[inline]
    pub fn peek(&self, max: usize) -> Result<(NonNull<u8>, usize), Refused> {
        let count = self.ready(max)?;
        let (site, index) = (self.end.site(), self.end.index(0));
        let count = count.min(site.slot_count - index);
        self.peeked.set(count);
        let place = NonNull::new(site.writing(index, count)).ok_or(Refused::Corrupt)?;
        Ok((place, count))
    }

    /// Pops the first `count` of the values that were lent last, and takes the others back. Says
    /// whether so many were lent; if not, nothing happens.
    ///
    /// # Errors
    ///
    /// [`Refused::NotOwner`] if the end was lost meanwhile.
    #[inline]
    pub fn release(&self, count: usize) -> Result<bool, Refused> {
        if count > self.peeked.get() {
            return Ok(false);
        }
        self.peeked.set(0);
        if !self.end.is_mine() {
            return Err(Refused::NotOwner);
        }
        self.end.advance(count as u64);
        Ok(true)
    }

    #[inline(always)]
    fn ready(&self, wanted: usize) -> Result<usize, Refused> {
        match self.end.available(wanted as u64) {
            Ok(0) if wanted > 0 => Err(Refused::NotNow),
            Ok(ready) => Ok(ready.min(wanted as u64) as usize),
            Err(stop) => Err(self.refused(stop)),
        }
    }

    /// Asks the kernel whether the other end is alive, if it is not closed.
    pub fn probe(&self) {
        self.end.probe_peer();
    }

    /// Closes the end.
    pub fn close(&self) {
        self.peeked.set(0);
        self.end.close();
    }

    #[cold]
    fn refused(&self, stop: Stop) -> Refused {
        refused(stop, self.end.peer_has_died())
    }
}

#[cfg(feature = "serde")]
mod passing {
    use super::*;
    use crate::region::Arrival;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    fn arrive<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<(Ring, Arrival), D::Error> {
        let arrival = Object::receive(d, Kind::Ring, Element::ANY)?;
        let (object, element) = (arrival.object.clone(), arrival.object.element());
        let ring = Ring { object, element };
        match element.size() {
            0 => Err(D::Error::custom("a ring of nothing")),
            _ => Ok((ring, arrival)),
        }
    }

    /// Encodes an end and gives it to the receiver; back again if it does not get there.
    fn depart<S: Serializer, const ROLE: bool>(
        end: &End<Strided, ROLE>,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        let indices = &end.site().indices;
        indices.object().send(serializer, |receiver| {
            let (gift, indices) = (end.give(receiver)?, indices.clone());
            Ok(Some(Box::new(move || gift.take_back(&indices))))
        })
    }

    fn resume<'de, D: Deserializer<'de>, const ROLE: bool>(
        deserializer: D,
    ) -> std::result::Result<(End<Strided, ROLE>, usize), D::Error> {
        let (ring, arrival) = arrive(deserializer)?;
        let resume = || -> Result<_> {
            let end = End::resume(ring.site()?, ring.capacity(), arrival.owner()?)?;
            Ok((end, ring.element.size()))
        };
        resume().map_err(D::Error::custom)
    }

    impl Serialize for Ring {
        fn serialize<S: Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
            self.object.send(s, |_| Ok(None))
        }
    }

    impl<'de> Deserialize<'de> for Ring {
        fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
            let (ring, _) = arrive(d)?;
            ring.site().map_err(D::Error::custom)?;
            Ok(ring)
        }
    }

    impl Serialize for Pusher {
        fn serialize<S: Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
            depart(&self.end, s)
        }
    }

    impl<'de> Deserialize<'de> for Pusher {
        fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
            let (end, size) = resume(d)?;
            Ok(Pusher { end, size, reserved: Cell::new(0) })
        }
    }

    impl Serialize for Popper {
        fn serialize<S: Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
            depart(&self.end, s)
        }
    }

    impl<'de> Deserialize<'de> for Popper {
        fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
            let (end, size) = resume(d)?;
            Ok(Popper { end, size, peeked: Cell::new(0) })
        }
    }
}

fn refused(stop: Stop, died: bool) -> Refused {
    match stop {
        Stop::Disconnected if died => Refused::PeerDied,
        Stop::Disconnected => Refused::Closed,
        Stop::Corrupt => Refused::Corrupt,
        Stop::NotOwner => Refused::NotOwner,
    }
}
