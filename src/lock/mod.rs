//! State machines on a word or a few: the robust lock, the published cell, the event count, the
//! gate, the barrier and the waiters of a condition.
//!
//! They work on words that others place, and know participants only as ids that live or are dead.

#[cfg(not(loom))]
pub(crate) mod awaited;
#[cfg(not(loom))]
pub(crate) mod bare;
pub(crate) mod barrier;
#[cfg(not(loom))]
pub(crate) mod byte_value;
#[cfg(not(loom))]
pub(crate) mod bytes;
pub(crate) mod cell;
pub(crate) mod census;
pub(crate) mod deadline;
#[cfg(all(feature = "serde", not(loom)))]
pub(crate) mod door;
pub(crate) mod elements;
#[cfg(not(loom))]
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod gate;
#[cfg(not(loom))]
pub(crate) mod guarded;
#[cfg(not(loom))]
mod hold;
#[cfg(not(loom))]
mod inside;
#[cfg(not(loom))]
pub(crate) mod many;
pub(crate) mod members;
#[cfg(not(loom))]
pub(crate) mod nested;
#[cfg(not(loom))]
pub(crate) mod party;
#[cfg(all(feature = "serde", not(loom)))]
mod passing;
#[cfg(not(loom))]
pub(crate) mod permits;
#[cfg(not(loom))]
mod placed;
#[cfg(not(loom))]
pub(crate) mod plain;
#[cfg(not(loom))]
pub(crate) mod poll;
pub(crate) mod raw;
pub(crate) mod records;
pub(crate) mod recursive;
pub(crate) mod rw;
#[cfg(not(loom))]
pub(crate) mod rw_guarded;
#[cfg(not(loom))]
pub(crate) mod seat;
pub(crate) mod semaphore;
#[cfg(not(loom))]
pub(crate) mod slice;
pub(crate) mod spin;
mod token;
pub(crate) mod waiters;

#[cfg(loom)]
pub use barrier::{Broken, Parties, RawBarrier};
#[cfg(loom)]
pub use cell::{Cell, Integer};
#[cfg(loom)]
pub use census::Census;
#[cfg(loom)]
pub use deadline::Deadline;
#[cfg(loom)]
pub use elements::Elements;
#[cfg(loom)]
pub use event::EventCount;
#[cfg(loom)]
pub use gate::Gate;
#[cfg(loom)]
pub use members::Member;
#[cfg(loom)]
pub use raw::{Acquired, LockFailure, RawLock, Release};
#[cfg(loom)]
pub use records::{Record, Records};
#[cfg(loom)]
pub use recursive::RecursiveLock;
#[cfg(loom)]
pub use rw::{RawRwLock, Readers, RwWords};
#[cfg(loom)]
pub use semaphore::{NoPermit, RawSemaphore, SemaphoreWords};
#[cfg(loom)]
pub use spin::Spin;
#[cfg(loom)]
pub use waiters::{Place, Waiters};
