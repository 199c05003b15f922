//! What a manager promises of keys, types, handles and values that cannot be coded.

#![cfg(feature = "takeover")]

mod common;

use common::{LONG, fork, join, kill, park, reap, unique};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use shmkit::{
    Barrier, Dict, Error, Event, List, Lock, Manager, ManagerOptions, Namespace, Pipe, Process,
    Queue,
};
use std::collections::{BTreeMap, HashMap};

#[test]
fn a_key_has_one_kind_and_one_type() {
    let manager = Manager::new().unwrap();
    manager.dict::<String, u32>("d").unwrap();
    manager.list::<u32>("l").unwrap();
    let mismatch = |text: String, expected: &str| assert_eq!(text, expected);
    mismatch(
        manager.list::<u32>("d").unwrap_err().to_string(),
        "expected list, the region holds dict",
    );
    mismatch(manager.event("l").unwrap_err().to_string(), "expected event, the region holds list");
    for wrong in [
        manager.dict::<String, i32>("d").map(drop),
        manager.dict::<u32, String>("d").map(drop),
        manager.list::<u64>("l").map(drop),
    ] {
        assert!(matches!(wrong, Err(Error::TypeMismatch { .. })));
    }
    assert!(manager.dict::<String, u32>("d").is_ok() && manager.list::<u32>("l").is_ok());
    assert_eq!(manager.keys().len(), 2, "what failed has made nothing");
}

#[test]
fn keys_are_any_text_of_up_to_1024_bytes() {
    let manager = Manager::new().unwrap();
    let long = "k".repeat(1024);
    for key in ["a", "a b/c\0d", "\u{e4}\u{20ac}", "12345678", "123456789", &long] {
        assert!(!manager.contains_key(key));
        manager.value(key, key.len() as u64).unwrap();
        assert!(manager.contains_key(key));
    }
    for key in ["", &"k".repeat(1025)] {
        assert!(matches!(manager.event(key), Err(Error::InvalidArgument(_))));
    }
    manager.list::<u8>("list").unwrap();
    let keys = manager.keys();
    assert_eq!(keys.len(), 7);
    assert_eq!(keys[1], ("a b/c\0d".to_string(), "value".to_string()));
    assert_eq!(keys[6], ("list".to_string(), "list".to_string()));
    assert_eq!(manager.value(&long, 0u64).unwrap().get(), 1024);
}

fn make_all(manager: Manager, start: Barrier) -> Vec<u64> {
    start.wait().unwrap();
    let add = |n: u64| manager.value(&format!("v{n}"), 0u64).unwrap().fetch_add(1);
    (0..40).map(add).collect()
}

#[test]
fn two_who_make_a_key_at_once_get_the_same_object() {
    let manager = Manager::new().unwrap();
    let start = Barrier::new(4).unwrap();
    let children: Vec<_> = (0..4)
        .map(|_| Process::spawn((manager.clone(), start.clone()), make_all).unwrap())
        .collect();
    let mut seen: Vec<u64> = children.iter().flat_map(|child| join(child).unwrap()).collect();
    seen.sort_unstable();
    let each: Vec<u64> = (0..160).map(|n| n / 40).collect();
    assert_eq!(seen, each, "each number once for every key");
    assert_eq!(manager.keys().len(), 40);
}

fn use_handles(
    manager: Manager,
    dict: Dict<String, u8>,
    list: List<String>,
    namespace: Namespace,
) -> usize {
    dict.insert("child".into(), 1).unwrap();
    list.push("child".into()).unwrap();
    namespace.set("child", true).unwrap();
    manager.keys().len()
}

#[test]
fn handles_cross_as_arguments_and_through_pipes_and_queues() {
    let manager = Manager::new().unwrap();
    let dict: Dict<String, u8> = manager.dict("d").unwrap();
    let list: List<String> = manager.list("l").unwrap();
    let namespace = manager.namespace("n").unwrap();
    let arguments = (manager.clone(), dict.clone(), list.clone(), namespace.clone());
    assert_eq!(join(&Process::spawn(arguments, use_handles).unwrap()).unwrap(), 3);

    let (sender, receiver) = Pipe::new().unwrap();
    let child = Process::spawn((receiver,), |pipe: shmkit::Connection<Dict<String, u8>>| {
        let dict = pipe.recv().unwrap();
        dict.insert("pipe".into(), 2).unwrap();
    });
    sender.send(dict.clone()).unwrap();
    join(&child.unwrap()).unwrap();

    let queue: Queue<List<String>> = Queue::new(2).unwrap();
    queue.put(list.clone()).unwrap();
    let child = Process::spawn((queue,), |queue: Queue<List<String>>| {
        queue.get().unwrap().push("queue".into()).unwrap();
    });
    join(&child.unwrap()).unwrap();

    let all: BTreeMap<_, _> = dict.items().unwrap().into_iter().collect();
    assert_eq!(all, BTreeMap::from([("child".to_string(), 1), ("pipe".to_string(), 2)]));
    assert_eq!(list.snapshot().unwrap(), ["child", "queue"]);
    assert!(namespace.get::<bool>("child").unwrap());
}

