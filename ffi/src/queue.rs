//! Queues of byte messages.

use crate::args::{self, Out, address, bytes, bytes_mut, deadline, handle, make, place, text};
use crate::fail::{Answer, Fail, cold, value};
use crate::loans::{Loans, shmkit_slot};
use crate::region::shmkit_region;
use crate::status::*;
use api::queue::Loan;
use api::untyped::{BorrowedFromQueue, ByteQueue, ByteQueueOptions, Element};
use api::{GetError, PutError};
use std::ffi::{c_char, c_int, c_void};
use std::os::fd::AsRawFd;

/// Messages of bytes from any number of producers to any number of consumers, each to one of them. Any
/// thread of any process may use it at once; a handle survives fork, what is lent in place does not.
///
/// Rust opens it as `Queue<T>`: `loan` and `receive` there are the same bytes as here.
pub struct shmkit_queue {
    /// Cleared before the rest is dropped.
    loans: Loans<Lent>,
    pub(crate) queue: ByteQueue,
}

enum Lent {
    Room(Loan<'static>),
    Message(BorrowedFromQueue<'static>),
}

/// How a queue or a pipe is made; NULL or zeros for what does by default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct shmkit_channel_config {
    /// `sizeof(shmkit_channel_config)`: tells the library what the program knows of.
    pub struct_size: usize,
    /// SHMKIT_CREATE_EXCLUSIVE, or SHMKIT_CREATE_OR_OPEN for a queue; for a queue SHMKIT_QUEUE_JOINABLE,
    /// SHMKIT_QUEUE_GROWING.
    pub flags: u32,
    /// Of a queue: memory for all messages together that are longer than `max_message`, in bytes; 0:
    /// 128 MiB, or none in a region. It is taken as it is needed. Of a pipe: what a direction holds, in
    /// bytes; 0: 64 KiB.
    pub capacity: usize,
    /// Of a queue: the longest message that has a place in the queue itself, which is faster; 0: 232. Of
    /// a pipe: the longest message that is to travel in one piece; 0: half of `capacity`.
    pub max_message: usize,
    /// Of a queue: the messages that it holds at most; 0: 64. A pipe counts bytes only.
    pub max_messages: usize,
    /// For sharing with a Rust program that uses its typed calls: what `std::any::type_name` gives for
    /// its T; NULL: any T will do.
    pub tag: *const c_char,
}

/// A buffer, for several messages in one call.
#[repr(C)]
pub struct shmkit_buf {
    /// Its first byte.
    pub data: *mut c_void,
    /// Its length in bytes; of a received message the length of that, afterwards.
    pub len: usize,
}

/// What a queue or a pipe is doing.
#[repr(C)]
pub struct shmkit_stats {
    /// Of a queue: messages that it holds at most. Of a pipe: 0.
    pub capacity: usize,
    /// Of a queue: messages in it now. Of a pipe: 1 if there is something to receive, or else 0.
    pub len: usize,
    /// The longest message that can be lent in a slot (of a queue longer ones lie in pages).
    pub max_inline: usize,
    /// Whether this end, or the queue, is closed.
    pub closed: bool,
}

/// A queue whose messages are to be done: `_release` says that one is, `shmkit_queue_join()` waits for
/// all, and a message whose consumer died or called `_abort` comes again. Rust opens it as
/// `JoinableQueue<T>`.
pub const SHMKIT_QUEUE_JOINABLE: u32 = 0x400;

/// A queue that takes its memory as it grows, and gives it back as it is drained, instead of having all of
/// it from the start: for a `max_messages` that is there for bad times only.
pub const SHMKIT_QUEUE_GROWING: u32 = 0x800;

/// The configuration as far as the caller knows of it, and zeros for the rest.
///
/// # Safety
///
/// A1.
pub(crate) unsafe fn config(config: *const shmkit_channel_config) -> Answer<shmkit_channel_config> {
    const LEAST: usize = std::mem::offset_of!(shmkit_channel_config, tag);
    let mut known = shmkit_channel_config {
        struct_size: 0,
        flags: 0,
        capacity: 0,
        max_message: 0,
        max_messages: 0,
        tag: std::ptr::null(),
    };
    if config.is_null() {
        return Ok(known);
    }
    if !config.is_aligned() {
        return Err(Fail::Argument("a config that is misaligned"));
    }
    // SAFETY: A1: there is the size at least.
    let size = unsafe { (*config).struct_size };
    if !(LEAST..=4096).contains(&size) {
        return Err(Fail::Argument("struct_size of a config"));
    }
    let bytes = size.min(size_of::<shmkit_channel_config>());
    // SAFETY: A1: there are so many bytes; any are a config.
    unsafe {
        config.cast::<u8>().copy_to_nonoverlapping((&raw mut known).cast::<u8>(), bytes);
    }
    Ok(known)
}

/// What the messages are.
///
/// # Safety
///
/// A1.
pub(crate) unsafe fn messages(config: &shmkit_channel_config) -> Answer<Element> {
    // SAFETY: A1.
    let tag = unsafe { text(config.tag) }?;
    Ok(tag.and_then(|tag| Element::named(0, 1, tag)).unwrap_or(Element::MESSAGES))
}

impl shmkit_queue {
    pub(crate) fn new(queue: ByteQueue) -> shmkit_queue {
        shmkit_queue { loans: Loans::new(), queue }
    }

