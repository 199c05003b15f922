//! The bell: nothing that is published stays unseen by a waiter that sleeps elsewhere.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering::Relaxed};
use loom::thread;
use shmkit::internals::{Bell, EventCount};

struct Tower {
    event: EventCount,
    bell: Bell,
    /// What is waited for, and how often it was rung. Relaxed: the bell orders nothing but itself.
    things: AtomicU32,
    rings: AtomicU32,
}

fn tower() -> Arc<Tower> {
    Arc::new(Tower {
        event: EventCount::new(),
        bell: Bell::new(),
        things: AtomicU32::new(0),
        rings: AtomicU32::new(0),
    })
}

impl Tower {
    fn post(&self) {
        self.things.fetch_add(1, Relaxed);
        if self.event.notify_all_and_tell() && self.bell.is_to_ring() {
            self.rings.fetch_add(1, Relaxed);
        }
    }

    /// What was there after the bell was armed.
    fn arm_and_look(&self) -> u32 {
        self.bell.arm(&self.event);
        self.things.load(Relaxed)
    }
}

#[test]
fn what_the_look_after_arming_does_not_see_is_rung() {
    loom::model(|| {
        let tower = tower();
        let publisher = thread::spawn({
            let tower = tower.clone();
            move || tower.post()
        });
        let seen = tower.arm_and_look();
        publisher.join().unwrap();
        assert!(seen == 1 || tower.rings.load(Relaxed) == 1);
    });
}

#[test]
fn an_older_announcement_does_not_use_the_wish_up() {
    // Somebody slept on the event count before; the first publication may take that announcement
    // away between the wish and the new announcement.
    loom::model(|| {
        let tower = tower();
        tower.bell.arm(&tower.event);
        assert!(tower.bell.is_to_ring()); // only the announcement is left
        assert!(!tower.bell.is_to_ring(), "one wish, one ring");
        let publisher = thread::spawn({
            let tower = tower.clone();
            move || {
                tower.post();
                tower.post();
            }
        });
        let seen = tower.arm_and_look();
        publisher.join().unwrap();
        assert!(seen > 0 || tower.rings.load(Relaxed) > 0, "nothing seen and nothing rung");
        // A waiter that saw something looks until there is nothing, and arms again.
        tower.arm_and_look();
        let before = tower.rings.load(Relaxed);
        tower.post();
        assert_eq!(tower.rings.load(Relaxed), before + 1);
        tower.post();
        assert_eq!(tower.rings.load(Relaxed), before + 1, "one wish, one ring");
    });
}
