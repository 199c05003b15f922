//! What becomes of the children when their parent exits, panics, forks or is killed?
//!
//! Each test starts this program again as such a parent: a `role_` test, which does nothing unless
//! it is named in `SHMKIT_TEST_ROLE`. The ids at the end of the test names are the rows of the
//! behaviour contract.

#![cfg(feature = "takeover")]
#![allow(unsafe_code)]

use shmkit::{Process, ProcessError, parent_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(120);
const ROLE: &str = "SHMKIT_TEST_ROLE";

// ---- the parents ----

/// Whether this process is to play `role`.
fn plays(role: &str) -> bool {
    std::env::var(ROLE).is_ok_and(|r| r == role)
}

/// A line for the test, in one write: the harness prints to the same pipe.
fn say(text: impl std::fmt::Display) {
    let line = format!("> {text}\n");
    // SAFETY: writes bytes of ours.
    unsafe { libc::write(1, line.as_ptr().cast(), line.len()) };
}

/// Waits until the test closes our standard input.
fn wait_for_test() {
    let _ = std::io::stdin().read(&mut [0]);
}

fn park() {
    loop {
        std::thread::park();
    }
}

fn last_words() {
    std::thread::sleep(Duration::from_millis(100)); // makes a parent that does not wait visible
    say("child end");
}

fn wait_for_orphanage() {
    say(format!("up {}", std::process::id()));
    parent_process().unwrap().join().unwrap();
    say("orphaned");
}

/// Starts a daemon that runs `f`, and returns once it has said that it is up.
fn daemon(f: fn()) -> Process {
    Process::builder().daemon(true).spawn((), f).unwrap()
}

fn up_and_park() {
    say(format!("up {}", std::process::id()));
    park();
}

fn die_of(signal: i32) -> ! {
    // SAFETY: a signal to this process.
    unsafe { libc::kill(libc::getpid(), signal) };
    loop {
        std::thread::park();
    }
}

macro_rules! roles {
    ($($name:ident $body:block)*) => {
        $(#[test]
        #[ignore = "a role that other tests start"]
        fn $name() {
            if plays(stringify!($name)) $body
        })*
    };
}

roles! {
    role_leaves_children {
        Process::spawn((), last_words).unwrap();
        say("parent end");
    }
    role_panics {
        Process::spawn((), last_words).unwrap();
        say("parent end");
        panic!("a parent that panics");
    }
    role_exits_from_a_thread {
        Process::spawn((), last_words).unwrap();
        say("parent end");
        std::thread::spawn(|| std::process::exit(3)).join().unwrap();
    }
    role_skips_exit_handlers {
        Process::spawn((), wait_for_orphanage).unwrap();
        wait_for_test();
        // SAFETY: ends the process.
        unsafe { libc::_exit(0) };
    }
    role_leaves_a_daemon {
        daemon(|| {
            // SAFETY: waits for one signal, which is blocked meanwhile.
            unsafe {
                let mut set = std::mem::zeroed();
                libc::sigemptyset(&mut set);
                libc::sigaddset(&mut set, libc::SIGTERM);
                libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
                say(format!("up {}", std::process::id()));
                let mut signal = 0;
                libc::sigwait(&set, &mut signal);
                say(format!("asked to end by {signal}"));
            }
        });
        wait_for_test();
        say("parent end");
    }
    role_leaves_a_deaf_daemon {
        daemon(|| {
            // SAFETY: a disposition that needs no handler.
            unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
            up_and_park();
        });
        wait_for_test();
    }
    role_has_a_daemon {
        daemon(up_and_park);
        wait_for_test();
        die_of(libc::SIGTERM);
    }
    role_has_a_daemon_that_blocks_all_signals {
        daemon(|| {
            // SAFETY: blocks what can be blocked.
            unsafe {
                let mut all = std::mem::zeroed();
                libc::sigfillset(&mut all);
                libc::sigprocmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
            }
            up_and_park();
        });
        park();
    }
    role_has_a_family_of_daemons {
        daemon(|| {
            say(format!("up {}", std::process::id()));
            Process::spawn((), up_and_park).unwrap().join().unwrap();
        });
        park();
    }
    role_has_two_daemons {
        daemon(up_and_park);
        daemon(up_and_park);
        park();
    }
    role_has_a_child {
        Process::spawn((), wait_for_orphanage).unwrap();
        park();
    }
    role_forks_and_has_a_daemon {
        daemon(up_and_park);
        wait_for_test();
        // SAFETY: the copy only sleeps, which is allowed whatever the other threads did.
        match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: sleeps; ended by the test.
                unsafe { libc::pause() };
            },
            copy => say(format!("up {copy}")),
        }
        park();
    }
    role_dies_at_once_with_a_daemon {
        daemon(park);
        die_of(libc::SIGKILL);
    }
    role_dies_at_once_with_a_child {
        Process::spawn((), wait_for_orphanage).unwrap();
        die_of(libc::SIGKILL);
    }
    role_lets_the_kernel_reap {
        // SAFETY: a disposition that needs no handler.
        unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
        assert_eq!(Process::spawn((2,), |n: i32| n + 1).unwrap().join().unwrap(), 3);
        let panicked: Process = Process::spawn((), || panic!("reaped")).unwrap();
        assert!(matches!(panicked.join(), Err(ProcessError::Panicked(_))));
        assert_eq!(panicked.exitcode(), Some(1));
        let exited: Process = Process::spawn((), || std::process::exit(5)).unwrap();
        match exited.join() {
            Err(ProcessError::Exited(5)) => assert_eq!(exited.exitcode(), Some(5)),
            Err(ProcessError::Unknown) => assert_eq!(exited.exitcode(), None),
            other => panic!("{other:?}"),
        }
        assert!(!exited.is_alive());
        let killed = Process::spawn((), park).unwrap();
        killed.kill().unwrap();
        assert!(matches!(
            killed.join(),
            Err(ProcessError::Signaled { signal: 9, .. } | ProcessError::Unknown)
        ));
        say("right");
    }
    role_has_a_thread_that_reaps_everything {
        std::thread::spawn(|| loop {
            // SAFETY: waits for any child, whose status nobody wants.
            unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) };
        });
        for n in 0..20 {
            let child = Process::spawn((n,), |n: i32| n * n).unwrap();
            assert_eq!(child.join().unwrap(), n * n);
            assert_eq!(child.exitcode(), Some(0));
        }
        say("right");
    }
    role_spawns_in_a_forked_child {
        let ours = Process::builder().daemon(true).spawn((), park).unwrap();
        // SAFETY: the copy of this thread goes on in the crate, whose locks no other thread holds.
        match unsafe { libc::fork() } {
            0 => {
                let child = Process::builder().daemon(true).spawn((20,), |n: i32| n + 1).unwrap();
                let right = child.join().unwrap() == 21 && ours.is_alive();
                std::process::exit(if right { 0 } else { 1 }); // waits for none of the parent's
            }
            copy => {
                let mut status = -1;
                // SAFETY: the status of our own child.
                unsafe { libc::waitpid(copy, &mut status, 0) };
                assert_eq!(status, 0);
                assert!(ours.is_alive());
                say("right");
            }
        }
    }
    role_closes_the_standard_streams {
        // SAFETY: nobody uses them meanwhile but the harness, after this test.
        unsafe {
            let saved = libc::dup(1);
            for number in 0..3 {
                libc::close(number);
            }
            let child = Process::builder().daemon(true).spawn((20,), |n: i32| {
                let open = (0..3).all(|n| libc::fcntl(n, libc::F_GETFD) >= 0);
                (n + 1, open)
            });
            let value = child.unwrap().join();
            let by_server = Process::builder().method(shmkit::Method::ForkServer).spawn((), || {
                (0..3).all(|n| libc::fcntl(n, libc::F_GETFD) >= 0)
            });
            let by_server = by_server.unwrap().join();
            libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            libc::dup2(saved, 1);
            libc::dup2(0, 2);
            assert!(matches!(value, Ok((21, true))), "{value:?}");
            assert!(matches!(by_server, Ok(true)), "{by_server:?}");
        }
        say("right");
    }
    role_runs_out_of_descriptors {
        let mut all = Vec::new();
        // SAFETY: lowers a limit of this process.
        unsafe {
            let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
        while let Ok(file) = std::fs::File::open("/dev/null") {
            all.push(file);
        }
        let mut refused = 0;
        loop {
            match Process::spawn((), || 1) {
                Ok(child) => break assert_eq!(child.join().unwrap(), 1),
                Err(shmkit::Error::Os(_)) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
            assert!(all.pop().is_some());
        }
        assert!(refused > 0);
        // SAFETY: asks for any child; ECHILD says that there is none.
        assert_eq!(unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) }, -1);
        say("right");
    }
    role_was_started_by_the_loader {
        match Process::spawn((), || ()).map(drop) {
            Err(shmkit::Error::Os(e)) => assert_eq!(e.kind(), std::io::ErrorKind::Unsupported),
            other => panic!("{other:?}"),
        }
        say("right");
    }
    role_prints {
        let child = Process::spawn((), || {
            print!("> unterminated");
            // SAFETY: a string constant; C's stream is buffered, this being a pipe.
            unsafe { libc::printf(c" and C's\n".as_ptr()) };
        });
        child.unwrap().join().unwrap();
        let child: Process = Process::spawn((), || panic!("text for stderr")).unwrap();
        assert!(child.join().is_err());
    }
    role_counts_its_runs {
        say("main");
        for _ in 0..3 {
            Process::spawn((), || ()).unwrap().join().unwrap();
        }
        assert!(std::env::var_os("SHMKIT_BOOT").is_none());
    }
}

