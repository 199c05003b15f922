//! What the owner knows of his tasks: which are on the board, and what became of those that were.
//!
//! All in private memory, under one lock. A task has a ticket for as long as somebody may ask for its
//! outcome; it has a slot of the board from `post` until its outcome is taken down. Whoever has the
//! lock may take down any of them: those who wait, those who need room, the supervisor.
//!
//! - T1. A slot is free, or belongs to one ticket that is `Posted` there.
//! - T2. `order` has every posted slot with its generation, oldest first; it may have some whose
//!   outcome was taken down already.
//! - T3. A slot whose task was cancelled is never used again: its worker may still write to it.

use super::site::Site;
use super::task::{self, HAS_HANDLES};
use crate::error::{PanicInfo, Result, TaskError};
use crate::message::decode;
use crate::ring::board::mapped::{Payload, Sealed};
use crate::ring::board::{Outcome as Ending, SLOTS_MOST};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;

/// Slots that get memory at once: 64 KiB.
const SLOTS_BACKED: u32 = 256;

/// What has become of a task.
#[derive(Debug)]
pub(super) enum Outcome {
    Returned { bytes: Bytes, handles: Mutex<Vec<OwnedFd>> },
    Panicked(PanicInfo),
    NoArguments(String),
    NoValue(String),
    TooLarge,
    Failed(String),
    Died { signal: Option<i32>, code: Option<i32> },
    Terminated,
    Broken,
}

/// A result, which is mostly short.
#[derive(Debug)]
pub(super) enum Bytes {
    Short(u8, [u8; Bytes::SHORT]),
    Long(Vec<u8>),
}

impl Bytes {
    const SHORT: usize = 38;

    fn of(bytes: &mut Vec<u8>) -> Bytes {
        let mut short = [0; Bytes::SHORT];
        match short.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                Bytes::Short(bytes.len() as u8, short)
            }
            None if bytes.len() >= LARGE => Bytes::Long(std::mem::take(bytes)),
            None => Bytes::Long(bytes.clone()),
        }
    }

    pub(super) fn get(&self) -> &[u8] {
        match self {
            Bytes::Short(len, bytes) => &bytes[..usize::from(*len)],
            Bytes::Long(bytes) => bytes,
        }
    }
}

/// From this size on a result takes the memory along that it was read into.
const LARGE: usize = 64 << 10;

impl Outcome {
    /// Why there is no value; `None` if there may be one.
    pub(super) fn failure(&self) -> Option<TaskError> {
        Some(match self {
            Outcome::Returned { .. } => return None,
            Outcome::Panicked(panic) => TaskError::Panicked(panic.clone()),
            Outcome::NoArguments(why) => task::no_arguments(why.clone()),
            Outcome::NoValue(why) => task::no_value(why.clone()),
            Outcome::TooLarge => TaskError::TooLarge,
            Outcome::Failed(why) => TaskError::Os(std::io::Error::other(why.clone())),
            Outcome::Died { signal, code } => {
                TaskError::WorkerDied { signal: *signal, code: *code }
            }
            Outcome::Terminated => TaskError::Terminated,
            Outcome::Broken => TaskError::Broken,
        })
    }

    /// Runs `decode` on the bytes of the value. Handles in it are there the first time only.
    pub(super) fn read<R>(&self, decode: impl FnOnce(&[u8]) -> R) -> Result<R, TaskError> {
        match self {
            Outcome::Returned { bytes, handles } => {
                let handles = &mut *handles.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(task::with_handles(std::mem::take(handles), || decode(bytes.get())))
            }
            other => Err(other.failure().unwrap_or(TaskError::Terminated)),
        }
    }
}

/// Runs when the outcome of a task is known, in the result thread.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// One task that somebody may ask for.
pub(super) struct Ticket {
    pub(super) state: State,
    retries: u32,
    /// Nobody asks any more.
    is_orphan: bool,
    jobs: Vec<Job>,
}

pub(super) enum State {
    Posted { slot: u32, generation: u64 },
    Resolved(Outcome),
}

/// Whether tasks are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    Closed,
    Terminated,
    Broken,
}

/// What a task is, but for its arguments.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) call: Sealed,
    pub(super) flags: u32,
    pub(super) retries: u32,
}

pub(super) struct Table {
    site: Arc<Site>,
    pub(super) phase: Phase,
    tickets: Vec<Option<Ticket>>,
    free_tickets: Vec<u32>,
    /// The ticket of each slot that was ever used.
    by_slot: Vec<u32>,
    free_slots: Vec<u32>,
    /// Slots below this have memory.
    backed: u32,
    order: VecDeque<(u32, u64)>,
    /// Tasks on the board whose outcome was not taken down.
    outstanding: usize,
    scratch: Vec<u8>,
    /// What is to be run in the result thread.
    pub(super) due: Vec<Job>,
    /// Jobs of tasks whose outcome is not known.
    pub(super) jobs: usize,
}

