//! What tests between processes share: deadlines that let a bug fail instead of hang, and signals.

#![allow(dead_code, unsafe_code, reason = "each test program uses its part of it")]

use shmkit::{Message, Process, ProcessError};
use std::time::{Duration, Instant};

/// Longer than anything here takes, also where the whole machine stands still for half a minute.
pub const LONG: Duration = Duration::from_secs(120);

/// Joins with a deadline.
pub fn join<R: Message>(process: &Process<R>) -> Result<R, ProcessError> {
    process.join_timeout(LONG).transpose().expect("the process has not ended in time")
}

/// Kills the process and waits until it is gone.
pub fn kill<R: Message>(process: &Process<R>) {
    process.kill().unwrap();
    assert!(matches!(join(process), Err(ProcessError::Signaled { signal: 9, .. })));
}

/// Stops the process and waits until it stands still.
pub fn stop<R>(process: &Process<R>) {
    send(process, libc::SIGSTOP);
    let mut status = 0;
    // SAFETY: plain calls; `status` is ours.
    let pid = unsafe { libc::waitpid(process.pid() as i32, &mut status, libc::WUNTRACED) };
    assert!(pid == process.pid() as i32 && libc::WIFSTOPPED(status));
}

/// Waits until the main thread of the process sleeps in the kernel, so has gone as far as it can.
pub fn settle(pid: u32) {
    let asleep = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let state = stat.rsplit(") ").next().unwrap().chars().next().unwrap();
        matches!(state, 'S' | 'Z')
    };
    while !asleep() {
        std::thread::yield_now();
    }
}

/// Waits until the main thread of the process, which sleeps, has woken and gone to sleep again so
/// many times.
pub fn await_naps(pid: u32, count: u64) {
    let naps = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    let (before, start) = (naps(), Instant::now());
    while naps() < before + count {
        assert!(start.elapsed() < LONG, "it sleeps on");
        std::thread::yield_now();
    }
}

pub fn go_on<R>(process: &Process<R>) {
    send(process, libc::SIGCONT);
}

pub fn send<R>(process: &Process<R>, signal: i32) {
    // SAFETY: a plain call; the process is not reaped, so that the pid is still its own.
    assert_eq!(unsafe { libc::kill(process.pid() as i32, signal) }, 0);
}

/// Never returns; only a signal ends it. At the latest its own: a test that fails before it kills
/// its children would wait for them at its exit.
pub fn park() -> ! {
    // SAFETY: a plain call.
    unsafe { libc::alarm(300) };
    loop {
        std::thread::park();
    }
}

/// Closes the standard streams, whose reader waits for whoever has them.
pub fn be_silent() {
    // SAFETY: a plain call of a process that prints no more.
    unsafe { libc::close_range(0, 2, 0) };
}

/// Ends this process as a bug would: at once, without destructors or exit handlers.
pub fn die() -> ! {
    // SAFETY: plain calls.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGKILL);
    }
    park()
}

/// Forks, runs `body` in the child and returns its pid. Only for processes with one thread.
pub fn fork(body: impl FnOnce()) -> i32 {
    match split() {
        0 => leave(std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_ok()),
        child => child,
    }
}

/// Forks and returns the pid of the child, or 0 in the child, which goes by [`leave`]. Only for
/// processes with one thread.
pub fn split() -> i32 {
    // SAFETY: this process has one thread, so the child may do what it likes.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        child => child,
    }
}

/// Ends a forked child, and tells [`reap`] whether all is well.
pub fn leave(is_well: bool) -> ! {
    // SAFETY: does not return.
    unsafe { libc::_exit(if is_well { 0 } else { 101 }) }
}

/// Waits for a forked child and insists that its body came to its end.
pub fn reap(child: i32) {
    let mut status = 0;
    // SAFETY: plain calls; `status` is ours.
    let pid = unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!((pid, status), (child, 0), "the forked child has failed");
}

/// A name that nobody else uses.
pub fn unique(test: &str) -> String {
    format!("test.{}.{test}", std::process::id())
}

/// What is left in the file system of objects whose name starts so.
pub fn left_behind(start: &str) -> Vec<String> {
    let start = format!("shmkit.{start}");
    let files = std::fs::read_dir("/dev/shm").unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(&start)).collect()
}

/// The pids of the fork servers that work for the process `owner`; for a moment also of their copies.
pub fn servers_of(owner: u32) -> Vec<i32> {
    let mut servers = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else {
            continue;
        };
        let stat = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
        let Some((_, rest)) = stat.rsplit_once(')') else { continue };
        let mut fields = rest.split_whitespace();
        let (state, parent) = (fields.next(), fields.next());
        let command = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let name = std::fs::read_to_string(path.join("comm")).unwrap_or_default();
        let is_server = command.starts_with(b"shmkit-server") && name.trim() == "shmkit-server";
        if is_server && state != Some("Z") && parent == Some(owner.to_string().as_str()) {
            servers.push(pid);
        }
    }
    servers
}
