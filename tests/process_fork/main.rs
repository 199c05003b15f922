//! Is a fork what it says, and are all three methods alike, in a program with one thread?
//!
//! Own `main`, because a fork is refused while a harness has threads. The ids at the end of the test
//! names are the rows of the behaviour contract. The end of a parent is played by this program itself,
//! started again with the name of a role in `SHMKIT_TEST_ROLE`.

#![allow(unsafe_code)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../crash/runner.rs"]
mod runner;
#[path = "../crash/shared.rs"]
#[allow(dead_code, reason = "of which the runner uses a part")]
mod shared;
#[path = "../crash/step.rs"]
#[allow(dead_code, reason = "of which the runner uses a part")]
mod step;

mod parents;

use common::{LONG, join};
use runner::Test;
use shmkit::process::{Builder, Stdio};
use shmkit::{
    Error, Lock, LockError, Message, Method, Pipe, Process, ProcessError, Queue, Value,
    active_children, current_process, parent_process, scope,
};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{ExitCode, exit};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

const METHODS: [Method; 3] = [Method::Spawn, Method::ForkServer, Method::Fork];

/// Starts a process by any method.
fn by<R: Message>(method: Method, builder: Builder, f: fn() -> R) -> Process<R> {
    match method {
        // SAFETY: the functions of this file use nothing that the parent may own alone.
        Method::Fork => unsafe { builder.fork(f) },
        method => builder.method(method).spawn((), f),
    }
    .unwrap()
}

fn fork<R: Message>(f: impl FnOnce() -> R) -> shmkit::Result<Process<R>> {
    // SAFETY: as above.
    unsafe { Process::fork(f) }
}

fn parked() {
    common::park()
}

/// A directory for the files of one test, removed at its end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("shmkit-{test}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

// ---- alike ----

fn every_method_gives_the_same_result_x17() {
    let (a, b) = (6u32, 7u32);
    let multiply = |a: u32, b: u32| a * b;
    let spawned = Process::builder().method(Method::Spawn).spawn((a, b), multiply).unwrap();
    let served = Process::builder().method(Method::ForkServer).spawn((a, b), multiply).unwrap();
    let forked = fork(move || multiply(a, b)).unwrap();
    for (child, method) in [spawned, served, forked].iter().zip(METHODS) {
        assert_eq!((join(child).unwrap(), child.method()), (42, method));
        assert_eq!(child.exitcode(), Some(0));
    }
}

fn pid_parent_name_and_flag_are_those_of_the_handle_p5_p7_p16() {
    for method in METHODS {
        let child = by(method, Process::builder().name("fred").daemon(true), || {
            let nested = by(Method::Fork, Process::builder(), || current_process().name().into());
            let parent = parent_process().unwrap();
            let ids = (std::process::id(), std::os::unix::process::parent_id(), parent.pid());
            let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
            let current = current_process();
            let nested: String = nested.join().unwrap();
            (ids, current.name().to_string(), comm, current.is_daemon(), nested)
        });
        let own = std::process::id();
        let (ids, name, comm, daemon, nested) = join(&child).unwrap();
        assert_eq!(ids, (child.pid(), own, own));
        assert_eq!((name.as_str(), comm.as_str(), daemon), ("fred", "fred\n", true));
        assert!(nested.starts_with("Process-") && nested.ends_with(":1"), "{nested}");
        assert_eq!(current_process().name(), "MainProcess");
    }
}

fn exit_codes_and_panics_are_told_p12_x5() {
    for method in METHODS {
        let exited = by(method, Process::builder(), || exit(7));
        let _: &Process<()> = &exited;
        assert!(matches!(join(&exited), Err(ProcessError::Exited(7))));
        let killed = by(method, Process::builder(), parked);
        killed.kill().unwrap();
        assert!(matches!(join(&killed), Err(ProcessError::Signaled { signal: 9, .. })));
        assert_eq!(killed.exitcode(), Some(-9));

        let quiet = || Process::builder().stderr(Stdio::null());
        let panicked: Process = by(method, quiet().env("RUST_BACKTRACE", "1"), || panic!("bad"));
        match join(&panicked) {
            Err(ProcessError::Panicked(panic)) => {
                assert_eq!(panic.message(), "bad");
                assert!(panic.location().unwrap().starts_with("tests/process_fork/main.rs:"));
                // The variable is looked at once in a program, which the parent of a fork has done.
                assert!(method == Method::Fork || panic.backtrace().is_some());
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(panicked.exitcode(), Some(1));
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("second");
            }
        }
        let aborted: Process = by(method, quiet(), || {
            let _bomb = Bomb;
            panic!("first")
        });
        match join(&aborted) {
            Err(ProcessError::Signaled { signal: 6, panic: Some(panic), .. }) => {
                assert!(panic.message().starts_with("first\nthen panicked at"), "{panic}");
            }
            other => panic!("{other:?}"),
        }
    }
}

