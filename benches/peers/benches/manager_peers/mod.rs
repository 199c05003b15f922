//! Who keeps values under keys, and how each gets, sets and changes one.

use super::crew::{Contestant, Turn};
use super::{KEYS, What};
use heed::types::{Bytes, U64};
use redb::ReadableDatabase;
use shmkit::{Dict, Manager, Plain};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::sync::{Arc, Barrier, Mutex};
use std::time::Instant;

/// Nanoseconds for each operation, of a contestant that is no process of the crew.
pub type OwnNs = Rc<Cell<f64>>;

pub struct Entry {
    pub name: &'static str,
    pub bytes: usize,
    pub what: What,
    pub members_max: u32,
    pub own: Option<OwnNs>,
    /// Takes part in one round of so many.
    pub every: usize,
    /// The most operations of a turn.
    pub operations_max: u64,
}

/// What a process has open.
trait Store {
    fn get(&self, key: u64) -> u64;
    fn set(&self, key: u64, first: u64);
    /// Adds one to the first word.
    fn update(&self, key: u64);
}

pub struct Field(pub Vec<(Entry, Contestant)>);

/// Where the files of peers lie: in memory.
fn folder(name: &str) -> PathBuf {
    let path = format!("/dev/shm/shmkit-bench-{}-{name}", std::process::id());
    std::fs::create_dir_all(&path).expect("room in /dev/shm");
    path.into()
}

fn next(key: u64) -> u64 {
    (key * 5 + 7) % KEYS
}

impl Field {
    fn add(
        &mut self,
        name: &'static str,
        bytes: usize,
        members_max: u32,
        open: impl Fn() -> Box<dyn Store> + 'static,
    ) {
        let open = Rc::new(open);
        // Before it is timed: what is set is got, and a change adds one.
        let store = open();
        for key in 0..KEYS {
            store.set(key, key);
            store.update(key);
            assert_eq!(store.get(key), key + 1, "{name}");
        }
        drop(store);
        // Opened by each process at its first turn: the crew is forked before.
        let kept = Rc::new(RefCell::new(None));
        for what in [What::Get, What::Set, What::Update] {
            let (open, kept) = (Rc::clone(&open), Rc::clone(&kept));
            let run = move |turn: Turn| {
                let mut kept = kept.borrow_mut();
                let store = kept.get_or_insert_with(|| open());
                let mut key = turn.member as u64;
                for _ in 0..turn.operations {
                    key = next(key);
                    match what {
                        What::Get => _ = std::hint::black_box(store.get(key)),
                        What::Set => store.set(key, key),
                        What::Update => store.update(key),
                    }
                }
            };
            let entry = Entry {
                name,
                bytes,
                what,
                members_max,
                own: None,
                every: 1,
                operations_max: u64::MAX,
            };
            self.0.push((entry, Contestant::new(name, run)));
        }
    }

    pub fn add_ours<const W: usize>(&mut self)
    where
        [u64; W]: shmkit::Pod,
    {
        struct Ours<const W: usize>(Dict<u64, Plain<[u64; W]>>);

        impl<const W: usize> Store for Ours<W>
        where
            [u64; W]: shmkit::Pod,
        {
            fn get(&self, key: u64) -> u64 {
                self.0.get(&key).unwrap().map_or(0, |value| value.0[0])
            }

            fn set(&self, key: u64, first: u64) {
                self.0.set(&key, &Plain([first; W])).unwrap();
            }

            fn update(&self, key: u64) {
                self.0.update(&key, |value| value.as_mut().map(|value| value.0[0] += 1)).unwrap();
            }
        }

        let manager = Manager::new().unwrap();
        self.add("shmkit Dict", 8 * W, 4, move || Box::new(Ours::<W>(manager.dict("d").unwrap())));
        if W == 1 {
            struct Typed(Dict<u64, u64>);

            impl Store for Typed {
                fn get(&self, key: u64) -> u64 {
                    self.0.get(&key).unwrap().unwrap_or(0)
                }

                fn set(&self, key: u64, first: u64) {
                    self.0.set(&key, &first).unwrap();
                }

                fn update(&self, key: u64) {
                    self.0.update(&key, |value| *value.get_or_insert(0) += 1).unwrap();
                }
            }

            let manager = Manager::new().unwrap();
            let open = move || Box::new(Typed(manager.dict("d").unwrap())) as Box<dyn Store>;
            self.add("shmkit Dict<u64, u64>", 8, 4, open);
        }
    }

    pub fn add_lmdb(&mut self, bytes: usize) {
        struct Lmdb {
            env: heed::Env,
            all: heed::Database<U64<heed::byteorder::NativeEndian>, Bytes>,
            value: RefCell<Vec<u8>>,
        }

        impl Store for Lmdb {
            fn get(&self, key: u64) -> u64 {
                let read = self.env.read_txn().unwrap();
                let value = self.all.get(&read, &key).unwrap().unwrap();
                self.value.borrow_mut().copy_from_slice(value);
                first(value)
            }

            fn set(&self, key: u64, first: u64) {
                let mut write = self.env.write_txn().unwrap();
                let mut value = self.value.borrow_mut();
                value[..8].copy_from_slice(&first.to_ne_bytes());
                self.all.put(&mut write, &key, &value).unwrap();
                write.commit().unwrap();
            }

            fn update(&self, key: u64) {
                let mut write = self.env.write_txn().unwrap();
                let mut value = self.all.get(&write, &key).unwrap().unwrap().to_vec();
                let next = first(&value) + 1;
                value[..8].copy_from_slice(&next.to_ne_bytes());
                self.all.put(&mut write, &key, &value).unwrap();
                write.commit().unwrap();
            }
        }

        let path = folder(&format!("lmdb-{bytes}"));
        self.add("LMDB, in memory", bytes, 4, move || {
            use heed::EnvFlags;
            let mut options = heed::EnvOpenOptions::new();
            options.map_size(256 << 20);
            // SAFETY: nobody but LMDB writes the file; nothing is synced, as nothing is with us.
            let env = unsafe {
                options.flags(EnvFlags::NO_SYNC | EnvFlags::WRITE_MAP);
                options.open(&path).unwrap()
            };
            let mut write = env.write_txn().unwrap();
            let all = env.create_database(&mut write, None).unwrap();
            write.commit().unwrap();
            Box::new(Lmdb { env, all, value: RefCell::new(vec![0; bytes]) })
        });
    }

