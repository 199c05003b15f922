//! What a word is, and how the words of a text are found.
//!
//! A word is a maximal run of ASCII letters, ASCII digits and bytes from 0x80 up (so that no UTF-8
//! character is torn), with its ASCII letters lowered. Two steps find them:
//!
//! 1. [`normalise`] rewrites the text in place: letters lowered, every byte between words made 0.
//!    It has no branch that depends on the data, so the compiler makes vector code of it.
//! 2. [`Words`] walks over the result eight bytes at a time and looks for zeros.

/// How many readable bytes [`Words`] needs behind the end of the text.
pub const PADDING: usize = 8;

/// Lowers ASCII letters and turns every byte that belongs to no word into 0.
pub fn normalise(text: &mut [u8]) {
    for byte in text {
        let lowered = *byte | 0x20;
        *byte = if lowered.is_ascii_lowercase() {
            lowered
        } else if byte.is_ascii_digit() || *byte >= 0x80 {
            *byte
        } else {
            0
        };
    }
}

/// A word in a normalised text, with what a hash table wants to know about it.
#[derive(Clone, Copy)]
pub struct Word<'t> {
    /// The whole word.
    pub bytes: &'t [u8],
    /// Its first eight bytes as a little-endian number, filled up with zeros: all of it, mostly.
    pub head: u64,
    pub hash: u32,
}

impl<'t> Word<'t> {
    /// The word that starts at `start`. The text is normalised, and eight bytes follow the word.
    fn at(text: &'t [u8], start: usize) -> Word<'t> {
        let first = eight(text, start);
        let (mut end, mut piece, mut hash) = (start, first, 0);
        while zero_bytes(piece) == 0 {
            hash = fold(hash, piece);
            end += 8;
            piece = eight(text, end);
        }
        let rest = zero_bytes(piece).trailing_zeros() / 8;
        let last = piece & ((1 << (8 * rest)) - 1);
        let head = if end == start { last } else { first };
        // The high half: multiplication mixes upwards.
        let hash = (fold(hash, last) >> 32) as u32;
        Word { bytes: &text[start..end + rest as usize], head, hash }
    }
}

/// The words of a normalised text.
pub struct Words<'t> {
    padded: &'t [u8],
    end: usize,
    next: usize,
}

impl<'t> Words<'t> {
    /// The words that start in `padded[..end]`. The last one ends at a zero, inside `padded` too,
    /// which is at least [`PADDING`] longer than `end`.
    pub fn new(padded: &'t [u8], end: usize) -> Words<'t> {
        Words { padded, end, next: 0 }
    }
}

impl<'t> Iterator for Words<'t> {
    type Item = Word<'t>;

    fn next(&mut self) -> Option<Word<'t>> {
        while self.next < self.end {
            match eight(self.padded, self.next) {
                0 => self.next += 8,
                piece => {
                    let start = self.next + piece.trailing_zeros() as usize / 8;
                    if start >= self.end {
                        break;
                    }
                    let word = Word::at(self.padded, start);
                    self.next = start + word.bytes.len();
                    return Some(word);
                }
            }
        }
        None
    }
}

/// The eight bytes from `at` on, the first in the lowest place.
fn eight(text: &[u8], at: usize) -> u64 {
    let bytes = text[at..at + 8].try_into().expect("a slice of eight bytes");
    u64::from_le_bytes(bytes)
}

/// Not 0 when a byte of `piece` is 0; the lowest set bit then lies in the first such byte.
/// Source: Mycroft (1987), as in Warren, Hacker's Delight, 6-1.
fn zero_bytes(piece: u64) -> u64 {
    piece.wrapping_sub(0x0101_0101_0101_0101) & !piece & 0x8080_8080_8080_8080
}

/// One step of a multiplicative hash, the constant being 2^64 divided by the golden ratio.
/// Source: Knuth, The Art of Computer Programming 3, 6.4; the rotation after Firefox's FxHash.
fn fold(hash: u64, piece: u64) -> u64 {
    (hash.rotate_left(5) ^ piece).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &[u8]) -> Vec<Vec<u8>> {
        let mut padded = text.to_vec();
        normalise(&mut padded);
        padded.resize(text.len() + PADDING, 0);
        Words::new(&padded, text.len()).map(|word| word.bytes.to_vec()).collect()
    }

    fn plain(text: &[u8]) -> Vec<Vec<u8>> {
        text.split(|byte| !(byte.is_ascii_alphanumeric() || *byte >= 0x80))
            .filter(|word| !word.is_empty())
            .map(|word| word.to_ascii_lowercase())
            .collect()
    }

    #[test]
    fn letters_digits_and_high_bytes_make_words() {
        assert_eq!(words(b"Don't PANIC, 42!"), [&b"don"[..], b"t", b"panic", b"42"]);
        assert_eq!(
            words("na\u{ef}ve \u{c9}t\u{e9}".as_bytes()),
            plain("na\u{ef}ve \u{c9}t\u{e9}".as_bytes())
        );
        assert_eq!(words(b"\xff\x00\x80a"), [&b"\xff"[..], b"\x80a"]);
        assert!(words(b"").is_empty() && words(b" \t\n-_@[`{").is_empty());
    }

    #[test]
    fn each_byte_is_sorted_as_the_rule_says() {
        let every: Vec<u8> = (0..=255).collect();
        assert_eq!(words(&every), plain(&every));
    }

    #[test]
    fn words_of_any_length_at_any_place_are_found() {
        for gap in 1..20 {
            for length in 1..40 {
                let text = [" ".repeat(gap), "x".repeat(length)].concat().repeat(3);
                assert_eq!(words(text.as_bytes()), plain(text.as_bytes()), "{gap} {length}");
            }
        }
    }

    #[test]
    fn the_head_and_the_hash_depend_on_the_word_alone() {
        let text = b"abc\0longerword\0\0\0abc\0longerword\0\0\0\0\0\0\0\0\0";
        let found: Vec<Word<'_>> = Words::new(text, text.len() - PADDING).collect();
        assert_eq!(found.len(), 4);
        for (one, two) in [(0, 2), (1, 3)] {
            assert_eq!(found[one].head, found[two].head);
            assert_eq!(found[one].hash, found[two].hash);
        }
        assert_eq!(found[0].head, u64::from_le_bytes(*b"abc\0\0\0\0\0"));
        assert_eq!(found[1].head, u64::from_le_bytes(*b"longerwo"));
    }
}
