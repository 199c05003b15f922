//! One direction of a pipe: records in a ring, and the two places where its ends wait.
//!
//! ```text
//! byte 0         8     128       256      512
//!      readable  gone  writable  indices  words of the record ring
//! ```
//!
//! `gone` says that the receiver has closed its end. The sender reads that line at each message
//! anyway; the line of the receiver's position would cost it a cache miss.
//!
//! A message of up to the longest record is one record, with FIRST and LAST set. A longer one is a
//! run of records from FIRST to LAST. A sender that gives up half way (timeout, death of its
//! process) leaves a run without LAST, which the receiver drops when the next FIRST comes.

use super::error::{RecvError, SendError};
use crate::error::{Error, Result};
use crate::lock::deadline::Deadline;
use crate::lock::event::EventCount;
use crate::lock::spin::Spin;
use crate::region::id::ParticipantId;
use crate::region::{Flag, Object, OwnerWords, Pinned, children_reaped};
use crate::ring::end::End;
use crate::ring::mapped::Mapped;
use crate::ring::record::{Reader, Received, Reserved, Writer};
use crate::ring::{TryPopError, TryReserveError};
use std::cell::{Cell, Ref, RefCell};
use std::io;
use std::ops::Deref;

const READABLE: u64 = 0;
const GONE: u64 = 8;
const WRITABLE: u64 = 128;
const INDICES: u64 = 256;
const WORDS: u64 = 512;
const WORD_BYTES: u64 = 8;

/// Flags of a record: its place in the message, and what the message is.
const FIRST: u32 = 1;
const LAST: u32 = 2;
const FORM: u32 = !(FIRST | LAST);

/// Messages that may be sent before the kernel is asked whether the receiver lives.
const SENDS_PER_PROBE: u32 = 256;

/// A fragment is not cut shorter than this while the rest of the message is longer.
const LEAST_FRAGMENT_BYTES: usize = 4096;

/// What a message is, so that bytes are not decoded as a value by mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form(u32);

impl Form {
    pub(super) const BYTES: Form = Form(0 << 2);
    pub(super) const TYPED: Form = Form(1 << 2);
    pub(super) const POD: Form = Form(2 << 2);
}

/// Where a lane lies in its object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lane {
    pub(super) index: u32,
    pub(super) words: u64,
}

impl Lane {
    /// The lane of this number in `object`.
    pub(super) fn of(object: &Object, index: u32) -> Result<Lane> {
        let lane = Lane { index, words: object.len() };
        lane.ring(object).map(|_| lane)
    }

    /// Bytes of one lane of `words` words.
    pub(super) fn bytes(words: u64) -> Result<u64> {
        let bytes = words.checked_mul(WORD_BYTES).and_then(|bytes| bytes.checked_add(WORDS));
        bytes
            .and_then(|bytes| bytes.checked_next_multiple_of(WORDS))
            .ok_or(Error::InvalidArgument("capacity of a pipe"))
    }

    fn offset(self) -> Result<u64> {
        let offset = Lane::bytes(self.words)?.checked_mul(u64::from(self.index));
        offset.ok_or(Error::InvalidArgument("capacity of a pipe"))
    }

    pub(super) fn owner_words(self) -> Result<OwnerWords> {
        Ok(Mapped::<u64>::owner_words(self.offset()? + INDICES))
    }

    fn ring(self, object: &Object) -> Result<Mapped<u64>> {
        let at = self.offset()?;
        let words =
            usize::try_from(self.words).map_err(|_| Error::Corrupt("capacity of a pipe"))?;
        Mapped::new(object, at + INDICES, at + WORDS, words)
    }

    fn events(self, object: &Object) -> Result<(Pinned<EventCount>, Pinned<EventCount>)> {
        let at = self.offset()?;
        Ok((object.pin(at + READABLE)?, object.pin(at + WRITABLE)?))
    }

    /// Prepares the lane in a new object.
    pub(super) fn vacate(self, object: &Object) -> Result<()> {
        self.ring(object)?.vacate();
        Ok(())
    }

    /// Takes an end: a vacant one, or the one that was given to `carrier` on its way here.
    fn end<const ROLE: bool>(
        self,
        object: &Object,
        carrier: Option<ParticipantId>,
    ) -> Result<End<Mapped<u64>, ROLE>> {
        let (site, words) = (self.ring(object)?, self.words as usize);
        Ok(match carrier {
            Some(carrier) => End::resume(site, words, carrier)?,
            None => End::claim(site, words)?,
        })
    }

