//! `JoinableQueue`: messages that are to be done.

use super::QueueOptions;
use super::core::Core;
#[cfg(feature = "serde")]
use super::core::Lease;
use super::error::JoinError;
#[cfg(feature = "serde")]
use super::handles::{fetched, stays};
#[cfg(feature = "serde")]
use super::{
    error::{GetError, PutError},
    typed,
};
use crate::error::Error;
use crate::lock::deadline::Deadline;
use crate::lock::many::Memory;
#[cfg(feature = "serde")]
use crate::message::{self, Message};
use crate::region::{Element, Kind, Region};
#[cfg(feature = "serde")]
use crate::ring::{frames::Frames, mpmc::Leased};
use std::fmt;
use std::marker::PhantomData;
#[cfg(feature = "serde")]
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// A queue of jobs: each is got by one process, and is done when that says so.
///
/// A [`Job`] that is dropped before [`Job::done`], or whose process dies, goes back into the queue, out
/// of turn, and another gets it; [`Job::attempts`] says how often that has happened. So each job is
/// done at least once, however the workers end, and [`JoinableQueue::join`] waits until all are.
///
/// A job keeps its place until it is done: the capacity counts jobs that are waited for, those in
/// work among them, and when those who put have come round to the place of one in work, they find
/// the queue full. So a worker should not wait for room in the queue that its own job is from, unless
/// that is long.
///
/// In all else it is a [`Queue`](crate::Queue) without loans. A job with handles to shared objects has
/// them once: got again, it fails with `GetError::HandleGone` and counts as done. Get after `close`
/// ends when all is done: what another process has in work may come back.
///
/// ```
/// use shmkit::{JoinableQueue, Process, Result};
///
/// fn work(jobs: JoinableQueue<u64>) {
///     for job in jobs.iter() {
///         println!("{} squared is {}", *job, *job * *job);
///         job.done();
///     }
/// }
///
/// fn main() -> Result<()> {
///     let jobs = JoinableQueue::new(10)?;
///     let workers = [Process::spawn((jobs.clone(),), work)?, Process::spawn((jobs.clone(),), work)?];
///     for n in 0..10 {
///         jobs.put(n)?;
///     }
///     jobs.join()?; // all ten are done
///     jobs.close();
///     for worker in workers {
///         worker.join()?;
///     }
///     Ok(())
/// }
/// ```
pub struct JoinableQueue<T> {
    pub(super) core: Core,
    pub(super) message: PhantomData<fn(T) -> T>,
}

impl<T> JoinableQueue<T> {
    /// Makes a queue for up to `capacity` messages in a region of its own, without a name.
    ///
    /// # Errors
    ///
    /// As [`QueueOptions::queue`].
    ///
    /// ```
    /// let queue = shmkit::JoinableQueue::new(3)?;
    /// queue.put(7u8)?;
    /// queue.get()?.done();
    /// queue.join()?;
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn new(capacity: usize) -> Result<JoinableQueue<T>, Error> {
        QueueOptions::new(capacity).joinable()
    }

    /// Makes a queue that grows as messages are put and shrinks as they are done, as
    /// [`Queue::unbounded`](crate::Queue::unbounded) does and within its limits.
    ///
    /// # Errors
    ///
    /// As [`QueueOptions::queue`].
    ///
    /// ```
    /// let queue = shmkit::JoinableQueue::unbounded()?;
    /// queue.put_many((0..5000u32).collect())?;
    /// while let Ok(job) = queue.try_get() {
    ///     job.done();
    /// }
    /// queue.join()?;
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn unbounded() -> Result<JoinableQueue<T>, Error> {
        QueueOptions::unbounded().joinable()
    }

