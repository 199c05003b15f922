//! To wait for several things at once.
//!
//! Source: `multiprocessing.connection.wait` of Python for the behaviour; the mechanism is that of
//! [`crate::lock::many`].

mod waitable;

pub use waitable::{Readable, Waitable};

use crate::error::{Error, Result};
use crate::lock::deadline::Deadline;
use crate::lock::many::{self, Source};
use std::time::Duration;

/// Waits until at least one of `sources` is ready, at most `timeout`, and returns the places of all
/// that are: in order, none when the time has passed.
///
/// `timeout` is a [`Duration`] or an `Option` of one; `None` waits as long as it takes, zero not at all.
/// What is ready stays so until somebody changes that: a connection until its messages are received, an
/// event until it is cleared, a process for good. See [`Waitable`] for what can be waited for, in any
/// mix, and when it is ready.
///
/// Any number of threads and processes may wait for the same things at once; all of them are told. That
/// one was told does not reserve anything: another may have taken the message meanwhile, so receive
/// without blocking where that can be.
///
/// Sleeps in the kernel. Others pay only while somebody does: one system call more at their next `set`,
/// send or arrival. This process keeps one descriptor for each thread that waits for more than
/// connections, processes and descriptors (of which a user has 128 by default; beyond that things in
/// memory are looked at every 5 ms). A death is noticed after 5 to 50 ms where the kernel does not tell
/// at once.
///
/// # Errors
///
/// [`Error::InvalidArgument`] to wait for nothing without a timeout; [`Error::Os`] when there are more
/// descriptors to wait for than this process may have.
///
/// ```
/// use shmkit::{Event, Pipe, Process, wait};
/// use std::time::Duration;
///
/// let (here, there) = Pipe::<u32>::new()?;
/// let stop = Event::new()?;
/// let child = Process::spawn((there,), |c: shmkit::Connection<u32>| c.send(7).unwrap())?;
///
/// assert_eq!(wait(&[&here, &stop], None)?, [0]);
/// assert_eq!(here.recv()?, 7);
/// stop.set();
/// assert_eq!(wait(&[&child, &stop], Duration::ZERO)?.last(), Some(&1));
/// assert_eq!(wait(&[&child], Duration::from_secs(30))?, [0]); // it has ended
/// # Ok::<(), shmkit::Error>(())
/// ```
pub fn wait(sources: &[&dyn Waitable], timeout: impl Into<Option<Duration>>) -> Result<Vec<usize>> {
    let deadline = timeout.into().map_or(Deadline::Never, Deadline::after);
    if sources.is_empty() && deadline == Deadline::Never {
        return Err(Error::InvalidArgument("nothing to wait for, for ever"));
    }
    let sources: Vec<Source<'_>> = sources.iter().map(|source| source.source()).collect();
    many::wait(&sources, deadline)
}
