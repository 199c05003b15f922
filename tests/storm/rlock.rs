//! `RLock`: one at a time at whatever depth, and every death inside told, at depth one.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use shmkit::{LockError, RLock, RLockGuard};

use crate::campaign::Storm;
use crate::helper::elsewhere;
use crate::ledger::{Ledger, Rng};
use crate::{DEADLINE, Test, survives};

pub fn tests() -> Vec<Test> {
    vec![survives::<Nested>("rlock::nested_sections")]
}

/// Who is inside: the ticket, 0 for nobody, or that somebody saw a death and did not repair.
const HOLDER: usize = 0;
const NOT_REPAIRED: u64 = u64::MAX;
/// Of a seat: edits begun, and edits known to be published.
const BEGUN: usize = 0;
const PUBLISHED: usize = 1;

const DEPTH_MAX: u64 = 5;

/// Several words, so that half of one shows.
type Data = [u64; 4];

struct Nested(RLock<Data>);

impl Nested {
    /// Enters, and checks that nobody else alive is inside and whose death is told.
    fn enter(&self, me: usize, rng: &mut Rng, ledger: &Ledger) -> Option<RLockGuard<'_, Data>> {
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
                let legal = holder == 0 || holder == NOT_REPAIRED || ledger.is_doomed(holder);
                assert!(legal, "taken from the living");
                ledger.word(HOLDER).store(NOT_REPAIRED, SeqCst);
                assert!(matches!(self.0.lock(), Err(LockError::OwnerDied(_))), "told once only");
                if rng.one_in(4) {
                    return None; // the next one is told again
                }
                died.recover()
            }
            Err(LockError::WouldBlock | LockError::Timeout) => return None,
            Err(other) => panic!("{other}"),
        };
        assert_eq!(guard.depth(), 1);
        ledger.word(HOLDER).store(ledger.ticket(me), SeqCst);
        Some(guard)
    }
}

impl Storm for Nested {
    fn set_up() -> Self {
        Nested(RLock::new([0; 4]).unwrap())
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        let Some(outermost) = self.enter(me, rng, ledger) else { return };
        let mut guards = vec![outermost];
        for depth in 2..=1 + rng.below(DEPTH_MAX) {
            guards.push(self.0.lock().unwrap());
            assert_eq!(guards[0].depth(), depth);
        }
        while !guards.is_empty() {
            let any = rng.below(guards.len() as u64) as usize;
            ledger.own(me, BEGUN).fetch_add(1, SeqCst);
            guards[any].update(|data| *data = [number(data) + 1; 4]);
            ledger.own(me, PUBLISHED).fetch_add(1, SeqCst);
            if guards.len() == 1 {
                ledger.word(HOLDER).store(0, SeqCst);
            }
            drop(guards.swap_remove(any));
        }
    }

    fn check(&self, ledger: &Ledger) {
        let guard = match self.0.lock_timeout(DEADLINE) {
            Ok(guard) => guard,
            Err(LockError::OwnerDied(died)) => died.recover(),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(guard.depth(), 1);
        let (begun, published, n) = (ledger.sum(BEGUN), ledger.sum(PUBLISHED), number(&guard));
        assert!((published..=begun).contains(&n), "{published} <= {n} <= {begun}");
        assert!(begun - published <= ledger.kills());
        drop(guard);
        elsewhere(|| drop(self.0.lock().unwrap()));
        drop(self.0.lock().unwrap());
    }
}

fn number(data: &Data) -> u64 {
    assert!(data.iter().all(|word| *word == data[0]), "torn: {data:?}");
    data[0]
}
