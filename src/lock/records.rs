//! One record for each participant of a region: what it holds of one object.
//!
//! ```text
//! byte 0       4        8
//!      owner   unused   ledger (what it means is the object's business)
//! ```
//!
//! (Where one word holds both, as for the readers of [`rw`](super::rw), it is a record as well.)
//!
//! A participant uses the record of its slot, so that nobody searches, and nobody else's line is
//! written on the way. Records of neighbouring slots lie on different lines as long as there are
//! lines: slots are handed out in order, and a few processes are the rule.
//!
//! # Invariants
//!
//! - R1. `owner` names nobody, the present occupant of the slot, or a dead one: only the occupant
//!   writes its id there, and the sweep before the next one replaces it by the id of the dead.
//! - R2. Whoever claims the record of its slot has undone first what a former owner left in it.

#![allow(unsafe_code)]

use crate::region::id::ParticipantId;
#[cfg(not(loom))]
use crate::region::{OwnerField, OwnerWords};
use crate::sync::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// What one participant holds; any bytes are valid, zeros are nobody's record of nothing.
#[repr(C)]
pub struct Record {
    owner: AtomicU32,
    _unused: AtomicU32,
    pub(super) ledger: AtomicU64,
}

// SAFETY: atomics without padding, and every bit pattern is a record.
#[cfg(not(loom))]
unsafe impl crate::region::Shared for Record {}
#[cfg(not(loom))]
const _: () = assert!(size_of::<Record>() == 16);

impl Default for Record {
    fn default() -> Record {
        Record { owner: AtomicU32::new(0), _unused: AtomicU32::new(0), ledger: AtomicU64::new(0) }
    }
}

impl Record {
    /// Whose record it is, if it ever was somebody's.
    #[inline]
    pub(super) fn owner(&self) -> Option<ParticipantId> {
        // Relaxed: the objects order it by their own words; see there.
        ParticipantId::from_word(self.owner.load(Relaxed))
    }

    /// Makes it the record of `me`, the occupant of its slot (R2).
    pub(super) fn claim(&self, me: ParticipantId) {
        // Relaxed: published by what the owner does next. A swap is enough, because only threads
        // of the occupant come here, all with the same id.
        self.owner.swap(me.word(), Relaxed);
    }
}

/// The records of one object; `R` is what such a record is.
pub struct Records<'a, R = Record> {
    all: &'a [R],
}

impl<R> Clone for Records<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Records<'_, R> {}

#[cfg(not(loom))]
impl Records<'_, Record> {
    /// Where an object whose records start `at` bytes into it keeps their owners.
    pub(crate) fn owner_words(at: u64, participants: u32) -> OwnerWords {
        let count = Self::needed(participants) as u32;
        let stride_bytes = size_of::<Record>() as u32;
        OwnerWords { first_bytes: at, stride_bytes, count, field: OwnerField::Id }
    }
}

impl<'a, R> Records<'a, R> {
    /// Records on one line of 128 bytes.
    const PER_LINE: usize = if cfg!(loom) { 1 } else { 128 / size_of::<R>() };

    /// How many records an object in a region of so many participants has: a power of two.
    pub fn needed(participants: u32) -> usize {
        (participants as usize).next_power_of_two().max(Self::PER_LINE)
    }

    /// Takes as many records as [`Records::needed`] says.
    #[inline(always)]
    pub fn new(all: &'a [R]) -> Records<'a, R> {
        debug_assert!(all.len().is_power_of_two());
        Records { all }
    }

    /// Bits of an index.
    #[inline(always)]
    pub(super) fn index_bits(self) -> u32 {
        self.all.len().trailing_zeros()
    }

    /// The index of the record that is `who`'s to claim.
    #[inline(always)]
    pub(super) fn index_of(self, who: ParticipantId) -> usize {
        let slot = who.number().wrapping_sub(1) as usize & (self.all.len() - 1);
        let line_bits = self.index_bits() - Self::PER_LINE.trailing_zeros();
        let line = slot & ((1 << line_bits) - 1);
        line * Self::PER_LINE + (slot >> line_bits)
    }

    /// The record at an index, which may come from anywhere: only the bits that count are used.
    #[inline(always)]
    pub(super) fn at(self, index: usize) -> &'a R {
        &self.all[index & (self.all.len() - 1)]
    }

    /// All records, in the order of their indices.
    pub(super) fn iter(self) -> impl Iterator<Item = &'a R> {
        self.all.iter()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn table(participants: u32) -> Vec<Record> {
        (0..Records::<Record>::needed(participants)).map(|_| Record::default()).collect()
    }

    #[test]
    fn every_slot_has_a_record_of_its_own() {
        for participants in [1, 2, 7, 8, 9, 100, 128, 129, 4096] {
            let table = table(participants);
            let records = Records::new(&table);
            let indices: BTreeSet<_> = (0..participants)
                .map(|slot| records.index_of(ParticipantId::new(slot, 1)))
                .collect();
            assert_eq!(indices.len(), participants as usize);
            assert!(indices.last() < Some(&table.len()));
        }
    }

    #[test]
    fn the_first_participants_share_no_line() {
        let table = table(128);
        let records = Records::new(&table);
        let lines: BTreeSet<_> =
            (0..16).map(|slot| records.index_of(ParticipantId::new(slot, 1)) / 8).collect();
        assert_eq!(lines.len(), 16);
    }

    #[test]
    fn any_id_and_any_index_lead_to_a_record() {
        let table = table(1);
        let records = Records::new(&table);
        assert!(records.index_of(ParticipantId::DEAD) < table.len());
        assert_eq!(records.at(usize::MAX).owner(), None);
    }
}
