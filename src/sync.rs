//! The one door to atomics, the futex and threads: the real ones, or loom's models of them.
//!
//! Every algorithm of this crate takes its primitives from here, so that `--cfg loom` swaps them
//! all at once (`clippy.toml` bans the direct paths). Loom's types are larger than the real ones
//! and cannot sit in a mapping: an algorithm must not know where its words live.

#[cfg(not(loom))]
mod real {
    #![allow(clippy::disallowed_types, unused_imports)] // The door is wider than today's traffic.

    pub(crate) use crate::sys::{cpu, futex};
    pub(crate) use std::hint::spin_loop;
    pub(crate) fn now() -> std::time::Instant {
        std::time::Instant::now()
    }
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicI32, AtomicI64, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64,
        AtomicUsize, Ordering, compiler_fence, fence,
    };
}

#[cfg(loom)]
mod model;

#[cfg(loom)]
#[allow(unused_imports)]
pub(crate) use model::*;
#[cfg(not(loom))]
#[allow(unused_imports)]
pub(crate) use real::*;
