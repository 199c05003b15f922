//! Do pipes survive kills, forks, failed transfers and misuse?

mod common;

use common::{LONG, fork, go_on, join, kill, park, reap, stop};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use shmkit::{
    Connection, Error, Message, Pipe, PipeOptions, Process, ProcessError, Receiver, RecvError,
    Region, RegionOptions, SendError, Sender, Value, ring,
};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::time::Duration;

/// Far more than a pipe holds. As text, which is encoded as a whole, where it is sent in full.
const HUGE: usize = 64 << 20;

#[test]
fn a_sender_killed_in_the_middle_of_a_stream_leaves_no_part_of_its_message() {
    for polls in [0, 1, 3, 10, 100] {
        let (here, there) = Pipe::<Vec<u8>>::new().unwrap();
        let child = Process::spawn((there,), |c: Connection<Vec<u8>>| {
            c.send(b"whole".to_vec()).unwrap();
            c.send(vec![1; HUGE]).unwrap();
        })
        .unwrap();
        assert_eq!(here.recv_timeout(LONG).unwrap(), b"whole");
        // Each takes some fragments out; far fewer than there are.
        for _ in 0..polls {
            assert!(!here.poll(Duration::from_micros(100)).unwrap());
        }
        kill(&child);
        assert!(here.poll(LONG).unwrap());
        assert!(matches!(here.recv(), Err(RecvError::Disconnected)), "after {polls} polls");
        assert!(matches!(here.send(Vec::new()), Err(SendError::Disconnected(_))));
    }
}

#[test]
fn a_receiver_killed_in_the_middle_of_a_stream_gives_the_message_back() {
    let (here, there) = Pipe::<String>::new().unwrap();
    let (progress, report) = Pipe::<()>::simplex().unwrap();
    let child = Process::spawn((there, report), |c: Connection<String>, report: Sender<()>| {
        for _ in 0..20 {
            assert!(!c.poll(Duration::from_micros(100)).unwrap());
        }
        report.send(()).unwrap();
        park()
    })
    .unwrap();
    std::thread::scope(|scope| {
        let sending = scope.spawn(move || here.send("7".repeat(HUGE)));
        progress.recv_timeout(LONG).unwrap();
        kill::<()>(&child);
        match sending.join().unwrap() {
            Err(SendError::Disconnected(back)) => assert!(back == "7".repeat(HUGE)),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_stopped_receiver_is_not_a_dead_one() {
    let (here, there) = Pipe::<Vec<u8>>::new().unwrap();
    let child = Process::spawn((there,), |c: Connection<Vec<u8>>| {
        c.send(Vec::new()).unwrap();
        c.recv().unwrap().len()
    });
    let child = child.unwrap();
    here.recv_timeout(LONG).unwrap();
    stop(&child);
    let late = here.send_timeout(vec![1; 1 << 20], Duration::from_millis(200));
    assert!(matches!(late, Err(SendError::Timeout(back)) if back.len() == 1 << 20));
    assert!(matches!(here.recv_timeout(Duration::from_millis(60)), Err(RecvError::Timeout)));
    go_on(&child);
    here.send(vec![2; 3 << 20]).unwrap();
    assert_eq!(join(&child).unwrap(), 3 << 20, "the message given up left nothing");
}

#[test]
fn a_message_given_up_half_way_is_never_seen_and_the_next_ones_are_whole() {
    let options = PipeOptions::new().capacity_bytes(4096);
    let (receiver, mut sender) = options.simplex::<Vec<u8>>().unwrap();
    for round in 0..200u32 {
        let len = 2000 + round as usize * 37;
        let late = sender.send_timeout(vec![0xee; 20_000], Duration::from_millis(1));
        assert!(matches!(late, Err(SendError::Timeout(_))));
        if round.is_multiple_of(3) {
            assert!(!receiver.poll(Duration::ZERO).unwrap());
        }
        // Short ones in one record, long ones streamed while this thread reads.
        let sending = std::thread::spawn(move || {
            sender.send(vec![round as u8; len]).unwrap();
            sender
        });
        assert!(receiver.recv_timeout(LONG).unwrap() == vec![round as u8; len], "{round}");
        sender = sending.join().unwrap();
    }
}

#[test]
fn an_end_passed_on_with_a_message_half_received_receives_the_rest() {
    let (receiver, sender) = Pipe::<Vec<u8>>::simplex().unwrap();
    let writer = Process::spawn((sender,), |s: Sender<Vec<u8>>| {
        s.send(vec![9; 1 << 20]).unwrap();
        s.send(b"next".to_vec()).unwrap();
    });
    for _ in 0..5 {
        assert!(!receiver.poll(Duration::from_micros(100)).unwrap());
    }
    let reader = Process::spawn((receiver,), |r: Receiver<Vec<u8>>| {
        assert!(r.recv().unwrap() == vec![9; 1 << 20]);
        r.recv().unwrap()
    });
    assert_eq!(join(&reader.unwrap()).unwrap(), b"next");
    join(&writer.unwrap()).unwrap();
}

#[test]
fn an_end_passed_on_with_a_message_looked_at_receives_it_once() {
    let (receiver, sender) = Pipe::<Vec<u8>>::simplex().unwrap();
    let writer = Process::spawn((sender,), |s: Sender<Vec<u8>>| s.send(vec![9; 1 << 20]).unwrap());
    assert!(receiver.poll(LONG).unwrap());
    join(&writer.unwrap()).unwrap();
    let receiver = Shared(Rc::new(RefCell::new(receiver)));
    let reader = Process::spawn((receiver.clone(),), |r: Shared<Receiver<Vec<u8>>>| {
        let r = r.0.borrow();
        (r.recv().unwrap().len(), matches!(r.recv(), Err(RecvError::Disconnected)))
    });
    assert_eq!(join(&reader.unwrap()).unwrap(), (1 << 20, true));
    assert!(receiver.0.borrow().try_recv().is_err(), "what was passed on was received here too");
}

/// Something of which a copy stays here when it is passed on.
struct Shared<T>(Rc<RefCell<T>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared(Rc::clone(&self.0))
    }
}

impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.borrow().serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Shared(Rc::new(RefCell::new(T::deserialize(deserializer)?))))
    }
}

