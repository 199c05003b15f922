//! The heap in one process: participants die at every step, and any bytes are a heap.

use super::model::{Model, World};
use super::*;
use crate::sync::AtomicU64;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

type Heap = Pages<Model>;

const GRAIN: usize = GRAIN_BYTES as usize;

/// A position, as an index word without its low bits.
const fn at(position: u64) -> u64 {
    position << 16
}

fn never(_: u64) -> bool {
    false
}

/// All of the heap is there, in one run and page by page, and memory is where the notes say.
fn assert_works(world: &Arc<World>) {
    let heap = world.seen_by(20, 0);
    let count = world.heads.len();
    for _ in 0..2 {
        let all = heap.claim(count * heap.geometry.page_bytes as usize).unwrap();
        assert_eq!((all.first, all.pages), (0, count));
        heap.free(all);
        let each: Vec<Run> = (0..count).map(|_| heap.claim(1).unwrap()).collect();
        assert!(matches!(heap.claim(1), Err(NoRun::Full)));
        each.into_iter().for_each(|run| heap.free(run));
    }
    assert_notes(world);
}

fn assert_notes(world: &Arc<World>) {
    let grains = world.grains.lock().unwrap();
    let each = world.seen_by(20, 0).geometry.page_bytes / GRAIN_BYTES;
    for (page, note) in world.notes.iter().enumerate() {
        let noted = page as u64 * each..page as u64 * each + u64::from(note.backed.load(Relaxed));
        assert!(noted.clone().all(|grain| grains.contains(&grain)), "page {page}: {noted:?}");
    }
}

#[test]
fn runs_lie_beside_each_other_and_come_again() {
    let world = World::new(8, 2);
    let (a, b) = (world.seen_by(1, 8), world.seen_by(2, 8));
    let first = a.claim(2 * GRAIN).unwrap();
    let second = b.claim(2 * GRAIN + 1).unwrap();
    let third = a.claim(10 * GRAIN).unwrap();
    assert_eq!([first.first, second.first, third.first], [0, 1, 3]);
    assert!(matches!(b.claim(1), Err(NoRun::Full)));
    assert!(matches!(b.claim(16 * GRAIN + 1), Err(NoRun::TooLarge)));
    b.free(second);
    let fourth = b.claim(3 * GRAIN).unwrap();
    assert_eq!((fourth.first, fourth.pages), (1, 2));
    [first, third].into_iter().for_each(|run| a.free(run));
    b.free(fourth);
    assert_works(&world);
}

#[test]
fn zeroed_words_are_an_empty_heap() {
    let world = World::new(4, 1);
    assert!(world.heads.iter().all(|head| head.0.load(Relaxed) == 0));
    assert!(world.grains.lock().unwrap().is_empty());
    assert_works(&world);
}

#[test]
fn a_message_is_found_by_its_position_alone_and_freed_once() {
    let world = World::new(4, 1);
    let (a, b) = (world.seen_by(1, 4), world.seen_by(2, 4));
    let mut run = a.claim(GRAIN + 1).unwrap();
    a.bytes_mut(&mut run).fill(7);
    assert!(a.bytes(&run).iter().all(|byte| *byte == 7));
    let first = a.attach(run, at(9));
    assert!(b.message(first, GRAIN + 1, at(9)).is_some());
    assert!(b.message(first, GRAIN + 1, at(8)).is_none(), "another position");
    assert!(b.message(first + 1, 1, at(9)).is_none(), "not the first page");
    assert!(b.message(first, 2 * GRAIN + 1, at(9)).is_none(), "longer than the run");
    assert!(b.message(usize::MAX, 1, at(9)).is_none(), "no such page");
    b.release(first, at(8));
    assert!(b.message(first, GRAIN + 1, at(9)).is_some());
    b.release(first, at(9));
    assert!(b.message(first, GRAIN + 1, at(9)).is_none());
    let next = b.claim(4 * GRAIN).unwrap();
    a.release(first, at(9)); // late
    world.heads[3].0.store(at(9) | ATTACHED, Relaxed);
    world.notes[3].pages.store(u32::MAX, Relaxed);
    assert!(b.message(3, GRAIN + 1, at(9)).is_none(), "beyond the end");
    world.heads[3].0.store(part_of(0), Relaxed);
    assert!(matches!(a.claim(1), Err(NoRun::Full)));
    b.free(next);
    assert_works(&world);
}

