//! What is lent to C in place, by numbers: a slot names its loan by index and serial, so that a slot that
//! was used up, or belongs to another handle, is told from a good one.

use crate::fail::{Answer, Fail};
use crate::status::*;
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// A message in place: room to be filled, or one that was received.
#[repr(C)]
pub struct shmkit_slot {
    /// Its first byte.
    pub data: *mut c_void,
    /// Its length in bytes.
    pub len: usize,
    /// Whose it is: the library's own.
    pub token: [u64; 2],
}

/// The loans of one handle.
pub(crate) struct Loans<T> {
    table: Mutex<Vec<Place<T>>>,
}

struct Place<T> {
    /// Of the loan that is here, or was last.
    serial: u64,
    loan: Option<T>,
}

impl<T> Loans<T> {
    pub(crate) fn new() -> Loans<T> {
        register();
        Loans { table: Mutex::new(Vec::new()) }
    }

    fn table(&self) -> MutexGuard<'_, Vec<Place<T>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a loan, and returns the token for it.
    pub(crate) fn keep(&self, loan: T) -> [u64; 2] {
        // Relaxed: a number that does not come again, no more. The high part tells processes apart.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let serial = NEXT.fetch_add(1, Relaxed) & 0xffff_ffff_ffff | FORKS.load(Relaxed) << 48;
        let mut table = self.table();
        let place = Place { serial, loan: Some(loan) };
        let index = match table.iter().position(|place| place.loan.is_none()) {
            Some(free) => {
                table[free] = place;
                free
            }
            None => {
                table.push(place);
                table.len() - 1
            }
        };
        [index as u64, serial]
    }

    /// The loan of a slot, which is none from then on, if `accept` has no objection to it.
    pub(crate) fn redeem(
        &self,
        slot: &mut shmkit_slot,
        accept: impl FnOnce(&T) -> Answer<()>,
    ) -> Answer<T> {
        const NONE: Fail = Fail::Argument("a slot that is not lent by this handle");
        let [index, serial] = slot.token;
        if serial >> 48 != FORKS.load(Relaxed) && serial != 0 {
            return Err(Fail::Status(SHMKIT_ERR_WRONG_PROCESS));
        }
        let mut table = self.table();
        let index = usize::try_from(index).map_err(|_| NONE)?;
        let place = table.get_mut(index).filter(|place| place.serial == serial).ok_or(NONE)?;
        accept(place.loan.as_ref().ok_or(NONE)?)?;
        let loan = place.loan.take().ok_or(NONE)?;
        drop(table);
        *slot = shmkit_slot { data: std::ptr::null_mut(), len: 0, token: [0, 0] };
        Ok(loan)
    }

    /// Lets go of all.
    pub(crate) fn clear(&self, end: impl Fn(T)) {
        let loans = std::mem::take(&mut *self.table());
        loans.into_iter().filter_map(|place| place.loan).for_each(end);
    }
}

/// How many forks lead to this process, modulo 2^16.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Counts forks from now on.
fn register() {
    extern "C" fn in_child() {
        // Relaxed: a forked child has one thread.
        FORKS.store((FORKS.load(Relaxed) + 1) & 0xffff, Relaxed);
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Without memory for the handler a child's slots pass for the parent's, and do nothing.
        // SAFETY: the handler lives as long as the program, and only changes a word.
        let _ = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}
