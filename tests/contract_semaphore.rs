//! Do semaphores do what the behaviour contract says, between processes, also when holders die?
//!
//! The ids at the end of the test names are the rows of the contract.

mod common;

use common::{LONG, fork, go_on, join, kill, park, reap, stop, unique};
use shmkit::{
    AcquireError, BoundedSemaphore, Error, OverRelease, Permit, Pipe, Process, Receiver, Region,
    RegionOptions, Semaphore, Sender, Value,
};
use std::time::{Duration, Instant};

/// Starts a process that acquires `permits` and keeps them until it is killed.
fn holder(semaphore: &Semaphore, permits: u32) -> Process {
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let child = Process::spawn(
        (semaphore.clone(), say, permits),
        |semaphore: Semaphore, say: Sender<()>, permits: u32| {
            let _held: Vec<_> = (0..permits).map(|_| semaphore.acquire().unwrap()).collect();
            say.send(()).unwrap();
            park()
        },
    );
    ready.recv_timeout(LONG).unwrap();
    child.unwrap()
}

/// Takes permits while there are any.
fn take_all(semaphore: &Semaphore) -> Vec<Permit<'_>> {
    std::iter::from_fn(|| semaphore.try_acquire().ok()).collect()
}

#[test]
fn the_count_goes_down_and_up_with_every_permit_and_release_x28() {
    let semaphore = Semaphore::new(2).unwrap();
    let first = semaphore.acquire().unwrap();
    assert_eq!(semaphore.value(), 1);
    let second = semaphore.acquire().unwrap();
    assert_eq!(semaphore.value(), 0);
    assert!(matches!(semaphore.try_acquire(), Err(AcquireError::WouldBlock)));
    assert_eq!(semaphore.value(), 0);
    drop(first);
    assert_eq!(semaphore.value(), 1);
    drop(second);
    assert_eq!(semaphore.value(), 2);
    semaphore.release(1).unwrap();
    assert_eq!(semaphore.value(), 3);
    semaphore.release(1).unwrap();
    assert_eq!(semaphore.value(), 4);
}

#[test]
fn a_bounded_semaphore_refuses_a_release_beyond_what_it_was_made_with_x28() {
    let semaphore = BoundedSemaphore::new(2).unwrap();
    semaphore.acquire().unwrap().forget();
    assert!(matches!(semaphore.release(2), Err(e) if e.bound() == 2));
    assert_eq!(semaphore.value(), 1);
    semaphore.release(1).unwrap();
    assert!(semaphore.release(1).is_err());
    assert!(semaphore.release(u32::MAX).is_err());
    semaphore.release(0).unwrap();
    assert_eq!((semaphore.value(), semaphore.bound()), (2, 2));
    // A permit whose place was filled meanwhile is dropped without harm.
    let permit = semaphore.acquire().unwrap();
    semaphore.release(1).unwrap();
    drop(permit);
    assert_eq!(semaphore.value(), 2);
}

#[test]
fn processes_that_release_too_much_are_refused_without_a_race_x28() {
    let semaphore = BoundedSemaphore::new(1000).unwrap();
    (0..1000).for_each(|_| semaphore.acquire().unwrap().forget());
    let children: Vec<_> = (0..4)
        .map(|_| {
            Process::spawn((semaphore.clone(),), |semaphore: BoundedSemaphore| {
                (0..500).filter(|_| semaphore.release(1).is_ok()).count()
            })
            .unwrap()
        })
        .collect();
    let released: usize = children.iter().map(|child| join(child).unwrap()).sum();
    assert_eq!((released, semaphore.value()), (1000, 1000));
}

#[test]
fn no_semaphore_has_more_permits_than_it_can_count_x28() {
    let most = (1 << 31) - 1;
    let semaphore = Semaphore::new(most).unwrap();
    assert_eq!((semaphore.value(), semaphore.bound()), (most, most));
    let refused: Result<(), OverRelease> = semaphore.release(1);
    assert_eq!(refused.unwrap_err().bound(), most);
    assert!(matches!(Semaphore::new(most + 1), Err(Error::InvalidArgument(_))));
    assert!(matches!(BoundedSemaphore::new(u32::MAX), Err(Error::InvalidArgument(_))));
    assert_eq!(Semaphore::new(0).unwrap().value(), 0);
}

