//! Does `wait` tell of queues what the contract says, in however many processes?

mod common;

use common::{LONG, await_naps, fork, go_on, join, kill, park, reap, settle, stop};
use rustix::event::epoll::{self, EventData, EventFlags};
use shmkit::{
    Event, GetError, JoinableQueue, Pipe, Process, Queue, Receiver, Sender, Waitable, wait,
};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

fn now(sources: &[&dyn Waitable]) -> Vec<usize> {
    wait(sources, Duration::ZERO).unwrap()
}

fn soon(sources: &[&dyn Waitable]) -> Vec<usize> {
    let ready = wait(sources, LONG).unwrap();
    assert!(!ready.is_empty(), "nothing was ready in time");
    ready
}

fn asleep<R>(process: &Process<R>) {
    settle(process.pid());
    await_naps(process.pid(), 2);
    settle(process.pid());
}

#[test]
fn a_queue_is_ready_while_there_is_a_message_and_at_its_end_x13() {
    let queue = Queue::<u32>::new(3).unwrap();
    let _company = queue.clone();
    assert_eq!(now(&[&queue]), []);
    queue.put_many(vec![1, 2]).unwrap();
    for n in [1, 2] {
        assert_eq!(soon(&[&queue]), [0]);
        assert_eq!(now(&[&queue]), [0]);
        assert_eq!(queue.get().unwrap(), n);
    }
    assert_eq!(now(&[&queue]), []);
    queue.put(3).unwrap();
    queue.close();
    assert_eq!(now(&[&queue]), [0]);
    assert_eq!(queue.get().unwrap(), 3);
    assert_eq!(now(&[&queue]), [0]);
    assert!(matches!(queue.try_get(), Err(GetError::Disconnected)));
}

#[test]
fn a_queue_whose_last_other_handle_goes_is_ready() {
    let [dropped, killed] = [(); 2].map(|()| Queue::<u32>::new(3).unwrap());
    let quiet = Event::new().unwrap();
    let clone = dropped.clone();
    let victim = Process::spawn((killed.clone(),), |_queue: Queue<u32>| -> () { park() }).unwrap();
    assert_eq!(now(&[&quiet, &dropped, &killed]), []);
    std::thread::scope(|scope| {
        scope.spawn(|| drop(clone));
        assert_eq!(soon(&[&quiet, &dropped, &killed]), [1]);
    });
    assert!(matches!(dropped.try_get(), Err(GetError::Disconnected)));
    kill(&victim);
    assert_eq!(soon(&[&quiet, &killed]), [1]);
    assert!(matches!(killed.get(), Err(GetError::Disconnected)));
}

/// Gets by `wait` what it can, and never sleeps beside a message.
fn takes(queue: Queue<u64>, stop: Event) -> (u64, u64) {
    let (mut count, mut sum) = (0, 0);
    loop {
        let ready = wait(&[&stop, &queue], LONG).unwrap();
        assert!(!ready.is_empty(), "a message was not told of");
        while let Ok(n) = queue.try_get() {
            count += 1;
            sum += n;
        }
        if ready == [0] {
            return (count, sum);
        }
    }
}

#[test]
fn many_who_wait_for_one_queue_in_several_processes_get_everything() {
    const EACH: u64 = 3000;
    let (queue, stop) = (Queue::<u64>::new(16).unwrap(), Event::new().unwrap());
    let takers: Vec<_> =
        (0..3).map(|_| Process::spawn((queue.clone(), stop.clone()), takes).unwrap()).collect();
    let putters: Vec<_> = (0..2)
        .map(|_| {
            let put = |queue: Queue<u64>| (0..EACH).for_each(|n| queue.put(n).unwrap());
            Process::spawn((queue.clone(),), put).unwrap()
        })
        .collect();
    putters.iter().for_each(|putter| join(putter).unwrap());
    while !queue.is_empty() {
        std::thread::yield_now();
    }
    stop.set();
    let got: Vec<_> = takers.iter().map(|taker| join(taker).unwrap()).collect();
    assert_eq!(got.iter().map(|(count, _)| count).sum::<u64>(), 2 * EACH);
    assert_eq!(got.iter().map(|(_, sum)| sum).sum::<u64>(), EACH * (EACH - 1));
}

