//! Where the parts of a queue lie in its object.
//!
//! ```text
//! byte 0       128       256       384    392    400     512      896     then, 128-aligned
//!      plan    readable  writable  idle   pages  census  ring's   census  slots   pages
//!                                                        words    cells
//! ```
//!
//! A queue that grows has in place of the slots: a line, the control words, and the chunks with what
//! belongs to them ([`crate::ring::mpmc::chunks`]).
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
use crate::ring::mpmc::chunks::ChunksAt;
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

/// For so many long messages at a time a queue has pages that grows, however many messages it holds.
const LONG_MESSAGES: u64 = 16 << 10;

const CAPACITY: Error = Error::InvalidArgument("capacity of a queue");

/// Where the slots begin if the region has so many participants.
fn slots_at(participants: u32) -> u64 {
    let cells = u64::from(participants) * size_of::<Member>() as u64;
    (CELLS + cells).next_multiple_of(128)
}

/// Where the parts are that depend on the shape.
struct Parts {
    slots_at: u64,
    /// Of a queue that grows.
    chunks: Option<ChunksAt>,
    heap_at: u64,
    heap: Geometry,
}

impl Parts {
    fn new(shape: Shape, participants: u32) -> Option<Parts> {
        let at = slots_at(participants);
        let (chunks, slots_at, end) = if shape.chunk == 0 {
            (None, at, at.checked_add(shape.slot_bytes()?)?)
        } else {
            let chunks = ChunksAt::new(shape, at)?;
            (Some(chunks), chunks.controls, chunks.end)
        };
        let heap_at = end.checked_next_multiple_of(128)?;
        let messages = if shape.chunk == 0 { shape.slot_count()?.into() } else { LONG_MESSAGES };
        Some(Parts { slots_at, chunks, heap_at, heap: Geometry::new(shape.heap_bytes, messages) })
    }
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
    let parts = Parts::new(shape, participants).ok_or(CAPACITY)?;
    let Parts { slots_at, chunks, heap_at, heap } = parts;
    let owners: [OwnerWords; 2] = shape.owner_words(WORDS, slots_at).ok_or(CAPACITY)?;
    let heap_bytes = heap.bytes().and_then(|bytes| bytes.checked_add(heap_at));
    let bytes = heap_bytes.ok_or(Error::InvalidArgument("memory for the messages of a queue"))?;
    let [words, slots] = owners;
    let table_end = heap_at + heap.table_bytes();
    let mut owners =
        vec![words, slots, Member::owner_words(CELLS, participants), heap.owner_words(heap_at)];
    owners.extend(chunks.map(|chunks| chunks.owner_words()));
    let spec = Spec {
        kind,
        element,
        len: shape.capacity,
        bytes,
        backed: if chunks.is_none() { table_end } else { slots_at },
        owners: &owners,
    };
    // Nobody finds the queue before its maker has a seat.
    let mut first = None;
    let object = Object::create(place, &spec, |object| {
        object.at::<Plan>(PLAN)?.note(shape);
        if let Some(chunks) = &chunks {
            chunks.prepare(object)?;
            object.back(heap_at, heap.table_bytes())?;
            ring_of(object, shape)?.start()?;
        }
        first = Some(Seat::first(object, CENSUS_AT)?);
        Ok(())
    })?;
    Ok((object, first))
}

/// The ring of a queue.
pub(super) fn ring(object: &Object) -> Result<Ring<Frames>> {
    ring_of(object, object.at::<Plan>(PLAN)?.shape(object.len()))
}

fn ring_of(object: &Object, shape: Shape) -> Result<Ring<Frames>> {
    let parts = Parts::new(shape, object.participants());
    let parts = parts.ok_or(Error::Corrupt("capacity of a queue"))?;
    let chunks = parts.chunks.map(|chunks| chunks.on(object, shape)).transpose()?;
    let pages = Pages::on(object, parts.heap_at, parts.heap)?;
    Frames::on(object, shape, WORDS, parts.slots_at, chunks, pages)
}
