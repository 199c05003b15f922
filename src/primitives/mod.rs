//! What processes wait for each other with.

mod lock;
mod rlock;
mod rwlock;
mod semaphore;

pub use lock::Lock;
pub use rlock::RLock;
pub use rwlock::RwLock;
pub use semaphore::{BoundedSemaphore, Semaphore};
