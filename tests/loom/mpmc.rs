//! Every interleaving of a few producers and consumers of one ring, and of their deaths.
//!
//! A part of the library's own tests, because claims that are never finished are nobody else's
//! business. The values are followed by the model (`heap.rs`): reading one that is not ordered after
//! its writing, or writing one that is not ordered after its reading, is a failure by itself. And
//! nobody ever finds the ring corrupt.

use super::heap::{Heap, HeapSite};
use super::words::{CONSUMER, FULL, PRODUCER};
use super::{Refusal, Ring};
use crate::sync::Ordering::Relaxed;
use loom::thread;
use std::sync::Arc;

type Handle = Ring<HeapSite<u64>>;

fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.max_branches = 5000; // recovery looks at many words
    builder.check(f);
}

/// A ring whose positions are about to wrap, and four handles, each a participant's.
fn ring(capacity: usize) -> (Arc<Heap<u64>>, [Handle; 4]) {
    let heap = Heap::new(capacity, (1 << 48) - 1);
    let handles = [1, 2, 3, 4].map(|number| heap.seen_by(number, capacity));
    (heap, handles)
}

/// Tries until it succeeds, and takes back what the dead have claimed if they are in the way.
fn until<R>(ring: &Handle, attempt: impl Fn(&Handle) -> Result<R, Refusal>) -> R {
    loop {
        match attempt(ring) {
            Ok(result) => return result,
            Err(Refusal::Corrupt | Refusal::Detached) => panic!("corrupt"),
            Err(_) => {
                ring.recover();
                thread::yield_now();
            }
        }
    }
}

fn push(ring: &Handle, value: u64) {
    until(ring, |ring| ring.push(value));
}

fn pop(ring: &Handle) -> u64 {
    until(ring, Handle::pop)
}

/// Claims a slot, or several, if there are any, finishes as many as `finished`, and dies.
fn push_and_die(heap: &Heap<u64>, ring: &Handle, values: &[u64], finished: usize) {
    if let Ok(claim) = ring.claim::<PRODUCER>(values.len()) {
        for (nth, value) in values[..claim.count].iter().enumerate() {
            let at = claim.nth(nth);
            write(ring, at, *value);
            if nth < finished {
                ring.put(at, ring.lap(at) | FULL);
            }
        }
    }
    heap.bury(ring.site.number());
}

/// Claims values if there are any, reads them, finishes as many as `finished`, and dies.
fn pop_and_die(heap: &Heap<u64>, ring: &Handle, count: usize, finished: usize) {
    if let Ok(claim) = ring.claim::<CONSUMER>(count) {
        (0..claim.count).for_each(|nth| assert_ne!(read(ring, claim.nth(nth)), 0));
        for nth in 0..finished {
            let at = claim.nth(nth);
            ring.put(at, ring.next_lap(ring.lap(at)));
        }
    }
    heap.bury(ring.site.number());
}

#[allow(unsafe_code)]
fn write(ring: &Handle, at: u64, value: u64) {
    use super::Site;
    // SAFETY: a slot in bounds that the caller has claimed.
    unsafe { ring.site.writing(ring.index(at)).write(value) };
}

#[allow(unsafe_code)]
fn read(ring: &Handle, at: u64) -> u64 {
    use super::Site;
    // SAFETY: as above.
    unsafe { ring.site.reading(ring.index(at)).read() }
}

fn drain(ring: &Handle) -> Vec<u64> {
    let mut popped = Vec::new();
    loop {
        match ring.pop() {
            Ok(value) => popped.push(value),
            Err(Refusal::Empty) => return popped,
            Err(why) => panic!("{why:?}"),
        }
    }
}

/// Everybody rests: nothing is in the ring, and twice round works.
fn assert_works(ring: &Handle) {
    ring.recover();
    assert_eq!((ring.len(), drain(ring)), (0, vec![]));
    for _ in 0..2 {
        (0..ring.capacity() as u64).for_each(|n| ring.push(n).unwrap());
        assert_eq!(ring.push(9), Err(Refusal::Full));
        assert_eq!(drain(ring), (0..ring.capacity() as u64).collect::<Vec<_>>());
    }
}

