//! Why something could not be done: the crate's common error, and the errors of single verbs.

#[cfg(feature = "serde")]
mod process;
#[cfg(feature = "serde")]
mod task;

#[cfg(feature = "serde")]
pub use process::{PanicInfo, ProcessError};
#[cfg(feature = "serde")]
pub use task::TaskError;

use std::fmt;
use std::io;

/// What can go wrong anywhere in this crate.
///
/// A verb with richer failures (send, receive, lock) has an enum of its own, which hands back what
/// was not delivered; each of them converts into this one with `?`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The file or segment does not start with a finished region header.
    NotARegion,
    /// The file is shorter than its header says.
    Truncated {
        /// Bytes that the header promises.
        expected_bytes: u64,
        /// Bytes that are there.
        found_bytes: u64,
    },
    /// The region was written by another version of the format.
    FormatVersion {
        /// The format number of this crate.
        expected: u32,
        /// The format number in the header.
        found: u32,
    },
    /// The region was written under another pointer width, endianness or C library.
    LayoutMismatch {
        /// The layout id of this process.
        expected: u32,
        /// The layout id in the header.
        found: u32,
    },
    /// The object is of another kind, or its elements are of another type.
    TypeMismatch {
        /// What the caller asked for.
        expected: String,
        /// What the region holds.
        found: String,
    },
    /// A field of the region contradicts another; the text names it.
    Corrupt(&'static str),
    /// A memfd that is not sealed against shrinking: a peer could truncate it under us.
    Unsealed,
    /// A name is 1 to 200 letters, digits, `-`, `_` or `.`, and does not start with `.`.
    InvalidName(String),
    /// A live object has this name already.
    Exists,
    /// No live object has this name.
    NotFound,
    /// The shared-memory file system or the region is full.
    NoSpace,
    /// More memory was asked for than there is.
    NoMemory {
        /// Bytes asked for.
        asked_bytes: u64,
        /// Bytes available to this process now.
        available_bytes: u64,
    },
    /// All participant slots of the region belong to live processes.
    TooManyParticipants {
        /// Slots in the region; `RegionOptions::participants` sets them.
        limit: u32,
    },
    /// Nothing has this name in the namespace.
    MissingKey(String),
    /// An argument is outside its range; the text names it.
    InvalidArgument(&'static str),
    /// An index is not below the length.
    OutOfRange {
        /// The index asked for.
        index: usize,
        /// The number of elements.
        len: usize,
    },
    /// A slice is not as long as the range to copy from or to.
    LengthMismatch {
        /// The number of elements in the range.
        expected: usize,
        /// The number of elements in the slice.
        found: usize,
    },
    /// A text is longer than the array.
    TooLong {
        /// The length of the text in bytes.
        len: usize,
        /// The length of the array.
        room: usize,
    },
    /// The handle belongs to the process that made it, and this is a forked child.
    WrongProcess,
    /// A message is still lent, in place: give it back first.
    Lent,
    /// The sender of a handle was gone before the handle was received.
    HandleGone,
    /// The two sides of a meeting have different keys, or only one has a key.
    WrongKey,
    /// Neither the take-over hook nor `shmkit::init` ran before `main` of this process.
    NotInitialised,
    /// A process with this many other threads was to be forked, which is not safe.
    Threads(usize),
    /// A ring, queue or pipe has no room now.
    Full,
    /// The time given has passed.
    Timeout,
    /// The operation would have to wait.
    WouldBlock,
    /// The other side is closed or dead.
    Disconnected,
    /// The message can never fit.
    TooLarge,
    /// The message is longer than the buffer; it is still there.
    TooShort {
        /// Bytes the message needs.
        needed: usize,
    },
    /// A value could not be encoded.
    Encode(String),
    /// Bytes could not be decoded as the type asked for.
    Decode(String),
    /// The previous holder died inside its critical section.
    OwnerDied,
    /// This thread holds the lock already.
    WouldDeadlock,
    /// This thread does not hold the lock.
    NotOwner,
    /// The parties of a barrier did not meet.
    Broken,
    /// A semaphore would get more permits than it can have.
    OverRelease,
    /// The function is not part of the executable, so that a child could not find it.
    ForeignFunction,
    /// A child process did not return a value.
    #[cfg(feature = "serde")]
    Process(ProcessError),
    /// A task of a pool has no value.
    #[cfg(feature = "serde")]
    Task(TaskError),
    /// A pool is joined that was neither closed nor terminated.
    StillRunning,
    /// The kernel refused.
    Os(io::Error),
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotARegion => f.write_str("not a shmkit region"),
            Error::Truncated { expected_bytes, found_bytes } => {
                write!(f, "the region is cut short: {found_bytes} of {expected_bytes} bytes")
            }
            Error::FormatVersion { expected, found } => {
                write!(f, "the region has format {found}, this library writes {expected}")
            }
            Error::LayoutMismatch { expected, found } => write!(
                f,
                "the region has layout {found:#x}, this process has {expected:#x} \
                 (pointer width, endianness or C library differ)"
            ),
            Error::TypeMismatch { expected, found } => {
                write!(f, "expected {expected}, the region holds {found}")
            }
            Error::Corrupt(what) => write!(f, "the region is corrupt: {what}"),
            Error::Unsealed => f.write_str("the memfd is not sealed against shrinking"),
            Error::InvalidName(name) => write!(
                f,
                "{name:?} is no name: 1 to 200 letters, digits, '-', '_' or '.', not '.' first"
            ),
            Error::Exists => f.write_str("a live object has this name"),
            Error::NotFound => f.write_str("no live object has this name"),
            Error::NoSpace => f.write_str("no space is left for shared memory"),
            Error::NoMemory { asked_bytes, available_bytes } => {
                write!(f, "{asked_bytes} bytes asked for, {available_bytes} available")
            }
            Error::TooManyParticipants { limit } => {
                write!(f, "all {limit} participant slots belong to live processes")
            }
            Error::MissingKey(name) => write!(f, "nothing has the name {name:?}"),
            Error::InvalidArgument(what) => write!(f, "invalid argument: {what}"),
            Error::OutOfRange { index, len } => {
                write!(f, "index {index} is out of range for {len} elements")
            }
            Error::LengthMismatch { expected, found } => {
                write!(f, "a slice of {found} elements for a range of {expected}")
            }
            Error::TooLong { len, room } => {
                write!(f, "{len} bytes of text for an array of {room}")
            }
            Error::WrongProcess => f.write_str("the handle belongs to another process"),
            Error::Lent => f.write_str("a message is still lent, in place"),
            Error::HandleGone => f.write_str("the sender of the handle is gone"),
            Error::WrongKey => f.write_str("the two sides do not have the same key"),
            Error::NotInitialised => {
                f.write_str("call shmkit::init() first in main to start processes from here")
            }
            Error::Threads(others) => {
                write!(f, "a process with {others} other thread(s) is not safe to fork")
            }
            Error::Full => f.write_str("full"),
            Error::Timeout => f.write_str("timed out"),
            Error::WouldBlock => f.write_str("the operation would block"),
            Error::Disconnected => f.write_str("the other side is closed or dead"),
            Error::TooLarge => f.write_str("the message can never fit"),
            Error::TooShort { needed } => write!(f, "the buffer is too short: {needed} needed"),
            Error::Encode(why) => write!(f, "cannot encode the value: {why}"),
            Error::Decode(why) => write!(f, "cannot decode the bytes: {why}"),
            Error::OwnerDied => f.write_str("the previous holder died inside its section"),
            Error::WouldDeadlock => f.write_str("this thread holds the lock already"),
            Error::NotOwner => f.write_str("this thread does not hold the lock"),
            Error::Broken => f.write_str("the barrier is broken"),
            Error::OverRelease => f.write_str("more permits released than the semaphore can have"),
            Error::ForeignFunction => {
                f.write_str("the function is not part of the executable of this process")
            }
            #[cfg(feature = "serde")]
            Error::Process(e) => e.fmt(f),
            #[cfg(feature = "serde")]
            Error::Task(e) => e.fmt(f),
            Error::StillRunning => {
                f.write_str("the pool still runs: close or terminate it before it is joined")
            }
            Error::Os(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            #[cfg(feature = "serde")]
            Error::Process(e) => Some(e),
            #[cfg(feature = "serde")]
            Error::Task(e) => Some(e),
            Error::Os(e) => Some(e),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(e: Error) -> io::Error {
        match e {
            Error::Os(e) => e,
            other => io::Error::other(other),
        }
    }
}

impl From<io::Error> for Error {
    fn from(e: io::Error) -> Error {
        use io::ErrorKind::{AlreadyExists, NotFound, StorageFull};
        // One of ours may have travelled as an `io::Error`.
        let e = match e.downcast::<Error>() {
            Ok(ours) => return ours,
            Err(e) => e,
        };
        match e.kind() {
            AlreadyExists => Error::Exists,
            NotFound => Error::NotFound,
            StorageFull => Error::NoSpace,
            _ => Error::Os(e),
        }
    }
}
