//! Elements without a lock: whole, and an edge from who wrote them to who read them.
#![allow(unsafe_code)]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::AtomicU64;
use loom::thread;
use shmkit::internals::Elements;
use std::ptr::NonNull;

/// Memory as loom needs it, and something that is written before an element is.
struct Place {
    units: [AtomicU64; 4],
    before: UnsafeCell<u64>,
}

// SAFETY: `before` is read only after an element was seen that was written after it; loom checks.
unsafe impl Send for Place {}
// SAFETY: as above.
unsafe impl Sync for Place {}

impl Place {
    fn new() -> Arc<Place> {
        let units = [(); 4].map(|()| AtomicU64::new(0));
        Arc::new(Place { units, before: UnsafeCell::new(0) })
    }

    fn elements<T: bytemuck::Pod>(&self) -> Elements<T> {
        let len = size_of_val(&[0u64; 4]) / size_of::<T>();
        // SAFETY: the place outlives the elements of a model, and they are its only users.
        unsafe { Elements::at(NonNull::from(&self.units).cast(), len) }
    }
}

/// Runs `give` after a write, and `take` until it says that it has seen what was given.
fn is_an_edge(give: fn(&Place), take: fn(&Place) -> bool) {
    loom::model(move || {
        let place = Place::new();
        let giver = {
            let place = place.clone();
            thread::spawn(move || {
                // SAFETY: nobody reads it before the element that is written next.
                place.before.with_mut(|before| unsafe { *before = 7 });
                give(&place);
            })
        };
        if take(&place) {
            // SAFETY: it was written before what the taker has seen.
            assert_eq!(place.before.with(|before| unsafe { *before }), 7);
        }
        giver.join().unwrap();
    });
}

#[test]
fn who_sees_an_element_sees_what_was_done_before() {
    is_an_edge(|p| p.elements::<u64>().write(1, &[5]), |p| p.elements::<u64>().get(1) == 5);
}

#[test]
fn who_sees_any_piece_of_an_element_sees_what_was_done_before() {
    is_an_edge(
        |p| p.elements::<[u64; 2]>().write(1, &[[5, 6]]),
        |p| p.elements::<[u64; 2]>().get(1) != [0, 0],
    );
}

#[test]
fn who_sees_one_of_many_elements_sees_what_was_done_before() {
    is_an_edge(
        |p| p.elements::<u64>().write(1, &[5, 6]),
        |p| {
            let mut part = [0; 2];
            p.elements::<u64>().read(2, &mut part);
            part[0] == 6
        },
    );
}

#[test]
fn an_addition_is_an_edge_both_ways() {
    is_an_edge(|p| _ = p.elements::<u64>().fetch_add(0, 5), |p| p.elements::<u64>().get(0) == 5);
    is_an_edge(
        |p| p.elements::<u64>().write(0, &[5]),
        |p| p.elements::<u64>().fetch_add(0, 1) == 5,
    );
}
