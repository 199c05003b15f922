//! Handles to shared objects as arguments and results of a pool's tasks (row Q11 and its like).
#![cfg(feature = "takeover")]

#[path = "common/mod.rs"]
mod common;

use common::LONG;
use serde::{Deserialize, Serialize};
use shmkit::{
    Array, Async, Connection, Event, JoinableQueue, Lock, Pipe, Pool, Queue, RLock, Semaphore,
    TaskError, Value,
};

fn pool(workers: usize) -> Pool {
    Pool::builder().workers(workers).build().unwrap()
}

fn get<R: shmkit::Message>(result: &Async<R>) -> R {
    result.get_timeout(LONG).unwrap()
}

#[test]
fn q11_a_queue_a_lock_and_a_value_are_arguments_as_any_other() {
    fn work(queue: Queue<u32>, lock: Lock<u64>, value: Value<u32>, n: u32) {
        queue.put(n).unwrap();
        *lock.lock().unwrap() += u64::from(n);
        value.fetch_add(1);
    }
    let pool = pool(2);
    let (queue, lock) = (Queue::new(100).unwrap(), Lock::new(0).unwrap());
    let value = Value::new(0).unwrap();
    let arguments = |n| (queue.clone(), lock.clone(), value.clone(), n);
    for n in 0..20 {
        pool.apply(arguments(n), work).unwrap();
    }
    pool.starmap((20..60).map(arguments), work).unwrap();
    let mut seen = queue.get_many(60).unwrap();
    seen.sort_unstable();
    assert_eq!(seen, (0..60).collect::<Vec<_>>());
    assert_eq!((*lock.lock().unwrap(), value.get()), ((0..60).sum(), 60));
}

#[derive(Serialize, Deserialize)]
struct Everything {
    event: Event,
    semaphore: Semaphore,
    jobs: JoinableQueue<u8>,
    lock: RLock<u8>,
    array: Array<u16>,
    text: String,
}

#[test]
fn any_object_travels_in_a_struct_and_back() {
    let pool = pool(1);
    let everything = Everything {
        event: Event::new().unwrap(),
        semaphore: Semaphore::new(0).unwrap(),
        jobs: JoinableQueue::new(3).unwrap(),
        lock: RLock::new(1).unwrap(),
        array: Array::zeroed(4).unwrap(),
        text: "long enough to be no tiny message, and then some more of it to be sure".repeat(3),
    };
    let event = everything.event.clone();
    let back = pool.apply((everything,), |mut all: Everything| {
        all.event.set();
        all.semaphore.release(2).unwrap();
        all.jobs.put(7).unwrap();
        all.array.set(3, 9).unwrap();
        all.text.push('!');
        all
    });
    let back = back.unwrap();
    assert!(event.is_set() && back.event.is_set() && back.text.ends_with('!'));
    assert_eq!((back.semaphore.value(), back.array.get(3)), (2, Some(9)));
    back.jobs.get().unwrap().done();
    drop(back.lock);
}

#[test]
fn tasks_work_on_the_elements_of_an_array_in_place() {
    fn add(data: Array<u64>, from: usize, to: usize) -> u64 {
        let mut sum = 0;
        for x in &mut data.lock().unwrap()[from..to] {
            sum += *x;
            *x += 1;
        }
        sum
    }
    let data = Array::from_slice(&(0..10_000).collect::<Vec<u64>>()).unwrap();
    let pool = pool(2);
    let parts = (0..10_000).step_by(1000).map(|from| (data.clone(), from, from + 1000));
    assert_eq!(pool.starmap(parts, add).unwrap().into_iter().sum::<u64>(), (0..10_000).sum());
    assert!(data.lock().unwrap().iter().copied().eq(1..=10_000));
}

#[test]
fn an_end_of_a_pipe_moves_into_a_task() {
    let pool = pool(1);
    let (ours, theirs) = Pipe::<String>::new().unwrap();
    let echo = |end: Connection<String>| {
        while let Ok(text) = end.recv() {
            end.send(text.to_uppercase()).unwrap();
        }
    };
    let result = pool.apply_async((theirs,), echo).unwrap();
    ours.send("hello".into()).unwrap();
    assert_eq!(ours.recv().unwrap(), "HELLO");
    drop(ours);
    get(&result);
}

#[test]
fn a_task_may_return_an_object_that_it_has_made() {
    let pool = pool(2);
    let made = |n: u32| {
        let queue = Queue::new(4).unwrap();
        queue.put(n).unwrap();
        queue
    };
    let queue = pool.apply((7,), made).unwrap();
    assert_eq!(queue.get().unwrap(), 7);
    for (n, queue) in pool.map(0..20, made).unwrap().into_iter().enumerate() {
        assert_eq!(queue.get().unwrap() as usize, n);
    }
    for (n, queue) in pool.imap(0..20, made).enumerate() {
        assert_eq!(queue.unwrap().get().unwrap() as usize, n);
    }
    let once = pool.apply_async((9,), made).unwrap();
    assert_eq!(get(&once).get().unwrap(), 9);
    assert!(matches!(once.get(), Err(TaskError::Decode(_))), "the handle went with the first");
}

#[test]
fn objects_come_back_also_from_workers_that_end_then() {
    let pool = Pool::builder().workers(2).max_tasks_per_child(1).build().unwrap();
    let made = |n: u32| Value::new(n).unwrap();
    let results: Vec<_> = (0..10).map(|n| pool.apply_async((n,), made).unwrap()).collect();
    pool.close().join().unwrap();
    for (n, result) in results.iter().enumerate() {
        assert_eq!(get(result).get() as usize, n);
    }
}

#[test]
fn an_initializer_gets_handles_in_every_worker() {
    use std::sync::OnceLock;
    static QUEUE: OnceLock<Queue<u32>> = OnceLock::new();
    let queue = Queue::new(100).unwrap();
    let pool = Pool::builder()
        .workers(2)
        .max_tasks_per_child(5)
        .initializer((queue.clone(),), |queue| drop(QUEUE.set(queue)))
        .build()
        .unwrap();
    pool.map_chunked(0..50u32, 1, |n| QUEUE.get().unwrap().put(n).unwrap()).unwrap();
    let mut seen = queue.get_many(50).unwrap();
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
}

#[test]
fn handles_of_tasks_that_were_never_run_are_given_up() {
    let pool = pool(1);
    let queue = Queue::<u32>::new(4).unwrap();
    let go = Event::new().unwrap();
    let parked = pool.apply_async((go.clone(),), |go: Event| go.wait()).unwrap();
    let waiting: Vec<_> = (0..5)
        .map(|n| pool.apply_async((queue.clone(), n), |queue, n| queue.put(n).unwrap()).unwrap())
        .collect();
    pool.terminate().join().unwrap();
    for result in waiting.iter().chain([&parked]) {
        assert!(matches!(result.get(), Err(TaskError::Terminated)));
    }
    // Nobody but us has the queue once what was deposited for the tasks is dropped.
    assert!(matches!(queue.get_timeout(LONG), Err(shmkit::GetError::Disconnected)));
}
