//! Is a region with anything in it a precise error, or an object that works?
//!
//! Random bytes, truncated regions, regions of another kind, type or format, and regions with random
//! bits flipped are opened as every kind of object, and what opens is used. The cases run in a child
//! process, so that a crash is a failed case and a hang is seen; the same seed gives the same cases.
//! `SHMKIT_FUZZ_SEED` sets another seed, `SHMKIT_FUZZ_CASES` another number of cases.

#![cfg(feature = "serde")]
#![allow(unsafe_code, reason = "locks a byte of the file as a living user would")]

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::time::Duration;

use shmkit::ring::{Consumer, MpmcRing, Producer, RecordConsumer, RecordProducer};
use shmkit::{
    Array, Barrier, BoundedSemaphore, Condition, Error, Event, Lock, LockError, Process, RLock,
    RawArray, RawValue, Region, RwLock, Semaphore, Value,
};

/// A child with no progress for so long hangs.
const LONG: Duration = Duration::from_secs(120);
const CASES: u64 = 100_000;
const SEED: u64 = 0x73_68_6d_6b_69_74;

#[test]
fn any_bytes_in_a_region_are_a_precise_error_or_a_working_object() {
    let seed = from_environment("SHMKIT_FUZZ_SEED").unwrap_or(SEED);
    let cases = from_environment("SHMKIT_FUZZ_CASES").unwrap_or(CASES);
    println!("seed {seed}, {cases} cases");
    let progress = Value::new(0u64).unwrap();
    let tallies = Array::<u64>::zeroed(TALLIES.len()).unwrap();
    let mut failures = Vec::new();
    let mut next = 0;
    while next < cases && failures.len() < 10 {
        let arguments = (seed, next, cases, progress.clone(), tallies.clone());
        let child = Process::spawn(arguments, run).unwrap();
        let ending = loop {
            let before = progress.get();
            match child.join_timeout(LONG).transpose() {
                Some(ending) => break ending.map_err(|failure| failure.to_string()),
                None if progress.get() == before => {
                    child.kill().unwrap();
                    break Err(format!("hang: no progress in {LONG:?}"));
                }
                None => {}
            }
        };
        next = match ending {
            Ok(()) => cases,
            Err(failure) => {
                failures.push(format!("case {}: {failure}", progress.get()));
                progress.get() + 1
            }
        };
    }
    for (tally, name) in tallies.iter().zip(TALLIES) {
        println!("{tally:7} {name}");
    }
    assert!(failures.is_empty(), "seed {seed}\n{}", failures.join("\n"));
    assert_eq!(tallies.iter().sum::<u64>(), cases);
    assert!(tallies.iter().all(|tally| tally > 0), "a class of cases was never met");
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|number| number.parse().unwrap())
}

/// What came of the cases.
const TALLIES: [&str; 9] = [
    "NotARegion",
    "Truncated",
    "FormatVersion",
    "LayoutMismatch",
    "TypeMismatch",
    "Corrupt",
    "Unsealed",
    "opened and in use, or without a free slot or space",
    "opened and worked",
];
const REFUSED: usize = 7;
const WORKED: usize = 8;

/// Runs the cases `from..to`, in a process of its own.
fn run(seed: u64, from: u64, to: u64, progress: Value<u64>, tallies: Array<u64>) {
    limit_memory();
    let mut bench = Bench::new();
    bench.check_that_images_open();
    for case in from..to {
        progress.set(case).unwrap();
        let index = bench.try_case(&mut Random(seed ^ case.wrapping_mul(0xa076_1d64_78bd_642f)));
        tallies.set(index, tallies.get(index).unwrap() + 1).unwrap();
    }
}

/// A size that was misread must not take the machine down.
fn limit_memory() {
    let limit = libc::rlimit { rlim_cur: 4 << 30, rlim_max: 4 << 30 };
    // SAFETY: reads one structure.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
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

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_ne_bytes()[..chunk.len()]);
        }
    }
}

/// Objects that a file is opened as. Each answers a name with what came of it.
type Opener = fn(&str) -> Outcome;

/// The error, or whether the object worked.
type Outcome = Result<bool, Error>;

type Data = [u64; 4];
const DATA: Data = [1, 2, 3, 4];

