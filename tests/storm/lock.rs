//! `Lock`: one at a time, and every death in a section told.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use shmkit::{Lock, LockError, LockGuard};

use crate::campaign::Storm;
use crate::helper::elsewhere;
use crate::ledger::{Ledger, Rng};
use crate::{DEADLINE, Test, survives};

pub fn tests() -> Vec<Test> {
    vec![survives::<Sections>("lock::sections"), survives::<Crowd>("lock::sections_of_a_crowd")]
}

/// Where a worker is: about to own the lock, owning it, or about to own it no more.
const COMING: usize = 1;
const INSIDE: usize = 2;
const GOING: usize = 3;

/// Who is inside: the ticket, 0 for nobody, or that somebody saw a death and did not repair.
const HOLDER: usize = 0;
const NOT_REPAIRED: u64 = u64::MAX;
/// How often a death was told.
const TOLD: usize = 1;
/// Of a seat: edits begun, and edits known to be published.
const BEGUN: usize = 0;
const PUBLISHED: usize = 1;

/// Several words, so that half of one shows.
type Data = [u64; 4];

struct Sections(Lock<Data>);

impl Sections {
    /// Enters, and checks that nobody else alive is inside and whose death is told.
    fn enter(&self, me: usize, rng: &mut Rng, ledger: &Ledger) -> Option<LockGuard<'_, Data>> {
        ledger.enter(me, COMING);
        let taken = match rng.below(4) {
            0 => self.0.try_lock(),
            1 => self.0.lock_timeout(Duration::from_micros(rng.below(5000))),
            _ => self.0.lock(),
        };
        let holder = ledger.word(HOLDER).load(SeqCst);
        let guard = match taken {
            Ok(guard) => {
                assert_eq!(holder, 0, "two inside, or a death was not told");
                guard
            }
            Err(LockError::OwnerDied(died)) => {
                ledger.word(TOLD).fetch_add(1, SeqCst);
                let legal = holder == 0 || holder == NOT_REPAIRED || ledger.is_doomed(holder);
                assert!(legal, "taken from the living");
                ledger.word(HOLDER).store(NOT_REPAIRED, SeqCst);
                if rng.one_in(4) {
                    drop(died); // the next one is told again
                    ledger.enter(me, 0);
                    return None;
                }
                died.recover()
            }
            Err(LockError::WouldBlock | LockError::Timeout) => {
                ledger.enter(me, 0);
                return None;
            }
            Err(other) => panic!("{other}"),
        };
        ledger.word(HOLDER).store(ledger.ticket(me), SeqCst);
        ledger.enter(me, INSIDE);
        Some(guard)
    }
}

impl Storm for Sections {
    fn set_up() -> Self {
        Sections(Lock::new([0; 4]).unwrap())
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        let Some(mut guard) = self.enter(me, rng, ledger) else { return };
        let n = number(&guard);
        if rng.one_in(2) {
            ledger.own(me, BEGUN).fetch_add(1, SeqCst);
            for word in guard.iter_mut() {
                *word = n + 1;
            }
            assert!(matches!(self.0.lock(), Err(LockError::WouldDeadlock)));
            leave(guard, me, ledger);
            ledger.own(me, PUBLISHED).fetch_add(1, SeqCst);
        } else {
            leave(guard, me, ledger);
        }
        ledger.enter(me, 0);
    }

    fn check(&self, ledger: &Ledger) {
        let guard = match self.0.lock_timeout(DEADLINE) {
            Ok(guard) => guard,
            Err(LockError::OwnerDied(died)) => died.recover(),
            Err(other) => panic!("{other}"),
        };
        let (begun, published, n) = (ledger.sum(BEGUN), ledger.sum(PUBLISHED), number(&guard));
        assert!((published..=begun).contains(&n), "{published} <= {n} <= {begun}");
        assert!(begun - published <= ledger.kills());
        drop(guard);
        elsewhere(|| drop(self.0.lock().unwrap()));
        drop(self.0.lock().unwrap());
    }
}

fn leave(guard: LockGuard<'_, Data>, me: usize, ledger: &Ledger) {
    ledger.word(HOLDER).store(0, SeqCst);
    ledger.enter(me, GOING);
    drop(guard);
}

fn number(data: &Data) -> u64 {
    assert!(data.iter().all(|word| *word == data[0]), "torn: {data:?}");
    data[0]
}

/// More workers than processors, all of whom wait most of the time; none drops a death unrecovered,
/// so that the deaths can be counted.
struct Crowd(Lock<()>);

impl Storm for Crowd {
    const WORKERS: usize = 8;

    fn set_up() -> Self {
        Crowd(Lock::new(()).unwrap())
    }

    fn work(&self, me: usize, _: &mut Rng, ledger: &Ledger) {
        ledger.enter(me, COMING);
        let guard = match self.0.lock() {
            Ok(guard) => guard,
            Err(LockError::OwnerDied(died)) => {
                ledger.word(TOLD).fetch_add(1, SeqCst);
                died.recover()
            }
            Err(other) => panic!("{other}"),
        };
        ledger.enter(me, INSIDE);
        std::thread::yield_now();
        ledger.enter(me, GOING);
        drop(guard);
        ledger.enter(me, 0);
    }

    fn check(&self, ledger: &Ledger) {
        let told = ledger.word(TOLD).load(SeqCst) + u64::from(self.0.lock().is_err());
        let inside = ledger.deaths(INSIDE);
        let nearby = ledger.deaths(COMING) + ledger.deaths(GOING);
        assert!(told <= inside + nearby, "told {told} times of {inside} + {nearby} deaths");
        assert!(inside <= told + ledger.deaths(COMING), "told {told} times of {inside} deaths");
    }
}
