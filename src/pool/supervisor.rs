//! One thread for all pools of this process: it hears of the ends of workers by their pidfds, and of
//! the wishes of workers by the rings of their regions.
//!
//! It begins with the first pool and ends with the last.

use super::inner::{Inner, lock};
use crate::error::Result;
use crate::region::Object;
use crate::region::ear::Ear;
use crate::sys::per_process::PerProcess;
use crate::sys::{poll, thread};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How often it looks where the kernel gives no ear (see [`Ear`]).
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// And else: for nothing that is known.
const LONGEST: Duration = Duration::from_secs(3600);

struct Supervisor {
    set: OwnedFd,
    /// Raised when it is to look.
    flag: OwnedFd,
    pools: Vec<Arc<Inner>>,
    /// Pools that its ear does not know.
    has_news: bool,
}

/// That of this process, while it has pools.
static SUPERVISOR: PerProcess<Mutex<Option<Supervisor>>> = PerProcess::new(|| Mutex::new(None));

/// Has the pool looked after from now on.
pub(super) fn register(pool: &Arc<Inner>) -> Result<()> {
    let mut supervisor = lock(SUPERVISOR.get());
    if supervisor.is_none() {
        let flag = poll::flag()?;
        let set = poll::any_readable(&[flag.as_fd()])?;
        // Its own, so that it can sleep without the lock.
        let (own_set, own_flag) = (set.try_clone()?, flag.try_clone()?);
        let ear = Ear::take().ok().filter(|ear| poll::add(set.as_fd(), ear.fd()).is_ok());
        thread::spawn_without_signals("shmkit-pool", move || {
            attend(ear, own_set.as_fd(), own_flag.as_fd());
        })?;
        *supervisor = Some(Supervisor { set, flag, pools: Vec::new(), has_news: false });
    }
    let supervisor = supervisor.as_mut().expect("it was just put there");
    for sentinel in lock(&pool.crew).sentinels() {
        poll::add(supervisor.set.as_fd(), sentinel)?;
    }
    supervisor.pools.push(Arc::clone(pool));
    supervisor.has_news = true;
    poll::raise(supervisor.flag.as_fd());
    Ok(())
}

/// Has it look now.
pub(super) fn alert() {
    if let Some(supervisor) = &*lock(SUPERVISOR.get()) {
        poll::raise(supervisor.flag.as_fd());
    }
}

fn attend(mut ear: Option<Ear>, set: BorrowedFd<'_>, flag: BorrowedFd<'_>) {
    let mut again = None;
    let mut can_hear = ear.is_some();
    loop {
        let longest = if can_hear { LONGEST } else { LOOK_EVERY };
        let nap = again.map_or(longest, |at: Instant| {
            at.saturating_duration_since(Instant::now()).min(longest)
        });
        let _ = poll::wait_readable(set, nap); // it cannot fail for long
        poll::lower(flag);
        if let Some(ear) = &ear {
            ear.hush();
        }
        let Some((pools, has_news)) = pools() else { return };
        if has_news && let Some(ear) = &mut ear {
            let objects: Vec<&Object> = pools.iter().map(|pool| pool.site.board.object()).collect();
            can_hear = ear.listen(&objects).is_ok();
        }
        again = None;
        for pool in &pools {
            pool.make_room();
            let tended = pool.tend(set);
            again = again.into_iter().chain(tended.again).min();
            if tended.is_over {
                forget(pool);
            }
        }
    }
}

/// The pools, and whether there are new ones; `None`, and all is over, when there are none.
fn pools() -> Option<(Vec<Arc<Inner>>, bool)> {
    let mut supervisor = lock(SUPERVISOR.get());
    let Supervisor { pools, has_news, .. } = supervisor.as_mut()?;
    if pools.is_empty() {
        *supervisor = None;
        return None;
    }
    Some((pools.clone(), std::mem::take(has_news)))
}

fn forget(pool: &Arc<Inner>) {
    if let Some(supervisor) = &mut *lock(SUPERVISOR.get()) {
        supervisor.pools.retain(|other| !Arc::ptr_eq(other, pool));
        supervisor.has_news = true;
        poll::raise(supervisor.flag.as_fd());
    }
}
