//! `SharedMemory`: a block of bytes that processes share.

use super::raw::RawArray;
use crate::error::{Error, Result};
use crate::region::Region;
use std::ops::RangeBounds;

/// A block of bytes in shared memory, by name or without: for data of whatever form, of which every
/// process writes its own part, or which other objects guard.
///
/// Any number of processes and threads may use one block at once; clones are handles to the same
/// block. Nothing here waits. Bytes are copied in and out: what others write at the same time may be
/// seen byte by byte, and is never undefined. The block goes with its last user, also if that one is
/// killed; nobody has to unlink it, and nobody can while it is used. It is a [`RawArray`] of bytes, and
/// each opens the other's.
///
/// ```
/// # let name = format!("doc.shared_memory.{}", std::process::id());
/// use shmkit::{Error, SharedMemory};
///
/// let made = SharedMemory::create(&name, 10)?;
/// made.write(2, b"howdy")?;
/// let found = SharedMemory::attach(&name)?; // in another program
/// assert_eq!(found.to_vec(..8)?, b"\0\0howdy\0");
/// assert!(matches!(found.write(8, b"too long"), Err(Error::OutOfRange { .. })));
/// drop((made, found));
/// assert!(matches!(SharedMemory::attach(&name), Err(Error::NotFound)));
/// # Ok::<(), Error>(())
/// ```
///
/// # From Python
///
/// `SharedMemory(name, create=True, size=n)` is [`create`](SharedMemory::create), without `create`
/// [`attach`](SharedMemory::attach); `buf[a:b]` is [`to_vec`](SharedMemory::to_vec) and
/// [`write`](SharedMemory::write), `size` is [`len`](SharedMemory::len). `close` is the drop of the
/// handle, which no live view can forbid, and `unlink` comes by itself.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SharedMemory {
    bytes: RawArray<u8>,
}

impl SharedMemory {
    /// Makes `len` zeroed bytes without a name.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for no bytes at all, [`Error::NoMemory`], [`Error::Os`].
    pub fn new(len: usize) -> Result<SharedMemory> {
        let bytes = RawArray::zeroed(some(len)?)?;
        Ok(SharedMemory { bytes })
    }

    /// Makes `len` zeroed bytes that unrelated processes of the same user find by `name`.
    ///
    /// # Errors
    ///
    /// As [`SharedMemory::new`]; [`Error::Exists`] when a live object has the name,
    /// [`Error::InvalidName`], [`Error::NoSpace`].
    pub fn create(name: &str, len: usize) -> Result<SharedMemory> {
        let bytes = RawArray::create(name, some(len)?)?;
        Ok(SharedMemory { bytes })
    }

    /// Opens the live block of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::TypeMismatch`] for another kind of object, and those of
    /// [`Region::open`].
    pub fn attach(name: &str) -> Result<SharedMemory> {
        Ok(SharedMemory { bytes: RawArray::open(name)? })
    }

    /// Makes `len` zeroed bytes in `region`, beside other objects.
    ///
    /// # Errors
    ///
    /// As [`SharedMemory::new`]; [`Error::NoSpace`] when the region is full.
    pub fn new_in(region: &Region, len: usize) -> Result<SharedMemory> {
        let bytes = RawArray::new_in(region, some(len)?)?;
        Ok(SharedMemory { bytes })
    }

    /// The number of bytes; it never changes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Never: a block has a byte at least.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Copies bytes from `offset` on to all of `target`. Wait-free.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if there are not so many; then `target` is as before.
    pub fn read(&self, offset: usize, target: &mut [u8]) -> Result<()> {
        self.bytes.copy_to(offset..offset.saturating_add(target.len()), target)
    }

    /// Copies all of `source` over the bytes from `offset` on. Wait-free.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] if there are not so many; then nothing is written.
    pub fn write(&self, offset: usize, source: &[u8]) -> Result<()> {
        self.bytes.copy_from(offset..offset.saturating_add(source.len()), source)
    }

    /// A copy of the bytes of `range`; `..` for all. Wait-free.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`], [`Error::InvalidArgument`] for a range that is none.
    pub fn to_vec(&self, range: impl RangeBounds<usize>) -> Result<Vec<u8>> {
        self.bytes.to_vec(range)
    }
}

/// Python refuses a block without bytes, and so does the kernel.
fn some(len: usize) -> Result<usize> {
    if len == 0 { Err(Error::InvalidArgument("a block of no bytes")) } else { Ok(len) }
}
