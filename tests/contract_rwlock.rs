//! Does the lock for readers and writers do what its page says, between processes, also when they die?

mod common;

use common::{LONG, fork, go_on, join, kill, park, reap, stop, unique};
use shmkit::{
    Error, LockError, Pipe, Process, Receiver, Region, RegionOptions, RwLock, RwLockReadGuard,
    RwLockWriteGuard, Sender, Value,
};
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(20);

/// Starts a process that holds the lock to read until it is killed.
fn reader(lock: &RwLock<u64>) -> Process {
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let child = Process::spawn((lock.clone(), say), |lock: RwLock<u64>, say: Sender<()>| {
        let _guard = lock.read().unwrap();
        say.send(()).unwrap();
        park()
    });
    ready.recv_timeout(LONG).unwrap();
    child.unwrap()
}

/// Starts a process that holds the lock to write, with an edit that is never published.
fn writer(lock: &RwLock<u64>) -> Process {
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let child = Process::spawn((lock.clone(), say), |lock: RwLock<u64>, say: Sender<()>| {
        let mut guard = lock.write().unwrap();
        *guard += 1000;
        say.send(()).unwrap();
        park()
    });
    ready.recv_timeout(LONG).unwrap();
    child.unwrap()
}

/// Starts a process that waits for its turn to write.
fn waiting_writer(lock: &RwLock<u64>) -> Process<u64> {
    let child = Process::spawn((lock.clone(),), |lock: RwLock<u64>| {
        let mut guard = lock.write().unwrap();
        *guard += 1;
        *guard
    });
    // It waits once it keeps newcomers out.
    while lock.try_read().is_ok() {
        std::thread::yield_now();
    }
    child.unwrap()
}

#[test]
fn readers_of_many_processes_are_inside_together_and_a_writer_alone() {
    let lock = RwLock::new(7u64).unwrap();
    let readers = [(); 3].map(|()| reader(&lock));
    assert_eq!(*lock.read().unwrap(), 7);
    assert!(matches!(lock.try_write(), Err(LockError::WouldBlock)));
    assert!(matches!(lock.write_timeout(Duration::ZERO), Err(LockError::WouldBlock)));
    assert!(matches!(lock.write_timeout(SHORT), Err(LockError::Timeout)));
    assert_eq!(*lock.try_read().unwrap(), 7, "who gave up keeps nobody out");
    readers.iter().for_each(kill);
    let writer = writer(&lock);
    assert!(matches!(lock.try_read(), Err(LockError::WouldBlock)));
    assert!(matches!(lock.read_timeout(Duration::ZERO), Err(LockError::WouldBlock)));
    assert!(matches!(lock.read_timeout(SHORT), Err(LockError::Timeout)));
    assert!(matches!(lock.try_write(), Err(LockError::WouldBlock)));
    assert!(matches!(lock.write_timeout(SHORT), Err(LockError::Timeout)));
    kill(&writer);
}

#[test]
fn no_reader_sees_half_of_what_a_writer_does() {
    let lock = RwLock::new([0u64; 5]).unwrap();
    let children: Vec<_> = (0..4)
        .map(|number| {
            Process::spawn((lock.clone(), number), |lock: RwLock<[u64; 5]>, number: u32| {
                std::thread::scope(|scope| {
                    for _ in 0..2 {
                        scope.spawn(|| {
                            for round in 0..1000 {
                                if round % 10 == number {
                                    let mut all = lock.write().unwrap();
                                    all.iter_mut().for_each(|one| *one += 1);
                                } else {
                                    let all = lock.read().unwrap();
                                    assert!(all.iter().all(|one| *one == all[0]));
                                }
                            }
                        });
                    }
                });
            })
            .unwrap()
        })
        .collect();
    children.iter().for_each(|child| join(child).unwrap());
    assert_eq!(*lock.read().unwrap(), [800; 5]);
}

#[test]
fn eight_processes_that_read_all_the_time_do_not_starve_a_writer_nor_it_them() {
    let lock = RwLock::new(0u64).unwrap();
    let readers: Vec<_> = (0..8)
        .map(|_| {
            Process::spawn((lock.clone(),), |lock: RwLock<u64>| {
                let mut last = 0;
                while last < 200 {
                    let now = *lock.read().unwrap();
                    assert!(now >= last);
                    last = now;
                }
            })
            .unwrap()
        })
        .collect();
    for _ in 0..200 {
        *lock.write_timeout(LONG).unwrap() += 1;
    }
    readers.iter().for_each(|child| join(child).unwrap());
}

