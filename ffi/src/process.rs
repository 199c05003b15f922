//! Processes.

use crate::args::{Out, bytes, discard, handle, text};
use crate::child::{Child, Ended};
use crate::fail::{Answer, Fail, cold, value};
use crate::passed::{Passed, arrive, shmkit_handle};
use crate::status::*;
use api::process::{Builder, Method};
use api::untyped::Function;
use api::{Error, Process};
use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// A process that this one has started. Any thread of this process may use it at once.
pub struct shmkit_process {
    kind: Kind,
}

enum Kind {
    /// Runs a function of this program.
    Ours(Process<()>),
    /// Runs another program.
    Other(Child),
}

/// What a process runs: its return value is the exit code, of which the low 8 bits count.
pub type shmkit_main_fn = Option<unsafe extern "C" fn(arg: *mut c_void) -> c_int>;

/// The function of a constructor, for SHMKIT_AUTO_INIT.
pub type shmkit_hook_fn =
    Option<unsafe extern "C" fn(argc: c_int, argv: *mut *mut c_char, envp: *mut *mut c_char)>;

/// The process ends with this one, however that ends: it is terminated at a normal exit, and killed by the
/// kernel otherwise.
pub const SHMKIT_PROCESS_DAEMON: u32 = 1;
/// The process is made by a small server process, which is several times faster.
pub const SHMKIT_PROCESS_FORKSERVER: u32 = 2;
/// Fork although there are other threads, which do not exist in the child, whatever they have locked.
pub const SHMKIT_PROCESS_ALLOW_THREADS: u32 = 4;

/// How a process is started; NULL or zeros for what does by default.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct shmkit_process_config {
    /// `sizeof(shmkit_process_config)`: tells the library what the program knows of.
    pub struct_size: usize,
    /// SHMKIT_PROCESS_DAEMON, SHMKIT_PROCESS_FORKSERVER, SHMKIT_PROCESS_ALLOW_THREADS.
    pub flags: u32,
    /// The name of the process; NULL: "Process-1", and so on.
    pub name: *const c_char,
    /// One more than the number of the processor that it is to run on; 0: on any.
    pub cpu: i32,
    /// Handles for the process, which takes them by their number: `shmkit_queue_passed(0, &queue)`.
    /// Only for `shmkit_process_spawn()`; a forked process has its parent's.
    pub handles: *const shmkit_handle,
    /// How many they are.
    pub handle_count: usize,
}

/// How a process has ended.
#[repr(C)]
pub struct shmkit_exit {
    /// The exit code, if no signal has ended it; or else 0.
    pub code: c_int,
    /// The signal that has ended it, or 0.
    pub signal: c_int,
}

/// The configuration as far as the caller knows of it, and zeros for the rest.
///
/// # Safety
///
/// A1.
unsafe fn config(config: *const shmkit_process_config) -> Answer<shmkit_process_config> {
    const LEAST: usize = std::mem::offset_of!(shmkit_process_config, handles);
    let mut known = shmkit_process_config {
        struct_size: 0,
        flags: 0,
        name: std::ptr::null(),
        cpu: 0,
        handles: std::ptr::null(),
        handle_count: 0,
    };
    if config.is_null() {
        return Ok(known);
    }
    if !config.is_aligned() {
        return Err(Fail::Argument("a config that is misaligned"));
    }
    // SAFETY: A1: there is the size at least.
    let size = unsafe { (*config).struct_size };
    if !(LEAST..=4096).contains(&size) {
        return Err(Fail::Argument("struct_size of a config"));
    }
    let bytes = size.min(size_of::<shmkit_process_config>());
    // SAFETY: A1: there are so many bytes; any are a config.
    unsafe {
        config.cast::<u8>().copy_to_nonoverlapping((&raw mut known).cast::<u8>(), bytes);
    }
    let flags = SHMKIT_PROCESS_DAEMON | SHMKIT_PROCESS_FORKSERVER | SHMKIT_PROCESS_ALLOW_THREADS;
    if known.flags & !flags != 0 {
        return Err(Fail::Argument("unknown flags"));
    }
    if known.cpu < 0 || known.cpu as usize > libc::CPU_SETSIZE as usize {
        return Err(Fail::Argument("number of a processor"));
    }
    Ok(known)
}

