//! Is a program that only loads a library with this crate in it kept from running its `main` twice?

#![cfg(feature = "takeover")]

#[path = "common/example.rs"]
mod example;

use std::process::Command;

#[test]
fn a_program_that_loads_the_library_can_fork_and_is_refused_the_rest_p24() {
    // CPython's test_noforkbomb.
    let library = example::build("dlopened").with_file_name("libdlopened.so");
    let host = std::env::temp_dir().join(format!("shmkit-host-{}", std::process::id()));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dlopened/host.c");
    let cc = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let built = Command::new(cc).arg(source).arg("-ldl").arg("-o").arg(&host).status();
    assert!(built.unwrap().success(), "the linker of Rust programs compiles C, too");
    let run = Command::new(&host).arg(&library).output().unwrap();
    std::fs::remove_file(&host).unwrap();
    let [printed, complaints] = [run.stdout, run.stderr].map(|t| String::from_utf8(t).unwrap());
    assert!(run.status.success(), "{}\n{printed}{complaints}", run.status);
    // 1 is `NotInitialised`: nothing was there to take a child over before `main`.
    assert_eq!(printed, "main\nspawn 1\nserver 1\nfork 42\n", "{complaints}");
}
