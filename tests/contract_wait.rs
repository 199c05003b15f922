//! Does `wait` do what the behaviour contract says, on any mix of things, between processes, and when
//! those whom it waits for die?
//!
//! The ids at the end of the test names are the rows of the contract.

mod common;

use common::{LONG, await_naps, fork, go_on, join, kill, park, reap, settle, stop};
use shmkit::{
    Barrier, BrokenBarrier, Connection, Event, Listener, Pipe, Process, Readable, Receiver,
    RecvError, Region, Sender, Waitable, connect, parent_process, wait,
};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Which of them are ready now.
fn now(sources: &[&dyn Waitable]) -> Vec<usize> {
    wait(sources, Duration::ZERO).unwrap()
}

/// Which of them are ready, as soon as one is.
fn soon(sources: &[&dyn Waitable]) -> Vec<usize> {
    let ready = wait(sources, LONG).unwrap();
    assert!(!ready.is_empty(), "nothing was ready in time");
    ready
}

/// Waits until the process sleeps in a wait, so that it must be told.
fn asleep<R>(process: &Process<R>) {
    settle(process.pid());
    await_naps(process.pid(), 2);
    settle(process.pid());
}

#[test]
fn all_that_are_ready_are_told_and_they_stay_so_until_somebody_changes_that_x13() {
    let (a, b) = Pipe::<u32>::new().unwrap();
    let (event, meeting) = (Event::new().unwrap(), Barrier::new(2).unwrap());
    let (mut near, mut far) = UnixStream::pair().unwrap();
    let child = Process::spawn((), || -> () { park() }).unwrap();
    let all: [&dyn Waitable; 5] = [&a, &event, &meeting, &child, &near];
    assert_eq!(now(&all), []);
    b.send(1).unwrap();
    assert_eq!(now(&all), [0]);
    event.set();
    assert_eq!(soon(&all), [0, 1]);
    meeting.abort();
    assert_eq!(soon(&all), [0, 1, 2]);
    kill(&child);
    assert_eq!(soon(&all), [0, 1, 2, 3]);
    far.write_all(b"x").unwrap();
    assert_eq!(soon(&all), [0, 1, 2, 3, 4]);
    assert_eq!(now(&all), [0, 1, 2, 3, 4]);
    assert_eq!(a.recv().unwrap(), 1);
    event.clear();
    meeting.reset();
    near.read_exact(&mut [0]).unwrap();
    let all: [&dyn Waitable; 5] = [&a, &event, &meeting, &child, &near];
    assert_eq!(now(&all), [3]);
}

#[test]
fn what_is_ready_is_counted_by_its_place_and_may_be_there_twice_x13() {
    let [a, b] = [(); 2].map(|()| Event::new().unwrap());
    b.set();
    assert_eq!(soon(&[&a, &b, &a, &b, &&b]), [1, 3, 4]);
}

#[test]
fn a_timeout_is_none_or_nothing_or_a_time_x13() {
    let event = Event::new().unwrap();
    let few = Duration::from_millis(20);
    assert_eq!(wait(&[&event], Duration::ZERO).unwrap(), []);
    assert_eq!(wait(&[&event], few).unwrap(), []);
    assert_eq!(wait(&[&event], Some(few)).unwrap(), []);
    assert_eq!(wait(&[], few).unwrap(), []);
    assert!(wait(&[], None).is_err(), "it would wait for ever");
    event.set();
    assert_eq!(wait(&[&event], None).unwrap(), [0]);
    assert_eq!(wait(&[&event], Duration::MAX).unwrap(), [0]);
    assert_eq!(wait(&[&event], Duration::ZERO).unwrap(), [0]);
}

/// Does one thing each time it is told to.
fn does(orders: Receiver<u32>, things: (Connection<u32>, Event, Barrier)) {
    let (c, event, meeting) = things;
    for order in orders.iter() {
        match order {
            0 => c.send(order).unwrap(),
            1 => event.set(),
            2 => drop(meeting.wait()),
            _ => std::process::exit(0),
        }
    }
}

