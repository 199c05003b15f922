//! Do processes of one family share a key, which keeps all others out?

#![cfg(feature = "authkey")]

mod common;

use common::{LONG, join, reap};
use shmkit::{AcceptError, ConnectOptions, ListenerOptions, Process, current_process};
use std::path::PathBuf;

/// Sent as bytes, for that is what it is to others.
fn own_key() -> Vec<u8> {
    current_process().authkey().to_vec()
}

fn keys_of_the_family() -> Vec<Vec<u8>> {
    let grandchild = Process::spawn((), own_key).unwrap();
    assert_eq!(grandchild.authkey(), own_key());
    vec![own_key(), join(&grandchild).unwrap()]
}

#[test]
fn the_key_is_random_and_inherited_by_children_and_their_children_p22() {
    let mine = own_key();
    assert_eq!(mine.len(), 32);
    assert_eq!(mine, own_key());
    assert_ne!(mine, [0; 32]);
    let child = Process::spawn((), keys_of_the_family).unwrap();
    assert_eq!(child.authkey(), mine);
    assert_eq!(join(&child).unwrap(), [mine.clone(), mine]);
}

#[test]
fn a_child_can_be_given_a_key_of_its_own_which_its_children_inherit_p22() {
    let child = Process::builder().authkey(b"another").spawn((), keys_of_the_family).unwrap();
    assert_eq!(child.authkey(), b"another");
    assert_eq!(join(&child).unwrap(), [b"another", b"another"]);
}

/// Another program makes a key of its own.
fn key_of_a_new_family() -> Vec<u8> {
    // Not this process's: it inherited one. A main process is what the program is when it starts.
    let this = std::env::current_exe().unwrap();
    let other = std::process::Command::new(this)
        .args(["--exact", "--nocapture", "--ignored", "prints_its_key"])
        .output()
        .unwrap();
    let text = String::from_utf8(other.stdout).unwrap();
    let line = text.lines().find_map(|line| line.split_once("key: ")).expect("no key printed").1;
    line.split(' ').map(|byte| byte.parse().unwrap()).collect()
}

#[test]
#[ignore = "run by another test, in a program of its own"]
fn prints_its_key() {
    let bytes: Vec<_> = own_key().iter().map(u8::to_string).collect();
    println!("\nkey: {}", bytes.join(" "));
}

#[test]
fn two_programs_have_two_keys_p22() {
    let theirs = key_of_a_new_family();
    assert_eq!(theirs.len(), 32);
    assert_ne!(theirs, own_key());
}

fn connects(path: String) -> String {
    let options = ConnectOptions::new().authkey(current_process().authkey());
    match options.connect_timeout::<u32>(path, LONG) {
        Ok(c) => format!("{:?}", c.recv()),
        Err(e) => format!("{e:?}"),
    }
}

#[test]
fn the_family_gets_in_and_others_are_refused_on_both_sides_p22_x14() {
    let path: PathBuf = std::env::temp_dir().join(format!("shmkit-authkey.{}", std::process::id()));
    let text = || path.to_string_lossy().into_owned();
    let options = ListenerOptions::new().authkey(current_process().authkey());
    let listener = options.bind::<u32>(&path).unwrap();
    let child = Process::spawn((text(),), connects).unwrap();
    listener.accept_timeout(LONG).unwrap().send(5).unwrap();
    assert_eq!(join(&child).unwrap(), "Ok(5)");
    let stranger = Process::builder().authkey([7; 32]).spawn((text(),), connects).unwrap();
    let refused = listener.accept_timeout(LONG);
    assert!(matches!(refused, Err(AcceptError::WrongKey)), "{:?}", refused.map(drop));
    assert_eq!(join(&stranger).unwrap(), "WrongKey");
}

fn forks() {
    let mine = own_key();
    reap(common::fork(|| assert_eq!(own_key(), mine)));
}

#[test]
fn a_forked_child_has_the_key_too() {
    join(&Process::spawn((), forks).unwrap()).unwrap();
}

#[test]
fn a_key_is_not_printed() {
    let child = Process::builder().authkey(b"secret").spawn((), || ()).unwrap();
    let builder = format!("{:?}", Process::builder().authkey(b"secret"));
    let secret = format!("{:?}", b"secret".to_vec());
    for text in [builder, format!("{child:?}"), format!("{:?}", current_process())] {
        assert!(
            !text.contains("secret") && !text.contains(secret.trim_matches(['[', ']'])),
            "{text}"
        );
    }
    join(&child).unwrap();
}
