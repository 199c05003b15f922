//! Values as messages of a queue.
//!
//! A value is encoded into private memory before a slot is claimed, and decoded after its slot was
//! freed: the value's own code runs outside of all claims, and a claim takes no longer than a copy.

use super::core::Core;
use super::error::{GetError, PutError};
use super::handles::{Fetched, fetched, stays};
use crate::error::Error;
use crate::lock::deadline::Deadline;
use crate::message::{self, Message, SMALL_BYTES};
use crate::region::{copy, transfer};
use crate::ring::frames::Head;
use std::ops::Range;

/// Messages of one batch are encoded up to this many bytes in all, then put.
const BATCH_BYTES: usize = 64 << 10;
/// And up to this many: as many as the ring claims at once.
const BATCH: usize = 128;

#[inline]
pub(super) fn put<T: Message>(
    core: &Core,
    value: T,
    deadline: Deadline,
) -> Result<(), PutError<T>> {
    put_one(core, &value, deadline).map_err(|why| why.with(value))
}

#[inline]
fn put_one<T: Message>(core: &Core, value: &T, deadline: Deadline) -> Result<(), PutError<()>> {
    match encoded(value, |message| put_plain(core, message, deadline)) {
        Ok(put) => put,
        Err(Unencoded::HasHandles) => put_with_handles(core, value, deadline),
        Err(Unencoded::Failed(why)) => Err(PutError::Encode((), why)),
    }
}

#[inline]
fn put_plain(core: &Core, message: &[u8], deadline: Deadline) -> Result<(), PutError<()>> {
    if message.len() > core.inline_bytes() {
        return core.put_long(message, deadline);
    }
    core.put(message, deadline)
}

/// Why a value was not encoded by [`encoded`].
enum Unencoded {
    /// There are handles to shared objects in it: [`put_with_handles`] is for that.
    HasHandles,
    Failed(String),
}

/// Runs `f` on the encoded value.
#[inline]
fn encoded<T: Message, R>(value: &T, f: impl FnOnce(&[u8]) -> R) -> Result<R, Unencoded> {
    if transfer::is_under_way() {
        // By code of a value that is itself being encoded: the handles of this one are not to go
        // with that.
        return Err(Unencoded::HasHandles);
    }
    message::with_bytes(value, f).map_err(|why| match transfer::take_stranded() {
        true => Unencoded::HasHandles,
        false => Unencoded::Failed(why),
    })
}

/// Puts a value in which there may be handles.
#[cold]
fn put_with_handles<T: Message>(
    core: &Core,
    value: &T,
    deadline: Deadline,
) -> Result<(), PutError<()>> {
    let (bytes, outgoing) = transfer::collect(|| message::encode(value));
    match bytes {
        Ok(bytes) if outgoing.fds().len() == 0 => put_plain(core, &bytes, deadline),
        Ok(bytes) => core.put_with_handles(&bytes, outgoing, deadline),
        Err(why) => Err(match outgoing.failure(why) {
            Error::Encode(why) => PutError::Encode((), why),
            other => PutError::Os(other.into()),
        }),
    }
}

pub(super) fn put_many<T: Message>(
    core: &Core,
    mut values: Vec<T>,
    deadline: Deadline,
) -> Result<(), PutError<Vec<T>>> {
    let (mut sent, mut outcome) = (0, Ok(()));
    while sent < values.len() && outcome.is_ok() {
        let (count, stopped) = put_batch(core, &values[sent..], deadline);
        sent += count;
        outcome = stopped;
    }
    values.drain(..sent);
    outcome.map_err(|why| why.with_rest(values))
}

/// Puts some of the values, which are not none, and says how many, and why the next one was not.
fn put_batch<T: Message>(
    core: &Core,
    values: &[T],
    deadline: Deadline,
) -> (usize, Result<(), PutError<()>>) {
    message::with_scratch(|bytes| {
        bytes.clear();
        let (mut ends, mut refused) = (Vec::with_capacity(values.len().min(BATCH)), Ok(()));
        // What ends the batch: a value that goes on its own, after those before it.
        let (mut long, mut special) = (None, None);
        for value in values.iter().take(BATCH) {
            let add = encoded(value, |message| {
                let start = bytes.len();
                bytes.extend_from_slice(message);
                if message.len() <= core.inline_bytes() {
                    ends.push(bytes.len());
                } else {
                    long = Some(start);
                }
            });
            match add {
                Ok(()) => {}
                Err(Unencoded::HasHandles) => special = Some(value),
                Err(Unencoded::Failed(why)) => refused = Err(PutError::Encode((), why)),
            }
            let alone = long.is_some() || special.is_some();
            if refused.is_err() || alone || bytes.len() >= BATCH_BYTES {
                break;
            }
        }
        let mut sent = 0;
        while sent < ends.len() {
            let range = |nth: usize| -> Range<usize> {
                nth.checked_sub(1).map_or(0, |before| ends[before])..ends[nth]
            };
            let bytes: &[u8] = bytes;
            match core.put_some((sent..ends.len()).map(|nth| &bytes[range(nth)]), deadline) {
                Ok(count) => sent += count,
                Err(why) => return (sent, Err(why)),
            }
        }
        let alone = match (long, special) {
            (Some(start), _) => Some(core.put_long(&bytes[start..], deadline)),
            (None, Some(value)) => Some(put_with_handles(core, value, deadline)),
            (None, None) => None,
        };
        if let Some(put) = alone {
            sent += usize::from(put.is_ok());
            refused = put;
        }
        (sent, refused)
    })
}

