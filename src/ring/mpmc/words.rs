//! The shared words of the ring, and what is written in them.
//!
//! ```text
//! byte  0     128   256       260     264        272    280    384
//!       head  tail  returned  closed  last_void  freed  grown  slot 0 | slot 1 | ..   slot: control, value
//!
//! bit      63 .. 16                      15 .. 3    2 .. 0
//! head     position                      owner      log2 of the number of slots claimed
//! tail     position                      owner      log2 of the number of slots claimed
//! control  lap: position less its index  owner      state
//! ```
//!
//! A position counts slots ever claimed, modulo 2^48. The owner of `head` or `tail` is who claimed
//! the slots just before the position; 0 is nobody, and [`CLOSED`] in `tail` says that nobody ever
//! will again. `freed` and `grown` are positions, of a ring that grows. Any bytes are valid here, and
//! zeroed bytes are an empty ring.

use crate::region::id::{NUMBER_BITS, NUMBER_DEAD};
use crate::sync::{AtomicU32, AtomicU64};

/// The role that claims slots at the tail, to write them.
pub(super) const PRODUCER: bool = true;
/// The role that claims slots at the head, to read them.
pub(super) const CONSUMER: bool = false;

/// One position.
pub(super) const STEP: u64 = 1 << 16;
/// Bits below the position.
pub(super) const LOW: u64 = STEP - 1;
/// Where the owner begins.
pub(super) const OWNER_SHIFT: u32 = 3;
/// The bits of the owner.
pub(super) const OWNER: u64 = (NUMBER_DEAD as u64) << OWNER_SHIFT;
/// The owner that a sweep leaves in place of a dead one.
pub(super) const DEAD: u64 = OWNER;
/// The owner in `tail` once nothing more may be claimed there: nobody's number.
pub(super) const CLOSED: u64 = OWNER - (1 << OWNER_SHIFT);
/// The bits of the state, or of the logarithm.
pub(super) const STATE: u64 = (1 << OWNER_SHIFT) - 1;
/// The most slots of one claim.
pub(super) const CLAIM_MAX: usize = 1 << STATE;

const _: () = assert!(OWNER | STATE == LOW && NUMBER_BITS + OWNER_SHIFT == 16);

/// To be claimed at the tail; or claimed there, and `tail` names the owner.
pub(super) const FREE: u64 = 0;
/// Claimed at the tail by the owner.
pub(super) const WRITING: u64 = 1;
/// To be claimed at the head; or claimed there, and `head` names the owner.
pub(super) const FULL: u64 = 2;
/// Claimed at the head by the owner.
pub(super) const READING: u64 = 3;
/// Claimed at the tail and given up: nothing is in it.
pub(super) const VOID: u64 = 4;
/// Claimed at the head and given back: to be taken by any consumer, out of turn.
pub(super) const RETURNED: u64 = 5;
/// Taken out of turn by the owner. Not [`READING`], which the claimant after the owner may write.
pub(super) const RETAKEN: u64 = 6;

/// An index word on lines of its own.
#[repr(C, align(128))]
pub(crate) struct Line {
    pub(super) word: AtomicU64,
}

/// What is looked at when a claim is in vain.
#[repr(C, align(128))]
pub(crate) struct Scars {
    /// Not 0 if there may be [`RETURNED`] slots: grows with each. A hint: `recover` puts it right.
    pub(super) returned: AtomicU32,
    /// Not 0 if the ring is closed. A hint, for those who would not look at the tail for it: who closes
    /// leaves it right after.
    pub(super) closed: AtomicU32,
    /// Above the position of each slot that was [`VOID`], shifted as in an index word.
    pub(super) last_void: AtomicU64,
    /// The position up to which memory was given back: see [`super::growth`].
    pub(super) freed: AtomicU64,
    /// The position up to which there is memory.
    pub(super) grown: AtomicU64,
}

/// The words before the slots.
#[repr(C)]
pub(crate) struct Words {
    pub(super) head: Line,
    pub(super) tail: Line,
    pub(super) scars: Scars,
}

#[cfg(not(loom))]
const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<Words>() == 384 && align_of::<Words>() == 128);
    assert!(offset_of!(Words, head) == 0 && offset_of!(Words, tail) == 128);
    assert!(offset_of!(Words, scars) == 256 && offset_of!(Scars, last_void) == 8);
    assert!(offset_of!(Scars, freed) == 16 && offset_of!(Scars, grown) == 24);
};

impl Words {
    /// Both positions at `position`.
    #[cfg(any(test, loom))]
    pub(crate) fn starting_at(position: u64) -> Words {
        let line = || Line { word: AtomicU64::new(position << 16) };
        let at = || AtomicU64::new(position << 16);
        let none = || AtomicU32::new(0);
        let scars =
            Scars { returned: none(), closed: none(), last_void: at(), freed: at(), grown: at() };
        Words { head: line(), tail: line(), scars }
    }

    /// The index word of a role.
    #[inline(always)]
    pub(super) fn of<const ROLE: bool>(&self) -> &AtomicU64 {
        if ROLE == PRODUCER { &self.tail.word } else { &self.head.word }
    }
}

/// Positions from `from` up to `to`, which are index words.
#[inline(always)]
pub(super) fn distance(from: u64, to: u64) -> u64 {
    (to & !LOW).wrapping_sub(from & !LOW) >> 16
}
