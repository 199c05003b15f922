//! A barrier in a region, and this process as a member of it: the body of `Barrier`.
//!
//! ```text
//! byte 0            128
//!      RawBarrier   one Member for each participant slot of the region
//! ```
//!
//! - P1. `seat` is the participant under which this handle is counted. The count goes with the
//!   handle's drop, unless this is a forked child that has not used it: then the seat is its
//!   parent's.

use super::barrier::{Broken, PARTIES_MAX, Parties, RawBarrier};
use super::deadline::Deadline;
use super::inside;
use super::many::{Bell, Memory};
use super::members::Member;
use super::spin::Spin;
use crate::error::{Error, Result};
use crate::region::id::{Liveness, ParticipantId};
use crate::region::{Address, Attached, Element, Kind, Object, Pinned, PinnedSlice, Place, Spec};
use crate::sync::{AtomicU32, Ordering::Relaxed};

const MEMBERS: u64 = 128;

/// One handle to a barrier; clones of the public one share it.
pub(crate) struct Party {
    words: Pinned<RawBarrier>,
    members: PinnedSlice<Member>,
    parties: u32,
    spin: Spin,
    /// P1. Relaxed throughout: changed by a forked child only, for itself.
    seat: AtomicU32,
}

impl Party {
    pub(crate) fn create(place: Place<'_>, parties: u32) -> Result<Party> {
        if !(1..=PARTIES_MAX).contains(&parties) {
            return Err(Error::InvalidArgument("a barrier has 1 to 65535 parties"));
        }
        let cells = place.participants();
        let bytes = MEMBERS + u64::from(cells) * size_of::<Member>() as u64;
        let spec = Spec {
            kind: Kind::Barrier,
            element: Element::of::<()>(),
            len: u64::from(parties),
            bytes,
            backed: bytes,
            owners: &[Member::owner_words(MEMBERS, cells)],
        };
        // Nobody finds the barrier before its maker is a member.
        let mut made = None;
        let object = Object::create(place, &spec, |object| {
            let me = object.attached()?.me();
            made = Some(me);
            join(&object.pin(0)?, &members(object)?, me)
        })?;
        Party::on(object, made)
    }

    pub(crate) fn open<'a>(at: impl Into<Address<'a>>) -> Result<Party> {
        Party::on(Object::open(at, Kind::Barrier, Element::of::<()>())?, None)
    }

    /// A handle on `object`, which is counted for the participant `carrier` already, if any.
    pub(crate) fn on(object: Object, carrier: Option<ParticipantId>) -> Result<Party> {
        let parties = u32::try_from(object.len()).ok().filter(|n| (1..=PARTIES_MAX).contains(n));
        let parties = parties.ok_or(Error::Corrupt("number of parties"))?;
        let (words, members) = (object.pin(0)?, members(&object)?);
        let me = object.attached()?.me();
        if carrier != Some(me) {
            join(&words, &members, me)?;
            // This process had the region open: who came with the handle ends here, in order.
            if let Some(carrier) = carrier {
                leave(&members, carrier, || ());
            }
        }
        let seat = AtomicU32::new(me.word());
        Ok(Party { words, members, parties, spin: Spin::new(), seat })
    }

    pub(crate) fn object(&self) -> &Object {
        self.words.object()
    }

    pub(crate) fn parties(&self) -> u32 {
        self.parties
    }

    pub(crate) fn words(&self) -> &RawBarrier {
        &self.words
    }

    /// [`RawBarrier::wait`] as a member; [`Error::WouldDeadlock`] within an action of this very
    /// barrier, which would wait for its own end.
    pub(crate) fn wait(
        &self,
        deadline: Deadline,
        action: Option<impl FnOnce()>,
    ) -> Result<Result<u32, Broken>> {
        let who = self.member()?;
        let (identity, me) = (self.object().identity(), who.me());
        if inside::has(identity, me) {
            return Err(Error::WouldDeadlock);
        }
        let action = action.map(|action| {
            move || {
                inside::note(identity, me);
                let _acting = Acting(identity, me);
                action();
            }
        });
        let all = All { members: &self.members, who };
        Ok(self.words.wait(self.parties, &self.spin, deadline, action, &all))
    }

    /// Breaks the barrier now.
    pub(crate) fn break_now(&self, why: Broken) {
        self.words.break_now(why, || self.object().ring());
    }

    /// Starts over, without the dead.
    pub(crate) fn reset(&self) {
        // Who is no participant cannot ask who is dead; then they break the next round as well.
        if let Ok(who) = self.object().attached() {
            Member::forget_dead(&self.members, &who);
        }
        self.words.reset();
    }

    /// Counts a handle for `to`, who will get it, and returns what takes that back.
    pub(crate) fn enlist(&self, to: ParticipantId) -> Result<Box<dyn FnOnce() + Send>> {
        join(&self.words, &self.members, to)?;
        let members = self.members.clone();
        Ok(Box::new(move || leave(&members, to, || ())))
    }

    /// This process, as a member: a forked child becomes one at its first use.
    fn member(&self) -> Result<Attached<'_>> {
        let who = self.object().attached()?;
        let (seat, me) = (self.seat.load(Relaxed), who.me());
        if seat != me.word()
            && self.seat.compare_exchange(seat, me.word(), Relaxed, Relaxed).is_ok()
        {
            join(&self.words, &self.members, me)?;
        }
        Ok(who)
    }
}

/// Ready is a barrier at which a wait would not sleep.
impl Memory for Party {
    fn is_ready(&self) -> bool {
        self.words.would_pass(self.parties)
    }

    /// Breaks the barrier if a party has died, as any waiting party would.
    fn ask(&self) -> bool {
        if self.object().attached().is_ok_and(|who| Member::any_dead(&self.members, &who)) {
            self.break_now(Broken::PartyDied);
        }
        self.is_ready()
    }

    fn bell(&self) -> Bell<'_> {
        Bell::Region(self.object())
    }

    fn arm(&self) -> bool {
        self.words.arm();
        true
    }
}

/// All who are members.
struct All<'a> {
    members: &'a [Member],
    who: Attached<'a>,
}

impl Parties for All<'_> {
    fn has_died(&self) -> bool {
        Member::any_dead(self.members, &self.who)
    }

    fn ring(&self) {
        self.who.ring();
    }
}

/// The thread runs an action, also one that panics.
struct Acting(inside::Place, ParticipantId);

impl Drop for Acting {
    fn drop(&mut self) {
        inside::strike(self.0, self.1);
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        let seat = ParticipantId::from_word(self.seat.load(Relaxed));
        let Some(me) = seat.filter(|_| seat == self.object().mapping().own_id()) else { return };
        leave(&self.members, me, || {
            if std::thread::panicking() {
                // Who leaves like this does not come any more.
                self.break_now(Broken::PartyDied);
            }
        });
    }
}

fn members(object: &Object) -> Result<PinnedSlice<Member>> {
    object.pin_slice(MEMBERS, object.participants() as usize)
}

fn join(words: &Pinned<RawBarrier>, members: &[Member], id: ParticipantId) -> Result<()> {
    let cell = Member::of(members, id).ok_or(Error::Corrupt("participant id of a member"))?;
    cell.join(id, || words.break_now(Broken::PartyDied, || words.object().ring()));
    Ok(())
}

fn leave(members: &[Member], id: ParticipantId, farewell: impl Fn()) {
    if let Some(cell) = Member::of(members, id) {
        cell.leave(id, farewell);
    }
}
