//! The receiving half of a pipe.

use super::error::RecvError;
use super::lane::{Form, Inlet, Message as Incoming};
use crate::error::Error;
use crate::lock::deadline::Deadline;
use crate::lock::many::Memory;
#[cfg(feature = "serde")]
use crate::message::{self, Message};
#[cfg(feature = "serde")]
use crate::region::transfer;
use bytemuck::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The receiving end of a pipe.
///
/// Belongs to one process and one thread at a time (`Send`, not `Sync`), and can be passed to
/// another process as an argument. Dropping it tells the sender, whose next send is
/// [`SendError::Disconnected`](crate::SendError::Disconnected).
///
/// ```
/// fn may_move_to_another_thread<T: Send>() {}
/// may_move_to_another_thread::<shmkit::Receiver<u32>>();
/// ```
/// ```compile_fail,E0277
/// fn may_be_used_by_two_threads<T: Sync>() {}
/// may_be_used_by_two_threads::<shmkit::Receiver<u32>>();
/// ```
pub struct Receiver<T> {
    pub(super) inlet: Inlet,
    message: PhantomData<fn() -> T>,
}

#[cfg(feature = "serde")]
impl<T: Message> Receiver<T> {
    /// Receives the next value, waiting for it as long as it takes.
    ///
    /// # Errors
    ///
    /// [`RecvError::Disconnected`] after the last message of a sender that is closed or dead;
    /// [`RecvError::Decode`] for a message that is no `T`, which is gone then;
    /// [`RecvError::Busy`] while a received message is borrowed, [`RecvError::WrongProcess`] in a
    /// forked child, [`RecvError::Corrupt`].
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_by(Deadline::Never)
    }

    /// Receives the next value if it is there. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`]; [`RecvError::Empty`].
    pub fn try_recv(&self) -> Result<T, RecvError> {
        self.recv_by(Deadline::Now)
    }

    /// Receives the next value, waiting for it at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`]; [`RecvError::Timeout`].
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvError> {
        self.recv_by(Deadline::after(timeout))
    }

    /// The values as they come, until the sender is closed or dead, or something else goes wrong.
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.recv().ok())
    }

    fn recv_by(&self, deadline: Deadline) -> Result<T, RecvError> {
        let message = self.inlet.receive(deadline)?;
        if message.form() != Form::TYPED {
            self.inlet.drop_fds(&message);
            return Err(RecvError::Decode("the message was sent as bytes".into()));
        }
        if message.fd_count() != 0 {
            let fds = self.inlet.take_fds(&message)?;
            return transfer::provide(fds, || message::decode(&message)).map_err(RecvError::Decode);
        }
        message::decode(&message).map_err(RecvError::Decode)
    }
}

impl<T> Receiver<T> {
    pub(super) fn of(inlet: Inlet) -> Receiver<T> {
        Receiver { inlet, message: PhantomData }
    }

