//! Do locks that nest do what the behaviour contract says, between processes, also when holders die?
//!
//! The ids at the end of the test names are the rows of the contract. What an `RLock` shares with a
//! `Lock`, down to the code, is asked in `contract_lock.rs`.

mod common;

use common::{LONG, fork, go_on, join, kill, park, reap, stop, unique};
use shmkit::{
    Error, Lock, LockError, Pipe, Process, ProcessError, RLock, RLockGuard, Receiver, Region,
    RegionOptions, Sender,
};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// How a holder ends.
#[derive(Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
enum End {
    Stays,
    Leaves,
}
use End::{Leaves, Stays};

/// Starts a process that holds the lock three times over, and has added 1000 and published it.
fn holder(lock: &RLock<u64>, end: End) -> Process {
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let child =
        Process::spawn((lock.clone(), say, end), |lock: RLock<u64>, say: Sender<()>, end: End| {
            let _guards = [lock.lock().unwrap(), lock.lock().unwrap()];
            lock.lock().unwrap().update(|n| *n += 1000);
            let _third = lock.lock().unwrap();
            say.send(()).unwrap();
            if end == Leaves {
                std::process::exit(0);
            }
            park()
        });
    let child = child.unwrap();
    ready.recv_timeout(LONG).unwrap();
    child
}

/// Whether another process is refused.
fn is_refused_elsewhere(lock: &RLock<u64>) -> bool {
    let child = Process::spawn((lock.clone(),), |lock: RLock<u64>| match lock.try_lock() {
        Ok(_) => false,
        Err(LockError::WouldBlock) => true,
        Err(other) => panic!("{other:?}"),
    });
    join(&child.unwrap()).unwrap()
}

#[test]
fn what_is_taken_three_times_is_free_after_three_releases_and_there_is_no_fourth_x27_test_rlock() {
    let lock = RLock::new(0u64).unwrap();
    let mut guards: Vec<RLockGuard<'_, u64>> = Vec::new();
    for depth in 1..=3 {
        guards.push(lock.lock().unwrap());
        assert!(guards.iter().all(|guard| guard.depth() == depth));
        assert!(is_refused_elsewhere(&lock));
    }
    while let Some(guard) = guards.pop() {
        assert!(is_refused_elsewhere(&lock));
        drop(guard); // moves it away: no guard is released twice
    }
    // Nobody who holds nothing can release what another one holds.
    let other = holder(&lock, Stays);
    assert!(matches!(lock.try_lock(), Err(LockError::WouldBlock)));
    kill(&other);
}

#[test]
fn guards_may_go_in_any_order_x27() {
    let lock = RLock::new(0u64).unwrap();
    let again = lock.clone();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut guards = [(); 3].map(|()| Some(again.lock().unwrap()));
        for (gone, index) in order.into_iter().enumerate() {
            let left = guards.iter().flatten().next().unwrap();
            assert_eq!(left.depth(), 3 - gone as u64);
            assert!(std::thread::scope(|s| {
                s.spawn(|| matches!(lock.try_lock(), Err(LockError::WouldBlock))).join().unwrap()
            }));
            guards[index] = None;
        }
        assert!(!is_refused_elsewhere(&lock));
    }
}

#[test]
fn only_one_process_is_inside_at_any_depth_and_its_lines_stay_together_l1_l2() {
    fn write(lock: &RLock, file: &mut File, id: u32, round: u32, part: u32) {
        let _guard = lock.lock().unwrap();
        writeln!(file, "{id} {round} {part}").unwrap();
    }
    let path = std::env::temp_dir().join(format!("shmkit-nested-{}", std::process::id()));
    File::create(&path).unwrap();
    let lock = RLock::new(()).unwrap();
    let children: Vec<_> = (0..10)
        .map(|id| {
            Process::spawn((lock.clone(), path.clone(), id), |lock: RLock, path, id: u32| {
                let mut file =
                    OpenOptions::new().append(true).open::<std::path::PathBuf>(path).unwrap();
                for round in 0..9 {
                    let _guard = lock.lock().unwrap();
                    (0..3).for_each(|part| write(&lock, &mut file, id, round, part));
                }
            })
            .unwrap()
        })
        .collect();
    children.iter().for_each(|child| join(child).unwrap());
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 270);
    for triple in lines.chunks(3) {
        let start = triple[0].strip_suffix(" 0").expect(triple[0]);
        assert_eq!(triple[1..], [format!("{start} 1"), format!("{start} 2")]);
    }
}

