//! What each process was asked to do, when, and what it was told, in memory that outlives it.
//!
//! Before an operation and after it a process takes a stamp: it adds one to a word that all share.
//! Additions to one word have one order. If the stamp after operation A is smaller than the stamp
//! before operation B, then A had returned before B was invoked, and B has seen the stamp of A: the
//! library promises B to find what A did, and no clock needs to be trusted. Operations that overlap
//! by their stamps may not have overlapped, which makes the check milder but never wrong. The price
//! is a fence before and after each operation: what is missing inside of one is for loom to find.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::check::{Cut, Life, Op};
use crate::model::{No, Stamp, Step};
use crate::shared::Zeroed;

/// The most values of one operation.
pub const BATCH_MAX: usize = 3;
/// The most operations of one process.
pub const OPS_MAX: usize = 48;

/// What a process is asked to do. A value that it pushes is told to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Request {
    Push,
    PushMany,
    Reserve,
    Commit,
    Abandon,
    Pop,
    PopMany,
    Lease,
    Release,
    GiveBack,
    Len,
    IsEmpty,
    IsFull,
    Recover,
    /// The rest is popped, when all others have ended or are dead.
    PopRest,
    /// And that was all.
    End,
}

impl Request {
    pub const ALL: [Request; 16] = {
        use Request::*;
        [
            Push, PushMany, Reserve, Commit, Abandon, Pop, PopMany, Lease, Release, GiveBack, Len,
            IsEmpty, IsFull, Recover, PopRest, End,
        ]
    };
}

/// What the queue answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// How many, or yes as 1.
    Number(usize),
    Values(Vec<u64>),
    /// The value, and whether it had come back, if that can be told.
    Lent(u64, Option<bool>),
    No(No),
}

const NOES: [No; 4] = [No::Full, No::Empty, No::Busy, No::Either];

/// One operation.
#[derive(Default)]
struct Record {
    request: AtomicU64,
    invoked: AtomicU64,
    /// 0 until it returned.
    returned: AtomicU64,
    /// The first value, of those that follow each other, or the one that is held.
    value: AtomicU64,
    count: AtomicU64,
    answer: AtomicU64,
    values: [AtomicU64; BATCH_MAX],
}

/// The operations of one process in one history.
pub struct Log {
    begun: AtomicU64,
    records: [Record; OPS_MAX],
}

// SAFETY: atomic words only.
unsafe impl Zeroed for Log {}

/// The stamps.
pub struct Clock(AtomicU64);

impl Clock {
    pub fn reset(&self) {
        self.0.store(0, SeqCst);
    }

    fn stamp(&self) -> u64 {
        self.0.fetch_add(1, SeqCst) + 1
    }
}

impl Log {
    pub fn clear(&self) {
        self.begun.store(0, SeqCst);
    }

    /// Calls `operation` and writes down what is known of it, before and after.
    pub fn note(
        &self,
        clock: &Clock,
        request: Request,
        value: u64,
        count: usize,
        operation: impl FnOnce() -> Answer,
    ) {
        let nth = self.begun.load(SeqCst);
        let record = &self.records[nth as usize];
        let words = [(&record.request, request as u64), (&record.value, value)];
        for (word, now) in words.into_iter().chain([(&record.count, count as u64)]) {
            word.store(now, SeqCst);
        }
        record.returned.store(0, SeqCst);
        record.invoked.store(clock.stamp(), SeqCst);
        self.begun.store(nth + 1, SeqCst);
        let answer = operation();
        let returned = clock.stamp();
        record.write(&answer);
        record.returned.store(returned, SeqCst);
    }

    /// What the process did; `was_killed` if its last operation may be cut short.
    pub fn life(&self, was_killed: bool) -> Life {
        let begun = self.begun.load(SeqCst) as usize;
        let mut life = Life::default();
        for record in &self.records[..begun] {
            let (invoked, returned) = (record.invoked.load(SeqCst), record.returned.load(SeqCst));
            if returned == 0 {
                assert!(was_killed && life.cut.is_none(), "an operation of the living is missing");
                life.cut = Some((invoked as Stamp, record.cut()));
            } else {
                let (invoked, returned) = (invoked as Stamp, returned as Stamp);
                life.ops.push(Op { invoked, returned, steps: record.steps() });
            }
        }
        if was_killed && life.cut.is_none() {
            let last = life.ops.last().map_or(0, |op| op.returned);
            life.cut = Some((last, Cut::Nothing));
        }
        life
    }
}

