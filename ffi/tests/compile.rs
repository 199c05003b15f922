//! The header compiles in every standard of C and C++ that a compiler here has, with every warning that C
//! programs are built with; and its structs are laid out as Rust has them.

mod build;

use std::fs;
use std::path::Path;
use std::process::Command;

const C: &[&str] = &["c99", "c11", "c17", "c2x"];
const CPP: &[&str] = &["c++11", "c++17", "c++20", "c++2b"];
const STRICT: &[&str] = &["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion"];

/// Whether there is such a compiler; says so if not.
fn has(compiler: &str) -> bool {
    let has = Command::new(compiler).arg("--version").output().is_ok();
    if !has {
        println!("SKIPPED: there is no {compiler} here");
    }
    has
}

/// Checks a source of its own, without making anything.
fn check(compiler: &str, language: &str, standard: &str, extra: &[&str], source: &Path) {
    let mut command = Command::new(compiler);
    command.args(["-fsyntax-only", "-x", language, &format!("-std={standard}")]);
    command.args(STRICT).args(extra).arg("-I").arg(build::root().join("include"));
    build::run(command.arg(source));
}

fn source(name: &str, text: &str) -> std::path::PathBuf {
    let path = build::scratch("compile").join(name);
    fs::write(&path, text).unwrap();
    path
}

/// The header alone and twice, and each function and type in use.
fn sources() -> [std::path::PathBuf; 2] {
    let use_it = "#include <shmkit.h>\n#include <shmkit.h>\n\
        int f(shmkit_lock *l);\n\
        int f(shmkit_lock *l) { return shmkit_lock_acquire(l, SHMKIT_FOREVER) == SHMKIT_OK; }\n";
    [source("alone.h.c", "#include <shmkit.h>\n"), source("twice.c", use_it)]
}

#[test]
fn the_header_is_c_of_every_standard() {
    let only_c = ["-Wc++-compat", "-Wstrict-prototypes", "-Wmissing-prototypes"];
    for compiler in ["gcc", "clang"] {
        if has(compiler) {
            for standard in C {
                for source in sources() {
                    check(compiler, "c", standard, &only_c, &source);
                }
            }
        }
    }
}

#[test]
fn the_header_is_cpp_of_every_standard() {
    for compiler in ["g++", "clang++"] {
        if has(compiler) {
            for standard in CPP {
                for source in sources() {
                    check(compiler, "c++", standard, &["-Wold-style-cast"], &source);
                }
            }
        }
    }
}

#[test]
fn a_status_that_is_ignored_is_a_warning() {
    let text = "#include <shmkit.h>\nvoid f(void);\nvoid f(void) { shmkit_event_set(0); }\n";
    let source = source("ignored.c", text);
    let output = Command::new("cc")
        .args(["-c", "-Werror", "-Wunused-result", "-o"])
        .arg(build::scratch("compile").join("ignored.o"))
        .arg("-I")
        .arg(build::root().join("include"))
        .arg(source)
        .output()
        .unwrap();
    assert!(!output.status.success());
}

#[test]
fn two_units_are_linked_together() {
    let a = source("a.c", "#include <shmkit.h>\nint b(void);\nint main(void) { return b(); }\n");
    let b = source("b.c", "#include <shmkit.h>\nint b(void);\nint b(void) { return 0; }\n");
    let program = build::scratch("compile").join("units");
    let mut cc = Command::new("cc");
    cc.args(STRICT).arg("-I").arg(build::root().join("include"));
    build::run(cc.args([&a, &b]).arg("-o").arg(&program));
    build::run(&mut Command::new(program));
}

/// As `src/layout.rs` asserts it.
#[test]
#[cfg(target_pointer_width = "64")]
fn structs_are_laid_out_as_in_rust() {
    let layout = fs::read_to_string(build::root().join("src/layout.rs")).unwrap();
    let mut text = "#include <shmkit.h>\n".to_owned();
    let mut count = 0;
    for line in layout.lines() {
        let line = line.trim().trim_matches(['[', ']', ';']);
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            [name, "is", size] if name.starts_with("shmkit_") => {
                text += &format!("_Static_assert(sizeof({name}) == {size}, \"{name}\");\n");
            }
            [field, "of", name, "at", offset] => {
                text += &format!(
                    "_Static_assert(offsetof({name}, {field}) == {offset}, \"{name}\");\n"
                );
            }
            _ => continue,
        }
        count += 1;
    }
    assert!(count > 40, "only {count} asserts found");
    check("cc", "c", "c11", &[], &source("layout.c", &text));
}
