//! What processes wait for each other with.

mod barrier;
mod condition;
mod event;
mod lock;

pub use barrier::{Barrier, BrokenBarrier};
pub use condition::Condition;
pub use event::Event;
pub use lock::Lock;
