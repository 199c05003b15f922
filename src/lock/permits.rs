//! A robust semaphore in a region: the body of `Semaphore` and of `BoundedSemaphore`.
//!
//! ```text
//! byte 0      128
//!      words  records, one for each participant of the region
//! ```
//!
//! The bound is the object's length: it never changes.
//!
//! - P1. While a `Permit` lives, the ledger of its participant counts it, unless this is a forked
//!   child that inherited the `Permit`; then it does nothing any more.

use super::deadline::Deadline;
use super::records::{Record, Records};
use super::semaphore::{MAX, NoPermit, RawSemaphore, SemaphoreWords};
use crate::error::{Error, Result};
use crate::region::id::Liveness;
use crate::region::{Address, Attached, Element, Kind, Object, Pinned, PinnedSlice, Place, Spec};
use std::fmt;
use std::io;

const RECORDS: u64 = 128;

/// A handle to a semaphore.
#[derive(Clone)]
pub struct Permits {
    words: Pinned<SemaphoreWords>,
    records: PinnedSlice<Record>,
    bound: u32,
}

impl Permits {
    pub(crate) fn create(
        place: Place<'_>,
        kind: Kind,
        permits: u32,
        bound: u32,
    ) -> Result<Permits> {
        if permits > MAX {
            return Err(Error::InvalidArgument("more permits than a semaphore can have"));
        }
        let participants = place.participants();
        let bytes =
            RECORDS + (Records::<Record>::needed(participants) * size_of::<Record>()) as u64;
        let spec = Spec {
            kind,
            element: Element::of::<()>(),
            len: u64::from(bound),
            bytes,
            backed: bytes,
            owners: &[Records::<Record>::owner_words(RECORDS, participants)],
        };
        let object = Object::create(place, &spec, |object| {
            object.at::<SemaphoreWords>(0)?.init(permits);
            Ok(())
        })?;
        Permits::on(object)
    }

    pub(crate) fn open<'a>(at: impl Into<Address<'a>>, kind: Kind) -> Result<Permits> {
        Permits::on(Object::open(at, kind, Element::of::<()>())?)
    }

    pub(crate) fn on(object: Object) -> Result<Permits> {
        let bound = u32::try_from(object.len()).ok().filter(|&bound| bound <= MAX);
        Ok(Permits {
            words: object.pin(0)?,
            records: object.pin_slice(RECORDS, Records::<Record>::needed(object.participants()))?,
            bound: bound.ok_or(Error::Corrupt("bound of a semaphore"))?,
        })
    }

    /// Makes a semaphore, for other languages: a `BoundedSemaphore` if there is a bound.
    #[doc(hidden)]
    pub fn place(place: Place<'_>, permits: u32, bound: Option<u32>) -> Result<Permits> {
        if bound.is_some_and(|bound| bound > MAX || bound < permits) {
            return Err(Error::InvalidArgument("bound of a semaphore"));
        }
        let kind = if bound.is_some() { Kind::BoundedSemaphore } else { Kind::Semaphore };
        Permits::create(place, kind, permits, bound.unwrap_or(MAX))
    }

    /// The semaphore at this address, bounded or not.
    #[doc(hidden)]
    pub fn find(at: Address<'_>) -> Result<Permits> {
        match Permits::open(at, Kind::Semaphore) {
            Err(Error::TypeMismatch { .. }) => Permits::open(at, Kind::BoundedSemaphore),
            found => found,
        }
    }

    /// Takes a permit that [`Permits::put_back`] gives back.
    #[doc(hidden)]
    #[inline]
    pub fn take(&self, deadline: Deadline) -> Result<()> {
        std::mem::forget(self.acquire(deadline)?); // without a destructor's work, it is still ours
        Ok(())
    }

    /// Gives permits back: those that this process has acquired first, and then adds the rest.
    #[doc(hidden)]
    pub fn put_back(&self, mut permits: u32) -> Result<()> {
        let who = self.object().attached()?;
        if self.value().checked_add(permits).is_none_or(|sum| sum > self.bound) {
            return Err(Error::OverRelease);
        }
        while permits > 0 && self.raw().give_if_held(who.me()) {
            permits -= 1;
        }
        Ok(self.release(permits)?)
    }

    /// Lets go of permits that this process has acquired, for somebody else to put back.
    #[doc(hidden)]
    pub fn hand_off(&self, permits: u32) -> Result<()> {
        let who = self.object().attached()?;
        for _ in 0..permits {
            self.raw().forget(who.me());
        }
        Ok(())
    }

    #[doc(hidden)]
    pub fn available(&self) -> u32 {
        self.value()
    }

    pub(crate) fn object(&self) -> &Object {
        self.words.object()
    }

    pub(crate) fn bound(&self) -> u32 {
        self.bound
    }

    #[inline(always)]
    fn raw(&self) -> RawSemaphore<'_> {
        RawSemaphore::new(&self.words, Records::new(&self.records), self.bound)
    }

    pub(crate) fn value(&self) -> u32 {
        self.raw().value()
    }

    pub(crate) fn release(&self, permits: u32) -> Result<(), OverRelease> {
        if self.raw().release(permits) { Ok(()) } else { Err(OverRelease { bound: self.bound }) }
    }

    #[inline]
    pub(crate) fn acquire(&self, deadline: Deadline) -> Result<Permit<'_>, AcquireError> {
        let who = self.object().attached().map_err(|e| AcquireError::Os(e.into()))?;
        match self.raw().acquire(&who, deadline) {
            Ok(()) => Ok(Permit { permits: self, who }),
            Err(NoPermit::WouldBlock) => Err(AcquireError::WouldBlock),
            Err(NoPermit::Timeout) => Err(AcquireError::Timeout),
        }
    }
}

