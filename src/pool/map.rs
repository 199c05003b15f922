//! One function for many items: chunks go up, results come down in order.
//!
//! Source: the sizes of chunks are those of guided self-scheduling (Polychronopoulos, Kuck, 1987): each
//! is a share of what remains, so that the first are large and the last are small, and all workers
//! come to the end together.

use super::inner::Inner;
use super::results::{Handle, SentChunk};
use super::table::{Outcome, Plan};
use crate::error::TaskError;
use crate::lock::deadline::Deadline;
use crate::message::{Message, Writer};
use crate::region::transfer;
use std::collections::VecDeque;
use std::sync::Arc;

/// A chunk of several items has no more bytes than this, and than this part of the arena.
const CHUNK_BYTES: usize = 256 << 10;
const CHUNK_PART: u64 = 8;
/// Chunks of one map on the board at any time.
const WINDOW: usize = 1024;

/// What a chunk holds.
pub(super) struct Items {
    count: usize,
    /// Items that were not sent, with their places in the chunk, and why.
    left_out: Vec<(usize, Unsent)>,
}

/// Why an item was not sent.
pub(super) enum Unsent {
    Encode(String),
    TooLarge,
}

impl Unsent {
    fn error(&self) -> TaskError {
        match self {
            Unsent::Encode(why) => TaskError::Encode(format!("the arguments: {why}")),
            Unsent::TooLarge => TaskError::TooLarge,
        }
    }
}

impl Items {
    /// Gives the result of each item to `sink`. `outcome` is that of those that were sent.
    pub(super) fn results<R: Message>(
        &self,
        outcome: Option<&Outcome>,
        mut sink: impl FnMut(Result<R, TaskError>),
    ) {
        let mut left_out = self.left_out.iter().peekable();
        let mut at = 0;
        let mut skip = |at: &mut usize, sink: &mut dyn FnMut(Result<R, TaskError>)| {
            while let Some((_, why)) = left_out.next_if(|(place, _)| place == at) {
                sink(Err(why.error()));
                *at += 1;
            }
        };
        if let Some(outcome) = outcome {
            outcome.items(self.count - self.left_out.len(), |result| {
                if !self.left_out.is_empty() {
                    skip(&mut at, &mut sink);
                    at += 1;
                }
                sink(result);
            });
        }
        skip(&mut at, &mut sink);
    }
}

/// How many items the next chunk has.
#[derive(Clone, Copy)]
pub(super) enum Size {
    Fixed(usize),
    /// A share of those that remain.
    Guided {
        remaining: usize,
        workers: usize,
    },
}

impl Size {
    fn next(&mut self) -> usize {
        match self {
            Size::Fixed(size) => *size,
            Size::Guided { remaining, workers } => remaining.div_ceil(2 * *workers).max(1),
        }
    }

    fn took(&mut self, count: usize) {
        if let Size::Guided { remaining, .. } = self {
            *remaining = remaining.saturating_sub(count);
        }
    }
}

/// Makes chunks of items and puts them on the board.
pub(super) struct Feeder<I: Iterator> {
    items: I,
    plan: Plan,
    size: Size,
    writer: Writer,
    /// From the first item with handles on: those of all go together.
    kept: Vec<I::Item>,
    /// The first item of the next chunk, because it was too much for the last one.
    carried: Option<I::Item>,
}

impl<I: Iterator> Feeder<I>
where
    I::Item: Message,
{
    pub(super) fn new(items: I, plan: Plan, size: Size) -> Self {
        Feeder { items, plan, size, writer: Writer::default(), kept: Vec::new(), carried: None }
    }

    /// Puts the next chunk on the board; `None` when there are no more items.
    pub(super) fn next(
        &mut self,
        inner: &Inner,
    ) -> Result<Option<(Option<u32>, Items)>, TaskError> {
        self.kept.clear();
        let size = self.size.next();
        let mut items = Items { count: 0, left_out: Vec::new() };
        self.writer.clear();
        // The count goes before the items, and is known after them: it has five bytes in any case.
        let begun = self.writer.add_bytes(&[0; COUNT_BYTES]);
        let mut has_handles = begun.is_err() || transfer::is_under_way();
        let most = (inner.site.arena_bytes() / CHUNK_PART).min(CHUNK_BYTES as u64) as usize;
        while items.count < size {
            let Some(item) = self.carried.take().or_else(|| self.items.next()) else { break };
            let before = self.writer.len();
            if !has_handles {
                match self.writer.add(&item) {
                    Ok(()) if items.count > 0 && self.writer.len() > most => {
                        self.writer.cut(before);
                        self.carried = Some(item);
                        break;
                    }
                    Ok(()) => {}
                    Err(_) if transfer::take_stranded() => has_handles = true,
                    Err(why) => items.left_out.push((items.count, Unsent::Encode(why))),
                }
            }
            if has_handles {
                self.kept.push(item);
            }
            items.count += 1;
        }
        self.size.took(items.count);
        if items.count == 0 {
            return Ok(None);
        }
        let submitted = match has_handles {
            false if items.left_out.len() == items.count => return Ok(Some((None, items))),
            false => {
                write_count(&mut self.writer, items.count - items.left_out.len());
                inner.submit_bytes(&self.plan, self.writer.bytes())
            }
            true => self.submit_with_handles(inner, &mut items),
        };
        match submitted {
            Ok(ticket) => Ok(Some((Some(ticket), items))),
            // Of these alone; others may be smaller, or encode.
            Err(TaskError::TooLarge) => Ok(Some((None, items.refused(|| Unsent::TooLarge)))),
            Err(TaskError::Encode(why)) => {
                Ok(Some((None, items.refused(|| Unsent::Encode(why.clone())))))
            }
            Err(other) => Err(other),
        }
    }

    /// Encodes the items that were kept, behind those before them.
    #[cold]
    fn submit_with_handles(&mut self, inner: &Inner, items: &mut Items) -> Result<u32, TaskError> {
        let first = items.count - self.kept.len();
        let (written, outgoing) = transfer::collect(|| {
            for (nth, item) in self.kept.iter().enumerate() {
                if let Err(why) = self.writer.add(item) {
                    items.left_out.push((first + nth, Unsent::Encode(why)));
                }
            }
            Ok(())
        });
        write_count(&mut self.writer, items.count - items.left_out.len());
        let bytes = written.map(|()| self.writer.bytes().to_vec());
        inner.submit_with_handles(&self.plan, bytes, outgoing)
    }
}

