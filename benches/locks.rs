//! What robustness costs: the locks of this library beside a bare futex and the C library's.
//!
//! `cargo bench -p shmkit-benches --bench locks` prints, each from one run in turns:
//!
//! - `lock/..`: enter, count, leave; alone, by two processes each on its processor, and by eight on
//!   whatever there is. Every contestant has to get the sum right before it is timed.
//! - `handover/..`: there and back between two processes that wait for each other, and
//!   `barrier/..`: past a barrier of two; on one processor, and across processors.
//! - the memory that objects take.
//!
//! `-- tables` leaves criterion out, `-- --test` is a quick pass.
#![allow(missing_docs, unsafe_code)]
#![allow(clippy::disallowed_types, reason = "the counter is no part of what is modelled")]

#[path = "support/bare.rs"]
mod bare;
#[path = "support/crew.rs"]
mod crew;
#[path = "support/memory.rs"]
mod memory;

use bare::{FutexFlag, FutexMutex};
use crew::{Contestant, Crew, Place, Shape, shared, turns_of_work};
use criterion::{Criterion, Throughput};
use shmkit::{Array, Barrier, Condition, Event, Lock, RLock, Region, RwLock, Semaphore, Value};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What the lock protects: a plain increment, wrong at once if a lock does not exclude.
#[derive(Clone, Copy)]
struct Counter(&'static AtomicU64);

impl Counter {
    #[inline(always)]
    fn count(self) {
        self.0.store(self.0.load(Relaxed) + 1, Relaxed);
    }
}

/// All that exclude, the floor first.
fn locks(counter: Counter) -> Vec<Contestant> {
    // SAFETY: an atomic.
    let futex: &FutexMutex = unsafe { shared() };
    let plain = bare::mutex(libc::PTHREAD_MUTEX_STALLED);
    let robust = bare::mutex(libc::PTHREAD_MUTEX_ROBUST);
    let semaphore = bare::semaphore(1);
    let write = bare::rwlock();
    let lock = Lock::new(()).unwrap();
    let rlock = RLock::new(()).unwrap();
    let permits = Semaphore::new(1).unwrap();
    let rwlock = RwLock::new(()).unwrap();
    vec![
        Contestant::each("lock/bare futex", move || {
            futex.lock();
            counter.count();
            futex.unlock();
        }),
        Contestant::each("lock/pthread", move || {
            plain.call(libc::pthread_mutex_lock);
            counter.count();
            plain.call(libc::pthread_mutex_unlock);
        }),
        Contestant::each("lock/pthread robust", move || {
            robust.call(libc::pthread_mutex_lock);
            counter.count();
            robust.call(libc::pthread_mutex_unlock);
        }),
        Contestant::each("lock/sem_t", move || {
            semaphore.call(libc::sem_wait);
            counter.count();
            semaphore.call(libc::sem_post);
        }),
        Contestant::each("lock/pthread rw, write", move || {
            write.call(libc::pthread_rwlock_wrlock);
            counter.count();
            write.call(libc::pthread_rwlock_unlock);
        }),
        Contestant::each("lock/our Lock", move || {
            let _guard = lock.lock().unwrap();
            counter.count();
        }),
        Contestant::each("lock/our RLock", move || {
            let _guard = rlock.lock().unwrap();
            counter.count();
        }),
        Contestant::each("lock/our Semaphore", move || {
            let _permit = permits.acquire().unwrap();
            counter.count();
        }),
        Contestant::each("lock/our RwLock, write", move || {
            let _guard = rwlock.write().unwrap();
            counter.count();
        }),
    ]
}

/// Readers of a lock for many readers, who look at the counter only.
fn readers(counter: Counter) -> Vec<Contestant> {
    let pthread = bare::rwlock();
    let ours = RwLock::new(()).unwrap();
    vec![
        Contestant::each("lock/pthread rw, read", move || {
            pthread.call(libc::pthread_rwlock_rdlock);
            black_box(counter.0.load(Relaxed));
            pthread.call(libc::pthread_rwlock_unlock);
        }),
        Contestant::each("lock/our RwLock, read", move || {
            let _guard = ours.read().unwrap();
            black_box(counter.0.load(Relaxed));
        }),
    ]
}

/// Two that wait for each other, the floor first. An operation is the way there and back.
fn handovers() -> Vec<Contestant> {
    // SAFETY: atomics.
    let flags: &[FutexFlag; 2] = unsafe { shared() };
    let (mutex, condition) = (bare::mutex(libc::PTHREAD_MUTEX_STALLED), bare::condition());
    // SAFETY: an atomic.
    let turn: &AtomicU64 = unsafe { shared() };
    let semaphores = [bare::semaphore(0), bare::semaphore(0)];
    let events = [(); 2].map(|()| Event::new().unwrap());
    let permits = [(); 2].map(|()| Semaphore::new(0).unwrap());
    let (lock, next) = (Lock::new(0u64).unwrap(), Condition::new().unwrap());
    vec![
        Contestant::ping_pong(
            "handover/bare futex",
            move |i| flags[i].set(),
            move |i| flags[i].take(),
        ),
        Contestant::ping_pong(
            "handover/sem_t",
            move |i| semaphores[i].call(libc::sem_post),
            move |i| semaphores[i].call(libc::sem_wait),
        ),
        Contestant::new("handover/pthread cond", move |my| {
            for _ in 0..my.operations {
                mutex.call(libc::pthread_mutex_lock);
                while turn.load(Relaxed) % 2 != my.member as u64 {
                    // SAFETY: both are initialised, and this thread holds the mutex.
                    unsafe { libc::pthread_cond_wait(condition.get(), mutex.get()) };
                }
                turn.store(turn.load(Relaxed) + 1, Relaxed);
                condition.call(libc::pthread_cond_signal);
                mutex.call(libc::pthread_mutex_unlock);
            }
        }),
        {
            let set = events.clone();
            let take = move |i: usize| {
                events[i].wait();
                events[i].clear();
            };
            Contestant::ping_pong("handover/our Event", move |i| set[i].set(), take)
        },
        {
            let give = permits.clone();
            let take = move |i: usize| permits[i].acquire().unwrap().forget();
            Contestant::ping_pong(
                "handover/our Semaphore",
                move |i| give[i].release(1).unwrap(),
                take,
            )
        },
        Contestant::new("handover/our Condition", move |my| {
            for _ in 0..my.operations {
                let mine = |turn: &mut u64| *turn % 2 != my.member as u64;
                let mut turn = next.wait_while(lock.lock().unwrap(), mine).unwrap();
                *turn += 1;
                next.notify(1);
            }
        }),
    ]
}

/// Barriers of two. An operation is one pass of both.
fn barriers() -> Vec<Contestant> {
    let (pthread, ours) = (bare::barrier(2), Barrier::new(2).unwrap());
    vec![
        Contestant::each("barrier/pthread", move || pthread.pass()),
        Contestant::each("barrier/our Barrier", move || _ = ours.wait().unwrap()),
    ]
}

/// Neither loses an increment.
fn check(crew: &Crew, counter: Counter) {
    let exclusive = |name: &str| name.starts_with("lock/") && !name.ends_with("read");
    for (index, contestant) in crew.contestants().iter().enumerate() {
        if exclusive(contestant.name) {
            let before = counter.0.load(Relaxed);
            let shape = Shape { members: 8, place: Place::Anywhere, operations: 2_000, pause: 0 };
            crew.run(index, shape);
            assert_eq!(counter.0.load(Relaxed), before + 16_000, "{} races", contestant.name);
        }
    }
}

fn criterion(crew: &Crew, shapes: &[(&str, Shape)]) {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(200))
        .configure_from_args();
    for (title, shape) in shapes {
        let mut group = criterion.benchmark_group(format!("lock/{title}"));
        group.throughput(Throughput::Elements(u64::from(shape.members)));
        for (index, contestant) in crew.contestants().iter().enumerate() {
            if let Some(name) = contestant.name.strip_prefix("lock/") {
                let run = |operations| crew.run(index, Shape { operations, ..*shape });
                group.bench_function(name, |b| b.iter_custom(run));
            }
        }
        group.finish();
    }
    criterion.final_summary();
}

