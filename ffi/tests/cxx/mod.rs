//! How C++ programs are built with the libraries, and what is done where a tool is missing.
#![allow(dead_code, reason = "each test uses a part")]

use crate::build::{self, Link, archive, root, scratch};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The warnings that the headers and all programs here are free of.
const WARNINGS: &[&str] = &[
    "-Wall",
    "-Wextra",
    "-Werror",
    "-pedantic",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wshadow",
    "-Wold-style-cast",
    "-Wnon-virtual-dtor",
    "-Woverloaded-virtual",
    "-Wzero-as-null-pointer-constant",
];

/// What each compiler knows of alone.
const WARNINGS_OF_GCC: &[&str] = &["-Wuseless-cast", "-Wduplicated-cond", "-Wlogical-op"];
const WARNINGS_OF_CLANG: &[&str] =
    &["-Wextra-semi", "-Wunused-value", "-Wdocumentation", "-Wno-unknown-warning-option"];

/// Whether a tool is there.
pub fn has(tool: &str) -> bool {
    let mut command = Command::new(tool);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Says that a test is skipped, past the capture of its output; an error where
/// `SHMKIT_REQUIRE_TOOLS` says that all tools are there.
pub fn skip(tool: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(std::env::var_os("SHMKIT_REQUIRE_TOOLS").is_none(), "{tool} is not there");
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {tool} is not there");
}

/// The C++ compilers that are there, g++ before clang++.
pub fn compilers() -> &'static [&'static str] {
    static FOUND: OnceLock<Vec<&str>> = OnceLock::new();
    FOUND.get_or_init(|| ["g++", "clang++"].into_iter().filter(|&c| has(c)).collect())
}

/// How a program is built.
#[derive(Clone)]
pub struct Build {
    compiler: &'static str,
    standard: &'static str,
    link: Link,
    flags: &'static [&'static str],
}

impl Build {
    pub fn new(compiler: &'static str) -> Build {
        Build { compiler, standard: "c++17", link: Link::Static, flags: &[] }
    }

    pub fn standard(self, standard: &'static str) -> Build {
        Build { standard, ..self }
    }

    pub fn link(self, link: Link) -> Build {
        Build { link, ..self }
    }

    pub fn flags(self, flags: &'static [&'static str]) -> Build {
        Build { flags, ..self }
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.compiler);
        command.arg(format!("-std={}", self.standard)).args(["-g", "-O1", "-pthread"]);
        command.args(WARNINGS).args(if self.compiler == "g++" {
            WARNINGS_OF_GCC
        } else {
            WARNINGS_OF_CLANG
        });
        command.arg("-I").arg(root().join("include")).args(self.flags);
        command
    }

    /// Compiles `tests/cpp/NAME.cpp` without making anything.
    pub fn check(&self, name: &str) {
        build::run(self.command().arg("-fsyntax-only").arg(source(name)));
    }

    /// What the compiler says of `tests/cpp/NAME.cpp` with `define`.
    pub fn verdict(&self, name: &str, define: &str) -> Output {
        let mut command = self.command();
        command.arg("-fsyntax-only").arg(format!("-D{define}")).arg(source(name));
        command.output().unwrap()
    }

    /// Compiles `tests/cpp/NAME.cpp`; the object.
    pub fn object(&self, name: &str) -> PathBuf {
        let object = self.place(&format!("{name}.o"));
        build::run(self.command().arg("-c").arg(source(name)).arg("-o").arg(&object));
        object
    }

    /// Builds `tests/cpp/NAME.cpp`; the program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.objects(name, &[source(name)])
    }

    /// Builds the program NAME of sources and objects.
    pub fn objects(&self, name: &str, parts: &[PathBuf]) -> PathBuf {
        let kind = if self.link == Link::Shared { "shared" } else { "static" };
        let program = self.place(&format!("{name}-{kind}"));
        let mut command = self.command();
        command.args(parts).arg("-o").arg(&program);
        match self.link {
            Link::Shared => {
                let folder = build::by_soname(&format!("{}-{name}", self.compiler));
                command.arg(folder.join("libshmkit.so.1"));
                command.arg(format!("-Wl,-rpath,{}", folder.display()));
            }
            Link::Static => {
                command.arg("-Wl,--gc-sections,--strip-debug");
                command.arg(archive()).args(build::STATIC_LIBS);
            }
        }
        build::run(&mut command);
        program
    }

    /// Where a product goes: builds that differ do not meet.
    fn place(&self, name: &str) -> PathBuf {
        let flags = self.flags.concat().replace(['-', '=', ','], "");
        scratch("cpp").join(format!("{}-{}-{flags}-{name}", self.compiler, self.standard))
    }
}

fn source(name: &str) -> PathBuf {
    root().join("tests/cpp").join(format!("{name}.cpp"))
}

/// Runs a program that must succeed.
pub fn run(program: &Path) -> Output {
    build::run(&mut Command::new(program))
}
