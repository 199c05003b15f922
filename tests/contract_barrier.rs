//! Do barriers do what the behaviour contract says, between processes, also when parties die?
//!
//! The ids at the end of the test names are the rows of the contract.

mod common;

use common::{LONG, fork, go_on, join, kill, park, reap, settle, stop, unique};
use shmkit::{
    Barrier, BrokenBarrier, Error, Pipe, Process, ProcessError, Region, RegionOptions, Sender,
    Value,
};
use std::time::{Duration, Instant};

/// An answer of a wait, as it can be sent.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
enum Told {
    Met(u32),
    Timeout,
    Aborted,
    Reset,
    PartyDied,
    ActionPanicked,
}
use Told::{Aborted, ActionPanicked, Met, PartyDied};

fn told(answer: Result<u32, BrokenBarrier>) -> Told {
    match answer {
        Ok(index) => Met(index),
        Err(BrokenBarrier::Timeout) => Told::Timeout,
        Err(BrokenBarrier::Aborted) => Aborted,
        Err(BrokenBarrier::Reset) => Told::Reset,
        Err(BrokenBarrier::PartyDied) => PartyDied,
        Err(BrokenBarrier::ActionPanicked) => ActionPanicked,
        Err(other) => panic!("{other:?}"),
    }
}

/// Starts a process that waits once and says what it was told.
fn party(barrier: &Barrier) -> Process<Told> {
    let child =
        Process::spawn((barrier.clone(),), |barrier: Barrier| told(barrier.wait_timeout(LONG)));
    child.unwrap()
}

/// Waits until so many parties wait.
fn await_waiting(barrier: &Barrier, parties: u32) {
    let start = Instant::now();
    while barrier.waiting() != parties {
        assert!(!barrier.is_broken() && start.elapsed() < LONG, "{barrier:?}");
        std::thread::yield_now();
    }
}

fn answers(children: &[Process<Told>]) -> Vec<Told> {
    let mut answers: Vec<_> = children.iter().map(|child| join(child).unwrap()).collect();
    answers.sort();
    answers
}

// ---- rounds ----

#[test]
fn each_party_gets_its_own_index_and_one_gets_0_test_wait_return() {
    let barrier = Barrier::new(6).unwrap();
    let children: Vec<_> = (0..5).map(|_| party(&barrier)).collect();
    await_waiting(&barrier, 5);
    assert_eq!(told(barrier.wait()), Met(5));
    assert_eq!(answers(&children), (0..5).map(Met).collect::<Vec<_>>());
    assert_eq!((barrier.waiting(), barrier.is_broken(), barrier.parties()), (0, false, 6));
}

#[test]
fn the_order_of_arrival_is_the_index_x31() {
    let barrier = Barrier::new(4).unwrap();
    let children: Vec<_> = (0..3)
        .map(|n| {
            let child = party(&barrier);
            await_waiting(&barrier, n + 1);
            child
        })
        .collect();
    assert_eq!(told(barrier.wait()), Met(3));
    for (n, child) in children.iter().enumerate() {
        assert_eq!(join(child).unwrap(), Met(n as u32));
    }
}

/// Passes and counts: nobody is a round ahead of anybody.
fn lockstep(barrier: &Barrier, counts: &[Value<u64>; 2], rounds: u64) {
    let parties = u64::from(barrier.parties());
    for round in 1..=rounds {
        counts[0].fetch_add(1);
        barrier.wait_timeout(LONG).unwrap();
        assert_eq!(counts[0].get(), round * parties);
        counts[1].fetch_add(1);
        barrier.wait_timeout(LONG).unwrap();
        assert_eq!(counts[1].get(), round * parties);
    }
}

fn lockstep_of(processes: u32, threads: u32, rounds: u64) {
    let barrier = Barrier::new(processes + threads).unwrap();
    let counts = [(); 2].map(|()| Value::new(0u64).unwrap());
    let children: Vec<_> = (0..processes)
        .map(|_| {
            let args = (barrier.clone(), counts.clone(), rounds);
            Process::spawn(args, |barrier: Barrier, counts: [Value<u64>; 2], rounds: u64| {
                lockstep(&barrier, &counts, rounds)
            })
            .unwrap()
        })
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| lockstep(&barrier, &counts, rounds));
        }
    });
    children.iter().for_each(|child| join(child).unwrap());
    assert_eq!(barrier.waiting(), 0);
}

