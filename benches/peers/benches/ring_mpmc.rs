//! `ring::mpmc` beside crossbeam's queue and channel, which cannot leave their process: all between
//! threads, in turns. The first contestant is Vyukov's ring, to which the ratios are; more than 1 is
//! slower.

#![allow(missing_docs)]

#[path = "../../support/many.rs"]
mod many;
#[path = "../../support/vyukov.rs"]
mod vyukov;

use crossbeam_queue::ArrayQueue;
use many::{consume, produce};
use shmkit::ring::mpmc;
use std::sync::Barrier;
use std::time::Instant;
use vyukov::Vyukov;

const CAPACITY: usize = 1024;

/// One contestant: its name, and one sample of so many threads on each side and items for each.
type Contestant = (&'static str, Box<dyn Fn(usize, u64) -> f64>);

/// Nanoseconds a push or pop.
fn sample(pairs: usize, count: u64, push: impl Fn(u64) + Sync, pop: impl Fn(u64) + Sync) -> f64 {
    let barrier = Barrier::new(2 * pairs + 1);
    let start = std::thread::scope(|scope| {
        for _ in 0..pairs {
            scope.spawn(|| {
                barrier.wait();
                push(count);
            });
            scope.spawn(|| {
                barrier.wait();
                pop(count);
            });
        }
        barrier.wait();
        Instant::now()
    });
    start.elapsed().as_nanos() as f64 / (2 * pairs as u64 * count) as f64
}

fn contestants<const W: usize>() -> Vec<Contestant>
where
    [u64; W]: bytemuck::Pod,
{
    let vyukov = Vyukov::<W, CAPACITY>::new();
    let ours = mpmc::<[u64; W]>(CAPACITY).unwrap();
    let queue = ArrayQueue::<[u64; W]>::new(CAPACITY);
    let (sender, receiver) = crossbeam_channel::bounded::<[u64; W]>(CAPACITY);
    vec![
        (
            "Vyukov",
            Box::new(move |pairs, count| {
                let push = |count| produce::<W>(count, |item| vyukov.try_push(item));
                let pop = |count| consume::<W>(count, |item| vyukov.try_pop(item));
                sample(pairs, count, push, pop)
            }),
        ),
        (
            "shmkit",
            Box::new(move |pairs, count| {
                let push = |count| {
                    let ours = ours.clone();
                    produce::<W>(count, |item| ours.try_push(*item).is_ok());
                };
                let pop = |count| {
                    let ours = ours.clone();
                    consume::<W>(count, |item| ours.try_pop().map(|got| *item = got).is_ok());
                };
                sample(pairs, count, push, pop)
            }),
        ),
        (
            "crossbeam ArrayQueue",
            Box::new(move |pairs, count| {
                let push = |count| produce::<W>(count, |item| queue.push(*item).is_ok());
                let pop = |count| {
                    consume::<W>(count, |item| queue.pop().map(|got| *item = got).is_some());
                };
                sample(pairs, count, push, pop)
            }),
        ),
        (
            "crossbeam channel",
            Box::new(move |pairs, count| {
                let push = |count| produce::<W>(count, |item| sender.try_send(*item).is_ok());
                let pop = |count| {
                    consume::<W>(count, |item| receiver.try_recv().map(|got| *item = got).is_ok());
                };
                sample(pairs, count, push, pop)
            }),
        ),
    ]
}

fn compare<const W: usize>(pairs: usize)
where
    [u64; W]: bytemuck::Pod,
{
    let testing = std::env::args().any(|arg| arg == "--test");
    let (turns, count) = if testing { (1, 1000) } else { (40, 200_000) };
    let contestants = contestants::<W>();
    let mut samples = vec![Vec::new(); contestants.len()];
    for _ in 0..turns {
        for ((_, run), samples) in contestants.iter().zip(&mut samples) {
            samples.push(run(pairs, count));
        }
    }
    println!("{} B, {pairs} producers, {pairs} consumers", 8 * W);
    for ((name, _), own) in contestants.iter().zip(&samples) {
        let mut ratios: Vec<f64> =
            own.iter().zip(&samples[0]).map(|(own, first)| own / first).collect();
        let mut ns = own.clone();
        ratios.sort_by(f64::total_cmp);
        ns.sort_by(f64::total_cmp);
        let (ns, ratio) = (ns[ns.len() / 2], ratios[ratios.len() / 2]);
        println!("    {name:<22} {ns:>8.1} ns  x{ratio:.2}");
    }
}

fn main() {
    compare::<1>(1);
    compare::<1>(2);
    compare::<8>(1);
    compare::<8>(2);
}
