//! Why two processes did not meet.

use crate::error::Error;
use std::fmt;
use std::io;

/// Why no client was accepted. The listener goes on.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcceptError {
    /// No client is ready now.
    WouldBlock,
    /// No client was ready for as long as the call was to wait.
    Timeout,
    /// A client has another key, or only one of both sides has a key.
    WrongKey,
    /// A client wants a connection for another type.
    TypeMismatch {
        /// The type of this listener.
        expected: String,
        /// The type of the client.
        found: String,
    },
    /// A client runs as another user.
    Forbidden {
        /// The client's user.
        uid: u32,
        /// The client's pid.
        pid: u32,
    },
    /// This is a forked copy of the listener.
    WrongProcess,
    /// The pipe for a client could not be made, or the kernel refused.
    Os(io::Error),
}

/// Why no connection was made.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// No live listener has this path.
    NotFound,
    /// The listener did not accept for as long as the call was to wait.
    Timeout,
    /// The listener was closed or died before it accepted, or dropped a client that was too slow.
    Disconnected,
    /// The listener has another key, or only one of both sides has a key.
    WrongKey,
    /// The listener gives connections for another type.
    TypeMismatch {
        /// The type asked for.
        expected: String,
        /// The type of the listener.
        found: String,
    },
    /// The listener runs as another user, or does not accept ours.
    Forbidden {
        /// The user of the listener.
        uid: u32,
    },
    /// What listens there is no listener of this library, or of another version.
    NotAListener(String),
    /// The kernel refused.
    Os(io::Error),
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcceptError::WouldBlock => f.write_str("no client is there"),
            AcceptError::Timeout => Error::Timeout.fmt(f),
            AcceptError::WrongKey => Error::WrongKey.fmt(f),
            AcceptError::TypeMismatch { expected, found } => {
                write!(f, "the listener is for {expected}, the client wants {found}")
            }
            AcceptError::Forbidden { uid, pid } => {
                write!(f, "process {pid} of user {uid} may not connect")
            }
            AcceptError::WrongProcess => Error::WrongProcess.fmt(f),
            AcceptError::Os(e) => e.fmt(f),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::NotFound => f.write_str("no live listener has this path"),
            ConnectError::Timeout => Error::Timeout.fmt(f),
            ConnectError::Disconnected => Error::Disconnected.fmt(f),
            ConnectError::WrongKey => Error::WrongKey.fmt(f),
            ConnectError::TypeMismatch { expected, found } => {
                write!(f, "a connection for {expected} was asked for, the listener is for {found}")
            }
            ConnectError::Forbidden { uid } => {
                write!(f, "the listener of user {uid} is not for us")
            }
            ConnectError::NotAListener(why) => write!(f, "not a listener of this library: {why}"),
            ConnectError::Os(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for AcceptError {}

impl std::error::Error for ConnectError {}

impl From<AcceptError> for Error {
    fn from(e: AcceptError) -> Error {
        match e {
            AcceptError::WouldBlock => Error::WouldBlock,
            AcceptError::Timeout => Error::Timeout,
            AcceptError::WrongKey => Error::WrongKey,
            AcceptError::TypeMismatch { expected, found } => {
                Error::TypeMismatch { expected, found }
            }
            AcceptError::Forbidden { .. } => Error::Os(io::ErrorKind::PermissionDenied.into()),
            AcceptError::WrongProcess => Error::WrongProcess,
            AcceptError::Os(e) => Error::Os(e),
        }
    }
}

impl From<ConnectError> for Error {
    fn from(e: ConnectError) -> Error {
        match e {
            ConnectError::NotFound => Error::NotFound,
            ConnectError::Timeout => Error::Timeout,
            ConnectError::Disconnected => Error::Disconnected,
            ConnectError::WrongKey => Error::WrongKey,
            ConnectError::TypeMismatch { expected, found } => {
                Error::TypeMismatch { expected, found }
            }
            ConnectError::Forbidden { .. } => Error::Os(io::ErrorKind::PermissionDenied.into()),
            ConnectError::NotAListener(why) => Error::Decode(why),
            ConnectError::Os(e) => Error::Os(e),
        }
    }
}

impl From<io::Error> for AcceptError {
    fn from(e: io::Error) -> AcceptError {
        AcceptError::Os(e)
    }
}

impl From<io::Error> for ConnectError {
    fn from(e: io::Error) -> ConnectError {
        ConnectError::Os(e)
    }
}