#[test]
fn parties_go_in_lockstep_test_barrier_10() {
    lockstep_of(5, 0, 10);
}

#[test]
fn threads_and_processes_go_in_lockstep() {
    lockstep_of(3, 3, 200);
}

#[test]
fn a_thousand_passes_of_five_processes_test_thousand() {
    lockstep_of(5, 0, 500); // two passes a round
}

#[test]
fn more_users_than_parties_meet_in_pairs() {
    let barrier = Barrier::new(2).unwrap();
    let rounds = Value::new(0u64).unwrap();
    let children: Vec<_> = (0..4)
        .map(|_| {
            Process::spawn((barrier.clone(), rounds.clone()), |barrier: Barrier, rounds| {
                let rounds: Value<u64> = rounds;
                let mut counts = [0u64; 2];
                loop {
                    match told(barrier.wait_timeout(LONG)) {
                        Met(index) => counts[index as usize] += 1,
                        Aborted => return counts,
                        other => panic!("{other:?}"),
                    }
                    if rounds.fetch_add(1) > 2000 {
                        barrier.abort();
                    }
                }
            })
            .unwrap()
        })
        .collect();
    let counts: Vec<_> = children.iter().map(|child| join(child).unwrap()).collect();
    let [firsts, lasts] = [0, 1].map(|n| counts.iter().map(|count| count[n]).sum::<u64>());
    assert_eq!(firsts, lasts, "{counts:?}");
    assert!(firsts > 1000);
}

#[test]
fn a_barrier_of_one_never_waits() {
    let barrier = Barrier::new(1).unwrap();
    let mut runs = 0;
    for _ in 0..10 {
        assert_eq!(told(barrier.wait_with(|| runs += 1)), Met(0));
    }
    assert_eq!(runs, 10);
}

// ---- actions ----

#[test]
fn the_action_runs_once_a_round_before_anybody_goes_on_test_action() {
    let barrier = Barrier::new(4).unwrap();
    let count = Value::new(0u64).unwrap();
    let children: Vec<_> = (0..4)
        .map(|_| {
            Process::spawn(
                (barrier.clone(), count.clone()),
                |barrier: Barrier, count: Value<u64>| {
                    for round in 1..=20 {
                        let action = || assert_eq!(count.fetch_add(1) + 1, round);
                        barrier.wait_with_timeout(action, LONG).unwrap();
                        assert_eq!(count.get(), round);
                        barrier.wait_timeout(LONG).unwrap();
                    }
                },
            )
            .unwrap()
        })
        .collect();
    children.iter().for_each(|child| join(child).unwrap());
    assert_eq!(count.get(), 20);
}

#[test]
fn a_panic_of_the_action_breaks_the_barrier_x31() {
    let barrier = Barrier::new(3).unwrap();
    let children = [party(&barrier), party(&barrier)];
    await_waiting(&barrier, 2);
    let caught = std::panic::catch_unwind(|| barrier.wait_with(|| panic!("on purpose")));
    assert!(caught.is_err());
    assert_eq!(answers(&children), [ActionPanicked; 2]);
    assert_eq!(told(barrier.wait()), ActionPanicked);
}

#[test]
fn a_party_that_dies_in_its_action_breaks_the_barrier() {
    let barrier = Barrier::new(3).unwrap();
    let children = [party(&barrier), party(&barrier)];
    await_waiting(&barrier, 2);
    let last = Process::spawn((barrier.clone(),), |barrier: Barrier| {
        let _ = barrier.wait_with(|| common::die());
    });
    assert!(join(&last.unwrap()).is_err());
    assert_eq!(answers(&children), [PartyDied; 2]);
    assert!(barrier.is_broken());
}

// ---- breaking ----

#[test]
fn one_who_is_late_breaks_it_for_all_test_timeout() {
    let barrier = Barrier::new(4).unwrap();
    let children = [party(&barrier), party(&barrier)];
    await_waiting(&barrier, 2);
    assert_eq!(told(barrier.wait_timeout(Duration::from_millis(20))), Told::Timeout);
    assert_eq!(answers(&children), [Told::Timeout; 2]);
    assert!(barrier.is_broken());
    assert_eq!(told(barrier.wait()), Told::Timeout);
    assert_eq!(barrier.waiting(), 0);
}

