//! The kernel, one function per call: errno becomes `io::Error`, and nothing else is decided here.
//!
//! This is one of the four rooms that may use `unsafe`.

#[cfg(all(feature = "serde", not(loom)))]
pub(crate) mod entry;
#[cfg(not(loom))]
pub(crate) mod fork;
#[cfg(not(loom))]
pub(crate) mod futex;
#[cfg(all(feature = "serde", not(loom)))]
pub(crate) mod lifeline;
#[cfg(not(loom))]
pub(crate) mod memory;
#[cfg(all(feature = "serde", not(loom)))]
pub(crate) mod per_process;
#[cfg(all(feature = "serde", not(loom)))]
pub(crate) mod process;
#[cfg(all(feature = "serde", not(loom)))]
pub(crate) mod stdio;
#[cfg(all(feature = "serde", not(loom)))]
pub(crate) mod takeover;
