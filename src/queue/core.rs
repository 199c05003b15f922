//! The body of a queue's handle: bytes in and out of the ring, and the waits.
//!
//! A call tries the ring, and that is all while there is something to have. Who finds nothing waits
//! on one of two event counts; whoever puts or gets wakes one waiter if somebody has announced. A
//! waiter that was successful wakes the next if there is more: the wake-up for a message behind a slot
//! that was still being written went to somebody who found nothing to take yet.
//!
//! Between naps a waiter takes back what the dead had claimed, and asks whether anybody is left.
//! That verdict holds only if an attempt *after* it finds nothing (edge "leave" of the census).

use super::error::{GetError, JoinError, PutError};
use super::layout;
use super::polled::Polled;
use crate::error::{Error, Result};
use crate::lock::deadline::Deadline;
use crate::lock::event::EventCount;
use crate::lock::many::{Bell, Memory};
use crate::lock::seat::Seat;
use crate::lock::spin::Spin;
use crate::region::id::ParticipantId;
use crate::region::{Address, Element, Kind, Object, Pinned, Place};
use crate::ring::frames::{Frames, Head, INLINE, Shape};
use crate::ring::mpmc::{Leased, Refusal, Reserved, Ring, Site as _};
use crate::ring::pages::mapped::Mapped;
use crate::ring::pages::{NoRun, Pages, Run};
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// Looks of a call that does not wait at a slot which is claimed and not finished, before it is
/// taken for what it seems: the time of a few messages, with the processor left to their owners.
const BUSY_LOOKS: u32 = 64;

/// One handle, which others count.
pub(super) struct Core {
    /// Goes before `events`: who waits is woken to look who is left.
    seat: Seat,
    ring: Ring<Frames>,
    events: Events,
    getting: Spin,
    putting: Spin,
    /// Whether somebody may wait until all is done.
    is_joinable: bool,
    /// Has one user besides this for each lease of this handle.
    leases: Lease,
    polled: Polled,
}

/// Something that is lent to the caller of this handle.
pub(super) type Lease = Arc<()>;

/// What is waited on.
#[derive(Clone)]
struct Events {
    readable: Pinned<EventCount>,
    writable: Pinned<EventCount>,
    idle: Pinned<EventCount>,
    pages: Pinned<EventCount>,
}

impl Drop for Events {
    fn drop(&mut self) {
        self.wake_everybody();
    }
}

impl Events {
    fn wake_everybody(&self) {
        self.wake_getters();
        for event in [&self.writable, &self.idle, &self.pages] {
            event.notify_all();
        }
    }

    /// Wakes all who wait for messages, also those who wait for other things as well.
    fn wake_getters(&self) {
        self.readable.notify_all_and(|| self.readable.object().ring());
    }

    /// Wakes who waits for messages, of which there are `count` more.
    #[inline(always)]
    fn announce_messages(&self, count: usize) {
        let ring = || self.readable.object().ring();
        if count == 1 {
            self.readable.notify_one_and(ring);
        } else {
            self.readable.notify_all_and(ring);
        }
    }

    /// Wakes who waits for room, of which there are `count` slots more.
    #[inline(always)]
    fn announce_room(&self, count: usize) {
        if count == 1 { self.writable.notify_one() } else { self.writable.notify_all() }
    }
}

/// Why a wait ended without success.
enum Stop {
    /// Nothing will come any more.
    Disconnected,
    Corrupt,
    Detached,
    NoMemory,
}

impl Core {
    pub(super) fn create(
        place: Place<'_>,
        kind: Kind,
        element: Element,
        shape: Shape,
    ) -> Result<Core> {
        let (object, first) = layout::create(place, kind, element, shape)?;
        Core::on(object, first)
    }

