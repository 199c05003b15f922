//! Why a ring refused. One enum per verb; what was not delivered comes back.

use super::end::Stop;
use super::mpmc::Refusal;
use crate::error::Error;
use std::fmt;

/// Why a push was refused. The values come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryPushError<T> {
    /// No free slot now; the consumer may free one at any time.
    Full(T),
    /// The slot that is next is still read by a consumer, which may be done at any time, or in the
    /// way is one that has died: see [`MpmcRing::recover`](super::MpmcRing::recover).
    Busy(T),
    /// The consumer has closed its end or died.
    Disconnected(T),
    /// The consumer's position in shared memory cannot be true.
    Corrupt(T),
    /// This end now belongs to another process, or was closed.
    NotOwner(T),
    /// This process, a forked child, could not become a user of the ring's region.
    Detached(T),
}

/// Why nothing was popped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryPopError {
    /// Nothing is there now; the producer may push at any time.
    Empty,
    /// The value that is next is still written by a producer, which may be done at any time, or in
    /// the way is one that has died: see [`MpmcRing::recover`](super::MpmcRing::recover).
    Busy,
    /// The producer has closed its end or died, and everything it pushed was popped.
    Disconnected,
    /// The producer's position, or a length in the ring, cannot be true.
    Corrupt,
    /// This end now belongs to another process, or was closed.
    NotOwner,
    /// A record of this end is still borrowed, or was forgotten instead of dropped.
    Lent,
    /// This process, a forked child, could not become a user of the ring's region.
    Detached,
}

/// Why no record could be reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TryReserveError {
    /// Not enough room now; the consumer may make some at any time.
    Full,
    /// The record is longer than this ring will ever hold.
    TooLarge {
        /// The longest record of this ring.
        max_bytes: usize,
    },
    /// The consumer has closed its end or died.
    Disconnected,
    /// The consumer's position in shared memory cannot be true.
    Corrupt,
    /// This end now belongs to another process, or was closed.
    NotOwner,
    /// A reservation of this end is still out, or was forgotten instead of dropped.
    Lent,
}

impl<T> TryPushError<T> {
    /// The values that were not pushed.
    pub fn into_inner(self) -> T {
        match self {
            TryPushError::Full(v)
            | TryPushError::Busy(v)
            | TryPushError::Disconnected(v)
            | TryPushError::Corrupt(v)
            | TryPushError::NotOwner(v)
            | TryPushError::Detached(v) => v,
        }
    }

    pub(super) fn stopped(stop: Stop, value: T) -> TryPushError<T> {
        match stop {
            Stop::Disconnected => TryPushError::Disconnected(value),
            Stop::Corrupt => TryPushError::Corrupt(value),
            Stop::NotOwner => TryPushError::NotOwner(value),
        }
    }

    pub(super) fn refused(why: Refusal, value: T) -> TryPushError<T> {
        match why {
            Refusal::Full => TryPushError::Full(value),
            Refusal::Empty | Refusal::Busy => TryPushError::Busy(value),
            // These rings are never closed.
            Refusal::Closed | Refusal::Corrupt => TryPushError::Corrupt(value),
            // A ring of plain values has its memory from the start.
            Refusal::Detached | Refusal::NoMemory => TryPushError::Detached(value),
        }
    }
}

impl From<Refusal> for TryPopError {
    fn from(why: Refusal) -> TryPopError {
        match why {
            Refusal::Empty => TryPopError::Empty,
            Refusal::Full | Refusal::Busy => TryPopError::Busy,
            Refusal::Closed | Refusal::Corrupt => TryPopError::Corrupt,
            Refusal::Detached | Refusal::NoMemory => TryPopError::Detached,
        }
    }
}

impl From<Stop> for TryPopError {
    fn from(stop: Stop) -> TryPopError {
        match stop {
            Stop::Disconnected => TryPopError::Disconnected,
            Stop::Corrupt => TryPopError::Corrupt,
            Stop::NotOwner => TryPopError::NotOwner,
        }
    }
}

impl From<Stop> for TryReserveError {
    fn from(stop: Stop) -> TryReserveError {
        match stop {
            Stop::Disconnected => TryReserveError::Disconnected,
            Stop::Corrupt => TryReserveError::Corrupt,
            Stop::NotOwner => TryReserveError::NotOwner,
        }
    }
}

impl<T> From<TryPushError<T>> for Error {
    fn from(e: TryPushError<T>) -> Error {
        match e {
            TryPushError::Full(_) => Error::Full,
            TryPushError::Busy(_) => Error::WouldBlock,
            TryPushError::Disconnected(_) => Error::Disconnected,
            TryPushError::Corrupt(_) => Error::Corrupt("position of a ring"),
            TryPushError::NotOwner(_) | TryPushError::Detached(_) => Error::WrongProcess,
        }
    }
}

impl From<TryPopError> for Error {
    fn from(e: TryPopError) -> Error {
        match e {
            TryPopError::Empty | TryPopError::Busy => Error::WouldBlock,
            TryPopError::Disconnected => Error::Disconnected,
            TryPopError::Corrupt => Error::Corrupt("position or length in a ring"),
            TryPopError::NotOwner | TryPopError::Detached => Error::WrongProcess,
            TryPopError::Lent => Error::Lent,
        }
    }
}

impl From<TryReserveError> for Error {
    fn from(e: TryReserveError) -> Error {
        match e {
            TryReserveError::Full => Error::Full,
            TryReserveError::TooLarge { .. } => Error::TooLarge,
            TryReserveError::Disconnected => Error::Disconnected,
            TryReserveError::Corrupt => Error::Corrupt("position of a ring"),
            TryReserveError::NotOwner => Error::WrongProcess,
            TryReserveError::Lent => Error::Lent,
        }
    }
}

const DISCONNECTED: &str = "the other end of the ring is closed or dead";
const CORRUPT: &str = "the ring is corrupt";
const NOT_OWNER: &str = "this end of the ring belongs to another process";
const BUSY: &str = "the next slot of the ring is in use";
const DETACHED: &str = "this process could not become a user of the ring's region";
const LENT: &str = "a record of this end of the ring is still borrowed";

impl<T> fmt::Display for TryPushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryPushError::Full(_) => "the ring is full",
            TryPushError::Busy(_) => BUSY,
            TryPushError::Disconnected(_) => DISCONNECTED,
            TryPushError::Corrupt(_) => CORRUPT,
            TryPushError::NotOwner(_) => NOT_OWNER,
            TryPushError::Detached(_) => DETACHED,
        })
    }
}

impl fmt::Display for TryPopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryPopError::Empty => "the ring is empty",
            TryPopError::Busy => BUSY,
            TryPopError::Disconnected => DISCONNECTED,
            TryPopError::Corrupt => CORRUPT,
            TryPopError::NotOwner => NOT_OWNER,
            TryPopError::Lent => LENT,
            TryPopError::Detached => DETACHED,
        })
    }
}

impl fmt::Display for TryReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryReserveError::Full => f.write_str("the ring is full"),
            TryReserveError::TooLarge { max_bytes } => {
                write!(f, "a record of this ring has at most {max_bytes} bytes")
            }
            TryReserveError::Disconnected => f.write_str(DISCONNECTED),
            TryReserveError::Corrupt => f.write_str(CORRUPT),
            TryReserveError::NotOwner => f.write_str(NOT_OWNER),
            TryReserveError::Lent => f.write_str(LENT),
        }
    }
}

impl<T: fmt::Debug> std::error::Error for TryPushError<T> {}
impl std::error::Error for TryPopError {}
impl std::error::Error for TryReserveError {}
