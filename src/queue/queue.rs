//! `Queue`: messages to whoever gets them first.

use super::QueueOptions;
use super::core::Core;
use super::error::{GetError, PutError};
use super::lend::{Loan, Received};
#[cfg(feature = "serde")]
use super::typed;
use crate::error::Error;
use crate::lock::deadline::Deadline;
use crate::lock::many::Memory;
#[cfg(feature = "serde")]
use crate::message::Message;
use crate::region::{Element, Kind, Region};
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// A queue of a capacity, or [`unbounded`](Queue::unbounded): any number of processes and threads put
/// messages, and each message is got by one of them.
///
/// A message is there for all to get when `put` returns, and stays when its sender is gone. Messages
/// of one sender come in the order in which they were put.
///
/// Handles to shared objects may be part of messages: a queue for the answer, an end of a pipe. They
/// wait in the process that puts them until the message is got; should that process end before,
/// getting this message fails with [`GetError::HandleGone`].
///
/// Any process that uses the queue may be killed at any time, at no harm to the others: a message that
/// was not yet put is not there, one that was not yet got is got by another. At most one process gets
/// a message; one that is killed right after `get` has had it. (Where that is not enough, see
/// [`JoinableQueue`](crate::JoinableQueue).) Who is *stopped* in the middle of a put or a get holds up
/// those whose turn is after it, until it goes on.
///
/// Handles are counted: each clone is one, and so is one on its way to another process, until it is
/// dropped or its process dies. When a call waits and all other handles that there were have gone, it
/// is told [`GetError::Disconnected`] or [`PutError::Disconnected`]. Threads that share one handle by
/// reference count as one: give each a clone. A handle that never had company waits for some: for
/// who opens the queue by its name, say. A process that wants to go on waiting when all others have gone
/// keeps a clone.
///
/// Puts and gets take place without system calls while nobody waits, and without allocation for
/// small messages. Long ones lie in pages of the same region, of which there are 128 MiB unless
/// [`QueueOptions::heap_bytes`] says otherwise: address space, that takes memory when it is used. A
/// queue that has no pages left is full for long messages, and not for short ones.
///
/// ```
/// use shmkit::{GetError, Process, Queue, Result};
///
/// fn squares(jobs: Queue<u64>, results: Queue<u64>) {
///     for n in jobs.iter() {
///         results.put(n * n).unwrap();
///     }
/// }
///
/// fn main() -> Result<()> {
///     let (jobs, results) = (Queue::new(10)?, Queue::new(10)?);
///     let worker = Process::spawn((jobs.clone(), results.clone()), squares)?;
///     jobs.put_many(vec![1, 2, 3])?;
///     jobs.close(); // the worker ends when it has got all
///     assert_eq!([results.get()?, results.get()?, results.get()?], [1, 4, 9]);
///     worker.join()?;
///     assert!(matches!(results.get(), Err(GetError::Disconnected))); // nobody is left
///     Ok(())
/// }
/// ```
pub struct Queue<T> {
    pub(super) core: Core,
    pub(super) message: PhantomData<fn(T) -> T>,
}

