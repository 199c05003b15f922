//! Every interleaving of a few who claim, attach, read, free and collect runs of pages.
//!
//! A part of the library's own tests, because runs that are half taken or half freed are nobody
//! else's business. The pages are followed by the model (`model.rs`): reading one that is not ordered
//! after its writing, or writing one that is not ordered after its reading, is a failure by itself.

use super::model::{Model, World};
use super::words::*;
use super::{NoRun, Pages, Run};
use crate::sync::{AtomicU64, Ordering::*};
use loom::thread;
use std::sync::Arc;

type Heap = Pages<Model>;

const PAGE: usize = GRAIN_BYTES as usize;
/// The position of the one message.
const AT: u64 = 5 << 16;

fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(3);
    builder.max_branches = 5000; // who collects looks at many words
    builder.check(f);
}

fn heap(count: usize) -> (Arc<World>, [Heap; 4]) {
    let world = World::new(count, 1);
    let handles = [1, 2, 3, 4].map(|number| world.seen_by(number, count));
    (world, handles)
}

fn never(_: u64) -> bool {
    false
}

/// Writes all of a run.
fn fill(heap: &Heap, run: &Run) {
    use super::Site;
    heap.site.writing(run.first, run.pages);
}

/// Reads the message of `pages` pages.
fn read(heap: &Heap, first: usize, pages: usize) {
    heap.message(first, pages * PAGE, AT).unwrap();
}

fn claim(heap: &Heap, pages: usize) -> Option<Run> {
    match heap.claim(pages * PAGE) {
        Ok(run) => {
            fill(heap, &run);
            Some(run)
        }
        Err(NoRun::Full) => None,
        Err(why) => panic!("{why:?}"),
    }
}

/// Everybody rests, or is dead: all is there, and may be written.
fn assert_works(world: &Arc<World>) {
    let heap = world.seen_by(9, 0);
    let all = claim(&heap, world.heads.len()).expect("a page is lost");
    heap.free(all);
}

#[test]
fn of_two_who_want_the_same_pages_one_has_them() {
    model(|| {
        let (world, [a, b, _, _]) = heap(3);
        let other = thread::spawn(move || {
            let run = claim(&a, 2);
            let had = run.is_some();
            run.into_iter().for_each(|run| a.free(run));
            had
        });
        let run = claim(&b, 2);
        let had = run.is_some();
        run.into_iter().for_each(|run| b.free(run));
        assert!(other.join().unwrap() || had, "both gave up");
        assert_works(&world);
    });
}

#[test]
fn runs_of_different_lengths_never_share_a_page() {
    model(|| {
        let (world, [a, b, c, _]) = heap(3);
        let lower = claim(&c, 1).unwrap();
        let other = thread::spawn(move || claim(&a, 1).map(|run| a.free(run)));
        let run = claim(&b, 2);
        c.free(lower);
        run.into_iter().for_each(|run| b.free(run));
        other.join().unwrap();
        assert_works(&world);
    });
}

#[test]
fn a_run_is_written_again_only_after_it_was_read() {
    model(|| {
        let (world, [a, b, c, _]) = heap(2);
        let run = claim(&a, 2).unwrap();
        let first = a.attach(run, AT);
        let consumer = thread::spawn(move || {
            read(&b, first, 2);
            b.release(first, AT);
        });
        if let Some(run) = claim(&c, 1) {
            c.free(run);
        }
        consumer.join().unwrap();
        assert_works(&world);
    });
}

/// The consumer has popped the message and not freed it yet, when others find that it is over.
#[test]
fn a_run_is_freed_once_by_who_popped_it_or_by_who_collects() {
    model(|| {
        let (world, [a, b, c, d]) = heap(2);
        let run = claim(&a, 2).unwrap();
        let first = a.attach(run, AT);
        let slot = Arc::new(AtomicU64::new(0));
        let consumer = thread::spawn({
            let slot = slot.clone();
            move || {
                read(&b, first, 2);
                slot.store(1, Release); // popped
                b.release(first, AT);
            }
        });
        let collector = thread::spawn({
            let slot = slot.clone();
            move || c.collect(|at| at == AT && slot.load(Acquire) == 1).unwrap()
        });
        // The next message goes to the same page, and stays.
        let next = d.claim(PAGE);
        if let Ok(run) = next {
            fill(&d, &run);
            d.attach(run, AT + (1 << 16));
        }
        consumer.join().unwrap();
        collector.join().unwrap();
        let heap = world.seen_by(9, 0);
        assert!(heap.collect(|_| true).unwrap() <= 1);
        assert_works(&world);
    });
}

