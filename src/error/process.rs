//! How a process can end without returning a value.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;

/// Why a process returned no value.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProcessError {
    /// The function panicked; the exit code is 1.
    Panicked(PanicInfo),
    /// The process exited before the function returned, with this code, which may be 0.
    Exited(i32),
    /// A signal ended the process.
    Signaled {
        /// The signal's number: 9 for SIGKILL, 11 for a segmentation fault or a stack overflow.
        signal: i32,
        /// Whether the kernel wrote a core dump.
        core: bool,
        /// The panic that led there: under `panic = "abort"`, or in a `drop` while unwinding.
        panic: Option<PanicInfo>,
    },
    /// The process has ended, somebody else has reaped it, and nothing is known of how it ended.
    Unknown,
    /// The bytes of the arguments or of the value are not of their type; the text says which.
    Decode(String),
    /// The function returned, but its value could not be encoded.
    Encode(String),
    /// The kernel refused.
    Os(io::Error),
}

/// What a panic in another process said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PanicInfo {
    pub(crate) message: String,
    pub(crate) location: Option<String>,
    pub(crate) backtrace: Option<String>,
}

impl PanicInfo {
    /// The text of the panic.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where it happened: `src/main.rs:10:5`.
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// The backtrace, if `RUST_BACKTRACE` was set in the process.
    pub fn backtrace(&self) -> Option<&str> {
        self.backtrace.as_deref()
    }
}

impl fmt::Display for PanicInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "panicked at {location}: {}", self.message),
            None => write!(f, "panicked: {}", self.message),
        }
    }
}

impl fmt::Display for ProcessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProcessError::Panicked(panic) => write!(f, "the process {panic}"),
            ProcessError::Exited(code) => write!(f, "the process exited with code {code}"),
            ProcessError::Signaled { signal, core, panic } => {
                write!(f, "the process was ended by signal {signal}")?;
                if *core {
                    f.write_str(" (core dumped)")?;
                }
                match panic {
                    Some(panic) => write!(f, " after it {panic}"),
                    None => Ok(()),
                }
            }
            ProcessError::Unknown => f.write_str("the process ended, nobody knows how"),
            ProcessError::Decode(why) => write!(f, "cannot decode {why}"),
            ProcessError::Encode(why) => write!(f, "cannot encode the returned value: {why}"),
            ProcessError::Os(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for ProcessError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ProcessError::Os(e) => Some(e),
            _ => None,
        }
    }
}

impl From<ProcessError> for Error {
    fn from(e: ProcessError) -> Error {
        Error::Process(e)
    }
}
