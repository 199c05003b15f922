//! How a child becomes a worker instead of running `main` again.
//!
//! A parent starts its own executable with `SHMKIT_BOOT=<fd>`, where the file `fd` begins with a
//! boot record. In the child a constructor (an `.init_array` entry) finds it, lets the constructors
//! after it run, runs the job of the record and exits: `main` is never reached. Without the feature
//! `takeover` there is no constructor, and `shmkit::init()` first in `main` does the same.
//!
//! ```text
//! byte of the file  0      8    16           24    32     40     48    56
//!                   magic  pid  fingerprint  shim  entry  image  zero  see `zygote`, to RECORD_BYTES
//! ```
//!
//! - T1. A record is believed only when its pid is our parent's, or that of a process which has
//!   ended (we are its orphan then), and its fingerprint is this executable's, and `image` that of the
//!   image that this crate is part of: then [`Target::of`] made the offsets in a process that runs the
//!   same files. An environment variable alone would be a way to jump anywhere.
//! - T2. A child whose record has the magic never returns from the take-over: `main` must not run
//!   twice.
//! - T3. The variable is removed before any other code of the job runs, and ignored in a
//!   set-user-id program.

#![allow(unsafe_code)]

use super::entry::{Image, Target};
use super::passed::{Passed, adopt};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::constructors::{self, Constructor};
#[cfg(feature = "takeover")]
use super::stdio;
use std::ffi::{c_char, c_int};

/// The environment variable that holds the number of the boot descriptor.
pub(crate) const VARIABLE: &str = "SHMKIT_BOOT";
/// Bytes at the start of the boot file that belong to the record.
pub(crate) const RECORD_BYTES: usize = 64;
/// Exit code of a child that could not be taken over.
pub(crate) const REFUSED: i32 = 127;

/// The last digit is the version of the record and of what follows it.
const MAGIC: u64 = u64::from_be_bytes(*b"SHMKIT_1");

/// Set by `init`. Relaxed: written on the main thread before there are others, or by a caller whose
/// later spawns come after it in program order.
static INITIALISED: AtomicBool = AtomicBool::new(false);
/// Set by the hook, before there are threads.
static HOOKED: AtomicBool = AtomicBool::new(false);

/// What a job finds when it begins.
pub(crate) struct Boot {
    /// The file that begins with the boot record.
    pub(crate) control: OwnedFd,
    pub(crate) passed: Passed,
}

/// The record that makes a child run `target`.
pub(crate) fn record(target: Target) -> io::Result<[u8; RECORD_BYTES]> {
    let [shim, entry] = target.to_words();
    let own = Image::own().ok_or(io::ErrorKind::Unsupported)?.fingerprint();
    let words = [MAGIC, u64::from(std::process::id()), Image::startable()?, shim, entry, own];
    let mut record = [0; RECORD_BYTES];
    for (place, word) in record.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    Ok(record)
}

/// The words of a record.
type Words = [u64; 6];

/// Whether a child of this process would be taken over before its `main`.
pub(crate) fn is_armed() -> bool {
    INITIALISED.load(Relaxed) || (HOOKED.load(Relaxed) && is_hook_in_executable())
}

/// Takes this process over if it is a child; otherwise notes that its children will be.
///
/// Does nothing on any thread but the main one: no `main` calls `init` first from elsewhere.
pub(crate) fn init() {
    if is_armed() || rustix::thread::gettid() != rustix::process::getpid() {
        return;
    }
    if let Some((control, words)) = take_boot() {
        let Some(own) = Own::known() else { std::process::exit(REFUSED) }; // T2
        // SAFETY: T1, checked in `run`, and `init` comes first in `main`.
        run(control, unsafe { Passed::under_numbers() }, words, &own);
    }
    INITIALISED.store(true, Relaxed);
}

#[cfg(feature = "takeover")]
#[used]
#[unsafe(link_section = ".init_array")]
static HOOK: Constructor = at_start;

#[cfg(feature = "takeover")]
fn is_hook_in_executable() -> bool {
    Image::executable()
        .is_some_and(|image| constructors::after((&raw const HOOK).addr(), &image).is_some())
}

#[cfg(not(feature = "takeover"))]
fn is_hook_in_executable() -> bool {
    false
}

/// The hook. In a shared library it is inert: the constructors of the executable have not run
/// there, and `main` may belong to an interpreter.
#[cfg(feature = "takeover")]
extern "C" fn at_start(argc: c_int, argv: *const *const c_char, environment: *const *const c_char) {
    HOOKED.store(true, Relaxed);
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    let hook = (&raw const HOOK).addr();
    // SAFETY: this is a constructor, whose entry that is.
    unsafe { take_over_from(hook, stdio::set_up, argc, argv, environment) };
}