/// Fails to encode, in one way or the other.
#[derive(Clone, Copy)]
struct Trap {
    panics: bool,
}

impl Serialize for Trap {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        assert!(!self.panics, "on purpose");
        Err(serde::ser::Error::custom("a trap"))
    }
}

impl<'de> Deserialize<'de> for Trap {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Trap, D::Error> {
        Ok(Trap { panics: false })
    }
}

/// The end works on both sides: nothing was passed on.
fn assert_whole(a: &Connection<u32>, b: &Connection<u32>) {
    for (from, to) in [(a, b), (b, a)] {
        from.send(5).unwrap();
        assert_eq!(to.recv_timeout(LONG).unwrap(), 5);
    }
}

#[test]
fn a_start_that_fails_after_an_end_was_given_away_gives_it_back() {
    let (here, there) = Pipe::<u32>::new().unwrap();
    let there = Shared(Rc::new(RefCell::new(there)));
    for _ in 0..200 {
        let failed =
            Process::spawn((there.clone(), Trap { panics: false }), |_: Shared<_>, _| ()).map(drop);
        assert!(matches!(failed, Err(Error::Encode(_))));
        let failed = Process::builder()
            .current_dir("/nowhere")
            .spawn((there.clone(),), |_: Shared<Connection<u32>>| ())
            .map(drop);
        assert!(matches!(failed, Err(Error::Os(_))));
    }
    assert_whole(&here, &there.0.borrow());
}

#[test]
fn a_panic_while_an_end_is_given_away_gives_it_back() {
    let (here, there) = Pipe::<u32>::new().unwrap();
    let there = Shared(Rc::new(RefCell::new(there)));
    for _ in 0..200 {
        let arguments = (there.clone(), Trap { panics: true });
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            Process::spawn(arguments, |_: Shared<Connection<u32>>, _| ()).map(drop)
        }));
        assert!(panicked.is_err());
    }
    assert_whole(&here, &there.0.borrow());
    // No start is under way any more: a handle travels with the message that it is in.
    let (receiver, sender) = Pipe::<Value<u32>>::simplex().unwrap();
    sender.send(Value::new(1).unwrap()).unwrap();
    assert_eq!(receiver.recv().unwrap().get(), 1);
}

