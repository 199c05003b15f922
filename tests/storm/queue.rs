//! Queues: the waiting forms and the others, one message and several at a time. Of a joinable queue
//! nothing is ever lost: a job of a dead consumer comes again.

use std::time::Duration;

use shmkit::{GetError, JoinableQueue, PutError, Queue};

use crate::items::{CAPACITY, Carrier, Item, Items, Refused, item};
use crate::ledger::Rng;
use crate::{DEADLINE, Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Items<Queue<Item>, false>>("queue::gets"),
        survives::<Items<JoinableQueue<Item>, true>>("queue::jobs"),
    ]
}

/// Longer than it takes until a waiter looks for the dead.
const LONG_ENOUGH: Duration = Duration::from_millis(300);

/// Longer than anybody waits for others at work, and not for ever: in the end nobody is left who gets.
const UNTIL_THE_END: Duration = Duration::from_secs(5);

fn shortly(rng: &mut Rng) -> Duration {
    Duration::from_micros(rng.below(5000))
}

/// A queue is disconnected when the others are dead, and their successors have not used it yet.
fn refused_put<T>(why: PutError<T>) -> Refused {
    match why {
        PutError::Full(_) | PutError::Timeout(_) | PutError::Disconnected(_) => Refused::Now,
        other => panic!("{other}"),
    }
}

fn refused_get(why: GetError) -> Refused {
    match why {
        GetError::Empty | GetError::Timeout | GetError::Disconnected => Refused::Now,
        other => panic!("{other}"),
    }
}

/// Puts in one form or another, which both kinds of queues have.
macro_rules! put_somehow {
    ($queue:expr, $items:expr, $rng:expr) => {{
        let (queue, items, rng) = ($queue, $items, $rng);
        let one = items[0];
        let put = match rng.below(5) {
            0 => queue.try_put(one),
            1 => queue.put_timeout(one, shortly(rng)),
            2 => queue.put_timeout(one, UNTIL_THE_END),
            3 => return put_some(items, queue.try_put_many(items.to_vec())),
            _ => return put_some(items, queue.put_many_timeout(items.to_vec(), shortly(rng))),
        };
        put.map(|()| 1).map_err(refused_put)
    }};
}

/// How many were put, by what is left of them.
fn put_some(items: &[Item], put: Result<(), PutError<Vec<Item>>>) -> Result<usize, Refused> {
    let rest = match put {
        Ok(()) => return Ok(items.len()),
        Err(PutError::Full(rest) | PutError::Timeout(rest) | PutError::Disconnected(rest)) => rest,
        Err(other) => panic!("{other}"),
    };
    assert_eq!(rest, items[items.len() - rest.len()..]);
    Ok(items.len() - rest.len())
}

impl Carrier for Queue<Item> {
    const RECOVERS: bool = false;

    fn new(capacity: usize) -> Self {
        Queue::new(capacity).unwrap()
    }

    fn push(&self, items: &[Item], rng: &mut Rng) -> Result<usize, Refused> {
        put_somehow!(self, items, rng)
    }

    fn pop(&self, out: &mut [Item], rng: &mut Rng) -> Result<usize, Refused> {
        let max = out.len();
        let got = match rng.below(4) {
            0 => self.try_get().map(|got| vec![got]),
            1 => self.get_timeout(shortly(rng)).map(|got| vec![got]),
            2 => self.try_get_many(max),
            _ => self.get_many_timeout(max, shortly(rng)),
        };
        let got = got.map_err(refused_get)?;
        out[..got.len()].copy_from_slice(&got);
        Ok(got.len())
    }

    fn lend(&self, _: impl FnOnce(Item, bool) -> bool) -> Result<(), Refused> {
        unreachable!("nothing is lent")
    }

    fn rest(&self) -> Option<(Item, bool)> {
        self.get_timeout(LONG_ENOUGH).ok().map(|got| (got, false))
    }

    fn recover(&self) {}

    fn len(&self) -> usize {
        Queue::len(self)
    }

    fn assert_works(&self) {
        for round in 0..3 {
            (0..CAPACITY as u64).for_each(|n| self.try_put(item(n)).unwrap());
            assert!(self.is_full(), "round {round}");
            let all = std::iter::from_fn(|| self.try_get().ok());
            assert!(all.eq((0..CAPACITY as u64).map(item)), "round {round}");
        }
    }
}

impl Carrier for JoinableQueue<Item> {
    const RECOVERS: bool = false;

    fn new(capacity: usize) -> Self {
        JoinableQueue::new(capacity).unwrap()
    }

    fn push(&self, items: &[Item], rng: &mut Rng) -> Result<usize, Refused> {
        put_somehow!(self, items, rng)
    }

    fn pop(&self, _: &mut [Item], _: &mut Rng) -> Result<usize, Refused> {
        unreachable!("everything is lent")
    }

    fn lend(&self, consume: impl FnOnce(Item, bool) -> bool) -> Result<(), Refused> {
        let job = self.get_timeout(Duration::from_millis(1)).map_err(refused_get)?;
        if consume(*job, job.attempts() > 1) {
            job.done();
        }
        Ok(())
    }

    fn rest(&self) -> Option<(Item, bool)> {
        let job = self.get_timeout(LONG_ENOUGH).ok()?;
        let rest = (*job, job.attempts() > 1);
        job.done();
        Some(rest)
    }

    fn recover(&self) {}

    fn len(&self) -> usize {
        JoinableQueue::len(self)
    }

    fn assert_works(&self) {
        self.join_timeout(DEADLINE).unwrap();
        for round in 0..3 {
            (0..CAPACITY as u64).for_each(|n| self.try_put(item(n)).unwrap());
            assert!(self.is_full(), "round {round}");
            for n in 0..CAPACITY as u64 {
                let job = self.try_get().unwrap();
                assert_eq!((*job, job.attempts()), (item(n), 1), "round {round}");
                job.done();
            }
        }
        self.join_timeout(DEADLINE).unwrap();
    }
}
