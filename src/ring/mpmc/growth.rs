//! Rings that take memory as they fill, and give it back as they are drained.
//!
//! Such a ring has as many control words as any other of its size, and room for what is in the slots
//! only behind those that are in use: in chunks of neighbouring slots. Two positions say which:
//!
//! ```text
//!            freed             head           tail              grown
//!  position  |-----------------|--------------|-----------------|
//!  slots      popped, or being  hold values    free              no memory, as those before `freed`
//! ```
//!
//! Who claims at the tail and would use up what is backed, backs one chunk more first; who has freed a
//! slot of a chunk that the head has left looks whether it was the last one of it.
//!
//! # Invariants
//!
//! - G1. `freed <= head <= tail < grown <= freed + slots`, and `freed` and `grown` are multiples of a
//!   chunk. So there is memory behind the slots of all values and of the next push, and a control word
//!   was backed before it is looked at.
//! - G2. Both only grow (modulo 2^48), by one CAS of a whole chunk: `grown` after there is memory behind
//!   the chunk, `freed` after its last slot was freed, by who then gives the memory back.
//! - G3. `Site::back` backs a chunk once for each lap, however many call it: who comes late, when
//!   the chunk is another lap's already, changes nothing. A control word keeps its memory.
//!
//! # Memory ordering
//!
//! | edge | Release | Acquire | then visible |
//! |---|---|---|---|
//! | grow | `grow` moves `grown` | `backed_ahead` loads it | the memory behind the chunk |
//! | shrink | `shrink` moves `freed` | `grow` loads it | the slots were freed, in this lap and not the last |
//!
//! A claim hands the first one on: who sees a position claimed sees it backed.
//!
//! # Death
//!
//! Killed between backing a chunk and moving `grown`: the next one does it again, and finds the memory
//! there. Killed between moving `freed` and giving the memory back: that is garbage for the site, as it
//! says how. Nobody waits for anybody in either.

use super::site::Site;
use super::words::*;
use super::{Claim, Refusal, Ring};
use crate::error::Result;
use crate::sync::Ordering::*;

impl<S: Site> Ring<S> {
    /// A ring that has memory for none of its slots, and gets it for `chunk` slots at a time, a power
    /// of two. It holds at most `capacity` values, which leaves three chunks of its slots at least.
    ///
    /// To be started before it is used.
    pub(crate) fn growing(site: S, capacity: usize, chunk: usize) -> Self {
        assert!(chunk.is_power_of_two() && site.slot_count() >= capacity + 3 * chunk);
        Ring::in_chunks(site, capacity, chunk as u64)
    }

    /// Backs the first chunk of a new ring, before anybody else sees it.
    pub(crate) fn start(&self) -> Result<()> {
        let grown = &self.site.words().scars.grown;
        let at = grown.load(Relaxed);
        self.site.back(at)?;
        grown.store(at.wrapping_add(STEP * self.chunk), Relaxed);
        Ok(())
    }

    /// How many slots from `now` on may be claimed at the tail (G1).
    pub(super) fn backed_ahead(&self, now: u64) -> usize {
        let ahead = |grown| match distance(now, grown) {
            0 => 0,
            ahead if ahead > self.mask as u64 + 1 => 0, // old news, or nonsense
            ahead => ahead as usize - 1,
        };
        let known = ahead(self.notes.grown.load(Acquire)); // grow
        if known > 0 {
            return known;
        }
        let grown = self.site.words().scars.grown.load(Acquire); // grow
        self.notes.grown.store(grown, Release); // grow: to other threads with this handle
        ahead(grown)
    }

    /// Backs one chunk more, if the tail is `now` and would have to wait for it. `None` means that
    /// something has changed.
    #[cold]
    pub(super) fn grow(&self, now: u64) -> Option<Refusal> {
        if self.chunk == 0 || self.backed_ahead(now) > 0 {
            return None;
        }
        let scars = &self.site.words().scars;
        let grown = scars.grown.load(Acquire) & !self.in_chunk(); // grow
        if !self.may_grow(grown) {
            return if self.shrink() > 0 { None } else { Some(Refusal::Full) };
        }
        match self.site.back(grown) {
            Ok(true) => {}
            Ok(false) => return Some(Refusal::Full),
            Err(_) => return Some(Refusal::NoMemory),
        }
        // A survivor of a kill here backs the chunk again, and finds that it is.
        // grow: Release. A failure means that another was faster.
        let next = grown.wrapping_add(STEP * self.chunk);
        let _ = scars.grown.compare_exchange(grown, next, Release, Relaxed);
        None
    }

    /// Whether the chunk at `grown` has been freed since the last lap.
    fn may_grow(&self, grown: u64) -> bool {
        let freed = self.site.words().scars.freed.load(Acquire); // shrink
        distance(freed, grown) + self.chunk <= self.mask as u64 + 1
    }

    /// Why the ring did not grow.
    pub(crate) fn why_no_memory(&self) -> Result<()> {
        let grown = self.site.words().scars.grown.load(Acquire) & !self.in_chunk(); // grow
        self.site.back(grown).map(drop)
    }

    /// Looks after the slots of a consumer's claim were freed whether a chunk is done with.
    #[inline(never)]
    pub(super) fn leave(&self, claim: Claim) {
        // Relaxed: not older than our own claim.
        let head = self.site.words().head.word.load(Relaxed);
        if (claim.first ^ head) & !self.in_chunk() != 0 {
            self.shrink();
        }
    }

    /// Gives the memory of all chunks back that are done with and follow on what was given back, and
    /// says how many.
    #[cold]
    pub(crate) fn shrink(&self) -> usize {
        let words = self.site.words();
        let mut chunks = 0;
        while chunks <= self.mask && self.chunk != 0 {
            let seen = words.scars.freed.load(Acquire); // shrink
            let freed = seen & !self.in_chunk();
            let ahead = distance(freed, words.head.word.load(Acquire)); // claim
            if ahead < self.chunk || ahead > self.mask as u64 + 1 {
                break;
            }
            let is_past = |nth| {
                let at = freed.wrapping_add(STEP * nth);
                // free: Acquire, so that all is done in the slot that will be done.
                self.control(at).load(Acquire) == self.next_lap(self.lap(at)) | FREE
            };
            if !(0..self.chunk).all(is_past) {
                break;
            }
            let backing = self.site.backing(freed);
            let next = freed.wrapping_add(STEP * self.chunk);
            // shrink: Release. A failure means that another was faster.
            if words.scars.freed.compare_exchange(seen, next, Release, Relaxed).is_ok() {
                // A survivor of a kill here finds garbage.
                self.site.give_back(freed, backing);
            }
            chunks += 1;
        }
        chunks
    }

    /// The indices of all slots that may hold something: all, or those with memory.
    pub(super) fn indices(&self) -> impl Iterator<Item = u64> + use<S> {
        let (mask, scars) = (self.mask as u64, &self.site.words().scars);
        let (first, count) = if self.chunk == 0 {
            (0, mask + 1)
        } else {
            let freed = scars.freed.load(Acquire); // shrink
            // grow: Acquire; not older than a tail that the caller has seen.
            (freed >> 16, distance(freed, scars.grown.load(Acquire)).min(mask + 1))
        };
        (0..count).map(move |nth| first.wrapping_add(nth) & mask)
    }

    /// The bits of an index word below the number of its chunk.
    fn in_chunk(&self) -> u64 {
        STEP * self.chunk - 1
    }
}

#[cfg(all(test, not(loom)))]
#[path = "growth_tests.rs"]
mod tests;
