//! The algorithms below the public types, for this repository's models and benches only.
//!
//! Not part of the API: anything here may change in any release.

pub use crate::lock::*;
pub use crate::region::id::{Liveness, ParticipantId};

/// The id of the occupant of `slot` in `generation`.
pub fn participant(slot: u32, generation: u32) -> ParticipantId {
    ParticipantId::new(slot, generation)
}

/// Time, as a model lets it pass.
#[cfg(loom)]
pub mod model {
    use std::time::Duration;

    /// What [`pass_time`] moves the clock by.
    pub const STEP: Duration = crate::sync::clock::STEP;

    /// Moves the clock by [`STEP`]; nobody is woken.
    pub fn pass_time() {
        crate::sync::clock::pass();
    }

    /// Ends as many sleeps as `count` by their cap or deadline, now or when they begin.
    pub fn let_caps_strike(count: usize) {
        crate::sync::futex::let_caps_strike(count);
    }
}
