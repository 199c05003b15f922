//! From what went wrong to what C is told: a status, and for those that need words, a text kept for
//! the thread.

use crate::status::*;
use api::{Error, TaskError};
use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int};
use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a call fails.
pub(crate) enum Fail {
    /// Says all; the thread's text stays as it is.
    Status(shmkit_status),
    /// Of an argument.
    Argument(&'static str),
    /// Of this library, in words.
    Said(shmkit_status, &'static str),
    Api(Error),
}

pub(crate) type Answer<T> = Result<T, Fail>;

macro_rules! from {
    ($($error:ty)*) => {$(
        impl From<$error> for Fail {
            #[cold]
            fn from(why: $error) -> Fail {
                Fail::Api(why.into())
            }
        }
    )*};
}
from!(Error std::io::Error api::PutError<()> api::GetError api::SendError<()> api::RecvError
    api::JoinError api::BrokenBarrier api::OverRelease
    TaskError);

impl Fail {
    /// The status, having noted the text.
    #[cold]
    pub(crate) fn tell(self) -> shmkit_status {
        match self {
            Fail::Status(status) => status,
            Fail::Argument(what) => note(SHMKIT_ERR_INVALID_ARGUMENT, &what, 0),
            Fail::Said(status, what) => note(status, &what, 0),
            Fail::Api(why) => {
                let status = status_of(&why);
                let errno = match &why {
                    Error::Os(e) => e.raw_os_error().unwrap_or(0),
                    _ => 0,
                };
                if is_silent(status) { status } else { note(status, &why, errno) }
            }
        }
    }
}

/// What is expected in the course of things has no text.
fn is_silent(status: shmkit_status) -> bool {
    matches!(
        status,
        SHMKIT_OK
            | SHMKIT_OWNER_DIED
            | SHMKIT_ERR_WOULD_BLOCK
            | SHMKIT_ERR_TIMED_OUT
            | SHMKIT_ERR_CLOSED
            | SHMKIT_ERR_PEER_DIED
            | SHMKIT_ERR_BUFFER_TOO_SMALL
    )
}

/// The status for an error of the Rust library.
pub(crate) fn status_of(why: &Error) -> shmkit_status {
    match why {
        Error::NotARegion | Error::Truncated { .. } | Error::Corrupt(_) | Error::Decode(_) => {
            SHMKIT_ERR_CORRUPT
        }
        Error::FormatVersion { .. } | Error::LayoutMismatch { .. } => SHMKIT_ERR_LAYOUT_VERSION,
        Error::TypeMismatch { .. } => SHMKIT_ERR_TYPE_MISMATCH,
        Error::Unsealed | Error::WrongKey => SHMKIT_ERR_PERMISSION,
        Error::InvalidName(_)
        | Error::InvalidArgument(_)
        | Error::OutOfRange { .. }
        | Error::LengthMismatch { .. }
        | Error::Encode(_)
        | Error::ForeignFunction => SHMKIT_ERR_INVALID_ARGUMENT,
        Error::Exists => SHMKIT_ERR_EXISTS,
        Error::NotFound | Error::MissingKey(_) => SHMKIT_ERR_NOT_FOUND,
        Error::NoSpace | Error::TooManyParticipants { .. } => SHMKIT_ERR_NO_SPACE,
        Error::NoMemory { .. } => SHMKIT_ERR_NO_MEMORY,
        Error::TooLarge | Error::TooLong { .. } => SHMKIT_ERR_TOO_LARGE,
        Error::TooShort { .. } => SHMKIT_ERR_BUFFER_TOO_SMALL,
        Error::WrongProcess => SHMKIT_ERR_WRONG_PROCESS,
        Error::Lent | Error::StillRunning => SHMKIT_ERR_BUSY,
        Error::HandleGone => SHMKIT_ERR_PEER_DIED,
        Error::NotInitialised | Error::Threads(_) => SHMKIT_ERR_UNSUPPORTED,
        Error::Full | Error::WouldBlock => SHMKIT_ERR_WOULD_BLOCK,
        Error::Timeout => SHMKIT_ERR_TIMED_OUT,
        Error::Disconnected => SHMKIT_ERR_CLOSED,
        Error::OwnerDied => SHMKIT_OWNER_DIED,
        Error::WouldDeadlock => SHMKIT_ERR_DEADLOCK,
        Error::NotOwner => SHMKIT_ERR_NOT_OWNER,
        Error::Broken | Error::Process(_) => SHMKIT_ERR_BROKEN,
        Error::OverRelease => SHMKIT_ERR_OVERFLOW,
        Error::Task(why) => match why {
            TaskError::WorkerDied { .. } => SHMKIT_ERR_PEER_DIED,
            TaskError::Terminated | TaskError::Closed => SHMKIT_ERR_CLOSED,
            TaskError::Broken => SHMKIT_ERR_BROKEN,
            TaskError::Timeout => SHMKIT_ERR_TIMED_OUT,
            TaskError::TooLarge => SHMKIT_ERR_TOO_LARGE,
            TaskError::WrongProcess => SHMKIT_ERR_WRONG_PROCESS,
            TaskError::ForeignFunction => SHMKIT_ERR_INVALID_ARGUMENT,
            _ => SHMKIT_ERR_SYSTEM,
        },
        Error::Os(e) => match e.raw_os_error() {
            Some(libc::EACCES | libc::EPERM) => SHMKIT_ERR_PERMISSION,
            Some(libc::ENOMEM) => SHMKIT_ERR_NO_MEMORY,
            Some(libc::ENOSPC) => SHMKIT_ERR_NO_SPACE,
            None if e.kind() == std::io::ErrorKind::Unsupported => SHMKIT_ERR_UNSUPPORTED,
            None if e.kind() == std::io::ErrorKind::PermissionDenied => SHMKIT_ERR_PERMISSION,
            None if e.kind() == std::io::ErrorKind::OutOfMemory => SHMKIT_ERR_NO_MEMORY,
            // One of the library's own may travel as an error of the system.
            None => match e.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
                Some(inner) => status_of(inner),
                None => SHMKIT_ERR_SYSTEM,
            },
            Some(_) => SHMKIT_ERR_SYSTEM,
        },
        _ => SHMKIT_ERR_SYSTEM,
    }
}

/// Runs the body of a function that may panic: no unwinding reaches C.
pub(crate) fn cold(f: impl FnOnce() -> Answer<shmkit_status>) -> shmkit_status {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(status)) => status,
        Ok(Err(fail)) => fail.tell(),
        Err(_) => note(SHMKIT_ERR_INTERNAL, &"a bug of shmkit: see what was printed", 0),
    }
}

