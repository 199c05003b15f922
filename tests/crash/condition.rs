//! Conditions: waiters and notifiers die, and what was meant for the living comes to them.

use std::time::Duration;

use shmkit::{Condition, Lock, LockError, LockGuard};

use crate::campaign::{DEADLINE, Death, Fate, Points, Scenario};
use crate::helper::{Helper, Keeper};
use crate::shared::{Ledger, Shared};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Wait>("condition::wait_beside_another"),
        survives::<Notified>("condition::wait_and_be_notified_before_another"),
        survives::<ComeBack>("condition::come_back_from_a_wait"),
        survives::<Notify>("condition::notify_while_two_sleep"),
        survives::<NotifyAll>("condition::notify_all_while_two_sleep"),
        survives::<GiveUp>("condition::give_up_a_wait"),
        survives::<PassOn>("condition::pass_on_the_wake_up_of_the_dead"),
    ]
}

/// How many have begun to wait, and how many were woken.
type Data = [u64; 2];

struct Place {
    lock: Lock<Data>,
    condition: Condition,
    /// One answer for each death of a holder that somebody was told.
    deaths: Shared<Ledger>,
}

impl Place {
    fn new() -> Place {
        let (lock, condition) = (Lock::new([0; 2]).unwrap(), Condition::new().unwrap());
        Place { lock, condition, deaths: Shared::new() }
    }

