//! One region in one process: the mapped bytes, the descriptor, and our place among its users.
//!
//! - M1. The mapping covers `geometry.region_bytes` bytes and lives as long as the `Mapping`.
//! - M2. A process has one `Mapping`, one description and one participant for a region, however
//!   many handles it has; a forked child gets its own description and participant on first use.

#![allow(unsafe_code)]

use super::directory::Directory;
use super::header::{Geometry, LINE_BYTES, RING_AT, lock_byte};
use super::id::{Liveness, Numbers, ParticipantId};
use super::name;
use super::participant::{self, Table};
use super::view::View;
use crate::error::{Error, Result};
use crate::sync::{AtomicU32, AtomicU64, Ordering::*};
use crate::sys::fork;
use crate::sys::memory::{self, FileId};
use crate::sys::ofd::{self, Mode};
use memmap2::{MmapOptions, MmapRaw};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Below this, memory is not counted before it is asked for: the count costs more.
const COUNTED_BYTES: u64 = 1 << 20;

pub(crate) struct Mapping {
    map: MmapRaw,
    /// Never that of another mapping of this process, while addresses come again.
    serial: u64,
    geometry: Geometry,
    file: FileId,
    path: Option<PathBuf>,
    /// Reads 0 until this process is attached; a fork wipes it.
    id: &'static AtomicU32,
    /// `None` only while it is dropped.
    user: Option<User>,
}

/// The descriptor and what a fork does to it; the entry goes first.
struct User {
    _entry: fork::Entry,
    fd: OwnedFd,
}

/// The regions that this process has open (M2). Used within [`fork::exclusive`] only.
static OPEN: Mutex<BTreeMap<FileId, Weak<Mapping>>> = Mutex::new(BTreeMap::new());

fn open_regions<R>(f: impl FnOnce(&mut BTreeMap<FileId, Weak<Mapping>>) -> R) -> R {
    f(&mut OPEN.lock().unwrap_or_else(PoisonError::into_inner))
}

/// What stands behind a new region.
pub(crate) enum Backing {
    /// A memfd, sealed once it has its size.
    Anonymous,
    /// A file that gets this name in [`Mapping::publish`].
    Named(PathBuf),
    /// An existing file of a fixed size, zero so far.
    #[cfg(feature = "shared_memory")]
    Segment(OwnedFd),
}

impl Mapping {
    /// Makes a region of this geometry, attached, visible to nobody else yet.
    pub(crate) fn create(backing: Backing, geometry: Geometry) -> Result<Arc<Mapping>> {
        let tables = geometry.objects_offset();
        let (fd, unlocked, path) = match backing {
            Backing::Anonymous => {
                let first = memory::memfd("shmkit")?;
                size(first.as_fd(), geometry.region_bytes)?;
                memory::seal(first.as_fd())?;
                // Writes by the first description are told to nobody: see `memory::touch`.
                (memory::reopen(first.as_fd())?, first, None)
            }
            Backing::Named(path) => {
                let fd = memory::nameless_file(0o600)?;
                size(fd.as_fd(), geometry.region_bytes)?;
                ofd::lock(fd.as_fd(), lock_byte::USERS, Mode::Shared)?;
                let unlocked = memory::reopen(fd.as_fd())?;
                (fd, unlocked, Some(path))
            }
            #[cfg(feature = "shared_memory")]
            Backing::Segment(fd) => {
                let unlocked = memory::reopen(fd.as_fd())?;
                (fd, unlocked, None)
            }
        };
        back(fd.as_fd(), 0, tables)?;
        let map = map(unlocked.as_fd(), geometry.region_bytes)?;
        let file = memory::stat(fd.as_fd())?.id;
        let mapping = Arc::new(Mapping::with_user(map, geometry, file, path, fd)?);
        fork::exclusive(|| {
            mapping.attach()?;
            geometry.stamp(mapping.view())?;
            open_regions(|open| open.insert(file, Arc::downgrade(&mapping)));
            Ok(())
        })
        // Here, and in `join`, a failed mapping is dropped outside: its drop takes the registry.
        .map(|()| mapping)
    }

    /// Makes the region findable under its name.
    pub(crate) fn publish(&self) -> Result<()> {
        match &self.path {
            Some(path) => name::publish(self.fd(), path),
            None => Ok(()),
        }
    }

