//! What a manager promises, between processes: objects under keys, dicts, lists and namespaces.

#![cfg(feature = "takeover")]

mod common;

use common::{LONG, die, go_on, join, kill, leave, left_behind, park, reap, split, stop, unique};
use shmkit::{Array, Dict, Error, Event, List, Lock, Manager, Process, Queue};
use std::cell::Cell;
use std::collections::HashMap;
use std::time::Duration;

/// An event under a key that is set by now or soon.
fn await_event(manager: &Manager, key: &str) {
    assert!(manager.event(key).unwrap().wait_timeout(LONG), "{key} is not set");
}

fn make_and_park(name: String) {
    let manager = Manager::create(&name).unwrap();
    manager.dict::<String, u32>("ages").unwrap().insert("Ada".into(), 36).unwrap();
    manager.event("made").unwrap().set();
    park()
}

/// A manager of this name, as soon as somebody has made it.
fn opened(name: &str) -> Manager {
    let start = std::time::Instant::now();
    loop {
        match Manager::open(name) {
            Ok(manager) => return manager,
            Err(Error::NotFound) => assert!(start.elapsed() < LONG, "nobody makes it"),
            Err(other) => panic!("{other}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn m1_there_is_no_server_whose_death_matters() {
    let name = unique("m1");
    let maker = Process::spawn((name.clone(),), make_and_park).unwrap();
    let manager = opened(&name);
    await_event(&manager, "made");
    let ages = manager.dict::<String, u32>("ages").unwrap();
    kill(&maker);
    assert_eq!(ages.get("Ada").unwrap(), Some(36));
    ages.insert("Grace".into(), 85).unwrap();
    assert_eq!(opened(&name).dict::<String, u32>("ages").unwrap().len(), 2);
    drop((manager, ages));
    assert!(matches!(Manager::open(&name), Err(Error::NotFound)), "it goes with its last user");
    assert_eq!(left_behind(&name), [""; 0]);
}

#[test]
fn m2_any_value_has_the_type_it_says() {
    let manager = Manager::new().unwrap();
    manager.namespace("values").unwrap().set("text", "zty".to_string()).unwrap();
    let found: String = manager.namespace("values").unwrap().get("text").unwrap();
    assert_eq!(found, "zty");
    let number = manager.value("number", 1.5f64).unwrap();
    number.set(2.5).unwrap();
    assert_eq!(manager.value("number", 0f64).unwrap().get(), 2.5);
    assert!(matches!(manager.value("number", 0u64), Err(Error::TypeMismatch { .. })));
}

fn double_all(manager: Manager) {
    macro_rules! double {
        ($($t:ident)*) => {$(
            let array: Array<$t> = manager.array(stringify!($t), 3).unwrap();
            array.lock().unwrap().iter_mut().for_each(|one| *one += *one);
        )*};
    }
    double!(i8 u8 i16 u16 i32 u32 i64 u64 f32 f64);
}

#[test]
fn m3_arrays_of_all_codes_are_typed() {
    let manager = Manager::new().unwrap();
    macro_rules! check {
        ($($t:ident)*) => {
            $(manager.array::<$t>(stringify!($t), 3).unwrap().set(1, 3 as $t).unwrap();)*
            join(&Process::spawn((manager.clone(),), double_all).unwrap()).unwrap();
            $(assert_eq!(
                manager.array::<$t>(stringify!($t), 3).unwrap().to_vec(..).unwrap(),
                [0 as $t, 6 as $t, 0 as $t]
            );)*
        };
    }
    check!(i8 u8 i16 u16 i32 u32 i64 u64 f32 f64);
    let wrong = manager.array::<u8>("u8", 4).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "expected an array of 4 elements, the region holds an array of 3 elements"
    );
}

fn edit(manager: Manager) -> Option<u32> {
    let dict: Dict<String, u32> = manager.dict("d").unwrap();
    assert_eq!(dict.get("one").unwrap(), Some(1));
    dict.insert("two".into(), 2).unwrap();
    let queue: Queue<String> = manager.queue("q", 4).unwrap();
    assert_eq!(queue.get().unwrap(), "hello");
    queue.put("x".repeat(100_000)).unwrap();
    queue.close();
    dict.remove("one").unwrap()
}

#[test]
fn m4_two_processes_edit_a_dict_and_share_a_queue() {
    let manager = Manager::new().unwrap();
    let dict: Dict<String, u32> = manager.dict("d").unwrap();
    let queue: Queue<String> = manager.queue("q", 4).unwrap();
    dict.insert("one".into(), 1).unwrap();
    queue.put("hello".into()).unwrap();
    let child = Process::spawn((manager.clone(),), edit).unwrap();
    assert_eq!(join(&child).unwrap(), Some(1));
    assert_eq!(dict.get("two").unwrap(), Some(2));
    assert_eq!((dict.get("one").unwrap(), dict.remove("one").unwrap()), (None, None));
    assert_eq!(queue.get().unwrap().len(), 100_000);
    assert!(queue.get().is_err(), "closed and drained");
}

const ROUNDS: u64 = 300;

fn count_under_the_lock(manager: Manager) {
    let dict: Dict<u8, u64> = manager.dict("counts").unwrap();
    let rlock = manager.rlock("rlock").unwrap();
    let semaphore = manager.semaphore("semaphore", 1).unwrap();
    manager.barrier("start", 4).unwrap().wait().unwrap();
    for _ in 0..ROUNDS {
        let add = |key: u8| dict.insert(key, dict.get(&key).unwrap().unwrap_or(0) + 1).unwrap();
        let held = manager.lock("lock").unwrap();
        let guard = held.lock().unwrap();
        add(0);
        drop(guard);
        let outer = rlock.lock().unwrap();
        let inner = rlock.lock().unwrap();
        add(1);
        drop((inner, outer));
        let permit = semaphore.acquire().unwrap();
        add(2);
        drop(permit);
    }
}

#[test]
fn m5_locks_and_the_like_exclude_across_processes() {
    let manager = Manager::new().unwrap();
    let children: Vec<_> =
        (0..4).map(|_| Process::spawn((manager.clone(),), count_under_the_lock).unwrap()).collect();
    children.iter().for_each(|child| join(child).unwrap());
    let counts = manager.dict::<u8, u64>("counts").unwrap().snapshot().unwrap();
    assert_eq!(counts, HashMap::from([(0, 4 * ROUNDS), (1, 4 * ROUNDS), (2, 4 * ROUNDS)]));
}

fn wait_for_all(manager: Manager) -> u32 {
    await_event(&manager, "go");
    let (lock, condition) = (manager.lock("lock").unwrap(), manager.condition("changed").unwrap());
    let guard = lock.lock().unwrap();
    manager.event("ready").unwrap().set();
    drop(condition.wait(guard).unwrap());
    let rw = manager.rwlock("rw", 0u32).unwrap();
    let seen = *rw.read().unwrap();
    manager.bounded_semaphore("bounded", 1).unwrap().acquire().unwrap().forget();
    let jobs = manager.joinable_queue::<u32>("jobs", 2).unwrap();
    jobs.get().unwrap().done();
    seen
}

#[test]
fn m5_conditions_events_and_the_others_reach_across_processes() {
    let manager = Manager::new().unwrap();
    let child = Process::spawn((manager.clone(),), wait_for_all).unwrap();
    let jobs = manager.joinable_queue::<u32>("jobs", 2).unwrap();
    jobs.put(1).unwrap();
    manager.event("go").unwrap().set();
    await_event(&manager, "ready");
    *manager.rwlock("rw", 0u32).unwrap().write().unwrap() = 5;
    let lock: Lock = manager.lock("lock").unwrap();
    let guard = lock.lock().unwrap(); // it has begun to wait once the lock is free
    manager.condition("changed").unwrap().notify_all();
    drop(guard);
    assert_eq!(join(&child).unwrap(), 5);
    jobs.join().unwrap();
    assert!(manager.bounded_semaphore("bounded", 1).unwrap().try_acquire().is_err());
    assert!(matches!(manager.barrier("b", 2).map(|b| b.parties()), Ok(2)));
    let wrong = manager.barrier("b", 3).unwrap_err();
    assert!(wrong.to_string().contains("a barrier for 2 parties"), "{wrong}");
}

fn fill_in(manager: Manager) {
    let person = manager.namespace("person").unwrap();
    person.set("name", "Zed".to_string()).unwrap();
    person.set("info", vec![("a".to_string(), 1u8)]).unwrap();
    person.set("_age", 30u8).unwrap();
}

#[test]
fn m6_a_namespace_has_named_values_of_any_type() {
    let manager = Manager::new().unwrap();
    join(&Process::spawn((manager.clone(),), fill_in).unwrap()).unwrap();
    let person = manager.namespace("person").unwrap();
    assert_eq!(person.get::<String>("name").unwrap(), "Zed");
    assert_eq!(person.get::<Vec<(String, u8)>>("info").unwrap(), [("a".to_string(), 1)]);
    assert_eq!(person.get::<u8>("_age").unwrap(), 30);
    assert_eq!(person.names().unwrap(), ["_age", "info", "name"]);
    let wrong = person.get::<u16>("_age").unwrap_err();
    assert_eq!(wrong.to_string(), "expected u16, the region holds u8");
    let missing = person.get::<u8>("height").unwrap_err();
    assert_eq!(missing.to_string(), "nothing has the name \"height\"");
    assert!(matches!(person.update("height", |_: &mut u8| ()), Err(Error::MissingKey(_))));
    assert!(matches!(person.update("name", |_: &mut u8| ()), Err(Error::TypeMismatch { .. })));
    assert!(person.remove("_age").unwrap() && !person.remove("_age").unwrap());
    person.set("name", 7u64).unwrap(); // another type
    assert_eq!(person.get::<u64>("name").unwrap(), 7);
    assert!(person.contains("info").unwrap() && !person.contains("_age").unwrap());
    person.clear().unwrap();
    assert!(person.is_empty());
}

fn edit_a_copy(manager: Manager) {
    let ns = manager.namespace("ns").unwrap();
    let mut copy: Vec<i32> = ns.get("nums").unwrap();
    copy[2] = 3;
    assert_eq!(ns.get::<Vec<i32>>("nums").unwrap(), [5, 1, 2]);
    ns.update("nums", |nums: &mut Vec<i32>| nums[2] = 3).unwrap();
}

#[test]
fn m7_only_an_update_changes_what_is_inside() {
    let manager = Manager::new().unwrap();
    let ns = manager.namespace("ns").unwrap();
    ns.set("nums", vec![5, 1, 2]).unwrap();
    join(&Process::spawn((manager.clone(),), edit_a_copy).unwrap()).unwrap();
    assert_eq!(ns.get::<Vec<i32>>("nums").unwrap(), [5, 1, 3]);
}

#[test]
fn x23_all_goes_with_the_last_user() {
    let name = unique("x23");
    let manager = Manager::create(&name).unwrap();
    let list: List<u64> = manager.list("l").unwrap();
    let event: Event = manager.event("e").unwrap();
    assert_eq!(left_behind(&name).len(), 1, "one file for all objects");
    drop(manager);
    list.push(1).unwrap();
    drop(list);
    assert!(Manager::open(&name).is_ok(), "an object keeps it");
    event.set();
    drop(event);
    assert_eq!(left_behind(&name), [""; 0]);
    assert!(matches!(Manager::open(&name), Err(Error::NotFound)));
}

fn connect(name: String) -> u64 {
    let manager = Manager::open(&name).unwrap();
    manager.list::<String>("log").unwrap().push("here".into()).unwrap();
    manager.dict::<String, u64>("d").unwrap().get("answer").unwrap().unwrap()
}

#[test]
fn x32_unrelated_processes_meet_by_a_name() {
    let name = unique("x32");
    let manager = Manager::create(&name).unwrap();
    manager.dict::<String, u64>("d").unwrap().set("answer", &42).unwrap();
    let children: Vec<_> =
        (0..3).map(|_| Process::spawn((name.clone(),), connect).unwrap()).collect();
    for child in &children {
        assert_eq!(join(child).unwrap(), 42);
    }
    assert_eq!(manager.list::<String>("log").unwrap().snapshot().unwrap(), ["here"; 3]);
    assert!(matches!(Manager::create(&name), Err(Error::Exists)));
    assert!(matches!(Lock::<u8>::open(&name), Err(Error::TypeMismatch { .. })));
    let lock = Lock::create(&unique("x32.lock"), 0u8).unwrap();
    let wrong = Manager::open(&unique("x32.lock")).unwrap_err();
    assert_eq!(wrong.to_string(), "expected manager, the region holds lock");
    drop(lock);
}

fn die_within_an_update(manager: Manager) {
    let dict: Dict<String, Vec<u8>> = manager.dict("d").unwrap();
    let _ = dict.update("key", |value| {
        *value = Some(vec![9; 5000]);
        die()
    });
}

fn die_within_an_update_of_the_others(manager: Manager, which: u8) {
    match which {
        0 => manager.list::<u64>("l").unwrap().update(0, |_| die()).unwrap(),
        1 => manager.list::<u64>("l").unwrap().sort_by(|_, _| die()).unwrap(),
        _ => manager.namespace("n").unwrap().update("x", |_: &mut u64| die()).unwrap(),
    }
}

#[test]
fn death_within_an_update_leaves_the_value_and_harms_nobody() {
    let manager = Manager::new().unwrap();
    let dict: Dict<String, Vec<u8>> = manager.dict("d").unwrap();
    dict.insert("key".into(), vec![1; 3000]).unwrap();
    for deaths in 0..3 {
        assert_eq!(dict.interruptions(), deaths);
        let victim = Process::spawn((manager.clone(),), die_within_an_update).unwrap();
        assert!(join(&victim).is_err());
        assert_eq!(dict.get("key").unwrap(), Some(vec![1; 3000]));
        assert_eq!(dict.len(), 1);
    }
    dict.update("key", |value| value.as_mut().unwrap().push(2)).unwrap();
    assert_eq!((dict.get("key").unwrap().unwrap().len(), dict.interruptions()), (3001, 3));

    let list: List<u64> = manager.list("l").unwrap();
    list.extend([3, 1, 2]).unwrap();
    let namespace = manager.namespace("n").unwrap();
    namespace.set("x", 5u64).unwrap();
    for which in 0..3 {
        let victim =
            Process::spawn((manager.clone(), which), die_within_an_update_of_the_others).unwrap();
        assert!(join(&victim).is_err());
    }
    assert_eq!(list.snapshot().unwrap(), [3, 1, 2]);
    assert_eq!(namespace.get::<u64>("x").unwrap(), 5);
    assert_eq!((list.interruptions(), namespace.interruptions()), (2, 1));
}

fn fill_and_die(manager: Manager) {
    let dict: Dict<u64, Vec<u8>> = manager.dict("d").unwrap();
    for key in 0..500 {
        dict.insert(key, vec![key as u8; 700]).unwrap();
    }
    die()
}

#[test]
fn death_gives_memory_back_with_the_next_use() {
    let manager = Manager::new().unwrap();
    let dict: Dict<u64, Vec<u8>> = manager.dict("d").unwrap();
    join(&Process::spawn((manager.clone(),), fill_and_die).unwrap()).unwrap_err();
    assert_eq!(dict.len(), 500);
    assert!(manager.used_bytes() >= 350_000);
    dict.clear().unwrap();
    assert_eq!(manager.used_bytes(), 0);
}

fn make_a_nested_list_and_die(manager: Manager) {
    let lists: Dict<String, List<String>> = manager.dict("lists").unwrap();
    let list = manager.list("inner").unwrap();
    list.push("kept".to_string()).unwrap();
    lists.insert("mine".into(), list).unwrap();
    die()
}

#[test]
fn complaint_17_what_is_nested_outlives_who_made_it() {
    let manager = Manager::new().unwrap();
    join(&Process::spawn((manager.clone(),), make_a_nested_list_and_die).unwrap()).unwrap_err();
    let lists: Dict<String, List<String>> = manager.dict("lists").unwrap();
    drop(manager);
    let list = lists.get("mine").unwrap().unwrap();
    drop(lists);
    list.push("and used".into()).unwrap();
    assert_eq!(list.snapshot().unwrap(), ["kept", "and used"]);
}

fn add_one_by_one(manager: Manager) {
    let dict: Dict<String, u64> = manager.dict("d").unwrap();
    manager.barrier("start", 4).unwrap().wait().unwrap();
    for round in 0..ROUNDS {
        dict.update("all", |n| *n.get_or_insert(0) += 1).unwrap();
        dict.update(&format!("{}", round % 7), |n| *n.get_or_insert(0) += 1).unwrap();
        manager.list::<u64>("l").unwrap().update(0, |n| *n += 1).unwrap();
        manager.namespace("n").unwrap().update("x", |n: &mut u64| *n += 1).unwrap();
    }
}

#[test]
fn complaint_18_an_update_loses_nothing() {
    let manager = Manager::new().unwrap();
    let (list, namespace) = (manager.list("l").unwrap(), manager.namespace("n").unwrap());
    list.push(0u64).unwrap();
    namespace.set("x", 0u64).unwrap();
    let children: Vec<_> =
        (0..4).map(|_| Process::spawn((manager.clone(),), add_one_by_one).unwrap()).collect();
    children.iter().for_each(|child| join(child).unwrap());
    let dict: Dict<String, u64> = manager.dict("d").unwrap();
    assert_eq!(dict.get("all").unwrap(), Some(4 * ROUNDS));
    assert_eq!(dict.values().unwrap().iter().sum::<u64>(), 8 * ROUNDS);
    assert_eq!(list.get(0).unwrap(), Some(4 * ROUNDS));
    assert_eq!(namespace.get::<u64>("x").unwrap(), 4 * ROUNDS);
}

fn stop_within_an_update(manager: Manager) {
    let dict: Dict<u8, u8> = manager.dict("d").unwrap();
    dict.update(&1, |value| {
        manager.event("inside").unwrap().set();
        await_event(&manager, "go on");
        *value = Some(2);
    })
    .unwrap();
}

#[test]
fn who_has_patience_waits_no_longer_for_a_stopped_writer() {
    let manager = Manager::new().unwrap();
    let child = Process::spawn((manager.clone(),), stop_within_an_update).unwrap();
    await_event(&manager, "inside");
    stop(&child);
    let dict: Dict<u8, u8> = manager.dict("d").unwrap();
    let hasty = dict.clone().patience(Duration::from_millis(1));
    assert!(matches!(hasty.get(&1), Err(Error::Timeout)));
    assert!(matches!(hasty.insert(1, 1), Err(Error::Timeout)));
    assert!(matches!(dict.clone().patience(Duration::ZERO).get(&1), Err(Error::WouldBlock)));
    manager.event("go on").unwrap().set();
    go_on(&child);
    join(&child).unwrap();
    assert_eq!(hasty.get(&1).unwrap(), Some(2));
}

#[test]
fn using_a_dict_within_its_update_is_told() {
    let manager = Manager::new().unwrap();
    let dict: Dict<u8, u8> = manager.dict("d").unwrap();
    dict.insert(1, 1).unwrap();
    dict.update(&1, |value| {
        assert!(matches!(dict.get(&1), Err(Error::WouldDeadlock)));
        assert!(matches!(dict.insert(2, 2), Err(Error::WouldDeadlock)));
        assert!(matches!(dict.snapshot(), Err(Error::WouldDeadlock)));
        assert_eq!(dict.len(), 1);
        *value = Some(3);
    })
    .unwrap();
    assert_eq!(dict.items().unwrap(), [(1, 3)]);
}

#[test]
fn a_panic_within_an_update_changes_nothing() {
    let manager = Manager::new().unwrap();
    let dict: Dict<u8, String> = manager.dict("d").unwrap();
    dict.insert(1, "one".into()).unwrap();
    let update = || dict.update(&1, |value| -> () { value.take().map_or((), |_| panic!("bug")) });
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(update)).is_err());
    assert_eq!(dict.get(&1).unwrap().as_deref(), Some("one"));
    assert_eq!(dict.interruptions(), 1);
}

