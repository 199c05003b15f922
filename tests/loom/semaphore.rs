//! The robust semaphore: never a permit too many, every sleeper woken, the ledgers always complete.

use crate::world::{Person, people};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use shmkit::internals::{
    Deadline, Liveness, NoPermit, ParticipantId, RawSemaphore, Record, Records, SemaphoreWords,
    model, participant,
};

/// A semaphore, and a room for one that its permits may guard.
struct Gate {
    word: SemaphoreWords,
    records: Box<[Record]>,
    visits: UnsafeCell<u32>,
}

// SAFETY: `visits` is touched by whoever holds the only permit; loom checks that claim.
#[allow(unsafe_code)]
unsafe impl Sync for Gate {}

fn gate(permits: u32, participants: u32) -> Arc<Gate> {
    let records = (0..Records::<Record>::needed(participants)).map(|_| Record::default()).collect();
    Arc::new(Gate { word: SemaphoreWords::new(permits), records, visits: UnsafeCell::new(0) })
}

impl Gate {
    fn raw(&self) -> RawSemaphore<'_> {
        RawSemaphore::new(&self.word, Records::new(&self.records), 1000)
    }

    fn acquire(&self, who: &impl Liveness) {
        self.raw().acquire(who, Deadline::Never).unwrap();
    }

    fn try_acquire(&self, who: &impl Liveness) -> bool {
        self.raw().acquire(who, Deadline::Now).is_ok()
    }

    fn give(&self, who: &impl Liveness) {
        self.raw().give(who.me());
    }

    /// Acquires again and again until nothing comes any more.
    fn take_all(&self, who: &impl Liveness) -> u32 {
        (0..10).find(|_| !self.try_acquire(who)).expect("no end of permits")
    }

    #[allow(unsafe_code)]
    fn visit(&self) {
        // SAFETY: the caller holds the only permit.
        self.visits.with_mut(|visits| unsafe { *visits += 1 });
    }

    fn pass(&self, who: &impl Liveness) {
        self.acquire(who);
        self.visit();
        self.give(who);
    }
}

fn spawn<R: 'static>(
    gate: &Arc<Gate>,
    who: &Person,
    f: impl FnOnce(&Gate, Person) -> R + 'static,
) -> JoinHandle<R> {
    let (gate, who) = (gate.clone(), who.clone());
    thread::spawn(move || f(&gate, who))
}

#[test]
fn the_holders_of_an_only_permit_exclude_each_other() {
    loom::model(|| {
        let (gate, [a, b]) = (gate(1, 2), people());
        let other = spawn(&gate, &b, |gate, b| gate.pass(&b));
        gate.pass(&a);
        other.join().unwrap();
        assert_eq!(gate.raw().value(), 1);
    });
}

/// No futex here, whose model brings an edge that the kernel does not promise.
#[test]
fn the_holders_of_an_only_permit_exclude_each_other_without_ever_sleeping() {
    loom::model(|| {
        let (gate, [a, b]) = (gate(1, 2), people());
        let tries = |gate: &Gate, who: &Person| {
            for _ in 0..2 {
                if gate.try_acquire(who) {
                    gate.visit();
                    gate.give(who);
                }
            }
        };
        let other = spawn(&gate, &b, move |gate, b| tries(gate, &b));
        tries(&gate, &a);
        other.join().unwrap();
        assert_eq!(gate.raw().value(), 1);
    });
}

#[test]
fn who_takes_or_sees_a_released_permit_sees_what_came_before_it() {
    loom::model(|| {
        let (gate, [_, b]) = (gate(0, 2), people());
        let other = spawn(&gate, &b, |gate, b| {
            if gate.raw().value() == 0 {
                gate.acquire(&b);
            }
            gate.visit();
        });
        gate.visit();
        assert!(gate.raw().release(1));
        other.join().unwrap();
    });
}

