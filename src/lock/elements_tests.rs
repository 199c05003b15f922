use super::*;

/// Memory for elements, and what of it they must not touch.
fn check<T: Pod + PartialEq + std::fmt::Debug>(make: impl Fn(usize) -> T, unit: usize) {
    assert_eq!(Elements::<T>::UNIT, unit);
    for len in [0, 1, 2, 5, 300] {
        let bytes = len * size_of::<T>();
        let mut memory = vec![u64::MAX; bytes.div_ceil(8) + 1];
        // SAFETY: the memory is long enough, aligned, and used by these elements only.
        let elements =
            unsafe { Elements::<T>::at(NonNull::new(memory.as_mut_ptr()).unwrap().cast(), len) };
        let all: Vec<T> = (0..len).map(&make).collect();
        elements.write(0, &all);
        for first in [0, 1, len / 2, len] {
            for len in [0, 1, 130, len - first.min(len)] {
                if first + len > all.len() {
                    continue;
                }
                let mut part = vec![T::zeroed(); len];
                elements.read(first, &mut part);
                assert_eq!(part, all[first..first + len]);
                elements.write(first, &part);
            }
        }
        let mut copy = vec![T::zeroed(); len];
        elements.read(0, &mut copy);
        assert_eq!(copy, all);
        let rest = &bytemuck::cast_slice::<u64, u8>(&memory)[bytes..];
        assert!(rest.iter().all(|byte| *byte == 0xff), "beyond the end");
    }
}

#[test]
fn elements_of_every_size_come_out_as_they_went_in() {
    check(|n| n as u8, 1);
    check(|n| n as i16 - 5, 2);
    check(|n| n as f32, 4);
    check(|n| (n as u64).wrapping_mul(0x0101_0101_0101_0101), 8);
    check(|n| [n as u8; 3], 1);
    check(|n| [n as u8; 6], 2);
    check(|n| [n as u8, 2, 3, 4, 5, 6, 7, 8], 8);
    check(|n| [n as u32, 1, 2], 4);
    check(|n| [n as f64; 5], 8);
    check(|n| (n as u128) << 60 | 7, 8);
    check(|_| (), 8);
}

#[test]
fn additions_to_neighbours_do_not_meet() {
    let mut memory = [0u64; 2];
    // SAFETY: as above.
    let elements = unsafe { Elements::<i8>::at(NonNull::from(&mut memory).cast(), 16) };
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| (0..1000).for_each(|n| _ = elements.fetch_add(n % 16, -1)));
        }
    });
    let mut all = [0; 16];
    elements.read(0, &mut all);
    let expected: Vec<i8> = (0..16).map(|n| -(if n < 8 { 252i32 } else { 248 }) as i8).collect();
    assert_eq!(all, *expected);
    assert_eq!(elements.fetch_add(3, i8::MAX), 4);
}

#[test]
fn elements_out_of_bounds_are_not_reached() {
    let mut memory = [7u64; 4];
    // SAFETY: as above; the elements behind the first two are for nobody.
    let elements = unsafe { Elements::<u64>::at(NonNull::from(&mut memory).cast(), 2) };
    for (first, len) in [(usize::MAX, 1), (0, 3), (1, 2), (3, 0)] {
        let read = std::panic::catch_unwind(|| elements.read(first, &mut vec![0; len]));
        let written = std::panic::catch_unwind(|| elements.write(first, &vec![0; len]));
        assert!(read.is_err() && written.is_err(), "{len} from {first} on");
    }
    assert_eq!(memory, [7; 4]);
}