fn standard_streams_lead_where_they_are_told_x34() {
    let scratch = Scratch::new("streams");
    for method in METHODS {
        // Through pipes, the input to its end.
        let builder = Process::builder().stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = by(method, builder.stderr(Stdio::piped()), || {
            for line in std::io::stdin().lines() {
                let line = line.unwrap();
                println!("out {line}");
                eprintln!("err {line}");
            }
            print!("unterminated");
        });
        let (mut out, mut err) = (child.take_stdout().unwrap(), child.take_stderr().unwrap());
        child.take_stdin().unwrap().write_all(b"one\ntwo\n").unwrap();
        assert!(child.take_stdin().is_none() && child.take_stdout().is_none());
        let (mut printed, mut complained) = (String::new(), String::new());
        out.read_to_string(&mut printed).unwrap();
        err.read_to_string(&mut complained).unwrap();
        join(&child).unwrap();
        assert_eq!(printed, "out one\nout two\nunterminated");
        assert_eq!(complained, "err one\nerr two\n");

        // By default the input is empty, and there are no pipes.
        let plain = by(method, Process::builder(), || {
            let link = std::fs::read_link("/proc/self/fd/0").unwrap();
            (link, std::io::read_to_string(std::io::stdin()).unwrap())
        });
        assert_eq!(join(&plain).unwrap(), ("/dev/null".into(), String::new()));
        assert!(plain.take_stdin().is_none() && plain.take_stderr().is_none());

        // To files; C writes there, too.
        let path = scratch.0.join("out");
        let input = scratch.0.join("in");
        std::fs::write(&input, "from a file").unwrap();
        let builder = Process::builder().stdin(File::open(&input).unwrap());
        let builder = builder.stdout(File::create(&path).unwrap()).stderr(Stdio::null());
        let child = by(method, builder, || {
            print!("{}", std::io::read_to_string(std::io::stdin()).unwrap());
            eprintln!("nobody reads this");
            // SAFETY: a string constant.
            unsafe { libc::printf(c" and C's".as_ptr()) };
        });
        join(&child).unwrap();
        let mut printed = std::fs::read_to_string(&path).unwrap();
        if printed.starts_with(" and") {
            printed = printed.replacen(" and C's", "", 1) + " and C's"; // two buffers, any order
        }
        assert_eq!(printed, "from a file and C's");

        // Inherited.
        let child = by(method, Process::builder().stdin(Stdio::inherit()), || {
            std::fs::read_link("/proc/self/fd/0").unwrap()
        });
        assert_eq!(join(&child).unwrap(), std::fs::read_link("/proc/self/fd/0").unwrap());
    }
}

fn a_reader_that_is_gone_changes_no_exit_code_x34() {
    // CPython's test_error_on_stdio_flush.
    for method in METHODS {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = by(method, Process::builder().stdout(writer), || print!("to nobody"));
        join(&child).unwrap();
        assert_eq!(child.exitcode(), Some(0));
    }
}

