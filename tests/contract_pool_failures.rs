//! What a pool promises where something fails: panics, deaths, bad arguments and results, initializers.
#![cfg(feature = "takeover")]
#![allow(unsafe_code)]

#[path = "common/mod.rs"]
mod common;

use common::{LONG, die};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use shmkit::{
    Async, Error, Event, Pool, Process, ProcessError, Queue, Semaphore, TaskError, Value,
    current_process,
};
use std::sync::mpsc;
use std::time::{Duration, Instant};

fn square(x: u64) -> u64 {
    x * x
}

fn own_pid() -> u32 {
    std::process::id()
}

fn pool(workers: usize) -> Pool {
    Pool::builder().workers(workers).build().unwrap()
}

fn get<R: shmkit::Message>(result: &Async<R>) -> Result<R, TaskError> {
    let result = result.get_timeout(LONG);
    assert!(!matches!(result, Err(TaskError::Timeout)), "the task has not ended in time");
    result
}

fn signal(pid: u32, signal: i32) {
    // SAFETY: a plain call; the process is our child, or a child's.
    assert_eq!(unsafe { libc::kill(pid as i32, signal) }, 0);
}

fn await_that(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LONG, "not in time: {what}");
        std::thread::yield_now();
    }
}

/// The state of a process; that of one who is gone is that of one who waits for its parent.
fn state(pid: u32) -> char {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Err(_) => 'X',
        Ok(stat) => stat.rsplit(") ").next().unwrap().chars().next().unwrap(),
    }
}

/// Waits until the process is gone, or waits for nobody but its parent.
fn await_end(pid: u32) {
    await_that("the end of a process", || matches!(state(pid), 'Z' | 'X'));
}

#[test]
fn x5_a_panic_comes_with_text_and_place_and_the_worker_goes_on() {
    let pool = pool(1);
    let pid = pool.apply((), own_pid).unwrap();
    let failed = pool.apply((7,), |n: u32| -> u32 { panic!("bad input {n}") });
    let Err(TaskError::Panicked(panic)) = failed else { panic!("{failed:?}") };
    assert_eq!(panic.message(), "bad input 7");
    assert!(panic.location().unwrap().starts_with("tests/contract_pool_failures.rs:"));
    assert_eq!(pool.apply((), own_pid).unwrap(), pid);
    let mute = pool.apply((), || -> u8 { std::panic::resume_unwind(Box::new(5)) });
    let Err(TaskError::Panicked(panic)) = mute else { panic!("{mute:?}") };
    assert_eq!((panic.message(), panic.location()), ("a value that is no text", None));
}

#[test]
fn try_map_says_which_item_failed_and_how() {
    let pool = pool(2);
    let results = pool.try_map(0..200u32, |n| {
        assert!(n % 50 != 7, "item {n}");
        n
    });
    for (n, result) in results.unwrap().into_iter().enumerate() {
        match result {
            Err(TaskError::Panicked(panic)) if n % 50 == 7 => {
                assert_eq!(panic.message(), format!("item {n}"));
            }
            result => assert_eq!(result.unwrap() as usize, n),
        }
    }
}

#[test]
fn x9_a_killed_worker_is_reported_for_its_task_and_replaced() {
    let pool = pool(2);
    let pids = pool.worker_pids();
    let results: Vec<_> = (0..20)
        .map(|n| pool.apply_async((n,), |n: u32| if n == 9 { die() } else { n }).unwrap())
        .collect();
    for (n, result) in results.iter().enumerate() {
        match get(result) {
            Err(TaskError::WorkerDied { signal: Some(9), code: None }) if n == 9 => {}
            result => assert_eq!(result.unwrap() as usize, n),
        }
    }
    assert_eq!(pool.map(0..50, square).unwrap(), (0..50).map(square).collect::<Vec<_>>());
    let start = Instant::now();
    while pool.worker_pids().len() < 2 || pool.worker_pids() == pids {
        assert!(start.elapsed() < LONG, "the dead worker was not replaced");
        std::thread::yield_now();
    }
}

