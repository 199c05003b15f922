use super::super::heap::{Heap, HeapSite};
use super::super::{Refusal, Ring};
use std::sync::Arc;

type Handle = Ring<HeapSite<u64>>;

/// A ring whose positions are about to wrap, and handles of the participants 1 to 3.
fn ring(capacity: usize) -> (Arc<Heap<u64>>, [Handle; 3]) {
    let heap = Heap::new(capacity, (1 << 48) - 2);
    let handles = [1, 2, 3].map(|number| heap.seen_by(number, capacity));
    (heap, handles)
}

#[test]
fn nothing_is_pushed_into_a_closed_ring_and_what_is_there_comes_out() {
    for values in 0..=4 {
        let (_, [a, b, _]) = ring(4);
        (0..values).for_each(|n| a.push(n).unwrap());
        assert!(!b.is_closed());
        b.close();
        b.close();
        assert!(a.is_closed() && a.is_over(0) == (values == 0));
        for ring in [&a, &b] {
            assert_eq!(ring.push(9), Err(Refusal::Closed));
            assert_eq!(ring.push_slice(&[9, 9]), Err(Refusal::Closed));
            assert_eq!(ring.reserve().err(), Some(Refusal::Closed));
        }
        assert_eq!((a.len() as u64, a.is_full()), (values, values == 4));
        for n in 0..values {
            assert!(!a.is_over(0));
            assert_eq!(b.pop(), Ok(n));
        }
        assert_eq!(b.pop(), Err(Refusal::Empty));
        assert!(a.is_over(0) && b.is_over(0) && a.is_sane());
    }
}

#[test]
fn a_slot_that_is_reserved_comes_before_the_end() {
    let (_, [a, b, c]) = ring(4);
    let mut slot = a.reserve().unwrap();
    b.close();
    assert!(!c.is_over(0));
    assert_eq!(c.pop(), Err(Refusal::Busy));
    *slot = 5;
    slot.commit();
    assert_eq!(c.pop(), Ok(5));
    assert!(c.is_over(0));
}

#[test]
fn a_slot_that_is_given_up_or_left_by_the_dead_does_not_keep_the_end_away() {
    let (heap, [a, b, c]) = ring(4);
    drop(a.reserve().unwrap());
    std::mem::forget(b.reserve().unwrap());
    c.close();
    assert_eq!(c.pop(), Err(Refusal::Busy));
    heap.bury(2);
    assert_eq!(c.recover(), 1);
    assert_eq!(c.pop(), Err(Refusal::Empty));
    assert!(c.is_over(0));
}

#[test]
fn what_another_has_leased_may_come_back_and_what_one_has_oneself_may_not() {
    let (heap, [a, b, c]) = ring(4);
    (0..3).for_each(|n| a.push(n).unwrap());
    a.close();
    let (first, _second) = (b.lease().unwrap(), c.lease().unwrap());
    let third = b.lease().unwrap();
    assert_eq!(b.pop(), Err(Refusal::Empty));
    // Of `b` two are out, of `c` one.
    assert!(!b.is_over(2) && !c.is_over(1) && !b.is_over(9));
    third.release();
    drop(first);
    assert!(!b.is_over(9), "it is there");
    assert_eq!(c.pop(), Ok(0));
    assert!(!b.is_over(0) && c.is_over(1) && !c.is_over(0));
    heap.bury(3);
    assert!(!b.is_over(0));
    b.recover();
    assert_eq!(b.pop(), Ok(1));
    assert!(b.is_over(0));
}

#[test]
fn a_ring_is_idle_when_all_is_done() {
    let (heap, [a, b, c]) = ring(3);
    let mut hint = 0;
    assert!(a.is_idle(&mut hint));
    a.push(1).unwrap();
    a.push(2).unwrap();
    assert!(!a.is_idle(&mut hint) && !a.is_all_taken() && a.has_value());
    let first = b.lease().unwrap();
    std::mem::forget(c.lease().unwrap());
    assert!(a.is_all_taken() && !a.has_value() && !a.is_idle(&mut hint));
    first.release();
    assert!(!a.is_idle(&mut hint));
    heap.bury(3);
    a.recover();
    assert!(!a.is_idle(&mut hint) && a.has_value(), "it has come back");
    let again = a.lease().unwrap();
    assert!(again.is_redelivered() && !b.is_idle(&mut hint));
    drop(again);
    assert!(!b.is_idle(&mut hint));
    b.lease().unwrap().release();
    assert!(b.is_idle(&mut hint));
    // What was given up was not put.
    drop(a.reserve().unwrap());
    assert!(b.is_idle(&mut hint));
    std::mem::forget(a.reserve().unwrap());
    assert!(!b.is_idle(&mut hint));
}
