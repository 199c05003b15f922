//! Peers that cannot leave their process: so many threads, made for each sample.

use super::super::crew::{allowed_cpus, pin};
use super::super::many::{consume, produce};
use super::super::{OwnNs, produces};
use super::{Field, PAIRS_MAX};
use crossbeam_queue::ArrayQueue;
use std::sync::Barrier;
use std::thread::Builder;
use std::time::Instant;

/// Room for the largest items.
const STACK_BYTES: usize = 8 << 20;
/// Larger items go in a box that is made for each, as programs do.
const BOXED_WORDS: usize = 1024;

impl<const W: usize> Field<W> {
    fn add_crowd(
        &mut self,
        name: &'static str,
        waits: bool,
        push: impl Fn(&[u64; W]) -> bool + Sync + 'static,
        pop: impl Fn(&mut [u64; W]) -> bool + Sync + 'static,
    ) {
        let (own, cpus) = (OwnNs::default(), allowed_cpus());
        let ns = OwnNs::clone(&own);
        self.add_own(name, waits, PAIRS_MAX, Some(own), move |turn| {
            let members = 2 * turn.pause as usize;
            let barrier = Barrier::new(members + 1);
            let start = std::thread::scope(|scope| {
                for member in 0..members {
                    let (barrier, push, pop, cpus) = (&barrier, &push, &pop, &cpus);
                    let work = move || {
                        pin(&cpus[member % cpus.len()..][..1]);
                        barrier.wait();
                        if produces(member) {
                            produce::<W>(turn.operations, push);
                        } else {
                            consume::<W>(turn.operations, pop);
                        }
                    };
                    Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work).unwrap();
                }
                barrier.wait();
                Instant::now()
            });
            let all = members as f64 * turn.operations as f64;
            ns.set(start.elapsed().as_nanos() as f64 / all);
        });
    }

    pub fn add_threads(&mut self, capacity: usize) {
        for waits in [false, true] {
            let name = "crossbeam-channel (threads)";
            if W < BOXED_WORDS {
                let (sender, receiver) = crossbeam_channel::bounded::<[u64; W]>(capacity);
                let push = move |item: &[u64; W]| {
                    if waits { sender.send(*item).is_ok() } else { sender.try_send(*item).is_ok() }
                };
                self.add_crowd(name, waits, push, move |item| {
                    let got = if waits { receiver.recv().ok() } else { receiver.try_recv().ok() };
                    got.map(|got| *item = got).is_some()
                });
            } else {
                let (sender, receiver) = crossbeam_channel::bounded::<Box<[u64]>>(capacity);
                let push = move |item: &[u64; W]| {
                    if !waits && sender.is_full() {
                        return false;
                    }
                    let boxed = Box::from(&item[..]);
                    if waits { sender.send(boxed).is_ok() } else { sender.try_send(boxed).is_ok() }
                };
                self.add_crowd(name, waits, push, move |item| {
                    let got = if waits { receiver.recv().ok() } else { receiver.try_recv().ok() };
                    got.map(|got| item.copy_from_slice(&got)).is_some()
                });
            }
        }
        let name = "crossbeam ArrayQueue (threads)";
        if W < BOXED_WORDS {
            let queue = std::sync::Arc::new(ArrayQueue::<[u64; W]>::new(capacity));
            let other = queue.clone();
            let push = move |item: &[u64; W]| queue.push(*item).is_ok();
            self.add_crowd(name, false, push, move |item| {
                other.pop().map(|got| *item = got).is_some()
            });
        } else {
            let queue = std::sync::Arc::new(ArrayQueue::<Box<[u64]>>::new(capacity));
            let other = queue.clone();
            let push =
                move |item: &[u64; W]| !queue.is_full() && queue.push(Box::from(&item[..])).is_ok();
            self.add_crowd(name, false, push, move |item| {
                other.pop().map(|got| item.copy_from_slice(&got)).is_some()
            });
        }
    }
}