#[test]
fn x9_however_a_worker_ends_its_task_says_how() {
    let pool = pool(1);
    type End = (fn() -> u8, Option<i32>, Option<i32>);
    let ends: [End; 4] = [
        (|| std::process::abort(), Some(6), None),
        (|| std::process::exit(3), None, Some(3)),
        (|| std::process::exit(0), None, Some(0)),
        (|| die(), Some(9), None),
    ];
    for (end, by, with) in ends {
        match pool.apply((), end) {
            Err(TaskError::WorkerDied { signal, code }) => assert_eq!((signal, code), (by, with)),
            other => panic!("{other:?} instead of {by:?}, {with:?}"),
        }
        assert_eq!(pool.apply((5,), square).unwrap(), 25);
    }
}

#[test]
fn x9_a_worker_killed_from_outside_while_it_works_or_idles_harms_nobody() {
    let pool = pool(2);
    for _ in 0..10 {
        let pid = pool.worker_pids()[0];
        signal(pid, libc::SIGKILL);
        assert_eq!(pool.map_chunked(0..50, 5, square).map_or(50, |all| all.len()), 50);
        await_that("the dead worker is replaced", || !pool.worker_pids().contains(&pid));
    }
    let pid = Queue::<u32>::new(1).unwrap();
    let parked: Async<()> = pool
        .apply_async((pid.clone(),), |pid: Queue<u32>| {
            pid.put(own_pid()).unwrap();
            common::park()
        })
        .unwrap();
    signal(pid.get().unwrap(), libc::SIGKILL);
    assert!(matches!(get(&parked), Err(TaskError::WorkerDied { signal: Some(9), .. })));
}

#[test]
fn x9_a_map_survives_the_death_of_a_worker_but_for_its_chunk() {
    let pool = pool(2);
    let results = pool.try_map(0..40u32, |n| if n == 30 { die() } else { n }).unwrap();
    let died = |result: &Result<u32, _>| matches!(result, Err(TaskError::WorkerDied { .. }));
    assert!(died(&results[30]));
    for (n, result) in results.iter().enumerate().filter(|(_, result)| !died(result)) {
        assert_eq!(*result.as_ref().unwrap() as usize, n);
    }
    assert!(results.iter().filter(|result| died(result)).count() <= 10, "one chunk");
    let all = pool.map(0..40u32, |n| if n == 30 { die() } else { n });
    assert!(matches!(all, Err(TaskError::WorkerDied { signal: Some(9), code: None })));
}

#[test]
fn x9_a_stopped_worker_is_not_a_dead_one() {
    let pool = pool(2);
    let (pid, go) = (Queue::<u32>::new(1).unwrap(), Event::new().unwrap());
    let slow = pool
        .apply_async((pid.clone(), go.clone()), |pid: Queue<u32>, go: Event| {
            pid.put(own_pid()).unwrap();
            go.wait();
            42
        })
        .unwrap();
    let stopped = pid.get().unwrap();
    signal(stopped, libc::SIGSTOP);
    await_that("the worker stands still", || state(stopped) == 'T');
    go.set();
    assert_eq!(pool.map(0..100, square).unwrap().len(), 100);
    assert!(!slow.is_ready());
    signal(stopped, libc::SIGCONT);
    assert_eq!(get(&slow).unwrap(), 42);
    assert!(pool.worker_pids().contains(&stopped));
}

/// Counts its calls in a named value, and dies in the first ones.
fn die_at_first(name: String, deaths: u32) -> u32 {
    let calls = Value::<u32>::open(&name).unwrap();
    match calls.fetch_add(1) + 1 {
        call if call <= deaths => die(),
        call => call,
    }
}

#[test]
fn retries_run_the_task_of_a_dead_worker_again_so_often() {
    let pool = Pool::builder().workers(2).retries(2).build().unwrap();
    for (deaths, name) in [(2, common::unique("two")), (3, common::unique("three"))] {
        let calls = Value::create(&name, 0u32).unwrap();
        let result = pool.apply((name, deaths), die_at_first);
        match deaths {
            2 => assert_eq!(result.unwrap(), 3),
            _ => assert!(matches!(result, Err(TaskError::WorkerDied { .. }))),
        }
        assert_eq!(calls.get(), 3);
    }
    let name = common::unique("closed");
    let calls = Value::create(&name, 0u32).unwrap();
    let result = pool.apply_async((name, 2), die_at_first).unwrap();
    pool.close().join().unwrap();
    assert_eq!((get(&result).unwrap(), calls.get()), (3, 3));
}

