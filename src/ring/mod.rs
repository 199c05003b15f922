//! Lock-free rings between processes or threads.
//!
//! [`spsc()`] carries plain values and [`record()`] byte records of any length, from one producer
//! to one consumer; [`mpmc()`] plain values between any number of both. They are the floor under
//! pipes and queues: they never sleep, so all their operations are called `try_`. A program that
//! wants to wait uses one of those, or polls.
//!
//! Every operation takes effect by one atomic store. A process killed before it has done nothing,
//! killed after it everything; the others keep working. The ends of a ring for two are told
//! `Disconnected` when nothing is left to read. Nothing that others write can move one's bounds.

#[cfg(any(feature = "serde", loom))]
pub(crate) mod board;
pub(crate) mod end;
mod error;
#[cfg(any(test, loom))]
mod heap;
mod indices;
#[cfg(not(loom))]
mod many;
#[cfg(not(loom))]
pub(crate) mod mapped;
pub(crate) mod mpmc;
pub(crate) mod pages;
pub(crate) mod record;
#[cfg(not(loom))]
mod records;
mod site;
pub(crate) mod spsc;
#[cfg(not(loom))]
pub(crate) mod strided;
#[cfg(not(loom))]
mod values;

#[cfg(not(loom))]
pub(crate) use mpmc::frames;

pub use error::{TryPopError, TryPushError, TryReserveError};
#[cfg(not(loom))]
pub use many::{LeasedValue, MpmcRing, ReservedSlot, mpmc, mpmc_in};
#[cfg(not(loom))]
pub use records::{Record, RecordConsumer, RecordProducer, ReservedRecord, record, record_in};
#[cfg(not(loom))]
pub use values::{Consumer, Peeked, Producer, Reserved, spsc, spsc_in};

#[cfg(all(test, loom))]
#[path = "../../tests/loom/ring.rs"]
mod loom_tests;
