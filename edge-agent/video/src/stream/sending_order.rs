//! Which step back in time is the order in which pictures are sent.
//!
//! A B picture is sent after the pictures that it refers to, of which one is shown after
//! it. How far that reaches back a connection shows in its first pictures. But many
//! encoders (x264 as it comes, and so most relays) decide anew from scene to scene: they
//! put in B pictures, or more of them, minutes later. So a step that reaches further
//! back is looked at: a B picture comes into a place that was left free for it, while
//! one by a clock that was set back comes to where pictures have been already.

use std::time::Duration;

/// Pictures of a connection that are believed to show its order.
const LEARNT_FROM: u32 = 50;
/// No B picture reaches back so far.
const MOST_NS: i64 = 1_000_000_000;
/// A step back that is longer than any before by so much is looked at. By
/// less the speed of what takes a second or more is wrong by a tenth at most.
const SUSPICIOUS_NS: i64 = 100_000_000;
/// Nobody sets a clock twice within that: what looks so is an order of times that jitter.
const SET_ONCE_IN: Duration = Duration::from_secs(1);
/// Times that are remembered: longer than any B picture reaches back, and a bound
/// where a camera sends what nobody expects.
const REMEMBERED_NS: i64 = 2 * MOST_NS;
const REMEMBERED: usize = 256;

/// The order in which one connection's pictures are sent.
#[derive(Debug, Default)]
pub(super) struct SendingOrder {
    /// Pictures so far, up to those that are learnt from.
    pictures: u32,
    /// So far behind the latest time pictures were sent, ns.
    most_behind: i64,
    /// The media times of the last pictures (ns), ascending.
    recent: Vec<i64>,
    /// When a clock was last taken for set back.
    set_back_at: Option<Duration>,
}

impl SendingOrder {
    /// Whether the next picture, of media time `nanos`, is too far behind for a B picture.
    pub(super) fn is_set_back(&mut self, nanos: i64, arrived: Duration) -> bool {
        let latest = self.recent.last().copied().unwrap_or(nanos);
        let behind = latest.saturating_sub(nanos);
        let is_learning = self.pictures < LEARNT_FROM;
        self.pictures += u32::from(is_learning);
        if behind < self.most_behind.saturating_add(SUSPICIOUS_NS) && !is_learning {
            return false;
        }
        let is_a_moment_ago = self
            .set_back_at
            .is_some_and(|at| arrived.saturating_sub(at) < SET_ONCE_IN);
        if behind < MOST_NS && (is_learning || is_a_moment_ago || self.was_left_free(nanos)) {
            self.most_behind = self.most_behind.max(behind);
            return false;
        }
        let is_set_back = behind >= self.most_behind.saturating_add(SUSPICIOUS_NS);
        if is_set_back {
            self.set_back_at = Some(arrived);
        }
        is_set_back
    }

    /// A picture of media time `nanos` was sent.
    pub(super) fn sent(&mut self, nanos: i64) {
        let at = self.recent.partition_point(|time| *time <= nanos);
        self.recent.insert(at, nanos);
        let from = self.recent.last().map_or(0, |last| last - REMEMBERED_NS);
        let old = self.recent.partition_point(|time| *time < from);
        let many = self.recent.len().saturating_sub(REMEMBERED);
        self.recent.drain(..old.max(many));
    }