// ---- the tests ----

/// A parent that plays a role, and what it says.
struct Played {
    program: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: Receiver<String>,
}

fn play(role: &str) -> Played {
    start(Command::new(std::env::current_exe().unwrap()), role)
}

fn start(mut command: Command, role: &str) -> Played {
    let mut program = command
        .args(["--exact", role, "--ignored", "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = program.stdin.take();
    let lines = read_lines(program.stdout.take().unwrap());
    let stderr = read_lines(program.stderr.take().unwrap());
    Played { program, stdin, lines, stderr }
}

fn read_lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

impl Played {
    /// The next line that a role or its children say.
    fn line(&self) -> String {
        loop {
            let line = self.lines.recv_timeout(LONG).expect("nothing was said in time");
            // The harness leaves its own line open before a role's first.
            if let Some(at) = line.find("> ") {
                return line[at + 2..].to_string();
            }
        }
    }

    /// A pidfd of the process that says `up PID`.
    fn process(&self) -> OwnedFd {
        let line = self.line();
        let pid = line.strip_prefix("up ").unwrap_or_else(|| panic!("{line}")).parse().unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap()
    }

    /// Lets a role go on that waits for the test.
    fn go_on(&mut self) {
        let mut stdin = self.stdin.take().unwrap();
        let _ = stdin.write_all(b"\n");
    }

    fn kill(&mut self) {
        self.program.kill().unwrap();
        self.program.wait().unwrap();
    }

    /// What is said from now on, to the end of all who could say something.
    fn rest(&self) -> Vec<String> {
        let mut rest = Vec::new();
        loop {
            match self.lines.recv_timeout(LONG) {
                Ok(line) => rest.extend(line.find("> ").map(|at| line[at + 2..].to_string())),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return rest,
                Err(_) => panic!("somebody still holds standard output: {rest:?}"),
            }
        }
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

fn has_ended(process: impl AsFd, timeout: Duration) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: 0 };
    poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&timeout)).unwrap() == 1
}

