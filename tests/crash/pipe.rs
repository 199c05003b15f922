//! Pipes: one end is the victim's, the other the survivor's, who inherits the victim's as well.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use shmkit::{PipeOptions, Receiver, RecvError, SendError, Sender};

use crate::campaign::{DEADLINE, Death, Fate, Scenario};
use crate::helper::{Helper, elsewhere, outlive_maker};
use crate::shared::{Ledger, Shared};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Send<SMALL, false>>("pipe::send"),
        survives::<Send<SMALL, true>>("pipe::send_while_another_receives"),
        survives::<Send<LONG, false>>("pipe::send_in_fragments"),
        survives::<Send<LONG, true>>("pipe::send_in_fragments_while_another_receives"),
        survives::<Recv<SMALL, false>>("pipe::recv"),
        survives::<Recv<SMALL, true>>("pipe::recv_while_another_sends"),
        survives::<Recv<LONG, false>>("pipe::recv_in_fragments"),
        survives::<SendTyped>("pipe::send_typed"),
        survives::<SendToSleeper>("pipe::send_while_another_sleeps"),
        survives::<RecvFromEmpty>("pipe::wait_for_a_message"),
        survives::<SendIntoFull>("pipe::wait_for_room"),
        survives::<Close>("pipe::close"),
    ]
}

const CAPACITY_BYTES: u64 = 2048;
const SMALL: usize = 40;
/// Longer than the longest record, so that it takes two fragments, both of which fit.
const LONG: usize = 1500;

/// The `n`-th message: around `len_bytes` long, the first always [`SMALL`].
fn message(len_bytes: usize, n: u64) -> &'static [u8] {
    const TABLE: [u8; 2048] = {
        let mut table = [0; 2048];
        let mut i = 0;
        while i < 2048 {
            table[i] = (i * 37 % 251) as u8;
            i += 1;
        }
        table
    };
    static BYTES: [u8; 2048] = TABLE;
    let len_bytes = if n == 0 { SMALL } else { len_bytes + n as usize };
    &BYTES[n as usize..][..len_bytes]
}

struct Ends {
    receiver: Receiver<String>,
    sender: Sender<String>,
    ledger: Shared<Ledger>,
    len_bytes: usize,
    /// The number of the next message to be received.
    next: u64,
}

impl Ends {
    /// A pipe whose maker is dead, with `count` messages in it.
    fn orphaned(len_bytes: usize, count: u64) -> Ends {
        let options = PipeOptions::new().capacity_bytes(CAPACITY_BYTES);
        let (receiver, sender) = options.simplex().unwrap();
        for n in 0..count {
            sender.send_bytes(message(len_bytes, n)).unwrap();
        }
        outlive_maker();
        Ends { receiver, sender, ledger: Shared::new(), len_bytes, next: 0 }
    }

    /// Takes the sending end over from the dead maker; the receiver has to live.
    fn take_sender(&self) {
        drop(self.sender.try_loan(0));
    }

    /// Takes the receiving end over from the dead maker.
    fn take_receiver(&self) {
        drop(self.receiver.try_receive());
    }

    fn send(&self, n: u64) {
        self.ledger.begin();
        self.sender.send_bytes(message(self.len_bytes, n)).unwrap();
        self.ledger.acknowledge(n);
    }

    /// Receives what is there; each message whole and in its turn.
    fn drain(&mut self) -> RecvError {
        loop {
            match self.receiver.try_recv_bytes() {
                Ok(received) => assert_eq!(received, message(self.len_bytes, self.next)),
                Err(why) => return why,
            }
            self.next += 1;
        }
    }

    fn assert_sent(&mut self) {
        let end = loop {
            match self.receiver.recv_bytes_timeout(DEADLINE) {
                Ok(received) => assert_eq!(received, message(self.len_bytes, self.next)),
                Err(why) => break why,
            }
            self.next += 1;
        };
        assert!(matches!(end, RecvError::Disconnected), "{end}");
        let (acknowledged, begun) = (self.ledger.acknowledged(), self.ledger.begun());
        let sent = self.next;
        assert!((acknowledged..=begun).contains(&sent), "{acknowledged} <= {sent} <= {begun}");
    }

    /// The survivor goes on with both ends.
    fn assert_works(&mut self) {
        self.take_receiver();
        for n in 0..3 {
            self.sender.try_send_bytes(message(SMALL, n)).unwrap();
            assert_eq!(self.receiver.try_recv_bytes().unwrap(), message(SMALL, n));
        }
        assert!(matches!(self.receiver.try_recv_bytes(), Err(RecvError::Empty)));
    }