    pub fn add_redb(&mut self, bytes: usize) {
        const TABLE: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("d");

        struct Redb {
            base: redb::Database,
            value: RefCell<Vec<u8>>,
        }

        impl Redb {
            fn write(&self, change: impl FnOnce(&mut redb::Table<'_, u64, &[u8]>)) {
                let mut write = self.base.begin_write().unwrap();
                write.set_durability(redb::Durability::None).unwrap();
                change(&mut write.open_table(TABLE).unwrap());
                write.commit().unwrap();
            }
        }

        impl Store for Redb {
            fn get(&self, key: u64) -> u64 {
                let read = self.base.begin_read().unwrap();
                let table = read.open_table(TABLE).unwrap();
                let value = table.get(key).unwrap().unwrap();
                self.value.borrow_mut().copy_from_slice(value.value());
                first(value.value())
            }

            fn set(&self, key: u64, first: u64) {
                let mut value = self.value.borrow_mut();
                value[..8].copy_from_slice(&first.to_ne_bytes());
                self.write(|table| drop(table.insert(key, &value[..]).unwrap()));
            }

            fn update(&self, key: u64) {
                use redb::ReadableTable;
                self.write(|table| {
                    let mut value = table.get(key).unwrap().unwrap().value().to_vec();
                    let next = first(&value) + 1;
                    value[..8].copy_from_slice(&next.to_ne_bytes());
                    table.insert(key, &value[..]).unwrap();
                });
            }
        }

        self.add("redb, in memory, 1 process", bytes, 1, move || {
            let backend = redb::backends::InMemoryBackend::new();
            let base = redb::Builder::new().create_with_backend(backend).unwrap();
            let store = Redb { base, value: RefCell::new(vec![0; bytes]) };
            (0..KEYS).for_each(|key| store.set(key, key));
            Box::new(store)
        });
    }

    fn add_own(
        &mut self,
        (name, bytes, what, every, operations_max): (&'static str, usize, What, usize, u64),
        measure: impl Fn(u64, u64) -> f64 + 'static,
    ) {
        let own = OwnNs::default();
        let ns = Rc::clone(&own);
        let run = move |turn: Turn| ns.set(measure(turn.pause, turn.operations));
        let entry =
            Entry { name, bytes, what, members_max: 4, own: Some(own), every, operations_max };
        self.0.push((entry, Contestant::new(name, run)));
    }

    /// Between threads: what a program does that needs no other process.
    pub fn add_threads(&mut self, bytes: usize) {
        for what in [What::Get, What::Set, What::Update] {
            let name = ("Mutex<HashMap>, threads", bytes, what, 1, u64::MAX);
            self.add_own(name, move |members, operations| {
                let map: HashMap<u64, Vec<u8>> =
                    (0..KEYS).map(|key| (key, vec![0; bytes])).collect();
                let map = Arc::new(Mutex::new(map));
                let start = Arc::new(Barrier::new(members as usize + 1));
                let work = |member: u64| {
                    let (map, start) = (Arc::clone(&map), Arc::clone(&start));
                    std::thread::spawn(move || {
                        let (mut key, mut own) = (member, vec![1; bytes]);
                        start.wait();
                        for _ in 0..operations {
                            key = next(key);
                            let mut map = map.lock().unwrap();
                            match what {
                                What::Get => own.copy_from_slice(&map[&key]),
                                What::Set => _ = map.insert(key, own.clone()),
                                What::Update => map.get_mut(&key).unwrap()[0] += own[0] & 1,
                            }
                        }
                    })
                };
                let all: Vec<_> = (0..members).map(work).collect();
                start.wait();
                let began = Instant::now();
                all.into_iter().for_each(|one| one.join().unwrap());
                began.elapsed().as_nanos() as f64 / (members * operations) as f64
            });
        }
    }

    pub fn add_python(&mut self, bytes: usize) {
        let there = Command::new("python3").arg("-c").arg("import multiprocessing").status();
        if !there.is_ok_and(|status| status.success()) {
            return;
        }
        for (what, text) in [(What::Get, "get"), (What::Set, "set"), (What::Update, "update")] {
            // An interpreter has to start for each sample.
            let name = ("Python Manager().dict()", bytes, what, 4, 2000);
            self.add_own(name, move |members, operations| {
                let script =
                    concat!(env!("CARGO_MANIFEST_DIR"), "/benches/manager_peers/python.py");
                let numbers = [members, bytes as u64, operations, KEYS];
                let output = Command::new("python3")
                    .arg(script)
                    .args(numbers.map(|number| number.to_string()))
                    .arg(text)
                    .output()
                    .expect("python3 ran before");
                String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(f64::NAN)
            });
        }
    }
}

fn first(value: &[u8]) -> u64 {
    u64::from_ne_bytes(value[..8].try_into().unwrap())
}

impl Drop for Field {
    fn drop(&mut self) {
        for bytes in super::SIZES {
            let _ = std::fs::remove_dir_all(folder(&format!("lmdb-{bytes}")));
        }
    }
}
