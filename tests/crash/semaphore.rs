//! Semaphores: whatever the dead held comes back, and what they released stays.

use shmkit::{AcquireError, BoundedSemaphore, Permit, RegionOptions, Semaphore};

use crate::campaign::{DEADLINE, Death, Fate, Points, Scenario};
use crate::helper::{Helper, Keeper, elsewhere};
use crate::shared::{Ledger, Shared};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Permits>("semaphore::acquire_and_give_back"),
        survives::<PermitsFrozen>("semaphore::acquire_and_give_back_while_another_does"),
        survives::<PermitsFrozenThenKilled>("semaphore::acquire_beside_another_and_die"),
        survives::<GiveWithWaiters>("semaphore::give_back_while_others_sleep"),
        survives::<ReleaseWithWaiters>("semaphore::release_while_others_sleep"),
        survives::<BlockedWaiter>("semaphore::wait_for_a_permit"),
        survives::<Forget>("semaphore::forget"),
        survives::<Reclaim>("semaphore::give_back_for_the_dead"),
        survives::<SlotReuse>("semaphore::reuse_of_a_dead_holders_slot"),
        survives::<Bounded>("semaphore::release_up_to_the_bound"),
    ]
}

fn acquire(semaphore: &Semaphore) -> Permit<'_> {
    semaphore.acquire_timeout(DEADLINE).unwrap()
}

/// All permits that come, and nobody alive gives one back meanwhile.
fn take_all(semaphore: &Semaphore) -> Vec<Permit<'_>> {
    std::iter::from_fn(|| match semaphore.try_acquire() {
        Ok(permit) => Some(permit),
        Err(AcquireError::WouldBlock) => None,
        Err(other) => panic!("{other}"),
    })
    .collect()
}

/// There are exactly so many permits, here and in another process, and they can be waited for.
fn assert_permits(semaphore: &Semaphore, permits: usize) {
    for _ in 0..2 {
        let here = || {
            let taken = take_all(semaphore);
            assert_eq!((taken.len(), semaphore.value()), (permits, 0));
            drop(taken);
            assert_eq!(semaphore.value(), permits as u32);
        };
        here();
        elsewhere(here);
    }
    if permits > 0 {
        drop(acquire(semaphore));
    }
}

/// How many permits the victim of [`Permits`] holds after so many operations.
const HELD: [usize; 5] = [0, 1, 2, 1, 0];

struct Permits {
    semaphore: Semaphore,
    ledger: Shared<Ledger>,
}

impl Scenario for Permits {
    fn set_up() -> Self {
        Permits { semaphore: Semaphore::new(3).unwrap(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        drop(self.semaphore.acquire().unwrap());
        let step = |ledger: &Ledger| {
            ledger.acknowledge(0);
            ledger.begin();
        };
        begin();
        self.ledger.begin();
        let first = self.semaphore.acquire().unwrap();
        step(&self.ledger);
        let second = self.semaphore.acquire().unwrap();
        step(&self.ledger);
        drop(first);
        step(&self.ledger);
        drop(second);
        self.ledger.acknowledge(0);
    }

    fn check(&mut self, _: Death) {
        assert_permits(&self.semaphore, 3);
    }
}

/// While the victim is stopped, another acquires all that is free: no more, no less.
struct PermitsFrozen {
    inner: Permits,
}

impl PermitsFrozen {
    fn take_what_is_free(&self) {
        let (done, begun) = (self.inner.ledger.acknowledged(), self.inner.ledger.begun());
        let held = [HELD[done as usize], HELD[begun as usize]];
        let value = self.inner.semaphore.value();
        let taken = take_all(&self.inner.semaphore);
        assert!(held.iter().any(|held| held + taken.len() == 3), "{held:?}, {}", taken.len());
        assert_eq!(taken.len(), value as usize);
    }
}

impl Scenario for PermitsFrozen {
    const FATE: Fate = Fate::FreezeAndRun;

    fn set_up() -> Self {
        PermitsFrozen { inner: Permits::set_up() }
    }

    fn victim(&mut self) {
        self.inner.victim();
    }

    fn frozen(&mut self) {
        self.take_what_is_free();
    }

    fn check(&mut self, death: Death) {
        assert_eq!(self.inner.ledger.acknowledged(), 4);
        assert_eq!(self.inner.semaphore.value(), 3, "the live victim has given all back");
        self.inner.check(death);
    }
}

/// The same, and then the victim is killed: what another has written into its ledger is right.
struct PermitsFrozenThenKilled {
    inner: PermitsFrozen,
}

impl Scenario for PermitsFrozenThenKilled {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        PermitsFrozenThenKilled { inner: PermitsFrozen::set_up() }
    }

    fn victim(&mut self) {
        self.inner.victim();
    }

    fn frozen(&mut self) {
        self.inner.take_what_is_free();
        elsewhere(|| self.inner.take_what_is_free());
    }

    fn check(&mut self, _: Death) {
        assert_permits(&self.inner.inner.semaphore, 3);
    }
}

/// The one who gives back dies before or after it wakes the sleeper, and a third comes by.
struct GiveWithWaiters {
    semaphore: Semaphore,
    waiter: Option<Helper>,
}

impl Scenario for GiveWithWaiters {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        GiveWithWaiters { semaphore: Semaphore::new(1).unwrap(), waiter: None }
    }

