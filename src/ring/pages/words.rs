//! The shared words of the heap, and how large it is.
//!
//! ```text
//! byte      0      8       128             128 + 8n        128 + 16n ..
//!           stamp  lowest  head 0 | 1 | .. note 0 | 1 | .. (gap)  page 0 | page 1 | ..
//!
//! bit       63 .. 16               15 .. 3   2 .. 0
//! OWNED     stamp                  owner     1
//! ATTACHED  position               0         2         owner 0, so that no sweep touches them
//! PART      first page of the run  0         3
//! FREE      0                      0         0
//!
//! note      pages: u32, of the run that begins here
//!           backed: u32, grains of 4 KiB of this page, from its start, that have memory
//! ```
//!
//! Zeroed bytes are an empty heap without memory. Pages begin at a multiple of 4 KiB of the file.

use crate::region::id::{NUMBER_BITS, NUMBER_DEAD};
use crate::sync::{AtomicU32, AtomicU64};

/// Where the owner begins.
pub(super) const OWNER_SHIFT: u32 = 3;
/// Where the stamp, the position or the first page begins.
pub(super) const STAMP_SHIFT: u32 = OWNER_SHIFT + NUMBER_BITS;
/// Bits below it.
pub(super) const LOW: u64 = (1 << STAMP_SHIFT) - 1;
/// The bits of the owner.
pub(super) const OWNER: u64 = (NUMBER_DEAD as u64) << OWNER_SHIFT;
/// The bits of the state.
pub(super) const STATE: u64 = (1 << OWNER_SHIFT) - 1;

// Positions come as index words of the ring.
const _: () = assert!(STAMP_SHIFT == 16);

/// Anybody's.
pub(super) const FREE: u64 = 0;
/// The first page of a run that the owner fills or frees.
pub(super) const OWNED: u64 = 1;
/// The first page of the run of the message at a position.
pub(super) const ATTACHED: u64 = 2;
/// Another page of the run that begins at a page.
pub(super) const PART: u64 = 3;

/// The word of a page of the run that begins at `first`.
pub(super) fn part_of(first: usize) -> u64 {
    (first as u64) << STAMP_SHIFT | PART
}

/// The word of a page.
#[repr(transparent)]
pub(crate) struct Head(pub(super) AtomicU64);

/// What is known of a page, to its owner alone.
#[repr(C)]
pub(crate) struct Note {
    pub(super) pages: AtomicU32,
    pub(super) backed: AtomicU32,
}

/// The words before the table.
#[repr(C, align(128))]
pub(crate) struct Words {
    /// Stamps given so far.
    pub(super) stamp: AtomicU64,
    /// No page below was free when somebody looked last. A hint.
    pub(super) lowest: AtomicU32,
}

#[cfg(not(loom))]
const _: () =
    assert!(size_of::<Words>() == 128 && size_of::<Head>() == 8 && size_of::<Note>() == 8);

/// What the kernel gives memory by.
pub(super) const GRAIN_BYTES: u64 = 4096;
/// Pages of a heap that has few messages to hold.
const COUNT_LEAST: u64 = 1024;
/// The most pages of any heap: 16 MiB of table.
const COUNT_MOST: u64 = 1 << 20;
/// Freed memory is kept for the next message up to this size of the heap, or a quarter of it.
const KEPT_BYTES: u64 = 32 << 20;

/// How many pages there are, and how large. The same wherever it is made from the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    /// A power of two, at least [`GRAIN_BYTES`].
    pub(super) page_bytes: u64,
    pub(super) count: usize,
    /// Pages below this one keep their memory when they are freed.
    pub(super) kept: usize,
}

impl Geometry {
    /// Pages for `heap_bytes` in all, that up to `messages` messages share: at least two pages for
    /// each, and no more than that takes, so that the words of a run are few.
    pub(crate) fn new(heap_bytes: u64, messages: u64) -> Geometry {
        let count_most = messages.saturating_mul(2).clamp(COUNT_LEAST, COUNT_MOST);
        let page_bytes = heap_bytes.div_ceil(count_most).max(GRAIN_BYTES);
        let page_bytes = page_bytes.checked_next_power_of_two().unwrap_or(1 << 63);
        let count = heap_bytes.div_ceil(page_bytes);
        let kept = (KEPT_BYTES / page_bytes).max(count / 4).min(count);
        Geometry { page_bytes, count: count as usize, kept: kept as usize }
    }

    /// As [`Geometry::new`], of two halves alike, each of which has room for `half_bytes`.
    pub(crate) fn halves(half_bytes: u64, messages: u64) -> Geometry {
        let whole = Geometry::new(half_bytes.saturating_mul(2), messages);
        Geometry { count: whole.count.next_multiple_of(2), ..whole }
    }

    /// So many pages of this size, of which the first `kept` keep their memory. `None` if a page
    /// would be larger than there are addresses.
    pub(crate) fn of(count: usize, page_bytes: u64, kept: usize) -> Option<Geometry> {
        let page_bytes = page_bytes.max(GRAIN_BYTES).checked_next_power_of_two()?;
        Some(Geometry { page_bytes, count, kept: kept.min(count) })
    }

    /// Pages for a message.
    pub(super) fn pages_for(&self, len_bytes: usize) -> usize {
        (len_bytes as u64).div_ceil(self.page_bytes).max(1) as usize
    }
}
