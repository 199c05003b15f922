//! The walls between the layers, and the rules of the house, as CI believes them.

use std::fs;
use std::path::{Path, PathBuf};

/// Lowest layer first. ARCHITECTURE.md explains each line.
const LAYERS: &[&[&str]] = &[
    &["error"],
    &["sys"],
    &["sync"],
    &["region"],
    &["lock", "ring", "message"],
    &["heap"],
    &["pipe", "queue", "primitives", "value", "array"],
    &["process", "listener"],
    &["pool"],
    &["wait", "manager"],
    &["untyped"],
];

/// Edges that point down and are still wrong.
const NEVER: &[(&str, &str)] = &[
    ("ring", "sys"),
    ("pipe", "sys"),
    ("queue", "sys"),
    ("primitives", "sys"),
    ("value", "sys"),
    ("array", "sys"),
    ("process", "ring"),
    ("wait", "sys"),
    ("heap", "sys"),
    ("heap", "ring"),
    ("manager", "sys"),
    ("manager", "lock"),
    ("manager", "ring"),
];

/// Edges inside one layer that a reader expects.
const BESIDE: &[(&str, &str)] = &[];

/// The rooms that may use `unsafe`.
const UNSAFE: &[&str] = &["sys", "region", "lock", "ring"];

/// The files outside that may declare, and hand on to `sys`, what is unsafe by its nature: a fork.
const UNSAFE_FORK: &[&str] = &["process/mod.rs", "process/builder.rs", "process/launch.rs"];

/// The longest file that a reader takes in.
const MAX_LINES: usize = 800;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(dir: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                files_below(&path, ending, found);
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
}

fn files(dir: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files_below(&root().join(dir), ending, &mut found);
    assert!(!found.is_empty(), "no {ending} files in {dir}");
    found
}

/// The top module that a file of `src` belongs to; `None` for the roots, which see everything.
fn room(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
    let name = first.trim_end_matches(".rs").to_owned();
    (!["lib", "internals"].contains(&name.as_str())).then_some(name)
}

fn layer(room: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&room))
}

/// The code of a file without comments and without its unit tests.
fn code(text: &str) -> String {
    let code: Vec<_> = text
        .lines()
        .take_while(|line| !line.starts_with("#[cfg(all(test") && !line.starts_with("#[cfg(test)]"))
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    code.join("\n")
}

/// The rooms that `code` names by `crate::room`, also in `use crate::{..}` lists.
fn named_rooms(code: &str) -> Vec<String> {
    let ident = |s: &str| -> String {
        s.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
    };
    let mut rooms = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => rooms.push(ident(rest)),
            Some(list) => {
                let mut depth = 0;
                let mut start = true;
                for (i, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && depth == 0 && c.is_alphabetic() => {
                            rooms.push(ident(&list[i..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    rooms
}

#[test]
fn arrows_between_layers_point_down() {
    let mut wrong = Vec::new();
    for path in files("src", ".rs") {
        if path.to_string_lossy().ends_with("_tests.rs") {
            continue;
        }
        let Some(from) = room(&path) else { continue };
        let Some(own) = layer(&from) else {
            wrong.push(format!("{}: no layer for `{from}`", path.display()));
            continue;
        };
        for to in named_rooms(&code(&fs::read_to_string(&path).unwrap())) {
            // Names of the root itself (`crate::Result`) are re-exports of a layer, used in docs.
            let Some(other) = layer(&to) else { continue };
            let beside = BESIDE.contains(&(from.as_str(), to.as_str()));
            let upward = other > own || other == own && from != to && !beside;
            if upward || NEVER.contains(&(from.as_str(), to.as_str())) {
                wrong.push(format!("{}: {from} -> {to}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_wall_test_sees_upward_edges() {
    assert_eq!(named_rooms("use crate::{sys, lock::raw::{A, B}, pipe};"), ["sys", "lock", "pipe"]);
    assert_eq!(named_rooms("fn f(x: crate::region::Object) {}"), ["region"]);
    assert!(layer("process") > layer("pipe") && layer("pipe") > layer("lock"));
    assert!(layer("lock") > layer("region") && layer("region") > layer("sync"));
    assert!(layer("sync") > layer("sys"));
}

#[test]
fn unsafe_stays_in_its_rooms() {
    for path in files("src", ".rs") {
        let text = code(&fs::read_to_string(&path).unwrap());
        let may = room(&path).is_some_and(|room| UNSAFE.contains(&room.as_str()));
        let forks = UNSAFE_FORK.iter().any(|file| path.ends_with(file));
        assert!(may || !text.contains("allow(unsafe_code)"), "{}", path.display());
        assert!(may || forks || !text.contains("expect(unsafe_code"), "{}", path.display());
        let blocks = text.matches("unsafe {").count();
        assert!(may || blocks <= usize::from(forks), "{}: {blocks} blocks", path.display());
    }
}

#[test]
fn atomics_come_through_the_facade() {
    for path in files("src", ".rs") {
        let below = matches!(room(&path).as_deref(), Some("sys" | "sync"));
        let text = code(&fs::read_to_string(&path).unwrap());
        let direct = text.contains("std::sync::atomic") || text.contains("core::sync::atomic");
        let test = path.to_string_lossy().ends_with("_tests.rs");
        assert!(below || test || !direct, "{}", path.display());
    }
}

#[test]
fn files_are_short_and_ascii() {
    for dir in ["src", "tests", "examples", "benches"] {
        for path in files(dir, ".rs") {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.is_ascii(), "{}: not ASCII", path.display());
            let lines = text.lines().count();
            assert!(lines <= MAX_LINES, "{}: {lines} lines", path.display());
        }
    }
}

#[test]
fn every_script_that_is_named_exists() {
    for page in ["README.md", "ARCHITECTURE.md", ".ci/run"] {
        let text = fs::read_to_string(root().join(page)).unwrap();
        for (at, _) in text.match_indices("ci/") {
            let name: String = text[at..]
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "/-_.".contains(*c))
                .collect();
            let name = name.trim_end_matches('.');
            let hidden = text[..at].ends_with('.');
            if name.ends_with(".sh") && !hidden {
                assert!(root().join(name).is_file(), "{page} names {name}, which is not there");
            }
        }
    }
}
