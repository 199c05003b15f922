//! Values and arrays: changed by the dead, read and repaired by the living.

use std::time::Duration;

use shmkit::{Array, LockError, RawArray, RawValue, Scalar, ShareableList, Value};

use crate::campaign::{DEADLINE, Death, Fate, Scenario};
use crate::helper::{Helper, Keeper, elsewhere};
use crate::shared::{Ledger, Shared};
use crate::step::begin;
use crate::{Test, survives};

pub fn tests() -> Vec<Test> {
    vec![
        survives::<SetValue>("value::set_and_update"),
        survives::<Count>("value::arithmetic"),
        survives::<SetRaw>("value::raw_set"),
        survives::<SetRawFrozen>("value::raw_set_while_another_sets"),
        survives::<EditArray>("array::edit_under_the_guard"),
        survives::<EditArrayFrozen>("array::edit_while_another_tries"),
        survives::<ReleaseArray>("array::unlock_while_another_sleeps"),
        survives::<AwaitArray>("array::wait_for_the_lock"),
        survives::<CallArray>("array::set_and_copy"),
        survives::<ReadArray>("array::get_and_copy_out"),
        survives::<SetText>("array::set_value_of_a_string"),
        survives::<WriteRaw>("array::raw_set_and_copy"),
        survives::<CountRaw>("array::raw_arithmetic"),
        survives::<SetScalar>("array::set_in_a_shareable_list"),
    ]
}

/// Several words, so that half of one shows.
type Data = [u64; 4];

/// The number that all words of the data hold.
fn number(data: &[u64]) -> u64 {
    assert!(data.iter().all(|word| *word == data[0]), "torn: {data:?}");
    data[0]
}

impl Ledger {
    fn assert_done(&self, n: u64) {
        let (acknowledged, begun) = (self.acknowledged(), self.begun());
        assert!((acknowledged..=begun).contains(&n), "{acknowledged} <= {n} <= {begun}");
    }

    /// Runs an operation that returns `n` in the end, and notes both.
    fn note(&self, n: u64, operation: impl FnOnce()) {
        self.begin();
        operation();
        self.acknowledge(n);
    }
}

/// A value of several words changes at once.
struct SetValue {
    value: Value<Data>,
    ledger: Shared<Ledger>,
}

impl Scenario for SetValue {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        SetValue { value: Value::new([0; 4]).unwrap(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        self.value.set([0; 4]).unwrap();
        begin();
        self.ledger.note(1, || self.value.set([1; 4]).unwrap());
        self.ledger.note(2, || {
            self.value.update(|data| *data = [number(data) + 1; 4]).unwrap();
        });
    }

    fn frozen(&mut self) {
        self.ledger.assert_done(number(&self.value.get()));
    }

    fn check(&mut self, _: Death) {
        self.ledger.assert_done(number(&self.value.get()));
        let told = self.value.set([9; 4]);
        assert!(matches!(told, Ok(()) | Err(LockError::OwnerDied(_))), "{told:?}");
        drop(told);
        assert!(matches!(number(&self.value.get()), 0..=9));
    }
}

/// An integer without its lock: every operation takes one step, at once or not at all.
struct Count {
    value: Value<u64>,
    ledger: Shared<Ledger>,
}

impl Scenario for Count {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        Count { value: Value::new(0).unwrap(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        let operations: [fn(&Value<u64>) -> u64; 9] = [
            |v| v.fetch_add(1),
            |v| v.fetch_sub(u64::MAX),
            |v| v.compare_exchange(2, 3).unwrap(),
            |v| v.swap(4),
            |v| v.fetch_or(5),
            |v| v.fetch_xor(3),
            |v| v.fetch_max(7),
            |v| v.fetch_xor(15),
            |v| v.fetch_max(9),
        ];
        self.value.fetch_add(0);
        begin();
        for (n, operation) in (0..).zip(operations) {
            self.ledger.note(n, || assert_eq!(operation(&self.value), n));
        }
    }

    fn frozen(&mut self) {
        self.ledger.assert_done(self.value.get());
    }

    fn check(&mut self, _: Death) {
        self.frozen();
        elsewhere(|| _ = self.value.fetch_and(0));
        assert_eq!(self.value.get(), 0);
    }
}

/// A large value without a lock: whoever dies while setting it is no news.
struct SetRaw {
    value: RawValue<Data>,
    ledger: Shared<Ledger>,
}

impl Scenario for SetRaw {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        SetRaw { value: RawValue::new([0; 4]).unwrap(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        self.value.set([0; 4]).unwrap();
        begin();
        for n in 1..3 {
            self.ledger.note(n, || self.value.set([n; 4]).unwrap());
        }
    }

