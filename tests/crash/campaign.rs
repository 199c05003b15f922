//! Kills a victim at one instruction after another and lets survivors judge what is left.
//!
//! Each kill point has a survivor process of its own, a fork of this one: it sets the scenario up,
//! forks the victim and traces it to the point, kills it, checks, and exits. So every kill meets a
//! fresh instance in the same state at the same addresses, and a survivor that hangs or crashes is
//! one failed kill point.
//!
//! A post-mortem depends only on shared memory and on what the kernel holds. Instructions that
//! change neither give the same one, so of a long operation a run tries one instruction of each
//! state of the shared memory, both sides of each system call, and samples ([`Points`]).

use std::collections::HashMap;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use crate::shared::{Shared, Text, Watch, Zeroed};
use crate::step::{self, At, Victim};

/// An operation and what must hold when it is cut short. Checks assert; a panic is the verdict.
pub trait Scenario: Sized {
    /// Which instructions to kill at.
    const POINTS: Points = Points::Instructions;
    /// What happens to the victim at each point.
    const FATE: Fate = Fate::Kill;
    /// Whether [`Scenario::rescue`] is to be killed at every instruction as well.
    const RESCUED: bool = false;
    /// System calls after which a victim that waits for ever is let be.
    const SYSTEM_CALLS: usize = usize::MAX;

    /// Makes the shared objects, in the survivor.
    fn set_up() -> Self;

    /// Runs in the victim: its own set-up, then [`step::begin`], then the operation.
    fn victim(&mut self);

    /// Runs in the survivor when the victim has come to [`step::begin`].
    fn ready(&mut self) {}

    /// What the survivor does while the victim is stopped and alive ([`Fate`]).
    fn frozen(&mut self) {}

    /// What the survivor does once the victim has run on ([`Fate::FreezeAndRun`]).
    fn thawed(&mut self) {}

    /// Runs in a second victim once the first is dead: [`step::begin`], then what a survivor does
    /// to recover.
    fn rescue(&mut self) {}

    /// Runs in the survivor once the victims are dead.
    fn check(&mut self, death: Death);
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Points {
    /// Every instruction of an operation of up to [`SHORT`] instructions; of a longer one those of
    /// [`Points::States`] and [`SAMPLES`] more at equal distances. `SHMKIT_CRASH=full` makes it every
    /// instruction in any case.
    Instructions,
    /// Those of [`Points::States`] and [`SAMPLES`] more, forty times as many if full: for operations
    /// of hundreds of thousands.
    Samples,
    /// Those of [`Points::States`] and [`FEW_SAMPLES`] more; as [`Points::Samples`] if full.
    Few,
    /// One of eight of [`Points::States`]; all of them if full.
    FewStates,
    /// One instruction of each state of the shared memory, and both sides of each system call. Of the
    /// states that one and the same instruction makes, as in the loop of a copy, the first [`ALIKE`]
    /// and every [`ALIKE_STRIDE`]th, unless full.
    States,
}

const SHORT: usize = 500;
const SAMPLES: usize = 120;
const FEW_SAMPLES: usize = 25;
/// How many points of a victim are tried with a rescuer that is killed too, unless full.
const RESCUED_MOST: usize = 40;
const ALIKE: usize = 8;
const ALIKE_STRIDE: usize = 64;

/// What happens to the victim at each point.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Kill,
    /// [`Scenario::frozen`] runs, then the victim is killed: nothing may be stolen from it before.
    FreezeAndKill,
    /// [`Scenario::frozen`] runs, then the victim runs on to its end: two processes take turns in
    /// every way that one change of turns allows.
    FreezeAndRun,
}

/// Where the victim was killed.
#[derive(Clone, Copy, Debug)]
pub struct Death {
    /// Whether its operation was complete.
    pub complete: bool,
}