/// The builder that the configuration asks for.
///
/// # Safety
///
/// A1.
unsafe fn builder(config: &shmkit_process_config) -> Answer<Builder> {
    let mut builder = Process::builder().daemon(config.flags & SHMKIT_PROCESS_DAEMON != 0);
    // SAFETY: A1.
    if let Some(name) = unsafe { text(config.name) }? {
        builder = builder.name(name);
    }
    if config.flags & SHMKIT_PROCESS_FORKSERVER != 0 {
        builder = builder.method(Method::ForkServer);
    }
    if config.flags & SHMKIT_PROCESS_ALLOW_THREADS != 0 {
        builder = builder.allow_threads();
    }
    Ok(builder)
}

/// Takes this process over if it is a child of `shmkit_process_spawn()` or a worker of a pool, and does not
/// return then; otherwise lets this process start such. Call it first in `main`, or write SHMKIT_AUTO_INIT
/// once in the executable.
#[unsafe(no_mangle)]
pub extern "C" fn shmkit_init() {
    value((), || {
        api::init();
        Ok(())
    });
}

/// What SHMKIT_AUTO_INIT calls.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_auto_init(
    entry: *const shmkit_hook_fn,
    argc: c_int,
    argv: *mut *mut c_char,
    envp: *mut *mut c_char,
) {
    value((), || {
        let (argv, envp) = (argv.cast::<*const c_char>(), envp.cast::<*const c_char>());
        // SAFETY: the macro passes the entry that it has made, and what the C runtime gave to it.
        unsafe {
            api::untyped::init_from(entry.addr(), argc, argv.cast_const(), envp.cast_const())
        };
        Ok(())
    });
}

/// Runs a function of C in a process of its own.
fn run(function: Function, argument: Vec<u8>, handles: Vec<Passed>, cpu: i32) {
    pin(cpu);
    arrive(handles);
    let code = call(&function, argument);
    if code != 0 {
        std::process::exit(code);
    }
}

/// Calls a `shmkit_main_fn` that another process has named.
pub(crate) fn call(function: &Function, argument: Vec<u8>) -> c_int {
    let Some(code) = function.address() else {
        eprintln!("shmkit: the function of this process is not in the image that it was in");
        std::process::exit(127);
    };
    // Aligned as memory from malloc is.
    let mut aligned = vec![0u128; argument.len().div_ceil(size_of::<u128>())];
    let place = aligned.as_mut_ptr().cast::<u8>();
    // SAFETY: as long, and its own.
    unsafe { place.copy_from_nonoverlapping(argument.as_ptr(), argument.len()) };
    let place = if argument.is_empty() { std::ptr::null_mut() } else { place };
    // SAFETY: the other process was given a `shmkit_main_fn` at this address.
    let main = unsafe {
        std::mem::transmute::<*const (), unsafe extern "C" fn(*mut c_void) -> c_int>(code)
    };
    // SAFETY: what the function expects, as C has promised.
    unsafe { main(place.cast()) }
}

/// Lets this thread run on one processor only.
fn pin(cpu: i32) {
    let Some(cpu) = usize::try_from(cpu).ok().and_then(|cpu| cpu.checked_sub(1)) else { return };
    // SAFETY: a set of bits, zeroed first; `cpu` was checked to be among them.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        // On failure it runs wherever it is let: no processor of that number.
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

/// Starts a process that runs `fn` of this program with a copy of the `len` bytes at `arg`, and exits with
/// what that returns.
///
/// The child is this executable, started afresh: `main` is not reached, globals are as at the start, and
/// nothing of this process's memory is there, so that pointers in `arg` mean nothing. `fn` may be in the
/// executable or in any library. Handles go by `config`, which may be NULL.
///
/// Errors: SHMKIT_ERR_UNSUPPORTED if neither `shmkit_init()` nor SHMKIT_AUTO_INIT was run in this process,
/// and for programs started through their loader; SHMKIT_ERR_INVALID_ARGUMENT (also a function that no
/// loaded file has), SHMKIT_ERR_WRONG_PROCESS and SHMKIT_ERR_BUSY for an end that cannot move,
/// SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_process_spawn(
    r#fn: shmkit_main_fn,
    arg: *const c_void,
    len: usize,
    config: *const shmkit_process_config,
    out: *mut *mut shmkit_process,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (argument, config, out) =
            unsafe { (bytes(arg, len)?, self::config(config)?, Out::at(out)?) };
        let main = r#fn.ok_or(Fail::Argument("a function that is NULL"))?;
        let function = Function::of(main as *const ()).ok_or(Error::ForeignFunction)?;
        if config.handle_count != 0 && (config.handles.is_null() || !config.handles.is_aligned()) {
            return Err(Fail::Argument("handles that are NULL or misaligned"));
        }
        let named = match config.handle_count {
            0 => &[],
            // SAFETY: A1.
            count if count <= 1024 => unsafe { std::slice::from_raw_parts(config.handles, count) },
            _ => return Err(Fail::Argument("too many handles")),
        };
        // SAFETY: A1.
        let handles =
            named.iter().map(|one| unsafe { Passed::of(one) }).collect::<Answer<Vec<_>>>()?;
        // SAFETY: A1.
        let builder = unsafe { builder(&config) }?;
        let arguments = (function, argument.to_vec(), handles, config.cpu);
        let process = builder.spawn(arguments, run)?;
        out.give(shmkit_process { kind: Kind::Ours(process) });
        Ok(SHMKIT_OK)
    })
}