impl<T> Queue<T> {
    /// Makes a queue for up to `capacity` messages in a region of its own, without a name.
    ///
    /// # Errors
    ///
    /// As [`QueueOptions::queue`].
    ///
    /// ```
    /// let queue = shmkit::Queue::new(3)?;
    /// queue.put(String::from("the"))?;
    /// assert_eq!((queue.len(), queue.capacity()), (1, 3));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn new(capacity: usize) -> Result<Queue<T>, Error> {
        QueueOptions::new(capacity).queue()
    }

    /// Makes a queue that grows as messages are put and shrinks as they are got, in a region of its own,
    /// without a name.
    ///
    /// Unbounded it is as far as memory goes, and so that a queue which nobody empties does not take the
    /// machine down, it has a cap: 1,000,000 messages, and 1 GiB for all messages together that are longer
    /// than [`Queue::inline_bytes`]. Beyond that puts wait, or are told [`PutError::Full`];
    /// [`QueueOptions::growing`] and [`QueueOptions::heap_bytes`] set other limits. If there is no memory
    /// before, a put ends with [`PutError::Os`].
    ///
    /// A message takes a slot (64 bytes for a number, 256 for a type with strings in it) while it is in the
    /// queue. Memory comes in chunks of 64 to 128 KiB, and goes when a chunk is drained, but for 1 MiB that
    /// is kept for the next messages and 8 bytes for each slot that was used once, which come to 8 MiB at
    /// most.
    ///
    /// # Errors
    ///
    /// As [`QueueOptions::queue`].
    ///
    /// ```
    /// let queue = shmkit::Queue::unbounded()?;
    /// for n in 0..10_000u32 {
    ///     queue.put(n)?; // never waits
    /// }
    /// assert!(queue.len() == 10_000 && queue.get()? == 0);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn unbounded() -> Result<Queue<T>, Error> {
        QueueOptions::unbounded().queue()
    }

    /// Makes a queue that unrelated processes of the same user find by `name`.
    ///
    /// # Errors
    ///
    /// As [`QueueOptions::queue`].
    ///
    /// ```
    /// # let name = format!("doc.queue.{}", std::process::id());
    /// use shmkit::Queue;
    ///
    /// let made = Queue::create(&name, 3)?;
    /// made.put(7u32)?;
    /// assert_eq!(Queue::<u32>::open(&name)?.get()?, 7);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn create(name: &str, capacity: usize) -> Result<Queue<T>, Error> {
        QueueOptions::new(capacity).name(name).queue()
    }

    /// Opens the live queue of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::TypeMismatch`] for another kind of object or type of
    /// messages, and those of [`Region::open`].
    ///
    /// ```
    /// # let name = format!("doc.open.{}", std::process::id());
    /// use shmkit::{Error, Queue};
    ///
    /// assert!(matches!(Queue::<u32>::open(&name), Err(Error::NotFound)));
    /// let made = Queue::<u32>::create(&name, 3)?;
    /// Queue::open(&name)?.put(1u32)?;
    /// assert_eq!(made.get()?, 1);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn open(name: &str) -> Result<Queue<T>, Error> {
        let core = Core::open(name, Kind::Queue, Element::message::<T>())?;
        Ok(Queue { core, message: PhantomData })
    }

    /// Makes a queue in `region`, beside other objects.
    ///
    /// # Errors
    ///
    /// As [`QueueOptions::queue`].
    ///
    /// ```
    /// use shmkit::{Lock, Queue, Region};
    ///
    /// let region = Region::new(64 << 10)?;
    /// let (queue, lock) = (Queue::new_in(&region, 10)?, Lock::new_in(&region, ())?);
    /// let _guard = lock.lock()?;
    /// queue.put(7u8)?;
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn new_in(region: &Region, capacity: usize) -> Result<Queue<T>, Error> {
        QueueOptions::new(capacity).region(region).queue()
    }

    /// Lets every put fail from now on, in all processes, those that wait included; what is in the
    /// queue can still be got, and then every get is [`GetError::Disconnected`]. For good. Never
    /// blocks.
    ///
    /// ```
    /// use shmkit::{GetError, PutError, Queue};
    ///
    /// let queue = Queue::new(2)?;
    /// queue.put(1u8)?;
    /// queue.close();
    /// assert!(matches!(queue.put(2), Err(PutError::Disconnected(2))));
    /// assert_eq!(queue.get()?, 1);
    /// assert!(matches!(queue.get(), Err(GetError::Disconnected)));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn close(&self) {
        self.core.close();
    }

    /// Messages in the queue. May go stale at once; exact while nobody puts or gets.
    ///
    /// ```
    /// let queue = shmkit::Queue::new(2)?;
    /// queue.put_many(vec![1u8, 2])?;
    /// assert_eq!(queue.len(), 2);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.core.len()
    }

    /// Whether there is nothing to get. May go stale at once; exact while nobody puts or gets.
    ///
    /// ```
    /// let queue = shmkit::Queue::new(2)?;
    /// assert!(queue.is_empty());
    /// queue.put(1u8)?; // there when `put` returns
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
    /// let queue = shmkit::Queue::new(2)?;
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
    /// assert_eq!(shmkit::Queue::<u8>::new(2)?.capacity(), 2);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn capacity(&self) -> usize {
        self.core.ring().capacity()
    }

    /// The longest message, encoded, that has its place in the queue itself.
    ///
    /// ```
    /// let queue = shmkit::Queue::<u64>::new(2)?;
    /// assert!(queue.inline_bytes() >= 10); // an encoded number has 10 bytes at most
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn inline_bytes(&self) -> usize {
        self.core.inline_bytes()
    }

    /// Room for a message of `len_bytes` bytes, to be written in place: no copy is made, so that a
    /// long one costs no more than a short one, once its memory has been used before. Waits for room
    /// as long as it takes.
    ///
    /// The message is these bytes, and no encoded `T`: [`Queue::receive`] borrows it.
    ///
    /// # Errors
    ///
    /// [`PutError::TooLarge`], [`PutError::Disconnected`], [`PutError::Os`] as `Queue::put`.
    ///
    /// ```
    /// let queue = shmkit::Queue::<()>::new(4)?;
    /// let mut frame = queue.loan(1920 * 1080)?;
    /// frame.fill(7);
    /// frame.commit();
    /// let received = queue.receive()?;
    /// assert!(received.len() == 1920 * 1080 && received.iter().all(|byte| *byte == 7));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn loan(&self, len_bytes: usize) -> Result<Loan<'_>, PutError<()>> {
        Loan::new(&self.core, len_bytes, Deadline::Never)
    }

    /// As [`Queue::loan`], if there is room now. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`Queue::loan`]; [`PutError::Full`].
    ///
    /// ```
    /// use shmkit::{PutError, Queue};
    ///
    /// let queue = Queue::<()>::new(1)?;
    /// let loan = queue.try_loan(8)?;
    /// assert!(matches!(queue.try_loan(8), Err(PutError::Full(()))));
    /// drop(loan); // puts nothing
    /// queue.try_loan(8)?.commit();
    /// assert_eq!(queue.len(), 1);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn try_loan(&self, len_bytes: usize) -> Result<Loan<'_>, PutError<()>> {
        Loan::new(&self.core, len_bytes, Deadline::Now)
    }

    /// As [`Queue::loan`], waiting for room at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Queue::loan`]; [`PutError::Timeout`].
    ///
    /// ```
    /// use shmkit::{PutError, Queue};
    /// use std::time::Duration;
    ///
    /// let (queue, time) = (Queue::<()>::new(1)?, Duration::from_millis(1));
    /// queue.loan_timeout(8, time)?.commit();
    /// assert!(matches!(queue.loan_timeout(8, time), Err(PutError::Timeout(()))));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn loan_timeout(
        &self,
        len_bytes: usize,
        timeout: Duration,
    ) -> Result<Loan<'_>, PutError<()>> {
        Loan::new(&self.core, len_bytes, Deadline::after(timeout))
    }

    /// Borrows the bytes of the next message where they are, waiting for it as long as it takes:
    /// what was written into a [`Loan`], or the encoding of a value.
    ///
    /// # Errors
    ///
    /// As `Queue::get`, without [`GetError::Decode`].
    ///
    /// ```
    /// let queue = shmkit::Queue::<()>::new(1)?;
    /// let mut loan = queue.loan(3)?;
    /// loan.copy_from_slice(b"abc");
    /// loan.commit();
    /// assert_eq!(&queue.receive()?[..], b"abc");
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn receive(&self) -> Result<Received<'_>, GetError> {
        Received::new(&self.core, Deadline::Never)
    }

    /// As [`Queue::receive`], if a message is there. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`Queue::receive`]; [`GetError::Empty`].
    ///
    /// ```
    /// use shmkit::{GetError, Queue};
    ///
    /// let queue = Queue::<()>::new(1)?;
    /// assert!(matches!(queue.try_receive(), Err(GetError::Empty)));
    /// queue.loan(3)?.commit();
    /// assert_eq!(queue.try_receive()?.len(), 3);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn try_receive(&self) -> Result<Received<'_>, GetError> {
        Received::new(&self.core, Deadline::Now)
    }

    /// As [`Queue::receive`], waiting for a message at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Queue::receive`]; [`GetError::Timeout`].
    ///
    /// ```
    /// use shmkit::{GetError, Queue};
    /// use std::time::Duration;
    ///
    /// let queue = Queue::<()>::new(1)?;
    /// let late = queue.receive_timeout(Duration::from_millis(1));
    /// assert!(matches!(late, Err(GetError::Timeout)));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn receive_timeout(&self, timeout: Duration) -> Result<Received<'_>, GetError> {
        Received::new(&self.core, Deadline::after(timeout))
    }
}

