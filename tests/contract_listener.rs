//! Do unrelated processes meet by a path, and only those that may?
//!
//! The ids at the end of the test names are the rows of the contract. Clients get a path and no
//! handle, as a program that was started from elsewhere would.

#![allow(unsafe_code)]

mod common;

use common::{LONG, die, fork, join, kill, park, reap};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use shmkit::{
    AcceptError, ConnectError, ConnectOptions, Connection, Error, Listener, ListenerOptions, Lock,
    PipeOptions, Process, RecvError, connect,
};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A path of this test's own; what is left there goes with it.
struct Spot(PathBuf);

impl Spot {
    fn new(test: &str) -> Spot {
        Spot(std::env::temp_dir().join(format!("shmkit-{}-{test}", std::process::id())))
    }

    fn text(&self) -> String {
        self.0.to_str().unwrap().to_owned()
    }
}

impl Drop for Spot {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn accept<T>(listener: &Listener<T>) -> Connection<T> {
    listener.accept_timeout(LONG).unwrap()
}

fn doubler(path: String) {
    let c = connect::<u32>(path).unwrap();
    while let Ok(n) = c.recv() {
        c.send(2 * n).unwrap();
    }
}

#[test]
fn unrelated_processes_meet_by_a_path_and_then_share_memory_x14() {
    let spot = Spot::new("meet");
    let listener = Listener::<u32>::bind(&spot.0).unwrap();
    assert_eq!(listener.path(), spot.0);
    let child = Process::spawn((spot.text(),), doubler).unwrap();
    let c = accept(&listener);
    drop(listener); // the connection does without it
    assert!(!spot.0.exists());
    for n in 0..1000 {
        c.send(n).unwrap();
        assert_eq!(c.recv_timeout(LONG).unwrap(), 2 * n);
    }
    drop(c);
    join(&child).unwrap();
}

#[test]
fn each_client_has_a_connection_of_its_own_x14() {
    let spot = Spot::new("many");
    let listener = Listener::<u32>::bind(&spot.0).unwrap();
    let children: Vec<_> =
        (0..8).map(|_| Process::spawn((spot.text(),), doubler).unwrap()).collect();
    let connections: Vec<_> = children.iter().map(|_| accept(&listener)).collect();
    for (c, n) in connections.iter().zip(0..) {
        c.send(n).unwrap();
    }
    for (c, n) in connections.iter().zip(0..) {
        assert_eq!(c.recv_timeout(LONG).unwrap(), 2 * n);
    }
    drop(connections);
    children.iter().for_each(|child| join(child).unwrap());
}

#[test]
fn clients_wait_in_line_until_they_are_accepted() {
    let spot = Spot::new("line");
    let listener = Listener::<u32>::bind(&spot.0).unwrap();
    let timeout = Duration::from_millis(10);
    let late = ConnectOptions::new().connect_timeout::<u32>(&spot.0, timeout);
    assert!(matches!(late, Err(ConnectError::Timeout)), "{late:?}");
    assert!(matches!(listener.try_accept(), Err(AcceptError::WouldBlock)), "it is gone");
    let early = Process::spawn((spot.text(),), doubler).unwrap();
    let c = accept(&listener);
    c.send(4).unwrap();
    assert_eq!(c.recv_timeout(LONG).unwrap(), 8);
    drop(c);
    join(&early).unwrap();
    let nobody = listener.accept_timeout(timeout);
    assert!(matches!(nobody, Err(AcceptError::Timeout)), "{nobody:?}");
}

#[test]
fn a_connection_of_a_listener_carries_handles_and_big_messages() {
    type Word = (Vec<u8>, Option<Lock<u64>>);
    let spot = Spot::new("handles");
    let options = ListenerOptions::new().pipe(PipeOptions::new().capacity_bytes(4096));
    let listener = options.bind::<Word>(&spot.0).unwrap();
    let child = Process::spawn((spot.text(),), |path: String| {
        let c = connect::<Word>(path).unwrap();
        let (bytes, lock) = c.recv().unwrap();
        *lock.unwrap().lock().unwrap() += bytes.len() as u64;
        c.send((bytes, None)).unwrap();
    });
    let child = child.unwrap();
    let c = accept(&listener);
    let lock = Lock::new(1).unwrap();
    c.send((vec![7; 100_000], Some(lock.clone()))).unwrap();
    assert_eq!(c.recv_timeout(LONG).unwrap().0, vec![7; 100_000]);
    assert_eq!(*lock.lock().unwrap(), 100_001);
    join(&child).unwrap();
}

fn client_with_key(path: String, key: Option<Vec<u8>>) -> String {
    let options = ConnectOptions::new();
    let options = match key {
        Some(key) => options.authkey(key),
        None => options,
    };
    match options.connect::<u32>(path) {
        Ok(c) => format!("{:?}", c.recv()),
        Err(e) => format!("{e:?}: {e}"),
    }
}

#[test]
fn who_has_another_key_is_refused_on_both_sides_p22_x14() {
    let keys: [Option<Vec<u8>>; 3] = [None, Some(b"one".to_vec()), Some(b"another".to_vec())];
    for (i, key) in keys.iter().enumerate() {
        let spot = Spot::new("keys");
        let options = match key {
            Some(key) => ListenerOptions::new().authkey(key),
            None => ListenerOptions::new(),
        };
        let listener = options.bind::<u32>(&spot.0).unwrap();
        for (j, theirs) in keys.iter().enumerate() {
            let child = Process::spawn((spot.text(), theirs.clone()), client_with_key).unwrap();
            match listener.accept_timeout(LONG) {
                Ok(c) => {
                    assert_eq!(i, j);
                    c.send(5).unwrap();
                    assert_eq!(join(&child).unwrap(), "Ok(5)");
                }
                Err(AcceptError::WrongKey) => {
                    assert_ne!(i, j);
                    assert!(join(&child).unwrap().starts_with("WrongKey: "));
                }
                Err(other) => panic!("{i} {j}: {other}"),
            }
        }
    }
}

#[test]
fn an_empty_key_is_refused_at_once_x14() {
    let spot = Spot::new("empty-key");
    let bound = ListenerOptions::new().authkey(b"").bind::<u32>(&spot.0).map(drop);
    assert!(matches!(bound, Err(Error::InvalidArgument(_))), "{bound:?}");
    assert!(!spot.0.exists());
    let connected = ConnectOptions::new().authkey(b"").connect::<u32>(&spot.0).map(drop);
    assert!(matches!(connected, Err(ConnectError::Os(_))), "{connected:?}");
}

/// A listener that has no key but says welcome to everybody.
fn impostor(path: &Path) -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    let s =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    rustix::net::bind(&s, &SocketAddrUnix::new(path).unwrap()).unwrap();
    rustix::net::listen(&s, 1).unwrap();
    s
}

