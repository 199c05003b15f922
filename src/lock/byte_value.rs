//! A published value whose type only the caller knows: a `Value` for other languages.
//!
//! The layout is that of [`super::guarded`] and [`super::cell`], and so are the rules and orderings; see
//! there. A Rust program with the type of the same name uses the same value.
//!
//! Death: as of a `Value`: the last published value stays.

#![allow(unsafe_code)]

use super::bare::BareLock;
use super::deadline::Deadline;
use super::raw::RawLock;
use crate::error::{Error, Result};
use crate::region::{Address, Element, Kind, Object, PinnedSlice, Place, Shared, Spec};
use crate::sync::{AtomicU64, Ordering::*, fence, spin_loop};

const CELL: u64 = 8;
const WORD_BYTES: usize = 8;

#[repr(transparent)]
struct Word(AtomicU64);

// SAFETY: an atomic; any bytes are valid.
unsafe impl Shared for Word {}

/// A handle to a value of one size, and its lock.
pub struct ByteValue {
    lock: BareLock,
    words: PinnedSlice<Word>,
    element: Element,
    /// Words of one copy.
    copy: usize,
}

/// Words of one copy, and in all.
fn words_of(element: Element) -> (usize, usize) {
    let copy = element.size().div_ceil(WORD_BYTES);
    (copy, if copy < 2 { copy } else { 1 + 2 * copy })
}

impl ByteValue {
    /// Makes a value of these bytes, or of zeros.
    pub fn create(place: Place<'_>, element: Element, initial: Option<&[u8]>) -> Result<ByteValue> {
        let fits = initial.is_none_or(|initial| initial.len() == element.size());
        if element.size() == 0 || element.size() > 1 << 20 || !fits {
            return Err(Error::InvalidArgument("size of a value"));
        }
        let bytes = CELL + (words_of(element).1 * WORD_BYTES) as u64;
        let spec = Spec {
            kind: Kind::Value,
            element,
            len: 1,
            bytes,
            backed: bytes,
            owners: &[RawLock::owner_words(0)],
        };
        let object = Object::create(place, &spec, |object| {
            let value = ByteValue::on(object.clone(), element)?;
            initial.into_iter().for_each(|initial| value.publish(initial));
            Ok(())
        })?;
        ByteValue::on(object, element)
    }

    /// The value at this address, which is of that type.
    pub fn find(at: Address<'_>, element: Element) -> Result<ByteValue> {
        if element.size() == 0 {
            return Err(Error::InvalidArgument("size of a value"));
        }
        ByteValue::on(Object::open(at, Kind::Value, element)?, element)
    }

    pub(super) fn on(object: Object, element: Element) -> Result<ByteValue> {
        let (copy, all) = words_of(element);
        let words = object.pin_slice(CELL, all)?;
        Ok(ByteValue { lock: BareLock::of(object.pin(0)?), words, element, copy })
    }

    #[cfg(feature = "serde")]
    pub(super) fn object(&self) -> &Object {
        self.lock.object()
    }

    /// The lock of the value.
    pub fn lock(&self) -> &BareLock {
        &self.lock
    }

    /// The type of the value.
    pub fn element(&self) -> Element {
        self.element
    }

    /// Copies the value last published to `target`, which has its size.
    pub fn get(&self, target: &mut [u8]) {
        let word = |index: usize| &self.words[index].0;
        if self.copy == 1 {
            // publish, Acquire.
            let bytes = word(0).load(Acquire).to_ne_bytes();
            target.copy_from_slice(&bytes[..target.len()]);
            return;
        }
        loop {
            let sequence = word(0).load(Acquire); // publish
            let first = self.first_word(sequence);
            for (nth, bytes) in target.chunks_mut(WORD_BYTES).enumerate() {
                let copied = word(first + nth).load(Relaxed).to_ne_bytes();
                bytes.copy_from_slice(&copied[..bytes.len()]);
            }
            fence(Acquire); // overwrite
            if word(0).load(Relaxed) == sequence {
                return;
            }
            spin_loop();
        }
    }

    /// Publishes a value, which has the right size: a larger one under the lock, which is waited for
    /// unless this thread holds it.
    pub fn set(&self, value: &[u8]) -> Result<()> {
        if self.copy == 1 || self.lock.is_held()? {
            self.publish(value);
            return Ok(());
        }
        // Nothing that a death there could leave to repair, so it is not told.
        let _ = self.lock.acquire(Deadline::Never)?;
        self.lock.mark_consistent()?;
        self.publish(value);
        self.lock.release()
    }

    fn publish(&self, value: &[u8]) {
        let word = |index: usize| &self.words[index].0;
        let of = |bytes: &[u8]| {
            let mut word = [0; WORD_BYTES];
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_ne_bytes(word)
        };
        if self.copy == 1 {
            word(0).store(of(value), Release); // publish
            return;
        }
        let next = word(0).load(Relaxed).wrapping_add(1);
        fence(Release); // overwrite
        let first = self.first_word(next);
        for (nth, bytes) in value.chunks(WORD_BYTES).enumerate() {
            word(first + nth).store(of(bytes), Relaxed);
        }
        word(0).store(next, Release); // publish
    }

    fn first_word(&self, sequence: u64) -> usize {
        if sequence.is_multiple_of(2) { 1 } else { 1 + self.copy }
    }

    /// The value as an integer, if it has 8 bytes.
    fn number(&self) -> Result<&AtomicU64> {
        match self.element.size() {
            8 => Ok(&self.words[0].0),
            _ => Err(Error::InvalidArgument("a value that is not of 8 bytes")),
        }
    }

    /// Adds, wrapping around, and returns what was there before; both ways as `Value::fetch_add`.
    #[inline]
    pub fn add(&self, operand: i64) -> Result<i64> {
        Ok(self.number()?.fetch_add(operand.cast_unsigned(), AcqRel).cast_signed())
    }

    /// Replaces `expected` by `value`, or returns what was there instead.
    #[inline]
    pub fn compare_exchange(
        &self,
        expected: i64,
        value: i64,
    ) -> Result<std::result::Result<i64, i64>> {
        let (expected, value) = (expected.cast_unsigned(), value.cast_unsigned());
        let outcome = self.number()?.compare_exchange(expected, value, AcqRel, Acquire);
        Ok(outcome.map(u64::cast_signed).map_err(u64::cast_signed))
    }
}
