//! `Event`: a flag that processes wait for.

use crate::error::Result;
use crate::lock::awaited::Awaited;
use crate::lock::deadline::Deadline;
use crate::lock::gate::{Gate, Moment};
use crate::lock::many::{Bell, Memory};
use crate::region::{Address, Kind, Place, Region};
use std::fmt;
use std::time::Duration;

/// A flag between processes and threads: one sets it, the others wait for it.
///
/// Any number of processes and threads may use one event at once; clones are handles to the same
/// event. An event is clear at first.
///
/// A [`set`](Event::set) lets everybody go on who is waiting, even if a [`clear`](Event::clear)
/// follows at once: a pulse is missed by nobody. What the setter wrote before is visible to those
/// who went on.
///
/// `set`, `clear` and `is_set` may be called in signal handlers. Killing any user at any instruction
/// harms nobody: nobody is registered, and there is nothing to clean up.
///
/// An event made by [`Event::new`] takes one page of memory and one descriptor in each process that
/// uses it; [`Event::new_in`] packs many into one region, at 16 bytes each.
///
/// ```
/// use shmkit::Event;
///
/// let ready = Event::new()?;
/// let other = ready.clone(); // in another thread, or passed to another process
/// let waiter = std::thread::spawn(move || other.wait());
/// ready.set();
/// waiter.join().unwrap();
/// assert!(ready.is_set());
/// # Ok::<(), shmkit::Error>(())
/// ```
#[derive(Clone)]
pub struct Event {
    inner: Awaited<Gate>,
}

impl Event {
    /// Makes a clear event in a region of its own, without a name.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`](crate::Error::NoMemory), [`Error::Os`](crate::Error::Os).
    pub fn new() -> Result<Event> {
        Event::place(Place::Anonymous)
    }

    /// Makes a clear event that unrelated processes of the same user find by `name`.
    ///
    /// # Errors
    ///
    /// As [`Event::new`]; [`Error::Exists`](crate::Error::Exists) when a live object has the name,
    /// [`Error::InvalidName`](crate::Error::InvalidName),
    /// [`Error::NoSpace`](crate::Error::NoSpace).
    ///
    /// ```
    /// # let name = format!("doc.event.{}", std::process::id());
    /// use shmkit::Event;
    ///
    /// let made = Event::create(&name)?;
    /// Event::open(&name)?.set();
    /// assert!(made.is_set());
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn create(name: &str) -> Result<Event> {
        Event::place(Place::Named(name))
    }

    /// Opens the live event of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound),
    /// [`Error::TypeMismatch`](crate::Error::TypeMismatch) for another kind of object, and those of
    /// [`Region::open`].
    pub fn open(name: &str) -> Result<Event> {
        Ok(Event { inner: Awaited::open(name, Kind::Event)? })
    }

    /// Makes a clear event in `region`, beside other objects.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`](crate::Error::NoSpace) when the region is full,
    /// [`Error::NoMemory`](crate::Error::NoMemory).
    pub fn new_in(region: &Region) -> Result<Event> {
        Event::place(Place::In(region))
    }

    #[doc(hidden)]
    pub fn find(at: Address<'_>) -> Result<Event> {
        Ok(Event { inner: Awaited::open(at, Kind::Event)? })
    }

    #[doc(hidden)]
    pub fn place(place: Place<'_>) -> Result<Event> {
        Ok(Event { inner: Awaited::create(place, Kind::Event, &[])? })
    }

    /// Sets the event and lets everybody go on who waits for it. Never blocks.
    ///
    /// Async-signal-safe: one atomic operation, a wake-up by `futex(2)` if somebody may be asleep, and
    /// a `pwrite(2)` if somebody may be in [`wait`](crate::wait()); no lock, no allocation, and `errno` is
    /// left alone. A handler may interrupt any call on the same event.
    #[inline]
    pub fn set(&self) {
        self.inner.set(|| self.inner.object().ring());
    }

    /// Clears the event: who waits from now on waits for the next [`set`](Event::set). Never blocks.
    #[inline]
    pub fn clear(&self) {
        self.inner.clear();
    }

    /// Whether the event is set, now; this is the `try_` form of [`wait`](Event::wait).
    #[inline]
    pub fn is_set(&self) -> bool {
        self.inner.is_set()
    }

    /// Waits until the event is set, or has been set since the call.
    ///
    /// Returns at once while it is set; otherwise spins for a moment if that has paid lately, and
    /// then sleeps in the kernel. A signal does not end the wait, unless its handler sets the event.
    pub fn wait(&self) {
        self.inner.wait(self.inner.spin(), Deadline::Never);
    }

    /// Waits as [`wait`](Event::wait) does, at most `timeout`, and says whether the event was set.
    ///
    /// ```
    /// use shmkit::Event;
    /// use std::time::Duration;
    ///
    /// let event = Event::new()?;
    /// assert!(!event.wait_timeout(Duration::from_millis(1)));
    /// event.set();
    /// assert!(event.wait_timeout(Duration::from_millis(1)));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    #[must_use = "false means that the time has passed"]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.inner.wait(self.inner.spin(), Deadline::after(timeout))
    }
}

/// Somebody who waits for an event and for other things, since `came`.
struct Waiter<'a> {
    event: &'a Event,
    came: Moment,
}

impl Event {
    /// This event as one of several things to wait for, from now on.
    pub(crate) fn awaited(&self) -> impl Memory + '_ {
        Waiter { event: self, came: self.inner.now() }
    }
}

impl Memory for Waiter<'_> {
    fn is_ready(&self) -> bool {
        self.event.inner.is_past(self.came)
    }

    fn bell(&self) -> Bell<'_> {
        Bell::Region(self.event.inner.object())
    }

    fn arm(&self) -> bool {
        self.event.inner.arm();
        true
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("is_set", &self.is_set()).finish()
    }
}

crate::region::passed_by_handle!(for Event in Awaited, Event);
