//! What workers write down, each before it dies.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::shared::{Text, Zeroed};

/// How many workers a scenario may have.
pub const SEATS: usize = 16;
/// How many stages it may tell apart, the first of which is "nothing in particular".
pub const STAGES: usize = 16;

/// Shared memory that outlives every worker: plain words, sequentially consistent, zero at first.
///
/// A worker sits in one of the scenario's seats; when it is killed another one takes the seat, with
/// all that is written there.
pub struct Ledger {
    over: AtomicU64,
    phase: AtomicU64,
    kills: AtomicU64,
    words: [AtomicU64; 64],
    deaths: [AtomicU64; STAGES],
    seats: [Seat; SEATS],
    text: Text,
}

struct Seat {
    /// Processes that have sat here.
    started: AtomicU64,
    /// The last one of them that was about to be killed.
    doomed: AtomicU64,
    /// Operations that came to their end.
    turns: AtomicU64,
    stage: AtomicU64,
    words: [AtomicU64; 16],
}

// SAFETY: atomic words only.
unsafe impl Zeroed for Ledger {}

impl Ledger {
    /// A word that all workers share; `index` is below 64.
    pub fn word(&self, index: usize) -> &AtomicU64 {
        &self.words[index]
    }

    /// A word of seat `me`; `index` is below 16.
    pub fn own(&self, me: usize, index: usize) -> &AtomicU64 {
        &self.seats[me].words[index]
    }

    /// The sum of one word over all seats.
    pub fn sum(&self, index: usize) -> u64 {
        self.seats.iter().map(|seat| seat.words[index].load(SeqCst)).sum()
    }

    /// From here on a death of worker `me` is one in `stage`, which is below [`STAGES`]. A new worker
    /// begins in stage 0.
    pub fn enter(&self, me: usize, stage: usize) {
        assert!(stage < STAGES);
        self.seats[me].stage.store(stage as u64, SeqCst);
    }

    /// How many workers have been killed in `stage` so far; complete when the storm is over.
    pub fn deaths(&self, stage: usize) -> u64 {
        self.deaths[stage].load(SeqCst)
    }

    /// How many workers have been killed so far.
    pub fn kills(&self) -> u64 {
        self.kills.load(SeqCst)
    }

    /// Whether workers are to come to an end: for operations that otherwise go on until something
    /// has happened.
    pub fn is_over(&self) -> bool {
        self.over.load(SeqCst) != 0
    }

    /// A number, not 0, of the process that sits in seat `me`.
    pub fn ticket(&self, me: usize) -> u64 {
        (self.seats[me].started.load(SeqCst) << 8) | (me as u64 + 1)
    }

    /// Whether the process of this ticket is dead, or is about to be killed.
    pub fn is_doomed(&self, ticket: u64) -> bool {
        let seat = &self.seats[(ticket & 0xff) as usize - 1];
        seat.doomed.load(SeqCst) >= ticket >> 8
    }
}

/// The controller's side.
impl Ledger {
    pub fn clear(&self) {
        let seats = self.seats.iter().flat_map(|seat| {
            [&seat.started, &seat.doomed, &seat.turns, &seat.stage].into_iter().chain(&seat.words)
        });
        let own = [&self.over, &self.phase, &self.kills];
        for word in own.into_iter().chain(&self.words).chain(&self.deaths).chain(seats) {
            word.store(0, SeqCst);
        }
        self.text.clear();
    }

    pub fn start(&self, me: usize) {
        self.enter(me, 0);
        self.seats[me].started.fetch_add(1, SeqCst);
    }

    pub fn doom(&self, me: usize) {
        let seat = &self.seats[me];
        seat.doomed.store(seat.started.load(SeqCst), SeqCst);
    }

    /// Worker `me` is dead.
    pub fn bury(&self, me: usize) {
        self.kills.fetch_add(1, SeqCst);
        self.deaths[self.seats[me].stage.load(SeqCst) as usize].fetch_add(1, SeqCst);
    }

    pub fn end(&self) {
        self.over.store(1, SeqCst);
    }

    pub fn turn(&self, me: usize) {
        self.seats[me].turns.fetch_add(1, SeqCst);
    }

    pub fn turns(&self, me: usize) -> u64 {
        self.seats[me].turns.load(SeqCst)
    }

    pub fn all_turns(&self) -> u64 {
        (0..SEATS).map(|me| self.turns(me)).sum()
    }

    pub fn set_phase(&self, phase: u64) {
        self.phase.store(phase, SeqCst);
    }

    pub fn phase(&self) -> u64 {
        self.phase.load(SeqCst)
    }

    pub fn say(&self, line: &str) {
        self.text.say(line);
    }

    pub fn said(&self) -> String {
        self.text.said()
    }

    /// Where `workers` workers are, for people.
    pub fn describe(&self, workers: usize) -> String {
        let stages = self.seats[..workers].iter().map(|seat| seat.stage.load(SeqCst).to_string());
        format!("stages {}", stages.collect::<Vec<_>>().join(" "))
    }
}

/// Random numbers from a seed: splitmix64 (Steele, Lea, Flood 2014).
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
