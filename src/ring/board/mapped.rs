//! The board in a region: where its words are, checked once, and what is in a slot besides its word.
//!
//! Arguments and results of up to 96 bytes lie in the slot, longer ones in pages behind the board. The
//! pages of a task carry its slot and generation where those of a ring carry a position, so that they
//! are garbage by themselves once the slot has moved on; the owner frees them before.
//!
//! Arguments lie in the lower half of the pages, where results may be as well; so a result that is no
//! longer than half of them has room as soon as the results before it are taken down, whatever the
//! tasks that run keep.
//!
//! The bytes in a slot are atomics: who should not read them, because a peer does not keep to the
//! protocol, reads nonsense.

#![allow(unsafe_code)]

use super::words::*;
use super::{Board, Claim, Site};
use crate::error::{Error, Result};
use crate::region::{Object, Pinned, PinnedSlice, Shared};
use crate::ring::pages::mapped::Mapped as Heap;
use crate::ring::pages::{Geometry, NoRun, Pages, Run};
use crate::sync::{AtomicU32, AtomicU64, Ordering::*};

// SAFETY: atomics and padding; any bytes are valid.
unsafe impl Shared for Words {}
// SAFETY: atomics without padding; any bytes are valid.
unsafe impl Shared for Slot {}
/// A hint in a region.
#[repr(transparent)]
struct Hint(AtomicU64);
// SAFETY: an atomic; any bytes are valid.
unsafe impl Shared for Hint {}

/// Payload up to this size lies in the slot.
pub(crate) const INLINE_BYTES: usize = 96;
/// A result up to this size lies beside the word.
const TINY_BYTES: usize = 16;

/// In place of a first page.
const HERE: u32 = u32::MAX;

/// How far a worker has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// It is being started, or there is none of this number.
    Starting,
    /// It claims tasks.
    Ready,
    /// It has done all that it was to do, and waits for its successor to be started.
    Retiring,
    /// It may go.
    Released,
}

const RECORDS: [Record; 4] = [Record::Starting, Record::Ready, Record::Retiring, Record::Released];

/// What there is to run, as it stands in a slot: see `sys::entry`.
pub(crate) type Sealed = [u64; 2];

/// Payload that is ready to be posted.
#[derive(Debug)]
pub(crate) enum Payload<'a> {
    Short(&'a [u8]),
    Long(Run),
}

#[derive(Clone, Copy)]
enum Part {
    Arguments,
    Result,
}

/// One handle's view of a board in a region.
#[derive(Clone)]
pub(crate) struct Mapped {
    words: Pinned<Words>,
    hints: PinnedSlice<Hint>,
    slots: PinnedSlice<Slot>,
    pages: Pages<Heap>,
    /// The same, to claim arguments from.
    lower: Pages<Heap>,
}

/// Where the parts of a board of so many slots and pages lie in their object, from `at` on.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    at: u64,
    slots: u32,
    heap: Geometry,
}

impl Layout {
    /// `slots` is a power of two; `half_bytes` are for long arguments, and as many for long results.
    pub(crate) fn new(at: u64, slots: u32, half_bytes: u64) -> Layout {
        Layout { at, slots, heap: Geometry::halves(half_bytes, u64::from(slots)) }
    }

    fn hints_at(&self) -> u64 {
        self.at + BOARD_BYTES
    }

    fn heap_at(&self) -> u64 {
        self.hints_at() + self.hints() * size_of::<Hint>() as u64
    }

    fn hints(&self) -> u64 {
        2 * u64::from(self.slots)
    }

    fn slots_at(&self) -> Option<u64> {
        self.heap_at().checked_add(self.heap.bytes()?)?.checked_next_multiple_of(SLOT_BYTES)
    }

    /// Bytes of the object that need memory from the start.
    pub(crate) fn backed_bytes(&self) -> u64 {
        self.heap_at() + self.heap.table_bytes()
    }

    /// Bytes of the whole object; `None` if there is no such address space.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.slots_at()?.checked_add(u64::from(self.slots) * SLOT_BYTES)
    }

    /// Where it keeps owners.
    pub(crate) fn owner_words(&self) -> crate::region::OwnerWords {
        self.heap.owner_words(self.heap_at())
    }
}

impl Board<Mapped> {
    /// The board of this layout in `object`.
    pub(crate) fn on(object: &Object, layout: Layout) -> Result<Self> {
        let slots_at = layout.slots_at().ok_or(Error::Corrupt("size of a task board"))?;
        let pages = Pages::on(object, layout.heap_at(), layout.heap)?;
        Ok(Board::new(Mapped {
            words: object.pin(layout.at)?,
            hints: object.pin_slice(layout.hints_at(), layout.hints() as usize)?,
            slots: object.pin_slice(slots_at, layout.slots as usize)?,
            lower: pages.lower_half(),
            pages,
        }))
    }

