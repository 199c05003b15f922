//! `Condition`: waiting, without the lock, for others to change what it protects.

use crate::error::{Error, Result};
use crate::lock::awaited::Awaited;
use crate::lock::bare::BareLock;
use crate::lock::deadline::Deadline;
use crate::lock::error::LockError;
use crate::lock::guarded::LockGuard;
use crate::lock::raw::Acquired;
use crate::lock::waiters::Waiters;
use crate::region::id::{Liveness, ParticipantId};
use crate::region::{Address, Kind, Place, Region};
use bytemuck::Pod;
use std::fmt;
use std::time::Duration;

/// How many can wait with a cell of their own.
const CELLS: usize = 128;

/// A condition variable between processes and threads: a holder of a lock waits, without it, until
/// another changes what it protects and says so.
///
/// Any number of processes and threads may use one condition at once; clones are handles to the same
/// condition. Wait with any [`LockGuard`] in a loop, or use [`wait_while`](Condition::wait_while):
/// between a wake-up and the return of a wait, others may have had the lock.
///
/// [`notify`](Condition::notify) wakes exactly as many as it is asked to, in order of arrival, and
/// only those who were waiting then. What was changed under the lock before is not missed, because a
/// waiter is registered before it gives the lock up. Up to 128 wait at once in this order; those
/// beyond are woken by every notification, perhaps for nothing.
///
/// A killed waiter never holds up a notifier, and what was meant for the living is not lost to the
/// dead: killed after it was notified, before it had its lock again, a waiter's wake-up goes to
/// another one. A killed notifier has woken those whom it had come to.
///
/// From Python: `wait_for(predicate)` is [`wait_while`](Condition::wait_while) with the opposite
/// predicate, `notify()` is `notify(1)`, and the lock is whichever guard is handed over.
///
/// A condition made by [`Condition::new`] takes two pages of memory and one descriptor in each
/// process that uses it; [`Condition::new_in`] packs many into one region, at 2 KiB each.
///
/// ```
/// use shmkit::{Condition, Lock};
///
/// let (queue, filled) = (Lock::new(0u32)?, Condition::new()?);
/// let (their_queue, their_filled) = (queue.clone(), filled.clone()); // or in another process
/// let taker = std::thread::spawn(move || {
///     let guard = their_queue.lock().unwrap();
///     *their_filled.wait_while(guard, |items| *items == 0).unwrap() -= 1;
/// });
/// *queue.lock()? += 1;
/// filled.notify(1);
/// taker.join().unwrap();
/// assert_eq!(*queue.lock()?, 0);
/// # Ok::<(), shmkit::Error>(())
/// ```
#[derive(Clone)]
pub struct Condition {
    inner: Awaited<Waiters<CELLS>>,
}

/// A guard, and whether what was waited for has come.
type Timed<'a, T> = (LockGuard<'a, T>, bool);

impl Condition {
    /// Makes a condition in a region of its own, without a name.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`], [`Error::Os`].
    pub fn new() -> Result<Condition> {
        Condition::place(Place::Anonymous)
    }

