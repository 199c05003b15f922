//! A barrier in one word: parties meet, go on together, or learn together that it broke.
//!
//! Source: the central barrier of Mellor-Crummey and Scott, "Algorithms for Scalable
//! Synchronization on Shared-Memory Multiprocessors" (1991), with a number for each round in place
//! of their sense bit; the states are those of Python's `threading.Barrier`. Rounds, outcomes and
//! arrivals share one word, so that every step is one compare-and-swap.
//!
//! ```text
//! byte 0      8
//!      word   bell
//!
//! word: bits 43..64   27..43   19..27    3..19     0..3
//!            round    streak   history   arrived   phase
//!
//! phase    0 FILLING: parties arrive; 1 ACTING: all are there, the last one runs its action;
//!          2.. broken, and why
//! history  outcomes of the last 8 rounds, the latest lowest; 1 = broken
//! streak   how many rounds in a row were completed since the last broken one, up to 65535
//! ```
//!
//! # Invariants
//!
//! - I1. A round ends by one step, that makes `round` grow: completed (by its last party) or broken
//!   (by a reset). Its outcome goes into the history in the same step.
//! - I2. Within a round, `phase` goes from FILLING to ACTING or to broken, and from ACTING to broken;
//!   never back. So a round that is broken stays broken, and a last party that has run its action
//!   completes the round only if nobody broke it.
//! - I3. `arrived` grows by one for each party of the round, so each gets its own number, `0` first.
//!   Whoever brings it to the number of parties is the last, and there is one such party a round.
//! - I4. A waiter knows its round and goes on once that is over or broken. Nothing is counted down:
//!   who leaves changes nothing, and the next round need not wait for slow leavers.
//!
//! # Memory ordering
//!
//! | edge | Release | Acquire | then visible |
//! |---|---|---|---|
//! | arrive | every arrival | the last one loads the word | to the action: what all parties wrote before |
//! | go | the end of a round, or its breaking | a waiter reads the word | what all parties and the action wrote before |
//!
//! Every change of the word is a read-modify-write, so the release sequence of each arrival reaches
//! to the end of the round and beyond.
//!
//! # Death
//!
//! A party that will not come is told by [`Parties::has_died`], which each sleeper asks after a nap, and the
//! last party before it completes a round in which somebody may be asleep: who was killed asleep
//! breaks the round for sure. (Who is killed awake, between its arrival and its sleep, is in no way
//! different from one killed right after the round.) Who finds a death breaks the round, by one
//! step; killed before it, the next one does. A last party killed between the end of a round and
//! the wake-up costs the others one nap; one killed in its action is a dead party.
//!
//! # Waiting elsewhere
//!
//! Who waits for several things at once is no party. It is told when a [`RawBarrier::wait`] would not
//! sleep ([`RawBarrier::would_pass`]): once all but one have come, which no sleeper needs to know, and
//! at every end or breaking of a round.
//!
//! # Limits
//!
//! Up to 65535 parties. A waiter that does not get to run while 8 other rounds end, of which one
//! was broken, or while 65535 do, is told [`Broken::Reset`] whatever became of its own; that takes
//! more users than parties, or a series of resets. After 2^21 rounds numbers come again.

use super::deadline::Deadline;
use super::event::EventCount;
use super::spin::Spin;
use crate::sync::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

const PHASE_BITS: u32 = 3;
const ARRIVED_BITS: u32 = 16;
const HISTORY_BITS: u32 = 8;
const STREAK_BITS: u32 = 16;
const ROUND_BITS: u32 = 21;
const _: () =
    assert!(PHASE_BITS + ARRIVED_BITS + HISTORY_BITS + STREAK_BITS + ROUND_BITS == u64::BITS);

const FILLING: u32 = 0;
const ACTING: u32 = 1;

/// The most parties that a barrier can have.
pub(crate) const PARTIES_MAX: u32 = (1 << ARRIVED_BITS) - 1;

/// Why a round was not completed. The numbers are phases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A party gave up after its deadline.
    Timeout = 2,
    /// Somebody aborted the barrier.
    Aborted = 3,
    /// A party has died.
    PartyDied = 4,
    /// The action panicked.
    ActionPanicked = 5,
    /// The barrier has been reset meanwhile.
    Reset = 6,
}

/// What a barrier does not know by itself.
pub trait Parties {
    /// Whether one of those who should come has died. May be dear.
    fn has_died(&self) -> bool;

    /// Tells those who wait elsewhere: see [`EventCount::arm`].
    fn ring(&self) {}
}

/// `has_died`, where nobody waits elsewhere.
impl<F: Fn() -> bool> Parties for F {
    fn has_died(&self) -> bool {
        self()
    }
}