#[test]
fn an_end_with_a_message_lent_is_not_passed_on() {
    let (here, there) = Pipe::<u32>::new().unwrap();
    let there = Shared(Rc::new(RefCell::new(there)));
    let spawn = || Process::spawn((there.clone(),), |_: Shared<Connection<u32>>| ()).map(drop);
    {
        let end = there.0.borrow();
        let _loan = end.loan(8).unwrap();
        assert!(matches!(spawn(), Err(Error::Lent)));
    }
    here.send(1).unwrap();
    {
        let end = there.0.borrow();
        let _message = end.receive().unwrap();
        assert!(matches!(spawn(), Err(Error::Lent)));
    }
    assert_whole(&here, &there.0.borrow());
}

#[test]
fn more_processes_than_a_region_takes_are_refused_and_taken_again_later() {
    let region = RegionOptions::new(1 << 20).participants(3).anonymous().unwrap();
    let pipe = || PipeOptions::new().capacity_bytes(64).duplex_in::<u32>(&region).unwrap();
    let spawn = |end: Shared<Connection<u32>>| {
        Process::spawn((end,), |c: Shared<Connection<u32>>| {
            let c = c.0.borrow();
            while let Ok(n) = c.recv() {
                c.send(n).unwrap();
            }
        })
    };
    let share = |end| Shared(Rc::new(RefCell::new(end)));
    let (here, there) = pipe();
    let third = share(there);
    for _ in 0..20 {
        let ((a, a_there), (b, b_there)) = (pipe(), pipe());
        let one = spawn(share(a_there)).unwrap();
        let two = spawn(share(b_there)).unwrap();
        match spawn(third.clone()).map(drop) {
            Err(Error::TooManyParticipants { limit: 3 }) => {}
            other => panic!("{other:?}"),
        }
        for c in [&a, &b] {
            c.send(1).unwrap();
            assert_eq!(c.recv_timeout(LONG).unwrap(), 1);
        }
        kill(&one);
        drop(b);
        join(&two).unwrap();
    }
    assert_whole(&here, &third.0.borrow());
}

#[test]
fn a_child_that_dies_before_it_looks_at_its_arguments_ends_the_stream() {
    for _ in 0..20 {
        let (receiver, sender) = Pipe::<u32>::simplex().unwrap();
        let child = Process::spawn((Dead, sender), |_: Dead, _: Sender<u32>| ()).unwrap();
        assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
        assert!(matches!(join(&child), Err(ProcessError::Signaled { signal: 9, .. })));
    }
}

/// Kills the process that decodes it.
struct Dead;

