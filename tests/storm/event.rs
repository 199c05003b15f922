//! `Event`: whoever waits goes on, whoever else dies.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use shmkit::{Event, Value};

use crate::campaign::Storm;
use crate::helper::Helper;
use crate::ledger::{Ledger, Rng};
use crate::{DEADLINE, Test, survives};

pub fn tests() -> Vec<Test> {
    vec![survives::<Pulses>("event::pulses")]
}

/// Long enough to be ended by a pulse; only the end of the storm leaves nobody who pulses.
const SLICE: Duration = Duration::from_secs(1);
/// Sets that have returned.
const SETS: usize = 0;

/// The first worker pulses, the others wait for it.
struct Pulses {
    event: Event,
    /// Written before each set, by one process at a time.
    number: Value<u64>,
}

impl Storm for Pulses {
    const WORKERS: usize = 5;

    fn set_up() -> Self {
        Pulses { event: Event::new().unwrap(), number: Value::new(0).unwrap() }
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        if me == 0 {
            self.number.fetch_add(1);
            self.event.set();
            ledger.word(SETS).fetch_add(1, SeqCst);
            if rng.one_in(4) {
                std::thread::yield_now();
            }
            self.event.clear();
            return;
        }
        if rng.one_in(8) {
            let _ = self.event.wait_timeout(Duration::from_micros(rng.below(500)));
        }
        while !self.event.wait_timeout(SLICE) {
            if ledger.is_over() {
                return;
            }
        }
        assert!(self.number.get() > 0);
    }

    fn check(&self, ledger: &Ledger) {
        assert!(self.number.get() >= ledger.word(SETS).load(SeqCst));
        self.event.clear();
        let sleeper = Helper::start(|| assert!(self.event.wait_timeout(DEADLINE)));
        sleeper.settle();
        self.event.set();
        sleeper.join();
    }
}
