//! How the ends of a pipe travel: the handle moves, and with it who owns the end.

use super::bytes::BytePipe;
use super::connection::Connection;
use super::lane::{Lane, Partial};
use super::receiver::Receiver;
use super::sender::Sender;
use crate::region::courier::Courier;
use crate::region::id::ParticipantId;
use crate::region::{Arrival, Element, Kind, Object};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::marker::PhantomData;

/// A handle on its way out, and what gives the end to whom it goes to.
struct Departing<'a, F>(&'a Object, F);

impl<F> Serialize for Departing<'_, F>
where
    F: Fn(ParticipantId) -> crate::Result<Box<dyn FnOnce() + Send>>,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.send(serializer, |to| self.1(to).map(Some))
    }
}

/// A handle that has come.
struct Arriving<T>(Arrival, PhantomData<T>);

impl<'de, T> Deserialize<'de> for Arriving<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let arrival = Object::receive(deserializer, Kind::Pipe, element::<T>())?;
        Ok(Arriving(arrival, PhantomData))
    }
}

/// What a pipe must carry to arrive as one of `T`: for other languages anything will do.
fn element<T>() -> Element {
    use std::any::type_name;
    if type_name::<T>() == type_name::<crate::region::Bytes>() {
        Element::ANY
    } else {
        Element::message::<T>()
    }
}

impl Serialize for BytePipe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.deaf, &self.end).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for BytePipe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (deaf, end) = Deserialize::deserialize(deserializer)?;
        Ok(BytePipe { end, deaf })
    }
}

impl<T> Arriving<T> {
    fn lane<E: serde::de::Error>(&self, index: u32) -> Result<Lane, E> {
        Lane::of(&self.0.object, index).map_err(E::custom)
    }
}

impl<T> Serialize for Sender<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let outlet = &self.outlet;
        let departing = Departing(outlet.object(), |to| outlet.give_away(to));
        (outlet.lane().index, departing, outlet.courier()).serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Sender<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (index, arriving, courier) = <(u32, Arriving<T>, Courier)>::deserialize(deserializer)?;
        let owner = Some(arriving.0.owner().map_err(D::Error::custom)?);
        let outlet = arriving.lane(index)?.outlet(&arriving.0.object, courier, owner);
        outlet.map(Sender::of).map_err(D::Error::custom)
    }
}

impl<T> Serialize for Receiver<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let inlet = &self.inlet;
        let departing = Departing(inlet.object(), |to| inlet.give_away(to));
        let partial = inlet.partial();
        let message = (&partial.bytes, partial.flags, partial.position);
        (inlet.lane().index, departing, inlet.courier(), message).serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Receiver<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (index, arriving, courier, message) =
            <(u32, Arriving<T>, Courier, (Vec<u8>, u32, u64))>::deserialize(deserializer)?;
        let (bytes, flags, position) = message;
        let partial = Partial { bytes, flags, position };
        let owner = Some(arriving.0.owner().map_err(D::Error::custom)?);
        let inlet = arriving.lane(index)?.inlet(&arriving.0.object, courier, owner, partial);
        inlet.map(Receiver::of).map_err(D::Error::custom)
    }
}

impl<T> Serialize for Connection<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.receiver, &self.sender).serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Connection<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (receiver, sender) = Deserialize::deserialize(deserializer)?;
        Ok(Connection::of(receiver, sender))
    }
}
