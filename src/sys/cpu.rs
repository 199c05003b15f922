//! Which processor runs this thread.
#![allow(unsafe_code)]

/// The processor this thread runs on, stale at once; a nanosecond or two where glibc has rseq.
pub(crate) fn current() -> u32 {
    // SAFETY: no arguments, no memory is touched.
    let cpu = unsafe { libc::sched_getcpu() };
    cpu.try_into().unwrap_or(0)
}
