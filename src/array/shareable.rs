//! `ShareableList`: a fixed number of scalars of any kind, which processes share.
//!
//! ```text
//! word 0       1 ..             then, for each slot
//!      slots   where they are,  head   text, even   text, odd
//!              and the end
//!
//! head   bit 0: which text counts   bits 1..8: kind   bits 8..: length in bytes
//! ```
//!
//! - S1. Where slots are is copied and checked when a handle is made, and never read again.
//! - S2. A slot changes by one word: the new text is written where the old one is not, and then the
//!   head says which, of what kind and how long. So who dies under the lock leaves every slot whole.

use super::Array;
use crate::error::{Error, Result};
use crate::lock::deadline::Deadline;
use crate::lock::error::LockError;
use crate::lock::slice::{ArrayGuard, GuardedSlice};
use crate::region::{Place, Region};
use crate::sync::{Ordering::SeqCst, compiler_fence};
use bytemuck::{Pod, Zeroable};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A word of such a list: a type of its own, so that no other array passes for one.
#[derive(Clone, Copy, Zeroable, Pod)]
#[repr(transparent)]
struct ListWord(u64);

/// What a slot of a [`ShareableList`] holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Scalar {
    /// Nothing.
    #[default]
    None,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Str(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

macro_rules! scalar_from {
    ($($t:ty => $variant:ident;)*) => {$(
        impl From<$t> for Scalar {
            fn from(value: $t) -> Scalar {
                Scalar::$variant(value.into())
            }
        }
    )*};
}
scalar_from! {
    bool => Bool; i64 => Int; i32 => Int; u32 => Int; f64 => Float;
    String => Str; &str => Str; Vec<u8> => Bytes; &[u8] => Bytes;
}

impl From<()> for Scalar {
    fn from((): ()) -> Scalar {
        Scalar::None
    }
}

impl Scalar {
    fn kind(&self) -> u64 {
        match self {
            Scalar::None => 0,
            Scalar::Bool(_) => 1,
            Scalar::Int(_) => 2,
            Scalar::Float(_) => 3,
            Scalar::Str(_) => 4,
            Scalar::Bytes(_) => 5,
        }
    }

    fn with_bytes<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Scalar::None => f(&[]),
            Scalar::Bool(value) => f(&[u8::from(*value)]),
            Scalar::Int(value) => f(&value.to_ne_bytes()),
            Scalar::Float(value) => f(&value.to_ne_bytes()),
            Scalar::Str(value) => f(value.as_bytes()),
            Scalar::Bytes(value) => f(value),
        }
    }

    fn of(kind: u64, bytes: &[u8]) -> Result<Scalar> {
        const NONE: Error = Error::Corrupt("a slot of a list");
        let eight = || <[u8; 8]>::try_from(bytes).map_err(|_| NONE);
        Ok(match kind {
            0 => Scalar::None,
            1 => Scalar::Bool(bytes.first().is_some_and(|byte| *byte != 0)),
            2 => Scalar::Int(i64::from_ne_bytes(eight()?)),
            3 => Scalar::Float(f64::from_ne_bytes(eight()?)),
            4 => {
                let text = String::from_utf8(bytes.to_vec());
                Scalar::Str(text.map_err(|e| Error::Decode(e.to_string()))?)
            }
            5 => Scalar::Bytes(bytes.to_vec()),
            _ => return Err(NONE),
        })
    }
}

