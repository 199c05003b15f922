//! What becomes of children when their parent ends: this program plays it, started again in a role.

use super::common::{self, LONG, join};
use super::{METHODS, by, fork, parked};
use shmkit::{Event, Method, Process, Value};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::Duration;

/// What this program does when it is started in a role.
pub fn role(name: &str) {
    match name {
        "prints" => {
            print!("before ");
            // SAFETY: string constants, and a handler that lives as long as the program.
            unsafe {
                libc::printf(c"C before ".as_ptr());
                libc::atexit(handler);
            }
            extern "C" fn handler() {
                say("exit handler");
            }
            let child = fork(|| print!("child ")).unwrap();
            child.join().unwrap();
            say("joined");
        }
        "leaves a grandchild" => {
            let child = fork(|| {
                Process::builder().daemon(true).spawn((), parked).unwrap();
                fork(|| say("grandchild end")).unwrap();
            });
            child.unwrap().join().unwrap();
            say("joined");
        }
        "leaves children" => {
            let said = Event::new().unwrap();
            for method in METHODS {
                let end = |said: Event| {
                    assert!(said.wait_timeout(LONG));
                    std::thread::sleep(Duration::from_millis(50)); // shows a parent that does not wait
                    say("child end");
                };
                let (builder, said) = (Process::builder(), said.clone());
                match method {
                    // SAFETY: as `by`.
                    Method::Fork => drop(unsafe { builder.fork(move || end(said)) }),
                    method => drop(builder.method(method).spawn((said,), end)),
                }
            }
            say("parent end");
            said.set();
        }
        "leaves daemons" => {
            for method in METHODS {
                by(method, Process::builder().daemon(true), up_and_park);
            }
            std::io::stdin().read_line(&mut String::new()).unwrap();
            say("parent end");
        }
        "has twenty daemons" => {
            let value = Value::new(0u32).unwrap();
            let named = Value::<u32>::create(&format!("test.{}.twenty", std::process::id()), 0);
            for n in 0..20 {
                let (value, named) = (value.clone(), named.as_ref().unwrap().clone());
                let builder = Process::builder().daemon(true);
                let up = |value: Value<u32>, named: Value<u32>| {
                    value.fetch_add(1);
                    named.fetch_add(1);
                    up_and_park();
                };
                match METHODS[n % 3] {
                    // SAFETY: as `by`.
                    Method::Fork => drop(unsafe { builder.fork(move || up(value, named)) }),
                    method => drop(builder.method(method).spawn((value, named), up)),
                }
            }
            join(&by(Method::ForkServer, Process::builder(), || ())).unwrap();
            say(format!("up {}", common::servers_of(std::process::id())[0]));
            parked();
        }
        "starts two thousand" => {
            // SAFETY: lowers a limit of this process.
            unsafe {
                let limit = libc::rlimit { rlim_cur: 256, rlim_max: 256 };
                assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
            }
            let sum = Value::new(0u64).unwrap();
            // In waves, each with some at once.
            for wave in 0..100u64 {
                let children: Vec<_> = (0..20u64)
                    .map(|n| {
                        let add = |sum: Value<u64>, n: u64| {
                            sum.fetch_add(n);
                        };
                        let (method, sum) = (METHODS[((wave + n) % 3) as usize], sum.clone());
                        let builder = Process::builder().daemon(n % 2 == 0);
                        match method {
                            // SAFETY: as `by`.
                            Method::Fork => unsafe { builder.fork(move || add(sum, n)) },
                            method => builder.method(method).spawn((sum, n), add),
                        }
                        .unwrap()
                    })
                    .collect();
                for child in &children {
                    child.join().unwrap();
                }
            }
            assert_eq!(sum.get(), 100 * 190);
            say("right");
        }
        "runs out of descriptors" => {
            let server = || Process::builder().method(Method::ForkServer);
            server().spawn((), || ()).unwrap().join().unwrap();
            // SAFETY: lowers a limit of this process.
            unsafe {
                let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
                assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
            }
            let mut files = Vec::new();
            while let Ok(file) = std::fs::File::open("/dev/null") {
                files.push(file);
            }
            let mut refused = 0;
            loop {
                match server().daemon(refused % 2 == 0).spawn((), || 1) {
                    Ok(child) => break assert_eq!(child.join().unwrap(), 1),
                    Err(shmkit::Error::Os(_)) => refused += 1,
                    Err(other) => panic!("{other:?}"),
                }
                assert!(files.pop().is_some());
            }
            assert!(refused > 0 && shmkit::active_children().is_empty());
            say("right");
        }
        "is refused clone3" => {
            refuse_clone3();
            for n in 0..3 {
                let child =
                    Process::builder().method(Method::ForkServer).spawn((n,), |n: i32| n + 1);
                let child = child.unwrap();
                assert_eq!((child.join().unwrap(), child.method()), (n + 1, Method::Spawn));
            }
            say("right");
        }
        other => panic!("no role {other}"),
    }
}

