//! A published value: whole for every reader, whoever dies while writing it.
//!
//! A value of up to eight bytes is one atomic word. A larger one is kept twice beside a sequence
//! word whose parity names the current copy: the writer fills the other copy and publishes it by
//! one store.
//!
//! Source: the double-instance idea of Ramalhete and Correia, "Left-Right" (2014), with the reader's
//! check of a sequence lock in the manner of Boehm, "Can Seqlocks Get Along with Programming
//! Language Memory Models?" (2012).
//!
//! ```text
//! up to 8 bytes    word 0: the value
//! larger           word 0: sequence   words 1..=n: even copy   words n+1..=2n: odd copy
//! ```
//!
//! # Invariants
//!
//! - I1. At most one writer at a time: [`Cell::publish`] is called under a lock. (Values of one
//!   word need none.)
//! - I2. Only the copy that `sequence` does not name is ever written.
//! - I3. `sequence` grows by one with each publication and, at 64 bits, never comes round.
//! - I4. Any bytes are a valid cell: the value is `Pod`, and of the sequence only the parity counts.
//!
//! # Memory ordering
//!
//! | edge | Release | Acquire | then visible |
//! |---|---|---|---|
//! | publish | `publish` stores `sequence` | `try_read` loads `sequence` | the copy that it names |
//! | overwrite | fence in `publish` before it writes | fence in `try_read` after it has read | the `sequence` of the publication before |
//!
//! A copy is overwritten one publication after the one that retired it. A reader that saw any word
//! of the overwriting therefore sees (overwrite) that `sequence` has moved, and tries again. So a
//! read fails only if a whole publication came in between, and a writer that is stopped or killed
//! half way disturbs nobody. A value of one word pairs `publish` and `read` directly.
//!
//! # Death
//!
//! Until the one store of `sequence` (or of the value) the last published value stands; after it,
//! the new one does. There is nothing to repair.
#![allow(unsafe_code)]

use crate::sync::{AtomicU64, Ordering, fence, spin_loop};
use Ordering::{AcqRel, Acquire, Relaxed, Release};
use bytemuck::Pod;
use std::marker::PhantomData;
use std::ptr::NonNull;

/// Bytes of a value in one word.
const WORD_BYTES: usize = 8;

/// Reads that [`Cell::try_read`] gives up after.
const READS: u32 = if cfg!(loom) { 2 } else { 64 };

/// A local handle to a published value that lives elsewhere.
pub struct Cell<T> {
    words: NonNull<AtomicU64>,
    value: PhantomData<T>,
}

impl<T> Clone for Cell<T> {
    fn clone(&self) -> Cell<T> {
        Cell { words: self.words, value: PhantomData }
    }
}

// SAFETY: the handle is an address; all access goes through atomics, and values are sent by copy.
unsafe impl<T: Pod + Send> Send for Cell<T> {}
// SAFETY: as above.
unsafe impl<T: Pod + Send> Sync for Cell<T> {}

impl<T: Pod> Cell<T> {
    /// How a cell must be aligned.
    pub const ALIGN: usize = align_of::<AtomicU64>();

    /// Words of one copy.
    const COPY: usize = size_of::<T>().div_ceil(WORD_BYTES);
    /// Whether the value is one atomic word.
    const ONE_WORD: bool = Self::COPY == 1;
    /// Words in all; a value without bytes takes none. With less than two, anybody may publish at any
    /// time.
    pub(super) const WORDS: usize = if Self::COPY < 2 { Self::COPY } else { 1 + 2 * Self::COPY };

    /// How much memory a cell takes. Zeroed memory is a cell that holds zeros.
    pub const fn bytes_needed() -> usize {
        Self::WORDS * size_of::<AtomicU64>()
    }

    /// The cell at `base`; `None` if it is not aligned to [`Cell::ALIGN`] or if `len_bytes` is less
    /// than [`Cell::bytes_needed`].
    ///
    /// # Safety
    ///
    /// While the handle or a copy of it is used, `len_bytes` bytes at `base` are mapped, readable
    /// and writable, and accessed by nothing but atomics.
    pub unsafe fn at(base: NonNull<u8>, len_bytes: usize) -> Option<Cell<T>> {
        let fits =
            len_bytes >= Self::bytes_needed() && base.addr().get().is_multiple_of(Self::ALIGN);
        fits.then(|| Cell { words: base.cast(), value: PhantomData })
    }

