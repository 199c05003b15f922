//! Does a child find its program constructed, whatever the order of the constructors?

#![allow(unsafe_code)]
#![cfg(feature = "takeover")]

use shmkit::Process;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

static RUNS: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];

extern "C" fn early() {
    RUNS[0].fetch_add(1, SeqCst);
}

extern "C" fn usual() {
    RUNS[1].fetch_add(1, SeqCst);
}

/// Comes after the hook where the linker sorts by number (lld), which must run it then.
extern "C" fn late() {
    RUNS[2].fetch_add(1, SeqCst);
}

#[used]
#[unsafe(link_section = ".init_array.00200")]
static EARLY: extern "C" fn() = early;
#[used]
#[unsafe(link_section = ".init_array")]
static USUAL: extern "C" fn() = usual;
#[used]
#[unsafe(link_section = ".init_array.99999")]
static LATE: extern "C" fn() = late;

fn runs() -> [u32; 3] {
    [0, 1, 2].map(|n: usize| RUNS[n].load(SeqCst))
}

#[test]
fn every_constructor_has_run_once_in_a_child() {
    assert_eq!(runs(), [1; 3]);
    assert_eq!(Process::spawn((), runs).unwrap().join().unwrap(), [1; 3]);
    let nested = Process::spawn((), || Process::spawn((), runs).unwrap().join().unwrap());
    assert_eq!(nested.unwrap().join().unwrap(), [1; 3]);
}

#[test]
fn a_child_can_do_what_a_program_can() {
    let child = Process::spawn((), || {
        let thread = std::thread::Builder::new().name("helper".into());
        let thread = thread.spawn(|| std::thread::current().name().map(str::to_string)).unwrap();
        let name = thread.join().unwrap();
        let shell = std::process::Command::new("/bin/sh").args(["-c", "exit 3"]).status().unwrap();
        let exe = std::env::current_exe().unwrap();
        (name, shell.code(), exe, std::env::args().count())
    });
    let (name, code, exe, args) = child.unwrap().join().unwrap();
    assert_eq!((name.as_deref(), code, args), (Some("helper"), Some(3), 1));
    assert_eq!(exe, std::env::current_exe().unwrap());
}
