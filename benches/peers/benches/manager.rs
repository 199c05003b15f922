//! A dict of a `Manager` beside what else keeps values under keys: LMDB (through `heed`) and redb, both
//! in memory and without syncs, a `Mutex<HashMap>` between threads, and Python's `Manager().dict()`.
//!
//! 1, 2 and 4 processes, each on a processor in turn, get, set and change one of 1024 values of 8 B to
//! 4 KiB, all at once. Contestants run in turns; the table shows the median over the rounds, in
//! nanoseconds for each operation of all processes together, and how many millions a second that are.
//! (redb serves one process. `Mutex<HashMap>` and Python change a value by a lock around both steps.)
//!
//! `cargo bench --bench manager`; `-- --test` is a quick pass, `-- 8` only values of 8 bytes.

#![allow(missing_docs)]

#[path = "../../support/crew.rs"]
#[allow(dead_code, reason = "made for locks")]
mod crew;
mod manager_peers;

use crew::{Crew, Place, Shape};
use manager_peers::{Entry, Field};

pub const KEYS: u64 = 1024;
pub const SIZES: [usize; 4] = [8, 64, 1024, 4096];

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum What {
    Get,
    Set,
    Update,
}

struct Bench {
    crew: Crew,
    entries: Vec<Entry>,
    is_quick: bool,
}

impl Bench {
    /// Nanoseconds for each operation.
    fn sample(&self, nth: usize, members: u32, operations: u64) -> f64 {
        let entry = &self.entries[nth];
        let operations = operations.min(entry.operations_max);
        let shape = Shape {
            members: if entry.own.is_some() { 1 } else { members },
            place: if entry.own.is_some() { Place::Anywhere } else { Place::Apart },
            operations,
            pause: u64::from(members),
        };
        let elapsed = self.crew.run(nth, shape).as_nanos() as f64;
        match &entry.own {
            Some(ns) => ns.get(),
            None => elapsed / (f64::from(members) * operations as f64),
        }
    }

    fn calibrate(&self, nth: usize, members: u32) -> u64 {
        const SAMPLE_NS: f64 = 15e6;
        let ns = self.sample(nth, members, 100).min(self.sample(nth, members, 100)).max(1.0);
        if self.is_quick {
            return 100;
        }
        ((SAMPLE_NS / ns / f64::from(members)) as u64).clamp(100, 400_000)
    }

    fn table(&self, bytes: usize, members: u32) {
        println!("\n{bytes} B, {members} processes at once: ns for each, millions a second");
        println!("  {:<28}{:>18}{:>18}{:>18}", "", "get", "set", "update");
        let mut names: Vec<&str> = Vec::new();
        for entry in self.entries.iter().filter(|e| e.bytes == bytes && members <= e.members_max) {
            if !names.contains(&entry.name) {
                names.push(entry.name);
            }
        }
        let rows: Vec<[usize; 3]> = names
            .iter()
            .map(|name| {
                [What::Get, What::Set, What::Update].map(|what| {
                    let is_it = |e: &Entry| e.name == *name && e.bytes == bytes && e.what == what;
                    self.entries.iter().position(is_it).expect("all do all")
                })
            })
            .collect();
        let operations: Vec<[u64; 3]> =
            rows.iter().map(|row| row.map(|nth| self.calibrate(nth, members))).collect();
        let mut samples = vec![[const { Vec::new() }; 3]; rows.len()];
        for round in 0..if self.is_quick { 1 } else { 9 } {
            for ((row, counts), samples) in rows.iter().zip(&operations).zip(&mut samples) {
                for ((nth, count), samples) in row.iter().zip(counts).zip(samples) {
                    if round % self.entries[*nth].every == 0 {
                        samples.push(self.sample(*nth, members, *count));
                    }
                }
            }
        }
        for (name, samples) in names.iter().zip(&mut samples) {
            print!("  {name:<28}");
            for samples in samples {
                samples.sort_by(f64::total_cmp);
                let ns = samples[samples.len() / 2];
                print!("{ns:>10.0} {:>7.3}", 1e3 / ns);
            }
            println!();
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let only: Option<usize> = arguments.iter().find_map(|argument| argument.parse().ok());
    let mut field = Field(Vec::new());
    for bytes in SIZES.into_iter().filter(|bytes| only.is_none_or(|only| only == *bytes)) {
        match bytes {
            8 => field.add_ours::<1>(),
            64 => field.add_ours::<8>(),
            1024 => field.add_ours::<128>(),
            _ => field.add_ours::<512>(),
        }
        field.add_lmdb(bytes);
        field.add_redb(bytes);
        field.add_threads(bytes);
        field.add_python(bytes);
    }
    let all = std::mem::take(&mut field.0);
    let (entries, contestants) = all.into_iter().unzip();
    let is_quick = arguments.iter().any(|argument| argument == "--test");
    let bench = Bench { crew: Crew::start(4, contestants), entries, is_quick };
    for bytes in SIZES.into_iter().filter(|bytes| only.is_none_or(|only| only == *bytes)) {
        for members in [1, 2, 4] {
            bench.table(bytes, members);
        }
    }
}
