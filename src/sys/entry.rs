//! The images of this process - its executable and its libraries - and their functions as offsets
//! that its children understand.
//!
//! A child runs the same file at another address. A function is therefore sent as its distance
//! from the image base, together with the offset of a shim that knows its type. Both are in the image
//! of this crate: the executable, or a library that other languages use.
//!
//! - E1. A [`Target`] pairs a shim with a function pointer of the very type the shim restores.
//! - E2. The main program is never unloaded, and neither is the image of this crate: their headers and
//!   code stay mapped while we run.

#![allow(unsafe_code)]

use super::takeover::Boot;
use crate::error::Error;
use libc::c_void;
use serde::{Deserialize, Serialize};
use std::ffi::{CStr, CString, c_int};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::marker::PhantomData;
use std::mem::transmute_copy;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

#[cfg(target_pointer_width = "32")]
use libc::Elf32_Phdr as ProgramHeader;
#[cfg(target_pointer_width = "64")]
use libc::Elf64_Phdr as ProgramHeader;

/// A plain `fn` pointer, which captures nothing.
///
/// # Safety
///
/// The implementor is a function pointer type: one address, any non-null address of code of the
/// right type is a valid value.
pub unsafe trait FnPointer: Copy {}

macro_rules! fn_pointers {
    ($($arg:ident)*) => {
        // SAFETY: a function pointer type.
        unsafe impl<Ret $(, $arg)*> FnPointer for fn($($arg),*) -> Ret {}
    };
}
fn_pointers!();
fn_pointers!(A);
fn_pointers!(A B);
fn_pointers!(A B C);
fn_pointers!(A B C D);
fn_pointers!(A B C D E);
fn_pointers!(A B C D E F);
fn_pointers!(A B C D E F G);
fn_pointers!(A B C D E F G H);

/// What a child does: it gets the function that the parent named, and returns its exit code.
pub(crate) trait Job {
    type Entry: FnPointer;
    fn run(entry: Self::Entry, boot: Boot) -> i32;
}

/// A [`Job`] and its function, as offsets from the image base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    shim: u64,
    entry: u64,
}

type Shim = fn(*const (), Boot) -> i32;

fn shim<J: Job>(entry: *const (), boot: Boot) -> i32 {
    const { assert!(size_of::<J::Entry>() == size_of::<*const ()>()) };
    // SAFETY: E1: `entry` is the address of a function of type `J::Entry`, which is a function
    // pointer type (`FnPointer`) of the size just checked.
    let entry = unsafe { transmute_copy::<*const (), J::Entry>(&entry) };
    J::run(entry, boot)
}

impl Target {
    /// The offsets of `J` and `entry`, or [`Error::ForeignFunction`] when `entry` is not code of the
    /// image of this crate (but of a shared library, or made at run time).
    pub(crate) fn of<J: Job>(entry: J::Entry) -> Result<Target, Error> {
        const { assert!(size_of::<J::Entry>() == size_of::<*const ()>()) };
        let image = Image::own().ok_or(Error::ForeignFunction)?;
        // SAFETY: a function pointer is an address of the size just checked (`FnPointer`).
        let entry = unsafe { transmute_copy::<J::Entry, *const ()>(&entry) };
        Ok(Target {
            shim: image.offset_of(shim::<J> as Shim as *const ())?,
            entry: image.offset_of(entry)?,
        })
    }

    /// Runs the job.
    ///
    /// # Safety
    ///
    /// `self` was made by [`Target::of`] in a process that runs the same files, and `image` is
    /// [`Image::own`].
    pub(crate) unsafe fn run(self, image: &Image, boot: Boot) -> i32 {
        let (Some(shim), Some(entry)) = (image.code_at(self.shim), image.code_at(self.entry))
        else {
            return super::takeover::REFUSED;
        };
        // SAFETY: the caller's promise: `shim` is the address of a `Shim`, see E1.
        let shim = unsafe { transmute_copy::<*const (), Shim>(&shim) };
        shim(entry, boot)
    }

    /// For the boot record.
    pub(crate) fn to_words(self) -> [u64; 2] {
        [self.shim, self.entry]
    }

