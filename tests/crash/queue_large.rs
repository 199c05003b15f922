//! Queues whose messages lie in pages: the victim puts, gets, lends, borrows, waits for pages, and
//! collects those of the dead.
//!
//! After each death the survivors must find every message that was acknowledged as put and not
//! acknowledged as got, once and whole; and then all of the heap, for one message and for many.

use std::marker::PhantomData;
use std::mem::forget;
use std::time::Duration;

use shmkit::{GetError, Lock, PutError, Queue, QueueOptions, Region};

use crate::campaign::{DEADLINE, Death, Fate, Points, Scenario};
use crate::helper::{Helper, elsewhere};
use crate::shared::{Ledger, Shared};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Run<Put, KILL>>("queue_large::put"),
        survives::<Run<Put, TURNS>>("queue_large::put_while_another_works"),
        survives::<Run<Put, KILL_AFTER>>("queue_large::put_and_die_behind_another"),
        survives::<Run<Get, KILL>>("queue_large::get"),
        survives::<Run<Get, TURNS>>("queue_large::get_while_another_works"),
        survives::<Run<Get, KILL_AFTER>>("queue_large::get_and_die_behind_another"),
        survives::<Run<PutMany, KILL>>("queue_large::put_many"),
        survives::<Run<GetMany, KILL>>("queue_large::get_many"),
        survives::<Run<Lend<true>, KILL>>("queue_large::loan_and_commit"),
        survives::<Run<Lend<true>, TURNS>>("queue_large::loan_and_commit_while_another_works"),
        survives::<Run<Lend<false>, KILL>>("queue_large::loan_and_drop"),
        survives::<Run<Lend<false>, TURNS>>("queue_large::loan_and_drop_while_another_works"),
        survives::<Run<Receive, KILL>>("queue_large::receive"),
        survives::<Run<Receive, TURNS>>("queue_large::receive_while_another_works"),
        survives::<Run<Receive, KILL_AFTER>>("queue_large::receive_and_die_behind_another"),
        survives::<Run<Collect, KILL>>("queue_large::collect"),
        survives::<Run<Collect, TURNS>>("queue_large::collect_while_another_does"),
        survives::<Rescue<Put>>("queue_large::collect_from_a_producer_and_from_who_collects"),
        survives::<Rescue<Receive>>("queue_large::collect_from_a_consumer_and_from_who_collects"),
        survives::<Wake>("queue_large::get_while_another_waits_for_pages"),
        survives::<Blocked>("queue_large::wait_for_pages"),
        survives::<SlotReuse>("queue_large::reuse_of_a_dead_producers_place"),
    ]
}

const CAPACITY: usize = 4;
const PAGE: usize = 4096;
const PAGES: usize = 8;
const HEAP: usize = PAGES * PAGE;
/// For a look that may take a nap, so that what the dead have left is taken back.
const NAP: Duration = Duration::from_millis(1);
/// Messages of the victim and of who works beside it have numbers from here on.
const VICTIMS: u64 = 10;
const OTHERS: u64 = 20;

/// The `n`-th message, of one page or of two.
fn message(n: u64) -> String {
    format!("{n:04}").repeat(if n.is_multiple_of(2) { 700 } else { 1100 })
}

fn number(message: &str) -> u64 {
    let n = message[..4].parse().unwrap();
    assert!(message == self::message(n), "torn");
    n
}

/// The text of a message that was not decoded: a length of two bytes is in front.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(&bytes[2..]).unwrap()
}

/// What the victim does.
trait Work {
    /// Messages that are in the queue before.
    const BEFORE: u64;
    fn prepare(_: &Queue<String>) {}
    fn work(queue: &Queue<String>, ledger: &Ledger);
    /// Messages that each operation puts, and acknowledges by one word each.
    const PUTS: u64 = 0;
    /// Messages that each operation gets, and acknowledges by one word each.
    const GETS: u64 = 0;
}

struct Put;

impl Work for Put {
    const BEFORE: u64 = 1;
    const PUTS: u64 = 1;
    fn work(queue: &Queue<String>, ledger: &Ledger) {
        for n in 0..2 {
            ledger.begin();
            if queue.try_put(message(VICTIMS + n)).is_ok() {
                ledger.acknowledge(0);
            }
        }
    }
}

struct Get;

impl Work for Get {
    const BEFORE: u64 = 3;
    const GETS: u64 = 1;
    fn work(queue: &Queue<String>, ledger: &Ledger) {
        for _ in 0..2 {
            ledger.begin();
            if let Ok(got) = queue.try_get() {
                ledger.acknowledge(number(&got));
            }
        }
    }
}

struct PutMany;

impl Work for PutMany {
    const BEFORE: u64 = 1;
    const PUTS: u64 = 3;
    fn work(queue: &Queue<String>, ledger: &Ledger) {
        ledger.begin();
        queue.try_put_many((0..3).map(|n| message(VICTIMS + n)).collect()).unwrap();
        (0..3).for_each(|_| ledger.acknowledge(0));
    }
}

struct GetMany;

