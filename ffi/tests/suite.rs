//! Programs in C: one suite an object, each with the shared library and with the static one.

mod build;

use build::Link;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

const SOURCES: &[&str] =
    &["main", "data", "managers", "messages", "nulls", "pool", "process", "smoke", "sync"];

static SHARED: LazyLock<std::path::PathBuf> =
    LazyLock::new(|| build::program("suites", SOURCES, &[], Link::Shared));
static STATIC: LazyLock<std::path::PathBuf> =
    LazyLock::new(|| build::program("suites", SOURCES, &[], Link::Static));

fn run(program: &Path, suite: &str) {
    build::run(Command::new(program).arg(suite));
}

macro_rules! suites {
    ($($suite:ident)*) => {$(
        #[test]
        fn $suite() {
            run(&SHARED, stringify!($suite));
            run(&STATIC, stringify!($suite));
        }
    )*};
}
suites!(data managers messages nulls pool process smoke sync_objects);

#[test]
fn a_program_may_be_taken_over_before_main() {
    let program = build::program("auto", SOURCES, &["-DAUTO"], Link::Shared);
    run(&program, "process");
    run(&program, "pool");
}