#[test]
fn what_one_process_publishes_inside_the_next_one_builds_on_l1() {
    let lock = RLock::new([0u64; 5]).unwrap();
    let children: Vec<_> = (0..4)
        .map(|_| {
            Process::spawn((lock.clone(),), |lock: RLock<[u64; 5]>| {
                for _ in 0..2000 {
                    let mut outer = lock.lock().unwrap();
                    let before = *outer;
                    assert!(before.iter().all(|n| *n == before[0]));
                    lock.lock().unwrap().update(|all| all.iter_mut().for_each(|n| *n += 1));
                    assert_eq!((*outer, outer.get()), (before, before.map(|n| n + 1)));
                    outer.update(|all| all.iter_mut().for_each(|n| *n += 1));
                }
            })
            .unwrap()
        })
        .collect();
    children.iter().for_each(|child| join(child).unwrap());
    assert_eq!(*lock.lock().unwrap(), [16_000; 5]);
}

#[test]
fn a_guard_shows_its_own_copy_and_get_shows_what_was_published_last() {
    let lock = RLock::new([1u64; 3]).unwrap();
    let mut outer = lock.lock().unwrap();
    let mut inner = lock.lock().unwrap();
    inner.set([2; 3]);
    assert_eq!((*outer, *inner), ([1; 3], [2; 3]));
    assert_eq!((outer.get(), *lock.lock().unwrap()), ([2; 3], [2; 3]));
    assert_eq!(outer.update(|all| std::mem::replace(&mut all[0], 5)), 2);
    assert_eq!((*outer, *inner, inner.get()), ([5, 2, 2], [2; 3], [5, 2, 2]));
}

#[test]
fn a_held_lock_is_refused_or_waited_for_as_asked_x26() {
    let lock = RLock::new(5u64).unwrap();
    let (go, wait) = Pipe::<()>::simplex().map(|(wait, go)| (go, wait)).unwrap();
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let child = Process::spawn(
        (lock.clone(), say, wait),
        |lock: RLock<u64>, say: Sender<()>, wait: Receiver<()>| {
            let mut guard = lock.lock().unwrap();
            let _again = lock.try_lock().unwrap();
            let _and_again = lock.lock_timeout(Duration::ZERO).unwrap();
            guard.set(6);
            say.send(()).unwrap();
            wait.recv().unwrap();
        },
    );
    ready.recv_timeout(LONG).unwrap();
    assert!(matches!(lock.try_lock(), Err(LockError::WouldBlock)));
    assert!(matches!(lock.lock_timeout(Duration::ZERO), Err(LockError::WouldBlock)));
    assert!(matches!(lock.lock_timeout(Duration::from_millis(20)), Err(LockError::Timeout)));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let guard = lock.lock_timeout(LONG).unwrap();
            (*guard, guard.depth())
        });
        go.send(()).unwrap();
        assert_eq!(waiting.join().unwrap(), (6, 1));
    });
    join(&child.unwrap()).unwrap();
    assert!(lock.lock_timeout(Duration::MAX).is_ok());
}

#[test]
fn unrelated_processes_find_a_lock_by_its_name_and_only_as_what_it_is() {
    let name = unique("rlock");
    let lock = RLock::create(&name, 1u64).unwrap();
    let child = Process::spawn((name.clone(),), |name: String| {
        assert!(matches!(RLock::<i64>::open(&name), Err(Error::TypeMismatch { .. })));
        match Lock::<u64>::open(&name) {
            Err(e @ Error::TypeMismatch { .. }) => assert!(e.to_string().contains("recursive")),
            other => panic!("{other:?}"),
        }
        assert!(matches!(RLock::create(&name, 0u64), Err(Error::Exists)));
        RLock::<u64>::open(&name).unwrap().lock().unwrap().update(|n| *n += 1);
    });
    join(&child.unwrap()).unwrap();
    assert_eq!(*lock.lock().unwrap(), 2);
    drop(lock);
    assert!(matches!(RLock::<u64>::open(&name), Err(Error::NotFound)));
}

// ---- deaths ----

