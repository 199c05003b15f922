//! What a pool promises its callers: who runs what and when, values and their order, its end.
#![cfg(feature = "takeover")]
#![allow(unsafe_code)]

#[path = "common/mod.rs"]
mod common;

use common::{LONG, settle};
use serde::{Deserialize, Serialize};
use shmkit::{
    Async, Barrier, Error, Event, Pool, Queue, Result, Semaphore, TaskError, Value, cpu_count,
};
use std::collections::BTreeSet;
use std::time::Duration;

fn square(x: u64) -> u64 {
    x * x
}

fn pool(workers: usize) -> Pool {
    Pool::builder().workers(workers).build().unwrap()
}

fn own_pid() -> u32 {
    std::process::id()
}

fn get<R: shmkit::Message>(result: &Async<R>) -> Result<R, TaskError> {
    let result = result.get_timeout(LONG);
    assert!(!matches!(result, Err(TaskError::Timeout)), "the task has not ended in time");
    result
}

#[test]
fn o1_a_pool_of_n_has_n_workers_from_the_start_that_are_used_again() {
    let pool = pool(3);
    let pids = pool.worker_pids();
    assert_eq!((pool.workers(), pids.iter().collect::<BTreeSet<_>>().len()), (3, 3));
    for _ in 0..20 {
        let pid = pool.apply((), own_pid).unwrap();
        assert!(pids.contains(&pid) && pid != own_pid());
    }
    assert_eq!(pool.worker_pids(), pids);
}

#[test]
fn o1_no_workers_and_too_many_are_refused() {
    for wrong in [0, 1001, usize::MAX] {
        let built = Pool::builder().workers(wrong).build();
        assert!(matches!(built, Err(Error::InvalidArgument(_))), "{wrong}");
    }
}

#[test]
fn o2_there_are_as_many_workers_as_cpus_by_default() {
    assert_eq!(Pool::new().unwrap().worker_pids().len(), cpu_count());
}

#[test]
fn o3_as_many_tasks_run_at_once_as_there_are_workers_and_no_more() {
    fn meet(barrier: Barrier, running: Value<u32>, peak: Value<u32>) -> u32 {
        let now = running.fetch_add(1) + 1;
        peak.update(|peak| *peak = now.max(*peak)).unwrap();
        barrier.wait().unwrap(); // fails the test by its deadline if they were fewer
        running.fetch_sub(1);
        barrier.wait().unwrap();
        std::process::id()
    }
    let (workers, tasks) = (5, 10);
    let pool = pool(workers);
    let barrier = Barrier::new(workers as u32).unwrap();
    let (running, peak) = (Value::new(0).unwrap(), Value::new(0).unwrap());
    let give = |_| pool.apply_async((barrier.clone(), running.clone(), peak.clone()), meet);
    let results: Vec<_> = (0..tasks).map(give).collect::<Result<_>>().unwrap();
    let pids: BTreeSet<u32> = results.iter().map(|result| get(result).unwrap()).collect();
    assert_eq!((pids.len(), peak.get()), (workers, workers as u32));
}

#[test]
fn o3_a_free_worker_takes_the_next_task() {
    let pool = pool(2);
    let (started, go) = (Semaphore::new(0).unwrap(), Event::new().unwrap());
    let wait = |started: Semaphore, go: Event| {
        started.release(1).unwrap();
        go.wait();
        own_pid()
    };
    let results: Vec<_> =
        (0..3).map(|_| pool.apply_async((started.clone(), go.clone()), wait).unwrap()).collect();
    for _ in 0..2 {
        started.acquire_timeout(LONG).unwrap().forget();
    }
    assert!(started.try_acquire().is_err(), "the third has begun");
    go.set();
    let pids: BTreeSet<u32> = results.iter().map(|result| get(result).unwrap()).collect();
    assert_eq!(pids.len(), 2);
}

#[test]
fn o3_tasks_begin_in_the_order_in_which_they_were_given() {
    let pool = pool(1);
    let order = Queue::<u32>::new(100).unwrap();
    let results: Vec<_> = (0..100)
        .map(|n| pool.apply_async((order.clone(), n), |order, n| order.put(n).unwrap()).unwrap())
        .collect();
    results.iter().for_each(|result| get(result).unwrap());
    assert_eq!(order.get_many(100).unwrap(), (0..100).collect::<Vec<_>>());
}

