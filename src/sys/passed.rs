//! What a parent passed to its child, and how the child makes it its own before it runs anything.
//!
//! The parent says where each descriptor is by its *place*: the number that it has in a child that
//! was started anew or forked, and its position in the message to one that a fork server made.

#![allow(unsafe_code)]

use rustix::fs::{Mode, OFlags};
use rustix::io::{FdFlags, fcntl_setfd};
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// What was passed to this process, which runs nothing else yet.
pub(crate) struct Passed(Given);

enum Given {
    Numbers,
    Message(RefCell<Vec<Option<OwnedFd>>>),
}

impl Passed {
    /// Descriptors under the numbers that the parent gave them.
    ///
    /// # Safety
    ///
    /// What is asked of the result comes from our parent, which put descriptors under these numbers
    /// for us alone; and this process has one thread.
    pub(super) unsafe fn under_numbers() -> Passed {
        Passed(Given::Numbers)
    }

    /// Descriptors that came in a message.
    ///
    /// # Safety
    ///
    /// The numbers to [`Passed::put`] come from our parent and belong to nobody here; and this
    /// process has one thread.
    pub(super) unsafe fn in_message(fds: Vec<OwnedFd>) -> Passed {
        Passed(Given::Message(RefCell::new(fds.into_iter().map(Some).collect())))
    }

    /// Takes over the descriptor at this place.
    ///
    /// # Errors
    ///
    /// `EBADF` when nothing was passed there.
    pub(crate) fn adopt(&self, place: RawFd) -> io::Result<OwnedFd> {
        match &self.0 {
            // SAFETY: the promise of `under_numbers`.
            Given::Numbers => unsafe { adopt(place) },
            Given::Message(fds) => usize::try_from(place)
                .ok()
                .and_then(|index| fds.borrow_mut().get_mut(index)?.take())
                .ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF)),
        }
    }

    /// Puts the descriptor at `place`, or `/dev/null` without one, under `number`, where what we
    /// `exec` finds it, too.
    pub(crate) fn put(&self, number: RawFd, place: Option<RawFd>) -> io::Result<()> {
        let held;
        let source = match (place, &self.0) {
            (Some(number), Given::Numbers) => number,
            (Some(place), Given::Message(_)) => {
                held = self.adopt(place)?;
                held.as_raw_fd()
            }
            (None, _) => {
                held =
                    rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
                held.as_raw_fd()
            }
        };
        // SAFETY: plain numbers; by the promise of the constructors nobody else has `number`.
        if unsafe { libc::dup2(source, number) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Replaces the environment.
    pub(crate) fn set_environment(&self, entries: Vec<CString>) {
        unsafe extern "C" {
            static mut environ: *mut *mut c_char;
        }
        let entries = entries.into_iter().map(CString::into_raw);
        let table: Vec<*mut c_char> = entries.chain([std::ptr::null_mut()]).collect();
        // SAFETY: there is no other thread to read it meanwhile; the table ends with null and is,
        // like its strings, never freed.
        unsafe { environ = table.leak().as_mut_ptr() };
    }
}

/// # Safety
///
/// Nobody else in this process owns the descriptor `number`, if it is open.
pub(super) unsafe fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the kernel refuses a number that is not open, so that only an open one is owned.
    unsafe {
        fcntl_setfd(BorrowedFd::borrow_raw(number), FdFlags::CLOEXEC)?;
        Ok(OwnedFd::from_raw_fd(number))
    }
}

/// The directory that this process works in; `fchdir(2)`.
pub(crate) fn enter_directory(directory: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::process::fchdir(directory)?)
}

/// A directory to be entered; `open(2)` with `O_PATH`.
pub(crate) fn open_directory(path: &std::path::Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}
