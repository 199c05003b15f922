//! A robust lock in two words: it survives the death of its owner at any instruction.
//!
//! Source: Drepper, "Futexes Are Tricky" (2011), the three-state mutex, with the owner's
//! participant id in place of "locked", so that a survivor can tell whose lock it is and take it
//! over by one compare-and-swap. No pthread object, no robust list, no pointer.
//!
//! ```text
//! word    bit 31    bit 30      bits 0..30
//!         WAITERS   ABANDONED   id of the owner, 0 = free
//! holder  the owning thread, mixed with the owner's id; 0 = none
//! ```
//!
//! # Invariants
//!
//! - I1. Only the participant that `word` names changes it to another owner or to free, unless that
//!   participant is dead; the dead write nothing.
//! - I2. Whoever sleeps has seen WAITERS set after its last wake-up and before it fell asleep; so a
//!   release either finds WAITERS and wakes one, or nobody was asleep. (A killed waker, or a
//!   wake-up that went to somebody who was then killed, breaks this; the cap of a sleep repairs it.)
//! - I3. ABANDONED is set by whoever takes the lock over from the dead and by a release that says
//!   so; only the owner's `mark_recovered` takes it away. While it stands, every acquisition is told
//!   [`Acquired::OwnerDied`].
//! - I4. `holder` is written by the owner only. It decides nothing but the answer `WouldDeadlock`:
//!   a thread finds its own mark there exactly while it holds the lock.
//!
//! # Memory ordering
//!
//! | edge | Release | Acquire | then visible |
//! |---|---|---|---|
//! | hand-over | `unlock` frees `word` | any acquisition claims `word` | all that the owner wrote |
//!
//! Every change of `word` is a read-modify-write, so the flags that waiters add in between do not
//! end the release sequence. Announcing needs no fence: the flag and the state are one word, and
//! the kernel compares it again before the sleep. `holder` needs no edge: nobody but this thread
//! writes this thread's mark, and a thread sees its own writes in order.
//! The writes of a dead owner are ordered before its take-over by the kernel, which frees the dead
//! one's liveness lock after its last instruction, and by the call that found it free.
//!
//! # Death
//!
//! Killed before the first swap: nothing happened. While holding: whoever tries finds the owner dead
//! at once, whoever waits finds it dead at the end of the first nap, and takes over. While
//! repairing: ABANDONED stands again for the next. After the swap of a release but before the wake:
//! a sleeper takes the free lock one cap later. While asleep: only WAITERS is left behind, which
//! costs one vain wake-up.
//!
//! # Limits
//!
//! A thread that ends while it holds the lock does not free it as long as its process lives.
//! The lock is not fair: whoever comes by while it is free may take it.
#![allow(unsafe_code)]

use super::deadline::{Deadline, Naps};
use super::token::token;
use crate::region::id::{ID_MASK, Liveness, ParticipantId};
use crate::sync::{AtomicU32, Ordering, futex, spin_loop};
use Ordering::{Acquire, Relaxed, Release as Rel};

/// Free, nobody asleep, nothing to repair.
const FREE: u32 = 0;
/// A former owner died or gave up, and nobody has repaired what it left.
const ABANDONED: u32 = 1 << 30;
/// Somebody may be asleep.
const WAITERS: u32 = 1 << 31;

/// Turns of the spin before the first sleep: about two microseconds, well below a wake-up.
const SPINS: u32 = if cfg!(loom) { 1 } else { 100 };

/// The words of a robust lock; any bytes are valid, zeros are a free lock.
#[repr(C)]
pub struct RawLock {
    word: AtomicU32,
    holder: AtomicU32,
}

// SAFETY: two atomics without padding, and every bit pattern is a lock (see `holder` and `word`).
#[cfg(not(loom))]
unsafe impl crate::region::Shared for RawLock {}
#[cfg(not(loom))]
const _: () = assert!(size_of::<RawLock>() == 8 && align_of::<RawLock>() == 4);

/// How a lock was acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Acquired {
    /// The last owner released it in order.
    Clean,
    /// A former owner died or gave up, and nobody has repaired what it left.
    OwnerDied,
}

