//! How long to spin before a sleep: a bet that each handle learns to place.
//!
//! A spin pays when the peer runs on another processor and answers within about the time that a
//! wake-up costs. It harms when both share one processor, or when more processes want to run than
//! there are processors. So a waiter does not spin while its last waker ran where it runs itself,
//! and otherwise spins for as long as that paid off lately: each success doubles the budget up to
//! the cost of a wake-up, each failure halves it. Once it is spent, only every now and then a probe
//! looks whether the weather has changed, the rarer the longer it has not.
//!
//! All state is local to the process and only a hint, hence Relaxed throughout; threads that share
//! a handle may lose each other's updates.

use super::deadline::Deadline;
use crate::sync::{AtomicU32, Ordering::Relaxed, cpu, spin_loop};
use std::time::Instant;

/// The longest spin: about the cost of a wake-up across processors.
const LONGEST_NS: u32 = 40_000;
/// A budget below this is not worth reading the clock for.
const SHORTEST_NS: u32 = 1_000;
/// Waits from the last failure to the first probe, and between probes at most.
const FIRST_REST: u32 = 8;
const LONGEST_REST: u32 = 512;
/// Tries between two looks at the clock.
const TRIES: u32 = 16;

/// The spin of one handle's waits, in process-local memory.
pub struct Spin {
    /// What the next wait may spend; 0 while resting.
    budget_ns: AtomicU32,
    /// Waits that remain until the next probe.
    rest: AtomicU32,
    /// How long to rest after the next failure.
    next_rest: AtomicU32,
}

impl Spin {
    /// Starts with full confidence: the first waits find out.
    #[allow(clippy::new_without_default)] // Every handle must say that it keeps one.
    pub fn new() -> Spin {
        Spin {
            budget_ns: AtomicU32::new(LONGEST_NS),
            rest: AtomicU32::new(0),
            next_rest: AtomicU32::new(FIRST_REST),
        }
    }

    /// Tries again and again while that is likely to be cheaper than a sleep. `waker` is the
    /// [`here`] of the last waker.
    pub(super) fn until<R>(
        &self,
        waker: u32,
        deadline: Deadline,
        mut attempt: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        if cfg!(loom) || deadline == Deadline::Now || waker == here() {
            return None;
        }
        let budget_ns = self.bet()?;
        let start = Instant::now();
        loop {
            for _ in 0..TRIES {
                spin_loop();
                if let Some(result) = attempt() {
                    self.won();
                    return Some(result);
                }
            }
            let spent = start.elapsed().as_nanos();
            if spent >= u128::from(budget_ns) || deadline.has_passed() {
                self.lost(budget_ns);
                return None;
            }
        }
    }

    /// What this wait may spend, if anything.
    fn bet(&self) -> Option<u32> {
        match self.budget_ns.load(Relaxed) {
            0 => {
                let rest = self.rest.load(Relaxed);
                self.rest.store(rest.saturating_sub(1), Relaxed);
                (rest == 0).then_some(LONGEST_NS)
            }
            budget_ns => Some(budget_ns),
        }
    }

    fn won(&self) {
        let budget_ns = self.budget_ns.load(Relaxed).max(LONGEST_NS / 8);
        self.budget_ns.store((budget_ns * 2).min(LONGEST_NS), Relaxed);
        self.next_rest.store(FIRST_REST, Relaxed);
    }

    fn lost(&self, budget_ns: u32) {
        // A probe comes with an empty budget and leaves it so.
        let probe = self.budget_ns.load(Relaxed) == 0;
        let left = if probe { 0 } else { budget_ns / 2 };
        if left >= SHORTEST_NS {
            self.budget_ns.store(left, Relaxed);
            return;
        }
        let rest = self.next_rest.load(Relaxed);
        self.budget_ns.store(0, Relaxed);
        self.rest.store(rest, Relaxed);
        self.next_rest.store((rest * 2).min(LONGEST_REST), Relaxed);
    }
}

/// The processor this thread runs on, as it is left for others: never 0, which means unknown.
pub(super) fn here() -> u32 {
    cpu::current().wrapping_add(1)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const ELSEWHERE: u32 = 0;

    /// Counts how many of `waits` in vain did spin at all.
    fn spins_in_vain(spin: &Spin, waits: u32) -> u32 {
        (0..waits)
            .filter(|_| {
                let mut tries = 0;
                let none: Option<()> = spin.until(ELSEWHERE, Deadline::Never, || {
                    tries += 1;
                    None
                });
                assert!(none.is_none());
                tries > 0
            })
            .count() as u32
    }

    #[test]
    fn a_spin_in_vain_dies_down_to_rare_probes() {
        let spin = Spin::new();
        assert!(spins_in_vain(&spin, 2000) < 20);
    }

    #[test]
    fn a_probe_that_pays_brings_the_spin_back() {
        let spin = Spin::new();
        spins_in_vain(&spin, 100);
        let mut wins = 0;
        for _ in 0..2 * LONGEST_REST {
            wins += u32::from(spin.until(ELSEWHERE, Deadline::Never, || Some(())).is_some());
        }
        assert!(wins > LONGEST_REST);
    }

    #[test]
    fn nobody_spins_for_a_waker_on_the_same_processor() {
        let spin = Spin::new();
        let stayed = (0..1000).find_map(|_| {
            let (before, spun) = (here(), spin.until(here(), Deadline::Never, || Some(())));
            (before == here()).then_some(spun)
        });
        assert_eq!(stayed, Some(None));
    }

    #[test]
    fn nobody_spins_for_the_past() {
        assert_eq!(Spin::new().until(ELSEWHERE, Deadline::Now, || Some(())), None);
    }
}
