//! Whether pictures are missing between two that came.
//!
//! What is lost whole just before a key picture spoils nothing and leaves no trace, and neither does
//! what a decoder swallowed: only the time between two pictures tells. It is held
//! against what is usual, because a slow camera's pictures are far apart and none of them is missing.
//!
//! What is left out on purpose is known by its own time, and not by a count: a decoder gives a
//! picture late, and a queue more so, and what was left out meanwhile lies after that picture.

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
/// More of those that were left out last need not be remembered: between two pictures lies all
/// that was left out in a row, or nothing.
const MOST_LEFT_OUT: usize = 64;

/// Follows what comes out of one decoder, in the order in which it is shown.
#[derive(Debug, Default)]
pub(crate) struct Rhythm {
    last: Option<i64>,
    /// What was left out on purpose, and is shown after the last picture that came.
    left_out: VecDeque<LeftOut>,
    /// How many were skipped that are shown before it.
    skipped: u64,
    recent: VecDeque<i64>,
    /// From this media time on (µs) other pictures come than before: what was usual is so no more.
    other_from: Option<i64>,
}

/// A picture that is not decoded.
#[derive(Clone, Copy, Debug)]
struct LeftOut {
    media: i64,
    /// Decoding is behind; else nothing happens.
    is_skipped: bool,
}

/// What a picture tells of the time since the one before it (µs).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// So much of it others are missing; 0: none is.
    pub(crate) missing_us: i64,
    /// So much of it is the picture's own.
    pub(crate) own_us: i64,
}

impl Rhythm {
    /// The picture of this media time (µs) is not decoded, because decoding is behind.
    pub(crate) fn skip(&mut self, media: i64) {
        self.leave_out(media, true);
    }

    /// The same, because nothing happens.
    pub(crate) fn rest(&mut self, media: i64) {
        self.leave_out(media, false);
    }

    /// From the picture of this media time (µs) on those are left out that nobody refers to. One by one
    /// they are not told: what is lost between two others would be taken for them.
    pub(crate) fn thin_out(&mut self, media: i64) {
        self.other_from.get_or_insert(media);
    }

    fn leave_out(&mut self, media: i64, is_skipped: bool) {
        if self.left_out.len() == MOST_LEFT_OUT
            && let Some(first) = self.left_out.pop_front()
        {
            self.skipped += u64::from(first.is_skipped);
        }
        self.left_out.push_back(LeftOut { media, is_skipped });
    }

    /// How many pictures were skipped before the one that came last.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// A picture of this media time (µs) came, good or bad.
    pub(crate) fn step(&mut self, media: i64) -> Step {
        let Some(last) = self.last else {
            self.last = Some(media);
            self.pass_left_out(media, media);
            return Step::default();
        };
        let passed = media.saturating_sub(last);
        if passed < -BACK {
            self.recent.clear();
            self.other_from = None;
            self.last = Some(media);
            // Its times are those of before.
            self.pass_left_out(i64::MAX, i64::MAX);
            return Step::default();
        }
        if passed <= 0 {
            return Step::default();
        }
        self.last = Some(media);
        // Pictures wait in the queue and in the decoder while this is decided.
        if self.other_from.take_if(|from| media >= *from).is_some() {
            self.recent.clear();
        }
        let usual = self.usual();
        if self.pass_left_out(last, media) {
            let own_us = usual.unwrap_or(0).min(passed);
            return Step {
                missing_us: 0,
                own_us,
            };
        }
        if self.recent.len() == DISTANCES {
            self.recent.pop_front();
        }
        self.recent.push_back(passed);
        let own_us = usual
            .filter(|usual| passed > HOLE.saturating_mul(*usual))
            .unwrap_or(passed);
        Step {
            missing_us: passed - own_us,
            own_us,
        }
    }

