//! The progress line: on a terminal only, so that nothing of it lands in files and pipes.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use shmkit::Value;

use super::report::MIB;

const REDRAWN_EVERY: Duration = Duration::from_millis(100);

/// Bytes read so far, counted up by whoever reads: a worker process or this one.
pub struct Progress {
    pub done_bytes: Value<u64>,
    total_bytes: u64,
}

impl Progress {
    pub fn new(total_bytes: u64) -> shmkit::Result<Progress> {
        Ok(Progress { done_bytes: Value::new(0)?, total_bytes })
    }

    /// Does `work` and returns what it returned and how long it took. A line on stderr, which
    /// starts with `what`, shows how far it has come.
    pub fn watch<R>(&self, what: &str, work: impl FnOnce() -> R) -> (R, Duration) {
        let before = self.done_bytes.get();
        let start = Instant::now();
        if !io::stderr().is_terminal() {
            let result = work();
            return (result, start.elapsed());
        }
        thread::scope(|threads| {
            // Dropped when `work` is done, and also when it panics: that ends the line.
            let (working, done) = mpsc::channel();
            threads.spawn(move || self.draw(what, before, start, &done));
            let _working: mpsc::Sender<()> = working;
            let result = work();
            (result, start.elapsed())
        })
    }

    fn draw(&self, what: &str, before: u64, start: Instant, done: &Receiver<()>) {
        let total = self.total_bytes.max(1);
        while let Err(RecvTimeoutError::Timeout) = done.recv_timeout(REDRAWN_EVERY) {
            // Text that a dead worker had read is read again by another one.
            let bytes = (self.done_bytes.get() - before).min(total);
            let speed = bytes as f64 / MIB / start.elapsed().as_secs_f64();
            let percent = 100 * bytes / total;
            eprint!(
                "\r{what}: {percent:3} % of {:.1} MiB, {speed:.0} MiB/s\x1b[K",
                total as f64 / MIB
            );
            let _ = io::stderr().flush();
        }
        eprint!("\r\x1b[K");
    }
}
