//! The public ends of a ring of byte records.

use super::end::End;
use super::error::{TryPopError, TryReserveError};
use super::indices::{CONSUMER, PRODUCER};
use super::mapped::Mapped;
use super::record as ends;
use crate::error::{Error, Result};
use crate::region::{Element, Kind, Object, Place, Region};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Makes a ring for byte records with room for `capacity_bytes` in all, and returns its two ends.
///
/// The capacity is rounded up to a power of two, 64 at least. A record takes its length rounded up
/// to 8, plus 8; none may be longer than half the capacity less 8 bytes, so that an empty ring has
/// room for any.
///
/// # Errors
///
/// [`Error::InvalidArgument`] for a capacity of 0 or beyond 2^51; [`Error::NoMemory`],
/// [`Error::Os`].
///
/// ```
/// let (mut producer, mut consumer) = shmkit::ring::record(4096)?;
/// let mut room = producer.try_reserve(100).unwrap();
/// room[..5].copy_from_slice(b"hello");
/// room.commit(5);
/// assert_eq!(*consumer.try_receive().unwrap(), *b"hello");
/// # Ok::<(), shmkit::Error>(())
/// ```
pub fn record(capacity_bytes: usize) -> Result<(RecordProducer, RecordConsumer)> {
    both(Place::Anonymous, capacity_bytes)
}

/// [`record()`] in a region, beside other objects.
///
/// # Errors
///
/// As [`record()`], and [`Error::NoSpace`] when the region is full.
pub fn record_in(
    region: &Region,
    capacity_bytes: usize,
) -> Result<(RecordProducer, RecordConsumer)> {
    both(Place::In(region), capacity_bytes)
}

fn create(place: Place<'_>, capacity_bytes: usize) -> Result<Mapped<u64>> {
    if capacity_bytes == 0 {
        return Err(Error::InvalidArgument("capacity of a ring"));
    }
    let words = ends::words_for(capacity_bytes as u64);
    Mapped::create(place, Kind::Records, Element::BYTES, words)
}

fn open(name: &str) -> Result<Mapped<u64>> {
    Mapped::on(&Object::open(name, Kind::Records, Element::BYTES)?)
}

fn both(place: Place<'_>, capacity_bytes: usize) -> Result<(RecordProducer, RecordConsumer)> {
    let ring = create(place, capacity_bytes)?;
    Ok((RecordProducer::on(ring.clone().claim()?), RecordConsumer::on(ring.claim()?)))
}

/// The end of a record ring that writes. Dropping it shows what is staged and closes the end: the
/// consumer receives what is left and then finds [`TryPopError::Disconnected`].
///
/// One thread at a time uses it; every operation is wait-free and never sleeps. If the process
/// dies, the consumer gets every record that was published, and no part of any other.
///
/// ```
/// fn can_move_to_another_thread<T: Send>() {}
/// can_move_to_another_thread::<shmkit::ring::RecordProducer>();
/// ```
/// ```compile_fail,E0277
/// fn can_be_shared_by_threads<T: Sync>() {}
/// can_be_shared_by_threads::<shmkit::ring::RecordProducer>();
/// ```
pub struct RecordProducer {
    writer: ends::Writer<Mapped<u64>>,
}

impl RecordProducer {
    fn on(end: End<Mapped<u64>, PRODUCER>) -> Self {
        RecordProducer { writer: ends::Writer::new(end) }
    }

    /// Makes a ring under `name` and takes this end; a process of the same user takes the other by
    /// [`RecordConsumer::open`].
    ///
    /// # Errors
    ///
    /// As [`record()`]; [`Error::Exists`] when a live object has the name, [`Error::InvalidName`],
    /// [`Error::NoSpace`].
    pub fn create(name: &str, capacity_bytes: usize) -> Result<Self> {
        Ok(Self::on(create(Place::Named(name), capacity_bytes)?.claim()?))
    }

