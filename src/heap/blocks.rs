//! Blocks of memory for one container, whose writer alone calls this.
//!
//! Source: size classes with a free list for each slab of equal blocks, after Bonwick, "The Slab
//! Allocator" (1994); nothing of it need survive its user ([`super::mend`] derives it anew).
//!
//! ```text
//! state of a page   bits 0..8   8..24    24..40             40..56
//!                   class + 1   in use   first free + 1     ever used      the first page of a slab
//!                   PART        number of the page in its slab             another page of a slab
//!                   LARGE       number of pages                            a block of whole pages
//! links of a slab   bits 0..32: the next with free blocks + 1;  32..64: the one before + 1
//! ```
//!
//! A free block says in its first word which one is next. Slabs of a class with free blocks are in a
//! list that begins in the container. A slab without used blocks goes back to the heap, unless it is
//! the last one with free blocks of its class. Pages are taken from the heap a quarter of what is
//! there already at a time, up to 256 KiB, and kept in one run of spare pages until they are needed.

use super::classes::{CLASSES, PAGE_WORDS, block_words, class_of, slab_blocks, slab_pages};
use super::pages::Heap;
use crate::error::{Error, Result};
use crate::region::Word;

pub(super) const CORRUPT: Error = Error::Corrupt("words of a container");

/// Words of a container, behind its door.
pub(super) const ROOT: usize = 0;
/// Of what the root leads to; see there.
pub(super) const PARTS: usize = 1;
pub(super) const LEN: usize = 5;
pub(super) const USED: usize = 6;
pub(super) const SEEDS: usize = 7;
/// How many writers have died.
pub(super) const DEATHS: usize = 9;
pub(super) const OWNED: usize = 10;
const SPARE_FIRST: usize = 11;
const SPARE_PAGES: usize = 12;
const BINS: usize = 16;
/// How many words a container has.
pub(super) const WORDS: usize = 64;
const _: () = assert!(BINS + CLASSES <= WORDS);

const KIND: u64 = 0xff;
const PART: u64 = 0xff;
const LARGE: u64 = 0xfe;
/// Most pages that are taken at a time without need.
const AHEAD_PAGES: u64 = 64;

/// The words of a container and its part of the heap.
#[derive(Clone, Copy)]
pub(crate) struct Blocks<'a> {
    pub(super) words: &'a [Word],
    pub(super) heap: &'a Heap,
    /// The number of the container.
    pub(super) owner: u64,
}

/// The state of the first page of a slab.
#[derive(Clone, Copy)]
pub(super) struct Slab {
    pub(super) class: usize,
    pub(super) live: u64,
    /// The first free block, plus one.
    pub(super) free: u64,
    /// Blocks below this one have been used.
    pub(super) fresh: u64,
}

impl Slab {
    pub(super) fn state(self) -> u64 {
        (self.class as u64 + 1) | self.live << 8 | self.free << 24 | self.fresh << 40
    }

    fn of(state: u64) -> Slab {
        let field = |shift: u32| (state >> shift) & 0xffff;
        Slab {
            class: (state & KIND) as usize - 1,
            live: field(8),
            free: field(24),
            fresh: field(40),
        }
    }

    fn is_full(self, blocks: u64) -> bool {
        self.free == 0 && self.fresh >= blocks
    }
}

/// Where a block is.
pub(super) enum Place {
    /// A block of a slab: its first page, its class, and the number of the block.
    InSlab { first: u64, class: usize, index: u64 },
    /// A block of whole pages.
    Whole { first: u64, pages: u64 },
}

