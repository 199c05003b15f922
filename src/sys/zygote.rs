//! A process of this executable that makes children for its owner, by copying itself.
//!
//! The zygote was started anew and taken over before `main`, so it has one thread and the globals of a
//! fresh program. For each request it calls `clone3(2)` with `CLONE_PARENT`: the child is a child of
//! the *owner*, which reaps it itself. The cost does not depend on the owner's size.
//!
//! ```text
//! owner -> zygote   least number (4 bytes), and the descriptors: boot file first
//! zygote -> owner   status, pid (4 bytes each), and the pidfd
//! ```
//!
//! - Z1. A child writes its pid to the last word of the boot file's record, then closes the zygote's
//!   socket, then goes on.
//! - Z2. So when the owner finds the end of the stream, the zygote is gone, and a child that it had
//!   begun to make has either said so, and will run, or has died before it ran anything. The request
//!   can be made again in the latter case, and must not be in the former.
//! - Z3. When the owner has its answer the zygote has closed its copies of the descriptors.
//!
//! Death: the owner's end is the end of the stream, and of the zygote's lifeline.

#![allow(unsafe_code)]

use super::fork::{self, Entry};
use super::passed::Passed;
use super::process::{self, Started, copy_from};
use super::takeover::{self, RECORD_BYTES, REFUSED};
use super::{poll, socket};
use rustix::event::{EventfdFlags, eventfd};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};
use std::io::{self, ErrorKind};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Where a child says that it has begun (Z1).
const ANNOUNCED_AT: u64 = RECORD_BYTES as u64 - 8;
/// The most descriptors of one request.
pub(crate) const MAX_FDS: usize = socket::MAX_FDS;
/// A status: this zygote cannot make children. Others are 0 and errno.
const UNABLE: i32 = -1;

/// A descriptor that a forked child of its owner does not keep.
pub(crate) struct End {
    /// Goes before `fd`: see [`fork`].
    _entry: Entry,
    fd: OwnedFd,
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The two ends of the stream between owner and zygote, with numbers above 2.
pub(crate) fn stream() -> io::Result<(End, End)> {
    // Else a copy made in between would keep the stream open.
    fork::exclusive(|| {
        let (owners, zygotes) = socket::pair()?;
        let end = |fd| -> io::Result<End> {
            let fd = process::above_stdio(fd)?;
            Ok(End { _entry: Entry::closed_in_child(fd.as_fd())?, fd })
        };
        Ok((end(owners)?, end(zygotes)?))
    })
}

/// The owner's side.
pub(crate) struct Zygote {
    socket: End,
    pidfd: OwnedFd,
}

pub(crate) enum Answer {
    Started(Started),
    /// No child for this request.
    Refused(io::Error),
    /// No child for any request.
    Unable,
    /// The zygote is gone, and has made no child.
    Gone,
}

impl Zygote {
    /// The owner's end of the stream, and the process that has the other.
    pub(crate) fn new(socket: End, started: Started) -> Zygote {
        Zygote { socket, pidfd: started.pidfd }
    }

    /// Asks for a child that gets `control`, which begins with a boot record, and `fds`; those and
    /// all others that it has are `least` or more.
    ///
    /// Blocks while the zygote is stopped.
    pub(crate) fn ask(
        &self,
        least: RawFd,
        control: BorrowedFd<'_>,
        fds: &[BorrowedFd<'_>],
    ) -> Answer {
        let all: Vec<_> = std::iter::once(control).chain(fds.iter().copied()).collect();
        if let Err(e) = socket::send(self.socket.as_fd(), &least.to_ne_bytes(), &all) {
            // Too many descriptors in flight is no fault of the zygote's.
            return match e.raw_os_error() {
                Some(libc::ETOOMANYREFS | libc::ENOBUFS | libc::ENOMEM) => Answer::Refused(e),
                _ => Answer::Gone,
            };
        }
        loop {
            let mut answer = [0; 8];
            match socket::receive(self.socket.as_fd(), &mut answer) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    if let Err(e) = poll::wait_any(&[self.socket.as_fd()], Duration::MAX) {
                        return Answer::Refused(e);
                    }
                }
                Ok(message) if message.len_bytes == answer.len() => {
                    return understand(answer, message.fds);
                }
                // Z2.
                Ok(_) | Err(_) => return announced(control).unwrap_or(Answer::Gone),
            }
        }
    }

