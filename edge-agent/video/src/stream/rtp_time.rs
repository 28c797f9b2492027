//! Media time straight from RTP timestamps.
//!
//! The jitter buffer bends the times of pictures to the arrival of their
//! packets, and takes the early sending of pictures that B pictures refer to
//! for jitter: its times wander by 100 ms, and out of order. That bending stays
//! on, because how long it waits for a lost packet depends on it; but media
//! time is counted here, from the timestamps as the camera wrote them.

use std::time::Duration;

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
}

impl RtpTime {
    /// `rate` in ticks per second; one that is none is taken for that of video.
    pub(super) fn new(rate: i32) -> Self {
        Self {
            rate: i64::from(if rate > 0 { rate } else { 90_000 }),
            last: None,
            origin: 0,
        }
    }

    /// Media time (ns) of a packet that arrived at `arrived` (by any steady clock); the
    /// first one's is `first`.
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
    ) -> Result<i64, TimesRestarted> {
        let ticks = match self.last {
            None => {
                self.origin = first;
                0
            }
            Some((last, ticks, before)) => {
                // The nearer way round: reordered pictures step back.
                let step = i64::from(timestamp.wrapping_sub(last).cast_signed());
                let step_ns = self.nanos(step);
                let passed = arrived.saturating_sub(before).as_nanos();
                let passed = i64::try_from(passed).unwrap_or(i64::MAX);
                if step_ns < -MOST_WRONG_NS || step_ns.saturating_sub(passed) > MOST_WRONG_NS {
                    return Err(TimesRestarted);
                }
                ticks + step
            }
        };
        self.last = Some((timestamp, ticks, arrived));
        Ok(self.origin.saturating_add(self.nanos(ticks)).max(0))
    }

    fn nanos(&self, ticks: i64) -> i64 {
        let nanos = i128::from(ticks) * 1_000_000_000 / i128::from(self.rate);
        i64::try_from(nanos).unwrap_or(if ticks < 0 { i64::MIN } else { i64::MAX })
    }
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
            assert_eq!(media, Ok(7 + i64::from(picture) * 40_000_000));
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
                assert_eq!(time.media(1_000, 7, begun), Ok(7));
                let next = time.media(1_000_u32.wrapping_add(step), 7, begun + waited);
                assert_eq!(next.is_err(), is_new, "{what}: {next:?}");
            }
        }
    }

    #[test]
    fn a_packet_too_short_has_no_timestamp() {
        assert_eq!(timestamp(&[0x80, 96, 0, 1, 0, 0, 1, 2]), Some(258));
        assert_eq!(timestamp(&[0x80, 96, 0, 1, 0, 0, 1]), None);
    }
}
