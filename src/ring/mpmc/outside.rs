//! Messages that are too long for a slot: they lie in pages beside the ring, and the head of the slot
//! says where.
//!
//! A run of pages is claimed and filled first; then a slot is claimed, the run is attached to its
//! position, and the slot is published. Who pops frees the slot first, and then the pages. Both halves
//! tell of themselves what a death in between has left: see [`crate::ring::pages`].

#![allow(unsafe_code)]

use super::Ring;
use super::frames::{Frames, Head, OUTSIDE};
use super::guard::{Leased, Reserved};
use super::site::Site;
use super::words::*;
use crate::ring::pages::{NoRun, Run};
use crate::sync::Ordering::Acquire;

impl Frames {
    /// The message at the position `at` that lies in pages; `None` if what the head says cannot be
    /// true.
    ///
    /// # Safety
    ///
    /// The caller has the slot of that position while the result is used.
    #[cold]
    pub(super) unsafe fn message_outside(&self, at: u64, head: &Head) -> Option<&[u8]> {
        let len = usize::try_from(head.len).ok()?;
        let bytes = (head.place == OUTSIDE)
            .then(|| self.pages().message(head.first_page as usize, len, at))??;
        // SAFETY: `len` bytes of pages in bounds, which live as long as the site; whose is the slot,
        // his are the bytes (I4 of the pages).
        Some(unsafe { std::slice::from_raw_parts(bytes, len) })
    }
}

impl<S: Site> Ring<S> {
    /// Whether nobody has anything to do with the slot of the position `at` any more: what was there
    /// was popped, or given up. Final.
    pub(crate) fn is_past(&self, at: u64) -> bool {
        // free, return: Acquire, so that what was done in the slot has been done.
        let control = self.control(at).load(Acquire);
        let age = (control & self.lap_bits).wrapping_sub(self.lap(at)) as i64;
        age > 0 || age == 0 && control & STATE == VOID
    }
}

impl Ring<Frames> {
    /// Claims pages for a message of `len` bytes; collects what the dead have left if there are none.
    pub(crate) fn claim_pages(&self, len: usize) -> Result<Run, NoRun> {
        self.site.pages().claim_or_collect(len, |at| self.is_past(at))
    }

    /// Frees the pages that the dead have left, and says how many runs that were.
    pub(crate) fn collect_pages(&self) -> usize {
        self.site.collect_chunks();
        self.site.pages().collect(|at| self.is_past(at)).unwrap_or(0)
    }
}

impl Reserved<'_, Frames> {
    /// Lets the message be the one in `run`.
    pub(crate) fn attach(&mut self, run: Run) {
        if !self.is_mine() {
            return;
        }
        let (site, _) = self.slot();
        let len = run.len_bytes() as u64;
        // A survivor of a kill after this finds the slot not published, makes it VOID, and the run
        // is past.
        let first_page = site.pages().attach(run, self.position() << 16) as u32;
        **self = Head { len, first_page, place: OUTSIDE, ..Head::default() };
    }
}

impl Leased<'_, Frames> {
    /// As [`Leased::release`]; says whether pages were freed.
    pub(crate) fn release_all(self) -> bool {
        let (site, _) = self.slot();
        let (head, at) = (*self, self.position() << 16);
        let has_pages = head.place == OUTSIDE && self.is_mine();
        self.release();
        if has_pages {
            site.pages().release(head.first_page as usize, at);
        }
        has_pages
    }
}