#[test]
fn an_abort_breaks_it_for_all_but_the_one_test_abort() {
    let barrier = Barrier::new(5).unwrap();
    let children: Vec<_> = (0..4).map(|_| party(&barrier)).collect();
    await_waiting(&barrier, 4);
    let child = Process::spawn((barrier.clone(),), |barrier: Barrier| barrier.abort());
    join(&child.unwrap()).unwrap();
    assert_eq!(answers(&children), [Aborted; 4]);
    assert!(barrier.is_broken());
    // Until it is reset.
    assert_eq!(told(barrier.wait()), Aborted);
    barrier.abort();
    assert_eq!(told(barrier.wait()), Aborted);
    barrier.reset();
    assert!(!barrier.is_broken());
    let children: Vec<_> = (0..4).map(|_| party(&barrier)).collect();
    await_waiting(&barrier, 4);
    assert_eq!(told(barrier.wait()), Met(4));
    assert_eq!(answers(&children), [Met(0), Met(1), Met(2), Met(3)]);
}

#[test]
fn a_reset_breaks_the_wait_and_leaves_it_usable_test_reset() {
    let barrier = Barrier::new(4).unwrap();
    let children: Vec<_> = (0..3).map(|_| party(&barrier)).collect();
    await_waiting(&barrier, 3);
    barrier.reset();
    assert_eq!(answers(&children), [Told::Reset; 3]);
    assert!(!barrier.is_broken());
    let children: Vec<_> = (0..3).map(|_| party(&barrier)).collect();
    await_waiting(&barrier, 3);
    assert_eq!(told(barrier.wait()), Met(3));
    assert_eq!(answers(&children), [Met(0), Met(1), Met(2)]);
}

#[test]
fn parties_that_were_stopped_through_a_reset_and_a_round_are_told_the_truth() {
    let barrier = Barrier::new(2).unwrap();
    let (first, second) = (party(&barrier), Barrier::clone(&barrier));
    await_waiting(&barrier, 1);
    settle(first.pid());
    stop(&first);
    assert_eq!(told(second.wait()), Met(1)); // completes the round of the stopped one
    second.abort();
    second.reset();
    go_on(&first);
    assert_eq!(join(&first).unwrap(), Met(0));
    let first = party(&barrier);
    await_waiting(&barrier, 1);
    settle(first.pid());
    stop(&first);
    second.reset();
    std::thread::scope(|scope| {
        let pair = scope.spawn(|| told(second.wait()));
        assert_ne!(told(barrier.wait()), pair.join().unwrap());
    });
    go_on(&first);
    assert_eq!(join(&first).unwrap(), Told::Reset);
}

#[test]
fn no_parties_are_refused() {
    assert!(matches!(Barrier::new(0), Err(Error::InvalidArgument(_))));
    assert!(matches!(Barrier::new(65536), Err(Error::InvalidArgument(_))));
    assert_eq!(Barrier::new(65535).unwrap().parties(), 65535);
}

// ---- deaths ----

#[test]
fn a_party_killed_in_its_wait_breaks_it_for_all() {
    let barrier = Barrier::new(4).unwrap();
    let (dead, alive) = (party(&barrier), party(&barrier));
    await_waiting(&barrier, 2);
    kill(&dead);
    assert_eq!(join(&alive).unwrap(), PartyDied);
    assert_eq!(told(barrier.wait()), PartyDied);
    assert!(barrier.is_broken());
    assert_eq!(barrier.waiting(), 0);
}

#[test]
fn the_last_party_finds_that_a_sleeper_was_killed_before_it() {
    let barrier = Barrier::new(2).unwrap();
    for _ in 0..5 {
        let dead = party(&barrier);
        await_waiting(&barrier, 1);
        settle(dead.pid());
        kill(&dead);
        assert_eq!(told(barrier.wait()), PartyDied);
        barrier.reset();
    }
}

