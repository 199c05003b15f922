//! Both halves of a pipe in one: a duplex connection.

use super::error::{RecvError, SendError};
use super::lane::{Lane, Loan, Partial};
use super::receiver::{Received, Receiver};
use super::sender::Sender;
use crate::error::Error;
use crate::lock::many::Memory;
#[cfg(feature = "serde")]
use crate::message::Message;
use crate::region::Object;
use crate::region::courier::Courier;
use bytemuck::Pod;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// One end of a duplex pipe: sends to the other end, and receives what that sends.
///
/// Belongs to one process and one thread at a time (`Send`, not `Sync`), and can be passed to
/// another process as an argument. The two directions are independent; an end never receives what
/// it has sent itself. Dropping it closes both directions.
///
/// Methods do exactly what those of [`Sender`] and [`Receiver`] do; [`Connection::split`] gives
/// them out one by one, for two threads or two processes.
///
/// ```
/// use shmkit::Pipe;
///
/// let (a, b) = Pipe::<String>::new()?;
/// a.send("hello".into())?;
/// b.send("hi".into())?;
/// assert_eq!((a.recv()?, b.recv()?), ("hi".into(), "hello".into()));
/// # Ok::<(), shmkit::Error>(())
/// ```
/// ```
/// fn may_move_to_another_thread<T: Send>() {}
/// may_move_to_another_thread::<shmkit::Connection<u32>>();
/// ```
/// ```compile_fail,E0277
/// fn may_be_used_by_two_threads<T: Sync>() {}
/// may_be_used_by_two_threads::<shmkit::Connection<u32>>();
/// ```
pub struct Connection<T> {
    pub(super) receiver: Receiver<T>,
    pub(super) sender: Sender<T>,
}

#[cfg(feature = "serde")]
impl<T: Message> Connection<T> {
    /// Sends a value, waiting for room as long as it takes.
    ///
    /// # Errors
    ///
    /// See [`Sender::send`].
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.sender.send(value)
    }

    /// Sends a value if there is room for it now. Never blocks.
    ///
    /// # Errors
    ///
    /// See [`Sender::try_send`].
    pub fn try_send(&self, value: T) -> Result<(), SendError<T>> {
        self.sender.try_send(value)
    }

    /// Sends a value, waiting for room at most `timeout`.
    ///
    /// # Errors
    ///
    /// See [`Sender::send_timeout`].
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendError<T>> {
        self.sender.send_timeout(value, timeout)
    }

    /// Receives the next value, waiting for it as long as it takes.
    ///
    /// # Errors
    ///
    /// See [`Receiver::recv`].
    pub fn recv(&self) -> Result<T, RecvError> {
        self.receiver.recv()
    }

    /// Receives the next value if it is there. Never blocks.
    ///
    /// # Errors
    ///
    /// See [`Receiver::try_recv`].
    pub fn try_recv(&self) -> Result<T, RecvError> {
        self.receiver.try_recv()
    }

    /// Receives the next value, waiting for it at most `timeout`.
    ///
    /// # Errors
    ///
    /// See [`Receiver::recv_timeout`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvError> {
        self.receiver.recv_timeout(timeout)
    }

    /// The values as they come, until the stream ends.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        self.receiver.iter()
    }
}

impl<T> Connection<T> {
    pub(super) fn of(receiver: Receiver<T>, sender: Sender<T>) -> Connection<T> {
        Connection { receiver, sender }
    }

    /// Takes the ends of two lanes that nobody alive has, with a socket of their own.
    pub(super) fn taken(
        object: &Object,
        out: Lane,
        back: Lane,
        (near, far): (Courier, Courier),
    ) -> Result<Connection<T>, Error> {
        let sender = Sender::of(out.outlet(object, near, None)?);
        let receiver = Receiver::of(back.inlet(object, far, None, Partial::default())?);
        Ok(Connection { receiver, sender })
    }

    /// The two halves, for two threads or two processes.
    pub fn split(self) -> (Receiver<T>, Sender<T>) {
        (self.receiver, self.sender)
    }

