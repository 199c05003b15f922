//! Who this process is, for others to look up.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// Start time and PID namespace of a process, packed for a participant slot.
///
/// Bits 0..40: start time in clock ticks after boot; bits 40..64: low bits of the inode of the PID
/// namespace, so that a pid is looked up only where it means the same process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Birth(pub(crate) u64);

impl Birth {
    /// Whether both name pids in the same namespace.
    pub(crate) fn same_namespace(self, other: Birth) -> bool {
        self.0 >> 40 == other.0 >> 40
    }
}

/// This process's pid.
pub(crate) fn pid() -> u32 {
    std::process::id()
}

/// This process's birth, read from `/proc` once per process.
pub(crate) fn birth() -> Birth {
    // Relaxed: both words are recomputed to the same values by whoever finds them unset; a torn
    // pair can only be (new pid, old birth) right after a fork, hence the order of the stores.
    static CACHED_PID: AtomicU32 = AtomicU32::new(0);
    static CACHED: AtomicU64 = AtomicU64::new(0);
    let pid = pid();
    if CACHED_PID.load(Acquire) == pid {
        return Birth(CACHED.load(Relaxed));
    }
    let birth = read_birth();
    CACHED.store(birth, Relaxed);
    CACHED_PID.store(pid, Release); // cached-birth: partner of the Acquire load above
    Birth(birth)
}

fn read_birth() -> u64 {
    // Field 22, counted after the command name, which may contain anything but ends with ')'.
    let ticks = std::fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|s| s.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse::<u64>().ok())
        .unwrap_or(0);
    let namespace = std::fs::File::open("/proc/self/ns/pid")
        .ok()
        .and_then(|f| rustix::fs::fstat(f.as_fd()).ok())
        .map_or(0, |s| s.st_ino);
    (ticks & ((1 << 40) - 1)) | namespace << 40
}

/// Whether no process with this pid exists in our PID namespace, not even a zombie.
pub(crate) fn is_gone(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) else {
        return false;
    };
    rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH)
}