impl Table {
    pub(super) fn new(site: Arc<Site>) -> Table {
        Table {
            site,
            phase: Phase::Open,
            tickets: Vec::new(),
            free_tickets: Vec::new(),
            by_slot: Vec::new(),
            free_slots: Vec::new(),
            backed: 0,
            order: VecDeque::new(),
            outstanding: 0,
            scratch: Vec::new(),
            due: Vec::new(),
            jobs: 0,
        }
    }

    pub(super) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Why no task is taken, if so.
    pub(super) fn refusal(&self) -> Option<TaskError> {
        match self.phase {
            Phase::Open => None,
            Phase::Closed => Some(TaskError::Closed),
            Phase::Terminated => Some(TaskError::Terminated),
            Phase::Broken => Some(TaskError::Broken),
        }
    }

    /// A slot that is free, if there is one without taking outcomes down.
    pub(super) fn take_slot(&mut self) -> Result<Option<u32>> {
        if !self.site.board.has_room() {
            return Ok(None);
        }
        if let Some(slot) = self.free_slots.pop() {
            return Ok(Some(slot));
        }
        let fresh = self.by_slot.len() as u32;
        if fresh == SLOTS_MOST {
            return Ok(None);
        }
        if fresh == self.backed {
            let next = (self.backed + SLOTS_BACKED).min(SLOTS_MOST);
            self.site.back_slots(self.backed, next)?;
            self.backed = next;
        }
        self.by_slot.push(0);
        Ok(Some(fresh))
    }

    /// Puts a task on the board, and returns its ticket. Whom to wake is the caller's business.
    #[inline]
    pub(super) fn post(&mut self, slot: u32, plan: &Plan, arguments: Payload<'_>) -> u32 {
        let board = &self.site.board;
        let generation = board.generation(slot);
        board.write_task(slot, generation, plan.call, plan.flags, arguments);
        let ticket = Ticket {
            state: State::Posted { slot, generation },
            retries: plan.retries,
            is_orphan: false,
            jobs: Vec::new(),
        };
        let number = match self.free_tickets.pop() {
            Some(number) => {
                self.tickets[number as usize] = Some(ticket);
                number
            }
            None => {
                self.tickets.push(Some(ticket));
                self.tickets.len() as u32 - 1
            }
        };
        self.by_slot[slot as usize] = number;
        if self.order.len() > 64 + 2 * self.outstanding {
            self.order.retain(|(slot, of)| board.generation(*slot) == *of);
        }
        self.order.push_back((slot, generation));
        self.outstanding += 1;
        board.post(slot, generation);
        number
    }

    pub(super) fn ticket(&mut self, number: u32) -> Option<&mut Ticket> {
        self.tickets.get_mut(number as usize)?.as_mut()
    }

    /// Where the task is; takes it down if it has ended. `None` once its outcome is here.
    #[inline]
    pub(super) fn whereabouts(&mut self, number: u32) -> Option<(u32, u64)> {
        match self.ticket(number)?.state {
            State::Resolved(_) => None,
            State::Posted { slot, generation } => {
                let is_over = self.take_down(slot, generation);
                (!is_over).then_some((slot, generation))
            }
        }
    }

    /// The outcome of a task, which gives its ticket up; `None` while it is not known.
    #[inline]
    pub(super) fn collect(&mut self, number: u32) -> Option<Outcome> {
        if self.whereabouts(number).is_some() {
            return None;
        }
        let ticket = self.tickets.get_mut(number as usize)?.take()?;
        self.free_tickets.push(number);
        match ticket.state {
            State::Resolved(outcome) => Some(outcome),
            State::Posted { .. } => None, // `whereabouts` said otherwise
        }
    }

    /// Nobody asks for this task any more.
    pub(super) fn abandon(&mut self, number: u32) {
        let Some(ticket) = self.ticket(number) else { return };
        ticket.is_orphan = true;
        if matches!(ticket.state, State::Resolved(_)) {
            self.tickets[number as usize] = None;
            self.free_tickets.push(number);
        }
    }

    /// Has `job` run when the outcome of the task is known. `false` if it is, and was not run.
    pub(super) fn watch(&mut self, number: u32, job: Job) -> Result<(), Job> {
        match self.ticket(number) {
            Some(ticket) if matches!(ticket.state, State::Posted { .. }) => {
                ticket.jobs.push(job);
                self.jobs += 1;
                Ok(())
            }
            _ => Err(job),
        }
    }

    /// Takes the outcome of the task in a slot down, if it is done: whether it was, or is over anyway.
    #[inline]
    fn take_down(&mut self, slot: u32, generation: u64) -> bool {
        let board = &self.site.board;
        match board.outcome(slot, generation) {
            None => board.generation(slot) != generation,
            Some(Ending::Done) => {
                let outcome = self.read_outcome(slot, generation);
                self.resolve(slot, generation, outcome);
                self.free(slot, generation, true);
                true
            }
            // Who buries or cancels says himself what the outcome is.
            Some(Ending::Died | Ending::Cancelled) => true,
        }
    }

