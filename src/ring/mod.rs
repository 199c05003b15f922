//! Lock-free rings. They never sleep, and never enter the kernel while the peer keeps up.

mod end;
mod error;
mod indices;
pub(crate) mod record;
mod site;
pub(crate) mod spsc;

pub use error::{TryPopError, TryPushError, TryReserveError};

#[cfg(any(test, loom))]
mod heap;

#[cfg(all(test, loom))]
#[path = "../../tests/loom/ring.rs"]
mod loom_tests;
