//! Where the parts of a queue lie in its object.
//!
//! ```text
//! byte 0       128       256       384    392    400     512      896     then, 128-aligned
//!      plan    readable  writable  idle   pages  census  ring's   census  slots   pages
//!                                                        words    cells
//! ```
//!
//! Who puts reads the line of `readable` each time, and who gets that of `writable`; both are written
//! only when somebody is about to sleep. `idle` is for those who wait until all work is done, and
//! `pages` for those who wait for pages.

use crate::error::{Error, Result};
use crate::lock::members::Member;
use crate::lock::seat::{CensusAt, Seat};
use crate::region::id::ParticipantId;
use crate::region::{Element, Kind, Object, OwnerWords, Place, Spec};
use crate::ring::frames::{Frames, Plan, Shape, WORDS_BYTES};
use crate::ring::mpmc::Ring;
use crate::ring::pages::{Geometry, Pages};

const PLAN: u64 = 0;
pub(super) const READABLE: u64 = 128;
pub(super) const WRITABLE: u64 = 256;
pub(super) const IDLE: u64 = 384;
pub(super) const PAGES: u64 = 392;
const CENSUS: u64 = 400;
const WORDS: u64 = 512;
const CELLS: u64 = WORDS + WORDS_BYTES;

/// Where the handles are counted.
pub(super) const CENSUS_AT: CensusAt = CensusAt { words: CENSUS, cells: CELLS };

const CAPACITY: Error = Error::InvalidArgument("capacity of a queue");

/// Where the slots begin if the region has so many participants.
fn slots_at(participants: u32) -> u64 {
    let cells = u64::from(participants) * size_of::<Member>() as u64;
    (CELLS + cells).next_multiple_of(128)
}

/// Where the heap for long messages begins, and how large it is.
fn heap(shape: Shape, slots_at: u64) -> Option<(u64, Geometry)> {
    let at = slots_at.checked_add(shape.slot_bytes()?)?.checked_next_multiple_of(128)?;
    Some((at, Geometry::new(shape.heap_bytes, u64::from(shape.slot_count()?))))
}

/// Makes a queue and takes the first seat at it, which is returned; or opens the one that is there
/// already, where nobody has a seat yet.
pub(super) fn create(
    place: Place<'_>,
    kind: Kind,
    element: Element,
    shape: Shape,
) -> Result<(Object, Option<ParticipantId>)> {
    let participants = place.participants();
    let slots_at = slots_at(participants);
    let owners: [OwnerWords; 2] = shape.owner_words(WORDS, slots_at).ok_or(CAPACITY)?;
    let (heap_at, heap) = heap(shape, slots_at).ok_or(CAPACITY)?;
    let heap_bytes = heap.bytes().and_then(|bytes| bytes.checked_add(heap_at));
    let bytes = heap_bytes.ok_or(Error::InvalidArgument("memory for the messages of a queue"))?;
    let [words, slots] = owners;
    let spec = Spec {
        kind,
        element,
        len: shape.capacity,
        bytes,
        backed: heap_at + heap.table_bytes(),
        owners: &[
            words,
            slots,
            Member::owner_words(CELLS, participants),
            heap.owner_words(heap_at),
        ],
    };
    // Nobody finds the queue before its maker has a seat.
    let mut first = None;
    let object = Object::create(place, &spec, |object| {
        object.at::<Plan>(PLAN)?.note(shape);
        first = Some(Seat::first(object, CENSUS_AT)?);
        Ok(())
    })?;
    Ok((object, first))
}

/// The ring of a queue.
pub(super) fn ring(object: &Object) -> Result<Ring<Frames>> {
    let shape = object.at::<Plan>(PLAN)?.shape(object.len());
    let slots_at = slots_at(object.participants());
    let (heap_at, heap) = heap(shape, slots_at).ok_or(Error::Corrupt("capacity of a queue"))?;
    Frames::on(object, shape, WORDS, slots_at, Pages::on(object, heap_at, heap)?)
}
