//! How a task of a pool can end without a value.

use crate::error::{Error, PanicInfo};
use std::fmt;
use std::io;

/// Why a task has no value. Other tasks are not concerned, unless it is said here.
#[derive(Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// The function panicked; its worker goes on.
    Panicked(PanicInfo),
    /// The worker that ran the task died: by this signal, or because the task made it exit with this
    /// code. The task may have had effects.
    WorkerDied {
        /// The signal's number: 9 for SIGKILL, 6 for an abort, as a panic is under `panic = "abort"`.
        signal: Option<i32>,
        /// The exit code, which may be 0.
        code: Option<i32>,
    },
    /// The pool was terminated, or dropped, before the task was done.
    Terminated,
    /// The pool takes no tasks any more.
    Closed,
    /// The pool cannot have workers any more: they could not be started, or their initializer failed,
    /// three times in a row. Concerns all its tasks.
    Broken,
    /// The time given has passed. The task goes on.
    Timeout,
    /// Arguments or value are larger than the pool's memory for such.
    TooLarge,
    /// The pool belongs to the process that made it, and this is a forked child.
    WrongProcess,
    /// The function is not part of the executable, so that a worker could not find it.
    ForeignFunction,
    /// The arguments or the value could not be encoded; the text says which.
    Encode(String),
    /// The bytes of the arguments or of the value are not of their type; the text says which.
    Decode(String),
    /// The kernel refused.
    Os(io::Error),
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Panicked(panic) => write!(f, "the task {panic}"),
            TaskError::WorkerDied { signal: Some(signal), .. } => {
                write!(f, "the worker of the task was ended by signal {signal}")
            }
            TaskError::WorkerDied { code: Some(code), .. } => {
                write!(f, "the worker of the task exited with code {code}")
            }
            TaskError::WorkerDied { .. } => {
                f.write_str("the worker of the task ended, nobody knows how")
            }
            TaskError::Terminated => f.write_str("the pool was terminated"),
            TaskError::Closed => f.write_str("the pool is closed"),
            TaskError::Broken => f.write_str("the pool cannot start workers any more"),
            TaskError::Timeout => f.write_str("timed out"),
            TaskError::TooLarge => f.write_str("larger than the memory of the pool"),
            TaskError::WrongProcess => f.write_str("the pool belongs to another process"),
            TaskError::ForeignFunction => {
                f.write_str("the function is not part of the executable of this process")
            }
            TaskError::Encode(why) => write!(f, "cannot encode {why}"),
            TaskError::Decode(why) => write!(f, "cannot decode {why}"),
            TaskError::Os(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for TaskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            TaskError::Os(e) => Some(e),
            _ => None,
        }
    }
}

impl From<TaskError> for Error {
    fn from(e: TaskError) -> Error {
        match e {
            TaskError::Timeout => Error::Timeout,
            TaskError::TooLarge => Error::TooLarge,
            TaskError::WrongProcess => Error::WrongProcess,
            TaskError::ForeignFunction => Error::ForeignFunction,
            TaskError::Encode(why) => Error::Encode(why),
            TaskError::Decode(why) => Error::Decode(why),
            TaskError::Os(e) => e.into(),
            other => Error::Task(other),
        }
    }
}

impl From<Error> for TaskError {
    fn from(e: Error) -> TaskError {
        match e {
            Error::Task(e) => e,
            Error::Timeout => TaskError::Timeout,
            Error::TooLarge => TaskError::TooLarge,
            Error::WrongProcess => TaskError::WrongProcess,
            Error::ForeignFunction => TaskError::ForeignFunction,
            Error::Encode(why) => TaskError::Encode(why),
            Error::Decode(why) => TaskError::Decode(why),
            other => TaskError::Os(other.into()),
        }
    }
}
