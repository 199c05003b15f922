//! Who uses a region: slots that the kernel frees however their owner ends.
//!
//! Each process that attaches takes a slot and holds one OFD byte lock for it, on a file
//! description that no other process shares. The lock is the death test: right for zombies, reused
//! pids, exited leader threads and foreign PID namespaces. Precedent: LMDB's reader table.
//!
//! - P1. The occupant of slot `i` is whoever holds byte `participant(i)`; a slot changes hands only
//!   under the lock on `CHANGE`.
//! - P2. Before a slot's generation grows, every owner word that names the slot has been swept to
//!   [`ParticipantId::DEAD`]: an id or a number in a word is the present occupant's, or dead.
//! - P3. Who dies between taking the byte and raising the generation has claimed nothing: the next
//!   attacher finds the byte free and does it all again.
//!
//! | edge | Release | Acquire | then visible |
//! |---|---|---|---|
//! | occupy | `attach` stores `generation` | `is_dead` loads `generation` | the swept words |

use super::directory::Directory;
use super::header::{Geometry, Header, lock_byte};
use super::id::{GENERATION_BITS, NUMBER_DEAD, ParticipantId};
use super::view::{Shared, View};
use crate::error::{Error, Result};
use crate::sync::{AtomicU32, AtomicU64, Ordering::*};
use crate::sys::identity::{self, Birth};
use crate::sys::ofd::{self, Mode};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// One participant: 16 bytes, all zero before the first occupant.
#[repr(C)]
pub(crate) struct Slot {
    generation: AtomicU32,
    /// 0 while the occupant is still on its way to the process that it is for.
    pid: AtomicU32,
    birth: AtomicU64,
}

// SAFETY: atomics only; any bytes are valid.
#[allow(unsafe_code)]
unsafe impl Shared for Slot {}

const _: () = assert!(size_of::<Slot>() == 16);

/// The participant table of one mapping.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    view: View<'a>,
    len: u32,
}

/// How long the byte of a dead participant may be held by a copy of its description before that is
/// taken for good, and between two looks.
const LINGERS_MAX: Duration = Duration::from_secs(1);
const NAP: Duration = Duration::from_millis(1);

/// Runs `f` while nobody else changes the participant table or the directory.
pub(crate) fn changing<R>(fd: BorrowedFd<'_>, f: impl FnOnce() -> Result<R>) -> Result<R> {
    ofd::lock(fd, lock_byte::CHANGE, Mode::Exclusive)?;
    let done = f();
    ofd::unlock(fd, lock_byte::CHANGE)?;
    done
}

impl<'a> Table<'a> {
    pub(crate) fn new(view: View<'a>, geometry: &Geometry) -> Table<'a> {
        Table { view, len: geometry.participants }
    }

    fn slot(&self, index: u32) -> Result<&'a Slot> {
        self.view.at(size_of::<Header>() as u64 + u64::from(index) * size_of::<Slot>() as u64)
    }

    /// Takes a slot for the description `fd`, which carries no participant yet.
    ///
    /// `here`: the occupant is this process; otherwise `fd` will be passed to another one, which
    /// calls [`Table::arrived`].
    ///
    /// Waits for a moment where all slots are taken, but one of them by the copy of a dead process's
    /// description that somebody else is about to close.
    pub(crate) fn attach(
        &self,
        fd: BorrowedFd<'_>,
        directory: &Directory<'_>,
        here: bool,
    ) -> Result<ParticipantId> {
        let mut naps = LINGERS_MAX.as_millis() / NAP.as_millis();
        loop {
            let taken = changing(fd, || self.take_slot(fd, directory, here))?;
            match taken {
                Some(id) => return Ok(id),
                None if naps > 0 && self.has_leftover() => naps -= 1,
                None => return Err(Error::TooManyParticipants { limit: self.len }),
            }
            std::thread::sleep(NAP);
        }
    }

    /// Takes a slot, if one is free; the caller has the lock on `CHANGE`.
    fn take_slot(
        &self,
        fd: BorrowedFd<'_>,
        directory: &Directory<'_>,
        here: bool,
    ) -> Result<Option<ParticipantId>> {
        // Slots that nobody has used come first: they need no sweep.
        for fresh in [true, false] {
            for index in 0..self.len {
                let slot = self.slot(index)?;
                let last = slot.generation.load(Relaxed); // P1: changed under the lock we hold
                if (last == 0) != fresh {
                    continue;
                }
                if ofd::try_lock(fd, lock_byte::participant(index), Mode::Exclusive)? {
                    if last != 0 {
                        directory.sweep(index + 1);
                    }
                    return Ok(Some(self.occupy(index, slot, here)));
                }
            }
        }
        Ok(None)
    }