    /// Why a message was not put.
    #[cold]
    fn put_failed(&self, why: PutError<()>) -> Fail {
        match why {
            PutError::Disconnected(()) => self.over(),
            PutError::Full(()) => Fail::Status(SHMKIT_ERR_WOULD_BLOCK),
            PutError::Timeout(()) => Fail::Status(SHMKIT_ERR_TIMED_OUT),
            PutError::TooLarge(()) => Fail::Status(SHMKIT_ERR_TOO_LARGE),
            other => other.into(),
        }
    }

    /// Why no message was got.
    #[cold]
    fn get_failed(&self, why: GetError) -> Fail {
        match why {
            GetError::Disconnected => self.over(),
            GetError::Empty => Fail::Status(SHMKIT_ERR_WOULD_BLOCK),
            GetError::Timeout => Fail::Status(SHMKIT_ERR_TIMED_OUT),
            other => other.into(),
        }
    }

    fn over(&self) -> Fail {
        let closed = self.queue.is_closed();
        Fail::Status(if closed { SHMKIT_ERR_CLOSED } else { SHMKIT_ERR_PEER_DIED })
    }
}

/// Makes a queue. `region` and `name` as of `shmkit_lock_create()`, the rest by `config`, which may be
/// NULL.
///
/// Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
/// SHMKIT_ERR_SYSTEM; with SHMKIT_CREATE_OR_OPEN those of `shmkit_queue_open()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_queue_create(
    region: *const shmkit_region,
    name: *const c_char,
    config: *const shmkit_channel_config,
    out: *mut *mut shmkit_queue,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, place, config) =
            unsafe { (Out::at(out)?, place(region, name)?, self::config(config)?) };
        let flags = args::flags(config.flags, SHMKIT_QUEUE_JOINABLE | SHMKIT_QUEUE_GROWING)?;
        let or = |value: usize, default| if value == 0 { default } else { value };
        let heap = if region.is_null() { 128 << 20 } else { 0 };
        let options = ByteQueueOptions {
            capacity: or(config.max_messages, 64),
            inline_bytes: or(config.max_message, 232),
            heap_bytes: or(config.capacity, heap) as u64,
            joinable: flags & SHMKIT_QUEUE_JOINABLE != 0,
            grows: flags & SHMKIT_QUEUE_GROWING != 0,
            // SAFETY: A1.
            element: unsafe { messages(&config) }?,
        };
        if options.inline_bytes > 1 << 30 {
            return Err(Fail::Argument("max_message of a queue"));
        }
        let queue = make(
            place,
            flags,
            |place| Ok(ByteQueue::create(place, options)?),
            |at| Ok(ByteQueue::find(at)?),
        )?;
        out.give(shmkit_queue::new(queue));
        Ok(SHMKIT_OK)
    })
}

/// Opens a queue by its name, of whatever messages; in `region` if that is not NULL.
///
/// Errors: as of `shmkit_lock_open()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_queue_open(
    region: *const shmkit_region,
    name: *const c_char,
    out: *mut *mut shmkit_queue,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, at) = unsafe { (Out::at(out)?, address(region, name)?) };
        out.give(shmkit_queue::new(ByteQueue::find(at)?));
        Ok(SHMKIT_OK)
    })
}

/// Puts a message of `len` bytes, waiting for room at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT,
/// SHMKIT_FOREVER). After SHMKIT_OK it is in the queue, also if this process dies next.
///
/// Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_CLOSED, SHMKIT_ERR_PEER_DIED (the
/// queue is full, and no other handle is left), SHMKIT_ERR_TOO_LARGE, SHMKIT_ERR_NO_MEMORY,
/// SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_queue_put(
    queue: *mut shmkit_queue,
    data: *const c_void,
    len: usize,
    timeout_ns: i64,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (queue, message) = unsafe { (handle(queue)?, bytes(data, len)?) };
        let put = queue.queue.put(message, deadline(timeout_ns));
        put.map_err(|why| queue.put_failed(why)).map(|()| SHMKIT_OK)
    })
}

