//! Queues: messages from any number of processes to any number of processes.

mod core;
mod error;
mod layout;
mod options;
mod polled;
#[allow(clippy::module_inception, reason = "the type that the module is for")]
mod queue;
#[cfg(feature = "serde")]
mod typed;

pub use error::{GetError, PutError};
pub use options::QueueOptions;
pub use queue::Queue;

#[cfg(feature = "serde")]
mod passing {
    use super::Queue;
    use super::core::Core;
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
            Core::on(arrival.object, Some(arrival.carrier)).map_err(D::Error::custom)
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
}