    /// Sends bytes as one message, waiting for room as long as it takes.
    ///
    /// # Errors
    ///
    /// See [`Sender::send_bytes`].
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), SendError<()>> {
        self.sender.send_bytes(bytes)
    }

    /// Sends bytes as one message if there is room now. Never blocks.
    ///
    /// # Errors
    ///
    /// See [`Sender::try_send_bytes`].
    pub fn try_send_bytes(&self, bytes: &[u8]) -> Result<(), SendError<()>> {
        self.sender.try_send_bytes(bytes)
    }

    /// Sends bytes as one message, waiting for room at most `timeout`.
    ///
    /// # Errors
    ///
    /// See [`Sender::send_bytes_timeout`].
    pub fn send_bytes_timeout(&self, bytes: &[u8], timeout: Duration) -> Result<(), SendError<()>> {
        self.sender.send_bytes_timeout(bytes, timeout)
    }

    /// Sends a plain value as its bytes, waiting for room as long as it takes.
    ///
    /// # Errors
    ///
    /// See [`Sender::send_pod`].
    pub fn send_pod<P: Pod>(&self, value: &P) -> Result<(), SendError<()>> {
        self.sender.send_pod(value)
    }

    /// Sends a descriptor, waiting for room as long as it takes.
    ///
    /// # Errors
    ///
    /// See [`Sender::send_fd`].
    pub fn send_fd(&self, fd: impl AsFd) -> Result<(), SendError<()>> {
        self.sender.send_fd(fd)
    }

    /// Sends a descriptor if there is room now. Never blocks.
    ///
    /// # Errors
    ///
    /// See [`Sender::try_send_fd`].
    pub fn try_send_fd(&self, fd: impl AsFd) -> Result<(), SendError<()>> {
        self.sender.try_send_fd(fd)
    }

    /// Sends a descriptor, waiting for room at most `timeout`.
    ///
    /// # Errors
    ///
    /// See [`Sender::send_fd_timeout`].
    pub fn send_fd_timeout(&self, fd: impl AsFd, timeout: Duration) -> Result<(), SendError<()>> {
        self.sender.send_fd_timeout(fd, timeout)
    }

    /// Receives a descriptor, waiting as long as it takes.
    ///
    /// # Errors
    ///
    /// See [`Receiver::recv_fd`].
    pub fn recv_fd(&self) -> Result<OwnedFd, RecvError> {
        self.receiver.recv_fd()
    }

    /// Receives a descriptor if it is there. Never blocks.
    ///
    /// # Errors
    ///
    /// See [`Receiver::try_recv_fd`].
    pub fn try_recv_fd(&self) -> Result<OwnedFd, RecvError> {
        self.receiver.try_recv_fd()
    }

    /// Receives a descriptor, waiting for it at most `timeout`.
    ///
    /// # Errors
    ///
    /// See [`Receiver::recv_fd_timeout`].
    pub fn recv_fd_timeout(&self, timeout: Duration) -> Result<OwnedFd, RecvError> {
        self.receiver.recv_fd_timeout(timeout)
    }

    /// A descriptor for `epoll`, readable when there is something to receive.
    ///
    /// # Errors
    ///
    /// See [`Receiver::poll_fd`].
    pub fn poll_fd(&self) -> Result<BorrowedFd<'_>, Error> {
        self.receiver.poll_fd()
    }

    /// Room for a message, to be written in place; waits for it as long as it takes.
    ///
    /// # Errors
    ///
    /// See [`Sender::loan`].
    pub fn loan(&self, len_bytes: usize) -> Result<Loan<'_>, SendError<()>> {
        self.sender.loan(len_bytes)
    }

    /// Room for a message, to be written in place, if there is room now. Never blocks.
    ///
    /// # Errors
    ///
    /// See [`Sender::try_loan`].
    pub fn try_loan(&self, len_bytes: usize) -> Result<Loan<'_>, SendError<()>> {
        self.sender.try_loan(len_bytes)
    }

    /// The longest message that travels in one piece, and can be a loan.
    pub fn max_loan_bytes(&self) -> usize {
        self.sender.max_loan_bytes()
    }

    /// Whether a message, or the end of the stream, is there; waits for it at most `timeout`.
    ///
    /// # Errors
    ///
    /// See [`Receiver::poll`].
    pub fn poll(&self, timeout: Duration) -> Result<bool, RecvError> {
        self.receiver.poll(timeout)
    }

    /// Receives the bytes of the next message, waiting as long as it takes.
    ///
    /// # Errors
    ///
    /// See [`Receiver::recv_bytes`].
    pub fn recv_bytes(&self) -> Result<Vec<u8>, RecvError> {
        self.receiver.recv_bytes()
    }

    /// Receives the bytes of the next message if it is there. Never blocks.
    ///
    /// # Errors
    ///
    /// See [`Receiver::try_recv_bytes`].
    pub fn try_recv_bytes(&self) -> Result<Vec<u8>, RecvError> {
        self.receiver.try_recv_bytes()
    }

    /// Receives the bytes of the next message, waiting for it at most `timeout`.
    ///
    /// # Errors
    ///
    /// See [`Receiver::recv_bytes_timeout`].
    pub fn recv_bytes_timeout(&self, timeout: Duration) -> Result<Vec<u8>, RecvError> {
        self.receiver.recv_bytes_timeout(timeout)
    }

    /// Receives the bytes of the next message into `buffer` and returns how many they are.
    ///
    /// # Errors
    ///
    /// See [`Receiver::recv_bytes_into`].
    pub fn recv_bytes_into(&self, buffer: &mut [u8]) -> Result<usize, RecvError> {
        self.receiver.recv_bytes_into(buffer)
    }

    /// Receives a plain value that was sent by [`Connection::send_pod`].
    ///
    /// # Errors
    ///
    /// See [`Receiver::recv_pod`].
    pub fn recv_pod<P: Pod>(&self) -> Result<P, RecvError> {
        self.receiver.recv_pod()
    }

    /// Borrows the next message in place, waiting for it as long as it takes.
    ///
    /// # Errors
    ///
    /// See [`Receiver::receive`].
    pub fn receive(&self) -> Result<Received<'_>, RecvError> {
        self.receiver.receive()
    }

    /// Borrows the next message in place, if it is there. Never blocks.
    ///
    /// # Errors
    ///
    /// See [`Receiver::try_receive`].
    pub fn try_receive(&self) -> Result<Received<'_>, RecvError> {
        self.receiver.try_receive()
    }

    /// Closes both directions: the other end gets what was sent, and then the end of the stream.
    /// Further calls are `Disconnected`; dropping does the same.
    pub fn close(&self) {
        self.sender.close();
        self.receiver.close();
    }
}

impl<T> Connection<T> {
    /// This end as one of several things to wait for.
    pub(crate) fn awaited(&self) -> impl Memory + '_ {
        self.receiver.awaited()
    }
}

impl<T> fmt::Debug for Connection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection { .. }")
    }
}

impl<T> AsFd for Connection<T> {
    /// The descriptor to poll, see [`Receiver::poll_fd`].
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receiver.as_fd()
    }
}
