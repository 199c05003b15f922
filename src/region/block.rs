//! Bare memory in a region, for other languages: what Rust does with typed objects.
//!
//! A block is an entry of the directory. `len` is 0 while it is free, or else one more than the distance
//! from the start of the entry to the bytes that were asked for, which may be aligned to more; it, the key and the element of
//! a block change under the lock on `CHANGE`, and are read there too.
//!
//! Death: who dies with a block leaves it in use, for whoever knows its name or its offset. Killed half
//! way, a block is in use, or free with memory behind it that the next user gets.

use super::Region;
use super::directory::{Element, Entry, Key, RawEntry};
use super::header::LINE_BYTES;
use super::kind::Kind;
use crate::error::{Error, Result};
use crate::sync::Ordering::Relaxed;
use std::ptr::NonNull;

/// `len` of a block that nobody has.
const FREE: u64 = 0;

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
            let bytes =
                size.checked_add(align.max(LINE_BYTES) - LINE_BYTES).ok_or(Error::NoSpace)?;
            let (kind, element) = (Kind::Block as u32, Element::BYTES);
            let entry = Entry { kind, offset: 0, bytes, len: FREE, element, key: None };
            let (clear, back) = (|at| mapping.clear_from(at), |at, len| mapping.back(at, len));
            let mut start = 0;
            directory.append(entry, &[], clear, back, |entry| {
                start = entry.offset;
                mapping.back(entry.offset, bytes)
            })?;
            let mut blocks = directory.of_kind(Kind::Block as u32);
            let raw = blocks.find(|raw| raw.offset.load(Relaxed) == start);
            let skip = skip(start, align);
            raw.ok_or(Error::Corrupt("directory"))?.len.store(skip + 1, Relaxed);
            Ok(start + skip)
        })
    }

    /// Gives the block at this offset back, with its name.
    #[doc(hidden)]
    pub fn deallocate(&self, at: u64) -> Result<()> {
        let mapping = self.mapping();
        mapping.changing(|| {
            let raw = self.block(at)?;
            let entry = mapping.directory().read(raw)?;
            raw.set_key(None);
            mapping.give_back(entry.offset, entry.bytes)?;
            raw.len.store(FREE, Relaxed);
            Ok(())
        })
    }

    /// Gives the block at this offset a name, and says what its elements are.
    #[doc(hidden)]
    pub fn publish_block(&self, name: &str, at: u64, element: Element) -> Result<()> {
        let (mapping, key) = (self.mapping(), Key::of(name)?);
        mapping.changing(|| {
            if mapping.directory().find(key).is_ok() {
                return Err(Error::Exists);
            }
            let raw = self.block(at)?;
            raw.set_element(element);
            raw.set_key(Some(key));
            Ok(())
        })
    }

    /// The offset of the block of this name, which has such elements.
    #[doc(hidden)]
    pub fn find_block(&self, name: &str, element: Element) -> Result<u64> {
        let (mapping, key) = (self.mapping(), Key::of(name)?);
        mapping.changing(|| {
            let directory = mapping.directory();
            let entry = directory.entry(directory.find(key)?)?;
            if entry.kind != Kind::Block as u32 || entry.element != element {
                let (expected, found) = (Kind::name(Kind::Block as u32), Kind::name(entry.kind));
                return Err(Error::TypeMismatch { expected, found: found + " of other elements" });
            }
            Ok(entry.offset + entry.len.saturating_sub(1).min(entry.bytes))
        })
    }

    /// Where `len` bytes at an offset lie in this process.
    #[doc(hidden)]
    pub fn address_of(&self, at: u64, len: u64) -> Result<NonNull<u8>> {
        let outside = |_| Error::InvalidArgument("an offset outside of the region");
        if at < self.mapping().geometry().objects_offset() {
            return Err(Error::InvalidArgument("an offset among the tables of the region"));
        }
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

    /// The block in use that has this offset. Call under the lock on `CHANGE`.
    fn block(&self, at: u64) -> Result<&RawEntry> {
        let directory = self.mapping().directory();
        let mut blocks = directory.of_kind(Kind::Block as u32);
        let is_it = |raw: &&RawEntry| {
            let start = raw.offset.load(Relaxed);
            at >= start && raw.len.load(Relaxed).checked_sub(1) == Some(at - start)
        };
        blocks.find(is_it).ok_or(Error::InvalidArgument("an offset at which no block is"))
    }
}

/// Bytes from `offset` to the next that is aligned.
fn skip(offset: u64, align: u64) -> u64 {
    offset.next_multiple_of(align) - offset
}