    fn free(&mut self, slot: u32, generation: u64, with_result: bool) {
        let board = &self.site.board;
        if board.release(slot, generation, with_result) {
            self.site.room.notify_all();
        }
        board.free(slot, generation);
        self.free_slots.push(slot);
    }

    fn read_outcome(&mut self, slot: u32, generation: u64) -> Outcome {
        let bytes = &mut self.scratch;
        let Some((kind, flags)) = self.site.board.read_result(slot, generation, bytes) else {
            return Outcome::NoValue("the region is corrupt".into());
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match kind {
            task::RETURNED => {
                let fetched = match flags & HAS_HANDLES {
                    0 => Ok(Vec::new()),
                    _ => task::fetch_handles(bytes),
                };
                match fetched {
                    Ok(handles) => {
                        Outcome::Returned { bytes: Bytes::of(bytes), handles: handles.into() }
                    }
                    Err(why) => Outcome::NoValue(why),
                }
            }
            task::PANICKED => match decode(bytes) {
                Ok(panic) => Outcome::Panicked(panic),
                Err(why) => Outcome::NoValue(why),
            },
            task::NO_ARGUMENTS => Outcome::NoArguments(text(bytes)),
            task::TOO_LARGE => Outcome::TooLarge,
            task::FAILED => Outcome::Failed(text(bytes)),
            _ => Outcome::NoValue(text(bytes)),
        }
    }

    /// Gives the ticket of the task in a slot its outcome.
    fn resolve(&mut self, slot: u32, generation: u64, outcome: Outcome) {
        let number = self.by_slot[slot as usize];
        let Some(Some(ticket)) = self.tickets.get_mut(number as usize) else { return };
        match ticket.state {
            State::Posted { slot: at, generation: of } if (at, of) == (slot, generation) => {}
            _ => return, // T1: the task of this slot has its outcome
        }
        self.outstanding -= 1;
        self.jobs -= ticket.jobs.len();
        self.due.append(&mut ticket.jobs);
        if ticket.is_orphan {
            self.tickets[number as usize] = None;
            self.free_tickets.push(number);
        } else {
            ticket.state = State::Resolved(outcome);
        }
    }

    /// Takes outcomes down, oldest first, as far as workers have come, or all. Whether slots came free.
    pub(super) fn harvest(&mut self, all: bool) -> bool {
        let before = self.free_slots.len();
        let mut still_run = Vec::new();
        let mut looked_at = 0;
        let posted = self.order.len();
        while looked_at < posted
            && let Some((slot, generation)) = self.order.pop_front()
        {
            looked_at += 1;
            if self.take_down(slot, generation) {
                continue;
            }
            still_run.push((slot, generation));
            // Tasks are claimed in their order, but for rare cases: nothing behind it has ended.
            if !all && self.site.board.is_ready(slot, generation) {
                break;
            }
        }
        for posted in still_run.into_iter().rev() {
            self.order.push_front(posted);
        }
        self.free_slots.len() > before
    }

    /// The newest task whose outcome was not taken down.
    pub(super) fn newest(&mut self) -> Option<(u32, u64)> {
        while let Some(&(slot, generation)) = self.order.back() {
            if self.take_down(slot, generation) {
                self.order.pop_back();
            } else {
                return Some((slot, generation));
            }
        }
        None
    }

    /// A worker has died: ends the task that it ran, or has others run it again.
    pub(super) fn bury(&mut self, worker: u32, signal: Option<i32>, code: Option<i32>) {
        for at in 0..self.order.len() {
            let (slot, generation) = self.order[at];
            // T2: an old entry of the slot is not for the task that is there now.
            let is_there = self.site.board.generation(slot) == generation;
            if !is_there || !self.site.board.is_run_by(slot, worker) {
                continue;
            }
            let goes_on = matches!(self.phase, Phase::Open | Phase::Closed);
            let number = self.by_slot[slot as usize] as usize;
            let retries = self.tickets.get_mut(number).and_then(Option::as_mut);
            let retries = retries.map(|ticket| &mut ticket.retries).filter(|left| **left > 0);
            if let Some(left) = retries
                && goes_on
                && self.site.board.has_room()
            {
                *left -= 1;
                self.site.board.repost(slot, worker);
            } else if self.site.board.bury(slot, worker) {
                self.resolve(slot, generation, Outcome::Died { signal, code });
                self.free(slot, generation, false);
            }
        }
    }

    /// Ends all tasks that have not ended, for good (T3).
    pub(super) fn cancel_all(&mut self, phase: Phase) {
        self.harvest(true);
        self.phase = phase;
        for (slot, generation) in std::mem::take(&mut self.order) {
            if self.site.board.cancel(slot, generation) {
                let outcome = match phase {
                    Phase::Broken => Outcome::Broken,
                    _ => Outcome::Terminated,
                };
                self.resolve(slot, generation, outcome);
            } else {
                self.take_down(slot, generation);
            }
        }
    }
}