    /// Puts memory behind the slots from `from` to `to`. The owner's, before he uses them.
    pub(crate) fn back_slots(&self, layout: Layout, from: u32, to: u32) -> Result<()> {
        let slots_at = layout.slots_at().ok_or(Error::Corrupt("size of a task board"))?;
        let at = |slot: u32| slots_at + u64::from(slot) * SLOT_BYTES;
        self.site.words.object().back(at(from), at(to) - at(from))
    }

    /// Pages with these bytes of arguments, which are longer than [`INLINE_BYTES`].
    pub(crate) fn long_arguments(&self, bytes: &[u8]) -> Result<Run, NoRun> {
        let Mapped { pages, lower, .. } = &self.site;
        let run = match lower.claim(bytes.len()) {
            Err(NoRun::Full) if pages.collect(|at| self.is_over(at))? > 0 => {
                lower.claim(bytes.len())
            }
            claimed => claimed,
        };
        Ok(self.filled(run?, bytes))
    }

    /// Pages with these bytes of a result, which are longer than [`INLINE_BYTES`].
    pub(crate) fn long_result(&self, bytes: &[u8]) -> Result<Run, NoRun> {
        if !self.site.pages.fits_half(bytes.len()) {
            return Err(NoRun::TooLarge); // what arguments occupy would be in its way
        }
        let run = self.site.pages.claim_or_collect(bytes.len(), |at| self.is_over(at))?;
        Ok(self.filled(run, bytes))
    }

    fn filled(&self, mut run: Run, bytes: &[u8]) -> Run {
        self.site.pages.bytes_mut(&mut run).copy_from_slice(bytes);
        run
    }

    /// Gives payload up that was not used.
    pub(crate) fn drop_payload(&self, payload: Payload<'_>) {
        if let Payload::Long(run) = payload {
            self.site.pages.free(run);
        }
    }

    /// Writes a task into a slot that is FREE in this generation (I3). The owner's.
    #[inline]
    pub(crate) fn write_task(
        &self,
        slot: u32,
        generation: u64,
        call: Sealed,
        flags: u32,
        arguments: Payload<'_>,
    ) {
        let place = self.slot(slot);
        // Relaxed, all of them: post.
        place.offsets.store(call[0], Relaxed);
        place.seal.store(call[1], Relaxed);
        place.note.store(u64::from(flags) << 32, Relaxed);
        self.write(slot, generation, Part::Arguments, arguments);
    }

    /// What the task of a claim calls, its flags, and its arguments, which replace `arguments`; `None`
    /// if what the slot says cannot be true.
    #[inline]
    pub(crate) fn read_task(&self, claim: Claim, arguments: &mut Vec<u8>) -> Option<(Sealed, u32)> {
        let place = self.slot(claim.slot);
        let call = [place.offsets.load(Relaxed), place.seal.load(Relaxed)]; // post
        let flags = (place.note.load(Relaxed) >> 32) as u32;
        self.read(claim.slot, claim.generation, Part::Arguments, arguments)?;
        Some((call, flags))
    }

    /// Writes the result of a task that is still RUN by the claim's worker (I3).
    #[inline]
    pub(crate) fn write_result(&self, claim: Claim, kind: u8, flags: u32, result: Payload<'_>) {
        let note = &self.slot(claim.slot).note;
        // Relaxed: outcome. The high half is the owner's, and does not change meanwhile.
        let arguments = note.load(Relaxed) >> 32 << 32;
        note.store(arguments | u64::from(flags & 0xff_ffff) << 8 | u64::from(kind), Relaxed);
        self.write(claim.slot, claim.generation, Part::Result, result);
    }

    /// Kind, flags and bytes of the result of a task that is DONE in this generation; the bytes replace
    /// `result`. The owner's.
    #[inline]
    pub(crate) fn read_result(
        &self,
        slot: u32,
        generation: u64,
        result: &mut Vec<u8>,
    ) -> Option<(u8, u32)> {
        let note = self.slot(slot).note.load(Relaxed) as u32; // outcome
        self.read(slot, generation, Part::Result, result)?;
        Some((note as u8, note >> 8))
    }

    /// Frees the pages of a task whose outcome was taken down, and says whether there were any. The
    /// owner's.
    #[inline]
    pub(crate) fn release(&self, slot: u32, generation: u64, with_result: bool) -> bool {
        let arguments = self.release_part(slot, generation, Part::Arguments);
        let result = with_result && self.release_part(slot, generation, Part::Result);
        arguments || result
    }

    fn release_part(&self, slot: u32, generation: u64, part: Part) -> bool {
        let (_, page) = split(self.place(slot, part).load(Relaxed)); // ours now
        if page != HERE {
            self.site.pages.release(page as usize, position(slot, generation, part));
        }
        page != HERE
    }

    /// Nothing will be posted any more, but for what the dead leave: workers that find nothing end.
    pub(crate) fn close(&self) {
        self.site.words.closing.0.store(1, Release); // close: pairs with the Acquire below
    }

    /// Whether nothing will be posted any more: what a worker finds after this is all there is.
    pub(crate) fn is_closing(&self) -> bool {
        self.site.words.closing.0.load(Acquire) != 0 // close
    }