impl Serialize for Dead {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl<'de> Deserialize<'de> for Dead {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Dead, D::Error> {
        common::die()
    }
}

// ---- forked children: each in a process of its own, which has one thread ----

fn run(body: fn()) {
    join(&Process::spawn((), body).unwrap()).unwrap();
}

#[test]
fn a_forked_child_may_not_use_the_ends_of_its_parent() {
    run(|| {
        let (a, b) = Pipe::<u32>::new().unwrap();
        a.send(1).unwrap();
        let mut b = Some(b);
        reap(fork(|| {
            let b = b.take().unwrap();
            assert!(matches!(b.try_recv(), Err(RecvError::WrongProcess)));
            assert!(matches!(b.recv(), Err(RecvError::WrongProcess)));
            assert!(matches!(b.poll(Duration::ZERO), Err(RecvError::WrongProcess)));
            assert!(matches!(a.send(2), Err(SendError::WrongProcess(2))));
            assert!(matches!(a.loan(2), Err(SendError::WrongProcess(()))));
            a.close();
        }));
        let b = b.unwrap();
        assert_eq!(b.recv_timeout(LONG).unwrap(), 1);
        a.send(3).unwrap();
        assert_eq!(b.recv_timeout(LONG).unwrap(), 3);
    });
}

#[test]
fn a_forked_child_does_not_receive_what_its_parent_has_looked_at() {
    run(|| {
        let (receiver, sender) = Pipe::<Vec<u8>>::simplex().unwrap();
        let writer = Process::spawn((sender,), |s: Sender<_>| s.send(vec![1; 1 << 20]).unwrap());
        assert!(receiver.poll(LONG).unwrap());
        reap(fork(|| assert!(matches!(receiver.recv(), Err(RecvError::WrongProcess)))));
        assert_eq!(receiver.recv().unwrap().len(), 1 << 20);
        writer.unwrap().join().unwrap();
    });
}

#[test]
fn a_forked_child_that_gives_back_what_its_parent_was_lent_moves_nothing() {
    run(|| {
        let (receiver, sender) = PipeOptions::new().capacity_bytes(64).simplex::<()>().unwrap();
        sender.send_bytes(b"lent").unwrap();
        let mut message = Some(receiver.receive().unwrap());
        let mut loan = Some(sender.loan(3).unwrap());
        let (mut wait, mut go) = std::io::pipe().unwrap();
        let child = fork(|| {
            wait.read_exact(&mut [0]).unwrap();
            drop(message.take());
            loan.take().unwrap().commit();
        });
        // The parent goes on, so that the child's positions are old ones.
        drop((message, loan));
        for n in 0..9 {
            sender.send_bytes(&[n]).unwrap();
            assert_eq!(receiver.recv_bytes().unwrap(), [n]);
        }
        sender.send_bytes(b"waits").unwrap();
        go.write_all(&[0]).unwrap();
        reap(child);
        sender.send_bytes(b"last").unwrap();
        assert_eq!(receiver.recv_bytes().unwrap(), b"waits");
        assert_eq!(receiver.recv_bytes().unwrap(), b"last");
        assert!(matches!(receiver.try_recv_bytes(), Err(RecvError::Empty)));
    });
}

#[test]
fn a_forked_child_that_gives_back_what_a_ring_of_its_parent_has_lent_moves_nothing() {
    run(|| {
        let (mut producer, mut consumer) = ring::spsc::<u32>(4).unwrap();
        let (mut writer, mut reader) = ring::record(64).unwrap();
        producer.try_push(1).unwrap();
        writer.try_send(b"1").unwrap();
        let mut room = writer.try_reserve(1).unwrap();
        room[0] = b'2';
        let mut lent = Some((
            consumer.try_peek(1).unwrap(),
            producer.try_reserve(1).unwrap(),
            reader.try_receive().unwrap(),
            room,
        ));
        let (mut wait, mut go) = std::io::pipe().unwrap();
        let child = fork(|| {
            wait.read_exact(&mut [0]).unwrap();
            let (peeked, reserved, record, room) = lent.take().unwrap();
            peeked.release(1);
            reserved.commit(1);
            drop(record);
            room.commit(1);
        });
        drop(lent); // pops the record
        assert_eq!(consumer.try_pop(), Ok(1));
        for n in 2..12u32 {
            producer.try_push(n).unwrap();
            assert_eq!(consumer.try_pop(), Ok(n));
            writer.try_send(&n.to_ne_bytes()).unwrap();
            assert_eq!(reader.try_receive().unwrap()[..], n.to_ne_bytes());
        }
        producer.try_push(12).unwrap();
        writer.try_send(b"12").unwrap();
        go.write_all(&[0]).unwrap();
        reap(child);
        producer.try_push(13).unwrap();
        writer.try_send(b"13").unwrap();
        assert_eq!((consumer.try_pop(), consumer.try_pop()), (Ok(12), Ok(13)));
        for text in [b"12", b"13"] {
            assert_eq!(reader.try_receive().unwrap()[..], text[..]);
        }
        assert!(consumer.try_pop().is_err() && reader.try_receive().is_err());
    });
}

#[test]
fn an_end_inherited_by_a_fork_starts_with_a_whole_message_when_the_parent_dies() {
    let (receiver, sender) = Pipe::<String>::simplex().unwrap();
    let (progress, report) = Pipe::<()>::simplex().unwrap();
    const ENDED: u64 = u64::MAX;
    let verdict = Value::new(0u64).unwrap();
    let parent = Process::spawn(
        (receiver, report, verdict.clone()),
        |r: Receiver<String>, report: Sender<()>, verdict: Value<u64>| {
            // Some fragments are here when it forks; the parent takes more, then dies.
            for _ in 0..3 {
                assert!(!r.poll(Duration::from_micros(100)).unwrap());
            }
            fork(|| {
                let received = loop {
                    match r.recv_timeout(LONG) {
                        Err(RecvError::WrongProcess) => std::thread::yield_now(),
                        other => break other,
                    }
                };
                let heard = match received {
                    Ok(bytes) => bytes.len() as u64,
                    Err(RecvError::Disconnected) => ENDED,
                    Err(why) => panic!("{why:?}"),
                };
                verdict.set(heard).unwrap();
            });
            report.send(()).unwrap();
            for _ in 0..3 {
                assert!(!r.poll(Duration::from_micros(100)).unwrap());
            }
            common::die()
        },
    );
    let sending = std::thread::spawn(move || {
        let _ = sender.send("1".repeat(HUGE));
        let _ = sender.send("2".repeat(3 << 20));
    });
    progress.recv_timeout(LONG).unwrap();
    assert!(matches!(join::<()>(&parent.unwrap()), Err(ProcessError::Signaled { signal: 9, .. })));
    sending.join().unwrap();
    let end = std::time::Instant::now() + LONG;
    while verdict.get() == 0 {
        assert!(std::time::Instant::now() < end, "the heir has heard nothing");
        std::thread::yield_now();
    }
    let whole = [HUGE as u64, 3 << 20, ENDED].contains(&verdict.get());
    assert!(whole, "the heir has received {} bytes", verdict.get());
}

#[test]
fn the_death_of_the_parent_is_seen_although_its_forked_child_lives() {
    let (here, there) = Pipe::<i32>::new().unwrap();
    let (end, held) = Pipe::<()>::simplex().unwrap();
    let child = Process::spawn((there, held), |c: Connection<i32>, held: Sender<()>| {
        let child = fork(|| {
            let _inherited = &held;
            common::be_silent();
            park()
        });
        c.send(child).unwrap();
        common::die()
    });
    let forked = here.recv_timeout(LONG).unwrap();
    assert!(matches!(here.recv_timeout(LONG), Err(RecvError::Disconnected)));
    assert!(matches!(end.recv_timeout(LONG), Err(RecvError::Disconnected)));
    assert!(join::<()>(&child.unwrap()).is_err());
    assert!(matches!(here.send(1), Err(SendError::Disconnected(1))));
    // SAFETY: plain calls; nobody else reaps the orphan but init, which may not be prompt.
    #[allow(unsafe_code)]
    unsafe {
        assert_eq!(libc::kill(forked, 0), 0, "the forked child is to live still");
        libc::kill(forked, libc::SIGKILL);
    }
}

// ---- misuse ----

#[test]
fn a_message_lent_when_its_end_is_closed_is_neither_sent_nor_received() {
    let (receiver, sender) = Pipe::<u32>::simplex().unwrap();
    let loan = sender.loan(4).unwrap();
    sender.close();
    loan.commit();
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));

    let (receiver, sender) = Pipe::<u32>::simplex().unwrap();
    sender.send_bytes(b"read").unwrap();
    let message = receiver.receive().unwrap();
    receiver.close();
    assert_eq!(message[..], *b"read");
    drop(message);
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
    assert!(matches!(sender.send(1), Err(SendError::Disconnected(1))));
}

