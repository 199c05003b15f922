//! The C interface of shmkit. `include/shmkit.h` is made of what stands here; `README.md` beside it is
//! the reference.
//!
//! Each handle of C is a box of a Rust object. Functions check what can be checked of their arguments
//! ([`args`]), run with panics contained ([`fail`]), and answer with a number ([`status`]).

#![allow(non_camel_case_types)]

mod args;
mod array;
mod barrier;
mod child;
mod condition;
mod containers;
mod event;
mod fail;
mod layout;
mod listener;
mod loans;
mod lock;
mod manager;
mod passed;
mod pipe;
mod pool;
mod process;
mod queue;
mod region;
mod ring;
mod rwlock;
mod semaphore;
mod status;
mod value;
mod version;
