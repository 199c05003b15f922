//! Rings for one producer and one consumer.

use crate::args::{
    self, Out, address, deadline, discard, element, handle, make, place, shmkit_elem,
};
use crate::fail::{Answer, Fail, cold, value};
use crate::region::shmkit_region;
use crate::status::*;
use api::Error;
use api::untyped::{Deadline, Popper, Pusher, Refused, Ring, View, poll_until};
use std::ffi::{c_char, c_void};

/// A lock-free ring for elements of one type, from one producer to one consumer: the fastest way between
/// two processes. Any thread of any process may use the handle at once; it survives fork.
///
/// Rust has the ends as `ring::Producer<T>` and `ring::Consumer<T>`.
pub struct shmkit_ring {
    pub(crate) ring: Ring,
}

/// The end of a ring that pushes. One thread of one process at a time uses it; what a forked child has
/// inherited is its parent's.
///
/// A ring wakes nobody: a call that waits looks again and again, at first without a pause and then after
/// sleeps of up to a millisecond.
pub struct shmkit_tx {
    pub(crate) end: Pusher,
}

/// The end of a ring that pops: as shmkit_tx.
pub struct shmkit_rx {
    pub(crate) end: Popper,
}

/// Where a ring lies in this process, for programs that go without calls: `head` and `tail` count the
/// elements ever popped and pushed, and the element of a count lies at `data` plus `stride` times the count
/// masked by `mask`.
#[repr(C)]
pub struct shmkit_ring_view {
    /// The consumer's position: 64 bits, aligned; only the consumer stores it (release).
    pub head: *const u64,
    /// The producer's position: 64 bits, aligned; only the producer stores it (release).
    pub tail: *const u64,
    /// The first slot.
    pub data: *mut c_void,
    /// Slots in memory minus one: the capacity, rounded up to a power of two, minus one.
    pub mask: u64,
    /// Bytes from one slot to the next.
    pub stride: usize,
    /// The number of this layout: 1.
    pub layout: u32,
}

/// Makes a ring for `capacity` elements of the type `elem`. `region`, `name` and `flags` as of
/// `shmkit_lock_create()`. Nobody has its ends yet.
///
/// Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
/// SHMKIT_ERR_SYSTEM; with SHMKIT_CREATE_OR_OPEN those of `shmkit_ring_open()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_ring_create(
    region: *const shmkit_region,
    name: *const c_char,
    elem: *const shmkit_elem,
    capacity: usize,
    flags: u32,
    out: *mut *mut shmkit_ring,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, place, elem) = unsafe { (Out::at(out)?, place(region, name)?, element(elem)?) };
        let flags = args::flags(flags, 0)?;
        let ring = make(
            place,
            flags,
            |place| Ok(Ring::create(place, elem, capacity)?),
            |at| Ok(Ring::find(at, elem)?),
        )?;
        out.give(shmkit_ring { ring });
        Ok(SHMKIT_OK)
    })
}

/// Opens a ring for elements of the type `elem` by its name; in `region` if that is not NULL.
///
/// Errors: as of `shmkit_lock_open()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_ring_open(
    region: *const shmkit_region,
    name: *const c_char,
    elem: *const shmkit_elem,
    out: *mut *mut shmkit_ring,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, at, elem) = unsafe { (Out::at(out)?, address(region, name)?, element(elem)?) };
        out.give(shmkit_ring { ring: Ring::find(at, elem)? });
        Ok(SHMKIT_OK)
    })
}

/// An end that has an owner is in use: that is what C is told.
fn taken<T>(end: api::Result<T>) -> Answer<T> {
    end.map_err(|why| match why {
        Error::WrongProcess => {
            Fail::Said(SHMKIT_ERR_BUSY, "the end has a live owner, or was closed")
        }
        other => other.into(),
    })
}

/// Takes the end that pushes: the first time, or after its owner has died; then it goes on where that one
/// stopped. It does not need the handle of the ring any more.
///
/// Errors: SHMKIT_ERR_BUSY (the end has a live owner, or was closed), SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_ring_producer(
    ring: *mut shmkit_ring,
    out: *mut *mut shmkit_tx,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (ring, out) = unsafe { (handle(ring)?, Out::at(out)?) };
        out.give(shmkit_tx { end: taken(ring.ring.producer())? });
        Ok(SHMKIT_OK)
    })
}

