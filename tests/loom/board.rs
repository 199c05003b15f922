//! Every interleaving of a few workers and the owner of a task board.
//!
//! The payload is followed by the model: a worker that runs a task which was not written before, or an
//! owner that reads a result which was not, is a failure by itself.

use super::{Board, Claim, Heap, Lost, Outcome};
use crate::sync::{AtomicU32, AtomicU64, Ordering::*};
use loom::cell::UnsafeCell;
use loom::thread;
use std::sync::Arc;

/// A board of two slots, with what lies in them.
struct World {
    board: Board<Heap>,
    payload: [AtomicU64; 2],
    /// Stands for the payload: loom checks that what touches it is ordered.
    touched: [UnsafeCell<()>; 2],
    runs: [AtomicU32; 2],
}

fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.check(f);
}

impl World {
    fn new() -> Arc<World> {
        Arc::new(World {
            board: Board::new(Heap::new(2)),
            payload: [AtomicU64::new(0), AtomicU64::new(0)],
            touched: [UnsafeCell::new(()), UnsafeCell::new(())],
            runs: [AtomicU32::new(0), AtomicU32::new(0)],
        })
    }

    /// Writes a task and posts it.
    fn post(&self, slot: u32, value: u64) -> u64 {
        let generation = self.board.generation(slot);
        self.touched[slot as usize].with_mut(|_| ());
        self.payload[slot as usize].store(value, Relaxed);
        assert!(self.board.has_room());
        self.board.post(slot, generation);
        generation
    }

    /// What a worker does with the task of a claim.
    fn run(&self, claim: Claim) -> Result<bool, Lost> {
        let slot = claim.slot as usize;
        self.runs[slot].fetch_add(1, Relaxed);
        self.touched[slot].with_mut(|_| ());
        self.payload[slot].fetch_add(100, Relaxed);
        self.board.finish(claim)
    }

    /// Claims one task, and runs it.
    fn work(&self, worker: u32) -> bool {
        match self.board.claim(worker) {
            Some(claim) => self.run(claim).is_ok(),
            None => false,
        }
    }

    /// The result of a task that is done.
    fn result(&self, slot: u32) -> u64 {
        self.touched[slot as usize].with(|_| ());
        self.payload[slot as usize].load(Relaxed)
    }

    fn spawn<R: 'static>(
        self: &Arc<Self>,
        f: impl FnOnce(&World) -> R + 'static,
    ) -> thread::JoinHandle<R> {
        let world = self.clone();
        thread::spawn(move || f(&world))
    }
}

#[test]
fn each_task_is_run_once_by_one_of_two_workers() {
    model(|| {
        let world = World::new();
        let generations = [world.post(0, 1), world.post(1, 2)];
        let workers = [1, 2].map(|worker| world.spawn(move |world| while world.work(worker) {}));
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        for slot in 0..2 {
            let generation = generations[slot as usize];
            assert_eq!(world.board.outcome(slot, generation), Some(Outcome::Done));
            assert_eq!(world.runs[slot as usize].load(Relaxed), 1);
            assert_eq!(world.result(slot), 101 + u64::from(slot));
        }
    });
}

#[test]
fn a_task_that_is_posted_while_workers_look_is_whole() {
    model(|| {
        let world = World::new();
        let worker = world.spawn(|world| world.work(1));
        let generation = world.post(0, 1);
        let was_run = worker.join().unwrap() || world.work(2);
        assert!(was_run && world.board.outcome(0, generation) == Some(Outcome::Done));
        assert_eq!(world.result(0), 101);
    });
}

#[test]
fn a_slot_is_used_again_by_the_next_task() {
    model(|| {
        let world = World::new();
        let worker = world.spawn(|world| u32::from(world.work(1)) + u32::from(world.work(1)));
        let mut ran = 0;
        let first = world.post(0, 1);
        ran += u32::from(world.work(2));
        if world.board.outcome(0, first) == Some(Outcome::Done) {
            assert_eq!(world.result(0), 101);
            let second = world.board.free(0, first);
            assert_eq!(world.post(0, 2), second);
            ran += worker.join().unwrap() + u32::from(world.work(2));
            assert_eq!(
                (world.board.outcome(0, second), world.result(0)),
                (Some(Outcome::Done), 102)
            );
            assert_eq!(ran, 2);
        } else {
            assert_eq!(ran + worker.join().unwrap(), 1);
        }
    });
}

#[test]
fn a_waiter_sees_the_end_or_is_seen_by_who_ends_the_task() {
    model(|| {
        let world = World::new();
        let generation = world.post(0, 1);
        let worker = world.spawn(|world| {
            let claim = world.board.claim(1).unwrap();
            world.run(claim).unwrap()
        });
        let waits = world.board.want(0, generation);
        if !waits {
            assert_eq!(world.result(0), 101);
        }
        assert!(worker.join().unwrap() || !waits, "nobody will wake the waiter");
        assert!(!world.board.is_pending(0, generation));
    });
}

#[test]
fn a_task_of_a_dead_worker_has_one_outcome() {
    model(|| {
        let world = World::new();
        let generation = world.post(0, 1);
        // It dies after its claim; the owner learns of it by the join.
        world.spawn(|world| assert!(world.board.claim(1).is_some())).join().unwrap();
        let waiter = world.spawn(move |world| world.board.want(0, generation));
        let other = world.spawn(|world| world.work(2));
        assert!(world.board.bury(0, 1));
        assert_eq!(world.board.outcome(0, generation), Some(Outcome::Died));
        waiter.join().unwrap();
        assert!(!other.join().unwrap());
        assert!(!world.board.bury(0, 1) && !world.board.is_pending(0, generation));
    });
}

#[test]
fn a_task_that_is_posted_again_is_run_once_more() {
    model(|| {
        let world = World::new();
        let generation = world.post(0, 1);
        world.spawn(|world| assert!(world.board.claim(1).is_some())).join().unwrap();
        let other = world.spawn(|world| world.work(2));
        let waits = world.board.want(0, generation);
        assert!(world.board.has_room() && world.board.repost(0, 1));
        let ran = u32::from(other.join().unwrap()) + u32::from(world.work(3));
        assert!(waits && ran == 1);
        assert_eq!(
            (world.board.outcome(0, generation), world.result(0)),
            (Some(Outcome::Done), 101)
        );
    });
}

#[test]
fn a_task_is_cancelled_or_done_and_who_runs_it_is_told() {
    model(|| {
        let world = World::new();
        let generation = world.post(0, 1);
        let worker = world.spawn(|world| world.board.claim(1).map(|claim| world.run(claim)));
        let cancelled = world.board.cancel(0, generation);
        let ended = worker.join().unwrap();
        match world.board.outcome(0, generation) {
            Some(Outcome::Cancelled) => assert!(cancelled && !matches!(ended, Some(Ok(_)))),
            Some(Outcome::Done) => assert!(!cancelled && matches!(ended, Some(Ok(_)))),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn stale_hints_hold_up_nobody() {
    model(|| {
        let world = World::new();
        let first = world.post(0, 1);
        world.board.cancel(0, first);
        let second = world.post(1, 2);
        let workers = [1, 2].map(|worker| world.spawn(move |world| u32::from(world.work(worker))));
        let ran: u32 = workers.map(|worker| worker.join().unwrap()).into_iter().sum();
        assert_eq!((ran, world.board.outcome(1, second)), (1, Some(Outcome::Done)));
    });
}
