//! Every interleaving of two ends of a ring, for a few operations each.
//!
//! A part of the library's own tests, because the ends and their heap are nobody else's business.
//! The slots are followed by the model (`heap.rs`): reading one that is not ordered after its
//! writing, or writing one that is not ordered after its reading, is a failure by itself.

use super::end::{End, Stop};
use super::error::{TryPopError, TryPushError, TryReserveError};
use super::heap::{Heap, HeapSite};
use super::indices::{CONSUMER, PRODUCER};
use super::{record, spsc};
use crate::region::id::ParticipantId;
use bytemuck::Pod;
use loom::thread;
use std::sync::Arc;

fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.check(f);
}

fn producer<T: Pod>(heap: &Arc<Heap<T>>, capacity: usize) -> End<HeapSite<T>, PRODUCER> {
    End::claim(heap.seen_by(1), capacity).ok().unwrap()
}

fn consumer<T: Pod>(heap: &Arc<Heap<T>>, capacity: usize) -> End<HeapSite<T>, CONSUMER> {
    End::claim(heap.seen_by(2), capacity).ok().unwrap()
}

fn push<T: Pod>(writer: &mut spsc::Writer<HeapSite<T>>, value: T) {
    while let Err(TryPushError::Full(_)) = writer.push(value) {
        thread::yield_now();
    }
}

fn pop<T: Pod>(reader: &mut spsc::Reader<HeapSite<T>>) -> Option<T> {
    loop {
        match reader.pop() {
            Ok(value) => return Some(value),
            Err(TryPopError::Empty) => thread::yield_now(),
            Err(TryPopError::Disconnected) => return None,
            Err(why) => panic!("{why}"),
        }
    }
}

#[test]
fn pop_sees_whole_values_in_push_order() {
    model(|| {
        let heap = Heap::<[u64; 2]>::new(2, 0);
        let mut writer = spsc::Writer::new(producer(&heap, 2));
        let mut reader = spsc::Reader::new(consumer(&heap, 2));
        let thread = thread::spawn(move || {
            push(&mut writer, [1, 1]);
            push(&mut writer, [2, 2]);
        });
        assert_eq!(pop(&mut reader), Some([1, 1]));
        assert_eq!(pop(&mut reader), Some([2, 2]));
        thread.join().unwrap();
    });
}

#[test]
fn a_slot_is_written_again_only_after_it_was_read() {
    model(|| {
        let heap = Heap::<u64>::new(1, u64::MAX);
        let mut writer = spsc::Writer::new(producer(&heap, 1));
        let mut reader = spsc::Reader::new(consumer(&heap, 1));
        let thread = thread::spawn(move || (1..4).for_each(|value| push(&mut writer, value)));
        for value in 1..4 {
            assert_eq!(pop(&mut reader), Some(value));
        }
        thread.join().unwrap();
    });
}

#[test]
fn a_batch_appears_as_a_whole() {
    model(|| {
        let heap = Heap::<u64>::new(3, 2);
        let mut writer = spsc::Writer::new(producer(&heap, 3));
        let mut reader = spsc::Reader::new(consumer(&heap, 3));
        let thread = thread::spawn(move || {
            assert_eq!(writer.push_slice(&[1, 2, 3]), Ok(3));
            let mut reserved = loop {
                match writer.reserve(1) {
                    Ok(_) => break writer.reserve(1).unwrap(),
                    Err(_) => thread::yield_now(),
                }
            };
            reserved.as_mut_slices().0[0] = 4;
            reserved.commit(1);
        });
        let mut seen = [0; 4];
        while reader.peek(1).is_err() {
            thread::yield_now();
        }
        assert_eq!(reader.pop_slice(&mut seen[..3]), Ok(3));
        seen[3] = pop(&mut reader).unwrap();
        assert_eq!(seen, [1, 2, 3, 4]);
        thread.join().unwrap();
    });
}

#[test]
fn the_end_of_the_stream_comes_after_the_last_value() {
    model(|| {
        let heap = Heap::<u64>::new(2, 0);
        let mut writer = spsc::Writer::new(producer(&heap, 2));
        let mut reader = spsc::Reader::new(consumer(&heap, 2));
        let thread = thread::spawn(move || {
            writer.push(1).unwrap();
            writer.end().close();
        });
        assert_eq!(pop(&mut reader), Some(1));
        assert_eq!(pop(&mut reader), None);
        thread.join().unwrap();
    });
}

#[test]
fn a_probe_that_finds_the_end_closed_comes_after_the_last_value() {
    model(|| {
        let heap = Heap::<u64>::new(2, 0);
        let mut writer = spsc::Writer::new(producer(&heap, 2));
        let mut reader = spsc::Reader::new(consumer(&heap, 2));
        let thread = thread::spawn(move || {
            writer.push(1).unwrap();
            writer.end().close();
        });
        if reader.end().probe_peer() {
            assert_eq!(reader.pop(), Ok(1));
        }
        thread.join().unwrap();
    });
}

