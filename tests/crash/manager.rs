//! Managers: the victim changes a container or makes one, the survivors find it before or after each
//! change, and get all memory back.

use std::marker::PhantomData;

use shmkit::{Dict, Error, List, Manager, ManagerOptions, Namespace};

use crate::campaign::{Death, Points, Scenario, is_full};
use crate::helper::elsewhere;
use crate::shared::{Ledger, Shared};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    let mut tests = vec![
        survives::<Change<Insert>>("manager::dict_insert"),
        survives::<Change<Replace>>("manager::dict_set"),
        survives::<Change<Update>>("manager::dict_update"),
        survives::<Change<Remove>>("manager::dict_remove"),
        survives::<Change<Grow>>("manager::dict_grow"),
        survives::<Change<ClearDict>>("manager::dict_clear"),
        survives::<Change<Push>>("manager::list_push_and_pop"),
        survives::<Change<Edit>>("manager::list_insert_and_remove"),
        survives::<Change<SetLine>>("manager::list_set_and_update"),
        survives::<Change<Extend>>("manager::list_extend_and_sort"),
        survives::<Change<Name>>("manager::namespace"),
        survives::<Read>("manager::dict_get"),
        survives::<Make>("manager::make_under_a_key"),
        survives::<Rescue<Insert>>("manager::mend_after_an_insert"),
    ];
    if is_full() {
        tests.push(survives::<Change<Long>>("manager::dict_of_long_values"));
        tests.push(survives::<Rescue<Grow>>("manager::mend_after_growth"));
        tests.push(survives::<Rescue<Remove>>("manager::mend_after_a_removal"));
        tests.push(survives::<Rescue<Edit>>("manager::mend_after_a_change_of_a_list"));
    }
    tests
}

fn manager() -> Manager {
    ManagerOptions::new().capacity_bytes(128 << 10).participants(8).anonymous().unwrap()
}

/// What is in a container: names and values.
type State = Vec<(String, String)>;

/// Changes of one container.
trait Story {
    type Container: 'static;
    fn open(manager: &Manager, key: &str) -> Self::Container;
    /// What is there before.
    fn prepare(_: &Self::Container) {}
    /// The changes, in order.
    const CHANGES: &'static [fn(&Self::Container)];
    fn state(container: &Self::Container) -> State;
    /// Looks at it, no more.
    fn look(container: &Self::Container);
    fn clear(container: &Self::Container);
}

/// A container that is changed, and what it has to be after each change.
struct Change<S: Story> {
    manager: Manager,
    container: S::Container,
    states: Vec<State>,
    ledger: Shared<Ledger>,
    story: PhantomData<S>,
}

impl<S: Story> Change<S> {
    /// What the container is, and that it is what a part of the story makes it.
    fn chapter(&self) -> usize {
        let state = S::state(&self.container);
        let (made, begun) = (self.ledger.acknowledged() as usize, self.ledger.begun() as usize);
        (made..=begun)
            .find(|n| self.states[*n] == state)
            .unwrap_or_else(|| panic!("{state:?} after {made} to {begun}: {:?}", self.states))
    }

    fn assert_works(&self) {
        let chapter = self.chapter();
        assert_eq!(self.chapter(), chapter, "nothing changes any more");
        for (change, state) in S::CHANGES.iter().zip(&self.states[1..]).skip(chapter) {
            change(&self.container);
            assert_eq!(S::state(&self.container), *state);
        }
        elsewhere(|| S::clear(&self.container));
        assert_eq!(S::state(&self.container), []);
        assert_eq!(self.manager.used_bytes(), 0, "memory is lost");
        elsewhere(|| S::prepare(&self.container));
        assert_eq!(S::state(&self.container), self.states[0]);
    }
}

impl<S: Story> Scenario for Change<S> {
    const POINTS: Points = Points::Few;

    fn set_up() -> Self {
        let manager = manager();
        let twin = S::open(&manager, "twin");
        S::prepare(&twin);
        let mut states = vec![S::state(&twin)];
        for change in S::CHANGES {
            change(&twin);
            states.push(S::state(&twin));
        }
        S::clear(&twin);
        assert_eq!(manager.used_bytes(), 0);
        let container = S::open(&manager, "container");
        S::prepare(&container);
        Change { manager, container, states, ledger: Shared::new(), story: PhantomData }
    }

    fn victim(&mut self) {
        S::state(&self.container);
        begin();
        for change in S::CHANGES {
            self.ledger.begin();
            change(&self.container);
            self.ledger.acknowledge(0);
        }
    }

    fn check(&mut self, death: Death) {
        assert!(!death.complete || self.ledger.acknowledged() as usize == S::CHANGES.len());
        self.assert_works();
    }
}

