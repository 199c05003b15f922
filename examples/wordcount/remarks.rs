//! What there is to say about files that are not plain text, and how often.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Why a file was not counted, or what is odd about one that was.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Remark {
    Binary,
    Empty,
    SymbolicLink,
    NotAFile,
    Unreadable,
    Vanished,
    GivenUp,
    NotUtf8,
    CutOff,
}

impl Remark {
    /// The remark for a file or directory that could not be opened or read.
    pub fn of(error: &io::Error) -> Remark {
        match error.kind() {
            io::ErrorKind::NotFound => Remark::Vanished,
            _ => Remark::Unreadable,
        }
    }

    pub fn text(self) -> &'static str {
        match self {
            Remark::Binary => "binary (a zero byte in the first 8 KiB)",
            Remark::Empty => "empty",
            Remark::SymbolicLink => "symbolic link, not followed",
            Remark::NotAFile => "neither file nor directory",
            Remark::Unreadable => "unreadable",
            Remark::Vanished => "vanished meanwhile",
            Remark::GivenUp => "given up: one worker after the other died",
            Remark::NotUtf8 => "not UTF-8, counted all the same",
            Remark::CutOff => "read error part way, counted up to there",
        }
    }
}

/// How many names are kept of each kind.
const NAMES: usize = 3;

/// Remarks by kind: how many, and the first few names in alphabetical order.
#[derive(Default, Clone)]
pub struct Remarks(BTreeMap<Remark, (u64, Vec<PathBuf>)>);

impl Remarks {
    pub fn add(&mut self, remark: Remark, path: &Path) {
        let (count, names) = self.0.entry(remark).or_default();
        *count += 1;
        let place = names.partition_point(|name| name.as_path() < path);
        if place < NAMES {
            names.insert(place, path.to_path_buf());
            names.truncate(NAMES);
        }
    }

    /// Adds all of `others`.
    pub fn extend(&mut self, others: Remarks) {
        for (remark, (count, names)) in others.0 {
            names.iter().for_each(|name| self.add(remark, name));
            // Those that are counted, and whose names are not kept.
            self.0.entry(remark).or_default().0 += count - names.len() as u64;
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (Remark, u64, &[PathBuf])> {
        self.0.iter().map(|(&remark, (count, names))| (remark, *count, names.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_names_are_kept_and_all_are_counted() {
        let mut remarks = Remarks::default();
        for name in ["d", "b", "e", "a", "c"] {
            remarks.add(Remark::Binary, Path::new(name));
        }
        remarks.add(Remark::Empty, Path::new("z"));
        let all: Vec<_> = remarks.iter().collect();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].0, all[0].1), (Remark::Binary, 5));
        assert_eq!(all[0].2, ["a", "b", "c"].map(PathBuf::from));
    }
}
