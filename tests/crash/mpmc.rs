//! Rings for many: the victim is one producer or consumer among others.
//!
//! After each death the survivors must find every item that was acknowledged as pushed and not
//! acknowledged as popped, once and whole; and then all of the capacity, three times round.

use std::mem::forget;

use shmkit::RegionOptions;
use shmkit::ring::{MpmcRing, TryPopError, TryPushError, mpmc, mpmc_in};

use crate::campaign::{Death, Fate, Points, Scenario};
use crate::helper::elsewhere;
use crate::shared::{Ledger, Shared};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Run<Push, KILL>>("mpmc::push"),
        survives::<Run<Push, TURNS>>("mpmc::push_while_another_works"),
        survives::<Run<Push, KILL_AFTER>>("mpmc::push_and_die_behind_another"),
        survives::<Run<Pop, KILL>>("mpmc::pop"),
        survives::<Run<Pop, TURNS>>("mpmc::pop_while_another_works"),
        survives::<Run<Pop, KILL_AFTER>>("mpmc::pop_and_die_behind_another"),
        survives::<Run<PushSlice, KILL>>("mpmc::push_slice"),
        survives::<Run<PushSlice, TURNS>>("mpmc::push_slice_while_another_works"),
        survives::<Run<PushSlice, KILL_AFTER>>("mpmc::push_slice_and_die_behind_another"),
        survives::<Run<PopSlice, KILL>>("mpmc::pop_slice"),
        survives::<Run<PopSlice, TURNS>>("mpmc::pop_slice_while_another_works"),
        survives::<Run<PopSlice, KILL_AFTER>>("mpmc::pop_slice_and_die_behind_another"),
        survives::<Run<Reserve<true>, KILL>>("mpmc::reserve_and_commit"),
        survives::<Run<Reserve<true>, KILL_AFTER>>("mpmc::reserve_commit_and_die_behind_another"),
        survives::<Run<Reserve<false>, KILL>>("mpmc::reserve_and_drop"),
        survives::<Run<Reserve<false>, TURNS>>("mpmc::reserve_and_drop_while_another_works"),
        survives::<Run<Reserve<false>, KILL_AFTER>>("mpmc::reserve_drop_and_die_behind_another"),
        survives::<Run<Lease<true>, KILL>>("mpmc::lease_and_release"),
        survives::<Run<Lease<true>, KILL_AFTER>>("mpmc::lease_release_and_die_behind_another"),
        survives::<Run<Lease<false>, KILL>>("mpmc::lease_and_give_back"),
        survives::<Run<Lease<false>, TURNS>>("mpmc::lease_and_give_back_while_another_works"),
        survives::<Run<Lease<false>, KILL_AFTER>>("mpmc::lease_give_back_and_die_behind_another"),
        survives::<Run<Recover, KILL>>("mpmc::recover"),
        survives::<Run<Recover, TURNS>>("mpmc::recover_while_another_works"),
        survives::<Rescue<PushSlice>>("mpmc::recover_from_a_producer_and_from_who_recovers"),
        survives::<Rescue<PopSlice>>("mpmc::recover_from_a_consumer_and_from_who_recovers"),
        survives::<SlotReuse<PushSlice>>("mpmc::reuse_of_a_dead_producers_place"),
        survives::<SlotReuse<PopSlice>>("mpmc::reuse_of_a_dead_consumers_place"),
    ]
}

/// Several words, so that half of one shows.
type Item = [u64; 3];

fn item(n: u64) -> Item {
    [n, !n, n.wrapping_mul(0x9e37_79b9_7f4a_7c15)]
}

const CAPACITY: usize = 4;
/// Items of the victim and of who works beside it have numbers from here on.
const VICTIMS: u64 = 10;
const OTHERS: u64 = 20;

/// What the victim does.
trait Work {
    /// Items that are in the ring before.
    const BEFORE: u64;
    /// Claims that [`Work::prepare`] leaves.
    const PREPARED: usize = 0;
    fn prepare(_: &MpmcRing<Item>) {}
    /// First use: this process becomes a user of the region.
    fn attach(ring: &MpmcRing<Item>) {
        ring.recover();
    }
    fn work(ring: &MpmcRing<Item>, ledger: &Ledger);
    /// Items that each operation pushes, and acknowledges by one word each.
    const PUSHES: u64 = 0;
    /// Items that each operation pops, and acknowledges by one word each.
    const POPS: u64 = 0;
}

struct Push;

impl Work for Push {
    const BEFORE: u64 = 1;
    const PUSHES: u64 = 1;
    fn work(ring: &MpmcRing<Item>, ledger: &Ledger) {
        for n in 0..2 {
            ledger.begin();
            if ring.try_push(item(VICTIMS + n)).is_ok() {
                ledger.acknowledge(0);
            }
        }
    }
}

struct Pop;

impl Work for Pop {
    const BEFORE: u64 = 3;
    const POPS: u64 = 1;
    fn work(ring: &MpmcRing<Item>, ledger: &Ledger) {
        for _ in 0..2 {
            ledger.begin();
            if let Ok(popped) = ring.try_pop() {
                assert_eq!(popped, item(popped[0]));
                ledger.acknowledge(popped[0]);
            }
        }
    }
}

