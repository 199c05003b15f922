//! Do values and arrays do what the behaviour contract says, between processes, also when writers
//! die?
//!
//! The ids at the end of the test names are the rows of the contract.

#![allow(unsafe_code, reason = "plain types are declared as such")]

mod common;

use bytemuck::{Pod, Zeroable};
use common::{LONG, fork, go_on, join, kill, park, reap, stop, unique};
use shmkit::{
    Array, ArrayGuard, Error, LockError, LockGuard, Pipe, Process, ProcessError, Region,
    RegionOptions, Sender, Value,
};
use std::time::Duration;

#[test]
fn a_child_sets_what_its_parent_reads_v1() {
    let value = Value::new(0i32).unwrap();
    let child = Process::spawn((value.clone(),), |value: Value<i32>| value.set(1024).unwrap());
    join(&child.unwrap()).unwrap();
    assert_eq!(value.get(), 1024);
}

#[test]
fn a_value_has_a_lock_of_its_own_v1() {
    let value = Value::new(1u64).unwrap();
    let mut guard = value.lock().unwrap();
    *guard = 2;
    assert_eq!(value.get(), 1, "not published before the guard goes");
    assert!(matches!(value.set(3), Err(LockError::WouldDeadlock)));
    assert!(matches!(value.update(|v| *v = 3), Err(LockError::WouldDeadlock)));
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            assert!(matches!(value.try_lock(), Err(LockError::WouldBlock)));
            let late = value.lock_timeout(Duration::from_millis(2));
            assert!(matches!(late, Err(LockError::Timeout)));
        });
        other.join().unwrap();
    });
    drop(guard);
    assert_eq!(value.get(), 2);
}

#[test]
fn another_type_or_kind_under_a_name_is_told_apart_v1() {
    let name = unique("value");
    let value = Value::create(&name, 7u32).unwrap();
    assert!(matches!(Value::<i32>::open(&name), Err(Error::TypeMismatch { .. })));
    assert!(matches!(Value::<u64>::open(&name), Err(Error::TypeMismatch { .. })));
    assert!(matches!(Array::<u32>::open(&name), Err(Error::TypeMismatch { .. })));
    assert!(matches!(shmkit::Lock::<u32>::open(&name), Err(Error::TypeMismatch { .. })));
    assert!(matches!(Region::open(&name), Err(Error::TypeMismatch { .. })));
    let child = Process::spawn((name.clone(),), |name: String| {
        Value::<u32>::open(&name).unwrap().fetch_add(1)
    });
    assert_eq!(join(&child.unwrap()).unwrap(), 7);
    assert_eq!(value.get(), 8);
}

/// A value of each type goes to a child, which returns what it found and leaves the second.
macro_rules! round_trips {
    ($($type:ty: $first:expr, $second:expr;)*) => {$({
        let value = Value::<$type>::new($first).unwrap();
        let array = Array::<$type>::from_slice(&[$first, $second]).unwrap();
        let child = Process::spawn((value.clone(), array.clone()), |v: Value<$type>, a: Array<$type>| {
            assert!(v.get() == $first && a.get(0) == Some($first) && a.get(1) == Some($second));
            v.set($second).unwrap();
            a.set(0, $second).unwrap();
        });
        join(&child.unwrap()).unwrap();
        assert!(value.get() == $second && array.get(0) == Some($second), stringify!($type));
    })*};
}

