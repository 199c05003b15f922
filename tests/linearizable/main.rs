//! Linearizability: whatever processes do to a queue at once looks as if each operation had taken
//! effect at one moment between its invocation and its return.
//!
//! Thousands of short histories of three processes, interrupted and killed at random moments, are
//! checked against a sequential queue. Own `main`, because the harness forks and must stay
//! single-threaded; otherwise it takes the arguments of any test binary. Environment:
//! `SHMKIT_HISTORIES` is how many histories each test makes, 500 if not said;
//! `SHMKIT_HISTORIES_SEED` repeats the dice of another run, as far as the kernel lets it.
#![allow(unsafe_code)]
#![allow(clippy::disallowed_types, reason = "the recorder's atomics are no part of what is tested")]

mod check;
mod handmade;
mod model;
mod record;
mod run;
mod subject;

#[allow(dead_code, reason = "made for storms")]
#[path = "../storm/ledger.rs"]
mod ledger;
#[path = "../crash/runner.rs"]
mod runner;
#[allow(dead_code, reason = "made for single steps")]
#[path = "../crash/shared.rs"]
mod shared;
#[allow(dead_code, reason = "made for single steps")]
#[path = "../crash/step.rs"]
mod step;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use run::Weather;
pub use runner::Test;
use shmkit::ring::MpmcRing;
use shmkit::{JoinableQueue, Queue};

/// Far longer than a history takes that does not hang; then this process is killed.
pub const DEADLINE_SECONDS: u32 = 120;

/// A number from the environment.
pub fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|n| n.parse().unwrap_or_else(|_| panic!("{name}: a number")))
}

/// A seed that nobody has chosen.
pub fn dice() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_nanos() as u64
}

fn main() -> ExitCode {
    let mut tests = handmade::tests();
    let calm = Weather::default();
    let (lends, kills) = (Weather { lends: true, ..calm }, Weather { kills: true, ..calm });
    let both = Weather { lends: true, kills: true };
    tests.extend([
        run::test::<MpmcRing<u64>>("mpmc::pushes_and_pops", calm),
        run::test::<MpmcRing<u64>>("mpmc::pushes_and_pops_of_the_killed", kills),
        run::test::<MpmcRing<u64>>("mpmc::lends", lends),
        run::test::<MpmcRing<u64>>("mpmc::lends_of_the_killed", both),
        run::test::<Queue<u64>>("queue::puts_and_gets", calm),
        run::test::<Queue<u64>>("queue::puts_and_gets_of_the_killed", kills),
        run::test::<Queue<u64>>("queue::loans", lends),
        run::test::<Queue<u64>>("queue::loans_of_the_killed", both),
        run::test::<JoinableQueue<u64>>("queue::jobs", lends),
        run::test::<JoinableQueue<u64>>("queue::jobs_of_the_killed", both),
    ]);
    runner::run(tests)
}