const OPENERS: [Opener; 19] = [
    |name| use_region(&Region::open(name)?),
    |name| use_lock(&Lock::open(name)?),
    |name| use_value(&Value::open(name)?),
    |name| use_counter(&Value::open(name)?),
    |name| use_array(&Array::open(name)?),
    |name| use_producer(&mut Producer::open(name)?),
    |name| use_consumer(&mut Consumer::open(name)?),
    |name| use_record_producer(&mut RecordProducer::open(name)?),
    |name| use_record_consumer(&mut RecordConsumer::open(name)?),
    |name| use_raw_value(&RawValue::open(name)?),
    |name| use_raw_array(&RawArray::open(name)?),
    |name| use_event(&Event::open(name)?),
    |name| use_condition(&Condition::open(name)?),
    |name| use_barrier(&Barrier::open(name)?),
    |name| use_rlock(&RLock::open(name)?),
    |name| use_rwlock(&RwLock::open(name)?),
    |name| use_semaphore(&Semaphore::open(name)?),
    |name| use_bounded_semaphore(&BoundedSemaphore::open(name)?),
    |name| use_mpmc(&MpmcRing::open(name)?),
];

fn use_region(region: &Region) -> Outcome {
    region.participants();
    let lock = Lock::new_in(region, DATA)?;
    use_lock(&lock)
}

fn use_lock(lock: &Lock<Data>) -> Outcome {
    let mut guard = match lock.try_lock() {
        Ok(guard) => guard,
        Err(LockError::OwnerDied(died)) => died.recover(),
        Err(LockError::WouldBlock | LockError::WouldDeadlock) => return Ok(false),
        Err(other) => panic!("{other}"),
    };
    *guard = DATA;
    drop(guard);
    assert_eq!(*lock.try_lock().unwrap(), DATA);
    Ok(true)
}

fn use_value(value: &Value<Data>) -> Outcome {
    value.get();
    let mut guard = match value.try_lock() {
        Ok(guard) => guard,
        Err(LockError::OwnerDied(died)) => died.recover(),
        Err(LockError::WouldBlock | LockError::WouldDeadlock) => return Ok(false),
        Err(other) => panic!("{other}"),
    };
    *guard = DATA;
    drop(guard);
    assert_eq!(value.get(), DATA);
    Ok(true)
}

fn use_counter(value: &Value<u64>) -> Outcome {
    let before = value.fetch_add(3);
    assert_eq!(value.get(), before.wrapping_add(3));
    Ok(true)
}

fn use_array(array: &Array<u32>) -> Outcome {
    match array.try_lock() {
        Ok(mut guard) => guard.fill(7),
        Err(LockError::OwnerDied(died)) => died.recover().fill(7),
        Err(LockError::WouldBlock | LockError::WouldDeadlock) => return Ok(false),
        Err(other) => panic!("{other}"),
    }
    let len = array.len();
    assert!(array.get(len).is_none());
    assert!(matches!(array.set(len, 1), Err(Error::OutOfRange { .. })));
    assert!(array.iter().eq(std::iter::repeat_n(7, len)));
    if len != 0 {
        array.set(len - 1, 9)?;
        assert_eq!(array.get(len - 1), Some(9));
    }
    Ok(true)
}

fn use_producer(producer: &mut Producer<u64>) -> Outcome {
    let capacity = producer.capacity();
    producer.is_disconnected();
    let pushed = (0..2 * capacity).take_while(|n| producer.try_push(*n as u64).is_ok()).count();
    assert!(pushed <= capacity && producer.len() <= capacity);
    Ok(true)
}

fn use_consumer(consumer: &mut Consumer<u64>) -> Outcome {
    let capacity = consumer.capacity();
    consumer.is_disconnected();
    let popped = (0..2 * capacity).take_while(|_| consumer.try_pop().is_ok()).count();
    assert!(popped <= capacity && consumer.len() <= capacity);
    Ok(true)
}

fn use_record_producer(producer: &mut RecordProducer) -> Outcome {
    let capacity = producer.capacity_bytes();
    producer.is_disconnected();
    let sent = (0..capacity).take_while(|n| producer.try_send(&[*n as u8; 9]).is_ok()).count();
    assert!(sent * 24 <= capacity);
    Ok(true)
}

fn use_record_consumer(consumer: &mut RecordConsumer) -> Outcome {
    let capacity = consumer.capacity_bytes();
    consumer.is_disconnected();
    if let Ok(record) = consumer.try_receive() {
        assert!(record.len() <= capacity);
    }
    let mut bytes = 0;
    let _ = consumer.try_drain(capacity, |record, _| bytes += record.len());
    assert!(bytes <= capacity);
    Ok(true)
}

/// Reads only: whoever the word of its writers names may be taken for one that lives.
fn use_raw_value(value: &RawValue<Data>) -> Outcome {
    assert_eq!(value.get(), value.get());
    Ok(true)
}

