//! The first bytes of a region: what it is, and where its tables are.
//!
//! ```text
//! byte   0      8       12      16     20            24            32         40          127
//!        magic  format  layout  kind   participants  region_bytes  directory  reserved .. ring
//! 128    participant table, 16 bytes a slot
//! then   first directory block (128-aligned), then the objects (each 128-aligned)
//! writer the creator alone, before the region is published; nobody later
//! ring   nobody reads it: zeros are written here to be noticed (see `region::ear`)
//! ```
//!
//! - H1. `magic` is stored last, with Release; who loads it with Acquire sees a whole header.
//! - H2. A handle copies geometry at open, checks it against the length of the file, and never
//!   reads it again: a peer cannot move our bounds.
//!
//! | edge | Release | Acquire | then visible |
//! |---|---|---|---|
//! | stamp | `Header::stamp` stores `magic` | `Geometry::read` loads `magic` | the header |

use super::directory::BLOCK_BYTES;
use super::participant::Slot;
use super::view::{Shared, View};
use crate::error::{Error, Result};
use crate::sync::{AtomicU32, AtomicU64, Ordering::*};

pub(crate) const MAGIC: u64 = u64::from_ne_bytes(*b"shmkit\0R");
/// Grows with every change of the layout of header, participants, directory or any object.
pub(crate) const FORMAT: u32 = 1;
/// Where zeros are written to be noticed.
pub(crate) const RING_AT: u64 = 127;
/// Objects and hot words start on lines of their own; two 64-byte lines, because processors
/// prefetch them in pairs.
pub(crate) const LINE_BYTES: u64 = 128;
pub(crate) const DEFAULT_PARTICIPANTS: u32 = 128;
pub(crate) const MAX_PARTICIPANTS: u32 = 4096;

/// Byte offsets of the locks on the region file, far beyond any data.
pub(crate) mod lock_byte {
    const BASE: u64 = 1 << 62;
    /// Held while the participant table or the directory is changed.
    pub(crate) const CHANGE: u64 = BASE;
    /// Held shared by every user of a named region, exclusively by who removes the name.
    pub(crate) const USERS: u64 = BASE + 1;
    /// Held while a segment that somebody else has made becomes a region.
    #[cfg(feature = "shared_memory")]
    pub(crate) const FORMAT: u64 = BASE - 1;
    /// Held by the occupant of a participant slot.
    pub(crate) fn participant(slot: u32) -> u64 {
        BASE + 2 + slot as u64
    }
}

#[repr(C, align(128))]
pub(crate) struct Header {
    magic: AtomicU64,
    format: AtomicU32,
    layout: AtomicU32,
    kind: AtomicU32,
    participants: AtomicU32,
    region_bytes: AtomicU64,
    directory: AtomicU64,
    _reserved: [AtomicU64; 11],
}

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<Header>() == 128);
    assert!(offset_of!(Header, format) == 8 && offset_of!(Header, kind) == 16);
    assert!(offset_of!(Header, region_bytes) == 24 && offset_of!(Header, directory) == 32);
};

// SAFETY: atomics only; any bytes are valid.
#[allow(unsafe_code)]
unsafe impl Shared for Header {}

/// What must agree before two processes may share words: pointer width, endianness, C library.
pub(crate) const fn layout_id() -> u32 {
    let endian = if cfg!(target_endian = "little") { 1 } else { 2 };
    let libc = if cfg!(target_env = "musl") { 2 } else { 1 };
    usize::BITS | endian << 8 | libc << 16
}

/// Where things are in a region; a private copy, checked once (H2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) kind: u32,
    pub(crate) participants: u32,
    pub(crate) region_bytes: u64,
    pub(crate) directory: u64,
}

impl Geometry {
    /// The geometry of a new region whose objects take up to `object_bytes`.
    pub(crate) fn plan(kind: u32, participants: u32, object_bytes: u64) -> Result<Geometry> {
        if participants == 0 || participants > MAX_PARTICIPANTS {
            return Err(Error::InvalidArgument("participants: 1 to 4096"));
        }
        let mut plan = Geometry { kind, participants, region_bytes: 0, directory: 0 };
        plan.directory = plan.directory_offset();
        let total = plan.objects_offset().checked_add(object_bytes);
        // Whole pages; a mapping cannot exceed half of the address space anyway.
        plan.region_bytes = total
            .and_then(|t| t.checked_next_multiple_of(4096))
            .filter(|t| *t <= isize::MAX as u64)
            .ok_or(Error::NoMemory {
                asked_bytes: object_bytes,
                available_bytes: isize::MAX as u64,
            })?;
        Ok(plan)
    }

    /// The geometry of a region that is exactly `region_bytes` large.
    #[cfg(feature = "shared_memory")]
    pub(crate) fn fill(kind: u32, participants: u32, region_bytes: u64) -> Result<Geometry> {
        let least = Geometry::plan(kind, participants, 0)?;
        if region_bytes < least.objects_offset() {
            return Err(Error::NoSpace);
        }
        Ok(Geometry { region_bytes, ..least })
    }

    fn directory_offset(&self) -> u64 {
        let table =
            size_of::<Header>() as u64 + u64::from(self.participants) * size_of::<Slot>() as u64;
        table.next_multiple_of(LINE_BYTES)
    }

    /// Where the first object starts.
    pub(crate) fn objects_offset(&self) -> u64 {
        self.directory_offset() + BLOCK_BYTES
    }

    /// Writes the header; the region is one from here on.
    pub(crate) fn stamp(&self, view: View<'_>) -> Result<()> {
        let header: &Header = view.at(0)?;
        // Relaxed: published by the Release of `magic`.
        header.format.store(FORMAT, Relaxed);
        header.layout.store(layout_id(), Relaxed);
        header.kind.store(self.kind, Relaxed);
        header.participants.store(self.participants, Relaxed);
        header.region_bytes.store(self.region_bytes, Relaxed);
        header.directory.store(self.directory, Relaxed);
        header.magic.store(MAGIC, Release); // stamp: partner is the Acquire in `read`
        Ok(())
    }

    /// Reads and checks the header of a mapping that is `view.len()` bytes of a file.
    pub(crate) fn read(view: View<'_>) -> Result<Geometry> {
        let found_bytes = view.len_bytes();
        let header: &Header = view.at(0).map_err(|_| Error::NotARegion)?;
        // stamp: Acquire, so that the fields below are those of the finished header.
        if header.magic.load(Acquire) != MAGIC {
            return Err(Error::NotARegion);
        }
        // Relaxed: ordered by the Acquire above.
        let format = header.format.load(Relaxed);
        if format != FORMAT {
            return Err(Error::FormatVersion { expected: FORMAT, found: format });
        }
        let layout = header.layout.load(Relaxed);
        if layout != layout_id() {
            return Err(Error::LayoutMismatch { expected: layout_id(), found: layout });
        }
        let read = Geometry {
            kind: header.kind.load(Relaxed),
            participants: header.participants.load(Relaxed),
            region_bytes: header.region_bytes.load(Relaxed),
            directory: header.directory.load(Relaxed),
        };
        if read.participants == 0 || read.participants > MAX_PARTICIPANTS {
            return Err(Error::Corrupt("number of participant slots"));
        }
        if read.directory != read.directory_offset() || read.region_bytes < read.objects_offset() {
            return Err(Error::Corrupt("offset of the directory"));
        }
        if read.region_bytes > found_bytes {
            return Err(Error::Truncated { expected_bytes: read.region_bytes, found_bytes });
        }
        Ok(read)
    }
}