    /// The value last published.
    ///
    /// Any number of threads and processes may call this at once, also while others publish.
    /// Wait-free for up to eight bytes; lock-free otherwise: it tries again whenever another value
    /// was published in the meantime. Never waits for a writer that is stopped or dead.
    pub fn read(&self) -> T {
        loop {
            if let Some(value) = self.try_read() {
                return value;
            }
            spin_loop();
        }
    }

    /// [`Cell::read`] in a bounded number of steps: `None` if new values were published faster than
    /// this one could be read, again and again.
    pub fn try_read(&self) -> Option<T> {
        if Self::COPY == 0 {
            return Some(T::zeroed());
        }
        if Self::ONE_WORD {
            // publish, Acquire: what the writer did before its Release in `publish`.
            return Some(value_of(self.word(0).load(Acquire)));
        }
        for _ in 0..READS {
            // publish, Acquire: the copy that this sequence names.
            let sequence = self.word(0).load(Acquire);
            let value = self.copy_out(sequence);
            // overwrite, Acquire: partner is the fence in `publish`.
            fence(Acquire);
            // Relaxed: ordered by the fence.
            if self.word(0).load(Relaxed) == sequence {
                return Some(value);
            }
        }
        None
    }

    /// Publishes a value: every read that starts afterwards returns it or a later one.
    ///
    /// One caller at a time, which a lock sees to; for a value of up to eight bytes anybody at any
    /// time. Wait-free. Killed half way, it leaves the old value or the new one.
    pub fn publish(&self, value: T) {
        if Self::COPY == 0 {
            return;
        }
        if Self::ONE_WORD {
            store_word(self.word(0), word_of(value));
            return;
        }
        // Relaxed: the last writer was we, or the lock's hand-over shows it (I1).
        let next = self.word(0).load(Relaxed).wrapping_add(1);
        // overwrite, Release: whoever sees a word of what follows sees the sequence before it.
        fence(Release);
        self.copy_in(next, value);
        // publish, Release: the copy goes before its name. Acquire in `try_read`.
        self.word(0).store(next, Release);
    }

    /// Copies out the copy that `sequence` names. Relaxed: the caller checks what came of it.
    fn copy_out(&self, sequence: u64) -> T {
        let mut value = T::zeroed();
        let first = Self::first_word(sequence);
        for (i, bytes) in bytemuck::bytes_of_mut(&mut value).chunks_mut(WORD_BYTES).enumerate() {
            let word = self.word(first + i).load(Relaxed);
            bytes.copy_from_slice(&word.to_ne_bytes()[..bytes.len()]);
        }
        value
    }

    /// Fills the copy that `sequence` will name. Relaxed: the caller publishes it.
    fn copy_in(&self, sequence: u64, value: T) {
        let first = Self::first_word(sequence);
        for (i, bytes) in bytemuck::bytes_of(&value).chunks(WORD_BYTES).enumerate() {
            self.word(first + i).store(word_from(bytes), Relaxed);
        }
    }

    fn first_word(sequence: u64) -> usize {
        if sequence.is_multiple_of(2) { 1 } else { 1 + Self::COPY }
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        debug_assert!(index < Self::WORDS);
        // SAFETY: the promise of `at` covers `WORDS` words, aligned and mapped while `self` is
        // used; an atomic is valid for any bytes and shares its memory with other atomics.
        unsafe { self.words.add(index).as_ref() }
    }
}

/// The integers: a cell of these is counted, compared and combined in place, without a lock.
///
/// Sealed: `u8` to `u64`, `i8` to `i64`, `usize`, `isize`.
pub trait Integer: Pod + Ord + sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
}

macro_rules! integers {
    ($($integer:ty)*) => {$(
        impl sealed::Sealed for $integer {}
        impl Integer for $integer {}
    )*};
}
integers!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);