/// Takes the end that pops: as `shmkit_ring_producer()`.
///
/// Errors: SHMKIT_ERR_BUSY (the end has a live owner, or was closed), SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_ring_consumer(
    ring: *mut shmkit_ring,
    out: *mut *mut shmkit_rx,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (ring, out) = unsafe { (handle(ring)?, Out::at(out)?) };
        out.give(shmkit_rx { end: taken(ring.ring.consumer())? });
        Ok(SHMKIT_OK)
    })
}

/// The elements that the ring holds at most; 0 for NULL. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_ring_capacity(ring: *const shmkit_ring) -> usize {
    // SAFETY: A1.
    value(0, || Ok(unsafe { handle(ring) }?.ring.capacity()))
}

/// The elements in the ring; 0 for NULL. Stale at once. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_ring_len(ring: *const shmkit_ring) -> usize {
    // SAFETY: A1.
    value(0, || Ok(unsafe { handle(ring) }?.ring.len()))
}

/// Gives the handle up; NULL is fine. Ends that were taken stay usable. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_ring_free(ring: *mut shmkit_ring) {
    // SAFETY: A1.
    unsafe { discard(ring) };
}

/// What C is told of an end that refused.
#[cold]
fn status_of(why: Refused, deadline: Deadline) -> shmkit_status {
    match why {
        Refused::NotNow if deadline == Deadline::Now => SHMKIT_ERR_WOULD_BLOCK,
        Refused::NotNow => SHMKIT_ERR_TIMED_OUT,
        Refused::Closed => SHMKIT_ERR_CLOSED,
        Refused::PeerDied => SHMKIT_ERR_PEER_DIED,
        Refused::Corrupt => Fail::Api(Error::Corrupt("position of a ring")).tell(),
        Refused::NotOwner => Fail::Api(Error::WrongProcess).tell(),
    }
}

/// Attempts again until there is room, or something to pop; `probe` asks whether the other end lives.
#[cold]
fn wait<T>(
    timeout_ns: i64,
    attempt: impl Fn() -> Result<T, Refused>,
    probe: impl Fn(),
) -> Result<T, shmkit_status> {
    let deadline = deadline(timeout_ns);
    let look = || match attempt() {
        Err(Refused::NotNow) => None,
        outcome => Some(outcome),
    };
    let check = || {
        probe();
        look()
    };
    let outcome = poll_until(deadline, look, check).unwrap_or(Err(Refused::NotNow));
    outcome.map_err(|why| status_of(why, deadline))
}

/// The first attempt, and the waiting after it.
#[inline(always)]
fn attempt<T>(
    timeout_ns: i64,
    attempt: impl Fn() -> Result<T, Refused>,
    probe: impl Fn(),
) -> Result<T, shmkit_status> {
    match attempt() {
        Ok(done) => Ok(done),
        Err(Refused::NotNow) if timeout_ns == 0 => Err(SHMKIT_ERR_WOULD_BLOCK),
        Err(_) => wait(timeout_ns, attempt, probe),
    }
}

macro_rules! checked {
    ($($checked:expr),*) => {
        // SAFETY: A1.
        match unsafe { (|| -> Answer<_> { Ok(($($checked?),*)) })() } {
            Ok(all) => all,
            Err(fail) => return fail.tell(),
        }
    };
}

/// A place for elements, which may be none.
///
/// # Safety
///
/// A1.
#[inline(always)]
unsafe fn elements<T>(place: *mut T, count: usize, size: usize) -> Answer<*mut u8> {
    if count != 0 && (place.is_null() || count > isize::MAX as usize / size) {
        return Err(Fail::Argument("elements that are NULL, or impossibly many"));
    }
    Ok(place.cast())
}

/// Pushes the element at `src`, waiting for room at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT,
/// SHMKIT_FOREVER). After SHMKIT_OK it is in the ring, also if this process dies next.
///
/// Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT; SHMKIT_ERR_CLOSED and SHMKIT_ERR_PEER_DIED, which
/// is noticed once a lap; SHMKIT_ERR_WRONG_PROCESS (or this end was closed), SHMKIT_ERR_INVALID_ARGUMENT,
/// SHMKIT_ERR_CORRUPT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_tx_push(
    tx: *mut shmkit_tx,
    src: *const c_void,
    timeout_ns: i64,
) -> shmkit_status {
    let (tx, src) = checked!(handle(tx), elements(src.cast_mut(), 1, 1));
    // SAFETY: A1.
    let push = || unsafe { tx.end.push(src) };
    match attempt(timeout_ns, push, || tx.end.probe()) {
        Ok(()) => SHMKIT_OK,
        Err(status) => status,
    }
}

