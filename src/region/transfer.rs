//! How handles cross to another process: as descriptors beside the message that names them.
//!
//! While a message with handles is encoded, a context of the encoding thread collects one fresh
//! description of each region concerned. On it the *sender* attaches a participant for the
//! receiver. The kernel keeps that participant's lock as long as any process has the description
//! open, so it lives exactly as long as the message is in flight or the receiver is alive: no
//! handshake, and no moment at which a region or a pipe end seems to have nobody.
//!
//! The sender closes its own copies once the receiver has them ([`Outgoing::sent`]). If the
//! transfer fails, dropping [`Outgoing`] gives back what was moved (pipe ends) and closes them.
//!
//! The socket of a pipe's end travels with the end, as one more descriptor.
//!
//! A value that is kept in a region ([`keep`]) may hold handles to objects of that very region. They
//! are written as the number of the object: no descriptor, and nobody's participant.

use super::Region;
use super::courier::Courier;
use super::directory::Element;
use super::id::ParticipantId;
use super::kind::Kind;
use super::mapping::Mapping;
use super::name;
use super::object::Object;
use crate::error::{Error, Result};
use crate::sys::{fork, memory};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

thread_local! {
    /// Why a handle could not cross: the codec keeps no text of its own.
    static REASON: Cell<Option<String>> = const { Cell::new(None) };
    /// Whether there is a reason: that one is asked for at each message, and nearly always in vain.
    static HAS_REASON: Cell<bool> = const { Cell::new(false) };
    static CONTEXT: RefCell<Context> = const { RefCell::new(Context::None) };
    /// Whether a context is in force: cheaper to ask.
    static WITHIN: Cell<bool> = const { Cell::new(false) };
    /// Whether a handle was encoded where there was no context.
    static STRANDED: Cell<bool> = const { Cell::new(false) };
}

enum Context {
    None,
    Sending(Outgoing),
    Receiving(Incoming),
    /// A value of this region is written or read.
    Keeping(Arc<Mapping>),
}

/// Descriptors that came with a message.
struct Incoming {
    fds: Vec<OwnedFd>,
    /// The sockets among them that have been claimed, by their numbers.
    sockets: Vec<(u32, Courier)>,
}

impl Incoming {
    fn fd(&self, index: u32) -> Result<&OwnedFd> {
        self.fds.get(index as usize).ok_or(Error::HandleGone)
    }

    /// The socket of this number; halves of one end share it.
    fn socket(&mut self, index: u32) -> Result<Courier> {
        let known = self.sockets.iter().find(|(known, _)| *known == index);
        if let Some((_, courier)) = known {
            return Ok(courier.clone());
        }
        let courier = Courier::of(self.fd(index)?.try_clone()?)?;
        self.sockets.push((index, courier.clone()));
        Ok(courier)
    }
}

impl Context {
    fn sending(&mut self) -> std::result::Result<&mut Outgoing, &'static str> {
        match self {
            Context::Sending(outgoing) => Ok(outgoing),
            _ => {
                STRANDED.set(true);
                Err("shared handles can only be passed to a process")
            }
        }
    }

    fn receiving(&mut self) -> std::result::Result<&mut Incoming, &'static str> {
        match self {
            Context::Receiving(incoming) => Ok(incoming),
            _ => Err("shared handles can only come from a process"),
        }
    }
}

/// Regions on their way to another process.
#[derive(Default)]
pub(crate) struct Outgoing {
    parcels: Vec<Parcel>,
    /// What gives moved things back, should the transfer fail.
    undo: Vec<Box<dyn FnOnce() + Send>>,
    /// Why the last handle was refused, if one was.
    refused: Option<Error>,
}

enum Parcel {
    Region {
        /// Goes before `fd`: see `sys::fork`.
        _entry: fork::Entry,
        fd: OwnedFd,
        id: ParticipantId,
        mapping: Arc<Mapping>,
    },
    Socket(Courier),
}

impl Parcel {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Parcel::Region { fd, .. } => fd.as_fd(),
            Parcel::Socket(courier) => courier.fd(),
        }
    }
}

