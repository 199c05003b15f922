//! Handles that go to a process as it starts, and are taken there by their number.

use crate::args::{Out, handle};
use crate::array::shmkit_array;
use crate::barrier::shmkit_barrier;
use crate::condition::shmkit_condition;
use crate::event::shmkit_event;
use crate::fail::{Answer, Fail, cold};
use crate::lock::{Either, shmkit_lock};
use crate::manager::{shmkit_dict, shmkit_list, shmkit_manager, shmkit_namespace};
use crate::pipe::shmkit_pipe;
use crate::queue::shmkit_queue;
use crate::region::shmkit_region;
use crate::ring::{shmkit_ring, shmkit_rx, shmkit_tx};
use crate::semaphore::shmkit_semaphore;
use crate::status::*;
use api::untyped::{
    BareLock, BareRLock, ByteArray, BytePipe, ByteQueue, Permits, Popper, Pusher, Ring,
};
use api::{Barrier, Condition, Dict, Event, List, Manager, Namespace, Region};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

/// A handle for a process that is being started: what it is, and the handle itself.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct shmkit_handle {
    /// SHMKIT_HANDLE_REGION, ..
    pub kind: i32,
    /// A `shmkit_region *`, ..; what it leads to stays usable here, but an end (pipe, tx, rx) moves: free
    /// its handle.
    pub object: *mut c_void,
}

/// The kind of a `shmkit_region *`.
pub const SHMKIT_HANDLE_REGION: i32 = 1;
/// The kind of a `shmkit_lock *`.
pub const SHMKIT_HANDLE_LOCK: i32 = 2;
/// The kind of a `shmkit_semaphore *`.
pub const SHMKIT_HANDLE_SEMAPHORE: i32 = 3;
/// The kind of a `shmkit_condition *`.
pub const SHMKIT_HANDLE_CONDITION: i32 = 4;
/// The kind of a `shmkit_event *`.
pub const SHMKIT_HANDLE_EVENT: i32 = 5;
/// The kind of a `shmkit_barrier *`.
pub const SHMKIT_HANDLE_BARRIER: i32 = 6;
/// The kind of a `shmkit_array *`.
pub const SHMKIT_HANDLE_ARRAY: i32 = 7;
/// The kind of a `shmkit_queue *`.
pub const SHMKIT_HANDLE_QUEUE: i32 = 8;
/// The kind of a `shmkit_pipe *`.
pub const SHMKIT_HANDLE_PIPE: i32 = 9;
/// The kind of a `shmkit_ring *`.
pub const SHMKIT_HANDLE_RING: i32 = 10;
/// The kind of a `shmkit_tx *`.
pub const SHMKIT_HANDLE_TX: i32 = 11;
/// The kind of a `shmkit_rx *`.
pub const SHMKIT_HANDLE_RX: i32 = 12;
/// The kind of a `shmkit_manager *`.
pub const SHMKIT_HANDLE_MANAGER: i32 = 13;
/// The kind of a `shmkit_dict *`.
pub const SHMKIT_HANDLE_DICT: i32 = 14;
/// The kind of a `shmkit_list *`.
pub const SHMKIT_HANDLE_LIST: i32 = 15;
/// The kind of a `shmkit_namespace *`.
pub const SHMKIT_HANDLE_NAMESPACE: i32 = 16;

/// Something that goes by reference and comes as a value.
pub(crate) enum Goods<T> {
    Lent(NonNull<T>),
    Own(Box<T>),
}

impl<T> Goods<T> {
    fn own(self) -> Option<T> {
        match self {
            Goods::Own(own) => Some(*own),
            Goods::Lent(_) => None,
        }
    }
}

// SAFETY: a process starts on the thread that asks for it; what has come is owned.
unsafe impl<T: Send> Send for Goods<T> {}

impl<T: Serialize> Serialize for Goods<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // SAFETY: lent by `Passed::of` for the call that starts a process.
            Goods::Lent(lent) => unsafe { lent.as_ref() }.serialize(serializer),
            Goods::Own(own) => own.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Goods<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Goods::Own(Box::new(T::deserialize(deserializer)?)))
    }
}

/// A handle on its way.
#[derive(Serialize, Deserialize)]
pub(crate) enum Passed {
    Region(Goods<Region>),
    Lock(Goods<BareLock>),
    RLock(Goods<BareRLock>),
    Semaphore(Goods<Permits>),
    Condition(Goods<Condition>),
    Event(Goods<Event>),
    Barrier(Goods<Barrier>),
    Array(Goods<ByteArray>),
    Queue(Goods<ByteQueue>),
    Pipe(Goods<BytePipe>),
    Ring(Goods<Ring>),
    Tx(Goods<Pusher>),
    Rx(Goods<Popper>),
    Manager(Goods<Manager>),
    Dict(Goods<Dict<Vec<u8>, Vec<u8>>>),
    List(Goods<List<Vec<u8>>>),
    Namespace(Goods<Namespace>),
}

