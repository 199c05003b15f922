//! Does a manager whose region somebody has overwritten end in errors or wrong answers, and in nothing
//! worse? `SHMKIT_FUZZ_CASES` says how many times, 500 if not said.

#![cfg(all(feature = "takeover", not(loom)))]
#![allow(unsafe_code)]

mod common;

use common::unique;
use shmkit::{Dict, Error, List, Manager, ManagerOptions, Namespace};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// xorshift64*, so that a failure can be had again.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// What calls return, as far as it is of interest: that they do.
#[derive(Default, Debug)]
struct Returned {
    fine: u64,
    errors: u64,
}

impl Returned {
    fn note<T>(&mut self, done: Result<T, Error>) {
        match done {
            Ok(_) => self.fine += 1,
            Err(_) => self.errors += 1,
        }
    }
}

#[derive(Clone)]
struct Handles {
    manager: Manager,
    dict: Dict<String, Vec<u8>>,
    list: List<String>,
    names: Namespace,
}

const PATIENCE: Duration = Duration::from_micros(100);

impl Handles {
    fn of(manager: Manager) -> Result<Handles, Error> {
        let dict = manager.dict("dict")?.patience(PATIENCE);
        let list = manager.list("list")?.patience(PATIENCE);
        let names = manager.namespace("names")?.patience(PATIENCE);
        Ok(Handles { manager, dict, list, names })
    }

    fn fill(&self) {
        for n in 0..40 {
            self.dict.insert(format!("key {n}"), vec![n as u8; n * 13]).unwrap();
            self.list.push("line ".repeat(n % 9)).unwrap();
        }
        self.dict.insert("pages".into(), vec![1; 20_000]).unwrap();
        self.names.set("number", 7u64).unwrap();
        self.names.set("text", "some text".to_string()).unwrap();
    }

    /// Everything once.
    fn use_all(&self, seen: &mut Returned) {
        let (dict, list, names) = (&self.dict, &self.list, &self.names);
        for n in 0..40 {
            seen.note(dict.get(&format!("key {n}")));
        }
        seen.note(dict.insert("key 3".into(), vec![3; 100]));
        seen.note(dict.set("new", &vec![4; 4]));
        seen.note(dict.update("key 5", |value| *value = None));
        seen.note(dict.remove("key 7"));
        seen.note(dict.items());
        seen.note(list.get(3));
        seen.note(list.push("one more".into()));
        seen.note(list.insert(2, "in between".into()));
        seen.note(list.remove(1));
        seen.note(list.update(4, |line| line.push('!')));
        seen.note(list.snapshot());
        seen.note(list.slice(3..9));
        seen.note(list.sort());
        seen.note(list.pop());
        seen.note(names.get::<u64>("number"));
        seen.note(names.update("text", |text: &mut String| text.push('.')));
        seen.note(names.names());
        seen.note(dict.clear());
        seen.note(list.clear());
        seen.note(names.clear());
        seen.note(dict.insert("key 1".into(), vec![9; 30]));
        seen.note(list.extend(["a", "b"].map(String::from)));
        let _ = (dict.len(), list.len(), names.len(), self.manager.keys());
        let _ = (self.manager.used_bytes(), dict.interruptions());
    }
}

/// A word that is more likely to do harm than any.
fn bad_word(dice: &mut Dice, was: u64) -> u64 {
    match dice.below(7) {
        0 => 0,
        1 => u64::MAX,
        2 => dice.below(64),
        3 => dice.below(1 << 16) << 8 | dice.below(24),
        4 => was ^ 1 << dice.below(64),
        5 => was.wrapping_add(dice.below(9)).wrapping_sub(4),
        _ => dice.next(),
    }
}

#[test]
fn overwritten_words_are_errors_or_wrong_answers() {
    // SAFETY: a plain call. What hangs is killed.
    unsafe { libc::alarm(300) };
    let cases = std::env::var("SHMKIT_FUZZ_CASES").map_or(500, |n| n.parse().unwrap());
    let name = unique("fuzz");
    let options = ManagerOptions::new().capacity_bytes(256 << 10).participants(4);
    let handles = Handles::of(options.create(&name).unwrap()).unwrap();
    handles.fill();
    let path = format!("/dev/shm/shmkit.{name}");
    let file = File::options().read(true).write(true).open(path).unwrap();
    // All there is, up to the containers and somewhat beyond; the rest is a hole.
    let mut image = vec![0u8; 320 << 10];
    file.read_exact_at(&mut image, 0).unwrap();
    let words: Vec<u64> =
        image.chunks(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap())).collect();
    // What is not zero is what means something; the first 128 bytes are read when a region is opened.
    let meant: Vec<usize> = (24..words.len()).filter(|at| words[*at] != 0).collect();
    let (mut dice, mut seen) = (Dice(0x5eed), Returned::default());
    for _ in 0..cases {
        file.write_all_at(&image, 0).unwrap();
        for _ in 0..=dice.below(4) {
            let at = match dice.below(4) {
                0 => 24 + dice.below(words.len() as u64 - 24) as usize,
                _ => meant[dice.below(meant.len() as u64) as usize],
            };
            let word = bad_word(&mut dice, words[at]);
            file.write_all_at(&word.to_ne_bytes(), at as u64 * 8).unwrap();
        }
        match dice.below(2) {
            0 => handles.clone().use_all(&mut seen),
            _ => match Handles::of(handles.manager.clone()) {
                Ok(handles) => handles.use_all(&mut seen),
                Err(_) => seen.errors += 1,
            },
        }
    }
    file.write_all_at(&image, 0).unwrap();
    assert!(seen.fine > seen.errors && seen.errors > cases / 10, "{seen:?} of {cases}");
    assert_eq!(handles.names.get::<u64>("number").unwrap(), 7);
}

#[test]
fn a_region_of_random_words_is_no_harm_either() {
    // SAFETY: a plain call. What hangs is killed.
    unsafe { libc::alarm(300) };
    let name = unique("noise");
    let options = ManagerOptions::new().capacity_bytes(64 << 10).participants(4);
    let handles = Handles::of(options.create(&name).unwrap()).unwrap();
    let path = format!("/dev/shm/shmkit.{name}");
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut image = vec![0u8; 128 << 10];
    file.read_exact_at(&mut image, 0).unwrap();
    let (mut dice, mut seen) = (Dice(0xbad), Returned::default());
    for _ in 0..100 {
        file.write_all_at(&image, 0).unwrap();
        let noise: Vec<u8> =
            (0..image.len() / 8 - 200).flat_map(|_| dice.next().to_ne_bytes()).collect();
        file.write_all_at(&noise, 1600).unwrap();
        handles.use_all(&mut seen);
        if let Ok(handles) = Handles::of(handles.manager.clone()) {
            handles.use_all(&mut seen);
        }
    }
    file.write_all_at(&image, 0).unwrap();
    assert!(seen.errors > 0, "{seen:?}");
}
