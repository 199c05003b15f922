//! Lock-free rings between one producer and one consumer, in two processes or threads.
//!
//! [`spsc()`] carries plain values, [`record()`] byte records of any length. They are the floor
//! under pipes: they never sleep, so all their operations are called `try_`. A program that wants
//! to wait uses a pipe, or polls.
//!
//! Every operation takes effect by one atomic store. A process killed before it has done nothing,
//! killed after it everything; the other end keeps working and is told `Disconnected` when nothing
//! is left to read. Nothing that the other end writes can move this end's bounds.

pub(crate) mod end;
mod error;
#[cfg(any(test, loom))]
mod heap;
mod indices;
#[cfg(not(loom))]
pub(crate) mod mapped;
pub(crate) mod record;
#[cfg(not(loom))]
mod records;
mod site;
pub(crate) mod spsc;
#[cfg(not(loom))]
mod values;

pub use error::{TryPopError, TryPushError, TryReserveError};
#[cfg(not(loom))]
pub use records::{Record, RecordConsumer, RecordProducer, ReservedRecord, record, record_in};
#[cfg(not(loom))]
pub use values::{Consumer, Peeked, Producer, Reserved, spsc, spsc_in};

#[cfg(all(test, loom))]
#[path = "../../tests/loom/ring.rs"]
mod loom_tests;
