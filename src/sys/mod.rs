//! The kernel, one function per call: errno becomes `io::Error`, and nothing else is decided here.
//!
//! This is one of the four rooms that may use `unsafe`.

#[cfg(not(loom))]
pub(crate) mod fork;
#[cfg(not(loom))]
pub(crate) mod futex;
#[cfg(not(loom))]
pub(crate) mod identity;
#[cfg(not(loom))]
pub(crate) mod memory;
#[cfg(not(loom))]
pub(crate) mod ofd;
