//! Runs that nobody will free: what the dead have left.

use super::site::Site;
use super::words::*;
use super::{NoRun, Pages, Run};
use crate::region::id::{Liveness, Numbers};
use crate::sync::Ordering::Acquire;

/// Looks at one word: it may be swept under the first, and be another's after that.
const LOOKS: usize = 3;

impl<S: Site> Pages<S> {
    /// As [`Pages::claim`]; collects if the heap is full.
    ///
    /// `is_over` tells of a position, once and for all, that its slot has moved on: nobody reads or
    /// writes the message there, and nobody will.
    pub(crate) fn claim_or_collect(
        &self,
        len_bytes: usize,
        is_over: impl Fn(u64) -> bool,
    ) -> Result<Run, NoRun> {
        match self.claim(len_bytes) {
            Err(NoRun::Full) if self.collect(is_over)? > 0 => self.claim(len_bytes),
            result => result,
        }
    }

    /// Frees all garbage, and returns how many runs that were.
    ///
    /// Cut short anywhere, it is done by whoever does it next.
    #[cold]
    pub(crate) fn collect(&self, is_over: impl Fn(u64) -> bool) -> Result<usize, NoRun> {
        let who = self.site.who().map_err(NoRun::Failed)?;
        let mut collected = 0;
        let mut alive = 0; // the number found alive last: not news for long, but as good as asking
        for page in 0..self.geometry.count {
            for _ in 0..LOOKS {
                let seen = self.head(page).load(Acquire); // attach
                let is_garbage = match seen & STATE {
                    OWNED => {
                        let owner = ((seen & OWNER) >> OWNER_SHIFT) as u32;
                        let is_dead = (owner != alive || owner == 0) && who.is_number_dead(owner);
                        alive = if is_dead { alive } else { owner };
                        is_dead
                    }
                    ATTACHED => is_over(seen & !LOW),
                    _ => false,
                };
                if is_impossible(page, seen) {
                    return Err(NoRun::Corrupt);
                }
                if !is_garbage {
                    break;
                }
                if self.own(page, seen, who.me().word()) {
                    // A survivor of a kill here finds the run OWNED by one more who is dead.
                    self.clear_owned(page);
                    collected += 1;
                    break;
                }
            }
        }
        Ok(collected)
    }
}

/// Whether nobody who keeps to the protocol has written this word.
fn is_impossible(page: usize, word: u64) -> bool {
    match word & STATE {
        FREE => word != FREE,
        OWNED => false,
        ATTACHED => word & OWNER != 0,
        PART => word & OWNER != 0 || word >> STAMP_SHIFT >= page as u64,
        _ => true,
    }
}
