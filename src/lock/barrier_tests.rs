use super::*;
use crate::sync::AtomicU32;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(120);

fn alive() -> bool {
    false
}

fn wait(barrier: &RawBarrier, parties: u32, deadline: Deadline) -> Result<u32, Broken> {
    barrier.wait(parties, &Spin::new(), deadline, None::<fn()>, &alive)
}

/// Waits until as many parties are there.
fn await_waiting(barrier: &RawBarrier, parties: u32) {
    let start = std::time::Instant::now();
    while barrier.waiting() != parties {
        assert!(start.elapsed() < LONG, "nobody comes");
        std::thread::yield_now();
    }
}

#[test]
fn a_word_comes_back_from_its_fields() {
    let all = State {
        phase: 7,
        arrived: PARTIES_MAX,
        history: 255,
        streak: 65535,
        round: (1 << ROUND_BITS) - 1,
    };
    assert_eq!(all.word(), u64::MAX);
    assert!(State::of(u64::MAX) == all);
    for bit in 0..64 {
        assert_eq!(State::of(1 << bit).word(), 1 << bit);
    }
}

#[test]
fn a_barrier_of_one_never_waits() {
    let barrier = RawBarrier::default();
    for _ in 0..20 {
        assert_eq!(wait(&barrier, 1, Deadline::Now), Ok(0));
    }
    let mut ran = 0;
    let met = barrier.wait(1, &Spin::new(), Deadline::Now, Some(|| ran += 1), &alive);
    assert_eq!((met, ran), (Ok(0), 1));
}

#[test]
fn outcomes_are_remembered() {
    let mut state = State::of(0);
    let mut truth = Vec::new();
    for round in 0..200 {
        let broken = [3, 7, 8, 11, 100].contains(&round);
        truth.push(broken);
        state = state.next(broken);
        for (round, broken) in truth.iter().enumerate() {
            let told = state.outcome(round as u32).unwrap().is_err();
            let since = truth.len() - round;
            let streak = truth.iter().rev().take_while(|broken| !**broken).count();
            // Beyond the history, only the streak is known to be good.
            let expected = if since <= 8 { *broken } else { since > streak };
            assert_eq!(told, expected, "round {round} after {}", truth.len());
        }
    }
    assert_eq!(state.outcome(state.round), None);
}

#[test]
fn rounds_wrap_around() {
    let last = State { round: (1 << ROUND_BITS) - 1, ..State::of(0) };
    let next = State::of(last.next(true).word());
    assert_eq!(next.round, 0);
    assert_eq!(next.outcome(last.round), Some(Err(Broken::Reset)));
    assert_eq!(next.outcome(last.round - 1), Some(Ok(())));
    assert_eq!(next.outcome(0), None);
}

#[test]
fn a_deadline_breaks_the_round_until_a_reset() {
    let barrier = RawBarrier::default();
    assert_eq!(wait(&barrier, 2, Deadline::after(Duration::from_millis(2))), Err(Broken::Timeout));
    assert_eq!(barrier.broken(), Some(Broken::Timeout));
    barrier.break_now(Broken::Aborted, || ());
    assert_eq!(wait(&barrier, 2, Deadline::Never), Err(Broken::Timeout));
    assert_eq!(barrier.waiting(), 0);
    barrier.reset();
    assert_eq!(barrier.broken(), None);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| wait(&barrier, 2, Deadline::after(LONG)));
        await_waiting(&barrier, 1);
        assert_eq!(wait(&barrier, 2, Deadline::after(LONG)), Ok(1));
        assert_eq!(other.join().unwrap(), Ok(0));
    });
}

#[test]
fn a_reset_of_an_untouched_barrier_is_no_round() {
    let barrier = RawBarrier::default();
    barrier.reset();
    assert_eq!(barrier.word.load(Relaxed), 0);
}

#[test]
fn a_reset_ends_the_wait_of_those_who_are_there() {
    let barrier = RawBarrier::default();
    std::thread::scope(|scope| {
        let waiters = [(); 2].map(|()| scope.spawn(|| wait(&barrier, 3, Deadline::after(LONG))));
        await_waiting(&barrier, 2);
        barrier.reset();
        assert_eq!(waiters.map(|w| w.join().unwrap()), [Err(Broken::Reset); 2]);
    });
    assert_eq!((barrier.broken(), barrier.waiting()), (None, 0));
}

#[test]
fn who_is_told_of_a_death_breaks_the_round() {
    let barrier = RawBarrier::default();
    let met = barrier.wait(2, &Spin::new(), Deadline::after(LONG), None::<fn()>, &|| true);
    assert_eq!(met, Err(Broken::PartyDied));
    assert_eq!(barrier.broken(), Some(Broken::PartyDied));
}

#[test]
fn the_last_party_asks_for_deaths_while_somebody_may_be_asleep() {
    let barrier = RawBarrier::default();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| wait(&barrier, 2, Deadline::after(LONG)));
        while !barrier.bell.is_announced() {
            std::thread::yield_now();
        }
        let met = barrier.wait(2, &Spin::new(), Deadline::Never, None::<fn()>, &|| true);
        assert_eq!(met, Err(Broken::PartyDied));
        assert_eq!(other.join().unwrap(), Err(Broken::PartyDied));
    });
}

