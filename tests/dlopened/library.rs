//! A library with this crate in it, for a program that knows nothing of it.

#![allow(unsafe_code)]

use shmkit::{Error, Method, Process};

fn outcome(started: shmkit::Result<Process<i32>>) -> i32 {
    match started {
        Ok(child) => child.join().unwrap_or(-2),
        Err(Error::NotInitialised) => 1,
        Err(Error::Threads(_)) => 3,
        Err(_) => 4,
    }
}

/// What comes of starting a process by this method here: 0 is spawn, 1 the fork server, 2 a fork.
///
/// Returns 1 for `NotInitialised`, 3 for `Threads`, and 42 from a child.
#[unsafe(no_mangle)]
pub extern "C" fn dlopened_start(method: i32) -> i32 {
    outcome(match method {
        0 => Process::spawn((40, 2), |a: i32, b: i32| a + b),
        1 => Process::builder().method(Method::ForkServer).spawn((40, 2), |a: i32, b: i32| a + b),
        // SAFETY: a number is all that the child uses.
        _ => unsafe { Process::fork(|| 42) },
    })
}
