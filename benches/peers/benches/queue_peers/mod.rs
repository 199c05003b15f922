//! Who is compared, and how each gives an item and takes one.

mod kernel;
mod meeting;
mod threads;

#[path = "../../../support/vyukov.rs"]
mod vyukov;

use super::crew::{Contestant, Turn};
use super::many::{consume, produce};
use super::{OwnNs, produces};
use shmkit::ring::mpmc;
use shmkit::{Queue, QueueOptions};
use std::process::Command;
use vyukov::Vyukov;

/// What the tables need to know of a contestant.
pub struct Entry {
    pub name: &'static str,
    /// Of an item.
    pub bytes: usize,
    /// Whether it sleeps when it has to wait.
    pub waits: bool,
    /// The most producers and consumers that it serves.
    pub pairs_max: u32,
    /// For those that are no processes of the crew: nanoseconds for each push or pop.
    pub measures_itself: Option<OwnNs>,
    /// Takes part in one round of so many.
    pub every: usize,
}

pub const PAIRS_MAX: u32 = 4;

/// Those of one size of items, `W` words, the yardstick first.
struct Field<const W: usize>(Vec<(Entry, Contestant)>);

impl<const W: usize> Field<W> {
    /// Processes of the crew. `push` and `pop` say whether they have.
    fn add(
        &mut self,
        name: &'static str,
        waits: bool,
        pairs_max: u32,
        push: impl Fn(&[u64; W]) -> bool + 'static,
        pop: impl Fn(&mut [u64; W]) -> bool + 'static,
    ) {
        self.add_own(name, waits, pairs_max, None, move |turn| {
            if produces(turn.member) {
                produce::<W>(turn.operations, &push);
            } else {
                consume::<W>(turn.operations, &pop);
            }
        });
    }

    fn add_own(
        &mut self,
        name: &'static str,
        waits: bool,
        pairs_max: u32,
        measures_itself: Option<OwnNs>,
        run: impl Fn(Turn) + 'static,
    ) {
        let entry = Entry { name, bytes: 8 * W, waits, pairs_max, measures_itself, every: 1 };
        self.0.push((entry, Contestant::new(name, run)));
    }
}

/// All who carry items of `W` words, `capacity` of them at a time.
pub fn contestants<const W: usize>(capacity: usize) -> Vec<(Entry, Contestant)>
where
    [u64; W]: bytemuck::Pod,
{
    let mut field = Field::<W>(Vec::new());
    field.add_ours(capacity);
    if W <= 128 {
        let (theirs, clone) = {
            let ring = Vyukov::<W, 1024>::new();
            (ring, ring)
        };
        let push = move |item: &_| theirs.try_push(item);
        field.add("Vyukov, by hand", false, PAIRS_MAX, push, move |item| clone.try_pop(item));
    }
    field.add_boost(capacity);
    field.add_kernel();
    field.add_meeting(capacity);
    field.add_threads(capacity);
    field.add_python(capacity);
    field.0
}

impl<const W: usize> Field<W>
where
    [u64; W]: bytemuck::Pod,
{
    fn add_ours(&mut self, capacity: usize) {
        let ring = mpmc::<[u64; W]>(capacity).unwrap();
        let other = ring.clone();
        if W < 128 {
            self.add(
                "shmkit ring::mpmc",
                false,
                PAIRS_MAX,
                move |item| ring.try_push(*item).is_ok(),
                move |item| other.try_pop().map(|popped| *item = popped).is_ok(),
            );
        } else {
            let push = move |item: &[u64; W]| {
                let Ok(mut slot) = ring.try_reserve() else { return false };
                slot.copy_from_slice(item);
                slot.commit();
                true
            };
            self.add("shmkit ring::mpmc, in place", false, PAIRS_MAX, push, move |item| {
                let Ok(value) = other.try_lease() else { return false };
                item.copy_from_slice(&*value);
                value.release();
                true
            });
        }
        for waits in [false, true] {
            let queue = QueueOptions::new(capacity).inline_bytes(8 * W).queue::<()>().unwrap();
            let other = queue.clone();
            let push = move |item: &[u64; W]| {
                let loan = if waits { queue.loan(8 * W) } else { queue.try_loan(8 * W) };
                let Ok(mut loan) = loan else { return false };
                loan.copy_from_slice(bytemuck::bytes_of(item));
                loan.commit();
                true
            };
            self.add("shmkit Queue, in place", waits, PAIRS_MAX, push, move |item| {
                let received = if waits { other.receive() } else { other.try_receive() };
                let Ok(received) = received else { return false };
                bytemuck::bytes_of_mut(item).copy_from_slice(&received);
                true
            });
        }
        if W == 1 {
            for waits in [false, true] {
                let queue = Queue::<u64>::new(capacity).unwrap();
                let other = queue.clone();
                let push = move |item: &[u64; W]| {
                    let put = if waits { queue.put(item[0]) } else { queue.try_put(item[0]) };
                    put.is_ok()
                };
                self.add("shmkit Queue<u64>", waits, PAIRS_MAX, push, move |item| {
                    let got = if waits { other.get() } else { other.try_get() };
                    got.map(|got| item[0] = got).is_ok()
                });
            }
        }
    }

    #[cfg(not(boost))]
    fn add_boost(&mut self, _: usize) {}

    #[cfg(boost)]
    fn add_boost(&mut self, capacity: usize) {
        use shmkit_peers::boost::{Lockfree, MessageQueue};
        use std::rc::Rc;

        if let Some(queue) = Lockfree::<W>::new() {
            let queue = Rc::new(queue);
            let other = Rc::clone(&queue);
            let push = move |item: &_| queue.try_push(item);
            self.add("boost lockfree::queue", false, PAIRS_MAX, push, move |item| {
                other.try_pop(item)
            });
        }
        for waits in [false, true] {
            let Some(queue) = MessageQueue::<W>::new(capacity) else { continue };
            let push = move |item: &_| queue.push(item, waits);
            self.add("boost message_queue", waits, PAIRS_MAX, push, move |item| {
                queue.pop(item, waits)
            });
        }
    }

    fn add_python(&mut self, capacity: usize) {
        let there = Command::new("python3").arg("-c").arg("import multiprocessing").status();
        if !there.is_ok_and(|status| status.success()) {
            return;
        }
        let own = OwnNs::default();
        let ns = OwnNs::clone(&own);
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/queue_peers/python.py");
        self.add_own("Python multiprocessing.Queue", true, PAIRS_MAX, Some(own), move |turn| {
            let numbers = [turn.pause, 8 * W as u64, turn.operations, capacity as u64];
            let output = Command::new("python3")
                .arg(script)
                .args(numbers.map(|number| number.to_string()))
                .output()
                .expect("python3 ran before");
            let text = String::from_utf8_lossy(&output.stdout);
            ns.set(text.trim().parse().unwrap_or(f64::NAN));
        });
        // An interpreter has to start for each sample.
        self.0.last_mut().expect("just added").0.every = 4;
    }
}
