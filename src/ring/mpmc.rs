//! A bounded ring of plain values for any number of producers and consumers, in which a claim names
//! its owner: whoever is stopped by the claim of a dead process can tell, and takes it back.
//!
//! An operation claims a slot by one CAS of an index word, `tail` or `head`, then moves the value,
//! and finishes by one store of the slot's control word. Producers and consumers are mirror images:
//! one makes a slot FREE for its lap FULL, the other makes it FREE for the next lap.
//!
//! Source: the bounded queue of Vyukov (1024cores, 2010), at its price of one CAS and one store an
//! operation. Ours: index words that name who claimed last, tags, claims of several slots at once,
//! slots that are given up or given back, recovery, and positions that wrap.
//!
//! ```text
//!                       tail = (p, X)           tail = (p + 1, Y)
//! slot p - 1            FREE, claimed by X      WRITING(X): tagged by Y before it moved the tail
//! slot p                FREE                    FREE, claimed by Y
//!
//! control   FREE -claim-> (tag: WRITING) -> FULL -claim-> (tag: READING) -> FREE of the next lap
//!                    given up, or dead: VOID             given back, or dead: RETURNED
//!           VOID -> FREE of the next lap                 RETURNED -> RETAKEN -> FREE, or RETURNED
//! ```
//!
//! # Invariants
//!
//! - I1. A slot that is claimed and not finished names its owner: its control word is tagged, or it
//!   is one of the slots just before `tail` (`head`), whose word names the owner and their number.
//!   For who moves an index word tags first what the word says, and tags the last slot first, while
//!   an owner finishes the first slot first: a finished slot has none unfinished before it.
//! - I2. No word comes back: laps and positions only grow (modulo 2^48), and within a lap a control
//!   word moves along the arrows above. So a CAS from a word that was seen succeeds only while what
//!   was concluded from it holds. A tag names who the index word named: the claimant, or the dead.
//! - I3. Only its owner finishes a claim, as long as it lives. So it may finish by a plain store; a
//!   tag in between is overwritten, and a tag that comes late fails.
//! - I4. The claimant of a slot is the only one to touch the value: the owner in tail or head order,
//!   or of a RETURNED slot the winner of the CAS to RETAKEN.
//! - I5. `0 <= tail - head <= slots + 1`: a slot is claimed at the tail when its last lap is over.
//!   (One more, while a VOID slot is FREE again and `head` is yet to step over it.)
//! - I6. A ring that was closed is so by its tail, which never moves again: what was claimed there
//!   before comes before the end, and nothing after.
//! - I7. Capacity, slot count and mask are of this handle and never read from shared memory, and
//!   every loop is bounded: any bytes are an answer or `Corrupt`.
//!
//! # Memory ordering
//!
//! | edge | Release | Acquire | then visible |
//! |---|---|---|---|
//! | fill | `finish` of a producer stores a control word | `ready` of a consumer loads it | the value |
//! | free | `finish` of a consumer stores a control word | `ready` of a producer loads it | the value is no longer read |
//! | claim | `claim`, `step_over` and `close` change an index word | whoever goes by it loads it | control words up to it, tags included |
//! | tag | `tag` changes a control word, owners store it | `look` loads it | the index word has moved |
//! | return | `give_back` and `recover` make it RETURNED | `retake` changes it | the value, and the death |
//! | hint | `note_returned` adds to `returned` | `retake` and `look_at_tail` load it | the RETURNED slot |
//!
//! Whatever a dead owner did is visible after the verdict (`Numbers`), and `recover` passes it on by
//! its Release to VOID and RETURNED. The chain from there to the next owner is of CASes only, and
//! those hand on what the first Release of the chain made visible.
//!
//! # Death
//!
//! Killed before the claim: nothing happened. Between claim and finish: a producer has pushed
//! nothing and its slot is VOID after [`Ring::recover`], to be stepped over; a consumer has popped
//! nothing and its value, which is intact, is RETURNED to be popped by another, out of turn. Killed
//! after the finish, before the caller acts: pushed, or popped and gone with the dead. Of a batch the
//! first part may be finished.
//!
//! `recover` is a CAS for each slot, from a word that names a dead owner; it can be cut short and
//! started anew anywhere. A verdict comes after the word was read and concerns the present occupant
//! of a number, which by the sweep of a region is the owner named or a later one: then the owner is
//! dead all the more. The sweep comes to the index words first and to the control words then, so
//! all that it can miss is a tag by who has read the index word before: then that index word, which
//! cannot have moved on, says [`DEAD`], and whoever reads it overwrites the tag.
//!
//! # Limits
//!
//! An owner that is stopped stops the others when they come to its slot, as in any ring: nothing is
//! stolen from the living. A slot given up counts as taken until its turn comes.

