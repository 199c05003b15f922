//! Numbers for threads, so that a lock can tell its holder from the holder's siblings.

use crate::sync::{AtomicU32, Ordering};
use std::cell::Cell;

/// Bits of a token; one above it is left to a word that has 32 of them.
pub(crate) const TOKEN_BITS: u32 = 31;

/// This thread's number: never 0, never that of another thread of this process.
#[inline]
pub(crate) fn token() -> u32 {
    match TOKEN.with(Cell::get) {
        0 => assign(),
        token => token,
    }
}

#[cold]
fn assign() -> u32 {
    // Relaxed: only the counter's own order matters. Two billion threads later it wraps, and
    // 0 is stepped over.
    let next = || NEXT.fetch_add(1, Ordering::Relaxed) & ((1 << TOKEN_BITS) - 1);
    let mut token = next();
    while token == 0 {
        token = next();
    }
    TOKEN.with(|mine| mine.set(token));
    token
}

#[cfg(not(loom))]
thread_local!(static TOKEN: Cell<u32> = const { Cell::new(0) });
#[cfg(not(loom))]
static NEXT: AtomicU32 = AtomicU32::new(1);

#[cfg(loom)]
loom::thread_local!(static TOKEN: Cell<u32> = Cell::new(0));
#[cfg(loom)]
loom::lazy_static!(static ref NEXT: AtomicU32 = AtomicU32::new(1););

#[cfg(all(test, not(loom)))]
mod tests {
    use super::token;

    #[test]
    fn a_thread_keeps_its_token_and_shares_it_with_nobody() {
        let mine = token();
        assert_ne!(mine, 0);
        assert_eq!(mine, token());
        assert_ne!(mine, std::thread::spawn(token).join().unwrap());
    }
}
