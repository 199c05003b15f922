//! An object in a region, as this process holds it: bounds checked once, then trusted.

#![allow(unsafe_code)]

use super::directory::{Element, Entry, KEY_BYTES_MAX, OwnerWords};
use super::header::DEFAULT_PARTICIPANTS;
use super::kind::Kind;
use super::mapping::{Attached, Mapping};
use super::view::{Shared, View};
use super::{Region, RegionOptions};
use crate::error::{Error, Result};
use crate::sys::memory;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

/// Where a new object goes.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// A region of its own, without a name.
    Anonymous,
    /// A region of its own, under this name.
    Named(&'a str),
    /// A region with others.
    In(&'a Region),
    /// In a region with others, under this key; what is there under the key already is opened.
    Keyed(&'a Region, &'a str),
    /// In a region with others, under this key, which nothing has.
    Fresh(&'a Region, &'a str),
}

/// Where an object is that has a name.
#[derive(Clone, Copy, Debug)]
pub enum Address<'a> {
    /// Alone in the region of this name.
    Named(&'a str),
    /// With others in a region, under this key.
    In(&'a Region, &'a str),
}

impl<'a> From<&'a str> for Address<'a> {
    fn from(name: &'a str) -> Address<'a> {
        Address::Named(name)
    }
}

impl Place<'_> {
    /// How many participants the region of the object has.
    pub(crate) fn participants(self) -> u32 {
        match self {
            Place::In(region) | Place::Keyed(region, _) | Place::Fresh(region, _) => {
                region.mapping().geometry().participants
            }
            Place::Anonymous | Place::Named(_) => DEFAULT_PARTICIPANTS,
        }
    }
}

/// What a new object is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spec<'a> {
    pub(crate) kind: Kind,
    pub(crate) element: Element,
    /// A number that the kind interprets: elements, slots, bytes.
    pub(crate) len: u64,
    /// Address space that the object takes.
    pub(crate) bytes: u64,
    /// How much of it, from its start, has memory behind it at once.
    pub(crate) backed: u64,
    /// Where it keeps participant ids.
    pub(crate) owners: &'a [OwnerWords],
}

/// A handle to an object.
#[derive(Clone)]
pub(crate) struct Object {
    mapping: Arc<Mapping>,
    index: u32,
    entry: Entry,
}

impl Object {
    /// Makes an object. Its memory is zero; `init` sees it before anybody else does. Under a key
    /// that is taken, opens the object that has it.
    pub(crate) fn create(
        place: Place<'_>,
        spec: &Spec<'_>,
        init: impl FnOnce(&Object) -> Result<()>,
    ) -> Result<Object> {
        match place {
            Place::In(region) => Object::append(region.mapping(), "", spec, init),
            Place::Keyed(region, key) | Place::Fresh(region, key) => {
                if key.is_empty() || key.len() > KEY_BYTES_MAX {
                    return Err(Error::InvalidArgument("a key has 1 to 1024 bytes"));
                }
                let is_fresh = matches!(place, Place::Fresh(..));
                match Object::keyed(region, key) {
                    Some(_) if is_fresh => Err(Error::Exists),
                    Some(index) => {
                        let mapping = Arc::clone(region.mapping());
                        Object::at_index(mapping, index, spec.kind, spec.element)
                    }
                    None if is_fresh => Object::append_fresh(region.mapping(), key, spec, init),
                    None => Object::append(region.mapping(), key, spec, init),
                }
            }
            Place::Anonymous | Place::Named(_) => {
                Object::create_first(place, spec, RegionOptions::new(spec.bytes), init)
            }
        }
    }

    /// Makes an object that is the first of a region of its own, which may have room for others.
    pub(crate) fn create_first(
        place: Place<'_>,
        spec: &Spec<'_>,
        region: RegionOptions,
        init: impl FnOnce(&Object) -> Result<()>,
    ) -> Result<Object> {
        let mapping = region.unpublished(place, spec.kind)?;
        let object = Object::append(&mapping, "", spec, init)?;
        mapping.publish()?;
        Ok(object)
    }

    /// The number of the object that was made under `key`.
    pub(crate) fn keyed(region: &Region, key: &str) -> Option<u32> {
        region.mapping().directory().find(key)
    }

    /// The keys in a region, with the kinds of what was made under them.
    pub(crate) fn keys(region: &Region) -> Vec<(String, u32)> {
        region.mapping().directory().keys().collect()
    }

