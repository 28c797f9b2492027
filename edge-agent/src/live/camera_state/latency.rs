//! How long it takes from the street to the disk: from the capture of the picture that decided an
//! event until the event is safe in the outbox.
//!
//! Two clocks are held against each other, the picture's and this box's. Where one of them was set
//! in between, the difference says nothing: what cannot be is counted apart, by reason, and spoils
//! no average. So each new event is counted once, here or there.

use std::collections::BTreeMap;

use prometheus_client::metrics::histogram::Histogram;
use protocol::{EventTime, TimeQuality};

/// Upper ends, s. Finest where a box is that keeps up; the last are for disks that stand still.
const UP_TO_S: [f64; 16] = [
    0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// Only the newest pictures are looked at, so nothing waits for so long: a clock was set. s.
const MOST_S: f64 = 600.0;

/// Latencies of one camera's events since the agent started.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventLatency {
    by_clock: BTreeMap<&'static str, Histogram>,
    unknown: BTreeMap<&'static str, u64>,
}

impl EventLatency {
    /// An event was decided by a picture of that time, by that clock, and is on disk since `stored`;
    /// none: the disk takes none.
    pub(super) fn count(
        &mut self,
        captured: EventTime,
        clock: TimeQuality,
        stored: Option<EventTime>,
    ) {
        match measured(captured, clock, stored) {
            Ok((clock, seconds)) => self
                .by_clock
                .entry(clock)
                .or_insert_with(|| Histogram::new(UP_TO_S))
                .observe(seconds),
            Err(reason) => *self.unknown.entry(reason).or_default() += 1,
        }
    }

    /// By the clock that the picture's time is from.
    pub(crate) fn by_clock(&self) -> impl Iterator<Item = (&'static str, &Histogram)> {
        self.by_clock
            .iter()
            .map(|(clock, latencies)| (*clock, latencies))
    }

    /// The same, how many and what they add up to, as they are told.
    #[cfg(test)]
    pub(crate) fn told(&self) -> Vec<(&'static str, f64, f64)> {
        use prometheus_client::encoding::text::encode;
        use prometheus_client::registry::Registry;
        let told = |(clock, latencies): (_, &Histogram)| {
            let mut registry = Registry::default();
            registry.register("it", "it", latencies.clone());
            let mut text = String::new();
            encode(&mut text, &registry).unwrap();
            let value = |name| {
                let mut lines = text.lines();
                let line = lines.find_map(|line| line.strip_prefix(name)).unwrap();
                line.trim().parse().unwrap()
            };
            (clock, value("it_count"), value("it_sum"))
        };
        self.by_clock().map(told).collect()
    }

    /// Events of which it is not known, by reason.
    pub(crate) fn unknown(&self) -> Vec<(&'static str, u64)> {
        let unknown = self.unknown.iter();
        unknown.map(|(reason, count)| (*reason, *count)).collect()
    }
}

/// Which clock, and how many seconds; or why that cannot be said.
fn measured(
    captured: EventTime,
    clock: TimeQuality,
    stored: Option<EventTime>,
) -> Result<(&'static str, f64), &'static str> {
    let stored = stored.ok_or("not_stored")?;
    let clock = match clock {
        TimeQuality::Rtcp => "rtcp",
        TimeQuality::Arrival => "arrival",
        TimeQuality::Media | TimeQuality::Unknown => return Err("undated"),
    };
    match stored.since(captured).0 {
        before if before < 0.0 => Err("future"),
        long if long > MOST_S => Err("past"),
        seconds => Ok((clock, seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> EventTime {
        EventTime::from_micros(1_790_000_000_000_000) + protocol::units::Seconds(seconds)
    }

    #[test]
    fn what_cannot_be_is_counted_apart_and_spoils_no_average() {
        use TimeQuality::{Arrival, Media, Rtcp, Unknown};
        let mut latency = EventLatency::default();
        for (clock, stored) in [
            (Rtcp, Some(0.25)),
            (Rtcp, Some(0.5)),
            (Arrival, Some(0.1)),
            // A disk that stood still for a minute is as slow as that.
            (Rtcp, Some(61.0)),
            // The camera's clock is ahead of the box's, or that was set back.
            (Rtcp, Some(-0.01)),
            (Arrival, Some(-3_600.0)),
            // The box's was set to next year.
            (Rtcp, Some(31_536_000.0)),
            (Media, Some(0.2)),
            (Unknown, Some(0.2)),
            (Rtcp, None),
        ] {
            latency.count(at(0.0), clock, stored.map(at));
        }
        assert_eq!(
            latency.told(),
            [("arrival", 1.0, 0.1), ("rtcp", 3.0, 61.75)]
        );
        assert_eq!(
            latency.unknown(),
            [
                ("future", 2),
                ("not_stored", 1),
                ("past", 1),
                ("undated", 2)
            ]
        );
    }
}
