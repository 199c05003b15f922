//! The checker and the recorder are checked: histories made by hand, and queues with planted faults.

use shmkit::ring::{LeasedValue, MpmcRing, ReservedSlot};

use crate::Test;
use crate::check::{Cut, History, Life, Op, explain};
use crate::model::{No, Stamp, Step, Step::*};
use crate::run::{Weather, explain_all};
use crate::subject::Subject;

/// An operation, from its invocation to its return.
fn op(invoked: Stamp, returned: Stamp, steps: &[Step]) -> Op {
    Op { invoked, returned, steps: steps.to_vec() }
}

fn alive(ops: &[Op]) -> Life {
    Life { ops: ops.to_vec(), cut: None }
}

fn killed(ops: &[Op], invoked: Stamp, cut: Cut) -> Life {
    Life { ops: ops.to_vec(), cut: Some((invoked, cut)) }
}

fn pop(value: u64) -> Step {
    Pop(value, None)
}

const EMPTY: [Step; 2] = [PopRefused(No::Empty), NothingReturned];
const BUSY: [Step; 2] = [PopRefused(No::Busy), NothingReturned];

fn good(name: &str, capacity: usize, lives: Vec<Life>) -> Test {
    let history = History { capacity, lives };
    let run = move || {
        let explained = explain(&history);
        explained.map(|()| "explained".into()).map_err(|why| vec![format!("{history}\n{why:?}")])
    };
    Test { name: format!("checker::accepts_{name}"), run: Box::new(run) }
}

fn bad(name: &str, capacity: usize, lives: Vec<Life>) -> Test {
    let history = History { capacity, lives };
    let run = move || match explain(&history) {
        Ok(()) => Err(vec![format!("explained: {history}")]),
        Err(why) => Ok(format!("rejected: {why:?}")),
    };
    Test { name: format!("checker::rejects_{name}"), run: Box::new(run) }
}

/// Two pushes by one process, then pops by another.
fn then(steps: &[&[Step]]) -> Vec<Life> {
    let pushes = [op(1, 2, &[Push(1)]), op(3, 4, &[Push(2)])];
    let pops = steps.iter().zip(0..).map(|(steps, n)| op(5 + 2 * n, 6 + 2 * n, steps));
    vec![alive(&pushes), alive(&pops.collect::<Vec<_>>())]
}

/// A push of 1 returns, then what `lives` do, who are the other processes.
fn after_push(lives: Vec<Life>) -> Vec<Life> {
    [vec![alive(&[op(1, 2, &[Push(1)])])], lives].concat()
}

pub fn tests() -> Vec<Test> {
    [in_turn(), refusals(), lent(), of_the_killed(), planted()].into_iter().flatten().collect()
}

fn in_turn() -> Vec<Test> {
    let crossed = |first, second| {
        vec![
            alive(&[op(1, 2, &[Push(1)])]),
            alive(&[op(3, 4, &[Push(2)])]),
            alive(&[op(5, 6, &[pop(first)]), op(7, 8, &[pop(second)])]),
        ]
    };
    let at_once = vec![
        alive(&[op(1, 4, &[Push(1)])]),
        alive(&[op(2, 3, &[Push(2)])]),
        alive(&[op(5, 6, &[pop(2)]), op(7, 8, &[pop(1)])]),
    ];
    let mixed = |batch: &[Step]| {
        vec![
            alive(&[op(1, 6, &[Push(1), Push(2)])]),
            alive(&[op(2, 5, &[Push(3)])]),
            alive(&[op(7, 8, batch)]),
        ]
    };
    vec![
        good("first_in_first_out", 4, then(&[&[pop(1)], &[pop(2)], &EMPTY])),
        good("either_order_of_pushes_at_once", 4, at_once),
        good("a_value_between_those_of_a_batch", 4, mixed(&[pop(1), pop(3), pop(2)])),
        bad("values_of_a_batch_out_of_order", 4, mixed(&[pop(2), pop(1), pop(3)])),
        good("order_across_processes", 4, crossed(1, 2)),
        bad("a_doubled_value", 4, then(&[&[pop(1)], &[pop(1)]])),
        bad("a_lost_value", 4, then(&[&[pop(2)], &EMPTY])),
        bad("a_lost_last_value", 4, then(&[&[pop(1)], &EMPTY])),
        bad("disorder_of_one_process", 4, then(&[&[pop(2)], &[pop(1)]])),
        bad("disorder_across_processes", 4, crossed(2, 1)),
        bad("a_value_from_nowhere", 4, then(&[&[pop(7)]])),
        bad(
            "a_value_before_its_push",
            4,
            vec![alive(&[op(3, 4, &[Push(1)])]), alive(&[op(1, 2, &[pop(1)])])],
        ),
    ]
}