/// A permit of a [`Semaphore`](crate::Semaphore) or [`BoundedSemaphore`](crate::BoundedSemaphore);
/// given back on drop.
///
/// It belongs to the process, not to the thread: another thread may drop it. If the process dies,
/// the permit comes back by itself. In a forked child an inherited permit does nothing.
#[must_use = "a permit that is dropped is given back at once"]
pub struct Permit<'a> {
    permits: &'a Permits,
    who: Attached<'a>,
}

impl Permit<'_> {
    /// Lets go of the permit without giving it back: it belongs to nobody any more, and the death of
    /// this process no longer brings it back.
    ///
    /// For hand-offs: whoever the permit stands for now brings it back by a bare `release(1)`.
    /// Does not block.
    ///
    /// ```
    /// use shmkit::Semaphore;
    ///
    /// let free_slots = Semaphore::new(8)?;
    /// free_slots.acquire()?.forget(); // a slot was filled; whoever empties it, calls release(1)
    /// assert_eq!(free_slots.value(), 7);
    /// free_slots.release(1)?;
    /// assert_eq!(free_slots.value(), 8);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn forget(self) {
        if self.who.is_still_me() {
            self.permits.raw().forget(self.who.me());
        }
        std::mem::forget(self);
    }
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        // P1
        if self.who.is_still_me() {
            self.permits.raw().give(self.who.me());
        }
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}

/// Why no permit was acquired.
#[derive(Debug)]
#[non_exhaustive]
pub enum AcquireError {
    /// There is none, and the call does not wait.
    WouldBlock,
    /// There was none for as long as the call was to wait.
    Timeout,
    /// The kernel refused: only when a forked child uses the handle for the first time.
    Os(io::Error),
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcquireError::WouldBlock => Error::WouldBlock.fmt(f),
            AcquireError::Timeout => Error::Timeout.fmt(f),
            AcquireError::Os(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for AcquireError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AcquireError::Os(e) => Some(e),
            _ => None,
        }
    }
}

impl From<AcquireError> for Error {
    fn from(e: AcquireError) -> Error {
        match e {
            AcquireError::WouldBlock => Error::WouldBlock,
            AcquireError::Timeout => Error::Timeout,
            AcquireError::Os(e) => e.into(),
        }
    }
}

/// A release was refused: the semaphore would have more permits than it can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverRelease {
    bound: u32,
}

impl OverRelease {
    /// The most permits that the semaphore can have.
    pub fn bound(&self) -> u32 {
        self.bound
    }
}

impl fmt::Display for OverRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, which is {}", Error::OverRelease, self.bound)
    }
}

impl std::error::Error for OverRelease {}

impl From<OverRelease> for Error {
    fn from(_: OverRelease) -> Error {
        Error::OverRelease
    }
}
