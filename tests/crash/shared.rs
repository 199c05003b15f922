//! Memory that the processes of one test share, and the eye that watches it change.

use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::SeqCst};

/// A `T` in zeroed memory that children of this process share with it.
///
/// Never unmapped: a process of this harness lives for one kill point.
pub struct Shared<T: Zeroed>(&'static T);

impl<T: Zeroed> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared(self.0)
    }
}

/// What may live in a [`Shared`]: all-zero bytes are a value, and every change goes through atomics.
///
/// # Safety
///
/// The implementor promises both.
pub unsafe trait Zeroed: 'static {}

// SAFETY: an atomic word.
unsafe impl Zeroed for AtomicU64 {}
// SAFETY: atomic words.
unsafe impl<const N: usize> Zeroed for [AtomicU64; N] {}

impl<T: Zeroed> Shared<T> {
    pub fn new() -> Shared<T> {
        let len_bytes = size_of::<T>().next_multiple_of(4096);
        // SAFETY: a fresh mapping at an address of the kernel's choice; zeroed, page aligned, never
        // unmapped, and `Zeroed` makes those bytes a `T`.
        unsafe {
            let base = libc::mmap(
                std::ptr::null_mut(),
                len_bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            );
            assert!(base != libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
            Shared(&*base.cast::<T>())
        }
    }
}

impl<T: Zeroed> Shared<T> {
    fn address(&self) -> usize {
        std::ptr::from_ref(self.0) as usize
    }
}

impl<T: Zeroed> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0
    }
}

/// Where a victim writes down what it was told: an operation is noted as begun before it is
/// called, and as acknowledged, with what it returned, after it returned.
pub struct Ledger {
    begun: AtomicU64,
    acknowledged: AtomicU64,
    answers: [AtomicU64; 64],
}

// SAFETY: atomic words only.
unsafe impl Zeroed for Ledger {}

impl Ledger {
    pub fn begin(&self) {
        self.begun.fetch_add(1, SeqCst);
    }

    /// Notes that the operation begun last returned `answer`.
    pub fn acknowledge(&self, answer: u64) {
        let n = self.acknowledged.load(SeqCst);
        self.answers[n as usize].store(answer, SeqCst);
        self.acknowledged.store(n + 1, SeqCst);
    }

    pub fn begun(&self) -> u64 {
        self.begun.load(SeqCst)
    }

    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(SeqCst)
    }

    /// What the acknowledged operations returned, in order.
    pub fn answers(&self) -> Vec<u64> {
        self.answers[..self.acknowledged() as usize].iter().map(|a| a.load(SeqCst)).collect()
    }
}

/// What processes that may die at any moment have to say: lines, one after the other.
pub struct Text {
    len_bytes: AtomicU64,
    bytes: [AtomicU8; 4096],
}

// SAFETY: atomic words only.
unsafe impl Zeroed for Text {}

impl Text {
    pub fn say(&self, line: &str) {
        let line = line.bytes().map(|b| if b == b'\n' { b' ' } else { b }).chain([b' ']);
        let len_bytes = line.clone().count() as u64;
        let start = self.len_bytes.fetch_add(len_bytes, SeqCst) as usize;
        for (cell, byte) in self.bytes.iter().skip(start).zip(line) {
            cell.store(byte, SeqCst);
        }
    }

    pub fn said(&self) -> String {
        let len_bytes = self.len_bytes.load(SeqCst) as usize;
        let bytes: Vec<u8> = self.bytes.iter().take(len_bytes).map(|b| b.load(SeqCst)).collect();
        String::from_utf8_lossy(&bytes).trim().into()
    }

    pub fn clear(&self) {
        self.len_bytes.store(0, SeqCst);
    }
}

/// Maps the file of a named region that this process does not use, so that it is watched.
pub fn watch_region(name: &str) {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(format!("/dev/shm/shmkit.{name}"))
        .unwrap();
    // SAFETY: a fresh mapping at an address of the kernel's choice, never unmapped, and read within
    // the file only.
    let base = unsafe {
        let len_bytes = file.metadata().unwrap().len() as usize;
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        libc::mmap(std::ptr::null_mut(), len_bytes, rights, libc::MAP_SHARED, file.as_raw_fd(), 0)
    };
    assert!(base != libc::MAP_FAILED, "mmap: {}", std::io::Error::last_os_error());
}

/// Watches every shared writable mapping of this process, so all that a post-mortem can depend on
/// except what the kernel holds. A mapping is watched up to its first MiB, resident pages only: to
/// look at an absent page would allocate it.
pub struct Watch {
    mappings: Vec<Mapping>,
}

struct Mapping {
    address: usize,
    /// What the pages held when they were looked at last; `None` until they are resident.
    pages: Vec<Option<Box<[u8; PAGE]>>>,
    /// How many are `None`.
    absent: usize,
}

const PAGE: usize = 4096;
const WATCHED_PAGES: usize = 256;

impl Watch {
    /// Watches all but `blind`, the harness's own memory.
    pub fn new<T: Zeroed>(blind: &Shared<T>) -> Watch {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mut mappings = Vec::new();
        for line in maps.lines() {
            let mut fields = line.split_whitespace();
            let (range, mode) = (fields.next().unwrap(), fields.next().unwrap());
            let (start, end) = range.split_once('-').unwrap();
            let start = usize::from_str_radix(start, 16).unwrap();
            let end = usize::from_str_radix(end, 16).unwrap();
            if mode == "rw-s" && !(start..end).contains(&blind.address()) {
                let absent = ((end - start) / PAGE).min(WATCHED_PAGES);
                let pages = (0..absent).map(|_| None).collect();
                mappings.push(Mapping { address: start, pages, absent });
            }
        }
        let mut watch = Watch { mappings };
        watch.changed();
        watch
    }

    /// Whether any watched byte differs from what it was at the last call.
    pub fn changed(&mut self) -> bool {
        let mut changed = false;
        for mapping in &mut self.mappings {
            changed |= mapping.changed();
        }
        changed
    }
}

impl Mapping {
    fn changed(&mut self) -> bool {
        self.meet_resident_pages();
        let mut changed = false;
        for (index, page) in self.pages.iter_mut().enumerate() {
            let Some(last) = page else { continue };
            let now = (self.address + index * PAGE) as *const libc::c_void;
            // SAFETY: the page is mapped for the life of the scenario and resident, so within its
            // file; every process that could write it is stopped, or a write shows next time.
            unsafe {
                if libc::memcmp(now, last.as_ptr().cast(), PAGE) != 0 {
                    libc::memcpy(last.as_mut_ptr().cast(), now, PAGE);
                    changed = true;
                }
            }
        }
        changed
    }

    fn meet_resident_pages(&mut self) {
        if self.absent == 0 {
            return;
        }
        let mut resident = [0u8; WATCHED_PAGES];
        let bytes = self.pages.len() * PAGE;
        // SAFETY: writes one byte for each page, and there are at most `WATCHED_PAGES`.
        unsafe { libc::mincore(self.address as *mut _, bytes, resident.as_mut_ptr()) };
        for (page, resident) in self.pages.iter_mut().zip(resident) {
            if page.is_none() && resident & 1 == 1 {
                *page = Some(Box::new([0; PAGE]));
                self.absent -= 1;
            }
        }
    }
}
