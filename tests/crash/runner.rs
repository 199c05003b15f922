//! The test list of a program with a `main` of its own: it takes the arguments of any test binary.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Instant;

use crate::shared::{Shared, Zeroed};
use crate::step;

/// One line of the test list.
pub struct Test {
    /// As `--list` shows it.
    pub name: String,
    /// What to say of a success, or the failures.
    pub run: Box<dyn Fn() -> Result<String, Vec<String>>>,
}

#[allow(dead_code, reason = "each program uses one of the two")]
/// Runs those of `tests` that the command line names, one after the other, in this thread.
pub fn run(tests: Vec<Test>) -> ExitCode {
    run_in(1, tests)
}

#[allow(dead_code, reason = "each program uses one of the two")]
/// As [`run`], by one process for each processor that this one may use: for tests that each keep to
/// one processor, and to themselves.
pub fn run_in_parallel(tests: Vec<Test>) -> ExitCode {
    run_in(std::thread::available_parallelism().map_or(1, |n| n.get()), tests)
}

fn run_in(processes: usize, tests: Vec<Test>) -> ExitCode {
    let arguments = Arguments::parse(std::env::args().skip(1));
    let (chosen, other): (Vec<Test>, Vec<Test>) =
        tests.into_iter().partition(|test| arguments.choose(&test.name));
    if arguments.list {
        for test in &chosen {
            println!("{}: test", test.name);
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", chosen.len());
    let started = Instant::now();
    let board: Shared<Board> = Shared::new();
    match arguments.processes.unwrap_or(processes) {
        0 | 1 => work(&chosen, &board),
        processes => {
            let crew: Vec<_> =
                (0..processes).map(|_| step::fork(|| work(&chosen, &board))).collect();
            crew.into_iter().for_each(|pid| {
                step::wait(pid);
            });
        }
    }
    let has_passed = |n: usize| board.passed[n].load(SeqCst) != 0;
    let failed: Vec<&str> =
        (0..chosen.len()).filter(|n| !has_passed(*n)).map(|n| chosen[n].name.as_str()).collect();
    if !failed.is_empty() {
        println!("\nfailures:\n    {}", failed.join("\n    "));
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

/// Who does what, and how it went. A test that takes its process with it has not passed.
struct Board {
    next: AtomicU64,
    passed: [AtomicU64; 1024],
}

// SAFETY: atomic words only.
unsafe impl Zeroed for Board {}

/// Runs tests until none is left.
fn work(tests: &[Test], board: &Board) {
    loop {
        let n = board.next.fetch_add(1, SeqCst) as usize;
        let Some(test) = tests.get(n) else { return };
        let began = Instant::now();
        // One write each, so that lines of several processes do not mix.
        match (test.run)() {
            Ok(summary) => {
                let seconds = began.elapsed().as_secs_f64();
                println!("{0}: {summary}, {seconds:.1} s\ntest {0} ... ok", test.name);
                board.passed[n].store(1, SeqCst);
            }
            Err(failures) => {
                let failures = failures.join("\n");
                println!("test {0} ... FAILED\n\n---- {0} ----\n{failures}\n", test.name);
            }
        }
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
    processes: Option<usize>,
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
                "--test-threads" => {
                    arguments.processes = words.next().and_then(|n| n.parse().ok());
                }
                "--format" | "--color" | "--logfile" | "-Z" => {
                    words.next();
                }
                flag if flag.starts_with("--test-threads=") => {
                    arguments.processes = flag.split_once('=').and_then(|(_, n)| n.parse().ok());
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