    fn frozen(&mut self) {
        self.ledger.assert_done(number(&self.value.get()));
    }

    fn check(&mut self, _: Death) {
        self.frozen();
        self.value.set([8; 4]).unwrap();
        elsewhere(|| {
            assert_eq!(self.value.get(), [8; 4]);
            self.value.set([9; 4]).unwrap();
        });
        assert_eq!(self.value.get(), [9; 4]);
    }
}

/// Another one sets it at the same time, and may have to wait for its turn.
struct SetRawFrozen {
    inner: SetRaw,
    other: Option<Helper>,
}

impl Scenario for SetRawFrozen {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        SetRawFrozen { inner: SetRaw::set_up(), other: None }
    }

    fn victim(&mut self) {
        self.inner.victim();
    }

    fn frozen(&mut self) {
        let other = Helper::start(|| self.inner.value.set([7; 4]).unwrap());
        other.settle();
        self.other = Some(other);
        assert!(matches!(number(&self.inner.value.get()), 0..=2 | 7));
    }

    fn check(&mut self, _: Death) {
        self.other.take().unwrap().join();
        assert_eq!(self.inner.value.get(), [7; 4], "the last one to set it was alive");
    }
}

/// A slot of scalars changes at once, kind and length included.
struct SetScalar {
    list: ShareableList,
    ledger: Shared<Ledger>,
}

impl SetScalar {
    fn scalar(n: u64) -> Scalar {
        match n {
            0 => "as long as may be".into(),
            1 => Scalar::Bytes(vec![1; 20]),
            _ => Scalar::Int(n as i64),
        }
    }
}

impl Scenario for SetScalar {
    fn set_up() -> Self {
        let list = ShareableList::new([Self::scalar(0), true.into()]).unwrap();
        SetScalar { list, ledger: Shared::new() }
    }

    fn victim(&mut self) {
        self.list.set(1, true).unwrap();
        begin();
        for n in 1..3 {
            self.ledger.note(n, || self.list.set(0, Self::scalar(n)).unwrap());
        }
    }

    fn check(&mut self, _: Death) {
        let found = self.list.get(0).unwrap();
        let (acknowledged, begun) = (self.ledger.acknowledged(), self.ledger.begun());
        assert!((acknowledged..=begun).any(|n| found == Self::scalar(n)), "{found:?}");
        elsewhere(|| self.list.set(0, "new").unwrap());
        assert_eq!(self.list.to_vec().unwrap(), ["new".into(), true.into()]);
    }
}

const LEN: usize = 4;

/// Elements that are edited in place: all the same, unless the editor died under the guard.
struct EditArray {
    array: Array<u64>,
    ledger: Shared<Ledger>,
}

impl EditArray {
    /// What all elements hold, and whether a death was told; if so they are repaired.
    fn look(&self) -> (u64, bool) {
        match self.array.lock_timeout(DEADLINE) {
            Ok(all) => (number(&all), false),
            Err(LockError::OwnerDied(died)) => {
                let mut all = died.recover();
                let n = all[0]; // written first
                assert!(all.iter().all(|one| *one == n || *one + 1 == n), "{all:?}");
                all.fill(n);
                (n, true)
            }
            Err(other) => panic!("{other}"),
        }
    }