/// The role ran to its end, and every assertion in it held.
fn is_right(role: &str) {
    let mut parent = play(role);
    let said = parent.rest();
    let stderr: Vec<_> = parent.stderr.iter().collect();
    assert_eq!(said, ["right"], "{stderr:#?}");
    assert_eq!(parent.code(), Some(0));
}

#[test]
fn a_parent_exits_after_its_children_p19() {
    for (role, code) in
        [("role_leaves_children", 0), ("role_panics", 101), ("role_exits_from_a_thread", 3)]
    {
        let mut parent = play(role);
        assert_eq!(parent.line(), "parent end", "{role}");
        assert_eq!(parent.line(), "child end", "{role}");
        assert_eq!(parent.code(), Some(code), "{role}");
    }
}

#[test]
fn a_parent_that_skips_its_exit_handlers_does_not_wait_p19() {
    let mut parent = play("role_skips_exit_handlers");
    let child = parent.process();
    parent.go_on();
    assert_eq!(parent.code(), Some(0));
    assert_eq!(parent.line(), "orphaned");
    assert!(has_ended(child, LONG));
}

#[test]
fn a_daemon_is_asked_to_end_and_waited_for_when_its_parent_exits_p17() {
    let mut parent = play("role_leaves_a_daemon");
    let daemon = parent.process();
    parent.go_on();
    assert_eq!(parent.line(), "parent end");
    assert_eq!(parent.line(), "asked to end by 15");
    assert_eq!(parent.code(), Some(0));
    assert!(has_ended(daemon, Duration::ZERO), "the parent has waited for it");
}

