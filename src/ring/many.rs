//! The public handle to a ring for any number of producers and consumers.

use super::error::{TryPopError, TryPushError};
use super::mpmc::mapped::Mapped;
use super::mpmc::{Leased, Reserved, Ring};
use crate::error::Result;
use crate::region::{Element, Kind, Object, Place, Region};
use bytemuck::Pod;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Makes a ring for `capacity` values of type `T`, for any number of producers and consumers.
///
/// The same as [`MpmcRing::new`].
///
/// # Errors
///
/// As [`MpmcRing::new`].
///
/// ```
/// use shmkit::ring::{self, TryPopError, TryPushError};
///
/// let ring = ring::mpmc::<u64>(2)?;
/// let other = ring.clone(); // in another thread, or passed to another process
/// ring.try_push(1).unwrap();
/// other.try_push(2).unwrap();
/// assert_eq!(ring.try_push(3), Err(TryPushError::Full(3)));
/// assert_eq!(other.try_pop(), Ok(1));
/// assert_eq!(ring.try_pop(), Ok(2));
/// assert_eq!(other.try_pop(), Err(TryPopError::Empty));
/// # Ok::<(), shmkit::Error>(())
/// ```
pub fn mpmc<T: Pod>(capacity: usize) -> Result<MpmcRing<T>> {
    MpmcRing::new(capacity)
}

/// [`mpmc()`] in a region, beside other objects.
///
/// # Errors
///
/// As [`MpmcRing::new_in`].
pub fn mpmc_in<T: Pod>(region: &Region, capacity: usize) -> Result<MpmcRing<T>> {
    MpmcRing::new_in(region, capacity)
}

/// A lock-free ring of plain values, for any number of producers and consumers in any number of
/// processes.
///
/// Clones are handles to the same ring; handles can be passed to other processes as arguments. Any
/// number of threads may share one, but a clone for each is faster: a handle remembers things.
///
/// Values come out in the order in which their slots were claimed: those of one producer in the
/// order in which it pushed them. The exception is a value that was popped by nobody in the end,
/// because its consumer died or gave it back: it comes out of turn.
///
/// Killing a process at any instruction harms nobody else. What was pushed is there, whole, until
/// somebody has popped it. The slots that the dead one had claimed are recovered by whoever calls
/// [`MpmcRing::recover`], and by whoever polls in vain thousands of times.
///
/// No operation waits. Where another process is in the middle of an operation on the next slot, the
/// answer is `Busy`: try again soon.
///
/// The capacity is exact; memory is taken for the next power of two, at 8 bytes more than a `T` for
/// each slot.
///
/// ```
/// fn can_be_shared_by_threads<T: Send + Sync + Clone>() {}
/// can_be_shared_by_threads::<shmkit::ring::MpmcRing<u64>>();
/// ```
/// Values are plain: nothing that points somewhere crosses to another process.
/// ```compile_fail,E0277
/// shmkit::ring::mpmc::<String>(4)?;
/// # Ok::<(), shmkit::Error>(())
/// ```
pub struct MpmcRing<T: Pod> {
    inner: Ring<Mapped<T>>,
}

impl<T: Pod> Ring<Mapped<T>> {
    fn on(object: Object) -> Result<Self> {
        // The capacity was checked against the memory of the object.
        Ok(Ring::new(Mapped::on(&object)?, object.len() as usize))
    }

    #[cfg(feature = "serde")]
    fn object(&self) -> &Object {
        self.site().object()
    }
}

impl<T: Pod> MpmcRing<T> {
    /// Makes a ring in a region of its own, without a name.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a capacity of 0 or beyond
    /// 2^31, or a `T` aligned to more than 128 bytes; [`Error::NoMemory`](crate::Error::NoMemory),
    /// [`Error::Os`](crate::Error::Os).
    pub fn new(capacity: usize) -> Result<Self> {
        Self::place(Place::Anonymous, capacity)
    }

