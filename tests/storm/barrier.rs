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
/// Actions begun, and run to their end; resets begun.
const BEGUN: usize = 0;
const RUN: usize = 1;
const RESETS: usize = 2;
/// Of a seat: how often it came first, and last, into a round that was completed.
const FIRST: usize = 0;
const LAST: usize = 1;
/// Of a seat: how often it ran the action of a round that was broken meanwhile.
const SPOILT: usize = 2;
/// Of a seat: how often so many rounds ended while it waited that a barrier forgets which were
/// completed: then it says that it was reset.
const FORGOTTEN: usize = 3;
/// A barrier remembers the outcomes of 8 rounds for sure; each other worker may end one of them with
/// a reset that it had counted before.
const REMEMBERED: u64 = 8 - (Rounds::WORKERS as u64 - 1);

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
        // Each end of a round is counted before: an action is run, or a reset begun.
        let ends = || ledger.word(RUN).load(SeqCst) + ledger.word(RESETS).load(SeqCst);
        let before = ends();
        let mut has_run = false;
        let action = || {
            ledger.word(BEGUN).fetch_add(1, SeqCst);
            has_run = true;
            ledger.word(RUN).fetch_add(1, SeqCst);
        };
        let longest = if rng.one_in(20) { 500 } else { 20_000 };
        let timeout = Duration::from_micros(1 + rng.below(longest));
        let met = self.0.wait_with_timeout(action, timeout);
        if has_run && met.is_err() {
            ledger.own(me, SPOILT).fetch_add(1, SeqCst);
        }
        match met {
            Ok(index) => {
                assert!(index < PARTIES);
                assert!(ledger.word(BEGUN).load(SeqCst) > begun, "met without an action");
                assert!(has_run == (index == PARTIES - 1), "action of number {index}: {has_run}");
                if index == 0 {
                    ledger.own(me, FIRST).fetch_add(1, SeqCst);
                } else if has_run {
                    ledger.own(me, LAST).fetch_add(1, SeqCst);
                }
            }
            Err(BrokenBarrier::Reset) => {
                if ends() - before > REMEMBERED {
                    ledger.own(me, FORGOTTEN).fetch_add(1, SeqCst);
                }
            }
            Err(BrokenBarrier::Timeout | BrokenBarrier::Aborted | BrokenBarrier::PartyDied) => {
                ledger.word(RESETS).fetch_add(1, SeqCst);
                self.0.reset();
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn check(&self, ledger: &Ledger) {
        let [first, last, spoilt, forgotten] =
            [FIRST, LAST, SPOILT, FORGOTTEN].map(|word| ledger.sum(word));
        let [begun, run] = [BEGUN, RUN].map(|word| ledger.word(word).load(SeqCst));
        // A killed worker may have taken the news of one round with it.
        let kills = ledger.kills();
        let all = format!("{first} first, {last} last, {run} of {begun} actions, {spoilt} spoilt");
        ledger.say(&format!("{all}, {forgotten} forgotten;"));
        assert!(run <= begun && begun - run <= kills, "{all}");
        // Of each round whose action was run the last party was told what became of it.
        assert!(last + spoilt <= run && run - last - spoilt <= kills, "{all}");
        // Of each completed round, and of no other, the first one was told so.
        assert!(first + spoilt <= run, "{all}");
        assert!(last <= first + forgotten + kills, "{all}, {forgotten} forgotten");
        for _ in 0..2 {
            self.0.reset(); // forgets the dead, among them those who ended here
            let others =
                [(); 2].map(|()| Helper::start(|| assert!(self.0.wait_timeout(DEADLINE).is_ok())));
            self.0.wait_timeout(DEADLINE).unwrap();
            let _ = others.map(Helper::join);
        }
    }
}
