//! Makes histories: three processes do what the dice say to one queue, and are interrupted.
//!
//! An operation takes less than a microsecond, and processors are few. So an alarm interrupts a
//! process at a random moment: there it sleeps for a while, in the middle of whatever it does, or dies.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use libc::{c_int, pid_t};

use crate::check::{History, explain};
use crate::ledger::Rng;
use crate::record::{Answer, BATCH_MAX, Clock, Log, Request};
use crate::shared::{Shared, Zeroed};
use crate::subject::Subject;
use crate::{DEADLINE_SECONDS, Test, dice, setting, step};

/// Processes that work at once.
const WORKERS: usize = 3;
/// The seat of the process that fills the queue before them and drains it after.
const HOST: usize = WORKERS;
/// Histories of one queue, with the same processes, unless they die.
const PER_QUEUE: u64 = 100;
const CAPACITY_MAX: u64 = 6;
const OPS: u64 = 6;

/// What kind of histories.
#[derive(Clone, Copy, Default)]
pub struct Weather {
    /// Slots and values are lent, and given back.
    pub lends: bool,
    pub kills: bool,
}

#[repr(C)]
struct Stage {
    clock: Aligned<Clock>,
    /// The number of the history.
    turn: Aligned<AtomicU64>,
    /// Workers who are about to begin.
    ready: Aligned<AtomicU64>,
    /// The last history that each worker has come to the end of.
    ended: [Aligned<AtomicU64>; WORKERS],
    logs: [Log; WORKERS + 1],
}

#[repr(C, align(128))]
struct Aligned<T>(T);

// SAFETY: atomic words only.
unsafe impl Zeroed for Stage {}

/// A test that histories of `S` are linearizable.
pub fn test<S: Subject>(name: &str, weather: Weather) -> Test {
    let run = move || {
        let count = setting("SHMKIT_HISTORIES").unwrap_or(500);
        let seed = setting("SHMKIT_HISTORIES_SEED").unwrap_or_else(dice);
        explain_all::<S>(weather, count, seed)
            .map(|summary| format!("{summary}, seed {seed}"))
            .map_err(|failure| vec![format!("{failure}\nseed {seed}")])
    };
    Test { name: name.into(), run: Box::new(run) }
}

/// Makes and checks `count` histories.
pub fn explain_all<S: Subject>(weather: Weather, count: u64, seed: u64) -> Result<String, String> {
    let mut rng = Rng::new(seed);
    let stage = Shared::<Stage>::new();
    let (mut kills, mut overlapping, mut operations) = (0, 0, 0);
    let mut done = 0;
    while done < count {
        let capacity = 1 + rng.below(CAPACITY_MAX) as usize;
        let queue = S::new(capacity);
        stage.turn.0.store(0, SeqCst);
        let mut crew: Vec<Option<pid_t>> = vec![None; WORKERS];
        for turn in 1..=PER_QUEUE.min(count - done) {
            // SAFETY: a plain call; nothing catches the signal in this process.
            unsafe { libc::alarm(DEADLINE_SECONDS) };
            for (me, pid) in crew.iter_mut().enumerate() {
                pid.get_or_insert_with(|| hire(&queue, &stage, me, weather, rng.next()));
            }
            let dead = play(&queue, &stage, turn, &mut crew, weather, &mut rng);
            kills += dead.iter().filter(|dead| **dead).count();
            let lives: Vec<_> = (0..=HOST).map(|by| stage.logs[by].life(dead[by])).collect();
            let history = History { capacity, lives };
            operations += history.lives.iter().map(|life| life.ops.len()).sum::<usize>();
            overlapping += overlaps(&history);
            if let Err(why) = explain(&history) {
                dismiss(&crew);
                return Err(format!("no order explains this: {history}\n{why:?}"));
            }
        }
        done += PER_QUEUE;
        dismiss(&crew);
    }
    if overlapping * 200 < operations {
        return Err(format!("only {overlapping} of {operations} operations overlapped"));
    }
    Ok(format!("{count} histories, {operations} operations, {overlapping} overlap, {kills} kills"))
}

/// How many operations of the workers were invoked before one of another had returned.
fn overlaps(history: &History) -> usize {
    let workers = &history.lives[..WORKERS];
    let overlap = |me: usize, invoked, returned| {
        let others = workers.iter().enumerate().filter(|(other, _)| *other != me);
        others
            .flat_map(|(_, life)| &life.ops)
            .any(|op| op.invoked < returned && invoked < op.returned)
    };
    let all =
        workers.iter().enumerate().flat_map(|(me, life)| life.ops.iter().map(move |op| (me, op)));
    all.filter(|(me, op)| overlap(*me, op.invoked, op.returned)).count()
}

