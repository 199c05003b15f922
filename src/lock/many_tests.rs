use super::*;
use crate::lock::gate::Gate;
use crate::region::{Element, Kind, Pinned, Place, Spec};
use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, OwnedFd};

const LONG: Duration = Duration::from_secs(120);

fn soon() -> Deadline {
    Deadline::after(LONG)
}

/// Something that notes what is done to it, and is ready from a certain look on.
struct Thing<'a> {
    diary: &'a RefCell<Vec<&'static str>>,
    flag: OwnedFd,
    /// Looks that find nothing, and questions that find nothing after those.
    looks: Cell<u32>,
    asks: Cell<u32>,
    silent: bool,
}

impl<'a> Thing<'a> {
    fn new(diary: &'a RefCell<Vec<&'static str>>, looks: u32, asks: u32) -> Thing<'a> {
        let flag = poll::flag().unwrap();
        Thing { diary, flag, looks: Cell::new(looks), asks: Cell::new(asks), silent: true }
    }
}

fn count_down(left: &Cell<u32>) -> bool {
    let before = left.get();
    left.set(before.saturating_sub(1));
    before == 0
}

impl Memory for Thing<'_> {
    fn is_ready(&self) -> bool {
        self.diary.borrow_mut().push("look");
        count_down(&self.looks)
    }

    fn ask(&self) -> bool {
        self.diary.borrow_mut().push("ask");
        count_down(&self.asks)
    }

    fn bell(&self) -> Bell<'_> {
        Bell::Fd(self.flag.as_fd())
    }

    fn arm(&self) -> bool {
        self.diary.borrow_mut().push("arm");
        self.silent
    }
}

fn wait_for(thing: &Thing<'_>, deadline: Deadline) -> Vec<usize> {
    wait(&[Source::Memory(Box::new(thing))], deadline).unwrap()
}

#[test]
fn what_is_ready_is_had_without_a_wish() {
    let diary = RefCell::default();
    assert_eq!(wait_for(&Thing::new(&diary, 0, 0), soon()), [0]);
    assert_eq!(*diary.borrow(), ["look"]);
}

#[test]
fn a_look_follows_each_arming_and_spares_the_sleep() {
    let diary = RefCell::default();
    assert_eq!(wait_for(&Thing::new(&diary, 1, u32::MAX), Deadline::Never), [0]);
    assert_eq!(*diary.borrow(), ["look", "arm", "look", "look"]);
}

#[test]
fn after_a_sleep_in_vain_it_is_asked_who_has_died() {
    let diary = RefCell::default();
    assert_eq!(wait_for(&Thing::new(&diary, u32::MAX, 0), Deadline::Never), [0]);
    assert_eq!(*diary.borrow(), ["look", "arm", "look", "look", "ask"]);
}

#[test]
fn before_a_timeout_is_reported_it_is_asked_who_has_died() {
    let diary = RefCell::default();
    assert_eq!(wait_for(&Thing::new(&diary, u32::MAX, 0), Deadline::Now), [0]);
    assert_eq!(wait_for(&Thing::new(&diary, u32::MAX, u32::MAX), Deadline::Now), []);
    assert_eq!(*diary.borrow(), ["look", "ask", "look", "ask"]);
}

/// How often the sleep of one that is rung without end ends, within a few naps.
fn wakes(silent: bool) -> usize {
    let diary = RefCell::default();
    let mut thing = Thing::new(&diary, u32::MAX, u32::MAX);
    poll::raise(thing.flag.as_fd());
    thing.silent = silent;
    assert_eq!(wait_for(&thing, Deadline::after(Duration::from_millis(60))), []);
    let diary = diary.borrow();
    diary.iter().filter(|entry| **entry == "arm").count()
}

#[test]
fn a_bell_that_cannot_be_silenced_does_not_spin() {
    // 5, 10, 20 and 25 ms, and one more for a clock that is late.
    assert!(wakes(false) <= 5);
    assert!(wakes(true) > 5, "the bell is not heard");
}

/// A gate in a region of its own.
fn gate() -> Pinned<Gate> {
    let spec = Spec {
        kind: Kind::Event,
        element: Element::of::<()>(),
        len: 1,
        bytes: 16,
        backed: 16,
        owners: &[],
    };
    Object::create(Place::Anonymous, &spec, |_| Ok(())).unwrap().pin(0).unwrap()
}

struct Door<'a>(&'a Pinned<Gate>);

impl Memory for Door<'_> {
    fn is_ready(&self) -> bool {
        self.0.is_set()
    }

    fn bell(&self) -> Bell<'_> {
        Bell::Region(self.0.object())
    }

    fn arm(&self) -> bool {
        self.0.arm();
        true
    }
}

#[test]
fn a_set_is_heard_once_somebody_listens_and_has_armed() {
    let gates = [gate(), gate()];
    let sources = gates.each_ref().map(|gate| Source::Memory(Box::new(Door(gate))));
    let hearing = Hearing::of(&sources);
    let ear = hearing.ear.as_ref().expect("the user of this test has an ear left");
    let hears = || poll::readable(&[ear.fd()]).unwrap() == [true];
    let set = |gate: &Pinned<Gate>| gate.set(|| gate.object().ring());
    for gate in gates.iter().chain(&gates) {
        ear.hush();
        set(gate);
        assert!(!hears(), "nobody has armed");
        gate.clear();
        gate.arm();
        set(gate);
        assert!(hears());
        ear.hush();
        assert!(!hears());
        set(gate);
        assert!(!hears(), "one ring for one wish");
        gate.clear();
    }
}

#[test]
fn an_ear_is_kept_and_listens_to_what_it_is_told_to() {
    let gates = [gate(), gate(), gate()];
    let mut ear = Ear::take().unwrap();
    let [a, b, c] = gates.each_ref().map(Pinned::object);
    ear.listen(&[a, b, a]).unwrap();
    ear.listen(&[b, c]).unwrap();
    ear.hush();
    let hears = |ear: &Ear| poll::readable(&[ear.fd()]).unwrap() == [true];
    a.ring();
    assert!(!hears(&ear));
    for object in [b, c] {
        object.ring();
        assert!(hears(&ear));
        ear.hush();
    }
}

#[test]
fn two_ears_of_one_process_hear_one_ring() {
    let gate = gate();
    let mut ears = [(); 2].map(|()| Ear::take().unwrap());
    for ear in &mut ears {
        ear.listen(&[gate.object()]).unwrap();
        ear.hush();
    }
    gate.object().ring();
    for ear in &ears {
        assert_eq!(poll::readable(&[ear.fd()]).unwrap(), [true]);
        ear.hush();
    }
}

#[test]
fn threads_hand_each_other_what_they_wait_for() {
    const ROUNDS: usize = 500;
    let gates = [gate(), gate()];
    let quiet = gate();
    let turn = |mine: usize| {
        for _ in 0..ROUNDS {
            let sources =
                [&quiet, &gates[mine]].map(|gate| Source::Memory(Box::new(Door(gate)) as _));
            assert_eq!(wait(&sources, soon()).unwrap(), [1]);
            gates[mine].clear();
            let other = &gates[1 - mine];
            other.set(|| other.object().ring());
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| turn(0));
        scope.spawn(|| turn(1));
        gates[0].set(|| gates[0].object().ring());
    });
}