    /// Makes a ring that unrelated processes of the same user find by `name`.
    ///
    /// # Errors
    ///
    /// As [`MpmcRing::new`]; [`Error::Exists`](crate::Error::Exists) when a live object has the
    /// name, [`Error::InvalidName`](crate::Error::InvalidName),
    /// [`Error::NoSpace`](crate::Error::NoSpace).
    ///
    /// ```
    /// # let name = format!("doc.mpmc.{}", std::process::id());
    /// use shmkit::ring::MpmcRing;
    ///
    /// let made = MpmcRing::create(&name, 64)?;
    /// made.try_push(7u64).unwrap();
    /// let found = MpmcRing::<u64>::open(&name)?;
    /// assert_eq!(found.try_pop(), Ok(7));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn create(name: &str, capacity: usize) -> Result<Self> {
        Self::place(Place::Named(name), capacity)
    }

    /// Opens the live ring of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound),
    /// [`Error::TypeMismatch`](crate::Error::TypeMismatch) for another kind of object or another
    /// `T`, and those of [`Region::open`].
    pub fn open(name: &str) -> Result<Self> {
        let object = Object::open(name, Kind::Mpmc, Element::of::<T>())?;
        Ok(MpmcRing { inner: Ring::on(object)? })
    }

    /// Makes a ring in `region`, beside other objects.
    ///
    /// # Errors
    ///
    /// As [`MpmcRing::new`], and [`Error::NoSpace`](crate::Error::NoSpace) when the region is full.
    pub fn new_in(region: &Region, capacity: usize) -> Result<Self> {
        Self::place(Place::In(region), capacity)
    }

    fn place(place: Place<'_>, capacity: usize) -> Result<Self> {
        let object = Mapped::<T>::create(place, capacity as u64)?;
        Ok(MpmcRing { inner: Ring::on(object)? })
    }

    /// Pushes one value.
    ///
    /// Lock-free. When it returns `Ok` the value is in the ring, also if this process dies next.
    ///
    /// # Errors
    ///
    /// [`TryPushError`], with the value: `Full`, `Busy`, `Corrupt` or `Detached`.
    #[inline]
    pub fn try_push(&self, value: T) -> Result<(), TryPushError<T>> {
        self.inner.push(value).map_err(|why| TryPushError::refused(why, value))
    }

    /// Pushes as many of `values` as fit, from the first on, and returns their number: at least 1,
    /// or 0 if there are none.
    ///
    /// Lock-free, but for the copy. Slots are claimed up to 128 at once, and values in slots claimed
    /// at once follow each other without any of other producers in between. They appear one by one:
    /// of a process that dies in this call, the first few may be in the ring.
    ///
    /// # Errors
    ///
    /// As [`MpmcRing::try_push`]; then nothing was pushed.
    ///
    /// ```
    /// let ring = shmkit::ring::mpmc::<u32>(3)?;
    /// assert_eq!(ring.try_push_slice(&[1, 2, 3, 4]), Ok(3));
    /// let mut out = [0; 8];
    /// assert_eq!(ring.try_pop_slice(&mut out), Ok(3));
    /// assert_eq!(out[..3], [1, 2, 3]);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    #[inline]
    pub fn try_push_slice(&self, values: &[T]) -> Result<usize, TryPushError<()>> {
        self.inner.push_slice(values).map_err(|why| TryPushError::refused(why, ()))
    }

    /// Lends a free slot to be written in place.
    ///
    /// Lock-free. The slot holds what it held before. Consumers that come to it are `Busy` until it
    /// is committed or dropped, so do not keep it for long, and never forget it.
    ///
    /// # Errors
    ///
    /// As [`MpmcRing::try_push`].
    ///
    /// ```
    /// let ring = shmkit::ring::mpmc::<[u32; 2]>(4)?;
    /// let mut slot = ring.try_reserve().unwrap();
    /// *slot = [5, 6];
    /// slot.commit();
    /// assert_eq!(ring.try_pop(), Ok([5, 6]));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    #[inline]
    pub fn try_reserve(&self) -> Result<ReservedSlot<'_, T>, TryPushError<()>> {
        let inner = self.inner.reserve().map_err(|why| TryPushError::refused(why, ()))?;
        Ok(ReservedSlot { inner })
    }

    /// Pops a value: the oldest, or one that was given back.
    ///
    /// Lock-free. If a process is killed in this call, the value is still there, or goes with it;
    /// if it is killed after it, the value goes with it. [`MpmcRing::try_lease`] keeps the value
    /// until it was dealt with.
    ///
    /// # Errors
    ///
    /// [`TryPopError`]: `Empty`, `Busy`, `Corrupt` or `Detached`.
    #[inline]
    pub fn try_pop(&self) -> Result<T, TryPopError> {
        Ok(self.inner.pop()?)
    }

    /// Moves the oldest values into `out` and returns their number: at least 1, or 0 if `out` is
    /// empty.
    ///
    /// Lock-free, but for the copy. Slots are claimed up to 128 at once.
    ///
    /// # Errors
    ///
    /// As [`MpmcRing::try_pop`]; then `out` is untouched.
    #[inline]
    pub fn try_pop_slice(&self, out: &mut [T]) -> Result<usize, TryPopError> {
        Ok(self.inner.pop_slice(out)?)
    }

    /// Lends the oldest value, or one that was given back, to be read in place: nobody else gets it
    /// until this process drops it or dies.
    ///
    /// Lock-free. The slot is in use until then: when the producers have come round to it, they find
    /// the ring `Busy`, or `Full` once the value was given back.
    ///
    /// # Errors
    ///
    /// As [`MpmcRing::try_pop`].
    ///
    /// ```
    /// let ring = shmkit::ring::mpmc::<u32>(4)?;
    /// ring.try_push(5).unwrap();
    /// drop(ring.try_lease().unwrap());
    /// let again = ring.try_lease().unwrap();
    /// assert!(*again == 5 && again.is_redelivered());
    /// again.release();
    /// assert!(ring.is_empty());
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    #[inline]
    pub fn try_lease(&self) -> Result<LeasedValue<'_, T>, TryPopError> {
        Ok(LeasedValue { inner: self.inner.lease()? })
    }

    /// Takes back what processes that have died had claimed, and returns how many slots that were:
    /// values not yet pushed are gone, values not yet popped are there again.
    ///
    /// Any number of processes may call this at once. It looks at each slot, and asks the kernel
    /// about each process that is in the middle of an operation: about a microsecond each. To be
    /// called when an operation has been `Busy`, or `Empty`, for longer than a moment; one that is
    /// refused thousands of times calls it by itself.
    ///
    /// ```
    /// let ring = shmkit::ring::mpmc::<u32>(4)?;
    /// assert_eq!(ring.recover(), 0);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn recover(&self) -> usize {
        self.inner.recover()
    }

    /// Values in the ring, those that are just being pushed included. May go stale at once; exact
    /// while nobody pushes or pops.
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether nothing is to be popped. May go stale at once; exact while nobody pushes or pops.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether [`MpmcRing::try_push`] would find the ring full. A reserved slot that was dropped
    /// counts until its turn has come, and a value that was given back keeps its slot. May go stale
    /// at once; exact while nobody pushes or pops.
    pub fn is_full(&self) -> bool {
        self.inner.is_full()
    }

    /// The values that are in turn at most. Where that is no power of two, values that were given
    /// back may be there besides.
    pub fn capacity(&self) -> usize {
        self.inner.capacity()
    }
}

