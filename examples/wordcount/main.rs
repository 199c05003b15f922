//! Counts the words of a tree of files in several processes.
//!
//! ```text
//! cargo run --release --example wordcount -- [PATH..] [--check]
//! ```
//!
//! This is the program to read first. It uses four objects of the library:
//!
//! - [`shmkit::Process`] runs the workers. What a worker needs is handed to it as arguments.
//! - [`shmkit::Pipe`] carries jobs to each worker, and answers back. A pipe ends when the other
//!   side closes it or dies: that is how a killed worker is noticed.
//! - [`shmkit::Array`] holds the names of all files, once, for all workers.
//! - [`shmkit::Value`] is the number of bytes done, which everybody counts up.
//!
//! The files from the outside in: `options` (command line), `files` (which files), `crew` (feeds
//! the workers), `work` (what is left to do), `worker` (runs in the workers), `counter` (one file),
//! `words`, `vocabulary` and `counts` (the counting itself), `remarks` (what was odd), `progress`,
//! `report` and `check`.

mod check;
mod counter;
mod counts;
mod crew;
mod files;
mod options;
mod progress;
mod remarks;
mod report;
mod vocabulary;
mod words;
mod work;
mod worker;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use counter::Counter;
use crew::Totals;
use files::FileList;
use options::{HELP, Options, Request};
use progress::Progress;

fn main() -> ExitCode {
    let done = match Request::parse(env::args_os().skip(1)) {
        Ok(Request::Help) => say(HELP).map(|()| true),
        Ok(Request::Count(options)) => run(&options),
        Err(mistake) => {
            eprintln!("wordcount: {mistake}; --help tells more");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("wordcount: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Counts and reports. `false` when files were given up or the check failed.
fn run(options: &Options) -> shmkit::Result<bool> {
    let (list, found) = files::list(&options.paths, options.skip_caches);
    let progress = Progress::new(list.total_bytes())?;

    // Read everything once, so that both counts find it in memory and the disk decides nothing.
    progress.watch("reading once", || warm(&list, &progress));

    let who = report::plural(options.workers, "worker process");
    let crew = || crew::count(&list, options.workers, options.kill_one, &progress.done_bytes);
    let (totals, together) = progress.watch(&who, crew);
    let mut totals = totals?;
    let ((), alone) = progress.watch("one process", || count_alone(&list, &progress));

    totals.remarks.extend(found);
    say(&report::words(&totals, list.files().len(), options.top))?;
    say(&report::oddities(&totals.remarks, &totals.incidents))?;
    say(&report::speed(totals.bytes, &who, together, alone))?;
    let right = !options.check || is_right(&list, &totals, &progress)?;
    Ok(right && totals.given_up == 0)
}

/// Reads every file once.
fn warm(list: &FileList, progress: &Progress) {
    let mut buffer = vec![0; counter::PIECE_BYTES];
    for path in list.paths() {
        progress.done_bytes.fetch_add(counter::warm_file(path, &mut buffer));
    }
}

/// The same work in this process: what the speed-up is measured against.
fn count_alone(list: &FileList, progress: &Progress) {
    let mut counter = Counter::new(progress.done_bytes.clone());
    for path in list.paths() {
        counter.count_file(path);
    }
}

/// Compares with a plain count and says how that went.
fn is_right(list: &FileList, totals: &Totals, progress: &Progress) -> shmkit::Result<bool> {
    let plain = || check::plain_count(list, &progress.done_bytes);
    let (plain, _) = progress.watch("plain count", plain);
    let (differing, examples) = check::differences(&totals.counts, &plain);
    say(&report::check(plain.len(), differing, &examples))?;
    Ok(differing == 0)
}

/// Prints, and fails when nobody reads on, where `print!` would panic.
fn say(text: &str) -> shmkit::Result<()> {
    Ok(io::stdout().write_all(text.as_bytes())?)
}
