//! Do conditions do what the behaviour contract says, between processes, also when waiters and
//! notifiers die?
//!
//! The ids at the end of the test names are the rows of the contract.

mod common;

use common::{LONG, await_naps, fork, go_on, join, kill, reap, settle, stop, unique};
use shmkit::{Condition, Error, Lock, LockError, LockGuard, Process, Region, RegionOptions};
use std::time::{Duration, Instant};

/// What a crowd does: how many have begun to wait, and how many have been woken.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
struct Crowd {
    waiting: u64,
    woken: u64,
}

// SAFETY: two words without padding.
#[allow(unsafe_code)]
unsafe impl bytemuck::Zeroable for Crowd {}
// SAFETY: as above; any bits are numbers.
#[allow(unsafe_code)]
unsafe impl bytemuck::Pod for Crowd {}

#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Place {
    lock: Lock<Crowd>,
    condition: Condition,
    /// Notified at each wake-up.
    woken: Condition,
}

impl Place {
    fn new() -> Place {
        Place {
            lock: Lock::new(Crowd::default()).unwrap(),
            condition: Condition::new().unwrap(),
            woken: Condition::new().unwrap(),
        }
    }

    /// Waits once, and says whether it was notified.
    fn wait(&self, timeout: Duration) -> bool {
        let mut guard = self.lock.lock().unwrap();
        guard.waiting += 1;
        let (mut guard, notified) = self.condition.wait_timeout(guard, timeout).unwrap();
        guard.woken += u64::from(notified);
        drop(guard);
        self.woken.notify_all();
        notified
    }

    fn process(&self, timeout: Duration) -> Process<bool> {
        let wait = |place: Place, timeout| place.wait(timeout);
        Process::spawn((self.clone(), timeout), wait).unwrap()
    }

    /// Waits until so many have begun to wait: they wait, for they have given up the lock.
    fn await_waiting(&self, count: u64) {
        let start = Instant::now();
        while self.lock.lock().unwrap().waiting != count {
            assert!(start.elapsed() < LONG, "nobody comes");
            std::thread::yield_now();
        }
    }

    /// Waits until so many have been woken.
    fn await_woken(&self, count: u64) {
        let guard = self.lock.lock().unwrap();
        let too_few = |crowd: &mut Crowd| crowd.woken < count;
        let (guard, met) = self.woken.wait_while_timeout(guard, too_few, LONG).unwrap();
        assert!(met && guard.woken == count, "{:?} of {count}", *guard);
    }

    fn notify(&self, count: u32) {
        let _guard = self.lock.lock().unwrap();
        self.condition.notify(count);
    }

    /// Runs three processes and three threads that wait once, and `notifier` beside them.
    fn with_six(&self, timeout: Duration, notifier: impl FnOnce()) -> Vec<bool> {
        let before = self.lock.lock().unwrap().waiting;
        std::thread::scope(|scope| {
            let processes = [(); 3].map(|()| self.process(timeout));
            let threads = [(); 3].map(|()| scope.spawn(|| self.wait(timeout)));
            self.await_waiting(before + 6);
            notifier();
            let processes = processes.iter().map(|process| join(process).unwrap());
            processes.chain(threads.map(|thread| thread.join().unwrap())).collect()
        })
    }
}

// ---- as Python tests it ----

#[test]
fn each_notification_wakes_one_process_or_thread_test_notify() {
    let place = Place::new();
    let told = place.with_six(LONG, || {
        for n in 1..=6 {
            place.notify(1);
            place.await_woken(n);
        }
    });
    assert_eq!(told, [true; 6]);
    place.notify(1);
    assert_eq!(place.lock.lock().unwrap().woken, 6);
}

#[test]
fn six_timeouts_leave_it_clean_and_then_all_six_are_woken_test_notify_all() {
    let place = Place::new();
    assert_eq!(place.with_six(Duration::from_millis(30), || ()), [false; 6]);
    assert_eq!(*place.lock.lock().unwrap(), Crowd { waiting: 6, woken: 0 });
    let told = place.with_six(LONG, || {
        let _guard = place.lock.lock().unwrap();
        place.condition.notify_all();
    });
    assert_eq!(told, [true; 6]);
}