#[derive(Debug)]
struct Unreadable;

impl Serialize for Unreadable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Unreadable, D::Error> {
        Err(serde::de::Error::custom("unreadable"))
    }
}

/// Cannot be encoded if it is odd.
#[derive(Debug, Deserialize)]
struct Even(u32);

impl Serialize for Even {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % 2 {
            0 => self.0.serialize(serializer),
            _ => serializer.collect_seq(std::iter::once(0).filter(|_| true)), // of unknown length
        }
    }
}

#[test]
fn what_cannot_be_encoded_or_decoded_fails_that_task_only() {
    let pool = pool(2);
    let pids = pool.worker_pids();
    assert!(matches!(pool.apply((Even(1),), |even| even.0), Err(TaskError::Encode(_))));
    assert!(matches!(pool.apply_async((Even(1),), |even| even.0), Err(Error::Encode(_))));
    assert!(matches!(pool.apply((Unreadable,), |_| 1u8), Err(TaskError::Decode(_))));
    assert!(matches!(pool.apply((), || Unreadable), Err(TaskError::Decode(_))));
    for _ in 0..20 {
        assert!(matches!(pool.apply((3,), Even), Err(TaskError::Encode(_))));
    }
    let results = pool.try_map((0..6).map(Even), |even| Even(even.0 + 1)).unwrap();
    assert!(results.iter().all(|result| matches!(result, Err(TaskError::Encode(_)))));
    let results = pool.try_map(0..6, Even).unwrap();
    for (n, result) in results.into_iter().enumerate() {
        assert!(matches!(result, Err(TaskError::Encode(_)) if n % 2 == 1) || n % 2 == 0);
    }
    let results = pool.try_map((0..6).map(Even), |even| even.0 / 2).unwrap();
    for (n, result) in results.into_iter().enumerate() {
        match result {
            Ok(half) => assert_eq!(half as usize * 2, n),
            Err(why) => assert!(matches!(why, TaskError::Encode(_)) && n % 2 == 1, "{why}"),
        }
    }
    let results = pool.try_map(vec![Unreadable, Unreadable], |_| ()).unwrap();
    assert!(results.iter().all(|result| matches!(result, Err(TaskError::Decode(_)))));
    assert_eq!(pool.map(0..10, square).unwrap().len(), 10);
    assert_eq!(pool.worker_pids(), pids);
}

#[test]
fn a_function_that_is_not_part_of_the_executable_is_refused() {
    // SAFETY: of the same type but for the name of its calling convention, which nobody follows: it is
    // not called.
    let foreign = unsafe {
        std::mem::transmute::<unsafe extern "C" fn() -> libc::pid_t, fn() -> i32>(libc::getpid)
    };
    let pool = pool(1);
    assert!(matches!(pool.apply((), foreign), Err(TaskError::ForeignFunction)));
    assert!(matches!(pool.apply_async((), foreign), Err(Error::ForeignFunction)));
}

#[test]
fn an_input_that_panics_leaves_the_pool_usable() {
    let pool = pool(2);
    let input = || (0..500u64).inspect(|n| assert!(*n != 400, "the input"));
    for _ in 0..3 {
        let map = std::panic::AssertUnwindSafe(|| pool.map_chunked(input(), 3, square));
        assert!(std::panic::catch_unwind(map).is_err());
        let imap = std::panic::AssertUnwindSafe(|| pool.imap(input(), square).count());
        assert!(std::panic::catch_unwind(imap).is_err());
        assert_eq!(pool.map(0..1000, square).unwrap().len(), 1000);
    }
    pool.close().join().unwrap();
}

