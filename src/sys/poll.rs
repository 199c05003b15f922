//! Descriptors that exist to be polled.

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

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

/// `epoll_create(2)`: readable while one of `sources` is readable or its peer is gone.
pub(crate) fn any_readable(sources: &[BorrowedFd<'_>]) -> io::Result<OwnedFd> {
    let set = epoll::create(CreateFlags::CLOEXEC)?;
    for source in sources {
        match epoll::add(&set, source, EventData::new_u64(0), EventFlags::IN) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(set)
}
