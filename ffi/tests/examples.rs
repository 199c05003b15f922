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

#[test]
fn pool_squares() {
    prints("pool_squares", "0 1 4 9 16 25 36 49 64 81 and 1000000\n");
}

/// Each block of the README that is marked `c` or `c++` is a program, which must print what the block of
/// the mark `text` after it says, if there is one.
#[test]
fn snippets_of_the_readme() {
    let page = std::fs::read_to_string(root().join("README.md")).unwrap();
    let mut blocks = Vec::new();
    let mut rest = page.as_str();
    while let Some((_, after)) = rest.split_once("\n```") {
        let (mark, after) = after.split_once('\n').unwrap();
        let (body, after) = after.split_once("\n```").unwrap();
        blocks.push((mark, body.to_owned() + "\n"));
        rest = after;
    }
    let mut programs = 0;
    for (at, (mark, body)) in blocks.iter().enumerate() {
        let (ending, is_c) = match *mark {
            "c" => ("c", true),
            "c++" => ("cpp", false),
            _ => continue,
        };
        let name = format!("readme-{at}");
        let source = build::scratch("readme").join(format!("{name}.{ending}"));
        std::fs::write(&source, body).unwrap();
        let program = if is_c {
            build::program_of(&name, &[source], &[], Link::Static)
        } else if let Some(&compiler) = compilers().first() {
            Build::new(compiler).objects(&name, &[source])
        } else {
            skip("c++");
            continue;
        };
        let output = cxx::run(&program);
        if let Some(("text", expected)) = blocks.get(at + 1).map(|(mark, body)| (*mark, body)) {
            assert_eq!(&String::from_utf8(output.stdout).unwrap(), expected, "{body}");
        }
        programs += 1;
    }
    assert!(programs >= 4, "only {programs} programs in README.md");
}
