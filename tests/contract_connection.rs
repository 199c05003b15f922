//! Do connections carry handles and descriptors, and can they be polled, between processes?
//!
//! The ids at the end of the test names are the rows of the contract.

#![allow(unsafe_code)]

mod common;

use common::{LONG, die, join, kill, park};
use rustix::event::epoll::{self, EventData, EventFlags};
use serde::{Deserialize, Serialize};
use shmkit::{
    Array, Connection, Lock, Pipe, PipeOptions, Process, Receiver, RecvError, Region, SendError,
    Sender, Value, ring,
};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// One of each.
#[allow(clippy::large_enum_variant, reason = "each test has a handful")]
#[derive(Serialize, Deserialize)]
enum Parcel {
    Lock(Lock<u64>),
    Numbers(Value<u64>, Array<u32>),
    Region(Region),
    Connection(Connection<u32>),
    Sender(Sender<String>),
    Receiver(Receiver<String>),
    Ring(ring::Producer<u64>),
    Records(ring::RecordConsumer),
    Many(Vec<Lock<u64>>),
    Plain(u32),
    Nothing,
}

fn pipe() -> (Connection<Parcel>, Connection<Parcel>) {
    Pipe::new().unwrap()
}

fn recv(c: &Connection<Parcel>) -> Parcel {
    c.recv_timeout(LONG).unwrap()
}

/// Uses what it gets, and says so with a `Plain`.
fn user(c: Connection<Parcel>) {
    while let Ok(parcel) = c.recv() {
        let answer = match parcel {
            Parcel::Lock(lock) => {
                *lock.lock().unwrap() += 1;
                1
            }
            Parcel::Numbers(value, array) => {
                value.set(5).unwrap();
                array.set(1, 6).unwrap();
                2
            }
            Parcel::Region(region) => region.participants().len() as u32,
            Parcel::Connection(inner) => {
                let n = inner.recv().unwrap();
                inner.send(n + 1).unwrap();
                4
            }
            Parcel::Sender(sender) => {
                sender.send("from the other side".into()).unwrap();
                5
            }
            Parcel::Receiver(receiver) => receiver.recv().unwrap().len() as u32,
            Parcel::Ring(mut producer) => {
                producer.try_push(7).unwrap();
                7
            }
            Parcel::Records(mut consumer) => consumer.try_receive().unwrap().len() as u32,
            Parcel::Many(locks) => {
                locks.iter().for_each(|lock| *lock.lock().unwrap() += 1);
                locks.len() as u32
            }
            Parcel::Plain(n) => n,
            Parcel::Nothing => 0,
        };
        c.send(Parcel::Plain(answer)).unwrap();
    }
}

#[track_caller]
fn ask(c: &Connection<Parcel>, parcel: Parcel) -> u32 {
    c.send(parcel).unwrap();
    match recv(c) {
        Parcel::Plain(n) => n,
        _ => panic!("no answer"),
    }
}

#[test]
fn every_shared_object_travels_through_a_connection_and_is_usable_x19() {
    let (here, there) = pipe();
    let child = Process::spawn((there,), user).unwrap();

    let lock = Lock::new(41).unwrap();
    assert_eq!(ask(&here, Parcel::Lock(lock.clone())), 1);
    assert_eq!(*lock.lock().unwrap(), 42);

    let (value, array) = (Value::new(0).unwrap(), Array::zeroed(2).unwrap());
    assert_eq!(ask(&here, Parcel::Numbers(value.clone(), array.clone())), 2);
    assert_eq!((value.get(), array.get(1)), (5, Some(6)));

    let region = Region::new(1 << 16).unwrap();
    assert_eq!(ask(&here, Parcel::Region(region.clone())), 2);

    let (mine, yours) = Pipe::new().unwrap();
    mine.send(10).unwrap();
    assert_eq!(ask(&here, Parcel::Connection(yours)), 4);
    assert_eq!(mine.recv_timeout(LONG).unwrap(), 11);
    assert!(matches!(mine.recv_timeout(LONG), Err(RecvError::Disconnected)));

    let (receiver, sender) = Pipe::simplex().unwrap();
    assert_eq!(ask(&here, Parcel::Sender(sender)), 5);
    assert_eq!(receiver.recv_timeout(LONG).unwrap(), "from the other side");

    let (receiver, sender) = Pipe::simplex().unwrap();
    sender.send("12345".into()).unwrap();
    assert_eq!(ask(&here, Parcel::Receiver(receiver)), 5);

    let (producer, mut consumer) = ring::spsc(4).unwrap();
    assert_eq!(ask(&here, Parcel::Ring(producer)), 7);
    assert_eq!(consumer.try_pop().unwrap(), 7);

    let (mut producer, consumer) = ring::record(256).unwrap();
    producer.try_send(b"eight..!").unwrap();
    assert_eq!(ask(&here, Parcel::Records(consumer)), 8);

    assert_eq!(ask(&here, Parcel::Plain(3)), 3);
    drop(here);
    join(&child).unwrap();
}

