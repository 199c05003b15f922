//! Copying this process, as it is.

#![allow(unsafe_code)]

use super::passed::Passed;
use super::process::{Started, watch};
use rustix::process::Pid;
use std::io::{self, Write};

/// Which of the two processes this is after [`fork`].
pub(crate) enum Side {
    Parent(Started),
    /// What it does with the descriptors of its own it does before anything else.
    Child(Passed),
}

/// `fork(2)`. What was printed, and is not out yet, is written before, so that it comes once.
///
/// # Safety
///
/// The child is a copy of this process with this thread alone. Nothing that it uses may rest on being
/// the only one of its kind, as a `&mut` into shared memory does. With other threads about it may use
/// nothing that one of them could have locked.
pub(crate) unsafe fn fork() -> io::Result<Side> {
    flush();
    // SAFETY: the caller's promise.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: one thread, and numbers that come from the same code in the parent.
        0 => Ok(Side::Child(unsafe { Passed::under_numbers() })),
        pid => {
            let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData)?;
            Ok(Side::Parent(watch(pid)?))
        }
    }
}

/// Ends a forked child: what it printed is written, exit handlers are the parent's and do not run.
pub(crate) fn end(code: i32) -> ! {
    flush();
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// Writes what was printed; who does not take it is not our business.
fn flush() {
    let _ = io::stdout().flush();
    // SAFETY: null stands for all streams of C.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}
