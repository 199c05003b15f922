//! What may travel between processes: any type that serde can write and read back.
//!
//! The wire format is postcard, whose specification is fixed, so that two builds of one program
//! understand each other.

use crate::region::copy;
use crate::region::transfer::take_reason;
use bytemuck::Pod;
use postcard::ser_flavors::Flavor;
use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

/// A value that can be sent to another process.
///
/// Every type that serde can serialise and deserialise without borrowing is one: derive
/// [`Serialize`](serde::Serialize) and [`Deserialize`](serde::Deserialize), and own the data
/// (`String`, not `&str`). The shared objects of this crate are messages too.
///
/// ```
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Job { path: String, lines: Vec<u32> }
///
/// fn is_message<T: shmkit::Message>() {}
/// is_message::<Job>();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent to another process",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to it and own its data (`String`, not `&str`)"
)]
pub trait Message: Serialize + DeserializeOwned {}

impl<T: Serialize + DeserializeOwned> Message for T {}

/// Plain data that is coded as its own bytes, in one copy, where serde would go element by element.
///
/// For arrays and structs of numbers as values of a [`Dict`](crate::Dict), elements of a
/// [`List`](crate::List) or messages: both sides run on one machine, so bytes need no other form.
///
/// ```
/// use shmkit::{Dict, Manager, Plain};
///
/// let manager = Manager::new()?;
/// let samples: Dict<u32, Plain<[f64; 512]>> = manager.dict("samples")?;
/// samples.set(&7, &Plain([0.5; 512]))?;
/// samples.update(&7, |entry| entry.as_mut().unwrap().0[3] = 1.5)?;
/// assert_eq!(samples.get(&7)?.unwrap().0[2..4], [0.5, 1.5]);
/// # Ok::<(), shmkit::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Plain<T>(pub T);

impl<T: Pod> Serialize for Plain<T> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytemuck::bytes_of(&self.0))
    }
}

impl<'de, T: Pod> Deserialize<'de> for Plain<T> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Plain<T>, D::Error> {
        struct Bytes<T>(PhantomData<T>);

        impl<T: Pod> Visitor<'_> for Bytes<T> {
            type Value = Plain<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} bytes", size_of::<T>())
            }

            #[inline]
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Plain<T>, E> {
                let plain = bytemuck::try_pod_read_unaligned(bytes);
                plain.map(Plain).map_err(|_| E::invalid_length(bytes.len(), &self))
            }
        }

        deserializer.deserialize_bytes(Bytes(PhantomData))
    }
}

/// The bytes of `value`, or why it has none.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    take_reason(); // of an error that nobody asked about
    postcard::to_allocvec(value).map_err(reason)
}

/// The bytes of `value`, written over the start of `scratch`, which grows as needed.
pub(crate) fn encode_into<'a, T: Serialize>(
    value: &T,
    scratch: &'a mut Vec<u8>,
) -> Result<&'a [u8], String> {
    loop {
        match postcard::to_slice(value, scratch).map(|bytes| bytes.len()) {
            Ok(len) => return Ok(&scratch[..len]),
            Err(postcard::Error::SerializeBufferFull) => {
                let grown = (scratch.len() * 2).max(256);
                let room = scratch.try_reserve_exact(grown - scratch.len());
                room.map_err(|e| e.to_string())?;
                scratch.resize(grown, 0);
            }
            Err(e) => return Err(reason(e)),
        }
    }
}

/// Private memory for one message is kept up to this size for the next one of its thread.
const KEPT_BYTES: usize = 1 << 20;
/// A message of a plain small type fits here, on the stack.
pub(crate) const SMALL_BYTES: usize = 96;

thread_local!(static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) });

/// Runs `f` with private memory, whose content is arbitrary, that is kept for the next call.
pub(crate) fn with_scratch<R>(f: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    // Taken, not borrowed: the value's own code may run within `f`. While a thread ends the memory
    // may be gone: then nothing is kept.
    let mut scratch = SCRATCH.try_with(Cell::take).unwrap_or_default();
    let result = f(&mut scratch);
    if scratch.capacity() <= KEPT_BYTES {
        let _ = SCRATCH.try_with(|kept| kept.set(scratch));
    }
    result
}

/// Runs `f` on the bytes of `value`, or says why it has none. No allocation for a small message.
#[inline]
pub(crate) fn with_bytes<T: Serialize, R>(
    value: &T,
    f: impl FnOnce(&[u8]) -> R,
) -> Result<R, String> {
    if is_small::<T>() {
        let mut bytes = [0; SMALL_BYTES];
        match postcard::serialize_with_flavor(value, Small { bytes: &mut bytes, len: 0 }) {
            Ok(len) => return Ok(f(&bytes[..len])),
            Err(postcard::Error::SerializeBufferFull) => {}
            Err(e) => return Err(reason(e)),
        }
    }
    with_scratch(|scratch| encode_into(value, scratch).map(f))
}

/// Where a small message is written, number by number: each is a few bytes.
struct Small<'a> {
    bytes: &'a mut [u8; SMALL_BYTES],
    len: usize,
}

