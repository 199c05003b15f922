//! Does everybody who waits for a lock get it, while eight processes want it all the time?
//!
//! A process notes the number of the turn when it comes to the lock, and again once it holds it: the
//! difference is by how many others it was passed. On a busy machine a process is passed by many that
//! was ready to run and did not get to: such a wait says nothing of the lock, and does not count.
//! `-- --nocapture` shows the figures.
#![allow(unsafe_code)]
#![allow(clippy::disallowed_types, reason = "the tally is no part of what is modelled")]

mod common;

use common::{fork, join, reap};
use shmkit::{Lock, Process, RwLock, Semaphore};
use std::fs::File;
use std::hint::spin_loop;
use std::os::unix::fs::FileExt;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const PROCESSES: usize = 8;
/// How often each process takes the lock in the tests of fairness.
const SHARE: u64 = 1000;
/// What they do inside: they wait for the kernel, so that whoever is woken runs at once. Nobody does
/// anything outside, so that the lock is hardly ever free.
const INSIDE: Duration = Duration::from_micros(50);
/// The most that may pass one who waits. The patience of a waiter ends a millisecond after its first
/// sleep, at the latest with its first nap, after five: a hundred turns. Then each of the
/// others may go first twice. The rest is for delays that are short enough to count.
const BOUND: u64 = 150;

/// Who was ready to run for so long in one wait, and did not, was passed on account of that.
const TOO_LATE_NS: u64 = 2_000_000;

/// What the processes share; zeros are its beginning.
#[repr(C)]
struct Page {
    go: AtomicU32,
    word: AtomicU32,
    /// How often the lock was taken.
    turns: AtomicU64,
    /// By how many one was passed, at worst and in all.
    worst: AtomicU64,
    passed: AtomicU64,
    /// Waits that were not counted.
    void: AtomicU64,
}

impl Page {
    fn new() -> &'static Page {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: a fresh mapping at an address of the kernel's choice, zeroed, page aligned, never
        // unmapped; atomics are valid when zero.
        unsafe {
            let at = libc::mmap(null_mut(), size_of::<Page>(), rights, kind, -1, 0);
            assert_ne!(at, libc::MAP_FAILED);
            &*at.cast()
        }
    }
}

/// How long this process, which has one thread, has been ready to run and did not.
struct Delays(File);

impl Delays {
    fn new() -> Delays {
        Delays(File::open("/proc/self/schedstat").unwrap())
    }

    fn so_far_ns(&self) -> u64 {
        // Time on a processor, time in wait of one, time slices.
        let mut text = [0; 64];
        let len = self.0.read_at(&mut text, 0).unwrap();
        let fields = std::str::from_utf8(&text[..len]).unwrap();
        fields.split(' ').nth(1).unwrap().parse().unwrap()
    }
}

/// A lock that whoever comes by may take while it is free: Drepper's, with the spin of ours.
struct Barging(&'static AtomicU32);

impl Barging {
    fn lock(&self) {
        for _ in 0..100 {
            match self.0.load(Relaxed) {
                0 if self.0.compare_exchange(0, 1, Acquire, Relaxed).is_ok() => return,
                2 => break,
                _ => spin_loop(),
            }
        }
        while self.0.swap(2, Acquire) != 0 {
            self.futex(libc::FUTEX_WAIT, 2);
        }
    }

    fn unlock(&self) {
        if self.0.swap(0, Release) == 2 {
            self.futex(libc::FUTEX_WAKE, 1);
        }
    }

    fn futex(&self, operation: i32, value: u32) {
        let no_timeout = null::<libc::timespec>();
        // SAFETY: the word is never unmapped, and no timeout is given.
        unsafe { libc::syscall(libc::SYS_futex, self.0.as_ptr(), operation, value, no_timeout) };
    }
}

#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
enum Which {
    Ours,
    /// A semaphore of one permit.
    Permit,
    /// The writer's side of a lock for readers and writers.
    Writer,
    Barging,
}

/// What came of it, once each process has had its share.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Outcome {
    worst_passed: u64,
    mean_passed: f64,
    void: u64,
    turns_per_s: f64,
}

