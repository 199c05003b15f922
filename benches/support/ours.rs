//! The rings of this crate as contestants.

use super::duel::{Rx, Tx};
use bytemuck::Pod;
use shmkit::ring::{Consumer, Producer};

impl<const W: usize> Tx<W> for Producer<[u64; W]>
where
    [u64; W]: Pod,
{
    #[inline]
    fn try_send(&mut self, item: &[u64; W]) -> bool {
        self.try_push(*item).is_ok()
    }

    #[inline]
    fn try_send_batch(&mut self, items: &[[u64; W]]) -> usize {
        self.try_push_slice(items).unwrap_or(0)
    }
}

impl<const W: usize> Rx<W> for Consumer<[u64; W]>
where
    [u64; W]: Pod,
{
    #[inline]
    fn try_recv(&mut self, item: &mut [u64; W]) -> bool {
        match self.try_pop() {
            Ok(value) => {
                *item = value;
                true
            }
            Err(_) => false,
        }
    }

    #[inline]
    fn try_recv_batch(&mut self, items: &mut [[u64; W]]) -> usize {
        self.try_pop_slice(items).unwrap_or(0)
    }
}

/// A ring in a region of its own.
pub fn ours<const W: usize>(capacity: usize) -> (Producer<[u64; W]>, Consumer<[u64; W]>)
where
    [u64; W]: Pod,
{
    shmkit::ring::spsc(capacity).unwrap()
}
