//! A robust lock that its holder may take again: [`RawLock`] and a depth.
//!
//! Source: the recursive mutex of POSIX, with the depth beside the lock, where only the holder
//! touches it.
//!
//! ```text
//! byte 0      8
//!      lock   depth
//!             bit 63   bits 0..63
//!             TORN     how often the holder has taken the lock
//! ```
//!
//! # Invariants
//!
//! - N1. Only the holder of the lock reads or writes `depth`, and it means something only while the
//!   lock is held: whoever gets the lock from another sets it to 1, whatever it was.
//! - N2. While the lock is held, `depth` is how often its holder has entered and not left; the lock
//!   is given back when it would become 0.
//! - N3. TORN is set by the holder that leaves in a panic. It makes the last release say so, even if
//!   the panic was caught on the way there; a repair takes it away.
//!
//! # Memory ordering
//!
//! None of its own: `depth` goes from holder to holder by the hand-over edge of the lock.
//!
//! # Death
//!
//! A dead holder leaves any depth; the take-over of the lock starts at 1 again (N1). A release of
//! the outermost level changes no word but that of the lock, so there is nothing in between.
//!
//! # Limits
//!
//! As [`RawLock`]. The depth never overflows: it has 63 bits.

#![allow(unsafe_code)]

use super::deadline::Deadline;
use super::raw::{Acquired, LockFailure, RawLock, Release, owned_by};
use crate::region::id::{Liveness, ParticipantId};
use crate::sync::{AtomicU64, Ordering::Relaxed};

const TORN: u64 = 1 << 63;

/// The words of a lock that nests; any bytes are valid, zeros are a free one.
#[repr(C)]
#[derive(Default)]
pub struct RecursiveLock {
    lock: RawLock,
    /// Relaxed throughout: see the page.
    depth: AtomicU64,
}

// SAFETY: two atomics without padding, and every bit pattern is a lock.
#[cfg(not(loom))]
unsafe impl crate::region::Shared for RecursiveLock {}
#[cfg(not(loom))]
const _: () = assert!(size_of::<RecursiveLock>() == 16 && align_of::<RecursiveLock>() == 8);

impl RecursiveLock {
    /// Enters, waiting until `deadline` unless this thread is inside already.
    ///
    /// Any number of threads and processes may call this at once. One compare-and-swap and one store
    /// while the lock is free; otherwise as [`RawLock::lock`].
    ///
    /// # Errors
    ///
    /// [`LockFailure::WouldBlock`] for [`Deadline::Now`] and [`LockFailure::Timeout`] for any other
    /// deadline, if a living holder kept the lock.
    #[inline]
    pub fn enter(&self, who: &impl Liveness, deadline: Deadline) -> Result<Acquired, LockFailure> {
        let acquired = match self.lock.claim(owned_by(who.me())) {
            true => Acquired::Clean,
            false if self.lock.is_held(who) => return Ok(self.enter_again()),
            false => self.lock.lock_contended(who, deadline)?,
        };
        self.depth.store(1, Relaxed); // N1
        Ok(acquired)
    }

    /// Enters where the caller is inside already; told of a death until it is repaired.
    fn enter_again(&self) -> Acquired {
        self.depth.store(self.depth.load(Relaxed).wrapping_add(1), Relaxed);
        if self.lock.is_abandoned() { Acquired::OwnerDied } else { Acquired::Clean }
    }

    /// Leaves one level, and gives the lock back with the last. `torn`: in a panic.
    ///
    /// Only the thread that is inside may call this, and no forked child in its place. Never blocks.
    #[inline]
    pub fn leave(&self, me: ParticipantId, torn: bool) {
        let depth = self.depth.load(Relaxed) | if torn { TORN } else { 0 };
        if depth & !TORN != 1 {
            self.depth.store(depth.wrapping_sub(1), Relaxed);
        } else if depth & TORN != 0 {
            self.lock.release_flagged(me, Release::Abandon); // N3
        } else if !self.lock.release(owned_by(me)) {
            self.lock.release_flagged(me, Release::Clean);
        }
    }

    /// Declares what the lock protects repaired. Only the thread that is inside may call this.
    pub fn mark_recovered(&self) {
        self.lock.mark_recovered();
        self.depth.store(self.depth.load(Relaxed) & !TORN, Relaxed);
    }

    /// Whether the calling thread is inside; this answer does not go stale.
    #[cfg(not(loom))]
    #[inline]
    pub(super) fn is_held(&self, who: &impl Liveness) -> bool {
        self.lock.is_held(who)
    }

    /// Who is inside; stale at once unless it is the caller.
    #[cfg(not(loom))]
    pub(super) fn owner(&self) -> Option<ParticipantId> {
        self.lock.owner()
    }

    /// How often the caller, which is inside, has entered.
    pub fn depth(&self) -> u64 {
        self.depth.load(Relaxed) & !TORN
    }
}

#[cfg(all(test, not(loom)))]
#[path = "recursive_tests.rs"]
mod tests;
