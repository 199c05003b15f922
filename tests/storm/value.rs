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
        survives::<Slots>("array::slots"),
        survives::<Text>("array::text"),
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

/// An array of which every seat has an element of its own; only the calls without a guard.
struct Slots(Array<u64>);

impl Slots {
    fn repair(&self) {
        if let Err(LockError::OwnerDied(died)) = self.0.lock() {
            drop(died.recover()); // an element is whole in any case
        }
    }

    /// What a seat has in its element: the number that it set last, or was about to set.
    fn assert_slot(&self, me: usize, ledger: &Ledger) {
        let made = ledger.own(me, SEEN).load(SeqCst);
        let found = self.0.get(me).unwrap();
        let begun = ledger.own(me, BEGUN).load(SeqCst);
        assert!((made..=begun).contains(&found), "{made} <= {found} <= {begun}");
    }
}

impl Storm for Slots {
    fn set_up() -> Self {
        Slots(Array::zeroed(Self::WORKERS).unwrap())
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        self.assert_slot(me, ledger);
        let n = ledger.own(me, BEGUN).fetch_add(1, SeqCst) + 1;
        let set = match rng.below(3) {
            0 => self.0.set(me, n),
            1 => self.0.copy_from(me..=me, &[n]),
            _ => self.0.to_vec(..).map(drop),
        };
        match set {
            Ok(()) => {
                let now = self.0.get(me).unwrap();
                assert!(now == n || now < n && now >= ledger.own(me, SEEN).load(SeqCst));
                ledger.own(me, SEEN).store(now, SeqCst);
            }
            Err(shmkit::Error::OwnerDied) => self.repair(),
            Err(other) => panic!("{other}"),
        }
    }

    fn check(&self, ledger: &Ledger) {
        (0..Self::WORKERS).for_each(|me| self.assert_slot(me, ledger));
        self.repair();
        assert_eq!(self.0.iter().count(), Self::WORKERS);
        elsewhere(|| self.0.set(0, 1).unwrap());
    }
}

/// A string that is one of two, or half of each, which is told.
struct Text(Array<u8>);

const TEXTS: [&[u8]; 2] = [b"a short text", b"and one that is a good deal longer"];

impl Storm for Text {
    fn set_up() -> Self {
        let text = Text(Array::zeroed(TEXTS[1].len()).unwrap());
        text.0.set_value(TEXTS[0]).unwrap();
        text
    }

    fn work(&self, _: usize, rng: &mut Rng, _: &Ledger) {
        let done = match rng.below(2) {
            0 => self.0.set_value(TEXTS[rng.below(2) as usize]),
            _ => self.0.value().map(|text| assert!(TEXTS.contains(&&text[..]), "{text:?}")),
        };
        match done {
            Ok(()) => {}
            Err(shmkit::Error::OwnerDied) => match self.0.lock() {
                Err(LockError::OwnerDied(died)) => {
                    died.recover()[..=TEXTS[0].len()].copy_from_slice(b"a short text\0");
                }
                others => drop(others), // somebody else was faster
            },
            Err(other) => panic!("{other}"),
        }
    }

    fn check(&self, _: &Ledger) {
        let _ = self.0.lock().map_err(|e| match e {
            LockError::OwnerDied(died) => drop(died.recover()),
            other => panic!("{other}"),
        });
        elsewhere(|| self.0.set_value(TEXTS[1]).unwrap());
        assert_eq!(self.0.value().unwrap(), TEXTS[1]);
    }
}