    fn victim(&mut self) {
        let permit = self.semaphore.acquire().unwrap();
        let waiter = Helper::start(|| drop(acquire(&self.semaphore)));
        waiter.settle();
        begin();
        drop(permit);
    }

    fn frozen(&mut self) {
        let waiter = Helper::start(|| drop(acquire(&self.semaphore)));
        waiter.settle();
        self.waiter = Some(waiter);
    }

    fn check(&mut self, _: Death) {
        self.waiter.take().unwrap().join();
        // The victim's own waiter may be about to use the permit still.
        drop(acquire(&self.semaphore));
    }
}

/// A bare release: all of it or nothing, whoever sleeps.
struct ReleaseWithWaiters {
    semaphore: Semaphore,
    waiters: Vec<Helper>,
    ledger: Shared<Ledger>,
}

impl Scenario for ReleaseWithWaiters {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        let semaphore = Semaphore::new(0).unwrap();
        ReleaseWithWaiters { semaphore, waiters: Vec::new(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        begin();
        self.ledger.begin();
        self.semaphore.release(3).unwrap();
        self.ledger.acknowledge(0);
    }

    fn ready(&mut self) {
        for _ in 0..2 {
            let waiter = Helper::start(|| acquire(&self.semaphore).forget());
            waiter.settle();
            self.waiters.push(waiter);
        }
    }

    fn check(&mut self, _: Death) {
        let answered = self.ledger.acknowledged() == 1;
        if !answered {
            self.semaphore.release(3).unwrap();
        }
        self.waiters.drain(..).for_each(Helper::join);
        let left = take_all(&self.semaphore).len();
        assert!(left == 1 || !answered && left == 4, "{left}, {answered}");
        assert!(left == 1 || self.ledger.begun() == 1, "released before it began");
        assert_permits(&self.semaphore, left);
    }
}

/// The one who waits dies; what it has announced, and what it may have got, harms nobody.
struct BlockedWaiter {
    semaphore: Semaphore,
    holder: Option<Keeper>,
    waiter: Option<Helper>,
}

impl Scenario for BlockedWaiter {
    const FATE: Fate = Fate::FreezeAndKill;
    const SYSTEM_CALLS: usize = 12;

    fn set_up() -> Self {
        let semaphore = Semaphore::new(1).unwrap();
        let holder = Keeper::of(|| std::mem::forget(semaphore.acquire().unwrap()));
        BlockedWaiter { semaphore, holder: Some(holder), waiter: None }
    }

    fn victim(&mut self) {
        assert!(self.semaphore.try_acquire().is_err());
        begin();
        drop(self.semaphore.acquire());
    }

    fn frozen(&mut self) {
        let waiter = Helper::start(|| drop(acquire(&self.semaphore)));
        waiter.settle();
        self.waiter = Some(waiter);
    }