    /// Makes a queue that unrelated processes of the same user find by `name`.
    ///
    /// # Errors
    ///
    /// As [`QueueOptions::queue`].
    ///
    /// ```
    /// # let name = format!("doc.queue.{}", std::process::id());
    /// use shmkit::JoinableQueue;
    ///
    /// let made = JoinableQueue::create(&name, 3)?;
    /// made.put(7u32)?;
    /// let opened = JoinableQueue::<u32>::open(&name)?;
    /// let job = opened.get()?;
    /// assert_eq!((*job, job.attempts()), (7, 1));
    /// job.done();
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn create(name: &str, capacity: usize) -> Result<JoinableQueue<T>, Error> {
        QueueOptions::new(capacity).name(name).joinable()
    }

    /// Opens the live queue of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::TypeMismatch`] for another kind of object or type of
    /// messages, and those of [`Region::open`].
    ///
    /// ```
    /// # let name = format!("doc.jobs.{}", std::process::id());
    /// use shmkit::{Error, JoinableQueue};
    ///
    /// assert!(matches!(JoinableQueue::<u32>::open(&name), Err(Error::NotFound)));
    /// let made = JoinableQueue::<u32>::create(&name, 3)?;
    /// JoinableQueue::open(&name)?.put(1u32)?;
    /// assert_eq!(*made.get()?, 1);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn open(name: &str) -> Result<JoinableQueue<T>, Error> {
        let core = Core::open(name, Kind::JoinableQueue, Element::message::<T>())?;
        Ok(JoinableQueue { core, message: PhantomData })
    }

    /// Makes a queue in `region`, beside other objects.
    ///
    /// # Errors
    ///
    /// As [`QueueOptions::queue`].
    ///
    /// ```
    /// use shmkit::{JoinableQueue, Region};
    ///
    /// let region = Region::new(64 << 10)?;
    /// let queue = JoinableQueue::new_in(&region, 10)?;
    /// queue.put(7u8)?;
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn new_in(region: &Region, capacity: usize) -> Result<JoinableQueue<T>, Error> {
        QueueOptions::new(capacity).region(region).joinable()
    }

    /// Lets every put fail from now on, in all processes, those that wait included; what is in the
    /// queue can still be got, and then every get is [`GetError::Disconnected`]. For good. Never
    /// blocks.
    ///
    /// ```
    /// use shmkit::{GetError, JoinableQueue, PutError};
    ///
    /// let queue = JoinableQueue::new(2)?;
    /// queue.put(1u8)?;
    /// queue.close();
    /// assert!(matches!(queue.put(2), Err(PutError::Disconnected(2))));
    /// queue.get()?.done();
    /// assert!(matches!(queue.get(), Err(GetError::Disconnected)));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn close(&self) {
        self.core.close();
    }

    /// Messages in the queue. May go stale at once; exact while nobody puts or gets.
    ///
    /// ```
    /// let queue = shmkit::JoinableQueue::new(2)?;
    /// queue.put_many(vec![1u8, 2])?;
    /// let job = queue.get()?;
    /// assert_eq!(queue.len(), 1); // a job in somebody's hands is not in the queue
    /// drop(job); // and is when it comes back
    /// assert_eq!(queue.len(), 2);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.core.len()
    }

    /// Whether there is nothing to get. May go stale at once; exact while nobody puts or gets.
    ///
    /// ```
    /// let queue = shmkit::JoinableQueue::new(2)?;
    /// assert!(queue.is_empty());
    /// queue.put(1u8)?;
    /// assert!(!queue.is_empty());
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there are as many messages as the queue holds. May go stale at once; exact while nobody puts
    /// or gets. A message that somebody has borrowed is not counted, but its place is in use: a put whose
    /// turn it is to use it waits although this says no.
    ///
    /// ```
    /// let queue = shmkit::JoinableQueue::new(2)?;
    /// queue.put_many(vec![1u8, 2])?;
    /// assert!(queue.is_full());
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn is_full(&self) -> bool {
        self.core.is_full()
    }

    /// The messages that the queue holds at most.
    ///
    /// ```
    /// assert_eq!(shmkit::JoinableQueue::<u8>::new(2)?.capacity(), 2);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn capacity(&self) -> usize {
        self.core.ring().capacity()
    }

    /// The longest message, encoded, that has its place in the queue itself.
    ///
    /// ```
    /// assert!(shmkit::JoinableQueue::<u64>::new(2)?.inline_bytes() >= 10);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn inline_bytes(&self) -> usize {
        self.core.inline_bytes()
    }

    /// Waits until everything that was put is done, as long as it takes.
    ///
    /// When this returns there was a moment at which nothing was in the queue or in work.
    ///
    /// # Errors
    ///
    /// [`JoinError::Disconnected`] when something is not done and nobody else is left;
    /// [`JoinError::Corrupt`]; [`JoinError::Os`] when a forked child cannot become a user of the queue.
    ///
    /// ```
    /// let queue = shmkit::JoinableQueue::new(2)?;
    /// queue.put(1u8)?;
    /// queue.get()?.done();
    /// queue.join()?; // all is done
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn join(&self) -> Result<(), JoinError> {
        self.core.join(Deadline::Never)
    }

    /// Waits until everything that was put is done, at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`JoinableQueue::join`]; [`JoinError::Timeout`].
    ///
    /// ```
    /// use shmkit::{JoinError, JoinableQueue};
    /// use std::time::Duration;
    ///
    /// let queue = JoinableQueue::new(2)?;
    /// queue.put(1u8)?;
    /// let late = queue.join_timeout(Duration::from_millis(1));
    /// assert!(matches!(late, Err(JoinError::Timeout)));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinError> {
        self.core.join(Deadline::after(timeout))
    }
}