#[test]
fn every_type_code_round_trips_v2() {
    round_trips! {
        i8: i8::MIN, -1;
        u8: b'c', u8::MAX;
        i16: i16::MIN, i16::MAX;
        u16: 1, u16::MAX;
        i32: i32::MIN, i32::MAX;
        u32: 'x' as u32, u32::MAX;
        i64: i64::MIN, i64::MAX;
        u64: 1 << 63, u64::MAX;
        isize: isize::MIN, isize::MAX;
        usize: 1, usize::MAX;
        f32: f32::MIN_POSITIVE, -0.5;
        f64: f64::MAX, f64::NEG_INFINITY;
        u128: 1 << 100, u128::MAX;
        [u8; 3]: *b"abc", *b"xyz";
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[repr(C)]
struct Point {
    x: f64,
    y: f64,
    n: [i32; 6],
}
// SAFETY: `repr(C)`, no padding, and any bytes are a value.
unsafe impl Zeroable for Point {}
// SAFETY: as above.
unsafe impl Pod for Point {}

#[test]
fn structs_strings_and_arrays_are_doubled_by_a_child_test_sharedctypes() {
    let x = Value::new(7i32).unwrap();
    let y = Value::new(1.0f64 / 3.0).unwrap();
    let point = Value::new(Point { x: 3.0, y: 2.0, n: [1; 6] }).unwrap();
    let array = Array::from_slice(&(0..10).map(f64::from).collect::<Vec<_>>()).unwrap();
    let text = Array::from_slice(b"hello\0\0\0\0\0\0\0").unwrap();
    let args = (x.clone(), y.clone(), point.clone(), array.clone(), text.clone());
    let child = Process::spawn(
        args,
        |x: Value<i32>, y: Value<f64>, p: Value<Point>, a: Array<f64>, text: Array<u8>| {
            x.update(|x| *x *= 2).unwrap();
            y.update(|y| *y *= 2.0).unwrap();
            p.update(|p| (p.x, p.y, p.n[5]) = (p.x * 2.0, p.y * 2.0, 10)).unwrap();
            a.lock().unwrap().iter_mut().for_each(|a| *a *= 2.0);
            let mut text = text.lock().unwrap();
            text.copy_within(..5, 5);
        },
    );
    join(&child.unwrap()).unwrap();
    assert_eq!((x.get(), y.get()), (14, 2.0 / 3.0));
    assert_eq!(point.get(), Point { x: 6.0, y: 4.0, n: [1, 1, 1, 1, 1, 10] });
    assert!(array.iter().enumerate().all(|(n, a)| a == 2.0 * n as f64));
    assert_eq!(*text.lock().unwrap(), *b"hellohello\0\0");
}

#[test]
fn an_array_has_a_fixed_length_zeros_and_checked_ranges_v4() {
    let array = Array::<i32>::zeroed(10).unwrap();
    assert_eq!((array.len(), array.is_empty()), (10, false));
    assert_eq!(array.iter().collect::<Vec<_>>(), [0; 10]);
    for n in 0..10 {
        array.set(n, n as i32).unwrap();
    }
    assert_eq!(array.iter().sum::<i32>(), 45);
    assert_eq!(array.get(10), None);
    assert_eq!(array.get(usize::MAX), None);
    assert!(matches!(array.set(10, 1), Err(Error::OutOfRange { index: 10, len: 10 })));
    array.copy_from(2..5, &[-1, -2, -3]).unwrap();
    let mut part = [9; 4];
    array.copy_to(1..5, &mut part).unwrap();
    assert_eq!(part, [1, -1, -2, -3]);
    array.copy_to(10..10, &mut []).unwrap();
    assert!(matches!(array.copy_to(9..11, &mut part[..2]), Err(Error::OutOfRange { .. })));
    assert!(matches!(array.copy_from(0..usize::MAX, &[]), Err(Error::OutOfRange { .. })));
    #[allow(clippy::reversed_empty_ranges)]
    let backwards = array.copy_to(5..2, &mut []);
    assert!(matches!(backwards, Err(Error::OutOfRange { .. } | Error::InvalidArgument(_))));
    let short = array.copy_from(0..3, &[1, 2]);
    assert!(matches!(short, Err(Error::LengthMismatch { expected: 3, found: 2 })));
    assert_eq!(array.lock().unwrap()[..3], [0, 1, -1], "failures change nothing");
}

#[test]
fn a_new_array_is_zeroed_where_an_old_one_was_test_array_from_size() {
    for len in [10, 5000] {
        for _ in 0..20 {
            let array = Array::<u32>::zeroed(len).unwrap();
            assert!(array.lock().unwrap().iter().all(|n| *n == 0));
            array.lock().unwrap().fill(u32::MAX);
        }
    }
    let region = Region::new(64 << 10).unwrap();
    let child = Process::spawn((Array::<u8>::new_in(&region, 4000).unwrap(),), |array| {
        let array: Array<u8> = array;
        array.lock().unwrap().fill(0xff);
    });
    join(&child.unwrap()).unwrap();
    let next = Array::<u8>::new_in(&region, 4000).unwrap();
    assert!(next.lock().unwrap().iter().all(|n| *n == 0));
}

#[test]
fn strings_are_bytes_of_an_array_v5() {
    let word = Array::<u8>::zeroed(5).unwrap();
    let child = Process::spawn((word.clone(),), |word: Array<u8>| {
        word.copy_from(0..3, b"zty").unwrap();
    });
    join(&child.unwrap()).unwrap();
    assert_eq!(word.iter().collect::<Vec<_>>(), b"zty\0\0");
    assert!(matches!(word.copy_from(0..6, b"longer"), Err(Error::OutOfRange { .. })));
}

#[test]
fn arithmetic_of_many_processes_adds_up_x25() {
    let hits = Value::new(0i64).unwrap();
    let small = Value::new(250u8).unwrap();
    let floats = Value::new(0.0f64).unwrap();
    let highest = Value::new(0u32).unwrap();
    let children: Vec<_> = (0..4u32)
        .map(|id| {
            let args = (hits.clone(), small.clone(), floats.clone(), highest.clone(), id);
            Process::spawn(
                args,
                |hits: Value<i64>,
                 small: Value<u8>,
                 floats: Value<f64>,
                 highest: Value<u32>,
                 id| {
                    for n in 0..20_000u32 {
                        hits.fetch_add(3);
                        hits.fetch_sub(1);
                        small.fetch_add(1);
                        let mine = n * 4 + id;
                        let mut now = highest.get();
                        while now < mine {
                            match highest.compare_exchange(now, mine) {
                                Ok(_) => break,
                                Err(other) => now = other,
                            }
                        }
                    }
                    (0..2000).for_each(|_| floats.update(|f| *f += 0.5).unwrap());
                },
            )
            .unwrap()
        })
        .collect();
    children.iter().for_each(|child| join(child).unwrap());
    assert_eq!(hits.get(), 4 * 20_000 * 2);
    assert_eq!(small.get(), (250u32 + 80_000) as u8);
    assert_eq!(floats.get(), 4000.0);
    assert_eq!(highest.get(), 79_999);
}

#[test]
fn a_large_value_is_never_torn_while_others_change_it() {
    let value = Value::new([0u64; 40]).unwrap();
    let writers: Vec<_> = (0..2u64)
        .map(|id| {
            Process::spawn((value.clone(), id), |value: Value<[u64; 40]>, id| {
                (0..3000).for_each(|n| value.set([n * 2 + id; 40]).unwrap());
            })
            .unwrap()
        })
        .collect();
    while writers.iter().any(|writer| writer.is_alive()) {
        let all = value.get();
        assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
    }
    writers.iter().for_each(|writer| join(writer).unwrap());
}

// ---- deaths ----

#[test]
fn a_process_killed_in_an_update_leaves_the_last_value_and_the_next_is_told_once() {
    let value = Value::new([7u64; 9]).unwrap();
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let child = Process::spawn((value.clone(), say), |value: Value<[u64; 9]>, say: Sender<()>| {
        value.set([8; 9]).unwrap();
        value
            .update(|v| {
                v[..5].fill(9);
                say.send(()).unwrap();
                park()
            })
            .unwrap()
    });
    ready.recv_timeout(LONG).unwrap();
    let child: Process = child.unwrap();
    stop(&child);
    assert_eq!(value.get(), [8; 9], "a reader waits for nobody");
    assert!(matches!(value.try_lock(), Err(LockError::WouldBlock)));
    go_on(&child);
    kill(&child);
    assert_eq!(value.get(), [8; 9]);
    assert!(matches!(value.set([1; 9]), Err(LockError::OwnerDied(_))));
    assert_eq!(value.get(), [8; 9], "that change was not made");
    value.update(|v| v[0] += 1).unwrap();
    assert_eq!(value.get()[..2], [9, 8]);
}

#[test]
fn a_panic_in_an_update_leaves_the_value_and_counts_as_a_death() {
    let value = Value::new(7u64).unwrap();
    let child = Process::spawn((value.clone(),), |value: Value<u64>| {
        value
            .update(|v| {
                *v = 8;
                panic!("in the update")
            })
            .unwrap()
    });
    assert!(matches!(join::<()>(&child.unwrap()), Err(ProcessError::Panicked(_))));
    assert_eq!(value.get(), 7);
    assert!(matches!(value.update(|v| *v = 9), Err(LockError::OwnerDied(_))));
    value.update(|v| *v += 2).unwrap();
    assert_eq!(value.get(), 9);
}

#[test]
fn an_array_left_half_written_is_told_until_it_is_recovered() {
    let array = Array::<u32>::zeroed(8).unwrap();
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let child = Process::spawn((array.clone(), say), |array: Array<u32>, say: Sender<()>| {
        let mut all = array.lock().unwrap();
        all[..4].fill(1);
        say.send(()).unwrap();
        park()
    });
    ready.recv_timeout(LONG).unwrap();
    kill::<()>(&child.unwrap());
    for _ in 0..2 {
        assert_eq!((array.get(3), array.get(4)), (Some(1), Some(0)));
        assert!(matches!(array.set(0, 5), Err(Error::OwnerDied)));
        assert!(matches!(array.copy_from(0..1, &[5]), Err(Error::OwnerDied)));
        assert!(
            matches!(array.lock(), Err(LockError::OwnerDied(died)) if died[..] == [1, 1, 1, 1, 0, 0, 0, 0])
        );
    }
    let Err(LockError::OwnerDied(died)) = array.lock_timeout(LONG) else { panic!("clean") };
    died.recover().fill(2);
    assert_eq!(array.iter().collect::<Vec<_>>(), [2; 8]);
    array.set(0, 5).unwrap();
}

#[test]
fn a_panic_under_an_array_guard_counts_as_a_death() {
    let array = Array::<u32>::zeroed(2).unwrap();
    let caught = std::panic::catch_unwind(|| {
        array.lock().unwrap()[0] = 1;
        let _guard = array.lock().unwrap();
        panic!("under the guard");
    });
    assert!(caught.is_err());
    assert!(matches!(array.set(0, 5), Err(Error::OwnerDied)));
    assert_eq!(array.get(0), Some(1));
}

#[test]
fn a_thread_reads_and_is_refused_to_write_what_it_holds_itself() {
    let array = Array::from_slice(&[1u32, 2]).unwrap();
    let mut guard = array.lock().unwrap();
    guard[0] = 5;
    assert_eq!((array.get(0), array.iter().sum::<u32>()), (Some(5), 7));
    assert!(matches!(array.set(0, 1), Err(Error::WouldDeadlock)));
    assert!(matches!(array.lock(), Err(LockError::WouldDeadlock)));
    drop(guard);
}

// ---- forks ----

#[test]
fn a_forked_child_changes_values_and_arrays_as_another_process() {
    let child = Process::spawn((), || {
        let region = Region::new(64 << 10).unwrap();
        let value = Value::new_in(&region, 0u64).unwrap();
        let array = Array::<u64>::new_in(&region, 4).unwrap();
        let mut guard = Some(array.lock().unwrap());
        let held = Value::new(1u64).unwrap();
        let mut copy = Some(held.lock().unwrap());
        reap(fork(|| {
            **copy.as_mut().unwrap() = 5;
            drop(copy.take()); // the parent's: neither published nor freed
            drop(guard.take());
            assert!(matches!(held.try_lock(), Err(LockError::WouldBlock)));
            assert!(matches!(array.try_lock(), Err(LockError::WouldBlock)));
            value.update(|v| *v += 1).unwrap();
            value.fetch_add(1);
            let made = Value::new_in(&region, 3u8).unwrap();
            assert_eq!(made.get(), 3);
        }));
        drop((guard, copy));
        assert_eq!((held.get(), value.get()), (1, 2));
        let children: Vec<_> = (0..3)
            .map(|n| {
                fork(|| {
                    for _ in 0..500 {
                        array.lock().unwrap()[n] += 1;
                        value.update(|v| *v += 1).unwrap();
                    }
                })
            })
            .collect();
        children.into_iter().for_each(reap);
        assert_eq!(value.get(), 1502);
        assert_eq!(*array.lock().unwrap(), [500, 500, 500, 0]);
    });
    join(&child.unwrap()).unwrap();
}

// ---- edges ----

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u64; 8]);
// SAFETY: `repr(C)`, no padding, and any bytes are a value.
unsafe impl Zeroable for Line {}
// SAFETY: as above.
unsafe impl Pod for Line {}

