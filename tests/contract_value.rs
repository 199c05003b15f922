//! Do values do what the behaviour contract says, between processes, also when writers die?
//!
//! The ids at the end of the test names are the rows of the contract.

mod common;

use common::{LONG, fork, go_on, join, kill, park, reap, stop, unique};
use shmkit::{
    Array, ArrayGuard, Error, LockError, LockGuard, Pipe, Pod, Process, ProcessError, RawArray,
    RawValue, Receiver, Region, RegionOptions, Sender, Value, Zeroable,
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
        let raw = RawValue::<$type>::new($first).unwrap();
        let raws = RawArray::<$type>::from_slice(&[$first, $second]).unwrap();
        let child = Process::spawn(
            (value.clone(), array.clone(), raw.clone(), raws.clone()),
            |v: Value<$type>, a: Array<$type>, r: RawValue<$type>, s: RawArray<$type>| {
                assert!(v.get() == $first && a.get(0) == Some($first) && a.get(1) == Some($second));
                assert!(r.get() == $first && s.get(0) == Some($first) && s.get(1) == Some($second));
                v.set($second).unwrap();
                a.set(0, $second).unwrap();
                r.set($second).unwrap();
                s.set(0, $second).unwrap();
            },
        );
        join(&child.unwrap()).unwrap();
        assert!(value.get() == $second && array.get(0) == Some($second), stringify!($type));
        assert!(raw.get() == $second && raws.get(0) == Some($second), stringify!($type));
    })*};
}

