//! A pool's workers: the victim claims a task, runs it and writes the result.
//!
//! After each death the task of the victim has one outcome, died or done; all others are done once, by
//! others; and no place on the board and no page is lost.

use shmkit::TaskError;
use shmkit::pool::probe::{Probe, ProbeWorker};

use crate::campaign::{Death, Fate, Scenario};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Short<KILL>>("pool::claim_run_and_finish"),
        survives::<Short<FREEZE>>("pool::claim_run_and_finish_while_others_work"),
        survives::<Short<TURNS>>("pool::claim_run_and_finish_in_turns_with_another"),
        survives::<Long<KILL>>("pool::claim_run_and_finish_with_pages"),
        survives::<Long<FREEZE>>("pool::claim_run_and_finish_with_pages_while_others_work"),
        survives::<Again<SHORT>>("pool::a_task_that_is_run_again"),
        survives::<Again<LONG>>("pool::a_task_with_pages_that_is_run_again"),
    ]
}

const KILL: u8 = 0;
const FREEZE: u8 = 1;
const TURNS: u8 = 2;

const fn fate(kind: u8) -> Fate {
    match kind {
        FREEZE => Fate::FreezeAndKill,
        TURNS => Fate::FreezeAndRun,
        _ => Fate::Kill,
    }
}

const SHORT: usize = 7;
/// Arguments and results of a page each.
const LONG: usize = 120;
const ARENA: u64 = 10 * 4096;

const VICTIM: u32 = 1;
const OTHER: u32 = 2;
/// Tasks on the board. The victim has done the first when it begins, so that it has its memory.
const TASKS: u32 = 4;

type Short<const FATE: u8> = Run<SHORT, 0, FATE>;
type Long<const FATE: u8> = Run<LONG, 0, FATE>;
type Again<const LEN: usize> = Run<LEN, 1, KILL>;

fn text(n: u32, len: usize) -> String {
    let letter = char::from(b'a' + (n % 26) as u8);
    std::iter::repeat_n(letter, len).collect()
}

fn mark(mut text: String) -> String {
    text.push('!');
    text
}

/// The outcome of a task: `true` if it was done, and right.
fn was_done(outcome: Option<Result<String, TaskError>>, n: u32, len: usize) -> bool {
    match outcome {
        Some(Ok(result)) => {
            assert!(result == mark(text(n, len)), "a wrong result");
            true
        }
        Some(Err(TaskError::WorkerDied { signal: Some(9), code: None })) => false,
        other => panic!("task {n}: {other:?}"),
    }
}

struct Run<const LEN: usize, const RETRIES: u32, const FATE: u8> {
    probe: Probe,
    tickets: Vec<u32>,
    other: ProbeWorker,
}

impl<const LEN: usize, const RETRIES: u32, const FATE: u8> Run<LEN, RETRIES, FATE> {
    fn post(&self, n: u32) -> u32 {
        self.probe.post(&text(n, LEN), RETRIES, mark).unwrap()
    }
}

impl<const LEN: usize, const RETRIES: u32, const FATE: u8> Scenario for Run<LEN, RETRIES, FATE> {
    const FATE: Fate = fate(FATE);

    fn set_up() -> Self {
        let probe = Probe::new(ARENA).unwrap();
        let other = probe.worker(OTHER).unwrap();
        let mut run = Run { probe, tickets: Vec::new(), other };
        run.tickets = (0..TASKS).map(|n| run.post(n)).collect();
        run
    }

    fn victim(&mut self) {
        let mut worker = self.probe.worker(VICTIM).unwrap();
        assert!(worker.turn());
        begin();
        worker.turn(); // there is nothing left if another took its turn before
    }

    fn frozen(&mut self) {
        // All that the victim has not claimed, or had no time to.
        while self.other.turn() {}
    }

    fn check(&mut self, death: Death) {
        self.probe.bury(VICTIM);
        while self.other.turn() {}
        let done: Vec<bool> = (0..TASKS)
            .map(|n| was_done(self.probe.outcome(self.tickets[n as usize]), n, LEN))
            .collect();
        let died = done.iter().filter(|done| !**done).count();
        let others = done.iter().enumerate().filter(|(n, _)| *n != 1);
        assert!(others.into_iter().all(|(_, done)| *done), "{done:?}");
        assert!(!death.complete || died == 0, "{done:?}");
        assert!(RETRIES == 0 || died == 0, "{done:?}");
        // Everything is there three times over.
        for round in 0..3 {
            let numbers = || (10 * round..).take(if LEN == LONG { 3 } else { 40 });
            let tickets: Vec<u32> = numbers().map(|n| self.post(n)).collect();
            while self.other.turn() {}
            for (n, ticket) in numbers().zip(tickets) {
                assert!(was_done(self.probe.outcome(ticket), n, LEN), "a survivor's task");
            }
        }
    }
}
