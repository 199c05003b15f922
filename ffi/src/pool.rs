//! Pools: a crew of processes that run functions for this one.

use crate::args::{Out, bytes, bytes_mut, discard, handle, take};
use crate::fail::{Answer, Fail, cold, value};
use crate::process::shmkit_main_fn;
use crate::status::*;
use api::untyped::Function;
use api::{Async, Error, Pool, TaskError};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

/// A crew of processes that run functions of this program. Any thread of the process that made it may use
/// it at once; a forked child gets SHMKIT_ERR_WRONG_PROCESS. When that process ends, its workers do.
pub struct shmkit_pool {
    pool: Arc<Pool>,
    key: u64,
}

/// A task that was submitted. One thread at a time uses it.
pub struct shmkit_task {
    pending: Async<Outcome>,
    done: Cell<Option<&'static Outcome>>,
}

/// What came of a call: what the function returned, and what it wrote.
type Outcome = (c_int, Vec<u8>);

/// A task: gets `in_len` bytes at `in`, writes up to `out_cap` bytes to `out` and their number to `*out_len`
/// (0 at first), and returns 0 for success.
pub type shmkit_task_fn = Option<
    unsafe extern "C" fn(
        r#in: *const c_void,
        in_len: usize,
        out: *mut c_void,
        out_cap: usize,
        out_len: *mut usize,
    ) -> c_int,
>;

/// How a pool is made; NULL or zeros for what does by default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct shmkit_pool_config {
    /// `sizeof(shmkit_pool_config)`: tells the library what the program knows of.
    pub struct_size: usize,
    /// A worker is replaced after so many tasks; 0: never.
    pub max_tasks_per_worker: u64,
    /// A task whose worker died is begun again so many times.
    pub retries: u32,
    /// Memory for inputs and outputs that are under way, in bytes; 0: what does by default.
    pub arena_bytes: u64,
}

/// A function with a seal that only processes of one pool can make: bytes that somebody has left in shared
/// memory are no jump anywhere.
#[derive(Clone, Serialize, Deserialize)]
struct Sealed {
    function: Function,
    seal: u64,
}

impl Sealed {
    fn new(task: shmkit_task_fn, key: u64) -> Answer<Sealed> {
        let task = task.ok_or(Fail::Argument("a function that is NULL"))?;
        let function = Function::of(task as *const ()).ok_or(Error::ForeignFunction)?;
        let seal = seal(function.to_words(), key);
        Ok(Sealed { function, seal })
    }

    /// The function in this worker.
    fn open(&self) -> Option<Task> {
        thread_local!(static LAST: Cell<Option<([u64; 2], u64, Task)>> = const { Cell::new(None) });
        let words = self.function.to_words();
        if let Some((known, sealed, task)) = LAST.get()
            && known == words
            && sealed == self.seal
        {
            return Some(task);
        }
        let key = *KEY.get()?;
        if seal(words, key) != self.seal {
            return None;
        }
        let code = self.function.address()?;
        // SAFETY: sealed by the process that made the pool, which was given a `shmkit_task_fn`.
        let task = unsafe { std::mem::transmute::<*const (), Task>(code) };
        LAST.set(Some((words, self.seal, task)));
        Some(task)
    }
}

type Task = unsafe extern "C" fn(*const c_void, usize, *mut c_void, usize, *mut usize) -> c_int;

