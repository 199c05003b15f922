use super::super::heap::Heap;
use super::super::indices::CONSUMER;
use super::super::indices::VACANT;
use super::*;
use crate::region::id::ParticipantId;

type Producer = End<super::super::heap::HeapSite<u64>, PRODUCER>;
type Consumer = End<super::super::heap::HeapSite<u64>, CONSUMER>;

fn ring(capacity: usize) -> (std::sync::Arc<Heap<u64>>, Producer, Consumer) {
    let heap = Heap::new(capacity, 0);
    let producer = End::claim(heap.seen_by(1), capacity).ok().unwrap();
    let consumer = End::claim(heap.seen_by(2), capacity).ok().unwrap();
    (heap, producer, consumer)
}

#[test]
fn an_end_is_taken_once() {
    let (heap, _producer, _consumer) = ring(4);
    assert_eq!(Producer::claim(heap.seen_by(3), 4).err(), Some(Stop::NotOwner));
    assert_eq!(Consumer::claim(heap.seen_by(3), 4).err(), Some(Stop::NotOwner));
}

#[test]
fn a_vacant_end_is_waited_for() {
    let heap = Heap::new(4, 0);
    let producer = Producer::claim(heap.seen_by(1), 4).ok().unwrap();
    assert_eq!(producer.available(4), Ok(4));
    producer.advance(4);
    for _ in 0..3 * LOOKS_PER_PROBE {
        assert_eq!(producer.available(1), Ok(0));
    }
    assert!(!producer.probe_peer());
}

#[test]
fn what_was_published_before_the_close_is_still_read() {
    let (_heap, producer, consumer) = ring(4);
    assert_eq!(producer.available(1), Ok(4));
    producer.advance(3);
    producer.close();
    assert_eq!(consumer.available(1), Ok(3));
    consumer.advance(2);
    assert_eq!(consumer.available(2), Ok(1));
    consumer.advance(1);
    assert_eq!(consumer.available(1), Err(Stop::Disconnected));
    assert!(consumer.peer_is_gone());
}

#[test]
fn a_producer_without_a_consumer_stops_even_if_there_is_room() {
    let (_heap, producer, consumer) = ring(4);
    consumer.close();
    assert_eq!(producer.available(1), Err(Stop::Disconnected));
}

#[test]
fn death_is_noticed_by_a_probe_and_noted_for_all() {
    let (heap, producer, consumer) = ring(4);
    assert_eq!(producer.available(1), Ok(4));
    producer.advance(1);
    heap.bury(1);
    assert!(!consumer.peer_is_gone());
    assert!(consumer.probe_peer());
    assert!(consumer.peer_is_gone());
    assert_eq!(heap.indices.producer.owner.load(Relaxed), ParticipantId::DEAD.word());
    assert_eq!(consumer.available(1), Ok(1));
    consumer.advance(1);
    assert_eq!(consumer.available(1), Err(Stop::Disconnected));
}

#[test]
fn death_is_noticed_by_spinning_alone() {
    let (heap, _producer, consumer) = ring(4);
    heap.bury(1);
    let looks = (0..=LOOKS_PER_PROBE).find(|_| consumer.available(1).is_err());
    assert_eq!(looks, Some(LOOKS_PER_PROBE - 1));
}

#[test]
fn an_heir_goes_on_where_the_dead_stopped() {
    let (heap, producer, consumer) = ring(4);
    assert_eq!(producer.available(1), Ok(4));
    producer.advance(3);
    heap.bury(1);
    let heir = Producer::claim(heap.seen_by(3), 4).ok().unwrap();
    assert_eq!(heir.available(4), Ok(1));
    heir.advance(1);
    assert_eq!(consumer.available(4), Ok(4));
}

#[test]
fn an_end_given_away_is_lost_and_comes_back_after_the_death_of_the_receiver() {
    let (heap, producer, consumer) = ring(4);
    assert_eq!(producer.available(1), Ok(4));
    let _gift = producer.give(ParticipantId::new(3, 1)).ok().unwrap();
    assert_eq!(producer.available(1), Err(Stop::NotOwner));
    assert_eq!(producer.give(ParticipantId::new(4, 1)).err(), Some(Stop::NotOwner));
    heap.indices.producer.position.store(2, Release); // as if the receiver had pushed twice
    assert_eq!(consumer.available(1), Ok(2));
    heap.bury(3);
    assert_eq!(producer.available(4), Ok(2));
    // The handle is an owner again, so that closing it closes the end.
    producer.close();
    assert!(consumer.peer_is_gone());
}

