//! What somebody who is polled holds besides that by which it is rung.

use crate::error::Result;
use crate::sys::{fork, poll};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

/// A descriptor that is readable while its own flag is raised, or its source is: rung, with other news,
/// or without a peer any more.
pub(crate) struct Watch {
    _entries: [fork::Entry; 2],
    set: OwnedFd,
    flag: OwnedFd,
    raised: Mutex<bool>,
}

impl Watch {
    /// Made with the flag raised.
    pub(crate) fn new(source: BorrowedFd<'_>) -> Result<Watch> {
        let flag = poll::flag()?;
        poll::raise(flag.as_fd());
        let set = poll::any_readable(&[flag.as_fd(), source])?;
        let entries = [&set, &flag].map(|fd| fork::Entry::blanked_in_child(fd.as_fd()));
        let [of_set, of_flag] = entries;
        Ok(Watch { _entries: [of_set?, of_flag?], set, flag, raised: Mutex::new(true) })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }

    pub(crate) fn raise(&self) {
        self.change(true, poll::raise);
    }

    pub(crate) fn lower(&self) {
        self.change(false, poll::lower);
    }

    fn change(&self, to: bool, by: fn(BorrowedFd<'_>)) {
        let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *raised, to) != to {
            by(self.flag.as_fd());
        }
    }
}
