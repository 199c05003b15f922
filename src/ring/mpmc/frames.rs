//! A ring in a region whose slots hold byte messages, of a size that is chosen when it is made.
//!
//! ```text
//! slot   0        8     16          20       22     23      24
//!        control  len   first page  attempts place  trailer message, up to `inline_bytes`
//! ```
//!
//! A longer message lies in pages beside the ring ([`super::outside`]). In a ring that grows the control
//! words lie by themselves, and the rest of a slot in a chunk ([`super::chunks`]).
//!
//! - F1. `slots` points at `slot_count` slots of `stride` bytes inside the region, which `words` keeps
//!   mapped; a stride is a multiple of 8 and holds a control word and a head at least. In a ring that
//!   grows `slots` points at as many control words, `control_stride` bytes apart.
//! - F2. What a head says is an outside value: it is compared with what a slot holds before use.

#![allow(unsafe_code)]

use super::chunks::Chunks;
use super::guard::{Leased, Reserved};
use super::site::Site;
use super::words::{CONSUMER, OWNER_SHIFT, PRODUCER, STEP, Words};
use super::{Claim, Refusal, Ring};
use crate::error::{Error, Result};
use crate::region::{Attached, Object, OwnerField, OwnerWords, Pinned, Shared, copy};
use crate::ring::pages::Pages;
use crate::ring::pages::mapped::Mapped;
use crate::sync::{AtomicU32, AtomicU64, Ordering::Relaxed};
use bytemuck::{Pod, Zeroable};
use std::ptr::NonNull;

/// What a slot says about its message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Head {
    /// Length of the message in bytes, its trailer included.
    pub(crate) len: u64,
    /// Where it is, if that is not the slot.
    pub(crate) first_page: u32,
    /// How often it was given back and handed out again.
    pub(crate) attempts: u16,
    /// [`INLINE`], or another place.
    pub(crate) place: u8,
    /// So many of the message's last bytes are not for who reads it as bytes.
    pub(crate) trailer: u8,
}

/// The message follows its head.
pub(crate) const INLINE: u8 = 0;
/// The message lies in pages.
pub(crate) const OUTSIDE: u8 = 1;

impl Head {
    /// The message without its trailer, and the trailer.
    pub(crate) fn split<'a>(&self, message: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        message.split_at_checked(message.len().checked_sub(self.trailer.into())?)
    }
}

const CONTROL_BYTES: usize = size_of::<AtomicU64>();
/// Bytes of a slot before the message.
pub(crate) const HEAD_BYTES: usize = CONTROL_BYTES + size_of::<Head>();
/// Bytes of the words before the slots.
pub(crate) const WORDS_BYTES: u64 = size_of::<Words>() as u64;

const _: () = assert!(HEAD_BYTES == 24 && WORDS_BYTES.is_multiple_of(128));

/// The size of a ring of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Messages that it holds at most.
    pub(crate) capacity: u64,
    /// Bytes of a slot.
    pub(crate) stride: u32,
    /// Slots that get their memory together; 0 if all have it from the start.
    pub(crate) chunk: u32,
    /// Bytes for the messages that do not fit into a slot.
    pub(crate) heap_bytes: u64,
}

impl Shape {
    /// Slots in memory: the capacity, and what a ring that grows needs more, rounded up to a power of
    /// two. `None` beyond what a ring can have.
    pub(crate) fn slot_count(self) -> Option<u32> {
        let spare = 3 * u64::from(self.chunk);
        let possible = (1..=(1 << 31) - spare.min(1 << 30)).contains(&self.capacity)
            && self.stride.is_multiple_of(8)
            && self.stride as usize >= HEAD_BYTES
            && (self.chunk == 0 || self.chunk.is_power_of_two() && spare <= 1 << 30);
        possible.then(|| ((self.capacity + spare) as u32).next_power_of_two())
    }

    /// Bytes of all slots, or of all control words if the ring grows.
    pub(crate) fn slot_bytes(self) -> Option<u64> {
        Some(u64::from(self.slot_count()?) * u64::from(self.control_stride()))
    }

    /// How far the control words are apart.
    fn control_stride(self) -> u32 {
        if self.chunk == 0 { self.stride } else { CONTROL_BYTES as u32 }
    }

    /// Where the ring whose words and slots lie there keeps participants, in the order in which a
    /// sweep must go by them: see "Death" of the ring.
    pub(crate) fn owner_words(self, words_at: u64, slots_at: u64) -> Option<[OwnerWords; 2]> {
        let (count, stride_bytes) = (self.slot_count()?, self.control_stride());
        let shift = OWNER_SHIFT;
        let all = OwnerField::Number { shift };
        let field = if self.chunk == 0 { all } else { OwnerField::BackedNumber { shift } };
        Some([
            OwnerWords { first_bytes: words_at, stride_bytes: 128, count: 2, field: all },
            OwnerWords { first_bytes: slots_at, stride_bytes, count, field },
        ])
    }
}

