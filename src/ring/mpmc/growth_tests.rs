//! Rings that grow, on the heap, which knows what chunks there are.

use super::super::heap::{Heap, HeapSite};
use super::super::words::{CONSUMER, PRODUCER};
use super::super::{Refusal, Ring};
use crate::sync::Ordering::SeqCst;
use std::collections::VecDeque;
use std::sync::Arc;

type Handle = Ring<HeapSite<u64>>;

const CHUNK: usize = 4;
const CAPACITY: usize = 20;
/// At home, and just before positions wrap.
const STARTS: [u64; 3] = [0, 12340, (1 << 48) - 8];

fn ring(start: u64) -> (Arc<Heap<u64>>, [Handle; 3]) {
    let heap = Heap::new(CAPACITY + 3 * CHUNK, start);
    let handles = [1, 2, 3].map(|number| heap.grown_by(number, CAPACITY, CHUNK));
    handles[0].start().unwrap();
    (heap, handles)
}

fn chunks(heap: &Heap<u64>) -> usize {
    heap.chunks.lock().unwrap().len()
}

fn drain(ring: &Handle) -> Vec<u64> {
    std::iter::from_fn(|| ring.pop().ok()).collect()
}

#[test]
fn it_holds_its_capacity_wherever_it_stands_and_memory_for_what_is_in_it() {
    for start in STARTS {
        let (heap, [a, b, _]) = ring(start);
        for round in 0..50u64 {
            assert!(chunks(&heap) <= 2, "{} for nothing", chunks(&heap));
            let values = Vec::from_iter(round * 100..round * 100 + CAPACITY as u64);
            values.iter().for_each(|n| a.push(*n).unwrap());
            assert_eq!((a.push(9), a.is_full(), a.len()), (Err(Refusal::Full), true, CAPACITY));
            assert!(chunks(&heap) >= CAPACITY / CHUNK);
            assert_eq!(drain(&b), values);
            assert_eq!((b.pop(), b.is_full(), b.len()), (Err(Refusal::Empty), false, 0));
            // So that the next round begins elsewhere.
            (0..round % 3).for_each(|n| a.push(n).unwrap());
            assert_eq!(drain(&a).len() as u64, round % 3);
        }
    }
}

#[test]
fn batches_end_where_memory_ends_and_go_on_with_more() {
    for start in STARTS {
        let (heap, [a, b, _]) = ring(start);
        let mut out = [0; 3 * CAPACITY];
        for size in 1..=CAPACITY {
            let values = Vec::from_iter(0..size as u64);
            assert_eq!(a.push_slice(&values), Ok(size));
            assert_eq!(b.pop_slice(&mut out), Ok(size));
            assert_eq!(out[..size], values);
        }
        assert_eq!(a.push_slice(&[7; 2 * CAPACITY]), Ok(CAPACITY));
        assert_eq!(b.pop_slice(&mut out), Ok(CAPACITY));
        assert!(chunks(&heap) <= 2);
    }
}

#[test]
fn the_last_to_leave_a_chunk_gives_it_back_with_all_that_waited_for_it() {
    let (heap, [a, b, c]) = ring(0);
    (0..CAPACITY as u64).for_each(|n| a.push(n).unwrap());
    let full = chunks(&heap);
    let (first, second) = (b.lease().unwrap(), c.lease().unwrap());
    assert_eq!(drain(&a), Vec::from_iter(2..CAPACITY as u64));
    assert_eq!(chunks(&heap), full, "one slot of the first is in use");
    first.release();
    assert_eq!(chunks(&heap), full);
    drop(second); // given back
    assert_eq!(chunks(&heap), full);
    assert_eq!(a.pop(), Ok(1));
    assert!(chunks(&heap) <= 2);
    // What was given up is in nobody's way.
    let gone = Vec::from_iter((0..6).map(|_| b.reserve().unwrap()));
    drop(gone);
    a.push(5).unwrap();
    assert_eq!((a.pop(), a.pop()), (Ok(5), Err(Refusal::Empty)));
    assert!(chunks(&heap) <= 2);
}