#[test]
fn o4_a_list_of_results_is_collected_in_order() {
    let pool = pool(3);
    let results: Vec<_> =
        (0..10).map(|n| pool.apply_async((n,), square)).collect::<Result<_>>().unwrap();
    let values: Vec<u64> = results.iter().map(|result| get(result).unwrap()).collect();
    assert_eq!(values, (0..10).map(square).collect::<Vec<_>>());
    assert_eq!(get(&results[3]).unwrap(), 9, "and again");
}

#[test]
fn o5_apply_waits_so_that_one_task_runs_at_a_time() {
    let pool = pool(3);
    let running = Value::new(0u32).unwrap();
    let peak = |running: Value<u32>| {
        let now = running.fetch_add(1) + 1;
        std::thread::yield_now();
        running.fetch_sub(1);
        now
    };
    for _ in 0..50 {
        assert_eq!(pool.apply((running.clone(),), peak).unwrap(), 1);
    }
}

#[test]
fn o6_map_returns_the_squares_in_order() {
    let pool = pool(2);
    for count in [0, 1, 2, 7, 1000, 30_000] {
        let squares = pool.map(0..count, square).unwrap();
        assert_eq!(squares, (0..count).map(square).collect::<Vec<_>>(), "{count}");
    }
}

#[test]
fn o6_map_reports_the_first_failure_after_all_items_were_run() {
    let pool = pool(2);
    let ran = Value::new(0u32).unwrap();
    let items = (0..100).map(|n| (n, ran.clone()));
    let why = pool.map(items, |(n, ran): (u32, Value<u32>)| {
        ran.fetch_add(1);
        assert!(n != 70 && n != 30, "item {n}");
    });
    let Err(TaskError::Panicked(panic)) = why else { panic!("{why:?}") };
    assert_eq!((panic.message(), ran.get()), ("item 30", 100));
}

#[test]
fn o6_chunks_of_any_size_give_the_same() {
    let pool = pool(2);
    let squares: Vec<_> = (0..100).map(square).collect();
    for chunk in [0, 1, 3, 100, 1000] {
        assert_eq!(pool.map_chunked(0..100, chunk, square).unwrap(), squares, "{chunk}");
    }
    assert_eq!(pool.map(vec![(); 10_000], |()| ()).unwrap(), vec![(); 10_000]);
}

#[test]
fn a_map_of_single_tasks_far_beyond_the_board_ends() {
    let pool = pool(2);
    let values = pool.map_chunked(0..50_000u64, 1, |n| n + 1).unwrap();
    assert!(values.into_iter().eq(1..50_001));
}

#[test]
fn more_results_than_there_are_places_may_wait_to_be_asked_for() {
    let pool = pool(2);
    let results: Vec<_> = (0..40_000).map(|n| pool.apply_async((n,), square).unwrap()).collect();
    for (n, result) in results.iter().enumerate() {
        assert_eq!(get(result).unwrap(), square(n as u64));
    }
}

#[test]
fn o7_close_lets_what_was_given_be_done_and_takes_no_more() {
    let pool = pool(2);
    let done = Value::new(0u32).unwrap();
    let results: Vec<_> = (0..10)
        .map(|_| pool.apply_async((done.clone(),), |done| done.fetch_add(1)).unwrap())
        .collect();
    pool.close();
    assert!(matches!(pool.apply((1,), square), Err(TaskError::Closed)));
    assert!(matches!(pool.apply_async((1,), square), Err(Error::Task(TaskError::Closed))));
    assert!(matches!(pool.map(0..3, square), Err(TaskError::Closed)));
    assert!(matches!(pool.imap(0..3, square).next(), Some(Err(TaskError::Closed))));
    pool.close().join().unwrap();
    assert_eq!((done.get(), pool.worker_pids()), (10, vec![]));
    assert!(results.iter().all(|result| result.is_successful() == Some(true)));
    pool.close().join().unwrap();
}

#[test]
fn o8_terminate_ends_ten_thousand_queued_sleepers() {
    let pool = pool(2);
    let started = Event::new().unwrap();
    let running = pool.apply_async((started.clone(),), |started| {
        started.set();
        common::park()
    });
    let running: Async<()> = running.unwrap();
    let sleep = |s| std::thread::sleep(Duration::from_secs(s));
    let sleepers: Vec<_> = (0..10_000).map(|_| pool.apply_async((1000,), sleep).unwrap()).collect();
    assert!(started.wait_timeout(LONG));
    pool.terminate().join().unwrap();
    for result in sleepers.iter().chain([&running]) {
        assert!(result.is_ready() && matches!(result.get(), Err(TaskError::Terminated)));
    }
    assert_eq!(pool.worker_pids(), []);
    assert!(matches!(pool.apply((1,), square), Err(TaskError::Terminated)));
    pool.terminate().join().unwrap();
}