    /// Makes a condition that unrelated processes of the same user find by `name`.
    ///
    /// # Errors
    ///
    /// As [`Condition::new`]; [`Error::Exists`] when a live object has the name,
    /// [`Error::InvalidName`], [`Error::NoSpace`].
    ///
    /// ```
    /// # let name = format!("doc.condition.{}", std::process::id());
    /// use shmkit::Condition;
    ///
    /// let made = Condition::create(&name)?;
    /// let found = Condition::open(&name)?;
    /// found.notify_all();
    /// # drop(made);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn create(name: &str) -> Result<Condition> {
        Condition::place(Place::Named(name))
    }

    /// Opens the live condition of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::TypeMismatch`] for another kind of object, and those of
    /// [`Region::open`].
    pub fn open(name: &str) -> Result<Condition> {
        Ok(Condition { inner: Awaited::open(name, Kind::Condition)? })
    }

    /// Makes a condition in `region`, beside other objects.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`] when the region is full, [`Error::NoMemory`].
    pub fn new_in(region: &Region) -> Result<Condition> {
        Condition::place(Place::In(region))
    }

    #[doc(hidden)]
    pub fn find(at: Address<'_>) -> Result<Condition> {
        Ok(Condition { inner: Awaited::open(at, Kind::Condition)? })
    }

    #[doc(hidden)]
    pub fn place(place: Place<'_>) -> Result<Condition> {
        let owners = &[Waiters::<CELLS>::owner_words()];
        Ok(Condition { inner: Awaited::create(place, Kind::Condition, owners)? })
    }

    /// Publishes the edit, gives the lock up, waits until notified, and takes the lock again.
    ///
    /// The guard that comes back has read the value anew. A signal does not end the wait.
    ///
    /// # Errors
    ///
    /// Those of taking the lock again: [`LockError::OwnerDied`], holding it, when another holder
    /// has died meanwhile; [`LockError::Os`], without waiting, when a forked child uses a guard of
    /// its parent, or the condition for the first time and the kernel refuses.
    pub fn wait<'a, T: Pod>(
        &self,
        guard: LockGuard<'a, T>,
    ) -> Result<LockGuard<'a, T>, LockError<LockGuard<'a, T>>> {
        self.sleep(guard, Deadline::Never).0
    }

    /// Waits as [`wait`](Condition::wait) does, at most `timeout`, and says whether it was notified.
    ///
    /// The lock is taken again in any case, however long that takes.
    ///
    /// # Errors
    ///
    /// As [`wait`](Condition::wait).
    ///
    /// ```
    /// use shmkit::{Condition, Lock};
    /// use std::time::Duration;
    ///
    /// let (lock, condition) = (Lock::new(())?, Condition::new()?);
    /// let (guard, notified) = condition.wait_timeout(lock.lock()?, Duration::from_millis(1))?;
    /// assert!(!notified);
    /// # drop(guard);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn wait_timeout<'a, T: Pod>(
        &self,
        guard: LockGuard<'a, T>,
        timeout: Duration,
    ) -> Result<Timed<'a, T>, LockError<Timed<'a, T>>> {
        let (held, notified) = self.sleep(guard, Deadline::after(timeout));
        timed(held, notified)
    }

    /// Waits as long as `condition` holds of the value under the lock.
    ///
    /// `condition` runs with the lock held, first before any wait. It may edit the value.
    ///
    /// # Errors
    ///
    /// As [`wait`](Condition::wait); then `condition` has not been asked again.
    pub fn wait_while<'a, T: Pod>(
        &self,
        mut guard: LockGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> Result<LockGuard<'a, T>, LockError<LockGuard<'a, T>>> {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Waits as [`wait_while`](Condition::wait_while) does, at most `timeout` in all; `true` says
    /// that `condition` does not hold any more.
    ///
    /// # Errors
    ///
    /// As [`wait_while`](Condition::wait_while); what comes with a death says `false`.
    ///
    /// ```
    /// use shmkit::{Condition, Lock};
    /// use std::time::Duration;
    ///
    /// let (lock, condition) = (Lock::new(3u32)?, Condition::new()?);
    /// let timeout = Duration::from_millis(1);
    /// let (guard, met) = condition.wait_while_timeout(lock.lock()?, |n| *n > 0, timeout)?;
    /// assert!(!met && *guard == 3);
    /// # drop(guard);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn wait_while_timeout<'a, T: Pod>(
        &self,
        mut guard: LockGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
        timeout: Duration,
    ) -> Result<Timed<'a, T>, LockError<Timed<'a, T>>> {
        let deadline = Deadline::after(timeout);
        let mut in_time = true;
        loop {
            let met = !condition(&mut guard);
            if met || !in_time {
                return Ok((guard, met));
            }
            let (held, notified) = self.sleep(guard, deadline);
            (guard, in_time) = (timed(held, false)?.0, notified);
        }
    }

    /// Wakes the `count` waiters that have waited longest, or all if there are fewer. Never blocks.
    ///
    /// Who starts to wait later is not woken by it. The caller need not hold the lock; but what
    /// waiters wait for is to be changed under it.
    pub fn notify(&self, count: u32) {
        match self.inner.object().attached() {
            Ok(who) => self.inner.notify(count, &who),
            // Who is no participant cannot ask who is dead. Rather too many than too few.
            Err(_) => self.inner.notify(u32::MAX, &Stranger),
        }
    }

    /// Wakes everybody who waits. Never blocks.
    pub fn notify_all(&self) {
        self.notify(u32::MAX);
    }

    /// Waits without the lock; the lock again, and whether it was notified.
    /// As [`Condition::wait`], for a lock without guards, which this thread holds before and, unless
    /// it is an error other than [`Error::Timeout`], after. Says whether it was notified, and how the
    /// lock was acquired again.
    #[doc(hidden)]
    pub fn wait_bare(&self, lock: &BareLock, deadline: Deadline) -> Result<(Acquired, bool)> {
        let who = self.inner.object().attached()?;
        if !lock.is_held()? {
            return Err(Error::NotOwner);
        }
        let place = self.inner.enter(&who);
        lock.release()?;
        let notified = self.inner.sleep(place, &who, self.inner.spin(), deadline);
        let held = lock.acquire(Deadline::Never);
        if notified {
            self.inner.leave(place, &who, held.is_ok());
        }
        Ok((held?, notified))
    }

    fn sleep<'a, T: Pod>(
        &self,
        guard: LockGuard<'a, T>,
        deadline: Deadline,
    ) -> (Result<LockGuard<'a, T>, LockError<LockGuard<'a, T>>>, bool) {
        let who = match self.inner.object().attached() {
            Ok(who) if guard.is_held() => who,
            Ok(_) => return (Err(LockError::Os(Error::WrongProcess.into())), false),
            Err(e) => return (Err(LockError::Os(e.into())), false),
        };
        let place = self.inner.enter(&who);
        let (held, notified) =
            guard.set_free_while(|| self.inner.sleep(place, &who, self.inner.spin(), deadline));
        if notified {
            let is_held = matches!(held, Ok(_) | Err(LockError::OwnerDied(_)));
            self.inner.leave(place, &who, is_held);
        }
        (held, notified)
    }
}

fn timed<'a, T: Pod>(
    held: Result<LockGuard<'a, T>, LockError<LockGuard<'a, T>>>,
    verdict: bool,
) -> Result<Timed<'a, T>, LockError<Timed<'a, T>>> {
    match held {
        Ok(guard) => Ok((guard, verdict)),
        Err(e) => Err(e.map(|guard| (guard, verdict), |(guard, _)| guard.recover())),
    }
}

/// Somebody who cannot tell who is dead.
struct Stranger;

impl Liveness for Stranger {
    fn me(&self) -> ParticipantId {
        ParticipantId::DEAD
    }

    fn is_dead(&self, _: ParticipantId) -> bool {
        false
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condition { .. }")
    }
}

crate::region::passed_by_handle!(for Condition in Awaited, Condition);