#[cfg(feature = "serde")]
impl<T: Message> JoinableQueue<T> {
    /// Puts a message into the queue, waiting for room as long as it takes.
    ///
    /// # Errors
    ///
    /// The value comes back: [`PutError::Disconnected`] when the queue is closed, or is full and
    /// nobody is left; [`PutError::TooLarge`]; [`PutError::Encode`]; [`PutError::Os`] when a forked
    /// child cannot become a user of the queue.
    ///
    /// ```
    /// let queue = shmkit::JoinableQueue::new(2)?;
    /// queue.put(String::from("sweep"))?;
    /// assert_eq!(*queue.get()?, "sweep");
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn put(&self, value: T) -> Result<(), PutError<T>> {
        typed::put(&self.core, value, Deadline::Never)
    }

    /// Puts a message into the queue if there is room now. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`JoinableQueue::put`]; [`PutError::Full`], also while the place that is next is still in
    /// use, by a job in work.
    ///
    /// ```
    /// use shmkit::{JoinableQueue, PutError};
    ///
    /// let queue = JoinableQueue::new(1)?;
    /// queue.try_put(1u8)?;
    /// assert!(matches!(queue.try_put(2), Err(PutError::Full(2))));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn try_put(&self, value: T) -> Result<(), PutError<T>> {
        typed::put(&self.core, value, Deadline::Now)
    }

    /// Puts a message into the queue, waiting for room at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`JoinableQueue::put`]; [`PutError::Timeout`].
    ///
    /// ```
    /// use shmkit::{JoinableQueue, PutError};
    /// use std::time::Duration;
    ///
    /// let (queue, time) = (JoinableQueue::new(1)?, Duration::from_millis(1));
    /// queue.put_timeout(1u8, time)?;
    /// assert!(matches!(queue.put_timeout(2, time), Err(PutError::Timeout(2))));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn put_timeout(&self, value: T, timeout: Duration) -> Result<(), PutError<T>> {
        typed::put(&self.core, value, Deadline::after(timeout))
    }

    /// Puts all the messages into the queue in their order, waiting for room as long as it takes.
    /// Cheaper than one by one; those of others may come in between.
    ///
    /// # Errors
    ///
    /// As [`JoinableQueue::put`]. The messages that were not put come back, of which the first is the
    /// one that the error is about; those before it were put.
    /// In place of [`PutError::Os`] it is [`PutError::Stopped`].
    ///
    /// ```
    /// let queue = shmkit::JoinableQueue::new(100)?;
    /// queue.put_many((0..100u32).collect())?;
    /// assert_eq!(queue.len(), 100);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn put_many(&self, values: Vec<T>) -> Result<(), PutError<Vec<T>>> {
        typed::put_many(&self.core, values, Deadline::Never)
    }

    /// As [`JoinableQueue::put_many`], as far as there is room now. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`JoinableQueue::put_many`] and [`JoinableQueue::try_put`].
    ///
    /// ```
    /// use shmkit::{JoinableQueue, PutError};
    ///
    /// let queue = JoinableQueue::new(3)?;
    /// match queue.try_put_many((0..5u32).collect()) {
    ///     Err(PutError::Full(rest)) => assert_eq!(rest, [3, 4]),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn try_put_many(&self, values: Vec<T>) -> Result<(), PutError<Vec<T>>> {
        typed::put_many(&self.core, values, Deadline::Now)
    }

    /// As [`JoinableQueue::put_many`], waiting for room at most `timeout` in all.
    ///
    /// # Errors
    ///
    /// As [`JoinableQueue::put_many`] and [`JoinableQueue::put_timeout`].
    ///
    /// ```
    /// use shmkit::{JoinableQueue, PutError};
    /// use std::time::Duration;
    ///
    /// let queue = JoinableQueue::new(3)?;
    /// match queue.put_many_timeout((0..5u32).collect(), Duration::from_millis(1)) {
    ///     Err(PutError::Timeout(rest)) => assert_eq!(rest, [3, 4]),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn put_many_timeout(
        &self,
        values: Vec<T>,
        timeout: Duration,
    ) -> Result<(), PutError<Vec<T>>> {
        typed::put_many(&self.core, values, Deadline::after(timeout))
    }

    /// Gets the next job, waiting for it as long as it takes.
    ///
    /// # Errors
    ///
    /// [`GetError::Disconnected`] when the queue is closed and all is done, or nothing is there and
    /// nobody else is left; this handle's own jobs do not count.
    /// [`GetError::Decode`] for a message that is no `T`, which is gone then;
    /// [`GetError::HandleGone`]; [`GetError::Corrupt`]; [`GetError::Os`] when a forked child cannot become
    /// a user of the queue.
    ///
    /// ```
    /// let queue = shmkit::JoinableQueue::new(2)?;
    /// queue.put(1u8)?;
    /// drop(queue.get()?); // not done: it comes again
    /// let job = queue.get()?;
    /// assert_eq!((*job, job.attempts()), (1, 2));
    /// job.done();
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn get(&self) -> Result<Job<'_, T>, GetError> {
        Job::next(&self.core, Deadline::Never)
    }

    /// Gets the next job if it is there. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`JoinableQueue::get`]; [`GetError::Empty`].
    ///
    /// ```
    /// use shmkit::{GetError, JoinableQueue};
    ///
    /// let queue = JoinableQueue::<u8>::new(2)?;
    /// assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn try_get(&self) -> Result<Job<'_, T>, GetError> {
        Job::next(&self.core, Deadline::Now)
    }

    /// Gets the next job, waiting for it at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`JoinableQueue::get`]; [`GetError::Timeout`].
    ///
    /// ```
    /// use shmkit::{GetError, JoinableQueue};
    /// use std::time::Duration;
    ///
    /// let queue = JoinableQueue::<u8>::new(2)?;
    /// let late = queue.get_timeout(Duration::from_millis(1));
    /// assert!(matches!(late, Err(GetError::Timeout)));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn get_timeout(&self, timeout: Duration) -> Result<Job<'_, T>, GetError> {
        Job::next(&self.core, Deadline::after(timeout))
    }

    /// Gets the next jobs, up to `max` of them, waiting for the first as long as it takes and for the
    /// others not at all.
    ///
    /// # Errors
    ///
    /// As [`JoinableQueue::get`], if that concerns the first.
    pub fn get_many(&self, max: usize) -> Result<Vec<Job<'_, T>>, GetError> {
        let mut jobs = Vec::new();
        if max > 0 {
            jobs.push(self.get()?);
        }
        while jobs.len() < max
            && let Ok(job) = self.try_get()
        {
            jobs.push(job);
        }
        Ok(jobs)
    }

    /// The jobs as they come, until there will be none any more, or something else goes wrong. Those
    /// whose handles have gone with their sender are left out.
    pub fn iter(&self) -> impl Iterator<Item = Job<'_, T>> + '_ {
        std::iter::from_fn(|| {
            loop {
                match self.get() {
                    Err(GetError::HandleGone) => {}
                    got => return got.ok(),
                }
            }
        })
    }
}

