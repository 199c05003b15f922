//! Who is told that nobody else is left has seen all that the others did; and a handle that moves from
//! one to another is never missed.

use crate::world::people;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering::Relaxed};
use loom::thread;
use shmkit::internals::{Census, Liveness, Member};

#[derive(Default)]
struct Hall {
    census: Census,
    cells: [Member; 3],
    /// What the others do. Relaxed: ordered by the census.
    work: AtomicU32,
}

#[test]
fn who_is_alone_has_seen_what_the_others_did() {
    loom::model(|| {
        let hall = Arc::new(Hall::default());
        let [me, other, _] = people::<3>();
        hall.census.join(&hall.cells, me.me());
        hall.census.join(&hall.cells, other.me());
        let leaver = thread::spawn({
            let hall = hall.clone();
            move || {
                hall.work.store(1, Relaxed);
                hall.census.leave(&hall.cells, other.me());
            }
        });
        if hall.census.is_alone(&hall.cells, me.me(), &me) {
            assert_eq!(hall.work.load(Relaxed), 1);
        }
        leaver.join().unwrap();
        assert!(hall.census.is_alone(&hall.cells, me.me(), &me));
    });
}

#[test]
fn who_is_alone_has_seen_what_the_dead_did() {
    loom::model(|| {
        let hall = Arc::new(Hall::default());
        let [me, other, _] = people::<3>();
        hall.census.join(&hall.cells, me.me());
        hall.census.join(&hall.cells, other.me());
        let victim = thread::spawn({
            let hall = hall.clone();
            move || {
                hall.work.store(1, Relaxed);
                other.die();
            }
        });
        if hall.census.is_alone(&hall.cells, me.me(), &me) {
            assert_eq!(hall.work.load(Relaxed), 1);
        }
        victim.join().unwrap();
    });
}

#[test]
fn a_handle_that_moves_is_never_missed() {
    // To a cell that is looked at before, and to one that is looked at after.
    for (from, to) in [(2, 0), (0, 2)] {
        loom::model(move || {
            let hall = Arc::new(Hall::default());
            let people = people::<3>();
            let [me, from, to] = [1, from, to].map(|nth: usize| people[nth].clone());
            hall.census.join(&hall.cells, me.me());
            hall.census.join(&hall.cells, from.me());
            let mover = thread::spawn({
                let hall = hall.clone();
                move || {
                    hall.census.join(&hall.cells, to.me());
                    hall.census.leave(&hall.cells, from.me());
                }
            });
            assert!(!hall.census.is_alone(&hall.cells, me.me(), &me));
            mover.join().unwrap();
            assert!(!hall.census.is_alone(&hall.cells, me.me(), &me));
        });
    }
}
