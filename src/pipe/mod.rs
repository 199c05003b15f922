//! Pipes: a connection between two ends, in one direction or in both.

pub(crate) mod bytes;
mod connection;
mod error;
mod lane;
mod receiver;
mod sender;
#[cfg(feature = "serde")]
mod transfer;

pub use connection::Connection;
pub use error::{RecvError, SendError};
pub use lane::Loan;
pub use receiver::{Received, Receiver};
pub use sender::Sender;

use crate::error::{Error, Result};
use crate::region::courier::Courier;
use crate::region::{Element, Kind, Object, Place, Region, Spec};
use crate::ring::record::words_for;
use lane::{Lane, Partial};
use std::marker::PhantomData;

/// What a pipe holds in each direction by default.
const DEFAULT_CAPACITY_BYTES: u64 = 64 << 10;

/// The largest direction, in words of 8 bytes: the directory of a region finds owner words in the
/// first 16 GiB of an object.
const MAX_WORDS: u64 = 1 << 30;

/// Makes the two ends of a pipe.
///
/// A pipe carries messages from one end to the other, whole and in order: values of type `T`, plain
/// bytes, or both. Each end belongs to one process at a time and can be passed to another. A message
/// that was sent survives its sender; the receiver gets everything that was sent before it is told
/// that the sender is closed or dead.
///
/// ```
/// use shmkit::{Connection, Pipe, Process, Result};
///
/// fn double(c: Connection<u32>) {
///     while let Ok(n) = c.recv() {
///         c.send(2 * n).unwrap();
///     }
/// }
///
/// fn main() -> Result<()> {
///     let (here, there) = Pipe::<u32>::new()?;
///     let child = Process::spawn((there,), double)?;
///     here.send(21)?;
///     assert_eq!(here.recv()?, 42);
///     here.close();
///     child.join()?;
///     Ok(())
/// }
/// ```
pub struct Pipe<T>(PhantomData<T>);

impl<T> Pipe<T> {
    /// Makes a pipe that carries messages in both directions, 64 KiB each.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`], [`Error::Os`].
    #[allow(clippy::new_ret_no_self, reason = "a pipe is its two ends")]
    pub fn new() -> Result<(Connection<T>, Connection<T>)> {
        PipeOptions::new().duplex()
    }

    /// Makes a pipe that carries messages in one direction: 64 KiB.
    ///
    /// The other direction does not compile:
    ///
    /// ```compile_fail,E0599
    /// let (receiver, sender) = shmkit::Pipe::<u32>::simplex().unwrap();
    /// receiver.send(1);
    /// ```
    /// ```compile_fail,E0599
    /// let (receiver, sender) = shmkit::Pipe::<u32>::simplex().unwrap();
    /// sender.recv();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Pipe::new`].
    ///
    /// ```
    /// let (receiver, sender) = shmkit::Pipe::<String>::simplex()?;
    /// sender.send("hello".to_string())?;
    /// drop(sender);
    /// assert_eq!(receiver.recv()?, "hello");
    /// assert!(matches!(receiver.recv(), Err(shmkit::RecvError::Disconnected)));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn simplex() -> Result<(Receiver<T>, Sender<T>)> {
        PipeOptions::new().simplex()
    }
}

/// How a pipe is made, where the defaults do not do.
///
/// ```
/// use shmkit::{PipeOptions, Region};
///
/// let region = Region::new(1 << 20)?;
/// let options = PipeOptions::new().capacity_bytes(4096);
/// let (a, b) = options.duplex_in::<u32>(&region)?;
/// a.send(1)?;
/// assert_eq!(b.recv()?, 1);
/// # Ok::<(), shmkit::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PipeOptions {
    capacity_bytes: u64,
}

impl Default for PipeOptions {
    fn default() -> PipeOptions {
        PipeOptions::new()
    }
}

impl PipeOptions {
    /// The defaults: 64 KiB in each direction.
    pub fn new() -> PipeOptions {
        PipeOptions { capacity_bytes: DEFAULT_CAPACITY_BYTES }
    }

