//! The ring on the heap, in one thread but for the last tests: participants die where it hurts.

use super::heap::{Heap, HeapSite};
use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;

type Handle = Ring<HeapSite<u64>>;

/// Positions to start from: at home, just before they wrap, and odd.
const STARTS: [u64; 4] = [0, (1 << 48) - 3, (1 << 47) - 2, 12345];

fn ring(capacity: usize, start: u64) -> (Arc<Heap<u64>>, [Handle; 3]) {
    let heap = Heap::new(capacity, start);
    let handles = [1, 2, 3].map(|number| heap.seen_by(number, capacity));
    (heap, handles)
}

fn drain(ring: &Handle) -> Vec<u64> {
    std::iter::from_fn(|| ring.pop().ok()).collect()
}

/// All of the capacity is there to be used, three times round.
fn assert_works(heap: &Arc<Heap<u64>>, capacity: usize) {
    let (a, b) = (heap.seen_by(4, capacity), heap.seen_by(5, capacity));
    assert_eq!(drain(&a), []);
    assert_eq!((a.len(), a.is_full(), b.pop()), (0, false, Err(Refusal::Empty)));
    for lap in 0..3 {
        let values: Vec<u64> = (0..capacity as u64).map(|n| 100 * lap + n).collect();
        for (n, value) in values.iter().enumerate() {
            let by = if n % 3 == 0 { &a } else { &b };
            assert_eq!((by.len(), by.push(*value)), (n, Ok(())));
        }
        assert_eq!((a.len(), a.is_full(), a.push(1)), (capacity, true, Err(Refusal::Full)));
        assert_eq!(drain(&b), values);
        assert_eq!((b.len(), b.is_full(), b.pop()), (0, false, Err(Refusal::Empty)));
    }
}

#[test]
fn values_come_out_in_order_from_any_position_with_any_capacity() {
    for start in STARTS {
        for capacity in [1, 2, 3, 4, 5, 7, 8, 127, 200] {
            let (heap, [a, b, _]) = ring(capacity, start);
            for n in 0..3 * capacity as u64 {
                a.push(n).unwrap();
                assert_eq!(b.pop(), Ok(n));
            }
            assert_works(&heap, capacity);
        }
    }
}

#[test]
fn zeroed_words_are_an_empty_ring() {
    let heap = Heap::<u64>::new(8, 0);
    assert!(heap.controls.iter().all(|control| control.load(Relaxed) == 0));
    assert_eq!(heap.words.head.word.load(Relaxed) | heap.words.tail.word.load(Relaxed), 0);
}

#[test]
fn batches_take_what_there_is() {
    for start in STARTS {
        let (heap, [a, b, _]) = ring(200, start);
        let values: Vec<u64> = (0..300).collect();
        assert_eq!(a.push_slice(&values[..13]), Ok(13));
        assert_eq!(b.push_slice(&values[13..]), Ok(187));
        assert_eq!(a.push_slice(&values), Err(Refusal::Full));
        assert_eq!(a.push_slice(&[]), Ok(0));
        let mut out = [0; 300];
        assert_eq!(a.pop_slice(&mut out[..7]), Ok(7));
        assert_eq!(b.pop_slice(&mut out[7..]), Ok(193));
        assert_eq!(out[..200], values[..200]);
        assert_eq!(b.pop_slice(&mut out), Err(Refusal::Empty));
        assert_eq!(b.pop_slice(&mut []), Ok(0));
        assert_works(&heap, 200);
    }
}

#[test]
fn a_slot_that_was_given_up_is_stepped_over() {
    for start in STARTS {
        let (heap, [a, b, _]) = ring(4, start);
        drop(a.reserve().unwrap());
        assert_eq!((b.len(), b.pop()), (0, Err(Refusal::Empty)));
        a.push(1).unwrap();
        drop(b.reserve().unwrap());
        a.push(2).unwrap();
        drop(a.reserve().unwrap());
        assert_eq!((a.len(), a.is_full(), a.push(3)), (2, true, Err(Refusal::Full)));
        assert_eq!((b.pop(), b.pop(), b.len()), (Ok(1), Ok(2), 0));
        assert!(!a.is_full());
        assert_works(&heap, 4);
    }
}

