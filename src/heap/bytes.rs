//! Byte strings in words, padded with zeros.

use super::blocks::CORRUPT;
use crate::error::{Error, Result};
use crate::region::Word;

/// How many words so many bytes take.
pub(super) fn words_for(bytes: usize) -> u64 {
    bytes.div_ceil(8) as u64
}

/// The first word of `bytes`, which are at most eight.
#[inline]
pub(super) fn word_of(bytes: &[u8]) -> u64 {
    let mut padded = [0; 8];
    padded[..bytes.len()].copy_from_slice(bytes);
    u64::from_ne_bytes(padded)
}

/// Writes `bytes` to `words`, of which there must be enough.
#[inline]
pub(super) fn write(words: &[Word], bytes: &[u8]) {
    let whole = bytes.chunks_exact(8);
    let rest = whole.remainder();
    let mut words = words.iter();
    for (chunk, word) in whole.zip(words.by_ref()) {
        word.put(word_of(chunk));
    }
    if !rest.is_empty()
        && let Some(word) = words.next()
    {
        word.put(word_of(rest));
    }
}

/// Appends the first `len` bytes of `words` to `target`.
#[inline]
pub(super) fn append(words: &[Word], len: usize, target: &mut Vec<u8>) -> Result<()> {
    let words = words.get(..len.div_ceil(8)).ok_or(CORRUPT)?;
    // More than memory could not be asked for by what is true.
    target.try_reserve(words.len() * 8).map_err(|_| no_memory(len))?;
    let end = target.len() + len;
    for word in words {
        target.extend_from_slice(&word.get().to_ne_bytes());
    }
    target.truncate(end);
    Ok(())
}

/// Whether the first bytes of `words` are `bytes`.
#[inline]
pub(super) fn are(words: &[Word], bytes: &[u8]) -> bool {
    words.len() >= bytes.len().div_ceil(8)
        && bytes.chunks(8).zip(words).all(|(chunk, word)| word.get() == word_of(chunk))
}

fn no_memory(len: usize) -> Error {
    Error::NoMemory { asked_bytes: len as u64, available_bytes: 0 }
}

/// Many byte strings, one after the other.
#[derive(Default)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Strings {
    pub(super) fn push(&mut self, words: &[Word], len: usize) -> Result<()> {
        append(words, len, &mut self.bytes)?;
        self.close();
        Ok(())
    }

    pub(super) fn push_word(&mut self, word: u64, len: usize) {
        self.bytes.extend_from_slice(&word.to_ne_bytes()[..len]);
        self.close();
    }

    /// Appends the string that `write` appends to the bytes.
    pub(crate) fn push_by<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        write(&mut self.bytes)?;
        self.close();
        Ok(())
    }

    fn close(&mut self) {
        self.ends.push(self.bytes.len());
    }

    pub(super) fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let start = |index: usize| if index == 0 { 0 } else { self.ends[index - 1] };
        self.ends.iter().enumerate().map(move |(index, end)| &self.bytes[start(index)..*end])
    }
}
