//! What came of a call, in numbers that never change.

use std::ffi::{CStr, c_char, c_int};

/// What came of a call: 0 is success, more than 0 success with news, less than 0 failure.
///
/// The numbers are part of the binary interface: they never change, and new ones may come.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(non_camel_case_types, clippy::upper_case_acronyms)]
pub enum shmkit_status {
    /// Done.
    SHMKIT_OK = 0,
    /// The lock *is* held, but its last holder died in its section: repair what it protects and call
    /// `_mark_consistent`, or the next owner is told again.
    SHMKIT_OWNER_DIED = 1,
    /// Not now, and the call was not to wait.
    SHMKIT_ERR_WOULD_BLOCK = -1,
    /// Not for as long as the call was to wait.
    SHMKIT_ERR_TIMED_OUT = -2,
    /// The other side is closed, and nothing is left.
    SHMKIT_ERR_CLOSED = -3,
    /// The process of the other side has died, and nothing is left.
    SHMKIT_ERR_PEER_DIED = -4,
    /// The barrier is broken.
    SHMKIT_ERR_BROKEN = -5,
    /// Kept for objects that cannot be used again after a death; no function returns it now.
    SHMKIT_ERR_NOT_RECOVERABLE = -6,
    /// This thread does not hold the lock.
    SHMKIT_ERR_NOT_OWNER = -7,
    /// This thread would wait for itself.
    SHMKIT_ERR_DEADLOCK = -8,
    /// The semaphore would have more permits than it can have.
    SHMKIT_ERR_OVERFLOW = -9,
    /// The message can never fit.
    SHMKIT_ERR_TOO_LARGE = -10,
    /// The message is longer than the buffer; it is still there.
    SHMKIT_ERR_BUFFER_TOO_SMALL = -11,
    /// An argument is NULL, outside its range, or contradicts another.
    SHMKIT_ERR_INVALID_ARGUMENT = -20,
    /// Nothing live has this name.
    SHMKIT_ERR_NOT_FOUND = -21,
    /// Something live has this name.
    SHMKIT_ERR_EXISTS = -22,
    /// The system does not allow it.
    SHMKIT_ERR_PERMISSION = -23,
    /// There is not that much memory.
    SHMKIT_ERR_NO_MEMORY = -24,
    /// The region, its table of processes, or the shared-memory file system is full.
    SHMKIT_ERR_NO_SPACE = -25,
    /// It is there, but of another kind, or of other elements.
    SHMKIT_ERR_TYPE_MISMATCH = -26,
    /// It was made by a library with another format of shared memory.
    SHMKIT_ERR_LAYOUT_VERSION = -27,
    /// What lies in shared memory cannot be true.
    SHMKIT_ERR_CORRUPT = -28,
    /// The handle belongs to another process: this is a forked copy, or the end was moved.
    SHMKIT_ERR_WRONG_PROCESS = -29,
    /// In use: the end has a live owner, or a message is still lent.
    SHMKIT_ERR_BUSY = -30,
    /// This cannot be done here; `shmkit_last_error()` says why.
    SHMKIT_ERR_UNSUPPORTED = -31,
    /// The system refused: see `shmkit_last_errno()`.
    SHMKIT_ERR_SYSTEM = -32,
    /// A bug of the library, which was contained.
    SHMKIT_ERR_INTERNAL = -99,
}

pub(crate) use shmkit_status::*;

type Row = (shmkit_status, &'static CStr, &'static CStr, c_int);

