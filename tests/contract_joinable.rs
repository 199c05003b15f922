//! Do joinable queues do what the behaviour contract says, between processes?
//!
//! The ids at the end of the test names are the rows of the contract.

mod common;

use common::{LONG, await_naps, fork, go_on, join, kill, park, reap, settle, stop, unique};
use shmkit::{
    Array, Error, Event, GetError, Job, JoinError, JoinableQueue, Process, PutError, Value,
};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(20);

fn get<T: shmkit::Message>(jobs: &JoinableQueue<T>) -> Job<'_, T> {
    jobs.get_timeout(LONG).unwrap()
}

fn joined<T>(jobs: &JoinableQueue<T>) {
    jobs.join_timeout(LONG).unwrap();
}

fn assert_not_done<T>(jobs: &JoinableQueue<T>) {
    assert!(matches!(jobs.join_timeout(SHORT), Err(JoinError::Timeout)));
    assert!(matches!(jobs.join_timeout(Duration::ZERO), Err(JoinError::Timeout)));
}

fn run(body: fn()) {
    join(&Process::spawn((), body).unwrap()).unwrap();
}

fn work(jobs: JoinableQueue<u64>, done: Array<u64>) {
    for job in jobs.iter() {
        let n = *job as usize;
        done.set(n, done.get(n).unwrap() + 1).unwrap();
        job.done();
    }
}

#[test]
fn four_workers_do_ten_jobs_and_join_returns_j2_test_task_done() {
    let (jobs, done) = (JoinableQueue::new(4).unwrap(), Array::zeroed(10).unwrap());
    let workers: Vec<_> =
        (0..4).map(|_| Process::spawn((jobs.clone(), done.clone()), work).unwrap()).collect();
    jobs.put_many((0..10).collect()).unwrap();
    joined(&jobs);
    assert!(done.iter().all(|times| times == 1));
    assert!(jobs.is_empty());
    jobs.close();
    workers.iter().for_each(|worker| join(worker).unwrap());
}

#[test]
fn join_returns_at_once_when_there_is_nothing_to_do_j2() {
    let jobs = JoinableQueue::<u64>::new(2).unwrap();
    joined(&jobs);
    jobs.put(1).unwrap();
    assert_not_done(&jobs);
    let job = get(&jobs);
    assert!(jobs.is_empty());
    assert_not_done(&jobs);
    job.done();
    jobs.join().unwrap();
}

#[test]
fn a_job_is_done_once_j1() {
    let jobs = JoinableQueue::<u64>::new(2).unwrap();
    jobs.put(5).unwrap();
    let job = get(&jobs);
    assert_eq!((*job, job.attempts()), (5, 1));
    job.done(); // takes it: a second call does not compile
    joined(&jobs);
    assert!(matches!(jobs.try_get(), Err(GetError::Empty)));
}

#[test]
fn a_job_that_is_dropped_is_got_again_with_its_attempts_counted() {
    let jobs = JoinableQueue::<String>::new(3).unwrap();
    for word in ["one", "two", "three"] {
        jobs.put(word.into()).unwrap();
    }
    for attempt in 1..=4 {
        let job = jobs.iter().find(|job| *job.as_str() == *"one").unwrap();
        assert_eq!(job.attempts(), attempt);
        assert_eq!(jobs.len(), 2);
        drop(job);
        assert_eq!(jobs.len(), 3);
    }
    assert_not_done(&jobs);
    let mut all: Vec<_> = (0..3).map(|_| get(&jobs)).collect();
    all.sort_by_key(|job| job.to_string());
    assert_eq!(all.iter().map(|job| job.as_str()).collect::<Vec<_>>(), ["one", "three", "two"]);
    all.into_iter().for_each(Job::done);
    joined(&jobs);
}

fn hold(jobs: JoinableQueue<u64>, held: Event) {
    let _job = jobs.get().unwrap();
    held.set();
    park()
}

#[test]
fn the_job_of_a_worker_that_was_killed_is_got_by_another_death_contract() {
    let (jobs, held) = (JoinableQueue::new(2).unwrap(), Event::new().unwrap());
    jobs.put(7).unwrap();
    let victim = Process::spawn((jobs.clone(), held.clone()), hold).unwrap();
    assert!(held.wait_timeout(LONG));
    assert!(matches!(jobs.try_get(), Err(GetError::Empty)), "it is in work");
    assert_not_done(&jobs);
    kill(&victim);
    let job = get(&jobs);
    assert_eq!((*job, job.attempts()), (7, 2));
    job.done();
    joined(&jobs);
}

#[test]
fn who_waits_gets_the_job_of_a_worker_that_was_killed_death_contract() {
    let (jobs, held) = (JoinableQueue::new(2).unwrap(), Event::new().unwrap());
    jobs.put(7).unwrap();
    let victim = Process::spawn((jobs.clone(), held.clone()), hold).unwrap();
    assert!(held.wait_timeout(LONG));
    let done = Array::zeroed(8).unwrap();
    let heir = Process::spawn((jobs.clone(), done.clone()), work).unwrap();
    let joiner = Process::spawn((jobs.clone(),), |jobs: JoinableQueue<u64>| jobs.join().is_ok());
    let joiner = joiner.unwrap();
    await_naps(heir.pid(), 3);
    await_naps(joiner.pid(), 3);
    assert!(joiner.is_alive() && done.get(7) == Some(0), "stolen from the living");
    kill(&victim);
    assert!(join(&joiner).unwrap());
    assert_eq!(done.get(7), Some(1));
    jobs.close();
    join(&heir).unwrap();
}

