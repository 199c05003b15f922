//! Do locks, semaphores, conditions, events and barriers survive misuse, deaths at bad moments, slots
//! used up and used again, and forks?

#![allow(unsafe_code, reason = "kills its children")]

mod common;

use common::{LONG, await_naps, fork, go_on, join, kill, park, reap, settle, stop, unique};
use shmkit::{
    AcquireError, Barrier, BoundedSemaphore, BrokenBarrier, Condition, Error, Event, Lock,
    LockError, Pipe, Process, RLock, Region, RegionOptions, RwLock, Semaphore, Sender, Value,
};
use std::cell::RefCell;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(10);

/// Runs in a process of its own, where one thread may fork and a hang is seen.
fn run(body: fn()) {
    join(&Process::spawn((), body).unwrap()).unwrap();
}

// ---- misuse ----

#[test]
fn an_action_that_comes_to_its_own_barrier_is_told_instead_of_left_waiting_for_itself() {
    run(|| {
        let barrier = Barrier::new(1).unwrap();
        let mut inner = None;
        let outer = barrier.wait_with(|| inner = Some(barrier.wait()));
        assert!(matches!(inner, Some(Err(BrokenBarrier::WouldDeadlock))), "{inner:?}");
        assert_eq!(outer.unwrap(), 0);
        // Another barrier is another matter, also one of the same kind inside.
        let other = Barrier::new(1).unwrap();
        barrier.wait_with(|| assert_eq!(other.wait_with(|| ()).unwrap(), 0)).unwrap();
        assert_eq!(barrier.wait().unwrap(), 0);
    });
}

#[test]
fn an_action_that_aborts_or_resets_its_barrier_has_done_so() {
    run(|| {
        let barrier = Barrier::new(1).unwrap();
        let outcome = barrier.wait_with(|| barrier.reset());
        assert!(matches!(outcome, Err(BrokenBarrier::Reset)), "{outcome:?}");
        assert_eq!(barrier.wait().unwrap(), 0);
        let outcome = barrier.wait_with(|| barrier.abort());
        assert!(matches!(outcome, Err(BrokenBarrier::Aborted)), "{outcome:?}");
        assert!(barrier.is_broken());
    });
}

#[test]
fn a_lock_opened_twice_is_one_lock_also_for_who_waits_for_itself() {
    run(|| {
        let name = unique("twice.rw");
        let first = RwLock::create(&name, 1u64).unwrap();
        let second = RwLock::<u64>::open(&name).unwrap();
        let read = first.read().unwrap();
        assert!(matches!(second.write(), Err(LockError::WouldDeadlock)));
        drop(second.read().unwrap());
        drop(read);
        let write = second.write().unwrap();
        assert!(matches!(first.write(), Err(LockError::WouldDeadlock)));
        assert!(matches!(first.read(), Err(LockError::WouldDeadlock)));
        drop(write);

        let name = unique("twice.lock");
        let first = Lock::create(&name, 1u64).unwrap();
        let second = Lock::<u64>::open(&name).unwrap();
        let held = first.lock().unwrap();
        assert!(matches!(second.lock(), Err(LockError::WouldDeadlock)));
        drop(held);

        let name = unique("twice.rlock");
        let first = RLock::create(&name, 1u64).unwrap();
        let second = RLock::<u64>::open(&name).unwrap();
        let held = first.lock().unwrap();
        assert_eq!(second.lock().unwrap().depth(), 2);
        drop(held);
    });
}

#[test]
fn guards_of_readers_may_go_in_any_order_and_the_last_one_lets_the_writer_in() {
    run(|| {
        let lock = RwLock::new(1u64).unwrap();
        let (a, b, c) = (lock.read().unwrap(), lock.read().unwrap(), lock.read().unwrap());
        drop(a);
        drop(c);
        assert!(matches!(lock.try_write(), Err(LockError::WouldDeadlock)));
        drop(b);
        *lock.write().unwrap() += 1;
        assert_eq!(*lock.read().unwrap(), 2);
    });
}

