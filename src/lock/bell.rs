//! A bell for a waiter that sleeps elsewhere than on the event count: in `epoll`, say.
//!
//! The waiter announces itself on the event count as any sleeper does, so that a publisher that
//! nobody waits for looks at nothing more than before. A publisher that takes an announcement away
//! looks here as well, and rings if that was asked for, by means that it knows.
//!
//! ```text
//! wanted  bit 0: somebody wants to be rung once
//! ```
//!
//! # Invariants
//!
//! - B1. After [`Bell::arm`], whatever is published either is seen by the look that the waiter
//!   takes next, or is rung by its publisher.
//! - B2. One `arm` makes for one ring: who rings takes the wish away in the same step.
//!
//! # Memory ordering
//!
//! | edge | one side | other side | then |
//! |---|---|---|---|
//! | wish | the SeqCst fence of the announcement, after `wanted` was set | the SeqCst fence of `notify_all_and_tell`, between publication and `is_to_ring` | the publisher sees the wish, or the waiter's look sees the publication |
//!
//! A publisher that never comes to `is_to_ring` saw no announcement: then the edge "announce" of the
//! event count says that the waiter's look sees the publication, or that a publication before it
//! took the announcement away, for which the above holds.
//!
//! # Death
//!
//! A publisher killed between its publication and its ring leaves the waiter to other news of its
//! death. A waiter that is killed leaves a wish, which costs one vain ring.

#![allow(unsafe_code)]

use super::event::EventCount;
use crate::sync::{AtomicU32, Ordering::Relaxed};

/// The word of a bell; any bytes are valid, zero is one that nobody wants to hear.
#[repr(C)]
pub struct Bell {
    wanted: AtomicU32,
}

// SAFETY: one atomic, and every bit pattern is a bell.
#[cfg(not(loom))]
unsafe impl crate::region::Shared for Bell {}

impl Bell {
    /// A bell that nobody wants to hear.
    #[cfg(loom)]
    pub fn new() -> Bell {
        Bell { wanted: AtomicU32::new(0) }
    }

    /// Asks to be rung at the next publication on `event`. Look for what is there already after
    /// this, and take earlier rings away before it.
    pub fn arm(&self, event: &EventCount) {
        self.wanted.store(1, Relaxed); // ordered by the fence in `announce`
        event.announce(); // wish: its fence; partner is the one in `EventCount::is_announced`
    }

    /// Whether the publisher is to ring, whose `notify_all_and_tell` has just met an announcement.
    #[cold]
    pub fn is_to_ring(&self) -> bool {
        // wish: Relaxed, ordered by the fence in `is_announced`; partner is that of `announce`. The
        // swap is B2; the load spares it where nobody polls.
        self.wanted.load(Relaxed) & 1 != 0 && self.wanted.swap(0, Relaxed) & 1 != 0
    }
}
