//! `Dict<K, V>`: a map that processes share.

use super::codec::{decode, with_buffer, with_bytes};
use crate::error::Result;
use crate::heap::{Change, Container, Table};
use crate::message::Message;
use crate::region::{Element, Kind, Place, Region};
use serde::Serialize;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::time::Duration;

/// A map from keys to values that processes and threads share; see [`Manager::dict`](crate::Manager::dict).
///
/// Any number of processes and threads may use one dict at once; clones are handles to the same
/// dict. Readers do not keep each other waiting; a writer is alone. Each call is one change, or one
/// look at one moment: atomic for everybody. A value that is got is a copy; to change the one in the
/// dict, say so: [`update`](Dict::update) is the whole of read, change and write.
///
/// Killing a process at any instruction leaves each of its calls done or not done at all, and the
/// next call by anybody puts in order what it left. Nothing is told: there is nothing to repair.
///
/// Keys are the same if serde writes the same bytes for them. A key may be borrowed, as `&str` for a
/// `String`, if serde writes both alike (an array and a slice it does not).
///
/// Values may hold handles to other objects of the same manager: a dict of lists is a
/// `Dict<String, List<u64>>`.
///
/// ```
/// use shmkit::{Dict, Manager};
///
/// let manager = Manager::new()?;
/// let ages: Dict<String, u32> = manager.dict("ages")?;
/// assert_eq!(ages.insert("Ada".into(), 36)?, None);
/// ages.update("Ada", |age| *age.get_or_insert(0) += 1)?;
/// assert_eq!(ages.get("Ada")?, Some(37));
/// assert_eq!(ages.remove("Ada")?, Some(37));
/// # Ok::<(), shmkit::Error>(())
/// ```
///
/// # Cost
///
/// A value of up to eight bytes is replaced in place, by one word; a longer one goes into a new block.
/// The table doubles as it grows, which takes the one call that does it a time that grows with the
/// dict, and keeps others waiting as long; so do [`keys`](Dict::keys), [`values`](Dict::values),
/// [`items`](Dict::items), [`snapshot`](Dict::snapshot) and [`clear`](Dict::clear), the first four
/// only writers and for as long as the bytes are copied: they are decoded after that.
///
/// # Errors
///
/// Of every call, beside those it names: [`Error::Encode`](crate::Error::Encode) and
/// [`Error::Decode`](crate::Error::Decode) of keys and values,
/// [`Error::WouldDeadlock`](crate::Error::WouldDeadlock) within an [`update`](Dict::update) of the
/// same dict in the same thread, [`Error::Timeout`](crate::Error::Timeout) after
/// [`patience`](Dict::patience), [`Error::Corrupt`](crate::Error::Corrupt) if somebody has overwritten
/// the region, and [`Error::TooManyParticipants`](crate::Error::TooManyParticipants) in a forked child
/// at its first use.
pub struct Dict<K, V> {
    inner: Container<Table>,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Message, V: Message> Dict<K, V> {
    pub(super) fn at(region: &Region, key: &str) -> Result<Dict<K, V>> {
        let element = Element::message::<(K, V)>();
        let inner = Container::create(Place::Keyed(region, key), Kind::Dict, element)?;
        Ok(Dict { inner, types: PhantomData })
    }

    /// A copy of the value of `key`.
    ///
    /// Waits while a living process writes; readers do not wait for each other.
    ///
    /// # Errors
    ///
    /// Those of [every call](Dict#errors).
    #[inline]
    pub fn get<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>>
    where
        K: Borrow<Q>,
    {
        self.with_key(key, |key| {
            with_buffer(|value| match self.inner.get(key, value)? {
                true => self.decode(value).map(Some),
                false => Ok(None),
            })
        })
    }

    /// Sets the value of `key`, and returns the one before.
    ///
    /// # Errors
    ///
    /// Those of [every call](Dict#errors); [`Error::NoSpace`](crate::Error::NoSpace) when the manager
    /// is full, [`Error::NoMemory`](crate::Error::NoMemory) when the machine is, and
    /// [`Error::TooLarge`](crate::Error::TooLarge) for a key or value of 4 GiB or more, encoded: then
    /// nothing has changed. After [`Error::Decode`](crate::Error::Decode), of the value before, the new
    /// one is there.
    pub fn insert(&self, key: K, value: V) -> Result<Option<V>> {
        self.with_key(&key, |key| {
            with_bytes(self.inner.object(), &value, |value| {
                let mut old = Vec::new();
                match self.inner.set(key, value, Some(&mut old))? {
                    true => self.decode(&old).map(Some),
                    false => Ok(None),
                }
            })
        })
    }

    /// Sets the value of `key`: as [`insert`](Dict::insert), but does not look at the value before.
    ///
    /// # Errors
    ///
    /// As [`insert`](Dict::insert).
    #[inline]
    pub fn set<Q: Serialize + ?Sized>(&self, key: &Q, value: &V) -> Result<()>
    where
        K: Borrow<Q>,
    {
        self.with_key(key, |key| {
            with_bytes(self.inner.object(), value, |value| {
                self.inner.set(key, value, None).map(drop)
            })
        })
    }

    /// Removes `key`, and returns its value.
    ///
    /// # Errors
    ///
    /// Those of [every call](Dict#errors). After [`Error::Decode`](crate::Error::Decode), of the value,
    /// it is removed.
    pub fn remove<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>>
    where
        K: Borrow<Q>,
    {
        self.with_key(key, |key| {
            with_buffer(|old| match self.inner.remove(key, old)? {
                true => self.decode(old).map(Some),
                false => Ok(None),
            })
        })
    }

    /// Changes the value of `key` by `f`, atomically for everybody, and returns what `f` returns.
    ///
    /// `f` gets the value, or `None` if there is none, and leaves what is to be there. It runs alone:
    /// everybody else waits for it, so it should be short, and it must not use the dict itself. If it
    /// panics nothing has changed.
    ///
    /// An update of A within one of B, and elsewhere one of B within one of A, may wait for each other
    /// for ever: keep to one order, or have [`patience`](Dict::patience).
    ///
    /// ```
    /// # use shmkit::{Dict, Manager};
    /// # let manager = Manager::new()?;
    /// let counts: Dict<String, u64> = manager.dict("counts")?;
    /// for word in "the quick the lazy the".split(' ') {
    ///     counts.update(word, |count| *count.get_or_insert(0) += 1)?;
    /// }
    /// let before = counts.update("the", |count| count.take())?; // removes it
    /// assert_eq!((before, counts.len()), (Some(3), 2));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`insert`](Dict::insert), and [`Error::WrongProcess`](crate::Error::WrongProcess) in a child
    /// that was forked within `f`; in each case nothing has changed.
    pub fn update<Q: Serialize + ?Sized, R>(
        &self,
        key: &Q,
        f: impl FnOnce(&mut Option<V>) -> R,
    ) -> Result<R>
    where
        K: Borrow<Q>,
    {
        self.with_key(key, |key| {
            self.inner.update(key, |old| {
                let mut value = old.map(|old| self.decode(old)).transpose()?;
                let result = f(&mut value);
                let change = match value {
                    Some(value) => with_bytes(self.inner.object(), &value, |new| {
                        Ok(if Some(new) == old { Change::Keep } else { Change::Put(new.to_vec()) })
                    })?,
                    None if old.is_some() => Change::Remove,
                    None => Change::Keep,
                };
                Ok((change, result))
            })
        })
    }

    /// Whether there is a value of `key`; as the length, stale at once if others write.
    ///
    /// # Errors
    ///
    /// Those of [every call](Dict#errors).
    pub fn contains_key<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<bool>
    where
        K: Borrow<Q>,
    {
        self.with_key(key, |key| self.inner.contains(key))
    }

    /// All keys of one moment, in no particular order.
    ///
    /// # Errors
    ///
    /// Those of [every call](Dict#errors).
    pub fn keys(&self) -> Result<Vec<K>> {
        self.inner.items(true, false)?.iter().map(|key| self.decode(key)).collect()
    }

    /// All values of one moment, in no particular order.
    ///
    /// # Errors
    ///
    /// Those of [every call](Dict#errors).
    pub fn values(&self) -> Result<Vec<V>> {
        self.inner.items(false, true)?.iter().map(|value| self.decode(value)).collect()
    }

    /// All keys of one moment with their values, in no particular order.
    ///
    /// # Errors
    ///
    /// Those of [every call](Dict#errors).
    pub fn items(&self) -> Result<Vec<(K, V)>> {
        self.pairs()
    }

    /// A copy of the whole dict, of one moment.
    ///
    /// # Errors
    ///
    /// Those of [every call](Dict#errors).
    pub fn snapshot(&self) -> Result<HashMap<K, V>>
    where
        K: Eq + Hash,
    {
        self.pairs()
    }

    /// Removes all, at once, and gives the memory back.
    ///
    /// # Errors
    ///
    /// Those of [every call](Dict#errors).
    pub fn clear(&self) -> Result<()> {
        self.inner.clear()
    }

    fn pairs<C: FromIterator<(K, V)>>(&self) -> Result<C> {
        let items = self.inner.items(true, true)?;
        let mut strings = items.iter();
        let pair = || {
            let (key, value) = (strings.next()?, strings.next()?);
            Some(self.decode(key).and_then(|key| Ok((key, self.decode(value)?))))
        };
        std::iter::from_fn(pair).collect()
    }

    #[inline]
    fn with_key<Q: Serialize + ?Sized, R>(
        &self,
        key: &Q,
        f: impl FnOnce(&[u8]) -> Result<R>,
    ) -> Result<R> {
        with_bytes(self.inner.object(), key, f)
    }

    #[inline]
    fn decode<T: Message>(&self, bytes: &[u8]) -> Result<T> {
        decode(self.inner.object(), bytes)
    }
}

super::container_calls!(Dict<K, V>, "dict");

impl<K, V> Clone for Dict<K, V> {
    fn clone(&self) -> Dict<K, V> {
        Dict { inner: self.inner.clone(), types: PhantomData }
    }
}

impl<K, V> serde::Serialize for Dict<K, V> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.inner.object().send(serializer, |_| Ok(None))
    }
}

impl<'de, K, V> serde::Deserialize<'de> for Dict<K, V> {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Dict<K, V>, D::Error> {
        let inner = super::receive(d, Kind::Dict, Element::message::<(K, V)>())?;
        Ok(Dict { inner, types: PhantomData })
    }
}
