//! The shared words of a ring: where each end stands and who holds it.
//!
//! ```text
//! byte    0     8            128   136
//!         head  consumer     tail  producer
//! writer  consumer           producer
//! ```
//!
//! Each end writes its own 128 bytes only, with one exception: a dead owner's id is replaced by
//! whoever finds it out. Any bytes are valid here, and zeroed bytes are an empty ring with both
//! ends closed.

use crate::region::id::{Liveness, ParticipantId};
use crate::sync::{AtomicU32, AtomicU64, Ordering::*};

/// The role of the end that writes slots.
pub(crate) const PRODUCER: bool = true;
/// The role of the end that reads slots.
pub(crate) const CONSUMER: bool = false;

/// What one end of a ring writes, on lines of its own.
#[repr(C, align(128))]
pub(crate) struct Side {
    /// `head` or `tail`: grows by one per slot and never wraps to an index.
    pub(super) position: AtomicU64,
    /// [`CLOSED`], [`VACANT`] or the id of the participant that holds this end.
    pub(super) owner: AtomicU32,
}

/// Both ends of a ring.
#[repr(C)]
pub(crate) struct Indices {
    pub(super) consumer: Side,
    pub(super) producer: Side,
}

#[cfg(not(loom))]
const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<Indices>() == 256 && align_of::<Indices>() == 128);
    assert!(offset_of!(Indices, consumer) == 0 && offset_of!(Indices, producer) == 128);
    assert!(offset_of!(Side, position) == 0 && offset_of!(Side, owner) == Indices::OWNER_OFFSET);
};

/// The owner has closed its end for good.
pub(super) const CLOSED: u32 = 0;
/// Nobody has taken this end yet; the other end waits for somebody.
pub(super) const VACANT: u32 = 1 << 30;

impl Indices {
    /// Bytes from the start of a [`Side`] to its owner word.
    pub(crate) const OWNER_OFFSET: usize = 8;
    /// Bytes from one owner word to the other.
    pub(crate) const OWNER_STRIDE: usize = 128;

    /// What the end of this role writes.
    #[inline(always)]
    pub(super) fn side(&self, role: bool) -> &Side {
        if role == PRODUCER { &self.producer } else { &self.consumer }
    }

    /// Where the consumer and the producer stand.
    #[cfg(not(loom))]
    pub(super) fn positions(&self) -> [&AtomicU64; 2] {
        [&self.consumer.position, &self.producer.position]
    }

    /// Items between the two ends; stale at once.
    #[cfg(not(loom))]
    pub(super) fn len(&self) -> u64 {
        // Relaxed: the order in which they are read makes a stale answer too small, not too large.
        let [head, tail] = self.positions();
        let tail = tail.load(Relaxed);
        tail.wrapping_sub(head.load(Relaxed))
    }

    /// An empty ring whose ends have no owner yet, beginning at `position`.
    #[cfg(any(test, loom))]
    pub(crate) fn starting_at(position: u64) -> Indices {
        let side = || Side { position: AtomicU64::new(position), owner: AtomicU32::new(VACANT) };
        Indices { consumer: side(), producer: side() }
    }

    /// Makes both ends of a fresh ring vacant. To be called before the ring is shared, so that
    /// Relaxed is enough: publishing the object orders it.
    pub(crate) fn vacate(&self) {
        for side in [&self.consumer, &self.producer] {
            side.position.store(0, Relaxed);
            side.owner.store(VACANT, Relaxed);
        }
    }
}

impl Side {
    /// Whether this end was closed, or its owner was found dead. One load; final unless a new
    /// owner takes over from a dead one.
    #[inline]
    pub(super) fn is_gone(&self) -> bool {
        // close: Acquire, pairs with the Release in `give`: the last position is visible.
        let owner = self.owner.load(Acquire);
        owner == CLOSED || owner == ParticipantId::DEAD.word()
    }

    /// Whether the owner of this end was found dead. One load.
    #[cfg(not(loom))]
    pub(super) fn has_died(&self) -> bool {
        self.owner.load(Relaxed) == ParticipantId::DEAD.word() // says nothing of what it left
    }

    /// Whether this end is closed or its owner dead; asks the kernel unless the word tells.
    /// A dead owner is noted in the word, so that [`Side::is_gone`] sees it from then on.
    #[cold]
    pub(super) fn is_gone_for_sure(&self, who: Option<impl Liveness>) -> bool {
        let owner = self.owner.load(Acquire); // close
        if owner == CLOSED {
            return true;
        }
        let Some(id) = ParticipantId::from_word(owner) else { return false };
        if id == ParticipantId::DEAD {
            return true;
        }
        if !who.is_some_and(|who| who.is_dead(id)) {
            return false;
        }
        // Failure means that a new owner took over or that a survivor was faster; either way the
        // next look tells. Relaxed: the kernel's verdict is newer than all stores of the dead.
        let noted =
            self.owner.compare_exchange(owner, ParticipantId::DEAD.word(), Relaxed, Relaxed);
        noted.is_ok() || self.is_gone()
    }

    /// Makes `me` the owner if nobody alive is; `heir_of` names one more owner to take over from.
    pub(super) fn claim(&self, me: ParticipantId, heir_of: u32, who: &impl Liveness) -> bool {
        // Relaxed: a proposal for the CAS below.
        let mut owner = self.owner.load(Relaxed);
        loop {
            let free = match ParticipantId::from_word(owner) {
                None => owner == VACANT,
                Some(id) => id.word() == heir_of || id == ParticipantId::DEAD || who.is_dead(id),
            };
            if !free {
                return false;
            }
            // take: Acquire, pairs with the Release in `give`: the last position is visible.
            match self.owner.compare_exchange(owner, me.word(), Acquire, Relaxed) {
                Ok(_) => return true,
                Err(now) => owner = now, // a sweep says that it was a dead one's, or another has it
            }
        }
    }

    /// Hands this end from `from` to `to`; false if it was not `from`'s.
    pub(super) fn give(&self, from: u32, to: u32) -> bool {
        // close, take: Release, pairs with the Acquire in `is_gone` and in `claim`.
        self.owner.compare_exchange(from, to, Release, Relaxed).is_ok()
    }
}
