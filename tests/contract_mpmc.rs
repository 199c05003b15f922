//! Do rings for many carry everything between processes, once and in order, and outlive them?

#![cfg(feature = "takeover")]

mod common;

use common::{LONG, fork, go_on, join, kill, park, reap, stop, unique};
use shmkit::ring::{self, LeasedValue, MpmcRing, ReservedSlot, TryPopError, TryPushError};
use shmkit::{Array, Error, Process, Region, RegionOptions, Value};
use std::thread::yield_now;
use std::time::Instant;

/// Calls `attempt` until it has a result.
fn until<R>(mut attempt: impl FnMut() -> Option<R>) -> R {
    let end = Instant::now() + LONG;
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(Instant::now() < end, "it never came so far");
        yield_now();
    }
}

fn push<T: bytemuck::Pod>(ring: &MpmcRing<T>, value: T) {
    until(|| match ring.try_push(value) {
        Ok(()) => Some(()),
        Err(TryPushError::Full(_) | TryPushError::Busy(_)) => None,
        Err(why) => panic!("{why}"),
    });
}

fn pop<T: bytemuck::Pod>(ring: &MpmcRing<T>) -> T {
    until(|| match ring.try_pop() {
        Ok(value) => Some(value),
        Err(TryPopError::Empty | TryPopError::Busy) => None,
        Err(why) => panic!("{why}"),
    })
}

fn wait_for(value: &Value<u32>, wanted: u32) {
    until(|| (value.get() >= wanted).then_some(()));
}

fn run(body: fn()) {
    join(&Process::spawn((), body).unwrap()).unwrap();
}

const EACH: u64 = 60_000;
const END: u64 = u64::MAX;

#[test]
fn three_processes_push_and_three_pop_each_value_once_and_those_of_each_in_order() {
    let ring = ring::mpmc::<[u64; 2]>(100).unwrap();
    let seen = Array::<u32>::zeroed(3 * EACH as usize).unwrap();
    let ended = Value::new(0u32).unwrap();
    fn produce(ring: MpmcRing<[u64; 2]>, producer: u64) {
        let mut next = 0;
        while next < EACH {
            let end = EACH.min(next + 1 + next % 40);
            let batch: Vec<[u64; 2]> =
                (next..end).map(|n| [producer * EACH + n, !(producer * EACH + n)]).collect();
            if next % 3 == 0 {
                push(&ring, batch[0]);
                next += 1;
            } else {
                next += ring.try_push_slice(&batch).unwrap_or(0) as u64;
            }
        }
    }
    fn consume(ring: MpmcRing<[u64; 2]>, seen: Array<u32>, ended: Value<u32>) -> u64 {
        let (mut last, mut out, mut count) = ([None; 3], [[0; 2]; 32], 0);
        loop {
            let wanted = 1 + count as usize % 32;
            let popped = until(|| ring.try_pop_slice(&mut out[..wanted]).ok());
            for value in &out[..popped] {
                if value[0] == END {
                    ended.fetch_add(1);
                    return count;
                }
                assert_eq!(value[1], !value[0], "torn");
                let producer = (value[0] / EACH) as usize;
                assert!(last[producer] < Some(value[0]), "out of order");
                last[producer] = Some(value[0]);
                let at = value[0] as usize;
                seen.set(at, seen.get(at).unwrap() + 1).unwrap();
                count += 1;
            }
        }
    }
    let producers: Vec<_> =
        (0..3u64).map(|n| Process::spawn((ring.clone(), n), produce).unwrap()).collect();
    let consumer = || (ring.clone(), seen.clone(), ended.clone());
    let consumers: Vec<_> = (0..3).map(|_| Process::spawn(consumer(), consume).unwrap()).collect();
    for producer in &producers {
        join(producer).unwrap();
    }
    for nth in 1..=consumers.len() {
        push(&ring, [END; 2]);
        wait_for(&ended, nth as u32); // so that nobody pops two ends
    }
    assert_eq!(consumers.iter().map(|consumer| join(consumer).unwrap()).sum::<u64>(), 3 * EACH);
    assert!(seen.iter().all(|times| times == 1), "lost or doubled");
}

fn hold_a_slot(ring: MpmcRing<u64>, ready: Value<u32>) {
    let _slot: ReservedSlot<'_, u64> = ring.try_reserve().unwrap();
    ready.set(1).unwrap();
    park()
}

