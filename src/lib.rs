//! Shared-memory IPC for Linux.

#[doc(hidden)]
pub mod internals;
mod lock;
pub mod region;
pub mod ring;
mod sync;
#[cfg(not(loom))]
mod sys;