#[test]
fn an_action_runs_before_anybody_goes_on_and_is_waited_for_by_others() {
    let barrier = RawBarrier::default();
    let done = crate::sync::AtomicU32::new(0);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| {
            let met = wait(&barrier, 2, Deadline::after(LONG));
            (met, done.load(Relaxed))
        });
        await_waiting(&barrier, 1);
        let action = || {
            // One more comes while the round is complete: it starts the next one.
            scope.spawn(|| {
                assert_eq!(wait(&barrier, 2, Deadline::after(LONG)), Ok(0));
                assert_eq!(done.load(Relaxed), 1);
            });
            assert_eq!(barrier.waiting(), 2);
            std::thread::yield_now();
            done.store(1, Relaxed);
        };
        let met = barrier.wait(2, &Spin::new(), Deadline::after(LONG), Some(action), &alive);
        assert_eq!(met, Ok(1));
        assert_eq!(first.join().unwrap(), (Ok(0), 1));
        await_waiting(&barrier, 1);
        assert_eq!(wait(&barrier, 2, Deadline::after(LONG)), Ok(1));
    });
}

#[test]
fn a_round_that_breaks_during_its_action_is_broken_for_all() {
    let barrier = RawBarrier::default();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| wait(&barrier, 2, Deadline::after(LONG)));
        await_waiting(&barrier, 1);
        let action = || barrier.break_now(Broken::Aborted, || ());
        let met = barrier.wait(2, &Spin::new(), Deadline::Never, Some(action), &alive);
        assert_eq!((met, first.join().unwrap()), (Err(Broken::Aborted), Err(Broken::Aborted)));
    });
}

#[test]
fn a_panic_of_the_action_breaks_the_round() {
    let barrier = RawBarrier::default();
    std::thread::scope(|scope| {
        let first = scope.spawn(|| wait(&barrier, 2, Deadline::after(LONG)));
        await_waiting(&barrier, 1);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            barrier.wait(2, &Spin::new(), Deadline::Never, Some(|| panic!("on purpose")), &alive)
        }));
        assert!(caught.is_err());
        assert_eq!(first.join().unwrap(), Err(Broken::ActionPanicked));
    });
}

#[test]
fn a_slow_leaver_does_not_hold_up_the_next_rounds() {
    let barrier = RawBarrier::default();
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| wait(&barrier, 2, Deadline::after(LONG)));
        await_waiting(&barrier, 1);
        assert_eq!(wait(&barrier, 2, Deadline::Never), Ok(1));
        for _ in 0..100 {
            let pair = scope.spawn(|| wait(&barrier, 2, Deadline::after(LONG)));
            let here = wait(&barrier, 2, Deadline::after(LONG)).unwrap();
            assert_eq!(pair.join().unwrap().unwrap() + here, 1);
        }
        assert_eq!(slow.join().unwrap(), Ok(0));
    });
}

#[test]
fn any_word_is_a_barrier() {
    for word in [1, 2, 7, u64::MAX, u64::MAX << 3, 9 << 3, 5 << 3 | 1] {
        let barrier = RawBarrier::default();
        barrier.word.store(word, Relaxed);
        let soon = Deadline::after(Duration::from_millis(1));
        let _ = barrier.wait(2, &Spin::new(), soon, Some(|| ()), &alive);
        barrier.reset();
        assert_eq!(wait(&barrier, 1, Deadline::Now), Ok(0));
    }
}

/// Counts how often those who wait elsewhere were told.
#[derive(Default)]
struct Rings(AtomicU32);

impl Parties for Rings {
    fn has_died(&self) -> bool {
        false
    }

    fn ring(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

impl Rings {
    fn since(&self, before: u32) -> u32 {
        self.0.load(Relaxed) - before
    }
}

#[test]
fn who_waits_elsewhere_is_told_when_one_is_missing_and_when_it_breaks() {
    let (barrier, rings) = (&RawBarrier::default(), &Rings::default());
    assert!(barrier.would_pass(1) && !barrier.would_pass(3));
    barrier.arm();
    std::thread::scope(|scope| {
        let come = || {
            scope
                .spawn(|| barrier.wait(3, &Spin::new(), Deadline::after(LONG), None::<fn()>, rings))
        };
        let first = come();
        await_waiting(barrier, 1);
        assert!(!barrier.would_pass(3) && rings.since(0) == 0);
        let second = come();
        await_waiting(barrier, 2);
        while rings.since(0) == 0 {
            std::thread::yield_now();
        }
        assert!(barrier.would_pass(3) && barrier.waiting() == 2, "rung, and nobody has gone on");
        barrier.arm();
        // Full, while the last one acts: who comes now would sleep.
        let action = || assert!(!barrier.would_pass(3));
        barrier.wait(3, &Spin::new(), Deadline::Now, Some(action), rings).unwrap();
        assert_eq!(rings.since(1), 1);
        assert!(first.join().unwrap().is_ok() && second.join().unwrap().is_ok());
    });
    assert!(!barrier.would_pass(3));
    barrier.arm();
    barrier.break_now(Broken::Aborted, || rings.ring());
    assert!(barrier.would_pass(3) && rings.since(2) == 1);
}

#[test]
fn the_last_but_one_leaves_the_sleepers_asleep() {
    // Their announcement is still there when the last one comes: a death would be asked for.
    let barrier = &RawBarrier::default();
    barrier.arm();
    std::thread::scope(|scope| {
        let wait = || wait(barrier, 3, Deadline::after(LONG));
        let first = scope.spawn(wait);
        while !barrier.bell.is_announced() {
            std::thread::yield_now();
        }
        let state = barrier.load();
        barrier.bell.only_ring(|| ());
        assert!(barrier.bell.is_announced() && barrier.load() == state);
        let second = scope.spawn(wait);
        await_waiting(barrier, 2);
        wait().unwrap();
        assert!(first.join().unwrap().is_ok() && second.join().unwrap().is_ok());
    });
}
