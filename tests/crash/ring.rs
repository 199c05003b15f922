//! Rings: one end is the victim's, the other the survivor's, who inherits the victim's as well.

use shmkit::RegionOptions;
use shmkit::ring::{
    Consumer, Producer, RecordConsumer, RecordProducer, TryPopError, TryPushError, TryReserveError,
    record, spsc, spsc_in,
};

use crate::campaign::{Death, Fate, Scenario};
use crate::helper::outlive_maker;
use crate::shared::{Ledger, Shared};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Push<false>>("ring::spsc_push"),
        survives::<Push<true>>("ring::spsc_push_while_another_pops"),
        survives::<Pop<false>>("ring::spsc_pop"),
        survives::<Pop<true>>("ring::spsc_pop_while_another_pushes"),
        survives::<Batch>("ring::spsc_reserve_and_commit"),
        survives::<Peek>("ring::spsc_peek_and_release"),
        survives::<Close>("ring::spsc_close"),
        survives::<SlotReuse>("ring::reuse_of_a_dead_producers_slot"),
        survives::<Inherited>("ring::spsc_inherited_from_a_living_parent"),
        survives::<Commit<false>>("ring::record_reserve_and_commit"),
        survives::<Commit<true>>("ring::record_reserve_and_commit_while_another_receives"),
        survives::<Stage>("ring::record_stage_and_publish"),
        survives::<Release<false>>("ring::record_receive_and_release"),
        survives::<Release<true>>("ring::record_receive_and_release_while_another_sends"),
    ]
}

/// Several words, so that half of one shows.
type Item = [u64; 3];

fn item(n: u64) -> Item {
    [n, !n, n.wrapping_mul(0x9e37_79b9_7f4a_7c15)]
}

const CAPACITY: usize = 4;

struct Values {
    producer: Producer<Item>,
    consumer: Consumer<Item>,
    ledger: Shared<Ledger>,
    /// The number of the next item to be popped.
    next: u64,
}

impl Values {
    /// A ring whose maker is dead, with `count` items in it.
    fn orphaned(count: u64) -> Values {
        Values::of_dead_maker(spsc(CAPACITY).unwrap(), count)
    }

    fn of_dead_maker(ends: (Producer<Item>, Consumer<Item>), count: u64) -> Values {
        let (mut producer, mut consumer) = ends;
        for n in 0..3 {
            producer.try_push(item(n)).unwrap(); // so that what follows goes round the end
            consumer.try_pop().unwrap();
        }
        for n in 0..count {
            producer.try_push(item(n)).unwrap();
        }
        outlive_maker();
        Values { producer, consumer, ledger: Shared::new(), next: 0 }
    }

    /// Pops what is there; each item whole and in its turn.
    fn drain(&mut self) -> TryPopError {
        loop {
            match self.consumer.try_pop() {
                Ok(popped) => assert_eq!(popped, item(self.next)),
                Err(why) => return why,
            }
            self.next += 1;
        }
    }

    /// What comes out to the end is every item that was acknowledged, and perhaps the last one that
    /// was begun; `each` items to an operation.
    fn assert_pushed(&mut self, each: u64) {
        assert!(self.consumer.is_disconnected());
        assert_eq!(self.drain(), TryPopError::Disconnected);
        let pushed = self.next / each;
        assert_eq!(self.next % each, 0, "half a batch");
        let (acknowledged, begun) = (self.ledger.acknowledged(), self.ledger.begun());
        assert!((acknowledged..=begun).contains(&pushed), "{acknowledged} <= {pushed} <= {begun}");
    }

    /// The survivor goes on with both ends: full capacity, twice round.
    fn assert_works(&mut self) {
        for round in 0..3 {
            for n in 0..CAPACITY as u64 {
                self.producer.try_push(item(self.next + n)).unwrap();
            }
            assert!(matches!(self.producer.try_push(item(0)), Err(TryPushError::Full(_))));
            assert_eq!(self.drain(), TryPopError::Empty, "round {round}");
        }
    }
}

struct Push<const FREEZE: bool>(Values);

impl<const FREEZE: bool> Scenario for Push<FREEZE> {
    const FATE: Fate = if FREEZE { Fate::FreezeAndRun } else { Fate::Kill };

    fn set_up() -> Self {
        Push(Values::orphaned(0))
    }

