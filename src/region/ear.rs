//! To hear rings: how a publisher reaches those who sleep in `poll` or `epoll`, in any process.
//!
//! Who rings writes a byte to the file of the region; the kernel tells everybody who watches that
//! file, by `inotify(7)`. Nobody is registered in memory, and an ear goes with its process.
//!
//! - E1. A ring that comes after [`Ear::listen`] is heard until [`Ear::hush`], by each ear that
//!   listens to the region.
//! - E2. One at a time uses an ear: what one takes away the other would miss.
//!
//! The file is that of all objects in the region, so a ring may be for another object: who hears it
//! looks, and arms again. An ear is kept for the next who needs one, since the kernel takes some
//! 15 ms to close it. A user has 128 ears, all processes together (`max_user_instances`).

use super::object::Object;
use crate::error::Result;
use crate::sync::Ordering::Relaxed;
use crate::sys::per_process::PerProcess;
use crate::sys::{fork, inotify};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Readable from a ring on until [`Ear::hush`]. Given back by its drop.
pub(crate) struct Ear {
    /// `None` only while it is dropped.
    kept: Option<Kept>,
}

/// The entry goes first, see [`fork`].
struct Kept {
    entry: fork::Entry,
    fd: OwnedFd,
    /// Which mappings it listens to, and the numbers of the watches.
    watches: Vec<(u64, i32)>,
}

/// Ears that nobody uses.
static IDLE: PerProcess<Mutex<Vec<Kept>>> = PerProcess::new(Mutex::default);

fn idle() -> MutexGuard<'static, Vec<Kept>> {
    IDLE.get().lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ear {
    /// One that listens to what it was last used for.
    pub(crate) fn take() -> Result<Ear> {
        let known = idle().pop();
        let kept = match known {
            Some(kept) => kept,
            None => Kept::new()?,
        };
        Ok(Ear { kept: Some(kept) })
    }

    fn kept(&mut self) -> &mut Kept {
        self.kept.as_mut().expect("an ear is there until drop")
    }

    /// Listens to the regions of these objects, and to no others.
    pub(crate) fn listen(&mut self, objects: &[&Object]) -> Result<()> {
        let regions: Vec<_> = objects.iter().map(|object| object.mapping()).collect();
        let Kept { fd, watches, .. } = self.kept();
        watches.retain(|(serial, watch)| {
            let stays = regions.iter().any(|region| region.serial() == *serial);
            if !stays {
                inotify::unwatch(fd.as_fd(), *watch);
            }
            stays
        });
        for region in regions {
            if watches.iter().all(|(serial, _)| *serial != region.serial()) {
                let watch = inotify::watch_writes(fd.as_fd(), region.fd())?;
                watches.push((region.serial(), watch));
            }
        }
        Ok(())
    }

    /// `false` in a forked child, which hears nothing by this.
    pub(crate) fn is_ours(&self) -> bool {
        self.kept.as_ref().is_some_and(Kept::is_ours)
    }

    /// Takes earlier rings away.
    pub(crate) fn hush(&self) {
        inotify::drain(self.fd());
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        let kept = self.kept.as_ref().expect("an ear is there until drop");
        kept.fd.as_fd()
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        if let Some(kept) = self.kept.take().filter(Kept::is_ours) {
            idle().push(kept);
        }
    }
}

impl Kept {
    fn new() -> Result<Kept> {
        let fd = inotify::new()?;
        let entry = fork::Entry::blanked_in_child(fd.as_fd())?;
        entry.id().store(1, Relaxed); // for this thread, and it moves by a lock
        Ok(Kept { entry, fd, watches: Vec::new() })
    }

    /// `false` in a forked child, where the descriptor does nothing.
    fn is_ours(&self) -> bool {
        self.entry.id().load(Relaxed) == 1
    }
}