    /// Whether the zygote has ended; reaps it.
    pub(crate) fn has_ended(&self) -> bool {
        !matches!(process::reap(self.pidfd.as_fd()), Ok(None))
    }

    /// Ends the zygote, and reaps it.
    pub(crate) fn end(&self) {
        let _ = process::signal(self.pidfd.as_fd(), Signal::KILL);
        let _ = process::wait_for_end(self.pidfd.as_fd(), None);
        let _ = process::reap(self.pidfd.as_fd());
    }
}

fn understand(answer: [u8; 8], fds: Vec<OwnedFd>) -> Answer {
    let ([status, _], _) = answer.as_chunks::<4>() else { return Answer::Unable };
    let pid = i32::from_ne_bytes([answer[4], answer[5], answer[6], answer[7]]);
    match (i32::from_ne_bytes(*status), Pid::from_raw(pid), fds.into_iter().next()) {
        (0, Some(_), Some(pidfd)) => Answer::Started(Started { pid: pid.cast_unsigned(), pidfd }),
        (0, Some(pid), None) => {
            process::abandon(pid);
            Answer::Refused(io::Error::from_raw_os_error(libc::EMFILE))
        }
        (UNABLE, ..) => Answer::Unable,
        (errno, ..) => Answer::Refused(io::Error::from_raw_os_error(errno)),
    }
}

/// The child that has begun although its zygote could not say so; none if there is none.
fn announced(control: BorrowedFd<'_>) -> Option<Answer> {
    let mut pid = [0; 8];
    super::memory::read_at(control, ANNOUNCED_AT, &mut pid).ok()?;
    let pid = Pid::from_raw(i32::try_from(u64::from_ne_bytes(pid)).ok()?)?;
    Some(match process::watch(pid) {
        Err(e) => Answer::Refused(e),
        Ok(mut started) => {
            // Somebody else may have reaped it, and the pid be another's now.
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            if waitid(WaitId::PidFd(started.pidfd.as_fd()), look).is_err() {
                match eventfd(1, EventfdFlags::CLOEXEC) {
                    Ok(over) => started.pidfd = over,
                    Err(e) => return Some(Answer::Refused(e.into())),
                }
            }
            Answer::Started(started)
        }
    })
}

/// The zygote's life: makes children until its owner is gone.
pub(crate) fn serve(socket: OwnedFd, lifeline: OwnedFd) -> i32 {
    let before = block_signals();
    let _ = rustix::thread::set_name(c"shmkit-server");
    let cloner = Cloner::new();
    loop {
        let mut least = [0; 4];
        let request = match socket::receive(socket.as_fd(), &mut least) {
            Ok(request) if request.len_bytes == least.len() => request,
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                if poll::wait_any(&[socket.as_fd()], Duration::MAX).is_err() {
                    return 1;
                }
                continue;
            }
            Ok(_) | Err(_) => return 0, // the owner is gone
        };
        let mut fds = request.fds;
        let cloned = match (&cloner, request.is_cut || fds.is_empty()) {
            (_, true) => Err(libc::EMFILE),
            (None, _) => Err(UNABLE),
            (Some(cloner), _) => cloner.clone_child(),
        };
        let (status, pid, pidfd) = match cloned {
            Ok(Cloned::Child) => {
                let control = fds.remove(0);
                begin(control, fds, i32::from_ne_bytes(least), socket, lifeline, &before)
            }
            Ok(Cloned::Parent(pid, pidfd)) => (0, pid, Some(pidfd)),
            Err(status) => (status, 0, None),
        };
        drop(fds); // Z3
        let mut answer = [0; 8];
        answer[..4].copy_from_slice(&status.to_ne_bytes());
        answer[4..].copy_from_slice(&pid.to_ne_bytes());
        let pidfd: Vec<_> = pidfd.iter().map(AsFd::as_fd).collect();
        if socket::send(socket.as_fd(), &answer, &pidfd).is_err() {
            return 0;
        }
    }
}

