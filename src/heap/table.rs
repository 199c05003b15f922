//! A hash table from byte strings to byte strings.
//!
//! Source: open addressing with linear probing (Knuth, vol. 3, 6.4), with a part of the hash in the
//! slot, so that a probe that misses seldom leaves the line. Entries have no links: a table of another
//! size is filled beside the old one, and leads to the same entries.
//!
//! ```text
//! root    bits 0..8: slots, as a power of two   8..: where they are           0: none
//! slot    0: empty   1: removed   else bits 48..: high bits of the hash, below: where the entry is
//! entry   hash | length of key, length of value (32 bits each) | key | value
//! ```
//!
//! - T1. Every change is committed by one word: the slot of an entry that is new, replaced or removed;
//!   the value's own, if old and new one have the same length of up to eight bytes; the root, of a
//!   table of another size or of none.
//! - T2. Empty slots end a search, and there is at least one: slots that are not empty are counted, and
//!   the table is made anew before they are more than three quarters.
//! - T3. A removed slot before an empty one is empty as well: nothing is found behind it.

use super::blocks::{Blocks, CORRUPT, LEN, ROOT, SEEDS, USED};
use super::bytes::{Strings, append, are, word_of, words_for, write};
use super::container::{Container, Form};
use super::hash::hash;
use super::mend::Marks;
use crate::error::{Error, Result};
use crate::region::Word;

const EMPTY: u64 = 0;
const REMOVED: u64 = 1;
const PLACE: u64 = (1 << 48) - 1;
/// The smallest table, as a power of two.
const SMALLEST: u32 = 3;
const LARGEST: u32 = 40;
const HEAD_WORDS: u64 = 2;

/// A hash table.
pub(crate) enum Table {}

/// What becomes of an entry.
pub(crate) enum Change {
    Keep,
    Put(Vec<u8>),
    Remove,
}

/// The slots of a table.
#[derive(Clone, Copy)]
struct Slots<'a> {
    slots: &'a [Word],
    place: u64,
}

/// Where a key was looked for.
struct Found<'a> {
    /// Its slot, and the entry.
    entry: Option<(&'a Word, usize, Entry<'a>)>,
    /// Where it could go.
    vacant: &'a Word,
}

#[derive(Clone, Copy)]
struct Entry<'a> {
    place: u64,
    hash: u64,
    key: &'a [Word],
    key_len: usize,
    value: &'a [Word],
    value_len: usize,
}

impl Entry<'_> {
    fn words(&self) -> u64 {
        HEAD_WORDS + (self.key.len() + self.value.len()) as u64
    }
}

/// A key and its hash.
#[derive(Clone, Copy)]
struct Key<'a> {
    bytes: &'a [u8],
    hash: u64,
}

impl Container<Table> {
    /// Appends the value of `key` to `target`, and says whether there is one.
    pub(crate) fn get(&self, key: &[u8], target: &mut Vec<u8>) -> Result<bool> {
        self.read(|blocks| match lookup(blocks, key)? {
            None => Ok(false),
            Some(entry) => append(entry.value, entry.value_len, target).map(|()| true),
        })
    }

    /// Whether there is a value of `key`.
    pub(crate) fn contains(&self, key: &[u8]) -> Result<bool> {
        self.read(|blocks| Ok(lookup(blocks, key)?.is_some()))
    }

    /// Sets the value of `key`. Appends the one before to `old`, and says whether there was one.
    pub(crate) fn set(&self, key: &[u8], value: &[u8], old: Option<&mut Vec<u8>>) -> Result<bool> {
        self.write(|blocks| set(blocks, Key::of(blocks, key), value, old))
    }

    /// Removes `key`. Appends its value to `old`, and says whether there was one.
    pub(crate) fn remove(&self, key: &[u8], old: &mut Vec<u8>) -> Result<bool> {
        self.write(|blocks| remove(blocks, Key::of(blocks, key), Some(old)))
    }

