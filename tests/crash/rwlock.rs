//! Readers and writers: a dead reader is as if it had left, a dead writer is told.

use shmkit::{LockError, RegionOptions, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::campaign::{DEADLINE, Death, Fate, Points, Scenario};
use crate::helper::{Helper, Keeper, elsewhere};
use crate::shared::{Ledger, Shared};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Read>("rwlock::read"),
        survives::<ReadFrozen>("rwlock::read_while_others_come"),
        survives::<Write>("rwlock::write"),
        survives::<WriteFrozen>("rwlock::write_while_another_reads"),
        survives::<LeaveToWriter>("rwlock::leave_while_a_writer_sleeps"),
        survives::<FreeToAll>("rwlock::free_while_readers_and_writers_sleep"),
        survives::<BlockedReader>("rwlock::wait_to_read"),
        survives::<BlockedWriter>("rwlock::wait_to_write"),
        survives::<Bury>("rwlock::read_after_a_dead_writer"),
        survives::<SlotReuse>("rwlock::reuse_of_a_dead_readers_slot"),
    ]
}

/// Several words, so that half of one shows.
type Data = [u64; 4];

/// The number that all words of the data hold.
fn number(data: &Data) -> u64 {
    assert!(data.iter().all(|word| *word == data[0]), "torn: {data:?}");
    data[0]
}

fn read(lock: &RwLock<Data>) -> (RwLockReadGuard<'_, Data>, bool) {
    match lock.read_timeout(DEADLINE) {
        Ok(guard) => (guard, false),
        Err(LockError::OwnerDied(died)) => (died.recover(), true),
        Err(other) => panic!("{other}"),
    }
}

fn write(lock: &RwLock<Data>) -> (RwLockWriteGuard<'_, Data>, bool) {
    match lock.write_timeout(DEADLINE) {
        Ok(guard) => (guard, false),
        Err(LockError::OwnerDied(died)) => (died.recover(), true),
        Err(other) => panic!("{other}"),
    }
}

/// Nobody dead is in the way: read and write, here and in another process.
fn assert_works(lock: &RwLock<Data>) {
    for _ in 0..2 {
        let here = || {
            let (mut guard, died) = write(lock);
            assert!(!died, "told of a death that was recovered from");
            *guard = [number(&guard) + 1; 4];
            drop(guard);
            let (one, other) = (lock.try_read().unwrap(), lock.read().unwrap());
            assert_eq!(number(&one), number(&other));
        };
        here();
        elsewhere(here);
    }
}

/// No writer has died: to read and to write goes well at once.
fn assert_no_death_told(lock: &RwLock<Data>) {
    let (guard, died) = read(lock);
    assert!(!died, "a reader's death was told");
    drop(guard);
    let (guard, died) = write(lock);
    assert!(!died, "a reader's death was told");
    drop(guard);
    assert_works(lock);
}

fn lock() -> RwLock<Data> {
    RwLock::new([0; 4]).unwrap()
}

struct Read {
    lock: RwLock<Data>,
    ledger: Shared<Ledger>,
}