    fn victim(&mut self) {
        self.0.producer.try_push(item(0)).unwrap();
        self.0.ledger.begin();
        self.0.ledger.acknowledge(0);
        begin();
        for n in 1..3 {
            self.0.ledger.begin();
            self.0.producer.try_push(item(n)).unwrap();
            self.0.ledger.acknowledge(n);
        }
    }

    fn frozen(&mut self) {
        assert!(!self.0.consumer.is_disconnected(), "declared dead while alive");
        assert_eq!(self.0.drain(), TryPopError::Empty);
        assert!(self.0.next >= self.0.ledger.acknowledged());
    }

    fn check(&mut self, _: Death) {
        self.0.assert_pushed(1);
        self.0.assert_works();
    }
}

struct Pop<const FREEZE: bool>(Values);

impl<const FREEZE: bool> Scenario for Pop<FREEZE> {
    const FATE: Fate = if FREEZE { Fate::FreezeAndRun } else { Fate::Kill };

    fn set_up() -> Self {
        Pop(Values::orphaned(CAPACITY as u64))
    }

    fn victim(&mut self) {
        self.0.consumer.is_disconnected();
        self.0.ledger.begin();
        assert_eq!(self.0.consumer.try_pop().unwrap(), item(0));
        self.0.ledger.acknowledge(0);
        begin();
        for n in 1..3 {
            self.0.ledger.begin();
            assert_eq!(self.0.consumer.try_pop().unwrap(), item(n));
            self.0.ledger.acknowledge(n);
        }
    }

    fn frozen(&mut self) {
        // The room is what was popped, neither more nor less.
        let mut pushed = 0;
        while self.0.producer.try_push(item(CAPACITY as u64 + pushed)).is_ok() {
            pushed += 1;
        }
        let (acknowledged, begun) = (self.0.ledger.acknowledged(), self.0.ledger.begun());
        assert!((acknowledged..=begun).contains(&pushed), "{acknowledged} <= {pushed} <= {begun}");
    }

    fn check(&mut self, _: Death) {
        // Each item went to the victim or is still there; the one it was at may have gone with it.
        let first = self.0.consumer.try_pop().unwrap();
        self.0.next = first[0];
        assert_eq!(first, item(self.0.next));
        let (acknowledged, begun) = (self.0.ledger.acknowledged(), self.0.ledger.begun());
        assert!((acknowledged..=begun).contains(&self.0.next), "{} lost or doubled", self.0.next);
        self.0.next += 1;
        let end = self.0.drain();
        assert!(matches!(end, TryPopError::Empty | TryPopError::Disconnected), "{end:?}");
        assert!(self.0.next >= CAPACITY as u64);
        self.0.assert_works();
    }
}

/// A batch is pushed as a whole.
struct Batch(Values);

impl Scenario for Batch {
    fn set_up() -> Self {
        Batch(Values::orphaned(0))
    }

    fn victim(&mut self) {
        drop(self.0.producer.try_reserve(1));
        begin();
        self.0.ledger.begin();
        let mut room = self.0.producer.try_reserve(3).unwrap();
        let (head, tail) = room.as_mut_slices();
        for (n, slot) in head.iter_mut().chain(tail).enumerate() {
            *slot = item(n as u64);
        }
        room.commit(3);
        self.0.ledger.acknowledge(0);
    }

    fn check(&mut self, _: Death) {
        self.0.assert_pushed(3);
        self.0.assert_works();
    }
}

/// What is looked at and not released is still there.
struct Peek(Values);

impl Scenario for Peek {
    fn set_up() -> Self {
        Peek(Values::orphaned(3))
    }

    fn victim(&mut self) {
        drop(self.0.consumer.try_peek(1));
        begin();
        let seen = self.0.consumer.try_peek(3).unwrap();
        let (head, tail) = seen.as_slices();
        for (n, seen) in head.iter().chain(tail).enumerate() {
            assert_eq!(*seen, item(n as u64));
        }
        self.0.ledger.begin();
        seen.release(2);
        self.0.ledger.acknowledge(0);
    }

    fn check(&mut self, _: Death) {
        let first = self.0.consumer.try_pop().unwrap();
        assert_eq!(first, item(first[0]));
        let (acknowledged, begun) = (self.0.ledger.acknowledged(), self.0.ledger.begun());
        assert!(first[0] == 2 * acknowledged || first[0] == 2 * begun, "{}", first[0]);
        self.0.next = first[0] + 1;
        self.0.drain();
        assert_eq!(self.0.next, 3);
        self.0.assert_works();
    }
}