#[test]
fn readers_come_in_although_six_processes_write_all_the_time() {
    let (lock, readers_left) = (RwLock::new(0u64).unwrap(), Value::new(2u32).unwrap());
    let writers: Vec<_> = (0..6)
        .map(|_| {
            Process::spawn(
                (lock.clone(), readers_left.clone()),
                |lock: RwLock<u64>, readers_left: Value<u32>| {
                    while readers_left.get() > 0 {
                        *lock.write().unwrap() += 1;
                    }
                },
            )
            .unwrap()
        })
        .collect();
    let readers: Vec<_> = (0..2)
        .map(|_| {
            Process::spawn(
                (lock.clone(), readers_left.clone()),
                |lock: RwLock<u64>, readers_left: Value<u32>| {
                    let mut last = 0;
                    for _ in 0..100 {
                        let now = *lock.read_timeout(LONG).unwrap();
                        assert!(now >= last);
                        last = now;
                    }
                    readers_left.fetch_sub(1);
                },
            )
            .unwrap()
        })
        .collect();
    readers.iter().for_each(|child| join(child).unwrap());
    writers.iter().for_each(|child| join(child).unwrap());
}

#[test]
fn a_waiting_writer_keeps_newcomers_out_but_not_who_reads_already() {
    let lock = RwLock::new(1u64).unwrap();
    let other = reader(&lock);
    let guard = lock.read().unwrap();
    let writer = {
        let (again, held) = (lock.clone(), lock.clone());
        let child = Process::spawn((lock.clone(),), |lock: RwLock<u64>| *lock.write().unwrap());
        // Newcomers, here another thread, come in until the writer waits.
        while std::thread::scope(|s| s.spawn(|| held.try_read().is_ok()).join().unwrap()) {
            std::thread::yield_now();
        }
        assert_eq!(*again.try_read().expect("this thread reads already"), 1);
        assert_eq!(*again.read().unwrap(), 1);
        child.unwrap()
    };
    kill(&other);
    drop(guard);
    assert_eq!(join(&writer).unwrap(), 1);
    assert!(lock.try_write().is_ok());
}

#[test]
fn waiting_for_oneself_is_told_at_once() {
    let lock = RwLock::new(1u64).unwrap();
    let same = lock.clone();
    let guard = lock.read().unwrap();
    assert!(matches!(same.try_write(), Err(LockError::WouldDeadlock)));
    assert!(matches!(same.write(), Err(LockError::WouldDeadlock)));
    assert!(matches!(same.write_timeout(LONG), Err(LockError::WouldDeadlock)));
    let second = same.read().unwrap();
    drop(guard);
    assert!(matches!(same.write(), Err(LockError::WouldDeadlock)));
    drop(second);
    let guard = same.write().unwrap();
    assert!(matches!(lock.try_read(), Err(LockError::WouldDeadlock)));
    assert!(matches!(lock.read(), Err(LockError::WouldDeadlock)));
    assert!(matches!(lock.write(), Err(LockError::WouldDeadlock)));
    drop(guard);
    // Another lock is another matter, and so is another thread.
    let _guard = lock.read().unwrap();
    assert!(RwLock::new(1u64).unwrap().try_write().is_ok());
    std::thread::scope(|s| {
        s.spawn(|| assert!(matches!(lock.try_write(), Err(LockError::WouldBlock))));
    });
}

#[test]
fn a_dropped_guard_lets_the_next_in_whoever_that_is() {
    let lock = RwLock::new(0u64).unwrap();
    let guard = lock.write().unwrap();
    std::thread::scope(|s| {
        let readers = [(); 3].map(|()| s.spawn(|| *lock.read_timeout(LONG).unwrap()));
        let writer = s.spawn(|| *lock.write_timeout(LONG).unwrap() += 1);
        drop(guard);
        assert!(readers.into_iter().all(|reader| reader.join().unwrap() <= 1));
        writer.join().unwrap();
    });
    assert_eq!(*lock.read().unwrap(), 1);
}

#[test]
fn unrelated_processes_find_a_lock_by_its_name() {
    let name = unique("rwlock");
    let lock = RwLock::create(&name, 1u64).unwrap();
    let child = Process::spawn((name.clone(),), |name: String| {
        assert!(matches!(RwLock::<i64>::open(&name), Err(Error::TypeMismatch { .. })));
        assert!(matches!(shmkit::Lock::<u64>::open(&name), Err(Error::TypeMismatch { .. })));
        assert!(matches!(RwLock::create(&name, 0u64), Err(Error::Exists)));
        *RwLock::<u64>::open(&name).unwrap().write().unwrap() += 1;
    });
    join(&child.unwrap()).unwrap();
    assert_eq!(*lock.read().unwrap(), 2);
    drop(lock);
    assert!(matches!(RwLock::<u64>::open(&name), Err(Error::NotFound)));
}

// ---- deaths ----

