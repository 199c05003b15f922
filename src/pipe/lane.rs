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
//!
//! The flags of the LAST record count the descriptors of the message, which lie in the socket when
//! the record is published (see [`crate::region::courier`]). A receiver whose descriptor is polled is
//! in one of two states outside of its calls: its descriptor is readable; or the bell is armed, and
//! the lane was empty after that. Each call that finds a message, or the end, leaves the first;
//! one that finds nothing leaves the second.

use super::error::{RecvError, SendError};
use crate::error::{Error, Result};
use crate::lock::deadline::Deadline;
use crate::lock::event::EventCount;
use crate::lock::many::{Bell, Memory};
use crate::lock::spin::Spin;
use crate::region::courier::{Courier, Mailbox};
use crate::region::id::ParticipantId;
use crate::region::watch::Watch;
use crate::region::{Flag, Object, OwnerWords, Pinned, children_reaped};
use crate::ring::end::End;
use crate::ring::mapped::Mapped;
use crate::ring::record::{Reader, Received, Reserved, Writer};
use crate::ring::{TryPopError, TryReserveError};
use std::cell::{Cell, OnceCell, Ref, RefCell};
use std::io;
use std::ops::Deref;
use std::os::fd::{BorrowedFd, OwnedFd};

const READABLE: u64 = 0;
const GONE: u64 = 8;
const WRITABLE: u64 = 128;
const INDICES: u64 = 256;
const WORDS: u64 = 512;
const WORD_BYTES: u64 = 8;