#[test]
fn memory_is_asked_for_once_and_only_where_it_is_needed() {
    let world = World::new(4, 4);
    let heap = world.seen_by(1, 4);
    let grains = || world.grains.lock().unwrap().iter().copied().collect::<Vec<_>>();
    let run = heap.claim(GRAIN + 1).unwrap();
    assert_eq!(grains(), [0, 1]);
    heap.free(run);
    let run = heap.claim(5 * GRAIN).unwrap();
    assert_eq!(grains(), [0, 1, 2, 3, 4]);
    heap.free(run);
    world.grains_max.store(5, SeqCst);
    heap.free(heap.claim(5 * GRAIN).unwrap());
    assert!(matches!(heap.claim(6 * GRAIN), Err(NoRun::Failed(Error::NoSpace))));
    heap.free(heap.claim(5 * GRAIN).unwrap());
    world.grains_max.store(u32::MAX, SeqCst);
    assert_works(&world);

    // In two places, with what is there in between.
    let world = World::new(3, 1);
    world.grains.lock().unwrap().insert(1);
    world.notes[1].backed.store(1, Relaxed);
    let heap = world.seen_by(1, 3);
    heap.free(heap.claim(3 * GRAIN).unwrap());
    assert_notes(&world);
}

#[test]
fn memory_of_large_runs_beyond_what_is_kept_is_given_back() {
    let world = World::new(8, 8);
    let heap = world.seen_by(1, 4);
    let len = || world.grains.lock().unwrap().len();
    let all = heap.claim(64 * GRAIN).unwrap();
    assert_eq!(len(), 64);
    heap.free(all);
    assert_eq!(len(), 32);
    assert_notes(&world);
    let low = heap.claim(32 * GRAIN).unwrap();
    let small = heap.claim(GRAIN).unwrap();
    heap.free(small);
    assert_eq!(len(), 33, "less than a system call is worth");
    heap.free(low);
    assert_works(&world);
}

#[test]
fn the_runs_of_the_dead_and_of_messages_that_are_gone_are_collected() {
    let world = World::new(6, 1);
    let (a, b, c) = (world.seen_by(1, 6), world.seen_by(2, 6), world.seen_by(3, 6));
    let _dead = a.claim(2 * GRAIN).unwrap();
    let living = b.claim(GRAIN).unwrap();
    b.attach(b.claim(GRAIN).unwrap(), at(3));
    b.attach(b.claim(2 * GRAIN).unwrap(), at(4));
    assert_eq!(c.collect(never).unwrap(), 0);
    world.bury(1);
    assert!(matches!(c.claim_or_collect(3 * GRAIN, never), Err(NoRun::Full)));
    assert_eq!(c.collect(|position| position == at(4)).unwrap(), 1);
    assert_eq!(c.collect(|position| position == at(3)).unwrap(), 1);
    let rest = c.claim(3 * GRAIN).unwrap();
    assert_eq!(rest.first, 3);
    [rest].into_iter().for_each(|run| c.free(run));
    b.free(living);
    assert_works(&world);
}

/// What one participant does from a heap that is half full of garbage, in as many steps as it lives.
fn work(heap: &Heap) {
    let run = heap.claim_or_collect(3 * 2 * GRAIN, never).unwrap();
    let first = heap.attach(run, at(7));
    heap.release(first, at(7));
    let run = heap.claim(9 * GRAIN).unwrap();
    heap.free(run);
}

/// What came of `f`, if its process has not died in it.
fn unless_killed<R>(f: impl FnOnce() -> R) -> Option<R> {
    let killed = |why: Box<dyn std::any::Any + Send>| why.downcast_ref() == Some(&"killed");
    catch_unwind(AssertUnwindSafe(f)).map_err(|why| assert!(killed(why), "it failed")).ok()
}

