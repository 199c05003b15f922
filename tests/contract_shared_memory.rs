//! What blocks of bytes and lists of scalars promise, between processes: rows X20, X21 and X22.

#![cfg(feature = "takeover")]

mod common;

use common::{LONG, join, kill, left_behind, park, unique};
use shmkit::{Array, Error, Event, Process, RawArray, Region, Scalar, ShareableList, SharedMemory};
use std::time::Instant;

fn attach_and_write(name: String) -> usize {
    let memory = SharedMemory::attach(&name).unwrap();
    let mut greeting = [0; 5];
    memory.read(2, &mut greeting).unwrap();
    assert_eq!(&greeting, b"howdy");
    memory.write(memory.len() - 1, &[7]).unwrap();
    memory.len()
}

#[test]
fn x20_a_block_is_created_attached_and_goes_with_its_last_user() {
    let name = unique("x20");
    assert!(matches!(SharedMemory::create(&name, 0), Err(Error::InvalidArgument(_))));
    assert!(matches!(SharedMemory::new(0), Err(Error::InvalidArgument(_))));
    assert!(matches!(SharedMemory::attach(&name), Err(Error::NotFound)));
    let memory = SharedMemory::create(&name, 10_000).unwrap();
    assert!(matches!(SharedMemory::create(&name, 10), Err(Error::Exists)));
    memory.write(2, b"howdy").unwrap();
    let child = Process::spawn((name.clone(),), attach_and_write).unwrap();
    assert_eq!(join(&child).unwrap(), 10_000);
    assert_eq!(memory.to_vec(9_998..).unwrap(), [0, 7]);
    assert_eq!(memory.to_vec(..8).unwrap(), b"\0\0howdy\0");
    for wrong in [
        memory.write(10_000, &[1]),
        memory.write(usize::MAX, &[1]),
        memory.read(9_999, &mut [0; 2]),
        memory.to_vec(..=10_000).map(drop),
    ] {
        assert!(matches!(wrong, Err(Error::OutOfRange { .. })), "{wrong:?}");
    }
    let other = memory.clone();
    drop(memory);
    assert!(SharedMemory::attach(&name).is_ok(), "nothing is unlinked that somebody uses");
    drop(other);
    assert!(matches!(SharedMemory::attach(&name), Err(Error::NotFound)));
    assert_eq!(left_behind(&name), [""; 0]);
}

fn hold(name: String) {
    let _memory = SharedMemory::create(&name, 100).unwrap();
    Event::open(&format!("{name}.made")).unwrap().set();
    park()
}

#[test]
fn x21_nothing_is_left_of_the_dead_and_nothing_taken_from_the_living() {
    let name = unique("x21");
    let made = Event::create(&format!("{name}.made")).unwrap();
    let child = Process::spawn((name.clone(),), hold).unwrap();
    assert!(made.wait_timeout(LONG));
    let memory = SharedMemory::attach(&name).unwrap();
    kill(&child);
    memory.write(0, &[1]).unwrap();
    assert_eq!(SharedMemory::attach(&name).unwrap().to_vec(..1).unwrap(), [1]);
    made.clear();
    drop(memory);
    let child = Process::spawn((name.clone(),), hold).unwrap();
    assert!(made.wait_timeout(LONG));
    kill(&child);
    assert!(matches!(SharedMemory::attach(&name), Err(Error::NotFound)));
    drop(made);
    assert_eq!(left_behind(&name), [""; 0]);
}

fn fill(memory: SharedMemory, list: ShareableList) {
    memory.write(0, &[5; 10]).unwrap();
    list.set(0, 5i64).unwrap();
}

#[test]
fn blocks_and_lists_cross_as_arguments_and_share_a_region() {
    let region = Region::new(1 << 16).unwrap();
    let memory = SharedMemory::new_in(&region, 10).unwrap();
    let list = ShareableList::new_in(&region, [1i64.into()]).unwrap();
    join(&Process::spawn((memory.clone(), list.clone()), fill).unwrap()).unwrap();
    assert_eq!(memory.to_vec(..).unwrap(), [5; 10]);
    assert_eq!(list.get(0).unwrap(), Scalar::Int(5));
    assert!(matches!(SharedMemory::new_in(&region, 1 << 20), Err(Error::NoSpace)));
}

