//! Processes of this library beside their peers: bare `posix_spawn(3)` and `fork(2)`, the standard
//! library's `Command`, `procspawn`, and Python's `multiprocessing.Process` by each of its methods. From
//! start to end, with two numbers passed and, where a peer can, a sum given back; ratios are to both
//! floors, more than 1 is slower. `-- --test` is a quick pass.

#![allow(missing_docs)]

#[path = "../../support/starts.rs"]
mod starts;

use starts::Contestant;
use std::process::Command;
use std::time::Duration;

/// Python, which starts the processes of a sample itself; nothing where there is no Python.
fn python(name: &'static str, method: &'static str) -> Contestant {
    Contestant::elsewhere(name, move |count| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/process_peers.py");
        let run =
            Command::new("python3").args([script, method, &count.to_string()]).output().ok()?;
        let ns = String::from_utf8(run.stdout).ok()?.trim().parse::<f64>().ok()?;
        Some(Duration::from_nanos(ns as u64))
    })
}

fn main() {
    // In its children this does not return.
    procspawn::init();
    let is_quick = std::env::args().any(|arg| arg == "--test");
    let mut contestants = starts::contestants();
    contestants.push(Contestant::new("procspawn", || {
        let child = procspawn::spawn((20u64, 1u64), |(a, b)| a + b);
        assert_eq!(child.join().unwrap(), 21);
    }));
    starts::tables(&contestants, is_quick);
    // Python copies its own memory, not ours, and takes long: by itself.
    contestants.truncate(2);
    contestants.push(python("Python's Process, fork", "fork"));
    contestants.push(python("Python's Process, forkserver", "forkserver"));
    contestants.push(python("Python's Process, spawn", "spawn"));
    starts::table("start to end, Python", &contestants, if is_quick { 1 } else { 5 });
}