/// Nobody but producers is there, and whoever stepped over a slot died half way.
#[test]
fn producers_step_over_what_was_given_up() {
    for capacity in [3, 4] {
        let (heap, [a, b, _]) = ring(capacity, 0);
        a.push(1).unwrap();
        for _ in 1..capacity {
            drop(a.reserve().unwrap());
        }
        assert_eq!((b.pop(), b.len()), (Ok(1), 0));
        let freed = b.next_lap(b.lap(STEP));
        b.control(STEP).store(freed, Relaxed);
        for n in 0..capacity as u64 {
            a.push(n).unwrap();
        }
        assert_eq!(a.push(9), Err(Refusal::Full));
        assert_eq!(drain(&b), (0..capacity as u64).collect::<Vec<_>>());
        assert_works(&heap, capacity);
    }
}

#[test]
fn a_reservation_keeps_its_place() {
    let (heap, [a, b, _]) = ring(4, 0);
    let mut slot = a.reserve().unwrap();
    b.push(2).unwrap();
    assert_eq!(b.pop(), Err(Refusal::Busy));
    *slot = 1;
    slot.commit();
    assert_eq!((b.pop(), b.pop()), (Ok(1), Ok(2)));
    assert_works(&heap, 4);
}

#[test]
fn a_value_that_was_given_back_comes_again() {
    for start in STARTS {
        let (heap, [a, b, _]) = ring(4, start);
        a.push_slice(&[1, 2]).unwrap();
        let first = a.lease().unwrap();
        let second = b.lease().unwrap();
        assert_eq!((*first, *second, first.is_redelivered()), (1, 2, false));
        assert_eq!((a.len(), a.pop()), (0, Err(Refusal::Empty)));
        a.push_slice(&[3, 4]).unwrap();
        assert_eq!((a.push(5), a.is_full()), (Err(Refusal::Busy), false));
        drop(first);
        drop(second);
        assert_eq!((a.push(5), a.is_full()), (Err(Refusal::Full), true));
        assert_eq!(a.len(), 4);
        assert_eq!((b.pop(), b.pop()), (Ok(3), Ok(4)));
        assert_eq!(a.len(), 2);
        let mut again = [a.lease().unwrap(), b.lease().unwrap()];
        again.sort_by_key(|lease| **lease);
        let [one, two] = again;
        assert!((*one, *two) == (1, 2) && one.is_redelivered());
        one.release();
        drop(two);
        assert_eq!((a.len(), a.pop(), a.len()), (1, Ok(2), 0));
        assert_works(&heap, 4);
    }
}

/// Where a claimant dies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Tag {
    /// Its claim is in the index word alone.
    None,
    /// Another has claimed after it.
    ByTheNext,
    /// Another has claimed after it, and its place has a new occupant.
    Swept,
    /// Its place has a new occupant, and nobody has claimed since.
    SweptUntagged,
}

const TAGS: [Tag; 4] = [Tag::None, Tag::ByTheNext, Tag::Swept, Tag::SweptUntagged];

#[test]
fn a_dead_producers_slots_are_stepped_over() {
    for start in STARTS {
        for tag in TAGS {
            for claimed in [1, 2, 4] {
                for finished in 0..claimed {
                    let (heap, [a, b, _]) = ring(8, start);
                    a.push(1).unwrap();
                    let claim = a.claim::<PRODUCER>(claimed).unwrap();
                    assert_eq!(claim.count, claimed);
                    for nth in 0..finished {
                        // SAFETY: a slot in bounds that is ours.
                        unsafe { a.site.writing(a.index(claim.nth(nth))).write(2) };
                        a.put(claim.nth(nth), a.lap(claim.nth(nth)) | FULL);
                    }
                    if matches!(tag, Tag::ByTheNext | Tag::Swept) {
                        b.push(3).unwrap();
                    }
                    assert_eq!(b.recover(), 0, "recovered from the living");
                    heap.bury(1);
                    if matches!(tag, Tag::Swept | Tag::SweptUntagged) {
                        heap.occupy_again(1);
                    }
                    assert_eq!(b.recover(), claimed - finished, "{tag:?}");
                    assert_eq!(b.recover(), 0);
                    let tagged = matches!(tag, Tag::ByTheNext | Tag::Swept);
                    let mut left = vec![1];
                    left.extend(vec![2; finished]);
                    left.extend(tagged.then_some(3));
                    assert_eq!(b.len(), left.len(), "{tag:?}");
                    assert_eq!(drain(&b), left);
                    assert_works(&heap, 8);
                }
            }
        }
    }
}

