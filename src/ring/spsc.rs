//! A bounded ring of plain values for one producer and one consumer.
//!
//! The positions, owners and edges are those of [`super::end`]; here values are moved in and out
//! of the slots. Each operation, a batch as well, is finished by one Release store of a position:
//! that store is the commit.
//!
//! # Invariants
//!
//! Besides I1 to I3 of [`super::end`]:
//! - S1. Slots `head .. tail` hold values pushed by the producer, in push order.
//! - S2. A slice lent to the caller covers slots of this end only, and borrows the end, so that
//!   no other operation of the end runs meanwhile.
//!
//! # Death
//!
//! A producer killed before the commit has pushed nothing; a consumer killed before it
//! has popped nothing, and the values are there for its heir.

#![allow(unsafe_code)]

use super::end::End;
use super::error::{TryPopError, TryPushError};
use super::indices::{CONSUMER, PRODUCER};
use super::site::Site;
use std::slice;

/// Splits `count` slots from `index` on where the memory ends.
#[inline(always)]
fn split(index: usize, count: usize, slots: usize) -> (usize, usize) {
    let first = count.min(slots - index);
    (first, count - first)
}

/// The bytes that are copied at once in a batch. The C library copies more by other instructions,
/// which are slower on lines that another CPU has.
const PIECE_BYTES: usize = 1024;

/// Calls `piece(index, done, len)` for the pieces of the next `count` slots of `end`: `len` slots
/// from `index` on, after the first `done`.
#[inline(always)]
fn pieces<S: Site, const ROLE: bool>(
    end: &End<S, ROLE>,
    count: usize,
    mut piece: impl FnMut(usize, usize, usize),
) {
    let longest = (PIECE_BYTES / size_of::<S::Slot>().max(1)).max(1);
    let mut done = 0;
    while done < count {
        let index = end.index(done as u64);
        let len = (count - done).min(end.site().slot_count() - index).min(longest);
        piece(index, done, len);
        done += len;
    }
}

/// The end that pushes. Its algorithm; [`super::Producer`] is the public handle.
pub(crate) struct Writer<S: Site> {
    end: End<S, PRODUCER>,
}

impl<S: Site> Writer<S> {
    /// The algorithm on an end that was claimed or resumed.
    pub(crate) fn new(end: End<S, PRODUCER>) -> Self {
        Writer { end }
    }

    pub(crate) fn end(&self) -> &End<S, PRODUCER> {
        &self.end
    }

    /// Puts one value into the ring.
    #[inline]
    pub(crate) fn push(&mut self, value: S::Slot) -> Result<(), TryPushError<S::Slot>> {
        match self.end.available(1) {
            Ok(0) => Err(TryPushError::Full(value)),
            Ok(_) => {
                // SAFETY: I2, I3: the slot is in bounds and ours, `available` said so.
                unsafe { self.end.site().writing(self.end.index(0), 1).write(value) };
                // A survivor of a kill here sees a free slot; `value` is lost.
                self.end.advance(1);
                Ok(())
            }
            Err(stop) => Err(TryPushError::stopped(stop, value)),
        }
    }

    /// Puts as many of `values` into the ring as fit and returns their number, 0 only for none.
    #[inline]
    pub(crate) fn push_slice(&mut self, values: &[S::Slot]) -> Result<usize, TryPushError<()>> {
        let count = self.room(values.len())?;
        let site = self.end.site();
        pieces(&self.end, count, |index, done, len| {
            // SAFETY: I2, I3: `count` slots are ours, and `pieces` keeps each piece in bounds;
            // `values` is private memory of at least `count` items.
            unsafe {
                site.writing(index, len).copy_from_nonoverlapping(values.as_ptr().add(done), len);
            }
        });
        self.end.advance(count as u64);
        Ok(count)
    }

    /// Lends up to `max` free slots to be written in place.
    #[inline]
    pub(crate) fn reserve(&mut self, max: usize) -> Result<Reserved<'_, S>, TryPushError<()>> {
        let count = self.room(max)?;
        Ok(Reserved { writer: self, count })
    }

    #[inline(always)]
    fn room(&self, wanted: usize) -> Result<usize, TryPushError<()>> {
        match self.end.available(wanted as u64) {
            Ok(0) if wanted > 0 => Err(TryPushError::Full(())),
            Ok(room) => Ok(room.min(wanted as u64) as usize),
            Err(stop) => Err(TryPushError::stopped(stop, ())),
        }
    }
}

/// Free slots lent for writing. Dropped without [`Reserved::commit`]: nothing was pushed.
pub(crate) struct Reserved<'a, S: Site> {
    writer: &'a mut Writer<S>,
    count: usize,
}