/// One history; says who was killed in it.
fn play<S: Subject>(
    queue: &S,
    stage: &Stage,
    turn: u64,
    crew: &mut [Option<pid_t>],
    weather: Weather,
    rng: &mut Rng,
) -> [bool; WORKERS + 1] {
    stage.clock.0.reset();
    stage.logs.iter().for_each(Log::clear);
    let mut host = Player {
        queue,
        log: &stage.logs[HOST],
        clock: &stage.clock.0,
        me: HOST,
        value: 0,
        somebody_died: false,
    };
    for _ in 0..rng.below(CAPACITY_MAX) {
        host.plain(Request::Push);
    }
    stage.ready.0.store(0, SeqCst);
    stage.turn.0.store(turn, SeqCst);
    let mut dead = [false; WORKERS + 1];
    for me in 0..WORKERS {
        while stage.ended[me].0.load(SeqCst) != turn {
            if let Some(status) = crew[me].and_then(ended) {
                let killed = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL;
                assert!(killed && weather.kills, "a worker failed: {}", step::describe(status));
                (dead[me], crew[me]) = (true, None);
                break;
            }
            std::thread::yield_now();
        }
    }
    host.somebody_died = dead.contains(&true);
    host.plain(Request::Recover);
    let (len, empty) = (queue.len(), queue.is_empty());
    let mut drained = 0;
    while host.plain(Request::PopRest) {
        drained += 1;
    }
    host.plain(Request::End);
    if S::RECOVERS || !host.somebody_died {
        assert_eq!((len, empty), (drained, drained == 0), "the length of a queue at rest");
    }
    dead
}

fn hire<S: Subject>(queue: &S, stage: &Stage, me: usize, weather: Weather, seed: u64) -> pid_t {
    let after = stage.turn.0.load(SeqCst);
    stage.ended[me].0.store(after, SeqCst);
    step::fork(|| work(queue, stage, me, weather, seed, after))
}

/// Kills all who are left.
fn dismiss(crew: &[Option<pid_t>]) {
    crew.iter().flatten().for_each(|pid| step::kill(*pid));
}

/// The status of a child that has ended.
fn ended(pid: pid_t) -> Option<c_int> {
    let mut status = 0;
    // SAFETY: plain call; `status` is ours.
    let found = unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) };
    (found == pid).then_some(status)
}

/// The life of a worker: history after history.
fn work<S: Subject>(
    queue: &S,
    stage: &Stage,
    me: usize,
    weather: Weather,
    seed: u64,
    mut after: u64,
) {
    let mut rng = Rng::new(seed);
    interrupt::expect();
    loop {
        while stage.turn.0.load(SeqCst) == after {
            std::thread::yield_now();
        }
        after = stage.turn.0.load(SeqCst);
        let log = &stage.logs[me];
        let clock = &stage.clock.0;
        let mut player = Player { queue, log, clock, me, value: 0, somebody_died: false };
        stage.ready.0.fetch_add(1, SeqCst);
        while stage.ready.0.load(SeqCst) < WORKERS as u64 {
            std::thread::yield_now();
        }
        if weather.kills && rng.one_in(4) {
            interrupt::die_within(rng.below(12));
        } else if rng.one_in(2) {
            interrupt::nap_within(rng.below(12));
        }
        player.play(&mut rng, weather);
        interrupt::never_mind();
        stage.ended[me].0.store(after, SeqCst);
    }
}

/// One process in one history.
struct Player<'a, S: Subject> {
    queue: &'a S,
    log: &'a Log,
    clock: &'a Clock,
    me: usize,
    /// The number of the last value that it has pushed or tried to.
    value: u64,
    somebody_died: bool,
}

impl<'a, S: Subject> Player<'a, S> {
    fn note(&self, request: Request, value: u64, count: usize, operation: impl FnOnce() -> Answer) {
        self.log.note(self.clock, request, value, count, operation);
    }

    /// The first of `count` values that nobody has used in this history.
    fn values(&mut self, count: usize) -> u64 {
        let first = (self.me as u64 + 1) << 16 | (self.value + 1);
        self.value += count as u64;
        first
    }

    /// An operation that lends nothing; whether it was done.
    fn plain(&mut self, request: Request) -> bool {
        let (queue, died) = (self.queue, self.somebody_died);
        let mut was_done = false;
        let count = 2 + self.value as usize % (BATCH_MAX - 1);
        let value = match request {
            Request::Push => self.values(1),
            Request::PushMany => self.values(count),
            _ => 0,
        };
        let wanted =
            if matches!(request, Request::PushMany | Request::PopMany) { count } else { 1 };
        self.note(request, value, wanted, || {
            let answer = match request {
                Request::Push => queue.push(value).map(|()| Answer::Done),
                Request::PushMany => {
                    let values: [u64; BATCH_MAX] = std::array::from_fn(|nth| value + nth as u64);
                    queue.push_many(&values[..count]).map(Answer::Number)
                }
                Request::Pop => queue.pop().map(|value| Answer::Values(vec![value])),
                Request::PopMany => {
                    let mut out = [0; BATCH_MAX];
                    let popped = queue.pop_many(&mut out[..count]);
                    popped.map(|popped| Answer::Values(out[..popped].to_vec()))
                }
                Request::Len => Ok(Answer::Number(queue.len())),
                Request::IsEmpty => Ok(Answer::Number(usize::from(queue.is_empty()))),
                Request::IsFull => Ok(Answer::Number(usize::from(queue.is_full()))),
                Request::PopRest => queue.pop_rest(died).map(|value| Answer::Values(vec![value])),
                Request::End => Ok(Answer::Done),
                Request::Recover => {
                    queue.recover();
                    Ok(Answer::Done)
                }
                other => unreachable!("{other:?} lends"),
            };
            was_done = answer.is_ok();
            answer.unwrap_or_else(Answer::No)
        });
        was_done
    }