/// What a shared object with such a ring says about it, for those who open it.
#[repr(C)]
pub(crate) struct Plan {
    stride: AtomicU32,
    chunk: AtomicU32,
    heap_bytes: AtomicU64,
}

// SAFETY: atomics; any bytes are valid.
unsafe impl Shared for Plan {}

impl Plan {
    /// Written before anybody else sees the object.
    pub(crate) fn note(&self, shape: Shape) {
        // Relaxed, all: ordered by the directory's edge "list".
        self.stride.store(shape.stride, Relaxed);
        self.chunk.store(shape.chunk, Relaxed);
        self.heap_bytes.store(shape.heap_bytes, Relaxed);
    }

    /// As it was noted; checked where it is used.
    pub(crate) fn shape(&self, capacity: u64) -> Shape {
        Shape {
            capacity,
            stride: self.stride.load(Relaxed),
            chunk: self.chunk.load(Relaxed),
            heap_bytes: self.heap_bytes.load(Relaxed),
        }
    }
}

/// One handle's view of a ring of frames in a region.
pub(crate) struct Frames {
    words: Pinned<Words>,
    slots: NonNull<u8>,
    slot_count: usize,
    stride: usize,
    control_stride: usize,
    /// Where the slots are in a ring that grows, all but the control words.
    chunks: Option<Box<Chunks>>,
    /// Where longer messages lie.
    pages: Pages<Mapped>,
    /// Reads 0 in a forked child. Used while `words` keeps the mapping.
    own_id: &'static AtomicU32,
}

// SAFETY: F1: the control words are atomics; heads and messages are plain shared memory, each used
// by one claimant at a time as the ring's invariants say.
unsafe impl Send for Frames {}
// SAFETY: as above; nothing here is changed through `&self` but by way of the ring.
unsafe impl Sync for Frames {}

impl Clone for Frames {
    fn clone(&self) -> Self {
        let (chunks, pages) = (self.chunks.clone(), self.pages.clone());
        Frames { words: self.words.clone(), chunks, pages, ..*self }
    }
}

impl Frames {
    /// The ring in `object` whose words and slots lie there, and whose longer messages `pages` has; it
    /// grows by `chunks` if its shape says so. Zeroed memory is an empty one.
    pub(crate) fn on(
        object: &Object,
        shape: Shape,
        words_at: u64,
        slots_at: u64,
        chunks: Option<Chunks>,
        pages: Pages<Mapped>,
    ) -> Result<Ring<Frames>> {
        let corrupt = Error::Corrupt("capacity of a queue");
        let (Some(slot_count), Some(bytes)) = (shape.slot_count(), shape.slot_bytes()) else {
            return Err(corrupt);
        };
        let frames = Frames {
            words: object.pin(words_at)?,
            slots: object.span(slots_at, bytes, align_of::<AtomicU64>() as u64)?,
            slot_count: slot_count as usize,
            stride: shape.stride as usize,
            control_stride: shape.control_stride() as usize,
            chunks: chunks.map(Box::new),
            pages,
            own_id: object.mapping().own_id_word(),
        };
        let capacity = shape.capacity as usize;
        Ok(match &frames.chunks {
            None => Ring::new(frames, capacity),
            Some(_) => Ring::growing(frames, capacity, shape.chunk as usize),
        })
    }

    pub(crate) fn object(&self) -> &Object {
        self.words.object()
    }

    pub(crate) fn inline_bytes(&self) -> usize {
        self.stride - HEAD_BYTES
    }

    /// Where the messages lie that no slot holds.
    pub(crate) fn pages(&self) -> &Pages<Mapped> {
        &self.pages
    }

    /// The place `at` bytes into a slot, of what comes after the control word.
    #[inline(always)]
    fn place(&self, index: usize, at: usize) -> *mut u8 {
        debug_assert!(index < self.slot_count && at <= self.stride);
        // Not `add`: an address is computed here and nothing promised; the caller dereferences.
        match &self.chunks {
            None => self.slots.as_ptr().wrapping_add(index * self.stride + at),
            Some(chunks) => chunks.slot(index, self.stride).wrapping_add(at),
        }
    }

