//! The children of this process, as anybody in it may see them.

use super::child::{Child, children};
use crate::error::{Error, Result};
use crate::sys::process::Ended;
use rustix::process::Signal;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The children of this process that run, in the order in which they were started, whether or not
/// somebody has their handles. Those that have ended are reaped.
///
/// Stale at once: any of them may end, and other threads may start more.
///
/// ```
/// use shmkit::{Process, active_children};
///
/// let child: Process = Process::spawn((), || loop { std::thread::park() })?;
/// assert!(active_children().iter().any(|active| active.pid() == child.pid()));
/// child.kill()?;
/// assert!(child.join().is_err());
/// assert!(active_children().iter().all(|active| active.pid() != child.pid()));
/// # Ok::<(), shmkit::Error>(())
/// ```
pub fn active_children() -> Vec<ChildInfo> {
    children().active().into_iter().map(ChildInfo).collect()
}

/// A child of this process, from [`active_children`]. Its value is its handle's to give.
#[derive(Clone)]
pub struct ChildInfo(Arc<Child>);

impl ChildInfo {
    /// The process id, also after the end.
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// The child's label.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether the child ends with this process.
    pub fn is_daemon(&self) -> bool {
        self.0.daemon
    }

    /// Whether the child still runs. `false` is final, `true` may be stale at once.
    pub fn is_alive(&self) -> bool {
        matches!(self.0.ended(), Ok(None))
    }

    /// How the child ended, as [`Process::exitcode`](super::Process::exitcode) says; `None` while it
    /// runs, or when the kernel does not know.
    pub fn exitcode(&self) -> Option<i32> {
        match self.0.ended() {
            Ok(Some(ended)) => ended.code(),
            Ok(None) | Err(_) => None,
        }
    }

    /// Waits until the child has ended, however that is. Blocks.
    ///
    /// # Errors
    ///
    /// [`Error::Os`]: the kernel's.
    pub fn join(&self) -> Result<()> {
        self.wait(None).map(drop)
    }

    /// Waits until the child has ended (`true`), for at most `timeout` (`false`).
    ///
    /// # Errors
    ///
    /// As [`ChildInfo::join`].
    pub fn join_timeout(&self, timeout: Duration) -> Result<bool> {
        Ok(self.wait(Instant::now().checked_add(timeout))?.is_some())
    }

    fn wait(&self, deadline: Option<Instant>) -> Result<Option<Ended>> {
        let ended = self.0.wait(deadline).map_err(Error::Os)?;
        if ended.is_some() {
            children().forget(&self.0);
        }
        Ok(ended)
    }

    /// Asks the child to end, by SIGTERM, as [`Process::terminate`](super::Process::terminate).
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when the kernel refuses: the child has changed its user.
    pub fn terminate(&self) -> Result<()> {
        Ok(self.0.signal(Signal::TERM)?)
    }

    /// Ends the child by SIGKILL, as [`Process::kill`](super::Process::kill).
    ///
    /// # Errors
    ///
    /// As [`ChildInfo::terminate`].
    pub fn kill(&self) -> Result<()> {
        Ok(self.0.signal(Signal::KILL)?)
    }

    /// A descriptor that polls as readable once the child has ended.
    pub fn sentinel(&self) -> BorrowedFd<'_> {
        self.0.pidfd()
    }
}

impl AsFd for ChildInfo {
    /// As [`ChildInfo::sentinel`].
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sentinel()
    }
}

impl fmt::Debug for ChildInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildInfo")
            .field("name", &self.name())
            .field("pid", &self.pid())
            .field("daemon", &self.is_daemon())
            .finish_non_exhaustive()
    }
}