#[test]
fn o8_who_waits_for_a_result_is_told_that_the_pool_was_terminated() {
    let pool = pool(1);
    let started = Event::new().unwrap();
    let parked: Async<()> = pool
        .apply_async((started.clone(),), |started: Event| {
            started.set();
            common::park()
        })
        .unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| parked.get());
        let joiner = scope.spawn(|| pool.close().join());
        assert!(started.wait_timeout(LONG));
        pool.terminate();
        assert!(matches!(waiter.join().unwrap(), Err(TaskError::Terminated)));
        joiner.join().unwrap().unwrap();
    });
}

#[test]
fn o8_a_worker_that_refuses_to_terminate_is_killed_after_the_grace() {
    let pool = Pool::builder().workers(1).grace(Duration::from_millis(20)).build().unwrap();
    let deaf = Event::new().unwrap();
    let result: Async<()> = pool
        .apply_async((deaf.clone(),), |deaf: Event| {
            // SAFETY: a plain call.
            unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
            deaf.set();
            common::park()
        })
        .unwrap();
    assert!(deaf.wait_timeout(LONG));
    pool.terminate().join().unwrap();
    assert!(matches!(get(&result), Err(TaskError::Terminated)));
}

#[test]
fn o9_a_pool_is_joined_only_after_it_was_closed_or_terminated() {
    let pool = pool(1);
    assert!(matches!(pool.join(), Err(Error::StillRunning)));
    assert_eq!(pool.apply((3,), square).unwrap(), 9);
    pool.close().join().unwrap();
}

#[test]
fn x1_starmap_spreads_the_tuples_of_arguments() {
    let pool = pool(2);
    let items: Vec<(u64, u32)> = (0..200).map(|n| (n % 9, n as u32 % 5)).collect();
    let expected: Vec<u64> = items.iter().map(|(a, n)| a.pow(*n)).collect();
    assert_eq!(pool.starmap(items.clone(), u64::pow).unwrap(), expected);
    assert_eq!(pool.starmap_chunked(items.clone(), 7, u64::pow).unwrap(), expected);
    let result = pool.starmap_async(items, u64::pow).unwrap();
    assert_eq!(result.get_timeout(LONG).unwrap(), expected);
    assert!(result.is_ready());
}

#[test]
fn x1_map_async_returns_before_the_values_are_there() {
    let pool = pool(2);
    let go = Event::new().unwrap();
    let items = (0..50).map(|n| (n, go.clone()));
    let result = pool.map_async(items, |(n, go): (u64, Event)| {
        go.wait();
        n * n
    });
    let result = result.unwrap();
    assert!(!result.is_ready() && !result.wait_timeout(Duration::ZERO));
    assert!(matches!(result.get_timeout(Duration::from_millis(1)), Err(TaskError::Timeout)));
    go.set();
    result.wait().unwrap();
    assert!(result.is_ready());
    assert_eq!(result.get().unwrap(), (0..50).map(square).collect::<Vec<_>>());
    assert_eq!(pool.map_async(std::iter::empty(), square).unwrap().get().unwrap(), []);
}

#[test]
fn x2_imap_keeps_the_order_and_imap_unordered_keeps_the_set() {
    let pool = pool(3);
    let squares: Vec<_> = (0..500).map(square).collect();
    let values: Result<Vec<u64>, _> = pool.imap(0..500, square).collect();
    assert_eq!(values.unwrap(), squares);
    let values: Result<Vec<u64>, _> = pool.imap_chunked(0..500, 7, square).collect();
    assert_eq!(values.unwrap(), squares);
    let values: Result<BTreeSet<u64>, _> = pool.imap_unordered(0..500, square).collect();
    assert_eq!(values.unwrap(), squares.iter().copied().collect());
    let values: Result<BTreeSet<u64>, _> = pool.imap_unordered_chunked(0..500, 7, square).collect();
    assert_eq!(values.unwrap(), squares.into_iter().collect());
}

