use super::*;
use std::cell::Cell;

/// The dead are those whose slot is odd.
struct Watcher;

impl Liveness for Watcher {
    fn me(&self) -> ParticipantId {
        id(0)
    }

    fn is_dead(&self, id: ParticipantId) -> bool {
        id == ParticipantId::DEAD || id.number().is_multiple_of(2)
    }
}

fn id(slot: u32) -> ParticipantId {
    ParticipantId::new(slot, 1)
}

fn cells() -> [Member; 4] {
    Default::default()
}

fn join(cells: &[Member], who: ParticipantId) {
    Member::of(cells, who).unwrap().join(who, || panic!("nobody has died"));
}

fn leave(cells: &[Member], who: ParticipantId) {
    Member::of(cells, who).unwrap().leave(who, || ());
}

#[test]
fn a_member_leaves_with_its_last_handle() {
    let cells = cells();
    for _ in 0..3 {
        join(&cells, id(1));
    }
    for _ in 0..3 {
        assert!(Member::any_dead(&cells, &Watcher));
        leave(&cells, id(1));
    }
    assert!(!Member::any_dead(&cells, &Watcher));
    leave(&cells, id(1));
    assert_eq!(cells[1].0.load(Relaxed), 0);
}

#[test]
fn the_living_are_not_dead() {
    let cells = cells();
    join(&cells, id(0));
    join(&cells, id(2));
    assert!(!Member::any_dead(&cells, &Watcher));
    Member::forget_dead(&cells, &Watcher);
    assert_ne!(cells[0].0.load(Relaxed), 0);
    assert_ne!(cells[2].0.load(Relaxed), 0);
}

#[test]
fn the_dead_are_forgotten_when_asked_to() {
    let cells = cells();
    join(&cells, id(1));
    join(&cells, id(2));
    Member::forget_dead(&cells, &Watcher);
    assert!(!Member::any_dead(&cells, &Watcher));
    assert_eq!(cells[1].0.load(Relaxed), 0);
    assert_ne!(cells[2].0.load(Relaxed), 0);
}

#[test]
fn who_gets_the_cell_of_a_dead_one_tells_first() {
    let cells = cells();
    join(&cells, id(1));
    let next = ParticipantId::new(1, 2);
    let told = Cell::new(0);
    cells[1].join(next, || told.set(told.get() + 1));
    assert_eq!(told.get(), 1);
    // The handles of the one before do not count.
    leave(&cells, id(1));
    assert_ne!(cells[1].0.load(Relaxed), 0);
    leave(&cells, next);
    assert_eq!(cells[1].0.load(Relaxed), 0);
}

#[test]
fn nobody_has_no_cell() {
    let cells = cells();
    assert!(Member::of(&cells, id(4)).is_none());
    assert!(Member::of(&cells, ParticipantId::DEAD).is_none());
}