#[derive(Clone, Copy)]
#[repr(C, align(256))]
struct Page([u64; 32]);
// SAFETY: `repr(C)`, no padding, and any bytes are a value.
unsafe impl Zeroable for Page {}
// SAFETY: as above.
unsafe impl Pod for Page {}

#[test]
fn types_of_great_alignment_are_aligned_or_refused() {
    let region = Region::new(64 << 10).unwrap();
    let _odd = Value::new_in(&region, 1u8).unwrap();
    for array in [Array::<Line>::zeroed(3).unwrap(), Array::new_in(&region, 3).unwrap()] {
        let mut all = array.lock().unwrap();
        assert_eq!(all.as_ptr().addr() % 64, 0);
        all[2] = Line([9; 8]);
        drop(all);
        assert_eq!(array.get(2).unwrap().0, [9; 8]);
    }
    let value = Value::new_in(&region, Line([3; 8])).unwrap();
    value.update(|line| line.0[7] = 4).unwrap();
    assert_eq!(value.get().0[6..], [3, 4]);
    assert!(matches!(Array::<Page>::zeroed(1), Err(Error::InvalidArgument(_))));
    assert_eq!(Value::new(Page([1; 32])).unwrap().get().0, [1; 32]);
}

#[test]
fn arrays_without_elements_or_bytes_are_arrays() {
    let none = Array::<u64>::zeroed(0).unwrap();
    assert!(none.is_empty() && none.get(0).is_none() && none.lock().unwrap().is_empty());
    assert!(matches!(none.set(0, 1), Err(Error::OutOfRange { index: 0, len: 0 })));
    assert!(Array::<u64>::from_slice(&[]).unwrap().iter().next().is_none());
    for len in [0, 5, isize::MAX as usize, usize::MAX] {
        let units = Array::<()>::zeroed(len).unwrap();
        assert_eq!((units.len(), units.lock().unwrap().len()), (len, len));
        assert_eq!(units.get(len), None);
    }
    let unit = Value::new(()).unwrap();
    unit.update(|()| ()).unwrap();
    let child = Process::spawn((unit, none), |unit: Value<()>, none: Array<u64>| {
        unit.set(()).unwrap();
        none.len()
    });
    assert_eq!(join(&child.unwrap()).unwrap(), 0);
}

