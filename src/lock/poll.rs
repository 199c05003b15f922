//! Waiting for memory whose writers wake nobody: a ring.
//!
//! The one wait that has no event: it looks, spins, yields, and then sleeps between looks.

use super::deadline::Deadline;
use crate::sync::{now, spin_loop};
use std::time::Duration;

/// Looks in a row, with a pause of the processor after each, and then with it left to others.
const SPINS: u32 = 200;
const YIELDS: u32 = 50;

/// Between later looks: from 50 us, doubling up to 1 ms.
const SHORTEST: Duration = Duration::from_micros(50);
const LONGEST: Duration = Duration::from_millis(1);

/// Attempts until one succeeds; `None` once `deadline` has passed. `check` is the attempt after a
/// sleep, and may ask the kernel.
pub fn poll_until<R>(
    deadline: Deadline,
    mut attempt: impl FnMut() -> Option<R>,
    mut check: impl FnMut() -> Option<R>,
) -> Option<R> {
    if let Some(found) = attempt() {
        return Some(found);
    }
    if deadline == Deadline::Now {
        return None;
    }
    for look in 0..SPINS + YIELDS {
        if look < SPINS {
            spin_loop()
        } else {
            std::thread::yield_now()
        }
        if let Some(found) = attempt() {
            return Some(found);
        }
    }
    let mut nap = SHORTEST;
    loop {
        let left = match deadline {
            Deadline::At(end) => end.saturating_duration_since(now()),
            _ => LONGEST,
        };
        if left.is_zero() {
            return None;
        }
        std::thread::sleep(nap.min(left));
        nap = (nap * 2).min(LONGEST);
        if let Some(found) = check() {
            return Some(found);
        }
    }
}
