//! What integers can do in place: the same for a `Value` and a `RawValue`.

/// Gives `$name<T: Integer>`, whose `inner` is a `Guarded<T>`, its lock-free operations.
macro_rules! arithmetic {
    ($(#[$page:meta])* $name:ident) => {
        $(#[$page])*
        impl<T: Integer> $name<T> {
            /// Adds `operand`, wrapping around at the ends of `T`, and returns the value before.
            /// Wait-free.
            #[inline]
            pub fn fetch_add(&self, operand: T) -> T {
                self.inner.cell().fetch_add(operand)
            }

            /// Subtracts `operand`, wrapping around at the ends of `T`, and returns the value
            /// before. Wait-free.
            #[inline]
            pub fn fetch_sub(&self, operand: T) -> T {
                self.inner.cell().fetch_sub(operand)
            }

            /// Keeps only the bits that `operand` has too, and returns the value before. Lock-free.
            #[inline]
            pub fn fetch_and(&self, operand: T) -> T {
                self.inner.cell().fetch_and(operand)
            }

            /// Sets the bits of `operand`, and returns the value before. Lock-free.
            #[inline]
            pub fn fetch_or(&self, operand: T) -> T {
                self.inner.cell().fetch_or(operand)
            }

            /// Flips the bits of `operand`, and returns the value before. Lock-free.
            #[inline]
            pub fn fetch_xor(&self, operand: T) -> T {
                self.inner.cell().fetch_xor(operand)
            }

            /// Replaces the value by `operand` if that is less, and returns the value before.
            /// Lock-free.
            #[inline]
            pub fn fetch_min(&self, operand: T) -> T {
                self.inner.cell().fetch_min(operand)
            }

            /// Replaces the value by `operand` if that is greater, and returns the value before.
            /// Lock-free.
            #[inline]
            pub fn fetch_max(&self, operand: T) -> T {
                self.inner.cell().fetch_max(operand)
            }

            /// Replaces the value by `new` and returns the value before. Wait-free.
            #[inline]
            pub fn swap(&self, new: T) -> T {
                self.inner.cell().swap(new)
            }

            /// Replaces the value by `new` if it is `current`, and returns the value before.
            /// Lock-free.
            ///
            /// # Errors
            ///
            /// The value found, if it is another.
            #[inline]
            pub fn compare_exchange(&self, current: T, new: T) -> Result<T, T> {
                self.inner.cell().compare_exchange(current, new)
            }
        }
    };
}
pub(super) use arithmetic;
