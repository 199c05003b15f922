//! One end of a ring: its own position, what it last saw of the other, and the two edges.
//!
//! A producer and a consumer are mirror images. Each owns the slots from its `position` to its
//! `bound`, uses some, and hands them to the other end by one Release store of its position. The
//! only difference is how far the other end lets it go: a consumer to `tail`, a producer to `head`
//! plus the capacity.
//!
//! Source: Lamport, "Proving the Correctness of Multiprocess Programs" (1977); the cached
//! position of the peer after Lee, Bu, Chandranmenon, "MCRingBuffer" (ANCS 2009). Ours: positions
//! of 64 bits that never wrap to an index, owner words, and bounds that a corrupt peer cannot move.
//!
//! # Invariants
//!
//! - I1. Only the owner of an end stores its position, and it only grows.
//! - I2. `0 <= bound - position <= capacity <= slot_count`; capacity, slot count and mask are of
//!   this handle and are never read from shared memory. So an index is always inside the slots,
//!   whatever the peer writes.
//! - I3. The slots `position .. bound` belong to this end alone, as long as the peer keeps to I1.
//!
//! # Memory ordering
//!
//! | edge | Release | Acquire | then visible |
//! |---|---|---|---|
//! | publish | the producer's `advance` stores `tail` | the consumer's `look` loads `tail` | the slots written |
//! | recycle | the consumer's `advance` stores `head` | the producer's `look` loads `head` | the slots are no longer read |
//! | close | `give` stores `owner` | `is_gone` loads `owner` | the last position |
//! | take | `give` stores `owner` | `claim` changes `owner` | the last position |
//! | home | `take_back` and `close` change `Home` | the later one of both, and `settle` | the owner left by the earlier |
//!
//! # Death
//!
//! An end that dies before `advance` has done nothing that the other can see; after it,
//! everything. Nothing needs repair, and a new owner goes on from the position in shared memory.
//! An end may come back to the process that gave it, to another handle: so one that gave its end away
//! owns nothing, whatever the owner word says, until the gift is taken back.
//! A forked child of the owner owns nothing: its copy of the handle is told `NotOwner`, and its drop
//! closes nothing.

use super::indices::{CLOSED, Indices, PRODUCER, Side};
use super::site::Site;
use crate::region::id::{Liveness, ParticipantId};
use crate::sync::{AtomicU32, Ordering::*};
use std::cell::{Cell, OnceCell};
use std::sync::Arc;

/// Looks in vain before the kernel is asked whether the peer is alive: about 0.1 ms of spinning.
const LOOKS_PER_PROBE: u32 = if cfg!(loom) { 1 } else { 8192 };

/// Why an end cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The peer is closed or dead, and nothing is left to read.
    Disconnected,
    /// The peer's position cannot be true.
    Corrupt,
    /// This end now belongs to another process.
    NotOwner,
}

/// One end of a ring, held by one thread of one process. Cells, because an end is given away
/// through a shared reference (serialisation has no other).
pub(crate) struct End<S: Site, const ROLE: bool> {
    site: S,
    capacity: u64,
    mask: u64,
    /// The word under which this handle owns its end; [`CLOSED`] after it was closed, [`AWAY`] while
    /// the end is given away.
    id: Cell<u32>,
    /// What `id` was before the end was given away.
    given_by: Cell<u32>,
    position: Cell<u64>,
    /// How far this end may go without looking at the peer again.
    bound: Cell<u64>,
    looks: Cell<u32>,
    /// Whether this end was taken over since [`End::changed_hands`] was asked.
    taken: Cell<bool>,
    /// Shared with the [`Gift`]s of this handle, if there are any.
    home: OnceCell<Arc<Home>>,
}

/// In place of an id: the end is given away. Nobody's.
const AWAY: u32 = u32::MAX;

/// Where a gift would come back to.
struct Home(AtomicU32);

/// The handle is there to have its end back.
const LIVES: u32 = 1;
/// The end is given away.
const LENT: u32 = 2;

impl<S: Site, const ROLE: bool> End<S, ROLE> {
    /// Takes this end of the ring at `site`, if it is vacant or its owner is dead.
    pub(crate) fn claim(site: S, capacity: usize) -> Result<Self, Stop> {
        End::owned_by(CLOSED, site, capacity)
    }

    /// Takes this end of the ring at `site`, which was given to `carrier` on its way to us.
    pub(crate) fn resume(site: S, capacity: usize, carrier: ParticipantId) -> Result<Self, Stop> {
        End::owned_by(carrier.word(), site, capacity)
    }

    fn owned_by(heir_of: u32, site: S, capacity: usize) -> Result<Self, Stop> {
        let slots = site.slot_count();
        assert!(slots.is_power_of_two() && (1..=slots).contains(&capacity));
        let end = End {
            capacity: capacity as u64,
            mask: slots as u64 - 1,
            id: Cell::new(CLOSED),
            given_by: Cell::new(CLOSED),
            position: Cell::new(0),
            bound: Cell::new(0),
            looks: Cell::new(0),
            taken: Cell::new(false),
            site,
            home: OnceCell::new(),
        };
        end.take_over(heir_of).map(|()| end)
    }

