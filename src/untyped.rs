//! What other languages need of this crate: objects whose element type is known only when the
//! program runs, locks that are given back by a call, deadlines as arguments.
//!
//! For the C interface. Nothing here is covered by the promises of the version number.

pub use crate::lock::bare::{BareLock, BareRLock};
pub use crate::lock::byte_value::ByteValue;
pub use crate::lock::bytes::ByteArray;
pub use crate::lock::deadline::Deadline;
pub use crate::lock::permits::Permits;
pub use crate::lock::poll::poll_until;
pub use crate::lock::raw::Acquired;
pub use crate::pipe::bytes::{Borrowed as BorrowedFromPipe, BytePipe};
pub use crate::queue::bytes::{Borrowed as BorrowedFromQueue, ByteQueue, ByteQueueOptions};
pub use crate::region::{Address, Bytes, Element, Place};
pub use crate::ring::strided::{Popper, Pusher, Refused, Ring, View};
#[cfg(feature = "serde")]
pub use crate::sys::entry::Function;
#[cfg(feature = "serde")]
pub use crate::sys::takeover::init_from;
