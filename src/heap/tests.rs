//! Containers against what the standard library has, and the memory that they hold.

use super::blocks::{Blocks, LEN};
use super::{Change, Container, Form, Heap, Row, Strings, Table};
use crate::error::{Error, Result};
use crate::region::{Element, Kind, Place, RegionOptions};
use proptest::prelude::*;
use std::collections::HashMap;

fn heap(bytes: u64) -> Heap {
    Heap::create(Place::Anonymous, bytes, RegionOptions::new(1 << 20)).unwrap()
}

fn container<F: Form>(heap: &Heap, key: &str) -> Container<F> {
    let region = heap.object().region();
    Container::create(Place::Keyed(&region, key), Kind::Dict, Element::BYTES).unwrap()
}

/// The container knows what it owns, and all of it can be reached or is on a list: after an
/// imagined death the same pages are found.
fn assert_tidy<F: Form>(container: &Container<F>) {
    let (counted, found) = container.pages();
    assert_eq!(counted, found);
    let len = container.len();
    container.mend_now().unwrap();
    let (counted, after) = container.pages();
    assert_eq!(counted, after);
    assert!(after <= found, "{after} of {found}");
    assert_eq!(container.len(), len);
}

#[derive(Clone, Debug)]
enum OfTable {
    Set(u8, Vec<u8>),
    Remove(u8),
    Update(u8, Option<Vec<u8>>),
    Clear,
    Mend,
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => proptest::collection::vec(any::<u8>(), 0..20),
        2 => proptest::collection::vec(any::<u8>(), 20..600),
        1 => (600usize..40_000).prop_map(|len| vec![len as u8; len]),
    ]
}

fn of_table() -> impl Strategy<Value = OfTable> {
    prop_oneof![
        10 => (any::<u8>(), bytes()).prop_map(|(key, value)| OfTable::Set(key, value)),
        6 => any::<u8>().prop_map(OfTable::Remove),
        3 => (any::<u8>(), proptest::option::of(bytes())).prop_map(|(k, v)| OfTable::Update(k, v)),
        1 => Just(OfTable::Clear),
        1 => Just(OfTable::Mend),
    ]
}

/// Keys of different lengths, some of which begin alike.
fn key(number: u8) -> Vec<u8> {
    vec![number / 4; number as usize % 40]
}

#[derive(Clone, Debug)]
enum OfRow {
    Push(Vec<u8>),
    Pop,
    Insert(usize, Vec<u8>),
    Remove(usize),
    Set(usize, Vec<u8>),
    Update(usize, u8),
    Extend(Vec<Vec<u8>>),
    Sort,
    Clear,
    Mend,
}

