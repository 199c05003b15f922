//! Loom's side of the facade, with a futex that really sleeps.

#![allow(clippy::disallowed_types, unused_imports)] // The door is wider than today's traffic.

pub(crate) use loom::hint::spin_loop;
pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize,
    Ordering, fence,
};

/// `futex(2)` as loom can explore it: same signatures as `sys::futex`.
///
/// A sleeper parks until it is woken; nothing else ends its sleep, so a lost wake-up is a deadlock
/// that loom reports. Timeouts never pass on their own: a model that needs them (the peer is dead,
/// nobody will wake) calls [`let_caps_strike`].
///
/// Limit: the table's mutex adds a happens-before edge between a waker and its sleeper that the
/// kernel does not promise. Therefore each algorithm also has a model that never sleeps.
pub(crate) mod futex {
    use super::{AtomicU32, AtomicU64, Ordering};
    use loom::sync::{Condvar, Mutex};
    use std::sync::Arc;
    use std::time::Duration;

    /// How a wait ended. None of these proves that the awaited condition holds.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Woken {
        /// Woken, or the word no longer held the expected value.
        Maybe,
        /// The model let the timeout pass.
        TimedOut,
    }

    struct Sleeper {
        address: usize,
        bell: Arc<Condvar>,
        timed: bool,
    }

    #[derive(Default)]
    struct Table {
        /// In order of arrival, which is the order of waking.
        asleep: Vec<Sleeper>,
        /// How many timed sleeps to come end by themselves.
        strikes: usize,
        /// Those whose sleep has ended so and who have not run since.
        expired: Vec<Arc<Condvar>>,
    }

    impl Table {
        fn holds(&self, bell: &Arc<Condvar>) -> bool {
            self.asleep.iter().any(|s| Arc::ptr_eq(&s.bell, bell))
        }
    }

    loom::lazy_static! {
        static ref TABLE: Mutex<Table> = Mutex::new(Table::default());
    }

    fn address<T>(word: &T) -> usize {
        std::ptr::from_ref(word).addr()
    }

    /// Where the sleepers on the high half queue: apart from those on the low one.
    fn high(word: &AtomicU64) -> usize {
        address(word) + 1
    }

    /// Sleeps while `word` holds `expected`, until woken or, if timed, until the caps strike.
    pub(crate) fn wait(word: &AtomicU32, expected: u32, timeout: Option<Duration>) -> Woken {
        sleep(address(word), || word.load(Ordering::SeqCst) == expected, timeout)
    }

    /// [`wait`] on the low half of a word of 64 bits.
    pub(crate) fn wait_low(word: &AtomicU64, expected: u32, timeout: Option<Duration>) -> Woken {
        sleep(address(word), || word.load(Ordering::SeqCst) as u32 == expected, timeout)
    }

    /// [`wait`] on the high half of a word of 64 bits.
    pub(crate) fn wait_high(word: &AtomicU64, expected: u32, timeout: Option<Duration>) -> Woken {
        sleep(high(word), || (word.load(Ordering::SeqCst) >> 32) as u32 == expected, timeout)
    }

    fn sleep(address: usize, holds: impl Fn() -> bool, timeout: Option<Duration>) -> Woken {
        let mut table = TABLE.lock().unwrap();
        // As in the kernel: compare and enlist are one step for every waker.
        if !holds() {
            return Woken::Maybe;
        }
        let timed = timeout.is_some();
        if timed && table.strikes > 0 {
            table.strikes -= 1;
            return Woken::TimedOut;
        }
        let bell = Arc::new(Condvar::new());
        table.asleep.push(Sleeper { address, bell: Arc::clone(&bell), timed });
        while table.holds(&bell) {
            table = bell.wait(table).unwrap();
        }
        match table.expired.iter().position(|b| Arc::ptr_eq(b, &bell)) {
            Some(at) => {
                table.expired.swap_remove(at);
                Woken::TimedOut
            }
            None => Woken::Maybe,
        }
    }

    /// Wakes at most `count` sleepers and returns how many there were.
    pub(crate) fn wake(word: &AtomicU32, count: u32) -> usize {
        rouse(address(word), count)
    }

    /// [`wake`] for the low half of a word of 64 bits.
    pub(crate) fn wake_low(word: &AtomicU64, count: u32) -> usize {
        rouse(address(word), count)
    }

    /// [`wake`] for the high half of a word of 64 bits.
    pub(crate) fn wake_high(word: &AtomicU64, count: u32) -> usize {
        rouse(high(word), count)
    }

    fn rouse(address: usize, count: u32) -> usize {
        let mut table = TABLE.lock().unwrap();
        let mut woken = 0;
        while woken < count as usize {
            let Some(at) = table.asleep.iter().position(|s| s.address == address) else { break };
            table.asleep.remove(at).bell.notify_one();
            woken += 1;
        }
        woken
    }

    /// Ends `count` timed sleeps: the first who sleep, then those to come. For models, and only
    /// there.
    pub(crate) fn let_caps_strike(count: usize) {
        let table = &mut *TABLE.lock().unwrap();
        for _ in 0..count {
            let Some(at) = table.asleep.iter().position(|s| s.timed) else {
                table.strikes += 1;
                continue;
            };
            let bell = table.asleep.remove(at).bell;
            bell.notify_one();
            table.expired.push(bell);
        }
    }
}

/// A clock that stands still until the model moves it.
pub(crate) mod clock {
    use super::{AtomicU32, Ordering};
    use std::time::{Duration, Instant};

    /// How far [`pass`] moves the clock.
    pub(crate) const STEP: Duration = Duration::from_secs(3600);

    loom::lazy_static! {
        static ref START: Instant = Instant::now();
        static ref STEPS: AtomicU32 = AtomicU32::new(0);
    }

    /// The model's time.
    pub(crate) fn now() -> Instant {
        *START + STEP * STEPS.load(Ordering::SeqCst)
    }

    /// Lets [`STEP`] pass. Sleepers go on sleeping: see `futex::let_caps_strike`.
    pub(crate) fn pass() {
        STEPS.fetch_add(1, Ordering::SeqCst);
    }
}
pub(crate) use clock::now;

/// Models do not care where they run.
pub(crate) mod cpu {
    /// The processor this thread runs on.
    pub(crate) fn current() -> u32 {
        0
    }
}
