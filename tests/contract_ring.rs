//! Do rings between processes carry everything, and tell the end of the other side?

#![cfg(feature = "takeover")]

mod common;

use common::{LONG, die, join, kill, park};
use shmkit::ring::{
    self, Consumer, Producer, RecordConsumer, RecordProducer, TryPopError, TryPushError,
    TryReserveError,
};
use shmkit::{Error, Process, Region, Value};
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

fn push<T: bytemuck::Pod>(producer: &mut Producer<T>, value: T) {
    until(|| match producer.try_push(value) {
        Ok(()) => Some(()),
        Err(TryPushError::Full(_)) => None,
        Err(why) => panic!("{why}"),
    });
}

/// The next value, or the way in which the stream ended.
fn pop<T: bytemuck::Pod>(consumer: &mut Consumer<T>) -> Result<T, TryPopError> {
    until(|| match consumer.try_pop() {
        Err(TryPopError::Empty) => None,
        other => Some(other),
    })
}

fn wait_for(value: &Value<u32>, wanted: u32) {
    until(|| (value.get() >= wanted).then_some(()));
}

fn name(what: &str) -> String {
    format!("test.ring.{what}.{}", std::process::id())
}

#[test]
fn a_million_values_cross_to_a_child_in_order_and_then_end() {
    let (mut producer, consumer) = ring::spsc::<u64>(1000).unwrap();
    let child = Process::spawn((consumer,), |mut consumer: Consumer<u64>| {
        let mut next = 0;
        while let Ok(value) = pop(&mut consumer) {
            assert_eq!(value, next);
            next += 1;
        }
        next
    })
    .unwrap();
    let values: Vec<u64> = (0..1_000_000).collect();
    let mut rest = &values[..];
    while !rest.is_empty() {
        if rest.len().is_multiple_of(3) {
            push(&mut producer, rest[0]);
            rest = &rest[1..];
        } else {
            rest = &rest[producer.try_push_slice(&rest[..rest.len().min(77)]).unwrap_or(0)..];
        }
    }
    drop(producer);
    assert_eq!(join(&child).unwrap(), 1_000_000);
}

#[test]
fn records_of_all_lengths_cross_from_a_child() {
    fn bytes(index: usize) -> Vec<u8> {
        (0..index * 7919 % 500).map(|i| (i + index) as u8).collect()
    }
    let (producer, mut consumer) = ring::record(1024).unwrap();
    let child = Process::spawn((producer,), |mut producer: RecordProducer| {
        for index in 0..20_000 {
            let bytes = bytes(index);
            until(|| match producer.try_reserve(bytes.len()) {
                Ok(mut room) => {
                    room.copy_from_slice(&bytes);
                    room.set_flags(index as u32);
                    // Every third is shown with the next.
                    if index % 3 == 0 {
                        room.stage(bytes.len())
                    } else {
                        room.commit(bytes.len())
                    }
                    Some(())
                }
                Err(TryReserveError::Full) => None,
                Err(why) => panic!("{why}"),
            });
        }
    })
    .unwrap();
    let mut index = 0;
    loop {
        let end = until(|| match consumer.try_receive() {
            Ok(record) => {
                assert_eq!((record.flags(), &*record), (index as u32, &*bytes(index)));
                index += 1;
                Some(None)
            }
            Err(TryPopError::Empty) => None,
            Err(why) => Some(Some(why)),
        });
        if let Some(why) = end {
            assert_eq!(why, TryPopError::Disconnected);
            break;
        }
    }
    join(&child).unwrap();
    assert_eq!(index, 20_000);
}

#[test]
fn what_a_killed_producer_has_pushed_arrives_and_then_the_end() {
    let (producer, mut consumer) = ring::spsc::<u64>(64).unwrap();
    fn push_and_die(mut producer: Producer<u64>) {
        for value in 0..10 {
            push(&mut producer, value);
        }
        die();
    }
    let child = Process::spawn((producer,), push_and_die).unwrap();
    let values: Vec<u64> = std::iter::from_fn(|| pop(&mut consumer).ok()).collect();
    assert_eq!(values, (0..10).collect::<Vec<_>>());
    assert_eq!(consumer.try_pop(), Err(TryPopError::Disconnected));
    assert!(consumer.is_disconnected());
    assert!(join(&child).is_err());
}

#[test]
fn a_producer_is_told_that_its_consumer_was_killed() {
    let (mut producer, consumer) = ring::spsc::<u64>(4).unwrap();
    let arrived = Value::new(0u32).unwrap();
    fn pop_and_park(mut consumer: Consumer<u64>, arrived: Value<u32>) {
        pop(&mut consumer).unwrap();
        arrived.set(1).unwrap();
        park();
    }
    let child = Process::spawn((consumer, arrived.clone()), pop_and_park).unwrap();
    push(&mut producer, 0);
    wait_for(&arrived, 1);
    kill(&child);
    assert!(producer.is_disconnected());
    let refused =
        until(|| producer.try_push(1).err().filter(|e| !matches!(e, TryPushError::Full(_))));
    assert_eq!(refused, TryPushError::Disconnected(1));
}