#[test]
fn two_producers_and_two_consumers_move_each_value_once() {
    model(|| {
        let (_, [a, b, c, d]) = ring(2);
        let producer = thread::spawn(move || a.push(1).unwrap());
        let other = thread::spawn(move || b.push(2).unwrap());
        // Not until it succeeds: two threads that spin starve the others of a model.
        let consumer = thread::spawn(move || [c.pop(), c.pop()]);
        let mut popped = vec![d.pop()];
        producer.join().unwrap();
        other.join().unwrap();
        popped.extend(consumer.join().unwrap());
        popped.extend(drain(&d).into_iter().map(Ok));
        popped.retain(|popped| !matches!(popped, Err(Refusal::Empty | Refusal::Busy)));
        popped.sort_by_key(|popped| popped.unwrap());
        assert_eq!(popped, [Ok(1), Ok(2)]);
        assert_works(&d);
    });
}

#[test]
fn a_slot_is_written_again_only_after_it_was_read() {
    model(|| {
        let (_, [a, b, _, _]) = ring(1);
        let producer = thread::spawn(move || (1..4).for_each(|value| push(&a, value)));
        for value in 1..4 {
            assert_eq!(pop(&b), value);
        }
        producer.join().unwrap();
        assert_works(&b);
    });
}

/// Who looks at the head has seen less of a slot than of the tail.
#[test]
fn a_slot_that_was_just_freed_is_not_taken_for_corrupt() {
    model(|| {
        let (_, [a, b, c, _]) = ring(1);
        c.push(1).unwrap();
        let other = thread::spawn(move || {
            let popped = a.pop();
            assert_ne!(a.push(2), Err(Refusal::Corrupt));
            popped
        });
        let popped = [b.pop(), b.pop()];
        assert!(!popped.contains(&Err(Refusal::Corrupt)), "{popped:?}");
        other.join().unwrap().ok();
        drain(&c);
        assert_works(&c);
    });
}

/// Who looks at the tail has seen more of a slot than of the tail.
#[test]
fn a_slot_that_was_just_filled_is_not_taken_for_corrupt() {
    model(|| {
        let (_, [a, b, c, _]) = ring(1);
        c.push(1).unwrap();
        let other = thread::spawn(move || {
            assert_ne!(a.pop(), Err(Refusal::Corrupt));
            assert_ne!(a.push(2), Err(Refusal::Corrupt));
        });
        assert_ne!(b.push(3), Err(Refusal::Corrupt));
        other.join().unwrap();
        drain(&c);
        assert_works(&c);
    });
}

/// Who looks at the head has seen more of a slot than of the head.
#[test]
fn a_slot_that_was_just_tagged_is_not_taken_for_corrupt() {
    model(|| {
        let (_, [a, b, c, d]) = ring(2);
        let other = thread::spawn(move || {
            a.push(1).unwrap();
            a.push(2).unwrap();
            let first = c.claim::<CONSUMER>(1);
            let second = a.pop();
            assert!(
                second != Err(Refusal::Corrupt) && first.as_ref().err() != Some(&Refusal::Corrupt)
            );
            first.map(|claim| c.finish::<CONSUMER>(claim)).ok();
        });
        assert_ne!(b.pop(), Err(Refusal::Corrupt));
        other.join().unwrap();
        drain(&d);
        assert_works(&d);
    });
}

/// Who claims after the dead has seen less of the dead one's slot than of the tail.
#[test]
fn a_claim_is_tagged_whatever_its_slot_was_before() {
    model(|| {
        let (heap, [a, b, c, d]) = ring(2);
        d.push_slice(&[1, 2]).unwrap();
        let first = c.claim::<CONSUMER>(1).unwrap();
        assert_eq!(b.pop(), Ok(2));
        let victim = thread::spawn(move || {
            c.finish::<CONSUMER>(first);
            push_and_die(&heap, &a, &[3], 0);
        });
        let pushed = b.push(9);
        victim.join().unwrap();
        d.recover();
        assert_eq!(drain(&d), if pushed.is_ok() { vec![9] } else { vec![] });
        assert_works(&d);
    });
}

/// Another than who takes the value again has found the death.
#[test]
fn a_value_is_taken_again_after_all_that_the_dead_has_done() {
    model(|| {
        let (heap, [a, b, c, d]) = ring(2);
        a.push(1).unwrap();
        let claim = b.claim::<CONSUMER>(1).unwrap();
        // The hint of another case, so that this one's is not what orders it.
        heap.words.scars.returned.store(1, Relaxed);
        let victim = thread::spawn(move || {
            read(&b, claim.first);
            heap.bury(2);
        });
        let survivor = thread::spawn(move || c.recover());
        if let Ok(value) = d.pop() {
            // The second goes where the value was.
            assert_eq!((value, d.push_slice(&[2, 3])), (1, Ok(2)));
        }
        victim.join().unwrap();
        survivor.join().unwrap();
        d.recover();
        drain(&d);
        assert_works(&d);
    });
}

