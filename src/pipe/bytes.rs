//! A pipe of bytes, for other languages: every call takes its deadline.
//!
//! A Rust program meets it as a `Connection<T>`: `send_bytes` and `recv_bytes` are the same messages,
//! `send` and `recv` carry values in the encoding of messages, which come here as their bytes.

use super::connection::Connection;
use super::error::{RecvError, SendError};
use super::lane::{Form, Loan, Message};
use super::{Lane, PipeOptions};
use crate::error::Result;
use crate::lock::deadline::Deadline;
use crate::region::courier::Courier;
use crate::region::{Address, Bytes, Element, Kind, Object, Place};
use std::ops::Deref;
use std::os::fd::{BorrowedFd, OwnedFd};

/// One end of a duplex pipe of bytes.
pub struct BytePipe {
    pub(super) end: Connection<Bytes>,
    /// Found by name: its sockets lead nowhere.
    pub(super) deaf: bool,
}

impl BytePipe {
    /// Makes a pipe and its two ends.
    pub fn create(
        place: Place<'_>,
        capacity_bytes: u64,
        element: Element,
    ) -> Result<(BytePipe, BytePipe)> {
        let options = PipeOptions::new().capacity_bytes(capacity_bytes);
        let (a, b) = options.duplex_of(place, element)?;
        Ok((BytePipe { end: a, deaf: false }, BytePipe { end: b, deaf: false }))
    }

    /// Makes a pipe and its first end; the second is for who finds it by name.
    pub fn create_half(
        place: Place<'_>,
        capacity_bytes: u64,
        element: Element,
    ) -> Result<BytePipe> {
        let options = PipeOptions::new().capacity_bytes(capacity_bytes);
        let object = options.create(place, &options.lanes(), element)?;
        BytePipe::take(&object, 0)
    }

    /// Takes an end of the pipe at this address that nobody has, or whose owner is dead: the second
    /// if both are to be had.
    pub fn find(at: Address<'_>) -> Result<BytePipe> {
        let object = Object::open(at, Kind::Pipe, Element::ANY)?;
        BytePipe::take(&object, 1).or_else(|_| BytePipe::take(&object, 0))
    }

    /// The first end sends through lane 0 and receives from lane 1, the second the other way round.
    fn take(object: &Object, nth: u32) -> Result<BytePipe> {
        let (out, back) = (Lane::of(object, nth)?, Lane::of(object, 1 - nth)?);
        let end = Connection::taken(object, out, back, Courier::pair()?)?;
        Ok(BytePipe { end, deaf: true })
    }

    /// The end that a listener or `connect` has given.
    pub fn of(end: Connection<Bytes>) -> BytePipe {
        BytePipe { end, deaf: false }
    }

    /// Sends a message.
    #[inline]
    pub fn send(&self, message: &[u8], deadline: Deadline) -> Result<(), SendError<()>> {
        self.end.sender.outlet.send(message, Form::BYTES, deadline)
    }

    /// Sends a descriptor.
    pub fn send_fd(&self, fd: BorrowedFd<'_>, deadline: Deadline) -> Result<(), SendError<()>> {
        self.end.sender.outlet.send_with(&[], Form::FD, &[fd], deadline)
    }

    /// Room for a message, to be filled in place.
    pub fn loan(&self, len_bytes: usize, deadline: Deadline) -> Result<Loan<'_>, SendError<()>> {
        self.end.sender.outlet.loan(len_bytes, deadline)
    }

    /// The longest message that can be a loan.
    pub fn max_loan_bytes(&self) -> usize {
        self.end.max_loan_bytes()
    }

    /// The next message, in place.
    #[inline]
    pub fn borrow(&self, deadline: Deadline) -> Result<Borrowed<'_>, RecvError> {
        Ok(Borrowed { pipe: self, message: self.end.receiver.inlet.receive_bytes(deadline)? })
    }

    /// The next message, which was sent as a descriptor.
    pub fn recv_fd(&self, deadline: Deadline) -> Result<OwnedFd, RecvError> {
        self.end.receiver.recv_fd_by(deadline)
    }

    /// Whether the owner of the other end was found dead.
    pub fn peer_has_died(&self) -> bool {
        self.end.receiver.inlet.peer_has_died()
    }

    /// Closes both directions.
    pub fn close(&self) {
        self.end.close();
    }

    /// A descriptor that is readable when there is something to receive, unless the end was found by
    /// name.
    pub fn poll_fd(&self) -> Result<BorrowedFd<'_>> {
        self.end.poll_fd()
    }

    /// Whether this end has a socket that leads to the other end.
    pub fn carries_fds(&self) -> bool {
        !self.deaf
    }

    /// Whether there is something to receive, or the end of the stream.
    pub fn has_something(&self) -> bool {
        self.end.receiver.inlet.has_something()
    }

    /// Whether this handle has closed its end.
    pub fn is_closed(&self) -> bool {
        self.end.receiver.inlet.is_closed()
    }
}

/// A message in place; got for good when this is dropped.
pub struct Borrowed<'a> {
    pipe: &'a BytePipe,
    message: Message<'a>,
}

impl Borrowed<'_> {
    /// Lets the message be the next one again.
    pub fn put_back(self) {
        self.pipe.end.receiver.inlet.put_back(self.message);
    }
}

impl Deref for Borrowed<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.message
    }
}