#[test]
fn a_dead_consumers_values_come_again() {
    for start in STARTS {
        for tag in TAGS {
            for claimed in [1, 2, 4] {
                for finished in 0..claimed {
                    let (heap, [a, b, _]) = ring(8, start);
                    a.push_slice(&[1, 2, 3, 4, 5, 6]).unwrap();
                    let claim = a.claim::<CONSUMER>(claimed).unwrap();
                    for nth in 0..finished {
                        a.put(claim.nth(nth), a.next_lap(a.lap(claim.nth(nth))));
                    }
                    let tagged = matches!(tag, Tag::ByTheNext | Tag::Swept);
                    if tagged {
                        assert_eq!(b.pop(), Ok(claimed as u64 + 1));
                    }
                    assert_eq!(b.recover(), 0, "recovered from the living");
                    heap.bury(1);
                    if matches!(tag, Tag::Swept | Tag::SweptUntagged) {
                        heap.occupy_again(1);
                    }
                    assert_eq!(b.recover(), claimed - finished, "{tag:?}");
                    assert_eq!(b.recover(), 0);
                    let first_left = claimed + usize::from(tagged);
                    let mut left: Vec<u64> = (first_left as u64 + 1..=6).collect();
                    left.extend(finished as u64 + 1..=claimed as u64);
                    assert_eq!(b.len(), left.len());
                    let mut popped = drain(&b);
                    popped[6 - first_left..].sort();
                    assert_eq!(popped, left, "{tag:?}");
                    assert_works(&heap, 8);
                }
            }
        }
    }
}

/// A value that was given back, taken again, and left by its second consumer too.
#[test]
fn a_value_survives_several_consumers() {
    let (heap, [a, b, c]) = ring(2, 0);
    c.push(7).unwrap();
    a.claim_value(1).unwrap();
    heap.bury(1);
    assert_eq!(b.recover(), 1);
    let lease = std::mem::ManuallyDrop::new(b.lease().unwrap());
    assert!(**lease == 7 && lease.is_redelivered());
    assert_eq!((c.recover(), c.len(), c.pop()), (0, 0, Err(Refusal::Empty)));
    heap.bury(2);
    heap.occupy_again(2);
    assert_eq!((c.recover(), c.len(), c.pop()), (1, 1, Ok(7)));
    assert_works(&heap, 2);
}

/// Who steps over a slot names the consumer that the head has named.
#[test]
fn a_step_keeps_the_name_of_a_dead_consumer() {
    let (heap, [a, b, c]) = ring(4, 0);
    a.push(1).unwrap();
    let slot = a.reserve().unwrap();
    a.push(2).unwrap();
    drop(slot);
    b.claim::<CONSUMER>(1).unwrap();
    assert_eq!(c.pop(), Ok(2));
    heap.bury(2);
    assert_eq!((c.recover(), c.pop()), (1, Ok(1)));
    assert_works(&heap, 4);
}

/// A value that was taken out of turn is not taken for the claim of a dead one that the head names.
#[test]
fn who_takes_a_value_again_is_not_taken_for_the_dead() {
    let (heap, [a, b, c]) = ring(4, 0);
    c.push_slice(&[1, 2]).unwrap();
    a.claim::<CONSUMER>(1).unwrap();
    heap.bury(1);
    heap.occupy_again(1);
    assert_eq!((b.recover(), b.pop()), (1, Ok(2)));
    c.push(3).unwrap();
    c.claim::<CONSUMER>(1).unwrap();
    heap.bury(3);
    heap.occupy_again(3);
    assert_eq!(b.recover(), 1);
    let leases = [b.lease().unwrap(), b.lease().unwrap()];
    assert_eq!(c.recover(), 0, "stolen from the living");
    a.push(4).unwrap();
    assert_eq!((a.pop(), a.recover()), (Ok(4), 0));
    leases.into_iter().for_each(Leased::release);
    assert_works(&heap, 4);
}

