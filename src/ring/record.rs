//! A ring of byte records of any length, written and read in place.
//!
//! Memory is a ring of 8-byte words with the positions, owners and edges of [`super::end`]. A
//! record is a header word and its bytes, rounded up to words, without a gap:
//!
//! ```text
//! byte  0          4        8
//!       len_bytes  flags    the bytes ... up to the next multiple of 8
//! ```
//!
//! A record never wraps. One that does not fit before the end of the memory starts at index 0, and
//! a padding header (`len_bytes` is `PAD`) fills the rest; both are published by the same store.
//!
//! Source: records after Real Logic's Agrona (`OneToOneRingBuffer`, `RecordDescriptor`). Ours:
//! no negative length, because with one producer the store of `tail` is the commit.
//!
//! # Invariants
//!
//! Besides I1 to I3 of [`super::end`]:
//! - R1. Published positions lie between records: `head .. tail` is whole records and padding.
//! - R2. A record has at most `(capacity + 1) / 2` words, so that an empty ring takes it at any
//!   index: padding is shorter than the record that did not fit.
//! - R3. A length out of the ring is used only after it was found to end inside the words that
//!   this end owns and before the end of the memory.
//!
//! # Death
//!
//! As for values: before the commit nothing happened, after it everything.

#![allow(unsafe_code)]

use super::end::End;
use super::error::{TryPopError, TryReserveError};
use super::indices::{CONSUMER, PRODUCER};
use super::site::Site;
use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::slice;

/// Bytes of a word and of a header.
pub(crate) const WORD_BYTES: usize = 8;
/// Stands for a length in a header that fills the memory up to its end.
const PAD: u32 = u32::MAX;

fn header(len_bytes: u32, flags: u32) -> u64 {
    u64::from(flags) << 32 | u64::from(len_bytes)
}

/// Words of a record, its header included.
fn words(len_bytes: usize) -> u64 {
    1 + len_bytes.div_ceil(WORD_BYTES) as u64
}

/// Words of a ring with room for `capacity_bytes`: a power of two, with which the shortest ring
/// still takes a record of 24 bytes.
pub(crate) fn words_for(capacity_bytes: u64) -> u64 {
    let words = capacity_bytes.div_ceil(WORD_BYTES as u64).max(8);
    words.checked_next_power_of_two().unwrap_or(u64::MAX)
}

/// The longest record of a ring of `capacity` words (R2).
pub(crate) fn max_record_bytes(capacity: u64) -> usize {
    let bytes = (capacity.div_ceil(2) - 1).saturating_mul(WORD_BYTES as u64);
    bytes.min(u64::from(PAD - 1)) as usize
}

/// The end that writes records. Its algorithm; [`super::RecordProducer`] is the public handle.
pub(crate) struct Writer<S: Site<Slot = u64>> {
    end: End<S, PRODUCER>,
    /// Words written behind `tail` and not yet published: whole records.
    staged: Cell<u64>,
    /// Whether a [`Reserved`] is out: two would lend the same bytes.
    lent: Cell<bool>,
    max_bytes: usize,
}

impl<S: Site<Slot = u64>> Writer<S> {
    /// The algorithm on an end that was claimed or resumed.
    pub(crate) fn new(end: End<S, PRODUCER>) -> Self {
        let max_bytes = max_record_bytes(end.capacity());
        Writer { staged: Cell::new(0), lent: Cell::new(false), max_bytes, end }
    }

    pub(crate) fn end(&self) -> &End<S, PRODUCER> {
        &self.end
    }

    pub(crate) fn max_record_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Whether a reservation is out, so that this end must stay where it is.
    pub(crate) fn is_lent(&self) -> bool {
        self.lent.get()
    }

    /// Lends `len_bytes` to be written in place.
    #[inline]
    pub(crate) fn reserve(&self, len_bytes: usize) -> Result<Reserved<'_, S>, TryReserveError> {
        if len_bytes > self.max_bytes {
            return Err(TryReserveError::TooLarge { max_bytes: self.max_bytes });
        }
        self.reserve_up_to(len_bytes, len_bytes)
    }

    /// Lends as many bytes as there are without a gap, at least `min` and at most `max`; both are
    /// cut to the longest record.
    #[inline]
    pub(crate) fn reserve_up_to(
        &self,
        min: usize,
        max: usize,
    ) -> Result<Reserved<'_, S>, TryReserveError> {
        if self.lent.get() {
            return Err(TryReserveError::Lent);
        }
        let max = max.min(self.max_bytes);
        let least = words(min.min(max));
        // Settles who owns the end, and so where it stands, before an index is computed.
        self.end.available(1)?;
        if self.end.changed_hands() {
            self.staged.set(0);
        }
        let staged = self.staged.get();
        let index = self.end.index(staged);
        let to_end = (self.end.site().slot_count() - index) as u64;
        // What has to be free: behind the staged words, and over the padding if we must wrap.
        let wanted = staged + words(max) + if words(max) > to_end { to_end } else { 0 };
        let free = self.end.available(wanted)?.saturating_sub(staged);
        let (skip, room) = if free.min(to_end) >= least {
            (0, free.min(to_end))
        } else if free.saturating_sub(to_end) >= least {
            (to_end, free - to_end)
        } else {
            // Only the consumer can make room, and it cannot see what is staged.
            self.publish();
            return Err(TryReserveError::Full);
        };
        let len_bytes = max.min((room - 1) as usize * WORD_BYTES);
        self.lent.set(true);
        Ok(Reserved { writer: self, skip, len_bytes, flags: 0 })
    }

    /// Shows all staged records to the consumer by one store.
    #[inline]
    pub(crate) fn publish(&self) {
        let staged = self.staged.replace(0);
        // What a forked child finds staged is its parent's.
        if staged != 0 && self.end.is_mine() {
            self.end.advance(staged);
        }
    }
}

