//! The memory of a ring of frames that grows: chunks of slots, each in one page of a heap.
//!
//! ```text
//! backed | control 0 | 1 | 2 | ..                8 bytes for each slot
//! map      chunk 0 | 1 | ..                      lap (plus one) << 32 | page of the heap
//! heap     page: the slots of a chunk, but for their control words
//! ```
//!
//! The positions of a ring wander over all of its slots, however few are in use. So a chunk gets a page
//! when the tail comes to it, the lowest that is free, and the same few pages serve while the queue is
//! short. A page is attached to the position of the first slot of its chunk ([`crate::ring::pages`]),
//! and is garbage when that was given back.
//!
//! # Invariants
//!
//! - H1. The page that the map has for a chunk of this lap has memory, from before `grown` moves beyond
//!   it until `freed` does. Any other number in the map is one of a page as well, or counts as page 0.
//! - H2. An entry of the map is changed from that of the lap before by one CAS, by who has attached a
//!   page to the position. Who fails frees that page again.
//! - H3. The words below `backed` have memory, and keep it; it grows after the memory was put there.

#![allow(unsafe_code)]

use super::words::*;
use crate::error::{Error, Result};
use crate::region::{Object, OwnerWords, Pinned, PinnedSlice, Shared};
use crate::ring::frames::Shape;
use crate::ring::pages::mapped::Mapped;
use crate::ring::pages::{Geometry, NoRun, Pages};
use crate::sync::{AtomicU64, Ordering::*};

/// Pages beyond those of all chunks at once: for those who back the same chunk at the same time.
const SPARE: usize = 8;
/// Memory of chunks that is kept for later ones.
const KEPT_BYTES: u64 = 1 << 20;
/// Control words get memory by so many.
const CONTROLS: u64 = 4096 / size_of::<AtomicU64>() as u64;
/// Bytes of the line before the control words, at the end of which is `backed`.
const LINE_BYTES: u64 = 128;

/// A number in a region.
#[repr(transparent)]
pub(crate) struct Number(AtomicU64);

// SAFETY: an atomic; any bytes are valid.
unsafe impl Shared for Number {}

/// One handle's view of the chunks.
#[derive(Clone)]
pub(crate) struct Chunks {
    backed: Pinned<Number>,
    map: PinnedSlice<Number>,
    heap: Pages<Mapped>,
    controls_at: u64,
    slot_count: u64,
    chunk: u64,
    chunk_log2: u32,
    chunk_bytes: usize,
}

/// Where the parts lie in an object.
#[derive(Clone, Copy)]
pub(crate) struct ChunksAt {
    map: u64,
    heap: u64,
    pub(crate) controls: u64,
    pub(crate) end: u64,
    geometry: Geometry,
}

impl ChunksAt {
    /// The parts of a ring of this shape from `at` on, a multiple of 128. `None` if the ring does not
    /// grow, or there is no such address space.
    pub(crate) fn new(shape: Shape, at: u64) -> Option<ChunksAt> {
        let chunks = u64::from(shape.slot_count()?).checked_div(shape.chunk.into())?;
        let chunk_bytes = u64::from(shape.chunk) * u64::from(shape.stride);
        let kept = KEPT_BYTES.div_ceil(chunk_bytes) as usize;
        let geometry = Geometry::of(chunks as usize + SPARE, chunk_bytes, kept)?;
        let controls = at + LINE_BYTES;
        let map = (controls + shape.slot_bytes()?).next_multiple_of(LINE_BYTES);
        let heap = (map + chunks * size_of::<Number>() as u64).next_multiple_of(LINE_BYTES);
        let end = geometry.bytes()?.checked_add(heap)?;
        Some(ChunksAt { map, heap, controls, end, geometry })
    }

    /// Where the heap keeps owners.
    pub(crate) fn owner_words(&self) -> OwnerWords {
        self.geometry.owner_words(self.heap)
    }

    /// Puts memory behind what a new ring needs at once.
    pub(crate) fn prepare(&self, object: &Object) -> Result<()> {
        object.back(self.controls - LINE_BYTES, LINE_BYTES)?;
        object.back(self.map, self.heap - self.map + self.geometry.table_bytes())
    }