#[test]
fn a_listener_without_the_key_gets_nothing_but_a_proof_that_fits_no_other_meeting_x14() {
    let spot = Spot::new("impostor");
    let listening = impostor(&spot.0);
    let child = Process::spawn((spot.text(), Some(b"key".to_vec())), client_with_key).unwrap();
    let s = rustix::net::accept(&listening).unwrap();
    let greeting = [&b"shmkit/1"[..], &[9; 32]].concat();
    rustix::net::send(&s, &greeting, SendFlags::empty()).unwrap();
    let mut request = vec![0; 4096];
    let (_, len) = rustix::net::recv(&s, &mut request[..], RecvFlags::empty()).unwrap();
    let proof = &request[len - 32..len];
    assert!(!request[..len].windows(3).any(|w| w == b"key"), "the key went over the wire");
    // Answer::Welcome { connection: [], proof: Some(the client's own) }
    let welcome = [&[0, 0, 1][..], proof].concat();
    rustix::net::send(&s, &welcome, SendFlags::empty()).unwrap();
    assert!(join(&child).unwrap().starts_with("WrongKey: "));
}

#[test]
fn what_is_no_listener_of_ours_is_told_apart() {
    let spot = Spot::new("strangers");
    let listening = impostor(&spot.0);
    let child = Process::spawn((spot.text(), None), client_with_key).unwrap();
    let s = rustix::net::accept(&listening).unwrap();
    rustix::net::send(&s, b"220 mail.example.org ESMTP", SendFlags::empty()).unwrap();
    assert!(join(&child).unwrap().starts_with("NotAListener"));
    drop((s, listening));
    std::fs::remove_file(&spot.0).unwrap();
    let stream = std::os::unix::net::UnixListener::bind(&spot.0).unwrap();
    let refused = connect::<u32>(&spot.0).map(drop);
    assert!(matches!(refused, Err(ConnectError::NotAListener(_))), "{refused:?}");
    drop(stream);
}

