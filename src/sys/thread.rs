//! Threads of our own in a program that is not ours, and how many there are of others.
//!
//! - H1. A thread of ours may hold, at any time, only locks that a forked child replaces
//!   ([`super::per_process`]), that a fork waits for ([`super::fork::exclusive`]), or that the C
//!   library puts in order (`malloc`). So it does not count among those that make a fork unsafe.

#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A thread of ours.
struct Helper {
    id: i32,
    /// When it came to its end, after which the kernel shows it for a moment.
    left: Option<Instant>,
}

/// How long a thread that has come to its end may be there: longer than a busy machine keeps it
/// waiting, and far shorter than it takes until another thread gets its id.
const LEAVES_WITHIN: Duration = Duration::from_secs(2);

static HELPERS: Mutex<Vec<Helper>> = Mutex::new(Vec::new());

fn helpers() -> MutexGuard<'static, Vec<Helper>> {
    let mut helpers = HELPERS.lock().unwrap_or_else(PoisonError::into_inner);
    helpers.retain(|helper| helper.left.is_none_or(|at| at.elapsed() < LEAVES_WITHIN));
    helpers
}

fn is_helper(id: i32) -> bool {
    helpers().iter().any(|helper| helper.id == id)
}

/// In [`HELPERS`] as long as it runs.
struct Listed(i32);

impl Listed {
    fn enter() -> Listed {
        let id = rustix::thread::gettid().as_raw_pid();
        helpers().push(Helper { id, left: None });
        Listed(id)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut helpers = helpers();
        let helper = helpers.iter_mut().find(|helper| helper.id == self.0 && helper.left.is_none());
        if let Some(helper) = helper {
            helper.left = Some(Instant::now());
        }
    }
}

/// Starts a thread that takes no signals: those are for the threads of the program. It keeps to H1.
pub(crate) fn spawn_without_signals(
    name: &str,
    f: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    // A new thread inherits the mask of its parent.
    let mut before = MaybeUninit::uninit();
    // SAFETY: `all` is filled before it is used, and the old mask is written to `before`.
    unsafe {
        let mut all = MaybeUninit::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let (say, is_listed) = std::sync::mpsc::sync_channel(1);
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let _listed = Listed::enter();
        let _ = say.send(());
        f();
    });
    // SAFETY: `before` was filled above: the call cannot fail with these arguments.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    spawned?;
    let _ = is_listed.recv(); // from here on it counts as ours
    Ok(())
}

/// The threads of this process beside the calling one and our own, none of which is about to end.
///
/// One that another thread has joined may run for a moment before the kernel says that it ends: so a
/// second look is taken before there are said to be some.
pub(crate) fn others() -> io::Result<usize> {
    const LOOKS: usize = 5;
    for _ in 1..LOOKS {
        if count_others()? == 0 {
            return Ok(0);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    count_others()
}

fn count_others() -> io::Result<usize> {
    let own = rustix::thread::gettid().as_raw_pid();
    let mut others = 0;
    for entry in std::fs::read_dir("/proc/self/task")? {
        let path = entry?.path();
        let id = path.file_name().and_then(|name| name.to_str()?.parse().ok()).unwrap_or(0);
        if id != own && !is_helper(id) && !is_ending(&path.join("stat")) {
            others += 1;
        }
    }
    Ok(others)
}

/// Whether the thread runs no code any more: who joins it need not wait until it is gone here.
fn is_ending(stat: &std::path::Path) -> bool {
    /// Of the kernel's flags for a task: it has begun to exit.
    const PF_EXITING: u32 = 4;
    let Ok(stat) = std::fs::read_to_string(stat) else { return true };
    // The ninth field, counted after the name, which may contain anything but ends with ')'.
    let flags = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(6));
    flags.and_then(|flags| flags.parse().ok()).is_some_and(|flags: u32| flags & PF_EXITING != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_of_ours_does_not_count_and_another_does() {
        // Other tests come and go as well: only what is there for good can be counted.
        let (send, receive) = std::sync::mpsc::channel::<()>();
        let listed = std::sync::Arc::new(std::sync::Barrier::new(2));
        let begun = std::sync::Arc::clone(&listed);
        spawn_without_signals("shmkit-test", move || {
            begun.wait();
            let _ = receive.recv();
        })
        .unwrap();
        listed.wait();
        let ours = helpers().last().unwrap().id;
        assert_ne!(ours, rustix::thread::gettid().as_raw_pid());
        assert!(!is_ending(format!("/proc/self/task/{ours}/stat").as_ref()));
        assert!(others().unwrap() >= 1, "the harness has its own thread");
        drop(send);
    }

    #[test]
    fn a_thread_that_was_joined_is_ending_or_gone() {
        for _ in 0..100 {
            let thread = std::thread::spawn(|| rustix::thread::gettid().as_raw_pid());
            let id = thread.join().unwrap();
            assert!(is_ending(format!("/proc/self/task/{id}/stat").as_ref()));
        }
    }
}
