//! Does `wait` tell of queues what the contract says, in however many processes?

mod common;

use common::{LONG, await_naps, go_on, join, kill, park, settle, stop};
use shmkit::{Event, GetError, Pipe, Process, Queue, Receiver, Sender, Waitable, wait};
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
