//! Many readers or one writer, whoever of them dies.
//!
//! Each participant counts its readers in a word of its own, so that readers do not disturb each
//! other. A writer takes a robust lock, which keeps new readers out, and waits until those inside
//! have left.
//!
//! Source: the big-reader lock of the Linux kernel (Molnar 2000; lglocks after it), with a robust
//! lock in place of the writer's spinlock, and with ids beside the counts, so that the counts of the
//! dead can be told and undone.
//!
//! ```text
//! lock      the writer's: see raw.rs
//! drained   the event "a reader has left"
//! freed     the event "the writer has left"
//!
//! record    bits 32..64             bits 0..30
//!           readers of the owner    id of the owner, 0 = nobody yet
//! ```
//!
//! # Invariants
//!
//! - W1. A reader counts itself, then looks at the lock: if somebody owns it, it takes the count back
//!   and waits. A writer owns the lock, then looks at the counts, and is inside when all are zero.
//!   So a writer inside and a reader inside exclude each other.
//! - W2. A thread that is inside as a reader may come in again without a look at the lock: its count
//!   keeps every writer out. So no reader waits for a writer that waits for it.
//! - W3. A record is counted up by its owner only: the occupant of its slot, which replaces whatever a
//!   former one left by its own first count. Whoever finds the owner dead sets it to zero.
//! - W4. The lock is owned by writers only, and freed for a dead one as abandoned. So a death among
//!   readers is never told, and that of a writer is, to readers and writers, until one recovers.
//!
//! # Memory ordering
//!
//! | edge | Release | Acquire | then visible |
//! |---|---|---|---|
//! | hand-over | a writer frees the lock | a reader sees it free, or the next writer claims it | all that the writer wrote |
//! | leave | a reader takes its count back | a writer sees the count at zero | that it has read |
//!
//! Count and lock are two variables, each written by one side and read by the other: store buffering.
//!
//! | edge | one side | other side | then |
//! |---|---|---|---|
//! | admit | SeqCst fence between count and look at the lock | SeqCst fence between claim and look at the counts | the reader sees the owner, or the writer sees the count |
//!
//! # Death
//!
//! A reader killed at any point leaves a count, which the writer that waits for it undoes at the end
//! of a nap. A writer killed while it owns the lock, inside or still waiting: the next writer takes
//! over, the next reader frees the lock as abandoned; both are told. One killed between the release
//! and the wake-ups costs the sleepers one cap.
//!
//! # Limits
//!
//! Writers go first: readers that come while a writer waits are kept out, and a stream of writers
//! that leaves no gap keeps them out for as long. Who only tries, to read or to write, may be
//! refused because of somebody who only tries, too. A thread that ends inside stays inside as long
//! as its process lives.

#![allow(unsafe_code)]

use super::deadline::Deadline;
use super::event::EventCount;
use super::raw::{Acquired, LockFailure, RawLock};
use super::records::Records;
use super::spin::Spin;
use crate::region::id::{Liveness, ParticipantId};
#[cfg(not(loom))]
use crate::region::{OwnerField, OwnerWords, id::GENERATION_BITS};
use crate::sync::{AtomicU64, Ordering, fence};
use Ordering::{Acquire, Relaxed, Release, SeqCst};

/// One reader in a record.
const ONE: u64 = 1 << 32;

/// The readers of one participant; any bytes are valid, zeros are nobody's.
#[repr(transparent)]
#[derive(Default)]
pub struct Readers {
    word: AtomicU64,
}

// SAFETY: an atomic, and every bit pattern is a record.
#[cfg(not(loom))]
unsafe impl crate::region::Shared for Readers {}

#[cfg(not(loom))]
impl Records<'_, Readers> {
    /// Where an object whose records start `at` bytes into it keeps their owners.
    pub(crate) fn owner_words(at: u64, participants: u32) -> OwnerWords {
        let count = Self::needed(participants) as u32;
        let field = OwnerField::Number { shift: GENERATION_BITS };
        OwnerWords { first_bytes: at, stride_bytes: size_of::<Readers>() as u32, count, field }
    }
}

/// The words that readers and writers share.
#[repr(C)]
#[derive(Default)]
pub struct RwWords {
    pub(super) lock: RawLock,
    drained: EventCount,
    freed: EventCount,
}

// SAFETY: atomics without padding, and every bit pattern is one.
#[cfg(not(loom))]
unsafe impl crate::region::Shared for RwWords {}
#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<RwWords>() == 24);
    assert!(std::mem::offset_of!(RwWords, lock) == 0);
};

/// A lock for many readers or one writer, as far as it can be seen.
#[derive(Clone, Copy)]
pub struct RawRwLock<'a> {
    words: &'a RwWords,
    records: Records<'a, Readers>,
}

