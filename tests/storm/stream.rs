//! Pipes and rings: one sender and one receiver, either killed and followed by a process that takes
//! its end over from the dead.

use std::cell::RefCell;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use shmkit::ring::{
    Consumer, Producer, RecordConsumer, RecordProducer, TryPopError, TryPushError, TryReserveError,
    record, spsc,
};
use shmkit::{PipeOptions, Receiver, RecvError, SendError, Sender};

use crate::campaign::Storm;
use crate::helper::outlive_maker;
use crate::ledger::{Ledger, Rng};
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Numbers<Pipe>>("stream::pipe"),
        survives::<Numbers<Ring>>("stream::spsc"),
        survives::<Numbers<Records>>("stream::record"),
    ]
}

/// What carries numbers in order. Nothing here waits for long: the other side may be dead, and is
/// replaced.
trait Stream {
    fn new() -> Self;
    fn send(&self, n: u64) -> bool;
    fn receive(&self) -> Option<u64>;
}

const SENDER: usize = 0;
const RECEIVER: usize = 1;
/// Of a seat: the last number that was begun to be sent, or that was received.
const LAST: usize = 0;
/// Of a seat: how many were sent, or received, for sure.
const COUNT: usize = 1;

struct Numbers<S>(S);

impl<S: Stream> Numbers<S> {
    fn note(&self, n: u64, ledger: &Ledger) {
        let before = ledger.own(RECEIVER, LAST).swap(n, SeqCst);
        assert!(n > before, "{n} after {before}");
        assert!(n <= ledger.own(SENDER, LAST).load(SeqCst), "{n} was never sent");
        ledger.own(RECEIVER, COUNT).fetch_add(1, SeqCst);
    }
}

impl<S: Stream> Storm for Numbers<S> {
    const WORKERS: usize = 2;

    fn set_up() -> Self {
        let stream = S::new();
        outlive_maker();
        Numbers(stream)
    }

    fn work(&self, me: usize, _: &mut Rng, ledger: &Ledger) {
        if me == SENDER {
            let n = ledger.own(SENDER, LAST).fetch_add(1, SeqCst) + 1;
            while !ledger.is_over() {
                if self.0.send(n) {
                    ledger.own(SENDER, COUNT).fetch_add(1, SeqCst);
                    return;
                }
            }
        } else {
            while !ledger.is_over() {
                if let Some(n) = self.0.receive() {
                    return self.note(n, ledger);
                }
            }
        }
    }

    fn check(&self, ledger: &Ledger) {
        while let Some(n) = self.0.receive() {
            self.note(n, ledger);
        }
        let begun = ledger.own(SENDER, LAST).load(SeqCst);
        let [sent, received] = [SENDER, RECEIVER].map(|me| ledger.own(me, COUNT).load(SeqCst));
        let kills = ledger.kills();
        // A dead receiver may have had one message in its hands, and a dead sender one on the way.
        assert!(received + kills >= sent, "{received} of {sent} received, {kills} kills");
        assert!(begun - sent <= kills + 1, "{sent} of {begun} sent, {kills} kills");
    }
}

/// Longer than the longest record of the pipe below, now and then: it goes in fragments.
fn message(n: u64) -> Vec<u8> {
    let len = if n.is_multiple_of(16) { 1500 } else { 8 + n as usize % 50 };
    let bytes = (0..len).map(|i| (n as usize + i * 37) as u8);
    n.to_ne_bytes().into_iter().chain(bytes).collect()
}

fn number(bytes: &[u8]) -> u64 {
    let n = u64::from_ne_bytes(bytes[..8].try_into().unwrap());
    assert_eq!(bytes, message(n), "torn");
    n
}

const SHORTLY: Duration = Duration::from_millis(3);

struct Pipe {
    sender: Sender<()>,
    receiver: Receiver<()>,
}

impl Stream for Pipe {
    fn new() -> Self {
        let (receiver, sender) = PipeOptions::new().capacity_bytes(2048).simplex().unwrap();
        Pipe { sender, receiver }
    }

    fn send(&self, n: u64) -> bool {
        match self.sender.send_bytes_timeout(&message(n), SHORTLY) {
            Ok(()) => true,
            Err(SendError::Timeout(()) | SendError::Disconnected(())) => false,
            Err(other) => panic!("{other}"),
        }
    }

    fn receive(&self) -> Option<u64> {
        match self.receiver.recv_bytes_timeout(SHORTLY) {
            Ok(received) => Some(number(&received)),
            Err(RecvError::Timeout | RecvError::Disconnected) => None,
            Err(other) => panic!("{other}"),
        }
    }
}

type Item = [u64; 3];

struct Ring(RefCell<(Producer<Item>, Consumer<Item>)>);

impl Stream for Ring {
    fn new() -> Self {
        Ring(RefCell::new(spsc(8).unwrap()))
    }

    fn send(&self, n: u64) -> bool {
        match self.0.borrow_mut().0.try_push([n, !n, n.rotate_left(7)]) {
            Ok(()) => true,
            Err(TryPushError::Full(_) | TryPushError::Disconnected(_)) => yield_now(),
            Err(other) => panic!("{other}"),
        }
    }

    fn receive(&self) -> Option<u64> {
        match self.0.borrow_mut().1.try_pop() {
            Ok(popped) => {
                assert_eq!(popped, [popped[0], !popped[0], popped[0].rotate_left(7)], "torn");
                Some(popped[0])
            }
            Err(TryPopError::Empty | TryPopError::Disconnected) => yield_now().then_some(0),
            Err(other) => panic!("{other}"),
        }
    }
}

struct Records(RefCell<(RecordProducer, RecordConsumer)>);

impl Stream for Records {
    fn new() -> Self {
        Records(RefCell::new(record(4096).unwrap()))
    }

    fn send(&self, n: u64) -> bool {
        match self.0.borrow_mut().0.try_send(&message(n)) {
            Ok(()) => true,
            Err(TryReserveError::Full | TryReserveError::Disconnected) => yield_now(),
            Err(other) => panic!("{other}"),
        }
    }

    fn receive(&self) -> Option<u64> {
        match self.0.borrow_mut().1.try_receive() {
            Ok(received) => Some(number(&received)),
            Err(TryPopError::Empty | TryPopError::Disconnected) => yield_now().then_some(0),
            Err(other) => panic!("{other}"),
        }
    }
}

fn yield_now() -> bool {
    std::thread::yield_now();
    false
}
