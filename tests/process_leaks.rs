//! Does a long row of processes leave nothing behind: no descriptor, zombie, or shared memory?
//!
//! One test, alone in its program: it counts what belongs to the whole process.

#![cfg(feature = "takeover")]

use shmkit::{Process, Value};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(120);

#[derive(Debug, PartialEq, Eq)]
struct Inventory {
    descriptors: BTreeSet<String>,
    children: Vec<String>,
}

fn names(directory: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// What there is of ours, zombies included.
fn inventory() -> Inventory {
    let own = std::process::id().to_string();
    let is_child = |pid: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        parent == Some(own.as_str())
    };
    Inventory {
        descriptors: names("/proc/self/fd"),
        children: names("/proc").into_iter().filter(is_child).collect(),
    }
}

/// Fails if something new stays in `/dev/shm`; what other programs make there comes and goes.
fn nothing_stays_in_shared_memory(before: &BTreeSet<String>) {
    let deadline = Instant::now() + LONG;
    let mut new = &names("/dev/shm") - before;
    while !new.is_empty() {
        assert!(Instant::now() < deadline, "{new:?}");
        std::thread::sleep(Duration::from_millis(1));
        new = &new & &names("/dev/shm");
    }
}

#[test]
fn two_hundred_processes_leave_nothing_behind_p21() {
    // A program with several threads, as any test is; these are busy with the same.
    let value = &Value::new(0u32).unwrap();
    std::thread::scope(|scope| {
        let warm_up = Process::builder().daemon(true).spawn((1,), |n: u32| n).unwrap();
        assert_eq!(warm_up.join().unwrap(), 1); // the lifeline stays, once per process
        drop(warm_up);
        let (before, shared_memory) = (inventory(), names("/dev/shm"));

        let rows: Vec<_> = (0..4u32)
            .map(|row| {
                scope.spawn(move || {
                    for n in 0..50 {
                        let builder = Process::builder().daemon(n % 2 == 0);
                        let child = builder.spawn(
                            (row, vec![n; 1000], value.clone()),
                            |row, v: Vec<u32>, value: Value<u32>| {
                                value.fetch_add(1);
                                row + v[999]
                            },
                        );
                        let child = child.unwrap();
                        let value = child.join_timeout(LONG).unwrap();
                        assert_eq!(value.expect("no end in time"), row + n);
                    }
                })
            })
            .collect();
        for row in rows {
            row.join().unwrap();
        }
        assert_eq!(value.get(), 200);
        assert_eq!(inventory(), before);

        // Handles dropped at once: the next start reaps whoever has ended by then.
        let pidfds: Vec<_> = (0..20)
            .map(|_| {
                let child = Process::spawn((), || ()).unwrap();
                child.sentinel().try_clone_to_owned().unwrap()
            })
            .collect();
        for pidfd in &pidfds {
            use rustix::event::{PollFd, PollFlags, poll};
            let limit = LONG.try_into().unwrap();
            assert_eq!(poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&limit)), Ok(1));
        }
        drop(pidfds);
        Process::spawn((), || ()).unwrap().join().unwrap();
        assert_eq!(inventory(), before);

        // A failed start leaves nothing either.
        for _ in 0..20 {
            assert!(Process::builder().current_dir("/nowhere").spawn((), || ()).is_err());
        }
        assert_eq!(inventory(), before);
        nothing_stays_in_shared_memory(&shared_memory);
    });
}
