//! Regions: memory for many objects.

use crate::args::{Out, discard, element, flags, handle, make, shmkit_elem, text};
use crate::fail::{Answer, Fail, cold, value};
use crate::status::*;
use api::untyped::{Address, Place};
use api::{Region, RegionOptions};
use std::ffi::{c_char, c_int, c_void};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Shared memory for many objects, under one descriptor. Any thread of any process may use it at
/// once; a handle survives fork.
pub struct shmkit_region {
    pub(crate) region: Region,
}

impl shmkit_region {
    pub(crate) fn region(&self) -> &Region {
        &self.region
    }
}

/// Makes a region for objects of up to `size` bytes in all, which other processes of the same user
/// find by `name`; NULL for one without a name, which goes to others by fork or by its descriptor.
///
/// `size` is address space: memory is taken as objects are made. `flags`: SHMKIT_CREATE_EXCLUSIVE
/// or SHMKIT_CREATE_OR_OPEN, which takes a region of this name whatever its size. `mode` is 0 or 0600:
/// a region is its user's. The name goes with the last handle.
///
/// Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT (a name is 1 to 200 letters, digits, '-',
/// '_' or '.', and does not start with '.'), SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
/// SHMKIT_ERR_UNSUPPORTED (another mode), SHMKIT_ERR_SYSTEM; with SHMKIT_CREATE_OR_OPEN those of
/// `shmkit_region_open()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_region_create(
    name: *const c_char,
    size: usize,
    flags: u32,
    mode: u32,
    out: *mut *mut shmkit_region,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, name) = unsafe { (Out::at(out)?, text(name)?) };
        let flags = self::flags(flags, 0)?;
        if mode != 0 && mode != 0o600 {
            return Err(Fail::Said(SHMKIT_ERR_UNSUPPORTED, "a region is its user's: mode 0600"));
        }
        let options = RegionOptions::new(size as u64);
        let region = make(
            name.map_or(Place::Anonymous, Place::Named),
            flags,
            |place| match place {
                Place::Named(name) => Ok(options.create(name)?),
                _ => Ok(options.anonymous()?),
            },
            |address| match address {
                Address::Named(name) => Ok(Region::open(name)?),
                Address::In(..) => Err(Fail::Argument("a region in a region")),
            },
        )?;
        out.give(shmkit_region { region });
        Ok(SHMKIT_OK)
    })
}

/// Opens the live region of this name. `flags` is 0.
///
/// Errors: SHMKIT_ERR_NOT_FOUND, SHMKIT_ERR_TYPE_MISMATCH (a single object has the name),
/// SHMKIT_ERR_LAYOUT_VERSION, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_NO_SPACE (too many processes use it),
/// SHMKIT_ERR_PERMISSION, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_region_open(
    name: *const c_char,
    flags: u32,
    out: *mut *mut shmkit_region,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, name) = unsafe { (Out::at(out)?, text(name)?) };
        no_flags(flags)?;
        let name = name.ok_or(Fail::Argument("a name that is NULL"))?;
        out.give(shmkit_region { region: Region::open(name)? });
        Ok(SHMKIT_OK)
    })
}

/// Joins the region behind a descriptor that came from another process, which stays the caller's.
/// `flags` is 0.
///
/// Errors: as `shmkit_region_open()`; SHMKIT_ERR_PERMISSION for memory that a peer could cut.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_region_from_fd(
    fd: c_int,
    flags: u32,
    out: *mut *mut shmkit_region,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let out = unsafe { Out::at(out)? };
        no_flags(flags)?;
        // SAFETY: only asked whether it is open.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            return Err(Fail::Argument("a descriptor that is none"));
        }
        // SAFETY: borrowed for this call; a number that is not open is refused by the kernel.
        let region = Region::from_fd(unsafe { BorrowedFd::borrow_raw(fd) })?;
        out.give(shmkit_region { region });
        Ok(SHMKIT_OK)
    })
}

fn no_flags(flags: u32) -> Answer<()> {
    if flags == 0 { Ok(()) } else { Err(Fail::Argument("unknown flags")) }
}

/// The descriptor of the region, to send to another process; it stays the region's. Do not lock or
/// duplicate it: by it the others see whether this process lives. -1 for NULL. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_fd(region: *const shmkit_region) -> c_int {
    // SAFETY: A1.
    value(-1, || Ok(unsafe { handle(region) }?.region.as_fd().as_raw_fd()))
}

/// Where the region lies in this process; NULL for NULL. Its first bytes are tables of the library.
/// Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_base(region: *const shmkit_region) -> *mut c_void {
    // SAFETY: A1.
    value(std::ptr::null_mut(), || Ok(unsafe { handle(region) }?.region.base().as_ptr().cast()))
}

