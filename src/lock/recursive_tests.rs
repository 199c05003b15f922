use super::*;
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

fn dead() -> Person {
    Person(ParticipantId::new(0, 1))
}

fn enter(lock: &RecursiveLock, who: &Person) -> Result<Acquired, LockFailure> {
    lock.enter(who, Deadline::after(Duration::from_secs(120)))
}

fn try_enter(lock: &RecursiveLock, who: &Person) -> Result<Acquired, LockFailure> {
    lock.enter(who, Deadline::Now)
}

#[test]
fn the_lock_is_free_when_its_holder_has_left_as_often_as_it_entered() {
    let (lock, me) = (RecursiveLock::default(), alive(0));
    for depth in 1..=3 {
        assert_eq!(try_enter(&lock, &me), Ok(Acquired::Clean));
        assert_eq!(lock.depth(), depth);
        assert_eq!(try_enter(&lock, &alive(1)), Err(LockFailure::WouldBlock));
    }
    for _ in 0..3 {
        assert_eq!(try_enter(&lock, &alive(1)), Err(LockFailure::WouldBlock));
        lock.leave(me.0, false);
    }
    assert_eq!(try_enter(&lock, &alive(1)), Ok(Acquired::Clean));
    assert_eq!(lock.depth(), 1);
}

#[test]
fn a_sibling_of_the_holder_is_refused() {
    let (lock, me) = (RecursiveLock::default(), alive(0));
    assert_eq!(enter(&lock, &me), Ok(Acquired::Clean));
    let sibling = std::thread::scope(|s| s.spawn(|| try_enter(&lock, &me)).join().unwrap());
    assert_eq!(sibling, Err(LockFailure::WouldBlock));
    assert_eq!(lock.depth(), 1);
}

#[test]
fn the_heir_of_a_dead_holder_starts_at_one_and_is_told_until_it_repairs() {
    let (lock, me) = (RecursiveLock::default(), alive(0));
    for _ in 0..3 {
        assert_eq!(enter(&lock, &dead()), Ok(Acquired::Clean));
    }
    assert_eq!(enter(&lock, &me), Ok(Acquired::OwnerDied));
    assert_eq!(lock.depth(), 1);
    // Again inside, and again once it has left.
    assert_eq!(enter(&lock, &me), Ok(Acquired::OwnerDied));
    lock.leave(me.0, false);
    lock.leave(me.0, false);
    assert_eq!(enter(&lock, &me), Ok(Acquired::OwnerDied));
    lock.mark_recovered();
    assert_eq!(enter(&lock, &me), Ok(Acquired::Clean));
    assert_eq!(lock.depth(), 2);
    lock.leave(me.0, false);
    lock.leave(me.0, false);
    assert_eq!(enter(&lock, &alive(1)), Ok(Acquired::Clean));
}

#[test]
fn a_panic_on_an_inner_level_is_told_when_the_outermost_is_left() {
    let (lock, me) = (RecursiveLock::default(), alive(0));
    assert_eq!(enter(&lock, &me), Ok(Acquired::Clean));
    assert_eq!(enter(&lock, &me), Ok(Acquired::Clean));
    lock.leave(me.0, true);
    assert_eq!(enter(&lock, &me), Ok(Acquired::Clean));
    assert_eq!(lock.depth(), 2);
    lock.leave(me.0, false);
    lock.leave(me.0, false);
    assert_eq!(enter(&lock, &alive(1)), Ok(Acquired::OwnerDied));
    lock.leave(alive(1).0, true);
    assert_eq!(enter(&lock, &me), Ok(Acquired::OwnerDied));
    // What was torn before the repair is repaired with the rest.
    assert_eq!(enter(&lock, &me), Ok(Acquired::OwnerDied));
    lock.leave(me.0, true);
    lock.mark_recovered();
    lock.leave(me.0, false);
    assert_eq!(enter(&lock, &alive(1)), Ok(Acquired::Clean));
}

#[test]
fn any_bytes_are_a_lock_that_answers() {
    let me = alive(0);
    for depth in [0, 1, u64::MAX, TORN, 0xdead_beef] {
        let lock = RecursiveLock::default();
        lock.depth.store(depth, Relaxed);
        assert_eq!(enter(&lock, &me), Ok(Acquired::Clean));
        assert_eq!(lock.depth(), 1);
        lock.depth.store(depth, Relaxed);
        lock.leave(me.0, false);
    }
}