#[test]
fn x3_functions_are_called_with_results_in_a_thread_of_their_own() {
    let pool = pool(2);
    let (tell, told) = mpsc::channel();
    let good = pool.apply_async((5,), square).unwrap();
    let bad: Async<u64> = pool.apply_async((), || panic!("on purpose")).unwrap();
    for (result, name) in [(&good, "good"), (&bad, "bad")] {
        let value = tell.clone();
        let thread = std::thread::current().id();
        result
            .on_success(move |n| {
                assert!(std::thread::current().id() != thread);
                value.send((name, n.to_string())).unwrap();
            })
            .unwrap();
        let error = tell.clone();
        let failed = move |why: TaskError| error.send((name, why.to_string())).unwrap();
        result.on_error(failed).unwrap();
    }
    let mut all = [told.recv_timeout(LONG).unwrap(), told.recv_timeout(LONG).unwrap()];
    all.sort();
    assert!(all[0].0 == "bad" && all[0].1.contains("on purpose"), "{all:?}");
    assert_eq!(all[1], ("good", "25".to_string()));
    // And of a result that is there already.
    good.on_success(move |n| tell.send(("late", n.to_string())).unwrap()).unwrap();
    assert_eq!(told.recv_timeout(LONG).unwrap(), ("late", "25".to_string()));
}

#[test]
fn x3_a_function_that_panics_does_not_harm_the_pool() {
    let pool = pool(1);
    let (tell, told) = mpsc::channel();
    for n in 0..20 {
        let result = pool.apply_async((n,), square).unwrap();
        let tell = tell.clone();
        result
            .on_success(move |n| {
                tell.send(n).unwrap();
                panic!("in the result thread");
            })
            .unwrap();
    }
    for n in 0..20 {
        assert_eq!(told.recv_timeout(LONG).unwrap(), square(n));
    }
    assert_eq!(pool.apply((6,), square).unwrap(), 36);
    pool.close().join().unwrap();
}

#[test]
fn x3_all_functions_were_called_when_a_pool_is_joined() {
    let pool = pool(2);
    let (tell, told) = mpsc::channel();
    for n in 0..100 {
        let tell = tell.clone();
        let result = pool.apply_async((n,), square).unwrap();
        result.on_success(move |n| tell.send(n).unwrap()).unwrap();
    }
    let map_tell = tell.clone();
    let map = pool.map_async(0..100, square).unwrap();
    map.on_success(move |all| map_tell.send(all.into_iter().sum()).unwrap()).unwrap();
    drop((tell, map));
    pool.close().join().unwrap();
    assert_eq!(told.try_iter().count(), 101);
}

#[test]
fn x3_functions_are_told_that_the_pool_was_terminated() {
    let pool = pool(1);
    let (tell, told) = mpsc::channel();
    let parked: Async<()> = pool.apply_async((), || common::park()).unwrap();
    parked.on_error(move |why| tell.send(why).unwrap()).unwrap();
    drop(parked);
    pool.terminate().join().unwrap();
    assert!(matches!(told.recv_timeout(LONG), Ok(TaskError::Terminated)));
}

#[test]
fn x7_an_initializer_runs_once_in_each_worker() {
    static SEED: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    let runs = Semaphore::new(0).unwrap();
    let pool = Pool::builder()
        .workers(3)
        .initializer((40u64, runs.clone()), |seed, runs| {
            SEED.set(seed).unwrap();
            runs.release(1).unwrap();
        })
        .build()
        .unwrap();
    assert_eq!(runs.value(), 3);
    assert_eq!(pool.map(0..30, |n: u64| SEED.get().unwrap() + n).unwrap()[29], 69);
    signal(pool.worker_pids()[0], libc::SIGKILL);
    (0..4).for_each(|_| runs.acquire_timeout(LONG).unwrap().forget());
    assert_eq!(SEED.get(), None);
}

