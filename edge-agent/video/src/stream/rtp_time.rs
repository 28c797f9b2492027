//! Media time straight from RTP timestamps.
//!
//! The jitter buffer bends the times of pictures to the arrival of their
//! packets, and takes the early sending of pictures that B pictures refer to
//! for jitter: its times wander by 100 ms, and out of order. That bending stays
//! on, because how long it waits for a lost packet depends on it; but media
//! time is counted here, from the timestamps as the camera wrote them.

/// Counts on over the wrapping 32 bits of RTP timestamps.
#[derive(Debug)]
pub(super) struct RtpTime {
    /// Ticks per second.
    rate: i64,
    /// The last timestamp, and its ticks since the first.
    last: Option<(u32, i64)>,
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

    /// Media time (ns) of a packet; the first one's is `first`.
    pub(super) fn media(&mut self, timestamp: u32, first: i64) -> i64 {
        let ticks = match self.last {
            None => {
                self.origin = first;
                0
            }
            // The nearer way round: reordered pictures step back.
            Some((last, ticks)) => ticks + i64::from(timestamp.wrapping_sub(last).cast_signed()),
        };
        self.last = Some((timestamp, ticks));
        let nanos = i128::from(ticks) * 1_000_000_000 / i128::from(self.rate);
        self.origin
            .saturating_add(i64::try_from(nanos).unwrap_or(i64::MAX))
            .max(0)
    }
}

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
            let media = time.media(start.wrapping_add(picture * 3_600), 7);
            assert_eq!(media, 7 + i64::from(picture) * 40_000_000);
        }
    }

    #[test]
    fn a_packet_too_short_has_no_timestamp() {
        assert_eq!(timestamp(&[0x80, 96, 0, 1, 0, 0, 1, 2]), Some(258));
        assert_eq!(timestamp(&[0x80, 96, 0, 1, 0, 0, 1]), None);
    }
}
