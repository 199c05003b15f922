//! A queue of bytes, for other languages: every call takes its deadline, and what is lent may be put
//! for less than was asked for, or given back.
//!
//! A Rust program meets it as a `Queue<T>`: by [`Queue::loan`](super::Queue::loan) and
//! [`Queue::receive`](super::Queue::receive) as the same bytes, by `put` and `get` as values in the
//! encoding of messages.

use super::core::{Core, Lease};
use super::error::{GetError, PutError};
use super::lend::Loan;
use crate::error::Result;
use crate::lock::deadline::Deadline;
use crate::region::{Address, Element, Kind, Place};
use crate::ring::frames::{Frames, HEAD_BYTES, Shape};
use crate::ring::mpmc::Leased;
use std::os::fd::BorrowedFd;

/// The most messages of a batch: as many as the ring claims at once.
const BATCH: usize = 128;

/// Slots are whole lines of this size.
const SLOT_BYTES: usize = 64;

/// A handle to a queue of bytes.
pub struct ByteQueue {
    pub(super) core: Core,
    pub(super) joinable: bool,
}

/// How a queue of bytes is made.
#[derive(Clone, Copy, Debug)]
pub struct ByteQueueOptions {
    /// Messages that the queue holds at most.
    pub capacity: usize,
    /// The longest message that has a place in the queue itself.
    pub inline_bytes: usize,
    /// Address space for all longer ones together.
    pub heap_bytes: u64,
    /// Whether messages are to be done.
    pub joinable: bool,
    /// Whether memory for the slots is taken as they are needed.
    pub grows: bool,
    /// What the messages are.
    pub element: Element,
}

impl ByteQueue {
    /// Makes a queue.
    pub fn create(place: Place<'_>, options: ByteQueueOptions) -> Result<ByteQueue> {
        let ByteQueueOptions { capacity, inline_bytes, heap_bytes, joinable, grows, element } =
            options;
        let inline_bytes = inline_bytes.min(super::options::INLINE_BYTES_MAX);
        let stride = (HEAD_BYTES + inline_bytes).next_multiple_of(SLOT_BYTES) as u32;
        let chunk = if grows { super::options::chunk_for(stride) } else { 0 };
        let shape = Shape { capacity: capacity as u64, stride, chunk, heap_bytes };
        let kind = if joinable { Kind::JoinableQueue } else { Kind::Queue };
        Ok(ByteQueue { core: Core::create(place, kind, element, shape)?, joinable })
    }

    /// The queue at this address, of whatever messages.
    pub fn find(at: Address<'_>) -> Result<ByteQueue> {
        match Core::open(at, Kind::Queue, Element::ANY) {
            Err(crate::Error::TypeMismatch { .. }) => {
                let core = Core::open(at, Kind::JoinableQueue, Element::ANY)?;
                Ok(ByteQueue { core, joinable: true })
            }
            core => Ok(ByteQueue { core: core?, joinable: false }),
        }
    }

    /// Puts a message.
    #[inline]
    pub fn put(&self, message: &[u8], deadline: Deadline) -> Result<(), PutError<()>> {
        match message.len() > self.core.inline_bytes() {
            true => self.core.put_long(message, deadline),
            false => self.core.put(message, deadline),
        }
    }

    /// Puts some of the messages, the first ones, and says how many: at least one, of those that are
    /// there.
    pub fn put_some<'m>(
        &self,
        messages: impl ExactSizeIterator<Item = &'m [u8]> + Clone,
        deadline: Deadline,
    ) -> Result<usize, PutError<()>> {
        let inline_bytes = self.core.inline_bytes();
        let short = messages.clone().take_while(|message| message.len() <= inline_bytes).count();
        match (short.min(BATCH), messages.clone().next()) {
            (0, None) => Ok(0),
            (0, Some(long)) => self.core.put_long(long, deadline).map(|()| 1),
            (short, _) => self.core.put_some(messages.take(short), deadline),
        }
    }

    /// Shows up to `max` messages to `each`, and says how many; those for which it returns false stay.
    #[inline]
    pub fn get_some(
        &self,
        max: usize,
        deadline: Deadline,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> Result<usize, GetError> {
        let mut corrupt = false;
        let count = self.core.get_some(max.min(BATCH), deadline, |head, message| {
            let trailer = usize::from(head.trailer);
            let bytes = message.and_then(|bytes| bytes.get(..bytes.len().checked_sub(trailer)?));
            match bytes {
                Some(bytes) => each(bytes),
                None => {
                    corrupt = true;
                    true // nonsense goes
                }
            }
        })?;
        if corrupt { Err(GetError::Corrupt) } else { Ok(count) }
    }

    /// Room for a message, to be filled in place.
    pub fn loan(&self, len_bytes: usize, deadline: Deadline) -> Result<Loan<'_>, PutError<()>> {
        Loan::new(&self.core, len_bytes, deadline)
    }

    /// The next message, in place.
    pub fn borrow(&self, deadline: Deadline) -> Result<Borrowed<'_>, GetError> {
        let (leased, lease) = self.core.lease(deadline)?;
        let borrowed = Borrowed { core: &self.core, lent: Some((leased, lease)) };
        match borrowed.bytes() {
            Some(_) => Ok(borrowed),
            None => {
                borrowed.done();
                Err(GetError::Corrupt)
            }
        }
    }

    /// Whether messages are to be done: then [`Borrowed::done`] is what `join` waits for.
    pub fn is_joinable(&self) -> bool {
        self.joinable
    }

    /// Waits until all that was put is done.
    pub fn join(&self, deadline: Deadline) -> Result<(), super::JoinError> {
        self.core.join(deadline)
    }

    /// Messages in the queue.
    pub fn len(&self) -> usize {
        self.core.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Messages that the queue holds at most.
    pub fn capacity(&self) -> usize {
        self.core.ring().capacity()
    }

    /// The longest message that has a place in the queue itself.
    pub fn inline_bytes(&self) -> usize {
        self.core.inline_bytes()
    }

    /// Whether somebody has closed the queue.
    pub fn is_closed(&self) -> bool {
        self.core.ring().is_closed()
    }

    /// Lets every put fail from now on, and every get once nothing is left.
    pub fn close(&self) {
        self.core.close();
    }

    /// A descriptor that is readable when there is something to get.
    pub fn poll_fd(&self) -> Result<BorrowedFd<'_>> {
        self.core.poll_fd()
    }
}

/// A message in place, until it is done or given back: by its drop.
pub struct Borrowed<'a> {
    core: &'a Core,
    /// `None` only while it is dropped.
    lent: Option<(Leased<'a, Frames>, Lease)>,
}

impl Borrowed<'_> {
    /// The message; `None` if it is none.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.lent.as_ref().and_then(|(leased, _)| leased.message())
    }

    /// Frees its place: it is got for good.
    pub fn done(mut self) {
        self.end(true);
    }

    fn end(&mut self, done: bool) {
        if let Some((leased, lease)) = self.lent.take() {
            self.core.end_lease(leased, lease, done);
        }
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        self.end(false);
    }
}
