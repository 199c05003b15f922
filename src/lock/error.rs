//! Why a lock was not acquired cleanly.

use super::raw::LockFailure;
use crate::error::Error;
use std::fmt;
use std::io;
use std::ops::Deref;

/// Why a lock was not acquired, or not cleanly. `G` is the guard.
#[non_exhaustive]
pub enum LockError<G> {
    /// The previous holder died, panicked or gave up inside its critical section. The lock *is*
    /// held: see [`OwnerDied`].
    OwnerDied(OwnerDied<G>),
    /// Somebody else holds the lock, and the call does not wait.
    WouldBlock,
    /// Somebody else held the lock for as long as the call was to wait.
    Timeout,
    /// This thread holds the lock already.
    WouldDeadlock,
    /// The kernel refused: only when a forked child uses the handle for the first time.
    Os(io::Error),
}

/// A lock acquired after a death: what it protects is as the dead holder last published it.
///
/// Look at it through `*died`, then [`recover`](OwnerDied::recover) to get the guard and go on.
/// Dropped unrecovered, the lock is released and the next owner is told again.
///
/// ```
/// use shmkit::{Lock, LockError};
///
/// let lock = Lock::new(0u32)?;
/// let guard = match lock.lock() {
///     Ok(guard) => guard,
///     Err(LockError::OwnerDied(died)) => {
///         eprintln!("the last writer died; the value is {}", **died);
///         died.recover()
///     }
///     Err(other) => return Err(other.into()),
/// };
/// # drop(guard);
/// # Ok::<(), shmkit::Error>(())
/// ```
#[must_use = "dropping this unrecovered tells the next owner again"]
pub struct OwnerDied<G> {
    guard: G,
    repair: fn(&mut G),
}

impl<G> OwnerDied<G> {
    pub(crate) fn new(guard: G, repair: fn(&mut G)) -> OwnerDied<G> {
        OwnerDied { guard, repair }
    }

    /// The same news with less in hand; what the lock protects counts as good.
    pub(crate) fn told(self) -> OwnerDied<()> {
        drop(self.recover());
        OwnerDied::new((), |()| {})
    }

    /// Declares what the lock protects good, and goes on as its owner. Does not block.
    pub fn recover(mut self) -> G {
        (self.repair)(&mut self.guard);
        self.guard
    }
}

impl<G> Deref for OwnerDied<G> {
    type Target = G;

    fn deref(&self) -> &G {
        &self.guard
    }
}

impl<G> fmt::Debug for OwnerDied<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnerDied(..)")
    }
}

impl<G> fmt::Display for OwnerDied<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Error::OwnerDied.fmt(f)
    }
}

impl<G> std::error::Error for OwnerDied<G> {}

impl<G> LockError<G> {
    /// The same with what `wrap` makes of the guard, which `repair` declares good.
    pub(crate) fn map<H>(self, wrap: impl FnOnce(G) -> H, repair: fn(&mut H)) -> LockError<H> {
        match self {
            LockError::OwnerDied(OwnerDied { guard, .. }) => {
                LockError::OwnerDied(OwnerDied::new(wrap(guard), repair))
            }
            LockError::WouldBlock => LockError::WouldBlock,
            LockError::Timeout => LockError::Timeout,
            LockError::WouldDeadlock => LockError::WouldDeadlock,
            LockError::Os(e) => LockError::Os(e),
        }
    }

    /// The same error; a death is told without its guard, which is released.
    pub(crate) fn without_guard(self) -> LockError<()> {
        self.map(drop, |()| {})
    }
}

impl<G> fmt::Debug for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::OwnerDied(died) => died.fmt(f),
            LockError::WouldBlock => f.write_str("WouldBlock"),
            LockError::Timeout => f.write_str("Timeout"),
            LockError::WouldDeadlock => f.write_str("WouldDeadlock"),
            LockError::Os(e) => f.debug_tuple("Os").field(e).finish(),
        }
    }
}

impl<G> fmt::Display for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::OwnerDied(_) => Error::OwnerDied.fmt(f),
            LockError::WouldBlock => Error::WouldBlock.fmt(f),
            LockError::Timeout => Error::Timeout.fmt(f),
            LockError::WouldDeadlock => Error::WouldDeadlock.fmt(f),
            LockError::Os(e) => e.fmt(f),
        }
    }
}

impl<G> std::error::Error for LockError<G> {}

impl<G> From<LockFailure> for LockError<G> {
    fn from(failure: LockFailure) -> LockError<G> {
        match failure {
            LockFailure::WouldBlock => LockError::WouldBlock,
            LockFailure::Timeout => LockError::Timeout,
            LockFailure::WouldDeadlock => LockError::WouldDeadlock,
        }
    }
}

impl<G> From<LockError<G>> for Error {
    fn from(e: LockError<G>) -> Error {
        match e {
            LockError::OwnerDied(_) => Error::OwnerDied,
            LockError::WouldBlock => Error::WouldBlock,
            LockError::Timeout => Error::Timeout,
            LockError::WouldDeadlock => Error::WouldDeadlock,
            LockError::Os(e) => e.into(),
        }
    }
}

impl<G> From<OwnerDied<G>> for Error {
    fn from(_: OwnerDied<G>) -> Error {
        Error::OwnerDied
    }
}