#[test]
fn a_forgotten_reader_of_a_lock_that_is_gone_says_nothing_about_the_next_lock() {
    run(|| {
        // The new lock is likely to lie where the old one was.
        for _ in 0..20 {
            let gone = RwLock::new(1u64).unwrap();
            std::mem::forget(gone.read().unwrap());
            drop(gone);
            let lock = RwLock::new(2u64).unwrap();
            std::thread::scope(|scope| {
                let (inside, entered) = std::sync::mpsc::channel();
                let (leave, left) = std::sync::mpsc::channel();
                let lock = &lock;
                scope.spawn(move || {
                    let _guard = lock.read().unwrap();
                    inside.send(()).unwrap();
                    left.recv().unwrap();
                });
                entered.recv().unwrap();
                let refused = lock.try_write().map(|_| ());
                leave.send(()).unwrap();
                assert!(matches!(refused, Err(LockError::WouldBlock)), "{refused:?}");
            });
        }
    });
}

#[test]
fn limits_of_numbers_and_times_are_errors_or_what_they_say() {
    run(|| {
        assert!(matches!(Semaphore::new(u32::MAX), Err(Error::InvalidArgument(_))));
        assert!(matches!(BoundedSemaphore::new(u32::MAX), Err(Error::InvalidArgument(_))));
        let none = BoundedSemaphore::new(0).unwrap();
        assert!(none.release(1).is_err() && none.release(0).is_ok());
        assert!(none.release(u32::MAX).is_err());
        assert!(matches!(none.acquire_timeout(SHORT), Err(AcquireError::Timeout)));
        let permits = Semaphore::new(1).unwrap();
        assert!(permits.release(u32::MAX).is_err());
        assert_eq!(permits.value(), 1);
        drop(permits.acquire_timeout(Duration::MAX).unwrap());
        drop(permits.acquire_timeout(Duration::ZERO).unwrap());

        assert!(Barrier::new(0).is_err() && Barrier::new(u32::MAX).is_err());
        let barrier = Barrier::new(1).unwrap();
        assert_eq!(barrier.wait_timeout(Duration::ZERO).unwrap(), 0);
        assert_eq!(barrier.wait_timeout(Duration::MAX).unwrap(), 0);

        let event = Event::new().unwrap();
        assert!(!event.wait_timeout(Duration::ZERO));
        event.set();
        assert!(event.wait_timeout(Duration::ZERO) && event.wait_timeout(Duration::MAX));

        let (lock, condition) = (Lock::new(0u64).unwrap(), Condition::new().unwrap());
        condition.notify(0);
        condition.notify(u32::MAX);
        let (guard, told) = condition.wait_timeout(lock.lock().unwrap(), Duration::ZERO).unwrap();
        assert!(!told);
        let no = |_: &mut u64| false;
        let (_guard, met) = condition.wait_while_timeout(guard, no, Duration::MAX).unwrap();
        assert!(met);
    });
}

#[test]
fn a_wait_without_end_of_time_ends_when_it_is_told() {
    let (event, permits) = (Event::new().unwrap(), Semaphore::new(0).unwrap());
    let child =
        Process::spawn((event.clone(), permits.clone()), |event: Event, permits: Semaphore| {
            let set = event.wait_timeout(Duration::MAX);
            let permit = permits.acquire_timeout(Duration::MAX).is_ok();
            (set, permit)
        })
        .unwrap();
    settle(child.pid());
    event.set();
    permits.release(1).unwrap();
    assert_eq!(join(&child).unwrap(), (true, true));
}

#[test]
fn a_value_changed_inside_its_own_update_is_told_and_its_lock_is_good_after_it() {
    run(|| {
        let value = Value::new([1u64; 3]).unwrap();
        let inner = value.update(|v| {
            v[0] = 2;
            (value.update(|v| v[1] = 3).is_err(), value.get())
        });
        let (refused, seen) = inner.unwrap();
        assert!(refused && seen == [1; 3]);
        assert_eq!(value.get(), [2, 1, 1]);
    });
}

