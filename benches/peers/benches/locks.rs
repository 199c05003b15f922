//! Our lock and event beside those of `raw_sync`, which lose a dead holder: `tests/differences.rs`.
//! The first contestant is a bare futex, to which the ratios are; more than 1 is slower.

#![allow(missing_docs)]

#[path = "../../support/bare.rs"]
#[allow(dead_code, reason = "the bench of the locks uses the rest")]
mod bare;
#[path = "../../support/crew.rs"]
#[allow(dead_code, reason = "as above")]
mod crew;

use bare::{FutexFlag, FutexMutex};
use crew::{Contestant, Crew, Place, Shape, shared, turns_of_work};
use raw_sync::Timeout;
use raw_sync::events::{EventInit, EventState};
use raw_sync::locks::LockInit;
use shmkit::{Event, Lock};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Room for an object of the peer, where it wants it.
fn place() -> *mut u8 {
    // SAFETY: bytes.
    let page: &'static [u64; 512] = unsafe { shared() };
    page.as_ptr().cast_mut().cast()
}

fn locks() -> Vec<Contestant> {
    // SAFETY: atomics.
    let (futex, counter): (&FutexMutex, &AtomicU64) = unsafe { (shared(), shared()) };
    let count = move || counter.store(counter.load(Relaxed) + 1, Relaxed);
    let ours = Lock::new(()).unwrap();
    // SAFETY: the page is never unmapped, and used for this mutex and the byte that it protects.
    let peer = unsafe { raw_sync::locks::Mutex::new(place(), place()) }.unwrap().0;
    vec![
        Contestant::each("lock/bare futex", move || {
            futex.lock();
            count();
            futex.unlock();
        }),
        Contestant::each("lock/our Lock", move || {
            let _guard = ours.lock().unwrap();
            count();
        }),
        Contestant::each("lock/raw_sync Mutex", move || {
            let _guard = peer.lock().unwrap();
            count();
        }),
    ]
}

fn handovers() -> Vec<Contestant> {
    // SAFETY: atomics.
    let flags: &[FutexFlag; 2] = unsafe { shared() };
    let ours = [(); 2].map(|()| Event::new().unwrap());
    // SAFETY: the pages are never unmapped, and used for these events only.
    let peers = [(); 2].map(|()| unsafe { raw_sync::events::Event::new(place(), true) }.unwrap().0);
    let (set, signal) = (ours.clone(), Rc::new(peers));
    let wait = Rc::clone(&signal);
    vec![
        Contestant::ping_pong(
            "handover/bare futex",
            move |i| flags[i].set(),
            move |i| flags[i].take(),
        ),
        Contestant::ping_pong(
            "handover/our Event",
            move |i| set[i].set(),
            move |i| {
                ours[i].wait();
                ours[i].clear();
            },
        ),
        Contestant::ping_pong(
            "handover/raw_sync Event",
            move |i| signal[i].set(EventState::Signaled).unwrap(),
            move |i| wait[i].wait(Timeout::Infinite).unwrap(),
        ),
    ]
}

fn main() {
    let crew = Crew::start(8, locks().into_iter().chain(handovers()).collect());
    let quick = std::env::args().any(|arg| arg == "--test");
    let rounds = if quick { 1 } else { 51 };
    let shape = |members, place, operations, pause| {
        let operations = if quick { 10 } else { operations };
        Shape { members, place, operations, pause }
    };
    let pause = turns_of_work(67);
    for (title, shape) in [
        ("lock/uncontended", shape(1, Place::Apart, 50_000, 0)),
        ("lock/two processes, 67 ns outside", shape(2, Place::Apart, 20_000, pause)),
        ("lock/eight processes, 67 ns outside", shape(8, Place::Anywhere, 5_000, pause)),
    ] {
        crew.table(title, "lock/", rounds, shape, false);
    }
    for (title, place) in [
        ("handover/on one processor", Place::Together),
        ("handover/across processors", Place::Apart),
    ] {
        crew.table(title, "handover/", rounds, shape(2, place, 300, 0), true);
    }
}