/// Where there are slots to spare.
#[test]
fn what_came_back_is_there_beside_as_many_as_the_ring_holds() {
    let (heap, [a, b, _]) = ring(5, 0);
    a.push(0).unwrap();
    drop(b.lease().unwrap());
    assert_eq!((a.push_slice(&[1, 2, 3, 4, 5, 6]), a.len()), (Ok(5), 6));
    assert_eq!(drain(&b), [1, 2, 3, 4, 5, 0]);
    assert_works(&heap, 5);
}

/// The hint that a value was given back is lost with who has taken it down.
#[test]
fn recovery_finds_what_the_hint_has_lost() {
    let (heap, [a, b, _]) = ring(2, 0);
    a.push(7).unwrap();
    drop(a.lease().unwrap());
    heap.words.scars.returned.store(0, Relaxed);
    assert_eq!(b.pop(), Err(Refusal::Empty));
    assert_eq!(b.recover(), 0);
    assert_eq!((b.len(), b.pop()), (1, Ok(7)));
    // And whoever is refused often enough does that by itself.
    a.push(8).unwrap();
    drop(a.lease().unwrap());
    heap.words.scars.returned.store(0, Relaxed);
    assert!((0..10_000).any(|_| b.pop() == Ok(8)));
    assert_works(&heap, 2);
}

#[test]
fn whoever_is_refused_often_recovers() {
    let (heap, [a, b, c]) = ring(2, 0);
    a.claim::<PRODUCER>(1).unwrap();
    b.push(1).unwrap();
    heap.bury(1);
    assert_eq!(b.pop(), Err(Refusal::Busy));
    assert!((0..10_000).any(|_| b.pop() == Ok(1)));
    a.push(2).unwrap();
    b.push(3).unwrap();
    b.claim::<CONSUMER>(1).unwrap();
    heap.bury(2);
    assert_eq!(c.pop(), Ok(3));
    assert!((0..10_000).any(|_| c.pop() == Ok(2)));
    assert_works(&heap, 2);
}

/// A process has read the tail, and is stopped; the one named there dies, and its place has a new
/// occupant; then the tag comes.
#[test]
fn a_late_tag_does_not_name_the_next_occupant_for_long() {
    for role in [PRODUCER, CONSUMER] {
        for push_on in [false, true] {
            let (heap, [a, b, c]) = ring(4, 0);
            if role == CONSUMER {
                c.push_slice(&[1, 2]).unwrap();
                a.claim::<CONSUMER>(1).unwrap();
            } else {
                a.claim::<PRODUCER>(1).unwrap();
            }
            let late = heap.words.of_role(role).load(Relaxed);
            heap.bury(1);
            heap.occupy_again(1);
            if role == CONSUMER {
                b.tag::<CONSUMER>(late)
            } else {
                b.tag::<PRODUCER>(late)
            }
            if push_on {
                c.push(3).unwrap();
                assert_eq!(c.pop(), if role == CONSUMER { Ok(2) } else { Err(Refusal::Busy) });
            }
            assert_eq!(c.recover(), 1);
            let mut left = drain(&c);
            left.sort();
            assert_eq!(left.contains(&1), role == CONSUMER);
            assert_eq!(left.contains(&3), push_on);
            assert_works(&heap, 4);
        }
    }
}

impl Words {
    fn of_role(&self, role: bool) -> &AtomicU64 {
        if role == PRODUCER { self.of::<PRODUCER>() } else { self.of::<CONSUMER>() }
    }
}

