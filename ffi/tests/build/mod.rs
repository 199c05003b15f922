//! Where the libraries lie that cargo has built for the tests, and how C programs are built with them.
#![allow(dead_code, reason = "each test uses a part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The folder of this crate.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder with the libraries: that of the test program itself.
fn deps() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// The shared library, as it was built for this test.
pub fn shared() -> PathBuf {
    library("so")
}

/// The static library, as it was built for this test.
pub fn archive() -> PathBuf {
    library("a")
}

fn library(ending: &str) -> PathBuf {
    let path = deps().join(format!("libshmkit.{ending}"));
    assert!(path.is_file(), "{} is not there", path.display());
    path
}

/// A folder for what a test builds.
pub fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Which of the two libraries a program is linked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Shared,
    Static,
}

/// What a static program needs besides: what `--print native-static-libs` says.
pub const STATIC_LIBS: &[&str] = &["-lgcc_s", "-lutil", "-lrt", "-lpthread", "-lm", "-ldl", "-lc"];

/// Runs a command that must succeed.
pub fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// The warnings that C programs of this crate are free of.
pub const WARNINGS: &[&str] =
    &["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-Wstrict-prototypes"];

/// Builds the program `name` of these files in `tests/c`.
pub fn program(name: &str, sources: &[&str], flags: &[&str], link: Link) -> PathBuf {
    let path = |source: &&str| root().join("tests/c").join(format!("{source}.c"));
    program_of(name, &sources.iter().map(path).collect::<Vec<_>>(), flags, link)
}

/// Builds the program `name` of these files.
pub fn program_of(name: &str, sources: &[PathBuf], flags: &[&str], link: Link) -> PathBuf {
    let kind = if link == Link::Shared { "shared" } else { "static" };
    let program = scratch("c").join(format!("{name}-{kind}"));
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-g", "-O1", "-D_GNU_SOURCE"]).args(WARNINGS).args(flags);
    cc.arg("-I").arg(root().join("include")).args(sources).arg("-o").arg(&program);
    match link {
        Link::Shared => {
            let folder = by_soname(name);
            cc.arg(folder.join("libshmkit.so.1")).arg(format!("-Wl,-rpath,{}", folder.display()));
        }
        Link::Static => {
            // Most of the archive is what debuggers want to know.
            cc.arg("-Wl,--gc-sections,--strip-debug").arg(archive()).args(STATIC_LIBS);
        }
    }
    run(cc.arg("-lpthread"));
    program
}

/// A folder in which the shared library is found under the name that programs ask for.
pub fn by_soname(user: &str) -> PathBuf {
    let folder = scratch("c").join(format!("{user}-lib"));
    fs::create_dir_all(&folder).unwrap();
    let (link, fresh) = (folder.join("libshmkit.so.1"), folder.join("fresh"));
    let _ = fs::remove_file(&fresh);
    std::os::unix::fs::symlink(shared(), &fresh).unwrap();
    fs::rename(&fresh, &link).unwrap();
    folder
}
