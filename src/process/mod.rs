//! Processes that run one function of this program, and give its value back.
//!
//! [`Process::spawn`] takes the arguments and a plain function, with no macro and no registration:
//!
//! ```
//! use shmkit::Process;
//!
//! fn add(a: i32, b: i32) -> i32 { a + b }
//!
//! let sum = Process::spawn((1, 2), add)?;
//! let mean = Process::spawn((vec![1.0, 2.0],), |v| v.iter().sum::<f64>() / v.len() as f64)?;
//! assert_eq!(sum.join()?, 3);
//! assert_eq!(mean.join()?, 1.5);
//! # Ok::<(), shmkit::Error>(())
//! ```
//!
//! The child is the same executable, started afresh: it shares no memory with its parent and sees
//! its globals as they are at start, whatever threads and locks the parent has. It never reaches
//! `main`: a constructor of this crate takes it over before (feature `takeover`, on by default), or
//! [`init`] does, first in `main`. This works in programs, examples, tests and doctests alike.
//! Arguments and value are [`Message`]s.
//!
//! What is the Rust runtime's is not all there before `main`: the function's thread has no name in
//! panic messages, and a stack overflow ends it by signal 11 without a message of its own.
//!
//! Source: Python's `multiprocessing` for the behaviour; the data-first call that lets the compiler
//! coerce real functions is this crate's.
//!
//! How a process begins is [`Method`]'s to say: started anew, which is the default, made by a fork server,
//! or, by `unsafe` calls, forked.
//!
//! An unfinished child is waited for when this process exits normally (by return, `exit` or a panic of
//! `main`), and ended if it is a daemon. A killed process waits for nobody: its daemons are killed by the
//! kernel, its other children live on, and see it by [`parent_process`]. A child that has ended is a
//! zombie until somebody joins it, asks whether it is alive, or starts or lists others.
//!
//! Death: a child may end in any way at any time, and its parent learns how by a pidfd. A daemon
//! child is ended with its parent, however that ends: see [`Builder::daemon`].

mod args;
mod builder;
mod child;
mod control;
mod current;
mod family;
mod launch;
mod method;
mod scope;
mod server;
mod stdio;
mod task;

pub use crate::error::{PanicInfo, ProcessError};
pub use args::Args;
pub use builder::Builder;
pub use current::{Current, Parent, cpu_count, current_process, parent_process};
pub use family::{ChildInfo, active_children};
pub use method::Method;
pub use scope::{Scope, scope};
pub use stdio::Stdio;

pub(crate) use task::{describe, text_of};

use crate::error::Result;
use crate::message::{Message, decode};
use crate::sys::process::Ended;
use crate::sys::takeover;
use child::{Child, children};
use control::{Control, Report};
use rustix::process::Signal;
use std::fmt;
use std::io::{self, PipeReader, PipeWriter};
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdio::Pipes;

/// A task with its data, as a type: what a subclass of Python's `Process` is.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use shmkit::{Process, Run};
///
/// #[derive(Serialize, Deserialize)]
/// struct Count { text: String, letter: char }
///
/// impl Run for Count {
///     type Output = usize;
///     fn run(self) -> usize {
///         self.text.chars().filter(|c| *c == self.letter).count()
///     }
/// }
///
/// let count = Process::start(Count { text: "banana".into(), letter: 'a' })?;
/// assert_eq!(count.join()?, 3);
/// # Ok::<(), shmkit::Error>(())
/// ```
pub trait Run: Message {
    /// What the task gives back.
    type Output: Message;

    /// Does the task; called in the process that was started for it.
    fn run(self) -> Self::Output;
}

/// Takes this process over, if it was started to be somebody's child process.
///
/// Programs need this only without the feature `takeover`; then it must be the first call in
/// `main`, since everything before it runs in each child too. In a child it does not return. In
/// other processes it only notes that children can be started; off the main thread it does nothing.
///
/// ```
/// shmkit::init();
/// assert_eq!(shmkit::Process::spawn((20,), |n: u32| n + 1)?.join()?, 21);
/// # Ok::<(), shmkit::Error>(())
/// ```
pub fn init() {
    takeover::init();
}

