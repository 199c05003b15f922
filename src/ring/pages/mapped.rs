//! The heap in a region: where its table and pages are, checked once.
//!
//! - M1. `place` points at as many bytes as the geometry has in all its pages, inside the region,
//!   which `words` keeps mapped, `from_bytes` after the start of the object.

#![allow(unsafe_code)]

use super::Pages;
use super::site::Site;
use super::words::{GRAIN_BYTES, Geometry, Head, Note, OWNER_SHIFT, Words};
use crate::error::{Error, Result};
use crate::region::{Attached, Object, OwnerField, OwnerWords, Pinned, PinnedSlice, Shared};
use crate::sync::{AtomicU32, Ordering::Relaxed};
use std::ptr::NonNull;

// SAFETY: atomics and padding; any bytes are valid.
unsafe impl Shared for Words {}
// SAFETY: an atomic; any bytes are valid.
unsafe impl Shared for Head {}
// SAFETY: atomics without padding; any bytes are valid.
unsafe impl Shared for Note {}

/// One handle's view of a heap in a region.
#[derive(Clone)]
pub(crate) struct Mapped {
    words: Pinned<Words>,
    heads: PinnedSlice<Head>,
    notes: PinnedSlice<Note>,
    place: NonNull<u8>,
    from_bytes: u64,
    page_bytes: usize,
    /// Reads 0 in a forked child. Used while `words` keeps the mapping.
    own_id: &'static AtomicU32,
}

// SAFETY: M1: the pages are plain shared memory, each used by one owner at a time, as the invariants
// of the heap say; all else is made to be used from any thread.
unsafe impl Send for Mapped {}
// SAFETY: as above; nothing here is changed through `&self` but by way of the heap.
unsafe impl Sync for Mapped {}

const HEADS: u64 = size_of::<Words>() as u64;

impl Geometry {
    /// Bytes before the pages, which need memory from the start.
    pub(crate) fn table_bytes(&self) -> u64 {
        HEADS + self.count as u64 * (size_of::<Head>() + size_of::<Note>()) as u64
    }

    /// Bytes of the whole heap; `None` if there is no such address space.
    pub(crate) fn bytes(&self) -> Option<u64> {
        let span = (self.count as u64).checked_mul(self.page_bytes)?;
        span.checked_add(self.table_bytes() + GRAIN_BYTES) // up to the next multiple of a grain
    }

    /// Where a heap that begins `at` bytes into its object keeps owners.
    pub(crate) fn owner_words(&self, at: u64) -> OwnerWords {
        let field = OwnerField::Number { shift: OWNER_SHIFT };
        let stride_bytes = size_of::<Head>() as u32;
        OwnerWords { first_bytes: at + HEADS, stride_bytes, count: self.count as u32, field }
    }
}

impl Pages<Mapped> {
    /// The heap of this geometry that begins `at` bytes into `object`, a multiple of 128. Zeroed
    /// memory is an empty one.
    pub(crate) fn on(object: &Object, at: u64, geometry: Geometry) -> Result<Self> {
        const SIZE: Error = Error::Corrupt("size of a heap");
        let heads = object.pin_slice::<Head>(at + HEADS, geometry.count)?;
        let notes_at = at + HEADS + size_of_val(&*heads) as u64;
        let notes = object.pin_slice(notes_at, geometry.count)?;
        let table_end = at + geometry.table_bytes();
        // A mapping begins with a page of its file, so that addresses tell where those begin.
        let ahead = object.span(table_end, 0, 1)?.align_offset(GRAIN_BYTES as usize);
        let from_bytes = table_end + ahead as u64;
        let span_bytes = (geometry.count as u64).checked_mul(geometry.page_bytes).ok_or(SIZE)?;
        let site = Mapped {
            words: object.pin(at)?,
            heads,
            notes,
            place: object.span(from_bytes, span_bytes, GRAIN_BYTES)?,
            from_bytes,
            page_bytes: usize::try_from(geometry.page_bytes).map_err(|_| SIZE)?,
            own_id: object.mapping().own_id_word(),
        };
        Ok(Pages::new(site, geometry))
    }
}

impl Mapped {
    fn object(&self) -> &Object {
        self.words.object()
    }
}

// SAFETY: M1, with `Pinned` for the table: `on` has checked the bounds, and a mapping consists of
// initialised bytes and lives as long as `words`.
unsafe impl Site for Mapped {
    type Who<'a> = Attached<'a>;

    fn words(&self) -> &Words {
        &self.words
    }

    fn heads(&self) -> &[Head] {
        &self.heads
    }

    fn notes(&self) -> &[Note] {
        &self.notes
    }

    fn reading(&self, page: usize, pages: usize) -> *const u8 {
        self.writing(page, pages)
    }

    fn writing(&self, page: usize, pages: usize) -> *mut u8 {
        assert!(page <= self.heads.len() && pages <= self.heads.len() - page);
        // Not `add`: an address is computed here and nothing promised; the caller dereferences.
        self.place.as_ptr().wrapping_add(page * self.page_bytes)
    }

    fn back(&self, from_bytes: u64, len_bytes: u64) -> Result<()> {
        self.object().back(self.from_bytes + from_bytes, len_bytes)
    }

    fn give_back(&self, from_bytes: u64, len_bytes: u64) {
        // On failure the memory stays until it is needed, or the object goes.
        let _ = self.object().give_back(self.from_bytes + from_bytes, len_bytes);
    }

    fn own_word(&self) -> u32 {
        self.own_id.load(Relaxed) // nothing else is read by it
    }

    fn who(&self) -> Result<Attached<'_>> {
        self.object().attached()
    }
}
