//! The board with an owner and workers that the caller plays himself: for this repository's tests only,
//! which kill them at every instruction. Not part of the API.

use super::inner::lock;
use super::site::Site;
use super::table::{Plan, Table};
use super::task::{Call, Once};
use super::worker::Worker;
use crate::error::{Result, TaskError};
use crate::message::encode;
use crate::ring::board::mapped::{INLINE_BYTES, Payload};
use crate::sys::entry::{Key, Switchboard};
use std::sync::{Arc, Mutex};

/// A board whose region forked children inherit; what this process knows of its tasks they copy.
pub struct Probe {
    site: Arc<Site>,
    key: Key<Call>,
    switchboard: Switchboard<Call>,
    table: Mutex<Table>,
}

impl Probe {
    /// With so much memory for long payload.
    pub fn new(arena_bytes: u64) -> Result<Probe> {
        let (switchboard, key) = Switchboard::new()?;
        let site = Arc::new(Site::create(4, arena_bytes)?);
        let table = Mutex::new(Table::new(Arc::clone(&site)));
        Ok(Probe { site, key, switchboard, table })
    }

    /// Puts a task on the board, that is run again so often; returns its ticket.
    pub fn post(
        &self,
        text: &String,
        retries: u32,
        function: fn(String) -> String,
    ) -> Result<u32, TaskError> {
        let call = self.switchboard.seal::<Once<(String,), String>>(function)?;
        let bytes = encode(&(text,)).map_err(TaskError::Encode)?;
        let payload = match bytes.len() <= INLINE_BYTES {
            true => Payload::Short(&bytes),
            false => {
                let run = self.site.board.long_arguments(&bytes);
                Payload::Long(run.map_err(|_| TaskError::TooLarge)?)
            }
        };
        let mut table = lock(&self.table);
        let slot = table.take_slot()?.ok_or(TaskError::TooLarge)?;
        Ok(table.post(slot, &Plan { call, flags: 0, retries }, payload))
    }

    /// What a worker of this number needs; attaches this process to the region.
    pub fn worker(&self, number: u32) -> Result<ProbeWorker> {
        self.site.board.object().attached()?;
        let switchboard = Key::switchboard(self.key.to_bits())?;
        Ok(ProbeWorker(Worker::new((*self.site).clone(), number, switchboard), Call::default()))
    }

    /// What the owner does when this worker has died.
    pub fn bury(&self, number: u32) {
        lock(&self.table).bury(number, Some(9), None);
        self.site.wake_everybody();
    }

    /// The outcome of a task, once.
    pub fn outcome(&self, ticket: u32) -> Option<Result<String, TaskError>> {
        let outcome = lock(&self.table).collect(ticket)?;
        Some(outcome.value())
    }
}

/// A worker that takes one step at a time.
pub struct ProbeWorker(Worker, Call);

impl ProbeWorker {
    /// Claims a task, runs it and writes the result; `false` if there was none.
    pub fn turn(&mut self) -> bool {
        self.0.turn(&mut self.1)
    }
}
