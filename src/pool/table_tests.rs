use super::*;

fn post(table: &mut Table) -> u32 {
    let slot = table.take_slot().unwrap().unwrap();
    table.post(slot, &Plan { call: [0; 2], flags: 0, retries: 0 }, Payload::Short(&[]))
}

#[test]
fn the_dead_worker_of_a_slot_that_was_used_again_has_the_task_that_is_there_now() {
    let mut table = Table::new(Arc::new(Site::create(1, 64 << 10).unwrap()));
    let board = table.site.board.clone();
    let first = post(&mut table);
    let done = board.claim(0).unwrap();
    board.write_result(done, task::RETURNED, 0, Payload::Short(&[]));
    board.finish(done).unwrap();
    assert!(matches!(table.collect(first), Some(Outcome::Returned { .. })));
    let second = post(&mut table);
    assert_eq!(board.claim(0).unwrap().slot, done.slot);
    assert_eq!(table.order.len(), 2, "the entry of the first is still there");
    table.bury(0, Some(9), None);
    let outcome = table.collect(second);
    assert!(matches!(outcome, Some(Outcome::Died { signal: Some(9), code: None })), "{outcome:?}");
    let slots = [table.take_slot().unwrap(), table.take_slot().unwrap()];
    assert_ne!(slots[0], slots[1], "freed once");
}
