//! The public ends of a ring of plain values.

use super::end::End;
use super::error::{TryPopError, TryPushError};
use super::indices::{CONSUMER, PRODUCER};
use super::mapped::Mapped;
use super::spsc as ends;
use crate::error::Result;
use crate::region::{Element, Kind, Object, Place, Region};
use bytemuck::Pod;
use std::fmt;

/// Makes a ring for `capacity` values of type `T`, and returns its two ends.
///
/// Either end can be moved to another thread, or passed to another process as an argument. The
/// capacity is exact; memory is taken for the next power of two.
///
/// # Errors
///
/// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a capacity of 0 or beyond 2^48, or
/// a `T` aligned to more than 128 bytes; [`Error::NoMemory`](crate::Error::NoMemory),
/// [`Error::Os`](crate::Error::Os).
///
/// ```
/// use shmkit::ring::{self, TryPopError, TryPushError};
///
/// let (mut producer, mut consumer) = ring::spsc::<u64>(2)?;
/// producer.try_push(1).unwrap();
/// producer.try_push(2).unwrap();
/// assert_eq!(producer.try_push(3), Err(TryPushError::Full(3)));
/// assert_eq!(consumer.try_pop(), Ok(1));
/// drop(producer);
/// assert_eq!(consumer.try_pop(), Ok(2));
/// assert_eq!(consumer.try_pop(), Err(TryPopError::Disconnected));
/// # Ok::<(), shmkit::Error>(())
/// ```
pub fn spsc<T: Pod>(capacity: usize) -> Result<(Producer<T>, Consumer<T>)> {
    both(Place::Anonymous, capacity)
}

/// [`spsc()`] in a region, beside other objects.
///
/// # Errors
///
/// As [`spsc()`], and [`Error::NoSpace`](crate::Error::NoSpace) when the region is full.
pub fn spsc_in<T: Pod>(region: &Region, capacity: usize) -> Result<(Producer<T>, Consumer<T>)> {
    both(Place::In(region), capacity)
}

fn create<T: Pod>(place: Place<'_>, capacity: usize) -> Result<Mapped<T>> {
    Mapped::create(place, Kind::Ring, Element::of::<T>(), capacity as u64)
}

fn open<T: Pod>(name: &str) -> Result<Mapped<T>> {
    Mapped::on(&Object::open(name, Kind::Ring, Element::of::<T>())?)
}

fn both<T: Pod>(place: Place<'_>, capacity: usize) -> Result<(Producer<T>, Consumer<T>)> {
    let ring = create(place, capacity)?;
    Ok((Producer::on(ring.clone().claim()?), Consumer::on(ring.claim()?)))
}

/// The end of a ring that pushes. Dropping it closes the end: the consumer pops what is left and
/// then finds [`TryPopError::Disconnected`]. The same happens if the process dies.
///
/// One thread at a time uses it, and every operation is wait-free: it never sleeps. A ring found
/// full thousands of times in a row asks the kernel once whether the consumer lives.
///
/// The consumer's end is noticed whenever its position is looked at, which is at least once per
/// lap: up to a ring full of values may be pushed after it has gone.
///
/// ```
/// fn can_move_to_another_thread<T: Send>() {}
/// can_move_to_another_thread::<shmkit::ring::Producer<u64>>();
/// ```
/// ```compile_fail,E0277
/// fn can_be_shared_by_threads<T: Sync>() {}
/// can_be_shared_by_threads::<shmkit::ring::Producer<u64>>();
/// ```
/// Values are plain: nothing that points somewhere crosses to another process.
/// ```
/// shmkit::ring::spsc::<[u8; 16]>(4)?;
/// # Ok::<(), shmkit::Error>(())
/// ```
/// ```compile_fail,E0277
/// shmkit::ring::spsc::<String>(4)?;
/// # Ok::<(), shmkit::Error>(())
/// ```
pub struct Producer<T: Pod> {
    writer: ends::Writer<Mapped<T>>,
}

impl<T: Pod> Producer<T> {
    fn on(end: End<Mapped<T>, PRODUCER>) -> Self {
        Producer { writer: ends::Writer::new(end) }
    }

    fn end(&self) -> &End<Mapped<T>, PRODUCER> {
        self.writer.end()
    }

