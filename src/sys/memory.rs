//! Files that live in memory: memfd, `O_TMPFILE` in `/dev/shm`, and what can be done to them.

use rustix::fs::{
    self, AtFlags, CWD, FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals,
    fcntl_get_seals,
};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Where named regions live.
pub(crate) const SHM_DIR: &str = "/dev/shm";

/// What the kernel says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileStat {
    pub(crate) id: FileId,
    pub(crate) len_bytes: u64,
    pub(crate) links: u64,
    pub(crate) owner: u32,
    pub(crate) is_regular: bool,
}

/// The identity of a file for as long as somebody has it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// `memfd_create(2)`, close-on-exec, sealable.
pub(crate) fn memfd(name: &str) -> io::Result<OwnedFd> {
    Ok(fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?)
}

/// `open(2)` with `O_TMPFILE` in [`SHM_DIR`]: a file without a name, gone with its last user.
pub(crate) fn nameless_file(mode: u32) -> io::Result<OwnedFd> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let fd = fs::open(SHM_DIR, flags, Mode::from_raw_mode(mode))?;
    fs::fchmod(&fd, Mode::from_raw_mode(mode))?; // the umask must not decide who may attach
    Ok(fd)
}

/// `linkat(2)`: gives a nameless file its name; `AlreadyExists` when the name is taken.
pub(crate) fn give_name(fd: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    Ok(fs::linkat(CWD, proc_path(fd), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}

/// `open(2)` of a named region file.
pub(crate) fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    Ok(fs::open(path, flags, Mode::empty())?)
}

/// `unlink(2)`.
pub(crate) fn unlink(path: &Path) -> io::Result<()> {
    Ok(fs::unlink(path)?)
}

/// Opens the file behind `fd` once more: a new open file description, with no lock of `fd`'s.
pub(crate) fn reopen(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Ok(fs::open(proc_path(fd), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)
}

/// `ftruncate(2)`.
pub(crate) fn set_len(fd: BorrowedFd<'_>, len_bytes: u64) -> io::Result<()> {
    Ok(fs::ftruncate(fd, len_bytes)?)
}

/// `fallocate(2)`: backs a range by memory now, so that touching it later cannot fail.
pub(crate) fn allocate(fd: BorrowedFd<'_>, offset: u64, len_bytes: u64) -> io::Result<()> {
    loop {
        match fs::fallocate(fd, FallocateFlags::empty(), offset, len_bytes) {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// `fallocate(2)` with `PUNCH_HOLE`: gives the memory behind a range back; it reads as zero then.
pub(crate) fn release(fd: BorrowedFd<'_>, offset: u64, len_bytes: u64) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(fs::fallocate(fd, flags, offset, len_bytes)?)
}

/// Reads the first bytes of a file without mapping it; `None` if there are fewer.
pub(crate) fn first_bytes<const N: usize>(fd: BorrowedFd<'_>) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    let got = rustix::io::pread(fd, &mut bytes, 0)?;
    Ok((got == N).then_some(bytes))
}

/// Fills `target` with the bytes of a file from `offset` on.
pub(crate) fn read_at(fd: BorrowedFd<'_>, offset: u64, target: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < target.len() {
        match rustix::io::pread(fd, &mut target[done..], offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(got) => done += got,
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Writes a zero at `offset`, so that `inotify(7)` tells those who watch the file. Not by a memfd's
/// first description, whose writes newer kernels keep to themselves.
pub(crate) fn touch(fd: BorrowedFd<'_>, offset: u64) -> io::Result<()> {
    rustix::io::pwrite(fd, &[0], offset)?;
    Ok(())
}

/// Forbids shrinking, growing and further seals for every holder of the memfd.
pub(crate) fn seal(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(fcntl_add_seals(fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?)
}

/// Whether `fd` is a memfd (a tmpfs file cannot be sealed any further) that may still shrink.
pub(crate) fn may_be_cut(fd: BorrowedFd<'_>) -> bool {
    // Every tmpfs file carries SEAL from the start; a memfd without SHRINK and SEAL is unsealed.
    matches!(fcntl_get_seals(fd), Ok(seals) if !seals.intersects(SealFlags::SHRINK | SealFlags::SEAL))
}

/// `fstat(2)`.
pub(crate) fn stat(fd: BorrowedFd<'_>) -> io::Result<FileStat> {
    Ok(from_stat(fs::fstat(fd)?))
}

/// `stat(2)`.
pub(crate) fn stat_path(path: &Path) -> io::Result<FileStat> {
    Ok(from_stat(fs::lstat(path)?))
}

#[allow(clippy::unnecessary_cast, reason = "the widths differ between architectures")]
fn from_stat(s: fs::Stat) -> FileStat {
    FileStat {
        id: FileId { device: s.st_dev as u64, inode: s.st_ino as u64 },
        len_bytes: s.st_size as u64,
        links: s.st_nlink as u64,
        owner: s.st_uid,
        is_regular: fs::FileType::from_raw_mode(s.st_mode) == fs::FileType::RegularFile,
    }
}

/// The effective user of this process.
pub(crate) fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Bytes that could be allocated now without pushing the machine or the cgroup into reclaim.
///
/// A memfd has no limit of its own: whoever fills a huge one takes the machine down.
pub(crate) fn available_bytes() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|l| l.starts_with("MemAvailable:"))?;
            line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .map_or(u64::MAX, |kib| kib.saturating_mul(1024));
    machine.min(cgroup_left_bytes().unwrap_or(u64::MAX))
}

fn cgroup_left_bytes() -> Option<u64> {
    let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|l| l.strip_prefix("0::/"))?;
    let dir = Path::new("/sys/fs/cgroup").join(path);
    let number = |file: &str| -> Option<u64> {
        std::fs::read_to_string(dir.join(file)).ok()?.trim().parse().ok()
    };
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}

fn proc_path(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}