#[test]
fn what_is_leased_ends_the_growth_when_the_ring_has_gone_round() {
    let (_, [a, b, _]) = ring(0);
    a.push(0).unwrap();
    let held = b.lease().unwrap();
    let mut count = 0;
    while a.push(count).is_ok() {
        assert_eq!(b.pop(), Ok(count));
        count += 1;
    }
    assert!(count as usize >= CAPACITY + CHUNK && a.push(1) == Err(Refusal::Full));
    held.release();
    assert_eq!((a.push(1), b.pop()), (Ok(()), Ok(1)));
}

#[test]
fn where_there_is_no_memory_a_push_says_so_and_nothing_is_lost() {
    let (heap, [a, b, _]) = ring(0);
    heap.chunks_max.store(2, SeqCst);
    let mut count = 0;
    while a.push(count).is_ok() {
        count += 1;
    }
    assert_eq!((count, a.push(9)), (2 * CHUNK as u64 - 1, Err(Refusal::Full)));
    heap.chunks_max.store(0, SeqCst);
    assert_eq!((a.push(9), a.why_no_memory().is_err()), (Err(Refusal::NoMemory), true));
    assert_eq!(b.pop_slice(&mut [0; 5]), Ok(5));
    heap.chunks_max.store(2, SeqCst);
    assert_eq!((a.push(9), drain(&b)), (Ok(()), vec![5, 6, 9]));
}

#[test]
fn claims_of_the_dead_in_any_chunk_are_taken_back() {
    for start in STARTS {
        let (heap, [a, b, c]) = ring(start);
        (0..6).for_each(|n| a.push(n).unwrap());
        let _ = (b.claim::<CONSUMER>(1).unwrap(), b.claim::<PRODUCER>(1).unwrap());
        (6..12).for_each(|n| a.push(n).unwrap());
        heap.bury(2);
        assert_eq!(c.recover(), 2);
        let mut got = drain(&c);
        got.sort();
        assert_eq!(got, Vec::from_iter(0..12));
        assert!(c.len() == 0 && chunks(&heap) <= 3);
        (0..CAPACITY as u64).for_each(|n| a.push(n).unwrap());
        assert_eq!(drain(&c), Vec::from_iter(0..CAPACITY as u64));
        assert!(chunks(&heap) <= 2);
    }
}

#[test]
fn it_ends_as_any_other_ring() {
    let (_, [a, b, _]) = ring(0);
    (0..10).for_each(|n| a.push(n).unwrap());
    a.close();
    assert_eq!((a.push(1), a.is_over(0)), (Err(Refusal::Closed), false));
    assert_eq!(drain(&b), Vec::from_iter(0..10));
    assert!(b.is_over(0) && b.was_closed() && b.is_idle(&mut 0));
}

#[test]
fn threads_that_grow_and_shrink_it_lose_nothing() {
    const EACH: u64 = 30_000;
    let (heap, [a, _, _]) = ring(0);
    let (done, mut got) = (std::sync::atomic::AtomicBool::new(false), VecDeque::new());
    let produce = |ring: &Handle, first: u64| {
        for n in (first..first + EACH).step_by(5) {
            let values = Vec::from_iter(n..n + 5);
            let mut put = 0;
            while put < 5 {
                put += ring.push_slice(&values[put..]).unwrap_or(0);
                std::thread::yield_now();
            }
        }
    };
    let consume = |ring: &Handle| {
        let (mut got, mut out) = (Vec::new(), [0; 7]);
        loop {
            let end = done.load(SeqCst);
            match ring.pop_slice(&mut out) {
                Ok(count) => got.extend_from_slice(&out[..count]),
                Err(_) if end => return got,
                Err(_) => std::thread::yield_now(),
            }
        }
    };
    std::thread::scope(|scope| {
        let handle = |number| heap.grown_by(number, CAPACITY, CHUNK);
        let consumers = [4, 5].map(|number| scope.spawn(move || consume(&handle(number))));
        let producers = [2, 3]
            .map(|number| scope.spawn(move || produce(&handle(number), number as u64 * EACH)));
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        done.store(true, SeqCst);
        consumers.into_iter().for_each(|consumer| got.extend(consumer.join().unwrap()));
    });
    got.make_contiguous().sort();
    assert!(got.into_iter().eq(2 * EACH..4 * EACH));
    assert!(a.len() == 0 && chunks(&heap) <= 2);
}
