//! Who waits for a condition, in order of arrival: each waiter has a cell, each wake-up an owner.
//!
//! Source: ours. The order of arrival by tickets is Reed and Kanodia's sequencer (1979); that a
//! wake-up is a state of its waiter, and not a count of permits, is what keeps it from being
//! swallowed by the dead.
//!
//! ```text
//! byte 0      4      8      16     24
//!      next   used   crowd  bell   cells, 16 bytes each
//!
//! cell  0..8 word: bits 32..64   30         0..30             8..16 bell
//!                  ticket        NOTIFIED   id of the waiter, 0 = free
//! next  the ticket of the next waiter
//! used  cells from here on have never been used
//! crowd a count: odd while somebody may wait without a cell, one more with each wake-up of those
//! ```
//!
//! # Invariants
//!
//! - I1. A cell goes from free to its waiter's, WAITING, while that one still holds its lock. So who
//!   has the lock after it finds the cell.
//! - I2. A cell goes from WAITING to NOTIFIED by one step of a notifier, which puts `before` in
//!   place of the ticket: the first ticket that came too late for this wake-up. From then on it is
//!   a wake-up with an owner, and counts.
//! - I3. Only its living owner takes a cell further: from WAITING to free at its deadline; from
//!   NOTIFIED to free when it has its lock again, or has passed the wake-up on.
//! - I4. The cell of a dead waiter is freed by whoever comes across it. The wake-up of a dead owner
//!   is adopted first (one step: the cell names the finder then), passed on to the oldest waiter
//!   that came before `before`, and only then freed: killed at any point, somebody still owns it.
//! - I5. Who finds no free cell joins the crowd, and every notification wakes the whole crowd.
//!
//! # Memory ordering
//!
//! | edge | Release | Acquire | then visible |
//! |---|---|---|---|
//! | notify | WAITING to NOTIFIED; a step of `crowd` | the waiter reads its word, or `crowd` | what the notifier wrote before |
//!
//! Everything else is Relaxed. That a notifier finds a waiter rests on the lock, whose release
//! comes after the entry (I1): what is ordered after that, and reads the same words, sees it.
//!
//! # Death
//!
//! A waiter killed before it was notified leaves a cell that the next notifier frees on its way to
//! a living one. Killed after, it leaves a wake-up that a sleeper adopts at the end of a nap, if it
//! is meant for anyone who still waits. A notifier killed between a step and the wake-up costs one
//! nap; those whom it had not come to wait on. A wake-up counts twice, at worst, if its owner and
//! the one who passes it on are both killed.
//!
//! # Limits
//!
//! A notifier looks through all used cells for each waiter that it wakes. The crowd may be woken for
//! nothing. A waiter that sleeps through 2^31 others' arrivals loses its place in the order.

