//! Where the heap lives: in a region in production, in a model under the model checker.

#![allow(unsafe_code)]

use super::words::{Head, Note, Words};
use crate::error::Result;
use crate::region::id::Numbers;

/// The memory of one heap of pages, and who knows about the dead of the processes that share it.
///
/// # Safety
///
/// While the site and its clones live: `heads` and `notes` never change their length, and `reading`
/// and `writing` return pointers to initialised bytes, all those of `pages` pages, whenever `page +
/// pages` is not above that length and there is memory behind them.
pub(crate) unsafe trait Site {
    /// This process as a participant.
    type Who<'a>: Numbers
    where
        Self: 'a;

    /// The words before the table.
    fn words(&self) -> &Words;

    /// The word of each page.
    fn heads(&self) -> &[Head];

    /// The note of each page.
    fn notes(&self) -> &[Note];

    /// The place of pages that the caller may read.
    fn reading(&self, page: usize, pages: usize) -> *const u8;

    /// The place of pages that the caller may write.
    fn writing(&self, page: usize, pages: usize) -> *mut u8;

    /// Puts memory behind bytes, counted from the first page.
    fn back(&self, from_bytes: u64, len_bytes: u64) -> Result<()>;

    /// Gives the memory behind bytes back; they read as zero then. A failure leaves it.
    fn give_back(&self, from_bytes: u64, len_bytes: u64);

    /// The word of our id; 0 if this process is no participant, as a forked child before
    /// [`Site::who`].
    fn own_word(&self) -> u32;

    /// This process as a participant; makes it one if need be.
    fn who(&self) -> Result<Self::Who<'_>>;
}