#[test]
fn a_killed_reader_is_as_if_it_had_left() {
    let lock = RwLock::new(7u64).unwrap();
    let readers = [reader(&lock), reader(&lock)];
    let writer = waiting_writer(&lock);
    readers.iter().for_each(kill);
    assert_eq!(join(&writer).unwrap(), 8);
    kill(&reader(&lock));
    assert_eq!(*lock.try_write().unwrap(), 8);
}

#[test]
fn a_killed_writer_is_told_to_all_until_a_writer_recovers_and_its_edit_is_gone() {
    let lock = RwLock::new(7u64).unwrap();
    kill(&writer(&lock));
    for _ in 0..2 {
        assert!(matches!(lock.try_read(), Err(LockError::OwnerDied(died)) if **died == 7));
        let Err(LockError::OwnerDied(died)) = lock.read_timeout(LONG) else { panic!("clean") };
        assert_eq!(*died.recover(), 7); // a reader recovers nothing
        // Dropped unrecovered.
        assert!(matches!(lock.write_timeout(LONG), Err(LockError::OwnerDied(_))));
    }
    let Err(LockError::OwnerDied(died)) = lock.try_write() else { panic!("clean") };
    *died.recover() = 8;
    assert_eq!(*lock.read().unwrap(), 8);
    assert_eq!(*lock.write().unwrap(), 8);
}

#[test]
fn readers_and_writers_that_wait_for_a_killed_writer_go_on() {
    let lock = RwLock::new(7u64).unwrap();
    let child = writer(&lock);
    let waiters: Vec<_> = (0..4)
        .map(|n| {
            Process::spawn((lock.clone(), n % 2 == 0), |lock: RwLock<u64>, reads: bool| {
                if reads {
                    match lock.read_timeout(LONG) {
                        Ok(guard) => *guard,
                        Err(LockError::OwnerDied(died)) => **died,
                        Err(other) => panic!("{other}"),
                    }
                } else {
                    match lock.write_timeout(LONG) {
                        Ok(guard) => *guard,
                        Err(LockError::OwnerDied(died)) => *died.recover(),
                        Err(other) => panic!("{other}"),
                    }
                }
            })
            .unwrap()
        })
        .collect();
    kill(&child);
    assert!(waiters.iter().all(|waiter| join(waiter).unwrap() == 7));
    assert_eq!(*lock.try_write().unwrap(), 7);
}

#[test]
fn a_writer_killed_while_it_waits_lets_readers_in_again() {
    let lock = RwLock::new(7u64).unwrap();
    let first = reader(&lock);
    let writer = waiting_writer(&lock);
    writer.kill().unwrap();
    assert!(join(&writer).is_err());
    assert!(matches!(lock.read_timeout(LONG), Err(LockError::OwnerDied(_))));
    kill(&first);
    assert!(matches!(lock.try_write(), Err(LockError::OwnerDied(_))));
}

#[test]
fn a_panic_of_a_writer_is_told_and_that_of_a_reader_is_not() {
    let lock = RwLock::new(7u64).unwrap();
    let caught = std::panic::catch_unwind(|| {
        let _guard = lock.read().unwrap();
        panic!("as a reader");
    });
    assert!(caught.is_err());
    assert_eq!(*lock.try_write().unwrap(), 7);
    let caught = std::panic::catch_unwind(|| {
        let mut guard = lock.write().unwrap();
        *guard = 8;
        panic!("as a writer");
    });
    assert!(caught.is_err());
    assert!(matches!(lock.read(), Err(LockError::OwnerDied(died)) if **died == 7));
}

#[test]
fn stopped_readers_and_writers_are_not_dead_ones() {
    let lock = RwLock::new(7u64).unwrap();
    let child = reader(&lock);
    stop(&child);
    let patience = Duration::from_millis(200);
    assert!(matches!(lock.write_timeout(patience), Err(LockError::Timeout)));
    go_on(&child);
    kill(&child);
    let child = writer(&lock);
    stop(&child);
    assert!(matches!(lock.read_timeout(patience), Err(LockError::Timeout)));
    assert!(matches!(lock.write_timeout(patience), Err(LockError::Timeout)));
    go_on(&child);
    kill(&child);
    assert!(matches!(lock.read_timeout(LONG), Err(LockError::OwnerDied(_))));
}

#[test]
fn a_slot_used_again_hides_no_death_and_keeps_no_dead_reader() {
    let region = RegionOptions::new(1 << 16).participants(2).anonymous().unwrap();
    let locks: Vec<_> = (0..20).map(|n| RwLock::new_in(&region, n).unwrap()).collect();
    for (n, lock) in locks.iter().enumerate() {
        // Each takes over the slot of the one before.
        kill(&if n % 2 == 0 { reader(lock) } else { writer(lock) });
    }
    for (n, lock) in locks.iter().enumerate() {
        match lock.write_timeout(LONG) {
            Ok(guard) => assert_eq!((*guard, n % 2), (n as u64, 0)),
            Err(LockError::OwnerDied(died)) => assert_eq!((**died, n % 2), (n as u64, 1)),
            Err(other) => panic!("{other}"),
        }
    }
    // A reader in the slot of a dead one counts once, and leaves for good.
    let lock = RwLock::new_in(&region, 7u64).unwrap();
    kill(&reader(&lock));
    let child = Process::spawn((lock.clone(),), |lock: RwLock<u64>| *lock.read().unwrap());
    assert_eq!(join(&child.unwrap()).unwrap(), 7);
    assert!(lock.try_write().is_ok());
}

