//! The worker processes, seen from the process that feeds them.
//!
//! A thread per worker hands it groups of files and adds what it answers to the totals. When the
//! worker dies, the thread gives its unfinished groups back, where any worker may get them, and
//! starts another one.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;

use shmkit::{Array, Pipe, Process, Receiver, Sender, Value};

use super::counts::Counts;
use super::files::FileList;
use super::remarks::{Remark, Remarks};
use super::report::plural;
use super::work::{Group, Work};
use super::worker::{self, Answer, Job};

/// A worker has one group to count and one to go on with, so that it never waits for the next.
const IN_HAND: usize = 2;

/// A worker that dies before it has answered anything counts as fruitless. After so many in a row
/// no other one is started in its place.
const FRUITLESS: usize = 10;

/// The result of a whole count.
#[derive(Default)]
pub struct Totals {
    pub counts: Counts,
    /// The length of the text that was counted.
    pub bytes: u64,
    pub remarks: Remarks,
    /// What happened to workers, as sentences for the user.
    pub incidents: Vec<String>,
    /// So many files could not be counted because the workers died.
    pub given_up: usize,
}

/// What the threads that feed the workers share.
struct Crew<'l> {
    list: &'l FileList,
    names: Array<u8>,
    done_bytes: &'l Value<u64>,
    work: Mutex<Work<'l>>,
    totals: Mutex<Totals>,
    /// Whether to kill a worker half way, to show that it does no harm.
    kill_one: bool,
    killed_one: Once,
}

/// Counts the files of the list in `workers` processes.
///
/// # Errors
///
/// When there is no shared memory for the names. That no worker can be started is no error: the
/// totals say what was given up.
pub fn count(
    list: &FileList,
    workers: usize,
    kill_one: bool,
    done_bytes: &Value<u64>,
) -> shmkit::Result<Totals> {
    let crew = Crew {
        list,
        names: Array::from_slice(list.names())?,
        done_bytes,
        work: Mutex::new(Work::new(list, workers)),
        totals: Mutex::default(),
        kill_one,
        killed_one: Once::new(),
    };
    thread::scope(|threads| {
        for _ in 0..workers {
            threads.spawn(|| crew.keep_one_busy());
        }
    });
    crew.give_up_the_rest();
    Ok(crew.totals.into_inner().unwrap_or_else(PoisonError::into_inner))
}

impl<'l> Crew<'l> {
    /// Feeds a worker, and its successors when it dies, until no work is left.
    fn keep_one_busy(&self) {
        let mut fruitless = 0;
        while fruitless < FRUITLESS && self.work().is_left() {
            let worker = match Worker::start(self.names.clone(), self.done_bytes.clone()) {
                Ok(worker) => worker,
                Err(error) => return self.report(format!("no worker could be started: {error}")),
            };
            fruitless = if self.feed(worker) { 0 } else { fruitless + 1 };
        }
    }

    /// Feeds a worker until no work is left or it dies. Returns whether it answered anything.
    fn feed(&self, mut worker: Worker) -> bool {
        let mut answered = false;
        loop {
            while worker.in_hand.len() < IN_HAND
                && let Some(group) = self.next_group()
            {
                worker.give(group, self.list);
            }
            if self.kill_one && self.work().is_past_half() {
                self.killed_one.call_once(|| worker.kill());
            }
            if worker.in_hand.is_empty() {
                break;
            }
            match worker.answers.recv() {
                Ok(answer) => self.add(answer, &mut worker),
                Err(_) => break,
            }
            answered = true;
        }
        self.dismiss(worker);
        answered
    }

    fn add(&self, answer: Answer, worker: &mut Worker) {
        // Answers come in the order of the jobs.
        let group = worker.in_hand.pop_front().expect("an answer to a job");
        let mut totals = self.totals();
        totals.counts.add_news(answer.news, &mut worker.numbers);
        totals.bytes += answer.bytes;
        for (number, remark) in answer.remarks {
            totals.remarks.add(remark, self.list.path(group.first + number as usize));
        }
    }