impl Outgoing {
    /// The descriptors to pass, in the order in which the message counts them.
    pub(crate) fn fds(&self) -> impl ExactSizeIterator<Item = BorrowedFd<'_>> {
        self.parcels.iter().map(Parcel::fd)
    }

    /// Why encoding failed: what a handle had to say, or else the codec's text.
    pub(crate) fn failure(mut self, why: String) -> Error {
        self.refused.take().unwrap_or(Error::Encode(why))
    }

    /// The receiver has the descriptors: closes ours and lets the moves stand.
    pub(crate) fn sent(mut self) {
        self.undo.clear();
    }

    /// The description for `mapping`, made on the first call.
    fn parcel(&mut self, mapping: &Arc<Mapping>) -> Result<(u32, ParticipantId)> {
        for (index, parcel) in self.parcels.iter().enumerate() {
            match parcel {
                Parcel::Region { id, mapping: known, .. } if Arc::ptr_eq(known, mapping) => {
                    return Ok((index as u32, *id));
                }
                _ => {}
            }
        }
        let fd = memory::reopen(mapping.fd())?;
        let entry = fork::Entry::closed_in_child(fd.as_fd())?;
        let id = mapping.attach_for_other(fd.as_fd())?;
        self.parcels.push(Parcel::Region { _entry: entry, fd, id, mapping: Arc::clone(mapping) });
        Ok((self.parcels.len() as u32 - 1, id))
    }

    /// The number of a socket in the message.
    fn socket(&mut self, courier: &Courier) -> u32 {
        let is_it = |parcel: &Parcel| matches!(parcel, Parcel::Socket(known) if known.is(courier));
        let index = self.parcels.iter().position(is_it).unwrap_or_else(|| {
            self.parcels.push(Parcel::Socket(courier.clone()));
            self.parcels.len() - 1
        });
        index as u32
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        for give_back in self.undo.drain(..) {
            give_back();
        }
    }
}

/// Runs `encode`, and collects the regions of the handles that it meets.
pub(crate) fn collect<R>(encode: impl FnOnce() -> R) -> (R, Outgoing) {
    let within = Within::enter(Context::Sending(Outgoing::default()));
    let encoded = encode();
    match within.take() {
        Context::Sending(outgoing) => (encoded, outgoing),
        _ => (encoded, Outgoing::default()),
    }
}

/// Runs `decode`, and gives the handles that it meets their regions.
pub(crate) fn provide<R>(fds: Vec<OwnedFd>, decode: impl FnOnce() -> R) -> R {
    let _within = Within::enter(Context::Receiving(Incoming { fds, sockets: Vec::new() }));
    decode()
}

/// Runs `code`, which encodes or decodes a value that is kept in the region of `object`.
pub(crate) fn keep<R>(object: &Object, code: impl FnOnce() -> R) -> R {
    let _within = Within::enter(Context::Keeping(Arc::clone(object.mapping())));
    code()
}

/// Whether this thread is encoding or decoding a message with handles.
#[inline(always)]
pub(crate) fn is_under_way() -> bool {
    WITHIN.get()
}

/// Whether a handle was encoded outside of [`collect`] since this was asked last.
pub(crate) fn take_stranded() -> bool {
    STRANDED.take()
}

/// Whether [`take_stranded`] would say so.
pub(crate) fn is_stranded() -> bool {
    STRANDED.get()
}

/// A context in force; the one around it comes back with its drop, also when a value's own code
/// panics, and what was given away so far goes back.
struct Within {
    outer: Context,
    was_within: bool,
}

impl Within {
    fn enter(context: Context) -> Within {
        Within { outer: CONTEXT.replace(context), was_within: WITHIN.replace(true) }
    }

    /// The context in force, which is empty from then on.
    fn take(&self) -> Context {
        CONTEXT.replace(Context::None)
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        let outer = std::mem::replace(&mut self.outer, Context::None);
        WITHIN.set(self.was_within);
        drop(CONTEXT.replace(outer));
    }
}

/// Why the last handle that this thread encoded or decoded did not cross, if that is so.
#[inline]
pub(crate) fn take_reason() -> Option<String> {
    if HAS_REASON.replace(false) { REASON.take() } else { None }
}

fn refuse<E>(why: impl std::fmt::Display, custom: impl FnOnce(String) -> E) -> E {
    let why = why.to_string();
    REASON.set(Some(why.clone()));
    HAS_REASON.set(true);
    custom(why)
}

/// What stands for an object in a message.
#[derive(Serialize, Deserialize)]
struct Ticket {
    fd: u32,
    participant: u32,
    object: u32,
    name: Option<String>,
}

const ELSEWHERE: &str = "only handles to objects of the same manager can be kept in it";

/// The descriptor of a handle that is kept in the region of its object.
const KEPT: u32 = u32::MAX;

/// An object that has been decoded, and the participant that travelled with it.
pub(crate) struct Arrival {
    pub(crate) object: Object,
    /// Who owned, on the way, whatever was moved with the handle. This process, unless it had the
    /// region open before: then that participant ends with the decoding. `None` for a handle that was
    /// kept: nobody carried it.
    pub(crate) carrier: Option<ParticipantId>,
}

impl Arrival {
    /// Who owned it on the way, of a thing that has one owner.
    pub(crate) fn owner(&self) -> Result<ParticipantId> {
        self.carrier.ok_or(Error::HandleGone)
    }
}

