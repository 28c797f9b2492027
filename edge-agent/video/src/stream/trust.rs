//! Whether a camera's own clock is believed, and what it says.
//!
//! Each packet after a sender report carries the camera's UTC; less the media
//! time, that is an offset, the same for all packets in whatever order their
//! pictures are shown. The middle one of the last offsets counts, so that a
//! single mangled time moves nothing. It is judged against the offset by
//! arrival; but the judgement changes only after it has been contradicted for
//! [`SUSTAINED`] without a break: times that change clock several times a
//! second are worse than either clock. Meanwhile what was believed last holds.
//!
//! A camera at the limit must not make time jump to and fro, either. So belief
//! begins well below the limit and ends at it, never above: whoever reads
//! `rtcp` takes it that no time is wrong by more than the limit.
//!
//! Believed or not, it is one clock for all streams of the camera, and tells which of
//! their pictures are of one moment ([`OwnTime`](crate::frame::OwnTime)), better than
//! any time that is slewed or goes by arrival. But when it is set each stream hears of
//! that with its own next report. So it counts for that only when it has been told the
//! same for longer than any stream waits for a report; and not when it is one that may
//! begin to count with the stream.
//!
//! All times in µs.

use std::collections::VecDeque;

/// So long must the camera's clock agree to be believed, and disagree to be
/// believed no more.
pub(super) const SUSTAINED: i64 = 3_000_000;
/// Belief begins within this part of the limit. A camera that drifts by 50 ppm is
/// then believed for nearly two hours before it comes to a limit of a second.
const BEGINS_WITHIN: (i64, i64) = (2, 3);
/// Cameras report every five seconds, and by chance (RFC 3550 § 6.3.1) up to 6.2 s apart.
const ALL_HAVE_HEARD: i64 = 8_000_000;
/// A clock that was set by no more than this has not been set: two streams are compared
/// to some hundredths of a second.
const SET: i64 = 20_000;
/// 2015-01-01T00:00:00Z. What tells an earlier time has never been set, and may count from
/// the beginning of its stream.
const NEVER_SET_BEFORE: i64 = 1_420_070_400_000_000;
/// Offsets of which the middle one counts: half a second of most cameras.
const SAMPLES: usize = 15;

/// The clock of one camera in one connection.
#[derive(Debug)]
pub(super) struct CameraClock {
    max_difference: i64,
    /// UTC − media time, as the last packets said.
    offsets: VecDeque<i64>,
    /// The offset in force while the camera is believed.
    believed: Option<i64>,
    /// Monotonic time since which the judgement has been contradicted.
    contradicted_since: Option<i64>,
    /// What it says, whether or not it is believed.
    own: Option<Own>,
}

#[derive(Clone, Copy, Debug)]
struct Own {
    offset: i64,
    /// Monotonic time since which it has not been set.
    since: i64,
    /// Monotonic time of the last word.
    last: i64,
}

impl CameraClock {
    /// Not believed further than `max_difference` from the offset by arrival.
    pub(super) fn new(max_difference: i64) -> Self {
        Self {
            max_difference,
            offsets: VecDeque::with_capacity(SAMPLES),
            believed: None,
            contradicted_since: None,
            own: None,
        }
    }

    /// Forgets what was said: media time has started again.
    pub(super) fn restart(&mut self) {
        *self = Self::new(self.max_difference);
    }

    /// A packet said `offset` at `monotonic`, when by arrival it would be `arrival`.
    pub(super) fn said(&mut self, offset: i64, arrival: i64, monotonic: i64) {
        if self.offsets.len() == SAMPLES {
            self.offsets.pop_front();
        }
        self.offsets.push_back(offset);
        let middle = self.middle(offset);
        let is_set = |own: &Own| own.offset.abs_diff(middle) > SET.unsigned_abs();
        let own = self.own.filter(|own| !is_set(own));
        self.own = Some(Own {
            offset: middle,
            since: own.map_or(monotonic, |own| own.since),
            last: monotonic,
        });
        let limit = match self.believed {
            Some(_) => self.max_difference,
            None => self.max_difference / BEGINS_WITHIN.1 * BEGINS_WITHIN.0,
        };
        let agrees = arrival.saturating_sub(middle).saturating_abs() <= limit;
        if agrees == self.believed.is_some() {
            self.contradicted_since = None;
        } else {
            let since = *self.contradicted_since.get_or_insert(monotonic);
            if monotonic.saturating_sub(since) < SUSTAINED {
                return;
            }
            self.contradicted_since = None;
        }
        self.believed = agrees.then_some(middle);
    }

    /// UTC − media time by the camera's clock, while that is believed.
    pub(super) fn offset(&self) -> Option<i64> {
        self.believed
    }

    /// UTC − media time as the camera has it, right or wrong, where all its streams go by it.
    pub(super) fn own_offset(&self) -> Option<i64> {
        let own = self.own?;
        (own.last.saturating_sub(own.since) >= ALL_HAVE_HEARD).then_some(own.offset)
    }

    /// Whether a time may be one that all streams of the camera go by.
    pub(super) fn is_ever_set(time: i64) -> bool {
        time >= NEVER_SET_BEFORE
    }

