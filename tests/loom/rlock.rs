//! The lock that nests: threads exclude each other at every depth, and the next one starts at one.

use crate::world::{Person, people};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use shmkit::internals::{Acquired, Deadline, Liveness, LockFailure, RecursiveLock, model};

/// A lock and what it protects; loom watches over every access to that.
#[derive(Default)]
struct Room {
    lock: RecursiveLock,
    visits: UnsafeCell<u32>,
}

// SAFETY: `visits` is touched under the lock only; loom checks that claim.
#[allow(unsafe_code)]
unsafe impl Sync for Room {}

impl Room {
    fn enter(&self, who: &Person) -> Acquired {
        self.lock.enter(who, Deadline::Never).unwrap()
    }

    fn leave(&self, who: &Person) {
        self.lock.leave(who.me(), false);
    }

    #[allow(unsafe_code)]
    fn visit(&self) -> u32 {
        // SAFETY: the caller holds the lock.
        self.visits.with_mut(|visits| unsafe {
            *visits += 1;
            *visits
        })
    }

    /// In twice, out twice, with a visit on each level; repairs if need be.
    fn pass(&self, who: &Person) -> Acquired {
        let acquired = self.enter(who);
        assert_eq!(self.lock.depth(), 1);
        self.visit();
        assert_eq!(self.enter(who), acquired);
        assert_eq!(self.lock.depth(), 2);
        if acquired == Acquired::OwnerDied {
            self.lock.mark_recovered();
        }
        self.visit();
        self.leave(who);
        self.visit();
        self.leave(who);
        acquired
    }

    /// From inside: one level further in and out again; how deep that was.
    fn pass_on(&self, who: &Person) -> u64 {
        let _ = self.enter(who);
        self.visit();
        let depth = self.lock.depth();
        self.leave(who);
        depth
    }
}

#[test]
fn holders_exclude_each_other_on_every_level() {
    loom::model(|| {
        let (room, [a, b]) = (Arc::new(Room::default()), people());
        let other = {
            let room = room.clone();
            thread::spawn(move || room.pass(&b))
        };
        assert_eq!(room.pass(&a), Acquired::Clean);
        assert_eq!(other.join().unwrap(), Acquired::Clean);
        assert_eq!(room.enter(&a), Acquired::Clean);
        assert_eq!(room.visit(), 7);
    });
}

/// No futex here, whose model brings an edge that the kernel does not promise.
#[test]
fn threads_of_one_participant_have_a_depth_each_and_never_share_it() {
    loom::model(|| {
        let (room, [a]) = (Arc::new(Room::default()), people());
        let tries = |room: &Room, who: &Person| {
            for _ in 0..2 {
                match room.lock.enter(who, Deadline::Now) {
                    Ok(_) => {
                        assert_eq!((room.pass_on(who), room.lock.depth()), (2, 1));
                        room.leave(who);
                    }
                    Err(failure) => assert_eq!(failure, LockFailure::WouldBlock),
                }
            }
        };
        let sibling = {
            let (room, a) = (room.clone(), a.clone());
            thread::spawn(move || tries(&room, &a))
        };
        tries(&room, &a);
        sibling.join().unwrap();
    });
}

#[test]
fn a_holder_that_dies_deep_inside_is_told_to_exactly_one_who_starts_at_one() {
    loom::model(|| {
        let (room, [dead, a, b]) = (Arc::new(Room::default()), people());
        for _ in 0..2 {
            let _ = room.enter(&dead);
        }
        dead.die();
        model::let_caps_strike(1);
        let other = {
            let room = room.clone();
            thread::spawn(move || room.pass(&b))
        };
        let told = [room.pass(&a), other.join().unwrap()];
        assert_eq!(told.iter().filter(|&&t| t == Acquired::OwnerDied).count(), 1);
    });
}
