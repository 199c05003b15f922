//! Mapped memory that several processes share.

pub(crate) mod id;
#[cfg(not(loom))]
pub(crate) mod transfer;