/// The same, and whoever puts it in order is killed as well.
struct Rescue<S: Story>(Change<S>);

impl<S: Story> Scenario for Rescue<S> {
    const POINTS: Points = Points::FewStates;
    const RESCUED: bool = true;

    fn set_up() -> Self {
        Rescue(Change::set_up())
    }

    fn victim(&mut self) {
        S::state(&self.0.container);
        begin();
        self.0.ledger.begin();
        S::CHANGES[0](&self.0.container);
        self.0.ledger.acknowledge(0);
    }

    fn rescue(&mut self) {
        begin();
        S::look(&self.0.container);
    }

    fn check(&mut self, _: Death) {
        self.0.assert_works();
    }
}

type Texts = Dict<String, String>;

/// What stories of dicts have in common.
macro_rules! dict_story {
    () => {
        type Container = Texts;

        fn open(manager: &Manager, key: &str) -> Texts {
            manager.dict(key).unwrap()
        }

        fn state(dict: &Texts) -> State {
            let mut all = dict.items().unwrap();
            all.sort();
            assert_eq!(all.len(), dict.len());
            for (key, value) in &all {
                assert_eq!(dict.get(key).unwrap().as_ref(), Some(value));
            }
            all
        }

        fn look(dict: &Texts) {
            dict.len();
        }

        fn clear(dict: &Texts) {
            dict.clear().unwrap();
        }
    };
}

fn fill(dict: &Texts, count: usize) {
    for n in 0..count {
        dict.insert(format!("key {n}"), format!("value {n}")).unwrap();
    }
}

/// A key that is new, in a container that is new and in one that is not.
struct Insert;

impl Story for Insert {
    dict_story!();
    const CHANGES: &'static [fn(&Texts)] = &[
        |dict| assert_eq!(dict.insert("a".into(), "first".into()).unwrap(), None),
        |dict| assert_eq!(dict.insert("b".into(), "second".into()).unwrap(), None),
    ];
}

/// Values of the same length and of another.
struct Replace;

impl Story for Replace {
    dict_story!();

    fn prepare(dict: &Texts) {
        fill(dict, 3);
    }

    const CHANGES: &'static [fn(&Texts)] = &[
        |dict| dict.set("key 0", &"VALUE 0".into()).unwrap(),
        |dict| dict.set("key 1", &"a value that is longer".into()).unwrap(),
    ];
}

/// A value that is edited, and one that is taken away.
struct Update;

impl Story for Update {
    dict_story!();

    fn prepare(dict: &Texts) {
        fill(dict, 3);
    }

    const CHANGES: &'static [fn(&Texts)] = &[
        |dict| {
            dict.update("key 2", |value| value.as_mut().unwrap().push_str(", and more")).unwrap();
        },
        |dict| dict.update("key 1", |value| *value = None).unwrap(),
    ];
}

/// Keys in a row of slots, so that some are marked as removed and some are not.
struct Remove;

impl Story for Remove {
    dict_story!();

    fn prepare(dict: &Texts) {
        fill(dict, 5);
    }

    const CHANGES: &'static [fn(&Texts)] = &[
        |dict| assert!(dict.remove("key 1").unwrap().is_some()),
        |dict| assert!(dict.remove("key 3").unwrap().is_some()),
    ];
}

/// The key that is too much for the table.
struct Grow;

impl Story for Grow {
    dict_story!();

    fn prepare(dict: &Texts) {
        fill(dict, 6);
    }

    const CHANGES: &'static [fn(&Texts)] = &[|dict| {
        dict.set("key 6", &"value 6".into()).unwrap();
    }];
}

/// A value whose blocks are cut from several pages, which come and go. (Whole pages are for the
/// storm: each word that is written is a state.)
struct Long;

impl Story for Long {
    dict_story!();

    const CHANGES: &'static [fn(&Texts)] = &[
        |dict| dict.set("a", &"x".repeat(600)).unwrap(),
        |dict| dict.set("a", &"short".into()).unwrap(),
        |dict| assert!(dict.remove("a").unwrap().is_some()),
    ];
}

struct ClearDict;

impl Story for ClearDict {
    dict_story!();

    fn prepare(dict: &Texts) {
        fill(dict, 4);
    }

    const CHANGES: &'static [fn(&Texts)] = &[|dict| dict.clear().unwrap()];
}

type Lines = List<String>;

/// What stories of lists have in common.
macro_rules! list_story {
    () => {
        type Container = Lines;

        fn open(manager: &Manager, key: &str) -> Lines {
            manager.list(key).unwrap()
        }

        fn state(list: &Lines) -> State {
            let all = list.snapshot().unwrap();
            assert_eq!(all.len(), list.len());
            let number = |(n, line): (usize, String)| (n.to_string(), line);
            all.into_iter().enumerate().map(number).collect()
        }

        fn look(list: &Lines) {
            list.len();
        }

        fn clear(list: &Lines) {
            list.clear().unwrap();
        }
    };
}

