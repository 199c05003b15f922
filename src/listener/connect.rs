//! The client's side.

use super::error::ConnectError;
use super::handshake::{Answer, Greeting, Heard, Key, Request, hear, say, type_name};
use crate::error::Error;
use crate::lock::deadline::{Deadline, Naps};
use crate::message::decode;
use crate::pipe::Connection;
use crate::region::transfer;
use crate::sys::{memory, poll, socket};
use serde::de::DeserializeOwned;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// Connects to the [`Listener`](crate::Listener) at `path`, without a key, waiting to be accepted as
/// long as it takes.
///
/// # Errors
///
/// [`ConnectError`]; a listener that dies meanwhile is [`ConnectError::Disconnected`].
pub fn connect<T>(path: impl AsRef<Path>) -> Result<Connection<T>, ConnectError> {
    ConnectOptions::new().connect(path)
}

/// How to connect, where the defaults do not do.
///
/// ```
/// use shmkit::{ConnectOptions, ListenerOptions};
///
/// let path = std::env::temp_dir().join(format!("shmkit-options.{}", std::process::id()));
/// let listener = ListenerOptions::new().authkey(b"secret").bind::<u32>(&path)?;
/// let client = std::thread::spawn(move || {
///     ConnectOptions::new().authkey(b"secret").connect::<u32>(path)
/// });
/// let here = listener.accept()?;
/// client.join().unwrap()?.send(7)?;
/// assert_eq!(here.recv()?, 7);
/// # Ok::<(), shmkit::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ConnectOptions {
    key: Key,
    any_user: bool,
}

impl ConnectOptions {
    /// The defaults: no key, a listener of the same user.
    pub fn new() -> ConnectOptions {
        ConnectOptions::default()
    }

    /// The key that the listener must have, too. It is proven, and not sent.
    #[cfg(feature = "authkey")]
    pub fn authkey(mut self, key: impl AsRef<[u8]>) -> ConnectOptions {
        self.key = Key::new(key.as_ref());
        self
    }

    /// Connects to listeners of other users as well. Such a peer can do no more than send nonsense,
    /// but can do that: use a key.
    pub fn any_user(mut self, yes: bool) -> ConnectOptions {
        self.any_user = yes;
        self
    }

    /// Connects to the listener at `path`, waiting to be accepted as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`connect`].
    pub fn connect<T>(&self, path: impl AsRef<Path>) -> Result<Connection<T>, ConnectError> {
        self.connect_by(path.as_ref(), Deadline::Never)
    }

    /// Connects to the listener at `path`, waiting to be accepted at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`connect`]; [`ConnectError::Timeout`].
    pub fn connect_timeout<T>(
        &self,
        path: impl AsRef<Path>,
        timeout: Duration,
    ) -> Result<Connection<T>, ConnectError> {
        self.connect_by(path.as_ref(), Deadline::after(timeout))
    }

    fn connect_by<T>(
        &self,
        path: &Path,
        deadline: Deadline,
    ) -> Result<Connection<T>, ConnectError> {
        self.key.check().map_err(|e| io::Error::new(ErrorKind::InvalidInput, e))?;
        let socket = enter(path, deadline)?;
        let (uid, _) = socket::peer(socket.as_fd())?;
        if !self.any_user && uid != memory::effective_user() {
            return Err(ConnectError::Forbidden { uid });
        }
        let (greeting, _) = listen_for::<Greeting>(socket.as_fd(), deadline)?;
        if !greeting.is_ours() {
            return Err(ConnectError::NotAListener("another version".into()));
        }
        let request = Request::new::<T>(&self.key, &greeting)?;
        say(socket.as_fd(), &request, &[]).map_err(|e| match e.kind() {
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => ConnectError::Disconnected,
            _ => ConnectError::Os(e),
        })?;
        let (answer, fds) = listen_for::<Answer>(socket.as_fd(), deadline)?;
        if !answer.proves(&self.key, &greeting, &request) {
            return Err(ConnectError::WrongKey);
        }
        match answer {
            Answer::Welcome { connection, .. } => {
                let decoded = transfer::provide(fds, || decode(&connection));
                decoded.map_err(ConnectError::NotAListener)
            }
            Answer::WrongKey => Err(ConnectError::WrongKey),
            Answer::TypeMismatch { expected: found } => {
                Err(ConnectError::TypeMismatch { expected: type_name::<T>(), found })
            }
            Answer::Forbidden => Err(ConnectError::Forbidden { uid }),
        }
    }
}

/// Gets in line at `path`.
fn enter(path: &Path, deadline: Deadline) -> Result<OwnedFd, ConnectError> {
    let mut naps = Naps::new();
    loop {
        match socket::connect(path) {
            Ok(socket) => return Ok(socket),
            Err(e) => match e.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                    return Err(ConnectError::NotFound);
                }
                ErrorKind::WouldBlock => {} // the line is full
                ErrorKind::Interrupted => continue,
                _ => return Err(wrong_kind(e)),
            },
        }
        std::thread::sleep(naps.next(deadline).ok_or(ConnectError::Timeout)?);
    }
}

/// A listener of streams or datagrams is not ours.
fn wrong_kind(e: io::Error) -> ConnectError {
    match e.raw_os_error() {
        Some(libc::EPROTOTYPE) => ConnectError::NotAListener("a socket of another kind".into()),
        _ => ConnectError::Os(e),
    }
}

/// Waits for the listener's next words.
fn listen_for<M: DeserializeOwned>(
    socket: BorrowedFd<'_>,
    deadline: Deadline,
) -> Result<(M, Vec<OwnedFd>), ConnectError> {
    let mut naps = Naps::new();
    loop {
        match hear(socket) {
            Heard::Message(message, fds) => return Ok((message, fds)),
            Heard::Gone => return Err(ConnectError::Disconnected),
            Heard::Nonsense => return Err(ConnectError::NotAListener("nonsense".into())),
            Heard::Silence => {}
        }
        let nap = naps.next(deadline).ok_or(ConnectError::Timeout)?;
        poll::wait_readable(socket, nap)?;
    }
}

impl From<Error> for ConnectError {
    fn from(e: Error) -> ConnectError {
        ConnectError::Os(e.into())
    }
}
