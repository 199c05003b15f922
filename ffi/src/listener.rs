//! Where unrelated processes meet.

use crate::args::{Out, discard, handle, text};
use crate::fail::{Answer, Fail, cold};
use crate::pipe::shmkit_pipe;
use crate::status::*;
use api::untyped::{BytePipe, Bytes};
use api::{AcceptError, ConnectError, ConnectOptions, Listener};
use std::ffi::c_char;
use std::time::Duration;

/// A place in the file system where processes of the same user get a pipe to this one. Any thread of this
/// process may use it at once; a forked child gets SHMKIT_ERR_WRONG_PROCESS. Rust has it as `Listener<T>`.
pub struct shmkit_listener {
    listener: Listener<Bytes>,
}

fn accept_failed(why: AcceptError) -> Fail {
    match why {
        AcceptError::WouldBlock => Fail::Status(SHMKIT_ERR_WOULD_BLOCK),
        AcceptError::Timeout => Fail::Status(SHMKIT_ERR_TIMED_OUT),
        AcceptError::TypeMismatch { .. } => {
            Fail::Said(SHMKIT_ERR_TYPE_MISMATCH, "a client wants a connection for another type")
        }
        AcceptError::WrongKey => Fail::Said(SHMKIT_ERR_PERMISSION, "a client has a key"),
        AcceptError::Forbidden { .. } => {
            Fail::Said(SHMKIT_ERR_PERMISSION, "a client runs as another user")
        }
        AcceptError::WrongProcess => Fail::Api(api::Error::WrongProcess),
        AcceptError::Os(e) => e.into(),
        _ => Fail::Status(SHMKIT_ERR_SYSTEM),
    }
}

fn connect_failed(why: ConnectError) -> Fail {
    match why {
        ConnectError::NotFound => Fail::Status(SHMKIT_ERR_NOT_FOUND),
        ConnectError::Timeout => Fail::Status(SHMKIT_ERR_TIMED_OUT),
        ConnectError::Disconnected => Fail::Status(SHMKIT_ERR_CLOSED),
        ConnectError::WrongKey => Fail::Said(SHMKIT_ERR_PERMISSION, "the listener wants a key"),
        ConnectError::TypeMismatch { .. } => {
            Fail::Said(SHMKIT_ERR_TYPE_MISMATCH, "the listener gives connections for another type")
        }
        ConnectError::Forbidden { .. } => {
            Fail::Said(SHMKIT_ERR_PERMISSION, "the listener runs as another user")
        }
        ConnectError::Os(e) => e.into(),
        _ => Fail::Said(SHMKIT_ERR_CORRUPT, "what is there is no listener of this library"),
    }
}

/// The path of a listener.
///
/// # Safety
///
/// A1.
unsafe fn path<'a>(path: *const c_char) -> Answer<&'a str> {
    // SAFETY: A1.
    unsafe { text(path) }?.ok_or(Fail::Argument("a path that is NULL"))
}

/// Listens at `path`, where no file is, or that of a listener which is dead.
///
/// Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_PERMISSION, SHMKIT_ERR_NOT_FOUND (no
/// such folder), SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_listener_bind(
    path: *const c_char,
    out: *mut *mut shmkit_listener,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (path, out) = unsafe { (self::path(path)?, Out::at(out)?) };
        out.give(shmkit_listener { listener: Listener::bind(path)? });
        Ok(SHMKIT_OK)
    })
}

/// Gives the next client its pipe, and takes the other end, waiting for one at most `timeout_ns` nanoseconds
/// (SHMKIT_NO_WAIT, SHMKIT_FOREVER).
///
/// Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT; of one client only, so that others may come next:
/// SHMKIT_ERR_TYPE_MISMATCH, SHMKIT_ERR_PERMISSION; SHMKIT_ERR_WRONG_PROCESS, SHMKIT_ERR_INVALID_ARGUMENT,
/// SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_listener_accept(
    listener: *mut shmkit_listener,
    timeout_ns: i64,
    out: *mut *mut shmkit_pipe,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (listener, out) = unsafe { (&handle(listener)?.listener, Out::at(out)?) };
        let accepted = match u64::try_from(timeout_ns) {
            Ok(ns) => listener.accept_timeout(Duration::from_nanos(ns)),
            Err(_) => listener.accept(),
        };
        out.give(shmkit_pipe::new(BytePipe::of(accepted.map_err(accept_failed)?)));
        Ok(SHMKIT_OK)
    })
}

/// Stops listening, and removes the file; NULL is fine. Pipes stay. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_listener_free(listener: *mut shmkit_listener) {
    // SAFETY: A1.
    unsafe { discard(listener) };
}

/// Connects to the listener at `path`, in C or Rust, waiting at most `timeout_ns` nanoseconds for it to accept.
///
/// Errors: SHMKIT_ERR_NOT_FOUND (nobody listens), SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_CLOSED (it went away),
/// SHMKIT_ERR_TYPE_MISMATCH, SHMKIT_ERR_PERMISSION, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_INVALID_ARGUMENT,
/// SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pipe_connect(
    path: *const c_char,
    timeout_ns: i64,
    out: *mut *mut shmkit_pipe,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (path, out) = unsafe { (self::path(path)?, Out::at(out)?) };
        let connected = match u64::try_from(timeout_ns) {
            Ok(ns) => ConnectOptions::new().connect_timeout(path, Duration::from_nanos(ns)),
            Err(_) => api::connect(path),
        };
        out.give(shmkit_pipe::new(BytePipe::of(connected.map_err(connect_failed)?)));
        Ok(SHMKIT_OK)
    })
}
