//! Numbers for words: an open-addressing hash table over one long string of all words.
//!
//! - I1. Word `n` is `letters[entries[n].start..entries[n + 1].start]` (or to the end).
//! - I2. Each word is in exactly one slot, and no empty slot lies between the place its hash names
//!   and that slot. Words are never removed.
//! - I3. At least half of the slots are empty, so that every search ends.

use super::words::Word;

/// Every word seen so far. The first one has number 0, the next new one 1, and so on.
pub struct Vocabulary {
    /// All words, one behind the other.
    letters: Vec<u8>,
    entries: Vec<Entry>,
    /// As many as a power of two.
    slots: Vec<Slot>,
}

struct Entry {
    start: usize,
    len: usize,
    /// The first eight bytes, to compare most words without a look at their letters.
    head: u64,
}

#[derive(Clone, Copy)]
struct Slot {
    hash: u32,
    /// The word's number, or [`EMPTY`].
    number: u32,
}

const EMPTY: u32 = u32::MAX;
const FIRST_SLOTS: usize = 1 << 10;

impl Default for Vocabulary {
    fn default() -> Vocabulary {
        Vocabulary { letters: Vec::new(), entries: Vec::new(), slots: empty_slots(FIRST_SLOTS) }
    }
}

impl Vocabulary {
    /// The number of `word`, which is a new one if the word is new.
    #[inline]
    pub fn number(&mut self, word: Word<'_>) -> u32 {
        let mask = self.slots.len() - 1;
        let mut place = word.hash as usize & mask;
        loop {
            let slot = self.slots[place];
            if slot.number == EMPTY {
                return self.add(word, place);
            }
            if slot.hash == word.hash && self.is(slot.number, word) {
                return slot.number;
            }
            place = (place + 1) & mask;
        }
    }

    /// The word with this number.
    pub fn word(&self, number: u32) -> &[u8] {
        let Entry { start, len, .. } = self.entries[number as usize];
        &self.letters[start..start + len]
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    fn is(&self, number: u32, word: Word<'_>) -> bool {
        let entry = &self.entries[number as usize];
        entry.head == word.head
            && entry.len == word.bytes.len()
            && (entry.len <= 8 || self.word(number) == word.bytes)
    }

    #[cold]
    fn add(&mut self, word: Word<'_>, place: usize) -> u32 {
        let number = self.entries.len() as u32;
        assert!(number < EMPTY, "more than four thousand million different words");
        let entry = Entry { start: self.letters.len(), len: word.bytes.len(), head: word.head };
        self.letters.extend_from_slice(word.bytes);
        self.entries.push(entry);
        self.slots[place] = Slot { hash: word.hash, number };
        if self.entries.len() > self.slots.len() / 2 {
            self.grow();
        }
        number
    }

    fn grow(&mut self) {
        let doubled = empty_slots(self.slots.len() * 2);
        let mask = doubled.len() - 1;
        let old = std::mem::replace(&mut self.slots, doubled);
        for slot in old.into_iter().filter(|slot| slot.number != EMPTY) {
            let mut place = slot.hash as usize & mask;
            while self.slots[place].number != EMPTY {
                place = (place + 1) & mask;
            }
            self.slots[place] = slot;
        }
    }
}

fn empty_slots(count: usize) -> Vec<Slot> {
    vec![Slot { hash: 0, number: EMPTY }; count]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(bytes: &[u8], hash: u32) -> Word<'_> {
        let mut head = [0; 8];
        let short = bytes.len().min(8);
        head[..short].copy_from_slice(&bytes[..short]);
        Word { bytes, head: u64::from_le_bytes(head), hash }
    }

    #[test]
    fn words_with_the_same_hash_stay_apart() {
        let mut words = Vocabulary::default();
        for hash in [0, 7, u32::MAX] {
            let first = words.len() as u32;
            let same_head = [&b"same head one"[..], b"same head two", b"same hea", b"s"];
            for (number, bytes) in (first..).zip(same_head) {
                assert_eq!(words.number(word(bytes, hash)), number);
            }
            for (number, bytes) in (first..).zip(same_head) {
                assert_eq!(words.number(word(bytes, hash)), number);
                assert_eq!(words.word(number), bytes);
            }
        }
    }

    #[test]
    fn numbers_stay_when_the_table_grows() {
        let mut words = Vocabulary::default();
        let name = |n: u32| format!("word number {n}").into_bytes();
        for n in 0..10 * FIRST_SLOTS as u32 {
            assert_eq!(words.number(word(&name(n), n / 3)), n);
        }
        for n in 0..10 * FIRST_SLOTS as u32 {
            assert_eq!(words.number(word(&name(n), n / 3)), n);
            assert_eq!(words.word(n), name(n));
        }
    }
}
