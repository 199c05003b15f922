//! The barrier: all go on together, or all learn that it broke; nobody is left behind.

use crate::world::{Person, people};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering::Relaxed};
use loom::thread::{self, JoinHandle};
use shmkit::internals::{Broken, Deadline, Liveness, RawBarrier, Spin, model};

/// A barrier of two or three, and what they write before they come.
struct Room {
    barrier: RawBarrier,
    parties: u32,
    notes: [UnsafeCell<u32>; 3],
}

// SAFETY: a note is written by its party before it comes, and read by all after; loom checks that.
#[allow(unsafe_code)]
unsafe impl Sync for Room {}

impl Room {
    fn of(parties: u32) -> Arc<Room> {
        let notes = std::array::from_fn(|_| UnsafeCell::new(0));
        Arc::new(Room { barrier: RawBarrier::default(), parties, notes })
    }

    fn meet_until(&self, deadline: Deadline, party_died: &dyn Fn() -> bool) -> Result<u32, Broken> {
        let none = None::<fn()>;
        self.barrier.wait(self.parties, &Spin::new(), deadline, none, &party_died)
    }

    fn meet(&self) -> Result<u32, Broken> {
        self.meet_until(Deadline::Never, &|| false)
    }

    fn meet_with(&self, action: impl FnOnce()) -> Result<u32, Broken> {
        let (spin, alive) = (Spin::new(), || false);
        self.barrier.wait(self.parties, &spin, Deadline::Never, Some(action), &alive)
    }

    #[allow(unsafe_code)]
    fn write(&self, who: usize, note: u32) {
        // SAFETY: ours until we come.
        self.notes[who].with_mut(|place| unsafe { *place = note });
    }

    #[allow(unsafe_code)]
    fn read(&self, who: usize) -> u32 {
        // SAFETY: it has come.
        self.notes[who].with(|place| unsafe { *place })
    }
}

fn spawn<R: 'static>(room: &Arc<Room>, f: impl FnOnce(&Room) -> R + 'static) -> JoinHandle<R> {
    let room = room.clone();
    thread::spawn(move || f(&room))
}

fn indices<const N: usize>(mut met: [Result<u32, Broken>; N]) -> [Result<u32, Broken>; N] {
    met.sort_by_key(|met| met.unwrap_or(u32::MAX));
    met
}

#[test]
fn two_meet_and_see_what_the_other_wrote() {
    loom::model(|| {
        let room = Room::of(2);
        let other = spawn(&room, |room| {
            room.write(1, 8);
            let met = room.meet();
            assert_eq!(room.read(0), 7);
            met
        });
        room.write(0, 7);
        let met = room.meet();
        assert_eq!(room.read(1), 8);
        assert_eq!(indices([met, other.join().unwrap()]), [Ok(0), Ok(1)]);
    });
}

#[test]
fn three_meet_and_see_what_the_others_wrote() {
    loom::model(|| {
        let room = Room::of(3);
        let pass = |room: &Room, who: usize| {
            room.write(who, 7);
            let met = room.meet();
            assert_eq!([0, 1, 2].map(|one| room.read(one)), [7; 3]);
            met
        };
        let others = [1, 2].map(|who| spawn(&room, move |room| pass(room, who)));
        let met = pass(&room, 0);
        let [a, b] = others.map(|other| other.join().unwrap());
        assert_eq!(indices([met, a, b]), [Ok(0), Ok(1), Ok(2)]);
    });
}

#[test]
fn two_meet_round_after_round() {
    loom::model(|| {
        let room = Room::of(2);
        let twice = |room: &Room| [room.meet(), room.meet()];
        let other = spawn(&room, twice);
        let mine = twice(&room);
        let theirs = other.join().unwrap();
        for round in 0..2 {
            assert_eq!(indices([mine[round], theirs[round]]), [Ok(0), Ok(1)]);
        }
    });
}

