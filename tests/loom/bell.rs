//! The bell: nothing that is published stays unseen by those who sleep elsewhere, however many they are.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering::Relaxed};
use loom::thread;
use shmkit::internals::{Deadline, EventCount, Spin};

/// What is waited for, and what the kernel has for each of two pollers.
///
/// Relaxed throughout, save for the mailboxes, which are the kernel's and coherent: the bell orders
/// nothing but itself.
#[derive(Default)]
struct Tower {
    event: EventCount,
    things: AtomicU32,
    rung: [AtomicU32; 2],
}

fn tower() -> Arc<Tower> {
    Arc::new(Tower::default())
}

fn spawn<R: 'static>(
    tower: &Arc<Tower>,
    f: impl FnOnce(&Tower) -> R + 'static,
) -> thread::JoinHandle<R> {
    let tower = tower.clone();
    thread::spawn(move || f(&tower))
}

impl Tower {
    fn ring(&self) {
        for rung in &self.rung {
            rung.swap(1, Relaxed);
        }
    }

    fn post(&self) {
        self.things.fetch_add(1, Relaxed);
        self.event.notify_all_and(|| self.ring());
    }

    fn post_to_one(&self) {
        self.things.fetch_add(1, Relaxed);
        self.event.notify_one_and(|| self.ring());
    }

    /// Takes a thing away, if one is there.
    fn take(&self) -> bool {
        self.things.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// Takes earlier rings away, arms and looks: what a poller does before each sleep.
    fn arm_and_look(&self, poller: usize) -> bool {
        self.rung[poller].swap(0, Relaxed);
        self.event.arm();
        self.things.load(Relaxed) != 0
    }

    fn is_rung(&self, poller: usize) -> bool {
        // A read-modify-write, so that it is the latest, as it is in the kernel.
        self.rung[poller].fetch_add(0, Relaxed) != 0
    }

    /// No poller sleeps while something is there.
    fn check(&self, seen: [bool; 2]) {
        if self.things.load(Relaxed) != 0 {
            for (poller, seen) in seen.into_iter().enumerate() {
                assert!(seen || self.is_rung(poller), "{poller} sleeps beside a thing");
            }
        }
    }
}

#[test]
fn what_the_look_after_arming_does_not_see_is_rung() {
    loom::model(|| {
        let tower = tower();
        let publisher = spawn(&tower, Tower::post);
        let seen = tower.arm_and_look(0);
        publisher.join().unwrap();
        assert!(seen || tower.is_rung(0));
    });
}

#[test]
fn one_ring_reaches_every_poller() {
    loom::model(|| {
        let tower = tower();
        let other = spawn(&tower, |tower| tower.arm_and_look(1));
        let publisher = spawn(&tower, Tower::post);
        let seen = tower.arm_and_look(0);
        let seen = [seen, other.join().unwrap()];
        publisher.join().unwrap();
        tower.check(seen);
    });
}

#[test]
fn what_another_has_taken_does_not_hide_what_comes_after_it() {
    // The first thing takes the wish along and is gone before the poller looks.
    loom::model(|| {
        let tower = tower();
        let publisher = spawn(&tower, |tower| {
            tower.post();
            tower.take();
        });
        let other = spawn(&tower, Tower::post_to_one);
        let seen = tower.arm_and_look(0);
        publisher.join().unwrap();
        other.join().unwrap();
        tower.check([seen, true]);
    });
}

#[test]
fn a_poller_that_takes_what_it_was_rung_for_is_rung_for_the_next() {
    // It arms again while the publisher is still between its ring and its next step.
    loom::model(|| {
        let tower = tower();
        tower.event.arm();
        let publisher = spawn(&tower, |tower| {
            tower.post();
            tower.post();
        });
        let mut seen = false;
        if tower.is_rung(0) {
            tower.take();
            seen = tower.arm_and_look(0);
        }
        publisher.join().unwrap();
        tower.check([seen, true]);
    });
}

#[test]
fn a_poller_that_was_rung_in_vain_is_rung_again() {
    loom::model(|| {
        let tower = tower();
        tower.event.arm();
        let taker = spawn(&tower, |tower| {
            tower.post();
            tower.take();
        });
        let publisher = spawn(&tower, Tower::post);
        let mut seen = tower.arm_and_look(0);
        if !seen && tower.is_rung(0) {
            seen = tower.arm_and_look(0);
        }
        taker.join().unwrap();
        publisher.join().unwrap();
        tower.check([seen, true]);
    });
}

#[test]
fn a_publisher_that_dies_before_it_rings_leaves_that_to_the_next() {
    loom::model(|| {
        let tower = tower();
        let killed = spawn(&tower, |tower| {
            tower.things.fetch_add(1, Relaxed);
        });
        let publisher = spawn(&tower, Tower::post_to_one);
        let seen = tower.arm_and_look(0);
        killed.join().unwrap();
        publisher.join().unwrap();
        tower.check([seen, true]);
    });
}

#[test]
fn sleepers_are_woken_beside_pollers() {
    for post in [Tower::post, Tower::post_to_one] {
        loom::model(move || {
            let tower = tower();
            let sleeper = spawn(&tower, |tower| {
                let taken = || tower.take().then_some(());
                tower.event.wait_until(&Spin::new(), Deadline::Never, taken, || None).unwrap();
            });
            let poller = spawn(&tower, |tower| tower.arm_and_look(0));
            post(&tower);
            // A lost wake-up is a deadlock, which loom reports.
            sleeper.join().unwrap();
            poller.join().unwrap();
        });
    }
}

#[test]
fn a_sleeper_is_not_forgotten_by_those_who_only_ring() {
    loom::model(|| {
        let tower = tower();
        let sleeper = spawn(&tower, |tower| {
            let there = || (tower.things.load(Relaxed) == 2).then_some(());
            tower.event.wait_until(&Spin::new(), Deadline::Never, there, || None).unwrap();
        });
        tower.event.arm();
        tower.things.fetch_add(1, Relaxed);
        tower.event.only_ring(|| tower.ring());
        tower.post();
        sleeper.join().unwrap();
        assert!(tower.is_rung(0));
    });
}