impl Work for GetMany {
    const BEFORE: u64 = 3;
    const GETS: u64 = 3;
    fn work(queue: &Queue<String>, ledger: &Ledger) {
        ledger.begin();
        let got = queue.try_get_many(3).unwrap();
        got.iter().for_each(|got| ledger.acknowledge(number(got)));
    }
}

struct Lend<const COMMIT: bool>;

impl<const COMMIT: bool> Work for Lend<COMMIT> {
    const BEFORE: u64 = 1;
    const PUTS: u64 = COMMIT as u64;
    fn work(queue: &Queue<String>, ledger: &Ledger) {
        let message = message(VICTIMS);
        let Ok(mut loan) = queue.try_loan(message.len() + 2) else { return };
        let len = [message.len() as u8 | 128, (message.len() >> 7) as u8];
        loan[..2].copy_from_slice(&len);
        loan[2..].copy_from_slice(message.as_bytes());
        if COMMIT {
            ledger.begin();
            loan.commit();
            ledger.acknowledge(0);
        }
    }
}

struct Receive;

impl Work for Receive {
    const BEFORE: u64 = 3;
    const GETS: u64 = 1;
    fn work(queue: &Queue<String>, ledger: &Ledger) {
        for _ in 0..2 {
            let Ok(received) = queue.try_receive() else { return };
            let n = number(text(&received));
            ledger.begin();
            drop(received);
            ledger.acknowledge(n);
        }
    }
}

/// The dead have left all kinds of garbage, and what it leaves of the heap is too little.
struct Collect;

impl Work for Collect {
    const BEFORE: u64 = 1;
    const PUTS: u64 = 1;
    fn prepare(queue: &Queue<String>) {
        elsewhere(|| forget(queue.try_loan(3 * PAGE).unwrap()));
        elsewhere(|| forget(queue.try_loan(2 * PAGE).unwrap()));
    }
    fn work(queue: &Queue<String>, ledger: &Ledger) {
        ledger.begin();
        let long = message(VICTIMS);
        // More than one page is free, and no more than three in a row.
        let is_put = queue.try_loan(4 * PAGE).is_ok() && queue.try_put(long).is_ok();
        if is_put {
            ledger.acknowledge(0);
        }
    }
}

struct Stage {
    /// For the first use of the region.
    lock: Lock,
    queue: Queue<String>,
    ledger: Shared<Ledger>,
    /// Messages that another has put, and that others have got.
    others_put: u64,
    got: Vec<u64>,
}

impl Stage {
    fn new<W: Work>(region: &Region) -> Stage {
        let options = QueueOptions::new(CAPACITY).heap_bytes(HEAP as u64);
        let queue = options.region(region).queue::<String>().unwrap();
        for _ in 0..3 {
            queue.put(message(1)).unwrap(); // so that what follows goes round the end
            queue.get().unwrap();
        }
        for n in 0..W::BEFORE {
            queue.put(message(n)).unwrap();
        }
        W::prepare(&queue);
        let lock = Lock::new_in(region, ()).unwrap();
        Stage { lock, queue, ledger: Shared::new(), others_put: 0, got: Vec::new() }
    }

    fn victim<W: Work>(&mut self) {
        drop(self.lock.lock().unwrap());
        begin();
        W::work(&self.queue, &self.ledger);
    }

    /// What the second process does: it gets and puts what it can, one of each.
    fn work_beside(&mut self) {
        match self.queue.try_get() {
            Ok(got) => self.got.push(number(&got)),
            Err(why) => {
                assert!(matches!(why, GetError::Empty | GetError::Disconnected), "{why}");
            }
        }
        match self.queue.try_put(message(OTHERS + self.others_put)) {
            Ok(()) => self.others_put += 1,
            Err(why) => {
                assert!(matches!(why, PutError::Full(_) | PutError::Disconnected(_)), "{why}");
            }
        }
    }

    /// Gets everything, also what the dead have left, and holds it against the ledger.
    fn assert_all_there<W: Work>(&mut self) {
        // One more handle is never alone, so that an empty queue is empty.
        let company = self.queue.clone();
        while let Ok(got) = company.get_timeout(NAP) {
            self.got.push(number(&got));
        }
        assert!(self.queue.is_empty());
        let (begun, acknowledged) = (self.ledger.begun(), self.ledger.acknowledged());
        let mut seen = self.got.clone();
        if W::GETS > 0 {
            seen.extend(self.ledger.answers());
        }
        seen.sort();
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "doubled: {seen:?}");
        let victims = seen.iter().filter(|n| (VICTIMS..OTHERS).contains(n)).count() as u64;
        let (least, most) = (acknowledged.min(W::PUTS * begun), W::PUTS * begun);
        assert!((least..=most).contains(&victims), "{victims} of {least}..={most}");
        let wanted = W::BEFORE + self.others_put;
        let there = seen.len() as u64 - victims;
        // What the victim had taken for good goes with it.
        let lost = (W::GETS * begun).saturating_sub(acknowledged);
        assert!((wanted.saturating_sub(lost)..=wanted).contains(&there), "{seen:?} of {wanted}");
    }

    fn assert_works(&self) {
        for _ in 0..2 {
            let all = self.queue.loan_timeout(HEAP, DEADLINE).expect("pages were lost");
            assert_eq!(all.len(), HEAP);
            drop(all);
            let each: Vec<u64> = (0..CAPACITY as u64).map(|n| 2 * n + 1).collect();
            each.iter().for_each(|n| self.queue.try_put(message(*n)).unwrap());
            let got = self.queue.get_many(2 * CAPACITY).unwrap();
            assert!(got.iter().map(|got| number(got)).eq(each));
        }
    }
}

