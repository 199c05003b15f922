//! Setting a process up and starting it.

use super::args::Args;
use super::child::{children, wait_at_exit};
use super::control::{Control, Start};
#[cfg(feature = "authkey")]
use super::current::AuthKey;
use super::current::current_process;
use super::task::Call;
use super::{Process, Run};
use crate::error::{Error, Result};
use crate::message::{Message, encode};
use crate::region::transfer;
use crate::sys::entry::Target;
use crate::sys::process::{Launch, copy_above_stdio, spawn};
use crate::sys::takeover;
use std::ffi::{CString, OsStr, OsString};
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// How to start a process, from [`Process::builder`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder starts nothing until `spawn` or `start`"]
pub struct Builder {
    name: Option<String>,
    daemon: bool,
    #[cfg(feature = "authkey")]
    authkey: Option<AuthKey>,
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
}

impl Builder {
    /// The label of the process, which tools show as its command; `Process-N` by default.
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
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The directory that the process works in; ours by default.
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Builder {
        self.directory = Some(directory.into());
        self
    }

    /// Starts a process that calls `function` with `args`, see [`Process::spawn`].
    ///
    /// # Errors
    ///
    /// As [`Process::spawn`], and [`Error::InvalidArgument`] when a name or value holds a NUL byte,
    /// or the name of a variable is empty or holds `=`.
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
        let process = self.launch(target, &arguments, &outgoing)?;
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

    fn launch<R>(
        self,
        target: Target,
        arguments: &[u8],
        outgoing: &transfer::Outgoing,
    ) -> Result<Process<R>> {
        let current = current_process();
        let children = children();
        children.sweep();

        // The child gets each descriptor under its number, which must not be a standard stream's.
        let mut copies = Vec::new();
        for fd in outgoing.fds().filter(|fd| fd.as_raw_fd() <= 2) {
            copies.push((fd.as_raw_fd(), copy_above_stdio(fd).map_err(Error::Os)?));
        }
        let mut pass: Vec<BorrowedFd<'_>> = Vec::with_capacity(outgoing.fds().len() + 2);
        pass.extend(outgoing.fds().map(|fd| {
            let copy = copies.iter().find(|(number, _)| *number == fd.as_raw_fd());
            copy.map_or(fd, |(_, copy)| copy.as_fd())
        }));
        let handles = pass.iter().map(AsRawFd::as_raw_fd).collect();

        let daemon = self.daemon || current.is_daemon();
        let lifeline = daemon.then(|| children.lifeline()).transpose().map_err(Error::Os)?;
        if let Some(lifeline) = &lifeline {
            pass.push(lifeline.child_end());
        }

        let identity = current.child_identity(children.next_number());
        let start = Start {
            name: self.name.unwrap_or_else(|| format!("Process-{identity}")),
            identity,
            parent_name: current.name().into(),
            parent_pid: std::process::id(),
            daemon,
            #[cfg(feature = "authkey")]
            authkey: self.authkey.unwrap_or_else(|| AuthKey::new(current.authkey())),
            lifeline: lifeline.as_ref().map(|lifeline| lifeline.child_end().as_raw_fd()),
            handles,
        };
        let name = c_string(start.name.as_bytes())?;
        let directory =
            self.directory.map(|path| c_string(path.as_os_str().as_bytes())).transpose()?;
        let record = takeover::record(target).map_err(Error::Os)?;
        let control = Control::new(record, &start, arguments)?;
        pass.push(control.as_fd());
        let environment = environment(&self.environment, control.as_fd())?;

        wait_at_exit();
        let started = spawn(&Launch {
            name: &name,
            environment: &environment,
            directory: directory.as_deref(),
            pass: &pass,
        })
        .map_err(Error::Os)?;
        let child = children.add(started, daemon);
        Ok(Process {
            child,
            control,
            name: start.name,
            #[cfg(feature = "authkey")]
            authkey: start.authkey,
            value: PhantomData,
        })
    }
}

/// Our environment with `changes`, and what makes the child look at its boot record.
fn environment(changes: &[(OsString, OsString)], control: BorrowedFd<'_>) -> Result<Vec<CString>> {
    for (name, _) in changes {
        if name.is_empty() || name.as_bytes().contains(&b'=') {
            return Err(Error::InvalidArgument("the name of a variable is empty or has a '='"));
        }
    }
    let is_changed = |name: &OsStr| {
        name == takeover::VARIABLE || changes.iter().any(|(changed, _)| changed == name)
    };
    // Of two changes of one variable the later counts.
    let last = |(index, (name, _)): &(usize, &(OsString, OsString))| {
        changes[index + 1..].iter().all(|(later, _)| later != name)
    };
    let boot = (takeover::VARIABLE.into(), takeover::variable(control).into());
    std::env::vars_os()
        .filter(|(name, _)| !is_changed(name))
        .chain(changes.iter().enumerate().filter(last).map(|(_, change)| change.clone()))
        .chain([boot])
        .map(|(name, value)| {
            let mut entry = name.into_vec();
            entry.push(b'=');
            entry.extend(value.into_vec());
            c_string(&entry)
        })
        .collect()
}

fn c_string(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|_| Error::InvalidArgument("a text with a NUL byte"))
}
