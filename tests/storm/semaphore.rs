//! `Semaphore`: never a permit too many among the living, and none lost with the dead.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use shmkit::{AcquireError, Permit, Semaphore};

use crate::campaign::Storm;
use crate::helper::elsewhere;
use crate::ledger::{Ledger, Rng};
use crate::{DEADLINE, Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Seats>("semaphore::permits_of_a_crowd"),
        survives::<Signals>("semaphore::releases_and_hand_offs"),
    ]
}

/// As many words as there are permits: the tickets of those who hold one, 0 for nobody.
const SEATS: usize = 3;

/// More workers than permits.
struct Seats(Semaphore);

impl Seats {
    fn acquire(&self, rng: &mut Rng) -> Option<Permit<'_>> {
        let permit = match rng.below(4) {
            0 => self.0.try_acquire(),
            1 => self.0.acquire_timeout(Duration::from_micros(rng.below(5000))),
            _ => self.0.acquire(),
        };
        match permit {
            Ok(permit) => Some(permit),
            Err(AcquireError::WouldBlock | AcquireError::Timeout) => None,
            Err(other) => panic!("{other}"),
        }
    }
}

/// Takes a place that belongs to nobody alive. Whoever has a permit finds one: each of the others
/// who are alive and have a place has a permit, too.
fn sit_down(me: usize, ledger: &Ledger) -> usize {
    // Places may change hands while this looks at them one by one, but not for ever.
    for _ in 0..100_000 {
        for seat in 0..SEATS {
            let sitting = ledger.word(seat).load(SeqCst);
            let free = sitting == 0 || ledger.is_doomed(sitting);
            let place = ledger.word(seat);
            if free && place.compare_exchange(sitting, ledger.ticket(me), SeqCst, SeqCst).is_ok() {
                return seat;
            }
        }
    }
    panic!("more permits than there are");
}

/// Leaves a place, unless somebody has it who knew that this worker is about to be killed.
fn stand_up(seat: usize, me: usize, ledger: &Ledger) {
    let _ = ledger.word(seat).compare_exchange(ledger.ticket(me), 0, SeqCst, SeqCst);
}

impl Storm for Seats {
    const WORKERS: usize = 6;

    fn set_up() -> Self {
        Seats(Semaphore::new(SEATS as u32).unwrap())
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        let Some(permit) = self.acquire(rng) else { return };
        let seat = sit_down(me, ledger);
        if rng.one_in(4) {
            std::thread::yield_now();
        }
        // A second one only if there is one: nobody waits with one in hand.
        let second = if rng.one_in(4) { self.0.try_acquire().ok() } else { None };
        if let Some(second) = second {
            let other = sit_down(me, ledger);
            assert_ne!(seat, other);
            stand_up(other, me, ledger);
            drop(second);
        }
        stand_up(seat, me, ledger);
        drop(permit);
        assert!(self.0.value() <= SEATS as u32);
    }

    fn check(&self, _: &Ledger) {
        let all: Vec<_> = (0..SEATS).map(|_| self.0.acquire_timeout(DEADLINE).unwrap()).collect();
        assert!(self.0.try_acquire().is_err(), "a permit too many");
        drop(all);
        elsewhere(|| drop(self.0.acquire().unwrap()));
        assert_eq!(self.0.value(), SEATS as u32);
    }
}

/// Where a worker is: about to release, or about to take and hand off.
const RELEASING: usize = 1;
const TAKING: usize = 2;
/// Of a seat: permits released, and permits handed off.
const RELEASED: usize = 0;
const TAKEN: usize = 1;
const MOST: u64 = 3;

/// Bare releases that nobody owns, and permits that are handed off.
struct Signals(Semaphore);

impl Storm for Signals {
    fn set_up() -> Self {
        Signals(Semaphore::new(0).unwrap())
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        if rng.one_in(3) {
            let permits = 1 + rng.below(MOST);
            ledger.enter(me, RELEASING);
            self.0.release(permits as u32).unwrap();
            ledger.own(me, RELEASED).fetch_add(permits, SeqCst);
        } else {
            ledger.enter(me, TAKING);
            let timeout = Duration::from_micros(rng.below(3000));
            match self.0.acquire_timeout(timeout) {
                Ok(permit) if rng.one_in(4) => drop(permit),
                Ok(permit) => {
                    permit.forget();
                    ledger.own(me, TAKEN).fetch_add(1, SeqCst);
                }
                Err(AcquireError::WouldBlock | AcquireError::Timeout) => {}
                Err(other) => panic!("{other}"),
            }
        }
        ledger.enter(me, 0);
    }

    fn check(&self, ledger: &Ledger) {
        let mut left = 0;
        while let Ok(permit) = self.0.try_acquire() {
            permit.forget();
            left += 1;
        }
        let known = ledger.sum(RELEASED) as i64 - ledger.sum(TAKEN) as i64;
        let least = known - ledger.deaths(TAKING) as i64;
        let most = known + (MOST * ledger.deaths(RELEASING)) as i64;
        assert!((least..=most).contains(&left), "{least} <= {left} <= {most}");
        assert_eq!(self.0.value(), 0);
    }
}