#[test]
fn a_forked_child_uses_what_it_inherits() {
    let manager = Manager::new().unwrap();
    let dict: Dict<u8, u8> = manager.dict("d").unwrap();
    dict.insert(1, 1).unwrap();
    reap(fork(|| {
        assert_eq!(dict.insert(1, 2).unwrap(), Some(1));
        manager.list::<u8>("new").unwrap().push(3).unwrap();
    }));
    assert_eq!(dict.get(&1).unwrap(), Some(2));
    assert_eq!(manager.list::<u8>("new").unwrap().pop().unwrap(), Some(3));
}

#[derive(Serialize, Deserialize)]
struct Order {
    lines: List<String>,
    is_paid: Event,
    jobs: Queue<u32>,
    party: Barrier,
}

fn pay(manager: Manager) {
    let orders: Dict<u32, Order> = manager.dict("orders").unwrap();
    let order = orders.get(&7).unwrap().unwrap();
    order.lines.push("paid".into()).unwrap();
    order.jobs.put(1).unwrap();
    order.is_paid.set();
}

#[test]
fn values_hold_handles_to_objects_of_their_manager() {
    let manager = Manager::new().unwrap();
    let orders: Dict<u32, Order> = manager.dict("orders").unwrap();
    let order = || Order {
        lines: manager.list("orders/7/lines").unwrap(),
        is_paid: manager.event("orders/7/paid").unwrap(),
        jobs: manager.queue("orders/7/jobs", 3).unwrap(),
        party: manager.barrier("orders/7/party", 2).unwrap(),
    };
    orders.set(&7, &order()).unwrap();
    let child = Process::spawn((manager.clone(),), pay).unwrap();
    let order = orders.get(&7).unwrap().unwrap();
    assert!(order.is_paid.wait_timeout(LONG));
    join(&child).unwrap();
    assert_eq!(order.lines.snapshot().unwrap(), ["paid"]);
    assert_eq!(order.jobs.get().unwrap(), 1);
    assert!(order.jobs.get().is_err(), "a handle that is kept is nobody's: the others have gone");
    let lists: List<List<String>> = manager.list("lists").unwrap();
    lists.extend([order.lines.clone(), order.lines]).unwrap();
    assert_eq!(lists.pop().unwrap().unwrap().len(), 1);
    lists.update(0, |list| list.push("within".into()).unwrap()).unwrap();
    assert_eq!(lists.get(0).unwrap().unwrap().len(), 2);
    manager.namespace("n").unwrap().set("event", order.is_paid).unwrap();
    assert!(manager.namespace("n").unwrap().get::<Event>("event").unwrap().is_set());
}

#[test]
fn a_handle_of_another_region_cannot_be_kept() {
    let (manager, other) = (Manager::new().unwrap(), Manager::new().unwrap());
    let dict: Dict<u8, Event> = manager.dict("d").unwrap();
    for event in [Event::new().unwrap(), other.event("e").unwrap()] {
        let refused = dict.insert(1, event).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "cannot encode the value: only handles to objects of the same manager can be kept in it"
        );
    }
    let (_, end) = Pipe::<u8>::new().unwrap();
    let ends: List<shmkit::Connection<u8>> = manager.list("ends").unwrap();
    assert!(matches!(ends.push(end), Err(Error::Encode(_))));
    assert!(dict.is_empty() && ends.is_empty());
    dict.insert(1, manager.event("e").unwrap()).unwrap();
    assert!(dict.get(&1).unwrap().is_some());
}

/// A number that is only coded, or only decoded, if it is below 100.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Shy(u8);

impl Serialize for Shy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            100..200 => Err(serde::ser::Error::custom("too shy")),
            number => number.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Shy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Shy, D::Error> {
        match u8::deserialize(deserializer)? {
            200.. => Err(serde::de::Error::custom("much too shy")),
            number => Ok(Shy(number)),
        }
    }
}