/// A started process, which gives back an `R`.
///
/// Any number of threads may use it at once, and every call can be repeated. Dropping it neither
/// ends the process nor waits: an unfinished process goes on, and is waited for when this one exits
/// (ended, if it is a daemon). In a forked child of the process that started it, only what needs no
/// reaping is known of it.
///
/// A handle is a process that has been started: it cannot be started again, nor can two handles be
/// made of one.
///
/// ```compile_fail,E0599
/// let child: shmkit::Process = shmkit::Process::spawn((), || ()).unwrap();
/// child.spawn();
/// ```
/// ```compile_fail,E0599
/// let child: shmkit::Process = shmkit::Process::spawn((), || ()).unwrap();
/// child.clone();
/// ```
pub struct Process<R = ()> {
    child: Arc<Child>,
    control: Arc<Control>,
    pipes: Pipes,
    #[cfg(feature = "authkey")]
    authkey: current::AuthKey,
    value: PhantomData<fn() -> R>,
}

impl Process<()> {
    /// Sets a process up: name, daemon flag, method, environment, directory, streams, descriptors.
    ///
    /// ```
    /// use shmkit::Process;
    ///
    /// let child = Process::builder().name("adder").daemon(true).spawn((1, 2), |a: i32, b: i32| a + b)?;
    /// assert_eq!((child.name(), child.join()?), ("adder", 3));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts a process that calls `function` with `args`; [`Process::join`] gives its value.
    ///
    /// Returns when the process has been started, in about a millisecond, whatever the size of this
    /// one.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`](crate::Error::Encode) when the arguments cannot be encoded; what a handle
    /// among them had to say, as [`Error::TooManyParticipants`](crate::Error::TooManyParticipants)
    /// or [`Error::Lent`](crate::Error::Lent);
    /// [`Error::ForeignFunction`](crate::Error::ForeignFunction) when `function` is not part of the
    /// executable, [`Error::NotInitialised`](crate::Error::NotInitialised) when a child could not
    /// be taken over, [`Error::Os`](crate::Error::Os) when the kernel refuses (no descriptor or
    /// process left). Nothing is left behind then.
    pub fn spawn<A: Args, R: Message>(args: A, function: A::Fn<R>) -> Result<Process<R>> {
        Process::builder().spawn(args, function)
    }

