//! The rings of this crate as contestants.

use super::duel::{Rx, Tx};
use bytemuck::Pod;
use shmkit::ring::{Consumer, Producer};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// An end that this side has, or finds under the ring's name when it arrives on the far side.
pub struct Ours<E> {
    name: String,
    end: Option<E>,
}

/// The ends of a ring, both of the same kind.
type Ends<const W: usize> = (Ours<Producer<[u64; W]>>, Ours<Consumer<[u64; W]>>);

/// A ring under a fresh name; the near side has the sending end if `there`, otherwise the other.
pub fn ours<const W: usize>(capacity: usize, there: bool) -> Ends<W>
where
    [u64; W]: Pod,
{
    static RINGS: AtomicU32 = AtomicU32::new(0);
    let name = format!("bench.{}.{}", std::process::id(), RINGS.fetch_add(1, Relaxed));
    let tx = there.then(|| Producer::create(&name, capacity).unwrap());
    let rx = (!there).then(|| Consumer::create(&name, capacity).unwrap());
    (Ours { name: name.clone(), end: tx }, Ours { name, end: rx })
}

impl<const W: usize> Tx<W> for Ours<Producer<[u64; W]>>
where
    [u64; W]: Pod,
{
    fn arrive(&mut self) {
        self.end = Some(Producer::open(&self.name).unwrap());
    }

    #[inline]
    fn try_send(&mut self, item: &[u64; W]) -> bool {
        self.end.as_mut().is_some_and(|end| end.try_push(*item).is_ok())
    }

    #[inline]
    fn try_send_batch(&mut self, items: &[[u64; W]]) -> usize {
        self.end.as_mut().map_or(0, |end| end.try_push_slice(items).unwrap_or(0))
    }
}

impl<const W: usize> Rx<W> for Ours<Consumer<[u64; W]>>
where
    [u64; W]: Pod,
{
    fn arrive(&mut self) {
        self.end = Some(Consumer::open(&self.name).unwrap());
    }

    #[inline]
    fn try_recv(&mut self, item: &mut [u64; W]) -> bool {
        match self.end.as_mut().map(Consumer::try_pop) {
            Some(Ok(value)) => {
                *item = value;
                true
            }
            _ => false,
        }
    }

    #[inline]
    fn try_recv_batch(&mut self, items: &mut [[u64; W]]) -> usize {
        self.end.as_mut().map_or(0, |end| end.try_pop_slice(items).unwrap_or(0))
    }
}
