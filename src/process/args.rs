//! Which functions a process can run: tuples of arguments, each with its type of plain function.

use crate::message::Message;
use crate::sys::entry::FnPointer;

/// The arguments of a function as a tuple: `()`, `(a,)`, `(a, b)`, up to eight.
///
/// The arguments come first and the function last, so that the compiler knows the function's type
/// when it looks at it: a closure needs no annotations then, and one that captures is refused,
/// because it would not be a plain `fn`.
///
/// A function that captures does not compile:
///
/// ```compile_fail,E0308
/// let k = 3;
/// shmkit::Process::spawn((1,), |x: i32| x + k);
/// ```
///
/// Neither does one with another number of arguments:
///
/// ```compile_fail,E0308
/// fn add(a: i32, b: i32) -> i32 { a + b }
/// shmkit::Process::spawn((1,), add);
/// ```
///
/// Neither do arguments that are not a tuple, nor borrowed ones:
///
/// ```compile_fail,E0277
/// shmkit::Process::spawn(1, |x: i32| x);
/// ```
/// ```compile_fail
/// shmkit::Process::spawn(("text",), |x: &str| x.len());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a tuple of arguments",
    label = "expected a tuple such as `(x,)`",
    note = "write `(x,)` for one argument and `()` for none; there may be up to 8",
    note = "each argument derives `serde::Serialize` and `serde::Deserialize` and owns its data"
)]
pub trait Args: Message + sealed::Sealed {
    /// The functions that take these arguments: `fn(A, B, ..) -> R`.
    type Fn<R>: Copy + FnPointer;

    #[doc(hidden)]
    fn call<R>(self, function: Self::Fn<R>) -> R;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! args {
    ($($arg:ident $value:ident),*) => {
        impl<$($arg: Message),*> sealed::Sealed for ($($arg,)*) {}
        impl<$($arg: Message),*> Args for ($($arg,)*) {
            type Fn<R> = fn($($arg),*) -> R;
            fn call<R>(self, function: Self::Fn<R>) -> R {
                let ($($value,)*) = self;
                function($($value),*)
            }
        }
    };
}
args!();
args!(A a);
args!(A a, B b);
args!(A a, B b, C c);
args!(A a, B b, C c, D d);
args!(A a, B b, C c, D d, E e);
args!(A a, B b, C c, D d, E e, F f);
args!(A a, B b, C c, D d, E e, F f, G g);
args!(A a, B b, C c, D d, E e, F f, G g, H h);
