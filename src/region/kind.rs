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
    Semaphore = 8,
    RwLock = 9,
    RLock = 10,
    Event = 11,
    Condition = 12,
    Barrier = 13,
    RawValue = 14,
    RawArray = 15,
    Mpmc = 16,
    BoundedSemaphore = 17,
    Queue = 18,
    JoinableQueue = 19,
    /// The memory of a manager's containers, and the region that it is in.
    Manager = 20,
    Dict = 21,
    List = 22,
    Namespace = 23,
    Pool = 24,
    /// Bare memory.
    Block = 30,
    /// The name of some.
    BlockName = 31,
}

impl Kind {
    /// The name of a kind in messages; a number that this version does not know has none.
    pub(crate) fn name(number: u32) -> String {
        let name = match number {
            1 => "region",
            2 => "lock",
            3 => "value",
            4 => "array",
            5 => "ring",
            6 => "record ring",
            7 => "pipe",
            8 => "semaphore",
            9 => "read-write lock",
            10 => "recursive lock",
            11 => "event",
            12 => "condition",
            13 => "barrier",
            14 => "raw value",
            15 => "raw array",
            16 => "ring for many",
            17 => "bounded semaphore",
            18 => "queue",
            19 => "joinable queue",
            20 => "manager",
            21 => "dict",
            22 => "list",
            23 => "namespace",
            24 => "pool",
            30 => "block of memory",
            31 => "name of a block",
            _ => return format!("object of kind {number}"),
        };
        name.to_owned()
    }
}
