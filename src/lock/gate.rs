//! A flag to wait for, in one word: what an `Event` is made of.
//!
//! Source: ours; the count in place of a bit is what a seqlock does, so that a state that came and
//! went is not mistaken for one that never came.
//!
//! ```text
//! byte 0      8
//!      word   bell
//! word: how often the flag has changed; odd = set, even = clear
//! ```
//!
//! # Invariants
//!
//! - I1. The word only grows, by one: from even to odd by a set, from odd to even by a clear. (A set
//!   that finds it odd and a clear that finds it even leave it alone.)
//! - I2. So a waiter that came at an even word is to go on if and only if the word has changed: a
//!   set has happened since, whatever happened after it.
//! - I3. `set` is one read-modify-write and, if somebody may be asleep, a wake-up: lock-free, no
//!   allocation, no `errno`, and nobody is looked up. A signal handler may call it, also one that
//!   interrupts a `set`, a `clear` or a wait of the same thread.
//!
//! # Memory ordering
//!
//! | edge | Release | Acquire | then visible |
//! |---|---|---|---|
//! | set | `set` writes the word | a waiter and `is_set` read it, a `clear` changes it | all that the setter wrote |
//!
//! A set writes the word even where that changes nothing: a clear after it, which then finds what
//! was announced by this very set, is ordered after what the setter wrote. (With a plain load, the
//! setter could miss the clear and the clearer miss what was written.) Clears are
//! read-modify-writes too, so that they do not end the release sequence of the set before them.
//!
//! # Death
//!
//! Nobody is registered anywhere: a killed waiter leaves at most the announcement in the bell. A
//! setter killed before its write has set nothing; killed after it, the sleepers see it one nap
//! later.
//!
//! # Limits
//!
//! A `set` wakes all who wait, and is O(1) while nobody does.

use super::deadline::Deadline;
use super::event::EventCount;
use super::spin::Spin;
use crate::sync::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

/// The lowest bit of the word: set.
const SET: u64 = 1;

/// When a waiter came.
#[derive(Clone, Copy, Debug)]
pub struct Moment(u64);

/// A flag to wait for; any bytes are valid, zeros are a clear one.
#[derive(Default)]
#[repr(C)]
pub struct Gate {
    word: AtomicU64,
    bell: EventCount,
}

// SAFETY: atomics without padding, and every bit pattern is a gate.
#[cfg(not(loom))]
#[allow(unsafe_code)]
unsafe impl crate::region::Shared for Gate {}
#[cfg(not(loom))]
const _: () = assert!(size_of::<Gate>() == 16);

impl Gate {
    /// Sets the flag and lets everybody go on who waits; calls `ring` if somebody waits elsewhere.
    ///
    /// Any number of threads, processes and signal handlers may call this at once (I3).
    #[inline]
    pub fn set(&self, ring: impl FnOnce()) {
        // set: Release; partners are the loads below.
        self.word.fetch_or(SET, Release);
        self.bell.notify_all_and(ring);
    }

    /// Clears the flag: who comes from now on waits.
    pub fn clear(&self) {
        // Relaxed: who finds it clear has nothing to be ordered after.
        let mut word = self.word.load(Relaxed);
        while word & SET != 0 {
            // set: Acquire; who clears goes on to look at what the setter has left.
            match self.word.compare_exchange_weak(word, word.wrapping_add(1), Acquire, Relaxed) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }

    /// Whether the flag is set; stale at once.
    pub fn is_set(&self) -> bool {
        self.word.load(Acquire) & SET != 0 // set
    }

    /// Waits until the flag is set, or has been since the call, and says whether that is so; `false`
    /// is for the deadline.
    pub fn wait(&self, spin: &Spin, deadline: Deadline) -> bool {
        let came = self.now();
        let attempt = || self.is_past(came).then_some(());
        self.bell.wait_until(spin, deadline, attempt, || None).is_some()
    }

    /// The moment, for [`Gate::is_past`].
    pub fn now(&self) -> Moment {
        // Relaxed: `is_past` reads the word again. I2: a word that is odd now differs already.
        Moment(self.word.load(Relaxed) & !SET)
    }

    /// Whether the flag is set, or has been since that moment.
    pub fn is_past(&self, moment: Moment) -> bool {
        self.word.load(Acquire) != moment.0 // set
    }

    /// Asks the next setter to ring: see [`EventCount::arm`].
    pub fn arm(&self) {
        self.bell.arm();
    }
}

#[cfg(all(test, not(loom)))]
#[path = "gate_tests.rs"]
mod tests;