    /// Another process goes on where the dead sender stopped; nothing of its last message comes
    /// along.
    fn assert_next_sender_works(&mut self) {
        let ready: Shared<AtomicU64> = Shared::new();
        let sender = Helper::start(|| {
            self.take_sender();
            ready.store(1, SeqCst);
            for (len_bytes, n) in MESSAGES {
                self.sender.send_bytes_timeout(message(len_bytes, n), DEADLINE).unwrap();
            }
        });
        wait_for(&ready);
        for (len_bytes, n) in MESSAGES {
            let received = self.receiver.recv_bytes_timeout(DEADLINE).unwrap();
            assert_eq!(received, message(len_bytes, n));
        }
        sender.join();
        let end = self.receiver.recv_bytes_timeout(DEADLINE);
        assert!(matches!(end, Err(RecvError::Disconnected)), "{end:?}");
    }

    /// Another process goes on where the dead receiver stopped.
    fn assert_next_receiver_works(&mut self) {
        let ready: Shared<AtomicU64> = Shared::new();
        let receiver = Helper::start(|| {
            self.take_receiver();
            ready.store(1, SeqCst);
            for (len_bytes, n) in MESSAGES {
                let received = self.receiver.recv_bytes_timeout(DEADLINE).unwrap();
                assert_eq!(received, message(len_bytes, n));
            }
        });
        wait_for(&ready);
        for (len_bytes, n) in MESSAGES {
            self.sender.send_bytes_timeout(message(len_bytes, n), DEADLINE).unwrap();
        }
        receiver.join();
    }
}

const MESSAGES: [(usize, u64); 5] = [(SMALL, 3), (LONG, 2), (SMALL, 0), (LONG, 1), (LONG, 5)];

fn wait_for(ready: &AtomicU64) {
    while ready.load(SeqCst) == 0 {
        std::thread::yield_now();
    }
}

struct Send<const LEN_BYTES: usize, const FREEZE: bool>(Ends);

impl<const LEN_BYTES: usize, const FREEZE: bool> Scenario for Send<LEN_BYTES, FREEZE> {
    const FATE: Fate = if FREEZE { Fate::FreezeAndRun } else { Fate::Kill };

    fn set_up() -> Self {
        let ends = Ends::orphaned(LEN_BYTES, 0);
        ends.take_receiver();
        Send(ends)
    }

    fn victim(&mut self) {
        self.0.send(0);
        begin();
        self.0.send(1);
        if LEN_BYTES == SMALL {
            self.0.send(2);
        }
    }

    fn frozen(&mut self) {
        let end = self.0.drain();
        assert!(matches!(end, RecvError::Empty), "{end}");
        assert!(self.0.next >= self.0.ledger.acknowledged());
    }

    fn check(&mut self, _: Death) {
        self.0.assert_sent();
        self.0.assert_next_sender_works();
    }
}

struct Recv<const LEN_BYTES: usize, const FREEZE: bool>(Ends, u64);

impl<const LEN_BYTES: usize, const FREEZE: bool> Scenario for Recv<LEN_BYTES, FREEZE> {
    const FATE: Fate = if FREEZE { Fate::FreezeAndRun } else { Fate::Kill };

    fn set_up() -> Self {
        let count = if LEN_BYTES == SMALL { 4 } else { 2 };
        Recv(Ends::orphaned(LEN_BYTES, count), count)
    }

    fn ready(&mut self) {
        self.0.take_sender();
    }

    fn victim(&mut self) {
        for n in 0..if LEN_BYTES == SMALL { 3 } else { 2 } {
            if n == 1 {
                begin();
            }
            self.0.ledger.begin();
            assert_eq!(self.0.receiver.recv_bytes().unwrap(), message(LEN_BYTES, n));
            self.0.ledger.acknowledge(n);
        }
    }

    fn frozen(&mut self) {
        for n in self.1..self.1 + 3 {
            self.0.sender.try_send_bytes(message(LEN_BYTES, n)).unwrap();
        }
        self.1 += 3;
    }

    fn check(&mut self, _: Death) {
        elsewhere(|| self.assert_rest());
        self.0.assert_next_receiver_works();
    }
}

impl<const LEN_BYTES: usize, const FREEZE: bool> Recv<LEN_BYTES, FREEZE> {
    /// Each message went to the victim or is still there, whole; the one that it was at may have
    /// gone with it.
    fn assert_rest(&self) {
        let mut left = Vec::new();
        while let Ok(received) = self.0.receiver.try_recv_bytes() {
            let n = (received.len() - LEN_BYTES) as u64;
            assert_eq!(received, message(LEN_BYTES, n));
            left.push(n);
        }
        let first = self.1 - left.len() as u64;
        assert!(left.iter().copied().eq(first..self.1), "{left:?}");
        let (acknowledged, begun) = (self.0.ledger.acknowledged(), self.0.ledger.begun());
        assert!((acknowledged..=begun).contains(&first), "{acknowledged} <= {first} <= {begun}");
    }
}

struct SendTyped(Ends);

impl Scenario for SendTyped {
    fn set_up() -> Self {
        let ends = Ends::orphaned(SMALL, 0);
        ends.take_receiver();
        SendTyped(ends)
    }