struct PushSlice;

impl Work for PushSlice {
    const BEFORE: u64 = 1;
    const PUSHES: u64 = 3;
    fn work(ring: &MpmcRing<Item>, ledger: &Ledger) {
        ledger.begin();
        // Two claims, of two slots and of one.
        match ring.try_push_slice(&[item(VICTIMS), item(VICTIMS + 1), item(VICTIMS + 2)]) {
            Ok(count) => (0..count).for_each(|_| ledger.acknowledge(0)),
            Err(why) => assert!(matches!(why, TryPushError::Busy(()) | TryPushError::Full(()))),
        }
    }
}

struct PopSlice;

impl Work for PopSlice {
    const BEFORE: u64 = 4;
    const POPS: u64 = 3;
    fn work(ring: &MpmcRing<Item>, ledger: &Ledger) {
        let mut out = [[0; 3]; 3];
        ledger.begin();
        if let Ok(count) = ring.try_pop_slice(&mut out) {
            for popped in &out[..count] {
                assert_eq!(*popped, item(popped[0]));
                ledger.acknowledge(popped[0]);
            }
        }
    }
}

struct Reserve<const COMMIT: bool>;

impl<const COMMIT: bool> Work for Reserve<COMMIT> {
    const BEFORE: u64 = 1;
    const PUSHES: u64 = COMMIT as u64;
    fn work(ring: &MpmcRing<Item>, ledger: &Ledger) {
        let Ok(mut slot) = ring.try_reserve() else { return };
        *slot = item(VICTIMS);
        if COMMIT {
            ledger.begin();
            slot.commit();
            ledger.acknowledge(0);
        }
    }
}

struct Lease<const RELEASE: bool>;

impl<const RELEASE: bool> Work for Lease<RELEASE> {
    const BEFORE: u64 = 3;
    const POPS: u64 = RELEASE as u64;
    fn work(ring: &MpmcRing<Item>, ledger: &Ledger) {
        let Ok(lease) = ring.try_lease() else { return };
        let n = lease[0];
        assert_eq!(*lease, item(n));
        if RELEASE {
            ledger.begin();
            lease.release();
            ledger.acknowledge(n);
        }
    }
}

/// The dead have left a claim at either end, and another has claimed after them.
struct Recover;

impl Work for Recover {
    const BEFORE: u64 = 2;
    const PREPARED: usize = 2;
    fn prepare(ring: &MpmcRing<Item>) {
        elsewhere(|| forget((ring.try_lease().unwrap(), ring.try_reserve().unwrap())));
    }
    fn attach(ring: &MpmcRing<Item>) {
        drop(ring.try_lease());
    }
    fn work(ring: &MpmcRing<Item>, _: &Ledger) {
        ring.recover();
    }
}

struct Stage {
    ring: MpmcRing<Item>,
    ledger: Shared<Ledger>,
    /// Items that another has pushed, and that others have popped.
    others_pushed: u64,
    popped: Vec<u64>,
}

impl Stage {
    fn new<W: Work>(ring: MpmcRing<Item>) -> Stage {
        for _ in 0..3 {
            ring.try_push(item(0)).unwrap(); // so that what follows goes round the end
            ring.try_pop().unwrap();
        }
        for n in 0..W::BEFORE {
            ring.try_push(item(n)).unwrap();
        }
        W::prepare(&ring);
        Stage { ring, ledger: Shared::new(), others_pushed: 0, popped: Vec::new() }
    }

    fn victim<W: Work>(&mut self) {
        W::attach(&self.ring);
        begin();
        W::work(&self.ring, &self.ledger);
    }

    /// What the second process does: it pops and pushes what it can, one of each.
    fn work_beside(&mut self) {
        match self.ring.try_pop() {
            Ok(popped) => self.note(popped),
            Err(why) => assert!(matches!(why, TryPopError::Empty | TryPopError::Busy), "{why}"),
        }
        match self.ring.try_push(item(OTHERS + self.others_pushed)) {
            Ok(()) => self.others_pushed += 1,
            Err(why) => {
                assert!(matches!(why, TryPushError::Full(_) | TryPushError::Busy(_)), "{why}");
            }
        }
    }

    fn note(&mut self, popped: Item) {
        assert_eq!(popped, item(popped[0]), "torn");
        self.popped.push(popped[0]);
    }

    /// Pops everything, also what the dead have left, and holds it against the ledger.
    fn assert_all_there<W: Work>(&mut self) {
        self.ring.recover();
        assert_eq!(self.ring.recover(), 0, "not all was recovered at once");
        let len = self.ring.len();
        let before = self.popped.len();
        while let Ok(popped) = self.ring.try_pop() {
            self.note(popped);
        }
        assert_eq!(self.ring.try_pop(), Err(TryPopError::Empty));
        assert_eq!(self.popped.len() - before, len, "the length was wrong");
        assert!(self.ring.is_empty() && !self.ring.is_full());

        let (begun, acknowledged) = (self.ledger.begun(), self.ledger.acknowledged());
        let mut seen = self.popped.clone();
        if W::POPS > 0 {
            seen.extend(self.ledger.answers());
        }
        seen.sort();
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "doubled: {seen:?}");