    /// How many bytes of messages, with 8 bytes of header each, a direction holds; rounded up to a
    /// power of two. Messages of up to half of that travel in one piece, longer ones in fragments.
    pub fn capacity_bytes(mut self, capacity_bytes: u64) -> PipeOptions {
        self.capacity_bytes = capacity_bytes;
        self
    }

    /// Makes a pipe that carries messages in both directions.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a capacity beyond 8 GiB, [`Error::NoMemory`],
    /// [`Error::Os`].
    pub fn duplex<T>(self) -> Result<(Connection<T>, Connection<T>)> {
        self.duplex_at(Place::Anonymous)
    }

    /// Makes a pipe in `region` that carries messages in both directions.
    ///
    /// # Errors
    ///
    /// As [`PipeOptions::duplex`]; [`Error::NoSpace`] when the region is full.
    pub fn duplex_in<T>(self, region: &Region) -> Result<(Connection<T>, Connection<T>)> {
        self.duplex_at(Place::In(region))
    }

    /// Makes a pipe that carries messages in one direction.
    ///
    /// # Errors
    ///
    /// As [`PipeOptions::duplex`].
    pub fn simplex<T>(self) -> Result<(Receiver<T>, Sender<T>)> {
        self.simplex_at(Place::Anonymous)
    }

    /// Makes a pipe in `region` that carries messages in one direction.
    ///
    /// # Errors
    ///
    /// As [`PipeOptions::duplex_in`].
    pub fn simplex_in<T>(self, region: &Region) -> Result<(Receiver<T>, Sender<T>)> {
        self.simplex_at(Place::In(region))
    }

    fn duplex_at<T>(self, place: Place<'_>) -> Result<(Connection<T>, Connection<T>)> {
        self.duplex_of(place, Element::message::<T>())
    }

    fn duplex_of<T>(
        self,
        place: Place<'_>,
        element: Element,
    ) -> Result<(Connection<T>, Connection<T>)> {
        let [there, back] = self.lanes();
        let object = self.create(place, &[there, back], element)?;
        let couriers = Courier::pair()?;
        let (receiver, sender) = both_ends(&object, there, &couriers)?;
        let (receiver_back, sender_back) = both_ends(&object, back, &(couriers.1, couriers.0))?;
        Ok((Connection::of(receiver_back, sender), Connection::of(receiver, sender_back)))
    }

    fn simplex_at<T>(self, place: Place<'_>) -> Result<(Receiver<T>, Sender<T>)> {
        let lane = self.lane(0);
        let object = self.create(place, &[lane], Element::message::<T>())?;
        both_ends(&object, lane, &Courier::pair()?)
    }

    fn lane(self, index: u32) -> Lane {
        Lane { index, words: words_for(self.capacity_bytes) }
    }

    /// The two directions of a duplex pipe.
    fn lanes(self) -> [Lane; 2] {
        [0, 1].map(|index| self.lane(index))
    }

    fn create(self, place: Place<'_>, lanes: &[Lane], element: Element) -> Result<Object> {
        let words = words_for(self.capacity_bytes);
        if words > MAX_WORDS {
            return Err(Error::InvalidArgument("capacity of a pipe"));
        }
        let bytes = Lane::bytes(words)? * lanes.len() as u64;
        let owners = lanes.iter().map(|lane| lane.owner_words()).collect::<Result<Vec<_>>>()?;
        let spec =
            Spec { kind: Kind::Pipe, element, len: words, bytes, backed: bytes, owners: &owners };
        Object::create(place, &spec, |object| lanes.iter().try_for_each(|lane| lane.vacate(object)))
    }
}

/// The two ends of a lane, and the sockets of the receiver and the sender.
fn both_ends<T>(
    object: &Object,
    lane: Lane,
    (receiver, sender): &(Courier, Courier),
) -> Result<(Receiver<T>, Sender<T>)> {
    let inlet = lane.inlet(object, receiver.clone(), None, Partial::default())?;
    Ok((Receiver::of(inlet), Sender::of(lane.outlet(object, sender.clone(), None)?)))
}
