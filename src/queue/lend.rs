//! Messages that are written and read in place.

use super::core::{Core, Lease};
use super::error::{GetError, PutError};
use crate::lock::deadline::Deadline;
use crate::ring::frames::Frames;
use crate::ring::mpmc::{Leased, Reserved};
use crate::ring::pages::Run;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Room in a queue, to be filled in place; put by [`Loan::commit`], given back by its drop.
///
/// Its content is arbitrary until it is written. Messages that others put after it wait until it is
/// put or given back: write, then commit. In a forked child, an inherited one does nothing: it is the
/// parent's.
pub struct Loan<'a> {
    core: &'a Core,
    /// `None` only while it is dropped.
    room: Option<Room<'a>>,
    len: usize,
}

/// A slot, and pages if the message does not fit into it.
struct Room<'a> {
    slot: Reserved<'a, Frames>,
    run: Option<Run>,
}

impl<'a> Loan<'a> {
    pub(super) fn new(
        core: &'a Core,
        len: usize,
        deadline: Deadline,
    ) -> Result<Loan<'a>, PutError<()>> {
        let room = if len <= core.inline_bytes() {
            let mut slot = core.reserve(deadline)?;
            slot.set_len(len);
            Room { slot, run: None }
        } else {
            let (slot, run) = core.reserve_long(len, deadline)?;
            Room { slot, run: Some(run) }
        };
        Ok(Loan { core, room: Some(room), len })
    }

    /// Puts the message. Never blocks.
    pub fn commit(mut self) {
        self.end(true);
    }

    /// Makes the message shorter than was asked for; longer it does not get.
    #[doc(hidden)]
    pub fn shorten(&mut self, len: usize) {
        self.len = self.len.min(len);
        match &mut self.room {
            Some(Room { run: Some(run), .. }) => run.shorten(self.len),
            Some(Room { slot, .. }) => slot.set_len(self.len),
            None => {}
        }
    }

    fn end(&mut self, commits: bool) {
        if let Some(Room { slot, run }) = self.room.take() {
            self.core.end_loan(slot, run, commits);
        }
    }
}

impl Deref for Loan<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self.room.as_ref().expect("there until drop") {
            Room { run: Some(run), .. } => self.core.pages().bytes(run),
            Room { slot, .. } => slot.message(self.len),
        }
    }
}

impl DerefMut for Loan<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self.room.as_mut().expect("there until drop") {
            Room { run: Some(run), .. } => self.core.pages().bytes_mut(run),
            Room { slot, .. } => slot.message_mut(self.len),
        }
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        self.end(false);
    }
}

impl fmt::Debug for Loan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("len", &self.len).finish_non_exhaustive()
    }
}

/// A message, borrowed where it is; got for good when this is dropped.
///
/// If this process dies before, another gets it. Its place is in use until then: when those who put
/// have come round to it, they find the queue full. In a forked child, an inherited one does nothing:
/// it is the parent's.
pub struct Received<'a> {
    core: &'a Core,
    /// `None` only while it is dropped.
    lent: Option<(Leased<'a, Frames>, Lease)>,
}

impl<'a> Received<'a> {
    pub(super) fn new(core: &'a Core, deadline: Deadline) -> Result<Received<'a>, GetError> {
        let (leased, lease) = core.lease(deadline)?;
        let received = Received { core, lent: Some((leased, lease)) };
        // Nonsense goes with the drop.
        if received.message().is_some() { Ok(received) } else { Err(GetError::Corrupt) }
    }

    fn message(&self) -> Option<&[u8]> {
        self.lent.as_ref().and_then(|(leased, _)| leased.message())
    }
}

impl Deref for Received<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.message().unwrap_or_default()
    }
}

impl Drop for Received<'_> {
    fn drop(&mut self) {
        if let Some((leased, lease)) = self.lent.take() {
            self.core.end_lease(leased, lease, true);
        }
    }
}

impl fmt::Debug for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("len", &self.len()).finish_non_exhaustive()
    }
}
