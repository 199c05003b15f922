//! The shared words of a board.
//!
//! ```text
//! bit       63 .. 18     17 .. 4   3        2 .. 0
//! slot      generation   worker    WANTED   state       worker 0 but in RUN
//! hint      generation   slot (18 bits)
//!
//! byte of the board   0     128   256      384 ..                 then, 128-aligned
//!                     head  tail  closing  records of the workers hints | slots
//!
//! byte of a slot      0     8        16    24         32      40    48         64         160
//!                     word  offsets  seal  arguments  result  note  tiny       arguments  results
//!                                          place      place         result     of 96 B    of 96 B
//! ```
//!
//! Zeroed bytes are a board on which nothing was ever posted: generations begin at 1, so that no zero
//! hint names a task.

#[cfg(not(loom))]
use crate::sync::{AtomicU32, AtomicU64};

pub(super) const STATE: u64 = 7;
pub(super) const FREE: u64 = 0;
pub(super) const READY: u64 = 1;
pub(super) const RUN: u64 = 2;
pub(super) const DONE: u64 = 3;
pub(super) const DIED: u64 = 4;
pub(super) const CANCELLED: u64 = 5;
/// Somebody waits for the outcome.
pub(super) const WANTED: u64 = 8;

const WORKER_SHIFT: u32 = 4;
const GENERATION_SHIFT: u32 = 18;
const WORKER_MASK: u64 = (1 << (GENERATION_SHIFT - WORKER_SHIFT)) - 1;
const SLOT_MASK: u64 = (1 << GENERATION_SHIFT) - 1;
const GENERATION_MASK: u64 = u64::MAX >> GENERATION_SHIFT;

/// Numbers of workers are below this.
pub(crate) const WORKERS_MOST: u32 = 4096;
/// Numbers of slots are below this.
pub(crate) const SLOTS_MOST: u32 = 1 << 15;

const _: () = assert!(WORKERS_MOST as u64 <= WORKER_MASK && SLOTS_MOST as u64 <= SLOT_MASK);

pub(super) fn word(generation: u64, worker: u32, state: u64) -> u64 {
    generation << GENERATION_SHIFT | u64::from(worker) << WORKER_SHIFT | state
}

pub(super) fn generation_of(word: u64) -> u64 {
    match word >> GENERATION_SHIFT {
        0 => 1,
        generation => generation,
    }
}

pub(super) fn worker_of(word: u64) -> u32 {
    (word >> WORKER_SHIFT & WORKER_MASK) as u32
}

pub(super) fn next_generation(generation: u64) -> u64 {
    match (generation + 1) & GENERATION_MASK {
        0 => 1,
        next => next,
    }
}

pub(super) fn is_pending(word: u64, generation: u64) -> bool {
    generation_of(word) == generation && matches!(word & STATE, READY | RUN)
}

pub(super) fn hint(slot: u32, generation: u64) -> u64 {
    generation << GENERATION_SHIFT | u64::from(slot)
}

pub(super) fn of_hint(hint: u64) -> (u32, u64) {
    ((hint & SLOT_MASK) as u32, hint >> GENERATION_SHIFT)
}

/// A word with a line of its own.
#[cfg(not(loom))]
#[repr(C, align(128))]
pub(crate) struct Line<T>(pub(super) T);

/// The words before the hints.
#[cfg(not(loom))]
#[repr(C)]
pub(crate) struct Words {
    pub(super) head: Line<AtomicU64>,
    pub(super) tail: Line<AtomicU64>,
    /// Not zero: nothing will be posted any more, but for what the dead leave.
    pub(super) closing: Line<AtomicU32>,
    /// How far each worker has come, see `mapped`.
    pub(super) records: [AtomicU32; WORKERS_MOST as usize],
}

/// What a slot has besides its word; see `mapped`.
#[cfg(not(loom))]
#[repr(C, align(128))]
pub(crate) struct Slot {
    pub(super) word: AtomicU64,
    pub(super) offsets: AtomicU64,
    pub(super) seal: AtomicU64,
    /// The length in the high half, the first page or `HERE` in the low one.
    pub(super) arguments_place: AtomicU64,
    pub(super) result_place: AtomicU64,
    /// `flags << 8 | kind` of the result, and those of the arguments from bit 32 on.
    pub(super) note: AtomicU64,
    pub(super) tiny: [AtomicU64; 2],
    pub(super) arguments: [AtomicU64; 12],
    pub(super) result: [AtomicU64; 12],
}

/// Bytes of the words before the hints.
#[cfg(not(loom))]
pub(crate) const BOARD_BYTES: u64 = size_of::<Words>() as u64;
/// Bytes of a slot.
#[cfg(not(loom))]
pub(crate) const SLOT_BYTES: u64 = size_of::<Slot>() as u64;

#[cfg(not(loom))]
const _: () = {
    assert!(SLOT_BYTES == 256 && BOARD_BYTES.is_multiple_of(128));
    assert!(std::mem::offset_of!(Slot, arguments) == 64);
    assert!(std::mem::offset_of!(Slot, result) == 160);
};
