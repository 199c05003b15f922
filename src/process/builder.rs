//! What can be said of a process before it is started.

use super::args::Args;
#[cfg(feature = "authkey")]
use super::current::AuthKey;
use super::launch::Plan;
use super::method::Method;
use super::stdio::Stdio;
use super::task::Call;
use super::{Process, Run};
use crate::error::{Error, Result};
use crate::message::{Message, encode};
use crate::region::transfer;
use crate::sys::entry::Target;
use crate::sys::takeover;
use std::ffi::OsString;
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;

/// How to start a process, from [`Process::builder`].
#[derive(Clone, Debug)]
#[must_use = "a builder starts nothing until `spawn`, `start` or `fork`"]
pub struct Builder {
    pub(super) name: Option<String>,
    pub(super) daemon: bool,
    pub(super) method: Method,
    pub(super) allow_threads: bool,
    #[cfg(feature = "authkey")]
    pub(super) authkey: Option<AuthKey>,
    pub(super) environment: Changes,
    pub(super) directory: Option<PathBuf>,
    pub(super) stdio: [Stdio; 3],
    pub(super) fds: Vec<(RawFd, Arc<OwnedFd>)>,
}

/// Changes of the environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    pub(super) clear: bool,
    /// In order; without a value, removed.
    pub(super) list: Vec<(OsString, Option<OsString>)>,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        !self.clear && self.list.is_empty()
    }
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            name: None,
            daemon: false,
            method: Method::Spawn,
            allow_threads: false,
            #[cfg(feature = "authkey")]
            authkey: None,
            environment: Changes::default(),
            directory: None,
            stdio: [Stdio::null(), Stdio::inherit(), Stdio::inherit()],
            fds: Vec::new(),
        }
    }
}

impl Builder {
    /// The label of the process, `Process-N` by default. Tools show it: its first 15 bytes as the
    /// name of the program, and the whole as its command line after [`Method::Spawn`].
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// Whether the process ends with this one, however this one ends; off by default.
    ///
    /// When this process exits normally, its daemons get SIGTERM, and SIGKILL if they still run a
    /// second later. When it is killed, or replaced by `exec`, the kernel kills them at once. The
    /// children of a daemon are daemons, whatever is said here.
    pub fn daemon(mut self, daemon: bool) -> Builder {
        self.daemon = daemon;
        self
    }

