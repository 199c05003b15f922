//! A child as its parent sees it, and all children of this process.

use crate::sys::lifeline::Lifeline;
use crate::sys::per_process::PerProcess;
use crate::sys::process::{self, Ended, Started};
use rustix::process::Signal;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

/// How long daemons have between SIGTERM and SIGKILL when their parent exits.
const GRACE: Duration = Duration::from_secs(1);
/// How long to wait before asking again for the status of a child that a debugger holds back.
const HELD_BACK: Duration = Duration::from_millis(1);

/// One child, shared by its handle and [`CHILDREN`].
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: u32,
    pub(super) daemon: bool,
    pidfd: OwnedFd,
    /// Set once; whoever sets it has reaped the child.
    ended: Mutex<Option<Ended>>,
}

impl Child {
    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// How the child ended, `None` while it runs; reaps it. Does not block.
    pub(super) fn ended(&self) -> io::Result<Option<Ended>> {
        let mut ended = lock(&self.ended);
        if ended.is_none() {
            *ended = process::reap(self.pidfd.as_fd())?;
        }
        Ok(*ended)
    }

    /// Waits for the child's end; `None` when the deadline passes before.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> io::Result<Option<Ended>> {
        loop {
            if let Some(ended) = self.ended()? {
                return Ok(Some(ended));
            }
            if !process::wait_for_end(self.pidfd.as_fd(), deadline)? {
                return Ok(None);
            }
            if let Some(ended) = self.ended()? {
                return Ok(Some(ended));
            }
            if deadline.is_some_and(|at| at <= Instant::now()) {
                return Ok(None);
            }
            std::thread::sleep(HELD_BACK);
        }
    }

    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        process::signal(self.pidfd.as_fd(), signal)
    }
}

/// The children of this process that were not seen to end yet.
#[derive(Default)]
pub(super) struct Children {
    running: Mutex<Vec<Arc<Child>>>,
    started: Mutex<u32>,
    lifeline: Mutex<Option<Arc<Lifeline>>>,
}

static CHILDREN: PerProcess<Children> = PerProcess::new(Children::default);

/// Those of this process; a forked child has none.
pub(super) fn children() -> &'static Children {
    CHILDREN.get()
}

impl Children {
    /// The number of the next child, from 1.
    pub(super) fn next_number(&self) -> u32 {
        let mut started = lock(&self.started);
        *started = started.wrapping_add(1);
        *started
    }

    /// What daemons hang on, made for the first of them.
    pub(super) fn lifeline(&self) -> io::Result<Arc<Lifeline>> {
        let mut lifeline = lock(&self.lifeline);
        if let Some(known) = &*lifeline {
            return Ok(Arc::clone(known));
        }
        Ok(Arc::clone(lifeline.insert(Arc::new(Lifeline::new()?))))
    }

    /// Notes a child, which is waited for at exit.
    pub(super) fn add(&self, started: Started, daemon: bool) -> Arc<Child> {
        let child = Arc::new(Child {
            pid: started.pid,
            daemon,
            pidfd: started.pidfd,
            ended: Mutex::new(None),
        });
        lock(&self.running).push(Arc::clone(&child));
        child
    }

    /// Reaps the children that have ended, so that no zombie stays.
    pub(super) fn sweep(&self) {
        let mut running = lock(&self.running);
        let Ok(over) = process::ended(running.iter().map(|child| child.pidfd())) else { return };
        let mut over = over.into_iter();
        running.retain(|child| {
            let is_over = over.next().unwrap_or(false);
            !(is_over && matches!(child.ended(), Ok(Some(_))))
        });
    }

    /// Forgets a child that was seen to end.
    pub(super) fn forget(&self, child: &Arc<Child>) {
        lock(&self.running).retain(|other| !Arc::ptr_eq(other, child));
    }

    fn wait_for_all(&self) {
        let running = lock(&self.running).clone();
        let (daemons, others): (Vec<_>, Vec<_>) = running.into_iter().partition(|c| c.daemon);
        for daemon in &daemons {
            let _ = daemon.signal(Signal::TERM);
        }
        let deadline = Instant::now() + GRACE;
        for daemon in &daemons {
            if !matches!(daemon.wait(Some(deadline)), Ok(Some(_))) {
                let _ = daemon.signal(Signal::KILL);
            }
        }
        for child in daemons.iter().chain(&others) {
            let _ = child.wait(None);
        }
    }
}

/// Has this process end its daemons and wait for its other children when it exits normally.
pub(super) fn wait_at_exit() {
    extern "C" fn at_exit() {
        children().wait_for_all();
    }
    static REGISTERED: Once = Once::new();
    // Without memory for the handler nobody is waited for; the lifeline ends daemons all the same.
    REGISTERED.call_once(|| drop(process::at_exit(at_exit)));
}

/// A panic while a lock was held left nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