fn use_raw_array(array: &RawArray<u32>) -> Outcome {
    let len = array.len();
    array.copy_from(.., &vec![7; len])?;
    assert!(array.get(len).is_none() && array.iter().eq(std::iter::repeat_n(7, len)));
    assert!(matches!(array.set(len, 1), Err(Error::OutOfRange { .. })));
    if len != 0 {
        assert_eq!(array.fetch_add(len - 1, 2)?, 7);
        assert_eq!(array.get(len - 1), Some(9));
    }
    Ok(true)
}

fn use_event(event: &Event) -> Outcome {
    event.clear();
    assert!(!event.is_set() && !event.wait_timeout(Duration::ZERO));
    event.set();
    assert!(event.is_set() && event.wait_timeout(Duration::ZERO));
    Ok(true)
}

fn use_condition(condition: &Condition) -> Outcome {
    let lock = Lock::new(0u64)?;
    let (guard, _) = condition.wait_timeout(lock.lock()?, Duration::ZERO)?;
    condition.notify(1);
    condition.notify_all();
    drop(condition.wait_timeout(guard, Duration::ZERO)?);
    Ok(true)
}

fn use_barrier(barrier: &Barrier) -> Outcome {
    let _ = barrier.wait_timeout(Duration::ZERO);
    let _ = barrier.wait_with_timeout(|| (), Duration::ZERO);
    barrier.reset();
    assert!(!barrier.is_broken());
    assert_eq!(barrier.waiting(), 0);
    let met = barrier.wait_timeout(Duration::ZERO);
    assert_eq!(met.is_ok(), barrier.parties() == 1);
    Ok(true)
}

fn use_rlock(lock: &RLock<Data>) -> Outcome {
    let mut guard = match lock.try_lock() {
        Ok(guard) => guard,
        Err(LockError::OwnerDied(died)) => died.recover(),
        Err(LockError::WouldBlock | LockError::WouldDeadlock) => return Ok(false),
        Err(other) => panic!("{other}"),
    };
    guard.set(DATA);
    assert_eq!(*lock.try_lock().unwrap(), DATA);
    Ok(true)
}

fn use_rwlock(lock: &RwLock<Data>) -> Outcome {
    match lock.try_read() {
        Ok(_) | Err(LockError::OwnerDied(_)) => {}
        Err(LockError::WouldBlock | LockError::WouldDeadlock) => {}
        Err(other) => panic!("{other}"),
    }
    let mut guard = match lock.try_write() {
        Ok(guard) => guard,
        Err(LockError::OwnerDied(died)) => died.recover(),
        Err(LockError::WouldBlock | LockError::WouldDeadlock) => return Ok(false),
        Err(other) => panic!("{other}"),
    };
    *guard = DATA;
    drop(guard);
    assert_eq!(*lock.try_read().unwrap(), DATA);
    Ok(true)
}

fn use_semaphore(permits: &Semaphore) -> Outcome {
    let _ = permits.release(1);
    drop(permits.try_acquire());
    permits.value(); // whatever the bytes say
    assert!(permits.release(u32::MAX).is_err());
    Ok(true)
}

fn use_bounded_semaphore(permits: &BoundedSemaphore) -> Outcome {
    let _ = permits.release(1);
    drop(permits.try_acquire());
    assert!(permits.bound() == u32::MAX || permits.release(permits.bound() + 1).is_err());
    Ok(true)
}

fn use_mpmc(ring: &MpmcRing<u64>) -> Outcome {
    // What was given back lies in slots beside as many values as the capacity says.
    let (capacity, slots) = (ring.capacity(), ring.capacity().next_power_of_two());
    let mut out = [0; 8];
    for _ in 0..2 {
        let pushed = (0..2 * capacity).take_while(|n| ring.try_push(*n as u64).is_ok()).count();
        assert!(pushed <= 2 * capacity && ring.len() <= slots);
        let _ = (ring.try_push_slice(&[1; 5]), ring.try_pop_slice(&mut out));
        let _ = (ring.try_reserve().map(|slot| slot.commit()), ring.try_lease().map(drop));
        let _ = (ring.try_reserve().map(drop), ring.try_lease().map(|value| value.release()));
        let _ = (0..2 * capacity).take_while(|_| ring.try_pop().is_ok()).count();
        ring.recover();
        assert!(ring.len() <= slots);
        let _ = (ring.is_empty(), ring.is_full());
    }
    Ok(true)
}

/// A region that was written by this library, and what it is opened as.
struct Image {
    bytes: Vec<u8>,
    opener: Opener,
}

/// Images to start from, and a file to put them into. This process counts as a living user of the
/// file's name, so that it is opened and not removed.
struct Bench {
    images: Vec<Image>,
    file: File,
    name: String,
}

