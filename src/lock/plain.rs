//! Elements in a region without a lock: the body of `RawArray`.
//!
//! ```text
//! byte 0
//!      elements
//! ```

#![allow(unsafe_code)]

use super::elements::Elements;
use super::slice::bytes_of_elements;
use crate::error::{Error, Result};
use crate::region::{Address, Element, Kind, Object, Place, Spec};
use bytemuck::Pod;

/// A handle to elements in a region.
pub(crate) struct PlainSlice<T> {
    elements: Elements<T>,
    object: Object,
}

impl<T: Pod> PlainSlice<T> {
    /// Makes `len` elements, filled by `fill` (zero before).
    pub(crate) fn create(
        place: Place<'_>,
        len: usize,
        fill: impl FnOnce(&Elements<T>),
    ) -> Result<PlainSlice<T>> {
        // At least one word: no memory can be put behind nothing.
        let bytes = bytes_of_elements::<T>(0, len)?.max(Elements::<T>::ALIGN as u64);
        let spec = Spec {
            kind: Kind::RawArray,
            element: Element::of::<T>(),
            len: len as u64,
            bytes,
            backed: bytes,
            owners: &[],
        };
        let object = Object::create(place, &spec, |object| {
            fill(&Self::on(object.clone())?.elements);
            Ok(())
        })?;
        Self::on(object)
    }

    pub(crate) fn open<'a>(at: impl Into<Address<'a>>) -> Result<PlainSlice<T>> {
        Self::on(Object::open(at, Kind::RawArray, Element::of::<T>())?)
    }

    pub(crate) fn on(object: Object) -> Result<PlainSlice<T>> {
        let bytes = object.len().checked_mul(size_of::<T>() as u64);
        let bytes = bytes.ok_or(Error::Corrupt("length of an array"))?;
        let base = object.span(0, bytes, Elements::<T>::ALIGN as u64)?;
        let len = usize::try_from(object.len());
        let len = len.map_err(|_| Error::Corrupt("length of an array"))?;
        // SAFETY: `span` checked the bounds, and `object` keeps the region mapped for as long as
        // `elements` exists; by the layout above nothing but these handles uses the bytes.
        Ok(PlainSlice { elements: unsafe { Elements::at(base, len) }, object })
    }

    pub(crate) fn object(&self) -> &Object {
        &self.object
    }

    #[inline(always)]
    pub(crate) fn elements(&self) -> &Elements<T> {
        &self.elements
    }
}

impl<T> Clone for PlainSlice<T> {
    fn clone(&self) -> PlainSlice<T> {
        PlainSlice { elements: self.elements.clone(), object: self.object.clone() }
    }
}