    /// Whether the byte of a slot is held although its process is gone: by a copy of its description,
    /// in a process that another thread of its sender starts and that comes to its `exec` soon.
    fn has_leftover(&self) -> bool {
        (0..self.len).any(|index| self.slot(index).is_ok_and(is_without_process))
    }

    fn occupy(&self, index: u32, slot: &Slot, here: bool) -> ParticipantId {
        let next = (slot.generation.load(Relaxed) + 1) & ((1 << GENERATION_BITS) - 1);
        let id = ParticipantId::new(index, next.max(1));
        self.describe(slot, here);
        slot.generation.store(id.generation(), Release); // occupy
        id
    }

    fn describe(&self, slot: &Slot, here: bool) {
        // Relaxed: hints for the second opinion in `is_dead`, checked there again.
        slot.birth.store(if here { identity::birth().0 } else { 0 }, Relaxed);
        slot.pid.store(if here { identity::pid() } else { 0 }, Relaxed);
    }

    /// Notes that the participant which was attached for us is this process now.
    pub(crate) fn arrived(&self, id: ParticipantId) -> Result<()> {
        let index = id.number().wrapping_sub(1);
        if index >= self.len {
            return Err(Error::Corrupt("participant id of a handle"));
        }
        let slot = self.slot(index)?;
        if slot.generation.load(Acquire) != id.generation() {
            return Err(Error::HandleGone);
        }
        self.describe(slot, true);
        Ok(())
    }

    /// Whether `id`, which is not ours, has died. `fd` is our description.
    ///
    /// Dead is: swept, out of range, superseded by a later generation, or the byte is free while
    /// the generation still stands. A raw `clone` in the owner may keep its description open beyond
    /// its death, so a pid that is gone from our own PID namespace counts as well.
    pub(crate) fn is_dead(&self, fd: BorrowedFd<'_>, id: ParticipantId) -> bool {
        let number = id.number();
        if number == 0 || number == NUMBER_DEAD || number > self.len {
            return true;
        }
        let index = number - 1;
        let Ok(slot) = self.slot(index) else { return true };
        if slot.generation.load(Acquire) != id.generation() {
            return true; // P2
        }
        let held = ofd::is_held_by_other(fd, lock_byte::participant(index)).unwrap_or(true);
        let gone = !held || is_without_process(slot);
        // occupy, Acquire: what was read above was this generation's only if it still stands; if it
        // does not, the occupant we asked about is dead all the more.
        gone || slot.generation.load(Acquire) != id.generation()
    }

    /// Whether the present or the last occupant of a slot, which is not ours, has died.
    pub(crate) fn is_number_dead(&self, fd: BorrowedFd<'_>, number: u32) -> bool {
        let occupant = number.checked_sub(1).filter(|index| *index < self.len).and_then(|index| {
            // occupy, Acquire: whose generation it is has attached.
            let generation = self.slot(index).ok()?.generation.load(Acquire);
            let used = generation != 0 && generation >> GENERATION_BITS == 0;
            used.then(|| ParticipantId::new(index, generation))
        });
        occupant.is_none_or(|id| self.is_dead(fd, id)) // nobody ever: nobody alive
    }

    /// The pid of a participant, alive or dead; 0 if another has its slot by now.
    pub(crate) fn pid_of(&self, id: ParticipantId) -> u32 {
        let Ok(slot) = self.slot(id.number().wrapping_sub(1)) else { return 0 };
        let pid = slot.pid.load(Relaxed);
        // occupy, Acquire: the pid is this generation's if that still stands.
        if slot.generation.load(Acquire) == id.generation() { pid } else { 0 }
    }

    /// Pids of the participants that are attached now, for reports.
    pub(crate) fn living(&self, fd: BorrowedFd<'_>, own: Option<ParticipantId>) -> Vec<u32> {
        (0..self.len)
            .filter_map(|index| {
                let slot = self.slot(index).ok()?;
                let generation = slot.generation.load(Acquire);
                if generation == 0 || generation >> GENERATION_BITS != 0 {
                    return None;
                }
                let id = ParticipantId::new(index, generation);
                let alive = Some(id) == own || !self.is_dead(fd, id);
                alive.then(|| slot.pid.load(Relaxed))
            })
            .collect()
    }
}

/// Whether the process that took this slot is known to be gone.
fn is_without_process(slot: &Slot) -> bool {
    let (pid, birth) = (slot.pid.load(Relaxed), Birth(slot.birth.load(Relaxed)));
    pid != 0 && birth.same_namespace(identity::birth()) && identity::is_gone(pid)
}