#[test]
fn as_many_are_woken_as_were_notified_test_notify_n() {
    let place = Place::new();
    place.notify(3); // for nobody
    let told = place.with_six(LONG, || {
        place.notify(2);
        place.await_woken(2);
        place.notify(0);
        // Four wait still, and are not woken while a latecomer waits in vain.
        assert!(!place.wait(Duration::from_millis(100)));
        assert_eq!(place.lock.lock().unwrap().woken, 2);
        place.notify(4);
        place.await_woken(6);
        place.notify(3);
    });
    assert_eq!(told, [true; 6]);
    // What was notified in excess is not kept.
    assert!(!place.wait(Duration::from_millis(20)));
}

#[test]
fn a_predicate_is_waited_for_across_processes_test_waitfor() {
    let (lock, condition) = (Lock::new(9u64).unwrap(), Condition::new().unwrap());
    let child =
        Process::spawn((lock.clone(), condition.clone()), |lock: Lock<u64>, c: Condition| {
            let mut guard = lock.lock().unwrap();
            *guard = 0;
            c.notify(1);
            let mut guard = c.wait_while(guard, |n| *n < 4).unwrap();
            assert_eq!(*guard, 4);
            *guard = 100;
            drop(guard);
            c.notify_all();
        });
    let await_value = |value: u64| {
        let guard = lock.lock().unwrap();
        let other = |n: &mut u64| *n != value;
        let (guard, met) = condition.wait_while_timeout(guard, other, LONG).unwrap();
        assert!(met && *guard == value);
    };
    await_value(0);
    for _ in 0..4 {
        *lock.lock().unwrap() += 1;
        condition.notify(1);
    }
    await_value(100);
    join(&child.unwrap()).unwrap();
}

#[test]
fn a_predicate_that_does_not_come_is_given_up_in_time() {
    let (lock, condition) = (Lock::new(0u64).unwrap(), Condition::new().unwrap());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let guard = lock.lock().unwrap();
            let timeout = Duration::from_millis(100);
            let (guard, met) = condition.wait_while_timeout(guard, |n| *n < 5, timeout).unwrap();
            (*guard, met)
        });
        for _ in 0..3 {
            *lock.lock().unwrap() += 1;
            condition.notify_all();
        }
        assert_eq!(waiter.join().unwrap(), (3, false));
    });
    let (guard, met) =
        condition.wait_while_timeout(lock.lock().unwrap(), |n| *n < 3, Duration::ZERO).unwrap();
    assert!(met);
    drop(guard);
}

#[test]
fn a_wait_says_whether_it_was_notified_and_signals_do_not_end_it_test_wait_result() {
    extern "C" fn nothing(_: i32) {}
    let place = Place::new();
    assert!(!place.wait(Duration::ZERO) && !place.wait(Duration::from_millis(10)));
    let child = Process::spawn((place.clone(),), |place: Place| {
        // SAFETY: a handler that does nothing.
        #[allow(unsafe_code)]
        unsafe {
            libc::signal(libc::SIGUSR1, nothing as *const () as usize);
        }
        place.wait(LONG)
    });
    let child = child.unwrap();
    place.await_waiting(3);
    for _ in 0..10 {
        settle(child.pid());
        common::send(&child, libc::SIGUSR1);
    }
    assert!(child.is_alive());
    assert_eq!(place.lock.lock().unwrap().woken, 0);
    place.notify(1);
    assert!(join(&child).unwrap());
}

// ---- the lock around the wait ----

#[test]
fn the_edit_is_published_before_the_sleep_and_the_value_read_anew_after_it_x29() {
    let (lock, condition) = (Lock::new(1u64).unwrap(), Condition::new().unwrap());
    let child =
        Process::spawn((lock.clone(), condition.clone()), |lock: Lock<u64>, c: Condition| {
            let mut guard = lock.lock().unwrap();
            *guard = 2;
            let mut guard = c.wait(guard).unwrap();
            assert_eq!(*guard, 3);
            *guard = 4;
        });
    loop {
        let mut guard = lock.lock().unwrap();
        if *guard == 2 {
            *guard = 3;
            break;
        }
    }
    condition.notify(1);
    join(&child.unwrap()).unwrap();
    assert_eq!(*lock.lock().unwrap(), 4);
}

