//! Mapped memory that several processes share.

pub(crate) mod id;