/// Gets the next message into `buf` of `cap` bytes, waiting for it at most `timeout_ns` nanoseconds
/// (SHMKIT_NO_WAIT, SHMKIT_FOREVER), and sets `*len` to its length.
///
/// Errors: SHMKIT_ERR_BUFFER_TOO_SMALL: `*len` is what it needs, and the message stays;
/// SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_CLOSED (and nothing is left),
/// SHMKIT_ERR_PEER_DIED (nothing is left, and no other handle), SHMKIT_ERR_INVALID_ARGUMENT,
/// SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_queue_get(
    queue: *mut shmkit_queue,
    buf: *mut c_void,
    cap: usize,
    len: *mut usize,
    timeout_ns: i64,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (queue, buf, len) = unsafe { (handle(queue)?, bytes_mut(buf, cap)?, Out::at(len)?) };
        let mut fits = true;
        let got = queue.queue.get_some(1, deadline(timeout_ns), |message| {
            len.set(message.len());
            let place = buf.get_mut(..message.len());
            fits = place.is_some();
            place.map(|place| place.copy_from_slice(message)).is_some()
        });
        got.map_err(|why| queue.get_failed(why))?;
        Ok(if fits { SHMKIT_OK } else { SHMKIT_ERR_BUFFER_TOO_SMALL })
    })
}

/// Puts `n` messages, those of `bufs` in order, waiting for room for all at most `timeout_ns` nanoseconds;
/// `*done`, which is also set on failure, is how many were put. Several times faster than one by one.
///
/// Errors: as of `shmkit_queue_put()`, of the message after those that were put.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_queue_put_n(
    queue: *mut shmkit_queue,
    bufs: *const shmkit_buf,
    n: usize,
    timeout_ns: i64,
    done: *mut usize,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (queue, done, bufs) = unsafe { (handle(queue)?, Out::at(done)?, all(bufs, n)?) };
        for buf in bufs {
            // SAFETY: A1.
            unsafe { bytes(buf.data, buf.len) }?;
        }
        // SAFETY: A1, checked above.
        let bytes_of = |buf: &shmkit_buf| unsafe { bytes(buf.data, buf.len) }.unwrap_or(&[]);
        let deadline = deadline(timeout_ns);
        let mut sent = 0;
        done.set(0);
        while sent < n {
            let put = queue.queue.put_some(bufs[sent..].iter().map(bytes_of), deadline);
            sent += put.map_err(|why| queue.put_failed(why))?;
            done.set(sent);
        }
        Ok(SHMKIT_OK)
    })
}

/// Gets up to `n` messages into `bufs`, waiting at most `timeout_ns` nanoseconds for the first; `*done`,
/// which is also set on failure, is how many were got, and the `len` of each of their buffers the length
/// of its message. Several times faster than one by one.
///
/// Errors: as of `shmkit_queue_get()`, of the first message; SHMKIT_ERR_BUFFER_TOO_SMALL also of a later
/// one, whose buffer's `len` says then what it needs: `*done` counts those before it.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_queue_get_n(
    queue: *mut shmkit_queue,
    bufs: *mut shmkit_buf,
    n: usize,
    timeout_ns: i64,
    done: *mut usize,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (queue, done, bufs) = unsafe { (handle(queue)?, Out::at(done)?, all_mut(bufs, n)?) };
        for buf in bufs.iter_mut() {
            // SAFETY: A1.
            unsafe { bytes_mut(buf.data, buf.len) }?;
        }
        done.set(0);
        let (mut got, mut fits) = (0, true);
        if n == 0 {
            return Ok(SHMKIT_OK);
        }
        let shown = queue.queue.get_some(n, deadline(timeout_ns), |message| {
            if !fits {
                return false; // what comes after one that stays, stays
            }
            let buf = &mut bufs[got];
            // SAFETY: A1, checked above.
            let place = unsafe { bytes_mut(buf.data, buf.len) }.unwrap_or(&mut []);
            buf.len = message.len();
            match place.get_mut(..message.len()) {
                Some(place) => {
                    place.copy_from_slice(message);
                    got += 1;
                }
                None => fits = false,
            }
            fits
        });
        done.set(got);
        shown.map_err(|why| queue.get_failed(why))?;
        Ok(if fits { SHMKIT_OK } else { SHMKIT_ERR_BUFFER_TOO_SMALL })
    })
}