#[test]
fn the_death_of_a_parent_leaves_the_lock_to_its_child() {
    let (from_child, say) = Pipe::<u64>::simplex().unwrap();
    let (go, wait) = Pipe::<()>::simplex().map(|(wait, go)| (go, wait)).unwrap();
    let parent = Process::spawn((say, wait), |say: Sender<u64>, wait: Receiver<()>| {
        let lock = RwLock::new(7u64).unwrap();
        let _guard = lock.read().unwrap();
        let child = Process::spawn(
            (lock.clone(), say, wait),
            |lock: RwLock<u64>, say: Sender<u64>, wait: Receiver<()>| {
                common::be_silent();
                say.send(*lock.read().unwrap()).unwrap();
                wait.recv().unwrap();
                *lock.write_timeout(LONG).unwrap() += 1;
                say.send(*lock.read().unwrap()).unwrap();
            },
        );
        let _child = child.unwrap();
        park()
    });
    assert_eq!(from_child.recv_timeout(LONG).unwrap(), 7);
    kill::<()>(&parent.unwrap());
    go.send(()).unwrap();
    assert_eq!(from_child.recv_timeout(LONG).unwrap(), 8);
}

// ---- forks: each in a process of its own, which has one thread ----

fn run(body: fn()) {
    join(&Process::spawn((), body).unwrap()).unwrap();
}

#[test]
fn a_forked_child_is_another_process_and_its_copies_of_guards_are_nothing() {
    run(|| {
        let lock = RwLock::new(1u64).unwrap();
        let mut read = lock.read().ok();
        reap(fork(|| {
            // The child holds nothing: it would not wait for itself, and it cannot read again.
            assert!(matches!(lock.try_write(), Err(LockError::WouldBlock)));
            drop(read.take());
            assert!(matches!(lock.try_write(), Err(LockError::WouldBlock)));
            drop(lock.read().unwrap());
        }));
        assert!(matches!(lock.try_write(), Err(LockError::WouldDeadlock)));
        drop(read);
        let mut write = lock.write().ok();
        reap(fork(|| {
            let mut copy = write.take().unwrap();
            *copy = 99;
            drop(copy);
            assert!(matches!(lock.try_read(), Err(LockError::WouldBlock)));
        }));
        drop(write);
        assert_eq!(*lock.read().unwrap(), 1);
        reap(fork(|| std::mem::forget(lock.read().unwrap())));
        assert!(lock.try_write().is_ok());
        reap(fork(|| std::mem::forget(lock.write().unwrap())));
        assert!(matches!(lock.try_read(), Err(LockError::OwnerDied(_))));
    });
}

#[test]
fn a_forked_child_that_finds_no_slot_is_told() {
    run(|| {
        let region = RegionOptions::new(4096).participants(1).anonymous().unwrap();
        let lock = RwLock::new_in(&region, 1u64).unwrap();
        reap(fork(|| {
            assert!(matches!(lock.read(), Err(LockError::Os(_))));
            assert!(matches!(lock.write(), Err(LockError::Os(_))));
        }));
        assert_eq!(*lock.read().unwrap(), 1);
    });
}

/// Every signature, used as the page writes it.
fn every_call() -> shmkit::Result<u64> {
    let lock: RwLock<u64> = RwLock::new(1)?;
    let bare: RwLock = RwLock::new(())?;
    drop((bare.read()?, bare.read()?));
    let guard: RwLockReadGuard<'_, u64> = lock.read()?;
    drop((guard, lock.try_read()?, lock.read_timeout(LONG)?));
    let guard: RwLockWriteGuard<'_, u64> = lock.write()?;
    drop(guard);
    *lock.try_write()? += 1;
    *lock.write_timeout(LONG)? += 1;
    let region = Region::new(1 << 16)?;
    let packed = RwLock::new_in(&region, *lock.read()?)?;
    let value = *packed.write()?;
    Ok(value)
}

#[test]
fn every_signature_compiles_as_the_page_writes_it() {
    assert_eq!(every_call().unwrap(), 3);
    fn shared<T: Clone + Send + Sync + std::fmt::Debug>() {}
    shared::<RwLock<[u8; 100]>>();
}