#[test]
fn a_handle_that_was_given_away_closes_nothing() {
    let (_heap, producer, consumer) = ring(4);
    producer.give(ParticipantId::new(3, 1)).ok().unwrap();
    producer.close();
    assert!(!consumer.peer_is_gone());
}

#[test]
fn a_gift_taken_back_is_the_givers_again() {
    let (heap, producer, consumer) = ring(4);
    let gift = producer.give(ParticipantId::new(3, 1)).ok().unwrap();
    assert_eq!(producer.available(1), Err(Stop::NotOwner));
    gift.take_back(&heap.indices);
    let again = producer.give(ParticipantId::new(3, 1)).ok().unwrap();
    again.take_back(&heap.indices);
    assert_eq!(producer.available(1), Ok(4));
    producer.give(ParticipantId::new(3, 1)).ok().unwrap().take_back(&heap.indices);
    producer.close();
    assert!(consumer.peer_is_gone());
}

#[test]
fn a_gift_taken_back_too_late_closes_the_end() {
    let (heap, producer, consumer) = ring(4);
    let gift = producer.give(ParticipantId::new(3, 1)).ok().unwrap();
    drop(producer);
    assert!(!consumer.peer_is_gone());
    gift.take_back(&heap.indices);
    assert!(consumer.peer_is_gone());
}

#[test]
fn a_gift_that_arrived_is_not_taken_back() {
    let (heap, producer, consumer) = ring(4);
    let gift = producer.give(ParticipantId::new(3, 1)).ok().unwrap();
    // The receiver had the region open before, as participant 4.
    let end = Producer::resume(heap.seen_by(4), 4, ParticipantId::new(3, 1)).ok().unwrap();
    gift.take_back(&heap.indices);
    assert_eq!(end.available(1), Ok(4));
    drop(producer);
    assert!(!consumer.peer_is_gone());
}

#[test]
fn a_handle_whose_end_came_back_to_another_of_its_process_is_no_owner() {
    let (heap, producer, consumer) = ring(4);
    producer.give(ParticipantId::new(3, 1)).ok().unwrap();
    // Through a pipe to itself, say: the same participant under another handle.
    let end = Producer::resume(heap.seen_by(1), 4, ParticipantId::new(3, 1)).ok().unwrap();
    assert_eq!(producer.available(1), Err(Stop::NotOwner));
    assert!(!producer.is_mine());
    drop(producer);
    assert!(!consumer.peer_is_gone());
    assert_eq!(end.available(1), Ok(4));
    drop(end);
    assert!(consumer.peer_is_gone());
}

#[test]
fn a_gift_that_arrived_in_its_own_process_is_not_taken_back() {
    let (heap, producer, consumer) = ring(4);
    let gift = producer.give(ParticipantId::new(3, 1)).ok().unwrap();
    let end = Producer::resume(heap.seen_by(1), 4, ParticipantId::new(3, 1)).ok().unwrap();
    gift.take_back(&heap.indices);
    assert_eq!(producer.available(1), Err(Stop::NotOwner));
    drop(producer);
    assert!(!consumer.peer_is_gone() && end.is_mine());
}

#[test]
fn a_corrupt_peer_moves_no_bound() {
    for lie in [5, 1 << 40, 1 << 63, u64::MAX - 4] {
        let (heap, producer, consumer) = ring(4);
        heap.indices.producer.position.store(lie, Relaxed);
        assert_eq!(consumer.available(1), Err(Stop::Corrupt));
        assert_eq!(consumer.len(), 0);
        heap.indices.consumer.position.store(lie, Relaxed);
        assert_eq!(producer.available(1), Err(Stop::Corrupt));
    }
}

#[test]
fn any_owner_word_is_harmless() {
    for word in [VACANT, VACANT | 1, 1 << 31, u32::MAX, 1, ParticipantId::DEAD.word()] {
        let (heap, producer, consumer) = ring(4);
        heap.indices.producer.owner.store(word, Relaxed);
        assert!(consumer.available(1).is_ok_and(|n| n == 0) || consumer.peer_is_gone());
        let _ = producer.available(1);
        let _ = consumer.probe_peer();
        producer.close();
    }
}
