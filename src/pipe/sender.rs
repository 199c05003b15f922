//! The sending half of a pipe.

use super::error::SendError;
use super::lane::{Form, Loan, Outlet};
use crate::lock::deadline::Deadline;
#[cfg(feature = "serde")]
use crate::message::{self, Message};
#[cfg(feature = "serde")]
use crate::region::courier::MAX_FDS;
#[cfg(feature = "serde")]
use crate::region::transfer;
use bytemuck::Pod;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::time::Duration;

/// Scratch memory above this is not kept for the next message.
#[cfg(feature = "serde")]
const KEPT_SCRATCH_BYTES: usize = 1 << 20;

/// The sending end of a pipe.
///
/// Belongs to one process and one thread at a time (`Send`, not `Sync`), and can be passed to
/// another process as an argument. Dropping it ends the stream: the receiver gets what was sent,
/// and then [`RecvError::Disconnected`](crate::RecvError::Disconnected).
///
/// ```
/// fn may_move_to_another_thread<T: Send>() {}
/// may_move_to_another_thread::<shmkit::Sender<u32>>();
/// ```
/// ```compile_fail,E0277
/// fn may_be_used_by_two_threads<T: Sync>() {}
/// may_be_used_by_two_threads::<shmkit::Sender<u32>>();
/// ```
pub struct Sender<T> {
    pub(super) outlet: Outlet,
    message: PhantomData<fn(T)>,
}

#[cfg(feature = "serde")]
impl<T: Message> Sender<T> {
    /// Sends a value, waiting for room as long as it takes.
    ///
    /// Visible to the receiver when this returns, whatever becomes of this process. A value whose
    /// encoding is longer than half of the pipe is streamed in fragments, without limit; then the
    /// receiver must be reading for this to return.
    ///
    /// Handles to shared objects in the value arrive as handles, and the ends of pipes move: this
    /// process has them no more when this returns, and has them back if it fails. What is on its
    /// way belongs to the receiver already: if that dies first, it is as if it died with it in hand.
    /// Each handle on its way takes a participant's place in its region until it is received.
    ///
    /// A receiver that was closed is noticed by the next message. One that was killed is noticed by
    /// the next message after this process has joined it; if it is another's child, when the pipe
    /// is full and now and then before.
    ///
    /// # Errors
    ///
    /// The value comes back: [`SendError::Disconnected`] when the receiver is closed or dead,
    /// [`SendError::Encode`] (also for a value with more than 253 regions and ends of pipes),
    /// [`SendError::Busy`] while a loan is out,
    /// [`SendError::WrongProcess`] in a forked child.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.send_by(value, Deadline::Never)
    }

    /// Sends a value if there is room for it now. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`]; [`SendError::Full`]; [`SendError::TooLarge`] for a value that only
    /// [`Sender::send`] can stream.
    pub fn try_send(&self, value: T) -> Result<(), SendError<T>> {
        self.send_by(value, Deadline::Now)
    }

    /// Sends a value, waiting for room at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`]; [`SendError::Timeout`] (of a streamed value nothing arrives).
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendError<T>> {
        self.send_by(value, Deadline::after(timeout))
    }

    fn send_by(&self, value: T, deadline: Deadline) -> Result<(), SendError<T>> {
        if transfer::is_under_way() {
            return self.send_with_handles(value, deadline); // apart from the message around it
        }
        // Taken, not borrowed: the value's own code runs while it is encoded.
        let mut scratch = self.outlet.scratch.take();
        let sent = match message::encode_into(&value, &mut scratch) {
            Ok(bytes) => self.outlet.send(bytes, Form::TYPED, deadline),
            Err(_) if transfer::take_stranded() => {
                self.outlet.scratch.set(scratch);
                return self.send_with_handles(value, deadline);
            }
            Err(why) => Err(SendError::Encode((), why)),
        };
        if scratch.len() <= KEPT_SCRATCH_BYTES {
            self.outlet.scratch.set(scratch);
        }
        sent.map_err(|e| e.with(value))
    }

    /// Handles are found while a value is encoded; a plain one should not pay for the search.
    #[cold]
    fn send_with_handles(&self, value: T, deadline: Deadline) -> Result<(), SendError<T>> {
        let (encoded, outgoing) = transfer::collect(|| message::encode(&value));
        let sent = match encoded {
            Ok(_) if outgoing.fds().len() > MAX_FDS => {
                let why = format!("more than {MAX_FDS} descriptors in one message");
                Err(SendError::Encode((), why))
            }
            Ok(bytes) => {
                let fds: Vec<_> = outgoing.fds().collect();
                self.outlet.send_with(&bytes, Form::TYPED, &fds, deadline)
            }
            Err(why) => return Err(refusal(outgoing.failure(why), value)),
        };
        match sent {
            Ok(()) => outgoing.sent(),
            Err(why) => {
                drop(outgoing); // gives back what was moved
                return Err(why.with(value));
            }
        }
        Ok(())
    }
}

