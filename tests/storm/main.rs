//! Storms: many processes do everything at random to one object, and are killed at random moments.
//!
//! Own `main`, because the harness forks and must stay single-threaded; otherwise it takes the
//! arguments of any test binary. Environment: `SHMKIT_STORM_KILLS` is how many workers each storm
//! kills, 150 if not said (ci/storm.sh: 10,000); `SHMKIT_STORM_SEED` repeats the dice of another
//! run, as far as the kernel lets it.
#![allow(unsafe_code)]
#![allow(clippy::disallowed_types, reason = "the ledger's atomics are no part of what is tested")]

mod barrier;
mod campaign;
mod condition;
mod event;
mod items;
mod ledger;
mod lock;
mod manager;
mod mpmc;
mod pool;
mod proof;
mod queue;
mod region;
mod rlock;
mod rwlock;
mod semaphore;
mod stream;
mod value;

#[allow(dead_code, reason = "made for single steps")]
#[path = "../crash/helper.rs"]
mod helper;
#[path = "../crash/runner.rs"]
mod runner;
#[allow(dead_code, reason = "made for single steps")]
#[path = "../crash/shared.rs"]
mod shared;
#[allow(dead_code, reason = "made for single steps")]
#[path = "../crash/step.rs"]
mod step;

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use campaign::{Storm, Weather};
pub use runner::Test;

/// Far longer than anything takes that does not hang, also where the whole machine stands still for
/// half a minute.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// A test that lets a storm go over `S`.
pub fn survives<S: Storm>(name: &str) -> Test {
    let run = || {
        let seed = setting("SHMKIT_STORM_SEED").unwrap_or_else(dice);
        campaign::run::<S>(Weather { kills: kills(), seed, deadline: DEADLINE })
            .map_err(|failure| vec![failure])
    };
    Test { name: name.into(), run: Box::new(run) }
}

/// A test of the harness: a storm must break `S`, with `complaint`.
pub fn catches<S: Storm>(name: &str, complaint: &'static str) -> Test {
    let run = move || {
        // A burst of kills may take seconds on a busy machine; a hang takes for ever.
        let deadline = if complaint == "hang" { Duration::from_secs(2) } else { DEADLINE };
        match campaign::run::<S>(Weather { kills: 600, seed: dice(), deadline }) {
            Err(failure) if failure.contains(complaint) => Ok(format!("caught: {failure}")),
            Err(failure) => Err(vec![format!("not the planted fault: {failure}")]),
            Ok(summary) => Err(vec![format!("not caught: {summary}")]),
        }
    };
    Test { name: name.into(), run: Box::new(run) }
}

/// How many workers are to be killed.
fn kills() -> u64 {
    setting("SHMKIT_STORM_KILLS").unwrap_or(150)
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|n| n.parse().unwrap_or_else(|_| panic!("{name}: a number")))
}

fn dice() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_nanos() as u64
}

fn main() -> ExitCode {
    let mut tests = Vec::new();
    tests.extend(proof::tests());
    tests.extend(lock::tests());
    tests.extend(rlock::tests());
    tests.extend(event::tests());
    tests.extend(condition::tests());
    tests.extend(barrier::tests());
    tests.extend(semaphore::tests());
    tests.extend(rwlock::tests());
    tests.extend(value::tests());
    tests.extend(stream::tests());
    tests.extend(mpmc::tests());
    tests.extend(queue::tests());
    tests.extend(region::tests());
    tests.extend(pool::tests());
    tests.extend(manager::tests());
    runner::run(tests)
}
