//! What a process knows of itself and of its parent.

use super::control::Start;
use crate::sys::process::{parent_pidfd, wait_for_end};
use crate::sys::replaced::Replaced;
#[cfg(feature = "authkey")]
use crate::sys::socket;
#[cfg(feature = "authkey")]
use serde::{Deserialize, Serialize};
#[cfg(feature = "authkey")]
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
#[cfg(feature = "authkey")]
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Replaced in a forked child.
static CURRENT: Replaced<Current> = Replaced::new();

/// This process, see [`current_process`].
#[derive(Debug)]
pub struct Current {
    name: String,
    identity: String,
    daemon: bool,
    parent: Option<Origin>,
    #[cfg(feature = "authkey")]
    authkey: OnceLock<AuthKey>,
}

/// A key that processes of one family share. Not to be printed.
#[cfg(feature = "authkey")]
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AuthKey(Vec<u8>);

#[cfg(feature = "authkey")]
impl fmt::Debug for AuthKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthKey(..)")
    }
}

#[cfg(feature = "authkey")]
impl AuthKey {
    pub(super) fn new(key: &[u8]) -> AuthKey {
        AuthKey(key.to_vec())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
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

/// This process: `MainProcess`, or what [`Process::spawn`](super::Process::spawn) started. In a process
/// that was forked past this crate it is still the one that was forked.
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
        #[cfg(feature = "authkey")]
        authkey: OnceLock::new(),
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

    /// The key of this process: 32 random bytes in the main process; in others that of their parent,
    /// unless [`Builder::authkey`](super::Builder::authkey) gave them another.
    ///
    /// Listeners and clients of one family of processes use it to keep all others out.
    ///
    /// # Panics
    ///
    /// When the kernel has no random bytes.
    ///
    /// ```
    /// use shmkit::{ConnectOptions, ListenerOptions, Process, current_process};
    ///
    /// let path = std::env::temp_dir().join(format!("shmkit-family.{}", std::process::id()));
    /// let text = path.to_string_lossy().into_owned();
    /// let listener = ListenerOptions::new().authkey(current_process().authkey()).bind::<u32>(&path)?;
    /// let child = Process::spawn((text,), |path: String| {
    ///     let options = ConnectOptions::new().authkey(current_process().authkey());
    ///     options.connect::<u32>(path).unwrap().send(7).unwrap()
    /// })?;
    /// assert_eq!(listener.accept()?.recv()?, 7);
    /// # child.join()?;
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    #[cfg(feature = "authkey")]
    pub fn authkey(&self) -> &[u8] {
        let random = || socket::nonce().expect("the kernel has random bytes");
        self.authkey.get_or_init(|| AuthKey::new(&random())).bytes()
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
        #[cfg(feature = "authkey")]
        authkey: start.authkey.clone().into(),
    };
    CURRENT.replace(current);
    Ok(())
}
