//! What a queue does when one does one thing after the other: the sequential specification.
//!
//! A bounded FIFO in as many slots as the next power of two of its capacity. Values come out in the
//! order in which their slots were claimed, but for those that were given back, by a consumer that
//! let go of a lease or for one that died: they come out of turn. What is in the way of an operation
//! may be an operation that has not returned; then, and only then, the answer may be `Busy`.

/// A moment: the place of an event in the one order of all events of a history.
pub type Stamp = u32;

/// The end of an operation that was cut short.
pub const NEVER: Stamp = Stamp::MAX;

/// The most slots of a queue whose histories are checked.
pub const SLOTS_MAX: usize = 8;

/// Why an operation came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum No {
    /// There was no room.
    Full,
    /// There was nothing.
    Empty,
    /// Somebody else was in the middle of an operation on the next slot.
    Busy,
    /// One of those, as far as the caller was told.
    Either,
}

/// A part of an operation that takes effect at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Push(u64),
    /// A slot was claimed to be written in place.
    Reserve,
    Commit(u64),
    Abandon,
    PushRefused(No),
    /// A value was popped for good; whether it had come back, if the caller was told.
    Pop(u64, Option<bool>),
    /// A value was claimed to be read in place; whether it had come back, if the caller was told.
    Lease(u64, Option<bool>),
    Release(u64),
    GiveBack(u64),
    /// No value was there whose turn it was.
    PopRefused(No),
    /// No value was there that had been given back.
    NothingReturned,
    /// What the dead had claimed was taken back, all of it.
    Recover,
    Len(usize),
    IsEmpty(bool),
    IsFull(bool),
}

/// What a slot holds. `busy_until` is when the operation that finished it returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Cell {
    Free {
        busy_until: Stamp,
    },
    Full {
        value: u64,
        busy_until: Stamp,
    },
    /// Claimed at the tail by this process, which has pushed nothing yet.
    Reserved {
        by: u8,
    },
    /// Claimed at the tail and given up.
    Void,
    /// Claimed at the head by this process, which has popped nothing yet. If it dies, the value comes
    /// back: for sure if it has only leased it, perhaps if it was about to pop it.
    Taken {
        value: u64,
        by: u8,
        for_good: bool,
    },
    Returned {
        value: u64,
    },
}

/// Who takes a step, and when he may and must have.
#[derive(Clone, Copy)]
pub struct Actor {
    pub by: u8,
    pub invoked: Stamp,
    pub returned: Stamp,
}

/// A queue at one moment.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Model {
    capacity: u8,
    slots: u8,
    head: u16,
    tail: u16,
    cells: [Cell; SLOTS_MAX],
    /// All was taken back from the dead, who do no more.
    recovered: bool,
}

impl Model {
    pub fn new(capacity: usize) -> Model {
        let slots = capacity.next_power_of_two();
        assert!(slots <= SLOTS_MAX);
        let cells = [Cell::Free { busy_until: 0 }; SLOTS_MAX];
        Model {
            capacity: capacity as u8,
            slots: slots as u8,
            head: 0,
            tail: 0,
            cells,
            recovered: false,
        }
    }

    fn cell(&mut self, position: u16) -> &mut Cell {
        &mut self.cells[(position % u16::from(self.slots)) as usize]
    }

    fn find(&mut self, wanted: impl Fn(&Cell) -> bool) -> Option<&mut Cell> {
        self.cells[..self.slots as usize].iter_mut().find(|cell| wanted(cell))
    }

    fn len(&self) -> usize {
        usize::from(self.tail - self.head)
    }

    /// Takes a step, or says that it cannot be taken now.
    #[must_use]
    pub fn take(&mut self, step: Step, actor: Actor) -> bool {
        let Actor { by, invoked, returned } = actor;
        match step {
            Step::Push(value) => self.claim_tail(Cell::Full { value, busy_until: returned }),
            Step::Reserve => self.claim_tail(Cell::Reserved { by }),
            Step::Commit(value) => {
                let Some(cell) = self.find(|cell| *cell == Cell::Reserved { by }) else {
                    return false;
                };
                *cell = Cell::Full { value, busy_until: returned };
                true
            }
            Step::Abandon => self.void(by),
            Step::PushRefused(why) => {
                let full = self.is_full();
                let busy = match *self.cell(self.tail) {
                    Cell::Free { busy_until } => busy_until > invoked,
                    Cell::Taken { .. } => true,
                    _ => false,
                };
                fits(why, No::Full, full, busy)
            }
            Step::Pop(value, again) => {
                let freed = Cell::Free { busy_until: returned };
                self.claim_value(value, again, freed)
            }
            Step::Lease(value, again) => {
                let taken = Cell::Taken { value, by, for_good: false };
                self.claim_value(value, again, taken)
            }
            Step::Release(value) => self.let_go(value, by, Cell::Free { busy_until: returned }),
            Step::GiveBack(value) => self.let_go(value, by, Cell::Returned { value }),
            Step::PopRefused(why) => {
                let empty = self.len() == 0;
                let busy = !empty
                    && match *self.cell(self.head) {
                        Cell::Full { busy_until, .. } => busy_until > invoked,
                        Cell::Reserved { .. } => true,
                        _ => false,
                    };
                fits(why, No::Empty, empty, busy)
            }
            Step::NothingReturned => {
                self.find(|cell| matches!(cell, Cell::Returned { .. })).is_none()
            }
            Step::Recover => {
                self.recovered = true;
                self.is_settled()
            }
            Step::Len(len) => self.len() == len,
            Step::IsEmpty(answer) => (self.len() == 0) == answer,
            Step::IsFull(answer) => (self.len() >= usize::from(self.capacity)) == answer,
        }
    }

