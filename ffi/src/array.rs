//! Arrays; a value is an array of one.

use crate::args::{self, Out, address, bytes, bytes_mut, deadline, element, handle, make, place};
use crate::args::{discard, shmkit_elem};
use crate::fail::{Answer, Fail, cold, value};
use crate::lock::{acquired, told};
use crate::region::shmkit_region;
use crate::status::*;
use api::untyped::ByteArray;
use std::ffi::{c_char, c_void};

/// A fixed number of elements in shared memory, under one lock. Any thread of any process may use it
/// at once; a handle survives fork, the held lock does not.
pub struct shmkit_array {
    pub(crate) array: ByteArray,
}

/// Makes `len` zeroed elements of the type `elem`. `region`, `name` and `flags` as of
/// `shmkit_lock_create()`. Rust opens it as `Array<T>` with the T that `elem` names.
///
/// Errors: SHMKIT_ERR_EXISTS, SHMKIT_ERR_INVALID_ARGUMENT, SHMKIT_ERR_NO_MEMORY, SHMKIT_ERR_NO_SPACE,
/// SHMKIT_ERR_SYSTEM; with SHMKIT_CREATE_OR_OPEN those of `shmkit_array_open()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_array_create(
    region: *const shmkit_region,
    name: *const c_char,
    elem: *const shmkit_elem,
    len: usize,
    flags: u32,
    out: *mut *mut shmkit_array,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, place, elem) = unsafe { (Out::at(out)?, place(region, name)?, element(elem)?) };
        let flags = args::flags(flags, 0)?;
        let array = make(
            place,
            flags,
            |place| Ok(ByteArray::create(place, elem, len)?),
            |at| Ok(ByteArray::find(at, elem)?),
        )?;
        out.give(shmkit_array { array });
        Ok(SHMKIT_OK)
    })
}

/// Opens an array of elements of the type `elem` by its name; in `region` if that is not NULL.
///
/// Errors: as of `shmkit_lock_open()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_array_open(
    region: *const shmkit_region,
    name: *const c_char,
    elem: *const shmkit_elem,
    out: *mut *mut shmkit_array,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let (out, at, elem) = unsafe { (Out::at(out)?, address(region, name)?, element(elem)?) };
        out.give(shmkit_array { array: ByteArray::find(at, elem)? });
        Ok(SHMKIT_OK)
    })
}

/// Gives the handle up; NULL is fine. If this process holds the array's lock, it keeps it until its last
/// handle to the region is gone. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_array_free(array: *mut shmkit_array) {
    // SAFETY: A1.
    unsafe { discard(array) };
}

/// The first element; NULL for NULL. Valid until the handle is freed. Others read and write there at
/// the same time, unless all take the lock. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_array_data(array: *const shmkit_array) -> *mut c_void {
    // SAFETY: A1.
    value(std::ptr::null_mut(), || Ok(unsafe { handle(array) }?.array.data().as_ptr().cast()))
}

/// The number of elements, which never changes; 0 for NULL. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn shmkit_array_len(array: *const shmkit_array) -> usize {
    // SAFETY: A1.
    value(0, || Ok(unsafe { handle(array) }?.array.len()))
}

/// Acquires the array's lock, waiting for it at most `timeout_ns` nanoseconds (SHMKIT_NO_WAIT,
/// SHMKIT_FOREVER), and sets `*data` to the first element, to be edited in place. `data` may be NULL.
///
/// SHMKIT_OWNER_DIED: the lock is held, and the elements are as its last holder left them when it died,
/// perhaps half written: repair them and call `shmkit_array_mark_consistent()`.
///
/// Errors: as of `shmkit_lock_acquire()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_array_lock(
    array: *mut shmkit_array,
    timeout_ns: i64,
    data: *mut *mut c_void,
) -> shmkit_status {
    // SAFETY: A1.
    let array = match unsafe { handle(array) } {
        Ok(array) => &array.array,
        Err(fail) => return fail.tell(),
    };
    match array.lock().acquire(deadline(timeout_ns)) {
        Ok(how) => {
            // SAFETY: A1.
            if let Ok(data) = unsafe { Out::at(data) } {
                data.set(array.data().as_ptr().cast());
            }
            acquired(how)
        }
        Err(why) => Fail::Api(why).tell(),
    }
}

/// Gives the array's lock back. Only the thread that holds it may. Never blocks.
///
/// Errors: SHMKIT_ERR_NOT_OWNER, SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_array_unlock(array: *mut shmkit_array) -> shmkit_status {
    // SAFETY: A1.
    match unsafe { handle(array) } {
        Ok(array) => told(array.array.lock().release()),
        Err(fail) => fail.tell(),
    }
}

/// Declares the elements good, after SHMKIT_OWNER_DIED. Only the holder of the array's lock may. Never
/// blocks.
///
/// Errors: SHMKIT_ERR_NOT_OWNER, SHMKIT_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_array_mark_consistent(array: *mut shmkit_array) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        unsafe { handle(array) }?.array.lock().mark_consistent()?;
        Ok(SHMKIT_OK)
    })
}