    /// Lets `f` see the value of `key`, and does what it says, as one change.
    pub(crate) fn update<R>(
        &self,
        key: &[u8],
        f: impl FnOnce(Option<&[u8]>) -> Result<(Change, R)>,
    ) -> Result<R> {
        self.write_after(|blocks, writer| {
            let key = Key::of(blocks, key);
            let mut bytes = Vec::new();
            let old = match slots(blocks)?.map(|slots| slots.find(blocks, key)).transpose()? {
                Some(Found { entry: Some((_, _, entry)), .. }) => {
                    append(entry.value, entry.value_len, &mut bytes)?;
                    Some(&bytes[..])
                }
                _ => None,
            };
            let (change, result) = f(old)?;
            writer.still_ours()?;
            match change {
                Change::Keep => {}
                Change::Put(value) => _ = set(blocks, key, &value, None)?,
                Change::Remove => _ = remove(blocks, key, None)?,
            }
            Ok(result)
        })
    }

    /// Keys and values of one moment, in turn.
    pub(crate) fn items(&self, with_keys: bool, with_values: bool) -> Result<Strings> {
        self.read(|blocks| {
            let mut items = Strings::default();
            let Some(slots) = slots(blocks)? else { return Ok(items) };
            for slot in slots.entries() {
                let entry = entry(blocks, slot & PLACE)?;
                if with_keys {
                    items.push(entry.key, entry.key_len)?;
                }
                if with_values {
                    items.push(entry.value, entry.value_len)?;
                }
                if items.len_bytes() as u64 > blocks.heap.ready_bytes() {
                    return Err(CORRUPT); // more than there can be
                }
            }
            Ok(items)
        })
    }

    /// Removes all, as one change.
    pub(crate) fn clear(&self) -> Result<()> {
        self.write(|blocks| {
            let Some(slots) = slots(blocks)? else { return blocks.drop_kept() };
            blocks.word(ROOT).put(0); // T1
            // A survivor of a kill from here on finds nothing in use.
            blocks.word(LEN).put(0);
            blocks.word(USED).put(0);
            for slot in slots.entries() {
                blocks.free(slot & PLACE)?;
            }
            blocks.free(slots.place)?;
            blocks.drop_kept()
        })
    }
}

impl Form for Table {
    fn mark(blocks: &Blocks<'_>, marks: &mut Marks) -> Result<()> {
        let (mut len, mut used) = (0, 0);
        if let Some(slots) = slots(blocks)? {
            marks.mark(blocks, slots.place, slots.slots.len() as u64)?;
            used = slots.slots.iter().filter(|slot| slot.get() != EMPTY).count() as u64;
            for slot in slots.entries() {
                let entry = entry(blocks, slot & PLACE)?;
                marks.mark(blocks, entry.place, entry.words())?;
                len += 1;
            }
        }
        blocks.word(LEN).put(len);
        blocks.word(USED).put(used);
        Ok(())
    }
}

impl<'a> Key<'a> {
    fn of(blocks: &Blocks<'_>, bytes: &'a [u8]) -> Key<'a> {
        let seeds = [blocks.word(SEEDS).get(), blocks.word(SEEDS + 1).get()];
        Key { bytes, hash: hash(seeds, bytes) }
    }
}

fn slot_of(hash: u64, place: u64) -> u64 {
    hash & !PLACE | place
}

/// The slots, if there are any.
fn slots<'a>(blocks: &Blocks<'a>) -> Result<Option<Slots<'a>>> {
    let root = blocks.word(ROOT).get();
    if root == 0 {
        return Ok(None);
    }
    let (bits, place) = (root as u32 & 0xff, root >> 8);
    if !(SMALLEST..=LARGEST).contains(&bits) {
        return Err(CORRUPT);
    }
    Ok(Some(Slots { slots: blocks.slice(place, 1 << bits)?, place }))
}

