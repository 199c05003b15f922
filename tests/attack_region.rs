//! Do names and participants of regions survive races, kills and exhaustion?

mod common;

use common::{LONG, fork, go_on, join, kill, left_behind, park, reap, settle, stop, unique};
use shmkit::{Array, Error, Lock, Pipe, Process, Region, RegionOptions, Sender, Value};

#[test]
fn of_many_that_create_one_name_at_a_time_one_wins_and_nothing_is_left() {
    let name = unique("race");
    let (inside, made) = (Value::new(0u32).unwrap(), Value::new(0u64).unwrap());
    let children: Vec<_> = (0..8)
        .map(|_| {
            let args = (name.clone(), inside.clone(), made.clone());
            Process::spawn(args, |name: String, inside: Value<u32>, made: Value<u64>| {
                // Openers keep the name alive, so that creators win now and then only.
                for _ in 0..400 {
                    match Value::create(&name, 42u64) {
                        Ok(mine) => {
                            // The name is ours until we leave: nobody else can have won.
                            assert_eq!(inside.fetch_add(1), 0, "two creators of one name");
                            made.fetch_add(1);
                            assert!(matches!(Value::create(&name, 1u64), Err(Error::Exists)));
                            inside.fetch_sub(1);
                            drop(mine);
                        }
                        Err(Error::Exists) => {}
                        Err(other) => panic!("create: {other:?}"),
                    }
                    match Value::<u64>::open(&name) {
                        Ok(found) => {
                            assert_eq!(found.get(), 42, "opened before it was complete");
                        }
                        Err(Error::NotFound) => {}
                        Err(other) => panic!("open: {other:?}"),
                    }
                }
            })
            .unwrap()
        })
        .collect();
    for child in &children {
        join(child).unwrap();
    }
    assert!(made.get() > 0);
    assert!(left_behind(&name).is_empty(), "{:?}", left_behind(&name));
    drop(Value::create(&name, 0u64).unwrap());
}

#[test]
fn a_name_whose_users_were_killed_is_free_again() {
    let name = unique("killed");
    for round in 0..20u64 {
        let (ready, say) = Pipe::<()>::simplex().unwrap();
        let child = Process::spawn((name.clone(), say, round), |name: String, say, round| {
            let (say, _made): (Sender<()>, _) = (say, Value::create(&name, round).unwrap());
            say.send(()).unwrap();
            park()
        });
        let child: Process = child.unwrap();
        ready.recv_timeout(LONG).unwrap();
        let found = Value::<u64>::open(&name).unwrap();
        kill(&child);
        assert!(matches!(Value::create(&name, 0u64), Err(Error::Exists)), "we live");
        assert_eq!(found.get(), round);
        if round.is_multiple_of(2) {
            drop(found);
            assert!(left_behind(&name).is_empty());
        } else {
            std::mem::forget(found.lock().unwrap());
            drop(found);
        }
        assert!(matches!(Value::<u64>::open(&name), Err(Error::NotFound)));
    }
    assert!(left_behind(&name).is_empty());
}

#[test]
fn a_stopped_user_keeps_its_name_and_hinders_nobody() {
    let name = unique("stopped");
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let child = Process::spawn((name.clone(), say), |name: String, say: Sender<()>| {
        let _made = Value::create(&name, 1u64).unwrap();
        say.send(()).unwrap();
        park()
    });
    let child: Process = child.unwrap();
    ready.recv_timeout(LONG).unwrap();
    stop(&child);
    assert!(matches!(Value::create(&name, 2u64), Err(Error::Exists)));
    for _ in 0..3 {
        let found = Value::<u64>::open(&name).unwrap();
        found.update(|v| *v += 1).unwrap();
        let third = Process::spawn((name.clone(),), |name: String| {
            Value::<u64>::open(&name).unwrap().fetch_add(1);
        });
        join(&third.unwrap()).unwrap();
    }
    assert_eq!(Value::<u64>::open(&name).unwrap().get(), 7);
    assert_eq!(left_behind(&name).len(), 1);
    go_on(&child);
    kill(&child);
    assert!(matches!(Value::<u64>::open(&name), Err(Error::NotFound)));
    assert!(left_behind(&name).is_empty());
}

