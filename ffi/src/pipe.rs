//! Pipes of byte messages.

use crate::args::{self, Out, address, bytes, bytes_mut, deadline, handle, place};
use crate::fail::{Fail, cold, value};
use crate::loans::{Loans, shmkit_slot};
use crate::queue::slot_at;
use crate::queue::{
    all, all_mut, config, messages, shmkit_buf, shmkit_channel_config, shmkit_stats,
};
use crate::region::shmkit_region;
use crate::status::*;
use api::Loan;
use api::untyped::{BorrowedFromPipe, BytePipe, Deadline};
use api::{RecvError, SendError};
use std::ffi::{c_char, c_int, c_void};
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd};

/// One end of a pipe, which carries messages of bytes in both directions, whole and in order. One thread
/// of one process at a time uses an end; what a forked child has inherited is its parent's.
///
/// Rust has it as `Connection<T>`: `send_bytes` and `recv_bytes` there are the same bytes as here.
pub struct shmkit_pipe {
    /// Cleared before the rest is dropped.
    loans: Loans<Lent>,
    pub(crate) pipe: BytePipe,
}

enum Lent {
    Room(Loan<'static>),
    Message(BorrowedFromPipe<'static>),
}

impl shmkit_pipe {
    pub(crate) fn new(pipe: BytePipe) -> shmkit_pipe {
        shmkit_pipe { loans: Loans::new(), pipe }
    }

    /// Why a message was not sent.
    #[cold]
    fn send_failed(&self, why: SendError<()>) -> Fail {
        match why {
            SendError::Disconnected(()) => self.over(),
            SendError::Full(()) => Fail::Status(SHMKIT_ERR_WOULD_BLOCK),
            SendError::Timeout(()) => Fail::Status(SHMKIT_ERR_TIMED_OUT),
            SendError::TooLarge(()) => Fail::Status(SHMKIT_ERR_TOO_LARGE),
            other => other.into(),
        }
    }

    /// Why no message was received.
    #[cold]
    fn recv_failed(&self, why: RecvError) -> Fail {
        match why {
            RecvError::Disconnected => self.over(),
            RecvError::Empty => Fail::Status(SHMKIT_ERR_WOULD_BLOCK),
            RecvError::Timeout => Fail::Status(SHMKIT_ERR_TIMED_OUT),
            other => other.into(),
        }
    }

    fn over(&self) -> Fail {
        let died = self.pipe.peer_has_died();
        Fail::Status(if died { SHMKIT_ERR_PEER_DIED } else { SHMKIT_ERR_CLOSED })
    }
}

/// Makes a pipe, and its two ends `*a` and `*b`.
///
/// `name` NULL: both ends are this process's, to be passed on. With a name `b` may be NULL: another
/// process takes that end by `shmkit_pipe_open()`. Ends of a pipe with a name have no descriptor and
/// carry none. `region` as of `shmkit_lock_create()`; `config` may be NULL.
///
/// Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
/// SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pipe_create(
    region: *const shmkit_region,
    name: *const c_char,
    config: *const shmkit_channel_config,
    a: *mut *mut shmkit_pipe,
    b: *mut *mut shmkit_pipe,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (a, place, config) =
            unsafe { (Out::at(a)?, place(region, name)?, self::config(config)?) };
        // SAFETY: A1.
        let b = (!b.is_null()).then(|| unsafe { Out::at(b) }).transpose()?;
        if args::flags(config.flags, 0)? & args::SHMKIT_CREATE_OR_OPEN != 0 {
            return Err(Fail::Argument("a pipe is created or opened, not either"));
        }
        // SAFETY: A1.
        let element = unsafe { messages(&config) }?;
        let capacity = if config.capacity == 0 { 64 << 10 } else { config.capacity as u64 };
        let capacity = capacity.max((config.max_message as u64).saturating_mul(2));
        match (b, name.is_null()) {
            (Some(b), _) => {
                let (first, second) = BytePipe::create(place, capacity, element)?;
                a.give(shmkit_pipe::new(first));
                b.give(shmkit_pipe::new(second));
            }
            (None, false) => {
                let first = BytePipe::create_half(place, capacity, element)?;
                a.give(shmkit_pipe::new(first));
            }
            (None, true) => return Err(Fail::Argument("a second end that nobody could take")),
        }
        Ok(SHMKIT_OK)
    })
}

