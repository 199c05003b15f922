//! Measures channels between this thread, on cpu 0, and another process or thread, on cpu 1.
//!
//! Virtual CPUs are moved about by their host, and the cost of a line that crosses between them
//! changes twentyfold with the place. So contestants run in turn, a probe before and after each
//! sample names the placement, and only samples of one turn and one placement are compared.
//!
//! All contestants do the same work: the sender copies an item of `W` words from private memory
//! in, the receiver copies it out and checks a sequence number in its first and last word. They
//! pause while they spin for a round trip, and do not while they stream.

use std::any::Any;
use std::hint::spin_loop;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Items of a batch.
pub const BATCH: usize = 32;

/// The sending end of a contestant's channel.
pub trait Tx<const W: usize>: Send + 'static {
    /// Called once on the far side, before anything is sent.
    fn arrive(&mut self) {}
    /// Sends one item if there is room.
    fn try_send(&mut self, item: &[u64; W]) -> bool;
    /// Sends as many items as there is room for, published at once; returns their number.
    fn try_send_batch(&mut self, items: &[[u64; W]]) -> usize;
}

/// The receiving end of a contestant's channel.
pub trait Rx<const W: usize>: Send + 'static {
    /// Called once on the far side, before anything is received.
    fn arrive(&mut self) {}
    /// Receives one item if there is one.
    fn try_recv(&mut self, item: &mut [u64; W]) -> bool;
    /// Receives what is there, up to the length of `items`; returns the number.
    fn try_recv_batch(&mut self, items: &mut [[u64; W]]) -> usize;
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Shape {
    /// One item there and back.
    RoundTrip = 1,
    /// Items one way, each published by itself.
    Stream = 2,
    /// Items one way, published in batches of [`BATCH`].
    StreamBatch = 3,
    /// One line there and back: which placement this is.
    Probe = 4,
}

/// Where the two CPUs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Placement {
    /// Two threads of one core.
    Smt,
    /// Two cores with a common cache.
    Near,
    /// Two cores without one.
    Far,
}

/// Words that both sides see, each on lines of its own.
#[repr(C, align(128))]
struct Line(AtomicU64);

#[repr(C)]
struct Control {
    ready: Line,
    done: Line,
    /// How long the far side has been kept off its CPU; of `round` when `settled` is.
    delay_ns: Line,
    settled: Line,
    ball: Line,
}

/// How the other side runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A forked process.
    Process,
    /// A thread, for contestants that cannot leave their process.
    #[allow(dead_code, reason = "the benches of the peers use it")]
    Thread,
}

enum Far {
    Process(libc::pid_t),
    Thread(Option<JoinHandle<()>>),
}

/// One contestant with its other side, which sleeps between the samples.
pub struct Duel<const W: usize> {
    control: Arc<Shared>,
    near: Box<dyn Near>,
    commands: PipeWriter,
    far: Far,
    /// The child's ends as they were when it was forked: dropped after it.
    _far_ends: Option<Box<dyn Any>>,
    round: u64,
}

/// The near ends; a trait so that the duels of all contestants have one type, while the loops
/// inside are compiled for each.
trait Near {
    fn run(&mut self, shape: u64, count: u64);
}

struct Ends<const W: usize, T, R> {
    tx: T,
    rx: R,
}

impl<const W: usize> Duel<W> {
    /// Starts the other side, with two channels: there by `make(true)`, back by `make(false)`.
    pub fn new<T: Tx<W>, R: Rx<W>>(side: Side, make: impl Fn(bool) -> (T, R)) -> Duel<W> {
        let control = Arc::new(Shared::new());
        let (tx, far_rx) = make(true);
        let (far_tx, rx) = make(false);
        let mut far_ends = Ends::<W, T, R> { tx: far_tx, rx: far_rx };
        let near = Box::new(Ends::<W, T, R> { tx, rx });
        let (commands, writer) = std::io::pipe().unwrap();
        pin(1); // the other side inherits it
        let (far, far_ends) = match side {
            Side::Thread => {
                let control = Arc::clone(&control);
                let thread = std::thread::spawn(move || far_ends.serve(&control, commands));
                (Far::Thread(Some(thread)), None)
            }
            // SAFETY: the child runs the loop of the far side, which needs no other thread, and
            // ends without unwinding or exit handlers.
            Side::Process => match unsafe { libc::fork() } {
                0 => {
                    drop(writer);
                    far_ends.serve(&control, commands);
                    // SAFETY: ends the child.
                    unsafe { libc::_exit(0) }
                }
                pid => (Far::Process(pid), Some(Box::new(far_ends) as Box<dyn Any>)),
            },
        };
        pin(0);
        Duel { control, near, commands: writer, far, _far_ends: far_ends, round: 0 }
    }

