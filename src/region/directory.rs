//! What is in a region: one entry an object, append-only.
//!
//! ```text
//! block   entry 0 | entry 1 | entry 2 | link        128 bytes each; a block has 4 entries
//! entry   0      4     6        8       16     24   32         36          40        48
//!         state  kind  key_len  offset  bytes  len  elem_size  elem_align  elem_tag  owners[5]
//! owners  first_words  stride_bytes  count  form     16 bytes each
//! ```
//!
//! An object that was made under a key has its bytes right before it, on lines of their own, padded
//! with zeros. All other objects have no key: length 0.
//!
//! - D1. Entries are appended under the lock on `CHANGE`; `state` goes from EMPTY to READY once, by
//!   one Release store, when the object is complete. A killed creator leaves an EMPTY entry that
//!   has an offset; the next one gives what lies behind it back to the kernel and starts afresh.
//! - D2. READY entries lie in the order of their offsets and do not overlap. The end of the last
//!   one is the start of the free space, so there is no allocation word that a kill could tear. (The
//!   key of an object lies in what is free before it.)
//! - D3. The last entry of a block is EMPTY or a link to the next block, which lies behind it.
//!
//! - D4. No two READY entries have the same key: who makes an object under a key looks for it under
//!   the lock. So a key comes with its object, by one store, or not at all.
//!
//! | edge | Release | Acquire | then visible |
//! |---|---|---|---|
//! | list | `append` stores `state` | `entries` loads `state` | entry and object |
//!
//! An entry also says where the object keeps the ids of participants, so that a slot can be
//! swept for its next occupant by code that knows nothing of locks and rings.

use super::header::{Geometry, LINE_BYTES};
use super::id::{ID_MASK, NUMBER_BITS, NUMBER_DEAD, ParticipantId};
use super::view::{Shared, View, Word};
use crate::error::{Error, Result};
use crate::sync::{AtomicU32, AtomicU64, Ordering::*};

const ENTRIES: usize = 4;
pub(crate) const BLOCK_BYTES: u64 = size_of::<Block>() as u64;
const OWNER_TABLES: usize = 5;

/// `state` of an entry; anything else is EMPTY.
const READY: u32 = 1;
/// Kind of the entry that holds the next block.
const KIND_LINK: u32 = KIND_MASK;
/// The part of a word that says the kind.
const KIND_MASK: u32 = 0xffff;

/// How an owner field lies in its word.
const FORM_ID: u32 = 1; // low 30 bits of a u32: a whole id
const FORM_NUMBER: u32 = 2; // 13 bits of a u64, from bit `form >> 8`: a number
const FORM_BACKED_NUMBER: u32 = 3; // the same, where not all words need have memory

#[repr(C)]
struct RawOwners {
    first_words: AtomicU32,
    stride_bytes: AtomicU32,
    count: AtomicU32,
    form: AtomicU32,
}

#[repr(C)]
pub(super) struct RawEntry {
    state: AtomicU32,
    /// The kind, 16 bits, and the length of the key in bytes.
    kind_and_key: AtomicU32,
    pub(super) offset: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) len: AtomicU64,
    elem_size: AtomicU32,
    elem_align: AtomicU32,
    elem_tag: AtomicU64,
    owners: [RawOwners; OWNER_TABLES],
}

impl RawEntry {
    /// Relaxed: read under the lock on `CHANGE`.
    pub(super) fn set_element(&self, element: Element) {
        self.elem_size.store(element.size, Relaxed);
        self.elem_align.store(element.align, Relaxed);
        self.elem_tag.store(element.tag, Relaxed);
    }

    /// Relaxed, both: ordered by the Acquire of `state` (list).
    fn kind(&self) -> u32 {
        self.kind_and_key.load(Relaxed) & KIND_MASK
    }

    fn key_len(&self) -> usize {
        (self.kind_and_key.load(Relaxed) >> 16) as usize
    }
}