impl<S: Site> Reserved<'_, S> {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The slots in order: a run and its continuation after the wrap, which may be empty.
    pub(crate) fn as_mut_slices(&mut self) -> (&mut [S::Slot], &mut [S::Slot]) {
        let end = &self.writer.end;
        let site = end.site();
        let (first, second) = split(end.index(0), self.count, site.slot_count());
        // SAFETY: I2, I3, S2: `count` slots from `position` on are ours while `self` borrows the
        // writer; the runs do not overlap since `count <= slot_count`. Any bytes are a `Slot`.
        unsafe {
            (
                slice::from_raw_parts_mut(site.writing(end.index(0), first), first),
                slice::from_raw_parts_mut(site.writing(0, second), second),
            )
        }
    }

    /// Pushes the first `count` slots as they are, at most [`Reserved::len`].
    pub(crate) fn commit(self, count: usize) {
        // What a forked child finds reserved is its parent's.
        if self.writer.end.is_mine() {
            self.writer.end.advance(count.min(self.count) as u64);
        }
    }
}

/// The end that pops. Its algorithm; [`super::Consumer`] is the public handle.
pub(crate) struct Reader<S: Site> {
    end: End<S, CONSUMER>,
}

impl<S: Site> Reader<S> {
    /// The algorithm on an end that was claimed or resumed.
    pub(crate) fn new(end: End<S, CONSUMER>) -> Self {
        Reader { end }
    }

    pub(crate) fn end(&self) -> &End<S, CONSUMER> {
        &self.end
    }

    /// Takes the oldest value out of the ring.
    #[inline]
    pub(crate) fn pop(&mut self) -> Result<S::Slot, TryPopError> {
        if self.end.available(1)? == 0 {
            return Err(TryPopError::Empty);
        }
        // SAFETY: I2, I3, S1: the slot is in bounds and ours; any bytes are a `Slot`.
        let value = unsafe { self.end.site().reading(self.end.index(0), 1).read() };
        // A survivor of a kill here sees the value still in the ring.
        self.end.advance(1);
        Ok(value)
    }

    /// Moves the oldest values into `out` and returns their number, 0 only for an empty `out`.
    #[inline]
    pub(crate) fn pop_slice(&mut self, out: &mut [S::Slot]) -> Result<usize, TryPopError> {
        let count = self.ready(out.len())?;
        let site = self.end.site();
        pieces(&self.end, count, |index, done, len| {
            // SAFETY: as in `push_slice`, with S1 for the values.
            unsafe {
                out.as_mut_ptr().add(done).copy_from_nonoverlapping(site.reading(index, len), len);
            }
        });
        self.end.advance(count as u64);
        Ok(count)
    }

    /// Lends up to `max` of the oldest values to be read in place.
    #[inline]
    pub(crate) fn peek(&mut self, max: usize) -> Result<Peeked<'_, S>, TryPopError> {
        let count = self.ready(max)?;
        Ok(Peeked { reader: self, count })
    }

    #[inline(always)]
    fn ready(&self, wanted: usize) -> Result<usize, TryPopError> {
        match self.end.available(wanted as u64)? {
            0 if wanted > 0 => Err(TryPopError::Empty),
            ready => Ok(ready.min(wanted as u64) as usize),
        }
    }
}

/// The oldest values, lent for reading. Dropped without [`Peeked::release`]: nothing was popped.
pub(crate) struct Peeked<'a, S: Site> {
    reader: &'a mut Reader<S>,
    count: usize,
}

impl<S: Site> Peeked<'_, S> {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The values in order: a run and its continuation after the wrap, which may be empty.
    pub(crate) fn as_slices(&self) -> (&[S::Slot], &[S::Slot]) {
        let end = &self.reader.end;
        let site = end.site();
        let (first, second) = split(end.index(0), self.count, site.slot_count());
        // SAFETY: I2, I3, S1, S2: as in `Reserved::as_mut_slices`.
        unsafe {
            (
                slice::from_raw_parts(site.reading(end.index(0), first), first),
                slice::from_raw_parts(site.reading(0, second), second),
            )
        }
    }

    /// Pops the first `count` values, at most [`Peeked::len`].
    pub(crate) fn release(self, count: usize) {
        // What a forked child finds borrowed is its parent's.
        if self.reader.end.is_mine() {
            self.reader.end.advance(count.min(self.count) as u64);
        }
    }
}

#[cfg(all(test, not(loom)))]
#[path = "spsc_tests.rs"]
mod tests;
