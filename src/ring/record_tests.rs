use super::super::heap::{Heap, HeapSite};
use super::*;
use crate::sync::Ordering::Relaxed;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;

type Ends = (Writer<HeapSite<u64>>, Reader<HeapSite<u64>>);

fn ring_on(heap: &Arc<Heap<u64>>) -> Ends {
    let words = heap.seen_by(1).slot_count();
    let producer = End::claim(heap.seen_by(1), words).ok().unwrap();
    let consumer = End::claim(heap.seen_by(2), words).ok().unwrap();
    (Writer::new(producer), Reader::new(consumer))
}

fn ring_at(words: usize, position: u64) -> Ends {
    ring_on(&Heap::new(words, position))
}

fn send(writer: &Writer<HeapSite<u64>>, bytes: &[u8]) -> Result<(), TryReserveError> {
    let mut room = writer.reserve(bytes.len())?;
    room.copy_from_slice(bytes);
    room.commit(bytes.len());
    Ok(())
}

#[test]
fn the_longest_record_fits_at_every_index_of_an_empty_ring() {
    for words in [2, 4, 8, 64] {
        for start in 0..words as u64 {
            let (writer, reader) = ring_at(words, start);
            let longest = vec![7; writer.max_record_bytes()];
            for _ in 0..3 {
                send(&writer, &longest).unwrap();
                assert_eq!(*reader.receive().unwrap(), *longest);
            }
        }
    }
}

#[test]
fn a_record_that_can_never_fit_is_refused_at_once() {
    let (writer, _reader) = ring_at(8, 0);
    assert_eq!(writer.reserve(25).err(), Some(TryReserveError::TooLarge { max_bytes: 24 }));
}

#[test]
fn staged_records_appear_together() {
    let (writer, mut reader) = ring_at(16, 13);
    for byte in 0..3u8 {
        let mut room = writer.reserve(4).unwrap();
        room.fill(byte);
        room.set_flags(u32::from(byte) + 10);
        room.stage(4);
        assert_eq!(reader.receive().err(), Some(TryPopError::Empty));
    }
    writer.publish();
    let mut seen = Vec::new();
    assert_eq!(reader.drain(9, |bytes, flags| seen.push((bytes.to_vec(), flags))), Ok(3));
    assert_eq!(seen, [(vec![0; 4], 10), (vec![1; 4], 11), (vec![2; 4], 12)]);
    assert_eq!(reader.drain(9, |_, _| ()), Err(TryPopError::Empty));
}

#[test]
fn a_full_ring_shows_what_was_staged() {
    let (writer, mut reader) = ring_at(4, 0);
    for _ in 0..2 {
        writer.reserve(8).unwrap().stage(8);
    }
    assert_eq!(writer.reserve(8).err(), Some(TryReserveError::Full));
    assert_eq!(reader.drain(9, |_, _| ()), Ok(2));
}

#[test]
fn an_aborted_record_was_never_there() {
    let (writer, reader) = ring_at(8, 7);
    writer.reserve(20).unwrap().fill(1);
    send(&writer, b"next").unwrap();
    assert_eq!(*reader.receive().unwrap(), *b"next");
}

#[test]
fn a_kept_record_is_received_again() {
    let (writer, reader) = ring_at(8, 0);
    send(&writer, b"again").unwrap();
    reader.receive().unwrap().keep();
    assert_eq!(*reader.receive().unwrap(), *b"again");
    assert_eq!(reader.receive().err(), Some(TryPopError::Empty));
}

#[test]
fn fragments_use_what_is_free_and_never_less_than_asked() {
    let (writer, reader) = ring_at(16, 0);
    assert_eq!(writer.reserve_up_to(1, 1000).unwrap().len(), 56);
    send(&writer, &[1; 56]).unwrap();
    send(&writer, &[2; 40]).unwrap();
    // Two words are left behind.
    assert_eq!(writer.reserve_up_to(9, 56).err(), Some(TryReserveError::Full));
    assert_eq!(writer.reserve_up_to(0, 56).unwrap().len(), 8);
    drop(reader.receive().unwrap());
    // Eight more in front: with at least 9 bytes the record goes there.
    let room = writer.reserve_up_to(9, 56).unwrap();
    assert_eq!((room.skip, room.len()), (2, 56));
}

#[test]
fn a_panic_in_drain_releases_what_was_shown() {
    let (writer, mut reader) = ring_at(16, 0);
    for byte in 0..3 {
        send(&writer, &[byte]).unwrap();
    }
    let shown = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        reader.drain(9, |bytes, _| assert_ne!(bytes, [1]))
    }));
    assert!(shown.is_err());
    assert_eq!(*reader.receive().unwrap(), [2]);
}

