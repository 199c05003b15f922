//! Who lives and who has died, in a model.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use shmkit::internals::{Liveness, ParticipantId, participant};

/// A participant as a thread of the model knows it.
#[derive(Clone)]
pub struct Person {
    me: ParticipantId,
    /// One bit for each dead slot.
    graves: Arc<AtomicU32>,
}

fn id(slot: u32) -> ParticipantId {
    participant(slot, 1)
}

/// `N` participants, all alive.
pub fn people<const N: usize>() -> [Person; N] {
    let graves = Arc::new(AtomicU32::new(0));
    std::array::from_fn(|slot| Person { me: id(slot as u32), graves: graves.clone() })
}

impl Person {
    /// Dies: does nothing from here on. SeqCst, because the kernel orders a death.
    pub fn die(self) {
        let slot = (0..32).find(|&slot| id(slot) == self.me).unwrap();
        self.graves.fetch_or(1 << slot, Ordering::SeqCst);
    }
}

impl Liveness for Person {
    fn me(&self) -> ParticipantId {
        self.me
    }

    fn is_dead(&self, who: ParticipantId) -> bool {
        // A read-modify-write, because the kernel's answer is never stale.
        let graves = self.graves.fetch_or(0, Ordering::SeqCst);
        who != self.me && (0..32).any(|slot| graves & 1 << slot != 0 && id(slot) == who)
    }
}
