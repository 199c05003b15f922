//! Does a process do the same however it was started, and is the fork server as invisible as it says?
//!
//! The ids at the end of the test names are the rows of the behaviour contract. Forks, which want a
//! process with one thread, are in `process_fork`.

#![cfg(feature = "takeover")]
#![allow(unsafe_code)]

mod common;

use common::{LONG, join, servers_of};
use shmkit::{
    Array, Connection, Error, Event, Lock, Method, Pipe, Process, ProcessError, Queue, Value,
    active_children, current_process, parent_process,
};
use std::collections::BTreeSet;
use std::process::exit;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

const METHODS: [Method; 2] = [Method::Spawn, Method::ForkServer];

fn parked() {
    common::park()
}

fn server() -> shmkit::process::Builder {
    Process::builder().method(Method::ForkServer)
}

/// Where a test kills the server, or counts what belongs to it, no other test is to use it.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn every_method_gives_the_same_result_x17() {
    let _alone = alone();
    for method in METHODS {
        let child = Process::builder().method(method).spawn((6, 7), |a: u32, b: u32| a * b);
        let child = child.unwrap();
        assert_eq!(child.method(), method);
        assert_eq!(join(&child).unwrap(), 42);
        assert_eq!(child.exitcode(), Some(0));
    }
    let forked = Process::builder().method(Method::Fork).spawn((), || ());
    assert!(matches!(forked.map(drop), Err(Error::InvalidArgument(_))));
}

#[test]
fn a_child_of_the_server_is_our_child_p1_p7() {
    let _alone = alone();
    let child = server()
        .spawn((), || {
            let parent = parent_process().unwrap();
            let ids = (std::process::id(), std::os::unix::process::parent_id());
            (ids, parent.pid(), parent.name().to_string(), parent.is_alive())
        })
        .unwrap();
    let own = std::process::id();
    let expected = ((child.pid(), own), own, "MainProcess".to_string(), true);
    assert_eq!(join(&child).unwrap(), expected);
}

#[test]
fn names_identities_and_flags_are_the_childs_own_p5_p16() {
    let _alone = alone();
    let child = server().name("fred the worker").daemon(true).spawn((), || {
        let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
        let nested = server().spawn((), || current_process().is_daemon()).unwrap();
        let current = current_process();
        (current.name().to_string(), comm, current.is_daemon(), nested.join().unwrap())
    });
    let child = child.unwrap();
    let name = String::from("fred the worker");
    assert_eq!(join(&child).unwrap(), (name, "fred the worker\n".into(), true, true));

    let numbered = server().spawn((), || {
        let nested = server().spawn((), || current_process().name().to_string()).unwrap();
        (current_process().name().to_string(), nested.join().unwrap())
    });
    let numbered = numbered.unwrap();
    let name = numbered.name().to_string();
    assert_eq!(join(&numbered).unwrap(), (name.clone(), format!("{name}:1")));
}

static GLOBAL: AtomicUsize = AtomicUsize::new(0);

#[test]
fn globals_are_fresh_each_time_p26() {
    let _alone = alone();
    GLOBAL.store(100, SeqCst);
    for _ in 0..3 {
        let child = server().spawn((), || GLOBAL.fetch_add(1, SeqCst)).unwrap();
        assert_eq!(join(&child).unwrap(), 0);
    }
    assert_eq!(GLOBAL.load(SeqCst), 100);
}

