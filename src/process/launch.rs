//! From what a builder was told to a running child, by each method.

use super::builder::{Builder, Changes};
use super::child::{Children, children, wait_at_exit};
use super::control::{Control, Start, Surroundings};
#[cfg(feature = "authkey")]
use super::current::AuthKey;
use super::current::current_process;
use super::method::Method;
use super::stdio::{Lead, Pipes};
use super::{Process, task};
use crate::error::{Error, Result};
use crate::message::Message;
use crate::region::transfer::Outgoing;
use crate::sys::entry::Target;
use crate::sys::forked::{self, Side};
use crate::sys::lifeline::Lifeline;
use crate::sys::passed::open_directory;
use crate::sys::process::{Launch, Put, Started, copy_from, is_open, spawn};
use crate::sys::zygote::MAX_FDS;
use crate::sys::{takeover, thread};
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A process that is about to be started.
pub(super) struct Plan {
    children: &'static Children,
    start: Start,
    method: Method,
    lifeline: Option<Arc<Lifeline>>,
    directory: Option<PathBuf>,
    changes: Changes,
    /// What the child finds under a number, other than by inheritance.
    puts: Vec<(RawFd, Option<Arc<OwnedFd>>)>,
    pipes: Pipes,
    /// All numbers in `puts` are below; no descriptor that the child needs otherwise may be.
    least: RawFd,
}

/// A descriptor with a number that is not in the way.
enum Clear<'a> {
    Itself(BorrowedFd<'a>),
    Copy(OwnedFd),
}

impl<'a> Clear<'a> {
    fn of(fd: BorrowedFd<'a>, least: RawFd) -> Result<Clear<'a>> {
        if fd.as_raw_fd() >= least {
            return Ok(Clear::Itself(fd));
        }
        Ok(Clear::Copy(copy_from(least, fd).map_err(Error::Os)?))
    }
}

impl AsFd for Clear<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Clear::Itself(fd) => *fd,
            Clear::Copy(fd) => fd.as_fd(),
        }
    }
}

impl Plan {
    pub(super) fn new(builder: Builder) -> Result<Plan> {
        let current = current_process();
        let children = children();
        children.sweep();
        let mut pipes = Pipes::default();
        let mut puts = Vec::new();
        for (number, stdio) in builder.stdio.into_iter().enumerate() {
            let source = match stdio.0 {
                Lead::Inherit => continue,
                Lead::Null => None,
                Lead::Piped => Some(Arc::new(pipes.open(number).map_err(Error::Os)?)),
                Lead::Fd(fd) => Some(fd),
            };
            puts.push((number as RawFd, source));
        }
        puts.extend(builder.fds.into_iter().map(|(number, fd)| (number, Some(fd))));
        if puts.iter().any(|(number, _)| *number < 0) {
            return Err(Error::InvalidArgument("a descriptor's number is negative"));
        }
        let least = puts.iter().map(|(number, _)| number.saturating_add(1)).fold(3, i32::max);
        let daemon = builder.daemon || current.is_daemon();
        let lifeline = daemon.then(|| children.lifeline()).transpose().map_err(Error::Os)?;
        let identity = current.child_identity(children.next_number());
        let start = Start {
            name: builder.name.unwrap_or_else(|| format!("Process-{identity}")),
            identity,
            parent_name: current.name().into(),
            parent_pid: std::process::id(),
            daemon,
            #[cfg(feature = "authkey")]
            authkey: builder.authkey.unwrap_or_else(|| AuthKey::new(current.authkey())),
            lifeline: None,
            handles: Vec::new(),
            surroundings: Surroundings::default(),
        };
        Ok(Plan {
            children,
            start,
            method: builder.method,
            lifeline,
            directory: builder.directory,
            changes: builder.environment,
            puts,
            pipes,
            least,
        })
    }

    /// Starts a child that runs `target`.
    pub(super) fn launch<R>(
        mut self,
        target: Target,
        arguments: &[u8],
        outgoing: &Outgoing,
    ) -> Result<Process<R>> {
        wait_at_exit();
        let by_server = match self.method {
            Method::Fork => {
                return Err(Error::InvalidArgument("Method::Fork is for the unsafe Builder::fork"));
            }
            Method::ForkServer => self.request(target, arguments, outgoing)?,
            Method::Spawn => None,
        };
        let (started, control) = match by_server {
            Some(started) => started,
            None => {
                self.method = Method::Spawn;
                self.spawn(target, arguments, outgoing)?
            }
        };
        Ok(self.started(started, control))
    }

