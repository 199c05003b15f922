//! Do handles to shared objects travel through queues, and fail alone when they cannot?

#![cfg(feature = "takeover")]

mod common;

use common::{LONG, fork, go_on, join, kill, park, reap, stop};
use serde::{Deserialize, Serialize};
use shmkit::{
    Array, Connection, Event, GetError, JoinableQueue, Lock, Pipe, Process, PutError, Queue,
    QueueOptions, RecvError,
};
use std::time::{Duration, Instant};

#[derive(Serialize, Deserialize)]
#[allow(clippy::large_enum_variant, reason = "few are made")]
enum Note {
    Plain(u64),
    Line(Connection<u64>),
    Reply(Queue<u64>),
    Data { numbers: Array<u64>, ready: Event, padding: Vec<u8> },
}

type Jobs = JoinableQueue<Lock<u64>>;

const SHORT: Duration = Duration::from_millis(1);

fn park_quietly() {
    park()
}

fn get(queue: &Queue<Note>) -> Note {
    queue.get_timeout(LONG).unwrap()
}

#[test]
fn a_connection_goes_through_a_queue_and_carries_on() {
    let queue = Queue::new(4).unwrap();
    let (here, there) = Pipe::<u64>::new().unwrap();
    let child = Process::spawn((queue.clone(),), |queue: Queue<Note>| {
        let Note::Line(line) = get(&queue) else { panic!("something else") };
        line.send(line.recv().unwrap() + 1).unwrap();
    });
    queue.put(Note::Line(there)).unwrap();
    here.send(41).unwrap();
    assert_eq!(here.recv_timeout(LONG).unwrap(), 42);
    join(&child.unwrap()).unwrap();
    assert!(matches!(here.recv_timeout(LONG), Err(RecvError::Disconnected)));
}

#[test]
fn each_question_brings_the_queue_for_its_answer() {
    let questions = Queue::new(4).unwrap();
    let child = Process::spawn((questions.clone(),), |questions: Queue<Note>| {
        for _ in 0..3 {
            let Note::Reply(answers) = get(&questions) else { panic!("something else") };
            answers.put(7).unwrap();
        }
    });
    for _ in 0..3 {
        let answers = Queue::new(1).unwrap();
        questions.put(Note::Reply(answers.clone())).unwrap();
        assert_eq!(answers.get_timeout(LONG).unwrap(), 7);
        assert!(matches!(answers.get_timeout(LONG), Err(GetError::Disconnected)));
    }
    join(&child.unwrap()).unwrap();
}

#[test]
fn several_handles_go_with_a_message_of_any_length() {
    for padding in [0, 100, 1 << 20] {
        let queue = QueueOptions::new(2).inline_bytes(64).queue().unwrap();
        let child = Process::spawn((queue.clone(),), |queue: Queue<Note>| {
            let Note::Data { numbers, ready, padding } = get(&queue) else { panic!("other") };
            assert!(padding.iter().all(|byte| *byte == 5));
            numbers.set(1, padding.len() as u64).unwrap();
            ready.set();
        });
        let (numbers, ready) = (Array::zeroed(2).unwrap(), Event::new().unwrap());
        let data = Note::Data {
            numbers: numbers.clone(),
            ready: ready.clone(),
            padding: vec![5; padding],
        };
        queue.put(data).unwrap();
        assert!(ready.wait_timeout(LONG));
        assert_eq!(numbers.get(1), Some(padding as u64));
        join(&child.unwrap()).unwrap();
    }
}

