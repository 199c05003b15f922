//! A semaphore whose permits come back when their holder dies at any instruction.
//!
//! A count by itself cannot tell whose permits are missing, and a count and a ledger cannot change
//! in one step. So the word of the count carries a stamp of the last operation: whose ledger it
//! concerns, in which direction, and which number it has there. Whoever comes next first sees to it
//! that the stamped operation stands in that ledger. Only one operation can be missing in the
//! ledgers at any time, the stamp says which, and anybody can write it down.
//!
//! Source: Dijkstra's P and V (1965); the stamp of the last owner in the index word of a ring and
//! Vyukov's bounded queue (2011), from which our ring has it, for the idea of one operation that is
//! finished by whoever follows; Drepper, "Futexes Are Tricky" (2011), for the flag of the sleepers
//! beside the state. Fairness comes late, as in [`RawLock`](super::raw::RawLock); see there for where
//! that is from.
//!
//! ```text
//! word    bit 63     bits 32..63      bit 31    bits 0..31
//!         STARVING   stamp            WAITERS   available
//!
//! stamp   bits 2+n..31    bits 2..2+n   bits 0..2
//!         sequence, low   record        take, give, clear        n = bits of a record's index
//!
//! ledger  bits 31..64                 bits 0..31
//!         sequence                    held
//!
//! late    how often those who starve were called
//! ```
//!
//! The kernel looks at the low half of the word before the sleep of a waiter, and at `late` before
//! the sleep of one who starves.
//!
//! # Invariants
//!
//! - I1. An operation on a record is one compare-and-swap of the word, which changes `available` and
//!   stamps the record, the direction, and the sequence of that record's ledger plus one.
//! - I2. Before the word is stamped anew, the last stamped operation stands in its ledger. So a
//!   ledger lacks nothing but the operation in the stamp, if that; and it lacks it if its
//!   sequence is one less than the stamp says.
//! - I3. A ledger's sequence grows by one with each operation. So a compare-and-swap on a ledger that
//!   was read before the operation was written down fails, and nothing is written down twice.
//! - I4. Only threads of the owner take and give on a record; whoever has found the owner dead clears
//!   it, which gives back all that is held in one operation.
//! - I5. `available` plus all that is held changes only by [`RawSemaphore::release`], by
//!   [`RawSemaphore::forget`], and where a gift would exceed the bound.
//! - I6. WAITERS stays while anybody may be asleep. It goes when a wake-up has found fewer sleepers
//!   than it had permits to offer, and the word has not changed since: then permits were to be
//!   had ever since, and nobody has gone to sleep. And it goes with STARVING, before a wake-up of all.
//! - I7. STARVING is set by a waiter that looks in vain a millisecond after its first sleep or later,
//!   and goes when a call finds nobody asleep on `late`. While it stands, free permits are reserved:
//!   only those take one who have slept for it, or who cannot. A waiter reads `late` before it sees
//!   that there is no permit, and permits are added before `late` is moved, so it is called or
//!   does not fall asleep.
//!   (A newcomer that lets others pass sleeps although there are permits: for one nap at most, and
//!   not beyond the end of STARVING.)
//!
//! # Fairness
//!
//! As for [`RawLock`](super::raw::RawLock): a waiter starves from its first look in vain, a
//! millisecond after it first slept or later, which is at most five milliseconds after. From there on
//! newcomers let it pass, and those who starve are served in the order in which they fell asleep;
//! each of the others that sleep already may go first once.
//!
//! # Memory ordering
//!
//! | edge | Release | Acquire | then visible |
//! |---|---|---|---|
//! | hand-over | a gift or a release changes the word | a taker reads the word | all that the giver wrote |
//! | settled | an operation stamps the word | the next one reads the word | ledgers, all but the stamped one complete |
//! | entry | the stamped operation is written down | whoever looks whether it is | its stamp in the word |
//! | call | `late` moves | one who starves reads `late` | the permits that were added |
//!
//! Every change of the word and of a ledger is a read-modify-write, so that Relaxed ones in between
//! (flags, a hand-off) do not end a release sequence. *entry* is what the second look at the word in
//! `settle` rests on: a ledger that is newer than the stamp we know comes with a newer word.
//! The owner of a record is ordered by *settled*: it is claimed before its first operation.
//! The writes of the dead are ordered before what is done on their behalf by the kernel; see
//! [`RawLock`](super::raw::RawLock).
//!
//! # Death
//!
//! Killed before the compare-and-swap of the word: nothing happened. After it, and before the ledger
//! has it: the next operation writes it down. While holding: whoever cannot have a permit asks
//! whether those who hold some live, and gives back in the name of the dead; so permits come back
//! when they are wanted, and [`RawSemaphore::value`] does not count them before. Killed while giving
//! back for the dead: that is one operation like any other. Killed before a wake-up, or with it: a
//! sleeper finds the permit one cap later.
//!
//! # Limits
//!
//! At most [`MAX`] permits. The stamp holds 29 - n bits of the sequence (22 in a region of 128
//! participants). Should a thread be stopped between its look at the word and its
//! compare-and-swap, and one record see a multiple of 2^22 operations meanwhile, so that the word
//! is the same again, an operation may go missing in a ledger; if its process is then killed, one
//! permit too many or too few comes back. `available` itself is never wrong.
//! Permits belong to a process: a thread that ends while holding one gives nothing back.
//! Who does not wait takes a permit whenever there is one, also from under those who starve.