/// Pushes `n` elements, waiting for room at most `timeout_ns` nanoseconds, and sets `*done`, also on
/// failure, to how many were pushed. Those for which there is room at once appear to the consumer at once.
/// Ten times cheaper for each than single pushes.
///
/// Errors: as of `shmkit_tx_push()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_tx_push_n(
    tx: *mut shmkit_tx,
    src: *const c_void,
    n: usize,
    timeout_ns: i64,
    done: *mut usize,
) -> shmkit_status {
    let (tx, done) = checked!(handle(tx), Out::at(done));
    let src = checked!(elements(src.cast_mut(), n, tx.end.size()));
    // SAFETY: A1: there are `n` elements.
    let push =
        |at: usize| unsafe { tx.end.push_some(src.wrapping_add(at * tx.end.size()), n - at) };
    many(n, timeout_ns, &done, push, || tx.end.probe())
}

/// Moves `n` elements by as many steps of `step` as it takes, which says how many it has moved.
#[inline(always)]
fn many(
    n: usize,
    timeout_ns: i64,
    done: &Out<usize>,
    step: impl Fn(usize) -> Result<usize, Refused>,
    probe: impl Fn(),
) -> shmkit_status {
    let first = match step(0) {
        Ok(count) => count,
        Err(Refused::NotNow) => 0,
        Err(why) => {
            done.set(0);
            return status_of(why, Deadline::Now);
        }
    };
    done.set(first);
    if first == n { SHMKIT_OK } else { the_rest(first, n, timeout_ns, done, step, probe) }
}

#[cold]
fn the_rest(
    mut moved: usize,
    n: usize,
    timeout_ns: i64,
    done: &Out<usize>,
    step: impl Fn(usize) -> Result<usize, Refused>,
    probe: impl Fn(),
) -> shmkit_status {
    let end = deadline(timeout_ns);
    while moved < n {
        let look = || match step(moved) {
            Err(Refused::NotNow) => None,
            outcome => Some(outcome),
        };
        let check = || {
            probe();
            look()
        };
        match poll_until(end, look, check).unwrap_or(Err(Refused::NotNow)) {
            Ok(count) => moved += count,
            Err(why) => return status_of(why, end),
        }
        done.set(moved);
    }
    SHMKIT_OK
}

/// Lends up to `want` free slots in a row, to be filled in place, waiting for the first at most
/// `timeout_ns` nanoseconds: `*buf` is the first of `*got`, at least one. They hold what they held before.
/// A later reserve or push takes them back.
///
/// Errors: as of `shmkit_tx_push()`; `want` 0 is SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_tx_reserve(
    tx: *mut shmkit_tx,
    want: usize,
    timeout_ns: i64,
    buf: *mut *mut c_void,
    got: *mut usize,
) -> shmkit_status {
    let (tx, buf, got) = checked!(handle(tx), Out::at(buf), Out::at(got));
    if want == 0 {
        return Fail::Argument("no slots at all").tell();
    }
    match attempt(timeout_ns, || tx.end.reserve(want), || tx.end.probe()) {
        Ok((place, count)) => {
            buf.set(place.as_ptr().cast());
            got.set(count);
            SHMKIT_OK
        }
        Err(status) => status,
    }
}

/// Pushes the first `n` of the slots that were reserved last; the others are given back. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT (more than are reserved: nothing happens), SHMKIT_ERR_WRONG_PROCESS.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_tx_commit(tx: *mut shmkit_tx, n: usize) -> shmkit_status {
    let tx = checked!(handle(tx));
    match tx.end.commit(n) {
        Ok(true) => SHMKIT_OK,
        Ok(false) => Fail::Argument("more slots than are reserved").tell(),
        Err(why) => status_of(why, Deadline::Now),
    }
}

fn view_of(view: View, size: usize) -> shmkit_ring_view {
    shmkit_ring_view {
        head: view.head.cast(),
        tail: view.tail.cast(),
        data: view.slots.cast(),
        mask: view.slot_count as u64 - 1,
        stride: size,
        layout: 1,
    }
}

/// Sets `*view` to where the ring lies in this process; valid as long as this end. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_tx_view(
    tx: *const shmkit_tx,
    view: *mut shmkit_ring_view,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (tx, view) = unsafe { (handle(tx)?, Out::at(view)?) };
        view.set(view_of(tx.end.view(), tx.end.size()));
        Ok(SHMKIT_OK)
    })
}

/// Closes the end: the consumer pops what is left and is then told SHMKIT_ERR_CLOSED. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_tx_close(tx: *mut shmkit_tx) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(tx) }?.end.close();
        Ok(SHMKIT_OK)
    })
}

