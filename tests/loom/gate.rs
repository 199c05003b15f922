//! The gate: whoever waits goes on after a set, and sees what the setter wrote.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering::Relaxed};
use loom::thread;
use shmkit::internals::{Deadline, Gate, Spin, model};

#[derive(Default)]
struct Room {
    gate: Gate,
    /// Written before a set; loom watches over every access.
    note: UnsafeCell<u32>,
}

// SAFETY: `note` is written before the set and read after; loom checks that claim.
#[allow(unsafe_code)]
unsafe impl Sync for Room {}

impl Room {
    fn wait(&self) -> bool {
        self.gate.wait(&Spin::new(), Deadline::Never)
    }

    #[allow(unsafe_code)]
    fn write(&self) {
        // SAFETY: nobody reads before the set that follows.
        self.note.with_mut(|note| unsafe { *note += 1 });
    }

    #[allow(unsafe_code)]
    fn read(&self) -> u32 {
        // SAFETY: the caller has seen the set that came after the write.
        self.note.with(|note| unsafe { *note })
    }
}

fn spawn<R: 'static>(
    room: &Arc<Room>,
    f: impl FnOnce(&Room) -> R + 'static,
) -> thread::JoinHandle<R> {
    let room = room.clone();
    thread::spawn(move || f(&room))
}

#[test]
fn a_set_lets_every_waiter_go_on_who_then_sees_what_was_written() {
    loom::model(|| {
        let room = Arc::new(Room::default());
        let waiters = [(); 2].map(|()| {
            spawn(&room, |room| {
                assert!(room.wait());
                room.read()
            })
        });
        room.write();
        room.gate.set(|| ());
        assert_eq!(waiters.map(|waiter| waiter.join().unwrap()), [1; 2]);
    });
}

#[test]
fn a_pulse_is_not_missed_by_who_came_before_it() {
    loom::model(|| {
        let room = Arc::new(Room::default());
        let waiter = spawn(&room, |room| {
            room.wait();
            room.read()
        });
        room.write();
        room.gate.set(|| ());
        room.gate.clear();
        // For who came too late.
        room.gate.set(|| ());
        assert_eq!(waiter.join().unwrap(), 1);
    });
}

/// No futex here, whose model brings an edge that the kernel does not promise.
#[test]
fn whoever_finds_it_set_sees_what_was_written_without_ever_sleeping() {
    loom::model(|| {
        let room = Arc::new(Room::default());
        let looker = spawn(&room, |room| {
            if room.gate.is_set() {
                assert_eq!(room.read(), 1);
            }
        });
        let other = spawn(&room, |room| {
            if room.gate.wait(&Spin::new(), Deadline::Now) {
                assert_eq!(room.read(), 1);
            }
        });
        room.write();
        room.gate.set(|| ());
        looker.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn whoever_sees_the_end_of_a_pulse_sees_what_was_written_before_it() {
    loom::model(|| {
        let room = Arc::new(Room::default());
        let clearer = spawn(&room, |room| room.gate.clear());
        let waiter = spawn(&room, |room| {
            if room.gate.wait(&Spin::new(), Deadline::Now) {
                assert_eq!(room.read(), 1);
            }
        });
        room.write();
        room.gate.set(|| ());
        clearer.join().unwrap();
        waiter.join().unwrap();
    });
}

/// Who clears and then looks for what is announced by sets finds it, or a set that is still to come.
#[test]
fn a_second_set_is_not_lost_in_a_clear() {
    loom::model(|| {
        let room = Arc::new(Room::default());
        let thing = Arc::new(AtomicU32::new(0));
        room.gate.set(|| ());
        let setter = {
            let (room, thing) = (room.clone(), thing.clone());
            thread::spawn(move || {
                thing.store(1, Relaxed);
                room.gate.set(|| ());
            })
        };
        room.gate.clear();
        if thing.load(Relaxed) == 0 {
            assert!(room.wait());
        }
        setter.join().unwrap();
    });
}

#[test]
fn setters_and_clearers_leave_it_as_the_last_of_them_did() {
    loom::model(|| {
        let room = Arc::new(Room::default());
        let clearer = spawn(&room, |room| room.gate.clear());
        room.gate.set(|| ());
        room.gate.clear();
        clearer.join().unwrap();
        assert!(!room.gate.is_set());
        room.gate.set(|| ());
        assert!(room.gate.is_set());
    });
}

#[test]
fn a_wait_whose_time_has_passed_ends() {
    loom::model(|| {
        let room = Arc::new(Room::default());
        let soon = Deadline::after(model::STEP);
        let waiter = spawn(&room, move |room| room.gate.wait(&Spin::new(), soon));
        model::pass_time();
        model::let_caps_strike(1);
        assert!(!waiter.join().unwrap());
    });
}
