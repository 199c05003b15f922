use super::*;
use crate::sync::{AtomicBool, AtomicU32};
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

const GENERATION: u32 = 1;

fn alive(number: u32) -> Person {
    Person(ParticipantId::new(2 * number + 1, GENERATION))
}

fn dead(number: u32) -> Person {
    Person(ParticipantId::new(2 * number, GENERATION))
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(120))
}

/// A lock whose owner has died.
fn orphan() -> RawLock {
    let lock = RawLock::new();
    assert_eq!(lock.lock(&dead(0), soon()), Ok(Acquired::Clean));
    lock
}

#[test]
fn a_free_lock_is_acquired_clean_and_names_its_owner() {
    let (lock, me) = (RawLock::new(), alive(0));
    assert_eq!(lock.owner(), None);
    assert_eq!(lock.try_lock(&me), Ok(Acquired::Clean));
    assert_eq!(lock.owner(), Some(me.0));
    assert!(lock.is_held(&me) && !lock.is_held(&alive(1)));
    lock.unlock(&me, Release::Clean);
    assert_eq!((lock.owner(), lock.is_held(&me)), (None, false));
}

#[test]
fn a_lock_held_by_the_living_is_refused() {
    let lock = RawLock::new();
    assert_eq!(lock.try_lock(&alive(0)), Ok(Acquired::Clean));
    assert_eq!(lock.try_lock(&alive(1)), Err(LockFailure::WouldBlock));
    let briefly = Deadline::after(Duration::from_millis(1));
    assert_eq!(lock.lock(&alive(1), briefly), Err(LockFailure::Timeout));
    assert_eq!(lock.owner(), Some(alive(0).0));
}

#[test]
fn the_holder_is_told_that_it_would_wait_for_itself() {
    let (lock, me) = (RawLock::new(), alive(0));
    assert_eq!(lock.lock(&me, soon()), Ok(Acquired::Clean));
    assert_eq!(lock.lock(&me, Deadline::Never), Err(LockFailure::WouldDeadlock));
    assert_eq!(lock.try_lock(&me), Err(LockFailure::WouldDeadlock));
    let sibling = std::thread::scope(|s| s.spawn(|| lock.try_lock(&me)).join().unwrap());
    assert_eq!(sibling, Err(LockFailure::WouldBlock));
}

#[test]
fn the_lock_of_a_dead_owner_is_taken_over() {
    let (lock, me) = (orphan(), alive(0));
    assert_eq!(lock.lock(&me, Deadline::Never), Ok(Acquired::OwnerDied));
    assert_eq!(lock.owner(), Some(me.0));
    assert!(lock.is_held(&me));
    assert_eq!(orphan().try_lock(&me), Ok(Acquired::OwnerDied));
}

#[test]
fn a_lock_left_by_a_sweep_is_taken_over() {
    let lock = orphan();
    // As a sweep leaves it: another number, the rest as it was.
    lock.word.fetch_or(u64::from(ParticipantId::DEAD.word()), Relaxed);
    assert_eq!(lock.try_lock(&alive(0)), Ok(Acquired::OwnerDied));
}

#[test]
fn owners_are_told_of_a_death_until_it_is_repaired() {
    let (lock, me) = (orphan(), alive(0));
    for release in [Release::Abandon, Release::Clean, Release::Abandon, Release::Clean] {
        assert_eq!(lock.lock(&me, soon()), Ok(Acquired::OwnerDied));
        lock.unlock(&me, release);
        assert_eq!(lock.owner(), None);
    }
    assert_eq!(lock.try_lock(&me), Ok(Acquired::OwnerDied));
    lock.mark_recovered();
    lock.unlock(&me, Release::Clean);
    assert_eq!(lock.lock(&me, soon()), Ok(Acquired::Clean));
    lock.unlock(&me, Release::Abandon);
    assert_eq!(lock.lock(&me, soon()), Ok(Acquired::OwnerDied));
}

#[test]
fn a_repair_cut_short_by_death_is_told_again() {
    let lock = orphan();
    assert_eq!(lock.lock(&dead(1), soon()), Ok(Acquired::OwnerDied));
    assert_eq!(lock.lock(&alive(0), soon()), Ok(Acquired::OwnerDied));
}

/// Waits until somebody starves for the lock that the caller holds.
fn await_starvation(lock: &RawLock) {
    let end = soon();
    while lock.word.load(Relaxed) & STARVING == 0 {
        assert!(!end.has_passed(), "nobody starves");
        std::thread::yield_now();
    }
}

