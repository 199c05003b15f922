//! Is there an order of the operations that explains all answers?
//!
//! Source: Wing and Gong, "Testing and Verifying Concurrent Objects" (1993), with the memory of
//! Lowe, "Testing for Linearizability" (2017): a search over all orders in which an operation comes
//! after those that had returned before it was invoked, which never visits a state twice. Ours: an
//! operation on several values is a row of steps, each of which takes effect at a moment of its own
//! within the operation; and one that was cut short by a death may do its steps at any time after its
//! invocation, or only the first of them, or none.
//!
//! The polynomial tests for queues (Henzinger, Sezgin, Vafeiadis, "Aspect-Oriented Linearizability
//! Proofs", 2013) know no capacity, refusal or redelivery; histories here are short, so search does.

use std::collections::HashSet;
use std::fmt;

use crate::model::{Actor, Model, NEVER, Stamp, Step};

/// The most processes of a history, with the one that sets it up and drains the queue at its end.
pub const PROCESSES: usize = 4;

/// What a process was doing when it was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing that matters any more.
    Nothing,
    Push(Vec<u64>),
    Reserve,
    Commit(u64),
    /// Up to so many values were to be popped.
    Pop(usize),
    Lease,
    Release(u64),
}

/// An operation that returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    pub invoked: Stamp,
    pub returned: Stamp,
    pub steps: Vec<Step>,
}

/// What one process did, in its order.
#[derive(Clone, Debug, Default)]
pub struct Life {
    pub ops: Vec<Op>,
    /// The operation in which it was killed, if it was, and when that was invoked.
    pub cut: Option<(Stamp, Cut)>,
}

#[derive(Clone, Debug)]
pub struct History {
    pub capacity: usize,
    pub lives: Vec<Life>,
}

/// How many operations of each process the best order explains.
#[derive(Debug, PartialEq, Eq)]
pub struct Inexplicable(pub [usize; PROCESSES]);

/// How far a process has come in an explanation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Progress {
    op: u8,
    step: u8,
    /// Values of the cut operation that have been dealt with, and whether it will do no more.
    cut: u8,
    cut_is_over: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    progress: [Progress; PROCESSES],
    model: Model,
}

/// Looks for an order that explains `history`.
pub fn explain(history: &History) -> Result<(), Inexplicable> {
    assert!(history.lives.len() <= PROCESSES);
    let progress = Progress { op: 0, step: 0, cut: 0, cut_is_over: false };
    let start = State { progress: [progress; PROCESSES], model: Model::new(history.capacity) };
    let mut search = Search { history, seen: HashSet::new(), explained: [0; PROCESSES] };
    if search.from(&start) { Ok(()) } else { Err(Inexplicable(search.explained)) }
}

struct Search<'a> {
    history: &'a History,
    seen: HashSet<State>,
    explained: [usize; PROCESSES],
}

impl Search<'_> {
    fn from(&mut self, state: &State) -> bool {
        if !self.seen.insert(state.clone()) {
            return false;
        }
        let explained = state.progress.map(|progress| usize::from(progress.op));
        if explained.iter().sum::<usize>() > self.explained.iter().sum() {
            self.explained = explained;
        }
        let open = |(nth, life): (usize, &Life)| life.ops.get(explained[nth]).map(|op| op.returned);
        // Nothing that was invoked after another had returned comes before it.
        let horizon = self.history.lives.iter().enumerate().filter_map(open).min();
        let Some(horizon) = horizon else { return self.settle(state) };
        (0..self.history.lives.len()).any(|by| self.next_of(by, state, horizon))
    }

    /// All operations that returned are explained. Is the rest?
    fn settle(&mut self, state: &State) -> bool {
        state.model.is_settled()
            || (0..self.history.lives.len()).any(|by| self.next_of(by, state, NEVER))
    }

    /// Tries whatever process `by` may do next.
    fn next_of(&mut self, by: usize, state: &State, horizon: Stamp) -> bool {
        let history = self.history;
        let life = &history.lives[by];
        let now = state.progress[by];
        let Some(op) = life.ops.get(usize::from(now.op)) else {
            return match &life.cut {
                Some((invoked, cut)) if *invoked < horizon && state.model.heeds_the_dead() => {
                    self.after_death(by, state, cut)
                }
                _ => false,
            };
        };
        if op.invoked > horizon {
            return false;
        }
        let actor = Actor { by: by as u8, invoked: op.invoked, returned: op.returned };
        let mut next = state.clone();
        if let Some(step) = op.steps.get(usize::from(now.step))
            && !next.model.take(*step, actor)
        {
            return false;
        }
        let progress = &mut next.progress[by];
        progress.step += 1;
        if usize::from(progress.step) >= op.steps.len() {
            (progress.op, progress.step) = (progress.op + 1, 0);
        }
        self.from(&next)
    }

    /// Tries what the operation in which `by` was killed may still have done, and the recovery.
    fn after_death(&mut self, by: usize, state: &State, cut: &Cut) -> bool {
        let (now, me) = (state.progress[by], by as u8);
        let mut nexts = Vec::new();
        let mut goes_on = |model: Model, is_over: bool| {
            let mut next = State { model, ..state.clone() };
            next.progress[by].cut += 1;
            next.progress[by].cut_is_over |= is_over;
            nexts.push(next);
        };
        let done = usize::from(now.cut);
        match cut {
            Cut::Push(values) if done < values.len() => {
                for value in [Some(values[done]), None] {
                    let mut model = state.model.clone();
                    // Values appear in order: none after one that never will.
                    if !(value.is_some() && now.cut_is_over) && model.begin_push(value, me) {
                        goes_on(model, value.is_none());
                    }
                }
            }
            Cut::Reserve if done == 0 => {
                let mut model = state.model.clone();
                if model.begin_push(None, me) {
                    goes_on(model, true);
                }
            }
            Cut::Commit(value) if done == 0 => {
                let mut model = state.model.clone();
                let actor = Actor { by: me, invoked: 0, returned: NEVER };
                if model.take(Step::Commit(*value), actor) {
                    goes_on(model, true);
                }
            }
            Cut::Pop(count) if done < *count => {
                state.model.begin_pops(me, true, &mut |model| goes_on(model, false));
            }
            Cut::Lease if done == 0 => {
                state.model.begin_pops(me, false, &mut |model| goes_on(model, true));
            }
            Cut::Release(value) if done == 0 => {
                let mut model = state.model.clone();
                if model.begin_release(*value, me) {
                    goes_on(model, true);
                }
            }
            _ => {}
        }
        state.model.recoveries(me, &mut |model| {
            nexts.push(State { model, progress: state.progress });
        });
        nexts.iter().any(|next| self.from(next))
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "capacity {}", self.capacity)?;
        for (by, life) in self.lives.iter().enumerate() {
            write!(f, "\n  process {by}:")?;
            for op in &life.ops {
                write!(f, " [{}-{} {:?}]", op.invoked, op.returned, op.steps)?;
            }
            if let Some((invoked, cut)) = &life.cut {
                write!(f, " [{invoked}- killed in {cut:?}]")?;
            }
        }
        Ok(())
    }
}
