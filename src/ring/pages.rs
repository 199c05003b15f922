//! A heap of pages for messages that are too large for the slot of a ring: runs of neighbouring
//! pages that are claimed, filled, attached to a position of the ring, and freed by who has popped it.
//!
//! Every page has a head word. The first word of a run says whose the run is: a participant's while it
//! is written or freed, a position's while its message is in the ring. So there is no list of
//! references to keep right, and a run that nobody will free tells so itself: its owner is dead, or
//! the slot of its position has moved on.
//!
//! Source: first fit over a table, as in any page allocator; ours are the words that name their
//! owner, and garbage that is told by one look at the ring.
//!
//! ```text
//! page      0                   1        2        3        4              5
//! head      OWNED(stamp, X)     PART(0)  PART(0)  FREE     ATTACHED(p)    PART(4)
//! note      3 pages                                        2 pages
//!           run that X fills or frees                      run of the message at position p
//!
//!           FREE -claim-> OWNED(X) -attach-> ATTACHED(p) -release-> OWNED(Y) -> FREE
//!                         garbage if X is dead; garbage if the slot of p has moved on
//!                                garbage -collect-> OWNED(Z) -> FREE
//! ```
//!
//! # Invariants
//!
//! - I1. A page says PART(h) only while page `h` is OWNED or ATTACHED and its note counts that page:
//!   a claimant takes the first page, writes the note, and takes the others then; an owner frees the
//!   others first and the first page last.
//! - I2. Only the owner of a run changes its words, as long as it lives. So he may change them by
//!   plain stores. He becomes the owner by one CAS of the first word, from FREE, from ATTACHED(p) when
//!   the message at `p` is his to free, or from garbage.
//! - I3. No OWNED or ATTACHED word comes back: a stamp is given once and a position is claimed once
//!   (modulo 2^48). So a CAS from garbage succeeds only while it is the garbage that was looked at.
//!   FREE comes back, and is as good then. Garbage stays garbage until somebody owns it.
//! - I4. The bytes of a run are touched by its owner only, and while it is ATTACHED(p) by who owns the
//!   slot of `p`.
//! - I5. A note says that memory is behind a page only if it is: it is noted after the memory was put
//!   there, and unsaid before the memory is given back, both by the owner of the page.
//! - I6. The number of pages and their size are of this handle and never read from shared memory;
//!   what is read is compared with them, and every loop is bounded by them.
//!
//! # Memory ordering
//!
//! | edge | Release | Acquire | then visible |
//! |---|---|---|---|
//! | hand on | `free` stores FREE | `take` changes FREE | the bytes are no longer used; the notes |
//! | attach | `attach` stores ATTACHED | `own` and `collect` read it | the note; the slot was claimed |
//!
//! That the bytes of a message are written before they are read, and read before the run is garbage,
//! is the business of the ring: of `fill`, and of the Acquire in `is_over`. Whatever a dead owner did
//! is visible after the verdict (`Numbers`).
//!
//! # Death
//!
//! Killed as an owner, before it has attached the run or while it frees it: garbage, whichever of the
//! pages it had taken or freed by then, for what is not PART of the run is left alone (I1). Killed
//! between attaching the run and publishing its position: the ring makes the slot VOID, and the run is
//! garbage. Killed between popping the position and freeing the run: the same. Garbage is collected by
//! who finds the heap full, and costs nothing before.
//!
//! # Limits
//!
//! A run is a whole number of pages. Large runs may starve while others claim small ones. Of two who
//! claim the same pages at once one may find the heap full that is not: he has to try again. Whoever
//! is stopped keeps what it owns.

#![allow(unsafe_code)]

mod backing;
mod collect;
#[cfg(not(loom))]
pub(crate) mod mapped;
#[cfg(any(test, loom))]
mod model;
mod site;
mod words;

#[cfg(not(loom))]
pub(crate) use words::Geometry;

use crate::error::Error;
use crate::region::id::{GENERATION_BITS, Liveness};
use crate::sync::Ordering::*;
use site::Site;
use words::*;

/// Why there is no run.
#[derive(Debug)]
pub(crate) enum NoRun {
    /// The whole heap is smaller.
    TooLarge,
    /// No so many neighbouring pages are free.
    Full,
    /// The words cannot be true.
    Corrupt,
    /// There is no memory for it, or this process cannot become a user of the region.
    Failed(Error),
}

/// Pages that this process owns. Dropped without [`Pages::free`] or [`Pages::attach`], they are
/// garbage once this process is dead.
#[derive(Debug)]
#[must_use]
pub(crate) struct Run {
    first: usize,
    pages: usize,
    len_bytes: usize,
    /// The word of the participant that owns them.
    owner: u32,
}

/// A handle to a heap of pages.
#[derive(Clone)]
pub(crate) struct Pages<S> {
    site: S,
    geometry: Geometry,
}