#[test]
fn what_is_notified_under_the_lock_is_missed_by_nobody() {
    let (lock, condition) = (Lock::new(0u64).unwrap(), Condition::new().unwrap());
    let turns = |lock: Lock<u64>, condition: Condition, parity: u64| {
        for _ in 0..3000 {
            let guard = lock.lock().unwrap();
            let other = |n: &mut u64| *n % 2 != parity;
            let (mut guard, met) = condition.wait_while_timeout(guard, other, LONG).unwrap();
            assert!(met);
            *guard += 1;
            drop(guard);
            condition.notify(1);
        }
    };
    let child = Process::spawn((lock.clone(), condition.clone(), 1u64), turns);
    turns(lock.clone(), condition, 0);
    join(&child.unwrap()).unwrap();
    assert_eq!(*lock.lock().unwrap(), 6000);
}

#[test]
fn a_bounded_buffer_loses_and_doubles_nothing() {
    let (lock, filled, emptied) =
        (Lock::new([0u64; 2]).unwrap(), Condition::new().unwrap(), Condition::new().unwrap());
    type Args = (Lock<[u64; 2]>, Condition, Condition);
    let args = || -> Args { (lock.clone(), filled.clone(), emptied.clone()) };
    // [0] is the fill of the buffer, [1] what was taken in all.
    let put = |lock: Lock<[u64; 2]>, filled: Condition, emptied: Condition| {
        for _ in 0..1000 {
            let guard = lock.lock().unwrap();
            let mut guard = emptied.wait_while(guard, |[fill, _]| *fill == 3).unwrap();
            guard[0] += 1;
            drop(guard);
            filled.notify(1);
        }
    };
    let take = |lock: Lock<[u64; 2]>, filled: Condition, emptied: Condition| {
        for _ in 0..1000 {
            let guard = lock.lock().unwrap();
            let mut guard = filled.wait_while(guard, |[fill, _]| *fill == 0).unwrap();
            guard[0] -= 1;
            guard[1] += 1;
            drop(guard);
            emptied.notify(1);
        }
    };
    let putters = [(); 3].map(|()| Process::spawn(args(), put).unwrap());
    let takers = [(); 3].map(|()| Process::spawn(args(), take).unwrap());
    putters.iter().chain(&takers).for_each(|child| join(child).unwrap());
    assert_eq!(*lock.lock().unwrap(), [0, 3000]);
}

#[test]
fn more_waiters_than_cells_are_all_woken() {
    let place = Place::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..140).map(|_| scope.spawn(|| place.wait(LONG))).collect();
        place.await_waiting(140);
        // The crowd without cells is woken by any notification.
        place.notify(1);
        place.await_woken(1 + 12);
        {
            let _guard = place.lock.lock().unwrap();
            place.condition.notify_all();
        }
        assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
    });
    assert_eq!(place.lock.lock().unwrap().woken, 140);
    assert!(!place.wait(Duration::from_millis(5)));
}

#[test]
fn however_many_have_waited_before_one_notification_wakes_one() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for n in 1..=150 {
            let waiter = scope.spawn(|| place.wait(LONG));
            place.await_waiting(n);
            place.notify(1);
            assert!(waiter.join().unwrap());
        }
        let first = scope.spawn(|| place.wait(LONG));
        place.await_waiting(151);
        let second = scope.spawn(|| place.wait(Duration::from_millis(50)));
        place.await_waiting(152);
        place.notify(1);
        assert!(first.join().unwrap() && !second.join().unwrap());
    });
}

