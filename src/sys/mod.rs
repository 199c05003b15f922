//! The kernel, one function per call: errno becomes `io::Error`, and nothing else is decided here.
//!
//! This is one of the four rooms that may use `unsafe`.

pub(crate) mod cpu;
pub(crate) mod futex;
