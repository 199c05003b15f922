//! The region of a pool: the board of tasks, and what is waited on.
//!
//! ```text
//! byte 0     128       256   264      384 .. 896   1024, 128-aligned
//!      work  finished  room  started  done[64]     board, heap, slots: see `ring::board`
//! ```
//!
//! `work` is for workers without a task, `finished` for who waits for any task to end, `done` for who
//! waits for a certain one (the slot says which of the 64), `room` for workers whose result has no
//! room, and `started` for those who start workers and those that are let go.

use crate::error::{Error, Result};
use crate::lock::event::EventCount;
use crate::region::{Element, Kind, Object, Pinned, PinnedSlice, Place, RegionOptions, Spec};
use crate::ring::board::mapped::{Layout, Mapped};
use crate::ring::board::{Board, SLOTS_MOST, WORKERS_MOST};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const WORK: u64 = 0;
const FINISHED: u64 = 128;
const ROOM: u64 = 256;
const STARTED: u64 = 264;
const DONE: u64 = 384;
const DONE_EVENTS: usize = 64;
const BOARD: u64 = 1024;

/// The most workers of a pool: half the numbers, since one that retires has its successor beside it.
pub(super) const CREW_MOST: usize = 1000;
const _: () = assert!(2 * CREW_MOST < WORKERS_MOST as usize);

/// One process's handle to the region of a pool.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) board: Board<Mapped>,
    pub(super) work: Pinned<EventCount>,
    pub(super) finished: Pinned<EventCount>,
    pub(super) room: Pinned<EventCount>,
    pub(super) started: Pinned<EventCount>,
    done: PinnedSlice<EventCount>,
}

fn layout(heap_bytes: u64) -> Layout {
    Layout::new(BOARD, SLOTS_MOST, heap_bytes)
}

impl Site {
    /// The region of a new pool of so many workers, with room for so many bytes of long payload.
    pub(super) fn create(workers: usize, heap_bytes: u64) -> Result<Site> {
        const SIZE: Error = Error::InvalidArgument("memory for the payload of a pool");
        let layout = layout(heap_bytes);
        let bytes = layout.bytes().ok_or(SIZE)?;
        // Each of them, its successor, and this process; and some that are attached for handles.
        let participants = (2 * workers as u32 + 64).max(128);
        let region = RegionOptions::new(bytes.checked_add(1 << 12).ok_or(SIZE)?);
        let region = region.participants(participants).anonymous()?;
        let spec = Spec {
            kind: Kind::Pool,
            element: Element::BYTES,
            len: heap_bytes,
            bytes,
            backed: layout.backed_bytes(),
            owners: &[layout.owner_words()],
        };
        Site::on(Object::create(Place::In(&region), &spec, |_| Ok(()))?)
    }

    fn on(object: Object) -> Result<Site> {
        Ok(Site {
            board: Board::on(&object, layout(object.len()))?,
            work: object.pin(WORK)?,
            finished: object.pin(FINISHED)?,
            room: object.pin(ROOM)?,
            started: object.pin(STARTED)?,
            done: object.pin_slice(DONE, DONE_EVENTS)?,
        })
    }

    /// Room for long payload.
    pub(super) fn arena_bytes(&self) -> u64 {
        self.board.object().len()
    }

    /// What is waited on for the task in a slot.
    pub(super) fn done(&self, slot: u32) -> &EventCount {
        &self.done[slot as usize % DONE_EVENTS]
    }

    /// Wakes everybody: somebody has died who should have woken one of them, or all is over.
    pub(super) fn wake_everybody(&self) {
        for event in [&*self.work, &*self.finished, &*self.room, &*self.started] {
            event.notify_all();
        }
        self.done.iter().for_each(EventCount::notify_all);
    }

    /// Puts memory behind the slots from `from` to `to`.
    pub(super) fn back_slots(&self, from: u32, to: u32) -> Result<()> {
        self.board.back_slots(layout(self.board.object().len()), from, to)
    }
}

impl Serialize for Site {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.board.object().send(serializer, |_| Ok(None))
    }
}

impl<'de> Deserialize<'de> for Site {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Site, D::Error> {
        let arrival = Object::receive(deserializer, Kind::Pool, Element::BYTES)?;
        Site::on(arrival.object).map_err(serde::de::Error::custom)
    }
}
