//! Queues that grow: the victim backs chunks and gives them back, alone and late.
//!
//! After each death the survivors must find every message that was acknowledged as put and not
//! acknowledged as got, once and whole; and then all of the capacity, wherever the ring stands.

use std::marker::PhantomData;
use std::time::Duration;

use shmkit::{GetError, Lock, PutError, Queue, QueueOptions, Region, RegionOptions, wait};

use crate::campaign::{DEADLINE, Death, Fate, Points, Scenario};
use crate::helper::{Keeper, elsewhere};
use crate::shared::{Ledger, Shared};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Run<Make, KILL>>("queue_growth::make"),
        survives::<Run<Grow<FIRST>, KILL>>("queue_growth::put_that_grows"),
        survives::<Run<Grow<FIRST>, TURNS>>("queue_growth::put_that_grows_while_another_works"),
        survives::<Run<Grow<ROUND>, LATE>>("queue_growth::put_that_grows_a_lap_late"),
        survives::<Run<GrowByMany, KILL>>("queue_growth::put_many_that_grows"),
        survives::<Run<Shrink, KILL>>("queue_growth::get_that_shrinks"),
        survives::<Run<Shrink, LATE>>("queue_growth::get_that_shrinks_a_lap_late"),
        survives::<Run<Receive, KILL>>("queue_growth::receive_that_shrinks"),
        survives::<Run<Abort, KILL>>("queue_growth::loan_that_grows_and_is_dropped"),
        survives::<Rescue<Grow<ROUND>>>("queue_growth::collect_from_who_grew"),
        survives::<SlotReuse>("queue_growth::reuse_of_a_dead_producers_place"),
    ]
}

/// Several words, so that half of one shows.
type Item = (u64, u64, u64);