/// The buffers of a batch.
///
/// # Safety
///
/// A1.
pub(crate) unsafe fn all<'a>(bufs: *const shmkit_buf, n: usize) -> Answer<&'a [shmkit_buf]> {
    if n == 0 {
        return Ok(&[]);
    }
    let fits = n <= isize::MAX as usize / size_of::<shmkit_buf>();
    if bufs.is_null() || !bufs.is_aligned() || !fits {
        return Err(Fail::Argument("buffers that are NULL, misaligned or impossibly many"));
    }
    // SAFETY: A1.
    Ok(unsafe { std::slice::from_raw_parts(bufs, n) })
}

/// The buffers of a batch.
///
/// # Safety
///
/// A1.
pub(crate) unsafe fn all_mut<'a>(bufs: *mut shmkit_buf, n: usize) -> Answer<&'a mut [shmkit_buf]> {
    if n == 0 {
        return Ok(&mut []);
    }
    let fits = n <= isize::MAX as usize / size_of::<shmkit_buf>();
    if bufs.is_null() || !bufs.is_aligned() || !fits {
        return Err(Fail::Argument("buffers that are NULL, misaligned or impossibly many"));
    }
    // SAFETY: A1.
    Ok(unsafe { std::slice::from_raw_parts_mut(bufs, n) })
}

/// The queue for as long as its loans last, which are cleared before it goes.
fn lasting(queue: &shmkit_queue) -> &'static ByteQueue {
    // SAFETY: `shmkit_queue_free` clears the loans first; a handle does not move.
    unsafe { &*std::ptr::from_ref(&queue.queue) }
}

/// Room for a message of `len` bytes, to be filled in place, waiting for it at most `timeout_ns`
/// nanoseconds. Several may be out at once. What others put after it waits until it is committed or
/// aborted: fill it and commit. If this process dies, nobody sees it.
///
/// Errors: as of `shmkit_queue_put()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_queue_reserve(
    queue: *mut shmkit_queue,
    len: usize,
    timeout_ns: i64,
    slot: *mut shmkit_slot,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (queue, slot) = unsafe { (handle(queue)?, Out::at(slot)?) };
        let loan = lasting(queue).loan(len, deadline(timeout_ns));
        let mut loan = loan.map_err(|why| queue.put_failed(why))?;
        let data = loan.as_mut_ptr().cast();
        slot.set(shmkit_slot { data, len, token: queue.loans.keep(Lent::Room(loan)) });
        Ok(SHMKIT_OK)
    })
}

/// Puts the first `len` bytes of what was reserved, at most all. The slot is used up. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT (also a slot that is not reserved, or `len` beyond it: it stays),
/// SHMKIT_ERR_WRONG_PROCESS (in a forked child).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_queue_commit(
    queue: *mut shmkit_queue,
    slot: *mut shmkit_slot,
    len: usize,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (queue, slot) = unsafe { (handle(queue)?, slot_at(slot)?) };
        let lent = queue.loans.redeem(slot, |lent| match lent {
            Lent::Room(loan) if len <= loan.len() => Ok(()),
            Lent::Room(_) => Err(Fail::Argument("more than was reserved")),
            Lent::Message(_) => Err(Fail::Argument("a slot that was acquired, not reserved")),
        })?;
        if let Lent::Room(mut loan) = lent {
            loan.shorten(len);
            loan.commit();
        }
        Ok(SHMKIT_OK)
    })
}

/// Gives a slot back as if it had never been reserved or acquired: an acquired message is the next one
/// again, for whoever gets it. The slot is used up. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_WRONG_PROCESS (in a forked child).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_queue_abort(
    queue: *mut shmkit_queue,
    slot: *mut shmkit_slot,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (queue, slot) = unsafe { (handle(queue)?, slot_at(slot)?) };
        drop(queue.loans.redeem(slot, |_| Ok(()))?);
        Ok(SHMKIT_OK)
    })
}

/// The next message, to be read in place, waiting for it at most `timeout_ns` nanoseconds. Several may be
/// out at once. If this process dies before `_release`, another gets it.
///
/// Errors: as of `shmkit_queue_get()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_queue_acquire(
    queue: *mut shmkit_queue,
    timeout_ns: i64,
    slot: *mut shmkit_slot,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (queue, slot) = unsafe { (handle(queue)?, Out::at(slot)?) };
        let message = lasting(queue).borrow(deadline(timeout_ns));
        let message = message.map_err(|why| queue.get_failed(why))?;
        let bytes = message.bytes().unwrap_or_default();
        let (data, len) = (bytes.as_ptr().cast_mut().cast(), bytes.len());
        slot.set(shmkit_slot { data, len, token: queue.loans.keep(Lent::Message(message)) });
        Ok(SHMKIT_OK)
    })
}