    pub(crate) fn site(&self) -> &S {
        &self.site
    }

    pub(crate) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// The index of the slot `ahead` of the next one.
    #[inline(always)]
    pub(crate) fn index(&self, ahead: u64) -> usize {
        (self.position.get().wrapping_add(ahead) & self.mask) as usize
    }

    /// The position of the slot `ahead` of the next one, which no other slot ever has.
    pub(crate) fn position(&self, ahead: u64) -> u64 {
        self.position.get().wrapping_add(ahead)
    }

    /// Slots of this end that are known without looking at the peer.
    #[inline(always)]
    fn known(&self) -> u64 {
        self.bound.get().wrapping_sub(self.position.get())
    }

    /// How many slots belong to this end: `wanted` or more if the peer has left so many,
    /// otherwise what there is. An error only if that is none, or nobody will take what is put.
    #[inline(always)]
    pub(crate) fn available(&self, wanted: u64) -> Result<u64, Stop> {
        let known = self.known();
        // A forked child must not go on with what its parent knew. (A closed end knows nothing, so
        // that this comparison is enough.)
        let known_to_us = known >= wanted && self.site.own_word() == self.id.get();
        if known_to_us { Ok(known) } else { self.look(wanted) }
    }

    /// Looks at the peer's position. The peer's line is fetched once: position and owner are on it.
    #[inline]
    fn look(&self, wanted: u64) -> Result<u64, Stop> {
        let id = self.id.get();
        // Relaxed: a hint; `take_over` looks again.
        if self.mine().owner.load(Relaxed) != id || !self.is_ours(id) {
            self.take_over(CLOSED)?; // from the dead only: a forked child's parent may well live
        }
        let mut available = self.refresh()?;
        let in_vain = available < wanted;
        if in_vain || ROLE == PRODUCER {
            let peer = self.peer();
            let gone = peer.is_gone() || (in_vain && self.probes() && self.probe_peer());
            if gone {
                // What was published before the end was closed counts, and this look is later.
                available = self.refresh()?;
                if ROLE == PRODUCER || available == 0 {
                    return Err(Stop::Disconnected);
                }
            }
        }
        Ok(available)
    }

    /// Whether this look in vain is one of those that ask the kernel.
    #[inline(always)]
    fn probes(&self) -> bool {
        let looks = self.looks.get().wrapping_add(1);
        self.looks.set(looks);
        looks.is_multiple_of(LOOKS_PER_PROBE)
    }

    /// Moves `bound` to where the peer stands now. I2 is checked here and nowhere else.
    #[inline(always)]
    fn refresh(&self) -> Result<u64, Stop> {
        let slack = if ROLE == PRODUCER { self.capacity } else { 0 };
        // publish, recycle: Acquire, pairs with the Release in the peer's `advance`.
        let bound = self.peer().position.load(Acquire).wrapping_add(slack);
        let available = bound.wrapping_sub(self.position.get());
        if available > self.capacity {
            return Err(Stop::Corrupt);
        }
        self.bound.set(bound);
        Ok(available)
    }

    /// Hands `count` slots to the peer: everything done in them happens before it sees them.
    #[inline(always)]
    pub(crate) fn advance(&self, count: u64) {
        debug_assert!(count <= self.known());
        let position = self.position.get().wrapping_add(count);
        self.position.set(position);
        // publish, recycle: Release, pairs with the Acquire in the peer's `refresh`.
        self.mine().position.store(position, Release);
    }

    /// Items in the ring, as far as this end can tell: exact while the peer rests. 0 if the peer's
    /// position is corrupt.
    pub(crate) fn len(&self) -> u64 {
        let peer = self.peer().position.load(Relaxed); // an answer that may go stale
        let mine = self.position.get();
        let len = if ROLE == PRODUCER { mine.wrapping_sub(peer) } else { peer.wrapping_sub(mine) };
        if len > self.capacity { 0 } else { len }
    }

    /// Whether the peer has closed its end or was found dead. One load.
    #[cfg(any(test, loom))]
    pub(crate) fn peer_is_gone(&self) -> bool {
        self.peer().is_gone()
    }

    /// Whether the peer has closed its end or is dead. Asks the kernel: about a microsecond.
    /// What the peer has published before is still to be read.
    pub(crate) fn probe_peer(&self) -> bool {
        self.peer().is_gone_for_sure(self.site.who())
    }

    /// Whether the owner of the other end was found dead. One load.
    #[cfg(not(loom))]
    pub(crate) fn peer_has_died(&self) -> bool {
        self.peer().has_died()
    }

