//! Events: set, cleared and waited for by the dead.

use shmkit::Event;

use crate::campaign::{DEADLINE, Death, Fate, Scenario};
use crate::helper::{Helper, elsewhere};
use crate::shared::{Ledger, Shared};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Set>("event::set_while_another_sleeps"),
        survives::<Pulse>("event::set_and_clear_while_another_sleeps"),
        survives::<Wait>("event::wait_beside_another"),
        survives::<WaitFrozen>("event::wait_while_another_sets"),
    ]
}

/// Starts a process that waits, and returns once it sleeps.
fn sleeper(event: &Event) -> Helper {
    let sleeper = Helper::start(|| assert!(event.wait_timeout(DEADLINE)));
    sleeper.settle();
    sleeper
}

/// Nobody dead is in the way: set, clear and wait, here and in another process.
fn assert_works(event: &Event) {
    for _ in 0..2 {
        event.clear();
        assert!(!event.is_set());
        let sleeper = sleeper(event);
        event.set();
        sleeper.join();
        event.clear();
        elsewhere(|| event.set());
        assert!(event.wait_timeout(DEADLINE) && event.is_set());
    }
}

/// What was set is set, and the sleeper goes on.
struct Set {
    event: Event,
    sleeper: Option<Helper>,
    ledger: Shared<Ledger>,
}

impl Scenario for Set {
    fn set_up() -> Self {
        Set { event: Event::new().unwrap(), sleeper: None, ledger: Shared::new() }
    }

    fn victim(&mut self) {
        begin();
        self.ledger.begin();
        self.event.set();
        self.ledger.acknowledge(0);
    }

    fn ready(&mut self) {
        self.sleeper = Some(sleeper(&self.event));
    }

    fn check(&mut self, _: Death) {
        let (acknowledged, begun) = (self.ledger.acknowledged(), self.ledger.begun());
        let set = u64::from(self.event.is_set());
        assert!((acknowledged..=begun).contains(&set), "{acknowledged} <= {set} <= {begun}");
        if set == 0 {
            self.event.set();
        }
        self.sleeper.take().unwrap().join();
        assert_works(&self.event);
    }
}

/// The sleeper goes on by a pulse, also by one cut short.
struct Pulse {
    event: Event,
    sleeper: Option<Helper>,
    ledger: Shared<Ledger>,
}

impl Scenario for Pulse {
    fn set_up() -> Self {
        Pulse { event: Event::new().unwrap(), sleeper: None, ledger: Shared::new() }
    }

    fn victim(&mut self) {
        begin();
        self.event.set();
        self.ledger.acknowledge(0);
        self.event.clear();
        self.ledger.acknowledge(1);
    }

    fn ready(&mut self) {
        self.sleeper = Some(sleeper(&self.event));
    }

    fn check(&mut self, _: Death) {
        let steps = self.ledger.acknowledged();
        assert!(steps != 2 || !self.event.is_set());
        if steps == 0 && !self.event.is_set() {
            self.event.set();
        }
        self.sleeper.take().unwrap().join();
        assert_works(&self.event);
    }
}

/// A dead waiter is in nobody's way.
struct Wait {
    event: Event,
    sleeper: Option<Helper>,
}

impl Scenario for Wait {
    const FATE: Fate = Fate::FreezeAndKill;
    const SYSTEM_CALLS: usize = 12;

    fn set_up() -> Self {
        Wait { event: Event::new().unwrap(), sleeper: None }
    }

    fn victim(&mut self) {
        begin();
        self.event.wait();
    }

    fn frozen(&mut self) {
        self.sleeper = Some(sleeper(&self.event));
    }

    fn check(&mut self, _: Death) {
        self.event.set();
        self.sleeper.take().unwrap().join();
        assert_works(&self.event);
    }
}

/// Whoever is stopped anywhere in its wait finds out that the event was set.
struct WaitFrozen {
    event: Event,
    ledger: Shared<Ledger>,
}

impl Scenario for WaitFrozen {
    const FATE: Fate = Fate::FreezeAndRun;
    const SYSTEM_CALLS: usize = 12;

    fn set_up() -> Self {
        WaitFrozen { event: Event::new().unwrap(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        begin();
        self.ledger.begin();
        let set = self.event.wait_timeout(DEADLINE);
        self.ledger.acknowledge(u64::from(set));
    }

    fn frozen(&mut self) {
        self.event.set();
    }

    fn check(&mut self, _: Death) {
        assert_eq!(self.ledger.answers(), [1]);
        assert_works(&self.event);
    }
}