impl Bench {
    fn new() -> Bench {
        let name = format!("fuzz-{}", std::process::id());
        let mut images = Vec::new();
        let mut take = |openers: &[usize]| {
            let bytes = fs::read(path(&name)).unwrap();
            images.extend(
                openers.iter().map(|at| Image { bytes: bytes.clone(), opener: OPENERS[*at] }),
            );
        };
        let region = Region::create(&name, 1 << 13).unwrap();
        let inner = Lock::new_in(&region, DATA).unwrap();
        for n in 0..5 {
            Value::new_in(&region, [n; 3]).unwrap(); // more than one block of the directory
        }
        take(&[0]);
        drop((region, inner));
        let lock = Lock::create(&name, DATA).unwrap();
        let held = lock.lock().unwrap();
        take(&[1]);
        drop(held);
        take(&[1]);
        drop(lock);
        let value = Value::create(&name, DATA).unwrap();
        take(&[2]);
        drop(value);
        let value = Value::create(&name, 5u64).unwrap();
        take(&[3]);
        drop(value);
        let array = Array::<u32>::create(&name, 100).unwrap();
        take(&[4]);
        drop(array);
        let mut producer = Producer::<u64>::create(&name, 12).unwrap();
        (0..7).for_each(|n| producer.try_push(n).unwrap());
        take(&[5, 6]);
        drop(producer);
        let mut producer = RecordProducer::create(&name, 512).unwrap();
        (0..9).for_each(|n| producer.try_send(&[n; 21]).unwrap());
        take(&[7, 8]);
        drop(producer);
        let value = RawValue::create(&name, DATA).unwrap();
        take(&[9]);
        drop(value);
        let array = RawArray::<u32>::create(&name, 100).unwrap();
        take(&[10]);
        drop(array);
        let event = Event::create(&name).unwrap();
        event.set();
        take(&[11]);
        drop(event);
        let condition = Condition::create(&name).unwrap();
        use_condition(&condition).unwrap();
        take(&[12]);
        drop(condition);
        let barrier = Barrier::create(&name, 3).unwrap();
        take(&[13]);
        drop(barrier);
        let lock = RLock::create(&name, DATA).unwrap();
        let held = [lock.lock().unwrap(), lock.lock().unwrap()];
        take(&[14]);
        drop(held);
        drop(lock);
        let lock = RwLock::create(&name, DATA).unwrap();
        let held = [lock.read().unwrap(), lock.read().unwrap()];
        take(&[15]);
        drop(held);
        drop(lock);
        let permits = Semaphore::create(&name, 3).unwrap();
        let held = permits.acquire().unwrap();
        take(&[16]);
        drop(held);
        drop(permits);
        let permits = BoundedSemaphore::create(&name, 3).unwrap();
        let held = permits.acquire().unwrap();
        take(&[17]);
        drop(held);
        drop(permits);
        let ring = MpmcRing::<u64>::create(&name, 12).unwrap();
        (0..9).for_each(|n| ring.try_push(n).unwrap());
        std::mem::forget((ring.try_lease(), ring.try_reserve(), ring.try_pop()));
        take(&[18]);
        drop(ring);

        let file = File::options().read(true).write(true).create_new(true).open(path(&name));
        let file = file.unwrap();
        let mut range = libc::flock {
            l_type: libc::F_RDLCK as _,
            l_whence: libc::SEEK_SET as _,
            l_start: (1 << 62) + 1, // the byte that users of a name hold
            l_len: 1,
            l_pid: 0,
        };
        // SAFETY: reads one structure.
        let locked = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &mut range) };
        assert_eq!(locked, 0);
        Bench { images, file, name }
    }

    fn check_that_images_open(&self) {
        for image in &self.images {
            self.write(&image.bytes);
            assert!((image.opener)(&self.name).unwrap());
        }
    }

    fn write(&self, bytes: &[u8]) {
        self.file.set_len(0).unwrap();
        self.file.write_all_at(bytes, 0).unwrap();
    }

    /// Tries one case and returns its tally. Panics on anything but a precise error or a working
    /// object.
    fn try_case(&mut self, random: &mut Random) -> usize {
        let index = random.below(self.images.len());
        let Image { bytes, opener } = &self.images[index];
        let mut bytes = bytes.clone();
        match random.below(16) {
            0 => {
                let mut noise = vec![0; random.below(9000)];
                random.fill(&mut noise);
                let any = OPENERS[random.below(OPENERS.len())];
                self.expect(&noise, any, |error| matches!(error, Error::NotARegion))
            }
            1 => {
                // The right beginning, and then noise.
                let keep = random.below(128);
                random.fill(&mut bytes[keep..]);
                tally(self.open(&bytes, *opener))
            }
            2 => {
                let len = random.below(bytes.len());
                self.expect(&bytes[..len], *opener, |error| match error {
                    Error::NotARegion => len < 128,
                    Error::Truncated { found_bytes, .. } => *found_bytes == len as u64,
                    _ => false,
                })
            }
            3 => {
                // The first opener that fits this image is its own; all others ask for what it is not.
                let other = OPENERS[random.below(OPENERS.len())];
                match self.open(&bytes, other) {
                    Ok(_) => WORKED,
                    Err(error) => {
                        assert!(matches!(error, Error::TypeMismatch { .. }), "{error:?}");
                        tally(Err(error))
                    }
                }
            }
            4 => {
                let format = random.next() as u32;
                bytes[8..12].copy_from_slice(&format.to_ne_bytes());
                self.expect(
                    &bytes,
                    *opener,
                    |error| matches!(error, Error::FormatVersion { found, .. } if *found == format),
                )
            }
            5 => {
                let layout = random.next() as u32;
                bytes[12..16].copy_from_slice(&layout.to_ne_bytes());
                self.expect(&bytes, *opener, |error| {
                    matches!(error, Error::LayoutMismatch { found, .. } if *found == layout)
                })
            }
            6 => {
                damage(&mut bytes, random);
                let seals = if random.below(8) == 0 { 0 } else { libc::F_SEAL_SHRINK };
                let file = memfd(&bytes, seals);
                tally(Region::from_fd(file.as_fd()).and_then(|region| use_region(&region)))
            }
            _ => {
                damage(&mut bytes, random);
                tally(self.open(&bytes, *opener))
            }
        }
    }

    fn open(&self, bytes: &[u8], opener: Opener) -> Outcome {
        self.write(bytes);
        opener(&self.name)
    }

    fn expect(&self, bytes: &[u8], opener: Opener, meets: impl Fn(&Error) -> bool) -> usize {
        match self.open(bytes, opener) {
            Err(error) if meets(&error) => tally(Err(error)),
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_file(path(&self.name));
    }
}

