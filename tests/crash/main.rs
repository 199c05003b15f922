//! Kills processes at every instruction of what they do, and asks the survivors.
//!
//! Own `main`, because the harness forks and must stay single-threaded; otherwise it takes the
//! arguments of any test binary. Environment: `SHMKIT_CRASH=full` tries every instruction of the
//! long operations too (ci/crash.sh), `SHMKIT_CRASH_AT=k` only the `k`-th.
#![allow(unsafe_code)]
#![allow(clippy::disallowed_types, reason = "the ledger's atomics are no part of what is modelled")]

mod barrier;
mod campaign;
mod condition;
mod event;
mod handles;
mod helper;
mod lock;
mod manager;
mod mpmc;
mod pipe;
mod pool;
mod proof;
mod queue;
mod queue_growth;
mod queue_large;
mod region;
mod ring;
mod rlock;
mod runner;
mod rwlock;
mod semaphore;
mod shared;
mod spawn;
mod step;
mod value;
mod wait;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use campaign::{DEADLINE, Report, Scenario};
pub use runner::Test;

/// A test that kills `S` at all its points; none may do harm.
pub fn survives<S: Scenario>(name: &str) -> Test {
    let run = || {
        let report = campaign::run::<S>(DEADLINE);
        if report.failures.is_empty() { Ok(summary(&report)) } else { Err(report.failures) }
    };
    Test { name: name.into(), run: Box::new(run) }
}

/// A test of the harness: the campaign must fail at some point, not at all, with `complaint`.
pub fn catches(name: &str, complaint: &'static str, campaign: fn() -> Report) -> Test {
    let run = move || {
        let report = campaign();
        let caught = report.failures.iter().any(|failure| failure.contains(complaint));
        let innocent = report.kills > report.failures.len();
        if caught && innocent { Ok(summary(&report)) } else { Err(report.failures) }
    };
    Test { name: name.into(), run: Box::new(run) }
}

fn summary(report: &Report) -> String {
    let Report { instructions, states, system_calls, kills, drifted, .. } = report;
    let drifted = if *drifted == 0 { String::new() } else { format!(", {drifted} drifted") };
    format!(
        "{instructions} instructions, {states} states, {system_calls} system calls, \
         {kills} kills{drifted}"
    )
}

fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    tests.extend(proof::tests());
    tests.extend(region::tests());
    tests.extend(lock::tests());
    tests.extend(value::tests());
    tests.extend(rlock::tests());
    tests.extend(semaphore::tests());
    tests.extend(event::tests());
    tests.extend(condition::tests());
    tests.extend(barrier::tests());
    tests.extend(rwlock::tests());
    tests.extend(ring::tests());
    tests.extend(mpmc::tests());
    tests.extend(queue_large::tests());
    tests.extend(queue::tests());
    tests.extend(queue_growth::tests());
    tests.extend(pipe::tests());
    tests.extend(handles::tests());
    tests.extend(spawn::tests());
    tests.extend(pool::tests());
    tests.extend(wait::tests());
    tests.extend(manager::tests());
    tests
}

fn main() -> ExitCode {
    bind_symbols_now();
    runner::run_in_parallel(tests())
}

/// Starts this program anew with lazy binding off: the dynamic linker's work at the first call of a
/// function would stand between the instructions that count.
fn bind_symbols_now() {
    if std::env::var_os("LD_BIND_NOW").is_none() {
        let mut words = std::env::args_os();
        let error = Command::new("/proc/self/exe")
            .arg0(words.next().unwrap_or_default())
            .args(words)
            .env("LD_BIND_NOW", "1")
            .exec();
        panic!("cannot start anew: {error}");
    }
}
