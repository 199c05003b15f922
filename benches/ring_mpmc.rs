//! `ring::mpmc` between processes, against Vyukov's ring in the same shared memory.
//!
//! `cargo bench -p shmkit-benches --bench ring_mpmc` prints nanoseconds for each push or pop, each
//! table from one run in turns: one process alone, that pushes and pops; one producer and one
//! consumer; two of each; and in batches. `-- --test` is a quick pass.
#![allow(missing_docs, unsafe_code, clippy::disallowed_types)]

#[path = "support/crew.rs"]
#[allow(dead_code, reason = "made for locks")]
mod crew;
#[path = "support/many.rs"]
mod many;
#[path = "support/vyukov.rs"]
mod vyukov;

use crew::{Contestant, Crew, Place, Shape};
use many::{consume, consume_batches, produce, produce_batches};
use shmkit::ring::mpmc;
use vyukov::Vyukov;

const CAPACITY: usize = 1024;

/// Contestants for items of `W` words. Members with even numbers push, the others pop; one alone
/// does both in turn.
fn contestants<const W: usize>(names: [&'static str; 6]) -> Vec<Contestant>
where
    [u64; W]: bytemuck::Pod,
{
    let [alone, alone_ours, many, many_ours, batch, batch_ours] = names;
    let (a, b, c) = (Vyukov::<W, CAPACITY>::new(), Vyukov::<W, CAPACITY>::new(), mpmc(CAPACITY));
    let (theirs, other, ours) = (a, b, c.unwrap());
    let (solo, crowd, batches) = (ours.clone(), ours.clone(), ours);
    vec![
        Contestant::each(alone, move || {
            theirs.try_push(&[1; W]);
            theirs.try_pop(&mut [0; W]);
        }),
        Contestant::each(alone_ours, move || {
            let _ = solo.try_push([1; W]);
            let _ = solo.try_pop();
        }),
        Contestant::new(many, move |turn| {
            if turn.member % 2 == 0 {
                produce::<W>(turn.operations, |item| other.try_push(item));
            } else {
                consume::<W>(turn.operations, |item| other.try_pop(item));
            }
        }),
        Contestant::new(many_ours, move |turn| {
            if turn.member % 2 == 0 {
                produce::<W>(turn.operations, |item| crowd.try_push(*item).is_ok());
            } else {
                consume::<W>(turn.operations, |item| {
                    crowd.try_pop().map(|popped| *item = popped).is_ok()
                });
            }
        }),
        Contestant::new(batch, move |turn| {
            if turn.member % 2 == 0 {
                produce::<W>(turn.operations, |item| other.try_push(item));
            } else {
                consume::<W>(turn.operations, |item| other.try_pop(item));
            }
        }),
        Contestant::new(batch_ours, move |turn| {
            if turn.member % 2 == 0 {
                produce_batches::<W>(turn.operations, |items| {
                    batches.try_push_slice(items).unwrap_or(0)
                });
            } else {
                consume_batches::<W>(turn.operations, |items| {
                    batches.try_pop_slice(items).unwrap_or(0)
                });
            }
        }),
    ]
}

fn main() {
    let testing = std::env::args().any(|arg| arg == "--test");
    let (rounds, operations) = if testing { (1, 1000) } else { (40, 200_000) };
    let small = [
        "8 B alone/Vyukov",
        "8 B alone/shmkit",
        "8 B/Vyukov",
        "8 B/shmkit",
        "8 B, batches/Vyukov, one by one",
        "8 B, batches/shmkit, 32 at once",
    ];
    let large = [
        "64 B alone/Vyukov",
        "64 B alone/shmkit",
        "64 B/Vyukov",
        "64 B/shmkit",
        "64 B, batches/Vyukov, one by one",
        "64 B, batches/shmkit, 32 at once",
    ];
    let mut all = contestants::<1>(small);
    all.extend(contestants::<8>(large));
    let crew = Crew::start(4, all);
    let shape = |members, place| Shape { members, place, operations, pause: 0 };
    for item in ["8 B", "64 B"] {
        let prefix = format!("{item} alone/");
        let title = format!("{item}: push and pop, alone");
        crew.table(&title, &prefix, rounds, shape(1, Place::Apart), false);
        for (members, who) in [(2, "1 producer, 1 consumer"), (4, "2 producers, 2 consumers")] {
            for work in ["/", ", batches/"] {
                let (prefix, title) = (format!("{item}{work}"), format!("{item}{work} {who}"));
                crew.table(&title, &prefix, rounds, shape(members, Place::Apart), false);
            }
        }
        let title = format!("{item}: 2 producers, 2 consumers, wherever they run");
        crew.table(&title, &format!("{item}/"), rounds, shape(4, Place::Anywhere), false);
    }
}