#[test]
fn a_message_is_seen_with_its_note() {
    model(|| {
        let (world, [a, b, _, _]) = heap(2);
        let producer = thread::spawn(move || {
            let run = claim(&a, 2).unwrap();
            a.attach(run, AT);
        });
        // It dies before it publishes the slot, so the position is over.
        b.collect(|_| true).unwrap();
        producer.join().unwrap();
        b.collect(|_| true).unwrap();
        assert_works(&world);
    });
}

#[test]
fn who_dies_while_he_takes_pages_leaves_them_to_others() {
    model(|| {
        let (world, [a, b, c, _]) = heap(3);
        let victim = thread::spawn({
            let world = world.clone();
            move || {
                // He takes the first page, and the second if he can, and dies.
                let _ = claim(&a, 2);
                world.bury(1);
            }
        });
        let other = thread::spawn(move || claim(&b, 1).map(|run| b.free(run)));
        let _ = c.collect(never).unwrap();
        victim.join().unwrap();
        other.join().unwrap();
        c.collect(never).unwrap();
        assert_works(&world);
    });
}

/// He has freed the second page, which is another's now.
#[test]
fn who_dies_while_he_frees_pages_takes_none_along() {
    model(|| {
        let (world, [a, b, c, _]) = heap(3);
        let run = claim(&a, 3).unwrap();
        let victim = thread::spawn({
            let world = world.clone();
            move || {
                for page in run.first + 1..run.first + run.pages {
                    super::put(a.head(page), FREE);
                }
                world.bury(1);
            }
        });
        let other = thread::spawn(move || {
            let run = claim(&b, 2);
            if let Some(run) = &run {
                fill(&b, run);
            }
            run.map(|run| b.attach(run, AT))
        });
        c.collect(never).unwrap();
        victim.join().unwrap();
        let first = other.join().unwrap();
        let heap = world.seen_by(9, 0);
        heap.collect(never).unwrap();
        if let Some(first) = first {
            // It has not lost a page to who came too late for the dead one's.
            read(&heap, first, 2);
            let rest = claim(&heap, 1).unwrap();
            assert!(claim(&heap, 1).is_none());
            heap.free(rest);
            heap.release(first, AT);
        }
        assert_works(&world);
    });
}

#[test]
fn two_who_collect_at_once_free_a_run_once() {
    model(|| {
        let (world, [a, b, c, d]) = heap(2);
        let _ = claim(&a, 2).unwrap();
        world.bury(1);
        let other = thread::spawn(move || b.collect(never).unwrap());
        let mine = c.collect(never).unwrap();
        let run = claim(&d, 2);
        let theirs = other.join().unwrap();
        assert_eq!(mine + theirs, 1);
        run.into_iter().for_each(|run| d.free(run));
        assert_works(&world);
    });
}

#[test]
fn a_place_that_changes_hands_is_not_blamed_for_the_dead() {
    model(|| {
        let (world, [a, b, _, _]) = heap(1);
        let _ = claim(&a, 1).unwrap();
        world.bury(1);
        let heir = thread::spawn({
            let world = world.clone();
            move || {
                world.occupy_again(1);
                let heap = world.seen_by(1, 1);
                heap.collect(never).unwrap();
                let run = claim(&heap, 1);
                if let Some(run) = &run {
                    fill(&heap, run);
                }
                run.into_iter().for_each(|run| heap.free(run));
            }
        });
        if b.collect(never).unwrap() == 1 {
            claim(&b, 1).into_iter().for_each(|run| b.free(run));
        }
        heir.join().unwrap();
        assert_works(&world);
    });
}