fn up_and_park() {
    say(format!("up {}", std::process::id()));
    parked();
}

/// A line in one write, past all buffers.
fn say(text: impl std::fmt::Display) {
    let line = format!("> {text}\n");
    // SAFETY: writes bytes of ours.
    unsafe { libc::write(1, line.as_ptr().cast(), line.len()) };
}

/// Has the kernel refuse `clone3(2)` as old containers do, here and in all children.
fn refuse_clone3() {
    let instruction =
        |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let refuse = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    let mut filter = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0), // the call's number
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_clone3 as u32, 0, 1),
        instruction(libc::BPF_RET | libc::BPF_K, refuse, 0, 0),
        instruction(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: a valid program, which the kernel copies.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program), 0);
    }
}

/// This program in a role, and all that it and its children say.
struct Played {
    program: std::process::Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Played {
    fn start(name: &str) -> Played {
        let mut program = Command::new(std::env::current_exe().unwrap())
            .env("SHMKIT_TEST_ROLE", name)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(program.stdout.take().unwrap());
        Played { program, lines }
    }

    /// The next line; empty at the end of all who could say something.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().trim_start_matches("> ").to_string()
    }

    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        rest
    }

    /// A pidfd of the process that says `up PID`.
    fn process(&mut self) -> OwnedFd {
        let line = self.line();
        let pid = line.strip_prefix("up ").unwrap_or_else(|| panic!("{line}")).parse().unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap()
    }

    fn code(&mut self) -> Option<i32> {
        self.program.wait().unwrap().code()
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn has_ended(process: &OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let timeout = Timespec { tv_sec: LONG.as_secs() as i64, tv_nsec: 0 };
    poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&timeout)).unwrap() == 1
}

pub fn what_was_printed_comes_once_and_exit_handlers_run_in_the_parent_alone_x34() {
    let mut parent = Played::start("prints");
    let rest = parent.rest();
    assert_eq!(rest.matches("before ").count(), 2, "once by Rust and once by C: {rest}");
    assert_eq!(rest.matches("C before ").count(), 1, "{rest}");
    assert!(rest.find("child ").unwrap() < rest.find("> joined").unwrap(), "{rest}");
    assert_eq!(rest.matches("exit handler").count(), 1, "{rest}");
    assert_eq!(parent.code(), Some(0));
}

pub fn a_fork_waits_for_its_own_children_and_ends_its_daemons_p17_p19() {
    let mut parent = Played::start("leaves a grandchild");
    assert_eq!(parent.line(), "grandchild end");
    assert_eq!(parent.line(), "joined");
    assert_eq!((parent.rest(), parent.code()), (String::new(), Some(0)));
}

pub fn a_parent_exits_after_its_children_by_every_method_p19() {
    let mut parent = Played::start("leaves children");
    assert_eq!(parent.line(), "parent end");
    for _ in METHODS {
        assert_eq!(parent.line(), "child end");
    }
    assert_eq!(parent.code(), Some(0));
    assert_eq!(parent.rest(), "", "the server is gone, too");
}

pub fn daemons_by_every_method_end_when_their_parent_exits_p17() {
    let mut parent = Played::start("leaves daemons");
    let daemons = METHODS.map(|_| parent.process());
    drop(parent.program.stdin.take());
    assert_eq!(parent.line(), "parent end");
    assert_eq!(parent.code(), Some(0));
    for daemon in &daemons {
        assert!(has_ended(daemon));
    }
    assert_eq!(parent.rest(), "");
}

pub fn twenty_daemons_by_every_method_die_with_their_killed_parent_p20() {
    for _ in 0..5 {
        let mut parent = Played::start("has twenty daemons");
        let daemons: Vec<_> = (0..=20).map(|_| parent.process()).collect(); // and the server
        let pid = parent.program.id();
        parent.program.kill().unwrap();
        parent.program.wait().unwrap();
        for daemon in &daemons {
            assert!(has_ended(daemon));
        }
        assert_eq!(parent.rest(), "");
        // The name is free for the next.
        let name = format!("test.{pid}.twenty");
        drop(Value::<u32>::create(&name, 0).unwrap());
        assert!(common::left_behind(&name).is_empty());
    }
}

pub fn two_thousand_processes_start_under_a_limit_of_descriptors() {
    let mut parent = Played::start("starts two thousand");
    assert_eq!(parent.rest(), "> right\n");
    assert_eq!(parent.code(), Some(0));
}

pub fn without_descriptors_the_server_makes_no_child_and_leaves_none() {
    let mut parent = Played::start("runs out of descriptors");
    assert_eq!(parent.rest(), "> right\n");
    assert_eq!(parent.code(), Some(0));
}

pub fn without_clone3_processes_are_spawned() {
    let mut parent = Played::start("is refused clone3");
    assert_eq!(parent.rest(), "> right\n");
    assert_eq!(parent.code(), Some(0));
}
