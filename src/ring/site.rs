//! Where a ring lives: in a region in production, on the heap under the model checker.

#![allow(unsafe_code)]

use super::indices::Indices;
use crate::region::id::Liveness;
use bytemuck::Pod;

/// The memory of one ring, and who knows about the dead of the processes that share it.
///
/// # Safety
///
/// While the site lives, `reading` and `writing` return pointers that are aligned and valid for
/// `count` slots whenever `index + count <= slot_count()`, `slot_count` is a power of two and
/// never changes, and the memory always holds initialised bytes.
pub(crate) unsafe trait Site {
    /// What a slot holds. Any bytes are a value, because a peer may have written any.
    type Slot: Pod;

    /// This process as a participant.
    type Who<'a>: Liveness
    where
        Self: 'a;

    /// The shared words.
    fn indices(&self) -> &Indices;

    /// Slots in memory: the capacity, rounded up to a power of two.
    fn slot_count(&self) -> usize;

    /// The place of `count` slots that the caller, who owns them, is about to read.
    fn reading(&self, index: usize, count: usize) -> *const Self::Slot;

    /// The place of `count` slots that the caller, who owns them, is about to write.
    fn writing(&self, index: usize, count: usize) -> *mut Self::Slot;

    /// The word of our id; 0 if this process is no participant, as a forked child before
    /// [`Site::who`].
    fn own_word(&self) -> u32;

    /// This process as a participant; makes it one if need be. `None` if that fails.
    fn who(&self) -> Option<Self::Who<'_>>;
}