/// What a campaign saw.
#[derive(Default)]
pub struct Report {
    /// Instructions of the operation.
    pub instructions: usize,
    /// States that the shared memory went through.
    pub states: usize,
    pub system_calls: usize,
    pub kills: usize,
    /// Kills that met another instruction than the traced run did there.
    pub drifted: usize,
    pub failures: Vec<String>,
}

/// How long a survivor may take: far longer than any does, also where the whole machine stands still
/// for half a minute, so that only a hang reaches it.
pub const DEADLINE: Duration = Duration::from_secs(120);

const HANG: &str = "hang: no verdict after";
const FAILURES_MAX: usize = 8;
/// A hang takes its time, so a few of them are enough.
const HANGS_MAX: usize = 2;
const TRACE_MAX: usize = 1 << 20;
const CHANGED: u64 = 1 << 62;
const SYSTEM_CALL: u64 = 1 << 63;

/// What a survivor tells this process.
struct Control {
    victim: Trace,
    rescuer: Trace,
    drifted: AtomicU64,
    text: Text,
}

// SAFETY: atomic words only.
unsafe impl Zeroed for Control {}

/// The instructions of one run: the address of the `k`-th, with flags.
struct Trace {
    len: AtomicU64,
    instructions: [AtomicU64; TRACE_MAX],
}

/// The instructions of a traced run, and how to come to each of them fast.
struct Path {
    instructions: Vec<u64>,
    /// For each `k` where a breakpoint spares the steps before it.
    landmarks: Vec<Landmark>,
}

/// The instruction `k` of a path, and how often its address is met up to there.
#[derive(Clone, Copy)]
struct Landmark {
    k: usize,
    hits: usize,
}

impl Landmark {
    /// A breakpoint that is hit costs about as much as this many single steps.
    const STEPS_PER_HIT: isize = 5;

    /// What it costs to be here, less the steps that would have been taken instead.
    fn cost(self) -> isize {
        self.hits as isize * Self::STEPS_PER_HIT - self.k as isize
    }
}

