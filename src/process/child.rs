//! A child as its parent sees it, and all children of this process.

use super::method::Method;
use super::server::Server;
use crate::sys::lifeline::Lifeline;
use crate::sys::per_process::PerProcess;
use crate::sys::process::{self, Ended, Started};
use rustix::process::Signal;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How long daemons have between SIGTERM and SIGKILL when their parent exits.
const GRACE: Duration = Duration::from_secs(1);
/// How long to wait before asking again for the status of a child that a debugger holds back.
const HELD_BACK: Duration = Duration::from_millis(1);

/// One child, shared by its handle and [`CHILDREN`].
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: u32,
    pub(super) name: String,
    pub(super) daemon: bool,
    pub(super) method: Method,
    pidfd: OwnedFd,
    /// Set once; whoever sets it has reaped the child.
    ended: Mutex<Option<Ended>>,
    /// Set once somebody was told how it ended.
    joined: OnceLock<()>,
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

    /// Notes that somebody was told how the child ended.
    pub(super) fn note_joined(&self) {
        let _ = self.joined.set(());
    }

    pub(super) fn was_joined(&self) -> bool {
        self.joined.get().is_some()
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
    server: Mutex<Server>,
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

    /// The fork server. A request may be under way: then this waits.
    pub(super) fn server(&self) -> MutexGuard<'_, Server> {
        lock(&self.server)
    }

    /// Notes a child, which is waited for at exit.
    pub(super) fn add(
        &self,
        started: Started,
        name: String,
        daemon: bool,
        method: Method,
    ) -> Arc<Child> {
        let child = Arc::new(Child {
            pid: started.pid,
            name,
            daemon,
            method,
            pidfd: started.pidfd,
            ended: Mutex::new(None),
            joined: OnceLock::new(),
        });
        lock(&self.running).push(Arc::clone(&child));
        child
    }

    /// Reaps the children that have ended, so that no zombie stays.
    pub(super) fn sweep(&self) {
        if let Ok(mut server) = self.server.try_lock() {
            server.sweep();
        }
        let mut running = lock(&self.running);
        let Ok(over) = process::ended(running.iter().map(|child| child.pidfd())) else { return };
        let mut over = over.into_iter();
        running.retain(|child| {
            let is_over = over.next().unwrap_or(false);
            !(is_over && matches!(child.ended(), Ok(Some(_))))
        });
    }

    /// The children that run, after [`Children::sweep`].
    pub(super) fn active(&self) -> Vec<Arc<Child>> {
        self.sweep();
        lock(&self.running).clone()
    }

    /// Forgets a child that was seen to end.
    pub(super) fn forget(&self, child: &Arc<Child>) {
        lock(&self.running).retain(|other| !Arc::ptr_eq(other, child));
    }

    /// What a process does with its children when it exits: daemons are ended, others waited for.
    pub(super) fn end(&self) {
        // If a request is under way in another thread, the lifeline ends the server.
        if let Ok(mut server) = self.server.try_lock() {
            server.end();
        }
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
        children().end();
    }
    static REGISTERED: Once = Once::new();
    // Without memory for the handler nobody is waited for; the lifeline ends daemons all the same.
    REGISTERED.call_once(|| drop(process::at_exit(at_exit)));
}

/// A panic while a lock was held left nothing half done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
