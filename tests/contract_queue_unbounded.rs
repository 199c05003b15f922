//! Do queues that grow do what other queues do, and take memory only for what is in them?

mod common;

use common::{LONG, await_naps, fork, join, kill, reap, unique};
use shmkit::{
    Error, Event, GetError, JoinableQueue, Lock, Process, PutError, Queue, QueueOptions, Region,
    RegionOptions, Value, wait,
};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(20);
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// Messages in a chunk of numbers.
const CHUNK: usize = 1024;

/// Bytes of memory that the object of this name has.
fn used(name: &str) -> usize {
    let paths = std::fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().path());
    let path = paths.into_iter().find(|path| path.to_string_lossy().contains(name)).unwrap();
    std::fs::metadata(&path).unwrap().blocks() as usize * 512
}

fn drain(queue: &Queue<u64>) -> Vec<u64> {
    std::iter::from_fn(|| queue.try_get_many(1000).ok()).flatten().collect()
}

#[test]
fn what_nobody_gets_does_not_hold_up_who_puts_and_comes_in_order_q1() {
    const COUNT: u64 = 200_000;
    fn produce(queue: Queue<u64>) {
        for n in (0..COUNT).step_by(1000) {
            queue.put_many((n..n + 999).collect()).unwrap();
            queue.put(n + 999).unwrap();
        }
    }
    let queue = Queue::unbounded().unwrap();
    join(&Process::spawn((queue.clone(),), produce).unwrap()).unwrap();
    assert!(queue.len() == COUNT as usize && !queue.is_full());
    assert!(queue.capacity() >= 1_000_000);
    assert_eq!(drain(&queue), Vec::from_iter(0..COUNT));
    assert!(matches!(queue.get(), Err(GetError::Disconnected)));
}

#[test]
fn three_processes_put_and_three_get_each_message_once_and_those_of_each_in_order_q1() {
    const EACH: u64 = 20_000;
    fn produce(queue: Queue<(u64, u64)>, producer: u64) {
        let mut next = 0;
        while next < EACH {
            let end = EACH.min(next + 1 + next % 200);
            queue.put_many((next..end).map(|n| (producer, n)).collect()).unwrap();
            next = end;
        }
    }
    fn consume(queue: Queue<(u64, u64)>) -> (u64, u64) {
        let (mut last, mut count, mut sum) = ([None; 3], 0, 0);
        while let Ok(messages) = queue.get_many(1 + count as usize % 50) {
            for (producer, n) in messages {
                assert!(last[producer as usize] < Some(n), "out of order");
                last[producer as usize] = Some(n);
                count += 1;
                sum += producer * EACH + n;
            }
        }
        (count, sum)
    }
    // One that has room for all, and one that is full all the time and goes round many times.
    for queue in [Queue::unbounded(), QueueOptions::new(1500).growing().queue()] {
        let queue = queue.unwrap();
        let spawn = |n| Process::spawn((queue.clone(), n), produce).unwrap();
        let producers: Vec<_> = (0..3).map(spawn).collect();
        let consumers: Vec<_> =
            (0..3).map(|_| Process::spawn((queue.clone(),), consume).unwrap()).collect();
        producers.iter().for_each(|producer| join(producer).unwrap());
        queue.close();
        let got: Vec<_> = consumers.iter().map(|consumer| join(consumer).unwrap()).collect();
        assert_eq!(got.iter().map(|got| got.0).sum::<u64>(), 3 * EACH);
        assert_eq!(got.iter().map(|got| got.1).sum::<u64>(), (0..3 * EACH).sum());
    }
}

