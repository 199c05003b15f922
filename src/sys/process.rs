//! Starting this executable again, and watching, signalling and reaping the child by its pidfd.

#![allow(unsafe_code)]

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
};
use std::ffi::{CStr, CString, c_char, c_int};
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A child to start.
pub(crate) struct Launch<'a> {
    /// `argv[0]`.
    pub(crate) name: &'a CStr,
    /// `NAME=value`, all of it.
    pub(crate) environment: &'a [CString],
    /// The child's working directory; `None` is ours.
    pub(crate) directory: Option<&'a CStr>,
    /// Descriptors above 2 that the child gets under the same numbers.
    pub(crate) pass: &'a [BorrowedFd<'a>],
    /// What the child finds under other numbers; none of these is that of a descriptor above.
    pub(crate) put: &'a [Put<'a>],
}

/// What a child is to find under a number.
#[derive(Clone, Copy)]
pub(crate) struct Put<'a> {
    pub(crate) number: RawFd,
    /// `None` is `/dev/null`.
    pub(crate) source: Option<BorrowedFd<'a>>,
}

/// A started child: its pid, and its pidfd.
pub(crate) struct Started {
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Exited(i32),
    Signaled {
        signal: i32,
        core: bool,
    },
    /// Somebody else has reaped it, and the kernel does not tell any more.
    Unknown,
}

impl Ended {
    /// 0 or `n` after `exit(n)`, `-n` after signal `n`.
    pub(crate) fn code(self) -> Option<i32> {
        match self {
            Ended::Exited(code) => Some(code),
            Ended::Signaled { signal, .. } => Some(-signal),
            Ended::Unknown => None,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::Exited(code) => write!(f, "exited with code {code}"),
            Ended::Signaled { signal, .. } => write!(f, "was ended by signal {signal}"),
            Ended::Unknown => f.write_str("ended, nobody knows how"),
        }
    }
}

/// `posix_spawn(3)` of `/proc/self/exe`: no signal blocked, SIGPIPE as by default.
///
/// The standard library's `Command` would `fork` here, which copies page tables and is the slower
/// the larger the parent.
pub(crate) fn spawn(launch: &Launch<'_>) -> io::Result<Started> {
    watch(posix_spawn(launch)?)
}

/// Begins to watch a child of ours, which ends if it cannot be watched.
pub(crate) fn watch(pid: Pid) -> io::Result<Started> {
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => Ok(Started { pid: pid.as_raw_pid().cast_unsigned(), pidfd }),
        // Over and reaped already, by somebody who reaps everybody (an ignored SIGCHLD does). An
        // eventfd that is ready for good says the same as its pidfd would.
        Err(Errno::SRCH) => Ok(Started {
            pid: pid.as_raw_pid().cast_unsigned(),
            pidfd: eventfd(1, EventfdFlags::CLOEXEC)?,
        }),
        Err(e) => {
            abandon(pid);
            Err(e.into())
        }
    }
}

/// Ends a child that nobody could watch: it must not stay. It is ours and not reaped, so that the
/// pid is still its own.
pub(crate) fn abandon(pid: Pid) {
    let _ = rustix::process::kill_process(pid, Signal::KILL);
    let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
}

fn posix_spawn(launch: &Launch<'_>) -> io::Result<Pid> {
    let mut actions = FileActions::new()?;
    let mut attributes = Attributes::new()?;
    // SAFETY: the objects are initialised; every string and set outlives the call that copies it.
    unsafe {
        for put in launch.put {
            let (actions, number) = (actions.as_mut(), put.number);
            check(match put.source {
                None => {
                    let null = c"/dev/null".as_ptr();
                    libc::posix_spawn_file_actions_addopen(actions, number, null, libc::O_RDWR, 0)
                }
                Some(fd) => libc::posix_spawn_file_actions_adddup2(actions, fd.as_raw_fd(), number),
            })?;
        }
        for fd in launch.pass {
            debug_assert!(fd.as_raw_fd() > 2);
            // The same number twice: clears close-on-exec, in the child only.
            check(libc::posix_spawn_file_actions_adddup2(
                actions.as_mut(),
                fd.as_raw_fd(),
                fd.as_raw_fd(),
            ))?;
        }
        if let Some(directory) = launch.directory {
            check(libc::posix_spawn_file_actions_addchdir_np(
                actions.as_mut(),
                directory.as_ptr(),
            ))?;
        }
        let mut set = MaybeUninit::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        check(libc::posix_spawnattr_setsigmask(attributes.as_mut(), set.as_ptr()))?;
        libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
        check(libc::posix_spawnattr_setsigdefault(attributes.as_mut(), set.as_ptr()))?;
        let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        check(libc::posix_spawnattr_setflags(attributes.as_mut(), flags as libc::c_short))?;
    }
    let argv = [launch.name.as_ptr().cast_mut(), std::ptr::null_mut()];
    let environment: Vec<*mut c_char> = launch
        .environment
        .iter()
        .map(|entry| entry.as_ptr().cast_mut())
        .chain([std::ptr::null_mut()])
        .collect();
    let mut pid = 0;
    // SAFETY: both arrays end with null and, like their strings, outlive the call; `posix_spawn`
    // does not write through them.
    check(unsafe {
        libc::posix_spawn(
            &mut pid,
            c"/proc/self/exe".as_ptr(),
            actions.as_mut(),
            attributes.as_mut(),
            argv.as_ptr(),
            environment.as_ptr(),
        )
    })?;
    Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
}