    /// Takes this end of the live ring of this name: the first time, or after its owner died; then
    /// it goes on where that one stopped.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; [`Error::WrongProcess`] when this end has a live owner or was closed;
    /// [`Error::TypeMismatch`] for another kind of object, and those of [`Region::open`].
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self::on(open(name)?.claim()?))
    }

    /// Lends `len_bytes` of the ring, to be written in place.
    ///
    /// Wait-free. The bytes are what they were before.
    ///
    /// # Errors
    ///
    /// [`TryReserveError`]. When `Full`, staged records were published.
    #[inline]
    pub fn try_reserve(&mut self, len_bytes: usize) -> Result<ReservedRecord<'_>, TryReserveError> {
        Ok(ReservedRecord { inner: self.writer.reserve(len_bytes)? })
    }

    /// Lends as many bytes as there are without a gap: at least `min` and at most `max`, both cut
    /// to the longest record. For long messages in pieces.
    ///
    /// # Errors
    ///
    /// [`TryReserveError`], but never `TooLarge`. When `Full`, staged records were published.
    #[inline]
    pub fn try_reserve_up_to(
        &mut self,
        min: usize,
        max: usize,
    ) -> Result<ReservedRecord<'_>, TryReserveError> {
        Ok(ReservedRecord { inner: self.writer.reserve_up_to(min, max)? })
    }

    /// Copies `bytes` into the ring as one record and publishes it.
    ///
    /// Wait-free, but for the copy.
    ///
    /// # Errors
    ///
    /// As [`RecordProducer::try_reserve`].
    #[inline]
    pub fn try_send(&mut self, bytes: &[u8]) -> Result<(), TryReserveError> {
        let mut room = self.writer.reserve(bytes.len())?;
        room.copy_from_slice(bytes);
        room.commit(bytes.len());
        Ok(())
    }

    /// Shows all staged records to the consumer, by one store.
    ///
    /// ```
    /// let (mut producer, mut consumer) = shmkit::ring::record(4096)?;
    /// for byte in 0..3 {
    ///     let mut room = producer.try_reserve(1).unwrap();
    ///     room[0] = byte;
    ///     room.stage(1);
    /// }
    /// assert!(consumer.try_receive().is_err());
    /// producer.publish();
    /// assert_eq!(consumer.try_drain(10, |bytes, _flags| assert_eq!(bytes.len(), 1)), Ok(3));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn publish(&mut self) {
        self.writer.publish();
    }

    /// The longest record, in bytes: half the capacity less 8.
    pub fn max_record_bytes(&self) -> usize {
        self.writer.max_record_bytes()
    }

    /// Bytes of the ring, headers and padding included.
    pub fn capacity_bytes(&self) -> usize {
        self.writer.end().capacity() as usize * ends::WORD_BYTES
    }

    /// Whether nothing published is left. `true` stays true until the next publication.
    pub fn is_empty(&self) -> bool {
        self.writer.end().len() == 0
    }

    /// Whether the consumer has closed its end or died. `false` may go stale at once.
    ///
    /// Asks the kernel: about a microsecond.
    pub fn is_disconnected(&self) -> bool {
        self.writer.end().probe_peer()
    }
}

/// Room for one record in the ring, lent for writing. Dropped without
/// [`commit`](ReservedRecord::commit) or [`stage`](ReservedRecord::stage): there was no record.
pub struct ReservedRecord<'a> {
    inner: ends::Reserved<'a, Mapped<u64>>,
}

impl ReservedRecord<'_> {
    /// Sets the number that the consumer reads beside the bytes; 0 otherwise.
    pub fn set_flags(&mut self, flags: u32) {
        self.inner.set_flags(flags);
    }

    /// Publishes the first `len_bytes` (at most those reserved) as a record, after those staged.
    #[inline]
    pub fn commit(self, len_bytes: usize) {
        self.inner.commit(len_bytes);
    }

    /// Like [`ReservedRecord::commit`], but the consumer sees nothing before the next `commit` or
    /// [`RecordProducer::publish`]. Lost if the process dies before.
    #[inline]
    pub fn stage(self, len_bytes: usize) {
        self.inner.stage(len_bytes);
    }
}

impl Deref for ReservedRecord<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.inner
    }
}

impl DerefMut for ReservedRecord<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.inner
    }
}

/// The end of a record ring that reads. Dropping it closes the end: the producer soon finds
/// [`TryReserveError::Disconnected`]. The same happens if the process dies.
///
/// One thread at a time uses it; every operation is wait-free and never sleeps.
///
/// ```
/// fn can_move_to_another_thread<T: Send>() {}
/// can_move_to_another_thread::<shmkit::ring::RecordConsumer>();
/// ```
/// ```compile_fail,E0277
/// fn can_be_shared_by_threads<T: Sync>() {}
/// can_be_shared_by_threads::<shmkit::ring::RecordConsumer>();
/// ```
pub struct RecordConsumer {
    reader: ends::Reader<Mapped<u64>>,
}