/// All wait-free or lock-free, for any number of threads and processes at once; AcqRel: what was
/// done before an operation is visible after those that see its result.
impl<T: Integer> Cell<T> {
    /// Adds, wrapping around at the ends of the type, and returns the value before.
    pub fn fetch_add(&self, value: T) -> T {
        // Bytes of the word beyond the value take the carry and mean nothing.
        // publish, both ways: partners are all accesses to the word.
        value_of(self.word(0).fetch_add(word_of(value), AcqRel))
    }

    /// Subtracts, wrapping around at the ends of the type, and returns the value before.
    pub fn fetch_sub(&self, value: T) -> T {
        // publish, both ways: as `fetch_add`.
        value_of(self.word(0).fetch_sub(word_of(value), AcqRel))
    }

    /// Replaces the value and returns the one before.
    pub fn swap(&self, value: T) -> T {
        // publish, both ways: as `fetch_add`.
        value_of(self.word(0).swap(word_of(value), AcqRel))
    }

    /// Keeps the bits that `value` has too, and returns the value before.
    pub fn fetch_and(&self, value: T) -> T {
        // publish, both ways: as `fetch_add`.
        value_of(self.word(0).fetch_and(word_of(value), AcqRel))
    }

    /// Adds the bits of `value`, and returns the value before.
    pub fn fetch_or(&self, value: T) -> T {
        // publish, both ways: as `fetch_add`.
        value_of(self.word(0).fetch_or(word_of(value), AcqRel))
    }

    /// Flips the bits of `value`, and returns the value before.
    pub fn fetch_xor(&self, value: T) -> T {
        // publish, both ways: as `fetch_add`.
        value_of(self.word(0).fetch_xor(word_of(value), AcqRel))
    }

    /// Replaces the value by the greater of it and `value`, and returns the value before.
    pub fn fetch_max(&self, value: T) -> T {
        self.replace_unless(value, |found| found >= value)
    }

    /// Replaces the value by the smaller of it and `value`, and returns the value before.
    pub fn fetch_min(&self, value: T) -> T {
        self.replace_unless(value, |found| found <= value)
    }

    /// Replaces the value by `new` unless it is good enough, and returns the value before.
    fn replace_unless(&self, new: T, is_good: impl Fn(T) -> bool) -> T {
        // publish, Acquire: what was done before the value found.
        let mut found = value_of(self.word(0).load(Acquire));
        while !is_good(found) {
            match self.compare_exchange(found, new) {
                Ok(before) => return before,
                Err(now) => found = now,
            }
        }
        found
    }

    /// Replaces `current` by `new` if it is the value.
    ///
    /// # Errors
    ///
    /// The value found instead.
    pub fn compare_exchange(&self, current: T, new: T) -> Result<T, T> {
        // publish, Acquire: what was done before the value found.
        let mut word = self.word(0).load(Acquire);
        loop {
            let found = value_of(word);
            if found != current {
                return Err(found);
            }
            // publish, both ways: as `fetch_add`. Fails with the same value only if the bytes
            // beyond it have changed.
            match self.word(0).compare_exchange_weak(word, word_of(new), AcqRel, Acquire) {
                Ok(_) => return Ok(current),
                Err(now) => word = now,
            }
        }
    }
}

/// The first bytes of a word as a value; on either endianness carries run out of the value's far
/// end only, since the value lies at the start of the word in memory.
fn value_of<T: Pod>(word: u64) -> T {
    let bytes = word.to_ne_bytes();
    bytemuck::pod_read_unaligned(&bytes[..size_of::<T>()])
}

fn word_of<T: Pod>(value: T) -> u64 {
    word_from(bytemuck::bytes_of(&value))
}

fn word_from(bytes: &[u8]) -> u64 {
    let mut word = [0; WORD_BYTES];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_ne_bytes(word)
}

/// Stores a value of one word; publish, Release: partners are all loads of the word.
fn store_word(word: &AtomicU64, value: u64) {
    // Loom 0.7.2 lets a compare-and-swap miss a plain store that comes between its two halves.
    if cfg!(loom) {
        word.swap(value, Release);
    } else {
        word.store(value, Release);
    }
}

#[cfg(all(test, not(loom)))]
#[path = "cell_tests.rs"]
mod tests;
