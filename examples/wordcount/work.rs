//! Which files are still to be given out.

use std::collections::VecDeque;

use super::files::FileList;

/// The largest groups hold about so much. Larger ones would save few messages, but would take
/// longer to do again when a worker dies.
const LARGEST_GROUP_BYTES: u64 = 4 << 20;

/// Opening a file costs about as much time as counting so many bytes.
const FILE_COST_BYTES: u64 = 4 << 10;

/// Neighbours in the list of files, given out together and answered by one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Group {
    pub first: usize,
    pub files: usize,
}

/// What is left to give out.
pub struct Work<'l> {
    list: &'l FileList,
    workers: u64,
    /// The first file that was never given out.
    next: usize,
    left_bytes: u64,
    given_back: VecDeque<Group>,
}

impl<'l> Work<'l> {
    pub fn new(list: &'l FileList, workers: usize) -> Work<'l> {
        let left_bytes = list.total_bytes();
        Work { list, workers: workers as u64, next: 0, left_bytes, given_back: VecDeque::new() }
    }

    /// The next group to count. Groups become smaller towards the end, so that all workers end at
    /// about the same time.
    pub fn take(&mut self) -> Option<Group> {
        let rest = &self.list.files()[self.next..];
        if rest.is_empty() {
            return self.given_back.pop_front();
        }
        let share = self.left_bytes / (4 * self.workers);
        let wanted = share.min(LARGEST_GROUP_BYTES);
        let (mut files, mut cost, mut bytes) = (0, 0, 0);
        for file in rest {
            files += 1;
            bytes += file.bytes;
            cost += file.bytes + FILE_COST_BYTES;
            if cost >= wanted {
                break;
            }
        }
        let group = Group { first: self.next, files };
        self.next += files;
        self.left_bytes -= bytes;
        Some(group)
    }

    /// Takes back what a dead worker had in hand, the group that it was busy with first. That
    /// group's files are given out one by one from now on, lest a file that kills its worker takes
    /// others along for ever.
    pub fn give_back(&mut self, in_hand: impl IntoIterator<Item = Group>) {
        let mut in_hand = in_hand.into_iter();
        if let Some(Group { first, files }) = in_hand.next() {
            let singly = (first..first + files).map(|first| Group { first, files: 1 });
            self.given_back.extend(singly);
        }
        self.given_back.extend(in_hand);
    }

    /// Whether a call of [`Work::take`] would find something.
    pub fn is_left(&self) -> bool {
        self.next < self.list.files().len() || !self.given_back.is_empty()
    }

    /// Whether half of the text was given out.
    pub fn is_past_half(&self) -> bool {
        self.left_bytes <= self.list.total_bytes() / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(sizes: &[u64]) -> FileList {
        FileList::new(sizes.iter().map(|&bytes| (bytes, format!("{bytes}").into())).collect())
    }

    #[test]
    fn every_file_is_given_out_once_in_groups_that_shrink() {
        let list = list(&[50_000; 2_000]);
        let mut work = Work::new(&list, 2);
        let groups: Vec<Group> = std::iter::from_fn(|| work.take()).collect();
        let mut next = 0;
        for group in &groups {
            assert_eq!(group.first, next);
            next += group.files;
        }
        assert_eq!(next, 2_000);
        assert!(groups.first().unwrap().files > 70 && groups.last().unwrap().files == 1);
        assert!(!work.is_left());
    }

    #[test]
    fn work_that_comes_back_is_given_out_again_file_by_file() {
        let list = list(&[10, 9, 8, 7]);
        let mut work = Work::new(&list, 1);
        while work.take().is_some() {}
        let (begun, waiting) = (Group { first: 0, files: 2 }, Group { first: 2, files: 2 });
        work.give_back([begun, waiting]);
        let again: Vec<Group> = std::iter::from_fn(|| work.take()).collect();
        let single = |first| Group { first, files: 1 };
        assert_eq!(again, [single(0), single(1), waiting]);
    }

    #[test]
    fn empty_files_and_empty_lists_come_to_an_end() {
        let list = list(&[0; 5]);
        let mut work = Work::new(&list, 3);
        assert_eq!(std::iter::from_fn(|| work.take()).map(|group| group.files).sum::<usize>(), 5);
        let none = FileList::new(Vec::new());
        assert!(Work::new(&none, 3).take().is_none());
    }
}