#[test]
fn exit_codes_and_panics_come_back_from_each_method_p12_x5() {
    let _alone = alone();
    for method in METHODS {
        let builder = || Process::builder().method(method);
        for n in [0, 2, 255] {
            let exited: Process = builder().spawn((n,), |n: i32| exit(n)).unwrap();
            assert!(matches!(join(&exited), Err(ProcessError::Exited(code)) if code == n));
            assert_eq!(exited.exitcode(), Some(n));
        }
        for signal in [libc::SIGTERM, libc::SIGKILL, libc::SIGSEGV] {
            let ended = builder().spawn((signal,), |signal: i32| {
                // SAFETY: the default disposition, then a signal to this process.
                unsafe {
                    libc::signal(signal, libc::SIG_DFL);
                    libc::kill(libc::getpid(), signal);
                }
            });
            let ended = ended.unwrap();
            assert!(join(&ended).is_err());
            assert_eq!(ended.exitcode(), Some(-signal));
        }
        let panicked = builder()
            .env("RUST_BACKTRACE", "1")
            .spawn((41,), |n: i32| -> i32 { panic!("bad input {}", n + 1) })
            .unwrap();
        let (Err(ProcessError::Panicked(panic))
        | Err(ProcessError::Signaled { panic: Some(panic), .. })) = join(&panicked)
        else {
            panic!("no panic")
        };
        assert_eq!(panic.message(), "bad input 42");
        assert!(panic.location().unwrap().starts_with("tests/process_methods.rs:"), "{panic}");
        assert!(panic.backtrace().unwrap().contains("exit_codes_and_panics"), "{panic:?}");
    }
}

