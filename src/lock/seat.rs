//! One counted handle to an object in a region: the part of a queue's handle that says that it is
//! there.
//!
//! - S1. `seat` is the participant under which the handle is counted. The count goes with the
//!   handle's drop, unless this is a forked child that has not used it: then the seat is its
//!   parent's.

use super::census::Census;
use super::members::Member;
use crate::error::{Error, Result};
use crate::region::id::{Liveness, ParticipantId};
use crate::region::{Object, Pinned, PinnedSlice, children_reaped};
use crate::sync::{AtomicU32, Ordering::Relaxed};

/// Where the words of a census lie in an object, and the cells behind them.
#[derive(Clone, Copy)]
pub(crate) struct CensusAt {
    pub(crate) words: u64,
    pub(crate) cells: u64,
}

/// One handle, counted.
pub(crate) struct Seat {
    census: Pinned<Census>,
    cells: PinnedSlice<Member>,
    /// S1. Relaxed throughout: changed by a forked child only, for itself.
    seat: AtomicU32,
    /// What `Census::leaves` and [`children_reaped`] were when they were last asked.
    leaves: AtomicU32,
    reaped: AtomicU32,
    /// Questions for news so far.
    asked: AtomicU32,
}

/// Questions for news before the kernel is asked whether the others live.
const ASKED_PER_PROBE: u32 = 256;

impl Seat {
    /// Takes a seat at a new object, which nobody else knows yet.
    pub(crate) fn first(object: &Object, at: CensusAt) -> Result<ParticipantId> {
        let me = object.attached()?.me();
        let (census, cells) = words(object, at)?;
        census.join(&cells, me);
        Ok(me)
    }

    /// A handle to `object`, which is counted for the participant `carrier` already, if any.
    pub(crate) fn on(
        object: &Object,
        at: CensusAt,
        carrier: Option<ParticipantId>,
    ) -> Result<Seat> {
        let (census, cells) = words(object, at)?;
        let me = object.attached()?.me();
        if Member::of(&cells, me).is_none() {
            return Err(Error::Corrupt("participant id of a member"));
        }
        if carrier != Some(me) {
            census.join(&cells, me);
            // This process had the region open: who came with the handle ends here, in order.
            if let Some(carrier) = carrier {
                census.leave(&cells, carrier);
            }
        }
        Ok(Seat::at(census, cells, me.word()))
    }

    fn at(census: Pinned<Census>, cells: PinnedSlice<Member>, seat: u32) -> Seat {
        let [leaves, reaped] = [census.leaves(), children_reaped()].map(AtomicU32::new);
        // The first question is answered by the kernel: what was before this handle is no news to it.
        let asked = AtomicU32::new(ASKED_PER_PROBE - 1);
        Seat { census, cells, seat: AtomicU32::new(seat), leaves, reaped, asked }
    }

    /// Whether this process, whose own word is `own_word`, is counted.
    #[inline(always)]
    pub(crate) fn is_taken_by(&self, own_word: u32) -> bool {
        self.seat.load(Relaxed) == own_word
    }

    /// Lets this process be counted: a forked child, at its first use.
    #[cold]
    pub(crate) fn take(&self) -> Result<()> {
        let me = self.census.object().attached()?.me();
        let seat = self.seat.load(Relaxed);
        if seat != me.word()
            && self.seat.compare_exchange(seat, me.word(), Relaxed, Relaxed).is_ok()
        {
            self.census.join(&self.cells, me);
        }
        Ok(())
    }

    /// Whether all other handles there were have gone, in order or with their processes.
    pub(crate) fn is_alone(&self) -> bool {
        let Ok(who) = self.census.object().attached() else { return false };
        self.census.is_alone(&self.cells, who.me(), &who)
    }

    /// What tells whether anybody alive has a handle, at a microsecond for each who has.
    #[cfg(feature = "serde")]
    pub(crate) fn presence(&self) -> impl Fn() -> bool + Send + use<> {
        let (census, cells) = (self.census.clone(), self.cells.clone());
        move || {
            let who = census.object().attached();
            who.is_ok_and(|who| cells.iter().any(|cell| cell.is_taken(&who)))
        }
    }

    /// Whether it is time to ask [`Seat::is_alone`] and the like, for a call that does not wait: a
    /// handle has gone in order, or a child of this process has ended, since this was asked last; or
    /// this was asked often.
    pub(crate) fn has_news(&self) -> bool {
        let (leaves, reaped) = (self.census.leaves(), children_reaped());
        let asked = self.asked.fetch_add(1, Relaxed).wrapping_add(1);
        let news = leaves != self.leaves.load(Relaxed) || reaped != self.reaped.load(Relaxed);
        if news {
            self.leaves.store(leaves, Relaxed);
            self.reaped.store(reaped, Relaxed);
        }
        news || asked.is_multiple_of(ASKED_PER_PROBE)
    }

    /// Counts a handle for `to`, who will get it, and returns what takes that back.
    #[cfg(feature = "serde")]
    pub(crate) fn enlist(&self, to: ParticipantId) -> Box<dyn FnOnce() + Send> {
        self.census.join(&self.cells, to);
        let (census, cells) = (self.census.clone(), self.cells.clone());
        Box::new(move || census.leave(&cells, to))
    }
}

impl Clone for Seat {
    /// Counts one more handle of this process.
    fn clone(&self) -> Seat {
        let (census, cells) = (self.census.clone(), self.cells.clone());
        let mapping = census.object().mapping();
        // A forked child's clone counts as it is used first, as the handle does that it was made of.
        let seat = self.seat.load(Relaxed);
        if mapping.own_id().is_some_and(|me| me.word() == seat)
            && let Some(me) = ParticipantId::from_word(seat)
        {
            census.join(&cells, me);
        }
        Seat::at(census, cells, seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let seat = ParticipantId::from_word(self.seat.load(Relaxed));
        if let Some(me) = seat.filter(|_| seat == self.census.object().mapping().own_id()) {
            self.census.leave(&self.cells, me);
        }
    }
}

fn words(object: &Object, at: CensusAt) -> Result<(Pinned<Census>, PinnedSlice<Member>)> {
    Ok((object.pin(at.words)?, object.pin_slice(at.cells, object.participants() as usize)?))
}