/// Gives the end up and closes it, unless this is a forked copy; NULL is fine. What is reserved is given
/// back. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_tx_free(tx: *mut shmkit_tx) {
    // SAFETY: A1.
    unsafe { discard(tx) };
}

/// Pops the oldest element into `dst`, waiting for one at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT,
/// SHMKIT_FOREVER).
///
/// Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT; SHMKIT_ERR_CLOSED and SHMKIT_ERR_PEER_DIED when
/// nothing is left; SHMKIT_ERR_WRONG_PROCESS (or this end was closed), SHMKIT_ERR_INVALID_ARGUMENT,
/// SHMKIT_ERR_CORRUPT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_rx_pop(
    rx: *mut shmkit_rx,
    dst: *mut c_void,
    timeout_ns: i64,
) -> shmkit_status {
    let (rx, dst) = checked!(handle(rx), elements(dst, 1, 1));
    // SAFETY: A1.
    let pop = || unsafe { rx.end.pop(dst) };
    match attempt(timeout_ns, pop, || rx.end.probe()) {
        Ok(()) => SHMKIT_OK,
        Err(status) => status,
    }
}

/// Pops `n` elements into `dst`, waiting for them at most `timeout_ns` nanoseconds, and sets `*done`, also
/// on failure, to how many were popped. With SHMKIT_NO_WAIT: those that are there. Ten times cheaper for
/// each than single pops.
///
/// Errors: as of `shmkit_rx_pop()`, if fewer than `n` were popped.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_rx_pop_n(
    rx: *mut shmkit_rx,
    dst: *mut c_void,
    n: usize,
    timeout_ns: i64,
    done: *mut usize,
) -> shmkit_status {
    let (rx, done) = checked!(handle(rx), Out::at(done));
    let dst = checked!(elements(dst, n, rx.end.size()));
    // SAFETY: A1: there is room for `n` elements.
    let pop = |at: usize| unsafe { rx.end.pop_some(dst.wrapping_add(at * rx.end.size()), n - at) };
    many(n, timeout_ns, &done, pop, || rx.end.probe())
}

/// Lends up to `want` of the oldest elements in a row, to be read in place, waiting for the first at most
/// `timeout_ns` nanoseconds: `*buf` is the first of `*got`, at least one. A later peek or pop takes them
/// back.
///
/// Errors: as of `shmkit_rx_pop()`; `want` 0 is SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_rx_peek(
    rx: *mut shmkit_rx,
    want: usize,
    timeout_ns: i64,
    buf: *mut *const c_void,
    got: *mut usize,
) -> shmkit_status {
    let (rx, buf, got) = checked!(handle(rx), Out::at(buf), Out::at(got));
    if want == 0 {
        return Fail::Argument("no elements at all").tell();
    }
    match attempt(timeout_ns, || rx.end.peek(want), || rx.end.probe()) {
        Ok((place, count)) => {
            buf.set(place.as_ptr().cast_const().cast());
            got.set(count);
            SHMKIT_OK
        }
        Err(status) => status,
    }
}

/// Pops the first `n` of the elements that were lent last; the others stay. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT (more than are lent: nothing happens), SHMKIT_ERR_WRONG_PROCESS.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_rx_release(rx: *mut shmkit_rx, n: usize) -> shmkit_status {
    let rx = checked!(handle(rx));
    match rx.end.release(n) {
        Ok(true) => SHMKIT_OK,
        Ok(false) => Fail::Argument("more elements than are lent").tell(),
        Err(why) => status_of(why, Deadline::Now),
    }
}

/// Sets `*view` to where the ring lies in this process; valid as long as this end. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_rx_view(
    rx: *const shmkit_rx,
    view: *mut shmkit_ring_view,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (rx, view) = unsafe { (handle(rx)?, Out::at(view)?) };
        view.set(view_of(rx.end.view(), rx.end.size()));
        Ok(SHMKIT_OK)
    })
}

/// Closes the end: the producer is told SHMKIT_ERR_CLOSED, at the latest after a ring full of elements.
/// Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_rx_close(rx: *mut shmkit_rx) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(rx) }?.end.close();
        Ok(SHMKIT_OK)
    })
}

/// Gives the end up and closes it, unless this is a forked copy; NULL is fine. What is lent stays in the
/// ring. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_rx_free(rx: *mut shmkit_rx) {
    // SAFETY: A1.
    unsafe { discard(rx) };
}