fn path(name: &str) -> String {
    format!("/dev/shm/shmkit.{name}")
}

/// A memfd with these bytes and seals.
fn memfd(bytes: &[u8], seals: libc::c_int) -> File {
    // SAFETY: the name is terminated, and the new descriptor has no other owner.
    let file = unsafe {
        let fd = libc::memfd_create(c"fuzz".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING);
        assert!(fd >= 0);
        File::from_raw_fd(fd)
    };
    file.write_all_at(bytes, 0).unwrap();
    // SAFETY: a plain call.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) }, 0);
    file
}

/// Changes bits or words, in the header and the tables more often than in the rest.
fn damage(bytes: &mut [u8], random: &mut Random) {
    for _ in 0..1 + random.below(6) {
        let end = match random.below(4) {
            0 => 48,
            1 => 256,
            2 => 3200.min(bytes.len()),
            _ => bytes.len(),
        };
        let start = if end == 3200 { 2176 } else { 0 };
        let at = start + random.below(end - start);
        if random.below(2) == 0 {
            bytes[at] ^= 1 << random.below(8);
            continue;
        }
        let len = bytes.len() as u64;
        let words =
            [0, 1, u64::MAX, 1 << 31, 1 << 63, i64::MAX as u64, len, len - 1, 4096, at as u64];
        let word = match random.below(words.len() + 2) {
            n if n < words.len() => words[n],
            _ => random.next(),
        };
        let size = 4 << random.below(2);
        let at = at / size * size;
        bytes[at..at + size].copy_from_slice(&word.to_ne_bytes()[..size]);
    }
}

/// The tally of an outcome; panics on an error that does not say what is wrong with the region.
fn tally(outcome: Outcome) -> usize {
    match outcome {
        Ok(true) => WORKED,
        Ok(false) => REFUSED,
        Err(Error::NotARegion) => 0,
        Err(Error::Truncated { .. }) => 1,
        Err(Error::FormatVersion { .. }) => 2,
        Err(Error::LayoutMismatch { .. }) => 3,
        Err(Error::TypeMismatch { .. }) => 4,
        Err(Error::Corrupt(_)) => 5,
        Err(Error::Unsealed) => 6,
        Err(Error::TooManyParticipants { .. } | Error::NoSpace | Error::WrongProcess) => REFUSED,
        Err(other) => panic!("imprecise: {other:?}"),
    }
}
