//! `shmkit.hpp`: it compiles in every standard without a warning, and programs that use it work, linked
//! with either library, under sanitizers, and between processes and threads.
//!
//! Without a C++ compiler, or a tool, the tests that need it say so and are skipped.

mod build;
mod cxx;

use build::Link;
use cxx::{Build, compilers, skip};
use std::os::unix::process::ExitStatusExt;

/// Builds `tests/cpp/NAME.cpp` with the default compiler, and runs it with either library.
fn suite(name: &str) {
    let Some(&compiler) = compilers().first() else { return skip("c++") };
    for link in [Link::Shared, Link::Static] {
        cxx::run(&Build::new(compiler).link(link).program(name));
    }
}

#[test]
fn smoke() {
    suite("smoke");
}

#[test]
fn processes() {
    suite("process");
}

#[test]
fn processes_that_are_taken_over_before_main() {
    let Some(&compiler) = compilers().first() else { return skip("c++") };
    cxx::run(&Build::new(compiler).flags(&["-DAUTO"]).link(Link::Shared).program("process"));
}

#[test]
fn pools_and_managers() {
    suite("crew");
}

#[test]
fn threads_of_several_processes_at_once() {
    suite("concurrent");
}

#[test]
fn who_is_left_is_told_of_a_death() {
    suite("deaths");
}

#[test]
fn it_compiles_in_every_standard_without_warnings() {
    for &compiler in compilers() {
        for standard in ["c++17", "c++20", "c++2b"] {
            let build = Build::new(compiler).standard(standard);
            build.check("smoke");
            build.check("alone");
        }
        for program in ["process", "crew", "concurrent", "deaths"] {
            Build::new(compiler).standard("c++20").check(program);
        }
        Build::new(compiler).flags(&["-fno-exceptions", "-fno-rtti"]).check("bare");
    }
}

#[test]
fn translation_units_of_different_standards_make_one_program() {
    let Some(&compiler) = compilers().first() else { return skip("c++") };
    let first = Build::new(compiler).standard("c++17").object("unit_one");
    let second = Build::new(compiler).standard("c++20").object("unit_two");
    cxx::run(&Build::new(compiler).objects("units", &[first, second]));
}

#[test]
fn it_works_without_exceptions_and_an_error_ends_the_program_with_words() {
    let Some(&compiler) = compilers().first() else { return skip("c++") };
    let program = Build::new(compiler).flags(&["-fno-exceptions", "-fno-rtti"]).program("bare");
    cxx::run(&program);
    let output = std::process::Command::new(&program).arg("fail").output().unwrap();
    assert_eq!(output.status.signal(), Some(6), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("lock::open: no live object has this name"), "{said}");
}

/// What must not compile, with a twin that does, so that a slip cannot pass for a proof.
#[test]
fn what_means_nothing_elsewhere_does_not_compile() {
    let Some(&compiler) = compilers().first() else { return skip("c++") };
    let build = Build::new(compiler);
    for (define, reason) in [
        ("POINTERS", "an address means nothing in another process"),
        ("STRINGS", "trivially copyable: no std::string"),
        ("NAMELESS", "specialise shmkit::tag<T>"),
        ("CAPTURES", "the function has no captures"),
        ("ENDS", "moves to the process: std::move it"),
        ("TASKS", "workers do not have this process's memory"),
        ("DANGLING", "deleted"),
    ] {
        let output = build.verdict("refused", define);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(reason), "{define}: {said}");
        let twin = build.verdict("refused", &format!("{define}_DONE_RIGHT"));
        assert!(twin.status.success(), "{define}: {}", String::from_utf8_lossy(&twin.stderr));
    }
}

#[test]
fn sanitizers_find_nothing() {
    let Some(&compiler) = compilers().first() else { return skip("c++") };
    let flags = &["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    for name in ["smoke", "crew", "concurrent", "deaths"] {
        cxx::run(&Build::new(compiler).flags(flags).program(name));
    }
}

#[test]
fn valgrind_finds_nothing() {
    let Some(&compiler) = compilers().first() else { return skip("c++") };
    if !cxx::has("valgrind") {
        return skip("valgrind");
    }
    let program = Build::new(compiler).program("smoke");
    let mut valgrind = std::process::Command::new("valgrind");
    valgrind.args(["-q", "--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=definite"]);
    build::run(valgrind.args(["--errors-for-leak-kinds=definite"]).arg(program));
}
