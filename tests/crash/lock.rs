//! Locks and what they protect: held by the dead, waited for by the dead, woken by the dead.

use std::time::Duration;

use shmkit::{Lock, LockError, LockGuard, RegionOptions};

use crate::campaign::{DEADLINE, Death, Fate, Points, Scenario};
use crate::helper::{Helper, Keeper, elsewhere};
use crate::shared::{Ledger, Shared};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<LockUnlock>("lock::lock_and_unlock"),
        survives::<LockUnlockFrozen>("lock::lock_and_unlock_while_another_tries"),
        survives::<UnlockWithWaiter>("lock::unlock_while_another_sleeps"),
        survives::<UnlockWithStarving>("lock::unlock_while_another_starves"),
        survives::<BlockedWaiter>("lock::wait_for_the_lock"),
        survives::<TakeOver>("lock::take_over_from_the_dead"),
        survives::<SlotReuse>("lock::reuse_of_a_dead_holders_slot"),
    ]
}

/// Several words, so that half of one shows.
type Data = [u64; 4];

fn acquire(lock: &Lock<Data>) -> (LockGuard<'_, Data>, bool) {
    match lock.lock_timeout(DEADLINE) {
        Ok(guard) => (guard, false),
        Err(LockError::OwnerDied(died)) => (died.recover(), true),
        Err(other) => panic!("{other}"),
    }
}

/// The number that all words of the data hold.
fn number(data: &Data) -> u64 {
    assert!(data.iter().all(|word| *word == data[0]), "torn: {data:?}");
    data[0]
}

/// Nobody dead is in the way: lock and unlock, here and in another process.
fn assert_works(lock: &Lock<Data>) {
    for _ in 0..2 {
        let here = || {
            let (mut guard, died) = acquire(lock);
            assert!(!died, "told of a death that was recovered from");
            *guard = [number(&guard) + 1; 4];
        };
        here();
        elsewhere(here);
    }
}

struct LockUnlock {
    lock: Lock<Data>,
    ledger: Shared<Ledger>,
}

impl Scenario for LockUnlock {
    fn set_up() -> Self {
        LockUnlock { lock: Lock::new([0; 4]).unwrap(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        drop(self.lock.lock().unwrap());
        begin();
        for n in 1..3 {
            self.ledger.begin();
            let mut guard = self.lock.lock().unwrap();
            *guard = [n; 4];
            drop(guard);
            self.ledger.acknowledge(n);
        }
    }

    fn check(&mut self, death: Death) {
        let (guard, died) = acquire(&self.lock);
        let (acknowledged, begun) = (self.ledger.acknowledged(), self.ledger.begun());
        let n = number(&guard);
        assert!((acknowledged..=begun).contains(&n), "{acknowledged} <= {n} <= {begun}");
        assert!(!(died && death.complete), "told of a death outside the section");
        drop(guard);
        assert_works(&self.lock);
    }
}

/// While the holder is stopped and alive, the lock is not to be had, and the value not torn.
struct LockUnlockFrozen {
    inner: LockUnlock,
    seen: u64,
}

impl Scenario for LockUnlockFrozen {
    const FATE: Fate = Fate::FreezeAndRun;

    fn set_up() -> Self {
        LockUnlockFrozen { inner: LockUnlock::set_up(), seen: 0 }
    }

    fn victim(&mut self) {
        self.inner.victim();
    }

    fn frozen(&mut self) {
        match self.inner.lock.lock_timeout(Duration::from_micros(1)) {
            Ok(guard) => self.seen = number(&guard),
            Err(LockError::Timeout) => return,
            Err(other) => panic!("{other}"),
        }
        let ledger = &self.inner.ledger;
        assert!((ledger.acknowledged()..=ledger.begun()).contains(&self.seen));
    }

    fn check(&mut self, death: Death) {
        assert_eq!(self.inner.ledger.answers(), [1, 2]);
        self.inner.check(death);
    }
}

/// The one who unlocks dies before or after it wakes the sleeper, and a third passes through.
struct UnlockWithWaiter {
    lock: Lock<Data>,
    waiter: Option<Helper>,
}

impl Scenario for UnlockWithWaiter {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        UnlockWithWaiter { lock: Lock::new([0; 4]).unwrap(), waiter: None }
    }

    fn victim(&mut self) {
        let mut guard = self.lock.lock().unwrap();
        let waiter = Helper::start(|| drop(acquire(&self.lock)));
        waiter.settle();
        *guard = [1; 4];
        begin();
        drop(guard);
    }

    fn frozen(&mut self) {
        let waiter = Helper::start(|| drop(acquire(&self.lock)));
        waiter.settle();
        self.waiter = Some(waiter);
    }

    fn check(&mut self, _: Death) {
        let (guard, _) = acquire(&self.lock);
        assert!(number(&guard) <= 1);
        drop(guard);
        self.waiter.take().unwrap().join();
        assert_works(&self.lock);
    }
}

/// The one who unlocks dies before or after it wakes one who starves, and a third, who is to let
/// that one pass, comes in between.
struct UnlockWithStarving {
    inner: UnlockWithWaiter,
}

impl Scenario for UnlockWithStarving {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        UnlockWithStarving { inner: UnlockWithWaiter::set_up() }
    }

