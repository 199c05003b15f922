//! `Pool`: a round trip beside two bare futex wakes, tasks one by one, and a map in chunks.
//!
//! `cargo bench -p shmkit-benches --bench pool`; `-- --test` is a quick pass. Beside other pools:
//! `benches/peers`, bench `pool`.
#![allow(missing_docs, unsafe_code)]
#![allow(clippy::disallowed_types, reason = "the flags are no part of what is modelled")]

#[path = "support/bare.rs"]
#[allow(dead_code, reason = "made for locks")]
mod bare;
#[path = "support/crew.rs"]
#[allow(dead_code, reason = "made for locks")]
mod crew;
#[path = "support/pools.rs"]
mod pools;

use pools::{bare_wakes, chunked_map, round_trips, single_tasks, table};

fn main() {
    let is_quick = std::env::args().any(|arg| arg == "--test");
    let workers = shmkit::cpu_count();
    let [together, apart] = round_trips(bare_wakes());
    table("round trip on one processor", &together, is_quick);
    table("round trip across processors", &apart, is_quick);
    drop((together, apart));
    table("tasks one by one", &single_tasks(workers), is_quick);
    table("map in chunks", &chunked_map(workers), is_quick);
}