#[test]
fn lengths_beyond_all_memory_are_refused_precisely() {
    let region = Region::new(4096).unwrap();
    for len in [usize::MAX, usize::MAX / 8, 1 << 60, 1 << 57, 1 << 45] {
        assert!(matches!(Array::<u64>::zeroed(len), Err(Error::NoMemory { .. })), "{len}");
        let named = Array::<u64>::create(&unique("huge"), len);
        assert!(matches!(named, Err(Error::NoMemory { .. } | Error::NoSpace)), "{len}");
        let packed = Array::<u64>::new_in(&region, len);
        assert!(matches!(packed, Err(Error::NoSpace | Error::NoMemory { .. })), "{len}");
    }
    assert_eq!(Array::<u64>::new_in(&region, 9).unwrap().len(), 9, "the region is as good as new");
    assert!(common::left_behind(&unique("huge")).is_empty());
}

#[test]
fn hundreds_of_objects_in_a_region_are_all_found_by_a_child() {
    for count in [3, 4, 30, 300] {
        let region = Region::new(1 << 20).unwrap();
        let other = Region::new(1 << 20).unwrap();
        let values: Vec<_> = (0..count)
            .map(|n| Value::new_in([&region, &other][n % 2], n as u64).unwrap())
            .collect();
        let child = Process::spawn((values.clone(),), |values: Vec<Value<u64>>| {
            values.iter().enumerate().for_each(|(n, v)| {
                assert_eq!(v.get(), n as u64);
                v.update(|v| *v += 1).unwrap();
            });
        });
        join(&child.unwrap()).unwrap();
        assert!(values.iter().enumerate().all(|(n, v)| v.get() == n as u64 + 1), "{count}");
    }
}

