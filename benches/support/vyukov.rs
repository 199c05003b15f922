//! The yardstick for rings for many: Vyukov's bounded queue (1024cores, 2010) in shared memory, which
//! knows nothing of owners, and stands still for good when one dies.

use std::sync::atomic::{AtomicU64, Ordering::*};

#[repr(C, align(128))]
struct Index(AtomicU64);

#[repr(C)]
struct Cell<const W: usize> {
    sequence: AtomicU64,
    value: [u64; W],
}

#[repr(C)]
struct Memory<const W: usize, const N: usize> {
    head: Index,
    tail: Index,
    cells: [Cell<W>; N],
}

/// A handle to a ring of `N` slots of `W` words each; forks share it.
#[derive(Clone, Copy)]
pub struct Vyukov<const W: usize, const N: usize>(*mut Memory<W, N>);

// SAFETY: the memory is shared and never unmapped, and its cells are used as the sequence numbers
// say.
unsafe impl<const W: usize, const N: usize> Send for Vyukov<W, N> {}
// SAFETY: as above.
unsafe impl<const W: usize, const N: usize> Sync for Vyukov<W, N> {}

impl<const W: usize, const N: usize> Vyukov<W, N> {
    pub fn new() -> Self {
        const { assert!(N.is_power_of_two()) };
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        let size = size_of::<Memory<W, N>>();
        // SAFETY: a fresh mapping at an address of the kernel's choice; zeroed, which is a `Memory`.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), size, rights, kind, -1, 0) };
        assert_ne!(memory, libc::MAP_FAILED);
        let ring = Vyukov(memory.cast::<Memory<W, N>>());
        (0..N as u64).for_each(|n| ring.sequence(n).store(n, Relaxed));
        ring
    }

    #[inline(always)]
    fn sequence(&self, position: u64) -> &AtomicU64 {
        // SAFETY: an atomic of a cell in bounds, mapped for good.
        unsafe { &(*self.cell(position)).sequence }
    }

    #[inline(always)]
    fn cell(&self, position: u64) -> *mut Cell<W> {
        // SAFETY: the place of a cell in bounds.
        unsafe { (&raw mut (*self.0).cells).cast::<Cell<W>>().add(position as usize & (N - 1)) }
    }

    #[inline(always)]
    fn claim(index: &AtomicU64, ready: impl Fn(u64) -> i64) -> Option<u64> {
        let mut now = index.load(Relaxed);
        loop {
            match ready(now) {
                0 => match index.compare_exchange_weak(now, now + 1, Relaxed, Relaxed) {
                    Ok(_) => return Some(now),
                    Err(changed) => now = changed,
                },
                ..0 => return None,
                _ => now = index.load(Relaxed),
            }
        }
    }

    #[inline]
    pub fn try_push(&self, value: &[u64; W]) -> bool {
        // SAFETY: an atomic, mapped for good.
        let tail = unsafe { &(*self.0).tail.0 };
        let ready = |now| self.sequence(now).load(Acquire).wrapping_sub(now) as i64;
        let Some(position) = Self::claim(tail, ready) else { return false };
        // SAFETY: the cell is ours until its sequence number says so to others.
        unsafe { (*self.cell(position)).value = *value };
        self.sequence(position).store(position + 1, Release);
        true
    }

    #[inline]
    pub fn try_pop(&self, value: &mut [u64; W]) -> bool {
        // SAFETY: an atomic, mapped for good.
        let head = unsafe { &(*self.0).head.0 };
        let ready = |now| self.sequence(now).load(Acquire).wrapping_sub(now + 1) as i64;
        let Some(position) = Self::claim(head, ready) else { return false };
        // SAFETY: the cell is ours until its sequence number says so to others.
        *value = unsafe { (*self.cell(position)).value };
        self.sequence(position).store(position + N as u64, Release);
        true
    }
}
