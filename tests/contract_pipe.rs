//! Do pipes do what the behaviour contract says, between processes?
//!
//! The ids at the end of the test names are the rows of the contract.

mod common;

use common::{LONG, join, kill, park, send};
use serde::{Deserialize, Serialize};
use shmkit::{
    Connection, Error, Message, Pipe, PipeOptions, Process, ProcessError, Receiver, RecvError,
    SendError, Sender,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

/// Receives with a deadline.
fn recv<T: Message>(connection: &Connection<T>) -> T {
    connection.recv_timeout(LONG).unwrap()
}

fn echo(c: Connection<Vec<u8>>) {
    while let Ok(bytes) = c.recv() {
        c.send(bytes).unwrap();
    }
}

#[test]
fn both_ends_send_and_receive_whole_messages_in_order_c1() {
    let (here, there) = Pipe::<String>::new().unwrap();
    let child = Process::spawn((there,), |c: Connection<String>| {
        c.send("hi".into()).unwrap();
        let first = c.recv().unwrap();
        (first, (0..100).all(|n| c.recv().unwrap() == n.to_string()))
    });
    let child = child.unwrap();
    here.send("hello".into()).unwrap();
    assert_eq!(recv(&here), "hi");
    for n in 0..100 {
        here.send(n.to_string()).unwrap();
    }
    assert_eq!(join(&child).unwrap(), ("hello".to_string(), true));
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
fn a_value_that_cannot_be_encoded_fails_at_send_and_comes_back_c1() {
    let (here, there) = Pipe::<Option<Unencodable>>::new().unwrap();
    match here.send(Some(Unencodable)) {
        Err(SendError::Encode(Some(Unencodable), _)) => {}
        other => panic!("{other:?}"),
    }
    here.send(None).unwrap();
    assert!(there.recv_timeout(LONG).unwrap().is_none(), "the failure left nothing in the pipe");
}

#[test]
fn recv_waits_for_a_message_and_then_for_the_end_of_the_stream_c2() {
    let (here, there) = Pipe::<u32>::new().unwrap();
    let child = Process::spawn((there,), |c: Connection<u32>| {
        c.send(0).unwrap(); // about to wait
        let got = c.recv().unwrap();
        (got, matches!(c.recv(), Err(RecvError::Disconnected)))
    })
    .unwrap();
    assert_eq!(recv(&here), 0);
    assert!(matches!(here.try_recv(), Err(RecvError::Empty)));
    assert!(matches!(here.recv_timeout(Duration::from_millis(1)), Err(RecvError::Timeout)));
    here.send(7).unwrap();
    here.close();
    assert_eq!(join(&child).unwrap(), (7, true));
}

#[test]
fn what_was_sent_outlives_its_sender_and_what_it_left_unread_c2() {
    for way in 0..4 {
        let (here, there) = Pipe::<u32>::new().unwrap();
        here.send(99).unwrap(); // never read: Python's reader gets a reset for that
        let child = Process::spawn((there, way), |c: Connection<u32>, way: u32| {
            for n in 0..10 {
                c.send(n).unwrap();
            }
            match way {
                0 => drop(c),
                1 => c.close(),
                2 => std::process::exit(0),
                _ => common::die(),
            }
        });
        let _ = join(&child.unwrap());
        for n in 0..10 {
            assert_eq!(recv(&here), n, "way {way}");
        }
        for _ in 0..3 {
            assert!(matches!(here.recv(), Err(RecvError::Disconnected)), "way {way}");
        }
    }
}

#[test]
fn an_end_does_not_receive_its_own_messages_c3() {
    let (a, b) = Pipe::<u32>::new().unwrap();
    a.send(1).unwrap();
    assert!(!a.poll(Duration::ZERO).unwrap());
    assert!(matches!(a.try_recv(), Err(RecvError::Empty)));
    assert!(b.poll(Duration::ZERO).unwrap());
}

#[test]
fn a_simplex_pipe_leads_from_the_sender_to_the_receiver_c4() {
    let (receiver, sender): (Receiver<u64>, Sender<u64>) = Pipe::simplex().unwrap();
    let child = Process::spawn((sender,), |sender: Sender<u64>| {
        (1..=100).for_each(|n| sender.send(n).unwrap());
    });
    let child = child.unwrap();
    assert_eq!(receiver.iter().sum::<u64>(), 5050);
    join(&child).unwrap();

    let (receiver, sender) = Pipe::<u64>::simplex().unwrap();
    let child = Process::spawn((receiver,), |r: Receiver<u64>| r.iter().sum::<u64>()).unwrap();
    (1..=100).for_each(|n| sender.send(n).unwrap());
    drop(sender);
    assert_eq!(join(&child).unwrap(), 5050);
}

#[test]
fn a_full_pipe_says_so_and_gives_the_value_back_c5() {
    let (receiver, sender) = PipeOptions::new().capacity_bytes(64).simplex::<String>().unwrap();
    let mut sent = 0;
    let back = loop {
        match sender.try_send(format!("message {sent}")) {
            Ok(()) => sent += 1,
            Err(SendError::Full(back)) => break back,
            Err(other) => panic!("{other:?}"),
        }
    };
    assert_eq!(back, format!("message {sent}"));
    match sender.send_timeout(back.clone(), Duration::from_millis(1)) {
        Err(SendError::Timeout(again)) => assert_eq!(again, back),
        other => panic!("{other:?}"),
    }
    let child = Process::spawn((sender, sent), |sender: Sender<String>, sent: u32| {
        sender.send(format!("message {sent}")).unwrap(); // waits for room
    });
    let child = child.unwrap();
    for n in 0..=sent {
        assert_eq!(receiver.recv_timeout(LONG).unwrap(), format!("message {n}"));
    }
    join(&child).unwrap();
}

#[test]
fn a_send_to_nobody_gives_the_value_back_c5() {
    let (here, there) = Pipe::<String>::new().unwrap();
    let child = Process::spawn((there,), |_: Connection<String>| park());
    kill::<()>(&child.unwrap());
    // Not always the first one: a child that another thread is just starting has a copy of all
    // descriptors until it runs its program, also of the one that said the receiver lives.
    match (0..).find_map(|_| here.send("anybody there?".into()).err()) {
        Some(e @ SendError::Disconnected(_)) => {
            assert_eq!(e.into_message().unwrap(), "anybody there?");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(here.try_send("?".into()), Err(SendError::Disconnected(_))));
    assert!(matches!(here.send_bytes(b"?"), Err(SendError::Disconnected(()))));
    assert!(matches!(here.loan(1), Err(SendError::Disconnected(()))));
}

#[test]
fn a_sender_that_waits_for_room_is_told_when_the_receiver_dies_c5() {
    let (here, there) = PipeOptions::new().capacity_bytes(64).duplex::<u32>().unwrap();
    let child = Process::spawn((here,), |c: Connection<u32>| {
        // Fills the pipe, and waits for ever unless the death of the other end is noticed.
        (0..).find_map(|n| c.send(n).err()).is_some_and(|e| matches!(e, SendError::Disconnected(_)))
    })
    .unwrap();
    let reader = Process::spawn((there,), |c: Connection<u32>| {
        c.recv().unwrap();
        common::die()
    })
    .unwrap();
    assert!(matches!(join::<()>(&reader), Err(ProcessError::Signaled { signal: 9, .. })));
    assert!(join(&child).unwrap());
}

#[test]
fn a_consumer_gets_ten_numbers_and_is_terminated_while_it_waits_c6() {
    let (producer_end, consumer_end) = Pipe::<u32>::new().unwrap();
    let (reports, reporter) = Pipe::<u32>::simplex().unwrap();
    let consumer =
        Process::spawn((consumer_end, reporter), |c: Connection<u32>, reports: Sender<u32>| {
            while let Ok(n) = c.recv() {
                reports.send(n).unwrap();
            }
        });
    let consumer = consumer.unwrap();
    let producer = Process::spawn((producer_end,), |c: Connection<u32>| {
        (0..10).for_each(|n| c.send(n).unwrap());
        park()
    });
    let producer: Process = producer.unwrap();
    for n in 0..10 {
        assert_eq!(reports.recv_timeout(LONG).unwrap(), n);
    }
    consumer.terminate().unwrap();
    assert!(matches!(join(&consumer), Err(ProcessError::Signaled { signal: 15, .. })));
    assert_eq!(consumer.exitcode(), Some(-15));
    kill(&producer);
}

#[test]
fn poll_is_true_for_a_message_and_for_the_end_x10() {
    let (here, there) = Pipe::<u32>::new().unwrap();
    assert!(!here.poll(Duration::ZERO).unwrap());
    assert!(!here.poll(Duration::from_millis(2)).unwrap());
    let child = Process::spawn((there,), |c: Connection<u32>| c.send(5).unwrap()).unwrap();
    assert!(here.poll(LONG).unwrap());
    assert!(here.poll(Duration::ZERO).unwrap(), "a poll takes nothing");
    assert_eq!(recv(&here), 5);
    join(&child).unwrap();
    assert!(here.poll(LONG).unwrap(), "the end of the stream counts as ready");
    assert!(matches!(here.recv(), Err(RecvError::Disconnected)));
}

#[test]
fn a_closed_end_is_disconnected_for_every_call_x10() {
    let (here, there) = Pipe::<u32>::new().unwrap();
    there.send(1).unwrap();
    here.close();
    here.close();
    assert!(matches!(here.send(1), Err(SendError::Disconnected(1))));
    assert!(matches!(here.loan(1), Err(SendError::Disconnected(()))));
    assert!(matches!(here.recv(), Err(RecvError::Disconnected)));
    assert!(matches!(here.recv_bytes_into(&mut [0; 9]), Err(RecvError::Disconnected)));
    assert!(here.poll(Duration::ZERO).unwrap());
    assert!(matches!(there.recv(), Err(RecvError::Disconnected)));
    assert!(matches!(there.send(1), Err(SendError::Disconnected(1))));
}

#[test]
fn a_message_that_is_too_long_for_the_buffer_stays_x11_x12() {
    let (here, there) = Pipe::<()>::new().unwrap();
    let child = Process::spawn((there,), |c: Connection<()>| {
        for len in [20usize, 200_000] {
            c.send_bytes(&vec![len as u8; len]).unwrap();
        }
        c.send_bytes(b"next").unwrap();
    });
    let child = child.unwrap();
    for len in [20usize, 200_000] {
        for short in [0, 1, len - 1] {
            match here.recv_bytes_into(&mut vec![0; short]) {
                Err(RecvError::TooShort { needed }) => assert_eq!(needed, len),
                other => panic!("{other:?}"),
            }
        }
        let mut buffer = vec![0; len + 5];
        assert_eq!(here.recv_bytes_into(&mut buffer).unwrap(), len);
        assert!(buffer[..len].iter().all(|byte| *byte == len as u8));
        assert_eq!(buffer[len..], [0; 5]);
    }
    assert_eq!(here.recv_bytes().unwrap(), b"next");
    join(&child).unwrap();
}

#[derive(Serialize, Deserialize)]
struct Route {
    name: String,
    stops: Vec<(String, Connection<u32>)>,
    out: Option<Sender<String>>,
}

#[test]
fn ends_travel_inside_other_data_and_on_to_grandchildren_x19() {
    let (receiver, sender) = Pipe::<String>::simplex().unwrap();
    let (ours, theirs): (Vec<_>, Vec<_>) = (0..5)
        .map(|n| {
            let (a, b) = Pipe::<u32>::new().unwrap();
            (a, (n.to_string(), b))
        })
        .unzip();
    let route = Route { name: "seven".into(), stops: theirs, out: Some(sender) };
    let child = Process::spawn((route,), |route: Route| {
        let grandchild = Process::spawn((route, 2), |route: Route, by: u32| {
            for (name, stop) in &route.stops {
                stop.send(stop.recv().unwrap() * by).unwrap();
                route.out.as_ref().unwrap().send(format!("{} {name}", route.name)).unwrap();
            }
        });
        grandchild.unwrap().join().unwrap();
    });
    let child = child.unwrap();
    for (n, stop) in ours.iter().enumerate() {
        stop.send(n as u32).unwrap();
        assert_eq!(recv(stop), 2 * n as u32);
        assert_eq!(receiver.recv_timeout(LONG).unwrap(), format!("seven {n}"));
    }
    join(&child).unwrap();
    assert!(ours.iter().all(|stop| matches!(stop.recv(), Err(RecvError::Disconnected))));
}

#[test]
fn messages_in_flight_survive_the_passing_on_of_both_ends_x19() {
    let (receiver, sender) = Pipe::<u32>::simplex().unwrap();
    sender.send(1).unwrap();
    let reader = Process::spawn((receiver,), |r: Receiver<u32>| {
        assert_eq!(r.recv().unwrap(), 1);
        let last = Process::spawn((r,), |r: Receiver<u32>| r.iter().collect::<Vec<_>>()).unwrap();
        last.join().unwrap()
    });
    let reader = reader.unwrap();
    sender.send(2).unwrap();
    let writer = Process::spawn((sender,), |s: Sender<u32>| {
        s.send(3).unwrap();
        let last = Process::spawn((s,), |s: Sender<u32>| s.send(4).unwrap());
        last.unwrap().join().unwrap();
    });
    join(&writer.unwrap()).unwrap();
    assert_eq!(join(&reader).unwrap(), [2, 3, 4]);
}

static GLOBAL: AtomicUsize = AtomicUsize::new(0);

#[test]
fn a_global_is_not_shared_but_what_a_pipe_brings_is_p26() {
    GLOBAL.store(1, SeqCst);
    let (here, there) = Pipe::<usize>::new().unwrap();
    let child = Process::spawn((there,), |c: Connection<usize>| {
        c.send(GLOBAL.fetch_add(3, SeqCst)).unwrap();
    });
    assert_eq!(recv(&here), 0);
    join(&child.unwrap()).unwrap();
    assert_eq!(GLOBAL.load(SeqCst), 1);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Any {
    Nothing,
    Number(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Any>),
    Map(BTreeMap<String, Any>),
}

#[test]
fn objects_of_any_shape_and_sixteen_mebibytes_come_back_as_they_went_test_connection() {
    let (here, there) = Pipe::<Any>::new().unwrap();
    let child = Process::spawn((there,), |c: Connection<Any>| {
        while let Ok(any) = c.recv() {
            c.send(any).unwrap();
        }
    });
    let child = child.unwrap();
    let map = [("one".to_string(), Any::Number(1.75)), ("none".into(), Any::Nothing)];
    let all = [
        Any::Nothing,
        Any::Text("hello \u{e9}".into()),
        Any::List(vec![Any::Number(f64::MAX), Any::Map(map.into())]),
        Any::Bytes(Vec::new()),
        Any::Bytes((0..100_000).map(|n| (n * 7 % 251) as u8).collect()),
        Any::Text(String::from_utf8((0..16 << 20).map(|n| (n % 127) as u8).collect()).unwrap()),
    ];
    for any in all {
        here.send(any.clone()).unwrap();
        assert!(recv(&here) == any);
    }
    here.close();
    join(&child).unwrap();
}

#[test]
fn bytes_of_every_length_around_the_edges_come_back_test_connection() {
    let (here, there) = PipeOptions::new().capacity_bytes(4096).duplex::<Vec<u8>>().unwrap();
    let child = Process::spawn((there,), |c: Connection<Vec<u8>>| {
        while let Ok(bytes) = c.recv_bytes() {
            c.send_bytes(&bytes).unwrap();
        }
    });
    let child = child.unwrap();
    let longest = here.max_loan_bytes();
    for len in (0..20).chain(longest - 9..longest + 9).chain(4080..4110).chain([1 << 20]) {
        let bytes: Vec<u8> = (0..len).map(|n| (n + len) as u8).collect();
        here.send_bytes(&bytes).unwrap();
        assert!(here.recv_bytes_timeout(LONG).unwrap() == bytes, "{len}");
    }
    drop(here);
    join(&child).unwrap();
}

#[test]
fn messages_keep_their_boundaries_test_dont_merge() {
    let (here, there) = Pipe::<Vec<u8>>::new().unwrap();
    let child = Process::spawn((there,), echo).unwrap();
    let messages = [&b"one"[..], b"", b"two", b"a much longer third message", b""];
    for message in messages {
        here.send(message.to_vec()).unwrap();
    }
    for message in messages {
        assert_eq!(recv(&here), message);
    }
    here.close();
    join(&child).unwrap();
}

#[test]
fn a_message_in_place_is_written_and_read_without_a_copy() {
    let (here, there) = Pipe::<()>::new().unwrap();
    let child = Process::spawn((there,), |c: Connection<()>| {
        let got = c.receive().unwrap();
        let mut loan = c.loan(got.len()).unwrap();
        for (to, from) in loan.iter_mut().zip(got.iter()) {
            *to = !*from;
        }
        loan.commit();
    });
    let child = child.unwrap();
    drop(here.loan(9).unwrap()); // given up: nothing is sent
    let mut loan = here.loan(1000).unwrap();
    loan.fill(0x0f);
    loan.commit();
    assert!(here.poll(LONG).unwrap());
    assert_eq!(here.try_receive().unwrap()[..], [0xf0; 1000]);
    join(&child).unwrap();
}

#[test]
fn plain_values_travel_as_their_bytes_and_are_not_mistaken_for_others() {
    let (here, there) = Pipe::<u32>::new().unwrap();
    let child = Process::spawn((there,), |c: Connection<u32>| {
        let sum = c.recv_pod::<[u64; 4]>().unwrap().iter().sum::<u64>();
        c.send_pod(&sum).unwrap();
        c.send_bytes(b"bytes").unwrap();
        c.send(3).unwrap();
        c.send_pod(&1u8).unwrap();
        c.send(4).unwrap();
    });
    here.send_pod(&[1u64, 2, 3, 4]).unwrap();
    assert_eq!(here.recv_pod::<u64>().unwrap(), 10);
    assert!(matches!(here.recv(), Err(RecvError::Decode(_))), "bytes are no value");
    assert!(matches!(here.recv_pod::<u32>(), Err(RecvError::Decode(_))), "nor a plain value");
    assert!(matches!(here.recv_pod::<u64>(), Err(RecvError::Decode(_))), "one byte is not eight");
    assert_eq!(recv(&here), 4, "what was not understood is gone");
    join(&child.unwrap()).unwrap();
}

extern "C" fn ignore(_: i32) {}

#[allow(unsafe_code)]
fn interrupted(c: Connection<Vec<u8>>) -> usize {
    let handler: extern "C" fn(i32) = ignore;
    // SAFETY: the handler does nothing, and lives as long as the program.
    unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
    c.send(b"ready".to_vec()).unwrap();
    let got = c.recv().unwrap().len();
    c.send(vec![1; 4 << 20]).unwrap();
    got
}

#[test]
fn signals_do_not_break_recv_and_send_test_ignore() {
    let (here, there) = Pipe::<Vec<u8>>::new().unwrap();
    let child = Process::spawn((there,), interrupted).unwrap();
    assert_eq!(recv(&here), b"ready");
    for _ in 0..50 {
        send(&child, libc::SIGUSR1); // while it waits for a message
    }
    here.send(vec![7; 1 << 20]).unwrap();
    for _ in 0..50 {
        send(&child, libc::SIGUSR1); // while it streams, and then waits for room
        assert!(child.is_alive());
    }
    assert_eq!(recv(&here).len(), 4 << 20);
    assert_eq!(join(&child).unwrap(), 1 << 20);
}

#[test]
fn the_halves_of_a_connection_serve_two_threads() {
    let (here, there) = Pipe::<Vec<u8>>::new().unwrap();
    let child = Process::spawn((there,), echo).unwrap();
    let (receiver, sender) = here.split();
    std::thread::scope(|scope| {
        scope.spawn(move || (0..200).for_each(|n| sender.send(vec![n as u8; 5000]).unwrap()));
        for n in 0..200 {
            assert_eq!(receiver.recv_timeout(LONG).unwrap(), vec![n as u8; 5000]);
        }
    });
    drop(receiver);
    join(&child).unwrap();
}

/// Every signature of the contract, used as written there; `T` is neither `Debug` nor `Clone`.
#[derive(Serialize, Deserialize)]
struct Opaque(u32);

fn an_error<E: std::error::Error + Into<Error> + 'static>(e: E) -> (String, Error) {
    (format!("{e} {e:?}"), e.into())
}

fn every_call() -> shmkit::Result<u32> {
    let (a, b): (Connection<Opaque>, Connection<Opaque>) = Pipe::<Opaque>::new()?;
    a.send(Opaque(1))?;
    a.try_send(Opaque(2))?;
    a.send_timeout(Opaque(3), LONG)?;
    let polled: bool = b.poll(Duration::ZERO)?;
    let sum: u32 = b.recv()?.0 + b.try_recv()?.0 + b.recv_timeout(LONG)?.0;
    a.send_bytes(b"four")?;
    let bytes: Vec<u8> = b.recv_bytes()?;
    a.send_bytes(b"five")?;
    let read: usize = b.recv_bytes_into(&mut [0; 16])?;
    a.close();
    let (receiver, sender): (Receiver<Opaque>, Sender<Opaque>) = Pipe::<Opaque>::simplex()?;
    sender.send(Opaque(4))?;
    assert!(polled && bytes == b"four" && read == 4);
    Ok(sum + receiver.recv()?.0)
}

#[test]
fn every_signature_compiles_as_the_contract_writes_it() {
    assert_eq!(every_call().unwrap(), 10);
    let (receiver, sender) = Pipe::<Opaque>::simplex().unwrap();
    assert!(matches!(an_error(receiver.try_recv().err().unwrap()).1, Error::WouldBlock));
    drop(receiver);
    let (text, error) = an_error(sender.send(Opaque(1)).unwrap_err());
    assert!(matches!(error, Error::Disconnected) && text.contains("closed or dead"), "{text}");
    fn may_move<T: Send>(_: T) {}
    may_move(sender);
}
