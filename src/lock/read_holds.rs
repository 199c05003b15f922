//! Which read locks the calling thread holds, so that it is told instead of left to wait for itself.
//!
//! A list as long as the thread holds read locks, which is hardly ever longer than two. An entry
//! names the lock by its address in this process, and the participant, so that a forked child does
//! not take its parent's entries for its own.

use crate::region::id::ParticipantId;
use std::cell::RefCell;

thread_local!(static HOLDS: RefCell<Vec<(usize, ParticipantId)>> = const { RefCell::new(Vec::new()) });

/// Notes that this thread, of the participant `me`, has come in as a reader.
#[inline]
pub(super) fn note(lock: usize, me: ParticipantId) {
    // While a thread ends the list may be gone: then its locks are no longer watched.
    let _ = HOLDS.try_with(|holds| holds.borrow_mut().push((lock, me)));
}

/// Notes that this thread has left.
#[inline]
pub(super) fn strike(lock: usize, me: ParticipantId) {
    let _ = HOLDS.try_with(|holds| {
        let mut holds = holds.borrow_mut();
        if let Some(last) = holds.iter().rposition(|hold| *hold == (lock, me)) {
            holds.swap_remove(last);
        }
    });
}

/// Whether this thread is inside as a reader.
#[inline]
pub(super) fn has(lock: usize, me: ParticipantId) -> bool {
    HOLDS.try_with(|holds| holds.borrow().contains(&(lock, me))).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_knows_how_often_it_is_inside_of_what() {
        let (me, child) = (ParticipantId::new(0, 1), ParticipantId::new(1, 1));
        note(100, me);
        note(200, me);
        note(100, me);
        assert!(has(100, me) && has(200, me) && !has(100, child) && !has(300, me));
        strike(100, me);
        assert!(has(100, me) && has(200, me));
        strike(100, me);
        strike(100, me);
        assert!(!has(100, me) && has(200, me));
        assert!(!std::thread::spawn(move || has(200, me)).join().unwrap());
        strike(200, me);
    }
}
