//! Barriers: parties die on their way to them, in them, and on their way out.

use std::time::Duration;

use shmkit::{Barrier, BrokenBarrier, RegionOptions};

use crate::campaign::{DEADLINE, Death, Fate, Points, Scenario};
use crate::helper::{Helper, Keeper};
use crate::shared::{Ledger, Shared};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<First>("barrier::come_first"),
        survives::<Last>("barrier::come_last_while_another_sleeps"),
        survives::<Action>("barrier::come_last_with_an_action"),
        survives::<LastFrozen>("barrier::come_last_while_another_comes_too"),
        survives::<Timeout>("barrier::give_up_while_another_sleeps"),
        survives::<Abort>("barrier::abort_while_another_sleeps"),
        survives::<Reset>("barrier::reset_while_another_sleeps"),
        survives::<Leave>("barrier::drop_the_last_handle"),
        survives::<FindDead<3>>("barrier::find_a_dead_party"),
        survives::<FindDead<2>>("barrier::come_last_and_find_a_dead_party"),
        survives::<Succeed>("barrier::get_the_slot_of_a_dead_party"),
    ]
}

/// What a wait answers, as a number.
const MET: u64 = 0;
const TIMEOUT: u64 = 10;
const ABORTED: u64 = 11;
const RESET: u64 = 12;
const DIED: u64 = 13;

fn answer(answer: Result<u32, BrokenBarrier>) -> u64 {
    match answer {
        Ok(index) => MET + u64::from(index),
        Err(BrokenBarrier::Timeout) => TIMEOUT,
        Err(BrokenBarrier::Aborted) => ABORTED,
        Err(BrokenBarrier::Reset) => RESET,
        Err(BrokenBarrier::PartyDied) => DIED,
        Err(other) => panic!("{other}"),
    }
}

fn wait(barrier: &Barrier) -> u64 {
    answer(barrier.wait_timeout(DEADLINE))
}

/// A forked child is a party from its first wait on.
fn become_a_party(barrier: &Barrier) {
    assert_eq!(answer(barrier.wait_timeout(Duration::ZERO)), TIMEOUT);
    barrier.reset();
}

/// A barrier, and a second process that waits at it.
struct Place {
    barrier: Barrier,
    sleeper: Option<Helper>,
    told: Shared<Ledger>,
}

impl Place {
    fn new(parties: u32) -> Place {
        Place { barrier: Barrier::new(parties).unwrap(), sleeper: None, told: Shared::new() }
    }

    /// Starts the second process, and returns once it sleeps.
    fn start_sleeper(&mut self) {
        let sleeper = Helper::start(|| self.told.acknowledge(wait(&self.barrier)));
        sleeper.settle();
        self.sleeper = Some(sleeper);
    }

    /// What the second process was told.
    fn told(&mut self) -> u64 {
        self.sleeper.take().unwrap().join();
        self.told.answers()[0]
    }
}

/// After a reset, which forgets the dead, two meet as ever. (Who ends here without dropping its
/// handle is a dead party each time.)
fn assert_works(barrier: &Barrier) {
    for _ in 0..3 {
        barrier.reset();
        assert!(!barrier.is_broken());
        assert_eq!(barrier.waiting(), 0);
        let others: Vec<_> = (1..barrier.parties())
            .map(|_| Helper::start(|| assert!(wait(barrier) < TIMEOUT)))
            .collect();
        assert!(wait(barrier) < TIMEOUT);
        others.into_iter().for_each(Helper::join);
    }
}

/// Killed before it came, or there: its fellow learns that, or met it.
struct First {
    place: Place,
}

impl Scenario for First {
    const SYSTEM_CALLS: usize = 12;

    fn set_up() -> Self {
        First { place: Place::new(2) }
    }

    fn victim(&mut self) {
        become_a_party(&self.place.barrier);
        begin();
        let _ = self.place.barrier.wait();
    }