impl Flavor for Small<'_> {
    type Output = usize;

    #[inline(always)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        let room = self.bytes.get_mut(self.len).ok_or(postcard::Error::SerializeBufferFull)?;
        *room = byte;
        self.len += 1;
        Ok(())
    }

    #[inline(always)]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        let end = self.len + bytes.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(postcard::Error::SerializeBufferFull)?;
        copy(bytes, room);
        self.len = end;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<usize> {
        Ok(self.len)
    }
}

/// Whether messages of this type are likely to have [`SMALL_BYTES`] at most.
#[inline(always)]
pub(crate) const fn is_small<T>() -> bool {
    size_of::<T>() <= SMALL_BYTES * 2 / 3 && !std::mem::needs_drop::<T>()
}

/// The value in `bytes`, all of which must belong to it.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    take_reason();
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes too many", rest.len())),
        Err(e) => Err(reason(e)),
    }
}

/// Takes a value off the start of `bytes`, which are what is behind it then.
#[inline]
pub(crate) fn take<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, rest)) => {
            *bytes = rest;
            Ok(value)
        }
        Err(e) => Err(reason(e)),
    }
}

/// Private memory in which values are encoded one behind the other.
#[derive(Default)]
pub(crate) struct Writer {
    /// What is behind `len` is arbitrary.
    room: Vec<u8>,
    len: usize,
}

impl Writer {
    /// Room for a value of a plain small type, to begin with.
    const LEAST: usize = 128;

    pub(crate) fn clear(&mut self) {
        self.len = 0;
        if self.room.len() > KEPT_BYTES {
            self.room = Vec::new();
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.room[..self.len]
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a value, or nothing if it cannot be encoded.
    #[inline]
    pub(crate) fn add<T: Serialize>(&mut self, value: &T) -> Result<(), String> {
        loop {
            match postcard::to_slice(value, &mut self.room[self.len..]).map(|bytes| bytes.len()) {
                Ok(len) => {
                    self.len += len;
                    return Ok(());
                }
                Err(postcard::Error::SerializeBufferFull) => self.grow(0)?,
                Err(e) => return Err(reason(e)),
            }
        }
    }

    /// Adds a byte as it is.
    #[inline]
    pub(crate) fn add_byte(&mut self, byte: u8) -> Result<(), String> {
        if self.len == self.room.len() {
            self.grow(1)?;
        }
        self.room[self.len] = byte;
        self.len += 1;
        Ok(())
    }

    /// Adds bytes as they are.
    pub(crate) fn add_bytes(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.room.len() - self.len < bytes.len() {
            self.grow(bytes.len())?;
        }
        self.room[self.len..][..bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
        Ok(())
    }

    /// Takes everything behind the first `len` bytes away.
    pub(crate) fn cut(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Replaces a byte.
    pub(crate) fn set(&mut self, at: usize, byte: u8) {
        self.room[at] = byte;
    }

    #[cold]
    fn grow(&mut self, more: usize) -> Result<(), String> {
        let grown = (self.room.len() * 2).max(self.room.len() + more).max(Writer::LEAST);
        let room = self.room.try_reserve_exact(grown - self.room.len());
        room.map_err(|e| e.to_string())?;
        self.room.resize(grown, 0);
        Ok(())
    }
}

fn reason(e: postcard::Error) -> String {
    take_reason().unwrap_or_else(|| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_survives_the_wire() {
        let value = (7u8, String::from("seven"), Some(vec![1i64, -1]));
        assert_eq!(decode::<(u8, String, Option<Vec<i64>>)>(&encode(&value).unwrap()), Ok(value));
    }

    #[test]
    fn plain_data_is_its_bytes() {
        let bytes = encode(&Plain([1u32, 2])).unwrap();
        assert_eq!(bytes[1..], [1u32.to_ne_bytes(), 2u32.to_ne_bytes()].concat());
        assert_eq!(decode::<Plain<[u32; 2]>>(&bytes), Ok(Plain([1, 2])));
        assert!(decode::<Plain<[u32; 3]>>(&bytes).is_err());
        assert_eq!(decode::<Plain<()>>(&encode(&Plain(())).unwrap()), Ok(Plain(())));
    }

    #[test]
    fn small_values_are_encoded_as_all_others_are() {
        fn assert_same<T: Serialize + Copy>(value: T) {
            let small = with_bytes(&value, <[u8]>::to_vec).unwrap();
            assert_eq!(small, encode(&value).unwrap());
        }
        (0..64).for_each(|bits| assert_same(1u64 << bits));
        (0..32).for_each(|bits| assert_same((1i32 << bits, bits as u8, 1.5f64, bits > 3)));
        assert_same([u64::MAX; 8]); // 80 bytes
        assert_same([0xffu8; 32]);
        assert_same([u128::MAX; 4]); // 76 bytes
        assert_same(("", "a", "ab", "abcd"));
        // Longer than there is room: written elsewhere.
        assert_same(("0123456789012345678901234567890123456789", 7u8));
        assert_same("0123456789".repeat(20).as_str());
    }

    #[test]
    fn short_and_long_bytes_are_refused() {
        let bytes = encode(&(1u32, 2u32)).unwrap();
        assert!(decode::<(u32, u32, u32)>(&bytes).is_err());
        assert_eq!(decode::<u32>(&bytes), Err("1 bytes too many".into()));
    }
}