    /// Takes the sending end, see [`Lane::end`].
    pub(super) fn outlet(self, object: &Object, carrier: Option<ParticipantId>) -> Result<Outlet> {
        let end = self.end(object, carrier)?;
        let (readable, writable) = self.events(object)?;
        Ok(Outlet {
            lane: self,
            writer: Writer::new(end),
            readable,
            gone: object.pin(self.offset()? + GONE)?,
            writable,
            spin: Spin::new(),
            // Where the pipe is made both ends are ours; an end that travelled may come too late.
            unprobed: Cell::new(if carrier.is_some() { 0 } else { SENDS_PER_PROBE }),
            reaped: Cell::new(children_reaped()),
            scratch: Cell::default(),
        })
    }

    /// Takes the receiving end, see [`Lane::end`]; `partial` came with it.
    pub(super) fn inlet(
        self,
        object: &Object,
        carrier: Option<ParticipantId>,
        partial: Partial,
    ) -> Result<Inlet> {
        let end = self.end(object, carrier)?;
        let (readable, writable) = self.events(object)?;
        Ok(Inlet {
            lane: self,
            reader: Reader::new(end),
            readable,
            gone: object.pin(self.offset()? + GONE)?,
            writable,
            spin: Spin::new(),
            partial: RefCell::new(partial),
        })
    }
}

/// The sending end of a lane.
pub(super) struct Outlet {
    lane: Lane,
    writer: Writer<Mapped<u64>>,
    readable: Pinned<EventCount>,
    gone: Pinned<Flag>,
    writable: Pinned<EventCount>,
    spin: Spin,
    /// Messages that may still be sent before the next probe.
    unprobed: Cell<u32>,
    /// [`children_reaped`] at the last probe.
    reaped: Cell<u32>,
    /// Where values are encoded; kept for the next.
    pub(super) scratch: Cell<Vec<u8>>,
}

impl Outlet {
    pub(super) fn lane(&self) -> Lane {
        self.lane
    }

    pub(super) fn object(&self) -> &Object {
        self.readable.object()
    }

    /// The longest message that goes without fragments.
    pub(super) fn max_record_bytes(&self) -> usize {
        self.writer.max_record_bytes()
    }

    /// Sends a message; one that does not fit into the ring is streamed, unless `Deadline::Now`.
    pub(super) fn send(
        &self,
        message: &[u8],
        form: Form,
        deadline: Deadline,
    ) -> Result<(), SendError<()>> {
        if message.len() <= self.max_record_bytes() {
            return self.send_fragment(message, FIRST | LAST | form.0, deadline).map(drop);
        }
        if deadline == Deadline::Now {
            return Err(SendError::TooLarge(()));
        }
        let mut sent = self.send_fragment(message, FIRST | form.0, deadline)?;
        while sent < message.len() {
            sent += self.send_fragment(&message[sent..], form.0, deadline)?;
        }
        Ok(())
    }

    /// Sends as much of `rest` as there is room for, with LAST if that is all, and says how much.
    fn send_fragment(
        &self,
        rest: &[u8],
        flags: u32,
        deadline: Deadline,
    ) -> Result<usize, SendError<()>> {
        let whole = flags & LAST != 0;
        let least = if whole { rest.len() } else { rest.len().min(LEAST_FRAGMENT_BYTES) };
        let mut record = self.reserve(least, rest.len(), deadline)?;
        let len = record.len().min(rest.len());
        record[..len].copy_from_slice(&rest[..len]);
        record.set_flags(if len == rest.len() { flags | LAST } else { flags });
        record.commit(len);
        self.readable.notify_all();
        Ok(len)
    }