#[test]
fn every_ledger_is_complete_whoever_wrote_it() {
    loom::model(|| {
        let (gate, [a, b, c]) = (gate(2, 3), people());
        let other = spawn(&gate, &b, |gate, b| {
            gate.acquire(&b);
            gate.give(&b);
            gate.acquire(&b);
            b.die();
        });
        gate.acquire(&a);
        other.join().unwrap();
        assert_eq!(gate.raw().value(), 0);
        assert_eq!(gate.take_all(&c), 1);
        a.die();
        assert_eq!(gate.take_all(&c), 1);
    });
}

#[test]
fn a_ledger_that_is_ahead_of_an_old_stamp_is_left_alone() {
    loom::model(|| {
        let (gate, [a, b, c]) = (gate(4, 3), people());
        let others = [&b, &c].map(|who| spawn(&gate, who, |gate, who| gate.acquire(&who)));
        gate.acquire(&a);
        gate.acquire(&a);
        let _ = others.map(|other| other.join().unwrap());
        a.die();
        assert_eq!(gate.take_all(&b), 2);
    });
}

#[test]
fn threads_of_one_participant_share_a_ledger() {
    loom::model(|| {
        let (gate, [a, b]) = (gate(2, 2), people());
        let sibling = spawn(&gate, &a, |gate, a| gate.acquire(&a));
        gate.acquire(&a);
        gate.give(&a);
        sibling.join().unwrap();
        gate.acquire(&a);
        a.die();
        assert_eq!(gate.take_all(&b), 2);
    });
}

#[test]
fn a_hand_off_beside_other_operations_leaves_the_ledger_right() {
    loom::model(|| {
        let (gate, [a, b]) = (gate(3, 2), people());
        gate.acquire(&a);
        let sibling = spawn(&gate, &a, |gate, a| gate.raw().forget(a.me()));
        gate.acquire(&a);
        sibling.join().unwrap();
        a.die();
        assert_eq!(gate.take_all(&b), 2);
        assert!(gate.raw().release(1));
        assert_eq!(gate.take_all(&b), 1);
    });
}

#[test]
fn every_sleeper_is_woken_by_single_releases() {
    loom::model(|| {
        let (gate, [_, b, c]) = (gate(0, 3), people());
        let others = [&b, &c].map(|who| spawn(&gate, who, |gate, who| gate.acquire(&who)));
        assert!(gate.raw().release(1));
        assert!(gate.raw().release(1));
        let _ = others.map(|other| other.join().unwrap());
        assert_eq!(gate.raw().value(), 0);
    });
}

#[test]
fn a_release_of_many_wakes_as_many() {
    loom::model(|| {
        let (gate, [_, b, c]) = (gate(0, 3), people());
        let others = [&b, &c].map(|who| spawn(&gate, who, |gate, who| gate.acquire(&who)));
        assert!(gate.raw().release(2));
        let _ = others.map(|other| other.join().unwrap());
    });
}

#[test]
fn a_permit_given_back_wakes_one_after_the_other() {
    loom::model(|| {
        let (gate, [a, b, c]) = (gate(1, 3), people());
        gate.acquire(&a);
        let others = [&b, &c].map(|who| spawn(&gate, who, |gate, who| gate.pass(&who)));
        gate.give(&a);
        let _ = others.map(|other| other.join().unwrap());
        assert_eq!(gate.raw().value(), 1);
    });
}

#[test]
fn who_sleeps_again_is_woken_again() {
    loom::model(|| {
        let (gate, [a, b]) = (gate(0, 2), people());
        let other = spawn(&gate, &b, |gate, _| {
            assert!(gate.raw().release(2));
            assert!(gate.raw().release(1));
        });
        for _ in 0..3 {
            gate.acquire(&a);
        }
        other.join().unwrap();
    });
}

#[test]
fn who_starves_is_called_or_does_not_fall_asleep() {
    // Sleeps that end by themselves before the one that counts: the second one is of who starves, the
    // third of who has said so before.
    for naps in [1, 2] {
        loom::model(move || {
            let (gate, [a, b]) = (gate(0, 2), people());
            model::let_caps_strike(naps);
            let other = spawn(&gate, &b, |gate, _| assert!(gate.raw().release(1)));
            gate.acquire(&a);
            other.join().unwrap();
        });
    }
}

