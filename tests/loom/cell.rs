//! The published cell: whole values, in order, with what was done before them.
#![allow(unsafe_code)]

use crate::world::{Person, people};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU64;
use loom::thread;
use shmkit::internals::{Cell, Deadline, RawLock, Release};
use std::ptr::NonNull;

/// Memory as loom needs it, and something that is written before a value is published.
struct Place {
    words: [AtomicU64; 5],
    before: UnsafeCell<u64>,
    lock: RawLock,
}

// SAFETY: `before` is read only after a publication that follows its write; loom checks that.
unsafe impl Send for Place {}
// SAFETY: as above.
unsafe impl Sync for Place {}

impl Place {
    fn new() -> Arc<Place> {
        let words = [(); 5].map(|()| AtomicU64::new(0));
        Arc::new(Place { words, before: UnsafeCell::new(0), lock: RawLock::new() })
    }

    fn cell<T: bytemuck::Pod>(&self) -> Cell<T> {
        let base = NonNull::from(&self.words).cast();
        // SAFETY: the place outlives the cells of a model.
        unsafe { Cell::at(base, size_of_val(&self.words)) }.unwrap()
    }

    fn write_before(&self, value: u64) {
        // SAFETY: nobody reads it before the publication that follows.
        self.before.with_mut(|before| unsafe { *before = value });
    }

    fn read_before(&self) -> u64 {
        // SAFETY: it was written before the publication that the caller has seen.
        self.before.with(|before| unsafe { *before })
    }
}

fn spawn(place: &Arc<Place>, f: impl FnOnce(&Place) + 'static) -> thread::JoinHandle<()> {
    let place = place.clone();
    thread::spawn(move || f(&place))
}

#[test]
fn a_large_value_is_never_torn_and_never_goes_back() {
    loom::model(|| {
        let place = Place::new();
        let writer = spawn(&place, |p| (1..=3u64).for_each(|v| p.cell().publish([v, v])));
        let mut last = 0;
        for _ in 0..2 {
            if let Some([a, b]) = place.cell::<[u64; 2]>().try_read() {
                assert_eq!(a, b, "torn");
                assert!(a >= last, "went back");
                last = a;
            }
        }
        writer.join().unwrap();
        assert_eq!(place.cell::<[u64; 2]>().read(), [3, 3]);
    });
}

#[test]
fn writers_under_a_lock_publish_one_after_the_other() {
    loom::model(|| {
        let (place, [a, b]) = (Place::new(), people());
        let increment = |p: &Place, who: &Person| {
            let _ = p.lock.lock(who, Deadline::Never).unwrap();
            let [x, y] = p.cell::<[u64; 2]>().read();
            p.cell().publish([x + 1, y + 1]);
            p.lock.unlock(who, Release::Clean);
        };
        let other = spawn(&place, move |p| increment(p, &b));
        increment(&place, &a);
        if let Some([x, y]) = place.cell::<[u64; 2]>().try_read() {
            assert!(x == y && x > 0);
        }
        other.join().unwrap();
        assert_eq!(place.cell::<[u64; 2]>().read(), [2, 2]);
    });
}

#[test]
fn who_sees_a_large_value_sees_what_was_done_before() {
    loom::model(|| {
        let place = Place::new();
        let writer = spawn(&place, |p| {
            p.write_before(7);
            p.cell().publish([1u64, 1]);
        });
        if place.cell().try_read() == Some([1u64, 1]) {
            assert_eq!(place.read_before(), 7);
        }
        writer.join().unwrap();
    });
}

#[test]
fn who_sees_a_small_value_sees_what_was_done_before() {
    loom::model(|| {
        let place = Place::new();
        let writer = spawn(&place, |p| {
            p.write_before(7);
            p.cell().publish(1u32);
        });
        if place.cell::<u32>().read() == 1 {
            assert_eq!(place.read_before(), 7);
        }
        writer.join().unwrap();
    });
}

/// Runs `give` after a write, and `take` until it says that it has seen what was given.
fn is_an_edge(give: fn(&Cell<u8>), take: fn(&Cell<u8>) -> bool) {
    loom::model(move || {
        let place = Place::new();
        let giver = spawn(&place, move |p| {
            p.write_before(7);
            give(&p.cell());
        });
        if take(&place.cell()) {
            assert_eq!(place.read_before(), 7);
        }
        giver.join().unwrap();
    });
}

#[test]
fn operations_on_an_integer_give_and_take_what_was_done_before() {
    let gives: [fn(&Cell<u8>); 8] = [
        |c| _ = c.fetch_add(1),
        |c| _ = c.fetch_sub(255),
        |c| _ = c.compare_exchange(0, 1),
        |c| _ = c.swap(1),
        |c| _ = c.fetch_or(1),
        |c| _ = c.fetch_xor(1),
        |c| _ = c.fetch_max(1),
        |c| c.publish(1),
    ];
    let takes: [fn(&Cell<u8>) -> bool; 4] = [
        |c| c.compare_exchange(0, 2) == Err(1),
        |c| c.read() == 1,
        |c| c.compare_exchange(1, 2) == Ok(1),
        |c| c.compare_exchange(9, 2) == Err(1),
    ];
    for give in gives {
        for take in takes {
            is_an_edge(give, take);
        }
    }
}

#[test]
fn every_operation_takes_what_was_done_before() {
    let takes: [fn(&Cell<u16>) -> u16; 8] = [
        |c| c.fetch_add(0),
        |c| c.fetch_sub(0),
        |c| c.swap(2),
        |c| c.fetch_and(0),
        |c| c.fetch_or(0),
        |c| c.fetch_xor(1),
        |c| c.fetch_min(0),
        |c| c.fetch_max(0),
    ];
    for take in takes {
        loom::model(move || {
            let place = Place::new();
            let giver = spawn(&place, |p| {
                p.write_before(7);
                p.cell().publish(1u16);
            });
            if take(&place.cell()) == 1 {
                assert_eq!(place.read_before(), 7);
            }
            giver.join().unwrap();
        });
    }
}

#[test]
fn a_masking_gives_what_was_done_before() {
    loom::model(|| {
        let place = Place::new();
        place.cell().publish(3u8);
        let giver = spawn(&place, |p| {
            p.write_before(7);
            p.cell().fetch_and(1u8);
        });
        if place.cell::<u8>().read() == 1 {
            assert_eq!(place.read_before(), 7);
        }
        giver.join().unwrap();
    });
}

#[test]
fn of_two_the_greater_stays() {
    loom::model(|| {
        let place = Place::new();
        let other = spawn(&place, |p| _ = p.cell::<u8>().fetch_max(200));
        let before = place.cell::<u8>().fetch_max(100);
        assert!(before == 0 || before == 200);
        other.join().unwrap();
        assert_eq!(place.cell::<u8>().read(), 200);
    });
}

#[test]
fn no_update_of_an_integer_is_lost() {
    loom::model(|| {
        let place = Place::new();
        let other = spawn(&place, |p| {
            p.cell::<u8>().fetch_add(200);
        });
        let cell = place.cell::<u8>();
        let mut seen = cell.read();
        // The carry of an addition beyond the byte must not fail the comparison for ever.
        while let Err(now) = cell.compare_exchange(seen, seen.wrapping_add(100)) {
            seen = now;
        }
        other.join().unwrap();
        assert_eq!(cell.read(), 44);
    });
}