fn lines(list: &Lines, count: usize) {
    for n in 0..count {
        list.push(if n % 2 == 0 { format!("{n}") } else { format!("line number {n}") }).unwrap();
    }
}

struct Push;

impl Story for Push {
    list_story!();

    fn prepare(list: &Lines) {
        lines(list, 7);
    }

    const CHANGES: &'static [fn(&Lines)] = &[
        |list| list.push("the eighth".into()).unwrap(),
        |list| list.push("more than fit".into()).unwrap(),
        |list| assert!(list.pop().unwrap().is_some()),
    ];
}

struct Edit;

impl Story for Edit {
    list_story!();

    fn prepare(list: &Lines) {
        lines(list, 4);
    }

    const CHANGES: &'static [fn(&Lines)] = &[
        |list| list.insert(1, "in between".into()).unwrap(),
        |list| assert_eq!(list.remove(2).unwrap(), "line number 1"),
    ];
}

struct SetLine;

impl Story for SetLine {
    list_story!();

    fn prepare(list: &Lines) {
        lines(list, 3);
    }

    const CHANGES: &'static [fn(&Lines)] = &[
        |list| list.set(1, "another one".into()).unwrap(),
        |list| list.update(0, |line| line.push_str(" is longer now")).unwrap(),
    ];
}

struct Extend;

impl Story for Extend {
    list_story!();

    fn prepare(list: &Lines) {
        lines(list, 2);
    }

    const CHANGES: &'static [fn(&Lines)] = &[
        |list| list.extend(["z, the last one", "a, the first one"].map(String::from)).unwrap(),
        |list| list.sort().unwrap(),
    ];
}

struct Name;

impl Story for Name {
    type Container = Namespace;

    fn open(manager: &Manager, key: &str) -> Namespace {
        manager.namespace(key).unwrap()
    }

    fn prepare(names: &Namespace) {
        names.set("text", "one".to_string()).unwrap();
    }

    const CHANGES: &'static [fn(&Namespace)] = &[
        |names| names.set("number", 5u64).unwrap(),
        |names| names.update("text", |text: &mut String| text.push_str(" and two")).unwrap(),
    ];

    fn state(names: &Namespace) -> State {
        let text = |name: &str| match names.get::<String>(name) {
            Err(Error::TypeMismatch { .. }) => names.get::<u64>(name).unwrap().to_string(),
            text => text.unwrap(),
        };
        names.names().unwrap().into_iter().map(|name| (name.clone(), text(&name))).collect()
    }

    fn look(names: &Namespace) {
        names.len();
    }

    fn clear(names: &Namespace) {
        names.clear().unwrap();
    }
}

/// Whoever dies while it reads keeps no writer out.
struct Read(Texts);

impl Scenario for Read {
    const POINTS: Points = Points::Few;

    fn set_up() -> Self {
        let dict = manager().dict("d").unwrap();
        fill(&dict, 3);
        Read(dict)
    }

    fn victim(&mut self) {
        self.0.get("key 0").unwrap();
        begin();
        assert_eq!(self.0.get("key 1").unwrap().as_deref(), Some("value 1"));
    }

    fn check(&mut self, _: Death) {
        self.0.insert("key 1".into(), "new".into()).unwrap();
        elsewhere(|| assert_eq!(self.0.get("key 1").unwrap().as_deref(), Some("new")));
        assert_eq!(self.0.interruptions(), 0, "a reader leaves nothing to be mended");
    }
}

/// A key has a whole object or none.
struct Make(Manager);

impl Scenario for Make {
    const POINTS: Points = Points::Few;

    fn set_up() -> Self {
        let manager = manager();
        manager.event("before").unwrap();
        Make(manager)
    }

    fn victim(&mut self) {
        self.0.keys();
        begin();
        self.0.list::<u64>("list").unwrap();
    }

    fn check(&mut self, death: Death) {
        let before = self.0.keys();
        let names: Vec<_> = before.iter().map(|(key, _)| key.as_str()).collect();
        let all = ["before", "list"];
        assert_eq!(names, all[..names.len()]);
        assert!(!death.complete || names.len() == all.len());
        elsewhere(|| self.0.list::<u64>("list").unwrap().push(1).unwrap());
        assert_eq!(self.0.list::<u64>("list").unwrap().pop().unwrap(), Some(1));
        assert_eq!(self.0.keys().len(), all.len());
    }
}