#[inline]
pub(super) fn get<T: Message>(core: &Core, deadline: Deadline) -> Result<T, GetError> {
    if message::is_small::<T>() { get_small(core, deadline) } else { get_large(core, deadline) }
}

#[inline]
fn get_small<T: Message>(core: &Core, deadline: Deadline) -> Result<T, GetError> {
    let (mut small, mut len) = ([0; SMALL_BYTES], None);
    let mut large = Vec::new();
    core.get_some(1, deadline, |_, message| {
        len = message.map(<[u8]>::len);
        let Some(message) = message else { return true };
        match small.get_mut(..message.len()) {
            Some(room) => copy(message, room),
            None => large.extend_from_slice(message),
        }
        true
    })?;
    let bytes = small.get(..len.ok_or(GetError::Corrupt)?).unwrap_or(&large);
    message::decode(bytes).map_err(GetError::Decode)
}

fn get_large<T: Message>(core: &Core, deadline: Deadline) -> Result<T, GetError> {
    message::with_scratch(|bytes| {
        let mut handles = Err(GetError::Corrupt);
        core.get_some(1, deadline, |head, message| {
            bytes.clear();
            handles = taken(head, message, bytes, deadline);
            !stays(&handles)
        })?;
        decoded(bytes, handles)
    })
}

/// Adds a message to `bytes`, and fetches its handles.
fn taken(head: &Head, message: Option<&[u8]>, bytes: &mut Vec<u8>, deadline: Deadline) -> Fetched {
    let parts = message.and_then(|message| head.split(message));
    let (message, trailer) = parts.ok_or(GetError::Corrupt)?;
    bytes.extend_from_slice(message);
    fetched(trailer, deadline)
}

/// The value in a message that came with these handles.
pub(super) fn decoded<T: Message>(bytes: &[u8], handles: Fetched) -> Result<T, GetError> {
    let handles = handles?;
    let value = match handles.is_empty() {
        true => message::decode(bytes),
        false => transfer::provide(handles, || message::decode(bytes)),
    };
    value.map_err(GetError::Decode)
}

pub(super) fn get_many<T: Message>(
    core: &Core,
    max: usize,
    deadline: Deadline,
) -> Result<Vec<T>, GetError> {
    let mut values = Vec::new();
    let mut deadline = deadline;
    while values.len() < max {
        match get_batch(core, max - values.len(), deadline, &mut values) {
            Ok(()) => deadline = Deadline::Now,
            Err(GetError::Empty | GetError::Disconnected) if !values.is_empty() => break,
            Err(why) if values.is_empty() => return Err(why),
            Err(_) => break,
        }
    }
    Ok(values)
}

/// Gets some messages, and adds them to `values`.
fn get_batch<T: Message>(
    core: &Core,
    max: usize,
    deadline: Deadline,
    values: &mut Vec<T>,
) -> Result<(), GetError> {
    message::with_scratch(|bytes| {
        bytes.clear();
        let mut parts: Vec<(usize, Fetched)> = Vec::with_capacity(max.min(BATCH));
        core.get_some(max.min(BATCH), deadline, |head, message| {
            let handles = taken(head, message, bytes, deadline);
            let is_got = !stays(&handles);
            parts.push((bytes.len(), handles));
            is_got
        })?;
        let (mut start, mut wrong) = (0, None);
        for (end, handles) in parts {
            match decoded(&bytes[start..end], handles) {
                Ok(value) => values.push(value),
                Err(why) => wrong = Some(why),
            }
            start = end;
        }
        // Those that are right come first: they are taken out of the queue.
        wrong.filter(|_| values.is_empty()).map_or(Ok(()), Err)
    })
}
