//! `futex(2)`, always shared: the waker may live in another process.
#![allow(unsafe_code)]

use rustix::io::Errno;
use rustix::thread::futex::{self, Flags, Timespec};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

/// How a wait ended. None of these proves that the awaited condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Woken, interrupted by a signal, or the word no longer held the expected value.
    Maybe,
    /// `timeout` has passed.
    TimedOut,
}

/// Sleeps while `word` holds `expected`, for at most `timeout` (`None`: without end).
pub(crate) fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) -> Woken {
    let timeout = timeout.map(|t| Timespec {
        tv_sec: t.as_secs().min(i64::MAX as u64) as i64,
        tv_nsec: i64::from(t.subsec_nanos()) as _,
    });
    match futex::wait(word, Flags::empty(), expected, timeout.as_ref()) {
        Err(Errno::TIMEDOUT) => Woken::TimedOut,
        _ => Woken::Maybe,
    }
}

/// Wakes at most `count` sleepers and returns how many there were.
pub(crate) fn wake(word: &AtomicU32, count: u32) -> usize {
    futex::wake(word, Flags::empty(), count.min(i32::MAX as u32)).unwrap_or(0)
}

/// [`wait`] on the low half of a word of 64 bits; the other half does not count.
pub(crate) fn wait_low(word: &AtomicU64, expected: u32, timeout: Option<Duration>) -> Woken {
    wait(low_half(word), expected, timeout)
}

/// [`wake`] for the low half of a word of 64 bits.
pub(crate) fn wake_low(word: &AtomicU64, count: u32) -> usize {
    wake(low_half(word), count)
}

/// [`wait`] on the high half of a word of 64 bits; the other half does not count.
pub(crate) fn wait_high(word: &AtomicU64, expected: u32, timeout: Option<Duration>) -> Woken {
    wait(high_half(word), expected, timeout)
}

/// [`wake`] for the high half of a word of 64 bits.
pub(crate) fn wake_high(word: &AtomicU64, count: u32) -> usize {
    wake(high_half(word), count)
}

fn low_half(word: &AtomicU64) -> &AtomicU32 {
    half(word, usize::from(cfg!(target_endian = "big")))
}

fn high_half(word: &AtomicU64) -> &AtomicU32 {
    half(word, usize::from(cfg!(target_endian = "little")))
}

/// Only an address for the kernel: this process accesses the word as a whole.
fn half(word: &AtomicU64, index: usize) -> &AtomicU32 {
    let halves: *const AtomicU32 = std::ptr::from_ref(word).cast();
    // SAFETY: the half lies inside `word`, is aligned, and lives as long; any bits are valid.
    unsafe { &*halves.add(index) }
}