/// Takes the second end of the pipe with this name; in `region` if that is not NULL. An end whose owner
/// is dead can be taken again, and goes on where that one stopped.
///
/// Errors: as of `shmkit_lock_open()`; SHMKIT_ERR_WRONG_PROCESS when both ends have live owners or were
/// closed.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pipe_open(
    region: *const shmkit_region,
    name: *const c_char,
    out: *mut *mut shmkit_pipe,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, at) = unsafe { (Out::at(out)?, address(region, name)?) };
        out.give(shmkit_pipe::new(BytePipe::find(at)?));
        Ok(SHMKIT_OK)
    })
}

/// Sends a message of `len` bytes, waiting for room at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT,
/// SHMKIT_FOREVER). A message longer than half of the capacity goes in pieces: unless SHMKIT_NO_WAIT, it
/// may be as long as it likes.
///
/// Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_CLOSED, SHMKIT_ERR_PEER_DIED,
/// SHMKIT_ERR_TOO_LARGE, SHMKIT_ERR_BUSY (a slot of this end is reserved), SHMKIT_ERR_WRONG_PROCESS,
/// SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pipe_send(
    pipe: *mut shmkit_pipe,
    data: *const c_void,
    len: usize,
    timeout_ns: i64,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (pipe, message) = unsafe { (handle(pipe)?, bytes(data, len)?) };
        let sent = pipe.pipe.send(message, deadline(timeout_ns));
        sent.map_err(|why| pipe.send_failed(why)).map(|()| SHMKIT_OK)
    })
}

/// Receives the next message into `buf` of `cap` bytes, waiting for it at most `timeout_ns` nanoseconds
/// (SHMKIT_NO_WAIT, SHMKIT_FOREVER), and sets `*len` to its length.
///
/// Errors: SHMKIT_ERR_BUFFER_TOO_SMALL: `*len` is what it needs, and the message stays;
/// SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT; SHMKIT_ERR_CLOSED and SHMKIT_ERR_PEER_DIED after the last
/// message; SHMKIT_ERR_BUSY (a slot of this end is acquired), SHMKIT_ERR_WRONG_PROCESS,
/// SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pipe_recv(
    pipe: *mut shmkit_pipe,
    buf: *mut c_void,
    cap: usize,
    len: *mut usize,
    timeout_ns: i64,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (pipe, buf, len) = unsafe { (handle(pipe)?, bytes_mut(buf, cap)?, Out::at(len)?) };
        let message = pipe.pipe.borrow(deadline(timeout_ns));
        let message = message.map_err(|why| pipe.recv_failed(why))?;
        len.set(message.len());
        match buf.get_mut(..message.len()) {
            Some(place) => {
                place.copy_from_slice(&message);
                Ok(SHMKIT_OK)
            }
            None => {
                message.put_back();
                Ok(SHMKIT_ERR_BUFFER_TOO_SMALL)
            }
        }
    })
}

/// Sends `n` messages, those of `bufs` in order, waiting for room for all at most `timeout_ns`
/// nanoseconds; `*done`, which is also set on failure, is how many were sent.
///
/// Errors: as of `shmkit_pipe_send()`, of the message after those that were sent.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pipe_send_n(
    pipe: *mut shmkit_pipe,
    bufs: *const shmkit_buf,
    n: usize,
    timeout_ns: i64,
    done: *mut usize,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (pipe, done, bufs) = unsafe { (handle(pipe)?, Out::at(done)?, all(bufs, n)?) };
        let deadline = deadline(timeout_ns);
        done.set(0);
        for (nth, buf) in bufs.iter().enumerate() {
            // SAFETY: A1.
            let message = unsafe { bytes(buf.data, buf.len) }?;
            pipe.pipe.send(message, deadline).map_err(|why| pipe.send_failed(why))?;
            done.set(nth + 1);
        }
        Ok(SHMKIT_OK)
    })
}

/// Receives up to `n` messages into `bufs`, waiting at most `timeout_ns` nanoseconds for the first;
/// `*done`, which is also set on failure, is how many came, and the `len` of each of their buffers the
/// length of its message.
///
/// Errors: as of `shmkit_pipe_recv()`, of the first message; SHMKIT_ERR_BUFFER_TOO_SMALL also of a later
/// one, whose buffer's `len` says then what it needs: `*done` counts those before it.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pipe_recv_n(
    pipe: *mut shmkit_pipe,
    bufs: *mut shmkit_buf,
    n: usize,
    timeout_ns: i64,
    done: *mut usize,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (pipe, done, bufs) = unsafe { (handle(pipe)?, Out::at(done)?, all_mut(bufs, n)?) };
        let mut deadline = deadline(timeout_ns);
        done.set(0);
        for (nth, buf) in bufs.iter_mut().enumerate() {
            // SAFETY: A1.
            let place = unsafe { bytes_mut(buf.data, buf.len) }?;
            let message = match pipe.pipe.borrow(deadline) {
                Ok(message) => message,
                Err(_) if nth > 0 => break, // if it lasts, the next call is told
                Err(why) => return Err(pipe.recv_failed(why)),
            };
            buf.len = message.len();
            let Some(place) = place.get_mut(..message.len()) else {
                message.put_back();
                return Ok(SHMKIT_ERR_BUFFER_TOO_SMALL);
            };
            place.copy_from_slice(&message);
            done.set(nth + 1);
            deadline = Deadline::Now;
        }
        Ok(SHMKIT_OK)
    })
}