    fn check(&mut self, _: Death) {
        let barrier = &self.place.barrier;
        let came = barrier.waiting();
        let told = wait(barrier);
        // Who came and was killed awake has met us, and died after.
        assert!(told == DIED || told == 1 && came == 1, "{told}, {came}");
        assert_eq!(barrier.is_broken(), told == DIED);
        assert_works(barrier);
    }
}

struct Last {
    place: Place,
    ledger: Shared<Ledger>,
}

impl Scenario for Last {
    fn set_up() -> Self {
        Last { place: Place::new(2), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        become_a_party(&self.place.barrier);
        begin();
        let met = wait(&self.place.barrier);
        self.ledger.acknowledge(met);
    }

    fn ready(&mut self) {
        self.place.start_sleeper();
    }

    fn check(&mut self, _: Death) {
        let told = self.place.told();
        assert!(matches!(told, MET | DIED), "{told}");
        assert!(self.ledger.answers().iter().all(|met| *met == 1 && told == MET));
        assert_works(&self.place.barrier);
    }
}

/// Who goes on finds the action done.
struct Action {
    place: Place,
    ledger: Shared<Ledger>,
}

impl Scenario for Action {
    fn set_up() -> Self {
        Action { place: Place::new(2), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        become_a_party(&self.place.barrier);
        begin();
        let ledger = &self.ledger;
        let met = self.place.barrier.wait_with_timeout(
            || {
                ledger.begin();
                ledger.begin();
            },
            DEADLINE,
        );
        self.ledger.acknowledge(answer(met));
    }

    fn ready(&mut self) {
        self.place.start_sleeper();
    }

    fn check(&mut self, _: Death) {
        let told = self.place.told();
        match told {
            MET => assert_eq!(self.ledger.begun(), 2),
            DIED => assert_eq!(self.ledger.acknowledged(), 0),
            _ => panic!("{told}"),
        }
        assert_works(&self.place.barrier);
    }
}

/// Two come last, at any moment of each other: one is, and the other begins the next round.
struct LastFrozen {
    barrier: Barrier,
    ledger: Shared<Ledger>,
    others: Vec<Keeper>,
}

impl LastFrozen {
    /// Starts one more that comes, and stays alive, so that it is no dead party.
    fn start(&mut self) {
        let one = Keeper::start(|| assert!(wait(&self.barrier) < TIMEOUT));
        one.settle();
        self.others.push(one);
    }
}

impl Scenario for LastFrozen {
    const FATE: Fate = Fate::FreezeAndRun;

    fn set_up() -> Self {
        LastFrozen { barrier: Barrier::new(2).unwrap(), ledger: Shared::new(), others: Vec::new() }
    }

    fn victim(&mut self) {
        become_a_party(&self.barrier);
        begin();
        let met = wait(&self.barrier);
        self.ledger.acknowledge(met);
    }

    fn ready(&mut self) {
        self.start();
    }

    fn frozen(&mut self) {
        // The first of these two meets the sleeper, if the victim has not; the other is left then.
        self.start();
        self.start();
    }

