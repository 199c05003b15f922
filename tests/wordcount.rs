//! The main job does what its users rely on: the example program is run as they run it, over a
//! tree with all that a tree can hold, and while its workers are killed.
#![cfg(all(feature = "serde", feature = "takeover", not(loom)))]

// The unit tests of the example's own modules are part of this suite.
#[path = "../examples/wordcount/main.rs"]
#[allow(dead_code)]
mod program;

#[path = "common/example.rs"]
mod example;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};

/// So long a bug may hang before it fails; nothing takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn odd_files_are_reported_and_none_stops_the_run() {
    let tree = Tree::new("odd");
    tree.file("one.txt", b"The cat, the CAT and the hat.\n");
    tree.file("deep/er/two.txt", b"a cat-o'-nine-tails 9");
    tree.file(OsStr::from_bytes(b"name \xff.txt"), b"the end");
    tree.file("binary", b"the\0the the");
    tree.file("late zero", &[&[b' '; 8192][..], b"cat\0cat"].concat());
    tree.file("latin-1", b"na\xefve na\xefve");
    tree.file("empty", b"");
    tree.directory("no entries");
    symlink("nowhere", tree.path("dangling")).unwrap();
    symlink(".", tree.path("deep/loop")).unwrap();
    symlink("../one.txt", tree.path("deep/twice")).unwrap();
    fifo(&tree.path("fifo"));
    let _socket = UnixListener::bind(tree.path("socket")).unwrap();

    let run = wordcount(&[tree.root.as_os_str(), "--check".as_ref()]);
    assert_eq!(run.status, Some(0), "{run:?}");
    // 7 + 6 + 2 + 2 + 2 words in five texts.
    assert_eq!(run.totals(), (19, 11), "{run:?}");
    run.says("4  the\n");
    run.says("5  cat\n");
    run.says("1 binary (a zero byte in the first 8 KiB): ");
    run.says("1 empty: ");
    run.says("1 not UTF-8, counted all the same: ");
    run.says("3 symbolic link, not followed: ");
    run.says("2 neither file nor directory: ");
    run.says("check: all 11 words as often as in a plain count");
    run.says("speed-up ");
    assert!(run.stderr.is_empty(), "no progress line in a pipe: {run:?}");
}

#[test]
fn a_tree_without_text_is_counted_too() {
    let tree = Tree::new("bare");
    let run = wordcount(&[tree.root.as_os_str(), "--check".as_ref()]);
    assert_eq!((run.status, run.totals()), (Some(0), (0, 0)), "{run:?}");
}

#[test]
fn more_workers_than_files_do_no_harm() {
    let tree = Tree::new("few");
    tree.file("a", b"word");
    let run = wordcount(&[tree.root.as_os_str(), "--workers".as_ref(), "7".as_ref()]);
    assert_eq!((run.status, run.totals()), (Some(0), (1, 1)), "{run:?}");
}

#[test]
fn caches_are_left_out_unless_they_are_named() {
    let tree = Tree::new("caches");
    tree.file("Cargo.toml", b"[package]");
    tree.file("target/CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55");
    tree.file("target/debug/log", b"built");
    tree.file(".git/HEAD", b"ref");
    tree.file("src/lib.rs", b"pub fn");

    let by_default = finish(command().current_dir(tree.path("src")).spawn().unwrap());
    assert_eq!(by_default.totals(), (3, 3), "{by_default:?}");
    let named = wordcount(&[tree.path("target").as_os_str(), tree.path(".git").as_os_str()]);
    assert_eq!(named.totals(), (4, 4), "{named:?}");
}

#[test]
fn mistakes_are_told_before_any_work() {
    for mistake in ["--unknown", "no/such/path"] {
        let run = wordcount(&[mistake.as_ref()]);
        assert_eq!(run.status, Some(2), "{run:?}");
        assert!(run.stderr.contains(mistake) && run.stdout.is_empty(), "{run:?}");
    }
    let run = wordcount(&["--help".as_ref()]);
    assert_eq!(run.status, Some(0));
    run.says("--kill-one");
}

#[test]
fn a_worker_killed_half_way_costs_no_word_ten_times_in_a_row() {
    let tree = Tree::new("kill-one");
    let expected = tree.fill(100, 2_000);
    for workers in [1, 2, 2, 2, 2, 3, 3, 3, 3, 5] {
        let workers = workers.to_string();
        let options = ["--check", "--kill-one", "--workers", &workers].map(OsStr::new);
        let run = wordcount(&[&[tree.root.as_os_str()], &options[..]].concat());
        assert_eq!((run.status, run.totals().0), (Some(0), expected), "{run:?}");
        assert_eq!(run.deaths(), 1, "{run:?}");
    }
}

