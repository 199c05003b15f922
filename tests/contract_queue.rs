//! Do queues do what the behaviour contract says, between processes?
//!
//! The ids at the end of the test names are the rows of the contract.

mod common;

use common::{
    LONG, await_naps, fork, go_on, join, kill, left_behind, park, reap, settle, stop, unique,
};
use serde::{Deserialize, Serialize};
use shmkit::{
    Error, Event, GetError, Message, Pipe, Process, ProcessError, PutError, Queue, QueueOptions,
    Region, RegionOptions, Value,
};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(20);

/// Gets with a deadline.
fn get<T: Message>(queue: &Queue<T>) -> T {
    queue.get_timeout(LONG).unwrap()
}

/// Insists that the queue has come to its end.
fn assert_over<T: Message + std::fmt::Debug>(queue: &Queue<T>) {
    assert!(matches!(queue.get_timeout(LONG), Err(GetError::Disconnected)));
}

fn drain(queue: &Queue<u64>) -> Vec<u64> {
    std::iter::from_fn(|| queue.try_get().ok()).collect()
}

fn hold(_: Queue<u64>) {
    park()
}

fn hold_two(_: Queue<u64>, _: Queue<u64>) {
    park()
}

fn run(body: fn()) {
    join(&Process::spawn((), body).unwrap()).unwrap();
}

const WORDS: [&str; 7] = ["the", "walrus", "and", "the", "carpenter", "were", "quit"];

#[test]
fn words_go_through_a_queue_of_three_until_quit_q1() {
    let words = Queue::<String>::new(3).unwrap();
    let reader = Process::spawn((words.clone(),), |words: Queue<String>| {
        words.iter().take_while(|word| word != "quit").collect::<Vec<_>>()
    });
    for word in WORDS {
        words.put_timeout(word.into(), LONG).unwrap();
    }
    assert_eq!(join(&reader.unwrap()).unwrap(), WORDS[..6]);
}

#[test]
fn three_processes_put_and_three_get_each_message_once_and_those_of_each_in_order_q1() {
    const EACH: u64 = 20_000;
    let queue = Queue::<(u64, u64)>::new(50).unwrap();
    fn produce(queue: Queue<(u64, u64)>, producer: u64) {
        let mut next = 0;
        while next < EACH {
            let end = EACH.min(next + 1 + next % 40);
            match next % 3 {
                0 => queue.put((producer, next)).unwrap(),
                _ => queue.put_many((next..end).map(|n| (producer, n)).collect()).unwrap(),
            }
            next = if next % 3 == 0 { next + 1 } else { end };
        }
    }
    fn consume(queue: Queue<(u64, u64)>) -> (u64, u64) {
        let (mut last, mut count, mut sum) = ([None; 3], 0, 0);
        let mut note = |(producer, n): (u64, u64)| {
            assert!(last[producer as usize] < Some(n), "out of order");
            last[producer as usize] = Some(n);
            count += 1;
            sum += producer * EACH + n;
        };
        loop {
            match queue.get() {
                Ok(message) => note(message),
                Err(GetError::Disconnected) => return (count, sum),
                Err(why) => panic!("{why}"),
            }
            match queue.get_many(7) {
                Ok(messages) => messages.into_iter().for_each(&mut note),
                Err(GetError::Disconnected) => return (count, sum),
                Err(why) => panic!("{why}"),
            }
        }
    }
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

#[test]
fn the_fourth_of_three_is_full_now_or_after_its_time_and_comes_back_q2() {
    let queue = Queue::new(3).unwrap();
    for word in &WORDS[..3] {
        assert!(!queue.is_full());
        queue.put(word.to_string()).unwrap();
    }
    assert!(queue.is_full());
    assert!(matches!(queue.try_put("quit".into()), Err(PutError::Full(word)) if word == "quit"));
    let late = queue.put_timeout("quit".into(), SHORT);
    assert!(matches!(late, Err(PutError::Timeout(word)) if word == "quit"));
    let none = queue.put_timeout("quit".into(), Duration::ZERO);
    assert!(matches!(none, Err(PutError::Full(_))));
}

struct Unencodable;

impl Serialize for Unencodable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not for travel"))
    }
}