#[test]
fn a_party_killed_before_it_came_breaks_it_for_all() {
    let barrier = Barrier::new(3).unwrap();
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let dead = Process::spawn((barrier.clone(), say), |barrier: Barrier, say: Sender<()>| {
        say.send(()).unwrap();
        let _kept = barrier;
        park()
    });
    ready.recv_timeout(LONG).unwrap();
    let alive = party(&barrier);
    await_waiting(&barrier, 1);
    kill::<()>(&dead.unwrap());
    assert_eq!(join(&alive).unwrap(), PartyDied);
}

#[test]
fn a_party_that_exits_without_dropping_its_handle_counts_as_dead() {
    let barrier = Barrier::new(3).unwrap();
    let alive = party(&barrier);
    await_waiting(&barrier, 1);
    let child = Process::spawn((barrier.clone(),), |barrier: Barrier| {
        let _kept = barrier;
        std::process::exit(0);
    });
    assert!(matches!(join::<()>(&child.unwrap()), Err(ProcessError::Exited(0))));
    assert_eq!(join(&alive).unwrap(), PartyDied);
}

#[test]
fn a_party_that_panics_counts_as_dead() {
    let barrier = Barrier::new(3).unwrap();
    let alive = party(&barrier);
    await_waiting(&barrier, 1);
    let child = Process::spawn((barrier.clone(),), |barrier: Barrier| {
        let _kept = barrier;
        panic!("on purpose");
    });
    assert!(matches!(join::<()>(&child.unwrap()), Err(ProcessError::Panicked(_))));
    assert_eq!(join(&alive).unwrap(), PartyDied);
}

#[test]
fn who_has_dropped_its_handle_may_die() {
    let barrier = Barrier::new(2).unwrap();
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let left = Process::spawn((barrier.clone(), say), |barrier: Barrier, say: Sender<()>| {
        let again = barrier.clone();
        drop(barrier);
        drop(again);
        say.send(()).unwrap();
        park()
    });
    ready.recv_timeout(LONG).unwrap();
    let left: Process = left.unwrap();
    let alive = party(&barrier);
    await_waiting(&barrier, 1);
    kill(&left);
    assert!(!barrier.is_broken());
    assert_eq!(told(barrier.wait()), Met(1));
    assert_eq!(join(&alive).unwrap(), Met(0));
}

#[test]
fn a_stopped_party_is_not_a_dead_one() {
    let barrier = Barrier::new(3).unwrap();
    let stopped = party(&barrier);
    await_waiting(&barrier, 1);
    stop(&stopped);
    let other = party(&barrier);
    await_waiting(&barrier, 2);
    settle(other.pid());
    assert!(!barrier.is_broken());
    assert_eq!(told(barrier.wait()), Met(2));
    assert_eq!(join(&other).unwrap(), Met(1));
    go_on(&stopped);
    assert_eq!(join(&stopped).unwrap(), Met(0));
}

#[test]
fn a_reset_forgets_the_dead() {
    let barrier = Barrier::new(2).unwrap();
    for _ in 0..3 {
        let dead = party(&barrier);
        await_waiting(&barrier, 1);
        settle(dead.pid());
        kill(&dead);
        assert_eq!(told(barrier.wait()), PartyDied);
        barrier.reset();
        let alive = party(&barrier);
        await_waiting(&barrier, 1);
        settle(alive.pid());
        assert_eq!(told(barrier.wait()), Met(1));
        assert_eq!(join(&alive).unwrap(), Met(0));
    }
}

#[test]
fn a_slot_used_again_does_not_hide_that_a_party_died() {
    let region = RegionOptions::new(1 << 14).participants(3).anonymous().unwrap();
    let barrier = Barrier::new_in(&region, 3).unwrap();
    let alive = party(&barrier);
    await_waiting(&barrier, 1);
    let dead = Process::spawn((barrier.clone(),), |barrier: Barrier| -> () {
        std::mem::forget(barrier);
        common::die()
    });
    assert!(join(&dead.unwrap()).is_err());
    // There is one slot, so this one gets the dead one's.
    let next = party(&barrier);
    assert_eq!(join(&next).unwrap(), PartyDied);
    assert_eq!(join(&alive).unwrap(), PartyDied);
}

// ---- handles on their way ----

/// A barrier that is found by its name while the arguments are decoded.
struct Found(Barrier);

