//! The child's side: from the take-over to the exit code.
//!
//! Death: whatever kills the child, the parent's pidfd tells. What the control file says is extra:
//! a report is there only when the function came to an end, and a panic is noted before unwinding
//! begins, so that it is known also where a panic aborts.

use super::args::Args;
use super::control::{Control, Report, Start};
use super::current::become_child;
use crate::error::PanicInfo;
use crate::message::{Message, decode, encode};
use crate::region::transfer;
use crate::sys::entry::Job;
use crate::sys::lifeline;
use crate::sys::passed::{Passed, enter_directory};
use crate::sys::takeover::{Boot, REFUSED};
use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::ffi::CString;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Calls a function with decoded arguments and reports its value.
pub(super) struct Call<A, R>(PhantomData<(A, R)>);

impl<A: Args, R: Message> Job for Call<A, R> {
    type Entry = A::Fn<R>;

    fn run(function: A::Fn<R>, boot: Boot) -> i32 {
        run(boot, |arguments, handles| {
            let decoded = transfer::provide(handles, || decode::<A>(arguments));
            match decoded {
                Err(why) => Report::NoArguments(why),
                Ok(arguments) => match encode(&arguments.call(function)) {
                    Ok(value) => Report::Returned(value),
                    Err(why) => Report::NoValue(why),
                },
            }
        })
    }
}

fn run(boot: Boot, call: impl FnOnce(&[u8], Vec<OwnedFd>) -> Report) -> i32 {
    let control = Arc::new(Control::from(boot.control));
    let prepared = control.take().and_then(|(mut start, arguments)| {
        let handles = enter(&boot.passed, &mut start)?;
        Ok((arguments, handles))
    });
    conclude(control, prepared, |(arguments, handles)| call(&arguments, handles))
}

/// What [`run`] does in a forked child; `let_go` once the child has what it needs of its parent's
/// descriptors.
pub(super) fn run_forked<R: Message>(
    control: Arc<Control>,
    passed: &Passed,
    mut start: Start,
    f: impl FnOnce() -> R,
    let_go: impl FnOnce(),
) -> i32 {
    let prepared = enter(passed, &mut start);
    let_go();
    conclude(control, prepared, |_| match encode(&f()) {
        Ok(value) => Report::Returned(value),
        Err(why) => Report::NoValue(why),
    })
}

/// Calls the function, unless the process could not be prepared for it, and reports.
fn conclude<T>(
    control: Arc<Control>,
    prepared: io::Result<T>,
    call: impl FnOnce(T) -> Report,
) -> i32 {
    let (report, code) = match prepared {
        Err(e) => (Report::Failed(e.raw_os_error().unwrap_or(libc::EIO)), REFUSED),
        Ok(prepared) => {
            let panics = watch_panics(Arc::clone(&control));
            match catch_unwind(AssertUnwindSafe(|| call(prepared))) {
                Ok(report @ Report::Returned(_)) => (report, 0),
                Ok(report) => (report, 1),
                Err(payload) => {
                    panics.settle(&control, payload.as_ref());
                    // The payload is not dropped: that could panic again.
                    std::mem::forget(payload);
                    (Report::Panicked, 1)
                }
            }
        }
    };
    match control.report(&report, code) {
        Ok(()) => code,
        Err(e) => {
            // No room for the value, perhaps; there may be for the reason.
            let failed = Report::Failed(e.raw_os_error().unwrap_or(libc::EIO));
            let _ = control.report(&failed, 1);
            1
        }
    }
}

/// Becomes the process that the parent asked for; returns the handles in the arguments.
fn enter(passed: &Passed, start: &mut Start) -> io::Result<Vec<OwnedFd>> {
    if let Some(place) = start.lifeline {
        // Never dropped: the process hangs on it to its end.
        std::mem::forget(lifeline::arm(passed.adopt(place)?)?);
    }
    let surroundings = std::mem::take(&mut start.surroundings);
    if let Some(place) = surroundings.directory {
        enter_directory(passed.adopt(place)?.as_fd())?;
    }
    for (number, place) in surroundings.puts {
        passed.put(number, place)?;
    }
    if let Some(entries) = surroundings.environment {
        passed.set_environment(entries);
    }
    become_child(start)?;
    let name = CString::new(start.name.as_str()).map_err(io::Error::other)?;
    rustix::thread::set_name(&name)?;
    start.handles.iter().map(|place| passed.adopt(*place)).collect()
}

/// Panics to keep: the last ones, since one that was caught is of no more interest.
const PANICS: usize = 8;
/// Text of a panic or a backtrace to keep.
const TEXT_BYTES: usize = 64 * 1024;

/// The panics of the thread that runs the function.
#[derive(Clone)]
struct Panics(Arc<Mutex<Vec<PanicInfo>>>);

/// Notes the panics of this thread in `control`, before the hook that was there prints them.
fn watch_panics(control: Arc<Control>) -> Panics {
    let panics = Panics(Arc::default());
    let noted = panics.clone();
    let thread = std::thread::current().id();
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == thread {
            noted.note(&control, describe(info));
        }
        print(info);
    }));
    panics
}

impl Panics {
    fn note(&self, control: &Control, panic: PanicInfo) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == PANICS {
            all.remove(0);
        }
        all.push(panic);
        // The panic goes its way whether or not it could be noted.
        let _ = control.note_panics(&all);
    }

    /// Leaves only the panic that came out of the function.
    fn settle(&self, control: &Control, payload: &(dyn Any + Send)) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let message = text_of(payload);
        let known = all.iter().rfind(|panic| panic.message == message).or(all.last());
        // None: another hook was installed, or it was a `resume_unwind`.
        let panic =
            known.cloned().unwrap_or(PanicInfo { message, location: None, backtrace: None });
        let _ = control.note_panics(&[panic]);
    }
}

pub(crate) fn describe(info: &PanicHookInfo<'_>) -> PanicInfo {
    let backtrace = Backtrace::capture();
    PanicInfo {
        message: text_of(info.payload()),
        location: info.location().map(ToString::to_string),
        backtrace: (backtrace.status() == BacktraceStatus::Captured)
            .then(|| shorten(backtrace.to_string())),
    }
}

pub(crate) fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    shorten(text.unwrap_or("a value that is no text").to_string())
}

fn shorten(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_BYTES));
    text
}