impl<'de> Deserialize<'de> for Unencodable {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Unencodable, D::Error> {
        Ok(Unencodable)
    }
}

#[test]
fn a_value_that_cannot_be_encoded_fails_at_put_and_leaves_no_trace_q2() {
    let queue = Queue::<Result<u32, Unencodable>>::new(2).unwrap();
    let refused = queue.put(Err(Unencodable));
    assert!(matches!(refused, Err(PutError::Encode(Err(Unencodable), _))));
    assert!(queue.is_empty());
    // Of many, those before it are put and the others come back.
    let many = queue.put_many(vec![Ok(1), Err(Unencodable), Ok(3)]);
    assert!(matches!(many, Err(PutError::Encode(rest, _)) if rest.len() == 2));
    assert_eq!((queue.len(), queue.try_get().unwrap().ok()), (1, Some(1)));
    for n in 0..5 {
        queue.put(Ok(n)).unwrap();
        assert_eq!(queue.get().unwrap().ok(), Some(n));
    }
}

#[test]
fn an_empty_queue_is_empty_now_or_after_its_time_q3() {
    let queue = Queue::<u64>::new(3).unwrap();
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    assert!(matches!(queue.get_timeout(SHORT), Err(GetError::Timeout)));
    assert!(matches!(queue.get_timeout(Duration::ZERO), Err(GetError::Empty)));
    assert!(matches!(queue.try_get_many(5), Err(GetError::Empty)));
    assert_eq!(queue.get_many(0).unwrap(), []);
    (1..=3).for_each(|n| queue.put(n).unwrap());
    assert_eq!(drain(&queue), [1, 2, 3]);
}

#[test]
fn a_get_waits_for_a_put_and_a_put_for_a_get_q3() {
    let (there, back) = (Queue::<u64>::new(1).unwrap(), Queue::<u64>::new(1).unwrap());
    let child =
        Process::spawn((there.clone(), back.clone()), |there: Queue<u64>, back: Queue<u64>| {
            for n in there.iter() {
                back.put(2 * n).unwrap();
            }
        })
        .unwrap();
    settle(child.pid());
    for n in 0..100 {
        there.put(n).unwrap();
        assert_eq!(get(&back), 2 * n);
    }
    // Two more than have room wait for room.
    there.put_many(vec![1, 2, 3]).unwrap();
    settle(child.pid());
    assert!(back.is_full());
    assert_eq!([get(&back), get(&back), get(&back)], [2, 4, 6]);
    there.close();
    join(&child).unwrap();
}

#[test]
fn what_was_put_is_there_for_others_at_once_q4() {
    let queue = Queue::new(4).unwrap();
    for n in 0..200u64 {
        queue.put(n).unwrap();
        assert!(!queue.is_empty());
        let other = queue.clone();
        assert_eq!(other.try_get().unwrap(), n);
        assert!(queue.is_empty());
    }
    // Also when its sender is gone at once.
    fn put_and_die(queue: Queue<u64>) {
        queue.put(7).unwrap();
        common::die()
    }
    let child = Process::spawn((queue.clone(),), put_and_die).unwrap();
    assert!(matches!(join(&child), Err(ProcessError::Signaled { signal: 9, .. })));
    assert_eq!(queue.try_get().unwrap(), 7);
}

#[test]
fn the_length_is_zero_one_two_one_zero_q5() {
    let queue = Queue::new(5).unwrap();
    let mut lens = vec![queue.len()];
    for n in 0..2 {
        queue.put(n).unwrap();
        lens.push(queue.len());
    }
    for _ in 0..2 {
        queue.get().unwrap();
        lens.push(queue.len());
    }
    assert_eq!((lens, queue.capacity()), (vec![0, 1, 2, 1, 0], 5));
}

