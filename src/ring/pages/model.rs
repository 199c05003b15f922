//! A heap for tests and for the model checker, which follows who touches which page.

#![allow(unsafe_code)]

use super::Pages;
use super::site::Site;
use super::words::*;
use crate::error::{Error, Result};
use crate::region::id::{Liveness, NUMBER_DEAD, Numbers, ParticipantId};
use crate::sync::{AtomicU32, AtomicU64, Ordering::*};
use std::cell::UnsafeCell;
use std::sync::Arc;

/// What the handles to a heap share.
pub(crate) struct World {
    words: Words,
    pub(super) heads: Box<[Head]>,
    pub(super) notes: Box<[Note]>,
    bytes: Box<[UnsafeCell<u8>]>,
    /// Stand for the pages: loom checks that what touches them is ordered.
    #[cfg(loom)]
    touched: Box<[loom::cell::UnsafeCell<()>]>,
    /// One bit for each number whose participant has died.
    dead: AtomicU32,
    /// Steps of all participants until the one who takes it dies.
    #[cfg(not(loom))]
    pub(super) fuse: AtomicU64,
    /// What happens between the next verdict and what follows from it.
    #[cfg(not(loom))]
    pub(super) meanwhile: std::sync::Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// Grains that have memory.
    #[cfg(not(loom))]
    pub(super) grains: std::sync::Mutex<std::collections::BTreeSet<u64>>,
    /// How many there may be.
    #[cfg(not(loom))]
    pub(super) grains_max: AtomicU32,
}

// SAFETY: the bytes are used as the heap's invariants allow, which the model checks.
unsafe impl Sync for World {}
// SAFETY: as above.
unsafe impl Send for World {}

/// One participant's view.
#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) world: Arc<World>,
    number: u32,
}

impl World {
    /// A heap of `count` pages of as many grains as `grains`.
    pub(crate) fn new(count: usize, grains: u64) -> Arc<World> {
        let bytes = count * (grains * GRAIN_BYTES) as usize;
        let zero = || AtomicU32::new(0);
        Arc::new(World {
            words: Words { stamp: AtomicU64::new(0), lowest: zero() },
            heads: (0..count).map(|_| Head(AtomicU64::new(0))).collect(),
            notes: (0..count).map(|_| Note { pages: zero(), backed: zero() }).collect(),
            bytes: (0..if cfg!(loom) { 0 } else { bytes }).map(|_| UnsafeCell::new(0)).collect(),
            #[cfg(loom)]
            touched: (0..count).map(|_| loom::cell::UnsafeCell::new(())).collect(),
            dead: zero(),
            #[cfg(not(loom))]
            fuse: AtomicU64::new(u64::MAX),
            #[cfg(not(loom))]
            meanwhile: Default::default(),
            #[cfg(not(loom))]
            grains: Default::default(),
            #[cfg(not(loom))]
            grains_max: AtomicU32::new(u32::MAX),
        })
    }

    /// A handle for the participant `number`, one of 1 to 31; the first `kept` pages keep their
    /// memory.
    pub(crate) fn seen_by(self: &Arc<Self>, number: u32, kept: usize) -> Pages<Model> {
        let count = self.heads.len();
        let page_bytes = match cfg!(loom) {
            true => GRAIN_BYTES,
            false => (self.bytes.len() / count) as u64,
        };
        let geometry = Geometry { page_bytes, count, kept };
        Pages::new(Model { world: self.clone(), number }, geometry)
    }

    /// Lets the participant `number` be dead from now on. Release, as the kernel's unlocking is.
    pub(crate) fn bury(&self, number: u32) {
        self.dead.fetch_or(1 << number, Release);
    }

    /// What the region does when the place of the dead `number` gets its next occupant, who lives.
    pub(crate) fn occupy_again(&self, number: u32) {
        let name = u64::from(number) << OWNER_SHIFT;
        for Head(word) in &self.heads {
            let mut now = word.load(Acquire);
            while now & OWNER == name {
                match word.compare_exchange(now, now | OWNER, AcqRel, Acquire) {
                    Ok(_) => break,
                    Err(changed) => now = changed,
                }
            }
        }
        self.dead.fetch_and(!(1 << number), Release);
    }
}

impl Model {
    /// One step of this participant, unless it dies here.
    fn step(&self) {
        #[cfg(not(loom))]
        if self.world.fuse.fetch_sub(1, SeqCst) == 0 {
            std::panic::resume_unwind(Box::new("killed"));
        }
    }
}

impl Liveness for &Model {
    fn me(&self) -> ParticipantId {
        ParticipantId::new(self.number - 1, 1)
    }

    fn is_dead(&self, id: ParticipantId) -> bool {
        self.is_number_dead(id.number())
    }
}

impl Numbers for &Model {
    fn is_number_dead(&self, number: u32) -> bool {
        // A read-modify-write, because the kernel's answer is never stale.
        let dead = self.world.dead.fetch_or(0, Acquire);
        #[cfg(not(loom))]
        {
            let meanwhile = self.world.meanwhile.lock().unwrap().take();
            meanwhile.into_iter().for_each(|meanwhile| meanwhile());
        }
        number == NUMBER_DEAD || number == 0 || dead & 1 << (number & 31) != 0
    }
}

// SAFETY: the boxes live as long as the site and never move or grow; the bytes are initialised.
unsafe impl Site for Model {
    type Who<'a> = &'a Model;

    fn words(&self) -> &Words {
        &self.world.words
    }

    fn heads(&self) -> &[Head] {
        self.step();
        &self.world.heads
    }

    fn notes(&self) -> &[Note] {
        self.step();
        &self.world.notes
    }

    fn reading(&self, page: usize, pages: usize) -> *const u8 {
        #[cfg(loom)]
        self.world.touched[page..page + pages].iter().for_each(|page| page.with(|_| ()));
        let bytes = self.world.bytes.len() / self.world.heads.len();
        self.world.bytes[page * bytes..(page + pages) * bytes].as_ptr().cast()
    }

    fn writing(&self, page: usize, pages: usize) -> *mut u8 {
        #[cfg(loom)]
        self.world.touched[page..page + pages].iter().for_each(|page| page.with_mut(|_| ()));
        let bytes = self.world.bytes.len() / self.world.heads.len();
        UnsafeCell::raw_get(self.world.bytes[page * bytes..(page + pages) * bytes].as_ptr())
    }

    fn back(&self, _from_bytes: u64, _len_bytes: u64) -> Result<()> {
        self.step();
        #[cfg(not(loom))]
        {
            let mut grains = self.world.grains.lock().unwrap();
            let wanted = _from_bytes / GRAIN_BYTES..(_from_bytes + _len_bytes) / GRAIN_BYTES;
            let missing = wanted.clone().filter(|grain| !grains.contains(grain)).count();
            if grains.len() + missing > self.world.grains_max.load(SeqCst) as usize {
                return Err(Error::NoSpace);
            }
            grains.extend(wanted);
        }
        Ok::<_, Error>(())
    }

    fn give_back(&self, _from_bytes: u64, _len_bytes: u64) {
        self.step();
        #[cfg(not(loom))]
        {
            let gone = _from_bytes / GRAIN_BYTES..(_from_bytes + _len_bytes) / GRAIN_BYTES;
            self.world.grains.lock().unwrap().retain(|grain| !gone.contains(grain));
        }
    }

    fn own_word(&self) -> u32 {
        (&self).me().word()
    }

    fn who(&self) -> Result<&Model> {
        Ok(self)
    }
}