#[test]
fn x2_imap_takes_its_input_lazily_and_not_far_ahead() {
    let pool = pool(2);
    let mut taken = 0;
    let mut results = pool.imap((0u64..).inspect(|_| taken += 1), square);
    assert_eq!(results.next().unwrap().unwrap(), 0);
    drop(results);
    assert!((1..=16).contains(&taken), "{taken} of an endless input");
}

#[test]
fn x2_imap_unordered_gives_first_what_is_there_first() {
    let pool = pool(2);
    let go = Event::new().unwrap();
    let items = [(0, true, go.clone()), (1, false, go.clone())];
    let run = |(n, waits, go): (u32, bool, Event)| {
        if waits {
            go.wait();
        }
        n
    };
    let mut results = pool.imap_unordered(items, run);
    assert_eq!(results.next_timeout(LONG).unwrap().unwrap(), 1);
    let late = results.next_timeout(Duration::from_millis(1));
    assert!(matches!(late, Some(Err(TaskError::Timeout))));
    go.set();
    assert_eq!(results.next_timeout(LONG).unwrap().unwrap(), 0);
    assert!(results.next().is_none());
}

#[test]
fn x4_a_result_says_whether_it_is_ready_and_successful() {
    let pool = pool(1);
    let go = Event::new().unwrap();
    let result = pool.apply_async((go.clone(),), |go| go.wait()).unwrap();
    assert!(!result.is_ready() && result.is_successful().is_none());
    assert!(!result.wait_timeout(Duration::from_millis(1)));
    assert!(matches!(result.get_timeout(Duration::from_millis(1)), Err(TaskError::Timeout)));
    assert!(matches!(result.get_timeout(Duration::ZERO), Err(TaskError::Timeout)));
    go.set();
    result.wait().unwrap();
    assert!(result.is_ready() && result.is_successful() == Some(true));
    let failed: Async<()> = pool.apply_async((), || panic!("on purpose")).unwrap();
    failed.wait().unwrap();
    assert_eq!(failed.is_successful(), Some(false));
}

#[test]
fn x6_a_worker_retires_after_its_tasks_and_another_takes_its_place() {
    let pool = Pool::builder().workers(2).max_tasks_per_child(3).build().unwrap();
    let first = pool.worker_pids();
    let pids: Vec<u32> = (0..20).map(|_| pool.apply((), own_pid).unwrap()).collect();
    let distinct: BTreeSet<_> = pids.iter().collect();
    assert!(distinct.len() >= 7, "{pids:?}");
    for pid in distinct {
        assert!(pids.iter().filter(|other| *other == pid).count() <= 3, "{pids:?}");
    }
    pool.close().join().unwrap();
    assert!(first.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()));
    let refused = Pool::builder().max_tasks_per_child(0).build();
    assert!(matches!(refused, Err(Error::InvalidArgument(_))));
}

#[test]
fn x6_workers_that_retire_do_not_keep_a_pool_from_its_end() {
    let pool = Pool::builder().workers(3).max_tasks_per_child(1).build().unwrap();
    let results: Vec<_> = (0..30).map(|n| pool.apply_async((n,), square).unwrap()).collect();
    pool.close().join().unwrap();
    for (n, result) in results.iter().enumerate() {
        assert_eq!(get(result).unwrap(), square(n as u64));
    }
}

#[test]
fn x8_a_pool_that_is_dropped_is_terminated_and_its_workers_are_gone() {
    let pool = pool(2);
    let pids = pool.worker_pids();
    let result: Async<()> = pool.apply_async((), || common::park()).unwrap();
    drop(pool);
    assert!(pids.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists()));
    assert!(matches!(get(&result), Err(TaskError::Terminated)));
}

#[test]
fn threads_share_a_pool() {
    let pool = pool(2);
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let pool = &pool;
            scope.spawn(move || {
                for n in 0..200 {
                    assert_eq!(
                        pool.apply((thread * 1000 + n,), square).unwrap(),
                        square(thread * 1000 + n)
                    );
                }
            });
        }
    });
}

#[test]
fn idle_workers_sleep() {
    let pool = pool(2);
    pool.map(0..100, square).unwrap();
    pool.worker_pids().into_iter().for_each(settle);
}