#![allow(unsafe_code)]

use super::deadline::{Deadline, Naps};
use super::records::{Record, Records};
use crate::region::id::{Liveness, ParticipantId};
use crate::sync::{AtomicU32, AtomicU64, Ordering, futex, now, spin_loop};
use Ordering::{Acquire, Relaxed, Release};
use std::cell::Cell;
use std::time::Duration;

/// Somebody may be asleep on the low half of the word.
const WAITERS: u64 = 1 << 31;
/// Somebody who has waited for long may be asleep on `late`.
const STARVING: u64 = 1 << 63;
/// As many as a wake-up can be for.
const EVERYBODY: u32 = u32::MAX;
/// Most permits that a semaphore can have.
pub const MAX: u32 = (1 << 31) - 1;
/// The bits of a stamp.
const STAMP: u32 = (1 << 31) - 1;
/// Where the sequence starts in a ledger.
const SEQUENCE: u32 = 31;

/// Turns of the spin before the first sleep, as for a lock.
const SPINS: u32 = if cfg!(loom) { 1 } else { 100 };

/// From its first sleep on, a waiter lets others pass for so long. In a model, until its second one.
const PATIENCE: Duration = if cfg!(loom) { Duration::ZERO } else { Duration::from_millis(1) };

/// The words of a semaphore; any bytes are valid, zeros are one without permits.
#[repr(C)]
pub struct SemaphoreWords {
    word: AtomicU64,
    late: AtomicU32,
    _unused: AtomicU32,
}

// SAFETY: atomics without padding, and every bit pattern is a semaphore.
#[cfg(not(loom))]
unsafe impl crate::region::Shared for SemaphoreWords {}
#[cfg(not(loom))]
const _: () = assert!(size_of::<SemaphoreWords>() == 16 && align_of::<SemaphoreWords>() == 8);

impl SemaphoreWords {
    /// A semaphore with this many permits, at most [`MAX`], that nobody has used.
    #[cfg(any(loom, test))]
    pub fn new(permits: u32) -> SemaphoreWords {
        SemaphoreWords {
            word: AtomicU64::new(u64::from(permits.min(MAX))),
            late: AtomicU32::new(0),
            _unused: AtomicU32::new(0),
        }
    }

