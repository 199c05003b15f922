//! What listener and client say to each other before they share memory.
//!
//! ```text
//! listener                                              client
//!          Greeting { nonce }                   --->
//!                                               <---    Request { nonce, type, proof }
//!          Answer::Welcome { connection, proof } --->
//! ```
//!
//! Each is one message of a Unix socket. The descriptors of the connection travel with the welcome.
//!
//! With a key, a proof is HMAC-SHA-256 over a label of the side, both nonces and what the side
//! commits itself to: the type, or the connection. So neither side can be answered with its own
//! words, nor with those of another meeting, and the client joins no memory of a listener that has
//! not proven the key. The listener checks first, so that one without the key learns nothing.
//! Without a key on either side the credentials that the kernel gives are all that is checked.

use crate::error::{Error, Result};
use crate::message::{decode, encode};
use crate::region::Element;
use crate::sys::socket;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// What this version of the exchange begins with.
const MAGIC: [u8; 8] = *b"shmkit/1";

/// The longest message that is no impostor's.
const MESSAGE_BYTES: usize = 4096;

/// The longest name of a type that is told.
const NAME_BYTES: usize = 1024;

pub(super) type Nonce = [u8; 32];
type Proof = [u8; 32];

#[derive(Serialize, Deserialize)]
pub(super) struct Greeting {
    magic: [u8; 8],
    pub(super) nonce: Nonce,
}

impl Greeting {
    pub(super) fn new() -> io::Result<Greeting> {
        Ok(Greeting { magic: MAGIC, nonce: socket::nonce()? })
    }

    pub(super) fn is_ours(&self) -> bool {
        self.magic == MAGIC
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    magic: [u8; 8],
    pub(super) nonce: Nonce,
    /// Size, alignment and tag of the element.
    element: (u32, u32, u64),
    pub(super) type_name: String,
    proof: Option<Proof>,
}

#[derive(Serialize, Deserialize)]
pub(super) enum Answer {
    Welcome { connection: Vec<u8>, proof: Option<Proof> },
    WrongKey,
    TypeMismatch { expected: String },
    Forbidden,
}

/// What the client asks for with its type.
pub(super) fn type_name<T>() -> String {
    let name = std::any::type_name::<T>();
    name.chars().take(NAME_BYTES / 4).collect()
}

fn fingerprint<T>() -> (u32, u32, u64) {
    let Element { size, align, tag } = Element::message::<T>();
    (size, align, tag)
}

impl Request {
    pub(super) fn new<T>(key: &Key, greeting: &Greeting) -> io::Result<Request> {
        let (nonce, element) = (socket::nonce()?, fingerprint::<T>());
        let proof = key.prove(CLIENT, &greeting.nonce, &nonce, &commitment(element));
        Ok(Request { magic: MAGIC, nonce, element, type_name: type_name::<T>(), proof })
    }

    pub(super) fn is_ours(&self) -> bool {
        self.magic == MAGIC
    }

    pub(super) fn is_for<T>(&self) -> bool {
        let (size, align, tag) = self.element;
        Element { size, align, tag }.passes_for(Element::message::<T>())
    }

    /// Whether the client has the key, or neither side has one.
    pub(super) fn proves(&self, key: &Key, greeting: &Greeting) -> bool {
        let committed = commitment(self.element);
        key.accepts(self.proof, CLIENT, &greeting.nonce, &self.nonce, &committed)
    }
}

impl Answer {
    pub(super) fn welcome(
        key: &Key,
        greeting: &Greeting,
        request: &Request,
        connection: Vec<u8>,
    ) -> Answer {
        let proof = key.prove(LISTENER, &greeting.nonce, &request.nonce, &connection);
        Answer::Welcome { connection, proof }
    }

    /// Whether the listener has the key, or neither side has one.
    pub(super) fn proves(&self, key: &Key, greeting: &Greeting, request: &Request) -> bool {
        match self {
            Answer::Welcome { connection, proof } => {
                key.accepts(*proof, LISTENER, &greeting.nonce, &request.nonce, connection)
            }
            _ => true, // nothing is claimed
        }
    }
}

fn commitment((size, align, tag): (u32, u32, u64)) -> Vec<u8> {
    [&size.to_le_bytes()[..], &align.to_le_bytes(), &tag.to_le_bytes()].concat()
}

const CLIENT: &[u8; 16] = b"shmkit client   ";
const LISTENER: &[u8; 16] = b"shmkit listener ";

/// The key that both sides share, or none.
#[derive(Clone, Default)]
pub(super) struct Key(Option<Vec<u8>>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Key(..)" } else { "None" })
    }
}

impl Key {
    #[cfg(feature = "authkey")]
    pub(super) fn new(bytes: &[u8]) -> Key {
        Key(Some(bytes.to_vec()))
    }

    pub(super) fn check(&self) -> Result<()> {
        match &self.0 {
            Some(bytes) if bytes.is_empty() => Err(Error::InvalidArgument("an empty authkey")),
            _ => Ok(()),
        }
    }

