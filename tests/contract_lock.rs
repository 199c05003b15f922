//! Do locks do what the behaviour contract says, between processes, also when holders die?
//!
//! The ids at the end of the test names are the rows of the contract.

mod common;

use common::{LONG, fork, go_on, join, kill, park, reap, stop, unique};
use shmkit::{
    Error, Lock, LockError, LockGuard, OwnerDied, Pipe, Process, ProcessError, Receiver, Region,
    RegionOptions, Sender,
};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::time::Duration;

/// How a holder ends.
#[derive(Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
enum End {
    Stays,
    Leaves,
}
use End::{Leaves, Stays};

/// Starts a process that holds the lock with an edit that is never published.
fn holder(lock: &Lock<u64>, end: End) -> Process {
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let child =
        Process::spawn((lock.clone(), say, end), |lock: Lock<u64>, say: Sender<()>, end: End| {
            let mut guard = lock.lock().unwrap();
            *guard += 1000;
            say.send(()).unwrap();
            if end == Leaves {
                std::process::exit(0);
            }
            park()
        });
    ready.recv_timeout(LONG).unwrap();
    child.unwrap()
}

#[test]
fn only_one_process_is_inside_and_its_lines_stay_together_l1_l2() {
    let path = std::env::temp_dir().join(format!("shmkit-lines-{}", std::process::id()));
    File::create(&path).unwrap();
    let lock = Lock::new(()).unwrap();
    let children: Vec<_> = (0..10)
        .map(|id| {
            Process::spawn((lock.clone(), path.clone(), id), |lock: Lock, path, id: u32| {
                let mut file =
                    OpenOptions::new().append(true).open::<std::path::PathBuf>(path).unwrap();
                for round in 0..9 {
                    let guard = lock.lock().unwrap();
                    for part in 0..3 {
                        writeln!(file, "{id} {round} {part}").unwrap();
                    }
                    drop(guard);
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
fn what_the_lock_owns_is_never_seen_half_edited_l1() {
    let lock = Lock::new([0u64; 5]).unwrap();
    let children: Vec<_> = (0..4)
        .map(|_| {
            Process::spawn((lock.clone(),), |lock: Lock<[u64; 5]>| {
                for _ in 0..3000 {
                    let mut all = lock.lock().unwrap();
                    let first = all[0];
                    for one in all.iter_mut() {
                        assert_eq!(*one, first);
                        *one += 1;
                    }
                }
            })
            .unwrap()
        })
        .collect();
    children.iter().for_each(|child| join(child).unwrap());
    assert_eq!(*lock.lock().unwrap(), [12_000; 5]);
}

#[test]
fn a_guard_publishes_and_frees_at_the_end_of_its_scope_l2() {
    fn early(lock: &Lock<u64>) -> shmkit::Result<u64> {
        let mut guard = lock.lock()?;
        *guard += 1;
        Err(Error::Full)
    }
    let lock = Lock::new(1u64).unwrap();
    assert!(early(&lock).is_err());
    assert_eq!(*lock.try_lock().unwrap(), 2);
}

#[test]
fn taking_the_lock_twice_in_one_thread_is_told_at_once_l1() {
    let lock = Lock::new(0u64).unwrap();
    let guard = lock.lock().unwrap();
    let again = lock.clone();
    assert!(matches!(again.lock(), Err(LockError::WouldDeadlock)));
    assert!(matches!(again.try_lock(), Err(LockError::WouldDeadlock)));
    assert!(matches!(again.lock_timeout(LONG), Err(LockError::WouldDeadlock)));
    std::thread::scope(|scope| {
        let other = scope.spawn(|| matches!(lock.try_lock(), Err(LockError::WouldBlock)));
        assert!(other.join().unwrap());
    });
    drop(guard);
    assert!(again.lock().is_ok());
}

#[test]
fn a_held_lock_is_refused_or_waited_for_as_asked_x26() {
    let lock = Lock::new(5u64).unwrap();
    let (go, wait) = Pipe::<()>::simplex().map(|(wait, go)| (go, wait)).unwrap();
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let child = Process::spawn(
        (lock.clone(), say, wait),
        |lock: Lock<u64>, say: Sender<()>, wait: Receiver<()>| {
            let mut guard = lock.lock().unwrap();
            *guard = 6;
            say.send(()).unwrap();
            wait.recv().unwrap();
        },
    );
    ready.recv_timeout(LONG).unwrap();
    assert!(matches!(lock.try_lock(), Err(LockError::WouldBlock)));
    assert!(matches!(lock.lock_timeout(Duration::ZERO), Err(LockError::WouldBlock)));
    assert!(matches!(lock.lock_timeout(Duration::from_millis(20)), Err(LockError::Timeout)));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| *lock.lock_timeout(LONG).unwrap());
        go.send(()).unwrap();
        assert_eq!(waiting.join().unwrap(), 6);
    });
    join(&child.unwrap()).unwrap();
    assert!(lock.lock_timeout(Duration::MAX).is_ok());
}

#[test]
fn a_lock_made_in_a_forked_child_passes_to_a_started_one_x18() {
    let child = Process::spawn((), || {
        reap(fork(|| {
            let lock = Lock::new(1u64).unwrap();
            let other = Process::spawn((lock.clone(),), |lock: Lock<u64>| {
                *lock.lock().unwrap() += 1;
            });
            join(&other.unwrap()).unwrap();
            assert_eq!(*lock.lock().unwrap(), 2);
        }));
    });
    join(&child.unwrap()).unwrap();
}

#[test]
fn unrelated_processes_find_a_lock_by_its_name() {
    let name = unique("lock");
    let lock = Lock::create(&name, 1u64).unwrap();
    let child = Process::spawn((name.clone(),), |name: String| {
        assert!(matches!(Lock::<i64>::open(&name), Err(Error::TypeMismatch { .. })));
        assert!(matches!(Lock::create(&name, 0u64), Err(Error::Exists)));
        *Lock::<u64>::open(&name).unwrap().lock().unwrap() += 1;
    });
    join(&child.unwrap()).unwrap();
    assert_eq!(*lock.lock().unwrap(), 2);
    drop(lock);
    assert!(matches!(Lock::<u64>::open(&name), Err(Error::NotFound)));
}

// ---- deaths ----

#[test]
fn the_death_of_the_holder_is_told_to_exactly_one_waiter_and_its_edit_is_gone() {
    let lock = Lock::new(7u64).unwrap();
    let child = holder(&lock, Stays);
    let waiters: Vec<_> = (0..4)
        .map(|_| {
            Process::spawn((lock.clone(),), |lock: Lock<u64>| match lock.lock() {
                Ok(guard) => (false, *guard),
                Err(LockError::OwnerDied(died)) => {
                    assert_eq!(**died, 7);
                    let mut guard = died.recover();
                    *guard += 1;
                    (true, *guard)
                }
                Err(other) => panic!("{other:?}"),
            })
            .unwrap()
        })
        .collect();
    kill(&child);
    let told: Vec<_> = waiters.iter().map(|waiter| join(waiter).unwrap()).collect();
    assert_eq!(told.iter().filter(|(died, _)| *died).count(), 1, "{told:?}");
    assert!(told.iter().all(|(_, value)| *value == 8), "{told:?}");
    assert_eq!(*lock.lock().unwrap(), 8);
}

#[test]
fn a_holder_that_exits_without_unwinding_counts_as_dead() {
    let lock = Lock::new(7u64).unwrap();
    let child = holder(&lock, Leaves);
    assert!(matches!(join(&child), Err(ProcessError::Exited(0))));
    assert!(matches!(lock.try_lock(), Err(LockError::OwnerDied(died)) if **died == 7));
}

#[test]
fn every_owner_is_told_until_somebody_recovers() {
    let lock = Lock::new(7u64).unwrap();
    kill(&holder(&lock, Stays));
    for _ in 0..3 {
        // Dropped unrecovered.
        assert!(matches!(lock.lock(), Err(LockError::OwnerDied(_))));
    }
    // Killed with it unrecovered.
    let child = Process::spawn((lock.clone(),), |lock: Lock<u64>| {
        let Err(LockError::OwnerDied(_died)) = lock.lock() else { panic!("clean") };
        common::die()
    });
    assert!(join::<()>(&child.unwrap()).is_err());
    // Killed in the middle of the repair.
    let child = Process::spawn((lock.clone(),), |lock: Lock<u64>| {
        let Err(LockError::OwnerDied(died)) = lock.lock() else { panic!("clean") };
        *died.recover() = 9; // published at the end of this statement
        let mut guard = lock.lock().unwrap();
        *guard = 10;
        common::die()
    });
    assert!(join::<()>(&child.unwrap()).is_err());
    let Err(LockError::OwnerDied(died)) = lock.lock_timeout(LONG) else { panic!("clean") };
    assert_eq!(*died.recover(), 9);
    assert_eq!(*lock.lock().unwrap(), 9);
}

#[test]
fn a_panic_under_a_guard_counts_as_a_death_in_and_between_processes() {
    let lock = Lock::new(7u64).unwrap();
    let child = Process::spawn((lock.clone(),), |lock: Lock<u64>| {
        *lock.lock().unwrap() = 8;
        let mut guard = lock.lock().unwrap();
        *guard = 9;
        panic!("under the guard");
    });
    assert!(matches!(join::<()>(&child.unwrap()), Err(ProcessError::Panicked(_))));
    let Err(LockError::OwnerDied(died)) = lock.lock() else { panic!("clean") };
    assert_eq!(*died.recover(), 8);
    let caught = std::panic::catch_unwind(|| {
        let mut guard = lock.lock().unwrap();
        *guard = 10;
        panic!("under the guard");
    });
    assert!(caught.is_err());
    let Err(LockError::OwnerDied(died)) = lock.lock() else { panic!("clean") };
    assert_eq!(**died, 8);
}

#[test]
fn a_guard_taken_and_dropped_while_a_panic_unwinds_is_a_good_one() {
    struct Last<'a>(&'a Lock<u64>);
    impl Drop for Last<'_> {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let lock = Lock::new(0u64).unwrap();
    let caught = std::panic::catch_unwind(|| {
        let _last = Last(&lock);
        panic!("on the way");
    });
    assert!(caught.is_err());
    assert_eq!(*lock.lock().unwrap(), 1);
}

#[test]
fn a_forgotten_guard_holds_until_its_process_ends() {
    let lock = Lock::new(7u64).unwrap();
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let child = Process::spawn((lock.clone(), say), |lock: Lock<u64>, say: Sender<()>| {
        std::mem::forget(lock.lock().unwrap());
        assert!(matches!(lock.lock(), Err(LockError::WouldDeadlock)));
        drop(lock);
        say.send(()).unwrap();
        park()
    });
    ready.recv_timeout(LONG).unwrap();
    let child: Process = child.unwrap();
    // Dropping the last handle of that process to the region ends its participation.
    match lock.lock_timeout(Duration::from_millis(300)) {
        Err(LockError::Timeout | LockError::OwnerDied(_)) => {}
        other => panic!("{other:?}"),
    }
    kill(&child);
    assert!(matches!(lock.lock_timeout(LONG), Err(LockError::OwnerDied(_))));
}

#[test]
fn a_stopped_holder_is_not_a_dead_one() {
    let lock = Lock::new(7u64).unwrap();
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
    let locks: Vec<_> = (0..20).map(|n| Lock::new_in(&region, n).unwrap()).collect();
    for lock in &locks {
        kill(&holder(lock, Stays)); // each takes over the slot of the one before
    }
    // All but the last word were swept by a later occupant.
    for (n, lock) in locks.iter().enumerate() {
        let Err(LockError::OwnerDied(died)) = lock.lock_timeout(LONG) else { panic!("{n} clean") };
        assert_eq!(*died.recover(), n as u64);
    }
}

// ---- forks: each in a process of its own, which has one thread ----

fn run(body: fn()) {
    join(&Process::spawn((), body).unwrap()).unwrap();
}

#[test]
fn a_forked_child_uses_the_lock_as_another_process() {
    run(|| {
        let lock = Lock::new(0u64).unwrap();
        let guard = lock.lock().unwrap();
        reap(fork(|| {
            assert!(matches!(lock.try_lock(), Err(LockError::WouldBlock)));
            assert!(matches!(lock.lock_timeout(Duration::from_millis(9)), Err(LockError::Timeout)));
        }));
        drop(guard);
        let children: Vec<_> =
            (0..3).map(|_| fork(|| (0..2000).for_each(|_| *lock.lock().unwrap() += 1))).collect();
        (0..2000).for_each(|_| *lock.lock().unwrap() += 1);
        children.into_iter().for_each(reap);
        assert_eq!(*lock.lock().unwrap(), 8000);
        let dead = fork(|| {
            let _guard = lock.lock().unwrap();
            std::process::exit(0);
        });
        reap(dead);
        assert!(matches!(lock.lock(), Err(LockError::OwnerDied(_))));
    });
}

#[test]
fn a_forked_copy_of_a_guard_neither_frees_nor_publishes() {
    run(|| {
        let lock = Lock::new(1u64).unwrap();
        let mut guard = Some(lock.lock().unwrap());
        reap(fork(|| {
            let mut copy = guard.take().unwrap();
            *copy = 99;
            drop(copy);
            assert!(matches!(lock.try_lock(), Err(LockError::WouldBlock)));
            let child = Process::spawn((lock.clone(),), |lock: Lock<u64>| {
                matches!(lock.try_lock(), Err(LockError::WouldBlock))
            });
            assert!(join(&child.unwrap()).unwrap());
        }));
        **guard.as_mut().unwrap() += 1;
        drop(guard);
        assert_eq!(*lock.lock().unwrap(), 2);
    });
}

#[test]
fn the_death_of_a_holder_is_seen_although_its_forked_child_lives() {
    let lock = Lock::new(7u64).unwrap();
    let (pids, say) = Pipe::<i32>::simplex().unwrap();
    let child = Process::spawn((lock.clone(), say), |lock: Lock<u64>, say: Sender<i32>| {
        let _guard = lock.lock().unwrap();
        say.send(fork(|| {
            common::be_silent();
            park()
        }))
        .unwrap();
        common::die()
    });
    let forked = pids.recv_timeout(LONG).unwrap();
    assert!(join::<()>(&child.unwrap()).is_err());
    assert!(matches!(lock.lock_timeout(LONG), Err(LockError::OwnerDied(_))));
    // SAFETY: plain calls.
    #[allow(unsafe_code)]
    unsafe {
        assert_eq!(libc::kill(forked, 0), 0, "the forked child is to live still");
        libc::kill(forked, libc::SIGKILL);
    }
}

#[test]
fn a_forked_child_that_finds_no_slot_is_told() {
    run(|| {
        let region = RegionOptions::new(4096).participants(1).anonymous().unwrap();
        let lock = Lock::new_in(&region, 1u64).unwrap();
        reap(fork(|| match lock.lock() {
            Err(e @ LockError::Os(_)) => assert!(e.to_string().contains("participant"), "{e}"),
            other => panic!("{other:?}"),
        }));
        assert_eq!(*lock.lock().unwrap(), 1);
    });
}

/// Every signature of the contract, used as written there.
fn every_call() -> shmkit::Result<u64> {
    let lock: Lock<u64> = Lock::new(1)?;
    let bare: Lock = Lock::new(())?;
    let guard: LockGuard<'_, ()> = bare.lock()?;
    drop(guard);
    *lock.lock()? += 1;
    *lock.try_lock()? += 1;
    *lock.lock_timeout(LONG)? += 1;
    let region = Region::new(4096)?;
    let packed = Lock::new_in(&region, lock.clone().lock().map(|guard| *guard)?)?;
    let result: Result<LockGuard<'_, u64>, LockError<LockGuard<'_, u64>>> = packed.lock();
    Ok(*result?)
}

#[test]
fn every_signature_compiles_as_the_contract_writes_it() {
    assert_eq!(every_call().unwrap(), 4);
    fn shared<T: Clone + Send + Sync + std::fmt::Debug>() {}
    shared::<Lock<[u8; 100]>>();
    // No `Debug` on `G` is asked for, and the error converts, guard and all.
    struct Opaque;
    fn an_error<E: std::error::Error + Into<Error>>(_: &E) {}
    fn told(e: OwnerDied<Opaque>) -> shmkit::Result<Opaque> {
        an_error(&e);
        let Opaque = &*e;
        Ok(e.recover())
    }
    let _ = told as fn(_) -> _;
    let error: LockError<Opaque> = LockError::Timeout;
    an_error(&error);
    assert_eq!((format!("{error:?}"), error.to_string()), ("Timeout".into(), "timed out".into()));
    let lock = Lock::new(1u64).unwrap();
    kill(&holder(&lock, Stays));
    fn question(lock: &Lock<u64>) -> shmkit::Result<u64> {
        Ok(*lock.lock()?)
    }
    assert!(matches!(question(&lock), Err(Error::OwnerDied)));
}