    /// Makes it a semaphore with this many permits, before anybody else sees it.
    #[cfg(not(loom))]
    pub(crate) fn init(&self, permits: u32) {
        // Relaxed: published with the object.
        self.word.store(u64::from(permits.min(MAX)), Relaxed);
    }
}

/// Why no permit was acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPermit {
    /// There was none, and the caller does not wait.
    WouldBlock,
    /// There was none until the deadline.
    Timeout,
}

/// What an operation does to the record that it stamps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// The owner has a permit more.
    Take = 0,
    /// The owner has a permit less.
    Give = 1,
    /// The owner, who is dead, has none.
    Clear = 2,
}

/// A semaphore, as far as it can be seen: its word, its records, and its bound.
#[derive(Clone, Copy)]
pub struct RawSemaphore<'a> {
    word: &'a AtomicU64,
    late: &'a AtomicU32,
    records: Records<'a>,
    bound: u32,
}

impl<'a> RawSemaphore<'a> {
    /// The semaphore of these words. `bound`: more permits than this are refused.
    #[inline(always)]
    pub fn new(words: &'a SemaphoreWords, records: Records<'a>, bound: u32) -> RawSemaphore<'a> {
        RawSemaphore { word: &words.word, late: &words.late, records, bound }
    }

    /// Permits to be had now. One load; the dead may hold some that nobody has asked for yet.
    pub fn value(self) -> u32 {
        // hand-over, Acquire: who sees a permit sees what came with it.
        available(self.word.load(Acquire))
    }

    /// Takes a permit for the participant `who`, waiting for it until `deadline`.
    ///
    /// Any number of threads and processes may call this at once. Two compare-and-swaps while there
    /// are permits; otherwise spins for a moment and then sleeps in the kernel, never longer than a
    /// cap without looking whether those who hold permits live.
    ///
    /// # Errors
    ///
    /// [`NoPermit::WouldBlock`] for [`Deadline::Now`], [`NoPermit::Timeout`] for any other.
    #[inline]
    pub fn acquire(self, who: &impl Liveness, deadline: Deadline) -> Result<(), NoPermit> {
        let index = self.records.index_of(who.me());
        if self.records.at(index).owner() != Some(who.me()) {
            self.claim(index, who);
        }
        match self.take(index, true) {
            true => Ok(()),
            false => self.acquire_contended(index, who, deadline),
        }
    }

    /// Gives back a permit that `me` has acquired, and wakes one of those who wait.
    ///
    /// Does not block. What the bound leaves no room for vanishes.
    #[inline]
    pub fn give(self, me: ParticipantId) {
        let more = |word, _: &Record| Some(self.with(available(word), 1));
        if let Some(left) = self.operate(self.records.index_of(me), Operation::Give, more) {
            self.wake(left, 1);
        }
    }

    /// As [`RawSemaphore::give`], if `me` has acquired any permit, and says whether.
    #[cfg(not(loom))]
    pub fn give_if_held(self, me: ParticipantId) -> bool {
        let more = |word, record: &Record| {
            let has_one = record.owner() == Some(me) && held(record.ledger.load(Relaxed)) != 0;
            has_one.then(|| self.with(available(word), 1))
        };
        let left = self.operate(self.records.index_of(me), Operation::Give, more);
        left.inspect(|left| self.wake(*left, 1)).is_some()
    }

    /// Lets go of a permit that `me` has acquired without giving it back: nobody holds it any more.
    pub fn forget(self, me: ParticipantId) {
        let ledger = &self.records.at(self.records.index_of(me)).ledger;
        // Relaxed: we hold a permit, so our ledger says so; a hand-off publishes nothing.
        let mut now = ledger.load(Relaxed);
        while held(now) != 0 {
            match ledger.compare_exchange_weak(now, now - 1, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(changed) => now = changed,
            }
        }
    }

    /// Adds `permits` that nobody held, and wakes as many of those who wait. `false`, and nothing has
    /// changed, if there would be more than the bound.
    ///
    /// Any number of threads and processes may call this at once, participants or not. One
    /// compare-and-swap; enters the kernel only if somebody may sleep.
    #[must_use]
    pub fn release(self, permits: u32) -> bool {
        if permits == 0 {
            return true;
        }
        // Relaxed: nothing is read but the count.
        let mut now = self.word.load(Relaxed);
        loop {
            let sum = available(now).checked_add(permits);
            let Some(sum) = sum.filter(|&sum| sum <= self.bound) else { return false };
            let left = now & !u64::from(MAX) | u64::from(sum);
            // hand-over, Release: what we wrote goes to whoever takes one of the permits.
            match self.word.compare_exchange_weak(now, left, Release, Relaxed) {
                Ok(_) => {
                    self.wake(left, permits);
                    return true;
                }
                Err(changed) => now = changed,
            }
        }
    }

    /// Takes a permit if there is one; a newcomer lets those pass who starve (I7).
    #[inline]
    fn take(self, index: usize, newcomer: bool) -> bool {
        let fewer = |word, _: &Record| match newcomer && word & STARVING != 0 {
            true => None,
            false => available(word).checked_sub(1),
        };
        self.operate(index, Operation::Take, fewer).is_some()
    }

    /// Does an operation on a record (I1), as long as `next`, which is shown the word and the record,
    /// says what will be available. Returns the word that it left.
    #[inline]
    fn operate(
        self,
        index: usize,
        operation: Operation,
        next: impl Fn(u64, &Record) -> Option<u32>,
    ) -> Option<u64> {
        let record = self.records.at(index);
        // settled, hand-over, Acquire: partner is the compare-and-swap below, or a release.
        let mut now = self.word.load(Acquire);
        loop {
            self.settle(now); // I2
            // Relaxed, like all in `next`: settled, or the word has changed, and then the
            // compare-and-swap fails.
            let available = next(now, record)?;
            let sequence = sequence(record.ledger.load(Relaxed));
            let stamp = self.stamp(index, operation, sequence.wrapping_add(1));
            let flags = now & (WAITERS | STARVING);
            let left = flags | u64::from(stamp) << 32 | u64::from(available);
            // settled, hand-over, Release: all ledgers but this one are complete.
            match self.word.compare_exchange_weak(now, left, Release, Acquire) {
                Ok(_) => {
                    self.write_down(record, sequence, operation);
                    return Some(left);
                }
                Err(changed) => now = changed,
            }
        }
    }

    /// Writes our own operation, the one after `sequence`, into its ledger.
    #[inline]
    fn write_down(self, record: &Record, before: u64, operation: Operation) {
        // Relaxed: the sequence says all.
        let mut now = record.ledger.load(Relaxed);
        while sequence(now) == before {
            let written = entry(now, operation);
            // entry, Release: partner is the load in `settle`.
            match record.ledger.compare_exchange_weak(now, written, Release, Relaxed) {
                Ok(_) => return,
                Err(changed) => now = changed, // somebody was faster, or a hand-off came between
            }
        }
    }

    /// Sees to it that the operation stamped in `word` stands in its ledger, unless the stamp is no
    /// longer the last.
    #[inline]
    fn settle(self, word: u64) {
        let (index, operation, stamped) = self.read(word);
        let ledger = &self.records.at(index).ledger;
        loop {
            // entry, Acquire: a ledger beyond the stamp brings the word that is beyond it.
            let now = ledger.load(Acquire);
            let is_in = sequence(now) & self.sequence_mask() == stamped;
            // Relaxed: ordered by the Acquire above.
            if is_in || stamp_of(self.word.load(Relaxed)) != stamp_of(word) {
                return;
            }
            // entry, Release: as above. I3: fails if the operation has been written down since.
            if ledger.compare_exchange(now, entry(now, operation), Release, Relaxed).is_ok() {
                return;
            }
        }
    }

    /// Makes a record ours, once what its dead owner held is back.
    #[cold]
    fn claim(self, index: usize, who: &impl Liveness) {
        self.give_for_the_dead(index, who);
        self.records.at(index).claim(who.me());
    }

    /// The rest of [`RawSemaphore::acquire`].
    #[cold]
    fn acquire_contended(
        self,
        index: usize,
        who: &impl Liveness,
        deadline: Deadline,
    ) -> Result<(), NoPermit> {
        if deadline != Deadline::Now && self.spin(index) {
            return Ok(());
        }
        let mut naps = Naps::new();
        // When we went to sleep first.
        let mut since = None;
        loop {
            let newcomer = since.is_none() && !deadline.has_passed();
            if self.take(index, newcomer) {
                return Ok(());
            }
            if !newcomer && self.reclaim(who) {
                continue;
            }
            if deadline == Deadline::Now {
                return Err(NoPermit::WouldBlock);
            }
            let starving = since.is_some_and(|since| now() - since >= PATIENCE);
            // call, Acquire: partner is the increment in `wake_sleepers` (I7).
            let calls = self.late.load(Acquire);
            // Relaxed: a taker reads the word anew.
            let word = self.word.load(Relaxed);
            let may_take = available(word) != 0 && !(newcomer && word & STARVING != 0);
            let announced = word | WAITERS | if starving { STARVING } else { 0 };
            // Relaxed: publishes nothing.
            if may_take
                || announced != word
                    && self.word.compare_exchange(word, announced, Relaxed, Relaxed).is_err()
            {
                continue;
            }
            let Some(nap) = naps.next(deadline) else {
                return Err(NoPermit::Timeout);
            };
            since = since.or_else(|| Some(now()));
            match starving {
                false => futex::wait_low(self.word, announced as u32, Some(nap)), // I6
                true => futex::wait(self.late, calls, Some(nap)),                 // I7
            };
        }
    }

    /// Waits a moment for a permit and says whether it got one; gives up at once where others sleep.
    fn spin(self, index: usize) -> bool {
        for _ in 0..SPINS {
            // Relaxed: a hint; the acquisition is ordered.
            match self.word.load(Relaxed) {
                word if word & (WAITERS | STARVING) != 0 => return false,
                word if available(word) != 0 => return self.take(index, true),
                _ => spin_loop(),
            }
        }
        false
    }

    /// Gives back whatever the dead hold, and says whether that was anything. Call after an attempt
    /// to take, which has settled what the dead may have left.
    fn reclaim(self, who: &impl Liveness) -> bool {
        let mut any = false;
        for (index, record) in self.records.iter().enumerate() {
            // Relaxed: as in `operate`, and it is asked again there.
            if held(record.ledger.load(Relaxed)) != 0 {
                any |= self.give_for_the_dead(index, who);
            }
        }
        any
    }

    /// Gives back what the owner of a record holds if it is dead, and says whether that was anything.
    fn give_for_the_dead(self, index: usize, who: &impl Liveness) -> bool {
        let record = self.records.at(index);
        let Some(owner) = record.owner() else { return false };
        if !who.is_dead(owner) {
            return false;
        }
        let freed = Cell::new(0);
        let more = |word, record: &Record| {
            // Asked anew after each look at the word: a new owner claims before its first operation.
            let now = record.owner();
            let is_dead = now == Some(owner) || now == Some(ParticipantId::DEAD);
            freed.set(held(record.ledger.load(Relaxed)));
            (is_dead && freed.get() != 0).then(|| self.with(available(word), freed.get()))
        };
        let Some(left) = self.operate(index, Operation::Clear, more) else { return false };
        self.wake(left, freed.get());
        true
    }

    /// So many available permits and some more, as far as the bound has room for them.
    #[inline(always)]
    fn with(self, available: u32, permits: u32) -> u32 {
        available.saturating_add(permits).min(self.bound)
    }

    /// Wakes as many sleepers as there are new permits, if any announced; `left` is the word with
    /// them.
    #[inline]
    fn wake(self, left: u64, permits: u32) {
        if left & (WAITERS | STARVING) != 0 {
            self.wake_sleepers(left, permits);
        }
    }

    #[cold]
    fn wake_sleepers(self, left: u64, permits: u32) {
        let (mut left, mut permits) = (left, permits);
        if left & STARVING != 0 {
            // call, Release: partner is the load in `acquire_contended`.
            self.late.fetch_add(1, Release);
            match futex::wake(self.late, permits) {
                0 if self.end_starvation() => {
                    futex::wake_low(self.word, EVERYBODY); // I6
                    return;
                }
                0 => left &= !STARVING,
                woken => permits -= permits.min(woken as u32),
            }
        }
        if permits > 0
            && left & WAITERS != 0
            && futex::wake_low(self.word, permits) < permits as usize
        {
            // I6. Relaxed: publishes nothing.
            let _ = self.word.compare_exchange(left, left & !WAITERS, Relaxed, Relaxed);
        }
    }

    /// Opens the free permits to newcomers again: nobody was there to be called. Who has gone to sleep
    /// since then, did so when there was no permit, and is called by who has added those of now.
    ///
    /// Says whether newcomers may have let somebody pass meanwhile: they are asleep, or about to be,
    /// behind nobody. WAITERS goes, too, so that the latter see that something has changed.
    fn end_starvation(self) -> bool {
        // Relaxed, here and below: publishes nothing.
        let mut now = self.word.load(Relaxed);
        while available(now) != 0 && now & STARVING != 0 {
            let opened = now & !(STARVING | WAITERS);
            match self.word.compare_exchange_weak(now, opened, Relaxed, Relaxed) {
                Ok(_) => return now & WAITERS != 0,
                Err(changed) => now = changed,
            }
        }
        false
    }

    #[inline(always)]
    fn sequence_mask(self) -> u64 {
        u64::from(STAMP >> self.sequence_shift())
    }

    #[inline(always)]
    fn stamp(self, index: usize, operation: Operation, sequence: u64) -> u32 {
        (sequence << self.sequence_shift()) as u32 & STAMP | (index as u32) << 2 | operation as u32
    }

    /// The stamp of a word: record, operation, and the low bits of the sequence.
    #[inline(always)]
    fn read(self, word: u64) -> (usize, Operation, u64) {
        let stamp = stamp_of(word);
        let operation = match stamp & 3 {
            0 => Operation::Take,
            1 => Operation::Give,
            _ => Operation::Clear,
        };
        // `at` masks what of the sequence the index still contains.
        ((stamp >> 2) as usize, operation, u64::from(stamp >> self.sequence_shift()))
    }

    #[inline(always)]
    fn sequence_shift(self) -> u32 {
        2 + self.records.index_bits()
    }
}

#[inline(always)]
fn stamp_of(word: u64) -> u32 {
    (word >> 32) as u32 & STAMP
}

#[inline(always)]
fn available(word: u64) -> u32 {
    word as u32 & MAX
}

#[inline(always)]
fn held(ledger: u64) -> u32 {
    ledger as u32 & MAX
}

#[inline(always)]
fn sequence(ledger: u64) -> u64 {
    ledger >> SEQUENCE
}

/// A ledger with one more operation.
#[inline(always)]
fn entry(ledger: u64, operation: Operation) -> u64 {
    let held = match operation {
        Operation::Take => held(ledger).saturating_add(1).min(MAX),
        Operation::Give => held(ledger).saturating_sub(1),
        Operation::Clear => 0,
    };
    sequence(ledger).wrapping_add(1) << SEQUENCE | u64::from(held)
}

#[cfg(all(test, not(loom)))]
#[path = "semaphore_tests.rs"]
mod tests;