fn descriptors_come_under_their_numbers() {
    let scratch = Scratch::new("numbers");
    let file = |name: &str| {
        let path = scratch.0.join(name);
        std::fs::write(&path, name).unwrap();
        File::open(&path).unwrap()
    };
    for method in METHODS {
        let (a, b): (OwnedFd, OwnedFd) = (file("a").into(), file("b").into());
        // Under each other's numbers, and in the way of whatever else is passed.
        let numbers = [0, 1].map(|n| std::os::fd::AsRawFd::as_raw_fd([&a, &b][n]));
        let builder = Process::builder().daemon(true).stdout(Stdio::piped());
        let builder = builder.fd(numbers[1], a).fd(numbers[0], b).fd(40, file("c"));
        let builder = builder.fd(7, file("replaced")).fd(7, file("d"));
        let builder = (8..30).fold(builder, |builder, n| builder.fd(n, file("e")));
        let (n0, n1) = (numbers[0], numbers[1]);
        let child = match method {
            // SAFETY: as `by`.
            Method::Fork => unsafe { builder.fork(move || contents(n0, n1)) },
            method => {
                // With a handle among the arguments.
                let value = Value::new(3u8).unwrap();
                let run = |n0, n1, value: Value<u8>| {
                    assert_eq!(value.get(), 3);
                    contents(n0, n1)
                };
                builder.method(method).spawn((n0, n1, value), run)
            }
        }
        .unwrap();
        fn contents(n0: i32, n1: i32) -> [String; 5] {
            [n0, n1, 40, 7, 29]
                .map(|n| std::fs::read_to_string(format!("/proc/self/fd/{n}")).unwrap())
        }
        // `b` and `a` may have stood at numbers that the loop takes.
        let expected = |n: i32, name: &str| {
            if (8..30).contains(&n) {
                "e".into()
            } else if n == 7 {
                "d".into()
            } else {
                name.to_string()
            }
        };
        let expected = [expected(n0, "b"), expected(n1, "a"), "c".into(), "d".into(), "e".into()];
        assert_eq!(join(&child).unwrap(), expected);
    }
    let negative = Process::builder().fd(-1, file("a")).spawn((), || ());
    assert!(matches!(negative.map(drop), Err(Error::InvalidArgument(_))));
}

fn environment_and_directory_are_the_childs_own() {
    let scratch = Scratch::new("own");
    for method in METHODS {
        let builder =
            Process::builder().env("SHMKIT_TEST_A", "1").env("HOME", "").env_remove("PATH");
        let child = by(method, builder.current_dir(&scratch.0), || {
            let get = |name: &str| std::env::var(name).ok();
            let all = ["SHMKIT_TEST_A", "HOME", "PATH", "SHMKIT_BOOT"].map(get);
            (all, std::env::current_dir().unwrap())
        });
        let expected = [Some("1".into()), Some(String::new()), None, None];
        assert_eq!(join(&child).unwrap(), (expected, scratch.0.canonicalize().unwrap()));
        assert!(std::env::var_os("SHMKIT_TEST_A").is_none());
        assert!(std::env::var_os("PATH").is_some());
    }
    let nowhere = || Process::builder().current_dir("/nowhere/at/all");
    // SAFETY: as `by`.
    let refused = [
        nowhere().spawn((), || ()),
        nowhere().method(Method::ForkServer).spawn((), || ()),
        unsafe { nowhere().fork(|| ()) },
    ];
    for refused in refused {
        match refused.map(drop) {
            Err(Error::Os(e)) => assert_eq!(e.kind(), std::io::ErrorKind::NotFound),
            other => panic!("{other:?}"),
        }
    }
}

fn many_processes_exit_and_are_killed_each_with_its_code() {
    // CPython's test_many_processes.
    for method in METHODS {
        let exiting: Vec<_> = (0..34).map(|_| by(method, Process::builder(), || ())).collect();
        for child in &exiting {
            join(child).unwrap();
            assert_eq!(child.exitcode(), Some(0));
        }
        let parked: Vec<_> = (0..34).map(|_| by(method, Process::builder(), parked)).collect();
        for child in &parked {
            child.terminate().unwrap();
        }
        for child in &parked {
            assert!(join(child).is_err());
            assert_eq!(child.exitcode(), Some(-15));
        }
    }
}

fn children_are_listed_while_they_run_x16_p21() {
    assert!(active_children().is_empty(), "{:?}", active_children());
    let mut expected = Vec::new();
    let children: Vec<_> = METHODS
        .into_iter()
        .map(|method| {
            let child = by(method, Process::builder().name(format!("{method:?}")), parked);
            expected.push((child.pid(), child.name().to_string()));
            child
        })
        .collect();
    let active = active_children();
    let seen: Vec<_> = active.iter().map(|c| (c.pid(), c.name().to_string())).collect();
    assert_eq!(seen, expected);
    assert!(active.iter().all(|c| c.is_alive() && c.exitcode().is_none() && !c.is_daemon()));
    assert!(!active[0].join_timeout(Duration::ZERO).unwrap());
    active[0].terminate().unwrap();
    active[1].kill().unwrap();
    drop(children); // a handle is not needed
    assert!(active[0].join_timeout(LONG).unwrap() && active[1].join_timeout(LONG).unwrap());
    assert_eq!((active[0].exitcode(), active[1].exitcode()), (Some(-15), Some(-9)));
    assert_eq!(active_children().len(), 1);
    active[2].kill().unwrap();
    // Asking reaps: a zombie has a pidfd that is ready, and is gone afterwards.
    let end = std::time::Instant::now() + LONG;
    while !active_children().is_empty() {
        assert!(std::time::Instant::now() < end);
        std::thread::yield_now();
    }
    assert!(!PathBuf::from(format!("/proc/{}", active[2].pid())).exists());
    assert!(format!("{:?}", active[2]).contains("name: \"Fork\""));
}

