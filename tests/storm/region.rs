//! Regions: made, named, found, filled and given up by processes that are killed on the way.

use std::sync::atomic::Ordering::SeqCst;

use shmkit::{Array, Error, Region, Value};

use crate::campaign::Storm;
use crate::helper::elsewhere;
use crate::ledger::{Ledger, Rng};
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![survives::<Names>("region::names"), survives::<Packed>("region::packed_objects")]
}

/// A few names, under which everybody makes, finds and gives up values.
struct Names;

const NAMES: u64 = 3;

fn name(index: u64) -> String {
    // SAFETY: plain call. Workers are of their controller's process group.
    format!("storm-{}-{index}", unsafe { libc::getpgrp() })
}

fn files() -> Vec<String> {
    let files = std::fs::read_dir("/dev/shm").unwrap();
    let names = files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|file| (0..NAMES).any(|index| file.ends_with(&name(index)))).collect()
}

fn assert_whole(data: [u64; 3]) {
    assert!(data == [data[0]; 3] && data[0] != 0, "not whole: {data:?}");
}

impl Storm for Names {
    fn set_up() -> Self {
        Names
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        let name = name(rng.below(NAMES));
        let n = ledger.ticket(me);
        let value = match rng.below(2) {
            0 => Value::create(&name, [n; 3]),
            _ => Value::<[u64; 3]>::open(&name),
        };
        match value {
            Ok(value) => {
                assert_whole(value.get());
                let _ = value.set([n; 3]); // a death that is told is none of ours
                assert_whole(value.get());
            }
            Err(Error::Exists | Error::NotFound) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn check(&self, _: &Ledger) {
        for index in 0..NAMES {
            let value = Value::create(&name(index), [1u64; 3]).unwrap();
            elsewhere(|| {
                assert!(matches!(Value::create(&name(index), [2u64; 3]), Err(Error::Exists)));
                Value::<[u64; 3]>::open(&name(index)).unwrap().set([4; 3]).unwrap();
            });
            assert_eq!(value.get(), [4; 3]);
        }
        assert_eq!(files(), [""; 0], "left behind");
    }
}

/// One region, to which everybody adds objects until it is full.
struct Packed(Region);

/// Of a seat: how many objects it was given for sure.
const MADE: usize = 0;

impl Storm for Packed {
    fn set_up() -> Self {
        Packed(Region::new(1 << 20).unwrap())
    }

    fn work(&self, me: usize, rng: &mut Rng, ledger: &Ledger) {
        let len = rng.below(100) as usize;
        match Array::<u64>::new_in(&self.0, len) {
            Ok(array) => {
                assert!(array.len() == len && array.iter().all(|n| n == 0), "not zero");
                array.lock().unwrap().fill(u64::MAX);
                ledger.own(me, MADE).fetch_add(1, SeqCst);
            }
            Err(Error::NoSpace) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn check(&self, ledger: &Ledger) {
        let mut made = ledger.sum(MADE);
        while Array::<u64>::new_in(&self.0, 0).is_ok() {
            made += 1;
        }
        assert!(made > 800, "only {made} objects found room");
    }
}
