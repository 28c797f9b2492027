//! Whether pictures are missing between two that came.
//!
//! What is lost whole just before a key picture spoils nothing and leaves no trace, and neither does
//! what a decoder swallowed: only the time between two pictures tells. It is held
//! against what is usual, because a slow camera's pictures are far apart and none of them is missing.

use std::collections::VecDeque;

/// Distances that tell what is usual. Of a camera that changes its pace half of these are taken
/// for holes, of one that hangs each time for a moment none becomes usual.
const DISTANCES: usize = 8;
/// With fewer nobody knows.
const LEAST: usize = 4;
/// Pictures are missing where two are so many times farther apart than usual. One that is lost
/// alone makes it two.
const HOLE: i64 = 3;
/// Farther back than pictures are put in order by: the stream has begun anew (µs).
const BACK: i64 = 1_000_000;

/// Follows what comes out of one decoder, in the order in which it is shown.
#[derive(Debug, Default)]
pub(crate) struct Rhythm {
    last: Option<i64>,
    /// Pictures that had been left out on purpose until then.
    left_out: u64,
    recent: VecDeque<i64>,
}

impl Rhythm {
    /// A picture of this media time (µs) came, good or bad, and so many have been left out on
    /// purpose since the beginning; whether some are missing before it.
    pub(crate) fn misses(&mut self, media: i64, left_out: u64) -> bool {
        let is_meant = std::mem::replace(&mut self.left_out, left_out) != left_out;
        let Some(last) = self.last else {
            self.last = Some(media);
            return false;
        };
        let passed = media.saturating_sub(last);
        if passed < -BACK {
            self.recent.clear();
            self.last = Some(media);
            return false;
        }
        if passed <= 0 {
            return false;
        }
        self.last = Some(media);
        if is_meant {
            return false;
        }
        let usual = self.usual();
        if self.recent.len() == DISTANCES {
            self.recent.pop_front();
        }
        self.recent.push_back(passed);
        usual.is_some_and(|usual| passed > HOLE.saturating_mul(usual))
    }

    fn usual(&self) -> Option<i64> {
        let mut sorted: Vec<i64> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        sorted
            .get(sorted.len() / 2)
            .copied()
            .filter(|_| sorted.len() >= LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pictures (ms) before which others are missing.
    fn holes(times: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let mut rhythm = Rhythm::default();
        let missed = times.into_iter().filter(|ms| rhythm.misses(ms * 1_000, 0));
        missed.collect()
    }

    #[test]
    fn what_a_lossy_line_leaves_out_is_missed_each_time() {
        // Ten a second, of each fifty the last twelve lost.
        let sent = (0..500).filter(|n| n % 50 < 38).map(|n| n * 100);
        let expected: Vec<i64> = (1..10).map(|n| n * 5_000).collect();
        assert_eq!(holes(sent), expected);
    }

    #[test]
    fn slow_and_uneven_cameras_miss_nothing() {
        for every in [40, 200, 1_000, 2_000, 5_000] {
            assert_eq!(holes((0..100).map(|n| n * every)), [0; 0], "{every}");
            // Now and then one comes late, or one is lost alone.
            let uneven = (0..100).map(|n| n * every + n * n % 7 * every / 10);
            assert_eq!(holes(uneven), [0; 0], "{every}");
            let single = (0..100).filter(|n| n % 9 != 0).map(|n| n * every);
            assert_eq!(holes(single), [0; 0], "{every}");
        }
    }

    #[test]
    fn a_camera_that_changes_its_pace_has_the_new_one_soon() {
        let quick = (0..100).map(|n| n * 40);
        let slow = (0..50).map(|n| 4_000 + n * 1_000);
        assert!(holes(quick.chain(slow)).len() <= DISTANCES / 2);
        let slow = (0..50).map(|n| n * 1_000);
        let quick = (1..100).map(|n| 49_000 + n * 40);
        assert_eq!(holes(slow.chain(quick)), [0; 0]);
    }

    /// While a road is idle only key pictures are decoded, and a box that is behind skips.
    #[test]
    fn what_is_left_out_on_purpose_is_not_missed() {
        let mut rhythm = Rhythm::default();
        let mut left_out = 0;
        for n in 0..200_i64 {
            let is_key = n % 12 == 0;
            if (50..150).contains(&n) && !is_key {
                left_out += 1;
                continue;
            }
            assert!(!rhythm.misses(n * 100_000, left_out), "{n}");
        }
    }

    #[test]
    fn a_stream_that_begins_anew_misses_nothing() {
        let first = (0..50).map(|n| 1_000_000 + n * 100);
        let second = (0..50).map(|n| n * 100);
        assert_eq!(holes(first.chain(second)), [0; 0]);
        // Given twice, as libav does for one that is missing.
        assert_eq!(holes((0..50).map(|n| n / 2 * 100)), [0; 0]);
    }
}
