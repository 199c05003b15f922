//! The sizes of blocks: four to each doubling, so that at most a fifth of a block is spare.

/// Words of a page.
pub(super) const PAGE_WORDS: u64 = 512;
/// Sizes there are.
pub(super) const CLASSES: usize = 39;
/// The largest of them; what is larger takes whole pages.
const LARGEST_WORDS: u64 = 2048;

/// The class of blocks for so many words.
#[inline]
pub(super) fn class_of(words: u64) -> Option<usize> {
    match words {
        0..=8 => Some(words.max(2) as usize - 2),
        9..=LARGEST_WORDS => {
            let doublings = ((words - 1) / 8).ilog2();
            let (base, step) = (8u64 << doublings, 2u64 << doublings);
            Some(7 + 4 * doublings as usize + (words - base).div_ceil(step) as usize - 1)
        }
        _ => None,
    }
}

/// The words of a block of this class, if there is such a class.
#[inline]
pub(super) fn block_words(class: usize) -> Option<u64> {
    match class {
        0..7 => Some(class as u64 + 2),
        7..CLASSES => Some((2 << ((class - 7) / 4)) * (5 + (class as u64 - 7) % 4)),
        _ => None,
    }
}

/// The pages that are cut into blocks of so many words together.
#[inline]
pub(super) fn slab_pages(block_words: u64) -> u64 {
    match block_words {
        0..=64 => 1,
        65..=256 => (block_words * 8).div_ceil(PAGE_WORDS),
        _ => (block_words * 4).div_ceil(PAGE_WORDS),
    }
}

/// How many blocks of so many words a slab has.
#[inline]
pub(super) fn slab_blocks(block_words: u64) -> u64 {
    slab_pages(block_words) * PAGE_WORDS / block_words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_the_smallest_class_that_holds_it() {
        for words in 0..=LARGEST_WORDS {
            let class = class_of(words).unwrap();
            let size = block_words(class).unwrap();
            assert!(size >= words && size * 4 <= (words.max(2) * 5).max(size * 4 - 4), "{words}");
            assert!(class == 0 || block_words(class - 1).unwrap() < words, "{words}");
        }
        assert_eq!(class_of(LARGEST_WORDS), Some(CLASSES - 1));
        assert_eq!(class_of(LARGEST_WORDS + 1), None);
        assert_eq!(block_words(CLASSES), None);
    }

    #[test]
    fn a_slab_has_blocks_that_can_be_counted_in_its_word() {
        for class in 0..CLASSES {
            assert!((4..=256).contains(&slab_blocks(block_words(class).unwrap())), "{class}");
        }
    }
}