fn entry<'a>(blocks: &Blocks<'a>, place: u64) -> Result<Entry<'a>> {
    let head = blocks.slice(place, HEAD_WORDS)?;
    let lengths = head[1].get();
    let (key_len, value_len) = (lengths as u32 as usize, (lengths >> 32) as usize);
    let (key_words, value_words) = (words_for(key_len), words_for(value_len));
    let body = blocks.slice(place + HEAD_WORDS, key_words + value_words)?;
    let (key, value) = body.split_at(key_words as usize);
    Ok(Entry { place, hash: head[0].get(), key, key_len, value, value_len })
}

fn lookup<'a>(blocks: &Blocks<'a>, key: &[u8]) -> Result<Option<Entry<'a>>> {
    let Some(slots) = slots(blocks)? else { return Ok(None) };
    let found = slots.find(blocks, Key::of(blocks, key))?;
    Ok(found.entry.map(|(_, _, entry)| entry))
}

impl<'a> Slots<'a> {
    /// The slots that lead to entries.
    fn entries(self) -> impl Iterator<Item = u64> + use<'a> {
        self.slots.iter().map(Word::get).filter(|slot| *slot > REMOVED)
    }

    fn mask(self) -> usize {
        self.slots.len() - 1
    }

    fn find(self, blocks: &Blocks<'a>, key: Key<'_>) -> Result<Found<'a>> {
        let mut removed = None;
        let mut index = key.hash as usize & self.mask();
        for _ in 0..self.slots.len() {
            let word = &self.slots[index];
            let slot = word.get();
            if slot == EMPTY {
                return Ok(Found { entry: None, vacant: removed.unwrap_or(word) });
            }
            if slot == REMOVED {
                removed = removed.or(Some(word));
            } else if slot & !PLACE == key.hash & !PLACE {
                let entry = entry(blocks, slot & PLACE)?;
                let is_it = entry.hash == key.hash && entry.key_len == key.bytes.len();
                if is_it && are(entry.key, key.bytes) {
                    return Ok(Found { entry: Some((word, index, entry)), vacant: word });
                }
            }
            index = (index + 1) & self.mask();
        }
        Err(CORRUPT) // T2
    }

    /// Puts the slot of an entry into a table that nobody else sees yet.
    fn place(self, hash: u64, place: u64) -> Result<()> {
        let mut index = hash as usize & self.mask();
        for _ in 0..self.slots.len() {
            if self.slots[index].get() == EMPTY {
                self.slots[index].put(slot_of(hash, place));
                return Ok(());
            }
            index = (index + 1) & self.mask();
        }
        Err(CORRUPT)
    }
}

/// Makes the table anew, with room for `len` entries.
#[cold]
fn resize<'a>(blocks: &Blocks<'a>, old: Option<Slots<'a>>, len: u64) -> Result<Slots<'a>> {
    let room = len.max(1).checked_mul(2).and_then(u64::checked_next_power_of_two);
    let bits = room.ok_or(CORRUPT)?.ilog2().max(SMALLEST);
    if bits > LARGEST {
        return Err(Error::NoSpace);
    }
    let place = blocks.take(1 << bits)?;
    let new = Slots { slots: blocks.slice(place, 1 << bits)?, place };
    new.slots.iter().for_each(|slot| slot.put(EMPTY));
    let mut count = 0;
    for slot in old.iter().flat_map(|slots| slots.entries()) {
        let place = slot & PLACE;
        new.place(blocks.slice(place, 1)?[0].get(), place)?;
        count += 1;
    }
    blocks.word(ROOT).put(place << 8 | u64::from(bits)); // T1
    blocks.word(LEN).put(count);
    blocks.word(USED).put(count);
    if let Some(old) = old {
        blocks.free(old.place)?;
    }
    Ok(new)
}

