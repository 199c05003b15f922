//! What contestants with many producers and consumers do: half push, half pop, numbers checked.

use std::hint::spin_loop;
use std::thread::yield_now;

/// Calls `attempt` until it succeeds. Whoever is stopped for long lets others run: there may be more
/// of them than processors.
#[inline(always)]
pub fn until(mut attempt: impl FnMut() -> bool) {
    let mut tries = 0u32;
    while !attempt() {
        tries += 1;
        if tries.is_multiple_of(256) { yield_now() } else { spin_loop() }
    }
}

/// Pushes `count` items.
#[inline(always)]
pub fn produce<const W: usize>(count: u64, push: impl Fn(&[u64; W]) -> bool) {
    let mut item = [0; W];
    for n in 0..count {
        item[0] = n;
        item[W - 1] = n;
        until(|| push(&item));
    }
}

/// Pops `count` items.
#[inline(always)]
pub fn consume<const W: usize>(count: u64, pop: impl Fn(&mut [u64; W]) -> bool) {
    let mut item = [0; W];
    for _ in 0..count {
        until(|| pop(&mut item));
        assert!(item[0] == item[W - 1], "torn");
    }
}

/// Items of a batch.
pub const BATCH: usize = 32;

/// Pushes `count` items in batches; `push` says how many it took.
#[allow(dead_code, reason = "not all who are measured have batches")]
#[inline(always)]
pub fn produce_batches<const W: usize>(count: u64, push: impl Fn(&[[u64; W]]) -> usize) {
    let items = [[7; W]; BATCH];
    let mut left = count as usize;
    while left > 0 {
        until(|| {
            let pushed = push(&items[..left.min(BATCH)]);
            left -= pushed;
            pushed > 0
        });
    }
}

/// Pops `count` items in batches; `pop` says how many it got.
#[allow(dead_code, reason = "not all who are measured have batches")]
#[inline(always)]
pub fn consume_batches<const W: usize>(count: u64, pop: impl Fn(&mut [[u64; W]]) -> usize) {
    let mut items = [[0; W]; BATCH];
    let mut left = count as usize;
    while left > 0 {
        until(|| {
            let popped = pop(&mut items[..left.min(BATCH)]);
            left -= popped;
            popped > 0
        });
    }
}