#[test]
fn beyond_its_cap_a_queue_that_grows_is_full_and_gives_back_what_did_not_fit_q2() {
    const CAP: u64 = 3000;
    let queue: Queue<u64> = QueueOptions::new(CAP as usize).growing().queue().unwrap();
    let mut first = 0;
    // Round and round: each time it holds exactly its cap, wherever it begins.
    for lap in 0..12 {
        match queue.try_put_many((first..first + CAP + 5).collect()) {
            Err(PutError::Full(rest)) => {
                assert_eq!(rest, Vec::from_iter(first + CAP..first + CAP + 5))
            }
            other => panic!("{other:?}"),
        }
        assert!(queue.is_full() && queue.len() == CAP as usize);
        assert!(matches!(queue.try_put(7), Err(PutError::Full(7))));
        assert!(matches!(queue.put_timeout(7, SHORT), Err(PutError::Timeout(7))));
        assert_eq!(queue.get().unwrap(), first);
        assert!(!queue.is_full());
        queue.put(first + CAP).unwrap();
        assert!(queue.is_full());
        assert_eq!(drain(&queue), Vec::from_iter(first + 1..first + CAP + 1));
        first += CAP + 1 + lap * 111;
    }
}

#[test]
fn a_full_queue_that_grows_wakes_who_waits_for_room() {
    fn put(queue: Queue<u64>) {
        queue.put(2000).unwrap();
    }
    let queue: Queue<u64> = QueueOptions::new(2000).growing().queue().unwrap();
    queue.put_many((0..2000).collect()).unwrap();
    let child = Process::spawn((queue.clone(),), put).unwrap();
    await_naps(child.pid(), 2);
    assert_eq!(queue.get().unwrap(), 0);
    join(&child).unwrap();
    assert_eq!(drain(&queue), Vec::from_iter(1..=2000));
}

#[test]
fn memory_is_taken_as_a_queue_grows_and_given_back_as_it_is_drained() {
    const COUNT: u64 = 100_000; // 6.1 MiB
    let name = unique("grow");
    let queue: Queue<u64> = QueueOptions::unbounded().name(&name).queue().unwrap();
    let idle = used(&name);
    assert!(idle < 800 * KIB, "{idle}");
    for round in 0..3 {
        let before = used(&name);
        queue.put_many((0..COUNT).collect()).unwrap();
        let full = used(&name);
        let taken = COUNT as usize * 64;
        assert!(full >= idle + taken && full < idle + taken + 3 * MIB, "{round}: {full}");
        assert_eq!(drain(&queue), Vec::from_iter(0..COUNT));
        // Kept are 1 MiB, the chunk that is next, and a word for each slot that was used.
        let drained = used(&name);
        let words = (round + 1) * COUNT as usize * 8;
        assert!(drained < idle + MIB + words + 128 * KIB, "{round}: {drained} after {before}");
    }
    // One message at a time takes no more than that, however many there were.
    let before = used(&name);
    for n in 0..20_000 {
        queue.put(n).unwrap();
        assert_eq!(queue.get().unwrap(), n);
    }
    assert!(used(&name) <= before + 20_000 * 8 + 64 * KIB);
}

#[test]
fn a_message_that_is_borrowed_keeps_the_memory_behind_it_until_it_is_got() {
    let name = unique("lag");
    let queue: Queue<u64> = QueueOptions::new(200_000).growing().name(&name).queue().unwrap();
    let idle = used(&name);
    queue.put_many((0..100_000).collect()).unwrap();
    let first = queue.receive().unwrap();
    assert_eq!(drain(&queue), Vec::from_iter(1..100_000));
    assert!(used(&name) > idle + 6 * MIB, "what follows on it waits for it");
    assert!(first.len() == 1 && first[0] == 0);
    drop(first);
    assert!(used(&name) < idle + 2 * MIB + 64 * KIB);
}

#[test]
fn a_borrowed_message_that_stays_ends_the_growth_and_not_the_queue() {
    let queue: Queue<u64> = QueueOptions::new(1000).growing().queue().unwrap();
    queue.put(7).unwrap();
    let borrowed = queue.receive().unwrap();
    let mut count = 0;
    while queue.try_put(count).is_ok() {
        assert_eq!(queue.get().unwrap(), count);
        count += 1;
        assert!(count < 100_000, "the ring has only so many slots");
    }
    assert!(count > 1000 && queue.is_empty());
    assert!(matches!(queue.try_put(9), Err(PutError::Full(9))));
    drop(borrowed);
    queue.put(8).unwrap();
    assert_eq!(drain(&queue), [8]);
}