    /// Gives this end to the participant `to`. This handle can go on only if `to` dies, or if the
    /// gift is taken back.
    pub(crate) fn give(&self, to: ParticipantId) -> Result<Gift, Stop> {
        self.settle();
        let from = self.id.get();
        if !self.is_ours(from) || !self.mine().give(from, to.word()) {
            return Err(Stop::NotOwner);
        }
        // Nothing is known any more, so that the next use looks and finds the new owner.
        self.bound.set(self.position.get());
        self.given_by.set(from);
        self.id.set(AWAY);
        let home = self.home.get_or_init(|| Arc::new(Home(AtomicU32::new(LIVES))));
        home.0.fetch_or(LENT, Relaxed); // the gift is made after this, by this thread
        Ok(Gift { role: ROLE, from, to: to.word(), home: Arc::clone(home) })
    }

    /// Whether this handle has closed its end.
    pub(crate) fn is_closed(&self) -> bool {
        self.id.get() == CLOSED
    }

    /// Whether this handle owns its end now: it is open, not given away, and no forked copy.
    /// Whoever was lent something asks before `advance`: all of that can happen meanwhile.
    #[inline(always)]
    pub(crate) fn is_mine(&self) -> bool {
        let id = self.id.get();
        // Relaxed: if the word names us, we or who gave us the end wrote it.
        self.is_ours(id) && self.mine().owner.load(Relaxed) == id
    }

    /// Closes this end, unless it has another owner or this is a forked copy of the handle; says
    /// whether it did.
    pub(crate) fn close(&self) -> bool {
        let id = match self.id.replace(CLOSED) {
            AWAY => self.given_by.get(),
            id => id,
        };
        self.bound.set(self.position.get());
        if !self.is_ours(id) {
            return false;
        }
        if let Some(home) = self.home.get()
            && home.0.fetch_and(!LIVES, AcqRel) & LENT != 0
        {
            return false; // home: it is not ours to close, see `Gift::take_back`
        }
        self.mine().give(id, CLOSED)
    }

    /// Whether this handle is a forked copy, or was closed: what it knows is not to be relied on.
    pub(crate) fn is_stale(&self) -> bool {
        self.settle();
        !self.is_ours(self.id.get())
    }

    /// Whether the end is ours again after its gift was taken back.
    fn settle(&self) -> bool {
        // home: Acquire, pairs with the change in `Gift::take_back`.
        let is_back = |home: &Arc<Home>| home.0.load(Acquire) & LENT == 0;
        let settled = self.id.get() == AWAY && self.home.get().is_some_and(is_back);
        if settled {
            self.id.set(self.given_by.get());
        }
        settled && self.is_mine()
    }

    /// Becomes the owner, after the dead or after `heir_of`, and goes on where the last one stopped.
    #[cold]
    fn take_over(&self, heir_of: u32) -> Result<(), Stop> {
        if self.settle() {
            return Ok(());
        }
        let who = self.site.who().ok_or(Stop::NotOwner)?;
        if !self.mine().claim(who.me(), heir_of, &who) {
            return Err(Stop::NotOwner);
        }
        self.id.set(who.me().word());
        if let Some(home) = self.home.get() {
            home.0.fetch_and(!LENT, Relaxed); // the end came to this handle by another way
        }
        // take: the CAS in `claim` made the last owner's position visible.
        let position = self.mine().position.load(Relaxed);
        self.position.set(position);
        self.bound.set(position);
        self.taken.set(true);
        Ok(())
    }

    /// Whether this end was taken over since this was asked last: what its owner knew of slots not
    /// yet handed on is void.
    #[inline(always)]
    pub(crate) fn changed_hands(&self) -> bool {
        self.taken.replace(false)
    }

    /// Whether this process is still the participant `id`: a forked child is not, nobody is CLOSED.
    #[inline(always)]
    fn is_ours(&self, id: u32) -> bool {
        id != CLOSED && self.site.own_word() == id
    }

    #[inline(always)]
    fn mine(&self) -> &Side {
        self.site.indices().side(ROLE)
    }

    #[inline(always)]
    fn peer(&self) -> &Side {
        self.site.indices().side(!ROLE)
    }
}

impl<S: Site, const ROLE: bool> Drop for End<S, ROLE> {
    fn drop(&mut self) {
        self.close();
    }
}

/// An end that was given away, for the case that it does not arrive.
pub(crate) struct Gift {
    role: bool,
    from: u32,
    to: u32,
    home: Arc<Home>,
}

impl Gift {
    /// Gives the end back to the handle that gave it, or closes it if that is gone; nothing if it
    /// has another owner by now. `indices` are those of its ring.
    pub(crate) fn take_back(&self, indices: &Indices) {
        let side = indices.side(self.role);
        if !side.give(self.to, self.from) {
            return;
        }
        // home: AcqRel, pairs with the change in `close`. The later of the two sees what the earlier
        // did before: either we see the handle gone, or it sees that the end is its own again.
        if self.home.0.fetch_and(!LENT, AcqRel) & LIVES == 0 {
            side.give(self.from, CLOSED);
        }
    }
}

#[cfg(all(test, not(loom)))]
#[path = "end_tests.rs"]
mod tests;