#[test]
fn a_handle_on_its_way_keeps_the_name_alive() {
    let name = unique("passed");
    let value = Value::create(&name, 5u64).unwrap();
    let (ready, say) = Pipe::<u64>::simplex().unwrap();
    let (go, wait) = Pipe::<()>::simplex().map(|(wait, go)| (go, wait)).unwrap();
    let child = Process::spawn(
        (value, say, wait, name.clone()),
        |value: Value<u64>, say: Sender<u64>, wait: shmkit::Receiver<()>, name: String| {
            say.send(value.get()).unwrap();
            wait.recv().unwrap();
            assert!(matches!(Value::create(&name, 0u64), Err(Error::Exists)));
        },
    );
    assert_eq!(ready.recv_timeout(LONG).unwrap(), 5);
    assert_eq!(Value::<u64>::open(&name).unwrap().get(), 5);
    go.send(()).unwrap();
    join(&child.unwrap()).unwrap();
    assert!(matches!(Value::<u64>::open(&name), Err(Error::NotFound)));
    assert!(left_behind(&name).is_empty());
}

#[test]
fn a_region_travels_and_what_a_child_makes_in_it_comes_beside_what_is_there() {
    let name = unique("travels");
    for region in [Region::new(1 << 16).unwrap(), Region::create(&name, 1 << 16).unwrap()] {
        let before = Value::new_in(&region, 1u64).unwrap();
        let args = (region.clone(), before.clone(), region.name().map(str::to_owned));
        let child =
            Process::spawn(args, |region: Region, before: Value<u64>, name: Option<String>| {
                assert_eq!(region.name(), name.as_deref());
                assert_eq!(region.participants().len(), 2);
                let made = Array::<u64>::new_in(&region, 100).unwrap();
                made.lock().unwrap().fill(u64::MAX);
                before.fetch_add(1);
            });
        join(&child.unwrap()).unwrap();
        let after = Array::<u64>::new_in(&region, 100).unwrap();
        assert_eq!((before.get(), after.iter().sum::<u64>()), (2, 0));
        assert_eq!(region.participants(), [std::process::id()]);
    }
    assert!(left_behind(&name).is_empty());
}

#[test]
fn participants_run_out_precisely_and_come_back() {
    let name = unique("participants");
    let region = RegionOptions::new(1 << 16).participants(4).create(&name).unwrap();
    let lock = Lock::new_in(&region, 0u64).unwrap();
    for round in 0..30 {
        let (ready, say) = Pipe::<()>::simplex().unwrap();
        drop((ready, say));
        let children: Vec<_> = (0..3)
            .map(|_| {
                let (ready, say) = Pipe::<()>::simplex().unwrap();
                let child = Process::spawn((name.clone(), say), |name: String, say: Sender<()>| {
                    let _region = Region::open(&name).unwrap();
                    say.send(()).unwrap();
                    park()
                });
                let child: Process = child.unwrap();
                ready.recv_timeout(LONG).unwrap();
                child
            })
            .collect();
        assert_eq!(region.participants().len(), 4);
        let fifth = Process::spawn((name.clone(),), |name: String| {
            matches!(Region::open(&name), Err(Error::TooManyParticipants { limit: 4 }))
        });
        assert!(join(&fifth.unwrap()).unwrap(), "round {round}");
        let refused = Process::spawn((lock.clone(),), |_: Lock<u64>| ()).map(drop);
        assert!(matches!(refused, Err(Error::TooManyParticipants { limit: 4 })), "{refused:?}");
        children.iter().for_each(kill);
        assert_eq!(region.participants(), [std::process::id()]);
    }
    let child = Process::spawn((lock.clone(),), |lock: Lock<u64>| *lock.lock().unwrap() += 1);
    join(&child.unwrap()).unwrap();
    assert_eq!(*lock.lock().unwrap(), 1);
}