// ---- panics and threads ----

#[test]
fn a_predicate_that_panics_leaves_a_lock_that_tells_and_a_condition_that_works() {
    run(|| {
        let (lock, condition) = (Lock::new(0u64).unwrap(), Condition::new().unwrap());
        for _ in 0..300 {
            // More often than the condition has cells.
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let guard = match lock.lock() {
                    Err(LockError::OwnerDied(died)) => died.recover(),
                    other => other.unwrap(),
                };
                let mut asked = 0;
                let twice = |_: &mut u64| {
                    asked += 1;
                    if asked == 2 {
                        std::panic::resume_unwind(Box::new(())); // a panic without its message
                    }
                    true
                };
                let _ = condition.wait_while_timeout(guard, twice, Duration::from_micros(10));
            }));
            assert!(panicked.is_err());
        }
        let Err(LockError::OwnerDied(died)) = lock.lock() else { panic!("not told") };
        drop(died.recover());
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let guard = lock.lock().unwrap();
                *condition.wait_while(guard, |n| *n == 0).unwrap()
            });
            *lock.lock().unwrap() = 7;
            condition.notify(1);
            assert_eq!(waiter.join().unwrap(), 7);
        });
    });
}

#[test]
fn guards_kept_in_a_thread_local_are_dropped_with_their_thread() {
    type Kept = RefCell<Vec<Box<dyn std::any::Any>>>;
    thread_local!(static KEPT: Kept = const { RefCell::new(Vec::new()) });
    run(|| {
        let lock: &'static Lock<u64> = Box::leak(Box::new(Lock::new(1).unwrap()));
        let nested: &'static RLock<u64> = Box::leak(Box::new(RLock::new(1).unwrap()));
        let shared: &'static RwLock<u64> = Box::leak(Box::new(RwLock::new(1).unwrap()));
        let other: &'static RwLock<u64> = Box::leak(Box::new(RwLock::new(1).unwrap()));
        let permits: &'static Semaphore = Box::leak(Box::new(Semaphore::new(1).unwrap()));
        for early in [false, true] {
            std::thread::spawn(move || {
                if early {
                    // Then the list of read locks, made after it, goes before it.
                    KEPT.with_borrow_mut(|kept| kept.push(Box::new(())));
                }
                let mut guards: Vec<Box<dyn std::any::Any>> = vec![
                    Box::new(shared.read().unwrap()),
                    Box::new(lock.lock().unwrap()),
                    Box::new(nested.lock().unwrap()),
                    Box::new(other.write().unwrap()),
                    Box::new(permits.acquire().unwrap()),
                ];
                KEPT.with_borrow_mut(|kept| kept.append(&mut guards));
            })
            .join()
            .unwrap();
            assert!(lock.try_lock().is_ok() && nested.try_lock().is_ok());
            assert!(shared.try_write().is_ok() && other.try_write().is_ok());
            assert_eq!(permits.value(), 1);
        }
    });
}

#[test]
fn a_second_handle_dropped_in_a_panic_takes_nobody_out_while_the_first_one_lives() {
    run(|| {
        let name = unique("barrier.panic");
        let first = Barrier::create(&name, 1).unwrap();
        let second = Barrier::open(&name).unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(move || {
            let _second = second;
            panic!("caught");
        }));
        assert!(panicked.is_err());
        assert!(!first.is_broken());
    });
}

