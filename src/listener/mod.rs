//! Unrelated processes meet by a path, and then share memory.
//!
//! A listener is a Unix socket in the file system. It is used to meet only: what it gives both
//! sides is a [`Connection`](crate::Connection) over a region of its own, whose messages never see
//! the socket again.
//!
//! # Death
//!
//! A client that dies, falls silent or sends nonsense is dropped; it never keeps others waiting,
//! because the listener talks to all of them at once. One that dies after its welcome leaves a
//! connection at its end of stream. A listener that dies leaves its clients
//! [`ConnectError::Disconnected`], and a file that the next one replaces.

mod connect;
mod error;
mod handshake;
mod place;

pub use connect::{ConnectOptions, connect};
pub use error::{AcceptError, ConnectError};

use crate::error::Result;
use crate::lock::deadline::{Deadline, Naps};
use crate::message::encode;
use crate::pipe::{Connection, PipeOptions};
use crate::region::transfer;
use crate::sys::{fork, memory, poll, socket};
use handshake::{Answer, Greeting, Heard, Key, Request, hear, say, type_name};
use place::Place;
use std::fmt;
use std::io::ErrorKind;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a client may take for its request.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clients that are talked to at once; the others wait in the kernel's line.
const MAX_CLIENTS: usize = 256;

/// Where clients find a process by a path; each gets a [`Connection`] of its own.
///
/// Any number of threads may accept at once. The path goes with the listener; after a kill, the next
/// who listens there replaces it.
///
/// ```
/// use shmkit::{Listener, connect};
///
/// let path = std::env::temp_dir().join(format!("shmkit-listener.{}", std::process::id()));
/// let listener = Listener::<String>::bind(&path)?;
///
/// // As a rule another program.
/// let client = std::thread::spawn(move || -> shmkit::Result<()> {
///     let there = connect::<String>(path)?;
///     there.send("hello".into())?;
///     Ok(())
/// });
///
/// let here = listener.accept()?;
/// assert_eq!(here.recv()?, "hello");
/// client.join().unwrap()?;
/// # Ok::<(), shmkit::Error>(())
/// ```
pub struct Listener<T> {
    /// Before the socket: while the path is there, somebody listens.
    place: Place,
    _entries: [fork::Entry; 2],
    socket: OwnedFd,
    /// Readable when there is something to do.
    set: OwnedFd,
    clients: Mutex<Vec<Client>>,
    options: ListenerOptions,
    message: PhantomData<fn(T) -> T>,
}

/// How to listen, where the defaults do not do: see [`ConnectOptions`] for an example.
#[derive(Clone, Debug, Default)]
pub struct ListenerOptions {
    key: Key,
    any_user: bool,
    pipe: PipeOptions,
}

impl ListenerOptions {
    /// The defaults: no key, clients of the same user, [`PipeOptions::new`].
    pub fn new() -> ListenerOptions {
        ListenerOptions::default()
    }

    /// The key that clients must have, too. It is proven, and not sent.
    #[cfg(feature = "authkey")]
    pub fn authkey(mut self, key: impl AsRef<[u8]>) -> ListenerOptions {
        self.key = Key::new(key.as_ref());
        self
    }

    /// Accepts clients of other users as well, who may do anything to a connection of theirs but
    /// harm this process: use a key.
    pub fn any_user(mut self, yes: bool) -> ListenerOptions {
        self.any_user = yes;
        self
    }

    /// What the connections are made of.
    pub fn pipe(mut self, pipe: PipeOptions) -> ListenerOptions {
        self.pipe = pipe;
        self
    }

    /// Listens at `path`, see [`Listener::bind`].
    ///
    /// # Errors
    ///
    /// As [`Listener::bind`]; [`Error::InvalidArgument`](crate::Error::InvalidArgument) for an empty
    /// key.
    pub fn bind<T>(self, path: impl AsRef<Path>) -> Result<Listener<T>> {
        self.key.check()?;
        let (place, socket) = Place::take(path.as_ref(), self.any_user)?;
        let set = poll::any_readable(&[socket.as_fd()])?;
        let [of_socket, of_set] =
            [&socket, &set].map(|fd| fork::Entry::blanked_in_child(fd.as_fd()));
        Ok(Listener {
            place,
            _entries: [of_socket?, of_set?],
            socket,
            set,
            clients: Mutex::default(),
            options: self,
            message: PhantomData,
        })
    }
}

