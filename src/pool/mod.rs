//! A crew of processes that run plain functions for this one.
//!
//! ```
//! use shmkit::{Pool, TaskError};
//!
//! fn square(x: u64) -> u64 { x * x }
//!
//! let pool = Pool::builder().workers(2).build()?;
//! assert_eq!(pool.apply((7,), square)?, 49);
//! assert_eq!(pool.map(0..4, square)?, [0, 1, 4, 9]);
//! match pool.apply((), || -> () { std::process::abort() }) {
//!     Err(TaskError::WorkerDied { signal: Some(6), .. }) => {} // and the worker is replaced
//!     other => panic!("{other:?}"),
//! }
//! pool.close().join()?;
//! # Ok::<(), shmkit::Error>(())
//! ```
//!
//! Tasks go up on a board in shared memory and results come down from it ([`crate::ring::board`] in the
//! source): no server, no lock between processes, and no system call while all are busy. A worker
//! that dies takes nothing along but the task that it ran, whose caller is told; it is replaced.
//!
//! Source: Python's `multiprocessing.Pool` for the behaviour, where that does not hang.
//!
//! Death: a worker may end in any way at any time; its pidfd says so to the one thread of this process
//! that looks after all pools, and the word of its task says whose it was. When the process that made
//! the pool ends, however it does, its workers end with it, since they are daemons.

mod builder;
mod crew;
mod imap;
mod inner;
mod map;
#[doc(hidden)]
pub mod probe;
mod results;
mod site;
mod supervisor;
mod table;
mod task;
mod worker;

pub use builder::PoolBuilder;
pub use imap::Imap;
pub use results::{Async, MapAsync};

use crate::error::{Error, Result, TaskError};
use crate::lock::deadline::Deadline;
use crate::message::Message;
use crate::process::Args;
use crate::sys::entry::Service;
use inner::{Inner, lock};
use map::{Feeder, Size};
use results::Handle;
use std::fmt;
use std::sync::{Arc, PoisonError};
use table::Phase;
use task::{Call, Each, EachOf, Once};

/// Processes that wait for tasks, run them and send the results back.
///
/// A task is a plain function and its arguments, as for [`Process::spawn`](crate::Process::spawn); so
/// are the results any [`Message`]s. Handles to shared objects may be among both: a [`Queue`], a
/// [`Lock`], an [`Array`] on whose elements tasks work in place, without a copy. Tasks are begun in the
/// order in which they were given, each worker running one at a time. Any number of threads may use a
/// pool at once.
///
/// Payload of up to 96 bytes for arguments or results lies in the board itself, longer ones in an arena
/// ([`PoolBuilder::arena_bytes`]). Up to 32,768 tasks are on the board; whoever has more to give waits
/// until the first of those have ended, and so does who finds the arena full.
///
/// A pool is closed (what was given is done) or terminated (nothing more is done), then joined. Dropped,
/// it is terminated, and its workers are gone when the drop returns. A forked child of this process
/// cannot use it: [`TaskError::WrongProcess`]. Workers ignore the interrupt of the terminal (Ctrl-C),
/// which is for their parent; they end when it does.
///
/// [`Queue`]: crate::Queue
/// [`Lock`]: crate::Lock
/// [`Array`]: crate::Array
///
/// ```
/// use shmkit::{Array, Pool};
///
/// /// Works in place: only the handle travels.
/// fn double(data: Array<f64>, from: usize, to: usize) {
///     for x in &mut data.lock().unwrap()[from..to] {
///         *x *= 2.0;
///     }
/// }
///
/// let data = Array::from_slice(&[1.0, 2.0, 3.0, 4.0])?;
/// let pool = Pool::builder().workers(2).build()?;
/// pool.starmap([(data.clone(), 0, 2), (data.clone(), 2, 4)], double)?;
/// assert_eq!(*data.lock()?, [2.0, 4.0, 6.0, 8.0]);
/// # Ok::<(), shmkit::Error>(())
/// ```
pub struct Pool {
    inner: Arc<Inner>,
}

impl Pool {
    /// Starts a pool of as many workers as this process may use CPUs ([`cpu_count`](crate::cpu_count)),
    /// and returns when all are ready for tasks.
    ///
    /// # Errors
    ///
    /// As [`PoolBuilder::build`].
    pub fn new() -> Result<Pool> {
        Pool::builder().build()
    }

    /// Sets a pool up: number of workers, initializer, retries.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }

    /// Runs `function` with `arguments` in a worker, and waits for its value.
    ///
    /// # Errors
    ///
    /// Why there is no value, see [`TaskError`].
    pub fn apply<A: Args, R: Message>(
        &self,
        arguments: A,
        function: A::Fn<R>,
    ) -> Result<R, TaskError> {
        let plan = self.inner.plan::<Once<A, R>>(function)?;
        let ticket = self.inner.submit(&plan, &arguments)?;
        self.inner.await_ticket(ticket, Deadline::Never);
        match self.inner.collect(ticket) {
            Some(outcome) => outcome.value(),
            None => Err(TaskError::Terminated), // nobody else has the ticket
        }
    }

