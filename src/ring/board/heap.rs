//! A board in plain memory, for tests and models.

use super::site::Site;
use crate::sync::AtomicU64;
use std::sync::Arc;

/// The words of a board that the threads of one process share.
#[derive(Clone)]
pub struct Heap(Arc<Memory>);

struct Memory {
    head: AtomicU64,
    tail: AtomicU64,
    hints: Box<[AtomicU64]>,
    words: Box<[AtomicU64]>,
}

impl Heap {
    /// A board of so many slots.
    pub fn new(slots: usize) -> Heap {
        let zeros = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Heap(Arc::new(Memory {
            head: AtomicU64::new(0),
            tail: AtomicU64::new(0),
            hints: zeros((2 * slots).next_power_of_two()),
            words: zeros(slots),
        }))
    }
}

impl Site for Heap {
    fn slots(&self) -> usize {
        self.0.words.len()
    }

    fn hints(&self) -> usize {
        self.0.hints.len()
    }

    fn head(&self) -> &AtomicU64 {
        &self.0.head
    }

    fn tail(&self) -> &AtomicU64 {
        &self.0.tail
    }

    fn hint(&self, at: u64) -> &AtomicU64 {
        &self.0.hints[at as usize % self.0.hints.len()]
    }

    fn word(&self, slot: u32) -> &AtomicU64 {
        &self.0.words[slot as usize % self.0.words.len()]
    }
}
