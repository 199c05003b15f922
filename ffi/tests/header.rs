//! The header in git is the one that the sources make, and names what the library exports.
//!
//! `SHMKIT_BLESS=1 cargo test -p shmkit-ffi --test header` writes it anew.

mod build;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

fn generated() -> String {
    let config = cbindgen::Config::from_file(build::root().join("cbindgen.toml")).unwrap();
    let bindings = cbindgen::Builder::new()
        .with_src(build::root().join("src/lib.rs"))
        .with_config(config)
        .generate()
        .expect("the sources make a header");
    let mut header = Vec::new();
    bindings.write(&mut header);
    String::from_utf8(header).unwrap()
}

#[test]
fn the_header_is_current() {
    let (path, fresh) = (build::root().join("include/shmkit.h"), generated());
    if std::env::var_os("SHMKIT_BLESS").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == fresh,
        "include/shmkit.h is not what the sources make: SHMKIT_BLESS=1 writes it anew"
    );
}

#[test]
fn the_version_in_the_header_is_the_crates() {
    let header = generated();
    let [major, minor, patch] = [
        ("MAJOR", env!("CARGO_PKG_VERSION_MAJOR")),
        ("MINOR", env!("CARGO_PKG_VERSION_MINOR")),
        ("PATCH", env!("CARGO_PKG_VERSION_PATCH")),
    ]
    .map(|(part, number)| format!("#define SHMKIT_VERSION_{part} {number}\n"));
    for line in [
        major,
        minor,
        patch,
        format!("#define SHMKIT_VERSION_STRING \"{}\"\n", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(header.contains(&line), "the header lacks: {line}");
    }
}

/// The functions that the header declares.
fn declared() -> BTreeSet<String> {
    let header = generated();
    let mut names = BTreeSet::new();
    for (at, _) in header.match_indices("shmkit_") {
        let rest = &header[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap();
        let line = header[..at].rsplit('\n').next().unwrap();
        let is_comment = line.trim_start().starts_with(['*', '/']);
        let is_ours = rest[..end].ends_with('_');
        if rest[end..].starts_with('(') && !is_ours && !is_comment && !line.contains("typedef") {
            names.insert(rest[..end].to_owned());
        }
    }
    names
}

#[test]
fn the_library_exports_what_the_header_declares_and_nothing_else() {
    let output = Command::new("nm").arg("-D").arg("--defined-only").arg(build::shared()).output();
    let output = output.expect("nm, of the C toolchain");
    assert!(output.status.success());
    let exported: BTreeSet<String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2).map(str::to_owned))
        .collect();
    let declared = declared();
    assert!(declared.len() > 80, "only {} functions found", declared.len());
    assert_eq!(declared, exported);
}

#[test]
fn the_shared_library_carries_the_number_of_its_abi() {
    let output = Command::new("readelf").arg("-d").arg(build::shared()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let header = generated();
    let (_, rest) = header.split_once("#define SHMKIT_ABI_VERSION ").unwrap();
    let abi = rest.split_whitespace().next().unwrap();
    assert!(text.contains(&format!("Library soname: [libshmkit.so.{abi}]")), "{text}");
}

#[test]
fn every_function_is_called_with_nonsense() {
    let table = fs::read_to_string(build::root().join("tests/c/nulls.c")).unwrap();
    // Those without arguments, and the hook, which only a macro calls.
    let without = |name: &str| {
        name.starts_with("shmkit_last_")
            || name.contains("version")
            || ["shmkit_init", "shmkit_auto_init", "shmkit_process_name"].contains(&name)
    };
    for name in declared().iter().filter(|name| !without(name)) {
        assert!(table.contains(&format!("{name}(")), "tests/c/nulls.c lacks {name}");
    }
}