#[test]
fn a_sleeper_is_woken_by_whatever_of_a_mix_comes_first_x13_test_wait_integer() {
    let (c, theirs) = Pipe::<u32>::new().unwrap();
    let (event, meeting) = (Event::new().unwrap(), Barrier::new(2).unwrap());
    let (listens, orders) = Pipe::<u32>::simplex().unwrap();
    let args = (listens, (theirs, event.clone(), meeting.clone()));
    let child = Process::spawn(args, does).unwrap();
    for round in 0..50 {
        for order in 0..3 {
            let all: [&dyn Waitable; 4] = [&c, &event, &meeting, &child];
            assert_eq!(now(&all), [], "round {round}");
            orders.send(order).unwrap();
            assert_eq!(soon(&all), [order as usize], "round {round}");
            match order {
                0 => assert_eq!(c.recv().unwrap(), 0),
                1 => event.clear(),
                _ => drop(meeting.wait().unwrap()),
            }
        }
    }
    orders.send(3).unwrap();
    assert_eq!(soon(&[&event, &child]), [1]);
    assert_eq!(child.exitcode(), Some(0));
    assert_eq!(now(&[&c]), [0], "the stream has ended");
}

#[test]
fn a_stream_that_has_ended_is_ready_x10() {
    let (a, b) = Pipe::<u32>::new().unwrap();
    let (receiver, sender) = Pipe::<u32>::simplex().unwrap();
    b.send(1).unwrap();
    b.close();
    drop(sender);
    assert_eq!(now(&[&a, &receiver]), [0, 1]);
    assert_eq!(a.recv().unwrap(), 1);
    assert_eq!(now(&[&a, &receiver]), [0, 1]);
    assert!(matches!(a.recv(), Err(RecvError::Disconnected)));
    a.close();
    assert_eq!(now(&[&a, &receiver]), [0, 1], "its own end closed");
}

#[test]
fn a_sleeper_learns_that_a_connection_was_closed() {
    let (a, b) = Pipe::<u32>::new().unwrap();
    let quiet = Event::new().unwrap();
    let child = Process::spawn((a, quiet), |a: Connection<u32>, quiet: Event| {
        wait(&[&quiet, &a], LONG).unwrap()
    });
    let child = child.unwrap();
    asleep(&child);
    b.close();
    assert_eq!(join(&child).unwrap(), [1]);
}

#[test]
fn a_killed_sender_and_a_killed_process_are_ready() {
    let (c, theirs) = Pipe::<u32>::new().unwrap();
    let victim = Process::spawn((theirs,), |c: Connection<u32>| -> () {
        c.send(1).unwrap();
        park()
    });
    let victim = victim.unwrap();
    assert_eq!(soon(&[&victim, &c]), [1]);
    let quiet = Event::new().unwrap();
    c.recv().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| victim.kill().unwrap());
        assert!(!soon(&[&quiet, &victim]).is_empty());
    });
    assert_eq!(soon(&[&quiet, &c]), [1]);
    assert_eq!(soon(&[&victim, &quiet, &c]), [0, 2]);
}

#[test]
fn a_dead_sender_is_ready_also_where_another_has_the_other_half_of_its_socket() {
    let (a, b) = Pipe::<u32>::new().unwrap();
    let (receiver, sender) = b.split();
    let victim = Process::spawn((sender,), |sender: Sender<u32>| -> () {
        sender.send(1).unwrap();
        park()
    });
    let victim = victim.unwrap();
    assert_eq!(soon(&[&a]), [0]);
    a.recv().unwrap();
    kill(&victim);
    assert_eq!(soon(&[&a]), [0]);
    assert!(matches!(a.try_recv(), Err(RecvError::Disconnected)));
    drop(receiver);
}

#[test]
fn a_stopped_process_is_not_ready() {
    let (c, theirs) = Pipe::<u32>::new().unwrap();
    let child = Process::spawn((theirs,), |c: Connection<u32>| -> () {
        c.send(1).unwrap();
        park()
    });
    let child = child.unwrap();
    assert_eq!(soon(&[&c]), [0]);
    c.recv().unwrap();
    stop(&child);
    assert_eq!(wait(&[&child, &c], Duration::from_millis(100)).unwrap(), []);
    go_on(&child);
    kill(&child);
    assert_eq!(soon(&[&child]), [0]);
}

/// Waits for an event among others, and says what it has found.
fn awaits_the_second(first: Event, second: Event, say: Sender<()>) -> Vec<usize> {
    say.send(()).unwrap();
    wait(&[&first, &second], LONG).unwrap()
}

#[test]
fn everybody_who_waits_for_one_event_is_told_in_however_many_processes() {
    let [quiet, event] = [(); 2].map(|()| Event::new().unwrap());
    let children: Vec<_> = (0..4)
        .map(|_| {
            let (ready, say) = Pipe::<()>::simplex().unwrap();
            let args = (quiet.clone(), event.clone(), say);
            (Process::spawn(args, awaits_the_second).unwrap(), ready)
        })
        .collect();
    for (child, ready) in &children {
        ready.recv_timeout(LONG).unwrap();
        asleep(child);
    }
    std::thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(|| soon(&[&quiet, &event])));
        event.set();
        assert!(threads.map(|thread| thread.join().unwrap()).iter().all(|ready| *ready == [1]));
    });
    assert!(children.iter().all(|(child, _)| join(child).unwrap() == [1]));
}

