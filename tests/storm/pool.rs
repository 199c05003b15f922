//! `Pool`: workers are killed while tasks run; no task is lost, none is done twice, nobody hangs.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use shmkit::{Async, Pool, RawArray, TaskError, Value};

use crate::ledger::Rng;
use crate::shared::{Shared, Text, Zeroed};
use crate::{DEADLINE, Test, dice, kills, setting, step};

pub fn tests() -> Vec<Test> {
    vec![
        storm("pool::single_tasks", single_tasks),
        storm("pool::single_tasks_that_are_run_again", tasks_run_again),
        storm("pool::maps", maps),
    ]
}

/// Tasks for each kill: 3 million for the 10,000 of `ci/storm.sh`.
const TASKS_PER_KILL: u64 = 300;
/// Tasks that are on the board at once.
const BATCH: u64 = 1000;
const WORKERS: usize = 3;
const PAUSE_MAX: Duration = Duration::from_micros(1500);
const STOP_MAX: Duration = Duration::from_millis(3);

/// What outlives the process that has the pool.
struct Said {
    tasks: AtomicU64,
    died: AtomicU64,
    kills: AtomicU64,
    text: Text,
}

// SAFETY: atomic words only.
unsafe impl Zeroed for Said {}

/// A test in a process of its own, which may have threads.
fn storm(name: &str, body: fn(&Said, u64)) -> Test {
    let run = move || {
        let said: Shared<Said> = Shared::new();
        let seed = setting("SHMKIT_STORM_SEED").unwrap_or_else(dice);
        let pid = step::fork(|| {
            let words = said.clone();
            std::panic::set_hook(Box::new(move |panic| words.text.say(&panic.to_string())));
            body(&said, seed);
        });
        let status = step::wait(pid);
        let [tasks, died, kills] =
            [&said.tasks, &said.died, &said.kills].map(|word| word.load(SeqCst));
        let summary = format!("{kills} kills, {tasks} tasks, {died} of them died, seed {seed}");
        match status {
            0 => Ok(summary),
            _ if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGALRM => {
                Err(vec![format!("hang: no progress in {DEADLINE:?}; {summary}")])
            }
            _ => Err(vec![format!("{} ({}; {summary})", said.text.said(), step::describe(status))]),
        }
    };
    Test { name: name.into(), run: Box::new(run) }
}

/// In a worker: which tasks were done, and how many.
static DONE: OnceLock<(RawArray<u8>, Value<u64>)> = OnceLock::new();

/// Marks task `n` as done; nobody else has. A task that is killed here may or may not be marked.
fn task(n: u64) -> u64 {
    let (marks, count) = DONE.get().unwrap();
    let at = n as usize;
    assert_eq!(marks.get(at), Some(0), "task {n} was done before");
    marks.set(at, 1).unwrap();
    count.fetch_add(1);
    n ^ 0x5555
}

/// As [`task`], but may be done again by another after a death.
fn task_again(n: u64) -> u64 {
    let (_, count) = DONE.get().unwrap();
    count.fetch_add(1);
    n ^ 0x5555
}

/// A pool, what its tasks write down, and who kills its workers.
struct Stage {
    pool: Pool,
    marks: RawArray<u8>,
    count: Value<u64>,
}

impl Stage {
    fn new(retries: u32, tasks: u64) -> Stage {
        let (marks, count) = (RawArray::zeroed(tasks as usize).unwrap(), Value::new(0u64).unwrap());
        let pool = Pool::builder()
            .workers(WORKERS)
            .retries(retries)
            .initializer((marks.clone(), count.clone()), |marks, count| {
                let _ = DONE.set((marks, count));
            })
            .build()
            .unwrap();
        Stage { pool, marks, count }
    }

