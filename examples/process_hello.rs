//! Two processes with names and arguments: by position, and by name in a struct. Each gives a value
//! back, shares no globals with the others, and knows its parent.
//!
//! `cargo run --example process_hello`

use serde::{Deserialize, Serialize};
use shmkit::{Process, Run, current_process, parent_process};
use std::sync::Mutex;

/// Each process has its own.
static SEEN: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn count(to: u32, greeting: String) -> (String, u32, u32, Vec<u32>) {
    let mut seen = SEEN.lock().unwrap();
    seen.extend(0..to);
    let text = format!("{greeting} from {}", current_process().name());
    let parent = parent_process().map_or(0, |parent| parent.pid());
    (text, current_process().pid(), parent, seen.clone())
}

/// A process with data of its own, and what it does: a subclass of Python's `Process`.
#[derive(Serialize, Deserialize)]
struct Primes {
    below: u32,
    only_count: bool,
}

impl Run for Primes {
    type Output = (usize, Vec<u32>);

    fn run(self) -> (usize, Vec<u32>) {
        let is_prime = |n: &u32| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0);
        let primes: Vec<u32> = (2..self.below).filter(is_prime).collect();
        (primes.len(), if self.only_count { Vec::new() } else { primes })
    }
}

fn main() -> shmkit::Result<()> {
    let counter = Process::builder().name("counter").spawn((3, "hello".into()), count)?;
    let primes =
        Process::builder().name("primes").start(Primes { below: 20, only_count: false })?;

    let (text, pid, parent, seen) = counter.join()?;
    println!("{text}");
    println!(
        "its pid is that of its handle: {}",
        pid == counter.pid() && pid != std::process::id()
    );
    println!("its parent is this process: {}", parent == std::process::id());
    println!("it has seen {seen:?}, this process {:?}", SEEN.lock().unwrap());
    let (many, all) = primes.join()?;
    println!("{} has found {many}: {all:?}", primes.name());
    Ok(())
}