const _: () = {
    assert!(KEY_BYTES_MAX <= KIND_MASK as usize);
    assert!(size_of::<RawEntry>() == 128);
    assert!(std::mem::offset_of!(RawEntry, owners) == 48);
};

#[repr(C)]
struct Block {
    entries: [RawEntry; ENTRIES],
}

// SAFETY: atomics only; any bytes are valid.
#[allow(unsafe_code)]
unsafe impl Shared for Block {}

/// In place of the type of messages: their user knows what they are.
pub enum Bytes {}

/// The type of an object's elements, as far as it can be told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    pub(crate) size: u32,
    pub(crate) align: u32,
    /// A hash of the type's name, so that equal sizes do not pass for equal types.
    pub(crate) tag: u64,
}

impl Element {
    /// The fingerprint of `T`.
    pub(crate) fn of<T>() -> Element {
        Element {
            size: size_of::<T>() as u32,
            align: align_of::<T>() as u32,
            tag: fnv1a(std::any::type_name::<T>().as_bytes()),
        }
    }

    /// Bytes of no particular type.
    pub(crate) const BYTES: Element = Element { size: 1, align: 1, tag: 0 };

    /// Messages of which nobody has said what they are: they pass for messages of any type.
    pub const MESSAGES: Element = Element { size: 0, align: 1, tag: 0 };

    /// For handles that leave it to their user what the elements are.
    pub(crate) const ANY: Element = Element { size: u32::MAX, align: 0, tag: 0 };

    /// The fingerprint of the type of this name, as `std::any::type_name` gives it. `None` if no type
    /// can have that size or alignment.
    pub fn named(size: usize, align: usize, name: &str) -> Option<Element> {
        let fits = align.is_power_of_two() && size.is_multiple_of(align);
        let size = u32::try_from(size).ok().filter(|_| fits)?;
        Some(Element { size, align: u32::try_from(align).ok()?, tag: fnv1a(name.as_bytes()) })
    }

    /// Bytes of an element.
    pub fn size(self) -> usize {
        self.size as usize
    }

    /// How an element is aligned.
    pub fn align(self) -> usize {
        self.align as usize
    }

    /// Whether elements of this type may be taken for those of `other`.
    pub(crate) fn passes_for(self, other: Element) -> bool {
        let are_messages = |e: Element| e.size == 0 && e.align == 1;
        let unsaid = self == Element::MESSAGES || other == Element::MESSAGES;
        other == Element::ANY
            || self == other
            || unsaid && are_messages(self) && are_messages(other)
    }

    /// Typed messages whose encoding `T` decides.
    pub(crate) fn message<T>() -> Element {
        if std::any::type_name::<T>() == std::any::type_name::<Bytes>() {
            return Element::MESSAGES;
        }
        Element { size: 0, align: 1, tag: fnv1a(std::any::type_name::<T>().as_bytes()) }
    }
}

/// Fowler, Noll, Vo: FNV-1a, 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The longest key of an object.
pub(crate) const KEY_BYTES_MAX: usize = 1024;

/// The room of a key: whole lines.
fn key_span(len: usize) -> u64 {
    (len as u64).next_multiple_of(LINE_BYTES)
}

/// Where an object keeps participant ids: `count` words from `first_bytes` on (relative to the
/// object), `stride_bytes` apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnerWords {
    pub(crate) first_bytes: u64,
    pub(crate) stride_bytes: u32,
    pub(crate) count: u32,
    pub(crate) field: OwnerField,
}

/// How an owner is written in its word.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OwnerField {
    /// The low 30 bits of a `u32` are a whole id; the bits above are flags.
    Id,
    /// 13 bits of a `u64`, from bit `shift` on, are a number.
    Number { shift: u32 },
    /// The same; and the `u64` before the first word says how many of the words, from the first on, have
    /// memory: no other has ever been used.
    BackedNumber { shift: u32 },
}

/// What is written in an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: u32,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) len: u64,
    pub(crate) element: Element,
}

/// The directory of one mapping.
#[derive(Clone, Copy)]
pub(crate) struct Directory<'a> {
    view: View<'a>,
    first_block: u64,
    objects_offset: u64,
}

