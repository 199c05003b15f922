//! Is a process started, named, joined and ended as the behaviour contract says?
//!
//! The ids at the end of the test names are the rows of the contract.

#![cfg(feature = "takeover")]
#![allow(unsafe_code)]

use serde::{Deserialize, Serialize};
use shmkit::{
    Error, PanicInfo, Process, ProcessError, Run, cpu_count, current_process, parent_process,
};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{abort, exit};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(120);

/// Joins with a deadline, so that a bug fails instead of hanging.
fn join<R: shmkit::Message>(process: &Process<R>) -> Result<R, ProcessError> {
    process.join_timeout(LONG).transpose().expect("the process has not ended in time")
}

fn park() {
    loop {
        std::thread::park();
    }
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

/// Returns once `path` exists; used where no shared object is under test.
fn wait_for_file(path: &Path) {
    while !path.exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_child_runs_in_another_process_with_the_pid_of_its_handle_p1_p6_p7() {
    let child = Process::spawn((), || (std::process::id(), std::os::unix::process::parent_id()));
    let child = child.unwrap();
    assert_ne!(child.pid(), std::process::id());
    assert_eq!(join(&child).unwrap(), (child.pid(), std::process::id()));
    assert_eq!(child.pid(), join(&child).unwrap().0, "the pid is kept after the end");
}

#[test]
fn every_argument_arrives_p2() {
    type Eight = (u8, i16, u32, i64, f64, String, Vec<u8>, Option<char>);
    let args: Eight = (1, -2, 3, i64::MIN, 0.5, "six".into(), vec![7; 7], Some('8'));
    let child =
        Process::spawn(args.clone(), |a, b, c, d, e, f, g, h| (a, b, c, d, e, f, g, h)).unwrap();
    assert_eq!(join(&child).unwrap(), args);
    assert_eq!(join(&Process::spawn((), || ()).unwrap()).unwrap(), ());
    assert_eq!(join(&Process::spawn(((1, 2),), |(a, b): (i32, i32)| a + b).unwrap()).unwrap(), 3);
}

#[derive(Serialize, Deserialize)]
struct Repeat {
    word: String,
    times: usize,
}

impl Run for Repeat {
    type Output = (u32, String);

    fn run(self) -> (u32, String) {
        (std::process::id(), self.word.repeat(self.times))
    }
}

#[test]
fn a_task_runs_with_its_fields_in_the_child_or_in_the_caller_p3() {
    let child = Process::start(Repeat { word: "ab".into(), times: 2 }).unwrap();
    assert_eq!(join(&child).unwrap(), (child.pid(), "abab".into()));
    assert_eq!(Repeat { word: "c".into(), times: 1 }.run(), (std::process::id(), "c".into()));
}

#[test]
fn names_are_given_or_numbered_and_seen_by_the_child_p5() {
    let named = Process::builder().name("fred the worker").spawn((), || {
        let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
        (current_process().name().to_string(), comm, std::env::args().next().unwrap())
    });
    let named = named.unwrap();
    assert_eq!(named.name(), "fred the worker");
    let whole = String::from("fred the worker");
    assert_eq!(join(&named).unwrap(), (whole.clone(), "fred the worker\n".into(), whole));

    let numbered = Process::spawn((), || {
        let child = Process::spawn((), || current_process().name().to_string()).unwrap();
        (current_process().name().to_string(), child.name().to_string(), child.join().unwrap())
    });
    let numbered = numbered.unwrap();
    let name = numbered.name().to_string();
    let number = name.strip_prefix("Process-").unwrap();
    assert!(number.parse::<u32>().is_ok(), "{name}");
    assert_eq!(join(&numbered).unwrap(), (name.clone(), format!("{name}:1"), format!("{name}:1")));
    assert_eq!(current_process().name(), "MainProcess");
    assert_eq!(current_process().pid(), std::process::id());
}

#[test]
fn an_impossible_name_variable_or_directory_is_refused() {
    let spawn = |builder: shmkit::process::Builder| builder.spawn((), || ()).map(drop);
    let builder = Process::builder;
    for bad in [
        builder().name("a\0b"),
        builder().current_dir("a\0b"),
        builder().env("", "x"),
        builder().env("a=b", "x"),
        builder().env("a", "x\0"),
    ] {
        assert!(matches!(spawn(bad.clone()), Err(Error::InvalidArgument(_))), "{bad:?}");
    }
    match spawn(builder().current_dir("/nowhere/at/all")) {
        Err(Error::Os(e)) => assert_eq!(e.kind(), std::io::ErrorKind::NotFound),
        other => panic!("{other:?}"),
    }
}

#[test]
fn environment_and_directory_are_the_childs_own() {
    let scratch = Scratch::new("environment");
    let child = Process::builder()
        .env("SHMKIT_TEST_A", "1")
        .env("SHMKIT_TEST_A", "2")
        .env("HOME", "")
        .current_dir(&scratch.0)
        .spawn((), || {
            let get = |name: &str| std::env::var(name).ok();
            let all = ["SHMKIT_TEST_A", "HOME", "PATH", "SHMKIT_BOOT"].map(get);
            (all, std::env::current_dir().unwrap())
        })
        .unwrap();
    let path = std::env::var("PATH").ok();
    let directory = scratch.0.canonicalize().unwrap();
    assert_eq!(join(&child).unwrap(), ([Some("2".into()), Some("".into()), path, None], directory));
    assert!(std::env::var_os("SHMKIT_TEST_A").is_none());
}

#[test]
fn is_alive_is_true_until_the_end_p9_p10_p11() {
    let scratch = Scratch::new("alive");
    let child = Process::spawn((scratch.0.join("go"),), |go: PathBuf| {
        wait_for_file(&go);
        "done".to_string()
    })
    .unwrap();
    assert!(child.is_alive());
    assert_eq!(child.exitcode(), None);
    assert!(child.join_timeout(Duration::ZERO).unwrap().is_none());
    assert!(child.join_timeout(Duration::from_millis(20)).unwrap().is_none());
    assert!(child.is_alive());
    std::fs::write(scratch.0.join("go"), "").unwrap();
    for _ in 0..3 {
        assert_eq!(join(&child).unwrap(), "done");
        assert_eq!(child.join().unwrap(), "done");
        assert_eq!(child.exitcode(), Some(0));
    }
    assert!(!child.is_alive());
}

#[test]
fn many_threads_may_join_one_process() {
    let scratch = Scratch::new("threads");
    let child = Process::spawn((scratch.0.join("go"),), |go: PathBuf| {
        wait_for_file(&go);
        vec![1u64, 2, 3]
    })
    .unwrap();
    std::thread::scope(|scope| {
        let joins: Vec<_> = (0..8).map(|_| scope.spawn(|| join(&child).unwrap())).collect();
        std::fs::write(scratch.0.join("go"), "").unwrap();
        for join in joins {
            assert_eq!(join.join().unwrap(), [1, 2, 3]);
        }
    });
    assert_eq!(child.exitcode(), Some(0));
}

#[test]
fn exit_codes_are_those_of_the_way_out_p12() {
    let code = |process: Process| {
        let result = join(&process);
        (process.exitcode(), result)
    };
    let returned = code(Process::spawn((), || ()).unwrap());
    assert!(matches!(returned, (Some(0), Ok(()))), "{returned:?}");
    for n in [0, 2, 255] {
        let exited = code(Process::spawn((n,), |n: i32| exit(n)).unwrap());
        assert!(matches!(exited, (Some(c), Err(ProcessError::Exited(e))) if (c, e) == (n, n)));
    }
    let panicked = code(Process::spawn((), || panic!("on purpose")).unwrap());
    assert!(matches!(panicked, (Some(1), Err(ProcessError::Panicked(_)))), "{panicked:?}");
    for signal in [libc::SIGTERM, libc::SIGKILL, libc::SIGSEGV, libc::SIGPIPE] {
        let ended = Process::spawn((signal,), |signal: i32| {
            // SAFETY: the default disposition, then a signal to this process.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                libc::kill(libc::getpid(), signal);
            }
        });
        let ended = code(ended.unwrap());
        assert_eq!(ended.0, Some(-signal));
        match ended.1 {
            Err(ProcessError::Signaled { signal: s, panic: None, .. }) => assert_eq!(s, signal),
            other => panic!("{other:?}"),
        }
    }
    let aborted = code(Process::spawn((), || abort()).unwrap());
    assert!(matches!(aborted, (Some(-6), Err(ProcessError::Signaled { signal: 6, .. }))));
}

#[test]
#[allow(unconditional_recursion)]
fn a_stack_overflow_is_signal_11() {
    fn deep(n: u64) -> u64 {
        std::hint::black_box(&[n; 100]);
        1 + std::hint::black_box(deep)(n + 1)
    }
    let child = Process::spawn((0,), deep).unwrap();
    match join(&child) {
        Err(ProcessError::Signaled { signal: 11 | 6, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_value_is_given_back_at_any_size_p13() {
    for len in [0, 1, 5_000, 64 << 20] {
        let child = Process::spawn(("x".repeat(len), 'y'), |mut text: String, last: char| {
            text.push(last);
            text
        })
        .unwrap();
        let value = join(&child).unwrap();
        assert_eq!(value.len(), len + 1);
        assert_eq!(value.trim_start_matches('x'), "y");
    }
}

#[test]
fn terminate_and_kill_end_a_child_p14_p15() {
    let terminated = Process::spawn((), park).unwrap();
    terminated.terminate().unwrap();
    assert!(matches!(join(&terminated), Err(ProcessError::Signaled { signal: 15, .. })));
    assert_eq!(terminated.exitcode(), Some(-15));
    terminated.terminate().unwrap(); // the dead do not mind
    terminated.kill().unwrap();

    let scratch = Scratch::new("kill");
    let stubborn = Process::spawn((scratch.0.join("deaf"),), |deaf: PathBuf| {
        // SAFETY: a disposition that needs no handler.
        unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
        std::fs::write(deaf, "").unwrap();
        park();
    })
    .unwrap();
    wait_for_file(&scratch.0.join("deaf"));
    stubborn.terminate().unwrap();
    assert!(stubborn.join_timeout(Duration::from_millis(50)).unwrap().is_none());
    stubborn.kill().unwrap();
    assert!(matches!(join(&stubborn), Err(ProcessError::Signaled { signal: 9, .. })));
}

#[test]
fn a_grandchild_survives_the_termination_of_its_parent_p14() {
    let scratch = Scratch::new("grandchild");
    let child = Process::spawn((scratch.0.clone(),), |dir: PathBuf| {
        let grandchild = Process::spawn((dir.clone(),), |dir: PathBuf| {
            std::fs::write(dir.join("up"), "").unwrap();
            let orphaned = parent_process().unwrap().join_timeout(LONG).unwrap();
            let alive = parent_process().unwrap().is_alive();
            std::fs::write(dir.join("last words.part"), format!("{orphaned} {alive}")).unwrap();
            std::fs::rename(dir.join("last words.part"), dir.join("last words")).unwrap();
        });
        grandchild.unwrap().join().unwrap();
    })
    .unwrap();
    wait_for_file(&scratch.0.join("up"));
    child.terminate().unwrap();
    assert!(join(&child).is_err());
    wait_for_file(&scratch.0.join("last words"));
    assert_eq!(std::fs::read_to_string(scratch.0.join("last words")).unwrap(), "true false");
}

#[test]
fn the_daemon_flag_is_kept_and_inherited_p16_p18() {
    let flags = || {
        let child = Process::spawn((), || current_process().is_daemon()).unwrap();
        (current_process().is_daemon(), child.is_daemon(), child.join().unwrap())
    };
    for daemon in [false, true] {
        let child = Process::builder().daemon(daemon).spawn((), flags).unwrap();
        assert_eq!(child.is_daemon(), daemon);
        assert_eq!(join(&child).unwrap(), (daemon, daemon, daemon));
    }
    assert!(!current_process().is_daemon());
}

#[test]
fn a_daemon_outlives_the_thread_that_started_it() {
    let scratch = Scratch::new("thread");
    let go = scratch.0.join("go");
    let path = go.clone();
    let daemon = std::thread::spawn(move || {
        Process::builder().daemon(true).spawn((path,), |go: PathBuf| {
            wait_for_file(&go);
            7
        })
    });
    let daemon = daemon.join().unwrap().unwrap();
    std::fs::write(go, "").unwrap();
    assert_eq!(join(&daemon).unwrap(), 7);
}

static GLOBAL: AtomicUsize = AtomicUsize::new(0);

#[test]
fn globals_are_not_shared_p26() {
    GLOBAL.store(100, SeqCst);
    let child = Process::spawn((), || {
        let at_start = GLOBAL.fetch_add(1, SeqCst);
        (at_start, GLOBAL.load(SeqCst))
    })
    .unwrap();
    assert_eq!(join(&child).unwrap(), (0, 1));
    assert_eq!(GLOBAL.load(SeqCst), 100);
}

#[test]
fn children_run_concurrently_p28() {
    // Each waits for the other to have begun: one after the other they would never end.
    let scratch = Scratch::new("concurrently");
    let meet = |mine: PathBuf, other: PathBuf| {
        std::fs::write(mine, "").unwrap();
        wait_for_file(&other);
    };
    let (a, b) = (scratch.0.join("a"), scratch.0.join("b"));
    let first = Process::spawn((a.clone(), b.clone()), meet).unwrap();
    let second = Process::spawn((b, a), meet).unwrap();
    join(&first).unwrap();
    join(&second).unwrap();
}

fn panic_of<R: shmkit::Message + std::fmt::Debug>(process: &Process<R>) -> PanicInfo {
    match join(process) {
        Err(ProcessError::Panicked(panic)) => panic,
        Err(ProcessError::Signaled { panic: Some(panic), signal: 6, .. }) => panic,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_panic_brings_its_text_place_and_backtrace_x5() {
    let child = Process::builder()
        .env("RUST_BACKTRACE", "1")
        .spawn((41,), |n: i32| -> i32 { panic!("bad input {}", n + 1) })
        .unwrap();
    let panic = panic_of(&child);
    assert_eq!(panic.message(), "bad input 42");
    assert!(panic.location().unwrap().starts_with("tests/process.rs:"), "{panic}");
    assert!(panic.backtrace().unwrap().contains("a_panic_brings_its_text"), "{panic:?}");
    assert!(join(&child).unwrap_err().to_string().contains("bad input 42"));

    let quiet = Process::builder()
        .env("RUST_BACKTRACE", "0")
        .spawn((), || -> () { std::panic::panic_any(7) });
    let panic = panic_of(&quiet.unwrap());
    assert_eq!((panic.message(), panic.backtrace()), ("a value that is no text", None));
}

#[test]
fn only_the_panic_that_ended_the_function_is_told_x5() {
    let caught = Process::spawn((), || std::panic::catch_unwind(|| panic!("caught")).is_err());
    assert!(join(&caught.unwrap()).unwrap());

    let second = Process::spawn((), || {
        let _ = std::panic::catch_unwind(|| panic!("caught"));
        let _ = std::thread::spawn(|| panic!("in another thread")).join();
        panic!("uncaught")
    });
    let second: Process = second.unwrap();
    assert_eq!(panic_of(&second).message(), "uncaught");

    let hooked = Process::spawn((), || {
        std::panic::set_hook(Box::new(|_| {}));
        panic!("under another hook")
    });
    let hooked: Process = hooked.unwrap();
    let panic = panic_of(&hooked);
    assert_eq!((panic.message(), panic.location()), ("under another hook", None));
}

#[test]
fn a_panic_that_aborts_is_told_too_x5() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("second");
        }
    }
    let child = Process::spawn((), || {
        let _bomb = Bomb;
        panic!("first")
    });
    let child: Process = child.unwrap();
    let panic = panic_of(&child);
    assert!(panic.message().starts_with("first\nthen panicked at tests/process.rs:"), "{panic}");
    assert!(panic.message().contains(": second"), "{panic}");
    assert_eq!(child.exitcode(), Some(-6));
}

#[test]
fn the_sentinel_becomes_readable_at_the_end_x15() {
    let child = Process::spawn((), park).unwrap();
    let ready = |timeout: i32| {
        let mut fd =
            libc::pollfd { fd: child.sentinel().as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid pollfd.
        unsafe { libc::poll(&mut fd, 1, timeout) }
    };
    assert_eq!(ready(0), 0);
    child.kill().unwrap();
    assert_eq!(ready(LONG.as_millis() as i32), 1);
}

#[test]
fn a_child_knows_its_parent_and_the_cpus_it_may_use_x16() {
    assert!(parent_process().is_none());
    let child = Process::spawn((), || {
        let parent = parent_process().unwrap();
        assert!(!parent.join_timeout(Duration::ZERO).unwrap());
        (parent.pid(), parent.name().to_string(), parent.is_alive())
    })
    .unwrap();
    assert_eq!(join(&child).unwrap(), (std::process::id(), "MainProcess".into(), true));

    let pinned = Process::spawn((), || {
        // SAFETY: a zeroed set is an empty one; CPU numbers below the set's size.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::sched_getaffinity(0, size_of_val(&set), &mut set);
            let first = (0..1024).find(|cpu| libc::CPU_ISSET(*cpu, &set)).unwrap();
            libc::CPU_ZERO(&mut set);
            libc::CPU_SET(first, &mut set);
            assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &set), 0);
        }
        cpu_count()
    });
    assert_eq!(join(&pinned.unwrap()).unwrap(), 1);
    assert!(cpu_count() >= 1);
}

#[test]
fn standard_input_is_empty_x34() {
    let child = Process::spawn((), || {
        let link = std::fs::read_link("/proc/self/fd/0").unwrap();
        (link, std::io::read_to_string(std::io::stdin()).unwrap())
    })
    .unwrap();
    assert_eq!(join(&child).unwrap(), ("/dev/null".into(), String::new()));
}

#[test]
fn a_child_starts_with_no_signal_blocked() {
    let started = std::thread::spawn(|| {
        // SAFETY: fills a set of ours and blocks all it names in this thread, which ends here.
        unsafe {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
        }
        Process::spawn((), || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let field = |name: &str| {
                let line = status.lines().find(|l| l.starts_with(name)).unwrap();
                u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
            };
            (field("SigBlk:"), field("SigIgn:") & 1 << (libc::SIGPIPE - 1))
        })
    });
    let child = started.join().unwrap().unwrap();
    // As in any Rust program, a broken pipe is an error and not a signal.
    assert_eq!(join(&child).unwrap(), (0, 1 << (libc::SIGPIPE - 1)));
}

#[test]
fn a_child_inherits_no_descriptor_but_the_standard_ones() {
    // Open in this process, and close-on-exec as every file of the standard library.
    let _file = std::fs::File::open("/proc/self/exe").unwrap();
    let _other = Process::builder().daemon(true).spawn((), || ()).unwrap();
    for daemon in [false, true] {
        let child = Process::builder().daemon(daemon).spawn((), || {
            let mut all = Vec::new();
            for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
                let entry = entry.unwrap();
                let number: i32 = entry.file_name().to_str().unwrap().parse().unwrap();
                let target = std::fs::read_link(entry.path()).unwrap();
                let target = target.to_string_lossy().into_owned();
                // SAFETY: asks for the flags of a number.
                let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
                if number > 2 && flags & libc::FD_CLOEXEC == 0 && !target.starts_with("/proc/") {
                    all.push((number, target));
                }
            }
            all
        });
        // Whoever starts the tests may have left something open for all: that is not ours.
        let left: Vec<_> = join(&child.unwrap()).unwrap();
        let ours = |(number, target): &(i32, String)| {
            let here = std::fs::read_link(format!("/proc/self/fd/{number}"));
            here.is_ok_and(|here| here.to_string_lossy() != *target) || target.contains("shmkit")
        };
        assert!(!left.iter().any(ours), "{left:?}");
    }
}

