//! Processes that do the same work together, on command, and contestants that take turns at it.
//!
//! Machines drift and ratios hold, so contestants run in turns, round after round, and a table shows
//! the best round of each, which is the cost of the instructions where the machine is busy, the
//! median, and both as ratios to the floor of the table.

use std::mem::zeroed;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};
use std::time::{Duration, Instant};

/// What one member of the crew is to do.
#[derive(Clone, Copy)]
pub struct Turn {
    /// Which member this is, from 0.
    pub member: usize,
    pub operations: u64,
    /// Turns of [`work`] after each operation.
    pub pause: u64,
}

pub struct Contestant {
    pub name: &'static str,
    run: Box<dyn Fn(Turn)>,
}

impl Contestant {
    /// `run` does all of a turn. It is compiled by itself, so that no contestant gets the registers
    /// of its neighbour.
    pub fn new(name: &'static str, run: impl Fn(Turn) + 'static) -> Contestant {
        Contestant { name, run: Box::new(run) }
    }

    /// `operation` is one of many, each followed by the pause.
    pub fn each(name: &'static str, operation: impl Fn() + 'static) -> Contestant {
        Contestant::new(name, move |turn| {
            for _ in 0..turn.operations {
                operation();
                work(turn.pause);
            }
        })
    }
}

/// Two members that wait for each other: an operation is the way there and back.
impl Contestant {
    /// Member 0 gives 0 and takes 1, member 1 the other way round.
    pub fn ping_pong(
        name: &'static str,
        give: impl Fn(usize) + 'static,
        take: impl Fn(usize) + 'static,
    ) -> Contestant {
        Contestant::new(name, move |my| {
            for _ in 0..my.operations {
                if my.member == 0 {
                    give(0);
                    take(1);
                } else {
                    take(0);
                    give(1);
                }
            }
        })
    }
}

/// Work outside of the critical section, which no compiler removes.
#[inline(always)]
pub fn work(turns: u64) {
    let mut x = 1u64;
    for _ in 0..turns {
        x = std::hint::black_box(x.wrapping_mul(3));
    }
}

/// How many turns of [`work`] take so long.
pub fn turns_of_work(ns: u64) -> u64 {
    const TURNS: u64 = 1_000_000;
    let best = (0..5).map(|_| timed(|| work(TURNS))).min().unwrap();
    (ns * TURNS / best.as_nanos().max(1) as u64).max(1)
}

/// Where the members run.
#[derive(Clone, Copy, PartialEq)]
#[repr(u32)]
pub enum Place {
    /// Each on a processor of its own, while there are enough.
    Apart,
    /// All on one processor.
    Together,
    /// Where the scheduler puts them.
    Anywhere,
}

/// Who works, where, and how much.
#[derive(Clone, Copy)]
pub struct Shape {
    pub members: u32,
    pub place: Place,
    pub operations: u64,
    pub pause: u64,
}

/// What the crew reads of its next turn, in memory that all of it shares.
#[repr(C)]
struct Orders {
    /// Grows with each order.
    number: AtomicU32,
    contestant: AtomicU32,
    members: AtomicU32,
    place: AtomicU32,
    operations: AtomicU64,
    pause: AtomicU64,
    ready: AtomicU32,
    go: AtomicU32,
    done: AtomicU32,
}

/// This process, which is member 0, and its forks, which end with it.
pub struct Crew {
    contestants: Vec<Contestant>,
    members: usize,
    orders: &'static Orders,
    cpus: Vec<usize>,
}

impl Crew {
    /// Forks the members: they inherit the contestants. To be called while there is one thread.
    pub fn start(members: usize, contestants: Vec<Contestant>) -> Crew {
        // SAFETY: atomics.
        let orders = unsafe { shared() };
        let crew = Crew { contestants, members, orders, cpus: allowed_cpus() };
        for member in 1..members {
            // SAFETY: no other thread runs yet, so the child may do as it likes.
            if unsafe { libc::fork() } == 0 {
                crew.obey(member);
            }
        }
        crew
    }

    pub fn contestants(&self) -> &[Contestant] {
        &self.contestants
    }

    pub fn processors(&self) -> usize {
        self.cpus.len()
    }

    /// Lets the members do their turns at once; the time until all are through.
    pub fn run(&self, contestant: usize, shape: Shape) -> Duration {
        let orders = self.orders;
        orders.contestant.store(contestant as u32, Relaxed);
        orders.members.store(shape.members, Relaxed);
        orders.place.store(shape.place as u32, Relaxed);
        orders.operations.store(shape.operations, Relaxed);
        orders.pause.store(shape.pause, Relaxed);
        orders.ready.store(0, Relaxed);
        orders.done.store(0, Relaxed);
        let number = orders.number.fetch_add(1, Release) + 1;
        futex(&orders.number, libc::FUTEX_WAKE, i32::MAX as u32);
        self.settle(0);
        await_word(&orders.ready, self.members as u32 - 1);
        timed(|| {
            orders.go.store(number, Release);
            self.work(0);
            await_word(&orders.done, shape.members - 1);
        })
    }

