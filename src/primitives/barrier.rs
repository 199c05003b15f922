//! `Barrier`: a place where processes meet.

use crate::error::{Error, Result};
use crate::lock::barrier::Broken;
use crate::lock::deadline::Deadline;
use crate::lock::many::Memory;
use crate::lock::party::Party;
use crate::region::{Address, Place, Region};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// A meeting place of a fixed number of processes and threads, the *parties*: each waits until all
/// have come, then all go on.
///
/// Any number of processes and threads may use one barrier at once; clones are handles to the same
/// barrier. It can be used round after round. What any party wrote before it came is visible to all
/// of them when they go on.
///
/// A barrier that cannot be met *breaks*, for all who wait and all who come later, until somebody
/// calls [`reset`](Barrier::reset): when a party's time has passed, when somebody calls
/// [`abort`](Barrier::abort), when an action panics, or when a party dies. Every process is a party
/// from the moment a handle is on its way to it until it has dropped its last one; killed in between,
/// or gone by `exit` with a handle in use, it is a dead party. So is one whose last handle goes
/// while a panic unwinds. A process that is not to take part should drop its handle. A forked child
/// becomes a party when it first waits.
///
/// The process that makes a barrier only for the children it starts is such a party, too: it should
/// drop its handle once they have theirs.
///
/// From Python: `n_waiting` is [`waiting`](Barrier::waiting), `broken` is
/// [`is_broken`](Barrier::is_broken), and the action goes with the call,
/// [`wait_with`](Barrier::wait_with).
///
/// Coming to a barrier is one compare-and-swap; a wait spins for a moment and then sleeps in the
/// kernel.
///
/// A barrier made by [`Barrier::new`] takes one page of memory and one descriptor in each process
/// that uses it; [`Barrier::new_in`] packs many into one region, at 8 bytes for each participant
/// that the region can have. Threads may be parties beyond that number, processes may not.
///
/// ```
/// use shmkit::Barrier;
///
/// let meeting = Barrier::new(2)?;
/// let other = meeting.clone(); // in another thread, or passed to another process
/// let there = std::thread::spawn(move || other.wait().unwrap());
/// let here = meeting.wait()?;
/// assert_eq!(here + there.join().unwrap(), 1); // one of them was the first
/// # Ok::<(), shmkit::Error>(())
/// ```
#[derive(Clone)]
pub struct Barrier {
    party: Arc<Party>,
}

/// No action.
const NONE: Option<fn()> = None;

impl Barrier {
    /// Makes a barrier for `parties` in a region of its own, without a name.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] unless there are 1 to 65535 parties; [`Error::NoMemory`],
    /// [`Error::Os`].
    pub fn new(parties: u32) -> Result<Barrier> {
        Barrier::place(Place::Anonymous, parties)
    }

