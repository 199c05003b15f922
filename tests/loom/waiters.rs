//! The waiters of a condition: each notification wakes one who waited, and no dead one keeps it.

use crate::world::{Person, people};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use shmkit::internals::{
    Acquired, Deadline, Liveness, ParticipantId, RawLock, Release, Spin, Waiters, model,
    participant,
};

/// A lock, what it protects, and who waits for that to change.
#[derive(Default)]
struct Room<const N: usize = 2> {
    lock: RawLock,
    things: UnsafeCell<u32>,
    waiters: Waiters<N>,
}

// SAFETY: `things` is touched under the lock only; loom checks that claim.
#[allow(unsafe_code)]
unsafe impl<const N: usize> Sync for Room<N> {}

impl<const N: usize> Room<N> {
    fn enter(&self, who: &Person) {
        let acquired = self.lock.lock(who, Deadline::Never).unwrap();
        if acquired == Acquired::OwnerDied {
            self.lock.mark_recovered();
        }
    }

    fn leave(&self, who: &Person) {
        self.lock.unlock(who, Release::Clean);
    }

    #[allow(unsafe_code)]
    fn change<R>(&self, f: impl FnOnce(&mut u32) -> R) -> R {
        // SAFETY: the caller holds the lock.
        self.things.with_mut(|things| f(unsafe { &mut *things }))
    }

    /// Waits once, with the lock held before and after, and says whether it was notified.
    fn wait(&self, who: &Person, deadline: Deadline) -> bool {
        let place = self.waiters.enter(who);
        self.leave(who);
        let notified = self.waiters.sleep(place, who, &Spin::new(), deadline);
        self.enter(who);
        if notified {
            self.waiters.leave(place, who, true);
        }
        notified
    }

    /// Waits for a thing and takes it.
    fn take(&self, who: &Person) {
        self.enter(who);
        while self.change(|things| *things == 0) {
            assert!(self.wait(who, Deadline::Never));
        }
        self.change(|things| *things -= 1);
        self.leave(who);
    }

    fn put(&self, who: &Person) {
        self.enter(who);
        self.change(|things| *things += 1);
        self.leave(who);
        self.waiters.notify(1, who);
    }
}

fn spawn<const N: usize, R: 'static>(
    room: &Arc<Room<N>>,
    who: &Person,
    f: impl FnOnce(&Room<N>, Person) -> R + 'static,
) -> JoinHandle<R> {
    let (room, who) = (room.clone(), who.clone());
    thread::spawn(move || f(&room, who))
}

#[test]
fn what_is_notified_after_the_lock_was_given_up_is_not_missed() {
    loom::model(|| {
        let (room, [a, b]) = (Arc::new(Room::<2>::default()), people());
        let taker = spawn(&room, &b, |room, b| room.take(&b));
        room.put(&a);
        taker.join().unwrap();
    });
}

#[test]
fn two_takers_get_what_two_notifications_announce() {
    loom::model(|| {
        let (room, [a, b, c]) = (Arc::new(Room::<2>::default()), people());
        let takers = [&b, &c].map(|who| spawn(&room, who, |room, who| room.take(&who)));
        room.put(&a);
        room.put(&a);
        let _ = takers.map(|taker| taker.join().unwrap());
    });
}

#[test]
fn two_notifiers_wake_two_waiters() {
    loom::model(|| {
        let (room, [a, b, c]) = (Arc::new(Room::<2>::default()), people());
        let places = [&a, &b].map(|who| room.waiters.enter(who));
        let other = spawn(&room, &c, |room, c| room.waiters.notify(1, &c));
        room.waiters.notify(1, &a);
        other.join().unwrap();
        for (place, who) in places.into_iter().zip([&a, &b]) {
            assert!(room.waiters.sleep(place, who, &Spin::new(), Deadline::Now));
            room.waiters.leave(place, who, true);
        }
    });
}

#[test]
fn a_waiter_that_gives_up_was_notified_or_leaves_the_wake_up_to_the_other() {
    loom::model(|| {
        let (room, [a, b, c]) = (Arc::new(Room::<2>::default()), people());
        let [hasty, patient] = [&b, &c].map(|who| room.waiters.enter(who));
        let notifier = spawn(&room, &a, |room, a| room.waiters.notify(1, &a));
        let other = spawn(&room, &b, move |room, b| {
            let told = room.waiters.sleep(hasty, &b, &Spin::new(), Deadline::Now);
            if told {
                room.waiters.leave(hasty, &b, true);
            }
            told
        });
        notifier.join().unwrap();
        let first = other.join().unwrap();
        let second = room.waiters.sleep(patient, &c, &Spin::new(), Deadline::Now);
        assert!(first != second, "{first} {second}");
    });
}

