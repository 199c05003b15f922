//! Regions: made, named, opened, dropped, their participants attached and detached.

use std::os::fd::AsFd;

use shmkit::{Array, Error, Lock, Region, RegionOptions, Value};

use crate::campaign::{Death, Fate, Scenario, name};
use crate::helper::{Keeper, elsewhere};
use crate::shared::{Ledger, Shared, watch_region};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<CreateAnonymous>("region::create_anonymous"),
        survives::<CreateNamed>("region::create_named"),
        survives::<CreateSeen>("region::create_named_while_another_opens"),
        survives::<CreateTwice>("region::create_named_while_another_creates"),
        survives::<CreateOnRemains>("region::create_named_on_remains"),
        survives::<OpenNamed>("region::open_named"),
        survives::<OpenRemains>("region::open_remains"),
        survives::<OpenRemainsWhileCreated>("region::open_remains_while_another_creates"),
        survives::<DropAnonymous>("region::drop_anonymous"),
        survives::<DropLast>("region::drop_last_handle"),
        survives::<DropLastWhileOpened>("region::drop_last_handle_while_another_opens"),
        survives::<DropBoth>("region::drop_while_another_drops"),
        survives::<DropOneOfTwo>("region::drop_one_of_two_handles"),
        survives::<CreateObjects>("region::create_objects_in_a_region"),
        survives::<Attach>("region::attach_participant"),
        survives::<Detach>("region::detach_participant"),
    ]
}

const OBJECT_BYTES: u64 = 1 << 12;

fn create(name: &str) -> Result<Region, Error> {
    Region::create(name, OBJECT_BYTES)
}

/// Whatever happened to the last user, the name is free: nobody finds it, and anybody can have it.
fn assert_free(name: &str) {
    assert!(matches!(Region::open(name), Err(Error::NotFound)), "{:?}", Region::open(name));
    let region = create(name).unwrap();
    assert!(matches!(create(name), Err(Error::Exists)));
    drop(region);
    assert!(matches!(Region::open(name), Err(Error::NotFound)), "the name outlived its region");
}

/// The name belongs to a region whose user is this process alone.
fn assert_ours(name: &str, region: &Region) {
    assert_eq!(region.participants(), [std::process::id()]);
    let name = name.to_owned();
    let creator = std::process::id();
    elsewhere(move || {
        let opened = Region::open(&name).unwrap();
        let mut pids = opened.participants();
        pids.sort_unstable();
        let mut expected = [creator, std::process::id()];
        expected.sort_unstable();
        assert_eq!(pids, expected);
    });
}

struct CreateAnonymous;

impl Scenario for CreateAnonymous {
    fn set_up() -> Self {
        CreateAnonymous
    }

    fn victim(&mut self) {
        begin();
        let region = Region::new(OBJECT_BYTES).unwrap();
        std::mem::forget(region);
    }

    fn check(&mut self, _: Death) {
        assert_eq!(Region::new(OBJECT_BYTES).unwrap().participants().len(), 1);
    }
}

struct CreateNamed(String);

impl Scenario for CreateNamed {
    fn set_up() -> Self {
        CreateNamed(name("create"))
    }

    fn victim(&mut self) {
        begin();
        std::mem::forget(create(&self.0).unwrap());
    }

    fn check(&mut self, _: Death) {
        assert_free(&self.0);
    }
}

/// An opener finds a whole region or none, at each instant of its creation.
struct CreateSeen {
    name: String,
    ledger: Shared<Ledger>,
    opened: Option<Region>,
}

impl Scenario for CreateSeen {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        CreateSeen { name: name("seen"), ledger: Shared::new(), opened: None }
    }

    fn victim(&mut self) {
        begin();
        let region = create(&self.name).unwrap();
        self.ledger.acknowledge(0);
        std::mem::forget(region);
    }

    fn frozen(&mut self) {
        self.opened = match Region::open(&self.name) {
            Ok(region) => {
                assert_eq!(region.participants().len(), 2);
                Some(region)
            }
            Err(Error::NotFound) if self.ledger.acknowledged() == 0 => None,
            Err(other) => panic!("{other}"),
        };
    }

    fn check(&mut self, _: Death) {
        if let Some(region) = self.opened.take() {
            assert_ours(&self.name, &region);
        }
        assert_free(&self.name);
    }
}

/// Of two creators one has the name, the other `Exists`.
struct CreateTwice {
    name: String,
    ledgers: [Shared<Ledger>; 2],
    other: Option<Keeper>,
}

impl Scenario for CreateTwice {
    const FATE: Fate = Fate::FreezeAndRun;

    fn set_up() -> Self {
        CreateTwice { name: name("twice"), ledgers: [Shared::new(), Shared::new()], other: None }
    }

    fn victim(&mut self) {
        begin();
        std::mem::forget(create_or_exists(&self.name, &self.ledgers[0]));
    }

