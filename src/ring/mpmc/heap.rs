//! The ring on the heap, for tests and for the model checker, which follows every slot.

#![allow(unsafe_code)]

use super::Ring;
use super::site::Site;
use super::words::{DEAD, OWNER, OWNER_SHIFT, Words};
use crate::region::id::{Liveness, NUMBER_DEAD, Numbers, ParticipantId};
use crate::sync::{AtomicU32, AtomicU64, Ordering::*};
use bytemuck::Pod;
use std::cell::UnsafeCell;
use std::sync::Arc;

/// Slots of a chunk of the rings that grow in models.
#[cfg(loom)]
pub(super) const CHUNK: usize = 1;

/// What the handles to a heap ring share.
pub(crate) struct Heap<T> {
    pub(crate) words: Words,
    pub(crate) controls: Box<[AtomicU64]>,
    values: Box<[UnsafeCell<T>]>,
    /// Stand for the values: loom checks that what touches them is ordered.
    #[cfg(loom)]
    touched: Box<[loom::cell::UnsafeCell<()>]>,
    /// One bit for each number whose participant has died.
    dead: AtomicU32,
    /// Chunks that a ring which grows may have at a time, and has.
    #[cfg(not(loom))]
    pub(crate) chunks_max: AtomicU32,
    #[cfg(not(loom))]
    pub(crate) chunks: std::sync::Mutex<std::collections::BTreeSet<u64>>,
    /// What happens just before the next verdict.
    #[cfg(not(loom))]
    pub(crate) meanwhile: std::sync::Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

// SAFETY: the values are used as the ring's invariants allow, which the model checks.
unsafe impl<T: Send> Sync for Heap<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Heap<T> {}

/// One participant's view of a heap ring.
pub(crate) struct HeapSite<T> {
    pub(crate) heap: Arc<Heap<T>>,
    number: u32,
}

impl<T: Pod> Heap<T> {
    /// Memory for `capacity` values, with both positions at `position`.
    pub(crate) fn new(capacity: usize, position: u64) -> Arc<Heap<T>> {
        let slots = capacity.next_power_of_two() as u64;
        let lap = |index: u64| {
            let ahead = index.wrapping_sub(position) & (slots - 1);
            (position.wrapping_add(ahead) & !(slots - 1)) << 16
        };
        Arc::new(Heap {
            words: Words::starting_at(position),
            controls: (0..slots).map(|index| AtomicU64::new(lap(index))).collect(),
            values: (0..slots).map(|_| UnsafeCell::new(T::zeroed())).collect(),
            #[cfg(loom)]
            touched: (0..slots).map(|_| loom::cell::UnsafeCell::new(())).collect(),
            dead: AtomicU32::new(0),
            #[cfg(not(loom))]
            chunks_max: AtomicU32::new(u32::MAX),
            #[cfg(not(loom))]
            chunks: Default::default(),
            #[cfg(not(loom))]
            meanwhile: Default::default(),
        })
    }

    /// A handle for the participant `number` to a ring that grows by `chunk` slots.
    pub(crate) fn grown_by(
        self: &Arc<Self>,
        number: u32,
        capacity: usize,
        chunk: usize,
    ) -> Ring<HeapSite<T>> {
        Ring::growing(HeapSite { heap: self.clone(), number }, capacity, chunk)
    }

    /// A handle for the participant `number`, one of 1 to 31.
    pub(crate) fn seen_by(self: &Arc<Self>, number: u32, capacity: usize) -> Ring<HeapSite<T>> {
        Ring::new(HeapSite { heap: self.clone(), number }, capacity)
    }

    /// Lets the participant `number` be dead from now on. Release, as the kernel's unlocking is.
    pub(crate) fn bury(&self, number: u32) {
        self.dead.fetch_or(1 << number, Release);
    }

    /// What the region does when the place of the dead `number` gets its next occupant, who lives.
    pub(crate) fn occupy_again(&self, number: u32) {
        let name = u64::from(number) << OWNER_SHIFT;
        let index_words = [&self.words.head.word, &self.words.tail.word];
        for word in index_words.into_iter().chain(&*self.controls) {
            let mut now = word.load(Acquire);
            while now & OWNER == name {
                match word.compare_exchange(now, now | DEAD, AcqRel, Acquire) {
                    Ok(_) => break,
                    Err(changed) => now = changed,
                }
            }
        }
        self.dead.fetch_and(!(1 << number), Release);
    }
}

impl<T> HeapSite<T> {
    #[cfg(loom)]
    pub(super) fn number(&self) -> u32 {
        self.number
    }
}

impl<T> Liveness for &HeapSite<T> {
    fn me(&self) -> ParticipantId {
        ParticipantId::new(self.number - 1, 1)
    }

    fn is_dead(&self, id: ParticipantId) -> bool {
        self.is_number_dead(id.number())
    }
}

impl<T> Numbers for &HeapSite<T> {
    fn is_number_dead(&self, number: u32) -> bool {
        #[cfg(not(loom))]
        if let Some(meanwhile) = self.heap.meanwhile.lock().unwrap().take() {
            meanwhile();
        }
        // A read-modify-write, because the kernel's answer is never stale.
        number == NUMBER_DEAD || self.heap.dead.fetch_or(0, Acquire) & 1 << (number & 31) != 0
    }
}

// SAFETY: the boxes live as long as the site and never move or grow; their length is a power of
// two, checked with each index, and the values are initialised.
unsafe impl<T: Pod> Site for HeapSite<T> {
    type Value = T;
    type Who<'a>
        = &'a HeapSite<T>
    where
        T: 'a;

    fn words(&self) -> &Words {
        &self.heap.words
    }

    fn slot_count(&self) -> usize {
        self.heap.controls.len()
    }

    fn control(&self, index: usize) -> *const AtomicU64 {
        &raw const self.heap.controls[index]
    }

    fn reading(&self, index: usize) -> *const T {
        #[cfg(loom)]
        self.heap.touched[index].with(|_| ());
        self.heap.values[index].get()
    }

    fn writing(&self, index: usize) -> *mut T {
        #[cfg(loom)]
        self.heap.touched[index].with_mut(|_| ());
        self.heap.values[index].get()
    }

    fn own_word(&self) -> u32 {
        self.who().map_or(0, |who| who.me().word())
    }

    fn who(&self) -> Option<&HeapSite<T>> {
        Some(self)
    }

    fn back(&self, _at: u64) -> crate::error::Result<bool> {
        #[cfg(not(loom))]
        {
            let max = self.heap.chunks_max.load(SeqCst) as usize;
            let mut chunks = self.heap.chunks.lock().unwrap();
            if max == 0 {
                return Err(crate::error::Error::NoSpace);
            }
            // Who comes late changes nothing (G3).
            let freed = self.heap.words.scars.freed.load(SeqCst);
            if (1..1 << 47).contains(&super::words::distance(_at, freed)) {
                return Ok(true);
            }
            if !chunks.contains(&_at) && chunks.len() >= max {
                return Ok(false);
            }
            chunks.insert(_at);
        }
        Ok(true)
    }

    fn give_back(&self, _at: u64, _backing: u32) {
        #[cfg(not(loom))]
        assert!(self.heap.chunks.lock().unwrap().remove(&_at), "not there");
        // Who gives memory back is the last to touch it, and who gets it again the next.
        #[cfg(loom)]
        for nth in 0..CHUNK as u64 {
            let index = (_at >> 16).wrapping_add(nth) as usize & (self.heap.controls.len() - 1);
            self.heap.touched[index].with_mut(|_| ());
        }
    }
}