#[test]
fn the_death_of_a_holder_is_told_to_exactly_one_waiter_who_starts_at_depth_one_complaint_2() {
    let lock = RLock::new(7u64).unwrap();
    let child = holder(&lock, Stays);
    let waiters: Vec<_> = (0..4)
        .map(|_| {
            Process::spawn((lock.clone(),), |lock: RLock<u64>| match lock.lock() {
                Ok(guard) => (false, *guard),
                Err(LockError::OwnerDied(died)) => {
                    assert_eq!((**died, died.depth()), (1007, 1), "published, at depth three");
                    let mut guard = died.recover();
                    guard.update(|n| *n += 1);
                    (true, lock.lock().unwrap().get())
                }
                Err(other) => panic!("{other:?}"),
            })
            .unwrap()
        })
        .collect();
    kill(&child);
    let told: Vec<_> = waiters.iter().map(|waiter| join(waiter).unwrap()).collect();
    assert_eq!(told.iter().filter(|(died, _)| *died).count(), 1, "{told:?}");
    assert!(told.iter().all(|(_, value)| *value == 1008), "{told:?}");
    assert_eq!(*lock.lock().unwrap(), 1008);
}

#[test]
fn a_holder_that_exits_without_unwinding_counts_as_dead() {
    let lock = RLock::new(7u64).unwrap();
    let child = holder(&lock, Leaves);
    assert!(matches!(join(&child), Err(ProcessError::Exited(0))));
    assert!(matches!(lock.try_lock(), Err(LockError::OwnerDied(died)) if **died == 1007));
}

#[test]
fn every_owner_is_told_on_every_level_until_somebody_recovers() {
    let lock = RLock::new(7u64).unwrap();
    kill(&holder(&lock, Stays));
    for _ in 0..3 {
        let Err(LockError::OwnerDied(outer)) = lock.lock() else { panic!("clean") };
        let Err(LockError::OwnerDied(inner)) = lock.lock() else { panic!("clean") };
        assert_eq!((outer.depth(), inner.depth()), (2, 2)); // both dropped unrecovered
    }
    // Killed with it unrecovered, two levels deep.
    let child = Process::spawn((lock.clone(),), |lock: RLock<u64>| {
        let (_outer, _inner) = (lock.lock(), lock.lock());
        common::die()
    });
    assert!(join::<()>(&child.unwrap()).is_err());
    // Recovered on the inner level, so on the outer one as well.
    let Err(LockError::OwnerDied(outer)) = lock.lock_timeout(LONG) else { panic!("clean") };
    let Err(LockError::OwnerDied(inner)) = lock.lock() else { panic!("clean") };
    inner.recover().set(9);
    assert_eq!(lock.lock().unwrap().depth(), 2);
    drop(outer);
    assert_eq!(*lock.lock().unwrap(), 9);
}

#[test]
fn a_panic_under_a_guard_counts_as_a_death_once_the_outermost_guard_is_gone() {
    let lock = RLock::new(7u64).unwrap();
    let child = Process::spawn((lock.clone(),), |lock: RLock<u64>| {
        let _outer = lock.lock().unwrap();
        let mut inner = lock.lock().unwrap();
        inner.set(8);
        inner.update(|n| {
            *n = 9;
            panic!("under two guards");
        });
    });
    assert!(matches!(join::<()>(&child.unwrap()), Err(ProcessError::Panicked(_))));
    let Err(LockError::OwnerDied(died)) = lock.lock() else { panic!("clean") };
    assert_eq!(*died.recover(), 8, "what was published before the panic");

    // Caught under the outer guard: told only when that one goes, and not at all if none panicked.
    let outer = lock.lock().unwrap();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _inner = lock.lock().unwrap();
        panic!("under the inner guard");
    }));
    assert!(caught.is_err());
    assert!(lock.lock().is_ok());
    let caught = catch_unwind(|| panic!("beside the guard"));
    assert!(caught.is_err());
    drop(outer);
    let Err(LockError::OwnerDied(died)) = lock.lock() else { panic!("clean") };
    drop(died.recover());
    let outer = lock.lock().unwrap();
    assert!(catch_unwind(|| panic!("beside the guard")).is_err());
    drop(outer);
    assert!(lock.lock().is_ok());
}

