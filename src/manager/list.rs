//! `List<T>`: a list that processes share.

use super::codec::{append, decode, with_buffer, with_bytes};
use crate::error::{Error, Result};
use crate::heap::{Container, Row, Strings};
use crate::message::Message;
use crate::region::{Element, Kind, Place, Region};
use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};
use std::time::Duration;

/// A list that processes and threads share; see [`Manager::list`](crate::Manager::list).
///
/// Any number of processes and threads may use one list at once; clones are handles to the same
/// list. Readers do not keep each other waiting; a writer is alone. Each call is one change, or one
/// look at one moment: atomic for everybody. Killing a process at any instruction leaves each of its
/// calls done or not done at all.
///
/// Elements may hold handles to other objects of the same manager.
///
/// ```
/// use shmkit::{List, Manager};
///
/// let manager = Manager::new()?;
/// let names: List<String> = manager.list("names")?;
/// names.extend(["Grace".into(), "Ada".into()])?;
/// names.sort()?;
/// names.update(0, |name| name.push_str(" Lovelace"))?;
/// assert_eq!(names.snapshot()?, ["Ada Lovelace", "Grace"]);
/// # Ok::<(), shmkit::Error>(())
/// ```
///
/// # Cost
///
/// At the end, an element comes and goes in constant time on average; elsewhere
/// ([`insert`](List::insert), [`remove`](List::remove)) one word for each element is copied, as well as
/// by [`sort`](List::sort), and others wait for it. An element of up to seven bytes, encoded, takes a
/// word of eight; others a block of their own. First in, first out is what a
/// [`Queue`](crate::Queue) is for.
///
/// # Errors
///
/// Of every call, beside those it names: [`Error::Encode`] and [`Error::Decode`] of elements,
/// [`Error::WouldDeadlock`] within an [`update`](List::update) or a comparison of the same list in the
/// same thread, [`Error::Timeout`] after [`patience`](List::patience), [`Error::Corrupt`] if somebody has
/// overwritten the region, and [`Error::TooManyParticipants`] in a forked child at its first use.
/// What makes the list longer or an element larger: [`Error::NoSpace`] when the manager is full and
/// [`Error::NoMemory`] when the machine is; then nothing has changed.
pub struct List<T> {
    inner: Container<Row>,
    element: PhantomData<fn() -> T>,
}

impl<T: Message> List<T> {
    pub(super) fn at(region: &Region, key: &str) -> Result<List<T>> {
        let place = Place::Keyed(region, key);
        let inner = Container::create(place, Kind::List, Element::message::<T>())?;
        Ok(List { inner, element: PhantomData })
    }

    /// A copy of the element at `index`; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Those of [every call](List#errors).
    pub fn get(&self, index: usize) -> Result<Option<T>> {
        with_buffer(|bytes| match self.inner.get(index, bytes)? {
            true => self.decode(bytes).map(Some),
            false => Ok(None),
        })
    }

    /// Replaces the element at `index`.
    ///
    /// # Errors
    ///
    /// Those of [every call](List#errors); [`Error::OutOfRange`].
    pub fn set(&self, index: usize, element: T) -> Result<()> {
        with_bytes(self.inner.object(), &element, |bytes| self.inner.set(index, bytes))
    }

    /// Appends an element.
    ///
    /// # Errors
    ///
    /// Those of [every call](List#errors).
    pub fn push(&self, element: T) -> Result<()> {
        with_bytes(self.inner.object(), &element, |bytes| self.inner.push(bytes))
    }

    /// Removes the last element and returns it; `None` if there is none.
    ///
    /// # Errors
    ///
    /// Those of [every call](List#errors). After [`Error::Decode`] the element is removed.
    pub fn pop(&self) -> Result<Option<T>> {
        with_buffer(|bytes| match self.inner.pop(bytes)? {
            true => self.decode(bytes).map(Some),
            false => Ok(None),
        })
    }

    /// Appends all elements, as one change: nobody sees some of them without the others.
    ///
    /// # Errors
    ///
    /// Those of [every call](List#errors).
    pub fn extend(&self, elements: impl IntoIterator<Item = T>) -> Result<()> {
        let mut strings = Strings::default();
        for element in elements {
            strings.push_by(|bytes| append(self.inner.object(), &element, bytes))?;
        }
        self.inner.extend(&strings)
    }

    /// Inserts an element before the one at `index`, or at the end if `index` is the length.
    ///
    /// # Errors
    ///
    /// Those of [every call](List#errors); [`Error::OutOfRange`].
    pub fn insert(&self, index: usize, element: T) -> Result<()> {
        with_bytes(self.inner.object(), &element, |bytes| self.inner.insert(index, bytes))
    }

