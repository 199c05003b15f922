//! Pipes and sockets of the kernel: made before the crew is forked, which inherits both ends.

use super::{Field, PAIRS_MAX};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};

/// The longest write to a pipe that is not mixed with another.
const PIPE_BUF: usize = 4096;
/// More does not fit into the buffer of a socket for packets as it comes.
const PACKET_MAX: usize = 1 << 16;

fn socket_pair(kind: libc::c_int) -> [File; 2] {
    let mut ends = [-1; 2];
    // SAFETY: writes two descriptors, which nobody else has.
    unsafe {
        assert_eq!(libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()), 0);
        ends.map(|end| File::from(OwnedFd::from_raw_fd(end)))
    }
}

impl<const W: usize> Field<W>
where
    [u64; W]: bytemuck::Pod,
{
    pub fn add_kernel(&mut self) {
        let (reader, writer) = std::io::pipe().unwrap();
        let (reader, writer) = (File::from(OwnedFd::from(reader)), OwnedFd::from(writer).into());
        let pairs_max = if 8 * W <= PIPE_BUF { PAIRS_MAX } else { 1 };
        self.add_files("pipe(2)", pairs_max, writer, reader);
        let (name, kind, pairs_max) = if 8 * W <= PACKET_MAX {
            ("Unix socket, SEQPACKET", libc::SOCK_SEQPACKET, PAIRS_MAX)
        } else {
            ("Unix socket, STREAM", libc::SOCK_STREAM, 1)
        };
        let [writer, reader] = socket_pair(kind);
        self.add_files(name, pairs_max, writer, reader);
    }

    fn add_files(&mut self, name: &'static str, pairs_max: u32, writer: File, reader: File) {
        let push =
            move |item: &_| (&writer).write_all(bytemuck::bytes_of::<[u64; W]>(item)).is_ok();
        self.add(name, true, pairs_max, push, move |item| {
            (&reader).read_exact(bytemuck::bytes_of_mut(item)).is_ok()
        });
    }
}
