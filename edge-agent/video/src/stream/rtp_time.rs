//! Media time straight from RTP timestamps.
//!
//! The jitter buffer bends the times of pictures to the arrival of their
//! packets, and takes the early sending of pictures that B pictures refer to
//! for jitter: its times wander by 100 ms, and out of order. That bending stays
//! on, because how long it waits for a lost packet depends on it; but media
//! time is counted here, from the timestamps as the camera wrote them.
//!
//! Some cameras count by the clock on their wall, and that is set back. A decoder
//! gives all pictures the time of the last one until the camera's has come past it.
//! So a step back that is no order of B pictures (`sending_order.rs`) is taken out here,
//! and told: the next picture follows the latest one as it arrived.

use std::time::Duration;

use super::sending_order::SendingOrder;

/// A step between two packets that is wronger than this by their arrival is no
/// picture sent early and no stall of the network.
const MOST_WRONG_NS: i64 = 10_000_000_000;

/// Counts on over the wrapping 32 bits of RTP timestamps.
#[derive(Debug)]
pub(super) struct RtpTime {
    /// Ticks per second.
    rate: i64,
    /// The last timestamp, its ticks since the first, and when it arrived.
    last: Option<(u32, i64, Duration)>,
    /// Media time of tick 0 (ns).
    origin: i64,
    /// The latest media time (ns), and when it arrived.
    latest: (i64, Duration),
    order: SendingOrder,
}

/// When a packet's picture was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Media {
    /// On the camera's clock, ns.
    pub(super) nanos: i64,
    /// The camera's clock was set back before it.
    pub(super) is_set_back: bool,
}

impl RtpTime {
    /// `rate` in ticks per second; one that is none is taken for that of video.
    pub(super) fn new(rate: i32) -> Self {
        Self {
            rate: i64::from(if rate > 0 { rate } else { 90_000 }),
            last: None,
            origin: 0,
            latest: (0, Duration::ZERO),
            order: SendingOrder::default(),
        }
    }

    /// Media time of a packet that arrived at `arrived` (by any steady clock); the
    /// first one's is `first` (ns).
    ///
    /// # Errors
    /// The camera began its timestamps anew (RFC 3550 lets none do that within a
    /// source; some do when their clock is set). Nothing is known of how this
    /// packet's time follows on the last one's.
    pub(super) fn media(
        &mut self,
        timestamp: u32,
        first: i64,
        arrived: Duration,
    ) -> Result<Media, TimesRestarted> {
        let Some((last, before, then)) = self.last else {
            self.origin = first;
            self.latest = (first, arrived);
            self.last = Some((timestamp, 0, arrived));
            self.order.sent(first);
            return Ok(self.at(0, false));
        };
        // The nearer way round: reordered pictures step back.
        let step = i64::from(timestamp.wrapping_sub(last).cast_signed());
        let step_ns = self.nanos(step);
        if step_ns < -MOST_WRONG_NS
            || step_ns.saturating_sub(nanos(arrived.saturating_sub(then))) > MOST_WRONG_NS
        {
            return Err(TimesRestarted);
        }
        let ticks = before + step;
        self.last = Some((timestamp, ticks, arrived));
        let as_written = self.at(ticks, false).nanos;
        let is_set_back = step != 0 && self.order.is_set_back(as_written, arrived);
        if is_set_back {
            let (latest, then) = self.latest;
            let passed = nanos(arrived.saturating_sub(then)).max(1_000_000);
            let meant = latest.saturating_add(passed);
            self.origin = meant.saturating_sub(self.nanos(ticks));
        }
        let media = self.at(ticks, is_set_back);
        if step != 0 {
            self.order.sent(media.nanos);
        }
        if media.nanos > self.latest.0 {
            self.latest = (media.nanos, arrived);
        }
        Ok(media)
    }

    fn at(&self, ticks: i64, is_set_back: bool) -> Media {
        Media {
            nanos: self.origin.saturating_add(self.nanos(ticks)).max(0),
            is_set_back,
        }
    }