/// The mix of MurmurHash3 around the key.
fn seal(words: [u64; 2], key: u64) -> u64 {
    let mix = |mut x: u64| {
        x = (x ^ x >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        x = (x ^ x >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        x ^ x >> 33
    };
    mix(mix(mix(words[0] ^ key).wrapping_add(words[1])).wrapping_add(key))
}

/// The key of the pool that this process works for.
static KEY: OnceLock<u64> = OnceLock::new();

/// What a worker does first.
fn begin(key: u64, init: Option<Function>, argument: Vec<u8>) {
    let _ = KEY.set(key);
    let Some(init) = init else { return };
    let code = crate::process::call(&init, argument);
    if code != 0 {
        std::process::exit(code);
    }
}

/// Runs one task in a worker.
fn work(task: Sealed, input: Vec<u8>, capacity: usize) -> Outcome {
    match task.open() {
        Some(task) => call(task, &input, capacity),
        None => (c_int::MIN, Vec::new()),
    }
}

/// Runs a task with each part of the input, and stops at the first that fails.
fn work_many(task: Sealed, input: Vec<u8>, in_size: usize, out_size: usize) -> Outcome {
    let Some(task) = task.open() else { return (c_int::MIN, Vec::new()) };
    let count = input.len().checked_div(in_size).unwrap_or(0);
    let mut all = Vec::with_capacity(count * out_size);
    for nth in 0..count {
        let (code, mut out) = call(task, &input[nth * in_size..][..in_size], out_size);
        if code != 0 {
            return (code, Vec::new());
        }
        out.resize(out_size, 0);
        all.append(&mut out);
    }
    (0, all)
}

fn call(task: Task, input: &[u8], capacity: usize) -> Outcome {
    // Aligned as memory from malloc is, both.
    let aligned = |bytes: usize| vec![0u128; bytes.div_ceil(size_of::<u128>()).max(1)];
    let (mut place, mut out) = (aligned(input.len()), aligned(capacity));
    let mut len = 0;
    // SAFETY: the copy has room; the task gets what its type says.
    let (code, out) = unsafe {
        let place = place.as_mut_ptr().cast::<u8>();
        place.copy_from_nonoverlapping(input.as_ptr(), input.len());
        let code = task(place.cast(), input.len(), out.as_mut_ptr().cast(), capacity, &mut len);
        (code, std::slice::from_raw_parts(out.as_ptr().cast::<u8>(), len.min(capacity)).to_vec())
    };
    (code, out)
}

/// Makes a pool of `workers` processes; 0: one for each processor. Each runs `init`, which may be NULL, with a
/// copy of the `init_len` bytes at `init_arg` before its first task; what is not 0 ends the worker, and if
/// that happens here, the call fails. `config` may be NULL.
///
/// Errors: SHMKIT_ERR_UNSUPPORTED if neither `shmkit_init()` nor SHMKIT_AUTO_INIT was run in this process;
/// SHMKIT_ERR_BROKEN (the workers could not begin), SHMKIT_ERR_INVALID_ARGUMENT (also a function that no
/// loaded file has), SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pool_create(
    workers: u32,
    config: *const shmkit_pool_config,
    init: shmkit_main_fn,
    init_arg: *const c_void,
    init_len: usize,
    out: *mut *mut shmkit_pool,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, argument) = unsafe { (Out::at(out)?, bytes(init_arg, init_len)?) };
        let of = |init| Function::of(init).ok_or(Error::ForeignFunction);
        let init = init
            .map(|init: unsafe extern "C" fn(*mut c_void) -> c_int| of(init as *const ()))
            .transpose()?;
        let key = RandomState::new().build_hasher().finish();
        let mut builder = Pool::builder().initializer((key, init, argument.to_vec()), begin);
        if workers != 0 {
            builder = builder.workers(workers as usize);
        }
        if !config.is_null() {
            if !config.is_aligned() {
                return Err(Fail::Argument("a config that is misaligned"));
            }
            // SAFETY: A1: there is the size at least.
            if unsafe { (*config).struct_size } != size_of::<shmkit_pool_config>() {
                return Err(Fail::Argument("struct_size of a config"));
            }
            // SAFETY: A1.
            let config = unsafe { &*config };
            builder = builder.retries(config.retries);
            if config.max_tasks_per_worker != 0 {
                builder = builder.max_tasks_per_child(config.max_tasks_per_worker);
            }
            if config.arena_bytes != 0 {
                builder = builder.arena_bytes(config.arena_bytes);
            }
        }
        out.give(shmkit_pool { pool: Arc::new(builder.build()?), key });
        Ok(SHMKIT_OK)
    })
}