#[test]
fn guards_of_several_locks_wait_for_one_condition() {
    let condition = Condition::new().unwrap();
    let locks = [(); 3].map(|()| Lock::new(0u8).unwrap());
    std::thread::scope(|scope| {
        let waiters = locks.each_ref().map(|lock| {
            scope.spawn(|| {
                let guard = lock.lock().unwrap();
                let (guard, met) = condition.wait_while_timeout(guard, |n| *n == 0, LONG).unwrap();
                assert!(met);
                *guard
            })
        });
        for lock in &locks {
            *lock.lock().unwrap() = 1;
        }
        condition.notify_all();
        assert_eq!(waiters.map(|waiter| waiter.join().unwrap()), [1; 3]);
    });
}

// ---- deaths ----

#[test]
fn a_dead_waiter_holds_up_nobody_and_takes_no_wake_up_complaint_3() {
    let place = Place::new();
    let dead = [(); 3].map(|()| place.process(LONG));
    place.await_waiting(3);
    let alive = place.process(LONG);
    place.await_waiting(4);
    dead.iter().for_each(kill);
    // The three who came first are dead.
    place.notify(1);
    assert!(join(&alive).unwrap());
    assert_eq!(place.with_six(LONG, || place.notify(6)), [true; 6]);
}

#[test]
fn a_waiter_killed_between_its_wake_up_and_its_lock_passes_the_wake_up_on() {
    let place = Place::new();
    for n in 0..5 {
        let first = place.process(LONG);
        place.await_waiting(2 * n + 1);
        let second = place.process(LONG);
        place.await_waiting(2 * n + 2);
        let guard = place.lock.lock().unwrap();
        place.condition.notify(1);
        // The first one has been woken, and cannot have its lock.
        kill(&first);
        drop(guard);
        assert!(join(&second).unwrap());
    }
}

#[test]
fn a_stopped_waiter_keeps_its_wake_up() {
    let place = Place::new();
    let first = place.process(LONG);
    place.await_waiting(1);
    let second = place.process(LONG);
    place.await_waiting(2);
    stop(&first);
    place.notify(1);
    // Neither the second one, while it looks around between its naps, nor a latecomer gets it.
    await_naps(second.pid(), 3);
    assert!(!place.wait(Duration::from_millis(20)));
    assert_eq!(place.lock.lock().unwrap().woken, 0);
    go_on(&first);
    assert!(join(&first).unwrap());
    place.notify(1);
    assert!(join(&second).unwrap());
}

#[test]
fn what_a_killed_notifier_has_notified_counts() {
    let place = Place::new();
    let told = place.with_six(LONG, || {
        let child = Process::spawn((place.clone(),), |place: Place| -> () {
            place.condition.notify(2);
            common::die()
        });
        assert!(join(&child.unwrap()).is_err());
        place.await_woken(2);
        place.notify(4);
    });
    assert_eq!(told, [true; 6]);
}

#[test]
fn the_death_of_a_holder_is_told_to_who_comes_back_from_a_wait() {
    let (lock, condition) = (Lock::new(7u64).unwrap(), Condition::new().unwrap());
    let child =
        Process::spawn((lock.clone(), condition.clone()), |lock: Lock<u64>, c: Condition| -> () {
            let mut guard = loop {
                let guard = lock.lock().unwrap();
                if *guard == 8 {
                    break guard;
                }
            };
            *guard = 9;
            c.notify(1);
            common::die()
        });
    let mut guard = lock.lock().unwrap();
    *guard = 8;
    let Err(LockError::OwnerDied(died)) = condition.wait_timeout(guard, LONG) else {
        panic!("no death told")
    };
    assert_eq!((*died.0, died.1), (8, true));
    let (guard, _) = died.recover();
    drop(guard);
    assert!(join(&child.unwrap()).is_err());
    assert_eq!(*lock.lock().unwrap(), 8);
}

#[test]
fn the_cells_of_the_dead_are_used_again_also_by_who_gets_their_slots() {
    let region = RegionOptions::new(1 << 16).participants(3).anonymous().unwrap();
    let place = Place {
        lock: Lock::new_in(&region, Crowd::default()).unwrap(),
        condition: Condition::new_in(&region).unwrap(),
        woken: Condition::new_in(&region).unwrap(),
    };
    for n in 1..=8 {
        let child = place.process(LONG);
        place.await_waiting(n);
        kill(&child);
    }
    let child = place.process(LONG);
    place.await_waiting(9);
    place.notify(1);
    assert!(join(&child).unwrap());
    assert_eq!(place.lock.lock().unwrap().woken, 1);
}