/// `posix_spawn` and its helpers return the errno.
fn check(error: c_int) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

macro_rules! spawn_object {
    ($name:ident, $raw:ty, $init:path, $destroy:path) => {
        struct $name(MaybeUninit<$raw>);
        impl $name {
            fn new() -> io::Result<$name> {
                let mut object = $name(MaybeUninit::uninit());
                // SAFETY: `init` initialises the object; without success it must not be used, and
                // `forget` keeps `drop` from it.
                let result = check(unsafe { $init(object.0.as_mut_ptr()) });
                match result {
                    Ok(()) => Ok(object),
                    Err(e) => {
                        std::mem::forget(object);
                        Err(e)
                    }
                }
            }
            fn as_mut(&mut self) -> *mut $raw {
                self.0.as_mut_ptr()
            }
        }
        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: initialised by `new`, and destroyed once.
                unsafe { $destroy(self.0.as_mut_ptr()) };
            }
        }
    };
}
spawn_object!(
    FileActions,
    libc::posix_spawn_file_actions_t,
    libc::posix_spawn_file_actions_init,
    libc::posix_spawn_file_actions_destroy
);
spawn_object!(
    Attributes,
    libc::posix_spawnattr_t,
    libc::posix_spawnattr_init,
    libc::posix_spawnattr_destroy
);

/// Moves a descriptor out of the way of the standard streams.
pub(crate) fn above_stdio(fd: OwnedFd) -> io::Result<OwnedFd> {
    if fd.as_raw_fd() > 2 { Ok(fd) } else { copy_from(3, fd.as_fd()) }
}

/// A copy of a descriptor, close-on-exec, with a number of `least` or more.
pub(crate) fn copy_from(least: RawFd, fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, least)?)
}

/// Whether the descriptor is open, which one of the standard streams need not be.
pub(crate) fn is_open(fd: BorrowedFd<'_>) -> bool {
    rustix::io::fcntl_getfd(fd).is_ok()
}

/// A pidfd of the process that started us, which had this `pid`; of an orphan's parent, something
/// that polls as readable as well.
pub(crate) fn parent_pidfd(pid: u32) -> io::Result<OwnedFd> {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pidfd = raw.map_or(Err(Errno::SRCH), |raw| pidfd_open(raw, PidfdFlags::empty()));
    // The pid was our parent's when it was opened if it still is now: nothing else becomes our
    // parent under the pid of a dead one.
    match pidfd {
        Ok(pidfd) if std::os::unix::process::parent_id() == pid => Ok(pidfd),
        Ok(_) | Err(Errno::SRCH) => Ok(eventfd(1, EventfdFlags::CLOEXEC)?),
        Err(e) => Err(e.into()),
    }
}

/// Whether the process with this pid started us: it is our parent, or we are its orphan.
pub(crate) fn is_parent(pid: u32) -> bool {
    std::os::unix::process::parent_id() == pid || {
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        match raw.map(|raw| pidfd_open(raw, PidfdFlags::empty())) {
            Some(Ok(pidfd)) => wait_for_end(pidfd.as_fd(), Some(Instant::now())).unwrap_or(false),
            Some(Err(Errno::SRCH)) => true,
            Some(Err(_)) | None => false,
        }
    }
}

