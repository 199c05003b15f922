//! Queues whose histories are checked.

use shmkit::ring::{LeasedValue, MpmcRing, ReservedSlot, TryPopError, TryPushError, mpmc};

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
    fn recover(&self);
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
