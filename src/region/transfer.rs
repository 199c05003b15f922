//! Handles on their way to another process: the descriptors that serialising a value brings along.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

thread_local! {
    static SENDING: RefCell<Option<Vec<OwnedFd>>> = const { RefCell::new(None) };
    static RECEIVING: RefCell<Vec<Option<OwnedFd>>> = const { RefCell::new(Vec::new()) };
}

/// The descriptors that a value needs at its destination.
#[derive(Default)]
pub(crate) struct Outgoing {
    pub(crate) fds: Vec<OwnedFd>,
}

impl Outgoing {
    /// The receiver has its copies: closes ours and keeps the transfer.
    pub(crate) fn sent(self) {}
}

/// Runs `f` and collects the descriptors that serialising hands over meanwhile.
pub(crate) fn collect<T>(f: impl FnOnce() -> T) -> (T, Outgoing) {
    let before = SENDING.replace(Some(Vec::new()));
    let result = f();
    let fds = SENDING.replace(before).unwrap_or_default();
    (result, Outgoing { fds })
}

/// Runs `f`, which finds the descriptors that came with the bytes it decodes.
pub(crate) fn provide<T>(fds: Vec<OwnedFd>, f: impl FnOnce() -> T) -> T {
    let before = RECEIVING.replace(fds.into_iter().map(Some).collect());
    let result = f();
    RECEIVING.set(before);
    result
}

/// Hands a copy of `fd` over; `None` outside `collect`.
#[cfg_attr(not(test), allow(dead_code))]
pub(crate) fn attach(fd: BorrowedFd<'_>) -> Option<u32> {
    SENDING.with_borrow_mut(|sending| {
        let fds = sending.as_mut()?;
        fds.push(fd.as_fd().try_clone_to_owned().ok()?);
        Some(fds.len() as u32 - 1)
    })
}

/// Takes what `attach` numbered `index`.
#[cfg_attr(not(test), allow(dead_code))]
pub(crate) fn take(index: u32) -> Option<OwnedFd> {
    RECEIVING.with_borrow_mut(|fds| fds.get_mut(index as usize)?.take())
}