    /// How far the worker of this number has come.
    pub(crate) fn record(&self, worker: u32) -> Record {
        // Relaxed: says nothing of anything else.
        RECORDS[self.record_word(worker).load(Relaxed) as usize % RECORDS.len()]
    }

    /// Notes how far the worker of this number has come.
    pub(crate) fn set_record(&self, worker: u32, record: Record) {
        self.record_word(worker).store(record as u32, Relaxed); // as above
    }

    fn record_word(&self, worker: u32) -> &AtomicU32 {
        &self.site.words.records[(worker % WORKERS_MOST) as usize]
    }

    /// The object that the board is in.
    pub(crate) fn object(&self) -> &Object {
        self.site.words.object()
    }

    fn is_over(&self, at: u64) -> bool {
        let slot = (at >> SLOT_AT) as u32 % SLOTS_MOST;
        slot as usize >= self.site.slots() || {
            let generation = self.generation(slot);
            position(slot, generation, Part::Arguments) >> GENERATION_AT != at >> GENERATION_AT
        }
    }

    fn slot(&self, slot: u32) -> &Slot {
        &self.site.slots[slot as usize % self.site.slots.len()]
    }

    fn place(&self, slot: u32, part: Part) -> &AtomicU64 {
        match part {
            Part::Arguments => &self.slot(slot).arguments_place,
            Part::Result => &self.slot(slot).result_place,
        }
    }

    fn room(&self, slot: u32, part: Part, len: usize) -> &[AtomicU64] {
        let slot = self.slot(slot);
        match part {
            Part::Arguments => &slot.arguments,
            Part::Result if len <= TINY_BYTES => &slot.tiny,
            Part::Result => &slot.result,
        }
    }

    #[inline]
    fn write(&self, slot: u32, generation: u64, part: Part, payload: Payload<'_>) {
        let (len, page) = match payload {
            Payload::Short(bytes) => {
                copy_in(self.room(slot, part, bytes.len()), bytes);
                (bytes.len(), HERE)
            }
            Payload::Long(run) => {
                let len = run.len_bytes();
                let at = position(slot, generation, part);
                // A survivor of a kill after this finds pages of a task that comes to no result; they
                // are garbage when the slot moves on.
                (len, self.site.pages.attach(run, at) as u32)
            }
        };
        self.place(slot, part).store((len as u64) << 32 | u64::from(page), Relaxed);
    }

    #[inline]
    fn read(&self, slot: u32, generation: u64, part: Part, into: &mut Vec<u8>) -> Option<()> {
        into.clear();
        let (len, page) = split(self.place(slot, part).load(Relaxed));
        if page == HERE {
            return copy_out(self.room(slot, part, len), len, into);
        }
        let at = position(slot, generation, part);
        let bytes = self.site.pages.message(page as usize, len, at)?;
        // SAFETY: `len` bytes of pages in bounds, which live as long as the site. Nobody writes to them:
        // the slot is in this generation, so they are its task's (I3), and that one is ours to read.
        into.extend_from_slice(unsafe { std::slice::from_raw_parts(bytes, len) });
        Some(())
    }
}

fn split(place: u64) -> (usize, u32) {
    ((place >> 32) as usize, place as u32)
}

const SLOT_AT: u32 = 17;
const GENERATION_AT: u32 = 33;
const _: () = assert!(SLOT_AT + 15 < GENERATION_AT && SLOTS_MOST == 1 << 15);

/// What stands for a part of a task where the pages have the position in a ring, as an index word
/// without its low 16 bits. It comes once in 2^31 tasks of a slot.
fn position(slot: u32, generation: u64, part: Part) -> u64 {
    generation << GENERATION_AT | u64::from(slot) << SLOT_AT | (part as u64) << 16
}

#[inline]
fn copy_in(room: &[AtomicU64], bytes: &[u8]) {
    for (place, chunk) in room.iter().zip(bytes.chunks(8)) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        place.store(u64::from_ne_bytes(word), Relaxed); // post, outcome
    }
}

#[inline]
fn copy_out(room: &[AtomicU64], len: usize, into: &mut Vec<u8>) -> Option<()> {
    let words = room.get(..len.div_ceil(8))?;
    let mut bytes = [0; INLINE_BYTES];
    for (chunk, place) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&place.load(Relaxed).to_ne_bytes()); // post, outcome
    }
    into.extend_from_slice(&bytes[..len]);
    Some(())
}

impl Site for Mapped {
    fn slots(&self) -> usize {
        self.slots.len()
    }

    fn hints(&self) -> usize {
        self.hints.len()
    }

    fn head(&self) -> &AtomicU64 {
        &self.words.head.0
    }

    fn tail(&self) -> &AtomicU64 {
        &self.words.tail.0
    }

    fn hint(&self, at: u64) -> &AtomicU64 {
        &self.hints[at as usize % self.hints.len()].0
    }

    fn word(&self, slot: u32) -> &AtomicU64 {
        &self.slots[slot as usize % self.slots.len()].word
    }
}
