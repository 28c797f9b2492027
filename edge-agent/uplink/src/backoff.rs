//! How long to wait before trying again: twice as long each time, and never
//! the same on two boxes, so that five thousand of them do not return to a
//! restarted broker in the same second.

use std::time::Duration;

/// After a connection that worked, the next try comes anywhere within this time:
/// a broker that starts anew has all its boxes to greet, and a TLS handshake
/// costs it some milliseconds each.
const SPREAD: Duration = Duration::from_secs(5);

/// Delays that double from `shortest` to `longest`, each drawn from its upper half.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    shortest: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(shortest: Duration, longest: Duration) -> Self {
        Self {
            shortest,
            longest: longest.max(shortest),
            failures: 0,
        }
    }

    /// It worked: the next failure waits the shortest time again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// It worked and ended: the delay before the next attempt.
    pub(crate) fn anew(&mut self) -> Duration {
        // Who finds nobody waits as long again and more: short waits would bring
        // all of them together again in the moment in which it is back.
        let steps = (SPREAD * 2).div_duration_f64(self.shortest.max(Duration::from_millis(1)));
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
        let failures = steps.log2().ceil().clamp(0.0, 31.0) as u32;
        self.failures = failures;
        SPREAD.min(self.longest).mul_f64(fastrand::f64())
    }

    /// It failed once more: the delay before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        let doubled = self
            .shortest
            .saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1).min(31);
        doubled
            .min(self.longest)
            .mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A broker that serves 5,000 boxes is gone for a while. How many come back
    /// in the worst second?
    #[test]
    fn five_thousand_boxes_do_not_return_in_one_second() {
        const BOXES: usize = 5000;
        fastrand::seed(7);
        for gone_s in [0.1, 5.0, 60.0, 3600.0] {
            let mut per_second = std::collections::BTreeMap::<u64, usize>::new();
            for _ in 0..BOXES {
                let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(30));
                let mut at = backoff.anew();
                while at.as_secs_f64() < gone_s {
                    at += backoff.next();
                }
                *per_second.entry(at.as_secs()).or_default() += 1;
            }
            let worst = per_second.values().copied().max().unwrap();
            assert!(
                worst < BOXES / 3,
                "gone for {gone_s} s: {worst} in one second"
            );
        }
    }

    #[test]
    fn delays_double_up_to_the_longest_and_start_over_after_success() {
        let (shortest, longest) = (Duration::from_millis(100), Duration::from_secs(3));
        let mut backoff = Backoff::new(shortest, longest);
        for round in 0..100_u32 {
            let full = shortest.saturating_mul(1 << round.min(20)).min(longest);
            let delay = backoff.next();
            assert!(
                delay >= full / 2 && delay <= full,
                "round {round}: {delay:?}"
            );
        }
        backoff.reset();
        assert!(backoff.next() <= shortest);
    }
}