impl<'a> RawRwLock<'a> {
    /// The lock of these words.
    #[inline(always)]
    pub fn new(words: &'a RwWords, records: Records<'a, Readers>) -> RawRwLock<'a> {
        RawRwLock { words, records }
    }

    /// The writer's lock, the first of the words. Whoever has acquired it calls [`RawRwLock::drain`]
    /// before it writes, and [`RawRwLock::readmit`] once it has released it.
    #[cfg(any(loom, test))]
    pub fn writer(self) -> &'a RawLock {
        &self.words.lock
    }

    /// Comes in as a reader, waiting for it until `deadline`.
    ///
    /// Any number of threads and processes may call this at once. Without a writer: one
    /// read-modify-write of a word that no other process writes, a fence, and a load.
    ///
    /// # Errors
    ///
    /// [`LockFailure::WouldBlock`] for [`Deadline::Now`] and [`LockFailure::Timeout`] for any other
    /// deadline, if living writers were there; [`LockFailure::WouldDeadlock`] if the calling thread
    /// is the writer.
    #[inline]
    pub fn read(
        self,
        who: &impl Liveness,
        spin: &Spin,
        deadline: Deadline,
    ) -> Result<Acquired, LockFailure> {
        match self.try_enter(who.me()) {
            Some(acquired) => Ok(acquired),
            None => self.read_contended(who, spin, deadline),
        }
    }

    /// Comes in as a reader once more. The calling thread is inside as a reader (W2).
    pub fn read_again(self, me: ParticipantId) -> Acquired {
        self.count(me);
        match self.words.lock.is_abandoned() {
            false => Acquired::Clean,
            true => Acquired::OwnerDied,
        }
    }

    /// Whether the participant `me` has a reader inside.
    pub fn is_inside(self, me: ParticipantId) -> bool {
        // Relaxed: the calling thread asks for what it did itself.
        let word = self.record(me).load(Relaxed);
        word >= ONE && ParticipantId::from_word(word as u32) == Some(me)
    }

    /// Leaves as a reader, and wakes the writer that waits for it. Does not block.
    #[inline]
    pub fn leave(self, me: ParticipantId) {
        // leave, Release: partner is the load in `is_drained`.
        self.record(me).fetch_sub(ONE, Release);
        self.words.drained.notify_all();
    }

    /// Waits until no reader is inside. The caller owns the writer's lock.
    ///
    /// # Errors
    ///
    /// As [`RawRwLock::read`], if living readers were there.
    #[inline]
    pub fn drain(
        self,
        who: &impl Liveness,
        spin: &Spin,
        deadline: Deadline,
    ) -> Result<(), LockFailure> {
        // admit: partner is the fence in `try_enter`.
        fence(SeqCst);
        if self.is_drained() {
            return Ok(());
        }
        let check = || {
            self.undo_the_dead(who);
            self.is_drained().then_some(())
        };
        let drained = self.words.drained.wait_until(
            spin,
            deadline,
            || self.is_drained().then_some(()),
            check,
        );
        drained.ok_or(failure(deadline))
    }

    /// Lets readers in again: the caller has released the writer's lock.
    #[inline]
    pub fn readmit(self) {
        self.words.freed.notify_all();
    }

    #[cold]
    fn read_contended(
        self,
        who: &impl Liveness,
        spin: &Spin,
        deadline: Deadline,
    ) -> Result<Acquired, LockFailure> {
        if self.words.lock.is_held(who) {
            return Err(LockFailure::WouldDeadlock);
        }
        let check = || {
            if self.words.lock.bury(who) {
                self.readmit(); // W4
            }
            self.try_enter(who.me())
        };
        let entered =
            self.words.freed.wait_until(spin, deadline, || self.try_enter(who.me()), check);
        entered.ok_or(failure(deadline))
    }

    #[inline]
    fn try_enter(self, me: ParticipantId) -> Option<Acquired> {
        // A look first: where a writer waits, counting up and down would only disturb it.
        let _ = self.words.lock.peek()?;
        self.count(me);
        // admit: partner is the fence in `drain`.
        fence(SeqCst);
        let acquired = self.words.lock.peek();
        if acquired.is_none() {
            self.leave(me);
        }
        acquired
    }

    /// Counts a reader of `me` (W3).
    #[inline]
    fn count(self, me: ParticipantId) {
        let record = self.record(me);
        // Relaxed, here and below: ordered by the fence in `try_enter`, or (W2) by who came in first.
        let mut now = record.load(Relaxed);
        while ParticipantId::from_word(now as u32) != Some(me) {
            match record.compare_exchange(now, ONE | u64::from(me.word()), Relaxed, Relaxed) {
                Ok(_) => return,
                Err(changed) => now = changed,
            }
        }
        record.fetch_add(ONE, Relaxed);
    }

    fn is_drained(self) -> bool {
        // leave, Acquire: partner is the decrement in `leave`.
        self.records.iter().all(|record| record.word.load(Acquire) < ONE)
    }

    /// Takes the counts of the dead back.
    fn undo_the_dead(self, who: &impl Liveness) {
        for record in self.records.iter() {
            // Relaxed: the kernel orders the death, and the dead have only read.
            let word = record.word.load(Relaxed);
            let dead = |id| id != who.me() && who.is_dead(id);
            if word >= ONE && ParticipantId::from_word(word as u32).is_none_or(dead) {
                let _ = record.word.compare_exchange(word, 0, Relaxed, Relaxed);
            }
        }
    }

    #[inline(always)]
    fn record(self, me: ParticipantId) -> &'a AtomicU64 {
        &self.records.at(self.records.index_of(me)).word
    }
}

fn failure(deadline: Deadline) -> LockFailure {
    if deadline == Deadline::Now { LockFailure::WouldBlock } else { LockFailure::Timeout }
}

#[cfg(all(test, not(loom)))]
#[path = "rw_tests.rs"]
mod tests;
