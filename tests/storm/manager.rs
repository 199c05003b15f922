//! Managers: a dict, a list and a namespace that everybody changes, and a model of what must be left.

use std::collections::HashMap;
use std::sync::atomic::Ordering::SeqCst;

use shmkit::{Dict, List, Manager, ManagerOptions, Namespace};

use crate::campaign::Storm;
use crate::helper::elsewhere;
use crate::ledger::{Ledger, Rng};
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<Own>("manager::dict_own_keys"),
        survives::<Counts>("manager::dict_counts"),
        survives::<Lists>("manager::list"),
        survives::<Keys>("manager::keys"),
    ]
}

fn manager() -> Manager {
    ManagerOptions::new().capacity_bytes(8 << 20).anonymous().unwrap()
}

/// Everything has to come back once there is nothing in use.
fn assert_no_leak(manager: &Manager, clear: impl FnOnce()) {
    elsewhere(clear);
    assert_eq!(manager.used_bytes(), 0, "memory is lost");
}

/// Keys of a seat, each with a plan: what its worker has done last, and what it was about to do.
const KEYS: usize = 7;

/// A dict of which every seat has keys of its own, so that what is there is known exactly: the last
/// change that was acknowledged, or the one that was begun after it.
struct Own {
    manager: Manager,
    dict: Dict<(u8, u8), Vec<u8>>,
}

/// What the `n`-th change of a key leaves: nothing, a word, a text, or pages.
fn value(seat: usize, key: usize, n: u64) -> Option<Vec<u8>> {
    let len = match (n * 7 + key as u64) % 16 {
        _ if n == 0 => return None,
        0..4 => return None,
        4..8 => 4,
        8..14 => (n * 37 % 700) as usize,
        14 => 5_000,
        _ => 20_000,
    };
    let mut bytes = vec![(seat as u64 * 31 + n) as u8; len];
    bytes.extend(n.to_le_bytes());
    Some(bytes)
}

impl Own {
    /// Changes of this key, in the two halves of a word: acknowledged, begun.
    fn assert_key(&self, seat: usize, key: usize, ledger: &Ledger) {
        // A change may be under way: then what is there lies between two looks at the ledger.
        let made = ledger.own(seat, 2 * key).load(SeqCst);
        let found = self.dict.get(&(seat as u8, key as u8)).unwrap();
        let begun = ledger.own(seat, 2 * key + 1).load(SeqCst);
        let right = (made..=begun).any(|n| value(seat, key, n) == found);
        let len = found.map(|bytes| bytes.len());
        assert!(right, "key {key} of {seat}: {len:?} is none of {made}..={begun}");
    }
}

impl Storm for Own {
    fn set_up() -> Self {
        let manager = manager();
        let dict = manager.dict("d").unwrap();
        Own { manager, dict }
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        let key = rng.below(KEYS as u64) as usize;
        self.assert_key(me, key, ledger);
        let (made, begun) = (ledger.own(me, 2 * key), ledger.own(me, 2 * key + 1));
        let name = (me as u8, key as u8);
        if made.load(SeqCst) != begun.load(SeqCst) {
            // Of my predecessor, who died on the way: it stays open which, until the next change.
            let found = self.dict.get(&name).unwrap();
            let n = (made.load(SeqCst)..=begun.load(SeqCst))
                .rev()
                .find(|n| value(me, key, *n) == found);
            let n = n.unwrap_or_else(|| panic!("key {key} of {me} is neither old nor new"));
            // In this order, so that who dies between the two leaves a range that holds it.
            made.store(n, SeqCst);
            begun.store(n, SeqCst);
        }
        let n = made.load(SeqCst) + 1;
        begun.store(n, SeqCst);
        match value(me, key, n) {
            None => drop(self.dict.remove(&name).unwrap()),
            Some(bytes) => match rng.below(3) {
                0 => self.dict.set(&name, &bytes).unwrap(),
                1 => drop(self.dict.insert(name, bytes).unwrap()),
                _ => self.dict.update(&name, |value| *value = Some(bytes)).unwrap(),
            },
        }
        made.store(n, SeqCst);
        if rng.one_in(50) {
            self.assert_key(rng.below(Self::WORKERS as u64) as usize, key, ledger);
            let items = self.dict.items().unwrap();
            let names: std::collections::HashSet<_> = items.iter().map(|(name, _)| *name).collect();
            assert_eq!(names.len(), items.len(), "a key twice");
        }
    }

    fn check(&self, ledger: &Ledger) {
        let mut count = 0;
        for seat in 0..Self::WORKERS {
            for key in 0..KEYS {
                self.assert_key(seat, key, ledger);
                count += usize::from(self.dict.contains_key(&(seat as u8, key as u8)).unwrap());
            }
        }
        assert_eq!(self.dict.len(), count);
        assert!(self.dict.interruptions() <= ledger.kills());
        assert_no_leak(&self.manager, || self.dict.clear().unwrap());
    }
}

/// Counts that everybody adds to: nothing is lost, and of each of the killed at most one is open.
struct Counts {
    manager: Manager,
    dict: Dict<String, u64>,
    names: Namespace,
}

const BEGUN: usize = 0;
const MADE: usize = 1;

