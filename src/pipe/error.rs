//! Why a message was not sent or not received.

use crate::error::Error;
use std::fmt;
use std::io;

/// Why a message was not sent; the message comes back where there is one.
#[non_exhaustive]
pub enum SendError<T> {
    /// There is no room for the message now; the receiver may make room at any time.
    Full(T),
    /// There was no room for as long as the call was to wait.
    Timeout(T),
    /// The receiver is closed or dead and will not come back, or this end was closed.
    Disconnected(T),
    /// The message can never be in the pipe as a whole: only a blocking send streams it.
    TooLarge(T),
    /// The value could not be encoded; the text says why.
    Encode(T, String),
    /// A loan of this end is still out.
    Busy(T),
    /// This end was moved to another process, or this is a forked copy of the handle.
    WrongProcess(T),
    /// The kernel refused.
    Os(io::Error),
}

/// Why no message was received. Unless said otherwise none was lost.
#[derive(Debug)]
#[non_exhaustive]
pub enum RecvError {
    /// There is no message now; the sender may send one at any time.
    Empty,
    /// There was no message for as long as the call was to wait.
    Timeout,
    /// All messages have been received, and the sender is closed or dead; or this end was closed.
    Disconnected,
    /// The message is longer than the buffer; it is still there.
    TooShort {
        /// Length of the message in bytes.
        needed: usize,
    },
    /// The message could not be decoded as the type asked for, and is gone; the text says why.
    Decode(String),
    /// A handle or descriptor in the message is not to be had any more; the message is gone too,
    /// the next ones are not.
    HandleGone,
    /// A received message of this end is still borrowed.
    Busy,
    /// This end was moved to another process, or this is a forked copy of the handle.
    WrongProcess,
    /// The sender has left nonsense in the pipe, which cannot go on.
    Corrupt,
    /// The kernel refused.
    Os(io::Error),
}

impl<T> SendError<T> {
    /// The same reason, without the message.
    fn reason(&self) -> Error {
        match self {
            SendError::Full(_) => Error::Full,
            SendError::Timeout(_) => Error::Timeout,
            SendError::Disconnected(_) => Error::Disconnected,
            SendError::TooLarge(_) => Error::TooLarge,
            SendError::Encode(_, why) => Error::Encode(why.clone()),
            SendError::Busy(_) => Error::Lent,
            SendError::WrongProcess(_) => Error::WrongProcess,
            SendError::Os(e) => Error::Os(e.kind().into()),
        }
    }

    /// The message, if it came back.
    pub fn into_message(self) -> Option<T> {
        match self {
            SendError::Full(m)
            | SendError::Timeout(m)
            | SendError::Disconnected(m)
            | SendError::TooLarge(m)
            | SendError::Encode(m, _)
            | SendError::Busy(m)
            | SendError::WrongProcess(m) => Some(m),
            SendError::Os(_) => None,
        }
    }

    /// Puts a message into a reason that has none.
    pub(super) fn with<U>(self, message: U) -> SendError<U> {
        match self {
            SendError::Full(_) => SendError::Full(message),
            SendError::Timeout(_) => SendError::Timeout(message),
            SendError::Disconnected(_) => SendError::Disconnected(message),
            SendError::TooLarge(_) => SendError::TooLarge(message),
            SendError::Encode(_, why) => SendError::Encode(message, why),
            SendError::Busy(_) => SendError::Busy(message),
            SendError::WrongProcess(_) => SendError::WrongProcess(message),
            SendError::Os(e) => SendError::Os(e),
        }
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Encode(_, why) => f.debug_tuple("Encode").field(why).finish(),
            SendError::Os(e) => f.debug_tuple("Os").field(e).finish(),
            SendError::Full(_) => f.write_str("Full(..)"),
            SendError::Timeout(_) => f.write_str("Timeout(..)"),
            SendError::Disconnected(_) => f.write_str("Disconnected(..)"),
            SendError::TooLarge(_) => f.write_str("TooLarge(..)"),
            SendError::Busy(_) => f.write_str("Busy(..)"),
            SendError::WrongProcess(_) => f.write_str("WrongProcess(..)"),
        }
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::Os(e) => e.fmt(f),
            other => other.reason().fmt(f),
        }
    }
}

impl<T> std::error::Error for SendError<T> {}

impl<T> From<SendError<T>> for Error {
    fn from(e: SendError<T>) -> Error {
        match e {
            SendError::Os(e) => e.into(),
            other => other.reason(),
        }
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvError::Empty => f.write_str("no message yet"),
            RecvError::Timeout => Error::Timeout.fmt(f),
            RecvError::Disconnected => Error::Disconnected.fmt(f),
            RecvError::TooShort { needed } => Error::TooShort { needed: *needed }.fmt(f),
            RecvError::Decode(why) => write!(f, "cannot decode the message: {why}"),
            RecvError::HandleGone => Error::HandleGone.fmt(f),
            RecvError::Busy => Error::Lent.fmt(f),
            RecvError::WrongProcess => Error::WrongProcess.fmt(f),
            RecvError::Corrupt => f.write_str("the sender has left nonsense in the pipe"),
            RecvError::Os(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for RecvError {}

impl From<RecvError> for Error {
    fn from(e: RecvError) -> Error {
        match e {
            RecvError::Empty => Error::WouldBlock,
            RecvError::Timeout => Error::Timeout,
            RecvError::Disconnected => Error::Disconnected,
            RecvError::TooShort { needed } => Error::TooShort { needed },
            RecvError::Decode(why) => Error::Decode(why),
            RecvError::HandleGone => Error::HandleGone,
            RecvError::Busy => Error::Lent,
            RecvError::WrongProcess => Error::WrongProcess,
            RecvError::Corrupt => Error::Corrupt("records of a pipe"),
            RecvError::Os(e) => e.into(),
        }
    }
}