    /// Copies this process into one that calls `f`; [`Process::join`] gives its value.
    ///
    /// `f` may use whatever there is: nothing is encoded but the value. What was printed, and not
    /// written yet, is written before. The child ends by `_exit`: destructors outside of `f` and exit
    /// handlers do not run, but what it printed is written, and its own children are ended or waited
    /// for as at any exit. It has all open files of this process. Shared objects work in both; the end
    /// of a pipe or ring stays this process's, and tells the child
    /// [`Error::WrongProcess`](crate::Error::WrongProcess). The time it takes grows with the memory of
    /// this process, which is slower for a while afterwards, too.
    ///
    /// Other than [`Process::spawn`] this needs no take-over, so that it works in a library that a
    /// foreign program has loaded.
    ///
    /// ```
    /// use shmkit::{Error, Process};
    ///
    /// let text = String::from("captured");
    /// // SAFETY: `text` is all that the child uses.
    /// match unsafe { Process::fork(|| text.len()) } {
    ///     Ok(child) => assert_eq!(child.join()?, 8),
    ///     Err(Error::Threads(others)) => println!("not with {others} other threads"),
    ///     Err(other) => return Err(other),
    /// }
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Threads`](crate::Error::Threads) when this process has other threads, which could have
    /// locked what the child needs (threads of this crate do not count); [`Builder::allow_threads`]
    /// lets it be done all the same. [`Error::Os`](crate::Error::Os) when the kernel refuses. Nothing
    /// is left behind then.
    ///
    /// # Safety
    ///
    /// The child has a copy of everything, also of what there must be only one of. It must use nothing
    /// whose exclusive owner may be the parent: no guard, loan or `&mut` into memory that both share
    /// (this crate's, or a shared mapping's), nothing that stands for a thread, no connection whose
    /// protocol both would speak at once.
    #[expect(unsafe_code, reason = "a fork is unsafe, and this is where one is asked for")]
    pub unsafe fn fork<R: Message>(f: impl FnOnce() -> R) -> Result<Process<R>> {
        // SAFETY: the caller's promise.
        unsafe { Process::builder().fork(f) }
    }

    /// Starts a process that does `task`; [`Process::join`] gives its output.
    ///
    /// # Errors
    ///
    /// As [`Process::spawn`].
    pub fn start<T: Run>(task: T) -> Result<Process<T::Output>> {
        Process::builder().start(task)
    }
}

impl<R: Message> Process<R> {
    /// Waits until the process has ended, and gives the value that its function returned.
    ///
    /// Blocks. Each call decodes the value anew.
    ///
    /// # Errors
    ///
    /// How the process ended, if not by returning: see [`ProcessError`]. `exit(0)` inside the
    /// function is [`ProcessError::Exited`], too: there is no value.
    pub fn join(&self) -> Result<R, ProcessError> {
        match self.wait(None)? {
            Some(ended) => self.outcome(ended),
            None => Err(ProcessError::Unknown),
        }
    }

    /// Like [`Process::join`], for at most `timeout`; `None` when the process still runs then.
    ///
    /// # Errors
    ///
    /// As [`Process::join`].
    ///
    /// ```
    /// use shmkit::Process;
    /// use std::time::Duration;
    ///
    /// let child = Process::spawn((), || -> () { loop { std::thread::park() } })?;
    /// assert!(child.join_timeout(Duration::from_millis(1))?.is_none());
    /// child.kill()?;
    /// assert!(child.join_timeout(Duration::from_secs(30)).is_err());
    /// assert_eq!(child.exitcode(), Some(-9));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn join_timeout(&self, timeout: Duration) -> Result<Option<R>, ProcessError> {
        match self.wait(Instant::now().checked_add(timeout))? {
            Some(ended) => self.outcome(ended).map(Some),
            None => Ok(None),
        }
    }

    fn outcome(&self, ended: Ended) -> Result<R, ProcessError> {
        let report = self.control.read_report().map_err(ProcessError::Os)?;
        match (ended, report) {
            (Ended::Signaled { signal, core }, _) => {
                let panic = joined(self.control.panics());
                Err(ProcessError::Signaled { signal, core, panic })
            }
            (Ended::Unknown, None) => Err(ProcessError::Unknown),
            (Ended::Exited(code), None) => Err(ProcessError::Exited(code)),
            // Something changed the exit code on the way out, an exit handler perhaps.
            (Ended::Exited(code), Some((_, reported))) if code != reported => {
                Err(ProcessError::Exited(code))
            }
            (_, Some((report, code))) => match report {
                Report::Returned(value) => decode(&value)
                    .map_err(|why| ProcessError::Decode(format!("the returned value: {why}"))),
                Report::Panicked => Err(match joined(self.control.panics()) {
                    Some(panic) => ProcessError::Panicked(panic),
                    None => ProcessError::Exited(code),
                }),
                Report::NoArguments(why) => {
                    Err(ProcessError::Decode(format!("the arguments: {why}")))
                }
                Report::NoValue(why) => Err(ProcessError::Encode(why)),
                Report::Failed(errno) => Err(ProcessError::Os(io::Error::from_raw_os_error(errno))),
            },
        }
    }
}

impl<R> Process<R> {
    /// The process id, also after the end.
    pub fn pid(&self) -> u32 {
        self.child.pid
    }

    /// The label given to [`Builder::name`], or `Process-1`, `Process-2`, .., `Process-1:1` for the
    /// first child of the first.
    pub fn name(&self) -> &str {
        &self.child.name
    }

    /// How the process was started: as it was asked for, or by [`Method::Spawn`] where there can be no
    /// fork server.
    pub fn method(&self) -> Method {
        self.child.method
    }