    fn assert_works(&self) {
        let add = || self.array.lock().unwrap().iter_mut().for_each(|one| *one += 1);
        let (n, _) = self.look();
        add();
        elsewhere(add);
        assert_eq!(self.look(), (n + 2, false));
    }
}

impl Scenario for EditArray {
    fn set_up() -> Self {
        EditArray { array: Array::zeroed(LEN).unwrap(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        drop(self.array.lock().unwrap());
        begin();
        for n in 1..3 {
            self.ledger.note(n, || {
                let mut all = self.array.lock().unwrap();
                all.iter_mut().for_each(|one| *one = n);
            });
        }
    }

    fn check(&mut self, death: Death) {
        let (n, told) = self.look();
        self.ledger.assert_done(n);
        assert!(!(told && death.complete), "told of a death outside the section");
        self.assert_works();
    }
}

/// While the editor is stopped and alive, nobody else has the elements.
struct EditArrayFrozen(EditArray);

impl Scenario for EditArrayFrozen {
    const FATE: Fate = Fate::FreezeAndRun;

    fn set_up() -> Self {
        EditArrayFrozen(EditArray::set_up())
    }

    fn victim(&mut self) {
        self.0.victim();
    }

    fn frozen(&mut self) {
        match self.0.array.lock_timeout(Duration::from_micros(1)) {
            Ok(all) => self.0.ledger.assert_done(number(&all)),
            Err(LockError::Timeout) => {}
            Err(other) => panic!("{other}"),
        }
    }

    fn check(&mut self, death: Death) {
        assert_eq!(self.0.ledger.answers(), [1, 2]);
        self.0.check(death);
    }
}

/// The one who gives the elements back dies before or after it wakes the sleeper.
struct ReleaseArray {
    inner: EditArray,
    waiter: Option<Helper>,
}

impl Scenario for ReleaseArray {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        ReleaseArray { inner: EditArray::set_up(), waiter: None }
    }

    fn victim(&mut self) {
        let mut all = self.inner.array.lock().unwrap();
        let waiter = Helper::start(|| _ = self.inner.look());
        waiter.settle();
        all.fill(1);
        begin();
        drop(all);
    }

    fn frozen(&mut self) {
        let waiter = Helper::start(|| _ = self.inner.look());
        waiter.settle();
        self.waiter = Some(waiter);
    }

    fn check(&mut self, _: Death) {
        assert_eq!(self.inner.look().0, 1);
        self.waiter.take().unwrap().join();
        self.inner.assert_works();
    }
}

/// The one who waits for the elements dies; what it has announced harms nobody.
struct AwaitArray {
    inner: EditArray,
    holder: Option<Keeper>,
    waiter: Option<Helper>,
}

impl Scenario for AwaitArray {
    const FATE: Fate = Fate::FreezeAndKill;
    const SYSTEM_CALLS: usize = 12;

    fn set_up() -> Self {
        let inner = EditArray::set_up();
        let holder = Keeper::of(|| std::mem::forget(inner.array.lock().unwrap()));
        AwaitArray { inner, holder: Some(holder), waiter: None }
    }

    fn victim(&mut self) {
        let _ = self.inner.array.try_lock();
        begin();
        drop(self.inner.array.lock());
    }

    fn frozen(&mut self) {
        let waiter = Helper::start(|| _ = self.inner.look());
        waiter.settle();
        self.waiter = Some(waiter);
    }

    fn check(&mut self, _: Death) {
        self.holder = None;
        self.waiter.take().unwrap().join();
        self.inner.assert_works();
    }
}

/// Single elements and ranges: what was acknowledged is there, and of what was not, whoever finds
/// half of it is told.
struct CallArray {
    array: Array<u64>,
    ledger: Shared<Ledger>,
}

impl CallArray {
    /// What the elements hold after each operation.
    const STATES: [[u64; LEN]; 4] = [[0; 4], [0, 5, 0, 0], [0, 6, 7, 8], [9, 9, 9, 9]];
}

impl Scenario for CallArray {
    fn set_up() -> Self {
        CallArray { array: Array::zeroed(LEN).unwrap(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        self.array.set(0, 0).unwrap();
        begin();
        self.ledger.note(1, || self.array.set(1, 5).unwrap());
        self.ledger.note(2, || self.array.copy_from(1.., &[6, 7, 8]).unwrap());
        self.ledger.note(3, || self.array.copy_from(.., &[9; 4]).unwrap());
    }

    fn check(&mut self, death: Death) {
        let (done, begun) = (self.ledger.acknowledged(), self.ledger.begun());
        let [before, after] = [done, begun].map(|n| Self::STATES[n as usize]);
        match self.array.lock() {
            Ok(all) => assert!(*all == before || *all == after, "not told: {:?}", &all[..]),
            Err(LockError::OwnerDied(died)) => {
                assert!(!death.complete, "told of a death outside the section");
                let mut all = died.recover();
                let mut each = all.iter().zip(before.iter().zip(after));
                assert!(each.all(|(one, (b, a))| one == b || *one == a), "{:?}", &all[..]);
                all.copy_from_slice(&before);
            }
            Err(other) => panic!("{other}"),
        }
        elsewhere(|| self.array.copy_from(.., &[1, 2, 3, 4]).unwrap());
        assert_eq!(self.array.to_vec(..).unwrap(), [1, 2, 3, 4]);
    }
}

/// Readers take the lock too, and may die with it.
struct ReadArray(Array<u64>);

impl Scenario for ReadArray {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        ReadArray(Array::from_slice(&[1, 2, 3, 4]).unwrap())
    }

    fn victim(&mut self) {
        let _ = self.0.get(0);
        begin();
        assert_eq!(self.0.get(1), Some(2));
        let mut part = [0; 2];
        self.0.copy_to(2.., &mut part).unwrap();
        assert_eq!(part, [3, 4]);
        assert_eq!(self.0.iter().sum::<u64>(), 10);
        let all = self.0.lock().unwrap();
        assert_eq!(self.0.get(3), Some(4), "of what this thread holds");
        drop(all);
    }

    fn frozen(&mut self) {
        let taken = self.0.lock_timeout(Duration::from_micros(1));
        assert!(matches!(taken, Ok(_) | Err(LockError::Timeout)), "{taken:?}");
    }

    fn check(&mut self, _: Death) {
        assert_eq!(self.0.get(0), Some(1));
        drop(self.0.lock().or_else(|e| match e {
            LockError::OwnerDied(died) => Ok(died.recover()),
            other => Err(other),
        }));
        assert_eq!(self.0.to_vec(..).unwrap(), [1, 2, 3, 4]);
    }
}

/// A string is replaced by a shorter one: it is the old one, the new one, or a death is told.
struct SetText(Array<u8>, Shared<Ledger>);

impl Scenario for SetText {
    fn set_up() -> Self {
        SetText(Array::from_slice(b"the old text").unwrap(), Shared::new())
    }