// ---- doors and forks ----

#[test]
fn unrelated_processes_find_a_condition_by_its_name() {
    let name = unique("condition");
    let (condition, lock) = (Condition::create(&name).unwrap(), Lock::new(0u64).unwrap());
    let child = Process::spawn((name.clone(), lock.clone()), |name: String, lock: Lock<u64>| {
        assert!(matches!(shmkit::Event::open(&name), Err(Error::TypeMismatch { .. })));
        *lock.lock().unwrap() = 1;
        Condition::open(&name).unwrap().notify_all();
    });
    let guard = lock.lock().unwrap();
    let (guard, met) = condition.wait_while_timeout(guard, |n| *n == 0, LONG).unwrap();
    assert!(met);
    drop(guard);
    join(&child.unwrap()).unwrap();
    drop(condition);
    assert!(matches!(Condition::open(&name), Err(Error::NotFound)));
}

fn run(body: fn()) {
    join(&Process::spawn((), body).unwrap()).unwrap();
}

#[test]
fn a_forked_child_waits_and_notifies_as_another_process() {
    run(|| {
        let place = Place::new();
        let child = fork(|| assert!(place.wait(LONG)));
        place.await_waiting(1);
        place.notify(1);
        reap(child);
        let parent = std::process::id();
        let child = fork(|| {
            place.await_waiting(2);
            settle(parent);
            place.notify(1);
        });
        assert!(place.wait(LONG));
        reap(child);
    });
}

#[test]
fn a_forked_copy_of_a_guard_does_not_wait() {
    run(|| {
        let (lock, condition) = (Lock::new(1u64).unwrap(), Condition::new().unwrap());
        let mut guard = Some(lock.lock().unwrap());
        reap(fork(|| {
            // SAFETY: a plain call; a fault would have this process wait for its parent for ever.
            #[allow(unsafe_code)]
            unsafe {
                libc::alarm(120)
            };
            let answer = condition.wait(guard.take().unwrap());
            assert!(matches!(answer, Err(LockError::Os(_))));
            assert!(matches!(lock.try_lock(), Err(LockError::WouldBlock)));
        }));
        drop(guard);
    });
}

#[test]
fn who_finds_no_slot_wakes_everybody_rather_than_nobody() {
    run(|| {
        let region = RegionOptions::new(1 << 14).participants(1).anonymous().unwrap();
        let (lock, condition) = (Lock::new(0u64).unwrap(), Condition::new_in(&region).unwrap());
        let child = fork(|| {
            while *lock.lock().unwrap() == 0 {
                std::thread::yield_now();
            }
            assert!(matches!(condition.wait(lock.lock().unwrap()), Err(LockError::Os(_))));
            condition.notify(1);
        });
        let mut guard = lock.lock().unwrap();
        *guard = 1;
        assert!(condition.wait_timeout(guard, LONG).unwrap().1);
        reap(child);
    });
}

#[test]
fn every_signature_compiles_as_the_contract_writes_it() {
    fn shared<T: Clone + Send + Sync + std::fmt::Debug>() {}
    shared::<Condition>();
    fn calls() -> shmkit::Result<u64> {
        let (lock, condition) = (Lock::new(1u64)?, Condition::new()?);
        condition.notify(1);
        condition.notify_all();
        let guard: LockGuard<'_, u64> = lock.lock()?;
        let (guard, notified): (LockGuard<'_, u64>, bool) =
            condition.wait_timeout(guard, Duration::from_millis(1))?;
        assert!(!notified);
        let guard: Result<LockGuard<'_, u64>, LockError<LockGuard<'_, u64>>> =
            condition.wait_while(guard, |n| *n == 0);
        Ok(*guard?)
    }
    assert_eq!(calls().unwrap(), 1);
    let region = Region::new(1 << 14).unwrap();
    assert!(Condition::new_in(&region).is_ok());
}
