//! What a `fork` must not copy: participant ids and locked file descriptions.
//!
//! Each open region has an entry here: a word that holds its participant id, in a page that the
//! kernel wipes in a forked child (`MADV_WIPEONFORK`, also after a raw `clone`), and its
//! descriptor. A child handler replaces each inherited description by a fresh one that carries no
//! lock, so that the death of the parent is seen at once; descriptors that are only in transit to
//! another process are closed; those that say that a process lives by being open are blanked.
//!
//! - F1. An entry is owned by one [`Entry`] from `acquire` to its drop; `fd` is `FREE` outside.
//! - F2. Chunks are never freed, so `&'static` words stay valid.
//! - F3. The child handler only loads and stores words and calls `open`, `eventfd`, `dup3` and
//!   `close`, all of them async-signal-safe.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, Ordering::*};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

const FREE: i32 = -1;
/// What was in transit when this process was forked, and was closed: the number may be another's now.
/// Not free before its [`Entry`] is dropped.
const CLOSED: i32 = i32::MIN;
/// Entries of a chunk: one page of id words.
const ENTRIES: usize = 1024;

struct Chunk {
    next: AtomicPtr<Chunk>,
    /// `ENTRIES` words in a page that a forked child finds zeroed. Word 0 is no id: it is 1 while
    /// the descriptors of this chunk are this process's own.
    ids: *mut AtomicU32,
    /// The descriptor to re-open, `FREE`, `CLOSED`, `in_transit(fd)` to close, or `fd | BLANK`.
    fds: [AtomicI32; ENTRIES],
}

static CHUNKS: AtomicPtr<Chunk> = AtomicPtr::new(std::ptr::null_mut());
static HANDLERS: Once = Once::new();

/// In an entry: the number is to stay taken, by something inert. No process has so many.
const BLANK: i32 = 1 << 30;

fn in_transit(fd: RawFd) -> i32 {
    -2 - fd
}

/// A place for one descriptor, and for the id that goes with it.
pub(crate) struct Entry {
    id: &'static AtomicU32,
    fd: &'static AtomicI32,
}

impl Entry {
    /// Notes a descriptor whose description a forked child must replace by its own.
    pub(crate) fn reopened_in_child(fd: BorrowedFd<'_>) -> io::Result<Entry> {
        acquire(fd.as_raw_fd())
    }

    /// Notes a descriptor that a forked child must close.
    pub(crate) fn closed_in_child(fd: BorrowedFd<'_>) -> io::Result<Entry> {
        acquire(in_transit(fd.as_raw_fd()))
    }

    /// Notes a descriptor in whose place a forked child must have one that does nothing: the other
    /// side would take the child for us. The number stays open, since its owner will close it.
    pub(crate) fn blanked_in_child(fd: BorrowedFd<'_>) -> io::Result<Entry> {
        acquire(fd.as_raw_fd() | BLANK)
    }

    /// The word that reads 0 in a forked child. Relaxed is enough: it is written by the thread that
    /// attaches before the handle is shared, or under the registry lock.
    #[inline(always)]
    pub(crate) fn id(&self) -> &'static AtomicU32 {
        self.id
    }
}

/// Makes the descriptors of every entry this process's own, if a `fork` went by the handlers.
///
/// Call in [`exclusive`], before a descriptor is locked in a process that finds its id wiped.
pub(crate) fn settle() {
    own_descriptors(false);
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.id.store(0, Relaxed);
        // release-entry: Release; the next owner's CAS in `acquire` is its Acquire.
        self.fd.store(FREE, Release);
    }
}