#[test]
fn a_batch_may_have_handles_among_the_rest() {
    let queue = Queue::new(8).unwrap();
    let answers = Queue::new(8).unwrap();
    let batch = vec![
        Note::Plain(1),
        Note::Reply(answers.clone()),
        Note::Plain(2),
        Note::Plain(3),
        Note::Reply(answers.clone()),
    ];
    let child = Process::spawn((queue.clone(),), |queue: Queue<Note>| {
        let (mut seen, mut plain) = (0, 0);
        while seen < 5 {
            for note in queue.get_many_timeout(8, LONG).unwrap() {
                seen += 1;
                match note {
                    Note::Plain(n) => plain = 10 * plain + n,
                    Note::Reply(answers) => answers.put(plain).unwrap(),
                    _ => panic!("something else"),
                }
            }
        }
    });
    queue.put_many(batch).unwrap();
    assert_eq!(answers.get_timeout(LONG).unwrap(), 1);
    assert_eq!(answers.get_timeout(LONG).unwrap(), 123);
    join(&child.unwrap()).unwrap();
}

#[test]
fn a_message_whose_sender_is_gone_fails_alone() {
    let queue = Queue::new(8).unwrap();
    let child = Process::spawn((queue.clone(),), |queue: Queue<Note>| {
        queue.put(Note::Plain(1)).unwrap();
        queue.put(Note::Reply(Queue::new(1).unwrap())).unwrap();
        queue.put(Note::Plain(2)).unwrap();
    });
    join(&child.unwrap()).unwrap();
    assert!(matches!(get(&queue), Note::Plain(1)));
    assert!(matches!(queue.get(), Err(GetError::HandleGone)));
    assert!(matches!(get(&queue), Note::Plain(2)));
}

#[test]
fn the_handles_of_a_stopped_sender_stay_with_the_message_until_it_goes_on() {
    let (queue, jobs) = (Queue::new(4).unwrap(), JoinableQueue::new(4).unwrap());
    let child = Process::spawn((queue.clone(), jobs.clone()), |queue: Queue<Note>, jobs: Jobs| {
        queue.put(Note::Reply(Queue::new(1).unwrap())).unwrap();
        jobs.put(Lock::new(5).unwrap()).unwrap();
        park_quietly();
    });
    let child = child.unwrap();
    let end = Instant::now() + LONG;
    while queue.is_empty() || jobs.is_empty() {
        assert!(Instant::now() < end);
        std::thread::yield_now();
    }
    stop(&child);
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    assert!(matches!(queue.get_timeout(SHORT), Err(GetError::Timeout)));
    assert!(matches!(queue.get_many_timeout(4, SHORT), Err(GetError::Timeout)));
    assert!(matches!(jobs.get_timeout(SHORT), Err(GetError::Timeout)));
    assert_eq!((queue.len(), jobs.len()), (1, 1));
    go_on(&child);
    assert!(matches!(get(&queue), Note::Reply(_)));
    let job = jobs.get_timeout(LONG).unwrap();
    assert_eq!(*job.lock().unwrap(), 5);
    job.done();
    kill(&child);
}

#[test]
fn a_connection_in_flight_ends_with_its_sender() {
    let (queue, is_put) = (Queue::new(8).unwrap(), Event::new().unwrap());
    let child = Process::spawn(
        (queue.clone(), is_put.clone()),
        |queue: Queue<Note>, is_put: Event| -> () {
            let (here, there) = Pipe::<u64>::new().unwrap();
            queue.put(Note::Line(there)).unwrap();
            queue.put(Note::Line(here)).unwrap();
            is_put.set();
            park()
        },
    );
    let child = child.unwrap();
    // One end arrives; the other is still on its way when its sender dies.
    let Note::Line(there) = get(&queue) else { panic!("something else") };
    assert!(is_put.wait_timeout(LONG));
    kill(&child);
    assert!(matches!(there.recv_timeout(LONG), Err(RecvError::Disconnected)));
    assert!(matches!(queue.get(), Err(GetError::HandleGone)));
}

#[test]
fn what_is_on_its_way_is_somebody() {
    let queue = Queue::new(2).unwrap();
    let answers = Queue::<u64>::new(1).unwrap();
    queue.put(Note::Reply(answers.clone())).unwrap();
    assert!(matches!(answers.try_get(), Err(GetError::Empty)));
    let Note::Reply(other) = get(&queue) else { panic!("something else") };
    assert!(matches!(answers.try_get(), Err(GetError::Empty)));
    drop(other);
    assert!(matches!(answers.get_timeout(LONG), Err(GetError::Disconnected)));
}