/// A tag of a batch was cut short, so that recovery meets its last slot first.
#[test]
fn recovery_finds_the_untagged_part_of_a_batch() {
    let (heap, [a, b, _]) = ring(8, 0);
    b.push_slice(&[1, 2]).unwrap();
    let claim = a.claim::<PRODUCER>(4).unwrap();
    let last = claim.nth(3);
    a.control(last).store(a.lap(last) | WRITING | 1 << OWNER_SHIFT, Relaxed);
    heap.bury(1);
    assert_eq!(b.recover(), 4);
    assert_eq!(drain(&b), [1, 2]);
    assert_works(&heap, 8);
}

/// While somebody recovers, a producer claims a batch and dies, and who tags that dies half way; then
/// a third goes by the slot that was tagged.
#[test]
fn recovery_tags_all_of_a_batch_before_it_is_done_with_a_part() {
    let (heap, [a, b, c]) = ring(8, 0);
    let slot = b.reserve().unwrap();
    b.push(1).unwrap(); // so that the slot before is tagged, and its owner asked about
    let others = heap.clone();
    *heap.meanwhile.lock().unwrap() = Some(Box::new(move || {
        let claim = a.claim::<PRODUCER>(2).unwrap();
        let last = claim.nth(1);
        a.control(last).store(a.lap(last) | WRITING | 1 << OWNER_SHIFT, Relaxed);
        others.bury(1);
    }));
    assert_eq!(c.recover(), 1);
    c.push(2).unwrap();
    slot.commit();
    c.recover();
    assert_eq!(drain(&c)[1..], [1, 2]);
    assert_works(&heap, 8);
}

