//! Four producers and four consumers: every item that was pushed is popped, whole and once, as far as
//! a death allows. What carries the items is the scenario's.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::campaign::Storm;
use crate::ledger::{Ledger, Rng};
use crate::shared::Shared;

pub type Item = [u64; 3];

/// Why nothing was carried.
pub enum Refused {
    /// There was no room, or nothing there.
    Now,
    /// Somebody is in the way, who gets on, or is dead.
    Soon,
}

/// What carries items. Nothing here waits for long: the others may be dead, and are replaced.
pub trait Carrier: Sized {
    /// Whether [`Carrier::recover`] leaves nothing to do.
    const RECOVERS: bool = true;

    fn new(capacity: usize) -> Self;
    /// Pushes some of `items`, from the first on, in a way that the dice choose. Returns how many.
    fn push(&self, items: &[Item], rng: &mut Rng) -> Result<usize, Refused>;
    /// Pops at most as many as fit, and returns how many.
    fn pop(&self, out: &mut [Item], rng: &mut Rng) -> Result<usize, Refused>;
    /// Shows an item, and whether it came again, to `consume`, which says whether it is done with;
    /// otherwise it goes back.
    fn lend(&self, consume: impl FnOnce(Item, bool) -> bool) -> Result<(), Refused>;
    /// The next item, and whether it came again, when nobody else is left; `None` at the end.
    fn rest(&self) -> Option<(Item, bool)>;
    /// Takes back what the dead have left, if it is for the user to ask for that.
    fn recover(&self);
    fn len(&self) -> usize;
    /// Puts as many items through it as it holds, and checks that it is as good as new.
    fn assert_works(&self);
}

/// Where workers die: a producer between the push and what it writes down of it, a consumer while it
/// takes so many items for good and has not written down which.
const BATCH: usize = 3;
const PUSHING: usize = BATCH + 1;

/// Of a producer's seat: items begun to be pushed.
const BEGUN: usize = 0;
const PRODUCERS: usize = 4;
const CONSUMERS: usize = 4;

pub const CAPACITY: usize = 12;
/// Room for half a thousand million items; what is not used costs nothing.
const WORDS: usize = 1 << 23;

pub fn item(n: u64) -> Item {
    [n, !n, n.wrapping_mul(0x9e37_79b9_7f4a_7c15)]
}

/// One bit for each item.
struct Bits(Shared<[AtomicU64; WORDS]>);

impl Bits {
    /// Whether it was set before.
    fn set(&self, n: u64) -> bool {
        self.0[n as usize / 64].fetch_or(1 << (n % 64), SeqCst) >> (n % 64) & 1 == 1
    }

    /// The words with the first `count` bits.
    fn words(&self, count: u64) -> impl Iterator<Item = u64> {
        self.0[..count.div_ceil(64) as usize].iter().map(|word| word.load(SeqCst))
    }
}

/// Consumers pop, and then write down what: a death in between loses it. Or they lease, write down,
/// and then release: a death in between has it come again, and nothing is ever lost.
pub struct Items<C, const LEASE: bool> {
    carrier: C,
    /// Acknowledged.
    pushed: Bits,
    popped: Bits,
    /// Items that came again.
    again: Shared<AtomicU64>,
    /// How many items a producer may begin for each worker that was killed, so that the bits last.
    pace: u64,
}

impl<C: Carrier, const LEASE: bool> Items<C, LEASE> {
    fn note(&self, popped: Item, redelivered: bool) {
        assert_eq!(popped, item(popped[0]), "torn");
        if self.popped.set(popped[0]) {
            assert!(redelivered, "{} came twice", popped[0]);
            self.again.fetch_add(1, SeqCst);
        }
    }

    /// Numbers for `count` items, if it is not too early for more.
    fn numbers(&self, count: usize, me: usize, ledger: &Ledger) -> Vec<u64> {
        let begun = ledger.own(me, BEGUN);
        if begun.load(SeqCst) + count as u64 > self.pace * (ledger.kills() + 1) {
            return Vec::new();
        }
        let first = begun.fetch_add(count as u64, SeqCst);
        (0..count as u64).map(|nth| (first + nth) * PRODUCERS as u64 + me as u64).collect()
    }