/// Encodes a handle to the object with this number, or to the whole region; `moved` is told which
/// participant the receiver will be.
fn depart<S: Serializer>(
    mapping: &Arc<Mapping>,
    object: u32,
    serializer: S,
    moved: impl FnOnce(ParticipantId) -> Result<Option<Box<dyn FnOnce() + Send>>>,
) -> std::result::Result<S::Ok, S::Error> {
    use serde::ser::Error as _;
    let ticket = CONTEXT.with_borrow_mut(|context| {
        if let Context::Keeping(kept) = context {
            return match Arc::ptr_eq(kept, mapping) {
                true => Ok(Ticket { fd: KEPT, participant: 0, object, name: None }),
                false => Err(refuse(ELSEWHERE, S::Error::custom)),
            };
        }
        let outgoing = context.sending().map_err(|why| refuse(why, S::Error::custom))?;
        let passed = outgoing.parcel(mapping).and_then(|(fd, id)| {
            outgoing.undo.extend(moved(id)?);
            Ok((fd, id))
        });
        let (fd, id) = passed.map_err(|e| {
            let text = e.to_string();
            outgoing.refused = Some(e);
            refuse(text, S::Error::custom)
        })?;
        let name = Region::from_mapping(Arc::clone(mapping)).name().map(str::to_owned);
        Ok(Ticket { fd, participant: id.word(), object, name })
    })?;
    ticket.serialize(serializer)
}

/// Decodes a handle: `open` finds in the region what it was given to.
fn arrive<'de, D: Deserializer<'de>, R>(
    deserializer: D,
    open: impl FnOnce(Arc<Mapping>, u32, Option<ParticipantId>) -> Result<R>,
) -> std::result::Result<R, D::Error> {
    use serde::de::Error as _;
    let ticket = Ticket::deserialize(deserializer)?;
    CONTEXT.with_borrow_mut(|context| {
        if let Context::Keeping(kept) = context {
            let mapping = Arc::clone(kept);
            let arrived = || {
                mapping.attached()?; // a forked child becomes a user
                match ticket.fd {
                    KEPT => open(Arc::clone(&mapping), ticket.object, None),
                    _ => Err(Error::HandleGone),
                }
            };
            return arrived().map_err(|e: Error| refuse(e, D::Error::custom));
        }
        let incoming = context.receiving().map_err(|why| refuse(why, D::Error::custom))?;
        let arrived = || -> Result<R> {
            let fd = incoming.fd(ticket.fd)?;
            let carrier = ParticipantId::from_word(ticket.participant).ok_or(Error::HandleGone)?;
            // A duplicate shares the description, and with it the participant.
            let path = ticket.name.as_deref().map(name::path).transpose()?;
            open(Mapping::join(fd.try_clone()?, path, Some(carrier))?, ticket.object, Some(carrier))
        };
        arrived().map_err(|e| refuse(e, D::Error::custom))
    })
}

impl Object {
    /// Encodes this handle; `moved` is told which participant the receiver will be, and may return
    /// what gives things back if the transfer fails.
    pub(crate) fn send<S: Serializer>(
        &self,
        serializer: S,
        moved: impl FnOnce(ParticipantId) -> Result<Option<Box<dyn FnOnce() + Send>>>,
    ) -> std::result::Result<S::Ok, S::Error> {
        depart(self.mapping(), self.index(), serializer, moved)
    }

    /// Decodes a handle to an object of this kind.
    pub(crate) fn receive<'de, D: Deserializer<'de>>(
        deserializer: D,
        kind: Kind,
        element: Element,
    ) -> std::result::Result<Arrival, D::Error> {
        Object::receive_any(deserializer, &[kind], element)
    }

    /// Decodes a handle to an object of one of these kinds.
    pub(crate) fn receive_any<'de, D: Deserializer<'de>>(
        deserializer: D,
        kinds: &[Kind],
        element: Element,
    ) -> std::result::Result<Arrival, D::Error> {
        arrive(deserializer, |mapping, index, carrier| {
            let open = |kind| Object::at_index(Arc::clone(&mapping), index, kind, element);
            let object = match kinds {
                [kind, others @ ..] => {
                    others.iter().fold(open(*kind), |known, kind| known.or_else(|_| open(*kind)))?
                }
                [] => return Err(Error::Corrupt("kind of a handle")),
            };
            Ok(Arrival { object, carrier })
        })
    }
}

impl Serialize for Courier {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        let index = CONTEXT
            .with_borrow_mut(|context| context.sending().map(|outgoing| outgoing.socket(self)));
        index.map_err(|why| refuse(why, S::Error::custom))?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Courier {
    fn deserialize<D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Courier, D::Error> {
        use serde::de::Error as _;
        let index = u32::deserialize(deserializer)?;
        CONTEXT.with_borrow_mut(|context| match context.receiving() {
            Ok(incoming) => incoming.socket(index).map_err(|e| refuse(e, D::Error::custom)),
            Err(why) => Err(refuse(why, D::Error::custom)),
        })
    }
}

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        depart(self.mapping(), 0, serializer, |_| Ok(None))
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Region, D::Error> {
        arrive(deserializer, |mapping, _, _| Region::of_any(mapping))
    }
}
