//! Shared-memory IPC for Linux.

pub mod region;
mod lock;
pub mod ring;
mod sync;
mod sys;