#[test]
fn a_death_at_any_step_leaves_garbage_at_most() {
    let mut complete = false;
    for steps in 0.. {
        let world = World::new(6, 2);
        let [early, victim] = [1, 2].map(|number| world.seen_by(number, 2));
        let _ = (early.claim(1).unwrap(), early.claim(6 * GRAIN).unwrap());
        world.bury(1);
        world.fuse.store(steps, SeqCst);
        complete = unless_killed(|| work(&victim)).is_some();
        world.fuse.store(u64::MAX, SeqCst);
        // While the dead are not known as such, nothing is taken from them, and all else goes on.
        let survivor = world.seen_by(3, 2);
        if let Ok(run) = survivor.claim(GRAIN) {
            survivor.free(run);
        }
        world.bury(2);
        // Whoever collects dies as well.
        for steps in (0..40).rev() {
            let number = 4 + (steps % 3) as u32;
            world.fuse.store(steps, SeqCst);
            unless_killed(|| world.seen_by(number, 2).collect(|_| true).unwrap());
            world.fuse.store(u64::MAX, SeqCst);
            assert_notes(&world);
            world.bury(number);
        }
        survivor.collect(|_| true).unwrap();
        assert_works(&world);
        if complete {
            assert!(steps > 60, "only {steps} steps");
            break;
        }
    }
    assert!(complete);
}

#[test]
fn who_collects_a_half_freed_run_takes_no_memory_from_the_living() {
    let mut complete = false;
    for steps in 0.. {
        // Pages so large that each is worth giving back.
        let world = World::new(6, 16);
        let [victim, living] = [1, 2].map(|number| world.seen_by(number, 0));
        let all = 6 * 16 * GRAIN;
        // A note that is too high for the run that is claimed next.
        victim.free(victim.claim(all).unwrap());
        world.fuse.store(steps, SeqCst);
        complete = unless_killed(|| {
            let small = victim.claim(1).unwrap();
            victim.free(small);
            victim.free(victim.claim(all).unwrap());
        })
        .is_some();
        world.fuse.store(u64::MAX, SeqCst);
        let runs: Vec<Run> = std::iter::from_fn(|| living.claim(16 * GRAIN).ok()).collect();
        world.bury(1);
        world.seen_by(3, 0).collect(|_| true).unwrap();
        let grains = world.grains.lock().unwrap().clone();
        for run in &runs {
            let page = run.first as u64 * 16;
            assert!((page..page + 16).all(|grain| grains.contains(&grain)), "after {steps} steps");
            assert_eq!(world.notes[run.first].backed.load(Relaxed), 16);
        }
        runs.into_iter().for_each(|run| living.free(run));
        assert_works(&world);
        if complete {
            break;
        }
    }
    assert!(complete);
}

/// Between the verdict on the dead and the claim of his run the page goes through other hands, and
/// comes into those of a living one who has the number of the dead.
#[test]
fn a_late_look_takes_nothing_from_the_living() {
    let world = World::new(2, 1);
    let [victim, slow, fast] = [1, 2, 3].map(|number| world.seen_by(number, 2));
    let _ = victim.claim(1).unwrap();
    world.bury(1);
    let taken = Arc::new(AtomicU64::new(0));
    *world.meanwhile.lock().unwrap() = Some(Box::new({
        let (world, taken) = (world.clone(), taken.clone());
        move || {
            assert_eq!(fast.collect(never).unwrap(), 1);
            world.occupy_again(1);
            let run = world.seen_by(1, 2).claim(1).unwrap();
            taken.store(world.heads[run.first].0.load(Relaxed), SeqCst);
        }
    }));
    assert_eq!(slow.collect(never).unwrap(), 0);
    assert_eq!(world.heads[0].0.load(Relaxed), taken.load(SeqCst));
    world.bury(1);
    assert_works_after(&world, 1);
}

fn assert_works_after(world: &Arc<World>, garbage: usize) {
    assert_eq!(world.seen_by(21, 0).collect(never).unwrap(), garbage);
    assert_works(world);
}

#[test]
fn the_dead_are_known_whether_their_place_was_taken_or_not() {
    let world = World::new(4, 1);
    let [victim, other, _] = [1, 2, 3].map(|number| world.seen_by(number, 2));
    let _ = victim.claim(2 * GRAIN).unwrap();
    let kept = other.claim(1).unwrap();
    other.attach(kept, at(1)); // the number 1 is not where a position has it
    world.bury(1);
    world.occupy_again(1);
    other.release(2, at(1));
    assert_works_after(&world, 1);
}

