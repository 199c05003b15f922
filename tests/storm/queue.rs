//! Queues: the waiting forms and the others, one message and several at a time.

use std::time::Duration;

use shmkit::{GetError, PutError, Queue};

use crate::items::{CAPACITY, Carrier, Item, Items, Refused, item};
use crate::ledger::Rng;
use crate::{DEADLINE, Test, survives};

pub fn tests() -> Vec<Test> {
    vec![survives::<Items<Queue<Item>, false>>("queue::gets")]
}

/// Longer than it takes until a waiter looks for the dead.
const LONG_ENOUGH: Duration = Duration::from_millis(300);

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

impl Carrier for Queue<Item> {
    const RECOVERS: bool = false;

    fn new(capacity: usize) -> Self {
        Queue::new(capacity).unwrap()
    }

    fn push(&self, items: &[Item], rng: &mut Rng) -> Result<usize, Refused> {
        let one = items[0];
        let put = match rng.below(5) {
            0 => self.try_put(one),
            1 => self.put_timeout(one, shortly(rng)),
            2 => self.put_timeout(one, DEADLINE),
            some => {
                let all = items.to_vec();
                let put = match some {
                    3 => self.try_put_many(all),
                    _ => self.put_many_timeout(all, shortly(rng)),
                };
                let Err(why) = put else { return Ok(items.len()) };
                return match why {
                    PutError::Full(rest)
                    | PutError::Timeout(rest)
                    | PutError::Disconnected(rest) => {
                        assert_eq!(rest, items[items.len() - rest.len()..]);
                        Ok(items.len() - rest.len())
                    }
                    other => panic!("{other}"),
                };
            }
        };
        put.map(|()| 1).map_err(refused_put)
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
