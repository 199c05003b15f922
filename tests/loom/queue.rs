//! The end of a ring, and the moment at which nothing is left to do, while others push and pop.
//!
//! A part of the library's own tests, as the models of the ring itself.

use super::super::heap::{Heap, HeapSite};
use super::super::words::{CONSUMER, PRODUCER};
use super::super::{Refusal, Ring};
use crate::lock::deadline::Deadline;
use crate::lock::event::EventCount;
use crate::lock::spin::Spin;
use crate::sync::{AtomicU32, Ordering::Relaxed};
use loom::thread;
use std::sync::Arc;

type Handle = Ring<HeapSite<u64>>;

fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.max_branches = 5000;
    builder.check(f);
}

/// A ring whose positions are about to wrap, and four handles, each a participant's.
fn ring(capacity: usize) -> (Arc<Heap<u64>>, [Handle; 4]) {
    let heap = Heap::new(capacity, (1 << 48) - 1);
    let handles = [1, 2, 3, 4].map(|number| heap.seen_by(number, capacity));
    (heap, handles)
}

/// The next value, or that there will be none.
fn next(ring: &Handle) -> Option<Option<u64>> {
    match ring.pop() {
        Ok(value) => Some(Some(value)),
        Err(Refusal::Empty) if ring.is_over(0) => Some(None),
        Err(Refusal::Empty | Refusal::Busy) => None,
        Err(why) => panic!("{why:?}"),
    }
}

/// All values up to the end.
fn drain(ring: &Handle) -> Vec<u64> {
    let mut popped = Vec::new();
    loop {
        match next(ring) {
            Some(Some(value)) => popped.push(value),
            Some(None) => return popped,
            None => {
                ring.recover();
                thread::yield_now();
            }
        }
    }
}

#[test]
fn a_push_comes_before_the_end_or_is_refused() {
    model(|| {
        let (_, [a, b, c, _]) = ring(2);
        let producer = thread::spawn(move || a.push(1));
        let closer = thread::spawn(move || {
            b.close();
            assert_eq!(b.push(2), Err(Refusal::Closed));
        });
        let popped = drain(&c);
        match producer.join().unwrap() {
            Ok(()) => assert_eq!(popped, [1]),
            Err(why) => assert_eq!((why, popped.len()), (Refusal::Closed, 0)),
        }
        closer.join().unwrap();
    });
}

#[test]
fn a_claim_that_dies_behind_its_back_does_not_keep_the_end_away() {
    model(|| {
        let (heap, [a, b, c, _]) = ring(2);
        let producer = thread::spawn(move || {
            drop(a.claim::<PRODUCER>(1));
            heap.bury(1);
        });
        let closer = thread::spawn(move || b.close());
        producer.join().unwrap();
        assert_eq!(drain(&c), []);
        closer.join().unwrap();
    });
}

#[test]
fn what_a_consumer_leaves_comes_before_the_end() {
    model(|| {
        let (heap, [a, b, c, _]) = ring(2);
        a.push(1).unwrap();
        a.close();
        let consumer = thread::spawn(move || {
            let claimed = b.claim::<CONSUMER>(1).is_ok();
            heap.bury(2);
            claimed
        });
        // Claimed and never popped: it is there, whether it was claimed or not.
        assert_eq!(drain(&c), [1]);
        consumer.join().unwrap();
    });
}

/// A ring and where its consumers wait.
struct Awaited {
    readable: EventCount,
}

impl Awaited {
    fn wait(&self, ring: &Handle) -> Option<u64> {
        let spin = Spin::new();
        self.readable.wait_until(&spin, Deadline::Never, || next(ring), || None).unwrap()
    }
}

#[test]
fn who_waits_is_woken_by_a_value_and_by_the_end() {
    model(|| {
        let (_, [a, b, c, _]) = ring(1);
        let waiting = Arc::new(Awaited { readable: EventCount::new() });
        let producer = thread::spawn({
            let waiting = waiting.clone();
            move || {
                a.push(1).unwrap();
                waiting.readable.notify_one();
                b.close();
                waiting.readable.notify_all();
            }
        });
        assert_eq!(waiting.wait(&c), Some(1));
        assert_eq!(waiting.wait(&c), None);
        producer.join().unwrap();
    });
}

#[test]
fn jobs_that_put_jobs_are_done_before_the_ring_is_idle() {
    model(|| {
        let (_, [a, b, c, _]) = ring(2);
        a.push(1).unwrap();
        let done = Arc::new(AtomicU32::new(0));
        let worker = thread::spawn({
            let done = done.clone();
            move || {
                let first = b.lease().unwrap();
                b.push(2).unwrap();
                first.release();
                let second = b.lease().unwrap();
                // Relaxed: what is done is seen by who sees the slot free.
                done.store(1, Relaxed);
                second.release();
            }
        });
        let mut hint = 0;
        for _ in 0..2 {
            if c.is_idle(&mut hint) {
                assert_eq!(done.load(Relaxed), 1);
            }
        }
        worker.join().unwrap();
        assert!(c.is_idle(&mut hint));
    });
}