#[cfg(feature = "serde")]
impl<T: Message> Queue<T> {
    /// Puts a message into the queue, waiting for room as long as it takes.
    ///
    /// # Errors
    ///
    /// The value comes back: [`PutError::Disconnected`] when the queue is closed, or is full and
    /// nobody is left; [`PutError::TooLarge`]; [`PutError::Encode`]. Without the value:
    /// [`PutError::Os`] when a forked child cannot become a user of the queue, when there is no memory
    /// for a long message, or no descriptor for a handle.
    ///
    /// ```
    /// let queue = shmkit::Queue::new(2)?;
    /// queue.put((1, String::from("one")))?;
    /// assert_eq!(queue.get()?.1, "one");
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn put(&self, value: T) -> Result<(), PutError<T>> {
        typed::put(&self.core, value, Deadline::Never)
    }

    /// Puts a message into the queue if there is room now. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`Queue::put`]; [`PutError::Full`], also while the place that is next is still in use: by
    /// who gets a message, or has borrowed it.
    ///
    /// ```
    /// use shmkit::{PutError, Queue};
    ///
    /// let queue = Queue::new(1)?;
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
    /// As [`Queue::put`]; [`PutError::Timeout`].
    ///
    /// ```
    /// use shmkit::{PutError, Queue};
    /// use std::time::Duration;
    ///
    /// let (queue, time) = (Queue::new(1)?, Duration::from_millis(1));
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
    /// As [`Queue::put`]. The messages that were not put come back, of which the first is the one that
    /// the error is about; those before it were put.
    /// In place of [`PutError::Os`] it is [`PutError::Stopped`].
    ///
    /// ```
    /// let queue = shmkit::Queue::new(100)?;
    /// queue.put_many((0..100u32).collect())?;
    /// assert_eq!(queue.len(), 100);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn put_many(&self, values: Vec<T>) -> Result<(), PutError<Vec<T>>> {
        typed::put_many(&self.core, values, Deadline::Never)
    }

    /// As [`Queue::put_many`], as far as there is room now. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`Queue::put_many`] and [`Queue::try_put`].
    ///
    /// ```
    /// use shmkit::{PutError, Queue};
    ///
    /// let queue = Queue::new(3)?;
    /// match queue.try_put_many((0..5u32).collect()) {
    ///     Err(PutError::Full(rest)) => assert_eq!(rest, [3, 4]),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn try_put_many(&self, values: Vec<T>) -> Result<(), PutError<Vec<T>>> {
        typed::put_many(&self.core, values, Deadline::Now)
    }

    /// As [`Queue::put_many`], waiting for room at most `timeout` in all.
    ///
    /// # Errors
    ///
    /// As [`Queue::put_many`] and [`Queue::put_timeout`].
    ///
    /// ```
    /// use shmkit::{PutError, Queue};
    /// use std::time::Duration;
    ///
    /// let queue = Queue::new(3)?;
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

    /// Gets the next message, waiting for it as long as it takes.
    ///
    /// # Errors
    ///
    /// [`GetError::Disconnected`] when the queue is closed and nothing is left, or nobody else is;
    /// what another process has borrowed counts as left, for it may come back.
    /// [`GetError::Decode`] for a message that is no `T`, which is gone then;
    /// [`GetError::HandleGone`]; [`GetError::Corrupt`]; [`GetError::Os`] when a forked child cannot become
    /// a user of the queue.
    ///
    /// ```
    /// let queue = shmkit::Queue::new(2)?;
    /// queue.put_many(vec![1u8, 2])?;
    /// assert_eq!((queue.get()?, queue.get()?), (1, 2));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn get(&self) -> Result<T, GetError> {
        typed::get(&self.core, Deadline::Never)
    }

    /// Gets the next message if it is there. Never blocks, but for a message with handles, whose sender
    /// has a second to hand them over.
    ///
    /// # Errors
    ///
    /// As [`Queue::get`]; [`GetError::Empty`], also while the message that is next is still being
    /// written in place by who has asked for a loan.
    ///
    /// ```
    /// use shmkit::{GetError, Queue};
    ///
    /// let queue = Queue::new(2)?;
    /// assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    /// queue.put(1u8)?;
    /// assert_eq!(queue.try_get()?, 1);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn try_get(&self) -> Result<T, GetError> {
        typed::get(&self.core, Deadline::Now)
    }

    /// Gets the next message, waiting for it at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Queue::get`]; [`GetError::Timeout`].
    ///
    /// ```
    /// use shmkit::{GetError, Queue};
    /// use std::time::Duration;
    ///
    /// let queue = Queue::<u8>::new(2)?;
    /// let late = queue.get_timeout(Duration::from_millis(1));
    /// assert!(matches!(late, Err(GetError::Timeout)));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        typed::get(&self.core, Deadline::after(timeout))
    }

    /// Gets the next messages, up to `max` of them, waiting for the first as long as it takes and for
    /// the others not at all. Cheaper than one by one.
    ///
    /// # Errors
    ///
    /// As [`Queue::get`]. A message that is no `T` is told only if the batch has no others.
    ///
    /// ```
    /// let queue = shmkit::Queue::new(10)?;
    /// queue.put_many((0..5u32).collect())?;
    /// assert_eq!(queue.get_many(3)?, [0, 1, 2]);
    /// assert_eq!(queue.get_many(3)?, [3, 4]); // what is there
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn get_many(&self, max: usize) -> Result<Vec<T>, GetError> {
        typed::get_many(&self.core, max, Deadline::Never)
    }

    /// As [`Queue::get_many`], of what is there now. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`Queue::get_many`] and [`Queue::try_get`].
    ///
    /// ```
    /// use shmkit::{GetError, Queue};
    ///
    /// let queue = Queue::new(10)?;
    /// queue.put(1u32)?;
    /// assert_eq!(queue.try_get_many(3)?, [1]);
    /// assert!(matches!(queue.try_get_many(3), Err(GetError::Empty)));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn try_get_many(&self, max: usize) -> Result<Vec<T>, GetError> {
        typed::get_many(&self.core, max, Deadline::Now)
    }

    /// As [`Queue::get_many`], waiting for the first at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Queue::get_many`] and [`Queue::get_timeout`].
    ///
    /// ```
    /// use shmkit::Queue;
    /// use std::time::Duration;
    ///
    /// let queue = Queue::new(10)?;
    /// queue.put(1u32)?;
    /// assert_eq!(queue.get_many_timeout(3, Duration::from_secs(1))?, [1]); // at once
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn get_many_timeout(&self, max: usize, timeout: Duration) -> Result<Vec<T>, GetError> {
        typed::get_many(&self.core, max, Deadline::after(timeout))
    }

    /// The messages as they come, until there will be none any more, or something else goes wrong. Those
    /// whose handles have gone with their sender are left out.
    ///
    /// ```
    /// let queue = shmkit::Queue::new(10)?;
    /// queue.put_many((0..5u32).collect())?;
    /// queue.close();
    /// assert_eq!(queue.iter().sum::<u32>(), 10);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = T> + '_ {
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

