//! Outcomes that are asked for later.

use super::inner::Inner;
use super::map::Items;
use super::table::Outcome;
use super::task::take_item;
use crate::error::TaskError;
use crate::lock::deadline::Deadline;
use crate::message::{Message, decode};
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// One task, and its outcome once that is known.
pub(super) struct Handle {
    inner: Arc<Inner>,
    ticket: u32,
    /// Set once; with it the ticket is given up. Whoever sets it has the lock.
    outcome: OnceLock<Outcome>,
    collecting: Mutex<()>,
}

impl Handle {
    pub(super) fn new(inner: &Arc<Inner>, ticket: u32) -> Handle {
        let (outcome, collecting) = (OnceLock::new(), Mutex::new(()));
        Handle { inner: Arc::clone(inner), ticket, outcome, collecting }
    }

    /// The outcome, if it is known now.
    fn poll(&self) -> Option<&Outcome> {
        if let known @ Some(_) = self.outcome.get() {
            return known;
        }
        if !self.inner.is_ours() {
            return None;
        }
        let _one = self.collecting.lock().unwrap_or_else(PoisonError::into_inner);
        if self.outcome.get().is_none()
            && let Some(outcome) = self.inner.collect(self.ticket)
        {
            let _ = self.outcome.set(outcome);
        }
        self.outcome.get()
    }

    /// Waits for the outcome.
    fn wait(&self, deadline: Deadline) -> Result<&Outcome, TaskError> {
        loop {
            if let Some(outcome) = self.poll() {
                return Ok(outcome);
            }
            if !self.inner.is_ours() {
                return Err(TaskError::WrongProcess);
            }
            let place = {
                let _one = self.collecting.lock().unwrap_or_else(PoisonError::into_inner);
                match self.outcome.get() {
                    Some(_) => None,
                    None => self.inner.table().whereabouts(self.ticket),
                }
            };
            let Some((slot, generation)) = place else { continue };
            if !self.inner.await_slot(slot, generation, deadline) {
                return self.poll().ok_or(TaskError::Timeout);
            }
        }
    }

    fn value<R: Message>(&self, deadline: Deadline) -> Result<R, TaskError> {
        self.wait(deadline)?.value()
    }
}

impl Outcome {
    /// The value of a single call.
    pub(super) fn value<R: Message>(&self) -> Result<R, TaskError> {
        let undecoded = |why: String| TaskError::Decode(format!("the value: {why}"));
        self.read(|bytes| decode(bytes).map_err(undecoded))?
    }

    /// The results of the items of a chunk, one after the other.
    pub(super) fn items<R: Message>(
        &self,
        count: usize,
        each: &mut dyn FnMut(Result<R, TaskError>),
    ) {
        let read = self.read(|mut bytes| {
            for _ in 0..count {
                each(take_item(&mut bytes));
            }
        });
        if read.is_err() {
            for _ in 0..count {
                each(Err(self.failure().unwrap_or(TaskError::Terminated)));
            }
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.outcome.get().is_none() && self.inner.is_ours() {
            self.inner.table().abandon(self.ticket);
        }
    }
}

/// The result of a task, to come: from [`Pool::apply_async`](super::Pool::apply_async).
///
/// Any number of threads may ask at once, and every call can be repeated: each decodes the value anew
/// (handles to shared objects in it are there the first time only). Dropped, the task goes on, and its
/// result is dropped.
///
/// ```
/// use shmkit::Pool;
///
/// let pool = Pool::builder().workers(2).build()?;
/// let results: Vec<_> =
///     (0..4u64).map(|n| pool.apply_async((n,), |n: u64| n * n)).collect::<Result<_, _>>()?;
/// let squares: Vec<u64> = results.iter().map(|result| result.get()).collect::<Result<_, _>>()?;
/// assert_eq!(squares, [0, 1, 4, 9]);
/// # Ok::<(), shmkit::Error>(())
/// ```
#[must_use = "the task goes on, but nobody will know what became of it"]
pub struct Async<R> {
    handle: Arc<Handle>,
    value: PhantomData<fn() -> R>,
}

impl<R> Async<R> {
    pub(super) fn new(handle: Handle) -> Async<R> {
        Async { handle: Arc::new(handle), value: PhantomData }
    }

    /// Waits until the task has ended, one way or the other.
    ///
    /// # Errors
    ///
    /// [`TaskError::WrongProcess`] in a forked child.
    pub fn wait(&self) -> Result<(), TaskError> {
        self.handle.wait(Deadline::Never).map(drop)
    }