/// A client that has been greeted.
struct Client {
    _entry: fork::Entry,
    socket: OwnedFd,
    greeting: Greeting,
    until: Instant,
    uid: u32,
    pid: u32,
}

/// What became of a client.
enum Outcome<T> {
    Waits,
    Dropped,
    Refused(AcceptError),
    Accepted(Box<Connection<T>>),
}

impl<T> Listener<T> {
    /// Listens at `path`, which no live listener has.
    ///
    /// Connections are for messages of type `T`, clients of the same user, and without a key:
    /// otherwise see [`ListenerOptions`].
    ///
    /// # Errors
    ///
    /// [`Error::Exists`] when somebody listens there, or the path is not a socket's;
    /// [`Error::NotFound`] when there is no such directory; [`Error::Timeout`] when another program
    /// keeps the directory locked; [`Error::Os`], also for a path of more than 107 bytes.
    ///
    /// [`Error::Exists`]: crate::Error::Exists
    /// [`Error::NotFound`]: crate::Error::NotFound
    /// [`Error::Timeout`]: crate::Error::Timeout
    /// [`Error::Os`]: crate::Error::Os
    pub fn bind(path: impl AsRef<Path>) -> Result<Listener<T>> {
        ListenerOptions::new().bind(path)
    }

    /// The connection to the next client, waiting for one as long as it takes.
    ///
    /// # Errors
    ///
    /// A client that is refused is an error, and the listener goes on: [`AcceptError::WrongKey`],
    /// [`AcceptError::TypeMismatch`], [`AcceptError::Forbidden`]; the client is told the same. One
    /// that dies, falls silent or sends nonsense is none. [`AcceptError::WrongProcess`] in a
    /// forked child.
    pub fn accept(&self) -> Result<Connection<T>, AcceptError> {
        self.accept_by(Deadline::Never)
    }

    /// The connection to a client that is ready. Never blocks, and each client takes at least two
    /// calls: one to greet it, one to hear its answer.
    ///
    /// # Errors
    ///
    /// As [`Listener::accept`]; [`AcceptError::WouldBlock`].
    pub fn try_accept(&self) -> Result<Connection<T>, AcceptError> {
        self.accept_by(Deadline::Now)
    }

    /// The connection to the next client, waiting for one at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Listener::accept`]; [`AcceptError::Timeout`].
    pub fn accept_timeout(&self, timeout: Duration) -> Result<Connection<T>, AcceptError> {
        self.accept_by(Deadline::after(timeout))
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    fn accept_by(&self, deadline: Deadline) -> Result<Connection<T>, AcceptError> {
        loop {
            if let Some(outcome) = self.step()? {
                return outcome;
            }
            // Capped, so that silent clients are dropped in time.
            let Some(nap) = Naps::new().next(deadline) else {
                return Err(match deadline {
                    Deadline::Now => AcceptError::WouldBlock,
                    _ => AcceptError::Timeout,
                });
            };
            if self.is_full() {
                std::thread::sleep(nap); // the line is not looked at until somebody goes
            } else {
                poll::wait_readable(self.set.as_fd(), nap)?;
            }
        }
    }

    fn clients(&self) -> MutexGuard<'_, Vec<Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self) -> bool {
        self.clients().len() == MAX_CLIENTS
    }

    /// Talks to all who have something to say, until one is through or refused.
    fn step(&self) -> Result<Option<Result<Connection<T>, AcceptError>>, AcceptError> {
        let mut clients = self.clients();
        self.greet(&mut clients)?;
        let mut at = 0;
        while at < clients.len() {
            match self.hear(&clients[at]) {
                Outcome::Waits => at += 1,
                outcome => {
                    clients.remove(at);
                    match outcome {
                        Outcome::Refused(why) => return Ok(Some(Err(why))),
                        Outcome::Accepted(connection) => return Ok(Some(Ok(*connection))),
                        _ => {}
                    }
                }
            }
        }
        Ok(None)
    }

