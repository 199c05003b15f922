//! The workers of a pool, as their parent sees them: started, replaced, buried.
//!
//! - W1. A number names one worker at a time; it is given anew only when the task of the dead one that
//!   had it is buried.

use super::inner::{Inner, lock};
use super::site::Site;
use super::table::Phase;
use super::task::Call;
use super::worker::{Again, Hello, Initialize, work};
use crate::error::{Error, Result};
use crate::process::{Args, Process};
use crate::ring::board::mapped::Record;
use crate::sys::entry::{Key, Switchboard};
use crate::sys::poll;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Workers in a row that could not be started, or whose initializer failed, before the pool is broken.
const FAILURES_MOST: u32 = 3;
/// How long to wait before another try after a worker could not be started.
const BREATH: Duration = Duration::from_millis(20);
/// The same after workers were killed before they were ready, which is nobody's failure: a millisecond,
/// doubled with each in a row, up to this power.
const KILLS_MOST: u32 = 7;

/// Starts a worker of this name.
type Starter = Box<dyn Fn(Hello, &str) -> Result<Process> + Send + Sync>;

struct Member {
    process: Process,
    worker: u32,
    /// It was seen to claim tasks.
    is_ready: bool,
    /// Its successor was started.
    is_retired: bool,
}

pub(super) struct Crew {
    start: Starter,
    keys: [u64; 2],
    initializer: Option<[u64; 2]>,
    tasks_most: Option<u64>,
    grace: Duration,
    members: Vec<Member>,
    /// For the names.
    started: u64,
    /// Workers in a row that came to nothing, and those that were killed before they did.
    failures: u32,
    killed_early: u32,
    /// No worker is started before.
    rest_until: Option<Instant>,
    /// Who is left then is killed.
    kill_at: Option<Instant>,
}

/// What the supervisor needs to know.
pub(super) struct Tended {
    /// When to look again at the latest.
    pub(super) again: Option<Instant>,
    /// Nobody is left, and nobody will come.
    pub(super) is_over: bool,
}

impl Crew {
    /// One that will call `function`, if there is one, with `arguments` in each worker.
    pub(super) fn new<A: Args + Send + 'static>(
        key: &Key<Call>,
        arguments: A,
        function: Option<A::Fn<()>>,
        tasks_most: Option<u64>,
        grace: Duration,
    ) -> Result<Crew> {
        let (board, own_key) = Switchboard::<Option<A>>::new()?;
        let initializer = function.map(|f| board.seal::<Initialize<A>>(f)).transpose()?;
        let arguments = Arc::new(Mutex::new(arguments));
        let start = move |hello: Hello, name: &str| {
            let builder = Process::builder().daemon(true).name(name);
            builder.spawn((hello, Again(Arc::clone(&arguments))), work::<A>)
        };
        Ok(Crew {
            start: Box::new(start),
            keys: [key.to_bits(), own_key.to_bits()],
            initializer,
            tasks_most,
            grace,
            members: Vec::new(),
            started: 0,
            failures: 0,
            killed_early: 0,
            rest_until: None,
            kill_at: None,
        })
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.members.iter().map(|member| member.process.pid()).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// What to watch for the ends of the workers.
    pub(super) fn sentinels(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.members.iter().map(|member| member.process.sentinel())
    }

    fn start(&mut self, site: &Site) -> Result<()> {
        let is_free = |worker: &u32| self.members.iter().all(|member| member.worker != *worker);
        let worker = (0..).find(is_free).expect("there are more numbers than members"); // W1
        self.started += 1;
        site.board.set_record(worker, Record::Starting);
        let hello = Hello {
            site: site.clone(),
            worker,
            keys: self.keys,
            initializer: self.initializer,
            tasks_most: self.tasks_most,
        };
        let process = (self.start)(hello, &format!("PoolWorker-{}", self.started))?;
        self.members.push(Member { process, worker, is_ready: false, is_retired: false });
        Ok(())
    }

    /// Starts so many workers, and waits until they claim tasks. On failure none is left.
    pub(super) fn found(&mut self, site: &Site, workers: usize) -> Result<()> {
        let founded = (0..workers).try_for_each(|_| self.start(site));
        let founded = founded.and_then(|()| self.await_all(site));
        if founded.is_err() {
            self.give_up();
        }
        founded
    }

    /// Kills all workers, and waits until they are gone.
    pub(super) fn give_up(&mut self) {
        for member in &self.members {
            let _ = member.process.kill();
        }
        for member in self.members.drain(..) {
            let _ = member.process.join();
        }
    }

    fn await_all(&mut self, site: &Site) -> Result<()> {
        use crate::lock::{deadline::Deadline, spin::Spin};
        let members = &self.members;
        let is_ready = |member: &Member| site.board.record(member.worker) != Record::Starting;
        let attempt = || members.iter().all(is_ready).then_some(Ok(()));
        let check = || {
            let failed =
                members.iter().find(|member| !member.process.is_alive() && !is_ready(member))?;
            Some(Err(match failed.process.join() {
                Err(why) => Error::Process(why),
                // It ended in order, but what it is for it never did.
                Ok(()) => Error::Process(crate::error::ProcessError::Exited(0)),
            }))
        };
        let never = Deadline::Never;
        site.started.wait_until(&Spin::new(), never, attempt, check).unwrap_or(Ok(()))?;
        self.members.iter_mut().for_each(|member| member.is_ready = true);
        Ok(())
    }

    /// Asks all workers to end, and sees to it that they do.
    fn dismiss(&mut self) {
        for member in &self.members {
            let _ = member.process.terminate();
        }
        // The first time counts: who asks again puts nothing off.
        self.kill_at.get_or_insert(Instant::now() + self.grace);
    }

    fn note_the_ready(&mut self, site: &Site) {
        for member in self.members.iter_mut().filter(|member| !member.is_ready) {
            if site.board.record(member.worker) != Record::Starting {
                member.is_ready = true;
                (self.failures, self.killed_early) = (0, 0);
            }
        }
    }

    /// Takes out who has ended.
    fn take_dead(&mut self) -> Vec<Member> {
        self.members.extract_if(.., |member| !member.process.is_alive()).collect()
    }
}

