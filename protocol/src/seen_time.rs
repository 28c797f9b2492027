//! Time that was seen to pass, for what removes things by their age.
//!
//! A host's clock jumps: a dead battery makes it 1970, a wrong server 2036.
//! What is a month old by such a clock may be a minute old, and a file that was
//! removed does not come back. So age is not the difference of two dates. It is
//! counted: while the program runs by the monotonic clock, which nobody sets;
//! from one run to the next by the host's clock, but a day at most, because a
//! jump in between looks just like a long pause. Whatever is in doubt is not
//! counted, so things are kept too long after a long pause, and never too short.

use core::time::Duration;

use crate::time::EventTime;

/// The most that is counted from one run of the program to the next.
pub const MOST_BETWEEN_RUNS: Duration = Duration::from_hours(24);

/// How much time was seen to pass since the counting began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeenTime {
    /// Counted so far, in µs.
    pub counted_us: i64,
    /// The host's clock when it was last looked at; `None` at the very beginning.
    pub looked: Option<EventTime>,
}

impl SeenTime {
    /// Counts on. `elapsed` is what the monotonic clock has counted since the
    /// last time, and `None` for the first look of a run.
    pub fn look(&mut self, now: EventTime, elapsed: Option<Duration>) {
        let passed_us = match (elapsed, self.looked) {
            (Some(elapsed), _) => micros(elapsed),
            (None, Some(last)) => now
                .as_micros()
                .saturating_sub(last.as_micros())
                .clamp(0, micros(MOST_BETWEEN_RUNS)),
            (None, None) => 0,
        };
        self.counted_us = self.counted_us.saturating_add(passed_us);
        self.looked = Some(now);
    }

    /// The count `age` ago: what has a lower one is older than `age`.
    pub fn before(&self, age: Duration) -> i64 {
        self.counted_us.saturating_sub(micros(age))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3_600_000_000;
    const YEAR_H: i64 = 8760;

    fn hours(steps: &[(i64, Option<u64>)]) -> i64 {
        let mut seen = SeenTime::default();
        for (clock_h, elapsed_h) in steps {
            seen.look(
                EventTime::from_micros(clock_h * HOUR_US),
                elapsed_h.map(Duration::from_hours),
            );
        }
        seen.counted_us / HOUR_US
    }

    #[test]
    fn only_time_that_passed_is_counted() {
        for (what, steps, expected) in [
            (
                "a day of looks",
                vec![(0, None), (12, Some(12)), (24, Some(12))],
                24,
            ),
            (
                "a leap of a year while it runs",
                vec![(0, None), (YEAR_H, Some(1))],
                1,
            ),
            (
                "and back again",
                vec![(0, None), (YEAR_H, Some(1)), (2, Some(1))],
                2,
            ),
            ("a restart", vec![(0, None), (10, Some(10)), (12, None)], 12),
            (
                "a leap of a year between two runs",
                vec![(0, None), (YEAR_H, None)],
                24,
            ),
            (
                "a clock that lost its battery",
                vec![(YEAR_H, None), (0, None)],
                0,
            ),
            (
                "1970 until the network sets it",
                vec![(0, None), (56 * YEAR_H, Some(2))],
                2,
            ),
        ] {
            assert_eq!(hours(&steps), expected, "{what}");
        }
    }

    proptest::proptest! {
        /// Whatever the clock says, a run never counts more than it lasted, and a
        /// pause never more than a day.
        #[test]
        fn no_clock_makes_time_pass(
            looks in proptest::collection::vec(
                (proptest::prelude::any::<i64>(), proptest::option::of(0_u64..100_000)), 0..30),
        ) {
            let mut seen = SeenTime::default();
            let mut most = 0;
            for (clock, elapsed) in looks {
                let before = seen.counted_us;
                let elapsed = elapsed.map(Duration::from_secs);
                most += micros(elapsed.unwrap_or(MOST_BETWEEN_RUNS));
                seen.look(EventTime::from_micros(clock), elapsed);
                assert!(seen.counted_us >= before && seen.counted_us <= most);
            }
        }
    }
}
