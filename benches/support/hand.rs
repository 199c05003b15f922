//! The yardstick: a ring of two indices, written by hand, without ownership, checks or names.

use super::duel::{Rx, Tx, shared_memory};
use std::sync::atomic::{AtomicU64, Ordering::*};

#[repr(C, align(128))]
struct Index(AtomicU64);

#[repr(C)]
struct Indices {
    head: Index,
    tail: Index,
}

/// One end, with its own position and the other's as last seen.
pub struct Hand<const W: usize> {
    indices: *const Indices,
    slots: *mut [u64; W],
    mask: u64,
    mine: u64,
    seen: u64,
}

// SAFETY: the memory is shared and never unmapped; each end belongs to one thread.
unsafe impl<const W: usize> Send for Hand<W> {}

/// A ring in memory that a forked child shares.
pub fn hand<const W: usize>(capacity: usize) -> (Hand<W>, Hand<W>) {
    assert!(capacity.is_power_of_two());
    let bytes = size_of::<Indices>() + capacity * size_of::<[u64; W]>();
    let indices = shared_memory(bytes).cast::<Indices>();
    // SAFETY: the slots follow the indices in the mapping.
    let slots = unsafe { indices.add(1).cast::<[u64; W]>() };
    let end = || Hand { indices, slots, mask: capacity as u64 - 1, mine: 0, seen: 0 };
    (end(), end())
}

impl<const W: usize> Hand<W> {
    fn indices(&self) -> &'static Indices {
        // SAFETY: mapped for the rest of the process; zeroed bytes are valid.
        unsafe { &*self.indices }
    }

    fn slot(&self, position: u64) -> *mut [u64; W] {
        // SAFETY: the mask keeps the index inside.
        unsafe { self.slots.add((position & self.mask) as usize) }
    }
}

impl<const W: usize> Tx<W> for Hand<W> {
    #[inline]
    fn try_send(&mut self, item: &[u64; W]) -> bool {
        if self.mine - self.seen > self.mask {
            self.seen = self.indices().head.0.load(Acquire);
            if self.mine - self.seen > self.mask {
                return false;
            }
        }
        // SAFETY: the slot is free.
        unsafe { self.slot(self.mine).copy_from_nonoverlapping(item, 1) };
        self.mine += 1;
        self.indices().tail.0.store(self.mine, Release);
        true
    }

    #[inline]
    fn try_send_batch(&mut self, items: &[[u64; W]]) -> usize {
        if self.mine + items.len() as u64 - self.seen > self.mask + 1 {
            self.seen = self.indices().head.0.load(Acquire);
        }
        let room = (self.mask + 1 - (self.mine - self.seen)).min(items.len() as u64);
        for item in &items[..room as usize] {
            // SAFETY: the slot is free.
            unsafe { self.slot(self.mine).copy_from_nonoverlapping(item, 1) };
            self.mine += 1;
        }
        self.indices().tail.0.store(self.mine, Release);
        room as usize
    }
}

impl<const W: usize> Rx<W> for Hand<W> {
    #[inline]
    fn try_recv(&mut self, item: &mut [u64; W]) -> bool {
        if self.mine == self.seen {
            self.seen = self.indices().tail.0.load(Acquire);
            if self.mine == self.seen {
                return false;
            }
        }
        // SAFETY: the slot is full.
        unsafe { self.slot(self.mine).copy_to_nonoverlapping(item, 1) };
        self.mine += 1;
        self.indices().head.0.store(self.mine, Release);
        true
    }

    #[inline]
    fn try_recv_batch(&mut self, items: &mut [[u64; W]]) -> usize {
        if self.mine + items.len() as u64 > self.seen {
            self.seen = self.indices().tail.0.load(Acquire);
        }
        let ready = (self.seen - self.mine).min(items.len() as u64);
        for item in &mut items[..ready as usize] {
            // SAFETY: the slot is full.
            unsafe { self.slot(self.mine).copy_to_nonoverlapping(item, 1) };
            self.mine += 1;
        }
        if ready != 0 {
            self.indices().head.0.store(self.mine, Release);
        }
        ready as usize
    }
}
