//! Do locks, semaphores, conditions, events and barriers answer in time, and without a panic, when
//! somebody has overwritten their words?

mod common;

use common::{join, left_behind, unique};
use shmkit::{Barrier, BoundedSemaphore, Condition, Event, Lock, Process, RLock, RwLock};
use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

/// Runs in a process of its own, where a hang is seen.
fn run(body: fn()) {
    join(&Process::spawn((), body).unwrap()).unwrap();
}

/// An object of its own region, of which the words are overwritten from outside.
struct Victim {
    file: File,
    good: Vec<u8>,
}

/// Where the object of a region for one object lies: the same for all of them.
fn object_offset() -> u64 {
    const MARK: u64 = 0x5a17_c0de_0dd0_1234;
    let name = unique("probe");
    let _probe = shmkit::RawValue::create(&name, [MARK; 3]).unwrap();
    let bytes = std::fs::read(format!("/dev/shm/shmkit.{name}")).unwrap();
    let found = bytes.windows(8).position(|eight| eight == MARK.to_ne_bytes()).unwrap();
    found as u64 / 128 * 128
}

impl Victim {
    fn of(name: &str, at: u64) -> Victim {
        let path = format!("/dev/shm/shmkit.{name}");
        let file = File::options().read(true).write(true).open(path).unwrap();
        let len = file.metadata().unwrap().len() - at;
        let mut good = vec![0; len as usize];
        file.read_exact_at(&mut good, at).unwrap();
        Victim { file, good }
    }

    fn restore(&self, at: u64) {
        self.file.write_all_at(&self.good, at).unwrap();
    }

    /// Overwrites a few words, or all, by bytes that look like something.
    fn overwrite(&self, at: u64, random: &mut Random) {
        let words = self.good.len() as u64 / 8;
        let count = if random.below(4) == 0 { words.min(64) } else { 1 + random.below(4) };
        for n in 0..count {
            let index = match random.below(3) {
                0 => random.below(words),
                1 => n,
                _ => random.below(words.min(40)),
            };
            let mine = 1 | 1 << 13; // most likely our id: the first slot, its first generation
            let word = match random.below(8) {
                0 => 0,
                1 => u64::MAX,
                2 => random.next(),
                3 => random.next() << 32 | mine,
                4 => mine | 1 << 30,
                5 => 1 << random.below(64),
                6 => u64::from(random.next() as u32),
                _ => random.next() << 32,
            };
            self.file.write_all_at(&word.to_ne_bytes(), at + index * 8).unwrap();
        }
    }
}

/// splitmix64: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators" (2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

const TINY: Duration = Duration::from_micros(200);
const CASES: u64 = 300;

/// Overwrites the object `name` before, while and after `hold` has it, and lets `attempt` try it from
/// here and from another thread meanwhile. Any outcome will do that is one.
fn overwrite(name: &str, seed: u64, hold: impl Fn(&dyn Fn()), attempt: impl Fn() + Sync) {
    let at = object_offset();
    let victim = Victim::of(name, at);
    for case in 0..CASES {
        let random = RefCell::new(Random(seed << 32 | case));
        let spoil = || victim.overwrite(at, &mut random.borrow_mut());
        std::thread::scope(|scope| {
            let waiter = scope.spawn(&attempt);
            if case % 2 == 0 {
                hold(&|| {
                    spoil();
                    attempt();
                });
            } else {
                spoil();
                hold(&attempt);
            }
            attempt();
            waiter.join().unwrap();
        });
        victim.restore(at);
    }
}

#[test]
fn an_overwritten_lock_answers_in_time() {
    run(|| {
        let name = unique("spoilt.lock");
        let lock = Lock::create(&name, [1u64; 3]).unwrap();
        let attempt = || {
            let _ = lock.try_lock();
            let _ = lock.lock_timeout(TINY);
        };
        overwrite(
            &name,
            1,
            |meanwhile| {
                let guard = lock.lock_timeout(TINY);
                meanwhile();
                drop(guard);
            },
            attempt,
        );
    });
}

