//! Unix sockets that keep message boundaries, and the descriptors that travel in them.

use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg,
    sendmsg, socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The most descriptors of one message: the kernel's `SCM_MAX_FD`.
pub(crate) const MAX_FDS: usize = 253;

const CONTROL_BYTES: usize = cmsg_space!(ScmRights(MAX_FDS));

/// `socketpair(2)`: two connected sockets, close-on-exec.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends one message with up to [`MAX_FDS`] descriptors: all of it or nothing. Never blocks, and
/// raises no SIGPIPE; `WouldBlock` when the peer's queue is full.
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); CONTROL_BYTES];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    loop {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// A message, as far as there was room for its bytes.
pub(crate) struct Datagram {
    /// Length of the whole message; 0 also when the peer is gone and has left nothing.
    pub(crate) len_bytes: usize,
    pub(crate) fds: Vec<OwnedFd>,
    /// Whether descriptors are missing: this process can have no more.
    pub(crate) is_cut: bool,
}

/// The start of the next message, which stays. Never blocks; `WouldBlock` when none is there, and
/// nothing in `bytes` when the peer is gone.
pub(crate) fn peek(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<()> {
    recv(socket, bytes, RecvFlags::DONTWAIT | RecvFlags::PEEK)?;
    Ok(())
}

/// Receives one message. Never blocks; `WouldBlock` when none is there.
pub(crate) fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<Datagram> {
    let mut space = [MaybeUninit::uninit(); CONTROL_BYTES];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC | RecvFlags::TRUNC;
    let received = loop {
        match recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut control, flags) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    let is_cut = received.flags.contains(ReturnFlags::CTRUNC);
    Ok(Datagram { len_bytes: received.bytes, fds, is_cut })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn numbers(count: usize) -> Vec<OwnedFd> {
        (0..count).map(|_| crate::sys::memory::memfd("shmkit-test").unwrap()).collect()
    }

    #[test]
    fn as_many_descriptors_travel_as_the_kernel_allows_and_no_more() {
        let (here, there) = pair().unwrap();
        let files = numbers(MAX_FDS);
        let mut fds: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        send(here.as_fd(), b"all", &fds).unwrap();
        let mut bytes = [0; 8];
        let got = receive(there.as_fd(), &mut bytes).unwrap();
        assert_eq!((got.len_bytes, got.fds.len(), got.is_cut), (3, MAX_FDS, false));
        fds.push(files[0].as_fd());
        assert!(send(here.as_fd(), b"more", &fds).is_err());
    }

    #[test]
    fn an_empty_queue_blocks_nobody_and_a_gone_peer_is_told() {
        let (here, there) = pair().unwrap();
        let kind = receive(here.as_fd(), &mut [0]).err().map(|e| e.kind());
        assert_eq!(kind, Some(io::ErrorKind::WouldBlock));
        drop(there);
        assert_eq!(receive(here.as_fd(), &mut [0]).unwrap().len_bytes, 0);
        let kind = send(here.as_fd(), b"x", &[]).err().map(|e| e.kind());
        assert_eq!(kind, Some(io::ErrorKind::BrokenPipe));
    }
}