/// Gives the pool a task: `fn` with a copy of the `in_len` bytes at `in`, and room for `out_cap` bytes of
/// output. Waits while too many are under way.
///
/// Errors: SHMKIT_ERR_CLOSED, SHMKIT_ERR_BROKEN, SHMKIT_ERR_TOO_LARGE, SHMKIT_ERR_WRONG_PROCESS,
/// SHMKIT_ERR_INVALID_ARGUMENT (also a function that no loaded file has), SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pool_submit(
    pool: *mut shmkit_pool,
    r#fn: shmkit_task_fn,
    r#in: *const c_void,
    in_len: usize,
    out_cap: usize,
    out: *mut *mut shmkit_task,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (pool, input, out) = unsafe { (handle(pool)?, bytes(r#in, in_len)?, Out::at(out)?) };
        let task = Sealed::new(r#fn, pool.key)?;
        let pending = pool.pool.apply_async((task, input.to_vec(), out_cap), work)?;
        out.give(shmkit_task { pending, done: Cell::new(None) });
        Ok(SHMKIT_OK)
    })
}

/// Waits until the task is done, at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT, SHMKIT_FOREVER); then
/// `*out` and `*len` are what it wrote, valid until the task is freed, and `*result` is what it returned.
/// Each of the three may be NULL. May be called again.
///
/// Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT; SHMKIT_ERR_PEER_DIED: the worker died in it, and it
/// may have had effects; SHMKIT_ERR_CLOSED (the pool was terminated), SHMKIT_ERR_BROKEN,
/// SHMKIT_ERR_TOO_LARGE, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_task_wait(
    task: *mut shmkit_task,
    timeout_ns: i64,
    out: *mut *const c_void,
    len: *mut usize,
    result: *mut c_int,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let task = unsafe { handle(task) }?;
        let outcome = match task.done.get() {
            Some(known) => known,
            None => {
                let outcome = match u64::try_from(timeout_ns) {
                    Ok(ns) => task.pending.get_timeout(Duration::from_nanos(ns)),
                    Err(_) => task.pending.get(),
                };
                let outcome = match outcome {
                    Err(TaskError::Timeout) if timeout_ns == 0 => {
                        return Ok(SHMKIT_ERR_WOULD_BLOCK);
                    }
                    outcome => outcome?,
                };
                // Given back by `shmkit_task_free`.
                let outcome: &'static Outcome = Box::leak(Box::new(outcome));
                task.done.set(Some(outcome));
                outcome
            }
        };
        if outcome.0 == c_int::MIN {
            return Err(Fail::Said(SHMKIT_ERR_SYSTEM, "the worker did not find the function"));
        }
        // SAFETY: A1, each.
        unsafe {
            if let Ok(out) = Out::at(out) {
                out.set(outcome.1.as_ptr().cast());
            }
            if let Ok(len) = Out::at(len) {
                len.set(outcome.1.len());
            }
            if let Ok(result) = Out::at(result) {
                result.set(outcome.0);
            }
        }
        Ok(SHMKIT_OK)
    })
}

/// Gives the handle of a task, and its output, up; NULL is fine. The task goes on. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_task_free(task: *mut shmkit_task) {
    value((), || {
        // SAFETY: A1.
        if let Some(task) = unsafe { take(task) }
            && let Some(outcome) = task.done.get()
        {
            // SAFETY: leaked by `shmkit_task_wait`, once.
            drop(unsafe { Box::from_raw(std::ptr::from_ref(outcome).cast_mut()) });
        }
        Ok(())
    });
}