fn region() -> Region {
    Region::new(1 << 17).unwrap()
}

const KILL: u8 = 0;
const TURNS: u8 = 1;
const KILL_AFTER: u8 = 2;

/// `W` is cut short, alone or with another process that works in the same queue.
struct Run<W, const HOW: u8>(Stage, PhantomData<W>);

impl<W: Work, const HOW: u8> Scenario for Run<W, HOW> {
    const POINTS: Points = if HOW == KILL { Points::Instructions } else { Points::Samples };
    const FATE: Fate = match HOW {
        KILL => Fate::Kill,
        TURNS => Fate::FreezeAndRun,
        _ => Fate::FreezeAndKill,
    };

    fn set_up() -> Self {
        Run(Stage::new::<W>(&region()), PhantomData)
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

/// Whoever collects what the victim has left is killed as well.
struct Rescue<W>(Stage, PhantomData<W>);

impl<W: Work> Scenario for Rescue<W> {
    const POINTS: Points = Points::States;
    const RESCUED: bool = true;

    fn set_up() -> Self {
        Rescue(Stage::new::<W>(&region()), PhantomData)
    }

    fn victim(&mut self) {
        self.0.victim::<W>();
    }

    fn rescue(&mut self) {
        drop(self.0.lock.lock().unwrap());
        begin();
        drop(self.0.queue.try_loan(HEAP));
    }

    fn check(&mut self, _: Death) {
        self.0.assert_all_there::<W>();
        self.0.assert_works();
    }
}

/// The victim frees the pages that another waits for.
struct Wake(Stage, Option<Helper>);

impl Scenario for Wake {
    const POINTS: Points = Points::Samples;

    fn set_up() -> Self {
        Wake(Stage::new::<Get>(&region()), None)
    }

    fn victim(&mut self) {
        self.0.victim::<Get>();
    }

    fn ready(&mut self) {
        let queue = self.0.queue.clone();
        let waiter = Helper::start(|| {
            // Four pages are free, and five are after the first get.
            drop(queue.loan_timeout(5 * PAGE, DEADLINE).expect("nobody told"));
        });
        waiter.settle();
        self.1 = Some(waiter);
    }

    fn check(&mut self, _: Death) {
        self.0.assert_all_there::<Get>();
        self.1.take().unwrap().join();
        self.0.assert_works();
    }
}

/// The victim waits for pages, and is let have them.
struct Blocked(Stage);

struct PutBlocked;

impl Work for PutBlocked {
    const BEFORE: u64 = 3;
    const PUTS: u64 = 1;
    fn prepare(queue: &Queue<String>) {
        // Four of eight pages are taken.
        assert!(matches!(queue.try_loan(5 * PAGE), Err(PutError::Full(()))));
    }
    fn work(queue: &Queue<String>, ledger: &Ledger) {
        let Ok(loan) = queue.loan_timeout(5 * PAGE, DEADLINE) else { return };
        drop(loan);
        ledger.begin();
        queue.try_put(message(VICTIMS)).unwrap();
        ledger.acknowledge(0);
    }
}

impl Scenario for Blocked {
    const POINTS: Points = Points::Samples;
    const SYSTEM_CALLS: usize = 12;

    fn set_up() -> Self {
        Blocked(Stage::new::<PutBlocked>(&region()))
    }

    fn victim(&mut self) {
        self.0.victim::<PutBlocked>();
    }

    fn check(&mut self, _: Death) {
        self.0.assert_all_there::<PutBlocked>();
        self.0.assert_works();
    }
}

/// Another process gets the place of the dead one, and with it the number in its claims.
struct SlotReuse(Stage);

impl Scenario for SlotReuse {
    fn set_up() -> Self {
        let region = shmkit::RegionOptions::new(1 << 17).participants(2).anonymous().unwrap();
        SlotReuse(Stage::new::<Put>(&region))
    }

    fn victim(&mut self) {
        self.0.victim::<Put>();
    }

    fn check(&mut self, _: Death) {
        let stage = &mut self.0;
        // The new occupant lends pages, and lives on while the others collect.
        let keeper = crate::helper::Keeper::of(|| {
            stage.queue.get_timeout(DEADLINE).map(|got| assert_eq!(number(&got), 0)).unwrap();
            forget(stage.queue.loan_timeout(PAGE, DEADLINE).unwrap());
            stage.queue.clone()
        });
        assert!(matches!(stage.queue.try_loan(HEAP), Err(PutError::Full(()))));
        drop(keeper);
        stage.got.push(0);
        stage.assert_all_there::<Put>();
        stage.assert_works();
    }
}
