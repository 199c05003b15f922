//! The same as `benches/calls.c`, from Rust: what the calls cost without C. Run by `ci/ffi_bench.sh`.

use api::ring::spsc;
use api::untyped::{ByteQueue, ByteQueueOptions, Deadline, Element, Place};
use api::{Lock, Pod, Queue, Semaphore, Value};
use std::hint::black_box;
use std::time::Instant;

const WINDOWS: usize = 1500;
const TURNS: usize = 16384;

fn measure(label: &str, per: usize, mut body: impl FnMut()) {
    let mut least = f64::MAX;
    for _ in 0..WINDOWS {
        let start = Instant::now();
        for _ in 0..TURNS / per {
            body();
        }
        let took = start.elapsed().as_nanos() as f64 / (TURNS / per) as f64 / per as f64;
        least = least.min(took);
    }
    println!("{label:<24} {least:8.2}");
}

fn ring<T: Pod + PartialEq>(label: &str) {
    let (mut producer, mut consumer) = spsc::<T>(1024).unwrap();
    let mut values = [T::zeroed(); 32];
    measure(&format!("push, pop {label}"), 1, || {
        assert!(producer.try_push(black_box(values[0])).is_ok());
        values[0] = black_box(consumer.try_pop()).unwrap();
    });
    measure(&format!("push_n, pop_n 32 {label}"), 32, || {
        assert_eq!(producer.try_push_slice(black_box(&values)), Ok(32));
        assert_eq!(consumer.try_pop_slice(black_box(&mut values)), Ok(32));
    });
    measure(&format!("reserve, peek 1 {label}"), 1, || {
        let mut slots = producer.try_reserve(1).unwrap();
        slots.as_mut_slices().0[0] = black_box(values[0]);
        slots.commit(1);
        let seen = consumer.try_peek(1).unwrap();
        black_box(seen.as_slices().0[0]);
        seen.release(1);
    });
}

fn main() {
    ring::<u64>("8 B");
    ring::<[u64; 3]>("24 B");
    ring::<[u64; 8]>("64 B");
    let lock = Lock::new(()).unwrap();
    measure("lock, unlock", 1, || drop(black_box(&lock).lock().unwrap()));
    let value = Value::new(0i64).unwrap();
    measure("add_i64", 1, || {
        black_box(value.fetch_add(1));
    });
    measure("load_i64", 1, || {
        black_box(value.get());
    });
    let semaphore = Semaphore::new(1).unwrap();
    measure("permit", 1, || drop(black_box(&semaphore).acquire().unwrap()));
    let options = ByteQueueOptions {
        capacity: 64,
        inline_bytes: 232,
        heap_bytes: 0,
        joinable: false,
        grows: false,
        element: Element::MESSAGES,
    };
    let bytes = ByteQueue::create(Place::Anonymous, options).unwrap();
    let mut buffer = [0; 64];
    measure("put, get 8 B", 1, || {
        bytes.put(black_box(&[0; 8]), Deadline::Never).unwrap();
        let copy = |message: &[u8]| {
            buffer[..message.len()].copy_from_slice(message);
            true
        };
        bytes.get_some(1, Deadline::Never, copy).unwrap();
    });
    let queue = Queue::<Vec<u8>>::new(64).unwrap();
    measure("loan, receive 8 B", 1, || {
        queue.loan(8).unwrap().commit();
        drop(black_box(queue.receive().unwrap()));
    });
}