    /// The region of the object.
    pub(crate) fn region(&self) -> Region {
        Region::from_mapping(Arc::clone(&self.mapping))
    }

    fn append(
        mapping: &Arc<Mapping>,
        key: &str,
        spec: &Spec<'_>,
        init: impl FnOnce(&Object) -> Result<()>,
    ) -> Result<Object> {
        let (kind, bytes, len, element) = (spec.kind as u32, spec.bytes, spec.len, spec.element);
        let mut object = Object {
            mapping: Arc::clone(mapping),
            index: 0,
            entry: Entry { kind, offset: 0, bytes, len, element },
        };
        object.index = mapping.changing(|| {
            if !key.is_empty()
                && let Some(index) = mapping.directory().find(key)
            {
                return Ok(index); // another was faster
            }
            let (clear, back) = (|at| mapping.clear_from(at), |at, len| mapping.back(at, len));
            mapping.directory().append(object.entry, key, spec.owners, clear, back, |entry| {
                object.entry = entry;
                mapping.back(entry.offset, spec.backed)?;
                init(&object)
            })
        })?;
        if object.entry.offset == 0 {
            return Object::at_index(object.mapping, object.index, spec.kind, spec.element);
        }
        Ok(object)
    }

    /// As [`Object::append`], but what is there under the key is an error.
    fn append_fresh(
        mapping: &Arc<Mapping>,
        key: &str,
        spec: &Spec<'_>,
        init: impl FnOnce(&Object) -> Result<()>,
    ) -> Result<Object> {
        let mut made = false;
        let object = Object::append(mapping, key, spec, |object| {
            made = true;
            init(object)
        });
        match object {
            Ok(_) | Err(Error::TypeMismatch { .. }) if !made => Err(Error::Exists),
            object => object,
        }
    }

    /// The object at this address.
    pub(crate) fn open<'a>(
        at: impl Into<Address<'a>>,
        kind: Kind,
        element: Element,
    ) -> Result<Object> {
        let name = match at.into() {
            Address::Named(name) => name,
            Address::In(region, key) => {
                let index = Object::keyed(region, key).ok_or(Error::NotFound)?;
                return Object::at_index(Arc::clone(region.mapping()), index, kind, element);
            }
        };
        let mapping = Region::join_named(name)?;
        if mapping.geometry().kind != kind as u32 {
            return Err(mismatch(kind, Kind::name(mapping.geometry().kind)));
        }
        Object::at_index(mapping, 0, kind, element)
    }

    /// The object with this number in a region.
    pub(crate) fn at_index(
        mapping: Arc<Mapping>,
        index: u32,
        kind: Kind,
        element: Element,
    ) -> Result<Object> {
        let entry = mapping.directory().entry(index)?;
        if entry.kind != kind as u32 {
            return Err(mismatch(kind, Kind::name(entry.kind)));
        }
        if !entry.element.passes_for(element) {
            let describe = |e: Element| {
                format!(
                    "a {} of elements with size {}, alignment {}, type tag {:#018x}",
                    Kind::name(kind as u32),
                    e.size,
                    e.align,
                    e.tag
                )
            };
            return Err(Error::TypeMismatch {
                expected: describe(element),
                found: describe(entry.element),
            });
        }
        Ok(Object { mapping, index, entry })
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// Where in its file the object begins.
    pub(crate) fn offset(&self) -> u64 {
        self.entry.offset
    }

    /// Whether it is of this kind.
    pub(crate) fn is_a(&self, kind: Kind) -> bool {
        self.entry.kind == kind as u32
    }

    /// The number that the kind interprets, as it was at open.
    pub(crate) fn len(&self) -> u64 {
        self.entry.len
    }

    /// Whether it is of this kind.
    #[cfg(feature = "serde")]
    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.entry.kind == kind as u32
    }

    /// What the elements are, as it was at open.
    #[cfg(feature = "serde")]
    pub(crate) fn element(&self) -> Element {
        self.entry.element
    }

    /// The bytes of the object.
    pub(crate) fn view(&self) -> Result<View<'_>> {
        self.mapping.view().part(self.entry.offset, self.entry.bytes)
    }

    /// The `T` at `offset` of the object.
    pub(crate) fn at<T: Shared>(&self, offset: u64) -> Result<&T> {
        self.view()?.at(offset)
    }

    /// The address of a part of the object; valid as long as a handle to the region lives.
    pub(crate) fn span(&self, offset: u64, len_bytes: u64, align: u64) -> Result<NonNull<u8>> {
        self.view()?.span(offset, len_bytes, align)
    }

    /// Copies bytes of the object out by way of the file, not of the mapping.
    pub(crate) fn read_file(&self, offset: u64, target: &mut [u8]) -> Result<()> {
        self.view()?.span(offset, target.len() as u64, 1)?;
        Ok(memory::read_at(self.mapping.fd(), self.entry.offset + offset, target)?)
    }

    /// Puts memory behind a part of the object.
    pub(crate) fn back(&self, offset: u64, len_bytes: u64) -> Result<()> {
        self.view()?.span(offset, len_bytes, 1)?;
        self.mapping.back(self.entry.offset + offset, len_bytes)
    }

    /// Gives the memory behind a part of the object back; it reads as zero then, and must be backed
    /// anew before it is used.
    pub(crate) fn give_back(&self, offset: u64, len_bytes: u64) -> Result<()> {
        self.view()?.span(offset, len_bytes, 1)?;
        self.mapping.give_back(self.entry.offset + offset, len_bytes)
    }

    /// How many participants the region of the object has, as it was at open.
    pub(crate) fn participants(&self) -> u32 {
        self.mapping.geometry().participants
    }

    /// What tells the object from all others that this process ever has: its mapping and its number.
    pub(crate) fn identity(&self) -> (u64, u32) {
        (self.mapping.serial(), self.index)
    }

    /// This process as a participant of the object's region.
    #[inline(always)]
    pub(crate) fn attached(&self) -> Result<Attached<'_>> {
        self.mapping.attached()
    }

    /// Tells those who sleep elsewhere: see [`super::ear`].
    pub(crate) fn ring(&self) {
        self.mapping.ring();
    }

    pub(crate) fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }
}