/// Runs `fn` with each of `n` inputs of `in_size` bytes at `in`, and writes the outputs, of `out_size` bytes
/// each, to `out`, in the order of the inputs, waiting at most `timeout_ns` nanoseconds for all. Each task of
/// the pool takes `chunk` of them; 0: chosen by `n`. Outputs that are shorter are filled with zeros.
///
/// Errors: SHMKIT_ERR_BROKEN if `fn` did not return 0 for one of them, or the pool is broken;
/// SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_PEER_DIED (a worker died), SHMKIT_ERR_CLOSED, SHMKIT_ERR_TOO_LARGE,
/// SHMKIT_ERR_WRONG_PROCESS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pool_map(
    pool: *mut shmkit_pool,
    r#fn: shmkit_task_fn,
    r#in: *const c_void,
    in_size: usize,
    n: usize,
    out: *mut c_void,
    out_size: usize,
    chunk: usize,
    timeout_ns: i64,
) -> shmkit_status {
    cold(|| {
        const HUGE: Fail = Fail::Argument("more elements than memory can hold");
        // SAFETY: A1.
        let pool = unsafe { handle(pool) }?;
        if in_size == 0 {
            return Err(Fail::Argument("inputs without bytes"));
        }
        // SAFETY: A1.
        let input = unsafe { bytes(r#in, in_size.checked_mul(n).ok_or(HUGE)?) }?;
        // SAFETY: A1.
        let out = unsafe { bytes_mut(out, out_size.checked_mul(n).ok_or(HUGE)?) }?;
        let task = Sealed::new(r#fn, pool.key)?;
        let chunk =
            if chunk == 0 { n.div_ceil(8 * pool.pool.workers()).clamp(1, 4096) } else { chunk };
        let parts = input
            .chunks(in_size.checked_mul(chunk).ok_or(HUGE)?)
            .map(|part| (task.clone(), part.to_vec(), in_size, out_size));
        let pending = pool.pool.starmap_async(parts.collect::<Vec<_>>(), work_many)?;
        let done = match u64::try_from(timeout_ns) {
            Ok(ns) => pending.get_timeout(Duration::from_nanos(ns))?,
            Err(_) => pending.get()?,
        };
        match done.iter().map(|(code, _)| *code).find(|code| *code != 0) {
            Some(c_int::MIN) => {
                return Err(Fail::Said(SHMKIT_ERR_SYSTEM, "a worker did not find the function"));
            }
            Some(_) => return Err(Fail::Status(SHMKIT_ERR_BROKEN)),
            None => {}
        }
        let mut at = 0;
        for (_, part) in done {
            let place = out.get_mut(at..at + part.len());
            place.ok_or(Error::Corrupt("outputs of a pool"))?.copy_from_slice(&part);
            at += part.len();
        }
        Ok(SHMKIT_OK)
    })
}

/// How many workers there are to be; 0 for NULL. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_workers(pool: *const shmkit_pool) -> u32 {
    // SAFETY: A1.
    value(0, || Ok(unsafe { handle(pool) }?.pool.workers() as u32))
}

/// Lets the pool take no more tasks; those that it has are done. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pool_close(pool: *mut shmkit_pool) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(pool) }?.pool.close();
        Ok(SHMKIT_OK)
    })
}

/// Ends the workers; tasks that are not done end with SHMKIT_ERR_CLOSED. Does not wait for the workers.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pool_terminate(pool: *mut shmkit_pool) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(pool) }?.pool.terminate();
        Ok(SHMKIT_OK)
    })
}

/// Waits until all tasks are done and all workers have ended, at most `timeout_ns` nanoseconds
/// (SHMKIT_NO_WAIT, SHMKIT_FOREVER). May be called again.
///
/// Errors: SHMKIT_ERR_BUSY if the pool was neither closed nor terminated; SHMKIT_ERR_WOULD_BLOCK,
/// SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_BROKEN, SHMKIT_ERR_WRONG_PROCESS, SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pool_join(
    pool: *mut shmkit_pool,
    timeout_ns: i64,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let pool = &unsafe { handle(pool) }?.pool;
        let Ok(ns) = u64::try_from(timeout_ns) else {
            pool.join()?;
            return Ok(SHMKIT_OK);
        };
        let (joined, pool) = (mpsc::sync_channel(1), Arc::clone(pool));
        std::thread::Builder::new().spawn(move || joined.0.send(pool.join()))?;
        match joined.1.recv_timeout(Duration::from_nanos(ns)) {
            Ok(outcome) => outcome?,
            Err(_) if timeout_ns == 0 => return Ok(SHMKIT_ERR_WOULD_BLOCK),
            Err(_) => return Ok(SHMKIT_ERR_TIMED_OUT),
        }
        Ok(SHMKIT_OK)
    })
}

/// Gives the pool up; NULL is fine. Unlike other handles, the last one of a pool terminates it, and waits for
/// its workers, about a second at most.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pool_free(pool: *mut shmkit_pool) {
    // SAFETY: A1.
    unsafe { discard(pool) };
}