impl<S: Site<Slot = u64>> Drop for Writer<S> {
    fn drop(&mut self) {
        self.publish();
    }
}

/// Room for one record, lent for writing. Dropped without a commit: there was no record.
pub(crate) struct Reserved<'a, S: Site<Slot = u64>> {
    writer: &'a Writer<S>,
    /// Words of padding before the record.
    skip: u64,
    len_bytes: usize,
    flags: u32,
}

impl<S: Site<Slot = u64>> Reserved<'_, S> {
    /// Where the record will stand in the stream: no two records of a ring have the same.
    pub(crate) fn position(&self) -> u64 {
        self.writer.end.position(self.writer.staged.get() + self.skip)
    }

    /// Sets what the consumer reads as the record's flags.
    pub(crate) fn set_flags(&mut self, flags: u32) {
        self.flags = flags;
    }

    /// Publishes the first `len_bytes` as a record, with all that was staged before. At most as
    /// many bytes as were reserved.
    #[inline]
    pub(crate) fn commit(self, len_bytes: usize) {
        self.finish(len_bytes);
        self.writer.publish();
    }

    /// Like [`Reserved::commit`], but not visible before the next `commit` or `publish`.
    #[inline]
    pub(crate) fn stage(self, len_bytes: usize) {
        self.finish(len_bytes);
    }

    #[inline(always)]
    fn finish(&self, len_bytes: usize) {
        let writer = self.writer;
        if !writer.end.is_mine() {
            return; // closed meanwhile, or a forked copy
        }
        let len_bytes = len_bytes.min(self.len_bytes);
        let staged = writer.staged.get();
        let site = writer.end.site();
        // SAFETY: I2, I3: `reserve_up_to` found `skip` words and the record behind the staged
        // ones to be ours; if `skip` is not 0, there is a word for its header.
        unsafe {
            if self.skip != 0 {
                site.writing(writer.end.index(staged), 1).write(header(PAD, 0));
            }
            let at = writer.end.index(staged + self.skip);
            site.writing(at, 1).write(header(len_bytes as u32, self.flags));
        }
        // A survivor of a kill here sees no record.
        writer.staged.set(staged + self.skip + words(len_bytes));
    }

    /// Where the bytes are: behind the header.
    #[inline(always)]
    fn body(&self) -> *mut u8 {
        let end = &self.writer.end;
        let body = end.index(self.writer.staged.get() + self.skip) + 1;
        end.site().writing(body, self.len_bytes.div_ceil(WORD_BYTES)).cast()
    }
}

impl<S: Site<Slot = u64>> Drop for Reserved<'_, S> {
    #[inline(always)]
    fn drop(&mut self) {
        self.writer.lent.set(false);
    }
}

impl<S: Site<Slot = u64>> Deref for Reserved<'_, S> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: as in `deref_mut`.
        unsafe { slice::from_raw_parts(self.body(), self.len_bytes) }
    }
}

impl<S: Site<Slot = u64>> DerefMut for Reserved<'_, S> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: I2, I3: the words of the record are ours while `lent` is set, and
        // lie before the end of the memory; any bytes are initialised bytes.
        unsafe { slice::from_raw_parts_mut(self.body(), self.len_bytes) }
    }
}

/// The end that reads records. Its algorithm; [`super::RecordConsumer`] is the public handle.
pub(crate) struct Reader<S: Site> {
    end: End<S, CONSUMER>,
    /// Whether a [`Received`] is out: the first to be dropped would release what the other reads.
    lent: Cell<bool>,
}

/// Where a record was found, counted in words from `head`.
struct Found {
    /// The first word of its bytes.
    body: u64,
    /// The first word behind it.
    next: u64,
    len_bytes: usize,
    flags: u32,
}

impl<S: Site<Slot = u64>> Reader<S> {
    /// The algorithm on an end that was claimed or resumed.
    pub(crate) fn new(end: End<S, CONSUMER>) -> Self {
        Reader { end, lent: Cell::new(false) }
    }

