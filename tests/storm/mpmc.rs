//! Rings for many.

use shmkit::ring::{MpmcRing, TryPopError, TryPushError, mpmc};

use crate::items::{CAPACITY, Carrier, Item, Items, Refused, item};
use crate::ledger::Rng;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Items<Ring, false>>("mpmc::pops"),
        survives::<Items<Ring, true>>("mpmc::leases"),
    ]
}

struct Ring(MpmcRing<Item>);

fn refused_push<T>(why: TryPushError<T>) -> Refused {
    match why {
        TryPushError::Full(_) => Refused::Now,
        TryPushError::Busy(_) => Refused::Soon,
        _ => panic!("no answer of a ring in use"),
    }
}

fn refused_pop(why: TryPopError) -> Refused {
    match why {
        TryPopError::Empty => Refused::Now,
        TryPopError::Busy => Refused::Soon,
        other => panic!("{other}"),
    }
}

impl Carrier for Ring {
    fn new(capacity: usize) -> Self {
        Ring(mpmc(capacity).unwrap())
    }

    fn push(&self, items: &[Item], rng: &mut Rng) -> Result<usize, Refused> {
        match rng.below(4) {
            0 => self.0.try_push_slice(items).map_err(refused_push),
            1 => {
                let mut slot = self.0.try_reserve().map_err(refused_push)?;
                *slot = items[0];
                slot.commit();
                Ok(1)
            }
            2 => {
                let mut slot = self.0.try_reserve().map_err(refused_push)?;
                slot[0] = 0;
                Ok(0)
            }
            _ => self.0.try_push(items[0]).map(|()| 1).map_err(refused_push),
        }
    }

    fn pop(&self, out: &mut [Item], rng: &mut Rng) -> Result<usize, Refused> {
        if rng.one_in(2) {
            return self.0.try_pop_slice(out).map_err(refused_pop);
        }
        out[0] = self.0.try_pop().map_err(refused_pop)?;
        Ok(1)
    }

    fn lend(&self, consume: impl FnOnce(Item, bool) -> bool) -> Result<(), Refused> {
        let lease = self.0.try_lease().map_err(refused_pop)?;
        if consume(*lease, lease.is_redelivered()) {
            lease.release();
        }
        Ok(())
    }

    fn rest(&self) -> Option<(Item, bool)> {
        let lease = self.0.try_lease().ok()?;
        let rest = (*lease, lease.is_redelivered());
        lease.release();
        Some(rest)
    }

    fn recover(&self) {
        self.0.recover();
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn assert_works(&self) {
        for round in 0..3 {
            (0..CAPACITY as u64).for_each(|n| self.0.try_push(item(n)).unwrap());
            assert!(self.0.is_full(), "round {round}");
            let all = std::iter::from_fn(|| self.0.try_pop().ok());
            assert!(all.eq((0..CAPACITY as u64).map(item)), "round {round}");
        }
    }
}
