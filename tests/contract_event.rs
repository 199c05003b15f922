//! Do events do what the behaviour contract says, between processes, also in signal handlers and
//! when their users die?
//!
//! The ids at the end of the test names are the rows of the contract.

mod common;

use common::{LONG, fork, go_on, join, kill, reap, stop, unique};
use shmkit::{Error, Event, Pipe, Process, Region, Sender};
use std::sync::OnceLock;
use std::time::Duration;

/// Starts a process that says when it is about to wait, and whether its wait was good.
fn waiter(event: &Event) -> Process<bool> {
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let child = Process::spawn((event.clone(), say), |event: Event, say: Sender<()>| {
        say.send(()).unwrap();
        event.wait_timeout(LONG)
    });
    ready.recv_timeout(LONG).unwrap();
    child.unwrap()
}

/// Waits until the process sleeps in the kernel: by then it waits, for it does nothing else there.
fn asleep<R>(process: &Process<R>) {
    common::settle(process.pid());
}

#[test]
fn a_wait_says_whether_the_event_was_set_test_event() {
    let event = Event::new().unwrap();
    assert!(!event.is_set());
    assert!(!event.wait_timeout(Duration::ZERO));
    assert!(!event.wait_timeout(Duration::from_millis(20)));
    event.set();
    assert!(event.is_set());
    event.wait();
    assert!(event.wait_timeout(Duration::ZERO) && event.wait_timeout(LONG));
    event.clear();
    assert!(!event.is_set() && !event.wait_timeout(Duration::ZERO));
    let child = Process::spawn((event.clone(),), |event: Event| event.set());
    event.wait();
    join(&child.unwrap()).unwrap();
    assert!(event.is_set());
}

#[test]
fn a_set_lets_every_process_and_thread_go_on() {
    let event = Event::new().unwrap();
    let children: Vec<_> = (0..5).map(|_| waiter(&event)).collect();
    std::thread::scope(|scope| {
        let threads = [(); 3].map(|()| scope.spawn(|| event.wait_timeout(LONG)));
        event.set();
        assert!(threads.map(|thread| thread.join().unwrap()).iter().all(|good| *good));
    });
    assert!(children.iter().all(|child| join(child).unwrap()));
}

#[test]
fn a_pulse_is_missed_by_nobody_who_waited_x30() {
    let event = Event::new().unwrap();
    let children: Vec<_> = (0..6).map(|_| waiter(&event)).collect();
    children.iter().for_each(asleep);
    event.set();
    event.clear();
    assert!(children.iter().all(|child| join(child).unwrap()));
    assert!(!event.is_set());
}

#[test]
fn a_stopped_waiter_has_not_missed_the_pulse_that_came_meanwhile_x30() {
    let event = Event::new().unwrap();
    let child = waiter(&event);
    asleep(&child);
    stop(&child);
    event.set();
    event.clear();
    go_on(&child);
    assert!(join(&child).unwrap());
}

#[test]
fn what_the_setter_wrote_is_there_for_who_went_on() {
    let event = Event::new().unwrap();
    let value = shmkit::Value::new(0u64).unwrap();
    let child = Process::spawn((event.clone(), value.clone()), |event: Event, value| {
        let value: shmkit::Value<u64> = value;
        event.wait();
        value.get()
    });
    value.set(7).unwrap();
    event.set();
    assert_eq!(join(&child.unwrap()).unwrap(), 7);
}

#[test]
fn turns_are_taken_many_times() {
    let [ping, pong] = [(); 2].map(|()| Event::new().unwrap());
    let child = Process::spawn((ping.clone(), pong.clone()), |ping: Event, pong: Event| {
        for _ in 0..2000 {
            assert!(ping.wait_timeout(LONG));
            ping.clear();
            pong.set();
        }
    });
    for _ in 0..2000 {
        ping.set();
        assert!(pong.wait_timeout(LONG));
        pong.clear();
    }
    join(&child.unwrap()).unwrap();
}

// ---- deaths ----

#[test]
fn a_dead_waiter_holds_up_nobody_complaint_3() {
    let event = Event::new().unwrap();
    for _ in 0..3 {
        let (dead, alive) = (waiter(&event), waiter(&event));
        asleep(&dead);
        kill(&dead);
        event.set();
        assert!(join(&alive).unwrap());
        event.clear();
        assert!(!event.wait_timeout(Duration::from_millis(1)));
    }
}

#[test]
fn a_stopped_waiter_holds_up_nobody() {
    let event = Event::new().unwrap();
    let (stopped, alive) = (waiter(&event), waiter(&event));
    asleep(&stopped);
    stop(&stopped);
    event.set();
    assert!(join(&alive).unwrap());
    go_on(&stopped);
    assert!(join(&stopped).unwrap());
}

#[test]
fn what_a_setter_has_set_stays_set_after_its_death() {
    let event = Event::new().unwrap();
    let sleeper = waiter(&event);
    let child = Process::spawn((event.clone(),), |event: Event| -> () {
        event.set();
        common::die()
    });
    assert!(join(&child.unwrap()).is_err());
    assert!(event.is_set());
    assert!(join(&sleeper).unwrap());
}

// ---- signal handlers: each in a process of its own ----

static SHARED: OnceLock<Event> = OnceLock::new();

fn handle(signal: i32, handler: extern "C" fn(i32)) {
    // SAFETY: a zeroed `sigaction` is a valid one, and the handler only does what handlers may.
    #[allow(unsafe_code)]
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
    }
}