/// A message that is to be done: [`Job::done`]. Dropped without, it goes back into the queue, and
/// another gets it; so it does if this process dies.
///
/// In a forked child, an inherited one does nothing: it is the parent's.
#[cfg(feature = "serde")]
#[must_use = "a job that is dropped is not done"]
pub struct Job<'a, T> {
    core: &'a Core,
    value: T,
    /// `None` only while it is dropped.
    lent: Option<(Leased<'a, Frames>, Lease)>,
}

#[cfg(feature = "serde")]
impl<'a, T: Message> Job<'a, T> {
    fn next(core: &'a Core, deadline: Deadline) -> Result<Job<'a, T>, GetError> {
        let (mut leased, lease) = core.lease(deadline)?;
        if leased.is_redelivered() {
            leased.count_attempt();
        }
        let mut is_over = true;
        let value = match leased.parts() {
            // Copied, so that the value's own code sees bytes that stay as they are.
            Some((bytes, trailer)) => message::with_scratch(|scratch| {
                scratch.clear();
                scratch.extend_from_slice(bytes);
                let handles = fetched(trailer, deadline);
                is_over = !stays(&handles);
                typed::decoded(scratch, handles)
            }),
            None => Err(GetError::Corrupt),
        };
        match value {
            Ok(value) => Ok(Job { core, value, lent: Some((leased, lease)) }),
            Err(why) => {
                core.end_lease(leased, lease, is_over);
                Err(why)
            }
        }
    }
}

#[cfg(feature = "serde")]
impl<T> Job<'_, T> {
    /// Says that the job is done. Never blocks.
    pub fn done(mut self) {
        self.end(true);
    }

