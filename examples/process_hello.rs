//! Three processes: a function, a closure and a task type. Each gives a value back.
//!
//! `cargo run --example process_hello`

use serde::{Deserialize, Serialize};
use shmkit::{Process, Run, current_process, parent_process};

fn greet(name: String, times: usize) -> String {
    vec![format!("hello {name}"); times].join(", ")
}

#[derive(Serialize, Deserialize)]
struct Primes {
    below: u32,
}

impl Run for Primes {
    type Output = usize;

    fn run(self) -> usize {
        (2..self.below).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0)).count()
    }
}

fn main() -> shmkit::Result<()> {
    let greeting = Process::spawn(("world".into(), 2), greet)?;
    let primes = Process::start(Primes { below: 10_000 })?;
    let who = Process::builder().name("inspector").daemon(true).spawn((), || {
        let parent = parent_process().map(|parent| parent.name().to_string());
        (current_process().name().to_string(), current_process().pid(), parent)
    })?;

    println!("{}", greeting.join()?);
    println!("{} primes below 10000", primes.join()?);
    let (name, pid, parent) = who.join()?;
    println!("{name} was process {pid}, child of {}", parent.unwrap_or_default());
    assert_eq!(pid, who.pid());
    assert_eq!(who.exitcode(), Some(0));
    Ok(())
}
