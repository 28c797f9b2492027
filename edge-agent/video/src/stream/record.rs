//! Good and bad pictures of late: whether a decoder, or a stream, is still to be trusted.
//!
//! Counted by media time: half a second of garbage is as much at five pictures a second as
//! at thirty. But a few pictures are no proof, however long they take.

use std::collections::VecDeque;

/// Bad pictures in a row for so long are no accident (µs) …
const IN_A_ROW: i64 = 480_000;
/// … of so much of late … (µs)
const REMEMBERED: i64 = 4_000_000;
/// … so much that is bad is too much (µs).
const TOO_MUCH: i64 = 1_000_000;
/// And so many are needed for either.
const LEAST_BAD: usize = 6;
/// So many pictures are remembered, however long ago.
const LEAST_REMEMBERED: usize = 24;
/// A bound, whatever times are told.
const MOST_REMEMBERED: usize = 400;
/// From a picture to the next where a stream has no times (µs).
const USUAL: i64 = 40_000;
/// All is well again after good pictures for so long (µs), but for so many at least …
const CLEAN: i64 = 1_000_000;
const LEAST_CLEAN: usize = 3;
/// … or where among the pictures of so long (µs), and so many at least, fewer than one in so
/// many is bad. Else a picture that is bad now and then would keep a stream distrusted.
const SPARSE: i64 = 2_000_000;
const LEAST_SPARSE: usize = 10;
const SPARSE_SHARE: usize = 5;

/// Good and bad pictures of late.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// When they are shown (µs), and whether they are bad.
    recent: VecDeque<(i64, bool)>,
}

impl Record {
    /// A picture was good.
    pub(super) fn good(&mut self, at: Option<i64>) {
        self.push(at, false);
    }

    /// A picture was bad; whether there were too many.
    pub(super) fn bad(&mut self, at: Option<i64>) -> bool {
        self.push(at, true);
        let row = self.latest(true);
        if row.len() >= LEAST_BAD && worth(row.len(), &row) >= IN_A_ROW {
            return true;
        }
        let of_late: Vec<i64> = self.recent.iter().map(|(at, _)| *at).collect();
        let bad = self.recent.iter().filter(|(_, is_bad)| *is_bad).count();
        bad >= LEAST_BAD && worth(bad, &of_late) >= TOO_MUCH
    }

    /// Whether the stream has recovered with the picture that came last, a good one.
    pub(super) fn is_clean(&self) -> bool {
        let row = self.latest(false);
        if row.len() >= LEAST_CLEAN && worth(row.len(), &row) >= CLEAN {
            return true;
        }
        let Some((now, _)) = self.recent.back() else {
            return true;
        };
        let of_late = self.recent.iter().filter(|(at, _)| now - at < SPARSE);
        let (all, bad) = of_late.fold((0, 0), |(all, bad), (_, is_bad)| {
            (all + 1, bad + usize::from(*is_bad))
        });
        all >= LEAST_SPARSE && bad * SPARSE_SHARE < all
    }

    /// What was bad is over.
    pub(super) fn forget(&mut self) {
        self.recent.clear();
    }

    /// When the last pictures were that were all bad, or all good: the latest first.
    fn latest(&self, is_bad: bool) -> Vec<i64> {
        let row = self
            .recent
            .iter()
            .rev()
            .take_while(|(_, was)| *was == is_bad);
        row.map(|(at, _)| *at).collect()
    }

    fn push(&mut self, at: Option<i64>, is_bad: bool) {
        let last = self.recent.back().map(|(at, _)| *at);
        let at = at.unwrap_or_else(|| last.map_or(0, |last| last + USUAL));
        // Another count of the camera's, or another clock.
        if last.is_some_and(|last| !(-REMEMBERED..).contains(&(at - last))) {
            self.recent.clear();
        }
        self.recent.push_back((at, is_bad));
        while self.recent.len() > LEAST_REMEMBERED
            && let Some((first, _)) = self.recent.front()
            && (at - first >= REMEMBERED || self.recent.len() > MOST_REMEMBERED)
        {
            self.recent.pop_front();
        }
    }
}

/// For how long so many of the pictures at `times` are shown (µs): as long as each of them
/// usually is. Between two there may be a hole.
fn worth(pictures: usize, times: &[i64]) -> i64 {
    let mut apart: Vec<i64> = times
        .windows(2)
        .map(|two| (two[1] - two[0]).abs())
        .collect();
    apart.sort_unstable();
    let usual = apart.get(apart.len().saturating_sub(1) / 2).copied();
    let pictures = i64::try_from(pictures).unwrap_or(i64::MAX);
    usual.unwrap_or_default().saturating_mul(pictures)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With which picture a record of so many a second first says that there were too many.
    fn first_distrust(fps: usize, is_bad: impl Fn(usize) -> bool) -> Option<usize> {
        let mut record = Record::default();
        (0..1000).find(|n| {
            let at = i64::try_from(n * 1_000_000 / fps).ok();
            if is_bad(*n) {
                record.bad(at)
            } else {
                record.good(at);
                false
            }
        })
    }

    #[test]
    fn a_decoder_is_distrusted_after_a_row_or_a_share_of_bad_pictures() {
        assert_eq!(first_distrust(25, |n| n >= 100), Some(111));
        assert_eq!(first_distrust(25, |n| n % 3 == 0), Some(72));
        assert_eq!(first_distrust(25, |n| n % 8 == 0), None);
        assert_eq!(first_distrust(25, |n| n % 100 < 10), None);
    }

    #[test]
    fn half_a_second_is_half_a_second_at_any_rate_but_never_a_few_pictures() {
        for (fps, pictures) in [(1, 6), (5, 6), (10, 6), (15, 8), (25, 12), (50, 24)] {
            let first = first_distrust(fps, |n| n >= 100);
            assert_eq!(first, Some(100 + pictures - 1), "{fps} a second");
            assert_eq!(first_distrust(fps, |n| n % 8 == 0), None, "{fps} a second");
            assert!(
                first_distrust(fps, |n| n % 3 == 0).is_some(),
                "{fps} a second"
            );
        }
    }

    #[test]
    fn pictures_without_times_are_counted_and_times_that_jump_begin_anew() {
        let mut record = Record::default();
        let first = (0..10_000).position(|_| record.bad(None));
        assert_eq!(first, Some(11));
        for _ in 0..10_000 {
            record.good(Some(7));
        }
        assert!(record.recent.len() <= MOST_REMEMBERED);
        // A row that began two hours ago by another count is none.
        let mut record = Record::default();
        assert!(!(0..11).any(|n| record.bad(Some(7_200_000_000 + n * USUAL))));
        assert!(!record.bad(Some(0)));
    }
}
