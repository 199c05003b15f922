//! `Queue` and `ring::mpmc` beside their peers: crossbeam's channel and queue between threads, which
//! cannot leave their process, and between processes Boost's `lockfree::queue` and `message_queue`,
//! iceoryx2, ipc-channel, pipes and sockets of the kernel, and Python's `multiprocessing.Queue`.
//!
//! 1, 2 and 4 producers with as many consumers, each of them on a processor in turn; items of 8 B to
//! 1 MiB, which the producer copies in from private memory and the consumer copies out, to check both
//! ends. Who spins tries again and now and then lets others run; who blocks sleeps. Contestants run in
//! turns, and each sample is told apart by where the host has put the two processors: a line goes
//! from one to the other and back before and after it. Ratios are to `ring::mpmc`, in the same turn
//! and place; more than 1 is slower. A dash says that a peer has no such thing.
//!
//! `cargo bench --bench queue`; `-- --test` is a quick pass, `-- 8` only items of 8 bytes.

#![allow(missing_docs)]

#[path = "../../support/crew.rs"]
#[allow(dead_code, reason = "made for locks")]
mod crew;
#[path = "../../support/many.rs"]
#[allow(dead_code, reason = "made for rings")]
mod many;
mod queue_peers;

use crew::{Contestant, Crew, Place, Shape, Turn, shared};
use queue_peers::{Entry, contestants};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Whether a member produces: as many on each processor do as consume.
pub fn produces(member: usize) -> bool {
    (member ^ member >> 1) & 1 == 0
}

/// Where the two processors are.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Placement {
    /// Two threads of one core.
    Smt,
    /// Two cores with a common cache.
    Near,
    /// Two cores without one.
    Far,
}

/// One line there and back.
fn probe() -> Contestant {
    // SAFETY: an atomic.
    let ball: &'static AtomicU64 = unsafe { shared() };
    Contestant::new("probe", move |turn: Turn| {
        for n in 0..turn.operations {
            let (mine, next) = (2 * n + turn.member as u64, 2 * n + turn.member as u64 + 1);
            while ball.load(Acquire) != mine {
                std::hint::spin_loop();
            }
            ball.store(if next == 2 * turn.operations { 0 } else { next }, Release);
        }
    })
}

struct Bench {
    crew: Crew,
    entries: Vec<Entry>,
    probe: usize,
    is_quick: bool,
}

impl Bench {
    fn placement(&self) -> Placement {
        let shape = Shape { members: 2, place: Place::Apart, operations: 300, pause: 0 };
        let mut trips: Vec<u128> =
            (0..5).map(|_| self.crew.run(self.probe, shape).as_nanos() / 300).collect();
        trips.sort();
        match trips[2] {
            ..45 => Placement::Smt,
            45..160 => Placement::Near,
            _ => Placement::Far,
        }
    }

    /// Nanoseconds for each push or pop.
    fn sample(&self, nth: usize, pairs: u32, operations: u64) -> f64 {
        let (entry, members) = (&self.entries[nth], 2 * pairs);
        let alone = entry.measures_itself.is_some();
        let shape = Shape {
            members: if alone { 1 } else { members },
            place: if alone { Place::Anywhere } else { Place::Apart },
            operations,
            pause: u64::from(pairs),
        };
        let elapsed = self.crew.run(nth, shape).as_nanos() as f64;
        match &entry.measures_itself {
            Some(ns) => ns.get(),
            None => elapsed / (f64::from(members) * operations as f64),
        }
    }

    /// How many operations of each member take about so long as a sample is to take.
    fn calibrate(&self, nth: usize, pairs: u32) -> u64 {
        const SAMPLE_NS: f64 = 15e6;
        let first = 64;
        let ns = self.sample(nth, pairs, first).min(self.sample(nth, pairs, first)).max(1.0);
        if self.is_quick {
            return first;
        }
        ((SAMPLE_NS / ns / f64::from(2 * pairs)) as u64).clamp(16, 400_000)
    }

    fn table(&self, bytes: usize, pairs: u32, waits: bool) {
        let chosen: Vec<usize> = (0..self.entries.len())
            .filter(|n| {
                let entry = &self.entries[*n];
                entry.bytes == bytes && entry.waits == waits && pairs <= entry.pairs_max
            })
            .collect();
        let operations: Vec<u64> = chosen.iter().map(|n| self.calibrate(*n, pairs)).collect();
        let rounds: usize = if self.is_quick { 1 } else { 11 };
        let mut rows = vec![Vec::new(); chosen.len()];
        for round in 0..rounds {
            for ((row, nth), operations) in rows.iter_mut().zip(&chosen).zip(&operations) {
                if !round.is_multiple_of(self.entries[*nth].every) {
                    row.push(None);
                    continue;
                }
                let before = self.placement();
                let ns = self.sample(*nth, pairs, *operations);
                row.push((before == self.placement()).then_some((before, ns)));
            }
        }
        let how = if waits { "blocking" } else { "spinning" };
        for place in [Placement::Smt, Placement::Near, Placement::Far] {
            let at =
                |sample: &Option<(Placement, f64)>| sample.filter(|s| s.0 == place).map(|s| s.1);
            if !rows.iter().flatten().any(|sample| at(sample).is_some()) {
                continue;
            }
            println!("\n{bytes} B, {pairs} producers, {pairs} consumers, {how} ({place:?})");
            for (row, nth) in rows.iter().zip(&chosen) {
                let mut ns: Vec<f64> = row.iter().filter_map(at).collect();
                let both = row.iter().zip(&rows[0]);
                let mut ratios: Vec<f64> =
                    both.filter_map(|(own, first)| Some(at(own)? / at(first)?)).collect();
                let name = self.entries[*nth].name;
                if ns.is_empty() {
                    println!("  {name:<38} no sample here");
                    continue;
                }
                let (count, middle) = (ns.len(), median(&mut ns));
                let ratio = if ratios.is_empty() { f64::NAN } else { median(&mut ratios) };
                let rate = 1e3 / (2.0 * middle);
                println!(
                    "  {name:<38}{middle:>11.1} ns {rate:>9.3} M/s  x{ratio:<7.2} ({count} samples)"
                );
            }
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_quick = arguments.iter().any(|argument| argument == "--test");
    let sizes: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let wanted = |bytes: usize| sizes.is_empty() || sizes.contains(&bytes);
    let mut entries = Vec::new();
    let mut all = Vec::new();
    let mut add = |(entry, contestant)| {
        entries.push(entry);
        all.push(contestant);
    };
    if wanted(8) {
        contestants::<1>(1024).into_iter().for_each(&mut add);
    }
    if wanted(64) {
        contestants::<8>(1024).into_iter().for_each(&mut add);
    }
    if wanted(1 << 10) {
        contestants::<128>(256).into_iter().for_each(&mut add);
    }
    if wanted(1 << 16) {
        contestants::<8192>(64).into_iter().for_each(&mut add);
    }
    if wanted(1 << 20) {
        contestants::<131_072>(8).into_iter().for_each(&mut add);
    }
    let probe_at = all.len();
    all.push(probe());
    let bench = Bench { crew: Crew::start(8, all), entries, probe: probe_at, is_quick };
    for bytes in [8, 64, 1 << 10, 1 << 16, 1 << 20] {
        if wanted(bytes) {
            for pairs in [1, 2, 4] {
                bench.table(bytes, pairs, false);
                bench.table(bytes, pairs, true);
            }
        }
    }
}

/// What a contestant has measured by itself.
pub type OwnNs = Rc<Cell<f64>>;