impl Passed {
    /// The handle as C names it, for one call.
    ///
    /// # Safety
    ///
    /// A1, and the handle lives as long as the result.
    pub(crate) unsafe fn of(named: &shmkit_handle) -> Answer<Passed> {
        fn lent<T>(object: &T) -> Goods<T> {
            Goods::Lent(NonNull::from(object))
        }
        let object = named.object;
        // SAFETY: A1, each.
        Ok(unsafe {
            match named.kind {
                SHMKIT_HANDLE_REGION => {
                    Passed::Region(lent(handle::<shmkit_region>(object.cast())?.region()))
                }
                SHMKIT_HANDLE_LOCK => match &handle::<shmkit_lock>(object.cast())?.lock {
                    Either::Plain(lock) => Passed::Lock(lent(lock)),
                    Either::Recursive(lock) => Passed::RLock(lent(lock)),
                },
                SHMKIT_HANDLE_SEMAPHORE => {
                    Passed::Semaphore(lent(&handle::<shmkit_semaphore>(object.cast())?.permits))
                }
                SHMKIT_HANDLE_CONDITION => {
                    Passed::Condition(lent(&handle::<shmkit_condition>(object.cast())?.condition))
                }
                SHMKIT_HANDLE_EVENT => {
                    Passed::Event(lent(&handle::<shmkit_event>(object.cast())?.event))
                }
                SHMKIT_HANDLE_BARRIER => {
                    Passed::Barrier(lent(&handle::<shmkit_barrier>(object.cast())?.barrier))
                }
                SHMKIT_HANDLE_ARRAY => {
                    Passed::Array(lent(&handle::<shmkit_array>(object.cast())?.array))
                }
                SHMKIT_HANDLE_QUEUE => {
                    Passed::Queue(lent(&handle::<shmkit_queue>(object.cast())?.queue))
                }
                SHMKIT_HANDLE_PIPE => {
                    Passed::Pipe(lent(&handle::<shmkit_pipe>(object.cast())?.pipe))
                }
                SHMKIT_HANDLE_RING => {
                    Passed::Ring(lent(&handle::<shmkit_ring>(object.cast())?.ring))
                }
                SHMKIT_HANDLE_TX => Passed::Tx(lent(&handle::<shmkit_tx>(object.cast())?.end)),
                SHMKIT_HANDLE_RX => Passed::Rx(lent(&handle::<shmkit_rx>(object.cast())?.end)),
                SHMKIT_HANDLE_MANAGER => {
                    Passed::Manager(lent(&handle::<shmkit_manager>(object.cast())?.manager))
                }
                SHMKIT_HANDLE_DICT => {
                    Passed::Dict(lent(&handle::<shmkit_dict>(object.cast())?.dict))
                }
                SHMKIT_HANDLE_LIST => {
                    Passed::List(lent(&handle::<shmkit_list>(object.cast())?.list))
                }
                SHMKIT_HANDLE_NAMESPACE => {
                    Passed::Namespace(lent(&handle::<shmkit_namespace>(object.cast())?.namespace))
                }
                _ => return Err(Fail::Argument("kind of a handle")),
            }
        })
    }
}

/// What this process was started with, and has not taken yet.
static ARRIVED: Mutex<Vec<Option<Passed>>> = Mutex::new(Vec::new());

/// Notes what this process was started with.
pub(crate) fn arrive(handles: Vec<Passed>) {
    let handles = handles.into_iter().map(Some).collect();
    *ARRIVED.lock().unwrap_or_else(PoisonError::into_inner) = handles;
}

/// Takes the handle of this number, if it is what `as_wanted` takes it for.
fn claim<T>(index: usize, as_wanted: impl FnOnce(Passed) -> Result<T, Passed>) -> Answer<T> {
    let mut arrived = ARRIVED.lock().unwrap_or_else(PoisonError::into_inner);
    let place = arrived.get_mut(index).ok_or(Fail::Status(SHMKIT_ERR_NOT_FOUND))?;
    let passed = place.take().ok_or(Fail::Status(SHMKIT_ERR_NOT_FOUND))?;
    as_wanted(passed).map_err(|other| {
        *place = Some(other);
        Fail::Said(SHMKIT_ERR_TYPE_MISMATCH, "the handle of this number is of another kind")
    })
}

/// As [`claim`], for a kind and what makes a handle of C from it.
macro_rules! taken {
    ($index:expr, $out:expr, $($kind:ident => $make:expr),*) => {
        cold(|| {
            // SAFETY: A1.
            let out = unsafe { Out::at($out) }?;
            let handle = claim($index, |passed| match passed {
                $(Passed::$kind(goods @ Goods::Own(_)) => Ok(goods.own().map($make)),)*
                other => Err(other),
            })?;
            out.give(handle.ok_or(Fail::Status(SHMKIT_ERR_NOT_FOUND))?);
            Ok(SHMKIT_OK)
        })
    };
}