fn item(n: u64) -> Item {
    (n, !n, n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Slots of a chunk where a slot has [`INLINE`] bytes, and slots of the ring of [`CAPACITY`].
const CHUNK: u64 = 16;
const INLINE: usize = 4072;
const CAPACITY: usize = 24;
const SLOTS: u64 = 128;
/// Where the ring stands at first.
const FIRST: u64 = CHUNK - 2;
const ROUND: u64 = SLOTS - 2;
/// Messages of the victim and of who works beside it have numbers from here on.
const VICTIMS: u64 = 1000;
const OTHERS: u64 = 2000;
/// For a look that may take a nap, so that what the dead have left is taken back.
const NAP: Duration = Duration::from_millis(1);

/// What the victim does.
trait Work {
    /// Messages that have gone through the queue before.
    const AT: u64 = FIRST;
    /// Messages that are in it.
    const BEFORE: u64 = 1;
    fn work(stage: &Stage, ledger: &Ledger);
    /// Messages that each operation puts, and acknowledges by one word each.
    const PUTS: u64 = 0;
    /// Messages that each operation gets, and acknowledges by one word each.
    const GETS: u64 = 0;
}

/// Another queue that grows, in the same region.
struct Make;

impl Work for Make {
    const AT: u64 = 0;
    fn work(stage: &Stage, _: &Ledger) {
        drop(queue(&stage.region));
    }
}

/// The second put would use up what is backed.
struct Grow<const AT: u64>;

impl<const AT: u64> Work for Grow<AT> {
    const AT: u64 = AT - 1;
    const PUTS: u64 = 1;
    fn work(stage: &Stage, ledger: &Ledger) {
        for n in 0..2 {
            ledger.begin();
            if stage.queue.try_put(item(VICTIMS + n)).is_ok() {
                ledger.acknowledge(0);
            }
        }
    }
}

struct GrowByMany;

impl Work for GrowByMany {
    const PUTS: u64 = 4;
    fn work(stage: &Stage, ledger: &Ledger) {
        ledger.begin();
        let unsent = match stage.queue.try_put_many((0..4).map(|n| item(VICTIMS + n)).collect()) {
            Ok(()) => 0,
            Err(PutError::Full(rest)) => rest.len(),
            Err(why) => panic!("{why}"),
        };
        (unsent..4).for_each(|_| ledger.acknowledge(0));
    }
}

/// The second get frees the last slot of a chunk.
struct Shrink;

impl Work for Shrink {
    const BEFORE: u64 = 4;
    const GETS: u64 = 1;
    fn work(stage: &Stage, ledger: &Ledger) {
        for _ in 0..2 {
            ledger.begin();
            if let Ok(got) = stage.queue.try_get() {
                assert_eq!(got, item(got.0));
                ledger.acknowledge(got.0);
            }
        }
    }
}

struct Receive;

impl Work for Receive {
    const BEFORE: u64 = 4;
    const GETS: u64 = 1;
    fn work(stage: &Stage, ledger: &Ledger) {
        for _ in 0..2 {
            let Ok(received) = stage.queue.try_receive() else { return };
            let n = u64::from(received[0]);
            ledger.begin();
            drop(received);
            ledger.acknowledge(n);
        }
    }
}

struct Abort;

impl Work for Abort {
    fn work(stage: &Stage, _: &Ledger) {
        drop(stage.queue.try_loan(INLINE));
    }
}

fn queue(region: &Region) -> Queue<Item> {
    let options = QueueOptions::new(CAPACITY).growing().inline_bytes(INLINE);
    options.region(region).queue().unwrap()
}

struct Stage {
    region: Region,
    lock: Lock,
    queue: Queue<Item>,
    ledger: Shared<Ledger>,
    /// Messages that another has put, and that others have got.
    others_put: u64,
    got: Vec<u64>,
}

impl Stage {
    fn new<W: Work>(region: Region) -> Stage {
        let (queue, lock) = (queue(&region), Lock::new_in(&region, ()).unwrap());
        for _ in 0..W::AT {
            queue.put(item(0)).unwrap();
            queue.get().unwrap();
        }
        for n in 0..W::BEFORE {
            queue.put(item(n)).unwrap();
        }
        Stage { region, lock, queue, ledger: Shared::new(), others_put: 0, got: Vec::new() }
    }

    fn victim<W: Work>(&mut self) {
        drop(self.lock.lock().unwrap());
        begin();
        W::work(self, &self.ledger);
    }

    /// What the second process does: it gets and puts what it can, as often.
    fn work_beside(&mut self, times: u64) {
        for _ in 0..times {
            match self.queue.try_get() {
                Ok(got) => self.note(got),
                Err(why) => assert!(matches!(why, GetError::Empty), "{why}"),
            }
            match self.queue.try_put(item(OTHERS + self.others_put)) {
                Ok(()) => self.others_put += 1,
                Err(why) => assert!(matches!(why, PutError::Full(_)), "{why}"),
            }
        }
    }

    fn note(&mut self, got: Item) {
        assert_eq!(got, item(got.0), "torn");
        self.got.push(got.0);
    }

    /// Gets everything, also what the dead have left, and holds it against the ledger.
    fn assert_all_there<W: Work>(&mut self) {
        let company = self.queue.clone(); // is never alone, so that an empty queue is empty
        while let Ok(got) = company.get_timeout(NAP) {
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
        let victims = seen.iter().filter(|n| (VICTIMS..OTHERS).contains(n)).count() as u64;
        let (least, most) = (acknowledged.min(W::PUTS * begun), W::PUTS * begun);
        assert!((least..=most).contains(&victims), "{victims} of {least}..={most}");
        let (wanted, there) = (W::BEFORE + self.others_put, seen.len() as u64 - victims);
        // What the victim had taken for good goes with it.
        let lost = (W::GETS * begun).saturating_sub(acknowledged);
        assert!((wanted.saturating_sub(lost)..=wanted).contains(&there), "{seen:?} of {wanted}");
    }

    /// The ring holds what it should hold, and all the way round.
    fn assert_works(&self) {
        for round in 0..SLOTS / CAPACITY as u64 + 2 {
            (0..CAPACITY as u64).for_each(|n| self.queue.try_put(item(n)).unwrap());
            assert!(self.queue.is_full() && self.queue.try_put(item(0)).is_err());
            let got: Vec<_> = match round % 2 {
                0 => std::iter::from_fn(|| self.queue.try_get().ok()).collect(),
                _ => self.queue.iter().take(CAPACITY).collect(),
            };
            assert!(got.into_iter().eq((0..CAPACITY as u64).map(item)), "round {round}");
        }
    }
}

fn region() -> Region {
    Region::new(8 << 20).unwrap()
}

const KILL: u8 = 0;
const TURNS: u8 = 1;
const LATE: u8 = 2;

/// `W` is cut short, alone or with another process that works with the same queue: a little, or so much
/// that the ring has gone round when the victim goes on.
struct Run<W, const HOW: u8>(Stage, PhantomData<W>);

impl<W: Work, const HOW: u8> Scenario for Run<W, HOW> {
    const POINTS: Points = if HOW == KILL { Points::Instructions } else { Points::Samples };
    const FATE: Fate = match HOW {
        KILL => Fate::Kill,
        _ => Fate::FreezeAndRun,
    };

    fn set_up() -> Self {
        Run(Stage::new::<W>(region()), PhantomData)
    }

    fn victim(&mut self) {
        self.0.victim::<W>();
    }

    fn frozen(&mut self) {
        self.0.work_beside(if HOW == LATE { SLOTS } else { 4 });
    }

    fn thawed(&mut self) {
        self.0.work_beside(CHUNK);
    }

    fn check(&mut self, _: Death) {
        self.0.assert_all_there::<W>();
        self.0.assert_works();
        elsewhere(|| self.0.assert_works());
        // What a maker has left unfinished is in nobody's way.
        let next = queue(&self.0.region);
        next.put(item(1)).unwrap();
        assert_eq!(next.get().unwrap(), item(1));
    }
}

/// Whoever looks after what the victim has left is killed as well.
struct Rescue<W>(Stage, PhantomData<W>);

impl<W: Work> Scenario for Rescue<W> {
    const POINTS: Points = Points::States;
    const RESCUED: bool = true;

    fn set_up() -> Self {
        Rescue(Stage::new::<W>(region()), PhantomData)
    }

    fn victim(&mut self) {
        self.0.victim::<W>();
    }

    fn rescue(&mut self) {
        drop(self.0.lock.lock().unwrap());
        begin();
        // Looks at what the dead have left, and at nothing else.
        let _ = wait(&[&self.0.queue], Duration::ZERO);
    }

    fn check(&mut self, _: Death) {
        self.0.assert_all_there::<W>();
        self.0.assert_works();
    }
}

/// Another process gets the place of the dead one, and with it the number in its claims.
struct SlotReuse(Stage);

impl Scenario for SlotReuse {
    const POINTS: Points = Points::Samples;

    fn set_up() -> Self {
        let region = RegionOptions::new(8 << 20).participants(2).anonymous().unwrap();
        SlotReuse(Stage::new::<Grow<ROUND>>(region))
    }

    fn victim(&mut self) {
        self.0.victim::<Grow<ROUND>>();
    }

    fn check(&mut self, _: Death) {
        let stage = &mut self.0;
        // The new occupant keeps a place, and lives on while the others take back what was the dead
        // one's.
        let keeper = Keeper::of(|| {
            let got = stage.queue.get_timeout(DEADLINE).unwrap();
            assert_eq!(got, item(0));
            stage.queue.clone()
        });
        stage.got.push(0);
        stage.assert_all_there::<Grow<ROUND>>();
        drop(keeper);
        stage.assert_works();
    }
}
