//! Names of regions: files in `/dev/shm`, owned by whoever is alive.
//!
//! - N1. A name appears when its region is complete (`linkat` of a nameless file), never before.
//! - N2. Each user holds `USERS` shared; who gets it exclusively knows that nobody lives, and may
//!   remove the name, after a look that it still belongs to this file.

use super::header::{MAGIC, lock_byte};
use crate::error::{Error, Result};
use crate::sys::memory::{self, SHM_DIR};
use crate::sys::ofd::{self, Mode};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The file of a region, or `InvalidName`.
pub(crate) fn path(name: &str) -> Result<PathBuf> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if name.is_empty() || name.len() > 200 || name.starts_with('.') || !name.bytes().all(allowed) {
        return Err(Error::InvalidName(name.to_owned()));
    }
    Ok(Path::new(SHM_DIR).join(format!("shmkit.{name}")))
}

/// Opens the file of a live region and joins its users.
pub(crate) fn open(path: &Path) -> Result<OwnedFd> {
    loop {
        let fd = memory::open(path)?;
        let stat = memory::stat(fd.as_fd())?;
        if !stat.is_regular {
            return Err(Error::NotARegion);
        }
        if stat.owner != memory::effective_user() && stat.owner != 0 {
            return Err(Error::Os(io::ErrorKind::PermissionDenied.into()));
        }
        if remove_if_dead(fd.as_fd(), path)? {
            return Err(Error::NotFound);
        }
        ofd::lock(fd.as_fd(), lock_byte::USERS, Mode::Shared)?;
        if memory::stat(fd.as_fd())?.links != 0 {
            return Ok(fd);
        }
        // The last user removed the name while we waited; somebody may have taken it anew.
    }
}

/// Gives `fd`, whose `USERS` byte we hold shared, its name.
pub(crate) fn publish(fd: BorrowedFd<'_>, path: &Path) -> Result<()> {
    loop {
        match memory::give_name(fd, path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                if !reclaim(path)? {
                    return Err(Error::Exists);
                }
            }
            other => return Ok(other?),
        }
    }
}

/// Makes a name free if its users are dead; `false` if one lives.
pub(crate) fn reclaim(path: &Path) -> Result<bool> {
    let fd = match memory::open(path) {
        Ok(fd) => fd,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(e) => return Err(e.into()),
    };
    if remove_if_dead(fd.as_fd(), path)? {
        return Ok(true);
    }
    // Not a user perhaps, but somebody who is about to remove the name: wait for that, and look
    // once more in case it died.
    ofd::lock(fd.as_fd(), lock_byte::USERS, Mode::Shared)?;
    if memory::stat(fd.as_fd())?.links == 0 {
        return Ok(true);
    }
    ofd::unlock(fd.as_fd(), lock_byte::USERS)?;
    remove_if_dead(fd.as_fd(), path)
}

/// Removes the name of a region without a live user; a file that is no region is left alone.
fn remove_if_dead(fd: BorrowedFd<'_>, path: &Path) -> Result<bool> {
    if !ofd::try_lock(fd, lock_byte::USERS, Mode::Exclusive)? {
        return Ok(false);
    }
    let removed = if memory::first_bytes(fd)? == Some(MAGIC.to_ne_bytes()) {
        remove(fd, path).map(|()| true)
    } else {
        Err(Error::NotARegion)
    };
    ofd::unlock(fd, lock_byte::USERS)?;
    removed
}

/// Ends our use of the region, and removes the name if nobody else is left.
pub(crate) fn leave(fd: BorrowedFd<'_>, path: &Path) -> Result<()> {
    // Two that leave at once must not each be in the way of the other: ours goes first.
    ofd::unlock(fd, lock_byte::USERS)?;
    if ofd::try_lock(fd, lock_byte::USERS, Mode::Exclusive)? {
        remove(fd, path)?;
    }
    Ok(())
}

/// Removes the name of a region, used or not; a file that is no region is left alone.
pub(crate) fn unlink(path: &Path) -> Result<()> {
    let fd = memory::open(path)?;
    match memory::first_bytes(fd.as_fd())? == Some(MAGIC.to_ne_bytes()) {
        true => remove(fd.as_fd(), path),
        false => Err(Error::NotARegion),
    }
}

/// Call with `USERS` held exclusively (N2).
fn remove(fd: BorrowedFd<'_>, path: &Path) -> Result<()> {
    match memory::stat_path(path) {
        Ok(named) if named.id == memory::stat(fd)?.id => Ok(memory::unlink(path)?),
        _ => Ok(()), // gone, or another region by now
    }
}
