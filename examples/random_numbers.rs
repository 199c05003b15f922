//! A producer puts ten random numbers into a queue; a consumer sums them up, waits for more, and is
//! terminated. Nobody hangs, and nothing is lost.
//!
//! `cargo run --example random_numbers`

use shmkit::{GetError, Process, ProcessError, Queue, Result};
use std::hash::{BuildHasher, RandomState};

fn produce(numbers: Queue<u64>) -> u64 {
    let random: Vec<u64> = (0..10).map(|n| RandomState::new().hash_one(n) % 1000).collect();
    let sum = random.iter().sum();
    for number in random {
        numbers.put(number).unwrap();
    }
    sum
}

fn consume(numbers: Queue<u64>, sums: Queue<u64>) {
    let mut sum = 0;
    for number in numbers.iter() {
        sum += number;
        sums.put(sum).unwrap();
    }
}

fn main() -> Result<()> {
    let (numbers, sums) = (Queue::new(4)?, Queue::new(4)?);
    let producer = Process::spawn((numbers.clone(),), produce)?;
    let consumer = Process::spawn((numbers.clone(), sums.clone()), consume)?;
    let mut sum = 0;
    for _ in 0..10 {
        sum = sums.get()?;
    }
    println!("all ten are there: {}", sum == producer.join()?);

    consumer.terminate()?; // while it waits for an eleventh
    match consumer.join() {
        Err(ProcessError::Signaled { signal, .. }) => println!("consumer ended by signal {signal}"),
        other => println!("consumer ended by itself: {other:?}"),
    }
    numbers.put(11)?;
    println!("the queue works: {}", numbers.get()? == 11);
    println!("nobody sums any more: {}", matches!(sums.get(), Err(GetError::Disconnected)));
    Ok(())
}
