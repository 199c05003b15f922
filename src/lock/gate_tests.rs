use super::*;
use std::time::Duration;

fn wait_now(gate: &Gate) -> bool {
    gate.wait(&Spin::new(), Deadline::Now)
}

#[test]
fn it_is_as_it_was_left() {
    let gate = Gate::default();
    assert!(!gate.is_set() && !wait_now(&gate));
    gate.clear();
    assert!(!gate.is_set());
    gate.set(|| ());
    gate.set(|| ());
    assert!(gate.is_set() && wait_now(&gate));
    gate.clear();
    assert!(!gate.is_set() && !wait_now(&gate));
}

#[test]
fn a_set_or_clear_that_changes_nothing_leaves_the_word_alone() {
    let gate = Gate::default();
    gate.clear();
    assert_eq!(gate.word.load(Relaxed), 0);
    gate.set(|| ());
    gate.set(|| ());
    assert_eq!(gate.word.load(Relaxed), 1);
    gate.clear();
    gate.clear();
    assert_eq!(gate.word.load(Relaxed), 2);
}

#[test]
fn a_pulse_lets_those_go_on_who_waited_before_it() {
    let gate = Gate::default();
    let patient = Deadline::after(Duration::from_secs(120));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| gate.wait(&Spin::new(), patient));
        while !gate.bell.is_announced() {
            std::thread::yield_now();
        }
        gate.set(|| ());
        gate.clear();
        assert!(waiter.join().unwrap());
    });
    assert!(!gate.is_set());
}

#[test]
fn the_deadline_ends_a_wait() {
    let gate = Gate::default();
    assert!(!gate.wait(&Spin::new(), Deadline::after(Duration::from_millis(3))));
    gate.set(|| ());
    assert!(gate.wait(&Spin::new(), Deadline::after(Duration::from_millis(3))));
}

#[test]
fn any_word_is_a_gate() {
    for word in [0, 1, u64::MAX, u64::MAX - 1] {
        let gate = Gate::default();
        gate.word.store(word, Relaxed);
        gate.clear();
        assert!(!gate.is_set() && !wait_now(&gate));
        gate.set(|| ());
        assert!(gate.is_set() && wait_now(&gate));
    }
}