impl<'a> Directory<'a> {
    pub(crate) fn new(view: View<'a>, geometry: &Geometry) -> Directory<'a> {
        Directory {
            view,
            first_block: geometry.directory,
            objects_offset: geometry.objects_offset(),
        }
    }

    /// The blocks in order. A link that does not lead on (D3) ends them, so that they end.
    fn blocks(&self) -> impl Iterator<Item = &'a Block> + use<'a> {
        let view = self.view;
        let mut at = Some(self.first_block);
        std::iter::from_fn(move || {
            let here = at?;
            let block: &Block = view.at(here).ok()?;
            let last = &block.entries[ENTRIES - 1];
            // list: Acquire, for the offset of the link and the block behind it.
            let linked = last.state.load(Acquire) == READY && last.kind() == KIND_LINK;
            at = linked.then(|| last.offset.load(Relaxed)).filter(|next| *next > here);
            Some(block)
        })
    }

    /// The objects of one kind, in order.
    pub(super) fn of_kind(&self, kind: u32) -> impl Iterator<Item = &'a RawEntry> + use<'a> {
        self.objects().filter(move |raw| raw.kind() == kind)
    }

    /// The number of the object that was made under `key`.
    pub(crate) fn find(&self, key: &str) -> Option<u32> {
        let is_it = |raw: &RawEntry| {
            raw.key_len() == key.len() && self.key(raw).is_some_and(|found| found == key)
        };
        self.objects().position(is_it).map(|index| index as u32)
    }

    /// The keys of all objects that have one, with their kinds, in the order of their making.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (String, u32)> {
        self.objects().filter_map(|raw| Some((self.key(raw)?, raw.kind())))
    }

    /// The key of an object.
    fn key(&self, raw: &RawEntry) -> Option<String> {
        let len = raw.key_len();
        if !(1..=KEY_BYTES_MAX).contains(&len) {
            return None;
        }
        let at = raw.offset.load(Relaxed).checked_sub(key_span(len))?;
        let mut bytes = Vec::new();
        for word in 0..len.div_ceil(8) as u64 {
            bytes.extend_from_slice(&self.view.at::<Word>(at + word * 8).ok()?.get().to_ne_bytes());
        }
        bytes.truncate(len);
        String::from_utf8(bytes).ok()
    }

    /// Writes a key before the object at `offset`.
    fn note_key(&self, key: &str, offset: u64) -> Result<()> {
        let at = offset - key_span(key.len());
        for (word, bytes) in key.as_bytes().chunks(8).enumerate() {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            self.view.at::<Word>(at + word as u64 * 8)?.put(u64::from_ne_bytes(padded));
        }
        Ok(())
    }

    /// All READY entries in order, links included.
    fn listed(&self) -> impl Iterator<Item = &'a RawEntry> + use<'a> {
        self.blocks()
            .flat_map(|block| block.entries.iter())
            .take_while(|raw| raw.state.load(Acquire) == READY) // list
    }

    /// The objects in order.
    fn objects(&self) -> impl Iterator<Item = &'a RawEntry> + use<'a> {
        self.listed().filter(|raw| raw.kind() != KIND_LINK)
    }

    /// The entry with this number, counted over all blocks.
    pub(crate) fn entry(&self, index: u32) -> Result<Entry> {
        let raw = self.objects().nth(index as usize);
        self.read(raw.ok_or(Error::Corrupt("number of an object"))?)
    }

    /// Reads an entry and checks its bounds. Relaxed: ordered by the Acquire of `state` (list).
    pub(super) fn read(&self, place: &RawEntry) -> Result<Entry> {
        let entry = Entry {
            kind: place.kind(),
            offset: place.offset.load(Relaxed),
            bytes: place.bytes.load(Relaxed),
            len: place.len.load(Relaxed),
            element: Element {
                size: place.elem_size.load(Relaxed),
                align: place.elem_align.load(Relaxed),
                tag: place.elem_tag.load(Relaxed),
            },
        };
        if entry.offset < self.objects_offset {
            return Err(Error::Corrupt("offset of an object"));
        }
        self.view.part(entry.offset, entry.bytes)?;
        Ok(entry)
    }

