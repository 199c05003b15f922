//! The harness catches what it is there to catch.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::campaign::Storm;
use crate::ledger::{Ledger, Rng};
use crate::shared::Shared;
use crate::{Test, catches, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<OneWord>("proof::one_word_commit_passes"),
        catches::<TwoWords>("proof::two_word_update_is_caught", "torn"),
        catches::<Orphaned>("proof::lock_that_dies_with_its_owner_is_caught", "hang"),
        catches::<Stolen>("proof::theft_from_the_living_is_caught", "stolen"),
        catches::<Counted>("proof::lost_acknowledgement_is_caught", "lost"),
    ]
}

const BEGUN: usize = 0;
const ACKNOWLEDGED: usize = 1;

/// Sound: every change is one atomic word.
struct OneWord(Shared<AtomicU64>);

impl Storm for OneWord {
    fn set_up() -> Self {
        OneWord(Shared::new())
    }

    fn work(&self, me: usize, _: &mut Rng, ledger: &Ledger) {
        ledger.own(me, BEGUN).fetch_add(1, SeqCst);
        self.0.fetch_add(1, SeqCst);
        ledger.own(me, ACKNOWLEDGED).fetch_add(1, SeqCst);
    }

    fn check(&self, ledger: &Ledger) {
        assert_within(self.0.load(SeqCst), ledger);
    }
}

fn assert_within(count: u64, ledger: &Ledger) {
    let (begun, acknowledged) = (ledger.sum(BEGUN), ledger.sum(ACKNOWLEDGED));
    assert!(count >= acknowledged, "lost: {count} of {acknowledged} acknowledged");
    assert!(count <= begun, "too many: {count} of {begun} begun");
    assert!(begun - acknowledged <= ledger.kills(), "one operation of each of the killed at most");
}

/// Unsound: what is acknowledged is not done yet.
struct Counted(Shared<AtomicU64>);

impl Storm for Counted {
    fn set_up() -> Self {
        Counted(Shared::new())
    }

    fn work(&self, me: usize, _: &mut Rng, ledger: &Ledger) {
        ledger.own(me, BEGUN).fetch_add(1, SeqCst);
        ledger.own(me, ACKNOWLEDGED).fetch_add(1, SeqCst);
        std::thread::yield_now();
        self.0.fetch_add(1, SeqCst);
    }

    fn check(&self, ledger: &Ledger) {
        assert_within(self.0.load(SeqCst), ledger);
    }
}

/// Unsound: two words that must agree, written one after the other under a sound spin lock.
struct TwoWords {
    words: Shared<[AtomicU64; 2]>,
    owner: Shared<AtomicU64>,
}

impl Storm for TwoWords {
    fn set_up() -> Self {
        TwoWords { words: Shared::new(), owner: Shared::new() }
    }

    fn work(&self, me: usize, _: &mut Rng, ledger: &Ledger) {
        let _ = spin(&self.owner, me, ledger, |owner| ledger.is_doomed(owner));
        let [one, two] = [self.words[0].load(SeqCst), self.words[1].load(SeqCst)];
        assert_eq!(one, two, "torn");
        self.words[0].store(one + 1, SeqCst);
        self.words[1].store(two + 1, SeqCst);
        self.owner.store(0, SeqCst);
    }

    fn check(&self, _: &Ledger) {}
}

/// Unsound: a lock whose owner never changes if it dies.
struct Orphaned(Shared<AtomicU64>);

impl Storm for Orphaned {
    fn set_up() -> Self {
        Orphaned(Shared::new())
    }

    fn work(&self, me: usize, _: &mut Rng, ledger: &Ledger) {
        let _ = spin(&self.0, me, ledger, |_| false);
        self.0.store(0, SeqCst);
    }

    fn check(&self, _: &Ledger) {}
}

/// Unsound: a lock that is taken from an owner who has it for long.
struct Stolen(Shared<AtomicU64>);

impl Storm for Stolen {
    fn set_up() -> Self {
        Stolen(Shared::new())
    }

    fn work(&self, me: usize, _: &mut Rng, ledger: &Ledger) {
        let mut looks = 0;
        let impatient = |_| {
            looks += 1;
            looks > 1000
        };
        if let Some(robbed) = spin(&self.0, me, ledger, impatient) {
            assert!(ledger.is_doomed(robbed), "stolen");
        }
        self.0.store(0, SeqCst);
    }

    fn check(&self, _: &Ledger) {}
}

/// Takes the lock `word`, from an owner too of whom `may_be_robbed` says so; returns that one.
fn spin(
    word: &AtomicU64,
    me: usize,
    ledger: &Ledger,
    mut may_be_robbed: impl FnMut(u64) -> bool,
) -> Option<u64> {
    loop {
        let owner = word.load(SeqCst);
        if (owner == 0 || may_be_robbed(owner))
            && word.compare_exchange(owner, ledger.ticket(me), SeqCst, SeqCst).is_ok()
        {
            return (owner != 0).then_some(owner);
        }
        std::thread::yield_now();
    }
}