/// Flags of a record: its place in the message, what the message is, and how many descriptors it
/// has, if this is the last record of it.
const FIRST: u32 = 1;
const LAST: u32 = 2;
const FORM: u32 = 3 << 2;
const FDS_SHIFT: u32 = 8;

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
    pub(super) const FD: Form = Form(3 << 2);
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
    pub(super) fn outlet(
        self,
        object: &Object,
        courier: Courier,
        carrier: Option<ParticipantId>,
    ) -> Result<Outlet> {
        let end = self.end(object, carrier)?;
        let (readable, writable) = self.events(object)?;
        Ok(Outlet {
            lane: self,
            writer: Writer::new(end),
            courier,
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
        courier: Courier,
        carrier: Option<ParticipantId>,
        partial: Partial,
    ) -> Result<Inlet> {
        let end = self.end(object, carrier)?;
        let (readable, writable) = self.events(object)?;
        Ok(Inlet {
            lane: self,
            reader: Reader::new(end),
            courier,
            mailbox: RefCell::default(),
            watch: OnceCell::new(),
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
    courier: Courier,
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

    pub(super) fn courier(&self) -> &Courier {
        &self.courier
    }

    /// Sends a message; one that does not fit into the ring is streamed, unless `Deadline::Now`.
    pub(super) fn send(
        &self,
        message: &[u8],
        form: Form,
        deadline: Deadline,
    ) -> Result<(), SendError<()>> {
        self.send_with(message, form, &[], deadline)
    }

    /// Sends a message together with descriptors, at most `MAX_FDS`. On failure none has gone.
    pub(super) fn send_with(
        &self,
        message: &[u8],
        form: Form,
        fds: &[BorrowedFd<'_>],
        deadline: Deadline,
    ) -> Result<(), SendError<()>> {
        if message.len() <= self.max_record_bytes() {
            return self.send_fragment(message, FIRST | LAST | form.0, fds, deadline).map(drop);
        }
        if deadline == Deadline::Now {
            return Err(SendError::TooLarge(()));
        }
        let mut sent = self.send_fragment(message, FIRST | form.0, fds, deadline)?;
        while sent < message.len() {
            sent += self.send_fragment(&message[sent..], form.0, fds, deadline)?;
        }
        Ok(())
    }

    /// Sends as much of `rest` as there is room for, with LAST and `fds` if that is all, and says
    /// how much.
    #[inline]
    fn send_fragment(
        &self,
        rest: &[u8],
        flags: u32,
        fds: &[BorrowedFd<'_>],
        deadline: Deadline,
    ) -> Result<usize, SendError<()>> {
        let whole = flags & LAST != 0;
        let least = if whole { rest.len() } else { rest.len().min(LEAST_FRAGMENT_BYTES) };
        let mut record = if fds.is_empty() {
            self.reserve(least, rest.len(), deadline, |_| Some(Ok(())))?
        } else {
            self.reserve(least, rest.len(), deadline, |record| self.post(record, rest.len(), fds))?
        };
        let len = record.len().min(rest.len());
        record[..len].copy_from_slice(&rest[..len]);
        let last = LAST | (fds.len() as u32) << FDS_SHIFT;
        record.set_flags(if len == rest.len() { flags | last } else { flags });
        record.commit(len);
        self.notify();
        Ok(len)
    }

    /// Sends the descriptors of `record` ahead of it, if all that is left of the message, `len`
    /// bytes, fits there; `None` while the socket has no room. Room comes as it does in the ring:
    /// by messages that are received.
    #[cold]
    fn post(
        &self,
        record: &Reserved<'_, Mapped<u64>>,
        len: usize,
        fds: &[BorrowedFd<'_>],
    ) -> Option<Result<(), SendError<()>>> {
        if record.len() < len {
            return Some(Ok(()));
        }
        match self.courier.send(record.position(), fds) {
            Err(Error::WouldBlock) => None,
            Err(Error::Disconnected) => Some(Err(SendError::Disconnected(()))),
            Err(Error::WrongProcess) => Some(Err(SendError::WrongProcess(()))),
            Err(Error::Os(e)) => Some(Err(SendError::Os(e))),
            Err(other) => Some(Err(SendError::Os(other.into()))),
            Ok(()) => Some(Ok(())),
        }
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
        let mut record = self.reserve(len_bytes, len_bytes, deadline, |_| Some(Ok(())))?;
        record.set_flags(FIRST | LAST | Form::BYTES.0);
        Ok(Loan { record, outlet: self })
    }

    /// Waits for room of `least` to `most` bytes, and until `admit` has no objection to it.
    #[inline]
    fn reserve(
        &self,
        least: usize,
        most: usize,
        deadline: Deadline,
        admit: impl Fn(&Reserved<'_, Mapped<u64>>) -> Option<Result<(), SendError<()>>>,
    ) -> Result<Reserved<'_, Mapped<u64>>, SendError<()>> {
        if self.receiver_is_gone() {
            return Err(SendError::Disconnected(()));
        }
        let attempt = || match self.writer.reserve_up_to(least, most) {
            Ok(record) => admit(&record).map(|admitted| admitted.map(|()| record)),
            Err(TryReserveError::Full) => None,
            Err(other) => Some(Err(self.explain(other))),
        };
        let check = || {
            let gone = self.writer.end().probe_peer();
            gone.then_some(Err(SendError::Disconnected(())))
        };
        match self.writable.wait_until(&self.spin, deadline, attempt, check) {
            Some(outcome) => outcome,
            None if deadline == Deadline::Now => Err(SendError::Full(())),
            None => Err(SendError::Timeout(())),
        }
    }

    #[cold]
    fn explain(&self, why: TryReserveError) -> SendError<()> {
        match why {
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
        }
    }

    /// Wakes the receiver, if it waits.
    #[inline]
    fn notify(&self) {
        self.readable.notify_all_and(|| self.courier.ring());
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
        self.notify();
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
    outlet: &'a Outlet,
}

impl Loan<'_> {
    /// Sends the message. Never blocks.
    pub fn commit(self) {
        let len = self.record.len();
        self.commit_some(len);
    }

    /// Sends the first `len` bytes, at most all.
    #[doc(hidden)]
    pub fn commit_some(self, len: usize) {
        self.record.commit(len);
        self.outlet.notify();
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
    /// The position of the last fragment.
    pub(super) position: u64,
}

impl Partial {
    fn is_whole(&self) -> bool {
        self.flags & LAST != 0
    }

    fn add(&mut self, fragment: &[u8], flags: u32, position: u64) -> Result<(), RecvError> {
        if flags & FIRST != 0 {
            self.bytes.clear();
        } else if self.flags & FIRST == 0 {
            return Ok(()); // the rest of a message whose start nobody has
        }
        let room = self.bytes.try_reserve(fragment.len());
        room.map_err(|_| RecvError::Os(io::ErrorKind::OutOfMemory.into()))?;
        self.bytes.extend_from_slice(fragment);
        self.flags = flags | FIRST;
        self.position = position;
        Ok(())
    }
}

/// The receiving end of a lane.
pub(super) struct Inlet {
    lane: Lane,
    reader: Reader<Mapped<u64>>,
    courier: Courier,
    mailbox: RefCell<Mailbox>,
    /// There once somebody has asked for a descriptor to poll.
    watch: OnceCell<Watch>,
    readable: Pinned<EventCount>,
    gone: Pinned<Flag>,
    writable: Pinned<EventCount>,
    spin: Spin,
    partial: RefCell<Partial>,
}

/// A message where it is: in the ring, or assembled from fragments.
pub(super) enum Message<'a> {
    InRing(InRing<'a>),
    Assembled(Partial),
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
    fn flags(&self) -> u32 {
        match self {
            Message::InRing(in_ring) => in_ring.record.as_ref().map_or(0, Received::flags),
            Message::Assembled(whole) => whole.flags,
        }
    }

    pub(super) fn form(&self) -> Form {
        Form(self.flags() & FORM)
    }

    /// How many descriptors came with it.
    pub(super) fn fd_count(&self) -> usize {
        (self.flags() >> FDS_SHIFT) as usize
    }

    /// The position of its last record.
    fn position(&self) -> u64 {
        match self {
            Message::InRing(in_ring) => in_ring.record.as_ref().map_or(0, Received::position),
            Message::Assembled(whole) => whole.position,
        }
    }
}

impl Deref for Message<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Message::InRing(in_ring) => in_ring.record.as_deref().unwrap_or(&[]),
            Message::Assembled(whole) => &whole.bytes,
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
        let found = match self.readable.wait_until(&self.spin, deadline, attempt, check) {
            Some(found) => found,
            None if deadline == Deadline::Now => Err(RecvError::Empty),
            None => Err(RecvError::Timeout),
        };
        let is_over = matches!(found, Err(RecvError::Disconnected));
        if is_over || self.watch.get().is_some() { self.settle(found) } else { found }
    }

    /// What an end of a wait means for the socket and those who poll.
    #[cold]
    fn settle<'a>(
        &'a self,
        found: Result<Message<'a>, RecvError>,
    ) -> Result<Message<'a>, RecvError> {
        if let Err(RecvError::Disconnected) = found {
            self.mailbox.borrow_mut().discard(&self.courier);
        }
        let Some(watch) = self.watch.get() else { return found };
        match found {
            Err(why @ (RecvError::Empty | RecvError::Timeout)) => {
                watch.lower();
                self.arm();
                let Some(late) = self.step() else { return Err(why) };
                watch.raise();
                late
            }
            Err(why @ (RecvError::WrongProcess | RecvError::Busy)) => Err(why),
            found => {
                watch.raise(); // there may be more
                found
            }
        }
    }

    /// Takes earlier rings away and asks for the next one; whether the socket is silent now.
    fn arm(&self) -> bool {
        let silent = self.mailbox.borrow_mut().hush(&self.courier);
        self.readable.arm();
        silent
    }

    /// A descriptor that is readable when there is something to receive.
    pub(super) fn poll_fd(&self) -> Result<BorrowedFd<'_>> {
        let watch = match self.watch.get() {
            Some(watch) => watch,
            None => {
                let watch = Watch::new(self.courier.fd())?;
                self.watch.get_or_init(|| watch)
            }
        };
        Ok(watch.fd())
    }

    /// Whether a call that receives would not block.
    pub(super) fn has_something(&self) -> bool {
        let Some(found) = self.step() else { return false };
        if let Ok(message) = self.settle(found) {
            self.put_back(message);
        }
        true
    }

    /// A descriptor that `poll` always finds readable, and `epoll` refuses.
    pub(super) fn always_readable(&self) -> BorrowedFd<'_> {
        self.object().mapping().fd()
    }

    pub(super) fn courier(&self) -> &Courier {
        &self.courier
    }

    /// The descriptors that came with `message`, which is at hand: at most once.
    #[cold]
    pub(super) fn take_fds(&self, message: &Message<'_>) -> Result<Vec<OwnedFd>, RecvError> {
        let (position, count) = (message.position(), message.fd_count());
        let (taken, rung) = self.mailbox.borrow_mut().take(&self.courier, position, count);
        if let (true, Some(watch)) = (rung, self.watch.get()) {
            watch.raise();
        }
        taken.map_err(|why| match why {
            Error::Os(e) => RecvError::Os(e),
            _ => RecvError::HandleGone,
        })
    }

    /// The next message for somebody who has no use for descriptors: those that come are closed.
    pub(super) fn receive_bytes(&self, deadline: Deadline) -> Result<Message<'_>, RecvError> {
        let message = self.receive(deadline)?;
        self.drop_fds(&message);
        Ok(message)
    }

    pub(super) fn drop_fds(&self, message: &Message<'_>) {
        if message.fd_count() != 0 {
            drop(self.take_fds(message));
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
            return Some(Ok(Message::Assembled(std::mem::take(&mut *partial))));
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
            if let Err(why) = partial.add(&record, flags, record.position()) {
                return Some(Err(why));
            }
            drop(record);
            self.writable.notify_all();
            if partial.is_whole() {
                return Some(Ok(Message::Assembled(std::mem::take(&mut *partial))));
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
            Message::Assembled(whole) => {
                self.partial.replace(whole);
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

    /// Whether this handle has closed its end.
    pub(super) fn is_closed(&self) -> bool {
        self.reader.end().is_closed()
    }

    /// Whether the owner of the sending end was found dead.
    pub(super) fn peer_has_died(&self) -> bool {
        self.reader.end().peer_has_died()
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

/// Ready is what has a message, the end of the stream, or an error to tell.
impl Memory for Inlet {
    fn is_ready(&self) -> bool {
        self.has_something()
    }

    fn ask(&self) -> bool {
        self.reader.end().probe_peer();
        self.has_something()
    }

    fn bell(&self) -> Bell<'_> {
        Bell::Fd(self.courier.fd())
    }

    fn arm(&self) -> bool {
        Inlet::arm(self)
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.close();
    }
}