// ---- forked ----

fn a_fork_captures_what_it_likes() {
    let text = String::from("captured");
    let mut local = vec![1, 2, 3];
    let child = fork(|| {
        local.push(text.len());
        local.iter().sum::<usize>()
    });
    assert_eq!(join(&child.unwrap()).unwrap(), 14);
    assert_eq!(local, [1, 2, 3], "the child's is a copy");
}

static GLOBAL: AtomicUsize = AtomicUsize::new(0);

fn globals_of_a_fork_are_copies_p26() {
    GLOBAL.store(100, SeqCst);
    let child = fork(|| GLOBAL.fetch_add(1, SeqCst) + GLOBAL.load(SeqCst)).unwrap();
    assert_eq!(join(&child).unwrap(), 201);
    assert_eq!(GLOBAL.load(SeqCst), 100);
}

fn a_fork_with_other_threads_is_refused_unless_they_are_allowed() {
    let (send, receive) = std::sync::mpsc::channel::<()>();
    let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(std::thread::park)).collect();
    let waiting = std::thread::spawn(move || receive.recv().is_err());
    match fork(|| ()).map(drop) {
        Err(e @ Error::Threads(3)) => assert!(e.to_string().contains("3 other thread(s)")),
        other => panic!("{other:?}"),
    }
    assert!(active_children().is_empty(), "nothing was started");
    // SAFETY: the others are parked.
    let allowed = unsafe { Process::builder().allow_threads().fork(|| 5) };
    assert_eq!(join(&allowed.unwrap()).unwrap(), 5);
    drop(send);
    assert!(waiting.join().unwrap());
    for thread in threads {
        thread.thread().unpark();
        thread.join().unwrap();
    }
    // Who has been joined does not count, though the kernel may still show it.
    for _ in 0..50 {
        std::thread::spawn(|| ()).join().unwrap();
        assert_eq!(join(&fork(|| 6).unwrap()).unwrap(), 6);
    }
}

fn threads_of_this_crate_do_not_count() {
    // A queued handle is attended by one.
    let queue = Queue::<Value<u32>>::new(2).unwrap();
    let value = Value::new(0u32).unwrap();
    queue.put(value.clone()).unwrap();
    assert!(std::fs::read_dir("/proc/self/task").unwrap().count() > 1);
    for _ in 0..20 {
        let child = fork(|| value.fetch_add(1)).unwrap();
        join(&child).unwrap();
    }
    assert_eq!(queue.get().unwrap().get(), 20);
}

fn shared_objects_work_in_a_fork_and_its_parent() {
    let (value, lock) = (Value::new(0u64).unwrap(), Lock::new(0u64).unwrap());
    let queue = Queue::<u64>::new(64).unwrap();
    // A fork is a user once it first uses the queue: until all have, others may have gone already.
    let _stays = queue.clone();
    let children: Vec<_> = (0..4)
        .map(|_| {
            fork(|| {
                for n in 0..100 {
                    value.fetch_add(1);
                    *lock.lock().unwrap() += 1;
                    if n % 10 == 0 {
                        queue.put(n).unwrap();
                    }
                }
            })
            .unwrap()
        })
        .collect();
    let mut got: Vec<u64> = (0..40).map(|_| queue.get_timeout(LONG).unwrap()).collect();
    for child in &children {
        join(child).unwrap();
    }
    got.sort_unstable();
    assert_eq!((value.get(), *lock.lock().unwrap(), got.len()), (400, 400, 40));
    assert_eq!(got.iter().sum::<u64>(), 4 * 450);
}

fn a_fork_that_dies_with_a_lock_is_told_to_the_next() {
    let lock = Lock::new(1u64).unwrap();
    let child: Process = fork(|| {
        let mut guard = lock.lock().unwrap();
        *guard = 2;
        common::die()
    })
    .unwrap();
    assert!(matches!(join(&child), Err(ProcessError::Signaled { signal: 9, .. })));
    match lock.lock() {
        Err(LockError::OwnerDied(died)) => assert_eq!(*died.recover(), 1),
        other => panic!("{:?}", other.map(|guard| *guard)),
    };
}