impl serde::Serialize for Found {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&unique("found"))
    }
}

impl<'de> serde::Deserialize<'de> for Found {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Found, D::Error> {
        Barrier::open(&String::deserialize(deserializer)?)
            .map(Found)
            .map_err(serde::de::Error::custom)
    }
}

#[test]
fn a_handle_that_comes_to_who_has_the_barrier_already_is_no_death() {
    let barrier = Barrier::create(&unique("found"), 2).unwrap();
    let args = (Found(barrier.clone()), vec![barrier.clone(), barrier.clone()]);
    let child = Process::spawn(args, |found: Found, sent: Vec<Barrier>| {
        let first = told(sent[1].wait_timeout(LONG));
        drop(sent);
        [first, told(found.0.wait_timeout(LONG))]
    });
    let child = child.unwrap();
    for _ in 0..2 {
        await_waiting(&barrier, 1);
        settle(child.pid());
        // The other one sleeps, so this one looks who lives.
        assert_eq!(told(barrier.wait_timeout(LONG)), Met(1));
    }
    assert_eq!(join(&child).unwrap(), [Met(0); 2]);
    // All its handles are gone, and it was a member but once for each.
    let other = party(&barrier);
    await_waiting(&barrier, 1);
    settle(other.pid());
    assert_eq!(told(barrier.wait_timeout(LONG)), Met(1));
}

#[test]
fn all_handles_that_come_together_count() {
    let barrier = Barrier::new(2).unwrap();
    let args = (barrier.clone(), barrier.clone(), barrier.clone());
    let child = Process::spawn(args, |a: Barrier, b: Barrier, c: Barrier| -> () {
        drop(a);
        drop(c);
        let _ = b.wait_timeout(LONG);
    });
    await_waiting(&barrier, 1);
    let child = child.unwrap();
    settle(child.pid());
    kill(&child);
    assert_eq!(told(barrier.wait()), PartyDied);
}

/// What cannot be encoded.
#[derive(serde::Deserialize)]
struct Refuses;

impl serde::Serialize for Refuses {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("on purpose"))
    }
}

#[test]
fn a_handle_that_could_not_be_sent_is_no_death() {
    let barrier = Barrier::new(2).unwrap();
    for _ in 0..3 {
        let args = (barrier.clone(), barrier.clone(), Refuses);
        let refused = Process::spawn(args, |_: Barrier, _: Barrier, _: Refuses| ());
        assert!(matches!(refused, Err(Error::Encode(_))));
    }
    let other = party(&barrier);
    await_waiting(&barrier, 1);
    settle(other.pid());
    assert_eq!(told(barrier.wait()), Met(1));
    assert_eq!(join(&other).unwrap(), Met(0));
}

/// Whoever decodes this dies.
#[derive(serde::Serialize)]
struct Deadly;

impl<'de> serde::Deserialize<'de> for Deadly {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Deadly, D::Error> {
        common::die()
    }
}

#[test]
fn a_process_killed_before_it_has_its_handle_is_a_dead_party() {
    let barrier = Barrier::new(3).unwrap();
    let alive = party(&barrier);
    await_waiting(&barrier, 1);
    let child = Process::spawn((Deadly, barrier.clone()), |_: Deadly, _: Barrier| ());
    assert!(join(&child.unwrap()).is_err());
    assert_eq!(join(&alive).unwrap(), PartyDied);
}

#[test]
fn unrelated_processes_find_a_barrier_by_its_name() {
    let name = unique("barrier");
    let barrier = Barrier::create(&name, 2).unwrap();
    let child = Process::spawn((name.clone(),), |name: String| {
        assert!(matches!(Barrier::create(&name, 2), Err(Error::Exists)));
        let (found, again) = (Barrier::open(&name).unwrap(), Barrier::open(&name).unwrap());
        drop(again);
        assert_eq!(found.parties(), 2);
        told(found.wait_timeout(LONG))
    });
    await_waiting(&barrier, 1);
    assert_eq!(told(barrier.wait()), Met(1));
    assert_eq!(join(&child.unwrap()).unwrap(), Met(0));
    // One that opened it by its name is a party as well.
    let child = Process::spawn((name.clone(),), |name: String| -> () {
        let found = Barrier::open(&name).unwrap();
        let _ = found.wait();
    });
    await_waiting(&barrier, 1);
    let child = child.unwrap();
    settle(child.pid());
    kill(&child);
    assert_eq!(told(barrier.wait()), PartyDied);
    drop(barrier);
    assert!(matches!(Barrier::open(&name), Err(Error::NotFound)));
}

