//! Handles on their way through a connection, and processes that meet by a path.
//!
//! A forked heir has no socket, so victim and witness meet by a listener: the witness is a third
//! process, and a panic in it is the survivor's.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use shmkit::{
    AcceptError, ConnectError, Connection, Error, Listener, Pipe, Receiver, RecvError, Region,
    SendError, Sender, connect,
};

use crate::campaign::{DEADLINE, Death, Points, Scenario};
use crate::helper::{Helper, elsewhere};
use crate::shared::{Ledger, Shared};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<SendHandles<false>>("handles::send"),
        survives::<SendHandles<true>>("handles::send_while_another_waits"),
        survives::<RecvHandles>("handles::recv"),
        survives::<Bind>("handles::bind"),
        survives::<Connect>("handles::connect"),
        survives::<Accept>("handles::accept"),
    ]
}

/// A handle to a region, and an end that moves.
type Parcel = (Region, Sender<u64>);

/// What the witness has done, and what it is to do.
const LISTENS: u64 = 1;
const MET: u64 = 2;
const OVER: u64 = 3;

#[derive(Clone)]
struct Stage(Shared<AtomicU64>);

impl Stage {
    fn new() -> Stage {
        Stage(Shared::new())
    }

    fn set(&self, stage: u64) {
        self.0.store(stage, SeqCst);
    }

    fn has_come(&self, stage: u64) -> bool {
        self.0.load(SeqCst) >= stage
    }

    fn wait_for(&self, stage: u64) {
        while !self.has_come(stage) {
            std::thread::yield_now();
        }
    }
}

/// A path of this survivor's own.
struct Spot(PathBuf);

impl Spot {
    fn new() -> Spot {
        let spot = std::env::temp_dir().join(format!("shmkit-crash-{:08}", std::process::id()));
        let _ = std::fs::remove_file(&spot);
        Spot(spot)
    }

    /// Somebody listens here and somebody connects, whatever was left.
    fn assert_works(&self) {
        let listener = Listener::<u64>::bind(&self.0).unwrap();
        let client = Helper::start(|| connect::<u64>(&self.0).unwrap().send(5).unwrap());
        let c = listener.accept_timeout(DEADLINE).unwrap();
        assert_eq!(c.recv_timeout(DEADLINE).unwrap(), 5);
        client.join();
        drop(listener);
        assert!(!self.0.exists());
    }
}

/// The witness's things, of which it sends away handles.
struct Things {
    region: Region,
    receiver: Receiver<u64>,
}

impl Things {
    fn new() -> (Things, Parcel) {
        let region = Region::new(4096).unwrap();
        let (receiver, sender) = Pipe::simplex().unwrap();
        let parcel = (region.clone(), sender);
        (Things { region, receiver }, parcel)
    }

    /// Whoever had handles to these is dead, and so is what was on its way.
    fn assert_alone(&self) {
        let end = self.receiver.recv_timeout(DEADLINE);
        assert!(matches!(end, Err(RecvError::Disconnected)), "{end:?}");
        assert_eq!(self.region.participants(), [std::process::id()]);
    }

    /// These handles have come back whole.
    fn assert_joined_by(&self, (region, sender): Parcel) {
        assert!(region.participants().contains(&std::process::id()));
        sender.send(7).unwrap();
        assert_eq!(self.receiver.recv_timeout(DEADLINE).unwrap(), 7);
    }
}

/// Meets the victim and gives it `count` parcels, which the witness hears of again.
fn meet(spot: &Spot, stage: &Stage, count: usize) -> (Connection<Parcel>, Vec<Things>) {
    let listener = Listener::<Parcel>::bind(&spot.0).unwrap();
    stage.set(LISTENS);
    let c = listener.accept_timeout(DEADLINE).unwrap();
    let things = (0..count).map(|_| {
        let (things, parcel) = Things::new();
        c.send(parcel).unwrap();
        things
    });
    let things = things.collect();
    stage.set(MET);
    (c, things)
}

/// The victim sends handles: all of a message arrives, or nothing of it does and nothing is left.
struct SendHandles<const WAITING: bool> {
    spot: Spot,
    stage: Stage,
    ledger: Shared<Ledger>,
    witness: Option<Helper>,
}

impl<const WAITING: bool> Scenario for SendHandles<WAITING> {
    fn set_up() -> Self {
        let (spot, stage, ledger) = (Spot::new(), Stage::new(), Shared::<Ledger>::new());
        let witness = Helper::start(|| {
            let (c, things) = meet(&spot, &stage, 2);
            if !WAITING {
                stage.wait_for(OVER);
            }
            things[0].assert_joined_by(c.recv_timeout(DEADLINE).unwrap());
            match c.recv_timeout(DEADLINE) {
                Ok(parcel) => things[1].assert_joined_by(parcel),
                Err(RecvError::Disconnected) => assert_eq!(ledger.acknowledged(), 0),
                Err(other) => panic!("{other}"),
            }
            let end = c.recv_timeout(DEADLINE);
            assert!(matches!(end, Err(RecvError::Disconnected)), "{end:?}");
            things.iter().for_each(Things::assert_alone);
        });
        SendHandles { spot, stage, ledger, witness: Some(witness) }
    }

