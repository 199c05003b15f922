//! The owner's side of a pool: tasks go up on the board, outcomes come down.

use super::crew::Crew;
use super::site::Site;
use super::table::{Job, Outcome, Phase, Plan, Table};
use super::task::{Call, HAS_HANDLES};
use crate::error::{Error, Result, TaskError};
use crate::lock::deadline::Deadline;
use crate::lock::spin::Spin;
use crate::message::{self, Message};
use crate::region::deposit::deposit;
use crate::region::id::ParticipantId;
use crate::region::transfer;
use crate::ring::board::mapped::{INLINE_BYTES, Payload};
use crate::ring::pages::{NoRun, Run};
use crate::sys::entry::{Service, Switchboard};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// One pool, shared by its handle, its results and the supervisor.
pub(super) struct Inner {
    pub(super) site: Arc<Site>,
    /// This process, as it made the pool; a forked child of it is another.
    owner: Option<ParticipantId>,
    pub(super) switchboard: Switchboard<Call>,
    pub(super) workers: usize,
    retries: u32,
    table: Mutex<Table>,
    pub(super) crew: Mutex<Crew>,
    /// Changes of the crew.
    pub(super) crew_changed: Condvar,
    /// Whether there is a result thread, and when there is none any more.
    results: Mutex<bool>,
    results_done: Condvar,
    waiting: Spin,
    posting: Spin,
}