/// The words of a barrier; any bytes are valid, zeros are one that nobody has come to.
#[derive(Default)]
#[repr(C)]
pub struct RawBarrier {
    word: AtomicU64,
    bell: EventCount,
}

// SAFETY: atomics without padding, and every bit pattern is a barrier.
#[cfg(not(loom))]
#[allow(unsafe_code)]
unsafe impl crate::region::Shared for RawBarrier {}
#[cfg(not(loom))]
const _: () = assert!(size_of::<RawBarrier>() == 16);

/// The word, taken apart.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    phase: u32,
    arrived: u32,
    history: u32,
    streak: u32,
    round: u32,
}

impl State {
    fn of(mut word: u64) -> State {
        let mut take = |bits: u32| {
            let field = word as u32 & ((1 << bits) - 1);
            word >>= bits;
            field
        };
        State {
            phase: take(PHASE_BITS),
            arrived: take(ARRIVED_BITS),
            history: take(HISTORY_BITS),
            streak: take(STREAK_BITS),
            round: take(ROUND_BITS),
        }
    }

    fn word(self) -> u64 {
        let fields = [
            (self.round, ROUND_BITS),
            (self.streak, STREAK_BITS),
            (self.history, HISTORY_BITS),
            (self.arrived, ARRIVED_BITS),
            (self.phase, PHASE_BITS),
        ];
        fields
            .iter()
            .fold(0, |word, (field, bits)| word << bits | u64::from(*field) & ((1 << bits) - 1))
    }

    /// Why the present round is broken, if it is.
    fn broken(self) -> Option<Broken> {
        Some(match self.phase {
            FILLING | ACTING => return None,
            2 => Broken::Timeout,
            4 => Broken::PartyDied,
            5 => Broken::ActionPanicked,
            6 => Broken::Reset,
            _ => Broken::Aborted,
        })
    }

    /// The start of the next round (I1).
    fn next(self, broken: bool) -> State {
        State {
            phase: FILLING,
            arrived: 0,
            history: self.history << 1 | u32::from(broken),
            streak: if broken { 0 } else { (self.streak + 1).min((1 << STREAK_BITS) - 1) },
            round: self.round.wrapping_add(1),
        }
    }

    /// What became of `round`; `None` while it goes on.
    fn outcome(self, round: u32) -> Option<Result<(), Broken>> {
        let behind = self.round.wrapping_sub(round) & ((1 << ROUND_BITS) - 1);
        if behind == 0 {
            return self.broken().map(Err);
        }
        let completed = if behind <= HISTORY_BITS {
            self.history >> (behind - 1) & 1 == 0
        } else {
            behind <= self.streak
        };
        Some(if completed { Ok(()) } else { Err(Broken::Reset) })
    }
}

/// An arrival that was counted.
struct Place {
    round: u32,
    index: u32,
    last: bool,
}

impl RawBarrier {
    /// Waits until `parties` have come, and returns the number of this one in order of arrival.
    ///
    /// The last one runs `action` first, if it brings one. Any number of threads and processes may
    /// call this at once.
    ///
    /// # Errors
    ///
    /// The reason why the round was broken, by this call at its deadline or by anybody.
    pub fn wait(
        &self,
        parties: u32,
        spin: &Spin,
        deadline: Deadline,
        action: Option<impl FnOnce()>,
        who: &dyn Parties,
    ) -> Result<u32, Broken> {
        let place = self.arrive(parties, spin, deadline, action.is_some(), who)?;
        let round = place.round;
        match action {
            _ if !place.last => {
                let outcome = || self.load().outcome(round);
                self.sleep(round, spin, deadline, who, outcome)?;
            }
            Some(action) => {
                let breaks = BreaksOnPanic { barrier: self, round, who };
                action();
                std::mem::forget(breaks);
                self.complete(round, who)?;
            }
            None => self.notify(who), // the arrival was the completion
        }
        Ok(place.index)
    }

    /// Takes part in the present round; waits first if that is full already.
    fn arrive(
        &self,
        parties: u32,
        spin: &Spin,
        deadline: Deadline,
        acts: bool,
        who: &dyn Parties,
    ) -> Result<Place, Broken> {
        loop {
            let state = self.load();
            if let Some(why) = state.broken() {
                return Err(why);
            }
            if state.phase == ACTING || state.arrived >= parties {
                // The parties of this round are complete, and we are one more.
                let over = || (self.load() != state).then_some(Ok(()));
                self.sleep(state.round, spin, deadline, who, over)?;
                continue;
            }
            let last = state.arrived + 1 == parties;
            if last && self.bell.is_announced() && who.has_died() {
                self.break_round(state.round, Broken::PartyDied, who);
                continue;
            }
            let next = match last {
                true if !acts => state.next(false),
                true => State { arrived: state.arrived + 1, phase: ACTING, ..state },
                false => State { arrived: state.arrived + 1, ..state },
            };
            if self.step(state, next) {
                if state.arrived + 2 == parties {
                    self.bell.only_ring(|| who.ring()); // one more, and all are there
                }
                return Ok(Place { round: state.round, index: state.arrived, last });
            }
        }
    }