    /// Waits for at most `timeout`, and says whether the task has ended.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.handle.wait(Deadline::after(timeout)).is_ok()
    }

    /// Whether the task has ended. `true` is final.
    pub fn is_ready(&self) -> bool {
        self.handle.poll().is_some()
    }

    /// Whether the task has returned a value; `None` while it has not ended.
    pub fn is_successful(&self) -> Option<bool> {
        self.handle.poll().map(|outcome| outcome.failure().is_none())
    }
}

impl<R: Message> Async<R> {
    /// Waits for the value.
    ///
    /// # Errors
    ///
    /// Why there is none, see [`TaskError`].
    pub fn get(&self) -> Result<R, TaskError> {
        self.handle.value(Deadline::Never)
    }

    /// As [`Async::get`], for at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Async::get`], and [`TaskError::Timeout`]: the task goes on, and can be asked for again.
    pub fn get_timeout(&self, timeout: Duration) -> Result<R, TaskError> {
        self.handle.value(Deadline::after(timeout))
    }

    /// Has `f` called with the value, should there be one, in the pool's result thread: a thread of
    /// this process that runs one such call after the other.
    ///
    /// A panic in `f` is printed as others are, and does no harm to the pool.
    ///
    /// # Errors
    ///
    /// [`TaskError::Os`] when there can be no thread, [`TaskError::WrongProcess`].
    ///
    /// ```
    /// use shmkit::Pool;
    /// use std::sync::mpsc;
    ///
    /// let pool = Pool::builder().workers(1).build()?;
    /// let (tell, told) = mpsc::channel();
    /// let failed = tell.clone();
    /// let result = pool.apply_async((21,), |n: u32| n * 2)?;
    /// result.on_success(move |n| tell.send(n).unwrap())?;
    /// result.on_error(move |_| failed.send(0).unwrap())?;
    /// assert_eq!(told.recv(), Ok(42));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn on_success(&self, f: impl FnOnce(R) + Send + 'static) -> Result<(), TaskError> {
        self.on_outcome(|outcome| {
            if let Ok(value) = outcome {
                f(value);
            }
        })
    }

    /// Has `f` called with the reason, should there be no value; otherwise as [`Async::on_success`].
    ///
    /// # Errors
    ///
    /// As [`Async::on_success`].
    pub fn on_error(&self, f: impl FnOnce(TaskError) + Send + 'static) -> Result<(), TaskError> {
        self.on_outcome(|outcome| {
            if let Err(why) = outcome {
                f(why);
            }
        })
    }

    fn on_outcome(
        &self,
        f: impl FnOnce(Result<R, TaskError>) + Send + 'static,
    ) -> Result<(), TaskError> {
        let handle = Arc::clone(&self.handle);
        watch(&self.handle, Box::new(move || f(handle.value(Deadline::Never))))
    }
}

/// Has `job` run when the outcome of the task is known.
fn watch(handle: &Handle, job: super::table::Job) -> Result<(), TaskError> {
    if !handle.inner.is_ours() {
        return Err(TaskError::WrongProcess);
    }
    let _one = handle.collecting.lock().unwrap_or_else(PoisonError::into_inner);
    let ticket = handle.outcome.get().is_none().then_some(handle.ticket);
    Ok(handle.inner.watch(ticket, job)?)
}

impl<R> fmt::Debug for Async<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Async").field("outcome", &self.handle.outcome.get()).finish_non_exhaustive()
    }
}

/// The results of a map, to come: from [`Pool::map_async`](super::Pool::map_async).
///
/// As [`Async`], of all items together.
#[must_use = "the tasks go on, but nobody will know what became of them"]
pub struct MapAsync<R> {
    /// Each with the number of its items, and those that were not sent.
    chunks: Arc<Vec<SentChunk>>,
    value: PhantomData<fn() -> R>,
}

/// A chunk of a map, on the board.
pub(super) struct SentChunk {
    /// `None` if all its items were left out.
    pub(super) handle: Option<Handle>,
    pub(super) items: Items,
}

impl<R> MapAsync<R> {
    pub(super) fn new(chunks: Vec<SentChunk>) -> MapAsync<R> {
        MapAsync { chunks: Arc::new(chunks), value: PhantomData }
    }

    /// Waits until all have ended, one way or the other.
    ///
    /// # Errors
    ///
    /// [`TaskError::WrongProcess`] in a forked child.
    pub fn wait(&self) -> Result<(), TaskError> {
        wait_all(&self.chunks, Deadline::Never)
    }