#[test]
fn a_long_message_looked_at_is_gone_when_the_end_is_closed() {
    let (receiver, sender) = Pipe::<Vec<u8>>::simplex().unwrap();
    let child = Process::spawn((sender,), |s: Sender<_>| s.send(vec![1; 1 << 20]).unwrap());
    assert!(receiver.poll(LONG).unwrap());
    receiver.close();
    assert!(matches!(receiver.recv(), Err(RecvError::Disconnected)));
    join(&child.unwrap()).unwrap();
}

#[test]
fn forgotten_loans_and_messages_block_their_end_only() {
    let (a, b) = Pipe::<u32>::new().unwrap();
    a.send(1).unwrap();
    std::mem::forget(b.receive().unwrap());
    std::mem::forget(b.loan(8).unwrap());
    assert!(matches!(b.recv(), Err(RecvError::Busy)));
    assert!(matches!(b.send(1), Err(SendError::Busy(1))));
    assert!(matches!(b.poll(Duration::ZERO), Err(RecvError::Busy)));
    a.send(2).unwrap();
    assert!(matches!(a.try_recv(), Err(RecvError::Empty)));
    drop(b);
    assert!(matches!(a.recv(), Err(RecvError::Disconnected)));
    assert!(matches!(a.send(3), Err(SendError::Disconnected(3))));
}

