//! What workers are sent, and what they answer: the typed ends of a task.
//!
//! ```text
//! arguments   of one call: the tuple; of a chunk: how many, then the items, one behind the other
//! result      of one call: the value; of a chunk: for each item a tag and value, panic or text
//! ```
//!
//! Handles in arguments or results wait in a deposit of the sender (`region::deposit`); the bytes have
//! the receipt behind them then.

use crate::error::{PanicInfo, TaskError};
use crate::message::{Message, Writer, decode, take};
use crate::process::{Args, text_of};
use crate::region::deposit::{Receipt, fetch};
use crate::region::transfer::{self, Outgoing};
use crate::sys::entry::Service;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// In the flags: a receipt is behind the bytes.
pub(super) const HAS_HANDLES: u32 = 1;

/// Kinds of results.
pub(super) const RETURNED: u8 = 1;
pub(super) const PANICKED: u8 = 2;
pub(super) const NO_ARGUMENTS: u8 = 3;
pub(super) const NO_VALUE: u8 = 4;
pub(super) const TOO_LARGE: u8 = 5;
pub(super) const FAILED: u8 = 6;

/// One task in the hands of a worker.
#[derive(Default)]
pub(super) struct Call {
    pub(super) arguments: Vec<u8>,
    pub(super) handles: Vec<OwnedFd>,
    pub(super) kind: u8,
    pub(super) reply: Writer,
    pub(super) outgoing: Outgoing,
}

impl Call {
    /// Answers with a kind and its text.
    pub(super) fn refuse(&mut self, kind: u8, why: &str) {
        self.kind = kind;
        self.reply.clear();
        // Without memory even for that the kind has to do.
        let _ = self.reply.add_bytes(why.as_bytes());
    }

    /// Answers with a panic.
    pub(super) fn panicked(&mut self, panic: &PanicInfo) {
        self.kind = PANICKED;
        self.reply.clear();
        self.outgoing = Outgoing::default();
        let _ = self.reply.add(panic); // as above
    }

    /// Answers with what `write` encodes, twice if there are handles in it.
    fn answer(&mut self, mut write: impl FnMut(&mut Writer) -> Result<(), String>) {
        self.kind = RETURNED;
        self.reply.clear();
        let mut written = write(&mut self.reply);
        if transfer::take_stranded() {
            self.reply.clear();
            (written, self.outgoing) = transfer::collect(|| write(&mut self.reply));
        }
        if let Err(why) = written {
            let outgoing = std::mem::take(&mut self.outgoing);
            self.refuse(NO_VALUE, &outgoing.failure(why).to_string());
        }
    }
}

/// Calls a function with the arguments of one task.
pub(super) struct Once<A, R>(PhantomData<(A, R)>);

impl<A: Args, R: Message> Service<Call> for Once<A, R> {
    type Entry = A::Fn<R>;

    fn serve(function: A::Fn<R>, call: &mut Call) {
        let handles = std::mem::take(&mut call.handles);
        match with_handles(handles, || decode::<A>(&call.arguments)) {
            Err(why) => call.refuse(NO_ARGUMENTS, &why),
            Ok(arguments) => {
                let value = arguments.call(function);
                call.answer(|reply| reply.add(&value));
            }
        }
    }
}

/// Calls a function with each item of a chunk.
pub(super) struct Each<T, R>(PhantomData<(T, R)>);

impl<T: Message, R: Message> Service<Call> for Each<T, R> {
    type Entry = fn(T) -> R;

    fn serve(function: fn(T) -> R, call: &mut Call) {
        serve_each(call, function);
    }
}

/// As [`Each`], where the items are tuples of arguments.
pub(super) struct EachOf<A, R>(PhantomData<(A, R)>);

impl<A: Args, R: Message> Service<Call> for EachOf<A, R> {
    type Entry = A::Fn<R>;

    fn serve(function: A::Fn<R>, call: &mut Call) {
        serve_each(call, |arguments: A| arguments.call(function));
    }
}

enum Item<R> {
    Value(R),
    Panicked(PanicInfo),
    NoArguments(String),
}

fn serve_each<T: Message, R: Message>(call: &mut Call, function: impl Fn(T) -> R) {
    let handles = std::mem::take(&mut call.handles);
    let items = match with_handles(handles, || decode_items(&call.arguments)) {
        Err(why) => return call.refuse(NO_ARGUMENTS, &why),
        Ok(items) => items,
    };
    let run = |item: Result<T, String>| match item {
        Err(why) => Item::NoArguments(why),
        Ok(item) => match catch_unwind(AssertUnwindSafe(|| function(item))) {
            Ok(value) => Item::Value(value),
            Err(payload) => Item::Panicked(last_panic(payload)),
        },
    };
    let results: Vec<Item<R>> = items.into_iter().map(run).collect();
    call.answer(|reply| {
        for item in &results {
            write_item(reply, item)?;
        }
        Ok(())
    });
}

