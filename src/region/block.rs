//! Bare memory in a region, for other languages: what Rust does with typed objects.
//!
//! A block is an entry of the directory. `len` is 0 while it is free, or else one more than the distance
//! from the start of the entry to the bytes that were asked for, which may be aligned to more. The name of
//! a block is an object under that key, of which `len` is the offset of the bytes. Both change under the
//! lock on `CHANGE`, and are read there too.
//!
//! Death: who dies with a block leaves it in use, for whoever knows its name or its offset. Killed half
//! way, a block is in use, or free with memory behind it that the next user gets.

use super::Region;
use super::directory::{Directory, Element, Entry, RawEntry};
use super::header::LINE_BYTES;
use super::kind::Kind;
use crate::error::{Error, Result};
use crate::sync::Ordering::Relaxed;
use std::ptr::NonNull;

/// `len` of a block that nobody has.
const FREE: u64 = 0;
/// Offset of a name that leads nowhere.
const NOWHERE: u64 = 0;

/// The largest alignment of a block.
const MAX_ALIGN: u64 = 4096;

impl Region {
    /// Takes `size` zeroed bytes and returns their offset.
    #[doc(hidden)]
    pub fn allocate(&self, size: u64, align: u64) -> Result<u64> {
        if size == 0 || !align.is_power_of_two() || align > MAX_ALIGN {
            return Err(Error::InvalidArgument("size or alignment of a block"));
        }
        let mapping = self.mapping();
        mapping.changing(|| {
            let directory = mapping.directory();
            for raw in directory.of_kind(Kind::Block as u32) {
                let entry = directory.read(raw)?;
                let skip = skip(entry.offset, align);
                if entry.len == FREE && skip <= entry.bytes && size <= entry.bytes - skip {
                    mapping.back(entry.offset, entry.bytes)?;
                    raw.len.store(skip + 1, Relaxed);
                    return Ok(entry.offset + skip);
                }
            }
            let bytes = size.checked_add(align.max(LINE_BYTES) - LINE_BYTES);
            let bytes = bytes.ok_or(Error::NoSpace)?;
            let raw = self.append(Kind::Block, bytes, FREE, Element::BYTES, "")?;
            let start = raw.offset.load(Relaxed);
            let skip = skip(start, align);
            raw.len.store(skip + 1, Relaxed);
            Ok(start + skip)
        })
    }

    /// Gives the block at this offset back, with its name.
    #[doc(hidden)]
    pub fn deallocate(&self, at: u64) -> Result<()> {
        let mapping = self.mapping();
        mapping.changing(|| {
            let directory = mapping.directory();
            let raw = block(&directory, at)?;
            let entry = directory.read(raw)?;
            for name in directory.of_kind(Kind::BlockName as u32) {
                if name.len.load(Relaxed) == at {
                    name.len.store(NOWHERE, Relaxed);
                }
            }
            mapping.give_back(entry.offset, entry.bytes)?;
            raw.len.store(FREE, Relaxed);
            Ok(())
        })
    }

    /// Gives the block at this offset a name, and says what its elements are.
    #[doc(hidden)]
    pub fn publish_block(&self, name: &str, at: u64, element: Element) -> Result<()> {
        if name.is_empty() || name.len() > super::directory::KEY_BYTES_MAX {
            return Err(Error::InvalidName(name.to_owned()));
        }
        let mapping = self.mapping();
        mapping.changing(|| {
            let directory = mapping.directory();
            block(&directory, at)?;
            let Some(index) = directory.find(name) else {
                return self.append(Kind::BlockName, 8, at, element, name).map(drop);
            };
            let entry = directory.entry(index)?;
            if entry.kind != Kind::BlockName as u32 || entry.len != NOWHERE {
                return Err(Error::Exists);
            }
            let mut names = directory.of_kind(Kind::BlockName as u32);
            let raw = names.find(|raw| raw.offset.load(Relaxed) == entry.offset);
            let raw = raw.ok_or(Error::Corrupt("directory"))?;
            raw.set_element(element);
            raw.len.store(at, Relaxed);
            Ok(())
        })
    }

    /// The offset of the block of this name, which has such elements.
    #[doc(hidden)]
    pub fn find_block(&self, name: &str, element: Element) -> Result<u64> {
        let mapping = self.mapping();
        mapping.changing(|| {
            let directory = mapping.directory();
            let entry = directory.entry(directory.find(name).ok_or(Error::NotFound)?)?;
            let is_name = entry.kind == Kind::BlockName as u32;
            if is_name && entry.len == NOWHERE {
                return Err(Error::NotFound);
            }
            if !is_name || entry.element != element {
                let (expected, found) = (Kind::name(Kind::Block as u32), Kind::name(entry.kind));
                return Err(Error::TypeMismatch { expected, found: found + " of other elements" });
            }
            Ok(entry.len)
        })
    }

    /// Where `len` bytes at an offset lie in this process.
    #[doc(hidden)]
    pub fn address_of(&self, at: u64, len: u64) -> Result<NonNull<u8>> {
        if at < self.mapping().geometry().objects_offset() {
            return Err(Error::InvalidArgument("an offset among the tables of the region"));
        }
        let outside = |_| Error::InvalidArgument("an offset outside of the region");
        self.mapping().view().span(at, len, 1).map_err(outside)
    }

    /// The offset of an address in the region.
    #[doc(hidden)]
    pub fn offset_of(&self, place: *const u8) -> Result<u64> {
        let view = self.mapping().view();
        let offset = (place.addr() as u64).wrapping_sub(view.base().addr().get() as u64);
        match offset < view.len_bytes() {
            true => Ok(offset),
            false => Err(Error::InvalidArgument("an address outside of the region")),
        }
    }

    /// Appends an entry with memory behind it. Call under the lock on `CHANGE`.
    fn append(
        &self,
        kind: Kind,
        bytes: u64,
        len: u64,
        element: Element,
        key: &str,
    ) -> Result<&RawEntry> {
        let (mapping, kind) = (self.mapping(), kind as u32);
        let (clear, back) = (|at| mapping.clear_from(at), |at, len| mapping.back(at, len));
        let entry = Entry { kind, offset: 0, bytes, len, element };
        let mut start = 0;
        mapping.directory().append(entry, key, &[], clear, back, |entry| {
            start = entry.offset;
            mapping.back(entry.offset, bytes)
        })?;
        let mut listed = mapping.directory().of_kind(kind);
        let raw = listed.find(|raw| raw.offset.load(Relaxed) == start);
        raw.ok_or(Error::Corrupt("directory"))
    }
}

/// The block in use that has this offset. Call under the lock on `CHANGE`.
fn block<'a>(directory: &Directory<'a>, at: u64) -> Result<&'a RawEntry> {
    let mut blocks = directory.of_kind(Kind::Block as u32);
    let is_it = |raw: &&RawEntry| {
        let start = raw.offset.load(Relaxed);
        at >= start && raw.len.load(Relaxed).checked_sub(1) == Some(at - start)
    };
    blocks.find(is_it).ok_or(Error::InvalidArgument("an offset at which no block is"))
}

/// Bytes from `offset` to the next that is aligned.
fn skip(offset: u64, align: u64) -> u64 {
    offset.next_multiple_of(align) - offset
}
