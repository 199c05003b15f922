use super::*;
use std::thread;

/// Memory for a cell of any size up to 64 words.
struct Memory([AtomicU64; 64]);

impl Memory {
    fn filled(word: u64) -> Memory {
        Memory([const { AtomicU64::new(0) }; 64].map(|w| {
            w.store(word, Relaxed);
            w
        }))
    }

    fn cell<T: Pod>(&self) -> Cell<T> {
        // SAFETY: the memory outlives the cells of a test and holds nothing but atomics.
        unsafe { Cell::at(NonNull::from(&self.0).cast(), size_of_val(&self.0)) }.unwrap()
    }
}

#[test]
fn zeroed_memory_holds_zeros() {
    let memory = Memory::filled(0);
    memory.cell::<()>().read();
    assert_eq!(memory.cell::<u8>().read(), 0);
    assert_eq!(memory.cell::<[u32; 9]>().read(), [0; 9]);
}

#[test]
fn any_bytes_are_a_cell() {
    for word in [u64::MAX, 1, 0xdead_beef_dead_beef] {
        let memory = Memory::filled(word);
        let cell = memory.cell::<[u64; 5]>();
        assert_eq!(cell.read(), [word; 5]);
        cell.publish([7; 5]);
        assert_eq!(cell.read(), [7; 5]);
    }
}

#[test]
fn values_of_every_size_come_back_as_they_went() {
    fn check<const N: usize>()
    where
        [u8; N]: Pod,
    {
        let memory = Memory::filled(u64::MAX);
        let cell = memory.cell::<[u8; N]>();
        for round in 0..5 {
            let value: [u8; N] = std::array::from_fn(|i| (i as u8).wrapping_mul(7) ^ round);
            cell.publish(value);
            assert_eq!(cell.read(), value);
            assert_eq!(cell.try_read(), Some(value));
        }
        let words = Cell::<[u8; N]>::WORDS;
        assert!(memory.0[words..].iter().all(|w| w.load(Relaxed) == u64::MAX), "size {N}");
    }
    check::<0>();
    check::<1>();
    check::<3>();
    check::<8>();
    check::<9>();
    check::<15>();
    check::<16>();
    check::<17>();
    check::<64>();
    check::<128>();
}

#[test]
fn a_cell_takes_what_it_says() {
    assert_eq!(Cell::<()>::bytes_needed(), 0);
    assert_eq!(Cell::<u8>::bytes_needed(), 8);
    assert_eq!(Cell::<u64>::bytes_needed(), 8);
    assert_eq!(Cell::<[u8; 9]>::bytes_needed(), 40);
    let memory = Memory::filled(0);
    let base: NonNull<u8> = NonNull::from(&memory.0).cast();
    // SAFETY: the memory outlives both handles and holds nothing but atomics.
    let (short, odd) = unsafe { (Cell::<u64>::at(base, 7), Cell::<u64>::at(base.add(4), 64)) };
    assert!(short.is_none() && odd.is_none());
}

#[test]
fn a_half_written_value_is_never_seen() {
    let memory = Memory::filled(0);
    let cell = memory.cell::<[u64; 4]>();
    cell.publish([1; 4]);
    // A writer that dies before its last store.
    cell.copy_in(cell.word(0).load(Relaxed) + 1, [2; 4]);
    assert_eq!(cell.read(), [1; 4]);
    cell.publish([3; 4]);
    assert_eq!(cell.read(), [3; 4]);
}

#[test]
fn readers_see_whole_values_in_order_while_others_publish() {
    const LAST: u64 = 100_000;
    let memory = Memory::filled(0);
    let cell = memory.cell::<[u64; 7]>();
    thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| {
                let mut seen = 0;
                while seen != LAST {
                    let value = cell.read();
                    assert!(value.iter().all(|&v| v == value[0]), "torn: {value:?}");
                    assert!(value[0] >= seen, "went back");
                    seen = value[0];
                }
            });
        }
        s.spawn(|| (1..=LAST).for_each(|v| cell.publish([v; 7])));
    });
}

#[test]
fn integers_wrap_within_their_own_width() {
    let memory = Memory::filled(u64::MAX);
    let byte = memory.cell::<u8>();
    byte.publish(250);
    assert_eq!(byte.fetch_add(10), 250);
    assert_eq!(byte.read(), 4);
    assert_eq!(byte.fetch_sub(5), 4);
    assert_eq!(byte.read(), 255);
    assert_eq!(byte.compare_exchange(255, 9), Ok(255));
    assert_eq!(byte.compare_exchange(255, 9), Err(9));
    let signed = memory.cell::<i32>();
    signed.publish(-1);
    assert_eq!(signed.fetch_add(-2), -1);
    assert_eq!(signed.fetch_sub(-5), -3);
    assert_eq!(signed.read(), 2);
    let wide = memory.cell::<i64>();
    wide.publish(i64::MAX);
    assert_eq!(wide.fetch_add(1), i64::MAX);
    assert_eq!(wide.read(), i64::MIN);
}

#[test]
fn concurrent_additions_all_count() {
    let memory = Memory::filled(0);
    let cell = memory.cell::<u16>();
    thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| (0..10_000).for_each(|_| _ = cell.fetch_add(3)));
        }
    });
    assert_eq!(cell.read(), (4u64 * 10_000 * 3) as u16);
}

#[test]
fn integers_are_compared_and_combined_in_place() {
    let memory = Memory::filled(u64::MAX);
    let cell = memory.cell::<i8>();
    assert_eq!(cell.swap(0b0101), -1);
    assert_eq!(cell.fetch_and(0b0110), 0b0101);
    assert_eq!(cell.fetch_or(0b1000), 0b0100);
    assert_eq!(cell.fetch_xor(0b1001), 0b1100);
    assert_eq!(cell.fetch_max(-3), 5);
    assert_eq!(cell.fetch_min(-3), 5);
    assert_eq!(cell.fetch_min(4), -3);
    assert_eq!(cell.fetch_max(9), -3);
    assert_eq!(cell.read(), 9);
    let cell = memory.cell::<u64>();
    cell.publish(1 << 63);
    assert_eq!(cell.fetch_min(3), 1 << 63);
    assert_eq!(cell.fetch_max(u64::MAX), 3);
    assert_eq!(cell.read(), u64::MAX);
}
