use super::*;
use std::cell::Cell;

/// The dead are those whose slot is in the list. Something may happen at the next verdict.
#[derive(Default)]
struct Watcher<'a> {
    dead: Vec<u32>,
    meanwhile: Cell<Option<Box<dyn FnOnce() + 'a>>>,
}

impl Liveness for Watcher<'_> {
    fn me(&self) -> ParticipantId {
        id(0)
    }

    fn is_dead(&self, id: ParticipantId) -> bool {
        if let Some(happen) = self.meanwhile.take() {
            happen();
        }
        id == ParticipantId::DEAD || self.dead.contains(&(id.number() - 1))
    }
}

fn id(slot: u32) -> ParticipantId {
    ParticipantId::new(slot, 1)
}

fn cells() -> [Member; 4] {
    Default::default()
}

#[test]
fn who_never_had_company_is_not_told_that_it_has_gone() {
    let (census, cells) = (Census::default(), cells());
    census.join(&cells, id(0));
    assert!(!census.is_alone(&cells, id(0), &Watcher::default()));
}

#[test]
fn the_last_handle_of_all_is_alone() {
    let (census, cells, who) = (Census::default(), cells(), Watcher::default());
    for slot in [0, 0, 2] {
        census.join(&cells, id(slot));
    }
    assert!(!census.is_alone(&cells, id(0), &who));
    census.leave(&cells, id(2));
    assert!(!census.is_alone(&cells, id(0), &who), "there is a clone");
    let leaves = census.leaves();
    census.leave(&cells, id(0));
    assert_ne!(census.leaves(), leaves);
    assert!(census.is_alone(&cells, id(0), &who));
}

#[test]
fn the_dead_are_no_company() {
    let (census, cells) = (Census::default(), cells());
    for slot in [0, 1, 3] {
        census.join(&cells, id(slot));
    }
    let who = |dead: &[u32]| Watcher { dead: dead.into(), ..Watcher::default() };
    assert!(!census.is_alone(&cells, id(0), &who(&[1])));
    assert!(census.is_alone(&cells, id(0), &who(&[1, 3])));
    // Nor is who had our place before us.
    assert!(!census.is_alone(&cells, ParticipantId::new(0, 2), &who(&[1, 3])));
}

#[test]
fn a_handle_that_moves_while_cells_are_looked_at_is_seen() {
    let (census, cells) = (Census::default(), cells());
    for slot in [0, 2] {
        census.join(&cells, id(slot));
    }
    let who = Watcher {
        dead: vec![2],
        meanwhile: Cell::new(Some(Box::new(|| {
            census.join(&cells, id(1)); // a cell that was seen before
            census.leave(&cells, id(2));
        }))),
    };
    assert!(!census.is_alone(&cells, id(0), &who));
}
