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

fn dead(number: u32) -> Person {
    Person(ParticipantId::new(2 * number, 1))
}

struct Semaphore {
    words: SemaphoreWords,
    records: Vec<Record>,
    bound: u32,
}

fn semaphore(permits: u32) -> Semaphore {
    bounded(permits, MAX)
}

fn bounded(permits: u32, bound: u32) -> Semaphore {
    let records = (0..Records::<Record>::needed(8)).map(|_| Record::default()).collect();
    Semaphore { words: SemaphoreWords::new(permits), records, bound }
}

impl Semaphore {
    fn raw(&self) -> RawSemaphore<'_> {
        RawSemaphore::new(&self.words, Records::new(&self.records), self.bound)
    }

    fn try_acquire(&self, who: &Person) -> Result<(), NoPermit> {
        self.raw().acquire(who, Deadline::Now)
    }

    fn take_all(&self, who: &Person) -> u32 {
        (0..100).find(|_| self.try_acquire(who).is_err()).expect("no end of permits")
    }

    fn ledger(&self, who: &Person) -> u64 {
        let records = Records::new(&self.records);
        records.at(records.index_of(who.0)).ledger.load(Relaxed)
    }
}

#[test]
fn permits_are_counted_down_and_up() {
    let (s, me) = (semaphore(2), alive(0));
    assert_eq!(s.raw().value(), 2);
    assert_eq!(s.try_acquire(&me), Ok(()));
    assert_eq!(s.try_acquire(&me), Ok(()));
    assert_eq!((s.raw().value(), held(s.ledger(&me))), (0, 2));
    assert_eq!(s.try_acquire(&me), Err(NoPermit::WouldBlock));
    let briefly = Deadline::after(Duration::from_millis(1));
    assert_eq!(s.raw().acquire(&me, briefly), Err(NoPermit::Timeout));
    s.raw().give(me.0);
    s.raw().give(me.0);
    assert_eq!((s.raw().value(), held(s.ledger(&me))), (2, 0));
}

#[test]
fn a_release_is_refused_exactly_beyond_the_bound() {
    let s = bounded(3, 5);
    assert!(s.raw().release(0));
    assert!(!s.raw().release(3));
    assert!(!s.raw().release(u32::MAX));
    assert!(s.raw().release(2));
    assert!(!s.raw().release(1));
    assert!(s.raw().release(0));
    assert_eq!(s.raw().value(), 5);
    let full = semaphore(MAX);
    assert!(!full.raw().release(1) && !full.raw().release(u32::MAX));
    assert_eq!(full.raw().value(), MAX);
}

#[test]
fn what_the_bound_has_no_room_for_vanishes() {
    let (s, me) = (bounded(1, 1), alive(0));
    assert_eq!(s.try_acquire(&me), Ok(()));
    assert!(s.raw().release(1));
    s.raw().give(me.0);
    assert_eq!((s.raw().value(), held(s.ledger(&me))), (1, 0));
}

#[test]
fn permits_of_the_dead_come_back_when_somebody_wants_them() {
    let (s, me) = (semaphore(3), alive(0));
    for victim in [dead(0), dead(1), dead(1)] {
        assert_eq!(s.try_acquire(&victim), Ok(()));
    }
    assert_eq!(s.raw().value(), 0);
    assert_eq!(s.raw().acquire(&me, Deadline::after(Duration::from_secs(120))), Ok(()));
    assert_eq!(s.raw().value(), 2);
    assert_eq!(s.take_all(&me), 2);
}

#[test]
fn permits_of_the_living_do_not_come_back() {
    let s = semaphore(1);
    assert_eq!(s.try_acquire(&alive(1)), Ok(()));
    assert_eq!(s.take_all(&alive(0)), 0);
}

#[test]
fn what_the_dead_forgot_or_released_stays_so() {
    let (s, me) = (semaphore(2), alive(0));
    assert_eq!(s.try_acquire(&dead(0)), Ok(()));
    s.raw().forget(dead(0).0);
    assert_eq!(s.take_all(&me), 1);
    assert!(s.raw().release(1));
    assert_eq!(s.take_all(&me), 1);
}

/// As whoever is killed right after the compare-and-swap of the word leaves it.
fn without_the_last_entry(s: &Semaphore, who: &Person, f: impl FnOnce()) {
    let records = Records::new(&s.records);
    let ledger = &records.at(records.index_of(who.0)).ledger;
    let before = ledger.load(Relaxed);
    f();
    ledger.store(before, Relaxed);
}

#[test]
fn whoever_comes_next_writes_down_the_last_operation_of_the_dead() {
    let (s, me, victim) = (semaphore(1), alive(0), dead(0));
    without_the_last_entry(&s, &victim, || s.try_acquire(&victim).unwrap());
    assert_eq!((s.raw().value(), held(s.ledger(&victim))), (0, 0));
    assert_eq!(s.take_all(&me), 1);
    assert_eq!((held(s.ledger(&victim)), held(s.ledger(&me))), (0, 1));

    let (s, victim) = (semaphore(2), dead(0));
    assert_eq!(s.try_acquire(&victim), Ok(()));
    without_the_last_entry(&s, &victim, || s.raw().give(victim.0));
    assert_eq!((s.raw().value(), held(s.ledger(&victim))), (2, 1));
    assert_eq!(s.take_all(&me), 2);
    assert_eq!((held(s.ledger(&victim)), held(s.ledger(&me))), (0, 2));
}

