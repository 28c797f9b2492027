//! What to do with encoded pictures when decoding cannot keep up.
//!
//! Dropping any one of them spoils all that follow, up to the next key picture. So, once
//! those at the decoder have come too late for a while, all are dropped up to a key
//! picture that is not late: what is told late of a road is of little worth. And as
//! memory is bounded as well, all that come are, once too many wait, up to a key picture
//! that finds the queue nearly empty.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Whether encoded pictures are being skipped.
#[derive(Clone, Debug, Default)]
pub struct Backlog {
    /// When those that wait came, the oldest first.
    waiting: VecDeque<Instant>,
    is_full: bool,
    is_behind: bool,
    late_since: Option<Instant>,
}

/// What has waited for so long is late.
const LATE: Duration = Duration::from_millis(500);
/// Late for so long: decoding cannot keep up. The burst that many cameras begin with,
/// and what was kept of an idle road, are decoded by then.
const LASTING: Duration = Duration::from_secs(1);
/// More than this wait: decoding cannot keep up. Two seconds of most cameras,
/// and more than the burst that many begin with.
const TOO_MANY: u32 = 50;
/// Fewer than this: decoding may go on with a key picture.
const FEW: u32 = 4;

impl Backlog {
    /// Whether to skip the encoded picture that comes while so many wait.
    pub fn skips(&mut self, waiting: u32, is_key: bool, now: Instant) -> bool {
        // One may have left the queue and not be at the decoder yet.
        while self.waiting.len() > waiting as usize + 1 {
            self.waiting.pop_front();
        }
        if waiting >= TOO_MANY {
            self.is_full = true;
        } else if is_key && waiting <= FEW {
            self.is_full = false;
        }
        if !self.is_full {
            self.waiting.push_back(now);
        }
        self.is_full
    }

    /// Whether to skip the encoded picture whose turn it is to be decoded.
    pub fn skips_late(&mut self, is_key: bool, now: Instant) -> bool {
        let came = self.waiting.pop_front().unwrap_or(now);
        let is_late = now.saturating_duration_since(came) >= LATE;
        self.late_since = self.late_since.or(Some(now)).filter(|_| is_late);
        let lasts = |since: Instant| now.saturating_duration_since(since) >= LASTING;
        if self.late_since.is_some_and(lasts) {
            self.is_behind = true;
        } else if is_key && !is_late {
            self.is_behind = false;
        }
        self.is_behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL_MS: u64 = 40;

    /// What a decoder made of 2000 pictures, and the longest that one waited.
    struct Outcome {
        decoded: Vec<u64>,
        longest: Duration,
    }

    /// A camera of 25 pictures a second with a key picture every `gop`, which begins with a
    /// burst of so many; each takes the decoder `takes_ms`.
    fn outcome(gop: u64, takes_ms: u64, burst: u64) -> Outcome {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut backlog = Backlog::default();
        let mut queue: VecDeque<(u64, u64)> = VecDeque::new();
        let mut free_at = 0;
        let (mut decoded, mut longest) = (Vec::new(), 0);
        for picture in 0..2_000_u64 {
            let now = picture.saturating_sub(burst) * INTERVAL_MS;
            while let Some((number, came)) = queue.front().copied()
                && free_at.max(came) <= now
            {
                queue.pop_front();
                let turn = free_at.max(came);
                if backlog.skips_late(number.is_multiple_of(gop), at(turn)) {
                    continue;
                }
                free_at = turn + takes_ms;
                longest = longest.max(free_at - came);
                decoded.push(number);
            }
            let waiting = u32::try_from(queue.len()).unwrap();
            if !backlog.skips(waiting, picture.is_multiple_of(gop), at(now)) {
                queue.push_back((picture, now));
            }
            assert!(queue.len() <= TOO_MANY as usize, "the queue grows");
            assert_eq!(backlog.waiting.len(), queue.len());
        }
        let longest = Duration::from_millis(longest);
        Outcome { decoded, longest }
    }

    #[test]
    fn a_decoder_that_keeps_up_gets_everything() {
        for (takes_ms, burst) in [(39, 0), (10, 40), (1, 49)] {
            let decoded = outcome(50, takes_ms, burst).decoded;
            let told = format!("{takes_ms} ms, {burst}: {decoded:?}");
            // The last may still wait.
            assert!(decoded.len() > 1_990, "{told}");
            assert!((0..).zip(decoded).all(|(meant, it)| meant == it), "{told}");
        }
    }

    #[test]
    fn a_slow_decoder_gets_unbroken_runs_from_key_pictures() {
        for (gop, takes_ms) in [(50, 80), (25, 120), (10, 400), (1, 80)] {
            let decoded = outcome(gop, takes_ms, 0).decoded;
            assert!(decoded.len() > 100, "{gop}, {takes_ms}: {}", decoded.len());
            for pair in decoded.windows(2) {
                let is_unbroken = pair[1] == pair[0] + 1;
                let told = format!("{pair:?} of {gop}, {takes_ms}");
                assert!(is_unbroken || pair[1].is_multiple_of(gop), "{told}");
            }
        }
    }

    /// Each was two to four seconds old when it was looked at, on and on.
    #[test]
    fn what_a_slow_decoder_makes_is_no_more_than_a_moment_old() {
        for (gop, takes_ms) in [(50, 50), (25, 50), (250, 60), (50, 80), (25, 120), (1, 50)] {
            let longest = outcome(gop, takes_ms, 0).longest;
            let most = LATE + LASTING + Duration::from_millis(takes_ms);
            assert!(longest <= most, "{longest:?} of {gop}, {takes_ms}");
        }
    }
}