#[test]
#[allow(unsafe_code)]
fn a_copy_of_a_dead_participants_description_keeps_its_slot_only_while_it_is_there() {
    let region = RegionOptions::new(1 << 16).participants(2).anonymous().unwrap();
    let lock = Lock::new_in(&region, 0u64).unwrap();
    let (ready, say) = Pipe::<i32>::simplex().unwrap();
    let child = Process::spawn((lock.clone(), say), |_lock: Lock<u64>, say: Sender<i32>| {
        // SAFETY: the copy only sleeps. No handler of a fork runs, as none does before an `exec`.
        let copy = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } as i32;
        if copy == 0 {
            // SAFETY: plain calls.
            unsafe {
                libc::alarm(300);
                loop {
                    libc::pause();
                }
            }
        }
        assert!(copy > 0);
        say.send(copy).unwrap();
        park()
    });
    let child: Process = child.unwrap();
    let copy = ready.recv_timeout(LONG).unwrap();
    kill(&child);
    let add = || Process::spawn((lock.clone(),), |lock: Lock<u64>| *lock.lock().unwrap() += 1);
    let refused = add().map(drop);
    assert!(matches!(refused, Err(Error::TooManyParticipants { limit: 2 })), "{refused:?}");
    let (tid, from_tid) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let adding = scope.spawn(|| {
            // SAFETY: a plain call.
            tid.send(unsafe { libc::gettid() }).unwrap();
            add()
        });
        settle(from_tid.recv().unwrap() as u32); // it waits for the copy to go
        // SAFETY: a plain call; the copy is there until now.
        unsafe { libc::kill(copy, libc::SIGKILL) };
        join(&adding.join().unwrap().unwrap()).unwrap();
    });
    assert_eq!(*lock.lock().unwrap(), 1);
}

#[test]
fn forked_children_are_participants_of_their_own() {
    let child = Process::spawn((), || {
        let region = Region::new(1 << 16).unwrap();
        let array = Array::<u32>::new_in(&region, 4).unwrap();
        reap(fork(|| {
            array.set(0, std::process::id()).unwrap();
            let mut users = region.participants();
            users.sort_unstable();
            let mut expected = [std::process::id(), std::os::unix::process::parent_id()];
            expected.sort_unstable();
            assert_eq!(users, expected);
            let lock = Lock::new_in(&region, 7u8).unwrap();
            let child = Process::spawn((lock,), |lock: Lock<u8>| *lock.lock().unwrap());
            assert_eq!(join(&child.unwrap()).unwrap(), 7);
        }));
        assert_ne!(array.get(0), Some(0));
        assert_eq!(region.participants(), [std::process::id()]);
    });
    join(&child.unwrap()).unwrap();
}

#[test]
fn a_named_region_used_by_a_forked_child_only_keeps_its_name_until_that_ends() {
    let name = unique("heir");
    let child = Process::spawn((name.clone(),), |name: String| {
        let value = Value::create(&name, 1u64).unwrap();
        let mut value = Some(value);
        let (ready, say) = Pipe::<u64>::simplex().unwrap();
        let (mut wait, go) = std::io::pipe().unwrap();
        drop((ready, say));
        let go_copy = go.try_clone().unwrap();
        let child = fork(|| {
            use std::io::Read;
            drop((go, go_copy));
            let value = value.take().unwrap();
            value.update(|v| *v += 1).unwrap();
            let _ = wait.read(&mut [0]);
            assert!(matches!(Value::create(&name, 0u64), Err(Error::Exists)));
        });
        reap(child);
        assert_eq!(value.as_ref().unwrap().get(), 2);
        drop(value);
        assert!(matches!(Value::<u64>::open(&name), Err(Error::NotFound)));
    });
    join(&child.unwrap()).unwrap();
    assert!(left_behind(&name).is_empty());
}