    /// From the boot record.
    pub(crate) fn from_words([shim, entry]: [u64; 2]) -> Target {
        Target { shim, entry }
    }
}

/// What a process that runs already does when it is sent a function and a `Q`.
pub(crate) trait Service<Q> {
    type Entry: FnPointer;
    fn serve(entry: Self::Entry, call: &mut Q);
}

type ServiceShim<Q> = fn(*const (), &mut Q);

fn service_shim<Q, S: Service<Q>>(entry: *const (), call: &mut Q) {
    const { assert!(size_of::<S::Entry>() == size_of::<*const ()>()) };
    // SAFETY: E1, as in `shim`.
    let entry = unsafe { transmute_copy::<*const (), S::Entry>(&entry) };
    S::serve(entry, call);
}

/// Functions as words that processes of one executable send each other through shared memory, each pair
/// of offsets with a seal that only those have who share a key.
///
/// - E3. Words with a right seal were made by [`Switchboard::seal`] of a switchboard with the same `Q`
///   and key, in a process that runs the same file: the key is random, and was handed from one to the
///   other. Bytes that somebody scribbled are no call, and not a jump anywhere.
pub(crate) struct Switchboard<Q> {
    image: Image,
    key: u64,
    call: PhantomData<fn(&mut Q)>,
}

impl<Q> Switchboard<Q> {
    /// One with this key, that of the other processes.
    ///
    /// # Safety
    ///
    /// The key is random, and known only to processes that run the same executable file and use it for
    /// this `Q` only.
    pub(super) unsafe fn with_key(key: u64) -> Result<Switchboard<Q>, Error> {
        let image = Image::own().ok_or(Error::ForeignFunction)?;
        Ok(Switchboard { image, key, call: PhantomData })
    }

    /// One with a new key, and the key.
    pub(crate) fn new() -> Result<(Switchboard<Q>, Key<Q>), Error> {
        let key = RandomState::new().build_hasher().finish();
        // SAFETY: the key is new, and leaves this process as a `Key<Q>` only.
        let board = unsafe { Switchboard::with_key(key)? };
        Ok((board, Key(key, PhantomData)))
    }

    /// `S` and `entry` as words, or [`Error::ForeignFunction`] as [`Target::of`].
    pub(crate) fn seal<S: Service<Q>>(&self, entry: S::Entry) -> Result<[u64; 2], Error> {
        const { assert!(size_of::<S::Entry>() == size_of::<*const ()>()) };
        // SAFETY: a function pointer is an address of the size just checked (`FnPointer`).
        let entry = unsafe { transmute_copy::<S::Entry, *const ()>(&entry) };
        let shim = self.image.offset_of(service_shim::<Q, S> as ServiceShim<Q> as *const ())?;
        let entry = self.image.offset_of(entry)?;
        let half = |offset: u64| u32::try_from(offset).map_err(|_| Error::ForeignFunction);
        let offsets = u64::from(half(shim)?) << 32 | u64::from(half(entry)?);
        Ok([offsets, self.seal_of(offsets)])
    }

    /// Calls what the words say; `None` if nobody has sealed them.
    #[inline]
    pub(crate) fn call(&self, [offsets, seal]: [u64; 2], call: &mut Q) -> Option<()> {
        if seal != self.seal_of(offsets) {
            return None;
        }
        let shim = self.image.code_at(offsets >> 32)?;
        let entry = self.image.code_at(offsets & u64::from(u32::MAX))?;
        // SAFETY: E3: `shim` is the address of a `ServiceShim<Q>`, and E1.
        let shim = unsafe { transmute_copy::<*const (), ServiceShim<Q>>(&shim) };
        shim(entry, call);
        Some(())
    }