    /// Removes the element at `index` and returns it.
    ///
    /// # Errors
    ///
    /// Those of [every call](List#errors); [`Error::OutOfRange`]. [`Error::NoSpace`] and
    /// [`Error::NoMemory`] as well, since those behind it move to another place; then nothing has
    /// changed. After [`Error::Decode`] the element is removed.
    pub fn remove(&self, index: usize) -> Result<T> {
        with_buffer(|bytes| {
            self.inner.remove(index, bytes)?;
            self.decode(bytes)
        })
    }

    /// Changes the element at `index` by `f`, atomically for everybody, and returns what `f` returns.
    ///
    /// `f` runs alone: everybody else waits for it, so it should be short, and it must not use the
    /// list itself. If it panics nothing has changed.
    ///
    /// An update of A within one of B, and elsewhere one of B within one of A, may wait for each other
    /// for ever: keep to one order, or have [`patience`](List::patience).
    ///
    /// # Errors
    ///
    /// Those of [every call](List#errors); [`Error::OutOfRange`], and [`Error::WrongProcess`] in a child
    /// that was forked within `f`. In each case nothing has changed.
    pub fn update<R>(&self, index: usize, f: impl FnOnce(&mut T) -> R) -> Result<R> {
        self.inner.update(index, |old| {
            let mut element = self.decode(old)?;
            let result = f(&mut element);
            let mut new = Vec::new();
            append(self.inner.object(), &element, &mut new)?;
            Ok((new, result))
        })
    }

    /// Copies of the elements in `range` of one moment.
    ///
    /// # Errors
    ///
    /// Those of [every call](List#errors); [`Error::InvalidArgument`] for a range that is none,
    /// [`Error::OutOfRange`] if the list is shorter.
    ///
    /// ```
    /// # use shmkit::{List, Manager};
    /// # let manager = Manager::new()?;
    /// let list: List<u32> = manager.list("squares")?;
    /// list.extend((0..10).map(|n| n * n))?;
    /// assert_eq!(list.slice(2..5)?, [4, 9, 16]);
    /// assert_eq!(list.slice(8..)?, [64, 81]);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<Vec<T>> {
        const NONE: Error = Error::InvalidArgument("range of a list");
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(before) => before.checked_add(1).ok_or(NONE)?,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(last) => Some(last.checked_add(1).ok_or(NONE)?),
            Bound::Excluded(end) => Some(*end),
            Bound::Unbounded => None,
        };
        if end.is_some_and(|end| start > end) {
            return Err(NONE);
        }
        let (strings, len) = self.inner.slice(start..end.unwrap_or(usize::MAX))?;
        if end.unwrap_or(start) > len {
            let index = end.map_or(start, |end| end - 1);
            return Err(Error::OutOfRange { index, len });
        }
        strings.iter().map(|bytes| self.decode(bytes)).collect()
    }

    /// Copies of all elements of one moment.
    ///
    /// # Errors
    ///
    /// Those of [every call](List#errors).
    pub fn snapshot(&self) -> Result<Vec<T>> {
        self.inner.slice(0..usize::MAX)?.0.iter().map(|bytes| self.decode(bytes)).collect()
    }

    /// Sorts the list, as one change; equal elements keep their order.
    ///
    /// # Errors
    ///
    /// Those of [every call](List#errors), and [`Error::WrongProcess`] in a child that was forked within
    /// a comparison; in each case nothing has changed.
    pub fn sort(&self) -> Result<()>
    where
        T: Ord,
    {
        self.sort_by(T::cmp)
    }

    /// Sorts the list by a comparison, which runs while everybody else waits.
    ///
    /// # Errors
    ///
    /// As [`sort`](List::sort).
    pub fn sort_by(&self, compare: impl Fn(&T, &T) -> Ordering) -> Result<()> {
        self.inner.reorder(|strings| {
            let elements: Result<Vec<T>> = strings.iter().map(|bytes| self.decode(bytes)).collect();
            let elements = elements?;
            let mut order: Vec<usize> = (0..elements.len()).collect();
            order.sort_by(|a, b| compare(&elements[*a], &elements[*b]));
            Ok(order)
        })
    }

    /// Removes all, at once, and gives the memory back.
    ///
    /// # Errors
    ///
    /// Those of [every call](List#errors).
    pub fn clear(&self) -> Result<()> {
        self.inner.clear()
    }

    fn decode(&self, bytes: &[u8]) -> Result<T> {
        decode(self.inner.object(), bytes)
    }
}

super::container_calls!(List<T>, "list");

impl<T> Clone for List<T> {
    fn clone(&self) -> List<T> {
        List { inner: self.inner.clone(), element: PhantomData }
    }
}

impl<T> serde::Serialize for List<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.inner.object().send(serializer, |_| Ok(None))
    }
}

impl<'de, T> serde::Deserialize<'de> for List<T> {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<List<T>, D::Error> {
        let inner = super::receive(d, Kind::List, Element::message::<T>())?;
        Ok(List { inner, element: PhantomData })
    }
}
