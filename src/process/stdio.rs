//! Where the standard streams of a process lead.

use crate::sys::process::above_stdio;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

/// Where a standard stream of a process leads, for [`Builder::stdin`](super::Builder::stdin) and its
/// neighbours.
///
/// Files, sockets and the ends of pipes turn into one, too: `stdout(File::create("log")?)`.
#[derive(Clone, Debug)]
pub struct Stdio(pub(super) Lead);

#[derive(Clone, Debug)]
pub(super) enum Lead {
    Inherit,
    Null,
    Piped,
    Fd(Arc<OwnedFd>),
}

impl Stdio {
    /// Where this process's own leads.
    pub fn inherit() -> Stdio {
        Stdio(Lead::Inherit)
    }

    /// To `/dev/null`.
    pub fn null() -> Stdio {
        Stdio(Lead::Null)
    }

    /// Through a pipe to the handle: [`Process::take_stdin`](super::Process::take_stdin) and its
    /// neighbours.
    pub fn piped() -> Stdio {
        Stdio(Lead::Piped)
    }
}

impl<T: Into<OwnedFd>> From<T> for Stdio {
    fn from(fd: T) -> Stdio {
        Stdio(Lead::Fd(Arc::new(fd.into())))
    }
}

/// The parent's ends of pipes to the standard streams of a child.
#[derive(Debug, Default)]
pub(super) struct Pipes([Mutex<Option<OwnedFd>>; 3]);

impl Pipes {
    /// Makes the pipe for the stream of this number, and returns the child's end.
    pub(super) fn open(&mut self, number: usize) -> io::Result<OwnedFd> {
        let (reader, writer) = io::pipe()?;
        let (mine, theirs): (OwnedFd, OwnedFd) = match number {
            0 => (writer.into(), reader.into()),
            _ => (reader.into(), writer.into()),
        };
        self.0[number] = Mutex::new(Some(above_stdio(mine)?));
        above_stdio(theirs)
    }

    fn take(&self, number: usize) -> Option<OwnedFd> {
        self.0[number].lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn writer(&self) -> Option<PipeWriter> {
        self.take(0).map(PipeWriter::from)
    }

    pub(super) fn reader(&self, number: usize) -> Option<PipeReader> {
        self.take(number).map(PipeReader::from)
    }
}