    /// Moves `count` items and returns how long it took.
    pub fn run(&mut self, shape: Shape, count: u64) -> Duration {
        self.round += 1;
        let mut command = [0; 24];
        for (bytes, word) in command.chunks_mut(8).zip([self.round, shape as u64, count]) {
            bytes.copy_from_slice(&word.to_ne_bytes());
        }
        self.commands.write_all(&command).unwrap();
        let control = &*self.control;
        await_value(&control.ready, self.round);
        let start = Instant::now();
        if shape == Shape::Probe {
            for turn in 0..count {
                control.ball.0.store(2 * turn + 1, Release);
                await_value(&control.ball, 2 * turn + 2);
            }
        } else {
            self.near.run(shape as u64, count);
        }
        await_value(&control.done, self.round);
        let elapsed = start.elapsed();
        await_value(&control.settled, self.round);
        elapsed
    }

    /// How long both sides have been kept off their CPUs so far.
    fn delay_ns(&self) -> u64 {
        delay_ns() + self.control.delay_ns.0.load(Relaxed)
    }

    /// Where the CPUs are now.
    pub fn placement(&mut self) -> Placement {
        let trips: Vec<f64> =
            (0..5).map(|_| self.run(Shape::Probe, 300).as_nanos() as f64 / 300.0).collect();
        match quantile(&trips, 0.5) {
            ..45.0 => Placement::Smt,
            45.0..160.0 => Placement::Near,
            _ => Placement::Far,
        }
    }

    /// Nanoseconds an item, if the CPUs stayed where they were and nobody else had them.
    fn sample(&mut self, shape: Shape, count: u64) -> Option<(Placement, f64)> {
        let before = self.placement();
        let delay = self.delay_ns();
        let elapsed = self.run(shape, count).as_nanos();
        let delay = u128::from(self.delay_ns() - delay);
        let after = self.placement();
        let calm = before == after && delay * 30 < elapsed;
        calm.then(|| (before, elapsed as f64 / count as f64))
    }
}

impl<const W: usize> Drop for Duel<W> {
    fn drop(&mut self) {
        // Not the end of the pipe: children forked later have its writing end, too.
        let _ = self.commands.write_all(&[0; 24]);
        match &mut self.far {
            // SAFETY: waits for our own child.
            Far::Process(pid) => unsafe {
                libc::waitpid(*pid, std::ptr::null_mut(), 0);
            },
            Far::Thread(thread) => {
                let _ = thread.take().map(JoinHandle::join);
            }
        }
    }
}

impl<const W: usize, T: Tx<W>, R: Rx<W>> Ends<W, T, R> {
    /// The far side: one sample for each command.
    fn serve(&mut self, control: &Control, mut commands: PipeReader) {
        self.tx.arrive();
        self.rx.arrive();
        let mut command = [0; 24];
        while commands.read_exact(&mut command).is_ok() {
            let word = |i: usize| u64::from_ne_bytes(command[8 * i..][..8].try_into().unwrap());
            let (round, shape, count) = (word(0), word(1), word(2));
            if round == 0 {
                return;
            }
            control.ball.0.store(0, Relaxed);
            control.ready.0.store(round, Release);
            if shape == Shape::RoundTrip as u64 {
                let mut item = [0; W];
                for turn in 0..count {
                    self.receive(&mut item, turn);
                    self.send(&item);
                }
            } else if shape == Shape::Stream as u64 {
                let mut item = [0; W];
                for turn in 0..count {
                    while !self.rx.try_recv(&mut item) {}
                    check(&item, turn);
                }
            } else if shape == Shape::StreamBatch as u64 {
                let mut items = [[0; W]; BATCH];
                let mut turn = 0;
                while turn < count {
                    let received = self.rx.try_recv_batch(&mut items);
                    for item in &items[..received] {
                        check(item, turn);
                        turn += 1;
                    }
                }
            } else {
                for turn in 0..count {
                    await_value(&control.ball, 2 * turn + 1);
                    control.ball.0.store(2 * turn + 2, Release);
                }
            }
            control.done.0.store(round, Release);
            control.delay_ns.0.store(delay_ns(), Relaxed);
            control.settled.0.store(round, Release);
        }
    }

    fn send(&mut self, item: &[u64; W]) {
        while !self.tx.try_send(item) {
            spin_loop();
        }
    }

    fn receive(&mut self, item: &mut [u64; W], turn: u64) {
        while !self.rx.try_recv(item) {
            spin_loop();
        }
        check(item, turn);
    }
}