#[test]
fn a_closed_queue_takes_nothing_and_gives_what_is_left_q6() {
    let queue = Queue::new(5).unwrap();
    queue.put_many(vec![1, 2]).unwrap();
    let other = queue.clone();
    other.close();
    other.close();
    assert!(matches!(queue.put(3), Err(PutError::Disconnected(3))));
    assert!(matches!(queue.try_put(3), Err(PutError::Disconnected(3))));
    let many = queue.put_many(vec![3, 4]);
    assert!(matches!(many, Err(PutError::Disconnected(rest)) if rest == [3, 4]));
    assert_eq!(queue.len(), 2);
    assert_eq!((queue.get().unwrap(), queue.get_many(9).unwrap()), (1, vec![2]));
    assert!(matches!(queue.get(), Err(GetError::Disconnected)));
    assert!(matches!(queue.try_get(), Err(GetError::Disconnected)));
    assert!(matches!(queue.get_many(2), Err(GetError::Disconnected)));
    assert_eq!(queue.iter().count(), 0);
    // For whoever comes later, too.
    let child = Process::spawn((queue.clone(),), |queue: Queue<i32>| {
        matches!(queue.try_get(), Err(GetError::Disconnected))
            && matches!(queue.try_put(1), Err(PutError::Disconnected(1)))
    });
    assert!(join(&child.unwrap()).unwrap());
}

#[test]
fn closing_ends_the_waits_of_all_q6() {
    let (full, empty) = (Queue::new(1).unwrap(), Queue::<u64>::new(1).unwrap());
    full.put(1).unwrap();
    fn put(queue: Queue<u64>) -> bool {
        matches!(queue.put(2), Err(PutError::Disconnected(2)))
    }
    fn get(queue: Queue<u64>) -> bool {
        matches!(queue.get(), Err(GetError::Disconnected))
    }
    let waiting: Vec<_> = (0..2)
        .flat_map(|_| [Process::spawn((full.clone(),), put), Process::spawn((empty.clone(),), get)])
        .map(Result::unwrap)
        .collect();
    waiting.iter().for_each(|child| settle(child.pid()));
    full.close();
    empty.close();
    waiting.iter().for_each(|child| assert!(join(child).unwrap()));
    assert_eq!(full.get().unwrap(), 1);
}

#[test]
fn a_process_ends_without_waiting_for_what_it_has_put_q7_q9() {
    // More than a feeder thread's pipe would take.
    let queue = Queue::<Vec<u8>>::new(600).unwrap();
    let child = Process::spawn((queue.clone(),), |queue: Queue<Vec<u8>>| {
        for n in 0..600u32 {
            queue.put(vec![n as u8; 200]).unwrap();
        }
    });
    join(&child.unwrap()).unwrap();
    assert!(queue.is_full());
    for n in 0..600u32 {
        assert_eq!(queue.try_get().unwrap(), [n as u8; 200]);
    }
}

#[test]
fn two_workers_have_two_results_q9() {
    let results = Queue::new(10).unwrap();
    fn work(n: u64, results: Queue<u64>) {
        results.put(n).unwrap();
    }
    let workers: Vec<_> =
        [1, 2].into_iter().map(|n| Process::spawn((n, results.clone()), work).unwrap()).collect();
    workers.iter().for_each(|worker| join(worker).unwrap()); // before anything is got
    let mut all = [get(&results), get(&results)];
    all.sort();
    assert_eq!(all, [1, 2]);
}

