//! What processes wait for each other with.

mod lock;
mod semaphore;

pub use lock::Lock;
pub use semaphore::{BoundedSemaphore, Semaphore};
