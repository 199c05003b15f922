//! Queues: the victim puts or gets among others, waits, wakes, lends, closes, and leaves.
//!
//! After each death the survivors must find every message that was acknowledged as put and not
//! acknowledged as got, once and whole; then all of the capacity; and nobody sleeps on.

use std::mem::forget;
use std::time::Duration;

use shmkit::{GetError, Job, JoinError, JoinableQueue, Lock, Pipe, PutError, Queue, Region};

use crate::campaign::{DEADLINE, Death, Fate, Points, Scenario};
use crate::helper::{Helper, Keeper, elsewhere};
use crate::shared::{Ledger, Shared};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Run<Put, KILL>>("queue::put"),
        survives::<Run<Put, TURNS>>("queue::put_while_another_works"),
        survives::<Run<Put, KILL_AFTER>>("queue::put_and_die_behind_another"),
        survives::<Run<Get, KILL>>("queue::get"),
        survives::<Run<Get, TURNS>>("queue::get_while_another_works"),
        survives::<Run<Get, KILL_AFTER>>("queue::get_and_die_behind_another"),
        survives::<Run<PutMany, KILL>>("queue::put_many"),
        survives::<Run<PutMany, TURNS>>("queue::put_many_while_another_works"),
        survives::<Run<PutMany, KILL_AFTER>>("queue::put_many_and_die_behind_another"),
        survives::<Run<GetMany, KILL>>("queue::get_many"),
        survives::<Run<GetMany, TURNS>>("queue::get_many_while_another_works"),
        survives::<Run<GetMany, KILL_AFTER>>("queue::get_many_and_die_behind_another"),
        survives::<Run<Lend<true>, KILL>>("queue::loan_and_commit"),
        survives::<Run<Lend<true>, TURNS>>("queue::loan_and_commit_while_another_works"),
        survives::<Run<Lend<false>, KILL>>("queue::loan_and_drop"),
        survives::<Run<Lend<false>, TURNS>>("queue::loan_and_drop_while_another_works"),
        survives::<Run<Receive, KILL>>("queue::receive"),
        survives::<Run<Receive, TURNS>>("queue::receive_while_another_works"),
        survives::<Run<Receive, KILL_AFTER>>("queue::receive_and_die_behind_another"),
        survives::<Run<Verdict, KILL>>("queue::take_back_what_the_dead_had_claimed"),
        survives::<Wake<true>>("queue::put_while_another_waits"),
        survives::<Wake<false>>("queue::get_while_another_waits_for_room"),
        survives::<Blocked<true>>("queue::wait_for_a_message_beside_another"),
        survives::<Blocked<false>>("queue::wait_for_room_beside_another"),
        survives::<Close>("queue::close_while_others_wait"),
        survives::<CloseBeside>("queue::close_while_another_puts"),
        survives::<Leave>("queue::drop_the_last_handle_while_another_waits"),
        survives::<Travel>("queue::send_a_handle"),
        survives::<Jobs<true>>("queue::job_done_while_another_joins"),
        survives::<Jobs<false>>("queue::job_dropped_while_another_joins"),
        survives::<JoinBlocked>("queue::join_beside_another"),
    ]
}

/// Several words, so that half of one shows.
type Item = (u64, u64, u64);