#[test]
fn a_forked_child_does_nothing_with_the_runs_of_its_parent() {
    let world = World::new(2, 1);
    let [parent, child] = [1, 2].map(|number| world.seen_by(number, 2));
    let inherited = |run: &Run| Run { ..*run };
    let run = parent.claim(2 * GRAIN).unwrap();
    child.free(inherited(&run));
    child.attach(inherited(&run), at(1));
    assert!(matches!(child.claim(1), Err(NoRun::Full)));
    assert!(child.message(0, 1, at(1)).is_none());
    parent.free(run);
    assert_works(&world);
}

#[test]
fn a_hint_is_no_more_than_that() {
    let world = World::new(4, 1);
    let heap = world.seen_by(1, 4);
    for hint in [1, 3, 4, u32::MAX] {
        heap.site.words().lowest.store(hint, Relaxed);
        let run = heap.claim(4 * GRAIN).unwrap();
        heap.free(run);
    }
    assert_works(&world);
}

#[test]
fn pages_are_as_small_as_the_number_of_messages_asks_for() {
    let of = |bytes, messages| {
        let geometry = Geometry::new(bytes, messages);
        (geometry.page_bytes, geometry.count, geometry.kept)
    };
    assert_eq!(of(128 << 20, 16), (128 << 10, 1024, 256));
    assert_eq!(of(128 << 20, 16384), (4096, 32768, 8192));
    assert_eq!(of(128 << 20, 1 << 30), (4096, 32768, 8192));
    assert_eq!(of(1 << 40, 1 << 30), (1 << 20, 1 << 20, 1 << 18));
    assert_eq!(of(16 << 20, 1), (16 << 10, 1024, 1024));
    assert_eq!(of(5000, 1), (4096, 2, 2));
    assert_eq!(of(0, 1), (4096, 0, 0));
    assert_eq!(Geometry::new(u64::MAX, 1).bytes(), None);
}

#[test]
fn a_heap_without_pages_has_no_room() {
    let geometry = Geometry::new(0, 1);
    assert_eq!((geometry.pages_for(0), geometry.count), (1, 0));
}

proptest! {
    /// Any bytes are a heap: every answer comes, and no page is anybody's that is not there.
    #[test]
    fn any_bytes_are_an_answer(
        words in proptest::collection::vec(any_word(), 6),
        notes in proptest::collection::vec((any::<u32>(), any::<u32>()), 6),
        hint: u32,
        stamp: u64,
        lens in proptest::collection::vec(1..8 * 2 * GRAIN, 4),
    ) {
        let world = World::new(6, 2);
        for (page, word) in words.into_iter().enumerate() {
            world.heads[page].0.store(word, Relaxed);
            world.notes[page].pages.store(notes[page].0, Relaxed);
            world.notes[page].backed.store(notes[page].1, Relaxed);
        }
        let heap = world.seen_by(1, 2);
        heap.site.words().lowest.store(hint, Relaxed);
        heap.site.words().stamp.store(stamp, Relaxed);
        for (nth, len) in lens.into_iter().enumerate() {
            heap.message(nth, len, at(nth as u64));
            heap.release(nth, at(nth as u64));
            match heap.claim_or_collect(len, |position| position & 1 << 16 == 0) {
                Ok(mut run) => {
                    prop_assert!(run.first + run.pages <= 6);
                    heap.bytes_mut(&mut run).fill(1);
                    if nth % 2 == 0 {
                        heap.free(run);
                    } else {
                        heap.attach(run, at(nth as u64));
                    }
                }
                Err(NoRun::TooLarge) => prop_assert!(len > 6 * 2 * GRAIN),
                Err(NoRun::Full | NoRun::Corrupt) => {}
                Err(NoRun::Failed(why)) => prop_assert!(false, "{}", why),
            }
        }
    }

    /// Whatever is claimed, attached, freed and lost in whichever order: no page is two runs', and
    /// when everybody is dead and gone all of the heap is there.
    #[test]
    fn every_page_is_one_runs(steps in proptest::collection::vec((0..5u8, 1..5 * GRAIN, 1..5u32), 1..60)) {
        let world = World::new(8, 1);
        let mut held: Vec<(Run, Heap)> = Vec::new();
        let (mut in_ring, mut position) = (BTreeSet::new(), 0);
        for (what, len, number) in steps {
            let heap = world.seen_by(number, 3);
            match (what, held.pop()) {
                (0 | 1, last) => {
                    held.extend(last);
                    if let Ok(mut run) = heap.claim(len) {
                        heap.bytes_mut(&mut run).fill(held.len() as u8);
                        held.push((run, heap));
                    }
                }
                (2, Some((run, heap))) => heap.free(run),
                (3, Some((run, heap))) => {
                    position += 1;
                    in_ring.insert((heap.attach(run, at(position)), at(position)));
                }
                (_, last) => {
                    held.extend(last);
                    if let Some((first, at)) = in_ring.pop_first() {
                        heap.release(first, at);
                    }
                }
            }
            for (nth, (run, heap)) in held.iter().enumerate() {
                prop_assert!(heap.bytes(run).iter().all(|byte| *byte == nth as u8));
            }
        }
        (1..5).for_each(|number| world.bury(number));
        world.seen_by(6, 3).collect(|_| true).unwrap();
        assert_works(&world);
    }
}

