//! A robust lock in one word: it survives the death of its owner at any instruction.
//!
//! Source: Drepper, "Futexes Are Tricky" (2011), the three-state mutex, with the owner's
//! participant id in place of "locked", so that a survivor can tell whose lock it is and take it
//! over by one compare-and-swap. No pthread object, no robust list, no pointer.
//!
//! Fairness comes late, as in Go's `sync.Mutex` (Vyukov 2017, its starvation mode) and parking_lot
//! (d'Antras; after Pizlo, "Locking in WebKit", 2016): whoever comes by may take the free lock, which
//! is what makes a lock fast, until somebody has waited for a millisecond. Their queues are lists
//! in memory; ours are those that the kernel keeps for the two halves of the word.
//!
//! ```text
//! bit 63     bits 32..63         bit 31    bit 30      bits 0..30
//! STARVING   the owning thread   WAITERS   ABANDONED   id of the owning participant, 0 = free
//! `------ the high half ------'  `---------------- the low half ----------------'
//! ```
//!
//! The kernel looks at the low half before the sleep of a waiter, and at the high half before the
//! sleep of one who starves: each sees the flag that it depends on and the owner together.
//!
//! # Invariants
//!
//! - I1. Only the participant that the word names changes it to another owner or to free, unless
//!   that participant is dead; the dead write nothing.
//! - I2. Whoever sleeps has seen the flag of its half set after its last wake-up and before it fell
//!   asleep. A release that finds STARVING wakes one on the high half; if nobody slept there, or
//!   without it, one that finds WAITERS wakes one on the low half. Whoever was woken sets
//!   WAITERS, whether it takes the lock, sleeps again or leaves: it has used up the wake-up of
//!   all others. So no sleeper is forgotten. (A killed waker, or a wake-up that went to somebody who
//!   was then killed, breaks this; the cap of a sleep repairs it.)
//! - I3. ABANDONED is set by whoever takes the lock over from the dead and by a release that says
//!   so; only the owner's `mark_recovered` takes it away. While it stands, every acquisition is told
//!   [`Acquired::OwnerDied`].
//! - I4. Owner and thread come and go in one step. So a thread finds its participant and its own
//!   number there exactly while it holds the lock, and is told instead of left to wait for itself.
//! - I5. STARVING is set by a waiter that looks in vain a millisecond after its first sleep or later,
//!   and goes when a release finds nobody asleep on the high half, so outlasts every release that
//!   wakes one there. While it stands, the free lock is reserved: only those take it who have
//!   slept for it, or who cannot.
//!
//! # Fairness
//!
//! A waiter looks at the word when it is woken and at the end of each nap, the first of which lasts
//! five milliseconds; then it starves. From there on a newcomer lets it pass, and those who starve
//! are served in the order in which they fell asleep: each of the n - 1 others that wait is served
//! before it at most once, and may have been on its way to the lock already, so at most 2 (n - 1)
//! pass it. (A nap that ends puts its sleeper at the end of the queue again, which matters to
//! sections of milliseconds.)
//!
//! # Memory ordering
//!
//! | edge | Release | Acquire | then visible |
//! |---|---|---|---|
//! | hand-over | a release frees the word | an acquisition claims it | all that the owner wrote |
//!
//! Every change of the word is a read-modify-write, so the flags that come and go in between do not
//! end the release sequence. Announcing needs no fence: the flag and the state are one word, and
//! the kernel compares it again before the sleep.
//! The writes of a dead owner are ordered before its take-over by the kernel, which frees the dead
//! one's liveness lock after its last instruction, and by the call that found it free.
//!
//! # Death
//!
//! Killed before the first swap: nothing happened. While holding: whoever tries finds the owner dead
//! at once, whoever waits finds it dead at the end of the first nap, and takes over. While
//! repairing: ABANDONED stands again for the next. After the swap of a release but before the wake:
//! a sleeper takes the free lock one cap later. While asleep: only the flags are left behind, which
//! cost one vain wake-up. Woken because it starved, but not there yet: the lock is reserved for
//! nobody, and the next newcomer takes it after one nap; so it does if that waiter is stopped.
//!
//! # Limits
//!
//! A thread that ends while it holds the lock does not free it as long as its process lives.
//! Whoever does not wait ([`Deadline::Now`], or a deadline that has passed) takes the lock whenever
//! it is free, also from under those who starve: a refusal always means that somebody holds it.
#![allow(unsafe_code)]

