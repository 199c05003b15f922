//! Connections between two ends.

mod error;

pub use error::{RecvError, SendError};
