//! Named objects in one region, without a server.
//!
//! A manager is a region whose first object is the heap of its containers ([`crate::heap`]). Other
//! objects are made under a key, which is part of their entry in the directory of the region: two
//! processes that ask for the same key at once get the same object, and who is killed while he makes
//! one leaves nothing. There is no table of keys beside the directory that could say something else.
//!
//! This module gives containers their types; it knows no addresses and waits for nobody.

mod codec;
mod dict;
mod list;
mod namespace;

pub use dict::Dict;
pub use list::List;
pub use namespace::Namespace;

use crate::array::Array;
use crate::error::{Error, Result};
use crate::heap::{Container, Form, Heap};
use crate::message::Message;
use crate::primitives::{
    Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, RwLock, Semaphore,
};
use crate::queue::{JoinableQueue, Queue, QueueOptions};
use crate::region::{Element, Kind, Object, Place, Region, RegionOptions};
use crate::value::Value;
use bytemuck::Pod;
use std::fmt;

/// The calls that all containers have.
macro_rules! container_calls {
    ($name:ident $(<$($t:ident),*>)?, $text:literal) => {
        impl$(<$($t),*>)? $name$(<$($t),*>)? {
            #[doc = concat!("The number of entries; exact while nobody else changes the ", $text, ".")]
            pub fn len(&self) -> usize {
                self.inner.len()
            }

            /// Whether there are none.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// A handle whose calls wait at most so long for others, each time, instead of as long as
            /// it takes: for those who would rather have
            /// [`Error::Timeout`](crate::Error::Timeout) than wait for a process that is stopped in
            /// the middle of a change, or of a look that a change waits for
            /// ([`Error::WouldBlock`](crate::Error::WouldBlock) if the time is zero).
            #[must_use]
            pub fn patience(mut self, patience: Duration) -> Self {
                self.inner.set_patience(patience);
                self
            }

            /// How many changes have been cut off so far by the death of their process, or by a panic,
            /// and put in order by the next one. A look that has waited so long for changes that it is
            /// made alone counts as one. Does not wait; the last one may not be counted yet.
            pub fn interruptions(&self) -> u64 {
                self.inner.deaths()
            }
        }

        impl$(<$($t),*>)? fmt::Debug for $name$(<$($t),*>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("len", &self.len()).finish_non_exhaustive()
            }
        }
    };
}
use container_calls;

/// Decodes a handle to a container.
fn receive<'de, F: Form, D: serde::Deserializer<'de>>(
    deserializer: D,
    kind: Kind,
    element: Element,
) -> Result<Container<F>, D::Error> {
    let arrival = Object::receive(deserializer, kind, element)?;
    Container::on(arrival.object).map_err(serde::de::Error::custom)
}

/// Address space for the values of containers by default.
const CAPACITY_BYTES: u64 = 1 << 30;
/// Address space for objects that are no containers by default.
const OBJECTS_BYTES: u64 = 1 << 30;

