//! The list of files to count.
//!
//! Workers get the list as one string of bytes in shared memory. A job then only names a place in
//! it, which keeps jobs small however long the names are.

use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::remarks::{Remark, Remarks};

/// Regular files, the longest first, so that no long one is left for the end.
pub struct FileList {
    /// All names, a zero after each.
    names: Vec<u8>,
    files: Vec<Listed>,
    total_bytes: u64,
}

/// A file in the list.
#[derive(Clone, Copy)]
pub struct Listed {
    /// Where its name begins in the string of names.
    pub name_at: usize,
    pub bytes: u64,
}

/// Lists the files under `roots`. With `skip_caches`, directories that a tool can make again are
/// left out, see [`is_cache`].
pub fn list(roots: &[PathBuf], skip_caches: bool) -> (FileList, Remarks) {
    let mut walk = Walk { files: Vec::new(), directories: Vec::new(), remarks: Remarks::default() };
    for root in distinct(roots) {
        // A link named by the user is followed; links found on the way are not.
        let kind = fs::metadata(&root).map(|metadata| metadata.file_type());
        walk.visit(root, kind);
        while let Some(directory) = walk.directories.pop() {
            if !(skip_caches && is_cache(&directory)) {
                walk.read_directory(&directory);
            }
        }
    }
    (FileList::new(walk.files), walk.remarks)
}

/// The roots that do not lie below another one, each once.
fn distinct(roots: &[PathBuf]) -> Vec<PathBuf> {
    let real = |path: &PathBuf| fs::canonicalize(path).unwrap_or_else(|_| path.clone());
    let mut pairs: Vec<_> = roots.iter().map(|path| (real(path), path.clone())).collect();
    // Paths are ordered part by part: right behind a directory comes all that lies below it.
    pairs.sort();
    let mut kept: Vec<(PathBuf, PathBuf)> = Vec::new();
    for (real, path) in pairs {
        if !kept.last().is_some_and(|(above, _)| real.starts_with(above)) {
            kept.push((real, path));
        }
    }
    kept.into_iter().map(|(_, path)| path).collect()
}

/// Whether this is a git directory or bears a cache tag (<https://bford.info/cachedir/>), as the
/// one does in which cargo builds.
fn is_cache(directory: &Path) -> bool {
    directory.ends_with(".git") || directory.join("CACHEDIR.TAG").exists()
}

struct Walk {
    files: Vec<(u64, PathBuf)>,
    /// Still to be read.
    directories: Vec<PathBuf>,
    remarks: Remarks,
}

impl Walk {
    fn read_directory(&mut self, directory: &Path) {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => return self.remarks.add(Remark::of(&error), directory),
        };
        for entry in entries {
            match entry {
                Ok(entry) => self.visit(entry.path(), entry.file_type()),
                // The kernel gives no more of this directory.
                Err(error) => return self.remarks.add(Remark::of(&error), directory),
            }
        }
    }

    fn visit(&mut self, path: PathBuf, kind: io::Result<FileType>) {
        match kind {
            Ok(kind) if kind.is_dir() => self.directories.push(path),
            Ok(kind) if kind.is_file() => match fs::metadata(&path) {
                Ok(metadata) => self.files.push((metadata.len(), path)),
                Err(error) => self.remarks.add(Remark::of(&error), &path),
            },
            Ok(kind) if kind.is_symlink() => self.remarks.add(Remark::SymbolicLink, &path),
            Ok(_) => self.remarks.add(Remark::NotAFile, &path),
            Err(error) => self.remarks.add(Remark::of(&error), &path),
        }
    }
}

impl FileList {
    pub fn new(mut found: Vec<(u64, PathBuf)>) -> FileList {
        found.sort_unstable_by(|one, two| two.0.cmp(&one.0).then_with(|| one.1.cmp(&two.1)));
        let mut list = FileList { names: Vec::new(), files: Vec::new(), total_bytes: 0 };
        for (bytes, path) in found {
            list.files.push(Listed { name_at: list.names.len(), bytes });
            list.total_bytes += bytes;
            list.names.extend_from_slice(path.as_os_str().as_bytes());
            list.names.push(0);
        }
        list
    }

    /// The string of all names, for [`paths_from`].
    pub fn names(&self) -> &[u8] {
        &self.names
    }

    pub fn files(&self) -> &[Listed] {
        &self.files
    }

    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        paths_from(&self.names, 0).take(self.files.len())
    }

    pub fn path(&self, index: usize) -> &Path {
        paths_from(&self.names, self.files[index].name_at).next().expect("a name in the list")
    }

    /// The length of all files when they were listed.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }
}

/// The paths in a string of names from `name_at` on. No name of a file holds a zero.
pub fn paths_from(names: &[u8], name_at: usize) -> impl Iterator<Item = &Path> {
    names[name_at..].split(|&byte| byte == 0).map(|name| Path::new(OsStr::from_bytes(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_gives_back_the_names_it_was_made_of() {
        let names = ["a", "b/c", "b/longer name"];
        let list = FileList::new(names.iter().map(|name| (7, PathBuf::from(name))).collect());
        assert!(list.paths().eq(names.map(Path::new)));
        assert_eq!(list.path(1), Path::new("b/c"));
        assert_eq!(list.total_bytes(), 21);
    }

    #[test]
    fn roots_below_other_roots_are_left_out() {
        let roots = [".", "src", "./src/..", "examples"].map(PathBuf::from);
        assert_eq!(distinct(&roots), [PathBuf::from(".")]);
        assert_eq!(distinct(&roots[1..2]), [PathBuf::from("src")]);
    }
}