enum Job<'a> {
    /// Steps the victim, or the rescuer after a victim's death, to the end and writes its trace.
    TraceVictim,
    TraceRescuer {
        victim: (&'a Path, usize),
    },
    /// Kills at the given instructions.
    Kill {
        victim: (&'a Path, usize),
        rescuer: Option<(&'a Path, usize)>,
    },
}

/// A name for a region of this kill point. Whoever leaves it behind fails.
pub fn name(label: &str) -> String {
    // SAFETY: plain call. Victims and third processes are of their survivor's process group.
    format!("{}{label}", name_prefix(unsafe { libc::getpgrp() }))
}

fn name_prefix(survivor: libc::pid_t) -> String {
    format!("crash-{survivor}-")
}

/// Removes what has been left in `/dev/shm` at the kill point of `survivor`, and says what it was.
fn names_left(survivor: libc::pid_t) -> Vec<String> {
    let prefix = name_prefix(survivor);
    let entries = std::fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().path());
    let left: Vec<PathBuf> =
        entries.filter(|path| path.display().to_string().contains(&prefix)).collect();
    for path in &left {
        let _ = std::fs::remove_file(path);
    }
    left.iter().map(|path| path.display().to_string()).collect()
}

/// Tries all kill points of `S`.
pub fn run<S: Scenario>(deadline: Duration) -> Report {
    static CONTROL: OnceLock<Shared<Control>> = OnceLock::new();
    let control = CONTROL.get_or_init(Shared::new).clone();
    let mut campaign = Campaign { control, deadline, only: at(), report: Report::default() };
    campaign.run::<S>();
    campaign.report
}

/// The only instruction to kill at, if the person running this is after a certain one.
fn at() -> Option<usize> {
    std::env::var("SHMKIT_CRASH_AT").ok().map(|k| k.parse().expect("SHMKIT_CRASH_AT: a number"))
}

pub fn is_full() -> bool {
    std::env::var("SHMKIT_CRASH").is_ok_and(|mode| mode == "full")
}

struct Campaign {
    control: Shared<Control>,
    deadline: Duration,
    only: Option<usize>,
    report: Report,
}

impl Campaign {
    fn run<S: Scenario>(&mut self) {
        if let Err(failure) = self.survive::<S>(Job::TraceVictim) {
            self.report.failures.push(format!("killed at the end: {failure}"));
        }
        let path = Path::new(&self.control.victim);
        self.report.instructions = path.len();
        self.report.states = 1 + path.count(CHANGED);
        self.report.system_calls = path.count(SYSTEM_CALL);
        // With a rescuer each point stands for many kills.
        let few = S::RESCUED && !is_full();
        let points = path.points(if few { Points::States } else { S::POINTS });
        let step = if few { points.len().div_ceil(RESCUED_MOST) } else { 1 };
        for k in points.into_iter().step_by(step) {
            if self.only.is_some_and(|only| only != k) {
                continue;
            }
            if S::RESCUED {
                self.run_rescuer::<S>((&path, k));
            } else {
                self.kill::<S>((&path, k), None);
            }
            let hangs = self.report.failures.iter().filter(|f| f.contains(HANG)).count();
            if self.report.failures.len() >= FAILURES_MAX || hangs >= HANGS_MAX {
                self.report.failures.push("and no further point was tried".into());
                return;
            }
        }
    }

    /// Kills the rescuer too, after the victim was killed at `victim`: in each state of the shared
    /// memory and the kernel, and in a full campaign at every instruction of up to [`SHORT`].
    fn run_rescuer<S: Scenario>(&mut self, victim: (&Path, usize)) {
        if let Err(failure) = self.survive::<S>(Job::TraceRescuer { victim }) {
            self.report.failures.push(format!(
                "{}; rescuer killed at the end: {failure}",
                victim.0.describe(victim.1)
            ));
        }
        let path = Path::new(&self.control.rescuer);
        let is_each = is_full() && path.len() <= SHORT;
        let points = if is_each { Points::Instructions } else { Points::States };
        for k in path.points(points) {
            self.kill::<S>(victim, Some((&path, k)));
        }
    }

    fn kill<S: Scenario>(&mut self, victim: (&Path, usize), rescuer: Option<(&Path, usize)>) {
        self.report.kills += 1 + usize::from(rescuer.is_some());
        let result = self.survive::<S>(Job::Kill { victim, rescuer });
        self.report.drifted += self.control.drifted.load(SeqCst) as usize;
        if let Err(failure) = result {
            let mut place = victim.0.describe(victim.1);
            if let Some((path, k)) = rescuer {
                place = format!("{place}, rescuer {}", path.describe(k));
            }
            self.report.failures.push(format!("{place}: {failure}"));
        }
    }

    /// Forks a survivor for `job` and waits for its verdict.
    fn survive<S: Scenario>(&self, job: Job) -> Result<(), String> {
        self.control.text.clear();
        self.control.drifted.store(0, SeqCst);
        let pid = step::fork(|| {
            // SAFETY: plain call; a group of its own, to be killed with all that it forked.
            unsafe { libc::setpgid(0, 0) };
            let control = self.control.clone();
            std::panic::set_hook(Box::new(move |panic| control.text.say(&panic.to_string())));
            stay_on_this_cpu();
            survivor::<S>(&self.control, job);
        });
        if !exited_within(pid, self.deadline) {
            // SAFETY: plain call; the survivor is our child and not reaped, so the group is its.
            unsafe { libc::kill(-pid, libc::SIGKILL) };
            step::kill(pid);
            names_left(pid);
            return Err(format!("{HANG} {:?}", self.deadline));
        }
        match (step::wait(pid), names_left(pid)) {
            (0, left) if left.is_empty() => Ok(()),
            (0, left) => Err(format!("left behind: {left:?}")),
            (status, _) => {
                Err(format!("{} (survivor: {})", self.control.text.said(), step::describe(status)))
            }
        }
    }
}

/// The life of a survivor.
fn survivor<S: Scenario>(control: &Shared<Control>, job: Job) {
    let fds = open_fds();
    let mut scenario = S::set_up();
    let mut victim = unwrap(Victim::start(|| scenario.victim()));
    scenario.ready();
    match &job {
        Job::TraceVictim => trace(&mut victim, control, &control.victim, S::SYSTEM_CALLS),
        Job::TraceRescuer { victim: (path, k) } | Job::Kill { victim: (path, k), .. } => {
            advance(&mut victim, path, *k, control)
        }
    }
    if S::FATE != Fate::Kill {
        scenario.frozen();
    }
    if S::FATE == Fate::FreezeAndRun {
        unwrap(victim.run());
        scenario.thawed();
    }
    let mut death = Death { complete: victim.at() == At::End };
    victim.kill();
    if S::RESCUED && !matches!(job, Job::TraceVictim) {
        let mut rescuer = unwrap(Victim::start(|| scenario.rescue()));
        match &job {
            Job::Kill { rescuer: Some((path, k)), .. } => advance(&mut rescuer, path, *k, control),
            _ => trace(&mut rescuer, control, &control.rescuer, S::SYSTEM_CALLS),
        }
        death.complete = rescuer.at() == At::End;
        rescuer.kill();
    }
    scenario.check(death);
    drop(scenario);
    assert_eq!(open_fds(), fds, "file descriptors were left open, or others closed");
    // SAFETY: asks without waiting; a null status is not written.
    let left = unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG | libc::__WALL) };
    assert!(left == -1, "a child process was left");
}