    /// Makes a ring under `name` and takes this end; a process of the same user takes the other by
    /// [`Consumer::open`].
    ///
    /// # Errors
    ///
    /// As [`spsc()`]; [`Error::Exists`](crate::Error::Exists) when a live object has the name,
    /// [`Error::InvalidName`](crate::Error::InvalidName),
    /// [`Error::NoSpace`](crate::Error::NoSpace).
    ///
    /// ```
    /// # let name = format!("doc.ring.{}", std::process::id());
    /// use shmkit::ring::{Consumer, Producer};
    ///
    /// let mut producer = Producer::create(&name, 64)?;
    /// producer.try_push(7u64).unwrap();
    /// let mut consumer = Consumer::<u64>::open(&name)?;
    /// assert_eq!(consumer.try_pop(), Ok(7));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn create(name: &str, capacity: usize) -> Result<Self> {
        Ok(Self::on(create(Place::Named(name), capacity)?.claim()?))
    }

    /// Takes this end of the live ring of this name: the first time, or after its owner died; then
    /// it goes on where that one stopped.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound);
    /// [`Error::WrongProcess`](crate::Error::WrongProcess) when this end has a live owner or was closed;
    /// [`Error::TypeMismatch`](crate::Error::TypeMismatch) for another kind of object or another
    /// `T`, and those of [`Region::open`].
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self::on(open(name)?.claim()?))
    }

    /// Pushes one value.
    ///
    /// Wait-free. When it returns `Ok` the value is in the ring, also if this process dies next.
    ///
    /// # Errors
    ///
    /// [`TryPushError`], with the value.
    #[inline]
    pub fn try_push(&mut self, value: T) -> Result<(), TryPushError<T>> {
        self.writer.push(value)
    }

    /// Pushes as many of `values` as fit, from the first on, and returns their number: at least 1,
    /// or 0 if there are none. They appear to the consumer all at once.
    ///
    /// Wait-free, but for the copy. Several times faster than single pushes.
    ///
    /// # Errors
    ///
    /// [`TryPushError`]; then nothing was pushed.
    ///
    /// ```
    /// let (mut producer, mut consumer) = shmkit::ring::spsc::<u32>(3)?;
    /// assert_eq!(producer.try_push_slice(&[1, 2, 3, 4]), Ok(3));
    /// let mut out = [0; 8];
    /// assert_eq!(consumer.try_pop_slice(&mut out), Ok(3));
    /// assert_eq!(out[..3], [1, 2, 3]);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    #[inline]
    pub fn try_push_slice(&mut self, values: &[T]) -> Result<usize, TryPushError<()>> {
        self.writer.push_slice(values)
    }

    /// Lends up to `max` free slots to be written in place.
    ///
    /// Wait-free. The slots hold what they held before.
    ///
    /// # Errors
    ///
    /// [`TryPushError`] if there is no slot at all, unless `max` is 0.
    ///
    /// ```
    /// let (mut producer, mut consumer) = shmkit::ring::spsc::<u32>(4)?;
    /// let mut slots = producer.try_reserve(2).unwrap();
    /// slots.as_mut_slices().0.copy_from_slice(&[5, 6]);
    /// slots.commit(2);
    /// assert_eq!(consumer.try_pop(), Ok(5));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    #[inline]
    pub fn try_reserve(&mut self, max: usize) -> Result<Reserved<'_, T>, TryPushError<()>> {
        Ok(Reserved { inner: self.writer.reserve(max)? })
    }

    /// Free slots: more may become free at any time, but none is taken away.
    pub fn slots(&self) -> usize {
        self.capacity() - self.len()
    }

    /// Values in the ring: at most these, the consumer may pop some at any time.
    pub fn len(&self) -> usize {
        self.end().len() as usize
    }

    /// Whether the ring is empty. `true` stays true until the next push.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the ring is full. `false` stays true until the next push.
    pub fn is_full(&self) -> bool {
        self.slots() == 0
    }

    /// The values that the ring holds at most.
    pub fn capacity(&self) -> usize {
        self.end().capacity() as usize
    }

    /// Whether the consumer has closed its end or died. `false` may go stale at once.
    ///
    /// Asks the kernel: about a microsecond.
    pub fn is_disconnected(&self) -> bool {
        self.end().probe_peer()
    }
}

/// Free slots of a ring, lent for writing. Dropped without [`Reserved::commit`]: nothing was pushed.
pub struct Reserved<'a, T: Pod> {
    inner: ends::Reserved<'a, Mapped<T>>,
}

impl<T: Pod> Reserved<'_, T> {
    /// The slots lent.
    #[allow(clippy::len_without_is_empty, reason = "it is empty only if none was asked for")]
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// The slots in order: a run, and its continuation after the wrap, which may be empty.
    pub fn as_mut_slices(&mut self) -> (&mut [T], &mut [T]) {
        self.inner.as_mut_slices()
    }

    /// Pushes the first `count` slots as they are, at most [`Reserved::len`]. They appear to the
    /// consumer all at once.
    pub fn commit(self, count: usize) {
        self.inner.commit(count);
    }
}

/// The end of a ring that pops. Dropping it closes the end: the producer soon finds
/// [`TryPushError::Disconnected`]. The same happens if the process dies.
///
/// One thread at a time uses it, and every operation is wait-free: it never sleeps. A ring found
/// empty thousands of times in a row asks the kernel once whether the producer lives.
///
/// ```
/// fn can_move_to_another_thread<T: Send>() {}
/// can_move_to_another_thread::<shmkit::ring::Consumer<u64>>();
/// ```
/// ```compile_fail,E0277
/// fn can_be_shared_by_threads<T: Sync>() {}
/// can_be_shared_by_threads::<shmkit::ring::Consumer<u64>>();
/// ```
pub struct Consumer<T: Pod> {
    reader: ends::Reader<Mapped<T>>,
}