#[test]
fn a_daemon_that_ignores_sigterm_is_killed_when_its_parent_exits_p17() {
    let mut parent = play("role_leaves_a_deaf_daemon");
    let daemon = parent.process();
    parent.go_on();
    assert_eq!(parent.code(), Some(0));
    assert!(has_ended(daemon, Duration::ZERO));
}

#[test]
fn a_daemon_dies_with_its_killed_parent_p20() {
    for role in ["role_has_a_daemon", "role_has_a_daemon_that_blocks_all_signals"] {
        let mut parent = play(role);
        let daemon = parent.process();
        assert!(!has_ended(&daemon, Duration::ZERO));
        parent.kill();
        assert!(has_ended(daemon, LONG), "{role}");
    }
    let mut parent = play("role_has_a_daemon");
    let daemon = parent.process();
    parent.go_on(); // it dies of SIGTERM
    assert!(has_ended(daemon, LONG));
}

#[test]
fn every_daemon_dies_with_its_killed_parent_p20() {
    let mut parent = play("role_has_two_daemons");
    let daemons = [parent.process(), parent.process()];
    parent.kill();
    for daemon in daemons {
        assert!(has_ended(daemon, LONG));
    }
}

#[test]
fn the_children_of_a_daemon_die_with_it_p18() {
    let mut parent = play("role_has_a_family_of_daemons");
    let (child, grandchild) = (parent.process(), parent.process());
    parent.kill();
    assert!(has_ended(child, LONG));
    assert!(has_ended(grandchild, LONG));
}

#[test]
fn a_child_that_is_no_daemon_outlives_its_killed_parent_p20() {
    let mut parent = play("role_has_a_child");
    let child = parent.process();
    parent.kill();
    assert_eq!(parent.line(), "orphaned");
    assert!(has_ended(child, LONG));
}

#[test]
fn a_forked_copy_of_the_parent_does_not_keep_daemons_alive() {
    let mut parent = play("role_forks_and_has_a_daemon");
    let daemon = parent.process();
    parent.go_on();
    let copy = parent.process();
    parent.kill();
    assert!(has_ended(daemon, LONG));
    assert!(!has_ended(&copy, Duration::ZERO));
    rustix::process::pidfd_send_signal(&copy, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn a_daemon_whose_parent_dies_before_it_is_ready_dies_too_p20() {
    for _ in 0..20 {
        let mut parent = play("role_dies_at_once_with_a_daemon");
        parent.program.wait().unwrap();
        // A daemon that had survived would hold standard output open.
        assert!(parent.rest().is_empty());
    }
}

#[test]
fn a_child_that_is_no_daemon_starts_although_its_parent_dies_before_it_is_ready_p20() {
    for _ in 0..20 {
        let mut parent = play("role_dies_at_once_with_a_child");
        parent.program.wait().unwrap();
        let lines = parent.rest();
        assert!(lines.len() == 2 && lines[1] == "orphaned", "{lines:?}");
    }
}

#[test]
fn children_that_somebody_else_reaps_are_still_understood() {
    is_right("role_lets_the_kernel_reap");
    is_right("role_has_a_thread_that_reaps_everything");
}

#[test]
fn a_forked_child_starts_processes_of_its_own() {
    is_right("role_spawns_in_a_forked_child");
}

#[test]
fn closed_standard_streams_do_not_matter() {
    is_right("role_closes_the_standard_streams");
}

#[test]
fn without_descriptors_nothing_is_started_and_nothing_left() {
    is_right("role_runs_out_of_descriptors");
}

#[test]
fn a_program_that_its_loader_runs_cannot_start_itself() {
    // The loader as this program names it in its own headers.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let loader = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    let Some(loader) = loader.into_iter().find(|path| path.contains("/ld-")) else {
        return; // linked statically
    };
    let mut command = Command::new(loader);
    command.arg(std::env::current_exe().unwrap());
    assert_eq!(start(command, "role_was_started_by_the_loader").rest(), ["right"]);
}

#[test]
fn an_interrupt_from_the_terminal_reaches_parent_and_child_p25() {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.process_group(0);
    // SAFETY: a plain call, allowed there. Who runs tests in the background may ignore the signal.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            Ok(())
        });
    }
    let mut parent = start(command, "role_has_a_child");
    let child = parent.process();
    // SAFETY: a signal to the group that was made for the parent.
    unsafe { libc::kill(-(parent.program.id() as i32), libc::SIGINT) };
    assert_eq!(parent.program.wait().unwrap().signal(), Some(libc::SIGINT));
    assert!(has_ended(child, LONG));
}

