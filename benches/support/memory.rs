//! What an object costs in memory, as measured.

use shmkit::{Error, Region, Result};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// Prints what one object takes in a region with others, its entry in the directory included, and
/// what it takes in a region of its own.
pub fn row<T>(name: &str, new: impl Fn() -> Result<T>, new_in: impl Fn(&Region) -> Result<T>) {
    let (packed, alone) = (packed_bytes(new_in), alone_bytes(new));
    println!("  {name:<22}{packed:>10} {alone:>14}");
}

/// Fills a region, and divides.
fn packed_bytes<T>(new_in: impl Fn(&Region) -> Result<T>) -> u64 {
    const ROOM: u64 = 1 << 18;
    let region = Region::new(ROOM).unwrap();
    let mut objects = Vec::new();
    loop {
        match new_in(&region) {
            Ok(object) => objects.push(object),
            Err(Error::NoSpace) => break ROOM / objects.len() as u64,
            Err(other) => panic!("{other}"),
        }
    }
}

/// What the kernel has put behind the region that is open while the object lives.
fn alone_bytes<T>(new: impl Fn() -> Result<T>) -> u64 {
    let before = behind_memfds();
    let _object = new().unwrap();
    behind_memfds() - before
}

fn behind_memfds() -> u64 {
    const BLOCK: u64 = 512;
    let open = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    let is_region = |path: &std::path::PathBuf| {
        fs::read_link(path).is_ok_and(|to| to.to_string_lossy().contains("memfd:shmkit"))
    };
    open.filter(is_region).map(|path| fs::metadata(path).unwrap().blocks() * BLOCK).sum()
}