    fn started<R>(self, started: Started, control: Arc<Control>) -> Process<R> {
        let child = self.children.add(started, self.start.name, self.start.daemon, self.method);
        Process {
            child,
            control,
            pipes: self.pipes,
            #[cfg(feature = "authkey")]
            authkey: self.start.authkey,
            value: std::marker::PhantomData,
        }
    }

    fn spawn(
        &mut self,
        target: Target,
        arguments: &[u8],
        outgoing: &Outgoing,
    ) -> Result<(Started, Arc<Control>)> {
        let least = self.least;
        let handles = outgoing.fds().map(|fd| Clear::of(fd, least)).collect::<Result<Vec<_>>>()?;
        let lifeline = self.lifeline.as_ref().map(|l| Clear::of(l.child_end(), least));
        let lifeline = lifeline.transpose()?;
        let number = |fd: &Clear<'_>| fd.as_fd().as_raw_fd();
        self.start.handles = handles.iter().map(number).collect();
        self.start.lifeline = lifeline.as_ref().map(number);
        self.start.surroundings = Surroundings::default();
        let sources = self
            .puts
            .iter()
            .map(|(_, source)| source.as_ref().map(|fd| Clear::of(fd.as_fd(), least)).transpose());
        let sources = sources.collect::<Result<Vec<_>>>()?;
        let puts = self.puts.iter().zip(&sources).map(|((number, _), source)| Put {
            number: *number,
            source: source.as_ref().map(AsFd::as_fd),
        });
        let puts: Vec<_> = puts.collect();

        let name = c_string(self.start.name.as_bytes())?;
        let directory = self.directory.as_ref().map(|path| c_string(path.as_os_str().as_bytes()));
        let directory = directory.transpose()?;
        let record = takeover::record(target).map_err(Error::Os)?;
        let control = Arc::new(Control::new(least, record, &self.start, arguments)?);
        let mut environment = environment(&self.changes)?;
        environment.push(boot_entry(control.as_fd())?);
        let mut pass: Vec<_> = handles.iter().chain(&lifeline).map(AsFd::as_fd).collect();
        pass.push(control.as_fd());
        let started = spawn(&Launch {
            name: &name,
            environment: &environment,
            directory: directory.as_deref(),
            pass: &pass,
            put: &puts,
        });
        Ok((started.map_err(Error::Os)?, control))
    }

    /// As [`Plan::spawn`], by the fork server; `None` when it cannot.
    fn request(
        &mut self,
        target: Target,
        arguments: &[u8],
        outgoing: &Outgoing,
    ) -> Result<Option<(Started, Arc<Control>)>> {
        let (input, output, errors) = (io::stdin(), io::stdout(), io::stderr());
        let own = [input.as_fd(), output.as_fd(), errors.as_fd()];
        let directory = self.directory.as_deref().unwrap_or(Path::new("."));
        let directory = open_directory(directory).map_err(Error::Os)?;

        // The first place is the control file's.
        let mut fds: Vec<BorrowedFd<'_>> = Vec::new();
        let mut place = |fd| {
            fds.push(fd);
            fds.len() as RawFd - 1
        };
        let inherited = own.into_iter().enumerate().filter_map(|(number, fd)| {
            let number = number as RawFd;
            let is_put = self.puts.iter().any(|(other, _)| *other == number);
            // One that is closed here is on `/dev/null` there, as any process would have it.
            (!is_put).then(|| (number, is_open(fd).then_some(fd)))
        });
        let put = self.puts.iter().map(|(number, fd)| (*number, fd.as_ref().map(|fd| fd.as_fd())));
        let puts = inherited.chain(put).filter(|put| !matches!(put, (0..=2, None)));
        let puts = puts.map(|(number, fd)| (number, fd.map(&mut place))).collect();
        let directory = place(directory.as_fd());
        self.start.lifeline = self.lifeline.as_ref().map(|lifeline| place(lifeline.child_end()));
        self.start.handles = outgoing.fds().map(place).collect();
        if fds.len() >= MAX_FDS {
            return Ok(None);
        }

        let mut server = self.children.server();
        let environment = environment(&self.changes)?;
        let Some(known) = server.environment(self.children)? else { return Ok(None) };
        let environment = (known != environment).then_some(environment);
        self.start.surroundings = Surroundings { directory: Some(directory), environment, puts };
        c_string(self.start.name.as_bytes())?;
        let record = takeover::record(target).map_err(Error::Os)?;
        let control = Arc::new(Control::new(3, record, &self.start, arguments)?);
        let started = server.ask(self.children, self.least, control.as_fd(), &fds)?;
        Ok(started.map(|started| (started, control)))
    }

