//! Locks that nest: held deep inside by the dead, waited for by the dead, taken over by the dead.

use std::time::Duration;

use shmkit::{LockError, RLock, RLockGuard};

use crate::campaign::{DEADLINE, Death, Fate, Points, Scenario};
use crate::helper::{Helper, Keeper, elsewhere};
use crate::shared::{Ledger, Shared};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<LockTwice>("rlock::lock_twice_set_unlock_twice"),
        survives::<LockTwiceFrozen>("rlock::lock_twice_while_another_tries"),
        survives::<UnlockWithWaiter>("rlock::unlock_twice_while_another_sleeps"),
        survives::<BlockedWaiter>("rlock::wait_for_the_lock"),
        survives::<TakeOver>("rlock::take_over_from_the_dead"),
    ]
}

/// Several words, so that half of one shows.
type Data = [u64; 4];

/// The lock at depth one, whoever died with it before.
fn acquire(lock: &RLock<Data>) -> (RLockGuard<'_, Data>, bool) {
    let (guard, died) = match lock.lock_timeout(DEADLINE) {
        Ok(guard) => (guard, false),
        Err(LockError::OwnerDied(died)) => (died.recover(), true),
        Err(other) => panic!("{other}"),
    };
    assert_eq!(guard.depth(), 1);
    (guard, died)
}

/// The number that all words of the data hold.
fn number(data: &Data) -> u64 {
    assert!(data.iter().all(|word| *word == data[0]), "torn: {data:?}");
    data[0]
}

/// In twice, with an edit on the inner level, and out again, the outer guard first.
fn edit_deep_inside(lock: &RLock<Data>) {
    let (outer, died) = acquire(lock);
    assert!(!died, "told of a death that was recovered from");
    let mut inner = lock.lock().unwrap();
    assert_eq!(inner.depth(), 2);
    inner.update(|data| *data = [number(data) + 1; 4]);
    drop(outer);
}

/// Nobody dead is in the way, here and in another process.
fn assert_works(lock: &RLock<Data>) {
    for _ in 0..2 {
        edit_deep_inside(lock);
        elsewhere(|| edit_deep_inside(lock));
    }
}

struct LockTwice {
    lock: RLock<Data>,
    ledger: Shared<Ledger>,
}

impl Scenario for LockTwice {
    fn set_up() -> Self {
        LockTwice { lock: RLock::new([0; 4]).unwrap(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        edit_deep_inside(&self.lock);
        self.lock.lock().unwrap().set([0; 4]);
        begin();
        for n in 1..3 {
            let outer = self.lock.lock().unwrap();
            let mut inner = self.lock.lock().unwrap();
            self.ledger.begin();
            inner.set([n; 4]);
            self.ledger.acknowledge(n);
            drop(outer);
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

/// While the holder is stopped and alive, at whatever depth, the lock is not to be had.
struct LockTwiceFrozen {
    inner: LockTwice,
}

impl Scenario for LockTwiceFrozen {
    const FATE: Fate = Fate::FreezeAndRun;

    fn set_up() -> Self {
        LockTwiceFrozen { inner: LockTwice::set_up() }
    }

    fn victim(&mut self) {
        self.inner.victim();
    }

    fn frozen(&mut self) {
        let ledger = &self.inner.ledger;
        match self.inner.lock.lock_timeout(Duration::from_micros(1)) {
            Ok(guard) => {
                // Nobody is inside, so what was begun is done.
                assert_eq!(ledger.acknowledged(), ledger.begun());
                assert_eq!((number(&guard), guard.depth()), (ledger.acknowledged(), 1));
            }
            Err(LockError::Timeout) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn check(&mut self, death: Death) {
        assert_eq!(self.inner.ledger.answers(), [1, 2]);
        self.inner.check(death);
    }
}

/// The one who unlocks dies on either level, and a third passes through.
struct UnlockWithWaiter {
    lock: RLock<Data>,
    waiter: Option<Helper>,
}

impl UnlockWithWaiter {
    fn pass(&self) -> Helper {
        let waiter = Helper::start(|| {
            let (guard, _) = acquire(&self.lock);
            assert_eq!(number(&guard), 1, "let in too early");
        });
        waiter.settle();
        waiter
    }
}

impl Scenario for UnlockWithWaiter {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        UnlockWithWaiter { lock: RLock::new([0; 4]).unwrap(), waiter: None }
    }

    fn victim(&mut self) {
        let mut outer = self.lock.lock().unwrap();
        let inner = self.lock.lock().unwrap();
        outer.set([1; 4]);
        let _waiter = self.pass();
        begin();
        drop(inner);
        drop(outer);
    }

    fn frozen(&mut self) {
        self.waiter = Some(self.pass());
    }

    fn check(&mut self, _: Death) {
        drop(acquire(&self.lock));
        self.waiter.take().unwrap().join();
        assert_works(&self.lock);
    }
}

/// The one who waits dies; what it has announced harms nobody.
struct BlockedWaiter {
    lock: RLock<Data>,
    holder: Option<Keeper>,
    waiter: Option<Helper>,
}

impl Scenario for BlockedWaiter {
    const FATE: Fate = Fate::FreezeAndKill;
    const SYSTEM_CALLS: usize = 12;

    fn set_up() -> Self {
        let lock = RLock::new([0; 4]).unwrap();
        let holder = Keeper::of(|| [(); 2].map(|()| std::mem::forget(lock.lock().unwrap())));
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

/// The one who takes over from the dead, who may have been deep inside, dies as well.
struct TakeOver {
    lock: RLock<Data>,
    ledger: Shared<Ledger>,
}

impl Scenario for TakeOver {
    const POINTS: Points = Points::States;
    const RESCUED: bool = true;

    fn set_up() -> Self {
        TakeOver { lock: RLock::new([0; 4]).unwrap(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        drop(self.lock.lock().unwrap());
        begin();
        let mut outer = self.lock.lock().unwrap();
        let inner = self.lock.lock().unwrap();
        outer.set([1; 4]);
        drop(inner);
    }

    fn rescue(&mut self) {
        let _attached = shmkit::Region::new(1);
        begin();
        let (outer, _) = acquire(&self.lock);
        let mut inner = self.lock.lock().unwrap();
        self.ledger.begin();
        inner.update(|data| *data = [number(data) + 10; 4]);
        self.ledger.acknowledge(0);
        drop(outer);
    }

    fn check(&mut self, _: Death) {
        let (guard, _) = acquire(&self.lock);
        let added = number(&guard) / 10;
        assert!((self.ledger.acknowledged()..=self.ledger.begun()).contains(&added));
        drop(guard);
        assert_works(&self.lock);
    }
}
