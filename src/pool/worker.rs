//! The worker's side: claims tasks, runs them, and writes what came out.
//!
//! Death: at any instruction. What it had claimed the word of that slot says, and its parent, who
//! learns of the death by a pidfd, looks there. It ends with its parent, as every daemon.

use super::site::Site;
use super::task::{self, Call, FAILED, HAS_HANDLES, NO_ARGUMENTS, RETURNED, TOO_LARGE};
use crate::error::{Error, Result};
use crate::lock::deadline::Deadline;
use crate::lock::spin::Spin;
use crate::process::{Args, describe};
use crate::region::deposit::deposit;
use crate::ring::board::Claim;
use crate::ring::board::mapped::{INLINE_BYTES, Payload, Record};
use crate::ring::pages::{NoRun, Run};
use crate::sys::entry::{Key, Service, Switchboard};
use crate::sys::process::outlive_interrupts;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// What a worker is told when it starts.
#[derive(Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) site: Site,
    pub(super) worker: u32,
    /// Of the switchboard for [`Call`]s, and of that for initializers.
    pub(super) keys: [u64; 2],
    pub(super) initializer: Option<[u64; 2]>,
    /// After how many tasks it retires.
    pub(super) tasks_most: Option<u64>,
}

/// Arguments that are sent again with each worker.
pub(super) struct Again<A>(pub(super) Arc<Mutex<A>>);

impl<A: Serialize> Serialize for Again<A> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).serialize(serializer)
    }
}

impl<'de, A: Deserialize<'de>> Deserialize<'de> for Again<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Again<A>, D::Error> {
        Ok(Again(Arc::new(Mutex::new(A::deserialize(deserializer)?))))
    }
}

/// Calls an initializer.
pub(super) struct Initialize<A>(PhantomData<A>);

impl<A: Args> Service<Option<A>> for Initialize<A> {
    type Entry = A::Fn<()>;

    fn serve(function: A::Fn<()>, arguments: &mut Option<A>) {
        if let Some(arguments) = arguments.take() {
            arguments.call(function);
        }
    }
}

/// What a worker process runs. A panic of the initializer is one of the process.
pub(super) fn work<A: Args>(hello: Hello, arguments: Again<A>) {
    outlive_interrupts();
    watch_panics();
    let [calls, initializers] = hello.keys;
    if let Some(sealed) = hello.initializer {
        let board = Key::<Option<A>>::switchboard(initializers).expect("the executable is known");
        // Nobody else has it in this process.
        let mut arguments = Arc::into_inner(arguments.0)
            .map(|one| one.into_inner().unwrap_or_else(PoisonError::into_inner));
        board.call(sealed, &mut arguments).expect("the parent has sealed the initializer");
    }
    let switchboard = Key::switchboard(calls).expect("the executable is known");
    Worker::new(hello.site, hello.worker, switchboard).run(hello.tasks_most);
}

/// Notes the panics of this thread for the answers, beside what the hook that was there does.
fn watch_panics() {
    let thread = std::thread::current().id();
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().id() == thread {
            task::note_panic(describe(info));
        }
        print(info);
    }));
}

pub(super) struct Worker {
    site: Site,
    me: u32,
    switchboard: Switchboard<Call>,
    spin: Spin,
    room_spin: Spin,
}

impl Worker {
    pub(super) fn new(site: Site, me: u32, switchboard: Switchboard<Call>) -> Worker {
        Worker { site, me, switchboard, spin: Spin::new(), room_spin: Spin::new() }
    }

    /// Claims one task, if there is any, and does it.
    pub(super) fn turn(&self, call: &mut Call) -> bool {
        let claim = self.site.board.claim(self.me);
        if let Some(claim) = claim {
            self.serve(claim, call, &mut Vec::new());
        }
        claim.is_some()
    }

    fn run(&self, tasks_most: Option<u64>) {
        self.site.board.set_record(self.me, Record::Ready);
        self.site.started.notify_all();
        let mut call = Call::default();
        let mut deposits = Vec::new();
        let mut left = tasks_most.unwrap_or(u64::MAX);
        while left > 0 {
            let Some(claim) = self.next() else { break };
            self.serve(claim, &mut call, &mut deposits);
            left -= 1;
        }
        self.leave(deposits, left == 0);
    }

    /// Claims the next task; `None` when there will be none any more.
    #[inline]
    fn next(&self) -> Option<Claim> {
        let board = &self.site.board;
        let attempt = || match board.claim(self.me) {
            Some(claim) => Some(Some(claim)),
            // After the look: what was posted before the end is found by one more.
            None if board.is_closing() => Some(board.claim(self.me)),
            None => None,
        };
        self.site.work.wait_until(&self.spin, Deadline::Never, attempt, || None).flatten()
    }

