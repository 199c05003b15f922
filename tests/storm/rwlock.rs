//! `RwLock`: no reader inside with a writer, every half-done edit told, nobody kept out by the dead.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use shmkit::{LockError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::campaign::Storm;
use crate::helper::elsewhere;
use crate::ledger::{Ledger, Rng};
use crate::{DEADLINE, Test, survives};

pub fn tests() -> Vec<Test> {
    vec![survives::<ReadersAndWriters>("rwlock::readers_and_writers")]
}

/// Two words that a writer changes one after the other: they differ while one is at work, or after
/// one has died at work.
const FIRST: usize = 0;
const SECOND: usize = 1;
/// Of a seat: edits begun, and edits known to be published.
const BEGUN: usize = 0;
const PUBLISHED: usize = 1;

/// Several words, so that half of one shows.
type Data = [u64; 2];

struct ReadersAndWriters(RwLock<Data>);

type Read<'a> = Result<RwLockReadGuard<'a, Data>, LockError<RwLockReadGuard<'a, Data>>>;
type Write<'a> = Result<RwLockWriteGuard<'a, Data>, LockError<RwLockWriteGuard<'a, Data>>>;

fn words(ledger: &Ledger) -> [u64; 2] {
    [FIRST, SECOND].map(|word| ledger.word(word).load(SeqCst))
}

impl ReadersAndWriters {
    fn read(&self, rng: &mut Rng) -> Read<'_> {
        match rng.below(4) {
            0 => self.0.try_read(),
            1 => self.0.read_timeout(Duration::from_micros(rng.below(5000))),
            _ => self.0.read(),
        }
    }

    fn write(&self, rng: &mut Rng) -> Write<'_> {
        match rng.below(4) {
            0 => self.0.try_write(),
            1 => self.0.write_timeout(Duration::from_micros(rng.below(5000))),
            _ => self.0.write(),
        }
    }

    fn look(&self, rng: &mut Rng, ledger: &Ledger) {
        let (guard, told) = match self.read(rng) {
            Ok(guard) => (guard, false),
            Err(LockError::OwnerDied(died)) => (died.recover(), true),
            Err(LockError::WouldBlock | LockError::Timeout) => return,
            Err(other) => panic!("{other}"),
        };
        number(&guard);
        let before = words(ledger);
        assert!(told || before[0] == before[1], "a writer is inside, or its death was not told");
        if rng.one_in(4) {
            std::thread::yield_now();
        }
        if rng.one_in(4) {
            let again = match self.read(rng) {
                Ok(guard) => guard,
                Err(LockError::OwnerDied(died)) => died.recover(),
                Err(other) => panic!("who reads may read again: {other}"),
            };
            assert_eq!(*again, *guard);
            assert!(matches!(self.0.write(), Err(LockError::WouldDeadlock)));
        }
        assert_eq!(words(ledger), before, "a writer came in");
    }

    fn edit(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        let mut guard = match self.write(rng) {
            Ok(guard) => {
                let [first, second] = words(ledger);
                assert_eq!(first, second, "two writers, or a death was not told");
                guard
            }
            Err(LockError::OwnerDied(died)) => {
                if rng.one_in(4) {
                    return; // the next one is told again
                }
                ledger.word(SECOND).store(ledger.word(FIRST).load(SeqCst), SeqCst);
                died.recover()
            }
            Err(LockError::WouldBlock | LockError::Timeout) => return,
            Err(other) => panic!("{other}"),
        };
        let n = number(&guard);
        ledger.own(me, BEGUN).fetch_add(1, SeqCst);
        ledger.word(FIRST).fetch_add(1, SeqCst);
        guard.iter_mut().for_each(|word| *word = n + 1);
        assert!(matches!(self.0.read(), Err(LockError::WouldDeadlock)));
        ledger.word(SECOND).fetch_add(1, SeqCst);
        drop(guard);
        ledger.own(me, PUBLISHED).fetch_add(1, SeqCst);
    }
}

impl Storm for ReadersAndWriters {
    const WORKERS: usize = 6;

    fn set_up() -> Self {
        ReadersAndWriters(RwLock::new([0; 2]).unwrap())
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        match rng.below(3) {
            0 => self.edit(me, rng, ledger),
            _ => self.look(rng, ledger),
        }
    }

    fn check(&self, ledger: &Ledger) {
        let guard = match self.0.write_timeout(DEADLINE) {
            Ok(guard) => guard,
            Err(LockError::OwnerDied(died)) => died.recover(),
            Err(other) => panic!("{other}"),
        };
        let (begun, published, n) = (ledger.sum(BEGUN), ledger.sum(PUBLISHED), number(&guard));
        assert!((published..=begun).contains(&n), "{published} <= {n} <= {begun}");
        assert!(begun - published <= ledger.kills());
        drop(guard);
        elsewhere(|| drop(self.0.write().unwrap()));
        drop((self.0.read().unwrap(), self.0.read().unwrap()));
        drop(self.0.try_write().unwrap());
    }
}

fn number(data: &Data) -> u64 {
    assert!(data.iter().all(|word| *word == data[0]), "torn: {data:?}");
    data[0]
}