impl Run {
    /// Lets the message be shorter than was asked for.
    pub(crate) fn shorten(&mut self, len_bytes: usize) {
        self.len_bytes = self.len_bytes.min(len_bytes);
    }

    /// The length of the message.
    pub(crate) fn len_bytes(&self) -> usize {
        self.len_bytes
    }
}

impl<S: Site> Pages<S> {
    pub(super) fn new(site: S, geometry: Geometry) -> Self {
        assert!(site.heads().len() == geometry.count && site.notes().len() == geometry.count);
        Pages { site, geometry }
    }

    /// A handle to claim with that finds the lower half of the pages only. Not to collect with.
    pub(crate) fn lower_half(&self) -> Self
    where
        S: Clone,
    {
        let geometry = Geometry { count: self.geometry.count / 2, ..self.geometry };
        Pages { site: self.site.clone(), geometry }
    }

    /// Whether a message of `len_bytes` fits into half of the pages.
    pub(crate) fn fits_half(&self, len_bytes: usize) -> bool {
        self.geometry.pages_for(len_bytes) <= self.geometry.count / 2
    }

    /// Claims a run for a message of `len_bytes`, with memory behind it.
    pub(crate) fn claim(&self, len_bytes: usize) -> Result<Run, NoRun> {
        let pages = self.geometry.pages_for(len_bytes);
        if pages > self.geometry.count {
            return Err(NoRun::TooLarge);
        }
        let owner = self.own_word()?;
        let first = self.search(pages, bits_of(owner)).ok_or(NoRun::Full)?;
        // A survivor of a kill here, or anywhere before `attach` is done, collects the run.
        let run = Run { first, pages, len_bytes, owner };
        match self.back(first, len_bytes) {
            Ok(()) => Ok(run),
            Err(why) => {
                self.free(run);
                Err(NoRun::Failed(why))
            }
        }
    }

    /// The bytes of a run; whatever was there before.
    pub(crate) fn bytes<'a>(&'a self, run: &'a Run) -> &'a [u8] {
        let place = self.site.reading(run.first, run.pages);
        // SAFETY: I4: `claim` found the run in bounds, with memory behind it, and it is ours until
        // `run` is gone; the site keeps it mapped. Any bytes are valid.
        unsafe { std::slice::from_raw_parts(place, run.len_bytes) }
    }

    /// The bytes of a run, to be written.
    pub(crate) fn bytes_mut<'a>(&'a self, run: &'a mut Run) -> &'a mut [u8] {
        let place = self.site.writing(run.first, run.pages);
        // SAFETY: as above, and `run` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(place, run.len_bytes) }
    }

    /// Lets the run be the message's at the position `at` of the ring (an index word without its low
    /// bits), whose slot the caller has claimed and not published, and returns its first page.
    pub(crate) fn attach(&self, run: Run, at: u64) -> usize {
        if self.is_mine(&run) {
            put(self.head(run.first), at & !LOW | ATTACHED); // attach
        }
        run.first
    }

    /// Frees a run that was not attached.
    pub(crate) fn free(&self, run: Run) {
        if self.is_mine(&run) {
            self.clear(run.first, run.pages);
        }
    }

    /// The message of `len_bytes` at the position `at`, which begins at the page `first`; `None` if
    /// that cannot be.
    ///
    /// The bytes are to be used only while the caller owns the slot of that position.
    pub(crate) fn message(&self, first: usize, len_bytes: usize, at: u64) -> Option<*const u8> {
        let pages = self.geometry.pages_for(len_bytes);
        let head = self.site.heads().get(first)?;
        // Relaxed, twice: older than the publication of the slot, which the caller has seen.
        let attached = head.0.load(Relaxed) == at & !LOW | ATTACHED;
        let noted = self.site.notes()[first].pages.load(Relaxed) as usize;
        let fits = pages <= noted && pages <= self.geometry.count - first;
        (attached && fits).then(|| self.site.reading(first, pages))
    }

    /// Where the page begins, to be used by who has it; `None` if there is no such page.
    #[inline(always)]
    pub(crate) fn page(&self, page: usize) -> Option<*mut u8> {
        (page < self.geometry.count).then(|| self.site.writing(page, 1))
    }

    /// Frees the run that begins at the page `first`, the message of which was at the position `at`;
    /// the caller has popped it, so nobody reads it any more. If others have found that as well, they
    /// may be faster.
    pub(crate) fn release(&self, first: usize, at: u64) {
        let Ok(owner) = self.own_word() else { return }; // others will collect it
        if first < self.geometry.count && self.own(first, at & !LOW | ATTACHED, owner) {
            self.clear_owned(first);
        }
    }

