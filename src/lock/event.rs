//! The event count, and the one wait loop of this crate.
//!
//! A waiter tries, announces that it is about to sleep, tries again, and sleeps; a publisher
//! publishes and wakes only if somebody has announced. A wake-up proves nothing: every sleeper tries
//! again. The words know nothing of what is waited for.
//!
//! Source: the event count of Reed and Kanodia, "Synchronization with Eventcounts and Sequencers"
//! (1979), with an announcement as in Vyukov's eventcount; the flag in place of a count of waiters,
//! and the capped sleeps, are ours, for the sake of those who are killed.
//!
//! ```text
//! state   bits 2..32   bit 1   bit 0
//!         sequence     FRESH   ANNOUNCED
//! waker   the processor of the last who woke somebody, plus one; 0 = unknown
//! ```
//!
//! # Invariants
//!
//! - I1. Whoever sleeps has set ANNOUNCED and FRESH and sleeps on that value of `state`: any change
//!   since then ends the sleep before it begins.
//! - I2. The sequence grows with every wake-up, in the same read-modify-write that takes FRESH (and,
//!   where all are woken, ANNOUNCED) away. So a killed notifier leaves nobody behind who sleeps
//!   on an old value unnoticed for longer than a cap, and no count that is never undone.
//! - I3. ANNOUNCED goes only when all sleepers are woken right after, or when a wake-up has found
//!   nobody asleep and nobody has announced since (FRESH is still clear).
//!
//! # Memory ordering
//!
//! What is waited for and `state` are two variables, written by one side each and read by the
//! other: store buffering, which only sequential consistency forbids. The waiter announces, fences,
//! then tries; the notifier publishes, fences, then loads `state`.
//!
//! | edge | one side | other side | then |
//! |---|---|---|---|
//! | announce | SeqCst fence after the announcement | SeqCst fence before the look at `state` | the notifier sees the announcement, or the waiter sees the publication |
//!
//! If the notifier's fence comes first in the total order, the waiter's try sees the publication.
//! Otherwise the notifier's load sees the announcement or a later value of `state`. A later value
//! without ANNOUNCED was left by another notifier, which has woken this waiter or ends its sleep by
//! the changed sequence; then the waiter announces anew, after that value, and the first case
//! holds. So a notifier that finds ANNOUNCED gone under its hands has nothing left to do. All
//! other accesses are Relaxed: the data brings its own edges.
//!
//! # Death
//!
//! A waiter killed at any point leaves at most the flags, which cost one vain wake-up. A notifier
//! killed between its publication and its wake-up costs the sleepers one cap of latency, and so
//! does a sleeper killed with a wake-up that another needed: see [`Naps`]. A dead peer that will
//! publish no more is the business of the `check` that every waiter brings.
#![allow(unsafe_code)]

use super::deadline::{Deadline, Naps};
use super::spin::{Spin, here};
use crate::sync::{AtomicU32, Ordering::Relaxed, Ordering::SeqCst, fence, futex};

/// Somebody may be asleep.
const ANNOUNCED: u32 = 1;
/// Somebody has announced since the last wake-up.
const FRESH: u32 = 2;
/// One step of the sequence.
const STEP: u32 = 4;

/// The words of an event count; any bytes are valid, zeros are a quiet one.
///
/// Belongs on a cache line that publishers write rarely: they read it at each publication.
#[repr(C)]
pub struct EventCount {
    state: AtomicU32,
    waker: AtomicU32,
}

// SAFETY: two atomics without padding, and every bit pattern is an event count.
#[cfg(not(loom))]
unsafe impl crate::region::Shared for EventCount {}
#[cfg(not(loom))]
const _: () = assert!(size_of::<EventCount>() == 8 && align_of::<EventCount>() == 4);

impl EventCount {
    /// A quiet event count.
    #[cfg(not(loom))]
    pub const fn new() -> EventCount {
        EventCount { state: AtomicU32::new(0), waker: AtomicU32::new(0) }
    }

    /// A quiet event count.
    #[cfg(loom)]
    pub fn new() -> EventCount {
        EventCount { state: AtomicU32::new(0), waker: AtomicU32::new(0) }
    }

    /// Wakes everybody who waits. Call it after the publication.
    ///
    /// Any number of threads and processes may call this at once. A fence and a load while nobody
    /// has announced; otherwise one system call. The right choice for a single waiter, too: it
    /// takes the announcement away, so that the next publication is cheap again.
    #[inline]
    pub fn notify_all(&self) {
        self.notify_all_and_tell();
    }