    /// Kills workers at random moments, after a stop sometimes, until it is `over`.
    fn strike(&self, said: &Said, seed: u64, over: &AtomicBool) {
        let mut rng = Rng::new(seed);
        let pause = |rng: &mut Rng, max: Duration| {
            std::thread::sleep(Duration::from_nanos(rng.below(max.as_nanos() as u64)));
        };
        let goal = kills();
        while !over.load(SeqCst) && said.kills.load(SeqCst) < goal {
            pause(&mut rng, PAUSE_MAX);
            let pids = self.pool.worker_pids();
            if pids.is_empty() {
                continue;
            }
            let pid = pids[rng.below(pids.len() as u64) as usize] as i32;
            // SAFETY: plain calls; a pid that was reaped since names nobody so soon.
            unsafe {
                if rng.one_in(8) {
                    libc::kill(pid, libc::SIGSTOP);
                    pause(&mut rng, STOP_MAX);
                }
                libc::kill(pid, libc::SIGKILL);
            }
            said.kills.fetch_add(1, SeqCst);
        }
    }

    /// Lets `work` run under kills until there were enough, with so many tasks at least.
    fn run(&self, said: &Said, seed: u64, tasks: u64, mut work: impl FnMut(u64)) {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| self.strike(said, seed, &over));
            let mut from = 0;
            while from + BATCH <= tasks {
                // SAFETY: plain call; nothing here catches the signal.
                unsafe { libc::alarm(DEADLINE.as_secs() as u32) };
                work(from);
                from += BATCH;
                said.tasks.store(from, SeqCst);
            }
            over.store(true, SeqCst);
        });
        self.pool.close().join().unwrap();
    }
}

fn tasks() -> u64 {
    (kills() * TASKS_PER_KILL).next_multiple_of(BATCH)
}

/// Whether the result of task `n` is right, `false` if its worker has died.
fn is_done(n: u64, result: Result<u64, TaskError>, said: &Said) -> bool {
    match result {
        Ok(value) => {
            assert_eq!(value, n ^ 0x5555, "a wrong result");
            true
        }
        Err(TaskError::WorkerDied { signal: Some(9), .. }) => {
            said.died.fetch_add(1, SeqCst);
            false
        }
        Err(other) => panic!("task {n}: {other}"),
    }
}

fn single_tasks(said: &Said, seed: u64) {
    let tasks = tasks();
    let stage = Stage::new(0, tasks);
    let mut done = 0;
    stage.run(said, seed, tasks, |from| {
        let give = |n| stage.pool.apply_async((n,), task).unwrap();
        let results: Vec<Async<u64>> = (from..from + BATCH).map(give).collect();
        for (n, result) in (from..).zip(&results) {
            if is_done(n, result.get(), said) {
                assert_eq!(stage.marks.get(n as usize), Some(1));
                done += 1;
            }
        }
    });
    let (count, died) = (stage.count.get(), said.died.load(SeqCst));
    assert!((done..=done + died).contains(&count), "{count} done of {done} and {died} dead");
}

fn tasks_run_again(said: &Said, seed: u64) {
    let tasks = tasks();
    let stage = Stage::new(1000, 1);
    stage.run(said, seed, tasks, |from| {
        let give = |n| stage.pool.apply_async((n,), task_again).unwrap();
        let results: Vec<Async<u64>> = (from..from + BATCH).map(give).collect();
        for (n, result) in (from..).zip(&results) {
            assert!(is_done(n, result.get(), said), "task {n} was not run again");
        }
    });
    let count = stage.count.get();
    assert!((tasks..=tasks + said.kills.load(SeqCst)).contains(&count), "{count} of {tasks}");
}

fn maps(said: &Said, seed: u64) {
    let tasks = tasks();
    let stage = Stage::new(0, tasks);
    stage.run(said, seed, tasks, |from| {
        let results = stage.pool.try_map(from..from + BATCH, task).unwrap();
        assert_eq!(results.len() as u64, BATCH);
        for (n, result) in (from..).zip(results) {
            if is_done(n, result, said) {
                assert_eq!(stage.marks.get(n as usize), Some(1));
            }
        }
    });
}
