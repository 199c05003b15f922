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

#[test]
fn signatures_are_those_of_the_contract() {
    let _ = conditions;
    for compiles in [objects, errors, guards, locks, semaphores, events, barriers, data, pipes] {
        compiles();
    }
    processes().unwrap();
}