/// An end that is closed by its living owner stays closed.
struct Close {
    ends: Option<(Producer<Item>, Consumer<Item>)>,
}

impl Scenario for Close {
    fn set_up() -> Self {
        let ends = spsc(CAPACITY).unwrap();
        outlive_maker();
        Close { ends: Some(ends) }
    }

    fn victim(&mut self) {
        let (mut producer, consumer) = self.ends.take().unwrap();
        producer.try_push(item(0)).unwrap();
        begin();
        drop(producer);
        drop(consumer);
    }

    fn check(&mut self, _: Death) {
        let (_, consumer) = self.ends.as_mut().unwrap();
        assert!(consumer.is_disconnected());
        assert_eq!(consumer.try_pop(), Ok(item(0)));
        assert_eq!(consumer.try_pop(), Err(TryPopError::Disconnected));
    }
}

/// Whoever gets the slot of a dead producer does not become the producer by that, and the end of the
/// dead one is still for who takes it over.
struct SlotReuse(Values);

impl Scenario for SlotReuse {
    fn set_up() -> Self {
        let region = RegionOptions::new(1 << 12).participants(2).anonymous().unwrap();
        let mut values = Values::of_dead_maker(spsc_in(&region, CAPACITY).unwrap(), 0);
        assert_eq!(values.drain(), TryPopError::Empty); // takes the fresh slot, and this end
        SlotReuse(values)
    }

    fn victim(&mut self) {
        begin();
        for n in 0..2 {
            self.0.ledger.begin();
            self.0.producer.try_push(item(n)).unwrap();
            self.0.ledger.acknowledge(n);
        }
    }

    fn check(&mut self, _: Death) {
        self.0.assert_pushed(1);
        self.0.assert_works();
    }
}

/// A forked child does not get its living parent's end, however it dies in the attempt.
struct Inherited {
    producer: Producer<Item>,
    consumer: Consumer<Item>,
}

impl Scenario for Inherited {
    fn set_up() -> Self {
        let (producer, consumer) = spsc(CAPACITY).unwrap();
        Inherited { producer, consumer }
    }

    fn victim(&mut self) {
        begin();
        assert!(matches!(self.producer.try_push(item(7)), Err(TryPushError::NotOwner(_))));
        assert_eq!(self.consumer.try_pop(), Err(TryPopError::NotOwner));
    }

    fn check(&mut self, _: Death) {
        assert_eq!(self.consumer.try_pop(), Err(TryPopError::Empty));
        for n in 0..9 {
            self.producer.try_push(item(n)).unwrap();
            assert_eq!(self.consumer.try_pop(), Ok(item(n)));
        }
    }
}

const RECORD_CAPACITY_BYTES: usize = 256;

/// The bytes of the `n`-th record; a slice of a table, so that little of this is stepped through.
fn content(n: u64) -> &'static [u8] {
    const TABLE: [u8; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            table[i] = (i * 37 % 251) as u8;
            i += 1;
        }
        table
    };
    static BYTES: [u8; 256] = TABLE;
    &BYTES[n as usize..][..33 + n as usize]
}

struct Records {
    producer: RecordProducer,
    consumer: RecordConsumer,
    ledger: Shared<Ledger>,
    next: u64,
}

impl Records {
    /// A record ring whose maker is dead, with `count` records in it. The third one or so goes
    /// round the end.
    fn orphaned(count: u64) -> Records {
        let (mut producer, mut consumer) = record(RECORD_CAPACITY_BYTES).unwrap();
        for _ in 0..3 {
            producer.try_send(content(0)).unwrap();
            drop(consumer.try_receive().unwrap());
        }
        for n in 0..count {
            producer.try_send(content(n)).unwrap();
        }
        outlive_maker();
        Records { producer, consumer, ledger: Shared::new(), next: 0 }
    }

    fn send(&mut self, n: u64) -> Result<(), TryReserveError> {
        self.ledger.begin();
        let content = content(n);
        let mut room = self.producer.try_reserve(content.len() + 5)?;
        room[..content.len()].copy_from_slice(content);
        room.set_flags(n as u32);
        room.commit(content.len());
        self.ledger.acknowledge(n);
        Ok(())
    }

