//! Ways to start a process that does next to nothing, and to wait for its end.

use shmkit::{Method, Process};
use std::ffi::CString;
use std::time::{Duration, Instant};

/// In the environment of a process that is to end before its `main`.
const END: &str = "SHMKIT_BENCH_END";

/// What a process does that only shows what it costs to start this program: nothing.
extern "C" fn end_at_once() {
    // SAFETY: the name ends with NUL; ends the process.
    unsafe {
        if !libc::getenv(c"SHMKIT_BENCH_END".as_ptr()).is_null() {
            libc::_exit(0);
        }
    }
}

#[used]
#[unsafe(link_section = ".init_array")]
static END_AT_ONCE: extern "C" fn() = end_at_once;

/// Who starts a process and waits for its end.
pub struct Contestant {
    pub name: &'static str,
    run: Box<dyn Fn()>,
    /// How long it says that it took itself, of so many.
    measures_itself: Option<Box<dyn Fn(u32) -> Option<Duration>>>,
    /// Whether its time grows with the memory of the parent.
    pub copies: bool,
}

#[allow(dead_code, reason = "one of the benches has fewer contestants")]
impl Contestant {
    pub fn new(name: &'static str, run: impl Fn() + 'static) -> Contestant {
        Contestant { name, run: Box::new(run), measures_itself: None, copies: false }
    }

    fn copying(name: &'static str, run: impl Fn() + 'static) -> Contestant {
        Contestant { copies: true, ..Contestant::new(name, run) }
    }

    /// `run` gives the time for one of so many, or nothing where there is no such thing.
    pub fn elsewhere(
        name: &'static str,
        run: impl Fn(u32) -> Option<Duration> + 'static,
    ) -> Contestant {
        let measures_itself = Some(Box::new(run) as Box<dyn Fn(u32) -> Option<Duration>>);
        Contestant { measures_itself, ..Contestant::new(name, || ()) }
    }

    /// Time for `count`, one after the other.
    pub fn time(&self, count: u32) -> Duration {
        if let Some(run) = &self.measures_itself {
            return run(count).unwrap_or_default() * count;
        }
        let start = Instant::now();
        for _ in 0..count {
            (self.run)();
        }
        start.elapsed()
    }
}

fn reap(pid: libc::pid_t) {
    let mut status = -1;
    // SAFETY: `status` is ours.
    let reaped = unsafe { libc::waitpid(pid, &mut status, 0) };
    assert_eq!((reaped, status), (pid, 0));
}

fn fork_bare() {
    // SAFETY: the child only ends.
    match unsafe { libc::fork() } {
        // SAFETY: ends the process.
        0 => unsafe { libc::_exit(0) },
        pid => reap(pid),
    }
}

fn posix_spawn_bare(environment: &[*mut libc::c_char]) {
    let argv = [c"floor".as_ptr().cast_mut(), std::ptr::null_mut()];
    let mut pid = 0;
    // SAFETY: both arrays end with null, and what they point to outlives the call.
    let error = unsafe {
        libc::posix_spawn(
            &mut pid,
            c"/proc/self/exe".as_ptr(),
            std::ptr::null(),
            std::ptr::null(),
            argv.as_ptr(),
            environment.as_ptr(),
        )
    };
    assert_eq!(error, 0);
    reap(pid);
}

/// The floors first: `posix_spawn`, then `fork`.
pub fn contestants() -> Vec<Contestant> {
    let add = |a: u64, b: u64| a + b;
    let ours = move |method: Method| {
        move || {
            let child = Process::builder().method(method).spawn((20, 1), add).unwrap();
            assert_eq!(child.join().unwrap(), 21);
        }
    };
    let entries: Vec<CString> = std::env::vars()
        .chain([(END.into(), "1".into())])
        .map(|(name, value)| CString::new(format!("{name}={value}")).unwrap())
        .collect();
    let entries: &'static [CString] = entries.leak();
    let environment: Vec<*mut libc::c_char> =
        entries.iter().map(|e| e.as_ptr().cast_mut()).chain([std::ptr::null_mut()]).collect();
    vec![
        Contestant::new("posix_spawn, of this program", move || posix_spawn_bare(&environment)),
        Contestant::copying("fork", fork_bare),
        Contestant::new("std Command, of this program", || {
            let mut command = std::process::Command::new("/proc/self/exe");
            assert!(command.env(END, "1").status().unwrap().success());
        }),
        Contestant::new("our Spawn", ours(Method::Spawn)),
        Contestant::new("our ForkServer", ours(Method::ForkServer)),
        Contestant::copying("our fork", || {
            let (a, b) = (20u64, 1);
            // SAFETY: the numbers are all that the child uses.
            let child = unsafe { Process::fork(move || a + b) }.unwrap();
            assert_eq!(child.join().unwrap(), 21);
        }),
    ]
}

/// Memory that was written to, in small pages, given back when it is dropped.
pub struct Ballast(*mut libc::c_void, usize);

impl Ballast {
    pub fn new(bytes: usize) -> Ballast {
        if bytes == 0 {
            return Ballast(std::ptr::null_mut(), 0);
        }
        // SAFETY: a private mapping of the kernel's choice, written within its bounds.
        unsafe {
            let (read_write, flags) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            let at = libc::mmap(std::ptr::null_mut(), bytes, read_write, flags, -1, 0);
            assert_ne!(at, libc::MAP_FAILED);
            libc::madvise(at, bytes, libc::MADV_NOHUGEPAGE);
            for page in (0..bytes).step_by(4096) {
                at.cast::<u8>().add(page).write(1);
            }
            Ballast(at, bytes)
        }
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        if self.1 != 0 {
            // SAFETY: mapped by `new`, and not used any more.
            unsafe { libc::munmap(self.0, self.1) };
        }
    }
}

/// Prints minimum and median of each, in turns, and ratios of the medians to both floors.
pub fn table(title: &str, contestants: &[Contestant], rounds: u32) {
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); contestants.len()];
    for _ in 0..rounds {
        for (times, contestant) in times.iter_mut().zip(contestants) {
            // Those that measure themselves start a program for it, and begin slowly.
            let count = if contestant.measures_itself.is_some() { 20 } else { 1 };
            times.push(contestant.time(count).as_secs_f64() * 1e6 / f64::from(count));
        }
    }
    println!("\n{title}, microseconds{:13}minimum    median  / posix_spawn  / fork", "");
    let median = |times: &[f64]| times[times.len() / 2];
    for times in &mut times {
        times.sort_by(f64::total_cmp);
    }
    let (spawn, fork) = (median(&times[0]), median(&times[1]));
    for (times, contestant) in times.iter().zip(contestants) {
        if median(times) == 0.0 {
            println!("{:40} is not here", contestant.name);
            continue;
        }
        println!(
            "{:40} {:9.0} {:9.0} {:14.2} {:7.2}",
            contestant.name,
            times[0],
            median(times),
            median(times) / spawn,
            median(times) / fork
        );
    }
}

/// The tables: against the memory of this process, which is given back in between.
pub fn tables(contestants: &[Contestant], is_quick: bool) {
    for (title, bytes, rounds) in [
        ("start to end, small parent", 0, 201),
        ("start to end, parent of 100 MB", 100 << 20, 51),
        ("start to end, parent of 1 GB", 1 << 30, 11),
    ] {
        let (bytes, rounds) = if is_quick { (bytes >> 5, 1) } else { (bytes, rounds) };
        let _ballast = Ballast::new(bytes);
        table(title, contestants, rounds);
    }
}