#[test]
fn x7_an_initializer_that_fails_fails_the_build_and_leaves_nobody() {
    fn failing() -> [String; 4] {
        let build = |f: fn(u32)| Pool::builder().workers(3).initializer((7,), f).build();
        let why = |built: Result<Pool, Error>| match built.unwrap_err() {
            Error::Process(ProcessError::Panicked(panic)) => panic.message().to_string(),
            other => other.to_string(),
        };
        let pid = own_pid();
        let children = || std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        [
            why(build(|n| panic!("no {n}"))),
            why(build(|n| std::process::exit(n as i32))),
            why(build(|_| die())),
            children().unwrap(),
        ]
    }
    let child = Process::spawn((), failing).unwrap();
    let [panicked, exited, killed, left] = common::join(&child).unwrap();
    assert_eq!((panicked.as_str(), left.as_str()), ("no 7", ""));
    assert!(exited.contains("code 7") && killed.contains("signal 9"), "{exited}, {killed}");
}

/// Fails when a value of this name is set.
fn fail_if(name: String) {
    let is_failing = Value::<u32>::open(&name).unwrap();
    let left = is_failing.update(|left| std::mem::replace(left, left.saturating_sub(1)));
    assert_eq!(left.unwrap(), 0);
}

#[test]
fn x7_initializers_that_fail_three_times_in_a_row_break_the_pool() {
    let name = common::unique("failing");
    let failing = Value::create(&name, 0u32).unwrap();
    let pool = Pool::builder().workers(1).initializer((name,), fail_if).build().unwrap();
    for failures in [1, 2] {
        failing.set(failures).unwrap();
        let died: Result<(), _> = pool.apply((), || die());
        assert!(matches!(died, Err(TaskError::WorkerDied { .. })));
        assert_eq!(pool.apply((3,), square).unwrap(), 9, "{failures} failures are borne");
    }
    failing.set(u32::MAX).unwrap();
    let died: Result<(), _> = pool.apply((), || die());
    assert!(matches!(died, Err(TaskError::WorkerDied { .. })));
    assert!(matches!(pool.apply((3,), square), Err(TaskError::Broken)));
    assert!(matches!(pool.close().join(), Err(Error::Task(TaskError::Broken))));
    let failed = u32::MAX - failing.get();
    assert!((3..=4).contains(&failed), "{failed} workers were tried");
}

#[test]
fn a_pool_may_be_made_and_used_in_a_task() {
    fn sum_of_squares(to: u64) -> u64 {
        assert!(current_process().is_daemon());
        pool(2).map(0..to, square).unwrap().into_iter().sum()
    }
    let pool = pool(2);
    let sums = pool.map([3, 4, 5], sum_of_squares).unwrap();
    assert_eq!(sums, [5, 14, 30]);
}

#[test]
fn workers_outlive_the_interrupt_of_their_terminal() {
    let pool = pool(2);
    let pids = pool.worker_pids();
    let (started, go) = (Event::new().unwrap(), Event::new().unwrap());
    let busy = pool
        .apply_async((started.clone(), go.clone()), |started: Event, go: Event| {
            started.set();
            go.wait();
            7
        })
        .unwrap();
    assert!(started.wait_timeout(LONG));
    pids.iter().for_each(|pid| signal(*pid, libc::SIGINT));
    go.set();
    assert_eq!(get(&busy).unwrap(), 7);
    assert_eq!(pool.map(0..10, square).unwrap().len(), 10);
    assert_eq!(pool.worker_pids(), pids);
}

/// Makes a pool whose workers are busy, and tells who they are.
fn keep_a_pool_busy(pids: Queue<u32>) {
    // SAFETY: plain calls; a process group of its own, as a shell gives to a program. Who runs tests
    // in the background may ignore the signal.
    unsafe {
        libc::setpgid(0, 0);
        libc::signal(libc::SIGINT, libc::SIG_DFL);
    }
    let pool = pool(3);
    let parked: Vec<Async<()>> = (0..2)
        .map(|_| {
            pool.apply_async((pids.clone(),), |pids: Queue<u32>| {
                pids.put(own_pid()).unwrap();
                common::park()
            })
            .unwrap()
        })
        .collect();
    for result in parked {
        result.wait().unwrap();
    }
}

