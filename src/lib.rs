#![doc = include_str!("../README.md")]
// Handles travel in encoded messages; without a codec what moves them has no user.
#![cfg_attr(any(not(feature = "serde"), loom), allow(dead_code))]

mod error;
#[cfg(loom)]
#[doc(hidden)]
pub mod internals;
mod lock;
pub mod ring;
mod sync;

#[cfg(not(loom))]
mod array;
#[cfg(not(loom))]
mod pipe;
#[cfg(not(loom))]
mod primitives;
#[cfg(not(loom))]
pub mod queue;
#[cfg(not(loom))]
mod region;
#[cfg(not(loom))]
mod sys;
#[cfg(not(loom))]
#[doc(hidden)]
pub mod untyped;
#[cfg(not(loom))]
mod value;
#[cfg(not(loom))]
mod wait;

#[cfg(all(feature = "serde", not(loom)))]
mod heap;
#[cfg(all(feature = "serde", not(loom)))]
mod listener;
#[cfg(all(feature = "serde", not(loom)))]
mod manager;
#[cfg(all(feature = "serde", not(loom)))]
mod message;
#[cfg(all(feature = "serde", not(loom)))]
pub mod pool;
#[cfg(all(feature = "serde", not(loom)))]
pub mod process;

/// What the models need of the region.
#[cfg(loom)]
mod region {
    pub(crate) mod id;
}

pub use bytemuck::{Pod, Zeroable};
pub use error::{Error, Result};

#[cfg(not(loom))]
pub use {
    array::{Array, RawArray, Scalar, ShareableList, SharedMemory},
    lock::cell::Integer,
    lock::error::{LockError, OwnerDied},
    lock::guarded::LockGuard,
    lock::nested::RLockGuard,
    lock::permits::{AcquireError, OverRelease, Permit},
    lock::rw_guarded::{RwLockReadGuard, RwLockWriteGuard},
    lock::slice::ArrayGuard,
    pipe::{Connection, Loan, Pipe, PipeOptions, Received, Receiver, RecvError, SendError, Sender},
    primitives::{
        Barrier, BoundedSemaphore, BrokenBarrier, Condition, Event, Lock, RLock, RwLock, Semaphore,
    },
    queue::{GetError, JoinError, JoinableQueue, PutError, Queue, QueueOptions},
    region::{Region, RegionOptions},
    value::{RawValue, Value},
    wait::{Readable, Waitable, wait},
};

#[cfg(all(feature = "serde", not(loom)))]
pub use {
    error::TaskError,
    listener::{AcceptError, ConnectError, ConnectOptions, Listener, ListenerOptions, connect},
    manager::{Dict, List, Manager, ManagerOptions, Namespace},
    message::Message,
    pool::{Async, Imap, MapAsync, Pool, PoolBuilder},
    process::{
        Args, ChildInfo, Method, PanicInfo, Process, ProcessError, Run, Scope, active_children,
        cpu_count, current_process, init, parent_process, scope,
    },
    queue::Job,
};