/// The child's beginning.
fn begin(
    control: OwnedFd,
    fds: Vec<OwnedFd>,
    least: RawFd,
    socket: OwnedFd,
    lifeline: OwnedFd,
    signals: &libc::sigset_t,
) -> ! {
    let prepare = || -> io::Result<_> {
        let pid = u64::from(std::process::id()).to_ne_bytes();
        rustix::io::pwrite(&control, &pid, ANNOUNCED_AT)?; // Z1
        drop((socket, lifeline));
        let above = |fd: OwnedFd| {
            if fd.as_raw_fd() >= least { Ok(fd) } else { copy_from(least, fd.as_fd()) }
        };
        let fds = fds.into_iter().map(above).collect::<io::Result<Vec<_>>>()?;
        Ok((above(control)?, fds))
    };
    let Ok((control, fds)) = prepare() else { std::process::exit(REFUSED) };
    // SAFETY: a set that the kernel gave us. What waited for the end of this is delivered now.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, signals, std::ptr::null_mut()) };
    // SAFETY: the owner names the numbers, all below `least`; this process has one thread, as its
    // zygote had (`Cloner::new`).
    takeover::resume(control, unsafe { Passed::in_message(fds) })
}

/// Keeps signals away, which are for the owner and its children, and returns the mask before.
fn block_signals() -> libc::sigset_t {
    let mut before = MaybeUninit::uninit();
    // SAFETY: `all` is filled before it is used, and the old mask is written to `before`.
    unsafe {
        let mut all = MaybeUninit::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        before.assume_init()
    }
}

/// What the C library's `fork` would keep in order, and a bare system call does not.
struct Cloner {
    /// Where the thread's id is kept.
    id_at: u64,
    robust_list: *mut libc::c_void,
    robust_list_bytes: usize,
}

enum Cloned {
    Parent(i32, OwnedFd),
    Child,
}

impl Cloner {
    /// `None` when a copy of this process could not be trusted: it has another thread, or a C library
    /// that keeps the thread's id where the kernel does not tell.
    fn new() -> Option<Cloner> {
        const PR_GET_TID_ADDRESS: libc::c_int = 40;
        let (mut id_at, mut list, mut bytes) = (0u64, std::ptr::null_mut(), 0usize);
        if super::thread::others().ok()? > 0 {
            return None;
        }
        // SAFETY: each call writes one word of ours. The address that the kernel was told by the C
        // library is one of a word of this thread's, which stays.
        unsafe {
            if libc::prctl(PR_GET_TID_ADDRESS, &mut id_at) != 0
                || libc::syscall(libc::SYS_get_robust_list, 0, &mut list, &mut bytes) != 0
            {
                return None;
            }
            let id = std::ptr::with_exposed_provenance::<i32>(usize::try_from(id_at).ok()?);
            (!id.is_null() && *id == rustix::thread::gettid().as_raw_pid()).then_some(Cloner {
                id_at,
                robust_list: list,
                robust_list_bytes: bytes,
            })
        }
    }

    /// `clone3(2)`; an error is a status.
    fn clone_child(&self) -> Result<Cloned, i32> {
        /// `struct clone_args`, first version.
        #[repr(C)]
        #[derive(Default)]
        struct CloneArgs {
            flags: u64,
            pidfd: u64,
            child_id_at: u64,
            parent_id_at: u64,
            exit_signal: u64,
            stack: u64,
            stack_bytes: u64,
            tls: u64,
        }
        const _: () = assert!(size_of::<CloneArgs>() == 64);
        let mut pidfd: RawFd = -1;
        let flags = libc::CLONE_PARENT
            | libc::CLONE_PIDFD
            | libc::CLONE_CHILD_SETTID
            | libc::CLONE_CHILD_CLEARTID;
        let args = CloneArgs {
            flags: flags as u64,
            pidfd: (&raw mut pidfd).expose_provenance() as u64,
            child_id_at: self.id_at,
            ..CloneArgs::default() // the exit signal is that of our own, SIGCHLD
        };
        // SAFETY: without CLONE_VM the child has a copy of all memory, this stack included. There is
        // one thread, so that no lock is copied locked. `id_at` is where the C library keeps the id.
        match unsafe { libc::syscall(libc::SYS_clone3, &args, size_of::<CloneArgs>()) } {
            -1 => Err(match io::Error::last_os_error().raw_os_error() {
                // Not known, or not allowed, as in old containers.
                None | Some(libc::ENOSYS | libc::EPERM | libc::EINVAL) => UNABLE,
                Some(errno) => errno,
            }),
            0 => {
                // SAFETY: the list that the C library had named for this thread, which has a copy.
                unsafe {
                    libc::syscall(
                        libc::SYS_set_robust_list,
                        self.robust_list,
                        self.robust_list_bytes,
                    );
                }
                Ok(Cloned::Child)
            }
            // SAFETY: the kernel has made this descriptor for us.
            pid => Ok(Cloned::Parent(pid as i32, unsafe { OwnedFd::from_raw_fd(pidfd) })),
        }
    }
}