    /// Room for a message of `len_bytes`, written in place.
    pub(super) fn loan(
        &self,
        len_bytes: usize,
        deadline: Deadline,
    ) -> Result<Loan<'_>, SendError<()>> {
        if len_bytes > self.max_record_bytes() {
            return Err(SendError::TooLarge(()));
        }
        let mut record = self.reserve(len_bytes, len_bytes, deadline)?;
        record.set_flags(FIRST | LAST | Form::BYTES.0);
        Ok(Loan { record, readable: &self.readable })
    }

    fn reserve(
        &self,
        least: usize,
        most: usize,
        deadline: Deadline,
    ) -> Result<Reserved<'_, Mapped<u64>>, SendError<()>> {
        if self.receiver_is_gone() {
            return Err(SendError::Disconnected(()));
        }
        let attempt = || match self.writer.reserve_up_to(least, most) {
            Err(TryReserveError::Full) => None,
            other => Some(other),
        };
        let check = || {
            let gone = self.writer.end().probe_peer();
            gone.then_some(Err(TryReserveError::Disconnected))
        };
        match self.writable.wait_until(&self.spin, deadline, attempt, check) {
            Some(Ok(record)) => Ok(record),
            Some(Err(why)) => Err(match why {
                TryReserveError::Disconnected => SendError::Disconnected(()),
                TryReserveError::TooLarge { .. } => SendError::TooLarge(()),
                TryReserveError::NotOwner if self.writer.end().is_closed() => {
                    SendError::Disconnected(())
                }
                TryReserveError::NotOwner => SendError::WrongProcess(()),
                TryReserveError::Lent => SendError::Busy(()),
                TryReserveError::Full => SendError::Full(()),
                TryReserveError::Corrupt => {
                    SendError::Os(io::Error::other(Error::Corrupt("records of a pipe")))
                }
            }),
            None if deadline == Deadline::Now => Err(SendError::Full(())),
            None => Err(SendError::Timeout(())),
        }
    }

    /// Whether the receiver has closed its end, or was found dead: the kernel is asked now and then,
    /// and after a child of this process has ended, which may have been the receiver.
    fn receiver_is_gone(&self) -> bool {
        let (left, reaped) = (self.unprobed.get(), children_reaped());
        if left == 0 || reaped != self.reaped.get() {
            let gone = self.writer.end().probe_peer();
            self.unprobed.set(if gone { 0 } else { SENDS_PER_PROBE });
            self.reaped.set(reaped);
            return gone;
        }
        self.unprobed.set(left - 1);
        self.gone.is_raised()
    }

    /// Gives this end to another process.
    pub(super) fn give_away(&self, to: ParticipantId) -> Result<Box<dyn FnOnce() + Send>> {
        if self.writer.is_lent() {
            return Err(Error::Lent);
        }
        self.writer.end().give_away(to)
    }

    /// Closes this end: the receiver gets what was sent, and then the end of the stream.
    pub(super) fn close(&self) {
        self.writer.end().close();
        self.readable.notify_all();
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.close();
    }
}

/// Room in a pipe, to be filled in place; sent by [`Loan::commit`], given back by its drop.
///
/// Its content is arbitrary until it is written.
pub struct Loan<'a> {
    record: Reserved<'a, Mapped<u64>>,
    readable: &'a EventCount,
}

impl Loan<'_> {
    /// Sends the message. Never blocks.
    pub fn commit(self) {
        let len = self.record.len();
        self.record.commit(len);
        self.readable.notify_all();
    }
}

impl Deref for Loan<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.record
    }
}

impl std::ops::DerefMut for Loan<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.record
    }
}

/// A message of which fragments have come.
#[derive(Default)]
pub(super) struct Partial {
    pub(super) bytes: Vec<u8>,
    /// The flags of the last fragment; 0 before the first.
    pub(super) flags: u32,
}

impl Partial {
    fn is_whole(&self) -> bool {
        self.flags & LAST != 0
    }

    fn add(&mut self, fragment: &[u8], flags: u32) -> Result<(), RecvError> {
        if flags & FIRST != 0 {
            self.bytes.clear();
        } else if self.flags & FIRST == 0 {
            return Ok(()); // the rest of a message whose start nobody has
        }
        let room = self.bytes.try_reserve(fragment.len());
        room.map_err(|_| RecvError::Os(io::ErrorKind::OutOfMemory.into()))?;
        self.bytes.extend_from_slice(fragment);
        self.flags = flags | FIRST;
        Ok(())
    }
}

/// The receiving end of a lane.
pub(super) struct Inlet {
    lane: Lane,
    reader: Reader<Mapped<u64>>,
    readable: Pinned<EventCount>,
    gone: Pinned<Flag>,
    writable: Pinned<EventCount>,
    spin: Spin,
    partial: RefCell<Partial>,
}

/// A message where it is: in the ring, or assembled from fragments.
pub(super) enum Message<'a> {
    InRing(InRing<'a>),
    Assembled { bytes: Vec<u8>, flags: u32 },
}

/// A record, borrowed in place; its drop makes room for the sender.
pub(super) struct InRing<'a> {
    record: Option<Received<'a, Mapped<u64>>>,
    writable: &'a EventCount,
}

