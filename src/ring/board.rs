//! A board of tasks: one process, the owner, posts them, workers claim, run and finish them, and the
//! owner takes the outcomes down.
//!
//! Each task is in a slot, whose one word says everything: which task it is (its generation), how far
//! it has come, and who runs it. One compare-and-swap is claim and record of ownership, so there is no
//! moment at which a task is taken and nobody has it. A ring of hints says which slots to look at next;
//! a hint may be stale, or come twice, for the word decides.
//!
//! Source: the claim that names its owner is that of the robust lock (`lock/raw.rs`) on a word for each
//! task; the ring of hints is Lamport's queue (1977) of one producer, whose consumers share the head by
//! compare-and-swap; ours is that the hints are only hints.
//!
//! ```text
//!   FREE(g) -post-> READY(g) -claim-> RUN(g, w) -finish-> DONE(g) -free-> FREE(g + 1)
//!                      ^                  |
//!                      +---- repost ------+-- bury --> DIED(g) --free-> FREE(g + 1)
//!                      |                  |
//!                      +----- cancel -----+---------> CANCELLED(g)
//! ```
//!
//! # Invariants
//!
//! - I1. Only the owner posts, buries, reposts, cancels and frees, and does one of them at a time.
//! - I2. A word leaves READY(g) by a compare-and-swap of a worker, or by that of `cancel`; it leaves
//!   RUN(g, w) by one of worker `w`, or of the owner, who buries only what is dead. So each generation
//!   of a slot has one outcome, and whoever loses the race for it is told.
//! - I3. The payload of a slot is written by the owner while it is FREE, its result by the worker
//!   while it is RUN by that worker, and neither otherwise.
//! - I4. Each READY slot has a hint between head and tail. A claimant moves the head past a hint only
//!   after it has claimed its slot, or has seen that the slot is not READY in that generation any more.
//!   A slot that is posted again gets another hint.
//! - I5. A generation comes once in 2^46: a hint for a task of the past claims nothing.
//! - I6. WANTED is set by who waits for the outcome of a slot, while the slot is READY or RUN; it stays
//!   until the outcome. So a worker that finds it missing has finished before the waiter looked.
//! - I7. What is read from shared memory is masked or compared with the number of slots of this handle.
//!
//! # Memory ordering
//!
//! | edge | Release | Acquire | then visible |
//! |---|---|---|---|
//! | post | `post` stores READY | `claim` makes it RUN | the payload |
//! | hint | `push` stores `tail` | `claim` loads it | the hint, and that its slot is READY |
//! | outcome | `finish` makes it DONE | `outcome`, `want`, `is_pending` load it | the result |
//! | free | `free` stores FREE | the next `post` is the same process's | nothing more |
//!
//! That all before `bury` is visible is the kernel's, which told of the death. The head is Relaxed: who
//! reads a hint of the next lap by an old head claims that task by its word, which is as good.
//!
//! # Death
//!
//! A worker killed before its claim has done nothing; killed between the claim and the move of the head
//! it has the task, and the next claimant finds a stale hint. Killed anywhere in between it leaves
//! RUN(g, w), which the owner turns into DIED or READY. Killed after `finish` and before it has woken
//! who waits, it leaves DONE, and the owner wakes after every death. A worker that is stopped holds up
//! nobody but who waits for its task. The owner's death is the end of the board.

#[cfg(any(test, loom))]
mod heap;
#[cfg(not(loom))]
pub(crate) mod mapped;
mod site;
#[cfg(all(test, not(loom)))]
#[path = "board_tests.rs"]
mod tests;
mod words;

#[cfg(all(test, loom))]
#[path = "../../tests/loom/board.rs"]
mod loom_tests;

#[cfg(not(loom))]
pub(crate) use words::{SLOTS_MOST, WORKERS_MOST};

use crate::sync::Ordering::*;
#[cfg(any(test, loom))]
pub use heap::Heap;
pub use site::Site;
use words::*;

/// A task that a worker has claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Claim {
    /// Where it is.
    pub slot: u32,
    /// Which task of that slot it is.
    pub generation: u64,
    worker: u32,
}

/// What has become of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was run to its end.
    Done,
    /// Its worker died.
    Died,
    /// Nobody was to run it any more.
    Cancelled,
}