/// Done with an acquired message: it is got for good, and its place is free. The slot is used up. Never
/// blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_WRONG_PROCESS (in a forked child).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_queue_release(
    queue: *mut shmkit_queue,
    slot: *mut shmkit_slot,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (queue, slot) = unsafe { (handle(queue)?, slot_at(slot)?) };
        let lent = queue.loans.redeem(slot, |lent| match lent {
            Lent::Message(_) => Ok(()),
            Lent::Room(_) => Err(Fail::Argument("a slot that was reserved, not acquired")),
        })?;
        if let Lent::Message(message) = lent {
            message.done();
        }
        Ok(SHMKIT_OK)
    })
}

/// The slot of a call that ends a loan.
///
/// # Safety
///
/// A1.
pub(crate) unsafe fn slot_at<'a>(slot: *mut shmkit_slot) -> Answer<&'a mut shmkit_slot> {
    if slot.is_null() || !slot.is_aligned() {
        return Err(Fail::Argument("a slot that is NULL or misaligned"));
    }
    // SAFETY: A1.
    Ok(unsafe { &mut *slot })
}

/// Waits until all that was put is done, at most `timeout_ns` nanoseconds: for a queue with
/// SHMKIT_QUEUE_JOINABLE.
///
/// Errors: SHMKIT_ERR_TIMED_OUT (also with SHMKIT_NO_WAIT), SHMKIT_ERR_PEER_DIED (nobody is left to do
/// it), SHMKIT_ERR_UNSUPPORTED (another queue), SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_queue_join(
    queue: *mut shmkit_queue,
    timeout_ns: i64,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let queue = &unsafe { handle(queue) }?.queue;
        if !queue.is_joinable() {
            return Err(Fail::Said(SHMKIT_ERR_UNSUPPORTED, "the queue is not a joinable one"));
        }
        queue.join(deadline(timeout_ns)).map_err(|why| match why {
            api::JoinError::Disconnected => Fail::Status(SHMKIT_ERR_PEER_DIED),
            other => other.into(),
        })?;
        Ok(SHMKIT_OK)
    })
}

/// Messages that are to be had now; 0 for NULL. Stale at once. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_queue_len(queue: *const shmkit_queue) -> usize {
    // SAFETY: A1.
    value(0, || Ok(unsafe { handle(queue) }?.queue.len()))
}

/// Sets `*fd` to a descriptor that is readable, for `poll` and `epoll`, when there is something to get or
/// the queue is at its end. It stays the queue's: do not read or close it. When a get finds nothing the
/// descriptor is silent again: get until SHMKIT_ERR_WOULD_BLOCK before you sleep.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_WRONG_PROCESS (in a forked child: open the queue
/// anew), SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_queue_fd(
    queue: *mut shmkit_queue,
    fd: *mut c_int,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (queue, fd) = unsafe { (handle(queue)?, Out::at(fd)?) };
        fd.set(queue.queue.poll_fd()?.as_raw_fd());
        Ok(SHMKIT_OK)
    })
}

/// What the queue is doing. Stale at once. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_queue_stats(
    queue: *const shmkit_queue,
    stats: *mut shmkit_stats,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (queue, stats) = unsafe { (&handle(queue)?.queue, Out::at(stats)?) };
        stats.set(shmkit_stats {
            capacity: queue.capacity(),
            len: queue.len(),
            max_inline: queue.inline_bytes(),
            closed: queue.is_closed(),
        });
        Ok(SHMKIT_OK)
    })
}

/// Closes the queue for everybody: puts fail from now on, gets once nothing is left. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_queue_close(queue: *mut shmkit_queue) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(queue) }?.queue.close();
        Ok(SHMKIT_OK)
    })
}

/// Gives the handle up; NULL is fine. Slots that are out are given back as by `shmkit_queue_abort()`: do
/// not use them any more. The queue goes on for others. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_queue_free(queue: *mut shmkit_queue) {
    value((), || {
        // SAFETY: A1.
        if let Ok(handle) = unsafe { handle(queue) } {
            handle.loans.clear(drop);
        }
        // SAFETY: A1, and nothing refers to the queue any more.
        unsafe { args::discard(queue) };
        Ok(())
    });
}