        let in_turn =
            |from: u64| self.popped.iter().copied().filter(move |n| (from..from + 10).contains(n));
        let victims: Vec<u64> = in_turn(VICTIMS).collect();
        let (least, most) = (acknowledged.min(W::PUSHES * begun), W::PUSHES * begun);
        assert!(victims.iter().copied().eq(VICTIMS..VICTIMS + victims.len() as u64), "{victims:?}");
        assert!((least..=most).contains(&(victims.len() as u64)), "{victims:?}: {least}..={most}");

        let wanted = W::BEFORE + self.others_pushed;
        let there = seen.iter().filter(|n| !(VICTIMS..OTHERS).contains(n)).count() as u64;
        // What the victim had taken for good goes with it.
        let lost = (W::POPS * begun).saturating_sub(acknowledged);
        assert!((wanted.saturating_sub(lost)..=wanted).contains(&there), "{seen:?} of {wanted}");
    }

    fn assert_works(&self) {
        for round in 0..3 {
            for n in 0..CAPACITY as u64 {
                self.ring.try_push(item(n)).unwrap();
            }
            assert!(matches!(self.ring.try_push(item(0)), Err(TryPushError::Full(_))));
            let mut popped = Vec::new();
            if round == 1 {
                let mut out = [[0; 3]; CAPACITY];
                assert_eq!(self.ring.try_pop_slice(&mut out), Ok(CAPACITY));
                popped.extend(out);
            }
            popped.extend(std::iter::from_fn(|| self.ring.try_pop().ok()));
            assert!(popped.into_iter().eq((0..CAPACITY as u64).map(item)), "round {round}");
        }
    }
}

const KILL: u8 = 0;
const TURNS: u8 = 1;
const KILL_AFTER: u8 = 2;

/// `W` is cut short, alone or with another process that works in the same ring.
struct Run<W, const HOW: u8>(Stage, std::marker::PhantomData<W>);

impl<W: Work, const HOW: u8> Scenario for Run<W, HOW> {
    const POINTS: Points = if HOW == KILL { Points::Instructions } else { Points::Samples };
    const FATE: Fate = match HOW {
        KILL => Fate::Kill,
        TURNS => Fate::FreezeAndRun,
        _ => Fate::FreezeAndKill,
    };

    fn set_up() -> Self {
        Run(Stage::new::<W>(mpmc(CAPACITY).unwrap()), std::marker::PhantomData)
    }

    fn victim(&mut self) {
        self.0.victim::<W>();
    }

    fn frozen(&mut self) {
        self.0.work_beside();
        self.0.work_beside();
        if W::PREPARED == 0 {
            assert_eq!(self.0.ring.recover(), 0, "stolen from the living");
        }
    }

    fn thawed(&mut self) {
        self.0.work_beside();
    }

    fn check(&mut self, _: Death) {
        self.0.assert_all_there::<W>();
        self.0.assert_works();
        elsewhere(|| self.0.assert_works());
    }
}

/// Whoever recovers from the death is killed as well.
struct Rescue<W>(Stage, std::marker::PhantomData<W>);

impl<W: Work> Scenario for Rescue<W> {
    const POINTS: Points = Points::States;
    const RESCUED: bool = true;

    fn set_up() -> Self {
        Rescue(Stage::new::<W>(mpmc(CAPACITY).unwrap()), std::marker::PhantomData)
    }

    fn victim(&mut self) {
        self.0.victim::<W>();
    }

    fn rescue(&mut self) {
        begin(); // it becomes a user of the region first
        self.0.ring.recover();
    }

    fn check(&mut self, _: Death) {
        self.0.assert_all_there::<W>();
        self.0.assert_works();
    }
}

/// Another process gets the place of the dead one, and with it the number in its claims.
struct SlotReuse<W>(Stage, std::marker::PhantomData<W>);

impl<W: Work> Scenario for SlotReuse<W> {
    fn set_up() -> Self {
        let region = RegionOptions::new(1 << 13).participants(2).anonymous().unwrap();
        let stage = Stage::new::<W>(mpmc_in(&region, CAPACITY).unwrap());
        SlotReuse(stage, std::marker::PhantomData)
    }

    fn victim(&mut self) {
        self.0.victim::<W>();
    }

    fn check(&mut self, _: Death) {
        let stage = &mut self.0;
        let popped: Shared<Ledger> = Shared::new();
        // The new occupant works, and lives on while the others recover.
        let keeper = crate::helper::Keeper::of(|| {
            if let Ok(item) = stage.ring.try_pop() {
                popped.acknowledge(item[0]);
            }
            stage.ring.clone()
        });
        stage.popped.extend(popped.answers());
        stage.assert_all_there::<W>();
        stage.assert_works();
        drop(keeper);
        stage.assert_works();
    }
}
