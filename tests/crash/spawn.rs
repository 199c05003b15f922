//! Starting a process: the parent dies while it does, and the survivor holds the other end of a
//! pipe whose first end travels as an argument.

use std::os::fd::AsRawFd;

use shmkit::{Pipe, Process, Receiver, RecvError, Sender};

use crate::campaign::{DEADLINE, Death, Points, Scenario};
use crate::helper::outlive_maker;
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Spawn<false>>("spawn::with_the_end_of_a_pipe"),
        survives::<Spawn<true>>("spawn::daemon_with_the_end_of_a_pipe"),
    ]
}

const GREETING: u64 = 7;

fn greet(sender: Sender<u64>) {
    let _ = sender.send(GREETING);
}

fn greet_and_stay(sender: Sender<u64>) {
    greet(sender);
    loop {
        std::thread::park();
    }
}

/// The child does what it was asked to, or nothing: one that finds its parent dead when it starts
/// refuses. A daemon ends with its parent in any case.
struct Spawn<const DAEMON: bool> {
    receiver: Receiver<u64>,
    sender: Option<Sender<u64>>,
}

impl<const DAEMON: bool> Scenario for Spawn<DAEMON> {
    const POINTS: Points = Points::Samples;

    fn set_up() -> Self {
        let (receiver, sender) = Pipe::simplex().unwrap();
        outlive_maker();
        drop(receiver.try_receive()); // takes this end
        // SAFETY: plain call; what the victim leaves behind becomes our child.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
        Spawn { receiver, sender: Some(sender) }
    }

    fn victim(&mut self) {
        let sender = self.sender.take().unwrap();
        drop(sender.try_loan(0)); // takes that end
        let nowhere = std::fs::File::options().write(true).open("/dev/null").unwrap();
        // SAFETY: plain call; what a child says when it refuses is no news here.
        unsafe { libc::dup2(nowhere.as_raw_fd(), 2) };
        begin();
        let child = if DAEMON {
            Process::builder().daemon(true).spawn((sender,), greet_and_stay)
        } else {
            Process::spawn((sender,), greet)
        };
        std::mem::forget(child.unwrap());
    }

    fn check(&mut self, _: Death) {
        match self.receiver.recv_timeout(DEADLINE) {
            Ok(greeting) => {
                assert_eq!(greeting, GREETING);
                let end = self.receiver.recv_timeout(DEADLINE);
                assert!(matches!(end, Err(RecvError::Disconnected)), "{end:?}");
            }
            Err(RecvError::Disconnected) => {}
            Err(other) => panic!("{other}"),
        }
        // Returns when no child is left; a daemon that lived on would be a hang.
        // SAFETY: no status is written.
        while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::__WALL) } > 0 {}
    }
}
