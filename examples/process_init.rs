//! A program that does without the take-over hook: `init` comes first in `main`.
//!
//! `cargo run --no-default-features --features serde --example process_init`

use shmkit::{Method, Process};

fn main() -> shmkit::Result<()> {
    shmkit::init(); // a child does not get past this line
    println!("main runs once, in process {}", std::process::id());

    let words = ["shared", "memory", "between", "processes"].map(String::from);
    let lengths: Vec<_> = words
        .into_iter()
        .zip([Method::Spawn, Method::ForkServer].into_iter().cycle())
        .map(|(word, method)| {
            Process::builder().method(method).spawn((word,), |word: String| word.len())
        })
        .collect::<Result<_, _>>()?;
    for length in lengths {
        println!("{}", length.join()?);
    }
    Ok(())
}