#[test]
fn values_that_do_not_fit_the_wire_are_told() {
    /// Serialises as one byte, and wants two back.
    struct Liar;
    impl Serialize for Liar {
        fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            s.serialize_u8(1)
        }
    }
    impl<'de> Deserialize<'de> for Liar {
        fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Liar, D::Error> {
            <(u8, u8)>::deserialize(d).map(|_| Liar)
        }
    }
    /// Has no bytes at all.
    struct Mute;
    impl Serialize for Mute {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("mute"))
        }
    }
    impl<'de> Deserialize<'de> for Mute {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Mute, D::Error> {
            Ok(Mute)
        }
    }
    let arguments = Process::spawn((Liar,), |_| ()).unwrap();
    match join(&arguments) {
        Err(ProcessError::Decode(why)) => assert!(why.starts_with("the arguments: "), "{why}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(arguments.exitcode(), Some(1));
    match join(&Process::spawn((), || Liar).unwrap()).map(|_| ()) {
        Err(ProcessError::Decode(why)) => assert!(why.starts_with("the returned value: "), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(Process::spawn((Mute,), |_| ()).map(drop), Err(Error::Encode(_))));
    let value = Process::spawn((), || Mute).unwrap();
    assert!(matches!(join(&value).map(|_| ()), Err(ProcessError::Encode(_))));
    assert_eq!(value.exitcode(), Some(1));
}

#[test]
fn handles_are_send_sync_and_printable() {
    fn is_shared<T: Send + Sync + std::fmt::Debug>(_: &T) {}
    let child = Process::builder().name("seen").spawn((), || 1).unwrap();
    is_shared(&child);
    join(&child).unwrap();
    assert_eq!(
        format!("{child:?}"),
        format!(
            "Process {{ name: \"seen\", pid: {}, daemon: false, exitcode: Some(0), .. }}",
            child.pid()
        )
    );
}
