//! The pages of a region's containers: whose each of them is, and the memory behind them.
//!
//! ```text
//! word 0          1      16           then, at a page of the file
//!      segments   hint   table        pages
//!
//! entry of a page   0       1       2
//!                   owner   state   links        state and links are the owner's: see blocks.rs
//! ```
//!
//! - P1. An owner is the number of a container, or 0: free. Free entries are taken by one step each,
//!   by whoever needs pages; only the writer of their container makes them free. So of two who take
//!   the same pages one gives way, and gives back what he has.
//! - P2. Memory is put behind a page after it is taken, and taken away before it is made free. So there
//!   is memory behind what a container uses, and a page that was taken by one who died is made free
//!   like any other.
//! - P3. The table is used up to `segments` times [`SEGMENT_PAGES`]; behind so much of it there is
//!   memory. The number only grows.

use super::blocks::CORRUPT;
use super::classes::PAGE_WORDS;
use crate::error::{Error, Result};
use crate::region::{Element, Kind, Object, PinnedSlice, Place, RegionOptions, Spec, Word};

const PAGE_BYTES: u64 = PAGE_WORDS * 8;
const SEGMENTS: usize = 0;
const HINT: usize = 1;
const TABLE: u64 = 16;
const ENTRY_WORDS: u64 = 3;
/// Pages whose entries get their memory at once: 4 MiB of pages, 24 KiB of entries.
const SEGMENT_PAGES: u64 = 1024;
/// The number of a page has 31 bits.
const PAGES_MAX: u64 = 1 << 31;

/// A handle to the pages.
#[derive(Clone)]
pub(crate) struct Heap {
    words: PinnedSlice<Word>,
    object: Object,
    /// How many pages there are.
    count: u64,
    /// The first word of the first page.
    first: u64,
}

impl Heap {
    /// Makes a region with a heap of `bytes`, and with room for other objects as `region` says.
    pub(crate) fn create(place: Place<'_>, bytes: u64, region: RegionOptions) -> Result<Heap> {
        let count = bytes.div_ceil(PAGE_BYTES).max(1);
        if count >= PAGES_MAX {
            return Err(Error::InvalidArgument("capacity of a manager"));
        }
        let bytes = table_bytes(count) + (count + 1) * PAGE_BYTES;
        let spec = Spec {
            kind: Kind::Manager,
            element: Element::BYTES,
            len: count,
            bytes,
            backed: table_bytes(count.min(SEGMENT_PAGES)),
            owners: &[],
        };
        let region = region.and(bytes);
        let init =
            |object: &Object| Heap::on(object.clone()).map(|heap| heap.words[SEGMENTS].put(1));
        Heap::on(Object::create_first(place, &spec, region, init)?)
    }

    pub(crate) fn open(name: &str) -> Result<Heap> {
        Heap::on(Object::open(name, Kind::Manager, Element::BYTES)?)
    }

    /// The heap of the region that `object` is in.
    pub(super) fn beside(object: &Object) -> Result<Heap> {
        let mapping = object.mapping().clone();
        Heap::on(Object::at_index(mapping, 0, Kind::Manager, Element::BYTES)?)
    }

    pub(crate) fn on(object: Object) -> Result<Heap> {
        let count = object.len();
        if !(1..PAGES_MAX).contains(&count) {
            return Err(Error::Corrupt("number of pages"));
        }
        let table_end = object.offset() + table_bytes(count);
        let first = (table_end.next_multiple_of(PAGE_BYTES) - object.offset()) / 8;
        let words = object.pin_slice(0, (first + count * PAGE_WORDS) as usize)?;
        Ok(Heap { words, object, count, first })
    }

    pub(crate) fn object(&self) -> &Object {
        &self.object
    }

    /// The words from `at` on, if they are there.
    #[inline(always)]
    pub(super) fn slice(&self, at: u64, len: u64) -> Result<&[Word]> {
        let (at, len) = (at as usize, len as usize);
        self.words.get(at..at.checked_add(len).ok_or(CORRUPT)?).ok_or(CORRUPT)
    }

    /// How many pages may be in use.
    pub(super) fn ready(&self) -> u64 {
        self.words[SEGMENTS].get().saturating_mul(SEGMENT_PAGES).min(self.count)
    }

    /// The most that all containers together can hold.
    pub(super) fn ready_bytes(&self) -> u64 {
        self.ready() * PAGE_BYTES
    }

    /// How many pages somebody owns.
    pub(crate) fn used(&self) -> u64 {
        (0..self.ready()).filter(|page| self.owner(*page).get() != 0).count() as u64
    }

