//! What it costs to start a process and to learn of its end, by each method of this library, beside
//! bare `posix_spawn(3)`, `fork(2)` and the standard library's `Command`.
//!
//! `cargo bench -p shmkit-benches --bench process` prints criterion's figures, and tables from one run
//! in turns: in a small process, and with 100 MB and 1 GB of memory in use (in small pages, as a heap
//! of many small things is). Ours pass two numbers and give a sum back; the others only end. Those
//! that start a program start this one, which ends before its `main`.
//!
//! `-- tables` leaves criterion out, `-- --test` is a quick pass.
#![allow(missing_docs, unsafe_code)]

#[path = "support/starts.rs"]
mod starts;

use criterion::Criterion;
use std::time::Duration;

fn main() {
    let contestants = starts::contestants();
    let arguments: Vec<String> = std::env::args().collect();
    if !arguments.iter().any(|arg| arg == "tables") {
        let mut criterion = Criterion::default()
            .sample_size(20)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_secs(1))
            .configure_from_args();
        let mut group = criterion.benchmark_group("process");
        for contestant in &contestants {
            group.bench_function(contestant.name, |b| {
                b.iter_custom(|count| contestant.time(count as u32));
            });
        }
        group.finish();
        criterion.final_summary();
    }
    starts::tables(&contestants, arguments.iter().any(|arg| arg == "--test" || arg == "--list"));
}
