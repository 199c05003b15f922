//! `Value` and `Array`: never torn, nothing lost, and every death under a guard told.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use shmkit::{Array, ArrayGuard, LockError, RawArray, RawValue, Value};

use crate::campaign::Storm;
use crate::helper::elsewhere;
use crate::ledger::{Ledger, Rng};
use crate::{DEADLINE, Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Published>("value::published"),
        survives::<Counter>("value::arithmetic"),
        survives::<Raw>("value::raw"),
        survives::<Elements>("array::elements"),
        survives::<RawElements>("array::raw"),
    ]
}

/// Of a seat: changes begun, and changes known to be made.
const BEGUN: usize = 0;
const MADE: usize = 1;
/// Of a seat: the last number seen.
const SEEN: usize = 2;

fn change<R>(me: usize, ledger: &Ledger, make: impl FnOnce() -> R) -> R {
    ledger.own(me, BEGUN).fetch_add(1, SeqCst);
    let done = make();
    ledger.own(me, MADE).fetch_add(1, SeqCst);
    done
}

fn assert_within(n: u64, ledger: &Ledger) {
    let (begun, made) = (ledger.sum(BEGUN), ledger.sum(MADE));
    assert!((made..=begun).contains(&n), "{made} <= {n} <= {begun}");
    assert!(begun - made <= ledger.kills(), "one change of each of the killed at most");
}

/// Several words, so that half of one shows.
type Data = [u64; 5];

fn number(data: &Data) -> u64 {
    assert!(data.iter().all(|word| *word == data[0]), "torn: {data:?}");
    data[0]
}

/// Every change adds one, so that what anybody sees only grows.
struct Published(Value<Data>);

impl Published {
    fn see(&self, me: usize, ledger: &Ledger) {
        let n = number(&self.0.get());
        assert!(ledger.own(me, SEEN).swap(n, SeqCst) <= n, "went back");
    }

    /// Changes the value once; a death that is told has to be told again to whoever comes next,
    /// unless this one says that it is repaired.
    fn add(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        let taken = match rng.below(3) {
            0 => self.0.try_lock(),
            1 => self.0.lock_timeout(Duration::from_micros(rng.below(5000))),
            _ => self.0.lock(),
        };
        let mut guard = match taken {
            Ok(guard) => guard,
            Err(LockError::OwnerDied(died)) if rng.one_in(2) => died.recover(),
            Err(LockError::OwnerDied(_) | LockError::WouldBlock | LockError::Timeout) => return,
            Err(other) => panic!("{other}"),
        };
        change(me, ledger, || {
            for word in guard.iter_mut() {
                *word += 1;
            }
            drop(guard);
        });
    }

    fn update(&self, me: usize, ledger: &Ledger) {
        let update = || self.0.update(|data| *data = [number(data) + 1; 5]);
        change(me, ledger, || match update() {
            Ok(()) => {}
            Err(LockError::OwnerDied(_)) => {
                while let Err(e) = update() {
                    assert!(matches!(e, LockError::OwnerDied(_)), "{e}");
                }
            }
            Err(other) => panic!("{other}"),
        });
    }
}

impl Storm for Published {
    fn set_up() -> Self {
        Published(Value::new([0; 5]).unwrap())
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        match rng.below(3) {
            0 => self.add(me, rng, ledger),
            1 => self.update(me, ledger),
            _ => self.see(me, ledger),
        }
    }

    fn check(&self, ledger: &Ledger) {
        assert_within(number(&self.0.get()), ledger);
        let _ = self.0.set([7; 5]); // which is told of a last death
        self.0.set([8; 5]).unwrap();
        elsewhere(|| self.0.update(|data| data[0] += 1).unwrap());
        assert_eq!(self.0.get(), [9, 8, 8, 8, 8]);
    }
}

/// An integer that everybody adds to without its lock.
struct Counter(Value<u64>);

impl Storm for Counter {
    fn set_up() -> Self {
        Counter(Value::new(0).unwrap())
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        let n = self.0.get();
        assert!(ledger.own(me, SEEN).swap(n, SeqCst) <= n, "went back");
        let before = change(me, ledger, || match rng.below(3) {
            0 => self.0.fetch_add(1),
            1 => self.0.fetch_sub(u64::MAX),
            _ => loop {
                let n = self.0.get();
                if self.0.compare_exchange(n, n + 1).is_ok() {
                    break n;
                }
            },
        });
        assert!(before >= n);
        // What changes nothing, in any order.
        self.0.fetch_max(before);
        self.0.fetch_min(u64::MAX);
        self.0.fetch_and(u64::MAX);
        self.0.fetch_or(0);
        self.0.fetch_xor(0);
    }

    fn check(&self, ledger: &Ledger) {
        assert_within(self.0.get(), ledger);
    }
}

/// Large values that everybody sets, without a lock: whole, and one that somebody has set.
struct Raw(RawValue<Data>);

impl Storm for Raw {
    fn set_up() -> Self {
        Raw(RawValue::new([0; 5]).unwrap())
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        let n = number(&self.0.get());
        let (seat, count) = ((n & 0xff) as usize, n >> 8);
        let set = ledger.own(seat, BEGUN).load(SeqCst);
        assert!(count <= set, "{count} was never set in seat {seat}");
        if rng.one_in(2) {
            let count = ledger.own(me, BEGUN).fetch_add(1, SeqCst) + 1;
            self.0.set([(count << 8) | me as u64; 5]).unwrap();
        }
    }