/// Why a value with handles was not encoded.
#[cfg(feature = "serde")]
fn refusal<T>(why: crate::Error, value: T) -> SendError<T> {
    use crate::Error;
    match why {
        Error::Encode(why) => SendError::Encode(value, why),
        Error::Lent => SendError::Busy(value),
        Error::WrongProcess => SendError::WrongProcess(value),
        other => SendError::Encode(value, other.to_string()),
    }
}

impl<T> Sender<T> {
    pub(super) fn of(outlet: Outlet) -> Sender<T> {
        Sender { outlet, message: PhantomData }
    }

    /// Sends bytes as one message, waiting for room as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), SendError<()>> {
        self.outlet.send(bytes, Form::BYTES, Deadline::Never)
    }

    /// Sends bytes as one message if there is room now. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`Sender::try_send`].
    pub fn try_send_bytes(&self, bytes: &[u8]) -> Result<(), SendError<()>> {
        self.outlet.send(bytes, Form::BYTES, Deadline::Now)
    }

    /// Sends bytes as one message, waiting for room at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Sender::send_timeout`].
    pub fn send_bytes_timeout(&self, bytes: &[u8], timeout: Duration) -> Result<(), SendError<()>> {
        self.outlet.send(bytes, Form::BYTES, Deadline::after(timeout))
    }

    /// Sends a plain value as its bytes, without encoding, waiting for room as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`].
    pub fn send_pod<P: Pod>(&self, value: &P) -> Result<(), SendError<()>> {
        self.outlet.send(bytemuck::bytes_of(value), Form::POD, Deadline::Never)
    }

    /// Sends a descriptor, waiting for room as long as it takes. The receiver gets one of its own
    /// for the same open file by [`Receiver::recv_fd`](crate::Receiver::recv_fd).
    ///
    /// # Errors
    ///
    /// As [`Sender::send`]; [`SendError::Os`] when the kernel lets no more descriptors travel.
    ///
    /// ```
    /// use std::fs::File;
    /// use std::io::Read;
    ///
    /// let (receiver, sender) = shmkit::Pipe::<()>::simplex()?;
    /// sender.send_fd(File::open("/proc/self/comm")?)?;
    /// let mut text = String::new();
    /// File::from(receiver.recv_fd()?).read_to_string(&mut text)?;
    /// assert!(text.ends_with('\n'));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn send_fd(&self, fd: impl AsFd) -> Result<(), SendError<()>> {
        self.outlet.send_with(&[], Form::FD, &[fd.as_fd()], Deadline::Never)
    }

    /// Sends a descriptor if there is room now. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`Sender::send_fd`]; [`SendError::Full`].
    pub fn try_send_fd(&self, fd: impl AsFd) -> Result<(), SendError<()>> {
        self.outlet.send_with(&[], Form::FD, &[fd.as_fd()], Deadline::Now)
    }

    /// Sends a descriptor, waiting for room at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Sender::send_fd`]; [`SendError::Timeout`].
    pub fn send_fd_timeout(&self, fd: impl AsFd, timeout: Duration) -> Result<(), SendError<()>> {
        self.outlet.send_with(&[], Form::FD, &[fd.as_fd()], Deadline::after(timeout))
    }

    /// Room for a message of `len_bytes` bytes, to be written in place: no copy is made. Waits for
    /// room as long as it takes.
    ///
    /// # Errors
    ///
    /// [`SendError::TooLarge`] beyond half of the pipe's capacity
    /// ([`Sender::max_loan_bytes`]); otherwise as [`Sender::send`].
    ///
    /// ```
    /// let (receiver, sender) = shmkit::Pipe::<()>::simplex()?;
    /// let mut frame = sender.loan(1024)?;
    /// frame.fill(7);
    /// frame.commit();
    /// assert_eq!(receiver.receive()?[..], [7; 1024]);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn loan(&self, len_bytes: usize) -> Result<Loan<'_>, SendError<()>> {
        self.outlet.loan(len_bytes, Deadline::Never)
    }

    /// As [`Sender::loan`], if there is room now. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`Sender::loan`]; [`SendError::Full`].
    pub fn try_loan(&self, len_bytes: usize) -> Result<Loan<'_>, SendError<()>> {
        self.outlet.loan(len_bytes, Deadline::Now)
    }

    /// The longest message that travels in one piece, and can be a loan.
    pub fn max_loan_bytes(&self) -> usize {
        self.outlet.max_record_bytes()
    }

    /// Ends the stream. Further calls are [`SendError::Disconnected`]; dropping does the same.
    pub fn close(&self) {
        self.outlet.close();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender { .. }")
    }
}