    /// Sleeps until `over` has an answer; the deadline or a death makes it one.
    fn sleep(
        &self,
        round: u32,
        spin: &Spin,
        deadline: Deadline,
        who: &dyn Parties,
        over: impl Fn() -> Option<Result<(), Broken>>,
    ) -> Result<(), Broken> {
        let check = || {
            who.has_died().then(|| self.break_round(round, Broken::PartyDied, who))?;
            over()
        };
        self.bell.wait_until(spin, deadline, &over, check).unwrap_or_else(|| {
            self.break_round(round, Broken::Timeout, who);
            over().unwrap_or(Err(Broken::Timeout))
        })
    }

    /// Ends a round whose action has run.
    fn complete(&self, round: u32, who: &dyn Parties) -> Result<(), Broken> {
        let acting = |state: State| state.round == round && state.phase == ACTING;
        let state = self.change(|state| acting(state).then(|| state.next(false)));
        self.notify(who);
        state.outcome(round).unwrap_or(Ok(()))
    }

    /// Breaks `round`, unless it is over or broken.
    fn break_round(&self, round: u32, why: Broken, who: &dyn Parties) {
        let open = |state: State| state.round == round && state.broken().is_none();
        let broken = |state| State { phase: why as u32, arrived: 0, ..state };
        self.change(|state| open(state).then(|| broken(state)));
        self.notify(who);
    }

    /// Breaks the present round, unless it is broken; those who wait and those who come are told, and
    /// by `ring` those who wait elsewhere.
    pub fn break_now(&self, why: Broken, ring: impl FnOnce()) {
        self.change(|state| {
            let broken = State { phase: why as u32, arrived: 0, ..state };
            state.broken().is_none().then_some(broken)
        });
        self.bell.notify_all_and(ring);
    }

    /// Breaks the present round for those who are there, and starts the next one. Nobody waits
    /// elsewhere for that, but for what comes after it.
    pub fn reset(&self) {
        self.change(|state| {
            let untouched = state.phase == FILLING && state.arrived == 0;
            (!untouched).then(|| state.next(true))
        });
        self.bell.notify_all();
    }

    /// How many parties are waiting; stale at once.
    pub fn waiting(&self) -> u32 {
        let state = self.load();
        if state.broken().is_some() { 0 } else { state.arrived }
    }

    /// Why the barrier is broken, if it is; stale at once.
    pub fn broken(&self) -> Option<Broken> {
        self.load().broken()
    }

    /// Whether a [`RawBarrier::wait`] would not sleep: it would be the last of its round, or be told that
    /// the round is broken. Stale at once.
    pub fn would_pass(&self, parties: u32) -> bool {
        let state = self.load();
        state.broken().is_some() || state.phase == FILLING && state.arrived + 1 == parties
    }

    /// Asks whoever makes [`RawBarrier::would_pass`] true to ring: see [`EventCount::arm`].
    pub fn arm(&self) {
        self.bell.arm();
    }

    fn notify(&self, who: &dyn Parties) {
        self.bell.notify_all_and(|| who.ring());
    }

    fn load(&self) -> State {
        State::of(self.word.load(Acquire)) // arrive, go
    }

    /// From one state to another; `false` if somebody was faster.
    fn step(&self, from: State, to: State) -> bool {
        // arrive and go: Release; the Acquire of both is in `load`, which has read this very state.
        self.word.compare_exchange(from.word(), to.word(), Release, Relaxed).is_ok()
    }

    /// Takes the step that `to` says, if any, and returns the state after it.
    fn change(&self, to: impl Fn(State) -> Option<State>) -> State {
        loop {
            let state = self.load();
            let Some(next) = to(state) else { return state };
            if self.step(state, next) {
                return next;
            }
        }
    }
}

/// Breaks the round when it is dropped: the action of its last party is unwinding.
struct BreaksOnPanic<'a> {
    barrier: &'a RawBarrier,
    round: u32,
    who: &'a dyn Parties,
}

impl Drop for BreaksOnPanic<'_> {
    fn drop(&mut self) {
        self.barrier.break_round(self.round, Broken::ActionPanicked, self.who);
    }
}

#[cfg(all(test, not(loom)))]
#[path = "barrier_tests.rs"]
mod tests;
