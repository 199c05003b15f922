use super::*;

fn board(slots: usize) -> Board<Heap> {
    Board::new(Heap::new(slots))
}

fn post(board: &Board<Heap>, slot: u32) -> u64 {
    assert!(board.has_room());
    let generation = board.generation(slot);
    board.post(slot, generation);
    generation
}

#[test]
fn tasks_are_claimed_in_the_order_in_which_they_were_posted() {
    let board = board(4);
    for slot in [2, 0, 3] {
        post(&board, slot);
    }
    let claims: Vec<_> = std::iter::from_fn(|| board.claim(1)).collect();
    assert_eq!(claims.iter().map(|claim| claim.slot).collect::<Vec<_>>(), [2, 0, 3]);
    assert!(claims.into_iter().all(|claim| board.finish(claim) == Ok(false)));
}

#[test]
fn nothing_is_claimed_on_a_board_of_zeros() {
    let board = board(2);
    assert_eq!(board.claim(1), None);
    assert!(!board.is_pending(0, board.generation(0)) && board.outcome(0, 1).is_none());
    assert!(!board.bury(0, 0) && !board.cancel(0, 1) && !board.want(0, 1));
}

#[test]
fn a_slot_goes_round_many_times() {
    let board = board(2);
    for round in 1..200 {
        for slot in [0, 1] {
            assert_eq!(post(&board, slot), round);
        }
        for slot in [0, 1] {
            let claim = board.claim(7).unwrap();
            assert_eq!((claim.slot, claim.generation), (slot, round));
            assert!(board.is_pending(slot, round) && board.is_run_by(slot, 7));
            assert_eq!(board.finish(claim), Ok(false));
            assert_eq!(board.outcome(slot, round), Some(Outcome::Done));
            assert_eq!(board.free(slot, round), round + 1);
            assert_eq!(board.outcome(slot, round), None);
        }
        assert_eq!(board.claim(7), None);
    }
}

#[test]
fn the_last_generation_is_followed_by_the_first() {
    let last = u64::MAX >> 18;
    assert_eq!((next_generation(last), next_generation(1)), (1, 2));
    let word = word(last, WORKERS_MOST - 1, RUN);
    assert_eq!((generation_of(word), worker_of(word)), (last, WORKERS_MOST - 1));
    assert_eq!(of_hint(hint(SLOTS_MOST - 1, last)), (SLOTS_MOST - 1, last));
}

#[test]
fn who_finishes_is_told_of_those_who_wait() {
    let board = board(2);
    let generation = post(&board, 0);
    assert!(board.want(0, generation) && board.want(0, generation));
    let claim = board.claim(1).unwrap();
    assert!(board.want(0, generation));
    assert_eq!(board.finish(claim), Ok(true));
    assert!(!board.want(0, generation));
    assert_eq!(board.finish(claim), Err(Lost));
}

#[test]
fn only_the_task_of_the_dead_worker_is_buried() {
    let board = board(4);
    let generations: Vec<u64> = (0..3).map(|slot| post(&board, slot)).collect();
    let claims = [board.claim(1).unwrap(), board.claim(2).unwrap()];
    assert!((0..3).filter(|slot| board.bury(*slot, 1)).eq([0]));
    assert_eq!(board.outcome(0, generations[0]), Some(Outcome::Died));
    assert_eq!(board.finish(claims[0]), Err(Lost), "were it not dead");
    assert_eq!(board.finish(claims[1]), Ok(false));
    assert_eq!(board.claim(3).unwrap().slot, 2);
}

#[test]
fn a_task_of_the_dead_is_posted_again_behind_the_others_and_still_wanted() {
    let board = board(4);
    let generations: Vec<u64> = (0..2).map(|slot| post(&board, slot)).collect();
    let lost = board.claim(1).unwrap();
    assert!(board.want(0, generations[0]) && board.repost(0, 1) && !board.repost(0, 1));
    assert!(board.is_ready(0, generations[0]));
    assert_eq!(board.claim(2).unwrap().slot, 1);
    let again = board.claim(2).unwrap();
    assert_eq!((again.slot, again.generation), (0, lost.generation));
    assert_eq!((board.finish(lost), board.finish(again)), (Err(Lost), Ok(true)));
}

#[test]
fn cancelled_tasks_are_not_claimed_and_their_hints_are_skipped() {
    let board = board(2);
    for _ in 0..100 {
        let generations = [post(&board, 0), post(&board, 1)];
        assert!(board.cancel(0, generations[0]) && !board.cancel(0, generations[0]));
        assert_eq!(board.outcome(0, generations[0]), Some(Outcome::Cancelled));
        let claim = board.claim(1).unwrap();
        assert_eq!(claim.slot, 1);
        assert!(board.cancel(1, generations[1]) && board.finish(claim) == Err(Lost));
        board.free(0, generations[0]);
        board.free(1, generations[1]);
    }
}

#[test]
fn the_owner_makes_room_for_hints_where_nobody_looks() {
    let board = board(2);
    for _ in 0..100 {
        // Nobody is there to skip the hints of these.
        let generation = post(&board, 0);
        assert!(board.cancel(0, generation));
        board.free(0, generation);
    }
    // Behind stale hints for the same slot.
    let generation = post(&board, 0);
    assert_eq!(board.claim(1).map(|claim| (claim.slot, claim.generation)), Some((0, generation)));
}

#[test]
fn the_owner_skips_no_hint_that_is_still_good() {
    let board = board(2);
    post(&board, 1);
    for _ in 0..3 {
        let generation = post(&board, 0);
        assert!(board.cancel(0, generation));
        board.free(0, generation);
    }
    assert!(!board.has_room(), "the first of four hints is not stale");
    assert_eq!(board.claim(1).map(|claim| claim.slot), Some(1));
    assert!(board.has_room());
}

#[test]
fn a_hint_beyond_the_board_claims_nothing() {
    let heap = Heap::new(2);
    heap.hint(0).store(hint(SLOTS_MOST - 1, 1), Relaxed);
    heap.hint(1).store(u64::MAX, Relaxed);
    heap.tail().store(2, Relaxed);
    assert_eq!(Board::new(heap.clone()).claim(1), None);
    heap.tail().store(1, Relaxed);
    heap.head().store(u64::MAX / 2, Relaxed);
    assert_eq!(Board::new(heap).claim(1), None);
}