#[test]
fn connections_travel_through_connections_at_any_depth_x19() {
    fn depth(c: Connection<Parcel>) -> u32 {
        let mut inner = match c.recv().unwrap() {
            Parcel::Connection(inner) => inner,
            _ => return 0,
        };
        for _ in 0..3 {
            // A hop through a pipe of our own.
            let (a, b) = pipe();
            a.send(Parcel::Connection(inner)).unwrap();
            inner = match b.recv().unwrap() {
                Parcel::Connection(inner) => inner,
                _ => return 0,
            };
        }
        let n = inner.recv().unwrap();
        inner.send(n + 1).unwrap();
        n
    }
    let (here, there) = pipe();
    let child = Process::spawn((there,), depth).unwrap();
    let (mine, yours) = Pipe::new().unwrap();
    here.send(Parcel::Connection(yours)).unwrap();
    mine.send(20).unwrap();
    assert_eq!(mine.recv_timeout(LONG).unwrap(), 21);
    assert_eq!(join(&child).unwrap(), 20);
}

#[test]
fn a_connection_that_came_with_a_message_carries_handles_too_x19() {
    fn second(c: Connection<Parcel>) {
        match c.recv().unwrap() {
            Parcel::Many(locks) => *locks[0].lock().unwrap() += 1,
            _ => panic!("no lock"),
        }
    }
    fn first(c: Connection<Connection<Parcel>>) {
        second(c.recv().unwrap());
    }
    let (here, there) = Pipe::new().unwrap();
    let child = Process::spawn((there,), first).unwrap();
    let (mine, yours) = pipe();
    here.send(yours).unwrap();
    let lock = Lock::new(1).unwrap();
    mine.send(Parcel::Many(vec![lock.clone()])).unwrap();
    join(&child).unwrap();
    assert_eq!(*lock.lock().unwrap(), 2);
}

#[test]
fn handles_and_plain_messages_and_fragments_keep_their_order() {
    let options = PipeOptions::new().capacity_bytes(4096);
    let (here, there) = options.duplex::<(Vec<u8>, Option<Value<u32>>)>().unwrap();
    let child = Process::spawn((there,), |c: Connection<(Vec<u8>, Option<Value<u32>>)>| {
        let mut n = 0;
        while let Ok((bytes, value)) = c.recv() {
            assert!(bytes.iter().all(|byte| *byte == n as u8), "message {n}");
            if let Some(value) = value {
                assert_eq!(value.get(), n, "the handle of another message");
                value.set(1000 + n).unwrap();
            }
            n += 1;
        }
        n
    });
    let child = child.unwrap();
    let mut values = Vec::new();
    for n in 0..200u32 {
        // Some in one piece, some in many, each kind with a handle and without.
        let bytes = vec![n as u8; if n % 3 == 0 { 20_000 } else { n as usize }];
        let value = (n % 2 == 0).then(|| Value::new(n).unwrap());
        values.extend(value.clone());
        here.send_timeout((bytes, value), LONG).unwrap();
    }
    drop(here);
    assert_eq!(join(&child).unwrap(), 200);
    for (i, value) in values.iter().enumerate() {
        assert_eq!(value.get(), 1000 + 2 * i as u32);
    }
}

