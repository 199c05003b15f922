//! A read-write lock in an object, without a value of its own: what containers stand behind.
//!
//! ```text
//! byte 0                        where the object says
//!      lock, drained, freed     records, one for each participant of the region
//! ```
//!
//! - D1. While a [`Reader`] lives, the record of its participant counts it; while a [`Writer`] lives,
//!   its participant and thread own the lock and no reader is inside. A forked child that inherited
//!   one of them does nothing by it any more.
//! - D2. No code of a user runs while a [`Reader`] lives, so that none comes in twice. A thread that
//!   comes in again as or after a writer is told.
//!
//! A stream of writers that leaves no gap would keep readers out for as long: writers go first. So a
//! reader that has waited for a millisecond gets in line with the writers, whose lock is fair, and
//! reads alone.
//!
//! A death among writers is told to the next one to come in, reader or writer, until a writer says
//! that what is behind the door is good.

use super::deadline::Deadline;
use super::error::LockError;
use super::hold::Hold;
use super::raw::LockFailure;
use super::raw::{Acquired, RawLock};
use super::records::Records;
use super::rw::{RawRwLock, Readers, RwWords};
use super::rw_guarded::Readmit;
use super::spin::Spin;
use crate::error::{Error, Result};
use crate::region::id::Liveness;
use crate::region::{Attached, Object, OwnerWords, Pinned, PinnedSlice};
use std::time::Duration;

/// A handle to the lock.
pub(crate) struct Door {
    /// The first of `words`.
    lock: Pinned<RawLock>,
    words: Pinned<RwWords>,
    records: PinnedSlice<Readers>,
    /// Of this handle's waits to read, and to write.
    spins: [Spin; 2],
}

impl Door {
    /// Bytes of the words at the start of the object.
    pub(crate) const WORDS_BYTES: u64 = size_of::<RwWords>() as u64;

    /// Bytes of the records in a region of so many participants.
    pub(crate) fn records_bytes(participants: u32) -> u64 {
        (Records::<Readers>::needed(participants) * size_of::<Readers>()) as u64
    }

    /// Where an object whose records start at `records_at` keeps participant ids.
    pub(crate) fn owner_words(records_at: u64, participants: u32) -> [OwnerWords; 2] {
        [RawLock::owner_words(0), Records::<Readers>::owner_words(records_at, participants)]
    }

    pub(crate) fn at(object: &Object, records_at: u64) -> Result<Door> {
        let count = Records::<Readers>::needed(object.participants());
        Ok(Door {
            lock: object.pin(0)?,
            words: object.pin(0)?,
            records: object.pin_slice(records_at, count)?,
            spins: [Spin::new(), Spin::new()],
        })
    }

    pub(crate) fn object(&self) -> &Object {
        self.lock.object()
    }

    /// Comes in to read, and says whether a writer has died.
    #[inline]
    pub(crate) fn read(&self, deadline: Deadline) -> Result<(Reading<'_>, bool)> {
        let who = self.object().attached()?;
        match self.raw().read(&who, &self.spins[0], Deadline::Now) {
            Ok(acquired) => Ok(self.beside(who, acquired)),
            Err(LockFailure::WouldBlock) if deadline != Deadline::Now => {
                self.read_contended(who, deadline)
            }
            Err(failure) => Err(LockError::<()>::from(failure).into()),
        }
    }

    #[cold]
    fn read_contended<'a>(
        &'a self,
        who: Attached<'a>,
        deadline: Deadline,
    ) -> Result<(Reading<'a>, bool)> {
        let soon = deadline.at_most(PATIENCE);
        match self.raw().read(&who, &self.spins[0], soon) {
            Ok(acquired) => Ok(self.beside(who, acquired)),
            Err(LockFailure::Timeout) if soon != deadline => {
                let (writer, died) = self.write(deadline)?;
                Ok((Reading::Alone(writer), died))
            }
            Err(failure) => Err(LockError::<()>::from(failure).into()),
        }
    }

    #[inline(always)]
    fn beside<'a>(&'a self, who: Attached<'a>, acquired: Acquired) -> (Reading<'a>, bool) {
        let reader = Reader { raw: self.raw(), who };
        (Reading::Beside(reader), acquired == Acquired::OwnerDied)
    }

    /// Comes in as the writer, and says whether one has died.
    #[inline]
    pub(crate) fn write(&self, deadline: Deadline) -> Result<(Writer<'_>, bool)> {
        let who = self.object().attached()?;
        let raw = self.raw();
        let wrap = |hold| Writer { hold, _readmit: Readmit(raw) };
        let acquired = Hold::acquire(&self.lock, deadline, wrap, |_| ());
        let (writer, died) = match acquired {
            Ok(writer) => (writer, false),
            Err(LockError::OwnerDied(died)) => (died.recover(), true),
            Err(other) => return Err(other.into()),
        };
        // On failure the writer is dropped, and lets readers in again.
        raw.drain(&who, &self.spins[1], deadline).map_err(LockError::<()>::from)?;
        Ok((writer, died))
    }

    #[inline(always)]
    fn raw(&self) -> RawRwLock<'_> {
        RawRwLock::new(&self.words, Records::new(&self.records))
    }
}

impl Clone for Door {
    fn clone(&self) -> Door {
        Door {
            lock: self.lock.clone(),
            words: self.words.clone(),
            records: self.records.clone(),
            spins: [Spin::new(), Spin::new()],
        }
    }
}

/// How long a reader lets writers pass.
const PATIENCE: Duration = Duration::from_millis(1);

/// Inside, to read.
#[allow(dead_code, reason = "held for their drops")]
pub(crate) enum Reading<'a> {
    /// Beside other readers.
    Beside(Reader<'a>),
    /// After a long wait.
    Alone(Writer<'a>),
}

/// Inside, to read; leaves on drop.
pub(crate) struct Reader<'a> {
    raw: RawRwLock<'a>,
    who: Attached<'a>,
}

impl Drop for Reader<'_> {
    #[inline]
    fn drop(&mut self) {
        // D1
        if self.who.is_still_me() {
            self.raw.leave(self.who.me());
        }
    }
}

/// Alone inside, to write; leaves on drop. A panic counts as the death of the writer.
pub(crate) struct Writer<'a> {
    hold: Hold<'a>,
    /// After `hold`, whose drop frees the lock.
    _readmit: Readmit<'a>,
}

impl Writer<'_> {
    /// Declares what is behind the door good, after a death.
    pub(crate) fn recover(&mut self) {
        self.hold.recover();
    }

    /// Fails in a forked child that inherited this (D1): to be asked after code of a user has run.
    pub(crate) fn still_ours(&self) -> Result<()> {
        if self.hold.is_ours() { Ok(()) } else { Err(Error::WrongProcess) }
    }
}
