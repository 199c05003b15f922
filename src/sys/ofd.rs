//! Byte-range locks on an open file description (`F_OFD_SETLK`).
//!
//! The kernel frees them when the last descriptor of the description is closed, however its
//! process ends: that is what makes them the death test of a participant.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Who else may hold the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Shared,
    Exclusive,
}

impl Mode {
    fn flag(self) -> libc::c_int {
        match self {
            Mode::Shared => libc::F_RDLCK,
            Mode::Exclusive => libc::F_WRLCK,
        }
    }
}

fn call(fd: BorrowedFd<'_>, op: libc::c_int, kind: libc::c_int, byte: u64) -> io::Result<i32> {
    let mut range = libc::flock {
        l_type: kind as _,
        l_whence: libc::SEEK_SET as _,
        l_start: byte as _,
        l_len: 1,
        l_pid: 0, // required by the OFD calls
    };
    loop {
        // SAFETY: `fd` is open while borrowed, and `range` is a live `flock` that the kernel reads
        // and, for GETLK, writes.
        if unsafe { libc::fcntl(fd.as_raw_fd(), op, &mut range) } == 0 {
            return Ok(i32::from(range.l_type));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Takes the byte if nobody else's description holds it in a conflicting mode.
pub(crate) fn try_lock(fd: BorrowedFd<'_>, byte: u64, mode: Mode) -> io::Result<bool> {
    match call(fd, libc::F_OFD_SETLK, mode.flag(), byte) {
        Ok(_) => Ok(true),
        Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(e) => Err(e),
    }
}

/// Takes the byte, sleeping until the holder frees it or dies.
pub(crate) fn lock(fd: BorrowedFd<'_>, byte: u64, mode: Mode) -> io::Result<()> {
    call(fd, libc::F_OFD_SETLKW, mode.flag(), byte).map(drop)
}

/// Gives the byte back.
pub(crate) fn unlock(fd: BorrowedFd<'_>, byte: u64) -> io::Result<()> {
    call(fd, libc::F_OFD_SETLK, libc::F_UNLCK, byte).map(drop)
}

/// Whether another description than `fd`'s holds the byte.
pub(crate) fn is_held_by_other(fd: BorrowedFd<'_>, byte: u64) -> io::Result<bool> {
    call(fd, libc::F_OFD_GETLK, libc::F_WRLCK, byte).map(|found| found != libc::F_UNLCK)
}