#[test]
fn a_wait_without_end_of_time_or_for_a_while_ends_as_asked_x26() {
    let semaphore = Semaphore::new(0).unwrap();
    let start = Instant::now();
    assert!(matches!(semaphore.try_acquire(), Err(AcquireError::WouldBlock)));
    let zero = semaphore.acquire_timeout(Duration::ZERO);
    assert!(matches!(zero, Err(AcquireError::WouldBlock)));
    for timeout in [1, 60].map(Duration::from_millis) {
        let start = Instant::now();
        assert!(matches!(semaphore.acquire_timeout(timeout), Err(AcquireError::Timeout)));
        assert!(start.elapsed() >= timeout);
    }
    assert!(start.elapsed() < LONG);
    std::thread::scope(|scope| {
        let endless = scope.spawn(|| semaphore.acquire_timeout(Duration::MAX).unwrap().forget());
        let forever = scope.spawn(|| semaphore.acquire().unwrap().forget());
        semaphore.release(2).unwrap();
        endless.join().unwrap();
        forever.join().unwrap();
    });
    assert_eq!(semaphore.value(), 0);
}

/// What may be inside at once, and how many are.
fn visit(semaphore: &Semaphore, inside: &Value<u32>) {
    let permit = semaphore.acquire().unwrap();
    assert!(inside.fetch_add(1) < 3);
    std::thread::yield_now();
    inside.fetch_sub(1);
    drop(permit);
}

#[test]
fn never_more_than_so_many_threads_and_processes_are_inside() {
    let (semaphore, inside) = (Semaphore::new(3).unwrap(), Value::new(0u32).unwrap());
    let children: Vec<_> = (0..6)
        .map(|_| {
            Process::spawn(
                (semaphore.clone(), inside.clone()),
                |semaphore: Semaphore, inside: Value<u32>| {
                    std::thread::scope(|scope| {
                        for _ in 0..2 {
                            scope.spawn(|| (0..500).for_each(|_| visit(&semaphore, &inside)));
                        }
                    });
                },
            )
            .unwrap()
        })
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..500).for_each(|_| visit(&semaphore, &inside)));
        }
    });
    children.iter().for_each(|child| join(child).unwrap());
    assert_eq!((semaphore.value(), inside.get()), (3, 0));
}

#[test]
fn eight_processes_share_one_permit_and_all_come_to_their_end() {
    let semaphore = Semaphore::new(1).unwrap();
    let children: Vec<_> = (0..8)
        .map(|_| {
            Process::spawn((semaphore.clone(),), |semaphore: Semaphore| {
                (0..2000).for_each(|_| drop(semaphore.acquire().unwrap()));
            })
            .unwrap()
        })
        .collect();
    children.iter().for_each(|child| join(child).unwrap());
    assert_eq!(semaphore.value(), 1);
}

#[test]
fn a_release_by_anybody_lets_as_many_waiters_in() {
    let semaphore = Semaphore::new(0).unwrap();
    let (done, say) = Pipe::<u32>::simplex().unwrap();
    let waiters: Vec<_> = (0..5)
        .map(|_| {
            Process::spawn((semaphore.clone(),), |semaphore: Semaphore| {
                semaphore.acquire().unwrap().forget();
            })
            .unwrap()
        })
        .collect();
    let child =
        Process::spawn((semaphore.clone(), say), |semaphore: Semaphore, say: Sender<u32>| {
            semaphore.release(3).unwrap(); // it never had one
            say.send(semaphore.value()).unwrap();
        });
    assert!(done.recv_timeout(LONG).unwrap() <= 3);
    join(&child.unwrap()).unwrap();
    let ended = || waiters.iter().filter(|waiter| waiter.exitcode().is_some()).count();
    let start = Instant::now();
    while ended() < 3 {
        assert!(start.elapsed() < LONG, "only {} were let in", ended());
        std::thread::yield_now();
    }
    assert_eq!(semaphore.value(), 0);
    assert!(ended() == 3);
    semaphore.release(2).unwrap();
    waiters.iter().for_each(|waiter| join(waiter).unwrap());
    assert_eq!(semaphore.value(), 0);
}

#[test]
fn a_permit_may_be_given_back_by_another_thread() {
    let semaphore = Semaphore::new(1).unwrap();
    let permit = semaphore.acquire().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| semaphore.acquire_timeout(LONG).is_ok());
        scope.spawn(move || drop(permit));
        assert!(waiting.join().unwrap());
    });
    assert_eq!(semaphore.value(), 1);
}

#[test]
fn unrelated_processes_find_a_semaphore_by_its_name_and_kind() {
    let name = unique("semaphore");
    let semaphore = BoundedSemaphore::create(&name, 2).unwrap();
    let child = Process::spawn((name.clone(),), |name: String| {
        let Err(Error::TypeMismatch { found, .. }) = Semaphore::open(&name) else { panic!() };
        assert_eq!(found, "bounded semaphore");
        assert!(matches!(Semaphore::create(&name, 1), Err(Error::Exists)));
        let semaphore = BoundedSemaphore::open(&name).unwrap();
        semaphore.acquire().unwrap().forget();
        assert!(semaphore.release(2).is_err());
    });
    join(&child.unwrap()).unwrap();
    assert_eq!(semaphore.value(), 1);
    drop(semaphore);
    assert!(matches!(BoundedSemaphore::open(&name), Err(Error::NotFound)));
}

