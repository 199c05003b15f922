//! Values as bytes in a region, with handles to other objects of that region in them.
//!
//! Most values hold no handles, so that is tried first; the second try knows the region.

use crate::error::{Error, Result};
use crate::message;
use crate::region::Object;
use crate::region::transfer::{is_under_way, keep, take_stranded};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Runs `f` on the bytes of `value`, which is to be kept beside `object`.
#[inline]
pub(super) fn with_bytes<T: Serialize + ?Sized, R>(
    object: &Object,
    value: &T,
    f: impl FnOnce(&[u8]) -> Result<R>,
) -> Result<R> {
    if is_under_way() {
        return keep(object, || message::with_bytes(&value, f)).map_err(Error::Encode)?;
    }
    let mut f = Some(f);
    let run = |bytes: &[u8]| f.take().map(|f| f(bytes));
    match message::with_bytes(&value, run) {
        Ok(Some(done)) => done,
        Ok(None) => Err(Error::Encode(String::new())),
        Err(why) => match f {
            Some(f) if take_stranded() => {
                keep(object, || message::with_bytes(&value, f)).map_err(Error::Encode)?
            }
            _ => Err(Error::Encode(why)),
        },
    }
}

/// Appends the bytes of `value`, which is to be kept beside `object`, to `target`.
pub(super) fn append<T: Serialize>(object: &Object, value: &T, target: &mut Vec<u8>) -> Result<()> {
    with_bytes(object, value, |bytes| {
        target.extend_from_slice(bytes);
        Ok(())
    })
}

/// The value in `bytes`, which was kept beside `object`.
#[inline]
pub(super) fn decode<T: DeserializeOwned>(object: &Object, bytes: &[u8]) -> Result<T> {
    if !is_under_way()
        && let Ok(value) = message::decode(bytes)
    {
        return Ok(value);
    }
    keep(object, || message::decode(bytes)).map_err(Error::Decode)
}

/// Runs `f` with an empty buffer.
#[inline]
pub(super) fn with_buffer<R>(f: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    message::with_scratch(|buffer| {
        buffer.clear();
        f(buffer)
    })
}