#[test]
fn descriptors_and_threads_do_not_grow_with_tasks_or_workers() {
    let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
    fn body() -> [usize; 4] {
        let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
        let pool = pool(8);
        let before = [count("fd"), count("task")];
        let results: Vec<_> =
            (0..10_000).map(|n| pool.apply_async((n,), square).unwrap()).collect();
        let during = [count("fd"), count("task")];
        assert!(results.iter().all(|result| get(result).is_ok()));
        [before[0], during[0], before[1], during[1]]
    }
    // In a process that nobody else uses.
    let child = shmkit::Process::spawn((), body).unwrap();
    let [fds, fds_during, threads, threads_during] = common::join(&child).unwrap();
    assert_eq!((fds, threads), (fds_during, threads_during));
    assert_eq!(threads, 2, "its own, and the one that looks after all workers");
    assert!(count("fd") > 0);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Big {
    name: String,
    bytes: Vec<u8>,
}

#[test]
fn large_arguments_and_results_travel_out_of_line() {
    let pool = pool(2);
    let reversed = |mut big: Big| {
        big.bytes.reverse();
        big
    };
    for len in [50, 90, 100, 5000, 300_000] {
        let bytes: Vec<u8> = (0..len).map(|n| n as u8).collect();
        let big = Big { name: "big".into(), bytes: bytes.clone() };
        let back = pool.apply((big,), reversed).unwrap();
        assert!(back.bytes.iter().eq(bytes.iter().rev()), "{len}");
    }
}

#[test]
fn large_results_that_nobody_asks_for_stop_nobody() {
    let pool = Pool::builder().workers(2).arena_bytes(256 << 10).build().unwrap();
    let big = |n: usize| vec![n as u8; 32 << 10];
    let results: Vec<_> = (0..40).map(|n| pool.apply_async((n,), big).unwrap()).collect();
    let small = pool.apply_async((7,), square).unwrap();
    assert_eq!(get(&small).unwrap(), 49, "behind forty results for eight of which there is room");
    pool.close().join().unwrap();
    for (n, result) in results.iter().enumerate() {
        assert_eq!(get(result).unwrap(), big(n));
    }
}

#[test]
fn large_arguments_wait_for_room() {
    let pool = Pool::builder().workers(2).arena_bytes(256 << 10).build().unwrap();
    let len = |bytes: Vec<u8>| bytes.len();
    let results: Vec<_> =
        (0..40).map(|_| pool.apply_async((vec![1; 32 << 10],), len).unwrap()).collect();
    assert!(results.iter().all(|result| get(result).unwrap() == 32 << 10));
    let items = (0..40).map(|n| vec![n; 32 << 10]);
    assert_eq!(pool.map(items, len).unwrap(), [32 << 10; 40]);
}

#[test]
fn the_arguments_of_a_task_that_runs_are_not_in_the_way_of_its_result() {
    let pool = Pool::builder().workers(1).arena_bytes(64 << 10).build().unwrap();
    let same = pool.apply_async((vec![7u8; 40 << 10],), |bytes: Vec<u8>| bytes).unwrap();
    assert_eq!(get(&same).unwrap(), vec![7; 40 << 10]);
    // Nor are those of the tasks behind it, which fill the arena.
    let pool = Pool::builder().workers(2).arena_bytes(256 << 10).build().unwrap();
    let items = (0..60u8).map(|n| vec![n; 60 << 10]);
    let (tell, told) = std::sync::mpsc::channel();
    let map = std::thread::spawn(move || {
        tell.send(pool.map_chunked(items, 1, |bytes: Vec<u8>| bytes).unwrap()).unwrap();
    });
    let all = told.recv_timeout(LONG).expect("the results have room in time");
    assert!(all.iter().zip(0..).all(|(bytes, n)| *bytes == vec![n; 60 << 10]) && all.len() == 60);
    map.join().unwrap();
}

#[test]
fn what_is_larger_than_the_arena_is_refused_by_itself() {
    let pool = Pool::builder().workers(1).arena_bytes(64 << 10).build().unwrap();
    let len = |bytes: Vec<u8>| bytes.len();
    let huge = || vec![0; 80 << 10];
    assert!(matches!(pool.apply((huge(),), len), Err(TaskError::TooLarge)));
    assert!(matches!(pool.apply_async((huge(),), len), Err(Error::TooLarge)));
    assert!(matches!(pool.apply((), || vec![0u8; 80 << 10]), Err(TaskError::TooLarge)));
    let results = pool.try_map([vec![1], huge(), vec![2, 3]], len).unwrap();
    assert!(matches!(results[..], [Ok(1), Err(TaskError::TooLarge), Ok(2)]), "{results:?}");
}
