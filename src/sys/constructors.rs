//! The constructors of the executable (`.init_array`), of which the take-over hook is one.

#![allow(unsafe_code)]

use super::entry::Image;
use std::ffi::{c_char, c_int};

/// An entry of `.init_array`.
pub(crate) type Constructor = extern "C" fn(c_int, *const *const c_char, *const *const c_char);

/// The entries after the one at the address `hook`; `None` when that is not one of the executable's own.
pub(crate) fn after(hook: usize, image: &Image) -> Option<&'static [usize]> {
    let all = init_array(image)?;
    let bytes = hook.checked_sub(all.as_ptr().addr())?;
    all.get(bytes / size_of::<usize>() + 1..)
}

fn init_array(image: &Image) -> Option<&'static [usize]> {
    const DT_INIT_ARRAY: usize = 25;
    const DT_INIT_ARRAYSZ: usize = 27;
    let Some(dynamic) = image.segments(libc::PT_DYNAMIC).next() else {
        return static_init_array();
    };
    let table = image.bytes(dynamic.p_vaddr as usize, dynamic.p_filesz as usize)?;
    let word = size_of::<usize>();
    let entry = |tag: usize| {
        table.chunks_exact(2 * word).find_map(|pair| {
            let (key, value) = pair.split_at(word);
            let value = usize::from_ne_bytes(value.try_into().ok()?);
            (usize::from_ne_bytes(key.try_into().ok()?) == tag).then_some(value)
        })
    };
    let bytes = image.bytes(entry(DT_INIT_ARRAY)?, entry(DT_INIT_ARRAYSZ)?)?;
    // SAFETY: `bytes` lives as long as the program; the linker aligns the array to its words, and
    // any word is a `usize`.
    Some(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / word) })
}

/// The array of a static program that is not position independent: it has no dynamic section.
#[cfg(target_feature = "crt-static")]
fn static_init_array() -> Option<&'static [usize]> {
    unsafe extern "C" {
        static __init_array_start: [usize; 0];
        static __init_array_end: [usize; 0];
    }
    // SAFETY: the linker defines both ends of one array of words, which is never unmapped.
    Some(unsafe {
        let start = (&raw const __init_array_start).cast::<usize>();
        let end = (&raw const __init_array_end).cast::<usize>();
        std::slice::from_raw_parts(start, (end.addr() - start.addr()) / size_of::<usize>())
    })
}

#[cfg(not(target_feature = "crt-static"))]
fn static_init_array() -> Option<&'static [usize]> {
    None
}
