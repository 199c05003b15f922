//! Mapped memory that several processes share, and who they are.
//!
//! A [`Region`] is a file in memory with a header, a table of participants and a directory of
//! objects. Every shared object lives in one: in a region of its own, or packed with others.

mod block;
pub(crate) mod courier;
#[cfg(feature = "serde")]
pub(crate) mod deposit;
mod directory;
pub(crate) mod ear;
mod header;
pub(crate) mod id;
mod kind;
mod mapping;
mod name;
mod object;
mod participant;
#[cfg(feature = "shared_memory")]
mod segment;
#[cfg(feature = "serde")]
pub(crate) mod transfer;
mod view;
pub(crate) mod watch;

pub use directory::{Bytes, Element};
#[allow(unused_imports)]
pub(crate) use directory::{OwnerField, OwnerWords};
pub(crate) use kind::Kind;
pub(crate) use mapping::Attached;
pub use object::{Address, Place};
#[allow(unused_imports)]
pub(crate) use object::{Object, Pinned, PinnedSlice, Spec};
#[cfg(feature = "serde")]
pub(crate) use transfer::Arrival;
#[cfg(feature = "serde")]
pub(crate) use view::Word;
pub(crate) use view::{Flag, Shared, copy};

/// How many children this process has seen to end: a hint that somebody may have died.
pub(crate) fn children_reaped() -> u32 {
    #[cfg(feature = "serde")]
    return crate::sys::process::reaped();
    #[cfg(not(feature = "serde"))]
    return 0; // no children
}

use crate::error::{Error, Result};
use header::{DEFAULT_PARTICIPANTS, Geometry};
use mapping::{Backing, Mapping};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

/// Lets a handle `$name<T: Pod>`, whose `inner` is a `$inner<T>` made by `on(Object)`, be passed to
/// another process wherever serde values are; or a handle `$name` without elements (`for $name`).
macro_rules! passed_by_handle {
    (for $name:ident in $inner:ident, $kind:ident) => {
        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.inner.object().send(serializer, |_| Ok(None))
            }
        }

        #[cfg(feature = "serde")]
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<$name, D::Error> {
                use crate::region::{Element, Kind, Object};
                let arrival = Object::receive(d, Kind::$kind, Element::of::<()>())?;
                let inner = $inner::on(arrival.object).map_err(serde::de::Error::custom)?;
                Ok($name { inner })
            }
        }
    };
    ($name:ident in $inner:ident, $kind:ident) => {
        #[cfg(feature = "serde")]
        impl<T: bytemuck::Pod> serde::Serialize for $name<T> {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.inner.object().send(serializer, |_| Ok(None))
            }
        }

        #[cfg(feature = "serde")]
        impl<'de, T: bytemuck::Pod> serde::Deserialize<'de> for $name<T> {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<$name<T>, D::Error> {
                use crate::region::{Element, Kind, Object};
                let arrival = Object::receive(d, Kind::$kind, Element::of::<T>())?;
                let inner = $inner::on(arrival.object).map_err(serde::de::Error::custom)?;
                Ok($name { inner })
            }
        }
    };
}
pub(crate) use passed_by_handle;

/// Shared memory for many objects, under one descriptor and one participant slot a process.
///
/// Any thread of any process may use a region at once; clones are handles to the same region. The
/// objects in it live as long as the region does: until its last user drops it or dies.
///
/// ```
/// use shmkit::{Lock, Region, Value};
///
/// let region = Region::new(1 << 20)?; // up to 1 MiB of objects; memory is taken as they are made
/// let lock = Lock::new_in(&region, 0u64)?;
/// let value = Value::new_in(&region, 1.5f64)?;
/// # drop((lock, value));
/// # Ok::<(), shmkit::Error>(())
/// ```
#[derive(Clone)]
pub struct Region {
    mapping: Arc<Mapping>,
}

/// How a region is made, where the defaults do not do.
///
/// ```
/// let region = shmkit::RegionOptions::new(1 << 20).participants(500).anonymous()?;
/// # drop(region);
/// # Ok::<(), shmkit::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RegionOptions {
    object_bytes: u64,
    participants: u32,
}

impl RegionOptions {
    /// A region for objects of up to `object_bytes` bytes in all.
    ///
    /// That much address space is reserved; memory is taken only as objects are made.
    pub fn new(object_bytes: u64) -> RegionOptions {
        RegionOptions { object_bytes, participants: DEFAULT_PARTICIPANTS }
    }

    /// How many processes may use the region at once: 1 to 4096, 128 by default; 16 bytes each.
    pub fn participants(mut self, participants: u32) -> RegionOptions {
        self.participants = participants;
        self
    }

    /// Makes a region without a name.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a number of participants out of range, [`Error::NoMemory`],
    /// [`Error::Os`].
    pub fn anonymous(self) -> Result<Region> {
        self.publish(Place::Anonymous)
    }