#[test]
fn who_was_passed_by_starves_and_is_called() {
    loom::model(|| {
        let (gate, [a, b]) = (gate(1, 2), people());
        gate.acquire(&a);
        let other = spawn(&gate, &b, |gate, b| gate.pass(&b));
        gate.give(&a);
        gate.pass(&a);
        other.join().unwrap();
        assert_eq!(gate.raw().value(), 1);
    });
}

#[test]
fn who_lets_the_starving_pass_is_woken_when_there_are_none_any_more() {
    loom::model(|| {
        let (gate, [a, b, c]) = (gate(0, 3), people());
        model::let_caps_strike(1);
        // Starves if its first sleep ended by itself, and may have the permit without a second one.
        let early = spawn(&gate, &b, |gate, b| gate.pass(&b));
        let late = spawn(&gate, &c, |gate, c| gate.pass(&c));
        assert!(gate.raw().release(1));
        early.join().unwrap();
        late.join().unwrap();
        assert!(gate.try_acquire(&a));
    });
}

#[test]
fn a_sleeper_that_gives_up_does_not_keep_the_wake_up_of_another() {
    loom::model(|| {
        let (gate, [_, b, c]) = (gate(0, 3), people());
        let hasty = spawn(&gate, &b, |gate, b| {
            match gate.raw().acquire(&b, Deadline::after(model::STEP)) {
                Ok(()) => gate.give(&b),
                Err(failure) => assert_eq!(failure, NoPermit::Timeout),
            }
        });
        let patient = spawn(&gate, &c, |gate, c| gate.pass(&c));
        assert!(gate.raw().release(1));
        model::pass_time();
        hasty.join().unwrap();
        patient.join().unwrap();
    });
}

#[test]
fn what_the_dead_held_comes_back_once_whoever_asks() {
    loom::model(|| {
        let (gate, [dead, a, b]) = (gate(2, 3), people());
        gate.acquire(&dead);
        gate.acquire(&dead);
        dead.die();
        let other = spawn(&gate, &b, |gate, b| gate.take_all(&b));
        let mine = gate.take_all(&a);
        assert_eq!(mine + other.join().unwrap(), 2);
        assert_eq!(gate.raw().value(), 0);
    });
}

#[test]
fn a_holder_that_dies_while_others_sleep_is_noticed() {
    loom::model(|| {
        let (gate, [dead, a, b]) = (gate(2, 3), people());
        gate.acquire(&dead);
        gate.acquire(&dead);
        let others = [&a, &b].map(|who| spawn(&gate, who, |gate, who| gate.acquire(&who)));
        dead.die();
        // Who sleeps by then learns of it at the end of a cap; one who does is enough for all.
        model::let_caps_strike(1);
        let _ = others.map(|other| other.join().unwrap());
    });
}

/// The next occupant of a dead one's slot.
#[derive(Clone, Copy)]
struct Heir {
    me: ParticipantId,
    dead: ParticipantId,
}

impl Liveness for Heir {
    fn me(&self) -> ParticipantId {
        self.me
    }

    fn is_dead(&self, id: ParticipantId) -> bool {
        id == self.dead || id == ParticipantId::DEAD
    }
}

#[test]
fn threads_of_the_next_occupant_of_a_slot_claim_its_record_and_lose_nothing() {
    loom::model(|| {
        let gate = gate(2, 1);
        let first = Heir { me: participant(0, 1), dead: participant(0, 3) };
        gate.acquire(&first);
        let next = Heir { me: participant(0, 2), dead: participant(0, 1) };
        let sibling = {
            let gate = gate.clone();
            thread::spawn(move || gate.acquire(&next))
        };
        gate.acquire(&next);
        sibling.join().unwrap();
        assert_eq!(gate.raw().value(), 0);
        // Neither has given back the permit of the other.
        let last = Heir { me: participant(0, 3), dead: participant(0, 2) };
        assert_eq!(gate.take_all(&last), 2);
    });
}