    fn victim(&mut self) {
        self.stage.wait_for(LISTENS);
        let c = connect::<Parcel>(&self.spot.0).unwrap();
        self.stage.wait_for(MET);
        let [first, second] = [c.recv().unwrap(), c.recv().unwrap()];
        c.send(first).unwrap();
        begin();
        self.ledger.begin();
        c.send(second).unwrap();
        self.ledger.acknowledge(0);
    }

    fn check(&mut self, _: Death) {
        self.stage.set(OVER);
        self.witness.take().unwrap().join();
    }
}

/// The victim receives handles: what it has, and what is still on its way to it, dies with it.
struct RecvHandles {
    spot: Spot,
    stage: Stage,
    witness: Option<Helper>,
}

impl Scenario for RecvHandles {
    fn set_up() -> Self {
        let (spot, stage) = (Spot::new(), Stage::new());
        let witness = Helper::start(|| {
            let (c, things) = meet(&spot, &stage, 3);
            stage.wait_for(OVER);
            things.iter().for_each(Things::assert_alone);
            let end = c.recv_timeout(DEADLINE);
            assert!(matches!(end, Err(RecvError::Disconnected)), "{end:?}");
            let (things, parcel) = Things::new();
            let refused = c.send(parcel);
            assert!(matches!(refused, Err(SendError::Disconnected(_))), "{refused:?}");
            let Some(parcel) = refused.unwrap_err().into_message() else { panic!("lost") };
            things.assert_joined_by(parcel);
        });
        RecvHandles { spot, stage, witness: Some(witness) }
    }

    fn victim(&mut self) {
        self.stage.wait_for(LISTENS);
        let c = connect::<Parcel>(&self.spot.0).unwrap();
        self.stage.wait_for(MET);
        let first = c.recv().unwrap();
        begin();
        let second = c.recv().unwrap();
        drop((first, second));
    }

    fn check(&mut self, _: Death) {
        self.stage.set(OVER);
        self.witness.take().unwrap().join();
    }
}

/// The path of a listener that died while it came or went is free for the next.
struct Bind(Spot);

impl Scenario for Bind {
    const POINTS: Points = Points::Samples;

    fn set_up() -> Self {
        Bind(Spot::new())
    }

    fn victim(&mut self) {
        drop(Listener::<u64>::bind(&self.0.0).unwrap());
        std::mem::forget(std::os::unix::net::UnixListener::bind(&self.0.0).unwrap());
        // SAFETY: closes the listener of the line before, which leaves its file.
        unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
        begin();
        drop(Listener::<u64>::bind(&self.0.0).unwrap());
    }

    fn check(&mut self, _: Death) {
        self.0.assert_works();
    }
}

/// A client that dies while it connects keeps no other waiting.
struct Connect {
    spot: Spot,
    stage: Stage,
    witness: Option<Helper>,
}

impl Scenario for Connect {
    const POINTS: Points = Points::Samples;

    fn set_up() -> Self {
        let (spot, stage) = (Spot::new(), Stage::new());
        let witness = Helper::start(|| {
            let listener = Listener::<u64>::bind(&spot.0).unwrap();
            stage.set(LISTENS);
            loop {
                match listener.accept_timeout(DEADLINE) {
                    Ok(c) => match c.recv_timeout(DEADLINE) {
                        Ok(word) => return assert_eq!(word, 5),
                        Err(RecvError::Disconnected) => {} // the victim
                        Err(other) => panic!("{other}"),
                    },
                    Err(AcceptError::Os(e)) => panic!("{e}"),
                    Err(other) => panic!("{other}"),
                }
            }
        });
        Connect { spot, stage, witness: Some(witness) }
    }

    fn victim(&mut self) {
        self.stage.wait_for(LISTENS);
        begin();
        std::mem::forget(connect::<u64>(&self.spot.0));
    }

    fn check(&mut self, _: Death) {
        elsewhere(|| connect::<u64>(&self.spot.0).unwrap().send(5).unwrap());
        self.witness.take().unwrap().join();
        self.spot.assert_works();
    }
}

/// The client of a listener that dies while it accepts is told, and the path is free.
struct Accept {
    spot: Spot,
    stage: Stage,
    witness: Option<Helper>,
}

impl Scenario for Accept {
    const POINTS: Points = Points::Samples;

    fn set_up() -> Self {
        let (spot, stage) = (Spot::new(), Stage::new());
        let witness = Helper::start(|| {
            stage.wait_for(LISTENS);
            match connect::<u64>(&spot.0) {
                Ok(c) => {
                    let end = c.recv_timeout(DEADLINE);
                    assert!(matches!(end, Err(RecvError::Disconnected)), "{end:?}");
                }
                Err(ConnectError::Disconnected | ConnectError::NotFound) => {}
                Err(other) => panic!("{other}"),
            }
        });
        Accept { spot, stage, witness: Some(witness) }
    }

    fn victim(&mut self) {
        let listener = Listener::<u64>::bind(&self.spot.0).unwrap();
        self.stage.set(LISTENS);
        begin();
        std::mem::forget(listener.accept());
    }

    fn check(&mut self, _: Death) {
        self.stage.set(LISTENS); // also if the victim died before
        self.witness.take().unwrap().join();
        let exists = Listener::<u64>::bind(&self.spot.0).map(drop);
        assert!(!matches!(exists, Err(Error::Exists)), "{exists:?}");
        self.spot.assert_works();
    }
}