impl Scenario for Read {
    fn set_up() -> Self {
        Read { lock: lock(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        drop(self.lock.read().unwrap());
        begin();
        let guard = self.lock.read().unwrap();
        self.ledger.acknowledge(0); // inside
        let again = self.lock.read().unwrap();
        drop(guard);
        self.ledger.begin(); // about to leave
        drop(again);
    }

    fn check(&mut self, _: Death) {
        assert_no_death_told(&self.lock);
    }
}

/// While the reader is stopped, others may read, and none may write if it is inside.
struct ReadFrozen(Read);

impl Scenario for ReadFrozen {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        ReadFrozen(Read::set_up())
    }

    fn victim(&mut self) {
        self.0.victim();
    }

    fn frozen(&mut self) {
        assert_eq!(number(&self.0.lock.try_read().unwrap()), 0);
        let inside = self.0.ledger.acknowledged() == 1 && self.0.ledger.begun() == 0;
        match self.0.lock.try_write() {
            Ok(_) => assert!(!inside, "a writer came in beside a reader"),
            Err(LockError::WouldBlock) => {}
            Err(other) => panic!("{other}"),
        }
        assert_eq!(number(&self.0.lock.try_read().unwrap()), 0, "who only tried keeps nobody out");
    }

    fn check(&mut self, _: Death) {
        assert_no_death_told(&self.0.lock);
    }
}

struct Write {
    lock: RwLock<Data>,
    ledger: Shared<Ledger>,
}

impl Scenario for Write {
    fn set_up() -> Self {
        Write { lock: lock(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        drop(self.lock.write().unwrap());
        begin();
        for n in 1..3 {
            self.ledger.begin();
            let mut guard = self.lock.write().unwrap();
            *guard = [n; 4];
            drop(guard);
            self.ledger.acknowledge(n);
        }
    }

    fn check(&mut self, death: Death) {
        let (acknowledged, begun) = (self.ledger.acknowledged(), self.ledger.begun());
        let (guard, told_reader) = read(&self.lock);
        let n = number(&guard);
        assert!((acknowledged..=begun).contains(&n), "{acknowledged} <= {n} <= {begun}");
        drop(guard);
        let (guard, told_writer) = write(&self.lock);
        assert_eq!((number(&guard), told_writer), (n, told_reader));
        assert!(!(told_writer && death.complete), "told of a death outside");
        drop(guard);
        assert_works(&self.lock);
    }
}

/// While the writer is stopped, others read what was published, or nothing.
struct WriteFrozen(Write);

impl Scenario for WriteFrozen {
    const FATE: Fate = Fate::FreezeAndRun;

    fn set_up() -> Self {
        WriteFrozen(Write::set_up())
    }

    fn victim(&mut self) {
        self.0.victim();
    }

    fn frozen(&mut self) {
        let ledger = &self.0.ledger;
        match self.0.lock.read_timeout(std::time::Duration::from_micros(1)) {
            Ok(guard) => {
                let n = number(&guard);
                assert!((ledger.acknowledged()..=ledger.begun()).contains(&n));
            }
            Err(LockError::Timeout) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn check(&mut self, death: Death) {
        assert_eq!(self.0.ledger.answers(), [1, 2]);
        self.0.check(death);
    }
}

/// The last reader dies before or after it wakes the writer, and a newcomer waits behind that.
struct LeaveToWriter {
    lock: RwLock<Data>,
    helpers: Vec<Helper>,
}

impl Scenario for LeaveToWriter {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        LeaveToWriter { lock: lock(), helpers: Vec::new() }
    }

    fn victim(&mut self) {
        let guard = self.lock.read().unwrap();
        begin();
        drop(guard);
    }

    fn ready(&mut self) {
        let writer = Helper::start(|| *write(&self.lock).0 = [1; 4]);
        writer.settle();
        self.helpers.push(writer);
    }

    fn frozen(&mut self) {
        let reader = Helper::start(|| drop(read(&self.lock)));
        reader.settle();
        self.helpers.push(reader);
    }

    fn check(&mut self, _: Death) {
        self.helpers.drain(..).for_each(Helper::join);
        assert_eq!(number(&self.lock.read().unwrap()), 1);
        assert_no_death_told(&self.lock);
    }
}

/// The writer dies before or after it wakes those who wait.
struct FreeToAll {
    lock: RwLock<Data>,
    helpers: Vec<Helper>,
}

impl Scenario for FreeToAll {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        FreeToAll { lock: lock(), helpers: Vec::new() }
    }

    fn victim(&mut self) {
        let mut guard = self.lock.write().unwrap();
        *guard = [1; 4];
        begin();
        drop(guard);
    }

    fn ready(&mut self) {
        let helpers = [
            Helper::start(|| assert!(number(&read(&self.lock).0) <= 2)),
            Helper::start(|| drop(write(&self.lock))),
            Helper::start(|| drop(read(&self.lock))),
        ];
        helpers.iter().for_each(Helper::settle);
        self.helpers.extend(helpers);
    }

    fn check(&mut self, _: Death) {
        self.helpers.drain(..).for_each(Helper::join);
        drop(write(&self.lock));
        assert!(number(&self.lock.try_read().unwrap()) <= 1);
        assert_works(&self.lock);
    }
}

/// The one who waits to read dies; what it has announced harms nobody.
struct BlockedReader {
    lock: RwLock<Data>,
    writer: Option<Keeper>,
    helpers: Vec<Helper>,
}

impl Scenario for BlockedReader {
    const FATE: Fate = Fate::FreezeAndKill;
    const SYSTEM_CALLS: usize = 12;

    fn set_up() -> Self {
        let lock = lock();
        let writer = Keeper::of(|| std::mem::forget(lock.write().unwrap()));
        BlockedReader { lock, writer: Some(writer), helpers: Vec::new() }
    }

    fn victim(&mut self) {
        assert!(self.lock.try_read().is_err());
        begin();
        drop(self.lock.read());
    }

    fn frozen(&mut self) {
        let helpers =
            [Helper::start(|| drop(read(&self.lock))), Helper::start(|| drop(write(&self.lock)))];
        helpers.iter().for_each(Helper::settle);
        self.helpers.extend(helpers);
    }

    fn check(&mut self, _: Death) {
        self.writer = None;
        self.helpers.drain(..).for_each(Helper::join);
        drop(write(&self.lock));
        assert_works(&self.lock);
    }
}

/// The one who waits to write dies: newcomers come in again, told or not.
struct BlockedWriter {
    lock: RwLock<Data>,
    reader: Option<Keeper>,
    helpers: Vec<Helper>,
}

impl Scenario for BlockedWriter {
    const FATE: Fate = Fate::FreezeAndKill;
    const SYSTEM_CALLS: usize = 12;

    fn set_up() -> Self {
        let lock = lock();
        let reader = Keeper::of(|| std::mem::forget(lock.read().unwrap()));
        BlockedWriter { lock, reader: Some(reader), helpers: Vec::new() }
    }

    fn victim(&mut self) {
        assert!(self.lock.try_write().is_err());
        begin();
        drop(self.lock.write());
    }

    fn frozen(&mut self) {
        let helper = Helper::start(|| drop(read(&self.lock)));
        helper.settle();
        self.helpers.push(helper);
    }

    fn check(&mut self, _: Death) {
        self.helpers.drain(..).for_each(Helper::join);
        drop(read(&self.lock));
        assert!(self.lock.try_write().is_err(), "the reader lives");
        self.reader = None;
        drop(write(&self.lock));
        assert_works(&self.lock);
    }
}

/// The reader that frees the lock of a dead writer dies as well.
struct Bury {
    lock: RwLock<Data>,
    ledger: Shared<Ledger>,
}

impl Scenario for Bury {
    const POINTS: Points = Points::States;
    const RESCUED: bool = true;

    fn set_up() -> Self {
        Bury { lock: lock(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        drop(self.lock.write().unwrap());
        begin();
        let mut guard = self.lock.write().unwrap();
        *guard = [1; 4];
        self.ledger.begin();
        drop(guard);
        self.ledger.acknowledge(0);
    }

    fn rescue(&mut self) {
        let _attached = shmkit::Region::new(1);
        begin();
        drop(read(&self.lock));
    }

    fn check(&mut self, _: Death) {
        let (guard, told) = write(&self.lock);
        let n = number(&guard);
        assert!((self.ledger.acknowledged()..=self.ledger.begun()).contains(&n));
        assert!(!told || self.ledger.acknowledged() == 0, "told of a death outside");
        drop(guard);
        assert_works(&self.lock);
    }
}

/// Whoever gets the slot of a dead reader counts from one.
struct SlotReuse {
    lock: RwLock<Data>,
}

impl Scenario for SlotReuse {
    fn set_up() -> Self {
        let region = RegionOptions::new(1 << 12).participants(2).anonymous().unwrap();
        let lock = RwLock::new_in(&region, [0; 4]).unwrap();
        drop(Keeper::of(|| std::mem::forget([lock.read().unwrap(), lock.read().unwrap()])));
        SlotReuse { lock }
    }

    fn victim(&mut self) {
        begin();
        drop(self.lock.read().unwrap());
    }

    fn check(&mut self, _: Death) {
        drop(self.lock.try_write().expect("only the dead have read"));
        assert_no_death_told(&self.lock);
    }
}
