//! What a region is to its users: names, errors, participants.

use shmkit::{Error, Region, RegionOptions};
use std::os::fd::AsFd;

fn name(test: &str) -> String {
    format!("test.{}.{test}", std::process::id())
}

fn file_of(name: &str) -> std::path::PathBuf {
    std::path::Path::new("/dev/shm").join(format!("shmkit.{name}"))
}

#[test]
fn create_on_a_live_name_is_exists_and_the_last_drop_frees_it() {
    let name = name("live");
    let first = Region::create(&name, 4096).unwrap();
    assert!(matches!(Region::create(&name, 4096), Err(Error::Exists)));
    let second = Region::open(&name).unwrap();
    drop(first);
    assert!(file_of(&name).exists());
    drop(second);
    assert!(!file_of(&name).exists());
    assert!(matches!(Region::open(&name), Err(Error::NotFound)));
}

#[test]
fn a_name_is_checked() {
    for bad in ["", ".hidden", "a/b", "a b", "\u{e9}", &"x".repeat(201)] {
        assert!(matches!(Region::create(bad, 4096), Err(Error::InvalidName(_))), "{bad:?}");
    }
}

#[test]
fn a_file_that_is_no_region_is_left_alone() {
    let name = name("foreign");
    std::fs::write(file_of(&name), b"somebody else's notes").unwrap();
    assert!(matches!(Region::open(&name), Err(Error::NotARegion)));
    assert!(matches!(Region::create(&name, 4096), Err(Error::NotARegion)));
    assert!(file_of(&name).exists());
    std::fs::remove_file(file_of(&name)).unwrap();
}

#[test]
fn participants_are_the_processes_not_the_handles() {
    let region = Region::new(4096).unwrap();
    let again = Region::from_fd(region.as_fd()).unwrap();
    let clone = region.clone();
    assert_eq!(region.participants(), [std::process::id()]);
    assert_eq!(again.participants(), [std::process::id()]);
    drop((region, again));
    assert_eq!(clone.participants(), [std::process::id()]);
}

#[test]
fn sizes_beyond_the_machine_are_refused() {
    assert!(matches!(Region::new(u64::MAX), Err(Error::NoMemory { .. })));
    assert!(matches!(Region::new(1 << 62), Err(Error::NoMemory { .. })));
    for participants in [0, 4097] {
        let options = RegionOptions::new(4096).participants(participants);
        assert!(matches!(options.anonymous(), Err(Error::InvalidArgument(_))));
    }
}