    /// The mix of MurmurHash3 on both sides of the key.
    #[inline]
    fn seal_of(&self, offsets: u64) -> u64 {
        let mix = |mut x: u64| {
            x = (x ^ x >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
            x = (x ^ x >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
            x ^ x >> 33
        };
        mix(mix(offsets ^ self.key).wrapping_add(self.key))
    }
}

/// What processes of one executable need to understand each other's calls, see [`Switchboard`].
pub(crate) struct Key<Q>(u64, PhantomData<fn(&mut Q)>);

impl<Q> Key<Q> {
    /// To be sent, in an argument of a process that this one starts.
    pub(crate) fn to_bits(&self) -> u64 {
        self.0
    }

    /// The switchboard of a process that was started with the bits of a key as an argument.
    ///
    /// Only for bits that come out of [`Key::to_bits`] of the same `Q` by way of the boot record, whose
    /// fingerprint says that the executable is the same.
    pub(crate) fn switchboard(bits: u64) -> Result<Switchboard<Q>, Error> {
        // SAFETY: as just said.
        unsafe { Switchboard::with_key(bits) }
    }
}

/// The main program, or a library, as it lies in memory.
pub(crate) struct Image {
    base: usize,
    headers: &'static [ProgramHeader],
}

impl Image {
    /// The main program; `None` where the loader does not tell.
    ///
    /// `dl_iterate_phdr` and not `dladdr`, which does not know a statically linked program.
    pub(crate) fn executable() -> Option<Image> {
        unsafe extern "C" fn first(
            info: *mut libc::dl_phdr_info,
            _size: usize,
            found: *mut c_void,
        ) -> c_int {
            // SAFETY: the loader passes a valid `info`; `found` is the `&mut Option` below; E2
            // makes the headers `'static`.
            unsafe {
                let info = &*info;
                if !info.dlpi_phdr.is_null() {
                    *found.cast::<Option<Image>>() = Some(Image {
                        base: info.dlpi_addr as usize,
                        headers: std::slice::from_raw_parts(
                            info.dlpi_phdr,
                            usize::from(info.dlpi_phnum),
                        ),
                    });
                }
            }
            1 // the first object is the main program: stop
        }
        let mut found: Option<Image> = None;
        // SAFETY: `first` matches the callback type, and `found` outlives the call.
        unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut found).cast()) };
        found
    }

    /// The image that this crate is part of.
    pub(crate) fn own() -> Option<Image> {
        static OWN: OnceLock<Option<(usize, &'static [ProgramHeader])>> = OnceLock::new();
        let find = || {
            let code = Image::own as fn() -> Option<Image> as *const ();
            let is_own = |image: &Image, _: &CStr| image.offset_of(code).is_ok();
            // SAFETY: E2: it stays loaded.
            unsafe { Image::find(is_own) }.map(|image| (image.base, image.headers))
        };
        OWN.get_or_init(find).map(|(base, headers)| Image { base, headers })
    }

    /// The first of all images, the main program first, that `is_it` says yes to, by image and path.
    ///
    /// # Safety
    ///
    /// While the result is used, the image stays loaded.
    unsafe fn find(is_it: impl FnMut(&Image, &CStr) -> bool) -> Option<Image> {
        struct Search<F> {
            is_it: F,
            found: Option<Image>,
        }
        unsafe extern "C" fn each<F: FnMut(&Image, &CStr) -> bool>(
            info: *mut libc::dl_phdr_info,
            _size: usize,
            search: *mut c_void,
        ) -> c_int {
            // SAFETY: the loader passes a valid `info`, whose image stays loaded during the call;
            // `search` is the one below.
            unsafe {
                let (info, search) = (&*info, &mut *search.cast::<Search<F>>());
                if info.dlpi_phdr.is_null() {
                    return 0;
                }
                let count = usize::from(info.dlpi_phnum);
                let headers = std::slice::from_raw_parts(info.dlpi_phdr, count);
                let image = Image { base: info.dlpi_addr as usize, headers };
                let path = match info.dlpi_name.is_null() {
                    true => c"",
                    false => CStr::from_ptr(info.dlpi_name),
                };
                if (search.is_it)(&image, path) {
                    search.found = Some(image);
                    return 1; // stop
                }
            }
            0
        }
        fn callback<F: FnMut(&Image, &CStr) -> bool>(_: &Search<F>) -> Callback {
            each::<F>
        }
        let mut search = Search { is_it, found: None };
        let each = callback(&search);
        // SAFETY: `each` matches the callback type, and `search` outlives the call.
        unsafe { libc::dl_iterate_phdr(Some(each), (&raw mut search).cast()) };
        search.found
    }

    pub(super) fn segments(
        &self,
        kind: u32,
    ) -> impl Iterator<Item = &'static ProgramHeader> + use<> {
        let headers = self.headers;
        headers.iter().filter(move |h| h.p_type == kind)
    }

    /// Whether `at..at + len_bytes` (addresses as linked) was loaded from the file, with `flags`.
    fn is_loaded(&self, at: usize, len_bytes: usize, flags: u32) -> bool {
        self.segments(libc::PT_LOAD).any(|h| {
            let start = h.p_vaddr as usize;
            h.p_flags & flags == flags
                && at >= start
                && len_bytes <= h.p_filesz as usize
                && at - start <= h.p_filesz as usize - len_bytes
        })
    }

    fn offset_of(&self, code: *const ()) -> Result<u64, Error> {
        let offset = code.addr().wrapping_sub(self.base);
        if self.is_loaded(offset, 1, libc::PF_X) {
            Ok(offset as u64)
        } else {
            Err(Error::ForeignFunction)
        }
    }

    fn code_at(&self, offset: u64) -> Option<*const ()> {
        let offset = usize::try_from(offset).ok()?;
        let address = self.base.checked_add(offset)?;
        self.is_loaded(offset, 1, libc::PF_X).then(|| std::ptr::with_exposed_provenance(address))
    }

    /// The bytes of a loaded range.
    pub(super) fn bytes(&self, at: usize, len_bytes: usize) -> Option<&'static [u8]> {
        if !self.is_loaded(at, len_bytes, libc::PF_R) {
            return None;
        }
        let start = std::ptr::with_exposed_provenance(self.base + at);
        // SAFETY: E2, and the range lies in one readable segment.
        Some(unsafe { std::slice::from_raw_parts(start, len_bytes) })
    }

    fn header_bytes(&self) -> &'static [u8] {
        // SAFETY: E2; program headers have no padding, and bytes may be read at any alignment.
        unsafe {
            std::slice::from_raw_parts(self.headers.as_ptr().cast(), size_of_val(self.headers))
        }
    }

    /// Tells this executable from others: its program headers and its notes, which hold the build
    /// id where the linker writes one (FNV-1a).
    pub(crate) fn fingerprint(&self) -> u64 {
        let notes = self
            .segments(libc::PT_NOTE)
            .filter_map(|h| self.bytes(h.p_vaddr as usize, h.p_filesz as usize));
        std::iter::once(self.header_bytes())
            .chain(notes)
            .flatten()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
            })
    }

    /// The fingerprint, if `/proc/self/exe` is this program and not a loader that was told to run
    /// it (`ld.so ./program`): then a child could not be started from there.
    pub(crate) fn startable() -> io::Result<u64> {
        static CHECKED: OnceLock<Option<u64>> = OnceLock::new();
        let known = match CHECKED.get() {
            Some(known) => known,
            None => {
                let image = Image::executable().ok_or(io::ErrorKind::Unsupported)?;
                let is_same = image.is_file("/proc/self/exe")?;
                CHECKED.get_or_init(|| is_same.then(|| image.fingerprint()))
            }
        };
        known.ok_or_else(|| {
            let why = "/proc/self/exe is not this program: it was started through its loader";
            io::Error::new(io::ErrorKind::Unsupported, why)
        })
    }

    fn is_file(&self, path: &str) -> io::Result<bool> {
        /// Where an ELF header says at which byte the program headers start.
        const HEADERS_AT: u64 = if size_of::<usize>() == 8 { 0x20 } else { 0x1c };
        let file = std::fs::File::open(path)?;
        let mut at = [0; size_of::<usize>()];
        file.read_exact_at(&mut at, HEADERS_AT)?;
        let mut headers = vec![0; self.header_bytes().len()];
        match file.read_exact_at(&mut headers, usize::from_ne_bytes(at) as u64) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(e) => Err(e),
            Ok(()) => Ok(headers == self.header_bytes()),
        }
    }
}

