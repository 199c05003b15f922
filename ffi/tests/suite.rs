//! Programs in C, one an object, each linked with the shared library and with the static one.

mod build;

use build::Link;
use std::process::Command;

fn suite(name: &str) {
    for link in [Link::Shared, Link::Static] {
        build::run(&mut Command::new(build::program(name, link)));
    }
}

#[test]
fn smoke() {
    suite("smoke");
}

#[test]
fn process() {
    suite("process");
}

#[test]
fn process_with_auto_init() {
    for link in [Link::Shared, Link::Static] {
        build::run(&mut Command::new(build::variant("process", "auto", &["-DAUTO"], link)));
    }
}
