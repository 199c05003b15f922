//! Descriptors that wait in their sender until somebody fetches them.
//!
//! A pipe has a socket beside it, and descriptors travel through that. A queue has no such thing:
//! who will take a message is not known when it is put. So the descriptors stay with the sender, in
//! a deposit, and the message carries a receipt. Whoever takes the message connects to the sender's
//! desk, a listening socket with an address that the kernel forgets with the process, shows the
//! receipt, and gets the descriptors.
//!
//! The desk is attended by a thread, which begins with the first deposit and ends with the last.
//!
//! - D1. A deposit is handed out at most once: it leaves the desk before it is sent, and comes back
//!   only if it was not.
//! - D2. A deposit that nobody will fetch any more is dropped at the latest with the next look, a
//!   second later; what travels on it is gone then, as if its receiver had died.
//! - D3. A desk belongs to one process: a forked child has one of its own, and leaves alone what it
//!   finds in its memory of the parent's.
//! - D4. Only processes of the same user are served; they could look into this one anyway.

use super::transfer::Outgoing;
use crate::error::{Error, Result};
use crate::sys::per_process::PerProcess;
use crate::sys::{fork, memory, poll, socket, thread};
use std::collections::{HashMap, VecDeque};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// The address of a desk.
type Name = [u8; socket::NAME_BYTES];

/// How often the attendant looks for deposits that nobody will fetch.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Clients that have not said what they want yet.
const MAX_CLIENTS: usize = 64;

/// What a message carries in place of descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    desk: Name,
    number: u64,
}

impl Receipt {
    pub(crate) const BYTES: usize = socket::NAME_BYTES + 8;

    pub(crate) fn to_bytes(self) -> [u8; Receipt::BYTES] {
        let mut bytes = [0; Receipt::BYTES];
        bytes[..socket::NAME_BYTES].copy_from_slice(&self.desk);
        bytes[socket::NAME_BYTES..].copy_from_slice(&self.number.to_le_bytes());
        bytes
    }

    /// Any bytes are a receipt, though perhaps of nothing.
    pub(crate) fn from_bytes(bytes: &[u8; Receipt::BYTES]) -> Receipt {
        let (mut desk, mut number) = ([0; socket::NAME_BYTES], [0; 8]);
        desk.copy_from_slice(&bytes[..socket::NAME_BYTES]);
        number.copy_from_slice(&bytes[socket::NAME_BYTES..]);
        Receipt { desk, number: u64::from_le_bytes(number) }
    }
}

struct Parcel {
    outgoing: Outgoing,
    is_wanted: Box<dyn Fn() -> bool + Send>,
}

struct Desk {
    name: Name,
    parcels: HashMap<u64, Box<Parcel>>,
    next: u64,
}

/// The desk of this process, if it has deposits (D3).
static DESK: PerProcess<Mutex<Option<Desk>>> = PerProcess::new(|| Mutex::new(None));

fn with_desk<R>(f: impl FnOnce(&mut Option<Desk>) -> R) -> R {
    f(&mut DESK.get().lock().unwrap_or_else(PoisonError::into_inner))
}

/// Keeps `outgoing` until it is fetched, or `is_wanted` says that it never will be.
///
/// # Errors
///
/// [`Error::Os`] when there can be no socket or no thread.
pub(crate) fn deposit(
    outgoing: Outgoing,
    is_wanted: impl Fn() -> bool + Send + 'static,
) -> Result<Receipt> {
    if outgoing.fds().len() > socket::MAX_FDS {
        return Err(Error::Encode(format!("more than {} handles", socket::MAX_FDS)));
    }
    let parcel = Box::new(Parcel { outgoing, is_wanted: Box::new(is_wanted) });
    let kept = with_desk(|desk| match desk {
        Some(desk) => Ok(desk.keep(parcel)),
        None => Err(parcel),
    });
    kept.or_else(open_desk)
}

