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
//! - D1. A deposit is used at most once: it leaves the desk when it is sent, and comes back unless the
//!   client says that it has it, which it does before it looks at it.
//! - D2. A deposit that nobody will fetch any more is dropped at the latest with the next look, a
//!   second later; what travels on it is gone then, as if its receiver had died.
//! - D3. A desk belongs to one process: a forked child has one of its own, and leaves alone what it
//!   finds in its memory of the parent's.
//! - D4. Only processes of the same user are served; they could look into this one anyway.

use super::transfer::Outgoing;
use crate::error::{Error, Result};
use crate::sys::per_process::PerProcess;
use crate::sys::{fork, memory, poll, socket, thread};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// The address of a desk.
type Name = [u8; socket::NAME_BYTES];

/// How often the attendant looks for deposits that nobody will fetch.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Clients that may be there without having asked for anything.
const MAX_CLIENTS: usize = 64;

/// How long the attendant rests when it can do nothing.
const BREATH: Duration = Duration::from_millis(10);

/// The answer that comes with descriptors, and what the client says when it has them.
const HERE: u8 = 1;
/// The answer without.
const GONE: u8 = 2;

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
    // No fork in between: a child with this socket would be taken for a desk that is never attended.
    let (listening, entry) = fork::exclusive(|| -> Result<_> {
        let listening = socket::listen_at_name(&name)?;
        let entry = fork::Entry::closed_in_child(listening.as_fd())?;
        Ok((listening, entry))
    })?;
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
    let (mut clients, mut spare) = (Vec::new(), poll::flag().ok());
    let mut last_look = Instant::now();
    loop {
        let _ = poll::wait_readable(set, LOOK_EVERY); // it cannot fail for long
        admit(listening, set, &mut clients, &mut spare);
        serve(&mut clients);
        if last_look.elapsed() >= LOOK_EVERY {
            last_look = Instant::now();
            drop_unwanted();
            if clients.is_empty() && close_if_empty() {
                return;
            }
        }
    }
}

/// Lets in who waits at the door, a few at a time.
fn admit(
    listening: BorrowedFd<'_>,
    set: BorrowedFd<'_>,
    clients: &mut Vec<Client>,
    spare: &mut Option<OwnedFd>,
) {
    for _ in 0..MAX_CLIENTS {
        let fd = match socket::accept(listening) {
            Ok(fd) => fd,
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            // This process can have no more descriptors. The deposits are such, so one more client
            // may help; without the spare one there is nothing to do but to wait.
            Err(_) if spare.take().is_some() => continue,
            Err(_) => {
                std::thread::sleep(BREATH);
                break;
            }
        };
        let is_ours =
            socket::peer(fd.as_fd()).is_ok_and(|(uid, _)| uid == memory::effective_user());
        let entry = fork::Entry::closed_in_child(fd.as_fd());
        if let (true, Ok(entry), Ok(())) = (is_ours, entry, poll::add(set, fd.as_fd())) {
            clients.push(Client { _entry: entry, fd, asks_for: None, lent: None, is_done: false });
        }
    }
    if spare.is_none() {
        *spare = poll::flag().ok();
    }
}

struct Client {
    /// Goes before `fd`: see [`fork`].
    _entry: fork::Entry,
    fd: OwnedFd,
    asks_for: Option<u64>,
    /// What it was given and has not said to have.
    lent: Option<Box<Parcel>>,
    is_done: bool,
}

/// Goes through all clients once.
fn serve(clients: &mut Vec<Client>) {
    for client in clients.iter_mut() {
        client.listen();
    }
    // After the others: a client may ask for what another one has just left.
    for at in 0..clients.len() {
        let Client { asks_for: Some(number), lent: None, is_done: false, .. } = clients[at] else {
            continue;
        };
        let is_lent = clients.iter().any(|c| c.lent.is_some() && c.asks_for == Some(number));
        if !is_lent {
            clients[at].hand_out(number);
        }
    }
    clients.retain(|client| !client.is_done);
    // Those that have been silent for longest are stopped, or no clients of ours.
    while clients.len() > MAX_CLIENTS
        && let Some(silent) = clients.iter().position(|client| client.asks_for.is_none())
    {
        clients.remove(silent);
    }
}

impl Client {
    /// Hears what the client has to say: the number of a deposit, or that it has it (D1).
    fn listen(&mut self) {
        let mut number = [0; 8];
        let heard = match socket::receive(self.fd.as_fd(), &mut number) {
            Err(e) if e.kind() == ErrorKind::WouldBlock => return,
            heard => heard.map(|heard| heard.len_bytes),
        };
        match (heard, self.lent.take()) {
            (Ok(8), None) if self.asks_for.is_none() => {
                self.asks_for = Some(u64::from_le_bytes(number));
                return;
            }
            (Ok(1), Some(parcel)) => parcel.outgoing.sent(),
            (_, Some(parcel)) => {
                put_back(HashMap::from([(self.asks_for.unwrap_or_default(), parcel)]));
            }
            _ => {}
        }
        self.is_done = true;
    }