/// A panic while a lock was held left nothing half done: only our own code runs then.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    pub(super) fn new(
        site: Arc<Site>,
        switchboard: Switchboard<Call>,
        workers: usize,
        retries: u32,
        crew: Crew,
    ) -> Inner {
        Inner {
            owner: site.board.object().mapping().own_id(),
            table: Mutex::new(Table::new(Arc::clone(&site))),
            site,
            switchboard,
            workers,
            retries,
            crew: Mutex::new(crew),
            crew_changed: Condvar::new(),
            results: Mutex::new(false),
            results_done: Condvar::new(),
            waiting: Spin::new(),
            posting: Spin::new(),
        }
    }

    /// Whether this process made the pool, and is not a forked child of that.
    #[inline]
    pub(super) fn is_ours(&self) -> bool {
        self.site.board.object().mapping().own_id() == self.owner
    }

    /// Not for forked children: another thread of the parent may have held the lock.
    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    /// What a function is called by.
    pub(super) fn plan<S: Service<Call>>(&self, entry: S::Entry) -> Result<Plan, TaskError> {
        if !self.is_ours() {
            return Err(TaskError::WrongProcess);
        }
        Ok(Plan { call: self.switchboard.seal::<S>(entry)?, flags: 0, retries: self.retries })
    }

    /// Encodes arguments and puts the task on the board; returns its ticket. Waits for room.
    #[inline]
    pub(super) fn submit<A: Message>(&self, plan: &Plan, arguments: &A) -> Result<u32, TaskError> {
        if !transfer::is_under_way() {
            match message::with_bytes(arguments, |bytes| self.submit_bytes(plan, bytes)) {
                Ok(submitted) => return submitted,
                Err(_) if transfer::take_stranded() => {}
                Err(why) => return Err(TaskError::Encode(format!("the arguments: {why}"))),
            }
        }
        let (bytes, outgoing) = transfer::collect(|| message::encode(arguments));
        self.submit_with_handles(plan, bytes, outgoing)
    }

    /// Puts a task with handles on the board, which are not there a second time.
    #[cold]
    pub(super) fn submit_with_handles(
        &self,
        plan: &Plan,
        bytes: Result<Vec<u8>, String>,
        outgoing: transfer::Outgoing,
    ) -> Result<u32, TaskError> {
        if !self.is_ours() {
            return Err(TaskError::WrongProcess);
        }
        let mut bytes = match bytes {
            Ok(bytes) => bytes,
            Err(why) => {
                return Err(match outgoing.failure(why) {
                    Error::Encode(why) => TaskError::Encode(format!("the arguments: {why}")),
                    other => other.into(),
                });
            }
        };
        if outgoing.fds().len() == 0 {
            return self.submit_bytes(plan, &bytes);
        }
        // Where it will be is not known yet: the deposit is wanted until then, and as long as the task
        // is on the board.
        let place = Arc::new(Mutex::new(None));
        let (site, known) = (Arc::downgrade(&self.site), Arc::clone(&place));
        let is_wanted = move || match (site.upgrade(), *lock(&known)) {
            (Some(site), Some((slot, generation))) => site.board.is_pending(slot, generation),
            (site, _) => site.is_some(),
        };
        let receipt = deposit(outgoing, is_wanted)?;
        bytes.extend_from_slice(&receipt.to_bytes());
        let plan = Plan { flags: plan.flags | HAS_HANDLES, retries: 0, ..*plan };
        let submitted = self.submit_bytes(&plan, &bytes);
        let at = match &submitted {
            Ok(ticket) => self.table().whereabouts(*ticket),
            Err(_) => None,
        };
        // A place that nothing is at, if the task has ended already, or never began.
        *lock(&place) = Some(at.unwrap_or((0, u64::MAX)));
        submitted
    }

    /// Puts a task on the board whose arguments are encoded.
    #[inline]
    pub(super) fn submit_bytes(&self, plan: &Plan, bytes: &[u8]) -> Result<u32, TaskError> {
        if !self.is_ours() {
            return Err(TaskError::WrongProcess); // the plan may be older than the fork
        }
        let payload = match bytes.len() <= INLINE_BYTES {
            true => Payload::Short(bytes),
            false => Payload::Long(self.long(bytes)?),
        };
        let mut table = self.table();
        if table.refusal().is_none()
            && let Ok(Some(slot)) = table.take_slot()
        {
            let ticket = table.post(slot, plan, payload);
            drop(table);
            self.site.work.notify_one();
            return Ok(ticket);
        }
        drop(table);
        self.submit_when_room(plan, payload)
    }

    #[cold]
    fn submit_when_room(&self, plan: &Plan, payload: Payload<'_>) -> Result<u32, TaskError> {
        let mut payload = Some(payload);
        let mut attempt = || {
            let mut table = self.table();
            let slot = match table.refusal() {
                Some(why) => Err(why),
                None => match table.take_slot() {
                    Ok(None) if table.harvest(false) => table.take_slot(),
                    slot => slot,
                }
                .map_err(TaskError::from),
            };
            match slot {
                Ok(None) => None,
                Ok(Some(slot)) => payload.take().map(|payload| Ok(table.post(slot, plan, payload))),
                Err(why) => Some(Err(why)),
            }
        };
        let check = || None;
        let submitted =
            self.site.finished.wait_until(&self.posting, Deadline::Never, &mut attempt, check);
        if let Some(unused) = payload {
            self.site.board.drop_payload(unused);
        }
        self.site.work.notify_one();
        submitted.unwrap_or(Err(TaskError::Timeout))
    }

    /// Pages with these bytes; takes outcomes down to make room, and waits for that.
    #[cold]
    fn long(&self, bytes: &[u8]) -> Result<Run, TaskError> {
        let board = &self.site.board;
        let attempt = || match board.long_arguments(bytes) {
            Ok(run) => Some(Ok(run)),
            Err(NoRun::TooLarge) => Some(Err(TaskError::TooLarge)),
            Err(NoRun::Failed(why)) => Some(Err(why.into())),
            Err(NoRun::Corrupt) => Some(Err(Error::Corrupt("pages of a pool").into())),
            Err(NoRun::Full) => {
                let mut table = self.table();
                if let Some(why) = table.refusal() {
                    return Some(Err(why));
                }
                table.harvest(true);
                None
            }
        };
        if let Some(done) = attempt().or_else(attempt) {
            return done;
        }
        let waited =
            self.site.finished.wait_until(&self.posting, Deadline::Never, attempt, || None);
        waited.unwrap_or(Err(TaskError::Timeout))
    }

    /// Waits until the task that `whereabouts` finds has ended, or is where it is no more (`true`).
    #[inline]
    pub(super) fn await_slot(&self, slot: u32, generation: u64, deadline: Deadline) -> bool {
        let board = &self.site.board;
        if !board.want(slot, generation) {
            return true;
        }
        let attempt = || (!board.is_pending(slot, generation)).then_some(());
        let done = self.site.done(slot).wait_until(&self.waiting, deadline, attempt, || None);
        done.is_some()
    }

    /// Waits until the outcome of a task is here, which nobody else can collect.
    pub(super) fn await_ticket(&self, ticket: u32, deadline: Deadline) -> bool {
        loop {
            let Some((slot, generation)) = self.table().whereabouts(ticket) else { return true };
            if !self.await_slot(slot, generation, deadline) {
                return self.table().whereabouts(ticket).is_none();
            }
        }
    }

    /// Has `job` run in the result thread once the outcome of the task is known.
    pub(super) fn watch(self: &Arc<Self>, ticket: Option<u32>, job: Job) -> Result<()> {
        let mut table = self.table();
        let due = match ticket {
            Some(ticket) => table.watch(ticket, job),
            None => Err(job),
        };
        if let Err(job) = due {
            table.due.push(job);
        }
        drop(table);
        self.start_results()
    }

    fn start_results(self: &Arc<Self>) -> Result<()> {
        let mut runs = lock(&self.results);
        if !*runs {
            let inner = Arc::clone(self);
            crate::sys::thread::spawn_without_signals("shmkit-results", move || {
                inner.run_jobs();
            })?;
            *runs = true;
        }
        drop(runs);
        self.site.finished.notify_all();
        Ok(())
    }

    /// The result thread: takes outcomes down and runs what was to be run then, until nothing is left.
    fn run_jobs(&self) {
        let spin = Spin::new();
        loop {
            let attempt = || {
                let mut table = self.table();
                table.harvest(false);
                let due = std::mem::take(&mut table.due);
                (!due.is_empty() || table.jobs == 0).then_some(due)
            };
            let check = || None;
            let due = self.site.finished.wait_until(&spin, Deadline::Never, attempt, check);
            for job in due.unwrap_or_default() {
                // It says so itself, by the panic hook; the pool is not concerned.
                if let Err(payload) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)) {
                    std::mem::forget(payload); // its drop could panic again
                }
            }
            let mut runs = lock(&self.results);
            let table = self.table();
            if table.due.is_empty() && table.jobs == 0 {
                *runs = false;
                self.results_done.notify_all();
                return;
            }
        }
    }

    /// Waits until there is nothing to be run in the result thread.
    pub(super) fn await_results(&self) {
        let mut runs = lock(&self.results);
        while *runs {
            runs = self.results_done.wait(runs).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes no more tasks; those that are there are done.
    pub(super) fn close(&self) {
        let mut table = self.table();
        if table.phase == Phase::Open {
            table.phase = Phase::Closed;
            self.site.board.close();
        }
        drop(table);
        self.site.wake_everybody();
    }

    /// Ends all tasks, for this reason.
    pub(super) fn cancel_all(&self, phase: Phase) {
        let mut table = self.table();
        if matches!(table.phase, Phase::Open | Phase::Closed) {
            table.cancel_all(phase);
        }
        drop(table);
        self.site.wake_everybody();
    }

    /// Waits until no task is on the board.
    pub(super) fn drain(&self) {
        loop {
            let mut table = self.table();
            table.harvest(true);
            let newest = table.newest();
            let due = !table.due.is_empty();
            drop(table);
            if due {
                self.site.finished.notify_all();
            }
            let Some((slot, generation)) = newest else { return };
            self.await_slot(slot, generation, Deadline::Never);
        }
    }

    /// An outcome whose ticket is given up with this.
    pub(super) fn collect(&self, ticket: u32) -> Option<Outcome> {
        let mut table = self.table();
        let outcome = table.collect(ticket);
        let due = !table.due.is_empty();
        drop(table);
        if due {
            self.site.finished.notify_all();
        }
        outcome
    }
}