#[test]
fn one_who_has_waited_for_long_says_so_until_it_had_its_turn() {
    let (lock, me) = (RawLock::new(), alive(0));
    assert_eq!(lock.lock(&me, soon()), Ok(Acquired::Clean));
    std::thread::scope(|s| {
        s.spawn(|| {
            assert_eq!(lock.lock(&alive(1), soon()), Ok(Acquired::Clean));
            lock.unlock(&alive(1), Release::Clean);
        });
        await_starvation(&lock);
        lock.unlock(&me, Release::Clean);
    });
    assert!(lock.is_at_rest(), "the flag is to go after its turn");
}

#[test]
fn those_who_wait_behind_one_who_starves_are_woken_without_a_newcomer() {
    let (lock, me) = (RawLock::new(), alive(0));
    for _ in 0..3 {
        assert_eq!(lock.lock(&me, soon()), Ok(Acquired::Clean));
        std::thread::scope(|s| {
            for number in 1..4 {
                let lock = &lock;
                s.spawn(move || {
                    let who = alive(number);
                    assert_eq!(lock.lock(&who, soon()), Ok(Acquired::Clean));
                    lock.unlock(&who, Release::Clean);
                });
            }
            await_starvation(&lock);
            lock.unlock(&me, Release::Clean);
        });
        assert!(lock.is_at_rest());
    }
}

#[test]
fn a_lock_reserved_for_nobody_is_had_after_a_nap_or_at_once_by_who_does_not_wait() {
    let me = alive(0);
    // As one leaves it who is killed on its way to its turn.
    for (word, acquired) in [
        (STARVING, Acquired::Clean),
        (STARVING | WAITERS, Acquired::Clean),
        (STARVING | ABANDONED, Acquired::OwnerDied),
    ] {
        let brief = Deadline::after(Duration::from_nanos(1));
        for deadline in [soon(), Deadline::Now, brief] {
            let waits = !deadline.has_passed();
            let lock = RawLock::new();
            lock.word.store(word, Relaxed);
            assert!(!lock.claim(owned_by(me.0)) && !lock.spin(me.0), "passed by a newcomer");
            assert_eq!(lock.lock(&me, deadline), Ok(acquired));
            assert!(!(waits && deadline.has_passed()), "only because it was late");
            assert_ne!(lock.word.load(Relaxed) & STARVING, 0, "another may starve");
            lock.mark_recovered();
            lock.unlock(&me, Release::Clean);
            assert!(lock.is_at_rest());
        }
    }
}

#[test]
fn a_take_over_leaves_the_starving_their_turn() {
    let (lock, me) = (orphan(), alive(0));
    lock.word.fetch_or(STARVING, Relaxed);
    assert_eq!(lock.lock(&me, soon()), Ok(Acquired::OwnerDied));
    assert_ne!(lock.word.load(Relaxed) & STARVING, 0);
    lock.unlock(&me, Release::Abandon);
    assert_eq!(lock.word.load(Relaxed), ABANDONED);
}

#[test]
fn any_word_is_a_lock_that_answers() {
    let me = alive(0);
    for word in [
        u64::MAX,
        WAITERS,
        ABANDONED,
        WAITERS | ABANDONED,
        FLAGS,
        1,
        1 << 32,
        !0 << 32,
        0xdead_beef,
    ] {
        let lock = RawLock::new();
        lock.word.store(word, Relaxed);
        match lock.lock(&me, Deadline::after(Duration::from_millis(1))) {
            Ok(_) => {
                assert!(lock.is_held(&me));
                lock.unlock(&me, Release::Clean);
                assert_eq!(lock.owner(), None);
            }
            Err(failure) => assert_eq!(failure, LockFailure::Timeout),
        }
    }
}

#[test]
fn two_words_written_by_one_holder_at_a_time_never_differ() {
    let lock = RawLock::new();
    let words = [AtomicU32::new(0), AtomicU32::new(0)];
    let failed = AtomicBool::new(false);
    std::thread::scope(|s| {
        for number in 0..4 {
            let (lock, words, failed) = (&lock, &words, &failed);
            s.spawn(move || {
                let me = alive(number);
                for _ in 0..20_000 {
                    assert_eq!(lock.lock(&me, soon()), Ok(Acquired::Clean));
                    let value = words[0].load(Relaxed);
                    failed.fetch_or(value != words[1].load(Relaxed), Relaxed);
                    words[0].store(value + 1, Relaxed);
                    words[1].store(value + 1, Relaxed);
                    lock.unlock(&me, Release::Clean);
                }
            });
        }
    });
    assert!(!failed.load(Relaxed));
    assert_eq!(words[0].load(Relaxed), 80_000);
}