    fn victim(&mut self) {
        drop(self.0.lock().unwrap());
        begin();
        self.1.note(1, || self.0.set_value(b"a new").unwrap());
    }

    fn check(&mut self, death: Death) {
        match self.0.lock() {
            Ok(_) => {}
            Err(LockError::OwnerDied(died)) => {
                assert!(!death.complete, "told of a death outside the section");
                died.recover().copy_from_slice(b"the old text");
            }
            Err(other) => panic!("{other}"),
        }
        match self.0.value().unwrap().as_slice() {
            b"the old text" => assert_eq!(self.1.acknowledged(), 0),
            b"a new" => assert_eq!(self.1.begun(), 1),
            other => panic!("not told: {other:?}"),
        }
    }
}

/// Without a lock: each element is old or new, and there is nothing to be told or repaired.
struct WriteRaw {
    array: RawArray<u64>,
    ledger: Shared<Ledger>,
}

impl Scenario for WriteRaw {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        WriteRaw { array: RawArray::zeroed(LEN).unwrap(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        self.array.set(0, 0).unwrap();
        begin();
        self.ledger.note(1, || self.array.set(1, 5).unwrap());
        self.ledger.note(2, || self.array.copy_from(1.., &[6, 7, 8]).unwrap());
        self.ledger.note(3, || self.array.copy_from(.., &[9; 4]).unwrap());
    }

    fn frozen(&mut self) {
        let (done, begun) = (self.ledger.acknowledged(), self.ledger.begun());
        let [before, after] = [done, begun].map(|n| CallArray::STATES[n as usize]);
        let all = self.array.to_vec(..).unwrap();
        let mut each = all.iter().zip(before.iter().zip(after));
        assert!(each.all(|(one, (b, a))| one == b || *one == a), "{all:?}");
    }

    fn check(&mut self, _: Death) {
        self.frozen();
        elsewhere(|| self.array.copy_from(.., &[1, 2, 3, 4]).unwrap());
        assert_eq!(self.array.iter().sum::<u64>(), 10);
    }
}

/// Counts of single elements, of a size that shares its word with others.
struct CountRaw {
    array: RawArray<u16>,
    ledger: Shared<Ledger>,
}

impl Scenario for CountRaw {
    const FATE: Fate = Fate::FreezeAndKill;

    fn set_up() -> Self {
        CountRaw { array: RawArray::from_slice(&[7, 0, 7]).unwrap(), ledger: Shared::new() }
    }

    fn victim(&mut self) {
        self.array.fetch_add(1, 0).unwrap();
        begin();
        for n in 0..3 {
            self.ledger.note(n, || _ = self.array.fetch_add(1, 1).unwrap());
        }
    }

    fn frozen(&mut self) {
        self.ledger.assert_done(u64::from(self.array.get(1).unwrap()));
    }

    fn check(&mut self, _: Death) {
        self.frozen();
        assert_eq!((self.array.get(0), self.array.get(2)), (Some(7), Some(7)));
    }
}
