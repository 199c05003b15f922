//! `Pool` beside other ways to have others do the work: procspawn's pool of processes, Python's `Pool`
//! and `ProcessPoolExecutor`, and for reference rayon, whose workers are threads.
//!
//! All run the same function. The rows of a table take turns, but for Python, which measures itself in a
//! process of its own between them. `cargo bench --bench pool`; `-- --test` is a quick pass, `-- map`
//! only the table with that in its title.

#![allow(missing_docs)]

#[path = "../../support/bare.rs"]
#[allow(dead_code, reason = "made for locks")]
mod bare;
#[path = "../../support/crew.rs"]
#[allow(dead_code, reason = "made for locks")]
mod crew;
#[path = "../../support/pools.rs"]
mod pools;

use pools::{Row, bare_wakes, chunked_map, ns_each, round_trips, single_tasks, square, table};
use rayon::prelude::*;
use std::hint::black_box;
use std::process::Command;

/// Python's own figure for one kind of work; nothing if there is no Python.
fn python(
    name: &str,
    kind: &'static str,
    what: &'static str,
    workers: usize,
    count: u64,
) -> Option<Row> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/pool_peers/python.py");
    let run = move |count: u64| -> Option<f64> {
        let arguments =
            [kind.to_string(), what.to_string(), workers.to_string(), count.to_string()];
        let output = Command::new("python3").arg(script).args(arguments).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    if run(100).is_none() {
        println!("no {name}: python3 cannot be run here");
        return None;
    }
    Some(Row::new(name, count, move |count| run(count).unwrap_or(f64::NAN)))
}

fn procspawn_pool(workers: usize) -> procspawn::Pool {
    procspawn::Pool::new(workers).unwrap()
}

fn threads(workers: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap()
}

fn main() {
    // Its children run this line and no further.
    procspawn::init();
    let is_quick = std::env::args().any(|arg| arg == "--test");
    let workers = shmkit::cpu_count();
    let [mut together, mut apart] = round_trips(bare_wakes());
    for rows in [&mut together, &mut apart] {
        let pool = procspawn_pool(1);
        rows.push(Row::new("procspawn", 300, move |count| {
            ns_each(count, || {
                for n in 0..count {
                    black_box(procspawn::spawn!(in pool, (n) || square(n)).join().unwrap());
                }
            })
        }));
        let pool = threads(1);
        rows.push(Row::new("rayon, threads", 5_000, move |count| {
            ns_each(count, || (0..count).for_each(|n| drop(black_box(pool.install(|| square(n))))))
        }));
        rows.extend(python("Python Pool", "Pool", "trip", 1, 500));
        rows.extend(python("Python ProcessPoolExecutor", "Executor", "trip", 1, 300));
    }
    table("round trip on one processor", &together, is_quick);
    table("round trip across processors", &apart, is_quick);
    drop((together, apart));

    let mut rows = single_tasks(workers);
    let pool = procspawn_pool(workers);
    rows.push(Row::new("procspawn", 200, move |count| {
        ns_each(count, || {
            let handles: Vec<_> =
                (0..count).map(|n| procspawn::spawn!(in pool, (n) || square(n))).collect();
            handles.into_iter().for_each(|handle| drop(black_box(handle.join().unwrap())));
        })
    }));
    let pool = threads(workers);
    rows.push(Row::new("rayon, threads", 200_000, move |count| {
        ns_each(count, || {
            let items = (0..count as usize).into_par_iter().with_max_len(1);
            let squares = items.map(|n| square(n as u64));
            black_box(pool.install(|| squares.collect::<Vec<_>>()));
        })
    }));
    rows.extend(python("Python Pool.map, chunks of 1", "Pool", "single", workers, 5_000));
    rows.extend(python("Python ProcessPoolExecutor.map", "Executor", "single", workers, 2_000));
    table("tasks one by one", &rows, is_quick);
    drop(rows);

    let mut rows = chunked_map(workers);
    let pool = threads(workers);
    rows.push(Row::new("rayon, threads", 2_000_000, move |count| {
        ns_each(count, || {
            let items = (0..count).into_par_iter();
            black_box(pool.install(|| items.map(square).collect::<Vec<_>>()));
        })
    }));
    rows.extend(python("Python Pool.map", "Pool", "chunked", workers, 300_000));
    table("map in chunks", &rows, is_quick);
}