    /// Reads the head of a slot.
    ///
    /// # Safety
    ///
    /// The index is in bounds, and the slot is the caller's.
    #[inline(always)]
    unsafe fn head(&self, index: usize) -> Head {
        let place = self.reading(index).cast::<u64>();
        // SAFETY: F1: two words of a slot in bounds, aligned as it is; whose the slot is, his are they.
        // Volatile, so that they are read as they were written: what is written by two stores and read
        // by one load has to wait until both have left the processor.
        let words = unsafe { [place.read_volatile(), place.add(1).read_volatile()] };
        bytemuck::cast(words)
    }

    /// Writes the head of a slot.
    ///
    /// # Safety
    ///
    /// As for [`Frames::head`].
    #[inline(always)]
    unsafe fn set_head(&self, index: usize, head: Head) {
        let [len, rest]: [u64; 2] = bytemuck::cast(head);
        let place = self.writing(index).cast::<u64>();
        // SAFETY: as above.
        unsafe {
            place.write_volatile(len);
            place.add(1).write_volatile(rest);
        }
    }

    /// What a ring that grows is made of; `None` in another.
    pub(super) fn growth(&self) -> Option<(&Chunks, &Words)> {
        Some((self.chunks.as_deref()?, &self.words))
    }
}

// SAFETY: F1: `on` checked the slots' bounds and alignment, and that their number is a power of
// two; a mapping consists of initialised bytes and lives as long as `words`. Chunks: H1.
unsafe impl Site for Frames {
    type Value = Head;
    type Who<'a> = Attached<'a>;

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
        // Not `add`: as in `place`.
        self.slots.as_ptr().wrapping_add(index * self.control_stride).cast()
    }

    #[inline(always)]
    fn reading(&self, index: usize) -> *const Head {
        self.writing(index)
    }

    #[inline(always)]
    fn writing(&self, index: usize) -> *mut Head {
        self.place(index, CONTROL_BYTES).cast()
    }

    #[inline(always)]
    fn own_word(&self) -> u32 {
        self.own_id.load(Relaxed) // nothing else is read by it
    }

    fn who(&self) -> Option<Attached<'_>> {
        self.object().attached().ok()
    }

    fn back(&self, at: u64) -> Result<bool> {
        self.growth().map_or(Ok(true), |(chunks, words)| chunks.back(at, words))
    }

    fn backing(&self, at: u64) -> u32 {
        self.growth().map_or(0, |(chunks, _)| chunks.backing(at))
    }

    fn give_back(&self, at: u64, backing: u32) {
        if let Some((chunks, _)) = self.growth() {
            chunks.give_back(at, backing);
        }
    }
}

impl Reserved<'_, Frames> {
    /// The first `len` bytes of the place for a message, which has them.
    #[inline]
    pub(crate) fn message_mut(&mut self, len: usize) -> &mut [u8] {
        let (site, index) = self.slot();
        assert!(len <= site.inline_bytes());
        // SAFETY: F1, I4: `len` bytes of a slot in bounds, which is ours while `self` lives and
        // borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(site.place(index, HEAD_BYTES), len) }
    }

    /// The first `len` bytes of the place for a message, which has them.
    pub(crate) fn message(&self, len: usize) -> &[u8] {
        let (site, index) = self.slot();
        assert!(len <= site.inline_bytes());
        // SAFETY: as above, and `self` is borrowed.
        unsafe { std::slice::from_raw_parts(site.place(index, HEAD_BYTES), len) }
    }

    /// The place of the slot in the order of all, for [`Ring::is_past`].
    pub(crate) fn at(&self) -> u64 {
        self.position() << 16
    }

    /// Says that the first `len` bytes of the place are the message.
    pub(crate) fn set_len(&mut self, len: usize) {
        **self = Head { len: len as u64, ..Head::default() };
    }

    /// Says, after the length was set, that the last bytes of the message are its trailer.
    pub(crate) fn set_trailer(&mut self, len: u8) {
        self.trailer = len;
    }
}

impl Leased<'_, Frames> {
    /// The message; `None` if what the head says cannot be true.
    #[inline]
    pub(crate) fn message(&self) -> Option<&[u8]> {
        Some(self.parts()?.0)
    }

    /// The message and its trailer.
    pub(crate) fn parts(&self) -> Option<(&[u8], &[u8])> {
        let (site, index) = self.slot();
        // SAFETY: F1, I4: a slot in bounds, which is ours while `self` lives.
        self.split(unsafe { message_in(site, index, self.position() << 16, self) }?)
    }

    /// Counts that the message is handed out once more.
    pub(crate) fn count_attempt(&mut self) {
        let (site, index) = self.slot();
        let attempts = self.attempts.saturating_add(1);
        // SAFETY: I4: as above; nobody else looks at a head that is claimed, and `self` is borrowed
        // mutably, so that no reference to it is out.
        unsafe { (*site.writing(index)).attempts = attempts };
    }
}