#[test]
fn ten_numbers_are_got_though_the_consumer_is_terminated_q12() {
    let (numbers, seen) = (Queue::<u64>::new(20).unwrap(), Queue::<u64>::new(20).unwrap());
    let consumer =
        Process::spawn((numbers.clone(), seen.clone()), |numbers: Queue<u64>, seen: Queue<u64>| {
            for n in numbers.iter() {
                seen.put(n).unwrap();
            }
        })
        .unwrap();
    numbers.put_many((0..10).collect()).unwrap();
    let mut got: Vec<u64> = (0..10).map(|_| get(&seen)).collect();
    got.sort();
    assert_eq!(got, Vec::from_iter(0..10));
    consumer.terminate().unwrap();
    assert!(matches!(join(&consumer), Err(ProcessError::Signaled { signal: 15, .. })));
    numbers.put(1).unwrap(); // there is room, and nobody to be waited for
    assert_over(&seen);
}

#[test]
fn a_child_of_a_process_that_puts_goes_on_where_it_is_test_fork() {
    run(|| {
        let queue = Queue::<u64>::new(100).unwrap();
        (0..10).for_each(|n| queue.put(n).unwrap());
        let child = fork(|| {
            (10..20).for_each(|n| queue.put(n).unwrap());
            assert_eq!(queue.try_get().unwrap(), 0);
        });
        reap(child);
        assert_eq!(drain(&queue), Vec::from_iter(1..20));
        // The child was counted as it used its handle, and is no more.
        assert!(matches!(queue.get(), Err(GetError::Disconnected)));
    });
}

#[test]
fn a_forked_child_drops_nothing_of_its_parents() {
    run(|| {
        let queue = Queue::<u64>::new(4).unwrap();
        let mut others = [queue.clone(), queue.clone()].map(Some);
        reap(fork(|| drop(others[0].take())));
        reap(fork(|| {
            drop(others[0].clone());
            drop(others[1].take());
        }));
        assert!(others.iter().all(Option::is_some));
        assert!(matches!(queue.try_get(), Err(GetError::Empty)), "the clones are there");
    });
}

#[test]
fn who_is_left_alone_is_told_death_contract() {
    let queue = Queue::<u64>::new(1).unwrap();
    let other = queue.clone();
    let child = Process::spawn((queue.clone(),), hold).unwrap();
    drop(other);
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    kill(&child);
    assert!(matches!(queue.try_get(), Err(GetError::Disconnected)));
    assert_over(&queue);
    // There is room, so that a message can be put, to be got by itself; a second would wait.
    queue.put(1).unwrap();
    assert!(matches!(queue.put(2), Err(PutError::Disconnected(2))));
    assert_eq!(queue.get().unwrap(), 1);
    // With company again all is as before.
    let other = queue.clone();
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    drop(other);
    assert!(matches!(queue.try_get(), Err(GetError::Disconnected)));
}

#[test]
fn who_waits_is_told_that_the_last_other_handle_was_dropped() {
    let (queue, go) = (Queue::<u64>::new(1).unwrap(), Event::new().unwrap());
    let child = Process::spawn((queue.clone(), go.clone()), |queue: Queue<u64>, go: Event| {
        let other = queue.clone();
        let waiter = std::thread::spawn(move || matches!(other.get(), Err(GetError::Disconnected)));
        go.wait();
        drop(queue);
        waiter.join().unwrap()
    });
    let child = child.unwrap();
    drop(queue);
    go.set();
    assert!(join(&child).unwrap());
}

#[test]
fn who_waits_is_told_that_the_last_other_process_was_killed_death_contract() {
    let (empty, full) = (Queue::<u64>::new(1).unwrap(), Queue::<u64>::new(1).unwrap());
    full.put(1).unwrap();
    let victim = Process::spawn((empty.clone(), full.clone()), hold_two);
    let victim = victim.unwrap();
    let wait_get = Process::spawn((empty,), |queue: Queue<u64>| {
        matches!(queue.get(), Err(GetError::Disconnected))
    })
    .unwrap();
    let wait_put = Process::spawn((full,), |queue: Queue<u64>| {
        matches!(queue.put(2), Err(PutError::Disconnected(2)))
    })
    .unwrap();
    for child in [&wait_get, &wait_put] {
        await_naps(child.pid(), 4);
        assert!(child.is_alive(), "told while there was company");
    }
    kill(&victim);
    assert!(join(&wait_get).unwrap() && join(&wait_put).unwrap());
}

