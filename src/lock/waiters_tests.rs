use super::*;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

const PATIENT: Duration = Duration::from_secs(120);

/// A participant who knows who is dead.
struct Person<'a> {
    me: ParticipantId,
    graves: &'a Mutex<BTreeSet<u32>>,
}

impl Liveness for Person<'_> {
    fn me(&self) -> ParticipantId {
        self.me
    }

    fn is_dead(&self, id: ParticipantId) -> bool {
        id != self.me && self.graves.lock().unwrap().contains(&id.word())
    }
}

impl Person<'_> {
    fn die(&self) {
        self.graves.lock().unwrap().insert(self.me.word());
    }
}

fn people<const N: usize>(graves: &Mutex<BTreeSet<u32>>) -> [Person<'_>; N] {
    std::array::from_fn(|slot| Person { me: ParticipantId::new(slot as u32, 1), graves })
}

/// Whether the waiter is notified by now; one that is not waits no longer.
fn is_notified<const N: usize>(waiters: &Waiters<N>, place: Place, who: &Person<'_>) -> bool {
    waiters.sleep(place, who, &Spin::new(), Deadline::Now)
}

fn finish<const N: usize>(waiters: &Waiters<N>, place: Place, who: &Person<'_>) -> bool {
    let notified = is_notified(waiters, place, who);
    if notified {
        waiters.leave(place, who, true);
    }
    notified
}

fn all_free<const N: usize>(waiters: &Waiters<N>) -> bool {
    waiters.cells.iter().all(|cell| cell.word.load(Relaxed) == FREE)
}

#[test]
fn those_who_waited_longest_are_woken() {
    let graves = Mutex::default();
    let [a, b] = people(&graves);
    let waiters = Waiters::<8>::default();
    // The cells are not in order of arrival.
    let early = [(); 4].map(|()| waiters.enter(&a));
    assert!(!finish(&waiters, early[0], &a) && !finish(&waiters, early[1], &a));
    let late = [(); 2].map(|()| waiters.enter(&b));
    waiters.notify(3, &b);
    let told = [early[2], early[3], late[0], late[1]].map(|place| finish(&waiters, place, &a));
    assert_eq!(told, [true, true, true, false]);
    assert!(all_free(&waiters));
}

#[test]
fn who_is_notified_already_is_not_notified_again() {
    let graves = Mutex::default();
    let [a] = people(&graves);
    let waiters = Waiters::<4>::default();
    let [gone, first] = [(); 2].map(|()| waiters.enter(&a));
    assert!(!finish(&waiters, gone, &a));
    waiters.notify(1, &a);
    let second = waiters.enter(&a); // in the cell before
    waiters.notify(1, &a);
    assert!(finish(&waiters, second, &a) && finish(&waiters, first, &a));
    assert!(all_free(&waiters));
}

#[test]
fn who_comes_later_is_not_woken() {
    let graves = Mutex::default();
    let [a] = people(&graves);
    let waiters = Waiters::<2>::default();
    waiters.notify(u32::MAX, &a);
    let place = waiters.enter(&a);
    waiters.notify(0, &a);
    assert!(!finish(&waiters, place, &a));
    assert!(all_free(&waiters));
}

#[test]
fn the_order_of_arrival_wraps_around() {
    let graves = Mutex::default();
    let [a] = people(&graves);
    let waiters = Waiters::<4>::default();
    waiters.next.store(u32::MAX - 1, Relaxed);
    let places = [(); 4].map(|()| waiters.enter(&a));
    waiters.notify(3, &a);
    assert_eq!(places.map(|place| finish(&waiters, place, &a)), [true, true, true, false]);
}

#[test]
fn the_dead_take_no_wake_up_from_the_living() {
    let graves = Mutex::default();
    let [a, dead, b] = people(&graves);
    let waiters = Waiters::<4>::default();
    let _ = waiters.enter(&dead);
    let place = waiters.enter(&a);
    let _ = waiters.enter(&dead);
    dead.die();
    waiters.notify(1, &b);
    assert!(finish(&waiters, place, &a));
    waiters.notify(1, &b);
    assert!(all_free(&waiters));
}

