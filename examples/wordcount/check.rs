//! The plain count that `--check` compares with: the definition of a word, written down again in
//! the shortest way, with nothing but the standard library.

use std::collections::HashMap;
use std::fs;

use shmkit::Value;

use super::counter::BINARY_BYTES;
use super::counts::Counts;
use super::files::FileList;

pub type PlainCounts = HashMap<Vec<u8>, u64>;

/// How many differences are told apart before the rest is only counted.
const SHOWN: usize = 10;

/// Counts every word of every text file, in one process and one thread.
pub fn plain_count(list: &FileList, done_bytes: &Value<u64>) -> PlainCounts {
    let mut counts = PlainCounts::new();
    for path in list.paths() {
        let Ok(mut text) = fs::read(path) else { continue };
        if text.iter().take(BINARY_BYTES).any(|&byte| byte == 0) {
            continue;
        }
        done_bytes.fetch_add(text.len() as u64);
        text.make_ascii_lowercase();
        let words = text.split(|byte| !byte.is_ascii_alphanumeric() && *byte < 0x80);
        for word in words.filter(|word| !word.is_empty()) {
            match counts.get_mut(word) {
                Some(times) => *times += 1,
                None => drop(counts.insert(word.to_vec(), 1)),
            }
        }
    }
    counts
}

/// Compares word by word. Returns how many words differ, and a line for each of the first ones.
pub fn differences(counted: &Counts, plain: &PlainCounts) -> (usize, Vec<String>) {
    let counted: HashMap<&[u8], u64> = counted.iter().collect();
    let words = plain.keys().map(Vec::as_slice);
    let only_counted = counted.keys().copied().filter(|&word| !plain.contains_key(word));
    let mut lines = Vec::new();
    let mut differing = 0;
    for word in words.chain(only_counted) {
        let here = counted.get(word).copied().unwrap_or(0);
        let there = plain.get(word).copied().unwrap_or(0);
        if here != there {
            differing += 1;
            if lines.len() < SHOWN {
                let word = String::from_utf8_lossy(word);
                lines.push(format!("{word:?}: {here} by the workers, {there} by the plain count"));
            }
        }
    }
    (differing, lines)
}

#[cfg(test)]
mod tests {
    use super::super::words::{PADDING, Words};
    use super::*;

    #[test]
    fn every_kind_of_difference_is_seen() {
        let mut counted = Counts::default();
        let text = [&b"same\0more\0more\0only\0"[..], &[0; PADDING]].concat();
        Words::new(&text, text.len() - PADDING).for_each(|word| counted.count(word));
        let plain = |words: &[(&str, u64)]| -> PlainCounts {
            words.iter().map(|&(word, times)| (word.into(), times)).collect()
        };
        let same = plain(&[("same", 1), ("more", 2), ("only", 1)]);
        assert_eq!(differences(&counted, &same), (0, vec![]));
        let (differing, lines) =
            differences(&counted, &plain(&[("same", 1), ("more", 1), ("not", 1)]));
        assert_eq!((differing, lines.len()), (3, 3));
        assert!(lines.contains(&r#""more": 2 by the workers, 1 by the plain count"#.to_string()));
    }
}