/// Steps `victim` to its end and writes down each instruction: its address, whether the shared
/// memory differs from the one before, and whether it is a system call.
fn trace(victim: &mut Victim, control: &Shared<Control>, trace: &Trace, calls_max: usize) {
    let mut watch = Watch::new(control);
    let (mut k, mut calls) = (0, 0);
    loop {
        let mut entry = 0;
        if watch.changed() && k != 0 {
            entry |= CHANGED;
        }
        if victim.at() == At::Instruction {
            let address = unwrap(victim.instruction());
            entry |= address;
            if victim.is_system_call(address).unwrap_or(false) {
                entry |= SYSTEM_CALL;
                calls += 1;
            }
        }
        trace.instructions[k].store(entry, SeqCst);
        trace.len.store(k as u64, SeqCst);
        if victim.at() == At::End || calls == calls_max || k + 1 == TRACE_MAX {
            return;
        }
        unwrap(victim.step());
        k += 1;
    }
}

/// Brings `victim` to the `k`-th instruction of `path`.
fn advance(victim: &mut Victim, path: &Path, k: usize, control: &Control) {
    let mut at = 0;
    let landmark = path.landmarks[k];
    if cfg!(target_arch = "x86_64") && landmark.cost() < 0 {
        unwrap(victim.run_to(path.address(landmark.k), landmark.hits));
        at = landmark.k;
    }
    while at < k && unwrap(victim.step()) == At::Instruction {
        at += 1;
    }
    let drifted = match victim.at() {
        // The stop at the end comes before a breakpoint on the way back from its system call.
        At::End => k + 1 < path.len(),
        At::Instruction => unwrap(victim.instruction()) != path.address(k),
    };
    control.drifted.fetch_add(u64::from(drifted), SeqCst);
}

impl Path {
    fn new(trace: &Trace) -> Path {
        let len = trace.len.load(SeqCst) as usize;
        let instructions: Vec<u64> =
            trace.instructions[..=len].iter().map(|i| i.load(SeqCst)).collect();
        let mut path = Path { instructions, landmarks: Vec::new() };
        let mut hits = HashMap::new();
        let mut best = Landmark { k: 0, hits: 0 };
        for k in 0..=len {
            let hits = hits.entry(path.address(k)).and_modify(|hits| *hits += 1).or_insert(1);
            let here = Landmark { k, hits: *hits };
            if here.cost() < best.cost() && path.address(k) != 0 {
                best = here;
            }
            path.landmarks.push(best);
        }
        path
    }