#[test]
fn messages_of_every_length_lie_in_a_queue_that_grows() {
    let text = |n: usize| format!("{n}-").repeat(n * n % 300);
    fn echo(there: Queue<String>, back: Queue<String>) {
        there.iter().for_each(|message| back.put(message).unwrap());
    }
    let (there, back) = (Queue::unbounded().unwrap(), Queue::unbounded().unwrap());
    let child = Process::spawn((there.clone(), back.clone()), echo).unwrap();
    there.put_many((0..3000).map(text).collect()).unwrap();
    there.put("x".repeat(16 * MIB)).unwrap();
    for n in 0..3000 {
        assert_eq!(back.get_timeout(LONG).unwrap(), text(n));
    }
    assert_eq!(back.get_timeout(LONG).unwrap().len(), 16 * MIB);
    there.close();
    join(&child).unwrap();
}

#[test]
fn messages_are_written_and_read_in_place_across_chunks() {
    let queue = Queue::<()>::unbounded().unwrap();
    for round in 0..3 * CHUNK {
        let len = 1 + round % 40;
        let mut loan = queue.loan(len).unwrap();
        loan.fill(round as u8);
        if round % 7 == 3 {
            drop(loan);
            continue;
        }
        loan.commit();
        if round % 2 == 0 {
            let message = queue.receive().unwrap();
            assert!(message.iter().all(|byte| *byte == message[0]));
        }
    }
    let left = std::iter::from_fn(|| queue.try_receive().ok().map(|message| message.len()));
    assert!(left.count() > CHUNK && queue.is_empty());
}

#[test]
fn jobs_that_wait_without_bounds_are_all_done_once_j2() {
    const JOBS: u64 = 5000;
    fn work(jobs: JoinableQueue<u64>, sum: Value<u64>) {
        while let Ok(job) = jobs.get() {
            sum.fetch_add(*job);
            job.done();
        }
    }
    fn take_one_and_die(jobs: JoinableQueue<u64>) {
        let _job = jobs.get().unwrap();
        common::die()
    }
    let (jobs, sum) = (JoinableQueue::unbounded().unwrap(), Value::new(0).unwrap());
    jobs.put_many((0..JOBS).collect()).unwrap();
    let victim = Process::spawn((jobs.clone(),), take_one_and_die).unwrap();
    assert!(join(&victim).is_err());
    let workers: Vec<_> =
        (0..4).map(|_| Process::spawn((jobs.clone(), sum.clone()), work).unwrap()).collect();
    jobs.join_timeout(LONG).unwrap();
    assert_eq!(sum.get(), (0..JOBS).sum());
    jobs.close();
    workers.iter().for_each(|worker| join(worker).unwrap());
}

#[test]
fn a_queue_that_grows_is_found_by_its_name_and_travels() {
    fn put(queues: Queue<Queue<u64>>, name: String) {
        let queue = queues.get().unwrap();
        queue.put_many((0..3000).collect()).unwrap();
        let named = Queue::<u64>::open(&name).unwrap();
        named.put_many((0..3000).collect()).unwrap();
    }
    let name = unique("found");
    let named: Queue<u64> = QueueOptions::unbounded().name(&name).queue().unwrap();
    let (queues, sent) = (Queue::unbounded().unwrap(), Queue::unbounded().unwrap());
    let child = Process::spawn((queues.clone(), name), put).unwrap();
    queues.put(sent.clone()).unwrap();
    join(&child).unwrap();
    assert_eq!(drain(&sent), Vec::from_iter(0..3000));
    assert_eq!(drain(&named), Vec::from_iter(0..3000));
    assert!(matches!(Queue::<u32>::open(&unique("none")), Err(Error::NotFound)));
}

#[test]
fn who_waits_at_a_queue_that_grows_is_woken_and_told_of_the_end() {
    fn get(queue: Queue<u64>) -> Vec<u64> {
        let first = wait(&[&queue], LONG).map(|_| queue.get().unwrap());
        std::iter::once(first.unwrap()).chain(queue.iter()).collect()
    }
    let queue = Queue::unbounded().unwrap();
    let child = Process::spawn((queue.clone(),), get).unwrap();
    await_naps(child.pid(), 1);
    queue.put(0).unwrap();
    queue.put_many((1..5000).collect()).unwrap();
    queue.close();
    assert!(matches!(queue.put(7), Err(PutError::Disconnected(7))));
    assert_eq!(join(&child).unwrap(), Vec::from_iter(0..5000));
}

