//! A queue's handle in somebody's `epoll`.
//!
//! Its descriptor is in one of two states outside of the calls of this handle: readable; or the bell
//! of the queue is armed, and the queue was empty after that. Each call that gets something, or is
//! told of the end, leaves the first; one that finds nothing leaves the second.

use super::error::GetError;
use crate::error::{Error, Result};
use crate::lock::event::EventCount;
use crate::region::Object;
use crate::region::ear::Ear;
use crate::region::watch::Watch;
use std::os::fd::BorrowedFd;
use std::sync::OnceLock;

/// There once somebody has asked for a descriptor.
#[derive(Default)]
pub(super) struct Polled(OnceLock<Inner>);

struct Inner {
    /// Goes before the ear, which it watches.
    watch: Watch,
    ear: Ear,
}

impl Polled {
    pub(super) fn fd(&self, object: &Object) -> Result<BorrowedFd<'_>> {
        let inner = match self.0.get() {
            Some(inner) => inner,
            None => {
                let mut ear = Ear::take()?;
                ear.listen(&[object])?;
                let made = Inner { watch: Watch::new(ear.fd())?, ear };
                self.0.get_or_init(|| made)
            }
        };
        if inner.ear.is_ours() { Ok(inner.watch.fd()) } else { Err(Error::WrongProcess) }
    }

    /// What the outcome of a get means for those who poll.
    #[inline(always)]
    pub(super) fn settle<R>(
        &self,
        got: &std::result::Result<R, GetError>,
        readable: &EventCount,
        is_ready: impl Fn() -> bool,
    ) {
        if let Some(inner) = self.0.get() {
            inner.settle(got.as_ref().err(), readable, is_ready);
        }
    }
}

impl Inner {
    #[cold]
    fn settle(&self, why: Option<&GetError>, readable: &EventCount, is_ready: impl Fn() -> bool) {
        if !matches!(why, Some(GetError::Empty | GetError::Timeout)) {
            self.watch.raise(); // there may be more
            return;
        }
        self.watch.lower();
        self.ear.hush();
        readable.arm();
        if is_ready() {
            self.watch.raise();
        }
    }
}
