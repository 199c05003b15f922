//! What the Rust runtime sets up before `main`, for a child that never gets there.

#![allow(unsafe_code)]

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, fcntl_getfd};
use std::os::fd::{BorrowedFd, IntoRawFd};

/// Opens descriptors 0 to 2 on `/dev/null` where they are closed, so that no later file becomes
/// somebody's standard output, and ignores SIGPIPE, so that a broken pipe is an error.
pub(crate) fn set_up() {
    for number in 0..=2 {
        // SAFETY: only asked whether it is open.
        let known = unsafe { fcntl_getfd(BorrowedFd::borrow_raw(number)) };
        if known == Err(Errno::BADF)
            && let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty())
        {
            // The lowest free number is `number`, and it stays open for as long as we run.
            let _ = null.into_raw_fd();
        }
    }
    // SAFETY: setting a disposition needs no memory of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}
