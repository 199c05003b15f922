//! Several things waited for at once, and queues that are polled: by the dead, beside the dead.

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use shmkit::{Barrier, Event, GetError, Queue, wait};

use crate::campaign::{DEADLINE, Death, Fate, Points, Scenario};
use crate::helper::{Helper, elsewhere};
use crate::shared::{Ledger, Shared};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Set>("wait::set_while_another_waits"),
        survives::<Wait>("wait::wait_beside_another"),
        survives::<WaitFrozen>("wait::wait_while_another_sets"),
        survives::<Arrive>("wait::come_to_a_barrier_while_another_waits"),
        survives::<Put>("wait::put_while_two_poll"),
        survives::<PutFrozen>("wait::put_while_two_poll_and_another_puts"),
        survives::<Poll>("wait::get_nothing_and_arm_beside_another"),
    ]
}

/// Two events, of which the second is to be set.
struct Events {
    quiet: Event,
    event: Event,
}

impl Events {
    fn new() -> Events {
        Events { quiet: Event::new().unwrap(), event: Event::new().unwrap() }
    }

    fn wait(&self) -> Vec<usize> {
        wait(&[&self.quiet, &self.event], DEADLINE).unwrap()
    }

    /// Starts a process that waits, and returns once it sleeps.
    fn waiter(&self) -> Helper {
        let ready: Shared<AtomicU64> = Shared::new();
        let waiter = Helper::start(|| {
            ready.store(1, SeqCst);
            assert_eq!(self.wait(), [1]);
        });
        while ready.load(SeqCst) == 0 {
            std::thread::yield_now();
        }
        waiter.settle();
        waiter
    }

    /// Nobody dead is in the way.
    fn assert_work(&self) {
        self.event.clear();
        let waiter = self.waiter();
        self.event.set();
        waiter.join();
        elsewhere(|| assert_eq!(self.wait(), [1]));
    }
}

/// What was set is set, and the waiter goes on.
struct Set {
    events: Events,
    waiter: Option<Helper>,
    ledger: Shared<Ledger>,
}

impl Scenario for Set {
    fn set_up() -> Self {
        Set { events: Events::new(), waiter: None, ledger: Shared::new() }
    }

    fn victim(&mut self) {
        begin();
        self.ledger.begin();
        self.events.event.set();
        self.ledger.acknowledge(0);
    }

    fn ready(&mut self) {
        self.waiter = Some(self.events.waiter());
    }

    fn check(&mut self, _: Death) {
        if !self.events.event.is_set() {
            assert_eq!(self.ledger.acknowledged(), 0);
            self.events.event.set();
        }
        self.waiter.take().unwrap().join();
        self.events.assert_work();
    }
}

/// A dead waiter is in nobody's way.
struct Wait {
    events: Events,
    waiter: Option<Helper>,
}

impl Scenario for Wait {
    const POINTS: Points = Points::States;
    const FATE: Fate = Fate::FreezeAndKill;
    const SYSTEM_CALLS: usize = 30;

    fn set_up() -> Self {
        Wait { events: Events::new(), waiter: None }
    }

    fn victim(&mut self) {
        begin();
        self.events.wait();
    }

    fn frozen(&mut self) {
        self.waiter = Some(self.events.waiter());
    }

    fn check(&mut self, _: Death) {
        self.events.event.set();
        self.waiter.take().unwrap().join();
        self.events.assert_work();
    }
}

/// Whoever is stopped anywhere in its wait finds out that the event was set, by a pulse even.
struct WaitFrozen {
    events: Events,
    ledger: Shared<Ledger>,
}

impl Scenario for WaitFrozen {
    const POINTS: Points = Points::States;
    const FATE: Fate = Fate::FreezeAndRun;
    const SYSTEM_CALLS: usize = 30;

