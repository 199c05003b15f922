//! How many handles to an object there are anywhere: whether others could still do what one waits
//! for.
//!
//! The handles themselves are counted in [`Member`] cells, one for each participant slot, so that
//! those of the dead can be told from those of the living. Here is what makes a look at all cells
//! one look.
//!
//! ```text
//! joins    bits 0..64   handles ever counted
//! leaves   bits 0..32   handles ever dropped in order: a hint that it is time to look
//! ```
//!
//! # Invariants
//!
//! - C1. A handle is counted before it can be used, and before the handle that it was made from can
//!   go; the one that is sent is counted for the participant that travels with it.
//! - C2. `joins` grows after the cell that the new handle is counted in, and before the handle can be
//!   used. So cells that were looked at between two equal values of `joins` and show nobody show that
//!   there was nobody: a handle that moved from a cell not yet seen to one seen before would have
//!   been counted anew in between.
//!
//! # Memory ordering
//!
//! | edge | Release | Acquire | then visible |
//! |---|---|---|---|
//! | leave | `Member::leave` changes a cell | `Member::is_only` loads it | what was done with the handle, and `joins` |
//! | join | `join` adds to `joins` | `is_alone` loads it, first | the cells counted before |
//!
//! # Death
//!
//! Killed between the cell and `joins`: the handle was never used. The dead are left out of the count
//! by the verdict on their participant, which makes visible what they did.

use super::members::Member;
use crate::region::id::{Liveness, ParticipantId};
use crate::sync::{AtomicU32, AtomicU64, Ordering::*};

/// The words of a census; any bytes are valid, zeros are an object without handles.
#[derive(Default)]
#[repr(C)]
pub struct Census {
    joins: AtomicU64,
    leaves: AtomicU32,
    _reserved: AtomicU32,
}

// SAFETY: atomics, and every bit pattern is a census.
#[cfg(not(loom))]
#[allow(unsafe_code)]
unsafe impl crate::region::Shared for Census {}
#[cfg(not(loom))]
const _: () = assert!(size_of::<Census>() == 16);

impl Census {
    /// Counts a handle of `id`; nothing if there is no such slot.
    pub fn join(&self, cells: &[Member], id: ParticipantId) {
        if let Some(cell) = Member::of(cells, id) {
            cell.join(id, || ());
            self.joins.fetch_add(1, AcqRel); // join
        }
    }

    /// Counts a handle of `id` no longer. What waits for others is to be woken after this.
    pub fn leave(&self, cells: &[Member], id: ParticipantId) {
        if let Some(cell) = Member::of(cells, id) {
            cell.leave(id, || ());
            self.leaves.fetch_add(1, Relaxed); // a hint
        }
    }

    /// Whether `id` has one handle, nobody alive has another, and somebody had: who was never anything
    /// but alone waits for company.
    ///
    /// About a microsecond for each participant that has a handle and is not `id`.
    pub fn is_alone(&self, cells: &[Member], id: ParticipantId, who: &impl Liveness) -> bool {
        let before = self.joins.load(Acquire); // join
        before > 1
            && cells.iter().all(|cell| cell.is_only(id, who))
            // Relaxed: not older than what the cells have shown, each seen with Acquire (leave).
            && self.joins.load(Relaxed) == before
    }

    /// A number that changes when a handle goes in order. One load.
    pub fn leaves(&self) -> u32 {
        self.leaves.load(Relaxed) // a hint
    }
}

#[cfg(all(test, not(loom)))]
#[path = "census_tests.rs"]
mod tests;
