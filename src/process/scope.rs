//! Processes that all end before a block does.

use super::args::Args;
use super::child::{Child, children};
use super::control::Control;
use super::{Process, Run, joined};
use crate::error::Result;
use crate::message::Message;
use crate::sys::process::Ended;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Runs `f`, then waits for all processes that were started in its [`Scope`], as
/// [`std::thread::scope`] does for threads.
///
/// Blocks until the last of them has ended, also when `f` panics.
///
/// # Panics
///
/// As `f` does; otherwise when a process of the scope that nobody joined has panicked, was ended by a
/// signal, or exited with another code than 0. How the process ended is in the text.
///
/// ```
/// use shmkit::{Process, Value, scope};
///
/// let total = Value::new(0u64)?;
/// let sum = scope(|s| {
///     for n in 1..=3 {
///         s.spawn((total.clone(), n), |total: Value<u64>, n: u64| { total.fetch_add(n); })?;
///     }
///     let named = Process::builder().name("the last").spawn((4,), |n: u64| n)?;
///     s.adopt(named).join().map_err(shmkit::Error::from)
/// })?;
/// assert_eq!((total.get(), sum), (6, 4)); // all have ended
/// # Ok::<(), shmkit::Error>(())
/// ```
pub fn scope<T>(f: impl FnOnce(&Scope) -> T) -> T {
    let scope = Scope { members: Mutex::default() };
    let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    let failure = scope.join();
    match (result, failure) {
        (Err(panic), _) => resume_unwind(panic),
        (Ok(_), Some(failure)) => panic!("{failure}"),
        (Ok(value), None) => value,
    }
}

/// Where the processes of a [`scope`] are started.
#[derive(Debug)]
pub struct Scope {
    members: Mutex<Vec<Member>>,
}

#[derive(Debug)]
struct Member {
    child: Arc<Child>,
    control: Arc<Control>,
}

impl Scope {
    /// As [`Process::spawn`], for a process of the scope.
    ///
    /// # Errors
    ///
    /// As [`Process::spawn`].
    pub fn spawn<A: Args, R: Message>(&self, args: A, function: A::Fn<R>) -> Result<Process<R>> {
        Process::spawn(args, function).map(|process| self.adopt(process))
    }

    /// As [`Process::start`], for a process of the scope.
    ///
    /// # Errors
    ///
    /// As [`Process::start`].
    pub fn start<T: Run>(&self, task: T) -> Result<Process<T::Output>> {
        Process::start(task).map(|process| self.adopt(process))
    }

    /// Makes a process that was started in any way one of the scope.
    pub fn adopt<R>(&self, process: Process<R>) -> Process<R> {
        let member =
            Member { child: Arc::clone(&process.child), control: Arc::clone(&process.control) };
        self.members.lock().unwrap_or_else(PoisonError::into_inner).push(member);
        process
    }

    /// Waits for all; says how one failed that nobody joined.
    fn join(self) -> Option<String> {
        let members = self.members.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut failure = None;
        for Member { child, control } in members {
            let was_joined = child.was_joined();
            let ended = child.wait(None);
            children().forget(&child);
            if was_joined {
                continue;
            }
            let how = match ended {
                Ok(Some(Ended::Exited(0)) | None) => continue,
                Ok(Some(Ended::Unknown)) if control.reported_code() == Some(0) => continue,
                Ok(Some(ended)) => match joined(control.panics()) {
                    Some(panic) => panic.to_string(),
                    None => ended.to_string(),
                },
                Err(e) => e.to_string(),
            };
            failure.get_or_insert(format!("{} of the scope {how}", child.name));
        }
        failure
    }
}
