//! Threads of our own in a program that is not ours.

#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;

/// Starts a thread that takes no signals: those are for the threads of the program.
pub(crate) fn spawn_without_signals(
    name: &str,
    f: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    // A new thread inherits the mask of its parent.
    let mut before = MaybeUninit::uninit();
    // SAFETY: `all` is filled before it is used, and the old mask is written to `before`.
    unsafe {
        let mut all = MaybeUninit::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(f);
    // SAFETY: `before` was filled above: the call cannot fail with these arguments.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    spawned.map(drop)
}
