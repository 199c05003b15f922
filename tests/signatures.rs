//! Are names and signatures what programs outside this repository were written against?
//!
//! Nothing here runs but the one test at the end: what matters is that it compiles.

#![cfg(feature = "serde")]
#![allow(clippy::type_complexity, clippy::unnecessary_wraps)]

use shmkit::*;
use std::fmt::{Debug, Display};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// What every shared object is.
fn handle<T: Clone + Send + Sync + Debug + Message>() {}

/// What every error is, whatever it carries.
fn error<E: std::error::Error + Debug + Display + Into<Error>>() {}

/// Carried by errors, and neither `Debug` nor `Display`.
struct Mute;

fn lends<G: Deref<Target = T>, T: ?Sized>() {}
fn lends_mutably<G: DerefMut<Target = T>, T: ?Sized>() {}

fn objects() {
    handle::<Lock>();
    handle::<Lock<[u64; 5]>>();
    handle::<RLock>();
    handle::<RwLock>();
    handle::<RwLock<u8>>();
    handle::<Semaphore>();
    handle::<BoundedSemaphore>();
    handle::<Condition>();
    handle::<Event>();
    handle::<Barrier>();
    handle::<Value<f64>>();
    handle::<Array<u16>>();
    handle::<RawValue<i8>>();
    handle::<RawArray<i64>>();
    handle::<SharedMemory>();
    handle::<ShareableList>();
    handle::<Manager>();
    handle::<Dict<String, Vec<u8>>>();
    handle::<List<String>>();
    handle::<Namespace>();
}

fn errors() {
    error::<LockError<Mute>>();
    error::<OwnerDied<Mute>>();
    error::<AcquireError>();
    error::<OverRelease>();
    error::<BrokenBarrier>();
    error::<SendError<Mute>>();
    error::<RecvError>();
    error::<ProcessError>();
}

fn guards() {
    lends_mutably::<LockGuard<'_, u64>, u64>();
    lends_mutably::<ArrayGuard<'_, u64>, [u64]>();
    lends::<RLockGuard<'_, u64>, u64>();
    lends::<RwLockReadGuard<'_, u64>, u64>();
    lends_mutably::<RwLockWriteGuard<'_, u64>, u64>();
    lends::<OwnerDied<Mute>, Mute>();
    let _: fn(OwnerDied<Mute>) -> Mute = OwnerDied::recover;
}

fn locks() {
    type Held<'a> = Result<LockGuard<'a, u64>, LockError<LockGuard<'a, u64>>>;
    let _: fn(u64) -> Result<Lock<u64>> = Lock::new;
    let _: fn(&str, u64) -> Result<Lock<u64>> = Lock::create;
    let _: fn(&str) -> Result<Lock<u64>> = Lock::open;
    let _: fn(&Region, u64) -> Result<Lock<u64>> = Lock::new_in;
    let _: fn(&Lock<u64>) -> Held<'_> = Lock::lock;
    let _: fn(&Lock<u64>) -> Held<'_> = Lock::try_lock;
    let _: fn(&Lock<u64>, Duration) -> Held<'_> = Lock::lock_timeout;

    type Nested<'a> = Result<RLockGuard<'a, u64>, LockError<RLockGuard<'a, u64>>>;
    let _: fn(u64) -> Result<RLock<u64>> = RLock::new;
    let _: fn(&RLock<u64>) -> Nested<'_> = RLock::lock;
    let _: fn(&RLock<u64>) -> Nested<'_> = RLock::try_lock;
    let _: fn(&RLock<u64>, Duration) -> Nested<'_> = RLock::lock_timeout;
}