type Callback = unsafe extern "C" fn(*mut libc::dl_phdr_info, usize, *mut c_void) -> c_int;

/// A function of another language, as other processes that run the same executable find it: in
/// whatever image it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// The fingerprint of the image.
    image: u64,
    offset: u64,
    /// Where the image comes from, if it is not the executable.
    path: Option<CString>,
}

impl Function {
    /// The function at this address; `None` if no image has it: it was made at run time.
    pub fn of(code: *const ()) -> Option<Function> {
        let mut found = None;
        let has_it = |image: &Image, path: &CStr| {
            let Ok(offset) = image.offset_of(code) else { return false };
            let path = (!path.is_empty()).then(|| path.to_owned());
            found = Some(Function { image: image.fingerprint(), offset, path });
            true
        };
        // SAFETY: not used but in the call.
        unsafe { Image::find(has_it) };
        found
    }

    /// Where the function is in this process; loads the image if it has to. `None` if the image is not
    /// to be had, or is another one.
    pub fn address(&self) -> Option<*const ()> {
        self.find().or_else(|| {
            let path = self.path.as_ref()?;
            // SAFETY: its constructors are run, as in the process that named it.
            let loaded = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
            if loaded.is_null() { None } else { self.find() }
        })
    }

    fn find(&self) -> Option<*const ()> {
        let mut found = None;
        let is_it = |image: &Image, _: &CStr| {
            let is_it = image.fingerprint() == self.image;
            if is_it {
                found = image.code_at(self.offset);
            }
            is_it
        };
        // SAFETY: not used but in the call.
        unsafe { Image::find(is_it) };
        found
    }

