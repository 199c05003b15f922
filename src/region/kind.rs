//! What an object is: one number for each kind, as it stands in headers and directories.

/// The kinds that this version knows. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    /// A region made by the user, to pack objects in.
    Region = 1,
    Lock = 2,
    Value = 3,
    Array = 4,
    Ring = 5,
    Records = 6,
    Pipe = 7,
}

impl Kind {
    /// The name of a kind in messages; a number that this version does not know has none.
    pub(crate) fn name(number: u32) -> String {
        const NAMES: [&str; 7] =
            ["region", "lock", "value", "array", "ring", "record ring", "pipe"];
        let name = number.checked_sub(1).and_then(|index| NAMES.get(index as usize));
        name.map_or_else(|| format!("object of kind {number}"), |name| (*name).to_owned())
    }
}
