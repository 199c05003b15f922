//! `Condition`: a bounded buffer goes on, whoever dies in it, and loses and doubles nothing.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use shmkit::{Condition, Lock, LockError, LockGuard};

use crate::campaign::Storm;
use crate::helper::Helper;
use crate::ledger::{Ledger, Rng};
use crate::{DEADLINE, Test, survives};

pub fn tests() -> Vec<Test> {
    vec![survives::<Buffer>("condition::bounded_buffer")]
}

/// Long enough to be ended by a notification; only the end of the storm, or the death of somebody
/// between a change and its notification, leaves it to the clock.
const SLICE: Duration = Duration::from_millis(500);
const CAPACITY: u64 = 3;
/// Of a seat: changes begun, and changes known to be published.
const BEGUN: usize = 0;
const DONE: usize = 1;

/// How many things are in it, have been put into it, and have been taken out of it.
type Data = [u64; 3];

/// Half of the workers put things in, the others take them out.
struct Buffer {
    lock: Lock<Data>,
    filled: Condition,
    emptied: Condition,
}

impl Buffer {
    fn recover<G>(taken: Result<G, LockError<G>>) -> G {
        match taken {
            Ok(guard) => guard,
            Err(LockError::OwnerDied(died)) => died.recover(),
            Err(other) => panic!("{other}"),
        }
    }

    fn enter(&self) -> LockGuard<'_, Data> {
        let guard = Self::recover(self.lock.lock());
        let [fill, put, taken] = *guard;
        assert!(fill <= CAPACITY && fill == put - taken, "{:?}", *guard);
        guard
    }

    /// Waits until `fill` is not what stands in the way.
    fn enter_when<'a>(
        &'a self,
        condition: &Condition,
        in_the_way: u64,
        rng: &mut Rng,
        ledger: &Ledger,
    ) -> Option<LockGuard<'a, Data>> {
        let mut guard = self.enter();
        while guard[0] == in_the_way {
            if ledger.is_over() {
                return None;
            }
            // Some give up soon, and come again.
            let hasty = rng.one_in(8);
            let timeout = if hasty { Duration::from_micros(rng.below(500)) } else { SLICE };
            guard = Self::recover(condition.wait_timeout(guard, timeout)).0;
        }
        Some(guard)
    }
}

impl Storm for Buffer {
    const WORKERS: usize = 6;

    fn set_up() -> Self {
        let [filled, emptied] = [(); 2].map(|()| Condition::new().unwrap());
        Buffer { lock: Lock::new([0; 3]).unwrap(), filled, emptied }
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        let puts = me.is_multiple_of(2);
        let (wait_for, then_notify, in_the_way) = match puts {
            true => (&self.emptied, &self.filled, CAPACITY),
            false => (&self.filled, &self.emptied, 0),
        };
        let Some(mut guard) = self.enter_when(wait_for, in_the_way, rng, ledger) else { return };
        ledger.own(me, BEGUN).fetch_add(1, SeqCst);
        if puts {
            guard[0] += 1;
            guard[1] += 1;
        } else {
            guard[0] -= 1;
            guard[2] += 1;
        }
        if rng.one_in(2) {
            then_notify.notify(1); // under the lock
            drop(guard);
        } else {
            drop(guard);
            then_notify.notify(1);
        }
        ledger.own(me, DONE).fetch_add(1, SeqCst);
    }

    fn check(&self, ledger: &Ledger) {
        let [_, put, taken] = *self.enter();
        let (begun, done) = (ledger.sum(BEGUN), ledger.sum(DONE));
        let changes = put + taken;
        assert!((done..=begun).contains(&changes), "{done} <= {changes} <= {begun}");
        assert!(begun - done <= ledger.kills());
        // Of two who wait, one notification wakes one, and the next the other.
        *self.enter() = [0; 3];
        let waiters = [(); 2].map(|()| {
            Helper::start(|| {
                let guard = self.enter();
                let empty = |data: &mut Data| data[0] == 0;
                let back = self.filled.wait_while_timeout(guard, empty, DEADLINE);
                let (mut guard, met) = back.unwrap();
                assert!(met);
                guard[0] -= 1;
                guard[2] += 1;
            })
        });
        for _ in 0..2 {
            let mut guard = self.enter();
            guard[0] += 1;
            guard[1] += 1;
            drop(guard);
            self.filled.notify(1);
        }
        let _ = waiters.map(Helper::join);
    }
}