    #[inline]
    fn serve(&self, claim: Claim, call: &mut Call, deposits: &mut Vec<Claim>) {
        self.run_task(claim, call);
        let mut flags = 0;
        if call.outgoing.fds().len() > 0 {
            match self.deposit(claim, call) {
                Ok(()) => (flags, _) = (HAS_HANDLES, deposits.push(claim)),
                Err(why) => call.refuse(FAILED, &why.to_string()),
            }
        }
        let payload = match self.pages_for(call) {
            Some(run) => Payload::Long(run),
            None => Payload::Short(call.reply.bytes()),
        };
        let flags = if call.kind == RETURNED { flags } else { 0 };
        self.site.board.write_result(claim, call.kind, flags, payload);
        // A survivor of a kill here finds the task not done. A task that was cancelled meanwhile is
        // nobody's: this process is about to be ended.
        if let Ok(is_wanted) = self.site.board.finish(claim) {
            if is_wanted {
                self.site.done(claim.slot).notify_all();
            }
            self.site.finished.notify_all();
        }
        call.arguments.shrink_to(KEPT_BYTES);
    }

    fn run_task(&self, claim: Claim, call: &mut Call) {
        let Some((sealed, flags)) = self.site.board.read_task(claim, &mut call.arguments) else {
            return call.refuse(NO_ARGUMENTS, "the region is corrupt");
        };
        if flags & HAS_HANDLES != 0 {
            match task::fetch_handles(&mut call.arguments) {
                Ok(handles) => call.handles = handles,
                Err(why) => return call.refuse(NO_ARGUMENTS, &why),
            }
        }
        let run = || self.switchboard.call(sealed, call);
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Some(())) => {}
            Ok(None) => call.refuse(NO_ARGUMENTS, "the region is corrupt"),
            Err(payload) => call.panicked(&task::last_panic(payload)),
        }
    }

    /// Leaves the handles of a result until the owner fetches them.
    #[cold]
    fn deposit(&self, claim: Claim, call: &mut Call) -> Result<()> {
        let board = self.site.board.clone();
        let outgoing = std::mem::take(&mut call.outgoing);
        let is_wanted = move || board.generation(claim.slot) == claim.generation;
        let receipt = deposit(outgoing, is_wanted)?;
        call.reply.add_bytes(&receipt.to_bytes()).map_err(Error::Encode)
    }

    /// The answer in pages, if it is a long one; waits until there is room for it.
    #[inline]
    fn pages_for(&self, call: &mut Call) -> Option<Run> {
        if call.reply.len() <= INLINE_BYTES {
            return None;
        }
        match self.long(call.reply.bytes()) {
            Ok(run) => return Some(run),
            Err(NoRun::TooLarge) => call.refuse(TOO_LARGE, ""),
            Err(NoRun::Failed(why)) => call.refuse(FAILED, &short(why.to_string())),
            Err(NoRun::Corrupt | NoRun::Full) => call.refuse(FAILED, "the region is corrupt"),
        }
        None
    }

    #[cold]
    fn long(&self, bytes: &[u8]) -> Result<Run, NoRun> {
        let board = &self.site.board;
        let attempt = || match board.long_result(bytes) {
            Err(NoRun::Full) => None,
            done => Some(done),
        };
        if let Some(done) = attempt() {
            return done;
        }
        // The owner takes results down when he is rung for: that makes room.
        let ring = || {
            board.object().ring();
            None
        };
        ring();
        let waited = self.site.room.wait_until(&self.room_spin, Deadline::Never, attempt, ring);
        waited.unwrap_or(Err(NoRun::Full))
    }

    /// Stays until nobody needs this process any more: it has handles that others want, or its
    /// successor is to be there first.
    fn leave(&self, deposits: Vec<Claim>, is_retiring: bool) {
        let board = &self.site.board;
        let is_wanted = |claim: &Claim| board.generation(claim.slot) == claim.generation;
        if is_retiring {
            board.set_record(self.me, Record::Retiring);
        }
        let released = || {
            let may_go = !is_retiring || board.record(self.me) == Record::Released;
            (may_go && !deposits.iter().any(is_wanted)).then_some(())
        };
        let ring = || {
            board.object().ring();
            None
        };
        if released().is_none() {
            board.object().ring();
            self.site.started.wait_until(&Spin::new(), Deadline::Never, released, ring);
        }
    }
}

/// Private memory for arguments is kept up to this size.
const KEPT_BYTES: usize = 1 << 20;

fn short(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(INLINE_BYTES));
    text
}