fn mismatch(expected: Kind, found: String) -> Error {
    Error::TypeMismatch { expected: Kind::name(expected as u32), found }
}

/// A `T` in a region, and the handle that keeps it mapped.
pub(crate) struct Pinned<T> {
    place: NonNull<T>,
    object: Object,
}

impl Object {
    /// The `T` at `offset`, to be used for as long as the result lives.
    pub(crate) fn pin<T: Shared>(&self, offset: u64) -> Result<Pinned<T>> {
        let place = NonNull::from(self.at::<T>(offset)?);
        Ok(Pinned { place, object: self.clone() })
    }
}

impl<T> Pinned<T> {
    pub(crate) fn object(&self) -> &Object {
        &self.object
    }
}

impl<T: Shared> Deref for Pinned<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: `at` checked bounds and alignment, `object` keeps the mapping (M1), and
        // `T: Shared` may be reached by `&T` from anywhere.
        unsafe { self.place.as_ref() }
    }
}

impl<T> Clone for Pinned<T> {
    fn clone(&self) -> Pinned<T> {
        Pinned { place: self.place, object: self.object.clone() }
    }
}

// SAFETY: `T: Shared` is all atomics, made to be used from any thread of any process.
unsafe impl<T: Shared> Send for Pinned<T> {}
// SAFETY: as above.
unsafe impl<T: Shared> Sync for Pinned<T> {}

/// Several `T` in a region, and the handle that keeps them mapped.
pub(crate) struct PinnedSlice<T> {
    first: NonNull<T>,
    len: usize,
    object: Object,
}

impl Object {
    /// `len` times `T` from `offset` on, to be used for as long as the result lives.
    pub(crate) fn pin_slice<T: Shared>(&self, offset: u64, len: usize) -> Result<PinnedSlice<T>> {
        let bytes = (len as u64).checked_mul(size_of::<T>() as u64);
        let bytes = bytes.ok_or(Error::Corrupt("length of a table"))?;
        let first = self.span(offset, bytes, align_of::<T>() as u64)?.cast();
        Ok(PinnedSlice { first, len, object: self.clone() })
    }
}

impl<T: Shared> Deref for PinnedSlice<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: `span` checked bounds and alignment, `object` keeps the mapping (M1), and
        // `T: Shared` may be reached by `&T` from anywhere.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl<T> Clone for PinnedSlice<T> {
    fn clone(&self) -> PinnedSlice<T> {
        PinnedSlice { first: self.first, len: self.len, object: self.object.clone() }
    }
}

// SAFETY: `T: Shared` is all atomics, made to be used from any thread of any process.
unsafe impl<T: Shared> Send for PinnedSlice<T> {}
// SAFETY: as above.
unsafe impl<T: Shared> Sync for PinnedSlice<T> {}
