//! Third processes: they come between victim and survivor, or after.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::shared::Shared;
use crate::step;

/// Forks, and lets the maker of all shared objects so far be dead: its child, which is who returns,
/// and that one's children are its heirs, and each takes over the ends that it uses first.
///
/// The maker's process stays behind, without its descriptors, to pass the verdict on.
pub fn outlive_maker() {
    let dead: Shared<AtomicU64> = Shared::new();
    // SAFETY: this process has one thread; plain calls, and `_exit` does not return.
    unsafe {
        match libc::fork() {
            -1 => panic!("fork: {}", std::io::Error::last_os_error()),
            0 => {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                while dead.load(SeqCst) == 0 {
                    libc::sched_yield();
                }
            }
            heir => {
                libc::close_range(3, libc::c_uint::MAX, 0);
                dead.store(1, SeqCst);
                let status = step::wait(heir);
                if libc::WIFSIGNALED(status) {
                    libc::kill(libc::getpid(), libc::WTERMSIG(status));
                }
                libc::_exit(libc::WEXITSTATUS(status))
            }
        }
    }
}

/// A third process. A panic in it is the survivor's.
pub struct Helper {
    pid: libc::pid_t,
}

impl Helper {
    pub fn start(body: impl FnOnce()) -> Helper {
        Helper { pid: step::fork(body) }
    }

    /// Waits until it has ended or sleeps in the kernel, so has gone as far as it can.
    pub fn settle(&self) {
        settle(self.pid);
    }

    /// Waits until it starves for a lock: sleeps on the high half of a word of 64 bits.
    pub fn starve(&self) {
        let call = format!("/proc/{}/syscall", self.pid);
        loop {
            // Number and arguments; only "running" outside of the kernel.
            let call = fs::read_to_string(&call).unwrap();
            let mut fields = call.split_whitespace();
            if fields.next() == Some(&libc::SYS_futex.to_string()) {
                let word = fields.next().unwrap().trim_start_matches("0x");
                let half = usize::from_str_radix(word, 16).unwrap() % 8;
                if (half == 4) == cfg!(target_endian = "little") {
                    return;
                }
            }
            std::thread::yield_now();
        }
    }

    /// Stops it, and returns once it stands still.
    pub fn stop(&self) {
        // SAFETY: plain calls; it is our child and not reaped, and a null status is not written.
        unsafe {
            libc::kill(self.pid, libc::SIGSTOP);
            libc::waitpid(self.pid, std::ptr::null_mut(), libc::WUNTRACED);
        }
    }

    /// Lets it go on that was stopped.
    pub fn go_on(&self) {
        // SAFETY: plain call, as above.
        unsafe { libc::kill(self.pid, libc::SIGCONT) };
    }

    /// Waits until it has ended, and insists that it ended well.
    pub fn join(self) {
        let status = step::wait(self.pid);
        assert!(status == 0, "third process: {}", step::describe(status));
    }
}

/// Runs `body` in a third process and waits for it.
pub fn elsewhere(body: impl FnOnce()) {
    Helper::start(body).join();
}

/// A third process that makes something and stays alive with it until dropped.
pub struct Keeper {
    pid: libc::pid_t,
    made: Shared<AtomicU64>,
}

impl Keeper {
    /// Returns at once; `make` may have to wait for others.
    pub fn start<T>(make: impl FnOnce() -> T) -> Keeper {
        let made: Shared<AtomicU64> = Shared::new();
        let pid = step::fork(|| {
            let _kept = make();
            made.store(1, SeqCst);
            loop {
                // SAFETY: plain call.
                unsafe { libc::pause() };
            }
        });
        Keeper { pid, made }
    }

    /// Returns once `make` has returned in the new process.
    pub fn of<T>(make: impl FnOnce() -> T) -> Keeper {
        let keeper = Keeper::start(make);
        keeper.wait();
        keeper
    }

    /// Waits until `make` has returned, and insists that it did not panic.
    pub fn wait(&self) {
        while self.made.load(SeqCst) == 0 {
            assert!(!step::has_ended(self.pid), "a third process failed");
            std::thread::yield_now();
        }
    }

    /// Waits until it has made its thing or sleeps in the kernel.
    pub fn settle(&self) {
        settle(self.pid);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        step::kill(self.pid);
    }
}

fn settle(pid: libc::pid_t) {
    let stat = format!("/proc/{pid}/stat");
    loop {
        let stat = fs::read_to_string(&stat).unwrap();
        let state = stat.rsplit(") ").next().unwrap().chars().next().unwrap();
        if matches!(state, 'S' | 'Z') {
            return;
        }
        std::thread::yield_now();
    }
}
