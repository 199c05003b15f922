//! Why a message was not put into a queue, not got out of it, or not waited for to be done.

use crate::error::Error;
use std::fmt;
use std::io;

/// Why a message was not put; the message comes back where there is one.
#[non_exhaustive]
pub enum PutError<T> {
    /// The queue is full now; somebody may make room at any time.
    Full(T),
    /// The queue was full for as long as the call was to wait.
    Timeout(T),
    /// The queue was closed; or it is full, and all other handles are gone or their processes dead.
    Disconnected(T),
    /// The message is longer than this queue can ever hold.
    TooLarge(T),
    /// The value could not be encoded; the text says why.
    Encode(T, String),
    /// The kernel refused, or the queue is corrupt. The message is gone.
    Os(io::Error),
    /// The same in the middle of a batch, of which the messages that were not put come back.
    Stopped(T, io::Error),
}

/// Why no message was got. Unless said otherwise none was lost.
#[derive(Debug)]
#[non_exhaustive]
pub enum GetError {
    /// There is no message now; somebody may put one at any time.
    Empty,
    /// There was no message for as long as the call was to wait.
    Timeout,
    /// There is no message, and there will be none: the queue was closed, or all other handles are
    /// gone or their processes dead.
    Disconnected,
    /// The message could not be decoded as the queue's type, and is gone; the text says why.
    Decode(String),
    /// A handle in the message has gone with who put it; so is the message.
    HandleGone,
    /// Somebody has left nonsense in the queue.
    Corrupt,
    /// The kernel refused.
    Os(io::Error),
}

impl<T> PutError<T> {
    /// The same reason, without the message.
    fn reason(&self) -> Error {
        match self {
            PutError::Full(_) => Error::Full,
            PutError::Timeout(_) => Error::Timeout,
            PutError::Disconnected(_) => Error::Disconnected,
            PutError::TooLarge(_) => Error::TooLarge,
            PutError::Encode(_, why) => Error::Encode(why.clone()),
            PutError::Os(e) | PutError::Stopped(_, e) => Error::Os(e.kind().into()),
        }
    }

    /// The message, if it came back.
    pub fn into_message(self) -> Option<T> {
        match self {
            PutError::Full(m)
            | PutError::Timeout(m)
            | PutError::Disconnected(m)
            | PutError::TooLarge(m)
            | PutError::Encode(m, _)
            | PutError::Stopped(m, _) => Some(m),
            PutError::Os(_) => None,
        }
    }

    /// Puts a message into a reason that has none.
    pub(super) fn with<U>(self, message: U) -> PutError<U> {
        match self {
            PutError::Full(_) => PutError::Full(message),
            PutError::Timeout(_) => PutError::Timeout(message),
            PutError::Disconnected(_) => PutError::Disconnected(message),
            PutError::TooLarge(_) => PutError::TooLarge(message),
            PutError::Encode(_, why) => PutError::Encode(message, why),
            PutError::Os(e) => PutError::Os(e),
            PutError::Stopped(_, e) => PutError::Stopped(message, e),
        }
    }

    /// Puts what is left of a batch into a reason that has none.
    pub(super) fn with_rest<U>(self, rest: U) -> PutError<U> {
        match self {
            PutError::Os(e) => PutError::Stopped(rest, e),
            other => other.with(rest),
        }
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PutError::Encode(_, why) => f.debug_tuple("Encode").field(why).finish(),
            PutError::Os(e) => f.debug_tuple("Os").field(e).finish(),
            PutError::Stopped(_, e) => f.debug_tuple("Stopped").field(e).finish(),
            PutError::Full(_) => f.write_str("Full(..)"),
            PutError::Timeout(_) => f.write_str("Timeout(..)"),
            PutError::Disconnected(_) => f.write_str("Disconnected(..)"),
            PutError::TooLarge(_) => f.write_str("TooLarge(..)"),
        }
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PutError::Os(e) | PutError::Stopped(_, e) => e.fmt(f),
            other => other.reason().fmt(f),
        }
    }
}

impl<T> std::error::Error for PutError<T> {}

impl<T> From<PutError<T>> for Error {
    fn from(e: PutError<T>) -> Error {
        match e {
            PutError::Os(e) | PutError::Stopped(_, e) => e.into(),
            other => other.reason(),
        }
    }
}

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GetError::Empty => f.write_str("no message yet"),
            GetError::Timeout => Error::Timeout.fmt(f),
            GetError::Disconnected => Error::Disconnected.fmt(f),
            GetError::Decode(why) => write!(f, "cannot decode the message: {why}"),
            GetError::HandleGone => Error::HandleGone.fmt(f),
            GetError::Corrupt => f.write_str("somebody has left nonsense in the queue"),
            GetError::Os(e) => e.fmt(f),
        }
    }
}

/// Why a join ended before all was done.
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// Not all was done for as long as the call was to wait.
    Timeout,
    /// Not all is done, and all other handles are gone or their processes dead.
    Disconnected,
    /// Somebody has left nonsense in the queue.
    Corrupt,
    /// The kernel refused.
    Os(io::Error),
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Timeout => Error::Timeout.fmt(f),
            JoinError::Disconnected => f.write_str("nobody is left to do what is not done"),
            JoinError::Corrupt => GetError::Corrupt.fmt(f),
            JoinError::Os(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for Error {
    fn from(e: JoinError) -> Error {
        match e {
            JoinError::Timeout => Error::Timeout,
            JoinError::Disconnected => Error::Disconnected,
            JoinError::Corrupt => GetError::Corrupt.into(),
            JoinError::Os(e) => e.into(),
        }
    }
}

impl std::error::Error for GetError {}

impl From<GetError> for Error {
    fn from(e: GetError) -> Error {
        match e {
            GetError::Empty => Error::WouldBlock,
            GetError::Timeout => Error::Timeout,
            GetError::Disconnected => Error::Disconnected,
            GetError::Decode(why) => Error::Decode(why),
            GetError::HandleGone => Error::HandleGone,
            GetError::Corrupt => Error::Corrupt("messages of a queue"),
            GetError::Os(e) => e.into(),
        }
    }
}
