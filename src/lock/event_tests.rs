use super::*;
use crate::sync::AtomicU32;
use std::thread;
use std::time::Duration;

fn never<R>() -> Option<R> {
    None
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(120))
}

/// Takes one from `things`, if there is one.
fn take(things: &AtomicU32) -> Option<()> {
    let mut left = things.load(Relaxed);
    while left != 0 {
        match things.compare_exchange(left, left - 1, Relaxed, Relaxed) {
            Ok(_) => return Some(()),
            Err(now) => left = now,
        }
    }
    None
}

#[test]
fn what_is_there_is_had_without_waiting() {
    let event = EventCount::new();
    assert_eq!(event.wait_until(&Spin::new(), Deadline::Now, || Some(7), never), Some(7));
    assert_eq!(event.state.load(Relaxed), 0);
}

#[test]
fn a_wait_ends_at_its_deadline_and_asks_once_more_before() {
    let event = EventCount::new();
    for deadline in [Deadline::Now, Deadline::after(Duration::from_millis(3))] {
        let mut checks = 0;
        let none: Option<()> = event.wait_until(&Spin::new(), deadline, never, || {
            checks += 1;
            None
        });
        assert!(none.is_none());
        assert!(checks > 0);
    }
}

#[test]
fn a_verdict_ends_the_wait() {
    let event = EventCount::new();
    assert_eq!(
        event.wait_until(&Spin::new(), Deadline::Never, never, || Some("dead")),
        Some("dead")
    );
}

#[test]
fn a_death_in_mid_sleep_is_noticed_without_a_wake() {
    let event = EventCount::new();
    let mut checks = 0;
    let verdict = event.wait_until(&Spin::new(), soon(), never, || {
        checks += 1;
        (checks == 3).then_some("dead")
    });
    assert_eq!(verdict, Some("dead"));
}

#[test]
fn notify_all_wakes_all_and_takes_the_announcement_away() {
    let (event, flag) = (EventCount::new(), AtomicU32::new(0));
    thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                let done = event.wait_until(
                    &Spin::new(),
                    soon(),
                    || (flag.load(Relaxed) == 1).then_some(()),
                    never,
                );
                assert_eq!(done, Some(()));
            });
        }
        while event.state.load(Relaxed) & ANNOUNCED == 0 {
            thread::yield_now();
        }
        flag.store(1, Relaxed);
        event.notify_all();
    });
    event.notify_all();
    assert_eq!(event.state.load(Relaxed) & (ANNOUNCED | FRESH), 0);
    assert_ne!(event.waker.load(Relaxed), 0);
}

#[test]
fn each_thing_that_is_announced_to_one_is_taken() {
    const THINGS: u32 = 5_000;
    let (event, things) = (EventCount::new(), AtomicU32::new(0));
    thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                let spin = Spin::new();
                for _ in 0..THINGS / 3 * 2 {
                    assert_eq!(event.wait_until(&spin, soon(), || take(&things), never), Some(()));
                }
            });
        }
        for _ in 0..2 {
            s.spawn(|| {
                for _ in 0..THINGS / 3 * 3 {
                    things.fetch_add(1, Relaxed);
                    event.notify_one();
                }
            });
        }
    });
    assert_eq!(things.load(Relaxed), 0);
}

#[test]
fn a_vain_wake_up_ends_the_announcement() {
    let event = EventCount::new();
    event.announce();
    event.notify_one();
    assert_eq!(event.state.load(Relaxed), STEP);
}

#[test]
fn any_word_is_an_event_count() {
    for word in [u32::MAX, FRESH, ANNOUNCED, u32::MAX - 1, 0xdead_beef] {
        let event = EventCount::new();
        event.state.store(word, Relaxed);
        event.waker.store(word, Relaxed);
        event.notify_one();
        event.state.store(word, Relaxed);
        event.notify_all();
        assert_eq!(event.state.load(Relaxed) & ANNOUNCED, 0);
        let none: Option<()> =
            event.wait_until(&Spin::new(), Deadline::after(Duration::from_millis(1)), never, never);
        assert!(none.is_none());
    }
}

/// A bell that is rung through `event`, and how often.
struct Bell {
    event: EventCount,
    rings: AtomicU32,
}

impl Bell {
    fn armed() -> Bell {
        let bell = Bell { event: EventCount::new(), rings: AtomicU32::new(0) };
        bell.event.arm();
        bell
    }

    fn ring(&self) {
        self.rings.fetch_add(1, Relaxed);
    }

    fn notify_all(&self) {
        self.event.notify_all_and(|| self.ring());
    }

    fn rings(&self) -> u32 {
        self.rings.load(Relaxed)
    }
}

#[test]
fn who_arms_is_rung_once_by_any_kind_of_notification() {
    let kinds: [fn(&Bell); 3] = [
        |bell| bell.event.notify_all_and(|| bell.ring()),
        |bell| bell.event.notify_one_and(|| bell.ring()),
        |bell| bell.event.only_ring(|| bell.ring()),
    ];
    for notify in kinds {
        let bell = Bell::armed();
        notify(&bell);
        notify(&bell);
        assert_eq!(bell.rings(), 1);
        bell.event.arm();
        notify(&bell);
        assert_eq!(bell.rings(), 2);
        assert_eq!(bell.event.state.load(Relaxed) & (ANNOUNCED | FRESH | ARMED), 0);
    }
}

#[test]
fn a_publication_for_pollers_leaves_the_announcement_of_sleepers() {
    let bell = Bell::armed();
    bell.event.announce();
    bell.event.only_ring(|| bell.ring());
    assert_eq!(bell.rings(), 1);
    assert!(bell.event.is_announced());
    bell.event.only_ring(|| panic!("nobody has armed"));
}

#[test]
fn who_polls_is_no_sleeper() {
    assert!(!Bell::armed().event.is_announced());
}

#[test]
fn a_notifier_that_dies_before_its_ring_has_ended_leaves_it_to_the_next() {
    let bell = Bell::armed();
    bell.event.announce();
    let died = std::panic::catch_unwind(|| bell.event.notify_all_and(|| panic!("on purpose")));
    assert!(died.is_err() && bell.event.is_announced());
    bell.notify_all();
    assert_eq!(bell.rings(), 1);
    assert!(!bell.event.is_announced());
}

#[test]
fn who_arms_while_it_rings_is_rung_again() {
    let bell = Bell::armed();
    bell.event.announce();
    // Rung, looked, and armed again before the notifier comes to its next step.
    bell.event.notify_all_and(|| bell.event.arm());
    assert!(bell.event.is_announced(), "nobody's announcement is taken from a state of others");
    bell.notify_all();
    assert_eq!(bell.rings(), 1);
    bell.event.notify_one_and(|| panic!("nobody has armed"));
}
