//! What processes wait for each other with.

mod lock;

pub use lock::Lock;
