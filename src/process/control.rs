//! The control file of a child: what it is to do, and what became of it.
//!
//! A memfd that parent and child read and write by position; it is never mapped, so that neither
//! can trouble the other by cutting it. The parent writes it before the child exists. The child
//! reads it, cuts the arguments off to give their memory back, and writes its report; the parent
//! reads the report after the child's death.
//!
//! ```text
//! byte   0        64     80       88       96      104     112     120     128
//!        boot     start  panic at panic    code    kind    value   value   start,
//!        record   bytes           bytes                    at      bytes   arguments
//! then                                                                     panics, value
//! ```
//!
//! - C1. A part is written before the words that name it, and a report's words in one write: what
//!   the words name is whole, also after SIGKILL at any instruction.

#[cfg(feature = "authkey")]
use super::current::AuthKey;
use crate::error::Error;
use crate::error::PanicInfo;
use crate::message::{decode, encode};
use crate::sys::memory;
use crate::sys::process::copy_from;
use crate::sys::takeover::RECORD_BYTES;
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;

const START_AT: u64 = RECORD_BYTES as u64;
const PANICS_AT: u64 = START_AT + 16;
const REPORT_AT: u64 = PANICS_AT + 16;
const HEADER_BYTES: u64 = REPORT_AT + 32;

/// What a child needs to know besides its arguments.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) name: String,
    /// `1:2` is the second child of the first child of the first process.
    pub(super) identity: String,
    pub(super) parent_name: String,
    pub(super) parent_pid: u32,
    pub(super) daemon: bool,
    /// The key that the child shows as its own.
    #[cfg(feature = "authkey")]
    pub(super) authkey: AuthKey,
    pub(super) lifeline: Option<RawFd>,
    /// The descriptors that the arguments bring along.
    pub(super) handles: Vec<RawFd>,
    pub(super) surroundings: Surroundings,
}

/// What the child has yet to change before it begins. Descriptors are named by their places, see
/// [`Passed`](crate::sys::passed::Passed).
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Surroundings {
    pub(super) directory: Option<RawFd>,
    /// `NAME=value`, all of it.
    pub(super) environment: Option<Vec<CString>>,
    /// Number, and what to put there.
    pub(super) puts: Vec<(RawFd, Option<RawFd>)>,
}

/// What became of the function.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Report {
    Returned(Vec<u8>),
    Panicked,
    NoArguments(String),
    NoValue(String),
    Failed(i32),
}

const RETURNED: u64 = 1;
const PANICKED: u64 = 2;
const NO_ARGUMENTS: u64 = 3;
const NO_VALUE: u64 = 4;
const FAILED: u64 = 5;

#[derive(Debug)]
pub(super) struct Control {
    file: File,
}