    fn nanos(&self, ticks: i64) -> i64 {
        let nanos = i128::from(ticks) * 1_000_000_000 / i128::from(self.rate);
        i64::try_from(nanos).unwrap_or(if ticks < 0 { i64::MIN } else { i64::MAX })
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// See [`RtpTime::media`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimesRestarted;

/// The timestamp in an RTP packet (RFC 3550 § 5.1).
pub(super) fn timestamp(packet: &[u8]) -> Option<u32> {
    let bytes = packet.get(4..8)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reordered_timestamps_are_linear_over_the_wrap() {
        let mut time = RtpTime::new(90_000);
        let start = u32::MAX - 5_000;
        for picture in [0_u32, 3, 1, 2, 6, 4, 5] {
            let media = time.media(start.wrapping_add(picture * 3_600), 7, Duration::ZERO);
            let nanos = 7 + i64::from(picture) * 40_000_000;
            let is_set_back = false;
            assert_eq!(media, Ok(Media { nanos, is_set_back }));
        }
    }

    #[test]
    fn only_a_step_that_neither_order_nor_waiting_explains_is_a_new_beginning() {
        const SECOND: u32 = 90_000;
        const HOUR: u32 = 3_600 * SECOND;
        let back = |ticks: u32| 0_u32.wrapping_sub(ticks);
        for (what, step, waited_s, is_new) in [
            ("the next picture", 3_600, 0, false),
            ("a picture of the same time", 0, 0, false),
            (
                "pictures that wait for one another",
                back(5 * SECOND),
                0,
                false,
            ),
            ("a burst after a connection was made", 9 * SECOND, 0, false),
            ("an hour without packets", HOUR, 3_600, false),
            (
                "a camera whose times stood still meanwhile",
                3_600,
                3_600,
                false,
            ),
            ("a clock set on", HOUR, 0, true),
            ("a clock set back", back(HOUR), 0, true),
            (
                "a clock set back while nothing came",
                back(HOUR),
                3_600,
                true,
            ),
            ("any other number", 0x7fff_ffff, 0, true),
            ("any other number, backwards", 0x8000_0000, 0, true),
        ] {
            for rate in [90_000, 0] {
                let mut time = RtpTime::new(rate);
                let (begun, waited) = (Duration::from_secs(5), Duration::from_secs(waited_s));
                assert_eq!(time.media(1_000, 7, begun).map(|it| it.nanos), Ok(7));
                let next = time.media(1_000_u32.wrapping_add(step), 7, begun + waited);
                assert_eq!(next.is_err(), is_new, "{what}: {next:?}");
            }
        }
    }

    /// Media times (ms) of 150 pictures of 40 ms, `sent` in this order by their number,
    /// of a camera whose clock is set back by `by_ms` after a hundred; and where that
    /// was noticed.
    fn set_back(by_ms: u64, sent: impl Fn(u64) -> u64) -> (Vec<i64>, Vec<usize>) {
        let mut time = RtpTime::new(90_000);
        let media: Vec<Media> = (0..150)
            .map(|n| {
                let by = if n < 100 { 0 } else { by_ms * 90 };
                let ticks = u32::try_from(1_000_000 + sent(n) * 3_600 - by).unwrap();
                let arrived = Duration::from_millis(n * 40);
                // Of each picture two packets.
                let first = time.media(ticks, 0, arrived).unwrap();
                let second = time.media(ticks, 0, arrived + Duration::from_millis(1));
                assert_eq!(second.map(|it| it.nanos), Ok(first.nanos));
                first
            })
            .collect();
        let noticed = (0..150).filter(|at| media[*at].is_set_back).collect();
        let times = media.iter().map(|it| it.nanos / 1_000_000).collect();
        (times, noticed)
    }

    #[test]
    fn a_clock_that_is_set_back_is_taken_out_and_told() {
        for by_ms in [150, 390, 400, 730, 990, 1_900, 9_000] {
            let (times, noticed) = set_back(by_ms, |n| n);
            assert_eq!(noticed, [100], "{by_ms} ms");
            let meant: Vec<i64> = (0..150).map(|n| n * 40).collect();
            assert_eq!(times, meant, "{by_ms} ms");
        }
        // Within what jitter does to a speed anyway it is left as it is.
        let (times, noticed) = set_back(60, |n| n);
        assert_eq!((times[100], noticed.len()), (100 * 40 - 60, 0));
    }

    #[test]
    fn the_order_of_b_pictures_is_no_clock_that_was_set() {
        // Sent I P B B P B B …, shown I B B P …
        let sent = |n: u64| match n {
            0 => 0,
            n if n % 3 == 1 => n + 2,
            n => n - 1,
        };
        let (times, noticed) = set_back(0, sent);
        assert_eq!(noticed, [0; 0]);
        let meant = (0..150).map(|n| i64::try_from(sent(n)).unwrap() * 40);
        assert!(times.into_iter().eq(meant));
        // Beyond that order it is noticed as well.
        assert_eq!(set_back(400, sent).1.len(), 1);
    }

    /// Its media time once ran at 1.8 times the road's, from the first of them on.
    #[test]
    fn an_encoder_that_begins_with_b_pictures_later_keeps_its_times() {
        for (interval_ms, depth) in [(40, 3), (80, 2), (100, 1)] {
            let sent = |n: u64| match n.checked_sub(60) {
                None => n,
                Some(since) if since % (depth + 1) == 0 => n + depth,
                Some(_) => n - 1,
            };
            let mut time = RtpTime::new(90_000);
            for n in 0..300 {
                let ticks = u32::try_from(sent(n) * interval_ms * 90).unwrap();
                let arrived = Duration::from_millis(n * interval_ms);
                let media = time.media(ticks, 0, arrived).unwrap();
                let nanos = i64::try_from(sent(n) * interval_ms * 1_000_000).unwrap();
                let is_set_back = false;
                assert_eq!(
                    media,
                    Media { nanos, is_set_back },
                    "{n}: {depth} B pictures"
                );
            }
        }
    }

    #[test]
    fn a_packet_too_short_has_no_timestamp() {
        assert_eq!(timestamp(&[0x80, 96, 0, 1, 0, 0, 1, 2]), Some(258));
        assert_eq!(timestamp(&[0x80, 96, 0, 1, 0, 0, 1]), None);
    }
}