    /// The page that a word is in.
    pub(super) fn page_of(&self, at: u64) -> Result<u64> {
        let page = at.checked_sub(self.first).ok_or(CORRUPT)? / PAGE_WORDS;
        if page < self.ready() { Ok(page) } else { Err(CORRUPT) }
    }

    /// The first word of a page.
    pub(super) fn start(&self, page: u64) -> u64 {
        self.first + page * PAGE_WORDS
    }

    /// Whose a page is, which is below [`Heap::ready`].
    pub(super) fn owner(&self, page: u64) -> &Word {
        self.entry(page, 0)
    }

    pub(super) fn state(&self, page: u64) -> &Word {
        self.entry(page, 1)
    }

    pub(super) fn links(&self, page: u64) -> &Word {
        self.entry(page, 2)
    }

    fn entry(&self, page: u64, word: u64) -> &Word {
        &self.words[(TABLE + page * ENTRY_WORDS + word) as usize]
    }

    /// Takes so many neighbouring pages for the container `owner`, with memory behind them.
    pub(super) fn claim(&self, owner: u64, pages: u64) -> Result<u64> {
        let first = self.find(owner, pages)?;
        let bytes = (self.start(first) * 8, pages * PAGE_BYTES);
        match self.object.back(bytes.0, bytes.1) {
            Ok(()) => Ok(first),
            Err(why) => {
                self.release(first, pages);
                Err(why)
            }
        }
    }

    fn find(&self, owner: u64, pages: u64) -> Result<u64> {
        if pages > self.count {
            return Err(Error::NoSpace);
        }
        let hint = self.words[HINT].get();
        if let Some(first) = self.search(hint.min(self.ready()), hint, owner, pages) {
            return Ok(first);
        }
        // What was freed while others moved the hint on is below it.
        let mut from = 0;
        loop {
            if let Some(first) = self.search(from, hint, owner, pages) {
                return Ok(first);
            }
            from = self.ready().saturating_sub(pages);
            if self.ready() == self.count {
                return Err(Error::NoSpace);
            }
            self.extend()?;
        }
    }

    /// Puts memory behind the next segment of the table.
    fn extend(&self) -> Result<()> {
        let segments = self.words[SEGMENTS].get();
        let ready = self.ready();
        let next = (ready + SEGMENT_PAGES).min(self.count);
        let start = table_bytes(ready);
        self.object.back(start, table_bytes(next) - start)?;
        self.words[SEGMENTS].replace(segments, segments + 1); // P3; or another was faster
        Ok(())
    }

    /// Looks for pages from `from` on, and takes the first that do.
    fn search(&self, from: u64, hint: u64, owner: u64, pages: u64) -> Option<u64> {
        let ready = self.ready();
        let mut lowest = None;
        let (mut first, mut page) = (from, from);
        while page < ready {
            let is_free = self.owner(page).get() == 0;
            page += 1;
            if !is_free {
                first = page;
                continue;
            }
            let lowest = *lowest.get_or_insert(page - 1);
            if page - first < pages {
                continue;
            }
            match self.take(first, pages, owner) {
                Ok(()) => {
                    let next = if lowest == first { first + pages } else { lowest };
                    self.words[HINT].replace(hint, next); // a hint
                    return Some(first);
                }
                Err(taken) => (first, page) = (taken + 1, taken + 1),
            }
        }
        None
    }

    /// Takes these pages, all or none; says which of them was another's (P1).
    fn take(&self, first: u64, pages: u64, owner: u64) -> Result<(), u64> {
        for page in first..first + pages {
            if !self.owner(page).replace(0, owner) {
                self.make_free(first, page - first);
                return Err(page);
            }
        }
        Ok(())
    }

    /// Makes pages free that are ours, and gives the memory behind them back (P2).
    pub(super) fn release(&self, first: u64, pages: u64) {
        // On failure the memory stays until the page is needed, or the region goes.
        let _ = self.object.give_back(self.start(first) * 8, pages * PAGE_BYTES);
        self.make_free(first, pages);
    }

    fn make_free(&self, first: u64, pages: u64) {
        for page in first..first + pages {
            self.owner(page).put(0);
        }
        loop {
            let hint = self.words[HINT].get();
            if first >= hint || self.words[HINT].replace(hint, first) {
                return;
            }
        }
    }
}

/// The bytes up to the end of the first entries of the table.
fn table_bytes(pages: u64) -> u64 {
    (TABLE + pages * ENTRY_WORDS) * 8
}