/// Takes one message each time it is told to, having waited for it.
fn takes_when_told(queue: Queue<u64>, orders: Receiver<()>, say: Sender<Option<u64>>) {
    for () in orders.iter() {
        assert_eq!(wait(&[&queue], LONG).unwrap(), [0]);
        say.send(queue.try_get().ok()).unwrap();
    }
}

#[test]
fn one_message_is_told_to_every_waiter_and_got_by_one() {
    let queue = Queue::<u64>::new(4).unwrap();
    let takers: Vec<_> = (0..3)
        .map(|_| {
            let (theirs, orders) = Pipe::<()>::simplex().unwrap();
            let (said, say) = Pipe::<Option<u64>>::simplex().unwrap();
            let args = (queue.clone(), theirs, say);
            (Process::spawn(args, takes_when_told).unwrap(), orders, said)
        })
        .collect();
    for round in 0..20 {
        for (_, orders, _) in &takers {
            orders.send(()).unwrap();
        }
        // One message is for one of them; who comes too late waits for the next.
        let mut got = Vec::new();
        for n in 0..3 {
            queue.put(3 * round + n).unwrap();
        }
        while got.len() < 3 {
            let said: Vec<&dyn Waitable> =
                takers.iter().map(|(_, _, s)| s as &dyn Waitable).collect();
            for place in soon(&said) {
                match takers[place].2.recv().unwrap() {
                    Some(n) => got.push(n),
                    None => takers[place].1.send(()).unwrap(), // another was faster
                }
            }
        }
        got.sort_unstable();
        assert_eq!(got, [3 * round, 3 * round + 1, 3 * round + 2]);
    }
    for (child, orders, _) in takers {
        drop(orders);
        join(&child).unwrap();
    }
}

#[test]
fn a_killed_and_a_stopped_waiter_take_nothing_from_the_others() {
    let queue = Queue::<u64>::new(4).unwrap();
    let quiet = Event::new().unwrap();
    fn waits(queue: Queue<u64>, quiet: Event) -> u64 {
        assert_eq!(wait(&[&quiet, &queue], LONG).unwrap(), [1]);
        queue.get_timeout(LONG).unwrap()
    }
    let [killed, stopped, other] =
        [(); 3].map(|()| Process::spawn((queue.clone(), quiet.clone()), waits).unwrap());
    for child in [&killed, &stopped, &other] {
        asleep(child);
    }
    stop(&stopped);
    kill(&killed);
    queue.put(1).unwrap();
    assert_eq!(join(&other).unwrap(), 1);
    go_on(&stopped);
    queue.put(2).unwrap();
    assert_eq!(join(&stopped).unwrap(), 2);
}

#[test]
fn a_putter_that_is_stopped_or_killed_hides_no_message_of_others() {
    // It is somewhere in its puts, often between a publication and the ring.
    for round in 0..20 {
        let (queue, quiet) = (Queue::<u64>::new(1024).unwrap(), Event::new().unwrap());
        let putter = Process::spawn((queue.clone(),), |queue: Queue<u64>| {
            while queue.put_timeout(7, Duration::from_millis(1)).is_ok() || !queue.is_empty() {}
        });
        let putter = putter.unwrap();
        for _ in 0..round * 5 {
            assert_eq!(soon(&[&quiet, &queue]), [1]);
            let _ = queue.try_get();
        }
        kill(&putter);
        while queue.try_get().is_ok() {}
        let other = queue.clone();
        std::thread::scope(|scope| {
            scope.spawn(move || other.put(8).unwrap());
            assert_eq!(soon(&[&quiet, &queue]), [1]);
        });
        assert_eq!(queue.get().unwrap(), 8);
    }
}

