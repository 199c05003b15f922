//! Ten tasks for five workers: five run at a time. Then the same one by one, since `apply` waits.
//!
//! `cargo run --example five_at_a_time`

use shmkit::{Barrier, Pool, Result, Value};
use std::collections::BTreeSet;

/// Counts itself among those that run, and goes on when `together` of them do.
fn task(running: Value<u32>, peak: Value<u32>, together: Barrier) -> u32 {
    let now = running.fetch_add(1) + 1;
    peak.update(|peak| *peak = now.max(*peak)).unwrap();
    together.wait().unwrap();
    running.fetch_sub(1);
    together.wait().unwrap(); // so that none of the next ones is counted with these
    std::process::id()
}

fn main() -> Result<()> {
    let running = Value::new(0)?;
    let pool = Pool::builder().workers(5).build()?;

    let (peak, five) = (Value::new(0)?, Barrier::new(5)?);
    let arguments = || (running.clone(), peak.clone(), five.clone());
    let results: Vec<_> =
        (0..10).map(|_| pool.apply_async(arguments(), task)).collect::<Result<_>>()?;
    let pids: BTreeSet<u32> = results.iter().map(|r| r.get()).collect::<Result<_, _>>()?;
    println!("10 tasks by {} workers, {} at a time", pids.len(), peak.get());

    let (peak, alone) = (Value::new(0)?, Barrier::new(1)?);
    for _ in 0..10 {
        pool.apply((running.clone(), peak.clone(), alone.clone()), task)?;
    }
    println!("10 tasks one by one, {} at a time", peak.get());
    pool.close().join()
}