fn item(n: u64) -> Item {
    (n, !n, n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

const CAPACITY: usize = 4;
/// Items of the victim and of who works beside it have numbers from here on.
const VICTIMS: u64 = 10;
const OTHERS: u64 = 20;
/// For a look that may take a nap, so that what the dead have left is taken back.
const NAP: Duration = Duration::from_millis(1);

/// A region for queues.
struct Place {
    region: Region,
    lock: Lock,
}

impl Place {
    fn new() -> Place {
        let region = Region::new(1 << 15).unwrap();
        Place { lock: Lock::new_in(&region, ()).unwrap(), region }
    }

    fn queue(&self, capacity: usize) -> Queue<Item> {
        Queue::new_in(&self.region, capacity).unwrap()
    }

    fn jobs(&self) -> JoinableQueue<Item> {
        JoinableQueue::new_in(&self.region, 2).unwrap()
    }

    /// First use: this process becomes a user of the region. (What counts it as a user of the queue is
    /// a part of the operation.)
    fn attach(&self) {
        drop(self.lock.lock().unwrap());
    }
}

/// What the victim does.
trait Work {
    /// Items that are in the queue before.
    const BEFORE: u64;
    /// Whether the dead have claimed something before.
    const PREPARED: bool = false;
    fn prepare(_: &Queue<Item>) {}
    fn work(queue: &Queue<Item>, ledger: &Ledger);
    /// Items that each operation puts, and acknowledges by one word each.
    const PUTS: u64 = 0;
    /// Items that each operation gets, and acknowledges by one word each.
    const GETS: u64 = 0;
}

struct Put;

impl Work for Put {
    const BEFORE: u64 = 1;
    const PUTS: u64 = 1;
    fn work(queue: &Queue<Item>, ledger: &Ledger) {
        for n in 0..2 {
            ledger.begin();
            if queue.try_put(item(VICTIMS + n)).is_ok() {
                ledger.acknowledge(0);
            }
        }
    }
}

struct Get;

impl Work for Get {
    const BEFORE: u64 = 3;
    const GETS: u64 = 1;
    fn work(queue: &Queue<Item>, ledger: &Ledger) {
        for _ in 0..2 {
            ledger.begin();
            if let Ok(got) = queue.try_get() {
                assert_eq!(got, item(got.0));
                ledger.acknowledge(got.0);
            }
        }
    }
}

struct PutMany;

impl Work for PutMany {
    const BEFORE: u64 = 1;
    const PUTS: u64 = 3;
    fn work(queue: &Queue<Item>, ledger: &Ledger) {
        ledger.begin();
        // Two claims, of two slots and of one.
        let unsent = match queue.try_put_many((0..3).map(|n| item(VICTIMS + n)).collect()) {
            Ok(()) => 0,
            Err(PutError::Full(rest)) => rest.len(),
            Err(why) => panic!("{why}"),
        };
        (unsent..3).for_each(|_| ledger.acknowledge(0));
    }
}

struct GetMany;

impl Work for GetMany {
    const BEFORE: u64 = 4;
    const GETS: u64 = 3;
    fn work(queue: &Queue<Item>, ledger: &Ledger) {
        ledger.begin();
        if let Ok(all) = queue.try_get_many(3) {
            for got in all {
                assert_eq!(got, item(got.0));
                ledger.acknowledge(got.0);
            }
        }
    }
}

struct Lend<const COMMIT: bool>;

impl<const COMMIT: bool> Work for Lend<COMMIT> {
    const BEFORE: u64 = 1;
    const PUTS: u64 = COMMIT as u64;
    fn work(queue: &Queue<Item>, ledger: &Ledger) {
        // The encoding of an item is written in place.
        let bytes = postcard(item(VICTIMS));
        let Ok(mut loan) = queue.try_loan(bytes.len()) else { return };
        loan.copy_from_slice(&bytes);
        if COMMIT {
            ledger.begin();
            loan.commit();
            ledger.acknowledge(0);
        }
    }
}

/// The encoding of an item, as a queue makes it.
fn postcard(item: Item) -> Vec<u8> {
    let varint = |mut n: u64| {
        let mut bytes = Vec::new();
        while n >= 0x80 {
            bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        bytes.push(n as u8);
        bytes
    };
    [item.0, item.1, item.2].into_iter().flat_map(varint).collect()
}

struct Receive;

impl Work for Receive {
    const BEFORE: u64 = 3;
    const GETS: u64 = 1;
    fn work(queue: &Queue<Item>, ledger: &Ledger) {
        let Ok(received) = queue.try_receive() else { return };
        let n = u64::from(received[0]);
        assert_eq!(received[..], postcard(item(n)));
        ledger.begin();
        drop(received);
        ledger.acknowledge(n);
    }
}

/// The dead have left a claim at either end, and another has claimed after them.
struct Verdict;

impl Work for Verdict {
    const BEFORE: u64 = 2;
    const PREPARED: bool = true;
    fn prepare(queue: &Queue<Item>) {
        elsewhere(|| forget((queue.try_receive().unwrap(), queue.try_loan(1).unwrap())));
        elsewhere(|| drop(queue.try_receive().unwrap()));
        queue.try_put(item(1)).unwrap();
    }
    fn work(queue: &Queue<Item>, _: &Ledger) {
        let full = queue.put_timeout(item(VICTIMS), NAP);
        assert!(matches!(full, Ok(()) | Err(PutError::Timeout(_))));
    }
    const PUTS: u64 = 1;
}

struct Stage {
    place: Place,
    queue: Queue<Item>,
    ledger: Shared<Ledger>,
    /// Items that another has put, and that others have got.
    others_put: u64,
    got: Vec<u64>,
}

impl Stage {
    fn new<W: Work>() -> Stage {
        let place = Place::new();
        let queue = place.queue(CAPACITY);
        for _ in 0..3 {
            queue.put(item(0)).unwrap(); // so that what follows goes round the end
            queue.get().unwrap();
        }
        for n in 0..W::BEFORE {
            queue.put(item(n)).unwrap();
        }
        W::prepare(&queue);
        Stage { place, queue, ledger: Shared::new(), others_put: 0, got: Vec::new() }
    }

    fn victim<W: Work>(&mut self) {
        self.place.attach();
        begin();
        W::work(&self.queue, &self.ledger);
    }

    /// What the second process does: it gets and puts what it can, one of each.
    fn work_beside(&mut self) {
        match self.queue.try_get() {
            Ok(got) => self.note(got),
            Err(why) => assert!(matches!(why, GetError::Empty), "{why}"),
        }
        match self.queue.try_put(item(OTHERS + self.others_put)) {
            Ok(()) => self.others_put += 1,
            Err(why) => assert!(matches!(why, PutError::Full(_)), "{why}"),
        }
    }

    fn note(&mut self, got: Item) {
        assert_eq!(got, item(got.0), "torn");
        self.got.push(got.0);
    }

    /// Gets everything, also what the dead have left, and holds it against the ledger.
    fn assert_all_there<W: Work>(&mut self) {
        while let Ok(got) = self.queue.get_timeout(NAP) {
            self.note(got);
        }
        assert!(self.queue.is_empty() && !self.queue.is_full());

        let (begun, acknowledged) = (self.ledger.begun(), self.ledger.acknowledged());
        let mut seen = self.got.clone();
        if W::GETS > 0 {
            seen.extend(self.ledger.answers());
        }
        seen.sort();
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "doubled: {seen:?}");

        let in_turn =
            |from: u64| self.got.iter().copied().filter(move |n| (from..from + 10).contains(n));
        let victims: Vec<u64> = in_turn(VICTIMS).collect();
        let most = if W::PREPARED { 1 } else { W::PUTS * begun };
        let least = acknowledged.min(W::PUTS * begun);
        assert!(victims.iter().copied().eq(VICTIMS..VICTIMS + victims.len() as u64), "{victims:?}");
        assert!((least..=most).contains(&(victims.len() as u64)), "{victims:?}: {least}..={most}");

        let wanted = W::BEFORE + self.others_put;
        let there = seen.iter().filter(|n| !(VICTIMS..OTHERS).contains(n)).count() as u64;
        // What the victim had taken for good goes with it.
        let lost = (W::GETS * begun).saturating_sub(acknowledged);
        assert!((wanted.saturating_sub(lost)..=wanted).contains(&there), "{seen:?} of {wanted}");
    }

    fn assert_works(&self) {
        assert_works(&self.queue);
    }
}

fn assert_works(queue: &Queue<Item>) {
    for round in 0..3 {
        for n in 0..CAPACITY as u64 {
            queue.try_put(item(n)).unwrap();
        }
        assert!(queue.is_full() && queue.try_put(item(0)).is_err());
        let got = match round {
            1 => queue.get_many(CAPACITY).unwrap(),
            _ => std::iter::from_fn(|| queue.try_get().ok()).collect(),
        };
        assert!(got.into_iter().eq((0..CAPACITY as u64).map(item)), "round {round}");
    }
}

const KILL: u8 = 0;
const TURNS: u8 = 1;
const KILL_AFTER: u8 = 2;

/// `W` is cut short, alone or with another process that works with the same queue.
struct Run<W, const HOW: u8>(Stage, std::marker::PhantomData<W>);

impl<W: Work, const HOW: u8> Scenario for Run<W, HOW> {
    const POINTS: Points = if HOW == KILL { Points::Instructions } else { Points::Samples };
    const FATE: Fate = match HOW {
        KILL => Fate::Kill,
        TURNS => Fate::FreezeAndRun,
        _ => Fate::FreezeAndKill,
    };

    fn set_up() -> Self {
        Run(Stage::new::<W>(), std::marker::PhantomData)
    }

    fn victim(&mut self) {
        self.0.victim::<W>();
    }

    fn frozen(&mut self) {
        self.0.work_beside();
        self.0.work_beside();
    }

    fn thawed(&mut self) {
        self.0.work_beside();
    }

    fn check(&mut self, _: Death) {
        self.0.assert_all_there::<W>();
        self.0.assert_works();
        elsewhere(|| self.0.assert_works());
    }
}

/// A queue that one process can get from, or put into if it is for room; another waits for that.
struct Waiting<const GETS: bool> {
    place: Place,
    queue: Queue<Item>,
    sleeper: Option<Helper>,
}

impl<const GETS: bool> Waiting<GETS> {
    fn new() -> Self {
        let place = Place::new();
        let queue = place.queue(1);
        if !GETS {
            queue.put(item(0)).unwrap();
        }
        Waiting { place, queue, sleeper: None }
    }

    /// Starts a process that waits, and returns once it sleeps.
    fn start(&mut self) {
        let queue = &self.queue;
        let sleeper = Helper::start(|| match GETS {
            true => drop(queue.get_timeout(DEADLINE).unwrap()),
            false => queue.put_timeout(item(1), DEADLINE).unwrap(),
        });
        sleeper.settle();
        self.sleeper = Some(sleeper);
    }

    /// What the sleeper waits for.
    fn serve(&self) {
        match GETS {
            true => self.queue.try_put(item(1)).unwrap(),
            false => drop(self.queue.try_get().unwrap()),
        }
    }

    /// Serves the sleeper, unless the victim has done so for good; it must go on.
    fn assert_goes_on(&mut self, acknowledged: bool) {
        let sleeper = self.sleeper.take().unwrap();
        if !acknowledged {
            // The victim may have been killed before or after; now somebody serves for sure.
            match GETS {
                true => drop(self.queue.put_timeout(item(1), NAP)),
                false => drop(self.queue.get_timeout(NAP)),
            }
        }
        sleeper.join();
        while self.queue.get_timeout(NAP).is_ok() {}
        elsewhere(|| self.queue.try_put(item(5)).unwrap());
        assert_eq!(self.queue.get_timeout(DEADLINE).unwrap(), item(5));
    }
}

/// Who waits goes on, however its waker ends.
struct Wake<const GETS: bool>(Waiting<GETS>, Shared<Ledger>);

impl<const GETS: bool> Scenario for Wake<GETS> {
    fn set_up() -> Self {
        Wake(Waiting::new(), Shared::new())
    }

    fn victim(&mut self) {
        self.0.place.attach();
        begin();
        self.0.serve();
        self.1.acknowledge(0);
    }

    fn ready(&mut self) {
        self.0.start();
    }

    fn check(&mut self, _: Death) {
        self.0.assert_goes_on(self.1.acknowledged() == 1);
    }
}

/// Who is killed while it waits does not keep what another waits for.
struct Blocked<const GETS: bool>(Waiting<GETS>);

impl<const GETS: bool> Scenario for Blocked<GETS> {
    const POINTS: Points = Points::Samples;
    const FATE: Fate = Fate::FreezeAndKill;
    const SYSTEM_CALLS: usize = 12;

    fn set_up() -> Self {
        Blocked(Waiting::new())
    }

    fn victim(&mut self) {
        self.0.place.attach();
        begin();
        match GETS {
            true => drop(self.0.queue.get()),
            false => drop(self.0.queue.put(item(2))),
        }
    }

    fn frozen(&mut self) {
        self.0.start();
    }

    fn check(&mut self, _: Death) {
        self.0.assert_goes_on(false);
    }
}

/// Closed or not: who waits for the end is told of it, and what was put before is there.
struct Close {
    place: Place,
    full: Queue<Item>,
    empty: Queue<Item>,
    sleepers: Vec<Helper>,
    ledger: Shared<Ledger>,
}

impl Scenario for Close {
    fn set_up() -> Self {
        let place = Place::new();
        let (full, empty) = (place.queue(1), place.queue(1));
        full.put(item(0)).unwrap();
        Close { place, full, empty, sleepers: Vec::new(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        self.place.attach();
        begin();
        self.full.close();
        self.ledger.acknowledge(0);
        self.empty.close();
        self.ledger.acknowledge(1);
    }

    fn ready(&mut self) {
        let (full, empty) = (&self.full, &self.empty);
        let put = Helper::start(|| {
            let put = full.put_timeout(item(1), DEADLINE);
            assert!(matches!(put, Err(PutError::Disconnected(_))));
        });
        let get = Helper::start(|| {
            let got = empty.get_timeout(DEADLINE);
            assert!(matches!(got, Err(GetError::Disconnected)));
        });
        self.sleepers = vec![put, get];
        self.sleepers.iter().for_each(Helper::settle);
    }

    fn check(&mut self, _: Death) {
        if self.ledger.acknowledged() < 1 {
            self.full.close();
        }
        if self.ledger.acknowledged() < 2 {
            self.empty.close();
        }
        self.sleepers.drain(..).for_each(Helper::join);
        assert!(matches!(self.empty.try_put(item(0)), Err(PutError::Disconnected(_))));
        assert_eq!(self.full.get().unwrap(), item(0));
        assert!(matches!(self.full.get(), Err(GetError::Disconnected)));
    }
}

/// Each put beside a close is in the queue or refused.
struct CloseBeside {
    place: Place,
    queue: Queue<Item>,
    put: u64,
}

impl CloseBeside {
    fn put_one(&mut self) {
        match self.queue.try_put(item(self.put)) {
            Ok(()) => self.put += 1,
            Err(why) => assert!(matches!(why, PutError::Disconnected(_)), "{why}"),
        }
    }
}

impl Scenario for CloseBeside {
    const POINTS: Points = Points::Samples;
    const FATE: Fate = Fate::FreezeAndRun;

    fn set_up() -> Self {
        let place = Place::new();
        CloseBeside { queue: place.queue(CAPACITY), place, put: 0 }
    }

    fn victim(&mut self) {
        self.place.attach();
        begin();
        self.queue.close();
    }

    fn frozen(&mut self) {
        self.put_one();
        self.put_one();
    }

    fn check(&mut self, _: Death) {
        assert!(matches!(self.queue.try_put(item(9)), Err(PutError::Disconnected(_))));
        assert!(self.queue.iter().eq((0..self.put).map(item)));
        assert!(matches!(self.queue.get(), Err(GetError::Disconnected)));
    }
}

/// A process that lets its handle go, or dies on the way, is company no longer.
struct Leave {
    place: Place,
    queue: Queue<Item>,
    sleeper: Option<Helper>,
}

impl Scenario for Leave {
    fn set_up() -> Self {
        let place = Place::new();
        Leave { queue: place.queue(1), place, sleeper: None }
    }

    fn victim(&mut self) {
        self.place.attach();
        begin();
        let mine = self.queue.clone();
        mine.try_put(item(3)).unwrap();
        drop(mine);
    }

    fn ready(&mut self) {
        self.sleeper = Some(Helper::start(|| {
            let mut got = Vec::new();
            let end = loop {
                match self.queue.get_timeout(DEADLINE) {
                    Ok(item) => got.push(item),
                    Err(end) => break end,
                }
            };
            assert!(matches!(end, GetError::Disconnected) && got.len() <= 1);
        }));
        self.sleeper.as_ref().unwrap().settle();
    }

    fn check(&mut self, _: Death) {
        // This process is left, with the sleeper; and then the sleeper alone.
        let empty = self.place.queue(1);
        drop(std::mem::replace(&mut self.queue, empty));
        self.sleeper.take().unwrap().join();
    }
}

/// A handle on its way counts as long as its message or its receiver is there, and no longer.
struct Travel {
    place: Place,
    queue: Queue<Item>,
    pipe: Option<(shmkit::Receiver<Queue<Item>>, shmkit::Sender<Queue<Item>>)>,
}

impl Scenario for Travel {
    const POINTS: Points = Points::States;

    fn set_up() -> Self {
        let place = Place::new();
        let queue = place.queue(1);
        drop(queue.clone()); // it has had company
        Travel { place, queue, pipe: Some(Pipe::simplex().unwrap()) }
    }

    fn victim(&mut self) {
        let (receiver, sender) = Pipe::<Queue<Item>>::simplex().unwrap();
        self.place.attach();
        begin();
        sender.send(self.queue.clone()).unwrap();
        drop(receiver.recv().unwrap());
    }

    fn check(&mut self, _: Death) {
        assert!(matches!(self.queue.get_timeout(DEADLINE), Err(GetError::Disconnected)));
        let (receiver, sender) = self.pipe.take().unwrap();
        sender.send(self.queue.clone()).unwrap();
        assert!(matches!(self.queue.try_get(), Err(GetError::Empty)));
        drop((sender, receiver));
        assert!(matches!(self.queue.get_timeout(DEADLINE), Err(GetError::Disconnected)));
    }
}

/// A job that was not done is there again, and the joiner waits for it to be done.
struct Jobs<const DONE: bool> {
    place: Place,
    jobs: JoinableQueue<Item>,
    joiner: Option<Helper>,
    ledger: Shared<Ledger>,
}

impl<const DONE: bool> Scenario for Jobs<DONE> {
    fn set_up() -> Self {
        let place = Place::new();
        let jobs = place.jobs();
        jobs.put_many(vec![item(1), item(2)]).unwrap();
        Jobs { place, jobs, joiner: None, ledger: Shared::new() }
    }

    fn victim(&mut self) {
        self.place.attach();
        begin();
        let job = self.jobs.try_get().unwrap();
        assert_eq!((*job, job.attempts()), (item(1), 1));
        self.ledger.begin();
        if DONE {
            job.done()
        } else {
            drop(job)
        }
        self.ledger.acknowledge(1);
    }

    fn ready(&mut self) {
        let joiner = Helper::start(|| self.jobs.join_timeout(DEADLINE).unwrap());
        joiner.settle();
        self.joiner = Some(joiner);
    }

    fn check(&mut self, _: Death) {
        let mut left = Vec::new();
        while let Ok(job) = self.jobs.get_timeout(NAP) {
            assert!(matches!(self.jobs.join_timeout(NAP), Err(JoinError::Timeout)));
            assert_eq!(*job, item(job.0));
            assert!((1..=2).contains(&job.attempts()), "{job:?}");
            left.push(job);
        }
        let mut numbers: Vec<u64> = left.iter().map(|job| job.0).collect();
        numbers.sort();
        let (begun, ended) = (self.ledger.begun() > 0, self.ledger.acknowledged() > 0);
        match DONE {
            true if ended => assert_eq!(numbers, [2]),
            true if begun => assert!([&[2][..], &[1, 2]].contains(&&numbers[..])),
            _ => assert_eq!(numbers, [1, 2]),
        }
        left.into_iter().for_each(Job::done);
        self.joiner.take().unwrap().join();
        self.jobs.put(item(7)).unwrap();
        elsewhere(|| self.jobs.get().unwrap().done());
        self.jobs.join_timeout(DEADLINE).unwrap();
    }
}

/// Who is killed while it joins is in nobody's way.
struct JoinBlocked {
    place: Place,
    jobs: JoinableQueue<Item>,
    joiner: Option<Keeper>,
}

impl Scenario for JoinBlocked {
    const POINTS: Points = Points::Samples;
    const FATE: Fate = Fate::FreezeAndKill;
    const SYSTEM_CALLS: usize = 12;

    fn set_up() -> Self {
        let place = Place::new();
        let jobs = place.jobs();
        jobs.put(item(1)).unwrap();
        JoinBlocked { place, jobs, joiner: None }
    }

    fn victim(&mut self) {
        self.place.attach();
        begin();
        drop(self.jobs.join());
    }

    fn frozen(&mut self) {
        let joiner = Keeper::start(|| self.jobs.join_timeout(DEADLINE).unwrap());
        joiner.settle();
        self.joiner = Some(joiner);
    }

    fn check(&mut self, _: Death) {
        let job = self.jobs.try_get().unwrap();
        assert_eq!(job.attempts(), 1);
        job.done();
        self.joiner.take().unwrap().wait();
        self.jobs.join_timeout(DEADLINE).unwrap();
    }
}
