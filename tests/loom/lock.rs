//! The robust lock: one owner at a time, every sleeper woken, every death told.

use crate::world::{Person, people};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use shmkit::internals::{Acquired, Deadline, LockFailure, RawLock, Release, model};

/// A lock and what it protects; loom watches over every access to that.
#[derive(Default)]
struct Room {
    lock: RawLock,
    visits: UnsafeCell<u32>,
}

// SAFETY: `visits` is touched under the lock only; loom checks that claim.
#[allow(unsafe_code)]
unsafe impl Sync for Room {}

impl Room {
    fn enter(&self, who: &Person) -> Acquired {
        self.lock.lock(who, Deadline::Never).unwrap()
    }

    #[allow(unsafe_code)]
    fn visit(&self) {
        // SAFETY: the caller holds the lock.
        self.visits.with_mut(|visits| unsafe { *visits += 1 });
    }

    fn leave(&self, who: &Person) {
        self.lock.unlock(who, Release::Clean);
    }

    /// Enters, visits, leaves, and repairs if need be.
    fn pass(&self, who: &Person) -> Acquired {
        let acquired = self.enter(who);
        self.visit();
        if acquired == Acquired::OwnerDied {
            self.lock.mark_recovered();
        }
        self.leave(who);
        acquired
    }

    /// Everybody is out: the number of visits.
    #[allow(unsafe_code)]
    fn count(&self, who: &Person) -> u32 {
        let _ = self.enter(who);
        // SAFETY: we hold the lock.
        let count = self.visits.with(|visits| unsafe { *visits });
        self.leave(who);
        count
    }
}

fn spawn<R: 'static>(
    room: &Arc<Room>,
    who: &Person,
    f: impl FnOnce(&Room, Person) -> R + 'static,
) -> JoinHandle<R> {
    let (room, who) = (room.clone(), who.clone());
    thread::spawn(move || f(&room, who))
}

#[test]
fn holders_exclude_each_other_and_see_what_the_last_one_wrote() {
    loom::model(|| {
        let (room, [a, b]) = (Arc::new(Room::default()), people());
        let other = spawn(&room, &b, |room, b| {
            let _ = room.pass(&b);
            let _ = room.pass(&b);
        });
        let _ = room.pass(&a);
        other.join().unwrap();
        assert_eq!(room.count(&a), 3);
    });
}

/// No futex here, whose model brings an edge that the kernel does not promise.
#[test]
fn holders_exclude_each_other_without_ever_sleeping() {
    loom::model(|| {
        let (room, [a, b]) = (Arc::new(Room::default()), people());
        let tries = |room: &Room, who: &Person| {
            let mut visits = 0;
            for _ in 0..2 {
                if room.lock.try_lock(who).is_ok() {
                    room.visit();
                    room.leave(who);
                    visits += 1;
                }
            }
            visits
        };
        let other = spawn(&room, &b, move |room, b| tries(room, &b));
        let mine = tries(&room, &a);
        assert_eq!(mine + other.join().unwrap(), room.count(&a));
    });
}

#[test]
fn every_sleeper_is_woken() {
    loom::model(|| {
        let (room, [a, b, c]) = (Arc::new(Room::default()), people());
        let _ = room.enter(&a);
        let others = [&b, &c].map(|who| spawn(&room, who, |room, who| room.pass(&who)));
        room.leave(&a);
        let _ = others.map(|other| assert_eq!(other.join().unwrap(), Acquired::Clean));
        assert_eq!(room.count(&a), 2);
    });
}

/// In a model whoever looks a second time in vain starves.
#[test]
fn those_who_starve_are_woken_and_so_are_those_who_let_them_pass() {
    loom::model(|| {
        let (room, [a, b, c]) = (Arc::new(Room::default()), people());
        let _ = room.enter(&a);
        let others = [&b, &c].map(|who| spawn(&room, who, |room, who| room.pass(&who)));
        room.leave(&a);
        for _ in 0..2 {
            let _ = room.pass(&a);
        }
        let _ = others.map(|other| assert_eq!(other.join().unwrap(), Acquired::Clean));
        assert_eq!(room.count(&a), 4);
        assert!(room.lock.is_at_rest());
    });
}

#[test]
fn two_who_starve_at_once_are_woken_one_after_the_other() {
    loom::model(|| {
        let (room, [a, b, c]) = (Arc::new(Room::default()), people());
        let _ = room.enter(&a);
        let others = [&b, &c].map(|who| spawn(&room, who, |room, who| room.pass(&who)));
        model::let_caps_strike(2);
        room.leave(&a);
        let _ = others.map(|other| assert_eq!(other.join().unwrap(), Acquired::Clean));
        assert_eq!(room.count(&a), 2);
        assert!(room.lock.is_at_rest());
    });
}

#[test]
fn one_who_starves_and_gives_up_does_not_keep_the_wake_up_of_another() {
    loom::model(|| {
        let (room, [a, b, c]) = (Arc::new(Room::default()), people());
        let _ = room.enter(&a);
        let hasty = spawn(&room, &b, |room, b| {
            if room.lock.lock(&b, Deadline::after(model::STEP)).is_ok() {
                room.leave(&b);
            }
        });
        let patient = spawn(&room, &c, |room, c| room.pass(&c));
        room.leave(&a);
        let _ = room.enter(&a);
        model::pass_time();
        room.leave(&a);
        let _ = room.pass(&a);
        hasty.join().unwrap();
        assert_eq!(patient.join().unwrap(), Acquired::Clean);
        assert_eq!(room.count(&a), 2);
    });
}

