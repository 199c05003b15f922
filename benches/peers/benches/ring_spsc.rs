//! `ring::spsc` beside rtrb, which cannot leave its process: both between threads, and ours
//! between processes as well, in turns. The first contestant is a ring of two indices written by
//! hand, to which the ratios are; more than 1 is slower.

#![allow(missing_docs)]

#[path = "../../support/duel.rs"]
mod duel;
#[path = "../../support/hand.rs"]
mod hand;
#[path = "../../support/ours.rs"]
mod ours;

use duel::{Duel, Rx, Shape, Side, Tx, compare};
use hand::hand;
use ours::ours;

struct Rtrb<E>(E);

type RtrbEnds<const W: usize> = (Rtrb<rtrb::Producer<[u64; W]>>, Rtrb<rtrb::Consumer<[u64; W]>>);

fn rtrb<const W: usize>(capacity: usize) -> RtrbEnds<W> {
    let (producer, consumer) = rtrb::RingBuffer::new(capacity);
    (Rtrb(producer), Rtrb(consumer))
}

impl<const W: usize> Tx<W> for Rtrb<rtrb::Producer<[u64; W]>> {
    #[inline]
    fn try_send(&mut self, item: &[u64; W]) -> bool {
        self.0.push(*item).is_ok()
    }

    #[inline]
    fn try_send_batch(&mut self, items: &[[u64; W]]) -> usize {
        let room = self.0.slots().min(items.len());
        self.0.push_entire_slice(&items[..room]).map_or(0, |()| room)
    }
}

impl<const W: usize> Rx<W> for Rtrb<rtrb::Consumer<[u64; W]>> {
    #[inline]
    fn try_recv(&mut self, item: &mut [u64; W]) -> bool {
        self.0.pop().map(|value| *item = value).is_ok()
    }

    #[inline]
    fn try_recv_batch(&mut self, items: &mut [[u64; W]]) -> usize {
        let ready = self.0.slots().min(items.len());
        self.0.pop_entire_slice(&mut items[..ready]).map_or(0, |()| ready)
    }
}

macro_rules! contest {
    ($words:literal, $capacity:expr) => {
        let mut duels = [
            ("hand", Duel::<$words>::new(Side::Process, |_| hand($capacity))),
            ("ours", Duel::<$words>::new(Side::Process, |there| ours($capacity, there))),
            ("ours, threads", Duel::<$words>::new(Side::Thread, |there| ours($capacity, there))),
            ("rtrb, threads", Duel::<$words>::new(Side::Thread, |_| rtrb($capacity))),
        ];
        let shapes = [
            (Shape::RoundTrip, "round trip"),
            (Shape::Stream, "stream"),
            (Shape::StreamBatch, "stream, batches of 32"),
        ];
        for (shape, name) in shapes {
            compare(&format!("{name}, {} B", 8 * $words), shape, &mut duels);
        }
    };
}

fn main() {
    contest!(1, 1024);
    contest!(8, 1024);
    contest!(128, 256);
}
