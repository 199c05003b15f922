//! The ways in which a process can fail, and how its parent learns of each.
//!
//! `cargo run --example process_failures`

use shmkit::{Method, Process, ProcessError};
use std::process::{abort, exit};

fn main() -> shmkit::Result<()> {
    for method in [Method::Spawn, Method::ForkServer] {
        println!("{method:?}:");
        fail(method)?;
    }
    Ok(())
}

fn fail(method: Method) -> shmkit::Result<()> {
    let process = || Process::builder().method(method);
    let panicking = process().spawn((vec![1, 2, 3],), |v: Vec<i32>| v[v.len()])?;
    match panicking.join() {
        // The second where a panic aborts.
        Err(ProcessError::Panicked(panic) | ProcessError::Signaled { panic: Some(panic), .. }) => {
            println!("panicked at {:?}: {}", panic.location(), panic.message());
        }
        other => println!("{other:?}"),
    }
    println!("exit code {:?}", panicking.exitcode());

    let exiting = process().spawn((7,), |code: i32| -> u8 { exit(code) })?;
    println!("{}; exit code {:?}", exiting.join().unwrap_err(), exiting.exitcode());

    let aborting = process().spawn((), || -> () { abort() })?;
    println!("{}; exit code {:?}", aborting.join().unwrap_err(), aborting.exitcode());

    let endless: Process = process().spawn((), || {
        loop {
            std::thread::park();
        }
    })?;
    endless.terminate()?;
    println!("{}; exit code {:?}", endless.join().unwrap_err(), endless.exitcode());
    Ok(())
}
