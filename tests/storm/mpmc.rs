//! Rings for many: every item that was pushed is popped, whole and once, as far as a death allows.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use shmkit::ring::{MpmcRing, TryPopError, TryPushError, mpmc};

use crate::campaign::Storm;
use crate::ledger::{Ledger, Rng};
use crate::shared::Shared;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![survives::<Items<false>>("mpmc::pops"), survives::<Items<true>>("mpmc::leases")]
}

/// Where a worker dies: between taking items for good and writing that down.
const TAKING: usize = 1;
/// Of a seat: items begun to be pushed.
const BEGUN: usize = 0;

const CAPACITY: usize = 12;
const BATCH: usize = 3;
const WORDS: usize = 1 << 18;

type Item = [u64; 3];

fn item(n: u64) -> Item {
    [n, !n, n.wrapping_mul(0x9e37_79b9_7f4a_7c15)]
}

/// One bit for each item.
struct Bits(Shared<[AtomicU64; WORDS]>);

impl Bits {
    /// Whether it was set before.
    fn set(&self, n: u64) -> bool {
        self.0[n as usize / 64].fetch_or(1 << (n % 64), SeqCst) >> (n % 64) & 1 == 1
    }

    fn words(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|word| word.load(SeqCst))
    }
}

/// Consumers pop, and then write down what: a death in between loses it. Or they lease, write down,
/// and then release: a death in between has it come again, and nothing is ever lost.
struct Items<const LEASE: bool> {
    ring: MpmcRing<Item>,
    pushed: Bits,
    popped: Bits,
    /// Items that came again.
    again: Shared<AtomicU64>,
}

impl<const LEASE: bool> Items<LEASE> {
    fn note(&self, popped: Item, redelivered: bool) {
        assert_eq!(popped, item(popped[0]), "torn");
        if self.popped.set(popped[0]) {
            assert!(redelivered, "{} came twice", popped[0]);
            self.again.fetch_add(1, SeqCst);
        }
    }

    /// Numbers for `count` items, if there are any left.
    fn numbers(&self, count: usize, me: usize, ledger: &Ledger) -> Vec<u64> {
        let first = ledger.own(me, BEGUN).fetch_add(count as u64, SeqCst);
        let number = |nth: usize| (first + nth as u64) * Self::WORKERS as u64 + me as u64;
        (0..count).map(number).filter(|n| (*n as usize) < 64 * WORDS).collect()
    }

    /// Pushes items, and returns how many, unless what is in the way may pass.
    fn push(&self, items: &[Item], rng: &mut Rng) -> Result<usize, TryPushError<()>> {
        match rng.below(4) {
            0 => self.ring.try_push_slice(items),
            1 => {
                let mut slot = self.ring.try_reserve()?;
                *slot = items[0];
                slot.commit();
                Ok(1)
            }
            2 => {
                let mut slot = self.ring.try_reserve()?;
                slot[0] = 0;
                Ok(0)
            }
            _ => self.ring.try_push(items[0]).map(|()| 1).map_err(|why| match why {
                TryPushError::Full(_) => TryPushError::Full(()),
                _ => TryPushError::Busy(()),
            }),
        }
    }

    fn pop(&self, me: usize, rng: &mut Rng, ledger: &Ledger) -> Result<(), TryPopError> {
        if LEASE {
            let lease = self.ring.try_lease()?;
            if rng.one_in(4) {
                return Ok(()); // it goes back
            }
            ledger.enter(me, TAKING);
            self.note(*lease, lease.is_redelivered());
            lease.release();
        } else {
            ledger.enter(me, TAKING);
            let mut out = [[0; 3]; BATCH];
            let count = if rng.one_in(2) {
                self.ring.try_pop_slice(&mut out)?
            } else {
                out[0] = self.ring.try_pop()?;
                1
            };
            out[..count].iter().for_each(|popped| self.note(*popped, false));
        }
        Ok(())
    }
}

impl<const LEASE: bool> Storm for Items<LEASE> {
    fn set_up() -> Self {
        Items {
            ring: mpmc(CAPACITY).unwrap(),
            pushed: Bits(Shared::new()),
            popped: Bits(Shared::new()),
            again: Shared::new(),
        }
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        if rng.one_in(2) {
            let numbers = self.numbers(BATCH, me, ledger);
            let items: Vec<Item> = numbers.iter().copied().map(item).collect();
            while !items.is_empty() && !ledger.is_over() {
                match self.push(&items, rng) {
                    Ok(count) => {
                        for n in &numbers[..count] {
                            self.pushed.set(*n);
                        }
                        break;
                    }
                    Err(TryPushError::Full(())) => break,
                    Err(TryPushError::Busy(())) => {} // who is in the way gets on, or is dead
                    Err(other) => panic!("{other}"),
                }
            }
        } else {
            while !ledger.is_over() {
                match self.pop(me, rng, ledger) {
                    Ok(()) | Err(TryPopError::Empty) => break,
                    Err(TryPopError::Busy) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            ledger.enter(me, 0);
        }
    }

    fn check(&self, ledger: &Ledger) {
        self.ring.recover();
        let len = self.ring.len();
        let mut drained = 0;
        while let Ok(lease) = self.ring.try_lease() {
            self.note(*lease, lease.is_redelivered() && LEASE);
            lease.release();
            drained += 1;
        }
        assert_eq!(drained, len, "the length was wrong");
        let both = self.pushed.words().zip(self.popped.words());
        let lost: u64 = both.map(|(pushed, popped)| (pushed & !popped).count_ones() as u64).sum();
        let (deaths, again) = (ledger.deaths(TAKING), self.again.load(SeqCst));
        let (losses, repeats) = if LEASE { (0, deaths) } else { (deaths * BATCH as u64, 0) };
        assert!(lost <= losses, "{lost} lost, {deaths} deaths");
        assert!(again <= repeats, "{again} came again, {deaths} deaths");
        let popped: u64 = self.popped.words().map(|word| word.count_ones() as u64).sum();
        assert!(popped > 1000, "only {popped} items came through");
        for round in 0..3 {
            (0..CAPACITY as u64).for_each(|n| self.ring.try_push(item(n)).unwrap());
            assert!(self.ring.is_full(), "round {round}");
            let all = std::iter::from_fn(|| self.ring.try_pop().ok());
            assert!(all.eq((0..CAPACITY as u64).map(item)), "round {round}");
        }
    }
}