/// Takes the region that this process was started with as handle number `index`, once.
///
/// Errors: SHMKIT_ERR_NOT_FOUND (there is none, or it was taken), SHMKIT_ERR_TYPE_MISMATCH,
/// SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_region_passed(
    index: usize,
    out: *mut *mut shmkit_region,
) -> shmkit_status {
    taken!(index, out, Region => |region| shmkit_region { region })
}

/// Takes the lock that this process was started with as handle number `index`, once.
///
/// Errors: as of `shmkit_region_passed()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_lock_passed(
    index: usize,
    out: *mut *mut shmkit_lock,
) -> shmkit_status {
    taken!(
        index, out,
        Lock => |lock| shmkit_lock { lock: Either::Plain(lock) },
        RLock => |lock| shmkit_lock { lock: Either::Recursive(lock) }
    )
}

/// Takes the semaphore that this process was started with as handle number `index`, once.
///
/// Errors: as of `shmkit_region_passed()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_semaphore_passed(
    index: usize,
    out: *mut *mut shmkit_semaphore,
) -> shmkit_status {
    taken!(index, out, Semaphore => |permits| shmkit_semaphore { permits })
}

/// Takes the condition that this process was started with as handle number `index`, once.
///
/// Errors: as of `shmkit_region_passed()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_condition_passed(
    index: usize,
    out: *mut *mut shmkit_condition,
) -> shmkit_status {
    taken!(index, out, Condition => |condition| shmkit_condition { condition })
}

/// Takes the event that this process was started with as handle number `index`, once.
///
/// Errors: as of `shmkit_region_passed()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_event_passed(
    index: usize,
    out: *mut *mut shmkit_event,
) -> shmkit_status {
    taken!(index, out, Event => |event| shmkit_event { event })
}

/// Takes the barrier that this process was started with as handle number `index`, once.
///
/// Errors: as of `shmkit_region_passed()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_barrier_passed(
    index: usize,
    out: *mut *mut shmkit_barrier,
) -> shmkit_status {
    taken!(index, out, Barrier => |barrier| shmkit_barrier { barrier })
}

/// Takes the array that this process was started with as handle number `index`, once.
///
/// Errors: as of `shmkit_region_passed()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_array_passed(
    index: usize,
    out: *mut *mut shmkit_array,
) -> shmkit_status {
    taken!(index, out, Array => |array| shmkit_array { array })
}

/// Takes the queue that this process was started with as handle number `index`, once.
///
/// Errors: as of `shmkit_region_passed()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_queue_passed(
    index: usize,
    out: *mut *mut shmkit_queue,
) -> shmkit_status {
    taken!(index, out, Queue => shmkit_queue::new)
}

/// Takes the end of a pipe that this process was started with as handle number `index`, once.
///
/// Errors: as of `shmkit_region_passed()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pipe_passed(
    index: usize,
    out: *mut *mut shmkit_pipe,
) -> shmkit_status {
    taken!(index, out, Pipe => shmkit_pipe::new)
}

/// Takes the ring that this process was started with as handle number `index`, once.
///
/// Errors: as of `shmkit_region_passed()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_ring_passed(
    index: usize,
    out: *mut *mut shmkit_ring,
) -> shmkit_status {
    taken!(index, out, Ring => |ring| shmkit_ring { ring })
}

/// Takes the pushing end that this process was started with as handle number `index`, once.
///
/// Errors: as of `shmkit_region_passed()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_tx_passed(index: usize, out: *mut *mut shmkit_tx) -> shmkit_status {
    taken!(index, out, Tx => |end| shmkit_tx { end })
}

/// Takes the popping end that this process was started with as handle number `index`, once.
///
/// Errors: as of `shmkit_region_passed()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_rx_passed(index: usize, out: *mut *mut shmkit_rx) -> shmkit_status {
    taken!(index, out, Rx => |end| shmkit_rx { end })
}

/// Takes the manager that this process was started with as handle number `index`, once.
///
/// Errors: as of `shmkit_region_passed()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_manager_passed(
    index: usize,
    out: *mut *mut shmkit_manager,
) -> shmkit_status {
    taken!(index, out, Manager => |manager| shmkit_manager { manager })
}

/// Takes the dict that this process was started with as handle number `index`, once.
///
/// Errors: as of `shmkit_region_passed()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_dict_passed(
    index: usize,
    out: *mut *mut shmkit_dict,
) -> shmkit_status {
    taken!(index, out, Dict => |dict| shmkit_dict { dict })
}

/// Takes the list that this process was started with as handle number `index`, once.
///
/// Errors: as of `shmkit_region_passed()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_list_passed(
    index: usize,
    out: *mut *mut shmkit_list,
) -> shmkit_status {
    taken!(index, out, List => |list| shmkit_list { list })
}

/// Takes the namespace that this process was started with as handle number `index`, once.
///
/// Errors: as of `shmkit_region_passed()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_namespace_passed(
    index: usize,
    out: *mut *mut shmkit_namespace,
) -> shmkit_status {
    taken!(index, out, Namespace => |namespace| shmkit_namespace { namespace })
}
