//! `inotify(7)`: to be told of writes to a file, by whomever.

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// `inotify_init1(2)`, close-on-exec, non-blocking. A user has 128 of them, unless told otherwise.
pub(crate) fn new() -> io::Result<OwnedFd> {
    Ok(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?)
}

/// `inotify_add_watch(2)` of writes to the file behind `fd`; returns the number of the watch, which
/// is the same for the same file.
pub(crate) fn watch_writes(inotify: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> io::Result<i32> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    Ok(inotify::add_watch(inotify, path, WatchFlags::MODIFY)?)
}

/// `inotify_rm_watch(2)`; the kernel has done so by itself when the file is gone.
pub(crate) fn unwatch(inotify: BorrowedFd<'_>, watch: i32) {
    let _ = inotify::remove_watch(inotify, watch);
}

/// Takes all news away.
pub(crate) fn drain(inotify: BorrowedFd<'_>) {
    let mut news = [0; 4096];
    // Whole pieces of news only, so that a buffer which is not nearly full had room for all.
    while matches!(rustix::io::read(inotify, &mut news), Ok(2048..) | Err(Errno::INTR)) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{memory, poll};
    use std::os::fd::AsFd;

    fn is_readable(fd: &OwnedFd) -> bool {
        poll::readable(&[fd.as_fd()]).unwrap() == [true]
    }

    #[test]
    fn a_write_is_told_to_everybody_who_watches_and_to_nobody_else() {
        let file = memory::memfd("shmkit-test").unwrap();
        memory::set_len(file.as_fd(), 4096).unwrap();
        let file = memory::reopen(file.as_fd()).unwrap();
        let [a, b, c] = [(); 3].map(|()| new().unwrap());
        for inotify in [&a, &b] {
            watch_writes(inotify.as_fd(), file.as_fd()).unwrap();
        }
        for _ in 0..2 {
            memory::touch(file.as_fd(), 7).unwrap();
            assert!(is_readable(&a) && is_readable(&b) && !is_readable(&c));
            drain(a.as_fd());
            assert!(!is_readable(&a) && is_readable(&b));
        }
    }

    #[test]
    fn any_amount_of_news_is_taken_away() {
        let inotify = new().unwrap();
        let files = [(); 2].map(|()| {
            let file = memory::memfd("shmkit-test").unwrap();
            memory::set_len(file.as_fd(), 4096).unwrap();
            memory::reopen(file.as_fd()).unwrap()
        });
        let watches =
            files.each_ref().map(|file| watch_writes(inotify.as_fd(), file.as_fd()).unwrap());
        let touch = || files.iter().for_each(|file| memory::touch(file.as_fd(), 0).unwrap());
        for _ in 0..500 {
            touch();
        }
        drain(inotify.as_fd());
        assert!(!is_readable(&inotify));
        watches.iter().for_each(|watch| unwatch(inotify.as_fd(), *watch));
        drain(inotify.as_fd());
        touch();
        assert!(!is_readable(&inotify));
    }
}