#[test]
fn a_bare_release_does_not_cover_up_an_operation_that_is_not_written_down() {
    let (s, me, victim) = (semaphore(1), alive(0), dead(0));
    without_the_last_entry(&s, &victim, || s.try_acquire(&victim).unwrap());
    assert!(s.raw().release(1));
    assert_eq!(s.take_all(&me), 2);
}

#[test]
fn the_next_occupant_of_a_slot_gives_back_first_what_the_last_one_held() {
    let (s, first) = (semaphore(3), ParticipantId::new(0, 1));
    assert_eq!(s.try_acquire(&Person(first)), Ok(()));
    assert_eq!(s.try_acquire(&Person(first)), Ok(()));
    let next = Person(ParticipantId::new(0, 2));
    assert_eq!(s.try_acquire(&next), Ok(()));
    assert_eq!((s.raw().value(), held(s.ledger(&next))), (2, 1));
}

#[test]
fn a_sequence_that_comes_round_in_the_stamp_goes_on_in_the_ledger() {
    let (s, me, victim) = (semaphore(1), alive(0), dead(1));
    let records = Records::new(&s.records);
    // Just before the low bits, and then all bits, are at their end.
    for start in [s.raw().sequence_mask(), (1 << 33) - 1] {
        let ledger = &records.at(records.index_of(victim.0)).ledger;
        ledger.store((start - 1) << SEQUENCE, Relaxed);
        for _ in 0..4 {
            without_the_last_entry(&s, &victim, || s.try_acquire(&victim).unwrap());
            assert_eq!(s.take_all(&me), 1);
            s.raw().give(me.0);
        }
        // Each time one take, and one gift in its name.
        assert_eq!(sequence(s.ledger(&victim)), (start + 7) & ((1 << 33) - 1));
    }
}

#[test]
fn a_newcomer_lets_those_pass_who_starve_for_one_nap_unless_it_cannot_wait() {
    let (s, me) = (semaphore(2), alive(0));
    s.words.word.fetch_or(STARVING, Relaxed);
    assert!(!s.raw().take(0, true));
    assert_eq!(s.try_acquire(&me), Ok(()));
    assert_eq!(s.raw().acquire(&me, Deadline::after(Duration::from_secs(120))), Ok(()));
    assert!(s.words.word.load(Relaxed) & STARVING != 0);
    // A gift finds out that nobody starves.
    s.raw().give(me.0);
    assert_eq!(s.words.word.load(Relaxed) & (STARVING | WAITERS), 0);
    assert_eq!(s.words.late.load(Relaxed), 1);
}

#[test]
fn one_who_has_waited_for_long_says_so_until_it_had_its_turn() {
    let (s, holder) = (semaphore(1), alive(0));
    s.try_acquire(&holder).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            s.raw().acquire(&alive(1), Deadline::after(Duration::from_secs(120))).unwrap();
            s.raw().give(alive(1).0);
        });
        while s.words.word.load(Relaxed) & STARVING == 0 {
            assert!(!waiting.is_finished());
            std::thread::yield_now();
        }
        s.raw().give(holder.0);
    });
    s.raw().acquire(&holder, Deadline::after(Duration::from_secs(120))).unwrap();
    s.raw().give(holder.0);
    assert_eq!((s.raw().value(), s.words.word.load(Relaxed) & STARVING), (1, 0));
}

#[test]
fn any_words_are_a_semaphore_that_answers() {
    let me = alive(0);
    let odd = [0, 1, u64::MAX, 1 << 31, !0 << 32, 0xdead_beef_dead_beef, !(1 << 31)];
    for word in odd {
        for other in odd {
            let s = bounded(0, 100);
            s.words.word.store(word, Relaxed);
            for record in &s.records {
                record.ledger.store(other, Relaxed);
                record.claim(ParticipantId::from_word(other as u32 | 1).unwrap());
            }
            let _ = s.raw().release(3);
            match s.raw().acquire(&me, Deadline::after(Duration::from_millis(1))) {
                Ok(()) => s.raw().give(me.0),
                Err(e) => assert_eq!(e, NoPermit::Timeout),
            }
            s.raw().forget(me.0);
            assert!(s.raw().value() <= MAX);
        }
    }
}

#[test]
fn threads_of_many_participants_lose_and_invent_nothing() {
    let s = semaphore(3);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let s = &s;
            scope.spawn(move || {
                let me = alive(number % 3); // two of them share a ledger
                for _ in 0..20_000 {
                    let soon = Deadline::after(Duration::from_secs(120));
                    s.raw().acquire(&me, soon).unwrap();
                    assert!(s.raw().value() < 3);
                    s.raw().give(me.0);
                }
            });
        }
    });
    assert_eq!(s.raw().value(), 3);
    for number in 0..3 {
        assert_eq!(held(s.ledger(&alive(number))), 0);
    }
}
