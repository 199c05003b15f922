//! Slots lent to the caller: written or read in place, and finished when he says so.

#![allow(unsafe_code)]

use super::site::Site;
use super::words::{CONSUMER, PRODUCER};
use super::{Claim, Ring};
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

/// A slot that is claimed for as long as this lives.
struct Held<'a, S: Site> {
    ring: &'a Ring<S>,
    claim: Claim,
    /// The word of the participant that has claimed.
    owner: u32,
}

impl<'a, S: Site> Held<'a, S> {
    fn new(ring: &'a Ring<S>, claim: Claim) -> Self {
        Held { ring, claim, owner: ring.site.own_word() }
    }

    #[inline(always)]
    fn slot(&self) -> (&'a S, usize) {
        (&self.ring.site, self.ring.index(self.claim.first))
    }

    /// Whether this process has claimed: what a forked child inherits is its parent's.
    fn is_mine(&self) -> bool {
        self.ring.site.own_word() == self.owner
    }
}

/// A free slot lent for writing. Dropped without [`Reserved::commit`]: nothing was pushed.
pub(crate) struct Reserved<'a, S: Site> {
    held: Held<'a, S>,
}

impl<'a, S: Site> Reserved<'a, S> {
    pub(super) fn new(ring: &'a Ring<S>, claim: Claim) -> Self {
        Reserved { held: Held::new(ring, claim) }
    }

    /// Where the slot is.
    #[inline(always)]
    pub(super) fn slot(&self) -> (&'a S, usize) {
        self.held.slot()
    }

    pub(super) fn is_mine(&self) -> bool {
        self.held.is_mine()
    }

    /// What tells this push from all others: the position of its slot.
    pub(crate) fn position(&self) -> u64 {
        self.held.claim.first >> 16
    }

    /// Pushes what is in the slot.
    #[inline]
    pub(crate) fn commit(self) {
        let this = ManuallyDrop::new(self);
        if this.held.is_mine() {
            this.held.ring.finish::<PRODUCER>(this.held.claim);
        }
    }
}

impl<S: Site> Deref for Reserved<'_, S> {
    type Target = S::Value;

    fn deref(&self) -> &S::Value {
        let ring = self.held.ring;
        // SAFETY: I4, I7: the slot is in bounds and ours while this lives; any bytes are a value.
        unsafe { &*ring.site.writing(ring.index(self.held.claim.first)) }
    }
}

impl<S: Site> DerefMut for Reserved<'_, S> {
    fn deref_mut(&mut self) -> &mut S::Value {
        let ring = self.held.ring;
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { &mut *ring.site.writing(ring.index(self.held.claim.first)) }
    }
}

impl<S: Site> Drop for Reserved<'_, S> {
    fn drop(&mut self) {
        if self.held.is_mine() {
            self.held.ring.give_up(self.held.claim.first);
        }
    }
}

/// A value lent for reading. Dropped without [`Leased::release`]: it goes back into the ring.
pub(crate) struct Leased<'a, S: Site> {
    held: Held<'a, S>,
}

impl<'a, S: Site> Leased<'a, S> {
    pub(super) fn new(ring: &'a Ring<S>, claim: Claim) -> Self {
        Leased { held: Held::new(ring, claim) }
    }

    /// Where the slot is.
    #[inline(always)]
    pub(super) fn slot(&self) -> (&'a S, usize) {
        self.held.slot()
    }

    pub(super) fn is_mine(&self) -> bool {
        self.held.is_mine()
    }

    /// The position at which the value was pushed.
    pub(crate) fn position(&self) -> u64 {
        self.held.claim.first >> 16
    }

    /// Whether the value was given back before, by its consumer or for it when it died.
    pub(crate) fn is_redelivered(&self) -> bool {
        self.held.claim.stamp == 0
    }

    /// Pops the value.
    #[inline]
    pub(crate) fn release(self) {
        let this = ManuallyDrop::new(self);
        if this.held.is_mine() {
            this.held.ring.finish::<CONSUMER>(this.held.claim);
        }
    }
}

impl<S: Site> Deref for Leased<'_, S> {
    type Target = S::Value;

    fn deref(&self) -> &S::Value {
        let ring = self.held.ring;
        // SAFETY: I4, I7: the slot is in bounds and ours while this lives; any bytes are a value.
        unsafe { &*ring.site.reading(ring.index(self.held.claim.first)) }
    }
}

impl<S: Site> Drop for Leased<'_, S> {
    fn drop(&mut self) {
        if self.held.is_mine() {
            self.held.ring.give_back(self.held.claim.first);
        }
    }
}
