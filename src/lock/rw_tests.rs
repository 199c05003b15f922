use super::*;
use crate::lock::raw::Release as Give;
use std::time::Duration;

/// A participant of a world in which the even slots are dead.
struct Person(ParticipantId);

impl Liveness for Person {
    fn me(&self) -> ParticipantId {
        self.0
    }

    fn is_dead(&self, id: ParticipantId) -> bool {
        id != self.0 && id.number() % 2 == 1
    }
}

fn alive(number: u32) -> Person {
    Person(ParticipantId::new(2 * number + 1, 1))
}

fn dead(number: u32) -> Person {
    Person(ParticipantId::new(2 * number, 1))
}

#[derive(Default)]
struct House {
    words: RwWords,
    records: Vec<Readers>,
}

fn house() -> House {
    let records = (0..Records::<Readers>::needed(8)).map(|_| Readers::default()).collect();
    House { words: RwWords::default(), records }
}

impl House {
    fn raw(&self) -> RawRwLock<'_> {
        RawRwLock::new(&self.words, Records::new(&self.records))
    }

    fn read(&self, who: &Person, deadline: Deadline) -> Result<Acquired, LockFailure> {
        self.raw().read(who, &Spin::new(), deadline)
    }

    fn try_read(&self, who: &Person) -> Result<Acquired, LockFailure> {
        self.read(who, Deadline::Now)
    }

    fn write(&self, who: &Person, deadline: Deadline) -> Result<Acquired, LockFailure> {
        let acquired = self.raw().writer().lock(who, deadline)?;
        match self.raw().drain(who, &Spin::new(), deadline) {
            Ok(()) => Ok(acquired),
            Err(failure) => {
                self.leave(who);
                Err(failure)
            }
        }
    }

    fn try_write(&self, who: &Person) -> Result<Acquired, LockFailure> {
        self.write(who, Deadline::Now)
    }

    /// As a writer.
    fn leave(&self, who: &Person) {
        self.raw().writer().unlock(who, Give::Clean);
        self.raw().readmit();
    }
}

fn briefly() -> Deadline {
    Deadline::after(Duration::from_millis(1))
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(120))
}

#[test]
fn readers_share_and_writers_do_not() {
    let (house, a, b) = (house(), alive(0), alive(1));
    assert_eq!(house.try_read(&a), Ok(Acquired::Clean));
    assert_eq!(house.try_read(&b), Ok(Acquired::Clean));
    assert_eq!(house.try_write(&b), Err(LockFailure::WouldBlock));
    house.raw().leave(b.0);
    assert_eq!(house.write(&b, briefly()), Err(LockFailure::Timeout));
    assert_eq!(house.try_read(&b), Ok(Acquired::Clean), "a writer that gave up keeps nobody out");
    house.raw().leave(b.0);
    house.raw().leave(a.0);
    assert_eq!(house.try_write(&b), Ok(Acquired::Clean));
    assert_eq!(house.try_read(&a), Err(LockFailure::WouldBlock));
    assert_eq!(house.read(&a, briefly()), Err(LockFailure::Timeout));
    assert_eq!(house.try_write(&a), Err(LockFailure::WouldBlock));
    assert_eq!(house.try_read(&b), Err(LockFailure::WouldDeadlock));
    assert_eq!(house.read(&b, Deadline::Never), Err(LockFailure::WouldDeadlock));
    house.leave(&b);
    assert_eq!(house.try_read(&a), Ok(Acquired::Clean));
}

#[test]
fn a_waiting_writer_keeps_newcomers_out_but_not_who_is_inside() {
    let (house, a, b) = (house(), alive(0), alive(1));
    assert_eq!(house.try_read(&a), Ok(Acquired::Clean));
    assert!(house.raw().is_inside(a.0) && !house.raw().is_inside(b.0));
    assert_eq!(house.raw().writer().lock(&b, soon()), Ok(Acquired::Clean));
    assert_eq!(house.try_read(&a), Err(LockFailure::WouldBlock));
    assert_eq!(house.raw().read_again(a.0), Acquired::Clean);
    house.raw().leave(a.0);
    let drain = |deadline| house.raw().drain(&b, &Spin::new(), deadline);
    assert_eq!(drain(Deadline::Now), Err(LockFailure::WouldBlock));
    house.raw().leave(a.0);
    assert!(!house.raw().is_inside(a.0));
    assert_eq!(drain(Deadline::Now), Ok(()));
}

