//! The worker: what runs in the other processes.

use serde::{Deserialize, Serialize};
use shmkit::{Array, LockError, Receiver, Sender, Value};

use super::counter::Counter;
use super::counts::News;
use super::files::paths_from;
use super::remarks::Remark;

/// A group of files to count: where its first name begins in the string of names, and how many.
#[derive(Serialize, Deserialize)]
pub struct Job {
    pub name_at: u64,
    pub files: u64,
}

/// All there is to say about the files of one job, which has no other message. So the files are
/// counted wholly or not at all, wherever the worker dies.
#[derive(Serialize, Deserialize)]
pub struct Answer {
    pub news: News,
    pub bytes: u64,
    /// Which file of the job, from 0 on.
    pub remarks: Vec<(u64, Remark)>,
}

/// Answers one job after the other until there are no more, or nobody to answer.
pub fn work(
    names: Array<u8>,
    jobs: Receiver<Job>,
    answers: Sender<Answer>,
    done_bytes: Value<u64>,
) {
    let names = copy(&names);
    let mut counter = Counter::new(done_bytes);
    for job in jobs.iter() {
        let (mut bytes, mut remarks) = (0, Vec::new());
        let paths = paths_from(&names, job.name_at as usize);
        for (number, path) in (0..job.files).zip(paths) {
            let outcome = counter.count_file(path);
            bytes += outcome.bytes;
            remarks.extend(outcome.remark.map(|remark| (number, remark)));
        }
        let news = counter.counts.take_news();
        if answers.send(Answer { news, bytes, remarks }).is_err() {
            break;
        }
    }
}

/// The names, out of shared memory.
fn copy(names: &Array<u8>) -> Vec<u8> {
    match names.lock() {
        Ok(guard) => guard.to_vec(),
        // A worker was killed while it held the lock. It changed nothing.
        Err(LockError::OwnerDied(guard)) => guard.recover().to_vec(),
        Err(error) => panic!("the names cannot be read: {error}"),
    }
}
