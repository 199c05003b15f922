//! What processes wait for each other with.

mod lock;
mod rlock;
mod semaphore;

pub use lock::Lock;
pub use rlock::RLock;
pub use semaphore::{BoundedSemaphore, Semaphore};
