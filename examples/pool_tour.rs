//! What a pool can do: maps, single tasks, lazy results, and a worker that dies.
//!
//! `cargo run --example pool_tour`

use shmkit::{Pool, TaskError};
use std::sync::OnceLock;

static OFFSET: OnceLock<u64> = OnceLock::new();

fn set_offset(offset: u64) {
    let _ = OFFSET.set(offset);
}

fn sq(x: u64) -> u64 {
    x * x
}

fn main() -> shmkit::Result<()> {
    let pool = Pool::builder()
        .workers(4)
        .initializer((7u64,), set_offset)
        .max_tasks_per_child(1000)
        .build()?;
    let squares = pool.map(0..100, sq)?;
    println!("map: {} squares, the last is {}", squares.len(), squares[99]);
    println!("starmap: {:?}", pool.starmap([(2u64, 3u32), (3, 2)], |a, n| a.pow(n))?);
    println!(
        "with the offset of its worker: {}",
        pool.apply((5,), |x: u64| x + OFFSET.get().unwrap())?
    );

    let results: Vec<_> = (0..10).map(|n| pool.apply_async((n,), sq)).collect::<Result<_, _>>()?;
    let list: Vec<u64> = results.iter().map(|result| result.get()).collect::<Result<_, _>>()?;
    println!("a list of results: {list:?}");
    for square in pool.imap(0.., sq).skip(3).take(2) {
        println!("one by one: {}", square?);
    }
    match pool.apply((), || -> () { std::process::abort() }) {
        Err(TaskError::WorkerDied { signal: Some(6), .. }) => {
            println!("a worker died, and is replaced")
        }
        other => other?,
    }
    println!("and all goes on: {}", pool.apply((12,), sq)?);
    pool.close().join()
}