    pub(super) fn open<'a>(
        at: impl Into<Address<'a>>,
        kind: Kind,
        element: Element,
    ) -> Result<Core> {
        Core::on(Object::open(at, kind, element)?, None)
    }

    /// A handle on `object`, which is counted for the participant `carrier` already, if any.
    pub(super) fn on(object: Object, carrier: Option<ParticipantId>) -> Result<Core> {
        Ok(Core {
            is_joinable: object.is_a(Kind::JoinableQueue),
            seat: Seat::on(&object, layout::CENSUS_AT, carrier)?,
            ring: layout::ring(&object)?,
            events: Events {
                readable: object.pin(layout::READABLE)?,
                writable: object.pin(layout::WRITABLE)?,
                idle: object.pin(layout::IDLE)?,
                pages: object.pin(layout::PAGES)?,
            },
            getting: Spin::new(),
            putting: Spin::new(),
            leases: Lease::default(),
            polled: Polled::default(),
        })
    }

    pub(super) fn object(&self) -> &Object {
        self.ring.site().object()
    }

    pub(super) fn ring(&self) -> &Ring<Frames> {
        &self.ring
    }

    /// A descriptor that is readable when there is something to get.
    pub(super) fn poll_fd(&self) -> Result<BorrowedFd<'_>> {
        self.polled.fd(self.object())
    }

    /// A descriptor that `poll` always finds readable, and `epoll` refuses.
    pub(super) fn always_readable(&self) -> BorrowedFd<'_> {
        self.object().mapping().fd()
    }

    /// Messages to be had.
    pub(super) fn len(&self) -> usize {
        self.look_for_news();
        self.ring.len()
    }

    /// Whether there is no room for a message.
    pub(super) fn is_full(&self) -> bool {
        self.look_for_news();
        self.ring.is_full()
    }

    /// Takes back what the dead had claimed, if somebody may have died.
    fn look_for_news(&self) {
        if self.seat.has_news() {
            self.look_for_the_dead();
        }
    }

    /// The longest message that goes into a slot.
    pub(super) fn inline_bytes(&self) -> usize {
        self.ring.site().inline_bytes()
    }

    /// Counts a handle for `to`, who will get it, and returns what takes that back.
    #[cfg(feature = "serde")]
    pub(super) fn enlist(&self, to: ParticipantId) -> Result<Box<dyn FnOnce() + Send>> {
        self.take_seat()?;
        let (events, forget) = (self.events.clone(), self.seat.enlist(to));
        Ok(Box::new(move || {
            forget();
            drop(events); // wakes who waits
        }))
    }

    /// Puts a message of at most `inline_bytes` into the queue.
    #[inline]
    pub(super) fn put(
        &self,
        message: &[u8],
        deadline: Deadline,
    ) -> std::result::Result<(), PutError<()>> {
        self.put_some(std::iter::once(message), deadline).map(drop)
    }

    /// Puts some of the messages, of at most `inline_bytes` each, and says how many: at least one.
    #[inline]
    pub(super) fn put_some<'m>(
        &self,
        messages: impl ExactSizeIterator<Item = &'m [u8]> + Clone,
        deadline: Deadline,
    ) -> std::result::Result<usize, PutError<()>> {
        self.take_seat().map_err(refused_put)?;
        let count = match self.ring.push_messages(messages.clone()) {
            Ok(count) => count,
            Err(_) => self.wait_put(deadline, || self.ring.push_messages(messages.clone()))?,
        };
        self.events.announce_messages(count);
        Ok(count)
    }

    /// Puts a message that is longer than `inline_bytes`.
    #[cold]
    pub(super) fn put_long(
        &self,
        message: &[u8],
        deadline: Deadline,
    ) -> std::result::Result<(), PutError<()>> {
        let mut run = self.claim_pages(message.len(), deadline)?;
        self.pages().bytes_mut(&mut run).copy_from_slice(message);
        let (slot, run) = self.reserve_for(run, deadline)?;
        self.end_loan(slot, Some(run), true);
        Ok(())
    }

    /// Room for a message that is longer than `inline_bytes`.
    #[cold]
    pub(super) fn reserve_long(
        &self,
        len: usize,
        deadline: Deadline,
    ) -> std::result::Result<(Reserved<'_, Frames>, Run), PutError<()>> {
        let run = self.claim_pages(len, deadline)?;
        self.reserve_for(run, deadline)
    }

    /// A slot for the message in `run`. The run comes first, for who waits for pages would hold up
    /// with his slot those who might free them.
    fn reserve_for(
        &self,
        run: Run,
        deadline: Deadline,
    ) -> std::result::Result<(Reserved<'_, Frames>, Run), PutError<()>> {
        match self.reserve(deadline) {
            Ok(slot) => Ok((slot, run)),
            Err(why) => {
                self.free_pages(run);
                Err(why)
            }
        }
    }

    /// Pages for a message.
    fn claim_pages(
        &self,
        len: usize,
        deadline: Deadline,
    ) -> std::result::Result<Run, PutError<()>> {
        self.take_seat().map_err(refused_put)?;
        // What the dead have left is looked for at first, and then between naps, not while spinning.
        let mut collects = true;
        let mut claim = || match std::mem::take(&mut collects) {
            true => self.ring.claim_pages(len),
            false => self.pages().claim(len),
        };
        let mut claim = || match claim() {
            Err(NoRun::Full) => Err(Refusal::Full),
            Err(NoRun::Corrupt) => Err(Refusal::Corrupt),
            Err(NoRun::TooLarge) => Ok(Err(PutError::TooLarge(()))),
            Err(NoRun::Failed(why)) => Ok(Err(refused_put(why))),
            Ok(run) => Ok(Ok(run)),
        };
        let attempt = || if self.ring.is_closed() { Err(Refusal::Closed) } else { claim() };
        let outcome = self.wait(&self.events.pages, &self.putting, deadline, attempt);
        self.put_outcome(outcome, deadline)?
    }

    /// Where the messages lie that no slot holds.
    pub(super) fn pages(&self) -> &Pages<Mapped> {
        self.ring.site().pages()
    }

    /// Gives up pages that were claimed.
    fn free_pages(&self, run: Run) {
        self.pages().free(run);
        self.events.pages.notify_all();
    }

    /// Room for a message, in a slot.
    pub(super) fn reserve(
        &self,
        deadline: Deadline,
    ) -> std::result::Result<Reserved<'_, Frames>, PutError<()>> {
        self.take_seat().map_err(refused_put)?;
        self.wait_put(deadline, || self.ring.reserve())
    }

    /// Shows up to `max` messages to `each`, and says how many: at least one. A message is got if
    /// `each` returns true, and else stays, for whoever comes next.
    #[inline]
    pub(super) fn get_some(
        &self,
        max: usize,
        deadline: Deadline,
        mut each: impl FnMut(&Head, Option<&[u8]>) -> bool,
    ) -> std::result::Result<usize, GetError> {
        self.take_seat().map_err(refused_get)?;
        let (mut has_pages, mut stay) = (false, false);
        let mut each = |head: &Head, message: Option<&[u8]>| {
            has_pages |= head.place != INLINE;
            let is_got = each(head, message);
            stay |= !is_got;
            is_got
        };
        let got = match self.ring.pop_messages(max, &mut each) {
            Ok(count) => Ok(count),
            Err(_) => self.wait_get(deadline, || self.ring.pop_messages(max, &mut each)),
        };
        self.polled.settle(&got, &self.events.readable, || self.is_ready());
        let count = got?;
        self.events.announce_room(count);
        if has_pages {
            self.events.pages.notify_all();
        }
        if stay {
            self.events.announce_messages(count);
        }
        Ok(count)
    }

    /// The next message, which stays in its slot, and what keeps this handle from taking it for
    /// somebody else's.
    pub(super) fn lease(
        &self,
        deadline: Deadline,
    ) -> std::result::Result<(Leased<'_, Frames>, Lease), GetError> {
        self.take_seat().map_err(refused_get)?;
        let leased = self.wait_get(deadline, || self.ring.lease());
        self.polled.settle(&leased, &self.events.readable, || self.is_ready());
        Ok((leased?, Lease::clone(&self.leases)))
    }

    /// After a message was written in place, in the slot or in pages, or was not.
    pub(super) fn end_loan(&self, mut loan: Reserved<'_, Frames>, run: Option<Run>, commits: bool) {
        if commits {
            run.into_iter().for_each(|run| loan.attach(run));
            loan.commit();
            self.events.announce_messages(1);
        } else {
            drop(loan);
            run.into_iter().for_each(|run| self.free_pages(run));
            // What lies behind the slot may be got now; and it may have been the last to be full.
            self.events.wake_getters();
            self.events.writable.notify_all();
            self.events.idle.notify_all();
        }
    }

    /// After a message was read in place: it is got, or given back.
    pub(super) fn end_lease(&self, leased: Leased<'_, Frames>, lease: Lease, done: bool) {
        drop(lease);
        if !done {
            drop(leased);
            self.events.announce_messages(1);
            return;
        }
        let has_pages = leased.release_all();
        self.events.announce_room(1);
        if has_pages {
            self.events.pages.notify_all();
        }
        // Only who must know looks at the tail, which producers write all the time.
        if (self.is_joinable || self.ring.was_closed()) && self.ring.is_all_taken() {
            self.events.idle.notify_all();
            if self.ring.is_closed() {
                self.events.wake_getters(); // it may have been the last of all
            }
        }
    }

    /// Lets every put fail from now on, and every get once nothing is left.
    pub(super) fn close(&self) {
        self.ring.close();
        self.events.wake_everybody();
    }

    /// What tells whether anybody has a handle.
    #[cfg(feature = "serde")]
    pub(super) fn presence(&self) -> impl Fn() -> bool + Send + use<> {
        self.seat.presence()
    }

    /// Waits until all that was put is done with, at most until `deadline`.
    pub(super) fn join(&self, deadline: Deadline) -> std::result::Result<(), JoinError> {
        self.take_seat().map_err(|why| JoinError::Os(why.into()))?;
        let hint = Cell::new(0);
        let attempt = || {
            let mut found = hint.get();
            let idle = self.ring.is_idle(&mut found);
            hint.set(found);
            idle.then_some(Ok(()))
        };
        let check = || {
            let alone = self.look_for_the_dead();
            attempt().or_else(|| match self.ring.is_sane() {
                true => alone.then_some(Err(JoinError::Disconnected)),
                false => Some(Err(JoinError::Corrupt)),
            })
        };
        let joined = self.events.idle.wait_until(&self.getting, deadline, attempt, check);
        joined.unwrap_or(Err(JoinError::Timeout))
    }

    /// Lets this process be counted, if it is a forked child that uses the handle for the first time.
    #[inline(always)]
    fn take_seat(&self) -> Result<()> {
        if self.seat.is_taken_by(self.ring.site().own_word()) { Ok(()) } else { self.seat.take() }
    }

    /// Takes back what the dead had claimed, and says whether all other handles are gone.
    #[cold]
    fn look_for_the_dead(&self) -> bool {
        // First the ring, which says what is past. Both, always.
        if self.ring.recover() + self.ring.collect_pages() > 0 {
            self.events.wake_everybody();
        }
        self.seat.is_alone()
    }

    #[cold]
    fn wait_put<R>(
        &self,
        deadline: Deadline,
        attempt: impl FnMut() -> std::result::Result<R, Refusal>,
    ) -> std::result::Result<R, PutError<()>> {
        let outcome = self.wait(&self.events.writable, &self.putting, deadline, attempt);
        let result = self.put_outcome(outcome, deadline)?;
        // More room than one waiter was woken for.
        if !self.ring.is_full() {
            self.events.writable.notify_one();
        }
        Ok(result)
    }

    /// What the end of a wait for room means.
    fn put_outcome<R>(
        &self,
        outcome: Option<std::result::Result<R, Stop>>,
        deadline: Deadline,
    ) -> std::result::Result<R, PutError<()>> {
        match outcome {
            Some(Ok(result)) => Ok(result),
            Some(Err(Stop::Disconnected)) => Err(PutError::Disconnected(())),
            Some(Err(Stop::Corrupt)) => {
                Err(PutError::Os(io::Error::other(Error::Corrupt("messages of a queue"))))
            }
            Some(Err(Stop::Detached)) => Err(refused_put(self.why_detached())),
            Some(Err(Stop::NoMemory)) => {
                Err(refused_put(self.ring.why_no_memory().err().unwrap_or(Error::NoSpace)))
            }
            None if deadline == Deadline::Now => Err(PutError::Full(())),
            None => Err(PutError::Timeout(())),
        }
    }

    #[cold]
    fn wait_get<R>(
        &self,
        deadline: Deadline,
        attempt: impl FnMut() -> std::result::Result<R, Refusal>,
    ) -> std::result::Result<R, GetError> {
        let outcome = self.wait(&self.events.readable, &self.getting, deadline, attempt);
        match outcome {
            Some(Ok(result)) => {
                // More messages than one waiter was woken for.
                if self.ring.has_value() {
                    self.events.readable.notify_one();
                }
                Ok(result)
            }
            Some(Err(Stop::Disconnected)) => Err(GetError::Disconnected),
            Some(Err(Stop::Corrupt)) => Err(GetError::Corrupt),
            Some(Err(Stop::Detached | Stop::NoMemory)) => Err(refused_get(self.why_detached())),
            None if deadline == Deadline::Now => Err(GetError::Empty),
            None => Err(GetError::Timeout),
        }
    }

    /// Attempts until one is successful or none will ever be; `None` when `deadline` has passed.
    fn wait<R>(
        &self,
        event: &EventCount,
        spin: &Spin,
        deadline: Deadline,
        mut attempt: impl FnMut() -> std::result::Result<R, Refusal>,
    ) -> Option<std::result::Result<R, Stop>> {
        let held = || Lease::strong_count(&self.leases) - 1;
        // What was leased by this handle all the time is not what the ring has seen of others.
        let is_over = || {
            let before = held();
            self.ring.is_over(before) && held() == before
        };
        // What the attempt says, and whether it was refused by somebody's claim alone.
        let mut attempt = || match attempt() {
            Ok(result) => Ok(Ok(result)),
            Err(Refusal::Closed) => Ok(Err(Stop::Disconnected)),
            Err(Refusal::Corrupt) => Ok(Err(Stop::Corrupt)),
            Err(Refusal::Detached) => Ok(Err(Stop::Detached)),
            Err(Refusal::NoMemory) => Ok(Err(Stop::NoMemory)),
            Err(Refusal::Empty) if is_over() => Ok(Err(Stop::Disconnected)),
            Err(why) => Err(why),
        };
        if deadline == Deadline::Now {
            let mut outcome = attempt();
            for _ in 0..BUSY_LOOKS {
                if !matches!(outcome, Err(Refusal::Busy)) {
                    break;
                }
                std::thread::yield_now();
                outcome = attempt();
            }
            let why = match outcome {
                Ok(outcome) => return Some(outcome),
                Err(why) => why,
            };
            let looks = why == Refusal::Busy || self.seat.has_news();
            return if looks { self.verdict(&mut attempt) } else { None };
        }
        let attempt = RefCell::new(attempt);
        event.wait_until(
            spin,
            deadline,
            || (attempt.borrow_mut())().ok(),
            || self.verdict(&mut *attempt.borrow_mut()),
        )
    }

    /// What comes of an attempt after all that the dead have left is there, or `None`.
    fn verdict<R>(
        &self,
        attempt: &mut impl FnMut() -> std::result::Result<std::result::Result<R, Stop>, Refusal>,
    ) -> Option<std::result::Result<R, Stop>> {
        let alone = self.look_for_the_dead();
        match attempt() {
            Ok(outcome) => Some(outcome),
            // Busy: then a thread of this process is about to put or get by this very handle.
            Err(why) => (alone && why != Refusal::Busy).then_some(Err(Stop::Disconnected)),
        }
    }

    fn why_detached(&self) -> Error {
        self.object().attached().err().unwrap_or(Error::WrongProcess)
    }
}

/// Ready is a queue from which a get would not block, as far as can be told without getting.
impl Memory for Core {
    fn is_ready(&self) -> bool {
        let held = Lease::strong_count(&self.leases) - 1;
        self.ring.has_next() || self.ring.is_over(held)
    }

    fn ask(&self) -> bool {
        // Without a seat (a forked child that cannot have one) a get is an error at once.
        self.take_seat().is_err() || {
            let alone = self.look_for_the_dead();
            self.is_ready() || alone
        }
    }

    fn bell(&self) -> Bell<'_> {
        Bell::Region(self.object())
    }

    fn arm(&self) -> bool {
        self.events.readable.arm();
        true
    }
}

impl Clone for Core {
    fn clone(&self) -> Core {
        Core {
            is_joinable: self.is_joinable,
            seat: self.seat.clone(),
            ring: self.ring.clone(),
            events: self.events.clone(),
            getting: Spin::new(),
            putting: Spin::new(),
            leases: Lease::default(),
            polled: Polled::default(),
        }
    }
}

#[cold]
fn refused_put(why: Error) -> PutError<()> {
    PutError::Os(why.into())
}

#[cold]
fn refused_get(why: Error) -> GetError {
    GetError::Os(why.into())
}