// ---- deaths ----

#[test]
fn the_permits_of_a_killed_holder_come_back_to_whoever_wants_them() {
    let semaphore = Semaphore::new(3).unwrap();
    let child = holder(&semaphore, 3);
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            Process::spawn((semaphore.clone(),), |semaphore: Semaphore| {
                semaphore.acquire_timeout(LONG).map(Permit::forget).is_ok()
            })
            .unwrap()
        })
        .collect();
    assert!(semaphore.try_acquire().is_err());
    kill(&child);
    assert!(waiters.iter().all(|waiter| join(waiter).unwrap()));
    assert_eq!((semaphore.value(), take_all(&semaphore).len()), (0, 0));

    semaphore.release(3).unwrap();
    kill(&holder(&semaphore, 2));
    assert_eq!(semaphore.value(), 1);
    assert_eq!(take_all(&semaphore).len(), 3);
    assert_eq!(semaphore.value(), 3);
}

#[test]
fn a_holder_that_exits_without_unwinding_counts_as_dead() {
    let semaphore = Semaphore::new(1).unwrap();
    let child = Process::spawn((semaphore.clone(),), |semaphore: Semaphore| {
        let _permit = semaphore.acquire().unwrap();
        std::process::exit(0)
    });
    let _: Result<(), _> = join(&child.unwrap());
    assert!(semaphore.acquire_timeout(LONG).is_ok());
}

#[test]
fn what_the_dead_released_stays_and_what_they_handed_off_is_nobodys() {
    let semaphore = Semaphore::new(2).unwrap();
    let child = Process::spawn((semaphore.clone(),), |semaphore: Semaphore| {
        let _held = semaphore.acquire().unwrap();
        semaphore.acquire().unwrap().forget();
        semaphore.release(5).unwrap();
        common::die()
    });
    assert!(join::<()>(&child.unwrap()).is_err());
    assert_eq!(semaphore.value(), 5);
    assert_eq!(take_all(&semaphore).len(), 6); // without the one that was handed off
    semaphore.release(1).unwrap();
    assert_eq!(take_all(&semaphore).len(), 7);
}

#[test]
fn a_stopped_holder_loses_nothing_and_a_stopped_waiter_keeps_nobody_waiting() {
    let semaphore = Semaphore::new(1).unwrap();
    let child = holder(&semaphore, 1);
    stop(&child);
    let late = semaphore.acquire_timeout(Duration::from_millis(200));
    assert!(matches!(late, Err(AcquireError::Timeout)));
    assert!(matches!(semaphore.try_acquire(), Err(AcquireError::WouldBlock)));
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let waiter =
        Process::spawn((semaphore.clone(), say), |semaphore: Semaphore, say: Sender<()>| {
            say.send(()).unwrap();
            semaphore.acquire_timeout(LONG).is_ok()
        })
        .unwrap();
    ready.recv_timeout(LONG).unwrap();
    stop(&waiter);
    go_on(&child);
    kill(&child);
    // A wake-up that the stopped one got is no permit.
    drop(semaphore.acquire_timeout(LONG).unwrap());
    go_on(&waiter);
    assert!(join(&waiter).unwrap());
    assert_eq!(take_all(&semaphore).len(), 1);
}

#[test]
fn a_slot_used_again_does_not_swallow_the_permits_of_its_last_holder() {
    let region = RegionOptions::new(1 << 16).participants(2).anonymous().unwrap();
    let semaphores: Vec<_> = (0..20).map(|_| Semaphore::new_in(&region, 2).unwrap()).collect();
    for semaphore in &semaphores {
        kill(&holder(semaphore, 2)); // each takes over the slot of the one before
    }
    for semaphore in &semaphores {
        assert_eq!(take_all(semaphore).len(), 2);
        kill(&holder(semaphore, 1));
        let child = Process::spawn((semaphore.clone(),), |semaphore: Semaphore| {
            // In the slot, and with the record, of the killed one.
            take_all(&semaphore).len()
        });
        assert_eq!(join(&child.unwrap()).unwrap(), 2);
        assert_eq!(take_all(semaphore).len(), 2);
    }
}