    /// Lets a worker go that has nothing left to do; takes back what a dead one had in hand.
    fn dismiss(&self, worker: Worker) {
        let Worker { process, jobs, answers, in_hand, .. } = worker;
        // The end of its jobs is the end of a worker.
        drop((jobs, answers));
        let how = match process.join() {
            Ok(()) if in_hand.is_empty() => return,
            Ok(()) => "left too early".to_string(),
            Err(error) => format!("died ({error})"),
        };
        let files: usize = in_hand.iter().map(|group| group.files).sum();
        self.work().give_back(in_hand);
        let files = plural(files, "unfinished file");
        self.report(format!("worker {} {how}: {files} given out again", process.pid()));
    }

    /// Work that is left when all feeders have ended was given up by all of them.
    fn give_up_the_rest(&self) {
        let mut totals = self.totals();
        while let Some(group) = self.work().take() {
            totals.given_up += group.files;
            for file in group.first..group.first + group.files {
                totals.remarks.add(Remark::GivenUp, self.list.path(file));
            }
        }
    }

    /// Takes a group without keeping the lock, as `self.work().take()` would in a condition.
    fn next_group(&self) -> Option<Group> {
        self.work().take()
    }

    fn report(&self, incident: String) {
        self.totals().incidents.push(incident);
    }

    fn work(&self) -> MutexGuard<'_, Work<'l>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A worker process and the way to it.
struct Worker {
    process: Process<()>,
    jobs: Sender<Job>,
    answers: Receiver<Answer>,
    /// Groups given to it and not answered, in the order in which they were given.
    in_hand: VecDeque<Group>,
    /// Our numbers for its words.
    numbers: Vec<u32>,
}

impl Worker {
    fn start(names: Array<u8>, done_bytes: Value<u64>) -> shmkit::Result<Worker> {
        let (their_jobs, jobs) = Pipe::simplex()?;
        let (answers, their_answers) = Pipe::simplex()?;
        let arguments = (names, their_jobs, their_answers, done_bytes);
        let process =
            Process::builder().name("worker").daemon(true).spawn(arguments, worker::work)?;
        let (in_hand, numbers) = (VecDeque::new(), Vec::new());
        Ok(Worker { process, jobs, answers, in_hand, numbers })
    }

    fn give(&mut self, group: Group, list: &FileList) {
        let name_at = list.files()[group.first].name_at as u64;
        self.in_hand.push_back(group);
        // When the worker is dead, the next look for an answer tells.
        let _ = self.jobs.send(Job { name_at, files: group.files as u64 });
    }

    fn kill(&self) {
        // It may have died already, which is as good.
        let _ = self.process.kill();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::super::files;
    use super::*;

    #[test]
    fn files_that_change_after_they_were_listed_stop_nobody() {
        let root = std::env::temp_dir().join(format!("shmkit-crew-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        let path = |name: &str| root.join(name);
        for name in ["same", "vanishes", "fifo", "directory", "loop", "grows"] {
            fs::write(path(name), "word").unwrap();
        }
        let (list, _) = files::list(std::slice::from_ref(&root), false);
        for name in ["vanishes", "fifo", "directory", "loop"] {
            fs::remove_file(path(name)).unwrap();
        }
        mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        fs::create_dir(path("directory")).unwrap();
        symlink("loop", path("loop")).unwrap();
        fs::write(path("grows"), "word and more").unwrap();

        let totals = count(&list, 2, false, &Value::new(0).unwrap()).unwrap();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(totals.counts.top(3), [(&b"word"[..], 2), (b"and", 1), (b"more", 1)]);
        let remarks: Vec<_> = totals.remarks.iter().map(|(kind, count, _)| (kind, count)).collect();
        let expected = [(Remark::NotAFile, 2), (Remark::Unreadable, 1), (Remark::Vanished, 1)];
        assert_eq!(remarks, expected);
        assert!(totals.incidents.is_empty());
    }
}
