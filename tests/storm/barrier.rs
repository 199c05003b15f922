//! `Barrier`: parties meet in full or learn why not, and after a reset all is well.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use shmkit::{Barrier, BrokenBarrier};

use crate::campaign::Storm;
use crate::helper::Helper;
use crate::ledger::{Ledger, Rng};
use crate::{DEADLINE, Test, survives};

pub fn tests() -> Vec<Test> {
    vec![survives::<Rounds>("barrier::rounds")]
}

const PARTIES: u32 = 3;
/// Actions begun, and run to their end.
const BEGUN: usize = 0;
const RUN: usize = 1;
/// Of a seat: how often it came first, and last, into a round that was completed.
const FIRST: usize = 0;
const LAST: usize = 1;

/// More workers than parties, who reset the barrier whenever a death, or one of them, broke it.
struct Rounds(Barrier);

impl Storm for Rounds {
    const WORKERS: usize = 5;

    fn set_up() -> Self {
        Rounds(Barrier::new(PARTIES).unwrap())
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        if rng.one_in(200) {
            self.0.abort();
        }
        let begun = ledger.word(BEGUN).load(SeqCst);
        let action = || {
            ledger.word(BEGUN).fetch_add(1, SeqCst);
            ledger.word(RUN).fetch_add(1, SeqCst);
        };
        let longest = if rng.one_in(20) { 500 } else { 20_000 };
        let timeout = Duration::from_micros(1 + rng.below(longest));
        match self.0.wait_with_timeout(action, timeout) {
            Ok(index) => {
                assert!(index < PARTIES);
                assert!(ledger.word(BEGUN).load(SeqCst) > begun, "met without an action");
                if index == 0 {
                    ledger.own(me, FIRST).fetch_add(1, SeqCst);
                } else if index == PARTIES - 1 {
                    ledger.own(me, LAST).fetch_add(1, SeqCst);
                }
            }
            Err(BrokenBarrier::Reset) => {}
            Err(BrokenBarrier::Timeout | BrokenBarrier::Aborted | BrokenBarrier::PartyDied) => {
                self.0.reset()
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn check(&self, ledger: &Ledger) {
        let (first, last) = (ledger.sum(FIRST), ledger.sum(LAST));
        // A killed worker may have taken the news of one round with it.
        assert!(first.abs_diff(last) <= ledger.kills(), "{first} first, {last} last");
        let run = ledger.word(RUN).load(SeqCst);
        assert!(last <= run, "{last} rounds of {run} actions");
        assert!(ledger.word(BEGUN).load(SeqCst) - run <= ledger.kills());
        for _ in 0..2 {
            self.0.reset(); // forgets the dead, among them those who ended here
            let others =
                [(); 2].map(|()| Helper::start(|| assert!(self.0.wait_timeout(DEADLINE).is_ok())));
            self.0.wait_timeout(DEADLINE).unwrap();
            let _ = others.map(Helper::join);
        }
    }
}
