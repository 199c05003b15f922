//! Shared-memory IPC for Linux.

mod error;
mod lock;
#[cfg(not(loom))]
pub mod region;
#[cfg(loom)]
pub mod region {
    pub(crate) mod id;
}
pub mod ring;
mod sync;
mod sys;

pub use error::{Error, Result};
#[cfg(not(loom))]
pub use region::{Region, RegionOptions};