    /// Takes new clients from the line.
    fn greet(&self, clients: &mut Vec<Client>) -> Result<(), AcceptError> {
        while clients.len() < MAX_CLIENTS {
            let socket = match socket::accept(self.socket.as_fd()) {
                Ok(socket) => socket,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => match e.raw_os_error() {
                    Some(libc::EINTR | libc::ECONNABORTED) => continue,
                    Some(libc::ENOTSOCK) => return Err(AcceptError::WrongProcess),
                    _ => return Err(AcceptError::Os(e)),
                },
            };
            let (uid, pid) = socket::peer(socket.as_fd())?;
            let greeting = Greeting::new()?;
            if say(socket.as_fd(), &greeting, &[]).is_err() {
                continue; // gone already
            }
            poll::add(self.set.as_fd(), socket.as_fd())?;
            let entry = fork::Entry::blanked_in_child(socket.as_fd())?;
            let until = Instant::now() + PATIENCE;
            clients.push(Client { _entry: entry, socket, greeting, until, uid, pid });
        }
        Ok(())
    }

    fn hear(&self, client: &Client) -> Outcome<T> {
        let request: Request = match hear(client.socket.as_fd()) {
            Heard::Message(request, _) => request,
            Heard::Silence if Instant::now() < client.until => return Outcome::Waits,
            _ => return Outcome::Dropped,
        };
        if !request.is_ours() {
            return Outcome::Dropped;
        }
        let (refusal, why) = match () {
            () if !self.options.any_user && client.uid != memory::effective_user() => {
                let (uid, pid) = (client.uid, client.pid);
                (Answer::Forbidden, AcceptError::Forbidden { uid, pid })
            }
            () if !request.proves(&self.options.key, &client.greeting) => {
                (Answer::WrongKey, AcceptError::WrongKey)
            }
            () if !request.is_for::<T>() => {
                let expected = type_name::<T>();
                let found = request.type_name.clone();
                let why = AcceptError::TypeMismatch { expected: expected.clone(), found };
                (Answer::TypeMismatch { expected }, why)
            }
            () => return self.welcome(client, &request),
        };
        // One that does not wait for the answer has died.
        let _ = say(client.socket.as_fd(), &refusal, &[]);
        Outcome::Refused(why)
    }

    /// Makes a connection and gives one end of it to the client.
    fn welcome(&self, client: &Client, request: &Request) -> Outcome<T> {
        let made = self.options.pipe.duplex::<T>().and_then(|(here, there)| {
            let (encoded, outgoing) = transfer::collect(|| encode(&there));
            match encoded {
                Ok(bytes) => Ok((here, there, bytes, outgoing)),
                Err(why) => Err(outgoing.failure(why)),
            }
        });
        let (here, _there, bytes, outgoing) = match made {
            Ok(made) => made,
            Err(why) => return Outcome::Refused(AcceptError::Os(why.into())),
        };
        let answer = Answer::welcome(&self.options.key, &client.greeting, request, bytes);
        let fds: Vec<_> = outgoing.fds().collect();
        match say(client.socket.as_fd(), &answer, &fds) {
            Ok(()) => {
                drop(fds);
                outgoing.sent();
                Outcome::Accepted(Box::new(here))
            }
            Err(e) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                Outcome::Dropped
            }
            Err(e) => Outcome::Refused(AcceptError::Os(e)),
        }
    }
}

impl<T> AsFd for Listener<T> {
    /// A descriptor for `epoll` and the like, readable when [`Listener::try_accept`] has something
    /// to do, which may be less than a connection. Level-triggered. Do not change it.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.set.as_fd()
    }
}

impl<T> fmt::Debug for Listener<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("path", &self.path()).finish_non_exhaustive()
    }
}
