//! What robustness costs: our lock beside a bare futex mutex and the C library's mutexes.
//!
//! Every contestant protects the same counter in the same shared page and has to get the sum right
//! before it is timed. Contended rows run in two real processes, each pinned to a processor of its
//! own, and count the operations of both. The last tables take the contestants in turns, round
//! after round: machines drift, ratios hold.
//!
//! `cargo bench -p shmkit-benches --bench locks`; add `-- --test` for a quick pass.
#![allow(unsafe_code)]

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use shmkit::Lock;
use std::cell::UnsafeCell;
use std::hint::{black_box, spin_loop};
use std::mem::zeroed;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};
use std::time::{Duration, Instant};

/// What the two processes share. Everything is valid when zeroed.
#[repr(C)]
struct Page {
    orders: Orders,
    futex: Line<FutexMutex>,
    plain: Line<UnsafeCell<libc::pthread_mutex_t>>,
    robust: Line<UnsafeCell<libc::pthread_mutex_t>>,
    counter: Line<AtomicU64>,
}

#[repr(C, align(128))]
struct Line<T>(T);

/// What the peer is to do next.
#[repr(C, align(128))]
struct Orders {
    /// Grows with each order.
    number: AtomicU32,
    contestant: AtomicU32,
    operations: AtomicU64,
    pause: AtomicU64,
    ready: AtomicU32,
    done: AtomicU32,
}

/// Drepper's three-state mutex, "Futexes Are Tricky": the floor for a lock that can sleep.
#[repr(C)]
struct FutexMutex(AtomicU32);

impl FutexMutex {
    fn lock(&self) {
        if self.0.compare_exchange(0, 1, Acquire, Relaxed).is_err() {
            self.lock_contended();
        }
    }

    #[cold]
    fn lock_contended(&self) {
        while self.0.swap(2, Acquire) != 0 {
            futex(&self.0, libc::FUTEX_WAIT, 2);
        }
    }

    fn unlock(&self) {
        if self.0.swap(0, Release) == 2 {
            futex(&self.0, libc::FUTEX_WAKE, 1);
        }
    }
}

fn futex(word: &AtomicU32, operation: libc::c_int, value: u32) -> libc::c_long {
    // SAFETY: the word is live, and no timeout is given.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, 0usize) }
}

#[derive(Clone, Copy)]
enum Contestant {
    Ours,
    Futex,
    Pthread,
    PthreadRobust,
}
use Contestant::*;

const ALL: [Contestant; 4] = [Ours, Futex, Pthread, PthreadRobust];

impl Contestant {
    fn name(self) -> &'static str {
        match self {
            Ours => "ours",
            Futex => "futex_bare",
            Pthread => "pthread",
            PthreadRobust => "pthread_robust",
        }
    }
}

/// One of the two processes.
struct Side {
    page: &'static Page,
    lock: Lock<()>,
}

impl Side {
    /// Runs `operations` critical sections, each followed by `pause` turns of work outside.
    fn run(&self, contestant: Contestant, operations: u64, pause: u64) {
        let page = self.page;
        match contestant {
            Ours => self.repeat(operations, pause, || {
                let _guard = self.lock.lock().unwrap();
                self.count();
            }),
            Futex => self.repeat(operations, pause, || {
                page.futex.0.lock();
                self.count();
                page.futex.0.unlock();
            }),
            Pthread => self.pthread(&page.plain.0, operations, pause),
            PthreadRobust => self.pthread(&page.robust.0, operations, pause),
        }
    }

    fn pthread(&self, mutex: &UnsafeCell<libc::pthread_mutex_t>, operations: u64, pause: u64) {
        let mutex = mutex.get();
        self.repeat(operations, pause, || {
            // SAFETY: `start` has initialised both mutexes, and they are never destroyed.
            unsafe {
                assert_eq!(libc::pthread_mutex_lock(mutex), 0);
                self.count();
                assert_eq!(libc::pthread_mutex_unlock(mutex), 0);
            }
        });
    }