impl<T> Queue<T> {
    /// A descriptor for `poll`, `epoll` and the like, readable when there is something to get: a message,
    /// or the end of the queue. The same at each call, and one for each handle.
    ///
    /// It is readable at first, and from then on whenever something has come since a get by this handle
    /// last found nothing ([`GetError::Empty`](crate::GetError::Empty),
    /// [`GetError::Timeout`](crate::GetError::Timeout)). So with level-triggered polling a program may
    /// get as much as it likes before it polls again; with edge-triggered polling it gets until there is
    /// nothing. It may be readable in vain: others may have been faster, or something else in the region
    /// has changed, so get without blocking ([`Queue::try_get`]). Do not read from it. Everybody who
    /// polls is told of each message, in however many processes, and one of them gets it.
    ///
    /// Nobody pays for this before the first call. After it a get that finds nothing costs this process
    /// a few system calls, and the next message after that costs its sender one more than waking a
    /// sleeper does; further messages cost it nothing.
    ///
    /// What only a waiting call notices is not shown: that the last other process has died without a
    /// word, or that a sender was stopped or killed between its message and the ring, and nobody has put
    /// another since. Poll with a timeout where that matters, or use [`wait`](crate::wait()).
    ///
    /// # Errors
    ///
    /// [`Error::Os`](crate::Error::Os) when this process can have no more descriptors; it takes three,
    /// one of which is of a kind that a user has 128 of by default (`max_user_instances` of inotify).
    /// [`Error::WrongProcess`](crate::Error::WrongProcess) in a forked child, if its parent has asked
    /// for one before: ask a clone.
    ///
    /// ```
    /// use rustix::event::{PollFd, PollFlags, poll};
    /// use shmkit::{GetError, Queue};
    ///
    /// let queue = Queue::<u32>::new(4)?;
    /// let is_readable = || -> shmkit::Result<bool> {
    ///     let now = Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 });
    ///     let fd = queue.poll_fd()?;
    ///     Ok(poll(&mut [PollFd::new(&fd, PollFlags::IN)], now).map_err(std::io::Error::from)? == 1)
    /// };
    /// assert!(is_readable()?); // in vain
    /// assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    /// assert!(!is_readable()?);
    /// queue.put(1)?;
    /// assert!(is_readable()?);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn poll_fd(&self) -> Result<BorrowedFd<'_>, Error> {
        self.core.poll_fd()
    }

    /// This queue as one of several things to wait for.
    pub(crate) fn awaited(&self) -> impl Memory + '_ {
        &self.core
    }
}

impl<T> AsFd for Queue<T> {
    /// The descriptor to poll, see [`Queue::poll_fd`]. If there can be none, this is one that `poll`
    /// finds always readable and `epoll` refuses, so that nobody waits in vain.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.core.poll_fd().unwrap_or_else(|_| self.core.always_readable())
    }
}

impl<T> Clone for Queue<T> {
    /// One more handle to the same queue.
    fn clone(&self) -> Queue<T> {
        Queue { core: self.core.clone(), message: PhantomData }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}