#[test]
fn a_pulse_is_missed_by_nobody_who_waited_x30() {
    let [quiet, event] = [(); 2].map(|()| Event::new().unwrap());
    let children: Vec<_> = (0..3)
        .map(|_| {
            let (ready, say) = Pipe::<()>::simplex().unwrap();
            let args = (quiet.clone(), event.clone(), say);
            (Process::spawn(args, awaits_the_second).unwrap(), ready)
        })
        .collect();
    for (child, ready) in &children {
        ready.recv_timeout(LONG).unwrap();
        asleep(child);
    }
    stop(&children[0].0); // it sees the pulse only after it is over
    event.set();
    event.clear();
    go_on(&children[0].0);
    assert!(children.iter().all(|(child, _)| join(child).unwrap() == [1]));
    assert_eq!(now(&[&quiet, &event]), [], "a pulse is over for who comes after it");
}

#[test]
fn many_pulses_and_many_waiters_end_well() {
    const ROUNDS: u32 = 300;
    let [ping, pong] = [(); 2].map(|()| Event::new().unwrap());
    let partner = Process::spawn((ping.clone(), pong.clone()), |ping: Event, pong: Event| {
        for _ in 0..ROUNDS {
            assert_eq!(wait(&[&ping], LONG).unwrap(), [0]);
            ping.clear();
            pong.set();
        }
    });
    // Two who only look on, and wake up in vain.
    let onlookers = [(); 2].map(|()| {
        Process::spawn((ping.clone(), pong.clone()), |ping: Event, pong: Event| {
            while !wait(&[&ping, &pong], Duration::from_secs(1)).unwrap().is_empty() {}
        })
        .unwrap()
    });
    for round in 0..ROUNDS {
        ping.set();
        assert_eq!(soon(&[&pong]), [0], "round {round}");
        pong.clear();
    }
    join(&partner.unwrap()).unwrap();
    onlookers.iter().for_each(|child| join(child).unwrap());
}

#[test]
fn objects_of_one_region_are_told_apart() {
    let region = Region::new(1 << 16).unwrap();
    let events: Vec<_> = (0..20).map(|_| Event::new_in(&region).unwrap()).collect();
    let sources: Vec<&dyn Waitable> = events.iter().map(|event| event as &dyn Waitable).collect();
    std::thread::scope(|scope| {
        for chosen in [7, 0, 19] {
            let waiter = scope.spawn(|| {
                let events: Vec<_> = events.iter().map(|event| event as &dyn Waitable).collect();
                soon(&events)
            });
            events[chosen].set();
            assert_eq!(waiter.join().unwrap(), [chosen]);
            assert_eq!(now(&sources), [chosen]);
            events[chosen].clear();
        }
    });
}

#[test]
fn a_barrier_is_ready_when_a_wait_would_not_block() {
    let meeting = Barrier::new(3).unwrap();
    assert_eq!(now(&[&meeting]), []);
    assert_eq!(now(&[&Barrier::new(1).unwrap()]), [0]);
    std::thread::scope(|scope| {
        let parties = [(); 2].map(|()| scope.spawn(|| meeting.wait()));
        assert_eq!(soon(&[&meeting]), [0], "all others have come");
        assert_eq!(meeting.wait().unwrap(), 2);
        assert!(parties.map(|party| party.join().unwrap()).iter().all(Result::is_ok));
        assert_eq!(now(&[&meeting]), [], "the next round");
        let late = meeting.wait_timeout(Duration::from_millis(1));
        assert!(matches!(late, Err(BrokenBarrier::Timeout)));
        assert_eq!(now(&[&meeting]), [0], "broken");
    });
}

#[test]
fn the_last_to_come_can_be_told_by_the_last_but_one_in_another_process() {
    let [meeting, quiet] = [2, 2].map(|parties| Barrier::new(parties).unwrap());
    let child = Process::spawn((meeting.clone(), quiet), |meeting: Barrier, quiet: Barrier| {
        assert_eq!(wait(&[&quiet, &meeting], LONG).unwrap(), [1]);
        meeting.wait().unwrap()
    });
    let child = child.unwrap();
    asleep(&child);
    assert_eq!(meeting.wait_timeout(LONG).unwrap(), 0);
    assert_eq!(join(&child).unwrap(), 1);
}