    fn victim(&mut self) {
        let mut guard = self.inner.lock.lock().unwrap();
        let waiter = Helper::start(|| drop(acquire(&self.inner.lock)));
        waiter.starve();
        *guard = [1; 4];
        begin();
        drop(guard);
    }

    fn frozen(&mut self) {
        self.inner.frozen();
    }

    fn check(&mut self, death: Death) {
        self.inner.check(death);
    }
}

/// The one who waits dies; what it has announced harms nobody.
struct BlockedWaiter {
    lock: Lock<Data>,
    holder: Option<Keeper>,
    waiter: Option<Helper>,
}

impl Scenario for BlockedWaiter {
    const FATE: Fate = Fate::FreezeAndKill;
    const SYSTEM_CALLS: usize = 12;

    fn set_up() -> Self {
        let lock = Lock::new([0; 4]).unwrap();
        let holder = Keeper::of(|| std::mem::forget(lock.lock().unwrap()));
        BlockedWaiter { lock, holder: Some(holder), waiter: None }
    }

    fn victim(&mut self) {
        let _ = self.lock.try_lock();
        begin();
        drop(self.lock.lock());
    }

    fn frozen(&mut self) {
        let waiter = Helper::start(|| drop(acquire(&self.lock)));
        waiter.settle();
        self.waiter = Some(waiter);
    }

    fn check(&mut self, _: Death) {
        self.holder = None;
        self.waiter.take().unwrap().join();
        assert_works(&self.lock);
    }
}

/// The one who takes over from the dead dies as well.
struct TakeOver {
    lock: Lock<Data>,
    ledger: Shared<Ledger>,
}

impl Scenario for TakeOver {
    const POINTS: Points = Points::States;
    const RESCUED: bool = true;

    fn set_up() -> Self {
        TakeOver { lock: Lock::new([0; 4]).unwrap(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        drop(self.lock.lock().unwrap());
        begin();
        let mut guard = self.lock.lock().unwrap();
        *guard = [1; 4];
        drop(guard);
    }

    fn rescue(&mut self) {
        let _attached = shmkit::Region::new(1);
        begin();
        self.ledger.begin();
        let (mut guard, _) = acquire(&self.lock);
        *guard = [number(&guard) + 10; 4];
        drop(guard);
        self.ledger.acknowledge(0);
    }

    fn check(&mut self, _: Death) {
        let (guard, _) = acquire(&self.lock);
        let added = number(&guard) / 10;
        assert!((self.ledger.acknowledged()..=self.ledger.begun()).contains(&added));
        drop(guard);
        assert_works(&self.lock);
    }
}

/// Whoever gets the slot of a dead holder does not become the holder, and nobody takes it for one.
struct SlotReuse {
    lock: Lock<Data>,
    ledger: Shared<Ledger>,
}

impl Scenario for SlotReuse {
    fn set_up() -> Self {
        let region = RegionOptions::new(1 << 12).participants(2).anonymous().unwrap();
        let lock = Lock::new_in(&region, [0; 4]).unwrap();
        let holder = Keeper::of(|| std::mem::forget(lock.lock().unwrap()));
        drop(holder);
        SlotReuse { lock, ledger: Shared::new() }
    }

    fn victim(&mut self) {
        begin();
        let Err(LockError::OwnerDied(died)) = self.lock.lock() else { panic!("no death told") };
        let mut guard = died.recover();
        *guard = [1; 4];
        self.ledger.begin();
        drop(guard);
        self.ledger.acknowledge(0);
    }

    fn check(&mut self, _: Death) {
        let (guard, died) = acquire(&self.lock);
        let n = number(&guard);
        assert!((self.ledger.acknowledged()..=self.ledger.begun()).contains(&n));
        assert!(died || self.ledger.begun() == 1, "the death was forgotten");
        assert!(!died || self.ledger.acknowledged() == 0, "the death was told twice");
        drop(guard);
        assert_works(&self.lock);
    }
}