#[test]
fn an_end_that_was_passed_on_is_lost_to_the_giver() {
    let (mut producer, consumer) = ring::spsc::<u64>(4).unwrap();
    let child =
        Process::spawn((consumer,), |mut consumer: Consumer<u64>| pop(&mut consumer).unwrap());
    push(&mut producer, 7);
    assert_eq!(join(&child.unwrap()).unwrap(), 7);
    // The child has closed it by its end.
    until(|| matches!(producer.try_push(8), Err(TryPushError::Disconnected(8))).then_some(()));
}

#[test]
fn both_ends_can_go_to_two_children_of_one_region() {
    let region = Region::new(1 << 20).unwrap();
    let (producer, consumer) = ring::spsc_in::<[u32; 3]>(&region, 5).unwrap();
    let (records, receiver) = ring::record_in(&region, 256).unwrap();
    let first = Process::spawn(
        (producer, receiver),
        |mut producer: Producer<[u32; 3]>, mut receiver: RecordConsumer| {
            for i in 0..1000 {
                push(&mut producer, [i, i + 1, i + 2]);
            }
            until(|| receiver.try_receive().ok().map(|record| record.len()))
        },
    );
    let second = Process::spawn(
        (consumer, records),
        |mut consumer: Consumer<[u32; 3]>, mut records: RecordProducer| {
            for i in 0..1000 {
                assert_eq!(pop(&mut consumer), Ok([i, i + 1, i + 2]));
            }
            records.try_send(&[1; 100]).unwrap();
            // The receiver may not have looked yet: stay until it has gone.
            until(|| records.is_disconnected().then_some(()));
        },
    );
    join(&second.unwrap()).unwrap();
    assert_eq!(join(&first.unwrap()).unwrap(), 100);
}

#[test]
fn an_heir_goes_on_where_the_killed_owner_of_a_named_end_stopped() {
    let name = name("heir");
    let mut producer = Producer::create(&name, 100).unwrap();
    producer.try_push_slice(&(0..50u64).collect::<Vec<_>>()).unwrap();
    fn pop_and_die(name: String) {
        let mut consumer = Consumer::<u64>::open(&name).unwrap();
        assert!(matches!(Consumer::<u64>::open(&name), Err(Error::WrongProcess)));
        for value in 0..20 {
            assert_eq!(pop(&mut consumer), Ok(value));
        }
        die();
    }
    let child = Process::spawn((name.clone(),), pop_and_die).unwrap();
    assert!(join(&child).is_err());
    let mut heir = Consumer::<u64>::open(&name).unwrap();
    for value in 20..50 {
        assert_eq!(heir.try_pop(), Ok(value));
    }
    assert_eq!(heir.try_pop(), Err(TryPopError::Empty));
    push(&mut producer, 50);
    assert_eq!(heir.try_pop(), Ok(50));
}

#[test]
fn an_end_is_opened_as_what_it_is() {
    let name = name("kind");
    let producer = Producer::<u64>::create(&name, 10).unwrap();
    assert!(matches!(Consumer::<i64>::open(&name), Err(Error::TypeMismatch { .. })));
    assert!(matches!(RecordConsumer::open(&name), Err(Error::TypeMismatch { .. })));
    assert!(matches!(Producer::<u64>::create(&name, 10), Err(Error::Exists)));
    drop(producer);
    assert!(matches!(Consumer::<u64>::open(&name), Err(Error::NotFound)));
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    assert!(matches!(ring::spsc::<u64>(0), Err(Error::InvalidArgument(_))));
    assert!(matches!(ring::spsc::<u64>(usize::MAX), Err(Error::InvalidArgument(_))));
    assert!(matches!(ring::record(0), Err(Error::InvalidArgument(_))));
    assert!(matches!(ring::record(usize::MAX), Err(Error::InvalidArgument(_))));
    // Values without bytes are counted all the same.
    let (mut producer, mut consumer) = ring::spsc::<()>(2).unwrap();
    producer.try_push(()).unwrap();
    producer.try_push_slice(&[(), ()]).unwrap();
    assert!(producer.is_full());
    assert_eq!(consumer.try_pop_slice(&mut [(); 5]), Ok(2));
}

#[test]
fn a_transfer_that_fails_leaves_the_end_with_its_owner() {
    let (producer, mut consumer) = ring::spsc::<u64>(4).unwrap();
    // Outside of a transfer a handle cannot be encoded at all.
    assert!(postcard::to_allocvec(&producer).is_err());
    let mut producer = producer;
    push(&mut producer, 1);
    assert_eq!(consumer.try_pop(), Ok(1));
}