#[test]
fn output_is_flushed_at_the_end_and_panics_are_printed_x34() {
    let mut parent = play("role_prints");
    let said = parent.rest().concat();
    assert!(said.contains("unterminated") && said.contains("and C's"), "{said}");
    assert!(parent.stderr.iter().any(|line| line == "text for stderr"));
    assert_eq!(parent.code(), Some(0));
}

#[test]
fn a_child_never_runs_main_p24() {
    let parent = play("role_counts_its_runs");
    assert_eq!(parent.rest(), ["main"]);
}

#[test]
fn a_boot_variable_that_is_not_ours_is_dropped() {
    let exe = std::env::current_exe().unwrap();
    for bad in ["", "nonsense", "0", "-5", "77", "99999999999999999999"] {
        let mut command = Command::new(&exe);
        command.env("SHMKIT_BOOT", bad);
        assert_eq!(start(command, "role_counts_its_runs").rest(), ["main"], "{bad:?}");
    }
    // A file without a record.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "SHMKIT_BOOT=9 exec \"$0\" \"$@\" 9</etc/passwd"]).arg(&exe);
    assert_eq!(start(command, "role_counts_its_runs").rest(), ["main"]);
}

/// The boot record that a real child of this process had.
fn real_record() -> Vec<u8> {
    let child = Process::spawn((), || {
        let fds = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
        let is_control = |path: &std::path::PathBuf| {
            let target = std::fs::read_link(path).unwrap_or_default();
            target.to_string_lossy().contains("shmkit-process")
        };
        std::fs::read(fds.into_iter().find(is_control).unwrap()).unwrap()
    });
    let mut record = child.unwrap().join().unwrap();
    record.truncate(64);
    record
}

#[test]
fn a_boot_record_of_somebody_else_is_refused_and_main_does_not_run() {
    let exe = std::env::current_exe().unwrap();
    let path = std::env::temp_dir().join(format!("shmkit-boot-{}", std::process::id()));
    let (ours, mut of_another_file, mut of_another_parent) =
        (real_record(), real_record(), real_record());
    of_another_file[16] ^= 1;
    of_another_parent[8..16].copy_from_slice(&1u64.to_ne_bytes()); // lives, but did not start it
    // Ours is refused, too, when a shell stands between: it is not the parent that wrote it.
    for (record, exec) in [(ours, ""), (of_another_file, "exec"), (of_another_parent, "exec")] {
        std::fs::write(&path, record).unwrap();
        let mut command = Command::new("/bin/sh");
        let script = format!("SHMKIT_BOOT=9 {exec} \"$0\" \"$@\" 9<{}; exit $?", path.display());
        command.args(["-c", &script]).arg(&exe);
        let mut refused = start(command, "role_counts_its_runs");
        assert_eq!(refused.rest(), [""; 0]);
        assert_eq!(refused.code(), Some(127));
    }
    std::fs::remove_file(path).unwrap();
}
