//! How the handles of other languages cross to another process.

use super::bare::{BareLock, BareRLock};
use super::byte_value::ByteValue;
use super::bytes::ByteArray;
use super::permits::Permits;
use crate::region::{Element, Kind, Object};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Passes a handle as its object, of which `$on` makes one.
macro_rules! passed {
    ($handle:ty, $element:expr, [$($kind:ident),*], $on:expr) => {
        impl Serialize for $handle {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.object().send(serializer, |_| Ok(None))
            }
        }

        impl<'de> Deserialize<'de> for $handle {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let kinds = &[$(Kind::$kind),*];
                let arrival = Object::receive_any(deserializer, kinds, $element)?;
                let on: fn(Object) -> crate::Result<Self> = $on;
                on(arrival.object).map_err(D::Error::custom)
            }
        }
    };
}

passed!(BareLock, Element::of::<()>(), [Lock], BareLock::on);
passed!(BareRLock, Element::of::<()>(), [RLock], BareRLock::on);
passed!(Permits, Element::of::<()>(), [Semaphore, BoundedSemaphore], Permits::on);
passed!(ByteArray, Element::ANY, [Array], |object| {
    let element = object.element();
    ByteArray::on(object, element)
});
passed!(ByteValue, Element::ANY, [Value], |object| {
    let element = object.element();
    ByteValue::on(object, element)
});