/// The code `c`: a text or two bytes do not fit the type.
#[test]
fn a_character_is_one_byte_v3() {
    let character: Value<u8> = Value::new(b'x').unwrap();
    let child = Process::spawn((character.clone(),), |character: Value<u8>| {
        let found = character.get();
        character.set(b'y').unwrap();
        found
    });
    assert_eq!(join(&child.unwrap()).unwrap(), b'x');
    assert_eq!(character.get(), b'y');
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[bytemuck(crate = "shmkit")]
#[repr(C)]
struct Point {
    x: f64,
    y: f64,
    n: [i32; 6],
}

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
fn five_types_are_changed_by_a_child_test_value() {
    fn check<T: Pod + PartialEq + std::fmt::Debug + Send>(before: T, after: T) {
        let (locked, raw) = (Value::new(before).unwrap(), RawValue::new(before).unwrap());
        assert_eq!((locked.get(), raw.get()), (before, before));
        let news = (Value::new(after).unwrap(), RawValue::new(after).unwrap());
        let args = (locked.clone(), raw.clone(), news.0, news.1);
        let child = Process::spawn(
            args,
            |locked: Value<T>, raw: RawValue<T>, news: Value<T>, raw_news: RawValue<T>| {
                *locked.lock().unwrap() = news.get();
                raw.set(raw_news.get()).unwrap();
            },
        );
        join(&child.unwrap()).unwrap();
        assert_eq!((locked.get(), raw.get()), (after, after));
    }
    check(4343i32, 24234);
    check(3.625f64, -4.25);
    check(-232i16, 234);
    check(1i64 << 33, 1 << 34);
    check(b'x', b'y');
}

#[test]
fn a_raw_value_has_no_lock_and_no_owner_x24() {
    let name = unique("raw");
    let raw = RawValue::create(&name, [1u64; 3]).unwrap();
    assert!(matches!(Value::<[u64; 3]>::open(&name), Err(Error::TypeMismatch { .. })));
    assert!(matches!(RawValue::<[i64; 3]>::open(&name), Err(Error::TypeMismatch { .. })));
    let child = Process::spawn((name.clone(),), |name: String| {
        RawValue::open(&name).unwrap().set([2u64; 3]).unwrap();
        common::die()
    });
    assert!(join::<()>(&child.unwrap()).is_err());
    assert_eq!(raw.get(), [2; 3]);
    raw.set([3; 3]).unwrap(); // a death is nobody's business
    let region = Region::new(4096).unwrap();
    let packed = RawValue::new_in(&region, 5i8).unwrap();
    assert_eq!((raw.get(), packed.fetch_sub(6), packed.get()), ([3; 3], 5, -1));
    assert_eq!(format!("{packed:?}"), "RawValue(-1)");
}

#[test]
fn a_large_raw_value_is_never_torn_by_writers_that_are_killed_x24() {
    let raw = RawValue::new([0u64; 40]).unwrap();
    let start = || {
        let seen = RawValue::new(0u64).unwrap();
        let write = |raw: RawValue<[u64; 40]>, seen: RawValue<u64>| {
            for n in 0.. {
                let all = raw.get();
                assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
                raw.set([n; 40]).unwrap();
                seen.set(n).unwrap();
            }
        };
        // A daemon, so that a test that fails does not wait for it.
        let writer = Process::builder().daemon(true).spawn((raw.clone(), seen.clone()), write);
        (writer.unwrap(), seen)
    };
    let survivor = start();
    for _ in 0..8 {
        let (victim, seen) = start();
        while seen.get() < 100 {
            assert!(victim.is_alive(), "torn, or an error");
            let all = raw.get();
            assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
        }
        kill(&victim);
        let so_far = survivor.1.get();
        while survivor.1.get() < so_far + 100 {
            assert!(survivor.0.is_alive(), "torn, or an error");
            std::thread::yield_now();
        }
    }
    kill(&survivor.0);
    let all = raw.get();
    assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
}

#[test]
fn every_operation_of_many_processes_is_exact_x25() {
    type Four = [RawValue<u32>; 4];
    let [bits, flips, least, most]: Four = [0, 0, u32::MAX, 0].map(|n| RawValue::new(n).unwrap());
    let tickets = Value::new(0u64).unwrap();
    let given = Value::new(0u64).unwrap();
    let children: Vec<_> = (0..4u32)
        .map(|id| {
            let args = (
                bits.clone(),
                flips.clone(),
                least.clone(),
                most.clone(),
                tickets.clone(),
                given.clone(),
                id,
            );
            Process::spawn(
                args,
                |bits: RawValue<u32>,
                 flips: RawValue<u32>,
                 least: RawValue<u32>,
                 most: RawValue<u32>,
                 tickets: Value<u64>,
                 given: Value<u64>,
                 id| {
                    for n in 0..8000u32 {
                        bits.fetch_or(1 << (n % 8 + id * 8));
                        flips.fetch_xor(1 << (n % 32));
                        least.fetch_min(1000 + (n * 7919 + id) % 8000);
                        most.fetch_max((n * 7919 + id) % 8000);
                        // A number goes round, and each finds it once.
                        given.fetch_add(tickets.swap(u64::from(n) << 2 | u64::from(id)));
                    }
                    bits.fetch_and(!(1 << (id * 8)));
                },
            )
            .unwrap()
        })
        .collect();
    children.iter().for_each(|child| join(child).unwrap());
    assert_eq!(bits.get(), 0xfefe_fefe);
    assert_eq!(flips.get(), 0, "each bit an even number of times");
    assert_eq!((least.get(), most.get()), (1000, 7999));
    let all: u64 = (0..8000).flat_map(|n| (0..4).map(move |id| n << 2 | id)).sum();
    assert_eq!(given.get() + tickets.get(), all);
}

#[test]
fn floating_point_numbers_add_up_under_the_lock_x25() {
    let sum = Value::new(0.0f32).unwrap();
    let child = Process::spawn((sum.clone(),), |sum: Value<f32>| {
        (0..4000).for_each(|_| sum.update(|s| *s += 0.25).unwrap());
    });
    (0..4000).for_each(|_| sum.update(|s| *s -= 0.125).unwrap());
    join(&child.unwrap()).unwrap();
    assert_eq!(sum.get(), 500.0);
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
fn a_forgotten_guard_is_a_death_once_its_process_has_no_handle_left() {
    let value = Value::new(1u64).unwrap();
    let array = Array::from_slice(&[1u64, 2]).unwrap();
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let (wait, go) = Pipe::<()>::simplex().unwrap();
    let child = Process::spawn(
        (value.clone(), array.clone(), say, wait),
        |value: Value<u64>, array: Array<u64>, say: Sender<()>, wait: Receiver<()>| {
            let mut guard = value.lock().unwrap();
            *guard = 2;
            std::mem::forget(guard);
            std::mem::forget(array.lock().unwrap());
            let handles = (value.clone(), array.clone());
            drop((value, array));
            assert!(matches!(handles.0.lock(), Err(LockError::WouldDeadlock)));
            say.send(()).unwrap();
            wait.recv_timeout(LONG).unwrap();
            drop(handles);
            say.send(()).unwrap();
            park()
        },
    );
    let child: Process = child.unwrap();
    ready.recv_timeout(LONG).unwrap();
    assert!(matches!(value.try_lock(), Err(LockError::WouldBlock)), "a handle is left");
    assert!(matches!(array.try_lock(), Err(LockError::WouldBlock)), "a handle is left");
    go.send(()).unwrap();
    ready.recv_timeout(LONG).unwrap();
    assert!(matches!(value.lock_timeout(LONG), Err(LockError::OwnerDied(died)) if **died == 1));
    assert!(matches!(array.lock_timeout(LONG), Err(LockError::OwnerDied(_))));
    assert!(child.is_alive());
    kill(&child);
}

#[test]
fn a_process_that_forgot_a_guard_and_all_handles_is_another_owner_when_it_comes_back() {
    let name = unique("forgotten");
    let keeper = Value::create(&name, 1u64).unwrap();
    let child = Process::spawn((name,), |name: String| {
        let value = Value::<u64>::open(&name).unwrap();
        std::mem::forget(value.lock().unwrap());
        drop(value);
        let again = Value::<u64>::open(&name).unwrap();
        assert!(matches!(again.set(2), Err(LockError::OwnerDied(_))));
        again.set(3).unwrap();
    });
    join(&child.unwrap()).unwrap();
    assert_eq!(keeper.get(), 3);
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
    shared::<RawValue<[f64; 100]>>();
    shared::<RawArray<[f64; 100]>>();
}