#![allow(unsafe_code)]

#[cfg(not(loom))]
pub(crate) mod chunks;
mod close;
#[cfg(not(loom))]
pub(crate) mod frames;
mod growth;
mod guard;
#[cfg(any(test, loom))]
pub(super) mod heap;
#[cfg(not(loom))]
pub(super) mod mapped;
#[cfg(not(loom))]
mod outside;
mod recover;
mod site;
mod words;

pub(crate) use guard::{Leased, Reserved};

use crate::region::id::{GENERATION_BITS, Liveness};
use crate::sync::{AtomicU32, AtomicU64, Ordering::*};
use crossbeam_utils::CachePadded;
pub(crate) use site::Site;
use words::*;

/// Attempts of one call, each of which others have made vain by succeeding themselves.
const ATTEMPTS: u32 = if cfg!(loom) { 20 } else { 1 << 16 };

/// Why nothing was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The next slot holds a value: one of the last lap, or one that was given back. Or it was given
    /// up, and its turn has not come.
    Full,
    /// Every slot that was claimed by producers was claimed by consumers.
    Empty,
    /// The slot whose turn it is belongs to another's claim.
    Busy,
    /// The ring was closed: nothing more can be pushed.
    Closed,
    /// The words cannot be true.
    Corrupt,
    /// This process cannot become a user of the region.
    Detached,
    /// The ring cannot grow, because there is no memory for it.
    NoMemory,
}

/// Slots that this process owns: `count` from the position `first` on.
#[derive(Clone, Copy)]
pub(super) struct Claim {
    first: u64,
    count: usize,
    /// The index word as the claim has left it; 0 if it is out of turn.
    stamp: u64,
}

/// What a handle remembers; never needed to be right, and not shared with other processes.
#[derive(Default)]
struct Notes {
    /// The stamps of a consumer's and a producer's claim that were finished last. An index word of
    /// that value needs no tag.
    finished: [AtomicU64; 2],
    /// Where `head` once was.
    head: AtomicU64,
    /// Where `grown` once was.
    grown: AtomicU64,
    /// Claims in vain.
    vain: AtomicU32,
}

/// A handle to a ring. Its algorithm; [`super::MpmcRing`] is the public handle.
pub(crate) struct Ring<S: Site> {
    site: S,
    capacity: u64,
    mask: usize,
    /// The bits of a position that make the lap.
    lap_bits: u64,
    /// Slots that get their memory together; 0 in a ring that has all its memory from the start.
    chunk: u64,
    notes: CachePadded<Notes>,
}

impl<S: Site> Ring<S> {
    pub(crate) fn new(site: S, capacity: usize) -> Self {
        Ring::in_chunks(site, capacity, 0)
    }

    /// A ring that grows by so many slots, a power of two, or has all of them from the start.
    fn in_chunks(site: S, capacity: usize, chunk: u64) -> Self {
        let slots = site.slot_count();
        assert!(slots.is_power_of_two() && (1..=slots).contains(&capacity));
        let mask = slots - 1;
        let lap_bits = !((mask as u64) << 16 | LOW);
        let notes = CachePadded::new(Notes::default());
        // Relaxed: see `room`.
        notes.head.store(site.words().head.word.load(Relaxed), Relaxed);
        Ring { site, capacity: capacity as u64, mask, lap_bits, chunk, notes }
    }