#[test]
fn many_barriers_share_a_region() {
    let region = Region::new(1 << 16).unwrap();
    let barriers: Vec<_> = (0..5).map(|_| Barrier::new_in(&region, 2).unwrap()).collect();
    let child = Process::spawn((barriers.clone(),), |barriers: Vec<Barrier>| {
        barriers.iter().map(|barrier| told(barrier.wait_timeout(LONG))).collect::<Vec<_>>()
    });
    for barrier in &barriers {
        barrier.wait_timeout(LONG).unwrap();
    }
    assert!(join(&child.unwrap()).unwrap().iter().all(|told| matches!(told, Met(0 | 1))));
}

// ---- forks: each in a process of its own, which has one thread ----

fn run(body: fn()) {
    join(&Process::spawn((), body).unwrap()).unwrap();
}

#[test]
fn a_forked_child_is_a_party_from_its_first_wait_on() {
    run(|| {
        let barrier = Barrier::new(2).unwrap();
        // Its copy of the handle is not counted until it is used: this end is no death.
        reap(fork(|| drop(barrier.clone())));
        let child = fork(|| {
            for _ in 0..10 {
                barrier.wait_timeout(LONG).unwrap();
            }
            drop(barrier.clone());
        });
        for _ in 0..10 {
            barrier.wait_timeout(LONG).unwrap();
        }
        let mut status = 0;
        // SAFETY: plain call; `status` is ours. The child leaves by `_exit`, with its handle.
        #[allow(unsafe_code)]
        unsafe {
            libc::waitpid(child, &mut status, 0)
        };
        assert_eq!(status, 0);
        assert_eq!(told(barrier.wait_timeout(LONG)), PartyDied);
    });
}

#[test]
fn a_forked_copy_that_is_dropped_takes_nobody_else_out() {
    let barrier = Barrier::new(2).unwrap();
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let child = Process::spawn((barrier.clone(), say), |barrier: Barrier, say: Sender<()>| -> () {
        let mut kept = Some(barrier);
        reap(fork(|| drop(kept.take())));
        // Nor does one that has used its copy, and drops it in order.
        reap(fork(|| {
            let barrier = kept.as_ref().unwrap();
            assert_eq!(told(barrier.wait_timeout(Duration::ZERO)), Told::Timeout); // a party
            barrier.reset();
            drop(kept.take());
        }));
        say.send(()).unwrap();
        park()
    });
    ready.recv_timeout(LONG).unwrap();
    assert!(!barrier.is_broken());
    let child = child.unwrap();
    let alive = party(&barrier);
    await_waiting(&barrier, 1);
    settle(alive.pid());
    assert_eq!(told(barrier.wait()), Met(1));
    assert_eq!(join(&alive).unwrap(), Met(0));
    kill(&child);
    assert_eq!(told(barrier.wait_timeout(LONG)), PartyDied);
}

#[test]
fn every_signature_compiles_as_the_contract_writes_it() {
    fn shared<T: Clone + Send + Sync + std::fmt::Debug>() {}
    shared::<Barrier>();
    fn an_error<E: std::error::Error + Into<Error>>(_: &E) {}
    an_error(&BrokenBarrier::Aborted);
    fn calls() -> shmkit::Result<u32> {
        let barrier: Barrier = Barrier::new(1)?;
        let index: Result<u32, BrokenBarrier> = barrier.wait();
        let sum = index? + barrier.wait_with(|| ())? + barrier.wait_timeout(LONG)?;
        barrier.abort();
        barrier.reset();
        let (broken, waiting, parties) =
            (barrier.is_broken(), barrier.waiting(), barrier.parties());
        Ok(sum + u32::from(broken) + waiting + parties)
    }
    assert_eq!(calls().unwrap(), 1);
    let broken = Error::from(BrokenBarrier::PartyDied);
    assert!(matches!(broken, Error::Broken));
}