#[test]
fn a_panic_that_aborts_is_told_by_a_child_of_the_server_x5() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("second");
        }
    }
    let _alone = alone();
    let child: Process = server()
        .spawn((), || {
            let _bomb = Bomb;
            panic!("first")
        })
        .unwrap();
    match join(&child) {
        Err(ProcessError::Signaled { signal: 6, panic: Some(panic), .. }) => {
            assert!(panic.message().starts_with("first\nthen panicked at"), "{panic}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_thread_of_a_child_of_the_server_is_in_order() {
    let _alone = alone();
    let child = server().spawn((), || {
        // SAFETY: plain calls; a robust mutex that a thread of ours leaves locked at its end.
        unsafe {
            let (mut head, mut bytes) = (std::ptr::null_mut::<libc::c_void>(), 0usize);
            libc::syscall(libc::SYS_get_robust_list, 0, &mut head, &mut bytes);
            let mut mutex: libc::pthread_mutex_t = std::mem::zeroed();
            let mut attributes = std::mem::zeroed();
            libc::pthread_mutexattr_init(&mut attributes);
            libc::pthread_mutexattr_settype(&mut attributes, libc::PTHREAD_MUTEX_ERRORCHECK);
            libc::pthread_mutexattr_setrobust(&mut attributes, libc::PTHREAD_MUTEX_ROBUST);
            libc::pthread_mutex_init(&mut mutex, &attributes);
            // It is the thread's id that tells who holds it.
            let held = libc::pthread_mutex_lock(&mut mutex);
            let again = libc::pthread_mutex_lock(&mut mutex);
            libc::pthread_mutex_unlock(&mut mutex);
            let thread = std::thread::spawn(|| libc::gettid() != libc::getpid());
            (head.is_null(), held, again, thread.join().unwrap(), libc::gettid() == libc::getpid())
        }
    });
    let expected = (false, 0, libc::EDEADLK, true, true);
    assert_eq!(join(&child.unwrap()).unwrap(), expected);
}

#[test]
fn handles_reach_a_child_of_the_server_and_its_children() {
    let _alone = alone();
    let value = Value::new(1u64).unwrap();
    let array = Array::from_slice(&[1i32, 2, 3]).unwrap();
    let lock = Lock::new(0u32).unwrap();
    let queue = Queue::<String>::new(4).unwrap();
    let (here, there) = Pipe::<u32>::new().unwrap();
    let child = server()
        .spawn(
            (value.clone(), array.clone(), lock.clone(), queue.clone(), there),
            |value: Value<u64>, array: Array<i32>, lock: Lock<u32>, queue, pipe| {
                let queue: Queue<String> = queue;
                let pipe: Connection<u32> = pipe;
                let nested = server().spawn((value.clone(),), |value: Value<u64>| {
                    value.fetch_add(10);
                });
                nested.unwrap().join().unwrap();
                array.set(1, -2).unwrap();
                *lock.lock().unwrap() = 7;
                queue.put("through the queue".into()).unwrap();
                pipe.send(pipe.recv().unwrap() + 1).unwrap();
            },
        )
        .unwrap();
    here.send(4).unwrap();
    assert_eq!(here.recv().unwrap(), 5);
    join(&child).unwrap();
    assert_eq!(value.get(), 11);
    assert_eq!(array.iter().collect::<Vec<_>>(), [1, -2, 3]);
    assert_eq!(*lock.lock().unwrap(), 7);
    assert_eq!(queue.get().unwrap(), "through the queue");
    // The child had the only other end, and the server has kept none.
    assert!(here.recv().is_err());
}

#[test]
fn a_failed_start_gives_the_handles_participants_back() {
    let _alone = alone();
    let value = Value::new(0u64).unwrap();
    // More failures, and more children, than a region has participant slots.
    for _ in 0..300 {
        let failed = server().current_dir("/nowhere").spawn((value.clone(),), |_| ());
        assert!(matches!(failed, Err(Error::Os(_))));
    }
    for _ in 0..150 {
        let child = server().spawn((value.clone(),), |value: Value<u64>| {
            value.fetch_add(1);
        });
        join(&child.unwrap()).unwrap();
    }
    assert_eq!(value.get(), 150);
}

#[test]
fn environment_and_directory_are_those_of_the_parent_at_the_time() {
    let _alone = alone();
    join(&server().spawn((), || ()).unwrap()).unwrap(); // the server knows the present ones
    let scratch = std::env::temp_dir().join(format!("shmkit-at-the-time-{}", std::process::id()));
    std::fs::create_dir(&scratch).unwrap();
    for method in METHODS {
        let look = || {
            let get = |name: &str| std::env::var(name).ok();
            let all = ["SHMKIT_TEST_A", "HOME", "PATH", "SHMKIT_BOOT"].map(get);
            (all, std::env::vars().count(), std::env::current_dir().unwrap())
        };
        let builder = || Process::builder().method(method);
        let path = std::env::var("PATH").ok();
        let here = std::env::current_dir().unwrap();
        let count = std::env::vars().count();

        let plain = join(&builder().spawn((), look).unwrap()).unwrap();
        let home = std::env::var("HOME").ok();
        assert_eq!(plain, ([None, home.clone(), path.clone(), None], count, here.clone()));

        let changed = builder()
            .env("SHMKIT_TEST_A", "1")
            .env("SHMKIT_TEST_A", "2")
            .env("HOME", "x")
            .env_remove("HOME")
            .current_dir(&scratch);
        let changed = join(&changed.spawn((), look).unwrap()).unwrap();
        let directory = scratch.canonicalize().unwrap();
        let expected = count + 1 - usize::from(home.is_some());
        assert_eq!(changed, ([Some("2".into()), None, path, None], expected, directory));

        let cleared = builder().env("HOME", "x").env_clear().env("PATH", "/only");
        let cleared = join(&cleared.spawn((), look).unwrap()).unwrap();
        assert_eq!(cleared, ([None, None, Some("/only".into()), None], 1, here));
    }
    std::fs::remove_dir(scratch).unwrap();
}

/// What a process has open, by number: what it leads to, and whether `exec` closes it.
fn open_files() -> Vec<(i32, String, bool)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let entry = entry.unwrap();
        let number: i32 = entry.file_name().to_str().unwrap().parse().unwrap();
        let target = std::fs::read_link(entry.path()).unwrap().to_string_lossy().into_owned();
        // SAFETY: asks for the flags of a number.
        let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
        if !target.starts_with("/proc/") {
            all.push((number, target, flags & libc::FD_CLOEXEC != 0));
        }
    }
    all
}

