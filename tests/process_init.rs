//! Is a program protected from running its `main` in a child, with and without the hook?
//!
//! With the feature `takeover` there is nothing to do for a test; without it a process can only be
//! started where `init` came first in `main`, which a test cannot do.

#![cfg(feature = "serde")]

#[cfg(feature = "takeover")]
#[test]
fn init_changes_nothing_where_the_hook_is_p23() {
    for _ in 0..2 {
        shmkit::init();
        let child = shmkit::Process::spawn((1,), |n: i32| n + 1).unwrap();
        assert_eq!(child.join().unwrap(), 2);
    }
}

#[cfg(not(feature = "takeover"))]
#[test]
fn without_init_in_main_no_process_is_started_p24() {
    let refused = || {
        let spawned = shmkit::Process::spawn((1,), |n: i32| n + 1);
        matches!(spawned, Err(shmkit::Error::NotInitialised))
    };
    assert!(refused());
    // This is not the main thread: a child would come here by running the tests again.
    shmkit::init();
    assert!(refused());
}
