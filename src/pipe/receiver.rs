//! The receiving half of a pipe.

use super::error::RecvError;
use super::lane::{Form, Inlet, Message as Incoming};
use crate::lock::deadline::Deadline;
#[cfg(feature = "serde")]
use crate::message::{self, Message};
use bytemuck::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
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
            return Err(RecvError::Decode("the message was sent as bytes".into()));
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
        self.inlet.receive(Deadline::Never).map(into_bytes)
    }

    /// Receives the bytes of the next message if it is there. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_bytes`]; [`RecvError::Empty`].
    pub fn try_recv_bytes(&self) -> Result<Vec<u8>, RecvError> {
        self.inlet.receive(Deadline::Now).map(into_bytes)
    }

    /// Receives the bytes of the next message, waiting for it at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv_bytes`]; [`RecvError::Timeout`].
    pub fn recv_bytes_timeout(&self, timeout: Duration) -> Result<Vec<u8>, RecvError> {
        self.inlet.receive(Deadline::after(timeout)).map(into_bytes)
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
        Ok(needed)
    }

    /// Receives a plain value that was sent by [`Sender::send_pod`](crate::Sender::send_pod),
    /// waiting as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`].
    pub fn recv_pod<P: Pod>(&self) -> Result<P, RecvError> {
        let message = self.inlet.receive(Deadline::Never)?;
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
        self.inlet.receive(Deadline::Never).map(Received)
    }

    /// As [`Receiver::receive`], if a message is there. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`Receiver::receive`]; [`RecvError::Empty`].
    pub fn try_receive(&self) -> Result<Received<'_>, RecvError> {
        self.inlet.receive(Deadline::Now).map(Received)
    }

    /// Gives the end up: the sender's next send fails. Further calls are
    /// [`RecvError::Disconnected`]; dropping does the same.
    pub fn close(&self) {
        self.inlet.close();
    }
}

fn into_bytes(message: Incoming<'_>) -> Vec<u8> {
    match message {
        Incoming::Assembled { bytes, .. } => bytes,
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