/// The hook of a program in another language, which has `entry` among the constructors of its
/// executable: as `init`, but before `main`, and after all constructors.
///
/// # Safety
///
/// The caller is the constructor of that entry, called by the C runtime with these arguments.
pub unsafe fn init_from(
    entry: usize,
    argc: c_int,
    argv: *const *const c_char,
    environment: *const *const c_char,
) {
    // SAFETY: the caller's promise.
    let is_hook = unsafe { take_over_from(entry, || (), argc, argv, environment) };
    if is_hook {
        INITIALISED.store(true, Relaxed);
    }
}

/// Takes this process over if it is a child; else says whether the constructor `hook`, which calls
/// this, is one of the executable's.
///
/// # Safety
///
/// As of [`init_from`].
unsafe fn take_over_from(
    hook: usize,
    set_up: impl FnOnce(),
    argc: c_int,
    argv: *const *const c_char,
    environment: *const *const c_char,
) -> bool {
    let Some(image) = Image::executable() else { return false };
    let Some(remaining) = constructors::after(hook, &image) else { return false };
    let Some((control, words)) = take_boot() else { return true };
    let Some(own) = Own::known() else { std::process::exit(REFUSED) }; // T2
    for &constructor in remaining {
        if constructor != 0 && constructor != usize::MAX {
            let constructor = std::ptr::with_exposed_provenance::<()>(constructor);
            // SAFETY: the C runtime is about to call it in the same way, and never will: T2.
            unsafe {
                std::mem::transmute::<*const (), Constructor>(constructor)(argc, argv, environment);
            }
        }
    }
    set_up();
    // SAFETY: T1, checked in `run`, and `main` has not begun.
    run(control, unsafe { Passed::under_numbers() }, words, &own);
}

/// The boot file and the words of its record, if this process was started with one (T3).
fn take_boot() -> Option<(OwnedFd, Words)> {
    // SAFETY: reads a value that the kernel gave to this process.
    if unsafe { libc::getauxval(libc::AT_SECURE) } != 0 {
        return None;
    }
    let number = std::env::var_os(VARIABLE)?;
    // SAFETY: this is the main thread before `main`, or first in it: there is no other thread yet
    // but one that a constructor has started, and the standard library locks against those.
    unsafe { std::env::remove_var(VARIABLE) };
    let number = boot_number(&number)?;
    let words = read_words(number)?;
    // SAFETY: the magic says that this descriptor was passed for the take-over, hence to us.
    let control = unsafe { adopt(number) }.ok()?;
    Some((control, words))
}

/// The words of the record in the file of this number, if it has one.
fn read_words(number: RawFd) -> Option<Words> {
    let mut words: Words = [0; 6];
    // SAFETY: `words` has room for the bytes asked for; any bytes are valid words.
    let read = unsafe { libc::pread(number, words.as_mut_ptr().cast(), size_of_val(&words), 0) };
    (usize::try_from(read) == Ok(size_of_val(&words)) && words[0] == MAGIC).then_some(words)
}

/// What this process is, to hold records against. Found once, by a fork server before it has children.
pub(crate) struct Own {
    executable: u64,
    /// The image that this code is in.
    image: Image,
    image_fingerprint: u64,
}

impl Own {
    /// `None` where the loader does not tell.
    pub(crate) fn known() -> Option<Own> {
        let (executable, image) = (Image::executable()?.fingerprint(), Image::own()?);
        let image_fingerprint = image.fingerprint();
        Some(Own { executable, image, image_fingerprint })
    }
}

/// Runs the job of a boot file in a child that a fork server made, see [`super::zygote`].
pub(crate) fn resume(control: OwnedFd, passed: Passed, own: &Own) -> ! {
    match read_words(control.as_raw_fd()) {
        Some(words) => run(control, passed, words, own),
        None => std::process::exit(REFUSED),
    }
}

fn boot_number(text: &OsStr) -> Option<RawFd> {
    text.to_str()?.parse().ok().filter(|number| *number > 2)
}

fn run(
    control: OwnedFd,
    passed: Passed,
    [_, parent, executable, shim, entry, image]: Words,
    own: &Own,
) -> ! {
    let is_ours = u32::try_from(parent).is_ok_and(super::process::is_parent);
    if !is_ours || executable != own.executable || image != own.image_fingerprint {
        // T2: and there is nobody to report to: our parent is not the one that asked.
        eprintln!("shmkit: this process was not started by its parent, or from another file");
        std::process::exit(REFUSED);
    }
    let boot = Boot { control, passed };
    // SAFETY: T1, checked above.
    let code = unsafe { Target::from_words([shim, entry]).run(&own.image, boot) };
    std::process::exit(code)
}

/// The number of `control`, for [`VARIABLE`].
pub(crate) fn variable(control: BorrowedFd<'_>) -> String {
    control.as_fd().as_raw_fd().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_above_stderr_is_a_boot_descriptor() {
        for bad in ["", "x", "-1", "0", "2", "3x", "99999999999"] {
            assert_eq!(boot_number(OsStr::new(bad)), None, "{bad:?}");
        }
        assert_eq!(boot_number(OsStr::new("3")), Some(3));
    }

    #[test]
    #[cfg(feature = "takeover")]
    fn the_hook_is_linked_and_has_run() {
        assert!(is_armed());
    }
}
