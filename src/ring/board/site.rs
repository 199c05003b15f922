//! Where a board lives: in a region in production, on the heap in tests and models.

use crate::sync::AtomicU64;

/// The words of one board.
pub trait Site {
    /// How many slots there are; does not change.
    fn slots(&self) -> usize;

    /// How many hints there is room for: a power of two, at least twice as many.
    fn hints(&self) -> usize;

    /// Hints below this position have been looked at.
    fn head(&self) -> &AtomicU64;

    /// Where the next hint goes.
    fn tail(&self) -> &AtomicU64;

    /// The place of the hint at a position.
    fn hint(&self, at: u64) -> &AtomicU64;

    /// The word of a slot, which is below [`Site::slots`] or taken modulo that.
    fn word(&self, slot: u32) -> &AtomicU64;
}