fn memory() {
    println!("\nmemory in bytes{:12}in a region   by itself", "");
    memory::row("Lock<()>", || Lock::new(()), |r| Lock::new_in(r, ()));
    memory::row("Lock<u64>", || Lock::new(0u64), |r| Lock::new_in(r, 0u64));
    memory::row("Lock<[u64; 8]>", || Lock::new([0u64; 8]), |r| Lock::new_in(r, [0u64; 8]));
    memory::row("RLock<u64>", || RLock::new(0u64), |r| RLock::new_in(r, 0u64));
    memory::row("Semaphore", || Semaphore::new(1), |r| Semaphore::new_in(r, 1));
    memory::row("RwLock<u64>", || RwLock::new(0u64), |r| RwLock::new_in(r, 0u64));
    memory::row("Event", Event::new, Event::new_in);
    memory::row("Condition", Condition::new, Condition::new_in);
    memory::row("Barrier", || Barrier::new(2), |r| Barrier::new_in(r, 2));
    memory::row("Value<u64>", || Value::new(0u64), |r| Value::new_in(r, 0u64));
    let array = |r: &Region| Array::<u8>::new_in(r, 1000);
    memory::row("Array<u8> of 1000", || Array::<u8>::zeroed(1000), array);
}

fn main() {
    // SAFETY: an atomic.
    let counter = Counter(unsafe { shared() });
    let contestants = [locks(counter), readers(counter), handovers(), barriers()];
    let crew = Crew::start(8, contestants.into_iter().flatten().collect());
    check(&crew, counter);

    let shape = |members, place, pause| Shape { members, place, operations: 50_000, pause };
    let busy_outside = turns_of_work(67);
    let mut shapes = vec![("uncontended", shape(1, Place::Apart, 0))];
    if crew.processors() > 1 {
        shapes.push(("two processes, 67 ns outside", shape(2, Place::Apart, busy_outside)));
        shapes.push(("two processes, back to back", shape(2, Place::Apart, 0)));
    }
    let eight = Shape { operations: 5_000, ..shape(8, Place::Anywhere, busy_outside) };
    shapes.push(("eight processes, 67 ns outside", eight));

    let arguments: Vec<String> = std::env::args().collect();
    if !arguments.iter().any(|arg| arg == "tables") {
        criterion(&crew, &shapes);
    }
    let quick = arguments.iter().any(|arg| arg == "--test" || arg == "--list");
    let few =
        |shape: Shape| Shape { operations: if quick { 10 } else { shape.operations }, ..shape };
    let rounds = |rounds| if quick { 1 } else { rounds };
    for (title, shape) in shapes {
        crew.table(&format!("lock/{title}"), "lock/", rounds(101), few(shape), false);
    }
    let mut places = vec![("on one processor", Place::Together)];
    if crew.processors() > 1 {
        places.push(("across processors", Place::Apart));
    }
    for (title, place) in places {
        let shape = few(Shape { operations: 300, ..shape(2, place, 0) });
        crew.table(&format!("handover/{title}"), "handover/", rounds(51), shape, true);
        crew.table(&format!("barrier/{title}"), "barrier/", rounds(51), shape, true);
    }
    memory();
}