fn mixed() -> [Scalar; 7] {
    [
        "howdy".into(),
        (b"HoWdY".to_vec()).into(),
        (-273.154).into(),
        100i64.into(),
        ().into(),
        true.into(),
        42i64.into(),
    ]
}

fn change(name: String) -> Vec<String> {
    let list = ShareableList::open(&name).unwrap();
    list.set(2, -78.5).unwrap();
    list.set(3, false).unwrap();
    list.set(4, "dry ice".to_string()).unwrap();
    list.to_vec().unwrap().iter().map(|scalar| format!("{scalar:?}")).collect()
}

#[test]
fn x22_a_list_has_fixed_slots_of_mixed_scalars() {
    let name = unique("x22");
    let list = ShareableList::create(&name, mixed()).unwrap();
    assert_eq!((list.len(), list.is_empty()), (7, false));
    assert_eq!(list.to_vec().unwrap(), mixed());
    let seen = join(&Process::spawn((name.clone(),), change).unwrap()).unwrap();
    assert_eq!(seen[4], "Str(\"dry ice\")");
    assert_eq!(list.get(2).unwrap(), Scalar::Float(-78.5));
    assert_eq!(list.get(3).unwrap(), Scalar::Bool(false));
    assert_eq!(list.index(&42i64.into()).unwrap(), Some(6));
    assert_eq!(list.index(&43i64.into()).unwrap(), None);
    assert_eq!(list.count(&true.into()).unwrap(), 1);
    let long = list.set(0, "far too long").unwrap_err();
    assert!(matches!(long, Error::TooLong { len: 12, room: 8 }), "{long}");
    assert_eq!(list.get(0).unwrap(), Scalar::Str("howdy".into()));
    for wrong in [list.get(7).map(drop), list.set(7, 1i64)] {
        assert!(matches!(wrong, Err(Error::OutOfRange { index: 7, len: 7 })), "{wrong:?}");
    }
    assert!(matches!(Array::<u64>::open(&name), Err(Error::TypeMismatch { .. })));
    assert!(matches!(RawArray::<u8>::open(&name), Err(Error::TypeMismatch { .. })));
    let empty = ShareableList::new([]).unwrap();
    assert!(empty.is_empty() && empty.get(0).is_err());
}

/// Python drops zeros at the end, and cuts characters of several bytes in two.
#[test]
fn complaint_20_bytes_and_text_are_exact() {
    let zeros: Vec<u8> = b"a\0b\0\0\0".to_vec();
    let text = "\u{1f600}\u{e4}\0\0";
    let list = ShareableList::new([zeros.clone().into(), text.into(), "".into()]).unwrap();
    assert_eq!(list.get(0).unwrap(), Scalar::Bytes(zeros));
    assert_eq!(list.get(1).unwrap(), Scalar::Str(text.into()));
    list.set(0, vec![0u8; 8]).unwrap();
    list.set(2, "\u{20ac}\u{20ac}").unwrap();
    assert_eq!(list.get(0).unwrap(), Scalar::Bytes(vec![0; 8]));
    assert_eq!(list.get(2).unwrap(), Scalar::Str("\u{20ac}\u{20ac}".into()));
    assert!(matches!(list.set(2, "\u{20ac}\u{20ac}\u{20ac}"), Err(Error::TooLong { .. })));
}

fn set_for_ever(list: ShareableList, started: Event) {
    let start = Instant::now();
    while start.elapsed() < LONG {
        for text in ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccc"] {
            list.set(0, text).unwrap();
        }
        started.set();
    }
}

#[test]
fn a_writer_that_is_killed_leaves_every_slot_whole() {
    let list = ShareableList::new(["aaaaaaaaaaaaaaaa".into()]).unwrap();
    for _ in 0..10 {
        let started = Event::new().unwrap();
        let arguments = (list.clone(), started.clone());
        let child = Process::spawn(arguments, set_for_ever).unwrap();
        assert!(started.wait_timeout(LONG));
        kill(&child);
        let Scalar::Str(text) = list.get(0).unwrap() else { panic!("another kind") };
        let whole = ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccc"];
        assert!(whole.contains(&text.as_str()), "{text}");
        list.set(0, "aaaaaaaaaaaaaaaa").unwrap();
    }
}
