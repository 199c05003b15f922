//! The lock for readers and writers: they exclude each other, and nobody sleeps for ever.

use crate::world::{Person, people};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use shmkit::internals::{
    Acquired, Deadline, Liveness, LockFailure, RawRwLock, Readers, Records, Release, RwWords, Spin,
    model,
};

/// A lock and what it protects; loom watches over every access to that.
struct House {
    words: RwWords,
    records: Box<[Readers]>,
    edits: UnsafeCell<u32>,
}

// SAFETY: `edits` is touched under the lock only; loom checks that claim.
#[allow(unsafe_code)]
unsafe impl Sync for House {}

fn house(participants: u32) -> Arc<House> {
    let count = Records::<Readers>::needed(participants);
    let records = (0..count).map(|_| Readers::default()).collect();
    Arc::new(House { words: RwWords::default(), records, edits: UnsafeCell::new(0) })
}

impl House {
    fn raw(&self) -> RawRwLock<'_> {
        RawRwLock::new(&self.words, Records::new(&self.records))
    }

    fn enter(&self, who: &Person, deadline: Deadline) -> Result<Acquired, LockFailure> {
        self.raw().read(who, &Spin::new(), deadline)
    }

    fn leave(&self, who: &Person) {
        self.raw().leave(who.me());
    }

    fn seize(&self, who: &Person, deadline: Deadline) -> Result<Acquired, LockFailure> {
        let acquired = self.raw().writer().lock(who, deadline)?;
        match self.raw().drain(who, &Spin::new(), deadline) {
            Ok(()) => Ok(acquired),
            Err(failure) => {
                self.free(who);
                Err(failure)
            }
        }
    }

    fn free(&self, who: &Person) {
        self.raw().writer().unlock(who, Release::Clean);
        self.raw().readmit();
    }

    #[allow(unsafe_code)]
    fn look(&self) -> u32 {
        // SAFETY: the caller holds the lock to read.
        self.edits.with(|edits| unsafe { *edits })
    }

    #[allow(unsafe_code)]
    fn edit(&self) {
        // SAFETY: the caller holds the lock to write.
        self.edits.with_mut(|edits| unsafe { *edits += 1 });
    }

    fn read(&self, who: &Person) -> (Acquired, u32) {
        let acquired = self.enter(who, Deadline::Never).unwrap();
        let seen = self.look();
        self.leave(who);
        (acquired, seen)
    }

    fn write(&self, who: &Person) -> Acquired {
        let acquired = self.seize(who, Deadline::Never).unwrap();
        self.edit();
        self.free(who);
        acquired
    }
}

fn spawn<R: 'static>(
    house: &Arc<House>,
    who: &Person,
    f: impl FnOnce(&House, Person) -> R + 'static,
) -> JoinHandle<R> {
    let (house, who) = (house.clone(), who.clone());
    thread::spawn(move || f(&house, who))
}

/// No futex here, whose model brings an edge that the kernel does not promise.
#[test]
fn a_reader_and_a_writer_that_only_try_exclude_each_other() {
    loom::model(|| {
        let (house, [a, b]) = (house(2), people());
        let other = spawn(&house, &b, |house, b| {
            if house.seize(&b, Deadline::Now).is_ok() {
                house.edit();
                house.free(&b);
            }
        });
        for _ in 0..2 {
            if house.enter(&a, Deadline::Now).is_ok() {
                house.look();
                house.leave(&a);
            }
        }
        other.join().unwrap();
    });
}

#[test]
fn a_reader_and_a_writer_wait_for_each_other() {
    loom::model(|| {
        let (house, [a, b]) = (house(2), people());
        let other = spawn(&house, &b, |house, b| house.write(&b));
        let _ = house.read(&a);
        assert_eq!(other.join().unwrap(), Acquired::Clean);
        assert_eq!(house.read(&a), (Acquired::Clean, 1));
    });
}