    fn check(&self, _: &Ledger) {
        number(&self.0.get());
        self.0.set([7; 5]).unwrap();
        elsewhere(|| self.0.set([number(&self.0.get()) + 1; 5]).unwrap());
        assert_eq!(self.0.get(), [8; 5]);
    }
}

/// Elements that everybody counts and writes, without a lock.
struct RawElements {
    counts: RawArray<u32>,
    words: RawArray<[u32; 2]>,
}

impl Storm for RawElements {
    fn set_up() -> Self {
        let (counts, words) = (RawArray::zeroed(LEN), RawArray::from_slice(&[[0, !0]; LEN]));
        RawElements { counts: counts.unwrap(), words: words.unwrap() }
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        let (at, n) = (rng.below(LEN as u64) as usize, rng.next() as u32);
        change(me, ledger, || self.counts.fetch_add(at, 1).unwrap());
        match rng.below(3) {
            0 => self.words.set(at, [n, !n]).unwrap(),
            1 => self.words.copy_from(at.., &[[n, !n]; LEN][at..]).unwrap(),
            _ => {
                let words = self.words.to_vec(at..).unwrap();
                assert!(words.iter().all(|[a, b]| *a == !*b), "torn: {words:?}");
            }
        }
    }

    fn check(&self, ledger: &Ledger) {
        assert_within(self.counts.iter().map(u64::from).sum(), ledger);
        assert!(self.words.iter().all(|[a, b]| a == !b), "torn");
    }
}

/// Elements that are all the same, unless somebody died while he changed them.
struct Elements(Array<u64>);

const LEN: usize = 40;
/// Where a worker is: about to own the elements or to own them no more, and between two of them.
const NEARBY: usize = 1;
const HALFWAY: usize = 2;
/// How often elements were found to differ.
const MIXED: usize = 0;

impl Elements {
    /// Takes the guard; `None` if it is not to be had now, or nobody has repaired the elements yet.
    fn enter(&self, me: usize, rng: &mut Rng, ledger: &Ledger) -> Option<ArrayGuard<'_, u64>> {
        ledger.enter(me, NEARBY);
        let taken = match rng.below(3) {
            0 => self.0.try_lock(),
            1 => self.0.lock_timeout(Duration::from_micros(rng.below(5000))),
            _ => self.0.lock(),
        };
        match taken {
            Ok(guard) => {
                assert_alike(&guard);
                return Some(guard);
            }
            Err(LockError::OwnerDied(died)) if rng.one_in(3) => drop(died),
            Err(LockError::OwnerDied(died)) => return Some(self.repair(died.recover(), ledger)),
            Err(LockError::WouldBlock | LockError::Timeout) => {}
            Err(other) => panic!("{other}"),
        }
        ledger.enter(me, 0);
        None
    }

    /// What the dead one began is finished; a repair that dies is finished by the next one.
    fn repair<'a>(&self, mut guard: ArrayGuard<'a, u64>, ledger: &Ledger) -> ArrayGuard<'a, u64> {
        let newest = guard.iter().copied().max().unwrap();
        if guard.iter().any(|n| *n != newest) {
            ledger.word(MIXED).fetch_add(1, SeqCst);
        }
        guard.fill(newest);
        guard
    }
}

fn assert_alike(elements: &[u64]) {
    assert!(elements.iter().all(|n| *n == elements[0]), "not told of a death: {elements:?}");
}

impl Storm for Elements {
    fn set_up() -> Self {
        Elements(Array::from_slice(&[0; LEN]).unwrap())
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        match rng.below(4) {
            0 => {
                assert!(self.0.get(rng.below(LEN as u64) as usize).is_some());
            }
            1 => {
                let mut copy = [0; LEN];
                match self.0.copy_to(0..LEN, &mut copy) {
                    Ok(()) => assert_alike(&copy),
                    Err(e) => assert!(matches!(e, shmkit::Error::OwnerDied), "{e}"),
                }
            }
            _ => {
                let Some(mut guard) = self.enter(me, rng, ledger) else { return };
                ledger.enter(me, HALFWAY);
                change(me, ledger, || guard.iter_mut().for_each(|n| *n += 1));
                ledger.enter(me, NEARBY);
                drop(guard);
                ledger.enter(me, 0);
            }
        }
    }

    fn check(&self, ledger: &Ledger) {
        let guard = match self.0.lock_timeout(DEADLINE) {
            Ok(guard) => guard,
            Err(LockError::OwnerDied(died)) => self.repair(died.recover(), ledger),
            Err(other) => panic!("{other}"),
        };
        assert_alike(&guard);
        assert_within(guard[0], ledger);
        let mixed = ledger.word(MIXED).load(SeqCst);
        let halfway = ledger.deaths(HALFWAY) + ledger.deaths(NEARBY);
        assert!(mixed <= halfway, "{mixed} half-written of {halfway} deaths");
        drop(guard);
        elsewhere(|| self.0.set(3, 77).unwrap());
        assert_eq!(self.0.get(3), Some(77));
    }
}