/// Why a lock was not acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockFailure {
    /// Somebody else alive holds it, and the caller does not wait.
    WouldBlock,
    /// Somebody else alive held it until the deadline.
    Timeout,
    /// The calling thread holds it already.
    WouldDeadlock,
}

/// In which state a lock is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// As it was acquired: good, or still to be repaired if nobody called
    /// [`RawLock::mark_recovered`].
    Clean,
    /// In need of a repair: the next owner is told.
    Abandon,
}

impl RawLock {
    /// A free lock.
    #[cfg(not(loom))]
    pub const fn new() -> RawLock {
        RawLock { word: AtomicU32::new(FREE), holder: AtomicU32::new(0) }
    }

    /// A free lock.
    #[cfg(loom)]
    pub fn new() -> RawLock {
        RawLock { word: AtomicU32::new(FREE), holder: AtomicU32::new(0) }
    }

    /// Acquires the lock, waiting for it until `deadline`.
    ///
    /// Any number of threads and processes may call this at once. One compare-and-swap while the
    /// lock is free; otherwise spins for a moment and then sleeps in the kernel, never longer than
    /// a cap without looking whether the owner is alive.
    ///
    /// # Errors
    ///
    /// [`LockFailure::WouldBlock`] for [`Deadline::Now`] and [`LockFailure::Timeout`] for any other
    /// deadline, if a living owner kept the lock; [`LockFailure::WouldDeadlock`] if that owner is
    /// the calling thread.
    #[inline]
    pub fn lock(&self, who: &impl Liveness, deadline: Deadline) -> Result<Acquired, LockFailure> {
        let me = who.me();
        // hand-over, Acquire: everything the last owner wrote before its Release in `unlock`.
        if self.word.compare_exchange(FREE, me.word(), Acquire, Relaxed).is_ok() {
            self.sign(me);
            return Ok(Acquired::Clean);
        }
        self.lock_contended(who, me, deadline)
    }

    /// Acquires the lock if that is possible now; [`RawLock::lock`] with [`Deadline::Now`].
    ///
    /// # Errors
    ///
    /// [`LockFailure::WouldBlock`] or [`LockFailure::WouldDeadlock`].
    #[inline]
    pub fn try_lock(&self, who: &impl Liveness) -> Result<Acquired, LockFailure> {
        self.lock(who, Deadline::Now)
    }

    /// Gives the lock back and wakes one of those who wait for it.
    ///
    /// Only the thread that holds the lock may call this, and no forked child in its place. Never
    /// blocks; one compare-and-swap while nobody waits, and enters the kernel only if somebody may
    /// sleep.
    #[inline]
    pub fn unlock(&self, who: &impl Liveness, release: Release) {
        let me = who.me();
        // Relaxed: the hand-over carries it, and until then it is read only by our own threads.
        self.holder.store(0, Relaxed);
        // hand-over, Release: what we wrote under the lock goes to the next acquisition (Acquire).
        if release == Release::Abandon
            || self.word.compare_exchange(me.word(), FREE, Rel, Relaxed).is_err()
        {
            self.unlock_flagged(me, release);
        }
    }

    /// Gives the lock back where the word carries a flag, or is to.
    #[cold]
    fn unlock_flagged(&self, me: ParticipantId, release: Release) {
        // Relaxed: we wrote it, and nobody else changes more than WAITERS (I1).
        let word = self.word.load(Relaxed);
        debug_assert_eq!(word & ID_MASK, me.word(), "unlocked by somebody else");
        let left = match release {
            Release::Clean => word & ABANDONED,
            Release::Abandon => ABANDONED,
        };
        // hand-over, Release: as in `unlock`.
        if self.word.swap(left, Rel) & WAITERS != 0 {
            futex::wake(&self.word, 1);
        }
    }

    /// Declares what the lock protects repaired: later owners acquire it clean.
    ///
    /// Only the thread that holds the lock may call this.
    pub fn mark_recovered(&self) {
        // Relaxed: the repair itself is published by the Release in `unlock`.
        self.word.fetch_and(!ABANDONED, Relaxed);
    }

    /// Who owns the lock; stale at once unless it is the caller.
    pub fn owner(&self) -> Option<ParticipantId> {
        ParticipantId::from_word(self.word.load(Relaxed))
    }

