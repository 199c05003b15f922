//! Two workers for three tasks: the one who is free first takes the third.
//!
//! `cargo run --example two_for_three`

use shmkit::{Event, Pool, Queue, Result};

fn task(name: String, started: Queue<String>, go: Event) -> (String, u32) {
    started.put(name.clone()).unwrap();
    go.wait();
    (name, std::process::id())
}

fn main() -> Result<()> {
    let pool = Pool::builder().workers(2).build()?;
    let (started, go) = (Queue::new(3)?, Event::new()?);
    let mut results = Vec::new();
    for name in ["one", "two", "three"] {
        results.push(pool.apply_async((name.into(), started.clone(), go.clone()), task)?);
    }
    pool.close(); // no more tasks; those that were given are done
    let mut first = [started.get()?, started.get()?];
    first.sort();
    println!("{first:?} have begun, and the third: {}", !started.is_empty());
    go.set();
    let mut pids = Vec::new();
    for result in results {
        let (name, pid) = result.get()?;
        println!("{name} is done");
        pids.push(pid);
    }
    pids.sort_unstable();
    pids.dedup();
    println!("by {} processes", pids.len());
    pool.join()
}