#[test]
fn nothing_that_came_back_is_missed_while_another_takes_the_like() {
    model(|| {
        let (_, [a, b, c, _]) = ring(2);
        assert_eq!(a.push_slice(&[1, 2]), Ok(2));
        let leases = [a.lease().unwrap(), a.lease().unwrap()];
        drop(leases);
        let consumer = thread::spawn(move || b.pop());
        let mut popped = [c.pop(), consumer.join().unwrap()];
        popped.sort_by_key(|popped| popped.ok());
        assert_eq!(popped, [Ok(1), Ok(2)]);
        assert_works(&c);
    });
}

#[test]
fn a_ring_with_slots_to_spare_holds_no_more_than_its_capacity() {
    model(|| {
        let (_, [a, b, c, _]) = ring(3);
        assert_eq!(a.push_slice(&[1, 2]), Ok(2));
        let producers = [(a, 3), (b, 4)].map(|(ring, value)| {
            thread::spawn(move || {
                let pushed = ring.push(value);
                assert!(ring.len() <= 3);
                pushed
            })
        });
        assert_eq!(c.pop(), Ok(1));
        let pushed = producers.map(|producer| producer.join().unwrap());
        assert!(pushed.contains(&Ok(())), "{pushed:?}");
        assert_eq!(drain(&c).len(), 1 + pushed.iter().filter(|pushed| pushed.is_ok()).count());
        assert_works(&c);
    });
}

#[test]
fn batches_move_each_value_once_and_together() {
    model(|| {
        let (_, [a, b, c, _]) = ring(4);
        let producer = thread::spawn(move || assert_eq!(a.push_slice(&[1, 2]), Ok(2)));
        let consumer = thread::spawn(move || pop_two(&c).unwrap_or_default());
        assert_eq!(b.push_slice(&[3, 4]), Ok(2));
        let mut all = consumer.join().unwrap();
        producer.join().unwrap();
        all.extend(drain(&b));
        assert!(all == [1, 2, 3, 4] || all == [3, 4, 1, 2], "{all:?}");
        assert_works(&b);
    });
}

fn pop_two(ring: &Handle) -> Result<Vec<u64>, Refusal> {
    let mut out = vec![0; 2];
    let count = ring.pop_slice(&mut out)?;
    out.truncate(count);
    Ok(out)
}

#[test]
fn a_producer_that_dies_after_its_claim_is_passed() {
    model(|| {
        let (heap, [a, b, c, _]) = ring(2);
        let victim = thread::spawn(move || push_and_die(&heap, &a, &[1], 0));
        let producer = thread::spawn(move || push(&b, 2));
        assert_eq!(pop(&c), 2);
        victim.join().unwrap();
        producer.join().unwrap();
        assert_works(&c);
    });
}

#[test]
fn the_finished_part_of_a_dead_producers_batch_is_popped() {
    model(|| {
        let (heap, [a, b, c, _]) = ring(4);
        let victim = thread::spawn(move || push_and_die(&heap, &a, &[1, 2], 1));
        let producer = thread::spawn(move || push(&b, 3));
        let mut popped = [pop(&c), pop(&c)];
        popped.sort();
        assert_eq!(popped, [1, 3]);
        victim.join().unwrap();
        producer.join().unwrap();
        assert_works(&c);
    });
}

#[test]
fn the_value_of_a_dead_consumer_comes_again() {
    model(|| {
        let (heap, [a, b, c, _]) = ring(2);
        a.push(1).unwrap();
        a.push(2).unwrap();
        let victim = thread::spawn(move || pop_and_die(&heap, &b, 1, 0));
        let consumer = thread::spawn(move || pop(&c));
        let mut popped = [pop(&a), consumer.join().unwrap()];
        popped.sort();
        assert_eq!(popped, [1, 2]);
        victim.join().unwrap();
        assert_works(&a);
    });
}

