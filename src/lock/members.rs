//! Who belongs to a barrier, or has a queue: one cell for each participant slot of its region.
//!
//! ```text
//! cell   bits 32..64   0..30
//!        handles       id of the participant, 0 = none
//! ```
//!
//! A process is a member from the moment a handle is on its way to it until it has dropped the last
//! one. A cell lies where the participant's slot says, so nobody searches.
//!
//! # Invariants
//!
//! - M1. Only the participant that a cell names counts its handles; the one who sends a handle does
//!   that for the participant that travels with it, until it has arrived.
//! - M2. A dead member's cell says so until `forget_dead`, or until the next occupant of its slot joins:
//!   the sweep of the slot leaves the cell in the name of the dead, and who overwrites it tells.
//!
//! # Memory ordering
//!
//! A barrier needs none: there a cell orders nothing but itself, and that a member joined before it
//! could be missed follows from how its handle came to it. For the edge "leave" see [`super::census`].
//!
//! # Death
//!
//! Every step is one compare-and-swap. A process killed before it joins is no member yet; killed
//! after it left, no longer.

use crate::region::id::{Liveness, ParticipantId};
#[cfg(not(loom))]
use crate::region::{OwnerField, OwnerWords, id::GENERATION_BITS};
use crate::sync::{AtomicU64, Ordering::*};

/// One handle in the count.
const HANDLE: u64 = 1 << 32;

/// The cell of one participant slot; any bytes are valid, zeros are nobody.
#[derive(Default)]
#[repr(transparent)]
pub struct Member(AtomicU64);

// SAFETY: an atomic, and every bit pattern is a cell.
#[cfg(not(loom))]
#[allow(unsafe_code)]
unsafe impl crate::region::Shared for Member {}
#[cfg(not(loom))]
const _: () = assert!(size_of::<Member>() == 8);

#[cfg(not(loom))]
impl Member {
    /// Where `count` cells, `at` bytes into their object, keep their owners.
    pub(crate) fn owner_words(at: u64, count: u32) -> OwnerWords {
        let field = OwnerField::Number { shift: GENERATION_BITS };
        OwnerWords { first_bytes: at, stride_bytes: size_of::<Member>() as u32, count, field }
    }
}

impl Member {
    /// The cell of `id`; `None` if there is no such slot.
    pub fn of(cells: &[Member], id: ParticipantId) -> Option<&Member> {
        cells.get(id.number().checked_sub(1)? as usize)
    }

    /// Adds a handle of `id`, whose cell this is. `bereaved` runs first if the cell is a dead one's.
    pub fn join(&self, id: ParticipantId, bereaved: impl Fn()) {
        self.change(|word| match owner(word) {
            Some(owner) if owner == id => word.checked_add(HANDLE),
            other => {
                if other.is_some() {
                    bereaved(); // M2
                }
                Some(HANDLE | u64::from(id.word()))
            }
        });
    }

    /// Takes a handle of `id` away; with its last one it is no member any more, and `farewell` runs
    /// before.
    pub fn leave(&self, id: ParticipantId, farewell: impl Fn()) {
        self.change(|word| {
            let mine = owner(word) == Some(id);
            mine.then(|| match word < 2 * HANDLE {
                true => {
                    farewell();
                    0
                }
                false => word - HANDLE,
            })
        });
    }

    /// Whether one of the members has died: about a microsecond for each that lives.
    pub fn any_dead(cells: &[Member], who: &impl Liveness) -> bool {
        cells.iter().any(|cell| cell.is_dead(who))
    }

    /// Lets the dead be members no longer.
    pub fn forget_dead(cells: &[Member], who: &impl Liveness) {
        for cell in cells {
            if cell.is_dead(who) {
                // The dead change nothing, but the sweep may.
                cell.change(|word| owner(word).filter(|id| who.is_dead(*id)).map(|_| 0));
            }
        }
    }

    /// Whether this cell counts nobody alive, save for one handle of `id`.
    pub fn is_only(&self, id: ParticipantId, who: &impl Liveness) -> bool {
        let word = self.0.load(Acquire); // leave
        owner(word).is_none_or(|owner| match owner == id {
            true => word < 2 * HANDLE,
            false => who.is_dead(owner),
        })
    }

    /// Whether somebody alive has a handle by this cell.
    #[cfg(feature = "serde")]
    pub fn is_taken(&self, who: &impl Liveness) -> bool {
        owner(self.0.load(Relaxed)).is_some_and(|id| !who.is_dead(id))
    }

    fn is_dead(&self, who: &impl Liveness) -> bool {
        owner(self.0.load(Relaxed)).is_some_and(|id| who.is_dead(id))
    }

    fn change(&self, to: impl Fn(u64) -> Option<u64>) {
        let mut word = self.0.load(Relaxed);
        while let Some(next) = to(word) {
            // leave: Release, pairs with the load in `is_only`.
            match self.0.compare_exchange(word, next, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }
}

fn owner(word: u64) -> Option<ParticipantId> {
    ParticipantId::from_word(word as u32)
}

#[cfg(all(test, not(loom)))]
#[path = "members_tests.rs"]
mod tests;
