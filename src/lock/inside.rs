//! Which read locks the calling thread holds, and which barriers' actions it runs, so that it is told
//! instead of left to wait for itself.
//!
//! A list that is hardly ever longer than two. An entry names the object, and the participant, so
//! that a forked child does not take its parent's entries for its own.

use crate::region::id::ParticipantId;
use std::cell::RefCell;

/// The identity of an object. (Not its address: a forgotten guard leaves its entry behind, and another
/// region may come to lie where its own was.)
pub(super) type Place = (u64, u32);

thread_local!(static HOLDS: RefCell<Vec<(Place, ParticipantId)>> = const { RefCell::new(Vec::new()) });

/// Notes that this thread, of the participant `me`, has come in.
#[inline]
pub(super) fn note(place: Place, me: ParticipantId) {
    // While a thread ends the list may be gone: then its locks are no longer watched.
    let _ = HOLDS.try_with(|holds| holds.borrow_mut().push((place, me)));
}

/// Notes that this thread has left.
#[inline]
pub(super) fn strike(place: Place, me: ParticipantId) {
    let _ = HOLDS.try_with(|holds| {
        let mut holds = holds.borrow_mut();
        if let Some(last) = holds.iter().rposition(|hold| *hold == (place, me)) {
            holds.swap_remove(last);
        }
    });
}

/// Whether this thread is inside.
#[inline]
pub(super) fn has(place: Place, me: ParticipantId) -> bool {
    HOLDS.try_with(|holds| holds.borrow().contains(&(place, me))).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_knows_how_often_it_is_inside_of_what() {
        let (me, child) = (ParticipantId::new(0, 1), ParticipantId::new(1, 1));
        let (a, b) = ((1, 100), (1, 200));
        note(a, me);
        note(b, me);
        note(a, me);
        assert!(has(a, me) && has(b, me) && !has(a, child) && !has((1, 300), me));
        assert!(!has((2, 100), me), "another region");
        strike(a, me);
        assert!(has(a, me) && has(b, me));
        strike(a, me);
        strike(a, me);
        assert!(!has(a, me) && has(b, me));
        assert!(!std::thread::spawn(move || has(b, me)).join().unwrap());
        strike(b, me);
    }
}