impl Drop for InRing<'_> {
    fn drop(&mut self) {
        if self.record.take().is_some() {
            self.writable.notify_all();
        }
    }
}

impl Message<'_> {
    pub(super) fn form(&self) -> Form {
        Form(
            FORM & match self {
                Message::InRing(in_ring) => in_ring.record.as_ref().map_or(0, Received::flags),
                Message::Assembled { flags, .. } => *flags,
            },
        )
    }
}

impl Deref for Message<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Message::InRing(in_ring) => in_ring.record.as_deref().unwrap_or(&[]),
            Message::Assembled { bytes, .. } => bytes,
        }
    }
}

impl Inlet {
    pub(super) fn lane(&self) -> Lane {
        self.lane
    }

    pub(super) fn object(&self) -> &Object {
        self.readable.object()
    }

    /// The next message, waiting for it until `deadline`.
    pub(super) fn receive(&self, deadline: Deadline) -> Result<Message<'_>, RecvError> {
        let attempt = || self.step();
        let check = || {
            // What was sent before the death counts: the look comes after the verdict.
            self.reader.end().probe_peer().then(|| self.step()).flatten()
        };
        match self.readable.wait_until(&self.spin, deadline, attempt, check) {
            Some(found) => found,
            None if deadline == Deadline::Now => Err(RecvError::Empty),
            None => Err(RecvError::Timeout),
        }
    }

    /// The next message if it is there, having taken in what fragments there are.
    fn step(&self) -> Option<Result<Message<'_>, RecvError>> {
        let Ok(mut partial) = self.partial.try_borrow_mut() else {
            return Some(Err(RecvError::Busy));
        };
        let end = self.reader.end();
        if partial.flags != 0 && end.is_stale() {
            // Closed, or the parent's, which goes on with it or has died with it.
            *partial = Partial::default();
        }
        if partial.is_whole() && end.is_mine() {
            let Partial { bytes, flags } = std::mem::take(&mut *partial);
            return Some(Ok(Message::Assembled { bytes, flags }));
        }
        loop {
            let record = match self.reader.receive() {
                Ok(record) => record,
                Err(TryPopError::Empty | TryPopError::Busy) => return None,
                Err(TryPopError::Disconnected) => return Some(Err(RecvError::Disconnected)),
                Err(TryPopError::NotOwner) if self.reader.end().is_closed() => {
                    return Some(Err(RecvError::Disconnected));
                }
                Err(TryPopError::NotOwner | TryPopError::Detached) => {
                    return Some(Err(RecvError::WrongProcess));
                }
                Err(TryPopError::Lent) => return Some(Err(RecvError::Busy)),
                Err(TryPopError::Corrupt) => return Some(Err(RecvError::Corrupt)),
            };
            let flags = record.flags();
            if flags & FIRST != 0 && flags & LAST != 0 {
                *partial = Partial::default(); // the sender gave an earlier message up
                let in_ring = InRing { record: Some(record), writable: &self.writable };
                return Some(Ok(Message::InRing(in_ring)));
            }
            if let Err(why) = partial.add(&record, flags) {
                return Some(Err(why));
            }
            drop(record);
            self.writable.notify_all();
            if partial.is_whole() {
                let Partial { bytes, flags } = std::mem::take(&mut *partial);
                return Some(Ok(Message::Assembled { bytes, flags }));
            }
        }
    }

    /// Puts a message back to the front, so that the next call gets it again.
    pub(super) fn put_back(&self, message: Message<'_>) {
        match message {
            Message::InRing(mut in_ring) => {
                if let Some(record) = in_ring.record.take() {
                    record.keep();
                }
            }
            Message::Assembled { bytes, flags } => {
                self.partial.replace(Partial { bytes, flags });
            }
        }
    }

    /// Gives this end to another process. What it has taken out of the ring must go along.
    pub(super) fn give_away(&self, to: ParticipantId) -> Result<Box<dyn FnOnce() + Send>> {
        if self.reader.is_lent() {
            return Err(Error::Lent);
        }
        self.reader.end().give_away(to)
    }

    /// The fragments taken out of the ring so far.
    pub(super) fn partial(&self) -> Ref<'_, Partial> {
        self.partial.borrow()
    }

    /// Closes this end: the sender is told when it sends.
    pub(super) fn close(&self) {
        if self.reader.end().close() {
            self.gone.raise();
        }
        self.writable.notify_all();
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.close();
    }
}