#[test]
fn a_writer_that_gives_up_does_not_swallow_the_report_of_a_death() {
    let lock = RwLock::new(1u64).unwrap();
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let writer: Process =
        Process::spawn((lock.clone(), say), |lock: RwLock<u64>, say: Sender<()>| {
            let _guard = lock.write().unwrap();
            say.send(()).unwrap();
            park()
        })
        .unwrap();
    ready.recv_timeout(LONG).unwrap();
    kill(&writer);
    let reading = lock.read();
    let Err(LockError::OwnerDied(_)) = &reading else { panic!("{reading:?}") };
    let theirs = lock.clone();
    std::thread::spawn(move || {
        assert!(matches!(theirs.try_write(), Err(LockError::WouldBlock)));
        assert!(matches!(theirs.write_timeout(SHORT), Err(LockError::Timeout)));
        assert!(matches!(theirs.try_read(), Err(LockError::OwnerDied(_))));
    })
    .join()
    .unwrap();
    drop(reading);
    let Err(LockError::OwnerDied(died)) = lock.write() else { panic!("not told") };
    drop(died.recover());
    assert!(lock.try_read().is_ok());
}

// ---- fork ----

#[test]
fn a_forked_child_that_only_resets_a_barrier_is_no_party_of_it() {
    run(|| {
        let barrier = Barrier::new(2).unwrap();
        reap(fork(|| barrier.reset()));
        let other = barrier.clone();
        let there = std::thread::spawn(move || other.wait());
        let here = barrier.wait();
        assert!(there.join().unwrap().is_ok() && here.is_ok(), "{here:?}");
    });
}

#[test]
fn guards_and_permits_that_a_fork_has_copied_go_in_the_child_and_count_in_the_parent() {
    run(|| {
        let nested = RLock::new(1u64).unwrap();
        let permits = BoundedSemaphore::new(2).unwrap();
        let event = Event::new().unwrap();
        let (mut outer, inner) = (Some(nested.lock().unwrap()), nested.lock().unwrap());
        let mut permit = Some(permits.acquire().unwrap());
        reap(fork(|| {
            let mut copy = outer.take().unwrap();
            copy.set(99);
            assert_eq!((copy.update(|n| *n), copy.depth()), (1, 0));
            drop(copy);
            assert!(matches!(nested.try_lock(), Err(LockError::WouldBlock)));
            permit.take().unwrap().forget();
            let mine = permits.try_acquire().unwrap();
            assert_eq!(permits.value(), 0);
            std::mem::forget(mine); // comes back at the child's end
            event.set();
        }));
        assert!(event.is_set());
        assert_eq!((inner.depth(), inner.get()), (2, 1));
        drop((inner, outer));
        let second = permits.acquire().unwrap();
        assert!(second_is_the_last(&permits));
        drop((second, permit));
        assert_eq!(permits.value(), 2);
        assert!(permits.release(1).is_err());
        assert_eq!(nested.try_lock().unwrap().depth(), 1);
    });
}

fn second_is_the_last(permits: &BoundedSemaphore) -> bool {
    matches!(permits.try_acquire(), Err(AcquireError::WouldBlock))
}

// ---- slots ----