#[test]
fn more_descriptors_than_the_socket_holds_wait_for_the_receiver() {
    let (here, there) = PipeOptions::new().capacity_bytes(1 << 20).duplex::<()>().unwrap();
    let file = File::open("/dev/null").unwrap();
    let mut sent = 0u32;
    let refused = loop {
        match here.try_send_fd(&file) {
            Ok(()) => sent += 1,
            Err(refused) => break refused,
        }
        assert!(sent < 100_000);
    };
    assert!(sent > 0 && matches!(refused, SendError::Full(())), "{sent}, {refused:?}");
    let refused = here.send_fd_timeout(&file, Duration::from_millis(20));
    assert!(matches!(refused, Err(SendError::Timeout(()))), "{refused:?}");
    here.send_bytes(b"no descriptor").unwrap();
    let child = Process::spawn((there,), |c: Connection<()>| {
        let mut seen = Vec::new();
        loop {
            match c.recv_fd() {
                Ok(_) => seen.push(true),
                Err(RecvError::Decode(_)) => seen.push(false),
                Err(RecvError::Disconnected) => return seen,
                Err(other) => panic!("{other}"),
            }
        }
    });
    let child = child.unwrap();
    here.send_fd_timeout(&file, LONG).unwrap();
    drop(here);
    let seen = join(&child).unwrap();
    let whole = |n: usize| n != sent as usize;
    assert!(seen.iter().enumerate().all(|(n, is_fd)| *is_fd == whole(n)), "{seen:?}");
    assert_eq!(seen.len(), sent as usize + 2);
}