impl Storm for Counts {
    fn set_up() -> Self {
        let manager = manager();
        let (dict, names) = (manager.dict("d").unwrap(), manager.namespace("n").unwrap());
        names.set("sum", (0u64, 0u64)).unwrap();
        Counts { manager, dict, names }
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        ledger.own(me, BEGUN).fetch_add(1, SeqCst);
        if rng.one_in(3) {
            let add = |sum: &mut (u64, u64)| {
                assert_eq!(sum.0, sum.1, "half of a change");
                *sum = (sum.0 + 1, sum.1 + 1);
            };
            self.names.update("sum", add).unwrap();
        } else {
            // Sometimes far more keys than the table has slots.
            let keys = if rng.one_in(4) { 400 } else { 10 };
            let key = format!("key {}", rng.below(keys));
            self.dict.update(&key, |count| *count.get_or_insert(0) += 1).unwrap();
        }
        ledger.own(me, MADE).fetch_add(1, SeqCst);
    }

    fn check(&self, ledger: &Ledger) {
        let all: HashMap<String, u64> = self.dict.snapshot().unwrap();
        let (sum, same) = self.names.get::<(u64, u64)>("sum").unwrap();
        assert_eq!(sum, same);
        let counted = all.values().sum::<u64>() + sum;
        let (begun, made) = (ledger.sum(BEGUN), ledger.sum(MADE));
        assert!((made..=begun).contains(&counted), "{made} <= {counted} <= {begun}");
        assert!(begun - made <= ledger.kills());
        assert_no_leak(&self.manager, || {
            self.dict.clear().unwrap();
            self.names.clear().unwrap();
        });
    }
}

/// A list of lines that say whose they are and which: those of a seat come in their order.
struct Lists {
    manager: Manager,
    list: List<(u8, u64, String)>,
}

const PUSHES: usize = 0;
const POPS: usize = 1;

impl Lists {
    fn line(me: usize, n: u64) -> (u8, u64, String) {
        (me as u8, n, "x".repeat((n * 13 % 90) as usize))
    }

    fn assert_line(line: &(u8, u64, String)) {
        assert_eq!(*line, Self::line(line.0.into(), line.1), "torn");
    }
}

impl Storm for Lists {
    fn set_up() -> Self {
        let manager = manager();
        let list = manager.list("l").unwrap();
        Lists { manager, list }
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        let len = self.list.len();
        match rng.below(9) {
            // Whatever happens, it does not grow for ever.
            0..4 if len < 60 => {
                let n = ledger.own(me, PUSHES).fetch_add(1, SeqCst) + 1;
                let line = Self::line(me, n);
                match rng.below(3) {
                    0 => self.list.push(line).unwrap(),
                    1 => self.list.extend([line]).unwrap(),
                    _ => drop(self.list.insert(rng.below(len as u64 + 1) as usize, line)),
                }
            }
            4 => self.list.sort().unwrap(),
            5 => self.list.snapshot().unwrap().iter().for_each(Self::assert_line),
            6 if len > 0 => {
                let index = rng.below(len as u64) as usize;
                let touch = |line: &mut (u8, u64, String)| {
                    line.1 = line.1.wrapping_add(5);
                    line.2 = Self::line(line.0.into(), line.1).2;
                };
                let _ = self.list.update(index, touch); // it may be shorter by now
            }
            7 => {
                ledger.own(me, POPS).fetch_add(1, SeqCst);
                if let Ok(line) = self.list.remove(rng.below(len as u64 + 1) as usize) {
                    Self::assert_line(&line);
                }
            }
            _ => {
                ledger.own(me, POPS).fetch_add(1, SeqCst);
                if let Some(line) = self.list.pop().unwrap() {
                    Self::assert_line(&line);
                }
            }
        }
    }

    fn check(&self, ledger: &Ledger) {
        let all = self.list.snapshot().unwrap();
        all.iter().for_each(Self::assert_line);
        assert_eq!(all.len(), self.list.len());
        assert!(all.len() as u64 <= ledger.sum(PUSHES));
        assert_no_leak(&self.manager, || self.list.clear().unwrap());
    }
}

/// Objects that are made under keys by whoever comes first.
struct Keys(Manager);

const OBJECTS: u64 = 60;

impl Storm for Keys {
    fn set_up() -> Self {
        Keys(manager())
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        let n = rng.below(OBJECTS);
        let key = format!("key {n}");
        ledger.own(me, BEGUN).fetch_add(1, SeqCst);
        match n % 3 {
            0 => _ = self.0.value(&key, 0u64).unwrap().fetch_add(1),
            1 => {
                let dict = self.0.dict::<u64, u64>(&key).unwrap();
                dict.update(&n, |count| *count.get_or_insert(0) += 1).unwrap();
            }
            _ => self.0.list(&key).unwrap().push(n).unwrap(),
        }
        ledger.own(me, MADE).fetch_add(1, SeqCst);
    }

    fn check(&self, ledger: &Ledger) {
        let keys = self.0.keys();
        let names: std::collections::HashSet<_> = keys.iter().map(|(key, _)| key).collect();
        assert_eq!(names.len(), keys.len(), "a key twice");
        let mut counted = 0;
        for n in 0..OBJECTS {
            let key = format!("key {n}");
            counted += match n % 3 {
                _ if !self.0.contains_key(&key) => 0,
                0 => self.0.value(&key, 0u64).unwrap().get(),
                1 => self.0.dict::<u64, u64>(&key).unwrap().get(&n).unwrap().unwrap_or(0),
                _ => self.0.list::<u64>(&key).unwrap().len() as u64,
            };
        }
        let (begun, made) = (ledger.sum(BEGUN), ledger.sum(MADE));
        assert!((made..=begun).contains(&counted), "{made} <= {counted} <= {begun}");
    }
}