    /// What tells this function from others, for a seal.
    pub fn to_words(&self) -> [u64; 2] {
        [self.image, self.offset]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Probe;
    impl Job for Probe {
        type Entry = fn(i32) -> i32;
        fn run(_: fn(i32) -> i32, _: Boot) -> i32 {
            0
        }
    }

    #[test]
    fn a_function_of_the_executable_has_an_offset() {
        let a = Target::of::<Probe>(|x| x + 1).unwrap();
        let b = Target::of::<Probe>(|x| x * 3).unwrap();
        assert_eq!(a.shim, b.shim);
        assert_ne!(a.entry, b.entry);
        assert_eq!(Target::from_words(a.to_words()), a);
    }

    #[test]
    fn a_function_of_a_shared_library_is_refused() {
        // SAFETY: both are function pointers of one address; it is never called.
        let foreign = unsafe {
            transmute_copy::<unsafe extern "C" fn() -> libc::pid_t, fn(i32) -> i32>(
                &(libc::getpid as unsafe extern "C" fn() -> libc::pid_t),
            )
        };
        if cfg!(target_feature = "crt-static") {
            return;
        }
        assert!(matches!(Target::of::<Probe>(foreign), Err(Error::ForeignFunction)));
    }

    #[test]
    fn a_function_of_any_image_is_found_again() {
        let ours = Probe::run as fn(fn(i32) -> i32, Boot) -> i32 as *const ();
        let theirs = libc::getpid as unsafe extern "C" fn() -> libc::pid_t as *const ();
        for code in [ours, theirs] {
            assert_eq!(Function::of(code).unwrap().address(), Some(code));
        }
        let data = [0u8; 16];
        assert_eq!(Function::of(data.as_ptr().cast()), None);
        let known = Function::of(theirs).unwrap();
        assert_eq!(Function { image: 7, ..known.clone() }.address(), None);
        assert_eq!(Function { offset: 0, ..known }.address(), None);
    }

    #[test]
    fn offsets_outside_the_code_are_no_code() {
        assert_eq!(Image::own().unwrap().base, Image::executable().unwrap().base);
        let image = Image::executable().unwrap();
        assert!(image.code_at(0).is_none() || image.is_loaded(0, 1, libc::PF_X));
        assert!(image.code_at(u64::MAX).is_none());
        assert!(image.code_at(1 << 46).is_none());
    }

    #[test]
    fn this_program_is_proc_self_exe() {
        assert_eq!(Image::startable().unwrap(), Image::executable().unwrap().fingerprint());
        assert!(!Image::executable().unwrap().is_file("/bin/sh").unwrap());
    }
}
