//! A list of byte strings.
//!
//! ```text
//! root    which of two parts counts: 0 or 1
//! part    spine (bits 0..8: slots, as a power of two; 8..: where they are; 0: none) | length
//! slot    lowest bit 1: bits 1..4 the length of a string of up to seven bytes, which are the others
//!         else: where the element is, doubled
//! element length | bytes
//! ```
//!
//! - R1. Every change is committed by one word: the slot of an element that is replaced; the length of
//!   the part, if the string comes or goes at the end; the root, of another spine.
//! - R2. Slots from the length on mean nothing.

use super::blocks::{Blocks, CORRUPT, LEN, PARTS, ROOT};
use super::bytes::{Strings, append, words_for, write};
use super::container::{Container, Form};
use super::mend::Marks;
use crate::error::{Error, Result};
use crate::region::Word;
use std::ops::Range;

const SMALLEST: u32 = 3;
const LARGEST: u32 = 40;
/// The longest string that a slot holds itself.
const INLINE: usize = 7;

/// A list.
pub(crate) enum Row {}

/// The part that counts.
#[derive(Clone, Copy)]
struct Part<'a> {
    slots: &'a [Word],
    /// Where the slots are; 0 if there are none.
    place: u64,
    len: &'a Word,
    count: usize,
}

impl Container<Row> {
    /// Appends the string at `index` to `target`, if it is there.
    pub(crate) fn get(&self, index: usize, target: &mut Vec<u8>) -> Result<bool> {
        self.read(|blocks| match part(blocks)?.used().get(index) {
            None => Ok(false),
            Some(slot) => copy(blocks, slot.get(), target).map(|()| true),
        })
    }

    /// The strings in `range` of one moment, as far as they are there, and the length at that moment.
    pub(crate) fn slice(&self, range: Range<usize>) -> Result<(Strings, usize)> {
        self.read(|blocks| Ok((all(blocks, range.clone())?, part(blocks)?.count)))
    }

    /// Replaces the string at `index`.
    pub(crate) fn set(&self, index: usize, bytes: &[u8]) -> Result<()> {
        self.write(|blocks| {
            let slot = slot(blocks, index)?;
            let old = slot.get();
            slot.put(new_slot(blocks, bytes)?); // R1
            free(blocks, old)
        })
    }

    /// Lets `f` see the string at `index`, and replaces it by what it returns, as one change.
    pub(crate) fn update<R>(
        &self,
        index: usize,
        f: impl FnOnce(&[u8]) -> Result<(Vec<u8>, R)>,
    ) -> Result<R> {
        self.write_after(|blocks, writer| {
            let slot = slot(blocks, index)?;
            let (old, mut bytes) = (slot.get(), Vec::new());
            copy(blocks, old, &mut bytes)?;
            let (new, result) = f(&bytes)?;
            writer.still_ours()?;
            if new != bytes {
                slot.put(new_slot(blocks, &new)?); // R1
                free(blocks, old)?;
            }
            Ok(result)
        })
    }

    /// Appends all strings, as one change.
    pub(crate) fn extend(&self, strings: &Strings) -> Result<()> {
        self.write(|blocks| {
            let part = with_room(blocks, strings.iter().len())?;
            for (index, bytes) in (part.count..).zip(strings.iter()) {
                match new_slot(blocks, bytes) {
                    Ok(slot) => part.slots[index].put(slot),
                    Err(why) => {
                        for slot in &part.slots[part.count..index] {
                            free(blocks, slot.get())?;
                        }
                        return Err(why);
                    }
                }
            }
            set_len(blocks, part, part.count + strings.iter().len()); // R1
            Ok(())
        })
    }

    /// Appends a string.
    pub(crate) fn push(&self, bytes: &[u8]) -> Result<()> {
        self.write(|blocks| {
            let part = with_room(blocks, 1)?;
            part.slots[part.count].put(new_slot(blocks, bytes)?);
            set_len(blocks, part, part.count + 1); // R1
            Ok(())
        })
    }

    /// Removes the last string and appends it to `target`, if there is one.
    pub(crate) fn pop(&self, target: &mut Vec<u8>) -> Result<bool> {
        self.write(|blocks| {
            let part = part(blocks)?;
            match part.count {
                0 => Ok(false),
                count => take_last(blocks, part, count - 1, target).map(|()| true),
            }
        })
    }