/// The pipe for as long as its loans last, which are cleared before it goes.
fn lasting(pipe: &shmkit_pipe) -> &'static BytePipe {
    // SAFETY: `shmkit_pipe_free` clears the loans first; a handle does not move.
    unsafe { &*std::ptr::from_ref(&pipe.pipe) }
}

/// Room for a message of `len` bytes, to be filled in place, waiting for it at most `timeout_ns`
/// nanoseconds. One at a time; `len` is at most about half of the capacity.
///
/// Errors: as of `shmkit_pipe_send()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pipe_reserve(
    pipe: *mut shmkit_pipe,
    len: usize,
    timeout_ns: i64,
    slot: *mut shmkit_slot,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (pipe, slot) = unsafe { (handle(pipe)?, Out::at(slot)?) };
        let loan = lasting(pipe).loan(len, deadline(timeout_ns));
        let mut loan = loan.map_err(|why| pipe.send_failed(why))?;
        let data = loan.as_mut_ptr().cast();
        slot.set(shmkit_slot { data, len, token: pipe.loans.keep(Lent::Room(loan)) });
        Ok(SHMKIT_OK)
    })
}

/// Sends the first `len` bytes of what was reserved, at most all. The slot is used up. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT (also a slot that is not reserved, or `len` beyond it: it stays),
/// SHMKIT_ERR_WRONG_PROCESS (in a forked child).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pipe_commit(
    pipe: *mut shmkit_pipe,
    slot: *mut shmkit_slot,
    len: usize,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (pipe, slot) = unsafe { (handle(pipe)?, slot_at(slot)?) };
        let lent = pipe.loans.redeem(slot, |lent| match lent {
            Lent::Room(loan) if len <= loan.len() => Ok(()),
            Lent::Room(_) => Err(Fail::Argument("more than was reserved")),
            Lent::Message(_) => Err(Fail::Argument("a slot that was acquired, not reserved")),
        })?;
        if let Lent::Room(loan) = lent {
            loan.commit_some(len);
        }
        Ok(SHMKIT_OK)
    })
}

/// Gives a slot back as if it had never been reserved or acquired. The slot is used up. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_WRONG_PROCESS (in a forked child).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pipe_abort(
    pipe: *mut shmkit_pipe,
    slot: *mut shmkit_slot,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (pipe, slot) = unsafe { (handle(pipe)?, slot_at(slot)?) };
        match pipe.loans.redeem(slot, |_| Ok(()))? {
            Lent::Room(loan) => drop(loan),
            Lent::Message(message) => message.put_back(),
        }
        Ok(SHMKIT_OK)
    })
}

/// The next message, to be read in place, waiting for it at most `timeout_ns` nanoseconds. One at a time.
///
/// Errors: as of `shmkit_pipe_recv()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pipe_acquire(
    pipe: *mut shmkit_pipe,
    timeout_ns: i64,
    slot: *mut shmkit_slot,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (pipe, slot) = unsafe { (handle(pipe)?, Out::at(slot)?) };
        let message = lasting(pipe).borrow(deadline(timeout_ns));
        let message = message.map_err(|why| pipe.recv_failed(why))?;
        let (data, len) = (message.as_ptr().cast_mut().cast(), message.len());
        slot.set(shmkit_slot { data, len, token: pipe.loans.keep(Lent::Message(message)) });
        Ok(SHMKIT_OK)
    })
}

/// Done with an acquired message: it is received for good, and its place is free. The slot is used up.
/// Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_WRONG_PROCESS (in a forked child).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pipe_release(
    pipe: *mut shmkit_pipe,
    slot: *mut shmkit_slot,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (pipe, slot) = unsafe { (handle(pipe)?, slot_at(slot)?) };
        drop(pipe.loans.redeem(slot, |lent| match lent {
            Lent::Message(_) => Ok(()),
            Lent::Room(_) => Err(Fail::Argument("a slot that was reserved, not acquired")),
        })?);
        Ok(SHMKIT_OK)
    })
}