    fn set_up() -> Self {
        WaitFrozen { events: Events::new(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        begin();
        self.ledger.begin();
        let found = self.events.wait();
        self.ledger.acknowledge(u64::from(found == [1]));
    }

    fn frozen(&mut self) {
        self.events.event.set();
    }

    fn check(&mut self, _: Death) {
        assert_eq!(self.ledger.answers(), [1]);
        self.events.assert_work();
    }
}

/// A party that comes and dies tells who waits elsewhere: all are there, or it is broken.
struct Arrive {
    quiet: Event,
    meeting: Barrier,
    waiter: Option<Helper>,
}

impl Scenario for Arrive {
    const POINTS: Points = Points::States;
    const SYSTEM_CALLS: usize = 12;

    fn set_up() -> Self {
        let (quiet, meeting) = (Event::new().unwrap(), Barrier::new(2).unwrap());
        Arrive { quiet, meeting, waiter: None }
    }

    fn victim(&mut self) {
        begin();
        let _ = self.meeting.wait();
    }

    fn ready(&mut self) {
        let waiter = Helper::start(|| {
            assert_eq!(wait(&[&self.quiet, &self.meeting], DEADLINE).unwrap(), [1]);
        });
        waiter.settle();
        self.waiter = Some(waiter);
    }

    fn check(&mut self, _: Death) {
        // A victim that had not come yet was no party: a forked child becomes one as it waits.
        let others = Helper::start(|| drop(self.meeting.wait()));
        others.settle();
        self.waiter.take().unwrap().join();
        drop(self.meeting.wait());
        others.join();
        self.meeting.reset();
        let other = Helper::start(|| assert!(self.meeting.wait().is_ok()));
        // In a process of its own, for it keeps a descriptor.
        elsewhere(|| assert_eq!(wait(&[&self.quiet, &self.meeting], DEADLINE).unwrap(), [1]));
        self.meeting.wait().unwrap();
        other.join();
    }
}

/// A queue and two who sleep in `poll`, without a cap: they are rung, or sleep for too long.
struct Polled {
    queue: Queue<u64>,
    pollers: Vec<Helper>,
}

/// Asks for a descriptor and lets it be armed.
fn arm(queue: &Queue<u64>) {
    queue.poll_fd().unwrap();
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
}

/// Sleeps until the descriptor is readable.
fn sleep(queue: &Queue<u64>) {
    let fd = queue.poll_fd().unwrap().as_raw_fd();
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, which is ours.
    let count = unsafe { libc::poll(&mut poll, 1, DEADLINE.as_millis() as libc::c_int) };
    assert_eq!(count, 1, "nobody has rung");
}

impl Polled {
    fn new() -> Polled {
        Polled { queue: Queue::new(8).unwrap(), pollers: Vec::new() }
    }

    fn start_pollers(&mut self) {
        let armed: Shared<AtomicU64> = Shared::new();
        self.pollers = (0..2)
            .map(|_| {
                Helper::start(|| {
                    arm(&self.queue);
                    armed.fetch_add(1, SeqCst);
                    sleep(&self.queue);
                })
            })
            .collect();
        while armed.load(SeqCst) != 2 {
            std::thread::yield_now();
        }
    }

    fn join_pollers(&mut self) {
        for poller in self.pollers.drain(..) {
            poller.join();
        }
    }

    fn assert_works(&mut self) {
        while self.queue.try_get().is_ok() {}
        self.start_pollers();
        self.queue.put(9).unwrap();
        self.join_pollers();
        assert_eq!(self.queue.get_timeout(DEADLINE).unwrap(), 9);
    }
}

/// Who puts and is killed before it rings leaves that to the next who puts.
struct Put(Polled);

impl Scenario for Put {
    fn set_up() -> Self {
        Put(Polled::new())
    }

    fn victim(&mut self) {
        begin();
        self.0.queue.put(1).unwrap();
    }

    fn ready(&mut self) {
        self.0.start_pollers();
    }

    fn check(&mut self, _: Death) {
        self.0.queue.put(2).unwrap();
        self.0.join_pollers();
        self.0.assert_works();
    }
}

/// Who puts and is stopped before it rings, likewise.
struct PutFrozen(Polled);

impl Scenario for PutFrozen {
    const POINTS: Points = Points::States;
    const FATE: Fate = Fate::FreezeAndRun;

    fn set_up() -> Self {
        PutFrozen(Polled::new())
    }

    fn victim(&mut self) {
        begin();
        self.0.queue.put(1).unwrap();
    }

    fn ready(&mut self) {
        self.0.start_pollers();
    }

    fn frozen(&mut self) {
        self.0.queue.put(2).unwrap();
        self.0.join_pollers();
    }

    fn check(&mut self, _: Death) {
        self.0.assert_works();
    }
}

/// A dead poller is in nobody's way.
struct Poll(Polled);

impl Scenario for Poll {
    const POINTS: Points = Points::States;
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        Poll(Polled::new())
    }

    fn victim(&mut self) {
        // A user of the region already: who becomes one keeps others waiting who do the same.
        assert!(self.0.queue.is_empty() && self.0.queue.try_get().is_err());
        begin();
        arm(&self.0.queue);
    }

    fn frozen(&mut self) {
        self.0.start_pollers();
    }

    fn check(&mut self, _: Death) {
        self.0.queue.put(1).unwrap();
        self.0.join_pollers();
        self.0.assert_works();
    }
}