/// A task was no longer the worker's when it was finished.
#[derive(Debug, PartialEq, Eq)]
pub struct Lost;

/// A handle to a board.
#[derive(Clone)]
pub struct Board<S> {
    site: S,
}

impl<S: Site> Board<S> {
    /// A handle to the board of this site.
    pub fn new(site: S) -> Self {
        Board { site }
    }

    /// Which task of a slot is the present or the next one.
    pub fn generation(&self, slot: u32) -> u64 {
        // Relaxed: the owner's own, or a question whether a task is over, which needs no more.
        generation_of(self.site.word(slot).load(Relaxed))
    }

    /// Whether there is room for a hint: always, but for the stale ones of the dead. The owner's.
    pub fn has_room(&self) -> bool {
        let room = || {
            // Relaxed: the tail is the owner's, and the head only grows.
            let tail = self.site.tail().load(Relaxed);
            tail.wrapping_sub(self.site.head().load(Relaxed)) < self.site.hints() as u64
        };
        room() || {
            while self.skip_stale() {}
            room()
        }
    }

    /// Lets a task be claimed whose payload is written: the owner's, of a slot that is FREE in this
    /// generation, when there [is room](Board::has_room). Whom to wake is the caller's business.
    #[inline]
    pub fn post(&self, slot: u32, generation: u64) {
        self.site.word(slot).store(word(generation, 0, READY), Release); // post
        self.push(slot, generation);
    }

    #[inline]
    fn push(&self, slot: u32, generation: u64) {
        let tail = self.site.tail().load(Relaxed); // ours
        self.site.hint(tail).store(hint(slot, generation), Relaxed); // hint, by the tail
        self.site.tail().store(tail.wrapping_add(1), Release); // hint
    }

    /// Claims the next task for a worker; `None` if there is none.
    #[inline]
    pub fn claim(&self, worker: u32) -> Option<Claim> {
        loop {
            let head = self.site.head().load(Relaxed);
            let tail = self.site.tail().load(Acquire); // hint
            if tail.wrapping_sub(head).cast_signed() <= 0 {
                return None;
            }
            let (slot, generation) = of_hint(self.site.hint(head).load(Relaxed)); // hint, by the tail
            let claimed = self.claim_slot(slot, generation, worker);
            // A survivor of a kill here finds a stale hint. Relaxed: see the page.
            let _ = self.site.head().compare_exchange(head, head.wrapping_add(1), Relaxed, Relaxed);
            if claimed.is_some() {
                return claimed;
            }
        }
    }

    #[inline]
    fn claim_slot(&self, slot: u32, generation: u64, worker: u32) -> Option<Claim> {
        if slot as usize >= self.site.slots() {
            return None; // I7
        }
        let place = self.site.word(slot);
        let mut seen = place.load(Relaxed); // a proposal
        while seen & !WANTED == word(generation, 0, READY) {
            let run = word(generation, worker, RUN) | seen & WANTED;
            // post: Acquire.
            match place.compare_exchange(seen, run, Acquire, Relaxed) {
                Ok(_) => return Some(Claim { slot, generation, worker }),
                Err(now) => seen = now,
            }
        }
        None
    }

    /// Moves the head past a hint that claims nothing, if that is so of the first one.
    fn skip_stale(&self) -> bool {
        let head = self.site.head().load(Relaxed);
        if head == self.site.tail().load(Relaxed) {
            return false;
        }
        let (slot, generation) = of_hint(self.site.hint(head).load(Relaxed)); // the owner's own
        let seen = self.site.word(slot).load(Relaxed); // READY is the owner's own, and goes once
        seen & !WANTED != word(generation, 0, READY) && {
            let next = head.wrapping_add(1);
            let _ = self.site.head().compare_exchange(head, next, Relaxed, Relaxed);
            true
        }
    }

