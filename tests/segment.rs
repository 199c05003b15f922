//! Regions in segments of the `shared_memory` crate.

#![cfg(feature = "shared_memory")]
#![allow(unsafe_code)]

use shared_memory::ShmemConf;
use shmkit::{Error, Lock, LockError, Process, RegionOptions, Value};

#[test]
fn everybody_who_comes_shares_one_region() {
    let segment = ShmemConf::new().size(64 << 10).create().unwrap();
    let id = segment.get_os_id().to_owned();
    let first = RegionOptions::new(0).in_segment(&segment).unwrap();
    let same = ShmemConf::new().os_id(&id).open().unwrap();
    let second = RegionOptions::new(0).in_segment(&same).unwrap();
    assert_eq!(first.participants(), second.participants());
    assert_eq!(first.len_bytes(), second.len_bytes());
}

#[test]
fn many_that_race_to_make_the_region_get_one() {
    let segment = ShmemConf::new().size(64 << 10).create().unwrap();
    let id = segment.get_os_id().to_owned();
    let racers: Vec<_> = (0..8)
        .map(|_| {
            Process::spawn((id.clone(),), |id| {
                let segment = ShmemConf::new().os_id(&id).open().map_err(|e| e.to_string())?;
                let region = RegionOptions::new(0).in_segment(&segment);
                region.map(|r| r.participants().len()).map_err(|e| e.to_string())
            })
            .unwrap()
        })
        .collect();
    for racer in racers {
        assert!(racer.join().unwrap().unwrap() >= 1);
    }
}

#[test]
fn other_content_is_left_alone() {
    let segment = ShmemConf::new().size(4096).create().unwrap();
    // SAFETY: the segment is ours alone and 4096 bytes long.
    unsafe { segment.as_ptr().write(1) };
    assert!(matches!(RegionOptions::new(0).in_segment(&segment), Err(Error::NotARegion)));
}

#[test]
fn a_segment_without_room_for_the_tables_is_refused() {
    let segment = ShmemConf::new().size(1024).create().unwrap();
    assert!(matches!(RegionOptions::new(0).in_segment(&segment), Err(Error::NoSpace)));
}

#[test]
fn a_lock_in_a_segment_survives_its_holder() {
    let segment = ShmemConf::new().size(64 << 10).create().unwrap();
    let region = RegionOptions::new(0).in_segment(&segment).unwrap();
    let (lock, held) = (Lock::new_in(&region, 7u32), Value::new_in(&region, 0u32));
    let (lock, held) = (lock.unwrap(), held.unwrap());
    let holder = Process::spawn((lock.clone(), held.clone()), |lock, held| {
        let mut guard = lock.lock().unwrap();
        *guard = 8;
        held.fetch_add(1);
        loop {
            std::thread::park();
        }
    });
    let holder: Process<()> = holder.unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while held.get() == 0 {
        assert!(std::time::Instant::now() < deadline, "the holder never came");
        std::thread::yield_now();
    }
    holder.kill().unwrap();
    match lock.lock() {
        Err(LockError::OwnerDied(died)) => assert_eq!(*died.recover(), 7),
        _ => panic!("the death of the holder was not reported"),
    };
}
