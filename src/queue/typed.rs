//! Values as messages of a queue.
//!
//! A value is encoded into private memory before a slot is claimed, and decoded after its slot was
//! freed: the value's own code runs outside of all claims, and a claim takes no longer than a copy.

use super::core::Core;
use super::error::{GetError, PutError};
use crate::lock::deadline::Deadline;
use crate::message::{self, Message, SMALL_BYTES};
use crate::region::transfer;
use crate::ring::frames::Head;
use std::ops::Range;

/// Messages of one batch are encoded up to this many bytes in all, then put.
const BATCH_BYTES: usize = 64 << 10;
/// And up to this many: as many as the ring claims at once.
const BATCH: usize = 128;

const HANDLES: &str = "handles to shared objects do not travel through a queue: \
    pass them as arguments or send them through a pipe";

#[inline]
pub(super) fn put<T: Message>(
    core: &Core,
    value: T,
    deadline: Deadline,
) -> Result<(), PutError<T>> {
    let put = encoded(&value, |message| {
        if message.len() > core.inline_bytes() {
            return Err(PutError::TooLarge(()));
        }
        core.put(message, deadline)
    });
    match put {
        Ok(Ok(())) => Ok(()),
        Ok(Err(why)) => Err(why.with(value)),
        Err(why) => Err(PutError::Encode(value, why)),
    }
}

/// Runs `f` on the encoded value.
#[inline]
fn encoded<T: Message, R>(value: &T, f: impl FnOnce(&[u8]) -> R) -> Result<R, String> {
    if transfer::is_under_way() {
        return apart(value, f);
    }
    message::with_bytes(value, f)
        .map_err(|why| if transfer::take_stranded() { HANDLES.into() } else { why })
}

/// As [`encoded`], by code of a value that is itself being encoded: the handles of this one are not
/// to go with that.
#[cold]
fn apart<T: Message, R>(value: &T, f: impl FnOnce(&[u8]) -> R) -> Result<R, String> {
    let (bytes, outgoing) = transfer::collect(|| message::encode(value));
    if outgoing.fds().len() > 0 { Err(HANDLES.into()) } else { bytes.map(|bytes| f(&bytes)) }
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
    outcome.map_err(|why| why.with(values))
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
        for value in values.iter().take(BATCH) {
            let add = encoded(value, |message| {
                let fits = message.len() <= core.inline_bytes();
                if fits {
                    bytes.extend_from_slice(message);
                    ends.push(bytes.len());
                }
                fits
            });
            refused = match add {
                Ok(true) => Ok(()),
                Ok(false) => Err(PutError::TooLarge(())),
                Err(why) => Err(PutError::Encode((), why)),
            };
            if refused.is_err() || bytes.len() >= BATCH_BYTES {
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
        let Some(message) = message else { return };
        match small.get_mut(..message.len()) {
            Some(room) => room.copy_from_slice(message),
            None => large.extend_from_slice(message),
        }
    })?;
    let bytes = small.get(..len.ok_or(GetError::Corrupt)?).unwrap_or(&large);
    message::decode(bytes).map_err(GetError::Decode)
}

fn get_large<T: Message>(core: &Core, deadline: Deadline) -> Result<T, GetError> {
    message::with_scratch(|bytes| {
        let mut is_there = false;
        core.get_some(1, deadline, |_, message| {
            bytes.clear();
            is_there = message.is_some();
            bytes.extend_from_slice(message.unwrap_or_default());
        })?;
        if !is_there {
            return Err(GetError::Corrupt);
        }
        message::decode(bytes).map_err(GetError::Decode)
    })
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
        let mut ends: Vec<Option<usize>> = Vec::with_capacity(max.min(BATCH));
        core.get_some(max.min(BATCH), deadline, |_: &Head, message| {
            bytes.extend_from_slice(message.unwrap_or_default());
            ends.push(message.map(|_| bytes.len()));
        })?;
        let (mut start, mut wrong) = (0, None);
        for end in ends {
            match end.map(|end| message::decode(&bytes[start..end])) {
                Some(Ok(value)) => values.push(value),
                Some(Err(why)) => wrong = Some(GetError::Decode(why)),
                None => wrong = Some(GetError::Corrupt),
            }
            start = end.unwrap_or(start);
        }
        // Those that are right come first: they are taken out of the queue.
        wrong.filter(|_| values.is_empty()).map_or(Ok(()), Err)
    })
}
