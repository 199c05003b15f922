//! Queues whose histories are checked.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use shmkit::queue::{Loan, Received};
use shmkit::ring::{LeasedValue, MpmcRing, ReservedSlot, TryPopError, TryPushError, mpmc};
use shmkit::{GetError, Job, JoinableQueue, PutError, Queue};

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
    /// Whether slots are lent for writing.
    const RESERVES: bool = true;
    /// Whether a value that was lent goes back if it is not released.
    const GIVES_BACK: bool = true;

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
    /// The value, and whether it had come back, if that can be told.
    fn lease(&self) -> Result<(Self::Lent<'_>, u64, Option<bool>), No>;
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

    fn lease(&self) -> Result<(Self::Lent<'_>, u64, Option<bool>), No> {
        let lent = self.try_lease().map_err(refused_pop)?;
        let (value, again) = (*lent, lent.is_redelivered());
        Ok((lent, value, Some(again)))
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

/// Bytes of a number in a loan: as long as it takes, and always the same.
const ENCODED_BYTES: usize = 5;

/// As the codec has numbers: seven bits a byte, the last of which has no eighth.
fn encode(value: u64) -> [u8; ENCODED_BYTES] {
    std::array::from_fn(|nth| {
        let more = if nth + 1 < ENCODED_BYTES { 0x80 } else { 0 };
        (value >> (7 * nth)) as u8 & 0x7f | more
    })
}

fn decode(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f))
}

/// What both kinds of queues have.
macro_rules! as_queue {
    ($kind:ident) => {
        /// Who finds nothing recovers by itself.
        const RECOVERS: bool = false;

        fn new(capacity: usize) -> Self {
            $kind::new(capacity).unwrap()
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

        fn len(&self) -> usize {
            $kind::len(self)
        }

        fn is_empty(&self) -> bool {
            $kind::is_empty(self)
        }

        fn is_full(&self) -> bool {
            $kind::is_full(self)
        }

        fn recover(&self) {}
    };
}

impl Subject for Queue<u64> {
    type Slot<'a> = Loan<'a>;
    type Lent<'a> = Received<'a>;

    const GIVES_BACK: bool = false;

    as_queue!(Queue);

    fn reserve(&self) -> Result<Loan<'_>, No> {
        self.try_loan(ENCODED_BYTES).map_err(refused_put)
    }

    fn commit(mut slot: Loan<'_>, value: u64) {
        slot.copy_from_slice(&encode(value));
        slot.commit();
    }

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

    fn lease(&self) -> Result<(Received<'_>, u64, Option<bool>), No> {
        let received = self.try_receive().map_err(refused_get)?;
        let value = decode(&received);
        Ok((received, value, None))
    }

    fn release(lent: Received<'_>) {
        drop(lent);
    }

    fn pop_rest(&self, somebody_died: bool) -> Result<u64, No> {
        let got = if somebody_died { self.get_timeout(NOT_SO_SHORTLY) } else { self.try_get() };
        got.map_err(refused_get)
    }
}

impl Subject for JoinableQueue<u64> {
    type Slot<'a> = ();
    type Lent<'a> = Job<'a, u64>;

    const RESERVES: bool = false;

    as_queue!(JoinableQueue);

    fn reserve(&self) -> Result<(), No> {
        unreachable!("no slots are lent")
    }

    fn commit((): (), _: u64) {}

    fn pop(&self) -> Result<u64, No> {
        let job = if waits() { self.get_timeout(SHORTLY) } else { self.try_get() };
        let job = job.map_err(refused_get)?;
        let value = *job;
        job.done();
        Ok(value)
    }

    /// One by one, until there is none.
    fn pop_many(&self, out: &mut [u64]) -> Result<usize, No> {
        let mut count = 0;
        for room in out {
            match self.pop() {
                Ok(value) => *room = value,
                Err(why) if count == 0 => return Err(why),
                Err(_) => break,
            }
            count += 1;
        }
        Ok(count)
    }

    fn lease(&self) -> Result<(Job<'_, u64>, u64, Option<bool>), No> {
        let job = if waits() { self.get_timeout(SHORTLY) } else { self.try_get() };
        let job = job.map_err(refused_get)?;
        let (value, again) = (*job, job.attempts() > 1);
        Ok((job, value, Some(again)))
    }

    fn release(lent: Job<'_, u64>) {
        lent.done();
    }

    fn pop_rest(&self, somebody_died: bool) -> Result<u64, No> {
        let wait = if somebody_died { NOT_SO_SHORTLY } else { Duration::ZERO };
        let job = self.get_timeout(wait).map_err(refused_get)?;
        let value = *job;
        job.done();
        Ok(value)
    }
}
