//! Unix sockets that keep message boundaries, and the descriptors that travel in them.

use rustix::cmsg_space;
use rustix::fs::{self, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType,
    recv, recvmsg, sendmsg, socket_with, socketpair,
};
use rustix::rand::GetRandomFlags;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

/// The most descriptors of one message: the kernel's `SCM_MAX_FD`.
pub(crate) const MAX_FDS: usize = 253;

/// Clients that may wait to be accepted; the kernel cuts it.
const BACKLOG: i32 = 4096;

const CONTROL_BYTES: usize = cmsg_space!(ScmRights(MAX_FDS));

/// `socketpair(2)`: two connected sockets, close-on-exec.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Whether `path` is that of a socket; `None` when nothing is there.
pub(crate) fn is_socket(path: &Path) -> io::Result<Option<bool>> {
    match fs::lstat(path) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode) == FileType::Socket)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

fn unconnected() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// `bind(2)` and `listen(2)`: a socket that listens at `path`, a file for this user only. `AddrInUse`
/// when there is something.
pub(crate) fn listen(path: &Path) -> io::Result<OwnedFd> {
    let socket = unconnected()?;
    fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?; // what the file will get
    net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// `chmod(2)`: lets everybody connect at `path`.
pub(crate) fn open_to_all(path: &Path) -> io::Result<()> {
    Ok(fs::chmod(path, Mode::from_raw_mode(0o666))?)
}

/// Bytes of an address without a file.
pub(crate) const NAME_BYTES: usize = 16;

/// Where nobody listens who does not know the bytes.
fn abstract_address(name: &[u8; NAME_BYTES]) -> io::Result<SocketAddrUnix> {
    let mut text = *b"shmkit-0123456789abcdef0123456789abcdef";
    for (pair, byte) in text[7..].chunks_exact_mut(2).zip(name) {
        pair.copy_from_slice(&[
            b"0123456789abcdef"[usize::from(byte >> 4)],
            b"0123456789abcdef"[usize::from(byte & 15)],
        ]);
    }
    Ok(SocketAddrUnix::new_abstract_name(&text)?)
}

/// A name that nobody else has.
pub(crate) fn random_name() -> io::Result<[u8; NAME_BYTES]> {
    let mut name = [0; NAME_BYTES];
    name.copy_from_slice(&nonce()?[..NAME_BYTES]);
    Ok(name)
}

/// [`listen`] at an address that is gone when the socket is.
pub(crate) fn listen_at_name(name: &[u8; NAME_BYTES]) -> io::Result<OwnedFd> {
    let socket = unconnected()?;
    net::bind(&socket, &abstract_address(name)?)?;
    net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// [`connect`] to an address of [`listen_at_name`].
pub(crate) fn connect_to_name(name: &[u8; NAME_BYTES]) -> io::Result<OwnedFd> {
    let socket = unconnected()?;
    net::connect(&socket, &abstract_address(name)?)?;
    Ok(socket)
}

/// `connect(2)`: does not wait to be accepted, and `WouldBlock` when too many do.
/// `ConnectionRefused` when nobody listens at `path`.
pub(crate) fn connect(path: &Path) -> io::Result<OwnedFd> {
    let socket = unconnected()?;
    net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// `accept4(2)`. Never blocks.
pub(crate) fn accept(listening: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(net::accept_with(listening, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?)
}

/// `SO_PEERCRED`: the effective user of the process that connected, or that listened, and its pid.
pub(crate) fn peer(socket: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    let peer = net::sockopt::socket_peercred(socket)?;
    Ok((peer.uid.as_raw(), peer.pid.as_raw_nonzero().get().cast_unsigned()))
}

/// `flock(2)` on a directory, until it is dropped: `WouldBlock` when somebody has it.
pub(crate) fn lock_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = fs::open(path, flags, Mode::empty())?;
    fs::flock(&directory, FlockOperation::NonBlockingLockExclusive)?;
    Ok(directory)
}

/// Bytes that nobody can guess.
pub(crate) fn nonce() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    // Up to 256 bytes come whole, save for a signal before the kernel's pool is ready.
    while rustix::rand::getrandom(&mut bytes, GetRandomFlags::empty())? != bytes.len() {}
    Ok(bytes)
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
