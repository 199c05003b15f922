//! Loom's proofs of the algorithms: every interleaving and every reordering, in small models.
//!
//! Run by `ci/loom.sh`. What loom cannot see, such as death and scale, is left to the crash and
//! stress tests.
#![cfg(loom)]

mod barrier;
mod bell;
mod cell;
mod census;
mod elements;
mod event;
mod gate;
mod lock;
mod rlock;
mod rw;
mod semaphore;
mod waiters;
mod world;