#[test]
fn types_that_differ_are_told_on_both_sides() {
    let spot = Spot::new("types");
    let listener = Listener::<u32>::bind(&spot.0).unwrap();
    let child = Process::spawn((spot.text(),), |path: String| match connect::<String>(path) {
        Err(ConnectError::TypeMismatch { expected, found }) => (expected, found),
        other => (format!("{other:?}"), String::new()),
    });
    match listener.accept_timeout(LONG) {
        Err(AcceptError::TypeMismatch { expected, found }) => {
            assert!(expected == "u32" && found.ends_with("String"), "{expected} {found}");
        }
        other => panic!("{other:?}"),
    }
    let (expected, found) = join(&child.unwrap()).unwrap();
    assert!(expected.ends_with("String") && found == "u32", "{expected} {found}");
}

/// Connects without a word.
fn raw_client(path: &Path) -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    let s =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    rustix::net::connect(&s, &SocketAddrUnix::new(path).unwrap()).unwrap();
    s
}

#[test]
fn clients_that_are_silent_or_mad_or_dead_keep_nobody_waiting() {
    let spot = Spot::new("mad");
    let listener = Listener::<u32>::bind(&spot.0).unwrap();
    let silent: Vec<_> = (0..20).map(|_| raw_client(&spot.0)).collect();
    for garbage in [&b"x"[..], &[0; 4096], &[0xff; 60_000], b"shmkit/1"] {
        let mad = raw_client(&spot.0);
        rustix::net::send(&mad, garbage, SendFlags::empty()).unwrap();
        std::mem::forget(mad);
    }
    drop(raw_client(&spot.0));
    fn dies_in_line(path: String) {
        let _s = raw_client(Path::new(&path));
        die();
    }
    let dying = Process::spawn((spot.text(),), dies_in_line);
    let _ = join(&dying.unwrap());
    let child = Process::spawn((spot.text(),), doubler).unwrap();
    let c = accept(&listener);
    c.send(1).unwrap();
    assert_eq!(c.recv_timeout(LONG).unwrap(), 2);
    drop(c);
    join(&child).unwrap();
    drop(silent);
    assert!(matches!(listener.try_accept(), Err(AcceptError::WouldBlock)));
}

fn sends_and_ends(path: String, way: u32) {
    let c = connect::<u32>(path).unwrap();
    c.send(9).unwrap();
    if way == 0 {
        die();
    }
    park();
}

#[test]
fn a_client_that_is_killed_after_its_welcome_leaves_the_end_of_a_stream() {
    let spot = Spot::new("killed-client");
    let listener = Listener::<u32>::bind(&spot.0).unwrap();
    for way in 0..2 {
        let child = Process::spawn((spot.text(), way), sends_and_ends);
        let child = child.unwrap();
        let c = accept(&listener);
        assert_eq!(c.recv_timeout(LONG).unwrap(), 9);
        if way == 0 {
            let _ = join(&child);
        } else {
            kill(&child);
        }
        assert!(matches!(c.recv_timeout(LONG), Err(RecvError::Disconnected)));
    }
}

fn listens_for_ever(path: String, c: Connection<bool>) {
    let _listener = Listener::<u32>::bind(path).unwrap();
    c.send(true).unwrap();
    park();
}

#[test]
fn a_listener_that_is_killed_tells_those_in_line_and_the_next_replaces_it() {
    let spot = Spot::new("killed-listener");
    for round in 0..3 {
        let (here, there) = shmkit::Pipe::<bool>::new().unwrap();
        let listening = Process::spawn((spot.text(), there), listens_for_ever);
        let listening = listening.unwrap();
        assert!(here.recv_timeout(LONG).unwrap(), "round {round}: it took the place of a dead one");
        let exists = Listener::<u32>::bind(&spot.0).map(drop);
        assert!(matches!(exists, Err(Error::Exists)), "{exists:?}");
        let in_line = Process::spawn((spot.text(),), |path: String| {
            matches!(connect::<u32>(path), Err(ConnectError::Disconnected | ConnectError::NotFound))
        });
        let in_line = in_line.unwrap();
        kill(&listening);
        assert!(join(&in_line).unwrap());
        assert!(spot.0.exists());
        let nobody = connect::<u32>(&spot.0).map(drop);
        assert!(matches!(nobody, Err(ConnectError::NotFound)), "{nobody:?}");
    }
}