    #[cfg(feature = "authkey")]
    fn mac(
        &self,
        side: &[u8; 16],
        listener: &Nonce,
        client: &Nonce,
        committed: &[u8],
    ) -> Option<hmac::Hmac<sha2::Sha256>> {
        use hmac::{KeyInit, Mac};
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(self.0.as_ref()?).ok()?;
        [&side[..], listener, client, committed].iter().for_each(|part| mac.update(part));
        Some(mac)
    }

    /// `None` without a key.
    #[cfg(feature = "authkey")]
    fn prove(
        &self,
        side: &[u8; 16],
        listener: &Nonce,
        client: &Nonce,
        committed: &[u8],
    ) -> Option<Proof> {
        use hmac::Mac;
        Some(self.mac(side, listener, client, committed)?.finalize().into_bytes().into())
    }

    /// Whether `proof` is what the other side would have to say. Takes the same time for all wrong
    /// ones.
    #[cfg(feature = "authkey")]
    fn accepts(
        &self,
        proof: Option<Proof>,
        side: &[u8; 16],
        listener: &Nonce,
        client: &Nonce,
        committed: &[u8],
    ) -> bool {
        use hmac::Mac;
        match (self.mac(side, listener, client, committed), proof) {
            (None, None) => self.0.is_none(),
            (Some(mac), Some(proof)) => mac.verify_slice(&proof).is_ok(),
            _ => false,
        }
    }

    #[cfg(not(feature = "authkey"))]
    fn prove(&self, _: &[u8; 16], _: &Nonce, _: &Nonce, _: &[u8]) -> Option<Proof> {
        None
    }

    #[cfg(not(feature = "authkey"))]
    fn accepts(&self, proof: Option<Proof>, _: &[u8; 16], _: &Nonce, _: &Nonce, _: &[u8]) -> bool {
        proof.is_none()
    }
}

/// Sends `message` with descriptors. Never blocks.
pub(super) fn say<M: Serialize>(
    socket: BorrowedFd<'_>,
    message: &M,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    socket::send(socket, &encode(message).map_err(io::Error::other)?, fds)
}

/// What came of a look at the socket.
pub(super) enum Heard<M> {
    Message(M, Vec<OwnedFd>),
    /// Nothing so far.
    Silence,
    /// The peer is gone.
    Gone,
    /// Something else than the message.
    Nonsense,
}

/// Looks for a message. Never blocks.
pub(super) fn hear<M: DeserializeOwned>(socket: BorrowedFd<'_>) -> Heard<M> {
    let mut bytes = [0; MESSAGE_BYTES];
    let datagram = match socket::receive(socket, &mut bytes) {
        Ok(datagram) => datagram,
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Heard::Silence,
        Err(_) => return Heard::Gone,
    };
    if datagram.len_bytes == 0 {
        return Heard::Gone;
    }
    match bytes.get(..datagram.len_bytes).map(decode) {
        Some(Ok(message)) if !datagram.is_cut => Heard::Message(message, datagram.fds),
        _ => Heard::Nonsense,
    }
}

#[cfg(all(test, feature = "authkey"))]
mod tests {
    use super::*;

    fn meeting(key: &Key) -> (Greeting, Request) {
        let greeting = Greeting::new().unwrap();
        let request = Request::new::<u32>(key, &greeting).unwrap();
        (greeting, request)
    }

    #[test]
    fn a_proof_convinces_who_has_the_same_key_and_nobody_else() {
        let keys = [Key::new(b"one"), Key::new(b"two"), Key::default()];
        for (i, mine) in keys.iter().enumerate() {
            let (greeting, request) = meeting(mine);
            for (j, yours) in keys.iter().enumerate() {
                assert_eq!(request.proves(yours, &greeting), i == j, "{i} {j}");
                let answer = Answer::welcome(mine, &greeting, &request, vec![1, 2, 3]);
                assert_eq!(answer.proves(yours, &greeting, &request), i == j, "{i} {j}");
            }
        }
    }

    #[test]
    fn a_proof_is_good_for_its_side_its_meeting_and_its_words_only() {
        let key = Key::new(b"secret");
        let (greeting, mut request) = meeting(&key);
        let (other, _) = meeting(&key);
        assert!(!request.proves(&key, &other), "replayed");
        let reflected = Answer::Welcome { connection: vec![], proof: request.proof };
        assert!(!reflected.proves(&key, &greeting, &request), "reflected");
        let welcome = Answer::welcome(&key, &greeting, &request, vec![1]);
        let Answer::Welcome { proof, .. } = welcome else { unreachable!() };
        let changed = Answer::Welcome { connection: vec![2], proof };
        assert!(!changed.proves(&key, &greeting, &request), "changed");
        request.element.2 ^= 1;
        assert!(!request.proves(&key, &greeting), "changed");
    }

    #[test]
    fn the_proof_is_hmac_sha_256() {
        // RFC 4231, test case 2, by way of the same calls.
        use hmac::{KeyInit, Mac};
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(b"Jefe").unwrap();
        mac.update(b"what do ya want for nothing?");
        let proof: Proof = mac.finalize().into_bytes().into();
        assert_eq!(proof[..4], [0x5b, 0xdc, 0xc1, 0x46]);
        assert_eq!(proof[28..], [0x64, 0xec, 0x38, 0x43]);
    }

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(format!("{:?}", Key::new(b"secret")), "Key(..)");
    }
}