    /// Joins the region behind `fd`, a description of our own.
    ///
    /// `adopt`: the participant that somebody attached on `fd` for us.
    pub(crate) fn join(
        fd: OwnedFd,
        path: Option<PathBuf>,
        adopt: Option<ParticipantId>,
    ) -> Result<Arc<Mapping>> {
        let stat = memory::stat(fd.as_fd())?;
        if !stat.is_regular {
            return Err(Error::NotARegion);
        }
        if memory::may_be_cut(fd.as_fd()) {
            return Err(Error::Unsealed);
        }
        let known = || open_regions(|open| open.get(&stat.id).and_then(Weak::upgrade));
        if let Some(mapping) = fork::exclusive(known) {
            mapping.attached()?; // a forked child that opens what it inherited becomes a user
            return Ok(mapping);
        }
        let map = map(memory::reopen(fd.as_fd())?.as_fd(), stat.len_bytes)?;
        let geometry = Geometry::read(view_of(&map, stat.len_bytes))?;
        let mapping = Arc::new(Mapping::with_user(map, geometry, stat.id, path, fd)?);
        let other = fork::exclusive(|| {
            if let Some(other) = known() {
                return Ok(Some(other)); // another thread was faster
            }
            match adopt {
                Some(id) => {
                    mapping.table().arrived(id)?;
                    // Relaxed: the registry lock orders it before any use.
                    mapping.id.store(id.word(), Relaxed);
                }
                None => mapping.attach()?,
            }
            open_regions(|open| open.insert(stat.id, Arc::downgrade(&mapping)));
            Ok::<_, Error>(None)
        })?;
        Ok(other.unwrap_or(mapping))
    }

    fn with_user(
        map: MmapRaw,
        geometry: Geometry,
        file: FileId,
        path: Option<PathBuf>,
        fd: OwnedFd,
    ) -> Result<Mapping> {
        let entry = fork::Entry::reopened_in_child(fd.as_fd())?;
        let id = entry.id();
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let serial = NEXT.fetch_add(1, Relaxed); // Relaxed: a number, no more
        Ok(Mapping {
            map,
            serial,
            geometry,
            file,
            path,
            id,
            user: Some(User { _entry: entry, fd }),
        })
    }

    /// Takes a participant slot for this process.
    fn attach(&self) -> Result<()> {
        if self.path.is_some() {
            ofd::lock(self.fd(), lock_byte::USERS, Mode::Shared)?;
        }
        let id = self.table().attach(self.fd(), &self.directory(), true)?;
        // Relaxed: the registry lock, or the handle's own publication, orders it before any use.
        self.id.store(id.word(), Relaxed);
        Ok(())
    }

    /// Takes a participant slot, on the description `fd`, for the process that `fd` is sent to.
    #[cfg(feature = "serde")]
    pub(crate) fn attach_for_other(&self, fd: BorrowedFd<'_>) -> Result<ParticipantId> {
        if self.path.is_some() {
            ofd::lock(fd, lock_byte::USERS, Mode::Shared)?;
        }
        self.table().attach(fd, &self.directory(), false)
    }

    /// This process as a participant; attaches a forked child on its first use.
    #[inline(always)]
    pub(crate) fn attached(&self) -> Result<Attached<'_>> {
        // Only the id comes from two sides, so that the rest stays in registers.
        let me = match self.own_id() {
            Some(me) => me,
            None => self.attach_forked()?,
        };
        Ok(Attached { mapping: self, id: self.id, me })
    }

    #[cold]
    fn attach_forked(&self) -> Result<ParticipantId> {
        fork::exclusive(|| {
            if ParticipantId::from_word(self.id.load(Relaxed)).is_none() {
                fork::settle();
                self.attach()?;
            }
            self.own_id().ok_or(Error::WrongProcess)
        })
    }

    /// Our id, if this process is attached.
    #[inline(always)]
    pub(crate) fn own_id(&self) -> Option<ParticipantId> {
        ParticipantId::from_word(self.id.load(Relaxed))
    }

    /// The word behind [`Mapping::own_id`], as long as the mapping lives: for rings, where even the
    /// way to it counts.
    pub(crate) fn own_id_word(&self) -> &'static AtomicU32 {
        self.id
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        let user = self.user.as_ref().expect("the descriptor is there until drop");
        user.fd.as_fd()
    }

    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    pub(crate) fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    pub(crate) fn path(&self) -> Option<&PathBuf> {
        self.path.as_ref()
    }

    pub(crate) fn view(&self) -> View<'_> {
        view_of(&self.map, self.geometry.region_bytes)
    }

    pub(crate) fn table(&self) -> Table<'_> {
        Table::new(self.view(), &self.geometry)
    }

    pub(crate) fn directory(&self) -> Directory<'_> {
        Directory::new(self.view(), &self.geometry)
    }

    /// Puts memory behind a part of the region, so that touching it cannot fail later.
    pub(crate) fn back(&self, offset: u64, len_bytes: u64) -> Result<()> {
        back(self.fd(), offset, len_bytes)
    }

    /// Gives the memory behind a part of the region back; it reads as zero then.
    pub(crate) fn give_back(&self, offset: u64, len_bytes: u64) -> Result<()> {
        Ok(memory::release(self.fd(), offset, len_bytes)?)
    }

    /// Gives the memory from `offset` to the end back; it reads as zero then.
    pub(crate) fn clear_from(&self, offset: u64) -> Result<()> {
        self.give_back(offset, self.geometry.region_bytes - offset)
    }

    /// Tells every [`Ear`](super::ear::Ear) that listens to this region. Never blocks; a signal
    /// handler may call it.
    #[cold]
    pub(crate) fn ring(&self) {
        // Fails for nobody who has the region open.
        let _ = memory::touch(self.fd(), RING_AT);
    }

    /// Runs `f` while nobody else changes the tables of the region.
    pub(crate) fn changing<R>(&self, f: impl FnOnce() -> Result<R>) -> Result<R> {
        // Threads of this process share the description, so the byte does not keep them apart.
        static LOCAL: Mutex<()> = Mutex::new(());
        let _guard = LOCAL.lock().unwrap_or_else(PoisonError::into_inner);
        self.attached()?;
        participant::changing(self.fd(), f)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        fork::exclusive(|| {
            open_regions(|open| {
                // A later handle may have joined the region anew already.
                if open.get(&self.file).is_some_and(|weak| weak.strong_count() == 0) {
                    open.remove(&self.file);
                }
            });
            if let (Some(path), Some(_)) = (&self.path, self.own_id()) {
                // On failure the name stays for the next create or open to remove.
                let _ = name::leave(self.fd(), path);
            }
            drop(self.user.take());
        });
    }
}