    fn is_full(&mut self) -> bool {
        self.len() >= usize::from(self.capacity)
            || matches!(*self.cell(self.tail), Cell::Returned { .. })
    }

    fn claim_tail(&mut self, claimed: Cell) -> bool {
        let free = matches!(*self.cell(self.tail), Cell::Free { .. });
        if !free || self.len() >= usize::from(self.capacity) {
            return false;
        }
        *self.cell(self.tail) = claimed;
        self.tail += 1;
        true
    }

    /// Takes the value whose turn it is, or one that came back, and leaves `next` in its slot.
    fn claim_value(&mut self, value: u64, again: Option<bool>, next: Cell) -> bool {
        if again != Some(false)
            && let Some(cell) = self.find(|cell| *cell == Cell::Returned { value })
        {
            *cell = next;
            return true;
        }
        if again == Some(true) || self.len() == 0 {
            return false;
        }
        let first = self.cell(self.head);
        if !matches!(*first, Cell::Full { value: other, .. } if other == value) {
            return false;
        }
        *first = next;
        self.head += 1;
        self.step_over_voids();
        true
    }

    fn let_go(&mut self, value: u64, by: u8, next: Cell) -> bool {
        let lent = Cell::Taken { value, by, for_good: false };
        let Some(cell) = self.find(|cell| *cell == lent) else { return false };
        *cell = next;
        true
    }

    fn void(&mut self, by: u8) -> bool {
        let Some(cell) = self.find(|cell| *cell == Cell::Reserved { by }) else { return false };
        *cell = Cell::Void;
        self.step_over_voids();
        true
    }

    fn step_over_voids(&mut self) {
        while self.len() > 0 && *self.cell(self.head) == Cell::Void {
            *self.cell(self.head) = Cell::Free { busy_until: 0 };
            self.head += 1;
        }
    }
}

/// What may happen because of a process that is dead, in its last operation or by the recovery.
impl Model {
    /// A value that it was about to push is there, or will never be.
    #[must_use]
    pub fn begin_push(&mut self, value: Option<u64>, by: u8) -> bool {
        self.claim_tail(match value {
            Some(value) => Cell::Full { value, busy_until: NEVER },
            None => Cell::Reserved { by },
        })
    }

    /// It has claimed a value that it was about to pop, or to lease: each of those that may be.
    pub fn begin_pops(&self, by: u8, for_good: bool, then: &mut dyn FnMut(Model)) {
        for cell in 0..usize::from(self.slots) {
            let (value, again) = match self.cells[cell] {
                Cell::Returned { value } => (value, true),
                Cell::Full { value, .. } => (value, false),
                _ => continue,
            };
            let mut next = self.clone();
            if next.claim_value(value, Some(again), Cell::Taken { value, by, for_good }) {
                then(next);
            }
        }
    }

    /// It has released its lease for good.
    pub fn begin_release(&mut self, of: u64, by: u8) -> bool {
        let lent = Cell::Taken { value: of, by, for_good: false };
        let Some(cell) = self.find(|cell| *cell == lent) else { return false };
        *cell = Cell::Taken { value: of, by, for_good: true };
        true
    }

    /// It was found dead: all that may be the state after the slot of one of its claims was
    /// recovered. A value that it was about to pop may also have been popped.
    pub fn recoveries(&self, by: u8, then: &mut dyn FnMut(Model)) {
        for cell in 0..usize::from(self.slots) {
            let mut turn_to = |now: Cell| {
                let mut next = self.clone();
                next.cells[cell] = now;
                next.step_over_voids();
                then(next);
            };
            match self.cells[cell] {
                Cell::Reserved { by: owner } if owner == by => turn_to(Cell::Void),
                Cell::Taken { value, by: owner, for_good } if owner == by => {
                    turn_to(Cell::Returned { value });
                    if for_good {
                        turn_to(Cell::Free { busy_until: NEVER });
                    }
                }
                _ => {}
            }
        }
    }

    /// Whether the dead may still have done something.
    pub fn heeds_the_dead(&self) -> bool {
        !self.recovered
    }

    /// Whether nothing is left to be recovered from the dead: what was leased has come back.
    pub fn is_settled(&self) -> bool {
        let open = |cell: &Cell| matches!(cell, Cell::Reserved { .. } | Cell::Taken { .. });
        !self.cells[..self.slots as usize].iter().any(open)
    }
}

fn fits(why: No, plain: No, holds: bool, busy: bool) -> bool {
    match why {
        No::Busy => busy,
        No::Either => holds || busy,
        _ => why == plain && holds,
    }
}