#[test]
fn an_interrupt_or_a_kill_of_the_parent_ends_the_workers_too() {
    for (by, to_group) in [(libc::SIGINT, true), (libc::SIGKILL, false), (libc::SIGTERM, false)] {
        let pids = Queue::new(2).unwrap();
        let parent = Process::spawn((pids.clone(),), keep_a_pool_busy).unwrap();
        let workers = [pids.get_timeout(LONG).unwrap(), pids.get_timeout(LONG).unwrap()];
        let pid = parent.pid() as i32;
        // SAFETY: plain call; the process is our child.
        assert_eq!(unsafe { libc::kill(if to_group { -pid } else { pid }, by) }, 0);
        let ended = common::join(&parent);
        assert!(matches!(ended, Err(ProcessError::Signaled { signal, .. }) if signal == by));
        workers.into_iter().for_each(await_end);
    }
}

#[test]
fn a_pool_belongs_to_the_process_that_made_it() {
    fn fork_with_a_pool() {
        let pool = pool(2);
        let waiting = pool.apply_async((3,), square).unwrap();
        assert_eq!(waiting.get().unwrap(), 9);
        let late: Async<()> = pool.apply_async((), || common::park()).unwrap();
        let mut pool = Some(pool);
        let child = common::fork(|| {
            let pool = pool.take().unwrap();
            assert!(matches!(pool.apply((1,), square), Err(TaskError::WrongProcess)));
            assert!(matches!(pool.apply_async((1,), square), Err(Error::WrongProcess)));
            assert!(matches!(pool.map(0..3, square), Err(TaskError::WrongProcess)));
            assert!(matches!(pool.imap(0..3, square).next(), Some(Err(TaskError::WrongProcess))));
            assert!(matches!(pool.close().terminate().join(), Err(Error::WrongProcess)));
            assert!(matches!(late.get(), Err(TaskError::WrongProcess)));
            assert!(!late.is_ready() && pool.worker_pids().is_empty());
            drop(pool);
        });
        common::reap(child);
        assert_eq!(pool.unwrap().apply((2,), square).unwrap(), 4);
    }
    // Where no test harness has threads of its own.
    let child = Process::spawn((), fork_with_a_pool).unwrap();
    common::join(&child).unwrap();
}

#[test]
fn a_map_under_way_belongs_to_the_process_that_began_it() {
    fn fork_with_maps() {
        let pool = pool(2);
        let mut begun = pool.imap(0..100, square);
        assert_eq!(begun.next().unwrap().unwrap(), 0);
        let mut fresh = pool.imap_unordered(0..3, square);
        let child = common::fork(|| {
            for _ in 0..20 {
                assert!(matches!(begun.next(), Some(Err(TaskError::WrongProcess))));
                assert!(matches!(fresh.next(), Some(Err(TaskError::WrongProcess))));
            }
        });
        common::reap(child);
        assert_eq!(begun.map(Result::unwrap).sum::<u64>(), (0..100).map(square).sum());
        assert_eq!(fresh.map(Result::unwrap).count(), 3);
    }
    let child = Process::spawn((), fork_with_maps).unwrap();
    common::join(&child).unwrap();
}

#[test]
fn a_pool_that_is_not_dropped_does_not_keep_its_process_from_its_end() {
    fn leave_a_pool(pids: Queue<u32>) {
        let pool = pool(2);
        pool.worker_pids().into_iter().for_each(|pid| pids.put(pid).unwrap());
        std::mem::forget(pool);
    }
    let pids = Queue::new(2).unwrap();
    let child = Process::spawn((pids.clone(),), leave_a_pool).unwrap();
    common::join(&child).unwrap();
    [pids.get().unwrap(), pids.get().unwrap()].into_iter().for_each(await_end);
}

#[test]
fn the_time_it_takes_to_notice_a_death_is_not_a_nap() {
    // Not a timed assertion: only that a hundred deaths fit into the patience of a test.
    let pool = Pool::builder().workers(1).grace(Duration::ZERO).build().unwrap();
    for _ in 0..100 {
        let died: Result<(), _> = pool.apply((), || die());
        assert!(matches!(died, Err(TaskError::WorkerDied { signal: Some(9), code: None })));
    }
}
