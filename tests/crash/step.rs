//! A forked victim that runs one instruction at a time until it is killed.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use libc::{c_int, c_void, pid_t};

/// The victim calls this where the instructions to be tried begin; what it did before is set-up.
#[inline(never)]
pub fn begin() {
    // SAFETY: plain calls; the parent is waiting for this stop.
    unsafe {
        if libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) != 0 {
            libc::_exit(EXIT_UNTRACED);
        }
        libc::kill(libc::getpid(), libc::SIGSTOP);
    }
}

/// The victim calls this where the instructions to be tried end. It does not return: the victim is
/// killed here, alive and with all that it holds.
#[inline(never)]
pub fn end() -> ! {
    // SAFETY: plain calls.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGSTOP);
        libc::_exit(0)
    }
}

/// How long a victim may run at full speed: much longer than it takes to wherever it is wanted.
const PATIENCE: Duration = Duration::from_secs(3);
const EXIT_UNTRACED: c_int = 120;
const EXIT_PANICKED: c_int = 121;

/// Forks a child that runs `body`, dies with its parent, and exits without running destructors of
/// what it inherited.
pub fn fork(body: impl FnOnce()) -> pid_t {
    // SAFETY: this process has one thread, so the child may do what the parent may.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", io::Error::last_os_error()),
        0 => {
            // SAFETY: plain calls; `_exit` never returns.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                let panicked = catch_unwind(AssertUnwindSafe(body)).is_err();
                libc::_exit(if panicked { EXIT_PANICKED } else { 0 })
            }
        }
        pid => pid,
    }
}

/// Where the victim is after it was let run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    /// At some instruction of its operation.
    Instruction,
    /// At [`end`], its operation complete.
    End,
}

/// A traced child of this process.
pub struct Victim {
    pid: pid_t,
    /// A signal that stopped it and is still to be delivered.
    signal: c_int,
    at: At,
}

impl Victim {
    /// Forks `body` and waits until it calls [`begin`].
    pub fn start(body: impl FnOnce()) -> Result<Victim, String> {
        let pid = fork(|| {
            body();
            end()
        });
        let mut victim = Victim { pid, signal: 0, at: At::Instruction };
        let status = victim.wait();
        if !libc::WIFSTOPPED(status) {
            victim.pid = 0;
            return Err(format!("the victim ended before its operation: {}", describe(status)));
        }
        victim.ptrace(libc::PTRACE_SETOPTIONS, 0, libc::PTRACE_O_EXITKILL as usize)?;
        Ok(victim)
    }

    pub fn at(&self) -> At {
        self.at
    }

    /// Executes one instruction; a system call counts as one.
    pub fn step(&mut self) -> Result<At, String> {
        self.resume(libc::PTRACE_SINGLESTEP)
    }

    /// Runs on to [`end`].
    pub fn run(&mut self) -> Result<(), String> {
        while self.resume(libc::PTRACE_CONT)? != At::End {}
        Ok(())
    }

    /// The address of the instruction that comes next.
    pub fn instruction(&self) -> Result<u64, String> {
        // The only question to ptrace that every architecture answers in the same layout.
        let mut info = [0u64; 11];
        // SAFETY: the kernel writes at most the size that it is given.
        let result = unsafe {
            libc::ptrace(
                libc::PTRACE_GET_SYSCALL_INFO,
                self.pid,
                size_of_val(&info),
                info.as_mut_ptr().cast::<c_void>(),
            )
        };
        if result < 0 {
            return Err(format!("PTRACE_GET_SYSCALL_INFO: {}", io::Error::last_os_error()));
        }
        Ok(info[1])
    }

    /// Whether the instruction at `address` enters the kernel.
    pub fn is_system_call(&self, address: u64) -> Result<bool, String> {
        let word = self.peek(address)?;
        Ok(if cfg!(target_arch = "x86_64") {
            word & 0xffff == 0x050f
        } else {
            word & 0xffff_ffff == 0xd400_0001 // aarch64: svc #0
        })
    }