use super::deadline::Deadline;
use super::event::EventCount;
use super::spin::Spin;
use crate::region::id::{Liveness, ParticipantId};
#[cfg(not(loom))]
use crate::region::{OwnerField, OwnerWords, id::GENERATION_BITS};
use crate::sync::{AtomicU32, AtomicU64};
use crate::sync::{Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

/// The waiter has been notified.
const NOTIFIED: u64 = 1 << 30;
const FREE: u64 = 0;

#[derive(Default)]
#[repr(C)]
struct Cell {
    word: AtomicU64,
    bell: EventCount,
}

/// The words of a condition; any bytes are valid, zeros are one that nobody waits for.
#[repr(C)]
pub struct Waiters<const N: usize> {
    next: AtomicU32,
    used: AtomicU32,
    crowd: AtomicU64,
    bell: EventCount,
    cells: [Cell; N],
}

// SAFETY: atomics without padding, and every bit pattern is a condition.
#[cfg(not(loom))]
#[allow(unsafe_code)]
unsafe impl<const N: usize> crate::region::Shared for Waiters<N> {}
#[cfg(not(loom))]
const _: () = assert!(size_of::<Waiters<2>>() == 24 + 2 * 16);

/// Where a waiter waits.
#[derive(Clone, Copy)]
pub enum Place {
    /// In this cell, which held this when it was taken.
    Cell(usize, u64),
    /// In the crowd, since it had this count.
    Crowd(u64),
}

/// What is in a cell.
#[derive(Clone, Copy)]
struct Mark {
    word: u64,
    owner: ParticipantId,
}

impl Mark {
    /// `None` for a free cell.
    fn of(word: u64) -> Option<Mark> {
        ParticipantId::from_word(word as u32).map(|owner| Mark { word, owner })
    }

    fn is_notified(self) -> bool {
        self.word & NOTIFIED != 0
    }

    /// The ticket of a waiter; of one notified, the first that came too late for its wake-up.
    fn ticket(self) -> u32 {
        (self.word >> 32) as u32
    }
}

fn waiting(owner: ParticipantId, ticket: u32) -> u64 {
    u64::from(ticket) << 32 | u64::from(owner.word())
}

fn notified(owner: ParticipantId, before: u32) -> u64 {
    waiting(owner, before) | NOTIFIED
}

impl<const N: usize> Default for Waiters<N> {
    fn default() -> Waiters<N> {
        Waiters {
            next: AtomicU32::new(0),
            used: AtomicU32::new(0),
            crowd: AtomicU64::new(0),
            bell: EventCount::new(),
            cells: std::array::from_fn(|_| Cell::default()),
        }
    }
}

#[cfg(not(loom))]
impl<const N: usize> Waiters<N> {
    /// Where a condition at the start of its object keeps the owners of its cells.
    pub(crate) fn owner_words() -> OwnerWords {
        OwnerWords {
            first_bytes: std::mem::offset_of!(Waiters<N>, cells) as u64,
            stride_bytes: size_of::<Cell>() as u32,
            count: N as u32,
            field: OwnerField::Number { shift: GENERATION_BITS },
        }
    }
}

impl<const N: usize> Waiters<N> {
    /// Becomes a waiter. The caller holds its lock (I1), and calls [`Waiters::leave`] in the end.
    pub fn enter(&self, who: &impl Liveness) -> Place {
        let ticket = self.next.fetch_add(1, Relaxed);
        let mine = waiting(who.me(), ticket);
        if let Some(place) = self.take_cell(mine, |mark| mark.is_none()) {
            return place;
        }
        self.rescue(who);
        let is_free = |mark: Option<Mark>| {
            mark.is_none_or(|mark| !mark.is_notified() && who.is_dead(mark.owner))
        };
        self.take_cell(mine, is_free)
            .unwrap_or_else(|| Place::Crowd(self.crowd.fetch_or(1, Relaxed) | 1))
    }

    fn take_cell(&self, mine: u64, is_free: impl Fn(Option<Mark>) -> bool) -> Option<Place> {
        (0..N).find_map(|index| {
            let word = self.cells[index].word.load(Relaxed);
            if !is_free(Mark::of(word)) {
                return None;
            }
            // First, so that nobody finds the cell in use and `used` below it.
            self.used.fetch_max(index as u32 + 1, Relaxed);
            let taken = self.cells[index].word.compare_exchange(word, mine, Relaxed, Relaxed);
            taken.is_ok().then_some(Place::Cell(index, mine))
        })
    }

    /// Sleeps until notified and says whether that was so; `false` is for the deadline.
    pub fn sleep(
        &self,
        place: Place,
        who: &impl Liveness,
        spin: &Spin,
        deadline: Deadline,
    ) -> bool {
        let (index, mine) = match place {
            Place::Cell(index, mine) => (index, mine),
            Place::Crowd(came) => {
                let attempt = || (self.crowd.load(Acquire) != came).then_some(()); // notify
                return self.bell.wait_until(spin, deadline, attempt, || None).is_some();
            }
        };
        let cell = &self.cells[index];
        let attempt = || (cell.word.load(Acquire) != mine).then_some(()); // notify
        let check = || {
            self.rescue(who);
            attempt()
        };
        cell.bell.wait_until(spin, deadline, attempt, check).is_some()
            // I3. On failure, notify: Acquire.
            || cell.word.compare_exchange(mine, FREE, Relaxed, Acquire).is_err()
    }

    /// Ends a wait that was notified: `held` says that the caller has its lock again.
    pub fn leave(&self, place: Place, who: &impl Liveness, held: bool) {
        let Place::Cell(index, _) = place else { return };
        let cell = &self.cells[index];
        match Mark::of(cell.word.load(Relaxed)) {
            Some(mark) if !held => self.pass_on(cell, mark.ticket(), who),
            _ => self.free(cell),
        }
    }

    /// Wakes the `count` waiters that have waited longest, as far as there are so many; those in
    /// the crowd in any case.
    pub fn notify(&self, count: u32, who: &impl Liveness) {
        if count == 0 {
            return;
        }
        let before = self.next.load(Relaxed);
        for _ in 0..count {
            if !self.wake_oldest(before, who) {
                break;
            }
        }
        let crowd = self.crowd.load(Relaxed);
        // notify, Release. Who finds the count changed is late: another has woken the same crowd.
        if crowd & 1 != 0
            && self.crowd.compare_exchange(crowd, crowd.wrapping_add(1), Release, Relaxed).is_ok()
        {
            self.bell.notify_all();
        }
    }

    /// Notifies the oldest living waiter that came before the ticket `before`; `false` if there is
    /// none.
    fn wake_oldest(&self, before: u32, who: &impl Liveness) -> bool {
        loop {
            let oldest = self
                .used()
                .filter_map(|cell| {
                    let mark = Mark::of(cell.word.load(Relaxed))?;
                    let age = before.wrapping_sub(mark.ticket()).cast_signed();
                    (!mark.is_notified() && age > 0).then_some((age, cell, mark))
                })
                .max_by_key(|(age, ..)| *age);
            let Some((_, cell, mark)) = oldest else { return false };
            if who.is_dead(mark.owner) {
                let _ = cell.word.compare_exchange(mark.word, FREE, Relaxed, Relaxed);
                continue;
            }
            let next = notified(mark.owner, before);
            // notify, Release; I2.
            if cell.word.compare_exchange(mark.word, next, Release, Relaxed).is_ok() {
                cell.bell.notify_all();
                return true;
            }
        }
    }

    /// Passes on the wake-ups of the dead (I4).
    fn rescue(&self, who: &impl Liveness) {
        for cell in self.used() {
            let Some(mark) = Mark::of(cell.word.load(Relaxed)) else { continue };
            if !mark.is_notified() || !who.is_dead(mark.owner) {
                continue;
            }
            let ours = notified(who.me(), mark.ticket());
            if cell.word.compare_exchange(mark.word, ours, Relaxed, Relaxed).is_ok() {
                self.pass_on(cell, mark.ticket(), who);
            }
        }
    }

    /// Gives the wake-up in `cell`, which is ours, to another who waits for it, if there is one.
    fn pass_on(&self, cell: &Cell, before: u32, who: &impl Liveness) {
        self.wake_oldest(before, who);
        self.free(cell);
    }

    /// Ours, and NOTIFIED: nobody else changes it (I3).
    fn free(&self, cell: &Cell) {
        cell.word.swap(FREE, Relaxed);
    }

    fn used(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().take(self.used.load(Relaxed) as usize)
    }
}

#[cfg(all(test, not(loom)))]
#[path = "waiters_tests.rs"]
mod tests;