/// The size of the region with its tables, in bytes; 0 for NULL. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_size(region: *const shmkit_region) -> usize {
    // SAFETY: A1.
    value(0, || Ok(unsafe { handle(region) }?.region.len_bytes() as usize))
}

/// Takes a name away from whatever has it: nobody finds that any more, and those who use it go on.
///
/// For names of regions and of single objects. Nothing needs this to clean up: a name goes with its
/// last user, and that of the dead with the next one who wants it.
///
/// Errors: SHMKIT_ERR_NOT_FOUND, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT (the file is none of
/// this library's), SHMKIT_ERR_PERMISSION, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_region_unlink(name: *const c_char) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let name = unsafe { text(name) }?.ok_or(Fail::Argument("a name that is NULL"))?;
        Region::unlink(name)?;
        Ok(SHMKIT_OK)
    })
}

/// Takes `size` zeroed bytes of the region, aligned to `align` (a power of two, at most 4096), and sets
/// `*offset` to where they are: the same in every process. They stay until `shmkit_region_dealloc()`, or
/// the end of the region, also if this process dies. Any thread of any process, one after the other.
///
/// Errors: SHMKIT_ERR_NO_SPACE (the region is full), SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_INVALID_ARGUMENT,
/// SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_region_alloc(
    region: *mut shmkit_region,
    size: usize,
    align: usize,
    offset: *mut u64,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (region, offset) = unsafe { (handle(region)?, Out::at(offset)?) };
        offset.set(region.region.allocate(size as u64, align as u64)?);
        Ok(SHMKIT_OK)
    })
}

/// Gives the bytes at `offset`, which `shmkit_region_alloc()` took, and their name back. Nobody may use
/// them any more.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT (also if there are none), SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_region_dealloc(
    region: *mut shmkit_region,
    offset: u64,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(region) }?.region.deallocate(offset)?;
        Ok(SHMKIT_OK)
    })
}

/// Where the `size` bytes at `offset` lie in this process; NULL if they are not all in the region, and for
/// NULL. Valid until the region is freed. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_at(
    region: *const shmkit_region,
    offset: u64,
    size: usize,
) -> *mut c_void {
    value(std::ptr::null_mut(), || {
        // SAFETY: A1.
        let region = &unsafe { handle(region) }?.region;
        Ok(region.address_of(offset, size as u64)?.as_ptr().cast())
    })
}

/// Sets `*offset` to the offset of the address `place`, for other processes. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT (also an address outside of the region).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_region_offset(
    region: *const shmkit_region,
    place: *const c_void,
    offset: *mut u64,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (region, offset) = unsafe { (handle(region)?, Out::at(offset)?) };
        offset.set(region.region.offset_of(place.cast())?);
        Ok(SHMKIT_OK)
    })
}

/// Gives the bytes at `offset`, which `shmkit_region_alloc()` took, the name `key` within the region, for
/// others to find, and says what they are. What was written there before is visible to who finds them.
///
/// Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_region_publish(
    region: *mut shmkit_region,
    key: *const c_char,
    offset: u64,
    elem: *const shmkit_elem,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (region, key, elem) = unsafe { (handle(region)?, text(key)?, element(elem)?) };
        let key = key.ok_or(Fail::Argument("a name that is NULL"))?;
        region.region.publish_block(key, offset, elem)?;
        Ok(SHMKIT_OK)
    })
}

/// Sets `*offset` to the bytes that were published as `key`, which are what `elem` says.
///
/// Errors: SHMKIT_ERR_NOT_FOUND, SHMKIT_ERR_TYPE_MISMATCH, SHMKIT_ERR_INVALID_ARGUMENT,
/// SHMKIT_ERR_CORRUPT, SHMKIT_ERR_SYSTEM.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_region_find(
    region: *mut shmkit_region,
    key: *const c_char,
    elem: *const shmkit_elem,
    offset: *mut u64,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (region, key, elem) = unsafe { (handle(region)?, text(key)?, element(elem)?) };
        // SAFETY: A1.
        let offset = unsafe { Out::at(offset) }?;
        let key = key.ok_or(Fail::Argument("a name that is NULL"))?;
        offset.set(region.region.find_block(key, elem)?);
        Ok(SHMKIT_OK)
    })
}

/// Gives the handle up; NULL is fine. Objects that were made or opened in the region stay usable by
/// their own handles. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_region_free(region: *mut shmkit_region) {
    // SAFETY: A1.
    unsafe { discard(region) };
}
