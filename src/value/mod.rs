//! `Value<T>`: one value that processes share, with a lock or without one.

mod arithmetic;
mod raw;

pub use raw::RawValue;

use crate::error::Result;
use crate::lock::cell::Integer;
use crate::lock::deadline::Deadline;
use crate::lock::error::LockError;
use crate::lock::guarded::{Guarded, LockGuard};
use crate::region::{Kind, Place, Region};
use arithmetic::arithmetic;
use bytemuck::Pod;
use std::fmt;
use std::time::Duration;

/// One value that processes and threads share: read it whole at any time, change it under its lock.
///
/// Any number of processes and threads may use one value at once; clones are handles to the same
/// value. A read is never torn and never waits: up to eight bytes are one atomic load, more are
/// read again if a new value was published in between. Integers also have lock-free arithmetic.
///
/// Killing a process at any instruction leaves the last published value, and the next one to
/// change it is told once by [`LockError::OwnerDied`].
///
/// ```
/// use shmkit::Value;
///
/// let best = Value::new(0.0f64)?;
/// best.update(|b| *b = b.max(0.7))?;
/// assert_eq!(best.get(), 0.7);
///
/// let hits = Value::new(0u32)?;
/// std::thread::scope(|s| {
///     for _ in 0..4 {
///         s.spawn(|| hits.fetch_add(1));
///     }
/// });
/// assert_eq!(hits.get(), 4);
/// # Ok::<(), shmkit::Error>(())
/// ```
///
/// Where neither lock nor report of a death is wanted, there is [`RawValue`]. A value is passed by
/// copies on the stack, of which a program built without optimization makes dozens: for more than
/// some kilobytes take an [`Array`](crate::Array).
///
/// # Types
///
/// `T` is any plain data: numbers, arrays of them, and structs that derive [`Pod`](crate::Pod). Who
/// comes from Python's `multiprocessing` writes its type codes so, here and for an
/// [`Array`](crate::Array):
///
/// | code | C type | `T` | | code | C type | `T` |
/// |---|---|---|---|---|---|---|
/// | `c` | `char` | `u8` | | `l` | `long` | `i64` ([`c_long`](std::ffi::c_long)) |
/// | `u` | `wchar_t` | `u32`, of a `char` | | `L` | `unsigned long` | `u64` ([`c_ulong`](std::ffi::c_ulong)) |
/// | `b` | `signed char` | `i8` | | `q` | `long long` | `i64` |
/// | `B` | `unsigned char` | `u8` | | `Q` | `unsigned long long` | `u64` |
/// | `h` | `short` | `i16` | | `f` | `float` | `f32` |
/// | `H` | `unsigned short` | `u16` | | `d` | `double` | `f64` |
/// | `i` | `int` | `i32` | | | | |
/// | `I` | `unsigned int` | `u32` | | | | |
///
/// `Value(code, x)` is `Value::new(x)`; `v.value` is [`get`](Value::get) and [`set`](Value::set);
/// `with v.get_lock(): v.value += 1` is [`update`](Value::update), or for integers
/// [`fetch_add`](Value::fetch_add); `v.get_obj()` is [`get`](Value::get), which needs no lock;
/// `Value(code, x, lock=False)` is [`RawValue`]. A number that does not fit its type does not
/// compile, where Python drops its upper bits.
///
/// ```
/// use shmkit::{Pod, Value, Zeroable};
///
/// #[derive(Clone, Copy, Pod, Zeroable)]
/// #[bytemuck(crate = "shmkit")]
/// #[repr(C)]
/// struct Point {
///     x: f64,
///     y: f64,
/// }
///
/// let point = Value::new(Point { x: 1.0, y: 2.0 })?;
/// point.update(|p| p.x *= 2.0)?;
/// assert_eq!(point.get().x, 2.0);
/// # Ok::<(), shmkit::Error>(())
/// ```
pub struct Value<T> {
    inner: Guarded<T>,
}

impl<T: Pod> Value<T> {
    /// Makes a value in a region of its own, without a name: one page of memory, and one
    /// descriptor in each process that uses it.
    ///
    /// # Errors
    ///
    /// [`Error::NoMemory`](crate::Error::NoMemory), [`Error::Os`](crate::Error::Os).
    pub fn new(value: T) -> Result<Value<T>> {
        Self::place(Place::Anonymous, value)
    }

    /// Makes a value that unrelated processes of the same user find by `name`.
    ///
    /// # Errors
    ///
    /// As [`Value::new`]; [`Error::Exists`](crate::Error::Exists) when a live object has the name,
    /// [`Error::InvalidName`](crate::Error::InvalidName),
    /// [`Error::NoSpace`](crate::Error::NoSpace).
    pub fn create(name: &str, value: T) -> Result<Value<T>> {
        Self::place(Place::Named(name), value)
    }