#[test]
fn who_never_had_company_waits_for_it() {
    let go = Event::new().unwrap();
    let child = Process::spawn((go.clone(),), |go: Event| {
        let queue = Queue::<u64>::new(1).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                go.wait();
                queue.put(7).unwrap();
            });
            queue.get().unwrap()
        })
    });
    let child = child.unwrap();
    await_naps(child.pid(), 6);
    go.set();
    assert_eq!(join(&child).unwrap(), 7);
}

#[test]
fn what_the_last_other_process_had_put_is_got_before_its_end() {
    let queue = Queue::<u64>::new(10).unwrap();
    let child = Process::spawn((queue.clone(),), |queue: Queue<u64>| {
        (0..10).for_each(|n| queue.put(n).unwrap());
    });
    join(&child.unwrap()).unwrap();
    assert!(queue.iter().eq(0..10));
}

#[test]
fn a_handle_on_its_way_is_company() {
    let queue = Queue::<u64>::new(1).unwrap();
    let (here, there) = Pipe::<Queue<u64>>::new().unwrap();
    here.send(queue.clone()).unwrap();
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    assert!(matches!(queue.get_timeout(SHORT * 10), Err(GetError::Timeout)));
    let arrived = there.recv().unwrap();
    arrived.put(3).unwrap();
    assert_eq!(queue.get().unwrap(), 3);
    drop(arrived);
    assert!(matches!(queue.try_get(), Err(GetError::Disconnected)));
    // One that is never received is none.
    here.send(queue.clone()).unwrap();
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    drop((here, there));
    assert_over(&queue);
}

#[test]
fn nothing_is_stolen_from_a_stopped_process() {
    let (queue, other) = (Queue::<u64>::new(1).unwrap(), Queue::<u64>::new(1).unwrap());
    let child =
        Process::spawn((queue.clone(), other.clone()), |queue: Queue<u64>, other: Queue<u64>| {
            while let Ok(n) = queue.get() {
                other.put(n).unwrap();
            }
        });
    let child = child.unwrap();
    settle(child.pid());
    stop(&child);
    assert!(matches!(other.get_timeout(SHORT * 10), Err(GetError::Timeout)), "it is company");
    queue.put(5).unwrap();
    assert!(matches!(other.try_get(), Err(GetError::Empty)));
    go_on(&child);
    assert_eq!(get(&other), 5);
    queue.close();
    join(&child).unwrap();
}

#[test]
fn a_queue_is_found_by_its_name_and_by_its_type() {
    let name = unique("queue");
    let made = Queue::<String>::create(&name, 3).unwrap();
    assert!(matches!(Queue::<String>::create(&name, 3), Err(Error::Exists)));
    assert!(matches!(Queue::<u32>::open(&name), Err(Error::TypeMismatch { .. })));
    assert!(matches!(Value::<u32>::open(&name), Err(Error::TypeMismatch { .. })));
    let child = Process::spawn((name.clone(),), |name: String| {
        Queue::<String>::open(&name).unwrap().put("found".into()).unwrap();
    });
    join(&child.unwrap()).unwrap();
    assert_eq!((made.get().unwrap(), made.capacity()), ("found".into(), 3));
    drop(made);
    assert!(matches!(Queue::<String>::open(&name), Err(Error::NotFound)));
    assert!(left_behind(&name).is_empty());
}

#[test]
fn queues_live_in_a_region_with_others() {
    let region = Region::new(1 << 20).unwrap();
    let queues: Vec<_> = (1..9).map(|n| Queue::<u64>::new_in(&region, n).unwrap()).collect();
    let child = Process::spawn((queues.clone(),), |queues: Vec<Queue<u64>>| {
        for (n, queue) in queues.iter().enumerate() {
            queue.put_many((0..=n as u64).collect()).unwrap();
            assert!(queue.is_full());
        }
    });
    join(&child.unwrap()).unwrap();
    for (n, queue) in queues.iter().enumerate() {
        assert_eq!(drain(queue), Vec::from_iter(0..=n as u64));
    }
    let small = Region::new(1000).unwrap();
    assert!(matches!(Queue::<u64>::new_in(&small, 1000), Err(Error::NoSpace)));
}