#[test]
fn what_is_no_dead_listener_is_never_replaced_or_removed() {
    let spot = Spot::new("files");
    std::fs::write(&spot.0, "precious").unwrap();
    let exists = Listener::<u32>::bind(&spot.0).map(drop);
    assert!(matches!(exists, Err(Error::Exists)), "{exists:?}");
    assert_eq!(std::fs::read_to_string(&spot.0).unwrap(), "precious");
    std::fs::remove_file(&spot.0).unwrap();

    // Somebody removed the file under a listener, and another took the path.
    let first = Listener::<u32>::bind(&spot.0).unwrap();
    std::fs::remove_file(&spot.0).unwrap();
    let second = Listener::<u32>::bind(&spot.0).unwrap();
    drop(first);
    assert!(spot.0.exists(), "the first removed the file of the second");
    drop(second);
    assert!(!spot.0.exists());

    let nowhere = Listener::<u32>::bind(spot.0.join("x")).map(drop);
    assert!(matches!(nowhere, Err(Error::NotFound)), "{nowhere:?}");
    let long = Listener::<u32>::bind(std::env::temp_dir().join("x".repeat(120))).map(drop);
    assert!(matches!(long, Err(Error::Os(_))), "{long:?}");
    assert!(matches!(connect::<u32>(&spot.0), Err(ConnectError::NotFound)));
}

#[test]
fn of_many_who_race_for_a_dead_listeners_path_one_gets_it() {
    let spot = Spot::new("race");
    for _ in 0..5 {
        let dead = Process::spawn((spot.text(),), |path: String| {
            std::mem::forget(Listener::<u32>::bind(path).unwrap());
        });
        join(&dead.unwrap()).unwrap();
        assert!(spot.0.exists(), "it was left behind");
        let racers: Vec<_> = (0..4)
            .map(|_| {
                let (here, there) = shmkit::Pipe::<bool>::new().unwrap();
                let racer = |path: String, c: Connection<bool>| {
                    c.recv().unwrap();
                    let bound = Listener::<u32>::bind(path);
                    c.send(bound.is_ok()).unwrap();
                    let _ = c.recv(); // until all have tried
                    matches!(bound, Ok(_) | Err(Error::Exists))
                };
                (Process::spawn((spot.text(), there), racer).unwrap(), here)
            })
            .collect();
        racers.iter().for_each(|(_, c)| c.send(true).unwrap());
        let won = racers.iter().filter(|(_, c)| c.recv_timeout(LONG).unwrap()).count();
        assert_eq!(won, 1);
        for (racer, c) in racers {
            drop(c);
            assert!(join(&racer).unwrap());
        }
        assert!(!spot.0.exists());
    }
}

#[test]
fn a_forked_copy_of_a_listener_does_nothing() {
    let spot = Spot::new("forked");
    let child = Process::spawn((spot.text(),), |path: String| {
        let mut listener = Some(Listener::<u32>::bind(&path).unwrap());
        reap(fork(|| {
            let listener = listener.take().unwrap();
            let refused = listener.try_accept();
            assert!(matches!(refused, Err(AcceptError::WrongProcess)), "{refused:?}");
            drop(listener);
        }));
        assert!(Path::new(&path).exists(), "the copy removed the file");
        drop(listener);
        assert!(!Path::new(&path).exists());
    });
    join(&child.unwrap()).unwrap();
}

fn leaves_a_forked_copy(path: String, c: Connection<i32>) {
    let _listener = Listener::<u32>::bind(path).unwrap();
    let (mut runs, mut here) = std::io::pipe().unwrap();
    let orphan = fork(|| {
        common::be_silent();
        here.write_all(b"!").unwrap();
        park();
    });
    runs.read_exact(&mut [0]).unwrap();
    c.send(orphan).unwrap();
    die();
}

#[test]
fn a_forked_copy_does_not_keep_the_path_of_a_dead_listener() {
    let spot = Spot::new("orphan");
    let (here, there) = shmkit::Pipe::<i32>::new().unwrap();
    let child = Process::spawn((spot.text(), there), leaves_a_forked_copy).unwrap();
    let orphan = here.recv_timeout(LONG).unwrap();
    let _ = join(&child);
    let bound = Listener::<u32>::bind(&spot.0);
    // SAFETY: a plain call; the pid is that of our child's child, which parks.
    unsafe { libc::kill(orphan, libc::SIGKILL) };
    bound.unwrap();
}