    /// Gives a task to the workers, and returns at once: its value is asked for later.
    ///
    /// # Errors
    ///
    /// [`Error::Task`] with [`TaskError::Closed`] when the pool takes no tasks any more, or
    /// [`TaskError::Terminated`], [`TaskError::Broken`]; [`Error::Encode`], [`Error::TooLarge`],
    /// [`Error::ForeignFunction`], [`Error::WrongProcess`], and what a handle among the arguments had
    /// to say.
    pub fn apply_async<A: Args, R: Message>(
        &self,
        arguments: A,
        function: A::Fn<R>,
    ) -> Result<Async<R>> {
        let plan = self.inner.plan::<Once<A, R>>(function)?;
        let ticket = self.inner.submit(&plan, &arguments)?;
        Ok(Async::new(Handle::new(&self.inner, ticket)))
    }

    /// Runs `function` with each item, and returns the values in the order of the items.
    ///
    /// The items are sent in chunks, large ones at first and single ones at the end. All are run, also
    /// after one has failed. The input is read as its items are sent, in this thread; should it panic,
    /// the pool is not concerned.
    ///
    /// # Errors
    ///
    /// That of the first item that has no value; see [`Pool::try_map`] for each of them. A worker that
    /// dies takes the chunk along that it works on.
    ///
    /// ```
    /// let pool = shmkit::Pool::builder().workers(2).build()?;
    /// let lengths = pool.map(["a".to_string(), "bcd".to_string()], |text| text.len())?;
    /// assert_eq!(lengths, [1, 3]);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn map<I: IntoIterator, R: Message>(
        &self,
        items: I,
        function: fn(I::Item) -> R,
    ) -> Result<Vec<R>, TaskError>
    where
        I::Item: Message,
    {
        self.all_values::<Each<I::Item, R>, I, R>(items, function, None, None)
    }

    /// As [`Pool::map`], in chunks of this many items, at least 1.
    ///
    /// # Errors
    ///
    /// As [`Pool::map`].
    pub fn map_chunked<I: IntoIterator, R: Message>(
        &self,
        items: I,
        chunk: usize,
        function: fn(I::Item) -> R,
    ) -> Result<Vec<R>, TaskError>
    where
        I::Item: Message,
    {
        self.all_values::<Each<I::Item, R>, I, R>(items, function, Some(chunk), None)
    }

    /// As [`Pool::map`], where the items are tuples of arguments.
    ///
    /// # Errors
    ///
    /// As [`Pool::map`].
    ///
    /// ```
    /// let pool = shmkit::Pool::builder().workers(2).build()?;
    /// assert_eq!(pool.starmap([(2u64, 3u32), (3, 2)], |a, n| a.pow(n))?, [8, 9]);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn starmap<I: IntoIterator, R: Message>(
        &self,
        items: I,
        function: <I::Item as Args>::Fn<R>,
    ) -> Result<Vec<R>, TaskError>
    where
        I::Item: Args,
    {
        self.all_values::<EachOf<I::Item, R>, I, R>(items, function, None, None)
    }

    /// As [`Pool::starmap`], in chunks of this many items, at least 1.
    ///
    /// # Errors
    ///
    /// As [`Pool::map`].
    pub fn starmap_chunked<I: IntoIterator, R: Message>(
        &self,
        items: I,
        chunk: usize,
        function: <I::Item as Args>::Fn<R>,
    ) -> Result<Vec<R>, TaskError>
    where
        I::Item: Args,
    {
        self.all_values::<EachOf<I::Item, R>, I, R>(items, function, Some(chunk), None)
    }

    /// As [`Pool::map`]; `progress` is called in this thread each time that more values are there, with
    /// their number.
    ///
    /// # Errors
    ///
    /// As [`Pool::map`].
    ///
    /// ```
    /// let pool = shmkit::Pool::builder().workers(2).build()?;
    /// let mut last = 0;
    /// pool.map_with_progress(0..100u32, |n| n + 1, |done| last = done)?;
    /// assert_eq!(last, 100);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn map_with_progress<I: IntoIterator, R: Message>(
        &self,
        items: I,
        function: fn(I::Item) -> R,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<R>, TaskError>
    where
        I::Item: Message,
    {
        let progress = Some(&mut progress as &mut dyn FnMut(usize));
        self.all_values::<Each<I::Item, R>, I, R>(items, function, None, progress)
    }

    /// As [`Pool::map`], with the result of each item by itself: one that fails is at its index.
    ///
    /// # Errors
    ///
    /// When the pool takes no tasks any more: [`TaskError::Closed`], [`TaskError::Terminated`],
    /// [`TaskError::Broken`], [`TaskError::WrongProcess`]; [`TaskError::ForeignFunction`].
    ///
    /// ```
    /// use shmkit::TaskError;
    ///
    /// let pool = shmkit::Pool::builder().workers(2).build()?;
    /// let inverse = pool.try_map([4, 2, 0, 1], |n: u32| 8 / n)?;
    /// assert!(matches!(inverse[2], Err(TaskError::Panicked(_)))); // and is printed as panics are
    /// assert!(matches!(inverse[3], Ok(8)));
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn try_map<I: IntoIterator, R: Message>(
        &self,
        items: I,
        function: fn(I::Item) -> R,
    ) -> Result<Vec<Result<R, TaskError>>, TaskError>
    where
        I::Item: Message,
    {
        let mut results = Vec::new();
        let mut push = |result| results.push(result);
        self.each_result::<Each<I::Item, R>, I, R>(items, function, None, None, &mut push)?;
        Ok(results)
    }

    /// As [`Pool::map`], but returns when the items are sent: the values are asked for later.
    ///
    /// # Errors
    ///
    /// As [`Pool::apply_async`], the arguments' own aside: an item that cannot be sent fails by itself.
    pub fn map_async<I: IntoIterator, R: Message>(
        &self,
        items: I,
        function: fn(I::Item) -> R,
    ) -> Result<MapAsync<R>>
    where
        I::Item: Message,
    {
        self.send_all::<Each<I::Item, R>, I, R>(items, function)
    }

    /// As [`Pool::starmap`], but returns when the items are sent: the values are asked for later.
    ///
    /// # Errors
    ///
    /// As [`Pool::map_async`].
    pub fn starmap_async<I: IntoIterator, R: Message>(
        &self,
        items: I,
        function: <I::Item as Args>::Fn<R>,
    ) -> Result<MapAsync<R>>
    where
        I::Item: Args,
    {
        self.send_all::<EachOf<I::Item, R>, I, R>(items, function)
    }

    /// Runs `function` with each item, and returns the results one by one in the order of the items.
    ///
    /// The input is read lazily, so it may have no end. See [`Imap`].
    ///
    /// ```
    /// let pool = shmkit::Pool::builder().workers(2).build()?;
    /// for (n, square) in pool.imap(0u64.., |n| n * n).take(4).enumerate() {
    ///     assert_eq!(square?, (n * n) as u64);
    /// }
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn imap<I: IntoIterator, R: Message>(
        &self,
        items: I,
        function: fn(I::Item) -> R,
    ) -> Imap<'_, I::IntoIter, R>
    where
        I::Item: Message,
    {
        self.lazily(items, 1, function, true)
    }

    /// As [`Pool::imap`], in chunks of this many items, at least 1.
    pub fn imap_chunked<I: IntoIterator, R: Message>(
        &self,
        items: I,
        chunk: usize,
        function: fn(I::Item) -> R,
    ) -> Imap<'_, I::IntoIter, R>
    where
        I::Item: Message,
    {
        self.lazily(items, chunk, function, true)
    }

    /// As [`Pool::imap`], in the order in which the results come to be there.
    pub fn imap_unordered<I: IntoIterator, R: Message>(
        &self,
        items: I,
        function: fn(I::Item) -> R,
    ) -> Imap<'_, I::IntoIter, R>
    where
        I::Item: Message,
    {
        self.lazily(items, 1, function, false)
    }

    /// As [`Pool::imap_unordered`], in chunks of this many items, at least 1.
    pub fn imap_unordered_chunked<I: IntoIterator, R: Message>(
        &self,
        items: I,
        chunk: usize,
        function: fn(I::Item) -> R,
    ) -> Imap<'_, I::IntoIter, R>
    where
        I::Item: Message,
    {
        self.lazily(items, chunk, function, false)
    }

    /// Takes no more tasks. Those that were given are done, then the workers end. Can be repeated.
    pub fn close(&self) -> &Pool {
        if self.inner.is_ours() {
            self.inner.close();
            supervisor::alert();
        }
        self
    }

    /// Ends the workers, by SIGTERM and, after a [grace](PoolBuilder::grace), by SIGKILL. Every task that
    /// has not ended ends with [`TaskError::Terminated`], at once. Can be repeated.
    pub fn terminate(&self) -> &Pool {
        if self.inner.is_ours() {
            self.inner.dismiss(Phase::Terminated);
            supervisor::alert();
        }
        self
    }

    /// Waits until all tasks are done, all functions that were to be called with results have been, and
    /// all workers have ended. Can be repeated.
    ///
    /// # Errors
    ///
    /// [`Error::StillRunning`] when the pool was neither closed nor terminated;
    /// [`Error::Task`] with [`TaskError::Broken`] when it broke; [`Error::WrongProcess`].
    pub fn join(&self) -> Result<()> {
        if !self.inner.is_ours() {
            return Err(Error::WrongProcess);
        }
        if self.inner.table().phase == Phase::Open {
            return Err(Error::StillRunning);
        }
        self.inner.drain();
        self.inner.await_results();
        self.await_workers();
        match self.inner.table().phase {
            Phase::Broken => Err(TaskError::Broken.into()),
            _ => Ok(()),
        }
    }

    /// How many workers there are to be.
    pub fn workers(&self) -> usize {
        self.inner.workers
    }

    /// The process ids of the workers that are there now, in no particular order.
    pub fn worker_pids(&self) -> Vec<u32> {
        if self.inner.is_ours() { lock(&self.inner.crew).pids() } else { Vec::new() }
    }

    fn await_workers(&self) {
        let mut crew = lock(&self.inner.crew);
        while !crew.is_empty() {
            let changed = &self.inner.crew_changed;
            crew = changed.wait(crew).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn feeder<S, I>(
        &self,
        items: I,
        function: S::Entry,
        chunk: Option<usize>,
    ) -> Result<Feeder<BoxedItems<I>>, TaskError>
    where
        S: Service<Call>,
        I: IntoIterator,
        I::Item: Message,
    {
        let plan = self.inner.plan::<S>(function)?;
        let items = items.into_iter();
        let (items, size) = match chunk {
            Some(size) => (BoxedItems::Lazy(items), Size::Fixed(size.max(1))),
            None => {
                let workers = self.inner.workers;
                match items.size_hint() {
                    (least, Some(most)) if least == most => {
                        (BoxedItems::Lazy(items), Size::Guided { remaining: most, workers })
                    }
                    _ => {
                        let items: Vec<_> = items.collect();
                        let size = Size::Guided { remaining: items.len(), workers };
                        (BoxedItems::Known(items.into_iter()), size)
                    }
                }
            }
        };
        Ok(Feeder::new(items, plan, size))
    }

    fn each_result<S, I, R>(
        &self,
        items: I,
        function: S::Entry,
        chunk: Option<usize>,
        progress: Option<&mut dyn FnMut(usize)>,
        sink: &mut dyn FnMut(Result<R, TaskError>),
    ) -> Result<(), TaskError>
    where
        S: Service<Call>,
        I: IntoIterator,
        I::Item: Message,
        R: Message,
    {
        map::run(&self.inner, self.feeder::<S, I>(items, function, chunk)?, sink, progress)
    }

    fn all_values<S, I, R>(
        &self,
        items: I,
        function: S::Entry,
        chunk: Option<usize>,
        progress: Option<&mut dyn FnMut(usize)>,
    ) -> Result<Vec<R>, TaskError>
    where
        S: Service<Call>,
        I: IntoIterator,
        I::Item: Message,
        R: Message,
    {
        let (mut values, mut first) = (Vec::new(), None);
        let mut sink = |result| match result {
            Ok(value) if first.is_none() => values.push(value),
            Ok(_) => {}
            Err(why) => drop(first.get_or_insert(why)),
        };
        self.each_result::<S, I, R>(items, function, chunk, progress, &mut sink)?;
        first.map_or(Ok(values), Err)
    }

    fn send_all<S, I, R>(&self, items: I, function: S::Entry) -> Result<MapAsync<R>>
    where
        S: Service<Call>,
        I: IntoIterator,
        I::Item: Message,
    {
        let feeder = self.feeder::<S, I>(items, function, None)?;
        Ok(MapAsync::new(map::send(&self.inner, feeder)?))
    }

    fn lazily<I: IntoIterator, R: Message>(
        &self,
        items: I,
        chunk: usize,
        function: fn(I::Item) -> R,
        is_ordered: bool,
    ) -> Imap<'_, I::IntoIter, R>
    where
        I::Item: Message,
    {
        let plan = self.inner.plan::<Each<I::Item, R>>(function);
        Imap::new(&self.inner, items.into_iter(), plan, chunk.max(1), is_ordered)
    }
}

/// Items as they come, or collected because nobody knew how many there would be.
enum BoxedItems<I: IntoIterator> {
    Lazy(I::IntoIter),
    Known(std::vec::IntoIter<I::Item>),
}

impl<I: IntoIterator> Iterator for BoxedItems<I> {
    type Item = I::Item;

    #[inline]
    fn next(&mut self) -> Option<I::Item> {
        match self {
            BoxedItems::Lazy(items) => items.next(),
            BoxedItems::Known(items) => items.next(),
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.inner.is_ours() {
            self.terminate();
            self.await_workers();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("workers", &self.inner.workers)
            .field("pids", &self.worker_pids())
            .finish_non_exhaustive()
    }
}
