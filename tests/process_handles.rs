//! Do shared objects reach a child as arguments, and is it told when they cannot travel?

#![cfg(feature = "takeover")]

use serde::{Deserialize, Serialize};
use shmkit::{Array, Error, Lock, Message, Process, ProcessError, Region, Value};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(120);

fn join<R: Message>(process: &Process<R>) -> Result<R, ProcessError> {
    process.join_timeout(LONG).transpose().expect("the process has not ended in time")
}

#[test]
fn a_value_array_and_lock_are_the_same_objects_in_the_child() {
    let value = Value::new(40u64).unwrap();
    let array = Array::from_slice(&[1i32, 2, 3]).unwrap();
    let lock = Lock::new([0u8; 4]).unwrap();
    let child = Process::spawn(
        (value.clone(), array.clone(), lock.clone()),
        |value: Value<u64>, array: Array<i32>, lock: Lock<[u8; 4]>| {
            value.fetch_add(2);
            array.set(1, -2).unwrap();
            *lock.lock().unwrap() = *b"done";
            array.len()
        },
    )
    .unwrap();
    assert_eq!(join(&child).unwrap(), 3);
    assert_eq!(value.get(), 42);
    assert_eq!(array.iter().collect::<Vec<_>>(), [1, -2, 3]);
    assert_eq!(*lock.lock().unwrap(), *b"done");
}

#[derive(Serialize, Deserialize)]
struct Job {
    total: Value<u64>,
    parts: Vec<Value<u64>>,
    by: u64,
}

#[test]
fn handles_travel_inside_other_data_and_share_a_region() {
    let region = Region::new(1 << 20).unwrap();
    let parts: Vec<_> = (0..3).map(|n| Value::new_in(&region, n).unwrap()).collect();
    let total = Value::new(0u64).unwrap();
    let children: Vec<_> = (1..=4)
        .map(|by| {
            let job = Job { total: total.clone(), parts: parts.clone(), by };
            Process::spawn((job, String::from("x")), |job, _| {
                for part in &job.parts {
                    job.total.fetch_add(part.get() * job.by);
                }
            })
            .unwrap()
        })
        .collect();
    for child in &children {
        join(child).unwrap();
    }
    assert_eq!(total.get(), (1 + 2) * (1 + 2 + 3 + 4));
}

#[test]
fn a_child_passes_handles_on_to_its_own_children() {
    let value = Value::new(1u64).unwrap();
    let child = Process::spawn((value.clone(),), |value| {
        let grandchild = Process::spawn((value.clone(),), |value| {
            value.fetch_add(10);
        });
        grandchild.unwrap().join().unwrap();
        value.get()
    })
    .unwrap();
    assert_eq!(join(&child).unwrap(), 11);
    assert_eq!(value.get(), 11);
}

#[test]
fn a_handle_cannot_be_returned_and_the_error_says_so() {
    let child = Process::spawn((), || Value::new(1u64).unwrap()).unwrap();
    match join(&child).map(|value| value.get()) {
        Err(ProcessError::Encode(why)) => assert!(why.contains("shared handles"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failed_start_gives_the_handles_participants_back() {
    let value = Value::new(0u64).unwrap();
    // More failures than a region has participant slots.
    for _ in 0..300 {
        let failed = Process::builder().current_dir("/nowhere").spawn((value.clone(),), |_| ());
        assert!(matches!(failed, Err(Error::Os(_))));
    }
    // And more children, one after the other; some end without a look at their arguments.
    for n in 0..150u64 {
        let child = Process::spawn((value.clone(), n), |value: Value<u64>, n: u64| {
            if n.is_multiple_of(3) {
                std::process::exit(0);
            }
            value.fetch_add(1);
        })
        .unwrap();
        let _ = join(&child);
    }
    assert_eq!(value.get(), 100);
}
