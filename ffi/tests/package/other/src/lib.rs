//! Another library in Rust that ends up in the same program: it brings its own copy of Rust's library.

use std::panic::catch_unwind;

/// 42, by way of a panic, so that unwinding is linked in.
#[unsafe(no_mangle)]
pub extern "C" fn other_answer() -> i32 {
    std::panic::set_hook(Box::new(|_| {}));
    catch_unwind(|| panic!("{}", vec![42].len())).map_or(42, |()| 0)
}
