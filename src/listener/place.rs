//! The path of a listener: one live owner, and nothing left of the dead.
//!
//! Whoever makes or removes a socket file holds a lock of the kernel on the directory meanwhile, so
//! that nobody takes the file away that another has just made. A file at which nobody listens is a
//! dead listener's.

use crate::error::{Error, Result};
use crate::lock::deadline::{Deadline, Naps};
use crate::sys::memory::{self, FileId};
use crate::sys::socket;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a lock on the directory is waited for, which others hold for microseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// A path at which this process listens; removed with its drop.
pub(super) struct Place {
    path: PathBuf,
    file: FileId,
    maker: u32,
}

impl Place {
    /// Listens at `path`, in place of a dead listener if need be; `for_all`, or only for this user.
    pub(super) fn take(path: &Path, for_all: bool) -> Result<(Place, OwnedFd)> {
        // Of one that changes its directory later, the file is still to be removed.
        let path = std::path::absolute(path)?;
        let _directory = lock(&path)?;
        let socket = match socket::listen(&path) {
            Err(e) if e.kind() == ErrorKind::AddrInUse => {
                if !is_stale(&path)? {
                    return Err(Error::Exists);
                }
                memory::unlink(&path)?;
                socket::listen(&path)?
            }
            other => other?,
        };
        if for_all {
            socket::open_to_all(&path)?;
        }
        let file = memory::stat_path(&path)?.id;
        Ok((Place { path, file, maker: std::process::id() }, socket))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.maker != std::process::id() {
            return; // a forked copy
        }
        // What cannot be removed now is found to be stale by the next who listens here.
        let Ok(_directory) = lock(&self.path) else { return };
        if memory::stat_path(&self.path).is_ok_and(|stat| stat.id == self.file) {
            let _ = memory::unlink(&self.path);
        }
    }
}

/// Whether `path` is a socket at which nobody listens.
fn is_stale(path: &Path) -> io::Result<bool> {
    if socket::is_socket(path)? != Some(true) {
        return Ok(false);
    }
    let refused = |e: &io::Error| e.kind() == ErrorKind::ConnectionRefused;
    Ok(socket::connect(path).is_err_and(|e| refused(&e)))
}

fn lock(path: &Path) -> Result<OwnedFd> {
    let directory = path.parent().ok_or(Error::InvalidArgument("path of a listener"))?;
    let deadline = Deadline::after(PATIENCE);
    let mut naps = Naps::new();
    loop {
        match socket::lock_directory(directory) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            other => return Ok(other?),
        }
        std::thread::sleep(naps.next(deadline).ok_or(Error::Timeout)?);
    }
}
