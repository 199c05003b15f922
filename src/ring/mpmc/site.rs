//! Where the ring lives: in a region in production, on the heap under the model checker.

#![allow(unsafe_code)]

use super::words::Words;
use crate::error::Result;
use crate::region::id::Numbers;
use crate::sync::AtomicU64;
use bytemuck::Pod;

/// The memory of one ring, and who knows about the dead of the processes that share it.
///
/// # Safety
///
/// While the site lives: `slot_count` is a power of two and never changes; for each index below it
/// `control` points at an atomic word and `reading` and `writing` point at initialised bytes of the
/// size and alignment of a value; of a ring that grows the latter hold for positions from `freed` to
/// `grown`, as the page of [`super::growth`] has them.
pub(crate) unsafe trait Site {
    /// What a slot holds. Any bytes are a value, because a peer may have written any.
    type Value: Pod;

    /// This process as a participant.
    type Who<'a>: Numbers
    where
        Self: 'a;

    /// The shared words before the slots.
    fn words(&self) -> &Words;

    /// Slots in memory: the capacity, rounded up to a power of two.
    fn slot_count(&self) -> usize;

    /// The control word of a slot.
    fn control(&self, index: usize) -> *const AtomicU64;

    /// The place of the value that the caller, who has claimed the slot, is about to read.
    fn reading(&self, index: usize) -> *const Self::Value;

    /// The place of the value that the caller, who has claimed the slot, is about to write.
    fn writing(&self, index: usize) -> *mut Self::Value;

    /// The word of our id; 0 if this process is no participant, as a forked child before
    /// [`Site::who`].
    fn own_word(&self) -> u32;

    /// This process as a participant; makes it one if need be. `None` if that fails.
    fn who(&self) -> Option<Self::Who<'_>>;

    /// Puts memory behind the chunk at the position `at` (an index word without its low bits), where
    /// nobody has done that yet, and says whether there was room. For rings that grow.
    fn back(&self, _at: u64) -> Result<bool> {
        Ok(true)
    }

    /// The memory behind the chunk at this position.
    fn backing(&self, _at: u64) -> u32 {
        0
    }

    /// Gives that memory back. To be called by one who has moved `freed` beyond the chunk.
    fn give_back(&self, _at: u64, _backing: u32) {}
}
