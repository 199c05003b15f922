//! Which library this is.

use std::ffi::c_char;

/// The number of the binary interface: that of the shared library's name. A program runs with the
/// library that it was linked with, or with a later one of the same number.
pub const SHMKIT_ABI_VERSION: u32 = 1;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// The number in a part of the version.
const fn part(text: &str) -> u32 {
    let (bytes, mut at, mut number) = (text.as_bytes(), 0, 0);
    while at < bytes.len() {
        number = number * 10 + (bytes[at] - b'0') as u32;
        at += 1;
    }
    number
}

const MAJOR: u32 = part(env!("CARGO_PKG_VERSION_MAJOR"));
const MINOR: u32 = part(env!("CARGO_PKG_VERSION_MINOR"));
const PATCH: u32 = part(env!("CARGO_PKG_VERSION_PATCH"));

/// The version of the library at run time, to compare with `SHMKIT_VERSION`: major times 1000000
/// plus minor times 1000 plus patch. Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn shmkit_version() -> u32 {
    MAJOR * 1_000_000 + MINOR * 1000 + PATCH
}

/// The number of the library's binary interface at run time: `SHMKIT_ABI_VERSION` of the header
/// that it was built with. Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn shmkit_abi_version() -> u32 {
    SHMKIT_ABI_VERSION
}

/// The version of the library at run time as text, such as "0.1.0". Static; never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn shmkit_version_string() -> *const c_char {
    VERSION.as_ptr().cast()
}