    /// Whether the calling thread holds the lock; this answer does not go stale.
    pub fn is_held(&self, who: &impl Liveness) -> bool {
        let me = who.me();
        // Relaxed: if this thread holds the lock, both words are its own doing (I4).
        self.word.load(Relaxed) & ID_MASK == me.word() && self.is_signed(me)
    }

    #[cold]
    fn lock_contended(
        &self,
        who: &impl Liveness,
        me: ParticipantId,
        deadline: Deadline,
    ) -> Result<Acquired, LockFailure> {
        if deadline != Deadline::Now && self.spin(me) {
            return Ok(Acquired::Clean);
        }
        let mut naps = Naps::new();
        // Whom we slept for: still the owner after the sleep is reason to ask whether it lives.
        let mut slept_for = None;
        loop {
            // Relaxed: an acquisition is ordered by its own compare-and-swap.
            let word = self.word.load(Relaxed);
            let Some(owner) = ParticipantId::from_word(word) else {
                // I2: we may have used up the wake-up of another sleeper, so we announce for it.
                let waiters = if slept_for.is_some() { WAITERS } else { word & WAITERS };
                match self.take(word, me, word & ABANDONED | waiters) {
                    Some(acquired) => return Ok(acquired),
                    None => continue,
                }
            };
            if owner == me && self.is_signed(me) {
                return Err(LockFailure::WouldDeadlock);
            }
            if (slept_for == Some(owner) || deadline.has_passed()) && who.is_dead(owner) {
                // I2: the dead one may have left sleepers without the flag.
                match self.take(word, me, ABANDONED | WAITERS) {
                    Some(acquired) => return Ok(acquired),
                    None => continue,
                }
            }
            if deadline == Deadline::Now {
                return Err(LockFailure::WouldBlock);
            }
            // Relaxed: publishes nothing, and keeps the release sequence of the hand-over.
            if word & WAITERS == 0
                && self.word.compare_exchange(word, word | WAITERS, Relaxed, Relaxed).is_err()
            {
                continue;
            }
            // I2: WAITERS is set before we leave too: we may have used up another one's wake-up.
            let Some(nap) = naps.next(deadline) else {
                return Err(LockFailure::Timeout);
            };
            futex::wait(&self.word, word | WAITERS, Some(nap));
            slept_for = Some(owner);
        }
    }

    /// Waits a moment for the lock and says whether it got it; gives up at once where others sleep.
    fn spin(&self, me: ParticipantId) -> bool {
        for _ in 0..SPINS {
            // Relaxed: a hint; the acquisition is ordered.
            match self.word.load(Relaxed) {
                FREE if self.take(FREE, me, 0).is_some() => return true,
                word if word & (WAITERS | ABANDONED) != 0 => return false,
                _ => spin_loop(),
            }
        }
        false
    }

    /// From `word`, which is free or names the dead, to ours; `None` if somebody was faster.
    fn take(&self, word: u32, me: ParticipantId, flags: u32) -> Option<Acquired> {
        // hand-over, Acquire: partner is the Release in `unlock` of the last who released.
        self.word.compare_exchange(word, me.word() | flags, Acquire, Relaxed).ok()?;
        self.sign(me);
        Some(if flags & ABANDONED != 0 { Acquired::OwnerDied } else { Acquired::Clean })
    }

    #[inline]
    fn sign(&self, me: ParticipantId) {
        // Relaxed: only this thread compares it with its own mark.
        self.holder.store(mark(me), Relaxed);
    }

    fn is_signed(&self, me: ParticipantId) -> bool {
        // Relaxed: I4, we look for what this very thread wrote.
        self.holder.load(Relaxed) == mark(me)
    }
}

impl Default for RawLock {
    fn default() -> RawLock {
        RawLock::new()
    }
}

/// What a thread signs with. The threads of one participant always differ. So do those of two
/// participants, unless a process has thousands of threads: ids fill up from the low end, tokens
/// from the high end. So what a dead owner left is not mistaken for our own.
#[inline]
fn mark(me: ParticipantId) -> u32 {
    me.word() ^ token()
}

#[cfg(all(test, not(loom)))]
#[path = "raw_tests.rs"]
mod tests;