#[test]
fn other_users_are_refused_by_the_credentials_that_the_kernel_gives() {
    if !rustix::process::geteuid().is_root() {
        return; // only root can be two users
    }
    const NOBODY: u32 = 65534;
    let spot = Spot::new("users");
    let as_nobody = |path: String, any_user: bool| {
        // SAFETY: a plain call.
        assert_eq!(unsafe { libc::setresuid(NOBODY, NOBODY, 0) }, 0);
        let options = ConnectOptions::new().any_user(any_user);
        format!("{:?}", options.connect::<u32>(path).map(drop))
    };
    // The file keeps them out.
    let listener = Listener::<u32>::bind(&spot.0).unwrap();
    let child = Process::spawn((spot.text(), true), as_nobody).unwrap();
    assert!(join(&child).unwrap().contains("PermissionDenied"));
    // Behind the file, the kernel's word does.
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(&spot.0, everybody).unwrap();
    let child = Process::spawn((spot.text(), true), as_nobody).unwrap();
    match listener.accept_timeout(LONG) {
        Err(AcceptError::Forbidden { uid, pid }) => assert_eq!((uid, pid), (NOBODY, child.pid())),
        other => panic!("{other:?}"),
    }
    assert!(join(&child).unwrap().contains("Forbidden"));
    drop(listener);
    // And a client trusts no other user's listener.
    let listener = ListenerOptions::new().any_user(true).bind::<u32>(&spot.0).unwrap();
    let child = Process::spawn((spot.text(), false), as_nobody).unwrap();
    assert!(join(&child).unwrap().contains("Forbidden { uid: 0 }"));
    drop(listener);
}

#[test]
fn a_listener_can_be_polled() {
    let spot = Spot::new("polled");
    let listener = Listener::<u32>::bind(&spot.0).unwrap();
    let is_ready = |timeout: Duration| {
        let timeout = Timespec::try_from(timeout).unwrap();
        poll(&mut [PollFd::new(&listener, PollFlags::IN)], Some(&timeout)).unwrap() == 1
    };
    assert!(!is_ready(Duration::ZERO));
    let child = Process::spawn((spot.text(),), doubler).unwrap();
    let c = loop {
        assert!(is_ready(LONG));
        match listener.try_accept() {
            Ok(c) => break c,
            Err(AcceptError::WouldBlock) => {}
            Err(other) => panic!("{other}"),
        }
    };
    assert!(!is_ready(Duration::ZERO));
    drop(c);
    join(&child).unwrap();
}

#[test]
fn threads_accept_at_once() {
    let spot = Spot::new("threads");
    let listener = Listener::<u32>::bind(&spot.0).unwrap();
    let children: Vec<_> =
        (0..6).map(|_| Process::spawn((spot.text(),), doubler).unwrap()).collect();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..2 {
                    let c = accept(&listener);
                    c.send(3).unwrap();
                    assert_eq!(c.recv_timeout(LONG).unwrap(), 6);
                }
            });
        }
    });
    children.iter().for_each(|child| join(child).unwrap());
}

extern "C" fn ignore(_: i32) {}

/// SIGUSR1 interrupts system calls, which are not restarted.
fn be_interruptible() {
    let handler: extern "C" fn(i32) = ignore;
    // SAFETY: all-zero bytes are a `sigaction` without flags; the handler does nothing, and lives as
    // long as the program.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as libc::sighandler_t;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
    }
}

fn accepts_under_signals(path: String, c: Connection<bool>) -> u32 {
    be_interruptible();
    let listener = Listener::<u32>::bind(path).unwrap();
    c.send(true).unwrap();
    listener.accept().unwrap().recv().unwrap()
}

fn connects_under_signals(path: String, c: Connection<bool>) -> u32 {
    be_interruptible();
    c.send(true).unwrap();
    connect::<u32>(path).unwrap().recv().unwrap()
}

#[test]
fn signals_do_not_break_accept_and_connect_test_ignore_eintr() {
    let (spot, signals) = (Spot::new("signals"), 200);
    let (here, there) = shmkit::Pipe::new().unwrap();
    let child = Process::spawn((spot.text(), there), accepts_under_signals).unwrap();
    assert!(here.recv_timeout(LONG).unwrap());
    (0..signals).for_each(|_| common::send(&child, libc::SIGUSR1));
    connect::<u32>(&spot.0).unwrap().send(3).unwrap();
    assert_eq!(join(&child).unwrap(), 3);

    let listener = Listener::<u32>::bind(&spot.0).unwrap();
    let (here, there) = shmkit::Pipe::new().unwrap();
    let child = Process::spawn((spot.text(), there), connects_under_signals).unwrap();
    assert!(here.recv_timeout(LONG).unwrap());
    (0..signals).for_each(|_| common::send(&child, libc::SIGUSR1));
    accept(&listener).send(4).unwrap();
    assert_eq!(join(&child).unwrap(), 4);
}