#[test]
fn thousands_that_die_in_turn_with_everything_in_their_hands_leave_nothing_behind() {
    run(|| {
        let region = RegionOptions::new(1 << 16).participants(3).anonymous().unwrap();
        let permits = BoundedSemaphore::new_in(&region, 3).unwrap();
        let lock = Lock::new_in(&region, 0u64).unwrap();
        let nested = RLock::new_in(&region, 0u64).unwrap();
        let shared = RwLock::new_in(&region, 0u64).unwrap();
        let written = RwLock::new_in(&region, 0u64).unwrap();
        let condition = Condition::new_in(&region).unwrap();
        let barrier = Barrier::new_in(&region, 1).unwrap();
        let mine = permits.acquire().unwrap();
        for round in 0..1000 {
            reap(fork(|| {
                std::mem::forget(permits.try_acquire().unwrap());
                std::mem::forget(permits.try_acquire().unwrap());
                std::mem::forget(shared.try_read().unwrap());
                std::mem::forget(shared.try_read().unwrap());
                match lock.try_lock() {
                    Err(LockError::OwnerDied(died)) => std::mem::forget(died.recover()),
                    other => std::mem::forget(other.unwrap()),
                }
                match nested.try_lock() {
                    Err(LockError::OwnerDied(died)) => std::mem::forget(died.recover()),
                    other => std::mem::forget(other.unwrap()),
                }
                std::mem::forget(nested.lock());
                match written.try_write() {
                    Err(LockError::OwnerDied(died)) => std::mem::forget(died.recover()),
                    other => std::mem::forget(other.unwrap()),
                }
                let _ = barrier.wait();
            }));
            if round % 97 == 0 {
                assert!(matches!(lock.try_lock(), Err(LockError::OwnerDied(_))));
                assert!(matches!(nested.try_lock(), Err(LockError::OwnerDied(_))));
                assert!(matches!(written.try_write(), Err(LockError::OwnerDied(_))));
                assert!(shared.try_write().is_ok());
                let two = [permits.try_acquire().unwrap(), permits.try_acquire().unwrap()];
                assert!(permits.try_acquire().is_err());
                drop(two);
                barrier.reset();
                condition.notify_all();
            }
        }
        drop(mine);
        // What nobody has asked for again comes back now.
        let all: Vec<_> = std::iter::from_fn(|| permits.try_acquire().ok()).collect();
        assert_eq!(all.len(), 3);
        drop(all);
        assert_eq!(permits.value(), 3);
        assert!(permits.release(1).is_err());
        assert!(shared.try_write().is_ok());
        barrier.reset();
        assert_eq!(barrier.wait().unwrap(), 0);
    });
}

#[test]
fn processes_killed_at_random_among_all_objects_of_one_small_region_leave_them_good() {
    run(|| {
        let region = RegionOptions::new(1 << 16).participants(6).anonymous().unwrap();
        let all = All::new(&region);
        let mut children = Vec::new();
        let mut random = Random(7);
        for round in 0..400u64 {
            while children.len() < 4 {
                let seed = random.next();
                children.push(fork(|| loop_over(&all, seed)));
            }
            let other = random.below(1500);
            std::thread::sleep(Duration::from_micros(other));
            let victim = children.swap_remove(random.below(4) as usize);
            if round % 3 == 0 {
                signal(victim, libc::SIGSTOP);
            }
            signal(victim, libc::SIGKILL);
            reap_killed(victim);
        }
        for child in children {
            signal(child, libc::SIGKILL);
            reap_killed(child);
        }
        all.check();
    });
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: a plain call; the child is not reaped, so that the pid is still its own.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

fn reap_killed(pid: i32) {
    let mut status = 0;
    // SAFETY: plain calls; `status` is ours.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert!(libc::WIFSIGNALED(status), "a child has ended by itself: {status}");
}

/// One of each, and pairs of numbers that are always equal.
struct All {
    permits: BoundedSemaphore,
    lock: Lock<[u64; 2]>,
    nested: RLock<[u64; 2]>,
    shared: RwLock<[u64; 2]>,
    value: Value<[u64; 2]>,
    condition: Condition,
    event: Event,
    barrier: Barrier,
}

impl All {
    fn new(region: &Region) -> All {
        All {
            permits: BoundedSemaphore::new_in(region, 2).unwrap(),
            lock: Lock::new_in(region, [0; 2]).unwrap(),
            nested: RLock::new_in(region, [0; 2]).unwrap(),
            shared: RwLock::new_in(region, [0; 2]).unwrap(),
            value: Value::new_in(region, [0; 2]).unwrap(),
            condition: Condition::new_in(region).unwrap(),
            event: Event::new_in(region).unwrap(),
            barrier: Barrier::new_in(region, 2).unwrap(),
        }
    }

    /// With nobody else alive: nothing is held, and everything is there.
    fn check(&self) {
        let both: Vec<_> = std::iter::from_fn(|| self.permits.try_acquire().ok()).collect();
        assert_eq!(both.len(), 2);
        drop(both);
        assert!(self.permits.release(1).is_err());
        let [a, b] = *recovered(self.lock.try_lock());
        assert!(a == b && a > 0);
        let [a, b] = *recovered(self.shared.try_write());
        assert!(a == b && a > 0);
        let [a, b] = *recovered(self.nested.try_lock());
        assert!(a == b && a > 0);
        let [a, b] = self.value.get();
        assert!(a == b && a > 0);
        self.barrier.reset();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                self.barrier.wait().unwrap();
                let guard = self.lock.lock().unwrap();
                let before = guard[0];
                self.event.set();
                drop(self.condition.wait_while(guard, |n| n[0] == before).unwrap());
            });
            self.event.clear();
            self.barrier.wait().unwrap();
            self.event.wait();
            self.lock.lock().unwrap()[0] += 1;
            self.condition.notify(1);
            other.join().unwrap();
        });
    }
}

