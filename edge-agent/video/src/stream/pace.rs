//! Which frames to look at when not all shall be.

/// Keeps frames at a rate, by media time: a burst after a stall does not count as new time.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// µs between kept frames; 0 keeps all.
    interval: i64,
    /// Media time (µs) from which the next frame is kept.
    due: Option<i64>,
}

impl Pace {
    /// Keeps `fps` frames per second; everything when absent, not a number or not positive.
    pub fn new(fps: Option<f64>) -> Self {
        #[allow(clippy::cast_possible_truncation)] // `as` saturates
        let interval = match fps {
            Some(fps) if fps.is_finite() && fps > 0.0 => (1e6 / fps).round() as i64,
            _ => 0,
        };
        Self {
            interval,
            due: None,
        }
    }

    /// Wanted time between frames (µs); 0: all are wanted.
    pub(crate) const fn interval(&self) -> i64 {
        self.interval
    }

    /// Forgets the schedule: a new connection starts its media time again.
    pub fn restart(&mut self) {
        self.due = None;
    }

    /// Whether to keep the frame at this media time (µs).
    pub fn keeps(&mut self, at: i64) -> bool {
        if self.interval == 0 {
            return true;
        }
        // A little early still counts: cameras jitter, and a camera at exactly
        // the wanted rate must not lose every other frame.
        let slack = (self.interval / 10).min(10_000);
        match self.due {
            Some(due) if at + slack < due && due - at <= 2 * self.interval => false,
            // On schedule: the average rate is held. Far off: a new schedule.
            Some(due) if (due - at).abs() <= self.interval => {
                self.due = Some(due + self.interval);
                true
            }
            _ => {
                self.due = Some(at + self.interval);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(wanted: f64, camera: f64, seconds: f64, jitter: &[i64]) -> usize {
        let mut pace = Pace::new(Some(wanted));
        (0..100_000_u32)
            .map(|n| f64::from(n) / camera)
            .take_while(|at| *at < seconds)
            .zip(jitter.iter().cycle())
            .filter(|(at, jitter)| {
                #[allow(clippy::cast_possible_truncation)]
                let at = (at * 1e6) as i64 + **jitter;
                pace.keeps(at)
            })
            .count()
    }

    #[test]
    fn the_wanted_rate_is_held_on_average() {
        for (wanted, camera, expected) in [
            (10.0, 25.0, 100),
            (5.0, 30.0, 50),
            (25.0, 25.0, 250),
            (30.0, 25.0, 250),
            (7.5, 25.0, 75),
            (0.5, 25.0, 5),
        ] {
            assert_eq!(
                kept(wanted, camera, 10.0, &[0]),
                expected,
                "{wanted} of {camera}"
            );
        }
    }

    #[test]
    fn jitter_of_the_camera_costs_no_frames() {
        assert_eq!(kept(10.0, 10.0, 10.0, &[0, 4000, -4000, 2500]), 100);
    }

    #[test]
    fn media_time_that_starts_again_is_followed_at_once() {
        let mut pace = Pace::new(Some(10.0));
        assert!(pace.keeps(3_600_000_000));
        assert!(pace.keeps(0));
        assert!(!pace.keeps(40_000));
        assert!(pace.keeps(100_000));
    }

    proptest! {
        #[test]
        fn never_more_than_the_wanted_rate_and_one(
            wanted in 1.0..30.0_f64,
            steps in proptest::collection::vec(1_000..500_000_i64, 1..200),
        ) {
            let mut pace = Pace::new(Some(wanted));
            let mut at = 0;
            let mut kept = 0_u32;
            for step in steps {
                kept += u32::from(pace.keeps(at));
                at += step;
            }
            prop_assert!(f64::from(kept) <= at as f64 / 1e6 * wanted * 1.1 + 2.0);
        }
    }
}