use super::deadline::{Deadline, Naps};
use super::token::{TOKEN_BITS, token};
use crate::region::id::{Liveness, ParticipantId};
#[cfg(not(loom))]
use crate::region::{OwnerField, OwnerWords, id::GENERATION_BITS};
use crate::sync::{AtomicU64, Ordering, futex, now, spin_loop};
use Ordering::{Acquire, Relaxed, Release as Rel};
use std::time::Duration;

/// Free, nobody asleep, nothing to repair.
const FREE: u64 = 0;
/// A former owner died or gave up, and nobody has repaired what it left.
const ABANDONED: u64 = 1 << 30;
/// Somebody may be asleep on the low half.
const WAITERS: u64 = 1 << 31;
/// Somebody who has waited for long may be asleep on the high half.
const STARVING: u64 = 1 << 63;
const FLAGS: u64 = ABANDONED | WAITERS | STARVING;
const _: () = assert!(32 + TOKEN_BITS == STARVING.trailing_zeros());

/// Turns of the spin before the first sleep: about two microseconds, well below a wake-up.
const SPINS: u32 = if cfg!(loom) { 1 } else { 100 };

/// From its first sleep on, a waiter lets others pass for so long. In a model, until its second one.
const PATIENCE: Duration = if cfg!(loom) { Duration::ZERO } else { Duration::from_millis(1) };

/// The word of a robust lock; any bytes are valid, zeros are a free lock.
#[repr(C)]
pub struct RawLock {
    word: AtomicU64,
}

