//! How a queue is made where the defaults do not do.

use super::core::Core;
use super::{JoinableQueue, Queue};
use crate::error::{Error, Result};
use crate::region::{Element, Kind, Place, Region};
use crate::ring::frames::{HEAD_BYTES, Shape};
use std::marker::PhantomData;

/// The smallest slot and the largest that is chosen by default.
const SLOT_BYTES: usize = 64;
const SLOT_BYTES_MAX: usize = 4096;
/// Strings and the like have their bytes elsewhere, so that a type does not say how many they are.
const OWNING_SLOT_BYTES: usize = 256;
/// The longest message that a slot may be made for.
pub(super) const INLINE_BYTES_MAX: usize = 1 << 30;
/// Address space for longer messages by default: several of 16 MiB.
const HEAP_BYTES: u64 = 128 << 20;
/// The messages that an unbounded queue holds at most, and the bytes of those that are long. Somebody has
/// to be told when nobody gets them, before the machine runs out of memory.
const UNBOUNDED: usize = 1_000_000;
const UNBOUNDED_HEAP_BYTES: u64 = 1 << 30;
/// A queue grows by so many bytes at least, and by so many slots.
const CHUNK_BYTES: usize = 64 << 10;
const CHUNK_SLOTS: usize = 16;
/// The same in a manager.
const KEYED_HEAP_BYTES: u64 = 16 << 20;

/// How a queue is made, where the defaults do not do.
///
/// ```
/// use shmkit::{Queue, QueueOptions};
///
/// let queue: Queue<String> = QueueOptions::new(16).inline_bytes(1000).queue()?;
/// queue.put("x".repeat(900))?;
/// # Ok::<(), shmkit::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct QueueOptions<'a> {
    capacity: usize,
    grows: bool,
    inline_bytes: Option<usize>,
    heap_bytes: Option<u64>,
    place: Place<'a>,
}