/// The items of a chunk. After one that cannot be decoded nobody knows where the next one begins.
fn decode_items<T: Message>(bytes: &[u8]) -> Result<Vec<Result<T, String>>, String> {
    let mut rest = bytes;
    let count: u32 = take(&mut rest)?;
    // No more than can be there: a type without bytes is counted, but takes no memory.
    let mut items = Vec::with_capacity(count.min(1 << 20) as usize);
    for _ in 0..count {
        let item = take::<T>(&mut rest);
        let wrong = item.as_ref().err().cloned();
        items.push(item);
        if let Some(why) = wrong {
            let others = count as usize - items.len();
            items.extend((0..others).map(|_| Err(format!("behind an item that: {why}"))));
            break;
        }
    }
    Ok(items)
}

fn write_item<R: Message>(reply: &mut Writer, item: &Item<R>) -> Result<(), String> {
    let start = reply.len();
    match item {
        Item::Value(value) => {
            reply.add(&RETURNED)?;
            if let Err(why) = reply.add(value) {
                reply.cut(start);
                reply.add(&NO_VALUE)?;
                reply.add(&why)?;
            }
        }
        Item::Panicked(panic) => {
            reply.add(&PANICKED)?;
            reply.add(panic)?;
        }
        Item::NoArguments(why) => {
            reply.add(&NO_ARGUMENTS)?;
            reply.add(why)?;
        }
    }
    Ok(())
}

/// Takes the result of one item off the start of what a chunk's worker has answered.
pub(super) fn take_item<R: Message>(rest: &mut &[u8]) -> Result<R, TaskError> {
    let undecoded = |why: String| TaskError::Decode(format!("the value: {why}"));
    match take::<u8>(rest).map_err(undecoded)? {
        RETURNED => take(rest).map_err(undecoded),
        PANICKED => Err(take(rest).map_or_else(undecoded, TaskError::Panicked)),
        NO_VALUE => Err(take::<String>(rest).map_or_else(undecoded, no_value)),
        NO_ARGUMENTS => Err(take::<String>(rest).map_or_else(undecoded, no_arguments)),
        _ => Err(undecoded("no such kind of result".into())),
    }
}

pub(super) fn no_value(why: String) -> TaskError {
    TaskError::Encode(format!("the value: {why}"))
}

pub(super) fn no_arguments(why: String) -> TaskError {
    TaskError::Decode(format!("the arguments: {why}"))
}

/// Runs `decode` with the handles that came along, if any did.
pub(super) fn with_handles<R>(handles: Vec<OwnedFd>, decode: impl FnOnce() -> R) -> R {
    if handles.is_empty() { decode() } else { transfer::provide(handles, decode) }
}

/// How long who gets a payload waits for its handles: their sender may be busy, or stopped.
const PATIENCE: Duration = Duration::from_secs(5);
const NAP: Duration = Duration::from_millis(5);

/// Fetches the handles of a payload, whose receipt is taken off its end.
#[cold]
pub(super) fn fetch_handles(bytes: &mut Vec<u8>) -> Result<Vec<OwnedFd>, String> {
    let at = bytes.len().checked_sub(Receipt::BYTES).ok_or("no receipt for its handles")?;
    let mut receipt = [0; Receipt::BYTES];
    receipt.copy_from_slice(&bytes[at..]);
    bytes.truncate(at);
    let start = Instant::now();
    let next_nap = || (start.elapsed() < PATIENCE).then_some(NAP);
    fetch(Receipt::from_bytes(&receipt), next_nap).map_err(|e| e.to_string())
}

thread_local!(static LAST_PANIC: RefCell<Option<PanicInfo>> = const { RefCell::new(None) });

/// Notes a panic of this thread, before it unwinds.
pub(super) fn note_panic(panic: PanicInfo) {
    LAST_PANIC.with_borrow_mut(|last| *last = Some(panic));
}

/// The panic that ended with this payload.
pub(super) fn last_panic(payload: Box<dyn std::any::Any + Send>) -> PanicInfo {
    let message = text_of(payload.as_ref());
    // The payload is not dropped: that could panic again.
    std::mem::forget(payload);
    let noted = LAST_PANIC.with_borrow_mut(Option::take);
    // Another one: a hook of the program's own was installed, or it was a `resume_unwind`.
    noted.filter(|panic| panic.message == message).unwrap_or(PanicInfo {
        message,
        location: None,
        backtrace: None,
    })
}