    /// The chunks of a ring of this shape.
    pub(crate) fn on(&self, object: &Object, shape: Shape) -> Result<Chunks> {
        let slot_count = shape.slot_count().ok_or(Error::Corrupt("capacity of a queue"))?;
        Ok(Chunks {
            backed: object.pin(self.controls - size_of::<Number>() as u64)?,
            map: object.pin_slice(self.map, (slot_count / shape.chunk) as usize)?,
            heap: Pages::on(object, self.heap, self.geometry)?,
            controls_at: self.controls,
            slot_count: slot_count.into(),
            chunk: shape.chunk.into(),
            chunk_log2: shape.chunk.ilog2(),
            chunk_bytes: shape.chunk as usize * shape.stride as usize,
        })
    }
}

impl Chunks {
    /// Where the slot begins that has this index; meaningful while the caller owns it.
    #[inline(always)]
    pub(super) fn slot(&self, index: usize, stride: usize) -> *mut u8 {
        let in_chunk = self.chunk as usize - 1;
        // Relaxed: not older than the claim of the slot (edge "grow").
        let entry = self.map.get(index >> self.chunk_log2).map_or(0, |entry| entry.0.load(Relaxed));
        let page = entry as u32;
        let place = self.heap.page(page as usize).or_else(|| self.heap.page(0));
        let place = place.unwrap_or(std::ptr::null_mut()); // never: there are some
        // Not `add`: an address is computed here and nothing promised; the caller dereferences.
        place.wrapping_add((index & in_chunk) * stride)
    }

    /// Puts memory behind the chunk whose first slot has the position `at`, unless somebody has;
    /// `false` if there are no pages left.
    pub(super) fn back(&self, at: u64, words: &Words) -> Result<bool> {
        let (index, entry) = self.entry_of(at);
        let place = &self.map[index].0;
        let seen = place.load(Acquire);
        if seen >> 32 != u64::from(entry.wrapping_sub(1)) {
            return Ok(true); // it is this lap's, or a later one's
        }
        self.back_controls((index as u64 + 1) * self.chunk)?;
        let is_over = |of: u64| {
            // shrink: Acquire. `freed` only grows: what is over stays so.
            let freed = words.scars.freed.load(Acquire);
            (1..1 << 47).contains(&distance(of, freed))
        };
        let run = match self.heap.claim_or_collect(self.chunk_bytes, is_over) {
            Ok(run) => run,
            Err(NoRun::Full | NoRun::TooLarge) => return Ok(false),
            Err(NoRun::Corrupt) => return Err(Error::Corrupt("chunks of a queue")),
            Err(NoRun::Failed(why)) => return Err(why),
        };
        let page = self.heap.attach(run, at);
        // A survivor of a kill here finds a page of its own, and this one garbage once `freed` is
        // beyond the position.
        let next = u64::from(entry) << 32 | page as u64;
        // Release: the memory is there.
        if place.compare_exchange(seen, next, Release, Relaxed).is_err() {
            self.heap.release(page, at);
        }
        Ok(true)
    }

    /// The page of the chunk at the position `at`, which is backed.
    pub(super) fn backing(&self, at: u64) -> u32 {
        self.map[self.entry_of(at).0].0.load(Relaxed) as u32 // not older than `grown`
    }

    /// Frees the page of a chunk that is over.
    pub(super) fn give_back(&self, at: u64, page: u32) {
        self.heap.release(page as usize, at);
    }

    /// Frees the pages that the dead have left.
    pub(super) fn collect(&self, words: &Words) {
        let freed = words.scars.freed.load(Acquire); // shrink
        // What cannot be true is the business of who needs a page.
        let _ = self.heap.collect(|of| (1..1 << 47).contains(&distance(of, freed)));
    }

    /// Puts memory behind the first `count` control words.
    fn back_controls(&self, count: u64) -> Result<()> {
        let backed = self.backed.0.load(Relaxed).min(self.slot_count); // the memory is there or not
        if count > backed {
            let count = count.next_multiple_of(CONTROLS).min(self.slot_count);
            let bytes = |words: u64| words * size_of::<AtomicU64>() as u64;
            let object = self.backed.object();
            object.back(self.controls_at + bytes(backed), bytes(count - backed))?;
            // A survivor of a kill here asks the kernel again for what is there.
            self.backed.0.fetch_max(count, Release); // sweep
        }
        Ok(())
    }

    /// The chunk of a position, and the lap of its entry.
    fn entry_of(&self, at: u64) -> (usize, u32) {
        let position = at >> 16;
        let index = (position & (self.slot_count - 1)) / self.chunk;
        (index as usize, ((position / self.slot_count) as u32).wrapping_add(1))
    }
}

impl super::frames::Frames {
    /// Frees the chunks that the dead have left.
    pub(super) fn collect_chunks(&self) {
        if let Some((chunks, words)) = self.growth() {
            chunks.collect(words);
        }
    }
}