    /// Ends a task: its result is written. Whether somebody waits for it, who is to be woken.
    #[inline]
    pub fn finish(&self, claim: Claim) -> Result<bool, Lost> {
        let place = self.site.word(claim.slot);
        let run = word(claim.generation, claim.worker, RUN);
        let mut seen = run; // a proposal; mostly right
        loop {
            let done = word(claim.generation, 0, DONE);
            // outcome: Release.
            match place.compare_exchange(seen, done, Release, Relaxed) {
                Ok(_) => return Ok(seen & WANTED != 0),
                Err(now) if now & !WANTED == run => seen = now,
                Err(_) => return Err(Lost),
            }
        }
    }

    /// Whether the task is neither finished nor given up.
    #[inline]
    pub fn is_pending(&self, slot: u32, generation: u64) -> bool {
        is_pending(self.site.word(slot).load(Acquire), generation) // outcome
    }

    /// As [`Board::is_pending`]; if so, whoever ends the task will know that it is waited for.
    #[inline]
    pub fn want(&self, slot: u32, generation: u64) -> bool {
        let place = self.site.word(slot);
        let mut seen = place.load(Acquire); // outcome, here and below
        while is_pending(seen, generation) {
            if seen & WANTED != 0 {
                return true;
            }
            match place.compare_exchange(seen, seen | WANTED, Relaxed, Acquire) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// What has become of the task; `None` while it is pending, or when the slot is another task's.
    #[inline]
    pub fn outcome(&self, slot: u32, generation: u64) -> Option<Outcome> {
        let seen = self.site.word(slot).load(Acquire); // outcome
        if generation_of(seen) != generation {
            return None;
        }
        match seen & STATE {
            DONE => Some(Outcome::Done),
            DIED => Some(Outcome::Died),
            CANCELLED => Some(Outcome::Cancelled),
            _ => None,
        }
    }

    /// Whether nobody has claimed the task yet.
    pub fn is_ready(&self, slot: u32, generation: u64) -> bool {
        // Relaxed: an estimate for the owner.
        self.site.word(slot).load(Relaxed) & !WANTED == word(generation, 0, READY)
    }

    /// Whether this worker, which is dead or about to be asked for, runs the task of a slot.
    pub fn is_run_by(&self, slot: u32, worker: u32) -> bool {
        let seen = self.site.word(slot).load(Relaxed); // of one who is dead, who changes nothing
        seen & STATE == RUN && worker_of(seen) == worker
    }

    /// Ends the task that a dead worker runs in this slot, if it does. The owner's.
    pub fn bury(&self, slot: u32, worker: u32) -> bool {
        self.replace_run(slot, worker, DIED).is_some()
    }

    /// As [`Board::bury`], but lets others run the task again, from its start. The owner's, when there
    /// [is room](Board::has_room).
    pub fn repost(&self, slot: u32, worker: u32) -> bool {
        let generation = self.replace_run(slot, worker, READY);
        if let Some(generation) = generation {
            self.push(slot, generation); // the old hint may be gone
        }
        generation.is_some()
    }

    fn replace_run(&self, slot: u32, worker: u32, state: u64) -> Option<u64> {
        let place = self.site.word(slot);
        let mut seen = place.load(Relaxed);
        while seen & STATE == RUN && worker_of(seen) == worker {
            let generation = generation_of(seen);
            let next = word(generation, 0, state) | if state == READY { seen & WANTED } else { 0 };
            // outcome, post: Release. A waiter that sets WANTED meanwhile is why this is a loop.
            match place.compare_exchange(seen, next, Release, Relaxed) {
                Ok(_) => return Some(generation),
                Err(now) => seen = now,
            }
        }
        None
    }

    /// Ends a task without a result, whether somebody runs it or not: whoever does is told when he
    /// finishes. The owner's, who must not use the slot again while that one may write to it.
    pub fn cancel(&self, slot: u32, generation: u64) -> bool {
        let place = self.site.word(slot);
        let mut seen = place.load(Relaxed);
        while is_pending(seen, generation) {
            // outcome: Release, for nothing; the slot's end is all there is to see.
            match place.compare_exchange(seen, word(generation, 0, CANCELLED), Release, Relaxed) {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Makes room for the next task, whose generation is returned. The owner's, of a slot whose outcome
    /// he has taken down.
    #[inline]
    pub fn free(&self, slot: u32, generation: u64) -> u64 {
        let next = next_generation(generation);
        self.site.word(slot).store(word(next, 0, FREE), Release); // free
        next
    }
}