    /// Finds so many neighbouring pages that are free, and takes them.
    fn search(&self, pages: usize, me: u64) -> Option<usize> {
        let hint = &self.site.words().lowest;
        let seen = hint.load(Relaxed); // a hint
        let start = if (seen as usize) < self.geometry.count { seen as usize } else { 0 };
        let found = self.search_from(start, pages, me);
        // What was freed while others moved the hint on is below it.
        let (lowest, first) = match found {
            None if start > 0 => self.search_from(0, pages, me),
            found => found,
        }?;
        let next = if lowest == first { first + pages } else { lowest };
        let _ = hint.compare_exchange(seen, next as u32, Relaxed, Relaxed); // a hint
        Some(first)
    }

    /// The lowest page that was free, and the first of those taken.
    fn search_from(&self, start: usize, pages: usize, me: u64) -> Option<(usize, usize)> {
        let mut lowest = None;
        let (mut first, mut page) = (start, start);
        while page < self.geometry.count {
            let is_free = self.head(page).load(Relaxed) == FREE; // a proposal for `take`
            page += 1;
            if !is_free {
                first = page;
                continue;
            }
            let lowest = *lowest.get_or_insert(page - 1);
            if page - first == pages {
                match self.take(first, pages, me) {
                    Ok(()) => return Some((lowest, first)),
                    // Whoever took that page took it from below or has begun there: of all who claim
                    // pages the one who begins highest is stopped by nobody who gives up.
                    Err(taken) => (first, page) = (taken + 1, taken + 1),
                }
            }
        }
        None
    }

    /// Takes these pages, all or none; says which of them was another's.
    fn take(&self, first: usize, pages: usize, me: u64) -> Result<(), usize> {
        let owned = self.stamp() | me | OWNED;
        // hand on: Acquire, here and below, pairs with the Release in `free_pages`.
        if self.head(first).compare_exchange(FREE, owned, Acquire, Relaxed).is_err() {
            return Err(first);
        }
        // A survivor of a kill here finds no PART of this run, whatever the note says (I1).
        self.site.notes()[first].pages.store(pages as u32, Relaxed);
        for page in first + 1..first + pages {
            let part = part_of(first);
            if self.head(page).compare_exchange(FREE, part, Acquire, Relaxed).is_err() {
                self.free_pages(first, page - first);
                return Err(page);
            }
        }
        Ok(())
    }

    /// Makes this process the owner of a run whose first word is `seen`, if that still stands.
    fn own(&self, first: usize, seen: u64, owner: u32) -> bool {
        let owned = self.stamp() | bits_of(owner) | OWNED;
        // attach: Acquire, for the note. Of a dead owner the verdict tells more.
        self.head(first).compare_exchange(seen, owned, Acquire, Relaxed).is_ok()
    }

    /// Frees a run that we own, as long as its note says.
    fn clear_owned(&self, first: usize) {
        let noted = self.site.notes()[first].pages.load(Relaxed) as usize; // ours (I2)
        self.clear(first, noted.clamp(1, self.geometry.count - first));
    }

    /// Gives memory back if that is worth it, and frees a run that we own.
    fn clear(&self, first: usize, pages: usize) {
        self.give_back(first, pages);
        self.free_pages(first, pages);
    }

    /// Frees a run that we own.
    fn free_pages(&self, first: usize, pages: usize) {
        for page in first + 1..first + pages {
            let head = self.head(page);
            // Relaxed: PART of our run is what nobody else changes (I2). What is not, was freed or
            // never taken by one who died.
            if head.load(Relaxed) == part_of(first) {
                put(head, FREE); // hand on
            }
        }
        put(self.head(first), FREE); // hand on
        // A survivor of a kill here has a hint that is too high, and searches twice.
        self.site.words().lowest.fetch_min(first as u32, Relaxed);
    }

    /// A number that no other OWNED word has ever had, where it stands in a word.
    fn stamp(&self) -> u64 {
        self.site.words().stamp.fetch_add(1, Relaxed) << STAMP_SHIFT // atomicity alone counts
    }

    fn is_mine(&self, run: &Run) -> bool {
        self.site.own_word() == run.owner
    }

    /// The word of this process as a participant.
    fn own_word(&self) -> Result<u32, NoRun> {
        match self.site.own_word() {
            0 => Ok(self.site.who().map_err(NoRun::Failed)?.me().word()),
            word => Ok(word),
        }
    }

    fn head(&self, page: usize) -> &crate::sync::AtomicU64 {
        &self.site.heads()[page].0
    }
}

/// The owner bits of a participant.
fn bits_of(own_word: u32) -> u64 {
    u64::from(own_word >> GENERATION_BITS) << OWNER_SHIFT
}

/// Replaces a word that is ours (I2).
fn put(head: &crate::sync::AtomicU64, word: u64) {
    if cfg!(loom) {
        // Loom lets a plain store and a CAS both succeed on the same value.
        head.swap(word, Release);
    } else {
        head.store(word, Release);
    }
}

#[cfg(all(test, loom))]
#[path = "../../tests/loom/pages.rs"]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