/// The message of the slot that has this index and the position `at`, by what its head says (F2).
///
/// # Safety
///
/// The index is in bounds, and the slot is the caller's while the result is used.
#[inline(always)]
unsafe fn message_in<'a>(site: &'a Frames, index: usize, at: u64, head: &Head) -> Option<&'a [u8]> {
    if head.place != INLINE {
        // SAFETY: the slot is the caller's.
        return unsafe { site.message_outside(at, head) };
    }
    if head.len > site.inline_bytes() as u64 {
        return None;
    }
    // SAFETY: F1, F2: inside of the slot, and initialised as all of a mapping; the rest is promised.
    Some(unsafe { std::slice::from_raw_parts(site.place(index, HEAD_BYTES), head.len as usize) })
}

impl Ring<Frames> {
    /// Pushes as many of the messages as there is room for, in one claim, and says how many: at
    /// least one. Each must fit into a slot; `messages` has one.
    pub(crate) fn push_messages<'m>(
        &self,
        messages: impl ExactSizeIterator<Item = &'m [u8]>,
    ) -> std::result::Result<usize, Refusal> {
        let claim = self.claim::<PRODUCER>(messages.len())?;
        let count = claim.count;
        // A panic here would keep the slots for as long as this process lives: nothing does.
        for (nth, message) in messages.take(count).enumerate() {
            let index = self.index(claim.first.wrapping_add(STEP * nth as u64));
            let len = message.len().min(self.site.inline_bytes());
            let head = Head { len: len as u64, ..Head::default() };
            // SAFETY: I4, I7, F1: the slot is in bounds and ours, and has room for `len` bytes; no other
            // reference to them is out.
            let room = unsafe {
                self.site.set_head(index, head);
                std::slice::from_raw_parts_mut(self.site.place(index, HEAD_BYTES), len)
            };
            copy(&message[..len], room);
        }
        self.finish::<PRODUCER>(claim);
        Ok(count)
    }

    /// Shows up to `max` messages to `each`, in one claim, and says how many: at least one. A message
    /// is popped if `each` returns true, and else given back. Of a message that cannot be true only the
    /// head is shown.
    pub(crate) fn pop_messages(
        &self,
        max: usize,
        mut each: impl FnMut(&Head, Option<&[u8]>) -> bool,
    ) -> std::result::Result<usize, Refusal> {
        let claim = self.claim_value(max)?;
        if claim.count == 1 {
            self.pop_one(Claim { count: 1, ..claim }, each);
            return Ok(1);
        }
        let (mut outside, mut kept) = (Vec::new(), 0u128);
        for nth in 0..claim.count {
            let at = claim.first.wrapping_add(STEP * nth as u64);
            let index = self.index(at);
            // SAFETY: I4, I7, F1: the slot is in bounds and ours; any bytes are a head.
            let head = unsafe { self.site.head(index) };
            // SAFETY: as above.
            if !each(&head, unsafe { message_in(&self.site, index, at, &head) }) {
                kept |= 1 << nth;
            } else if head.place == OUTSIDE {
                outside.push((at, head));
            }
        }
        let count = claim.count;
        match kept {
            0 => self.finish::<CONSUMER>(claim),
            kept => self.finish_some(claim, kept),
        }
        // A survivor of a kill here collects their pages: their positions are over.
        for (at, head) in outside {
            self.site.pages.release(head.first_page as usize, at);
        }
        Ok(count)
    }

    /// The same for a claim of one.
    #[inline(always)]
    fn pop_one(&self, claim: Claim, mut each: impl FnMut(&Head, Option<&[u8]>) -> bool) {
        let (at, index) = (claim.first, self.index(claim.first));
        // SAFETY: I4, I7, F1: the slot is in bounds and ours; any bytes are a head.
        let head = unsafe { self.site.head(index) };
        // SAFETY: as above.
        if !each(&head, unsafe { message_in(&self.site, index, at, &head) }) {
            self.give_back(at);
            return;
        }
        self.finish::<CONSUMER>(claim);
        if head.place == OUTSIDE {
            self.site.pages.release(head.first_page as usize, at);
        }
    }

    /// Hands the slots of a consumer's claim on, in order, but gives back those with a bit in `kept`.
    #[cold]
    fn finish_some(&self, claim: Claim, kept: u128) {
        for nth in 0..claim.count {
            let one = Claim { first: claim.nth(nth), count: 1, stamp: 0 };
            match kept & 1 << nth {
                0 => self.finish::<CONSUMER>(one),
                _ => self.give_back(one.first),
            }
        }
    }
}