/// Starts a process by `fork`: it runs `fn` with `arg` as it is, on a copy of this process's memory, and
/// exits with what that returns. Works without `shmkit_init()`, and for functions that no file has.
///
/// The rules for fork are at the top of this header. Refused while this process has other threads, unless
/// SHMKIT_PROCESS_ALLOW_THREADS.
///
/// Errors: SHMKIT_ERR_UNSUPPORTED (other threads), SHMKIT_ERR_INVALID_ARGUMENT (also handles in `config`),
/// SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_process_fork(
    r#fn: shmkit_main_fn,
    arg: *mut c_void,
    config: *const shmkit_process_config,
    out: *mut *mut shmkit_process,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (config, out) = unsafe { (self::config(config)?, Out::at(out)?) };
        let main = r#fn.ok_or(Fail::Argument("a function that is NULL"))?;
        if config.handle_count != 0 || config.flags & SHMKIT_PROCESS_FORKSERVER != 0 {
            return Err(Fail::Argument("handles or a server, for a process that is forked"));
        }
        // SAFETY: A1.
        let builder = unsafe { builder(&config) }?;
        let f = move || {
            pin(config.cpu);
            // SAFETY: what the function expects, as C has promised.
            let code = unsafe { main(arg) };
            if code != 0 {
                // SAFETY: NULL stands for all streams; the process ends as a forked one does.
                unsafe {
                    libc::fflush(std::ptr::null_mut());
                    libc::_exit(code);
                }
            }
        };
        // SAFETY: C's promise, by the rules of the header.
        let process = unsafe { builder.fork(f) }?;
        out.give(shmkit_process { kind: Kind::Ours(process) });
        Ok(SHMKIT_OK)
    })
}

/// Starts another program: `path`, which is searched for in PATH if it has no '/', with the arguments
/// `argv`, the first of which is its name, up to a NULL. It inherits what is not closed on exec.
///
/// Errors: SHMKIT_ERR_NOT_FOUND, SHMKIT_ERR_PERMISSION, SHMKIT_ERR_INVALID_ARGUMENT (also flags and
/// handles in `config`), SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_process_exec(
    path: *const c_char,
    argv: *const *const c_char,
    config: *const shmkit_process_config,
    out: *mut *mut shmkit_process,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (config, out) = unsafe { (self::config(config)?, Out::at(out)?) };
        if path.is_null() || argv.is_null() || !argv.is_aligned() {
            return Err(Fail::Argument("a path or arguments that are NULL"));
        }
        if config.flags != 0 || config.handle_count != 0 || config.cpu != 0 {
            return Err(Fail::Argument("flags, handles or a processor, for another program"));
        }
        // SAFETY: A1.
        let path = unsafe { CStr::from_ptr(path) };
        let mut command = Command::new(OsStr::from_bytes(path.to_bytes()));
        let mut at = argv;
        // SAFETY: A1: up to a NULL.
        while let Some(argument) = unsafe { (*at).as_ref() } {
            // SAFETY: A1.
            let argument = OsStr::from_bytes(unsafe { CStr::from_ptr(argument) }.to_bytes());
            if at == argv {
                command.arg0(argument);
            } else {
                command.arg(argument);
            }
            at = at.wrapping_add(1);
        }
        out.give(shmkit_process { kind: Kind::Other(Child::start(command)?) });
        Ok(SHMKIT_OK)
    })
}

/// The pid; 0 for NULL. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_process_pid(process: *const shmkit_process) -> i32 {
    value(0, || {
        // SAFETY: A1.
        Ok(match &unsafe { handle(process) }?.kind {
            Kind::Ours(process) => process.pid().cast_signed(),
            Kind::Other(child) => child.pid(),
        })
    })
}