    pub(crate) fn site(&self) -> &S {
        &self.site
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// Puts one value into the ring.
    #[inline]
    pub(crate) fn push(&self, value: S::Value) -> Result<(), Refusal> {
        let claim = self.claim::<PRODUCER>(1)?;
        // SAFETY: I4, I7: the slot is in bounds and ours.
        unsafe { self.site.writing(self.index(claim.first)).write(value) };
        self.finish::<PRODUCER>(claim);
        Ok(())
    }

    /// Takes one value out of the ring.
    #[inline]
    pub(crate) fn pop(&self) -> Result<S::Value, Refusal> {
        // A claim in turn is of one slot for sure, and its value goes straight to the caller; what
        // may follow a refusal is kept apart.
        match self.claim::<CONSUMER>(1) {
            Ok(claim) => Ok(self.take(claim)),
            Err(why) => self.pop_returned(why),
        }
    }

    #[cold]
    #[inline(never)]
    fn pop_returned(&self, why: Refusal) -> Result<S::Value, Refusal> {
        self.retake().map(|claim| self.take(claim)).ok_or(why)
    }

    /// Takes the value of a claim of one slot.
    #[inline(always)]
    fn take(&self, claim: Claim) -> S::Value {
        // SAFETY: I4, I7: the slot is in bounds and ours; any bytes are a value.
        let value = unsafe { self.site.reading(self.index(claim.first)).read() };
        self.finish::<CONSUMER>(claim);
        value
    }

    /// Puts as many of `values` into the ring as fit and returns their number, 0 only for none.
    pub(crate) fn push_slice(&self, values: &[S::Value]) -> Result<usize, Refusal> {
        let mut done = 0;
        while done < values.len() {
            let claim = match self.claim::<PRODUCER>(values.len() - done) {
                Ok(claim) => claim,
                Err(why) if done == 0 => return Err(why),
                Err(_) => break,
            };
            for (nth, value) in values[done..][..claim.count].iter().enumerate() {
                // SAFETY: as in `push`.
                unsafe { self.site.writing(self.index(claim.nth(nth))).write(*value) };
            }
            done += claim.count;
            self.finish::<PRODUCER>(claim);
        }
        Ok(done)
    }

    /// Moves values into `out` and returns their number, 0 only for an empty `out`.
    pub(crate) fn pop_slice(&self, out: &mut [S::Value]) -> Result<usize, Refusal> {
        let mut done = 0;
        while done < out.len() {
            let claim = match self.claim_value(out.len() - done) {
                Ok(claim) => claim,
                Err(why) if done == 0 => return Err(why),
                Err(_) => break,
            };
            for (nth, value) in out[done..][..claim.count].iter_mut().enumerate() {
                // SAFETY: as in `pop`.
                *value = unsafe { self.site.reading(self.index(claim.nth(nth))).read() };
            }
            done += claim.count;
            self.finish::<CONSUMER>(claim);
        }
        Ok(done)
    }

    /// Lends a free slot to be written in place.
    #[inline]
    pub(crate) fn reserve(&self) -> Result<Reserved<'_, S>, Refusal> {
        Ok(Reserved::new(self, self.claim::<PRODUCER>(1)?))
    }

