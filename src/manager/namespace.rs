//! `Namespace`: named values of any types, which processes share.
//!
//! A value is kept with the name of its type before it: length (u32, little-endian), name, value.

use super::codec::{append, decode, with_buffer};
use crate::error::{Error, Result};
use crate::heap::{Change, Container, Table};
use crate::message::Message;
use crate::region::{Element, Kind, Place, Region};
use std::any::type_name;
use std::fmt;
use std::time::Duration;

/// Named values, each of a type of its own, that processes and threads share; see
/// [`Manager::namespace`](crate::Manager::namespace).
///
/// Any number of processes and threads may use one namespace at once; clones are handles to the same
/// namespace. Each call is atomic for everybody, and a process that is killed at any instruction leaves
/// it done or not done at all.
///
/// In Python, `ns.nums[2] = 3` edits a copy and is lost without a word. That cannot be written here:
/// [`get`](Namespace::get) returns a copy, and what changes the value is [`set`](Namespace::set) or
/// [`update`](Namespace::update).
///
/// ```
/// use shmkit::{Error, Manager};
///
/// let manager = Manager::new()?;
/// let config = manager.namespace("config")?;
/// config.set("nums", vec![5, 1, 2])?;
/// config.update("nums", |nums: &mut Vec<i32>| nums[2] = 3)?;
/// assert_eq!(config.get::<Vec<i32>>("nums")?, [5, 1, 3]);
/// assert!(matches!(config.get::<String>("nums"), Err(Error::TypeMismatch { .. })));
/// assert!(matches!(config.get::<String>("name"), Err(Error::MissingKey(_))));
/// # Ok::<(), shmkit::Error>(())
/// ```
///
/// # Errors
///
/// Of every call, beside those it names: [`Error::Encode`] and [`Error::Decode`] of values,
/// [`Error::WouldDeadlock`] within an [`update`](Namespace::update) of the same namespace in the same
/// thread, [`Error::Timeout`] after [`patience`](Namespace::patience), [`Error::Corrupt`] if somebody has
/// overwritten the region, and [`Error::TooManyParticipants`] in a forked child at its first use.
pub struct Namespace {
    inner: Container<Table>,
}

impl Namespace {
    pub(super) fn at(region: &Region, key: &str) -> Result<Namespace> {
        let place = Place::Keyed(region, key);
        Ok(Namespace { inner: Container::create(place, Kind::Namespace, Element::BYTES)? })
    }

    /// A copy of the value of this name, which must be a `T`.
    ///
    /// # Errors
    ///
    /// Those of [every call](Namespace#errors); [`Error::MissingKey`], and [`Error::TypeMismatch`] if
    /// the value is of another type.
    pub fn get<T: Message>(&self, name: &str) -> Result<T> {
        with_buffer(|bytes| match self.inner.get(name.as_bytes(), bytes)? {
            true => self.decode(bytes),
            false => Err(Error::MissingKey(name.to_owned())),
        })
    }

    /// Sets the value of this name, whatever was there, of whatever type.
    ///
    /// # Errors
    ///
    /// Those of [every call](Namespace#errors); [`Error::NoSpace`] when the manager is full,
    /// [`Error::NoMemory`] when the machine is, and [`Error::TooLarge`] for a name or value of 4 GiB or
    /// more, encoded: then nothing has changed.
    pub fn set<T: Message>(&self, name: &str, value: T) -> Result<()> {
        let bytes = self.encode(&value)?;
        self.inner.set(name.as_bytes(), &bytes, None).map(drop)
    }

    /// Changes the value of this name, which must be a `T`, by `f`, atomically for everybody, and
    /// returns what `f` returns.
    ///
    /// `f` runs alone: everybody else waits for it, so it should be short, and it must not use the
    /// namespace itself. If it panics nothing has changed.
    ///
    /// An update of A within one of B, and elsewhere one of B within one of A, may wait for each other
    /// for ever: keep to one order, or have [`patience`](Namespace::patience).
    ///
    /// # Errors
    ///
    /// As [`get`](Namespace::get) and [`set`](Namespace::set), and [`Error::WrongProcess`] in a child that
    /// was forked within `f`; in each case nothing has changed.
    pub fn update<T: Message, R>(&self, name: &str, f: impl FnOnce(&mut T) -> R) -> Result<R> {
        self.inner.update(name.as_bytes(), |old| {
            let old = old.ok_or_else(|| Error::MissingKey(name.to_owned()))?;
            let mut value = self.decode(old)?;
            let result = f(&mut value);
            Ok((Change::Put(self.encode(&value)?), result))
        })
    }

    /// Removes the value of this name, and says whether there was one.
    ///
    /// # Errors
    ///
    /// Those of [every call](Namespace#errors).
    pub fn remove(&self, name: &str) -> Result<bool> {
        with_buffer(|old| self.inner.remove(name.as_bytes(), old))
    }

    /// Whether there is a value of this name.
    ///
    /// # Errors
    ///
    /// Those of [every call](Namespace#errors).
    pub fn contains(&self, name: &str) -> Result<bool> {
        self.inner.contains(name.as_bytes())
    }

    /// All names of one moment, in alphabetical order.
    ///
    /// # Errors
    ///
    /// Those of [every call](Namespace#errors).
    pub fn names(&self) -> Result<Vec<String>> {
        let names = self.inner.items(true, false)?;
        let text = |name: &[u8]| String::from_utf8(name.to_vec());
        let names: Result<Vec<_>, _> = names.iter().map(text).collect();
        let mut names = names.map_err(|e| Error::Decode(e.to_string()))?;
        names.sort_unstable();
        Ok(names)
    }

    /// Removes all, at once, and gives the memory back.
    ///
    /// # Errors
    ///
    /// Those of [every call](Namespace#errors).
    pub fn clear(&self) -> Result<()> {
        self.inner.clear()
    }

    fn encode<T: Message>(&self, value: &T) -> Result<Vec<u8>> {
        let name = type_name::<T>().as_bytes();
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
        bytes.extend_from_slice(name);
        append(self.inner.object(), value, &mut bytes)?;
        Ok(bytes)
    }

    fn decode<T: Message>(&self, bytes: &[u8]) -> Result<T> {
        let none = || Error::Corrupt("value of a namespace");
        let (len, rest) = bytes.split_first_chunk().ok_or_else(none)?;
        let len = u32::from_le_bytes(*len) as usize;
        let (name, value) = rest.split_at_checked(len).ok_or_else(none)?;
        if name != type_name::<T>().as_bytes() {
            return Err(Error::TypeMismatch {
                expected: type_name::<T>().to_owned(),
                found: String::from_utf8_lossy(name).into_owned(),
            });
        }
        decode(self.inner.object(), value)
    }
}

super::container_calls!(Namespace, "namespace");

impl Clone for Namespace {
    fn clone(&self) -> Namespace {
        Namespace { inner: self.inner.clone() }
    }
}

impl serde::Serialize for Namespace {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.inner.object().send(serializer, |_| Ok(None))
    }
}

impl<'de> serde::Deserialize<'de> for Namespace {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Namespace, D::Error> {
        Ok(Namespace { inner: super::receive(d, Kind::Namespace, Element::BYTES)? })
    }
}