    /// Inserts a string before the one at `index`, or at the end.
    pub(crate) fn insert(&self, index: usize, bytes: &[u8]) -> Result<()> {
        self.write(|blocks| {
            let part = part(blocks)?;
            if index > part.count {
                return Err(Error::OutOfRange { index, len: part.count });
            }
            let new = new_slot(blocks, bytes)?;
            let (before, after) = part.used().split_at(index);
            let words = |slots: &'_ [Word]| slots.iter().map(Word::get).collect::<Vec<_>>();
            let slots = [words(before), vec![new], words(after)].concat();
            replace(blocks, part, &slots).inspect_err(|_| _ = free(blocks, new))
        })
    }

    /// Removes the string at `index` and appends it to `target`.
    pub(crate) fn remove(&self, index: usize, target: &mut Vec<u8>) -> Result<()> {
        self.write(|blocks| {
            let part = part(blocks)?;
            let old = slot(blocks, index)?.get();
            if index + 1 == part.count {
                return take_last(blocks, part, index, target);
            }
            copy(blocks, old, target)?;
            let mut slots: Vec<_> = part.used().iter().map(Word::get).collect();
            slots.remove(index);
            replace(blocks, part, &slots)?;
            free(blocks, old)
        })
    }

    /// Brings the strings into the order that `order` gives them: a permutation of their numbers.
    pub(crate) fn reorder(&self, order: impl FnOnce(&Strings) -> Result<Vec<usize>>) -> Result<()> {
        self.write_after(|blocks, writer| {
            let part = part(blocks)?;
            let order = order(&all(blocks, 0..part.count)?)?;
            writer.still_ours()?;
            let slots: Vec<_> = order.iter().map(|index| part.slots[*index].get()).collect();
            replace(blocks, part, &slots)
        })
    }

    /// Removes all, as one change.
    pub(crate) fn clear(&self) -> Result<()> {
        self.write(|blocks| {
            let part = part(blocks)?;
            if part.place == 0 {
                return blocks.drop_kept(); // of an element that has found no spine
            }
            commit(blocks, 0, 0);
            for slot in part.used() {
                free(blocks, slot.get())?;
            }
            blocks.free(part.place)?;
            blocks.drop_kept()
        })
    }
}

impl Form for Row {
    fn mark(blocks: &Blocks<'_>, marks: &mut Marks) -> Result<()> {
        let part = part(blocks)?;
        if part.place != 0 {
            marks.mark(blocks, part.place, part.slots.len() as u64)?;
        }
        for slot in part.used().iter().map(Word::get).filter(|slot| slot & 1 == 0) {
            let len = blocks.slice(slot >> 1, 1)?[0].get();
            let words = 1 + words_for(usize::try_from(len).map_err(|_| CORRUPT)?);
            marks.mark(blocks, slot >> 1, words)?;
        }
        blocks.word(LEN).put(part.count as u64);
        Ok(())
    }
}

impl<'a> Part<'a> {
    /// The slots that mean something.
    fn used(self) -> &'a [Word] {
        &self.slots[..self.count]
    }
}

/// The part that counts; bounds checked.
fn part<'a>(blocks: &Blocks<'a>) -> Result<Part<'a>> {
    let at = PARTS + 2 * (blocks.word(ROOT).get() & 1) as usize;
    let (spine, len) = (blocks.word(at).get(), blocks.word(at + 1));
    let (bits, place) = (spine as u32 & 0xff, spine >> 8);
    let slots = match spine {
        0 => &[],
        _ if !(SMALLEST..=LARGEST).contains(&bits) => return Err(CORRUPT),
        _ => blocks.slice(place, 1 << bits)?,
    };
    let count = len.get();
    if count > slots.len() as u64 {
        return Err(CORRUPT);
    }
    Ok(Part { slots, place, len, count: count as usize })
}

/// The slot at `index`.
fn slot<'a>(blocks: &Blocks<'a>, index: usize) -> Result<&'a Word> {
    let part = part(blocks)?;
    part.used().get(index).ok_or(Error::OutOfRange { index, len: part.count })
}

/// Appends the string of a slot to `target`.
fn copy(blocks: &Blocks<'_>, slot: u64, target: &mut Vec<u8>) -> Result<()> {
    if slot & 1 != 0 {
        let len = (slot >> 1 & 7) as usize;
        target.extend_from_slice(&(slot >> 8).to_ne_bytes()[..len]);
        return Ok(());
    }
    let (words, len) = element(blocks, slot)?;
    append(words, len, target)
}

