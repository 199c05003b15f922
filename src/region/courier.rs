//! The socket beside a pipe. It carries what memory cannot: descriptors, a bell for those who sleep
//! in `epoll`, and the news that a process is gone.
//!
//! Each end of a pipe holds one of two connected sockets. A message with descriptors goes in two
//! parts: a datagram with the descriptors and the position of the record, and then the record. The
//! sender has the room for the record before it sends the datagram, so that nothing but its death
//! can come between. The receiver pairs them by the position.
//!
//! - K1. Whoever sees a record with descriptors finds the datagram in the socket, behind those of
//!   earlier records, unless another process has taken it out.
//! - K2. A datagram whose position lies before that of the record at hand belongs to no message any
//!   more: to one that was read otherwise, or whose sender was killed before it published.
//! - K3. The sockets exist in the processes that own the ends, and nowhere else: they are
//!   close-on-exec, and a forked child finds an inert descriptor in their place. So the kernel
//!   drops what is in flight, with the participants on it, when the receiver is gone, and a
//!   receiver's socket hangs up when the sender is.

use crate::error::{Error, Result};
use crate::sys::{fork, socket};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// The most descriptors that travel with one message.
pub(crate) const MAX_FDS: usize = socket::MAX_FDS;

/// In place of a position: no descriptors, but something to read.
const BELL: u64 = u64::MAX;

/// One end's socket; clones are the same.
#[derive(Clone)]
pub(crate) struct Courier {
    socket: Arc<Socket>,
}

/// The entry goes first, see [`fork`].
struct Socket {
    _entry: fork::Entry,
    fd: OwnedFd,
}

impl Courier {
    /// The sockets of the two ends of a pipe.
    pub(crate) fn pair() -> Result<(Courier, Courier)> {
        let (a, b) = socket::pair()?;
        Ok((Courier::of(a)?, Courier::of(b)?))
    }

    pub(super) fn of(fd: OwnedFd) -> Result<Courier> {
        let entry = fork::Entry::blanked_in_child(fd.as_fd())?;
        Ok(Courier { socket: Arc::new(Socket { _entry: entry, fd }) })
    }

    #[cfg(feature = "serde")]
    pub(super) fn is(&self, other: &Courier) -> bool {
        Arc::ptr_eq(&self.socket, &other.socket)
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.socket.fd.as_fd()
    }

    /// Sends the descriptors of the record at `position`. Never blocks: `WouldBlock` while the
    /// receiver is far behind, `BrokenPipe` when it is gone, `WrongProcess` in a forked child.
    pub(crate) fn send(&self, position: u64, fds: &[BorrowedFd<'_>]) -> Result<()> {
        socket::send(self.fd(), &position.to_ne_bytes(), fds).map_err(|e| match e.raw_os_error() {
            Some(libc::ENOTSOCK) => Error::WrongProcess,
            Some(libc::EAGAIN) => Error::WouldBlock,
            Some(libc::EPIPE | libc::ECONNRESET) => Error::Disconnected,
            _ => Error::Os(e),
        })
    }

    /// Makes the receiver's socket readable, at least until it looks.
    #[cold]
    pub(crate) fn ring(&self) {
        // When the queue is full it is readable; without a peer nobody listens.
        let _ = socket::send(self.fd(), &BELL.to_ne_bytes(), &[]);
    }

    fn peek(&self) -> io::Result<u64> {
        let mut position = [0; 8];
        socket::peek(self.fd(), &mut position)?;
        Ok(u64::from_ne_bytes(position))
    }

    fn next(&self) -> io::Result<Option<Letter>> {
        let mut position = [0; 8];
        let datagram = socket::receive(self.fd(), &mut position)?;
        let position = u64::from_ne_bytes(position);
        Ok((datagram.len_bytes != 0).then_some(Letter {
            position,
            fds: datagram.fds,
            is_cut: datagram.is_cut,
        }))
    }
}

struct Letter {
    position: u64,
    fds: Vec<OwnedFd>,
    is_cut: bool,
}

/// Descriptors that a receiver has come upon before their record.
#[derive(Default)]
pub(crate) struct Mailbox {
    letters: VecDeque<Letter>,
}

impl Mailbox {
    /// The `count` descriptors of the record at `position`, and whether a bell lay before them.
    /// Drops those of records before (K2).
    ///
    /// # Errors
    ///
    /// [`Error::HandleGone`] when they are not there; `EMFILE` when this process can have no more,
    /// and then they are lost.
    pub(crate) fn take(
        &mut self,
        courier: &Courier,
        position: u64,
        count: usize,
    ) -> (Result<Vec<OwnedFd>>, bool) {
        let mut rung = false;
        let letter = loop {
            let letter = match self.letters.pop_front() {
                Some(letter) => letter,
                // A socket without news, without a peer or of another process has no more.
                None => match courier.next() {
                    Ok(Some(letter)) if letter.position == BELL => {
                        rung = true;
                        continue;
                    }
                    Ok(Some(letter)) => letter,
                    Ok(None) | Err(_) => return (Err(Error::HandleGone), rung),
                },
            };
            if letter.position == position {
                break letter;
            }
            if letter.position > position {
                self.letters.push_front(letter);
                return (Err(Error::HandleGone), rung);
            }
        };
        let taken = match letter.fds.len() {
            _ if letter.is_cut => Err(Error::Os(io::Error::from_raw_os_error(libc::EMFILE))),
            len if len != count => Err(Error::HandleGone),
            _ => Ok(letter.fds),
        };
        (taken, rung)
    }