    fn check(&mut self, _: Death) {
        self.others.iter().for_each(Keeper::wait);
        assert_eq!(self.ledger.answers(), [1]);
        self.others.clear();
        assert_works(&self.barrier);
    }
}

/// Whoever gives up breaks it for all, or dies before and does so by that.
struct Timeout {
    place: Place,
    ledger: Shared<Ledger>,
}

impl Scenario for Timeout {
    fn set_up() -> Self {
        Timeout { place: Place::new(3), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        become_a_party(&self.place.barrier);
        begin();
        let told = answer(self.place.barrier.wait_timeout(Duration::from_micros(100)));
        self.ledger.acknowledge(told);
    }

    fn ready(&mut self) {
        self.place.start_sleeper();
    }

    fn check(&mut self, _: Death) {
        let told = self.place.told();
        assert!(matches!(told, TIMEOUT | DIED), "{told}");
        assert!(self.ledger.answers().iter().all(|mine| *mine == TIMEOUT && told == TIMEOUT));
        assert!(self.place.barrier.is_broken());
        assert_works(&self.place.barrier);
    }
}

struct Abort {
    place: Place,
    ledger: Shared<Ledger>,
}

impl Scenario for Abort {
    fn set_up() -> Self {
        Abort { place: Place::new(3), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        become_a_party(&self.place.barrier);
        begin();
        self.place.barrier.abort();
        self.ledger.acknowledge(0);
    }

    fn ready(&mut self) {
        self.place.start_sleeper();
    }

    fn check(&mut self, _: Death) {
        let told = self.place.told();
        let aborted = self.ledger.acknowledged() == 1;
        assert!(told == ABORTED || told == DIED && !aborted, "{told}");
        assert!(self.place.barrier.is_broken());
        assert_works(&self.place.barrier);
    }
}

struct Reset {
    place: Place,
    ledger: Shared<Ledger>,
}

impl Scenario for Reset {
    fn set_up() -> Self {
        Reset { place: Place::new(3), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        become_a_party(&self.place.barrier);
        begin();
        self.place.barrier.reset();
        self.ledger.acknowledge(0);
    }

    fn ready(&mut self) {
        self.place.start_sleeper();
    }

    fn check(&mut self, _: Death) {
        let told = self.place.told();
        let reset = self.ledger.acknowledged() == 1;
        assert!(told == RESET || told == DIED && !reset, "{told}");
        assert_works(&self.place.barrier);
    }
}

/// Whoever has left may die; who dies while it leaves has left, or is a dead party.
struct Leave {
    barrier: Option<Barrier>,
}

impl Scenario for Leave {
    fn set_up() -> Self {
        Leave { barrier: Some(Barrier::new(2).unwrap()) }
    }

    fn victim(&mut self) {
        let barrier = self.barrier.take().unwrap();
        become_a_party(&barrier);
        begin();
        drop(barrier);
    }

    fn check(&mut self, death: Death) {
        let barrier = self.barrier.as_ref().unwrap();
        let other = Keeper::start(|| {
            let told = wait(barrier);
            assert!(told == MET || told == DIED && !death.complete, "{told}");
        });
        other.settle();
        // The other sleeps, so this one looks who lives.
        let told = wait(barrier);
        assert!(told == 1 || told == DIED && !death.complete, "{told}");
        other.wait();
        drop(other);
        assert_works(barrier);
    }
}

/// Whoever finds a dead party, and dies of it, leaves it to be found.
struct FindDead<const PARTIES: u32> {
    barrier: Barrier,
}

impl<const PARTIES: u32> Scenario for FindDead<PARTIES> {
    fn set_up() -> Self {
        let barrier = Barrier::new(PARTIES).unwrap();
        let dead = Keeper::start(|| barrier.wait());
        dead.settle();
        drop(dead);
        FindDead { barrier }
    }

    fn victim(&mut self) {
        begin();
        assert_eq!(wait(&self.barrier), DIED);
    }

    fn check(&mut self, _: Death) {
        assert_eq!(wait(&self.barrier), DIED);
        assert_works(&self.barrier);
    }
}

/// Whoever gets the slot of a dead party tells of it before it takes its place.
struct Succeed {
    barrier: Barrier,
}

impl Scenario for Succeed {
    const POINTS: Points = Points::Samples;

    fn set_up() -> Self {
        let region = RegionOptions::new(1 << 12).participants(2).anonymous().unwrap();
        let barrier = Barrier::new_in(&region, 2).unwrap();
        drop(Keeper::of(|| become_a_party(&barrier)));
        Succeed { barrier }
    }

    fn victim(&mut self) {
        begin();
        assert_eq!(wait(&self.barrier), DIED);
    }

    fn check(&mut self, _: Death) {
        assert_eq!(wait(&self.barrier), DIED);
        assert_works(&self.barrier);
    }
}
