//! Queues: messages from any number of processes to any number of processes.
//!
//! [`Queue`] gives each message to whoever gets it first; [`JoinableQueue`] as well, and gets it back
//! from those who do not finish what it asks for. The most used of these names are those of the crate,
//! too.

pub(crate) mod bytes;
mod core;
mod error;
#[cfg(feature = "serde")]
mod handles;
mod joinable;
mod layout;
mod lend;
mod options;
mod polled;
#[allow(clippy::module_inception, reason = "the type that the module is for")]
mod queue;
#[cfg(feature = "serde")]
mod typed;

pub use error::{GetError, JoinError, PutError};
#[cfg(feature = "serde")]
pub use joinable::Job;
pub use joinable::JoinableQueue;
pub use lend::{Loan, Received};
pub use options::QueueOptions;
pub use queue::Queue;

#[cfg(feature = "serde")]
mod passing {
    use super::bytes::ByteQueue;
    use super::core::Core;
    use super::{JoinableQueue, Queue};
    use crate::region::{Element, Kind, Object};
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::marker::PhantomData;

    impl Core {
        fn send<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.object().send(serializer, |to| self.enlist(to).map(Some))
        }

        fn arrive<'de, D: Deserializer<'de>>(
            deserializer: D,
            kind: Kind,
            element: Element,
        ) -> Result<Core, D::Error> {
            let arrival = Object::receive(deserializer, kind, element)?;
            Core::on(arrival.object, arrival.carrier).map_err(D::Error::custom)
        }
    }

    impl Serialize for ByteQueue {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.core.send(serializer)
        }
    }

    impl<'de> Deserialize<'de> for ByteQueue {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let kinds = &[Kind::Queue, Kind::JoinableQueue];
            let arrival = Object::receive_any(deserializer, kinds, Element::ANY)?;
            let joinable = arrival.object.is(Kind::JoinableQueue);
            let core = Core::on(arrival.object, arrival.carrier).map_err(D::Error::custom)?;
            Ok(ByteQueue { core, joinable })
        }
    }

    impl<T> Serialize for Queue<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.core.send(serializer)
        }
    }

    impl<'de, T> Deserialize<'de> for Queue<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Queue<T>, D::Error> {
            let core = Core::arrive(deserializer, Kind::Queue, Element::message::<T>())?;
            Ok(Queue { core, message: PhantomData })
        }
    }

    impl<T> Serialize for JoinableQueue<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.core.send(serializer)
        }
    }

    impl<'de, T> Deserialize<'de> for JoinableQueue<T> {
        fn deserialize<D: Deserializer<'de>>(d: D) -> Result<JoinableQueue<T>, D::Error> {
            let core = Core::arrive(d, Kind::JoinableQueue, Element::message::<T>())?;
            Ok(JoinableQueue { core, message: PhantomData })
        }
    }
}