    /// Takes bells away, as far as no descriptors lie before them: those mean a message. Whether the
    /// socket is silent then; it is not, either, when the peer is gone.
    pub(crate) fn hush(&mut self, courier: &Courier) -> bool {
        loop {
            match courier.peek() {
                Ok(BELL) => drop(courier.next()),
                Ok(_) => return false,
                Err(_) => return true,
            }
        }
    }

    /// Drops all that has come: no record will ask for it.
    pub(crate) fn discard(&mut self, courier: &Courier) {
        while let Ok(Some(_)) = courier.next() {}
        self.letters.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> OwnedFd {
        crate::sys::memory::memfd("shmkit-test").unwrap()
    }

    fn post(courier: &Courier, position: u64, count: usize) {
        let files: Vec<_> = (0..count).map(|_| file()).collect();
        let fds: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        courier.send(position, &fds).unwrap();
    }

    #[test]
    fn descriptors_find_their_record_past_bells_and_leftovers() {
        let (here, there) = Courier::pair().unwrap();
        let mut mailbox = Mailbox::default();
        post(&here, 8, 1);
        here.ring();
        post(&here, 16, 2);
        let (taken, rung) = mailbox.take(&there, 16, 2);
        assert!(taken.unwrap().len() == 2 && rung);
        assert!(matches!(mailbox.take(&there, 24, 1), (Err(Error::HandleGone), false)));
    }

    #[test]
    fn descriptors_that_are_gone_do_not_cost_the_next_message_its_own() {
        let (here, there) = Courier::pair().unwrap();
        let mut mailbox = Mailbox::default();
        post(&here, 16, 1);
        assert!(matches!(mailbox.take(&there, 8, 1), (Err(Error::HandleGone), false)));
        assert_eq!(mailbox.take(&there, 16, 1).0.unwrap().len(), 1);
        post(&here, 24, 1);
        assert!(matches!(mailbox.take(&there, 24, 2), (Err(Error::HandleGone), false)));
    }

    #[test]
    fn a_hushed_socket_is_silent_and_has_lost_no_descriptor() {
        let (here, there) = Courier::pair().unwrap();
        let mut mailbox = Mailbox::default();
        here.ring();
        here.ring();
        assert!(mailbox.hush(&there));
        assert!(there.peek().is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock));
        here.ring();
        post(&here, 8, 1);
        here.ring();
        assert!(!mailbox.hush(&there));
        assert_eq!(there.peek().unwrap(), 8);
        assert_eq!(mailbox.take(&there, 8, 1).0.unwrap().len(), 1);
        post(&here, 16, 1);
        mailbox.discard(&there);
        assert!(mailbox.take(&there, 16, 1).0.is_err());
    }
}
