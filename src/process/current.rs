//! What a process knows of itself and of its parent.

use super::control::Start;
use crate::sys::process::{parent_pidfd, wait_for_end};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

static CURRENT: OnceLock<Current> = OnceLock::new();

/// This process, see [`current_process`].
#[derive(Debug)]
pub struct Current {
    name: String,
    identity: String,
    daemon: bool,
    parent: Option<Origin>,
}

#[derive(Debug)]
struct Origin {
    name: String,
    pid: u32,
    pidfd: OwnedFd,
}

/// The process that started this one, see [`parent_process`].
#[derive(Clone, Copy, Debug)]
pub struct Parent(&'static Origin);

/// This process: `MainProcess`, or what [`Process::spawn`](super::Process::spawn) started.
///
/// ```
/// use shmkit::{Process, current_process};
///
/// assert_eq!(current_process().name(), "MainProcess");
/// let child = Process::builder().name("worker").spawn((), || current_process().name().to_string())?;
/// assert_eq!(child.join()?, "worker");
/// # Ok::<(), shmkit::Error>(())
/// ```
pub fn current_process() -> &'static Current {
    CURRENT.get_or_init(|| Current {
        name: "MainProcess".into(),
        identity: String::new(),
        daemon: false,
        parent: None,
    })
}

/// The process that started this one; `None` in the main process.
///
/// ```
/// use shmkit::{Process, parent_process};
///
/// assert!(parent_process().is_none());
/// let child = Process::spawn((), || parent_process().map(|parent| parent.pid()))?;
/// assert_eq!(child.join()?, Some(std::process::id()));
/// # Ok::<(), shmkit::Error>(())
/// ```
pub fn parent_process() -> Option<Parent> {
    current_process().parent.as_ref().map(Parent)
}

/// The number of CPUs that this process may use: its affinity mask and its cgroup's quota count,
/// the machine's size does not.
pub fn cpu_count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Current {
    /// The label given by the parent, `Process-1` or `Process-1:2` by default; in the main process
    /// `MainProcess`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        std::process::id()
    }

    /// Whether this process ends with its parent; its children do too, then.
    pub fn is_daemon(&self) -> bool {
        self.daemon
    }

    /// What identifies the `number`th child.
    pub(super) fn child_identity(&self, number: u32) -> String {
        match self.identity.as_str() {
            "" => number.to_string(),
            own => format!("{own}:{number}"),
        }
    }
}

impl Parent {
    /// The parent's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The parent's process id, which may belong to another process once the parent is dead.
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// Whether the parent still runs. `false` is final, `true` may be stale at once.
    pub fn is_alive(&self) -> bool {
        !wait_for_end(self.sentinel(), Some(Instant::now())).unwrap_or(false)
    }

    /// Waits until the parent has ended.
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn join(&self) -> io::Result<()> {
        wait_for_end(self.sentinel(), None).map(drop)
    }

    /// Waits until the parent has ended (`true`), for at most `timeout` (`false`).
    ///
    /// # Errors
    ///
    /// The kernel's.
    pub fn join_timeout(&self, timeout: Duration) -> io::Result<bool> {
        wait_for_end(self.sentinel(), Instant::now().checked_add(timeout))
    }

    /// A descriptor that polls as readable once the parent has ended.
    pub fn sentinel(&self) -> BorrowedFd<'static> {
        self.0.pidfd.as_fd()
    }
}

/// Makes this process the one that `start` describes.
pub(super) fn become_child(start: &Start) -> io::Result<()> {
    let parent = Origin {
        name: start.parent_name.clone(),
        pid: start.parent_pid,
        pidfd: parent_pidfd(start.parent_pid)?,
    };
    let current = Current {
        name: start.name.clone(),
        identity: start.identity.clone(),
        daemon: start.daemon,
        parent: Some(parent),
    };
    CURRENT.set(current).map_err(|_| io::Error::from(io::ErrorKind::AlreadyExists))
}