fn hold_a_value(ring: MpmcRing<u64>, ready: Value<u32>) {
    let _value: LeasedValue<'_, u64> = ring.try_lease().unwrap();
    ready.set(1).unwrap();
    park()
}

#[test]
fn a_producer_killed_while_it_writes_holds_nobody_up() {
    let (ring, ready) = (ring::mpmc::<u64>(4).unwrap(), Value::new(0u32).unwrap());
    let child = Process::spawn((ring.clone(), ready.clone()), hold_a_slot).unwrap();
    wait_for(&ready, 1);
    (0..3).for_each(|n| push(&ring, n));
    assert_eq!(ring.try_pop(), Err(TryPopError::Busy));
    assert_eq!(ring.recover(), 0);
    kill(&child);
    assert_eq!((0..3).map(|_| pop(&ring)).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(ring.is_empty() && ring.try_pop() == Err(TryPopError::Empty));
}

#[test]
fn the_value_of_a_consumer_killed_while_it_reads_is_delivered_again() {
    let (ring, ready) = (ring::mpmc::<u64>(4).unwrap(), Value::new(0u32).unwrap());
    (0..4).for_each(|n| push(&ring, n));
    let child = Process::spawn((ring.clone(), ready.clone()), hold_a_value).unwrap();
    wait_for(&ready, 1);
    assert_eq!(ring.len(), 3);
    kill(&child);
    assert_eq!((ring.recover(), ring.len()), (1, 4));
    let mut all: Vec<u64> = (0..4).map(|_| pop(&ring)).collect();
    all.sort();
    assert_eq!(all, [0, 1, 2, 3]);
    (0..4).for_each(|n| push(&ring, n));
    assert_eq!((0..4).map(|_| pop(&ring)).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn nothing_is_stolen_from_a_stopped_process() {
    let (ring, ready) = (ring::mpmc::<u64>(4).unwrap(), Value::new(0u32).unwrap());
    push(&ring, 0);
    fn hold_and_release(ring: MpmcRing<u64>, ready: Value<u32>) {
        let value = ring.try_lease().unwrap();
        let mut slot = ring.try_reserve().unwrap();
        ready.set(1).unwrap();
        wait_for(&ready, 2);
        *slot = 7;
        slot.commit();
        assert_eq!(*value, 0);
        value.release();
    }
    let child = Process::spawn((ring.clone(), ready.clone()), hold_and_release).unwrap();
    wait_for(&ready, 1);
    stop(&child);
    (1..4).for_each(|n| assert_eq!(ring.try_push(n).is_ok(), n < 3));
    for _ in 0..20_000 {
        assert_eq!(ring.try_pop(), Err(TryPopError::Busy));
    }
    assert_eq!(ring.recover(), 0);
    ready.set(2).unwrap();
    go_on(&child);
    assert_eq!((0..3).map(|_| pop(&ring)).collect::<Vec<_>>(), [7, 1, 2]);
    join(&child).unwrap();
    assert_eq!((ring.recover(), ring.len()), (0, 0));
}

#[test]
fn a_process_does_not_recover_from_itself() {
    let ring = ring::mpmc::<u64>(4).unwrap();
    push(&ring, 1);
    let (value, mut slot) = (ring.try_lease().unwrap(), ring.try_reserve().unwrap());
    push(&ring, 3);
    assert_eq!(ring.recover(), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(ring.clone().recover(), 0));
    });
    *slot = 2;
    slot.commit();
    value.release();
    assert_eq!((pop(&ring), pop(&ring), ring.len()), (2, 3, 0));
}

#[test]
fn what_a_process_has_pushed_outlives_it() {
    let ring = ring::mpmc::<u64>(4).unwrap();
    fn push_two(ring: MpmcRing<u64>) {
        push(&ring, 1);
        push(&ring, 2);
        common::die()
    }
    assert!(join(&Process::spawn((ring.clone(),), push_two).unwrap()).is_err());
    assert_eq!((ring.len(), pop(&ring), pop(&ring)), (2, 1, 2));
}

#[test]
fn unrelated_processes_meet_by_name() {
    let name = unique("mpmc");
    let ring = MpmcRing::<u64>::create(&name, 10).unwrap();
    assert!(matches!(MpmcRing::<u64>::create(&name, 10), Err(Error::Exists)));
    fn answer(name: String) {
        let ring = MpmcRing::<u64>::open(&name).unwrap();
        push(&ring, pop(&ring) + 1);
    }
    push(&ring, 41);
    join(&Process::spawn((name.clone(),), answer).unwrap()).unwrap();
    assert_eq!(pop(&ring), 42);
    assert!(matches!(MpmcRing::<i64>::open(&name), Err(Error::TypeMismatch { .. })));
    assert!(matches!(ring::Producer::<u64>::open(&name), Err(Error::TypeMismatch { .. })));
    drop(ring);
    assert!(matches!(MpmcRing::<u64>::open(&name), Err(Error::NotFound)));
}

#[test]
fn many_rings_fit_into_one_region() {
    let region = Region::new(1 << 16).unwrap();
    let rings: Vec<_> = (1..9).map(|n| ring::mpmc_in::<u64>(&region, n).unwrap()).collect();
    for ring in &rings {
        (0..ring.capacity() as u64).for_each(|n| push(ring, n));
        assert!(matches!(ring.try_push(0), Err(TryPushError::Full(0))));
    }
    let child = Process::spawn((rings.clone(),), |rings: Vec<MpmcRing<u64>>| {
        rings.iter().map(|ring| ring.len() as u64 + pop(ring)).sum::<u64>()
    });
    assert_eq!(join(&child.unwrap()).unwrap(), (1..9).sum::<u64>());
}

#[test]
fn unfit_capacities_and_types_are_refused() {
    for capacity in [0, (1 << 31) + 1, usize::MAX] {
        assert!(matches!(ring::mpmc::<u8>(capacity), Err(Error::InvalidArgument(_))));
    }
    #[derive(Clone, Copy)]
    #[repr(align(256))]
    struct Wide(#[allow(dead_code)] [u8; 256]);
    // SAFETY: bytes without padding.
    #[allow(unsafe_code)]
    unsafe impl bytemuck::Zeroable for Wide {}
    // SAFETY: as above.
    #[allow(unsafe_code)]
    unsafe impl bytemuck::Pod for Wide {}
    assert!(matches!(ring::mpmc::<Wide>(1), Err(Error::InvalidArgument(_))));
    let ring = ring::mpmc::<()>(2).unwrap();
    ring.try_push(()).unwrap();
    assert_eq!((ring.len(), ring.try_pop()), (1, Ok(())));
}

// ---- forks: each in a process of its own, which has one thread ----

#[test]
fn a_forked_child_uses_the_ring_as_another_process() {
    run(|| {
        let ring = ring::mpmc::<u64>(8).unwrap();
        push(&ring, 1);
        reap(fork(|| push(&ring, pop(&ring) + 1)));
        assert_eq!((ring.recover(), pop(&ring)), (0, 2));
    });
}

#[test]
fn a_forked_copy_of_a_slot_or_value_does_nothing() {
    run(|| {
        let ring = ring::mpmc::<u64>(8).unwrap();
        push(&ring, 1);
        let mut held = Some((ring.try_lease().unwrap(), ring.try_reserve().unwrap()));
        reap(fork(|| drop(held.take())));
        reap(fork(|| {
            let (value, slot) = held.take().unwrap();
            value.release();
            slot.commit();
        }));
        assert_eq!((ring.len(), ring.try_pop()), (1, Err(TryPopError::Busy)));
        let (value, mut slot) = held.unwrap();
        *slot = 2;
        slot.commit();
        drop(value);
        assert_eq!((pop(&ring), pop(&ring), ring.len()), (2, 1, 0));
    });
}

#[test]
fn a_forked_child_that_finds_no_place_is_told() {
    run(|| {
        let region = RegionOptions::new(4096).participants(1).anonymous().unwrap();
        let ring = ring::mpmc_in::<u64>(&region, 4).unwrap();
        push(&ring, 1);
        reap(fork(|| {
            assert_eq!(ring.try_push(2), Err(TryPushError::Detached(2)));
            assert_eq!(ring.try_pop(), Err(TryPopError::Detached));
            assert_eq!((ring.len(), ring.recover()), (1, 0));
        }));
        assert_eq!(pop(&ring), 1);
    });
}
