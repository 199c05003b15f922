//! When a wait gives up, and how long one sleep may last.

use crate::sync::now;
use std::time::{Duration, Instant};

/// The moment at which a blocking call gives up, on the monotonic clock.
///
/// A `Duration` becomes a deadline once, at the door of a public call, so that wake-ups on the way
/// never prolong the wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// Does not wait at all.
    Now,
    /// Gives up at this instant.
    At(Instant),
    /// Waits without end.
    Never,
}

impl Deadline {
    /// `timeout` from now; a timeout beyond what the clock can express never ends.
    pub fn after(timeout: Duration) -> Deadline {
        if timeout.is_zero() {
            return Deadline::Now;
        }
        now().checked_add(timeout).map_or(Deadline::Never, Deadline::At)
    }

    /// This deadline, but not after `patience` from now; the same if it is sooner.
    #[cfg(feature = "serde")]
    pub(crate) fn at_most(self, patience: Duration) -> Deadline {
        match (self, Deadline::after(patience)) {
            (Deadline::At(end), Deadline::At(latest)) => Deadline::At(end.min(latest)),
            (Deadline::Never, latest) => latest,
            (sooner, _) => sooner,
        }
    }

    /// This deadline, but not before `patience` from now.
    #[cfg(feature = "serde")]
    pub(crate) fn at_least(self, patience: Duration) -> Deadline {
        match (self, Deadline::after(patience)) {
            (Deadline::At(end), Deadline::At(soonest)) => Deadline::At(end.max(soonest)),
            (Deadline::Now, soonest) => soonest,
            (later, _) => later,
        }
    }

    /// Whether it is too late to wait. Once true, always true.
    pub fn has_passed(self) -> bool {
        self.remaining() == Some(Duration::ZERO)
    }

    /// What is left, `None` when there is no end.
    fn remaining(self) -> Option<Duration> {
        match self {
            Deadline::Now => Some(Duration::ZERO),
            Deadline::At(end) => Some(end.saturating_duration_since(now())),
            Deadline::Never => None,
        }
    }
}

/// The lengths of the sleeps of one wait: 5 ms, doubling to 50 ms, cut at the deadline.
///
/// No sleep is unbounded: a wake-up that was lost because the waker or the woken was killed costs
/// one cap of latency, and so does the death of the peer.
///
/// Whether the peer lives is asked after a nap, not before the first one: the answer takes a system
/// call, about 1 us, and most waits are short. Nor is the first nap shorter: a timer that is due
/// before the next tick has to be set in hardware, which a virtual machine pays for with another
/// 1 us at each end of the sleep, while an idle round trip on one processor takes 3 us in all.
pub(crate) struct Naps {
    cap: Duration,
}

impl Naps {
    const SHORTEST: Duration = Duration::from_millis(5);
    const LONGEST: Duration = Duration::from_millis(50);

    pub(crate) fn new() -> Naps {
        Naps { cap: Naps::SHORTEST }
    }

    /// How long the next sleep may last; `None` when the deadline has passed.
    pub(crate) fn next(&mut self, deadline: Deadline) -> Option<Duration> {
        let cap = self.cap;
        self.cap = (cap * 2).min(Naps::LONGEST);
        match deadline.remaining() {
            None => Some(cap),
            Some(Duration::ZERO) => None,
            Some(left) => Some(left.min(cap)),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_duration_beyond_the_clock_never_ends() {
        assert_eq!(Deadline::after(Duration::MAX), Deadline::Never);
        assert!(!Deadline::Never.has_passed());
    }

    #[test]
    fn a_zero_duration_is_now() {
        assert_eq!(Deadline::after(Duration::ZERO), Deadline::Now);
        assert!(Deadline::Now.has_passed());
    }

    #[test]
    fn naps_double_up_to_their_cap() {
        let mut naps = Naps::new();
        let lengths: Vec<_> =
            (0..6).map(|_| naps.next(Deadline::Never).unwrap().as_millis()).collect();
        assert_eq!(lengths, [5, 10, 20, 40, 50, 50]);
    }

    #[test]
    fn a_nap_ends_at_the_deadline() {
        let soon = Deadline::At(Instant::now() + Duration::from_millis(2));
        assert!(Naps::new().next(soon).is_none_or(|nap| nap <= Duration::from_millis(2)));
        assert_eq!(Naps::new().next(Deadline::At(Instant::now())), None);
        assert_eq!(Naps::new().next(Deadline::Now), None);
    }
}
