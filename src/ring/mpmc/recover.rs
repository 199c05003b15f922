//! Claims that come to nothing: given up, given back, or left by the dead.

use super::site::Site;
use super::words::*;
use super::{Claim, Ring};
use crate::region::id::Numbers;
use crate::sync::Ordering::*;

/// Claims in vain before what the dead have left is looked for: about 0.1 ms of spinning, or more
/// than looking takes.
const VAIN_PER_LOOK: u32 = if cfg!(loom) { u32::MAX } else { 8192 };

/// Looks at two words that were never the same for long enough, before an estimate will do.
const LOOKS: usize = 64;

impl<S: Site> Ring<S> {
    /// Gives the slot at this position up, which is ours and was claimed at the tail.
    pub(super) fn give_up(&self, at: u64) {
        self.note_void(at);
        self.put(at, self.lap(at) | VOID); // tag
    }

    /// Gives the value at this position back, which is ours and was claimed at the head.
    pub(super) fn give_back(&self, at: u64) {
        self.put(at, self.lap(at) | RETURNED); // return, tag
        // A survivor of a kill here finds the slot when it recovers.
        self.note_returned();
    }

    /// Claims a value that was given back, if there is one. `None` is true of one moment.
    #[cold]
    pub(super) fn retake(&self) -> Option<Claim> {
        let returned = &self.site.words().scars.returned;
        let me = self.owner().ok()?;
        let mut noted = returned.load(Acquire); // hint
        for _ in 0..LOOKS {
            if noted == 0 {
                break;
            }
            for index in self.indices() {
                let control = self.control(index * STEP);
                let seen = control.load(Relaxed); // a proposal for the CAS
                if seen & STATE != RETURNED {
                    continue;
                }
                let lap = seen & self.lap_bits;
                // return: Acquire, pairs with the Release to RETURNED.
                if control.compare_exchange(seen, lap | me | RETAKEN, Acquire, Relaxed).is_ok() {
                    return Some(Claim { first: lap | (index * STEP), count: 1, stamp: 0 });
                }
            }
            // Nothing was there, unless it was noted meanwhile.
            match returned.compare_exchange(noted, 0, Relaxed, Acquire) {
                Ok(_) => break,
                Err(changed) => noted = changed, // hint
            }
        }
        None
    }

    /// Takes back all that the dead had claimed, and returns how many slots that were.
    ///
    /// Cut short anywhere, it is done by whoever does it next.
    #[cold]
    pub(crate) fn recover(&self) -> usize {
        let Some(who) = self.site.who() else { return 0 };
        self.tag_last_claims();
        let (mut recovered, mut returned) = (0, false);
        let mut alive = 0; // the number found alive last: not news for long, but as good as asking
        for index in self.indices() {
            let control = self.control(index * STEP);
            let mut seen = control.load(Acquire); // tag
            while matches!(seen & STATE, WRITING | READING | RETAKEN) {
                let owner = ((seen & OWNER) >> OWNER_SHIFT) as u32;
                if owner == alive && owner != 0 {
                    break;
                }
                if !who.is_number_dead(owner) {
                    alive = owner;
                    break;
                }
                // The dead one's other slots first, if the index word alone names them: a slot that
                // is done with vouches for those before it.
                self.tag_last_claims();
                let lap = seen & self.lap_bits;
                let next = if seen & STATE == WRITING {
                    self.note_void(lap | (index * STEP));
                    lap | VOID
                } else {
                    lap | RETURNED
                };
                // return: Release, for what the verdict has made visible; Acquire if another was
                // faster, or a sweep.
                match control.compare_exchange(seen, next, Release, Acquire) {
                    Ok(_) => {
                        recovered += 1;
                        seen = next;
                    }
                    Err(changed) => seen = changed,
                }
            }
            returned |= seen & STATE == RETURNED;
        }
        if returned {
            self.note_returned();
        }
        self.step_over_voids();
        recovered
    }

    fn tag_last_claims(&self) {
        let words = self.site.words();
        self.tag::<PRODUCER>(words.tail.word.load(Acquire)); // claim
        self.tag::<CONSUMER>(words.head.word.load(Acquire)); // claim
    }

    /// Whether this claim in vain is one of those that look for the dead.
    pub(super) fn is_time_to_recover(&self) -> bool {
        let every = VAIN_PER_LOOK.max(self.mask as u32);
        // Relaxed: a count of no consequence.
        self.notes.vain.fetch_add(1, Relaxed).wrapping_add(1).is_multiple_of(every)
    }

    /// Values in the ring: exact while everybody rests.
    pub(crate) fn len(&self) -> usize {
        let scars = &self.site.words().scars;
        let (head, tail) = self.ends();
        let len = distance(head, tail).min(self.mask as u64 + 1);
        // Relaxed, here and below: an answer that may go stale.
        let returned = scars.returned.load(Relaxed) != 0;
        let has_voids = (1..1 << 47).contains(&distance(head, scars.last_void.load(Relaxed)));
        if !returned && !has_voids {
            return len.min(self.capacity) as usize;
        }
        let in_turn = (0..len).map(|nth| head.wrapping_add(nth * STEP));
        let state = |at: u64| self.control(at).load(Relaxed) & STATE;
        let mut count = in_turn.filter(|&at| state(at) != VOID).count();
        if returned {
            count += self.indices().filter(|index| state(index * STEP) == RETURNED).count();
        }
        // What came back may be there beside as many as are due in turn.
        count.min(self.mask + 1)
    }

    /// Whether no more can be pushed.
    pub(crate) fn is_full(&self) -> bool {
        let (head, tail) = self.ends();
        if distance(head, tail) < self.capacity {
            let control = self.control(tail).load(Relaxed);
            return control & STATE == RETURNED && control & self.lap_bits != self.lap(tail);
        }
        self.step_over_voids() == 0
    }

    /// Both index words, as they were at one time.
    pub(super) fn ends(&self) -> (u64, u64) {
        let words = self.site.words();
        let mut ends = (0, 0);
        for _ in 0..LOOKS {
            // Acquire: the head first, so that it is not beyond the tail.
            ends = (words.head.word.load(Acquire), words.tail.word.load(Acquire));
            if words.head.word.load(Relaxed) == ends.0 {
                break;
            }
        }
        ends
    }

    /// Notes, after it happened, that a slot is RETURNED.
    fn note_returned(&self) {
        let returned = &self.site.words().scars.returned;
        // hint: Release, pairs with the loads in `retake`.
        if returned.fetch_add(1, Release) == u32::MAX {
            returned.fetch_add(1, Release); // 0 is none
        }
    }

    /// Notes, before it happens, that the slot at this position becomes VOID.
    fn note_void(&self, at: u64) {
        let last_void = &self.site.words().scars.last_void;
        let above = at.wrapping_add(STEP);
        let mut seen = last_void.load(Relaxed);
        // Relaxed: whoever sees the slot VOID and rests sees this.
        while (above.wrapping_sub(seen) as i64) > 0 {
            match last_void.compare_exchange(seen, above, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(changed) => seen = changed,
            }
        }
    }
}