#[test]
fn a_job_of_a_stopped_worker_is_not_stolen() {
    let (jobs, done) = (JoinableQueue::new(2).unwrap(), Array::zeroed(8).unwrap());
    let (go, held) = (Event::new().unwrap(), Event::new().unwrap());
    fn slow(jobs: JoinableQueue<u64>, held: Event, go: Event, done: Array<u64>) {
        let job = jobs.get().unwrap();
        held.set();
        go.wait();
        done.set(*job as usize, 1).unwrap();
        job.done();
    }
    let args = (jobs.clone(), held.clone(), go.clone(), done.clone());
    let worker = Process::spawn(args, slow).unwrap();
    jobs.put(3).unwrap();
    assert!(held.wait_timeout(LONG));
    stop(&worker);
    assert!(matches!(jobs.get_timeout(SHORT * 10), Err(GetError::Timeout)));
    assert_not_done(&jobs);
    go.set();
    go_on(&worker);
    joined(&jobs);
    assert_eq!(done.get(3), Some(1));
    join(&worker).unwrap();
}

#[test]
fn join_waits_for_jobs_that_jobs_put() {
    // Each job puts two of half its size, so that the queue is empty again and again on the way.
    fn split(jobs: JoinableQueue<u64>, sum: Value<u64>) {
        for job in jobs.iter() {
            if *job > 1 {
                jobs.put(*job / 2).unwrap();
                jobs.put(*job - *job / 2).unwrap();
            } else {
                sum.fetch_add(1);
            }
            job.done();
        }
    }
    let (jobs, sum) = (JoinableQueue::new(4096).unwrap(), Value::new(0u64).unwrap());
    let workers: Vec<_> =
        (0..3).map(|_| Process::spawn((jobs.clone(), sum.clone()), split).unwrap()).collect();
    for round in 1..=20 {
        jobs.put(100).unwrap();
        joined(&jobs);
        assert_eq!(sum.get(), 100 * round);
    }
    jobs.close();
    workers.iter().for_each(|worker| join(worker).unwrap());
}

#[test]
fn who_joins_is_told_that_nobody_is_left_to_do_it_death_contract() {
    let (jobs, held) = (JoinableQueue::new(2).unwrap(), Event::new().unwrap());
    let victim = Process::spawn((jobs.clone(), held.clone()), hold).unwrap();
    jobs.put(7).unwrap();
    assert!(held.wait_timeout(LONG));
    let joiner = Process::spawn((jobs.clone(),), |jobs: JoinableQueue<u64>| {
        matches!(jobs.join(), Err(JoinError::Disconnected))
    });
    let joiner = joiner.unwrap();
    drop(jobs);
    await_naps(joiner.pid(), 3);
    assert!(joiner.is_alive(), "told while somebody was at it");
    kill(&victim);
    assert!(join(&joiner).unwrap());
}

#[test]
fn a_closed_queue_ends_when_all_is_done_and_not_before() {
    let (jobs, held) = (JoinableQueue::new(2).unwrap(), Event::new().unwrap());
    jobs.put(7).unwrap();
    let victim = Process::spawn((jobs.clone(), held.clone()), hold).unwrap();
    assert!(held.wait_timeout(LONG));
    jobs.close();
    assert!(matches!(jobs.put(8), Err(PutError::Disconnected(8))));
    assert!(matches!(jobs.try_get(), Err(GetError::Empty)), "it may come back");
    let heir = Process::spawn((jobs.clone(),), |jobs: JoinableQueue<u64>| {
        let job = jobs.get().unwrap();
        // What a handle has in work itself does not keep it waiting.
        let over = matches!(jobs.get(), Err(GetError::Disconnected));
        let attempts = job.attempts();
        job.done();
        (over, attempts)
    });
    let heir = heir.unwrap();
    settle(heir.pid());
    kill(&victim);
    assert_eq!(join(&heir).unwrap(), (true, 2));
    assert!(matches!(jobs.get(), Err(GetError::Disconnected)));
    joined(&jobs);
}

#[test]
fn a_job_that_is_inherited_by_fork_stays_the_parents() {
    run(|| {
        let jobs = JoinableQueue::<u64>::new(4).unwrap();
        jobs.put(1).unwrap();
        let mut job = Some(get(&jobs));
        reap(fork(|| drop(job.take())));
        reap(fork(|| job.take().unwrap().done()));
        assert!(matches!(jobs.try_get(), Err(GetError::Empty)));
        assert_not_done(&jobs);
        job.take().unwrap().done();
        joined(&jobs);
    });
}

#[test]
fn jobs_in_work_take_room() {
    let jobs = JoinableQueue::<u64>::new(2).unwrap();
    jobs.put(1).unwrap();
    let first = get(&jobs);
    jobs.put(2).unwrap();
    assert!(matches!(jobs.try_put(3), Err(PutError::Full(3))), "the place of the first");
    let second = jobs.get_many(5).unwrap();
    assert_eq!(second.len(), 1);
    first.done();
    jobs.put(3).unwrap();
    second.into_iter().for_each(Job::done);
    get(&jobs).done();
    joined(&jobs);
}

#[test]
fn a_joinable_queue_is_found_by_its_name_and_is_no_queue() {
    let name = unique("joinable");
    let made = JoinableQueue::<u64>::create(&name, 3).unwrap();
    assert!(matches!(shmkit::Queue::<u64>::open(&name), Err(Error::TypeMismatch { .. })));
    JoinableQueue::<u64>::open(&name).unwrap().put(4).unwrap();
    let job = get(&made);
    assert_eq!(*job, 4);
    job.done();
    joined(&made);
}