/// Somebody who asks nobody, because a question orders more than the waiters promise.
struct Incurious(ParticipantId);

impl Liveness for Incurious {
    fn me(&self) -> ParticipantId {
        self.0
    }

    fn is_dead(&self, _: ParticipantId) -> bool {
        false
    }
}

/// Nobody sleeps, asks or locks here: all of that orders more than a notification does.
fn whoever_was_notified_sees_what_was_written<const N: usize>() {
    loom::model(|| {
        let room = Arc::new(Room::<N>::default());
        let [a, b] = [0, 1].map(|slot| Incurious(participant(slot, 1)));
        let place = room.waiters.enter(&b);
        let waiter = {
            let room = room.clone();
            thread::spawn(move || {
                if room.waiters.sleep(place, &b, &Spin::new(), Deadline::Now) {
                    assert_eq!(room.change(|things| *things), 7);
                }
            })
        };
        room.change(|things| *things = 7); // no lock: the waiter looks only once it is told
        room.waiters.notify(1, &a);
        waiter.join().unwrap();
    });
}

#[test]
fn what_the_notifier_wrote_is_seen_by_who_was_notified() {
    whoever_was_notified_sees_what_was_written::<1>();
}

#[test]
fn what_the_notifier_wrote_is_seen_by_the_crowd() {
    whoever_was_notified_sees_what_was_written::<0>();
}

#[test]
fn the_crowd_without_cells_is_woken_by_every_notification() {
    loom::model(|| {
        let (room, [a, b, c]) = (Arc::new(Room::<1>::default()), people());
        let takers = [&b, &c].map(|who| spawn(&room, who, |room, who| room.take(&who)));
        room.put(&a);
        room.put(&a);
        let _ = takers.map(|taker| taker.join().unwrap());
    });
}

#[test]
fn a_dead_waiter_takes_no_wake_up() {
    loom::model(|| {
        let (room, [dead, a, b]) = (Arc::new(Room::<2>::default()), people());
        let _ = room.waiters.enter(&dead);
        dead.die();
        let taker = spawn(&room, &b, |room, b| room.take(&b));
        room.put(&a);
        taker.join().unwrap();
    });
}

#[test]
fn a_wake_up_that_died_with_its_owner_is_found_by_a_sleeper() {
    loom::model(|| {
        let (room, [dead, a, b]) = (Arc::new(Room::<2>::default()), people());
        let _ = room.waiters.enter(&dead);
        let place = room.waiters.enter(&b);
        let sleeper = spawn(&room, &b, move |room, b| {
            room.waiters.sleep(place, &b, &Spin::new(), Deadline::Never)
        });
        room.waiters.notify(1, &a);
        dead.die();
        model::let_caps_strike(1);
        assert!(sleeper.join().unwrap());
    });
}

#[test]
fn two_who_look_after_the_dead_pass_one_wake_up_on_once() {
    loom::model(|| {
        let (room, [dead, a, b]) = (Arc::new(Room::<3>::default()), people());
        let _ = room.waiters.enter(&dead);
        let places = [&a, &b].map(|who| room.waiters.enter(who));
        room.waiters.notify(1, &a);
        dead.die();
        let look = |room: &Room<3>, who: &Person, place| {
            room.waiters.sleep(place, who, &Spin::new(), Deadline::Now)
        };
        let other = spawn(&room, &b, move |room, b| look(room, &b, places[1]));
        let mine = look(&room, &a, places[0]);
        let theirs = other.join().unwrap();
        // One of them at most. If none was, the wake-up was passed to one who had given up before;
        // to nobody then.
        assert!(!(mine && theirs));
    });
}

#[test]
fn cells_go_to_one_waiter_each() {
    loom::model(|| {
        let (room, [dead, a, b]) = (Arc::new(Room::<2>::default()), people());
        let _ = room.waiters.enter(&dead);
        dead.die();
        // Under two locks, so at once.
        let other = spawn(&room, &b, |room, b| room.waiters.enter(&b));
        let mine = room.waiters.enter(&a);
        let theirs = other.join().unwrap();
        room.waiters.notify(1, &a);
        let told = [(mine, &a), (theirs, &b)]
            .map(|(place, who)| room.waiters.sleep(place, who, &Spin::new(), Deadline::Now));
        assert!(told[0] != told[1], "{told:?}");
    });
}