impl<const W: usize, T: Tx<W>, R: Rx<W>> Near for Ends<W, T, R> {
    fn run(&mut self, shape: u64, count: u64) {
        let mut item = [0; W];
        if shape == Shape::RoundTrip as u64 {
            for turn in 0..count {
                mark(&mut item, turn);
                self.send(&item);
                self.receive(&mut item, turn);
            }
        } else if shape == Shape::Stream as u64 {
            for turn in 0..count {
                mark(&mut item, turn);
                while !self.tx.try_send(&item) {}
            }
        } else {
            let mut items = [[0; W]; BATCH];
            let mut turn = 0;
            while turn < count {
                let batch = (count - turn).min(BATCH as u64) as usize;
                for item in &mut items[..batch] {
                    mark(item, turn);
                    turn += 1;
                }
                let mut sent = 0;
                while sent < batch {
                    sent += self.tx.try_send_batch(&items[sent..batch]);
                }
            }
        }
    }
}

fn mark<const W: usize>(item: &mut [u64; W], turn: u64) {
    item[0] = turn;
    item[W - 1] = turn;
}

fn check<const W: usize>(item: &[u64; W], turn: u64) {
    assert!(item[0] == turn && item[W - 1] == turn, "lost or torn at {turn}");
}

fn await_value(line: &Line, value: u64) {
    while line.0.load(Acquire) != value {
        spin_loop();
    }
}

/// A [`Control`] that a forked child shares.
struct Shared(*mut Control);

// SAFETY: it points at atomics that live as long as it does.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn new() -> Shared {
        Shared(shared_memory(size_of::<Control>()).cast())
    }
}

impl Deref for Shared {
    type Target = Control;

    fn deref(&self) -> &Control {
        // SAFETY: mapped in `new` and never unmapped; zeroed bytes are a `Control`.
        unsafe { &*self.0 }
    }
}

/// Zeroed memory that a forked child shares, for the rest of the process.
pub fn shared_memory(len_bytes: usize) -> *mut u8 {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at an address of the kernel's choice.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), len_bytes, protection, flags, -1, 0) };
    assert_ne!(at, libc::MAP_FAILED);
    at.cast()
}

/// Calm turns wanted for a comparison, and the time after which it makes do with fewer.
const TURNS: usize = 60;
const PATIENCE: Duration = Duration::from_secs(12);
/// How long a sample takes, about: short, to fit between what else the machine does.
const SAMPLE_NS: u64 = 1_000_000;

/// Lets the contestants run in turns, and prints for each placement met: the median and the lower
/// decile of the samples, in nanoseconds an item, and the median of the ratios to the first
/// contestant in the same turn. Streams have two steady states, the reader on the heels of the
/// writer or well behind, which is why the median alone says little of them.
pub fn compare<const W: usize>(title: &str, shape: Shape, duels: &mut [(&str, Duel<W>)]) {
    let testing = std::env::args().any(|arg| arg == "--test");
    let turns = if testing { 1 } else { TURNS };
    let counts: Vec<u64> = duels
        .iter_mut()
        .map(|(_, duel)| {
            // The first touch of each page, and the speed.
            let each = (0..9).map(|_| duel.run(shape, 3_000).as_nanos() as u64 / 3_000).min();
            (SAMPLE_NS / each.unwrap_or(0).max(1)).max(1000)
        })
        .collect();
    let mut samples: Vec<Vec<Option<(Placement, f64)>>> = vec![Vec::new(); duels.len()];
    let (start, mut calm) = (Instant::now(), 0);
    while calm < turns && start.elapsed() < PATIENCE {
        for ((samples, (_, duel)), count) in samples.iter_mut().zip(duels.iter_mut()).zip(&counts) {
            samples.push(duel.sample(shape, *count));
        }
        calm += usize::from(samples.iter().all(|own| own.last().is_some_and(Option::is_some)));
    }
    for placement in [Placement::Smt, Placement::Near, Placement::Far] {
        let at = |sample: &Option<(Placement, f64)>| {
            sample.filter(|sample| sample.0 == placement).map(|sample| sample.1)
        };
        if !samples.iter().flatten().any(|sample| at(sample).is_some()) {
            continue;
        }
        println!("{title} ({placement:?})");
        for ((name, _), own) in duels.iter().zip(&samples) {
            let ns: Vec<f64> = own.iter().filter_map(at).collect();
            let ratios: Vec<f64> = own
                .iter()
                .zip(&samples[0])
                .filter_map(|(own, first)| Some(at(own)? / at(first)?))
                .collect();
            if ratios.is_empty() {
                println!("    {name:<16} too few calm samples");
            } else {
                let (n, ratio) = (ns.len(), quantile(&ratios, 0.5));
                let (median, low) = (quantile(&ns, 0.5), quantile(&ns, 0.1));
                println!(
                    "    {name:<16} {median:>8.1} ns  {low:>8.1} at best  x{ratio:.2}  ({n} samples)"
                );
            }
        }
    }
}

/// How long the calling thread has waited for a CPU that it was ready to use.
fn delay_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split(' ').nth(1).and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

/// The value below which the given part of `values` lies; there is at least one.
fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * part) as usize]
}

/// Binds the calling thread to one CPU.
fn pin(cpu: usize) {
    // SAFETY: a zeroed set is an empty one; the call reads it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}