    /// Waits for at most `timeout`, and says whether all have ended.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        wait_all(&self.chunks, Deadline::after(timeout)).is_ok()
    }

    /// Whether all have ended. `true` is final.
    pub fn is_ready(&self) -> bool {
        handles(&self.chunks).all(|handle| handle.poll().is_some())
    }
}

impl<R: Message> MapAsync<R> {
    /// Waits for all values, which come in the order of the items.
    ///
    /// # Errors
    ///
    /// That of the first item that has none.
    pub fn get(&self) -> Result<Vec<R>, TaskError> {
        all_values(&self.chunks, Deadline::Never)
    }

    /// As [`MapAsync::get`], for at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`MapAsync::get`], and [`TaskError::Timeout`]: the tasks go on, and can be asked for again.
    pub fn get_timeout(&self, timeout: Duration) -> Result<Vec<R>, TaskError> {
        all_values(&self.chunks, Deadline::after(timeout))
    }

    /// As [`MapAsync::get`], with the result of each item by itself.
    ///
    /// # Errors
    ///
    /// [`TaskError::WrongProcess`].
    pub fn get_each(&self) -> Result<Vec<Result<R, TaskError>>, TaskError> {
        let mut results = Vec::new();
        each(&self.chunks, Deadline::Never, &mut |result| results.push(result))?;
        Ok(results)
    }

    /// Has `f` called with all values, if all items have one, as [`Async::on_success`].
    ///
    /// # Errors
    ///
    /// As [`Async::on_success`].
    pub fn on_success(&self, f: impl FnOnce(Vec<R>) + Send + 'static) -> Result<(), TaskError> {
        self.on_outcome(|outcome| {
            if let Ok(values) = outcome {
                f(values);
            }
        })
    }

    /// Has `f` called with the error of the first item that has no value, as [`Async::on_error`].
    ///
    /// # Errors
    ///
    /// As [`Async::on_success`].
    pub fn on_error(&self, f: impl FnOnce(TaskError) + Send + 'static) -> Result<(), TaskError> {
        self.on_outcome(|outcome| {
            if let Err(why) = outcome {
                f(why);
            }
        })
    }

    fn on_outcome(
        &self,
        f: impl FnOnce(Result<Vec<R>, TaskError>) + Send + 'static,
    ) -> Result<(), TaskError> {
        // When the last of them that has ended is looked at, all have.
        let left = Arc::new(Mutex::new((handles(&self.chunks).count(), Some(f))));
        for handle in handles(&self.chunks) {
            let (left, chunks) = (Arc::clone(&left), Arc::clone(&self.chunks));
            let one_less = move || {
                let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
                left.0 -= 1;
                let f = if left.0 == 0 { left.1.take() } else { None };
                drop(left);
                if let Some(f) = f {
                    f(all_values(&chunks, Deadline::Never));
                }
            };
            watch(handle, Box::new(one_less))?;
        }
        let nothing_sent = left
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .take_if(|_| handles(&self.chunks).next().is_none());
        if let Some(f) = nothing_sent {
            f(all_values(&self.chunks, Deadline::Never));
        }
        Ok(())
    }
}

impl<R> fmt::Debug for MapAsync<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapAsync").field("is_ready", &self.is_ready()).finish_non_exhaustive()
    }
}

fn handles(chunks: &[SentChunk]) -> impl Iterator<Item = &Handle> {
    chunks.iter().filter_map(|chunk| chunk.handle.as_ref())
}

fn wait_all(chunks: &[SentChunk], deadline: Deadline) -> Result<(), TaskError> {
    handles(chunks).try_for_each(|handle| handle.wait(deadline).map(drop))
}

fn each<R: Message>(
    chunks: &[SentChunk],
    deadline: Deadline,
    sink: &mut dyn FnMut(Result<R, TaskError>),
) -> Result<(), TaskError> {
    for chunk in chunks {
        match &chunk.handle {
            Some(handle) => chunk.items.results(Some(handle.wait(deadline)?), sink),
            None => chunk.items.results(None, sink),
        }
    }
    Ok(())
}

fn all_values<R: Message>(chunks: &[SentChunk], deadline: Deadline) -> Result<Vec<R>, TaskError> {
    wait_all(chunks, deadline)?;
    let (mut values, mut first) = (Vec::new(), None);
    each(chunks, deadline, &mut |result| match result {
        Ok(value) => values.push(value),
        Err(why) => drop(first.get_or_insert(why)),
    })?;
    first.map_or(Ok(values), Err)
}
