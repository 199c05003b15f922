//! Rings that grow: what is in a slot is touched only between the chunk's coming and its going.
//!
//! A part of the library's own tests. The heap's site touches all slots of a chunk that is given back,
//! so that a use which is not ordered before that, or after the next growth, is a failure by itself.

use super::heap::{CHUNK, Heap, HeapSite};
use super::{Refusal, Ring};
use loom::thread;
use std::sync::Arc;

type Handle = Ring<HeapSite<u64>>;

fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.max_branches = 5000;
    builder.check(f);
}

/// A ring for one value, of four slots, and three handles, each a participant's.
fn ring() -> (Arc<Heap<u64>>, [Handle; 3]) {
    let heap = Heap::new(4, 0);
    let handles = [1, 2, 3].map(|number| heap.grown_by(number, 1, CHUNK));
    handles[0].start().unwrap();
    (heap, handles)
}

fn push(ring: &Handle, value: u64) {
    loop {
        match ring.push(value) {
            Ok(()) => return,
            Err(Refusal::Full | Refusal::Busy) => thread::yield_now(),
            Err(why) => panic!("{why:?}"),
        }
    }
}

fn pop(ring: &Handle) -> u64 {
    loop {
        match ring.pop() {
            Ok(value) => return value,
            Err(Refusal::Empty | Refusal::Busy) => thread::yield_now(),
            Err(why) => panic!("{why:?}"),
        }
    }
}

#[test]
fn one_grows_what_another_shrinks() {
    model(|| {
        let (_, [a, b, _]) = ring();
        let producer = thread::spawn(move || (1..=3).for_each(|n| push(&a, n)));
        let popped = [pop(&b), pop(&b), pop(&b)];
        producer.join().unwrap();
        assert_eq!(popped, [1, 2, 3]);
        assert_eq!(b.pop(), Err(Refusal::Empty));
    });
}

#[test]
fn two_grow_at_the_same_place() {
    model(|| {
        let (_, [a, b, c]) = ring();
        push(&c, 1);
        assert_eq!(c.pop(), Ok(1));
        let other = thread::spawn(move || a.push(2).is_ok());
        let mine = b.push(3).is_ok();
        assert!(other.join().unwrap() | mine);
        assert!((2..=3).contains(&pop(&c)));
        while c.pop().is_ok() {}
        (4..10).for_each(|n| {
            push(&c, n);
            assert_eq!(c.pop(), Ok(n));
        });
    });
}

#[test]
fn two_shrink_at_the_same_place() {
    model(|| {
        let (_, [a, b, c]) = ring();
        push(&c, 1);
        let first = thread::spawn(move || a.pop().is_ok());
        let second = b.pop().is_ok();
        assert!(first.join().unwrap() ^ second);
        (4..10).for_each(|n| {
            push(&c, n);
            assert_eq!(c.pop(), Ok(n));
        });
    });
}