/// A fixed number of slots in shared memory, each with a number, a text, bytes, a truth value or
/// nothing.
///
/// Any number of processes and threads may use one list at once; clones are handles to the same
/// list. A slot has room for what it was made with, rounded up to whole words of eight bytes, and may
/// then hold anything that is no longer: of any kind, byte for byte, zeros at the end included. Each
/// call takes the list's lock. Whoever is killed at any instruction leaves every slot as it was before or
/// after the call, so nobody has to be told.
///
/// ```
/// use shmkit::{Error, Scalar, ShareableList};
///
/// let list = ShareableList::new(["howdy".into(), (-273.154).into(), 100i64.into(), ().into()])?;
/// list.set(2, "nine".to_string())?; // another kind
/// assert_eq!(list.get(2)?, Scalar::Str("nine".into()));
/// assert!(matches!(list.set(0, "far too long"), Err(Error::TooLong { len: 12, room: 8 })));
/// # Ok::<(), Error>(())
/// ```
///
/// A list that grows is a [`List`](crate::List) of a [`Manager`](crate::Manager).
#[derive(Clone)]
pub struct ShareableList {
    words: Array<ListWord>,
    /// The words of each slot.
    slots: Arc<[Range<usize>]>,
}

impl ShareableList {
    /// Makes a list of these scalars in a region of its own, without a name.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`], [`Error::Os`].
    pub fn new(scalars: impl IntoIterator<Item = Scalar>) -> Result<ShareableList> {
        Self::place(Place::Anonymous, scalars)
    }

    /// Makes a list of these scalars that unrelated processes of the same user find by `name`.
    ///
    /// # Errors
    ///
    /// As [`ShareableList::new`]; [`Error::Exists`], [`Error::InvalidName`], [`Error::NoSpace`].
    pub fn create(name: &str, scalars: impl IntoIterator<Item = Scalar>) -> Result<ShareableList> {
        Self::place(Place::Named(name), scalars)
    }

    /// Opens the live list of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::TypeMismatch`] for another kind of object, and those of
    /// [`Region::open`].
    pub fn open(name: &str) -> Result<ShareableList> {
        Self::on(Array { inner: GuardedSlice::open(name)? })
    }

    /// Makes a list of these scalars in `region`, beside other objects.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`] when the region is full, [`Error::NoMemory`].
    pub fn new_in(
        region: &Region,
        scalars: impl IntoIterator<Item = Scalar>,
    ) -> Result<ShareableList> {
        Self::place(Place::In(region), scalars)
    }

    fn place(place: Place<'_>, scalars: impl IntoIterator<Item = Scalar>) -> Result<ShareableList> {
        let scalars: Vec<Scalar> = scalars.into_iter().collect();
        let room = |scalar: &Scalar| scalar.with_bytes(|bytes| bytes.len().div_ceil(8).max(1));
        let mut starts = vec![scalars.len() + 2];
        for scalar in &scalars {
            starts.push(starts[starts.len() - 1] + 1 + 2 * room(scalar));
        }
        let array = Array::place(place, starts[scalars.len()], |all: &mut [ListWord]| {
            all[0] = ListWord(scalars.len() as u64);
            for (word, start) in all[1..].iter_mut().zip(&starts) {
                word.0 = *start as u64;
            }
            for (scalar, start) in scalars.iter().zip(starts.windows(2)) {
                write(&mut all[start[0]..start[1]], scalar);
            }
        })?;
        Self::on(array)
    }

    fn on(words: Array<ListWord>) -> Result<ShareableList> {
        const NONE: Error = Error::Corrupt("the slots of a list");
        let list = ShareableList { words, slots: Arc::new([]) };
        let slots = {
            let all = list.lock()?;
            let count = usize::try_from(all.first().ok_or(NONE)?.0).map_err(|_| NONE)?;
            let end = count.checked_add(2).ok_or(NONE)?;
            let starts = all.get(1..end).ok_or(NONE)?;
            let slot = |pair: &[ListWord]| {
                let (start, end) = (pair[0].0 as usize, pair[1].0 as usize);
                let fits = start > count && start < end && end <= all.len();
                if fits { Ok(start..end) } else { Err(NONE) } // S1
            };
            starts.windows(2).map(slot).collect::<Result<Arc<[_]>>>()?
        };
        Ok(ShareableList { slots, ..list })
    }