// SAFETY: an atomic, and every bit pattern is a lock.
#[cfg(not(loom))]
unsafe impl crate::region::Shared for RawLock {}
#[cfg(not(loom))]
impl RawLock {
    /// Where a lock, `at` bytes into its object, keeps its owner.
    pub(crate) fn owner_words(at: u64) -> OwnerWords {
        let field = OwnerField::Number { shift: GENERATION_BITS };
        OwnerWords { first_bytes: at, stride_bytes: 8, count: 1, field }
    }
}
#[cfg(not(loom))]
const _: () = assert!(size_of::<RawLock>() == 8 && align_of::<RawLock>() == 8);

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
        RawLock { word: AtomicU64::new(FREE) }
    }

    /// A free lock.
    #[cfg(loom)]
    pub fn new() -> RawLock {
        RawLock { word: AtomicU64::new(FREE) }
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
    #[allow(dead_code, reason = "guards call its two halves, so that they stay in registers")]
    pub fn lock(&self, who: &impl Liveness, deadline: Deadline) -> Result<Acquired, LockFailure> {
        match self.claim(owned_by(who.me())) {
            true => Ok(Acquired::Clean),
            false => self.lock_contended(who, deadline),
        }
    }

    /// The fast path of [`RawLock::lock`]: acquires the lock if it is free and carries no flag.
    /// `owned` is our [`owned_by`].
    #[inline(always)]
    pub(super) fn claim(&self, owned: u64) -> bool {
        // hand-over, Acquire: everything the last owner wrote before its Release in `release`.
        self.word.compare_exchange(FREE, owned, Acquire, Relaxed).is_ok()
    }

    /// Acquires the lock if that is possible now; [`RawLock::lock`] with [`Deadline::Now`].
    ///
    /// # Errors
    ///
    /// [`LockFailure::WouldBlock`] or [`LockFailure::WouldDeadlock`].
    #[cfg(any(loom, test))]
    pub fn try_lock(&self, who: &impl Liveness) -> Result<Acquired, LockFailure> {
        self.lock(who, Deadline::Now)
    }

    /// Gives the lock back and wakes one of those who wait for it.
    ///
    /// Only the thread that holds the lock may call this, and no forked child in its place. Never
    /// blocks; one compare-and-swap while nobody waits, and enters the kernel only if somebody may
    /// sleep.
    #[inline]
    #[allow(dead_code, reason = "as `lock`")]
    pub fn unlock(&self, who: &impl Liveness, release: Release) {
        if release == Release::Abandon || !self.release(owned_by(who.me())) {
            self.release_flagged(who.me(), release);
        }
    }

    /// The fast path of [`RawLock::unlock`]: gives the lock back clean if it carries no flag.
    #[inline(always)]
    pub(super) fn release(&self, owned: u64) -> bool {
        // hand-over, Release: what we wrote under the lock goes to the next acquisition (Acquire).
        self.word.compare_exchange(owned, FREE, Rel, Relaxed).is_ok()
    }

    /// The rest of [`RawLock::unlock`].
    #[cold]
    pub(super) fn release_flagged(&self, _me: ParticipantId, release: Release) {
        // Not elsewhere: a word that somebody has overwritten is no reason to panic in a drop.
        // Relaxed: what names us, we wrote.
        #[cfg(any(loom, test))]
        assert!(is_owned_by(self.word.load(Relaxed), _me), "unlocked by somebody else");
        if release == Release::Abandon {
            // Relaxed: still ours, and freed below.
            self.word.fetch_or(ABANDONED, Relaxed);
        }
        // hand-over, Release: as in `release`. STARVING stays, so that newcomers stay behind (I5).
        self.wake_next(self.word.fetch_and(ABANDONED | STARVING, Rel));
    }

    /// Wakes who is next, after the lock was freed from `word`.
    fn wake_next(&self, mut word: u64) {
        if word & STARVING != 0 {
            if futex::wake_high(&self.word, 1) != 0 {
                return; // I2: whoever that was announces for the sleepers on the low half.
            }
            word |= self.end_starvation();
        }
        if word & WAITERS != 0 {
            futex::wake_low(&self.word, 1);
        }
    }

    /// Frees the lock in the name of its owner if that is dead, for [`Release::Abandon`], and says
    /// whether it did.
    #[cold]
    pub(super) fn bury(&self, who: &impl Liveness) -> bool {
        // Relaxed, here and below: the kernel orders the death.
        let mut word = self.word.load(Relaxed);
        while owner(word).is_some_and(|owner| who.is_dead(owner)) {
            let left = word & STARVING | ABANDONED;
            // hand-over, Release: as in `release`.
            match self.word.compare_exchange(word, left, Rel, Relaxed) {
                Ok(_) => {
                    self.wake_next(word);
                    return true;
                }
                Err(now) => word = now,
            }
        }
        false
    }

    /// Opens the free lock to newcomers again: nobody slept on the high half. Returns the flags that
    /// it takes away; WAITERS is one of them, because a newcomer may be about to sleep on the low
    /// half, behind nobody. Whoever takes the lock meanwhile sees to both in turn.
    fn end_starvation(&self) -> u64 {
        // Relaxed, here and below: publishes nothing, and keeps the release sequence.
        let mut word = self.word.load(Relaxed);
        while owner(word).is_none() && word & STARVING != 0 {
            match self.word.compare_exchange(word, word & ABANDONED, Relaxed, Relaxed) {
                Ok(_) => return word & (STARVING | WAITERS),
                Err(now) => word = now,
            }
        }
        FREE
    }

    /// Declares what the lock protects repaired: later owners acquire it clean.
    ///
    /// Only the thread that holds the lock may call this.
    pub fn mark_recovered(&self) {
        // Relaxed: the repair itself is published by the Release in `unlock`.
        self.word.fetch_and(!ABANDONED, Relaxed);
    }

    /// Whether what the lock protects awaits a repair; this answer does not go stale for its owner.
    #[cold]
    pub(super) fn is_abandoned(&self) -> bool {
        // Relaxed: only owners, or readers who keep owners out, ask; only owners take it away (I3).
        self.word.load(Relaxed) & ABANDONED != 0
    }

    /// How the lock would be acquired now; `None` while somebody owns it.
    #[inline(always)]
    pub(super) fn peek(&self) -> Option<Acquired> {
        // hand-over, Acquire: partner is the last release.
        let word = self.word.load(Acquire);
        let state = if word & ABANDONED == 0 { Acquired::Clean } else { Acquired::OwnerDied };
        owner(word).is_none().then_some(state)
    }

    /// Who owns the lock; stale at once unless it is the caller.
    #[allow(dead_code, reason = "reports and recursive locks call it")]
    pub fn owner(&self) -> Option<ParticipantId> {
        owner(self.word.load(Relaxed))
    }

    /// Whether the calling thread holds the lock; this answer does not go stale.
    pub fn is_held(&self, who: &impl Liveness) -> bool {
        // Relaxed: if this thread holds the lock, it reads what it wrote itself (I4).
        is_owned_by(self.word.load(Relaxed), who.me())
    }

    /// Whether the lock is free and no flag stands.
    #[cfg(any(loom, test))]
    pub fn is_at_rest(&self) -> bool {
        self.word.load(Relaxed) == FREE
    }

    /// The rest of [`RawLock::lock`].
    #[cold]
    pub(super) fn lock_contended(
        &self,
        who: &impl Liveness,
        deadline: Deadline,
    ) -> Result<Acquired, LockFailure> {
        let me = who.me();
        if deadline != Deadline::Now && self.spin(me) {
            return Ok(Acquired::Clean);
        }
        let mut naps = Naps::new();
        // When we went to sleep first, and whom we slept for at last: still the owner after the
        // sleep is reason to ask whether it lives.
        let (mut since, mut slept_for) = (None, None);
        loop {
            // Relaxed: an acquisition is ordered by its own compare-and-swap.
            let word = self.word.load(Relaxed);
            let owner = owner(word);
            let slept = since.is_some();
            match owner {
                None if word & STARVING == 0 || slept || deadline.has_passed() => {
                    // I2: we may have used up another one's wake-up, so we announce for it.
                    let waiters = if slept { WAITERS } else { 0 };
                    match self.take(word, me, word & FLAGS | waiters) {
                        Some(acquired) => return Ok(acquired),
                        None => continue,
                    }
                }
                None => {} // I5: one nap behind the starving.
                Some(_) if is_owned_by(word, me) => return Err(LockFailure::WouldDeadlock),
                Some(owner) => {
                    let suspicious = slept_for == Some(owner) || deadline.has_passed();
                    if suspicious && who.is_dead(owner) {
                        // I2: the dead one may have left sleepers without the flag.
                        match self.take(word, me, word & FLAGS | ABANDONED | WAITERS) {
                            Some(acquired) => return Ok(acquired),
                            None => continue,
                        }
                    }
                }
            }
            if deadline == Deadline::Now {
                return Err(LockFailure::WouldBlock);
            }
            let starving = since.is_some_and(|since| now() - since >= PATIENCE);
            let announced = word | WAITERS | if starving { STARVING } else { 0 };
            // Relaxed: publishes nothing, and keeps the release sequence of the hand-over.
            if announced != word
                && self.word.compare_exchange(word, announced, Relaxed, Relaxed).is_err()
            {
                continue;
            }
            // I2: WAITERS is set before we leave too: we may have used up another one's wake-up.
            let Some(nap) = naps.next(deadline) else {
                return Err(LockFailure::Timeout);
            };
            since = since.or_else(|| Some(now()));
            slept_for = owner;
            match starving {
                false => futex::wait_low(&self.word, announced as u32, Some(nap)),
                true => futex::wait_high(&self.word, (announced >> 32) as u32, Some(nap)),
            };
        }
    }

    /// Waits a moment for the lock and says whether it got it; gives up at once where others sleep.
    fn spin(&self, me: ParticipantId) -> bool {
        for _ in 0..SPINS {
            // Relaxed: a hint; the acquisition is ordered.
            match self.word.load(Relaxed) {
                FREE if self.take(FREE, me, 0).is_some() => return true,
                word if word & FLAGS != 0 => return false,
                _ => spin_loop(),
            }
        }
        false
    }

    /// From `word`, which is free or names the dead, to ours; `None` if somebody was faster.
    fn take(&self, word: u64, me: ParticipantId, flags: u64) -> Option<Acquired> {
        // hand-over, Acquire: partner is the last release.
        self.word.compare_exchange(word, owned_by(me) | flags, Acquire, Relaxed).ok()?;
        Some(if flags & ABANDONED != 0 { Acquired::OwnerDied } else { Acquired::Clean })
    }
}

impl Default for RawLock {
    fn default() -> RawLock {
        RawLock::new()
    }
}

/// The word of a lock that this thread holds for the participant `me`.
#[inline(always)]
pub(super) fn owned_by(me: ParticipantId) -> u64 {
    u64::from(token()) << 32 | u64::from(me.word())
}

/// Whether this thread holds the lock for the participant `me`.
fn is_owned_by(word: u64, me: ParticipantId) -> bool {
    word & !FLAGS == owned_by(me)
}

fn owner(word: u64) -> Option<ParticipantId> {
    ParticipantId::from_word(word as u32)
}

#[cfg(all(test, not(loom)))]
#[path = "raw_tests.rs"]
mod tests;
