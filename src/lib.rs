//! Shared-memory IPC for Linux.

mod error;
mod lock;
#[cfg(feature = "serde")]
mod message;
#[cfg(all(feature = "serde", not(loom)))]
pub mod process;
pub mod region;
pub mod ring;
mod sync;
mod sys;

pub use error::{Error, Result};
#[cfg(feature = "serde")]
pub use message::Message;
#[cfg(all(feature = "serde", not(loom)))]
pub use process::{
    Args, PanicInfo, Process, ProcessError, Run, cpu_count, current_process, init, parent_process,
};