const TABLE: &[Row] = &[
    (SHMKIT_OK, c"SHMKIT_OK", c"done", 0),
    (
        SHMKIT_OWNER_DIED,
        c"SHMKIT_OWNER_DIED",
        c"held, after its last holder died",
        libc::EOWNERDEAD,
    ),
    (SHMKIT_ERR_WOULD_BLOCK, c"SHMKIT_ERR_WOULD_BLOCK", c"the call would block", libc::EAGAIN),
    (SHMKIT_ERR_TIMED_OUT, c"SHMKIT_ERR_TIMED_OUT", c"timed out", libc::ETIMEDOUT),
    (SHMKIT_ERR_CLOSED, c"SHMKIT_ERR_CLOSED", c"the other side is closed", libc::EPIPE),
    (SHMKIT_ERR_PEER_DIED, c"SHMKIT_ERR_PEER_DIED", c"the other side has died", libc::ECONNRESET),
    (SHMKIT_ERR_BROKEN, c"SHMKIT_ERR_BROKEN", c"the barrier is broken", libc::ECANCELED),
    (
        SHMKIT_ERR_NOT_RECOVERABLE,
        c"SHMKIT_ERR_NOT_RECOVERABLE",
        c"not usable after a death",
        libc::ENOTRECOVERABLE,
    ),
    (
        SHMKIT_ERR_NOT_OWNER,
        c"SHMKIT_ERR_NOT_OWNER",
        c"this thread does not hold the lock",
        libc::EPERM,
    ),
    (
        SHMKIT_ERR_DEADLOCK,
        c"SHMKIT_ERR_DEADLOCK",
        c"this thread would wait for itself",
        libc::EDEADLK,
    ),
    (
        SHMKIT_ERR_OVERFLOW,
        c"SHMKIT_ERR_OVERFLOW",
        c"more permits than the semaphore can have",
        libc::EOVERFLOW,
    ),
    (SHMKIT_ERR_TOO_LARGE, c"SHMKIT_ERR_TOO_LARGE", c"the message can never fit", libc::EMSGSIZE),
    (
        SHMKIT_ERR_BUFFER_TOO_SMALL,
        c"SHMKIT_ERR_BUFFER_TOO_SMALL",
        c"the message is longer than the buffer",
        libc::ENOBUFS,
    ),
    (
        SHMKIT_ERR_INVALID_ARGUMENT,
        c"SHMKIT_ERR_INVALID_ARGUMENT",
        c"invalid argument",
        libc::EINVAL,
    ),
    (SHMKIT_ERR_NOT_FOUND, c"SHMKIT_ERR_NOT_FOUND", c"nothing live has this name", libc::ENOENT),
    (SHMKIT_ERR_EXISTS, c"SHMKIT_ERR_EXISTS", c"something live has this name", libc::EEXIST),
    (SHMKIT_ERR_PERMISSION, c"SHMKIT_ERR_PERMISSION", c"not allowed", libc::EACCES),
    (SHMKIT_ERR_NO_MEMORY, c"SHMKIT_ERR_NO_MEMORY", c"not that much memory", libc::ENOMEM),
    (SHMKIT_ERR_NO_SPACE, c"SHMKIT_ERR_NO_SPACE", c"no space left", libc::ENOSPC),
    (
        SHMKIT_ERR_TYPE_MISMATCH,
        c"SHMKIT_ERR_TYPE_MISMATCH",
        c"of another kind, or of other elements",
        libc::EMEDIUMTYPE,
    ),
    (
        SHMKIT_ERR_LAYOUT_VERSION,
        c"SHMKIT_ERR_LAYOUT_VERSION",
        c"made with another format of shared memory",
        libc::EPROTO,
    ),
    (
        SHMKIT_ERR_CORRUPT,
        c"SHMKIT_ERR_CORRUPT",
        c"what lies in shared memory cannot be true",
        libc::EBADMSG,
    ),
    (
        SHMKIT_ERR_WRONG_PROCESS,
        c"SHMKIT_ERR_WRONG_PROCESS",
        c"the handle belongs to another process",
        libc::ESRCH,
    ),
    (SHMKIT_ERR_BUSY, c"SHMKIT_ERR_BUSY", c"in use", libc::EBUSY),
    (
        SHMKIT_ERR_UNSUPPORTED,
        c"SHMKIT_ERR_UNSUPPORTED",
        c"this cannot be done here",
        libc::EOPNOTSUPP,
    ),
    (SHMKIT_ERR_SYSTEM, c"SHMKIT_ERR_SYSTEM", c"the system refused", libc::EIO),
    (SHMKIT_ERR_INTERNAL, c"SHMKIT_ERR_INTERNAL", c"a bug of the library", libc::ENOTRECOVERABLE),
];

fn row(status: i32) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.0 as i32 == status)
}

/// The name of a status as in this header; of a number that is none, "SHMKIT_UNKNOWN".
///
/// Static; never NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn shmkit_status_name(status: i32) -> *const c_char {
    row(status).map_or(c"SHMKIT_UNKNOWN", |row| row.1).as_ptr()
}

/// What a status means, in a few words; of a number that is none, "unknown status".
///
/// Static; never NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn shmkit_status_message(status: i32) -> *const c_char {
    row(status).map_or(c"unknown status", |row| row.2).as_ptr()
}

/// The `errno` value that comes nearest to a status: 0 for `SHMKIT_OK`, EINVAL for a number that is
/// none. Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn shmkit_status_errno(status: i32) -> c_int {
    row(status).map_or(libc::EINVAL, |row| row.3)
}
