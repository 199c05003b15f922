//! What may travel between processes: any type that serde can write and read back.
//!
//! The wire format is postcard, whose specification is fixed, so that two builds of one program
//! understand each other.

use crate::region::transfer::take_reason;
use serde::Serialize;
use serde::de::DeserializeOwned;

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

/// The value in `bytes`, all of which must belong to it.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    take_reason();
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes too many", rest.len())),
        Err(e) => Err(reason(e)),
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
    fn short_and_long_bytes_are_refused() {
        let bytes = encode(&(1u32, 2u32)).unwrap();
        assert!(decode::<(u32, u32, u32)>(&bytes).is_err());
        assert_eq!(decode::<u32>(&bytes), Err("1 bytes too many".into()));
    }
}