/// Sends a descriptor, which stays open here, as a message of its own, waiting for room at most
/// `timeout_ns` nanoseconds. `shmkit_pipe_recv()` finds an empty message in its place.
///
/// Errors: as of `shmkit_pipe_send()`; SHMKIT_ERR_UNSUPPORTED for a pipe with a name.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pipe_send_fd(
    pipe: *mut shmkit_pipe,
    fd: c_int,
    timeout_ns: i64,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let pipe = unsafe { handle(pipe) }?;
        carries_fds(pipe)?;
        if fd < 0 {
            return Err(Fail::Argument("a descriptor that is none"));
        }
        // SAFETY: borrowed for this call; a number that is not open is refused by the kernel.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        let sent = pipe.pipe.send_fd(fd, deadline(timeout_ns));
        sent.map_err(|why| pipe.send_failed(why)).map(|()| SHMKIT_OK)
    })
}

/// Receives a descriptor, which is the caller's to close, waiting for it at most `timeout_ns`
/// nanoseconds.
///
/// Errors: as of `shmkit_pipe_recv()`; SHMKIT_ERR_CORRUPT if the message was no descriptor, and it is
/// gone; SHMKIT_ERR_UNSUPPORTED for a pipe with a name.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pipe_recv_fd(
    pipe: *mut shmkit_pipe,
    fd: *mut c_int,
    timeout_ns: i64,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (pipe, fd) = unsafe { (handle(pipe)?, Out::at(fd)?) };
        carries_fds(pipe)?;
        let received = pipe.pipe.recv_fd(deadline(timeout_ns));
        fd.set(received.map_err(|why| pipe.recv_failed(why))?.into_raw_fd());
        Ok(SHMKIT_OK)
    })
}

fn carries_fds(pipe: &shmkit_pipe) -> crate::fail::Answer<()> {
    const NONE: Fail =
        Fail::Said(SHMKIT_ERR_UNSUPPORTED, "a pipe with a name carries no descriptors");
    if pipe.pipe.carries_fds() { Ok(()) } else { Err(NONE) }
}

/// 1 if there is something to receive, or the end of the stream; or else 0, also for NULL. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pipe_len(pipe: *mut shmkit_pipe) -> usize {
    // SAFETY: A1.
    value(0, || Ok(usize::from(unsafe { handle(pipe) }?.pipe.has_something())))
}

/// Sets `*fd` to a descriptor that is readable, for `poll` and `epoll`, when there is something to receive
/// or the stream is at its end. It stays the pipe's: do not read or close it. When a call finds nothing
/// the descriptor is silent again: receive until SHMKIT_ERR_WOULD_BLOCK before you sleep.
///
/// Errors: SHMKIT_ERR_UNSUPPORTED for a pipe with a name, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pipe_fd(pipe: *mut shmkit_pipe, fd: *mut c_int) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (pipe, fd) = unsafe { (handle(pipe)?, Out::at(fd)?) };
        carries_fds(pipe)?;
        fd.set(pipe.pipe.poll_fd()?.as_raw_fd());
        Ok(SHMKIT_OK)
    })
}

/// What this end is doing. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pipe_stats(
    pipe: *mut shmkit_pipe,
    stats: *mut shmkit_stats,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (pipe, stats) = unsafe { (&handle(pipe)?.pipe, Out::at(stats)?) };
        stats.set(shmkit_stats {
            capacity: 0,
            len: usize::from(pipe.has_something()),
            max_inline: pipe.max_loan_bytes(),
            closed: pipe.is_closed(),
        });
        Ok(SHMKIT_OK)
    })
}

/// Closes this end, both directions: the other end gets what was sent, and then SHMKIT_ERR_CLOSED. Never
/// blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_pipe_close(pipe: *mut shmkit_pipe) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(pipe) }?.pipe.close();
        Ok(SHMKIT_OK)
    })
}

/// Gives the end up and closes it, unless this is a forked copy; NULL is fine. A slot that is out is given
/// back: do not use it any more. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_pipe_free(pipe: *mut shmkit_pipe) {
    value((), || {
        // SAFETY: A1.
        if let Ok(handle) = unsafe { handle(pipe) } {
            handle.loans.clear(|lent| match lent {
                Lent::Room(loan) => drop(loan),
                Lent::Message(message) => message.put_back(),
            });
        }
        // SAFETY: A1, and nothing refers to the pipe any more.
        unsafe { args::discard(pipe) };
        Ok(())
    });
}
