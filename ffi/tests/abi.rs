//! What programs were compiled against stays: every function, number and field that `abi/N.txt` lists is in the
//! header as it was. New ones may come; `SHMKIT_BLESS=1 cargo test -p shmkit-ffi --test abi` adds them.
//!
//! A change that breaks this needs the next `SHMKIT_ABI_VERSION`, and a list of its own.

mod build;

use std::collections::BTreeSet;
use std::fs;

/// The header without comments and preprocessor lines, each declaration on a line.
fn declarations() -> BTreeSet<String> {
    let header = fs::read_to_string(build::root().join("include/shmkit.h")).unwrap();
    let (mut text, mut rest) = (String::new(), header.as_str());
    while let Some((before, after)) = rest.split_once("/*") {
        text += before;
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    text += rest;
    let mut all = BTreeSet::new();
    let mut code = String::new();
    let mut goes_on = false;
    for line in text.lines() {
        let directive = line.trim_start().starts_with('#');
        if let Some(definition) = line.trim().strip_prefix("#define SHMKIT_")
            && definition.split_whitespace().nth(1).is_some_and(|v| v.parse::<i64>().is_ok())
            && !definition.starts_with("VERSION")
        {
            all.insert(format!("#define SHMKIT_{definition}"));
        }
        if !directive && !goes_on {
            code += line;
            code.push(' ');
        }
        goes_on = (directive || goes_on) && line.ends_with('\\');
    }
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rest = code.as_str();
    while let Some(end) = rest.find([';', '{']) {
        let (head, tail) = rest.split_at(end);
        let head = squeeze(head);
        if let Some(after) = tail.strip_prefix(';') {
            if head.contains("shmkit_") {
                all.insert(head);
            }
            rest = after;
            continue;
        }
        if head.contains("extern") {
            rest = &tail[1..]; // what is in it counts
            continue;
        }
        let Some(close) = tail.find('}') else { break };
        if head.starts_with("typedef") {
            let name = head.split_whitespace().last().unwrap().to_owned();
            // Fields in their order, since that is where they are; numbers of an enum by name.
            let body = &tail[1..close];
            if head.contains("enum") {
                for value in body.split(',').map(squeeze).filter(|value| !value.is_empty()) {
                    all.insert(format!("{name}: {value}"));
                }
            } else {
                for (nth, field) in body.split(';').map(squeeze).enumerate() {
                    if !field.is_empty() {
                        all.insert(format!("{name} {nth}: {field}"));
                    }
                }
            }
        }
        rest = tail[close..].split_once(';').map_or("", |(_, after)| after);
    }
    all
}

#[test]
fn nothing_that_was_promised_is_gone() {
    let header = fs::read_to_string(build::root().join("include/shmkit.h")).unwrap();
    let (_, rest) = header.split_once("#define SHMKIT_ABI_VERSION ").unwrap();
    let abi = rest.split_whitespace().next().unwrap();
    let path = build::root().join(format!("abi/{abi}.txt"));
    let now = declarations();
    assert!(now.len() > 250, "only {} declarations found", now.len());
    let promised = fs::read_to_string(&path).unwrap_or_default();
    let gone: Vec<_> = promised.lines().filter(|line| !now.contains(*line)).collect();
    let is_blessed = std::env::var_os("SHMKIT_BLESS").is_some();
    if is_blessed {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, now.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
        return;
    }
    assert!(gone.is_empty(), "changed or removed:\n{}", gone.join("\n"));
    let new: Vec<_> = now.iter().filter(|line| !promised.lines().any(|old| old == *line)).collect();
    assert!(new.is_empty(), "not listed in {}: SHMKIT_BLESS=1 adds it: {new:?}", path.display());
}