#[test]
fn the_place_of_the_dead_is_taken_by_others_without_confusion() {
    let region = RegionOptions::new(1 << 16).participants(2).anonymous().unwrap();
    let queue = Queue::<u64>::new_in(&region, 2).unwrap();
    for n in 0..20 {
        let child = Process::spawn((queue.clone(), n), |queue: Queue<u64>, n: u64| {
            queue.put(n).unwrap();
            if n.is_multiple_of(2) { common::die() } else { n }
        });
        assert_eq!(join(&child.unwrap()).is_ok(), n % 2 == 1);
        assert_eq!(queue.get().unwrap(), n);
        assert!(matches!(queue.try_get(), Err(GetError::Disconnected)));
    }
}

#[test]
fn options_and_their_limits() {
    assert!(matches!(Queue::<u32>::new(0), Err(Error::InvalidArgument(_))));
    assert!(matches!(Queue::<u32>::new(usize::MAX), Err(Error::InvalidArgument(_))));
    assert!(Queue::<u32>::new(1 << 31).is_err(), "memory for it is refused, not taken");
    let huge = QueueOptions::new(1).inline_bytes(usize::MAX).queue::<u32>();
    assert!(matches!(huge, Err(Error::InvalidArgument(_))));
    let queue = QueueOptions::new(2).inline_bytes(5000).queue::<Vec<u8>>().unwrap();
    assert!(queue.inline_bytes() >= 5000);
    queue.put(vec![7; 4990]).unwrap();
    assert_eq!(queue.get().unwrap(), [7; 4990]);
}

fn is_send_and_sync<T: Send + Sync>() {}

#[test]
fn threads_share_a_queue() {
    is_send_and_sync::<Queue<std::rc::Rc<u32>>>();
    let queue = Queue::<u64>::new(3).unwrap();
    let sum: u64 = std::thread::scope(|scope| {
        for part in 0..4 {
            let queue = queue.clone();
            scope.spawn(move || (0..1000).for_each(|n| queue.put(part * 1000 + n).unwrap()));
        }
        let get = |_| {
            let queue = queue.clone();
            scope.spawn(move || (0..2000).map(|_| queue.get().unwrap()).sum::<u64>())
        };
        let getters: Vec<_> = (0..2).map(get).collect();
        getters.into_iter().map(|getter| getter.join().unwrap()).sum()
    });
    assert_eq!(sum, (0..4000).sum());
}

#[test]
fn a_message_is_written_and_read_in_place() {
    let queue = QueueOptions::new(2).inline_bytes(1000).queue::<String>().unwrap();
    let mut loan = queue.loan(1000).unwrap();
    loan.fill(1);
    assert!(queue.inline_bytes() < 1100);
    assert!(matches!(queue.try_loan(1 << 30), Err(PutError::TooLarge(()))));
    assert!(matches!(queue.try_get(), Err(GetError::Empty)), "it is not put yet");
    loan.commit();
    queue.put("x".into()).unwrap();
    assert!(matches!(queue.try_loan(1), Err(PutError::Full(()))));
    assert!(matches!(queue.loan_timeout(1, SHORT), Err(PutError::Timeout(()))));
    let received = queue.receive().unwrap();
    assert_eq!(received[..], [1; 1000]);
    assert_eq!(queue.receive_timeout(LONG).unwrap()[..], [1, b'x'], "a value is its encoding");
    drop(received);
    assert!(matches!(queue.try_receive(), Err(GetError::Empty)));
    assert!(queue.loan(0).unwrap().is_empty());
    assert!(queue.is_empty());
}

