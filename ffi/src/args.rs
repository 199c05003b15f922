//! What C passes in: pointers that may be NULL, numbers that may mean nothing.
//!
//! - A1. What C promises for each call: a handle comes from this library and was not freed; other
//!   pointers lead to as much memory as their function says, which nobody else changes meanwhile;
//!   strings end with a NUL. Only NULL and misaligned pointers can be told from good ones.

use crate::fail::{Answer, Fail, value};
use crate::region::shmkit_region;
use api::untyped::{Address, Deadline, Element, Place};
use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;
use std::time::Duration;

/// Elements of one type, for arrays and rings.
///
/// The tag is the name of the type: a region remembers size, alignment and a hash of the tag, and whoever
/// opens the object must say the same. For sharing with Rust the tag is what `std::any::type_name`
/// gives for the type there: "u8" to "u64", "i8" to "i64", "usize", "isize", "f32", "f64", "[u64; 4]",
/// "my_crate::my_module::Frame".
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct shmkit_elem {
    /// Bytes of an element, a multiple of `align`; not 0.
    pub size: usize,
    /// How an element is aligned: a power of two, at most 128.
    pub align: usize,
    /// The name of the type; NULL is the same as "".
    pub tag: *const c_char,
}

/// The name is free: make the object, or fail with SHMKIT_ERR_EXISTS.
#[allow(dead_code, reason = "C says it")]
pub const SHMKIT_CREATE_EXCLUSIVE: u32 = 0;
/// If the object is there, open it.
pub const SHMKIT_CREATE_OR_OPEN: u32 = 1;
/// If the object is there and nobody alive uses it, make it anew. This is always done.
pub const SHMKIT_CREATE_REPLACE_DEAD: u32 = 2;
/// A lock that its holder may take again.
pub const SHMKIT_LOCK_RECURSIVE: u32 = 0x100;
/// The object has a descriptor for `poll`. All that can have one always have.
pub const SHMKIT_POLLABLE: u32 = 0x200;

const CREATE: u32 = SHMKIT_CREATE_OR_OPEN | SHMKIT_CREATE_REPLACE_DEAD | SHMKIT_POLLABLE;

/// The object behind a handle.
///
/// # Safety
///
/// A1.
#[inline(always)]
pub(crate) unsafe fn handle<'a, T>(handle: *const T) -> Answer<&'a T> {
    if !handle.is_aligned() {
        return Err(Fail::Argument("a pointer that is no handle"));
    }
    // SAFETY: A1.
    unsafe { handle.as_ref() }.ok_or(Fail::Argument("a handle that is NULL"))
}

/// Where an answer goes.
pub(crate) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    /// # Safety
    ///
    /// A1.
    #[inline(always)]
    pub(crate) unsafe fn at(place: *mut T) -> Answer<Out<T>> {
        let place = NonNull::new(place).filter(|place| place.is_aligned());
        place.map(Out).ok_or(Fail::Argument("a result pointer that is NULL or misaligned"))
    }

    #[inline(always)]
    pub(crate) fn set(&self, value: T) {
        // SAFETY: A1; what was there before needs no drop.
        unsafe { self.0.write(value) };
    }
}

impl<T> Out<*mut T> {
    /// Gives a new handle to C.
    pub(crate) fn give(&self, handle: T) {
        self.set(Box::into_raw(Box::new(handle)));
    }
}

/// Takes a handle back from C for good.
///
/// # Safety
///
/// A1, and no other call uses the handle now or later.
pub(crate) unsafe fn take<T>(handle: *mut T) -> Option<Box<T>> {
    // SAFETY: a handle comes from `Out::give`.
    (!handle.is_null() && handle.is_aligned()).then(|| unsafe { Box::from_raw(handle) })
}

/// Takes a handle back from C and drops what it was.
///
/// # Safety
///
/// As of [`take`].
pub(crate) unsafe fn discard<T>(handle: *mut T) {
    value((), || {
        // SAFETY: the caller's promise.
        drop(unsafe { take(handle) });
        Ok(())
    });
}

/// A text; `None` for NULL.
///
/// # Safety
///
/// A1.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Answer<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: A1.
    let text = unsafe { CStr::from_ptr(text) }.to_str();
    text.map(Some).map_err(|_| Fail::Argument("a text that is not UTF-8"))
}

