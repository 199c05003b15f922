//! Two workers leave their results in a queue and end; only then is anything got. (With Python's
//! queue, to join before the results are got is a deadlock if they are large.)
//!
//! `cargo run --example two_workers`

use shmkit::{Process, Queue, QueueOptions, Result};

/// A result of 1 MiB.
fn work(worker: u8, results: Queue<Vec<u8>>) {
    results.put(vec![worker; 1 << 20]).unwrap();
}

fn main() -> Result<()> {
    let results: Queue<Vec<u8>> = QueueOptions::new(2).queue()?;
    let spawn = |worker| Process::spawn((worker, results.clone()), work);
    for process in (1..=2).map(spawn).collect::<Result<Vec<_>>>()? {
        process.join()?;
    }
    let mut workers = Vec::new();
    for result in results.get_many(2)? {
        assert!(result.len() == 1 << 20 && result.iter().all(|byte| *byte == result[0]));
        workers.push(result[0]);
    }
    workers.sort();
    println!("results of workers {workers:?}");
    Ok(())
}
