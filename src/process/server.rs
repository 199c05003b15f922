//! The fork server of this process: started when it is needed, and again when it was killed.

use super::builder::Changes;
use super::child::Children;
use super::control::{Control, Start, Surroundings};
#[cfg(feature = "authkey")]
use super::current::AuthKey;
use super::launch::{boot_entry, environment};
use crate::error::Result;
use crate::sys::entry::{Job, Target};
use crate::sys::lifeline;
use crate::sys::process::{Launch, Put, Started, spawn};
use crate::sys::takeover::{self, Boot, REFUSED};
use crate::sys::zygote::{self, Answer, Zygote};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// How often a request is made again when the server is killed meanwhile.
const ATTEMPTS: u32 = 3;

/// The server of one process.
#[derive(Default)]
pub(super) enum Server {
    #[default]
    None,
    Running(Running),
    /// It cannot make children here.
    Unable,
}

pub(super) struct Running {
    zygote: Zygote,
    /// What the server has, and its children without being told: `NAME=value`.
    environment: Vec<CString>,
}

impl Server {
    /// The environment that the server gives to its children, after starting it if need be; `None`
    /// when there can be no server.
    pub(super) fn environment(&mut self, children: &Children) -> Result<Option<&[CString]>> {
        if let Server::None = self {
            *self = Server::Running(Running::start(children)?);
        }
        Ok(match self {
            Server::Running(running) => Some(&running.environment),
            _ => None,
        })
    }

    /// Has the server make a child, which gets `fds` as [`Zygote::ask`] says; `None` when it cannot.
    pub(super) fn ask(
        &mut self,
        children: &Children,
        least: RawFd,
        control: BorrowedFd<'_>,
        fds: &[BorrowedFd<'_>],
    ) -> Result<Option<Started>> {
        for _ in 0..ATTEMPTS {
            if self.environment(children)?.is_none() {
                return Ok(None);
            }
            let Server::Running(running) = self else { return Ok(None) };
            match running.zygote.ask(least, control, fds) {
                Answer::Started(started) => return Ok(Some(started)),
                Answer::Refused(why) => return Err(crate::Error::Os(why)),
                Answer::Unable => {
                    running.zygote.end();
                    *self = Server::Unable;
                }
                Answer::Gone => {
                    running.zygote.end();
                    // As it was, so that what the request says of the environment stays true.
                    let environment = std::mem::take(&mut running.environment);
                    *self = Server::None;
                    *self = Server::Running(Running::start_with(children, environment)?);
                }
            }
        }
        Ok(None)
    }

    /// Notices the death of the server, so that no zombie stays.
    pub(super) fn sweep(&mut self) {
        if matches!(self, Server::Running(running) if running.zygote.has_ended()) {
            *self = Server::None;
        }
    }

    /// Ends the server; there will be no other.
    pub(super) fn end(&mut self) {
        if let Server::Running(running) = std::mem::replace(self, Server::Unable) {
            running.zygote.end();
        }
    }
}

impl Running {
    fn start(children: &Children) -> Result<Running> {
        Running::start_with(children, environment(&Changes::default())?)
    }

    fn start_with(children: &Children, environment: Vec<CString>) -> Result<Running> {
        let (socket, theirs) = zygote::stream()?;
        let lifeline = children.lifeline()?;
        let start = Start {
            name: String::new(),
            identity: String::new(),
            parent_name: String::new(),
            parent_pid: std::process::id(),
            daemon: true,
            #[cfg(feature = "authkey")]
            authkey: AuthKey::default(), // each child has its own
            lifeline: Some(lifeline.child_end().as_raw_fd()),
            handles: vec![theirs.as_fd().as_raw_fd()],
            surroundings: Surroundings::default(),
        };
        let record = takeover::record(Target::of::<Serve>(nothing)?)?;
        let control = Control::new(3, record, &start, &[])?;
        let boot = boot_entry(control.as_fd())?;
        let started = spawn(&Launch {
            name: c"shmkit-server",
            environment: &[environment.as_slice(), &[boot]].concat(),
            directory: None,
            pass: &[lifeline.child_end(), theirs.as_fd(), control.as_fd()],
            // The streams of its children are passed to each.
            put: &[0, 1, 2].map(|number| Put { number, source: None }),
        })?;
        Ok(Running { zygote: Zygote::new(socket, started), environment })
    }
}

/// What a server does. The function says nothing.
struct Serve;

fn nothing() {}

impl Job for Serve {
    type Entry = fn();

    fn run(_: fn(), boot: Boot) -> i32 {
        let serve = || {
            let (start, _) = Control::from(boot.control).take()?;
            let number = start.lifeline.unwrap_or(-1);
            let lifeline = lifeline::arm(boot.passed.adopt(number)?)?;
            let socket = boot.passed.adopt(start.handles.first().copied().unwrap_or(-1))?;
            std::io::Result::Ok(zygote::serve(socket, lifeline))
        };
        serve().unwrap_or(REFUSED)
    }
}
