//! Do queues carry messages that no slot holds, between processes that die?

mod common;

use common::{LONG, await_naps, fork, join, kill, park, reap, settle, unique};
use shmkit::{
    Error, Event, GetError, JoinableQueue, Process, PutError, Queue, QueueOptions, Value,
};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(20);
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Bytes that say which message they are of, and where.
fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let words = (0..len.div_ceil(8) as u64).map(|n| (seed << 40 | n).wrapping_mul(0x9e37_79b9));
    words.flat_map(u64::to_ne_bytes).take(len).collect()
}

/// All of the heap is there: nothing of it is anybody's any more.
fn assert_heap_is_whole(queue: &Queue<Vec<u8>>, heap_bytes: usize) {
    for _ in 0..2 {
        let loan = queue.loan_timeout(heap_bytes, LONG).expect("pages were lost");
        assert_eq!(loan.len(), heap_bytes);
    }
}

fn heap_of(heap_bytes: usize, capacity: usize) -> Queue<Vec<u8>> {
    QueueOptions::new(capacity).heap_bytes(heap_bytes as u64).queue().unwrap()
}

#[test]
fn sixteen_mebibytes_go_there_and_back() {
    fn echo(there: Queue<String>, back: Queue<String>) {
        there.iter().for_each(|message| back.put(message).unwrap());
    }
    let (there, back) = (Queue::new(4).unwrap(), Queue::new(4).unwrap());
    let child = Process::spawn((there.clone(), back.clone()), echo).unwrap();
    let text =
        |n: usize| ["walrus and carpenter ", "cabbages or kings "][n % 2].repeat(16 * MIB / 18);
    for n in 0..3 {
        there.put(text(n)).unwrap();
        assert!(back.get_timeout(LONG).unwrap() == text(n));
    }
    there.close();
    join(&child).unwrap();
}

#[test]
fn sixteen_mebibytes_are_written_and_read_in_place() {
    fn read(queue: Queue<()>) -> u64 {
        let mut read = 0;
        while let Ok(message) = queue.receive() {
            assert!(message[..] == pattern(read, 16 * MIB)[..]);
            read += 1;
        }
        read
    }
    let queue = Queue::<()>::new(4).unwrap();
    let child = Process::spawn((queue.clone(),), read).unwrap();
    for seed in 0..3 {
        let mut loan = queue.loan_timeout(16 * MIB, LONG).unwrap();
        loan.copy_from_slice(&pattern(seed, 16 * MIB));
        loan.commit();
    }
    queue.close();
    assert_eq!(join(&child).unwrap(), 3);
}

#[test]
fn messages_of_every_length_come_in_their_order() {
    let lens = || {
        let edges = [1, 200, 230, 232, 233, 4096, 8192, 64 * KIB, 128 * KIB, 256 * KIB, MIB];
        edges.into_iter().flat_map(|edge| edge - 1..=edge + 1).chain(220..260)
    };
    fn echo(there: Queue<Vec<u8>>, back: Queue<Vec<u8>>) {
        while let Ok(messages) = there.get_many(5) {
            back.put_many(messages).unwrap();
        }
    }
    let (there, back) = (Queue::new(16).unwrap(), Queue::new(16).unwrap());
    let child = Process::spawn((there.clone(), back.clone()), echo).unwrap();
    let sent: Vec<_> = lens().enumerate().map(|(n, len)| pattern(n as u64, len)).collect();
    std::thread::scope(|scope| {
        let (there, sent) = (there.clone(), &sent);
        scope.spawn(move || {
            there.put_many(sent.clone()).unwrap();
            there.close();
        });
        for message in sent {
            assert!(back.get_timeout(LONG).unwrap() == *message, "{} bytes", message.len());
        }
    });
    join(&child).unwrap();
}

#[test]
fn two_put_and_two_get_messages_of_all_sizes_each_once_and_whole() {
    const EACH: u64 = 100;
    const HEAP: usize = 2 * MIB;
    fn len(n: u64) -> usize {
        (n as usize * 7919) % [100, 3 * KIB, 90 * KIB][n as usize % 3] + 8
    }
    fn produce(queue: Queue<Vec<u8>>, producer: u64) {
        for n in producer * EACH..(producer + 1) * EACH {
            let message = pattern(n, len(n));
            if n % 2 == 0 {
                queue.put(message).unwrap();
            } else {
                // What is lent is no encoding, so it gets the length of one in front.
                let mut loan = queue.loan(shmkit_len(&message).len() + message.len()).unwrap();
                let head = shmkit_len(&message);
                loan[..head.len()].copy_from_slice(&head);
                loan[head.len()..].copy_from_slice(&message);
                loan.commit();
            }
        }
    }
    fn consume(queue: Queue<Vec<u8>>) -> Vec<u64> {
        let mut got = Vec::new();
        for message in queue.iter() {
            let number = u64::from_ne_bytes(message[..8].try_into().unwrap());
            let n = (0..2 * EACH).find(|n| (n << 40).wrapping_mul(0x9e37_79b9) == number).unwrap();
            assert!(message == pattern(n, len(n)), "torn");
            got.push(n);
        }
        got
    }
    let queue = heap_of(HEAP, 8);
    let producers = [0, 1].map(|n| Process::spawn((queue.clone(), n), produce).unwrap());
    let consumers = [0, 1].map(|_| Process::spawn((queue.clone(),), consume).unwrap());
    producers.iter().for_each(|producer| join(producer).unwrap());
    queue.close();
    let mut got: Vec<u64> = consumers.iter().flat_map(|consumer| join(consumer).unwrap()).collect();
    got.sort();
    assert!(got.into_iter().eq(0..2 * EACH));
}