    /// Instructions of the run; the point of this number is the end.
    fn len(&self) -> usize {
        self.instructions.len() - 1
    }

    fn address(&self, k: usize) -> u64 {
        self.instructions[k] & !(CHANGED | SYSTEM_CALL)
    }

    fn count(&self, flag: u64) -> usize {
        self.instructions.iter().filter(|&i| i & flag != 0).count()
    }

    /// The instructions to kill at.
    fn points(&self, points: Points) -> Vec<usize> {
        let stride = match points {
            Points::States | Points::FewStates => usize::MAX,
            Points::Samples | Points::Few if is_full() => self.len().div_ceil(40 * SAMPLES),
            Points::Samples => self.len().div_ceil(SAMPLES),
            Points::Few => self.len().div_ceil(FEW_SAMPLES),
            Points::Instructions if is_full() || self.len() <= SHORT => 1,
            Points::Instructions => self.len() / SAMPLES,
        };
        let mut changes = HashMap::new();
        let mut is_new_state = |k: usize| {
            if self.instructions[k] & CHANGED == 0 {
                return false;
            }
            let nth = changes.entry(self.address(k - 1)).or_insert(0usize);
            *nth += 1;
            is_full() || *nth <= ALIKE || nth.is_multiple_of(ALIKE_STRIDE)
        };
        let mut chosen = |k: usize| {
            is_new_state(k)
                || k.is_multiple_of(stride)
                || k == self.len()
                || self.instructions[k] & SYSTEM_CALL != 0
                || self.instructions[k - 1] & SYSTEM_CALL != 0
        };
        let step = if points == Points::FewStates && !is_full() { 8 } else { 1 };
        (0..=self.len()).filter(|&k| chosen(k)).step_by(step).collect()
    }

    /// Where the `k`-th instruction is, in the form that `addr2line` takes.
    fn describe(&self, k: usize) -> String {
        let address = self.address(k) as usize;
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let mut base = 0;
        for line in maps.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let Some((start, end)) = fields[0].split_once('-') else { continue };
            let start = usize::from_str_radix(start, 16).unwrap();
            let end = usize::from_str_radix(end, 16).unwrap();
            if fields[2] == "00000000" {
                base = start;
            }
            if (start..end).contains(&address) {
                let file = fields.get(5).map_or("", |path| path.rsplit('/').next().unwrap());
                return format!("killed at {k} of {} ({file}+{:#x})", self.len(), address - base);
            }
        }
        format!("killed at {k} of {} ({address:#x})", self.len())
    }
}

fn unwrap<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|failure| panic!("{failure}"))
}

/// Keeps this process and its children on one CPU: they take turns, and a hand-over across CPUs
/// costs several times as much.
fn stay_on_this_cpu() {
    // SAFETY: `cpu_set_t` is plain bits, written here before the kernel reads it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(libc::sched_getcpu() as usize, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set);
    }
}

fn open_fds() -> Vec<String> {
    let mut fds: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let target = std::fs::read_link(&path).ok()?;
            Some(format!("{} -> {}", path.file_name()?.display(), target.display()))
        })
        .filter(|fd| !fd.contains("/proc/"))
        .collect();
    fds.sort();
    fds
}

/// Waits for a child of this process to exit, without reaping it.
fn exited_within(pid: libc::pid_t, deadline: Duration) -> bool {
    // SAFETY: the new descriptor has no other owner.
    let pidfd = unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        assert!(fd >= 0, "pidfd_open: {}", std::io::Error::last_os_error());
        OwnedFd::from_raw_fd(fd as i32)
    };
    let mut poll = libc::pollfd { fd: pidfd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry, as said.
    unsafe { libc::poll(&mut poll, 1, deadline.as_millis() as i32) == 1 }
}
