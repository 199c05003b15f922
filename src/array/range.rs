//! Ranges of elements, checked.

use crate::error::{Error, Result};
use std::ops::{Bound, Range, RangeBounds};

/// The elements that `range` names of `len`.
pub(super) fn within(range: impl RangeBounds<usize>, len: usize) -> Result<Range<usize>> {
    const HUGE: Error = Error::InvalidArgument("a range that ends beyond every index");
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.checked_add(1).ok_or(HUGE)?,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.checked_add(1).ok_or(HUGE)?,
        Bound::Excluded(end) => *end,
        Bound::Unbounded => len,
    };
    if start > len {
        return Err(Error::OutOfRange { index: start, len });
    }
    if end > len {
        return Err(Error::OutOfRange { index: end - 1, len });
    }
    if start > end {
        return Err(Error::InvalidArgument("a range that ends before it starts"));
    }
    Ok(start..end)
}

/// The same, as many as `count`, which is the length of the slice to copy from or to.
pub(super) fn as_many(
    range: impl RangeBounds<usize>,
    len: usize,
    count: usize,
) -> Result<Range<usize>> {
    let range = within(range, len)?;
    if range.len() != count {
        return Err(Error::LengthMismatch { expected: range.len(), found: count });
    }
    Ok(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::reversed_empty_ranges)]
    fn every_wrong_range_says_what_is_wrong() {
        let out = |range: Result<Range<usize>>| match range {
            Err(Error::OutOfRange { index, len: 5 }) => index,
            other => panic!("{other:?}"),
        };
        assert_eq!(within(.., 5).unwrap(), 0..5);
        assert_eq!(within(1..=4, 5).unwrap(), 1..5);
        assert_eq!(within(5.., 5).unwrap(), 5..5);
        assert_eq!(within(..0, 0).unwrap(), 0..0);
        assert_eq!(out(within(2..6, 5)), 5);
        assert_eq!(out(within(6.., 5)), 6);
        assert_eq!(out(within(..=7, 5)), 7);
        assert_eq!(out(within(0..usize::MAX, 5)), usize::MAX - 1);
        let bounds = (Bound::Excluded(4), Bound::Unbounded);
        assert_eq!(within(bounds, 5).unwrap(), 5..5);
        for range in [
            (Bound::Included(3), Bound::Excluded(2)),
            (Bound::Excluded(usize::MAX), Bound::Unbounded),
        ] {
            assert!(matches!(within(range, 5), Err(Error::InvalidArgument(_))));
        }
        assert!(matches!(within(..=usize::MAX, 5), Err(Error::InvalidArgument(_))));
        let mismatch = as_many(1..3, 5, 3);
        assert!(matches!(mismatch, Err(Error::LengthMismatch { expected: 2, found: 3 })));
    }
}