    fn frozen(&mut self) {
        let other = Keeper::start(|| create_or_exists(&self.name, &self.ledgers[1]));
        other.settle();
        self.other = Some(other);
    }

    fn thawed(&mut self) {
        self.other.as_ref().unwrap().wait();
        let created: u64 = self.ledgers.iter().map(|ledger| ledger.answers()[0]).sum();
        assert_eq!(created, 1);
        let region = Region::open(&self.name).unwrap();
        assert_eq!(region.participants().len(), 2);
    }

    fn check(&mut self, _: Death) {
        self.other = None;
        assert_free(&self.name);
    }
}

fn create_or_exists(name: &str, ledger: &Ledger) -> Option<Region> {
    let created = match create(name) {
        Ok(region) => Some(region),
        Err(Error::Exists) => None,
        Err(other) => panic!("{other}"),
    };
    ledger.acknowledge(u64::from(created.is_some()));
    created
}

/// A name whose only user was killed.
fn remains(label: &str) -> String {
    let name = name(label);
    drop(Keeper::of(|| create(&name).unwrap()));
    name
}

struct CreateOnRemains(String);

impl Scenario for CreateOnRemains {
    fn set_up() -> Self {
        CreateOnRemains(remains("remains"))
    }

    fn victim(&mut self) {
        begin();
        std::mem::forget(create(&self.0).unwrap());
    }

    fn check(&mut self, _: Death) {
        assert_free(&self.0);
    }
}

struct OpenNamed {
    name: String,
    keeper: Option<Keeper>,
}

impl Scenario for OpenNamed {
    fn set_up() -> Self {
        let name = name("open");
        let keeper = Keeper::of(|| create(&name).unwrap());
        watch_region(&name);
        OpenNamed { name, keeper: Some(keeper) }
    }

    fn victim(&mut self) {
        begin();
        std::mem::forget(Region::open(&self.name).unwrap());
    }

    fn check(&mut self, _: Death) {
        let region = Region::open(&self.name).unwrap();
        assert_eq!(region.participants().len(), 2);
        self.keeper = None;
        assert_ours(&self.name, &region);
        drop(region);
        assert_free(&self.name);
    }
}

struct OpenRemains(String);

impl Scenario for OpenRemains {
    fn set_up() -> Self {
        OpenRemains(remains("dead"))
    }

    fn victim(&mut self) {
        begin();
        assert!(matches!(Region::open(&self.0), Err(Error::NotFound)));
    }

    fn check(&mut self, _: Death) {
        assert_free(&self.0);
    }
}

/// Who looks at a dead name does not keep another from taking it, and does not take it away.
struct OpenRemainsWhileCreated {
    name: String,
    creator: Option<Keeper>,
}

impl Scenario for OpenRemainsWhileCreated {
    const FATE: Fate = Fate::FreezeAndRun;

    fn set_up() -> Self {
        OpenRemainsWhileCreated { name: remains("dead"), creator: None }
    }

    fn victim(&mut self) {
        begin();
        let opened = Region::open(&self.name);
        assert!(matches!(opened, Ok(_) | Err(Error::NotFound)), "{opened:?}");
    }

    fn frozen(&mut self) {
        let creator = Keeper::start(|| create(&self.name).unwrap());
        creator.settle();
        self.creator = Some(creator);
    }

    fn thawed(&mut self) {
        self.creator.as_ref().unwrap().wait();
        assert!(Region::open(&self.name).is_ok(), "a living region has lost its name");
    }

    fn check(&mut self, _: Death) {
        self.creator = None;
        assert_free(&self.name);
    }
}

struct DropAnonymous;

impl Scenario for DropAnonymous {
    fn set_up() -> Self {
        DropAnonymous
    }

    fn victim(&mut self) {
        let region = Region::new(OBJECT_BYTES).unwrap();
        begin();
        drop(region);
    }

    fn check(&mut self, _: Death) {}
}

struct DropLast(String);

impl Scenario for DropLast {
    fn set_up() -> Self {
        DropLast(name("last"))
    }

    fn victim(&mut self) {
        let region = create(&self.0).unwrap();
        begin();
        drop(region);
    }

    fn check(&mut self, _: Death) {
        assert_free(&self.0);
    }
}

/// Who opens a region while its last user leaves has a region that others find, or none.
struct DropLastWhileOpened {
    name: String,
    opened: Shared<Ledger>,
    opener: Option<Keeper>,
}

impl Scenario for DropLastWhileOpened {
    const FATE: Fate = Fate::FreezeAndRun;

    fn set_up() -> Self {
        DropLastWhileOpened { name: name("leave"), opened: Shared::new(), opener: None }
    }

    fn victim(&mut self) {
        let region = create(&self.name).unwrap();
        begin();
        drop(region);
    }

    fn frozen(&mut self) {
        let opener = Keeper::start(|| match Region::open(&self.name) {
            Ok(region) => {
                self.opened.acknowledge(0);
                Some(region)
            }
            Err(Error::NotFound) => None,
            Err(other) => panic!("{other}"),
        });
        opener.settle();
        self.opener = Some(opener);
    }