#[test]
fn a_child_of_the_server_has_what_a_spawned_one_has_and_no_more() {
    let _alone = alone();
    // What could be left over: many handles, given and taken.
    for _ in 0..3 {
        let value = Value::new(0).unwrap();
        join(&server().daemon(true).spawn((value,), |_: Value<u32>| ()).unwrap()).unwrap();
    }
    for daemon in [false, true] {
        let kinds = METHODS.map(|method| {
            let builder = Process::builder().method(method).daemon(daemon);
            let files = join(&builder.spawn((), open_files).unwrap()).unwrap();
            let kind = |target: String| target.split(':').next().unwrap_or_default().to_string();
            let kinds = files
                .into_iter()
                .map(|(n, target, closed)| (if n <= 2 { n } else { 3 }, kind(target), closed));
            let mut kinds: Vec<_> = kinds.collect();
            kinds.sort();
            kinds
        });
        assert_eq!(kinds[0], kinds[1]);
    }
}

#[test]
fn siblings_leak_no_descriptors_to_each_other() {
    // CPython's test_child_fd_inflation.
    let _alone = alone();
    for method in METHODS {
        let (go, gate) = (Value::new(0u32).unwrap(), Event::new().unwrap());
        let mut counts = BTreeSet::new();
        let siblings: Vec<_> = (0..20)
            .map(|_| {
                let builder = Process::builder().method(method);
                let args = (go.clone(), gate.clone());
                let sibling = builder.spawn(args, |go: Value<u32>, gate: Event| {
                    let count = open_files().len();
                    go.fetch_add(1);
                    assert!(gate.wait_timeout(LONG));
                    count
                });
                sibling.unwrap()
            })
            .collect();
        gate.set();
        for sibling in &siblings {
            counts.insert(join(sibling).unwrap());
        }
        assert_eq!((go.get(), counts.len()), (20, 1), "{counts:?}");
    }
}

#[test]
fn a_server_that_is_killed_is_started_again_and_nobody_notices() {
    // CPython's test_forkserver_sigkill.
    let _alone = alone();
    for round in 0..20 {
        let (up, go) = (Event::new().unwrap(), Event::new().unwrap());
        let child =
            server().spawn((round, up.clone(), go.clone()), |n: i32, up: Event, go: Event| {
                up.set(); // from now on it has a name of its own
                assert!(go.wait_timeout(LONG));
                n + 1
            });
        let child = child.unwrap();
        assert_eq!(child.method(), Method::ForkServer);
        assert!(up.wait_timeout(LONG));
        let servers = servers_of(std::process::id());
        assert_eq!(servers.len(), 1);
        // SAFETY: a signal to a child of ours that nobody else reaps meanwhile.
        unsafe { libc::kill(servers[0], libc::SIGKILL) };
        go.set();
        assert_eq!(join(&child).unwrap(), round + 1, "the server's children live on");
    }
}

/// Kills whatever looks like a server of this process, until it is dropped.
struct Killer(Arc<AtomicBool>, Option<JoinHandle<usize>>);

impl Killer {
    fn start() -> Killer {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut kills = 0;
            while !seen.load(SeqCst) {
                for server in servers_of(std::process::id()) {
                    // SAFETY: a signal to a server, or a copy of one that has just begun; or to no
                    // process, for a moment at least.
                    kills += usize::from(unsafe { libc::kill(server, libc::SIGKILL) } == 0);
                }
            }
            kills
        });
        Killer(stop, Some(thread))
    }

    fn stop(&mut self) -> usize {
        self.0.store(true, SeqCst);
        self.1.take().map_or(0, |thread| thread.join().unwrap())
    }
}

impl Drop for Killer {
    fn drop(&mut self) {
        self.stop();
    }
}

#[test]
fn a_server_that_is_killed_at_any_moment_runs_nothing_twice() {
    let _alone = alone();
    let runs = Value::new(0u64).unwrap();
    let mut killer = Killer::start();
    let mut returned = 0;
    for n in 1..=300 {
        let before = runs.get();
        let child = server().spawn((runs.clone(), n), |runs: Value<u64>, n: u64| {
            runs.fetch_add(1);
            n
        });
        match join(&child.unwrap()) {
            Ok(value) => {
                assert_eq!((value, runs.get()), (n, before + 1));
                returned += 1;
            }
            // The killer took it for the server, of which it is a copy.
            Err(ProcessError::Signaled { signal: 9, .. }) => assert!(runs.get() <= before + 1),
            other => panic!("{other:?}"),
        }
    }
    let kills = killer.stop();
    assert!(kills > 0 && returned > 0, "{kills} kills, {returned} returned");
}