impl From<OwnedFd> for Control {
    fn from(fd: OwnedFd) -> Control {
        Control { file: fd.into() }
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Control {
    /// The parent's: all that the child needs. The number of the file is `least` or more.
    pub(super) fn new(
        least: RawFd,
        record: [u8; RECORD_BYTES],
        start: &Start,
        arguments: &[u8],
    ) -> Result<Control, Error> {
        let start = encode(start).map_err(Error::Encode)?;
        let mut bytes = Vec::with_capacity(HEADER_BYTES as usize + start.len());
        bytes.extend(record);
        bytes.extend((start.len() as u64).to_ne_bytes());
        bytes.resize(HEADER_BYTES as usize, 0);
        bytes.extend(start);
        let write = || {
            let mut file = memory::memfd("shmkit-process")?;
            if file.as_raw_fd() < least {
                file = copy_from(least, file.as_fd())?;
            }
            let control = Control::from(file);
            control.file.write_all_at(&bytes, 0)?;
            control.file.write_all_at(arguments, bytes.len() as u64)?;
            Ok(control)
        };
        write().map_err(Error::Os)
    }

    /// The child's: what it is, and its arguments, whose memory is given back.
    pub(super) fn take(&self) -> io::Result<(Start, Vec<u8>)> {
        let [start_bytes] = self.words(START_AT)?;
        let start = decode(&self.part(HEADER_BYTES, start_bytes)?).map_err(io::Error::other)?;
        let arguments_at = HEADER_BYTES + start_bytes;
        let arguments = self.part(arguments_at, self.len_bytes()?.saturating_sub(arguments_at))?;
        self.file.set_len(HEADER_BYTES)?;
        Ok((start, arguments))
    }

    /// The child's: the panics so far, oldest first. Replaces what was noted before.
    pub(super) fn note_panics(&self, panics: &[PanicInfo]) -> io::Result<()> {
        let bytes = encode(&panics).map_err(io::Error::other)?;
        self.set_words(PANICS_AT, [0, 0])?; // C1: not named while it changes
        self.file.write_all_at(&bytes, HEADER_BYTES)?;
        self.set_words(PANICS_AT, [HEADER_BYTES, bytes.len() as u64])
    }

    /// The parent's: the panics that the child noted, oldest first.
    pub(super) fn panics(&self) -> Vec<PanicInfo> {
        let read = || -> io::Result<Vec<PanicInfo>> {
            match self.words(PANICS_AT)? {
                [0, _] => Ok(Vec::new()),
                [at, len_bytes] => decode(&self.part(at, len_bytes)?).map_err(io::Error::other),
            }
        };
        read().unwrap_or_default() // a file of nonsense has no panics to tell of
    }

    /// The child's, once: what became of the function.
    pub(super) fn report(&self, report: &Report, code: i32) -> io::Result<()> {
        let (kind, bytes) = match report {
            Report::Returned(value) => (RETURNED, value.as_slice()),
            Report::Panicked => (PANICKED, [].as_slice()),
            Report::NoArguments(why) => (NO_ARGUMENTS, why.as_bytes()),
            Report::NoValue(why) => (NO_VALUE, why.as_bytes()),
            Report::Failed(errno) => (FAILED, &errno.to_ne_bytes()[..]),
        };
        let at = self.len_bytes()?;
        self.file.write_all_at(bytes, at)?;
        let code = u64::from(code.cast_unsigned());
        self.set_words(REPORT_AT, [code, kind, at, bytes.len() as u64])
    }

    /// The parent's: the report and the exit code that goes with it; `None` when the child ended
    /// without one.
    pub(super) fn read_report(&self) -> io::Result<Option<(Report, i32)>> {
        let [code, kind, at, len_bytes] = self.words(REPORT_AT)?;
        let text = || self.part(at, len_bytes).map(|b| String::from_utf8_lossy(&b).into_owned());
        let report = match kind {
            RETURNED => Report::Returned(self.part(at, len_bytes)?),
            PANICKED => Report::Panicked,
            NO_ARGUMENTS => Report::NoArguments(text()?),
            NO_VALUE => Report::NoValue(text()?),
            FAILED => Report::Failed(i32::from_ne_bytes(
                self.part(at, len_bytes)?.try_into().unwrap_or_default(),
            )),
            _ => return Ok(None),
        };
        Ok(Some((report, (code as u32).cast_signed())))
    }

    /// The exit code that goes with the report, without the value.
    pub(super) fn reported_code(&self) -> Option<i32> {
        let [code, kind] = self.words(REPORT_AT).ok()?;
        (kind != 0).then_some((code as u32).cast_signed())
    }

    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn words<const N: usize>(&self, at: u64) -> io::Result<[u64; N]> {
        let mut bytes = [[0; 8]; N];
        self.file.read_exact_at(bytes.as_flattened_mut(), at)?;
        Ok(bytes.map(u64::from_ne_bytes))
    }

    fn set_words<const N: usize>(&self, at: u64, words: [u64; N]) -> io::Result<()> {
        self.file.write_all_at(words.map(u64::to_ne_bytes).as_flattened(), at)
    }

    fn part(&self, at: u64, len_bytes: u64) -> io::Result<Vec<u8>> {
        if at.checked_add(len_bytes).is_none_or(|end| self.len_bytes().is_ok_and(|len| end > len)) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; usize::try_from(len_bytes).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, at)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Start {
        Start {
            name: "Process-1".into(),
            identity: "1".into(),
            parent_name: "MainProcess".into(),
            parent_pid: 1,
            daemon: false,
            #[cfg(feature = "authkey")]
            authkey: AuthKey::new(b"key"),
            lifeline: None,
            handles: vec![7],
            surroundings: Surroundings {
                directory: Some(8),
                environment: Some(vec![c"A=1".into()]),
                puts: vec![(0, None), (5, Some(9))],
            },
        }
    }

    #[test]
    fn a_child_finds_what_the_parent_wrote() {
        let control = Control::new(3, [1; RECORD_BYTES], &start(), b"arguments").unwrap();
        assert_eq!(control.take().unwrap(), (start(), b"arguments".to_vec()));
        assert_eq!(control.len_bytes().unwrap(), HEADER_BYTES);
        assert_eq!(control.read_report().unwrap(), None);
        assert_eq!(control.reported_code(), None);
    }

    #[test]
    fn a_parent_finds_what_the_child_reported() {
        let control = Control::new(3, [1; RECORD_BYTES], &start(), &[9; 10_000]).unwrap();
        control.take().unwrap();
        let panic = |message: &str| PanicInfo {
            message: message.into(),
            location: Some("src/x.rs:1:2".into()),
            backtrace: None,
        };
        control.note_panics(&[panic("first")]).unwrap();
        control.note_panics(&[panic("first"), panic("second")]).unwrap();
        control.report(&Report::Returned(vec![3; 100_000]), 0).unwrap();
        assert_eq!(control.panics(), [panic("first"), panic("second")]);
        assert_eq!(control.read_report().unwrap(), Some((Report::Returned(vec![3; 100_000]), 0)));
        assert_eq!(control.reported_code(), Some(0));
    }

    #[test]
    fn a_report_that_names_too_much_is_an_error() {
        let control = Control::new(3, [1; RECORD_BYTES], &start(), &[]).unwrap();
        control.set_words(REPORT_AT, [0, RETURNED, u64::MAX, 2]).unwrap();
        assert!(control.read_report().is_err());
        control.set_words(REPORT_AT, [0, RETURNED, 0, 1 << 60]).unwrap();
        assert!(control.read_report().is_err());
    }
}