/// How many bytes `count` elements are.
fn bytes_of(array: &ByteArray, count: usize) -> Answer<usize> {
    let bytes = count.checked_mul(array.element().size());
    bytes.ok_or(Fail::Argument("more elements than there are"))
}

/// Copies `count` elements from the one at `index` on to `dst`: of one moment, under the array's lock,
/// which it waits for unless this thread holds it.
///
/// SHMKIT_OWNER_DIED: they were copied, but a holder of the lock died and nobody has repaired what it
/// left.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT (also elements that are not there).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_array_read(
    array: *mut shmkit_array,
    index: usize,
    count: usize,
    dst: *mut c_void,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let array = &unsafe { handle(array) }?.array;
        // SAFETY: A1.
        let dst = unsafe { bytes_mut(dst, bytes_of(array, count)?) }?;
        Ok(acquired(array.read(index, dst)?))
    })
}

/// Copies `count` elements from `src` over those from `index` on, under the array's lock, which it waits
/// for unless this thread holds it.
///
/// SHMKIT_OWNER_DIED: they were written, but a holder of the lock died and nobody has repaired what it
/// left elsewhere.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT (also elements that are not there).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_array_write(
    array: *mut shmkit_array,
    index: usize,
    count: usize,
    src: *const c_void,
) -> shmkit_status {
    cold(|| {
        // SAFETY: A1.
        let array = &unsafe { handle(array) }?.array;
        // SAFETY: A1.
        let src = unsafe { bytes(src, bytes_of(array, count)?) }?;
        Ok(acquired(array.write(index, src)?))
    })
}

/// An atomic operation: `f` on the array, whose answer goes to `out`.
///
/// # Safety
///
/// A1.
#[inline(always)]
unsafe fn atomic<T>(
    array: *const shmkit_array,
    out: *mut T,
    f: impl FnOnce(&ByteArray) -> api::Result<T>,
) -> shmkit_status {
    // SAFETY: A1.
    let done = || -> Answer<()> {
        // SAFETY: A1.
        let (array, out) = unsafe { (handle(array)?, Out::at(out)?) };
        out.set(f(&array.array)?);
        Ok(())
    };
    match done() {
        Ok(()) => SHMKIT_OK,
        Err(fail) => fail.tell(),
    }
}

/// Reads the element at `index`, of 8 bytes, in one piece and without the lock; whoever wrote it has done
/// before what it did before. Never blocks.
///
/// Errors: SHMKIT_ERR_INVALID_ARGUMENT (also elements of another size or alignment).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_array_load_i64(
    array: *const shmkit_array,
    index: usize,
    out: *mut i64,
) -> shmkit_status {
    // SAFETY: A1.
    unsafe { atomic(array, out, |array| array.load(index)) }
}

/// Writes the element at `index`, of 8 bytes, in one piece and without the lock. Never blocks.
///
/// Errors: as of `shmkit_array_load_i64()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_array_store_i64(
    array: *mut shmkit_array,
    index: usize,
    value: i64,
) -> shmkit_status {
    // SAFETY: A1.
    unsafe { atomic(array, &mut (), |array| array.store(index, value)) }
}

/// Adds to the element at `index`, of 8 bytes, without the lock, wrapping around; `*old` is what was
/// there before. `old` may be NULL. Never blocks.
///
/// Errors: as of `shmkit_array_load_i64()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_array_add_i64(
    array: *mut shmkit_array,
    index: usize,
    value: i64,
    old: *mut i64,
) -> shmkit_status {
    let mut ignored = 0;
    let old = if old.is_null() { &raw mut ignored } else { old };
    // SAFETY: A1.
    unsafe { atomic(array, old, |array| array.add(index, value)) }
}

/// Replaces the element at `index`, of 8 bytes, by `value` if it is `*expected`, without the lock. Never
/// blocks.
///
/// Errors: SHMKIT_ERR_WOULD_BLOCK if it is something else, which `*expected` is then; and those of
/// `shmkit_array_load_i64()`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn shmkit_array_cas_i64(
    array: *mut shmkit_array,
    index: usize,
    expected: *mut i64,
    value: i64,
) -> shmkit_status {
    let done = || -> Answer<()> {
        // SAFETY: A1.
        let (array, place) = unsafe { (handle(array)?, Out::at(expected)?) };
        // SAFETY: A1; `Out` has checked the pointer.
        let wanted = unsafe { *expected };
        match array.array.compare_exchange(index, wanted, value)? {
            Ok(_) => Ok(()),
            Err(found) => {
                place.set(found);
                Err(Fail::Status(SHMKIT_ERR_WOULD_BLOCK))
            }
        }
    };
    match done() {
        Ok(()) => SHMKIT_OK,
        Err(fail) => fail.tell(),
    }
}