/// Opens the desk with a first deposit, and hires the attendant.
fn open_desk(first: Box<Parcel>) -> Result<Receipt> {
    let name = socket::random_name()?;
    let listening = socket::listen_at_name(&name)?;
    let entry = fork::Entry::closed_in_child(listening.as_fd())?;
    let set = poll::any_readable(&[listening.as_fd()])?;
    let (go, wait) = mpsc::channel();
    thread::spawn_without_signals("shmkit-handles", move || {
        if wait.recv().is_ok() {
            attend(listening.as_fd(), set.as_fd());
        }
        drop(entry);
    })?;
    let (receipt, is_new) = with_desk(|desk| {
        let is_new = desk.is_none();
        let desk = desk.get_or_insert_with(|| Desk::new(name));
        (desk.keep(first), is_new)
    });
    if is_new {
        let _ = go.send(()); // he waits
    }
    Ok(receipt)
}

impl Desk {
    fn new(name: Name) -> Desk {
        Desk { name, parcels: HashMap::new(), next: 0 }
    }

    fn keep(&mut self, parcel: Box<Parcel>) -> Receipt {
        self.next += 1;
        self.parcels.insert(self.next, parcel);
        Receipt { desk: self.name, number: self.next }
    }
}

/// Serves clients until a look finds nothing deposited.
fn attend(listening: BorrowedFd<'_>, set: BorrowedFd<'_>) {
    let mut clients = VecDeque::new();
    let mut last_look = Instant::now();
    loop {
        let _ = poll::wait_readable(set, LOOK_EVERY); // it cannot fail for long
        while let Ok(client) = socket::accept(listening) {
            admit(client, set, &mut clients);
        }
        clients.retain(|client: &Client| !client.has_been_served());
        if last_look.elapsed() >= LOOK_EVERY {
            last_look = Instant::now();
            drop_unwanted();
            if close_if_empty() {
                return;
            }
        }
    }
}

struct Client {
    /// Goes before `fd`: see [`fork`].
    _entry: fork::Entry,
    fd: OwnedFd,
}

fn admit(fd: OwnedFd, set: BorrowedFd<'_>, clients: &mut VecDeque<Client>) {
    let is_ours = socket::peer(fd.as_fd()).is_ok_and(|(uid, _)| uid == memory::effective_user());
    let entry = fork::Entry::closed_in_child(fd.as_fd());
    if let (true, Ok(entry), Ok(())) = (is_ours, entry, poll::add(set, fd.as_fd())) {
        clients.push_back(Client { _entry: entry, fd });
    }
    if clients.len() > MAX_CLIENTS {
        clients.pop_front(); // stopped, or no client of ours
    }
}

impl Client {
    /// Hands out what the client asks for, if it has asked; whether it is done with.
    fn has_been_served(&self) -> bool {
        let mut number = [0; 8];
        match socket::receive(self.fd.as_fd(), &mut number) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => false,
            Ok(request) if request.len_bytes == number.len() => {
                hand_out(u64::from_le_bytes(number), self.fd.as_fd());
                true
            }
            _ => true,
        }
    }
}

/// Sends a deposit; a client that gets none sees its connection closed.
fn hand_out(number: u64, client: BorrowedFd<'_>) {
    let take = |desk: &mut Option<Desk>| desk.as_mut()?.parcels.remove(&number);
    let Some(parcel) = with_desk(take) else { return }; // D1
    let fds: Vec<_> = parcel.outgoing.fds().collect();
    if socket::send(client, &[1], &fds).is_ok() {
        parcel.outgoing.sent();
        return;
    }
    drop(fds);
    put_back(HashMap::from([(number, parcel)]));
}

/// Only the attendant closes a desk, so it is there.
fn put_back(parcels: HashMap<u64, Box<Parcel>>) {
    with_desk(|desk| desk.as_mut().map(|desk| desk.parcels.extend(parcels)));
}

/// Drops what nobody will fetch (D2).
fn drop_unwanted() {
    // Nobody who deposits is to wait for the answers; only the attendant takes anything out.
    let parcels = with_desk(|desk| desk.as_mut().map(|desk| std::mem::take(&mut desk.parcels)));
    let (wanted, unwanted): (HashMap<_, _>, HashMap<_, _>) =
        parcels.into_iter().flatten().partition(|(_, parcel)| (parcel.is_wanted)());
    put_back(wanted);
    for parcel in unwanted.into_values() {
        parcel.outgoing.sent(); // not given back: nobody here has the handles any more
    }
}

fn close_if_empty() -> bool {
    with_desk(|desk| {
        let is_empty = desk.as_ref().is_none_or(|desk| desk.parcels.is_empty());
        if is_empty {
            *desk = None;
        }
        is_empty
    })
}