#[test]
fn a_job_that_comes_back_is_ready_again() {
    let (jobs, quiet) = (JoinableQueue::<u32>::new(4).unwrap(), Event::new().unwrap());
    let holder = Process::spawn((jobs.clone(),), |jobs: JoinableQueue<u32>| -> () {
        let _job = jobs.get().unwrap();
        park()
    });
    let holder = holder.unwrap();
    assert_eq!(now(&[&jobs]), []);
    jobs.put(7).unwrap();
    settle(holder.pid());
    while now(&[&jobs]) == [0] {
        std::thread::yield_now();
    }
    kill(&holder);
    assert_eq!(soon(&[&quiet, &jobs]), [1]);
    let job = jobs.try_get().unwrap();
    assert_eq!((*job, job.attempts()), (7, 2));
    std::thread::scope(|scope| {
        scope.spawn(|| drop(job));
        assert_eq!(soon(&[&quiet, &jobs]), [1], "given back");
    });
    jobs.try_get().unwrap().done();
    jobs.close();
    assert_eq!(soon(&[&quiet, &jobs]), [1]);
}

#[test]
fn a_loan_that_is_given_up_hides_nothing() {
    let queue = Queue::<Vec<u8>>::new(4).unwrap();
    let quiet = Event::new().unwrap();
    let loan = queue.loan(3).unwrap();
    queue.put(vec![1]).unwrap();
    assert_eq!(now(&[&queue]), [], "it is the turn of who has the loan");
    let waiter = Process::spawn((queue.clone(), quiet), |queue: Queue<Vec<u8>>, quiet: Event| {
        assert_eq!(wait(&[&quiet, &queue], LONG).unwrap(), [1]);
        queue.try_get().unwrap()
    });
    let waiter = waiter.unwrap();
    asleep(&waiter);
    drop(loan);
    assert_eq!(join(&waiter).unwrap(), [1]);
}

/// A real `epoll` set, which nothing wakes but the kernel.
struct Loop(OwnedFd);

impl Loop {
    fn around(fd: impl AsFd, how: EventFlags) -> Loop {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        epoll::add(&set, fd, EventData::new_u64(1), EventFlags::IN | how).unwrap();
        Loop(set)
    }

    fn wait(&self, timeout: Duration) -> bool {
        let timeout = rustix::event::Timespec::try_from(timeout).unwrap();
        let mut events = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }];
        epoll::wait(&self.0, &mut events[..], Some(&timeout)).unwrap() == 1
    }

    fn is_ready(&self) -> bool {
        self.wait(Duration::ZERO)
    }

    #[track_caller]
    fn sleep(&self) {
        assert!(self.wait(LONG), "nobody woke the loop");
    }
}

fn is_empty(queue: &Queue<u64>) -> bool {
    matches!(queue.try_get(), Err(GetError::Empty))
}

#[test]
fn a_polled_queue_is_readable_while_there_is_something_and_at_its_end_x10() {
    let queue = Queue::<u64>::new(8).unwrap();
    let other = queue.clone();
    other.put(1).unwrap();
    let polled = Loop::around(&queue, EventFlags::empty());
    assert!(polled.is_ready(), "what was there before the descriptor was asked for counts");
    assert_eq!(queue.get().unwrap(), 1);
    assert!(is_empty(&queue));
    for round in 0..3 {
        assert!(!polled.is_ready(), "round {round}");
        other.put_many(vec![0, 1, 2]).unwrap();
        for n in 0..3 {
            assert!(polled.is_ready(), "round {round}: level, not edge");
            assert_eq!(queue.get().unwrap(), n);
        }
        assert!(is_empty(&queue));
    }
    assert!(queue.get_timeout(Duration::from_millis(1)).is_err() && !polled.is_ready());
    other.close();
    for _ in 0..3 {
        assert!(polled.is_ready(), "the end");
        assert!(matches!(queue.try_get(), Err(GetError::Disconnected)));
    }
}