impl Record {
    fn write(&self, answer: &Answer) {
        let (kind, number, values): (u64, usize, &[u64]) = match answer {
            Answer::Done => (0, 0, &[]),
            Answer::Number(number) => (1, *number, &[]),
            Answer::Values(values) => (2, values.len(), values),
            Answer::Lent(value, again) => (3, again.map_or(2, usize::from), &[*value]),
            Answer::No(why) => (4, NOES.iter().position(|no| no == why).unwrap(), &[]),
        };
        self.answer.store(kind << 32 | number as u64, SeqCst);
        for (word, value) in self.values.iter().zip(values) {
            word.store(*value, SeqCst);
        }
    }

    fn read(&self) -> Answer {
        let answer = self.answer.load(SeqCst);
        let number = answer as u32 as usize;
        match answer >> 32 {
            0 => Answer::Done,
            1 => Answer::Number(number),
            2 => Answer::Values(self.values[..number].iter().map(|v| v.load(SeqCst)).collect()),
            3 => {
                let again = (number < 2).then_some(number == 1);
                Answer::Lent(self.values[0].load(SeqCst), again)
            }
            _ => Answer::No(NOES[number]),
        }
    }

    fn asked(&self) -> (Request, u64, usize) {
        let request = Request::ALL[self.request.load(SeqCst) as usize];
        (request, self.value.load(SeqCst), self.count.load(SeqCst) as usize)
    }

    fn steps(&self) -> Vec<Step> {
        use Request::*;
        let (request, value, wanted) = self.asked();
        match (request, self.read()) {
            (Recover, _) => vec![],
            (End, _) => vec![Step::Recover, Step::PopRefused(No::Empty), Step::NothingReturned],
            (Push | PushMany | Reserve, Answer::No(why)) => vec![Step::PushRefused(why)],
            (Push, _) => vec![Step::Push(value)],
            (Reserve, _) => vec![Step::Reserve],
            (PushMany, Answer::Number(count)) => {
                let end = (count < wanted).then_some(Step::PushRefused(No::Either));
                (0..count).map(|nth| Step::Push(value + nth as u64)).chain(end).collect()
            }
            (Pop | PopMany | PopRest | Lease, Answer::No(why)) => {
                vec![Step::PopRefused(why), Step::NothingReturned]
            }
            (Pop | PopMany | PopRest, Answer::Values(values)) => {
                let end = [Step::PopRefused(No::Either), Step::NothingReturned];
                let end = end.into_iter().filter(|_| values.len() < wanted);
                values.iter().map(|value| Step::Pop(*value, None)).chain(end).collect()
            }
            (Lease, Answer::Lent(value, again)) => vec![Step::Lease(value, again)],
            (Commit, _) => vec![Step::Commit(value)],
            (Abandon, _) => vec![Step::Abandon],
            (Release, _) => vec![Step::Release(value)],
            (GiveBack, _) => vec![Step::GiveBack(value)],
            (Len, Answer::Number(len)) => vec![Step::Len(len)],
            (IsEmpty, Answer::Number(yes)) => vec![Step::IsEmpty(yes == 1)],
            (IsFull, Answer::Number(yes)) => vec![Step::IsFull(yes == 1)],
            (request, answer) => panic!("{answer:?} is no answer to {request:?}"),
        }
    }

    fn cut(&self) -> Cut {
        use Request::*;
        let (request, value, wanted) = self.asked();
        match request {
            Push => Cut::Push(vec![value]),
            PushMany => Cut::Push((value..value + wanted as u64).collect()),
            Reserve => Cut::Reserve,
            Commit => Cut::Commit(value),
            Pop | PopMany => Cut::Pop(wanted),
            Lease => Cut::Lease,
            Release => Cut::Release(value),
            Abandon | GiveBack | Len | IsEmpty | IsFull | Recover | PopRest | End => Cut::Nothing,
        }
    }
}