    fn drain(&mut self) -> TryPopError {
        loop {
            match self.consumer.try_receive() {
                Ok(received) => assert_eq!(*received, *content(self.next)),
                Err(why) => return why,
            }
            self.next += 1;
        }
    }

    fn assert_sent(&mut self, each: u64) {
        assert!(self.consumer.is_disconnected());
        assert_eq!(self.drain(), TryPopError::Disconnected);
        assert_eq!(self.next % each, 0, "half a batch");
        let sent = self.next / each;
        let (acknowledged, begun) = (self.ledger.acknowledged(), self.ledger.begun());
        assert!((acknowledged..=begun).contains(&sent), "{acknowledged} <= {sent} <= {begun}");
    }

    fn assert_works(&mut self) {
        for round in 0..3 {
            let longest = vec![round; self.producer.max_record_bytes()];
            self.producer.try_send(&longest).unwrap();
            assert_eq!(*self.consumer.try_receive().unwrap(), *longest);
            let mut sent = 0;
            while self.producer.try_send(&[round; 20]).is_ok() {
                sent += 1;
            }
            assert!(sent * 32 + 32 >= RECORD_CAPACITY_BYTES, "only {sent} records fit");
            let received =
                self.consumer.try_drain(usize::MAX, |bytes, _| assert_eq!(bytes, [round; 20]));
            assert_eq!(received, Ok(sent));
        }
    }
}

struct Commit<const FREEZE: bool>(Records);

impl<const FREEZE: bool> Scenario for Commit<FREEZE> {
    const FATE: Fate = if FREEZE { Fate::FreezeAndRun } else { Fate::Kill };

    fn set_up() -> Self {
        Commit(Records::orphaned(0))
    }

    fn victim(&mut self) {
        self.0.send(0).unwrap();
        begin();
        self.0.send(1).unwrap();
        self.0.send(2).unwrap();
    }

    fn frozen(&mut self) {
        assert!(!self.0.consumer.is_disconnected(), "declared dead while alive");
        assert_eq!(self.0.drain(), TryPopError::Empty);
        assert!(self.0.next >= self.0.ledger.acknowledged());
    }

    fn check(&mut self, _: Death) {
        self.0.assert_sent(1);
        self.0.assert_works();
    }
}

/// Staged records come with the record that is committed, or not at all.
struct Stage(Records);

impl Scenario for Stage {
    fn set_up() -> Self {
        Stage(Records::orphaned(0))
    }

    fn victim(&mut self) {
        drop(self.0.producer.try_reserve(1));
        begin();
        self.0.ledger.begin();
        for n in 0..3 {
            let content = content(n);
            let mut room = self.0.producer.try_reserve(content.len()).unwrap();
            room.copy_from_slice(content);
            room.stage(content.len());
        }
        self.0.producer.publish();
        self.0.ledger.acknowledge(0);
    }

    fn check(&mut self, _: Death) {
        self.0.assert_sent(3);
        self.0.assert_works();
    }
}

struct Release<const FREEZE: bool>(Records);

impl<const FREEZE: bool> Scenario for Release<FREEZE> {
    const FATE: Fate = if FREEZE { Fate::FreezeAndRun } else { Fate::Kill };

    fn set_up() -> Self {
        Release(Records::orphaned(4))
    }

    fn victim(&mut self) {
        for n in 0..3 {
            if n == 1 {
                begin();
            }
            let received = self.0.consumer.try_receive().unwrap();
            assert_eq!(*received, *content(n));
            self.0.ledger.begin();
            drop(received);
            self.0.ledger.acknowledge(n);
        }
    }

    fn frozen(&mut self) {
        assert!(!self.0.producer.is_disconnected(), "declared dead while alive");
        let mut n = 4;
        while self.0.producer.try_send(content(n)).is_ok() {
            n += 1;
        }
    }

    fn check(&mut self, _: Death) {
        let (acknowledged, begun) = (self.0.ledger.acknowledged(), self.0.ledger.begun());
        let first = self.0.consumer.try_receive().unwrap();
        let n = first.len() as u64 - 33;
        assert_eq!(*first, *content(n));
        drop(first);
        assert!((acknowledged..=begun).contains(&n), "{n} lost or doubled");
        self.0.next = n + 1;
        self.0.drain();
        assert!(self.0.next >= 4);
        self.0.assert_works();
    }
}
