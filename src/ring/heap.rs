//! A ring on the heap, for tests and for the model checker, which follows every slot.

#![allow(unsafe_code)]

use super::indices::Indices;
use super::site::Site;
use crate::region::id::{Liveness, ParticipantId};
use crate::sync::{AtomicU32, Ordering::*};
use bytemuck::Pod;
use std::cell::UnsafeCell;
use std::sync::Arc;

/// What the ends of a heap ring share.
pub(crate) struct Heap<T> {
    pub(crate) indices: Indices,
    slots: Box<[UnsafeCell<T>]>,
    /// Stand for the slots: loom checks that what touches them is ordered.
    #[cfg(loom)]
    touched: Box<[loom::cell::UnsafeCell<()>]>,
    /// The id of the participant that has died.
    dead: AtomicU32,
}

// SAFETY: the slots are used as the ring's invariants allow, which the model checks.
unsafe impl<T: Send> Sync for Heap<T> {}

/// One participant's view of a heap ring.
pub(crate) struct HeapSite<T> {
    pub(crate) heap: Arc<Heap<T>>,
    pub(crate) me: ParticipantId,
}

impl<T: Pod> Heap<T> {
    /// Memory for `capacity` slots, with both positions at `position`.
    pub(crate) fn new(capacity: usize, position: u64) -> Arc<Heap<T>> {
        let slots = capacity.next_power_of_two();
        Arc::new(Heap {
            indices: Indices::starting_at(position),
            slots: (0..slots).map(|_| UnsafeCell::new(T::zeroed())).collect(),
            #[cfg(loom)]
            touched: (0..slots).map(|_| loom::cell::UnsafeCell::new(())).collect(),
            dead: AtomicU32::new(0),
        })
    }

    /// The ring as the participant `number` sees it.
    pub(crate) fn seen_by(self: &Arc<Self>, number: u32) -> HeapSite<T> {
        HeapSite { heap: self.clone(), me: ParticipantId::new(number, 1) }
    }

    /// Lets the participant `number` be dead from now on. Release, as the kernel's unlocking is.
    pub(crate) fn bury(&self, number: u32) {
        self.dead.store(ParticipantId::new(number, 1).word(), Release);
    }
}

impl<T> Liveness for &HeapSite<T> {
    fn me(&self) -> ParticipantId {
        self.me
    }

    fn is_dead(&self, id: ParticipantId) -> bool {
        self.heap.dead.load(Acquire) == id.word()
    }
}

// SAFETY: the box lives as long as the site and never moves or grows; its length is a power of
// two and its values are initialised.
unsafe impl<T: Pod> Site for HeapSite<T> {
    type Slot = T;
    type Who<'a>
        = &'a HeapSite<T>
    where
        T: 'a;

    fn indices(&self) -> &Indices {
        &self.heap.indices
    }

    fn slot_count(&self) -> usize {
        self.heap.slots.len()
    }

    fn reading(&self, index: usize, count: usize) -> *const T {
        assert!(index + count <= self.heap.slots.len());
        #[cfg(loom)]
        self.heap.touched[index..index + count].iter().for_each(|slot| slot.with(|_| ()));
        self.heap.slots.as_ptr().wrapping_add(index).cast()
    }

    fn writing(&self, index: usize, count: usize) -> *mut T {
        assert!(index + count <= self.heap.slots.len());
        #[cfg(loom)]
        self.heap.touched[index..index + count].iter().for_each(|slot| slot.with_mut(|_| ()));
        self.heap.slots.as_ptr().wrapping_add(index).cast::<UnsafeCell<T>>().cast_mut().cast()
    }

    fn own_word(&self) -> u32 {
        self.me.word()
    }

    fn who(&self) -> Option<&HeapSite<T>> {
        Some(self)
    }
}
