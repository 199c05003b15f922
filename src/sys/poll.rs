//! Descriptors that exist to be polled.

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// `eventfd(2)`: readable while it is raised; close-on-exec.
pub(crate) fn flag() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}

/// Makes a [`flag`] readable.
pub(crate) fn raise(flag: BorrowedFd<'_>) {
    // Fails only at the top of the counter, where it is raised already.
    let _ = rustix::io::write(flag, &1u64.to_ne_bytes());
}

/// Makes a [`flag`] unreadable.
pub(crate) fn lower(flag: BorrowedFd<'_>) {
    // Fails only when it is lowered already.
    let _ = rustix::io::read(flag, &mut [0; 8]);
}

/// `poll(2)`: waits until `fd` is readable or its peer is gone, at most `timeout`. A signal ends the
/// wait early, too.
pub(crate) fn wait_readable(fd: BorrowedFd<'_>, timeout: Duration) -> io::Result<()> {
    let timeout = Timespec::try_from(timeout).ok();
    match poll(&mut [PollFd::new(&fd, PollFlags::IN)], timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// `poll(2)`: waits until one of `fds` is readable or its peer is gone, at most `timeout`. A signal
/// ends the wait early, too.
pub(crate) fn wait_any(fds: &[BorrowedFd<'_>], timeout: Duration) -> io::Result<()> {
    poll_all(fds, timeout).map(drop)
}

/// Which of `fds` are readable now, or have lost their peer.
pub(crate) fn readable(fds: &[BorrowedFd<'_>]) -> io::Result<Vec<bool>> {
    let looks = poll_all(fds, Duration::ZERO)?;
    Ok(looks.iter().map(|look| !look.revents().is_empty()).collect())
}

fn poll_all<'a>(fds: &'a [BorrowedFd<'_>], timeout: Duration) -> io::Result<Vec<PollFd<'a>>> {
    let mut looks: Vec<_> = fds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    let timeout = Timespec::try_from(timeout).ok();
    match poll(&mut looks, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(looks),
        Err(e) => Err(e.into()),
    }
}

/// Adds one more to a set made by [`any_readable`]; it leaves the set when it is closed.
pub(crate) fn add(set: BorrowedFd<'_>, source: BorrowedFd<'_>) -> io::Result<()> {
    Ok(epoll::add(set, source, EventData::new_u64(0), EventFlags::IN)?)
}

/// `epoll_create(2)`: readable while one of `sources` is readable or its peer is gone.
pub(crate) fn any_readable(sources: &[BorrowedFd<'_>]) -> io::Result<OwnedFd> {
    let set = epoll::create(CreateFlags::CLOEXEC)?;
    for source in sources {
        add(set.as_fd(), *source)?;
    }
    Ok(set)
}
