//! `Semaphore` and `BoundedSemaphore`: permits that outlive no holder.

use crate::error::Result;
use crate::lock::deadline::Deadline;
use crate::lock::permits::{AcquireError, OverRelease, Permit, Permits};
use crate::lock::semaphore::MAX;
use crate::region::{Kind, Place, Region};
use std::fmt;
use std::time::Duration;

/// What both kinds have in common; `$bound` is the bound of one made with `permits`.
macro_rules! semaphore {
    ($name:ident, $bound:expr, $what:literal, $($page:tt)*) => {
        $($page)*
        #[derive(Clone)]
        pub struct $name {
            inner: Permits,
        }

        impl $name {
            #[doc = concat!("Makes a ", $what, " in a region of its own, without a name.")]
            ///
            /// # Errors
            ///
            /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for more permits than a
            /// semaphore can have, [`Error::NoMemory`](crate::Error::NoMemory),
            /// [`Error::Os`](crate::Error::Os).
            pub fn new(permits: u32) -> Result<$name> {
                Self::place(Place::Anonymous, permits)
            }

            #[doc = concat!("Makes a ", $what, " that unrelated processes of the same user find by `name`.")]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($name), "::new`];")]
            /// [`Error::Exists`](crate::Error::Exists) when a live object has the name,
            /// [`Error::InvalidName`](crate::Error::InvalidName),
            /// [`Error::NoSpace`](crate::Error::NoSpace).
            pub fn create(name: &str, permits: u32) -> Result<$name> {
                Self::place(Place::Named(name), permits)
            }

            #[doc = concat!("Opens the live ", $what, " of this name.")]
            ///
            /// # Errors
            ///
            /// [`Error::NotFound`](crate::Error::NotFound),
            /// [`Error::TypeMismatch`](crate::Error::TypeMismatch) for another kind of object, and
            /// those of [`Region::open`].
            pub fn open(name: &str) -> Result<$name> {
                Ok($name { inner: Permits::open(name, Kind::$name)? })
            }

            #[doc = concat!("Makes a ", $what, " in `region`, beside other objects.")]
            ///
            /// # Errors
            ///
            /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) as above,
            /// [`Error::NoSpace`](crate::Error::NoSpace) when the region is full,
            /// [`Error::NoMemory`](crate::Error::NoMemory).
            pub fn new_in(region: &Region, permits: u32) -> Result<$name> {
                Self::place(Place::In(region), permits)
            }

            pub(crate) fn place(place: Place<'_>, permits: u32) -> Result<$name> {
                let bound: fn(u32) -> u32 = $bound;
                Ok($name { inner: Permits::create(place, Kind::$name, permits, bound(permits))? })
            }

            /// Acquires a permit, waiting as long as it takes.
            ///
            /// Any number of threads and processes may call this at once.
            ///
            /// # Errors
            ///
            /// [`AcquireError::Os`], in a forked child on its first use only.
            #[inline]
            pub fn acquire(&self) -> Result<Permit<'_>, AcquireError> {
                self.inner.acquire(Deadline::Never)
            }

            /// Acquires a permit if there is one, or if a dead process holds one. Does not wait.
            ///
            /// While there is a permit this is as cheap as [`acquire`](Self::acquire); where there is
            /// none, it takes about a microsecond for each process that holds some.
            ///
            /// # Errors
            ///
            /// [`AcquireError::WouldBlock`] when the living hold them all; otherwise as
            /// [`acquire`](Self::acquire).
            #[inline]
            pub fn try_acquire(&self) -> Result<Permit<'_>, AcquireError> {
                self.inner.acquire(Deadline::Now)
            }

            /// Acquires a permit, waiting at most `timeout`.
            ///
            /// # Errors
            ///
            /// [`AcquireError::Timeout`] once `timeout` has passed, or
            /// [`AcquireError::WouldBlock`] if it is zero; otherwise as [`acquire`](Self::acquire).
            pub fn acquire_timeout(&self, timeout: Duration) -> Result<Permit<'_>, AcquireError> {
                self.inner.acquire(Deadline::after(timeout))
            }

            /// Adds `n` permits that nobody has to have acquired, and wakes as many waiters. Any
            /// process may do so at any time.
            ///
            /// This is how a semaphore is used as a signal, and how permits come back that
            /// [`Permit::forget`] handed off. A [`Permit`] that lives gives itself back on drop: do
            /// not release for it as well. Never blocks; enters the kernel only if somebody may be
            /// asleep. What a process has released stays when it dies.
            ///
            /// # Errors
            ///
            /// [`OverRelease`], with nothing changed, if there would be more permits than
            /// [`bound`](Self::bound) says.
            pub fn release(&self, n: u32) -> Result<(), OverRelease> {
                self.inner.release(n)
            }

            /// The number of permits to be had at this moment: exact, and stale at once if others
            /// acquire or release.
            ///
            /// One load. Permits of the dead count again once somebody has asked for a permit
            /// in vain, which is when they come back.
            pub fn value(&self) -> u32 {
                self.inner.value()
            }

            /// The most permits that there can be.
            pub fn bound(&self) -> u32 {
                self.inner.bound()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = f.debug_struct(stringify!($name));
                text.field("value", &self.value()).field("bound", &self.bound()).finish()
            }
        }

        crate::region::passed_by_handle!(for $name in Permits, $name);
    };
}

semaphore! {
    Semaphore, |_| MAX, "semaphore",
    /// A number of permits that processes and threads share.
    ///
    /// Used in two ways, also at once. *Guarding a resource*: [`acquire`](Semaphore::acquire) lends a
    /// [`Permit`], which gives itself back on drop; when its process dies, at whatever
    /// instruction, the permit comes back as soon as somebody wants it. *Signalling*:
    /// [`release`](Semaphore::release) adds permits that nobody had, from any process, and
    /// [`Permit::forget`] uses them up.
    ///
    /// Any number of processes and threads may use one semaphore at once; clones are handles to
    /// the same one. At most 2^31 - 1 permits. Whoever comes by takes a free permit, which is fast;
    /// but who has waited for long goes first, so that nobody starves.
    ///
    /// One made by [`Semaphore::new`] takes two pages of memory and one descriptor in each process
    /// that uses it; [`Semaphore::new_in`] packs many into one region, at 16 bytes for each
    /// participant that the region can have.
    ///
    /// ```
    /// use shmkit::Semaphore;
    ///
    /// let seats = Semaphore::new(2)?;
    /// let first = seats.acquire()?;
    /// let second = seats.acquire()?;
    /// assert!(seats.try_acquire().is_err());
    /// drop(first);
    /// assert_eq!(seats.value(), 1);
    /// # drop(second);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
}

semaphore! {
    BoundedSemaphore, |permits| permits, "bounded semaphore",
    /// A [`Semaphore`] that never has more permits than it was made with.
    ///
    /// [`release`](BoundedSemaphore::release) is refused, atomically, exactly when it would lead
    /// beyond that: a bug found where it is made. The drop of a [`Permit`] cannot fail: where a
    /// release too many has filled its place already, it adds nothing.
    ///
    /// ```
    /// use shmkit::BoundedSemaphore;
    ///
    /// let seats = BoundedSemaphore::new(2)?;
    /// seats.acquire()?.forget();
    /// seats.release(1)?;
    /// assert!(seats.release(1).is_err());
    /// assert_eq!(seats.value(), 2);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
}