    /// How often this job was got by somebody, this time included: 1 for the first.
    pub fn attempts(&self) -> u32 {
        let head = self.lent.as_ref().map(|(leased, _)| leased.attempts);
        u32::from(head.unwrap_or_default()) + 1
    }

    fn end(&mut self, done: bool) {
        if let Some((leased, lease)) = self.lent.take() {
            self.core.end_lease(leased, lease, done);
        }
    }
}

#[cfg(feature = "serde")]
impl<T> Deref for Job<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

#[cfg(feature = "serde")]
impl<T> Drop for Job<'_, T> {
    fn drop(&mut self) {
        self.end(false);
    }
}

#[cfg(feature = "serde")]
impl<T: fmt::Debug> fmt::Debug for Job<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("value", &self.value)
            .field("attempts", &self.attempts())
            .finish_non_exhaustive()
    }
}

impl<T> JoinableQueue<T> {
    /// A descriptor for `epoll`, readable when there is a job to get, see
    /// [`Queue::poll_fd`](crate::Queue::poll_fd).
    ///
    /// # Errors
    ///
    /// As [`Queue::poll_fd`](crate::Queue::poll_fd).
    pub fn poll_fd(&self) -> Result<BorrowedFd<'_>, Error> {
        self.core.poll_fd()
    }

    /// This queue as one of several things to wait for.
    pub(crate) fn awaited(&self) -> impl Memory + '_ {
        &self.core
    }
}

impl<T> AsFd for JoinableQueue<T> {
    /// As for a [`Queue`](crate::Queue).
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.core.poll_fd().unwrap_or_else(|_| self.core.always_readable())
    }
}

impl<T> Clone for JoinableQueue<T> {
    /// One more handle to the same queue.
    fn clone(&self) -> JoinableQueue<T> {
        JoinableQueue { core: self.core.clone(), message: PhantomData }
    }
}

impl<T> fmt::Debug for JoinableQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinableQueue")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}
