//! The memory behind the pages: put there before their first use, and given back when there is much.
//!
//! Only the owner of a run does either, so no other looks at its pages meanwhile (I4, I5). The kernel
//! counts in grains; of a page the first ones have memory, so that a short message in a large page
//! costs what it is long.

use super::Pages;
use super::site::Site;
use super::words::{GRAIN_BYTES, part_of};
use crate::error::Result;
use crate::sync::Ordering::Relaxed;
use std::ops::Range;

/// Less memory than this is not worth a system call to give it back and one to get it again.
const GIVEN_BACK_BYTES: u64 = 64 << 10;

impl<S: Site> Pages<S> {
    /// Puts memory behind the first `len_bytes` of a run that we own, where there is none.
    pub(super) fn back(&self, first: usize, len_bytes: usize) -> Result<()> {
        let wanted = self.wanted(first, len_bytes);
        let mut gap = 0..0;
        for (page, grains) in wanted.clone() {
            // Relaxed, here and below: notes are their owner's, and change hands with the words.
            let backed = u64::from(self.site.notes()[page].backed.load(Relaxed));
            if backed >= grains {
                continue;
            }
            let start = page as u64 * self.geometry.page_bytes;
            let (from, to) = (start + backed * GRAIN_BYTES, start + grains * GRAIN_BYTES);
            if gap.end != from {
                self.fill(&gap)?;
                gap.start = from;
            }
            gap.end = to;
        }
        self.fill(&gap)?;
        // A survivor of a kill here asks the kernel again for what is there (I5).
        for (page, grains) in wanted {
            self.site.notes()[page].backed.fetch_max(grains as u32, Relaxed);
        }
        Ok(())
    }

    /// Gives the memory of a run that we own back, where it lies beyond what is kept.
    ///
    /// The note of a run whose owner died may count pages that are others' by now: only what is PART of
    /// the run is ours, and stays so while we look (I2).
    pub(super) fn give_back(&self, first: usize, pages: usize) {
        let is_ours = |page: usize| {
            page == first || self.head(page).load(Relaxed) == part_of(first) // Relaxed: ours
        };
        let mut start = first.max(self.geometry.kept);
        while start < first + pages {
            let len = (start..first + pages).take_while(|page| is_ours(*page)).count();
            self.give_back_span(start..start + len);
            start += len + 1;
        }
    }

    fn give_back_span(&self, pages: Range<usize>) {
        let notes = self.site.notes().get(pages.clone()).unwrap_or_default();
        let grains: u64 = notes.iter().map(|note| u64::from(note.backed.load(Relaxed))).sum();
        if grains.saturating_mul(GRAIN_BYTES) < GIVEN_BACK_BYTES {
            return;
        }
        notes.iter().for_each(|note| note.backed.store(0, Relaxed)); // first (I5)
        let page_bytes = self.geometry.page_bytes;
        self.site.give_back(pages.start as u64 * page_bytes, pages.len() as u64 * page_bytes);
    }

    /// The pages of a message, and how many grains of each it needs.
    fn wanted(&self, first: usize, len_bytes: usize) -> impl Iterator<Item = (usize, u64)> + Clone {
        let all = (len_bytes as u64).div_ceil(GRAIN_BYTES);
        let each = self.geometry.page_bytes / GRAIN_BYTES;
        let pages = self.geometry.pages_for(len_bytes);
        (0..pages).map(move |nth| (first + nth, (all - nth as u64 * each).min(each)))
    }

    fn fill(&self, gap: &Range<u64>) -> Result<()> {
        if gap.is_empty() {
            return Ok(());
        }
        self.site.back(gap.start, gap.end - gap.start)
    }
}