#[test]
fn what_cannot_be_coded_changes_nothing() {
    let manager = Manager::new().unwrap();
    let dict: Dict<u8, Shy> = manager.dict("d").unwrap();
    let list: List<Shy> = manager.list("l").unwrap();
    let namespace = manager.namespace("n").unwrap();
    dict.insert(1, Shy(1)).unwrap();
    list.push(Shy(1)).unwrap();
    namespace.set("x", Shy(1)).unwrap();
    let is_encode = |done: Result<(), Error>| assert!(matches!(done, Err(Error::Encode(_))));
    is_encode(dict.insert(1, Shy(100)).map(drop));
    is_encode(dict.update(&1, |value| *value = Some(Shy(100))));
    is_encode(list.push(Shy(100)));
    is_encode(list.set(0, Shy(100)));
    is_encode(list.extend([Shy(2), Shy(100)]));
    is_encode(list.update(0, |value| *value = Shy(100)));
    is_encode(namespace.set("x", Shy(100)));
    is_encode(namespace.update("x", |value| *value = Shy(100)));
    assert_eq!(dict.get(&1).unwrap(), Some(Shy(1)));
    assert_eq!(list.snapshot().unwrap(), [Shy(1)]);
    assert_eq!(namespace.get::<Shy>("x").unwrap(), Shy(1));

    dict.insert(2, Shy(200)).unwrap();
    list.push(Shy(200)).unwrap();
    let is_decode = |done: Result<(), Error>| assert!(matches!(done, Err(Error::Decode(_))));
    is_decode(dict.get(&2).map(drop));
    is_decode(dict.snapshot().map(drop));
    is_decode(dict.update(&2, |_| ()));
    is_decode(list.get(1).map(drop));
    is_decode(list.snapshot().map(drop));
    is_decode(list.sort_by(|a, b| a.0.cmp(&b.0)));
    assert_eq!((dict.len(), list.len()), (2, 2));
    is_decode(dict.remove(&2).map(drop));
    is_decode(list.pop().map(drop));
    assert_eq!((dict.len(), list.len()), (1, 1));
}

#[test]
fn a_full_manager_says_so_and_keeps_what_it_has() {
    let options = ManagerOptions::new().capacity_bytes(1 << 20).participants(8);
    let manager = options.anonymous().unwrap();
    let dict: Dict<u32, Vec<u8>> = manager.dict("d").unwrap();
    let mut count = 0;
    let why = loop {
        match dict.insert(count, vec![count as u8; 1000]) {
            Ok(_) => count += 1,
            Err(why) => break why,
        }
    };
    assert!(matches!(why, Error::NoSpace), "{why}");
    assert!(count > 700, "{count} of 1048 kB");
    assert!(manager.used_bytes() <= 1 << 20);
    let grown = dict.update(&0, |value| value.as_mut().unwrap().extend([0; 100_000]));
    assert!(matches!(grown, Err(Error::NoSpace)));
    let all = dict.snapshot().unwrap();
    assert_eq!(all.len() as u32, count);
    assert!(all.iter().all(|(key, value)| *value == vec![*key as u8; 1000]));
    for key in 0..count / 2 {
        dict.remove(&key).unwrap().unwrap();
    }
    for key in 0..count / 2 {
        dict.insert(key, vec![1; 1000]).unwrap();
    }
    dict.clear().unwrap();
    assert_eq!(manager.used_bytes(), 0);
    dict.insert(0, vec![0; 900_000]).unwrap();
}

fn insert_in_order(dict: Dict<u8, u64>, stop: Event) {
    let mut round = 0;
    while !stop.is_set() {
        round += 1;
        for key in 0..4 {
            dict.set(&key, &(round << 40)).unwrap();
        }
    }
}

#[test]
fn a_snapshot_is_of_one_moment() {
    let manager = Manager::new().unwrap();
    let (dict, stop) = (manager.dict("d").unwrap(), manager.event("stop").unwrap());
    for key in 0..4 {
        dict.insert(key, 0).unwrap();
    }
    let child = Process::spawn((dict.clone(), stop.clone()), insert_in_order).unwrap();
    let mut changes = 0;
    let mut last = HashMap::new();
    while changes < 50 {
        let all = dict.snapshot().unwrap();
        assert!((1..4).all(|key| all[&key] <= all[&(key - 1)]), "{all:?}");
        assert!(all[&0] - all[&3] <= 1 << 40, "{all:?}");
        changes += u32::from(all != last);
        last = all;
    }
    stop.set();
    join(&child).unwrap();
}