#[test]
fn dead_readers_are_as_good_as_gone() {
    let (house, me) = (house(), alive(0));
    for victim in [dead(0), dead(1), dead(1)] {
        assert_eq!(house.try_read(&victim), Ok(Acquired::Clean));
    }
    assert_eq!(house.try_write(&me), Ok(Acquired::Clean));
    house.leave(&me);
    // The next occupant of a slot begins with itself alone.
    assert_eq!(house.try_read(&dead(0)), Ok(Acquired::Clean));
    let next = Person(ParticipantId::new(0, 2));
    assert_eq!(house.try_read(&next), Ok(Acquired::Clean));
    house.raw().leave(next.0);
    assert!(house.raw().is_drained());
}

#[test]
fn a_reader_swept_away_is_a_dead_one() {
    let house = house();
    assert_eq!(house.try_read(&dead(0)), Ok(Acquired::Clean));
    // As a sweep leaves it: another number, the rest as it was.
    let word = house.raw().record(dead(0).0);
    word.fetch_or(u64::from(ParticipantId::DEAD.word()), Relaxed);
    assert_eq!(house.try_write(&alive(0)), Ok(Acquired::Clean));
}

#[test]
fn the_death_of_a_writer_is_told_to_readers_and_writers_until_one_recovers() {
    let (house, a, b) = (house(), alive(0), alive(1));
    assert_eq!(house.try_write(&dead(0)), Ok(Acquired::Clean));
    assert_eq!(house.try_read(&a), Ok(Acquired::OwnerDied));
    assert_eq!(house.raw().read_again(a.0), Acquired::OwnerDied);
    assert_eq!(house.read(&b, soon()), Ok(Acquired::OwnerDied));
    house.raw().leave(a.0);
    house.raw().leave(a.0);
    house.raw().leave(b.0);
    assert_eq!(house.write(&b, soon()), Ok(Acquired::OwnerDied));
    house.leave(&b);
    assert_eq!(house.try_read(&a), Ok(Acquired::OwnerDied));
    house.raw().leave(a.0);
    assert_eq!(house.try_write(&a), Ok(Acquired::OwnerDied));
    house.raw().writer().mark_recovered();
    house.leave(&a);
    assert_eq!(house.try_read(&a), Ok(Acquired::Clean));
}

#[test]
fn a_writer_that_takes_over_waits_for_readers_all_the_same() {
    let (house, a, b) = (house(), alive(0), alive(1));
    assert_eq!(house.try_read(&a), Ok(Acquired::Clean));
    assert_eq!(house.raw().writer().lock(&dead(0), soon()), Ok(Acquired::Clean));
    assert_eq!(house.try_write(&b), Err(LockFailure::WouldBlock));
    house.raw().leave(a.0);
    assert_eq!(house.try_write(&b), Ok(Acquired::OwnerDied));
}

#[test]
fn any_words_are_a_lock_that_answers() {
    let me = alive(0);
    for word in [0, 1, u64::MAX, 1 << 32, !0 << 32, 0xdead_beef_dead_beef, 5 << 32 | 3 << 17] {
        let house = house();
        for record in &house.records {
            record.word.store(word, Relaxed);
        }
        assert!(house.read(&me, briefly()).is_ok());
        house.raw().leave(me.0);
        if house.write(&me, briefly()).is_ok() {
            house.leave(&me);
        }
    }
}

#[test]
fn readers_never_see_what_a_writer_has_not_finished() {
    use crate::sync::AtomicU32;
    let house = house();
    let words = [AtomicU32::new(0), AtomicU32::new(0)];
    std::thread::scope(|s| {
        for number in 0..3 {
            let (house, words) = (&house, &words);
            s.spawn(move || {
                let me = alive(number);
                for round in 0..5000 {
                    if round % 10 == number {
                        assert_eq!(house.write(&me, soon()), Ok(Acquired::Clean));
                        let value = words[0].load(Relaxed);
                        words[0].store(value + 1, Relaxed);
                        words[1].store(value + 1, Relaxed);
                        house.leave(&me);
                    } else {
                        assert_eq!(house.read(&me, soon()), Ok(Acquired::Clean));
                        let first = words[0].load(Relaxed);
                        assert_eq!(first, words[1].load(Relaxed));
                        house.raw().leave(me.0);
                    }
                }
            });
        }
    });
    assert_eq!(words[0].load(Relaxed), 1500);
    assert!(house.raw().is_drained());
}
