//! The example programs, as their users run them.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

/// The path of an example, as new as its source: `cargo test --test NAME` alone does not build it.
pub fn build(name: &str) -> PathBuf {
    let mut directory = std::env::current_exe().unwrap();
    directory.pop();
    directory.pop();
    if let Some(cargo) = std::env::var_os("CARGO") {
        let profile = match directory.file_name().and_then(OsStr::to_str) {
            Some("debug") | None => "dev",
            Some(profile) => profile,
        };
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--offline", "--example", name, "--profile", profile]);
        if cfg!(feature = "shared_memory") {
            build.args(["--features", "shared_memory"]); // as this test: nothing to build but what is stale
        }
        let status = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
        assert!(status.success(), "cannot build the example {name}");
    }
    directory.join("examples").join(name)
}
