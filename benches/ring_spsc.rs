//! `ring::spsc` between two processes, against a ring of two indices written by hand.
//!
//! `cargo bench --bench ring_spsc` runs criterion, then compares both in turns and prints the
//! ratios for each placement of the two CPUs. `-- compare` does the latter alone.

#![allow(missing_docs, unsafe_code, clippy::disallowed_types)]

#[path = "support/duel.rs"]
mod duel;
#[path = "support/hand.rs"]
mod hand;
#[path = "support/ours.rs"]
mod ours;

use criterion::{BenchmarkId, Criterion, Throughput};
use duel::{Duel, Shape, Side, compare};
use hand::hand;
use ours::ours;
use std::time::Duration;

const SHAPES: [(Shape, &str); 3] = [
    (Shape::RoundTrip, "round_trip"),
    (Shape::Stream, "stream"),
    (Shape::StreamBatch, "stream_batch32"),
];

macro_rules! duels {
    ($words:literal, $capacity:expr) => {
        [
            ("hand", Duel::<$words>::new(Side::Process, |_| hand($capacity))),
            ("ours", Duel::<$words>::new(Side::Process, |there| ours($capacity, there))),
        ]
    };
}

fn measure<const W: usize>(criterion: &mut Criterion, mut duels: [(&str, Duel<W>); 2]) {
    for (shape, name) in SHAPES {
        let mut group = criterion.benchmark_group(format!("ring/spsc/two_processes/{name}"));
        group.throughput(Throughput::Elements(1));
        for (who, duel) in &mut duels {
            group.bench_function(BenchmarkId::new(*who, 8 * W), |bencher| {
                bencher.iter_custom(|count| duel.run(shape, count));
            });
        }
        group.finish();
    }
}

fn contest<const W: usize>(mut duels: [(&str, Duel<W>); 2]) {
    for (shape, name) in SHAPES {
        compare(&format!("{name} {} B", 8 * W), shape, &mut duels);
    }
}

fn main() {
    if !std::env::args().any(|arg| arg == "compare") {
        let mut criterion = Criterion::default()
            .sample_size(20)
            .warm_up_time(Duration::from_millis(200))
            .measurement_time(Duration::from_millis(1000))
            .configure_from_args();
        measure(&mut criterion, duels!(1, 1024));
        measure(&mut criterion, duels!(8, 1024));
        measure(&mut criterion, duels!(128, 256));
        criterion.final_summary();
    }
    contest(duels!(1, 1024));
    contest(duels!(8, 1024));
    contest(duels!(128, 256));
}
