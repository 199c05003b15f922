use super::super::heap::{Heap, HeapSite};
use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

type Ends = (Writer<HeapSite<u64>>, Reader<HeapSite<u64>>);

fn ring_at(capacity: usize, position: u64) -> Ends {
    let heap = Heap::new(capacity, position);
    let producer = End::claim(heap.seen_by(1), capacity).ok().unwrap();
    let consumer = End::claim(heap.seen_by(2), capacity).ok().unwrap();
    (Writer::new(producer), Reader::new(consumer))
}

#[test]
fn the_exact_capacity_is_honoured() {
    for capacity in [1, 2, 3, 5, 7, 8, 100] {
        let (mut writer, mut reader) = ring_at(capacity, 0);
        for value in 0..capacity as u64 {
            writer.push(value).unwrap();
        }
        assert_eq!(writer.push(9), Err(TryPushError::Full(9)));
        assert_eq!(writer.end().len(), capacity as u64);
        assert_eq!(reader.pop(), Ok(0));
        writer.push(9).unwrap();
        assert_eq!(writer.push(9), Err(TryPushError::Full(9)));
    }
}

#[test]
fn an_aborted_reservation_pushes_nothing() {
    let (mut writer, mut reader) = ring_at(4, 0);
    let mut reserved = writer.reserve(3).unwrap();
    reserved.as_mut_slices().0.fill(7);
    let _ = reserved;
    assert_eq!(reader.pop(), Err(TryPopError::Empty));
}

#[test]
fn what_was_only_peeked_at_stays() {
    let (mut writer, mut reader) = ring_at(4, 0);
    writer.push_slice(&[1, 2, 3]).unwrap();
    let _ = reader.peek(2).unwrap();
    let peeked = reader.peek(9).unwrap();
    assert_eq!(peeked.as_slices().0, [1, 2, 3]);
    peeked.release(2);
    assert_eq!(reader.pop(), Ok(3));
}

#[test]
fn nothing_asked_for_is_always_granted() {
    let (mut writer, mut reader) = ring_at(1, 0);
    assert_eq!(reader.pop_slice(&mut []), Ok(0));
    writer.push(1).unwrap();
    assert_eq!(writer.push_slice(&[]), Ok(0));
    assert_eq!(writer.push_slice(&[2]), Err(TryPushError::Full(())));
}

#[derive(Clone, Debug)]
enum Step {
    Push,
    PushSlice(usize),
    Reserve(usize, usize),
    Pop,
    PopSlice(usize),
    Peek(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let n = 0..12usize;
    prop_oneof![
        Just(Step::Push),
        n.clone().prop_map(Step::PushSlice),
        (n.clone(), n.clone()).prop_map(|(max, keep)| Step::Reserve(max, keep)),
        Just(Step::Pop),
        n.clone().prop_map(Step::PopSlice),
        (n.clone(), n).prop_map(|(max, keep)| Step::Peek(max, keep)),
    ]
}

proptest! {
    #[test]
    fn behaves_like_a_bounded_vec_deque(
        capacity in 1..10usize,
        start in prop_oneof![0..20u64, u64::MAX - 40..=u64::MAX],
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let (mut writer, mut reader) = ring_at(capacity, start);
        let mut model = VecDeque::new();
        let mut next = 0u64..;
        for step in steps {
            let room = capacity - model.len();
            match step {
                Step::Push => {
                    let value = next.next().unwrap();
                    if room == 0 {
                        prop_assert_eq!(writer.push(value), Err(TryPushError::Full(value)));
                    } else {
                        prop_assert_eq!(writer.push(value), Ok(()));
                        model.push_back(value);
                    }
                }
                Step::PushSlice(n) => {
                    let values: Vec<u64> = next.by_ref().take(n).collect();
                    let expected = n.min(room);
                    if expected == 0 && n > 0 {
                        prop_assert_eq!(writer.push_slice(&values), Err(TryPushError::Full(())));
                    } else {
                        prop_assert_eq!(writer.push_slice(&values), Ok(expected));
                        model.extend(&values[..expected]);
                    }
                }
                Step::Reserve(max, keep) => {
                    if let Ok(mut reserved) = writer.reserve(max) {
                        prop_assert_eq!(reserved.len(), max.min(room));
                        let keep = keep.min(reserved.len());
                        let (a, b) = reserved.as_mut_slices();
                        let values: Vec<u64> = next.by_ref().take(a.len() + b.len()).collect();
                        a.copy_from_slice(&values[..a.len()]);
                        b.copy_from_slice(&values[a.len()..]);
                        model.extend(&values[..keep]);
                        reserved.commit(keep);
                    } else {
                        prop_assert!(room == 0 && max > 0);
                    }
                }
                Step::Pop => {
                    prop_assert_eq!(reader.pop().ok(), model.pop_front());
                }
                Step::PopSlice(n) => {
                    let mut out = vec![0; n];
                    let expected = n.min(model.len());
                    if expected == 0 && n > 0 {
                        prop_assert_eq!(reader.pop_slice(&mut out), Err(TryPopError::Empty));
                    } else {
                        prop_assert_eq!(reader.pop_slice(&mut out), Ok(expected));
                        let values: Vec<u64> = model.drain(..expected).collect();
                        prop_assert_eq!(&out[..expected], values);
                    }
                }
                Step::Peek(max, keep) => {
                    if let Ok(peeked) = reader.peek(max) {
                        let count = max.min(model.len());
                        prop_assert_eq!(peeked.len(), count);
                        let (a, b) = peeked.as_slices();
                        let seen: Vec<u64> = a.iter().chain(b).copied().collect();
                        let expected: Vec<u64> = model.iter().take(count).copied().collect();
                        prop_assert_eq!(seen, expected);
                        let keep = keep.min(count);
                        peeked.release(keep);
                        model.drain(..keep);
                    } else {
                        prop_assert!(model.is_empty() && max > 0);
                    }
                }
            }
            prop_assert_eq!(writer.end().len(), model.len() as u64);
            prop_assert_eq!(reader.end().len(), model.len() as u64);
        }
    }
}