fn refusals() -> Vec<Test> {
    let full = |capacity| then(&[&[PushRefused(No::Full)], &[pop(1)], &[pop(2)]]).with(capacity);
    let during_a_push = |answer: &[Step]| {
        vec![alive(&[op(1, 4, &[Push(1)])]), alive(&[op(2, 3, answer), op(5, 6, &[pop(1)])])]
    };
    let during_a_pop = |answer| {
        vec![
            alive(&[op(1, 2, &[Push(1)])]),
            alive(&[op(3, 6, &[pop(1)])]),
            alive(&[op(4, 5, &[PushRefused(answer)])]),
        ]
    };
    // The queue is empty before the second push and after the first pop, but not in between.
    let never_empty = vec![
        alive(&[op(1, 2, &[Push(1)]), op(3, 4, &[Push(2)])]),
        alive(&[op(5, 6, &[pop(1)])]),
        alive(&[op(3, 6, &EMPTY), op(7, 8, &[pop(2)])]),
    ];
    let len = |step| then(&[&[step], &[pop(1)], &[pop(2)]]);
    vec![
        good("full", 2, full(2).1),
        bad("a_false_full", 3, full(3).1),
        good("full_while_a_pop_has_not_begun_to_count", 1, during_a_pop(No::Full)),
        good("busy_behind_a_pop", 1, during_a_pop(No::Busy)),
        bad("busy_with_room_elsewhere", 2, during_a_pop(No::Busy)),
        bad("one_more_than_fits", 1, then(&[&[pop(1)], &[pop(2)]])),
        bad("a_false_empty", 4, then(&[&EMPTY, &[pop(1)], &[pop(2)]])),
        bad("an_empty_that_never_was", 4, never_empty),
        good("empty_before_a_push_at_once", 4, during_a_push(&EMPTY)),
        good("busy_behind_a_push", 4, during_a_push(&BUSY)),
        bad("busy_with_nobody_in_the_way", 4, then(&[&BUSY, &[pop(1)], &[pop(2)]])),
        bad(
            "the_value_of_a_refused_push",
            1,
            vec![
                alive(&[op(1, 2, &[Push(1)]), op(3, 4, &[PushRefused(No::Full)])]),
                alive(&[op(5, 6, &[pop(1)]), op(7, 8, &[pop(2)])]),
            ],
        ),
        good("a_length", 4, len(Len(2))),
        bad("a_wrong_length", 4, len(Len(1))),
        bad("a_wrong_is_empty", 4, len(IsEmpty(true))),
        good("is_full", 2, len(IsFull(true))),
        bad("a_wrong_is_full", 3, len(IsFull(true))),
    ]
}

/// So that a history and its capacity are written side by side.
trait With: Sized {
    fn with(self, capacity: usize) -> (usize, Self) {
        (capacity, self)
    }
}
impl With for Vec<Life> {}