impl<'a> Blocks<'a> {
    pub(super) fn word(&self, index: usize) -> &'a Word {
        &self.words[index]
    }

    /// The words of the heap from `at` on, if they are there.
    #[inline(always)]
    pub(super) fn slice(&self, at: u64, len: u64) -> Result<&'a [Word]> {
        self.heap.slice(at, len)
    }

    /// Takes a block of so many words; whatever was there before.
    pub(super) fn take(&self, words: u64) -> Result<u64> {
        let Some((class, size)) = class_of(words).and_then(|c| Some((c, block_words(c)?))) else {
            let pages = words.div_ceil(PAGE_WORDS);
            let first = match self.heap.claim(self.owner, pages) {
                Err(Error::NoSpace) if self.word(SPARE_PAGES).get() != 0 => {
                    self.drop_spare();
                    self.heap.claim(self.owner, pages)?
                }
                claimed => claimed?,
            };
            self.count(pages as i64);
            self.heap.state(first).put(LARGE | pages << 8);
            return Ok(self.heap.start(first));
        };
        let first = match self.bin(class).get() {
            0 => self.new_slab(class, size)?,
            page => self.page(page - 1)?,
        };
        let state = self.heap.state(first);
        let mut slab = self.slab(state.get())?;
        let blocks = slab_blocks(size);
        let index = match slab.free {
            0 if slab.fresh < blocks => {
                slab.fresh += 1;
                slab.fresh - 1
            }
            0 => return Err(CORRUPT), // full, and yet in the list
            free if free <= blocks => {
                slab.free = self.slice(self.heap.start(first) + (free - 1) * size, 1)?[0].get();
                free - 1
            }
            _ => return Err(CORRUPT),
        };
        if slab.class != class || slab.free > blocks {
            return Err(CORRUPT);
        }
        slab.live += 1;
        state.put(slab.state());
        if slab.is_full(blocks) {
            self.unlink(first, class)?;
        }
        Ok(self.heap.start(first) + index * size)
    }

    /// Frees a block.
    pub(super) fn free(&self, at: u64) -> Result<()> {
        let (first, class, index) = match self.find(at)? {
            Place::Whole { first, pages } => {
                self.heap.release(first, pages);
                self.count(-(pages as i64));
                return Ok(());
            }
            Place::InSlab { first, class, index } => (first, class, index),
        };
        let size = block_words(class).ok_or(CORRUPT)?;
        let blocks = slab_blocks(size);
        let state = self.heap.state(first);
        let mut slab = self.slab(state.get())?;
        if slab.live == 0 || index >= slab.fresh {
            return Err(CORRUPT);
        }
        let was_full = slab.is_full(blocks);
        self.slice(at, 1)?[0].put(slab.free);
        (slab.free, slab.live) = (index + 1, slab.live - 1);
        state.put(slab.state());
        if was_full {
            self.link(first, class)?;
        }
        let is_last = self.bin(class).get() == first + 1 && self.heap.links(first).get() == 0;
        if slab.live == 0 && !is_last {
            self.unlink(first, class)?;
            let pages = slab_pages(size);
            self.heap.release(first, pages);
            self.count(-(pages as i64));
        }
        Ok(())
    }

    /// Where the block at `at` is.
    pub(super) fn find(&self, at: u64) -> Result<Place> {
        let mut first = self.page(self.heap.page_of(at)?)?;
        let mut state = self.heap.state(first).get();
        if state & KIND == PART {
            first = self.page(first.checked_sub(state >> 8).ok_or(CORRUPT)?)?;
            state = self.heap.state(first).get();
        }
        let inside = at.checked_sub(self.heap.start(first)).ok_or(CORRUPT)?;
        if state & KIND == LARGE {
            let pages = state >> 8;
            let fits = pages <= self.heap.ready() - first;
            let is_it = inside == 0 && pages != 0 && fits;
            return if is_it { Ok(Place::Whole { first, pages }) } else { Err(CORRUPT) };
        }
        let slab = self.slab(state)?;
        let size = block_words(slab.class).ok_or(CORRUPT)?;
        let index = inside / size;
        let is_block = inside.is_multiple_of(size) && index < slab_blocks(size);
        let fits = slab_pages(size) <= self.heap.ready() - first;
        if !is_block || !fits {
            return Err(CORRUPT);
        }
        Ok(Place::InSlab { first, class: slab.class, index })
    }

    /// A page of this container.
    fn page(&self, page: u64) -> Result<u64> {
        let is_ours = page < self.heap.ready() && self.heap.owner(page).get() == self.owner;
        if is_ours { Ok(page) } else { Err(CORRUPT) }
    }

    fn slab(&self, state: u64) -> Result<Slab> {
        let is_slab = (1..=CLASSES as u64).contains(&(state & KIND));
        if is_slab { Ok(Slab::of(state)) } else { Err(CORRUPT) }
    }

    fn bin(&self, class: usize) -> &'a Word {
        &self.words[BINS + class]
    }

    fn count(&self, pages: i64) {
        let owned = self.word(OWNED);
        owned.put(owned.get().saturating_add_signed(pages));
    }

    /// Cuts pages into blocks.
    fn new_slab(&self, class: usize, size: u64) -> Result<u64> {
        let pages = slab_pages(size);
        let first = self.take_pages(pages)?;
        for part in 1..pages {
            self.heap.state(first + part).put(PART | part << 8);
        }
        self.heap.state(first).put(Slab { class, live: 0, free: 0, fresh: 0 }.state());
        self.link(first, class)?;
        Ok(first)
    }

    fn take_pages(&self, pages: u64) -> Result<u64> {
        let (first, count) = (self.word(SPARE_FIRST), self.word(SPARE_PAGES));
        let spare = (first.get(), count.get());
        let is_ours = spare.1 != 0 && self.page(spare.0).is_ok();
        if !is_ours || spare.1 < pages || spare.1 > self.heap.ready() - spare.0 {
            if is_ours {
                self.drop_spare();
            }
            let ahead = (self.word(OWNED).get() / 4).min(AHEAD_PAGES).max(pages);
            let (taken, got) = match self.heap.claim(self.owner, ahead) {
                Ok(taken) => (taken, ahead),
                Err(_) if ahead > pages => (self.heap.claim(self.owner, pages)?, pages),
                Err(why) => return Err(why),
            };
            self.count(got as i64);
            first.put(taken);
            count.put(got);
        }
        let taken = first.get();
        first.put(taken + pages);
        count.put(count.get().saturating_sub(pages));
        Ok(taken)
    }

    /// Gives the pages back that are kept for later, of a container without blocks in use.
    pub(super) fn drop_kept(&self) -> Result<()> {
        for class in 0..CLASSES {
            let Some(first) = self.bin(class).get().checked_sub(1) else { continue };
            let slab = self.slab(self.heap.state(self.page(first)?).get())?;
            let size = block_words(class).ok_or(CORRUPT)?;
            if slab.live == 0 {
                self.unlink(first, class)?;
                self.heap.release(first, slab_pages(size).min(self.heap.ready() - first));
                self.count(-(slab_pages(size) as i64));
            }
        }
        self.drop_spare();
        Ok(())
    }

    /// Gives the spare pages back.
    fn drop_spare(&self) {
        let (first, count) = (self.word(SPARE_FIRST).get(), self.word(SPARE_PAGES).get());
        self.word(SPARE_PAGES).put(0);
        let mut given = 0;
        for page in first..first.saturating_add(count).min(self.heap.ready()) {
            if self.heap.owner(page).get() == self.owner {
                self.heap.release(page, 1);
                given += 1;
            }
        }
        self.count(-given);
    }

    /// Puts a slab at the front of the list of its class.
    pub(super) fn link(&self, first: u64, class: usize) -> Result<()> {
        let bin = self.bin(class);
        let next = bin.get();
        if next != 0 {
            let links = self.heap.links(self.page(next - 1)?);
            links.put(links.get() & 0xffff_ffff | (first + 1) << 32);
        }
        self.heap.links(first).put(next & 0xffff_ffff);
        bin.put(first + 1);
        Ok(())
    }

    fn unlink(&self, first: u64, class: usize) -> Result<()> {
        let links = self.heap.links(first).get();
        let (next, before) = (links & 0xffff_ffff, links >> 32);
        match before {
            0 => self.bin(class).put(next),
            _ => {
                let links = self.heap.links(self.page(before - 1)?);
                links.put(links.get() >> 32 << 32 | next);
            }
        }
        if next != 0 {
            let links = self.heap.links(self.page(next - 1)?);
            links.put(links.get() & 0xffff_ffff | before << 32);
        }
        self.heap.links(first).put(0);
        Ok(())
    }

    /// Forgets all that [`super::mend`] derives anew.
    pub(super) fn forget(&self) {
        for word in &self.words[BINS..] {
            word.put(0);
        }
        for index in [OWNED, SPARE_FIRST, SPARE_PAGES] {
            self.word(index).put(0);
        }
    }

    pub(super) fn note_owned(&self, pages: u64) {
        self.count(pages as i64);
    }
}
