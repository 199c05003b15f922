//! A Rust process and a C process use the same objects: by name, and by a descriptor. Either may be killed.

mod build;

use api::ring::{Consumer, Producer, TryPopError};
use api::{
    Array, Barrier, Event, Listener, Lock, LockError, Manager, Queue, Region, Semaphore, Value,
};
use build::Link;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Longer than anything takes that is not stuck.
const LONG: Duration = Duration::from_secs(60);

static PROGRAM: LazyLock<PathBuf> =
    LazyLock::new(|| build::program("interop", &["interop"], &[], Link::Shared));

/// A process that runs C.
struct Peer {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it, and waits until it is ready.
    fn start(arguments: &[&str]) -> Peer {
        let mut child =
            Command::new(&*PROGRAM).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{arguments:?}");
        Peer { child, output }
    }

    /// What else it had to say, once it has ended well.
    fn finish(mut self) -> String {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        rest
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn name(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("ffi.{what}.{}.{count}", std::process::id())
}

#[test]
fn messages_go_from_rust_through_c_and_back() {
    let (there, back) = (name("there"), name("back"));
    let to = Queue::<String>::create(&there, 16).unwrap();
    let from = Queue::<Vec<u8>>::create(&back, 16).unwrap();
    let peer = Peer::start(&["echo", &there, &back]);
    for len in [0usize, 1, 10, 200, 5000, 1_000_000] {
        let mut loan = to.loan(len).unwrap();
        loan.fill(b'x');
        loan.commit();
        let received = from.receive_timeout(LONG).unwrap();
        assert_eq!(received.len(), len);
        assert!(received.first().is_none_or(|first| *first == b'!'));
        assert!(received.iter().skip(1).all(|byte| *byte == b'x'));
    }
    to.close();
    peer.finish();
    assert!(from.receive().is_err());
}

#[test]
fn a_queue_made_in_c_is_typed_in_rust() {
    let name = name("typed");
    let mut peer = Peer::start(&["makes-queue", &name]);
    assert!(matches!(Queue::<u32>::open(&name), Err(api::Error::TypeMismatch { .. })));
    assert_eq!(Queue::<String>::open(&name).unwrap().get_timeout(LONG).unwrap(), "hello");
    peer.kill();
    // Its name goes with the next one who asks for it.
    assert!(matches!(Queue::<String>::open(&name), Err(api::Error::NotFound)));
}

#[test]
fn an_array_has_one_lock_in_both_languages() {
    const EACH: usize = 20_000;
    let name = name("array");
    let array = Array::<u64>::create(&name, 2).unwrap();
    let peer = Peer::start(&["adds", &name, &EACH.to_string()]);
    for _ in 0..EACH {
        array.lock().unwrap()[0] += 1;
    }
    peer.finish();
    assert_eq!(array.to_vec(..).unwrap(), [2 * EACH as u64, EACH as u64]);
}

#[test]
fn a_ring_has_an_end_in_each_language() {
    let there = name("ring");
    let mut producer = Producer::<u64>::create(&there, 64).unwrap();
    let peer = Peer::start(&["sums", &there]);
    for value in 0..10_000 {
        while producer.try_push(value).is_err() {
            std::thread::yield_now();
        }
    }
    drop(producer);
    assert_eq!(peer.finish().trim(), (0..10_000u64).sum::<u64>().to_string());

    let back = name("ring");
    let peer = Peer::start(&["counts", &back, "16000"]);
    let mut consumer = Consumer::<u64>::open(&back).unwrap();
    let mut expected = 0;
    loop {
        match consumer.try_pop() {
            Ok(value) => {
                assert_eq!(value, expected);
                expected += 1;
            }
            Err(TryPopError::Empty) => std::thread::yield_now(),
            Err(TryPopError::Disconnected) => break,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(expected, 16_000);
    peer.finish();
}

#[test]
fn a_value_has_one_lock_in_both_languages() {
    const EACH: u64 = 10_000;
    let name = name("value");
    let value = Value::create(&name, 0u64).unwrap();
    let peer = Peer::start(&["adds-value", &name, &EACH.to_string()]);
    for _ in 0..EACH {
        value.update(|number| *number += 1).unwrap();
    }
    peer.finish();
    assert_eq!(value.get(), 2 * EACH);
}

#[test]
fn a_listener_in_rust_gives_c_a_pipe() {
    let path = std::env::temp_dir().join(name("listener"));
    let listener = Listener::<String>::bind(&path).unwrap();
    let peer = Peer::start(&["talks", path.to_str().unwrap()]);
    let connection = listener.accept_timeout(LONG).unwrap();
    connection.send_bytes(b"rust").unwrap();
    assert_eq!(connection.recv_bytes().unwrap(), b"c");
    assert!(connection.recv_bytes().is_err());
    peer.finish();
}

#[test]
fn events_barriers_and_permits_meet() {
    let name = name("meet");
    let event = Event::create(&format!("{name}.event")).unwrap();
    let barrier = Barrier::create(&format!("{name}.barrier"), 2).unwrap();
    let semaphore = Semaphore::create(&format!("{name}.semaphore"), 0).unwrap();
    let peer = Peer::start(&["meets", &name]);
    event.set();
    barrier.wait_timeout(LONG).unwrap();
    semaphore.acquire_timeout(LONG).unwrap().forget();
    peer.finish();
}

#[test]
fn a_killed_holder_is_told_of_across_the_languages() {
    let locked = name("lock");
    let lock = Lock::create(&locked, ()).unwrap();
    let mut peer = Peer::start(&["holds-lock", &locked]);
    assert!(matches!(lock.try_lock(), Err(LockError::WouldBlock)));
    peer.kill();
    match lock.lock_timeout(LONG) {
        Err(LockError::OwnerDied(died)) => drop(died.recover()),
        other => panic!("{other:?}"),
    }

    let written = name("array");
    let array = Array::<u64>::create(&written, 1).unwrap();
    let mut peer = Peer::start(&["holds-array", &written]);
    peer.kill();
    match array.lock_timeout(LONG) {
        Err(LockError::OwnerDied(died)) => assert_eq!(died.recover()[0], 13),
        other => panic!("{other:?}"),
    };

    let permits = name("permits");
    let semaphore = Semaphore::create(&permits, 1).unwrap();
    let mut peer = Peer::start(&["holds-permit", &permits]);
    assert!(semaphore.try_acquire().is_err());
    peer.kill();
    drop(semaphore.acquire_timeout(LONG).unwrap());
}

#[test]
fn a_killed_user_of_a_queue_loses_nothing() {
    for len in ["10", "100000"] {
        let name = name("queue");
        let queue = Queue::<Vec<u8>>::create(&name, 2).unwrap();
        let mut peer = Peer::start(&["holds-room", &name, len]);
        peer.kill();
        // Its room is there again, and nobody sees what was in it.
        for turn in 0..4 {
            let mut loan = queue.loan_timeout(1, LONG).unwrap();
            loan[0] = turn;
            loan.commit();
            assert_eq!(*queue.receive_timeout(LONG).unwrap(), [turn]);
        }
        let mut loan = queue.loan(3).unwrap();
        loan.copy_from_slice(b"abc");
        loan.commit();
        let mut peer = Peer::start(&["holds-message", &name]);
        assert!(queue.try_receive().is_err());
        peer.kill();
        assert_eq!(*queue.receive_timeout(LONG).unwrap(), *b"abc");
    }
}

#[test]
fn a_dict_and_a_lock_of_a_manager_are_shared() {
    let name = name("manager");
    let manager = Manager::create(&name).unwrap();
    let dict = manager.dict::<Vec<u8>, Vec<u8>>("dict").unwrap();
    dict.insert(b"from rust".to_vec(), b"abc".to_vec()).unwrap();
    let mut peer = Peer::start(&["answers", &name]);
    assert_eq!(dict.get(&b"from c".to_vec()).unwrap().unwrap(), b"xyz");
    let lock = manager.lock("lock").unwrap();
    assert!(matches!(lock.try_lock(), Err(LockError::WouldBlock)));
    peer.kill();
    assert!(matches!(lock.lock_timeout(LONG), Err(LockError::OwnerDied(_))));
}

#[test]
fn a_region_is_joined_by_its_descriptor() {
    let region = Region::new(1 << 16).unwrap();
    let fd = region.as_fd().try_clone_to_owned().unwrap();
    // SAFETY: a flag of our own descriptor, which the child is to inherit.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) };
    let mut peer = Peer::start(&["joins", &fd.as_raw_fd().to_string()]);
    drop(fd);
    assert!(region.participants().contains(&peer.child.id()));
    peer.kill();
    assert!(!region.participants().contains(&peer.child.id()));
}