    /// Opens the live value of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`](crate::Error::NotFound),
    /// [`Error::TypeMismatch`](crate::Error::TypeMismatch) for another kind of object or another
    /// `T`, and those of [`Region::open`].
    ///
    /// ```
    /// # let name = format!("doc.value.{}", std::process::id());
    /// use shmkit::{Error, Value};
    ///
    /// let made = Value::create(&name, 7u64)?;
    /// assert_eq!(Value::<u64>::open(&name)?.get(), 7);
    /// assert!(matches!(Value::<i64>::open(&name), Err(Error::TypeMismatch { .. })));
    /// # drop(made);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn open(name: &str) -> Result<Value<T>> {
        Ok(Value { inner: Guarded::open(name, Kind::Value)? })
    }

    /// Makes a value in `region`, beside other objects.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`](crate::Error::NoSpace) when the region is full,
    /// [`Error::NoMemory`](crate::Error::NoMemory).
    pub fn new_in(region: &Region, value: T) -> Result<Value<T>> {
        Self::place(Place::In(region), value)
    }

    pub(crate) fn place(place: Place<'_>, value: T) -> Result<Value<T>> {
        Ok(Value { inner: Guarded::create(place, Kind::Value, value)? })
    }

    /// The value last published. Never torn, never blocks.
    ///
    /// Wait-free up to eight bytes, lock-free beyond. Does not need the lock: it may be called
    /// while a guard is held, and then still sees the value from before the edit.
    #[inline]
    pub fn get(&self) -> T {
        self.inner.cell().read()
    }

    /// Replaces the value, under its lock. Waits as long as somebody alive holds that.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`] if the last one to change the value died on the way: the value is as
    /// it was published before, and *this* change was not made; call again to make it.
    /// [`LockError::WouldDeadlock`] if this thread holds the guard.
    #[inline]
    pub fn set(&self, value: T) -> Result<(), LockError<()>> {
        self.update(|current| *current = value)
    }

    /// Changes the value by `f` under its lock, atomically for everybody, and returns what `f`
    /// returns. Waits as long as somebody alive holds the lock.
    ///
    /// `f` edits a private copy, which is published when it returns. If `f` panics the value stays,
    /// and the next change is told as if this process had died.
    ///
    /// # Errors
    ///
    /// As [`Value::set`].
    pub fn update<R>(&self, f: impl FnOnce(&mut T) -> R) -> Result<R, LockError<()>> {
        match self.lock() {
            Ok(mut guard) => Ok(f(&mut guard)),
            Err(LockError::OwnerDied(died)) => {
                // A published value is always whole: telling is all that a death calls for.
                Err(LockError::OwnerDied(died.told()))
            }
            Err(other) => Err(other.without_guard()),
        }
    }

    /// Takes the value's lock, for a change of several steps.
    ///
    /// # Errors
    ///
    /// [`LockError::OwnerDied`], holding the lock; [`LockError::WouldDeadlock`].
    pub fn lock(&self) -> Result<LockGuard<'_, T>, LockError<LockGuard<'_, T>>> {
        self.inner.lock(Deadline::Never)
    }

    /// Takes the value's lock if it is free. Does not wait.
    ///
    /// # Errors
    ///
    /// As [`Value::lock`]; [`LockError::WouldBlock`].
    pub fn try_lock(&self) -> Result<LockGuard<'_, T>, LockError<LockGuard<'_, T>>> {
        self.inner.lock(Deadline::Now)
    }

    /// Takes the value's lock, waiting at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Value::lock`]; [`LockError::Timeout`], or [`LockError::WouldBlock`] if `timeout` is
    /// zero.
    pub fn lock_timeout(
        &self,
        timeout: Duration,
    ) -> Result<LockGuard<'_, T>, LockError<LockGuard<'_, T>>> {
        self.inner.lock(Deadline::after(timeout))
    }
}

arithmetic! {
    /// Lock-free arithmetic, atomic for everybody, without the value's lock.
    ///
    /// A change under the lock ([`Value::set`], [`Value::update`], a guard) that overlaps one of
    /// these replaces the whole value, theirs included: use one or the other for a value.
    ///
    /// ```
    /// let highest = shmkit::Value::new(3u32)?;
    /// assert_eq!(highest.fetch_max(5), 3);
    /// assert_eq!(highest.compare_exchange(5, 6), Ok(5));
    /// assert_eq!(highest.get(), 6);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    Value
}

impl<T> Clone for Value<T> {
    fn clone(&self) -> Value<T> {
        Value { inner: self.inner.clone() }
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for Value<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Value").field(&self.get()).finish()
    }
}

crate::region::passed_by_handle!(Value in Guarded, Value);