/// Which of the processes have ended.
pub(crate) fn ended<'a>(pidfds: impl Iterator<Item = BorrowedFd<'a>>) -> io::Result<Vec<bool>> {
    let mut ends: Vec<PollFd<'a>> =
        pidfds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    rustix::io::retry_on_intr(|| poll(&mut ends, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })))?;
    Ok(ends.iter().map(|end| !end.revents().is_empty()).collect())
}

/// Waits until the process has ended (`true`) or the deadline has passed (`false`).
pub(crate) fn wait_for_end(pidfd: BorrowedFd<'_>, deadline: Option<Instant>) -> io::Result<bool> {
    let mut end = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        match poll(&mut end, left.map(timespec).as_ref()) {
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
        }
    }
}

fn timespec(d: Duration) -> Timespec {
    Timespec {
        tv_sec: d.as_secs().min(i64::MAX as u64).cast_signed(),
        tv_nsec: i64::from(d.subsec_nanos()) as _,
    }
}

/// Children that were reaped by [`reap`], as a count that wraps around.
pub(crate) fn reaped() -> u32 {
    REAPED.load(Relaxed) // a hint; the caller looks for itself
}

static REAPED: AtomicU32 = AtomicU32::new(0);

/// Reaps the process if it has ended; `None` while it runs, or while a debugger holds its end back.
pub(crate) fn reap(pidfd: BorrowedFd<'_>) -> io::Result<Option<Ended>> {
    if !wait_for_end(pidfd, Some(Instant::now()))? {
        return Ok(None);
    }
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    REAPED.fetch_add(1, Relaxed);
    match rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(pidfd), options)) {
        Ok(None) => Ok(None),
        Ok(Some(status)) => Ok(Some(match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Ended::Exited(code),
            (_, Some(signal)) => Ended::Signaled { signal, core: status.dumped() },
            _ => Ended::Unknown,
        })),
        // Reaped by somebody else, not our child (a forked copy of the handle), or the eventfd.
        Err(Errno::CHILD | Errno::BADF | Errno::INVAL) => Ok(Some(exit_info(pidfd))),
        Err(e) => Err(e.into()),
    }
}

/// What the kernel still knows of a process that somebody else has reaped (Linux 6.15).
fn exit_info(pidfd: BorrowedFd<'_>) -> Ended {
    /// `struct pidfd_info`, first version.
    #[repr(C)]
    #[derive(Default)]
    struct PidfdInfo {
        mask: u64,
        cgroup_id: u64,
        ids: [u32; 11],
        exit_code: i32,
    }
    const _: () = assert!(size_of::<PidfdInfo>() == 64);
    /// `_IOWR(0xFF, 11, struct pidfd_info)`
    const PIDFD_GET_INFO: libc::Ioctl = 0xC040_FF0B_u32 as libc::Ioctl;
    const PIDFD_INFO_EXIT: u64 = 1 << 3;

    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the request's size is that of `info`, and any bytes are a valid `PidfdInfo`.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &mut info) };
    if result != 0 || info.mask & PIDFD_INFO_EXIT == 0 {
        return Ended::Unknown;
    }
    let status = info.exit_code;
    if libc::WIFEXITED(status) {
        Ended::Exited(libc::WEXITSTATUS(status))
    } else if libc::WIFSIGNALED(status) {
        Ended::Signaled { signal: libc::WTERMSIG(status), core: libc::WCOREDUMP(status) }
    } else {
        Ended::Unknown
    }
}

/// Sends a signal; a process that has ended does not mind.
pub(crate) fn signal(pidfd: BorrowedFd<'_>, signal: Signal) -> io::Result<()> {
    match pidfd_send_signal(pidfd, signal) {
        // EBADF, EINVAL: the eventfd that stands for a process reaped at once.
        Ok(()) | Err(Errno::SRCH | Errno::BADF | Errno::INVAL) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Lets this process outlive the interrupts of its terminal. A handler that does nothing, and not
/// `SIG_IGN`: programs that it starts die of interrupts as they are used to.
pub(crate) fn outlive_interrupts() {
    extern "C" fn nothing(_: c_int) {}
    let handler = nothing as extern "C" fn(c_int);
    // SAFETY: an empty action is a valid one, and the handler lives as long as the program. SIGINT can
    // be caught, so that the call does not fail.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        libc::sigaction(libc::SIGINT, &action, std::ptr::null_mut());
    }
}

/// Has `handler` called when this process exits normally.
pub(crate) fn at_exit(handler: extern "C" fn()) -> io::Result<()> {
    // SAFETY: the handler lives as long as the program.
    if unsafe { libc::atexit(handler) } == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::ENOMEM))
    }
}