#[test]
fn loans_of_no_byte_and_of_the_longest_message_pass_and_of_one_more_do_not() {
    for capacity in [0, 1, 63, 64, 4096, 65_536] {
        let (receiver, sender) =
            PipeOptions::new().capacity_bytes(capacity).simplex::<()>().unwrap();
        let longest = sender.max_loan_bytes();
        assert!(longest >= 24);
        for len in [0, 1, longest, 0, longest, longest] {
            sender.loan(len).unwrap().commit();
            assert_eq!(receiver.receive().unwrap().len(), len);
        }
        for len in [longest + 1, usize::MAX] {
            assert!(matches!(sender.loan(len), Err(SendError::TooLarge(()))), "{len}");
            assert!(matches!(sender.try_loan(len), Err(SendError::TooLarge(()))), "{len}");
        }
        let bytes = vec![1; longest + 1];
        assert!(matches!(sender.try_send_bytes(&bytes), Err(SendError::TooLarge(()))));
    }
}

#[test]
fn impossible_capacities_are_refused() {
    for capacity in [u64::MAX, 1 << 63, (1 << 48) + 1] {
        let made = PipeOptions::new().capacity_bytes(capacity).duplex::<()>();
        assert!(matches!(made, Err(Error::InvalidArgument(_))), "{capacity}");
    }
    let made = PipeOptions::new().capacity_bytes(1 << 46).simplex::<()>();
    assert!(matches!(made, Err(Error::NoMemory { .. } | Error::InvalidArgument(_))));
    let region = Region::new(4096).unwrap();
    let made = PipeOptions::new().duplex_in::<()>(&region);
    assert!(matches!(made, Err(Error::NoSpace)));
    assert!(PipeOptions::new().capacity_bytes(64).simplex_in::<()>(&region).is_ok());
}

#[test]
fn every_order_of_drops_ends_both_streams_once() {
    type Part = Option<Box<dyn std::any::Any>>;
    for order in 0..24 {
        let (a, b) = Pipe::<u32>::new().unwrap();
        a.send(1).unwrap();
        let ((ra, sa), (rb, sb)) = (a.split(), b.split());
        let mut parts: Vec<Part> =
            vec![Some(Box::new(ra)), Some(Box::new(sa)), Some(Box::new(rb)), Some(Box::new(sb))];
        let mut code = order;
        for left in (1..=4).rev() {
            let index = code % left;
            code /= left;
            drop(parts.remove(index));
        }
    }
    fn check<T: Message>(receiver: &Receiver<T>) -> bool {
        matches!(receiver.recv(), Err(RecvError::Disconnected))
    }
    let (receiver, sender) = Pipe::<u32>::simplex().unwrap();
    drop(sender);
    assert!(check(&receiver));
}

#[test]
fn ends_of_many_pipes_in_two_regions_do_not_mix() {
    let regions = [Region::new(1 << 20).unwrap(), Region::new(1 << 20).unwrap()];
    let (ours, theirs): (Vec<_>, Vec<_>) = (0..60)
        .map(|n| {
            let options = PipeOptions::new().capacity_bytes(256);
            options.duplex_in::<usize>(&regions[n % 2]).unwrap()
        })
        .unzip();
    let child = Process::spawn((theirs,), |ends: Vec<Connection<usize>>| {
        for (n, end) in ends.iter().enumerate().rev() {
            end.send(end.recv().unwrap() + 100 * n).unwrap();
        }
    });
    for (n, end) in ours.iter().enumerate() {
        end.send(n).unwrap();
    }
    for (n, end) in ours.iter().enumerate() {
        assert_eq!(end.recv_timeout(LONG).unwrap(), 101 * n);
    }
    join(&child.unwrap()).unwrap();
    assert!(ours.iter().all(|end| matches!(end.recv(), Err(RecvError::Disconnected))));
}
