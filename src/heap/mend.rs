//! What a dead writer left, put in order: everything that can be derived from what can be reached.
//!
//! First all blocks that can be reached are marked, in memory of this process. Then every page of the
//! container is looked at: a slab gets its free list from the marks, and what has no mark goes back to
//! the heap. Nothing that can be reached is written, so this may be cut off and done again.

use super::blocks::{Blocks, CORRUPT, Place, Slab};
use super::classes::{block_words, slab_blocks, slab_pages};
use crate::error::Result;
use std::collections::BTreeMap;

/// The blocks that can be reached.
#[derive(Default)]
pub(crate) struct Marks {
    /// By the first page of a slab: the class, and a bit for each block.
    slabs: BTreeMap<u64, (usize, [u64; 4])>,
    /// By the first page of a block of whole pages: their number.
    whole: BTreeMap<u64, u64>,
}

impl Marks {
    /// Marks the block at `at`, which has to have so many words.
    pub(super) fn mark(&mut self, blocks: &Blocks<'_>, at: u64, words: u64) -> Result<()> {
        let (room, is_new) = match blocks.find(at)? {
            Place::Whole { first, pages } => {
                (pages * super::classes::PAGE_WORDS, self.whole.insert(first, pages).is_none())
            }
            Place::InSlab { first, class, index } => {
                let (_, bits) = self.slabs.entry(first).or_insert((class, [0; 4]));
                let word = bits.get_mut(index as usize / 64).ok_or(CORRUPT)?;
                let bit = 1 << (index % 64);
                let is_new = *word & bit == 0;
                *word |= bit;
                (block_words(class).ok_or(CORRUPT)?, is_new)
            }
        };
        // Two ways to one block cannot be.
        if is_new && words <= room { Ok(()) } else { Err(CORRUPT) }
    }

    /// Derives free lists and counts of the container anew, and gives back what is not marked.
    pub(super) fn apply(&self, blocks: &Blocks<'_>) -> Result<()> {
        blocks.forget();
        let heap = blocks.heap;
        let (mut page, ready) = (0, heap.ready());
        let mut stray: Option<(u64, u64)> = None;
        while page < ready {
            let kept = match (self.slabs.get(&page), self.whole.get(&page)) {
                (Some((class, bits)), _) => Some(self.rebuild(blocks, page, *class, bits)?),
                (_, Some(pages)) => Some(*pages),
                _ => None,
            };
            let is_ours = heap.owner(page).get() == blocks.owner;
            match kept {
                None if is_ours => {
                    let run = stray.get_or_insert((page, 0));
                    run.1 += 1;
                    page += 1;
                    continue;
                }
                None => page += 1,
                Some(pages) => {
                    blocks.note_owned(pages);
                    page += pages;
                }
            }
            if let Some((first, pages)) = stray.take() {
                heap.release(first, pages);
            }
        }
        if let Some((first, pages)) = stray {
            heap.release(first, pages);
        }
        Ok(())
    }

    /// The free list of one slab; returns its pages.
    fn rebuild(
        &self,
        blocks: &Blocks<'_>,
        first: u64,
        class: usize,
        bits: &[u64; 4],
    ) -> Result<u64> {
        let size = block_words(class).ok_or(CORRUPT)?;
        let start = blocks.heap.start(first);
        let count = slab_blocks(size);
        let is_live = |index: u64| bits[index as usize / 64] >> (index % 64) & 1 != 0;
        let last = bits.iter().rposition(|word| *word != 0);
        let fresh = last.map_or(0, |at| at as u64 * 64 + 64 - u64::from(bits[at].leading_zeros()));
        let mut free = 0;
        for index in (0..fresh).rev().filter(|index| !is_live(*index)) {
            blocks.slice(start + index * size, 1)?[0].put(free);
            free = index + 1;
        }
        let live = bits.iter().map(|word| u64::from(word.count_ones())).sum();
        blocks.heap.state(first).put(Slab { class, live, free, fresh }.state());
        if live < count {
            blocks.link(first, class)?;
        }
        Ok(slab_pages(size))
    }
}