    pub(crate) fn end(&self) -> &End<S, CONSUMER> {
        &self.end
    }

    /// Whether a record is out, so that this end must stay where it is.
    pub(crate) fn is_lent(&self) -> bool {
        self.lent.get()
    }

    /// Lends the oldest record.
    #[inline]
    pub(crate) fn receive(&self) -> Result<Received<'_, S>, TryPopError> {
        if self.lent.get() {
            return Err(TryPopError::Lent);
        }
        let found = self.find(0)?;
        self.lent.set(true);
        Ok(Received { reader: self, found })
    }

    /// Shows up to `max` records to `each`, then releases them by one store. Returns how many
    /// there were. If `each` panics, its record and those before it are released.
    pub(crate) fn drain(
        &mut self,
        max: usize,
        mut each: impl FnMut(&[u8], u32),
    ) -> Result<usize, TryPopError> {
        /// Releases what was shown, also when `each` panics.
        struct Shown<'a, S: Site> {
            end: &'a End<S, CONSUMER>,
            words: u64,
        }
        impl<S: Site> Drop for Shown<'_, S> {
            fn drop(&mut self) {
                if self.end.is_mine() {
                    self.end.advance(self.words);
                }
            }
        }
        if self.lent.get() {
            return Err(TryPopError::Lent);
        }
        let mut shown = Shown { end: &self.end, words: 0 };
        let mut count = 0;
        while count < max {
            let found = match self.find(shown.words) {
                Ok(found) => found,
                // A fault behind good records is told by the next call.
                Err(_) if count > 0 => break,
                Err(why) => return Err(why),
            };
            shown.words = found.next;
            count += 1;
            each(self.bytes(&found), found.flags);
        }
        Ok(count)
    }

    /// Finds the record `ahead` words behind `head`. At most two headers are read (R3).
    #[inline(always)]
    fn find(&self, ahead: u64) -> Result<Found, TryPopError> {
        let slots = self.end.site().slot_count() as u64;
        let available = self.end.available(ahead + 1)?;
        if available <= ahead {
            return Err(TryPopError::Empty);
        }
        let mut start = ahead;
        let mut word = self.header_at(start);
        if word as u32 == PAD {
            start += slots - self.end.index(start) as u64;
            // R1: a record follows the padding, at index 0.
            if start >= available {
                return Err(TryPopError::Corrupt);
            }
            word = self.header_at(start);
        }
        let len_bytes = word as u32;
        let next = start + words(len_bytes as usize);
        let to_end = slots - self.end.index(start) as u64;
        if len_bytes == PAD || next > available || next - start > to_end {
            return Err(TryPopError::Corrupt);
        }
        Ok(Found {
            body: start + 1,
            next,
            len_bytes: len_bytes as usize,
            flags: (word >> 32) as u32,
        })
    }

    #[inline(always)]
    fn header_at(&self, ahead: u64) -> u64 {
        // SAFETY: I2, I3: the callers found the word to be available.
        unsafe { self.end.site().reading(self.end.index(ahead), 1).read() }
    }

    #[inline(always)]
    fn bytes(&self, found: &Found) -> &[u8] {
        if found.len_bytes == 0 {
            return &[];
        }
        let count = found.len_bytes.div_ceil(WORD_BYTES);
        let body = self.end.site().reading(self.end.index(found.body), count);
        // SAFETY: R3: the words are ours until `advance`, which `drain` and the drop of the one
        // `Received` call after the last use of the slice.
        unsafe { slice::from_raw_parts(body.cast(), found.len_bytes) }
    }
}

/// The oldest record, lent for reading. Its drop releases it.
pub(crate) struct Received<'a, S: Site<Slot = u64>> {
    reader: &'a Reader<S>,
    found: Found,
}

impl<S: Site<Slot = u64>> Received<'_, S> {
    /// What the producer has set by [`Reserved::set_flags`].
    pub(crate) fn flags(&self) -> u32 {
        self.found.flags
    }

    /// As the producer's [`Reserved::position`] of this record.
    pub(crate) fn position(&self) -> u64 {
        self.reader.end.position(self.found.body - 1)
    }

    /// Leaves the record in the ring: the next `receive` gets it again.
    pub(crate) fn keep(self) {
        self.reader.lent.set(false);
        std::mem::forget(self);
    }
}

impl<S: Site<Slot = u64>> Deref for Received<'_, S> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.reader.bytes(&self.found)
    }
}

impl<S: Site<Slot = u64>> Drop for Received<'_, S> {
    #[inline]
    fn drop(&mut self) {
        // A survivor of a kill before this sees the record still in the ring. A forked child drops
        // its parent's loan without effect.
        if self.reader.end.is_mine() {
            self.reader.end.advance(self.found.next);
        }
        self.reader.lent.set(false);
    }
}

#[cfg(all(test, not(loom)))]
#[path = "record_tests.rs"]
mod tests;