    fn play(&mut self, rng: &mut Rng, weather: Weather) {
        use Request::*;
        let queue = self.queue;
        let (mut slot, mut lent) = (None, None);
        let leans_to_push = rng.one_in(2);
        for _ in 0..2 + rng.below(OPS) {
            for _ in 0..rng.below(30) {
                std::hint::spin_loop();
            }
            let pushes = if rng.one_in(4) { !leans_to_push } else { leans_to_push };
            let request = match (rng.below(8), weather.lends) {
                // Exact while nothing was given up or back.
                (0, false) if !weather.kills => [Len, IsEmpty, IsFull][rng.below(3) as usize],
                (0, _) if weather.kills => Recover,
                (1 | 2, _) => [PopMany, PushMany][usize::from(pushes)],
                (3..6, true) if !pushes => Lease,
                (3..6, true) if S::RESERVES => Reserve,
                _ => [Pop, Push][usize::from(pushes)],
            };
            match request {
                Reserve if slot.is_some() => self.end_slot(slot.take(), rng),
                Reserve => self.note(Reserve, 0, 1, || match queue.reserve() {
                    Ok(reserved) => {
                        slot = Some(reserved);
                        Answer::Done
                    }
                    Err(why) => Answer::No(why),
                }),
                Lease if lent.is_some() => self.end_lease(lent.take(), rng),
                Lease => self.note(Lease, 0, 1, || match queue.lease() {
                    Ok((leased, value, again)) => {
                        lent = Some((leased, value));
                        Answer::Lent(value, again)
                    }
                    Err(why) => Answer::No(why),
                }),
                plain => {
                    self.plain(plain);
                }
            }
        }
        self.end_slot(slot, rng);
        self.end_lease(lent, rng);
    }

    fn end_slot(&mut self, slot: Option<S::Slot<'a>>, rng: &mut Rng) {
        let Some(slot) = slot else { return };
        let value = self.values(1);
        if rng.one_in(3) {
            self.note(Request::Abandon, 0, 1, || {
                drop(slot);
                Answer::Done
            });
        } else {
            self.note(Request::Commit, value, 1, || {
                S::commit(slot, value);
                Answer::Done
            });
        }
    }

    fn end_lease(&mut self, lent: Option<(S::Lent<'a>, u64)>, rng: &mut Rng) {
        let Some((lent, value)) = lent else { return };
        if S::GIVES_BACK && rng.one_in(2) {
            self.note(Request::GiveBack, value, 1, || {
                drop(lent);
                Answer::Done
            });
        } else {
            self.note(Request::Release, value, 1, || {
                S::release(lent);
                Answer::Done
            });
        }
    }
}

/// An alarm that comes at any instruction.
mod interrupt {
    use std::sync::atomic::{AtomicU8, Ordering::SeqCst};

    static FATE: AtomicU8 = AtomicU8::new(NOTHING);
    const NOTHING: u8 = 0;
    const NAP: u8 = 1;
    const DEATH: u8 = 2;
    /// Long enough for the others to do all that they have to.
    const NAP_NS: i64 = 20_000;

    extern "C" fn on_alarm(_: libc::c_int) {
        match FATE.load(SeqCst) {
            NAP => {
                let time = libc::timespec { tv_sec: 0, tv_nsec: NAP_NS };
                // SAFETY: plain call, allowed in a handler; `errno` is nobody's here: no operation
                // of a queue that does not wait makes a system call.
                unsafe { libc::nanosleep(&time, std::ptr::null_mut()) };
            }
            // SAFETY: plain calls, allowed in a handler.
            DEATH => unsafe {
                libc::kill(libc::getpid(), libc::SIGKILL);
            },
            _ => {}
        }
    }

    pub fn expect() {
        // SAFETY: plain calls; the handler is as above.
        unsafe {
            libc::signal(libc::SIGALRM, on_alarm as *const () as libc::sighandler_t);
            libc::prctl(libc::PR_SET_TIMERSLACK, 1);
        }
    }

    pub fn nap_within(us: u64) {
        arm(NAP, us);
    }

    pub fn die_within(us: u64) {
        arm(DEATH, us);
    }

    pub fn never_mind() {
        FATE.store(NOTHING, SeqCst);
    }

    fn arm(fate: u8, us: u64) {
        FATE.store(fate, SeqCst);
        let never = libc::timeval { tv_sec: 0, tv_usec: 0 };
        let soon = libc::timeval { tv_sec: 0, tv_usec: 1 + us as i64 };
        let timer = libc::itimerval { it_interval: never, it_value: soon };
        // SAFETY: reads the timer.
        unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut()) };
    }
}