    fn thawed(&mut self) {
        self.opener.as_ref().unwrap().wait();
        let found = Region::open(&self.name).is_ok();
        assert_eq!(found, self.opened.acknowledged() == 1);
    }

    fn check(&mut self, _: Death) {
        self.opener = None;
        assert_free(&self.name);
    }
}

/// The name goes with the last of two users, whoever that is.
struct DropBoth {
    name: String,
    region: Option<Region>,
}

impl Scenario for DropBoth {
    const FATE: Fate = Fate::FreezeAndRun;

    fn set_up() -> Self {
        let name = name("both");
        let region = create(&name).unwrap();
        DropBoth { name, region: Some(region) }
    }

    fn victim(&mut self) {
        let region = Region::open(&self.name).unwrap();
        self.region = None;
        begin();
        drop(region);
    }

    fn frozen(&mut self) {
        self.region = None;
    }

    fn thawed(&mut self) {
        let file = format!("/dev/shm/shmkit.{}", self.name);
        assert!(!std::fs::exists(file).unwrap(), "the name outlived its last user");
    }

    fn check(&mut self, _: Death) {
        assert_free(&self.name);
    }
}

struct DropOneOfTwo {
    name: String,
    keeper: Option<Keeper>,
}

impl Scenario for DropOneOfTwo {
    fn set_up() -> Self {
        let name = name("one");
        let keeper = Keeper::of(|| create(&name).unwrap());
        watch_region(&name);
        DropOneOfTwo { name, keeper: Some(keeper) }
    }

    fn victim(&mut self) {
        let region = Region::open(&self.name).unwrap();
        begin();
        drop(region);
    }

    fn check(&mut self, _: Death) {
        let region = Region::open(&self.name).unwrap();
        self.keeper = None;
        assert_ours(&self.name, &region);
        drop(region);
        assert_free(&self.name);
    }
}

/// Objects are made one after the other, the second in a new block of the directory.
struct CreateObjects {
    region: Region,
    first: Lock<[u64; 9]>,
}

impl Scenario for CreateObjects {
    fn set_up() -> Self {
        let region = Region::new(OBJECT_BYTES).unwrap();
        let first = Lock::new_in(&region, [5; 9]).unwrap();
        Value::new_in(&region, 5u64).unwrap();
        CreateObjects { region, first }
    }

    fn victim(&mut self) {
        drop(self.first.lock()); // attaches
        begin();
        for n in 6..8 {
            std::mem::forget(Value::new_in(&self.region, [n; 9]).unwrap());
        }
    }

    fn check(&mut self, _: Death) {
        let array = Array::<u64>::new_in(&self.region, 40).unwrap();
        assert!(array.iter().all(|element| element == 0), "remains of a dead one's object");
        let value = Value::new_in(&self.region, [8u64; 9]).unwrap();
        array.lock().unwrap().fill(9);
        assert_eq!(value.get(), [8; 9]);
        assert_eq!(*self.first.lock().unwrap(), [5; 9]);
    }
}

/// A region with two slots, of which a living process has one.
struct Slots {
    name: String,
    keeper: Option<Keeper>,
}

impl Slots {
    fn new(label: &str) -> Slots {
        let name = name(label);
        let options = RegionOptions::new(OBJECT_BYTES).participants(2);
        let keeper = Keeper::of(|| options.create(&name).unwrap());
        watch_region(&name);
        Slots { name, keeper: Some(keeper) }
    }

    /// The other slot is free, for one process at a time, again and again.
    fn assert_one_free(&mut self) {
        let open = || Region::open(&self.name);
        for _ in 0..3 {
            let second = Keeper::of(|| open().unwrap());
            assert!(matches!(open(), Err(Error::TooManyParticipants { limit: 2 })), "{:?}", open());
            drop(second);
        }
        let region = open().unwrap();
        assert_eq!(region.participants().len(), 2);
        self.keeper = None;
        assert_eq!(region.participants(), [std::process::id()]);
    }
}

struct Attach(Slots);

impl Scenario for Attach {
    fn set_up() -> Self {
        Attach(Slots::new("attach"))
    }

    fn victim(&mut self) {
        let fd = std::fs::File::options()
            .read(true)
            .write(true)
            .open(format!("/dev/shm/shmkit.{}", self.0.name))
            .unwrap();
        begin();
        std::mem::forget(Region::from_fd(fd.as_fd()).unwrap());
    }

    fn check(&mut self, _: Death) {
        self.0.assert_one_free();
    }
}

struct Detach(Slots);

impl Scenario for Detach {
    fn set_up() -> Self {
        Detach(Slots::new("detach"))
    }

    fn victim(&mut self) {
        let region = Region::open(&self.0.name).unwrap();
        begin();
        drop(region);
    }

    fn check(&mut self, _: Death) {
        self.0.assert_one_free();
    }
}
