//! A child that runs another program, by its pidfd.

use crate::fail::{Answer, Fail};
use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How a process has ended.
#[derive(Clone, Copy)]
pub(crate) enum Ended {
    Exited(c_int),
    Signaled(c_int),
    /// Somebody else was told.
    Unknown,
}

pub(crate) struct Child {
    pid: i32,
    pidfd: OwnedFd,
    ended: Mutex<Option<Ended>>,
}

impl Child {
    pub(crate) fn start(mut command: Command) -> Answer<Child> {
        let child = command.spawn()?;
        let pid = child.id().cast_signed();
        // SAFETY: a plain call. The child is not reaped, so that the pid is its own.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error().into());
        }
        // SAFETY: a new descriptor; numbers of descriptors are ints.
        let pidfd = unsafe { OwnedFd::from_raw_fd(fd as c_int) };
        Ok(Child { pid, pidfd, ended: Mutex::new(None) })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// How it has ended, waiting until `deadline` for that.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Answer<Option<Ended>> {
        loop {
            if let Some(ended) = self.reap()? {
                return Ok(Some(ended));
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            let left = left.map(|left| libc::timespec {
                tv_sec: left.as_secs().min(i64::MAX as u64).cast_signed(),
                tv_nsec: left.subsec_nanos().into(),
            });
            let left = left.as_ref().map_or(std::ptr::null(), |left| left);
            let mut end =
                libc::pollfd { fd: self.pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one descriptor, and pointers that outlive the call.
            let ready = unsafe { libc::ppoll(&mut end, 1, left, std::ptr::null()) };
            if ready < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return Err(io::Error::last_os_error().into());
            }
        }
    }

    /// How it has ended, if it has.
    fn reap(&self) -> Answer<Option<Ended>> {
        let mut known = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_some() {
            return Ok(*known);
        }
        // SAFETY: all zeros are a `siginfo_t`, which the kernel fills if there is something to tell.
        let (waited, info) = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let fd = self.pidfd.as_raw_fd().cast_unsigned();
            let options = libc::WEXITED | libc::WNOHANG;
            (libc::waitid(libc::P_PIDFD, fd, &mut info, options), info)
        };
        if waited != 0 {
            return match io::Error::last_os_error() {
                e if e.raw_os_error() == Some(libc::ECHILD) => {
                    *known = Some(Ended::Unknown);
                    Ok(*known)
                }
                e if e.kind() == io::ErrorKind::Interrupted => Ok(None),
                e => Err(Fail::from(e)),
            };
        }
        // SAFETY: filled for a child, or all zeros.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        if pid != 0 {
            let exited = info.si_code == libc::CLD_EXITED;
            *known = Some(if exited { Ended::Exited(status) } else { Ended::Signaled(status) });
        }
        Ok(*known)
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.reap(); // no zombie of one that has ended; others are reaped with this process
    }
}

/// Sends a signal; nothing if the process has ended.
pub(crate) fn signal(pidfd: BorrowedFd<'_>, signal: c_int) -> Answer<()> {
    let info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a plain call without memory.
    let sent =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, info, 0) };
    if sent == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        e if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        e if e.raw_os_error() == Some(libc::EINVAL) => Err(Fail::Argument("number of a signal")),
        e => Err(e.into()),
    }
}