    /// A member's life: sleeps until there is an order, obeys it, and ends with its parent.
    fn obey(&self, member: usize) -> ! {
        // SAFETY: a plain system call.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        let orders = self.orders;
        for number in 1.. {
            while orders.number.load(Acquire) != number {
                futex(&orders.number, libc::FUTEX_WAIT, number - 1);
            }
            let works = member < orders.members.load(Relaxed) as usize;
            if works {
                self.settle(member);
            }
            // Also of those who are not meant, so that nobody misses an order.
            orders.ready.fetch_add(1, Release);
            if works {
                await_word(&orders.go, number);
                self.work(member);
                orders.done.fetch_add(1, Release);
            }
        }
        unreachable!("four billion orders later");
    }

    fn settle(&self, member: usize) {
        let place = self.orders.place.load(Relaxed);
        pin(match place {
            _ if place == Place::Apart as u32 => {
                let own = member % self.cpus.len();
                &self.cpus[own..=own]
            }
            _ if place == Place::Together as u32 => &self.cpus[..1],
            _ => &self.cpus,
        });
    }

    fn work(&self, member: usize) {
        let orders = self.orders;
        let (operations, pause) = (orders.operations.load(Relaxed), orders.pause.load(Relaxed));
        let contestant = &self.contestants[orders.contestant.load(Relaxed) as usize];
        (contestant.run)(Turn { member, operations, pause });
    }

    /// Prints a table of the contestants whose names begin so, the floor first: nanoseconds for each
    /// operation of all members, or for each round of theirs if `together`.
    pub fn table(&self, title: &str, prefix: &str, rounds: usize, shape: Shape, together: bool) {
        let chosen = |i: &usize| self.contestants[*i].name.starts_with(prefix);
        let chosen: Vec<usize> = (0..self.contestants.len()).filter(chosen).collect();
        let count = shape.operations * if together { 1 } else { u64::from(shape.members) };
        let mut rows: Vec<Vec<f64>> = vec![Vec::new(); chosen.len()];
        for _ in 0..rounds {
            for (row, contestant) in rows.iter_mut().zip(&chosen) {
                row.push(self.run(*contestant, shape).as_nanos() as f64 / count as f64);
            }
        }
        println!("\n{title}, {rounds} rounds in turns\n{:28}best ns, ratio   median, ratio", "");
        let columns = |row: &mut Vec<f64>| {
            row.sort_by(f64::total_cmp);
            [row[0], row[row.len() / 2]]
        };
        let mut floor = None;
        for (contestant, row) in chosen.iter().zip(&mut rows) {
            let columns = columns(row);
            let floor = floor.get_or_insert(columns);
            let name = self.contestants[*contestant].name.trim_start_matches(prefix);
            print!("  {name:<22}");
            for (value, floor) in columns.iter().zip(floor) {
                print!("{value:>11.1} {:>6.2}", value / *floor);
            }
            println!();
        }
    }
}

fn timed(f: impl FnOnce()) -> Duration {
    let start = Instant::now();
    f();
    start.elapsed()
}

/// There may be more members than processors, so whoever waits lets others run.
fn await_word(word: &AtomicU32, value: u32) {
    while word.load(Acquire) != value {
        std::thread::yield_now();
    }
}

pub fn futex(word: &AtomicU32, operation: libc::c_int, value: u32) -> libc::c_long {
    // SAFETY: the word is live, and no timeout is given.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, 0usize) }
}

/// A `T` in zeroed memory that forks share.
///
/// # Safety
///
/// Zeros are a valid `T`.
pub unsafe fn shared<T>() -> &'static T {
    // SAFETY: a fresh anonymous mapping, page-aligned, never unmapped; zeroed, which is a `T`.
    unsafe {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        let at = libc::mmap(null_mut(), size_of::<T>(), rights, kind, -1, 0);
        assert_ne!(at, libc::MAP_FAILED);
        &*at.cast::<T>()
    }
}

/// The processors that this process may use.
pub fn allowed_cpus() -> Vec<usize> {
    // SAFETY: the set is plain data of the size stated.
    unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        assert_eq!(libc::sched_getaffinity(0, size_of_val(&set), &mut set), 0);
        (0..libc::CPU_SETSIZE as usize).filter(|&cpu| libc::CPU_ISSET(cpu, &set)).collect()
    }
}

/// Binds the calling thread to these processors.
pub fn pin(cpus: &[usize]) {
    // SAFETY: as above.
    unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        cpus.iter().for_each(|&cpu| libc::CPU_SET(cpu, &mut set));
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &set), 0);
    }
}