fn of_row() -> impl Strategy<Value = OfRow> {
    let at = || 0usize..80;
    prop_oneof![
        8 => bytes().prop_map(OfRow::Push),
        5 => Just(OfRow::Pop),
        3 => (at(), bytes()).prop_map(|(at, bytes)| OfRow::Insert(at, bytes)),
        3 => at().prop_map(OfRow::Remove),
        4 => (at(), bytes()).prop_map(|(at, bytes)| OfRow::Set(at, bytes)),
        3 => (at(), any::<u8>()).prop_map(|(at, byte)| OfRow::Update(at, byte)),
        2 => proptest::collection::vec(bytes(), 0..9).prop_map(OfRow::Extend),
        1 => Just(OfRow::Sort),
        1 => Just(OfRow::Clear),
        1 => Just(OfRow::Mend),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_table_is_a_map(steps in proptest::collection::vec(of_table(), 1..250)) {
        let heap = heap(64 << 20);
        let table = container::<Table>(&heap, "table");
        let mut model: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
        for step in steps {
            match step {
                OfTable::Set(number, value) => {
                    let mut old = Vec::new();
                    let had = table.set(&key(number), &value, Some(&mut old)).unwrap();
                    let before = model.insert(key(number), value);
                    prop_assert_eq!(had.then_some(old), before);
                }
                OfTable::Remove(number) => {
                    let mut old = Vec::new();
                    let had = table.remove(&key(number), &mut old).unwrap();
                    prop_assert_eq!(had.then_some(old), model.remove(&key(number)));
                }
                OfTable::Update(number, value) => {
                    let change = match &value {
                        Some(value) => Change::Put(value.clone()),
                        None => Change::Remove,
                    };
                    let seen = table.update(&key(number), |old| {
                        Ok((change, old.map(<[u8]>::to_vec)))
                    });
                    let before = match value {
                        Some(value) => model.insert(key(number), value),
                        None => model.remove(&key(number)),
                    };
                    prop_assert_eq!(seen.unwrap(), before);
                }
                OfTable::Clear => {
                    table.clear().unwrap();
                    model.clear();
                }
                OfTable::Mend => assert_tidy(&table),
            }
            prop_assert_eq!(table.len(), model.len());
        }
        let items = table.items(true, true).unwrap();
        let strings: Vec<_> = items.iter().map(<[u8]>::to_vec).collect();
        let all: HashMap<_, _> = strings.chunks(2).map(|kv| (kv[0].clone(), kv[1].clone())).collect();
        prop_assert_eq!(&all, &model);
        for number in 0..=255 {
            let mut value = Vec::new();
            let has = table.get(&key(number), &mut value).unwrap();
            prop_assert_eq!(has.then_some(value), model.get(&key(number)).cloned());
            prop_assert_eq!(table.contains(&key(number)).unwrap(), has);
        }
        assert_tidy(&table);
        table.clear().unwrap();
        prop_assert_eq!(heap.used(), 0);
        assert_tidy(&table);
    }

    #[test]
    fn a_row_is_a_vec(steps in proptest::collection::vec(of_row(), 1..150)) {
        let heap = heap(64 << 20);
        let row = container::<Row>(&heap, "row");
        let mut model: Vec<Vec<u8>> = Vec::new();
        let is_out = |done: Result<()>| matches!(done, Err(Error::OutOfRange { .. }));
        for step in steps {
            match step {
                OfRow::Push(bytes) => {
                    row.push(&bytes).unwrap();
                    model.push(bytes);
                }
                OfRow::Pop => {
                    let mut bytes = Vec::new();
                    let had = row.pop(&mut bytes).unwrap();
                    prop_assert_eq!(had.then_some(bytes), model.pop());
                }
                OfRow::Insert(at, bytes) if at <= model.len() => {
                    row.insert(at, &bytes).unwrap();
                    model.insert(at, bytes);
                }
                OfRow::Insert(at, bytes) => prop_assert!(is_out(row.insert(at, &bytes))),
                OfRow::Remove(at) if at < model.len() => {
                    let mut bytes = Vec::new();
                    row.remove(at, &mut bytes).unwrap();
                    prop_assert_eq!(bytes, model.remove(at));
                }
                OfRow::Remove(at) => prop_assert!(is_out(row.remove(at, &mut Vec::new()))),
                OfRow::Set(at, bytes) if at < model.len() => {
                    row.set(at, &bytes).unwrap();
                    model[at] = bytes;
                }
                OfRow::Set(at, bytes) => prop_assert!(is_out(row.set(at, &bytes))),
                OfRow::Update(at, byte) => {
                    let done = row.update(at, |old| Ok(([old, &[byte]].concat(), ())));
                    match model.get_mut(at) {
                        Some(bytes) => bytes.push(byte),
                        None => prop_assert!(is_out(done)),
                    }
                }
                OfRow::Extend(all) => {
                    let mut strings = Strings::default();
                    for bytes in &all {
                        strings.push_by(|target| {
                            target.extend_from_slice(bytes);
                            Ok::<(), ()>(())
                        }).unwrap();
                    }
                    row.extend(&strings).unwrap();
                    model.extend(all);
                }
                OfRow::Sort => {
                    row.reorder(|strings| {
                        let strings: Vec<_> = strings.iter().collect();
                        let mut order: Vec<_> = (0..strings.len()).collect();
                        order.sort_by_key(|index| strings[*index]);
                        Ok(order)
                    }).unwrap();
                    model.sort();
                }
                OfRow::Clear => {
                    row.clear().unwrap();
                    model.clear();
                }
                OfRow::Mend => assert_tidy(&row),
            }
            prop_assert_eq!(row.len(), model.len());
        }
        let all: Vec<_> = row.slice(0..usize::MAX).unwrap().0.iter().map(<[u8]>::to_vec).collect();
        prop_assert_eq!(&all, &model);
        for (index, element) in model.iter().enumerate() {
            let mut bytes = Vec::new();
            prop_assert!(row.get(index, &mut bytes).unwrap());
            prop_assert_eq!(&bytes, element);
        }
        assert_tidy(&row);
        row.clear().unwrap();
        prop_assert_eq!(heap.used(), 0);
        assert_tidy(&row);
    }
}

#[test]
fn steady_use_does_not_grow() {
    let heap = heap(64 << 20);
    let table = container::<Table>(&heap, "table");
    let mut high = 0;
    for round in 0u64..40_000 {
        let key = (round % 300).to_le_bytes();
        let len = (round.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize;
        table.set(&key, &vec![7; len], None).unwrap();
        if round % 3 == 0 {
            table.remove(&((round * 7) % 300).to_le_bytes(), &mut Vec::new()).unwrap();
        }
        if round == 20_000 {
            high = heap.used();
        }
    }
    assert!(heap.used() <= high + high / 4, "{high} pages, then {}", heap.used());
    assert_tidy(&table);
}

#[test]
fn a_full_heap_refuses_and_nothing_is_half_done() {
    let heap = heap(256 << 10);
    let (table, row) = (container::<Table>(&heap, "table"), container::<Row>(&heap, "row"));
    let mut count = 0u64;
    let refused = loop {
        match table.set(&count.to_le_bytes(), &[count as u8; 100], None) {
            Ok(_) => count += 1,
            Err(why) => break why,
        }
    };
    assert!(matches!(refused, Error::NoSpace), "{refused}");
    assert_eq!(table.len() as u64, count);
    assert!(matches!(row.push(&[1; 100]), Err(Error::NoSpace)));
    assert!(matches!(table.set(&[1], &[0; 300_000], None), Err(Error::NoSpace)));
    assert_eq!((row.len(), table.len() as u64), (0, count));
    for n in 0..count {
        let mut value = Vec::new();
        assert!(table.get(&n.to_le_bytes(), &mut value).unwrap());
        assert_eq!(value, [n as u8; 100]);
    }
    assert_tidy(&table);
    assert_tidy(&row);
    table.clear().unwrap();
    row.push(&[1; 100]).unwrap();
    table.set(&[1], &[0; 100_000], None).unwrap();
}

#[test]
fn a_list_that_does_not_fit_is_not_extended_at_all() {
    let heap = heap(64 << 10);
    let row = container::<Row>(&heap, "row");
    row.push(b"the first of all").unwrap();
    let mut strings = Strings::default();
    for _ in 0..100 {
        let write = |target: &mut Vec<u8>| {
            target.extend_from_slice(&[3; 1000]);
            Ok::<(), ()>(())
        };
        strings.push_by(write).unwrap();
    }
    assert!(matches!(row.extend(&strings), Err(Error::NoSpace)));
    assert_eq!(row.len(), 1);
    assert_tidy(&row);
}

#[test]
fn pages_kept_for_later_do_not_stand_in_the_way_of_a_large_block() {
    let filled = || {
        let heap = heap(256 << 10);
        let row = container::<Row>(&heap, "row");
        let mut strings = Strings::default();
        for _ in 0..400 {
            let write = |target: &mut Vec<u8>| {
                target.extend_from_slice(&[1; 100]);
                Ok::<(), ()>(())
            };
            strings.push_by(write).unwrap();
        }
        row.extend(&strings).unwrap();
        (heap, row)
    };
    let (heap, row) = filled();
    let kept = heap.used();
    row.mend_now().unwrap();
    let needed = heap.used();
    assert!(needed < kept, "{needed} of {kept}");
    let (heap, row) = filled();
    row.push(&vec![2; (64 - needed as usize) * 4096 - 8]).unwrap();
    assert_eq!(heap.used(), 64);
    assert_tidy(&row);
}

#[test]
fn an_insertion_that_fails_leaves_nothing_behind_a_clear() {
    let heap = heap(4096);
    let (row, table) = (container::<Row>(&heap, "row"), container::<Table>(&heap, "table"));
    assert!(matches!(row.insert(0, &[1; 100]), Err(Error::NoSpace)));
    assert_eq!(heap.used(), 1);
    row.clear().unwrap();
    assert_eq!(heap.used(), 0);
    table.set(b"key", b"value", None).unwrap_err();
    table.clear().unwrap();
    assert_eq!(heap.used(), 0);
    assert_tidy(&row);
}

#[test]
fn a_length_that_cannot_be_is_told() {
    let heap = heap(1 << 20);
    let table = container::<Table>(&heap, "table");
    for len in [u64::MAX, u64::MAX / 2] {
        let write = |blocks: &Blocks<'_>| {
            blocks.word(LEN).put(len);
            Ok(())
        };
        table.write(write).unwrap();
        assert!(matches!(table.set(b"key", b"value", None), Err(Error::Corrupt(_))));
    }
}

#[test]
fn containers_beside_each_other_share_the_pages() {
    let heap = heap(8 << 20);
    let tables: Vec<_> = (0..8).map(|n| container::<Table>(&heap, &format!("{n}"))).collect();
    std::thread::scope(|scope| {
        for (seed, table) in tables.iter().enumerate() {
            scope.spawn(move || {
                for round in 0..3000u64 {
                    let key = (round * (seed as u64 + 3) % 100).to_le_bytes();
                    table.set(&key, &vec![seed as u8; (round % 900) as usize], None).unwrap();
                    if round % 500 == 499 {
                        table.clear().unwrap();
                    }
                }
            });
        }
    });
    let pages: u64 = tables.iter().map(|table| table.pages().0).sum();
    assert_eq!(pages, heap.used());
    for (seed, table) in tables.iter().enumerate() {
        assert_tidy(table);
        let values = table.items(false, true).unwrap();
        assert!(values.iter().all(|value| value.iter().all(|byte| *byte == seed as u8)));
    }
}