    /// Whether a message is there, waiting for one at most `timeout`. `true` also at the end of the
    /// stream: the next receive will not block.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`], save for the end of the stream.
    pub fn poll(&self, timeout: Duration) -> Result<bool, RecvError> {
        match self.inlet.receive(Deadline::after(timeout)) {
            Ok(message) => {
                self.inlet.put_back(message);
                Ok(true)
            }
            Err(RecvError::Disconnected) => Ok(true),
            Err(RecvError::Empty | RecvError::Timeout) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Receives the bytes of the next message, whatever it was sent as, waiting as long as it
    /// takes.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`], without [`RecvError::Decode`].
    pub fn recv_bytes(&self) -> Result<Vec<u8>, RecvError> {
        self.inlet.receive_bytes(Deadline::Never).map(into_bytes)
    }

    /// Receives the bytes of the next message if it is there. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_bytes`]; [`RecvError::Empty`].
    pub fn try_recv_bytes(&self) -> Result<Vec<u8>, RecvError> {
        self.inlet.receive_bytes(Deadline::Now).map(into_bytes)
    }

    /// Receives the bytes of the next message, waiting for it at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_bytes`]; [`RecvError::Timeout`].
    pub fn recv_bytes_timeout(&self, timeout: Duration) -> Result<Vec<u8>, RecvError> {
        self.inlet.receive_bytes(Deadline::after(timeout)).map(into_bytes)
    }

    /// Receives the bytes of the next message into `buffer` and returns how many they are, waiting
    /// as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_bytes`]; [`RecvError::TooShort`] when the message does not fit: it stays,
    /// for a call with a larger buffer.
    pub fn recv_bytes_into(&self, buffer: &mut [u8]) -> Result<usize, RecvError> {
        let message = self.inlet.receive(Deadline::Never)?;
        let needed = message.len();
        let Some(start) = buffer.get_mut(..needed) else {
            self.inlet.put_back(message);
            return Err(RecvError::TooShort { needed });
        };
        start.copy_from_slice(&message);
        self.inlet.drop_fds(&message);
        Ok(needed)
    }

    /// Receives a descriptor that was sent by [`Sender::send_fd`](crate::Sender::send_fd), waiting as
    /// long as it takes. It is close-on-exec.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`]; [`RecvError::Os`] when this process can have no more descriptors: the
    /// message is gone then.
    pub fn recv_fd(&self) -> Result<OwnedFd, RecvError> {
        self.recv_fd_by(Deadline::Never)
    }

    /// Receives a descriptor if it is there. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_fd`]; [`RecvError::Empty`].
    pub fn try_recv_fd(&self) -> Result<OwnedFd, RecvError> {
        self.recv_fd_by(Deadline::Now)
    }

    /// Receives a descriptor, waiting for it at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_fd`]; [`RecvError::Timeout`].
    pub fn recv_fd_timeout(&self, timeout: Duration) -> Result<OwnedFd, RecvError> {
        self.recv_fd_by(Deadline::after(timeout))
    }

    pub(super) fn recv_fd_by(&self, deadline: Deadline) -> Result<OwnedFd, RecvError> {
        let message = self.inlet.receive(deadline)?;
        if message.form() != Form::FD {
            self.inlet.drop_fds(&message);
            return Err(RecvError::Decode("the message was not sent as a descriptor".into()));
        }
        self.inlet.take_fds(&message)?.pop().ok_or(RecvError::HandleGone)
    }

    /// A descriptor for `poll`, `epoll` and the like, readable when there is something to receive: a
    /// message, the end of the stream, or the death of the sender. The same at each call.
    ///
    /// It is readable at first, and from then on whenever something has come since a call last
    /// found nothing ([`RecvError::Empty`], [`RecvError::Timeout`]; `poll` that returned `false`). So
    /// with level-triggered polling a program may receive as much as it likes before it polls again;
    /// with edge-triggered polling it receives until there is nothing. It may be readable in vain,
    /// once for each time that the last message was received without a further call that found
    /// nothing: receive without blocking ([`Receiver::try_recv`]). Do not read from it.
    ///
    /// Nobody pays for this before the first call. After it a call that finds nothing costs this
    /// process a few system calls, and the next message after that costs the sender one more than
    /// waking a sleeper does; further messages cost it nothing.
    ///
    /// What only a waiting call notices is not shown: that a sender was *stopped* in the middle of a
    /// wake-up, or killed while another process held the other half of its [`Connection`]; poll
    /// with a timeout where that matters.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when this process can have no more descriptors; it takes two.
    ///
    /// [`Connection`]: crate::Connection
    ///
    /// ```
    /// use rustix::event::{PollFd, PollFlags, poll};
    /// use shmkit::{Pipe, RecvError};
    ///
    /// let (receiver, sender) = Pipe::<u32>::simplex()?;
    /// let is_readable = || -> shmkit::Result<bool> {
    ///     let now = Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 });
    ///     let fd = receiver.poll_fd()?;
    ///     Ok(poll(&mut [PollFd::new(&fd, PollFlags::IN)], now).map_err(std::io::Error::from)? == 1)
    /// };
    /// assert!(is_readable()?); // in vain
    /// assert!(matches!(receiver.try_recv(), Err(RecvError::Empty)));
    /// assert!(!is_readable()?);
    /// sender.send(1)?;
    /// assert!(is_readable()?);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn poll_fd(&self) -> Result<BorrowedFd<'_>, Error> {
        self.inlet.poll_fd()
    }

    /// Receives a plain value that was sent by [`Sender::send_pod`](crate::Sender::send_pod),
    /// waiting as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`].
    pub fn recv_pod<P: Pod>(&self) -> Result<P, RecvError> {
        let message = self.inlet.receive_bytes(Deadline::Never)?;
        if message.form() != Form::POD {
            return Err(RecvError::Decode("the message was not sent as a plain value".into()));
        }
        bytemuck::try_pod_read_unaligned(&message).map_err(|_| {
            let (found, size) = (message.len(), size_of::<P>());
            RecvError::Decode(format!("the message has {found} bytes, the type {size}"))
        })
    }

    /// Borrows the bytes of the next message in place, waiting for it as long as it takes.
    ///
    /// A message that travelled in one piece is not copied; its place is given back when the result
    /// is dropped.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_bytes`].
    pub fn receive(&self) -> Result<Received<'_>, RecvError> {
        self.inlet.receive_bytes(Deadline::Never).map(Received)
    }

    /// As [`Receiver::receive`], if a message is there. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`Receiver::receive`]; [`RecvError::Empty`].
    pub fn try_receive(&self) -> Result<Received<'_>, RecvError> {
        self.inlet.receive_bytes(Deadline::Now).map(Received)
    }

    /// Gives the end up: the sender's next send fails. Further calls are
    /// [`RecvError::Disconnected`]; dropping does the same.
    pub fn close(&self) {
        self.inlet.close();
    }
}

impl<T> Receiver<T> {
    /// This end as one of several things to wait for.
    pub(crate) fn awaited(&self) -> impl Memory + '_ {
        &self.inlet
    }
}

fn into_bytes(message: Incoming<'_>) -> Vec<u8> {
    match message {
        Incoming::Assembled(whole) => whole.bytes,
        in_ring => in_ring.to_vec(),
    }
}

/// The bytes of a message, borrowed where they are; their drop makes room for the sender.
pub struct Received<'a>(Incoming<'a>);

impl Deref for Received<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver { .. }")
    }
}

impl<T> AsFd for Receiver<T> {
    /// The descriptor to poll, see [`Receiver::poll_fd`]. If there can be none, this is one that
    /// `poll` finds always readable and `epoll` refuses, so that nobody waits in vain.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inlet.poll_fd().unwrap_or_else(|_| self.inlet.always_readable())
    }
}