fn element<'a>(blocks: &Blocks<'a>, slot: u64) -> Result<(&'a [Word], usize)> {
    let place = slot >> 1;
    let len = blocks.slice(place, 1)?[0].get();
    let len = usize::try_from(len).map_err(|_| CORRUPT)?;
    Ok((blocks.slice(place + 1, words_for(len))?, len))
}

fn all(blocks: &Blocks<'_>, range: Range<usize>) -> Result<Strings> {
    let used = part(blocks)?.used();
    let (start, end) = (range.start.min(used.len()), range.end.min(used.len()));
    let mut strings = Strings::default();
    for slot in used.get(start..end).unwrap_or_default().iter().map(Word::get) {
        if slot & 1 != 0 {
            strings.push_word(slot >> 8, (slot >> 1 & 7) as usize);
        } else {
            let (words, len) = element(blocks, slot)?;
            strings.push(words, len)?;
        }
        if strings.len_bytes() as u64 > blocks.heap.ready_bytes() {
            return Err(CORRUPT); // more than there can be
        }
    }
    Ok(strings)
}

/// A slot for a new string.
fn new_slot(blocks: &Blocks<'_>, bytes: &[u8]) -> Result<u64> {
    if bytes.len() <= INLINE {
        let mut padded = [0; 8];
        padded[..bytes.len()].copy_from_slice(bytes);
        return Ok(u64::from_ne_bytes(padded) << 8 | (bytes.len() as u64) << 1 | 1);
    }
    let words = 1 + words_for(bytes.len());
    let place = blocks.take(words)?;
    let element = blocks.slice(place, words)?;
    element[0].put(bytes.len() as u64);
    write(&element[1..], bytes);
    Ok(place << 1)
}

/// Frees the string of a slot that nothing leads to.
fn free(blocks: &Blocks<'_>, slot: u64) -> Result<()> {
    if slot & 1 != 0 { Ok(()) } else { blocks.free(slot >> 1) }
}

fn set_len(blocks: &Blocks<'_>, part: Part<'_>, len: usize) {
    part.len.put(len as u64);
    blocks.word(LEN).put(len as u64);
}

/// Lets a spine and a length count from now on (R1).
fn commit(blocks: &Blocks<'_>, spine: u64, len: usize) {
    let other = blocks.word(ROOT).get() & 1 ^ 1;
    let at = PARTS + 2 * other as usize;
    blocks.word(at).put(spine);
    blocks.word(at + 1).put(len as u64);
    blocks.word(ROOT).put(other);
    blocks.word(LEN).put(len as u64);
}

/// Replaces the spine by one with room for `room` slots, of which the first are these.
fn respine(blocks: &Blocks<'_>, old: Part<'_>, slots: &[u64], room: usize) -> Result<()> {
    let bits = (room as u64).next_power_of_two().ilog2().max(SMALLEST);
    if bits > LARGEST {
        return Err(Error::NoSpace);
    }
    let place = blocks.take(1 << bits)?;
    for (word, slot) in blocks.slice(place, 1 << bits)?.iter().zip(slots) {
        word.put(*slot);
    }
    commit(blocks, place << 8 | u64::from(bits), slots.len());
    if old.place != 0 {
        blocks.free(old.place)?;
    }
    Ok(())
}

fn replace(blocks: &Blocks<'_>, old: Part<'_>, slots: &[u64]) -> Result<()> {
    respine(blocks, old, slots, slots.len())
}

/// The part that counts, with room for so many more.
fn with_room<'a>(blocks: &Blocks<'a>, more: usize) -> Result<Part<'a>> {
    let old = part(blocks)?;
    if more <= old.slots.len() - old.count {
        return Ok(old);
    }
    let slots: Vec<_> = old.used().iter().map(Word::get).collect();
    respine(blocks, old, &slots, old.count.saturating_add(more))?;
    part(blocks)
}

/// Removes the last string, which is at `index`, and appends it to `target`.
fn take_last(
    blocks: &Blocks<'_>,
    part: Part<'_>,
    index: usize,
    target: &mut Vec<u8>,
) -> Result<()> {
    let old = part.slots[index].get();
    copy(blocks, old, target)?;
    set_len(blocks, part, index); // R1
    free(blocks, old)?;
    if part.slots.len() > 1 << SMALLEST && index < part.slots.len() / 8 {
        let slots: Vec<_> = part.slots[..index].iter().map(Word::get).collect();
        // If there is no room for a smaller spine, the large one does.
        let _ = respine(blocks, part, &slots, index * 2);
    }
    Ok(())
}