impl Items {
    fn refused(mut self, why: impl Fn() -> Unsent) -> Items {
        self.left_out = (0..self.count).map(|place| (place, why())).collect();
        self
    }
}

/// A number of 32 bits in postcard's form, in its longest spelling.
const COUNT_BYTES: usize = 5;

fn write_count(writer: &mut Writer, count: usize) {
    let mut rest = count as u32;
    for at in 0..COUNT_BYTES {
        let more = if at + 1 < COUNT_BYTES { 0x80 } else { 0 };
        writer.set(at, (rest & 0x7f) as u8 | more);
        rest >>= 7;
    }
}

/// A map under way. Dropped before its end, as when the input panics, what is on the board goes on, and
/// nobody asks for it.
struct Run<'p> {
    inner: &'p Inner,
    sent: VecDeque<(Option<u32>, Items)>,
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if self.inner.is_ours() {
            let mut table = self.inner.table();
            self.sent.iter().filter_map(|(ticket, _)| *ticket).for_each(|at| table.abandon(at));
        }
    }
}

impl Run<'_> {
    /// Waits until the outcome of the chunk at `at` is here.
    fn wait(&self, at: usize) {
        if let Some((Some(ticket), _)) = self.sent.get(at) {
            self.inner.await_ticket(*ticket, Deadline::Never);
        }
    }

    /// Takes the chunks from the front that have ended.
    fn take(&mut self, ended: &mut Vec<(Option<Outcome>, Items)>) {
        let mut table = self.inner.table();
        while let Some((ticket, _)) = self.sent.front() {
            let outcome = match ticket {
                None => None,
                Some(ticket) => match table.collect(*ticket) {
                    None => break,
                    outcome => outcome,
                },
            };
            ended.extend(self.sent.pop_front().map(|(_, items)| (outcome, items)));
        }
    }
}

/// Runs all items through the pool; `sink` gets the results in order, and `progress` how many there are.
pub(super) fn run<I, R: Message>(
    inner: &Inner,
    mut feeder: Feeder<I>,
    mut sink: impl FnMut(Result<R, TaskError>),
    mut progress: Option<&mut dyn FnMut(usize)>,
) -> Result<(), TaskError>
where
    I: Iterator,
    I::Item: Message,
{
    let mut run = Run { inner, sent: VecDeque::new() };
    let (mut ended, mut is_fed, mut done) = (Vec::new(), false, 0);
    loop {
        while !is_fed && run.sent.len() < WINDOW {
            match feeder.next(inner)? {
                Some(sent) => run.sent.push_back(sent),
                None => is_fed = true,
            }
        }
        if run.sent.is_empty() {
            return Ok(());
        }
        // Not for the first, which would be one sleep a chunk: unless somebody wants to be told.
        run.wait(if progress.is_some() { 0 } else { run.sent.len() / 2 });
        run.wait(0);
        run.take(&mut ended);
        for (outcome, items) in ended.drain(..) {
            items.results(outcome.as_ref(), &mut sink);
            done += items.count;
            if let Some(progress) = &mut progress {
                progress(done);
            }
        }
    }
}

/// Puts all items on the board, and returns their chunks.
pub(super) fn send<I>(
    inner: &Arc<Inner>,
    mut feeder: Feeder<I>,
) -> Result<Vec<SentChunk>, TaskError>
where
    I: Iterator,
    I::Item: Message,
{
    let mut chunks = Vec::new();
    while let Some((ticket, items)) = feeder.next(inner)? {
        let handle = ticket.map(|ticket| Handle::new(inner, ticket));
        chunks.push(SentChunk { handle, items });
    }
    Ok(chunks)
}