#[test]
fn a_corrupt_length_is_told_and_not_followed() {
    for (index, published, word) in [
        (0, 2, u64::from(PAD)),     // padding at index 0 would fill the ring
        (3, 2, u64::from(PAD)),     // nothing behind the padding
        (0, 2, 9),                  // ends behind what is published
        (7, 8, 1),                  // runs over the end of the memory
        (0, 8, u64::from(PAD - 1)), // longer than anything
        (0, 8, u64::MAX),
    ] {
        let heap = Heap::new(8, index);
        let (writer, mut reader) = ring_on(&heap);
        // SAFETY: a test in one thread.
        unsafe { writer.end().site().writing(index as usize, 1).write(word) };
        heap.indices.producer.position.store(index + published, Relaxed);
        for _ in 0..2 {
            assert_eq!(reader.receive().err(), Some(TryPopError::Corrupt));
            assert_eq!(reader.drain(3, |_, _| ()), Err(TryPopError::Corrupt));
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    Shrink(usize, usize),
    Stage(usize),
    Publish,
    UpTo(usize, usize),
    Abort(usize),
    Receive,
    Keep,
    Drain(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let n = 0..60usize;
    prop_oneof![
        3 => n.clone().prop_map(Step::Send),
        1 => (n.clone(), n.clone()).prop_map(|(max, keep)| Step::Shrink(max, keep)),
        2 => n.clone().prop_map(Step::Stage),
        1 => Just(Step::Publish),
        1 => (n.clone(), n.clone()).prop_map(|(min, max)| Step::UpTo(min, max)),
        1 => n.prop_map(Step::Abort),
        3 => Just(Step::Receive),
        1 => Just(Step::Keep),
        1 => (0..4usize).prop_map(Step::Drain),
    ]
}

proptest! {
    #[test]
    fn behaves_like_a_queue_of_byte_strings(
        words_log in 1..7u32,
        start in prop_oneof![0..64u64, u64::MAX - 64..=u64::MAX],
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let (writer, mut reader) = ring_at(1 << words_log, start);
        let mut model: VecDeque<(Vec<u8>, u32)> = VecDeque::new();
        let mut staged: Vec<(Vec<u8>, u32)> = Vec::new();
        let mut count = 0u32;
        for step in steps {
            count += 1;
            let (reserved, keep, publish) = match step {
                Step::Send(n) => (Some(writer.reserve(n)), n, true),
                Step::Shrink(n, keep) => (Some(writer.reserve(n)), keep, true),
                Step::Stage(n) => (Some(writer.reserve(n)), n, false),
                Step::UpTo(min, max) => (Some(writer.reserve_up_to(min, max)), max, true),
                Step::Abort(n) => { let _ = writer.reserve(n); (None, 0, false) }
                Step::Publish => {
                    writer.publish();
                    model.extend(staged.drain(..));
                    (None, 0, false)
                }
                _ => (None, 0, false),
            };
            match reserved {
                Some(Ok(mut room)) => {
                    let bytes: Vec<u8> = (0..room.len()).map(|i| (count as usize + i) as u8).collect();
                    room.copy_from_slice(&bytes);
                    room.set_flags(count);
                    staged.push((bytes[..keep.min(bytes.len())].to_vec(), count));
                    if publish {
                        room.commit(keep);
                        model.extend(staged.drain(..));
                    } else {
                        room.stage(keep);
                    }
                }
                Some(Err(TryReserveError::Full)) => {
                    prop_assert!(!model.is_empty() || !staged.is_empty());
                    model.extend(staged.drain(..));
                }
                Some(Err(TryReserveError::TooLarge { max_bytes })) => {
                    prop_assert_eq!(max_bytes, writer.max_record_bytes());
                }
                Some(Err(why)) => prop_assert!(false, "{}", why),
                None => {}
            }
            // An abort in a full ring publishes too: both sides know it by what is staged.
            if writer.staged.get() == 0 {
                model.extend(staged.drain(..));
            }
            match step {
                Step::Receive => match reader.receive() {
                    Ok(record) => {
                        let (bytes, flags) = model.pop_front().unwrap();
                        prop_assert_eq!((&*record, record.flags()), (&*bytes, flags));
                    }
                    Err(why) => prop_assert!(why == TryPopError::Empty && model.is_empty()),
                },
                Step::Keep => match reader.receive() {
                    Ok(record) => {
                        prop_assert_eq!(&*record, &*model[0].0);
                        record.keep();
                    }
                    Err(why) => prop_assert!(why == TryPopError::Empty && model.is_empty()),
                },
                Step::Drain(max) => {
                    let mut seen = Vec::new();
                    let shown = reader.drain(max, |bytes, flags| seen.push((bytes.to_vec(), flags)));
                    let expected: Vec<_> = model.drain(..max.min(model.len())).collect();
                    prop_assert_eq!(shown.unwrap_or(0), expected.len());
                    prop_assert_eq!(seen, expected);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn random_memory_is_an_error_or_bounded_garbage(
        memory in prop::array::uniform8(any::<u64>()),
        small in prop::array::uniform8(0..80u64),
        mix in any::<u8>(),
        head in any::<u64>(),
        ready in 0..10u64,
    ) {
        let heap = Heap::new(8, head);
        let (writer, reader) = ring_on(&heap);
        for i in 0..8 {
            let word = if mix >> i & 1 == 0 { memory[i] } else { small[i] };
            // SAFETY: a test in one thread.
            unsafe { writer.end().site().writing(i, 1).write(word) };
        }
        heap.indices.producer.position.store(head.wrapping_add(ready), Relaxed);
        // Each record takes a word at least, so that eight calls come to an end or an error.
        let mut bytes = 0;
        let outcome = (0..10).find_map(|_| match reader.receive() {
            Ok(record) => { bytes += record.len(); None }
            Err(why) => Some(why),
        });
        prop_assert!(matches!(outcome, Some(TryPopError::Empty | TryPopError::Corrupt)));
        prop_assert!(bytes <= 56);
    }
}