    /// Copies this process into a child that calls `f`.
    ///
    /// # Safety
    ///
    /// As [`Builder::fork`].
    #[expect(unsafe_code, reason = "the caller's promise is handed on")]
    pub(super) unsafe fn fork<R: Message>(
        mut self,
        allow_threads: bool,
        f: impl FnOnce() -> R,
    ) -> Result<Process<R>> {
        if !allow_threads {
            match thread::others().map_err(Error::Os)? {
                0 => {}
                others => return Err(Error::Threads(others)),
            }
        }
        c_string(self.start.name.as_bytes())?;
        let number = |fd: &OwnedFd| fd.as_raw_fd();
        let directory = self.directory.as_deref().map(open_directory).transpose();
        let directory = directory.map_err(Error::Os)?;
        // All of these are for the child; `Clear` where a put would overwrite them.
        let lifeline = self.lifeline.as_ref().map(|l| copy_from(self.least, l.child_end()));
        let lifeline = lifeline.transpose().map_err(Error::Os)?;
        for (_, source) in &mut self.puts {
            if let Some(fd) = source
                && fd.as_raw_fd() < self.least
            {
                *source = Some(Arc::new(copy_from(self.least, fd.as_fd()).map_err(Error::Os)?));
            }
        }
        let puts = self.puts.iter().map(|(n, fd)| (*n, fd.as_deref().map(number))).collect();
        let environment = match self.changes.is_empty() {
            true => None,
            false => Some(environment(&self.changes)?),
        };
        self.start.lifeline = lifeline.as_ref().map(number);
        self.start.surroundings =
            Surroundings { directory: directory.as_ref().map(number), environment, puts };
        let record = [0; takeover::RECORD_BYTES]; // nobody is taken over
        let control = Arc::new(Control::new(self.least, record, &self.start, &[])?);
        wait_at_exit();
        // SAFETY: the caller's promise.
        match unsafe { forked::fork() }.map_err(Error::Os)? {
            Side::Parent(started) => {
                self.method = Method::Fork;
                Ok(self.started(started, control))
            }
            Side::Child(passed) => {
                // Adopted by their numbers, which these no longer own.
                for fd in [lifeline, directory].into_iter().flatten() {
                    std::mem::forget(fd);
                }
                let (puts, pipes) = (self.puts, self.pipes);
                let code = task::run_forked(control, &passed, self.start, f, || {
                    drop((puts, pipes)); // the child's copies
                });
                children().end();
                forked::end(code)
            }
        }
    }
}

/// Our environment with `changes`: `NAME=value`.
pub(super) fn environment(changes: &Changes) -> Result<Vec<CString>> {
    for (name, _) in &changes.list {
        if name.is_empty() || name.as_bytes().contains(&b'=') {
            return Err(Error::InvalidArgument("the name of a variable is empty or has a '='"));
        }
    }
    let is_kept = |name: &OsStr| {
        name != takeover::VARIABLE
            && !changes.clear
            && changes.list.iter().all(|(changed, _)| changed != name)
    };
    // Of two changes of one variable the later counts.
    let last = changes.list.iter().enumerate().filter_map(|(index, (name, value))| {
        let is_last = changes.list[index + 1..].iter().all(|(later, _)| later != name);
        Some((name.clone(), value.clone().filter(|_| is_last)?))
    });
    std::env::vars_os()
        .filter(|(name, _)| is_kept(name))
        .chain(last)
        .map(|(name, value)| {
            let mut entry = name.into_vec();
            entry.push(b'=');
            entry.extend(value.into_vec());
            c_string(&entry)
        })
        .collect()
}

/// What makes a child look at its boot record.
pub(super) fn boot_entry(control: BorrowedFd<'_>) -> Result<CString> {
    c_string(format!("{}={}", takeover::VARIABLE, takeover::variable(control)).as_bytes())
}

fn c_string(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|_| Error::InvalidArgument("a text with a NUL byte"))
}