#[test]
fn the_last_other_handle_that_goes_wakes_a_poller() {
    let queue = Queue::<u64>::new(8).unwrap();
    let other = queue.clone();
    let polled = Loop::around(&queue, EventFlags::empty());
    assert!(is_empty(&queue) && !polled.is_ready());
    drop(other);
    polled.sleep();
    assert!(matches!(queue.try_get(), Err(GetError::Disconnected)));
}

/// Gets what it can between sleeps in `epoll`, edge- or level-triggered, until it gets a 0.
fn polls(queue: Queue<u64>, edge: bool) -> u64 {
    let how = if edge { EventFlags::ET } else { EventFlags::empty() };
    let polled = Loop::around(&queue, how);
    let mut sum = 0;
    loop {
        polled.sleep();
        loop {
            match queue.try_get() {
                Ok(0) => return sum,
                Ok(n) => sum += n,
                Err(GetError::Empty) => break,
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn loops_in_several_processes_around_one_queue_get_everything_between_them() {
    const COUNT: u64 = 10_000;
    let queue = Queue::<u64>::new(32).unwrap();
    let pollers: Vec<_> =
        (0..4).map(|n| Process::spawn((queue.clone(), n % 2 == 0), polls).unwrap()).collect();
    for n in 1..=COUNT {
        queue.put(n).unwrap();
        if n % 100 == 0 {
            // So that they fall asleep now and then.
            while !queue.is_empty() {
                std::thread::yield_now();
            }
        }
    }
    for _ in &pollers {
        queue.put(0).unwrap();
    }
    let sums = pollers.iter().map(|poller| join(poller).unwrap());
    assert_eq!(sums.sum::<u64>(), COUNT * (COUNT + 1) / 2);
}

#[test]
fn two_pollers_in_two_processes_are_both_rung_by_one_message() {
    let queue = Queue::<u64>::new(4).unwrap();
    let (rung, say) = Pipe::<()>::simplex().unwrap();
    let (heard, told) = Pipe::<()>::simplex().unwrap();
    fn rings(queue: Queue<u64>, say: Sender<()>) {
        let polled = Loop::around(&queue, EventFlags::empty());
        assert!(is_empty(&queue) && !polled.is_ready());
        say.send(()).unwrap();
        polled.sleep();
        say.send(()).unwrap();
    }
    let children = [say, told].map(|say| Process::spawn((queue.clone(), say), rings).unwrap());
    for pipe in [&rung, &heard] {
        pipe.recv_timeout(LONG).unwrap();
    }
    queue.put(1).unwrap();
    for pipe in [&rung, &heard] {
        pipe.recv_timeout(LONG).unwrap();
    }
    children.iter().for_each(|child| join(child).unwrap());
    assert_eq!(queue.get().unwrap(), 1);
}

/// In a process with one thread.
fn polls_in_a_fork(queue: Queue<u64>, ready: Sender<()>) {
    let polled = Loop::around(&queue, EventFlags::empty());
    assert!(is_empty(&queue) && !polled.is_ready());
    let child = fork(|| {
        assert!(matches!(queue.poll_fd(), Err(shmkit::Error::WrongProcess)));
        let own = queue.clone();
        let polled = Loop::around(&own, EventFlags::empty());
        assert!(is_empty(&own) && !polled.is_ready());
        ready.send(()).unwrap_err(); // the pipe is the parent's
        polled.sleep();
        assert_eq!(own.get_timeout(LONG).unwrap(), 1);
    });
    settle(child as u32);
    ready.send(()).unwrap();
    reap(child);
    polled.sleep();
    assert!(is_empty(&queue) || queue.is_empty());
}

#[test]
fn a_forked_child_polls_by_a_handle_of_its_own() {
    let queue = Queue::<u64>::new(4).unwrap();
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let parent = Process::spawn((queue.clone(), say), polls_in_a_fork).unwrap();
    ready.recv_timeout(LONG).unwrap();
    queue.put(1).unwrap();
    join(&parent).unwrap();
}
