//! What processes wait for each other with.

mod lock;
mod rlock;

pub use lock::Lock;
pub use rlock::RLock;