#[test]
fn the_unfinished_part_of_a_dead_consumers_batch_comes_again() {
    model(|| {
        let (heap, [a, b, c, _]) = ring(4);
        a.push_slice(&[1, 2, 3, 4]).unwrap();
        let victim = thread::spawn(move || pop_and_die(&heap, &b, 2, 1));
        let consumer = thread::spawn(move || pop(&c));
        let mut popped = vec![consumer.join().unwrap()];
        victim.join().unwrap();
        a.recover();
        popped.extend(drain(&a));
        popped.sort();
        assert!(popped == [2, 3, 4] || popped == [1, 3, 4], "{popped:?}");
        assert_works(&a);
    });
}

/// The slot of the dead is written anew, after all that was done in it before.
#[test]
fn the_slot_of_the_dead_is_used_again() {
    model(|| {
        let (heap, [a, b, c, d]) = ring(1);
        a.push(1).unwrap();
        let victim = thread::spawn({
            let heap = heap.clone();
            move || pop_and_die(&heap, &a, 1, 0)
        });
        assert_eq!(pop(&b), 1);
        b.push(2).unwrap();
        victim.join().unwrap();
        assert_eq!(pop(&c), 2); // the victim may have died with that one
        push_and_die(&heap, &c, &[3], 0);
        assert_works(&d);
    });
}

#[test]
fn two_survivors_recover_at_once() {
    model(|| {
        let (heap, [a, b, c, d]) = ring(4);
        d.push(1).unwrap();
        push_and_die(&heap, &a, &[2, 3], 1);
        let survivor = thread::spawn(move || {
            push(&b, 4);
            pop(&b)
        });
        let mut popped = [pop(&c), pop(&c), survivor.join().unwrap()];
        popped.sort();
        assert_eq!(popped, [1, 2, 4]);
        assert_works(&d);
    });
}

#[test]
fn a_slot_that_is_given_up_holds_nobody_up() {
    model(|| {
        let (_, [a, b, c, _]) = ring(2);
        let producer = thread::spawn(move || drop(a.reserve().unwrap()));
        let other = thread::spawn(move || push(&b, 2));
        assert_eq!(pop(&c), 2);
        producer.join().unwrap();
        other.join().unwrap();
        assert_works(&c);
    });
}

#[test]
fn a_value_that_is_given_back_comes_again() {
    model(|| {
        let (_, [a, b, c, _]) = ring(2);
        let producer = thread::spawn(move || a.push(1).unwrap());
        let consumer = thread::spawn(move || drop(b.lease()));
        assert_eq!(without_recovery(&c), Ok(1));
        producer.join().unwrap();
        consumer.join().unwrap();
        assert_works(&c);
    });
}

/// A pop that waits for the hint alone.
fn without_recovery(ring: &Handle) -> Result<u64, Refusal> {
    loop {
        match ring.pop() {
            Err(Refusal::Empty | Refusal::Busy) => thread::yield_now(),
            result => return result,
        }
    }
}

#[test]
fn a_place_that_changes_hands_is_not_blamed_for_the_dead() {
    model(|| {
        let (heap, [a, b, c, _]) = ring(2);
        push_and_die(&heap, &a, &[1], 0);
        let sweeper = thread::spawn(move || heap.occupy_again(1));
        let producer = thread::spawn(move || push(&b, 2));
        assert_eq!(pop(&c), 2);
        sweeper.join().unwrap();
        producer.join().unwrap();
        assert_works(&c);
    });
}

#[test]
fn a_place_that_changes_hands_is_not_blamed_for_a_dead_consumer() {
    model(|| {
        let (heap, [a, b, c, d]) = ring(2);
        d.push(1).unwrap();
        d.push(2).unwrap();
        pop_and_die(&heap, &a, 1, 0);
        let sweeper = thread::spawn(move || heap.occupy_again(1));
        let consumer = thread::spawn(move || pop(&b));
        let mut popped = [pop(&c), consumer.join().unwrap()];
        popped.sort();
        assert_eq!(popped, [1, 2]);
        sweeper.join().unwrap();
        assert_works(&d);
    });
}

#[test]
fn threads_that_share_a_handle_do_not_go_by_each_others_notes_too_early() {
    model(|| {
        let (heap, [a, _, c, _]) = ring(2);
        let shared = Arc::new(a);
        let thread = thread::spawn({
            let shared = shared.clone();
            move || shared.push(1).unwrap()
        });
        shared.push(2).unwrap();
        let mut popped = [pop(&c), pop(&c)];
        popped.sort();
        assert_eq!(popped, [1, 2]);
        thread.join().unwrap();
        heap.bury(1);
        assert_works(&c);
    });
}
