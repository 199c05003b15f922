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
//! state   bits 3..32   bit 2   bit 1   bit 0
//!         sequence     ARMED   FRESH   ANNOUNCED
//! waker   the processor of the last who woke somebody, plus one; 0 = unknown
//! ```
//!
//! Who sleeps elsewhere, in `poll` or `epoll`, arms a bell: a publisher that finds it armed *rings*, by
//! means that it brings along. One ring must reach all who have armed; each of them takes earlier
//! rings away, arms, looks, and sleeps until it rings.
//!
//! # Invariants
//!
//! - I1. Whoever sleeps has set ANNOUNCED and FRESH and sleeps on that value of `state`: any change
//!   since then ends the sleep before it begins.
//! - I2. The sequence grows with every wake-up, in the same read-modify-write that takes FRESH (and,
//!   where all are woken, ANNOUNCED) away; it takes them from the very state that the notifier
//!   looked at, or leaves what others have made of that. Either way whoever announced before that
//!   look and is not asleep yet will not fall asleep. So a killed notifier leaves nobody behind who
//!   sleeps on an old value unnoticed for longer than a cap, and no count that is never undone.
//! - I3. ANNOUNCED goes only when all sleepers are woken right after, or when a wake-up has found
//!   nobody asleep and nobody has announced since (FRESH is still clear).
//! - I4. Every arming makes the sequence grow. So a state with ARMED is never the same as one before
//!   the latest arming: who takes ARMED away from the state it looked at, and has rung in between,
//!   has rung after everybody had armed whose wish it takes.
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
//! For ARMED the same fences count, that of `arm` in place of the announcement's; and a later value
//! without ARMED means by I4 that somebody has rung since. One more edge makes that "since" hold for
//! the means of ringing, too:
//!
//! | edge | Release | Acquire | then |
//! |---|---|---|---|
//! | ring | `arm` sets ARMED | the fence of `ring_if_armed` | the ring comes after what the waiter did before: it took earlier rings away |
//!
//! (No model shows the lack of this edge: what it orders are system calls.)
//!
//! # Death
//!
//! A waiter killed at any point leaves at most the flags, which cost one vain wake-up. A notifier
//! killed between its publication and its wake-up costs the sleepers one cap of latency, and so
//! does a sleeper killed with a wake-up that another needed: see [`Naps`]. A dead peer that will
//! publish no more is the business of the `check` that every waiter brings.
//!
//! ARMED goes after the ring, and ANNOUNCED with it. So whoever is killed or stopped between its
//! publication and its ring leaves both to the next publisher, which rings: of what a waiter is
//! told by a ring, only the very last publication of one who is killed just there can be missing.
//! A waiter that is killed leaves a wish, which costs one vain ring.
#![allow(unsafe_code)]

use super::deadline::{Deadline, Naps};
use super::spin::{Spin, here};
use crate::sync::{
    AtomicU32, Ordering::Acquire, Ordering::Relaxed, Ordering::Release, Ordering::SeqCst, fence,
    futex,
};