fn lent() -> Vec<Test> {
    let leased = |end: Step, rest: &[&[Step]]| {
        let rest = rest.iter().zip(0..).map(|(steps, n)| op(9 + 2 * n, 10 + 2 * n, steps));
        let lease = [op(5, 6, &[Lease(1, Some(false))]), op(7, 8, &[end])];
        vec![
            alive(&[op(1, 2, &[Push(1)]), op(3, 4, &[Push(2)])]),
            alive(&lease),
            alive(&rest.collect::<Vec<_>>()),
        ]
    };
    let reserved = |end: Step, answer: &[Step]| {
        vec![alive(&[op(1, 2, &[Reserve]), op(5, 6, &[end])]), alive(&[op(3, 4, answer)])]
    };
    vec![
        good("a_released_lease", 4, leased(Release(1), &[&[pop(2)], &EMPTY])),
        good("a_value_given_back", 4, leased(GiveBack(1), &[&[pop(2)], &[pop(1)], &EMPTY])),
        good("a_value_given_back_early", 4, leased(GiveBack(1), &[&[pop(1)], &[pop(2)]])),
        bad("a_released_value_again", 4, leased(Release(1), &[&[pop(2)], &[pop(1)]])),
        bad("a_value_given_back_and_lost", 4, leased(GiveBack(1), &[&[pop(2)], &EMPTY])),
        bad(
            "a_value_that_came_back_and_says_no",
            4,
            leased(GiveBack(1), &[&[Lease(1, Some(false))]]),
        ),
        bad(
            "a_new_value_that_says_it_came_back",
            4,
            leased(Release(1), &[&[Lease(2, Some(true))]]),
        ),
        good("full_behind_a_value_given_back", 2, {
            leased(GiveBack(1), &[&[PushRefused(No::Full)]])
        }),
        good("busy_behind_a_reserved_slot", 4, reserved(Commit(1), &BUSY)),
        bad("empty_behind_a_reserved_slot", 4, reserved(Commit(1), &EMPTY)),
        bad("a_value_before_its_commit", 4, reserved(Commit(1), &[pop(1)])),
        good("nothing_in_an_abandoned_slot", 4, reserved(Abandon, &BUSY)),
    ]
}

fn of_the_killed() -> Vec<Test> {
    let push_cut = |rest: &[Op]| vec![killed(&[], 1, Cut::Push(vec![1, 2])), alive(rest)];
    let pop_cut = |cut: Cut, rest: &[Op]| {
        let ops = [op(1, 2, &[Push(1)]), op(3, 4, &[Push(2)])];
        vec![alive(&ops), killed(&[], 5, cut), alive(rest)]
    };
    let lease_cut = |cut: Cut, rest: &[Op]| {
        after_push(vec![killed(&[op(3, 4, &[Lease(1, Some(false))])], 5, cut), alive(rest)])
    };
    let empty = |at| op(at, at + 1, &EMPTY);
    let recovered = |at| op(at, at + 1, &[Recover]);
    let popped = |at, value| op(at, at + 1, &[pop(value)]);
    vec![
        good("nothing_of_a_cut_push", 4, push_cut(&[empty(9)])),
        good("a_part_of_a_cut_batch", 4, push_cut(&[popped(9, 1), empty(11)])),
        good("all_of_a_cut_batch", 4, push_cut(&[popped(9, 1), popped(11, 2), empty(13)])),
        bad("the_end_of_a_cut_batch_alone", 4, push_cut(&[popped(9, 2), empty(11)])),
        bad("a_cut_push_twice", 4, push_cut(&[popped(9, 1), popped(11, 1)])),
        good("a_cut_push_that_takes_room", 2, push_cut(&[op(9, 10, &[PushRefused(No::Full)])])),
        bad("a_cut_push_that_takes_more_room", 3, {
            push_cut(&[op(9, 10, &[PushRefused(No::Full)]), empty(11)])
        }),
        good("a_value_that_went_with_its_consumer", 4, {
            pop_cut(Cut::Pop(1), &[popped(7, 2), empty(9)])
        }),
        good("a_value_that_came_back_out_of_turn", 4, {
            pop_cut(Cut::Pop(1), &[popped(7, 2), popped(9, 1), empty(11)])
        }),
        bad("two_values_that_went_with_one", 4, pop_cut(Cut::Pop(1), &[empty(7)])),
        good("two_values_that_went_with_two", 4, pop_cut(Cut::Pop(2), &[empty(7)])),
        bad(
            "a_value_that_went_with_a_push",
            4,
            pop_cut(Cut::Push(vec![3]), &[popped(7, 2), empty(9)]),
        ),
        bad("a_cut_pop_that_doubles", 4, pop_cut(Cut::Pop(2), &[popped(7, 1), popped(9, 1)])),
        good("a_lease_that_came_back", 4, lease_cut(Cut::Nothing, &[popped(7, 1), empty(9)])),
        bad("a_lease_that_was_lost", 4, lease_cut(Cut::Nothing, &[recovered(7), empty(9)])),
        good("a_release_that_was_done", 4, lease_cut(Cut::Release(1), &[empty(7)])),
        bad("a_lease_lost_in_the_claim", 4, {
            after_push(vec![killed(&[], 3, Cut::Lease), alive(&[recovered(7), empty(9)])])
        }),
        bad("a_death_before_which_it_happened", 4, {
            vec![killed(&[], 5, Cut::Push(vec![1])), alive(&[popped(2, 1)])]
        }),
    ]
}