fn recovered<G>(result: Result<G, LockError<G>>) -> G {
    match result {
        Err(LockError::OwnerDied(died)) => died.recover(),
        other => other.unwrap(),
    }
}

/// Uses everything, in any order, until it is killed.
fn loop_over(all: &All, seed: u64) {
    let mut random = Random(seed);
    // SAFETY: a plain call: nobody is left behind if the parent fails.
    unsafe { libc::alarm(300) };
    let both = |pair: &mut [u64; 2]| {
        assert_eq!(pair[0], pair[1]);
        pair[0] += 1;
        std::hint::black_box(&pair);
        pair[1] += 1;
    };
    loop {
        match random.below(10) {
            0 => drop(all.permits.acquire_timeout(SHORT)),
            1 => match all.lock.lock() {
                Err(LockError::OwnerDied(died)) => both(&mut died.recover()),
                other => both(&mut other.unwrap()),
            },
            2 => {
                let mut outer = recovered(all.nested.lock());
                recovered(all.nested.lock()).update(both);
                outer.update(both);
            }
            3 => {
                let mut guard = recovered(all.shared.write());
                both(&mut guard);
            }
            4 => {
                let read = match all.shared.read() {
                    Err(LockError::OwnerDied(died)) => died.recover(),
                    other => other.unwrap(),
                };
                assert_eq!(read[0], read[1]);
                let again = recovered(all.shared.read());
                assert_eq!(*again, *read);
            }
            5 => {
                let _ = all.value.update(both);
                let pair = all.value.get();
                assert_eq!(pair[0], pair[1]);
            }
            6 => {
                let guard = recovered(all.lock.lock());
                drop(all.condition.wait_timeout(guard, SHORT));
            }
            7 => all.condition.notify(1),
            8 => match random.below(3) {
                0 => all.event.set(),
                1 => all.event.clear(),
                _ => {
                    let _ = all.event.wait_timeout(SHORT);
                }
            },
            _ => {
                if all.barrier.wait_timeout(SHORT).is_err() {
                    all.barrier.reset();
                }
            }
        }
    }
}