impl RecordConsumer {
    fn on(end: End<Mapped<u64>, CONSUMER>) -> Self {
        RecordConsumer { reader: ends::Reader::new(end) }
    }

    /// Makes a ring under `name` and takes this end; a process of the same user takes the other by
    /// [`RecordProducer::open`].
    ///
    /// # Errors
    ///
    /// As [`RecordProducer::create`].
    pub fn create(name: &str, capacity_bytes: usize) -> Result<Self> {
        Ok(Self::on(create(Place::Named(name), capacity_bytes)?.claim()?))
    }

    /// Takes this end of the live ring of this name: the first time, or after its owner died; then
    /// it goes on where that one stopped.
    ///
    /// # Errors
    ///
    /// As [`RecordProducer::open`].
    pub fn open(name: &str) -> Result<Self> {
        Ok(Self::on(open(name)?.claim()?))
    }

    /// Lends the oldest record, to be read in place; released when the result is dropped.
    ///
    /// Wait-free.
    ///
    /// # Errors
    ///
    /// [`TryPopError`]; `Disconnected` only after the last record.
    #[inline]
    pub fn try_receive(&mut self) -> Result<Record<'_>, TryPopError> {
        Ok(Record { inner: self.reader.receive()? })
    }

    /// Shows up to `max` records and their flags to `each`, releases them by one store, and returns
    /// their number, at least 1.
    ///
    /// If `each` panics, its record and those before it are released.
    ///
    /// # Errors
    ///
    /// [`TryPopError`] if there was no record, unless `max` is 0.
    pub fn try_drain(
        &mut self,
        max: usize,
        each: impl FnMut(&[u8], u32),
    ) -> Result<usize, TryPopError> {
        self.reader.drain(max, each)
    }

    /// Whether nothing is to be received. `false` stays true until the next `try_receive`.
    pub fn is_empty(&self) -> bool {
        self.reader.end().len() == 0
    }

    /// Bytes of the ring, headers and padding included.
    pub fn capacity_bytes(&self) -> usize {
        self.reader.end().capacity() as usize * ends::WORD_BYTES
    }

    /// Whether the producer has closed its end or died. `false` may go stale at once. What it
    /// published before is still to be received.
    ///
    /// Asks the kernel: about a microsecond.
    pub fn is_disconnected(&self) -> bool {
        self.reader.end().probe_peer()
    }
}

/// The oldest record of a ring, lent for reading. Its drop releases it.
///
/// The bytes are the producer's: one that breaks the rules may still change them while they are
/// read. Copy them before a decision that must not be undone.
pub struct Record<'a> {
    inner: ends::Received<'a, Mapped<u64>>,
}

impl Record<'_> {
    /// The number that the producer has set beside the bytes.
    pub fn flags(&self) -> u32 {
        self.inner.flags()
    }

    /// Leaves the record in the ring: the next [`RecordConsumer::try_receive`] gets it again.
    pub fn keep(self) {
        self.inner.keep();
    }
}

impl Deref for Record<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.inner
    }
}

impl fmt::Debug for RecordProducer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordProducer")
            .field("capacity_bytes", &self.capacity_bytes())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RecordConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordConsumer")
            .field("capacity_bytes", &self.capacity_bytes())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ReservedRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReservedRecord").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("flags", &self.flags())
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "serde")]
mod transfer {
    use super::*;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Moves the end, after what is staged was published: this handle is no owner from then on.
    impl Serialize for RecordProducer {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.writer.publish();
            self.writer.end().send(serializer)
        }
    }

    impl<'de> Deserialize<'de> for RecordProducer {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            End::receive(deserializer, Kind::Records, Element::BYTES).map(Self::on)
        }
    }

    /// Moves the end: this handle is no owner from then on.
    impl Serialize for RecordConsumer {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.reader.end().send(serializer)
        }
    }

    impl<'de> Deserialize<'de> for RecordConsumer {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            End::receive(deserializer, Kind::Records, Element::BYTES).map(Self::on)
        }
    }
}
