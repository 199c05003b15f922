//! Four processes count 20,000 times each: wrong without a lock, right with it, right in one step.
//!
//! `cargo run --example counter`

use shmkit::{Process, Result, Value};

const PROCESSES: u32 = 4;
const TIMES: u32 = 20_000;

fn without_lock(count: Value<u32>) {
    for _ in 0..TIMES {
        let n = count.get();
        std::thread::yield_now(); // as any work here does now and then: others count meanwhile
        count.set(n + 1).unwrap(); // and what they counted is lost
    }
}

fn with_lock(count: Value<u32>) {
    for _ in 0..TIMES {
        count.update(|n| *n += 1).unwrap(); // reads and writes while nobody else does
    }
}

fn in_one_step(count: Value<u32>) {
    for _ in 0..TIMES {
        count.fetch_add(1); // needs no lock
    }
}

fn count_by(worker: fn(Value<u32>)) -> Result<u32> {
    let count = Value::new(0)?;
    let spawn = |_| Process::spawn((count.clone(),), worker);
    let processes = (0..PROCESSES).map(spawn).collect::<Result<Vec<_>>>()?;
    for process in processes {
        process.join()?;
    }
    Ok(count.get())
}

fn main() -> Result<()> {
    println!("without a lock: {}", count_by(without_lock)?);
    println!("with its lock:  {}", count_by(with_lock)?);
    println!("in one step:    {}", count_by(in_one_step)?);
    println!("expected:       {}", PROCESSES * TIMES);
    Ok(())
}