impl<T: Pod> Consumer<T> {
    fn on(end: End<Mapped<T>, CONSUMER>) -> Self {
        Consumer { reader: ends::Reader::new(end) }
    }

    fn end(&self) -> &End<Mapped<T>, CONSUMER> {
        self.reader.end()
    }

    /// Makes a ring under `name` and takes this end; a process of the same user takes the other by
    /// [`Producer::open`].
    ///
    /// # Errors
    ///
    /// As [`Producer::create`].
    pub fn create(name: &str, capacity: usize) -> Result<Self> {
        Ok(Self::on(create(Place::Named(name), capacity)?.claim()?))
    }

    /// Takes this end of the live ring of this name: the first time, or after its owner died; then
    /// it goes on where that one stopped.
    ///
    /// # Errors
    ///
    /// As [`Producer::open`].
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self::on(open(name)?.claim()?))
    }

    /// Pops the oldest value.
    ///
    /// Wait-free. A process killed in this call has popped the value or not; one that is killed
    /// after it takes the value along.
    ///
    /// # Errors
    ///
    /// [`TryPopError`]; `Disconnected` only after the last value.
    #[inline]
    pub fn try_pop(&mut self) -> Result<T, TryPopError> {
        self.reader.pop()
    }

    /// Moves the oldest values into `out` and returns their number: at least 1, or 0 if `out` is
    /// empty.
    ///
    /// Wait-free, but for the copy. Several times faster than single pops.
    ///
    /// # Errors
    ///
    /// [`TryPopError`]; then `out` is untouched.
    #[inline]
    pub fn try_pop_slice(&mut self, out: &mut [T]) -> Result<usize, TryPopError> {
        self.reader.pop_slice(out)
    }

    /// Lends up to `max` of the oldest values to be read in place; they stay in the ring until
    /// [`Peeked::release`].
    ///
    /// Wait-free.
    ///
    /// # Errors
    ///
    /// [`TryPopError`] if there is no value at all, unless `max` is 0.
    ///
    /// ```
    /// let (mut producer, mut consumer) = shmkit::ring::spsc::<u32>(4)?;
    /// producer.try_push_slice(&[5, 6, 7]).unwrap();
    /// let values = consumer.try_peek(2).unwrap();
    /// assert_eq!(values.as_slices().0, [5, 6]);
    /// values.release(1);
    /// assert_eq!(consumer.try_pop(), Ok(6));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    #[inline]
    pub fn try_peek(&mut self, max: usize) -> Result<Peeked<'_, T>, TryPopError> {
        Ok(Peeked { inner: self.reader.peek(max)? })
    }

    /// Values to pop: more may come at any time, but none is taken away.
    pub fn len(&self) -> usize {
        self.end().len() as usize
    }

    /// Whether nothing is to be popped. `false` stays true until the next pop.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the ring is full. `true` stays true until the next pop.
    pub fn is_full(&self) -> bool {
        self.len() == self.capacity()
    }

    /// The values that the ring holds at most.
    pub fn capacity(&self) -> usize {
        self.end().capacity() as usize
    }

    /// Whether the producer has closed its end or died. `false` may go stale at once. What it
    /// pushed before is still to be popped.
    ///
    /// Asks the kernel: about a microsecond.
    pub fn is_disconnected(&self) -> bool {
        self.end().probe_peer()
    }
}

/// The oldest values of a ring, lent for reading. Dropped without [`Peeked::release`]: nothing was
/// popped.
pub struct Peeked<'a, T: Pod> {
    inner: ends::Peeked<'a, Mapped<T>>,
}

impl<T: Pod> Peeked<'_, T> {
    /// The values lent.
    #[allow(clippy::len_without_is_empty, reason = "it is empty only if none was asked for")]
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// The values in order: a run, and its continuation after the wrap, which may be empty.
    pub fn as_slices(&self) -> (&[T], &[T]) {
        self.inner.as_slices()
    }

    /// Pops the first `count` values, at most [`Peeked::len`].
    pub fn release(self, count: usize) {
        self.inner.release(count);
    }
}

impl<T: Pod> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

impl<T: Pod> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

impl<T: Pod> fmt::Debug for Reserved<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserved").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T: Pod> fmt::Debug for Peeked<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peeked").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(feature = "serde")]
mod transfer {
    use super::*;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Moves the end: this handle is no owner from then on.
    impl<T: Pod> Serialize for Producer<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.end().send(serializer)
        }
    }

    impl<'de, T: Pod> Deserialize<'de> for Producer<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            End::receive(deserializer, Kind::Ring, Element::of::<T>()).map(Self::on)
        }
    }

    /// Moves the end: this handle is no owner from then on.
    impl<T: Pod> Serialize for Consumer<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.end().send(serializer)
        }
    }

    impl<'de, T: Pod> Deserialize<'de> for Consumer<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            End::receive(deserializer, Kind::Ring, Element::of::<T>()).map(Self::on)
        }
    }
}
