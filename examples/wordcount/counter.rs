//! Counting one file: the work that the workers share, and that one process does for comparison.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use shmkit::Value;

use super::counts::Counts;
use super::remarks::Remark;
use super::words::{PADDING, Words, normalise};

/// Text is read in pieces of this many bytes, so that a piece stays in the processor's cache.
pub const PIECE_BYTES: usize = 256 << 10;

/// A file with a zero byte among the first so many bytes is not text.
pub const BINARY_BYTES: usize = 8 << 10;

/// Counts file after file. Needs memory for the different words and for the longest one, not for
/// the text.
pub struct Counter {
    pub counts: Counts,
    /// Room for one piece, [`PADDING`] included. It grows only for a word that is longer.
    buffer: Vec<u8>,
    /// Bytes read, or found to be no text, by all who count.
    done_bytes: Value<u64>,
}

/// What became of a file.
pub struct Outcome {
    /// The length of the text that was counted.
    pub bytes: u64,
    pub remark: Option<Remark>,
}

impl Counter {
    pub fn new(done_bytes: Value<u64>) -> Counter {
        Counter { counts: Counts::default(), buffer: vec![0; PIECE_BYTES], done_bytes }
    }

    /// Adds the words of the file at `path`. Never waits, whatever the path names by now.
    pub fn count_file(&mut self, path: &Path) -> Outcome {
        match open(path) {
            Ok((file, bytes)) => {
                let outcome = self.count_text(file);
                if outcome.remark == Some(Remark::Binary) {
                    self.done_bytes.fetch_add(bytes);
                }
                outcome
            }
            Err(remark) => Outcome { bytes: 0, remark: Some(remark) },
        }
    }

    fn count_text(&mut self, mut file: impl Read) -> Outcome {
        let mut bytes = 0;
        let mut remark = None;
        // The start of a word that goes on in the next piece lies in `buffer[..carried]`.
        let mut carried = 0;
        loop {
            let room = self.buffer.len() - PADDING;
            let fresh = match fill(&mut file, &mut self.buffer[carried..room]) {
                Ok(fresh) => fresh,
                Err(error) if bytes == 0 => {
                    return Outcome { bytes, remark: Some(Remark::of(&error)) };
                }
                Err(_) => {
                    remark = Some(Remark::CutOff);
                    0
                }
            };
            let text = &mut self.buffer[carried..carried + fresh];
            if bytes == 0 && is_binary(text) {
                return Outcome { bytes, remark: Some(Remark::Binary) };
            }
            bytes += fresh as u64;
            self.done_bytes.fetch_add(fresh as u64);
            normalise(text);

            let filled = carried + fresh;
            let is_last = filled < room;
            let end = if is_last { filled } else { last_gap(&self.buffer[..filled]) };
            if is_last {
                self.buffer[filled..filled + PADDING].fill(0);
            }
            Words::new(&self.buffer, end).for_each(|word| self.counts.count(word));
            // A gap between words is ASCII, so `end` never tears a character.
            if remark.is_none() && std::str::from_utf8(&self.buffer[..end]).is_err() {
                remark = Some(Remark::NotUtf8);
            }
            if is_last {
                break;
            }
            self.buffer.copy_within(end..filled, 0);
            carried = filled - end;
            if end == 0 {
                self.buffer.resize(2 * self.buffer.len(), 0);
            }
        }
        if bytes == 0 {
            remark = Some(Remark::Empty);
        }
        Outcome { bytes, remark }
    }
}

/// Reads what [`Counter::count_file`] would read, and throws it away. Returns how far that came.
/// Errors will show again when the file is counted.
pub fn warm_file(path: &Path, buffer: &mut [u8]) -> u64 {
    let Ok((mut file, length)) = open(path) else { return 0 };
    let mut bytes = 0;
    loop {
        match fill(&mut file, buffer) {
            Ok(0) | Err(_) => return bytes,
            Ok(fresh) if bytes == 0 && is_binary(&buffer[..fresh]) => return length,
            Ok(fresh) => bytes += fresh as u64,
        }
    }
}

/// Whether a file with this beginning is not text.
fn is_binary(beginning: &[u8]) -> bool {
    beginning[..beginning.len().min(BINARY_BYTES)].contains(&0)
}

/// Opens a regular file and tells its length. Without `O_NONBLOCK` a FIFO that took the file's place would block.
fn open(path: &Path) -> Result<(File, u64), Remark> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK);
    let file = options.open(path).map_err(|error| Remark::of(&error))?;
    match file.metadata() {
        Ok(metadata) if metadata.is_file() => Ok((file, metadata.len())),
        Ok(_) => Err(Remark::NotAFile),
        Err(error) => Err(Remark::of(&error)),
    }
}

/// Reads until `room` is full or the file ends.
fn fill(file: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < room.len() {
        match file.read(&mut room[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Where the last gap between words begins in a normalised text; 0 when there is none.
fn last_gap(text: &[u8]) -> usize {
    text.iter().rposition(|&byte| byte == 0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outcome and all words, for a text that comes in reads of at most `step` bytes.
    fn count(text: &[u8], step: usize) -> (Outcome, Vec<(Vec<u8>, u64)>) {
        struct Steps<'t>(&'t [u8], usize);
        impl Read for Steps<'_> {
            fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
                let most = room.len().min(self.1);
                self.0.read(&mut room[..most])
            }
        }
        let mut counter = Counter::new(Value::new(0).unwrap());
        let outcome = counter.count_text(Steps(text, step));
        let words = counter.counts.top(usize::MAX);
        (outcome, words.into_iter().map(|(word, times)| (word.to_vec(), times)).collect())
    }

    #[test]
    fn words_across_pieces_are_one_word() {
        let room = PIECE_BYTES - PADDING;
        for before in [room - 5, room - 1, room, 2 * room - 3] {
            let text = [&vec![b' '; before][..], b"together apart"].concat();
            let (outcome, words) = count(&text, 9_999);
            assert_eq!(outcome.bytes, text.len() as u64);
            assert_eq!(words, [(b"apart".to_vec(), 1), (b"together".to_vec(), 1)]);
        }
    }

    #[test]
    fn a_word_may_be_longer_than_a_piece() {
        let long = vec![b'x'; 5 * PIECE_BYTES + 3];
        let text = [b"a ", &long[..], b" a ", &long[..]].concat();
        assert_eq!(count(&text, usize::MAX).1, [(b"a".to_vec(), 2), (long, 2)]);
    }

    #[test]
    fn remarks_name_what_is_odd() {
        let remark = |text: &[u8]| count(text, usize::MAX).0.remark;
        assert_eq!(remark(b"text"), None);
        assert_eq!(remark(b""), Some(Remark::Empty));
        assert_eq!(remark(b"bin\0ary"), Some(Remark::Binary));
        assert_eq!(remark(b"caf\xe9 au lait"), Some(Remark::NotUtf8));
        let zero_later = [&vec![b' '; BINARY_BYTES][..], b"a\0b"].concat();
        assert_eq!(remark(&zero_later), None);
    }

    #[test]
    fn characters_are_whole_wherever_a_piece_ends() {
        for shift in 0..3 {
            let text = " ".repeat(shift) + &"\u{20ac}".repeat(PIECE_BYTES);
            let (outcome, words) = count(text.as_bytes(), usize::MAX);
            assert_eq!(outcome.remark, None);
            assert_eq!(words.len(), 1);
        }
    }
}