fn the_end_of_a_pipe_stays_with_the_parent() {
    let (here, there) = Pipe::<u32>::new().unwrap();
    let child = fork(|| format!("{:?}", here.try_send(1).unwrap_err())).unwrap();
    assert!(join(&child).unwrap().contains("WrongProcess"));
    here.send(2).unwrap();
    assert_eq!(there.recv().unwrap(), 2);
}

fn children_of_one_fork_append_through_its_file_p27() {
    let scratch = Scratch::new("append");
    let mut file = File::create_new(scratch.0.join("log")).unwrap();
    let children: Vec<_> = (0..3)
        .map(|n| {
            let mut file = &file;
            fork(move || {
                for _ in 0..10 {
                    file.write_all(format!("line of {n}\n").as_bytes()).unwrap();
                }
            })
        })
        .collect();
    for child in children {
        join(&child.unwrap()).unwrap();
    }
    assert_eq!(file.stream_position().unwrap(), 3 * 10 * 10, "one position for all");
    let text = std::fs::read_to_string(scratch.0.join("log")).unwrap();
    for n in 0..3 {
        assert_eq!(text.lines().filter(|line| *line == format!("line of {n}")).count(), 10);
    }
}

fn a_value_of_a_fork_is_encoded_as_any_other() {
    assert_eq!(join(&fork(|| "x".repeat(5 << 20)).unwrap()).unwrap().len(), 5 << 20);
    let handle = fork(|| Value::new(1u8).unwrap()).unwrap();
    assert!(matches!(join(&handle).map(drop), Err(ProcessError::Encode(_))));
}

fn a_fork_starts_processes_by_every_method() {
    let child = fork(|| {
        let children = METHODS.map(|method| by(method, Process::builder(), std::process::id));
        let listed = active_children().len();
        let right = children.iter().all(|child| child.join().unwrap() == child.pid());
        (right, listed <= 3, active_children().len())
    });
    assert_eq!(join(&child.unwrap()).unwrap(), (true, true, 0));
}

fn a_fork_of_a_fork_keeps_what_the_fork_has_opened() {
    // Here are a lifeline and a server, whose descriptors a fork closes: once.
    let server = Process::builder().method(Method::ForkServer).daemon(true);
    join(&server.spawn((), || ()).unwrap()).unwrap();
    let child = fork(|| {
        let files: Vec<_> = (0..50).map(|_| File::open("/proc/self/exe").unwrap()).collect();
        let nested = fork(|| files.iter().filter(|file| file.metadata().is_ok()).count()).unwrap();
        nested.join().unwrap()
    });
    assert_eq!(join(&child.unwrap()).unwrap(), 50);
}

fn names_with_a_zero_are_refused_before_anything_is_started() {
    // SAFETY: as `by`.
    let refused = unsafe { Process::builder().name("a\0b").fork(|| ()) };
    assert!(matches!(refused.map(drop), Err(Error::InvalidArgument(_))));
    for method in [Method::Spawn, Method::ForkServer] {
        for bad in [
            Process::builder().name("a\0b"),
            Process::builder().env("", "x"),
            Process::builder().env("a=b", "x"),
            Process::builder().env("a", "x\0"),
        ] {
            let refused = bad.method(method).spawn((), || ());
            assert!(matches!(refused.map(drop), Err(Error::InvalidArgument(_))));
        }
    }
}

// ---- scopes ----

fn a_scope_ends_after_its_processes() {
    let value = Value::new(0u32).unwrap();
    let (first, dropped) = scope(|s| {
        for n in 1..=3 {
            let add = |value: Value<u32>, n| {
                value.fetch_add(n);
            };
            s.spawn((value.clone(), n), add).unwrap();
        }
        let value = value.clone();
        let forked = fork(move || {
            value.fetch_add(10);
        })
        .unwrap();
        let forked = s.adopt(forked);
        (s.spawn((1,), |n: u32| n).unwrap(), forked.pid())
    });
    assert_eq!(value.get(), 16);
    assert_eq!(first.join().unwrap(), 1);
    assert!(!PathBuf::from(format!("/proc/{dropped}")).exists(), "it is reaped");
}