#[test]
fn a_wake_up_that_the_dead_had_goes_to_the_next_who_waited_then() {
    let graves = Mutex::default();
    let [dead, a, b] = people(&graves);
    let waiters = Waiters::<4>::default();
    let _ = waiters.enter(&dead);
    let second = waiters.enter(&a);
    waiters.notify(1, &b);
    dead.die();
    let late = waiters.enter(&b);
    // The late one asks first, and passes it on.
    assert!(!is_notified(&waiters, late, &b));
    assert!(finish(&waiters, second, &a));
    assert!(all_free(&waiters));
}

#[test]
fn a_wake_up_of_the_dead_that_is_for_nobody_any_more_is_dropped() {
    let graves = Mutex::default();
    let [dead, b] = people(&graves);
    let waiters = Waiters::<4>::default();
    let _ = waiters.enter(&dead);
    waiters.notify(1, &b);
    dead.die();
    let late = waiters.enter(&b);
    assert!(!is_notified(&waiters, late, &b));
    assert!(all_free(&waiters));
}

#[test]
fn who_cannot_have_its_lock_passes_its_wake_up_on() {
    let graves = Mutex::default();
    let [a, b] = people(&graves);
    let waiters = Waiters::<4>::default();
    let places = [waiters.enter(&a), waiters.enter(&b)];
    waiters.notify(1, &a);
    assert!(is_notified(&waiters, places[0], &a));
    waiters.leave(places[0], &a, false);
    assert!(finish(&waiters, places[1], &b));
    assert!(all_free(&waiters));
}

#[test]
fn those_without_a_cell_are_woken_by_every_notification() {
    let graves = Mutex::default();
    let [a] = people(&graves);
    let waiters = Waiters::<2>::default();
    let places = [(); 5].map(|()| waiters.enter(&a));
    assert!(places[2..].iter().all(|place| matches!(place, Place::Crowd(_))));
    assert!(!is_notified(&waiters, places[4], &a));
    waiters.notify(1, &a);
    assert_eq!(places.map(|p| finish(&waiters, p, &a)), [true, false, true, true, true]);
    // A new crowd.
    let places = [(); 3].map(|()| waiters.enter(&a));
    assert!(!is_notified(&waiters, places[2], &a));
    waiters.notify(u32::MAX, &a);
    assert_eq!(places.map(|p| finish(&waiters, p, &a)), [true; 3]);
    assert!(all_free(&waiters));
}

#[test]
fn the_cells_of_the_dead_are_used_again() {
    for notified in 0..3 {
        let graves = Mutex::default();
        let [dead, a] = people(&graves);
        let waiters = Waiters::<2>::default();
        let _ = [(); 2].map(|()| waiters.enter(&dead));
        waiters.notify(notified, &a);
        dead.die();
        let places = [(); 2].map(|()| waiters.enter(&a));
        assert!(places.iter().all(|place| matches!(place, Place::Cell(..))));
        waiters.notify(1, &a);
        assert_eq!(places.map(|p| finish(&waiters, p, &a)), [true, false]);
    }
}

#[test]
fn sleepers_are_woken_each_by_its_own_notification() {
    let graves = Mutex::default();
    let [a, b] = people(&graves);
    let waiters = Waiters::<8>::default();
    let places = [(); 4].map(|()| waiters.enter(&a));
    std::thread::scope(|scope| {
        let sleepers = places.map(|place| {
            let (waiters, a) = (&waiters, &a);
            scope.spawn(move || {
                let notified = waiters.sleep(place, a, &Spin::new(), Deadline::after(PATIENT));
                waiters.leave(place, a, true);
                notified
            })
        });
        for sleeper in sleepers {
            waiters.notify(1, &b);
            assert!(sleeper.join().unwrap());
        }
    });
    assert!(all_free(&waiters));
}

#[test]
fn any_word_is_a_cell() {
    let graves = Mutex::default();
    let [a] = people(&graves);
    for word in [1, NOTIFIED, u64::MAX, 1 << 31, 7 << 32, 5 | NOTIFIED] {
        let waiters = Waiters::<2>::default();
        waiters.used.store(u32::MAX, Relaxed);
        waiters.cells[0].word.store(word, Relaxed);
        waiters.crowd.store(word, Relaxed);
        let place = waiters.enter(&a);
        waiters.notify(u32::MAX, &a);
        assert!(finish(&waiters, place, &a));
    }
}
