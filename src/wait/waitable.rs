//! What can be waited for together.

use crate::lock::many::Source;
use crate::pipe::{Connection, Receiver};
use crate::primitives::{Barrier, Event};
use crate::queue::{JoinableQueue, Queue};
use std::fs::File;
use std::io::{PipeReader, Stdin};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{ChildStderr, ChildStdout};

/// What [`wait`](crate::wait()) can wait for.
///
/// | what | is ready when |
/// |---|---|
/// | [`Connection`], [`Receiver`] | a receive would not block: there is a message, the end of the stream (closed, or the sender is dead), or an error to tell |
/// | [`Queue`], [`JoinableQueue`] | a get would not block: there is a message, or its end (closed and empty, or nobody else is left) |
/// | [`Event`] | it is set, or has been since the call, as for [`Event::wait`] |
/// | [`Barrier`] | a [`wait`](Barrier::wait) would not block: all other parties have come, or it is broken |
/// | [`Process`](crate::Process), [`Parent`](crate::process::Parent) | it has ended |
/// | [`Listener`](crate::Listener) | [`try_accept`](crate::Listener::try_accept) has something to do, which may be less than a connection |
/// | sockets, files, pipes of `std`; [`OwnedFd`], [`BorrowedFd`]; [`Readable`] for others | it is readable, or its other end is gone |
///
/// Implemented by this library only.
pub trait Waitable: sealed::Sealed {}

pub(super) mod sealed {
    use crate::lock::many::Source;

    pub trait Sealed {
        /// How to wait for it, from now on.
        fn source(&self) -> Source<'_>;
    }
}

use sealed::Sealed;

/// Any other thing with a descriptor, to be waited for until that is readable.
///
/// ```
/// use shmkit::{Readable, wait};
/// use std::time::Duration;
///
/// struct Mine(std::os::unix::net::UnixStream);
/// impl std::os::fd::AsFd for Mine {
///     fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
///         self.0.as_fd()
///     }
/// }
///
/// let (a, b) = std::os::unix::net::UnixStream::pair()?;
/// let mine = Mine(a);
/// assert!(wait(&[&Readable(&mine)], Duration::ZERO)?.is_empty());
/// drop(b);
/// assert_eq!(wait(&[&Readable(&mine)], None)?, [0]);
/// # Ok::<(), shmkit::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Readable<F>(pub F);

/// Things that the kernel knows by a descriptor.
macro_rules! by_descriptor {
    ($([$($generic:tt)*] $name:ty),* $(,)?) => {$(
        impl<$($generic)*> Sealed for $name {
            fn source(&self) -> Source<'_> {
                Source::Fd(self.as_fd())
            }
        }

        impl<$($generic)*> Waitable for $name {}
    )*};
}

by_descriptor! {
    [] OwnedFd, [] BorrowedFd<'_>, [] File, [] Stdin, [] PipeReader,
    [] TcpListener, [] TcpStream, [] UdpSocket,
    [] UnixListener, [] UnixStream, [] UnixDatagram,
    [] ChildStdout, [] ChildStderr,
}

#[cfg(feature = "serde")]
by_descriptor! { [T] crate::Listener<T>, [R] crate::Process<R> }

#[cfg(feature = "serde")]
impl Sealed for crate::process::Parent {
    fn source(&self) -> Source<'_> {
        Source::Fd(self.sentinel())
    }
}

#[cfg(feature = "serde")]
impl Waitable for crate::process::Parent {}

impl<F: AsFd> Sealed for Readable<F> {
    fn source(&self) -> Source<'_> {
        Source::Fd(self.0.as_fd())
    }
}

impl<F: AsFd> Waitable for Readable<F> {}

impl<W: Waitable + ?Sized> Sealed for &W {
    fn source(&self) -> Source<'_> {
        (**self).source()
    }
}

impl<W: Waitable + ?Sized> Waitable for &W {}

/// Things in memory, and what waits for them.
macro_rules! by_memory {
    ($([$($generic:tt)*] $name:ty),* $(,)?) => {$(
        impl<$($generic)*> Sealed for $name {
            fn source(&self) -> Source<'_> {
                Source::Memory(Box::new(self.awaited()))
            }
        }

        impl<$($generic)*> Waitable for $name {}
    )*};
}

by_memory! { [] Event, [] Barrier, [T] Receiver<T>, [T] Connection<T>, [T] Queue<T>, [T] JoinableQueue<T> }
