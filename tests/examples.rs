//! The short examples say what they promise, run as a newcomer runs them.
#![cfg(all(feature = "serde", feature = "takeover", not(loom)))]

#[path = "common/example.rs"]
mod example;

use std::process::Command;

/// What the example prints.
fn output(name: &str) -> String {
    let run = Command::new(example::build(name)).output().unwrap();
    let [printed, complaints] =
        [run.stdout, run.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(run.status.success() && complaints.is_empty(), "{name}: {}\n{complaints}", run.status);
    printed
}

/// The number at the end of the line that starts so.
fn number(printed: &str, start: &str) -> i64 {
    let line = printed.lines().find_map(|line| line.strip_prefix(start));
    line.unwrap_or_else(|| panic!("no {start:?} in {printed}")).trim().parse().unwrap()
}

#[test]
fn a_counter_is_wrong_without_a_lock_and_right_with_it_and_in_one_step() {
    let printed = output("counter");
    let expected = number(&printed, "expected:");
    assert_eq!(expected, 80_000);
    let wrong = number(&printed, "without a lock:");
    assert!((1..expected).contains(&wrong), "{printed}");
    assert_eq!(number(&printed, "with its lock:"), expected);
    assert_eq!(number(&printed, "in one step:"), expected);
}

#[test]
fn no_record_of_three_lines_is_torn_apart() {
    assert_eq!(output("three_lines"), "270 lines, 90 whole records\n");
}

#[test]
fn the_bank_loses_nothing_when_a_clerk_is_killed() {
    let printed = output("bank");
    assert!(printed.contains("one clerk is gone: the process was ended by signal 9"), "{printed}");
    assert!(printed.contains("told 1 time(s) of a death\n"), "{printed}");
    assert_eq!(number(&printed, "sum:"), 10_000);
    let overdrawn = printed.lines().any(|line| line.starts_with("accounts:") && line.contains('-'));
    assert!(!overdrawn, "{printed}");
}

#[test]
fn a_string_is_shared_as_bytes() {
    let expected = "value: somebody\nraw:   somebody\nvalue: zty\nraw:   zty\\x00body\n\
        too long: 13 bytes of text for an array of 8\nvalue: zty\n";
    assert_eq!(output("shared_string"), expected);
}

#[test]
fn words_come_in_order_until_quit() {
    assert_eq!(output("words_until_quit"), "THE!\nTIME!\nHAS!\nCOME!\n4 words\n");
}

#[test]
fn a_consumer_of_random_numbers_is_terminated_and_nobody_hangs() {
    let expected = "all ten are there: true\nconsumer ended by signal 15\n\
        the queue works: true\nnobody sums any more: true\n";
    assert_eq!(output("random_numbers"), expected);
}

#[test]
fn results_outlive_their_workers() {
    assert_eq!(output("two_workers"), "results of workers [1, 2]\n");
}

#[test]
fn the_job_of_a_killed_worker_is_done_by_another() {
    assert_eq!(output("joined_jobs"), "attempts: [2, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n");
}

#[test]
fn processes_have_names_arguments_globals_and_parents_of_their_own() {
    let expected = "hello from counter\nits pid is that of its handle: true\n\
        its parent is this process: true\nit has seen [0, 1, 2], this process []\n\
        primes has found 8: [2, 3, 5, 7, 11, 13, 17, 19]\n";
    assert_eq!(output("process_hello"), expected);
}

#[test]
fn a_process_is_alive_until_it_ends_and_tells_how() {
    let expected = "started: alive true, exit code None\n\
        joined for a moment: ended false, alive true\n\
        joined: alive false, exit code Some(0)\nthe process exited with code 2\n\
        the process was ended by signal 15: exit code Some(-15)\n\
        the process was ended by signal 9: exit code Some(-9)\n";
    assert_eq!(output("process_life"), expected);
}

#[test]
fn daemons_end_with_their_parent_and_other_children_are_waited_for_or_live_on() {
    let expected = "the parent has come to its end\nthe parent waits: true\n\
        the child ends, its parent lives: true\nparent exited: Some(0)\n\
        parent killed: the process was ended by signal 9\n\
        its daemon is gone, its child is there: true\n\
        the child ends, its parent lives: false\n";
    assert_eq!(output("process_family"), expected);
}
