//! The end of a ring: closed for producers, over for consumers, or idle for the time being.
//!
//! To close is to claim no slot at the tail, for good: the tail keeps its position and names nobody
//! any more. So each push comes before the end or is refused, and who finds a closed ring empty
//! knows that nothing is on its way.

use super::Ring;
use super::site::Site;
use super::words::*;
use crate::sync::Ordering::*;

impl<S: Site> Ring<S> {
    /// Lets nothing more be pushed; what is claimed already may be finished. For good.
    pub(crate) fn close(&self) {
        let tail = &self.site.words().tail.word;
        let mut now = tail.load(Acquire); // claim
        while now & OWNER != CLOSED {
            self.tag::<PRODUCER>(now);
            // claim: Release, as in `claim`; a failure means that somebody has pushed.
            match tail.compare_exchange(now, now & !LOW | CLOSED, Release, Acquire) {
                Ok(_) => break,
                Err(changed) => now = changed,
            }
        }
        // Relaxed: a hint. Whoever misses it is woken by who has closed, after this.
        self.site.words().scars.closed.store(1, Relaxed);
    }

    /// Whether the ring was closed, as a hint that costs no look at the tail.
    pub(crate) fn was_closed(&self) -> bool {
        self.site.words().scars.closed.load(Relaxed) != 0
    }

    /// Whether the ring is closed. One load.
    pub(crate) fn is_closed(&self) -> bool {
        // Relaxed: who concludes anything asks `is_over`.
        self.site.words().tail.word.load(Relaxed) & OWNER == CLOSED
    }

    /// Whether nothing will ever be popped again: the ring is closed, everything was claimed by
    /// consumers, and none of them can give it back, save for `held` values that are leased by the
    /// caller.
    pub(crate) fn is_over(&self, held: usize) -> bool {
        let words = self.site.words();
        let tail = words.tail.word.load(Acquire); // claim
        tail & OWNER == CLOSED
            && distance(words.head.word.load(Acquire), tail) == 0 // claim
            && self.is_all_done(held, &mut 0)
    }

    /// Whether every value that was pushed is popped, or was so for a moment of this call: nothing
    /// is there or leased. `hint` is where the last call with it found something.
    pub(crate) fn is_idle(&self, hint: &mut usize) -> bool {
        self.step_over_voids();
        let words = self.site.words();
        let tail = words.tail.word.load(Acquire); // claim
        // claim: the slots are looked at after both.
        let all_taken = distance(words.head.word.load(Acquire), tail) == 0;
        // Relaxed: a push that came before a slot was freed is seen by who has seen it free.
        all_taken && self.is_all_done(0, hint) && words.tail.word.load(Relaxed) == tail
    }

    /// Whether the positions may be true.
    pub(crate) fn is_sane(&self) -> bool {
        let (head, tail) = self.ends();
        distance(head, tail) <= self.mask as u64 + 2
    }

    /// Whether there is something to pop now, as far as can be told at a glance.
    pub(crate) fn has_value(&self) -> bool {
        let words = self.site.words();
        // Relaxed: who pops looks again.
        let head = words.head.word.load(Relaxed);
        self.control(head).load(Relaxed) == self.lap(head) | FULL
            || words.scars.returned.load(Relaxed) != 0
    }

    /// As [`Ring::has_value`], after what was given up is out of the way.
    pub(crate) fn has_next(&self) -> bool {
        self.step_over_voids();
        self.has_value()
    }

    /// Whether everything was taken out: an estimate, but sure when nobody pops.
    pub(crate) fn is_all_taken(&self) -> bool {
        let words = self.site.words();
        distance(words.head.word.load(Relaxed), words.tail.word.load(Relaxed)) == 0
    }

    /// Whether no slot holds a value that a consumer has claimed and not freed, but `held` of this
    /// process. A slot seen free held nothing from before the call any more.
    fn is_all_done(&self, mut held: usize, hint: &mut usize) -> bool {
        let Ok(me) = self.owner() else { return false };
        self.tag::<CONSUMER>(self.site.words().head.word.load(Acquire)); // claim
        let first = *hint;
        let (later, before) = (self.indices(), self.indices());
        let later = later.filter(|index| *index as usize >= first);
        for index in later.chain(before.filter(|index| (*index as usize) < first)) {
            // free: Acquire, pairs with the Release in `finish`.
            let control = self.control(index * STEP).load(Acquire);
            let open = match control & STATE {
                RETURNED => true,
                READING | RETAKEN if control & OWNER == me && held > 0 => {
                    held -= 1;
                    false
                }
                READING | RETAKEN => true,
                _ => false,
            };
            if open {
                *hint = index as usize;
                return false;
            }
        }
        true
    }
}

#[cfg(all(test, loom))]
#[path = "../../../tests/loom/queue.rs"]
mod loom_tests;
#[cfg(all(test, not(loom)))]
#[path = "close_tests.rs"]
mod tests;