    /// As [`EventCount::notify_all`], and says whether somebody had announced, who may sleep
    /// elsewhere: see [`super::bell`].
    #[inline]
    pub fn notify_all_and_tell(&self) -> bool {
        let announced = self.is_announced();
        if announced {
            self.wake_all();
        }
        announced
    }

    /// Wakes one of those who wait, if any. Call it after the publication of one thing that any of
    /// the waiters can take.
    ///
    /// Any number of threads and processes may call this at once. A fence and a load while nobody
    /// has announced; otherwise one system call.
    #[inline]
    pub fn notify_one(&self) {
        self.notify_one_and_tell();
    }

    /// As [`EventCount::notify_one`], and says whether somebody had announced, who may sleep
    /// elsewhere: see [`super::bell`].
    #[inline]
    pub fn notify_one_and_tell(&self) -> bool {
        let announced = self.is_announced();
        if announced {
            self.wake_one();
        }
        announced
    }

    /// Waits until `attempt` succeeds, `check` has a verdict, or `deadline` passes (`None`).
    ///
    /// `attempt` is cheap and fails only if there is nothing to have: an attempt that gives up
    /// because others were faster would sleep beside what they left. `check` may be dear: it asks
    /// whether success is still possible, for example whether the peer lives. It runs after each
    /// sleep in vain and before a timeout is reported, always after an attempt. A verdict such as
    /// "closed and drained" is the check's own to make: what it needs to read after the death of
    /// the peer, it reads itself.
    ///
    /// Spins first if that has paid lately (see [`Spin`]); then sleeps in the kernel, in capped
    /// naps.
    pub fn wait_until<R>(
        &self,
        spin: &Spin,
        deadline: Deadline,
        mut attempt: impl FnMut() -> Option<R>,
        mut check: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        if let done @ Some(_) = attempt() {
            return done;
        }
        // Relaxed: a hint.
        if let done @ Some(_) = spin.until(self.waker.load(Relaxed), deadline, &mut attempt) {
            return done;
        }
        let mut naps = Naps::new();
        while let Some(nap) = naps.next(deadline) {
            let announced = self.announce();
            if let done @ Some(_) = attempt() {
                return done;
            }
            futex::wait(&self.state, announced, Some(nap));
            if let done @ Some(_) = attempt().or_else(&mut check) {
                return done;
            }
        }
        check()
    }

    /// Says that we are about to sleep, and returns the value to sleep on (I1).
    pub(super) fn announce(&self) -> u32 {
        // Relaxed: ordered by the fence.
        let state = self.state.fetch_or(ANNOUNCED | FRESH, Relaxed);
        // announce: partner is the fence in `is_announced`.
        fence(SeqCst);
        state | ANNOUNCED | FRESH
    }

    /// Whether somebody may be asleep: a fence and a load.
    #[inline]
    pub(super) fn is_announced(&self) -> bool {
        // announce: partner is the fence in `announce`.
        fence(SeqCst);
        // Relaxed: ordered by the fence.
        self.state.load(Relaxed) & ANNOUNCED != 0
    }

    #[cold]
    fn wake_all(&self) {
        // Relaxed, here and below: a hint.
        self.waker.store(here(), Relaxed);
        if self.advance(ANNOUNCED | FRESH).is_some() {
            futex::wake(&self.state, u32::MAX);
        }
    }

    #[cold]
    fn wake_one(&self) {
        self.waker.store(here(), Relaxed);
        let Some(state) = self.advance(FRESH) else { return };
        if futex::wake(&self.state, 1) == 0 {
            // I3: nobody slept then; FRESH or a new sequence would show who has announced since.
            // Relaxed: publishes nothing.
            let _ = self.state.compare_exchange(state, state & !ANNOUNCED, Relaxed, Relaxed);
        }
    }

    /// Steps the sequence and takes `flags` away in one, and returns the new state; `None` if the
    /// announcement is gone already.
    fn advance(&self, flags: u32) -> Option<u32> {
        // Relaxed: see the page on a notifier that finds the announcement gone.
        let mut state = self.state.load(Relaxed);
        while state & ANNOUNCED != 0 {
            let next = state.wrapping_add(STEP) & !flags;
            match self.state.compare_exchange_weak(state, next, Relaxed, Relaxed) {
                Ok(_) => return Some(next),
                Err(now) => state = now,
            }
        }
        None
    }
}

impl Default for EventCount {
    fn default() -> EventCount {
        EventCount::new()
    }
}

#[cfg(all(test, not(loom)))]
#[path = "event_tests.rs"]
mod tests;