fn a_scope_tells_of_a_failure_that_nobody_asked_about() {
    let failure = |body: fn(&shmkit::Scope)| {
        let panic = catch_unwind(AssertUnwindSafe(|| scope(body)));
        panic.map_err(|payload| payload.downcast::<String>().map(|text| *text).unwrap_or_default())
    };
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let panicked = failure(|s| {
        let builder = Process::builder().name("clumsy").stderr(Stdio::null());
        s.adopt::<()>(builder.spawn((), || panic!("dropped a cup")).unwrap());
    });
    let killed = failure(|s| s.spawn((), parked).unwrap().kill().unwrap());
    let exited = failure(|s| drop(s.spawn((), || -> () { exit(3) }).unwrap()));
    // What somebody has joined is known.
    let joined = failure(|s| {
        assert!(join(&s.spawn((), || -> () { exit(3) }).unwrap()).is_err());
        drop(s.spawn((), || -> () { exit(0) }).unwrap());
    });
    // A panic of the block comes out, after the processes have ended.
    let own = failure(|s| {
        s.spawn((), || ()).unwrap();
        panic!("{}", "of the block")
    });
    let left = active_children().len();
    std::panic::set_hook(quiet);
    let panicked = panicked.unwrap_err();
    assert!(panicked.starts_with("clumsy of the scope panicked at tests/process_fork/main.rs:"));
    assert!(panicked.ends_with("dropped a cup"), "{panicked}");
    assert!(killed.unwrap_err().ends_with("of the scope was ended by signal 9"));
    assert!(exited.unwrap_err().ends_with("of the scope exited with code 3"));
    assert!(joined.is_ok());
    assert_eq!((own.unwrap_err().as_str(), left), ("of the block", 0));
}

macro_rules! tests {
    ($($name:path),* $(,)?) => {
        vec![$(Test {
            name: stringify!($name).replace("parents::", ""),
            run: Box::new(|| {
                let run = catch_unwind($name);
                run.map(|()| String::from("as it should be")).map_err(|_| vec!["panicked".into()])
            }),
        }),*]
    };
}

fn main() -> ExitCode {
    if let Ok(name) = std::env::var("SHMKIT_TEST_ROLE") {
        // SAFETY: this process has one thread.
        unsafe { std::env::remove_var("SHMKIT_TEST_ROLE") };
        parents::role(&name);
        return ExitCode::SUCCESS;
    }
    runner::run(tests![
        every_method_gives_the_same_result_x17,
        pid_parent_name_and_flag_are_those_of_the_handle_p5_p7_p16,
        exit_codes_and_panics_are_told_p12_x5,
        standard_streams_lead_where_they_are_told_x34,
        a_reader_that_is_gone_changes_no_exit_code_x34,
        descriptors_come_under_their_numbers,
        environment_and_directory_are_the_childs_own,
        many_processes_exit_and_are_killed_each_with_its_code,
        children_are_listed_while_they_run_x16_p21,
        a_fork_captures_what_it_likes,
        globals_of_a_fork_are_copies_p26,
        a_fork_with_other_threads_is_refused_unless_they_are_allowed,
        threads_of_this_crate_do_not_count,
        shared_objects_work_in_a_fork_and_its_parent,
        a_fork_that_dies_with_a_lock_is_told_to_the_next,
        the_end_of_a_pipe_stays_with_the_parent,
        children_of_one_fork_append_through_its_file_p27,
        a_value_of_a_fork_is_encoded_as_any_other,
        a_fork_starts_processes_by_every_method,
        a_fork_of_a_fork_keeps_what_the_fork_has_opened,
        names_with_a_zero_are_refused_before_anything_is_started,
        a_scope_ends_after_its_processes,
        a_scope_tells_of_a_failure_that_nobody_asked_about,
        parents::what_was_printed_comes_once_and_exit_handlers_run_in_the_parent_alone_x34,
        parents::a_fork_waits_for_its_own_children_and_ends_its_daemons_p17_p19,
        parents::a_parent_exits_after_its_children_by_every_method_p19,
        parents::daemons_by_every_method_end_when_their_parent_exits_p17,
        parents::twenty_daemons_by_every_method_die_with_their_killed_parent_p20,
        parents::two_thousand_processes_start_under_a_limit_of_descriptors,
        parents::without_descriptors_the_server_makes_no_child_and_leaves_none,
        parents::without_clone3_processes_are_spawned,
    ])
}
