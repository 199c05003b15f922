//! A third process: it waits where the victim stands in the way, or comes later.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::shared::Shared;
use crate::step;

/// A child of the survivor that does one thing. A panic in it is the survivor's.
pub struct Helper {
    pid: libc::pid_t,
}

impl Helper {
    pub fn start(body: impl FnOnce()) -> Helper {
        Helper { pid: step::fork(body) }
    }

    /// Waits until it has ended or sleeps in the kernel, so has gone as far as it can.
    pub fn settle(&self) {
        let stat = format!("/proc/{}/stat", self.pid);
        loop {
            let stat = fs::read_to_string(&stat).unwrap();
            let state = stat.rsplit(") ").next().unwrap().chars().next().unwrap();
            if matches!(state, 'S' | 'Z') {
                return;
            }
            std::thread::yield_now();
        }
    }

    /// Waits until it has ended, and insists that it ended well.
    pub fn join(self) {
        let status = step::wait(self.pid);
        assert!(status == 0, "third process: {}", step::describe(status));
    }
}

/// A third process that has made something and stays alive with it until dropped.
pub struct Keeper {
    pid: libc::pid_t,
}

impl Keeper {
    /// Returns once `make` has returned in the new process.
    pub fn start<T>(make: impl FnOnce() -> T) -> Keeper {
        let made: Shared<AtomicU64> = Shared::new();
        let pid = step::fork(|| {
            let _kept = make();
            made.store(1, SeqCst);
            loop {
                // SAFETY: plain call.
                unsafe { libc::pause() };
            }
        });
        let keeper = Keeper { pid };
        while made.load(SeqCst) == 0 {
            assert!(!step::has_ended(pid), "the keeper could not make it");
            std::thread::yield_now();
        }
        keeper
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        step::kill(self.pid);
    }
}

/// Runs `body` in a third process and waits for it.
pub fn elsewhere(body: impl FnOnce()) {
    Helper::start(body).join();
}