/// The handler sets the event, as anybody may, with an `errno` that must survive it.
extern "C" fn sets_shared(_: i32) {
    // SAFETY: this thread's own `errno`.
    #[allow(unsafe_code)]
    unsafe {
        let before = *libc::__errno_location();
        *libc::__errno_location() = 4242;
        if let Some(event) = SHARED.get() {
            event.set();
        }
        if *libc::__errno_location() != 4242 {
            libc::abort();
        }
        *libc::__errno_location() = before;
    }
}

fn raise(signal: i32) {
    // SAFETY: a plain call.
    #[allow(unsafe_code)]
    unsafe {
        assert_eq!(libc::raise(signal), 0);
    }
}

#[test]
fn a_handler_sets_the_event_that_its_thread_waits_for_complaint_19() {
    let event = Event::new().unwrap();
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let child = Process::spawn((event.clone(), say), |event: Event, say: Sender<()>| {
        handle(libc::SIGUSR1, sets_shared);
        let event = SHARED.get_or_init(|| event);
        say.send(()).unwrap();
        event.wait_timeout(LONG)
    });
    let child = child.unwrap();
    ready.recv_timeout(LONG).unwrap();
    asleep(&child);
    common::send(&child, libc::SIGUSR1);
    assert!(join(&child).unwrap());
    assert!(event.is_set());
}

#[test]
fn a_handler_that_sets_interrupts_set_clear_and_wait_of_its_thread_complaint_19() {
    let event = Event::new().unwrap();
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let child = Process::spawn((event.clone(), say), |event: Event, say: Sender<()>| {
        handle(libc::SIGUSR1, sets_shared);
        let event = SHARED.get_or_init(|| event);
        raise(libc::SIGUSR1);
        assert!(event.is_set());
        say.send(()).unwrap();
        // A timer that strikes as often as it can.
        let every = libc::timeval { tv_sec: 0, tv_usec: 20 };
        let timer = libc::itimerval { it_interval: every, it_value: every };
        handle(libc::SIGALRM, sets_shared);
        // SAFETY: a plain call; `timer` is ours.
        #[allow(unsafe_code)]
        unsafe {
            libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut());
        }
        for _ in 0..20_000 {
            event.clear();
            event.set();
            event.clear();
            let _ = event.wait_timeout(Duration::from_micros(30));
        }
        // Only a handler sets it now.
        for _ in 0..50 {
            event.clear();
            assert!(event.wait_timeout(LONG));
        }
    });
    let child = child.unwrap();
    ready.recv_timeout(LONG).unwrap();
    // Somebody elsewhere keeps the bell announced, so that every set has somebody to wake.
    let sleeper = Process::spawn((event.clone(),), |event: Event| -> () {
        loop {
            let _ = event.wait_timeout(Duration::from_millis(1));
        }
    });
    join(&child).unwrap();
    kill(&sleeper.unwrap());
}

#[test]
fn a_signal_alone_does_not_end_a_wait() {
    extern "C" fn nothing(_: i32) {}
    let event = Event::new().unwrap();
    let (ready, say) = Pipe::<()>::simplex().unwrap();
    let child = Process::spawn((event.clone(), say), |event: Event, say: Sender<()>| {
        handle(libc::SIGUSR1, nothing);
        say.send(()).unwrap();
        event.wait();
        event.is_set()
    });
    let child = child.unwrap();
    ready.recv_timeout(LONG).unwrap();
    for _ in 0..20 {
        asleep(&child);
        common::send(&child, libc::SIGUSR1);
    }
    assert!(child.is_alive());
    event.set();
    assert!(join(&child).unwrap());
}

// ---- doors ----

#[test]
fn unrelated_processes_find_an_event_by_its_name() {
    let name = unique("event");
    let event = Event::create(&name).unwrap();
    let child = Process::spawn((name.clone(),), |name: String| {
        assert!(matches!(shmkit::Barrier::open(&name), Err(Error::TypeMismatch { .. })));
        assert!(matches!(Event::create(&name), Err(Error::Exists)));
        Event::open(&name).unwrap().set();
    });
    event.wait();
    join(&child.unwrap()).unwrap();
    drop(event);
    assert!(matches!(Event::open(&name), Err(Error::NotFound)));
}

#[test]
fn many_events_share_a_region() {
    let region = Region::new(1 << 14).unwrap();
    let events: Vec<_> = (0..20).map(|_| Event::new_in(&region).unwrap()).collect();
    let child = Process::spawn((events.clone(),), |events: Vec<Event>| {
        events.iter().step_by(2).for_each(Event::set);
    });
    join(&child.unwrap()).unwrap();
    assert!(events.iter().enumerate().all(|(n, event)| event.is_set() == (n % 2 == 0)));
}

#[test]
fn a_forked_child_uses_the_event_as_another_process() {
    join(
        &Process::spawn((), || {
            let event = Event::new().unwrap();
            let child = fork(|| event.wait());
            event.set();
            reap(child);
            event.clear();
            reap(fork(|| event.set()));
            assert!(event.is_set());
        })
        .unwrap(),
    )
    .unwrap();
}

#[test]
fn every_signature_compiles_as_the_contract_writes_it() {
    fn shared<T: Clone + Send + Sync + std::fmt::Debug>() {}
    shared::<Event>();
    fn calls(event: &Event) -> bool {
        event.set();
        event.clear();
        event.set();
        event.wait();
        event.wait_timeout(LONG) && event.is_set()
    }
    let event: shmkit::Result<Event> = Event::new();
    assert!(calls(&event.unwrap()));
}
