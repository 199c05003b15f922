//! A pipe that kills: whoever holds the armed end dies with the process that holds the other.
//!
//! The parent keeps the write end and never writes. The child asks the kernel for a SIGKILL to
//! itself when the pipe changes state, which it does when its last writer is gone, however the
//! parent ends. Other than `PR_SET_PDEATHSIG` it is not bound to the thread that started the child.
//!
//! - L1. The write end exists in the parent only: it is close-on-exec, and closed in forked
//!   children. (A copy made by a raw `clone` delays the signal until that copy is gone.)
//! - L2. The signal is a property of an open file description, so each child opens its own.

#![allow(unsafe_code)]

use super::fork::Entry;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// `F_SETSIG` of `<asm-generic/fcntl.h>`.
const F_SETSIG: libc::c_int = 10;

/// The parent's side: children that armed themselves with it die when it is gone.
pub(crate) struct Lifeline {
    read: OwnedFd,
    _write: OwnedFd,
    _closed_in_child: [Entry; 2],
}

impl Lifeline {
    pub(crate) fn new() -> io::Result<Lifeline> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        let read = super::process::above_stdio(read)?;
        let entries =
            [Entry::closed_in_child(read.as_fd())?, Entry::closed_in_child(write.as_fd())?];
        Ok(Lifeline { read, _write: write, _closed_in_child: entries })
    }

    /// The end to pass to a child.
    pub(crate) fn child_end(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}

/// The child's side: from now on this process is killed when the parent is gone; at once, if it is
/// gone already.
pub(crate) fn arm(passed: OwnedFd) -> io::Result<OwnedFd> {
    // L2. NONBLOCK: were there no writer left, opening must not wait for one.
    let path = format!("/proc/self/fd/{}", passed.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let own = rustix::fs::open(path, flags, Mode::empty())?;
    drop(passed);
    let number = own.as_raw_fd();
    // SAFETY: plain integers; `own` is open.
    unsafe {
        check(libc::fcntl(number, libc::F_SETOWN, rustix::process::getpid().as_raw_pid()))?;
        check(libc::fcntl(number, F_SETSIG, libc::SIGKILL))?;
        let flags = check(libc::fcntl(number, libc::F_GETFL))?;
        check(libc::fcntl(number, libc::F_SETFL, flags | libc::O_ASYNC))?;
    }
    let mut end = [PollFd::new(&own, PollFlags::IN)];
    if poll(&mut end, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? != 0 {
        // The parent was gone before the signal was asked for.
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
    }
    Ok(own)
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a forked child ends that does `f`.
    fn status_of(f: impl FnOnce() -> io::Result<()>) -> libc::c_int {
        // SAFETY: the child only makes system calls and allocates, which glibc allows it; it ends
        // by `_exit`.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::_exit(if f().is_ok() { 0 } else { 1 });
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            status
        }
    }

    #[test]
    fn who_arms_itself_after_the_parents_end_is_killed_at_once() {
        let status = status_of(|| {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
            drop(write);
            arm(read).map(drop)
        });
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL, "{status}");
    }

    #[test]
    fn who_is_armed_lives_while_a_writer_does() {
        let status = status_of(|| {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
            let armed = arm(read)?;
            drop(armed);
            drop(write);
            Ok(())
        });
        assert_eq!(status, 0);
    }
}
