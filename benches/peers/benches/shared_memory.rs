//! Locks and regions beside `raw_sync` and `shared_memory`, alone on their CPU, in turns.
//!
//! Speed is not why the core does without them: `tests/differences.rs` is.

#![allow(missing_docs)]

use raw_sync::locks::{LockInit, Mutex};
use shared_memory::ShmemConf;
use shmkit::{Lock, Region};
use std::hint::black_box;
use std::time::Instant;

const TURNS: usize = 200;

/// One contestant: its name, and what it does once.
type Contestant<'a> = (&'a str, Box<dyn FnMut() + 'a>);

/// Prints the lower decile of each contestant's samples of `count` rounds, in nanoseconds a round,
/// and the ratio to the first.
fn compare(title: &str, count: u32, contestants: &mut [Contestant<'_>]) {
    let turns = if std::env::args().any(|arg| arg == "--test") { 1 } else { TURNS };
    let mut samples = vec![Vec::new(); contestants.len()];
    for _ in 0..turns {
        for ((_, once), samples) in contestants.iter_mut().zip(&mut samples) {
            let start = Instant::now();
            (0..count).for_each(|_| once());
            samples.push(start.elapsed().as_nanos() as f64 / f64::from(count));
        }
    }
    println!("{title}");
    let mut first = None;
    for ((name, _), mut samples) in contestants.iter().zip(samples) {
        samples.sort_by(f64::total_cmp);
        let ns = samples[samples.len() / 10];
        println!("    {name:<14} {ns:>9.1} ns  x{:.2}", ns / *first.get_or_insert(ns));
    }
}

fn main() {
    let segment = ShmemConf::new().size(4096).create().unwrap();
    // SAFETY: the segment has 4096 bytes and outlives the mutex, which is made in it once; the
    // number that it protects lies behind it.
    let theirs = unsafe {
        let number = segment.as_ptr().add(Mutex::size_of(Some(segment.as_ptr())));
        Mutex::new(segment.as_ptr(), number).unwrap().0
    };
    let ours = Lock::new(0u64).unwrap();
    compare(
        "lock, add one, unlock; uncontended",
        10_000,
        &mut [
            ("shmkit", Box::new(|| *ours.lock().unwrap() += 1)),
            (
                "raw_sync",
                Box::new(|| {
                    let guard = theirs.lock().unwrap();
                    let number = (*guard).cast::<u64>();
                    // SAFETY: the lock is held, and the number lies in the segment; where the
                    // mutex ends need not be aligned for it.
                    unsafe { number.write_unaligned(number.read_unaligned() + 1) };
                }),
            ),
        ],
    );
    compare(
        "make and drop a segment of 64 KiB",
        20,
        &mut [
            ("shmkit", Box::new(|| drop(black_box(Region::new(1 << 16).unwrap())))),
            (
                "shared_memory",
                Box::new(|| drop(black_box(ShmemConf::new().size(1 << 16).create().unwrap()))),
            ),
        ],
    );
}
