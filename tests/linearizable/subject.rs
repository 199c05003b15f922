//! Queues whose histories are checked.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use shmkit::ring::{LeasedValue, MpmcRing, ReservedSlot, TryPopError, TryPushError, mpmc};
use shmkit::{GetError, PutError, Queue};

use crate::model::No;

/// A queue of numbers with operations that never wait for long.
pub trait Subject: Sized {
    /// A slot lent for writing; dropped, nothing is pushed.
    type Slot<'a>
    where
        Self: 'a;
    /// A value lent for reading; dropped, it goes back.
    type Lent<'a>
    where
        Self: 'a;

    /// Whether [`Subject::recover`] leaves nothing to do.
    const RECOVERS: bool = true;

    /// Made before the processes are forked, which inherit it.
    fn new(capacity: usize) -> Self;

    fn push(&self, value: u64) -> Result<(), No>;
    /// How many of `values` were pushed: at least one.
    fn push_many(&self, values: &[u64]) -> Result<usize, No>;
    fn reserve(&self) -> Result<Self::Slot<'_>, No>;
    fn commit(slot: Self::Slot<'_>, value: u64);

    fn pop(&self) -> Result<u64, No>;
    /// How many values were popped: at least one.
    fn pop_many(&self, out: &mut [u64]) -> Result<usize, No>;
    /// The value, and whether it had come back.
    fn lease(&self) -> Result<(Self::Lent<'_>, u64, bool), No>;
    fn release(lent: Self::Lent<'_>);

    fn len(&self) -> usize;
    fn is_empty(&self) -> bool;
    fn is_full(&self) -> bool;
    /// Takes back what the dead have left, if it is for the user to ask for that.
    fn recover(&self);
    /// Pops while nobody else does anything; what the dead have left is there.
    fn pop_rest(&self, _somebody_died: bool) -> Result<u64, No> {
        self.pop()
    }
}

fn refused_push<T>(why: TryPushError<T>) -> No {
    match why {
        TryPushError::Full(_) => No::Full,
        TryPushError::Busy(_) => No::Busy,
        _ => panic!("no answer of a queue in use"),
    }
}

fn refused_pop(why: TryPopError) -> No {
    match why {
        TryPopError::Empty => No::Empty,
        TryPopError::Busy => No::Busy,
        other => panic!("{other}"),
    }
}

impl Subject for MpmcRing<u64> {
    type Slot<'a> = ReservedSlot<'a, u64>;
    type Lent<'a> = LeasedValue<'a, u64>;

    fn new(capacity: usize) -> Self {
        mpmc(capacity).unwrap()
    }

    fn push(&self, value: u64) -> Result<(), No> {
        self.try_push(value).map_err(refused_push)
    }

    fn push_many(&self, values: &[u64]) -> Result<usize, No> {
        self.try_push_slice(values).map_err(refused_push)
    }

    fn reserve(&self) -> Result<Self::Slot<'_>, No> {
        self.try_reserve().map_err(refused_push)
    }

    fn commit(mut slot: Self::Slot<'_>, value: u64) {
        *slot = value;
        slot.commit();
    }

    fn pop(&self) -> Result<u64, No> {
        self.try_pop().map_err(refused_pop)
    }

    fn pop_many(&self, out: &mut [u64]) -> Result<usize, No> {
        self.try_pop_slice(out).map_err(refused_pop)
    }

    fn lease(&self) -> Result<(Self::Lent<'_>, u64, bool), No> {
        let lent = self.try_lease().map_err(refused_pop)?;
        let (value, again) = (*lent, lent.is_redelivered());
        Ok((lent, value, again))
    }

    fn release(lent: Self::Lent<'_>) {
        lent.release();
    }

    fn len(&self) -> usize {
        MpmcRing::len(self)
    }

    fn is_empty(&self) -> bool {
        MpmcRing::is_empty(self)
    }

    fn is_full(&self) -> bool {
        MpmcRing::is_full(self)
    }

    fn recover(&self) {
        MpmcRing::recover(self);
    }
}

/// Now and then the form that waits, for a moment; both are refused alike.
const SHORTLY: Duration = Duration::from_micros(100);
/// Longer than it takes until a waiter looks for the dead.
const NOT_SO_SHORTLY: Duration = Duration::from_millis(12);

fn waits() -> bool {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    CALLS.fetch_add(1, Relaxed).is_multiple_of(3)
}

/// That a queue is full, or empty, may mean as well that somebody is in the way.
fn refused_put<T>(why: PutError<T>) -> No {
    match why {
        // Disconnected: the others are dead, and those who follow have not used the queue yet.
        PutError::Full(_) | PutError::Timeout(_) | PutError::Disconnected(_) => No::Either,
        other => panic!("{other}"),
    }
}

fn refused_get(why: GetError) -> No {
    match why {
        GetError::Empty | GetError::Timeout | GetError::Disconnected => No::Either,
        other => panic!("{other}"),
    }
}

/// How many were put, by what is left of them.
fn put_some(all: usize, put: Result<(), PutError<Vec<u64>>>) -> Result<usize, No> {
    match put {
        Ok(()) => Ok(all),
        Err(PutError::Full(rest) | PutError::Timeout(rest) | PutError::Disconnected(rest))
            if rest.len() < all =>
        {
            Ok(all - rest.len())
        }
        Err(other) => Err(refused_put(other)),
    }
}

impl Subject for Queue<u64> {
    type Slot<'a> = ();
    type Lent<'a> = ();

    /// Who finds nothing recovers by itself.
    const RECOVERS: bool = false;

    fn new(capacity: usize) -> Self {
        Queue::new(capacity).unwrap()
    }

    fn push(&self, value: u64) -> Result<(), No> {
        let put = if waits() { self.put_timeout(value, SHORTLY) } else { self.try_put(value) };
        put.map_err(refused_put)
    }

    fn push_many(&self, values: &[u64]) -> Result<usize, No> {
        let all = values.to_vec();
        let put =
            if waits() { self.put_many_timeout(all, SHORTLY) } else { self.try_put_many(all) };
        put_some(values.len(), put)
    }

    fn reserve(&self) -> Result<(), No> {
        unreachable!("nothing is lent")
    }

    fn commit((): (), _: u64) {}

    fn pop(&self) -> Result<u64, No> {
        let got = if waits() { self.get_timeout(SHORTLY) } else { self.try_get() };
        got.map_err(refused_get)
    }

    fn pop_many(&self, out: &mut [u64]) -> Result<usize, No> {
        let max = out.len();
        let got =
            if waits() { self.get_many_timeout(max, SHORTLY) } else { self.try_get_many(max) };
        let got = got.map_err(refused_get)?;
        out[..got.len()].copy_from_slice(&got);
        Ok(got.len())
    }

    fn lease(&self) -> Result<((), u64, bool), No> {
        unreachable!("nothing is lent")
    }

    fn release((): ()) {}

    fn len(&self) -> usize {
        Queue::len(self)
    }

    fn is_empty(&self) -> bool {
        Queue::is_empty(self)
    }

    fn is_full(&self) -> bool {
        Queue::is_full(self)
    }

    fn recover(&self) {}

    fn pop_rest(&self, somebody_died: bool) -> Result<u64, No> {
        let got = if somebody_died { self.get_timeout(NOT_SO_SHORTLY) } else { self.try_get() };
        got.map_err(refused_get)
    }
}
