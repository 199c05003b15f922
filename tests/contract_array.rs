//! Do arrays do what the behaviour contract says, between processes, also when writers die?
//!
//! The ids at the end of the test names are the rows of the contract.

mod common;

use common::{LONG, fork, join, kill, park, reap, unique};
use shmkit::{
    Array, Error, LockError, Pipe, Pod, Process, RawArray, Region, RegionOptions, Sender, Value,
    Zeroable,
};

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
fn a_wrong_index_or_length_is_told_with_its_numbers_v4() {
    let array = Array::<i32>::zeroed(10).unwrap();
    let raw = RawArray::<i32>::zeroed(10).unwrap();
    let text = |error: Result<(), Error>| error.unwrap_err().to_string();
    for error in [array.set(12, 1), raw.set(12, 1), raw.fetch_add(12, 1).map(drop)] {
        assert_eq!(text(error), "index 12 is out of range for 10 elements");
    }
    for error in [array.copy_to(8..=13, &mut [0; 6]), raw.copy_from(8..14, &[0; 6])] {
        assert_eq!(text(error), "index 13 is out of range for 10 elements");
    }
    for error in [array.copy_from(.., &[0; 9]), raw.copy_to(..10, &mut [0; 9])] {
        assert_eq!(text(error), "a slice of 9 elements for a range of 10");
    }
    #[allow(clippy::reversed_empty_ranges)]
    for error in [array.to_vec(5..2), raw.to_vec(5..2)] {
        let told = error.unwrap_err().to_string();
        assert_eq!(told, "invalid argument: a range that ends before it starts");
    }
    assert_eq!((raw.get(10), raw.get(usize::MAX)), (None, None));
    assert_eq!((array.to_vec(..).unwrap(), raw.to_vec(..).unwrap()), (vec![0; 10], vec![0; 10]));
}

#[test]
fn a_child_sums_up_what_slices_put_in_test_array() {
    let mut numbers = vec![680i32, 626, 934, 821, 150, 233, 548, 982, 714, 831];
    let array = Array::from_slice(&numbers).unwrap();
    let raw = RawArray::from_slice(&numbers).unwrap();
    assert_eq!((array.len(), array.get(3), raw.len(), raw.get(3)), (10, Some(821), 10, Some(821)));
    assert_eq!(array.to_vec(2..7).unwrap(), numbers[2..7]);
    numbers[4..8].copy_from_slice(&[1, 2, 3, 4]);
    array.copy_from(4..8, &[1, 2, 3, 4]).unwrap();
    raw.copy_from(4..8, &[1, 2, 3, 4]).unwrap();
    assert_eq!(array.iter().collect::<Vec<_>>(), numbers);
    assert_eq!(raw.iter().collect::<Vec<_>>(), numbers);
    let child =
        Process::spawn((array.clone(), raw.clone()), |array: Array<i32>, raw: RawArray<i32>| {
            let mut all = array.lock().unwrap();
            for i in 1..all.len() {
                all[i] += all[i - 1];
                raw.set(i, raw.get(i).unwrap() + raw.get(i - 1).unwrap()).unwrap();
            }
        });
    join(&child.unwrap()).unwrap();
    for i in 1..numbers.len() {
        numbers[i] += numbers[i - 1];
    }
    assert_eq!(array.to_vec(..).unwrap(), numbers);
    assert_eq!(raw.to_vec(..).unwrap(), numbers);
}

#[test]
fn a_raw_array_has_no_lock_and_no_owner_x24() {
    let name = unique("rawarray");
    let raw = RawArray::<[u16; 3]>::create(&name, 4).unwrap();
    assert!(matches!(Array::<[u16; 3]>::open(&name), Err(Error::TypeMismatch { .. })));
    assert!(matches!(RawArray::<[u32; 3]>::open(&name), Err(Error::TypeMismatch { .. })));
    let child = Process::spawn((name.clone(),), |name: String| {
        RawArray::<[u16; 3]>::open(&name).unwrap().set(2, [1, 2, 3]).unwrap();
        common::die()
    });
    assert!(join::<()>(&child.unwrap()).is_err());
    assert_eq!(raw.to_vec(1..).unwrap(), [[0; 3], [1, 2, 3], [0; 3]]);
    raw.set(0, [7; 3]).unwrap();
    let region = Region::new(4096).unwrap();
    let packed = RawArray::<u8>::new_in(&region, 3).unwrap();
    packed.set(2, 9).unwrap();
    assert_eq!(
        (packed.raw(), format!("{packed:?}")),
        (vec![0, 0, 9], "RawArray { len: 3, .. }".into())
    );
}

#[test]
fn elements_of_eight_bytes_are_never_torn_x24() {
    let raw = RawArray::<[u32; 2]>::zeroed(300).unwrap();
    let writers: Vec<_> = (1..3u32)
        .map(|id| {
            Process::spawn((raw.clone(), id), |raw: RawArray<[u32; 2]>, id| {
                for n in 0..1000 {
                    let mine = vec![[n * 2 + id, !(n * 2 + id)]; 300];
                    raw.copy_from(.., &mine).unwrap();
                    raw.set(n as usize % 300, [id, !id]).unwrap();
                }
            })
            .unwrap()
        })
        .collect();
    let assert_whole = |[a, b]: [u32; 2]| assert!([a, b] == [0, 0] || a == !b, "torn: {a} {b}");
    while writers.iter().any(|writer| writer.is_alive()) {
        raw.iter().for_each(assert_whole);
        raw.to_vec(..).unwrap().into_iter().for_each(assert_whole);
    }
    writers.iter().for_each(|writer| join(writer).unwrap());
}