    /// Lends a deposit, or says that there is none.
    fn hand_out(&mut self, number: u64) {
        let take = |desk: &mut Option<Desk>| desk.as_mut()?.parcels.remove(&number);
        let Some(parcel) = with_desk(take) else {
            let _ = socket::send(self.fd.as_fd(), &[GONE], &[]);
            self.is_done = true;
            return;
        };
        let fds: Vec<_> = parcel.outgoing.fds().collect();
        if socket::send(self.fd.as_fd(), &[HERE], &fds).is_ok() {
            drop(fds);
            self.lent = Some(parcel);
            return;
        }
        // The client asks again, or is gone.
        drop(fds);
        put_back(HashMap::from([(number, parcel)]));
        self.is_done = true;
    }
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
/// [`Error::HandleGone`] when the sender is gone, or has it no more; else it is still there:
/// [`Error::Timeout`], or [`Error::Os`], as `EMFILE` when this process can have no more descriptors.
pub(crate) fn fetch(
    receipt: Receipt,
    mut next_nap: impl FnMut() -> Option<Duration>,
) -> Result<Vec<OwnedFd>> {
    loop {
        match socket::connect_to_name(&receipt.desk) {
            Ok(desk) => {
                let (uid, _) = socket::peer(desk.as_fd())?;
                if uid != memory::effective_user() {
                    return Err(Error::HandleGone); // D4
                }
                if let Some(fds) = ask(desk.as_fd(), receipt.number, &mut next_nap)? {
                    return Ok(fds);
                }
                // Shown the door before it was served, by a desk that has too many clients, or has
                // closed: that the next call shows.
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {} // too many clients
            Err(e) if e.kind() == ErrorKind::ConnectionRefused => return Err(Error::HandleGone),
            Err(e) => return Err(e.into()),
        }
        std::thread::sleep(next_nap().ok_or(Error::Timeout)?);
    }
}

/// Asks for a deposit; `None` when there is no answer.
fn ask(
    desk: BorrowedFd<'_>,
    number: u64,
    next_nap: &mut impl FnMut() -> Option<Duration>,
) -> Result<Option<Vec<OwnedFd>>> {
    if socket::send(desk, &number.to_le_bytes(), &[]).is_err() {
        return Ok(None);
    }
    let mut word = [0];
    loop {
        match socket::receive(desk, &mut word) {
            Ok(answer) if answer.is_cut => {
                return Err(Error::Os(std::io::Error::from_raw_os_error(libc::EMFILE)));
            }
            Ok(answer) if answer.len_bytes == 1 && word == [HERE] => {
                // A survivor of a kill before this fetches it again.
                let _ = socket::send(desk, &[HERE], &[]);
                return Ok(Some(answer.fds));
            }
            Ok(answer) if answer.len_bytes == 1 => return Err(Error::HandleGone),
            Ok(_) => return Ok(None),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Ok(None),
        }
        poll::wait_readable(desk, next_nap().ok_or(Error::Timeout)?)?;
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

    /// Naps until two minutes have passed.
    fn patience() -> impl FnMut() -> Option<Duration> {
        let end = Instant::now() + Duration::from_secs(120);
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
    fn as_many_as_like_fetch_at_once() {
        let receipts: Vec<_> = (0..200).map(|_| deposit(parcel().1, || true).unwrap()).collect();
        std::thread::scope(|scope| {
            for receipt in receipts {
                scope.spawn(move || assert_eq!(fetch(receipt, patience()).unwrap().len(), 1));
            }
        });
    }

    #[test]
    fn a_client_that_ends_before_it_says_thanks_leaves_the_deposit_to_others() {
        let receipt = deposit(parcel().1, || true).unwrap();
        let client = socket::connect_to_name(&receipt.desk).unwrap();
        socket::send(client.as_fd(), &receipt.number.to_le_bytes(), &[]).unwrap();
        let mut naps = patience();
        let answer = loop {
            match socket::receive(client.as_fd(), &mut [0]) {
                Ok(answer) => break answer,
                Err(_) => std::thread::sleep(naps().expect("it was never answered")),
            }
        };
        assert_eq!((answer.len_bytes, answer.fds.len()), (1, 1));
        drop((answer, client));
        assert_eq!(fetch(receipt, patience()).unwrap().len(), 1);
        assert!(matches!(fetch(receipt, patience()), Err(Error::HandleGone)));
    }

    #[test]
    fn a_number_that_was_never_given_is_gone() {
        let receipt = deposit(parcel().1, || true).unwrap();
        for number in [0, receipt.number + 1000, u64::MAX] {
            let other = Receipt { number, ..receipt };
            assert!(matches!(fetch(other, patience()), Err(Error::HandleGone)), "{number}");
        }
        assert_eq!(fetch(receipt, patience()).unwrap().len(), 1);
    }

    #[test]
    fn a_desk_that_never_was_has_nothing() {
        let receipt = Receipt::from_bytes(&[9; Receipt::BYTES]);
        assert!(matches!(fetch(receipt, patience()), Err(Error::HandleGone)));
    }
}