/// Words that nearly make sense, and others.
fn any_word() -> impl Strategy<Value = u64> {
    let low = prop_oneof![0..8u64, any::<u64>()];
    let high = prop_oneof![0..8u64, any::<u64>()];
    prop_oneof![
        Just(FREE),
        (high.clone(), low).prop_map(|(high, low)| high << STAMP_SHIFT | low & LOW),
        high.prop_map(|first| part_of(first as usize)),
    ]
}

/// Threads that are participants of their own claim, fill, attach, read and release; some die with
/// what they have.
#[test]
fn nobody_ever_reads_what_another_wrote() {
    const THREADS: u32 = 4;
    const DEATHS: u32 = 5;
    let world = World::new(12, 1);
    let slots: Arc<[AtomicU64; 4]> = Arc::default();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (world, slots) = (world.clone(), slots.clone());
            scope.spawn(move || {
                let numbers = 1 + thread * DEATHS..=(thread + 1) * DEATHS;
                for number in numbers {
                    live(&world.seen_by(number, 6), &slots, u64::from(number));
                    world.bury(number);
                }
            });
        }
    });
    world.seen_by(25, 6).collect(|_| true).unwrap();
    assert_works(&world);
}

/// A slot is a position and, while a message is there, its first page plus one.
fn live(heap: &Heap, slots: &[AtomicU64; 4], seed: u64) {
    const TAKEN: u64 = 0xffff;
    let is_over = |position: u64| {
        let slot = &slots[(position >> 16) as usize % 4];
        slot.load(Acquire) >> 16 != position >> 16
    };
    for round in 0..300 {
        let slot = &slots[((seed + round) % 4) as usize];
        let len = ((seed * 31 + round * 7) as usize % 4 + 1) * GRAIN;
        let now = slot.load(Acquire);
        if now & TAKEN == TAKEN || slot.compare_exchange(now, now | TAKEN, AcqRel, Acquire).is_err()
        {
            continue;
        }
        let (position, index) = (now & !TAKEN, (seed + round) % 4);
        if now & TAKEN != 0 {
            let first = (now & TAKEN) as usize - 1;
            let bytes = heap.message(first, GRAIN, position).unwrap();
            // SAFETY: the slot is ours, and with it the message.
            let (mark, end) = unsafe { (bytes.read(), bytes.add(GRAIN - 1).read()) };
            assert!(mark == end && mark == (position >> 18) as u8, "torn");
            slot.store(position + (4 << 16), Release);
            if round % 3 != 0 {
                heap.release(first, position);
            }
            continue;
        }
        // The first positions are the indices.
        let position = if position == 0 { (index + 4) << 16 } else { position };
        match heap.claim_or_collect(len, is_over) {
            Ok(mut run) => {
                heap.bytes_mut(&mut run).fill((position >> 18) as u8);
                slot.store(position | TAKEN, Release);
                let first = heap.attach(run, position);
                slot.store(position | (first as u64 + 1), Release);
            }
            Err(NoRun::Full) => slot.store(now, Release),
            Err(why) => panic!("{why:?}"),
        }
    }
    let _ = heap.claim(GRAIN); // it dies with that
}
