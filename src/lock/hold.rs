//! A robust lock in a region, held: what guards of locks, values and arrays have in common.
//!
//! - H1. While a `Hold` lives, its participant and thread own the lock, unless this is a forked
//!   child that inherited the `Hold`; then it does nothing any more.

use super::deadline::Deadline;
use super::error::{LockError, OwnerDied};
use super::raw::{Acquired, RawLock, Release, owned_by};
use crate::region::id::{Liveness, ParticipantId};
use crate::region::{Attached, Pinned};
use std::marker::PhantomData;

/// A lock that this thread holds; released on drop.
pub(crate) struct Hold<'a> {
    lock: &'a Pinned<RawLock>,
    who: Attached<'a>,
    /// What the word says of us while nothing else is to be said.
    owned: u64,
    /// What is protected awaits a repair.
    abandoned: bool,
    /// A panic that began before the lock was taken is no reason to distrust what it protects.
    panicking_before: bool,
    not_send: PhantomData<*const ()>,
}

impl<'a> Hold<'a> {
    /// Acquires `lock`; the guard made of the hold by `wrap` comes back in either case.
    #[inline]
    pub(crate) fn acquire<G>(
        lock: &'a Pinned<RawLock>,
        deadline: Deadline,
        wrap: impl FnOnce(Hold<'a>) -> G,
        repair: fn(&mut G),
    ) -> Result<G, LockError<G>> {
        let who = lock.object().attached().map_err(|e| LockError::Os(e.into()))?;
        let owned = owned_by(who.me());
        let hold = |abandoned| Hold {
            lock,
            who,
            owned,
            abandoned,
            panicking_before: std::thread::panicking(),
            not_send: PhantomData,
        };
        // A copy is lent, and only where it must be, so that `who` itself stays in registers.
        let acquired = match lock.claim(owned) {
            true => Ok(Acquired::Clean),
            false => lock.lock_contended(&{ who }, deadline),
        };
        match acquired {
            Ok(Acquired::Clean) => Ok(wrap(hold(false))),
            Ok(Acquired::OwnerDied) => {
                Err(LockError::OwnerDied(OwnerDied::new(wrap(hold(true)), repair)))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// The lock that is held.
    pub(crate) fn lock(&self) -> &'a Pinned<RawLock> {
        self.lock
    }

    /// Declares what is protected good.
    pub(crate) fn recover(&mut self) {
        if self.is_ours() {
            self.lock.mark_recovered();
            self.abandoned = false;
        }
    }

    /// Whether an edit may be published: held, repaired, and not torn by a panic.
    #[inline(always)]
    pub(crate) fn is_good(&self) -> bool {
        !self.abandoned && !self.panicked() && self.is_ours()
    }

    #[inline(always)]
    fn panicked(&self) -> bool {
        !self.panicking_before && std::thread::panicking()
    }

    /// Whether this is no copy that a fork has made.
    #[inline(always)]
    pub(crate) fn is_ours(&self) -> bool {
        self.who.is_still_me() // H1
    }
}

impl Drop for Hold<'_> {
    // Inlined, and nothing of the guard's address goes anywhere: in registers it costs nothing,
    // while a release has to wait for every store before it.
    #[inline(always)]
    fn drop(&mut self) {
        if self.is_ours()
            && (self.abandoned || std::thread::panicking() || !self.lock.release(self.owned))
        {
            release_flagged(self.lock, self.who.me(), self.abandoned, self.panicking_before);
        }
    }
}

#[cold]
fn release_flagged(lock: &RawLock, me: ParticipantId, abandoned: bool, panicking_before: bool) {
    let abandon = abandoned || !panicking_before && std::thread::panicking();
    lock.release_flagged(me, if abandon { Release::Abandon } else { Release::Clean });
}