#[test]
fn additions_to_elements_are_exact_x25() {
    let wide = RawArray::<i64>::zeroed(3).unwrap();
    let narrow = RawArray::<u8>::zeroed(8).unwrap();
    let children: Vec<_> = (0..4)
        .map(|_| {
            Process::spawn(
                (wide.clone(), narrow.clone()),
                |wide: RawArray<i64>, narrow: RawArray<u8>| {
                    for n in 0..20_000 {
                        wide.fetch_add(n % 3, -1).unwrap();
                        narrow.fetch_add(n % 8, 1).unwrap();
                    }
                },
            )
            .unwrap()
        })
        .collect();
    children.iter().for_each(|child| join(child).unwrap());
    assert_eq!(wide.iter().sum::<i64>(), -80_000);
    assert!(narrow.iter().all(|n| n == (10_000 % 256) as u8));
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
fn the_value_of_a_string_ends_at_its_first_nul_and_raw_is_all_v5() {
    let word = Array::<u8>::zeroed(5).unwrap();
    let raw = RawArray::<u8>::zeroed(5).unwrap();
    assert_eq!((word.value().unwrap(), raw.value()), (vec![], vec![]));
    let child =
        Process::spawn((word.clone(), raw.clone()), |word: Array<u8>, raw: RawArray<u8>| {
            word.set_value(b"hello").unwrap();
            raw.set_value(b"hello").unwrap();
            word.set_value(b"zty").unwrap();
            raw.set_value(b"zty").unwrap();
        });
    join(&child.unwrap()).unwrap();
    assert_eq!((word.value().unwrap(), raw.value()), (b"zty".to_vec(), b"zty".to_vec()));
    assert_eq!((word.raw().unwrap(), raw.raw()), (b"zty\0o".to_vec(), b"zty\0o".to_vec()));
    for error in [word.set_value(b"longer"), raw.set_value(b"longer")] {
        assert!(matches!(error, Err(Error::TooLong { len: 6, room: 5 })));
    }
    assert_eq!((word.raw().unwrap(), raw.raw()), (b"zty\0o".to_vec(), b"zty\0o".to_vec()));
    word.set_value(b"12345").unwrap();
    word.set_value(b"").unwrap();
    assert_eq!((word.value().unwrap(), word.raw().unwrap()), (vec![], b"\x002345".to_vec()));
    RawArray::<u8>::zeroed(0).unwrap().set_value(b"").unwrap();
}

// ---- deaths ----

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
fn a_forked_child_without_a_place_in_the_region_reads_nothing_and_is_told_why() {
    let child = Process::spawn((), || {
        let region = RegionOptions::new(4096).participants(1).anonymous().unwrap();
        let array = Array::<u32>::new_in(&region, 4).unwrap();
        let raw = RawArray::<u32>::new_in(&region, 4).unwrap();
        let mut guard = array.lock().unwrap();
        guard[0] = 1;
        reap(fork(|| {
            assert_eq!((array.get(0), array.iter().next()), (None, None));
            let told = [
                array.set(0, 5),
                array.copy_to(.., &mut [0; 4]),
                array.lock().map(drop).map_err(Error::from),
            ];
            for error in told {
                assert!(matches!(error, Err(Error::TooManyParticipants { limit: 1 })), "{error:?}");
            }
            raw.set(1, 5).unwrap(); // which needs no place
        }));
        guard[1] = 2;
        drop(guard);
        assert_eq!((array.to_vec(..).unwrap(), raw.get(1)), (vec![1, 2, 0, 0], Some(5)));
    });
    join(&child.unwrap()).unwrap();
}

// ---- edges ----

#[derive(Clone, Copy, Pod, Zeroable)]
#[bytemuck(crate = "shmkit")]
#[repr(C, align(64))]
struct Line([u64; 8]);

#[derive(Clone, Copy, Pod, Zeroable)]
#[bytemuck(crate = "shmkit")]
#[repr(C, align(256))]
struct Page([u64; 32]);

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
    assert!(RawArray::<u64>::zeroed(0).unwrap().to_vec(..).unwrap().is_empty());
    for len in [0, 5, isize::MAX as usize, usize::MAX] {
        let raws = RawArray::<()>::zeroed(len).unwrap();
        assert_eq!(
            (raws.len(), raws.get(len), raws.set(len / 2, ()).is_ok()),
            (len, None, len > 0)
        );
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
        assert!(matches!(RawArray::<u64>::zeroed(len), Err(Error::NoMemory { .. })), "{len}");
        let named = Array::<u64>::create(&unique("huge"), len);
        assert!(matches!(named, Err(Error::NoMemory { .. } | Error::NoSpace)), "{len}");
        let packed = Array::<u64>::new_in(&region, len);
        assert!(matches!(packed, Err(Error::NoSpace | Error::NoMemory { .. })), "{len}");
    }
    assert_eq!(Array::<u64>::new_in(&region, 9).unwrap().len(), 9, "the region is as good as new");
    assert!(common::left_behind(&unique("huge")).is_empty());
}