    /// Whether a picture is still to come about there: the neighbours of that time are
    /// further away than pictures usually are from one another, or nearly.
    fn was_left_free(&self, nanos: i64) -> bool {
        let at = self.recent.partition_point(|time| *time < nanos);
        let (Some(before), Some(after)) = (
            at.checked_sub(1).and_then(|at| self.recent.get(at)),
            self.recent.get(at),
        ) else {
            return false;
        };
        let mut apart: Vec<i64> = self.recent.windows(2).map(|two| two[1] - two[0]).collect();
        apart.sort_unstable();
        let usual = apart[apart.len() / 2];
        (nanos - before).min(after - nanos) >= usual / 4 * 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    /// Which pictures are taken for those of a clock that was set back, of `shown`
    /// (numbers in the order of sending), each `interval_ms` ± `jitter_ms` apart.
    fn set_back(shown: &[i64], interval_ms: i64, jitter_ms: i64) -> Vec<usize> {
        let mut order = SendingOrder::default();
        let mut noticed = Vec::new();
        for (n, shown) in shown.iter().enumerate() {
            let jitter = (shown * 7_919).rem_euclid(2 * jitter_ms + 1) - jitter_ms;
            let nanos = (shown * interval_ms + jitter) * MS;
            let arrived = i64::try_from(n).unwrap() * interval_ms;
            let arrived = Duration::from_millis(arrived.unsigned_abs());
            if order.is_set_back(nanos, arrived) {
                noticed.push(n);
            }
            order.sent(nanos);
            assert!(order.recent.is_sorted() && order.recent.len() <= REMEMBERED);
        }
        noticed
    }

    /// Numbers of 60 pictures in their order, then of groups of a reference and so many B
    /// pictures before it; as a pyramid the middle one first.
    fn with_b_pictures(depths: impl Iterator<Item = i64>, is_pyramid: bool) -> Vec<i64> {
        let mut shown: Vec<i64> = (0..60).collect();
        for depth in depths {
            let next = i64::try_from(shown.len()).unwrap();
            shown.push(next + depth);
            let middle = next + depth / 2;
            if is_pyramid && depth > 1 {
                shown.push(middle);
            }
            shown.extend(
                (next..next + depth).filter(|n| !(is_pyramid && depth > 1 && *n == middle)),
            );
        }
        shown
    }

    /// Once they were each a clock that was set back, and media time ran nearly twice
    /// as fast as the road.
    #[test]
    fn b_pictures_that_begin_later_or_become_more_are_no_clock_that_was_set() {
        for interval_ms in [20, 40, 66, 80, 100, 200] {
            for is_pyramid in [false, true] {
                let most = (900 / interval_ms).min(5);
                for depth in 1..=most {
                    let shown = with_b_pictures((0..60).map(|_| depth), is_pyramid);
                    let told = format!("{depth} B pictures each {interval_ms} ms, {is_pyramid}");
                    assert_eq!(set_back(&shown, interval_ms, 0), [0; 0], "{told}");
                }
                let adaptive = (0..200_i64).map(|n| (n * n * 31 + n * 7) % (most + 1));
                let shown = with_b_pictures(adaptive, is_pyramid);
                assert_eq!(set_back(&shown, interval_ms, 0), [0; 0], "{interval_ms} ms");
            }
        }
    }

    /// A camera that writes when a picture was read out, not when it was taken.
    #[test]
    fn of_b_pictures_whose_times_jitter_the_first_at_most_is_taken_for_a_clock() {
        for jitter_ms in [3, 8, 15] {
            let shown = with_b_pictures((0..80).map(|_| 3), false);
            let noticed = set_back(&shown, 40, jitter_ms);
            assert!(noticed.len() <= 1, "{jitter_ms} ms: {noticed:?}");
        }
    }

    /// What pictures are usually apart says nothing then, for a second.
    #[test]
    fn b_pictures_that_come_with_a_higher_rate_are_a_clock_once_at_most() {
        let mut order = SendingOrder::default();
        let mut noticed = Vec::new();
        let slow = (0..60).map(|n| n * 200);
        let quick = with_b_pictures((0..40).map(|n| 4 * n.min(1)), false);
        let quick = quick[60..].iter().map(|n| 60 * 200 + (n - 60) * 40);
        for (n, shown) in slow.chain(quick).enumerate() {
            let arrived = u64::try_from(n).unwrap();
            let arrived = arrived.min(60) * 200 + arrived.saturating_sub(60) * 40;
            if order.is_set_back(shown * MS, Duration::from_millis(arrived)) {
                noticed.push(n);
            }
            order.sent(shown * MS);
        }
        assert!(noticed.len() <= 1, "{noticed:?}");
    }
}
