//! The event count: no notification is lost, whoever sleeps is woken.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering::Relaxed};
use loom::thread;
use shmkit::internals::{Deadline, EventCount, Spin, model};

#[derive(Default)]
struct Board {
    event: EventCount,
    /// What is waited for. Relaxed throughout: the event count orders nothing but itself.
    things: AtomicU32,
}

impl Board {
    fn post(&self) {
        self.things.fetch_add(1, Relaxed);
    }

    /// Waits until `count` things are posted. A lost wake-up is a deadlock, which loom reports.
    fn await_things(&self, count: u32) {
        let posted = || (self.things.load(Relaxed) >= count).then_some(());
        self.wait(posted).unwrap();
    }

    /// Waits for a thing and takes it away.
    fn take(&self) {
        let taken = || self.things.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).ok();
        self.wait(|| taken().map(|_| ())).unwrap();
    }

    fn wait(&self, attempt: impl FnMut() -> Option<()>) -> Option<()> {
        self.event.wait_until(&Spin::new(), Deadline::Never, attempt, || None)
    }
}

fn board() -> Arc<Board> {
    Arc::new(Board::default())
}

fn spawn(board: &Arc<Board>, f: impl FnOnce(&Board) + 'static) -> thread::JoinHandle<()> {
    let board = board.clone();
    thread::spawn(move || f(&board))
}

#[test]
fn notify_all_reaches_whoever_is_about_to_sleep() {
    loom::model(|| {
        let board = board();
        let waiter = spawn(&board, |b| b.await_things(1));
        board.post();
        board.event.notify_all();
        waiter.join().unwrap();
    });
}

#[test]
fn notify_one_reaches_whoever_is_about_to_sleep() {
    loom::model(|| {
        let board = board();
        let waiter = spawn(&board, |b| b.await_things(1));
        board.post();
        board.event.notify_one();
        waiter.join().unwrap();
    });
}

#[test]
fn notify_all_reaches_every_waiter() {
    loom::model(|| {
        let board = board();
        let waiters = [(); 2].map(|()| spawn(&board, |b| b.await_things(1)));
        board.post();
        board.event.notify_all();
        let _ = waiters.map(|w| w.join().unwrap());
    });
}

#[test]
fn each_notify_one_reaches_another_waiter() {
    loom::model(|| {
        let board = board();
        let takers = [(); 2].map(|()| spawn(&board, Board::take));
        for _ in 0..2 {
            board.post();
            board.event.notify_one();
        }
        let _ = takers.map(|t| t.join().unwrap());
    });
}

#[test]
fn a_waiter_sees_what_two_notifiers_post() {
    loom::model(|| {
        let board = board();
        let notifiers = [
            spawn(&board, |b| {
                b.post();
                b.event.notify_one();
            }),
            spawn(&board, |b| {
                b.post();
                b.event.notify_all();
            }),
        ];
        board.await_things(2);
        let _ = notifiers.map(|n| n.join().unwrap());
    });
}

#[test]
fn a_waiter_that_comes_back_is_woken_again() {
    loom::model(|| {
        let board = board();
        let waiter = spawn(&board, |b| {
            b.take();
            b.take();
        });
        for _ in 0..2 {
            board.post();
            board.event.notify_one();
        }
        waiter.join().unwrap();
    });
}

#[test]
fn a_verdict_is_found_when_the_cap_of_a_sleep_has_passed() {
    loom::model(|| {
        let board = board();
        let dead = Arc::new(AtomicU32::new(0));
        let waiter = {
            let (board, dead) = (board.clone(), dead.clone());
            thread::spawn(move || {
                let verdict = || (dead.load(Relaxed) == 1).then_some("dead");
                let spin = Spin::new();
                board.event.wait_until(&spin, Deadline::Never, || None, verdict)
            })
        };
        dead.store(1, Relaxed);
        model::let_caps_strike(1);
        assert_eq!(waiter.join().unwrap(), Some("dead"));
    });
}