fn semaphores() {
    let _: fn(u32) -> Result<Semaphore> = Semaphore::new;
    let _: fn(&Semaphore) -> Result<Permit<'_>, AcquireError> = Semaphore::acquire;
    let _: fn(&Semaphore) -> Result<Permit<'_>, AcquireError> = Semaphore::try_acquire;
    let _: fn(&Semaphore, Duration) -> Result<Permit<'_>, AcquireError> =
        Semaphore::acquire_timeout;
    let _: fn(Permit<'_>) = |permit| permit.forget();
    let _: fn(&Semaphore, u32) -> Result<(), OverRelease> = Semaphore::release;
    let _: fn(&Semaphore) -> u32 = Semaphore::value;
    let _: fn(u32) -> Result<BoundedSemaphore> = BoundedSemaphore::new;
    let _: fn(&BoundedSemaphore, u32) -> Result<(), OverRelease> = BoundedSemaphore::release;
}

fn events() {
    let _: fn() -> Result<Event> = Event::new;
    let _: fn(&Event) = Event::set;
    let _: fn(&Event) = Event::clear;
    let _: fn(&Event) -> bool = Event::is_set;
    let _: fn(&Event) = Event::wait;
    let _: fn(&Event, Duration) -> bool = Event::wait_timeout;
}

fn conditions<'a>(
    condition: &Condition,
    guard: LockGuard<'a, u64>,
) -> Result<LockGuard<'a, u64>, LockError<LockGuard<'a, u64>>> {
    let _: fn() -> Result<Condition> = Condition::new;
    let _: fn(&Condition, u32) = Condition::notify;
    let _: fn(&Condition) = Condition::notify_all;
    let guard: LockGuard<'a, u64> = condition.wait(guard)?;
    let (guard, _notified): (LockGuard<'a, u64>, bool) =
        condition.wait_timeout(guard, Duration::ZERO).map_err(|_| LockError::Timeout)?;
    condition.wait_while(guard, |value: &mut u64| *value == 0)
}

fn barriers() {
    let _: fn(u32) -> Result<Barrier> = Barrier::new;
    let _: fn(&Barrier) -> Result<u32, BrokenBarrier> = Barrier::wait;
    let _: fn(&Barrier, Duration) -> Result<u32, BrokenBarrier> = Barrier::wait_timeout;
    let _: fn(&Barrier) = Barrier::abort;
    let _: fn(&Barrier) = Barrier::reset;
    let _: fn(&Barrier) -> bool = Barrier::is_broken;
    let _: fn(&Barrier) -> u32 = Barrier::waiting;
    let _: fn(&Barrier) -> u32 = Barrier::parties;
}

fn data() {
    let _: fn(u64) -> Result<Value<u64>> = Value::new;
    let _: fn(&Value<u64>) -> u64 = Value::get;
    let _: fn(&Value<u64>, u64) -> Result<(), LockError<()>> = Value::set;
    let _: fn(&Value<u64>, fn(&mut u64) -> i8) -> Result<i8, LockError<()>> = Value::update;
    let _: fn(&Value<u64>, u64) -> u64 = Value::fetch_add;
    let _: fn(&Value<i16>, i16) -> i16 = Value::fetch_sub;
    let _: fn(&Value<u64>, u64, u64) -> Result<u64, u64> = Value::compare_exchange;

    let _: fn(usize) -> Result<Array<u64>> = Array::zeroed;
    let _: fn(&[u64]) -> Result<Array<u64>> = Array::from_slice;
    let _: fn(&Array<u64>) -> usize = Array::len;
    let _: fn(&Array<u64>, usize) -> Option<u64> = Array::get;
    let _: fn(&Array<u64>, usize, u64) -> Result<()> = Array::set;
    let _: fn(&Array<u64>) -> Result<ArrayGuard<'_, u64>, LockError<ArrayGuard<'_, u64>>> =
        Array::lock;
}

fn pipes() {
    type Text = Connection<String>;
    let _: fn() -> Result<(Text, Text)> = Pipe::<String>::new;
    let _: fn() -> Result<(Receiver<String>, Sender<String>)> = Pipe::<String>::simplex;
    let _: fn(&Text, String) -> Result<(), SendError<String>> = Connection::send;
    let _: fn(&Text, String) -> Result<(), SendError<String>> = Connection::try_send;
    let _: fn(&Text, String, Duration) -> Result<(), SendError<String>> = Connection::send_timeout;
    let _: fn(&Text) -> Result<String, RecvError> = Connection::recv;
    let _: fn(&Text, Duration) -> Result<bool, RecvError> = Connection::poll;
    let _: fn(&Text, &[u8]) -> Result<(), SendError<()>> = Connection::send_bytes;
    let _: fn(&Text) -> Result<Vec<u8>, RecvError> = Connection::recv_bytes;
    let _: fn(&Text, &mut [u8]) -> Result<usize, RecvError> = Connection::recv_bytes_into;
    let _: fn(&Text) = Connection::close;
}

fn managers() {
    let _: fn() -> Result<Manager> = Manager::new;
    let _: fn(&str) -> Result<Manager> = Manager::create;
    let _: fn(&str) -> Result<Manager> = Manager::open;
    let _: fn(&Manager, &str) -> Result<Dict<String, u64>> = Manager::dict;
    let _: fn(&Manager, &str) -> Result<List<u64>> = Manager::list;
    let _: fn(&Manager, &str) -> Result<Namespace> = Manager::namespace;
    let _: fn(&Manager, &str, usize) -> Result<Queue<u64>> = Manager::queue;
    let _: fn(&Manager, &str) -> Result<Lock> = Manager::lock;
    let _: fn(&Manager, &str) -> Result<RLock> = Manager::rlock;
    let _: fn(&Manager, &str, u32) -> Result<Semaphore> = Manager::semaphore;
    let _: fn(&Manager, &str) -> Result<Condition> = Manager::condition;
    let _: fn(&Manager, &str) -> Result<Event> = Manager::event;
    let _: fn(&Manager, &str, u32) -> Result<Barrier> = Manager::barrier;
    let _: fn(&Manager, &str, f64) -> Result<Value<f64>> = Manager::value;
    let _: fn(&Manager, &str, usize) -> Result<Array<u8>> = Manager::array;
}

fn containers(dict: &Dict<String, u64>, list: &List<String>, names: &Namespace) -> Result<()> {
    let _: Option<u64> = dict.get("key")?;
    let _: Option<u64> = dict.insert("key".to_string(), 1)?;
    let _: Option<u64> = dict.remove("key")?;
    let _: u64 = dict.update("key", |entry: &mut Option<u64>| *entry.get_or_insert(0))?;
    let _: (bool, usize) = (dict.contains_key("key")?, dict.len());
    let _: (Vec<String>, Vec<u64>) = (dict.keys()?, dict.values()?);
    let _: Vec<(String, u64)> = dict.items()?;
    let _: std::collections::HashMap<String, u64> = dict.snapshot()?;
    dict.clear()?;
    list.push(String::new())?;
    let _: (Option<String>, Option<String>) = (list.pop()?, list.get(0)?);
    list.set(0, String::new())?;
    list.insert(0, String::new())?;
    let _: String = list.remove(0)?;
    let _: usize = list.update(0, |line: &mut String| line.len())?;
    list.sort()?;
    let _: (usize, Vec<String>) = (list.len(), list.snapshot()?);
    let _: u8 = names.get::<u8>("name")?;
    names.set("name", 1u8)?;
    names.update("name", |number: &mut u8| *number += 1)?;
    let _: (bool, Vec<String>) = (names.remove("name")?, names.names()?);
    Ok(())
}

fn processes() -> Result<()> {
    let child: Process<i32> = Process::spawn((1, 2), |a: i32, b: i32| a + b)?;
    let _: fn(&Process<i32>) -> Result<i32, ProcessError> = Process::join;
    let _: fn(&Process<i32>, Duration) -> Result<Option<i32>, ProcessError> = Process::join_timeout;
    let _: fn(&Process<i32>) -> Option<i32> = Process::exitcode;
    let _: fn(&Process<i32>) -> bool = Process::is_alive;
    let _: fn(&Process<i32>) -> u32 = Process::pid;
    let _: fn(&Process<i32>) -> &str = Process::name;
    let _: fn(&Process<i32>) -> Result<()> = Process::terminate;
    let _: fn(&Process<i32>) -> Result<()> = Process::kill;
    let _: for<'a> fn(&'a Process<i32>) -> std::os::fd::BorrowedFd<'a> = Process::sentinel;
    assert_eq!(child.join()?, 3);
    let child: Process<i32> = Process::builder()
        .name("w")
        .daemon(true)
        .method(Method::ForkServer)
        .env("A", "1")
        .env_remove("A")
        .current_dir("/")
        .stdin(process::Stdio::null())
        .stdout(process::Stdio::inherit())
        .spawn((1, 2), |a: i32, b: i32| a + b)?;
    assert_eq!(child.join()?, 3);
    let _: [Method; 3] = [Method::Spawn, Method::ForkServer, Method::Fork];
    let captured = 8;
    // SAFETY: the test has threads, so that nothing is started.
    #[allow(unsafe_code)]
    let forked: Result<Process<i32>> = unsafe { Process::fork(move || captured) };
    assert!(matches!(forked, Err(Error::Threads(1..))));
    let sum: i32 =
        scope(|s: &Scope| -> Result<i32> { Ok(s.spawn((1, 2), |a: i32, b: i32| a + b)?.join()?) })?;
    assert_eq!(sum, 3);
    let _: fn() -> Vec<ChildInfo> = active_children;
    let _: fn() -> &'static process::Current = current_process;
    let _: fn() -> Option<process::Parent> = parent_process;
    let _: fn() -> usize = cpu_count;
    Ok(())
}

