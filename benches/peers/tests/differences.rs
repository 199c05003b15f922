//! What happens with `raw_sync` and `shared_memory`, and with shmkit instead, when a holder dies,
//! when a wait is to end, and when a segment is opened while it is made.
//!
//! The peers' results are shown, not blamed: if one of these tests fails because a peer has got
//! better, that is good news.

use raw_sync::Timeout;
use raw_sync::locks::{LockImpl, LockInit, Mutex};
use shared_memory::{Shmem, ShmemConf, ShmemError};
use shmkit::{Error, Lock, LockError, Process, Region, Value};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(30);

/// Waits for a value that another process sets.
fn wait_for(value: &Value<u32>, wanted: u32) {
    let end = Instant::now() + LONG;
    while value.get() != wanted {
        assert!(Instant::now() < end, "the other process never came so far");
        thread::yield_now();
    }
}

fn segment() -> Shmem {
    ShmemConf::new().size(4096).create().unwrap()
}

fn open(id: &str) -> Shmem {
    ShmemConf::new().os_id(id).open().unwrap()
}

/// The mutex at the start of a segment, protecting the byte behind it.
fn peer_mutex(segment: &Shmem, fresh: bool) -> Box<dyn LockImpl> {
    let base = segment.as_ptr();
    // SAFETY: the segment has 4096 bytes and outlives the mutex; a mutex is made in it once.
    unsafe {
        let size = Mutex::size_of(Some(base));
        let made = if fresh {
            Mutex::new(base, base.add(size))
        } else {
            Mutex::from_existing(base, base.add(size))
        };
        made.unwrap().0
    }
}

#[test]
fn raw_sync_loses_a_lock_with_its_holder() {
    let segment = segment();
    let mutex = peer_mutex(&segment, true);
    let held = Value::new(0u32).unwrap();
    let holder = Process::spawn((segment.get_os_id().to_owned(), held.clone()), |id, held| {
        let segment = open(&id);
        let mutex = peer_mutex(&segment, false);
        let _guard = mutex.lock().unwrap();
        held.set(1).unwrap();
        loop {
            thread::park();
        }
    });
    let holder: Process<()> = holder.unwrap();
    wait_for(&held, 1);
    holder.kill().unwrap();
    assert!(holder.join().is_err());
    // Nobody lives who could release it.
    let tried = (0..100).filter(|_| mutex.try_lock(Timeout::Val(Duration::ZERO)).is_ok()).count();
    assert_eq!(tried, 0, "raw_sync's mutex has become robust");
}

#[test]
fn shmkit_hands_a_lock_on_when_its_holder_dies() {
    let lock = Lock::new(7u32).unwrap();
    let held = Value::new(0u32).unwrap();
    let holder = Process::spawn((lock.clone(), held.clone()), |lock, held| {
        let mut guard = lock.lock().unwrap();
        *guard = 8;
        held.set(1).unwrap();
        loop {
            thread::park();
        }
    });
    let holder: Process<()> = holder.unwrap();
    wait_for(&held, 1);
    holder.kill().unwrap();
    match lock.lock_timeout(LONG) {
        Err(LockError::OwnerDied(died)) => assert_eq!(*died.recover(), 7),
        _ => panic!("the next owner was not told"),
    }
    assert!(lock.try_lock().is_ok());
}

/// How many of `tries` waits of 900 ms for a held lock end at once, before the time is up.
fn early_returns(tries: u32, mut wait: impl FnMut(Duration)) -> u32 {
    let time = Duration::from_millis(900);
    (0..tries)
        .filter(|_| {
            let start = Instant::now();
            wait(time);
            start.elapsed() < time / 2
        })
        .count() as u32
}

#[test]
fn raw_sync_gives_up_a_timed_wait_too_early() {
    let segment = segment();
    let mutex = peer_mutex(&segment, true);
    let _held = mutex.lock().unwrap();
    // It adds the nanoseconds of now and of the timeout without carrying into the seconds, which
    // the kernel refuses unless now happens to be early in its second.
    let early = early_returns(4, |time| {
        let id = segment.get_os_id().to_owned();
        let waiting = thread::spawn(move || {
            let segment = open(&id);
            drop(peer_mutex(&segment, false).try_lock(Timeout::Val(time)).is_ok());
        });
        waiting.join().unwrap();
    });
    assert!(early > 0, "raw_sync's timed wait has been repaired");
}

#[test]
fn shmkit_waits_as_long_as_it_was_told() {
    let lock = Lock::new(()).unwrap();
    let (locked, is_locked) = mpsc::channel();
    let (done, is_done) = mpsc::channel::<()>();
    let theirs = lock.clone();
    let holder = thread::spawn(move || {
        let _guard = theirs.lock().unwrap();
        locked.send(()).unwrap();
        is_done.recv().unwrap_err();
    });
    is_locked.recv_timeout(LONG).unwrap();
    let early = early_returns(2, |time| {
        assert!(matches!(lock.lock_timeout(time), Err(LockError::Timeout)));
    });
    assert_eq!(early, 0);
    drop(done);
    holder.join().unwrap();
}

#[test]
fn shared_memory_shows_a_segment_before_it_has_a_size() {
    // What its `create` does first: a name without a size. Who opens it now fails, though a moment
    // later it would do.
    let id = format!("/shmkit-peers-{}", std::process::id());
    let name = std::ffi::CString::new(id.clone()).unwrap();
    // SAFETY: plain system calls on a name of our own.
    let fd = unsafe { libc::shm_open(name.as_ptr(), libc::O_CREAT | libc::O_RDWR, 0o600) };
    assert!(fd >= 0);
    let early = ShmemConf::new().os_id(&id).open();
    assert!(matches!(early, Err(ShmemError::MapOpenFailed(_) | ShmemError::UnknownOsError(_))));
    // SAFETY: as above.
    unsafe {
        libc::close(fd);
        libc::shm_unlink(name.as_ptr());
    }
}

#[test]
fn shmkit_shows_a_region_whole_or_not_at_all() {
    let name = format!("peers.{}", std::process::id());
    let go = Value::new(0u32).unwrap();
    let openers: Vec<Process<u32>> = (0..2)
        .map(|_| {
            Process::spawn((name.clone(), go.clone()), |name, stop| {
                let mut whole = 0;
                while stop.get() == 0 {
                    match Region::open(&name) {
                        Ok(region) => whole += u32::from(region.len_bytes() >= 1 << 20),
                        Err(Error::NotFound) => {}
                        Err(other) => panic!("an opener saw {other}"),
                    }
                }
                whole
            })
            .unwrap()
        })
        .collect();
    for _ in 0..2000 {
        // An opener may hold the last one a moment longer.
        match Region::create(&name, 1 << 20) {
            Ok(region) => drop(region),
            Err(Error::Exists) => {}
            Err(other) => panic!("the creator saw {other}"),
        }
    }
    go.set(1).unwrap();
    openers.into_iter().for_each(|opener| drop(opener.join().unwrap()));
}