#[test]
fn a_barrier_whose_party_was_killed_is_ready_because_it_is_broken() {
    let meeting = Barrier::new(2).unwrap();
    let victim = Process::spawn((meeting.clone(),), |_meeting: Barrier| -> () { park() }).unwrap();
    assert_eq!(now(&[&meeting]), []);
    kill(&victim);
    assert_eq!(soon(&[&meeting]), [0]);
    assert!(matches!(meeting.wait(), Err(BrokenBarrier::PartyDied)));
}

#[test]
fn a_hundred_of_each_kind_are_waited_for_at_once() {
    let events: Vec<_> = (0..100).map(|_| Event::new().unwrap()).collect();
    let pipes: Vec<_> = (0..100).map(|_| Pipe::<usize>::new().unwrap()).collect();
    let sockets: Vec<_> = (0..100).map(|_| UnixStream::pair().unwrap()).collect();
    let all = |events: &[Event]| -> Vec<usize> {
        let events = events.iter().map(|event| event as &dyn Waitable);
        let pipes = pipes.iter().map(|(here, _)| here as &dyn Waitable);
        let sockets = sockets.iter().map(|(here, _)| here as &dyn Waitable);
        wait(&events.chain(pipes).chain(sockets).collect::<Vec<_>>(), LONG).unwrap()
    };
    for chosen in [0, 41, 99] {
        std::thread::scope(|scope| {
            let event = &events[chosen];
            scope.spawn(move || event.set());
            assert_eq!(all(&events), [chosen]);
        });
        events[chosen].clear();
        pipes[chosen].1.send(7).unwrap();
        (&sockets[chosen].1).write_all(b"x").unwrap();
        assert_eq!(all(&events), [100 + chosen, 200 + chosen]);
        pipes[chosen].0.recv().unwrap();
        (&sockets[chosen].0).read_exact(&mut [0]).unwrap();
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// In a process of its own, where nobody else opens descriptors.
fn waits_a_lot(event: Event, c: Connection<u32>) -> (usize, usize) {
    let _ = wait(&[&event, &c], Duration::from_millis(1)).unwrap();
    let before = descriptors();
    for round in 0..200 {
        let other = Event::new().unwrap();
        let timeout = Duration::from_micros(if round % 10 == 0 { 1000 } else { 0 });
        assert_eq!(wait(&[&event, &c, &other], timeout).unwrap(), []);
        drop(other);
    }
    (before, descriptors())
}

#[test]
fn waits_leave_no_descriptor_behind() {
    let (_c, theirs) = Pipe::<u32>::new().unwrap();
    let child = Process::spawn((Event::new().unwrap(), theirs), waits_a_lot).unwrap();
    let (before, after) = join(&child).unwrap();
    assert_eq!(before, after);
}

/// Takes all the ears that a user can have, and waits without one.
fn waits_without_an_ear(event: Event, say: Sender<()>) -> (usize, Vec<usize>) {
    let mut taken = Vec::new();
    while let Ok(inotify) = rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::CLOEXEC) {
        taken.push(inotify);
    }
    say.send(()).unwrap();
    let found = wait(&[&event], LONG).unwrap();
    (taken.len(), found)
}

#[test]
fn a_wait_works_where_the_kernel_has_no_more_ears_to_give() {
    let event = Event::new().unwrap();
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let child = Process::spawn((event.clone(), say), waits_without_an_ear).unwrap();
    ready.recv_timeout(LONG).unwrap();
    assert_eq!(wait(&[&Event::new().unwrap()], Duration::from_millis(20)).unwrap(), []);
    settle(child.pid());
    event.set();
    let (taken, found) = join(&child).unwrap();
    assert_eq!(found, [0]);
    assert!(taken > 0);
}

#[test]
fn a_killed_waiter_leaves_nothing_that_troubles_others() {
    let (c, theirs) = Pipe::<u32>::new().unwrap();
    let [quiet, event] = [(); 2].map(|()| Event::new().unwrap());
    for _ in 0..5 {
        let (ready, say) = Pipe::<()>::simplex().unwrap();
        let args = (quiet.clone(), event.clone(), say);
        let victim = Process::spawn(args, awaits_the_second).unwrap();
        ready.recv_timeout(LONG).unwrap();
        asleep(&victim);
        kill(&victim);
        event.set();
        assert_eq!(soon(&[&c, &event]), [1]);
        event.clear();
    }
    theirs.send(1).unwrap();
    assert_eq!(soon(&[&quiet, &c]), [1]);
}

#[test]
fn what_somebody_else_has_taken_is_not_ready_and_what_comes_next_is() {
    // The ends of a pipe belong to one process; what many can take is an event that is cleared.
    let event = Event::new().unwrap();
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let taker = Process::spawn((event.clone(), say), |event: Event, say: Sender<()>| {
        for _ in 0..200 {
            assert_eq!(wait(&[&event], LONG).unwrap(), [0]);
            event.clear();
            say.send(()).unwrap();
        }
    });
    let other = Event::new().unwrap();
    for _ in 0..200 {
        event.set();
        assert_eq!(soon(&[&other, &ready]), [1]);
        ready.recv().unwrap();
    }
    join(&taker.unwrap()).unwrap();
}

#[test]
fn a_listener_and_the_parent_and_descriptors_can_be_waited_for() {
    let path = std::env::temp_dir().join(format!("shmkit-wait.{}", std::process::id()));
    let listener = Listener::<u32>::bind(&path).unwrap();
    assert_eq!(now(&[&listener]), []);
    let client = {
        let path = path.to_string_lossy().into_owned();
        Process::spawn((path,), |path: String| {
            assert_eq!(now(&[&parent_process().unwrap()]), []);
            connect::<u32>(path).unwrap().send(7).unwrap();
        })
        .unwrap()
    };
    let here = loop {
        assert_eq!(soon(&[&listener]), [0]);
        match listener.try_accept() {
            Ok(here) => break here,
            Err(shmkit::AcceptError::WouldBlock) => {}
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(soon(&[&here]), [0]);
    assert_eq!(here.recv().unwrap(), 7);
    join(&client).unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    drop(far);
    assert_eq!(now(&[&near, &near.as_fd(), &Readable(&near)]), [0, 1, 2]);
}

#[test]
fn a_message_that_wait_has_seen_is_still_there_whatever_it_is() {
    let (a, b) = Pipe::<Vec<u8>>::new().unwrap();
    let big = vec![7; 3 << 20];
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| b.send(big.clone()).map(|()| b));
        for _ in 0..3 {
            assert_eq!(soon(&[&a]), [0]);
        }
        assert!(a.recv().unwrap() == big);
        let b = sender.join().unwrap().unwrap();
        b.send_fd(std::fs::File::open("/dev/null").unwrap()).unwrap();
        assert_eq!(soon(&[&a]), [0]);
        a.recv_fd().unwrap();
        assert_eq!(now(&[&a]), []);
    });
}

