//! A process from start to end: whether it is alive, joined with and without a time limit, its exit
//! code, and the ways to end it.
//!
//! `cargo run --example process_life`

use shmkit::{Event, Process};
use std::time::Duration;

fn wait_for(event: Event) {
    event.wait();
}

fn sleep() {
    loop {
        std::thread::park();
    }
}

fn main() -> shmkit::Result<()> {
    let done = Event::new()?;
    let process = Process::spawn((done.clone(),), wait_for)?;
    println!("started: alive {}, exit code {:?}", process.is_alive(), process.exitcode());
    let ended = process.join_timeout(Duration::from_millis(100))?;
    println!("joined for a moment: ended {}, alive {}", ended.is_some(), process.is_alive());
    done.set();
    process.join()?;
    println!("joined: alive {}, exit code {:?}", process.is_alive(), process.exitcode());

    let exiting = Process::spawn((2,), |code: i32| -> () { std::process::exit(code) })?;
    println!("{}", exiting.join().unwrap_err());

    let terminated = Process::spawn((), sleep)?;
    terminated.terminate()?;
    println!("{}: exit code {:?}", terminated.join().unwrap_err(), terminated.exitcode());
    let killed = Process::spawn((), sleep)?;
    killed.kill()?;
    println!("{}: exit code {:?}", killed.join().unwrap_err(), killed.exitcode());
    Ok(())
}