#[test]
fn as_many_handles_to_one_region_are_on_their_way_as_it_has_participants() {
    let (here, there) = Pipe::<Value<u32>>::new().unwrap();
    let value = Value::new(0).unwrap();
    let mut sent = 0;
    loop {
        match here.send(value.clone()) {
            Ok(()) => sent += 1,
            Err(SendError::Encode(value, why)) => {
                assert!(why.contains("128") && value.get() == 0, "{why}");
                break;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(sent, 127);
    for _ in 0..sent {
        there.recv().unwrap().fetch_add(1);
    }
    here.send(value.clone()).unwrap();
    there.recv().unwrap().fetch_add(1);
    assert_eq!(value.get(), 128);
}

#[test]
fn a_send_that_fails_leaves_what_it_should_have_moved() {
    let options = PipeOptions::new().capacity_bytes(4096);
    let (here, there) = options.duplex::<(Vec<u8>, Sender<String>)>().unwrap();
    let (receiver, sender) = Pipe::<String>::simplex().unwrap();
    let (_, sender) = match here.try_send((vec![0; 100_000], sender)) {
        Err(SendError::TooLarge(value)) => value,
        other => panic!("{other:?}"),
    };
    // Half of it goes into the pipe, without the handle.
    let (_, sender) = match here.send_timeout((vec![0; 100_000], sender), Duration::from_millis(5))
    {
        Err(SendError::Timeout(value)) => value,
        other => panic!("{other:?}"),
    };
    sender.send("still mine".into()).unwrap();
    assert_eq!(receiver.recv().unwrap(), "still mine");
    // The stream goes on, and the handle with it.
    let child = Process::spawn((there,), |c: Connection<(Vec<u8>, Sender<String>)>| {
        let (bytes, sender) = c.recv().unwrap();
        sender.send(bytes.len().to_string()).unwrap();
    });
    let child = child.unwrap();
    here.send_timeout((vec![1; 9], sender), LONG).unwrap();
    assert_eq!(receiver.recv_timeout(LONG).unwrap(), "9");
    join(&child).unwrap();

    let (here, there) = Pipe::<Sender<String>>::new().unwrap();
    drop(there);
    let (receiver, sender) = Pipe::simplex().unwrap();
    match here.send(sender) {
        Err(SendError::Disconnected(sender)) => sender.send("mine again".into()).unwrap(),
        other => panic!("{other:?}"),
    }
    assert_eq!(receiver.recv().unwrap(), "mine again");
}

#[test]
fn a_lent_end_stays_and_comes_back() {
    let (here, _there) = Pipe::<Sender<String>>::new().unwrap();
    let (receiver, sender) = PipeOptions::new().simplex::<String>().unwrap();
    sender.send("before".into()).unwrap();
    let (elsewhere, e) = Pipe::<Receiver<String>>::new().unwrap();
    elsewhere.send(receiver).unwrap();
    let receiver = e.recv().unwrap();
    assert_eq!(receiver.recv().unwrap(), "before");
    let too_many = (0..300).map(|_| Lock::new(0).unwrap()).collect();
    let (packer, _p) = pipe();
    match packer.send(Parcel::Many(too_many)) {
        Err(SendError::Encode(Parcel::Many(locks), why)) => {
            assert!(locks.len() == 300 && why.contains("253"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    drop((here, sender));
}

#[test]
fn a_hundred_handles_travel_in_one_message() {
    let (here, there) = pipe();
    let child = Process::spawn((there,), user).unwrap();
    let locks: Vec<_> = (0..100).map(|n| Lock::new(n).unwrap()).collect();
    assert_eq!(ask(&here, Parcel::Many(locks.clone())), 100);
    assert!(locks.iter().zip(1..).all(|(lock, n)| *lock.lock().unwrap() == n));
    drop(here);
    join(&child).unwrap();
}

#[test]
fn what_a_dead_sender_sent_is_usable_when_it_is_received() {
    fn last_will(c: Connection<Parcel>) {
        let lock = Lock::new(9).unwrap();
        let (mine, yours) = Pipe::new().unwrap();
        mine.send(8).unwrap();
        c.send(Parcel::Lock(lock)).unwrap();
        c.send(Parcel::Connection(yours)).unwrap();
        die();
    }
    let (here, there) = pipe();
    let child = Process::spawn((there,), last_will).unwrap();
    let _ = join(&child);
    match recv(&here) {
        Parcel::Lock(lock) => assert_eq!(*lock.lock().unwrap(), 9),
        _ => panic!("no lock"),
    }
    match recv(&here) {
        Parcel::Connection(c) => {
            assert_eq!(c.recv().unwrap(), 8);
            assert!(matches!(c.recv(), Err(RecvError::Disconnected)));
        }
        _ => panic!("no connection"),
    }
    assert!(matches!(here.recv(), Err(RecvError::Disconnected)));
}

#[test]
fn an_end_on_its_way_to_a_receiver_that_is_killed_is_dead() {
    fn never_receives(c: Connection<Parcel>) {
        c.send(Parcel::Nothing).unwrap();
        park();
    }
    let (here, there) = pipe();
    let child = Process::spawn((there,), never_receives).unwrap();
    recv(&here);
    let (receiver, sender) = Pipe::<String>::simplex().unwrap();
    here.send(Parcel::Sender(sender)).unwrap();
    assert!(matches!(receiver.try_recv(), Err(RecvError::Empty)), "it is on its way");
    kill(&child);
    assert!(matches!(receiver.recv_timeout(LONG), Err(RecvError::Disconnected)));
}

#[test]
fn a_message_read_as_bytes_drops_its_handles_and_no_others() {
    let (here, there) = pipe();
    let (receiver, sender) = Pipe::<String>::simplex().unwrap();
    let lock = Lock::new(3).unwrap();
    here.send(Parcel::Sender(sender)).unwrap();
    here.send(Parcel::Lock(lock.clone())).unwrap();
    assert!(!there.recv_bytes().unwrap().is_empty());
    assert!(matches!(receiver.recv_timeout(LONG), Err(RecvError::Disconnected)));
    match recv(&there) {
        Parcel::Lock(lock) => assert_eq!(*lock.lock().unwrap(), 3),
        _ => panic!("no lock"),
    }
    assert!(matches!(there.try_recv(), Err(RecvError::Empty)));
}

#[test]
fn the_halves_of_a_connection_carry_handles_from_two_processes() {
    let (here, there) = pipe();
    let (receiver, sender) = there.split();
    let a = Process::spawn((sender,), |s: Sender<Parcel>| {
        s.send(Parcel::Lock(Lock::new(1).unwrap())).unwrap();
    });
    let b = Process::spawn((receiver,), |r: Receiver<Parcel>| match r.recv().unwrap() {
        Parcel::Lock(lock) => *lock.lock().unwrap(),
        _ => 0,
    });
    here.send(Parcel::Lock(Lock::new(2).unwrap())).unwrap();
    match recv(&here) {
        Parcel::Lock(lock) => assert_eq!(*lock.lock().unwrap(), 1),
        _ => panic!("no lock"),
    }
    assert_eq!(join(&b.unwrap()).unwrap(), 2);
    join(&a.unwrap()).unwrap();
}

#[test]
fn descriptors_travel_through_connections_test_fd_transfer() {
    fn writer(c: Connection<()>) -> bool {
        let mut file = File::from(c.recv_fd().unwrap());
        file.write_all(b"bar").unwrap();
        c.send_fd(&file).unwrap();
        matches!(c.recv_fd(), Err(RecvError::Disconnected))
    }
    let (here, there) = Pipe::<()>::new().unwrap();
    let child = Process::spawn((there,), writer).unwrap();
    let (mut read, write) = std::io::pipe().unwrap();
    here.send_fd(&write).unwrap();
    drop(write);
    drop(here.recv_fd_timeout(LONG).unwrap());
    drop(here);
    assert!(join(&child).unwrap());
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    assert_eq!(text, "bar", "and no descriptor of the pipe is left anywhere");
}

#[test]
fn a_received_descriptor_is_close_on_exec_and_of_the_same_file() {
    let (here, there) = Pipe::<u32>::new().unwrap();
    let file = File::open("/proc/self/exe").unwrap();
    here.try_send_fd(&file).unwrap();
    here.send_fd_timeout(&file, LONG).unwrap();
    let got = there.try_recv_fd().unwrap();
    let flags = rustix::io::fcntl_getfd(&got).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    let inode = |fd: &dyn AsRawFd| {
        std::fs::metadata(format!("/proc/self/fd/{}", fd.as_raw_fd()))
            .map(|m| std::os::unix::fs::MetadataExt::ino(&m))
            .unwrap()
    };
    assert_eq!(inode(&got), inode(&file));
    assert!(matches!(there.recv(), Err(RecvError::Decode(_))), "it was no value");
    here.send(5).unwrap();
    assert!(matches!(there.recv_fd(), Err(RecvError::Decode(_))), "and that no descriptor");
    assert!(matches!(there.try_recv_fd(), Err(RecvError::Empty)));
}

#[test]
fn unreceived_descriptors_are_closed_with_the_pipe() {
    let (mut read, write) = std::io::pipe().unwrap();
    let (here, there) = Pipe::<()>::new().unwrap();
    for _ in 0..20 {
        here.send_fd(&write).unwrap();
    }
    drop(write);
    drop((here, there));
    assert_eq!(read.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_receiver_without_room_for_a_descriptor_loses_that_message_only() {
    fn tight(c: Connection<u32>) -> (String, bool, u32) {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        c.recv().unwrap();
        let limit = getrlimit(Resource::Nofile);
        let lowest_free = File::open("/dev/null").unwrap().as_raw_fd() as u64;
        let full = Rlimit { current: Some(lowest_free), maximum: limit.maximum };
        setrlimit(Resource::Nofile, full).unwrap();
        let refused = c.recv_fd();
        setrlimit(Resource::Nofile, limit).unwrap();
        (format!("{refused:?}"), c.recv_fd().is_ok(), c.recv().unwrap())
    }
    let (here, there) = Pipe::<u32>::new().unwrap();
    let child = Process::spawn((there,), tight).unwrap();
    let file = File::open("/dev/null").unwrap();
    here.send(0).unwrap();
    here.send_fd(&file).unwrap();
    here.send_fd(&file).unwrap();
    here.send(7).unwrap();
    let (refused, next, value) = join(&child).unwrap();
    assert!(refused.starts_with("Err(Os(") && refused.contains("24"), "{refused}");
    assert_eq!((next, value), (true, 7));
}

/// A real `epoll` loop around one descriptor.
struct Loop {
    set: OwnedFd,
}

impl Loop {
    fn around(fd: impl AsFd, how: EventFlags) -> Loop {
        let set = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        epoll::add(&set, fd, EventData::new_u64(1), EventFlags::IN | how).unwrap();
        Loop { set }
    }

    fn wait(&self, timeout: Duration) -> bool {
        let timeout = rustix::event::Timespec::try_from(timeout).unwrap();
        let mut events = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }];
        epoll::wait(&self.set, &mut events[..], Some(&timeout)).unwrap() == 1
    }

    fn is_ready(&self) -> bool {
        self.wait(Duration::ZERO)
    }

    #[track_caller]
    fn sleep(&self) {
        assert!(self.wait(LONG), "nobody woke the loop");
    }
}

fn is_empty<T: shmkit::Message>(c: &Connection<T>) -> bool {
    matches!(c.try_recv(), Err(RecvError::Empty))
}

#[test]
fn a_polled_connection_is_readable_exactly_while_there_is_something_x10() {
    let (here, there) = Pipe::<u32>::new().unwrap();
    here.send(1).unwrap();
    let polled = Loop::around(&there, EventFlags::empty());
    assert!(polled.is_ready(), "what was there before the descriptor was asked for counts");
    assert_eq!(there.recv().unwrap(), 1);
    assert!(is_empty(&there));
    for round in 0..3 {
        assert!(!polled.is_ready(), "round {round}");
        for n in 0..3 {
            here.send(n).unwrap();
        }
        for n in 0..3 {
            assert!(polled.is_ready(), "round {round}: level, not edge");
            assert_eq!(there.recv().unwrap(), n);
        }
        assert!(is_empty(&there));
    }
    assert!(!there.poll(Duration::ZERO).unwrap() && !polled.is_ready());
    drop(here);
    for _ in 0..3 {
        assert!(polled.is_ready(), "the end of the stream");
        assert!(matches!(there.try_recv(), Err(RecvError::Disconnected)));
    }
}

#[test]
fn an_edge_triggered_loop_sees_each_burst_x10() {
    let (here, there) = Pipe::<u32>::new().unwrap();
    let polled = Loop::around(&there, EventFlags::ET);
    polled.sleep();
    assert!(is_empty(&there));
    for round in 0..100 {
        here.send(round).unwrap();
        here.send(round).unwrap();
        polled.sleep();
        assert_eq!((there.recv().unwrap(), there.recv().unwrap()), (round, round));
        assert!(is_empty(&there));
    }
}

#[test]
fn an_epoll_loop_gets_everything_from_another_process_and_its_end_x10() {
    const COUNT: u32 = 20_000;
    for way in 0..2 {
        let (here, there) = Pipe::<u32>::new().unwrap();
        let child = Process::spawn((there, way), |c: Connection<u32>, way: u32| {
            for n in 0..COUNT {
                c.send(n).unwrap();
                if n % 64 == 0 {
                    std::thread::yield_now();
                }
            }
            if way == 1 {
                die();
            }
        });
        let child = child.unwrap();
        let polled = Loop::around(&here, EventFlags::empty());
        let (mut next, mut vain) = (0, 0);
        'all: loop {
            polled.sleep();
            let before = next;
            // At most so many at a time: the rest must keep the descriptor readable.
            for _ in 0..7 {
                match here.try_recv() {
                    Ok(n) => assert_eq!(n, next),
                    Err(RecvError::Empty) => break,
                    Err(RecvError::Disconnected) => break 'all,
                    Err(other) => panic!("{other}"),
                }
                next += 1;
            }
            vain += u32::from(before == next);
        }
        assert_eq!(next, COUNT, "way {way}");
        assert!(vain <= COUNT / 2, "{vain} wake-ups in vain");
        let _ = join(&child);
    }
}

#[test]
fn blocking_calls_between_polls_leave_the_descriptor_right() {
    let (here, there) = Pipe::<u32>::new().unwrap();
    let child = Process::spawn((there,), |c: Connection<u32>| {
        let mut n = 0;
        while let Ok(asked) = c.recv() {
            for _ in 0..asked {
                c.send(n).unwrap();
                n += 1;
            }
        }
    });
    let child = child.unwrap();
    let polled = Loop::around(&here, EventFlags::empty());
    let mut next = 0;
    for round in 0..200u32 {
        here.send(3).unwrap();
        if round % 2 == 0 {
            assert_eq!(here.recv_timeout(LONG).unwrap(), next);
            next += 1;
        }
        while next % 3 != 0 || round % 2 == 1 && next < 3 * (round + 1) {
            polled.sleep();
            if let Ok(n) = here.try_recv() {
                assert_eq!(n, next);
                next += 1;
            }
        }
        assert_eq!(next, 3 * (round + 1));
        if round % 5 == 0 {
            assert!(is_empty(&here) && !polled.is_ready());
        }
    }
    drop(here);
    join(&child).unwrap();
}

#[test]
fn a_polled_connection_still_carries_handles() {
    let (here, there) = pipe();
    let polled = Loop::around(&there, EventFlags::empty());
    for n in 0..50 {
        while let Ok(parcel) = there.try_recv() {
            assert!(matches!(parcel, Parcel::Lock(_)));
        }
        assert!(!polled.is_ready());
        for m in 0..1 + n % 3 {
            here.send(Parcel::Lock(Lock::new(m).unwrap())).unwrap();
        }
        for m in 0..1 + n % 3 {
            assert!(polled.is_ready());
            match there.recv().unwrap() {
                Parcel::Lock(lock) => assert_eq!(*lock.lock().unwrap(), m),
                _ => panic!("no lock"),
            }
        }
    }
}

#[test]
fn two_connections_in_one_loop_are_told_apart_x13() {
    let (a, a_there) = Pipe::<u32>::new().unwrap();
    let (b, b_there) = Pipe::<u32>::new().unwrap();
    let set = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    for (n, c) in [&a, &b].into_iter().enumerate() {
        assert!(is_empty(c));
        epoll::add(&set, c.poll_fd().unwrap(), EventData::new_u64(n as u64), EventFlags::IN)
            .unwrap();
        assert!(is_empty(c));
    }
    let child = Process::spawn((a_there, b_there), |a: Connection<u32>, b: Connection<u32>| {
        for n in 0..100 {
            (if n % 3 == 0 { &a } else { &b }).send(n).unwrap();
        }
    });
    let child = child.unwrap();
    let mut got = Vec::new();
    let mut open = 2;
    while open > 0 {
        let mut events = [epoll::Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }];
        let timeout = rustix::event::Timespec::try_from(LONG).unwrap();
        assert_eq!(epoll::wait(&set, &mut events[..], Some(&timeout)).unwrap(), 1);
        let which = events[0].data.u64();
        match (if which == 0 { &a } else { &b }).try_recv() {
            Ok(n) => {
                assert_eq!(n % 3 == 0, which == 0);
                got.push(n);
            }
            Err(RecvError::Empty) => {}
            Err(RecvError::Disconnected) => {
                open -= 1;
                let c = if which == 0 { &a } else { &b };
                epoll::delete(&set, c.poll_fd().unwrap()).unwrap();
            }
            Err(other) => panic!("{other}"),
        }
    }
    got.sort_unstable();
    assert!(got.into_iter().eq(0..100));
    join(&child).unwrap();
}

#[test]
fn an_end_that_travels_within_its_process_outlives_the_handle_that_sent_it() {
    let (here, there) = Pipe::<Connection<u32>>::new().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while let Ok(c) = there.recv() {
                let n = c.recv_timeout(LONG).unwrap();
                c.send(n + 1).unwrap();
            }
        });
        for n in 0..300 {
            let (mine, yours) = Pipe::new().unwrap();
            mine.send(n).unwrap();
            here.send(yours).unwrap(); // and drops it, while the other thread may have it already
            assert_eq!(mine.recv_timeout(LONG).unwrap(), n + 1);
        }
        drop(here);
    });
}