#[test]
fn an_overwritten_rlock_answers_in_time() {
    run(|| {
        let name = unique("spoilt.rlock");
        let lock = RLock::create(&name, [1u64; 3]).unwrap();
        let attempt = || {
            if let Ok(mut guard) = lock.try_lock() {
                guard.update(|n| n[0] = n[0].wrapping_add(1));
                guard.depth();
            }
            let _ = lock.lock_timeout(TINY);
        };
        overwrite(
            &name,
            2,
            |meanwhile| {
                let guards = [lock.lock_timeout(TINY), lock.lock_timeout(TINY)];
                meanwhile();
                drop(guards);
            },
            attempt,
        );
    });
}

#[test]
fn an_overwritten_rwlock_answers_in_time() {
    run(|| {
        let name = unique("spoilt.rwlock");
        let lock = RwLock::create(&name, [1u64; 3]).unwrap();
        let attempt = || {
            let _ = lock.try_read();
            let _ = lock.try_write();
            let _ = lock.read_timeout(TINY);
            let _ = lock.write_timeout(TINY);
        };
        let both = RefCell::new(false);
        overwrite(
            &name,
            3,
            |meanwhile| {
                *both.borrow_mut() ^= true;
                if *both.borrow() {
                    let guards = [lock.read_timeout(TINY), lock.read_timeout(TINY)];
                    meanwhile();
                    drop(guards);
                } else {
                    let guard = lock.write_timeout(TINY);
                    meanwhile();
                    drop(guard);
                }
            },
            attempt,
        );
    });
}

#[test]
fn an_overwritten_semaphore_answers_in_time() {
    run(|| {
        let name = unique("spoilt.semaphore");
        let permits = BoundedSemaphore::create(&name, 2).unwrap();
        let attempt = || {
            let _ = permits.try_acquire();
            let _ = permits.acquire_timeout(TINY);
            let _ = permits.release(1);
            permits.value();
        };
        overwrite(
            &name,
            4,
            |meanwhile| {
                let permit = permits.acquire_timeout(TINY);
                let handed_off = permits.acquire_timeout(TINY);
                meanwhile();
                drop(permit);
                if let Ok(permit) = handed_off {
                    permit.forget();
                }
            },
            attempt,
        );
    });
}

#[test]
fn an_overwritten_condition_answers_in_time() {
    run(|| {
        let name = unique("spoilt.condition");
        let condition = Condition::create(&name).unwrap();
        let lock = Lock::new(0u64).unwrap();
        let attempt = || {
            let _ = condition.wait_timeout(lock.lock().unwrap(), TINY).unwrap();
            condition.notify(1);
            condition.notify_all();
        };
        overwrite(&name, 5, |meanwhile| meanwhile(), attempt);
    });
}

#[test]
fn an_overwritten_event_answers_in_time() {
    run(|| {
        let name = unique("spoilt.event");
        let event = Event::create(&name).unwrap();
        let attempt = || {
            let _ = event.wait_timeout(TINY);
            event.set();
            event.clear();
            let _ = event.wait_timeout(TINY);
        };
        overwrite(&name, 6, |meanwhile| meanwhile(), attempt);
    });
}

#[test]
fn an_overwritten_barrier_answers_in_time() {
    run(|| {
        let name = unique("spoilt.barrier");
        let barrier = Barrier::create(&name, 2).unwrap();
        let attempt = || {
            let _ = barrier.wait_timeout(TINY);
            let _ = barrier.wait_with_timeout(|| (), TINY);
            let _ = (barrier.waiting(), barrier.is_broken());
            barrier.abort();
            barrier.reset();
            let other = Barrier::open(&name);
            let _ = barrier.wait_timeout(TINY);
            drop(other);
        };
        overwrite(&name, 7, |meanwhile| meanwhile(), attempt);
        drop(barrier);
        assert_eq!(left_behind(&name), [""; 0]);
    });
}