/// The ring with a fault in it.
struct Faulty<const FAULT: u8>(MpmcRing<u64>);

/// Answers `Empty` for `Busy`, as a queue does that looks at one slot only.
const HASTY: u8 = 0;
/// Pushes a batch again that went in only in part.
const TWICE: u8 = 1;
/// Pops the second of two for the first.
const HURRIED: u8 = 2;
/// A lease is a pop.
const FORGETFUL: u8 = 3;

impl<const FAULT: u8> Subject for Faulty<FAULT> {
    type Slot<'a> = ReservedSlot<'a, u64>;
    type Lent<'a> = Option<LeasedValue<'a, u64>>;

    fn new(capacity: usize) -> Self {
        Faulty(Subject::new(capacity))
    }

    fn push(&self, value: u64) -> Result<(), No> {
        Subject::push(&self.0, value)
    }

    fn push_many(&self, values: &[u64]) -> Result<usize, No> {
        let pushed = Subject::push_many(&self.0, values)?;
        if FAULT == TWICE && pushed < values.len() {
            let _ = Subject::push(&self.0, values[pushed - 1]);
        }
        Ok(pushed)
    }

    fn reserve(&self) -> Result<Self::Slot<'_>, No> {
        Subject::reserve(&self.0)
    }

    fn commit(slot: Self::Slot<'_>, value: u64) {
        MpmcRing::commit(slot, value);
    }

    fn pop(&self) -> Result<u64, No> {
        if FAULT == HURRIED
            && let Ok(first) = self.0.try_lease()
        {
            let second = Subject::pop(&self.0);
            if second.is_err() {
                let value = *first;
                first.release();
                return Ok(value);
            }
            return second;
        }
        Subject::pop(&self.0).map_err(|why| if FAULT == HASTY { No::Empty } else { why })
    }

    fn pop_many(&self, out: &mut [u64]) -> Result<usize, No> {
        Subject::pop_many(&self.0, out)
    }

    fn lease(&self) -> Result<(Self::Lent<'_>, u64, Option<bool>), No> {
        let (lent, value, again) = Subject::lease(&self.0)?;
        if FAULT == FORGETFUL {
            lent.release();
            return Ok((None, value, again));
        }
        Ok((Some(lent), value, again))
    }

    fn release(lent: Self::Lent<'_>) {
        lent.into_iter().for_each(LeasedValue::release);
    }

    fn len(&self) -> usize {
        MpmcRing::len(&self.0)
    }

    fn is_empty(&self) -> bool {
        MpmcRing::is_empty(&self.0)
    }

    fn is_full(&self) -> bool {
        MpmcRing::is_full(&self.0)
    }

    fn recover(&self) {
        MpmcRing::recover(&self.0);
    }
}

/// Histories of a queue with this fault must contain one without an explanation.
fn caught<const FAULT: u8>(name: &str, weather: Weather) -> Test {
    let run = move || match explain_all::<Faulty<FAULT>>(weather, 20_000, crate::dice()) {
        Err(why) if why.starts_with("no order explains") => Ok(format!("caught: {why}")),
        Err(why) => Err(vec![format!("not the planted fault: {why}")]),
        Ok(summary) => Err(vec![format!("not caught: {summary}")]),
    };
    Test { name: format!("recorder::{name}_is_caught"), run: Box::new(run) }
}

fn planted() -> Vec<Test> {
    let calm = Weather::default();
    let lends = Weather { lends: true, ..calm };
    vec![
        caught::<HASTY>("empty_for_busy", calm),
        caught::<TWICE>("a_batch_pushed_twice", calm),
        caught::<HURRIED>("disorder", calm),
        caught::<FORGETFUL>("a_lease_that_does_not_come_back", Weather { kills: true, ..lends }),
    ]
}