    /// Where the next object of `bytes` bytes goes, or `NoSpace`. Call under the `CHANGE` lock.
    fn free_space(&self, bytes: u64) -> Result<u64> {
        let mut end = self.objects_offset;
        for raw in self.listed() {
            let last = raw.offset.load(Relaxed).checked_add(raw.bytes.load(Relaxed));
            end = end.max(last.ok_or(Error::Corrupt("extent of an object"))?);
        }
        let offset = end.checked_next_multiple_of(LINE_BYTES).ok_or(Error::NoSpace)?;
        let fits = offset.checked_add(bytes).is_some_and(|e| e <= self.view.len_bytes());
        if fits { Ok(offset) } else { Err(Error::NoSpace) }
    }

    /// Appends an object, under `key` if that is not empty: finds room, lets `fill` complete it, and lists it. Returns the number of the entry.
    ///
    /// `clear` makes everything from an offset on read as zero; `back` puts memory behind a new
    /// block. Call under the `CHANGE` lock.
    pub(crate) fn append(
        &self,
        mut entry: Entry,
        key: &str,
        owners: &[OwnerWords],
        clear: impl Fn(u64) -> Result<()>,
        back: impl Fn(u64, u64) -> Result<()>,
        fill: impl FnOnce(Entry) -> Result<()>,
    ) -> Result<u32> {
        let block = self.blocks().last().ok_or(Error::Corrupt("directory"))?;
        let is_empty = |raw: &&RawEntry| raw.state.load(Acquire) != READY; // list
        let mut place = block.entries.iter().find(is_empty).ok_or(Error::Corrupt("directory"))?;
        if std::ptr::eq(place, &block.entries[ENTRIES - 1]) {
            let offset = self.free_space(BLOCK_BYTES)?;
            Self::claim(place, offset, &clear)?;
            back(offset, BLOCK_BYTES)?;
            let next: &Block = self.view.at(offset)?;
            let link = Entry { kind: KIND_LINK, offset, bytes: BLOCK_BYTES, ..entry };
            Self::list(place, &link, "", &[]);
            place = &next.entries[0];
        }
        let key_bytes = key_span(key.len());
        let bytes = entry.bytes.checked_add(key_bytes).ok_or(Error::NoSpace)?;
        let start = self.free_space(bytes)?;
        Self::claim(place, start, &clear)?;
        entry.offset = start + key_bytes;
        if key_bytes != 0 {
            back(start, key_bytes)?;
            self.note_key(key, entry.offset)?;
        }
        fill(entry)?;
        Self::list(place, &entry, key, owners);
        let index = self.objects().position(|raw| std::ptr::eq(raw, place));
        index.map(|index| index as u32).ok_or(Error::Corrupt("directory"))
    }

    /// Marks an EMPTY entry as begun, so that who finds it after our death clears up (D1).
    fn claim(place: &RawEntry, offset: u64, clear: impl Fn(u64) -> Result<()>) -> Result<()> {
        if place.offset.load(Relaxed) != 0 {
            clear(offset)?;
        }
        // Relaxed: read only by who holds the `CHANGE` lock after us.
        place.offset.store(offset, Relaxed);
        Ok(())
    }

