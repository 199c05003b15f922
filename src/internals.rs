//! The algorithms below the public types, for this repository's models and benches only.
//!
//! Not part of the API: anything here may change in any release.

pub use crate::lock::*;
pub use crate::region::id::{Liveness, ParticipantId};

/// The id of the occupant of `slot` in `generation`.
pub fn participant(slot: u32, generation: u32) -> ParticipantId {
    ParticipantId::new(slot, generation)
}

/// Lets the timeout of every sleep pass that can; see the futex model.
#[cfg(loom)]
pub fn expire_all() {
    crate::sync::futex::expire_all();
}
