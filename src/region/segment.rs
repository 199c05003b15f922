//! Regions in segments that a program has opened with the `shared_memory` crate.

use super::header::{Geometry, MAGIC, lock_byte};
use super::kind::Kind;
use super::mapping::{Backing, Mapping};
use super::{Region, RegionOptions};
use crate::error::{Error, Result};
use crate::sys::memory::{self, SHM_DIR};
use crate::sys::ofd::{self, Mode};
use shared_memory::Shmem;
use std::os::fd::AsFd;
use std::path::Path;

impl RegionOptions {
    /// Uses a segment that was opened with the `shared_memory` crate as a region, with the same
    /// rules and the same errors as any other.
    ///
    /// The first process to come makes the region, whoever created the segment, and the others join
    /// it; a segment whose first eight bytes are not zero and which is no region is left alone. The
    /// region is as large as the segment, whatever [`RegionOptions::new`] was told. Name and
    /// lifetime of the segment stay the business of that crate: keep the [`Shmem`] for as long as
    /// others shall find it. Everybody must go through this function; memory that the program uses
    /// by itself is not to be in the same segment.
    ///
    /// # Errors
    ///
    /// [`Error::NotARegion`] for a segment with other content, [`Error::NoSpace`] for one that is
    /// too small for the tables of a region (about 3 KiB with 128 participants) and for a full
    /// machine, [`Error::TypeMismatch`] and the others of [`Region::open`].
    ///
    /// ```
    /// use shared_memory::ShmemConf;
    /// use shmkit::{RegionOptions, Value};
    ///
    /// let segment = ShmemConf::new().size(64 << 10).create().unwrap();
    /// let region = RegionOptions::new(0).in_segment(&segment)?;
    /// let hits = Value::new_in(&region, 0u64)?;
    /// hits.fetch_add(1);
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn in_segment(self, segment: &Shmem) -> Result<Region> {
        let file = Path::new(SHM_DIR).join(segment.get_os_id().trim_start_matches('/'));
        let (fd, guard) = (memory::open(&file)?, memory::open(&file)?);
        let len_bytes = memory::stat(fd.as_fd())?.len_bytes;
        // One formats, the others wait: the kernel frees the byte if the first one dies.
        ofd::lock(guard.as_fd(), lock_byte::FORMAT, Mode::Exclusive)?;
        let first = memory::first_bytes(fd.as_fd())?.map(u64::from_ne_bytes);
        match first {
            Some(0) => {
                let plan = Geometry::fill(Kind::Region as u32, self.participants, len_bytes)?;
                Ok(Region::from_mapping(Mapping::create(Backing::Segment(fd), plan)?))
            }
            Some(MAGIC) => Region::of_any(Mapping::join(fd, None, None)?),
            Some(_) => Err(Error::NotARegion),
            None => Err(Error::NoSpace),
        }
    }
}