/// Lets the processes loose on a lock, in a process of its own, which has one thread to fork from.
fn contend(which: Which, share: u64, inside: Duration) -> Outcome {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let child = Process::spawn((which, share, inside), |which, share, inside: Duration| {
        let page = Page::new();
        let section = || {
            if !inside.is_zero() {
                std::thread::sleep(inside);
            }
        };
        let measured = !inside.is_zero();
        match which {
            Which::Ours => {
                let lock = Lock::new(()).unwrap();
                hammer(page, share, measured, |tally| {
                    let _guard = lock.lock().unwrap();
                    tally();
                    section();
                })
            }
            Which::Permit => {
                let semaphore = Semaphore::new(1).unwrap();
                hammer(page, share, measured, |tally| {
                    let _permit = semaphore.acquire().unwrap();
                    tally();
                    section();
                })
            }
            Which::Writer => {
                let lock = RwLock::new(()).unwrap();
                hammer(page, share, measured, |tally| {
                    let _guard = lock.write().unwrap();
                    tally();
                    section();
                })
            }
            Which::Barging => {
                let lock = Barging(&page.word);
                hammer(page, share, measured, |tally| {
                    lock.lock();
                    tally();
                    section();
                    lock.unlock();
                })
            }
        }
    });
    join(&child.unwrap()).unwrap()
}

/// Forks the processes; `locked` runs its argument under the lock.
fn hammer(page: &'static Page, share: u64, measured: bool, locked: impl Fn(&dyn Fn())) -> Outcome {
    let take_turns = || {
        while page.go.load(SeqCst) == 0 {
            std::thread::yield_now();
        }
        let delays = measured.then(Delays::new);
        let delay = || delays.as_ref().map_or(0, Delays::so_far_ns);
        for _ in 0..share {
            let (delayed, came) = (delay(), page.turns.load(Relaxed));
            locked(&|| {
                let turn = page.turns.load(Relaxed);
                page.turns.store(turn + 1, Relaxed);
                if delay() - delayed > TOO_LATE_NS {
                    page.void.store(page.void.load(Relaxed) + 1, Relaxed);
                    return;
                }
                page.passed.store(page.passed.load(Relaxed) + turn - came, Relaxed);
                page.worst.store(page.worst.load(Relaxed).max(turn - came), Relaxed);
            });
        }
    };
    let children = [(); PROCESSES].map(|()| fork(take_turns));
    let started = Instant::now();
    page.go.store(1, SeqCst);
    children.into_iter().for_each(reap);
    let turns = page.turns.load(SeqCst);
    assert_eq!(turns, PROCESSES as u64 * share, "two were inside at once");
    Outcome {
        worst_passed: page.worst.load(SeqCst),
        mean_passed: page.passed.load(SeqCst) as f64 / turns as f64,
        void: page.void.load(SeqCst),
        turns_per_s: turns as f64 / started.elapsed().as_secs_f64(),
    }
}

#[test]
fn nobody_who_waits_is_passed_by_more_than_the_bound() {
    for which in [Which::Ours, Which::Permit, Which::Writer] {
        let outcome = contend(which, SHARE, INSIDE);
        println!("{which:?}: {outcome:?}");
        assert!(outcome.worst_passed <= BOUND, "{which:?}: {outcome:?}");
    }
}

#[test]
fn a_lock_that_knows_no_turns_breaks_the_bound() {
    // At once, unless the machine is so busy that its scheduler hands out the turns, as it does where
    // there is one processor only.
    if std::thread::available_parallelism().is_ok_and(|n| n.get() == 1) {
        return;
    }
    let outcomes = (0..60).map(|_| contend(Which::Barging, SHARE, INSIDE));
    let broken = outcomes.inspect(|o| println!("{o:?}")).any(|o| o.worst_passed > BOUND);
    assert!(broken, "the bound says nothing");
}

/// Also without anything inside, where a lock that hands itself over would crawl.
#[test]
fn everybody_gets_through_its_share_of_empty_sections() {
    let (rounds, share) = (4, 50_000);
    let speed = |which| contend(which, share, Duration::ZERO).turns_per_s;
    let ratios: Vec<f64> =
        (0..rounds).map(|_| speed(Which::Ours) / speed(Which::Barging)).collect();
    println!("turns a second, as a share of those of a lock that knows no turns: {ratios:.2?}");
    for which in [Which::Permit, Which::Writer] {
        println!("{which:?}: {:?}", contend(which, share, Duration::ZERO));
    }
}