/// Somebody may be asleep.
const ANNOUNCED: u32 = 1;
/// Somebody has announced since the last wake-up.
const FRESH: u32 = 2;
/// Somebody who sleeps elsewhere wants a ring.
const ARMED: u32 = 4;
/// One step of the sequence.
const STEP: u32 = 8;

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
        self.notify_all_and(|| ());
    }

    /// As [`EventCount::notify_all`], and calls `ring` if somebody has armed a bell.
    #[inline]
    pub fn notify_all_and(&self, ring: impl FnOnce()) {
        let state = self.look();
        if state & (ANNOUNCED | ARMED) != 0 {
            self.wake_all(state, ring);
        }
    }

    /// Wakes one of those who wait, if any. Call it after the publication of one thing that any of
    /// the waiters can take.
    ///
    /// Any number of threads and processes may call this at once. A fence and a load while nobody
    /// has announced; otherwise one system call.
    #[inline]
    pub fn notify_one(&self) {
        self.notify_one_and(|| ());
    }

    /// As [`EventCount::notify_one`], and calls `ring` if somebody has armed a bell: who is rung may
    /// not come for the thing, so a sleeper is woken all the same.
    #[inline]
    pub fn notify_one_and(&self, ring: impl FnOnce()) {
        let state = self.look();
        if state & (ANNOUNCED | ARMED) != 0 {
            self.wake_one(state, ring);
        }
    }

    /// Calls `ring` if somebody has armed a bell, and wakes no sleeper. Call it after a publication
    /// that is none for them.
    #[inline]
    pub fn only_ring(&self, ring: impl FnOnce()) {
        let state = self.look();
        if state & ARMED != 0 {
            Self::ring_if_armed(state, ring);
            let _ = self.take(state, ARMED); // else somebody has armed anew, or rung as well
        }
    }

    /// Arms the bell: the next publication rings. Take earlier rings away before this, and look for
    /// what is there already after it.
    ///
    /// Any number of threads and processes may do this at once; a ring is for all of them.
    pub fn arm(&self) {
        let armed = |state: u32| Some(state.wrapping_add(STEP) | ARMED); // I4
        // ring: Release; partner is the fence in `ring_if_armed`. There is always a next state.
        let _ = self.state.fetch_update(Release, Relaxed, armed);
        // announce: partner is the fence in `look`.
        fence(SeqCst);
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
        // announce: partner is the fence in `look`.
        fence(SeqCst);
        state | ANNOUNCED | FRESH
    }

    /// Whether somebody may be asleep: a fence and a load.
    #[inline]
    pub(super) fn is_announced(&self) -> bool {
        self.look() & ANNOUNCED != 0
    }

    /// The state after a publication.
    #[inline]
    fn look(&self) -> u32 {
        // announce: partners are the fences in `announce` and `arm`.
        fence(SeqCst);
        self.state.load(Relaxed) // ordered by the fence
    }

    #[cold]
    fn wake_all(&self, state: u32, ring: impl FnOnce()) {
        // Relaxed, here and below: a hint.
        self.waker.store(here(), Relaxed);
        Self::ring_if_armed(state, ring);
        let taken = self.take(state, ANNOUNCED | FRESH | ARMED);
        // Who has taken ANNOUNCED away before us wakes them all.
        if state & ANNOUNCED != 0 && !matches!(taken, Err(now) if now & ANNOUNCED == 0) {
            futex::wake(&self.state, u32::MAX);
        }
    }

    #[cold]
    fn wake_one(&self, state: u32, ring: impl FnOnce()) {
        self.waker.store(here(), Relaxed);
        Self::ring_if_armed(state, ring);
        let taken = self.take(state, FRESH | ARMED);
        if state & ANNOUNCED == 0 || matches!(taken, Err(now) if now & ANNOUNCED == 0) {
            return;
        }
        if futex::wake(&self.state, 1) == 0
            && let Ok(left) = taken
        {
            // I3: nobody slept then; FRESH or a new sequence would show who has announced since.
            // Relaxed: publishes nothing.
            let _ = self.state.compare_exchange(left, left & !ANNOUNCED, Relaxed, Relaxed);
        }
    }

    /// Rings, if `state` says so. ARMED is still there: it goes after the ring.
    fn ring_if_armed(state: u32, ring: impl FnOnce()) {
        if state & ARMED != 0 {
            fence(Acquire); // ring: with the load of `state`; partner is `arm`
            ring();
        }
    }

    /// Steps the sequence and takes `flags` away in one, and returns the new state; as an error what
    /// others have made of `state` meanwhile, which is left alone.
    fn take(&self, state: u32, flags: u32) -> Result<u32, u32> {
        let next = state.wrapping_add(STEP) & !flags;
        // Relaxed: see the page on a notifier that finds the announcement gone.
        self.state.compare_exchange(state, next, Relaxed, Relaxed).map(|_| next)
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