    /// One function for each contestant, so that none gets its neighbour's registers.
    #[inline(never)]
    fn repeat(&self, operations: u64, pause: u64, mut operation: impl FnMut()) {
        for _ in 0..operations {
            operation();
            work(pause);
        }
    }

    /// A plain increment: wrong at once if a lock does not exclude.
    #[inline(always)]
    fn count(&self) {
        let counter = &self.page.counter.0;
        counter.store(counter.load(Relaxed) + 1, Relaxed);
    }
}

#[inline(always)]
fn work(turns: u64) {
    let mut x = 1u64;
    for _ in 0..turns {
        x = black_box(x.wrapping_mul(3));
    }
}

/// How many turns of `work` take about 67 ns, the pause of BASELINES' contended rows.
fn turns_of_67_ns() -> u64 {
    const TURNS: u64 = 1_000_000;
    let best = (0..5).map(|_| timed(|| work(TURNS))).min().unwrap();
    (67 * TURNS / best.as_nanos().max(1) as u64).max(1)
}

fn timed(f: impl FnOnce()) -> Duration {
    let start = Instant::now();
    f();
    start.elapsed()
}

/// This process's side, and the forked peer, which ends with us.
struct Pair {
    side: Side,
    contended: bool,
}

impl Pair {
    fn start() -> Pair {
        let page = shared_page();
        init_pthread(&page.plain.0, libc::PTHREAD_MUTEX_STALLED);
        init_pthread(&page.robust.0, libc::PTHREAD_MUTEX_ROBUST);
        let side = Side { page, lock: Lock::new(()).unwrap() };
        let cpus = allowed_cpus();
        let contended = cpus.len() > 1;
        if contended {
            // SAFETY: no other thread runs yet, so the child may do as it likes.
            if unsafe { libc::fork() } == 0 {
                pin(cpus[1]);
                obey(&side);
            }
        }
        pin(cpus[0]);
        Pair { side, contended }
    }

    /// Both sides run `operations` each; the time until both are through.
    fn race(&self, contestant: Contestant, operations: u64, pause: u64) -> Duration {
        let orders = &self.side.page.orders;
        orders.contestant.store(contestant as u32, Relaxed);
        orders.operations.store(operations, Relaxed);
        orders.pause.store(pause, Relaxed);
        let number = orders.number.fetch_add(1, Release) + 1;
        futex(&orders.number, libc::FUTEX_WAKE, 1);
        await_word(&orders.ready, number);
        timed(|| {
            orders.ready.store(0, Release);
            self.side.run(contestant, operations, pause);
            await_word(&orders.done, number);
        })
    }

    /// Neither loses an increment.
    fn check(&self, contestant: Contestant) {
        let counter = &self.side.page.counter.0;
        let before = counter.load(Relaxed);
        self.side.run(contestant, 1000, 0);
        assert_eq!(counter.load(Relaxed), before + 1000, "{} does not count", contestant.name());
        if self.contended {
            self.race(contestant, 100_000, 0);
            assert_eq!(counter.load(Relaxed), before + 201_000, "{} races", contestant.name());
        }
    }
}

/// The peer's life: sleeps until there is an order, obeys it, and ends with its parent.
fn obey(side: &Side) -> ! {
    // SAFETY: plain system calls.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let orders = &side.page.orders;
    for number in 1.. {
        while orders.number.load(Acquire) != number {
            futex(&orders.number, libc::FUTEX_WAIT, number - 1);
        }
        let contestant = ALL[orders.contestant.load(Relaxed) as usize];
        let (operations, pause) = (orders.operations.load(Relaxed), orders.pause.load(Relaxed));
        orders.ready.store(number, Release);
        await_word(&orders.ready, 0);
        side.run(contestant, operations, pause);
        orders.done.store(number, Release);
    }
    unreachable!("four billion orders later");
}

/// The two have a processor each, so spinning is the fastest start.
fn await_word(word: &AtomicU32, value: u32) {
    while word.load(Acquire) != value {
        spin_loop();
    }
}

