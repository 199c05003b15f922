//! A container: its words, its door, and its part of the heap.
//!
//! ```text
//! byte 0      128                                640
//!      door   root, parts, length, key of the    records of the door
//!             hash, free lists: see blocks.rs
//! ```

use super::blocks::{Blocks, DEATHS, LEN, SEEDS, WORDS};
use super::hash::random_key;
use super::mend::Marks;
use super::pages::Heap;
use crate::error::Result;
use crate::lock::deadline::Deadline;
use crate::lock::door::{Door, Writer};
use crate::region::{Element, Kind, Object, PinnedSlice, Place, Spec, Word};
use std::marker::PhantomData;
use std::time::Duration;

const WORDS_AT: u64 = 128;
const RECORDS: u64 = WORDS_AT + WORDS as u64 * 8;
const _: () = assert!(Door::WORDS_BYTES <= WORDS_AT && RECORDS.is_multiple_of(128));

/// What the root of a container leads to.
pub(crate) trait Form {
    /// Marks all blocks that can be reached, and derives the words of the container that are not about
    /// blocks.
    fn mark(blocks: &Blocks<'_>, marks: &mut Marks) -> Result<()>;
}

/// A handle to a container.
pub(crate) struct Container<F> {
    door: Door,
    words: PinnedSlice<Word>,
    heap: Heap,
    /// How long a call waits for others.
    patience: Option<Duration>,
    form: PhantomData<fn() -> F>,
}

impl<F: Form> Container<F> {
    /// Makes a container, or opens the one that is at that place.
    pub(crate) fn create(place: Place<'_>, kind: Kind, element: Element) -> Result<Container<F>> {
        let participants = place.participants();
        let bytes = RECORDS + Door::records_bytes(participants);
        let spec = Spec {
            kind,
            element,
            len: 0,
            bytes,
            backed: bytes,
            owners: &Door::owner_words(RECORDS, participants),
        };
        let object = Object::create(place, &spec, |object| {
            let words = object.pin_slice::<Word>(WORDS_AT, WORDS)?;
            for (word, half) in words[SEEDS..].iter().zip(random_key()) {
                word.put(half);
            }
            Ok(())
        })?;
        Self::on(object)
    }

    pub(crate) fn on(object: Object) -> Result<Container<F>> {
        Ok(Container {
            heap: Heap::beside(&object)?,
            words: object.pin_slice(WORDS_AT, WORDS)?,
            door: Door::at(&object, RECORDS)?,
            patience: None,
            form: PhantomData,
        })
    }

    pub(crate) fn object(&self) -> &Object {
        self.door.object()
    }

    pub(crate) fn set_patience(&mut self, patience: Duration) {
        self.patience = Some(patience);
    }

    /// The number of elements: exact, unless it cannot be asked for; then as it was left.
    pub(crate) fn len(&self) -> usize {
        let len = |blocks: &Blocks<'_>| Ok(blocks.word(LEN).get());
        self.read(len).unwrap_or_else(|_| self.words[LEN].get()) as usize
    }

    /// How many writers have died so far.
    pub(crate) fn deaths(&self) -> u64 {
        self.words[DEATHS].get()
    }

    /// Lets `f` read, beside other readers.
    #[inline]
    pub(super) fn read<R>(&self, mut f: impl FnMut(&Blocks<'_>) -> Result<R>) -> Result<R> {
        loop {
            let (reader, has_died) = self.door.read(self.deadline())?;
            if !has_died {
                return f(&self.blocks());
            }
            drop(reader);
            self.write(|_| Ok(()))?;
        }
    }

    /// Lets `f` write, alone.
    #[inline]
    pub(super) fn write<R>(&self, f: impl FnOnce(&Blocks<'_>) -> Result<R>) -> Result<R> {
        self.write_after(|blocks, _| f(blocks))
    }

    /// As [`Container::write`], for an `f` that runs code of a user, who may fork: `f` asks the writer
    /// between that and the first word it writes.
    #[inline]
    pub(super) fn write_after<R>(
        &self,
        f: impl FnOnce(&Blocks<'_>, &Writer<'_>) -> Result<R>,
    ) -> Result<R> {
        let (mut writer, has_died) = self.door.write(self.deadline())?;
        let blocks = self.blocks();
        if has_died {
            mend::<F>(&blocks)?;
            writer.recover();
        }
        f(&blocks, &writer)
    }

    fn blocks(&self) -> Blocks<'_> {
        Blocks { words: &self.words, heap: &self.heap, owner: u64::from(self.object().index()) + 1 }
    }

    fn deadline(&self) -> Deadline {
        self.patience.map_or(Deadline::Never, Deadline::after)
    }

    /// As after a death.
    #[cfg(test)]
    pub(super) fn mend_now(&self) -> Result<()> {
        self.write(mend::<F>)
    }

    /// What a test may look at: the pages of the container, by its own count and by the table.
    #[cfg(test)]
    pub(super) fn pages(&self) -> (u64, u64) {
        let blocks = self.blocks();
        let owned = |page: &u64| self.heap.owner(*page).get() == blocks.owner;
        let by_table = (0..self.heap.ready()).filter(owned).count() as u64;
        (blocks.word(super::blocks::OWNED).get(), by_table)
    }
}

#[cold]
fn mend<F: Form>(blocks: &Blocks<'_>) -> Result<()> {
    let mut marks = Marks::default();
    F::mark(blocks, &mut marks)?;
    marks.apply(blocks)?;
    let deaths = blocks.word(DEATHS);
    deaths.put(deaths.get().wrapping_add(1));
    Ok(())
}

impl<F> Clone for Container<F> {
    fn clone(&self) -> Container<F> {
        Container {
            door: self.door.clone(),
            words: self.words.clone(),
            heap: self.heap.clone(),
            patience: self.patience,
            form: PhantomData,
        }
    }
}
