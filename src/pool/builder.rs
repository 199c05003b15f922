//! Setting a pool up.

use super::crew::Crew;
use super::inner::{Inner, lock};
use super::site::{CREW_MOST, Site};
use super::supervisor;
use super::{Pool, task::Call};
use crate::error::{Error, Result};
use crate::process::{Args, cpu_count};
use crate::sys::entry::{Key, Switchboard};
use crate::sys::takeover;
use std::sync::Arc;
use std::time::Duration;

/// Memory for long arguments and results: address space, until it is used.
const ARENA_BYTES: u64 = 1 << 30;
/// How long workers have between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(1);

/// Makes a crew, once the key of its pool is known.
type MakeCrew = Box<dyn FnOnce(&Key<Call>, Option<u64>, Duration) -> Result<Crew>>;

/// How a pool is made, from [`Pool::builder`].
#[must_use = "a builder makes nothing until `build`"]
pub struct PoolBuilder {
    workers: Option<usize>,
    tasks_most: Option<u64>,
    retries: u32,
    grace: Duration,
    arena_bytes: u64,
    crew: MakeCrew,
}

impl Default for PoolBuilder {
    fn default() -> PoolBuilder {
        PoolBuilder {
            workers: None,
            tasks_most: None,
            retries: 0,
            grace: GRACE,
            arena_bytes: ARENA_BYTES,
            crew: Box::new(|key, tasks_most, grace| Crew::new(key, (), None, tasks_most, grace)),
        }
    }
}

impl PoolBuilder {
    /// How many workers there are, 1 to 1000; [`cpu_count`] by default.
    pub fn workers(mut self, workers: usize) -> PoolBuilder {
        self.workers = Some(workers);
        self
    }

    /// What each worker does before its first task: calls `function` with `arguments`, which may hold
    /// handles to shared objects.
    ///
    /// If that panics, or ends the process, in one of the first workers, [`PoolBuilder::build`] fails.
    /// Workers that are started later, in place of one that has died, may fail twice in a row; with the
    /// third the pool is broken, and all its tasks end with [`TaskError::Broken`].
    ///
    /// [`TaskError::Broken`]: crate::TaskError::Broken
    ///
    /// ```
    /// use shmkit::Pool;
    /// use std::sync::OnceLock;
    ///
    /// static BASE: OnceLock<u64> = OnceLock::new();
    ///
    /// let pool = Pool::builder().workers(1).initializer((40,), |n: u64| BASE.set(n).unwrap()).build()?;
    /// assert_eq!(pool.apply((2,), |n: u64| BASE.get().unwrap() + n)?, 42);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn initializer<A>(mut self, arguments: A, function: A::Fn<()>) -> PoolBuilder
    where
        A: Args + Send + 'static,
        A::Fn<()>: 'static,
    {
        self.crew = Box::new(move |key, tasks_most, grace| {
            Crew::new(key, arguments, Some(function), tasks_most, grace)
        });
        self
    }

    /// After how many tasks, or chunks of a map, a worker is replaced by a new one; at least 1, and
    /// never by default. The new one is started before the old one ends.
    pub fn max_tasks_per_child(mut self, tasks: u64) -> PoolBuilder {
        self.tasks_most = Some(tasks);
        self
    }

    /// How often a task is run again whose worker died while it ran; 0 by default: a task may have had
    /// effects before. One that was given handles to shared objects is not run again.
    pub fn retries(mut self, retries: u32) -> PoolBuilder {
        self.retries = retries;
        self
    }

    /// How long workers have between SIGTERM and SIGKILL when the pool is terminated; a second by
    /// default. A worker that does not handle SIGTERM ends at once.
    pub fn grace(mut self, grace: Duration) -> PoolBuilder {
        self.grace = grace;
        self
    }

    /// Memory for arguments of more than 96 bytes, all tasks together, and as much again for such
    /// results; the longest of them has to fit. 1 GiB by default: address space, that takes memory while
    /// it is used.
    pub fn arena_bytes(mut self, bytes: u64) -> PoolBuilder {
        self.arena_bytes = bytes;
        self
    }

    /// Starts the workers, and returns when all of them are ready for tasks.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a number out of its range; [`Error::Process`] with the panic or
    /// the exit of an initializer; [`Error::NotInitialised`], [`Error::ForeignFunction`], and others as
    /// [`Process::spawn`](crate::Process::spawn); [`Error::NoMemory`]. No process is left then.
    pub fn build(self) -> Result<Pool> {
        let workers = self.workers.unwrap_or_else(cpu_count);
        if !(1..=CREW_MOST).contains(&workers) {
            return Err(Error::InvalidArgument("number of workers: 1 to 1000"));
        }
        if self.tasks_most == Some(0) {
            return Err(Error::InvalidArgument("tasks of a worker: at least 1"));
        }
        if !takeover::is_armed() {
            return Err(Error::NotInitialised);
        }
        let (switchboard, key) = Switchboard::new()?;
        let site = Arc::new(Site::create(workers, self.arena_bytes)?);
        let mut crew = (self.crew)(&key, self.tasks_most, self.grace)?;
        crew.found(&site, workers)?;
        let inner = Arc::new(Inner::new(site, switchboard, workers, self.retries, crew));
        // Dropped, and with it the workers, if nobody can be had who looks after them.
        let pool = Pool { inner };
        if let Err(why) = supervisor::register(&pool.inner) {
            lock(&pool.inner.crew).give_up();
            return Err(why);
        }
        Ok(pool)
    }
}

impl std::fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("workers", &self.workers)
            .field("max_tasks_per_child", &self.tasks_most)
            .field("retries", &self.retries)
            .finish_non_exhaustive()
    }
}
