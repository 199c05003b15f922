//! Ways to have others do the work, measured in turns: a round trip, tasks one by one, and a map in
//! chunks.

use super::bare::FutexFlag;
use super::crew::{Contestant, Crew, Place, Shape, allowed_cpus, pin, shared};
use shmkit::Pool;
use std::hint::black_box;
use std::time::Instant;

/// What all of them run.
pub fn square(x: u64) -> u64 {
    x.wrapping_mul(x)
}

/// One way to do it: how many nanoseconds each of so many tasks or items takes.
pub struct Row {
    pub name: String,
    /// About so many take one sample's time.
    pub count: u64,
    pub sample: Box<dyn Fn(u64) -> f64>,
    /// Processes that do the work besides this one.
    pub workers: Vec<u32>,
}

impl Row {
    pub fn new(name: &str, count: u64, sample: impl Fn(u64) -> f64 + 'static) -> Row {
        Row { name: name.into(), count, sample: Box::new(sample), workers: Vec::new() }
    }

    pub fn by(mut self, pool: &Pool) -> Row {
        self.workers = pool.worker_pids();
        self
    }
}

/// Nanoseconds that the processes have been on a processor, which a busy machine does not change much.
fn busy_ns(pids: &[u32]) -> f64 {
    let of = |pid: &u32| -> Option<f64> {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
        let files = tasks.flatten().map(|task| task.path().join("schedstat"));
        let first = |text: String| text.split_whitespace().next()?.parse::<f64>().ok();
        Some(files.filter_map(|file| std::fs::read_to_string(file).ok().and_then(first)).sum())
    };
    pids.iter().filter_map(of).sum()
}

/// Nanoseconds for each of `count`.
pub fn ns_each(count: u64, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64 / count as f64
}

/// Prints a table: the rows took turns, round after round; ratios are to the first. The last columns
/// say how long this process and its workers were on a processor for each.
pub fn table(title: &str, rows: &[Row], is_quick: bool) {
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    if wanted.is_some_and(|wanted| !title.contains(&wanted)) {
        return;
    }
    let rounds = if is_quick { 1 } else { 9 };
    let me = [std::process::id()];
    let mut samples = vec![Vec::new(); rows.len()];
    let mut busy = vec![[0.0; 3]; rows.len()];
    for _ in 0..rounds {
        for (nth, row) in rows.iter().enumerate() {
            let count = if is_quick { row.count.min(100) } else { row.count };
            let before = [busy_ns(&me), busy_ns(&row.workers)];
            samples[nth].push((row.sample)(count));
            busy[nth][0] += busy_ns(&me) - before[0];
            busy[nth][1] += busy_ns(&row.workers) - before[1];
            busy[nth][2] += count as f64;
        }
    }
    println!("\n{title}: best ns, median ns, ratio, a second; on a processor: ns here, ns there");
    let mut floor = None;
    for ((row, mut samples), [ours, theirs, count]) in rows.iter().zip(samples).zip(busy) {
        samples.sort_by(f64::total_cmp);
        let (best, median) = (samples[0], samples[samples.len() / 2]);
        let ratio = median / *floor.get_or_insert(median);
        print!("  {:<32} {best:>9.0} {median:>9.0} {ratio:>7.2} {:>11.0}", row.name, 1e9 / median);
        match row.workers.is_empty() {
            true => println!(),
            false => println!("; {:>8.0} {:>8.0}", ours / count, theirs / count),
        }
    }
}

/// Workers, each on one of these processors in turn; all of them anywhere if there are none.
pub fn pool(workers: usize, cpus: Vec<usize>) -> Pool {
    let builder = Pool::builder().workers(workers);
    let built = match cpus.is_empty() {
        true => builder.build(),
        false => builder.initializer((cpus,), |cpus: Vec<usize>| pin(&cpus)).build(),
    };
    built.unwrap()
}

/// Two processes that wake each other by bare futexes. To be made before there are threads.
pub fn bare_wakes() -> Crew {
    // SAFETY: atomics.
    let flags: &[FutexFlag; 2] = unsafe { shared() };
    let give = |nth: usize| flags[nth].set();
    let take = |nth: usize| flags[nth].take();
    Crew::start(2, vec![Contestant::ping_pong("bare", give, take)])
}

/// The round trips: of the floor, and of ours; on one processor, and across two.
pub fn round_trips(crew: Crew) -> [Vec<Row>; 2] {
    let crew = std::rc::Rc::new(crew);
    let all = allowed_cpus();
    [Place::Together, Place::Apart].map(|place| {
        let crew = std::rc::Rc::clone(&crew);
        let cpus = all.clone();
        let (ours, theirs) = match place {
            Place::Apart if cpus.len() > 1 => (cpus[0], cpus[1]),
            _ => (cpus[0], cpus[0]),
        };
        let floor = move |count| {
            let shape = Shape { members: 2, place, operations: count, pause: 0 };
            crew.run(0, shape).as_nanos() as f64 / count as f64
        };
        let pool = std::rc::Rc::new(pool(1, vec![theirs]));
        let same = std::rc::Rc::clone(&pool);
        let apply = move |count| {
            pin(&[ours]);
            let each = ns_each(count, || {
                for n in 0..count {
                    assert_eq!(pool.apply((n,), square).unwrap(), n.wrapping_mul(n));
                }
            });
            pin(&cpus);
            each
        };
        let ours = Row::new("shmkit apply", 5_000, apply).by(&same);
        vec![Row::new("two futex wakes", 5_000, floor), ours]
    })
}

/// A row of ours.
fn row(name: &str, workers: usize, count: u64, work: fn(&Pool, u64)) -> Row {
    let pool = std::rc::Rc::new(pool(workers, vec![]));
    let same = std::rc::Rc::clone(&pool);
    Row::new(name, count, move |count| ns_each(count, || work(&pool, count))).by(&same)
}

/// Our rows where tasks are sent one by one.
pub fn single_tasks(workers: usize) -> Vec<Row> {
    vec![
        row("shmkit map, chunks of 1", workers, 200_000, |pool, count| {
            black_box(pool.map_chunked(0..count, 1, square).unwrap());
        }),
        row("shmkit map, chunks of 16", workers, 1_000_000, |pool, count| {
            black_box(pool.map_chunked(0..count, 16, square).unwrap());
        }),
        row("shmkit imap", workers, 50_000, |pool, count| {
            let squares = pool.imap(0..count, square).map(Result::unwrap);
            black_box(squares.fold(0, u64::wrapping_add));
        }),
        row("shmkit apply_async, then get", workers, 20_000, |pool, count| {
            let give = |n| pool.apply_async((n,), square).unwrap();
            let results: Vec<_> = (0..count).map(give).collect();
            for result in results {
                black_box(result.get().unwrap());
            }
        }),
    ]
}

/// Our row for a map in chunks of its own choice.
pub fn chunked_map(workers: usize) -> Vec<Row> {
    vec![row("shmkit map", workers, 2_000_000, |pool, count| {
        black_box(pool.map(0..count, square).unwrap());
    })]
}