/// A place for objects that processes find by keys: dicts, lists and namespaces that grow, queues,
/// locks and their family, values and arrays.
///
/// There is no server: who has the manager works on the objects directly, in memory that all share.
/// Any number of processes and threads may use one manager at once; clones are handles to the same
/// manager. Whoever asks for a key first makes the object, everybody else opens it; a key that has an
/// object of another kind or type is [`Error::TypeMismatch`]. Objects live as long as the manager,
/// which lives until its last user drops it or dies, whichever process has made it.
///
/// A process that is killed at any instruction harms nobody: what it was about to do to an object is
/// done or not done, and the memory that it had in hand is found again.
///
/// ```
/// use shmkit::{Manager, Process, Result};
///
/// fn worker(manager: Manager, word: String) {
///     let counts = manager.dict::<String, u32>("counts").unwrap();
///     counts.update(&word, |n| *n.get_or_insert(0) += 1).unwrap();
///     manager.list("seen").unwrap().push(word).unwrap();
/// }
///
/// # #[cfg(feature = "takeover")]
/// fn main() -> Result<()> {
///     let manager = Manager::new()?;
///     for word in ["a", "b", "a"] {
///         Process::spawn((manager.clone(), word.to_string()), worker)?.join()?;
///     }
///     assert_eq!(manager.dict::<String, u32>("counts")?.get("a")?, Some(2));
///     assert_eq!(manager.list::<String>("seen")?.len(), 3);
///     Ok(())
/// }
/// # #[cfg(not(feature = "takeover"))]
/// # fn main() {}
/// ```
///
/// # From Python
///
/// | `multiprocessing` | here |
/// |---|---|
/// | `Manager()` | [`Manager::new`]; no process, no shutdown: it goes with its last user |
/// | `BaseManager.get_server`, `connect` | [`Manager::create`], [`Manager::open`] by name, on one machine |
/// | `register` | every type that serde knows is known |
/// | `m.dict()`, `d[k] = v`, `d[k] += 1` | [`dict`](Manager::dict), [`set`](Dict::set), [`update`](Dict::update), which loses nothing |
/// | `m.list()`, `m.Namespace()` | [`list`](Manager::list), [`namespace`](Manager::namespace) |
/// | `m.Queue()`, `m.JoinableQueue()` | [`queue`](Manager::queue), [`joinable_queue`](Manager::joinable_queue) |
/// | `m.Lock()`, `RLock`, `Condition`, `Semaphore`, `Event`, `Barrier` | [`lock`](Manager::lock) and so on: those of this crate |
/// | `m.Value(code, x)`, `m.Array(code, xs)` | [`value`](Manager::value), [`array`](Manager::array), with the type they say |
///
/// # Memory
///
/// The capacity is address space; memory is taken as values come, in pages of 4 KiB for each container
/// and size of values, and given back as they go. An empty container takes 2 KiB. What is made under a
/// key stays until the manager goes: clear containers that are no longer used.
#[derive(Clone)]
pub struct Manager {
    heap: Heap,
    region: Region,
}

/// How a manager is made, where the defaults do not do.
///
/// ```
/// use shmkit::{Error, ManagerOptions};
///
/// let manager = ManagerOptions::new().capacity_bytes(1 << 20).anonymous()?;
/// let dict = manager.dict::<u32, Vec<u8>>("blobs")?;
/// assert!(matches!(dict.insert(1, vec![0; 2 << 20]), Err(Error::NoSpace)));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ManagerOptions {
    capacity_bytes: u64,
    region: RegionOptions,
}

impl Default for ManagerOptions {
    fn default() -> ManagerOptions {
        ManagerOptions::new()
    }
}

impl ManagerOptions {
    /// The defaults: 1 GiB for containers, 1 GiB for other objects, 128 processes.
    pub fn new() -> ManagerOptions {
        let region = RegionOptions::new(OBJECTS_BYTES);
        ManagerOptions { capacity_bytes: CAPACITY_BYTES, region }
    }

    /// How much all containers together can hold: 1 GiB by default. Address space; memory is taken as
    /// it is needed. A container that grows keeps up to 256 KiB in reserve, which others cannot have.
    pub fn capacity_bytes(mut self, capacity_bytes: u64) -> ManagerOptions {
        self.capacity_bytes = capacity_bytes;
        self
    }

    /// How many processes may use the manager at once: 1 to 4096, 128 by default.
    pub fn participants(mut self, participants: u32) -> ManagerOptions {
        self.region = self.region.participants(participants);
        self
    }

    /// Makes a manager without a name.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a number out of range, [`Error::NoMemory`], [`Error::Os`].
    pub fn anonymous(self) -> Result<Manager> {
        self.make(Place::Anonymous)
    }

    /// Makes a manager that unrelated processes of the same user find by `name`.
    ///
    /// # Errors
    ///
    /// As [`ManagerOptions::anonymous`]; [`Error::Exists`] when a live object has the name,
    /// [`Error::InvalidName`], [`Error::NoSpace`].
    pub fn create(self, name: &str) -> Result<Manager> {
        self.make(Place::Named(name))
    }

    fn make(self, place: Place<'_>) -> Result<Manager> {
        Ok(Manager::on(Heap::create(place, self.capacity_bytes, self.region)?))
    }
}