impl<T: Pod> Clone for MpmcRing<T> {
    fn clone(&self) -> Self {
        MpmcRing { inner: self.inner.clone() }
    }
}

/// A free slot of a ring, lent for writing. Dropped without [`ReservedSlot::commit`]: nothing was
/// pushed.
///
/// In a forked child, an inherited one does nothing: it is the parent's.
pub struct ReservedSlot<'a, T: Pod> {
    inner: Reserved<'a, Mapped<T>>,
}

impl<T: Pod> ReservedSlot<'_, T> {
    /// Pushes what is in the slot.
    #[inline]
    pub fn commit(self) {
        self.inner.commit();
    }
}

impl<T: Pod> Deref for ReservedSlot<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: Pod> DerefMut for ReservedSlot<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

/// A value of a ring, lent for reading. Dropped without [`LeasedValue::release`]: it goes back into
/// the ring, and somebody else gets it, perhaps out of turn. The same happens if this process dies.
///
/// In a forked child, an inherited one does nothing: it is the parent's.
pub struct LeasedValue<'a, T: Pod> {
    inner: Leased<'a, Mapped<T>>,
}

impl<T: Pod> LeasedValue<'_, T> {
    /// Pops the value.
    #[inline]
    pub fn release(self) {
        self.inner.release();
    }

    /// Whether the value was lent before, and given back or left by a consumer that died.
    pub fn is_redelivered(&self) -> bool {
        self.inner.is_redelivered()
    }
}

impl<T: Pod> Deref for LeasedValue<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: Pod> fmt::Debug for MpmcRing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MpmcRing")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for ReservedSlot<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReservedSlot").field(&**self).finish()
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for LeasedValue<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LeasedValue").field(&**self).finish()
    }
}

crate::region::passed_by_handle!(MpmcRing in Ring, Mpmc);