/// Forks within a change; the child comes to the end of its copy when the parent's is made.
fn fork_within_a_change(manager: Manager, which: u8) {
    let (dict, list) = (manager.dict::<u8, u8>("d").unwrap(), manager.list::<u8>("l").unwrap());
    let changed = manager.event(&format!("{which}")).unwrap();
    let child = Cell::new(-1);
    let is_child = || {
        if child.get() < 0 {
            child.set(split());
            if child.get() == 0 && !changed.wait_timeout(LONG) {
                leave(false);
            }
        }
        child.get() == 0
    };
    let done = match which {
        0 => dict.update(&1, |n| *n = Some(if is_child() { 3 } else { 2 })),
        1 => dict.update(&1, |n| *n = if is_child() { None } else { Some(4) }),
        2 => list.update(0, |n| *n = if is_child() { 7 } else { 9 }),
        _ => list.sort_by(|a, b| if is_child() { b.cmp(a) } else { a.cmp(b) }),
    };
    if child.get() == 0 {
        leave(matches!(done, Err(Error::WrongProcess)));
    }
    done.unwrap();
    changed.set();
    reap(child.get());
}

#[test]
fn a_child_forked_within_a_change_makes_none() {
    let manager = Manager::new().unwrap();
    let (dict, list) = (manager.dict::<u8, u8>("d").unwrap(), manager.list::<u8>("l").unwrap());
    list.extend([1, 5]).unwrap();
    let expected = [(Some(2), [1, 5]), (Some(4), [1, 5]), (Some(4), [9, 5]), (Some(4), [5, 9])];
    for (which, (value, elements)) in (0..).zip(expected) {
        let forking = Process::spawn((manager.clone(), which), fork_within_a_change).unwrap();
        join(&forking).unwrap();
        assert_eq!(dict.get(&1).unwrap(), value);
        assert_eq!(list.snapshot().unwrap(), elements);
    }
    assert_eq!((dict.interruptions(), list.interruptions()), (0, 0));
}