fn shared_page() -> &'static Page {
    // SAFETY: a fresh anonymous mapping, zeroed, page-aligned, never unmapped; `Page` is valid when
    // zeroed.
    unsafe {
        let at = libc::mmap(
            std::ptr::null_mut(),
            size_of::<Page>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        assert_ne!(at, libc::MAP_FAILED);
        &*at.cast::<Page>()
    }
}

fn init_pthread(mutex: &UnsafeCell<libc::pthread_mutex_t>, robustness: libc::c_int) {
    // SAFETY: the mutex is zeroed memory that nobody uses yet, at its final address.
    unsafe {
        let mut attr = zeroed();
        assert_eq!(libc::pthread_mutexattr_init(&mut attr), 0);
        assert_eq!(libc::pthread_mutexattr_setpshared(&mut attr, libc::PTHREAD_PROCESS_SHARED), 0);
        assert_eq!(libc::pthread_mutexattr_setrobust(&mut attr, robustness), 0);
        assert_eq!(libc::pthread_mutex_init(mutex.get(), &attr), 0);
    }
}

fn allowed_cpus() -> Vec<usize> {
    // SAFETY: the set is plain data of the size stated.
    unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        assert_eq!(libc::sched_getaffinity(0, size_of_val(&set), &mut set), 0);
        (0..libc::CPU_SETSIZE as usize).filter(|&cpu| libc::CPU_ISSET(cpu, &set)).collect()
    }
}

fn pin(cpu: usize) {
    // SAFETY: as above.
    unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        libc::CPU_SET(cpu, &mut set);
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &set), 0);
    }
}

fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    mut time: impl FnMut(Contestant, u64) -> Duration,
) {
    for contestant in ALL {
        group.bench_function(contestant.name(), |b| b.iter_custom(|n| time(contestant, n)));
    }
}

/// The contestants in turns, `rounds` times: the best round of each, which is the cost of the
/// instructions where the machine is busy, the median, and both as ratios to the bare futex.
fn table(title: &str, rounds: usize, mut nanos: impl FnMut(Contestant) -> f64) {
    let mut rows = ALL.map(|_| Vec::new());
    for _ in 0..rounds {
        for contestant in ALL {
            rows[contestant as usize].push(nanos(contestant));
        }
    }
    rows.iter_mut().for_each(|row| row.sort_by(f64::total_cmp));
    let columns = |row: &[f64]| [row[0], row[row.len() / 2]];
    let floor = columns(&rows[Futex as usize]);
    println!("\n{title}, {rounds} rounds in turns: best ns/op, ratio; median ns/op, ratio");
    for contestant in ALL {
        print!("  {:<16}", contestant.name());
        for (value, floor) in columns(&rows[contestant as usize]).into_iter().zip(floor) {
            print!("{value:>10.2} {:>5.2}", value / floor);
        }
        println!();
    }
}

fn main() {
    let pair = Pair::start();
    ALL.iter().for_each(|&contestant| pair.check(contestant));
    let pauses = [("back_to_back", 0), ("67ns_outside", turns_of_67_ns())];

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("lock/uncontended");
    group.throughput(Throughput::Elements(1));
    bench(&mut group, |contestant, n| timed(|| pair.side.run(contestant, n, 0)));
    group.finish();
    if pair.contended {
        for (name, pause) in pauses {
            let mut group = criterion.benchmark_group(format!("lock/two_processes/{name}"));
            group.throughput(Throughput::Elements(2));
            bench(&mut group, |contestant, n| pair.race(contestant, n, pause));
            group.finish();
        }
    }
    criterion.final_summary();

    let quick = std::env::args().any(|arg| arg == "--test" || arg == "--list");
    let (rounds, operations) = if quick { (1, 1_000) } else { (201, 100_000) };
    let per = |elapsed: Duration, count: u64| elapsed.as_nanos() as f64 / count as f64;
    table("lock/uncontended", rounds, |contestant| {
        per(timed(|| pair.side.run(contestant, operations, 0)), operations)
    });
    if pair.contended {
        for (name, pause) in pauses {
            table(&format!("lock/two_processes/{name}"), rounds, |contestant| {
                per(pair.race(contestant, operations, pause), 2 * operations)
            });
        }
    }
}