impl Manager {
    /// Makes a manager without a name: handed to other processes as an argument or in a message.
    ///
    /// # Errors
    ///
    /// As [`ManagerOptions::anonymous`].
    pub fn new() -> Result<Manager> {
        ManagerOptions::new().anonymous()
    }

    /// Makes a manager that unrelated processes of the same user find by `name`.
    ///
    /// The name goes with the last handle; after a kill, the next `create` or `open` removes it.
    ///
    /// # Errors
    ///
    /// As [`ManagerOptions::create`].
    pub fn create(name: &str) -> Result<Manager> {
        ManagerOptions::new().create(name)
    }

    /// Opens the live manager of this name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::TypeMismatch`] for another kind of object, and those of
    /// [`Region::open`].
    ///
    /// ```
    /// # let name = format!("doc.manager.{}", std::process::id());
    /// use shmkit::{Error, Manager};
    ///
    /// let made = Manager::create(&name)?;
    /// made.value("answer", 42u32)?;
    /// let found = Manager::open(&name)?; // in another program
    /// assert_eq!(found.value("answer", 0u32)?.get(), 42);
    /// assert!(matches!(found.value("answer", 0u64), Err(Error::TypeMismatch { .. })));
    /// # drop(made);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn open(name: &str) -> Result<Manager> {
        Ok(Manager::on(Heap::open(name)?))
    }

    fn on(heap: Heap) -> Manager {
        let region = heap.object().region();
        Manager { heap, region }
    }

    /// The dict under `key`.
    ///
    /// # Errors
    ///
    /// Of this and all others that have a key: [`Error::TypeMismatch`] if something else is under it;
    /// [`Error::InvalidArgument`] for a key that is empty or longer than 1024 bytes;
    /// [`Error::NoSpace`] when there is no room for more objects, [`Error::NoMemory`],
    /// [`Error::Corrupt`], [`Error::Os`].
    pub fn dict<K: Message, V: Message>(&self, key: &str) -> Result<Dict<K, V>> {
        Dict::at(&self.region, key)
    }

    /// The list under `key`.
    ///
    /// # Errors
    ///
    /// As [`dict`](Manager::dict).
    pub fn list<T: Message>(&self, key: &str) -> Result<List<T>> {
        List::at(&self.region, key)
    }

    /// The namespace under `key`.
    ///
    /// # Errors
    ///
    /// As [`dict`](Manager::dict).
    pub fn namespace(&self, key: &str) -> Result<Namespace> {
        Namespace::at(&self.region, key)
    }

    /// The queue under `key`, for up to `capacity` messages; of one that is there already the capacity
    /// is as it was made. All its messages together that are longer than a slot, see
    /// [`QueueOptions`], have 16 MiB.
    ///
    /// # Errors
    ///
    /// As [`dict`](Manager::dict); [`Error::InvalidArgument`] for a capacity of 0 or beyond 2^31.
    pub fn queue<T: Message>(&self, key: &str, capacity: usize) -> Result<Queue<T>> {
        QueueOptions::new(capacity).keyed(&self.region, key).queue()
    }

    /// The queue under `key` whose messages are to be done; as [`queue`](Manager::queue).
    ///
    /// # Errors
    ///
    /// As [`queue`](Manager::queue).
    pub fn joinable_queue<T: Message>(
        &self,
        key: &str,
        capacity: usize,
    ) -> Result<JoinableQueue<T>> {
        QueueOptions::new(capacity).keyed(&self.region, key).joinable()
    }

    /// The bare lock under `key`. (With data it is a [`value`](Manager::value), which has a lock.)
    ///
    /// # Errors
    ///
    /// As [`dict`](Manager::dict).
    pub fn lock(&self, key: &str) -> Result<Lock> {
        Lock::place(self.at(key), ())
    }

    /// The recursive lock under `key`.
    ///
    /// # Errors
    ///
    /// As [`dict`](Manager::dict).
    pub fn rlock(&self, key: &str) -> Result<RLock> {
        RLock::place(self.at(key), ())
    }

    /// The read-write lock under `key`, whose value is `value` if this call makes it.
    ///
    /// # Errors
    ///
    /// As [`dict`](Manager::dict).
    pub fn rwlock<T: Pod>(&self, key: &str, value: T) -> Result<RwLock<T>> {
        RwLock::place(self.at(key), value)
    }

    /// The semaphore under `key`, with so many permits if this call makes it.
    ///
    /// # Errors
    ///
    /// As [`dict`](Manager::dict); [`Error::InvalidArgument`] for more permits than one can have.
    pub fn semaphore(&self, key: &str, permits: u32) -> Result<Semaphore> {
        Semaphore::place(self.at(key), permits)
    }

    /// The bounded semaphore under `key`, with so many permits if this call makes it.
    ///
    /// # Errors
    ///
    /// As [`semaphore`](Manager::semaphore).
    pub fn bounded_semaphore(&self, key: &str, permits: u32) -> Result<BoundedSemaphore> {
        BoundedSemaphore::place(self.at(key), permits)
    }

    /// The condition under `key`.
    ///
    /// # Errors
    ///
    /// As [`dict`](Manager::dict).
    pub fn condition(&self, key: &str) -> Result<Condition> {
        Condition::place(self.at(key))
    }

    /// The event under `key`.
    ///
    /// # Errors
    ///
    /// As [`dict`](Manager::dict).
    pub fn event(&self, key: &str) -> Result<Event> {
        Event::place(self.at(key))
    }

    /// The barrier under `key`, for so many parties.
    ///
    /// # Errors
    ///
    /// As [`dict`](Manager::dict); [`Error::TypeMismatch`], too, if it is for another number;
    /// [`Error::InvalidArgument`] unless there are 1 to 65535.
    pub fn barrier(&self, key: &str, parties: u32) -> Result<Barrier> {
        let barrier = Barrier::place(self.at(key), parties)?;
        let found = barrier.parties();
        let text = |parties| format!("a barrier for {parties} parties");
        if found == parties { Ok(barrier) } else { mismatch(text(parties), text(found)) }
    }

    /// The value under `key`, which is `value` if this call makes it.
    ///
    /// # Errors
    ///
    /// As [`dict`](Manager::dict).
    pub fn value<T: Pod>(&self, key: &str, value: T) -> Result<Value<T>> {
        Value::place(self.at(key), value)
    }

    /// The array under `key`, of `len` elements, which are zero if this call makes it.
    ///
    /// # Errors
    ///
    /// As [`dict`](Manager::dict); [`Error::TypeMismatch`], too, if it has another length.
    pub fn array<T: Pod>(&self, key: &str, len: usize) -> Result<Array<T>> {
        let array = Array::place(self.at(key), len, |_| {})?;
        let text = |len| format!("an array of {len} elements");
        if array.len() == len { Ok(array) } else { mismatch(text(len), text(array.len())) }
    }

    /// All keys, with what is under them ("dict", "queue", ..), in the order in which they came.
    pub fn keys(&self) -> Vec<(String, String)> {
        let keys = Object::keys(&self.region);
        keys.into_iter().map(|(key, kind)| (key, Kind::name(kind))).collect()
    }

    /// Whether something is under `key`.
    pub fn contains_key(&self, key: &str) -> bool {
        Object::keyed(&self.region, key).is_some()
    }

    /// The memory that containers hold now, in bytes.
    pub fn used_bytes(&self) -> u64 {
        self.heap.used() * 4096
    }

    /// The region of all that is under a key.
    #[doc(hidden)]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The name, if the manager has one.
    pub fn name(&self) -> Option<&str> {
        self.region.name()
    }

    fn at<'a>(&'a self, key: &'a str) -> Place<'a> {
        Place::Keyed(&self.region, key)
    }
}

fn mismatch<T>(expected: String, found: String) -> Result<T> {
    Err(Error::TypeMismatch { expected, found })
}

impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manager").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl serde::Serialize for Manager {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.heap.object().send(serializer, |_| Ok(None))
    }
}

impl<'de> serde::Deserialize<'de> for Manager {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Manager, D::Error> {
        let arrival = Object::receive(deserializer, Kind::Manager, Element::BYTES)?;
        let heap = Heap::on(arrival.object).map_err(serde::de::Error::custom)?;
        Ok(Manager::on(heap))
    }
}