/// Fetches what was deposited for `receipt`. `next_nap` says how long to wait on, and `None` to give
/// up.
///
/// # Errors
///
/// [`Error::HandleGone`] when the sender is gone, or has it no more; [`Error::Timeout`];
/// [`Error::Os`] with `EMFILE` when this process can have no more descriptors, and then they are lost.
pub(crate) fn fetch(
    receipt: Receipt,
    mut next_nap: impl FnMut() -> Option<Duration>,
) -> Result<Vec<OwnedFd>> {
    let desk = loop {
        match socket::connect_to_name(&receipt.desk) {
            Ok(desk) => break desk,
            Err(e) if e.kind() == ErrorKind::WouldBlock => {} // too many clients
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => return Err(Error::HandleGone),
            Err(e) => return Err(e.into()),
        }
        std::thread::sleep(next_nap().ok_or(Error::Timeout)?);
    };
    let (uid, _) = socket::peer(desk.as_fd())?;
    if uid != memory::effective_user() {
        return Err(Error::HandleGone); // D4
    }
    socket::send(desk.as_fd(), &receipt.number.to_le_bytes(), &[])
        .map_err(|_| Error::HandleGone)?;
    loop {
        match socket::receive(desk.as_fd(), &mut [0]) {
            Ok(answer) if answer.is_cut => {
                return Err(Error::Os(std::io::Error::from_raw_os_error(libc::EMFILE)));
            }
            Ok(answer) if answer.len_bytes == 1 => return Ok(answer.fds),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            _ => return Err(Error::HandleGone),
        }
        poll::wait_readable(desk.as_fd(), next_nap().ok_or(Error::Timeout)?)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::transfer::collect;
    use crate::{Array, message};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    /// A handle as it is on its way, and the bytes of the message.
    fn parcel() -> (Vec<u8>, Outgoing) {
        let array = Array::from_slice(&[7u32]).unwrap();
        let (bytes, outgoing) = collect(|| message::encode(&array));
        (bytes.unwrap(), outgoing)
    }

    /// Naps until half a minute has passed.
    fn patience() -> impl FnMut() -> Option<Duration> {
        let end = Instant::now() + Duration::from_secs(30);
        move || (Instant::now() < end).then_some(Duration::from_millis(5))
    }

    #[test]
    fn what_was_deposited_is_fetched_once() {
        let (bytes, outgoing) = parcel();
        let receipt = deposit(outgoing, || true).unwrap();
        let fds = fetch(Receipt::from_bytes(&receipt.to_bytes()), patience()).unwrap();
        let array: Array<u32> =
            super::super::transfer::provide(fds, || message::decode(&bytes)).unwrap();
        assert_eq!(array.get(0), Some(7));
        assert!(matches!(fetch(receipt, patience()), Err(Error::HandleGone)));
    }

    #[test]
    fn what_nobody_wants_any_more_goes_and_the_rest_stays() {
        let wanted = Arc::new(AtomicBool::new(true));
        let asked = Arc::clone(&wanted);
        let gone = deposit(parcel().1, move || asked.load(SeqCst)).unwrap();
        let stays = deposit(parcel().1, || true).unwrap();
        wanted.store(false, SeqCst);
        let held = |receipt: Receipt| {
            with_desk(|desk| {
                desk.as_ref().is_some_and(|desk| desk.parcels.contains_key(&receipt.number))
            })
        };
        let mut naps = patience();
        while held(gone) {
            std::thread::sleep(naps().expect("it was never dropped"));
        }
        assert!(matches!(fetch(gone, patience()), Err(Error::HandleGone)));
        assert_eq!(fetch(stays, patience()).unwrap().len(), 1);
    }

    #[test]
    fn a_client_that_says_nothing_keeps_nobody_waiting() {
        let receipt = deposit(parcel().1, || true).unwrap();
        let silent: Vec<_> =
            (0..2 * MAX_CLIENTS).map(|_| socket::connect_to_name(&receipt.desk).unwrap()).collect();
        assert_eq!(fetch(receipt, patience()).unwrap().len(), 1);
        drop(silent);
    }

    #[test]
    fn a_desk_that_never_was_has_nothing() {
        let receipt = Receipt::from_bytes(&[9; Receipt::BYTES]);
        assert!(matches!(fetch(receipt, patience()), Err(Error::HandleGone)));
    }
}
