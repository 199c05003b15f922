//! To wait for several things at once: some in memory, some in the kernel.
//!
//! One `poll(2)` sleeps for all of them. What is in memory rings a bell that `poll` sees: the file of
//! its region, by an [`Ear`], or a socket of its own. Publishers ring only where somebody has armed.
//!
//! # Invariants
//!
//! - M1. Before each sleep earlier rings are taken away, then every bell is armed, then everything is
//!   looked at. So what is published after the look rings into this very sleep (see
//!   [`EventCount`](super::event::EventCount)).
//! - M2. A bell that cannot be silenced is left out of the sleep, which would not be one.
//!
//! # Death
//!
//! Sleeps are capped, and after each in vain the things are asked whether somebody has died on whom
//! they depend. So a publisher that is killed between its publication and its ring costs one nap, and
//! so does a death that only the kernel knows of. A waiter that is killed leaves its wishes, which cost
//! one vain ring each.
//!
//! # Limits
//!
//! Where the kernel gives no more ears (128 for all processes of a user), naps of 5 ms take the place of
//! bells.

use super::deadline::{Deadline, Naps};
use crate::error::Result;
use crate::region::Object;
use crate::region::ear::Ear;
use crate::sys::poll;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// One of the things to wait for.
pub enum Source<'a> {
    /// A descriptor, ready while it is readable or has lost its peer.
    Fd(BorrowedFd<'a>),
    /// Something that others change in memory.
    Memory(Box<dyn Memory + 'a>),
}

/// Something that others change in memory, and how to learn of it.
pub trait Memory {
    /// Whether it is ready, by a look at memory.
    fn is_ready(&self) -> bool;

    /// Whether it is ready, after the kernel was asked who has died.
    fn ask(&self) -> bool {
        self.is_ready()
    }

    /// Where it rings; always the same.
    fn bell(&self) -> Bell<'_>;

    /// Asks for the next ring. Whether the bell is silent now: `false` only for one of its own.
    fn arm(&self) -> bool;
}

impl<M: Memory + ?Sized> Memory for &M {
    fn is_ready(&self) -> bool {
        (**self).is_ready()
    }

    fn ask(&self) -> bool {
        (**self).ask()
    }

    fn bell(&self) -> Bell<'_> {
        (**self).bell()
    }

    fn arm(&self) -> bool {
        (**self).arm()
    }
}

/// By what somebody is told who sleeps in `poll`.
pub enum Bell<'a> {
    /// A write to the file of the object's region.
    #[expect(private_interfaces, reason = "behind a sealed trait, where nobody else gets")]
    Region(&'a Object),
    /// A descriptor that [`Memory::arm`] silences.
    Fd(BorrowedFd<'a>),
}

/// Waits until at least one of `sources` is ready, at most until `deadline`, and returns the numbers of
/// all that are then.
pub(crate) fn wait(sources: &[Source<'_>], deadline: Deadline) -> Result<Vec<usize>> {
    let found = ready(sources, |memory| memory.is_ready())?;
    if !found.is_empty() {
        return Ok(found);
    }
    let (mut hearing, mut naps) = (None, Naps::new());
    while let Some(nap) = naps.next(deadline) {
        let hearing = hearing.get_or_insert_with(|| Hearing::of(sources));
        if hearing.is_deaf {
            naps = Naps::new();
        }
        hearing.sleep(sources, nap)?;
        let mut found = ready(sources, |memory| memory.is_ready())?;
        if found.is_empty() {
            found = ready(sources, |memory| memory.ask())?;
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    ready(sources, |memory| memory.ask())
}

/// The numbers of those that are ready now; those in memory by `look`.
fn ready(sources: &[Source<'_>], look: impl Fn(&dyn Memory) -> bool) -> Result<Vec<usize>> {
    let fds: Vec<_> = sources.iter().filter_map(Source::fd).collect();
    let mut readable = if fds.is_empty() { Vec::new() } else { poll::readable(&fds)? }.into_iter();
    let is_ready = |source: &Source<'_>| match source {
        Source::Fd(_) => readable.next().unwrap_or(false),
        Source::Memory(memory) => look(memory.as_ref()),
    };
    let found: Vec<_> = sources.iter().map(is_ready).collect();
    Ok((0..sources.len()).filter(|number| found[*number]).collect())
}

impl Source<'_> {
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Source::Fd(fd) => Some(*fd),
            Source::Memory(_) => None,
        }
    }

    fn region(&self) -> Option<&Object> {
        match self {
            Source::Memory(memory) => match memory.bell() {
                Bell::Region(object) => Some(object),
                Bell::Fd(_) => None,
            },
            Source::Fd(_) => None,
        }
    }
}

/// What one wait hears the regions of its sources by.
struct Hearing {
    ear: Option<Ear>,
    /// There are regions, and no ear for them.
    is_deaf: bool,
}

impl Hearing {
    fn of(sources: &[Source<'_>]) -> Hearing {
        let regions: Vec<_> = sources.iter().filter_map(Source::region).collect();
        if regions.is_empty() {
            return Hearing { ear: None, is_deaf: false };
        }
        let ear = Ear::take().and_then(|mut ear| ear.listen(&regions).map(|()| ear)).ok();
        Hearing { is_deaf: ear.is_none(), ear }
    }

    /// Sleeps until something has happened, at most for `nap` (M1). In vain, now and then.
    fn sleep(&self, sources: &[Source<'_>], nap: Duration) -> Result<()> {
        let mut fds: Vec<_> = sources.iter().filter_map(Source::fd).collect();
        if let Some(ear) = &self.ear {
            ear.hush();
            fds.push(ear.fd());
        }
        for source in sources {
            let Source::Memory(memory) = source else { continue };
            match (memory.arm(), memory.bell()) {
                (true, Bell::Fd(fd)) => fds.push(fd),
                (false, Bell::Fd(_)) => {} // M2
                (_, Bell::Region(_)) => {}
            }
        }
        let is_there = |source: &Source<'_>| matches!(source, Source::Memory(m) if m.is_ready());
        if !sources.iter().any(is_there) {
            poll::wait_any(&fds, nap)?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "many_tests.rs"]
mod tests;