impl Inner {
    /// Ends the workers, and all tasks.
    pub(super) fn dismiss(&self, phase: Phase) {
        self.cancel_all(phase);
        lock(&self.crew).dismiss();
    }

    /// Looks after the workers: buries the dead, starts who is missing, lets go who may.
    pub(super) fn tend(&self, set: BorrowedFd<'_>) -> Tended {
        let mut crew = lock(&self.crew);
        crew.note_the_ready(&self.site);
        for member in crew.take_dead() {
            self.bury(&mut crew, &member);
        }
        let is_broken = crew.failures >= FAILURES_MOST;
        if is_broken && matches!(self.table().phase, Phase::Open | Phase::Closed) {
            self.cancel_all(Phase::Broken);
            crew.dismiss();
        }
        self.replace_the_retiring(&mut crew, set);
        self.fill_up(&mut crew, set);
        if crew.kill_at.is_some_and(|at| at <= Instant::now()) {
            crew.kill_at = None;
            for member in &crew.members {
                let _ = member.process.kill();
            }
        }
        self.crew_changed.notify_all();
        let is_over = crew.is_empty() && self.wanted() == 0;
        Tended { again: crew.kill_at.into_iter().chain(crew.rest_until).min(), is_over }
    }

    fn bury(&self, crew: &mut Crew, member: &Member) {
        let (signal, code) = match member.process.exitcode() {
            Some(code) if code < 0 => (Some(-code), None),
            code => (None, code),
        };
        self.site.board.set_record(member.worker, Record::Starting);
        match signal {
            _ if member.is_ready => {}
            Some(libc::SIGKILL | libc::SIGTERM) => {
                let rest = Duration::from_millis(1 << crew.killed_early.min(KILLS_MOST));
                crew.killed_early += 1;
                crew.rest_until = Some(Instant::now() + rest);
            }
            _ => crew.failures += 1,
        }
        self.table().bury(member.worker, signal, code);
        // It may have died after it had finished a task and before it woke who waits, or with a wake-up
        // that was meant for another.
        self.site.wake_everybody();
    }

    /// How many workers there are to be.
    fn wanted(&self) -> usize {
        let table = self.table();
        match table.phase {
            Phase::Open => self.workers,
            // Those that were there end when they find nothing; what the dead have left is for one more.
            Phase::Closed => usize::from(table.outstanding() > 0),
            Phase::Terminated | Phase::Broken => 0,
        }
    }

    fn replace_the_retiring(&self, crew: &mut Crew, set: BorrowedFd<'_>) {
        for at in 0..crew.members.len() {
            let worker = crew.members[at].worker;
            if crew.members[at].is_retired || self.site.board.record(worker) != Record::Retiring {
                continue;
            }
            crew.members[at].is_retired = true;
            if self.wanted() > 0 {
                self.start(crew, set);
            }
            self.site.board.set_record(worker, Record::Released);
            self.site.started.notify_all();
        }
    }

    fn fill_up(&self, crew: &mut Crew, set: BorrowedFd<'_>) {
        let now = Instant::now();
        if crew.rest_until.is_some_and(|until| until > now) {
            return;
        }
        crew.rest_until = None;
        let missing = |crew: &Crew| {
            let there = crew.members.iter().filter(|member| !member.is_retired).count();
            self.wanted() > there
        };
        while crew.rest_until.is_none() && missing(crew) {
            self.start(crew, set);
        }
    }

    fn start(&self, crew: &mut Crew, set: BorrowedFd<'_>) {
        let started = crew.start(&self.site).and_then(|()| match crew.members.last() {
            Some(member) => Ok(poll::add(set, member.process.sentinel())?),
            None => Ok(()),
        });
        if started.is_err() {
            crew.failures += 1;
            crew.rest_until = Some(Instant::now() + BREATH);
        }
    }

    /// Takes outcomes down where workers have no room for more.
    pub(super) fn make_room(&self) {
        let mut table = self.table();
        table.harvest(true);
        let due = !table.due.is_empty();
        drop(table);
        if due {
            self.site.finished.notify_all();
        }
    }
}