impl<'a> QueueOptions<'a> {
    /// A queue for up to `capacity` messages.
    ///
    /// ```
    /// let queue = shmkit::QueueOptions::new(16).queue::<u32>()?;
    /// assert_eq!(queue.capacity(), 16);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn new(capacity: usize) -> QueueOptions<'a> {
        QueueOptions {
            capacity,
            grows: false,
            inline_bytes: None,
            heap_bytes: None,
            place: Place::Anonymous,
        }
    }

    /// A queue that grows, for up to 1,000,000 messages: see [`Queue::unbounded`].
    ///
    /// ```
    /// use shmkit::{Queue, QueueOptions};
    ///
    /// let queue: Queue<u64> = QueueOptions::unbounded().queue()?;
    /// queue.put_many((0..5000).collect())?;
    /// assert_eq!(queue.len(), 5000);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn unbounded() -> QueueOptions<'a> {
        let options = QueueOptions::new(UNBOUNDED).growing();
        QueueOptions { heap_bytes: Some(UNBOUNDED_HEAP_BYTES), ..options }
    }

    /// Lets the queue take its memory as it grows, and give it back as it is drained, instead of having
    /// all of it from the start: for a capacity that is there for bad times only.
    ///
    /// ```
    /// use shmkit::{PutError, Queue, QueueOptions};
    ///
    /// let queue: Queue<u32> = QueueOptions::new(100_000).growing().queue()?;
    /// queue.put_many((0..100_000).collect())?;
    /// assert!(matches!(queue.try_put(7), Err(PutError::Full(7))));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn growing(mut self) -> Self {
        self.grows = true;
        self
    }

    /// The longest message, encoded, that has a place in the queue itself; a longer one lies beside
    /// it, which takes somewhat longer. By default it is chosen by the size of the type: 40 bytes for
    /// a number, 232 for a type with strings in it.
    ///
    /// ```
    /// let queue = shmkit::QueueOptions::new(16).inline_bytes(500).queue::<String>()?;
    /// assert!(queue.inline_bytes() >= 500);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn inline_bytes(mut self, inline_bytes: usize) -> Self {
        self.inline_bytes = Some(inline_bytes);
        self
    }

    /// The memory, in bytes, for all messages together that are longer than
    /// [`QueueOptions::inline_bytes`], which is also the longest message. By default 128 MiB; in a
    /// region with others nothing.
    ///
    /// That is address space, and messages lie in whole pages of it: a message takes memory when it is
    /// put for the first time where none was yet, and the memory of what was got is kept for later
    /// messages, up to a quarter of all or 32 MiB.
    ///
    /// ```
    /// use shmkit::{PutError, Queue, QueueOptions};
    ///
    /// let queue: Queue<Vec<u8>> = QueueOptions::new(4).heap_bytes(1 << 20).queue()?;
    /// queue.put(vec![7; 1_000_000])?;
    /// assert!(matches!(queue.put(vec![7; 2_000_000]), Err(PutError::TooLarge(_))));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn heap_bytes(mut self, heap_bytes: u64) -> Self {
        self.heap_bytes = Some(heap_bytes);
        self
    }

    /// Gives the queue a name by which unrelated processes of the same user find it.
    ///
    /// ```
    /// # let name = format!("doc.options.{}", std::process::id());
    /// use shmkit::{Queue, QueueOptions};
    ///
    /// let made = QueueOptions::new(16).name(&name).queue()?;
    /// made.put(1u8)?;
    /// assert_eq!(Queue::<u8>::open(&name)?.get()?, 1);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn name(mut self, name: &'a str) -> Self {
        self.place = Place::Named(name);
        self
    }

    /// Makes the queue in a region, beside other objects.
    ///
    /// ```
    /// use shmkit::{QueueOptions, Region};
    ///
    /// let region = Region::new(1 << 20)?;
    /// let queue = QueueOptions::new(16).heap_bytes(100_000).region(&region).queue()?;
    /// queue.put("x".repeat(50_000))?;
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn region(mut self, region: &'a Region) -> Self {
        self.place = Place::In(region);
        self
    }

    /// Makes the queue in a region under a key, or opens the one that is there.
    #[cfg(feature = "serde")]
    pub(crate) fn keyed(mut self, region: &'a Region, key: &'a str) -> Self {
        self.place = Place::Keyed(region, key);
        self
    }

    /// Makes the queue.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a capacity of 0 or beyond 2^31; [`Error::NoMemory`],
    /// [`Error::Os`]; [`Error::Exists`], [`Error::InvalidName`] with a name, [`Error::NoSpace`] with a
    /// region.
    ///
    /// ```
    /// use shmkit::{Error, QueueOptions};
    ///
    /// assert!(QueueOptions::new(1).queue::<u8>().is_ok());
    /// let none = QueueOptions::new(0).queue::<u8>();
    /// assert!(matches!(none, Err(Error::InvalidArgument(_))));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn queue<T>(self) -> Result<Queue<T>> {
        let core = self.core::<T>(Kind::Queue)?;
        Ok(Queue { core, message: PhantomData })
    }

    /// Makes the queue as one whose messages are to be done.
    ///
    /// # Errors
    ///
    /// As [`QueueOptions::queue`].
    ///
    /// ```
    /// let queue = shmkit::QueueOptions::new(16).joinable()?;
    /// queue.put(1u8)?;
    /// queue.get()?.done();
    /// queue.join()?;
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn joinable<T>(self) -> Result<JoinableQueue<T>> {
        let core = self.core::<T>(Kind::JoinableQueue)?;
        Ok(JoinableQueue { core, message: PhantomData })
    }

    fn core<T>(self, kind: Kind) -> Result<Core> {
        let inline_bytes = self.inline_bytes.unwrap_or_else(default_inline_bytes::<T>);
        if inline_bytes > INLINE_BYTES_MAX {
            return Err(Error::InvalidArgument("size of a message in a queue"));
        }
        let stride = (HEAD_BYTES + inline_bytes).next_multiple_of(SLOT_BYTES) as u32;
        let heap_bytes = self.heap_bytes.unwrap_or(match self.place {
            Place::In(_) => 0,
            Place::Keyed(..) | Place::Fresh(..) => KEYED_HEAP_BYTES,
            Place::Anonymous | Place::Named(_) => HEAP_BYTES,
        });
        let chunk = if self.grows { chunk_for(stride) } else { 0 };
        let shape = Shape { capacity: self.capacity as u64, stride, chunk, heap_bytes };
        Core::create(self.place, kind, Element::message::<T>(), shape)
    }
}

/// The slots by which a queue grows that has slots of this size.
pub(super) fn chunk_for(stride: u32) -> u32 {
    CHUNK_BYTES.div_ceil(stride as usize).next_power_of_two().max(CHUNK_SLOTS) as u32
}

/// Room for a `T` as it is encoded, where numbers may grow by half, so that a slot is a power of two.
fn default_inline_bytes<T>() -> usize {
    let wanted = HEAD_BYTES + size_of::<T>() + size_of::<T>() / 2;
    let least = if std::mem::needs_drop::<T>() { OWNING_SLOT_BYTES } else { SLOT_BYTES };
    wanted.clamp(least, SLOT_BYTES_MAX).next_power_of_two() - HEAD_BYTES
}