    /// Makes a region that unrelated processes of the same user find by `name`.
    ///
    /// # Errors
    ///
    /// As [`RegionOptions::anonymous`]; [`Error::Exists`] when a live region has the name,
    /// [`Error::InvalidName`], [`Error::NoSpace`].
    pub fn create(self, name: &str) -> Result<Region> {
        self.publish(Place::Named(name))
    }

    fn publish(self, place: Place<'_>) -> Result<Region> {
        let mapping = self.unpublished(place, Kind::Region)?;
        mapping.publish()?;
        Ok(Region { mapping })
    }

    /// The same with room for `bytes` more.
    #[cfg(feature = "serde")]
    pub(crate) fn and(mut self, bytes: u64) -> RegionOptions {
        self.object_bytes = self.object_bytes.saturating_add(bytes);
        self
    }

    fn unpublished(self, place: Place<'_>, kind: Kind) -> Result<Arc<Mapping>> {
        let backing = match place {
            Place::Named(name) => {
                let path = name::path(name)?;
                if !name::reclaim(&path)? {
                    return Err(Error::Exists);
                }
                Backing::Named(path)
            }
            _ => Backing::Anonymous,
        };
        let plan = Geometry::plan(kind as u32, self.participants, self.object_bytes)?;
        Mapping::create(backing, plan)
    }
}

impl Region {
    /// Makes a region without a name, for objects of up to `object_bytes` bytes in all.
    ///
    /// # Errors
    ///
    /// As [`RegionOptions::anonymous`].
    pub fn new(object_bytes: u64) -> Result<Region> {
        RegionOptions::new(object_bytes).anonymous()
    }

    /// Makes a region that unrelated processes of the same user find by `name`.
    ///
    /// The name goes with the last handle; after a kill, the next `create` or `open` removes it.
    ///
    /// # Errors
    ///
    /// As [`RegionOptions::create`].
    pub fn create(name: &str, object_bytes: u64) -> Result<Region> {
        RegionOptions::new(object_bytes).create(name)
    }

    /// Opens the live region of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when no live region has the name; [`Error::NotARegion`],
    /// [`Error::Truncated`], [`Error::FormatVersion`], [`Error::LayoutMismatch`],
    /// [`Error::Corrupt`] for what is there instead; [`Error::TypeMismatch`] for a single object;
    /// [`Error::TooManyParticipants`], [`Error::InvalidName`], [`Error::Os`].
    pub fn open(name: &str) -> Result<Region> {
        Region::of_any(Region::join_named(name)?)
    }

    /// Joins the region behind a descriptor that another process sent.
    ///
    /// The file is opened anew: the descriptor's own description is not kept.
    ///
    /// # Errors
    ///
    /// As [`Region::open`], names aside; [`Error::Unsealed`] for a memfd that a peer may truncate.
    pub fn from_fd(fd: BorrowedFd<'_>) -> Result<Region> {
        Region::of_any(Mapping::join(crate::sys::memory::reopen(fd)?, None, None)?)
    }

    /// Takes a name away: nobody finds what it led to any more, and those who use that go on.
    #[doc(hidden)]
    pub fn unlink(name: &str) -> Result<()> {
        let path = name::path(name)?;
        name::unlink(&path)
    }

    /// Where the region lies in this process.
    #[doc(hidden)]
    pub fn base(&self) -> std::ptr::NonNull<u8> {
        self.mapping.view().base()
    }

    fn of_any(mapping: Arc<Mapping>) -> Result<Region> {
        match mapping.geometry().kind {
            kind if kind == Kind::Region as u32 => Ok(Region { mapping }),
            other => Err(Error::TypeMismatch {
                expected: Kind::name(Kind::Region as u32),
                found: Kind::name(other),
            }),
        }
    }

    fn join_named(name: &str) -> Result<Arc<Mapping>> {
        let path = name::path(name)?;
        Mapping::join(name::open(&path)?, Some(path), None)
    }

    fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    fn from_mapping(mapping: Arc<Mapping>) -> Region {
        Region { mapping }
    }

    /// The name, if the region has one.
    pub fn name(&self) -> Option<&str> {
        self.mapping.path()?.file_name()?.to_str()?.strip_prefix("shmkit.")
    }

    /// Size of the region with its tables, in bytes: address space, not memory.
    pub fn len_bytes(&self) -> u64 {
        self.mapping.geometry().region_bytes
    }

    /// Pids of the processes that use the region now, in no particular order.
    ///
    /// 0 stands for one that is still being started. The answer may go stale at once.
    pub fn participants(&self) -> Vec<u32> {
        self.mapping.table().living(self.mapping.fd(), self.mapping.own_id())
    }
}

impl AsFd for Region {
    /// The descriptor, to send to another process ([`Region::from_fd`]).
    ///
    /// Do not lock bytes of it or keep a duplicate: its description carries the locks that tell
    /// the others whether this process lives.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mapping.fd()
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region")
            .field("name", &self.name())
            .field("len_bytes", &self.len_bytes())
            .finish_non_exhaustive()
    }
}