#[test]
fn the_action_sees_what_all_wrote_and_all_see_what_it_wrote() {
    loom::model(|| {
        let room = Room::of(2);
        let pass = |room: &Room, who: usize| {
            room.write(who, 7);
            let action = || {
                assert_eq!([room.read(0), room.read(1)], [7; 2]);
                room.write(2, room.read(2) + 1);
            };
            let met = room.meet_with(action);
            assert_eq!(room.read(2), 1);
            met
        };
        let other = spawn(&room, move |room| pass(room, 1));
        let met = pass(&room, 0);
        assert_eq!(indices([met, other.join().unwrap()]), [Ok(0), Ok(1)]);
    });
}

/// Of three, two meet; the one of them who came last comes again, for the third. So many steps that
/// one interruption has to do.
#[test]
fn one_too_many_waits_for_the_next_round() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(1);
    model.check(|| {
        let room = Room::of(2);
        let rounds = Arc::new(AtomicU32::new(0));
        let pass = |room: &Room, rounds: &AtomicU32| {
            let mut again = false;
            room.meet_with(|| again = rounds.fetch_add(1, Relaxed) == 0).unwrap();
            if again {
                room.meet_with(|| assert_eq!(rounds.fetch_add(1, Relaxed), 1)).unwrap();
            }
        };
        let others = [(); 2].map(|()| {
            let rounds = rounds.clone();
            spawn(&room, move |room| pass(room, &rounds))
        });
        pass(&room, &rounds);
        let _ = others.map(|other| other.join().unwrap());
        assert_eq!(rounds.load(Relaxed), 2);
    });
}

#[test]
fn an_abort_is_told_to_all_who_have_not_met() {
    loom::model(|| {
        let room = Room::of(2);
        let others = [(); 2].map(|()| spawn(&room, Room::meet));
        room.barrier.break_now(Broken::Aborted, || ());
        let met = indices(others.map(|other| other.join().unwrap()));
        assert!(met == [Ok(0), Ok(1)] || met == [Err(Broken::Aborted); 2], "{met:?}");
    });
}

#[test]
fn a_reset_wakes_who_is_there_and_leaves_it_usable() {
    loom::model(|| {
        let room = Room::of(2);
        let other = spawn(&room, |room| match room.meet() {
            Err(Broken::Reset) => room.meet(),
            met => met,
        });
        room.barrier.reset();
        let met = room.meet();
        assert_eq!(indices([met, other.join().unwrap()]), [Ok(0), Ok(1)]);
    });
}

#[test]
fn who_is_late_breaks_it_or_has_met() {
    loom::model(|| {
        let room = Room::of(2);
        let hasty = spawn(&room, |room| room.meet_until(Deadline::after(model::STEP), &|| false));
        model::pass_time();
        let met = room.meet();
        let theirs = hasty.join().unwrap();
        let outcome = indices([met, theirs]);
        assert!(outcome == [Ok(0), Ok(1)] || outcome == [Err(Broken::Timeout); 2], "{outcome:?}");
    });
}

#[test]
fn a_death_is_told_to_all_who_sleep() {
    loom::model(|| {
        let (room, [dead, a, b]) = (Room::of(3), people());
        let corpse = dead.me();
        let others = [a, b].map(|who: Person| {
            let room = room.clone();
            thread::spawn(move || room.meet_until(Deadline::Never, &|| who.is_dead(corpse)))
        });
        dead.die();
        // One who looks is enough for all.
        model::let_caps_strike(1);
        let met = others.map(|other| other.join().unwrap());
        assert_eq!(met, [Err(Broken::PartyDied); 2]);
    });
}

#[test]
fn a_round_broken_while_its_action_runs_is_broken_for_all() {
    loom::model(|| {
        let room = Room::of(2);
        let other = spawn(&room, Room::meet);
        let breaker = spawn(&room, |room| room.barrier.break_now(Broken::Aborted, || ()));
        let met = room.meet_with(|| ());
        let theirs = other.join().unwrap();
        breaker.join().unwrap();
        let outcome = indices([met, theirs]);
        assert!(outcome == [Ok(0), Ok(1)] || outcome == [Err(Broken::Aborted); 2], "{outcome:?}");
    });
}