    /// Lends a value to be read in place.
    #[inline]
    pub(crate) fn lease(&self) -> Result<Leased<'_, S>, Refusal> {
        Ok(Leased::new(self, self.claim_value(1)?))
    }

    /// Claims up to `max` values: in turn, or one that was given back.
    #[inline(always)]
    fn claim_value(&self, max: usize) -> Result<Claim, Refusal> {
        self.claim::<CONSUMER>(max).or_else(|why| self.retake().ok_or(why))
    }

    /// Claims up to `max` slots whose turn it is: one CAS.
    #[inline(always)]
    fn claim<const ROLE: bool>(&self, max: usize) -> Result<Claim, Refusal> {
        let me = self.owner()?;
        let index_word = self.site.words().of::<ROLE>();
        for _ in 0..ATTEMPTS {
            let now = index_word.load(Acquire); // claim
            let count = self.ready::<ROLE>(now, max);
            if count == 0 {
                self.look::<ROLE>(now)?;
                continue;
            }
            // Relaxed: the value alone counts; see `finish`.
            if now != self.notes.finished[usize::from(ROLE)].load(Relaxed) {
                if ROLE == PRODUCER && now & OWNER == CLOSED {
                    return Err(Refusal::Closed); // nobody's claim leaves such a word
                }
                self.tag::<ROLE>(now);
            }
            let log2 = count.ilog2();
            let first = now & !LOW;
            let stamp = first.wrapping_add(STEP << log2) | me | u64::from(log2);
            // claim: Release, pairs with the loads of index words. Our own reads are ordered by the
            // load above, since no index word comes back (I2).
            if index_word.compare_exchange(now, stamp, Release, Relaxed).is_ok() {
                // A survivor of a kill here sees our claim in the index word, or tagged.
                return Ok(Claim { first, count, stamp });
            }
        }
        Err(Refusal::Busy)
    }

    /// How many slots from `now` on are ready for this role: a power of two up to `max`, or 0.
    #[inline(always)]
    fn ready<const ROLE: bool>(&self, now: u64, max: usize) -> usize {
        let wanted = if ROLE == PRODUCER { FREE } else { FULL };
        let mut limit = if max == 1 { 1 } else { max.min(CLAIM_MAX).min(self.mask + 1) };
        // A ring of as many slots as it holds values is full when no slot is free.
        if ROLE == PRODUCER && self.capacity <= self.mask as u64 {
            limit = limit.min(self.room(now));
        }
        let mut count = 0;
        while count < limit {
            let at = now.wrapping_add(STEP * count as u64);
            // fill, free: Acquire, pairs with the Release in `finish`.
            if self.control(at).load(Acquire) != self.lap(at) | wanted {
                break;
            }
            count += 1;
        }
        if count < 2 { count } else { 1 << count.ilog2() }
    }

    /// How many values may be put into the ring while the tail is `now`. Never too many: `head` only
    /// grows.
    #[inline(always)]
    fn room(&self, now: u64) -> usize {
        let left = |head| self.capacity.saturating_sub(distance(head, now)) as usize;
        // Relaxed, twice: old news are safe.
        let mut room = left(self.notes.head.load(Relaxed));
        if room == 0 {
            let head = self.site.words().head.word.load(Relaxed);
            self.notes.head.store(head, Relaxed);
            room = left(head);
        }
        if self.chunk == 0 { room } else { room.min(self.backed_ahead(now)) }
    }

    /// Hands the slots of a claim on, in order: everything done in them happens before it is seen.
    #[inline(always)]
    fn finish<const ROLE: bool>(&self, claim: Claim) {
        for nth in 0..claim.count {
            let at = claim.nth(nth);
            let lap = self.lap(at);
            let next = if ROLE == PRODUCER { lap | FULL } else { self.next_lap(lap) };
            self.put(at, next); // fill, free
        }
        // Release: not before the slots are finished, for another thread with this handle may go by
        // it, and the kernel may kill both.
        self.notes.finished[usize::from(ROLE)].store(claim.stamp, Release);
        if ROLE == CONSUMER && self.chunk != 0 {
            self.leave(claim);
        }
    }

    /// Replaces the control word of a slot that is ours (I3).
    #[inline(always)]
    fn put(&self, at: u64, word: u64) {
        if cfg!(loom) {
            // Loom lets a plain store and a CAS both succeed on the same value.
            self.control(at).swap(word, Release);
        } else {
            self.control(at).store(word, Release);
        }
    }

    /// Makes the slots that `now` says were claimed last, and that are not finished, name their
    /// owner themselves (I1). To be called before the index word is moved on.
    #[inline(never)] // what comes before and after it is the whole of a fast path
    fn tag<const ROLE: bool>(&self, now: u64) {
        let (open, tagged) = if ROLE == PRODUCER { (FREE, WRITING) } else { (FULL, READING) };
        let owner = now & OWNER;
        if owner == 0 || owner == CLOSED {
            return;
        }
        let mut at = now;
        for _ in 0..1 << (now & STATE) {
            at = at.wrapping_sub(STEP);
            let (control, lap) = (self.control(at), self.lap(at));
            // tag: Acquire, so that who goes by our index word sees what we go by.
            let mut seen = control.load(Acquire);
            if seen == lap | open {
                // tag: Release, pairs with the loads in `look`.
                match control.compare_exchange(seen, lap | owner | tagged, Release, Acquire) {
                    Ok(_) => continue,
                    Err(changed) => seen = changed,
                }
            }
            if seen & !OWNER != lap | tagged {
                return; // finished, and with it all before it
            }
            if owner == DEAD && seen & OWNER != DEAD {
                // A late tag names a number that has a new occupant (see "Death"). Failure means
                // that it was replaced or recovered meanwhile.
                let _ = control.compare_exchange(seen, lap | DEAD | tagged, Release, Relaxed);
            }
        }
    }

    /// Looks why nothing is ready at `now`; `Ok` means that something has changed since.
    #[cold]
    fn look<const ROLE: bool>(&self, now: u64) -> Result<(), Refusal> {
        let why = if ROLE == PRODUCER { self.look_at_tail(now) } else { self.look_at_head(now) };
        match why {
            Some(why @ (Refusal::Corrupt | Refusal::Closed | Refusal::NoMemory)) => Err(why),
            Some(why) if !self.is_time_to_recover() || self.recover() == 0 => Err(why),
            _ => Ok(()),
        }
    }

    fn look_at_tail(&self, now: u64) -> Option<Refusal> {
        if now & OWNER == CLOSED {
            return Some(Refusal::Closed);
        }
        let words = self.site.words();
        let (lap, control) = (self.lap(now), self.control(now).load(Acquire)); // free, tag
        // Relaxed, here and below: not older than what the control word has shown, and that is enough.
        if words.tail.word.load(Relaxed) != now {
            return None;
        }
        // The tail was `now` when the control word was read, so nobody had claimed the slot.
        let age = (control & self.lap_bits).wrapping_sub(lap) as i64;
        if age > 0 || (age == 0 && control != lap | FREE) {
            return Some(Refusal::Corrupt);
        }
        if age == 0 && self.capacity > self.mask as u64 {
            return None;
        }
        let head = words.head.word.load(Relaxed);
        let taken = distance(head, now);
        if taken > self.mask as u64 + 2 {
            // The head may have followed a tail that has moved on.
            return (words.tail.word.load(Relaxed) == now).then_some(Refusal::Corrupt);
        }
        if taken < self.capacity && age == 0 {
            return self.grow(now);
        }
        if taken < self.capacity {
            // Whoever pops from there has not finished, or will never do. Or has given back what it
            // had, and consumers can tell; so the hint is read after the control word.
            let back = control & STATE == RETURNED && words.scars.returned.load(Acquire) != 0; // hint
            return Some(if back { Refusal::Full } else { Refusal::Busy });
        }
        // What was given up at the head makes room.
        if self.step_over_voids() > 0 { None } else { Some(Refusal::Full) }
    }

    fn look_at_head(&self, now: u64) -> Option<Refusal> {
        let words = self.site.words();
        // The tail first: the slot is at least FREE for this lap if it has passed.
        let tail = words.tail.word.load(Acquire); // claim
        let (lap, control) = (self.lap(now), self.control(now).load(Acquire)); // fill, tag
        // Relaxed: not older than what the control word has shown.
        if words.head.word.load(Relaxed) != now {
            return None;
        }
        // The head was `now` all the time.
        match distance(now, tail) {
            0 => return Some(Refusal::Empty),
            ahead if ahead > self.mask as u64 + 2 => return Some(Refusal::Corrupt),
            _ => {}
        }
        let age = (control & self.lap_bits).wrapping_sub(lap) as i64;
        match control & STATE {
            FULL if age == 0 => None,
            FREE | WRITING if age == 0 => Some(Refusal::Busy),
            VOID if age == 0 => {
                self.step_over(now);
                None
            }
            _ if age > 0 => {
                self.step_over(now);
                None
            }
            _ => Some(Refusal::Corrupt),
        }
    }

    /// Moves `head` on from `now`, where a slot is VOID, or was and is FREE again.
    fn step_over(&self, now: u64) {
        let lap = self.lap(now);
        // Relaxed: one more CAS of a chain that began with the Release to VOID. Failure means that
        // another was faster.
        let freed = self.next_lap(lap);
        let _ = self.control(now).compare_exchange(lap | VOID, freed, Relaxed, Relaxed);
        self.tag::<CONSUMER>(now);
        let next = (now & !LOW).wrapping_add(STEP);
        // claim: Release, as in `claim`.
        let _ = self.site.words().head.word.compare_exchange(now, next, Release, Relaxed);
        if self.chunk != 0 {
            self.shrink();
        }
    }

    /// Steps over all that was given up at the head, and says how often.
    fn step_over_voids(&self) -> usize {
        let mut steps = 0;
        while steps <= self.mask {
            let head = &self.site.words().head.word;
            let now = head.load(Acquire); // claim
            let (lap, control) = (self.lap(now), self.control(now).load(Acquire)); // free, tag
            // Who freed a slot that was VOID may have died before it moved the head.
            let freed = (control & self.lap_bits).wrapping_sub(lap) as i64 > 0;
            if control != lap | VOID && !(freed && head.load(Relaxed) == now) {
                break;
            }
            self.step_over(now);
            steps += 1;
        }
        steps
    }

    /// The owner bits of this process.
    #[inline(always)]
    fn owner(&self) -> Result<u64, Refusal> {
        match self.site.own_word() {
            0 => self.attach(),
            word => Ok(u64::from(word >> GENERATION_BITS) << OWNER_SHIFT),
        }
    }

    #[cold]
    fn attach(&self) -> Result<u64, Refusal> {
        let who = self.site.who().ok_or(Refusal::Detached)?;
        Ok(u64::from(who.me().number()) << OWNER_SHIFT)
    }

    #[inline(always)]
    fn index(&self, at: u64) -> usize {
        (at >> 16) as usize & self.mask
    }

    /// The control word of the slot at this position while it is FREE for it.
    #[inline(always)]
    fn lap(&self, at: u64) -> u64 {
        at & self.lap_bits
    }

    #[inline(always)]
    fn next_lap(&self, lap: u64) -> u64 {
        lap.wrapping_add((self.mask as u64 + 1) << 16)
    }

    /// The control word of the slot at this position.
    #[inline(always)]
    fn control(&self, at: u64) -> &AtomicU64 {
        // SAFETY: I7: the index is masked, so `Site` promises an atomic that lives with it.
        unsafe { &*self.site.control(self.index(at)) }
    }
}

impl<S: Site + Clone> Clone for Ring<S> {
    fn clone(&self) -> Self {
        Ring::in_chunks(self.site.clone(), self.capacity(), self.chunk)
    }
}

impl Claim {
    /// The position of the `nth` slot.
    #[inline(always)]
    fn nth(&self, nth: usize) -> u64 {
        self.first.wrapping_add(STEP * nth as u64)
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/growth.rs"]
mod loom_growth;
#[cfg(all(test, loom))]
#[path = "../../tests/loom/mpmc.rs"]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