#[test]
fn epoll_and_wait_can_take_turns_on_one_connection_x10() {
    let (a, b) = Pipe::<u32>::new().unwrap();
    let readable = || now(&[&Readable(&a)]) == [0];
    assert!(readable(), "at first, in vain");
    assert!(a.try_recv().is_err() && !readable());
    for n in 0..20 {
        assert_eq!(now(&[&a]), []);
        assert!(!readable());
        b.send(n).unwrap();
        // The look of `wait` takes the ring away that made it readable.
        assert_eq!(soon(&[&a]), [0]);
        assert!(readable());
        assert_eq!(a.recv().unwrap(), n);
        assert!(a.try_recv().is_err() && !readable());
    }
}

/// In a process with one thread.
fn forks_and_waits(event: Event, ours: Event) {
    // An ear that the child must not share.
    assert_eq!(wait(&[&event], Duration::from_millis(1)).unwrap(), []);
    let child = fork(|| {
        ours.set();
        assert_eq!(wait(&[&event], LONG).unwrap(), [0]);
    });
    assert_eq!(wait(&[&ours, &event], LONG).unwrap(), [0]);
    event.set();
    assert_eq!(wait(&[&event], LONG).unwrap(), [0]);
    reap(child);
}

#[test]
fn a_forked_child_waits_like_any_other() {
    let [event, ours] = [(); 2].map(|()| Event::new().unwrap());
    join(&Process::spawn((event, ours), forks_and_waits).unwrap()).unwrap();
}

#[test]
fn signals_do_not_end_a_wait_test_ignore_eintr() {
    let [quiet, event] = [(); 2].map(|()| Event::new().unwrap());
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let args = (quiet.clone(), event.clone(), say);
    let child = Process::spawn(args, |quiet: Event, event: Event, say: Sender<()>| {
        extern "C" fn nothing(_: i32) {}
        let handler = nothing as extern "C" fn(i32) as usize;
        // SAFETY: a handler that does nothing.
        #[allow(unsafe_code)]
        unsafe {
            libc::signal(libc::SIGUSR1, handler)
        };
        awaits_the_second(quiet, event, say)
    });
    let child = child.unwrap();
    ready.recv_timeout(LONG).unwrap();
    for _ in 0..50 {
        common::send(&child, libc::SIGUSR1);
        settle(child.pid());
    }
    event.set();
    assert_eq!(join(&child).unwrap(), [1]);
}