/// Bytes to read.
///
/// # Safety
///
/// A1.
#[inline(always)]
pub(crate) unsafe fn bytes<'a>(data: *const c_void, len: usize) -> Answer<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() || len > isize::MAX as usize {
        return Err(Fail::Argument("data that is NULL or impossibly long"));
    }
    // SAFETY: A1.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

/// Bytes to write.
///
/// # Safety
///
/// A1.
#[inline(always)]
pub(crate) unsafe fn bytes_mut<'a>(data: *mut c_void, len: usize) -> Answer<&'a mut [u8]> {
    if len == 0 {
        return Ok(&mut []);
    }
    if data.is_null() || len > isize::MAX as usize {
        return Err(Fail::Argument("a buffer that is NULL or impossibly long"));
    }
    // SAFETY: A1. C's bytes may never have been written: nothing here reads them.
    Ok(unsafe { std::slice::from_raw_parts_mut(data.cast(), len) })
}

/// How long a call waits.
#[inline(always)]
pub(crate) fn deadline(timeout_ns: i64) -> Deadline {
    match timeout_ns {
        0 => Deadline::Now,
        ..0 => Deadline::Never,
        _ => Deadline::after(Duration::from_nanos(timeout_ns.unsigned_abs())),
    }
}

/// Where a new object goes, by `region` and `name`.
///
/// # Safety
///
/// A1.
pub(crate) unsafe fn place<'a>(
    region: *const shmkit_region,
    name: *const c_char,
) -> Answer<Place<'a>> {
    // SAFETY: A1.
    let name = unsafe { text(name) }?;
    if region.is_null() {
        return Ok(name.map_or(Place::Anonymous, Place::Named));
    }
    // SAFETY: A1.
    let region = unsafe { handle(region) }?.region();
    Ok(name.map_or(Place::In(region), |name| Place::Fresh(region, name)))
}

/// Where an object is, by `region` and `name`.
///
/// # Safety
///
/// A1.
pub(crate) unsafe fn address<'a>(
    region: *const shmkit_region,
    name: *const c_char,
) -> Answer<Address<'a>> {
    // SAFETY: A1.
    match unsafe { place(region, name) }? {
        Place::Named(name) => Ok(Address::Named(name)),
        Place::Fresh(region, name) => Ok(Address::In(region, name)),
        _ => Err(Fail::Argument("a name that is NULL")),
    }
}

/// What the elements are.
///
/// # Safety
///
/// A1.
pub(crate) unsafe fn element(elem: *const shmkit_elem) -> Answer<Element> {
    if elem.is_null() || !elem.is_aligned() {
        return Err(Fail::Argument("an element that is NULL"));
    }
    // SAFETY: A1.
    let elem = unsafe { &*elem };
    // SAFETY: A1.
    let tag = unsafe { text(elem.tag) }?.unwrap_or("");
    let element = Element::named(elem.size, elem.align, tag).filter(|e| e.size() != 0);
    element.ok_or(Fail::Argument("size or alignment of an element"))
}

/// Checks flags: those for making things, and what else is allowed.
pub(crate) fn flags(flags: u32, others: u32) -> Answer<u32> {
    if flags & !(CREATE | others) != 0 {
        return Err(Fail::Argument("unknown flags"));
    }
    Ok(flags)
}

/// Makes an object, or opens it if it is there and the flags allow that.
pub(crate) fn make<'a, T>(
    place: Place<'a>,
    flags: u32,
    create: impl Fn(Place<'a>) -> Answer<T>,
    open: impl Fn(Address<'a>) -> Answer<T>,
) -> Answer<T> {
    let address = match place {
        Place::Named(name) => Address::Named(name),
        Place::Fresh(region, name) => Address::In(region, name),
        _ => return create(place),
    };
    loop {
        let made = create(place);
        let exists = matches!(made, Err(Fail::Api(api::Error::Exists)));
        if !exists || flags & SHMKIT_CREATE_OR_OPEN == 0 {
            return made;
        }
        match open(address) {
            // Its last user has gone in between: make it after all.
            Err(Fail::Api(api::Error::NotFound)) => {}
            opened => return opened,
        }
    }
}
