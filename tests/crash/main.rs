//! Kills processes at every instruction of what they do, and asks the survivors.
//!
//! Own `main`, because the harness forks and must stay single-threaded; otherwise it takes the
//! arguments of any test binary. Environment: `SHMKIT_CRASH=full` tries every instruction of the
//! long operations too (ci/crash.sh), `SHMKIT_CRASH_AT=k` only the `k`-th.
#![allow(unsafe_code)]
#![allow(clippy::disallowed_types, reason = "the ledger's atomics are no part of what is modelled")]

mod campaign;
mod helper;
mod lock;
mod mpmc;
mod pipe;
mod proof;
mod region;
mod ring;
mod shared;
mod spawn;
mod step;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Instant;

use campaign::{DEADLINE, Report, Scenario};

/// One line of the test list.
pub struct Test {
    name: String,
    /// What to say of a success, or the failures.
    run: Box<dyn Fn() -> Result<String, Vec<String>>>,
}

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
    tests.extend(ring::tests());
    tests.extend(mpmc::tests());
    tests.extend(pipe::tests());
    tests.extend(spawn::tests());
    tests
}

fn main() -> ExitCode {
    bind_symbols_now();
    let arguments = Arguments::parse(std::env::args().skip(1));
    let (chosen, other): (Vec<Test>, Vec<Test>) =
        tests().into_iter().partition(|test| arguments.choose(&test.name));
    if arguments.list {
        for test in &chosen {
            println!("{}: test", test.name);
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let started = Instant::now();
    let mut failed = Vec::new();
    for test in &chosen {
        match (test.run)() {
            Ok(summary) => println!("{}: {summary}\ntest {} ... ok", test.name, test.name),
            Err(failures) => {
                println!("test {} ... FAILED", test.name);
                failed.push((&test.name, failures));
            }
        }
    }
    for (name, failures) in &failed {
        println!("\n---- {name} ----\n{}", failures.join("\n"));
    }
    println!(
        "\ntest result: {}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out; \
         finished in {:.2}s\n",
        if failed.is_empty() { "ok" } else { "FAILED" },
        chosen.len() - failed.len(),
        failed.len(),
        other.len(),
        started.elapsed().as_secs_f64()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(101) }
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

/// What of libtest's command line applies here.
#[derive(Default)]
struct Arguments {
    filters: Vec<String>,
    skips: Vec<String>,
    exact: bool,
    list: bool,
    ignored_only: bool,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Arguments {
        let mut arguments = Arguments::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--exact" => arguments.exact = true,
                "--list" => arguments.list = true,
                "--ignored" => arguments.ignored_only = true,
                "--skip" => arguments.skips.extend(words.next()),
                "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => {
                    words.next();
                }
                flag if flag.starts_with('-') => {}
                _ => arguments.filters.push(word),
            }
        }
        arguments
    }

    fn choose(&self, name: &str) -> bool {
        let meets =
            |filter: &String| if self.exact { name == filter } else { name.contains(filter) };
        !self.ignored_only
            && (self.filters.is_empty() || self.filters.iter().any(meets))
            && !self.skips.iter().any(meets)
    }
}