fn acquire(value: i32) -> io::Result<Entry> {
    HANDLERS.call_once(|| {
        // SAFETY: the handlers are `extern "C"` functions that live as long as the program.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
    loop {
        let mut at = CHUNKS.load(Acquire);
        // SAFETY: F2; a chunk is published (Release below) only when complete.
        while let Some(chunk) = unsafe { at.as_ref() } {
            for (index, fd) in chunk.fds.iter().enumerate().skip(1) {
                if fd.load(Relaxed) == FREE
                    && fd.compare_exchange(FREE, value, Acquire, Relaxed).is_ok()
                {
                    // SAFETY: `index < ENTRIES`, and the page holds that many words (F2).
                    let id = unsafe { &*chunk.ids.add(index) };
                    return Ok(Entry { id, fd });
                }
            }
            at = chunk.next.load(Acquire);
        }
        add_chunk()?;
    }
}

fn add_chunk() -> io::Result<()> {
    let bytes = ENTRIES * size_of::<AtomicU32>();
    // SAFETY: an anonymous private mapping at an address of the kernel's choice.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the page was mapped above and is ours.
    if unsafe { libc::madvise(page, bytes, libc::MADV_WIPEONFORK) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let chunk = Box::into_raw(Box::new(Chunk {
        next: AtomicPtr::new(std::ptr::null_mut()),
        ids: page.cast(),
        fds: [const { AtomicI32::new(FREE) }; ENTRIES],
    }));
    // SAFETY: the page holds `ENTRIES` words, zero at first.
    unsafe { (*(*chunk).ids).store(1, Relaxed) };
    let mut head = CHUNKS.load(Acquire);
    loop {
        // SAFETY: F2, and nobody else sees the chunk before the CAS below.
        unsafe { (*chunk).next.store(head, Relaxed) };
        // publish-chunk: Release; the loads of `CHUNKS` and `next` are its Acquire.
        match CHUNKS.compare_exchange(head, chunk, Release, Acquire) {
            Ok(_) => return Ok(()),
            Err(now) => head = now,
        }
    }
}

/// Serialises the opening and closing of regions with each other and with `fork`.
static REGISTRY: Mutex<()> = Mutex::new(());
thread_local! {
    static HELD_OVER_FORK: std::cell::RefCell<Option<MutexGuard<'static, ()>>> =
        const { std::cell::RefCell::new(None) };
}

/// Runs `f` while no other thread opens or closes a region and no thread forks.
pub(crate) fn exclusive<R>(f: impl FnOnce() -> R) -> R {
    let _guard = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    f()
}

extern "C" fn before() {
    let guard = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = HELD_OVER_FORK.try_with(|held| *held.borrow_mut() = Some(guard));
}

extern "C" fn in_parent() {
    let _ = HELD_OVER_FORK.try_with(|held| held.borrow_mut().take());
}

extern "C" fn in_child() {
    own_descriptors(true);
    in_parent();
}

fn own_descriptors(forked: bool) {
    let mut at = CHUNKS.load(Acquire);
    // SAFETY: F2.
    while let Some(chunk) = unsafe { at.as_ref() } {
        // SAFETY: F2; Relaxed: only the forked child's first thread, or `exclusive`, comes here.
        let settled = unsafe { &*chunk.ids };
        if forked || settled.load(Relaxed) == 0 {
            for entry in &chunk.fds {
                match entry.load(Relaxed) {
                    FREE | CLOSED => {}
                    fd if fd >= BLANK => blank(fd & !BLANK),
                    fd if fd >= 0 => replace_description(fd),
                    transit => {
                        // SAFETY: F1: the descriptor is open and belongs to this entry.
                        unsafe { libc::close(-2 - transit) };
                        entry.store(CLOSED, Relaxed); // by the only thread
                    }
                }
            }
            settled.store(1, Relaxed);
        }
        at = chunk.next.load(Acquire);
    }
}

/// Puts a descriptor that is never readable under the number `fd`.
fn blank(fd: RawFd) {
    // SAFETY: plain calls (F3), on a number that belongs to an entry (F1).
    unsafe {
        let inert = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
        if inert >= 0 {
            libc::dup3(inert, fd, libc::O_CLOEXEC);
            libc::close(inert);
        } else {
            libc::close(fd);
        }
    }
}

/// Puts a fresh description of the same file under the number `fd`.
fn replace_description(fd: RawFd) {
    let mut path = *b"/proc/self/fd/\0\0\0\0\0\0\0\0\0\0\0\0";
    let start = b"/proc/self/fd/".len();
    let mut digits = 1;
    while fd / 10i32.pow(digits) != 0 && digits < 9 {
        digits += 1;
    }
    let mut rest = fd;
    for place in (0..digits as usize).rev() {
        path[start + place] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    // SAFETY: `path` is NUL-terminated: at most 10 digits of the 12 zero bytes are overwritten. On
    // failure the number is left closed (F3 allows no more), so that using it is a clear error
    // instead of a shared lock.
    unsafe {
        let fresh = libc::open(path.as_ptr().cast(), libc::O_RDWR | libc::O_CLOEXEC);
        if fresh >= 0 {
            libc::dup3(fresh, fd, libc::O_CLOEXEC);
            libc::close(fresh);
        } else {
            libc::close(fd);
        }
    }
}