    fn acquire(&self) -> LockGuard<'_, Data> {
        match self.lock.lock_timeout(DEADLINE) {
            Ok(guard) => guard,
            Err(LockError::OwnerDied(died)) => {
                self.deaths.acknowledge(0);
                died.recover()
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// Waits once and insists on being notified.
    fn wait(&self) {
        let mut guard = self.acquire();
        guard[0] += 1;
        let (mut guard, notified) = match self.condition.wait_timeout(guard, DEADLINE) {
            Ok(back) => back,
            Err(LockError::OwnerDied(died)) => {
                self.deaths.acknowledge(0);
                died.recover()
            }
            Err(other) => panic!("{other}"),
        };
        assert!(notified, "a wake-up was lost");
        guard[1] += 1;
    }

    fn waiting(&self) -> u64 {
        self.acquire()[0]
    }

    fn woken(&self) -> u64 {
        self.acquire()[1]
    }

    fn await_waiting(&self, count: u64) {
        while self.waiting() < count {
            std::thread::yield_now();
        }
    }

    /// Starts a process that waits once, and returns when it waits.
    fn waiter(&self) -> Helper {
        let before = self.waiting();
        let waiter = Helper::start(|| self.wait());
        self.await_waiting(before + 1);
        waiter
    }

    /// Nobody dead is in the way, and no wake-up is left over.
    fn assert_works(&self) {
        for _ in 0..2 {
            let before = self.woken();
            let waiters = [self.waiter(), self.waiter(), self.waiter()];
            waiters.iter().for_each(Helper::settle);
            assert_eq!(self.woken(), before, "woken by nobody");
            self.condition.notify(2);
            while self.woken() < before + 2 {
                std::thread::yield_now();
            }
            waiters.iter().for_each(Helper::settle);
            assert_eq!(self.woken(), before + 2, "woken for nothing");
            self.condition.notify(5);
            waiters.into_iter().for_each(Helper::join);
        }
    }
}

/// A dead waiter swallows nothing that is notified after its death.
struct Wait {
    place: Place,
    other: Option<Helper>,
}

impl Scenario for Wait {
    const FATE: Fate = Fate::FreezeAndKill;
    const SYSTEM_CALLS: usize = 12;

    fn set_up() -> Self {
        Wait { place: Place::new(), other: None }
    }

    fn victim(&mut self) {
        drop(self.place.lock.lock());
        self.place.condition.notify(1); // attached
        begin();
        self.place.wait();
    }

    fn frozen(&mut self) {
        // May have to wait for the lock, which the victim may hold.
        let other = Helper::start(|| self.place.wait());
        other.settle();
        self.other = Some(other);
    }

    fn check(&mut self, _: Death) {
        // The victim has raised the count too, if it got as far as to publish that.
        let other = self.other.take().unwrap();
        loop {
            let [waiting, woken] = *self.place.acquire();
            if waiting > woken {
                break;
            }
            std::thread::yield_now();
        }
        other.settle();
        self.place.condition.notify(1);
        other.join();
        self.place.assert_works();
    }
}

/// A waiter killed with a wake-up in its cell leaves it to the one who came after it.
struct Notified {
    place: Place,
    other: Option<Helper>,
    /// Whether the other was waiting when the one notification was made.
    waited: bool,
}

impl Scenario for Notified {
    const FATE: Fate = Fate::FreezeAndKill;
    const SYSTEM_CALLS: usize = 12;

    fn set_up() -> Self {
        Notified { place: Place::new(), other: None, waited: false }
    }

    fn victim(&mut self) {
        drop(self.place.lock.lock());
        self.place.condition.notify(1); // attached
        begin();
        self.place.wait();
    }

    fn frozen(&mut self) {
        let other = Helper::start(|| self.place.wait());
        other.settle();
        let free = self.place.lock.try_lock();
        // The victim counts itself before it waits, so two means that it is there.
        self.waited = free.is_ok();
        drop(free);
        self.place.condition.notify(1);
        self.other = Some(other);
    }

    fn check(&mut self, _: Death) {
        let other = self.other.take().unwrap();
        if !self.waited {
            // It stood behind the victim that held the lock; the notification was too early.
            loop {
                let [waiting, woken] = *self.place.acquire();
                if waiting > woken {
                    break;
                }
                std::thread::yield_now();
            }
            other.settle();
            self.place.condition.notify(1);
        }
        other.join();
        self.place.assert_works();
    }
}

/// Killed after it was notified, on the way back to its lock or beyond.
struct ComeBack {
    place: Place,
    other: Option<Helper>,
    notifier: Option<Helper>,
    ledger: Shared<Ledger>,
}

impl Scenario for ComeBack {
    const POINTS: Points = Points::Samples;
    const SYSTEM_CALLS: usize = 40;

    fn set_up() -> Self {
        ComeBack { place: Place::new(), other: None, notifier: None, ledger: Shared::new() }
    }

    fn victim(&mut self) {
        self.place.condition.notify(1); // attached
        let guard = self.place.lock.lock().unwrap();
        begin();
        let back = self.place.condition.wait_timeout(guard, DEADLINE);
        let (guard, notified) = back.unwrap();
        self.ledger.acknowledge(u64::from(notified));
        drop(guard);
    }

    fn ready(&mut self) {
        // Both stand behind the victim, which holds the lock; the notifier comes once the other
        // waits, so the victim has begun to, or is dead.
        self.other = Some(Helper::start(|| self.place.wait()));
        self.notifier = Some(Helper::start(|| {
            self.place.await_waiting(1);
            self.place.condition.notify(1);
        }));
    }

    fn check(&mut self, _: Death) {
        let other = self.other.take().unwrap();
        self.notifier.take().unwrap().join();
        let came_back = self.ledger.answers() == [1];
        assert!(came_back || self.ledger.acknowledged() == 0);
        if came_back {
            other.settle();
            assert_eq!(self.place.woken(), 0, "one notification has woken two");
        }
        drop(self.place.acquire());
        if came_back || self.place.deaths.acknowledged() > 0 {
            // Killed with the lock, the victim may have used the wake-up up.
            other.settle();
            self.place.condition.notify(1);
        }
        other.join();
        self.place.assert_works();
    }
}

/// A notification that was made counts, and one cut short harms nobody.
struct Notify {
    place: Place,
    waiters: Vec<Helper>,
    ledger: Shared<Ledger>,
}

impl Scenario for Notify {
    fn set_up() -> Self {
        Notify { place: Place::new(), waiters: Vec::new(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        self.place.condition.notify(1); // attached
        begin();
        self.ledger.begin();
        self.place.condition.notify(1);
        self.ledger.acknowledge(0);
    }

    fn ready(&mut self) {
        self.waiters = vec![self.place.waiter(), self.place.waiter()];
        self.waiters.iter().for_each(Helper::settle);
    }

    fn check(&mut self, _: Death) {
        while self.place.woken() < self.ledger.acknowledged() {
            std::thread::yield_now();
        }
        self.waiters.iter().for_each(Helper::settle);
        assert!(self.place.woken() <= self.ledger.begun());
        self.place.condition.notify(2);
        self.waiters.drain(..).for_each(Helper::join);
        self.place.assert_works();
    }
}

/// As above, for all.
struct NotifyAll {
    inner: Notify,
}

impl Scenario for NotifyAll {
    fn set_up() -> Self {
        NotifyAll { inner: Notify::set_up() }
    }

    fn victim(&mut self) {
        self.inner.place.condition.notify(1); // attached
        begin();
        self.inner.place.condition.notify_all();
        self.inner.ledger.acknowledge(0);
    }

    fn ready(&mut self) {
        self.inner.ready();
    }

    fn check(&mut self, _: Death) {
        let place = &self.inner.place;
        if self.inner.ledger.acknowledged() == 0 {
            place.condition.notify_all();
        }
        self.inner.waiters.drain(..).for_each(Helper::join);
        place.assert_works();
    }
}

/// A waiter that gives up dies while it does.
struct GiveUp {
    place: Place,
    other: Option<Helper>,
    ledger: Shared<Ledger>,
}

impl Scenario for GiveUp {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        GiveUp { place: Place::new(), other: None, ledger: Shared::new() }
    }

    fn victim(&mut self) {
        self.place.condition.notify(1); // attached
        let guard = self.place.lock.lock().unwrap();
        begin();
        let (guard, notified) =
            self.place.condition.wait_timeout(guard, Duration::from_micros(100)).unwrap();
        assert!(!notified);
        drop(guard);
        self.ledger.acknowledge(0);
    }

    fn frozen(&mut self) {
        let other = Helper::start(|| self.place.wait());
        other.settle();
        self.other = Some(other);
    }

    fn check(&mut self, _: Death) {
        self.place.await_waiting(1);
        let other = self.other.take().unwrap();
        other.settle();
        self.place.condition.notify(1);
        other.join();
        self.place.assert_works();
    }
}

/// The one who passes on what the dead have left dies as well.
struct PassOn {
    place: Place,
    /// Stopped, so that it cannot look for itself.
    heir: Option<Helper>,
}

impl Scenario for PassOn {
    fn set_up() -> Self {
        let place = Place::new();
        let dead = Keeper::start(|| place.wait());
        place.await_waiting(1);
        dead.settle();
        let heir = place.waiter();
        heir.settle();
        heir.stop();
        let guard = place.lock.lock().unwrap();
        place.condition.notify(1);
        drop(dead); // notified, and never to have the lock
        drop(guard);
        PassOn { place, heir: Some(heir) }
    }

    fn victim(&mut self) {
        self.place.condition.notify(0);
        let guard = self.place.acquire();
        begin();
        // Too late for that wake-up, but it looks around before it gives up.
        let back = self.place.condition.wait_timeout(guard, Duration::from_micros(100));
        assert!(!back.unwrap().1);
    }

    fn check(&mut self, _: Death) {
        let heir = self.heir.take().unwrap();
        heir.go_on();
        heir.join();
        self.place.assert_works();
    }
}
