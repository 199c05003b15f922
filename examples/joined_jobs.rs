//! Four workers do ten jobs; one of them is killed in the middle of its first. The others do that,
//! too, and `join` returns when all is done.
//!
//! `cargo run --example joined_jobs`

use shmkit::{Array, Event, JoinableQueue, Process, Result};

fn work(jobs: JoinableQueue<usize>, done: Array<u32>) {
    for job in jobs.iter() {
        done.set(*job, job.attempts()).unwrap();
        job.done();
    }
}

fn start_and_hang(jobs: JoinableQueue<usize>, started: Event) {
    let _job = jobs.get().unwrap();
    started.set();
    loop {
        std::thread::park();
    }
}

fn main() -> Result<()> {
    let (jobs, done) = (JoinableQueue::new(10)?, Array::zeroed(10)?);
    jobs.put_many((0..10).collect())?;

    let started = Event::new()?;
    let victim = Process::spawn((jobs.clone(), started.clone()), start_and_hang)?;
    started.wait();
    let spawn = |_| Process::spawn((jobs.clone(), done.clone()), work);
    let workers: Vec<_> = (0..3).map(spawn).collect::<Result<_>>()?;
    victim.kill()?;

    jobs.join()?;
    println!("attempts: {:?}", done.iter().collect::<Vec<_>>());
    jobs.close(); // the workers end
    for worker in workers {
        worker.join()?;
    }
    Ok(())
}