#[test]
fn the_permits_of_a_killed_parent_come_back_to_its_child() {
    let (from_child, say) = Pipe::<i64>::simplex().unwrap();
    let (go, wait) = Pipe::<()>::simplex().map(|(wait, go)| (go, wait)).unwrap();
    let parent = Process::spawn((say, wait), |say: Sender<i64>, wait: Receiver<()>| {
        let semaphore = Semaphore::new(1).unwrap();
        let _permit = semaphore.acquire().unwrap();
        let child = Process::spawn(
            (semaphore.clone(), say, wait),
            |semaphore: Semaphore, say: Sender<i64>, wait: Receiver<()>| {
                common::be_silent();
                say.send(i64::from(semaphore.value())).unwrap();
                wait.recv().unwrap();
                let permit = semaphore.acquire_timeout(LONG).unwrap();
                say.send(i64::from(semaphore.value())).unwrap();
                drop(permit);
                say.send(i64::from(semaphore.value())).unwrap();
            },
        );
        let _child = child.unwrap();
        park()
    });
    assert_eq!(from_child.recv_timeout(LONG).unwrap(), 0);
    kill::<()>(&parent.unwrap());
    go.send(()).unwrap();
    assert_eq!(from_child.recv_timeout(LONG).unwrap(), 0);
    assert_eq!(from_child.recv_timeout(LONG).unwrap(), 1);
}

// ---- forks: each in a process of its own, which has one thread ----

fn run(body: fn()) {
    join(&Process::spawn((), body).unwrap()).unwrap();
}

#[test]
fn a_forked_child_uses_the_semaphore_as_another_process() {
    run(|| {
        let semaphore = Semaphore::new(2).unwrap();
        let permit = semaphore.acquire().unwrap();
        let child = fork(|| {
            std::mem::forget(semaphore.acquire().unwrap());
            assert!(semaphore.try_acquire().is_err());
        });
        reap(child);
        assert_eq!(take_all(&semaphore).len(), 1);
        drop(permit);
        let children: Vec<_> = (0..3)
            .map(|_| fork(|| (0..500).for_each(|_| drop(semaphore.acquire().unwrap()))))
            .collect();
        (0..500).for_each(|_| drop(semaphore.acquire().unwrap()));
        children.into_iter().for_each(reap);
        assert_eq!(semaphore.value(), 2);
    });
}

#[test]
fn a_forked_copy_of_a_permit_neither_gives_back_nor_hands_off() {
    run(|| {
        let semaphore = Semaphore::new(3).unwrap();
        let (mut first, mut second) = (semaphore.acquire().ok(), semaphore.acquire().ok());
        reap(fork(|| {
            drop(first.take());
            second.take().unwrap().forget();
            assert_eq!(semaphore.value(), 1);
        }));
        assert_eq!(semaphore.value(), 1);
        drop((first, second));
        assert_eq!(semaphore.value(), 3);
    });
}

#[test]
fn a_forked_child_that_finds_no_slot_is_told_but_may_release() {
    run(|| {
        let region = RegionOptions::new(4096).participants(1).anonymous().unwrap();
        let semaphore = Semaphore::new_in(&region, 1).unwrap();
        reap(fork(|| {
            match semaphore.acquire() {
                Err(e @ AcquireError::Os(_)) => {
                    assert!(e.to_string().contains("participant"), "{e}")
                }
                other => panic!("{other:?}"),
            }
            semaphore.release(1).unwrap();
        }));
        assert_eq!(semaphore.value(), 2);
    });
}

/// Every signature of the contract, used as written there.
fn every_call() -> shmkit::Result<u32> {
    let semaphore: Semaphore = Semaphore::new(4)?;
    let permit: Permit<'_> = semaphore.acquire()?;
    semaphore.try_acquire()?.forget();
    drop(semaphore.acquire_timeout(LONG)?);
    drop(permit);
    semaphore.release(1)?;
    let region = Region::new(1 << 16)?;
    let packed = BoundedSemaphore::new_in(&region, semaphore.value())?;
    let acquired: Result<Permit<'_>, AcquireError> = packed.acquire();
    let released: Result<(), OverRelease> = packed.release(1);
    released?;
    drop(acquired?);
    Ok(packed.value())
}

#[test]
fn every_signature_compiles_as_the_contract_writes_it() {
    assert_eq!(every_call().unwrap(), 4);
    fn shared<T: Clone + Send + Sync + std::fmt::Debug>() {}
    shared::<Semaphore>();
    shared::<BoundedSemaphore>();
    fn sent<T: Send + std::fmt::Debug>() {}
    sent::<Permit<'_>>();
    fn an_error<E: std::error::Error + Into<Error>>(_: &E) {}
    let semaphore = BoundedSemaphore::new(0).unwrap();
    an_error(&semaphore.try_acquire().unwrap_err());
    an_error(&semaphore.release(1).unwrap_err());
    let question = || -> shmkit::Result<()> { Ok(semaphore.release(1)?) };
    assert!(matches!(question(), Err(Error::OverRelease)));
    assert_eq!(format!("{semaphore:?}"), "BoundedSemaphore { value: 0, bound: 0 }");
}