/// Sets `*fd` to a descriptor that is readable, for `poll` and `epoll`, once the process has ended: a pidfd.
/// It stays the handle's. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_process_fd(
    process: *const shmkit_process,
    fd: *mut c_int,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (process, fd) = unsafe { (handle(process)?, Out::at(fd)?) };
        fd.set(match &process.kind {
            Kind::Ours(process) => process.sentinel().as_raw_fd(),
            Kind::Other(child) => child.as_fd().as_raw_fd(),
        });
        Ok(SHMKIT_OK)
    })
}

/// Waits until the process has ended, at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT, SHMKIT_FOREVER), and
/// sets `*exit`, which may be NULL, to how. May be called again.
///
/// Errors: SHMKIT_ERR_WOULD_BLOCK, SHMKIT_ERR_TIMED_OUT, SHMKIT_ERR_INVALID_ARGUMENT; SHMKIT_ERR_SYSTEM if
/// it has ended, but somebody else was told how (SIGCHLD is ignored, or another `wait` has taken it).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_process_wait(
    process: *mut shmkit_process,
    timeout_ns: i64,
    exit: *mut shmkit_exit,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let process = unsafe { handle(process) }?;
        // SAFETY: A1.
        let exit = (!exit.is_null()).then(|| unsafe { Out::at(exit) }).transpose()?;
        let wait = u64::try_from(timeout_ns).ok().map(Duration::from_nanos);
        let ended = match &process.kind {
            Kind::Ours(process) => wait_for(process, wait)?,
            Kind::Other(child) => child.wait(wait.and_then(|d| Instant::now().checked_add(d)))?,
        };
        let (code, signal) = match ended {
            None if timeout_ns == 0 => return Ok(SHMKIT_ERR_WOULD_BLOCK),
            None => return Ok(SHMKIT_ERR_TIMED_OUT),
            Some(Ended::Exited(code)) => (code, 0),
            Some(Ended::Signaled(signal)) => (0, signal),
            Some(Ended::Unknown) => {
                return Err(Fail::Said(SHMKIT_ERR_SYSTEM, "somebody else was told how it ended"));
            }
        };
        if let Some(exit) = exit {
            exit.set(shmkit_exit { code, signal });
        }
        Ok(SHMKIT_OK)
    })
}

fn wait_for(process: &Process<()>, wait: Option<Duration>) -> Answer<Option<Ended>> {
    let joined = match wait {
        Some(wait) => process.join_timeout(wait),
        None => process.join().map(Some),
    };
    match (joined, process.exitcode()) {
        (Ok(None), _) => Ok(None),
        (_, Some(code @ 0..)) => Ok(Some(Ended::Exited(code))),
        (_, Some(signal)) => Ok(Some(Ended::Signaled(-signal))),
        (Err(api::ProcessError::Os(e)), None) => Err(e.into()),
        (_, None) => Ok(Some(Ended::Unknown)),
    }
}

/// Whether the process has not ended yet; false for NULL. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_process_is_alive(process: *const shmkit_process) -> bool {
    value(false, || {
        // SAFETY: A1.
        Ok(match &unsafe { handle(process) }?.kind {
            Kind::Ours(process) => process.is_alive(),
            Kind::Other(child) => child.wait(Some(Instant::now()))?.is_none(),
        })
    })
}

/// Sends a signal; nothing if the process has ended. Never hits another process. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT (also a signal that is none), SHMKIT_ERR_PERMISSION.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_process_kill(
    process: *mut shmkit_process,
    signal: c_int,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        match &unsafe { handle(process) }?.kind {
            Kind::Ours(process) => crate::child::signal(process.sentinel(), signal)?,
            Kind::Other(child) => crate::child::signal(child.as_fd(), signal)?,
        }
        Ok(SHMKIT_OK)
    })
}

/// Gives the handle up; NULL is fine. The process goes on. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_process_free(process: *mut shmkit_process) {
    // SAFETY: A1.
    unsafe { discard(process) };
}

/// The name of this process: what its `config` said, or "MainProcess". Valid until the process ends.
#[unsafe(no_mangle)]
pub extern "C" fn shmkit_process_name() -> *const c_char {
    static NAME: std::sync::OnceLock<CString> = std::sync::OnceLock::new();
    let name = || CString::new(api::current_process().name()).unwrap_or_default();
    value(c"".as_ptr(), || Ok(NAME.get_or_init(name).as_ptr()))
}