#[test]
fn a_child_of_the_server_has_a_server_of_its_own_that_ends_with_it() {
    let _alone = alone();
    let child = server()
        .spawn((), || {
            let nested = server().spawn((), std::os::unix::process::parent_id).unwrap();
            assert_eq!(nested.join().unwrap(), std::process::id());
            servers_of(std::process::id())
        })
        .unwrap();
    let servers = join(&child).unwrap();
    assert_eq!(servers.len(), 1);
    // It was ended and reaped before its owner's exit.
    let left = std::fs::read_to_string(format!("/proc/{}/comm", servers[0])).unwrap_or_default();
    assert_ne!(left.trim(), "shmkit-server");
}

#[test]
fn nobody_sees_the_server_x16() {
    let _alone = alone();
    let up = Event::new().unwrap();
    let child = server().name("seen").spawn((up.clone(),), |up: Event| {
        up.set();
        parked();
    });
    let child = child.unwrap();
    assert!(up.wait_timeout(LONG));
    let servers = servers_of(std::process::id());
    let active = active_children();
    assert!(active.iter().any(|active| active.name() == "seen"));
    assert!(active.iter().all(|active| !servers.contains(&(active.pid() as i32))));
    child.kill().unwrap();
    assert!(join(&child).is_err());
}

#[test]
fn signals_that_the_terminal_sends_do_not_end_the_server() {
    let _alone = alone();
    join(&server().spawn((), || ()).unwrap()).unwrap();
    let before = servers_of(std::process::id());
    for signal in [libc::SIGINT, libc::SIGHUP, libc::SIGTERM] {
        // SAFETY: a signal to a child of ours.
        unsafe { libc::kill(before[0], signal) };
    }
    let child = server().spawn((), || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
        };
        (field("SigBlk:"), field("SigPnd:"), field("SigIgn:") & 1 << (libc::SIGPIPE - 1))
    });
    // None is blocked or waits in its children.
    assert_eq!(join(&child.unwrap()).unwrap(), (0, 0, 1 << (libc::SIGPIPE - 1)));
    assert_eq!(servers_of(std::process::id()), before);
}

#[test]
fn more_handles_than_a_message_takes_are_spawned() {
    let _alone = alone();
    let values: Vec<_> = (0..260).map(|n| Value::new(n).unwrap()).collect();
    let child = server()
        .spawn((values,), |values: Vec<Value<u64>>| values.iter().map(Value::get).sum::<u64>());
    let child = child.unwrap();
    assert_eq!(child.method(), Method::Spawn);
    assert_eq!(join(&child).unwrap(), 260 * 259 / 2);
}

#[test]
fn many_threads_use_one_server() {
    let _alone = alone();
    std::thread::scope(|scope| {
        for thread in 0..8u32 {
            scope.spawn(move || {
                for n in 0..25 {
                    let child = server().spawn((thread, n), |a: u32, b: u32| a * 1000 + b);
                    assert_eq!(join(&child.unwrap()).unwrap(), thread * 1000 + n);
                }
            });
        }
    });
    assert_eq!(servers_of(std::process::id()).len(), 1);
}

#[test]
fn a_time_limit_is_kept_and_told_p9_p10_p11() {
    let _alone = alone();
    let child = server().spawn((), parked).unwrap();
    assert!(child.join_timeout(Duration::ZERO).unwrap().is_none());
    assert!(child.join_timeout(Duration::from_millis(20)).unwrap().is_none());
    assert!(child.is_alive());
    child.terminate().unwrap();
    assert!(matches!(join(&child), Err(ProcessError::Signaled { signal: 15, .. })));
    assert!(!child.is_alive());
}