/// This process as a participant of one region.
#[derive(Clone, Copy)]
pub(crate) struct Attached<'a> {
    mapping: &'a Mapping,
    /// Where our id stands, and in a forked child no longer stands.
    id: &'static AtomicU32,
    me: ParticipantId,
}

impl Attached<'_> {
    /// Whether this is still the process that attached, and not a forked child of it.
    #[inline(always)]
    pub(crate) fn is_still_me(&self) -> bool {
        self.id.load(Relaxed) == self.me.word()
    }

    /// See [`Mapping::ring`].
    pub(crate) fn ring(&self) {
        self.mapping.ring();
    }
}

impl Liveness for Attached<'_> {
    #[inline(always)]
    fn me(&self) -> ParticipantId {
        self.me
    }

    fn is_dead(&self, id: ParticipantId) -> bool {
        id != self.me && self.mapping.table().is_dead(self.mapping.fd(), id)
    }
}

impl Numbers for Attached<'_> {
    fn is_number_dead(&self, number: u32) -> bool {
        number != self.me.number() && self.mapping.table().is_number_dead(self.mapping.fd(), number)
    }
}

/// Maps the file behind a description that carries no locks and never will: a mapping keeps its
/// description alive, in forked children too, and there locks would outlive us.
fn map(unlocked: BorrowedFd<'_>, len_bytes: u64) -> Result<MmapRaw> {
    let len = usize::try_from(len_bytes).map_err(|_| no_memory(len_bytes))?;
    if len == 0 {
        return Err(Error::NotARegion);
    }
    use std::os::fd::AsRawFd;
    MmapOptions::new().len(len).map_raw(unlocked.as_raw_fd()).map_err(|e| match e.raw_os_error() {
        Some(libc::ENOMEM) => no_memory(len_bytes),
        _ => Error::Os(e),
    })
}

fn view_of(map: &MmapRaw, len_bytes: u64) -> View<'_> {
    let base = NonNull::new(map.as_mut_ptr()).expect("a mapping is never at address 0");
    debug_assert!(
        len_bytes <= map.len() as u64 && (base.addr().get() as u64).is_multiple_of(LINE_BYTES)
    );
    // SAFETY: V1 by M1: `map` covers `len_bytes` and is borrowed; pages are aligned to 4096. V2 by
    // the rules of `View`, through which all access goes.
    unsafe { View::new(base, len_bytes) }
}

fn size(fd: BorrowedFd<'_>, len_bytes: u64) -> Result<()> {
    memory::set_len(fd, len_bytes).map_err(|e| match e.raw_os_error() {
        Some(libc::EFBIG | libc::EINVAL) => no_memory(len_bytes),
        _ => e.into(),
    })
}

/// A memfd takes whatever it is asked for until the machine dies: refuse what is not there.
fn back(fd: BorrowedFd<'_>, offset: u64, len_bytes: u64) -> Result<()> {
    if len_bytes >= COUNTED_BYTES && len_bytes > memory::available_bytes() {
        return Err(no_memory(len_bytes));
    }
    memory::allocate(fd, offset, len_bytes).map_err(|e| match e.raw_os_error() {
        Some(libc::ENOMEM) => no_memory(len_bytes),
        _ => e.into(),
    })
}

fn no_memory(asked_bytes: u64) -> Error {
    Error::NoMemory { asked_bytes, available_bytes: memory::available_bytes() }
}
