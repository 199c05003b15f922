//! Arrays of bytes as strings: what C and Python keep in a `char` array.

use super::{Array, RawArray};
use crate::error::{Error, Result};

/// Bytes as a string: as many as come before the first NUL, or all if there is none. The encoding is
/// the user's affair.
///
/// ```
/// let word = shmkit::Array::<u8>::zeroed(5)?;
/// word.set_value(b"zty")?;
/// assert_eq!(word.value()?, b"zty");
/// assert_eq!(word.raw()?, b"zty\0\0");
/// assert!(word.set_value(b"longer").is_err()); // and the word is as before
/// # Ok::<(), shmkit::Error>(())
/// ```
impl Array<u8> {
    /// A copy of the bytes before the first NUL. Waits for the array's lock.
    ///
    /// # Errors
    ///
    /// Those of [`Array::lock`].
    pub fn value(&self) -> Result<Vec<u8>> {
        Ok(before_nul(self.raw()?))
    }

    /// A copy of all bytes. Waits for the array's lock.
    ///
    /// # Errors
    ///
    /// Those of [`Array::lock`].
    pub fn raw(&self) -> Result<Vec<u8>> {
        self.to_vec(..)
    }

    /// Writes `text` from the start on, and a NUL behind it if there is room; what lies further
    /// behind stays. Waits for the array's lock.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] if `text` is longer than the array, which stays as it is then, and those of
    /// [`Array::lock`].
    pub fn set_value(&self, text: &[u8]) -> Result<()> {
        check_fits(text, self.len())?;
        let mut bytes = self.lock()?;
        bytes[..text.len()].copy_from_slice(text);
        if let Some(end) = bytes.get_mut(text.len()) {
            *end = 0;
        }
        Ok(())
    }
}

/// Bytes as a string, without a lock: if others write at the same time, a reader may find bytes of
/// several texts.
///
/// ```
/// let word = shmkit::RawArray::from_slice(b"hello")?;
/// word.set_value(b"me")?;
/// assert_eq!((word.value(), word.raw()), (b"me".to_vec(), b"me\0lo".to_vec()));
/// # Ok::<(), shmkit::Error>(())
/// ```
impl RawArray<u8> {
    /// A copy of the bytes before the first NUL. Wait-free.
    pub fn value(&self) -> Vec<u8> {
        before_nul(self.raw())
    }

    /// A copy of all bytes. Wait-free.
    pub fn raw(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        self.inner.elements().read(0, &mut bytes);
        bytes
    }

    /// Writes `text` from the start on, and a NUL behind it if there is room; what lies further
    /// behind stays. Wait-free.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] if `text` is longer than the array, which stays as it is then.
    pub fn set_value(&self, text: &[u8]) -> Result<()> {
        check_fits(text, self.len())?;
        self.inner.elements().write(0, text);
        if text.len() < self.len() {
            self.inner.elements().write(text.len(), &[0]);
        }
        Ok(())
    }
}

fn check_fits(text: &[u8], room: usize) -> Result<()> {
    if text.len() > room { Err(Error::TooLong { len: text.len(), room }) } else { Ok(()) }
}

fn before_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}