/// The same for a function that returns something else, and `otherwise` if it cannot.
pub(crate) fn value<R>(otherwise: R, f: impl FnOnce() -> Answer<R>) -> R {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => value,
        Ok(Err(fail)) => {
            fail.tell();
            otherwise
        }
        Err(_) => otherwise,
    }
}

/// The last text of a thread, with a NUL at its end.
#[repr(C)]
struct Last {
    text: [u8; Last::BYTES],
    len: usize,
}

impl Last {
    const BYTES: usize = 512;
}

impl Write for Last {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = Last::BYTES - 1 - self.len;
        let part = &text.as_bytes()[..text.floor_char_boundary(room)];
        self.text[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
        Ok(())
    }
}

thread_local! {
    static LAST: RefCell<Last> = const { RefCell::new(Last { text: [0; Last::BYTES], len: 0 }) };
    static ERRNO: Cell<c_int> = const { Cell::new(0) };
}

/// Keeps the text, and the status as `errno` unless the system gave one.
#[cold]
fn note(status: shmkit_status, text: &dyn fmt::Display, errno: c_int) -> shmkit_status {
    LAST.with(|last| {
        // Only while the text itself is being written: a `Display` that calls C.
        let Ok(mut last) = last.try_borrow_mut() else { return };
        last.len = 0;
        let _ = write!(last, "{text}");
        let end = last.len;
        last.text[end] = 0;
    });
    ERRNO.set(if errno != 0 { errno } else { shmkit_status_errno(status as i32) });
    status
}

/// What the last call of this thread that failed had to say: one line, never NULL, "" if none has.
///
/// Only failures that a status does not explain leave a text: after SHMKIT_ERR_WOULD_BLOCK,
/// _TIMED_OUT, _CLOSED, _PEER_DIED and _BUFFER_TOO_SMALL it is that of an earlier call. Valid
/// until the next call of this library by this thread. Never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn shmkit_last_error() -> *const c_char {
    LAST.with(|last| last.as_ptr().cast::<u8>().cast_const().cast())
}

/// The `errno` value that goes with `shmkit_last_error()`: the system's if it refused something, or
/// else the one that comes nearest to the status; 0 if no call of this thread has failed. Never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn shmkit_last_errno() -> c_int {
    ERRNO.get()
}