    /// The number of slots; it never changes.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are no slots.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// A copy of what the slot at `index` holds. Waits for the list's lock.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`]; [`Error::Decode`] for a text that is none,
    /// [`Error::Corrupt`] for what is no scalar, [`Error::Os`] in a forked child that finds no free
    /// place among the users.
    pub fn get(&self, index: usize) -> Result<Scalar> {
        let slot = self.slot(index)?;
        read(&self.lock()?[slot])
    }

    /// Replaces what the slot at `index` holds. Waits for the list's lock.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::TooLong`] if the slot has not so much room, [`Error::Os`];
    /// then nothing is written.
    pub fn set(&self, index: usize, scalar: impl Into<Scalar>) -> Result<()> {
        let (slot, scalar) = (self.slot(index)?, scalar.into());
        let room = (slot.len() - 1) / 2 * 8;
        let len = scalar.with_bytes(<[u8]>::len);
        if len > room {
            return Err(Error::TooLong { len, room });
        }
        write(&mut self.lock()?[slot], &scalar);
        Ok(())
    }

    /// Copies of all scalars of one moment, in order. Waits for the list's lock.
    ///
    /// # Errors
    ///
    /// As [`ShareableList::get`].
    pub fn to_vec(&self) -> Result<Vec<Scalar>> {
        let all = self.lock()?;
        self.slots.iter().map(|slot| read(&all[slot.clone()])).collect()
    }

    /// The index of the first slot that holds `scalar`.
    ///
    /// # Errors
    ///
    /// As [`ShareableList::get`].
    pub fn index(&self, scalar: &Scalar) -> Result<Option<usize>> {
        Ok(self.to_vec()?.iter().position(|found| found == scalar))
    }

    /// How many slots hold `scalar`.
    ///
    /// # Errors
    ///
    /// As [`ShareableList::get`].
    pub fn count(&self, scalar: &Scalar) -> Result<usize> {
        Ok(self.to_vec()?.iter().filter(|found| *found == scalar).count())
    }

    fn slot(&self, index: usize) -> Result<Range<usize>> {
        let slot = self.slots.get(index).cloned();
        slot.ok_or(Error::OutOfRange { index, len: self.len() })
    }

    fn lock(&self) -> Result<ArrayGuard<'_, ListWord>> {
        match self.words.inner.lock(Deadline::Never) {
            Err(LockError::OwnerDied(died)) => Ok(died.recover()), // S2
            other => Ok(other?),
        }
    }
}

/// What a slot holds.
fn read(slot: &[ListWord]) -> Result<Scalar> {
    let (head, room) = (slot[0].0, (slot.len() - 1) / 2);
    let text = &slot[1 + (head & 1) as usize * room..][..room];
    let bytes = bytemuck::cast_slice::<_, u8>(text);
    let len = usize::try_from(head >> 8).unwrap_or(usize::MAX);
    let bytes = bytes.get(..len).ok_or(Error::Corrupt("a slot of a list"))?;
    Scalar::of(head >> 1 & 0x7f, bytes)
}

/// Replaces what a slot holds, which has room for it (S2).
fn write(slot: &mut [ListWord], scalar: &Scalar) {
    let (head, room) = (slot[0].0, (slot.len() - 1) / 2);
    let other = head & 1 ^ 1;
    let text = &mut slot[1 + other as usize * room..][..room];
    let len = scalar.with_bytes(|bytes| {
        bytemuck::cast_slice_mut::<_, u8>(text)[..bytes.len()].copy_from_slice(bytes);
        bytes.len() as u64
    });
    // The processor goes by the order of the program, as far as our own death can tell; so the
    // compiler has to keep to it as well, here and below.
    compiler_fence(SeqCst);
    slot[0] = ListWord(len << 8 | scalar.kind() << 1 | other);
    compiler_fence(SeqCst);
}

impl fmt::Debug for ShareableList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShareableList").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for ShareableList {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.words.serialize(serializer)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for ShareableList {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<ShareableList, D::Error> {
        ShareableList::on(Array::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}