#[test]
fn a_loan_that_is_dropped_puts_nothing_and_frees_its_place() {
    let queue = Queue::<u64>::new(1).unwrap();
    for n in 0..5 {
        let loan = queue.loan(8).unwrap();
        assert!(matches!(queue.try_put(n), Err(PutError::Full(_))));
        drop(loan);
        queue.put(n).unwrap();
        assert_eq!(queue.get().unwrap(), n);
    }
}

#[test]
fn a_message_behind_an_open_loan_waits_for_it() {
    let (queue, open, go) =
        (Queue::<u64>::new(4).unwrap(), Event::new().unwrap(), Event::new().unwrap());
    fn lend(queue: Queue<u64>, open: Event, go: Event, commits: bool) {
        let mut loan = queue.loan(1).unwrap();
        loan[0] = 1;
        open.set();
        go.wait();
        if commits {
            loan.commit();
        }
    }
    for commits in [true, false] {
        open.clear();
        go.clear();
        let args = (queue.clone(), open.clone(), go.clone(), commits);
        let lender = Process::spawn(args, lend).unwrap();
        assert!(open.wait_timeout(LONG));
        queue.put(2).unwrap();
        assert!(matches!(queue.get_timeout(SHORT), Err(GetError::Timeout)));
        go.set();
        if commits {
            assert_eq!(get(&queue), 1);
        }
        assert_eq!(get(&queue), 2);
        join(&lender).unwrap();
    }
}

fn hold_loan(queue: Queue<u64>, ready: Event) {
    let _loan = queue.loan(1).unwrap();
    ready.set();
    park()
}

fn hold_received(queue: Queue<u64>, ready: Event) {
    let _received = queue.receive().unwrap();
    ready.set();
    park()
}

#[test]
fn the_length_of_a_queue_whose_user_was_killed_is_what_can_be_got() {
    let queue = Queue::<u64>::new(2).unwrap();
    queue.put(6).unwrap();
    for holds in [hold_received as fn(Queue<u64>, Event), hold_loan] {
        let ready = Event::new().unwrap();
        let victim = Process::spawn((queue.clone(), ready.clone()), holds).unwrap();
        assert!(ready.wait_timeout(LONG));
        kill(&victim);
        assert_eq!((queue.len(), queue.is_empty()), (1, false));
    }
    assert_eq!(drain(&queue), [6]);
    assert!(queue.is_empty());
}

#[test]
fn what_was_lent_to_the_dead_comes_back_and_what_they_wrote_does_not_death_contract() {
    let queue = Queue::<u64>::new(2).unwrap();
    for lends in [true, false] {
        let ready = Event::new().unwrap();
        let victim = if lends {
            Process::spawn((queue.clone(), ready.clone()), hold_loan).unwrap()
        } else {
            queue.put(6).unwrap();
            Process::spawn((queue.clone(), ready.clone()), hold_received).unwrap()
        };
        assert!(ready.wait_timeout(LONG));
        if lends {
            queue.put(6).unwrap();
        }
        assert!(matches!(queue.get_timeout(SHORT), Err(GetError::Timeout)));
        kill(&victim);
        assert_eq!(get(&queue), 6);
        assert!(queue.is_empty());
    }
}

#[test]
fn what_is_lent_in_a_parent_is_not_ended_by_its_forked_child() {
    run(|| {
        let queue = Queue::<u64>::new(4).unwrap();
        let mut loan = Some(queue.loan(1).unwrap());
        reap(fork(|| loan.take().unwrap().commit()));
        reap(fork(|| drop(loan.take())));
        loan.as_mut().unwrap()[0] = 9;
        loan.take().unwrap().commit();
        let mut received = Some(queue.receive().unwrap());
        reap(fork(|| drop(received.take())));
        let other = queue.clone();
        other.close();
        reap(fork(|| assert!(matches!(queue.try_get(), Err(GetError::Empty)), "it is lent")));
        drop(received);
        assert!(matches!(queue.try_get(), Err(GetError::Disconnected)));
    });
}