#[test]
fn who_does_not_wait_is_refused_only_while_somebody_holds_the_lock() {
    loom::model(|| {
        let (room, [a, b]) = (Arc::new(Room::default()), people());
        let _ = room.enter(&a);
        let other = spawn(&room, &b, |room, b| room.pass(&b));
        room.leave(&a);
        let _ = room.enter(&a);
        room.leave(&a);
        if room.lock.try_lock(&a).is_ok() {
            room.visit();
            room.leave(&a);
        } else {
            // The other had it then, or has it still.
            let _ = other.join().unwrap();
            return assert_eq!(room.count(&a), 1);
        }
        let _ = other.join().unwrap();
        assert_eq!(room.count(&a), 2);
    });
}

#[test]
fn a_sleeper_that_gives_up_does_not_keep_the_wake_up_of_another() {
    loom::model(|| {
        let (room, [a, b, c]) = (Arc::new(Room::default()), people());
        let _ = room.enter(&a);
        let hasty =
            spawn(&room, &b, |room, b| match room.lock.lock(&b, Deadline::after(model::STEP)) {
                Ok(_) => room.leave(&b),
                Err(failure) => assert_eq!(failure, LockFailure::Timeout),
            });
        let patient = spawn(&room, &c, |room, c| room.pass(&c));
        room.leave(&a);
        model::pass_time();
        let _ = room.pass(&a);
        hasty.join().unwrap();
        assert_eq!(patient.join().unwrap(), Acquired::Clean);
    });
}

#[test]
fn a_dead_owner_is_reported_to_exactly_one_of_those_who_repair() {
    loom::model(|| {
        let (room, [dead, a, b]) = (Arc::new(Room::default()), people());
        let _ = room.enter(&dead);
        dead.die();
        model::let_caps_strike(1);
        let other = spawn(&room, &b, |room, b| room.pass(&b));
        let told = [room.pass(&a), other.join().unwrap()];
        assert_eq!(told.iter().filter(|&&t| t == Acquired::OwnerDied).count(), 1);
        assert_eq!(room.count(&a), 2);
    });
}

#[test]
fn an_unrepaired_death_is_told_again() {
    loom::model(|| {
        let (room, [dead, a, b]) = (Arc::new(Room::default()), people());
        let _ = room.enter(&dead);
        dead.die();
        model::let_caps_strike(1);
        let no_repair = |room: &Room, who: &Person| {
            assert_eq!(room.enter(who), Acquired::OwnerDied);
            room.visit();
            room.leave(who);
        };
        let other = spawn(&room, &b, move |room, b| no_repair(room, &b));
        no_repair(&room, &a);
        other.join().unwrap();
        assert_eq!(room.enter(&a), Acquired::OwnerDied);
    });
}

#[test]
fn an_owner_that_dies_while_others_sleep_is_replaced() {
    loom::model(|| {
        let (room, [dead, a, b]) = (Arc::new(Room::default()), people());
        let _ = room.enter(&dead);
        let others = [&a, &b].map(|who| spawn(&room, who, |room, who| room.pass(&who)));
        dead.die();
        // Who sleeps by then learns of it at the end of a cap; one who does is enough for all.
        model::let_caps_strike(1);
        let told = others.map(|other| other.join().unwrap());
        assert_eq!(told.iter().filter(|&&t| t == Acquired::OwnerDied).count(), 1);
    });
}

#[test]
fn an_owner_that_dies_while_others_starve_is_replaced() {
    loom::model(|| {
        let (room, [dead, a, b, last]) = (Arc::new(Room::default()), people());
        let _ = room.enter(&dead);
        let others = [&a, &b].map(|who| spawn(&room, who, |room, who| room.pass(&who)));
        room.leave(&dead);
        let _ = room.enter(&dead);
        dead.die();
        model::let_caps_strike(2);
        let told = others.map(|other| other.join().unwrap());
        assert!(told.iter().filter(|&&t| t == Acquired::OwnerDied).count() <= 1);
        assert_eq!(room.count(&last), 2);
    });
}

#[test]
fn threads_of_one_participant_exclude_each_other_and_are_not_taken_for_each_other() {
    loom::model(|| {
        let (room, [a]) = (Arc::new(Room::default()), people());
        let twice = |room: &Room, who: &Person| {
            for _ in 0..2 {
                let _ = room.pass(who);
            }
            let _ = room.enter(who);
            assert!(room.lock.is_held(who));
            assert_eq!(room.lock.try_lock(who), Err(LockFailure::WouldDeadlock));
            room.leave(who);
            assert!(!room.lock.is_held(who));
        };
        let sibling = spawn(&room, &a, move |room, a| twice(room, &a));
        twice(&room, &a);
        sibling.join().unwrap();
        assert_eq!(room.count(&a), 4);
    });
}