#[test]
fn handles_that_nobody_fetches_go_with_the_message() {
    let queue = Queue::new(2).unwrap();
    let (here, there) = Pipe::<u64>::new().unwrap();
    queue.put(Note::Line(there)).unwrap();
    drop(queue.receive().unwrap()); // as bytes
    assert!(matches!(here.recv_timeout(LONG), Err(RecvError::Disconnected)));
}

#[test]
fn handles_in_a_queue_that_everybody_has_left_go_with_it() {
    let queue = Queue::new(2).unwrap();
    let (here, there) = Pipe::<u64>::new().unwrap();
    queue.put(Note::Line(there)).unwrap();
    drop(queue);
    assert!(matches!(here.recv_timeout(LONG), Err(RecvError::Disconnected)));
}

#[test]
fn a_put_that_fails_gives_the_handles_back_in_order() {
    let queue = Queue::new(2).unwrap();
    queue.close();
    let (here, there) = Pipe::<u64>::new().unwrap();
    let Err(PutError::Disconnected(Note::Line(there))) = queue.put(Note::Line(there)) else {
        panic!("it was put");
    };
    there.send(3).unwrap();
    assert_eq!(here.recv_timeout(LONG).unwrap(), 3);
}

#[test]
fn a_job_may_bring_handles() {
    let jobs = JoinableQueue::new(2).unwrap();
    let child = Process::spawn((jobs.clone(),), |jobs: JoinableQueue<Lock<u64>>| {
        let job = jobs.get_timeout(LONG).unwrap();
        *job.lock().unwrap() += 1;
        job.done();
    });
    let lock = Lock::new(1u64).unwrap();
    jobs.put(lock.clone()).unwrap();
    jobs.join_timeout(LONG).unwrap();
    assert_eq!(*lock.lock().unwrap(), 2);
    join(&child.unwrap()).unwrap();
}

#[test]
fn a_forked_child_has_handles_of_its_own_to_give() {
    let queue = Queue::new(4).unwrap();
    let (before, answers) = (Queue::new(1).unwrap(), Queue::new(1).unwrap());
    queue.put(Note::Reply(before.clone())).unwrap();
    let child = fork(|| {
        queue.put(Note::Reply(answers.clone())).unwrap();
        assert_eq!(answers.get_timeout(LONG).unwrap(), 2);
    });
    let Note::Reply(of_parent) = get(&queue) else { panic!("something else") };
    of_parent.put(1).unwrap();
    let Note::Reply(of_child) = get(&queue) else { panic!("something else") };
    of_child.put(2).unwrap();
    assert_eq!(before.get().unwrap(), 1);
    reap(child);
}

#[test]
#[allow(unsafe_code, reason = "a call of libc")]
fn what_a_batch_did_not_put_comes_back_when_the_kernel_refuses() {
    let queue = Queue::<Note>::new(8).unwrap();
    reap(fork(|| {
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        let reply = Queue::new(1).unwrap();
        queue.put(Note::Plain(0)).unwrap(); // a user of the queue from now on
        // SAFETY: a plain call that changes this child alone: it gets no more descriptors.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &none) }, 0);
        let batch = vec![Note::Plain(1), Note::Plain(2), Note::Reply(reply), Note::Plain(3)];
        match queue.put_many(batch) {
            Err(PutError::Stopped(rest, why)) => {
                assert_eq!(why.raw_os_error(), Some(libc::EMFILE));
                assert!(matches!(rest[..], [Note::Reply(_), Note::Plain(3)]));
            }
            other => panic!("{other:?}"),
        }
    }));
    for n in 0..3 {
        assert!(matches!(get(&queue), Note::Plain(got) if got == n));
    }
    assert!(matches!(queue.try_get(), Err(GetError::Empty | GetError::Disconnected)));
}