#[test]
fn every_object_works_in_a_region_for_one_and_for_4096() {
    for participants in [1, 2, 4096] {
        let region = RegionOptions::new(1 << 20).participants(participants).anonymous().unwrap();
        let permits = Semaphore::new_in(&region, 2).unwrap();
        let shared = RwLock::new_in(&region, [1u64; 3]).unwrap();
        let nested = RLock::new_in(&region, 1u64).unwrap();
        let (lock, condition) =
            (Lock::new_in(&region, 0u64).unwrap(), Condition::new_in(&region).unwrap());
        let (event, barrier) =
            (Event::new_in(&region).unwrap(), Barrier::new_in(&region, 2).unwrap());
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                event.wait();
                barrier.wait().unwrap();
                let guard = lock.lock().unwrap();
                *condition.wait_while(guard, |n| *n == 0).unwrap()
            });
            event.set();
            barrier.wait().unwrap();
            *lock.lock().unwrap() = 5;
            condition.notify(1);
            assert_eq!(other.join().unwrap(), 5);
        });
        let both = [permits.acquire().unwrap(), permits.acquire().unwrap()];
        assert!(permits.try_acquire().is_err());
        drop(both);
        shared.write().unwrap()[2] = 9;
        assert_eq!(shared.read().unwrap()[2], 9);
        assert_eq!(nested.lock().unwrap().depth(), 1);
        let spawned =
            Process::spawn((barrier.clone(), shared.clone()), |_: Barrier, _: RwLock<[u64; 3]>| ());
        match participants {
            1 => assert!(spawned.is_err(), "there is no place for it"),
            _ => join(&spawned.unwrap()).unwrap(),
        }
        assert!(!barrier.is_broken());
        assert!(shared.try_write().is_ok());
    }
}

#[test]
fn a_member_of_a_region_that_uses_other_objects_may_die_without_breaking_a_barrier() {
    let region = Region::new(1 << 16).unwrap();
    let (barrier, lock) =
        (Barrier::new_in(&region, 2).unwrap(), Lock::new_in(&region, 0u64).unwrap());
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let child: Process = Process::spawn((lock.clone(), say), |lock: Lock<u64>, say: Sender<()>| {
        let _guard = lock.lock().unwrap();
        say.send(()).unwrap();
        park()
    })
    .unwrap();
    ready.recv_timeout(LONG).unwrap();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| barrier.wait_timeout(LONG));
        while barrier.waiting() == 0 {
            std::thread::yield_now();
        }
        kill(&child);
        assert!(matches!(lock.lock(), Err(LockError::OwnerDied(_))));
        barrier.wait_timeout(LONG).unwrap();
        other.join().unwrap().unwrap();
    });
}

#[test]
fn a_stopped_waiter_that_was_next_does_not_keep_the_lock_from_others() {
    let lock = Lock::new(0u64).unwrap();
    let waits = || {
        let count = |lock: Lock<u64>| *lock.lock().unwrap() += 1;
        Process::spawn((lock.clone(),), count).unwrap()
    };
    let held = lock.lock().unwrap();
    let children = [waits(), waits(), waits()];
    for child in &children {
        settle(child.pid());
        await_naps(child.pid(), 2); // a whole one at least, hence starving
    }
    for child in &children[..2] {
        stop(child);
    }
    drop(held);
    join(&children[2]).unwrap();
    for _ in 0..100 {
        *lock.lock_timeout(LONG).unwrap() += 1;
    }
    for child in &children[..2] {
        go_on(child);
        join(child).unwrap();
    }
    assert_eq!(*lock.lock().unwrap(), 103);
}

#[test]
fn objects_take_the_memory_that_their_pages_say() {
    fn pages<T>(object: &str, make: impl FnOnce(&str) -> shmkit::Result<T>, expected: u64) {
        let name = unique(&format!("memory.{object}"));
        let _made = make(&name).unwrap();
        let file = std::fs::metadata(format!("/dev/shm/shmkit.{name}")).unwrap();
        assert_eq!(file.blocks() * 512, expected * 4096, "{object}");
    }
    pages("lock", |name| Lock::create(name, 0u64), 1);
    pages("rlock", |name| RLock::create(name, 0u64), 1);
    pages("value", |name| Value::create(name, 0u64), 1);
    pages("rwlock", |name| RwLock::create(name, 0u64), 1);
    pages("rwlock", |name| RwLock::create(name, [0u64; 50]), 2);
    pages("semaphore", |name| Semaphore::create(name, 1), 2);
    pages("condition", Condition::create, 2);
    pages("event", Event::create, 1);
    pages("barrier", |name| Barrier::create(name, 1), 1);
}

/// splitmix64: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators" (2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}