#[test]
fn a_writer_waits_for_every_reader() {
    loom::model(|| {
        let (house, [a, b, c]) = (house(3), people());
        let _ = house.enter(&a, Deadline::Never).unwrap();
        let _ = house.enter(&b, Deadline::Never).unwrap();
        let writer = spawn(&house, &c, |house, c| house.write(&c));
        let other = spawn(&house, &b, |house, b| {
            house.look();
            house.leave(&b);
        });
        house.look();
        house.leave(&a);
        other.join().unwrap();
        assert_eq!(writer.join().unwrap(), Acquired::Clean);
    });
}

#[test]
fn a_writer_lets_every_reader_in_again() {
    loom::model(|| {
        let (house, [a, b, c]) = (house(3), people());
        let _ = house.seize(&a, Deadline::Never).unwrap();
        let others = [&b, &c].map(|who| spawn(&house, who, |house, who| house.read(&who)));
        house.edit();
        house.free(&a);
        let seen = others.map(|other| other.join().unwrap());
        assert_eq!(seen, [(Acquired::Clean, 1); 2]);
    });
}

#[test]
fn who_reads_already_may_read_again_while_a_writer_waits() {
    loom::model(|| {
        let (house, [a, b]) = (house(2), people());
        let _ = house.enter(&a, Deadline::Never).unwrap();
        let writer = spawn(&house, &b, |house, b| house.write(&b));
        let before = house.look();
        assert_eq!(house.raw().read_again(a.me()), Acquired::Clean);
        house.leave(&a);
        assert_eq!(house.look(), before);
        house.leave(&a);
        assert_eq!(writer.join().unwrap(), Acquired::Clean);
    });
}

#[test]
fn threads_of_one_participant_count_together() {
    loom::model(|| {
        let (house, [a, b]) = (house(2), people());
        let sibling = spawn(&house, &a, |house, a| house.read(&a));
        let writer = spawn(&house, &b, |house, b| {
            if house.seize(&b, Deadline::Now).is_ok() {
                house.edit();
                house.free(&b);
            }
        });
        let _ = house.read(&a);
        let _ = sibling.join().unwrap();
        writer.join().unwrap();
        assert!(house.seize(&b, Deadline::Now).is_ok());
    });
}

#[test]
fn a_writer_that_gives_up_lets_readers_in_again() {
    loom::model(|| {
        let (house, [a, b, c]) = (house(3), people());
        let _ = house.enter(&a, Deadline::Never).unwrap();
        let hasty = spawn(&house, &b, |house, b| {
            assert_eq!(house.seize(&b, Deadline::Now), Err(LockFailure::WouldBlock));
        });
        let other = spawn(&house, &c, |house, c| house.read(&c));
        hasty.join().unwrap();
        assert_eq!(other.join().unwrap(), (Acquired::Clean, 0));
        house.leave(&a);
    });
}

#[test]
fn a_writer_does_not_wait_for_a_reader_that_died() {
    loom::model(|| {
        let (house, [dead, a]) = (house(2), people());
        let _ = house.enter(&dead, Deadline::Never).unwrap();
        let writer = spawn(&house, &a, |house, a| house.write(&a));
        dead.die();
        model::let_caps_strike(1);
        assert_eq!(writer.join().unwrap(), Acquired::Clean);
    });
}

#[test]
fn the_death_of_a_writer_is_told_to_a_reader_that_waits() {
    loom::model(|| {
        let (house, [dead, a, b]) = (house(3), people());
        let _ = house.seize(&dead, Deadline::Never).unwrap();
        let others = [&a, &b].map(|who| spawn(&house, who, |house, who| house.read(&who).0));
        dead.die();
        // Who sleeps by then learns of it at the end of a cap; one who does is enough for all.
        model::let_caps_strike(1);
        let told = others.map(|other| other.join().unwrap());
        assert_eq!(told, [Acquired::OwnerDied; 2]);
    });
}

#[test]
fn a_reader_that_buries_a_writer_wakes_the_next() {
    loom::model(|| {
        let (house, [dead, a, b]) = (house(3), people());
        let _ = house.seize(&dead, Deadline::Never).unwrap();
        let writer = spawn(&house, &b, |house, b| house.write(&b));
        dead.die();
        if house.enter(&a, Deadline::Now).is_ok() {
            house.leave(&a);
        }
        assert_eq!(writer.join().unwrap(), Acquired::OwnerDied);
    });
}
