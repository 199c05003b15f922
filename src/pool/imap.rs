//! Maps whose input is taken as results are asked for.

use super::inner::Inner;
use super::map::{Feeder, Items, Size};
use super::table::{Outcome, Plan};
use crate::error::TaskError;
use crate::lock::deadline::Deadline;
use crate::lock::spin::Spin;
use crate::message::Message;
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// Chunks on the board for each worker.
const AHEAD: usize = 4;

/// The results of a map one by one: from [`Pool::imap`](super::Pool::imap) and
/// [`Pool::imap_unordered`](super::Pool::imap_unordered).
///
/// The input is taken lazily: when a result is asked for, and so far that there are four chunks for each
/// worker under way. What is under way when this is dropped is done, and its results are dropped.
pub struct Imap<'p, I: Iterator, R> {
    inner: &'p Inner,
    /// What is left of the input, if anything; or why there is nothing to be had at all.
    feeder: Option<Result<Feeder<I>, TaskError>>,
    is_ordered: bool,
    sent: VecDeque<(Option<u32>, Items)>,
    /// Results of the chunk that was taken down last.
    results: VecDeque<Result<R, TaskError>>,
    spin: Spin,
    value: PhantomData<fn() -> R>,
}

impl<'p, I, R: Message> Imap<'p, I, R>
where
    I: Iterator,
    I::Item: Message,
{
    pub(super) fn new(
        inner: &'p Inner,
        items: I,
        plan: Result<Plan, TaskError>,
        chunk: usize,
        is_ordered: bool,
    ) -> Self {
        let feeder = plan.map(|plan| Feeder::new(items, plan, Size::Fixed(chunk)));
        Imap {
            inner,
            feeder: Some(feeder),
            is_ordered,
            sent: VecDeque::new(),
            results: VecDeque::new(),
            spin: Spin::new(),
            value: PhantomData,
        }
    }

    /// The next result, as `next`, within `timeout`; [`TaskError::Timeout`] otherwise, and nothing is
    /// lost: it comes with a later call.
    ///
    /// ```
    /// use shmkit::{Pool, TaskError};
    /// use std::time::Duration;
    ///
    /// let pool = Pool::builder().workers(1).build()?;
    /// let mut naps = pool.imap([50u64], |ms| std::thread::sleep(Duration::from_millis(ms)));
    /// assert!(matches!(naps.next_timeout(Duration::ZERO), Some(Err(TaskError::Timeout))));
    /// assert!(matches!(naps.next(), Some(Ok(()))));
    /// assert!(naps.next().is_none());
    /// # Ok::<(), shmkit::Error>(())
    /// ```
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Result<R, TaskError>> {
        self.next_until(Deadline::after(timeout))
    }

    fn next_until(&mut self, deadline: Deadline) -> Option<Result<R, TaskError>> {
        loop {
            if let known @ Some(_) = self.results.pop_front() {
                return known;
            }
            if !self.inner.is_ours() {
                return Some(Err(TaskError::WrongProcess));
            }
            if let Err(why) = self.feed() {
                return Some(Err(why));
            }
            if self.sent.is_empty() {
                return None;
            }
            let ended = if self.is_ordered { self.oldest(deadline) } else { self.any(deadline) };
            match ended {
                None => return Some(Err(TaskError::Timeout)),
                Some((outcome, items)) => {
                    let results = &mut self.results;
                    items.results(outcome.as_ref(), |result| results.push_back(result));
                }
            }
        }
    }

    fn feed(&mut self) -> Result<(), TaskError> {
        while self.sent.len() < AHEAD * self.inner.workers
            && let Some(feeder) = &mut self.feeder
        {
            let next = match feeder {
                Ok(feeder) => feeder.next(self.inner),
                Err(_) => Ok(None),
            };
            match next {
                Ok(Some(sent)) => self.sent.push_back(sent),
                Ok(None) => {
                    if let Some(Err(why)) = self.feeder.take() {
                        return Err(why);
                    }
                }
                Err(why) => {
                    // The pool takes no more: what is under way may still come to results.
                    self.feeder = None;
                    return Err(why);
                }
            }
        }
        Ok(())
    }

    fn oldest(&mut self, deadline: Deadline) -> Option<(Option<Outcome>, Items)> {
        let (ticket, _) = self.sent.front()?;
        let outcome = match ticket {
            None => None,
            Some(ticket) => {
                if !self.inner.await_ticket(*ticket, deadline) {
                    return None;
                }
                self.inner.collect(*ticket)
            }
        };
        self.sent.pop_front().map(|(_, items)| (outcome, items))
    }

    fn any(&mut self, deadline: Deadline) -> Option<(Option<Outcome>, Items)> {
        let (inner, sent) = (self.inner, &self.sent);
        let attempt = || {
            let mut table = inner.table();
            let has_ended = |(ticket, _): &(Option<u32>, Items)| {
                ticket.is_none_or(|ticket| table.whereabouts(ticket).is_none())
            };
            sent.iter().position(has_ended)
        };
        let at = inner.site.finished.wait_until(&self.spin, deadline, attempt, || None)?;
        let (ticket, items) = self.sent.remove(at)?;
        Some((ticket.and_then(|ticket| self.inner.collect(ticket)), items))
    }
}

impl<I, R: Message> Iterator for Imap<'_, I, R>
where
    I: Iterator,
    I::Item: Message,
{
    type Item = Result<R, TaskError>;

    /// Waits for the next result.
    fn next(&mut self) -> Option<Result<R, TaskError>> {
        self.next_until(Deadline::Never)
    }
}

impl<I: Iterator, R> Drop for Imap<'_, I, R> {
    fn drop(&mut self) {
        if self.inner.is_ours() {
            let mut table = self.inner.table();
            self.sent.iter().filter_map(|(ticket, _)| *ticket).for_each(|at| table.abandon(at));
        }
    }
}

impl<I: Iterator, R> fmt::Debug for Imap<'_, I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Imap").field("under_way", &self.sent.len()).finish_non_exhaustive()
    }
}
