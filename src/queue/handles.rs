//! Handles to shared objects in the messages of a queue.
//!
//! Nobody knows who will get a message, so the handles stay with who puts it until they are fetched,
//! and the message has a trailer that says where: see [`crate::region::deposit`]. They are fetched
//! while the message is still in its slot, so that the sender can tell a message that is on its way
//! from one that was got otherwise, whose handles nobody will fetch.

use super::core::Core;
use super::error::{GetError, PutError};
use crate::error::Error;
use crate::lock::deadline::{Deadline, Naps};
use crate::region::deposit::{Receipt, deposit, fetch};
use crate::region::transfer::Outgoing;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Who gets a message without waiting still waits so long for its handles.
const GRACE: Duration = Duration::from_secs(1);

/// What came beside a message: nothing for most.
pub(super) type Fetched = Result<Vec<OwnedFd>, GetError>;

impl Core {
    /// Puts a message whose handles are in `outgoing`.
    #[cold]
    pub(super) fn put_with_handles(
        &self,
        message: &[u8],
        outgoing: Outgoing,
        deadline: Deadline,
    ) -> Result<(), PutError<()>> {
        let len = message.len() + Receipt::BYTES;
        let (mut slot, mut run) = if len > self.inline_bytes() {
            let (slot, run) = self.reserve_long(len, deadline)?;
            (slot, Some(run))
        } else {
            (self.reserve(deadline)?, None)
        };
        let (ring, is_anybody_there, at) = (self.ring().clone(), self.presence(), slot.at());
        let receipt = match deposit(outgoing, move || !ring.is_past(at) && is_anybody_there()) {
            Ok(receipt) => receipt.to_bytes(),
            Err(why) => {
                self.end_loan(slot, run, false);
                return Err(match why {
                    Error::Encode(why) => PutError::Encode((), why),
                    other => PutError::Os(other.into()),
                });
            }
        };
        let place = match &mut run {
            Some(run) => self.pages().bytes_mut(run),
            None => slot.message_mut(len),
        };
        place[..message.len()].copy_from_slice(message);
        place[message.len()..len].copy_from_slice(&receipt);
        match run {
            Some(run) => slot.attach(run),
            None => slot.set_len(len),
        }
        slot.set_trailer(Receipt::BYTES as u8);
        self.end_loan(slot, None, true);
        Ok(())
    }
}

/// Fetches the handles of a message that has this trailer, from its sender.
pub(super) fn fetched(trailer: &[u8], deadline: Deadline) -> Fetched {
    if trailer.is_empty() { Ok(Vec::new()) } else { fetch_for(trailer, deadline) }
}

#[cold]
fn fetch_for(trailer: &[u8], deadline: Deadline) -> Fetched {
    let receipt = trailer.try_into().map_err(|_| GetError::Corrupt)?;
    let mut naps = Naps::new();
    let (waits, deadline) = (deadline != Deadline::Now, deadline.at_least(GRACE));
    let fds = fetch(Receipt::from_bytes(receipt), || naps.next(deadline));
    fds.map_err(|why| match why {
        Error::Os(e) => GetError::Os(e),
        Error::Timeout if waits => GetError::Timeout,
        Error::Timeout => GetError::Empty,
        _ => GetError::HandleGone,
    })
}

/// Whether the message stays in the queue, because its handles are there but could not be had now.
pub(super) fn stays(handles: &Fetched) -> bool {
    matches!(handles, Err(GetError::Timeout | GetError::Empty | GetError::Os(_)))
}