#[test]
fn queues_that_grow_live_in_a_region_and_its_places_are_taken_again() {
    let region = RegionOptions::new(16 << 20).participants(2).anonymous().unwrap();
    let options = QueueOptions::new(2000).growing().region(&region);
    let (queue, lock) = (options.queue::<u64>().unwrap(), Lock::new_in(&region, 0u32).unwrap());
    for n in 0..20 {
        let child = Process::spawn((queue.clone(), n), |queue: Queue<u64>, n: u64| {
            queue.put_many((0..n * 100).collect()).unwrap();
            if n.is_multiple_of(2) { common::die() } else { n }
        });
        assert_eq!(join(&child.unwrap()).is_ok(), n % 2 == 1);
        assert_eq!(drain(&queue), Vec::from_iter(0..n * 100));
        *lock.lock().unwrap() += 1;
    }
    let small = Region::new(64 << 10).unwrap();
    let none = QueueOptions::new(2000).growing().region(&small).queue::<u64>();
    assert!(matches!(none, Err(Error::NoSpace)));
}

#[test]
fn a_forked_child_grows_and_drains_its_parents_queue() {
    let queue = Queue::<u64>::unbounded().unwrap();
    queue.put_many((0..2000).collect()).unwrap();
    let loan = queue.loan(8).unwrap();
    reap(fork(|| {
        assert_eq!(queue.get().unwrap(), 0);
        queue.put_many((2000..8000).collect()).unwrap();
    }));
    drop(loan);
    assert_eq!(drain(&queue), Vec::from_iter(1..8000));
}

/// Puts and gets in bursts for ever: each message is its negation, too, so that a torn one is told.
fn toil(queue: Queue<(u64, u64)>, rounds: Value<u64>, ready: Event) {
    ready.set();
    for n in 0u64.. {
        let burst = (n * 7919 % 3000) as usize;
        if n % 2 == 0 {
            let _ = queue.try_put_many((0..burst as u64).map(|n| (n, !n)).collect());
        } else {
            for (n, not_n) in queue.try_get_many(burst + 200).unwrap_or_default() {
                assert_eq!(n, !not_n);
            }
        }
        rounds.fetch_add(1);
    }
}

#[test]
fn after_many_kills_in_growth_all_of_the_queue_is_there() {
    const CAP: usize = 6000;
    let name = unique("kills");
    let queue: Queue<(u64, u64)> = QueueOptions::new(CAP).growing().name(&name).queue().unwrap();
    let _stays = queue.clone(); // so that a full queue is full, and not without anybody else
    let (rounds, ready) = (Value::new(0).unwrap(), Event::new().unwrap());
    let toilers = || {
        Process::spawn((queue.clone(), rounds.clone(), ready.clone()), toil as fn(_, _, _)).unwrap()
    };
    let mut pair = [toilers(), toilers()];
    assert!(ready.wait_timeout(LONG));
    for n in 0..40u64 {
        let before = rounds.get();
        while rounds.get() < before + 3 + n % 7 {
            std::thread::yield_now();
        }
        let victim = (n % 2) as usize;
        kill(&pair[victim]);
        pair[victim] = toilers();
    }
    pair.iter().for_each(kill);
    let empty = || {
        while let Ok(messages) = queue.try_get_many(500) {
            assert!(messages.iter().all(|(n, not_n)| *n == !*not_n));
        }
        assert!(queue.is_empty());
    };
    empty();
    // All of its places and all of its memory are there, in each lap.
    for _ in 0..4 {
        let full = queue.try_put_many((0..CAP as u64 + 1).map(|n| (n, !n)).collect());
        let Err(PutError::Full(rest)) = full else { panic!("{full:?}") };
        assert_eq!(rest.len(), 1);
        empty();
    }
    assert!(used(&name) < 2 * MIB, "{}", used(&name));
}