#[test]
fn any_type_is_a_key() {
    let manager = Manager::new().unwrap();
    let pairs: Dict<(u8, Option<String>), [f64; 2]> = manager.dict("pairs").unwrap();
    pairs.insert((1, None), [0.5; 2]).unwrap();
    pairs.insert((1, Some("a".into())), [1.5; 2]).unwrap();
    assert_eq!(pairs.get(&(1, None)).unwrap(), Some([0.5; 2]));
    assert_eq!(pairs.get(&(2, None)).unwrap(), None);
    let unit: Dict<(), ()> = manager.dict("unit").unwrap();
    assert_eq!((unit.insert((), ()).unwrap(), unit.insert((), ()).unwrap()), (None, Some(())));
    assert!(unit.contains_key(&()).unwrap());
    let texts: Dict<String, String> = manager.dict("texts").unwrap();
    let long = "l".repeat(100_000);
    texts.insert(long.clone(), long.clone()).unwrap();
    texts.insert(String::new(), String::new()).unwrap();
    assert_eq!(texts.get(long.as_str()).unwrap(), Some(long.clone()));
    assert_eq!(texts.get(&long).unwrap(), Some(long));
    assert_eq!(texts.get("").unwrap().as_deref(), Some(""));
}

#[test]
fn a_list_is_used_like_a_vec() {
    let manager = Manager::new().unwrap();
    let list: List<String> = manager.list("l").unwrap();
    assert_eq!((list.pop().unwrap(), list.get(0).unwrap()), (None, None));
    list.extend(["c", "a", "d"].map(String::from)).unwrap();
    list.insert(1, "b, which is longer than a slot".into()).unwrap();
    list.sort_by(|a, b| b.cmp(a)).unwrap();
    assert_eq!(list.snapshot().unwrap(), ["d", "c", "b, which is longer than a slot", "a"]);
    assert_eq!(list.slice(1..=2).unwrap(), ["c", "b, which is longer than a slot"]);
    assert_eq!(list.slice(..0).unwrap(), [""; 0]);
    assert_eq!(list.slice(4..).unwrap(), [""; 0]);
    let range = |done: Result<Vec<String>, Error>| done.unwrap_err().to_string();
    assert_eq!(range(list.slice(2..6)), "index 5 is out of range for 4 elements");
    assert_eq!(range(list.slice(5..)), "index 5 is out of range for 4 elements");
    assert!(matches!(list.slice(3..2), Err(Error::InvalidArgument(_))));
    assert_eq!(list.remove(2).unwrap(), "b, which is longer than a slot");
    assert!(matches!(list.remove(3), Err(Error::OutOfRange { index: 3, len: 3 })));
    assert!(matches!(list.set(3, String::new()), Err(Error::OutOfRange { .. })));
    assert!(matches!(list.insert(4, String::new()), Err(Error::OutOfRange { .. })));
    list.insert(3, "e".into()).unwrap();
    assert_eq!(list.update(0, |text| std::mem::take(text)).unwrap(), "d");
    assert_eq!(list.snapshot().unwrap(), ["", "c", "a", "e"]);
    list.clear().unwrap();
    assert!(list.is_empty() && list.snapshot().unwrap().is_empty());
}

fn hold_a_manager(name: String) {
    let manager = Manager::create(&name).unwrap();
    manager.event("made").unwrap().set();
    park()
}

#[test]
fn the_name_of_the_dead_is_free() {
    let name = unique("dead");
    let child = Process::spawn((name.clone(),), hold_a_manager).unwrap();
    let start = std::time::Instant::now();
    let made = loop {
        match Manager::open(&name) {
            Ok(manager) => break manager,
            Err(_) => assert!(start.elapsed() < LONG),
        }
    };
    assert!(made.event("made").unwrap().wait_timeout(LONG));
    drop(made);
    kill(&child);
    assert!(matches!(Manager::open(&name), Err(Error::NotFound)));
    let again = Manager::create(&name).unwrap();
    assert!(again.keys().is_empty() && again.name() == Some(name.as_str()));
}

#[test]
fn a_manager_is_no_plain_region_and_no_lock_is_a_manager() {
    let name = unique("kinds");
    let manager = Manager::create(&name).unwrap();
    assert!(matches!(shmkit::Region::open(&name), Err(Error::TypeMismatch { .. })));
    drop(manager);
    let lock = Lock::create(&name, ()).unwrap();
    assert!(matches!(Manager::open(&name), Err(Error::TypeMismatch { .. })));
    drop(lock);
    for capacity in [0, 1, 4096, 1 << 40] {
        let manager = ManagerOptions::new().capacity_bytes(capacity).anonymous().unwrap();
        manager.list::<u8>("l").unwrap().push(1).unwrap();
    }
    let huge = ManagerOptions::new().capacity_bytes(1 << 60).anonymous();
    assert!(matches!(huge, Err(Error::InvalidArgument(_))), "{huge:?}");
}