#[test]
fn any_words_are_an_answer() {
    let mut seed = 7u64;
    let mut random = move || {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        seed.rotate_right(29) ^ seed
    };
    for case in 0..20_000 {
        let capacity = [1, 3, 4, 8][case % 4];
        let (heap, [a, b, _]) = ring(capacity, 0);
        let near = |word: u64| match word % 4 {
            0 => word,
            1 => word & 0x7_ffff,
            2 => word >> 48 << 16 | (word & 0x1f),
            _ => ((word % 24) << 16) | (word & 7),
        };
        let words = [&heap.words.head.word, &heap.words.tail.word, &heap.words.scars.last_void];
        words.into_iter().chain(&*heap.controls).for_each(|word| {
            word.store(near(random()), Relaxed);
        });
        heap.words.scars.returned.store(random() as u32 & 1, Relaxed);
        let mut out = [0; 5];
        for _ in 0..4 {
            assert!(a.push_slice(&[1; 5]).unwrap_or(0) <= 5);
            assert!(b.pop_slice(&mut out).unwrap_or(0) <= 5);
            let _ = (a.push(1), b.pop(), a.reserve().map(drop), b.lease().map(drop));
            assert!(a.len() <= capacity.next_power_of_two());
            let _ = (a.is_full(), b.recover());
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Push(usize),
    Pop(usize),
    Reserve(bool),
    Lease(bool),
}

fn op() -> impl Strategy<Value = (usize, Op)> {
    let op = prop_oneof![
        (0..9usize).prop_map(Op::Push),
        (0..9usize).prop_map(Op::Pop),
        any::<bool>().prop_map(Op::Reserve),
        any::<bool>().prop_map(Op::Lease),
    ];
    (0..3usize, op)
}

proptest! {
    /// Against a deque, one operation at a time. `None` is a slot that was given up.
    #[test]
    fn behaves_as_a_bounded_deque(
        capacity in 1..12usize,
        start in prop::sample::select(STARTS.to_vec()),
        ops in prop::collection::vec(op(), 0..200),
    ) {
        let (heap, handles) = ring(capacity, start);
        let mut model: VecDeque<Option<u64>> = VecDeque::new();
        let mut next = 0;
        for (by, op) in ops {
            let ring = &handles[by];
            while model.front() == Some(&None) {
                model.pop_front();
            }
            let room = capacity - model.len();
            match op {
                Op::Push(count) => {
                    let values: Vec<u64> = (next..next + count as u64).collect();
                    let fits = count.min(room);
                    let expected = if fits == 0 && count > 0 { Err(Refusal::Full) } else { Ok(fits) };
                    prop_assert_eq!(ring.push_slice(&values), expected);
                    model.extend(values[..fits].iter().copied().map(Some));
                    next += count as u64;
                }
                Op::Pop(count) => {
                    let mut out = vec![0; count];
                    let popped = ring.pop_slice(&mut out).unwrap_or(0);
                    let mut expected = Vec::new();
                    while expected.len() < count && let Some(value) = model.pop_front() {
                        expected.extend(value);
                    }
                    prop_assert_eq!(&out[..popped], &expected[..]);
                }
                Op::Reserve(commit) => match ring.reserve() {
                    Ok(mut slot) => {
                        prop_assert!(room > 0);
                        *slot = next;
                        model.push_back(commit.then_some(next));
                        next += 1;
                        if commit {
                            slot.commit();
                        }
                    }
                    Err(why) => prop_assert_eq!((why, room), (Refusal::Full, 0)),
                },
                Op::Lease(release) => match ring.lease() {
                    Ok(lease) => {
                        prop_assert_eq!(Some(Some(*lease)), model.pop_front());
                        if release {
                            lease.release();
                        } else {
                            // Given back, and taken by the next one in need.
                            let value = *lease;
                            drop(lease);
                            let others: Vec<u64> = drain(ring);
                            let mut all: Vec<u64> = model.drain(..).flatten().collect();
                            all.push(value);
                            prop_assert_eq!(others, all);
                        }
                    }
                    Err(why) => prop_assert_eq!((why, model.len()), (Refusal::Empty, 0)),
                },
            }
            prop_assert_eq!(ring.len(), model.iter().flatten().count());
        }
        drain(&handles[0]);
        assert_works(&heap, capacity);
    }
}

/// Threads with handles of their own and with a shared one: each value once, those of a producer in
/// order.
#[test]
fn threads_move_everything_once_and_in_order() {
    const EACH: u64 = 30_000;
    const PRODUCERS: u64 = 3;
    let heap = Heap::<u64>::new(24, (1 << 48) - 1000);
    let shared = heap.seen_by(1, 24);
    let left = AtomicU64::new(PRODUCERS * EACH);
    let produce = |ring: &Handle, producer: u64| {
        let mut next = 0;
        while next < EACH {
            let end = EACH.min(next + 1 + next % 7);
            let batch: Vec<u64> = (next..end).map(|n| producer << 32 | n).collect();
            match ring.push_slice(&batch) {
                Ok(count) => next += count as u64,
                Err(Refusal::Full | Refusal::Busy) => std::thread::yield_now(),
                Err(why) => panic!("{why:?}"),
            }
        }
    };
    let consume = |ring: &Handle| {
        let (mut popped, mut out) = (Vec::new(), [0; 9]);
        while left.load(Relaxed) > 0 {
            match ring.pop_slice(&mut out[..1 + popped.len() % 9]) {
                Ok(count) => {
                    popped.extend_from_slice(&out[..count]);
                    left.fetch_sub(count as u64, Relaxed);
                }
                Err(Refusal::Empty | Refusal::Busy) => std::thread::yield_now(),
                Err(why) => panic!("{why:?}"),
            }
        }
        popped
    };
    let popped: Vec<Vec<u64>> = std::thread::scope(|scope| {
        scope.spawn(|| produce(&shared, 0));
        scope.spawn(|| produce(&shared, 1));
        scope.spawn(|| produce(&heap.seen_by(2, 24), 2));
        let consumers = [
            scope.spawn(|| consume(&shared)),
            scope.spawn(|| consume(&heap.seen_by(3, 24))),
            scope.spawn(|| consume(&heap.seen_by(4, 24))),
        ];
        consumers.map(|consumer| consumer.join().unwrap()).into()
    });
    for own in &popped {
        for producer in 0..PRODUCERS {
            assert!(own.iter().filter(|value| **value >> 32 == producer).is_sorted());
        }
    }
    let mut all = popped.concat();
    all.sort();
    assert!(all.into_iter().eq((0..PRODUCERS).flat_map(|p| (0..EACH).map(move |n| p << 32 | n))));
    assert_works(&heap, 24);
}