    fn middle(&self, otherwise: i64) -> i64 {
        let mut sorted: Vec<i64> = self.offsets.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied().unwrap_or(otherwise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: i64 = 40_000;
    const LIMIT: i64 = 1_000_000;

    /// Says `offset(n)` for picture n, and whether it was believed after each.
    fn beliefs(clock: &mut CameraClock, pictures: i64, offset: impl Fn(i64) -> i64) -> Vec<bool> {
        (0..pictures)
            .map(|n| {
                clock.said(offset(n), 0, n * PICTURE);
                clock.offset().is_some()
            })
            .collect()
    }

    fn believed() -> CameraClock {
        let mut clock = CameraClock::new(LIMIT);
        clock.said(0, 0, -SUSTAINED);
        clock.said(0, 0, 0);
        assert_eq!(clock.offset(), Some(0));
        clock
    }

    #[test]
    fn belief_comes_once_after_sustained_agreement() {
        let beliefs = beliefs(&mut CameraClock::new(LIMIT), 200, |_| 20_000);
        let first = usize::try_from(SUSTAINED / PICTURE).unwrap_or(usize::MAX);
        assert_eq!(beliefs.iter().position(|b| *b), Some(first));
        assert!(beliefs[first..].iter().all(|b| *b));
    }

    #[test]
    fn single_mangled_times_move_nothing() {
        let mut clock = believed();
        for n in 0..200 {
            let offset = if n % 4 == 3 { 60_000_000 } else { 0 };
            clock.said(offset, 0, n * PICTURE);
            assert_eq!(clock.offset(), Some(0), "{n}");
        }
    }

    #[test]
    fn a_lie_shorter_than_sustained_is_sat_out_and_a_longer_one_is_not() {
        // Less what the middle lags behind.
        let brief = SUSTAINED / PICTURE - 20;
        let lying = |until: i64| move |n: i64| if n < until { 2 * LIMIT } else { 0 };
        let mut clock = believed();
        assert!(beliefs(&mut clock, 200, lying(brief)).iter().all(|b| *b));
        assert_eq!(clock.offset(), Some(0));

        let mut clock = believed();
        let long = beliefs(&mut clock, 300, lying(150));
        let changes = long.windows(2).filter(|w| w[0] != w[1]).count();
        assert_eq!(changes, 2, "{long:?}");
        assert!(!long[149] && long[299]);
    }

    /// Without NTP a camera may drift by seconds a day. What is called its clock was
    /// once believed up to one and a half times the limit.
    #[test]
    fn a_camera_that_drifts_is_believed_up_to_the_limit_and_no_further() {
        for direction in [1, -1] {
            let mut clock = believed();
            let mut ends = Vec::new();
            // Out to twice the limit and back again, 2 ms each second.
            for n in 0..50_000 {
                let away = (n.min(50_000 - n) * PICTURE) / 500;
                let was = clock.offset();
                clock.said(direction * away, 0, n * PICTURE);
                let offset = clock.offset();
                assert!(offset.is_none_or(|it| it.abs() <= LIMIT), "{offset:?}");
                if was.is_some() != offset.is_some() {
                    ends.push((offset.is_some(), away));
                }
            }
            // Both come after three seconds, in which it moves on by 6 ms.
            let about = |at: i64, wanted: i64| (at - wanted).abs() <= 3 * SUSTAINED / 500;
            assert!(
                matches!(ends[..], [(false, out), (true, back)]
                    if about(out, LIMIT) && about(back, LIMIT / 3 * 2)),
                "{ends:?}"
            );
        }
    }

    #[test]
    fn a_camera_that_agrees_by_turns_is_not_believed() {
        let beliefs = beliefs(&mut CameraClock::new(LIMIT), 1_000, |n| {
            n / 50 % 2 * 3 * LIMIT
        });
        assert!(beliefs.iter().all(|b| !b), "{beliefs:?}");
    }

    /// Of two streams one hears of it with its next report, and the other later: meanwhile
    /// neither tells which pictures are of one moment, once it knows better.
    #[test]
    fn a_clock_that_was_set_tells_no_moment_until_all_streams_have_heard_of_it() {
        let mut clock = CameraClock::new(LIMIT);
        let mut told = Vec::new();
        for n in 0..1_000 {
            // Set by 0.3 s after 20 s, and it drifts by 50 ppm.
            let set = if n < 500 { 0 } else { 300_000 };
            clock.said(set + n * PICTURE / 20_000, 0, n * PICTURE);
            told.push(clock.own_offset());
        }
        let heard = usize::try_from(ALL_HAVE_HEARD / PICTURE).unwrap();
        let first = told.iter().position(Option::is_some);
        assert_eq!(first, Some(heard));
        let silent: Vec<usize> = (heard..1_000).filter(|n| told[*n].is_none()).collect();
        assert_eq!(silent.len(), heard, "{silent:?}");
        assert!((500..510).contains(&silent[0]), "{silent:?}");
        assert!(
            told[heard..silent[0]]
                .iter()
                .all(|it| it.is_some_and(|it| it < 2_000))
        );
        assert!(told[999].is_some_and(|it| it > 300_000));
    }
}