    /// Whether something was left out on purpose from `last` on and before `media`, up to which
    /// all is dealt with.
    fn pass_left_out(&mut self, last: i64, media: i64) -> bool {
        let mut is_between = false;
        let skipped = &mut self.skipped;
        self.left_out.retain(|left_out| {
            let is_passed = left_out.media < media;
            if is_passed {
                is_between |= left_out.media >= last;
                *skipped += u64::from(left_out.is_skipped);
            }
            !is_passed
        });
        is_between
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
        let missed = times
            .into_iter()
            .filter(|ms| rhythm.step(ms * 1_000).missing_us > 0);
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

    /// While a road is idle only key pictures are decoded, and a box that is behind skips. What
    /// was skipped was counted when the key picture went in: a decoder that gives each picture
    /// when the next goes in, or a queue before it, still had older ones then.
    #[test]
    fn what_is_left_out_on_purpose_is_not_missed_however_late_pictures_come_out() {
        // For many key pictures on end, and up to the next one, again and again.
        let rests = |n: i64| (50..150).contains(&n);
        let skips = |n: i64| (26..36).contains(&(n % 48));
        let cases: [(bool, &dyn Fn(i64) -> bool); 3] =
            [(false, &rests), (true, &rests), (true, &skips)];
        for (behind, (is_skipped, leaves_out)) in (0..5).flat_map(|n| cases.map(|case| (n, case))) {
            let mut rhythm = Rhythm::default();
            let mut inside = VecDeque::new();
            let (mut left_out, mut told) = (0, Vec::new());
            for n in 0..200_i64 {
                let is_key = n % 12 == 0;
                if leaves_out(n) && !is_key {
                    left_out += 1;
                    rhythm.leave_out(n * 100_000, is_skipped);
                    continue;
                }
                inside.push_back((n, left_out));
                if inside.len() <= behind {
                    continue;
                }
                let (out, before) = inside.pop_front().unwrap();
                if rhythm.step(out * 100_000).missing_us > 0 {
                    told.push(out);
                }
                let skipped = if is_skipped { before } else { 0 };
                assert_eq!(rhythm.skipped(), skipped, "{out}, {behind} behind");
            }
            assert_eq!(told, [0; 0], "{behind} behind");
        }
    }

    /// With each connection, and each scene in which B pictures became fewer, a camera whose B pictures are
    /// left out had five holes.
    #[test]
    fn pictures_that_nobody_refers_to_are_not_missed_and_others_are_as_soon_as_the_pace_is_known() {
        let mut rhythm = Rhythm::default();
        // Three B pictures between two others, which come out one behind.
        let mut told: Vec<i64> = (0..40)
            .filter(|n| rhythm.step(n * 40_000).missing_us > 0)
            .collect();
        rhythm.thin_out(37 * 40_000);
        let others = (10..30).filter(|n| !(20..25).contains(n)).map(|n| n * 4);
        told.extend(others.filter(|n| rhythm.step(n * 40_000).missing_us > 0));
        assert_eq!(told, [100]);
    }

    #[test]
    fn what_is_lost_is_missed_beside_what_is_left_out() {
        let mut rhythm = Rhythm::default();
        for n in 0..20_i64 {
            rhythm.step(n * 100_000);
        }
        // Twenty are skipped before the key picture, and of the next group twelve are lost.
        for n in 20..40_i64 {
            rhythm.skip(n * 100_000);
        }
        let steps = [40, 41, 42, 55].map(|n| rhythm.step(n * 100_000));
        let of = |missing_us, own_us| Step { missing_us, own_us };
        let usual = of(0, 100_000);
        assert_eq!(steps, [usual, usual, usual, of(1_200_000, 100_000)]);
        assert_eq!(rhythm.skipped(), 20);
    }

    /// More than need be remembered, and a stream that begins anew meanwhile.
    #[test]
    fn all_that_was_skipped_is_counted() {
        let mut rhythm = Rhythm::default();
        rhythm.step(2_000_000);
        for n in 0..200_i64 {
            rhythm.skip(2_100_000 + n * 40_000);
        }
        rhythm.step(2_000_000 + 300 * 40_000);
        assert_eq!(rhythm.skipped(), 200);
        rhythm.skip(60_000_000);
        rhythm.step(0);
        assert_eq!(rhythm.skipped(), 201);
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
