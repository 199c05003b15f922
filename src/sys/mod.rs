//! The kernel, one function per call: errno becomes `io::Error`, and nothing else is decided here.
//!
//! This is one of the four rooms that may use `unsafe`. It lies below the `sync` facade, so it names
//! the real atomics; models of the algorithms do without it.

#![allow(clippy::disallowed_types)]

#[cfg(feature = "serde")]
pub(crate) mod constructors;
pub(crate) mod cpu;
#[cfg(feature = "serde")]
pub(crate) mod entry;
pub(crate) mod fork;
#[cfg(feature = "serde")]
pub(crate) mod forked;
pub(crate) mod futex;
pub(crate) mod identity;
pub(crate) mod inotify;
#[cfg(feature = "serde")]
pub(crate) mod lifeline;
pub(crate) mod memory;
pub(crate) mod ofd;
#[cfg(feature = "serde")]
pub(crate) mod passed;
pub(crate) mod per_process;
pub(crate) mod poll;
#[cfg(feature = "serde")]
pub(crate) mod process;
#[cfg(feature = "serde")]
pub(crate) mod replaced;
pub(crate) mod socket;
#[cfg(all(feature = "serde", feature = "takeover"))]
pub(crate) mod stdio;
#[cfg(feature = "serde")]
pub(crate) mod takeover;
#[cfg(feature = "serde")]
pub(crate) mod thread;
#[cfg(feature = "serde")]
pub(crate) mod zygote;
