//! The examples in C and C++ print what they promise, and every snippet of the README compiles and runs.

mod build;
mod cxx;

use build::{Link, root};
use cxx::{Build, compilers, skip};

/// What `examples/NAME.c` and `examples/NAME.cpp` print.
fn prints(name: &str, expected: &str) {
    for language in ["c", "cpp"] {
        let source = root().join("examples").join(format!("{name}.{language}"));
        let program = if language == "c" {
            build::program_of(&format!("example-{name}"), &[source], &[], Link::Static)
        } else if let Some(&compiler) = compilers().first() {
            Build::new(compiler).objects(&format!("example-{name}"), &[source])
        } else {
            return skip("c++");
        };
        let output = cxx::run(&program);
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected, "{name}.{language}");
    }
}

#[test]
fn pipe_hello() {
    prints("pipe_hello", "HELLO\nthe child ended with 0\n");
}

#[test]
fn words() {
    prints("words", "11 words, 45 letters\n");
}

#[test]
fn lock_file() {
    prints("lock_file", "270 lines, 90 whole records\n");
}

#[test]
fn array_value() {
    prints("array_value", "0 1 4 9 16 25 36 49 and 4000\n");
}

#[test]
fn frames() {
    prints("frames", "50 frames of 640 x 480: the viewer ended with 0\n");
}
