//! Words that are waited on, in a region: the body of `Event` and of `Condition`.

use super::spin::Spin;
use crate::error::Result;
use crate::region::{Address, Element, Kind, Object, OwnerWords, Pinned, Place, Shared, Spec};
use std::ops::Deref;
use std::sync::Arc;

/// A handle to an object that is one `W`, zeros at first, and how its waits spin.
pub(crate) struct Awaited<W> {
    words: Pinned<W>,
    spin: Arc<Spin>,
}

impl<W: Shared> Awaited<W> {
    pub(crate) fn create(place: Place<'_>, kind: Kind, owners: &[OwnerWords]) -> Result<Self> {
        let bytes = size_of::<W>() as u64;
        let element = Element::of::<()>();
        let spec = Spec { kind, element, len: 1, bytes, backed: bytes, owners };
        Self::on(Object::create(place, &spec, |_| Ok(()))?)
    }

    pub(crate) fn open<'a>(at: impl Into<Address<'a>>, kind: Kind) -> Result<Self> {
        Self::on(Object::open(at, kind, Element::of::<()>())?)
    }

    pub(crate) fn on(object: Object) -> Result<Self> {
        Ok(Awaited { words: object.pin(0)?, spin: Arc::new(Spin::new()) })
    }
}

impl<W> Awaited<W> {
    pub(crate) fn object(&self) -> &Object {
        self.words.object()
    }

    pub(crate) fn spin(&self) -> &Spin {
        &self.spin
    }
}

impl<W: Shared> Deref for Awaited<W> {
    type Target = W;

    #[inline(always)]
    fn deref(&self) -> &W {
        &self.words
    }
}

impl<W> Clone for Awaited<W> {
    fn clone(&self) -> Awaited<W> {
        Awaited { words: self.words.clone(), spin: Arc::clone(&self.spin) }
    }
}