/// The table with room for one more entry.
fn with_room<'a>(blocks: &Blocks<'a>) -> Result<(Slots<'a>, bool)> {
    let slots = slots(blocks)?;
    let (len, used) = (blocks.word(LEN).get(), blocks.word(USED).get());
    match slots {
        Some(slots) if used < slots.slots.len() as u64 / 4 * 3 => Ok((slots, false)),
        old => resize(blocks, old, len.saturating_add(1)).map(|slots| (slots, true)),
    }
}

fn set(blocks: &Blocks<'_>, key: Key<'_>, value: &[u8], old: Option<&mut Vec<u8>>) -> Result<bool> {
    let found = match slots(blocks)? {
        Some(slots) => Some((slots, slots.find(blocks, key)?)),
        None => None,
    };
    if let Some((_, Found { entry: Some((slot, _, entry)), .. })) = &found {
        if let Some(old) = old {
            append(entry.value, entry.value_len, old)?;
        }
        if entry.value_len == value.len() && value.len() <= 8 {
            if let Some(word) = entry.value.first() {
                word.put(word_of(value)); // T1
            }
            return Ok(true);
        }
        let new = new_entry(blocks, key, value)?;
        slot.put(slot_of(key.hash, new)); // T1
        blocks.free(entry.place)?;
        return Ok(true);
    }
    let vacant = match (with_room(blocks)?, found) {
        ((_, false), Some((_, found))) => found.vacant,
        ((slots, _), _) => slots.find(blocks, key)?.vacant,
    };
    let new = new_entry(blocks, key, value)?;
    let was_empty = vacant.get() == EMPTY;
    vacant.put(slot_of(key.hash, new)); // T1
    add(blocks.word(LEN), 1);
    add(blocks.word(USED), i64::from(was_empty));
    Ok(false)
}

fn new_entry(blocks: &Blocks<'_>, key: Key<'_>, value: &[u8]) -> Result<u64> {
    let (key_len, value_len) = (u32::try_from(key.bytes.len()), u32::try_from(value.len()));
    let (Ok(key_len), Ok(value_len)) = (key_len, value_len) else { return Err(Error::TooLarge) };
    let (key_words, value_words) = (words_for(key.bytes.len()), words_for(value.len()));
    let place = blocks.take(HEAD_WORDS + key_words + value_words)?;
    let words = blocks.slice(place, HEAD_WORDS + key_words + value_words)?;
    words[0].put(key.hash);
    words[1].put(u64::from(key_len) | u64::from(value_len) << 32);
    let (keys, values) = words[HEAD_WORDS as usize..].split_at(key_words as usize);
    write(keys, key.bytes);
    write(values, value);
    Ok(place)
}

fn remove(blocks: &Blocks<'_>, key: Key<'_>, old: Option<&mut Vec<u8>>) -> Result<bool> {
    let Some(slots) = slots(blocks)? else { return Ok(false) };
    let Some((slot, index, entry)) = slots.find(blocks, key)?.entry else { return Ok(false) };
    if let Some(old) = old {
        append(entry.value, entry.value_len, old)?;
    }
    let after = |index: usize| slots.slots[(index + 1) & slots.mask()].get();
    if after(index) == EMPTY {
        slot.put(EMPTY); // T1
        add(blocks.word(USED), -1);
        let mut before = index;
        for _ in 0..slots.mask() {
            before = before.wrapping_sub(1) & slots.mask();
            if slots.slots[before].get() != REMOVED {
                break;
            }
            slots.slots[before].put(EMPTY); // T3
            add(blocks.word(USED), -1);
        }
    } else {
        slot.put(REMOVED); // T1
    }
    add(blocks.word(LEN), -1);
    blocks.free(entry.place)?;
    let len = blocks.word(LEN).get();
    if slots.slots.len() > 1 << SMALLEST && len < slots.slots.len() as u64 / 8 {
        // If there is no room for a smaller one, the large one does.
        let _ = resize(blocks, Some(slots), len);
    }
    Ok(true)
}

fn add(word: &Word, change: i64) {
    word.put(word.get().saturating_add_signed(change));
}