    fn check(&mut self, _: Death) {
        self.holder = None;
        self.waiter.take().unwrap().join();
        assert_permits(&self.semaphore, 1);
    }
}

/// A hand-off happens or does not; then the permit is nobody's, or comes back.
struct Forget {
    semaphore: Semaphore,
    ledger: Shared<Ledger>,
}

impl Scenario for Forget {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        Forget { semaphore: Semaphore::new(3).unwrap(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        let permits = [self.semaphore.acquire().unwrap(), self.semaphore.acquire().unwrap()];
        begin();
        for permit in permits {
            self.ledger.begin();
            permit.forget();
            self.ledger.acknowledge(0);
        }
    }

    fn frozen(&mut self) {
        assert_eq!(take_all(&self.semaphore).len(), 1);
    }

    fn check(&mut self, _: Death) {
        let left = 3 - take_all(&self.semaphore).len() as u64;
        assert!((self.ledger.acknowledged()..=self.ledger.begun()).contains(&left), "{left}");
        self.semaphore.release(left as u32).unwrap();
        assert_permits(&self.semaphore, 3);
    }
}

/// The one who gives back for the dead dies as well.
struct Reclaim {
    semaphore: Semaphore,
}

impl Scenario for Reclaim {
    const POINTS: Points = Points::States;
    const RESCUED: bool = true;

    fn set_up() -> Self {
        Reclaim { semaphore: Semaphore::new(2).unwrap() }
    }

    fn victim(&mut self) {
        drop(self.semaphore.acquire().unwrap());
        begin();
        let permits = [self.semaphore.acquire().unwrap(), self.semaphore.acquire().unwrap()];
        drop(permits);
    }

    fn rescue(&mut self) {
        let _ = self.semaphore.release(0);
        begin();
        let permits = [acquire(&self.semaphore), acquire(&self.semaphore)];
        drop(permits);
    }

    fn check(&mut self, _: Death) {
        assert_permits(&self.semaphore, 2);
    }
}

/// Whoever gets the slot of a dead holder gives back for it first, and does not become the holder.
struct SlotReuse {
    semaphore: Semaphore,
}

impl Scenario for SlotReuse {
    fn set_up() -> Self {
        let region = RegionOptions::new(1 << 12).participants(2).anonymous().unwrap();
        let semaphore = Semaphore::new_in(&region, 3).unwrap();
        let holder = Keeper::of(|| {
            std::mem::forget([semaphore.acquire().unwrap(), semaphore.acquire().unwrap()])
        });
        drop(holder);
        SlotReuse { semaphore }
    }

    fn victim(&mut self) {
        begin();
        let permit = self.semaphore.acquire().unwrap();
        assert_eq!(self.semaphore.value(), 2);
        drop(permit);
    }

    fn check(&mut self, death: Death) {
        assert!(!death.complete || self.semaphore.value() == 3);
        assert_permits(&self.semaphore, 3);
    }
}

/// Releases up to the bound, and none beyond it.
struct Bounded {
    semaphore: BoundedSemaphore,
    ledger: Shared<Ledger>,
}

impl Scenario for Bounded {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        let semaphore = BoundedSemaphore::new(3).unwrap();
        for _ in 0..2 {
            semaphore.acquire().unwrap().forget();
        }
        Bounded { semaphore, ledger: Shared::new() }
    }

    fn victim(&mut self) {
        begin();
        for n in [3, 2, 1] {
            self.ledger.begin();
            let refused = self.semaphore.release(n).is_err();
            self.ledger.acknowledge(u64::from(refused));
        }
    }

    fn frozen(&mut self) {
        let value = self.semaphore.value();
        assert!(value == 1 && self.ledger.acknowledged() < 2 || value == 3, "{value}");
        assert!(self.semaphore.release(3).is_err());
    }

    fn check(&mut self, _: Death) {
        assert!([1, 0, 1].starts_with(&self.ledger.answers()));
        let missing = 3 - self.semaphore.value();
        assert!(self.semaphore.release(missing + 1).is_err());
        self.semaphore.release(missing).unwrap();
        assert!(self.semaphore.release(1).is_err());
    }
}