#[test]
fn a_full_region_says_so_and_what_is_in_it_stays_good() {
    let region = RegionOptions::new(8192).participants(1).anonymous().unwrap();
    let mut values = Vec::new();
    let full = loop {
        match Value::new_in(&region, values.len() as u64) {
            Ok(value) => values.push(value),
            Err(why) => break why,
        }
    };
    assert!(matches!(full, Error::NoSpace), "{full:?}");
    assert!(values.len() > 30, "{}", values.len());
    for _ in 0..10 {
        assert!(matches!(Value::new_in(&region, 0u64), Err(Error::NoSpace)));
    }
    assert!(values.iter().enumerate().all(|(n, v)| v.get() == n as u64));
}

/// Every signature of the contract, used as written there.
fn every_call() -> shmkit::Result<u64> {
    let value: Value<u64> = Value::new(1)?;
    let got: u64 = value.get();
    let set: Result<(), LockError<()>> = value.set(got + 1);
    set?;
    let doubled: u64 = value.update(|v| {
        *v *= 2;
        *v
    })?;
    let guard: LockGuard<'_, u64> = value.lock()?;
    drop(guard);
    let before: u64 = value.fetch_add(1) + value.fetch_sub(1);
    let exchanged: Result<u64, u64> = value.compare_exchange(4, 5);
    let array: Array<u64> = Array::zeroed(2)?;
    let other: Array<u64> = Array::from_slice(&[1, 2])?;
    array.set(1, other.get(1).unwrap())?;
    let mut all: ArrayGuard<'_, u64> = array.lock()?;
    let slice: &mut [u64] = &mut all;
    slice[0] = 1;
    drop(all);
    assert_eq!((doubled, before, exchanged), (4, 9, Ok(4)));
    Ok(value.get() + array.len() as u64 + array.iter().sum::<u64>())
}

#[test]
fn every_signature_compiles_as_the_contract_writes_it() {
    assert_eq!(every_call().unwrap(), 5 + 2 + 3);
    fn shared<T: Clone + Send + Sync + std::fmt::Debug>() {}
    shared::<Value<[f64; 100]>>();
    shared::<Array<[f64; 100]>>();
}