    /// Makes a barrier that unrelated processes of the same user find by `name`.
    ///
    /// # Errors
    ///
    /// As [`Barrier::new`]; [`Error::Exists`] when a live object has the name,
    /// [`Error::InvalidName`], [`Error::NoSpace`].
    ///
    /// ```
    /// # let name = format!("doc.barrier.{}", std::process::id());
    /// use shmkit::Barrier;
    ///
    /// let made = Barrier::create(&name, 3)?;
    /// assert_eq!(Barrier::open(&name)?.parties(), 3);
    /// # drop(made);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn create(name: &str, parties: u32) -> Result<Barrier> {
        Barrier::place(Place::Named(name), parties)
    }

    /// Opens the live barrier of this name, and becomes a party of it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::TypeMismatch`] for another kind of object, and those of
    /// [`Region::open`].
    pub fn open(name: &str) -> Result<Barrier> {
        Ok(Barrier { party: Arc::new(Party::open(name)?) })
    }

    /// Makes a barrier for `parties` in `region`, beside other objects.
    ///
    /// # Errors
    ///
    /// As [`Barrier::new`]; [`Error::NoSpace`] when the region is full.
    pub fn new_in(region: &Region, parties: u32) -> Result<Barrier> {
        Barrier::place(Place::In(region), parties)
    }

    #[doc(hidden)]
    pub fn find(at: Address<'_>) -> Result<Barrier> {
        Ok(Barrier { party: Arc::new(Party::open(at)?) })
    }

    #[doc(hidden)]
    pub fn place(place: Place<'_>, parties: u32) -> Result<Barrier> {
        Ok(Barrier { party: Arc::new(Party::create(place, parties)?) })
    }

    /// Waits until all parties have come, and returns the number of this one in order of arrival:
    /// `0` for the first, `parties - 1` for the last.
    ///
    /// Who comes while the parties of a round are complete and the last of them runs its action
    /// waits for the next round.
    ///
    /// # Errors
    ///
    /// [`BrokenBarrier`] once the barrier is broken, or reset while this call waits.
    pub fn wait(&self) -> Result<u32, BrokenBarrier> {
        self.meet(Deadline::Never, NONE)
    }

    /// Waits as [`wait`](Barrier::wait) does, at most `timeout`; when that has passed, the barrier
    /// breaks.
    ///
    /// # Errors
    ///
    /// As [`wait`](Barrier::wait); [`BrokenBarrier::Timeout`] once `timeout` has passed, here or for
    /// another party.
    ///
    /// ```
    /// use shmkit::{Barrier, BrokenBarrier};
    /// use std::time::Duration;
    ///
    /// let meeting = Barrier::new(2)?;
    /// let late = meeting.wait_timeout(Duration::from_millis(1));
    /// assert!(matches!(late, Err(BrokenBarrier::Timeout)));
    /// assert!(meeting.is_broken());
    /// meeting.reset();
    /// assert!(!meeting.is_broken());
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn wait_timeout(&self, timeout: Duration) -> Result<u32, BrokenBarrier> {
        self.meet(Deadline::after(timeout), NONE)
    }

    /// Waits as [`wait`](Barrier::wait) does; if this is the last party to come, runs `action`
    /// before anybody goes on.
    ///
    /// In each round at most one action runs, that of the last party. What it writes is visible to
    /// all parties when they go on. It may abort and reset the barrier, and meet at others.
    ///
    /// # Errors
    ///
    /// As [`wait`](Barrier::wait). A round may be broken while its action runs, by a deadline for
    /// example; then the call that ran it is told, too. [`BrokenBarrier::WouldDeadlock`] to an action
    /// that waits at this barrier itself.
    ///
    /// # Panics
    ///
    /// If `action` does; then the barrier is broken.
    pub fn wait_with(&self, action: impl FnOnce()) -> Result<u32, BrokenBarrier> {
        self.meet(Deadline::Never, Some(action))
    }

    /// Waits as [`wait_with`](Barrier::wait_with) does, at most `timeout`, which does not cut the
    /// action of this call short.
    ///
    /// # Errors
    ///
    /// As [`wait_timeout`](Barrier::wait_timeout) and [`wait_with`](Barrier::wait_with).
    ///
    /// # Panics
    ///
    /// As [`wait_with`](Barrier::wait_with).
    pub fn wait_with_timeout(
        &self,
        action: impl FnOnce(),
        timeout: Duration,
    ) -> Result<u32, BrokenBarrier> {
        self.meet(Deadline::after(timeout), Some(action))
    }

    fn meet(
        &self,
        deadline: Deadline,
        action: Option<impl FnOnce()>,
    ) -> Result<u32, BrokenBarrier> {
        let met = self.party.wait(deadline, action).map_err(|e| match e {
            Error::WouldDeadlock => BrokenBarrier::WouldDeadlock,
            e => BrokenBarrier::Os(e.into()),
        })?;
        met.map_err(|why| match why {
            Broken::Timeout => BrokenBarrier::Timeout,
            Broken::Aborted => BrokenBarrier::Aborted,
            Broken::PartyDied => BrokenBarrier::PartyDied,
            Broken::ActionPanicked => BrokenBarrier::ActionPanicked,
            Broken::Reset => BrokenBarrier::Reset,
        })
    }

    /// Breaks the barrier: those who wait and those who come later get [`BrokenBarrier::Aborted`],
    /// until a [`reset`](Barrier::reset). Never blocks.
    pub fn abort(&self) {
        self.party.break_now(Broken::Aborted);
    }

    /// Makes the barrier as good as new: those who wait get [`BrokenBarrier::Reset`], dead parties
    /// are forgotten, and who comes from now on starts a new round. Never blocks.
    pub fn reset(&self) {
        self.party.reset();
    }

    /// Whether the barrier is broken, now.
    pub fn is_broken(&self) -> bool {
        self.party.words().broken().is_some()
    }

    /// How many parties are waiting, now.
    pub fn waiting(&self) -> u32 {
        self.party.words().waiting()
    }

    /// How many parties it takes.
    pub fn parties(&self) -> u32 {
        self.party.parties()
    }
}

impl Barrier {
    /// This barrier as one of several things to wait for.
    pub(crate) fn awaited(&self) -> impl Memory + '_ {
        &*self.party
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("parties", &self.parties())
            .field("waiting", &self.waiting())
            .field("is_broken", &self.is_broken())
            .finish()
    }
}

/// Why parties did not meet.
#[derive(Debug)]
#[non_exhaustive]
pub enum BrokenBarrier {
    /// The time of a party, this one or another, had passed.
    Timeout,
    /// Somebody aborted the barrier.
    Aborted,
    /// The barrier was reset while this party waited.
    Reset,
    /// A party has died.
    PartyDied,
    /// The action of the last party panicked.
    ActionPanicked,
    /// It is not broken: this is the action of a party, which came to its own barrier.
    WouldDeadlock,
    /// The kernel refused: only when a forked child uses the handle for the first time.
    Os(io::Error),
}

impl fmt::Display for BrokenBarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BrokenBarrier::Timeout => "the barrier is broken: the time of a party has passed",
            BrokenBarrier::Aborted => "the barrier is broken: somebody aborted it",
            BrokenBarrier::Reset => "the barrier was reset meanwhile",
            BrokenBarrier::PartyDied => "the barrier is broken: a party has died",
            BrokenBarrier::ActionPanicked => "the barrier is broken: the action panicked",
            BrokenBarrier::WouldDeadlock => "an action may not wait at its own barrier",
            BrokenBarrier::Os(e) => return e.fmt(f),
        })
    }
}

impl std::error::Error for BrokenBarrier {}

impl From<BrokenBarrier> for Error {
    fn from(why: BrokenBarrier) -> Error {
        match why {
            BrokenBarrier::Os(e) => e.into(),
            BrokenBarrier::WouldDeadlock => Error::WouldDeadlock,
            _ => Error::Broken,
        }
    }
}

#[cfg(feature = "serde")]
mod passing {
    use super::{Arc, Barrier, Party};
    use crate::region::{Element, Kind, Object};
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    impl Serialize for Barrier {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.party.object().send(serializer, |to| self.party.enlist(to).map(Some))
        }
    }

    impl<'de> Deserialize<'de> for Barrier {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Barrier, D::Error> {
            let arrival = Object::receive(deserializer, Kind::Barrier, Element::of::<()>())?;
            let party = Party::on(arrival.object, arrival.carrier).map_err(D::Error::custom)?;
            Ok(Barrier { party: Arc::new(party) })
        }
    }
}