#[test]
fn a_worker_killed_from_outside_is_reported_and_replaced() {
    let tree = Tree::new("kill");
    let expected = tree.fill(200, 10_000);
    // The run may be over before we find a worker: then it has to be done once more.
    for _attempt in 0..20 {
        let child = command().arg(&tree.root).args(["--check", "--workers", "2"]).spawn().unwrap();
        let victim = worker_that_read(child.id(), 1 << 20);
        if let Some(pid) = victim {
            // A wrong process could only be hit if this one ended in this very moment.
            let _ = kill_process(pid, Signal::KILL);
        }
        let run = finish(child);
        assert_eq!((run.status, run.totals().0), (Some(0), expected), "{run:?}");
        if run.deaths() == 1 {
            run.says(&format!("worker {} died", victim.unwrap().as_raw_nonzero()));
            return;
        }
        assert_eq!(run.deaths(), 0, "{run:?}");
    }
    panic!("no worker was met while it worked");
}

#[test]
fn a_storm_of_kills_ends_with_right_totals_or_with_a_word_about_the_rest() {
    let tree = Tree::new("storm");
    let expected = tree.fill(50, 1_000);
    let child = command().arg(&tree.root).args(["--workers", "2"]).spawn().unwrap();
    while let Some(pid) = worker_that_read(child.id(), 0) {
        let _ = kill_process(pid, Signal::KILL);
    }
    let run = finish(child);
    match run.status {
        Some(0) => assert_eq!(run.totals().0, expected, "{run:?}"),
        _ => run.says("given up: one worker after the other died"),
    }
}

/// A directory of our own, removed in the end.
struct Tree {
    root: PathBuf,
}

impl Tree {
    fn new(name: &str) -> Tree {
        let root = std::env::temp_dir().join(format!("shmkit-words-{name}-{}", std::process::id()));
        fs::create_dir_all(&root).unwrap();
        Tree { root }
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    fn directory(&self, name: &str) {
        fs::create_dir_all(self.path(name)).unwrap();
    }

    fn file(&self, name: impl AsRef<Path>, content: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Makes `files` files of `words` words each, many of them rare. Returns how many words.
    fn fill(&self, files: u64, words: u64) -> u64 {
        let mut state = 1_u64;
        for file in 0..files {
            let mut text = String::new();
            for _ in 0..words {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                // The product of two numbers prefers small ones, as language does.
                let rank = (state >> 56) * (state >> 48 & 0xff) * (state >> 40 & 7);
                text += &format!("w{rank:x} ");
            }
            self.file(format!("{}/{file}", file % 10), text.as_bytes());
        }
        files * words
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// What a run of the program left.
#[derive(Debug)]
struct Run {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    /// Total and distinct words, as the first line tells them.
    fn totals(&self) -> (u64, u64) {
        let number_before = |what| {
            let words: Vec<&str> = self.stdout.lines().next()?.split([' ', ',']).collect();
            let place = words.iter().position(|&word| word == what)?;
            words[place - 1].parse().ok()
        };
        match (number_before("words"), number_before("distinct")) {
            (Some(total), Some(distinct)) => (total, distinct),
            _ => panic!("no totals: {self:?}"),
        }
    }

    fn deaths(&self) -> usize {
        self.stdout
            .lines()
            .filter(|line| line.starts_with("worker ") && line.contains(" died ("))
            .count()
    }

    fn says(&self, text: &str) {
        assert!(self.stdout.contains(text), "{text:?} is not in {self:?}");
    }
}

fn wordcount(arguments: &[&OsStr]) -> Run {
    finish(command().args(arguments).spawn().unwrap())
}

fn command() -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let mut command = Command::new(PROGRAM.get_or_init(|| example::build("wordcount")));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits for the end of a run, but not for ever.
fn finish(child: Child) -> Run {
    let pid = Pid::from_child(&child);
    let (sender, receiver) = mpsc::channel();
    let waiter = thread::spawn(move || sender.send(child.wait_with_output()));
    let outcome = receiver.recv_timeout(PATIENCE);
    if let Err(RecvTimeoutError::Timeout) = outcome {
        let _ = kill_process(pid, Signal::KILL);
    }
    let _ = waiter.join();
    let Output { status, stdout, stderr } = outcome.expect("the run ends in time").unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
    Run { status: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// A child of `parent` that has read so many bytes; `None` when the parent ends first.
fn worker_that_read(parent: u32, bytes: u64) -> Option<Pid> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        // An exited parent is a zombie until `finish` reaps it, and has no children any more.
        if state_and_parent(&parent.to_string())?.0 == "Z" {
            return None;
        }
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().into_string() else { continue };
            let is_child = state_and_parent(&pid).is_some_and(|(_, of)| of == parent.to_string());
            if is_child && bytes_read(&pid).is_some_and(|read| read >= bytes) {
                return Pid::from_raw(pid.parse().ok()?);
            }
        }
        thread::yield_now();
    }
    panic!("neither a worker nor an end");
}

/// The third and the fourth field of `/proc/PID/stat`.
fn state_and_parent(pid: &str) -> Option<(String, String)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.to_string(), fields.next()?.to_string()))
}

fn bytes_read(pid: &str) -> Option<u64> {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    io.lines().find_map(|line| line.strip_prefix("rchar: "))?.parse().ok()
}

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
}