    /// How to start the process, [`Method::Spawn`] by default.
    ///
    /// ```
    /// use shmkit::{Method, Process};
    ///
    /// let child = Process::builder().method(Method::ForkServer).spawn((20,), |n: i32| n + 1)?;
    /// assert_eq!(child.join()?, 21);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn method(mut self, method: Method) -> Builder {
        self.method = method;
        self
    }

    /// Has [`Builder::fork`] copy a process with several threads. In the child only the calling one
    /// runs on, whatever the others were about and had locked.
    pub fn allow_threads(mut self) -> Builder {
        self.allow_threads = true;
        self
    }

    /// The key of the process, and of its children; ours by default. See [`Current::authkey`].
    ///
    /// [`Current::authkey`]: super::Current::authkey
    #[cfg(feature = "authkey")]
    pub fn authkey(mut self, key: impl AsRef<[u8]>) -> Builder {
        self.authkey = Some(AuthKey::new(key.as_ref()));
        self
    }

    /// Sets a variable in the environment of the process, which is a copy of ours otherwise.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Builder {
        self.environment.list.push((name.into(), Some(value.into())));
        self
    }

    /// Removes a variable from the environment of the process.
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Builder {
        self.environment.list.push((name.into(), None));
        self
    }

    /// Removes all variables from the environment of the process, those set before included.
    pub fn env_clear(mut self) -> Builder {
        self.environment = Changes { clear: true, list: Vec::new() };
        self
    }

    /// The directory that the process works in; ours by default.
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Builder {
        self.directory = Some(directory.into());
        self
    }

    /// The standard input of the process, `/dev/null` by default: children that read the terminal
    /// would take lines from each other.
    ///
    /// ```
    /// use shmkit::Process;
    /// use shmkit::process::Stdio;
    /// use std::io::Write;
    ///
    /// let child = Process::builder().stdin(Stdio::piped()).spawn((), || std::io::stdin().lines().count())?;
    /// child.take_stdin().unwrap().write_all(b"one\ntwo\n")?;
    /// assert_eq!(child.join()?, 2);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn stdin(mut self, stdio: impl Into<Stdio>) -> Builder {
        self.stdio[0] = stdio.into();
        self
    }

    /// The standard output of the process, ours by default.
    pub fn stdout(mut self, stdio: impl Into<Stdio>) -> Builder {
        self.stdio[1] = stdio.into();
        self
    }

    /// The standard error of the process, ours by default.
    pub fn stderr(mut self, stdio: impl Into<Stdio>) -> Builder {
        self.stdio[2] = stdio.into();
        self
    }

    /// Lets the process find `fd` under this number, as programs do that it may start itself.
    ///
    /// Choose a number that nothing else has there: from 3 on, the smaller the better.
    ///
    /// ```
    /// use shmkit::Process;
    /// use std::io::Read;
    ///
    /// let file = std::fs::File::open("/proc/version")?;
    /// let child = Process::builder()
    ///     .fd(3, file)
    ///     .spawn((), || std::fs::read_to_string("/proc/self/fd/3").unwrap())?;
    /// assert!(child.join()?.starts_with("Linux"));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn fd(mut self, number: RawFd, fd: impl Into<OwnedFd>) -> Builder {
        self.fds.retain(|(other, _)| *other != number);
        self.fds.push((number, Arc::new(fd.into())));
        self
    }

    /// Starts a process that calls `function` with `args`, see [`Process::spawn`].
    ///
    /// # Errors
    ///
    /// As [`Process::spawn`], and [`Error::InvalidArgument`] when a name or value holds a NUL byte,
    /// the name of a variable is empty or holds `=`, or the method is [`Method::Fork`].
    pub fn spawn<A: Args, R: Message>(self, args: A, function: A::Fn<R>) -> Result<Process<R>> {
        if !takeover::is_armed() {
            return Err(Error::NotInitialised);
        }
        let target = Target::of::<Call<A, R>>(function)?;
        let (arguments, outgoing) = transfer::collect(|| encode(&args));
        let arguments = match arguments {
            Ok(arguments) => arguments,
            Err(why) => return Err(outgoing.failure(why)),
        };
        let process = Plan::new(self)?.launch(target, &arguments, &outgoing)?;
        outgoing.sent();
        Ok(process)
    }

    /// Starts a process that does `task`, see [`Process::start`].
    ///
    /// # Errors
    ///
    /// As [`Builder::spawn`].
    pub fn start<T: Run>(self, task: T) -> Result<Process<T::Output>> {
        self.spawn((task,), T::run)
    }

    /// Copies this process into one that calls `f`, see [`Process::fork`].
    ///
    /// # Errors
    ///
    /// As [`Process::fork`], and [`Error::InvalidArgument`] as [`Builder::spawn`].
    ///
    /// # Safety
    ///
    /// As [`Process::fork`], and after [`Builder::allow_threads`]: `f` uses nothing that another thread
    /// could have locked, or left half done, in this crate and others and in the standard library. To
    /// panic is such a use, and to print. Nothing but a stop is to be feared of most, as of `malloc` in
    /// the GNU C library nothing at all.
    #[expect(unsafe_code, reason = "a fork is unsafe, and this is where one is asked for")]
    pub unsafe fn fork<R: Message>(self, f: impl FnOnce() -> R) -> Result<Process<R>> {
        let allow_threads = self.allow_threads;
        // SAFETY: the caller's promise.
        unsafe { Plan::new(self)?.fork(allow_threads, f) }
    }
}
