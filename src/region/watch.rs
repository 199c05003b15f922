//! What a receiver that is polled holds besides its socket.

use super::courier::Courier;
use crate::error::Result;
use crate::sys::{fork, poll};
use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A descriptor that is readable while its own flag is raised, or the socket has a bell, other news
/// or no peer any more.
pub(crate) struct Watch {
    _entries: [fork::Entry; 2],
    set: OwnedFd,
    flag: OwnedFd,
    raised: Cell<bool>,
}

impl Watch {
    /// Made with the flag raised.
    pub(crate) fn new(courier: &Courier) -> Result<Watch> {
        let flag = poll::flag()?;
        poll::raise(flag.as_fd());
        let set = poll::any_readable(&[flag.as_fd(), courier.fd()])?;
        let entries = [&set, &flag].map(|fd| fork::Entry::blanked_in_child(fd.as_fd()));
        let [of_set, of_flag] = entries;
        Ok(Watch { _entries: [of_set?, of_flag?], set, flag, raised: Cell::new(true) })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }

    pub(crate) fn raise(&self) {
        if !self.raised.replace(true) {
            poll::raise(self.flag.as_fd());
        }
    }

    pub(crate) fn lower(&self) {
        if self.raised.replace(false) {
            poll::lower(self.flag.as_fd());
        }
    }
}