    /// The key that the process was given, see [`Current::authkey`].
    #[cfg(feature = "authkey")]
    pub fn authkey(&self) -> &[u8] {
        self.authkey.bytes()
    }

    /// Whether the process ends with this one.
    pub fn is_daemon(&self) -> bool {
        self.child.daemon
    }

    /// Whether the process still runs. `false` is final, `true` may be stale at once.
    pub fn is_alive(&self) -> bool {
        matches!(self.ended(), Ok(None))
    }

    /// How the process ended: 0 after the function has returned, 1 after a panic, `n` after
    /// `exit(n)`, `-n` after signal `n`. `None` while it runs, or when nobody knows
    /// ([`ProcessError::Unknown`]).
    pub fn exitcode(&self) -> Option<i32> {
        match self.ended() {
            Ok(Some(ended)) => ended.code(),
            Ok(None) | Err(_) => None,
        }
    }

    /// Asks the process to end, by SIGTERM. A process that has ended does not mind.
    ///
    /// Its destructors and exit handlers do not run, and its children go on if they are no daemons.
    ///
    /// # Errors
    ///
    /// [`Error::Os`](crate::Error::Os) when the kernel refuses: the process has changed its user.
    pub fn terminate(&self) -> Result<()> {
        Ok(self.child.signal(Signal::TERM)?)
    }

    /// Ends the process by SIGKILL, which it cannot refuse. It may run for a moment still:
    /// [`Process::join`] tells when it is gone.
    ///
    /// # Errors
    ///
    /// As [`Process::terminate`].
    pub fn kill(&self) -> Result<()> {
        Ok(self.child.signal(Signal::KILL)?)
    }

    /// Our end of the pipe to the standard input of the process, once, if it was set up with one
    /// ([`Stdio::piped`]). The process reads to the end of it when it is dropped.
    pub fn take_stdin(&self) -> Option<PipeWriter> {
        self.pipes.writer()
    }

    /// Our end of the pipe from the standard output of the process, once, if it was set up with one.
    pub fn take_stdout(&self) -> Option<PipeReader> {
        self.pipes.reader(1)
    }

    /// Our end of the pipe from the standard error of the process, once, if it was set up with one.
    pub fn take_stderr(&self) -> Option<PipeReader> {
        self.pipes.reader(2)
    }

    /// The process's pidfd, which polls as readable once the process has ended.
    pub fn sentinel(&self) -> BorrowedFd<'_> {
        self.child.pidfd()
    }

    fn wait(&self, deadline: Option<Instant>) -> Result<Option<Ended>, ProcessError> {
        let ended = self.child.wait(deadline).map_err(ProcessError::Os)?;
        if ended.is_some() {
            self.child.note_joined();
            children().forget(&self.child);
        }
        Ok(ended.map(|ended| self.known(ended)))
    }

    fn ended(&self) -> io::Result<Option<Ended>> {
        Ok(self.child.ended()?.map(|ended| self.known(ended)))
    }

    /// Where the kernel does not know any more, the child's own word counts.
    fn known(&self, ended: Ended) -> Ended {
        match ended {
            Ended::Unknown => self.control.reported_code().map_or(ended, Ended::Exited),
            _ => ended,
        }
    }
}

/// The first panic, and what followed while it unwound.
fn joined(panics: Vec<PanicInfo>) -> Option<PanicInfo> {
    let mut panics = panics.into_iter();
    let mut first = panics.next()?;
    for later in panics {
        first.message = format!("{}\nthen {later}", first.message);
    }
    Some(first)
}

impl<R> AsFd for Process<R> {
    /// As [`Process::sentinel`].
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sentinel()
    }
}

impl<R> Drop for Process<R> {
    fn drop(&mut self) {
        if let Ok(Some(_)) = self.child.ended() {
            children().forget(&self.child);
        }
    }
}

impl<R> fmt::Debug for Process<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("name", &self.name())
            .field("pid", &self.pid())
            .field("daemon", &self.is_daemon())
            .field("exitcode", &self.exitcode())
            .finish_non_exhaustive()
    }
}