fn pools() -> Result<()> {
    let pool: Pool = Pool::builder().workers(2).build()?;
    let _: fn() -> Result<Pool> = Pool::new;
    let _: fn(&Pool) -> &Pool = Pool::close;
    let _: fn(&Pool) -> &Pool = Pool::terminate;
    let _: fn(&Pool) -> Result<()> = Pool::join;
    let sum: Result<i32, TaskError> = pool.apply((1, 2), |a: i32, b: i32| a + b);
    let later: Result<Async<u64>> = pool.apply_async((3,), |n: u64| n * n);
    let all: Result<Vec<u64>, TaskError> = pool.map(0..3, |n: u64| n * n);
    let pairs: Result<Vec<u64>, TaskError> = pool.starmap([(2u64, 3u32)], |a, n| a.pow(n));
    let later = later?;
    let value: Result<u64, TaskError> = later.get();
    let soon: Result<u64, TaskError> = later.get_timeout(Duration::from_secs(30));
    let _: bool = later.is_ready();
    let _: Result<(), TaskError> = later.wait();
    assert_eq!((sum?, value?, soon?, all?, pairs?), (3, 9, 9, vec![0, 1, 4], vec![8]));
    let items: Vec<u64> = pool.imap(0..3, |n: u64| n).collect::<Result<_, _>>()?;
    let unordered = pool.imap_unordered(0..3, |n: u64| n).collect::<Result<Vec<_>, _>>()?;
    let later = pool.map_async(0..3, |n: u64| n)?.get()?;
    assert_eq!((items, unordered.len(), later), (vec![0, 1, 2], 3, vec![0, 1, 2]));
    fn is_send_and_sync<T: Send + Sync>(_: &T) {}
    is_send_and_sync(&pool);
    // The variants that programs match.
    match (TaskError::Terminated, TaskError::Closed, TaskError::Timeout) {
        (TaskError::WorkerDied { signal: Some(_), code: None } | TaskError::Panicked(_), ..) => {}
        (TaskError::Encode(_) | TaskError::Decode(_) | TaskError::Os(_), ..) => {}
        _ => {}
    }
    pool.close().join()
}

#[test]
fn signatures_are_those_of_the_contract() {
    let _ = (conditions, containers);
    for compiles in
        [objects, errors, guards, locks, semaphores, events, barriers, data, pipes, managers]
    {
        compiles();
    }
    processes().unwrap();
    pools().unwrap();
}