/// The length of a byte vector as it is encoded: seven bits a byte.
fn shmkit_len(message: &[u8]) -> Vec<u8> {
    let (mut left, mut bytes) = (message.len(), Vec::new());
    while left >= 128 {
        bytes.push(left as u8 | 128);
        left >>= 7;
    }
    bytes.push(left as u8);
    bytes
}

#[test]
fn a_message_that_is_larger_than_all_of_the_heap_comes_back() {
    let queue = heap_of(MIB, 4);
    let large = pattern(1, MIB + 1);
    for put in [Queue::put, Queue::try_put] {
        match put(&queue, large.clone()) {
            Err(PutError::TooLarge(back)) => assert!(back == large),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(queue.loan(MIB + 1), Err(PutError::TooLarge(()))));
    assert!(matches!(queue.loan(usize::MAX), Err(PutError::TooLarge(()))));
    match queue.put_many(vec![vec![1], large, vec![2]]) {
        Err(PutError::TooLarge(rest)) => assert_eq!((rest.len(), &rest[1][..]), (2, &[2][..])),
        other => panic!("{other:?}"),
    }
    assert_eq!(queue.get().unwrap(), [1]);
    queue.loan(MIB).unwrap().commit();
    assert_eq!(queue.receive().unwrap().len(), MIB);
    assert_heap_is_whole(&queue, MIB);
}

#[test]
fn a_full_heap_is_a_full_queue() {
    let queue = heap_of(MIB, 8);
    let half = pattern(1, 600 * KIB);
    queue.put(half.clone()).unwrap();
    match queue.try_put(half.clone()) {
        Err(PutError::Full(back)) => assert!(back == half),
        other => panic!("{other:?}"),
    }
    match queue.put_timeout(half.clone(), SHORT) {
        Err(PutError::Timeout(back)) => assert!(back == half),
        other => panic!("{other:?}"),
    }
    assert!(matches!(queue.try_loan(600 * KIB), Err(PutError::Full(()))));
    queue.put(vec![7]).unwrap(); // there is room for others
    assert!(queue.get().unwrap() == half);
    queue.put(half.clone()).unwrap();
    assert_eq!(queue.get().unwrap(), [7]);
    assert!(queue.get().unwrap() == half);
    assert_heap_is_whole(&queue, MIB);
}

#[test]
fn who_waits_for_pages_goes_on_when_there_are_some() {
    fn put(queue: Queue<Vec<u8>>) {
        queue.put(pattern(2, 600 * KIB)).unwrap();
    }
    let queue = heap_of(MIB, 8);
    for how in 0..3 {
        queue.put(pattern(1, 600 * KIB)).unwrap();
        let child = Process::spawn((queue.clone(),), put).unwrap();
        settle(child.pid());
        assert_eq!(queue.len(), 1);
        match how {
            0 => assert!(queue.get().unwrap() == pattern(1, 600 * KIB)),
            1 => drop(queue.receive().unwrap()),
            _ => assert_eq!(queue.get_many(1).unwrap().len(), 1),
        }
        join(&child).unwrap();
        assert!(queue.get().unwrap() == pattern(2, 600 * KIB));
    }
    // A loan that comes to nothing frees its pages as well.
    let loan = queue.loan(600 * KIB).unwrap();
    let child = Process::spawn((queue.clone(),), put).unwrap();
    settle(child.pid());
    drop(loan);
    join(&child).unwrap();
    assert!(queue.get().unwrap() == pattern(2, 600 * KIB));
    assert_heap_is_whole(&queue, MIB);
}

#[test]
fn who_waits_for_pages_is_told_of_the_end() {
    fn put(queue: Queue<Vec<u8>>) -> bool {
        matches!(queue.put(pattern(2, 600 * KIB)), Err(PutError::Disconnected(_)))
    }
    let queue = heap_of(MIB, 8);
    queue.put(pattern(1, 600 * KIB)).unwrap();
    let child = Process::spawn((queue.clone(),), put).unwrap();
    settle(child.pid());
    queue.close();
    assert!(join(&child).unwrap());
    assert!(queue.get().unwrap() == pattern(1, 600 * KIB));

    let queue = heap_of(MIB, 8);
    queue.put(pattern(1, 600 * KIB)).unwrap();
    let child = Process::spawn((queue.clone(),), put).unwrap();
    settle(child.pid());
    drop(queue); // nobody else is left
    assert!(join(&child).unwrap());
}

#[test]
fn who_waits_for_pages_gets_those_of_the_dead() {
    fn hold(queue: Queue<Vec<u8>>, ready: Event) {
        let _loan = queue.loan(600 * KIB).unwrap();
        ready.set();
        park()
    }
    fn put(queue: Queue<Vec<u8>>) {
        queue.put(pattern(2, 600 * KIB)).unwrap();
    }
    let (queue, ready) = (heap_of(MIB, 8), Event::new().unwrap());
    let holder = Process::spawn((queue.clone(), ready.clone()), hold).unwrap();
    assert!(ready.wait_timeout(LONG));
    let waiter = Process::spawn((queue.clone(),), put).unwrap();
    settle(waiter.pid());
    await_naps(waiter.pid(), 2);
    assert!(queue.is_empty() || queue.len() == 1, "the loan has its place");
    kill(&holder);
    join(&waiter).unwrap();
    assert!(queue.get_timeout(LONG).unwrap() == pattern(2, 600 * KIB));
    assert_heap_is_whole(&queue, MIB);
}

#[test]
fn what_the_dead_had_borrowed_comes_again_whole() {
    fn borrow(queue: Queue<Vec<u8>>, ready: Event) {
        let message = queue.receive().unwrap();
        assert!(message.len() > MIB);
        ready.set();
        park()
    }
    let (queue, ready) = (heap_of(4 * MIB, 8), Event::new().unwrap());
    let _company = queue.clone();
    queue.put(pattern(1, 3 * MIB)).unwrap();
    for _ in 0..3 {
        ready.clear();
        let borrower = Process::spawn((queue.clone(), ready.clone()), borrow).unwrap();
        assert!(ready.wait_timeout(LONG));
        assert!(matches!(queue.try_put(pattern(2, 2 * MIB)), Err(PutError::Full(_))));
        kill(&borrower);
        assert!(matches!(queue.try_put(pattern(2, 2 * MIB)), Err(PutError::Full(_))));
    }
    assert!(queue.get_timeout(LONG).unwrap() == pattern(1, 3 * MIB));
    assert_heap_is_whole(&queue, 4 * MIB);
}

#[test]
fn a_job_of_any_size_that_its_worker_did_not_survive_is_done_by_another() {
    fn work(queue: JoinableQueue<Vec<u8>>, ready: Event) {
        let job = queue.get().unwrap();
        assert!(job.len() == MIB);
        ready.set();
        park()
    }
    let (queue, ready) = (JoinableQueue::new(4).unwrap(), Event::new().unwrap());
    queue.put(pattern(1, MIB)).unwrap();
    let worker = Process::spawn((queue.clone(), ready.clone()), work).unwrap();
    assert!(ready.wait_timeout(LONG));
    kill(&worker);
    let job = queue.get_timeout(LONG).unwrap();
    assert_eq!(job.attempts(), 2);
    assert!(*job == pattern(1, MIB));
    drop(job);
    let job = queue.get_timeout(LONG).unwrap();
    assert!(*job == pattern(1, MIB) && job.attempts() == 3);
    job.done();
    queue.join_timeout(LONG).unwrap();
}

/// Puts, gets, lends and borrows long messages for ever, and counts what it has done.
fn toil(queue: Queue<Vec<u8>>, rounds: Value<u64>, seed: u64) {
    for n in seed.. {
        let len = (n as usize * 7919) % (300 * KIB) + 300;
        match n % 6 {
            0 | 1 => drop(queue.try_put(pattern(n, len))),
            2 => {
                if let Ok(mut loan) = queue.try_loan(len) {
                    loan.fill(n as u8);
                    if n % 5 > 0 {
                        loan.commit();
                    }
                }
            }
            3 => drop(queue.try_get()), // or a loan's nonsense
            4 => drop(queue.try_receive()),
            _ => drop(queue.try_get_many(3)),
        }
        rounds.fetch_add(1);
    }
}

#[test]
fn after_many_kills_all_of_the_heap_is_there() {
    const HEAP: usize = MIB;
    let (queue, rounds) = (heap_of(HEAP, 4), Value::new(0).unwrap());
    let toilers = |seed: u64| Process::spawn((queue.clone(), rounds.clone(), seed), toil).unwrap();
    let mut pair = [toilers(1), toilers(2)];
    for n in 0..60u64 {
        let before = rounds.get();
        while rounds.get() < before + 3 + n % 7 {
            std::thread::yield_now();
        }
        let victim = (n % 2) as usize;
        kill(&pair[victim]);
        pair[victim] = toilers(n);
    }
    pair.iter().for_each(kill);
    loop {
        match queue.try_receive() {
            Ok(_) => {}
            Err(GetError::Empty | GetError::Disconnected) => break,
            Err(why) => panic!("{why}"),
        }
    }
    assert!(queue.is_empty());
    assert_heap_is_whole(&queue, HEAP);
}

#[test]
fn a_message_that_is_nonsense_costs_only_itself() {
    let queue: Queue<String> = QueueOptions::new(4).heap_bytes(MIB as u64).queue().unwrap();
    let mut loan = queue.loan(MIB).unwrap();
    loan.fill(0xff);
    loan.commit();
    assert!(matches!(queue.get(), Err(GetError::Decode(_))));
    queue.put("x".repeat(MIB - 8)).unwrap();
    assert_eq!(queue.get().unwrap().len(), MIB - 8);
    assert_eq!(queue.loan(MIB).unwrap().len(), MIB);
}

#[test]
fn a_forked_child_leaves_the_pages_of_its_parent_alone() {
    let queue = heap_of(MIB, 4);
    let mut loan = queue.loan(600 * KIB).unwrap();
    loan.fill(7);
    let loan = std::cell::Cell::new(Some(loan));
    reap(fork(|| drop(loan.take())));
    reap(fork(|| loan.take().unwrap().commit()));
    assert!(matches!(queue.try_receive(), Err(GetError::Empty)));
    loan.take().unwrap().commit();
    let received = std::cell::Cell::new(Some(queue.receive().unwrap()));
    reap(fork(|| drop(received.take())));
    assert!(matches!(queue.try_loan(600 * KIB), Err(PutError::Full(()))));
    let message = received.take().unwrap();
    assert!(message.len() == 600 * KIB && message.iter().all(|byte| *byte == 7));
    drop(message);
    // One that uses the queue is a user like any other, and its pages are those of a dead one then.
    reap(fork(|| std::mem::forget(queue.loan(600 * KIB).unwrap())));
    assert_heap_is_whole(&queue, MIB);
}

#[test]
fn memory_is_taken_when_it_is_used_and_most_of_it_given_back() {
    let name = unique("heap");
    let queue: Queue<Vec<u8>> =
        QueueOptions::new(16).heap_bytes(1 << 40).name(&name).queue().unwrap();
    let path = std::fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().path());
    let path = path.into_iter().find(|path| path.to_string_lossy().contains(&name)).unwrap();
    let used = || std::fs::metadata(&path).unwrap().blocks() as usize * 512;
    let idle = used();
    assert!(idle < 64 * KIB, "{idle}");
    queue.put(vec![1; 100 * KIB]).unwrap();
    let one = used();
    assert!((idle + 100 * KIB..idle + 112 * KIB).contains(&one), "{one} after {idle}");
    for _ in 0..20 {
        queue.get().unwrap();
        queue.put(vec![1; 100 * KIB]).unwrap();
        assert_eq!(used(), one, "it was there already");
    }
    queue.get().unwrap();

    let name = unique("burst");
    let queue: Queue<Vec<u8>> =
        QueueOptions::new(16).heap_bytes(96 << 20).name(&name).queue().unwrap();
    let path = std::fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().path());
    let path = path.into_iter().find(|path| path.to_string_lossy().contains(&name)).unwrap();
    let used = || std::fs::metadata(&path).unwrap().blocks() as usize * 512;
    for _ in 0..3 {
        queue.loan(16 * MIB).unwrap().commit();
    }
    assert!(used() >= 48 * MIB);
    for _ in 0..3 {
        queue.receive().unwrap();
    }
    let kept = used();
    assert!((32 * MIB..33 * MIB).contains(&kept), "{kept}");
    // And what is kept is used again.
    queue.loan(16 * MIB).unwrap().commit();
    assert_eq!(used(), kept);
}

#[test]
fn memory_that_is_not_there_is_an_error_and_nothing_is_lost() {
    let queue: Queue<Vec<u8>> = QueueOptions::new(4).heap_bytes(1 << 42).queue().unwrap();
    for _ in 0..3 {
        match queue.loan(1 << 41) {
            Err(PutError::Os(why)) => assert!(matches!(why.into(), Error::NoMemory { .. })),
            other => panic!("{other:?}"),
        }
    }
    queue.put(pattern(1, MIB)).unwrap();
    assert!(queue.get().unwrap() == pattern(1, MIB));
}