    fn produce(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        let numbers = self.numbers(1 + rng.below(BATCH as u64) as usize, me, ledger);
        let items: Vec<Item> = numbers.iter().copied().map(item).collect();
        if items.is_empty() {
            std::thread::yield_now();
            return;
        }
        ledger.enter(me, PUSHING);
        while !ledger.is_over() {
            match self.carrier.push(&items, rng) {
                Ok(count) => {
                    for n in &numbers[..count] {
                        self.pushed.set(*n);
                    }
                    break;
                }
                Err(Refused::Now) => break,
                Err(Refused::Soon) => {}
            }
        }
        ledger.enter(me, 0);
    }

    fn consume(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        let wanted = if LEASE { 1 } else { 1 + rng.below(BATCH as u64) as usize };
        while !ledger.is_over() {
            ledger.enter(me, wanted);
            let done = if LEASE {
                self.carrier.lend(|popped, again| {
                    let keeps = !rng.one_in(4);
                    if keeps {
                        self.note(popped, again);
                    }
                    keeps
                })
            } else {
                let mut out = [[0; 3]; BATCH];
                let popped = self.carrier.pop(&mut out[..wanted], rng);
                popped.map(|count| out[..count].iter().for_each(|popped| self.note(*popped, false)))
            };
            if !matches!(done, Err(Refused::Soon)) {
                break;
            }
        }
        ledger.enter(me, 0);
    }
}

impl<C: Carrier, const LEASE: bool> Storm for Items<C, LEASE> {
    const WORKERS: usize = PRODUCERS + CONSUMERS;

    fn set_up() -> Self {
        Items {
            carrier: C::new(CAPACITY),
            pushed: Bits(Shared::new()),
            popped: Bits(Shared::new()),
            again: Shared::new(),
            // Kills come in bursts, so there may be a few more than wanted.
            pace: (WORDS * 64 / PRODUCERS) as u64 / (crate::kills() + 100),
        }
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        if me < PRODUCERS {
            self.produce(me, rng, ledger);
        } else {
            self.consume(me, rng, ledger);
        }
    }

    fn check(&self, ledger: &Ledger) {
        self.carrier.recover();
        let len = self.carrier.len();
        let mut drained = 0;
        while let Some((popped, again)) = self.carrier.rest() {
            self.note(popped, again && LEASE);
            drained += 1;
        }
        assert!(!C::RECOVERS || drained == len, "{drained} items, of {len} as it said");
        assert_eq!(self.carrier.len(), 0, "the length was wrong");

        let most = (0..PRODUCERS).map(|me| ledger.own(me, BEGUN).load(SeqCst)).max().unwrap();
        let count = most * PRODUCERS as u64;
        let both = || self.pushed.words(count).zip(self.popped.words(count));
        let bits = |words: &mut dyn Iterator<Item = u64>| -> u64 {
            words.map(|word| u64::from(word.count_ones())).sum()
        };
        let lost = bits(&mut both().map(|(pushed, popped)| pushed & !popped));
        let unacknowledged = bits(&mut both().map(|(pushed, popped)| popped & !pushed));
        let again = self.again.load(SeqCst);
        // A dead consumer may have had what it was about to take, a dead producer one call's items.
        let had: u64 = (1..=BATCH).map(|wanted| ledger.deaths(wanted) * wanted as u64).sum();
        let (losses, repeats) = if LEASE { (0, had) } else { (had, 0) };
        let pushing = ledger.deaths(PUSHING) * BATCH as u64;
        assert!(lost <= losses, "{lost} lost, {losses} in the hands of the dead");
        assert!(again <= repeats, "{again} came again, {repeats} in the hands of the dead");
        assert!(unacknowledged <= pushing, "{unacknowledged} of nobody, {pushing} of the dead");
        let popped = bits(&mut self.popped.words(count));
        assert!(popped > 1000, "only {popped} items came through");
        self.carrier.assert_works();
        ledger.say(&format!(
            "{popped} items, {lost} lost of {losses}, {again} again of {repeats}, \
             {unacknowledged} unacknowledged of {pushing};"
        ));
    }
}