#[test]
fn what_the_dead_have_published_is_read_before_the_end() {
    model(|| {
        let heap = Heap::<u64>::new(2, 0);
        let mut writer = spsc::Writer::new(producer(&heap, 2));
        let mut reader = spsc::Reader::new(consumer(&heap, 2));
        let thread = thread::spawn({
            let heap = heap.clone();
            move || {
                writer.push(1).unwrap();
                heap.bury(1);
            }
        });
        while !reader.end().probe_peer() {
            thread::yield_now();
        }
        assert_eq!(reader.pop(), Ok(1));
        assert_eq!(reader.pop(), Err(TryPopError::Disconnected));
        thread.join().unwrap();
    });
}

#[test]
fn an_end_that_was_given_away_goes_on_where_it_stopped() {
    model(|| {
        let heap = Heap::<u64>::new(2, 0);
        let mut writer = spsc::Writer::new(producer(&heap, 2));
        let mut reader = spsc::Reader::new(consumer(&heap, 2));
        let giver = thread::spawn(move || {
            writer.push(1).unwrap();
            writer.end().give(ParticipantId::new(3, 1)).unwrap();
            // A handle that is no longer the owner closes nothing.
            writer.end().close();
        });
        let resume = || End::resume(heap.seen_by(3), 2, ParticipantId::new(3, 1));
        let mut end = resume();
        while end.is_err() {
            thread::yield_now();
            end = resume();
        }
        let mut writer = spsc::Writer::new(end.ok().unwrap());
        writer.push(2).unwrap();
        writer.end().close();
        assert_eq!(pop(&mut reader), Some(1));
        assert_eq!(pop(&mut reader), Some(2));
        assert_eq!(pop(&mut reader), None);
        giver.join().unwrap();
    });
}

#[test]
fn a_gift_taken_back_stays_open_only_for_a_handle_that_lives() {
    model(|| {
        let heap = Heap::<u64>::new(1, 0);
        let giver = producer(&heap, 1);
        let reader = consumer(&heap, 1);
        let gift = giver.give(ParticipantId::new(3, 1)).ok().unwrap();
        let thread = thread::spawn({
            let heap = heap.clone();
            move || gift.take_back(&heap.indices)
        });
        drop(giver);
        thread.join().unwrap();
        assert_eq!(reader.available(1), Err(Stop::Disconnected));
    });
}

fn send(writer: &mut record::Writer<HeapSite<u64>>, byte: u8, commit: bool) {
    loop {
        match writer.reserve(8) {
            Ok(mut room) => {
                room.fill(byte);
                room.set_flags(u32::from(byte));
                return if commit { room.commit(8) } else { room.stage(8) };
            }
            Err(TryReserveError::Full) => thread::yield_now(),
            Err(why) => panic!("{why}"),
        }
    }
}

fn receive(reader: &mut record::Reader<HeapSite<u64>>) -> Option<(u8, u32)> {
    loop {
        match reader.receive() {
            Ok(record) => {
                assert!(record.iter().all(|&byte| byte == record[0]));
                return Some((record[0], record.flags()));
            }
            Err(TryPopError::Empty) => thread::yield_now(),
            Err(TryPopError::Disconnected) => return None,
            Err(why) => panic!("{why}"),
        }
    }
}

#[test]
fn records_arrive_whole_and_in_order_over_the_wrap() {
    model(|| {
        // Four words: the first record needs a word of padding, the second one its place.
        let heap = Heap::<u64>::new(4, 3);
        let mut writer = record::Writer::new(producer(&heap, 4));
        let mut reader = record::Reader::new(consumer(&heap, 4));
        let thread = thread::spawn(move || {
            send(&mut writer, 1, true);
            send(&mut writer, 2, true);
            writer.end().close();
        });
        assert_eq!(receive(&mut reader), Some((1, 1)));
        assert_eq!(receive(&mut reader), Some((2, 2)));
        assert_eq!(receive(&mut reader), None);
        thread.join().unwrap();
    });
}

#[test]
fn staged_records_appear_together() {
    model(|| {
        let heap = Heap::<u64>::new(4, 0);
        let mut writer = record::Writer::new(producer(&heap, 4));
        let mut reader = record::Reader::new(consumer(&heap, 4));
        let thread = thread::spawn(move || {
            send(&mut writer, 1, false);
            send(&mut writer, 2, false);
            writer.publish();
            send(&mut writer, 3, true);
        });
        let mut seen = Vec::new();
        while seen.is_empty() {
            let _ = reader.drain(2, |bytes, flags| seen.push((bytes[0], flags)));
            thread::yield_now();
        }
        assert_eq!(seen, [(1, 1), (2, 2)]);
        assert_eq!(receive(&mut reader), Some((3, 3)));
        thread.join().unwrap();
    });
}
