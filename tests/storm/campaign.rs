//! Kills workers at random moments, puts others in their place, and looks whether all goes on.
//!
//! Each storm has a controller of its own, a fork of this process: it sets the scenario up, forks
//! the workers, kills, and checks. Kills come in bursts; after each burst every worker has to get
//! on. A hang anywhere is the end of the controller by its alarm.

use std::sync::OnceLock;
use std::time::Duration;

use libc::{c_uint, pid_t};

use crate::ledger::{Ledger, Rng, SEATS};
use crate::shared::Shared;
use crate::step;

/// A shared object, what workers do to it, and what must hold. Checks assert; a panic, of any
/// process, is the verdict.
pub trait Storm: Sized {
    /// How many workers there are at any time.
    const WORKERS: usize = 4;

    /// Makes the shared object, in the controller. Workers are forks of that, so they inherit it.
    fn set_up() -> Self;

    /// One random operation, in worker `me`. It must come to an end by itself while the other
    /// workers are alive and get on, and at the latest when [`Ledger::is_over`].
    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger);

    /// Runs in the controller, which has not touched the object so far, once no worker is left.
    fn check(&self, ledger: &Ledger);
}

/// What a storm is made of.
#[derive(Clone, Copy)]
pub struct Weather {
    pub kills: u64,
    pub seed: u64,
    /// How long a burst of kills, a worker's operation or a check may take: far longer than any
    /// does, so that only a hang reaches it.
    pub deadline: Duration,
}

const BURST_MAX: u64 = 20;
const PAUSE_MAX: Duration = Duration::from_micros(2500);
/// One kill in so many is preceded by a stop.
const STOPS: u64 = 4;
const STOP_MAX: Duration = Duration::from_millis(8);

/// What a hanging controller was waiting for.
const PHASES: [&str; 4] = ["in a burst", "after a burst", "at the end", "in the check"];

/// Lets a storm go over `S`, and says what it was like, or what it broke.
pub fn run<S: Storm>(weather: Weather) -> Result<String, String> {
    static LEDGER: OnceLock<Shared<Ledger>> = OnceLock::new();
    const { assert!(S::WORKERS <= SEATS) };
    let ledger = LEDGER.get_or_init(Shared::new).clone();
    ledger.clear();
    let controller = step::fork(|| {
        // SAFETY: plain call; a group of its own, to be killed with all that it forked.
        unsafe { libc::setpgid(0, 0) };
        let said = ledger.clone();
        std::panic::set_hook(Box::new(move |panic| said.say(&panic.to_string())));
        control::<S>(&ledger, weather);
    });
    let status = step::wait(controller);
    // SAFETY: plain call; whoever is left of the group was forked by the controller.
    unsafe { libc::kill(-controller, libc::SIGKILL) };
    let (kills, turns) = (ledger.kills(), ledger.all_turns());
    if status == 0 {
        let (said, seed) = (ledger.said(), weather.seed);
        return Ok(format!("{said} {kills} kills, {turns} operations, seed {seed}").trim().into());
    }
    let what = if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGALRM {
        let (phase, places) = (PHASES[ledger.phase() as usize], ledger.describe(S::WORKERS));
        format!("hang {phase}: no progress in {:?}, {places}", weather.deadline)
    } else {
        step::describe(status)
    };
    Err(format!("{} ({what}; {kills} kills, seed {})", ledger.said(), weather.seed))
}

/// The life of a controller.
fn control<S: Storm>(ledger: &Ledger, weather: Weather) {
    let storm = S::set_up();
    let mut rng = Rng::new(weather.seed);
    let mut crew: Vec<pid_t> =
        (0..S::WORKERS).map(|me| start(&storm, me, rng.next(), ledger)).collect();
    while ledger.kills() < weather.kills {
        enter(0, ledger, weather);
        for _ in 0..=rng.below(BURST_MAX) {
            pause(&mut rng, PAUSE_MAX);
            let me = rng.below(S::WORKERS as u64) as usize;
            if strike(&mut rng, crew[me], me, ledger) {
                crew[me] = start(&storm, me, rng.next(), ledger);
            }
        }
        enter(1, ledger, weather);
        everybody_gets_on(&crew, ledger);
    }
    enter(2, ledger, weather);
    ledger.end();
    for pid in crew {
        let status = step::wait(pid);
        assert!(status == 0, "a worker failed at the end: {}", step::describe(status));
    }
    enter(3, ledger, weather);
    storm.check(ledger);
}

/// Begins a phase, after which this process has the deadline's time, or ends.
fn enter(phase: u64, ledger: &Ledger, weather: Weather) {
    ledger.set_phase(phase);
    // SAFETY: plain call; nothing here catches the signal.
    unsafe { libc::alarm(weather.deadline.as_secs() as c_uint) };
}

fn start<S: Storm>(storm: &S, me: usize, seed: u64, ledger: &Ledger) -> pid_t {
    ledger.start(me);
    step::fork(|| {
        let mut rng = Rng::new(seed);
        while !ledger.is_over() {
            storm.work(me, &mut rng, ledger);
            ledger.turn(me);
        }
    })
}

/// Kills worker `me`, or stops it for a moment only, and says whether it is dead.
fn strike(rng: &mut Rng, pid: pid_t, me: usize, ledger: &Ledger) -> bool {
    let send = |signal| {
        // SAFETY: plain call; the worker is our child and not reaped.
        unsafe { libc::kill(pid, signal) };
    };
    if rng.one_in(STOPS) {
        send(libc::SIGSTOP);
        pause(rng, STOP_MAX);
        if rng.one_in(STOPS) {
            send(libc::SIGCONT);
            return false;
        }
    }
    ledger.doom(me);
    send(libc::SIGKILL);
    let status = step::wait(pid);
    let killed = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL;
    assert!(killed, "a worker failed: {}", step::describe(status));
    ledger.bury(me);
    true
}

/// Waits until each worker has completed an operation that it began after this call.
fn everybody_gets_on(crew: &[pid_t], ledger: &Ledger) {
    let before: Vec<u64> = (0..crew.len()).map(|me| ledger.turns(me)).collect();
    for (me, before) in before.into_iter().enumerate() {
        while ledger.turns(me) < before + 2 {
            let has_ended = crew.iter().any(|pid| step::has_ended(*pid));
            assert!(!has_ended, "a worker failed: it ended by itself");
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

/// So that a kill comes at a random moment.
fn pause(rng: &mut Rng, max: Duration) {
    std::thread::sleep(Duration::from_nanos(rng.below(max.as_nanos() as u64)));
}
