//! The harness catches what it is there to catch, and passes what is sound.

use std::fs::{self, File};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use crate::campaign::{DEADLINE, Death, Fate, Points, Scenario, run};
use crate::shared::{Ledger, Shared};
use crate::step::begin;
use crate::{Test, catches, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<OneWord>("proof::one_word_commit_passes"),
        catches("proof::two_word_update_is_caught", "torn", || run::<TwoWords>(DEADLINE)),
        catches("proof::each_state_of_memory_is_tried", "torn", || run::<States>(DEADLINE)),
        catches("proof::each_state_of_the_kernel_is_tried", "left", || run::<TwoCalls>(DEADLINE)),
        catches("proof::rescuer_is_killed_too", "torn", || run::<Rescue>(DEADLINE)),
        catches("proof::theft_from_the_living_is_caught", "stolen", || run::<Theft>(DEADLINE)),
        catches("proof::race_of_the_living_is_caught", "lost", || run::<Race>(DEADLINE)),
        catches("proof::hang_is_caught", "hang", || run::<Hang>(Duration::from_secs(2))),
        catches("proof::crash_of_a_survivor_is_caught", "signal 11", || run::<Crash>(DEADLINE)),
        catches("proof::leaked_descriptor_is_caught", "descriptor", || run::<Leak>(DEADLINE)),
    ]
}

type Words = Shared<[AtomicU64; 2]>;

/// Sound: the value is written aside and one word says which copy counts.
struct OneWord {
    copies: Words,
    index: Shared<AtomicU64>,
    ledger: Shared<Ledger>,
}

impl Scenario for OneWord {
    fn set_up() -> OneWord {
        OneWord { copies: Shared::new(), index: Shared::new(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        begin();
        for value in 1..=3 {
            self.ledger.begin();
            let index = 1 - self.index.load(SeqCst);
            self.copies[index as usize].store(value, SeqCst);
            self.index.store(index, SeqCst);
            self.ledger.acknowledge(value);
        }
    }

    fn check(&mut self, death: Death) {
        let value = self.copies[self.index.load(SeqCst) as usize].load(SeqCst);
        let (begun, acknowledged) = (self.ledger.begun(), self.ledger.acknowledged());
        assert!((acknowledged..=begun).contains(&value), "{acknowledged} <= {value} <= {begun}");
        assert!(!death.complete || value == 3);
    }
}

/// Unsound: two words that must agree, written one after the other.
struct TwoWords(Words);

impl Scenario for TwoWords {
    fn set_up() -> TwoWords {
        TwoWords(Shared::new())
    }

    fn victim(&mut self) {
        begin();
        update(&self.0);
    }

    fn check(&mut self, _: Death) {
        assert!(!is_torn(&self.0), "torn");
    }
}

fn update(words: &Words) {
    words[0].fetch_add(1, SeqCst);
    words[1].fetch_add(1, SeqCst);
}

fn is_torn(words: &Words) -> bool {
    words[0].load(SeqCst) != words[1].load(SeqCst)
}

/// [`TwoWords`] killed so rarely that only the watch on memory finds the instant.
struct States(TwoWords);

impl Scenario for States {
    const POINTS: Points = Points::States;

    fn set_up() -> States {
        States(TwoWords::set_up())
    }

    fn victim(&mut self) {
        self.0.victim();
    }

    fn check(&mut self, death: Death) {
        self.0.check(death);
    }
}

/// Unsound: makes a file and removes it.
struct TwoCalls(String);

impl Scenario for TwoCalls {
    const POINTS: Points = Points::States;

    fn set_up() -> TwoCalls {
        TwoCalls(format!("/dev/shm/shmkit-crash-proof-{}", std::process::id()))
    }

    fn victim(&mut self) {
        begin();
        File::create(&self.0).unwrap();
        fs::remove_file(&self.0).unwrap();
    }

    fn check(&mut self, _: Death) {
        assert!(fs::remove_file(&self.0).is_err(), "a file was left");
    }
}

/// Unsound only if the one who finishes a dead update dies too: it repeats the first half.
struct Rescue(Words);

impl Scenario for Rescue {
    const POINTS: Points = Points::States;
    const RESCUED: bool = true;

    fn set_up() -> Rescue {
        Rescue(Shared::new())
    }

    fn victim(&mut self) {
        begin();
        self.0[0].store(1, SeqCst);
        self.0[1].store(1, SeqCst);
    }

    fn rescue(&mut self) {
        begin();
        if is_torn(&self.0) {
            update(&self.0);
            self.0[0].store(1, SeqCst);
        }
    }

    fn check(&mut self, death: Death) {
        assert!(self.0[0].load(SeqCst) != 2, "torn");
        assert!(!death.complete || !is_torn(&self.0), "the rescue itself is wrong");
    }
}

/// Unsound: takes a claim for a dead one's though its owner is only slow.
struct Theft(Words);

impl Scenario for Theft {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Theft {
        Theft(Shared::new())
    }

    fn victim(&mut self) {
        begin();
        self.0[0].store(1, SeqCst);
        self.0[0].store(0, SeqCst);
    }

    fn frozen(&mut self) {
        assert!(self.0[0].swap(0, SeqCst) == 0, "stolen from the living");
    }

    fn check(&mut self, _: Death) {}
}

/// Unsound between the living: what is read and then written by two.
struct Race(Words);

impl Scenario for Race {
    const FATE: Fate = Fate::FreezeAndRun;

    fn set_up() -> Race {
        Race(Shared::new())
    }

    fn victim(&mut self) {
        begin();
        let value = self.0[0].load(SeqCst);
        self.0[0].store(value + 1, SeqCst);
    }

    fn frozen(&mut self) {
        self.0[0].fetch_add(1, SeqCst);
    }

    fn check(&mut self, _: Death) {
        assert_eq!(self.0[0].load(SeqCst), 2, "an update is lost");
    }
}

/// Unsound: waits for the dead for ever.
struct Hang(Words);

impl Scenario for Hang {
    const POINTS: Points = Points::States;

    fn set_up() -> Hang {
        Hang(Shared::new())
    }

    fn victim(&mut self) {
        begin();
        update(&self.0);
    }

    fn check(&mut self, _: Death) {
        while is_torn(&self.0) {
            std::thread::yield_now();
        }
    }
}

/// Unsound: follows an address out of shared memory.
struct Crash(Words);

impl Scenario for Crash {
    const POINTS: Points = Points::States;

    fn set_up() -> Crash {
        Crash(Shared::new())
    }

    fn victim(&mut self) {
        begin();
        update(&self.0);
    }

    fn check(&mut self, _: Death) {
        if is_torn(&self.0) {
            // SAFETY: none, and that is the point: it crashes, in a process that is there for it.
            unsafe { std::ptr::without_provenance_mut::<u8>(16).write_volatile(1) };
        }
    }
}

/// Unsound: a recovery that forgets a descriptor.
struct Leak(Words);

impl Scenario for Leak {
    const POINTS: Points = Points::States;

    fn set_up() -> Leak {
        Leak(Shared::new())
    }

    fn victim(&mut self) {
        begin();
        update(&self.0);
    }

    fn check(&mut self, _: Death) {
        if is_torn(&self.0) {
            std::mem::forget(File::open("/dev/null").unwrap());
        }
    }
}