    /// Runs at full speed until the instruction at `address` is next for the `hits`-th time from
    /// here. The victim's code is changed for the time being, in its own copy of the page.
    pub fn run_to(&mut self, address: u64, hits: usize) -> Result<(), String> {
        const RIP: usize = 16 * 8; // in x86-64's `struct user`
        let word = self.peek(address)?;
        for hit in 0..hits {
            if hit > 0 {
                self.step()?; // off the place where the breakpoint goes
            }
            self.ptrace(libc::PTRACE_POKETEXT, address as usize, (word & !0xff | 0xcc) as usize)?;
            let at = self.resume(libc::PTRACE_CONT)?;
            self.ptrace(libc::PTRACE_POKETEXT, address as usize, word as usize)?;
            if at == At::End || self.instruction()? != address + 1 {
                break; // it came by another way, or was nudged
            }
            self.ptrace(libc::PTRACE_POKEUSER, RIP, address as usize)?;
        }
        Ok(())
    }

    /// Kills it and waits until the kernel has let go of all that it held.
    pub fn kill(self) {
        drop(self);
    }

    fn resume(&mut self, request: u32) -> Result<At, String> {
        if self.at == At::End {
            return Ok(At::End);
        }
        loop {
            self.ptrace(request, 0, self.signal as usize)?;
            self.signal = 0;
            let status =
                if request == libc::PTRACE_CONT { self.wait_and_nudge() } else { self.wait() };
            if !libc::WIFSTOPPED(status) {
                self.pid = 0;
                return Err(format!("the victim died by itself: {}", describe(status)));
            }
            match libc::WSTOPSIG(status) {
                libc::SIGTRAP => return Ok(At::Instruction),
                libc::SIGSTOP => {
                    self.at = At::End;
                    return Ok(At::End);
                }
                other => self.signal = other,
            }
        }
    }

    fn ptrace(&self, request: u32, address: usize, data: usize) -> Result<(), String> {
        // SAFETY: none of the requests made here touches this process's memory.
        if unsafe { libc::ptrace(request, self.pid, address, data) } == -1 {
            return Err(format!("ptrace request {request}: {}", io::Error::last_os_error()));
        }
        Ok(())
    }

    fn peek(&self, address: u64) -> Result<u64, String> {
        // SAFETY: the C library's wrapper returns the word and reports errors in `errno` alone.
        let (word, error) = unsafe {
            *libc::__errno_location() = 0;
            let word = libc::ptrace(libc::PTRACE_PEEKTEXT, self.pid, address, 0);
            (word as u64, *libc::__errno_location())
        };
        if error != 0 {
            return Err(format!("peek at {address:#x}: {}", io::Error::from_raw_os_error(error)));
        }
        Ok(word)
    }

    fn wait(&self) -> c_int {
        wait(self.pid)
    }

    /// Waits, but stops a victim that has taken another way, to where it waits for ever.
    fn wait_and_nudge(&self) -> c_int {
        let (started, mut status, mut nudged) = (Instant::now(), 0, false);
        // SAFETY: writes one integer.
        while unsafe { libc::waitpid(self.pid, &mut status, libc::__WALL | libc::WNOHANG) } == 0 {
            if started.elapsed() > PATIENCE && !nudged {
                // SAFETY: plain call; the victim is ours and not reaped.
                unsafe { libc::kill(self.pid, libc::SIGTRAP) };
                nudged = true;
            }
            std::thread::yield_now();
        }
        status
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        if self.pid != 0 {
            kill(self.pid);
        }
    }
}

/// Kills a child and reaps it.
pub fn kill(pid: pid_t) {
    // SAFETY: plain call; the child is ours and not reaped yet.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    while libc::WIFSTOPPED(wait(pid)) {}
}

/// Waits for the next change of a child's state; a process that has none of that id panics.
pub fn wait(pid: pid_t) -> c_int {
    let mut status = 0;
    loop {
        // SAFETY: writes one integer.
        let result = unsafe { libc::waitpid(pid, &mut status, libc::__WALL) };
        if result == pid {
            return status;
        }
        let error = io::Error::last_os_error();
        assert!(error.kind() == io::ErrorKind::Interrupted, "waitpid {pid}: {error}");
    }
}

/// Whether a child has ended; it stays to be reaped.
pub fn has_ended(pid: pid_t) -> bool {
    // SAFETY: `siginfo_t` is plain data, written by the kernel.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, options);
        info.si_pid() == pid
    }
}

/// How a process ended, for people.
pub fn describe(status: c_int) -> String {
    if libc::WIFSIGNALED(status) {
        return format!("signal {}", libc::WTERMSIG(status));
    }
    match libc::WEXITSTATUS(status) {
        EXIT_UNTRACED => "it could not be traced".into(),
        EXIT_PANICKED => "it panicked".into(),
        code => format!("exit code {code}"),
    }
}