    fn list(place: &RawEntry, entry: &Entry, key: &str, owners: &[OwnerWords]) {
        debug_assert!(owners.len() <= OWNER_TABLES);
        // Relaxed: published by the Release of `state`.
        place.kind_and_key.store(entry.kind | (key.len() as u32) << 16, Relaxed);
        place.offset.store(entry.offset, Relaxed);
        place.bytes.store(entry.bytes, Relaxed);
        place.len.store(entry.len, Relaxed);
        place.set_element(entry.element);
        for (index, raw) in place.owners.iter().enumerate() {
            let words = owners.get(index);
            raw.first_words.store(words.map_or(0, |o| (o.first_bytes / 4) as u32), Relaxed);
            raw.stride_bytes.store(words.map_or(0, |o| o.stride_bytes), Relaxed);
            raw.count.store(words.map_or(0, |o| o.count), Relaxed);
            let form = words.map_or(0, |o| match o.field {
                OwnerField::Id => FORM_ID,
                OwnerField::Number { shift } => FORM_NUMBER | shift << 8,
                OwnerField::BackedNumber { shift } => FORM_BACKED_NUMBER | shift << 8,
            });
            raw.form.store(form, Relaxed);
        }
        place.state.store(READY, Release); // list
    }

    /// Replaces every mention of participant `number`, who is dead, by the id of the dead.
    ///
    /// Idempotent and restartable: each word is changed by one CAS, flags and laps kept. Only the
    /// living race with it, and they treat the dead one's word the same way (P2).
    pub(crate) fn sweep(&self, number: u32) {
        for raw in self.objects() {
            let Ok(entry) = self.read(raw) else { continue };
            let Ok(object) = self.view.part(entry.offset, entry.bytes) else { continue };
            for table in &raw.owners {
                sweep_table(object, table, number);
            }
        }
    }
}

fn sweep_table(object: View<'_>, raw: &RawOwners, number: u32) {
    let first = u64::from(raw.first_words.load(Relaxed)) * 4;
    let stride = u64::from(raw.stride_bytes.load(Relaxed));
    let form = raw.form.load(Relaxed);
    let mut count = u64::from(raw.count.load(Relaxed));
    if form & 0xff == FORM_BACKED_NUMBER {
        let Some(Ok(backed)) = first.checked_sub(8).map(|at| object.at::<Word64>(at)) else {
            return;
        };
        // Acquire: a word that names the dead was counted before it was written, and who has read
        // that it does is seen to have read it (sweep).
        count = count.min(backed.0.load(Acquire));
    }
    for index in 0..count {
        let at = first + index * stride;
        let swept = match form & 0xff {
            FORM_ID => object.at::<Word32>(at).map(|word| sweep_id(&word.0, number)),
            FORM_NUMBER | FORM_BACKED_NUMBER => {
                object.at::<Word64>(at).map(|word| sweep_number(&word.0, form >> 8, number))
            }
            _ => return,
        };
        if swept.is_err() {
            return; // outside the object: nothing there can name anybody
        }
    }
}

#[repr(transparent)]
struct Word32(AtomicU32);
#[repr(transparent)]
struct Word64(AtomicU64);
// SAFETY: an atomic; any bytes are valid.
#[allow(unsafe_code)]
unsafe impl Shared for Word32 {}
// SAFETY: an atomic; any bytes are valid.
#[allow(unsafe_code)]
unsafe impl Shared for Word64 {}

fn sweep_id(word: &AtomicU32, number: u32) {
    let mut now = word.load(Relaxed);
    while ParticipantId::from_word(now).is_some_and(|id| id.number() == number) {
        let dead = (now & !ID_MASK) | ParticipantId::DEAD.word();
        // sweep, AcqRel: takes part in the word's own edges; what the dead one published before
        // its claim stays visible to who recovers it.
        match word.compare_exchange(now, dead, AcqRel, Relaxed) {
            Ok(_) => return,
            Err(changed) => now = changed,
        }
    }
}

fn sweep_number(word: &AtomicU64, shift: u32, number: u32) {
    let shift = shift.min(64 - NUMBER_BITS);
    let mask = u64::from(NUMBER_DEAD) << shift;
    // Acquire: a word may say that another, which comes later in the tables, names the dead now.
    let mut now = word.load(Acquire);
    while (now & mask) >> shift == u64::from(number) {
        // sweep: as above.
        match word.compare_exchange(now, now | mask, AcqRel, Acquire) {
            Ok(_) => return,
            Err(changed) => now = changed,
        }
    }
}
