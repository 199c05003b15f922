//! Shared-memory IPC for Linux.

#[cfg(not(loom))]
mod array;
mod error;
#[doc(hidden)]
pub mod internals;
mod lock;
#[cfg(not(loom))]
mod primitives;
#[cfg(not(loom))]
mod region;
#[cfg(loom)]
mod region {
    pub(crate) mod id;
}
pub mod ring;
mod sync;
#[cfg(not(loom))]
mod sys;
#[cfg(not(loom))]
mod value;

#[cfg(not(loom))]
pub use array::Array;
pub use error::{Error, Result};
#[cfg(not(loom))]
pub use lock::cell::Integer;
#[cfg(not(loom))]
pub use lock::error::{LockError, OwnerDied};
#[cfg(not(loom))]
pub use lock::guarded::LockGuard;
#[cfg(not(loom))]
pub use lock::slice::ArrayGuard;
#[cfg(not(loom))]
pub use primitives::Lock;
#[cfg(not(loom))]
pub use region::{Region, RegionOptions};
#[cfg(not(loom))]
pub use value::Value;
