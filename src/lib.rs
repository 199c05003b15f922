//! Shared-memory IPC for Linux.

mod lock;
pub mod region;
pub mod ring;
mod sync;
mod sys;