    fn victim(&mut self) {
        self.0.sender.send("first".into()).unwrap();
        let second = "second".to_string();
        begin();
        self.0.ledger.begin();
        self.0.sender.send(second).unwrap();
        self.0.ledger.acknowledge(0);
    }

    fn check(&mut self, _: Death) {
        assert_eq!(self.0.receiver.recv_timeout(DEADLINE).unwrap(), "first");
        match self.0.receiver.recv_timeout(DEADLINE) {
            Ok(value) => assert!(value == "second" && self.0.ledger.begun() == 1),
            Err(RecvError::Disconnected) => assert_eq!(self.0.ledger.acknowledged(), 0),
            Err(other) => panic!("{other}"),
        }
        self.0.assert_works();
    }
}

/// The sender dies before or after it wakes the receiver.
struct SendToSleeper {
    ends: Ends,
    receiver: Option<Helper>,
}

impl Scenario for SendToSleeper {
    fn set_up() -> Self {
        let mut ends = Ends::orphaned(SMALL, 0);
        let ready: Shared<AtomicU64> = Shared::new();
        let receiver = Helper::start(|| {
            ends.take_receiver();
            ready.store(1, SeqCst);
            while ends.receiver.try_recv_bytes().is_err() {
                std::thread::yield_now(); // until there is a sender
            }
            ends.next = 1;
            ends.assert_sent();
        });
        wait_for(&ready);
        SendToSleeper { ends, receiver: Some(receiver) }
    }

    fn ready(&mut self) {
        self.receiver.as_ref().unwrap().settle();
    }

    fn victim(&mut self) {
        self.ends.send(0);
        begin();
        self.ends.send(1);
    }

    fn check(&mut self, _: Death) {
        self.receiver.take().unwrap().join();
        self.ends.assert_works();
    }
}

/// The receiver dies in its sleep.
struct RecvFromEmpty(Ends);

impl Scenario for RecvFromEmpty {
    const FATE: Fate = Fate::FreezeAndKill;
    const SYSTEM_CALLS: usize = 12;

    fn set_up() -> Self {
        RecvFromEmpty(Ends::orphaned(SMALL, 0))
    }

    fn ready(&mut self) {
        self.0.take_sender();
    }

    fn victim(&mut self) {
        self.0.take_receiver();
        begin();
        let _ = self.0.receiver.recv_bytes();
    }

    fn frozen(&mut self) {
        self.0.sender.try_send_bytes(message(SMALL, 0)).unwrap();
    }

    fn check(&mut self, _: Death) {
        let refused = self.0.sender.try_send_bytes(message(SMALL, 1));
        assert!(matches!(refused, Ok(()) | Err(SendError::Disconnected(()))), "{refused:?}");
        for n in 0..1 + u64::from(refused.is_ok()) {
            let received = self.0.receiver.recv_bytes_timeout(DEADLINE).unwrap();
            assert_eq!(received, message(SMALL, n));
        }
        self.0.assert_works();
    }
}

/// The sender dies while it sleeps for want of room.
struct SendIntoFull(Ends);

impl Scenario for SendIntoFull {
    const FATE: Fate = Fate::FreezeAndKill;
    const SYSTEM_CALLS: usize = 12;

    fn set_up() -> Self {
        let ends = Ends::orphaned(SMALL, 0);
        ends.take_receiver();
        SendIntoFull(ends)
    }

    fn victim(&mut self) {
        let mut sent = 0;
        while self.0.sender.try_send_bytes(message(SMALL, sent)).is_ok() {
            self.0.ledger.acknowledge(sent);
            sent += 1;
        }
        begin();
        let _ = self.0.sender.send_bytes(message(SMALL, sent));
    }

    fn frozen(&mut self) {
        let received = self.0.receiver.recv_bytes_timeout(DEADLINE).unwrap();
        assert_eq!(received, message(SMALL, 0));
        self.0.next = 1;
    }

    fn check(&mut self, _: Death) {
        let end = loop {
            match self.0.drain() {
                RecvError::Empty => assert!(matches!(self.0.receiver.poll(DEADLINE), Ok(true))),
                end => break end,
            }
        };
        assert!(matches!(end, RecvError::Disconnected), "{end}");
        assert_eq!(self.0.next, self.0.ledger.acknowledged());
        self.0.assert_works();
    }
}

struct Close(Option<Ends>);

impl Scenario for Close {
    fn set_up() -> Self {
        let ends = Ends::orphaned(SMALL, 0);
        ends.take_receiver();
        Close(Some(ends))
    }

    fn victim(&mut self) {
        let ends = self.0.take().unwrap();
        ends.send(0);
        begin();
        drop(ends.sender);
    }

    fn check(&mut self, _: Death) {
        let ends = self.0.as_mut().unwrap();
        ends.assert_sent();
        assert_eq!(ends.next, 1);
    }
}