#[test]
fn a_guard_taken_and_dropped_while_a_panic_unwinds_is_a_good_one() {
    struct Last<'a>(&'a RLock<u64>);
    impl Drop for Last<'_> {
        fn drop(&mut self) {
            let _outer = self.0.lock().unwrap();
            self.0.lock().unwrap().update(|n| *n += 1);
        }
    }
    let lock = RLock::new(0u64).unwrap();
    let caught = catch_unwind(|| {
        let _last = Last(&lock);
        panic!("on the way");
    });
    assert!(caught.is_err());
    assert_eq!(*lock.lock().unwrap(), 1);
}

#[test]
fn a_stopped_holder_is_not_a_dead_one() {
    let lock = RLock::new(7u64).unwrap();
    let child = holder(&lock, Stays);
    stop(&child);
    assert!(matches!(lock.lock_timeout(Duration::from_millis(200)), Err(LockError::Timeout)));
    assert!(matches!(lock.try_lock(), Err(LockError::WouldBlock)));
    go_on(&child);
    kill(&child);
    assert!(matches!(lock.lock_timeout(LONG), Err(LockError::OwnerDied(_))));
}

#[test]
fn a_slot_used_again_does_not_hide_that_its_last_owner_died() {
    let region = RegionOptions::new(4096).participants(2).anonymous().unwrap();
    let locks: Vec<_> = (0..10).map(|n| RLock::new_in(&region, n).unwrap()).collect();
    for lock in &locks {
        kill(&holder(lock, Stays)); // each takes over the slot of the one before
    }
    for (n, lock) in locks.iter().enumerate() {
        let Err(LockError::OwnerDied(died)) = lock.lock_timeout(LONG) else { panic!("{n} clean") };
        assert_eq!((died.depth(), *died.recover()), (1, 1000 + n as u64));
    }
}

// ---- forks: in a process of their own, which has one thread ----

#[test]
fn a_forked_copy_of_a_guard_does_nothing_and_the_child_is_another_process() {
    let child = Process::spawn((), || {
        let lock = RLock::new(1u64).unwrap();
        let mut guards = vec![lock.lock().unwrap(), lock.lock().unwrap()];
        reap(fork(|| {
            let mut copy = guards.pop().unwrap();
            copy.set(99);
            assert_eq!((*copy, copy.get(), copy.depth()), (1, 1, 0));
            assert_eq!(copy.update(|n| *n), 1);
            drop(copy);
            guards.clear();
            assert!(matches!(lock.try_lock(), Err(LockError::WouldBlock)));
            assert!(is_refused_elsewhere(&lock));
        }));
        assert_eq!(guards[0].depth(), 2);
        guards[1].set(2);
        drop(guards);
        reap(fork(|| {
            let _outer = lock.lock().unwrap();
            lock.lock().unwrap().update(|n| *n += 1);
        }));
        assert_eq!(*lock.lock().unwrap(), 3);
        reap(fork(|| {
            let _guards = (lock.lock().unwrap(), lock.lock().unwrap());
            std::process::exit(0);
        }));
        assert!(matches!(lock.lock(), Err(LockError::OwnerDied(_))));
    });
    join(&child.unwrap()).unwrap();
}

// ---- signatures ----

fn every_call() -> shmkit::Result<u64> {
    let lock: RLock<u64> = RLock::new(1)?;
    let bare: RLock = RLock::new(())?;
    let guard: RLockGuard<'_, ()> = bare.lock()?;
    drop(guard);
    lock.lock()?.set(2);
    lock.try_lock()?.update(|n| *n += 1);
    lock.lock_timeout(LONG)?.update(|n| *n += 1);
    let region = Region::new(4096)?;
    let packed = RLock::new_in(&region, *lock.clone().lock()?)?;
    let result: Result<RLockGuard<'_, u64>, LockError<RLockGuard<'_, u64>>> = packed.lock();
    Ok(*result?)
}

#[test]
fn every_signature_compiles_as_the_contract_writes_it_and_no_guard_leaves_its_thread() {
    assert_eq!(every_call().unwrap(), 4);
    fn shared<T: Clone + Send + Sync + std::fmt::Debug>() {}
    shared::<RLock<[u8; 100]>>();

    // Two implementations would fit a guard that is `Send`, and the call would not compile.
    trait Stays<Which> {
        fn check() {}
    }
    impl<T> Stays<()> for T {}
    impl<T: Send> Stays<u8> for T {}
    <RLockGuard<'_, u64> as Stays<_>>::check();
}
